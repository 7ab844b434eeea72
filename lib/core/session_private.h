/* SPDX-License-Identifier: MIT */
/* What the files of a PhSessions share. docs/protocol.md has the packets. */
#pragma once

#include "bucket.h"
#include "message.h"
#include "noise.h"
#include "random.h"
#include "session.h"
#include "session_replay.h"

#define PH_PACKET_REQUEST  0xc1
#define PH_PACKET_RESPONSE 0xc2
#define PH_PACKET_COOKIE   0xc3
#define PH_PACKET_DATA     0xc4
#define PH_PACKET_CARRYING 0xc5

#define PH_MAC_BYTES    16
#define PH_COOKIE_BYTES 16
#define PH_DATE_BYTES   12 /* seconds and nanoseconds since 1970 */
#define PH_HEADER_BYTES 16 /* of a data packet */
/* What is sealed of a message that carries somebody else's data packet: its kind, the channel, and
 * the header of that packet. The rest is sealed already, and is only authenticated once more. */
#define PH_CARRYING_PLAIN_BYTES (1 + 4 + PH_HEADER_BYTES)
#define PH_CARRYING_MIN_BYTES   (1 + 4 + PH_SESSION_OVERHEAD) /* of such a message */

/* Inside a request: the date, the index of the keys that are renewed, the payload's length, the
 * payload, zeros. All requests are equally long: longer than any response, so that nobody has more
 * sent to an address than was spent on it. */
#define PH_REQUEST_PLAIN_BYTES (PH_DATE_BYTES + 4 + 2 + PH_SESSION_PAYLOAD_MAX)
#define PH_REQUEST_MAC1        (8 + PH_NOISE_FIRST_BYTES + PH_REQUEST_PLAIN_BYTES)
#define PH_REQUEST_MAC2        (PH_REQUEST_MAC1 + PH_MAC_BYTES)
#define PH_REQUEST_BYTES       (PH_REQUEST_MAC2 + PH_MAC_BYTES)
#define PH_RESPONSE_MIN_BYTES  (12 + PH_NOISE_SECOND_BYTES + PH_MAC_BYTES)
#define PH_RESPONSE_MAX_BYTES  (PH_RESPONSE_MIN_BYTES + PH_SESSION_PAYLOAD_MAX)
#define PH_COOKIE_PACKET_BYTES (8 + 24 + PH_COOKIE_BYTES + 16)
_Static_assert(PH_RESPONSE_MAX_BYTES <= PH_REQUEST_BYTES,
               "an answer is no longer than its request");

/* WireGuard (Donenfeld, NDSS 2017, §6.1) has the same times. */
#define PH_REKEY_NS  (120 * PH_SECOND)
#define PH_REJECT_NS (180 * PH_SECOND)
/* Up to that much earlier, so that a hub's nodes do not come all at once. */
#define PH_REKEY_JITTER_NS (12 * PH_SECOND)
/* Packets under one key. ChaChaPoly would bear 2^62 (RFC 9001 §6.6); fresh keys each gigabyte cost
 * nothing that could be measured. */
#define PH_REKEY_PACKETS  (UINT64_C(1) << 20)
#define PH_REJECT_PACKETS (UINT64_C(1) << 60)
/* A request is repeated after, doubling, and given up after. */
#define PH_ASK_FIRST_NS (PH_SECOND / 4)
#define PH_ASK_NS       (5 * PH_SECOND)
/* How long a responder waits for the packet that confirms: as long as requests are repeated, and as
 * long as a packet may be underway. */
#define PH_CONFIRM_NS (10 * PH_SECOND)
/* A session that another one took the place of still opens what is underway. */
#define PH_LINGER_NS (5 * PH_SECOND)

#define PH_ASK_ROUTES 17 /* 16 candidates, and by way of a relay */
/* An attacker on the path could make us repeat a request with cookies of its own. */
#define PH_ASK_COOKIES     4
#define PH_TRANSMITS       64   /* packets waiting to be polled */
#define PH_SESSION_SOURCES 4096 /* buckets */
#define PH_SESSIONS_MAX    (1U << 20)

