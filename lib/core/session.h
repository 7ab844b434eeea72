/* SPDX-License-Identifier: MIT */
/*
 * Sessions: authenticated, encrypted datagrams between two keys, whatever path they take. The
 * handshake is Noise IKpsk2 (noise.h); docs/protocol.md has the bytes.
 *
 *     NONE ──open──> ASKING ──response──> UP ──rekey due──> UP, with a handshake beside it
 *                      │ no answer           └── close, or nothing authentic for too long ──> gone
 *                      └──> gone
 *     request ──> (cookie, if we are flooded) ──> UP at the responder, "unconfirmed" until the
 * first packet that only the initiator can have made
 *
 * A session is between keys, not addresses: every authentic packet says along which route it came,
 * and its owner decides which route to use. Nothing is allocated for a packet that does not prove
 * that its sender knows our public key (mac1), and, when we are flooded, that it gets what is sent
 * to its address (mac2, a cookie).
 *
 * Two handshakes that cross: the session that was begun by the lower public key stays. The other
 * side, asked while it asks, is told REQUEST; accepting gives the id that its own open gave, whose
 * request is forgotten, and no UP follows.
 *
 * Keys are renewed inside a session: its id stays, and nobody is told. A session that is confirmed
 * takes the place of an older one with the same key, which still gives MESSAGEs for 5 s (it is not
 * up any more), and is GONE then. Memory is all taken in the beginning; when it is full, the oldest
 * session that is not confirmed makes room.
 *
 * After every call, poll_transmit and poll are to be called until they have nothing more.
 */
#pragma once

#include <pinhole/path.h>

#include "message.h"

#define PH_SESSION_KEY_BYTES 32
/* The most that a packet may have in it, and the most that we ever send in one datagram: what
 * passes everywhere (RFC 8200 §5: 1280, less IPv6 and UDP headers). */
#define PH_DATAGRAM_MAX 1232
/* type, three zero bytes, index, counter, tag */
#define PH_SESSION_OVERHEAD  32
#define PH_SESSION_PLAIN_MAX (PH_DATAGRAM_MAX - PH_SESSION_OVERHEAD)
/* Of the payload that goes with a handshake's messages. */
#define PH_SESSION_PAYLOAD_MAX   512
#define PH_SESSION_REPLAY_WINDOW 2048 /* packets */

/* The way a packet takes: a path, or another session whose other end carries it (a relay). */
typedef struct PhRoute {
    PhPath path;    /* when via is 0 */
    uint32_t via;   /* the session with the relay */
    uint32_t relay; /* there: the channel (message.h) that leads to the peer */
} PhRoute;

typedef struct PhSessions PhSessions;

typedef struct PhSessionsConfig {
    uint8_t seed[PH_SEED_BYTES];
    uint8_t secret[PH_SESSION_KEY_BYTES];
    uint8_t psk[PH_SESSION_KEY_BYTES]; /* all zero where there is none */
    uint64_t wall_ns; /* the wall clock (since 1970) when `now` is 0: handshakes are dated */
    uint32_t sessions_max;
    struct PhTape *tape;       /* record_private.h; NULL: nobody listens */
    uint32_t handshakes_per_s; /* answered without a cookie, all together; beyond that: cookies; 0:
                                  no limit */
} PhSessionsConfig;

typedef struct PhSessionsCounters {
    uint64_t opened, accepted, failed, closed, rekeyed;
    uint64_t sealed, unsealed;
    uint64_t cookies_sent, refused_full;
    uint64_t dropped_malformed, dropped_mac, dropped_stale, dropped_replay, dropped_unknown,
        dropped_forged, dropped_often;
} PhSessionsCounters;

/* What came of a packet. */
typedef enum {
    PH_SESSION_NOTHING, /* dropped, or the session's own business */
    PH_SESSION_REQUEST, /* somebody wants a session: ph_sessions_accept or nothing, before the next
                           call */
    PH_SESSION_UP,      /* ours is answered: the payload of the response */
    PH_SESSION_MESSAGE, /* a message */
    PH_SESSION_GONE, /* it ended: no answer, closed by the other side, or too old (from a timeout)
                      */
} PhSessionInputKind;

