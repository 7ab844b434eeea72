/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tables of a NAT: mappings, flows and subscribers; see nat_private.h. */
#include "model/nat_private.h"

#include <assert.h>
#include <string.h>
#include <sys/mman.h>

#define ROOM_FIRST 64u
#define HUGE_PAGE  ((gsize)2 << 20)

static uint32_t hash_key(const PlNat *nat, uint8_t protocol, Endpoint a, Endpoint b)
{
    uint64_t x = nat_mix(nat->seed ^ a.host.low ^ (uint64_t)a.port << 48);

    x = nat_mix(x ^ a.host.high ^ b.host.low ^ (uint64_t)b.port << 48);
    return (uint32_t)nat_mix(x ^ b.host.high ^ (uint64_t)protocol << 56);
}

Endpoint pl_nat_external(const PlNat *nat, const Mapping *mapping)
{
    return (Endpoint){nat->translates ? nat->external[mapping->external] : mapping->inside,
                      mapping->external_port};
}

uint32_t pl_nat_find_external(const PlNat *nat, PlHost host)
{
    uint32_t i = (uint32_t)nat_mix(host.low ^ host.high) & nat->external_mask;

    for (; nat->external_slots[i]; i = (i + 1) & nat->external_mask) {
        if (pl_host_equal(nat->external[nat->external_slots[i] - 1], host))
            return nat->external_slots[i] - 1u;
    }
    return NONE;
}

void *pl_nat_grow(void *entries, gsize size, uint32_t *room)
{
    gboolean huge = *room * 2 * size >= HUGE_PAGE;
    void *grown = g_aligned_alloc((gsize)*room * 2, size, huge ? HUGE_PAGE : LINE);

    /* A packet touches one entry here and there: that should not cost a page table's way as well.
       Where it cannot be had it does. */
    if (huge)
        (void)madvise(grown, *room * 2 * size, MADV_HUGEPAGE);
    if (entries)
        memcpy(grown, entries, *room * size);
    g_aligned_free(entries);
    *room *= 2;
    return grown;
}

/* The part of the remote endpoint that a mapping depends on. */
static Endpoint part_of(Endpoint remote, PlMapping dependence)
{
    if (dependence == PL_MAPPING_ENDPOINT_INDEPENDENT)
        return (Endpoint){{0, 0}, 0};
    if (dependence == PL_MAPPING_ADDRESS_DEPENDENT)
        remote.port = 0;
    return remote;
}

/* Whatever is compared first, both will be needed. */
static const Link *first_flow(const PlNat *nat, const Chains *chains, uint32_t hash)
{
    const Link *link = nat_chain_first(chains, hash);

    if (link) {
        __builtin_prefetch(&nat->mappings[link->peer == NONE ? 0 : link->peer], /* write= */ 1);
        __builtin_prefetch(&nat->flows[link->index]);
    }
    return link;
}

uint32_t pl_nat_flow_out(const PlNat *nat, uint8_t protocol, Endpoint inside, Endpoint remote)
{
    uint32_t hash = hash_key(nat, protocol, inside, remote);
    const Link *link = first_flow(nat, &nat->by_out, hash);

    for (; link; link = nat_chain_next(&nat->by_out, link)) {
        const Flow *flow = &nat->flows[link->index];
        const Mapping *mapping = &nat->mappings[link->peer];

        if (link->hash == hash && flow->remote_port == remote.port &&
            pl_host_equal(flow->remote, remote.host) && flow->protocol == protocol &&
            mapping->inside_port == inside.port && pl_host_equal(mapping->inside, inside.host))
            return link->index;
    }
    return NONE;
}

uint32_t pl_nat_flow_in(const PlNat *nat, uint8_t protocol, Endpoint external, Endpoint remote)
{
    uint32_t hash = hash_key(nat, protocol, external, remote);
    const Link *link = first_flow(nat, &nat->by_in, hash);

    for (; link; link = nat_chain_next(&nat->by_in, link)) {
        const Flow *flow = &nat->flows[link->index];

        if (link->hash == hash && flow->remote_port == remote.port &&
            pl_host_equal(flow->remote, remote.host) && flow->external_port == external.port &&
            flow->protocol == protocol &&
            pl_host_equal(nat->translates ? nat->external[flow->external]
                                          : nat->mappings[flow->mapping].inside,
                          external.host))
            return link->index;
    }
    return NONE;
}

