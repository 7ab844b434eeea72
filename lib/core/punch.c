/* SPDX-License-Identifier: MIT */
/* An attempt to punch; see punch.h. */
#include "punch.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "punch_plan.h"
#include "random.h"
#include "rtt.h"

#define KIND_PROBE  1
#define KIND_ANSWER 2

#define TAG_AT    16
#define NONCE_AT  4
#define NUMBER_AT 12

/* Answers and extra probes that wait to be sent. */
#define QUEUE_MAX 32
/* Probes to where the peer's came from, if that was not among its candidates. */
#define EXTRA_MAX 8
/* The other side may not have received any yet. */
#define MORE_PACKETS 3
#define MORE_GAP_NS  (20 * PH_MS)

typedef struct Outgoing {
    PhPath path;
    uint8_t kind, ttl;
    uint8_t transaction[12];
} Outgoing;

struct PhPunch {
    PhPunchConfig config;
    PhPunchPlan plan;
    PhPunchCounters counters;
    PhPunchState state;
    PhPath open;
    uint8_t nonce[8]; /* the first part of our transactions */
    uint32_t number;  /* the next one's second part */
    unsigned next;    /* of the plan's packets */
    unsigned extra;   /* probes that are in no plan */
    unsigned more;    /* packets still to be sent along the open path */
    uint64_t more_ns; /* the next of these */
    uint64_t end_ns;  /* patience is over */
    Outgoing queue[QUEUE_MAX];
    unsigned queue_first, queue_n;
    /* Fresh sockets: asked for, there, to be closed, by number. */
    unsigned asked, closed;
    bool there[PH_PUNCH_SOCKETS];
    uint8_t packet[PH_PUNCH_PACKET_BYTES];
};

PhPunch *ph_punch_new(const PhPunchConfig *config, uint64_t now)
{
    PhPunch *punch = calloc(1, sizeof(*punch));
    PhRandom random;
    uint64_t drawn;

    if (!punch)
        return NULL;
    punch->config = *config;
    if (punch->config.n_sockets > PH_PUNCH_SOCKETS)
        punch->config.n_sockets = PH_PUNCH_SOCKETS;
    if (punch->config.start_ns < now)
        punch->config.start_ns = now;
    ph_random_init(&random, config->seed);
    ph_random_bytes(&random, punch->nonce, sizeof(punch->nonce));
    ph_random_bytes(&random, (uint8_t *)&drawn, sizeof(drawn));
    ph_punch_plan(&punch->plan, &punch->config, drawn);
    if (punch->plan.n_sockets > punch->config.n_sockets)
        punch->plan.n_sockets = punch->config.n_sockets;
    punch->end_ns = punch->config.start_ns + punch->plan.patience_ns;
    if (punch->plan.n > 0)
        punch->end_ns += ph_punch_plan_step(&punch->plan, punch->plan.n - 1).after_ns;
    else if (config->strategy != PH_STRATEGY_WAIT)
        punch->state = PH_PUNCH_FAILED; /* nothing to attempt */
    return punch;
}

void ph_punch_stop(PhPunch *punch)
{
    if (punch->state == PH_PUNCH_RUNNING)
        punch->state = PH_PUNCH_FAILED;
}

PhPunch *ph_punch_free(PhPunch *punch)
{
    if (punch)
        sodium_memzero(punch, sizeof(*punch));
    free(punch);
    return NULL;
}

/* ---- sockets ---- */

static uint32_t socket_id(const PhPunch *punch, unsigned number)
{
    return punch->plan.n_sockets ? punch->config.first_socket + number : punch->config.socket;
}

static bool is_there(const PhPunch *punch, unsigned number)
{
    return punch->plan.n_sockets == 0 || punch->there[number];
}

/* The number of a fresh socket; PH_PUNCH_SOCKETS when it is none. */
static unsigned number_of(const PhPunch *punch, uint32_t socket)
{
    uint32_t number = socket - punch->config.first_socket;

    return punch->plan.n_sockets && number < punch->asked ? number : PH_PUNCH_SOCKETS;
}