typedef struct PhSessionInput {
    PhSessionInputKind kind;
    uint32_t session; /* its id, never 0; ids are not used twice */
    uint8_t remote_key[PH_SESSION_KEY_BYTES];
    bool confirmed_now;   /* the first packet that proves a responder's session: its route is its
                             owner's */
    const uint8_t *bytes; /* the payload or message; valid until the next call */
    size_t length;
    const char *reason; /* GONE: static text */
} PhSessionInput;

/* NULL when there is no memory, or the secret is no key. */
PhSessions *ph_sessions_new(const PhSessionsConfig *config);
PhSessions *ph_sessions_free(PhSessions *sessions); /* NULL is fine; returns NULL */
const uint8_t *ph_sessions_public_key(const PhSessions *sessions);

/* Begins a session with a key along a route; the request is repeated until it is answered (first
 * after 250 ms, doubling; PH_SESSION_GONE after 5 s). 0 when there are too many, the payload is too
 * long, or the key is none or our own. With a session that is up it begins a new one beside it. */
uint32_t ph_sessions_open(PhSessions *sessions,
                          const uint8_t remote_key[static PH_SESSION_KEY_BYTES],
                          const PhRoute *route, const uint8_t *payload, size_t length,
                          uint64_t now);
/* Repeats the request along this route at once, too, and from now on (each candidate of a peer may
 * be tried; also while keys are renewed). */
void ph_sessions_also(PhSessions *sessions, uint32_t session, const PhRoute *route, uint64_t now);
/* Answers the request that was just told. 0 when there are too many. The session is up, but the
 * request may be a replay, if a rare one: what was confirmed before is to stay as it is until
 * `confirmed_now`. */
uint32_t ph_sessions_accept(PhSessions *sessions, const uint8_t *payload, size_t length,
                            uint64_t now);
/* Without GONE; a session that is confirmed says goodbye along the route that was heard of last. */
void ph_sessions_close(PhSessions *sessions, uint32_t session, uint64_t now);
/* The same, with this for a goodbye: a short message, or NULL. Of stations, which nobody records.
 */
void ph_sessions_end_with(PhSessions *sessions, uint32_t session, const PhMessage *last,
                          uint64_t now);
/* This one, and the key below, for tests alone: an owner is told both by what it receives. */
bool ph_sessions_is_up(const PhSessions *sessions, uint32_t session);
/* The newest session with a key that is confirmed; else one that is up; else one that is not yet;
 * 0: none. */
uint32_t ph_sessions_find(const PhSessions *sessions,
                          const uint8_t remote_key[static PH_SESSION_KEY_BYTES]);
const uint8_t *ph_sessions_remote_key(const PhSessions *sessions, uint32_t session);

/* Whether this is a packet of ours at all (and not STUN, which begins with two zero bits). */
bool ph_session_is_packet(const uint8_t *bytes, size_t length);
/* A packet came along a route. */
void ph_sessions_receive(PhSessions *sessions, const PhRoute *route, const uint8_t *bytes,
                         size_t length, uint64_t now, PhSessionInput *ret_input);
/* Seals a message; the packet's length, 0 when it cannot be (no such session, not up, too long). */
size_t ph_sessions_seal(PhSessions *sessions, uint32_t session, const uint8_t *bytes, size_t length,
                        uint64_t now, uint8_t ret_packet[static PH_DATAGRAM_MAX]);

/* Packets of handshakes, cookies and farewells that want to be sent along their routes. */
bool ph_sessions_poll_transmit(PhSessions *sessions, PhRoute *ret_route, const uint8_t **ret_bytes,
                               size_t *ret_length);
/* Sessions that ended by themselves: GONE, until NOTHING. */
void ph_sessions_poll(PhSessions *sessions, PhSessionInput *ret_input);
void ph_sessions_handle_timeout(PhSessions *sessions, uint64_t now);
uint64_t ph_sessions_next_timeout(const PhSessions *sessions);
const PhSessionsCounters *ph_sessions_counters(const PhSessions *sessions);
