/* SPDX-License-Identifier: MIT */
/*
 * Peers: looked for at the hub, met by way of its relay, talked to end to end.
 *
 *     LOOKING --FOUND--> MEETING --the peer's request, by the relay--> TALKING
 *        (ours)                                                            ^
 *     (theirs) WANTED --> MEETING --our request is answered----------------+
 *
 * Who asks waits for the peer's request: so its first bytes can follow its answer at once, and come
 * a round trip earlier than if it asked itself.
 */
#include <stdlib.h>
#include <string.h>

#include "bucket.h"
#include "node_private.h"

/* They are given up after this. */
#define LOOKING_NS (20 * PH_SECOND)
#define MEETING_NS (10 * PH_SECOND)

/* ---- who there is ---- */

PhPeer *ph_node_peer_at(PhNode *node, uint32_t number)
{
    for (unsigned i = 0; number != 0 && i < node->peers_n; i++)
        if (node->peers[i].state != PH_PEER_FREE && node->peers[i].number == number)
            return &node->peers[i];
    return NULL;
}

PhPeer *ph_node_peer_by_key(PhNode *node, const uint8_t *key)
{
    for (unsigned i = 0; i < node->peers_n; i++) {
        PhPeer *peer = &node->peers[i];

        if (peer->state != PH_PEER_FREE && peer->known &&
            memcmp(peer->key, key, PH_NODE_KEY_BYTES) == 0)
            return peer;
    }
    return NULL;
}

/* Whose question somebody answers who was asked it. */
static PhPeer *by_request(PhNode *node, uint32_t via, uint32_t request, bool introduce)
{
    for (unsigned i = 0; request != 0 && i < node->peers_n; i++) {
        const PhAsking *asking = introduce ? &node->peers[i].introduce : &node->peers[i].connect;

        if (node->peers[i].state != PH_PEER_FREE && asking->request == request &&
            asking->via == via)
            return &node->peers[i];
    }
    return NULL;
}

static PhPeer *new_peer(PhNode *node)
{
    for (unsigned i = 0; i < PH_NODE_PEERS_MAX; i++) {
        PhPeer *peer = &node->peers[i];

        if (peer->state != PH_PEER_FREE)
            continue;
        memset(peer, 0, sizeof(*peer));
        if (i == node->peers_n)
            node->peers_n++;
        if (++node->last_peer == 0)
            node->last_peer = 1;
        peer->number = node->last_peer;
        /* A number that names its slot, and comes back late. */
        if (++node->last_via >= PH_NODE_VIA_HUB / PH_NODE_PEERS_MAX)
            node->last_via = 1;
        peer->via = node->last_via * PH_NODE_PEERS_MAX + i;
        return peer;
    }
    return NULL;
}

static void set_key(const PhNode *node, PhPeer *peer, const uint8_t *key)
{
    memcpy(peer->key, key, sizeof(peer->key));
    peer->known = true;
    peer->lower = memcmp(node->public_key, key, sizeof(peer->key)) < 0;
    if (!peer->name[0]) {
        const char *name = ph_node_name_of(node, key);

        memcpy(peer->name, name, strlen(name) + 1);
    }
}

void ph_node_peer_gone(PhNode *node, PhPeer *peer, const char *reason, const char *sentence)
{
    PhNodeEvent *event = ph_node_event(node, PH_NODE_PEER_GONE, peer);
    uint32_t via = peer->via;

    if (event) {
        event->reason = reason;
        event->sentence = sentence;
    }
    node->counters.messages_dropped += peer->queue_n;
    ph_node_punch_drop(node, peer);
    ph_node_fresh_drop(node, peer);
    if (peer->session)
        ph_sessions_close(node->sessions, peer->session, node->now);
    if (peer->coming)
        ph_sessions_close(node->sessions, peer->coming, node->now);
    ph_node_path_leave(node, peer);
    ph_node_flush_sessions(node);
    free(peer->queue);
    memset(peer, 0, sizeof(*peer));
    ph_node_relay_lost(node, via);
}

/* ---- looking ---- */

static PhPeer *looked_for(PhNode *node, const char *name)
{
    for (unsigned i = 0; i < node->peers_n; i++) {
        PhPeer *peer = &node->peers[i];

        if (peer->state != PH_PEER_FREE && peer->by_name && strcmp(peer->name, name) == 0)
            return peer;
    }
    return NULL;
}

