/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the parts of the NAT share. A *mapping* gives an inside endpoint an external one; a *flow*
 * is what a mapping has with one remote endpoint: it is what filters know, what conntrack would
 * call a connection, and the short way from a packet to its mapping, in either direction.
 *
 *     outbound packet --(inside, remote)--> flow --> mapping <-- flow <--(external, remote)--
 * inbound
 *
 * Where a flow is missing, the mapping is looked for by its inside endpoint, or by its external
 * one. A flow without a mapping is the router's own: a packet that it took in (`unsolicited =
 * accept`).
 *
 * Everything lives in arrays and is known by its index; hash chains run through these. No outcome
 * depends on the order of a chain, but that the newest of equals is found first.
 */
#pragma once

#include "model/ip.h"
#include "model/nat.h"

#define NONE UINT32_MAX

#define NS_PER_S UINT64_C(1000000000)

typedef struct Endpoint {
    PlHost host;
    uint16_t port;
} Endpoint;

#define LINE 64 /* of the processor's cache */

typedef struct Mapping {
    PlHost inside;
    uint32_t flow;  /* its newest; in the free list the next */
    uint32_t timer; /* place in the heap */
    uint32_t subscriber;
    uint16_t inside_port, remote_port;
    uint16_t external_port, external; /* external: index of the address */
    uint8_t protocol;
    uint8_t dependence; /* PlMapping */
    bool live, from_outside;
    bool from_forward; /* of a static forward, and found by its flow only */
    bool replied;      /* this and expires_ns: as far as its ways do not know; see pl_nat_life */
    PlHost remote;     /* where its first packet went, or came from */
    uint64_t sequence, made_ns;
    uint64_t expires_ns; /* not TCP's */
} Mapping;

/* What packets change of a mapping, all of them together. */
typedef struct Life {
    uint64_t expires_ns;
    bool replied;
} Life;

typedef struct Flow {
    _Alignas(LINE) PlHost remote;
    uint64_t expires_ns;   /* of TCP's, and of the router's own; others end with their mapping */
    uint32_t mapping;      /* NONE: the router's own */
    uint32_t newer, older; /* of the same mapping; in the free list older is the next */
    uint32_t timer;
    uint32_t hash_out, hash_in; /* of its ways */
    uint16_t remote_port;       /* 0: a permit for all ports, or a protocol without any */
    uint16_t external_port, external;
    uint8_t protocol;
    uint8_t tcp; /* see nat_tcp.c */
    bool from_outside;
} Flow;

/*
 * A flow and its mapping as a packet needs them, two of them in a line of the processor's cache:
 * memory is waited for once. What packets change of the mapping they write here and not there:
 * each way knows of its own ones.
 */
typedef struct Way {
    _Alignas(LINE / 2) uint64_t expires_ns; /* the mapping, by these packets; not TCP's */
    uint32_t flow;                          /* NONE: none, in a table an empty place */
    uint32_t inside, remote;                /* IPv4, or the end of IPv6; see nat_way_remote */
    uint16_t inside_port, remote_port, external_port, external;
    uint8_t protocol;
    bool own : 1;          /* the router's flow, and nobody's mapping */
    bool from_outside : 1; /* the mapping */
    bool replied : 1;      /* by these packets */
    bool v6 : 1;           /* hosts stand in mapping and flow */
} Way;

/* What a packet goes by. */
typedef struct Course {
    Way way;          /* flow NONE: none */
    Way *at;          /* where it stands, until a flow comes or goes; NULL: nowhere */
    uint32_t mapping; /* if nowhere; see nat_course_mapping */
} Course;

/* The ways of one direction, each at the place that its hash names, or behind others that are. */
typedef struct Ways {
    Way *places;
    uint32_t mask; /* room - 1 */
} Ways;

/* An inside address that has mappings, or a block of ports. */
typedef struct Subscriber {
    PlHost host;
    uint32_t mappings;
    uint32_t block;          /* NONE: none */
    uint32_t later, earlier; /* among those that have a block but no mappings, or are free */
} Subscriber;

/* Hash chains over the entries of an array, known by their indices. A head is a copy of its first
 * link. */
typedef struct Link {
    uint32_t index; /* NONE: no chain */
    uint32_t hash, next;
} Link;

typedef struct Chains {
    Link *heads;
    Link *links;   /* beside each entry */
    uint32_t mask; /* room - 1 */
} Chains;

static inline const Link *nat_chain_next(const Chains *chains, const Link *link)
{
    return link->next == NONE ? NULL : &chains->links[link->next];
}

static inline const Link *nat_chain_first(const Chains *chains, uint32_t hash)
{
    const Link *head = &chains->heads[hash & chains->mask];

    return head->index == NONE ? NULL : head;
}

typedef struct Timer {
    uint64_t at_ns, sequence;
    uint32_t what; /* a mapping, or, with TIMER_FLOW, a flow */
} Timer;

#define TIMER_FLOW 0x80000000u

/* The external ports of one protocol on one address. */
typedef struct Ports {
    uint64_t *used; /* a bit each; NULL: none yet */
    uint32_t next;  /* of `sequential`: to be given next, from port_first on */
} Ports;

/* UDP, TCP, ICMP */
#define PORT_PROTOCOLS 3
#define PORTS          65536u

/* Ports that got free, latest last; see PlQuirks.early_reuse. */
#define FREED_MAX 1024
typedef struct Freed {
    uint16_t port, external;
    uint8_t protocol;
} Freed;

typedef struct Fragments Fragments;

struct PlNat {
    PlBehaviour behaviour;
    PhAddress *external_addresses;
    PlHost *external;
    unsigned n_external;
    uint16_t *external_slots; /* index + 1 by hash of the address */
    uint32_t external_mask;
    PlHost inside_address;
    PlForward *forwards;
    PlHost *forward_hosts;
    unsigned n_forwards;
    bool translates;
    bool shares; /* two mappings may have one external endpoint, as long as no remote has both */
    uint32_t mappings_max, flows_max;
    uint64_t seed, random, sequence;
    PlNatCounters counters;

    Mapping *mappings;
    uint32_t n_mappings, mappings_room, mappings_free; /* n: ever used; free: the first free one */
    uint32_t mappings_outside;                         /* live ones that began outside */
    Chains by_inside, by_external;
    Flow *flows;
    uint32_t n_flows, flows_room, flows_free, flows_live;
    Ways ways_out, ways_in;
    Subscriber *subscribers;
    uint32_t n_subscribers, subscribers_room, subscribers_free;
    Chains by_host;
    uint32_t idle_first, idle_last; /* subscribers with a block and no mappings, oldest first */
    uint32_t n_blocks, blocks_used; /* used: given out once at least, from the first on */
    Ports *ports;                   /* PORT_PROTOCOLS for each external address */
    Freed freed[FREED_MAX];
    unsigned n_freed;
    Timer *timers;
    uint32_t n_timers, timers_room;
    uint64_t timer_sequence;
    uint64_t rate_start_ns; /* PlQuirks.mapping_rate: this second */
    unsigned rate_count;
    Fragments *fragments;
};

/* nat_chains.c. Of equals the one that was added last is found first. */
void pl_nat_chains_init(Chains *chains, uint32_t room); /* of nothing */
void pl_nat_chains_clear(Chains *chains);
void pl_nat_chains_grow(Chains *chains); /* to twice the room */
void pl_nat_chains_add(Chains *chains, uint32_t index, uint32_t hash);
void pl_nat_chains_remove(Chains *chains, uint32_t index);

/* A number that the seed makes unforeseeable. */
static inline uint64_t nat_mix(uint64_t x)
{
    x = (x ^ (x >> 32)) * UINT64_C(0xd6e8feb86659fd93);
    x = (x ^ (x >> 32)) * UINT64_C(0xd6e8feb86659fd93);
    return x ^ (x >> 32);
}

static inline uint32_t nat_hash(const PlNat *nat, uint8_t protocol, Endpoint a, Endpoint b)
{
    uint64_t x = nat_mix(nat->seed ^ a.host.low ^ (uint64_t)a.port << 48);

    x = nat_mix(x ^ a.host.high ^ b.host.low ^ (uint64_t)b.port << 48);
    return (uint32_t)nat_mix(x ^ b.host.high ^ (uint64_t)protocol << 56);
}

/* nat_ways.c: from a packet to its flow. Of equals the one that was added last is found first. */
void pl_nat_ways_init(Ways *ways, uint32_t flows); /* with room for so many */
void pl_nat_ways_clear(Ways *ways);
void pl_nat_ways_grow(PlNat *nat); /* both, for twice as many */
/* The places of a flow, which knows its hashes, in both tables; the router's own is in one. */
void pl_nat_ways_add(PlNat *nat, const Way *way);
void pl_nat_ways_remove(PlNat *nat, uint32_t flow);
/* What both ways of a flow know is added to it. */
void pl_nat_ways_life(const PlNat *nat, uint32_t flow, Life *life);
/* NULL: there is none. Valid until a flow comes or goes. */
Way *pl_nat_way_out(const PlNat *nat, uint8_t protocol, Endpoint inside, Endpoint remote);
Way *pl_nat_way_in(const PlNat *nat, uint8_t protocol, Endpoint external, Endpoint remote);

static inline uint32_t nat_flow_out(const PlNat *nat, uint8_t protocol, Endpoint inside,
                                    Endpoint remote)
{
    const Way *way = pl_nat_way_out(nat, protocol, inside, remote);

    return way ? way->flow : NONE;
}

static inline uint32_t nat_flow_in(const PlNat *nat, uint8_t protocol, Endpoint external,
                                   Endpoint remote)
{
    const Way *way = pl_nat_way_in(nat, protocol, external, remote);

    return way ? way->flow : NONE;
}

/* nat_table.c: what is there. */

/* An array with room for so many entries; one of entries with room for twice as many. */
void *pl_nat_room(gsize room, gsize size);
void *pl_nat_grow(void *entries, gsize size, uint32_t *room);
void pl_nat_tables_init(PlNat *nat);
void pl_nat_tables_clear(PlNat *nat);
Endpoint pl_nat_external(const PlNat *nat, const Mapping *mapping);
static inline PlHost nat_way_remote(const PlNat *nat, const Way *way)
{
    return way->v6 ? nat->flows[way->flow].remote : pl_host_ipv4(way->remote);
}

static inline uint32_t nat_course_mapping(const PlNat *nat, const Course *course)
{
    return course->at ? nat->flows[course->way.flow].mapping : course->mapping;
}

/* A course in its table. */
static inline Course nat_course_at(Way *way)
{
    return (Course){.way = *way, .at = way, .mapping = NONE};
}

/* Index of an external address, or NONE. */
uint32_t pl_nat_find_external(const PlNat *nat, PlHost host);
/* Of a mapping, a flow, or both; it stands nowhere. */
Course pl_nat_course(const PlNat *nat, uint32_t flow, uint32_t mapping);
Life pl_nat_life(const PlNat *nat, uint32_t mapping);
/* With the dependence that new mappings have; by the part of `remote` that this depends on. NONE:
 * there is none. */
uint32_t pl_nat_mapping_out(const PlNat *nat, uint8_t protocol, Endpoint inside, Endpoint remote,
                            PlMapping dependence);
uint32_t pl_nat_mapping_in(const PlNat *nat, uint8_t protocol, Endpoint external);
/* NONE: no room. A mapping has a place in all tables from its beginning. */
uint32_t pl_nat_mapping_add(PlNat *nat, const Mapping *mapping);
uint32_t pl_nat_flow_add(PlNat *nat, const Flow *flow);
void pl_nat_mapping_remove(PlNat *nat, uint32_t index);
void pl_nat_flow_remove(PlNat *nat, uint32_t index);
/* This one is found first from now on, among those with the same external endpoint. */
void pl_nat_mapping_front(PlNat *nat, uint32_t index);

/* nat_subscribers.c: who has mappings. */
uint32_t pl_nat_subscriber(PlNat *nat, PlHost host);     /* found or made; NONE: no block is left */
void pl_nat_subscriber_take(PlNat *nat, uint32_t index); /* one mapping more */
void pl_nat_subscriber_release(PlNat *nat, uint32_t index); /* one fewer */
void pl_nat_subscriber_settle(PlNat *nat, uint32_t index);  /* forgotten if it has nothing */

/* nat_timer.c: what ends, and when. */
void pl_nat_timer_set(PlNat *nat, uint32_t what, uint64_t at_ns);
void pl_nat_timer_remove(PlNat *nat, uint32_t what);
void pl_nat_expire(PlNat *nat, uint64_t now);
/* A packet keeps the mapping (of TCP: the flow) alive. */
void pl_nat_refresh(PlNat *nat, const Course *course, uint64_t now);
/* A packet has answered the mapping's first one. */
void pl_nat_reply(PlNat *nat, const Course *course);

/* nat_ports.c: a free external endpoint for a new mapping; FALSE: none is left. `kept`: it may keep
 * the inside port. Where only its remote stands against that, it becomes a mapping for that alone.
 */
bool pl_nat_allocate(PlNat *nat, Mapping *mapping, bool kept);
void pl_nat_port_take(PlNat *nat, const Mapping *mapping);
void pl_nat_port_release(PlNat *nat, const Mapping *mapping);
void pl_nat_ports_init(PlNat *nat);
void pl_nat_ports_clear(PlNat *nat);
/* Which static forward has an external port; NONE: none. */
uint32_t pl_nat_forward(const PlNat *nat, uint8_t protocol, uint16_t port);

/* nat_map.c: what a packet belongs to. */
typedef enum { FOUND, MADE, REFUSED } Found;
/* REFUSED has been counted. */
Found pl_nat_map_out(PlNat *nat, const PlIp *ip, uint64_t now, Course *ret_course);
typedef enum {
    IN_FOUND,    /* a mapping, and perhaps a flow */
    IN_ROUTER,   /* the router's own flow */
    IN_STRANGER, /* counted as filtered or unmapped */
    IN_REFUSED,  /* counted */
} In;
In pl_nat_map_in(PlNat *nat, const PlIp *ip, uint64_t now, Course *ret_course);
/* What comes from `remote` for a static forward: its flow is found, or made. */
In pl_nat_map_forward(PlNat *nat, const PlIp *ip, uint32_t forward, Endpoint remote, uint64_t now,
                      uint32_t *ret_flow);
/* Answers to what came in by a mapping that depends on the destination go out by it: by the flow
 * that this adds; NONE: by none, or one that there is. */
uint32_t pl_nat_note_in(PlNat *nat, uint32_t mapping, Endpoint remote);
/* The router has taken a packet in. */
void pl_nat_poison(PlNat *nat, const PlIp *ip, uint64_t now);

/* nat_tcp.c */
void pl_nat_tcp(Flow *flow, uint8_t flags, bool outbound);
uint64_t pl_nat_timeout(const PlNat *nat, uint8_t protocol, const Flow *flow);

/* A packet on its way through. */
typedef struct Pass {
    PlNat *nat;
    PlSide side, to;
    PlDatagram *datagram;
    PlIp ip;
    uint64_t now;
    bool answered; /* what goes out is not the packet, but what the router says to it */
} Pass;

/* nat_in.c: what comes from outside; nat_hairpin.c: what is turned around. */
PlNatOutcome pl_nat_inbound(Pass *pass);
PlNatOutcome pl_nat_hairpin(Pass *pass);
/* nat_icmp.c: errors, with the packet that they quote (RFC 5508 §4). */
PlNatOutcome pl_nat_icmp_error(Pass *pass);
/* Whether the protocol may pass at all; else it is counted. */
bool pl_nat_passes(PlNat *nat, const PlIp *ip);

/* nat_fragments.c */
/* What became of a first fragment becomes of the others; `was`: as it came. */
void pl_nat_fragment_first(const Pass *pass, const PlIp *was, PlNatOutcome outcome);
PlNatOutcome pl_nat_fragment_later(Pass *pass);
PlDatagram *pl_nat_fragment_poll(PlNat *nat, PlSide *ret_side);
void pl_nat_fragments_expire(PlNat *nat, uint64_t now);
Fragments *pl_nat_fragments_free(Fragments *fragments);

/* nat_payload.c: PlQuirks.rewrite_payload. */
void pl_nat_rewrite_payload(uint8_t *bytes, const PlIp *ip, PlHost from, PlHost to);

static inline bool nat_is_icmp(uint8_t protocol)
{
    return protocol == PL_IP_ICMP || protocol == PL_IP_ICMPV6;
}

/* The two ends of a packet. ICMP queries have one identifier, and it is the inside's. */
static inline Endpoint nat_remote(const PlIp *ip, PlHost host, uint16_t port)
{
    return (Endpoint){host, nat_is_icmp(ip->protocol) ? 0 : port};
}
