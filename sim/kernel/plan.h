/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A topology as the list of operations that builds it out of network namespaces. Pure: executed by
 * netlink.h and nft.h, or printed; every operation is one line of `ip`, `sysctl`, `ethtool` or
 * `nft`.
 *
 *   alice ── eth0 ═══ inside ── home-a ── outside ═══ p3 ── br0 ── p1 ═══ eth0 ── hub
 *
 * A network of two, one of them a host, is one cable (a veth pair). Every other network is a bridge
 * in the switch, a namespace that belongs to no node. No bridge has an address, so that
 * two networks may have the same subnet.
 */
#pragma once

#include <net/if.h>

#include "topology/topology.h"

/* A network namespace of the lab; nodes come after the switch, in the topology's order. */
#define PL_SPACE_SWITCH        0u
#define PL_SPACE_OF(node)      ((node)->index + 1)
#define PL_SPACES_OF(topology) ((topology)->nodes->len + 1)

typedef enum {
    PL_OP_NETNS,   /* ip netns add SPACE */
    PL_OP_SYSCTL,  /* sysctl -w KEY=TEXT */
    PL_OP_BRIDGE,  /* ip link add INTERFACE type bridge forward_delay 0 mcast_snooping 0 */
    PL_OP_VETH,    /* ip link add INTERFACE mtu MTU address MAC [master MASTER] type veth peer name
                      PEER    netns PEER-SPACE mtu MTU address PEER-MAC */
    PL_OP_MACVLAN, /* ip link add link INTERFACE name PEER netns PEER-SPACE address PEER-MAC type
                      macvlan mode bridge */
    PL_OP_OFFLOAD, /* ethtool -K INTERFACE tx off gro off */
    PL_OP_ADDRESS, /* ip address add PREFIX dev INTERFACE */
    PL_OP_UNADDRESS, /* ip address del PREFIX dev INTERFACE */
    PL_OP_UP,        /* ip link set INTERFACE up */
    PL_OP_DOWN,      /* ip link set INTERFACE down */
    PL_OP_DELETE,    /* ip link del INTERFACE */
    PL_OP_ROUTE,     /* ip route replace PREFIX via VIA */
    PL_OP_NFT,       /* nft -f - with TEXT */
    PL_OP_N,
} PlOpKind;

typedef struct PlOp {
    PlOpKind kind;
    unsigned space;
    char interface[IFNAMSIZ];
    unsigned peer_space;
    char peer[IFNAMSIZ];
    char master[IFNAMSIZ]; /* a bridge, or "" */
    unsigned mtu_bytes;
    uint16_t mac, peer_mac; /* the last two bytes of 02:00:00:00:00:00 */
    PlPrefix prefix;        /* of an address: with its host part */
    PhAddress via;
    const char *key;   /* as in "net.ipv4.ip_forward"; static */
    char *text;        /* owned: a sysctl's value, a ruleset */
    gboolean optional; /* a sysctl that not every kernel has, and that is then not needed */
} PlOp;

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
/* "alice", or "switch". */
const char *pl_plan_space_name(const PlTopology *topology, unsigned space);

/* Addresses of interfaces are numbers, so that two runs show the same: a place's own end has an
   even one, the far end in the switch the odd one after it; the presences have the last two. */
#define PL_MAC_OF_PRESENCE(i) ((uint16_t)(0xff00 + (i)))

/* For operations made outside a plan. */
PlOp pl_op(PlOpKind kind, unsigned space, const char *interface);
/* Everything that turns fresh interfaces of a namespace into the lab's: IPv6, reverse paths. */
void pl_plan_quiet(GArray *ops, unsigned space);
