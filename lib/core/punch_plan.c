/* SPDX-License-Identifier: MIT */
/*
 * Who sends what when. Figures: Ford et al. 2005 (both send at the same time), RFC 8445 §14.2
 * (pacing), and for hard NATs the birthday paradox over 64,511 ports: 256 sockets against 1024
 * ports tried without replacement meet with 98.4 %, 64 against 128 within a block of 2048 with 98.5
 * %.
 */
#include "punch_plan.h"

#include <string.h>

#include "rtt.h"

/* When each round begins. */
static const uint64_t rounds_ms[] = {0, 100, 200, 400, 800, 1600};
#define ROUNDS (sizeof(rounds_ms) / sizeof(*rounds_ms))
/* Between two packets of ours, whoever they are for (RFC 8445 §14.2). */
#define PACE_NS (5 * PH_MS)
/* Predicted ports are worth nothing once others have used them. */
#define PREDICT_PACE_NS (2 * PH_MS)
#define PREDICT_PORTS   50
#define PREDICT_PASSES  2
/* Far enough to leave our own NAT, and not to reach the other one. */
#define OPENER_TTL      5
#define OPENER_LEAD_NS  (100 * PH_MS)
#define SWAPPED_LEAD_NS (100 * PH_MS)

#define PORT_LEAST     1024
#define SPREAD_SOCKETS 256
#define SCATTER_PORTS  1024
#define SPREAD_PASSES  2
/* Within a block that is known. */
#define BLOCK_MOST         4096
#define BLOCK_SPREAD       64
#define BLOCK_SCATTER      128
#define PATIENCE_LEAST_NS  (500 * PH_MS)
#define WAIT_FOR_OTHERS_NS (1600 * PH_MS)

static bool knows_block(const PhNodeRecord *record)
{
    return record->port_allocation == PH_PORT_ALLOCATION_BLOCK &&
           record->block_last > record->block_first &&
           record->block_last - record->block_first < BLOCK_MOST;
}

static void add_target(PhPunchPlan *plan, const PhAddress *address)
{
    for (unsigned i = 0; i < plan->n_targets; i++)
        if (ph_address_equal(&plan->targets[i], address))
            return;
    plan->targets[plan->n_targets++] = *address;
}

/* Of the family that our socket has. `seen` alone: only what somebody saw from outside. */
static void add_targets(PhPunchPlan *plan, const PhPunchConfig *config, bool seen)
{
    for (unsigned i = 0; i < config->other.n_candidates; i++) {
        const PhCandidate *candidate = &config->other.candidates[i];

        if (candidate->address.family != config->family ||
            candidate->kind == PH_CANDIDATE_RELAYED ||
            (seen && candidate->kind == PH_CANDIDATE_LOCAL))
            continue;
        add_target(plan, &candidate->address);
    }
}

static void plan_plain(PhPunchPlan *plan, const PhPunchConfig *config)
{
    add_targets(plan, config, false);
    plan->n = (unsigned)ROUNDS * plan->n_targets;
    if (plan->n > PH_PUNCH_CHECKS_MAX)
        plan->n = PH_PUNCH_CHECKS_MAX;
    if (config->attempt == 2 && config->strategy == PH_STRATEGY_PUNCH) {
        plan->openers = plan->n_targets;
        plan->n += plan->openers;
    }
    if (config->attempt >= 3) {
        plan->n_sockets = 1;
        plan->delay_ns = config->lower ? SWAPPED_LEAD_NS : 0;
    }
}

static void plan_predicted(PhPunchPlan *plan, const PhPunchConfig *config)
{
    add_targets(plan, config, true);
    if (plan->n_targets > 1)
        plan->n_targets = 1;
    plan->step = config->other.step;
    plan->n = plan->n_targets * PREDICT_PORTS * PREDICT_PASSES;
}

/* All our sockets to the one place where the other is. */
static void plan_spread(PhPunchPlan *plan, const PhPunchConfig *config)
{
    unsigned wanted = knows_block(&config->own) ? BLOCK_SPREAD : SPREAD_SOCKETS;

    add_targets(plan, config, true);
    if (plan->n_targets > 1)
        plan->n_targets = 1;
    plan->n_sockets = wanted < config->n_sockets ? wanted : config->n_sockets;
    plan->n = plan->n_targets * plan->n_sockets * SPREAD_PASSES;
}

/* Which ports, in an order that never comes back to one: a step that shares no factor with their
 * number. */
