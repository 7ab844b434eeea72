/* SPDX-License-Identifier: MIT */
/*
 * The ways to a peer. The relay carries the first bytes; a direct way is looked for beside it,
 * proven by a ping of the session along it, and then used (make before break):
 *
 *     relayed --classes are known--> introduced --> punching --open--> proving --pong--> direct
 *        ^                               |             |                  |               |
 *        +-- again after a while: 4, 8 ... 64 s -------+------------------+  suspect -----+
 *
 * A direct way that is suspect is probed, while the relay is used; one that failed is given up, and
 * the next attempt begins at once with fresh addresses.
 */
#include <stdlib.h>
#include <string.h>

#include "bucket.h"
#include "node_private.h"

#define BACK_OFF_NS      (4 * PH_SECOND)
#define BACK_OFF_MOST_NS (64 * PH_SECOND)
/* The mediator's answer, and the peer's class, may be on their way. */
#define AGAIN_SOON_NS (PH_SECOND / 2)
#define PROVE_NS      (3 * PH_SECOND)
#define ATTEMPTS      3

static void use(PhNode *node, PhPeer *peer, PhWay *way, const char *reason)
{
    PhNodeEvent *event;

    peer->reason = reason;
    if (peer->used == way)
        return;
    peer->used = way;
    event = ph_node_event(node, PH_NODE_PEER_PATH, peer);
    if (event)
        event->reason = reason;
}

static void init_detector(PhNode *node, PhWay *way)
{
    PhDetectorConfig config = {.relayed = way->kind == PH_PATH_RELAYED,
                               .fast = node->config.fast_detector};

    ph_node_seed(node, config.seed);
    ph_detector_init(&way->detector, &config, node->now);
}

static PhStrategy strategy_for(const PhNode *node, const PhPeer *peer)
{
    if (node->config.relay_only)
        return PH_STRATEGY_RELAY;
    return ph_strategy(&node->record, &peer->record, !node->config.no_hard_punching);
}

static PhPathKind kind_of(PhStrategy strategy)
{
    return strategy == PH_STRATEGY_DIAL || strategy == PH_STRATEGY_WAIT ? PH_PATH_DIRECT
                                                                        : PH_PATH_PUNCHED;
}

void ph_node_path_begin(PhNode *node, PhPeer *peer, const PhRoute *route)
{
    PhWay *way = route->via ? &peer->relayed : &peer->direct;

    way->route = *route;
    way->there = true;
    way->kind = route->via ? PH_PATH_RELAYED : PH_PATH_DIRECT;
    init_detector(node, way);
    peer->back_off_ns = BACK_OFF_NS;
    peer->next_attempt_ns = node->now;
    peer->used = NULL;
    use(node, peer, way, "first");
}

/* ---- heartbeats ---- */

static bool same_route(const PhRoute *a, const PhRoute *b)
{
    if (a->via || b->via)
        return a->via != 0 && b->via != 0;
    return a->path.socket == b->path.socket && ph_address_equal(&a->path.remote, &b->path.remote);
}

static PhWay *way_of(PhPeer *peer, const PhRoute *route)
{
    if (route->via)
        return &peer->relayed;
    return peer->direct.there && same_route(&peer->direct.route, route) ? &peer->direct : NULL;
}

void ph_node_path_heard(PhNode *node, PhPeer *peer, const PhRoute *route, bool data)
{
    PhWay *way = way_of(peer, route);

    if (route->via) {
        /* The hub's session, or the peer's channel, may be another one by now. */
        peer->relayed.route = *route;
        if (!peer->relayed.there) {
            peer->relayed.there = true;
            peer->relayed.kind = PH_PATH_RELAYED;
            init_detector(node, &peer->relayed);
        }
    }
    if (way) {
        ph_detector_heard(&way->detector, data, node->now);
        return;
    }
    /* An authentic packet from elsewhere: the peer has moved, or got through first. Our own ping
     * decides whether it can be used. */
    if (!peer->proving && !peer->punch) {
        peer->direct.route = *route;
        peer->direct.kind = PH_PATH_PUNCHED;
        peer->proving = true;
        peer->prove_until_ns = node->now + PROVE_NS;
        init_detector(node, &peer->direct);
    }
}

void ph_node_path_pong(PhNode *node, PhPeer *peer, const PhRoute *route, uint64_t id)
{
    PhWay *way = route->via ? &peer->relayed : &peer->direct;
    bool proving = !route->via && peer->proving && same_route(&peer->direct.route, route);

    if (!way->there && !proving)
        return;
    if (!ph_detector_ponged(&way->detector, id, node->now))
        return;
    if (proving) {
        peer->proving = false;
        peer->direct.there = true;
        peer->attempt = 0;
        peer->back_off_ns = BACK_OFF_NS;
        node->counters.upgrades++;
        use(node, peer, &peer->direct, ph_strategy_name(peer->strategy));
    }
}

