/* SPDX-License-Identifier: MIT */
/*
 * Who sends what when. Figures: Ford et al. 2005 (both send at the same time), RFC 8445 §14.2
 * (pacing), and for hard NATs the birthday paradox over 64,512 ports: 256 sockets against 1024
 * ports tried without repetition meet with 98.4 %, 64 against a sixteenth of a block with 98.3 %.
 * docs/punching.md says the same for people.
 */
#include "punch_plan.h"

#include <string.h>

#include "rtt.h"

/* When each round begins. */
static const uint64_t rounds_ms[] = {0, 100, 200, 400, 800, 1600};
#define ROUNDS (sizeof(rounds_ms) / sizeof(*rounds_ms))
/* Of PH_PUNCH_CHECKS_MAX: the others are for where the peer turns out to be. */
#define PLAIN_MAX 70
/* Between two packets of ours, whoever they are for (RFC 8445 §14.2). */
#define PACE_NS (5 * PH_MS)
/* Far enough to leave our own NAT, and not to reach the other one. */
#define OPENER_TTL     5
#define OPENER_LEAD_NS (100 * PH_MS)
/* The lower key after the higher, in this attempt. */
#define SWAPPED_ATTEMPT 4
#define SWAPPED_LEAD_NS (100 * PH_MS)

/* Mappings that the other may have made since somebody saw one. */
#define PREDICT_PORTS   50
#define PREDICT_PASSES  4
#define PREDICT_PASS_NS (400 * PH_MS)
/* Both in sequence: each aims so many mappings ahead, from so many sockets. */
#define MEET_AHEAD   48
#define MEET_SOCKETS 64
#define MEET_PASSES  5

#define PORT_LEAST     1024 /* of those that NATs give out */
#define PORTS          (UINT16_MAX - PORT_LEAST + 1)
#define SPREAD_SOCKETS 256
#define SCATTER_PORTS  1024
/* Within a block that is known. */
#define BLOCK_MOST    4096
#define BLOCK_SOCKETS 64
#define BLOCK_SHARE   16 /* of its ports are tried: one in so many */
#define BLOCK_LEAST   128

#define PATIENCE_LEAST_NS (500 * PH_MS)
/* The other one may begin so much later, and takes as long as this at least. */
#define WAIT_FOR_OTHERS_NS (1600 * PH_MS)

static bool is_block(const PhNodeRecord *record)
{
    return record->port_allocation == PH_PORT_ALLOCATION_BLOCK &&
           record->block_last > record->block_first &&
           record->block_last - record->block_first < BLOCK_MOST;
}

static unsigned hard_sockets(const PhNodeRecord *hard)
{
    return is_block(hard) ? BLOCK_SOCKETS : SPREAD_SOCKETS;
}

/* Of a hard NAT: how many are tried where they should be. */
static unsigned hard_ports(const PhNodeRecord *hard)
{
    unsigned span = hard->block_last - hard->block_first + 1U, n = span / BLOCK_SHARE;

    if (!is_block(hard))
        return SCATTER_PORTS;
    n = n < BLOCK_LEAST ? BLOCK_LEAST : n;
    return n < span ? n : span;
}

/* All of them: a block's edges are only likely, so that twice its width is tried as well. */
static unsigned hard_tries(const PhNodeRecord *hard)
{
    return is_block(hard) ? 3 * hard_ports(hard) : hard_ports(hard);
}

/* ---- whom to send to ---- */

static void add_target(PhPunchPlan *plan, const PhAddress *address)
{
    for (unsigned i = 0; i < plan->n_targets; i++)
        if (ph_address_equal(&plan->targets[i], address))
            return;
    plan->targets[plan->n_targets++] = *address;
}

static void add_targets(PhPunchPlan *plan, const PhPunchConfig *config, uint8_t family, bool local)
{
    for (unsigned i = 0; i < config->other.n_candidates && i < PH_CANDIDATES_MAX; i++) {
        const PhCandidate *candidate = &config->other.candidates[i];

        if (candidate->address.family == family && candidate->address.port != 0 &&
            candidate->kind != PH_CANDIDATE_RELAYED &&
            (candidate->kind == PH_CANDIDATE_LOCAL) == local)
            add_target(plan, &candidate->address);
    }
}

/* Of the families that our sockets have, IPv6 first (RFC 8445 §5.1.2.1, RFC 8421 §4): what is near
 * before what is not. */
static void add_all(PhPunchPlan *plan, const PhPunchConfig *config)
{
    static const uint8_t families[] = {PH_FAMILY_IPV6, PH_FAMILY_IPV4};
    unsigned n[2] = {0};

    for (unsigned i = 0; i < 4; i++) {
        unsigned before = plan->n_targets;

        if (families[i % 2] != config->family && config->other_socket == 0)
            continue;
        add_targets(plan, config, families[i % 2], /* local= */ i < 2);
        if (i < 2)
            plan->n_local = plan->n_targets;
        else
            n[i % 2] = plan->n_targets - before;
    }
    plan->prefers_ipv6 = n[0] > 0 && n[1] > 0;
}

