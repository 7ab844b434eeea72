/* SPDX-License-Identifier: MIT */
/*
 * The lifetime of an unused mapping. Each duration has a slot:
 *
 *     OPENING --> MAKING --(answered)--> RESTING --(its time)--> PROBING --> ALIVE | GONE | UNSURE
 *
 * All rest at once, so that the whole takes as long as the longest of them. PROBING asks from the
 * helper's socket for a packet to the slot's mapping, and, as the control, for one to itself: in
 * rounds, until the packet comes, or did not in several whose controls did.
 */
#include <pinhole/lifetime.h>

#include <stdlib.h>

#include "exchange.h"

#define HELPER PH_LIFETIME_STEPS

static const uint64_t step_s[PH_LIFETIME_STEPS] = {5, 10, 20, 30, 45, 60, 90, 120, 180, 240, 300};

#define STEP_NS(i) (step_s[i] * 1000 * PH_MS)
_Static_assert(PH_LIFETIME_LEAST_NS == 5000 * PH_MS, "the first step");

/* 0, 100, 300 and 700 ms, then every 400; given up at 3.1 s. */
static const PhSchedule contact_schedule = {
    .copies = 8, .first_ns = 100 * PH_MS, .most_ns = 400 * PH_MS, .last_ns = 800 * PH_MS};

/* A round: 0, 100, 300 and 700 ms, given up at 1.5 s; a mapping that is gone within the rounds is
 * gone. Where every fifth packet is lost each way, one mapping in 200,000 is silent by chance. */
static const PhSchedule schedule = {.copies = 4, .first_ns = 100 * PH_MS, .last_ns = 800 * PH_MS};
#define ROUNDS 3

typedef enum {
    SLOT_UNUSED, /* not to be tried */
    SLOT_WANTED,
    SLOT_OPENING,
    SLOT_MAKING,
    SLOT_RESTING,
    SLOT_PROBING,
    SLOT_ALIVE,
    SLOT_GONE,
    SLOT_UNSURE, /* nothing can be said */
} SlotState;

typedef struct Slot {
    SlotState state;
    bool open; /* its socket */
    PhExchange contact, probe, control;
    uint64_t due_ns;
    unsigned silent, uncontrolled; /* rounds; whose control was answered, and was not */
} Slot;

struct PhLifetime {
    PhLifetimeConfig config;
    PhRandom random;
    Slot slots[PH_LIFETIME_STEPS + 1]; /* the last one is the helper, which only makes contact */
    bool done, polled;
    const char *why;
    PhLifetimeResult result;
    uint8_t buffer[PH_EXCHANGE_BYTES];
};

PhLifetime *ph_lifetime_new(const PhLifetimeConfig *config, uint64_t now)
{
    PhLifetime *lifetime;

    (void)now; /* nothing begins before there are sockets */
    if (config->server.family == PH_FAMILY_NONE || config->server.port == 0 ||
        (config->most_ns != 0 && config->most_ns < PH_LIFETIME_LEAST_NS))
        return NULL;
    lifetime = calloc(1, sizeof(*lifetime));
    if (!lifetime)
        return NULL;
    lifetime->config = *config;
    ph_random_init(&lifetime->random, config->seed);
    for (unsigned i = 0; i < PH_LIFETIME_STEPS; i++) {
        if (config->most_ns == 0 || STEP_NS(i) <= config->most_ns)
            lifetime->slots[i].state = SLOT_WANTED;
    }
    lifetime->slots[HELPER].state = SLOT_WANTED;
    return lifetime;
}

PhLifetime *ph_lifetime_free(PhLifetime *lifetime)
{
    free(lifetime);
    return NULL;
}

static PhPath path_of(const PhLifetime *lifetime, unsigned slot)
{
    return (PhPath){PH_TRANSPORT_UDP, lifetime->config.first_socket + slot,
                    lifetime->config.server};
}

/* Of several reasons the first one is the cause, mostly of the others too. */
static SlotState give_up(PhLifetime *lifetime, const char *why)
{
    if (!lifetime->why)
        lifetime->why = why;
    return SLOT_UNSURE;
}

static void start_round(PhLifetime *lifetime, unsigned i, uint64_t now)
{
    Slot *slot = &lifetime->slots[i];
    PhPath path = path_of(lifetime, HELPER);

    ph_exchange_start(&slot->probe, &lifetime->random, &path, &schedule, now);
    slot->probe.answer_at = lifetime->config.first_socket + i;
    slot->probe.respond_port = slot->contact.mapped.port;
    ph_exchange_start(&slot->control, &lifetime->random, &path, &schedule, now);
}

