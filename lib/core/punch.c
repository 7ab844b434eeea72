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

/* Packets that wait to be sent. */
#define QUEUE_MAX 32
/* Paths that the peer's probes came along work one way, and are tried again and again. */
#define SEEN_MAX     8
#define SEEN_TRIES   12
#define SEEN_GAP_NS  (100 * PH_MS)
#define SEEN_DOUBLES 3
/* Of all these together: with what a plan has it stays below PH_PUNCH_CHECKS_MAX. */
#define EXTRA_MAX 17
/* The other side may not have heard it yet: quickly at first, and then until it says so. */
#define MORE_PACKETS 10
#define MORE_QUICKLY 3
#define MORE_GAP_NS  (20 * PH_MS)
#define MORE_LATE_NS (100 * PH_MS)
/* What IPv4 waits for IPv6, whose second round may be the first that gets through. */
#define HELD_NS (150 * PH_MS)
/* The peer's probes that are answered, each once; it has fewer. */
#define HEARD_MAX 2048

typedef struct Outgoing {
    PhPath path;
    uint8_t kind, ttl;
    uint8_t transaction[PH_PUNCH_TRANSACTION_BYTES]; /* of what is answered */
} Outgoing;

typedef struct Seen {
    PhPath path;
    uint8_t transaction[PH_PUNCH_TRANSACTION_BYTES]; /* the last one that came */
    unsigned tries;
    uint64_t next_ns;
} Seen;

typedef enum { SOCKET_NONE, SOCKET_ASKED, SOCKET_THERE } SocketState;

struct PhPunch {
    PhPunchConfig config;
    PhPunchPlan plan;
    PhPunchCounters counters;
    PhPunchState state;
    PhPath open;
    uint8_t secret[PH_PUNCH_SECRET_BYTES]; /* binds our transactions to their paths */
    uint32_t number;                       /* the next one's */
    bool decides;                          /* which path it is */
    unsigned next;                         /* of the plan's packets */
    unsigned extra;                        /* probes that are in no plan */
    unsigned more;                         /* packets still to be sent along the open path */
    uint64_t more_ns;                      /* the next of these */
    PhPath held;                           /* of IPv4: it works; family NONE: there is none */
    uint64_t held_ns;                      /* until then IPv6 may do better */
    uint64_t end_ns;                       /* patience is over */
    Outgoing queue[QUEUE_MAX];
    unsigned queue_first, queue_n;
    Seen seen[SEEN_MAX];
    unsigned n_seen;
    uint8_t heard[HEARD_MAX / 8];
    uint8_t sockets[PH_PUNCH_SOCKETS]; /* SocketState of the fresh ones, by number */
    unsigned asked;
    uint8_t packet[PH_PUNCH_PACKET_BYTES];
};

static bool does_decide(const PhPunchConfig *config, const PhPunchPlan *plan)
{
    switch (config->strategy) {
    case PH_STRATEGY_SPREAD:
        return true;
    case PH_STRATEGY_SCATTER:
        return false;
    case PH_STRATEGY_DIAL:
    case PH_STRATEGY_PUNCH:
        if (plan->n_targets == 1 && plan->n_sockets == 0)
            return true; /* there is nothing to choose from */
        break;
    case PH_STRATEGY_RELAY:
    case PH_STRATEGY_WAIT:
    case PH_STRATEGY_PREDICT:
        break;
    }
    return config->lower;
}

