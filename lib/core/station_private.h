/* SPDX-License-Identifier: MIT */
/* The station's parts: station.c (what comes in, time), station_registry.c (who is registered, and
 * where), station_limits.c (of an address), station_introduce.c, relay.c (what is relayed),
 * station_queue.c (what is to be sent), station_log.c (what it tells). */
#pragma once

#include <pinhole/station.h>

#include "bucket.h"
#include "directory.h"
#include "mediator.h"
#include "session.h"

#define PH_STATION_LIFETIME_S 90
#define PH_STATION_SOURCES    4096 /* addresses that are told apart; others share */

/* A message that waits to be sealed and sent. */
typedef struct PhPending {
    uint32_t next; /* a slot and 1 */
    uint16_t length;
    bool relayed;
    uint8_t bytes[PH_SESSION_PLAIN_MAX];
} PhPending;

/* What is limited for all nodes of an address together. */
typedef enum {
    PH_LIMIT_REGISTRATIONS,
    PH_LIMIT_CONNECTS,
    PH_LIMIT_INTRODUCTIONS,
    PH_LIMIT_RELAY,
    PH_LIMITS,
} PhLimit;

typedef struct PhStationSource {
    uint64_t full_ns[PH_LIMITS]; /* buckets */
    uint32_t nodes;              /* that are registered there */
} PhStationSource;

/* An introduction that waits for one of the two to show where it is. Numbers of entries. */
#define PH_STATION_HELD 64
typedef struct PhHeld {
    uint64_t until_ns;
    uint32_t from, to, request;
    uint8_t attempt;
    uint8_t key[PH_NODE_KEY_BYTES]; /* whom it asks for */
} PhHeld;

/* What is told, a ring; and what happened since the last minute began. */
#define PH_STATION_EVENTS 256
typedef struct PhStationLog {
    PhStationEvent events[PH_STATION_EVENTS];
    uint32_t first, n;
    uint32_t window; /* its number; 0: there was none */
    uint64_t begun_ns;
    uint32_t introductions, refused;
    bool hinted_refused, hinted_asker;
} PhStationLog;

struct PhStation {
    PhStationConfig config;
    PhStationCounters counters;
    PhSessions *sessions;
    PhDirectory directory;
    PhRandom random;
    uint64_t now;
    PhPending *pending; /* slots */
    uint32_t free_pending, n_pending,
        n_kept;                       /* kept: of nodes that are not sent to for the time being */
    uint32_t first_ready, last_ready; /* entries' slots and 1 */
    uint32_t *unconfirmed;            /* numbers of the newest ones, a ring */
    uint32_t n_unconfirmed, next_unconfirmed;
    PhStationSource *sources;
    uint8_t source_key[16];
    PhHeld held[PH_STATION_HELD]; /* in order */
    uint32_t n_held;
    PhStationLog log;
    uint64_t checked_ns; /* when entries were last looked through for those that are silent */
    uint8_t packet[PH_DATAGRAM_MAX];
};

/* ---- station.c ---- */

/* One wants another: what the asker is answered. The peer is told. */
PhMessage ph_station_connect(PhStation *station, PhEntry *from, const PhMessage *message);
/* Whom a CONNECT means; NULL: nobody that is there. */
PhEntry *ph_station_wanted(const PhStation *station, const PhMessage *message);
/* All messages of a datagram. The node may be gone after each. */
void ph_station_handle_all(PhStation *station, uint32_t number, const uint8_t *bytes,
                           size_t length);

/* ---- station_registry.c ---- */

/* Somebody asks for a session: the first message says who it is. */
void ph_station_request(PhStation *station, const PhRoute *route, const PhSessionInput *input);
/* Whose message that is, and that it came along there; what it claimed is its own now. NULL: it is
 * not registered, or not any more. */
PhEntry *ph_station_hear(PhStation *station, const PhRoute *route, const PhSessionInput *input);
/* It has sent a ping along that way. True: that is of its other family, and is answered there, if
 * it has shown that it is there; there is nothing else to be done. */
bool ph_station_pinged(PhStation *station, PhEntry *entry, const PhPath *path, uint64_t id);
/* What was not heard for too long is not there any more. */
void ph_station_expire_beside(const PhStation *station, PhEntry *entry);
/* It answered a ping along that way. */
void ph_station_ponged(PhStation *station, PhEntry *entry, const PhPath *path, uint64_t id);
/* A session ended by itself. */
void ph_station_session_gone(PhStation *station, const PhSessionInput *input);
void ph_station_forget(PhStation *station, PhEntry *entry);

/* ---- station_limits.c ---- */

bool ph_station_limits_init(PhStation *station);
/* The place of an address among the sources. */
uint32_t ph_station_source(const PhStation *station, const PhAddress *remote);
/* Whether one more may register from there; it does when `take`. */
PhReason ph_station_may_register(PhStation *station, uint32_t source, bool take);
/* Whether all of its address together may do so much more of that; it counts if so. */
bool ph_station_may(PhStation *station, const PhEntry *entry, PhLimit what, const PhRate *of_one,
                    uint32_t amount);

/* ---- station_queue.c ---- */

bool ph_station_queue_init(PhStation *station);
/* Queues a message for a node; false when there is no room for it. `relayed`: for somebody else's
 * sake: the node's own limit holds, and its oldest makes room. */
bool ph_station_tell(PhStation *station, PhEntry *to, const PhMessage *message, bool relayed);
/* Whether it is held, or what waits for it (or its ping) may be sent, is different now; or all of
 * that is nothing any more. */
void ph_station_queue_wake(PhStation *station, PhEntry *entry);
void ph_station_queue_clear(PhStation *station, PhEntry *entry);

/* ---- relay.c ---- */

void ph_station_relay(PhStation *station, PhEntry *from, const PhMessage *message);

/* ---- station_introduce.c ---- */

/* As the mediator sees it. */
PhMember ph_station_member(PhEntry *entry);
void ph_station_introduce(PhStation *station, PhEntry *from, const PhMessage *message);
/* Those that need not wait any more. */
void ph_station_introduce_held(PhStation *station);

/* ---- station_log.c ---- */

void ph_station_log_introduced(PhStation *station, PhEntry *from, const PhEntry *to,
                               uint8_t attempt);
void ph_station_log_refused(PhStation *station, PhEntry *from, const uint8_t *peer_key,
                            uint8_t attempt, PhReason reason);