uint32_t ph_node_do_connect(PhNode *node, const char *name, const uint8_t *key, uint64_t now)
{
    PhPeer *peer = key ? ph_node_peer_by_key(node, key) : name ? looked_for(node, name) : NULL;

    ph_node_set_now(node, now);
    if (peer) {
        peer->ours = true;
        return peer->number;
    }
    if ((!name && !key) || (name && !ph_name_is_valid(name)) ||
        (key && memcmp(key, node->public_key, PH_NODE_KEY_BYTES) == 0))
        return 0;
    peer = new_peer(node);
    if (!peer)
        return 0;
    peer->state = PH_PEER_LOOKING;
    peer->ours = true;
    peer->by_name = name != NULL;
    if (name)
        memcpy(peer->name, name, strlen(name));
    else if (key)
        set_key(node, peer, key);
    peer->ask_ns = node->now;
    peer->give_up_ns = node->now + LOOKING_NS;
    if (ph_node_may_ask_for(node, peer))
        ph_node_ask_for(node, peer);
    return peer->number;
}

/* The two halves of one peer: looked for by name, and met under its key before that was known. The
 * number that was asked for last stays, and what is queued. */
static PhPeer *join_halves(PhNode *node, PhPeer *looking, const uint8_t *key)
{
    PhPeer *met = ph_node_peer_by_key(node, key);

    if (!met || met == looking)
        return looking;
    /* The application has the other number if it has looked for that one, or was told of it. */
    if (met->ours || met->state == PH_PEER_TALKING)
        (void)ph_node_event(node, PH_NODE_PEER_SAME, met);
    met->number = looking->number;
    met->ours = true;
    met->by_name = true;
    memcpy(met->name, looking->name, sizeof(met->name));
    if (!met->queue) {
        met->queue = looking->queue;
        met->queue_first = looking->queue_first;
        met->queue_n = looking->queue_n;
        looking->queue = NULL;
    } else {
        node->counters.messages_dropped += looking->queue_n;
    }
    free(looking->queue);
    memset(looking, 0, sizeof(*looking));
    if (met->state == PH_PEER_TALKING) {
        (void)ph_node_event(node, PH_NODE_PEER_UP, met);
        ph_node_flush_queue(node, met);
    }
    return met;
}

/* The hub's copy may be older than what the peer has told us itself. */
static void take_record(PhPeer *peer, const PhNodeRecord *record)
{
    if (record->sequence > peer->record.sequence)
        peer->record = *record;
    if (record->name[0])
        memcpy(peer->name, record->name, sizeof(peer->name));
}

/* FOUND and WANTED; where it sees the peer it may not know yet. */
static void take_hubs_word(PhNode *node, PhPeer *peer, const PhMessage *message)
{
    take_record(peer, &message->peer.record);
    if (message->peer.seen.family != PH_FAMILY_NONE)
        peer->seen = message->peer.seen;
    if (message->peer.record.name[0])
        ph_node_learn_name(node, message->peer.record.name, message->peer.key);
}

void ph_node_found(PhNode *node, uint32_t via, const PhMessage *message)
{
    PhPeer *peer = by_request(node, via, message->peer.request, /* introduce= */ false);
    PhRoute relayed = {.via = via, .relay = message->peer.channel};
    const uint8_t *key;

    if (!peer)
        return;
    key = via == PH_NODE_VIA_HUB && !peer->known ? NULL : ph_node_key_of(node, peer);
    if (key && memcmp(key, message->peer.key, PH_NODE_KEY_BYTES) != 0)
        return;
    peer->connect.request = 0;
    peer = join_halves(node, peer, message->peer.key);
    set_key(node, peer, message->peer.key);
    /* A peer says itself what it is; what another peer says of it is worth nothing. */
    if (via == PH_NODE_VIA_HUB)
        take_hubs_word(node, peer, message);
    if (peer->state == PH_PEER_LOOKING) {
        peer->state = PH_PEER_MEETING;
        peer->give_up_ns = node->now + MEETING_NS;
        peer->ask_ns = node->now + ph_node_patience(node, via);
    } else if (peer->state == PH_PEER_TALKING && peer->relayed.route.via == via) {
        /* The relay has forgotten us in between; the peer is told, and begins anew. */
        peer->relayed.route = relayed;
    }
}

/* A relay that the peer has found: the peer may have lost its other ones only. */
static void show_route(PhNode *node, PhPeer *peer, const PhRoute *relayed)
{
    PhMessage ping = {.kind = PH_MESSAGE_PING};

    (void)ph_node_tell(node, peer->session, relayed, &ping);
}

