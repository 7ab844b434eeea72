/* SPDX-License-Identifier: MIT */
/* Sessions as their owner sees them, and what time does to them; see session.h. */
#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "session_private.h"

PhSessions *ph_sessions_do_new(const PhSessionsConfig *config)
{
    static const uint8_t none[PH_SESSION_KEY_BYTES];
    PhSessions *sessions;

    if (config->sessions_max == 0 || config->sessions_max > PH_SESSIONS_MAX ||
        sodium_memcmp(config->secret, none, sizeof(none)) == 0)
        return NULL;
    sessions = calloc(1, sizeof(*sessions));
    if (!sessions)
        return NULL;
    sessions->config = *config;
    ph_random_init(&sessions->random, config->seed);
    ph_random_bytes(&sessions->random, sessions->hash_key, sizeof(sessions->hash_key));
    ph_random_bytes(&sessions->random, sessions->cookie_secret, sizeof(sessions->cookie_secret));
    if (crypto_scalarmult_base(sessions->public_key, config->secret) != 0 ||
        !ph_session_table_init(sessions))
        return ph_sessions_free(sessions);
    ph_session_derive(sessions, "pinhole mac1", sessions->public_key, sessions->mac1_key);
    ph_session_derive(sessions, "pinhole cookie", sessions->public_key, sessions->cookie_key);
    return sessions;
}

PhSessions *ph_sessions_free(PhSessions *sessions)
{
    if (!sessions)
        return NULL;
    ph_session_table_free(sessions);
    sodium_memzero(sessions, sizeof(*sessions));
    free(sessions);
    return NULL;
}

const uint8_t *ph_sessions_public_key(const PhSessions *sessions)
{
    return sessions->public_key;
}

const PhSessionsCounters *ph_sessions_counters(const PhSessions *sessions)
{
    return &sessions->counters;
}

bool ph_route_equal(const PhRoute *a, const PhRoute *b)
{
    if (a->via != 0 || b->via != 0)
        return a->via == b->via && a->relay == b->relay;
    return a->path.transport == b->path.transport && a->path.socket == b->path.socket &&
           ph_address_equal(&a->path.remote, &b->path.remote);
}

/* ---- the owner's calls ---- */

uint32_t ph_sessions_do_open(PhSessions *sessions,
                             const uint8_t remote_key[static PH_SESSION_KEY_BYTES],
                             const PhRoute *route, const uint8_t *payload, size_t length,
                             uint64_t now)
{
    PhSession *session;

    if (length > PH_SESSION_PAYLOAD_MAX ||
        memcmp(remote_key, sessions->public_key, PH_SESSION_KEY_BYTES) == 0)
        return 0;
    session = ph_session_add(sessions, remote_key);
    if (!session) {
        sessions->counters.refused_full++;
        return 0;
    }
    session->route = *route;
    if (!ph_session_ask(sessions, session, route, /* rekey= */ false, payload, length, now)) {
        ph_session_remove(sessions, session);
        return 0;
    }
    sessions->counters.opened++;
    return session->id;
}

void ph_sessions_do_also(PhSessions *sessions, uint32_t id, const PhRoute *route, uint64_t now)
{
    PhSession *session = ph_session_by_id(sessions, id);

    (void)now;
    if (session && ph_session_ask_of(sessions, session)->active)
        ph_session_ask_also(sessions, session, route);
}

void ph_sessions_do_end_with(PhSessions *sessions, uint32_t id, const PhMessage *last, uint64_t now)
{
    PhSession *session = ph_session_by_id(sessions, id);

    if (!session)
        return;
    /* Nobody has shown yet that it receives what is sent to the route of one that is not confirmed.
     */
    if (last && session->state == PH_SESSION_STATE_CONFIRMED)
        ph_session_say(sessions, session, last, now);
    sessions->counters.closed++;
    ph_session_remove(sessions, session);
}

void ph_sessions_do_close(PhSessions *sessions, uint32_t id, uint64_t now)
{
    const PhMessage message = {.kind = PH_MESSAGE_CLOSE, .reason = PH_REASON_GOODBYE};

    ph_sessions_do_end_with(sessions, id, &message, now);
}

bool ph_sessions_do_is_up(const PhSessions *sessions, uint32_t id)
{
    const PhSession *session = ph_session_by_id(sessions, id);

    return session && (session->state == PH_SESSION_STATE_CONFIRMED ||
                       session->state == PH_SESSION_STATE_UNCONFIRMED);
}

