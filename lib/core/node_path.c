/* SPDX-License-Identifier: MIT */
/*
 * The ways to a peer. The relay carries the first bytes; a direct way is looked for beside it,
 * proven by a ping of the session along it, and then used (make before break):
 *
 *     relayed --classes are known--> introduced --> punching --open--> proving --pong--> direct
 *        ^                               |             |                  |               |
 *        +-- again after a while: 4, 8 ... 64 s -------+------------------+  suspect -----+
 *
 * A direct way that is suspect is probed, while the relay is used; one that failed, too, and is
 * used again when it answers, but the next attempt begins at once with fresh addresses. It is given
 * up after a while.
 */
#include <stdlib.h>
#include <string.h>

#include "bucket.h"
#include "node_private.h"

/* So long a path that has failed may come back by itself. */
#define KEEP_NS (120 * PH_SECOND)

/* A proof's ping, or its answer, may be lost: it is sent again after this, doubling. */
#define PROVE_GAP_NS (PH_SECOND / 10)
/* So long packets are underway on a way that was left for another one. */
#define UNDERWAY_NS (2 * PH_SECOND)
/* What a proof takes, beside the round trip. */
#define PROOF_NS (PH_SECOND / 4)

static void use(PhNode *node, PhPeer *peer, PhWay *way, const char *reason)
{
    PhNodeEvent *event;

    peer->reason = reason;
    if (peer->used == way)
        return;
    node->counters.upgrades += peer->used == &peer->relayed;
    node->counters.downgrades += peer->used == &peer->direct;
    peer->used = way;
    event = ph_node_event(node, PH_NODE_PEER_PATH, peer);
    if (event)
        event->reason = reason;
}

static void init_detector(PhNode *node, PhWay *way)
{
    PhDetectorConfig config = {.relayed = way->kind == PH_PATH_RELAYED,
                               .fast = node->config.fast_detector,
                               .binding_ns = node->config.binding_ns};

    ph_node_seed(node, config.seed);
    ph_detector_init(&way->detector, &config, node->now);
    way->health = PH_HEALTHY;
}

/* The hub's relay is taken where there is one; a peer's only instead of one that is lost. */
static bool may_take_relay(const PhNode *node, const PhPeer *peer, uint32_t via)
{
    const PhWay *relayed = &peer->relayed;

    return !relayed->there || via == relayed->route.via || via == PH_NODE_VIA_HUB ||
           relayed->detector.health != PH_HEALTHY || !ph_node_via_is_well(node, relayed->route.via);
}

static void relay_is_there(PhNode *node, PhPeer *peer, const PhRoute *route)
{
    bool another = !peer->relayed.there || peer->relayed.route.via != route->via;

    if (!may_take_relay(node, peer, route->via))
        return;
    /* The relay's session, or the peer's channel, may be another one by now. */
    peer->relayed.route = *route;
    if (!another)
        return;
    peer->relayed.there = true;
    peer->relayed.kind = PH_PATH_RELAYED;
    peer->connect.n_asked = 0;
    init_detector(node, &peer->relayed);
    if (peer->used != &peer->relayed)
        return;
    peer->used = NULL;
    use(node, peer, &peer->relayed, "another-relay");
}

/* A way is left for another one, or for none: a socket of its own goes with it. */
static void leave(PhNode *node, const PhPeer *peer, const PhWay *way, const PhWay *other)
{
    uint32_t socket = way->route.path.socket;

    if (way->route.via || socket == node->data.socket || socket == node->other.socket ||
        (other && other->route.path.socket == socket) ||
        (peer->leaving && peer->before.path.socket == socket))
        return;
    ph_node_close_socket(node, socket);
}

/* `next`: a way that will be used, or NULL. */
static void leave_before(PhNode *node, PhPeer *peer, const PhWay *next)
{
    const PhWay before = {.route = peer->before};

    if (!peer->leaving)
        return;
    peer->leaving = false;
    if (!next || next->route.path.socket != before.route.path.socket)
        leave(node, peer, &before, peer->direct.there ? &peer->direct : NULL);
}

/* For a better one. Its socket stays until what is underway has come. */
static void leave_later(PhNode *node, PhPeer *peer)
{
    leave_before(node, peer, &peer->fresh);
    peer->leaving = true;
    peer->before = peer->direct.route;
    peer->before_until_ns = node->now + UNDERWAY_NS;
}