static void plan_ports(PhPunchPlan *plan, uint64_t drawn)
{
    uint32_t a, b;

    plan->offset = (uint32_t)(drawn >> 32) % plan->span;
    plan->multiplier = (uint32_t)drawn % plan->span;
    for (;; plan->multiplier = (plan->multiplier + 1) % plan->span) {
        a = plan->span;
        b = plan->multiplier;
        while (b != 0) {
            uint32_t rest = a % b;

            a = b;
            b = rest;
        }
        if (a == 1)
            return;
    }
}

static void plan_scatter(PhPunchPlan *plan, const PhPunchConfig *config, uint64_t drawn)
{
    bool block = knows_block(&config->other);
    unsigned sockets = block ? BLOCK_SPREAD : SPREAD_SOCKETS;

    add_targets(plan, config, true);
    if (plan->n_targets > 1)
        plan->n_targets = 1;
    plan->port_first = block ? config->other.block_first : PORT_LEAST;
    plan->span = (block ? config->other.block_last : UINT16_MAX) - plan->port_first + 1;
    plan_ports(plan, drawn);
    plan->n = block ? BLOCK_SCATTER : SCATTER_PORTS;
    if (plan->n > plan->span)
        plan->n = plan->span;
    plan->n *= plan->n_targets;
    /* Not before the other's sockets have all sent. */
    plan->delay_ns = sockets * PACE_NS + config->rtt_ns;
}

void ph_punch_plan(PhPunchPlan *ret_plan, const PhPunchConfig *config, uint64_t drawn)
{
    PhPunchPlan *plan = ret_plan;
    uint64_t others = 0;

    memset(plan, 0, sizeof(*plan));
    plan->strategy = config->strategy;
    switch (config->strategy) {
    case PH_STRATEGY_RELAY:
        return;
    case PH_STRATEGY_WAIT:
        others = WAIT_FOR_OTHERS_NS + SWAPPED_LEAD_NS + OPENER_LEAD_NS;
        break;
    case PH_STRATEGY_DIAL:
    case PH_STRATEGY_PUNCH:
        plan_plain(plan, config);
        break;
    case PH_STRATEGY_PREDICT:
        plan_predicted(plan, config);
        break;
    case PH_STRATEGY_SPREAD:
        plan_spread(plan, config);
        /* The other one takes longer than we. */
        others = (SCATTER_PORTS - SPREAD_SOCKETS) * PACE_NS;
        break;
    case PH_STRATEGY_SCATTER:
        plan_scatter(plan, config, drawn);
        break;
    }
    plan->patience_ns =
        others + (2 * config->rtt_ns > PATIENCE_LEAST_NS ? 2 * config->rtt_ns : PATIENCE_LEAST_NS);
}

static PhPunchStep plain_step(const PhPunchPlan *plan, unsigned i)
{
    PhPunchStep step = {.after_ns = plan->delay_ns};
    unsigned target;

    if (i < plan->openers) {
        step.ttl = OPENER_TTL;
        step.after_ns += i * PACE_NS;
        step.remote = plan->targets[i];
        return step;
    }
    i -= plan->openers;
    target = i % plan->n_targets;
    if (plan->openers)
        step.after_ns += OPENER_LEAD_NS;
    step.after_ns += rounds_ms[i / plan->n_targets] * PH_MS + target * PACE_NS;
    step.remote = plan->targets[target];
    return step;
}

PhPunchStep ph_punch_plan_step(const PhPunchPlan *plan, unsigned i)
{
    PhPunchStep step = {.after_ns = plan->delay_ns, .remote = plan->targets[0]};
    unsigned k = i % PREDICT_PORTS + 1;

    switch (plan->strategy) {
    case PH_STRATEGY_PREDICT:
        step.after_ns += i * PREDICT_PACE_NS;
        step.remote.port = (uint16_t)(step.remote.port + (int)k * plan->step);
        if (step.remote.port == 0)
            step.remote.port = PORT_LEAST;
        return step;
    case PH_STRATEGY_SPREAD:
        step.after_ns += i * PACE_NS;
        step.socket = i % plan->n_sockets;
        return step;
    case PH_STRATEGY_SCATTER:
        step.after_ns += i * PACE_NS;
        step.remote.port = (uint16_t)(plan->port_first +
                                      ((uint64_t)plan->multiplier * i + plan->offset) % plan->span);
        return step;
    case PH_STRATEGY_RELAY:
    case PH_STRATEGY_WAIT:
    case PH_STRATEGY_DIAL:
    case PH_STRATEGY_PUNCH:
        break;
    }
    return plain_step(plan, i);
}