/* A session that nobody confirmed may be a replay's. */
static unsigned rank(const PhSession *session)
{
    return session->state == PH_SESSION_STATE_CONFIRMED     ? 3
           : session->state == PH_SESSION_STATE_UNCONFIRMED ? 2
           : session->state == PH_SESSION_STATE_ASKING      ? 1
                                                            : 0;
}

uint32_t ph_sessions_do_find(const PhSessions *sessions,
                             const uint8_t remote_key[static PH_SESSION_KEY_BYTES])
{
    const PhSession *best = NULL;

    for (const PhSession *s = NULL; (s = ph_session_of_key(sessions, s, remote_key));)
        if (rank(s) > 0 &&
            (!best || rank(s) > rank(best) || (rank(s) == rank(best) && s->id > best->id)))
            best = s;
    return best ? best->id : 0;
}

const uint8_t *ph_sessions_do_remote_key(const PhSessions *sessions, uint32_t id)
{
    const PhSession *session = ph_session_by_id(sessions, id);

    return session ? session->remote_key : NULL;
}

/* ---- packets ---- */

void ph_session_queue(PhSessions *sessions, const PhRoute *route, const uint8_t *bytes,
                      size_t length)
{
    PhQueued *queued;

    /* Whatever is lost here is repeated, as what is lost anywhere. */
    if (sessions->n_queued == PH_TRANSMITS)
        return;
    queued = &sessions->queue[(sessions->first_queued + sessions->n_queued++) % PH_TRANSMITS];
    assert(length <= sizeof(queued->bytes));
    queued->route = *route;
    queued->length = length;
    memcpy(queued->bytes, bytes, length);
}

bool ph_sessions_do_poll_transmit(PhSessions *sessions, PhRoute *ret_route,
                                  const uint8_t **ret_bytes, size_t *ret_length)
{
    const PhQueued *queued = &sessions->queue[sessions->first_queued];

    if (sessions->n_queued == 0)
        return false;
    sessions->first_queued = (sessions->first_queued + 1) % PH_TRANSMITS;
    sessions->n_queued--;
    *ret_route = queued->route;
    *ret_bytes = queued->bytes;
    *ret_length = queued->length;
    return true;
}

bool ph_session_is_packet(const uint8_t *bytes, size_t length)
{
    return length >= 4 && bytes[0] >= PH_PACKET_REQUEST && bytes[0] <= PH_PACKET_CARRYING &&
           bytes[1] == 0 && bytes[2] == 0 && bytes[3] == 0;
}

static bool has_length(uint8_t type, size_t length)
{
    switch (type) {
    case PH_PACKET_REQUEST:
        return length == PH_REQUEST_BYTES;
    case PH_PACKET_RESPONSE:
        return length >= PH_RESPONSE_MIN_BYTES && length <= PH_RESPONSE_MAX_BYTES;
    case PH_PACKET_COOKIE:
        return length == PH_COOKIE_PACKET_BYTES;
    case PH_PACKET_CARRYING:
        return length >= PH_SESSION_OVERHEAD + PH_CARRYING_MIN_BYTES && length <= PH_DATAGRAM_MAX;
    default:
        return length >= PH_SESSION_OVERHEAD && length <= PH_DATAGRAM_MAX;
    }
}

void ph_sessions_do_receive(PhSessions *sessions, const PhRoute *route, const uint8_t *bytes,
                            size_t length, uint64_t now, PhSessionInput *ret_input)
{
    *ret_input = (PhSessionInput){.kind = PH_SESSION_NOTHING};
    if (sessions->pending.active)
        ph_session_forget_pending(sessions);
    if (!ph_session_is_packet(bytes, length) || !has_length(bytes[0], length)) {
        sessions->counters.dropped_malformed++;
        return;
    }
    switch (bytes[0]) {
    case PH_PACKET_REQUEST:
        ph_session_receive_request(sessions, route, bytes, now, ret_input);
        if (!sessions->pending.active)
            ph_session_forget_pending(sessions);
        break;
    case PH_PACKET_RESPONSE:
        ph_session_receive_response(sessions, route, bytes, length, now, ret_input);
        break;
    case PH_PACKET_COOKIE:
        ph_session_receive_cookie(sessions, route, bytes, now);
        break;
    default:
        ph_session_receive_data(sessions, route, bytes, length, now, ret_input);
        break;
    }
}