uint32_t pl_nat_mapping_out(const PlNat *nat, uint8_t protocol, Endpoint inside, Endpoint remote,
                            PlMapping dependence)
{
    Endpoint part = part_of(remote, dependence);
    uint32_t hash = hash_key(nat, protocol, inside, part);
    const Link *link = nat_chain_first(&nat->by_inside, hash);

    for (; link; link = nat_chain_next(&nat->by_inside, link)) {
        const Mapping *mapping = &nat->mappings[link->index];
        Endpoint has = part_of((Endpoint){mapping->remote, mapping->remote_port}, dependence);

        if (link->hash == hash && mapping->dependence == dependence && !mapping->from_forward &&
            mapping->protocol == protocol && mapping->inside_port == inside.port &&
            pl_host_equal(mapping->inside, inside.host) && has.port == part.port &&
            pl_host_equal(has.host, part.host))
            return link->index;
    }
    return NONE;
}

uint32_t pl_nat_mapping_in(const PlNat *nat, uint8_t protocol, Endpoint external)
{
    uint32_t hash = hash_key(nat, protocol, external, (Endpoint){{0, 0}, 0});
    const Link *link = nat_chain_first(&nat->by_external, hash);

    for (; link; link = nat_chain_next(&nat->by_external, link)) {
        const Mapping *mapping = &nat->mappings[link->index];

        if (link->hash == hash && mapping->external_port == external.port &&
            !mapping->from_forward && mapping->protocol == protocol &&
            pl_host_equal(pl_nat_external(nat, mapping).host, external.host))
            return link->index;
    }
    return NONE;
}

uint32_t pl_nat_mapping_add(PlNat *nat, const Mapping *from)
{
    Endpoint inside = {from->inside, from->inside_port};
    Endpoint remote = {from->remote, from->remote_port};
    uint32_t i = nat->mappings_free;
    Mapping *mapping;

    if (nat->counters.mappings >= nat->mappings_max)
        return NONE;
    if (i == NONE) {
        i = nat->n_mappings++;
        if (i == nat->mappings_room) {
            nat->mappings = pl_nat_grow(nat->mappings, sizeof(Mapping), &nat->mappings_room);
            pl_nat_chains_grow(&nat->by_inside);
            pl_nat_chains_grow(&nat->by_external);
        }
    } else {
        nat->mappings_free = nat->mappings[i].flow;
    }
    mapping = &nat->mappings[i];
    *mapping = *from;
    mapping->live = true;
    mapping->timer = mapping->flow = NONE;
    mapping->sequence = nat->sequence++;
    pl_nat_chains_add(
        &nat->by_inside, i,
        hash_key(nat, mapping->protocol, inside, part_of(remote, mapping->dependence)), 0);
    pl_nat_chains_add(
        &nat->by_external, i,
        hash_key(nat, mapping->protocol, pl_nat_external(nat, mapping), (Endpoint){{0, 0}, 0}), 0);
    pl_nat_port_take(nat, mapping);
    if (mapping->subscriber != NONE)
        pl_nat_subscriber_take(nat, mapping->subscriber);
    nat->counters.mappings++;
    nat->counters.mappings_made++;
    return i;
}

void pl_nat_mapping_remove(PlNat *nat, uint32_t index)
{
    Mapping *mapping = &nat->mappings[index];

    while (mapping->flow != NONE)
        pl_nat_flow_remove(nat, mapping->flow);
    pl_nat_timer_remove(nat, index);
    pl_nat_chains_remove(&nat->by_inside, index);
    pl_nat_chains_remove(&nat->by_external, index);
    pl_nat_port_release(nat, mapping);
    if (mapping->subscriber != NONE)
        pl_nat_subscriber_release(nat, mapping->subscriber);
    mapping->live = false;
    mapping->flow = nat->mappings_free;
    nat->mappings_free = index;
    nat->counters.mappings--;
}

void pl_nat_mapping_front(PlNat *nat, uint32_t index)
{
    uint32_t hash = nat->by_external.links[index].hash;

    if (nat->by_external.heads[hash & nat->by_external.mask].index == index)
        return;
    pl_nat_chains_remove(&nat->by_external, index);
    pl_nat_chains_add(&nat->by_external, index, hash, 0);
}

