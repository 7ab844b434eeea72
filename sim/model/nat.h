/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The NAT: a pure machine that packets and time go into, and packets come out of. It translates
 * UDP, TCP, ICMP echo and ICMP errors, whole or in fragments, on every axis of a topology file,
 * with the mistakes that real routers make (PlQuirks). With mapping NONE it is a stateful firewall,
 * for IPv4 and IPv6. Whatever a packet's bytes are, it never crashes and never remembers more than
 * its limits say.
 *
 * Same config and same inputs, same outputs, to the byte.
 */
#pragma once

#include "model/datagram.h"
#include "topology/topology.h"

typedef struct PlNatConfig {
    PlBehaviour behaviour;
    PhAddress inside_address; /* the router's own, inside */
    /* What is inside of a firewall: packets from there are outbound. A NAT that translates takes
     * whatever arrives inside. Borrowed for the call, as are the two below. */
    const PhAddress *external; /* of a NAT; of a firewall its own outside addresses */
    unsigned n_external;
    const PlForward *forwards;
    unsigned n_forwards;
    /* Live mappings of all protocols; 0: 65536 for each external address. Half of them, at most,
     * have begun outside. */
    uint32_t mappings_max;
    uint64_t seed;
} PlNatConfig;

typedef enum {
    PL_NAT_DROPPED,   /* and nothing is said */
    PL_NAT_FORWARDED, /* translated, in place: out on *ret_side. Routing and TTL are the caller's */
    /* For the router itself: an echo request to one of its addresses, an unsolicited packet that it
     * takes in. As it came. */
    PL_NAT_LOCAL,
} PlNatOutcome;

/* Why packets were dropped, and what else happened; for `pinlab nat table` and tests. */
typedef struct PlNatCounters {
    uint64_t translated;     /* forwarded, either way */
    uint64_t hairpinned;     /* of these: turned around */
    uint64_t rejected;       /* answered with an ICMP error */
    uint64_t filtered;       /* came for a mapping that does not let them in */
    uint64_t unmapped;       /* came for no mapping */
    uint64_t exhausted;      /* no port, or no room for another mapping */
    uint64_t limited;        /* too many new mappings a second */
    uint64_t blocked;        /* a protocol that does not pass */
    uint64_t malformed;      /* what no router would pass on */
    uint64_t fragments_lost; /* fragments whose first one never came, or too many of them */
    uint64_t mappings;       /* live now */
    uint64_t mappings_made;
} PlNatCounters;

typedef struct PlNat PlNat;

PlNat *pl_nat_new(const PlNatConfig *config);
PlNat *pl_nat_free(PlNat *nat); /* NULL is fine; returns NULL */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PlNat, pl_nat_free)

/*
 * A packet arrives on a side. Its bytes are changed in place, also into an ICMP error that goes
 * back (a packet rejected is FORWARDED out on the side that it came from). A fragment whose first
 * one has not come yet is kept (DROPPED now) and comes out of pl_nat_poll when that came.
 */
PlNatOutcome pl_nat_handle(PlNat *nat, PlSide side, PlDatagram *datagram, uint64_t now,
                           PlSide *ret_side);
/* Fragments that waited, translated; NULL: no more. The caller's to free. Call until NULL after
 * each pl_nat_handle that FORWARDED. */
PlDatagram *pl_nat_poll(PlNat *nat, PlSide *ret_side);

/* All mappings, and what filters have learnt, are forgotten; random draws go on where they were. */
void pl_nat_flush(PlNat *nat);
/* It has other external addresses from now on; flushes. */
void pl_nat_set_external(PlNat *nat, const PhAddress *external, unsigned n_external);

const PlNatCounters *pl_nat_counters(const PlNat *nat);
/* What is mapped now, oldest first. `remote` is where the mapping's first packet went. */
typedef struct PlNatEntry {
    uint8_t protocol;
    PhAddress inside, external, remote;
    gboolean from_outside; /* a firewall's flow that began outside, or a static forward's */
    gboolean replied;
    uint64_t expires_ns; /* absolute */
} PlNatEntry;
GArray *pl_nat_entries(const PlNat *nat, uint64_t now);
