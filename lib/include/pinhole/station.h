/* SPDX-License-Identifier: MIT */
/*
 * The station: what a public hub is beside a reflector. It keeps a directory of nodes by key and
 * name, introduces those who want to punch to each other (mediator), and relays between registered
 * keys what it cannot read. Pure, as path.h says; its packets and STUN can share sockets
 * (ph_station_is_packet).
 *
 * - One name has one owner, one key one registration; it ends when its session does, or 90 s after
 *   its node was heard last. Nothing of it is touched before who asks has shown that he is there.
 * - A node is where it answers: what is for it waits, as far as there is room, while its packets
 *   come from a place where it has not yet.
 * - Nothing is allocated for strangers before they prove that they know the station's key, and,
 * when it is flooded, that they get what is sent to their address.
 * - Introductions, connects and relayed bytes are limited per key and per address (IPv4 address,
 *   IPv6 /64); a refusal names its reason and comes at once.
 * - Candidates are passed on only as far as the station saw them itself, or as addresses of the
 *   asker's own network; nobody can have packets sent to a third party.
 */
#pragma once

#include <pinhole/classification.h>
#include <pinhole/path.h>

PH_BEGIN_DECLS

#define PH_STATION_KEY_BYTES 32

typedef struct PhStationConfig {
    uint8_t seed[PH_SEED_BYTES];
    uint8_t secret[PH_STATION_KEY_BYTES];
    uint8_t psk[PH_STATION_KEY_BYTES]; /* all zero: none */
    uint64_t wall_ns;                  /* since 1970, when `now` is 0 */
    /* Where nodes reach it, with a port: one address of IPv4, one of IPv6. Who has registered by
     * one family is told of the other. Family NONE: there is none, or nobody is told. */
    PhAddress addresses[2];
    uint32_t nodes_max;
    uint32_t introductions_per_10s; /* of one node; 4 in the documents */
    uint32_t introductions_at_once; /* 8 */
    uint32_t relay_bytes_per_s;     /* of one node; 0: no limit */
    uint32_t relay_queue_packets;   /* for one node; the oldest is dropped */
    /* Of all nodes of an address (IPv4 address or IPv6 /64) together: */
    uint32_t
        address_share; /* connects, introductions and relayed bytes as of so many; 0: no limit */
    uint32_t address_nodes; /* registered at a time; 0: no limit */
    uint32_t address_registrations_per_s, address_registrations_at_once; /* 0 a second: no limit */
    bool relays; /* false: directory and mediator only */
} PhStationConfig;

typedef struct PhStationCounters {
    uint64_t registered, expired, refused_name, refused_full, refused_often;
    uint64_t connects, unknown_peer;
    uint64_t introductions, introductions_refused;
    uint64_t relayed, relayed_bytes, relay_dropped_limit, relay_dropped_queue,
        relay_dropped_unknown;
    uint64_t
        limited_address; /* of what was refused or dropped: all of its address wanted too much */
} PhStationCounters;

typedef struct PhStation PhStation;

/* Sensible limits in a config that is else zero. */
PH_EXPORT void ph_station_config_init(PhStationConfig *ret_config);
/* NULL when there is no memory, or the config makes no sense. */
PH_EXPORT PhStation *ph_station_new(const PhStationConfig *config);
PH_EXPORT PhStation *ph_station_free(PhStation *station); /* NULL is fine; returns NULL */

PH_EXPORT bool ph_station_is_packet(const uint8_t *bytes, size_t length);
PH_EXPORT void ph_station_handle_datagram(PhStation *station, const PhPath *path,
                                          const uint8_t *bytes, size_t length, uint64_t now);
PH_EXPORT bool ph_station_poll_transmit(PhStation *station, PhTransmit *ret_transmit);
PH_EXPORT void ph_station_handle_timeout(PhStation *station, uint64_t now);
PH_EXPORT uint64_t ph_station_next_timeout(const PhStation *station);
PH_EXPORT const PhStationCounters *ph_station_counters(const PhStation *station);
/* How many of those who are registered say that they are behind NATs of each class. */
PH_EXPORT void ph_station_classes(const PhStation *station,
                                  uint64_t ret_nodes[PH_STATIC(PH_CLASS_N)]);

/* What comes of introductions, for a log. Who does not poll loses the oldest. */
typedef enum {
    PH_STATION_INTRODUCED,     /* who asked and whom for, each of whom has been told of the other */
    PH_STATION_NOT_INTRODUCED, /* the same, and `reason`. Of one node once a second at most */
    PH_STATION_HINT,           /* this mediator does too much: `reason`, and of one node: who */
} PhStationEventKind;

typedef struct PhStationEvent {
    PhStationEventKind kind;
    uint8_t key[PH_STATION_KEY_BYTES], peer_key[PH_STATION_KEY_BYTES]; /* all zero: nobody */
    char name[64], peer[64];                                           /* "": it has none */
    uint32_t attempt;
    uint32_t times;                /* so many of that */
    const char *reason, *sentence; /* static; NULL: there is none */
} PhStationEvent;
PH_EXPORT bool ph_station_poll_event(PhStation *station, PhStationEvent *ret_event);

/* Who is registered (and confirmed): calls until false, with one number that is 0 at first. */
typedef struct PhStationNode {
    uint8_t key[PH_STATION_KEY_BYTES];
    char name[64];
    PhAddress seen;
    PhAddress beside;  /* where it is in the other family; NONE: it has not shown that */
    uint8_t nat_class; /* PhClass */
    uint64_t relayed_bytes;
} PhStationNode;
PH_EXPORT bool ph_station_node(const PhStation *station, uint32_t *at, PhStationNode *ret_node);

PH_END_DECLS
