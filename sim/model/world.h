/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A topology's networks, links, NATs and routing between hosts: packets that hosts send go in,
 * those that arrive at hosts come out, at their time. Hosts themselves are somebody else's:
 * protocol cores in engine virtual, namespaces behind TUN devices in engine fabric.
 *
 * Events are ordered by (time, sequence). Everything random has a stream of its own, named after
 * what it belongs to ("nat home", "link alice out"), so that a packet more on one link changes
 * nothing elsewhere. Same topology, seed and inputs: same outputs and observations, to the byte.
 *
 * A packet goes hop by hop, as in a real network: the sender's link out, the network, the
 * receiver's link in; a router takes one from its TTL, answers with ICMP time exceeded when that
 * was the last one, with "fragmentation needed" where it may not fragment, with "host unreachable"
 * when nobody has the address; and answers echo requests to its own addresses.
 */
#pragma once

#include "model/link.h"
#include "model/nat.h"

/* Where a packet enters or leaves the world: a host's interface, or the lab's own presence (with
 * the network's reserved addresses) when attachment is NULL. */
typedef struct PlWorldPlace {
    const PlAttachment *attachment;
    const PlNetwork *network;
} PlWorldPlace;

typedef struct PlWorld PlWorld;

/* `now` is where its clock stands. The topology is borrowed until the end. */
PlWorld *pl_world_new(const PlTopology *topology, uint64_t seed, uint64_t now);
PlWorld *pl_world_free(PlWorld *world); /* NULL is fine; returns NULL */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PlWorld, pl_world_free)

/*
 * A host or presence sends. On an attachment of a host that routes, this is what the host passes on
 * as well. The next hop follows from the topology's routes. Malformed packets are dropped.
 */
void pl_world_send(PlWorld *world, const PlWorldPlace *from, const uint8_t *bytes, size_t length,
                   uint64_t now);
/* When pl_world_receive has something to do; UINT64_MAX: never. */
uint64_t pl_world_next(const PlWorld *world);
/* The next packet that has arrived at a host or presence by `now`, the caller's to free; NULL:
 * none. Call until NULL. */
PlDatagram *pl_world_receive(PlWorld *world, uint64_t now, PlWorldPlace *ret_to, uint64_t *ret_at);

/*
 * Told of every packet as it passes an attachment: `outgoing` when the node sends it. It sees what
 * a capture on the interface would: what is lost on the link is seen by its sender only. At most
 * one observer; NULL: none.
 */
typedef void (*PlWorldObserve)(const PlAttachment *attachment, gboolean outgoing,
                               const PlDatagram *datagram, uint64_t time_ns, gpointer data);
void pl_world_observe(PlWorld *world, PlWorldObserve observe, gpointer data);

/* Steps and faults. What is on its way through a NAT's queue is lost at a reboot; what is on a link
 * stays on its way. */
void pl_world_nat_flush(PlWorld *world, const PlNode *nat, uint64_t now);
void pl_world_nat_reboot(PlWorld *world, const PlNode *nat, uint64_t now);
void pl_world_nat_address(PlWorld *world, const PlNode *nat, const PhAddress *address,
                          uint64_t now);
void pl_world_link(PlWorld *world, const PlAttachment *attachment, gboolean up, uint64_t now);
/* Every NAT as new, its random stream too; packets on their way are lost. Links that are down stay
 * so. */
void pl_world_reset(PlWorld *world, uint64_t now);

const PlNat *pl_world_nat(const PlWorld *world, const PlNode *nat);
/* The external addresses it has now: PhAddress. */
const GArray *pl_world_external(const PlWorld *world, const PlNode *nat);
