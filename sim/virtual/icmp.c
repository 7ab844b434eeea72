/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A host's ICMP: echoes are answered (RFC 1122 §3.2.2.6, RFC 4443 §4.2), errors are sent (RFC 1812
 * §4.3, RFC 4443 §3) and told to the socket that they are about. Nothing limits their rate: nobody
 * here can be flooded, and a limit would make silence of what is an answer.
 */
#include "virtual/stack_private.h"

#include <string.h>

#define ECHO_REPLY       0
#define UNREACHABLE      3
#define ECHO_REQUEST     8
#define TIME_EXCEEDED    11
#define CODE_HOST        1
#define CODE_PORT        3
#define CODE_TOO_LONG    4
#define V6_UNREACHABLE   1
#define V6_TOO_BIG       2
#define V6_TIME_EXCEEDED 3
#define V6_ECHO_REQUEST  128
#define V6_ECHO_REPLY    129
#define V6_CODE_NO_ROUTE 0
#define V6_CODE_PORT     4

/* RFC 1812 §4.3.2.3, RFC 4443 §2.4 (c): as much of the packet as fits. */
#define ERROR_MAX    576
#define V6_ERROR_MAX 1280

static gboolean is_v6(const PlPacketView *packet)
{
    return packet->destination.family == PH_FAMILY_IPV6;
}

static void send_icmp(PlStack *stack, PlPacketView *packet, size_t length, uint64_t now)
{
    uint8_t *payload = pl_output_payload(stack);

    packet->protocol = is_v6(packet) ? PL_IP_ICMPV6 : PL_IP_ICMP;
    packet->ttl = 0;
    pl_put_u16(payload + 2, 0);
    pl_put_u16(payload + 2, pl_packet_checksum(packet, payload, length));
    pl_output_send(stack, packet, length, now);
}

static gboolean is_error_type(gboolean ipv6, uint8_t type)
{
    if (ipv6)
        return type < V6_ECHO_REQUEST;
    return type != ECHO_REQUEST && type != ECHO_REPLY;
}

/* RFC 1122 §3.2.2, RFC 4443 §2.4 (e): not about an error, not about later fragments. */
static gboolean is_answerable(const PlPacketView *packet)
{
    gboolean icmp = packet->protocol == (is_v6(packet) ? PL_IP_ICMPV6 : PL_IP_ICMP);

    if (packet->offset > 0)
        return FALSE;
    return !icmp || (packet->length > 0 && !is_error_type(is_v6(packet), packet->payload[0]));
}

static const struct {
    uint8_t type, code, v6_type, v6_code;
} errors[] = {
    [PL_ICMP_PORT_CLOSED] = {UNREACHABLE, CODE_PORT, V6_UNREACHABLE, V6_CODE_PORT},
    [PL_ICMP_NO_ROUTE] = {UNREACHABLE, CODE_HOST, V6_UNREACHABLE, V6_CODE_NO_ROUTE},
    [PL_ICMP_TOO_LONG] = {UNREACHABLE, CODE_TOO_LONG, V6_TOO_BIG, 0},
    [PL_ICMP_TTL] = {TIME_EXCEEDED, 0, V6_TIME_EXCEEDED, 0},
};

void pl_icmp_error(PlStack *stack, PlIcmpError error, const PlPacketView *packet,
                   unsigned mtu_bytes, uint64_t now)
{
    uint8_t *payload = pl_output_payload(stack);
    size_t headers = is_v6(packet) ? PL_IPV6_HEADER : PL_IPV4_HEADER;
    size_t most = (is_v6(packet) ? V6_ERROR_MAX : ERROR_MAX) - headers - PL_ICMP_HEADER;
    PlPacketView answer = {.destination = packet->source};
    size_t quoted;

    if (!is_answerable(packet))
        return;
    answer.source = pl_stack_is_own(stack, &packet->destination)
                        ? packet->destination
                        : pl_route_source(stack, &packet->source);
    if (answer.source.family == PH_FAMILY_NONE)
        return;
    memset(payload, 0, PL_ICMP_HEADER);
    payload[0] = is_v6(packet) ? errors[error].v6_type : errors[error].type;
    payload[1] = is_v6(packet) ? errors[error].v6_code : errors[error].code;
    pl_put_u32(payload + 4, mtu_bytes); /* the upper half of IPv4's is unused (RFC 1191 §4) */
    payload += PL_ICMP_HEADER;
    quoted = pl_packet_write_header(packet, packet->length, payload);
    most = MIN(most - quoted, packet->length);
    memcpy(payload + quoted, packet->payload, most);
    send_icmp(stack, &answer, PL_ICMP_HEADER + quoted + most, now);
}

