/* SPDX-License-Identifier: MIT */
/*
 * The node's side of its hub, and what it knows of itself:
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
/* The shortest life of an idle mapping that is met with (RFC 4787 REQ-5 asks for 120 s). */
#define SHORTEST_BINDING_NS (10 * PH_SECOND)
/* What a hub that is there takes to answer, beside the round trip. */
#define HUB_PATIENCE_NS (PH_SECOND / 4)
/* Candidates that are for one peer each. */
#define FRESH_MOST 8
/* Classes change when networks do; once an hour finds what nobody noticed. */
#define RECLASSIFY_NS (3600 * PH_SECOND)

PhRoute ph_node_hub_route(const PhNode *node)
{
    return (PhRoute){.path = {PH_TRANSPORT_UDP, node->data.socket, node->config.hub}};
}

static size_t put(uint8_t *payload, size_t length, const PhMessage *message)
{
    return length + ph_message_write(message, payload + length, PH_SESSION_PAYLOAD_MAX - length);
}

static void update_record(PhNode *node)
{
    PhNodeRecord *record = &node->record;

    record->sequence++;
    record->nat_class = (uint8_t)(node->classification.nat_class != PH_CLASS_UNKNOWN
                                      ? node->classification.nat_class
                                      : node->assumed);
    record->port_allocation = (uint8_t)node->classification.port_allocation;
    record->step = node->classification.step;
    record->block_first = node->classification.block_first;
    record->block_last = node->classification.block_last;
    record->hidden = node->config.relay_only;
    record->n_candidates = 0;
    /* Who mediates believes only its own eyes; but peers see by it whether they are behind one NAT,
     * and whether who else introduces us lies. */
    if (!record->hidden && node->hub.seen.family != PH_FAMILY_NONE)
        record->candidates[record->n_candidates++] =
            (PhCandidate){PH_CANDIDATE_REFLEXIVE, node->hub.seen};
    for (unsigned i = 0; i < PH_NODE_PEERS_MAX && record->n_candidates < FRESH_MOST; i++)
        if (node->peers[i].prepared.state == PH_PREPARED_KNOWN)
            record->candidates[record->n_candidates++] =
                (PhCandidate){PH_CANDIDATE_REFLEXIVE, node->peers[i].prepared.mapped};
    for (uint32_t i = 0;
         !record->hidden && i < node->config.n_locals && record->n_candidates < PH_CANDIDATES_MAX;
         i++) {
        PhCandidate *candidate = &record->candidates[record->n_candidates];

        if (node->config.locals[i].family != node->config.hub.family || node->data.local.port == 0)
            continue;
        *candidate = (PhCandidate){PH_CANDIDATE_LOCAL, node->config.locals[i]};
        candidate->address.port = node->data.local.port;
        record->n_candidates++;
    }
}

/* REGISTER, and a CONNECT for each peer that is looked for, as far as they fit. */
void ph_node_hub_begin(PhNode *node)
{
    uint8_t payload[PH_SESSION_PAYLOAD_MAX];
    PhRoute route = ph_node_hub_route(node);
    PhMessage message = {.kind = PH_MESSAGE_REGISTER};
    size_t length;

    update_record(node);
    message.record = node->record;
    length = put(payload, 0, &message);
    for (unsigned i = 0; i < PH_NODE_PEERS_MAX; i++) {
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
    PhNodeEvent *event;

    if (node->hub.state == PH_HUB_UP)
        return;
    node->hub.state = PH_HUB_UP;
    node->hub.reason = NULL;
    node->hub.back_off_ns = BACK_OFF_NS;
    node->hub.seen = message->registered.seen;
    ph_node_seed(node, detector.seed);
    ph_detector_init(&node->hub.detector, &detector, node->now);
    event = ph_node_event(node, PH_NODE_REGISTERED, NULL);
    if (event)
        event->address = node->hub.seen;
    if (!node->classifier && node->classification.nat_class == PH_CLASS_UNKNOWN)
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
    PhNodeEvent *event;

    if (node->hub.state != PH_HUB_UP && node->hub.state != PH_HUB_ASKING)
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
            event->sentence = "The hub does not answer; it is asked again.";
    }
    ph_node_relay_lost(node, PH_NODE_VIA_HUB);
}

static void tell_moved(PhNode *node);

/* N4: a changed reflexive address is a reason to classify again. Another port at the same host is a
 * mapping that was not kept: from now on pings come as often as the worst NATs need. */
static void seen_elsewhere(PhNode *node, const PhAddress *seen)
{
    bool same = ph_address_equal_host(seen, &node->hub.seen);
    bool known = node->hub.seen.family != PH_FAMILY_NONE;

    node->hub.seen = *seen;
    if (!known)
        return; /* we have moved, and all know that */
    ph_node_classify(node);
    if (!same)
        tell_moved(node);
    if (!same || node->config.binding_ns != 0)
        return;
    node->config.binding_ns = SHORTEST_BINDING_NS;
    ph_detector_set_binding(&node->hub.detector, SHORTEST_BINDING_NS, node->now);
    for (unsigned i = 0; i < PH_NODE_PEERS_MAX; i++) {
        PhPeer *peer = &node->peers[i];

        if (peer->state != PH_PEER_TALKING)
            continue;
        ph_detector_set_binding(&peer->relayed.detector, SHORTEST_BINDING_NS, node->now);
        ph_detector_set_binding(&peer->direct.detector, SHORTEST_BINDING_NS, node->now);
    }
}