/* Said in a request, end to end, so that who asks need not wait; he knows from the relay already
 * that we are there. It is one packet, of which nothing is kept: he may ask again. */
static void refuse(PhNode *node, const uint8_t *key, const PhRoute *relayed, PhReason reason)
{
    PhMessage close = {.kind = PH_MESSAGE_CLOSE, .reason = (uint8_t)reason};
    uint8_t payload[PH_SESSION_PAYLOAD_MAX];
    size_t length = ph_message_write(&close, payload, sizeof(payload));
    uint32_t session = ph_sessions_open(node->sessions, key, relayed, payload, length, node->now);

    ph_node_flush_sessions(node);
    if (session)
        ph_sessions_close(node->sessions, session, node->now);
}

/* The handshake that he began us to has not had its time: another one would be as late. */
static bool is_underway(const PhNode *node, const PhPeer *peer, const PhRoute *relayed)
{
    return peer->coming && peer->coming_by.via == relayed->via &&
           peer->coming_by.relay == relayed->relay &&
           node->now - peer->coming_ns < ph_node_patience(node, relayed->via);
}

void ph_node_wanted(PhNode *node, uint32_t via, const PhMessage *message)
{
    PhPeer *peer = ph_node_peer_by_key(node, message->peer.key);
    PhRoute relayed = {.via = via, .relay = message->peer.channel};

    if (memcmp(message->peer.key, node->public_key, PH_NODE_KEY_BYTES) == 0 ||
        !ph_node_believes(node, via))
        return;
    if (!peer && node->config.refuse_strangers) {
        refuse(node, message->peer.key, &relayed, PH_REASON_NOT_AUTHORISED);
        return;
    }
    if (peer && peer->state == PH_PEER_TALKING && (via != PH_NODE_VIA_HUB || message->peer.near)) {
        show_route(node, peer, &relayed);
        /* Its session is heard from, and on a peer's word nothing is given up that works. */
        if (ph_node_is_near(peer))
            return;
    }
    if (!peer && !(peer = new_peer(node))) {
        refuse(node, message->peer.key, &relayed, PH_REASON_FULL);
        return;
    }
    set_key(node, peer, message->peer.key);
    peer->theirs = true;
    if (via == PH_NODE_VIA_HUB)
        take_hubs_word(node, peer, message);
    if (peer->state != PH_PEER_TALKING) {
        peer->state = PH_PEER_MEETING;
        peer->give_up_ns = node->now + MEETING_NS;
    }
    if (is_underway(node, peer, &relayed))
        return;
    /* It has lost its session, or the way to us, or never had one: a new one in any case. What
     * there is stays in use until that is up. */
    peer->coming_by = relayed;
    peer->coming_ns = node->now;
    if (peer->coming)
        ph_sessions_close(node->sessions, peer->coming, node->now);
    peer->coming = ph_sessions_open(node->sessions, peer->key, &relayed, NULL, 0, node->now);
    if (peer->coming)
        node->counters.sessions_opened++;
    else
        node->counters.sessions_failed++; /* there is no room for one more */
    ph_node_flush_sessions(node);
}

void ph_node_refused(PhNode *node, uint32_t via, const PhMessage *message)
{
    bool introduce = message->refused.what == PH_MESSAGE_INTRODUCE;
    PhPeer *peer = by_request(node, via, message->refused.request, introduce);
    PhReason reason = (PhReason)message->refused.reason;

    if (!peer)
        return;
    if (introduce) {
        ph_node_introduction_refused(node, peer, reason);
        return;
    }
    if (peer->state == PH_PEER_TALKING && !ph_node_is_lost(node, peer))
        return;
    /* Too often: the next time may do. */
    if (reason == PH_REASON_TOO_MANY && node->now < peer->give_up_ns) {
        peer->reason = ph_reason_name(reason);
        return;
    }
    if (ph_node_ask_another(node, peer))
        return;
    /* Only the hub knows all. */
    if (peer->state != PH_PEER_LOOKING || !ph_node_was_asked(&peer->connect, PH_NODE_VIA_HUB))
        return;
    ph_node_peer_gone(node, peer, ph_reason_name(reason), ph_reason_sentence(reason));
}

/* ---- meeting ---- */

static unsigned count_strangers(const PhNode *node)
{
    unsigned n = 0;

    for (unsigned i = 0; i < node->peers_n; i++) {
        const PhPeer *peer = &node->peers[i];

        n += peer->state != PH_PEER_FREE && !peer->ours && !peer->theirs;
    }
    return n;
}

