/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A host's stack as a whole; see stack.h, and stack_private.h for its parts. */
#include "virtual/stack_private.h"

#include <string.h>

#include "topology/random.h"

/* RFC 768: as much as a length field can say, without the headers before it. */
#define UDP_DATA_MAX (PL_PACKET_MAX - PL_IPV4_HEADER - PL_UDP_HEADER)

static void interface_clear(gpointer data)
{
    g_array_unref(((PlInterface *)data)->addresses);
}

PlStack *pl_stack_new(gboolean routes, uint64_t seed, PlStackEmit emit, gpointer data)
{
    PlStack *stack = g_new0(PlStack, 1);

    stack->routes = routes;
    stack->random = seed;
    stack->next_id = (uint32_t)pl_random_next(&stack->random);
    stack->emit = emit;
    stack->data = data;
    stack->interfaces = g_array_new(FALSE, FALSE, sizeof(PlInterface));
    g_array_set_clear_func(stack->interfaces, interface_clear);
    stack->ways = g_array_new(FALSE, FALSE, sizeof(PlStackRoute));
    stack->path_mtus = g_array_new(FALSE, FALSE, sizeof(PlPathMtu));
    stack->connections = g_ptr_array_new();
    stack->fragments = g_ptr_array_new_with_free_func(g_free);
    return stack;
}

PlStack *pl_stack_free(PlStack *stack)
{
    if (!stack)
        return NULL;
    for (unsigned i = 0; i < PL_BUCKETS; i++) {
        while (stack->buckets[i])
            pl_socket_remove(stack, stack->buckets[i]);
    }
    g_ptr_array_unref(stack->connections);
    g_ptr_array_unref(stack->fragments);
    g_array_unref(stack->interfaces);
    g_array_unref(stack->ways);
    g_array_unref(stack->path_mtus);
    g_free(stack);
    return NULL;
}

unsigned pl_stack_add_interface(PlStack *stack, const PlPrefix *subnet, const GArray *addresses,
                                unsigned mtu_bytes)
{
    PlInterface interface = {
        .subnet = *subnet,
        .mtu_bytes = mtu_bytes,
        .addresses = g_array_copy((GArray *)addresses),
    };

    g_array_append_val(stack->interfaces, interface);
    pl_stack_add_route(stack, subnet, stack->interfaces->len - 1);
    return stack->interfaces->len - 1;
}

void pl_stack_unplug(PlStack *stack)
{
    g_array_set_size(stack->interfaces, 0);
    g_array_set_size(stack->ways, 0);
    g_array_set_size(stack->path_mtus, 0);
}

/* Behind all that are as long. */
void pl_stack_add_route(PlStack *stack, const PlPrefix *destination, unsigned interface)
{
    const PlStackRoute route = {*destination, interface};
    guint at = 0;

    while (at < stack->ways->len &&
           g_array_index(stack->ways, PlStackRoute, at).destination.length >= destination->length)
        at++;
    g_array_insert_val(stack->ways, at, route);
}

const PlStackCounters *pl_stack_counters(const PlStack *stack)
{
    return &stack->counters;
}

gboolean pl_stack_cast(PlStack *stack, const PhAddress *local, const PhAddress *remote,
                       const uint8_t *bytes, size_t length, uint8_t ttl, uint64_t now)
{
    uint8_t *payload = pl_output_payload(stack);
    const PhAddress unspecified = {.family = local->family};
    PlPacketView packet = {
        .source = *local, .destination = *remote, .protocol = PL_IP_UDP, .ttl = ttl};
    uint16_t checksum;

    if (length > UDP_DATA_MAX || remote->family != local->family)
        return FALSE;
    if (ph_address_equal_host(&packet.source, &unspecified))
        packet.source = pl_route_source(stack, remote);
    if (packet.source.family == PH_FAMILY_NONE)
        return FALSE;
    packet.source.port = packet.destination.port = 0;
    pl_put_u16(payload, local->port);
    pl_put_u16(payload + 2, remote->port);
    pl_put_u16(payload + 4, (unsigned)(PL_UDP_HEADER + length));
    pl_put_u16(payload + 6, 0);
    if (length > 0)
        memcpy(payload + PL_UDP_HEADER, bytes, length);
    checksum = pl_packet_checksum(&packet, payload, PL_UDP_HEADER + length);
    pl_put_u16(payload + 6, checksum ? checksum : 0xffff); /* RFC 768: 0 is none */
    return pl_output_send(stack, &packet, PL_UDP_HEADER + length, now);
}