/* ---- attempts ---- */

static void back_off(PhNode *node, PhPeer *peer)
{
    peer->attempt = 0;
    peer->next_attempt_ns = node->now + peer->back_off_ns;
    peer->back_off_ns *= 2;
    if (peer->back_off_ns > BACK_OFF_MOST_NS)
        peer->back_off_ns = BACK_OFF_MOST_NS;
}

/* Who wanted the peer asks; the other one is told. */
static bool is_asker(const PhPeer *peer)
{
    return peer->ours && (peer->lower || !peer->theirs);
}

static void ask_mediator(PhNode *node, PhPeer *peer)
{
    PhMessage message = {.kind = PH_MESSAGE_INTRODUCE};

    if (++node->last_request == 0)
        node->last_request = 1;
    peer->request = message.introduce.request = node->last_request;
    message.introduce.attempt = (uint8_t)(peer->attempt + 1);
    memcpy(message.introduce.key, peer->key, sizeof(peer->key));
    message.introduce.record = node->record;
    peer->next_attempt_ns = node->now + 4 * PH_SECOND;
    (void)ph_node_tell_hub(node, &message);
}

static void consider_attempt(PhNode *node, PhPeer *peer)
{
    bool known =
        node->record.nat_class != PH_CLASS_UNKNOWN && peer->record.nat_class != PH_CLASS_UNKNOWN;

    peer->next_attempt_ns = node->now + AGAIN_SOON_NS;
    if (!known)
        return;
    peer->strategy = strategy_for(node, peer);
    if (peer->strategy == PH_STRATEGY_RELAY) {
        node->counters.relay_fallbacks += peer->reason && strcmp(peer->reason, "relay") != 0;
        peer->reason = "relay";
        peer->next_attempt_ns = PH_NEVER; /* until one of the two is in another place */
        return;
    }
    if (is_asker(peer))
        ask_mediator(node, peer);
    else
        peer->next_attempt_ns = PH_NEVER;
}

void ph_node_introduction_refused(PhNode *node, PhPeer *peer, PhReason reason)
{
    peer->request = 0;
    peer->reason = ph_reason_name(reason);
    node->counters.punches_rejected++;
    back_off(node, peer);
}

void ph_node_introduced(PhNode *node, const PhMessage *message)
{
    PhPeer *peer = ph_node_peer_by_key(node, message->introduced.key);
    PhPunchConfig config = {
        .attempt = message->introduced.attempt,
        .own = node->record,
        .socket = node->socket,
        .family = (PhFamily)node->config.hub.family,
        .n_sockets = PH_PUNCH_SOCKETS,
        .start_ns = node->now + message->introduced.start_us * UINT64_C(1000),
    };

    if (!peer || peer->state != PH_PEER_TALKING || node->config.relay_only)
        return;
    peer->request = 0;
    peer->record.n_candidates = message->introduced.record.n_candidates;
    memcpy(peer->record.candidates, message->introduced.record.candidates,
           sizeof(peer->record.candidates));
    if (message->introduced.record.sequence > peer->record.sequence)
        peer->record = message->introduced.record;
    peer->strategy = strategy_for(node, peer);
    ph_node_punch_drop(node, peer);
    if (peer->strategy == PH_STRATEGY_RELAY)
        return;
    config.strategy = peer->strategy;
    config.lower = peer->lower;
    config.other = peer->record;
    config.rtt_ns = peer->relayed.detector.rtt.smooth_ns;
    config.first_socket = node->next_socket;
    memcpy(config.token, message->introduced.token, sizeof(config.token));
    ph_node_seed(node, config.seed);
    node->next_socket += PH_PUNCH_SOCKETS;
    peer->attempt = message->introduced.attempt;
    peer->proving = false;
    peer->punch = ph_punch_new(&config, node->now);
    peer->next_attempt_ns = PH_NEVER;
    node->counters.punches_attempted++;
}

void ph_node_punch_drop(PhNode *node, PhPeer *peer)
{
    (void)node;
    peer->punch = ph_punch_free(peer->punch);
}

void ph_node_punch_progress(PhNode *node, PhPeer *peer)
{
    PhPath path;

    switch (ph_punch_state(peer->punch, &path)) {
    case PH_PUNCH_RUNNING:
        return;
    case PH_PUNCH_OPEN:
        if (peer->proving || peer->direct.there)
            return;
        peer->direct.route = (PhRoute){.path = path};
        peer->direct.kind = kind_of(peer->strategy);
        init_detector(node, &peer->direct);
        peer->proving = true;
        peer->prove_until_ns = node->now + PROVE_NS;
        node->counters.punches_succeeded++;
        return;
    case PH_PUNCH_FAILED:
        node->counters.punches_failed++;
        ph_node_punch_drop(node, peer);
        peer->reason = "punch-failed";
        if (peer->attempt < ATTEMPTS && peer->strategy != PH_STRATEGY_SPREAD &&
            peer->strategy != PH_STRATEGY_SCATTER)
            peer->next_attempt_ns = is_asker(peer) ? node->now : PH_NEVER;
        else
            back_off(node, peer);
        return;
    }
}

