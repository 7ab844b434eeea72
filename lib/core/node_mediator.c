/* SPDX-License-Identifier: MIT */
/*
 * Who introduces us to a peer that we already have a session with, and what is believed of it:
 *
 *     who relays between us now --> another relay: the hub, then peers --> any peer we both have
 *                               --> nobody: no-mediator
 *
 * Only those that are well are asked, one after the other, four at most for an attempt.
 *
 * The hub is trusted, by configuration. A peer is not: it could name a victim's address, to have
 * our probes sent there. So of its introductions only candidates are used whose host the hub or
 * the other peer itself, end to end, has named to us; attempts that need many packets are made to
 * the host at which the hub has seen the other peer, and to no other; nothing that is underway is
 * given up for one that we did not ask for; and there are limits for each mediator and each pair.
 */
#include <string.h>

#include "bucket.h"
#include "mediator.h"
#include "node_private.h"

/* What is believed of one mediator that we did not ask: 4 in 10 s, 8 at once, as it may tell. */
#define BELIEVED ((PhMediation){.per_10s = 4, .at_once = 8})
/* And of a pair, whoever tells: 6 at once, and then one in 20 s; of those that guess ports, of up
 * to 1100 packets, 2 at once, and then one in a minute. */
#define PAIR       ((PhRate){.per_second = 1, .burst = 120})
#define PAIR_PLAIN 20
#define PAIR_MANY  60

static bool is_plain(PhStrategy strategy)
{
    return strategy == PH_STRATEGY_DIAL || strategy == PH_STRATEGY_WAIT ||
           strategy == PH_STRATEGY_PUNCH;
}

/* ---- who is asked ---- */

uint32_t ph_node_next_mediator(const PhNode *node, const PhPeer *peer)
{
    const PhAsking *asking = &peer->introduce;
    uint32_t hop = peer->relayed.there ? peer->relayed.route.via : 0, via;
    bool peers = is_plain(peer->strategy) || peer->seen.family != PH_FAMILY_NONE;

    if (asking->n_asked == PH_NODE_ASKED_MAX)
        return 0;
    if (hop != 0 && (peers || hop == PH_NODE_VIA_HUB) && !ph_node_was_asked(asking, hop) &&
        ph_node_via_is_well(node, hop))
        return hop;
    if (!ph_node_was_asked(asking, PH_NODE_VIA_HUB) && ph_node_via_is_well(node, PH_NODE_VIA_HUB))
        return PH_NODE_VIA_HUB;
    if (!peers)
        return 0;
    via = ph_node_nearest(node, peer, asking, /* relays= */ true);
    return via != 0 ? via : ph_node_nearest(node, peer, asking, /* relays= */ false);
}

void ph_node_ask_mediator(PhNode *node, PhPeer *peer, uint32_t via)
{
    PhMessage message = {.kind = PH_MESSAGE_INTRODUCE};

    peer->mediator = via;
    peer->attempt_ns = node->now;
    message.introduce.request = ph_node_ask(node, &peer->introduce, via);
    message.introduce.attempt = (uint8_t)(peer->attempt + 1);
    memcpy(message.introduce.key, peer->key, sizeof(peer->key));
    message.introduce.record = node->record;
    (void)ph_node_tell_via(node, via, &message);
}

/* ---- what is believed ---- */

bool ph_node_believes(PhNode *node, uint32_t via)
{
    const PhMediation believed = BELIEVED;
    const PhRate rate = ph_mediation_rate(&believed);
    PhPeer *mediator = ph_node_peer_via(node, via);

    if (via == PH_NODE_VIA_HUB)
        return true;
    if (mediator && ph_bucket_take(&mediator->believed_ns, &rate, PH_INTRODUCTION, node->now))
        return true;
    node->counters.introductions_ignored++;
    return false;
}

/* Whether both of us are seen at one address from outside. */
static bool is_together(const PhNode *node, const PhPeer *peer)
{
    if (node->hub.seen.family == PH_FAMILY_NONE)
        return false;
    if (ph_address_equal_host(&peer->seen, &node->hub.seen))
        return true;
    for (unsigned i = 0; i < peer->record.n_candidates; i++)
        if (peer->record.candidates[i].kind == PH_CANDIDATE_REFLEXIVE &&
            ph_address_equal_host(&peer->record.candidates[i].address, &node->hub.seen))
            return true;
    return false;
}

/* A host that we have not from the mediator alone; local ones lead into our own network. */
static bool is_known_host(const PhNode *node, const PhPeer *peer, const PhAddress *address)
{
    if (ph_address_equal_host(&peer->seen, address))
        return true;
    if (!is_plain(peer->strategy))
        return false; /* the two of them could have a thousand packets sent there */
    for (unsigned i = 0; i < peer->record.n_candidates; i++) {
        const PhCandidate *own = &peer->record.candidates[i];

        if (ph_address_equal_host(&own->address, address) &&
            (own->kind == PH_CANDIDATE_REFLEXIVE || is_together(node, peer)))
            return true;
    }
    return false;
}

static bool wants_introduction(PhNode *node, PhPeer *peer, uint32_t via, uint32_t request)
{
    const uint32_t amount = is_plain(peer->strategy) ? PAIR_PLAIN : PAIR_MANY;
    const PhRate rate = PAIR;

    if (request != 0)
        return peer->introduce.request == request && peer->introduce.via == via;
    if (peer->punch || !ph_bucket_take(&peer->introduced_ns, &rate, amount, node->now)) {
        node->counters.introductions_ignored++;
        return false;
    }
    return ph_node_believes(node, via);
}

bool ph_node_vet(PhNode *node, PhPeer *peer, uint32_t via, const PhMessage *message,
                 PhNodeRecord *ret_other)
{
    const PhNodeRecord *told = &message->introduced.record;

    *ret_other = peer->record;
    ret_other->n_candidates = 0;
    if (!wants_introduction(node, peer, via, message->introduced.request))
        return false;
    for (unsigned i = 0; i < told->n_candidates; i++)
        if (is_known_host(node, peer, &told->candidates[i].address))
            ret_other->candidates[ret_other->n_candidates++] = told->candidates[i];
    if (ret_other->n_candidates > 0)
        return true;
    node->counters.introductions_ignored++;
    return false;
}
