/* SPDX-License-Identifier: MIT */
/*
 * What two nodes do to reach each other, from what each says of its NAT. With "hard" a NAT whose
 * mapping depends on the destination, with "open" a place that lets everybody in:
 *
 *     we \\ they       open    filters by address  filters by port    sequential  block     random
 *     open             dial    wait                wait               wait        wait      wait
 *     by address       dial    punch               punch              punch       punch     punch
 *     by port          dial    punch               punch              predict     scatter   scatter
 *     sequential       dial    punch               punch              predict     relay     relay
 *     block, random    dial    punch               spread             relay       relay     relay
 *
 * Where it says relay, two that are behind one NAT try each other's local addresses (punch).
 */
#include "punch.h"

typedef enum {
    PLACE_OPEN,       /* direct, full-cone */
    PLACE_BY_ADDRESS, /* restricted */
    PLACE_BY_PORT,    /* port-restricted, firewall, and who does not know */
    PLACE_SEQUENTIAL,
    PLACE_HARD, /* symmetric, with ports in a block or anywhere */
    PLACE_NONE, /* no UDP at all */
    PLACE_N,
} Place;

static Place place_of(const PhNodeRecord *record)
{
    switch ((PhClass)record->nat_class) {
    case PH_CLASS_DIRECT:
    case PH_CLASS_FULL_CONE:
        return PLACE_OPEN;
    case PH_CLASS_RESTRICTED:
        return PLACE_BY_ADDRESS;
    case PH_CLASS_SYMMETRIC:
        return record->port_allocation == PH_PORT_ALLOCATION_SEQUENTIAL && record->step != 0
                   ? PLACE_SEQUENTIAL
                   : PLACE_HARD;
    case PH_CLASS_UDP_BLOCKED:
        return PLACE_NONE;
    case PH_CLASS_FIREWALL:
    case PH_CLASS_PORT_RESTRICTED:
    case PH_CLASS_UNKNOWN:
    case PH_CLASS_N:
        break;
    }
    return PLACE_BY_PORT;
}

static const PhStrategy table[PLACE_N][PLACE_N] = {
    [PLACE_OPEN] = {PH_STRATEGY_DIAL, PH_STRATEGY_WAIT, PH_STRATEGY_WAIT, PH_STRATEGY_WAIT,
                    PH_STRATEGY_WAIT, PH_STRATEGY_RELAY},
    [PLACE_BY_ADDRESS] = {PH_STRATEGY_DIAL, PH_STRATEGY_PUNCH, PH_STRATEGY_PUNCH, PH_STRATEGY_PUNCH,
                          PH_STRATEGY_PUNCH, PH_STRATEGY_RELAY},
    [PLACE_BY_PORT] = {PH_STRATEGY_DIAL, PH_STRATEGY_PUNCH, PH_STRATEGY_PUNCH, PH_STRATEGY_PREDICT,
                       PH_STRATEGY_SCATTER, PH_STRATEGY_RELAY},
    [PLACE_SEQUENTIAL] = {PH_STRATEGY_DIAL, PH_STRATEGY_PUNCH, PH_STRATEGY_PUNCH,
                          PH_STRATEGY_PREDICT, PH_STRATEGY_RELAY, PH_STRATEGY_RELAY},
    [PLACE_HARD] = {PH_STRATEGY_DIAL, PH_STRATEGY_PUNCH, PH_STRATEGY_SPREAD, PH_STRATEGY_RELAY,
                    PH_STRATEGY_RELAY, PH_STRATEGY_RELAY},
    [PLACE_NONE] = {PH_STRATEGY_RELAY, PH_STRATEGY_RELAY, PH_STRATEGY_RELAY, PH_STRATEGY_RELAY,
                    PH_STRATEGY_RELAY, PH_STRATEGY_RELAY},
};

/* Seen from outside they have one and the same host, and local addresses are known. */
bool ph_strategy_together(const PhNodeRecord *own, const PhNodeRecord *other)
{
    bool same = false, local = false;

    for (unsigned i = 0; i < other->n_candidates && i < PH_CANDIDATES_MAX; i++) {
        const PhCandidate *candidate = &other->candidates[i];

        local = local || candidate->kind == PH_CANDIDATE_LOCAL;
        for (unsigned k = 0; k < own->n_candidates && k < PH_CANDIDATES_MAX; k++)
            same =
                same || (candidate->kind == PH_CANDIDATE_REFLEXIVE &&
                         own->candidates[k].kind == PH_CANDIDATE_REFLEXIVE &&
                         ph_address_equal_host(&candidate->address, &own->candidates[k].address));
    }
    return same && local;
}

PhStrategy ph_strategy(const PhNodeRecord *own, const PhNodeRecord *other, bool hard)
{
    Place here = place_of(own), there = place_of(other);
    PhStrategy strategy = table[here][there];

    if (own->hidden || other->hidden)
        return PH_STRATEGY_RELAY;
    if (strategy == PH_STRATEGY_RELAY && here != PLACE_NONE && there != PLACE_NONE &&
        ph_strategy_together(own, other))
        return PH_STRATEGY_PUNCH;
    if (!hard && (strategy == PH_STRATEGY_SPREAD || strategy == PH_STRATEGY_SCATTER))
        return PH_STRATEGY_RELAY;
    return strategy;
}

const char *ph_strategy_name(PhStrategy strategy)
{
    static const char *const names[] = {
        [PH_STRATEGY_RELAY] = "relay",     [PH_STRATEGY_DIAL] = "dial",
        [PH_STRATEGY_WAIT] = "wait",       [PH_STRATEGY_PUNCH] = "punch",
        [PH_STRATEGY_PREDICT] = "predict", [PH_STRATEGY_SPREAD] = "spread",
        [PH_STRATEGY_SCATTER] = "scatter",
    };

    return names[strategy];
}
