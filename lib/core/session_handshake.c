/* SPDX-License-Identifier: MIT */
/*
 * Requests and responses: Noise IKpsk2 in packets, with a date that no replay can have, and macs.
 * The same bytes are repeated until they are answered, and the same request gets the same response,
 * so that a handshake takes one round trip whatever is lost or comes by several routes.
 */
#include <assert.h>
#include <sodium.h>
#include <string.h>

#include "bytes.h"
#include "session_private.h"

static const char prologue[] = "pinhole 1";

/* What is in a request. */
typedef struct Request {
    uint8_t plain[PH_REQUEST_PLAIN_BYTES];
    const uint8_t *date, *payload;
    uint32_t renews, peer_index; /* 0: a new session */
    size_t length;
    const uint8_t *mac1;
} Request;

static bool begin_noise(PhSessions *sessions, const uint8_t *remote_key, PhNoise *ret_noise)
{
    uint8_t ephemeral[PH_NOISE_KEY_BYTES];
    bool good;

    ph_random_bytes(&sessions->random, ephemeral, sizeof(ephemeral));
    good = ph_noise_init(ret_noise, &(PhNoiseConfig){
                                        .initiator = remote_key != NULL,
                                        .prologue = (const uint8_t *)prologue,
                                        .prologue_length = sizeof(prologue) - 1,
                                        .psk = sessions->config.psk,
                                        .static_secret = sessions->config.secret,
                                        .ephemeral_secret = ephemeral,
                                        .remote_static = remote_key,
                                    });
    sodium_memzero(ephemeral, sizeof(ephemeral));
    return good;
}

/* ---- asking ---- */

/* The wall clock, and always later than the last time. */
static void make_date(PhSessions *sessions, uint64_t now, uint8_t ret_date[static PH_DATE_BYTES])
{
    uint64_t wall = sessions->config.wall_ns + now;

    if (wall <= sessions->last_date_ns)
        wall = sessions->last_date_ns + 1;
    sessions->last_date_ns = wall;
    ph_put32(ret_date, (uint32_t)(wall / PH_SECOND >> 32));
    ph_put32(ret_date + 4, (uint32_t)(wall / PH_SECOND));
    ph_put32(ret_date + 8, (uint32_t)(wall % PH_SECOND));
}

static bool write_request(PhSessions *sessions, const PhSession *session, PhAsk *ask,
                          const uint8_t *payload, size_t length, uint64_t now)
{
    uint8_t plain[PH_REQUEST_PLAIN_BYTES] = {0};
    bool good;

    make_date(sessions, now, plain);
    ph_put32(plain + PH_DATE_BYTES, ask->rekey ? session->current.peer_index : 0);
    ph_put16(plain + PH_DATE_BYTES + 4, (unsigned)length);
    if (length > 0)
        memcpy(plain + PH_DATE_BYTES + 6, payload, length);
    ask->packet[0] = PH_PACKET_REQUEST;
    ph_put32(ask->packet + 4, ask->own_index);
    good = begin_noise(sessions, session->remote_key, &ask->noise) &&
           ph_noise_write(&ask->noise, plain, sizeof(plain), ask->packet + 8,
                          PH_REQUEST_MAC1 - 8) == PH_REQUEST_MAC1 - 8;
    sodium_memzero(plain, sizeof(plain));
    if (good)
        ph_session_mac1(sessions, session->remote_key, ask->packet, PH_REQUEST_MAC1);
    return good;
}

void ph_session_send_ask(PhSessions *sessions, PhSession *session, PhAskRoute *route)
{
    PhAsk *ask = ph_session_ask_of(sessions, session);
    uint8_t *mac2 = ask->packet + PH_REQUEST_MAC2;

    memset(mac2, 0, PH_MAC_BYTES);
    if (route->n_cookies > 0)
        ph_session_mac(route->cookie, sizeof(route->cookie), ask->packet, PH_REQUEST_MAC2, mac2);
    ph_session_queue(sessions, &route->route, ask->packet, PH_REQUEST_BYTES);
}

