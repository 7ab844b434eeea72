/* SPDX-License-Identifier: MIT */
/*
 * Who carries what cannot go direct: the hub, or a peer that relays and that we talk to directly
 * ourselves. A relay is asked for the peer (CONNECT); one that has no session with it says so.
 *
 *     hub, while it is well --> relays among our peers, the nearest first --> the hub once more
 *
 * What works stays in use until a packet of the peer's comes by another way. Off the hub's relay
 * only when that is lost; and back to it as soon as it has the peer again, for that costs no peer.
 */
#include <string.h>

#include "bucket.h"
#include "node_private.h"

/* The same relay is asked again after this; the hub, when all is well by another one, after that.
 */
#define ASK_NS  (2 * PH_SECOND)
#define HOME_NS (10 * PH_SECOND)
/* There was no room for the question: of many peers the last ones would never be asked for. */
#define ROOM_NS (20 * PH_MS)

/* ---- who there is ---- */

bool ph_node_way_is_well(const PhWay *way)
{
    return way->there && way->detector.health == PH_HEALTHY;
}

bool ph_node_is_near(const PhPeer *peer)
{
    return peer->state == PH_PEER_TALKING && ph_node_way_is_well(&peer->direct);
}

PhPeer *ph_node_peer_via(const PhNode *node, uint32_t via)
{
    PhPeer *peer = &node->peers[via % PH_NODE_PEERS_MAX];

    return peer->state == PH_PEER_TALKING && peer->via == via ? peer : NULL;
}

bool ph_node_via_is_well(const PhNode *node, uint32_t via)
{
    const PhPeer *relay = ph_node_peer_via(node, via);

    if (via == PH_NODE_VIA_HUB)
        return node->hub.state == PH_HUB_UP && node->hub.detector.health == PH_HEALTHY;
    return relay && ph_node_is_near(relay);
}

void ph_node_via_key(const PhNode *node, uint32_t via, uint8_t ret_key[static PH_NODE_KEY_BYTES])
{
    const PhPeer *relay = ph_node_peer_via(node, via);

    if (via == PH_NODE_VIA_HUB)
        memcpy(ret_key, node->config.hub_key, PH_NODE_KEY_BYTES);
    else if (relay)
        memcpy(ret_key, relay->key, PH_NODE_KEY_BYTES);
}

bool ph_node_was_asked(const PhAsking *asking, uint32_t via)
{
    for (unsigned i = 0; i < asking->n_asked; i++)
        if (asking->asked[i] == via)
            return true;
    return false;
}

uint32_t ph_node_ask(PhNode *node, PhAsking *asking, uint32_t via)
{
    if (++node->last_request == 0)
        node->last_request = 1;
    asking->request = node->last_request;
    asking->via = via;
    if (asking->n_asked < PH_NODE_ASKED_MAX && !ph_node_was_asked(asking, via))
        asking->asked[asking->n_asked++] = via;
    return asking->request;
}

uint32_t ph_node_nearest(const PhNode *node, const PhPeer *peer, const PhAsking *asking,
                         bool relays)
{
    const PhPeer *nearest = NULL;

    for (unsigned i = 0; i < node->peers_n; i++) {
        const PhPeer *other = &node->peers[i];

        if (other == peer || !ph_node_is_near(other) || (relays && !other->record.relays) ||
            ph_node_was_asked(asking, other->via))
            continue;
        if (!nearest ||
            other->direct.detector.rtt.smooth_ns < nearest->direct.detector.rtt.smooth_ns)
            nearest = other;
    }
    return nearest ? nearest->via : 0;
}

bool ph_node_tell_via(PhNode *node, uint32_t via, const PhMessage *message)
{
    PhPeer *relay = ph_node_peer_via(node, via);

    if (via == PH_NODE_VIA_HUB)
        return ph_node_tell_hub(node, message);
    if (!relay || !relay->direct.there)
        return false;
    ph_detector_sent(&relay->direct.detector, message->kind == PH_MESSAGE_RELAY, node->now);
    return ph_node_tell(node, relay->session, &relay->direct.route, message);
}

/* ---- who is asked ---- */

void ph_node_learn_name(PhNode *node, const char *name, const uint8_t *key)
{
    PhNamed *named = NULL;

    for (unsigned i = 0; i < PH_NODE_NAMED; i++)
        if (strcmp(node->named[i].name, name) == 0)
            named = &node->named[i];
    if (!named)
        named = &node->named[node->named_n++ % PH_NODE_NAMED];
    memcpy(named->name, name, strlen(name) + 1);
    memcpy(named->key, key, sizeof(named->key));
}

const uint8_t *ph_node_key_of(const PhNode *node, const PhPeer *peer)
{
    if (peer->known)
        return peer->key;
    for (unsigned i = 0; i < PH_NODE_NAMED; i++)
        if (peer->name[0] != 0 && strcmp(node->named[i].name, peer->name) == 0)
            return node->named[i].key;
    return NULL;
}

