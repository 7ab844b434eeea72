/* SPDX-License-Identifier: MIT */
/*
 * Messages under the keys that handshakes gave. A session has up to three of them:
 *
 *     next ──a packet of the initiator's comes──> current ──fresh ones──> previous ──> wiped
 *
 * The initiator, who has the response, begins with current. The previous ones still open what is
 * underway.
 */
#include <sodium.h>
#include <string.h>

#include "bytes.h"
#include "session_private.h"

static uint64_t get64(const uint8_t *at)
{
    return (uint64_t)ph_get32(at) << 32 | ph_get32(at + 4);
}

/* ---- which keys ---- */

void ph_session_use_next(PhSessions *sessions, PhSession *session)
{
    session->previous = session->current;
    session->current = session->next;
    sodium_memzero(&session->next, sizeof(session->next));
    ph_session_answer_of(sessions, session)->length = 0;
    sessions->counters.rekeyed++;
}

void ph_session_plan_rekey(PhSessions *sessions, PhSession *session, uint64_t now)
{
    uint64_t drawn;

    ph_random_bytes(&sessions->random, (uint8_t *)&drawn, sizeof(drawn));
    session->rekey_ns = now + PH_REKEY_NS - drawn % PH_REKEY_JITTER_NS;
}

void ph_session_confirm(PhSessions *sessions, PhSession *session, uint64_t now)
{
    ph_session_set_state(sessions, session, PH_SESSION_STATE_CONFIRMED);
    ph_session_answer_of(sessions, session)->length = 0;
    for (PhSession *s = NULL; (s = ph_session_of_key(sessions, s, session->remote_key));) {
        if (s == session || s->state != PH_SESSION_STATE_CONFIRMED)
            continue;
        ph_session_set_state(sessions, s, PH_SESSION_STATE_REPLACED);
        s->replaced_ns = now;
        ph_session_stop_asking(sessions, s);
        ph_session_reschedule(sessions, s);
    }
    ph_session_reschedule(sessions, session);
}

static PhSessionKeys *keys_of(PhSession *session, uint32_t index)
{
    if (index == 0)
        return NULL;
    if (session->current.own_index == index)
        return &session->current;
    if (session->next.own_index == index)
        return &session->next;
    return session->previous.own_index == index ? &session->previous : NULL;
}

/* Many packets under one key, from either side: its initiator asks for fresh ones. */
static void count_packets(PhSessions *sessions, PhSession *session, uint64_t now)
{
    const PhSessionKeys *keys = &session->current;

    if ((keys->sent < PH_REKEY_PACKETS && keys->replay.end < PH_REKEY_PACKETS) ||
        !keys->initiator || session->rekey_ns <= now)
        return;
    session->rekey_ns = now;
    ph_session_reschedule(sessions, session);
}

/* ---- sealing ---- */

/* Handshakes are not carried so: they show more of who talks to whom. */
uint8_t ph_session_packet_type(const uint8_t *message, size_t length)
{
    bool carries = length >= PH_CARRYING_MIN_BYTES &&
                   (message[0] == PH_MESSAGE_RELAY || message[0] == PH_MESSAGE_RELAYED) &&
                   ph_get32(message + 5) == (uint32_t)PH_PACKET_DATA << 24;

    return carries ? PH_PACKET_CARRYING : PH_PACKET_DATA;
}

/* Behind the header; what the packet is of is there. */
static void seal_message(const PhSessionKeys *keys, const uint8_t *bytes, size_t length,
                         uint8_t *packet)
{
    size_t open = PH_HEADER_BYTES;

    if (packet[0] == PH_PACKET_CARRYING) {
        memcpy(packet + open, bytes + PH_CARRYING_PLAIN_BYTES, length - PH_CARRYING_PLAIN_BYTES);
        open += length - PH_CARRYING_PLAIN_BYTES;
        length = PH_CARRYING_PLAIN_BYTES;
    }
    ph_noise_seal(keys->send, keys->sent, packet, open, bytes, length, packet + open);
}

static size_t seal(PhSession *session, const uint8_t *bytes, size_t length, uint64_t now,
                   uint8_t ret_packet[static PH_DATAGRAM_MAX])
{
    PhSessionKeys *keys = &session->current;

    if ((session->state != PH_SESSION_STATE_CONFIRMED &&
         session->state != PH_SESSION_STATE_UNCONFIRMED) ||
        length > PH_SESSION_PLAIN_MAX || now >= keys->made_ns + PH_REJECT_NS ||
        keys->sent >= PH_REJECT_PACKETS)
        return 0;
    ph_put32(ret_packet, (uint32_t)ph_session_packet_type(bytes, length) << 24);
    ph_put32(ret_packet + 4, keys->peer_index);
    ph_put32(ret_packet + 8, (uint32_t)(keys->sent >> 32));
    ph_put32(ret_packet + 12, (uint32_t)keys->sent);
    seal_message(keys, bytes, length, ret_packet);
    keys->sent++;
    return length + PH_SESSION_OVERHEAD;
}