bool ph_session_ask(PhSessions *sessions, PhSession *session, const PhRoute *route, bool rekey,
                    const uint8_t *payload, size_t length, uint64_t now)
{
    PhAsk *ask = ph_session_ask_of(sessions, session);

    assert(!ask->active);
    memset(ask, 0, sizeof(*ask));
    ask->rekey = rekey;
    ask->own_index = ph_session_make_index(sessions, session);
    if (!write_request(sessions, session, ask, payload, length, now)) {
        sodium_memzero(ask, sizeof(*ask));
        return false;
    }
    ask->active = true;
    ask->begun_ns = now;
    ask->interval_ns = PH_ASK_FIRST_NS;
    ask->repeat_ns = now + ask->interval_ns;
    ask->n_routes = 1;
    ask->routes[0] = (PhAskRoute){.route = *route};
    ph_session_send_ask(sessions, session, &ask->routes[0]);
    ph_session_reschedule(sessions, session);
    return true;
}

void ph_session_ask_also(PhSessions *sessions, PhSession *session, const PhRoute *route)
{
    PhAsk *ask = ph_session_ask_of(sessions, session);
    PhAskRoute *place = NULL;

    for (uint32_t i = 0; i < ask->n_routes && !place; i++)
        if (ph_route_equal(&ask->routes[i].route, route))
            place = &ask->routes[i];
    if (!place && ask->n_routes < PH_ASK_ROUTES) {
        place = &ask->routes[ask->n_routes++];
        *place = (PhAskRoute){.route = *route};
    }
    if (place)
        ph_session_send_ask(sessions, session, place);
}

void ph_session_repeat_ask(PhSessions *sessions, PhSession *session, uint64_t now)
{
    PhAsk *ask = ph_session_ask_of(sessions, session);

    for (uint32_t i = 0; i < ask->n_routes; i++)
        ph_session_send_ask(sessions, session, &ask->routes[i]);
    ask->interval_ns *= 2;
    ask->repeat_ns = now + ask->interval_ns;
}

void ph_session_stop_asking(PhSessions *sessions, PhSession *session)
{
    PhAsk *ask = ph_session_ask_of(sessions, session);

    if (ask->active)
        sodium_memzero(ask, sizeof(*ask));
}

static void take_keys(const PhNoise *noise, uint32_t own_index, uint32_t peer_index, uint64_t now,
                      PhSessionKeys *ret_keys)
{
    *ret_keys = (PhSessionKeys){
        .own_index = own_index,
        .peer_index = peer_index,
        .initiator = noise->initiator,
        .made_ns = now,
    };
    ph_noise_split(noise, ret_keys->send, ret_keys->receive);
}

/* Ours, to the request that is underway in this session. */
static bool read_response(PhSessions *sessions, PhSession *session, const uint8_t *packet,
                          size_t length, uint64_t now, size_t *ret_length)
{
    PhAsk *ask = ph_session_ask_of(sessions, session);
    PhNoise noise = ask->noise; /* it must survive a forged response */
    PhSessionKeys keys;
    bool good = ph_noise_read(&noise, packet + 12, length - 12 - PH_MAC_BYTES, sessions->opened,
                              sizeof(sessions->opened), ret_length);

    if (good) {
        take_keys(&noise, ask->own_index, ph_get32(packet + 4), now, &keys);
        sodium_memzero(&session->next, sizeof(session->next));
        if (ask->rekey)
            session->previous = session->current;
        session->current = keys;
        sodium_memzero(&keys, sizeof(keys));
    }
    ph_noise_wipe(&noise);
    return good;
}

void ph_session_receive_response(PhSessions *sessions, const PhRoute *route, const uint8_t *packet,
                                 size_t length, uint64_t now, PhSessionInput *ret_input)
{
    uint32_t index = ph_get32(packet + 8);
    PhSession *session = ph_session_by_index(sessions, index);
    PhAsk *ask = session ? ph_session_ask_of(sessions, session) : NULL;
    bool rekey;
    size_t payload;

    if (!ph_session_check_mac1(sessions, packet, length - PH_MAC_BYTES)) {
        sessions->counters.dropped_mac++;
        return;
    }
    if (!ask || !ask->active || ask->own_index != index) {
        sessions->counters.dropped_unknown++;
        return;
    }
    if (!read_response(sessions, session, packet, length, now, &payload)) {
        sessions->counters.dropped_forged++;
        return;
    }
    rekey = ask->rekey;
    ph_session_stop_asking(sessions, session);
    session->route = *route;
    ph_session_plan_rekey(sessions, session, now);
    if (rekey) {
        sessions->counters.rekeyed++;
    } else {
        ph_session_confirm(sessions, session, now);
        *ret_input = (PhSessionInput){.kind = PH_SESSION_UP,
                                      .session = session->id,
                                      .bytes = sessions->opened,
                                      .length = payload};
        memcpy(ret_input->remote_key, session->remote_key, PH_SESSION_KEY_BYTES);
    }
    /* Until something comes the other side cannot know that we have its response. */
    ph_session_say(sessions, session, &(PhMessage){.kind = PH_MESSAGE_KEEPALIVE}, now);
    ph_session_reschedule(sessions, session);
}