/* The keys that one handshake gave. All zero: none. */
typedef struct PhSessionKeys {
    uint32_t own_index; /* packets to us have it; 0: there are no keys */
    uint32_t peer_index;
    bool initiator; /* we asked, so we renew them */
    uint8_t send[PH_NOISE_KEY_BYTES], receive[PH_NOISE_KEY_BYTES];
    uint64_t made_ns, sent;
    PhReplay replay;
} PhSessionKeys;

typedef enum {
    PH_SESSION_STATE_FREE,
    PH_SESSION_STATE_ASKING,
    PH_SESSION_STATE_UNCONFIRMED, /* we answered */
    PH_SESSION_STATE_CONFIRMED,
    PH_SESSION_STATE_REPLACED, /* opens packets, seals none */
} PhSessionState;

typedef struct PhSession {
    PhSessionState state;
    uint32_t id;
    uint8_t remote_key[PH_SESSION_KEY_BYTES];
    PhRoute route; /* of the newest authentic packet */
    /* Packets are sealed with the current keys; what comes is opened with any. The next ones were
     * asked for by the other side, which has not used them yet. */
    PhSessionKeys previous, current, next;
    uint8_t date[PH_DATE_BYTES]; /* of the other side's newest request */
    uint64_t rekey_ns, replaced_ns;
    uint64_t due_ns;
    uint32_t heap_at;
    struct PhSession *next_by_key, *next_by_id; /* the next in a chain of a hash table */
    struct PhSession *older, *newer;            /* unconfirmed */
    struct PhSession *next_free;
} PhSession;

typedef struct PhAskRoute {
    PhRoute route;
    uint8_t n_cookies; /* that came; the last one is in use */
    uint8_t cookie[PH_COOKIE_BYTES];
} PhAskRoute;

/* A request of ours that is not answered yet. */
typedef struct PhAsk {
    bool active, rekey;
    uint32_t own_index;
    PhNoise noise;
    uint8_t packet[PH_REQUEST_BYTES]; /* without mac2 */
    uint64_t begun_ns, repeat_ns, interval_ns;
    PhAskRoute routes[PH_ASK_ROUTES];
    uint32_t n_routes;
} PhAsk;

/* The response to a request, which may have been lost: it is sent again when the same request
 * comes again, as long as it is not confirmed. */
typedef struct PhAnswer {
    uint8_t request_mac1[PH_MAC_BYTES];
    uint8_t packet[PH_RESPONSE_MAX_BYTES];
    size_t length; /* 0: none */
} PhAnswer;

typedef struct PhQueued {
    PhRoute route;
    size_t length;
    uint8_t bytes[PH_REQUEST_BYTES];
} PhQueued;

typedef struct PhEnded {
    uint32_t id;
    uint8_t remote_key[PH_SESSION_KEY_BYTES];
    const char *reason;
} PhEnded;

/* The newest request's date of a key whose session is over. */
typedef struct PhDated {
    uint8_t key[PH_SESSION_KEY_BYTES];
    uint8_t date[PH_DATE_BYTES];
    uint64_t noted; /* order; 0: free */
} PhDated;

/* A request that was told to the owner, who may accept it now. */
typedef struct PhPending {
    bool active;
    PhNoise noise;
    PhRoute route;
    uint32_t peer_index;
    uint8_t date[PH_DATE_BYTES], mac1[PH_MAC_BYTES];
} PhPending;

struct PhSessions {
    PhSessionsConfig config;
    uint8_t public_key[PH_SESSION_KEY_BYTES];
    uint8_t mac1_key[32], cookie_key[32]; /* made of our public key */
    uint8_t cookie_secret[32], hash_key[16];
    PhRandom random;
    PhSessionsCounters counters;
    uint64_t last_date_ns; /* of a request of ours */