/* What was assumed before they were known may have called for more than was needed. */
void ph_node_path_classes(PhNode *node, PhPeer *peer)
{
    PhStrategy strategy = strategy_for(node, peer);
    PhNodeEvent *event;

    if (!peer->punch && !peer->proving && !peer->direct.there) {
        peer->next_attempt_ns = node->now;
        return;
    }
    if (!peer->direct.there || strategy == PH_STRATEGY_RELAY ||
        kind_of(strategy) == peer->direct.kind)
        return;
    peer->strategy = strategy;
    peer->direct.kind = kind_of(strategy);
    if (peer->used != &peer->direct)
        return;
    peer->reason = ph_strategy_name(strategy);
    event = ph_node_event(node, PH_NODE_PEER_PATH, peer);
    if (event)
        event->reason = peer->reason;
}

/* ---- time ---- */

static void ping(PhNode *node, PhPeer *peer, PhWay *way)
{
    PhMessage message = {.kind = PH_MESSAGE_PING};

    if (ph_detector_poll_ping(&way->detector, node->now, &message.ping.id))
        (void)ph_node_tell(node, peer->session, &way->route, &message);
}

static void health_changed(PhNode *node, PhPeer *peer, const PhWay *way)
{
    PhNodeEvent *event;

    if (way != peer->used)
        return;
    event = ph_node_event(node, PH_NODE_PEER_HEALTH, peer);
    if (event)
        event->reason = way->detector.reason;
}

static void look_after(PhNode *node, PhPeer *peer, PhWay *way)
{
    PhHealth before = way->detector.health;

    if (!way->there && !(way == &peer->direct && peer->proving))
        return;
    (void)ph_detector_handle_timeout(&way->detector, node->now);
    if (way->detector.health != before && way->there)
        health_changed(node, peer, way);
    ping(node, peer, way);
}

/* Which of the two ways is used, by how they are. */
static void choose(PhNode *node, PhPeer *peer)
{
    PhWay *direct = &peer->direct, *relayed = &peer->relayed;

    if (direct->there && direct->detector.health == PH_FAILED) {
        direct->there = false;
        node->counters.downgrades++;
        ph_node_punch_drop(node, peer);
        peer->attempt = 0;
        peer->next_attempt_ns = node->now;
        if (relayed->there)
            use(node, peer, relayed, "the direct path failed");
    } else if (direct->there && direct->detector.health == PH_SUSPECT && relayed->there &&
               relayed->detector.health == PH_HEALTHY) {
        use(node, peer, relayed, "the direct path is suspect");
    } else if (direct->there && direct->detector.health == PH_HEALTHY) {
        use(node, peer, direct, peer->used == direct ? peer->reason : "the direct path is well");
    }
    if (!direct->there && (!relayed->there || relayed->detector.health == PH_FAILED))
        ph_node_peer_gone(node, peer, "timeout", "Nothing is heard of the peer on any path.");
}

void ph_node_path_timeout(PhNode *node, PhPeer *peer)
{
    if (peer->punch) {
        ph_punch_handle_timeout(peer->punch, node->now);
        ph_node_punch_progress(node, peer);
    }
    look_after(node, peer, &peer->relayed);
    look_after(node, peer, &peer->direct);
    if (peer->proving && node->now >= peer->prove_until_ns) {
        peer->proving = false;
        ph_node_punch_drop(node, peer);
        node->counters.punches_timed_out++;
        back_off(node, peer);
    }
    if (!peer->punch && !peer->proving && !peer->direct.there && node->now >= peer->next_attempt_ns)
        consider_attempt(node, peer);
    choose(node, peer);
}

uint64_t ph_node_path_next(const PhPeer *peer)
{
    uint64_t next = PH_NEVER, at;

    if (peer->punch && (at = ph_punch_next_timeout(peer->punch)) < next)
        next = at;
    if (peer->relayed.there && (at = ph_detector_next_timeout(&peer->relayed.detector)) < next)
        next = at;
    if ((peer->direct.there || peer->proving) &&
        (at = ph_detector_next_timeout(&peer->direct.detector)) < next)
        next = at;
    if (peer->proving && peer->prove_until_ns < next)
        next = peer->prove_until_ns;
    if (!peer->punch && !peer->proving && !peer->direct.there && peer->next_attempt_ns < next)
        next = peer->next_attempt_ns;
    return next;
}
