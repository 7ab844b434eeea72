/* SPDX-License-Identifier: MIT */
/*
 * From a message to a datagram: sealed for whom it is, and, on a relayed way, sealed once more for
 * the relay that carries it.
 */
#include <string.h>

#include "node_private.h"

bool ph_node_datagram(PhNode *node, const PhPath *path, const uint8_t *bytes, size_t length,
                      uint8_t ttl)
{
    PhOutgoing *outgoing;

    if (node->outgoing_n == PH_NODE_OUTGOING || length > sizeof(outgoing->bytes)) {
        node->counters.datagrams_dropped++;
        return false;
    }
    outgoing = &node->outgoing[(node->outgoing_first + node->outgoing_n++) % PH_NODE_OUTGOING];
    outgoing->path = *path;
    outgoing->ttl = ttl;
    outgoing->length = (uint16_t)length;
    memcpy(outgoing->bytes, bytes, length);
    return true;
}

/* RELAY: the relay's own path is what is used, whatever the number of the session. */
static bool by_relay(PhNode *node, const PhRoute *route, const uint8_t *packet, size_t length)
{
    PhMessage message = {.kind = PH_MESSAGE_RELAY};

    message.relay.channel = route->relay;
    message.relay.bytes = packet;
    message.relay.length = length;
    return ph_node_tell_via(node, route->via, &message);
}

bool ph_node_along(PhNode *node, const PhRoute *route, const uint8_t *packet, size_t length)
{
    if (route->via != 0)
        return by_relay(node, route, packet, length);
    return ph_node_datagram(node, &route->path, packet, length, 0);
}

bool ph_node_tell(PhNode *node, uint32_t session, const PhRoute *route, const PhMessage *message)
{
    uint8_t plain[PH_SESSION_PLAIN_MAX], packet[PH_DATAGRAM_MAX];
    size_t length = ph_message_write(message, plain, sizeof(plain));

    if (length > 0)
        length = ph_sessions_seal(node->sessions, session, plain, length, node->now, packet);
    return length > 0 && ph_node_along(node, route, packet, length);
}

bool ph_node_tell_hub(PhNode *node, const PhMessage *message)
{
    PhRoute route = ph_node_hub_route(node);

    if (node->hub.state != PH_HUB_UP || node->data.state != PH_SOCKET_THERE)
        return false;
    ph_detector_sent(&node->hub.detector, message->kind == PH_MESSAGE_RELAY, node->now);
    return ph_node_tell(node, node->hub.session, &route, message);
}

void ph_node_flush_sessions(PhNode *node)
{
    const uint8_t *bytes;
    PhRoute route;
    size_t length;

    /* A session goes by the route that it was heard of last, which may have been left since. */
    while (ph_sessions_poll_transmit(node->sessions, &route, &bytes, &length))
        if (route.via != 0 || ph_node_has_socket(node, route.path.socket))
            (void)ph_node_along(node, &route, bytes, length);
}