static void start_probe(PhLifetime *lifetime, unsigned i, uint64_t now)
{
    Slot *slot = &lifetime->slots[i], *helper = &lifetime->slots[HELPER];

    /* A packet goes to the helper's own address: of no use if the slot's is another. */
    if (!ph_address_equal_host(&helper->contact.mapped, &slot->contact.mapped)) {
        slot->state = give_up(lifetime, "the sockets have different external addresses");
        return;
    }
    start_round(lifetime, i, now);
    slot->state = SLOT_PROBING;
}

/* A round has been silent. */
static SlotState end_round(PhLifetime *lifetime, unsigned i, uint64_t now)
{
    Slot *slot = &lifetime->slots[i];
    const PhExchange *control = &slot->control;

    if (control->state != PH_EXCHANGE_ANSWERED) {
        if (++slot->uncontrolled == ROUNDS)
            return give_up(lifetime, "the reflector does not answer any more");
    } else {
        /* The packet went to where the helper is seen now. */
        if (!ph_address_equal_host(&control->mapped, &slot->contact.mapped))
            return give_up(lifetime, "the external address changed");
        if (++slot->silent == ROUNDS)
            return SLOT_GONE;
    }
    start_round(lifetime, i, now);
    return SLOT_PROBING;
}

static SlotState judge_probe(PhLifetime *lifetime, unsigned i, uint64_t now)
{
    const Slot *slot = &lifetime->slots[i];
    const PhExchange *probe = &slot->probe;

    switch (probe->state) {
    case PH_EXCHANGE_WAITING:
    case PH_EXCHANGE_IDLE:
        return SLOT_PROBING;
    case PH_EXCHANGE_SILENT:
        return slot->control.state == PH_EXCHANGE_WAITING ? SLOT_PROBING
                                                          : end_round(lifetime, i, now);
    case PH_EXCHANGE_ANSWERED:
        if (probe->came_to == lifetime->config.first_socket + i)
            return SLOT_ALIVE;
        break;
    case PH_EXCHANGE_REFUSED:
        if (probe->error >= 500)
            return give_up(lifetime,
                           "the reflector is asked to answer to another port too often just now");
        break;
    case PH_EXCHANGE_NONSENSE:
        break;
    }
    return give_up(lifetime, "the reflector does not answer to another port");
}

static void step_slot(PhLifetime *lifetime, unsigned i, uint64_t now)
{
    Slot *slot = &lifetime->slots[i];

    if (slot->state == SLOT_MAKING && slot->contact.state == PH_EXCHANGE_ANSWERED) {
        slot->state = SLOT_RESTING;
        /* What came in may have refreshed it. */
        slot->due_ns = i == HELPER ? UINT64_MAX : slot->contact.answered_ns + STEP_NS(i);
    } else if (slot->state == SLOT_MAKING && slot->contact.state != PH_EXCHANGE_WAITING) {
        slot->state = give_up(lifetime, "the reflector does not answer");
    }
    if (slot->state == SLOT_RESTING && now >= slot->due_ns)
        start_probe(lifetime, i, now);
    if (slot->state == SLOT_PROBING)
        slot->state = judge_probe(lifetime, i, now);
}

/* What is gone after a while is gone after a longer one: the rest need not be waited for. */
static void abandon_longer(PhLifetime *lifetime, unsigned gone)
{
    for (unsigned i = gone + 1; i < PH_LIFETIME_STEPS; i++) {
        Slot *slot = &lifetime->slots[i];

        if (slot->state < SLOT_MAKING || slot->state > SLOT_PROBING)
            continue;
        slot->contact = slot->probe = slot->control = (PhExchange){0};
        slot->state = SLOT_UNSURE;
    }
}

static void advance(PhLifetime *lifetime, uint64_t now)
{
    bool over = true;

    if (lifetime->done)
        return;
    lifetime->result = (PhLifetimeResult){0};
    step_slot(lifetime, HELPER, now);
    for (unsigned i = 0; i < PH_LIFETIME_STEPS && lifetime->result.gone_ns == 0; i++) {
        step_slot(lifetime, i, now);
        if (lifetime->slots[i].state == SLOT_ALIVE) {
            lifetime->result.alive_ns = STEP_NS(i);
        } else if (lifetime->slots[i].state == SLOT_GONE) {
            lifetime->result.gone_ns = STEP_NS(i);
            abandon_longer(lifetime, i);
        } else if (lifetime->slots[i].state != SLOT_UNUSED &&
                   lifetime->slots[i].state != SLOT_UNSURE) {
            over = false;
        }
    }
    /* Without the helper nothing can be asked. */
    lifetime->done = over || lifetime->slots[HELPER].state == SLOT_UNSURE;
    if (lifetime->done && lifetime->result.alive_ns == 0 && lifetime->result.gone_ns == 0)
        lifetime->result.why = lifetime->why;
}