/* A request that is none: whoever we look for does not want us. That it is fresh nobody knows, so
 * nothing ends by it that is up. */
static bool is_refusal(PhNode *node, PhPeer *peer, const PhSessionInput *input)
{
    PhMessage message;
    size_t used;

    if (input->length == 0 || !ph_message_read(input->bytes, input->length, &message, &used) ||
        message.kind != PH_MESSAGE_CLOSE)
        return false;
    if (peer && peer->ours && peer->state != PH_PEER_TALKING)
        ph_node_peer_gone(node, peer, ph_reason_name((PhReason)message.reason),
                          ph_reason_sentence((PhReason)message.reason));
    return true;
}

/* A request came, by the relay or straight. */
void ph_node_peer_request(PhNode *node, const PhRoute *route, const PhSessionInput *input)
{
    PhPeer *peer = ph_node_peer_by_key(node, input->remote_key);
    uint32_t session;

    if (is_refusal(node, peer, input))
        return;
    if (!peer && (node->config.refuse_strangers || count_strangers(node) >= PH_NODE_STRANGERS_MAX))
        return;
    if (!peer && !(peer = new_peer(node)))
        return;
    session = ph_sessions_accept(node->sessions, NULL, 0, node->now);
    if (session == 0) {
        if (peer->state == PH_PEER_FREE)
            memset(peer, 0, sizeof(*peer));
        return;
    }
    node->counters.sessions_accepted++;
    if (peer->state == PH_PEER_FREE)
        peer->state = PH_PEER_MEETING;
    set_key(node, peer, input->remote_key);
    ph_node_flush_sessions(node);
    /* What is confirmed stays until the new one is: our answer may get lost with the relay. */
    if (ph_sessions_find(node->sessions, input->remote_key) == session)
        ph_node_peer_session(node, peer, session, route);
}

void ph_node_peer_session(PhNode *node, PhPeer *peer, uint32_t session, const PhRoute *route)
{
    if (peer->coming == session)
        peer->coming = 0;
    peer->session = session;
    if (peer->state == PH_PEER_TALKING)
        ph_node_path_again(node, peer, route);
    ph_node_peer_up(node, peer, route);
}

void ph_node_peer_session_gone(PhNode *node, PhPeer *peer, const PhSessionInput *input)
{
    if (input->session == peer->coming) {
        /* Nobody answered: whoever asked for it asks again. */
        peer->coming = 0;
        node->counters.sessions_failed++;
        return;
    }
    if (input->session != peer->session)
        return; /* one that was replaced */
    peer->session = 0;
    node->counters.sessions_failed += strcmp(input->reason, ph_reason_name(PH_REASON_GOODBYE)) != 0;
    ph_node_peer_gone(node, peer, input->reason, "The session with the peer has ended.");
}

/* ---- time ---- */

static void give_up(PhNode *node, PhPeer *peer)
{
    const char *reason = ph_reason_name(PH_REASON_TIMEOUT), *sentence;

    if (peer->state == PH_PEER_MEETING) {
        sentence = "The peer is registered, and does not answer.";
    } else if (node->hub.state != PH_HUB_UP) {
        sentence = "The hub does not answer, and no peer of ours that relays knows who is looked "
                   "for.";
    } else if (peer->reason) { /* whenever it was asked */
        reason = ph_reason_name(PH_REASON_TOO_MANY);
        sentence = ph_reason_sentence(PH_REASON_TOO_MANY);
    } else {
        sentence = "The hub does not say where the peer is.";
    }
    ph_node_peer_gone(node, peer, reason, sentence);
}

void ph_node_peer_timeout(PhNode *node, PhPeer *peer)
{
    if (peer->state == PH_PEER_TALKING) {
        ph_node_path_timeout(node, peer);
        return;
    }
    if (node->now >= peer->give_up_ns) {
        give_up(node, peer);
        return;
    }
    if (node->now >= peer->ask_ns && ph_node_may_ask_for(node, peer))
        ph_node_ask_for(node, peer);
}

uint64_t ph_node_peer_next(const PhNode *node, const PhPeer *peer)
{
    uint64_t next = peer->give_up_ns;

    if (peer->state == PH_PEER_TALKING)
        return ph_node_path_next(node, peer);
    if (peer->ask_ns < next && ph_node_may_ask_for(node, peer))
        next = peer->ask_ns;
    return next;
}
