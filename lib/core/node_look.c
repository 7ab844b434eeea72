/* SPDX-License-Identifier: MIT */
/*
 * A better direct way than the one in use: by the network that both are in, where a router has
 * turned packets around so far. Once a minute LOOK goes to where the peer may be found as well; who
 * gets it answers there, and neither of the two is taken for being elsewhere because of it. What
 * has a round trip that is shorter by so much as to be worth it is proven, and used then.
 */
#include "bucket.h"
#include "node_private.h"

#define LOOK_NS (60 * PH_SECOND)
/* By less nothing is gained. */
#define GAIN_NS (5 * PH_MS)

/* Both are seen at one host: what the peer says of itself would have us look wherever it likes. */
static bool is_inside(const PhNode *node, const PhPeer *peer)
{
    return node->hub.seen.family != PH_FAMILY_NONE &&
           ph_address_equal_host(&peer->seen, &node->hub.seen);
}

/* Where its packets would take another way: not to the host that they go to already. Addresses
 * inside mean something only to who is inside, and of others those are tried that the hub sees. */
static bool may_be_better(const PhNode *node, const PhPeer *peer, const PhCandidate *candidate)
{
    if (candidate->address.family != node->config.hub.family || candidate->address.port == 0 ||
        ph_address_equal_host(&candidate->address, &peer->direct.route.path.remote))
        return false;
    return candidate->kind == PH_CANDIDATE_LOCAL
               ? is_inside(node, peer)
               : candidate->kind != PH_CANDIDATE_RELAYED &&
                     ph_address_equal_host(&candidate->address, &peer->seen);
}

/* A way that takes no longer than what would be gained is as good as any. */
static bool may_look(const PhNode *node, const PhPeer *peer)
{
    return node->data.state == PH_SOCKET_THERE && peer->used == &peer->direct &&
           ph_node_way_is_well(&peer->direct) && !peer->proving && !peer->punch &&
           peer->direct.detector.rtt.smooth_ns > GAIN_NS;
}

static void look_at(PhNode *node, PhPeer *peer, const PhAddress *address)
{
    PhMessage message = {.kind = PH_MESSAGE_LOOK};
    PhLook *look = &peer->looks[peer->n_looks];

    *look = (PhLook){
        .sent_ns = node->now,
        .route.path = {PH_TRANSPORT_UDP, node->data.socket, *address},
    };
    ph_random_bytes(&node->random, (uint8_t *)&look->id, sizeof(look->id));
    message.ping.id = look->id;
    if (ph_node_tell(node, peer->session, &look->route, &message))
        peer->n_looks++;
}

void ph_node_look_begin(PhNode *node, PhPeer *peer)
{
    peer->n_looks = 0;
    peer->look_ns = node->now + LOOK_NS;
}

void ph_node_look(PhNode *node, PhPeer *peer)
{
    if (peer->used != &peer->direct || node->now < peer->look_ns)
        return;
    ph_node_look_begin(node, peer);
    for (unsigned i = 0; may_look(node, peer) && i < peer->record.n_candidates; i++)
        if (peer->n_looks < PH_NODE_LOOKS && may_be_better(node, peer, &peer->record.candidates[i]))
            look_at(node, peer, &peer->record.candidates[i].address);
}

void ph_node_looked_at(PhNode *node, PhPeer *peer, const PhRoute *route, uint64_t id)
{
    PhMessage looked = {.kind = PH_MESSAGE_LOOKED, .ping.id = id};

    if (route->via == 0)
        (void)ph_node_tell(node, peer->session, route, &looked);
}

void ph_node_look_answered(PhNode *node, PhPeer *peer, const PhRoute *route, uint64_t id)
{
    for (unsigned i = 0; route->via == 0 && i < peer->n_looks; i++) {
        const PhLook *look = &peer->looks[i];

        if (look->id != id || !ph_address_equal(&look->route.path.remote, &route->path.remote) ||
            look->route.path.socket != route->path.socket)
            continue;
        if (may_look(node, peer) &&
            node->now - look->sent_ns + GAIN_NS <= peer->direct.detector.rtt.smooth_ns)
            ph_node_prove(node, peer, route);
        return;
    }
}