bool ph_punch_poll_socket(PhPunch *punch, PhSocketRequest *ret_request)
{
    if (punch->state == PH_PUNCH_RUNNING && punch->asked < punch->plan.n_sockets) {
        *ret_request = (PhSocketRequest){
            .kind = PH_SOCKET_OPEN,
            .transport = PH_TRANSPORT_UDP,
            .socket = socket_id(punch, punch->asked++),
            .family = punch->config.family,
        };
        return true;
    }
    /* Afterwards all go but the one that is open. */
    while (punch->state != PH_PUNCH_RUNNING && punch->closed < punch->asked) {
        unsigned number = punch->closed++;

        if (!punch->there[number] ||
            (punch->state == PH_PUNCH_OPEN && punch->open.socket == socket_id(punch, number)))
            continue;
        punch->there[number] = false;
        *ret_request = (PhSocketRequest){
            .kind = PH_SOCKET_CLOSE,
            .transport = PH_TRANSPORT_UDP,
            .socket = socket_id(punch, number),
            .family = punch->config.family,
        };
        return true;
    }
    return false;
}

void ph_punch_socket_opened(PhPunch *punch, uint32_t socket, const PhAddress *local, uint64_t now)
{
    unsigned number = number_of(punch, socket);

    (void)local;
    (void)now;
    if (number < PH_PUNCH_SOCKETS)
        punch->there[number] = true;
}

void ph_punch_socket_failed(PhPunch *punch, uint32_t socket, uint64_t now)
{
    unsigned number = number_of(punch, socket);

    (void)now;
    if (number < PH_PUNCH_SOCKETS)
        punch->there[number] = false;
}

/* ---- packets ---- */

static void tag(const PhPunch *punch, const uint8_t *packet, uint8_t ret_tag[static 16])
{
    crypto_generichash_blake2b_state state;

    (void)crypto_generichash_blake2b_init(&state, punch->config.token, sizeof(punch->config.token),
                                          16);
    (void)crypto_generichash_blake2b_update(&state, packet, TAG_AT);
    (void)crypto_generichash_blake2b_final(&state, ret_tag, 16);
}

static void write_packet(PhPunch *punch, uint8_t kind, const uint8_t transaction[static 12])
{
    punch->packet[0] = PH_PUNCH_TYPE;
    punch->packet[1] = kind;
    punch->packet[2] = (uint8_t)punch->config.attempt;
    punch->packet[3] = punch->config.lower ? 0 : 1;
    memcpy(punch->packet + NONCE_AT, transaction, 12);
    tag(punch, punch->packet, punch->packet + TAG_AT);
    punch->counters.sent++;
}

static void next_transaction(PhPunch *punch, uint8_t ret_transaction[static 12])
{
    memcpy(ret_transaction, punch->nonce, sizeof(punch->nonce));
    ph_put32(ret_transaction + sizeof(punch->nonce), punch->number++);
}

/* `transaction` is that of the probe that is answered; NULL: a new one. */
static void enqueue(PhPunch *punch, const PhPath *path, uint8_t kind, uint8_t ttl,
                    const uint8_t *transaction)
{
    Outgoing *outgoing;

    if (punch->queue_n == QUEUE_MAX)
        return; /* who sends so much does not need all of it answered */
    outgoing = &punch->queue[(punch->queue_first + punch->queue_n++) % QUEUE_MAX];
    *outgoing = (Outgoing){.path = *path, .kind = kind, .ttl = ttl};
    if (transaction)
        memcpy(outgoing->transaction, transaction, sizeof(outgoing->transaction));
    else
        next_transaction(punch, outgoing->transaction);
}

bool ph_punch_is_packet(const uint8_t *bytes, size_t length)
{
    return length == PH_PUNCH_PACKET_BYTES && bytes[0] == PH_PUNCH_TYPE;
}

static void become_open(PhPunch *punch, const PhPath *path, uint64_t now)
{
    punch->state = PH_PUNCH_OPEN;
    punch->open = *path;
    punch->more = MORE_PACKETS;
    punch->more_ns = now;
}

