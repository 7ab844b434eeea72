/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who is where: each attachment, and the lab's presence on each network, is a port with addresses
 * and a routing table. Of two ports of one network each reaches the other directly.
 */
#pragma once

#include "topology/topology.h"

typedef struct PlPort {
    const PlAttachment *attachment; /* NULL: the lab's presence */
    const PlNetwork *network;
    unsigned mtu_bytes;
    GArray *addresses; /* PhAddress: those that it answers for, after the steps so far */
    GArray *routes;    /* PlRoute, longest first; NULL until somebody asks */
} PlPort;

typedef struct PlRouting PlRouting;

PlRouting *pl_routing_new(const PlTopology *topology);
PlRouting *pl_routing_free(PlRouting *routing); /* NULL is fine; returns NULL */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PlRouting, pl_routing_free)

/* Ports have numbers: those of attachments, nodes and their networks in file order, come first. */
unsigned pl_routing_attachments(const PlRouting *routing);
unsigned pl_routing_port(const PlRouting *routing, const PlAttachment *attachment);
unsigned pl_routing_presence(const PlRouting *routing, const PlNetwork *network);
const PlPort *pl_routing_at(const PlRouting *routing, unsigned port);

/* The port answers for other addresses from now on. */
void pl_routing_set_addresses(PlRouting *routing, unsigned port, const GArray *addresses);
/* The port is one of another network from now on, with this address. */
void pl_routing_move(PlRouting *routing, unsigned port, const PlNetwork *network,
                     const PhAddress *address);
/* Whether one of a node's ports answers for it. */
gboolean pl_routing_is_own(const PlRouting *routing, const PlNode *node, const PhAddress *address);

typedef enum {
    PL_HOP_NEXT,
    PL_HOP_NO_ROUTE,
    PL_HOP_NOBODY, /* no other port of the network has the address */
    PL_HOP_GROUP,  /* a multicast or broadcast address: goes nowhere */
} PlHop;

/* Which port has a packet next that leaves by this one: its destination, if that is of the network,
 * else whoever the longest route names. */
PlHop pl_routing_next(PlRouting *routing, unsigned from, const PhAddress *destination,
                      unsigned *ret_port);
/* The port that a node's own routing table chooses; FALSE: no route. */
gboolean pl_routing_out(PlRouting *routing, const PlNode *node, const PhAddress *destination,
                        unsigned *ret_port);
