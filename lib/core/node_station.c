/* SPDX-License-Identifier: MIT */
/*
 * What a node is to its peers beside a peer: a mediator, and a relay if it is to be one. Both only
 * between peers that it hears directly, so that it can say where they are; for the same reason
 * nothing goes through two relays. Who is refused is told so by name, at once.
 *
 * Names are the hub's: a node is asked for peers by their keys.
 */
#include "bucket.h"
#include "mediator.h"
#include "node_private.h"
#include "scope.h"

/* As a hub's. All that come from one address have as much as so many of them. */
#define MEDIATION     ((PhMediation){.per_10s = 4, .at_once = 8})
#define ADDRESS_SHARE 4
#define RELAY_BYTES_S (1024 * 1024)

/* Our own messages have the rest of the ring. */
#define RELAYED_MOST (PH_NODE_OUTGOING / 2)

static PhMember member(PhPeer *peer)
{
    return (PhMember){
        .key = peer->key,
        .record = &peer->record,
        .seen = &peer->direct.route.path.remote,
        .channel = peer->via,
        .rtt_ns = peer->direct.detector.rtt.smooth_ns,
        .introductions_ns = &peer->served.introductions_ns,
    };
}

/* ---- limits ---- */

static PhServed *at_address(PhNode *node, const PhAddress *address)
{
    return &node->served[ph_bucket_of(address, node->hash_key, PH_NODE_SOURCES)];
}

static bool take(uint64_t *own_ns, uint64_t *address_ns, const PhRate *rate, uint32_t amount,
                 uint64_t now)
{
    const PhRate shared = ph_rate_times(rate, ADDRESS_SHARE);

    return ph_bucket_take(own_ns, rate, amount, now) &&
           ph_bucket_take(address_ns, &shared, amount, now);
}

/* ---- what peers want of us ---- */

/* Who that is asked for, if we hear it directly; NULL: we have no such peer. */
static PhPeer *wanted(PhNode *node, const PhPeer *from, const uint8_t *key)
{
    PhPeer *to = ph_node_peer_by_key(node, key);

    return to && to != from && ph_node_is_near(to) ? to : NULL;
}

static void tell(PhNode *node, PhPeer *peer, const PhMessage *message)
{
    (void)ph_node_tell(node, peer->session, &peer->direct.route, message);
}

static void refuse(PhNode *node, PhPeer *from, PhMessageKind what, PhReason reason,
                   uint32_t request)
{
    PhMessage message = ph_mediator_refusal(what, reason, request);

    tell(node, from, &message);
}

/* Candidates are for introductions: to be relayed, nobody has to know where the other is. */
static PhMessage peer_message(PhMessageKind kind, uint32_t request, PhPeer *about, PhPeer *to)
{
    PhMember one = member(about), other = member(to);
    PhMessage message = ph_mediator_peer(kind, request, &one, &other);

    message.peer.record.n_candidates = 0;
    message.peer.seen = (PhAddress){0};
    return message;
}

static void serve_connect(PhNode *node, PhPeer *from, const PhMessage *message)
{
    const PhRate rate = PH_CONNECT_RATE;
    PhServed *address = at_address(node, &from->direct.route.path.remote);
    PhPeer *to = message->connect.by_name ? NULL : wanted(node, from, message->connect.key);
    PhReason reason = PH_REASON_NONE;
    PhMessage told;

    if (!take(&from->served.connects_ns, &address->connects_ns, &rate, 1, node->now))
        reason = PH_REASON_TOO_MANY;
    else if (!node->config.relays)
        reason = PH_REASON_NOT_AUTHORISED;
    else if (!to)
        reason = PH_REASON_UNKNOWN_PEER;
    if (reason != PH_REASON_NONE) {
        refuse(node, from, PH_MESSAGE_CONNECT, reason, message->connect.request);
        return;
    }
    told = peer_message(PH_MESSAGE_WANTED, 0, from, to);
    told.peer.near = message->connect.near;
    tell(node, to, &told);
    told = peer_message(PH_MESSAGE_FOUND, message->connect.request, to, from);
    tell(node, from, &told);
}

