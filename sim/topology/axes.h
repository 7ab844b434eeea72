/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How a NAT behaves, on the axes of RFC 4787 and the few that lie beside them, and what somebody
 * found out about it. The words are those of topology files, tables and verdicts: one list for all
 * of them.
 */
#pragma once

#include <glib.h>
#include <pinhole/address.h>

typedef enum {
    PL_MAPPING_NONE, /* addresses are not translated at all */
    PL_MAPPING_ENDPOINT_INDEPENDENT,
    PL_MAPPING_ADDRESS_DEPENDENT,
    PL_MAPPING_ADDRESS_AND_PORT_DEPENDENT,
    PL_MAPPING_N,
} PlMapping;

typedef enum {
    PL_FILTERING_ENDPOINT_INDEPENDENT,
    PL_FILTERING_ADDRESS_DEPENDENT,
    PL_FILTERING_ADDRESS_AND_PORT_DEPENDENT,
    PL_FILTERING_N,
} PlFiltering;

typedef enum {
    PL_PORT_ALLOCATION_PRESERVE,   /* the inside port, unless it is taken */
    PL_PORT_ALLOCATION_SEQUENTIAL, /* one after the other */
    PL_PORT_ALLOCATION_RANDOM,
    PL_PORT_ALLOCATION_BLOCK, /* any port of the subscriber's own block (RFC 7422) */
    PL_PORT_ALLOCATION_N,
} PlPortAllocation;

typedef enum {
    PL_POOLING_PAIRED, /* one inside address always gets the same outside address (RFC 4787 REQ-2)
                        */
    PL_POOLING_ARBITRARY,
    PL_POOLING_N,
} PlPooling;

typedef enum {
    PL_HAIRPIN_NONE,
    PL_HAIRPIN_INTERNAL_SOURCE, /* looped back with the sender's inside address */
    PL_HAIRPIN_EXTERNAL_SOURCE, /* looped back with the sender's outside address (RFC 4787 REQ-9a)
                                 */
    PL_HAIRPIN_N,
} PlHairpin;

/* What becomes of a packet from outside that belongs to no mapping. */
typedef enum {
    PL_UNSOLICITED_DROP,
    PL_UNSOLICITED_ACCEPT, /* taken in by the router itself: poisons the mapping it collides with */
    PL_UNSOLICITED_REJECT, /* answered with ICMP port unreachable */
    PL_UNSOLICITED_N,
} PlUnsolicited;

typedef enum {
    PL_PASS_YES,
    PL_PASS_BLOCKED,
    PL_PASS_N,
} PlPass;

/*
 * What real routers get wrong. All zero is a router that makes none of these mistakes. (Three more
 * are words of axes: unsolicited = accept poisons mappings, hairpin = internal-source has the wrong
 * source, port-allocation = preserve stops being endpoint-independent at a collision.)
 */
typedef struct PlQuirks {
    gboolean rewrite_payload; /* the inside address is replaced inside payloads as well, and back
                                 (RFC 8489 §14.2 is why XOR-MAPPED-ADDRESS exists) */
    unsigned symmetric_after; /* mappings of one inside address; further ones are
                                 address-and-port-dependent. 0: never */
    uint64_t mapping_age_ns;  /* a mapping is dropped at this age, used or not. 0: never */
    gboolean icmp_drops;      /* an ICMP error for a mapping removes it (against RFC 4787 REQ-12) */
    gboolean early_reuse;     /* the port that got free last is given out first */
    gboolean first_packet_lost; /* the packet that makes a mapping is not passed on */
    unsigned mapping_rate;      /* new mappings a second from inside, all together. 0: no limit */
    gboolean port_overloading;  /* with `preserve`: the inside port even when somebody has it; who
                                   sent last gets what comes (against RFC 4787 REQ-3) */
    gboolean port_parity; /* no mistake: even ports stay even, odd ones odd (RFC 4787 REQ-4) */
    unsigned port_step;   /* of `sequential`; 0: 1 */
} PlQuirks;

/* What a NAT does, as its topology file says. */
typedef struct PlBehaviour {
    PlMapping mapping;
    PlFiltering filtering;
    PlPortAllocation port_allocation;
    unsigned block_size;            /* ports a subscriber; 0 unless port_allocation is BLOCK */
    uint16_t port_first, port_last; /* the range of external ports, inclusive */
    PlPooling pooling;
    PlHairpin hairpin;
    uint64_t udp_timeout_ns;
    gboolean inbound_refresh; /* inbound packets keep a mapping alive (RFC 4787 REQ-6) */
    PlUnsolicited unsolicited;
    PlPass udp;
    PlPass icmp;
    PlQuirks quirks;
} PlBehaviour;