static uint32_t take_flow(PlNat *nat)
{
    uint32_t i = nat->flows_free;

    if (nat->flows_live >= nat->flows_max)
        return NONE;
    nat->flows_live++;
    if (i != NONE) {
        nat->flows_free = nat->flows[i].older;
        return i;
    }
    i = nat->n_flows++;
    if (i == nat->flows_room) {
        nat->flows = pl_nat_grow(nat->flows, sizeof(Flow), &nat->flows_room);
        pl_nat_chains_grow(&nat->by_out);
        pl_nat_chains_grow(&nat->by_in);
    }
    return i;
}

uint32_t pl_nat_flow_add(PlNat *nat, const Flow *from)
{
    Endpoint remote = {from->remote, from->remote_port}, external;
    uint32_t i = take_flow(nat);
    Flow *flow;

    if (i == NONE)
        return NONE;
    flow = &nat->flows[i];
    *flow = *from;
    flow->timer = flow->newer = flow->older = NONE;
    if (flow->mapping == NONE) {
        external = (Endpoint){nat->external[flow->external], flow->external_port};
    } else {
        Mapping *mapping = &nat->mappings[flow->mapping];
        Endpoint inside = {mapping->inside, mapping->inside_port};

        external = pl_nat_external(nat, mapping);
        flow->external = mapping->external;
        flow->external_port = mapping->external_port;
        flow->older = mapping->flow;
        if (flow->older != NONE)
            nat->flows[flow->older].newer = i;
        mapping->flow = i;
        pl_nat_chains_add(&nat->by_out, i, hash_key(nat, flow->protocol, inside, remote),
                          flow->mapping);
    }
    pl_nat_chains_add(&nat->by_in, i, hash_key(nat, flow->protocol, external, remote),
                      flow->mapping);
    return i;
}

void pl_nat_flow_remove(PlNat *nat, uint32_t index)
{
    Flow *flow = &nat->flows[index];

    pl_nat_timer_remove(nat, index | TIMER_FLOW);
    pl_nat_chains_remove(&nat->by_in, index);
    if (flow->mapping != NONE) {
        pl_nat_chains_remove(&nat->by_out, index);
        if (flow->newer == NONE)
            nat->mappings[flow->mapping].flow = flow->older;
        else
            nat->flows[flow->newer].older = flow->older;
        if (flow->older != NONE)
            nat->flows[flow->older].newer = flow->newer;
    }
    flow->older = nat->flows_free;
    nat->flows_free = index;
    nat->flows_live--;
}

void pl_nat_tables_clear(PlNat *nat)
{
    Chains *const chains[] = {&nat->by_inside, &nat->by_external, &nat->by_out, &nat->by_in,
                              &nat->by_host};

    for (gsize i = 0; i < G_N_ELEMENTS(chains); i++)
        pl_nat_chains_clear(chains[i]);
    g_clear_pointer(&nat->mappings, g_aligned_free);
    g_clear_pointer(&nat->flows, g_aligned_free);
    g_clear_pointer(&nat->subscribers, g_aligned_free);
    g_clear_pointer(&nat->timers, g_free);
    nat->timers_room = 0;
}

static void init_chains(PlNat *nat, uint32_t room)
{
    pl_nat_chains_init(&nat->by_inside, room);
    pl_nat_chains_init(&nat->by_external, room);
    pl_nat_chains_init(&nat->by_out, room);
    pl_nat_chains_init(&nat->by_in, room);
    pl_nat_chains_init(&nat->by_host, room);
}

void pl_nat_tables_init(PlNat *nat)
{
    pl_nat_tables_clear(nat);
    nat->mappings_room = nat->flows_room = nat->subscribers_room = ROOM_FIRST / 2;
    nat->mappings = pl_nat_grow(NULL, sizeof(Mapping), &nat->mappings_room);
    nat->flows = pl_nat_grow(NULL, sizeof(Flow), &nat->flows_room);
    nat->subscribers = pl_nat_grow(NULL, sizeof(Subscriber), &nat->subscribers_room);
    nat->n_mappings = nat->n_flows = nat->n_subscribers = nat->n_timers = nat->flows_live = 0;
    nat->mappings_free = nat->flows_free = nat->subscribers_free = NONE;
    nat->idle_first = nat->idle_last = NONE;
    nat->counters.mappings = 0;
    init_chains(nat, ROOM_FIRST);
}
