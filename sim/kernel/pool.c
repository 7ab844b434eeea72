/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who shares which external ports; see pool.h. */
#include "kernel/pool.h"

#include <assert.h>

#include "topology/random.h"

/* Enough that mappings living together rarely have to share a slot; an nft map of 64 entries loads
   in less than a millisecond, one of 1024 in seven. */
#define SLOTS_DEFAULT 64
/* Up to here each port of a block is a slot of its own, and so given out exactly once. */
#define SLOTS_BLOCK_MAX 128
/* Sequential ports are single slots. The sequence begins anew after as many. */
#define SLOTS_SEQUENTIAL 512

/* The innermost NAT on a way out that translates. */
static const PlNode *translator(const GPtrArray *chain)
{
    for (unsigned i = 0; i < chain->len; i++) {
        const PlNode *nat = g_ptr_array_index(chain, i);

        if (nat->behaviour.mapping != PL_MAPPING_NONE)
            return nat;
    }
    return NULL;
}

static void add_address(GArray *addresses, const PhAddress *address)
{
    for (unsigned i = 0; i < addresses->len; i++)
        if (ph_address_equal_host(&g_array_index(addresses, PhAddress, i), address))
            return;
    g_array_append_val(addresses, *address);
}

static gboolean is_inside(const PlTopology *topology, const PlNode *node, const PlNode *nat)
{
    g_autoptr(GPtrArray) chain = pl_topology_chain_of(topology, node, PH_FAMILY_IPV4);

    return node != nat && translator(chain) == nat;
}

/* Hosts that steps take there. */
static void add_guests(GArray *subscribers, const PlTopology *topology, const PlNode *nat)
{
    for (unsigned i = 0; i < topology->steps->len; i++) {
        const PlStep *step = g_ptr_array_index(topology->steps, i);
        g_autoptr(GPtrArray) chain = NULL;

        if (step->kind != PL_STEP_HOST_MOVE)
            continue;
        chain = pl_topology_chain_from(topology, step->network);
        if (translator(chain) == nat)
            add_address(subscribers, &step->address);
    }
}

GArray *pl_pool_subscribers(const PlTopology *topology, const PlNode *nat)
{
    GArray *subscribers = g_array_new(FALSE, FALSE, sizeof(PhAddress));
    const PlNetwork *network = pl_nat_inside(nat)->network;

    for (unsigned i = 0; i < topology->nodes->len; i++) {
        const PlNode *node = g_ptr_array_index(topology->nodes, i);

        if (!is_inside(topology, node, nat))
            continue;
        for (unsigned a = 0; a < node->attachments->len; a++) {
            const PlAttachment *attachment = g_ptr_array_index(node->attachments, a);

            if (attachment->side == PL_SIDE_INSIDE ||
                pl_network_family(attachment->network) != PH_FAMILY_IPV4)
                continue;
            for (unsigned n = 0; n < attachment->addresses->len; n++)
                add_address(subscribers, &g_array_index(attachment->addresses, PhAddress, n));
        }
    }
    add_guests(subscribers, topology, nat);
    add_address(subscribers, &network->reserved[2]);
    add_address(subscribers, &network->reserved[3]);
    return subscribers;
}

static void shuffle(GArray *slots, unsigned base, unsigned n, uint64_t *state)
{
    for (unsigned i = n; i > 1; i--) {
        unsigned j = (unsigned)(pl_random_next(state) % i);
        PlSlot *a = &g_array_index(slots, PlSlot, base + i - 1);
        PlSlot *b = &g_array_index(slots, PlSlot, base + j);
        PlSlot swap = *a;

        *a = *b;
        *b = swap;
    }
}

/* Cuts a range of ports into n pieces that differ in size by one at most. */
static void cut(PlPool *pool, const PhAddress *addresses, unsigned n_addresses, unsigned first,
                unsigned last, unsigned n)
{
    unsigned size = last - first + 1;

    for (unsigned i = 0; i < n; i++) {
        PlSlot slot = {
            .address = addresses[i % n_addresses],
            .first = (uint16_t)(first + size * i / n),
            .last = (uint16_t)(first + size * (i + 1) / n - 1),
        };

        g_array_append_val(pool->slots, slot);
    }
}

static PlSlotGroup *add_group(PlPool *pool)
{
    PlSlotGroup *group = g_new0(PlSlotGroup, 1);

    group->sources = g_array_new(FALSE, FALSE, sizeof(PhAddress));
    group->base = pool->slots->len;
    g_ptr_array_add(pool->groups, group);
    return group;
}