size_t ph_sessions_do_seal(PhSessions *sessions, uint32_t id, const uint8_t *bytes, size_t length,
                           uint64_t now, uint8_t ret_packet[static PH_DATAGRAM_MAX])
{
    PhSession *session = ph_session_by_id(sessions, id);
    size_t sealed = session ? seal(session, bytes, length, now, ret_packet) : 0;

    if (sealed == 0)
        return 0;
    sessions->counters.sealed++;
    count_packets(sessions, session, now);
    return sealed;
}

void ph_session_say(PhSessions *sessions, PhSession *session, const PhMessage *message,
                    uint64_t now)
{
    uint8_t plain[8], packet[PH_DATAGRAM_MAX];
    size_t length =
        seal(session, plain, ph_message_write(message, plain, sizeof(plain)), now, packet);

    if (length > 0)
        ph_session_queue(sessions, &session->route, packet, length);
}

/* ---- opening ---- */

/* The message is in `opened` then, which is one of whoever made the packet. */
static bool open_message(PhSessions *sessions, const PhSessionKeys *keys, const uint8_t *packet,
                         size_t length)
{
    size_t open = PH_HEADER_BYTES, carried = 0;

    if (packet[0] == PH_PACKET_CARRYING) {
        open = length - PH_CARRYING_PLAIN_BYTES - PH_NOISE_TAG_BYTES;
        carried = open - PH_HEADER_BYTES;
    }
    if (!ph_noise_open(keys->receive, get64(packet + 8), packet, open, packet + open, length - open,
                       sessions->opened))
        return false;
    if (carried > 0)
        memcpy(sessions->opened + PH_CARRYING_PLAIN_BYTES, packet + PH_HEADER_BYTES, carried);
    return true;
}

/* The keys that it is sealed with, when it is authentic; it is in `opened` then. */
static PhSessionKeys *open_packet(PhSessions *sessions, PhSession *session, const uint8_t *packet,
                                  size_t length, uint64_t now)
{
    PhSessionKeys *keys = session ? keys_of(session, ph_get32(packet + 4)) : NULL;
    uint64_t counter = get64(packet + 8);

    if (!keys || now >= keys->made_ns + PH_REJECT_NS || counter >= PH_REJECT_PACKETS) {
        sessions->counters.dropped_unknown++;
        return NULL;
    }
    if (!ph_replay_is_fresh(&keys->replay, counter)) {
        sessions->counters.dropped_replay++;
        return NULL;
    }
    if (!open_message(sessions, keys, packet, length)) {
        sessions->counters.dropped_forged++;
        return NULL;
    }
    /* Of nothing else more than that may stand in the open. */
    if (packet[0] == PH_PACKET_CARRYING &&
        ph_session_packet_type(sessions->opened, length - PH_SESSION_OVERHEAD) != packet[0]) {
        sessions->counters.dropped_malformed++;
        return NULL;
    }
    return keys;
}

/* The other side said goodbye: static text, or NULL. */
static const char *read_close(const uint8_t *bytes, size_t length)
{
    PhMessage message;
    size_t used;

    if (length == 0 || bytes[0] != PH_MESSAGE_CLOSE ||
        !ph_message_read(bytes, length, &message, &used))
        return NULL;
    return ph_reason_name((PhReason)message.reason);
}

void ph_session_receive_data(PhSessions *sessions, const PhRoute *route, const uint8_t *packet,
                             size_t length, uint64_t now, PhSessionInput *ret_input)
{
    PhSession *session = ph_session_by_index(sessions, ph_get32(packet + 4));
    PhSessionKeys *keys = open_packet(sessions, session, packet, length, now);
    size_t plain = length - PH_SESSION_OVERHEAD;
    const char *reason;

    if (!keys)
        return;
    sessions->counters.unsealed++;
    /* One that was overtaken says nothing of where the other side is now. */
    if (ph_replay_mark(&keys->replay, get64(packet + 8)) && keys != &session->previous)
        session->route = *route;
    *ret_input = (PhSessionInput){.kind = PH_SESSION_MESSAGE,
                                  .session = session->id,
                                  .bytes = sessions->opened,
                                  .length = plain};
    memcpy(ret_input->remote_key, session->remote_key, PH_SESSION_KEY_BYTES);
    if (keys == &session->next) {
        ph_session_use_next(sessions, session);
        ph_session_reschedule(sessions, session);
    }
    if (session->state == PH_SESSION_STATE_UNCONFIRMED) {
        ret_input->confirmed_now = true;
        ph_session_confirm(sessions, session, now);
    }
    reason = read_close(sessions->opened, plain);
    if (reason) {
        ret_input->kind = PH_SESSION_GONE;
        ret_input->reason = reason;
        sessions->counters.closed++;
        ph_session_remove(sessions, session);
        return;
    }
    count_packets(sessions, session, now);
}
