/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A topology as the list of operations that builds it out of network namespaces. Pure: executed by
 * wiring/spaces.h and nft.h, or printed.
 *
 *   alice ── eth0 ═══ inside ── home-a ── outside ═══ p3 ── br0 ── p1 ═══ eth0 ── hub
 *
 * A network of two, one of them a host, is one cable (a veth pair). Every other network is a bridge
 * in the switch, a namespace that belongs to no node. No bridge has an address, so that
 * two networks may have the same subnet.
 */
#pragma once

#include "wiring/ops.h"

/* Where an attachment is, and the other end of its cable. */
typedef struct PlPlace {
    const PlAttachment *attachment;
    unsigned space;
    char interface[IFNAMSIZ];
    unsigned far_space; /* the switch, or the other node */
    char far_interface[IFNAMSIZ];
} PlPlace;

typedef struct PlPlan {
    const PlTopology *topology; /* borrowed */
    GArray *ops;                /* PlOp */
    GArray *places;             /* PlPlace */
} PlPlan;

/* Fails as pl_rules_text does. */
PlPlan *pl_plan_new(const PlTopology *topology, uint64_t seed, GError **error);
void pl_plan_free(PlPlan *plan);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PlPlan, pl_plan_free)

const PlPlace *pl_plan_place(const PlPlan *plan, const PlAttachment *attachment);
/* "br0"; FALSE when the network is a cable: of two, and no step pulls it out. */
gboolean pl_plan_bridge(const PlTopology *topology, const PlNetwork *network,
                        char ret_name[static IFNAMSIZ]);