/* The one place where somebody saw the other. */
static void add_seen(PhPunchPlan *plan, const PhPunchConfig *config)
{
    add_targets(plan, config, (uint8_t)config->family, /* local= */ false);
    if (plan->n_targets > 1)
        plan->n_targets = 1;
}

/* Where it was seen last: the mediator's own view comes first, and what was asked for this attempt
 * after that. */
static void add_last_seen(PhPunchPlan *plan, const PhPunchConfig *config)
{
    add_seen(plan, config);
    for (unsigned i = 0; i < config->other.n_candidates && i < PH_CANDIDATES_MAX; i++) {
        const PhCandidate *candidate = &config->other.candidates[i];

        if (candidate->kind == PH_CANDIDATE_REFLEXIVE && plan->n_targets == 1 &&
            candidate->address.family == config->family && candidate->address.port != 0)
            plan->targets[0] = candidate->address;
    }
}

/* ---- what for whom ---- */

static void plan_plain(PhPunchPlan *plan, const PhPunchConfig *config)
{
    add_all(plan, config);
    plan->n = (unsigned)ROUNDS * plan->n_targets;
    if (config->attempt > 1 && config->attempt < SWAPPED_ATTEMPT &&
        config->strategy == PH_STRATEGY_PUNCH) {
        plan->openers = plan->n_targets;
        plan->n += plan->openers;
    }
    if (plan->n > PLAIN_MAX)
        plan->n = PLAIN_MAX;
    if (config->attempt < PH_PUNCH_FRESH_ATTEMPT || plan->n == 0)
        return;
    plan->alternates = !config->fresh;
    plan->n_sockets = config->fresh ? 0 : 1;
    if (config->attempt >= SWAPPED_ATTEMPT && config->lower)
        plan->delay_ns = SWAPPED_LEAD_NS;
}

static void plan_predicted(PhPunchPlan *plan, const PhPunchConfig *config)
{
    add_last_seen(plan, config);
    plan->step = config->other.step;
    if (!ph_strategy_is_sequential(&config->own)) {
        plan->n = plan->n_targets * PREDICT_PORTS * PREDICT_PASSES;
        return;
    }
    /*
     * A packet of ours makes a mapping for each place that it is sent to. So all sockets send to
     * one port, which the other's comes to, and the other does the same to us: of its mappings
     * one has the port that we send to, and of ours one has the port that it sends to; these two
     * meet, however many mappings each had made in between (fewer than MEET_AHEAD).
     */
    plan->n_sockets = MEET_SOCKETS;
    plan->n = plan->n_targets * MEET_SOCKETS * MEET_PASSES;
    /* Attempts before this one have used as many. */
    plan->step *= MEET_AHEAD + (config->attempt > 1 ? (int)config->attempt - 1 : 0) * MEET_SOCKETS;
}

/* All our sockets to the one place where the other is; once more when it has tried its ports. */
static void plan_spread(PhPunchPlan *plan, const PhPunchConfig *config)
{
    add_seen(plan, config);
    plan->n_sockets = hard_sockets(&config->own);
    plan->n = plan->n_targets * plan->n_sockets * 2;
    plan->again_ns = (plan->n_sockets + hard_tries(&config->own)) * PACE_NS + config->rtt_ns;
}

/* A step that shares no factor with their number leads to each of them. */
static void draw_ports(PhPunchPorts *ports, uint32_t first, uint32_t last, uint64_t drawn)
{
    ports->first = first;
    ports->span = last - first + 1;
    ports->offset = (uint32_t)(drawn >> 32) % ports->span;
    ports->multiplier = (uint32_t)drawn % ports->span;
    for (;; ports->multiplier = (ports->multiplier + 1) % ports->span) {
        uint32_t a = ports->span, b = ports->multiplier;

        while (b != 0) {
            uint32_t rest = a % b;

            a = b;
            b = rest;
        }
        if (a == 1)
            return;
    }
}

static void plan_scatter(PhPunchPlan *plan, const PhPunchConfig *config,
                         const uint64_t drawn[static 2])
{
    const PhNodeRecord *other = &config->other;
    uint32_t first = PORT_LEAST, last = UINT16_MAX, margin;

    add_seen(plan, config);
    if (is_block(other)) {
        last = other->block_last;
        if (other->block_first > PORT_LEAST || last <= PORT_LEAST)
            first = other->block_first > 0 ? other->block_first : 1;
    }
    draw_ports(&plan->ports, first, last, drawn[0]);
    margin = plan->ports.span / 2;
    first = first > PORT_LEAST + margin ? first - margin : first < PORT_LEAST ? first : PORT_LEAST;
    last = last + margin < UINT16_MAX ? last + margin : UINT16_MAX;
    draw_ports(&plan->around, first, last, drawn[1]);
    plan->n_ports = hard_ports(other);
    plan->n = plan->n_targets * hard_tries(other);
    /* Not before the other's sockets have all sent. */
    plan->delay_ns = hard_sockets(other) * PACE_NS + config->rtt_ns;
}