bool ph_lifetime_poll_socket(PhLifetime *lifetime, PhSocketRequest *ret_request)
{
    for (unsigned i = 0; i <= HELPER; i++) {
        Slot *slot = &lifetime->slots[i];
        bool wanted = slot->state == SLOT_WANTED && !lifetime->done,
             over = lifetime->done || (slot->state >= SLOT_ALIVE && i != HELPER);

        if (!wanted && !(slot->open && over))
            continue;
        *ret_request = (PhSocketRequest){
            .kind = wanted ? PH_SOCKET_OPEN : PH_SOCKET_CLOSE,
            .transport = PH_TRANSPORT_UDP,
            .socket = lifetime->config.first_socket + i,
            .family = (PhFamily)lifetime->config.server.family,
        };
        slot->open = wanted;
        if (wanted)
            slot->state = SLOT_OPENING;
        return true;
    }
    return false;
}

void ph_lifetime_socket_opened(PhLifetime *lifetime, uint32_t socket, uint64_t now)
{
    uint32_t i = socket - lifetime->config.first_socket;
    PhPath path = path_of(lifetime, i);

    if (i > HELPER || lifetime->slots[i].state != SLOT_OPENING)
        return;
    ph_exchange_start(&lifetime->slots[i].contact, &lifetime->random, &path, &contact_schedule,
                      now);
    lifetime->slots[i].state = SLOT_MAKING;
}

void ph_lifetime_socket_failed(PhLifetime *lifetime, uint32_t socket, uint64_t now)
{
    uint32_t i = socket - lifetime->config.first_socket;

    if (i > HELPER || lifetime->slots[i].state != SLOT_OPENING)
        return;
    lifetime->slots[i].open = false;
    lifetime->slots[i].state = give_up(lifetime, "no socket could be opened");
    advance(lifetime, now);
}

static PhExchange *exchange_at(PhLifetime *lifetime, unsigned i)
{
    Slot *slot = &lifetime->slots[i / 3];

    return i % 3 == 0 ? &slot->contact : i % 3 == 1 ? &slot->probe : &slot->control;
}

#define EXCHANGES (3 * (PH_LIFETIME_STEPS + 1))

bool ph_lifetime_poll_transmit(PhLifetime *lifetime, PhTransmit *ret_transmit)
{
    for (unsigned i = 0; i < EXCHANGES && !lifetime->done; i++) {
        PhExchange *exchange = exchange_at(lifetime, i);

        if (!exchange->pending)
            continue;
        *ret_transmit = (PhTransmit){
            .path = exchange->path,
            .bytes = lifetime->buffer,
            .length = ph_exchange_write(exchange, lifetime->buffer),
        };
        return true;
    }
    return false;
}

bool ph_lifetime_poll_event(PhLifetime *lifetime, PhLifetimeResult *ret_result)
{
    if (!lifetime->done || lifetime->polled)
        return false;
    lifetime->polled = true;
    *ret_result = lifetime->result;
    return true;
}

bool ph_lifetime_handle_datagram(PhLifetime *lifetime, const PhPath *path, const uint8_t *bytes,
                                 size_t length, uint64_t now)
{
    PhStunMessage message;

    if (lifetime->done || ph_stun_read(bytes, length, &message) != PH_STUN_OK)
        return false;
    for (unsigned i = 0; i < EXCHANGES; i++) {
        if (ph_exchange_receive(exchange_at(lifetime, i), path, &message, now)) {
            advance(lifetime, now);
            return true;
        }
    }
    return false;
}

void ph_lifetime_handle_timeout(PhLifetime *lifetime, uint64_t now)
{
    for (unsigned i = 0; i < EXCHANGES; i++)
        ph_exchange_handle_timeout(exchange_at(lifetime, i), now);
    advance(lifetime, now);
}

uint64_t ph_lifetime_next_timeout(const PhLifetime *lifetime)
{
    uint64_t next = UINT64_MAX;

    if (lifetime->done)
        return next;
    for (unsigned i = 0; i <= HELPER; i++) {
        const Slot *slot = &lifetime->slots[i];
        uint64_t due[4] = {ph_exchange_next_timeout(&slot->contact),
                           ph_exchange_next_timeout(&slot->probe),
                           ph_exchange_next_timeout(&slot->control),
                           slot->state == SLOT_RESTING ? slot->due_ns : UINT64_MAX};

        for (unsigned j = 0; j < 4; j++)
            next = due[j] < next ? due[j] : next;
    }
    return next;
}
