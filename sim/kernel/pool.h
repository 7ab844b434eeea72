/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How a NAT's external addresses and ports are dealt out. A slot is a piece of them: one address
 * with a range of ports. New mappings take the slots of their subscriber's group in turn, so that
 * mappings which live at the same time never share a port by accident.
 */
#pragma once

#include "topology/topology.h"

typedef struct PlSlot {
    PhAddress address;
    uint16_t first, last;
} PlSlot;

/* Those who share slots: some inside addresses, or (when there are none) everybody. */
typedef struct PlSlotGroup {
    GArray *sources;     /* PhAddress, owned */
    unsigned base, size; /* in PlPool.slots */
    PlSlot whole;        /* the whole of it, when it is of one address */
} PlSlotGroup;

typedef struct PlPool {
    GArray *slots;         /* PlSlot */
    GPtrArray *groups;     /* PlSlotGroup, owned */
    GArray *subscribers;   /* PhAddress: every inside address known, in the topology's order */
    const GArray *outside; /* PhAddress, borrowed: the external addresses */
} PlPool;

/*
 * `outside` are the NAT's external addresses (the topology's, unless a step changed them). Fails
 * with PL_ERROR_UNSUPPORTED, by name, when the port range is too small for every subscriber's
 * block.
 */
PlPool *pl_pool_new(const PlTopology *topology, const PlNode *nat, const GArray *outside,
                    uint64_t seed, GError **error);
void pl_pool_free(PlPool *pool);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PlPool, pl_pool_free)

/* Every inside address that the NAT is to translate, in a fixed order; the array is the caller's.
 */
GArray *pl_pool_subscribers(const PlTopology *topology, const PlNode *nat);