const char *ph_node_name_of(const PhNode *node, const uint8_t *key)
{
    for (unsigned i = 0; i < PH_NODE_NAMED; i++)
        if (node->named[i].name[0] != 0 && memcmp(node->named[i].key, key, PH_NODE_KEY_BYTES) == 0)
            return node->named[i].name;
    return "";
}

/* Peers are asked by keys: names are the hub's. 0: all have been asked in this round. */
static uint32_t next_relay(const PhNode *node, const PhPeer *peer)
{
    const PhAsking *asking = &peer->connect;
    bool hub = node->hub.state == PH_HUB_UP && !ph_node_was_asked(asking, PH_NODE_VIA_HUB);
    uint32_t via = 0;

    if (asking->n_asked == PH_NODE_ASKED_MAX)
        return 0;
    if (hub && ph_node_via_is_well(node, PH_NODE_VIA_HUB))
        return PH_NODE_VIA_HUB;
    if (ph_node_key_of(node, peer))
        via = ph_node_nearest(node, peer, asking, /* relays= */ true);
    return via == 0 && hub ? PH_NODE_VIA_HUB : via;
}

/* A session takes the round trips of both to the relay. Each waits three of his own, so that the
 * longer one of them is waited for in any case. */
uint64_t ph_node_patience(const PhNode *node, uint32_t via)
{
    const PhPeer *relay = ph_node_peer_via(node, via);
    const PhDetector *detector = relay ? &relay->direct.detector : &node->hub.detector;
    uint64_t rtt_ns = detector->rtt.smooth_ns;

    if (!relay && rtt_ns == 0)
        rtt_ns = node->hub.took_ns;
    return 3 * rtt_ns > ASK_NS ? 3 * rtt_ns : ASK_NS;
}

bool ph_node_may_ask_for(const PhNode *node, const PhPeer *peer)
{
    return peer->ours && (peer->connect.n_asked > 0 || next_relay(node, peer) != 0);
}

PhMessage ph_node_connect_message(PhNode *node, PhPeer *peer, uint32_t via)
{
    const uint8_t *key = ph_node_key_of(node, peer);
    PhMessage message = {.kind = PH_MESSAGE_CONNECT};

    message.connect.request = ph_node_ask(node, &peer->connect, via);
    message.connect.near = ph_node_is_near(peer);
    message.connect.by_name = peer->by_name && !peer->known && via == PH_NODE_VIA_HUB;
    if (message.connect.by_name)
        memcpy(message.connect.name, peer->name, sizeof(peer->name));
    else if (key)
        memcpy(message.connect.key, key, sizeof(peer->key));
    return message;
}

void ph_node_ask_for(PhNode *node, PhPeer *peer)
{
    uint32_t via = next_relay(node, peer);
    PhMessage message;

    peer->ask_ns = node->now + ph_node_patience(node, via);
    if (via == 0) {
        peer->connect.n_asked = 0;
        via = next_relay(node, peer);
    }
    if (via == 0)
        return;
    message = ph_node_connect_message(node, peer, via);
    if (!ph_node_tell_via(node, via, &message))
        peer->ask_ns = node->now + ROOM_NS;
}

/* Nobody who was asked has it, so far. */
bool ph_node_ask_another(PhNode *node, PhPeer *peer)
{
    if (!peer->ours || next_relay(node, peer) == 0)
        return false;
    ph_node_ask_for(node, peer);
    return true;
}

/* ---- when ---- */

/* Nothing works: somebody may know the way, or will as soon as the peer is there again. */
bool ph_node_is_lost(const PhNode *node, const PhPeer *peer)
{
    return peer->ours && !ph_node_way_is_well(&peer->direct) &&
           !(ph_node_way_is_well(&peer->relayed) &&
             ph_node_via_is_well(node, peer->relayed.route.via));
}

/* A peer carries what the hub could. */
static bool is_away(const PhNode *node, const PhPeer *peer)
{
    return peer->ours && peer->used == &peer->relayed &&
           peer->relayed.route.via != PH_NODE_VIA_HUB && ph_node_via_is_well(node, PH_NODE_VIA_HUB);
}

bool ph_node_wants_relay(const PhNode *node, const PhPeer *peer)
{
    return ph_node_is_lost(node, peer) || is_away(node, peer);
}

void ph_node_look_for_relay(PhNode *node, PhPeer *peer)
{
    bool lost = ph_node_is_lost(node, peer);

    if (!lost)
        peer->connect.n_asked = 0;
    ph_node_ask_for(node, peer);
    if (!lost)
        peer->ask_ns = node->now + HOME_NS;
}

void ph_node_relay_lost(PhNode *node, uint32_t via)
{
    for (unsigned i = 0; i < node->peers_n; i++) {
        PhPeer *peer = &node->peers[i];

        if (peer->state != PH_PEER_TALKING || !peer->relayed.there ||
            peer->relayed.route.via != via || !ph_node_is_lost(node, peer))
            continue;
        peer->connect.n_asked = 0;
        ph_node_ask_for(node, peer);
    }
}
