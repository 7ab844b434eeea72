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

void pl_nat_ways_add(Ways *ways, const Way *way)
{
    uint32_t at = way->hash & ways->mask;
    Way comes = *way, was;

    for (; ways->places[at].flow != NONE; at = (at + 1) & ways->mask) {
        was = ways->places[at];
        ways->places[at] = comes;
        comes = was;
    }
    ways->places[at] = comes;
}

void pl_nat_ways_remove(Ways *ways, uint32_t hash, uint32_t flow)
{
    uint32_t gap = hash & ways->mask, at, far;

    while (ways->places[gap].flow != flow) {
        assert(ways->places[gap].flow != NONE);
        gap = (gap + 1) & ways->mask;
    }
    for (at = (gap + 1) & ways->mask; ways->places[at].flow != NONE; at = (at + 1) & ways->mask) {
        far = (at - ways->places[at].hash) & ways->mask; /* from its own place */
        if (far < ((at - gap) & ways->mask))
            continue;
        ways->places[gap] = ways->places[at];
        gap = at;
    }
    ways->places[gap].flow = NONE;
}

/* From the end of a run to its beginning, so that the newest of equals is the newest again. */
void pl_nat_ways_grow(Ways *ways)
{
    Ways before = *ways;
    uint32_t end = 0;

    set_room(ways, 2 * (before.mask + 1));
    while (before.places[end].flow != NONE)
        end++;
    for (uint32_t i = 1; i <= before.mask; i++) {
        const Way *way = &before.places[(end - i) & before.mask];

        if (way->flow != NONE)
            pl_nat_ways_add(ways, way);
    }
    pl_nat_ways_clear(&before);
}

static const Way *first(const Ways *ways, uint32_t hash)
{
    return &ways->places[hash & ways->mask];
}

static const Way *next(const Ways *ways, const Way *way)
{
    return &ways->places[(uint32_t)(way - ways->places + 1) & ways->mask];
}

static bool has_remote(const PlNat *nat, const Way *way, uint32_t hash, uint8_t protocol,
                       Endpoint remote)
{
    return way->hash == hash && way->remote_port == remote.port && way->protocol == protocol &&
           pl_host_equal(nat_way_remote(nat, way), remote.host);
}

const Way *pl_nat_way_out(const PlNat *nat, uint8_t protocol, Endpoint inside, Endpoint remote)
{
    uint32_t hash = nat_hash(nat, protocol, inside, remote);
    const Way *way = first(&nat->ways_out, hash);

    for (; way->flow != NONE; way = next(&nat->ways_out, way)) {
        if (has_remote(nat, way, hash, protocol, remote) && way->inside_port == inside.port &&
            pl_host_equal(nat_way_inside(nat, way), inside.host))
            return way;
    }
    return NULL;
}

const Way *pl_nat_way_in(const PlNat *nat, uint8_t protocol, Endpoint external, Endpoint remote)
{
    uint32_t hash = nat_hash(nat, protocol, external, remote);
    const Way *way = first(&nat->ways_in, hash);

    for (; way->flow != NONE; way = next(&nat->ways_in, way)) {
        if (has_remote(nat, way, hash, protocol, remote) && way->external_port == external.port &&
            pl_host_equal(nat_way_external(nat, way).host, external.host))
            return way;
    }
    return NULL;
}
