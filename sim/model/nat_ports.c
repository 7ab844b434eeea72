/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which external endpoint a new mapping gets. Used ports are a bit each, for each protocol on each
 * external address. UDP's ports are chosen as port-allocation says; TCP and ICMP keep theirs where
 * they can, and get any other where not.
 */
#include "model/nat_private.h"

#include <string.h>

#include "topology/random.h"

#define WORDS (PORTS / 64)
/* Draws before the rest of the range is gone through. */
#define DRAWS 8

/* What is looked for. */
typedef struct Wish {
    const Mapping *mapping;
    uint32_t external;
    unsigned first, last; /* ports */
    bool parity;          /* as the inside port's */
} Wish;

static unsigned protocol_index(uint8_t protocol)
{
    return protocol == PL_IP_UDP ? 0 : protocol == PL_IP_TCP ? 1 : 2;
}

static Ports *ports_of(const PlNat *nat, uint8_t protocol, uint32_t external)
{
    return &nat->ports[protocol_index(protocol) * nat->n_external + external];
}

static bool is_used(const Ports *ports, unsigned port)
{
    return ports->used && ports->used[port / 64] >> port % 64 & 1;
}

uint32_t pl_nat_forward(const PlNat *nat, uint8_t protocol, uint16_t port)
{
    for (unsigned i = 0; i < nat->n_forwards; i++) {
        if (nat->forwards[i].outside_port == port && nat->forwards[i].protocol == protocol)
            return i;
    }
    return NONE;
}

/* A static forward keeps its port for its own host. */
static bool is_reserved(const PlNat *nat, const Mapping *mapping, unsigned port)
{
    uint32_t i = pl_nat_forward(nat, mapping->protocol, (uint16_t)port);

    return i != NONE && (!pl_host_equal(nat->forward_hosts[i], mapping->inside) ||
                         nat->forwards[i].inside.port != mapping->inside_port);
}

/* Somebody else has this external endpoint towards the mapping's remote. */
static bool is_taken(const PlNat *nat, const Wish *wish, unsigned port)
{
    const Mapping *mapping = wish->mapping;

    return nat_flow_in(nat, mapping->protocol,
                       (Endpoint){nat->external[wish->external], (uint16_t)port},
                       (Endpoint){mapping->remote, mapping->remote_port}) != NONE;
}

static bool is_good(const PlNat *nat, const Wish *wish, unsigned port)
{
    const Mapping *mapping = wish->mapping;

    return port >= wish->first && port <= wish->last &&
           (!wish->parity || ((port ^ mapping->inside_port) & 1) == 0) &&
           !is_used(ports_of(nat, mapping->protocol, wish->external), port) &&
           !is_reserved(nat, mapping, port) && !is_taken(nat, wish, port);
}

/* The first good port from `start` on, round the range; NONE: there is none. */
static uint32_t scan(const PlNat *nat, const Wish *wish, unsigned start)
{
    const Ports *ports = ports_of(nat, wish->mapping->protocol, wish->external);
    unsigned port = start;

    for (unsigned left = wish->last - wish->first + 1; left > 0;) {
        unsigned step = 1;

        if (ports->used && port % 64 == 0 && ports->used[port / 64] == UINT64_MAX)
            step = MIN(64, MIN(left, wish->last - port + 1));
        else if (is_good(nat, wish, port))
            return port;
        left -= step;
        port = port + step > wish->last ? wish->first : port + step;
    }
    return NONE;
}

static uint32_t find_random(PlNat *nat, const Wish *wish)
{
    unsigned n = wish->last - wish->first + 1, port = wish->first;

    for (int i = 0; i < DRAWS; i++) {
        port = wish->first + (unsigned)(pl_random_next(&nat->random) % n);
        if (is_good(nat, wish, port))
            return port;
    }
    return scan(nat, wish, port);
}

static uint32_t find_next(PlNat *nat, const Wish *wish)
{
    Ports *ports = ports_of(nat, wish->mapping->protocol, wish->external);
    unsigned step = MAX(nat->behaviour.quirks.port_step, 1), n = wish->last - wish->first + 1;

    if (ports->next < wish->first || ports->next > wish->last)
        ports->next = wish->first;
    for (unsigned i = 0; i < MIN(n, PORTS / 64); i++) {
        unsigned port = ports->next;

        ports->next = wish->first + (port - wish->first + step) % n;
        if (is_good(nat, wish, port))
            return port;
    }
    return scan(nat, wish, ports->next);
}

/* The port that got free last, if it will do. */
static uint32_t find_freed(PlNat *nat, const Wish *wish)
{
    for (unsigned i = nat->n_freed; i-- > 0;) {
        const Freed *freed = &nat->freed[i];

        if (freed->protocol == wish->mapping->protocol && freed->external == wish->external &&
            is_good(nat, wish, freed->port))
            return freed->port;
    }
    return NONE;
}

static uint32_t find(PlNat *nat, const Wish *wish)
{
    uint32_t port = nat->behaviour.quirks.early_reuse ? find_freed(nat, wish) : NONE;

    if (port != NONE)
        return port;
    return nat->behaviour.port_allocation == PL_PORT_ALLOCATION_SEQUENTIAL ? find_next(nat, wish)
                                                                           : find_random(nat, wish);
}

/* Whether the mapping keeps its inside port: *ret_only when nothing but its remote is against it.
 */
