/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * As much of TCP (RFC 9293) as makes connections and ends them; no data is ever sent, and none
 * taken.
 *
 *              LISTEN --SYN--> SYN_RECEIVED --ACK--+
 *                                   ^              v
 *     (connect) SYN_SENT --SYN------+         ESTABLISHED --FIN--> CLOSE_WAIT --(close)--> LAST_ACK
 *                  |                               |                                          |
 *                  +--SYN ACK----------------------+                                     ACK: gone
 *                                                  |
 *                                               (close)          +--ACK--> FIN_WAIT_2 --FIN--+
 *                                                  v             |                           v
 *                                              FIN_WAIT_1 -------+--FIN--> CLOSING --ACK-->
 * TIME_WAIT
 */
#include "virtual/stack_private.h"

#include <string.h>

#include "topology/random.h"

#define SECOND_NS G_GUINT64_CONSTANT(1000000000)
/* RFC 6298 §2.1 and §5.5: doubled with each try. */
#define RTO_NS    SECOND_NS
#define TRIES_MAX 6
/* Linux keeps what has ended for a minute, not for the four that RFC 9293 §3.4.2 names. */
#define LINGER_NS (60 * SECOND_NS)
/* Others are refused, or their SYN is not heard. */
#define CONNECTIONS_MAX 1024
#define WINDOW          65535

typedef struct Segment {
    PhAddress local, remote;
    uint32_t sequence, acknowledged;
    unsigned flags;
    size_t length; /* of its data */
} Segment;

static void send_raw(PlStack *stack, const PhAddress *local, const PhAddress *remote,
                     uint32_t sequence, uint32_t acknowledged, unsigned flags, uint64_t now)
{
    uint8_t *payload = pl_output_payload(stack);
    PlPacketView packet = {.source = *local, .destination = *remote, .protocol = PL_IP_TCP};

    packet.source.port = packet.destination.port = 0;
    memset(payload, 0, PL_TCP_HEADER);
    pl_put_u16(payload, local->port);
    pl_put_u16(payload + 2, remote->port);
    pl_put_u32(payload + 4, sequence);
    pl_put_u32(payload + 8, flags & PL_TCP_ACK ? acknowledged : 0);
    payload[12] = PL_TCP_HEADER / 4 << 4;
    payload[13] = (uint8_t)flags;
    pl_put_u16(payload + 14, flags & PL_TCP_RST ? 0 : WINDOW);
    pl_put_u16(payload + 16, pl_packet_checksum(&packet, payload, PL_TCP_HEADER));
    pl_output_send(stack, &packet, PL_TCP_HEADER, now);
}

/* SYN and FIN are the last thing in the sequence (again): they have a number of their own. */
static void send_segment(PlStack *stack, const PlSocket *socket, unsigned flags, uint64_t now)
{
    send_raw(stack, &socket->local, &socket->remote,
             socket->send_next - (flags & (PL_TCP_SYN | PL_TCP_FIN) ? 1 : 0), socket->receive_next,
             flags, now);
}

static void send_first(PlStack *stack, PlSocket *socket, unsigned flags, uint64_t now)
{
    socket->send_next++;
    socket->tries = 1;
    socket->due_ns = now + RTO_NS;
    send_segment(stack, socket, flags, now);
}

/* RFC 9293 §3.10.7.1 */
static void reset(PlStack *stack, const Segment *segment, uint64_t now)
{
    uint32_t after = segment->sequence + (uint32_t)segment->length +
                     (segment->flags & PL_TCP_SYN ? 1 : 0) + (segment->flags & PL_TCP_FIN ? 1 : 0);

    if (segment->flags & PL_TCP_RST)
        return;
    stack->counters.closed++;
    if (segment->flags & PL_TCP_ACK)
        send_raw(stack, &segment->local, &segment->remote, segment->acknowledged, 0, PL_TCP_RST,
                 now);
    else
        send_raw(stack, &segment->local, &segment->remote, 0, after, PL_TCP_RST | PL_TCP_ACK, now);
}