    /* The table. Of each slot what it has to do with handshakes stands apart: most never touch it.
     */
    PhSession *slots;
    PhAsk *asks;
    PhAnswer *answers;
    PhSession **by_key, **by_id, **heap;
    PhSession *free_slots, *oldest, *newest; /* unconfirmed */
    uint32_t n_heap, slot_bits, last_id;
    uint32_t n_touched; /* slots that were ever in use; the others are memory that nobody touched */
    PhEnded *ended;     /* a ring */
    uint32_t n_ended, first_ended;
    PhDated *dated;
    uint64_t n_noted;

    uint64_t handshakes_ns, sources_ns[PH_SESSION_SOURCES]; /* buckets */

    PhQueued queue[PH_TRANSMITS]; /* a ring */
    uint32_t n_queued, first_queued;
    PhPending pending;
    uint8_t opened[PH_DATAGRAM_MAX]; /* what the last packet had in it */
};

/* ---- behind session_tape.c: as in session.h ---- */

PhSessions *ph_sessions_do_new(const PhSessionsConfig *config);
uint32_t ph_sessions_do_open(PhSessions *sessions,
                             const uint8_t remote_key[static PH_SESSION_KEY_BYTES],
                             const PhRoute *route, const uint8_t *payload, size_t length,
                             uint64_t now);
void ph_sessions_do_also(PhSessions *sessions, uint32_t session, const PhRoute *route,
                         uint64_t now);
uint32_t ph_sessions_do_accept(PhSessions *sessions, const uint8_t *payload, size_t length,
                               uint64_t now);
void ph_sessions_do_close(PhSessions *sessions, uint32_t session, uint64_t now);
void ph_sessions_do_end_with(PhSessions *sessions, uint32_t session, const PhMessage *last,
                             uint64_t now);
bool ph_sessions_do_is_up(const PhSessions *sessions, uint32_t session);
uint32_t ph_sessions_do_find(const PhSessions *sessions,
                             const uint8_t remote_key[static PH_SESSION_KEY_BYTES]);
const uint8_t *ph_sessions_do_remote_key(const PhSessions *sessions, uint32_t session);
void ph_sessions_do_receive(PhSessions *sessions, const PhRoute *route, const uint8_t *bytes,
                            size_t length, uint64_t now, PhSessionInput *ret_input);
size_t ph_sessions_do_seal(PhSessions *sessions, uint32_t session, const uint8_t *bytes,
                           size_t length, uint64_t now, uint8_t ret_packet[static PH_DATAGRAM_MAX]);
bool ph_sessions_do_poll_transmit(PhSessions *sessions, PhRoute *ret_route,
                                  const uint8_t **ret_bytes, size_t *ret_length);
void ph_sessions_do_poll(PhSessions *sessions, PhSessionInput *ret_input);
void ph_sessions_do_handle_timeout(PhSessions *sessions, uint64_t now);
uint64_t ph_sessions_do_next_timeout(const PhSessions *sessions);

/* ---- session_table.c ---- */

bool ph_session_table_init(PhSessions *sessions);
void ph_session_table_free(PhSessions *sessions);
PhSession *ph_session_by_id(const PhSessions *sessions, uint32_t id);
/* Of the slot that an index belongs to, if there is anything in it. */
PhSession *ph_session_by_index(const PhSessions *sessions, uint32_t index);
/* The sessions with a key, one after the other: NULL begins, NULL ends. */
PhSession *ph_session_of_key(const PhSessions *sessions, const PhSession *after,
                             const uint8_t key[static PH_SESSION_KEY_BYTES]);