bool ph_punch_handle_datagram(PhPunch *punch, const PhPath *path, const uint8_t *bytes,
                              size_t length, uint64_t now)
{
    uint8_t right[16];

    if (!ph_punch_is_packet(bytes, length) || bytes[2] != punch->config.attempt ||
        bytes[3] != (punch->config.lower ? 1 : 0))
        return false;
    tag(punch, bytes, right);
    if (sodium_memcmp(right, bytes + TAG_AT, sizeof(right)) != 0) {
        punch->counters.foreign++;
        return false;
    }
    punch->counters.received++;
    if (bytes[1] == KIND_PROBE && punch->state != PH_PUNCH_FAILED) {
        punch->counters.answered++;
        enqueue(punch, path, KIND_ANSWER, 0, bytes + NONCE_AT);
        if (punch->state == PH_PUNCH_RUNNING && punch->extra < EXTRA_MAX) {
            punch->extra++;
            enqueue(punch, path, KIND_PROBE, 0, NULL);
        }
    } else if (bytes[1] == KIND_ANSWER && punch->state == PH_PUNCH_RUNNING &&
               memcmp(bytes + NONCE_AT, punch->nonce, sizeof(punch->nonce)) == 0 &&
               ph_get32(bytes + NUMBER_AT) < punch->number) {
        become_open(punch, path, now);
    }
    return true;
}

/* ---- time ---- */

static uint64_t due(const PhPunch *punch)
{
    return punch->config.start_ns + ph_punch_plan_step(&punch->plan, punch->next).after_ns;
}

void ph_punch_handle_timeout(PhPunch *punch, uint64_t now)
{
    if (punch->state == PH_PUNCH_OPEN && punch->more > 0 && now >= punch->more_ns) {
        punch->more--;
        punch->more_ns = now + MORE_GAP_NS;
        enqueue(punch, &punch->open, KIND_PROBE, 0, NULL);
    }
    if (punch->state != PH_PUNCH_RUNNING)
        return;
    while (punch->next < punch->plan.n && punch->queue_n < QUEUE_MAX && now >= due(punch)) {
        PhPunchStep step = ph_punch_plan_step(&punch->plan, punch->next++);

        if (is_there(punch, step.socket))
            enqueue(punch,
                    &(PhPath){.transport = PH_TRANSPORT_UDP,
                              .socket = socket_id(punch, step.socket),
                              .remote = step.remote},
                    KIND_PROBE, step.ttl, NULL);
    }
    if (now >= punch->end_ns)
        punch->state = PH_PUNCH_FAILED;
}

bool ph_punch_poll_transmit(PhPunch *punch, PhTransmit *ret_transmit)
{
    Outgoing outgoing;

    if (punch->queue_n == 0)
        return false;
    outgoing = punch->queue[punch->queue_first];
    punch->queue_first = (punch->queue_first + 1) % QUEUE_MAX;
    punch->queue_n--;
    write_packet(punch, outgoing.kind, outgoing.transaction);
    *ret_transmit = (PhTransmit){
        .path = outgoing.path,
        .bytes = punch->packet,
        .length = sizeof(punch->packet),
        .ttl = outgoing.ttl,
    };
    return true;
}

uint64_t ph_punch_next_timeout(const PhPunch *punch)
{
    uint64_t next = punch->end_ns;

    if (punch->state == PH_PUNCH_OPEN)
        return punch->more > 0 ? punch->more_ns : UINT64_MAX;
    if (punch->state == PH_PUNCH_FAILED)
        return UINT64_MAX;
    if (punch->next < punch->plan.n && due(punch) < next)
        next = due(punch);
    return next;
}

PhPunchState ph_punch_state(const PhPunch *punch, PhPath *ret_path)
{
    if (punch->state == PH_PUNCH_OPEN)
        *ret_path = punch->open;
    return punch->state;
}

const PhPunchCounters *ph_punch_counters(const PhPunch *punch)
{
    return &punch->counters;
}