static void serve_relay(PhNode *node, PhPeer *from, const PhMessage *message)
{
    uint32_t most = node->config.relay_bytes_per_s ? node->config.relay_bytes_per_s : RELAY_BYTES_S;
    const PhRate rate = {most, most};
    PhServed *address = at_address(node, &from->direct.route.path.remote);
    PhPeer *to = ph_node_peer_via(node, message->relay.channel);
    PhMessage relayed = {.kind = PH_MESSAGE_RELAYED};

    if (!node->config.relays || !to || to == from || !to->direct.there ||
        node->outgoing_n >= RELAYED_MOST ||
        !take(&from->served.relay_ns, &address->relay_ns, &rate, (uint32_t)message->relay.length,
              node->now)) {
        node->counters.relay_dropped++;
        return;
    }
    relayed.relay.channel = from->via;
    relayed.relay.bytes = message->relay.bytes;
    relayed.relay.length = message->relay.length;
    tell(node, to, &relayed);
    ph_detector_sent(&to->direct.detector, true, node->now);
    node->counters.relayed++;
    node->counters.relayed_bytes += message->relay.length;
}

/* Where we see a peer: what that address means to somebody else. */
typedef enum {
    SCOPE_INTERNET,
    SCOPE_BEYOND_NAT, /* private, but not the peer's own: both of us are behind the same carrier */
    SCOPE_NEIGHBOUR,  /* private, and its own: a network that we are in, too */
} Scope;

static Scope scope_of(const PhPeer *peer)
{
    const PhAddress *seen = &peer->direct.route.path.remote;

    if (!ph_address_is_private(seen))
        return SCOPE_INTERNET;
    for (unsigned i = 0; i < peer->record.n_candidates; i++)
        if (peer->record.candidates[i].kind == PH_CANDIDATE_LOCAL &&
            ph_address_equal_host(&peer->record.candidates[i].address, seen))
            return SCOPE_NEIGHBOUR;
    return SCOPE_BEYOND_NAT;
}

static PhReason introduce(PhNode *node, PhPeer *from, const PhMessage *message,
                          PhMessage ret_told[static 2])
{
    const PhMediation mediation = MEDIATION;
    const PhRate one = ph_mediation_rate(&mediation), rate = ph_rate_times(&one, ADDRESS_SHARE);
    PhServed *address = at_address(node, &from->direct.route.path.remote);
    PhPeer *to = wanted(node, from, message->introduce.key);
    PhMember asker = member(from), other = {0};
    PhReason reason;

    if (node->config.no_mediation)
        return PH_REASON_NOT_AUTHORISED;
    if (to)
        other = member(to);
    reason =
        ph_mediator_introduce(&mediation, &asker, to ? &other : NULL, message->introduce.request,
                              message->introduce.attempt, &node->random, node->now, ret_told);
    /* An address that leads elsewhere for the other one is not passed on. */
    if (to && reason == PH_REASON_NONE &&
        (scope_of(from) != scope_of(to) || asker.seen->family != other.seen->family))
        return PH_REASON_UNREACHABLE;
    /* Who asks too often itself takes nothing from the others at its address. */
    if (reason == PH_REASON_NONE &&
        !ph_bucket_take(&address->introductions_ns, &rate, PH_INTRODUCTION, node->now))
        return PH_REASON_TOO_MANY;
    return reason;
}

static void serve_introduce(PhNode *node, PhPeer *from, const PhMessage *message)
{
    PhPeer *to = wanted(node, from, message->introduce.key);
    PhMessage told[2];
    PhReason reason;

    if (message->introduce.record.sequence > from->record.sequence)
        from->record = message->introduce.record;
    reason = introduce(node, from, message, told);
    if (reason != PH_REASON_NONE) {
        node->counters.introductions_refused++;
        refuse(node, from, PH_MESSAGE_INTRODUCE, reason, message->introduce.request);
        return;
    }
    tell(node, from, &told[0]);
    tell(node, to, &told[1]);
    node->counters.introductions++;
}

void ph_node_serve(PhNode *node, PhPeer *from, const PhMessage *message)
{
    if (message->kind == PH_MESSAGE_CONNECT)
        serve_connect(node, from, message);
    else if (message->kind == PH_MESSAGE_RELAY)
        serve_relay(node, from, message);
    else if (message->kind == PH_MESSAGE_INTRODUCE)
        serve_introduce(node, from, message);
}
