/* SPDX-License-Identifier: MIT */
/*
 * The node's side of its hub:
 *
 *     WAITING --our socket is there--> ASKING --answered--> UP
 *        ^                               |                   |
 *        +------ no answer, silence: again after 1 s, 2 s ... 60 s
 *     REFUSED: by name (it is taken): again when the network is another one, or after 60 s
 */
#include <stdlib.h>
#include <string.h>

#include "bucket.h"
#include "node_private.h"

#define BACK_OFF_NS      PH_SECOND
#define BACK_OFF_MOST_NS (60 * PH_SECOND)
/* What a hub that is there takes to answer, beside the round trip. */
#define HUB_PATIENCE_NS (PH_SECOND / 4)

PhRoute ph_node_hub_route(const PhNode *node)
{
    return (PhRoute){.path = {PH_TRANSPORT_UDP, node->data.socket, node->config.hub}};
}

static size_t put(uint8_t *payload, size_t length, const PhMessage *message)
{
    return length + ph_message_write(message, payload + length, PH_SESSION_PAYLOAD_MAX - length);
}

/* REGISTER, and a CONNECT for each peer that is looked for, as far as they fit. */
void ph_node_hub_begin(PhNode *node)
{
    uint8_t payload[PH_SESSION_PAYLOAD_MAX];
    PhRoute route = ph_node_hub_route(node);
    PhMessage message = {.kind = PH_MESSAGE_REGISTER};
    size_t length;

    ph_node_update_record(node);
    message.record = node->record;
    length = put(payload, 0, &message);
    for (unsigned i = 0; i < node->peers_n; i++) {
        PhPeer *peer = &node->peers[i];
        size_t before = length;

        if (peer->state != PH_PEER_LOOKING)
            continue;
        message = ph_node_connect_message(node, peer, PH_NODE_VIA_HUB);
        length = put(payload, length, &message);
        if (length == before)
            break; /* the others are asked for when it is up */
        peer->ask_ns = node->now + 2 * PH_SECOND;
    }
    if (node->hub.coming)
        ph_sessions_close(node->sessions, node->hub.coming, node->now);
    node->hub.asked_ns = node->now;
    node->hub.coming =
        ph_sessions_open(node->sessions, node->config.hub_key, &route, payload, length, node->now);
    /* What there is stays in use until it is answered. */
    if (node->hub.state != PH_HUB_UP)
        node->hub.state = PH_HUB_ASKING;
    if (node->hub.coming == 0)
        ph_node_hub_gone(node, "full");
    ph_node_flush_sessions(node);
}

static void hub_is_up(PhNode *node, const PhMessage *message)
{
    PhDetectorConfig detector = {.fast = node->config.fast_detector,
                                 .binding_ns = node->config.binding_ns};
    bool beside = node->beside.seen.family != PH_FAMILY_NONE, stale;
    PhNodeEvent *event;

    if (node->hub.state == PH_HUB_UP)
        return;
    node->hub.state = PH_HUB_UP;
    node->hub.reason = NULL;
    node->hub.back_off_ns = BACK_OFF_NS;
    if (!ph_address_equal(&node->hub.seen, &message->registered.seen))
        node->binding.since_ns = node->now;
    node->hub.seen = message->registered.seen;
    ph_node_seed(node, detector.seed);
    ph_detector_init(&node->hub.detector, &detector, node->now);
    ph_node_family_begin(node, &message->registered.also);
    event = ph_node_event(node, PH_NODE_REGISTERED, NULL);
    if (event)
        event->address = node->hub.seen;
    /* What it and the peers have of us may have been so by where the hub was before. */
    stale = ph_node_forget_class(node) || (beside && node->beside.seen.family == PH_FAMILY_NONE);
    if (stale)
        ph_node_tell_record(node);
    if (node->classification.nat_class == PH_CLASS_UNKNOWN)
        ph_node_classify(node);
}

static void hub_refuses(PhNode *node, PhReason reason)
{
    PhNodeEvent *event = ph_node_event(node, PH_NODE_REFUSED, NULL);

    if (event)
        ph_node_say_reason(event, reason);
    node->hub.state = PH_HUB_REFUSED;
    node->hub.reason = ph_reason_name(reason);
    node->hub.again_ns = node->now + BACK_OFF_MOST_NS;
    ph_sessions_close(node->sessions, node->hub.session, node->now);
    node->hub.session = 0;
}