void ph_punch_plan(PhPunchPlan *ret_plan, const PhPunchConfig *config,
                   const uint64_t drawn[static 2])
{
    PhPunchPlan *plan = ret_plan;
    uint64_t others = WAIT_FOR_OTHERS_NS;

    memset(plan, 0, sizeof(*plan));
    plan->strategy = config->strategy;
    switch (config->strategy) {
    case PH_STRATEGY_RELAY:
        return;
    case PH_STRATEGY_WAIT:
        others += SWAPPED_LEAD_NS + OPENER_LEAD_NS;
        break;
    case PH_STRATEGY_DIAL:
    case PH_STRATEGY_PUNCH:
        plan_plain(plan, config);
        others = 0; /* the last round is as late as that */
        break;
    case PH_STRATEGY_PREDICT:
        plan_predicted(plan, config);
        break;
    case PH_STRATEGY_SPREAD:
        plan_spread(plan, config);
        break;
    case PH_STRATEGY_SCATTER:
        plan_scatter(plan, config, drawn);
        others += hard_sockets(&config->other) * PACE_NS; /* the second pass */
        break;
    }
    if (plan->n_sockets > config->n_sockets) {
        plan->n = 0; /* it would not be what the other one counts on */
        plan->n_sockets = 0;
    }
    plan->patience_ns =
        others + (2 * config->rtt_ns > PATIENCE_LEAST_NS ? 2 * config->rtt_ns : PATIENCE_LEAST_NS);
}

/* ---- one by one ---- */

static PhPunchStep plain_step(const PhPunchPlan *plan, unsigned i)
{
    PhPunchStep step = {.after_ns = plan->delay_ns};
    unsigned round, target;

    if (i < plan->openers) {
        step.ttl = OPENER_TTL;
        step.after_ns += i * PACE_NS;
        step.remote = plan->targets[i];
        return step;
    }
    i -= plan->openers;
    round = i / plan->n_targets;
    target = i % plan->n_targets;
    if (plan->openers)
        step.after_ns += OPENER_LEAD_NS;
    step.after_ns += rounds_ms[round] * PH_MS + target * PACE_NS;
    step.fresh = plan->alternates && round % 2 == 1;
    step.remote = plan->targets[target];
    return step;
}

static uint16_t port_at(const PhPunchPorts *ports, unsigned i)
{
    return (uint16_t)(ports->first +
                      ((uint64_t)ports->multiplier * i + ports->offset) % ports->span);
}

/* After the last port comes the first. */
static uint16_t port_ahead(uint16_t port, long by)
{
    long at = ((long)port - PORT_LEAST + by) % PORTS;

    return (uint16_t)(PORT_LEAST + (at < 0 ? at + PORTS : at));
}

PhPunchStep ph_punch_plan_step(const PhPunchPlan *plan, unsigned i)
{
    PhPunchStep step = {.after_ns = plan->delay_ns + i * PACE_NS, .remote = plan->targets[0]};
    PhAddress *remote = &step.remote;

    switch (plan->strategy) {
    case PH_STRATEGY_PREDICT:
        if (plan->n_sockets == 0) {
            step.after_ns = i / PREDICT_PORTS * PREDICT_PASS_NS + i % PREDICT_PORTS * PACE_NS;
            remote->port = port_ahead(remote->port, (long)(i % PREDICT_PORTS + 1) * plan->step);
            return step;
        }
        step.fresh = true;
        step.socket = i % plan->n_sockets;
        step.after_ns = i / plan->n_sockets * PREDICT_PASS_NS + step.socket * PACE_NS;
        remote->port = port_ahead(remote->port, plan->step);
        return step;
    case PH_STRATEGY_SPREAD:
        step.fresh = true;
        step.socket = i % plan->n_sockets;
        if (i >= plan->n_sockets)
            step.after_ns = plan->again_ns + step.socket * PACE_NS;
        return step;
    case PH_STRATEGY_SCATTER:
        remote->port = i < plan->n_ports ? port_at(&plan->ports, i)
                                         : port_at(&plan->around, i - plan->n_ports);
        return step;
    case PH_STRATEGY_RELAY:
    case PH_STRATEGY_WAIT:
    case PH_STRATEGY_DIAL:
    case PH_STRATEGY_PUNCH:
        break;
    }
    return plain_step(plan, i);
}
