/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How packets leave a host: routes, the length that a way takes, fragments. */
#include "virtual/stack_private.h"

#include <string.h>

/* RFC 791 §3.2 and RFC 8200 §5: shorter than this no way is believed to be. */
#define IPV4_MTU_MIN 68
#define IPV6_MTU_MIN 1280
/* Destinations whose way is remembered to be shorter; the oldest goes. */
#define PATH_MTUS_MAX 64

static PlInterface *interface_at(const PlStack *stack, unsigned i)
{
    return &g_array_index(stack->interfaces, PlInterface, i);
}

gboolean pl_stack_is_own(const PlStack *stack, const PhAddress *address)
{
    for (unsigned i = 0; i < stack->interfaces->len; i++) {
        const GArray *addresses = interface_at(stack, i)->addresses;

        for (unsigned k = 0; k < addresses->len; k++)
            if (ph_address_equal_host(&g_array_index(addresses, PhAddress, k), address))
                return TRUE;
    }
    return FALSE;
}

gboolean pl_route_find(const PlStack *stack, const PhAddress *remote, unsigned *ret_interface)
{
    for (unsigned i = 0; i < stack->ways->len; i++) {
        const PlStackRoute *way = &g_array_index(stack->ways, PlStackRoute, i);

        if (!pl_prefix_contains(&way->destination, remote))
            continue;
        *ret_interface = way->interface;
        return TRUE;
    }
    return FALSE;
}

PhAddress pl_route_source(const PlStack *stack, const PhAddress *remote)
{
    const GArray *addresses;
    unsigned interface;

    if (!pl_route_find(stack, remote, &interface))
        return (PhAddress){0};
    addresses = interface_at(stack, interface)->addresses;
    for (unsigned i = 0; i < addresses->len; i++)
        if (g_array_index(addresses, PhAddress, i).family == remote->family)
            return g_array_index(addresses, PhAddress, i);
    return (PhAddress){0};
}

static unsigned mtu_to(const PlStack *stack, const PhAddress *destination, unsigned interface)
{
    unsigned mtu_bytes = interface_at(stack, interface)->mtu_bytes;

    for (unsigned i = 0; i < stack->path_mtus->len; i++) {
        const PlPathMtu *known = &g_array_index(stack->path_mtus, PlPathMtu, i);

        if (ph_address_equal_host(&known->destination, destination))
            return MIN(mtu_bytes, known->mtu_bytes);
    }
    return mtu_bytes;
}

void pl_output_learn_mtu(PlStack *stack, const PhAddress *destination, unsigned mtu_bytes)
{
    PlPathMtu known = {*destination, mtu_bytes};

    known.mtu_bytes =
        MAX(mtu_bytes, destination->family == PH_FAMILY_IPV6 ? IPV6_MTU_MIN : IPV4_MTU_MIN);
    for (unsigned i = 0; i < stack->path_mtus->len; i++) {
        if (!ph_address_equal_host(&g_array_index(stack->path_mtus, PlPathMtu, i).destination,
                                   destination))
            continue;
        g_array_remove_index(stack->path_mtus, i);
        break;
    }
    if (stack->path_mtus->len == PATH_MTUS_MAX)
        g_array_remove_index(stack->path_mtus, 0);
    g_array_append_val(stack->path_mtus, known);
}

static size_t header_of(const PlPacketView *packet)
{
    return packet->destination.family == PH_FAMILY_IPV6 ? PL_IPV6_HEADER : PL_IPV4_HEADER;
}

static void emit(PlStack *stack, unsigned interface, const uint8_t *bytes, size_t length,
                 uint64_t now)
{
    stack->counters.sent++;
    stack->emit(stack->data, interface, bytes, length, now);
}

/* RFC 791 §3.2, RFC 8200 §4.5: pieces of whole 8 bytes, all but the last. A fragment may itself be
 * cut: offset and `more` of `packet` are those of the whole. */
static void emit_pieces(PlStack *stack, unsigned interface, const PlPacketView *packet,
                        const uint8_t *payload, size_t length, unsigned mtu_bytes, uint64_t now)
{
    size_t header = header_of(packet), room;
    PlPacketView piece = *packet;

    if (packet->destination.family == PH_FAMILY_IPV6)
        header += PL_IPV6_FRAGMENT_HEADER;
    room = (mtu_bytes - header) & ~(size_t)7;
    for (size_t at = 0; at < length; at += room) {
        size_t n = MIN(room, length - at), head;

        piece.offset = packet->offset + (unsigned)at;
        piece.more = packet->more || at + n < length;
        head = pl_packet_write_header(&piece, n, stack->piece);
        memcpy(stack->piece + head, payload + at, n);
        emit(stack, interface, stack->piece, head + n, now);
    }
}

uint8_t *pl_output_payload(PlStack *stack)
{
    return stack->room + PL_HEADERS_MAX;
}

gboolean pl_output_send(PlStack *stack, PlPacketView *packet, size_t length, uint64_t now)
{
    uint8_t *payload = pl_output_payload(stack), *start = payload - header_of(packet);
    unsigned interface, mtu_bytes;

    if (!pl_route_find(stack, &packet->destination, &interface)) {
        stack->counters.unroutable++;
        return FALSE;
    }
    packet->id = stack->next_id++;
    packet->offset = 0;
    packet->more = FALSE;
    if (packet->ttl == 0)
        packet->ttl = PL_TTL;
    mtu_bytes = mtu_to(stack, &packet->destination, interface);
    /* What need not be cut is not to be cut on its way either (RFC 1191 §3); then an error comes.
     */
    packet->may_fragment = header_of(packet) + length > mtu_bytes;
    if (packet->may_fragment) {
        emit_pieces(stack, interface, packet, payload, length, mtu_bytes, now);
    } else {
        pl_packet_write_header(packet, length, start);
        emit(stack, interface, start, header_of(packet) + length, now);
    }
    return TRUE;
}

/* Options are left out. */
void pl_output_forward(PlStack *stack, const PlPacketView *packet, uint64_t now)
{
    gboolean ipv6 = packet->destination.family == PH_FAMILY_IPV6;
    PlPacketView passed = *packet;
    unsigned interface, mtu_bytes;
    size_t length, head;

    if (packet->ttl <= 1) {
        pl_icmp_error(stack, PL_ICMP_TTL, packet, 0, now);
        return;
    }
    if (!pl_route_find(stack, &packet->destination, &interface)) {
        stack->counters.unroutable++;
        pl_icmp_error(stack, PL_ICMP_NO_ROUTE, packet, 0, now);
        return;
    }
    mtu_bytes = interface_at(stack, interface)->mtu_bytes;
    passed.ttl--;
    head = pl_packet_write_header(&passed, packet->length, stack->piece);
    length = head + packet->length;
    if (length > mtu_bytes && (ipv6 || !packet->may_fragment)) {
        pl_icmp_error(stack, PL_ICMP_TOO_LONG, packet, mtu_bytes, now);
        return;
    }
    stack->counters.forwarded++;
    if (length > mtu_bytes) {
        emit_pieces(stack, interface, &passed, packet->payload, packet->length, mtu_bytes, now);
        return;
    }
    memcpy(stack->piece + head, packet->payload, packet->length);
    emit(stack, interface, stack->piece, length, now);
}
