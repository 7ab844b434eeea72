/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The decoder of frames. Hostile input: each header is there in full before it is read. */
#include <string.h>

#include "capture/packet.h"

#define ETHERNET_HEADER 14
#define ETHERTYPE_IPV4  0x0800
#define ETHERTYPE_IPV6  0x86DD

#define ICMP_ECHO_REPLY      0
#define ICMP_UNREACHABLE     3
#define ICMP_ECHO_REQUEST    8
#define ICMP_TIME_EXCEEDED   11
#define ICMPV6_UNREACHABLE   1
#define ICMPV6_TIME_EXCEEDED 3
#define ICMPV6_ECHO_REQUEST  128
#define ICMPV6_ECHO_REPLY    129
#define ICMP_HEADER          8
#define TCP_MARK_START       4 /* sequence and acknowledgement numbers, data offset, flags */
#define TCP_MARK_LENGTH      10
#define ICMP_ECHO_MARK       6 /* the sequence number, after type, code, checksum, identifier */
#define INNER_TRANSPORT_MIN  4 /* an ICMP error quotes 8 bytes at least (RFC 792), 4 hold ports */

static uint16_t get_u16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static PhAddress make_address(PhFamily family, const uint8_t *bytes)
{
    PhAddress address = {.family = (uint8_t)family};

    memcpy(address.bytes, bytes, family == PH_FAMILY_IPV4 ? 4 : 16);
    return address;
}

/* The IP header: addresses, protocol, id; then what follows it, cut to the length that it names. */
static bool read_ipv4(const uint8_t *data, size_t length, PlPacket *packet, const uint8_t **ret_at,
                      size_t *ret_length)
{
    size_t header, total;

    if (length < 20 || data[0] >> 4 != 4)
        return false;
    header = (size_t)(data[0] & 0xf) * 4;
    total = get_u16(data + 2);
    if (header < 20 || header > length || total < header)
        return false;
    if (get_u16(data + 6) & 0x1fff) /* a later fragment has no ports */
        return false;
    packet->protocol = data[9];
    packet->ip_id = get_u16(data + 4);
    packet->source = make_address(PH_FAMILY_IPV4, data + 12);
    packet->destination = make_address(PH_FAMILY_IPV4, data + 16);
    *ret_at = data + header;
    *ret_length = (total < length ? total : length) - header;
    return true;
}

static bool read_ipv6(const uint8_t *data, size_t length, PlPacket *packet, const uint8_t **ret_at,
                      size_t *ret_length)
{
    size_t total;

    if (length < 40 || data[0] >> 4 != 6)
        return false;
    total = get_u16(data + 4);
    packet->protocol = data[6]; /* extension headers are not followed */
    packet->source = make_address(PH_FAMILY_IPV6, data + 8);
    packet->destination = make_address(PH_FAMILY_IPV6, data + 24);
    *ret_at = data + 40;
    *ret_length = total < length - 40 ? total : length - 40;
    return true;
}

/* The packet that an ICMP error quotes; its length field speaks of the whole one, so is of no use.
 */
static void read_inner(const uint8_t *data, size_t length, PlPacket *packet)
{
    PlPacket inner = {0};
    const uint8_t *at;
    size_t rest;

    if (!(packet->source.family == PH_FAMILY_IPV4 ? read_ipv4(data, length, &inner, &at, &rest)
                                                  : read_ipv6(data, length, &inner, &at, &rest)))
        return;
    if (rest < INNER_TRANSPORT_MIN ||
        (inner.protocol != PL_PACKET_UDP && inner.protocol != PL_PACKET_TCP))
        return;
    packet->inner_protocol = inner.protocol;
    packet->inner_source = inner.source;
    packet->inner_destination = inner.destination;
    packet->inner_source.port = get_u16(at);
    packet->inner_destination.port = get_u16(at + 2);
}

/*
 * Whether an error means that somebody did not want the packet (RFC 792, RFC 1812 §5.2.7.1; RFC
 * 4443 §3.1): the port is closed, or the way is prohibited. A host that is not there is no refusal.
 */
static bool is_refusal(bool v6, uint8_t type, uint8_t code)
{
    if (v6)
        return type == ICMPV6_UNREACHABLE && (code == 1 || code == 4);
    return type == ICMP_UNREACHABLE && (code == 3 || code == 9 || code == 10 || code == 13);
}

static bool read_icmp(const uint8_t *at, size_t length, PlPacket *packet)
{
    bool v6 = packet->protocol == PL_PACKET_ICMPV6;

    if (length < ICMP_HEADER)
        return false;
    packet->mark = at + ICMP_HEADER;
    packet->mark_length = length - ICMP_HEADER;
    if (at[0] == (v6 ? ICMPV6_UNREACHABLE : ICMP_UNREACHABLE) ||
        at[0] == (v6 ? ICMPV6_TIME_EXCEEDED : ICMP_TIME_EXCEEDED)) {
        packet->refused = is_refusal(v6, at[0], at[1]);
        read_inner(packet->mark, packet->mark_length, packet);
        packet->mark_length = 0; /* a NAT translates what is quoted */
        return true;
    }
    if (at[0] == (v6 ? ICMPV6_ECHO_REQUEST : ICMP_ECHO_REQUEST) ||
        at[0] == (v6 ? ICMPV6_ECHO_REPLY : ICMP_ECHO_REPLY)) {
        packet->mark = at + ICMP_ECHO_MARK;
        packet->mark_length = length - ICMP_ECHO_MARK;
        return true;
    }
    return !v6; /* neighbour discovery never crosses a router */
}

static bool read_transport(const uint8_t *at, size_t length, PlPacket *packet)
{
    switch (packet->protocol) {
    case PL_PACKET_UDP:
        if (length < 8 || get_u16(at + 4) < 8)
            return false;
        packet->mark = at + 8;
        packet->mark_length = get_u16(at + 4) - 8u;
        if (packet->mark_length > length - 8)
            packet->mark_length = length - 8; /* a first fragment, or cut by the capture */
        break;
    case PL_PACKET_TCP:
        if (length < TCP_MARK_START + TCP_MARK_LENGTH)
            return false;
        packet->mark = at + TCP_MARK_START;
        packet->mark_length = TCP_MARK_LENGTH;
        break;
    case PL_PACKET_ICMP:
    case PL_PACKET_ICMPV6:
        return read_icmp(at, length, packet);
    default:
        return false;
    }
    packet->source.port = get_u16(at);
    packet->destination.port = get_u16(at + 2);
    return true;
}

bool pl_packet_decode(const uint8_t *frame, size_t length, PlPacket *ret_packet)
{
    PlPacket packet = {0};
    const uint8_t *at;
    size_t rest;
    bool read;

    if (length < ETHERNET_HEADER)
        return false;
    switch (get_u16(frame + 12)) {
    case ETHERTYPE_IPV4:
        read = read_ipv4(frame + ETHERNET_HEADER, length - ETHERNET_HEADER, &packet, &at, &rest);
        break;
    case ETHERTYPE_IPV6:
        read = read_ipv6(frame + ETHERNET_HEADER, length - ETHERNET_HEADER, &packet, &at, &rest);
        break;
    default:
        return false;
    }
    if (!read || !read_transport(at, rest, &packet))
        return false;
    *ret_packet = packet;
    return true;
}