static gboolean tell(PlSocket *socket, PlStackEventKind kind, PlStackEvent *ret_event)
{
    *ret_event = (PlStackEvent){.kind = kind, .socket = socket, .remote = socket->remote};
    return TRUE;
}

static PlSocket *add_connection(PlStack *stack, const PhAddress *local, const PhAddress *remote,
                                gpointer owner, uint32_t id)
{
    PlSocket *socket = pl_socket_new(PL_SOCKET_TCP, local, owner, id);

    socket->remote = *remote;
    socket->state = PL_TCP_SYN_SENT;
    socket->send_next = (uint32_t)pl_random_next(&stack->random);
    pl_socket_insert(stack, socket);
    return socket;
}

PlSocket *pl_stack_connect(PlStack *stack, const PhAddress *local, const PhAddress *remote,
                           gpointer owner, uint32_t id, uint64_t now)
{
    PhAddress bound = *local, source = pl_route_source(stack, remote);
    const PhAddress unspecified = {.family = local->family};
    PlSocket *socket;

    if (source.family == PH_FAMILY_NONE || stack->connections->len >= CONNECTIONS_MAX)
        return NULL;
    if (ph_address_equal_host(local, &unspecified)) {
        bound = source;
        bound.port = local->port;
    }
    if (!pl_socket_bind(stack, PL_SOCKET_TCP, &bound))
        return NULL;
    socket = add_connection(stack, &bound, remote, owner, id);
    send_first(stack, socket, PL_TCP_SYN, now);
    return socket;
}

static void take_syn(PlStack *stack, PlSocket *listener, const Segment *segment, uint64_t now)
{
    PlSocket *socket;

    if (stack->connections->len >= CONNECTIONS_MAX)
        return;
    socket =
        add_connection(stack, &segment->local, &segment->remote, listener->owner, listener->id);
    socket->state = PL_TCP_SYN_RECEIVED;
    socket->listener = listener;
    socket->receive_next = segment->sequence + 1;
    send_first(stack, socket, PL_TCP_SYN | PL_TCP_ACK, now);
}

static void receive_listening(PlStack *stack, PlSocket *socket, const Segment *segment,
                              uint64_t now)
{
    if (segment->flags & PL_TCP_ACK)
        reset(stack, segment, now);
    else if ((segment->flags & (PL_TCP_SYN | PL_TCP_RST)) == PL_TCP_SYN)
        take_syn(stack, socket, segment, now);
}

/* Its owner hears of it, and closes it. */
static gboolean fail(PlStack *stack, PlSocket *socket, PlStackEvent *ret_event)
{
    if (socket->orphan || socket->listener) {
        pl_socket_remove(stack, socket);
        return FALSE;
    }
    socket->due_ns = UINT64_MAX;
    socket->state = PL_TCP_LAST_ACK; /* nothing is to be said any more */
    return tell(socket, PL_STACK_FAILED, ret_event);
}

/* RFC 9293 §3.10.7.3 */
static gboolean receive_syn_sent(PlStack *stack, PlSocket *socket, const Segment *segment,
                                 uint64_t now, PlStackEvent *ret_event)
{
    gboolean acknowledged =
        (segment->flags & PL_TCP_ACK) != 0 && segment->acknowledged == socket->send_next;

    if ((segment->flags & PL_TCP_ACK) && !acknowledged) {
        reset(stack, segment, now);
        return FALSE;
    }
    if (segment->flags & PL_TCP_RST)
        return acknowledged && fail(stack, socket, ret_event);
    if (!(segment->flags & PL_TCP_SYN))
        return FALSE;
    socket->receive_next = segment->sequence + 1;
    if (!acknowledged) { /* both have begun */
        socket->state = PL_TCP_SYN_RECEIVED;
        send_segment(stack, socket, PL_TCP_SYN | PL_TCP_ACK, now);
        return FALSE;
    }
    socket->state = PL_TCP_ESTABLISHED;
    socket->due_ns = UINT64_MAX;
    send_segment(stack, socket, PL_TCP_ACK, now);
    return tell(socket, PL_STACK_CONNECTED, ret_event);
}