void ph_node_prove(PhNode *node, PhPeer *peer, const PhRoute *route)
{
    if (peer->proving && peer->fresh.route.path.socket != route->path.socket)
        leave(node, peer, &peer->fresh, peer->direct.there ? &peer->direct : NULL);
    peer->fresh = (PhWay){.route = *route, .kind = PH_PATH_PUNCHED};
    init_detector(node, &peer->fresh);
    peer->proving = true;
    peer->prove_until_ns = node->now + PH_NODE_PROVE_NS;
    peer->prove_again_ns = node->now + PROVE_GAP_NS;
    peer->prove_gap_ns = PROVE_GAP_NS;
}

void ph_node_path_begin(PhNode *node, PhPeer *peer, const PhRoute *route)
{
    PhWay *way = route->via ? &peer->relayed : &peer->direct;

    way->route = *route;
    way->there = true;
    way->kind = route->via ? PH_PATH_RELAYED : PH_PATH_DIRECT;
    init_detector(node, way);
    peer->back_off_ns = PH_NODE_BACK_OFF_NS;
    peer->next_attempt_ns = node->now;
    peer->used = NULL;
    use(node, peer, way, "first");
}

/* By the relay, until it is known whether what there was directly is still there. */
static void begin_again(PhNode *node, PhPeer *peer, const char *reason)
{
    PhRtt rtt = peer->relayed.detector.rtt;

    init_detector(node, &peer->relayed);
    peer->relayed.detector.rtt = rtt;
    ph_node_punch_drop(node, peer);
    ph_node_fresh_drop(node, peer);
    peer->renewing = false;
    peer->attempt = 0;
    peer->back_off_ns = PH_NODE_BACK_OFF_NS;
    peer->next_attempt_ns = node->now;
    if (!peer->direct.there)
        return;
    use(node, peer, &peer->relayed, reason);
    peer->direct.there = false;
    ph_node_prove(node, peer, &peer->direct.route);
}

void ph_node_path_again(PhNode *node, PhPeer *peer, const PhRoute *route)
{
    if (!route->via)
        return;
    relay_is_there(node, peer, route);
    begin_again(node, peer, "new-session");
    /* The way there was before is proven, or not, by then. */
    if (peer->proving)
        peer->next_attempt_ns = node->now + PROOF_NS + 2 * peer->relayed.detector.rtt.smooth_ns;
}

void ph_node_path_moved(PhNode *node, PhPeer *peer)
{
    if (peer->relayed.there)
        begin_again(node, peer, "another-network");
    else
        ph_detector_probe(&peer->direct.detector, node->now);
}

void ph_node_path_leave(PhNode *node, PhPeer *peer)
{
    leave_before(node, peer, peer->proving ? &peer->fresh : NULL);
    if (peer->direct.there)
        leave(node, peer, &peer->direct, NULL);
    if (peer->proving)
        leave(node, peer, &peer->fresh, peer->direct.there ? &peer->direct : NULL);
}

/* ---- heartbeats ---- */

static bool same_route(const PhRoute *a, const PhRoute *b)
{
    if (a->via || b->via)
        return a->via == b->via;
    return a->path.socket == b->path.socket && ph_address_equal(&a->path.remote, &b->path.remote);
}

static PhWay *way_of(PhPeer *peer, const PhRoute *route)
{
    if (route->via)
        return peer->relayed.there && same_route(&peer->relayed.route, route) ? &peer->relayed
                                                                              : NULL;
    if (peer->direct.there && same_route(&peer->direct.route, route))
        return &peer->direct;
    return peer->proving && same_route(&peer->fresh.route, route) ? &peer->fresh : NULL;
}

/* All other sockets are somebody's who closes them when he is done: the classifier's, another
 * peer's. */
bool ph_node_may_be_way(const PhNode *node, const PhPeer *peer, const PhRoute *route)
{
    const uint32_t socket = route->path.socket;

    if (route->via != 0 || socket == node->data.socket || ph_node_is_beside(node, &route->path))
        return true;
    return peer && ((peer->direct.there && socket == peer->direct.route.path.socket) ||
                    (peer->proving && socket == peer->fresh.route.path.socket) ||
                    (peer->leaving && socket == peer->before.path.socket));
}

void ph_node_path_heard(PhNode *node, PhPeer *peer, const PhRoute *route, bool data)
{
    PhWay *way;

    if (route->via)
        relay_is_there(node, peer, route);
    way = way_of(peer, route);
    if (way)
        ph_detector_heard(&way->detector, data, node->now);
    else if (!route->via && ph_node_may_be_way(node, peer, route) && !peer->proving &&
             (!peer->punch || peer->opened) && !(peer->leaving && same_route(&peer->before, route)))
        /* An authentic packet from elsewhere: the peer has moved, or got through first. Our own
         * ping decides whether it can be used. */
        ph_node_prove(node, peer, route);
}