/* ---- answering ---- */

static bool read_request(PhSessions *sessions, PhNoise *noise, const uint8_t *packet,
                         Request *ret_request)
{
    size_t length;

    if (!begin_noise(sessions, NULL, noise) ||
        !ph_noise_read(noise, packet + 8, PH_REQUEST_MAC1 - 8, ret_request->plain,
                       sizeof(ret_request->plain), &length))
        return false;
    ret_request->date = ret_request->plain;
    ret_request->renews = ph_get32(ret_request->plain + PH_DATE_BYTES);
    ret_request->length = ph_get16(ret_request->plain + PH_DATE_BYTES + 4);
    ret_request->payload = ret_request->plain + PH_DATE_BYTES + 6;
    ret_request->peer_index = ph_get32(packet + 4);
    ret_request->mac1 = packet + PH_REQUEST_MAC1;
    return ret_request->length <= PH_SESSION_PAYLOAD_MAX && ret_request->peer_index != 0 &&
           memcmp(noise->remote_static, sessions->public_key, PH_SESSION_KEY_BYTES) != 0;
}

/* The same request again: the response may have been lost. */
static bool answer_again(PhSessions *sessions, const PhRoute *route, const uint8_t *remote_key,
                         const Request *request)
{
    for (PhSession *s = NULL; (s = ph_session_of_key(sessions, s, remote_key));) {
        const PhAnswer *answer = ph_session_answer_of(sessions, s);

        if (answer->length == 0 || memcmp(answer->request_mac1, request->mac1, PH_MAC_BYTES) != 0)
            continue;
        ph_session_queue(sessions, route, answer->packet, answer->length);
        return true;
    }
    return false;
}

/* Our own request to the same key, for a new session. */
static PhSession *find_asking(const PhSessions *sessions, const uint8_t *remote_key)
{
    PhSession *found = NULL;

    for (PhSession *s = NULL; (s = ph_session_of_key(sessions, s, remote_key));)
        if (s->state == PH_SESSION_STATE_ASKING && (!found || s->id > found->id))
            found = s;
    return found;
}

/* The second message; the keys are the session's, whichever of them. */
static void answer(PhSessions *sessions, PhSession *session, PhPending *pending,
                   const uint8_t *payload, size_t length, uint64_t now, PhSessionKeys *ret_keys)
{
    PhAnswer *kept = ph_session_answer_of(sessions, session);
    uint32_t index = ph_session_make_index(sessions, session);
    size_t written;

    memset(kept, 0, sizeof(*kept));
    kept->packet[0] = PH_PACKET_RESPONSE;
    ph_put32(kept->packet + 4, index);
    ph_put32(kept->packet + 8, pending->peer_index);
    written = ph_noise_write(&pending->noise, payload, length, kept->packet + 12,
                             sizeof(kept->packet) - 12 - PH_MAC_BYTES);
    /* Its keys were good enough for the first message. */
    assert(written > 0);
    ph_session_mac1(sessions, session->remote_key, kept->packet, 12 + written);
    kept->length = 12 + written + PH_MAC_BYTES;
    memcpy(kept->request_mac1, pending->mac1, PH_MAC_BYTES);
    memcpy(session->date, pending->date, PH_DATE_BYTES);
    take_keys(&pending->noise, index, pending->peer_index, now, ret_keys);
    ph_session_queue(sessions, &pending->route, kept->packet, kept->length);
}