PhPunch *ph_punch_new(const PhPunchConfig *config, uint64_t now)
{
    PhPunch *punch = calloc(1, sizeof(*punch));
    PhRandom random;
    uint64_t drawn[2];

    if (!punch)
        return NULL;
    punch->config = *config;
    if (punch->config.start_ns < now)
        punch->config.start_ns = now;
    ph_random_init(&random, config->seed);
    ph_random_bytes(&random, punch->secret, sizeof(punch->secret));
    ph_random_bytes(&random, (uint8_t *)drawn, sizeof(drawn));
    ph_punch_plan(&punch->plan, &punch->config, drawn);
    punch->decides = does_decide(config, &punch->plan);
    assert(punch->plan.n_sockets <= PH_PUNCH_SOCKETS);
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

static PhSocketRequest request(const PhPunch *punch, PhSocketKind kind, unsigned number)
{
    return (PhSocketRequest){
        .kind = kind,
        .transport = PH_TRANSPORT_UDP,
        .socket = punch->config.first_socket + number,
        .family = punch->config.family,
    };
}

bool ph_punch_poll_socket(PhPunch *punch, PhSocketRequest *ret_request)
{
    if (punch->state == PH_PUNCH_RUNNING) {
        if (punch->asked == punch->plan.n_sockets)
            return false;
        punch->sockets[punch->asked] = SOCKET_ASKED;
        *ret_request = request(punch, PH_SOCKET_OPEN, punch->asked++);
        return true;
    }
    /* Afterwards all go but the one that is open. */
    for (unsigned i = 0; i < punch->asked; i++) {
        if (punch->sockets[i] != SOCKET_THERE ||
            (punch->state == PH_PUNCH_OPEN && punch->open.socket == punch->config.first_socket + i))
            continue;
        punch->sockets[i] = SOCKET_NONE;
        *ret_request = request(punch, PH_SOCKET_CLOSE, i);
        return true;
    }
    return false;
}

static void socket_is(PhPunch *punch, uint32_t socket, SocketState state)
{
    uint32_t number = socket - punch->config.first_socket;

    if (number < punch->asked && punch->sockets[number] == SOCKET_ASKED)
        punch->sockets[number] = (uint8_t)state;
}

void ph_punch_socket_opened(PhPunch *punch, uint32_t socket, const PhAddress *local, uint64_t now)
{
    (void)local;
    (void)now;
    socket_is(punch, socket, SOCKET_THERE);
}

void ph_punch_socket_failed(PhPunch *punch, uint32_t socket, uint64_t now)
{
    (void)now;
    socket_is(punch, socket, SOCKET_NONE);
}

/* Whether it is the data socket, or a fresh one that is there. */
static bool is_ours(const PhPunch *punch, const PhPath *path)
{
    uint32_t number = path->socket - punch->config.first_socket;

    return path->transport == PH_TRANSPORT_UDP &&
           (path->socket == punch->config.socket ||
            (punch->config.other_socket != 0 && path->socket == punch->config.other_socket) ||
            (number < punch->asked && punch->sockets[number] == SOCKET_THERE));
}

/* ---- transactions ---- */

static bool path_equal(const PhPath *a, const PhPath *b)
{
    return a->transport == b->transport && a->socket == b->socket &&
           ph_address_equal(&a->remote, &b->remote);
}

/* Whether this is a transaction of ours that went along this path. */
static bool is_answer(const PhPunch *punch, const PhPath *path, const PhPunchPacket *packet)
{
    uint8_t bound[PH_PUNCH_BOUND_BYTES];

    ph_punch_bind(punch->secret, path, bound);
    return memcmp(packet->transaction, bound, PH_PUNCH_BOUND_BYTES) == 0 &&
           ph_get32(packet->transaction + PH_PUNCH_BOUND_BYTES) < punch->number;
}

/* The first time that this probe of the peer's is heard of. */
static bool is_news(PhPunch *punch, const PhPunchPacket *packet)
{
    uint32_t number = ph_get32(packet->transaction + PH_PUNCH_BOUND_BYTES);
    uint8_t bit = (uint8_t)(1U << number % 8);

    if (number >= HEARD_MAX || punch->heard[number / 8] & bit)
        return false;
    punch->heard[number / 8] |= bit;
    return true;
}

/* ---- packets ---- */

/* `transaction` is that of the probe that is answered; NULL for a probe of ours. */
static void enqueue(PhPunch *punch, const PhPath *path, PhPunchKind kind, uint8_t ttl,
                    const uint8_t *transaction)
{
    Outgoing *outgoing;

    if (punch->queue_n == QUEUE_MAX)
        return; /* who sends so much does not need all of it answered */
    outgoing = &punch->queue[(punch->queue_first + punch->queue_n++) % QUEUE_MAX];
    *outgoing = (Outgoing){.path = *path, .kind = (uint8_t)kind, .ttl = ttl};
    if (transaction)
        memcpy(outgoing->transaction, transaction, sizeof(outgoing->transaction));
}

bool ph_punch_poll_transmit(PhPunch *punch, PhTransmit *ret_transmit)
{
    PhPunchPacket packet = {.attempt = (uint8_t)punch->config.attempt,
                            .side = punch->config.lower ? 0 : 1};
    Outgoing outgoing;

    do {
        if (punch->queue_n == 0 || punch->counters.sent == PH_PUNCH_HARD_MAX)
            return false;
        outgoing = punch->queue[punch->queue_first];
        punch->queue_first = (punch->queue_first + 1) % QUEUE_MAX;
        punch->queue_n--;
        /* A socket may be closed by now. */
    } while (!is_ours(punch, &outgoing.path));
    packet.kind = outgoing.kind;
    memcpy(packet.transaction, outgoing.transaction, sizeof(packet.transaction));
    if (outgoing.kind == PH_PUNCH_PROBE) {
        ph_punch_bind(punch->secret, &outgoing.path, packet.transaction);
        ph_put32(packet.transaction + PH_PUNCH_BOUND_BYTES, punch->number++);
        punch->counters.probes++;
    }
    punch->counters.sent++;
    ph_punch_packet_write(&packet, punch->config.token, punch->packet);
    *ret_transmit = (PhTransmit){
        .path = outgoing.path,
        .bytes = punch->packet,
        .length = sizeof(punch->packet),
        .ttl = outgoing.ttl,
    };
    return true;
}

static Seen *find_seen(PhPunch *punch, const PhPath *path)
{
    for (unsigned i = 0; i < punch->n_seen; i++)
        if (path_equal(&punch->seen[i].path, path))
            return &punch->seen[i];
    return NULL;
}

static void try_seen(PhPunch *punch, Seen *seen, uint64_t now)
{
    uint64_t end = now + 2 * punch->config.rtt_ns + SEEN_GAP_NS;

    if (punch->extra == EXTRA_MAX) {
        seen->tries = SEEN_TRIES;
        return;
    }
    punch->extra++;
    enqueue(punch, &seen->path, PH_PUNCH_PROBE, 0, NULL);
    seen->next_ns =
        now + (SEEN_GAP_NS << (seen->tries < SEEN_DOUBLES ? seen->tries : SEEN_DOUBLES));
    seen->tries++;
    if (punch->end_ns < end)
        punch->end_ns = end; /* its answer is waited for */
}

static void become_open(PhPunch *punch, const PhPath *path, uint64_t now)
{
    punch->state = PH_PUNCH_OPEN;
    punch->open = *path;
    punch->more = MORE_PACKETS;
    punch->more_ns = now;
}

/* By IPv4, when the other is by IPv6 somewhere, too. */
static bool may_do_better(const PhPunch *punch, const PhPath *path)
{
    if (!punch->plan.prefers_ipv6 || path->remote.family != PH_FAMILY_IPV4)
        return false;
    for (unsigned i = 0; i < punch->plan.n_local; i++)
        if (ph_address_equal(&punch->plan.targets[i], &path->remote))
            return false;
    return true;
}

/* It could be open. */
static void decide(PhPunch *punch, const PhPath *path, uint64_t now)
{
    if (!may_do_better(punch, path)) {
        become_open(punch, path, now);
    } else if (punch->held.remote.family == PH_FAMILY_NONE) {
        punch->held = *path;
        punch->held_ns = now + HELD_NS;
    }
}

/* It works both ways, if it is one of ours that was answered. */
static void handle_answer(PhPunch *punch, const PhPath *path, const PhPunchPacket *packet,
                          uint64_t now)
{
    bool chosen = packet->kind == PH_PUNCH_CHOSEN;

    if (!is_ours(punch, path) || !is_answer(punch, path, packet))
        return;
    if (punch->state == PH_PUNCH_RUNNING && chosen)
        become_open(punch, path, now);
    else if (punch->state == PH_PUNCH_RUNNING && punch->decides)
        decide(punch, path, now);
    /* The other is open, too; but it may not know yet that we are. */
    if (punch->state == PH_PUNCH_OPEN && chosen && punch->more > MORE_QUICKLY)
        punch->more = MORE_QUICKLY;
}

static void handle_probe(PhPunch *punch, const PhPath *path, const PhPunchPacket *packet,
                         uint64_t now)
{
    bool chosen = punch->state == PH_PUNCH_OPEN && path_equal(path, &punch->open);
    Seen *seen;

    if (punch->state == PH_PUNCH_FAILED || !is_ours(punch, path) || !is_news(punch, packet))
        return;
    punch->counters.answered++;
    enqueue(punch, path, chosen ? PH_PUNCH_CHOSEN : PH_PUNCH_ANSWER, 0, packet->transaction);
    seen = find_seen(punch, path);
    if (!seen && punch->state == PH_PUNCH_RUNNING && punch->n_seen < SEEN_MAX) {
        seen = &punch->seen[punch->n_seen++];
        seen->path = *path;
    }
    if (!seen)
        return;
    memcpy(seen->transaction, packet->transaction, sizeof(seen->transaction));
    if (punch->state == PH_PUNCH_RUNNING && seen->tries < SEEN_TRIES)
        try_seen(punch, seen, now); /* as often as the peer's get through, ours may */
}

bool ph_punch_handle_datagram(PhPunch *punch, const PhPath *path, const uint8_t *bytes,
                              size_t length, uint64_t now)
{
    PhPunchPacket packet;

    if (!ph_punch_packet_read(bytes, length, &packet) || packet.attempt != punch->config.attempt ||
        packet.side != (punch->config.lower ? 1 : 0))
        return false;
    if (!ph_punch_packet_is_right(bytes, punch->config.token)) {
        punch->counters.foreign++;
        return false;
    }
    punch->counters.received++;
    if (packet.kind == PH_PUNCH_PROBE)
        handle_probe(punch, path, &packet, now);
    else if (packet.kind == PH_PUNCH_ANSWER || packet.kind == PH_PUNCH_CHOSEN)
        handle_answer(punch, path, &packet, now);
    return true;
}

/* ---- time ---- */

static uint64_t due(const PhPunch *punch)
{
    return punch->config.start_ns + ph_punch_plan_step(&punch->plan, punch->next).after_ns;
}

static void send_planned(PhPunch *punch, uint64_t now)
{
    while (punch->next < punch->plan.n && punch->queue_n < QUEUE_MAX && now >= due(punch)) {
        PhPunchStep step = ph_punch_plan_step(&punch->plan, punch->next++);
        PhPath path = {PH_TRANSPORT_UDP, punch->config.socket, step.remote};

        if (step.remote.family != (uint8_t)punch->config.family)
            path.socket = punch->config.other_socket;
        else if (step.fresh)
            path.socket = punch->config.first_socket + step.socket;
        if (is_ours(punch, &path))
            enqueue(punch, &path, PH_PUNCH_PROBE, step.ttl, NULL);
    }
}

static void say_more(PhPunch *punch, uint64_t now)
{
    const Seen *seen = find_seen(punch, &punch->open);

    punch->more--;
    punch->more_ns = now + (punch->more > MORE_PACKETS - MORE_QUICKLY ? MORE_GAP_NS : MORE_LATE_NS);
    if (seen)
        enqueue(punch, &punch->open, PH_PUNCH_CHOSEN, 0, seen->transaction);
    else
        enqueue(punch, &punch->open, PH_PUNCH_PROBE, 0, NULL); /* asks for one */
}

void ph_punch_handle_timeout(PhPunch *punch, uint64_t now)
{
    if (punch->state == PH_PUNCH_OPEN && punch->more > 0 && now >= punch->more_ns)
        say_more(punch, now);
    if (punch->state != PH_PUNCH_RUNNING)
        return;
    send_planned(punch, now);
    for (unsigned i = 0; i < punch->n_seen; i++)
        if (punch->seen[i].tries < SEEN_TRIES && now >= punch->seen[i].next_ns)
            try_seen(punch, &punch->seen[i], now);
    if (punch->held.remote.family != PH_FAMILY_NONE &&
        (now >= punch->held_ns || now >= punch->end_ns))
        become_open(punch, &punch->held, now);
    else if (now >= punch->end_ns)
        punch->state = PH_PUNCH_FAILED;
}

uint64_t ph_punch_next_timeout(const PhPunch *punch)
{
    uint64_t next = punch->end_ns;

    if (punch->state == PH_PUNCH_OPEN)
        return punch->more > 0 ? punch->more_ns : UINT64_MAX;
    if (punch->state == PH_PUNCH_FAILED)
        return UINT64_MAX;
    if (punch->held.remote.family != PH_FAMILY_NONE && punch->held_ns < next)
        next = punch->held_ns;
    if (punch->next < punch->plan.n && due(punch) < next)
        next = due(punch);
    for (unsigned i = 0; i < punch->n_seen; i++)
        if (punch->seen[i].tries < SEEN_TRIES && punch->seen[i].next_ns < next)
            next = punch->seen[i].next_ns;
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
