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
 * as well. The next hop follows from the topology's routes, as far as they lead over this
 * attachment. Packets for nobody, too long ones that may not be fragmented, and malformed ones
 * (pl_ip_parse) are dropped; hosts know their own interfaces, and are told nothing.
 */
void pl_world_send(PlWorld *world, const PlWorldPlace *from, const uint8_t *bytes, size_t length,
                   uint64_t now);
/* When pl_world_receive has something to do; UINT64_MAX: never. */
uint64_t pl_world_next(const PlWorld *world);
/* The next packet that has arrived at a host or presence by `now`, the caller's to free; NULL:
 * none. Call until NULL. */
PlDatagram *pl_world_receive(PlWorld *world, uint64_t now, PlWorldPlace *ret_to, uint64_t *ret_at);

/* So many bytes may be on their way, with what is kept for each packet; a flood loses what is more.
 */
#define PL_WORLD_BYTES_MAX (256 * 1024 * 1024)

/* Packets that went nowhere, and why; what links and NATs drop, these count themselves. */
typedef struct PlWorldCounters {
    uint64_t sent, received; /* by hosts and presences */
    uint64_t malformed;
    uint64_t flooded;    /* beyond PL_WORLD_BYTES_MAX */
    uint64_t unroutable; /* no route, or nobody with the address; also where a router says so */
    uint64_t expired;    /* their TTL ran out */
    uint64_t too_long;   /* for an interface, and not to be fragmented */
    uint64_t unplugged;  /* a link was down */
    uint64_t rebooted;   /* came when a NAT rebooted */
    uint64_t addressed;  /* came for a NAT itself, which took them */
} PlWorldCounters;
const PlWorldCounters *pl_world_counters(const PlWorld *world);
const PlLinkCounters *pl_world_link_counters(const PlWorld *world, const PlAttachment *attachment,
                                             gboolean outgoing);

/*
 * Told of every packet as it passes an attachment: `outgoing` when the node sends it. It sees what
 * a capture on the interface would: what is lost on the link is seen by its sender only. At most
 * one observer; NULL: none.
 */
typedef void (*PlWorldObserve)(const PlAttachment *attachment, gboolean outgoing,
                               const PlDatagram *datagram, uint64_t time_ns, gpointer data);
void pl_world_observe(PlWorld *world, PlWorldObserve observe, gpointer data);

/*
 * Steps and faults, at a time: what is due by then happens before. A NAT that reboots forgets its
 * mappings, and loses what arrives at that very time; what is on a link stays on its way. An
 * address takes the place of the first external one; nobody answers for the old one. A link that is
 * down passes nothing: what would get on it, or off it at either end, is lost; only what finds it
 * up again knows nothing of it.
 */
void pl_world_nat_flush(PlWorld *world, const PlNode *nat, uint64_t now);
void pl_world_nat_reboot(PlWorld *world, const PlNode *nat, uint64_t now);
void pl_world_nat_address(PlWorld *world, const PlNode *nat, const PhAddress *address,
                          uint64_t now);
void pl_world_link(PlWorld *world, const PlAttachment *attachment, gboolean up, uint64_t now);
/* A host, by its only attachment, is on that network from now on, and has that address there. What
 * is on its way to or from where it was is lost. */
void pl_world_move(PlWorld *world, const PlAttachment *attachment, const PlNetwork *network,
                   const PhAddress *address, uint64_t now);
/*
 * Everything as new, random streams too, and packets on their way are lost: whatever was before,
 * the same inputs have the same outputs from here on. Only three things stay: links that are down,
 * addresses that steps gave to NATs, and where hosts have gone.
 */
void pl_world_reset(PlWorld *world, uint64_t now);

const PlNat *pl_world_nat(const PlWorld *world, const PlNode *nat);
/* The external addresses it has now: PhAddress. */
const GArray *pl_world_external(const PlWorld *world, const PlNode *nat);