/* Fresh keys for a session that is there: nothing that its owner has to know. */
static void renew(PhSessions *sessions, PhPending *pending, uint32_t renews, uint64_t now)
{
    PhSession *session = ph_session_by_index(sessions, renews);

    if (!session || session->state != PH_SESSION_STATE_CONFIRMED ||
        memcmp(session->remote_key, pending->noise.remote_static, PH_SESSION_KEY_BYTES) != 0 ||
        (renews != session->current.own_index && renews != session->next.own_index)) {
        sessions->counters.dropped_unknown++;
        return;
    }
    /* Who knows their index has them. */
    if (renews == session->next.own_index)
        ph_session_use_next(sessions, session);
    sodium_memzero(&session->next, sizeof(session->next));
    answer(sessions, session, pending, NULL, 0, now, &session->next);
    ph_session_reschedule(sessions, session);
}

/* Two that cross: the request of the lower key is the one that is answered. */
static bool is_crossed(PhSessions *sessions, const PhRoute *route, const uint8_t *remote_key)
{
    PhSession *asking = find_asking(sessions, remote_key);

    if (!asking || memcmp(sessions->public_key, remote_key, PH_SESSION_KEY_BYTES) > 0)
        return false;
    /* Its way may be the only one there is. */
    ph_session_ask_also(sessions, asking, route);
    return true;
}

void ph_session_receive_request(PhSessions *sessions, const PhRoute *route, const uint8_t *packet,
                                uint64_t now, PhSessionInput *ret_input)
{
    PhPending *pending = &sessions->pending;
    const uint8_t *remote_key = pending->noise.remote_static;
    Request request;

    if (!ph_session_check_mac1(sessions, packet, PH_REQUEST_MAC1)) {
        sessions->counters.dropped_mac++;
        return;
    }
    if (!ph_session_admit(sessions, route, packet, now))
        return;
    if (!read_request(sessions, &pending->noise, packet, &request)) {
        sessions->counters.dropped_forged++;
        return;
    }
    if (answer_again(sessions, route, remote_key, &request))
        return;
    if (!ph_session_is_newer(sessions, remote_key, request.date)) {
        sessions->counters.dropped_stale++;
        return;
    }
    pending->route = *route;
    pending->peer_index = request.peer_index;
    memcpy(pending->date, request.date, PH_DATE_BYTES);
    memcpy(pending->mac1, request.mac1, PH_MAC_BYTES);
    if (request.renews != 0) {
        renew(sessions, pending, request.renews, now);
        return;
    }
    if (is_crossed(sessions, route, remote_key))
        return;
    pending->active = true;
    memcpy(sessions->opened, request.payload, request.length);
    *ret_input = (PhSessionInput){
        .kind = PH_SESSION_REQUEST, .bytes = sessions->opened, .length = request.length};
    memcpy(ret_input->remote_key, remote_key, PH_SESSION_KEY_BYTES);
}

/* The session that the answer makes: ours that crossed it, or a new one. At most one of a key is
 * not confirmed. */
static PhSession *session_for(PhSessions *sessions, const uint8_t *remote_key)
{
    PhSession *session = NULL;

    while ((session = ph_session_of_key(sessions, session, remote_key)))
        if (session->state == PH_SESSION_STATE_UNCONFIRMED) {
            ph_session_end(sessions, session, "replaced");
            break;
        }
    session = find_asking(sessions, remote_key);
    if (session)
        ph_session_stop_asking(sessions, session);
    else
        session = ph_session_add(sessions, remote_key);
    return session;
}

uint32_t ph_sessions_do_accept(PhSessions *sessions, const uint8_t *payload, size_t length,
                               uint64_t now)
{
    PhPending *pending = &sessions->pending;
    PhSession *session;
    uint32_t id = 0;

    if (!pending->active || length > PH_SESSION_PAYLOAD_MAX)
        return 0;
    session = ph_session_may_end(sessions, 2) ? session_for(sessions, pending->noise.remote_static)
                                              : NULL;
    if (!session) {
        sessions->counters.refused_full++;
    } else {
        answer(sessions, session, pending, payload, length, now, &session->current);
        session->route = pending->route;
        ph_session_set_state(sessions, session, PH_SESSION_STATE_UNCONFIRMED);
        ph_session_reschedule(sessions, session);
        sessions->counters.accepted++;
        id = session->id;
    }
    ph_session_forget_pending(sessions);
    return id;
}

void ph_session_forget_pending(PhSessions *sessions)
{
    sodium_memzero(&sessions->pending, sizeof(sessions->pending));
}