/* Its data comes back as it is. */
static void answer_echo(PlStack *stack, const PlPacketView *packet, uint64_t now)
{
    uint8_t *payload = pl_output_payload(stack);
    PlPacketView answer = {.source = packet->destination, .destination = packet->source};

    memcpy(payload, packet->payload, packet->length);
    payload[0] = is_v6(packet) ? V6_ECHO_REPLY : ECHO_REPLY;
    payload[1] = 0;
    send_icmp(stack, &answer, packet->length, now);
}

gboolean pl_stack_echo_send(PlStack *stack, PlSocket *socket, uint16_t sequence, uint64_t now)
{
    uint8_t *payload = pl_output_payload(stack);
    PlPacketView request = {.source = socket->local, .destination = socket->remote};
    unsigned interface;

    if (!pl_route_find(stack, &request.destination, &interface))
        return FALSE;
    request.source.port = request.destination.port = 0;
    memset(payload, 0, PL_ICMP_HEADER);
    payload[0] = is_v6(&request) ? V6_ECHO_REQUEST : ECHO_REQUEST;
    pl_put_u16(payload + 4, socket->local.port);
    pl_put_u16(payload + 6, sequence);
    pl_put_u32(payload + PL_ICMP_HEADER, socket->id);
    send_icmp(stack, &request, PL_ICMP_HEADER + 4, now);
    return TRUE;
}

static gboolean take_echo_reply(PlStack *stack, const PlPacketView *packet, PlStackEvent *ret_event)
{
    PhAddress local = packet->destination;
    PlSocket *socket;

    local.port = pl_get_u16(packet->payload + 4);
    socket = pl_socket_find(stack, PL_SOCKET_ECHO, &local, &packet->source);
    if (!socket) {
        stack->counters.foreign++;
        return FALSE;
    }
    *ret_event = (PlStackEvent){.kind = PL_STACK_ECHO,
                                .socket = socket,
                                .remote = packet->source,
                                .sequence = pl_get_u16(packet->payload + 6)};
    return TRUE;
}

/* The socket that a quoted packet was sent by. */
static PlSocket *find_sender(const PlStack *stack, const PlPacketView *inner, PhAddress *ret_remote)
{
    PhAddress local = inner->source;

    *ret_remote = inner->destination;
    if (inner->offset > 0 || inner->length < 4)
        return NULL;
    local.port = pl_get_u16(inner->payload);
    ret_remote->port = pl_get_u16(inner->payload + 2);
    if (inner->protocol == PL_IP_UDP)
        return pl_socket_find(stack, PL_SOCKET_UDP, &local, ret_remote);
    if (inner->protocol == PL_IP_TCP)
        return pl_socket_find(stack, PL_SOCKET_TCP, &local, ret_remote);
    return NULL;
}

static gboolean take_error(PlStack *stack, const PlPacketView *packet, PlStackEvent *ret_event)
{
    const uint8_t *at = packet->payload;
    gboolean unreachable = at[0] == (is_v6(packet) ? V6_UNREACHABLE : UNREACHABLE);
    gboolean too_long = is_v6(packet) ? at[0] == V6_TOO_BIG : unreachable && at[1] == CODE_TOO_LONG;
    PlPacketView inner;
    PhAddress remote;
    PlSocket *socket;

    if (!pl_packet_read_quoted(at + PL_ICMP_HEADER, packet->length - PL_ICMP_HEADER, &inner) ||
        !pl_stack_is_own(stack, &inner.source))
        return FALSE;
    if (too_long) {
        pl_output_learn_mtu(stack, &inner.destination,
                            is_v6(packet) ? pl_get_u32(at + 4) : pl_get_u16(at + 6));
        return FALSE;
    }
    socket = find_sender(stack, &inner, &remote);
    if (!socket || !unreachable)
        return FALSE;
    if (socket->kind == PL_SOCKET_TCP)
        return pl_tcp_unreachable(stack, socket, ret_event);
    *ret_event = (PlStackEvent){
        .kind = PL_STACK_UNREACHABLE,
        .socket = socket,
        .remote = remote,
        .port_closed = at[1] == (is_v6(packet) ? V6_CODE_PORT : CODE_PORT),
    };
    return TRUE;
}

gboolean pl_icmp_receive(PlStack *stack, const PlPacketView *packet, uint64_t now,
                         PlStackEvent *ret_event)
{
    gboolean ipv6 = is_v6(packet);
    uint8_t type;

    if (packet->length < PL_ICMP_HEADER ||
        pl_packet_checksum(packet, packet->payload, packet->length) != 0) {
        stack->counters.malformed++;
        return FALSE;
    }
    type = packet->payload[0];
    if (type == (ipv6 ? V6_ECHO_REQUEST : ECHO_REQUEST)) {
        answer_echo(stack, packet, now);
        return FALSE;
    }
    if (type == (ipv6 ? V6_ECHO_REPLY : ECHO_REPLY))
        return take_echo_reply(stack, packet, ret_event);
    return is_error_type(ipv6, type) && take_error(stack, packet, ret_event);
}