static void linger(PlSocket *socket, PlTcpState state, uint64_t now)
{
    socket->state = state;
    socket->tries = 0;
    socket->due_ns = now + LINGER_NS;
}

static gboolean establish(PlSocket *socket, PlStackEvent *ret_event)
{
    PlSocket *listener = socket->listener;

    socket->state = PL_TCP_ESTABLISHED;
    socket->due_ns = UINT64_MAX;
    if (!listener)
        return tell(socket, PL_STACK_CONNECTED, ret_event);
    socket->listener = NULL;
    tell(listener, PL_STACK_ACCEPTED, ret_event);
    ret_event->remote = socket->remote;
    ret_event->connection = socket;
    return TRUE;
}

/* All that was sent has arrived. *ret_gone: the socket as well is no more. */
static gboolean take_ack(PlStack *stack, PlSocket *socket, uint64_t now, gboolean *ret_gone,
                         PlStackEvent *ret_event)
{
    switch (socket->state) {
    case PL_TCP_SYN_RECEIVED:
        return establish(socket, ret_event);
    case PL_TCP_FIN_WAIT_1:
        linger(socket, PL_TCP_FIN_WAIT_2, now);
        break;
    case PL_TCP_CLOSING:
        linger(socket, PL_TCP_TIME_WAIT, now);
        break;
    case PL_TCP_LAST_ACK:
        *ret_gone = socket->orphan;
        if (socket->orphan)
            pl_socket_remove(stack, socket);
        break;
    case PL_TCP_LISTEN:
    case PL_TCP_SYN_SENT:
    case PL_TCP_ESTABLISHED:
    case PL_TCP_FIN_WAIT_2:
    case PL_TCP_CLOSE_WAIT:
    case PL_TCP_TIME_WAIT:
        break;
    }
    return FALSE;
}

static void take_fin(PlStack *stack, PlSocket *socket, uint64_t now)
{
    socket->receive_next++;
    if (socket->state == PL_TCP_ESTABLISHED)
        socket->state = PL_TCP_CLOSE_WAIT;
    else if (socket->state == PL_TCP_FIN_WAIT_1)
        socket->state = PL_TCP_CLOSING;
    else if (socket->state == PL_TCP_FIN_WAIT_2)
        linger(socket, PL_TCP_TIME_WAIT, now);
    send_segment(stack, socket, PL_TCP_ACK, now);
}

/* It was sent before our FIN arrived there. */
static gboolean is_old_ack(const PlSocket *socket, const Segment *segment)
{
    return socket->state != PL_TCP_SYN_RECEIVED && segment->acknowledged == socket->send_next - 1;
}

/* RFC 9293 §3.10.7.4. What does not come next in the sequence is answered with what would. */
static gboolean receive_synchronized(PlStack *stack, PlSocket *socket, const Segment *segment,
                                     uint64_t now, PlStackEvent *ret_event)
{
    gboolean gone = FALSE, told = FALSE;

    if ((segment->flags & PL_TCP_SYN) && socket->state == PL_TCP_SYN_RECEIVED &&
        !(segment->flags & PL_TCP_ACK)) {
        send_segment(stack, socket, PL_TCP_SYN | PL_TCP_ACK, now);
        return FALSE;
    }
    if (segment->flags & PL_TCP_SYN && socket->state == PL_TCP_SYN_RECEIVED &&
        segment->acknowledged == socket->send_next)
        return establish(socket, ret_event); /* the other one's, who has begun as well */
    if (segment->sequence != socket->receive_next || segment->flags & PL_TCP_SYN) {
        if (!(segment->flags & PL_TCP_RST))
            send_segment(stack, socket, PL_TCP_ACK, now);
        return FALSE;
    }
    if (segment->flags & PL_TCP_RST)
        return fail(stack, socket, ret_event);
    if (!(segment->flags & PL_TCP_ACK))
        return FALSE;
    if (segment->acknowledged == socket->send_next)
        told = take_ack(stack, socket, now, &gone, ret_event);
    else if (!is_old_ack(socket, segment))
        return FALSE;
    if (!gone && segment->flags & PL_TCP_FIN && segment->length == 0)
        take_fin(stack, socket, now);
    return told;
}

