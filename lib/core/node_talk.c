/* SPDX-License-Identifier: MIT */
/*
 * What is said to peers, and by them: the application's messages, which wait for the peer in a
 * queue of its own, and the session's own business.
 */
#include <stdlib.h>
#include <string.h>

#include "node_private.h"

void ph_node_flush_queue(PhNode *node, PhPeer *peer)
{
    while (peer->queue_n > 0) {
        const PhQueued *queued = &peer->queue[peer->queue_first];
        PhMessage message = {.kind = PH_MESSAGE_DATA};

        message.data.bytes = queued->bytes;
        message.data.length = queued->length;
        if (!ph_node_tell(node, peer->session, &peer->used->route, &message))
            return;
        ph_detector_sent(&peer->used->detector, true, node->now);
        node->counters.messages_sent++;
        peer->queue_first = (peer->queue_first + 1) % PH_NODE_QUEUE_MAX;
        peer->queue_n--;
    }
    free(peer->queue);
    peer->queue = NULL;
}

void ph_node_peer_up(PhNode *node, PhPeer *peer, const PhRoute *route)
{
    bool fresh = peer->state != PH_PEER_TALKING;
    PhMessage update = {.kind = PH_MESSAGE_UPDATE};

    peer->state = PH_PEER_TALKING;
    if (fresh) {
        (void)ph_node_event(node, PH_NODE_PEER_UP, peer);
        ph_node_path_begin(node, peer, route);
        update.record = node->record;
        (void)ph_node_tell(node, peer->session, &peer->used->route, &update);
    }
    ph_node_flush_queue(node, peer);
}

/* ---- talking ---- */

static void deliver(PhNode *node, PhPeer *peer, const PhMessage *message)
{
    PhNodeEvent *event;

    if (message->data.length > PH_NODE_MESSAGE_MAX)
        return;
    event = ph_node_event(node, PH_NODE_DATA, peer);
    if (!event) {
        node->counters.messages_dropped++; /* the application does not poll */
        return;
    }
    memcpy(node->event_data[event - node->events].bytes, message->data.bytes, message->data.length);
    event->length = message->data.length;
    node->counters.messages_received++;
}

static void answer_ping(PhNode *node, PhPeer *peer, const PhRoute *route, uint64_t id)
{
    PhMessage pong = {.kind = PH_MESSAGE_PONG};

    pong.ping.id = id;
    if (route->via == 0) {
        pong.ping.seen = route->path.remote;
        node->counters.reflex_answered++;
    }
    (void)ph_node_tell(node, peer->session, route, &pong);
}

/* What it says as a mediator or relay, and wants of us as one: each of these straight, so that
 * nothing goes through two relays. False: the peer is gone. */
static bool third_party_message(PhNode *node, PhPeer *peer, const PhMessage *message)
{
    const uint32_t via = peer->via;
    PhRoute relayed = {.via = via};

    if (message->kind == PH_MESSAGE_FOUND)
        ph_node_found(node, via, message);
    else if (message->kind == PH_MESSAGE_WANTED)
        ph_node_wanted(node, via, message);
    else if (message->kind == PH_MESSAGE_REFUSED)
        ph_node_refused(node, via, message);
    else if (message->kind == PH_MESSAGE_INTRODUCED)
        ph_node_introduced(node, via, message);
    else if (message->kind == PH_MESSAGE_RELAYED) {
        relayed.relay = message->relay.channel;
        ph_node_packet(node, &relayed, message->relay.bytes, message->relay.length);
    } else
        ph_node_serve(node, peer, message);
    return peer->state == PH_PEER_TALKING && peer->via == via;
}