/* ---- time ---- */

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t due(const PhSessions *sessions, const PhSession *session)
{
    const PhAsk *ask = ph_session_ask_of(sessions, session);
    uint64_t next = UINT64_MAX;

    if (ask->active)
        next = least(ask->repeat_ns, ask->begun_ns + PH_ASK_NS);
    switch (session->state) {
    case PH_SESSION_STATE_UNCONFIRMED:
        return least(next, session->current.made_ns + PH_CONFIRM_NS);
    case PH_SESSION_STATE_CONFIRMED:
        if (session->current.initiator && !ask->active)
            next = least(next, session->rekey_ns);
        if (session->previous.own_index != 0)
            next = least(next, session->previous.made_ns + PH_REJECT_NS);
        return least(next, session->current.made_ns + PH_REJECT_NS);
    case PH_SESSION_STATE_REPLACED:
        return session->replaced_ns + PH_LINGER_NS;
    case PH_SESSION_STATE_ASKING:
    case PH_SESSION_STATE_FREE:
        break;
    }
    return next;
}

void ph_session_reschedule(PhSessions *sessions, PhSession *session)
{
    ph_session_set_due(sessions, session, due(sessions, session));
}

static void wake_ask(PhSessions *sessions, PhSession *session, uint64_t now)
{
    PhAsk *ask = ph_session_ask_of(sessions, session);

    if (now < ask->begun_ns + PH_ASK_NS) {
        ph_session_repeat_ask(sessions, session, now);
    } else if (ask->rekey) {
        /* With another date and other keys again at once, as long as the old keys are good. */
        ph_session_stop_asking(sessions, session);
    } else {
        sessions->counters.failed++;
        ph_session_end(sessions, session, ph_reason_name(PH_REASON_TIMEOUT));
    }
}

/* One thing after the other: what is due at the same time comes in the next round. */
static void wake(PhSessions *sessions, PhSession *session, uint64_t now)
{
    const PhAsk *ask = ph_session_ask_of(sessions, session);
    bool confirmed = session->state == PH_SESSION_STATE_CONFIRMED;

    if (session->state == PH_SESSION_STATE_REPLACED) {
        ph_session_end(sessions, session, "replaced");
    } else if (session->state == PH_SESSION_STATE_UNCONFIRMED) {
        sessions->counters.failed++;
        ph_session_end(sessions, session, ph_reason_name(PH_REASON_TIMEOUT));
    } else if (confirmed && now >= session->current.made_ns + PH_REJECT_NS) {
        ph_session_end(sessions, session, ph_reason_name(PH_REASON_TIMEOUT));
    } else if (confirmed && session->previous.own_index != 0 &&
               now >= session->previous.made_ns + PH_REJECT_NS) {
        sodium_memzero(&session->previous, sizeof(session->previous));
        ph_session_reschedule(sessions, session);
    } else if (ask->active) {
        uint32_t id = session->id;

        wake_ask(sessions, session, now);
        if (session->id == id)
            ph_session_reschedule(sessions, session);
    } else if (!ph_session_ask(sessions, session, &session->route, /* rekey= */ true, NULL, 0,
                               now)) {
        /* A key that was good for a handshake is good for the next one. */
        assert(!"a request cannot be made");
    }
}

/* As much as there is room to say; next_timeout is due for the rest. */
void ph_sessions_do_handle_timeout(PhSessions *sessions, uint64_t now)
{
    if (sessions->pending.active)
        ph_session_forget_pending(sessions);
    while (sessions->n_heap > 0 && sessions->heap[0]->due_ns <= now &&
           sessions->n_queued + PH_ASK_ROUTES <= PH_TRANSMITS && ph_session_may_end(sessions, 1))
        wake(sessions, sessions->heap[0], now);
}

uint64_t ph_sessions_do_next_timeout(const PhSessions *sessions)
{
    return sessions->n_heap > 0 ? sessions->heap[0]->due_ns : UINT64_MAX;
}

void ph_sessions_do_poll(PhSessions *sessions, PhSessionInput *ret_input)
{
    const PhEnded *ended = &sessions->ended[sessions->first_ended];

    *ret_input = (PhSessionInput){.kind = PH_SESSION_NOTHING};
    if (sessions->n_ended == 0)
        return;
    *ret_input =
        (PhSessionInput){.kind = PH_SESSION_GONE, .session = ended->id, .reason = ended->reason};
    memcpy(ret_input->remote_key, ended->remote_key, PH_SESSION_KEY_BYTES);
    sessions->first_ended = (sessions->first_ended + 1) % (sessions->config.sessions_max + 1);
    sessions->n_ended--;
}
