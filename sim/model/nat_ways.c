/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ways of packets through a NAT: two hash tables with linear probing, one for each direction,
 * at most half full. Who comes takes his own place, and all behind move on by one; when somebody
 * goes, they move back. So there are no gaps to be searched through, and the newest is found first.
 */
#include "model/nat_private.h"

#include <assert.h>
#include <string.h>

static void set_room(Ways *ways, uint32_t room)
{
    assert((room & (room - 1)) == 0);
    ways->places = pl_nat_room(room, sizeof(Way));
    memset(ways->places, 0xff, room * sizeof(Way)); /* NONE */
    ways->mask = room - 1;
}

void pl_nat_ways_init(Ways *ways, uint32_t flows)
{
    assert(!ways->places);
    set_room(ways, 2 * flows);
}

void pl_nat_ways_clear(Ways *ways)
{
    g_clear_pointer(&ways->places, g_aligned_free);
}

static uint32_t hash_of(const PlNat *nat, const Ways *ways, uint32_t flow)
{
    return ways == &nat->ways_out ? nat->flows[flow].hash_out : nat->flows[flow].hash_in;
}

static Way *first(const Ways *ways, uint32_t hash)
{
    return &ways->places[hash & ways->mask];
}

static Way *next(const Ways *ways, const Way *way)
{
    return &ways->places[(uint32_t)(way - ways->places + 1) & ways->mask];
}

static void add(const PlNat *nat, const Ways *ways, const Way *way)
{
    Way *at = first(ways, hash_of(nat, ways, way->flow));
    Way comes = *way, was;

    for (; at->flow != NONE; at = next(ways, at)) {
        was = *at;
        *at = comes;
        comes = was;
    }
    *at = comes;
}

void pl_nat_ways_add(PlNat *nat, const Way *way)
{
    if (!way->own)
        add(nat, &nat->ways_out, way);
    add(nat, &nat->ways_in, way);
}

static Way *find(const PlNat *nat, const Ways *ways, uint32_t flow)
{
    Way *way = first(ways, hash_of(nat, ways, flow));

    for (; way->flow != flow; way = next(ways, way))
        assert(way->flow != NONE);
    return way;
}

static void take_out(const PlNat *nat, Ways *ways, uint32_t flow)
{
    uint32_t gap = (uint32_t)(find(nat, ways, flow) - ways->places), at, far;

    for (at = (gap + 1) & ways->mask; ways->places[at].flow != NONE; at = (at + 1) & ways->mask) {
        far =
            (at - hash_of(nat, ways, ways->places[at].flow)) & ways->mask; /* from its own place */
        if (far < ((at - gap) & ways->mask))
            continue;
        ways->places[gap] = ways->places[at];
        gap = at;
    }
    ways->places[gap].flow = NONE;
}

void pl_nat_ways_remove(PlNat *nat, uint32_t flow)
{
    if (nat->flows[flow].mapping != NONE)
        take_out(nat, &nat->ways_out, flow);
    take_out(nat, &nat->ways_in, flow);
}

void pl_nat_ways_life(const PlNat *nat, uint32_t flow, Life *life)
{
    const Way *out = find(nat, &nat->ways_out, flow), *in = find(nat, &nat->ways_in, flow);

    life->expires_ns = MAX(life->expires_ns, MAX(out->expires_ns, in->expires_ns));
    life->replied = life->replied || out->replied || in->replied;
}

/* From the end of a run to its beginning, so that the newest of equals is the newest again. */
static void grow(const PlNat *nat, Ways *ways)
{
    Ways before = *ways;
    uint32_t end = 0;

    set_room(ways, 2 * (before.mask + 1));
    while (before.places[end].flow != NONE)
        end++;
    for (uint32_t i = 1; i <= before.mask; i++) {
        const Way *way = &before.places[(end - i) & before.mask];

        if (way->flow != NONE)
            add(nat, ways, way);
    }
    pl_nat_ways_clear(&before);
}

void pl_nat_ways_grow(PlNat *nat)
{
    grow(nat, &nat->ways_out);
    grow(nat, &nat->ways_in);
}

static bool has_remote(const PlNat *nat, const Way *way, uint8_t protocol, Endpoint remote)
{
    return way->remote == (uint32_t)remote.host.low && way->remote_port == remote.port &&
           way->protocol == protocol && pl_host_equal(nat_way_remote(nat, way), remote.host);
}

static PlHost inside_of(const PlNat *nat, const Way *way)
{
    return way->v6 ? nat->mappings[nat->flows[way->flow].mapping].inside
                   : pl_host_ipv4(way->inside);
}

static PlHost external_of(const PlNat *nat, const Way *way)
{
    return nat->translates ? nat->external[way->external] : inside_of(nat, way);
}

Way *pl_nat_way_out(const PlNat *nat, uint8_t protocol, Endpoint inside, Endpoint remote)
{
    Way *way = first(&nat->ways_out, nat_hash(nat, protocol, inside, remote));

    for (; way->flow != NONE; way = next(&nat->ways_out, way)) {
        if (has_remote(nat, way, protocol, remote) && way->inside_port == inside.port &&
            pl_host_equal(inside_of(nat, way), inside.host))
            return way;
    }
    return NULL;
}

Way *pl_nat_way_in(const PlNat *nat, uint8_t protocol, Endpoint external, Endpoint remote)
{
    Way *way = first(&nat->ways_in, nat_hash(nat, protocol, external, remote));

    for (; way->flow != NONE; way = next(&nat->ways_in, way)) {
        if (has_remote(nat, way, protocol, remote) && way->external_port == external.port &&
            pl_host_equal(external_of(nat, way), external.host))
            return way;
    }
    return NULL;
}
