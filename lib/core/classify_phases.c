/* SPDX-License-Identifier: MIT */
/*
 * The classifier's phases, in their order.
 *
 *     SOCKET --> FIRST --> MAPPING --> REPEAT --> SAMPLES --> HAIRPIN --> SILENCE --> DONE
 *        |         |          |          ^           ^           |           ^         ^
 *        |         |          |          |           |           |           |         |
 *        |         |          +----------+-----------+-----------+-----------+         |
 *        +---------+--------------------- nothing more to be learnt -------------------+
 *
 *   FIRST     the reflector's first socket: is there UDP at all, and what are its other sockets?
 *   MAPPING   the other sockets, from the data socket
 *   REPEAT    all of them from a fresh one, where equality could be chance
 *   SAMPLES   fresh sockets one after the other; where ports are preserved, all at once
 *   HAIRPIN   a socket to be reached from the data socket; only where something is translated
 *   SILENCE   rounds of tests that may stay silent
 */
#include "classify.h"

/* The first request: at 0, 100, 300 and 700 ms, then every 400; given up at 3 s. Where every fifth
 * packet is lost each way, one in 3000 hosts is taken for one without UDP. */
#define FIRST_RTO_NS  (100 * PH_MS)
#define FIRST_MOST_NS (400 * PH_MS)
#define FIRST_COPIES  8
#define FIRST_END_NS  (700 * PH_MS)

/* The others follow the round trip: copies after 1, 2, 4, 8 and 16 times that, given up after 8
 * times more. With the longest one that is 3 s as well. */
#define RTO_MIN_NS (25 * PH_MS)
#define RTO_MAX_NS (75 * PH_MS)
#define COPIES     6
#define LAST_RTOS  8

/* How long an answer may be in coming, at most. */
#define PATIENCE_MAX_NS (1000 * PH_MS)

static const char why_no_socket[] = "no socket could be opened";
static const char why_late[] = "it took too long";
static const char why_nonsense[] = "the reflector answers nonsense";

uint64_t ph_classify_patience(const PhClassifier *c)
{
    return ph_rtt_timeout(&c->rtt, FIRST_RTO_NS, /* min_ns= */ 0, PATIENCE_MAX_NS);
}

PhSchedule ph_classify_schedule_of(const PhClassifier *c, unsigned copies)
{
    uint64_t rto = ph_rtt_timeout(&c->rtt, FIRST_RTO_NS, RTO_MIN_NS, RTO_MAX_NS);

    return (PhSchedule){.copies = copies, .first_ns = rto, .last_ns = LAST_RTOS * rto};
}

PhSchedule ph_classify_schedule(const PhClassifier *c)
{
    return ph_classify_schedule_of(c, COPIES);
}

/* What no verdict was reached on has a reason. */
static void fill_reasons(PhClassification *result)
{
    PhReasons *why = &result->why;
    const char *reason = why->nat_class ? why->nat_class : "it was not reached";

    if (result->mapping == PH_MAPPING_UNKNOWN && !why->mapping)
        why->mapping = reason;
    if (result->filtering == PH_FILTERING_UNKNOWN && !why->filtering)
        why->filtering = reason;
    if (result->port_allocation == PH_PORT_ALLOCATION_UNKNOWN && !why->port_allocation)
        why->port_allocation = reason;
    if (result->pooling == PH_POOLING_UNKNOWN && !why->pooling)
        why->pooling = reason;
    if (result->hairpin == PH_HAIRPIN_UNKNOWN && !why->hairpin)
        why->hairpin = reason;
    if (result->nat_class == PH_CLASS_UNKNOWN && !why->nat_class)
        why->nat_class = why->mapping ? why->mapping : why->filtering;
}

static PhObstacle obstacle(const PhClassifier *c)
{
    if (c->result.nat_class != PH_CLASS_UNKNOWN)
        return PH_OBSTACLE_NONE;
    if (c->sockets[PH_AT_DATA].state == PH_SOCKET_GONE)
        return PH_OBSTACLE_HOST;
    if (!ph_classify_answered(c, PH_X_MAPPING))
        return PH_OBSTACLE_SERVER;
    return c->one_address && c->result.why.nat_class == c->one_address ? PH_OBSTACLE_ONE_ADDRESS
                                                                       : PH_OBSTACLE_NONE;
}

void ph_classify_finish(PhClassifier *c, PhClass nat_class, const char *why)
{
    c->result.nat_class = nat_class;
    c->result.why.nat_class = why;
    c->result.local = c->sockets[PH_AT_DATA].local;
    c->result.rtt_ns = c->rtt.smooth_ns;
    c->result.took_ns = c->now - c->start_ns;
    fill_reasons(&c->result);
    c->result.obstacle = obstacle(c);
    if (nat_class != PH_CLASS_UNKNOWN && nat_class != PH_CLASS_UDP_BLOCKED)
        c->result.why.nat_class = NULL;
    /* Who never answered has no use for it. */
    c->report = c->config.report && ph_classify_answered(c, PH_X_MAPPING);
    for (unsigned i = 0; i < PH_AT_N; i++) {
        if (i != PH_AT_DATA || !c->report)
            ph_classify_let_go(c, i);
    }
    for (unsigned i = 0; i < PH_X_N; i++) {
        c->exchanges[i].state = PH_EXCHANGE_IDLE;
        c->exchanges[i].pending = false;
    }
    c->phase = PH_PHASE_DONE;
}

