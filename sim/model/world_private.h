/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Private to the world:
 *
 *   world.c    hosts send and receive, time passes, steps happen
 *   line.c     the way of a packet from one port to the next
 *   router.c   what NATs do with what arrives
 *   routing.c  who is where
 *   events.c   what happens when
 */
#pragma once

#include "model/events.h"
#include "model/routing.h"
#include "model/world.h"

/* An attachment's cable. */
typedef struct PlCable {
    PlLinkModel *out, *in;
    gboolean down;
} PlCable;

typedef struct PlWorldNat {
    PlNat *nat; /* NULL: the node is a host */
    GArray *external;
    uint64_t rebooted_at; /* UINT64_MAX: never */
} PlWorldNat;

struct PlWorld {
    const PlTopology *topology;
    uint64_t seed, clock;
    PlRouting *routing;
    PlCable *cables;  /* of each attachment, by its port */
    PlWorldNat *nats; /* of each node */
    PlEvents *events;
    GQueue arrived; /* PlEvent, owned: at hosts and presences, not yet fetched */
    size_t arrived_bytes;
    PlWorldObserve observe;
    gpointer observe_data;
    PlWorldCounters counters;
};

/* line.c */

/* Puts a packet, which it takes, on its way from a port to a neighbour. It is fragmented where that
 * has to be and may be. FALSE, and the packet is still the caller's: it may not be. */
gboolean pl_line_send(PlWorld *world, unsigned from, unsigned to, PlDatagram *datagram);
/* What happens next: takes the event's packet. */
void pl_line_pass(PlWorld *world, PlEvent *event);
/* An event at the clock's time that takes the packet, unless there are too many. */
void pl_line_queue(PlWorld *world, PlEventKind kind, unsigned from, unsigned to, uint64_t time_ns,
                   PlDatagram *datagram);

/* router.c */

/* A packet, which it takes, has arrived at a NAT's port. */
void pl_router_take(PlWorld *world, unsigned port, PlDatagram *datagram);
