/* SPDX-License-Identifier: MIT */
/*
 * A node's sockets: their numbers, who of its parts wants one opened or closed, and what came of
 * it.
 */
#include "node_private.h"

static bool is_among(const PhWay *way, bool in_use, uint32_t first, uint32_t n)
{
    return in_use && way->route.via == 0 && way->route.path.socket - first < n;
}

/* By one that lasts: attempts and classifications are over long before numbers come round. */
static bool is_taken(const PhNode *node, uint32_t first, uint32_t n)
{
    if (node->data.socket - first < n || node->other.socket - first < n)
        return true;
    for (unsigned i = 0; i < node->peers_n; i++) {
        const PhPeer *peer = &node->peers[i];

        if (is_among(&peer->direct, peer->direct.there, first, n) ||
            is_among(&peer->fresh, peer->proving, first, n) ||
            (peer->leaving && peer->before.path.socket - first < n) ||
            (peer->prepared.state != PH_PREPARED_NONE && peer->prepared.socket - first < n))
            return true;
    }
    return false;
}

bool ph_node_has_socket(const PhNode *node, uint32_t socket)
{
    return is_taken(node, socket, 1);
}

uint32_t ph_node_socket_numbers(PhNode *node, uint32_t n)
{
    uint32_t first;

    do {
        first = node->next_socket;
        if (first < node->config.first_socket || first > UINT32_MAX - n)
            first = node->config.first_socket;
        node->next_socket = first + n;
    } while (is_taken(node, first, n));
    return first;
}

void ph_node_close_socket(PhNode *node, uint32_t socket)
{
    if (node->closes_n < PH_NODE_CLOSES)
        node->closes[node->closes_n++] = socket;
}

void ph_node_bury(PhNode *node, PhPunch *punch)
{
    ph_punch_stop(punch);
    if (node->buried_n < PH_NODE_BURIED)
        node->buried[node->buried_n++] = punch;
    else
        ph_punch_free(punch); /* its driver does not poll */
}

/* Not before what is to be sent by them, as a goodbye may be. */
static bool poll_closes(PhNode *node, PhSocketRequest *ret_request)
{
    if (node->outgoing_n > 0)
        return false;
    for (; node->buried_n > 0; node->buried_n--) {
        if (ph_punch_poll_socket(node->buried[node->buried_n - 1], ret_request))
            return true;
        ph_punch_free(node->buried[node->buried_n - 1]);
    }
    if (node->closes_n == 0)
        return false;
    *ret_request = (PhSocketRequest){
        .kind = PH_SOCKET_CLOSE,
        .transport = PH_TRANSPORT_UDP,
        .socket = node->closes[--node->closes_n],
        .family = (PhFamily)node->config.hub.family,
    };
    return true;
}

bool ph_node_do_poll_socket(PhNode *node, PhSocketRequest *ret_request)
{
    PhClassification classification;

    if (node->data.state == PH_SOCKET_WANTED) {
        node->data.state = PH_SOCKET_ASKED;
        *ret_request = (PhSocketRequest){
            .kind = PH_SOCKET_OPEN,
            .transport = PH_TRANSPORT_UDP,
            .socket = node->data.socket,
            .family = (PhFamily)node->config.hub.family,
        };
        return true;
    }
    if (ph_node_family_poll_socket(node, ret_request))
        return true;
    if (node->classifier) {
        if (ph_classifier_poll_socket(node->classifier, ret_request))
            return true;
        if (ph_classifier_poll_event(node->classifier, &classification)) {
            node->classifier = ph_classifier_free(node->classifier);
            ph_node_classified(node, &classification);
        }
    }
    for (unsigned i = 0; i < node->peers_n; i++)
        if (node->peers[i].punch && ph_punch_poll_socket(node->peers[i].punch, ret_request))
            return true;
    if (ph_node_fresh_poll_socket(node, ret_request) ||
        ph_node_binding_poll_socket(node, ret_request))
        return true;
    return poll_closes(node, ret_request);
}

void ph_node_do_socket_opened(PhNode *node, uint32_t socket, const PhAddress *local, uint64_t now)
{
    ph_node_set_now(node, now);
    if (socket == node->data.socket) {
        node->data.state = PH_SOCKET_THERE;
        node->data.local = *local;
        ph_node_hub_begin(node);
        ph_node_classify(node);
        return;
    }
    if (ph_node_family_socket(node, socket, local) || ph_node_fresh_socket(node, socket, true))
        return;
    if (node->classifier)
        ph_classifier_socket_opened(node->classifier, socket, local, node->now);
    if (node->binding.measuring)
        ph_lifetime_socket_opened(node->binding.measuring, socket, node->now);
    for (unsigned i = 0; i < node->peers_n; i++)
        if (node->peers[i].punch)
            ph_punch_socket_opened(node->peers[i].punch, socket, local, node->now);
}

void ph_node_do_socket_failed(PhNode *node, uint32_t socket, uint64_t now)
{
    ph_node_set_now(node, now);
    if (socket == node->data.socket) {
        PhNodeEvent *event = ph_node_event(node, PH_NODE_REFUSED, NULL);

        node->data.state = PH_SOCKET_FAILED;
        node->data.again_ns = node->now + PH_NODE_SOCKET_AGAIN_NS;
        if (event)
            event->reason = "no-socket";
        /* It was there by the socket of the other family. */
        ph_node_hub_gone(node, "no-socket");
        return;
    }
    if (ph_node_family_socket(node, socket, NULL) || ph_node_fresh_socket(node, socket, false))
        return;
    if (node->classifier)
        ph_classifier_socket_failed(node->classifier, socket, node->now);
    if (node->binding.measuring)
        ph_lifetime_socket_failed(node->binding.measuring, socket, node->now);
    for (unsigned i = 0; i < node->peers_n; i++)
        if (node->peers[i].punch)
            ph_punch_socket_failed(node->peers[i].punch, socket, node->now);
}