static void fill_group(PlPool *pool, PlSlotGroup *group, const PlBehaviour *behaviour,
                       const PhAddress *addresses, unsigned n_addresses, unsigned first,
                       unsigned last, uint64_t *state)
{
    unsigned ports = last - first + 1, n = MIN(ports, SLOTS_DEFAULT);

    if (behaviour->port_allocation == PL_PORT_ALLOCATION_BLOCK && ports <= SLOTS_BLOCK_MAX)
        n = ports;
    group->whole = (PlSlot){addresses[0], (uint16_t)first, (uint16_t)last};
    if (behaviour->port_allocation == PL_PORT_ALLOCATION_SEQUENTIAL) {
        n = MIN(ports, SLOTS_SEQUENTIAL);
        cut(pool, addresses, n_addresses, first, first + n - 1, n);
    } else {
        /* Where they can all be slots, every port of every address is one; else the ports are dealt
           out among the addresses. */
        if (ports * n_addresses <= SLOTS_DEFAULT) {
            n = ports * n_addresses;
            for (unsigned i = 0; i < n_addresses; i++)
                cut(pool, addresses + i, 1, first, last, ports);
        } else {
            cut(pool, addresses, n_addresses, first, last, n);
        }
        shuffle(pool->slots, group->base, n, state);
    }
    group->size = n;
}

static gboolean deal_blocks(PlPool *pool, const PlNode *nat, uint64_t *state, GError **error)
{
    const PlBehaviour *behaviour = &nat->behaviour;
    const PhAddress *addresses = &g_array_index(pool->outside, PhAddress, 0);
    gboolean paired = behaviour->pooling == PL_POOLING_PAIRED;
    unsigned rounds = paired ? pool->outside->len : 1;
    unsigned blocks = (pool->subscribers->len + rounds - 1) / rounds;
    unsigned ports = (unsigned)behaviour->port_last - behaviour->port_first + 1;

    if (blocks > ports / behaviour->block_size) {
        g_set_error(error, PL_ERROR, PL_ERROR_UNSUPPORTED,
                    "engine kernel cannot express nat %s: its port range %u-%u has no room for %u "
                    "blocks of %u ports (%u inside addresses, the lab's own two among them)",
                    nat->name, behaviour->port_first, behaviour->port_last, blocks,
                    behaviour->block_size, pool->subscribers->len);
        return FALSE;
    }
    for (unsigned i = 0; i < pool->subscribers->len; i++) {
        PlSlotGroup *group = add_group(pool);
        unsigned first = behaviour->port_first + i / rounds * behaviour->block_size;

        g_array_append_val(group->sources, g_array_index(pool->subscribers, PhAddress, i));
        fill_group(pool, group, behaviour, addresses + i % rounds, paired ? 1 : pool->outside->len,
                   first, first + behaviour->block_size - 1, state);
    }
    return TRUE;
}

/* Known subscribers take the addresses in turn; whoever else may come shares the first. */
static void deal_pairs(PlPool *pool, const PlBehaviour *behaviour, uint64_t *state)
{
    for (unsigned a = 0; a < pool->outside->len; a++) {
        PlSlotGroup *group = add_group(pool);

        for (unsigned i = a; a > 0 && i < pool->subscribers->len; i += pool->outside->len)
            g_array_append_val(group->sources, g_array_index(pool->subscribers, PhAddress, i));
        fill_group(pool, group, behaviour, &g_array_index(pool->outside, PhAddress, a), 1,
                   behaviour->port_first, behaviour->port_last, state);
    }
}

static void free_group(gpointer data)
{
    PlSlotGroup *group = data;

    g_array_unref(group->sources);
    g_free(group);
}

PlPool *pl_pool_new(const PlTopology *topology, const PlNode *nat, const GArray *outside,
                    uint64_t seed, GError **error)
{
    g_autoptr(PlPool) pool = g_new0(PlPool, 1);
    const PlBehaviour *behaviour = &nat->behaviour;
    uint64_t state = seed ^ ((uint64_t)nat->index << 32);

    assert(outside->len > 0);
    pool->slots = g_array_new(FALSE, FALSE, sizeof(PlSlot));
    pool->groups = g_ptr_array_new_with_free_func(free_group);
    pool->subscribers = pl_pool_subscribers(topology, nat);
    pool->outside = outside;
    if (behaviour->port_allocation == PL_PORT_ALLOCATION_BLOCK) {
        if (!deal_blocks(pool, nat, &state, error))
            return NULL;
    } else if (behaviour->pooling == PL_POOLING_PAIRED && outside->len > 1) {
        deal_pairs(pool, behaviour, &state);
    } else {
        fill_group(pool, add_group(pool), behaviour, &g_array_index(outside, PhAddress, 0),
                   outside->len, behaviour->port_first, behaviour->port_last, &state);
    }
    return g_steal_pointer(&pool);
}

void pl_pool_free(PlPool *pool)
{
    if (!pool)
        return;
    g_clear_pointer(&pool->slots, g_array_unref);
    g_clear_pointer(&pool->groups, g_ptr_array_unref);
    g_clear_pointer(&pool->subscribers, g_array_unref);
    g_free(pool);
}