static void hub_message(PhNode *node, const PhRoute *route, const PhMessage *message)
{
    PhRoute relayed = {.via = PH_NODE_VIA_HUB};
    PhMessage pong = {.kind = PH_MESSAGE_PONG};

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
            seen_elsewhere(node, &message->ping.seen);
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
    ph_detector_heard(&node->hub.detector, false, node->now);
    node->hub.check_ns = PH_NEVER;
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
    node->hub.state = PH_HUB_ASKING;
    ph_node_hub_messages(node, &route, input->bytes, input->length);
    /* The hub may be waiting for the proof that its answer came to the right place. */
    (void)ph_node_tell_hub(node, &alive);
    for (unsigned i = 0; i < PH_NODE_PEERS_MAX && node->hub.state == PH_HUB_UP; i++) {
        PhPeer *peer = &node->peers[i];
        bool talking =
            peer->state == PH_PEER_TALKING && (peer->relayed.detector.health != PH_HEALTHY ||
                                               peer->relayed.route.via != PH_NODE_VIA_HUB);

        if (peer->state == PH_PEER_TALKING)
            ph_node_flush_queue(node, peer);
        if (peer->ours && peer->ask_ns <= node->now &&
            (peer->state == PH_PEER_LOOKING || peer->state == PH_PEER_MEETING || talking))
            ph_node_ask_for(node, peer);
    }
    ph_node_mediator_found(node);
}

/* ---- our own class ---- */

void ph_node_classify(PhNode *node)
{
    PhClassifierConfig config = {
        .server = node->config.hub,
        .has_socket = true,
        .socket = node->data.socket,
        .socket_local = node->data.local,
        .first_socket = node->next_socket,
    };

    if (node->classifier || node->data.state != PH_SOCKET_THERE)
        return;
    ph_node_seed(node, config.seed);
    for (uint32_t i = 0; i < node->config.n_locals && i < PH_CLASSIFIER_LOCALS; i++)
        if (node->config.locals[i].family == node->config.hub.family)
            config.locals[config.n_locals++] = node->config.locals[i];
    node->next_socket += PH_CLASSIFIER_SOCKETS;
    node->classifier = ph_classifier_new(&config, node->now);
    node->classify_ns = node->now + RECLASSIFY_NS;
}

void ph_node_tell_hub_record(PhNode *node)
{
    PhMessage update = {.kind = PH_MESSAGE_UPDATE};

    update_record(node);
    update.record = node->record;
    (void)ph_node_tell_hub(node, &update);
}

/* Everybody is told what we know of ourselves now. */
static void tell_record(PhNode *node)
{
    PhMessage update = {.kind = PH_MESSAGE_UPDATE};

    ph_node_tell_hub_record(node);
    update.record = node->record;
    for (unsigned i = 0; i < PH_NODE_PEERS_MAX; i++) {
        PhPeer *peer = &node->peers[i];

        if (peer->state != PH_PEER_TALKING)
            continue;
        (void)ph_node_tell(node, peer->session, &peer->used->route, &update);
        ph_node_path_classes(node, peer);
    }
}

/* The peers hear of it by the hub's relay: the session with the hub goes with us, and if it does
 * not, it is made anew. */
static void tell_moved(PhNode *node)
{
    PhMessage moved = {.kind = PH_MESSAGE_MOVED};

    for (unsigned i = 0; i < PH_NODE_PEERS_MAX; i++) {
        PhPeer *peer = &node->peers[i];

        if (peer->state != PH_PEER_TALKING)
            continue;
        ph_node_path_moved(node, peer);
        (void)ph_node_tell(node, peer->session, &peer->used->route, &moved);
    }
    tell_record(node);
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
    tell_moved(node);
}

/* A mapping that is the same for all is enough to begin with: nobody is worse off who takes the
 * filtering for the narrowest. */
void ph_node_classify_progress(PhNode *node)
{
    PhMapping mapping = ph_classifier_mapping(node->classifier);

    if (node->assumed != PH_CLASS_UNKNOWN || node->classification.nat_class != PH_CLASS_UNKNOWN ||
        (mapping != PH_MAPPING_NONE && mapping != PH_MAPPING_ENDPOINT_INDEPENDENT))
        return;
    node->assumed = PH_CLASS_PORT_RESTRICTED;
    tell_record(node);
}

void ph_node_classified(PhNode *node, const PhClassification *classification)
{
    bool changed = classification->nat_class != node->classification.nat_class;
    PhNodeEvent *event;

    node->counters.classified++;
    /* What is unknown this time says nothing against what was known. */
    if (classification->nat_class == PH_CLASS_UNKNOWN &&
        node->classification.nat_class != PH_CLASS_UNKNOWN)
        return;
    node->classification = *classification;
    node->assumed = PH_CLASS_PORT_RESTRICTED;
    tell_record(node);
    if (!changed)
        return;
    event = ph_node_event(node, PH_NODE_CLASSIFIED, NULL);
    if (event) {
        event->nat_class = classification->nat_class;
        event->address = classification->mapped;
    }
}

/* ---- time ---- */

void ph_node_hub_timeout(PhNode *node)
{
    PhMessage ping = {.kind = PH_MESSAGE_PING};

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
        if (ph_detector_poll_ping(&node->hub.detector, node->now, &ping.ping.id))
            (void)ph_node_tell_hub(node, &ping);
        if (node->now >= node->classify_ns)
            ph_node_classify(node);
    }
}

uint64_t ph_node_hub_next(const PhNode *node)
{
    uint64_t next = PH_NEVER;

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