void ph_node_hub_gone(PhNode *node, const char *reason)
{
    bool was_up = node->hub.state == PH_HUB_UP;
    PhNodeEvent *event;

    if (!was_up && node->hub.state != PH_HUB_ASKING)
        return;
    node->hub.state = PH_HUB_WAITING;
    node->hub.reason = reason;
    node->hub.session = node->hub.coming = 0;
    node->hub.again_ns = node->now + node->hub.back_off_ns;
    node->hub.back_off_ns *= 2;
    if (node->hub.back_off_ns > BACK_OFF_MOST_NS)
        node->hub.back_off_ns = BACK_OFF_MOST_NS;
    event = ph_node_event(node, PH_NODE_HUB_LOST, NULL);
    if (event) {
        event->reason = reason;
        if (strcmp(reason, ph_reason_name(PH_REASON_TIMEOUT)) == 0)
            event->sentence =
                was_up ? "The hub does not answer any more; it is asked again."
                       : "The hub does not answer, or has another key, or this host's clock was "
                         "set back; it is asked again.";
    }
    ph_node_relay_lost(node, PH_NODE_VIA_HUB);
}

static void hub_message(PhNode *node, const PhRoute *route, const PhMessage *message)
{
    PhRoute relayed = {.via = PH_NODE_VIA_HUB};
    PhMessage pong = {.kind = PH_MESSAGE_PONG};

    if (ph_node_family_message(node, route, message))
        return;
    switch ((PhMessageKind)message->kind) {
    case PH_MESSAGE_REGISTERED:
        hub_is_up(node, message);
        return;
    case PH_MESSAGE_REFUSED:
        if (message->refused.what == PH_MESSAGE_REGISTER)
            hub_refuses(node, (PhReason)message->refused.reason);
        else
            ph_node_refused(node, PH_NODE_VIA_HUB, message);
        return;
    case PH_MESSAGE_FOUND:
        ph_node_found(node, PH_NODE_VIA_HUB, message);
        return;
    case PH_MESSAGE_WANTED:
        ph_node_wanted(node, PH_NODE_VIA_HUB, message);
        return;
    case PH_MESSAGE_INTRODUCED:
        ph_node_introduced(node, PH_NODE_VIA_HUB, message);
        return;
    case PH_MESSAGE_RELAYED:
        relayed.relay = message->relay.channel;
        ph_node_packet(node, &relayed, message->relay.bytes, message->relay.length);
        return;
    case PH_MESSAGE_PONG:
        (void)ph_detector_ponged(&node->hub.detector, message->ping.id, node->now);
        if (message->ping.seen.family != PH_FAMILY_NONE &&
            !ph_address_equal(&message->ping.seen, &node->hub.seen)) {
            ph_node_seen_elsewhere(node, &message->ping.seen);
        }
        return;
    case PH_MESSAGE_PING:
        /* It wants to know whether we are where our packets come from now. */
        pong.ping.id = message->ping.id;
        pong.ping.seen = route->path.remote;
        (void)ph_node_tell_hub(node, &pong);
        return;
    case PH_MESSAGE_CLOSE:
        ph_node_hub_gone(node, ph_reason_name((PhReason)message->reason));
        return;
    case PH_MESSAGE_UNKNOWN:
    case PH_MESSAGE_KEEPALIVE:
    case PH_MESSAGE_DATA:
    case PH_MESSAGE_MOVED:
    case PH_MESSAGE_PREPARE:
    case PH_MESSAGE_PREPARED:
    case PH_MESSAGE_LOOK:
    case PH_MESSAGE_LOOKED:
    case PH_MESSAGE_REGISTER:
    case PH_MESSAGE_CONNECT:
    case PH_MESSAGE_RELAY:
    case PH_MESSAGE_INTRODUCE:
    case PH_MESSAGE_UPDATE:
        break;
    }
}

void ph_node_hub_messages(PhNode *node, const PhRoute *route, const uint8_t *bytes, size_t length)
{
    /* What is relayed is looked into while the datagram is: it needs a copy of its own. */
    uint8_t copy[PH_DATAGRAM_MAX];
    PhMessage message;
    size_t used;

    if (length > sizeof(copy))
        return;
    memcpy(copy, bytes, length);
    /* That the other family works says nothing of this one. */
    if (!ph_node_is_beside(node, &route->path)) {
        ph_detector_heard(&node->hub.detector, false, node->now);
        node->hub.check_ns = PH_NEVER;
    }
    for (size_t at = 0; at < length; at += used) {
        if (!ph_message_read(copy + at, length - at, &message, &used))
            return;
        hub_message(node, route, &message);
    }
}

void ph_node_hub_session_gone(PhNode *node, const PhSessionInput *input)
{
    if (input->session == node->hub.coming || input->session == node->hub.session)
        ph_node_hub_gone(node, input->reason);
}