static bool peer_message(PhNode *node, PhPeer *peer, const PhRoute *route, const PhMessage *message)
{
    switch ((PhMessageKind)message->kind) {
    case PH_MESSAGE_DATA:
        deliver(node, peer, message);
        return true;
    case PH_MESSAGE_PING:
        answer_ping(node, peer, route, message->ping.id);
        return true;
    case PH_MESSAGE_PONG:
        ph_node_path_pong(node, peer, route, message->ping.id);
        return true;
    case PH_MESSAGE_UPDATE:
        /* Of the same record a mediator passes on less. */
        if (message->record.sequence >= peer->record.sequence) {
            peer->record = message->record;
            ph_node_path_classes(node, peer);
        }
        return true;
    case PH_MESSAGE_CLOSE:
        ph_node_peer_gone(node, peer, ph_reason_name((PhReason)message->reason),
                          ph_reason_sentence((PhReason)message->reason));
        return false;
    case PH_MESSAGE_MOVED:
        ph_node_path_moved(node, peer);
        return true;
    case PH_MESSAGE_PREPARE:
        ph_node_fresh_asked(node, peer);
        return true;
    case PH_MESSAGE_PREPARED:
        ph_node_fresh_answered(node, peer);
        return true;
    case PH_MESSAGE_LOOK:
        ph_node_looked_at(node, peer, route, message->ping.id);
        return true;
    case PH_MESSAGE_LOOKED:
        ph_node_look_answered(node, peer, route, message->ping.id);
        return true;
    case PH_MESSAGE_UNKNOWN:
    case PH_MESSAGE_KEEPALIVE:
    case PH_MESSAGE_REGISTER:
    case PH_MESSAGE_REGISTERED:
        return true;
    case PH_MESSAGE_REFUSED:
    case PH_MESSAGE_CONNECT:
    case PH_MESSAGE_FOUND:
    case PH_MESSAGE_WANTED:
    case PH_MESSAGE_RELAY:
    case PH_MESSAGE_RELAYED:
    case PH_MESSAGE_INTRODUCE:
    case PH_MESSAGE_INTRODUCED:
        return route->via != 0 || !peer->direct.there || third_party_message(node, peer, message);
    }
    return true;
}

void ph_node_peer_messages(PhNode *node, PhPeer *peer, const PhRoute *route, const uint8_t *bytes,
                           size_t length)
{
    uint8_t copy[PH_DATAGRAM_MAX], kind;
    PhMessage message;
    size_t used;

    if (length > sizeof(copy))
        return;
    memcpy(copy, bytes, length);
    kind = length > 0 ? copy[0] : PH_MESSAGE_KEEPALIVE;
    if (peer->state != PH_PEER_TALKING)
        return;
    /* Who only looks is where he was. */
    if (kind != PH_MESSAGE_LOOK && kind != PH_MESSAGE_LOOKED)
        ph_node_path_heard(node, peer, route,
                           kind == PH_MESSAGE_DATA || kind == PH_MESSAGE_RELAY ||
                               kind == PH_MESSAGE_RELAYED);
    for (size_t at = 0; at < length; at += used)
        if (!ph_message_read(copy + at, length - at, &message, &used) ||
            !peer_message(node, peer, route, &message))
            return;
}

bool ph_node_do_send(PhNode *node, uint32_t number, const uint8_t *bytes, size_t length,
                     uint64_t now)
{
    PhPeer *peer = ph_node_peer_at(node, number);
    PhQueued *queued;

    ph_node_set_now(node, now);
    if (!peer || length > PH_NODE_MESSAGE_MAX)
        return false;
    if (!peer->queue)
        peer->queue = calloc(PH_NODE_QUEUE_MAX, sizeof(*peer->queue));
    if (!peer->queue)
        return false;
    if (peer->queue_n == PH_NODE_QUEUE_MAX) {
        peer->queue_first = (peer->queue_first + 1) % PH_NODE_QUEUE_MAX;
        peer->queue_n--;
        node->counters.messages_dropped++;
    }
    queued = &peer->queue[(peer->queue_first + peer->queue_n++) % PH_NODE_QUEUE_MAX];
    queued->length = (uint16_t)length;
    if (length > 0)
        memcpy(queued->bytes, bytes, length);
    if (peer->state == PH_PEER_TALKING)
        ph_node_flush_queue(node, peer);
    return true;
}

void ph_node_do_disconnect(PhNode *node, uint32_t number, uint64_t now)
{
    PhPeer *peer = ph_node_peer_at(node, number);
    PhMessage close = {.kind = PH_MESSAGE_CLOSE, .reason = PH_REASON_GOODBYE};

    ph_node_set_now(node, now);
    if (!peer)
        return;
    if (peer->state == PH_PEER_TALKING)
        (void)ph_node_tell(node, peer->session, &peer->used->route, &close);
    ph_node_peer_gone(node, peer, "goodbye", "We ended it.");
}
