/* SPDX-License-Identifier: MIT */
/*
 * The reflex client: a table of exchanges, each of which ends in one event.
 *
 *     free --ask--> under way --> ended --poll_event--> free
 */
#include <pinhole/reflex.h>

#include <stdlib.h>
#include <string.h>

#include "exchange.h"

/* RFC 8489 §6.2.1: RTO, Rc and Rm. */
#define RTO_NS (500 * PH_MS)
#define RC     7
#define RM     16

/* RFC 8489 §6.2.1 lets a measured round trip take RTO's place, and RFC 6298 bounds it; but a
 * second at least, as §2.4 there has it, is for TCP. */
#define RTO_MIN_NS (50 * PH_MS)
#define RTO_MAX_NS (3000 * PH_MS)

struct PhReflex {
    PhReflexConfig config;
    PhRandom random;
    PhRtt rtt;
    PhExchange exchanges[PH_REFLEX_EXCHANGES];
    PhReflexCounters counters;
    uint8_t buffer[PH_EXCHANGE_BYTES];
};

PhReflex *ph_reflex_new(const PhReflexConfig *config)
{
    PhReflex *reflex = calloc(1, sizeof(*reflex));

    if (!reflex)
        return NULL;
    reflex->config = *config;
    if (reflex->config.first_rto_ns == 0)
        reflex->config.first_rto_ns = RTO_NS;
    ph_random_init(&reflex->random, config->seed);
    return reflex;
}

PhReflex *ph_reflex_free(PhReflex *reflex)
{
    free(reflex);
    return NULL;
}

bool ph_reflex_ask(PhReflex *reflex, const PhPath *path, uint64_t now)
{
    uint64_t rto =
        ph_rtt_timeout(&reflex->rtt, reflex->config.first_rto_ns, RTO_MIN_NS, RTO_MAX_NS);
    PhSchedule schedule = {
        .copies = RC, .first_ns = rto, .last_ns = rto < UINT64_MAX / RM ? RM * rto : UINT64_MAX};

    for (size_t i = 0; i < PH_REFLEX_EXCHANGES; i++) {
        if (reflex->exchanges[i].state != PH_EXCHANGE_IDLE)
            continue;
        ph_exchange_start(&reflex->exchanges[i], &reflex->random, path, &schedule, now);
        reflex->counters.asked++;
        return true;
    }
    return false;
}

bool ph_reflex_handle_datagram(PhReflex *reflex, const PhPath *path, const uint8_t *bytes,
                               size_t length, uint64_t now)
{
    PhStunMessage message;

    if (ph_stun_read(bytes, length, &message) == PH_STUN_OK) {
        for (size_t i = 0; i < PH_REFLEX_EXCHANGES; i++) {
            PhExchange *exchange = &reflex->exchanges[i];

            if (ph_exchange_receive(exchange, path, &message, now)) {
                ph_exchange_measure(exchange, &reflex->rtt);
                return true;
            }
        }
    }
    reflex->counters.foreign++;
    return false;
}

void ph_reflex_handle_timeout(PhReflex *reflex, uint64_t now)
{
    for (size_t i = 0; i < PH_REFLEX_EXCHANGES; i++)
        ph_exchange_handle_timeout(&reflex->exchanges[i], now);
}

uint64_t ph_reflex_next_timeout(const PhReflex *reflex)
{
    uint64_t next = UINT64_MAX;

    for (size_t i = 0; i < PH_REFLEX_EXCHANGES; i++) {
        uint64_t due = ph_exchange_next_timeout(&reflex->exchanges[i]);

        next = due < next ? due : next;
    }
    return next;
}

bool ph_reflex_poll_transmit(PhReflex *reflex, PhTransmit *ret_transmit)
{
    for (size_t i = 0; i < PH_REFLEX_EXCHANGES; i++) {
        PhExchange *exchange = &reflex->exchanges[i];

        if (!exchange->pending)
            continue;
        *ret_transmit = (PhTransmit){
            .path = exchange->path,
            .bytes = reflex->buffer,
            .length = ph_exchange_write(exchange, reflex->buffer),
        };
        reflex->counters.sent++;
        return true;
    }
    return false;
}

/* What an exchange that has ended amounts to; false: it has not. */
static bool conclude(const PhExchange *exchange, PhReflexCounters *counters, PhReflexKind *ret_kind)
{
    switch (exchange->state) {
    case PH_EXCHANGE_IDLE:
    case PH_EXCHANGE_WAITING:
        return false;
    case PH_EXCHANGE_ANSWERED:
        counters->mapped++;
        *ret_kind = PH_REFLEX_MAPPED;
        break;
    case PH_EXCHANGE_REFUSED:
        counters->refused++;
        *ret_kind = PH_REFLEX_REFUSED;
        break;
    case PH_EXCHANGE_NONSENSE:
        counters->nonsense++;
        *ret_kind = PH_REFLEX_NONSENSE;
        break;
    case PH_EXCHANGE_SILENT:
        counters->silent++;
        *ret_kind = PH_REFLEX_SILENT;
        break;
    }
    return true;
}

bool ph_reflex_poll_event(PhReflex *reflex, PhReflexEvent *ret_event)
{
    for (size_t i = 0; i < PH_REFLEX_EXCHANGES; i++) {
        PhExchange *exchange = &reflex->exchanges[i];
        PhReflexEvent event = {.path = exchange->path, .error = exchange->error};

        if (!conclude(exchange, &reflex->counters, &event.kind))
            continue;
        if (event.kind == PH_REFLEX_MAPPED)
            event.mapped = exchange->mapped;
        if (event.kind != PH_REFLEX_SILENT)
            event.rtt_ns = exchange->answered_ns - exchange->sent_ns;
        exchange->state = PH_EXCHANGE_IDLE;
        *ret_event = event;
        return true;
    }
    return false;
}

const PhReflexCounters *ph_reflex_counters(const PhReflex *reflex)
{
    return &reflex->counters;
}