static gboolean read_segment(const PlPacketView *packet, Segment *ret_segment)
{
    const uint8_t *at = packet->payload;
    size_t header = packet->length < PL_TCP_HEADER ? 0 : (size_t)(at[12] >> 4) * 4;

    if (header < PL_TCP_HEADER || header > packet->length ||
        pl_packet_checksum(packet, at, packet->length) != 0)
        return FALSE;
    *ret_segment = (Segment){
        .local = packet->destination,
        .remote = packet->source,
        .sequence = pl_get_u32(at + 4),
        .acknowledged = pl_get_u32(at + 8),
        .flags = at[13],
        .length = packet->length - header,
    };
    ret_segment->remote.port = pl_get_u16(at);
    ret_segment->local.port = pl_get_u16(at + 2);
    return TRUE;
}

gboolean pl_tcp_receive(PlStack *stack, const PlPacketView *packet, uint64_t now,
                        PlStackEvent *ret_event)
{
    Segment segment;
    PlSocket *socket;

    if (!read_segment(packet, &segment)) {
        stack->counters.malformed++;
        return FALSE;
    }
    socket = pl_socket_find(stack, PL_SOCKET_TCP, &segment.local, &segment.remote);
    if (!socket) {
        reset(stack, &segment, now);
        return FALSE;
    }
    if (socket->state == PL_TCP_LISTEN) {
        receive_listening(stack, socket, &segment, now);
        return FALSE;
    }
    if (socket->state == PL_TCP_SYN_SENT)
        return receive_syn_sent(stack, socket, &segment, now, ret_event);
    return receive_synchronized(stack, socket, &segment, now, ret_event);
}

gboolean pl_tcp_unreachable(PlStack *stack, PlSocket *socket, PlStackEvent *ret_event)
{
    /* RFC 5461 §2.1: once it stands, an error may be of the moment. */
    return socket->state == PL_TCP_SYN_SENT && fail(stack, socket, ret_event);
}

/* Those that wait to be accepted go with their listener. */
static void close_listener(PlStack *stack, PlSocket *listener)
{
    for (guint i = stack->connections->len; i-- > 0;) {
        PlSocket *socket = g_ptr_array_index(stack->connections, i);

        if (socket->listener == listener)
            pl_socket_remove(stack, socket);
    }
    pl_socket_remove(stack, listener);
}

void pl_tcp_close(PlStack *stack, PlSocket *socket, uint64_t now)
{
    socket->orphan = TRUE;
    switch (socket->state) {
    case PL_TCP_LISTEN:
        close_listener(stack, socket);
        return;
    case PL_TCP_SYN_RECEIVED:
    case PL_TCP_ESTABLISHED:
        socket->state = PL_TCP_FIN_WAIT_1;
        break;
    case PL_TCP_CLOSE_WAIT:
        socket->state = PL_TCP_LAST_ACK;
        break;
    case PL_TCP_SYN_SENT:
    case PL_TCP_FIN_WAIT_1:
    case PL_TCP_FIN_WAIT_2:
    case PL_TCP_CLOSING:
    case PL_TCP_LAST_ACK: /* one that has failed */
    case PL_TCP_TIME_WAIT:
        pl_socket_remove(stack, socket);
        return;
    }
    send_first(stack, socket, PL_TCP_FIN | PL_TCP_ACK, now);
}

gboolean pl_tcp_timeout(PlStack *stack, PlSocket *socket, uint64_t now, PlStackEvent *ret_event)
{
    unsigned flags = PL_TCP_FIN | PL_TCP_ACK;

    if (socket->tries == 0 || socket->tries == TRIES_MAX)
        return fail(stack, socket, ret_event);
    if (socket->state == PL_TCP_SYN_SENT)
        flags = PL_TCP_SYN;
    else if (socket->state == PL_TCP_SYN_RECEIVED)
        flags = PL_TCP_SYN | PL_TCP_ACK;
    socket->due_ns = now + (RTO_NS << socket->tries++);
    send_segment(stack, socket, flags, now);
    return FALSE;
}