gboolean pl_stack_send(PlStack *stack, PlSocket *socket, const PhAddress *remote,
                       const uint8_t *bytes, size_t length, uint8_t ttl, uint64_t now)
{
    g_assert(socket->kind == PL_SOCKET_UDP);
    return pl_stack_cast(stack, &socket->local, remote, bytes, length, ttl, now);
}

PlSocket *pl_stack_echo(PlStack *stack, const PhAddress *local, const PhAddress *remote,
                        gpointer owner, uint32_t id)
{
    PhAddress bound = *local;
    PlSocket *socket;

    bound.port = 0;
    if (!pl_socket_bind(stack, PL_SOCKET_ECHO, &bound))
        return NULL;
    socket = pl_socket_new(PL_SOCKET_ECHO, &bound, owner, id);
    socket->remote = *remote;
    pl_socket_insert(stack, socket);
    return socket;
}

/* RFC 768; without a checksum in IPv4 only (RFC 8200 §8.1). */
static gboolean is_good_udp(const PlPacketView *packet)
{
    size_t length;

    if (packet->length < PL_UDP_HEADER)
        return FALSE;
    length = pl_get_u16(packet->payload + 4);
    if (length < PL_UDP_HEADER || length > packet->length)
        return FALSE;
    if (pl_get_u16(packet->payload + 6) == 0)
        return packet->source.family == PH_FAMILY_IPV4;
    return pl_packet_checksum(packet, packet->payload, length) == 0;
}

static gboolean receive_udp(PlStack *stack, const PlPacketView *packet, uint64_t now,
                            PlStackEvent *ret_event)
{
    PhAddress local = packet->destination, remote = packet->source;
    PlSocket *socket;

    if (!is_good_udp(packet)) {
        stack->counters.malformed++;
        return FALSE;
    }
    remote.port = pl_get_u16(packet->payload);
    local.port = pl_get_u16(packet->payload + 2);
    socket = pl_socket_find(stack, PL_SOCKET_UDP, &local, &remote);
    if (!socket) {
        stack->counters.closed++;
        pl_icmp_error(stack, PL_ICMP_PORT_CLOSED, packet, /* mtu_bytes= */ 0, now);
        return FALSE;
    }
    *ret_event = (PlStackEvent){
        .kind = PL_STACK_DATAGRAM,
        .socket = socket,
        .remote = remote,
        .bytes = packet->payload + PL_UDP_HEADER,
        .length = pl_get_u16(packet->payload + 4) - (size_t)PL_UDP_HEADER,
    };
    return TRUE;
}

gboolean pl_stack_receive(PlStack *stack, const uint8_t *bytes, size_t length, uint64_t now,
                          PlStackEvent *ret_event)
{
    PlPacketView packet;

    stack->counters.received++;
    if (!pl_packet_read(bytes, length, &packet)) {
        stack->counters.malformed++;
        return FALSE;
    }
    if (!pl_stack_is_own(stack, &packet.destination)) {
        if (stack->routes)
            pl_output_forward(stack, &packet, now);
        else
            stack->counters.foreign++;
        return FALSE;
    }
    if ((packet.offset > 0 || packet.more) && !pl_reassembly_add(stack, &packet, now))
        return FALSE;
    if (packet.protocol == PL_IP_UDP)
        return receive_udp(stack, &packet, now, ret_event);
    if (packet.protocol == PL_IP_TCP)
        return pl_tcp_receive(stack, &packet, now, ret_event);
    if (packet.protocol == (packet.source.family == PH_FAMILY_IPV6 ? PL_IP_ICMPV6 : PL_IP_ICMP))
        return pl_icmp_receive(stack, &packet, now, ret_event);
    stack->counters.foreign++;
    return FALSE;
}

uint64_t pl_stack_next(const PlStack *stack)
{
    uint64_t next = UINT64_MAX;

    for (guint i = 0; i < stack->connections->len; i++)
        next = MIN(next, ((PlSocket *)g_ptr_array_index(stack->connections, i))->due_ns);
    return next;
}

gboolean pl_stack_timeout(PlStack *stack, uint64_t now, PlStackEvent *ret_event)
{
    for (guint i = 0; i < stack->connections->len;) {
        PlSocket *socket = g_ptr_array_index(stack->connections, i);

        if (socket->due_ns > now) {
            i++;
            continue;
        }
        /* It may be gone then, and all that is behind it at other places. */
        if (pl_tcp_timeout(stack, socket, now, ret_event))
            return TRUE;
        i = 0;
    }
    return FALSE;
}