/* A new one; NULL when there is no room, not even for the oldest that is not confirmed. */
PhSession *ph_session_add(PhSessions *sessions, const uint8_t key[static PH_SESSION_KEY_BYTES]);
/* Ends it, without a word or (there must be room) with one to the owner. */
void ph_session_remove(PhSessions *sessions, PhSession *session);
void ph_session_end(PhSessions *sessions, PhSession *session, const char *reason);
bool ph_session_may_end(const PhSessions *sessions, uint32_t n);
void ph_session_set_state(PhSessions *sessions, PhSession *session, PhSessionState state);
/* An index that leads to the session, and that none of its keys has. */
uint32_t ph_session_make_index(PhSessions *sessions, const PhSession *session);
void ph_session_set_due(PhSessions *sessions, PhSession *session, uint64_t due_ns);
PhAsk *ph_session_ask_of(const PhSessions *sessions, const PhSession *session);
PhAnswer *ph_session_answer_of(const PhSessions *sessions, const PhSession *session);
/* Whether a request of that key is newer than all that are remembered. */
bool ph_session_is_newer(const PhSessions *sessions, const uint8_t key[static PH_SESSION_KEY_BYTES],
                         const uint8_t date[static PH_DATE_BYTES]);

/* ---- session_cookie.c ---- */

/* A key made of a public one and of the psk: who lacks either can do nothing with it. */
void ph_session_derive(const PhSessions *sessions, const char *label,
                       const uint8_t key[static PH_SESSION_KEY_BYTES], uint8_t ret_key[static 32]);
void ph_session_mac(const uint8_t *key, size_t key_length, const uint8_t *bytes, size_t length,
                    uint8_t ret_mac[static PH_MAC_BYTES]);
/* mac1 of a packet to that key: over all before it. */
void ph_session_mac1(const PhSessions *sessions,
                     const uint8_t remote_key[static PH_SESSION_KEY_BYTES], uint8_t *packet,
                     size_t at);
bool ph_session_check_mac1(const PhSessions *sessions, const uint8_t *packet, size_t at);
/* Whether a request (with the right mac1) may cost us a handshake; if not, it may be answered by a
 * cookie. */
bool ph_session_admit(PhSessions *sessions, const PhRoute *route, const uint8_t *request,
                      uint64_t now);
void ph_session_receive_cookie(PhSessions *sessions, const PhRoute *route, const uint8_t *packet,
                               uint64_t now);

/* ---- session_handshake.c ---- */

/* Makes a request and sends it; false: the remote key is none. */
bool ph_session_ask(PhSessions *sessions, PhSession *session, const PhRoute *route, bool rekey,
                    const uint8_t *payload, size_t length, uint64_t now);
void ph_session_ask_also(PhSessions *sessions, PhSession *session, const PhRoute *route);
void ph_session_repeat_ask(PhSessions *sessions, PhSession *session, uint64_t now);
void ph_session_send_ask(PhSessions *sessions, PhSession *session, PhAskRoute *route);
void ph_session_stop_asking(PhSessions *sessions, PhSession *session);
void ph_session_receive_request(PhSessions *sessions, const PhRoute *route, const uint8_t *packet,
                                uint64_t now, PhSessionInput *ret_input);
void ph_session_receive_response(PhSessions *sessions, const PhRoute *route, const uint8_t *packet,
                                 size_t length, uint64_t now, PhSessionInput *ret_input);
void ph_session_forget_pending(PhSessions *sessions);

/* ---- session_keys.c ---- */

/* The other side used the next keys. */
void ph_session_use_next(PhSessions *sessions, PhSession *session);
/* It is the one with its key from now on. */
void ph_session_confirm(PhSessions *sessions, PhSession *session, uint64_t now);
/* Of fresh keys that we asked for. */
void ph_session_plan_rekey(PhSessions *sessions, PhSession *session, uint64_t now);
/* Which packet a message goes in. */
uint8_t ph_session_packet_type(const uint8_t *message, size_t length);
/* Says something with the current keys, along the session's route. */
void ph_session_say(PhSessions *sessions, PhSession *session, const PhMessage *message,
                    uint64_t now);
void ph_session_receive_data(PhSessions *sessions, const PhRoute *route, const uint8_t *packet,
                             size_t length, uint64_t now, PhSessionInput *ret_input);

/* ---- session.c ---- */

bool ph_route_equal(const PhRoute *a, const PhRoute *b);
void ph_session_queue(PhSessions *sessions, const PhRoute *route, const uint8_t *bytes,
                      size_t length);
/* When it wants to be woken. */
void ph_session_reschedule(PhSessions *sessions, PhSession *session);
