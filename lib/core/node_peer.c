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

/* The hub is asked again after this, and given up after that. */
#define ASK_NS     (2 * PH_SECOND)
#define LOOKING_NS (20 * PH_SECOND)
#define MEETING_NS (10 * PH_SECOND)

/* ---- who there is ---- */

PhPeer *ph_node_peer_at(PhNode *node, uint32_t number)
{
    for (unsigned i = 0; number != 0 && i < PH_NODE_PEERS_MAX; i++)
        if (node->peers[i].state != PH_PEER_FREE && node->peers[i].number == number)
            return &node->peers[i];
    return NULL;
}

PhPeer *ph_node_peer_by_key(PhNode *node, const uint8_t *key)
{
    for (unsigned i = 0; i < PH_NODE_PEERS_MAX; i++) {
        PhPeer *peer = &node->peers[i];

        if (peer->state != PH_PEER_FREE && peer->known &&
            memcmp(peer->key, key, PH_NODE_KEY_BYTES) == 0)
            return peer;
    }
    return NULL;
}

static PhPeer *by_request(PhNode *node, uint32_t request)
{
    for (unsigned i = 0; request != 0 && i < PH_NODE_PEERS_MAX; i++)
        if (node->peers[i].state != PH_PEER_FREE && node->peers[i].request == request)
            return &node->peers[i];
    return NULL;
}

static PhPeer *new_peer(PhNode *node)
{
    for (unsigned i = 0; i < PH_NODE_PEERS_MAX; i++) {
        PhPeer *peer = &node->peers[i];

        if (peer->state != PH_PEER_FREE)
            continue;
        memset(peer, 0, sizeof(*peer));
        if (++node->last_peer == 0)
            node->last_peer = 1;
        peer->number = node->last_peer;
        return peer;
    }
    return NULL;
}

static void set_key(const PhNode *node, PhPeer *peer, const uint8_t *key)
{
    memcpy(peer->key, key, sizeof(peer->key));
    peer->known = true;
    peer->lower = memcmp(node->public_key, key, sizeof(peer->key)) < 0;
}

void ph_node_peer_gone(PhNode *node, PhPeer *peer, const char *reason, const char *sentence)
{
    PhNodeEvent *event = ph_node_event(node, PH_NODE_PEER_GONE, peer);

    if (event) {
        event->reason = reason;
        event->sentence = sentence;
    }
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
}

/* ---- looking ---- */

PhMessage ph_node_connect_message(PhNode *node, PhPeer *peer)
{
    PhMessage message = {.kind = PH_MESSAGE_CONNECT};

    if (++node->last_request == 0)
        node->last_request = 1;
    peer->request = message.connect.request = node->last_request;
    message.connect.by_name = peer->by_name;
    if (peer->by_name)
        memcpy(message.connect.name, peer->name, sizeof(peer->name));
    else
        memcpy(message.connect.key, peer->key, sizeof(peer->key));
    return message;
}

void ph_node_ask_for(PhNode *node, PhPeer *peer)
{
    PhMessage message = ph_node_connect_message(node, peer);

    peer->ask_ns = node->now + ASK_NS;
    (void)ph_node_tell_hub(node, &message);
}

uint32_t ph_node_do_connect(PhNode *node, const char *name, const uint8_t *key, uint64_t now)
{
    PhPeer *peer = key ? ph_node_peer_by_key(node, key) : NULL;

    if (now > node->now)
        node->now = now;
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
    if (node->hub.state == PH_HUB_UP)
        ph_node_ask_for(node, peer);
    return peer->number;
}