/* ---- health ---- */

/* A mapping towards the hub that was not kept says that others were not, either. */
#define REMAPPED_NS (60 * PH_SECOND)

static const char *reason_for(const PhNode *node, const PhWay *way)
{
    if (way->detector.health != PH_HEALTHY && !way->route.via && node->hub.remapped_ns != 0 &&
        node->now - node->hub.remapped_ns < REMAPPED_NS)
        return "mapping-dropped";
    return way->detector.reason;
}

static void health_changed(PhNode *node, PhPeer *peer, const PhWay *way)
{
    PhNodeEvent *event;

    if (way != peer->used && way != &peer->direct)
        return;
    event = ph_node_event(node, PH_NODE_PEER_HEALTH, peer);
    if (!event)
        return;
    event->health = ph_health_name(way->detector.health);
    event->reason = reason_for(node, way);
    if (way == &peer->direct) {
        event->path = way->kind;
        event->address = way->route.path.remote;
        memset(event->via, 0, sizeof(event->via));
    }
}

/* Before it fails: another direct path, and the relay, where the peer may have another channel. */
static void suspected(PhNode *node, PhPeer *peer, const PhWay *way)
{
    if (way == &peer->direct)
        peer->next_attempt_ns = node->now;
    if (peer->ours && (way == &peer->relayed || !ph_node_way_is_well(&peer->relayed)))
        ph_node_ask_for(node, peer);
}

/* It is kept for a while, since what stands in the way may pass; but no longer counted on. */
static void has_failed(PhNode *node, PhPeer *peer)
{
    ph_node_punch_drop(node, peer);
    peer->renewing = false;
    peer->attempt = 0;
    peer->next_attempt_ns = node->now;
    peer->keep_until_ns = node->now + KEEP_NS;
    if (peer->relayed.there)
        use(node, peer, &peer->relayed, "direct-failed");
}

/* Tells what has become of it, once. */
static void judge_health(PhNode *node, PhPeer *peer, PhWay *way)
{
    if (!way->there || way->health == way->detector.health)
        return;
    way->health = way->detector.health;
    health_changed(node, peer, way);
    if (way == &peer->direct && way->health != PH_HEALTHY)
        ph_node_relay_lost(node, peer->via);
    if (way->health == PH_SUSPECT)
        suspected(node, peer, way);
    if (way->health == PH_FAILED && way == &peer->direct)
        has_failed(node, peer);
}

static bool works(const PhWay *way)
{
    return way->there && way->detector.health != PH_FAILED;
}

/* Which of the two ways is used, by how they are. */
static void choose(PhNode *node, PhPeer *peer)
{
    PhWay *direct = &peer->direct, *relayed = &peer->relayed;

    if (direct->there && direct->detector.health == PH_FAILED && node->now >= peer->keep_until_ns &&
        peer->used != direct) {
        direct->there = false;
        leave(node, peer, direct, peer->proving ? &peer->fresh : NULL);
    } else if (direct->there && direct->detector.health == PH_SUSPECT &&
               ph_node_way_is_well(relayed)) {
        use(node, peer, relayed, "direct-suspect");
    } else if (ph_node_way_is_well(direct)) {
        use(node, peer, direct, peer->used == direct ? peer->reason : "direct-well");
    }
}

void ph_node_path_pong(PhNode *node, PhPeer *peer, const PhRoute *route, uint64_t id)
{
    PhWay *way = way_of(peer, route);

    if (way && way != &peer->fresh && ph_detector_ponged(&way->detector, id, node->now)) {
        judge_health(node, peer, way);
        choose(node, peer);
        return;
    }
    /* What is to be proven may be a way that is there already, and suspect. */
    if (!peer->proving || !same_route(&peer->fresh.route, route) ||
        !ph_detector_ponged(&peer->fresh.detector, id, node->now))
        return;
    peer->proving = false;
    ph_node_punch_proven(node, peer);
    /* No attempt is made now: a socket that was got ready for one is not needed. */
    if (!ph_node_fresh_take(node, peer, route->path.socket))
        ph_node_fresh_drop(node, peer);
    peer->attempt = 0;
    peer->back_off_ns = PH_NODE_BACK_OFF_NS;
    peer->renewing = false;
    peer->mapped_ns = node->now;
    ph_node_look_begin(node, peer);
    if (peer->direct.there)
        leave_later(node, peer);
    peer->direct = peer->fresh;
    peer->direct.there = true;
    peer->direct.kind = ph_node_kind(node, peer);
    if (peer->used == &peer->direct)
        peer->used = NULL; /* the same one in another place */
    use(node, peer, &peer->direct, ph_node_direct_reason(node, peer));
}

