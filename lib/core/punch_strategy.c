/* SPDX-License-Identifier: MIT */
/*
 * What two nodes do to reach each other, from the axes that each says its NATs have. "Open" is who
 * lets everybody in: also where its mapping depends on the destination, since whoever is let in by
 * the one that the hub sees is answered by it (RFC 4787 REQ-6, and what conntrack does). Of the
 * others "by address" and "by port" have a mapping that is the same for all, and "pooled" have one
 * at another host each time:
 *
 *     we \ they       open    by address  by port    sequential  block, random  pooled
 *     open             dial    wait        wait       wait        wait           wait
 *     by address       dial    punch       punch      punch       punch          relay
 *     by port          dial    punch       punch      predict     scatter        relay
 *     sequential       dial    punch       punch      predict     relay          relay
 *     block, random    dial    punch       spread     relay       relay          relay
 *     pooled           dial    relay       relay      relay       relay          relay
 *
 * Where it says relay, two that are behind one NAT try each other's local addresses (punch).
 */
#include "punch.h"

typedef enum {
    PLACE_OPEN,
    PLACE_BY_ADDRESS,
    PLACE_BY_PORT, /* also who does not know */
    PLACE_SEQUENTIAL,
    PLACE_HARD,   /* ports in a block or anywhere */
    PLACE_POOLED, /* and at any of several hosts: no filter lets that in */
    PLACE_NONE,   /* no UDP at all */
    PLACE_N,
} Place;

static bool is_dependent(const PhNodeRecord *record)
{
    return record->mapping > PH_MAPPING_ENDPOINT_INDEPENDENT ||
           (record->mapping == PH_MAPPING_UNKNOWN && record->nat_class == PH_CLASS_SYMMETRIC);
}

bool ph_strategy_is_sequential(const PhNodeRecord *record)
{
    return is_dependent(record) && record->port_allocation == PH_PORT_ALLOCATION_SEQUENTIAL &&
           record->step != 0;
}

static Place place_of(const PhNodeRecord *record)
{
    if (record->nat_class == PH_CLASS_UDP_BLOCKED)
        return PLACE_NONE;
    if (record->filtering == PH_FILTERING_ENDPOINT_INDEPENDENT)
        return PLACE_OPEN;
    if (!is_dependent(record))
        return record->filtering == PH_FILTERING_ADDRESS_DEPENDENT ? PLACE_BY_ADDRESS
                                                                   : PLACE_BY_PORT;
    if (record->pooling == PH_POOLING_ARBITRARY)
        return PLACE_POOLED;
    return ph_strategy_is_sequential(record) ? PLACE_SEQUENTIAL : PLACE_HARD;
}

/* Relay is zero: PLACE_POOLED and PLACE_NONE have little else. */
static const PhStrategy table[PLACE_N][PLACE_N] = {
    [PLACE_OPEN] = {PH_STRATEGY_DIAL, PH_STRATEGY_WAIT, PH_STRATEGY_WAIT, PH_STRATEGY_WAIT,
                    PH_STRATEGY_WAIT, PH_STRATEGY_WAIT},
    [PLACE_BY_ADDRESS] = {PH_STRATEGY_DIAL, PH_STRATEGY_PUNCH, PH_STRATEGY_PUNCH, PH_STRATEGY_PUNCH,
                          PH_STRATEGY_PUNCH},
    [PLACE_BY_PORT] = {PH_STRATEGY_DIAL, PH_STRATEGY_PUNCH, PH_STRATEGY_PUNCH, PH_STRATEGY_PREDICT,
                       PH_STRATEGY_SCATTER},
    [PLACE_SEQUENTIAL] = {PH_STRATEGY_DIAL, PH_STRATEGY_PUNCH, PH_STRATEGY_PUNCH,
                          PH_STRATEGY_PREDICT},
    [PLACE_HARD] = {PH_STRATEGY_DIAL, PH_STRATEGY_PUNCH, PH_STRATEGY_SPREAD},
    [PLACE_POOLED] = {PH_STRATEGY_DIAL},
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