/* The two halves of one peer: looked for by name, and met under its key before that was known. */
static PhPeer *join_halves(PhNode *node, PhPeer *looking, const uint8_t *key)
{
    PhPeer *met = ph_node_peer_by_key(node, key);

    if (!met || met == looking)
        return looking;
    /* The number that the application has stays, and what it has queued. */
    met->number = looking->number;
    met->ours = true;
    memcpy(met->name, looking->name, sizeof(met->name));
    if (!met->queue) {
        met->queue = looking->queue;
        met->queue_first = looking->queue_first;
        met->queue_n = looking->queue_n;
        looking->queue = NULL;
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

void ph_node_found(PhNode *node, const PhMessage *message)
{
    PhPeer *peer = by_request(node, message->peer.request);
    PhRoute relayed = {.via = PH_NODE_VIA_HUB, .relay = message->peer.channel};

    if (!peer || (peer->known && memcmp(peer->key, message->peer.key, PH_NODE_KEY_BYTES) != 0))
        return;
    peer->request = 0;
    peer = join_halves(node, peer, message->peer.key);
    set_key(node, peer, message->peer.key);
    take_record(peer, &message->peer.record);
    if (message->peer.seen.family != PH_FAMILY_NONE)
        peer->seen = message->peer.seen;
    peer->channel = message->peer.channel;
    if (peer->state == PH_PEER_LOOKING) {
        peer->state = PH_PEER_MEETING;
        peer->give_up_ns = node->now + MEETING_NS;
    } else if (peer->state == PH_PEER_TALKING) {
        /* The hub has forgotten us in between; the peer is told, and begins anew. */
        peer->relayed.route = relayed;
    }
}

void ph_node_wanted(PhNode *node, const PhMessage *message)
{
    PhPeer *peer = ph_node_peer_by_key(node, message->peer.key);
    PhRoute relayed = {.via = PH_NODE_VIA_HUB, .relay = message->peer.channel};

    if (!peer && node->config.refuse_strangers)
        return;
    if (!peer && !(peer = new_peer(node)))
        return;
    set_key(node, peer, message->peer.key);
    peer->theirs = true;
    take_record(peer, &message->peer.record);
    if (message->peer.seen.family != PH_FAMILY_NONE)
        peer->seen = message->peer.seen;
    peer->channel = message->peer.channel;
    if (peer->state != PH_PEER_TALKING) {
        peer->state = PH_PEER_MEETING;
        peer->give_up_ns = node->now + MEETING_NS;
    }
    /* It has lost its session, or the way to us, or never had one: a new one in any case. What
     * there is stays in use until that is up. */
    if (peer->coming)
        ph_sessions_close(node->sessions, peer->coming, node->now);
    peer->coming = ph_sessions_open(node->sessions, peer->key, &relayed, NULL, 0, node->now);
    node->counters.sessions_opened++;
    ph_node_flush_sessions(node);
}

void ph_node_refused(PhNode *node, const PhMessage *message)
{
    PhPeer *peer = by_request(node, message->refused.request);
    PhReason reason = (PhReason)message->refused.reason;

    if (!peer)
        return;
    if (message->refused.what == PH_MESSAGE_INTRODUCE) {
        ph_node_introduction_refused(node, peer, reason);
        return;
    }
    if (peer->state != PH_PEER_LOOKING)
        return;
    /* Too often: the next time may do. */
    if (reason == PH_REASON_TOO_MANY && node->now < peer->give_up_ns)
        return;
    ph_node_peer_gone(node, peer, ph_reason_name(reason), ph_reason_sentence(reason));
}

/* ---- meeting ---- */

/* A request came, by the relay or straight. */
void ph_node_peer_request(PhNode *node, const PhRoute *route, const PhSessionInput *input)
{
    PhPeer *peer = ph_node_peer_by_key(node, input->remote_key);
    uint32_t session;

    if (!peer && node->config.refuse_strangers)
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
    if (route->via)
        peer->channel = route->relay;
    ph_node_flush_sessions(node);
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

void ph_node_peer_timeout(PhNode *node, PhPeer *peer)
{
    if (peer->state == PH_PEER_TALKING) {
        ph_node_path_timeout(node, peer);
        return;
    }
    if (node->now >= peer->give_up_ns) {
        ph_node_peer_gone(node, peer, "timeout",
                          node->hub.state == PH_HUB_UP
                              ? "The peer is registered, and does not answer."
                              : "The hub does not answer, so that nobody can be found.");
        return;
    }
    if (peer->ours && node->hub.state == PH_HUB_UP && node->now >= peer->ask_ns)
        ph_node_ask_for(node, peer);
}

uint64_t ph_node_peer_next(const PhNode *node, const PhPeer *peer)
{
    uint64_t next = peer->give_up_ns;

    if (peer->state == PH_PEER_TALKING)
        return ph_node_path_next(peer);
    if (peer->ours && node->hub.state == PH_HUB_UP && peer->ask_ns < next)
        next = peer->ask_ns;
    return next;
}