static bool keeps(const PlNat *nat, const Wish *wish, bool *ret_only)
{
    const Mapping *mapping = wish->mapping;
    unsigned port = mapping->inside_port;
    bool preserve = nat->behaviour.port_allocation == PL_PORT_ALLOCATION_PRESERVE;

    *ret_only = false;
    if (mapping->protocol == PL_IP_UDP && !preserve)
        return false;
    if (preserve && nat->behaviour.quirks.port_overloading)
        return true;
    if ((!preserve && (port < wish->first || port > wish->last)) ||
        is_reserved(nat, mapping, port) ||
        (!nat->shares && is_used(ports_of(nat, mapping->protocol, wish->external), port)))
        return false;
    *ret_only = is_taken(nat, wish, port);
    return !*ret_only;
}

static bool allocate_on(PlNat *nat, Wish *wish, Mapping *mapping, bool kept)
{
    bool only = false;
    uint32_t port;

    if (kept && keeps(nat, wish, &only)) {
        port = mapping->inside_port;
    } else {
        wish->parity = nat->behaviour.quirks.port_parity;
        port = find(nat, wish);
        if (port == NONE && wish->parity) {
            wish->parity = false; /* RFC 4787 REQ-4 is no reason to refuse one */
            port = find(nat, wish);
        }
    }
    if (port == NONE)
        return false;
    if (only)
        mapping->dependence = PL_MAPPING_ADDRESS_AND_PORT_DEPENDENT;
    mapping->external = (uint16_t)wish->external;
    mapping->external_port = (uint16_t)port;
    return true;
}

/* The addresses to try: *ret_n of them, from the one that is returned on. */
static unsigned first_address(PlNat *nat, const Mapping *mapping, unsigned *ret_n)
{
    *ret_n = 1;
    if (nat->n_external == 1)
        return 0;
    if (nat->behaviour.pooling == PL_POOLING_PAIRED)
        return (unsigned)(nat_mix(nat_mix(nat->seed ^ mapping->inside.low)) % nat->n_external);
    *ret_n = nat->n_external;
    return (unsigned)(pl_random_next(&nat->random) % nat->n_external);
}

bool pl_nat_allocate(PlNat *nat, Mapping *mapping, bool kept)
{
    const PlBehaviour *behaviour = &nat->behaviour;
    Wish wish = {mapping, 0, behaviour->port_first, behaviour->port_last, false};
    unsigned n, start;

    if (!nat->translates) {
        mapping->external_port = mapping->inside_port;
        return true;
    }
    if (behaviour->port_allocation == PL_PORT_ALLOCATION_BLOCK) {
        uint32_t block = nat->subscribers[mapping->subscriber].block;

        wish.first += block / nat->n_external * behaviour->block_size;
        wish.last = wish.first + behaviour->block_size - 1;
        start = block % nat->n_external;
        n = 1;
    } else {
        start = first_address(nat, mapping, &n);
    }
    if (nat_is_icmp(mapping->protocol)) {
        wish.first = 0;
        wish.last = PORTS - 1;
    }
    for (unsigned i = 0; i < n; i++) {
        wish.external = (start + i) % nat->n_external;
        if (allocate_on(nat, &wish, mapping, kept))
            return true;
    }
    return false;
}

/* A static forward's port is its host's own, however many come by it. */
static bool occupies(const PlNat *nat, const Mapping *mapping)
{
    return nat->translates && !mapping->from_forward;
}

void pl_nat_port_take(PlNat *nat, const Mapping *mapping)
{
    Ports *ports;

    if (!occupies(nat, mapping))
        return;
    ports = ports_of(nat, mapping->protocol, mapping->external);
    if (!ports->used)
        ports->used = g_new0(uint64_t, WORDS);
    ports->used[mapping->external_port / 64] |= UINT64_C(1) << mapping->external_port % 64;
}

/* The mapping is no longer in the tables. */
void pl_nat_port_release(PlNat *nat, const Mapping *mapping)
{
    Ports *ports;

    if (!occupies(nat, mapping) ||
        pl_nat_mapping_in(nat, mapping->protocol, pl_nat_external(nat, mapping)) != NONE)
        return;
    ports = ports_of(nat, mapping->protocol, mapping->external);
    ports->used[mapping->external_port / 64] &= ~(UINT64_C(1) << mapping->external_port % 64);
    if (!nat->behaviour.quirks.early_reuse)
        return;
    if (nat->n_freed == FREED_MAX)
        memmove(nat->freed, nat->freed + 1, --nat->n_freed * sizeof(*nat->freed));
    nat->freed[nat->n_freed++] =
        (Freed){mapping->external_port, mapping->external, mapping->protocol};
}

void pl_nat_ports_init(PlNat *nat)
{
    const PlBehaviour *behaviour = &nat->behaviour;

    nat->ports = g_new0(Ports, (gsize)PORT_PROTOCOLS * nat->n_external);
    nat->n_freed = 0;
    nat->blocks_used = 0;
    nat->n_blocks = 0;
    if (behaviour->block_size > 0)
        nat->n_blocks = (behaviour->port_last - behaviour->port_first + 1u) /
                        behaviour->block_size * nat->n_external;
}

void pl_nat_ports_clear(PlNat *nat)
{
    for (unsigned i = 0; nat->ports && i < PORT_PROTOCOLS * nat->n_external; i++)
        g_free(nat->ports[i].used);
    g_clear_pointer(&nat->ports, g_free);
}