/* Everything that one can find out about a host's or a NAT's place in the network. */
typedef enum {
    PL_AXIS_CLASS,
    PL_AXIS_EXTERNAL, /* the outside address, or a comma-separated list of those possible */
    PL_AXIS_MAPPING,
    PL_AXIS_FILTERING,
    PL_AXIS_PORT_ALLOCATION,
    PL_AXIS_PORT_RANGE, /* "first-last" */
    PL_AXIS_PORTS, /* how many mappings one inside address can have; "unlimited" when no end was met
                    */
    PL_AXIS_POOLING,
    PL_AXIS_HAIRPIN,
    PL_AXIS_UDP_TIMEOUT,
    PL_AXIS_INBOUND_REFRESH, /* "yes" or "no" */
    PL_AXIS_UNSOLICITED,
    PL_AXIS_UDP,      /* "yes" or "blocked" */
    PL_AXIS_TCP,      /* "yes" or "blocked" */
    PL_AXIS_ICMP,     /* "yes" or "blocked" */
    PL_AXIS_FORWARDS, /* "ok", or what is wrong with the static forwards */
    PL_AXIS_N,
} PlAxis;

/* Beyond these nobody waits for a timeout, or uses up a subscriber's ports, to find out. */
#define PL_ORACLE_TIMEOUT_MAX_NS (10 * G_GUINT64_CONSTANT(1000000000))
#define PL_ORACLE_PORTS_MAX      64

/*
 * What a judge can find out of a NAT that behaves like this. Theory expects nothing else, and the
 * prober tries nothing else.
 */

/* How many ports one inside address can get, on so many external addresses; 0 when nobody uses them
 * up to find out. */
unsigned pl_behaviour_ports(const PlBehaviour *behaviour, unsigned n_external);
/* Whether its mapping depends on how many there were before (PlQuirks.symmetric_after): no word for
 * it is right then. */
gboolean pl_behaviour_is_fickle(const PlBehaviour *behaviour);
/* Whether somebody waits for its timeout, and for what inbound packets do to it. */
gboolean pl_behaviour_shows_timeout(const PlBehaviour *behaviour);
/*
 * Whether a router that takes unsolicited packets in would be found out: by a mapping that such a
 * packet has spoilt. Its port must have been known beforehand, and nothing may have filtered the
 * packet before the router could take it.
 */
gboolean pl_shows_poison(PlMapping mapping, PlFiltering filtering, gboolean preserves);
/* Whether it shows what becomes of unsolicited packets. */
gboolean pl_behaviour_shows_unsolicited(const PlBehaviour *behaviour);

/*
 * What one judge found: a word for each axis, NULL where it found nothing; then `why` may say the
 * reason. The struct owns its strings.
 */
typedef struct PlFindings {
    char *value[PL_AXIS_N];
    char *why[PL_AXIS_N];
} PlFindings;

void pl_findings_clear(PlFindings *findings);
/* Both strings are copied; NULL is allowed for either. */
void pl_findings_set(PlFindings *findings, PlAxis axis, const char *value, const char *why);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(PlFindings, pl_findings_clear)

/* The key of an axis, such as "port-allocation". */
const char *pl_axis_name(PlAxis axis);
/* FALSE when there is no such axis. */
gboolean pl_axis_from_name(const char *name, PlAxis *ret_axis);
/* Whether what was found is what was expected; `external` may be expected as a list. Neither may be
 * NULL. */
gboolean pl_axis_agrees(PlAxis axis, const char *expected, const char *found);

/* The words. */
const char *pl_mapping_name(PlMapping mapping);
const char *pl_filtering_name(PlFiltering filtering);
const char *pl_port_allocation_name(PlPortAllocation allocation);
const char *pl_pooling_name(PlPooling pooling);
const char *pl_hairpin_name(PlHairpin hairpin);
const char *pl_unsolicited_name(PlUnsolicited unsolicited);
const char *pl_pass_name(PlPass pass);

/*
 * The class that goes with two axes: "direct", "firewall", "full-cone", "restricted",
 * "port-restricted" or "symmetric" (RFC 4787 §5; RFC 3489 §5 has the classic names). With mapping
 * NONE: "direct" when filtering is endpoint-independent, else "firewall".
 */
const char *pl_class_name(PlMapping mapping, PlFiltering filtering);