/* The NAT was restarted, or has another address: what came before and after does not fit. */
static bool has_changed_meanwhile(const PhClassifier *c)
{
    return ph_classify_answered(c, PH_X_RECHECK) &&
           !ph_address_equal(&c->exchanges[PH_X_RECHECK].mapped,
                             &c->exchanges[PH_X_MAPPING].mapped);
}

/* What was found is a mix of two; where the host is seen now is not. */
static void forget(PhClassifier *c)
{
    const PhExchange *recheck = &c->exchanges[PH_X_RECHECK];

    c->result = (PhClassification){
        .mapped = recheck->mapped,
        .port_preserved = recheck->mapped.port == c->sockets[PH_AT_DATA].local.port,
    };
}

/* `why`: what to say of a class that is unknown; NULL: what its axes say. */
static void judge(PhClassifier *c, const char *why)
{
    PhClassification *result = &c->result;
    PhClass nat_class;

    ph_classify_mapping(c);
    nat_class = result->nat_class;
    ph_classify_filtering(c);
    ph_classify_hairpin(c);
    ph_classify_allocation(c);
    if (nat_class == PH_CLASS_UNKNOWN)
        nat_class = ph_class_of(result->mapping, result->filtering);
    if (has_changed_meanwhile(c)) {
        forget(c);
        ph_classify_finish(c, PH_CLASS_UNKNOWN, "the external address changed during the test");
        return;
    }
    ph_classify_finish(c, nat_class, why);
}

void ph_classify_expire(PhClassifier *c)
{
    c->expired = true;
    if (c->phase > PH_PHASE_FIRST)
        judge(c, why_late);
    else
        ph_classify_finish(c, PH_CLASS_UNKNOWN, why_late);
}

static bool begin_first(PhClassifier *c)
{
    PhSchedule schedule = {
        .copies = FIRST_COPIES,
        .first_ns = FIRST_RTO_NS,
        .most_ns = FIRST_MOST_NS,
        .last_ns = FIRST_END_NS,
    };

    if (ph_classify_is_coming(c, PH_AT_DATA))
        return false;
    if (c->sockets[PH_AT_DATA].state != PH_SOCKET_READY) {
        ph_classify_finish(c, PH_CLASS_UNKNOWN, why_no_socket);
        return true;
    }
    ph_classify_ask(c, PH_X_MAPPING, PH_AT_DATA, &c->config.server, &schedule);
    c->phase = PH_PHASE_FIRST;
    return true;
}

static void ask_all(PhClassifier *c, unsigned first, unsigned from, unsigned socket)
{
    PhSchedule schedule = ph_classify_schedule(c);

    for (unsigned i = from; i < 4; i++) {
        if (c->reflector[i / 2][i % 2].family != PH_FAMILY_NONE)
            ph_classify_ask(c, first + i, socket, &c->reflector[i / 2][i % 2], &schedule);
    }
}

static bool end_first(PhClassifier *c)
{
    const PhExchange *first = &c->exchanges[PH_X_MAPPING];

    switch (first->state) {
    case PH_EXCHANGE_IDLE:
    case PH_EXCHANGE_WAITING:
        return false;
    case PH_EXCHANGE_REFUSED:
        ph_classify_finish(c, PH_CLASS_UNKNOWN, "the reflector refuses to answer");
        return true;
    case PH_EXCHANGE_NONSENSE:
        ph_classify_finish(c, PH_CLASS_UNKNOWN, why_nonsense);
        return true;
    case PH_EXCHANGE_SILENT:
        if (c->babbles)
            ph_classify_finish(c, PH_CLASS_UNKNOWN, why_nonsense);
        else if (c->unreachable)
            ph_classify_finish(
                c, PH_CLASS_UNKNOWN,
                "nobody listens where the reflector should be, or a firewall rejects UDP");
        else if (c->barred)
            ph_classify_finish(c, PH_CLASS_UDP_BLOCKED, "this host's own firewall lets no UDP out");
        else
            ph_classify_finish(c, PH_CLASS_UDP_BLOCKED,
                               "no answer came by UDP: it is blocked, or the reflector is down");
        return true;
    case PH_EXCHANGE_ANSWERED:
        break;
    }
    c->result.mapped = first->mapped;
    c->result.port_preserved = first->mapped.port == c->sockets[PH_AT_DATA].local.port;
    ph_classify_reflector(c);
    ask_all(c, PH_X_MAPPING, 1, PH_AT_DATA);
    ph_classify_want(c, PH_AT_FILTER);
    c->phase = PH_PHASE_MAPPING;
    return true;
}

