/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tables of a NAT: mappings, flows and subscribers; see nat_private.h. */
#include "model/nat_private.h"

#include <assert.h>
#include <string.h>
#include <sys/mman.h>

#define ROOM_FIRST 64u
#define HUGE_PAGE  ((gsize)2 << 20)

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

void *pl_nat_room(gsize room, gsize size)
{
    gboolean huge = room * size >= HUGE_PAGE;
    void *entries = g_aligned_alloc(room, size, huge ? HUGE_PAGE : LINE);

    /* A packet touches one entry here and there: that should not cost a page table's way as well.
       Where it cannot be had it does. */
    if (huge)
        (void)madvise(entries, room * size, MADV_HUGEPAGE);
    return entries;
}

void *pl_nat_grow(void *entries, gsize size, uint32_t *room)
{
    void *grown = pl_nat_room((gsize)*room * 2, size);

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

uint32_t pl_nat_mapping_out(const PlNat *nat, uint8_t protocol, Endpoint inside, Endpoint remote,
                            PlMapping dependence)
{
    Endpoint part = part_of(remote, dependence);
    uint32_t hash = nat_hash(nat, protocol, inside, part);
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
    uint32_t hash = nat_hash(nat, protocol, external, (Endpoint){{0, 0}, 0});
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
        nat_hash(nat, mapping->protocol, inside, part_of(remote, mapping->dependence)));
    pl_nat_chains_add(
        &nat->by_external, i,
        nat_hash(nat, mapping->protocol, pl_nat_external(nat, mapping), (Endpoint){{0, 0}, 0}));
    pl_nat_port_take(nat, mapping);
    if (mapping->subscriber != NONE)
        pl_nat_subscriber_take(nat, mapping->subscriber);
    if (mapping->from_outside)
        nat->mappings_outside++;
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
    if (mapping->from_outside)
        nat->mappings_outside--;
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
    pl_nat_chains_add(&nat->by_external, index, hash);
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
        pl_nat_ways_grow(nat);
    }
    return i;
}

Course pl_nat_course(const PlNat *nat, uint32_t flow, uint32_t mapping)
{
    Way way = {.flow = flow, .own = mapping == NONE};

    if (mapping != NONE) {
        const Mapping *from = &nat->mappings[mapping];

        way.inside = (uint32_t)from->inside.low;
        way.v6 = !pl_host_is_ipv4(from->inside);
        way.inside_port = from->inside_port;
        way.external = from->external;
        way.external_port = from->external_port;
        way.protocol = from->protocol;
        way.from_outside = from->from_outside;
    }
    if (flow != NONE) {
        const Flow *from = &nat->flows[flow];

        way.remote = (uint32_t)from->remote.low;
        way.v6 = way.v6 || !pl_host_is_ipv4(from->remote);
        way.remote_port = from->remote_port;
        way.external = from->external;
        way.external_port = from->external_port;
        way.protocol = from->protocol;
    }
    return (Course){.way = way, .mapping = mapping};
}

Life pl_nat_life(const PlNat *nat, uint32_t index)
{
    const Mapping *mapping = &nat->mappings[index];
    Life life = {mapping->expires_ns, mapping->replied};

    for (uint32_t flow = mapping->flow; flow != NONE; flow = nat->flows[flow].older) {
        life.expires_ns = MAX(life.expires_ns, nat->flows[flow].expires_ns);
        pl_nat_ways_life(nat, flow, &life);
    }
    return life;
}

static void add_ways(PlNat *nat, uint32_t i)
{
    Flow *flow = &nat->flows[i];
    Endpoint external = {nat->external[flow->external], flow->external_port};
    Endpoint remote = {flow->remote, flow->remote_port};
    Way way = pl_nat_course(nat, i, flow->mapping).way;

    if (flow->mapping != NONE) {
        const Mapping *mapping = &nat->mappings[flow->mapping];
        Endpoint inside = {mapping->inside, mapping->inside_port};

        flow->hash_out = nat_hash(nat, flow->protocol, inside, remote);
        external = pl_nat_external(nat, mapping);
    }
    flow->hash_in = nat_hash(nat, flow->protocol, external, remote);
    pl_nat_ways_add(nat, &way);
}

uint32_t pl_nat_flow_add(PlNat *nat, const Flow *from)
{
    uint32_t i = take_flow(nat);
    Flow *flow;

    if (i == NONE)
        return NONE;
    flow = &nat->flows[i];
    *flow = *from;
    flow->timer = flow->newer = flow->older = NONE;
    if (flow->mapping != NONE) {
        Mapping *mapping = &nat->mappings[flow->mapping];

        flow->external = mapping->external;
        flow->external_port = mapping->external_port;
        flow->older = mapping->flow;
        if (flow->older != NONE)
            nat->flows[flow->older].newer = i;
        mapping->flow = i;
    }
    add_ways(nat, i);
    return i;
}

void pl_nat_flow_remove(PlNat *nat, uint32_t index)
{
    Flow *flow = &nat->flows[index];

    pl_nat_timer_remove(nat, index | TIMER_FLOW);
    if (flow->mapping != NONE) {
        Mapping *mapping = &nat->mappings[flow->mapping];
        Life life = {mapping->expires_ns, mapping->replied};

        /* The mapping may outlive it: TCP's does. */
        pl_nat_ways_life(nat, index, &life);
        mapping->expires_ns = life.expires_ns;
        mapping->replied = life.replied;
        if (flow->newer == NONE)
            mapping->flow = flow->older;
        else
            nat->flows[flow->newer].older = flow->older;
        if (flow->older != NONE)
            nat->flows[flow->older].newer = flow->newer;
    }
    pl_nat_ways_remove(nat, index);
    flow->older = nat->flows_free;
    nat->flows_free = index;
    nat->flows_live--;
}

void pl_nat_tables_clear(PlNat *nat)
{
    Chains *const chains[] = {&nat->by_inside, &nat->by_external, &nat->by_host};

    for (gsize i = 0; i < G_N_ELEMENTS(chains); i++)
        pl_nat_chains_clear(chains[i]);
    pl_nat_ways_clear(&nat->ways_out);
    pl_nat_ways_clear(&nat->ways_in);
    g_clear_pointer(&nat->mappings, g_aligned_free);
    g_clear_pointer(&nat->flows, g_aligned_free);
    g_clear_pointer(&nat->subscribers, g_aligned_free);
    g_clear_pointer(&nat->timers, g_free);
    nat->timers_room = 0;
}

static void init_ways(PlNat *nat, uint32_t room)
{
    pl_nat_chains_init(&nat->by_inside, room);
    pl_nat_chains_init(&nat->by_external, room);
    pl_nat_chains_init(&nat->by_host, room);
    pl_nat_ways_init(&nat->ways_out, room);
    pl_nat_ways_init(&nat->ways_in, room);
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
    nat->counters.mappings = nat->mappings_outside = 0;
    init_ways(nat, ROOM_FIRST);
}