/* ---- time ---- */

static void ping(PhNode *node, PhPeer *peer, PhWay *way)
{
    PhMessage message = {.kind = PH_MESSAGE_PING};

    if (!ph_detector_poll_ping(&way->detector, node->now, &message.ping.id))
        return;
    node->counters.reflex_asked += way->route.via == 0;
    (void)ph_node_tell(node, peer->session, &way->route, &message);
}

static void look_after(PhNode *node, PhPeer *peer, PhWay *way)
{
    if (!way->there && !(way == &peer->fresh && peer->proving))
        return;
    (void)ph_detector_handle_timeout(&way->detector, node->now);
    judge_health(node, peer, way);
    ping(node, peer, way);
}

/* It did not hold: the other side got nothing of ours, or we nothing of theirs. */
static void proof_failed(PhNode *node, PhPeer *peer)
{
    peer->proving = false;
    leave(node, peer, &peer->fresh, peer->direct.there ? &peer->direct : NULL);
    if (peer->opened) {
        ph_node_punch_drop(node, peer);
        ph_node_back_off(node, peer);
    }
    /* Else it was where the peer had been; another one is looked for already. */
}

void ph_node_path_timeout(PhNode *node, PhPeer *peer)
{
    if (peer->punch) {
        ph_punch_handle_timeout(peer->punch, node->now);
        ph_node_punch_progress(node, peer);
    }
    ph_node_fresh_timeout(node, peer);
    look_after(node, peer, &peer->relayed);
    look_after(node, peer, &peer->direct);
    if (peer->proving && node->now >= peer->prove_again_ns) {
        ph_detector_probe(&peer->fresh.detector, node->now);
        peer->prove_gap_ns *= 2;
        peer->prove_again_ns = node->now + peer->prove_gap_ns;
    }
    look_after(node, peer, &peer->fresh);
    if (peer->proving && node->now >= peer->prove_until_ns)
        proof_failed(node, peer);
    else if (peer->opened && node->now >= peer->punch_until_ns)
        ph_node_punch_drop(node, peer);
    if (peer->leaving && node->now >= peer->before_until_ns)
        leave_before(node, peer, peer->proving ? &peer->fresh : NULL);
    ph_node_look(node, peer);
    if (ph_node_binding_renew(node, peer))
        ph_node_renew(node, peer);
    if (ph_node_may_attempt(peer) && node->now >= peer->next_attempt_ns)
        ph_node_attempt(node, peer);
    if (ph_node_wants_relay(node, peer) && node->now >= peer->ask_ns)
        ph_node_look_for_relay(node, peer);
    choose(node, peer);
    if (!works(&peer->direct) && !works(&peer->relayed))
        ph_node_peer_gone(node, peer, "timeout", "Nothing is heard of the peer on any path.");
    else if (peer->queue_n > 0)
        ph_node_flush_queue(node, peer);
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t ph_node_path_next(const PhNode *node, const PhPeer *peer)
{
    uint64_t next = ph_node_may_attempt(peer) ? peer->next_attempt_ns : PH_NEVER;

    next = sooner(next, ph_node_fresh_next(peer));
    next = sooner(next, ph_node_binding_renew_ns(node, peer));
    if (peer->used == &peer->direct)
        next = sooner(next, peer->look_ns);
    if (peer->leaving)
        next = sooner(next, peer->before_until_ns);
    if (peer->punch)
        next = sooner(next, ph_punch_next_timeout(peer->punch));
    if (peer->opened)
        next = sooner(next, peer->punch_until_ns);
    if (ph_node_wants_relay(node, peer))
        next = sooner(next, peer->ask_ns);
    if (peer->relayed.there)
        next = sooner(next, ph_detector_next_timeout(&peer->relayed.detector));
    if (peer->direct.there)
        next = sooner(next, ph_detector_next_timeout(&peer->direct.detector));
    if (peer->proving) {
        next = sooner(next, sooner(peer->prove_again_ns, peer->prove_until_ns));
        next = sooner(next, ph_detector_next_timeout(&peer->fresh.detector));
    }
    return next;
}