void ph_node_hub_up(PhNode *node, const PhSessionInput *input)
{
    PhRoute route = ph_node_hub_route(node);
    PhMessage alive = {.kind = PH_MESSAGE_KEEPALIVE};

    if (input->session != node->hub.coming)
        return;
    node->hub.session = node->hub.coming;
    node->hub.coming = 0;
    node->hub.took_ns = node->now - node->hub.asked_ns;
    node->hub.state = PH_HUB_ASKING;
    ph_node_hub_messages(node, &route, input->bytes, input->length);
    if (node->hub.state == PH_HUB_ASKING) {
        /* A hub says one or the other in its answer. */
        ph_sessions_close(node->sessions, node->hub.session, node->now);
        ph_node_hub_gone(node, "not-a-hub");
        return;
    }
    /* The hub may be waiting for the proof that its answer came to the right place. */
    (void)ph_node_tell_hub(node, &alive);
    for (unsigned i = 0; i < node->peers_n && node->hub.state == PH_HUB_UP; i++) {
        PhPeer *peer = &node->peers[i];
        uint64_t answered_ns = node->hub.asked_ns + ph_node_patience(node, PH_NODE_VIA_HUB);
        bool talking =
            peer->state == PH_PEER_TALKING && (peer->relayed.detector.health != PH_HEALTHY ||
                                               peer->relayed.route.via != PH_NODE_VIA_HUB);

        if (peer->state == PH_PEER_TALKING)
            ph_node_flush_queue(node, peer);
        /* Asked for with REGISTER, when nobody knew how far the hub is. */
        if (peer->state == PH_PEER_LOOKING && peer->ask_ns > node->now &&
            peer->ask_ns < answered_ns)
            peer->ask_ns = answered_ns;
        if (peer->ours && peer->ask_ns <= node->now &&
            (peer->state == PH_PEER_LOOKING || peer->state == PH_PEER_MEETING || talking))
            ph_node_ask_for(node, peer);
    }
    ph_node_mediator_found(node);
}

void ph_node_hub_moved(PhNode *node)
{
    node->hub.seen = (PhAddress){0};
    if (node->hub.state == PH_HUB_UP) {
        ph_detector_probe(&node->hub.detector, node->now);
        node->hub.check_ns = node->now + HUB_PATIENCE_NS + 2 * node->hub.detector.rtt.smooth_ns;
    } else {
        ph_node_hub_begin(node);
    }
    ph_node_tell_moved(node, /* beside= */ false);
}

/* ---- time ---- */

void ph_node_hub_timeout(PhNode *node)
{
    PhMessage ping = {.kind = PH_MESSAGE_PING};

    if (node->data.state == PH_SOCKET_FAILED && node->now >= node->data.again_ns && !node->closing)
        node->data.state = PH_SOCKET_WANTED;
    if (node->data.state != PH_SOCKET_THERE)
        return;
    if ((node->hub.state == PH_HUB_WAITING || node->hub.state == PH_HUB_REFUSED) &&
        node->now >= node->hub.again_ns && !node->closing)
        ph_node_hub_begin(node);
    if (node->hub.state == PH_HUB_UP) {
        /* It may have begun anew, and know us no more: that costs one round trip to find out. */
        if (ph_detector_handle_timeout(&node->hub.detector, node->now) &&
            node->hub.detector.health != PH_HEALTHY) {
            if (node->hub.coming == 0)
                ph_node_hub_begin(node);
            ph_node_relay_lost(node, PH_NODE_VIA_HUB);
        }
        if (node->now >= node->hub.check_ns) {
            node->hub.check_ns = PH_NEVER;
            ph_node_hub_begin(node);
        }
        if (ph_detector_poll_ping(&node->hub.detector, node->now, &ping.ping.id)) {
            node->counters.reflex_asked++;
            (void)ph_node_tell_hub(node, &ping);
        }
        if (node->now >= node->classify_ns)
            ph_node_classify(node);
    }
}

uint64_t ph_node_hub_next(const PhNode *node)
{
    uint64_t next = PH_NEVER;

    if (node->data.state == PH_SOCKET_FAILED && !node->closing)
        return node->data.again_ns;
    if (node->data.state != PH_SOCKET_THERE)
        return PH_NEVER;
    if (node->hub.state == PH_HUB_WAITING || node->hub.state == PH_HUB_REFUSED)
        return node->closing ? PH_NEVER : node->hub.again_ns;
    if (node->hub.state == PH_HUB_UP) {
        next = ph_detector_next_timeout(&node->hub.detector);
        if (node->hub.check_ns < next)
            next = node->hub.check_ns;
        if (!node->classifier && node->classify_ns < next)
            next = node->classify_ns;
    }
    return next;
}