/* The filter's socket makes its contact meanwhile. */
static void contact_filter(PhClassifier *c)
{
    PhSchedule schedule = ph_classify_schedule(c);

    if (c->sockets[PH_AT_FILTER].state == PH_SOCKET_READY &&
        c->exchanges[PH_X_FILTER].state == PH_EXCHANGE_IDLE)
        ph_classify_ask(c, PH_X_FILTER, PH_AT_FILTER, &c->reflector[0][0], &schedule);
}

static bool is_round_over(const PhClassifier *c, unsigned first)
{
    return ph_classify_is_over(c, first) && ph_classify_is_over(c, first + 1) &&
           ph_classify_is_over(c, first + 2) && ph_classify_is_over(c, first + 3);
}

static bool end_mapping(PhClassifier *c)
{
    if (!is_round_over(c, PH_X_MAPPING) || ph_classify_is_coming(c, PH_AT_FILTER) ||
        !ph_classify_is_over(c, PH_X_FILTER))
        return false;
    ph_classify_mapping(c);
    if (!ph_classify_is_translated(c)) {
        c->phase = PH_PHASE_SILENCE;
    } else if (c->result.mapping == PH_MAPPING_ADDRESS_AND_PORT_DEPENDENT) {
        c->phase = PH_PHASE_SAMPLES;
    } else {
        ph_classify_want(c, PH_AT_REPEAT);
        c->phase = PH_PHASE_REPEAT;
    }
    return true;
}

static bool step_repeat(PhClassifier *c)
{
    if (ph_classify_is_coming(c, PH_AT_REPEAT))
        return false;
    if (c->sockets[PH_AT_REPEAT].state == PH_SOCKET_READY) {
        PhSchedule schedule = ph_classify_schedule(c);

        if (c->exchanges[PH_X_REPEAT].state == PH_EXCHANGE_IDLE) {
            ph_classify_ask(c, PH_X_REPEAT, PH_AT_REPEAT, &c->reflector[0][0], &schedule);
            for (unsigned i = 1; i < 4; i++) {
                if (ph_classify_answered(c, PH_X_MAPPING + i)) /* the others stay silent again */
                    ph_classify_ask(c, PH_X_REPEAT + i, PH_AT_REPEAT, &c->reflector[i / 2][i % 2],
                                    &schedule);
            }
        }
        if (!is_round_over(c, PH_X_REPEAT))
            return false;
        ph_classify_let_go(c, PH_AT_REPEAT);
        /* Nor will others get an answer. */
        if (!ph_classify_answered(c, PH_X_REPEAT)) {
            c->phase = PH_PHASE_SILENCE;
            return true;
        }
    }
    c->phase = PH_PHASE_SAMPLES;
    return true;
}

static bool step_samples(PhClassifier *c)
{
    if (!ph_classify_samples_step(c))
        return false;
    c->phase = PH_PHASE_HAIRPIN;
    return true;
}

static bool step_hairpin(PhClassifier *c)
{
    if (!ph_classify_hairpin_contact(c))
        return false;
    c->phase = PH_PHASE_SILENCE;
    return true;
}

static bool step_silence(PhClassifier *c)
{
    PhSchedule schedule = ph_classify_schedule(c);
    bool rounds_over;

    if (c->exchanges[PH_X_RECHECK].state == PH_EXCHANGE_IDLE) {
        ph_classify_ask(c, PH_X_RECHECK, PH_AT_DATA, &c->reflector[0][0], &schedule);
        if (ph_classify_answered(c, PH_X_FILTER))
            ph_classify_round(c);
    }
    rounds_over = !ph_classify_answered(c, PH_X_FILTER) || ph_classify_silence_step(c);
    if (rounds_over)
        c->wake_ns = UINT64_MAX;
    if (!rounds_over || !ph_classify_is_over(c, PH_X_RECHECK) ||
        !ph_classify_is_over(c, PH_X_ALIVE + PH_TEST_BOTH) ||
        !ph_classify_is_over(c, PH_X_ALIVE + PH_TEST_PORT))
        return false;
    judge(c, NULL);
    return true;
}

void ph_classify_advance(PhClassifier *c)
{
    bool moved = true;

    while (moved) {
        c->wake_ns = UINT64_MAX;
        if (c->phase > PH_PHASE_FIRST)
            contact_filter(c);
        switch (c->phase) {
        case PH_PHASE_SOCKET:
            moved = begin_first(c);
            break;
        case PH_PHASE_FIRST:
            moved = end_first(c);
            break;
        case PH_PHASE_MAPPING:
            moved = end_mapping(c);
            break;
        case PH_PHASE_REPEAT:
            moved = step_repeat(c);
            break;
        case PH_PHASE_SAMPLES:
            moved = step_samples(c);
            break;
        case PH_PHASE_HAIRPIN:
            moved = step_hairpin(c);
            break;
        case PH_PHASE_SILENCE:
            moved = step_silence(c);
            break;
        case PH_PHASE_DONE:
            moved = false;
            break;
        }
    }
}
