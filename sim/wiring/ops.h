/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is done to build a lab out of network namespaces: operations, each one line of `ip`,
 * `sysctl`, `ethtool` or `nft`, which an engine makes a list of. They are executed by spaces.h, or
 * printed.
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
    PL_OP_ADDRESS, /* ip address add PREFIX dev INTERFACE [nodad] */
    PL_OP_UNADDRESS, /* ip address del PREFIX dev INTERFACE */
    PL_OP_UP,        /* ip link set INTERFACE up */
    PL_OP_DOWN,      /* ip link set INTERFACE down */
    PL_OP_MASTER,    /* ip link set INTERFACE master MASTER */
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

/* The interface of a host on one network, and of one on several the first. */
#define PL_FIRST_INTERFACE "eth0"

/* "alice", "switch", or "presence". */
const char *pl_space_name(const PlTopology *topology, unsigned space);

/* An empty list of operations that owns their texts. */
GArray *pl_ops_new(void);
PlOp pl_op(PlOpKind kind, unsigned space, const char *interface);
void pl_ops_sysctl(GArray *ops, unsigned space, gboolean optional, const char *key,
                   const char *value);
void pl_ops_up(GArray *ops, unsigned space, const char *interface);
/* An interface's addresses on a network; then it comes up. Its host speaks as the first of them
 * when it has the choice. */
void pl_ops_addresses(GArray *ops, unsigned space, const char *interface, const PlNetwork *network,
                      const PhAddress *addresses, unsigned n);
/* A step takes a host to another network. Its interface goes down, so that it forgets routes and
 * neighbours, and has no address; then it has that of the network where it is now. */
void pl_ops_depart(GArray *ops, const PlTopology *topology, const PlStep *move);
void pl_ops_arrive(GArray *ops, const PlTopology *topology, const PlStep *move);
/* The routes of a node on a network; NULL: of anybody else there. */
void pl_ops_routes(GArray *ops, unsigned space, const char *interface, const PlTopology *topology,
                   const PlNetwork *network, const PlNode *node);
/* Everything that turns fresh interfaces of a namespace into the lab's: reverse paths, and IPv6,
 * which does nothing by itself, or is not there at all. */
void pl_ops_quiet(GArray *ops, unsigned space, gboolean ipv6);
/* Whether a node is on a network of IPv6. */
gboolean pl_ops_has_ipv6(const PlNode *node);
/* A node's namespace, and the settings that make it a host or a router. */
void pl_ops_node(GArray *ops, const PlNode *node);

/* Addresses of interfaces are numbers, so that two runs show the same: a place's own end has an
   even one, the far end in the switch the odd one after it; the presences have the last two. */
#define PL_MAC_OF_PRESENCE(i) ((uint16_t)(0xff00 + (i)))
