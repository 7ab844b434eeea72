/* SPDX-License-Identifier: GPL-2.0-or-later */
/* IP headers as a host reads and writes them. Hostile input: nothing is read that is not there. */
#include "virtual/wire.h"

#include <string.h>

#define IPV4_DF          0x4000
#define IPV4_MF          0x2000
#define IPV4_OFFSET_MASK 0x1fff
#define IPV6_FRAGMENT    44 /* RFC 8200 §4.5 */

static PhAddress make_address(PhFamily family, const uint8_t *bytes)
{
    PhAddress address = {.family = (uint8_t)family};

    memcpy(address.bytes, bytes, family == PH_FAMILY_IPV4 ? 4 : 16);
    return address;
}

static gboolean read_ipv4(const uint8_t *bytes, size_t length, gboolean quoted,
                          PlPacketView *packet)
{
    size_t header, total;
    unsigned flags;

    if (length < PL_IPV4_HEADER)
        return FALSE;
    header = (size_t)(bytes[0] & 0xf) * 4;
    total = pl_get_u16(bytes + 2);
    if (header < PL_IPV4_HEADER || header > length || total < header)
        return FALSE;
    if (!quoted && (total > length || pl_ip_fold(pl_ip_sum(bytes, header, 0)) != 0))
        return FALSE;
    flags = pl_get_u16(bytes + 6);
    *packet = (PlPacketView){
        .source = make_address(PH_FAMILY_IPV4, bytes + 12),
        .destination = make_address(PH_FAMILY_IPV4, bytes + 16),
        .protocol = bytes[9],
        .ttl = bytes[8],
        .may_fragment = !(flags & IPV4_DF),
        .id = pl_get_u16(bytes + 4),
        .offset = (flags & IPV4_OFFSET_MASK) * 8,
        .more = (flags & IPV4_MF) != 0,
        .payload = bytes + header,
        .length = MIN(total, length) - header,
    };
    return TRUE;
}

/* Of extension headers only the fragment's is known: nobody here sends others. */
static gboolean read_ipv6(const uint8_t *bytes, size_t length, gboolean quoted,
                          PlPacketView *packet)
{
    size_t total;

    if (length < PL_IPV6_HEADER)
        return FALSE;
    total = PL_IPV6_HEADER + pl_get_u16(bytes + 4);
    if (total > length && !quoted)
        return FALSE;
    *packet = (PlPacketView){
        .source = make_address(PH_FAMILY_IPV6, bytes + 8),
        .destination = make_address(PH_FAMILY_IPV6, bytes + 24),
        .protocol = bytes[6],
        .ttl = bytes[7],
        .payload = bytes + PL_IPV6_HEADER,
        .length = MIN(total, length) - PL_IPV6_HEADER,
    };
    if (packet->protocol != IPV6_FRAGMENT)
        return TRUE;
    if (packet->length < PL_IPV6_FRAGMENT_HEADER)
        return FALSE;
    bytes = packet->payload;
    packet->protocol = bytes[0];
    packet->offset = pl_get_u16(bytes + 2) & ~7u;
    packet->more = bytes[3] & 1;
    packet->id = pl_get_u32(bytes + 4);
    packet->payload += PL_IPV6_FRAGMENT_HEADER;
    packet->length -= PL_IPV6_FRAGMENT_HEADER;
    return TRUE;
}

static gboolean read_any(const uint8_t *bytes, size_t length, gboolean quoted,
                         PlPacketView *ret_packet)
{
    PlPacketView packet;

    if (length == 0)
        return FALSE;
    switch (bytes[0] >> 4) {
    case 4:
        if (!read_ipv4(bytes, length, quoted, &packet))
            return FALSE;
        break;
    case 6:
        if (!read_ipv6(bytes, length, quoted, &packet))
            return FALSE;
        break;
    default:
        return FALSE;
    }
    *ret_packet = packet;
    return TRUE;
}

gboolean pl_packet_read(const uint8_t *bytes, size_t length, PlPacketView *ret_packet)
{
    return read_any(bytes, length, /* quoted= */ FALSE, ret_packet);
}

gboolean pl_packet_read_quoted(const uint8_t *bytes, size_t length, PlPacketView *ret_packet)
{
    return read_any(bytes, length, /* quoted= */ TRUE, ret_packet);
}

static size_t write_ipv4(const PlPacketView *packet, size_t payload_length, uint8_t *bytes)
{
    unsigned flags = packet->offset / 8;

    if (packet->more)
        flags |= IPV4_MF;
    if (!packet->may_fragment)
        flags |= IPV4_DF;
    memset(bytes, 0, PL_IPV4_HEADER);
    bytes[0] = 0x45;
    pl_put_u16(bytes + 2, (unsigned)(PL_IPV4_HEADER + payload_length));
    pl_put_u16(bytes + 4, packet->id & 0xffff);
    pl_put_u16(bytes + 6, flags);
    bytes[8] = packet->ttl;
    bytes[9] = packet->protocol;
    memcpy(bytes + 12, packet->source.bytes, 4);
    memcpy(bytes + 16, packet->destination.bytes, 4);
    pl_put_u16(bytes + 10, pl_ip_fold(pl_ip_sum(bytes, PL_IPV4_HEADER, 0)));
    return PL_IPV4_HEADER;
}

static size_t write_ipv6(const PlPacketView *packet, size_t payload_length, uint8_t *bytes)
{
    gboolean fragment = packet->offset > 0 || packet->more;
    size_t extra = fragment ? PL_IPV6_FRAGMENT_HEADER : 0;

    memset(bytes, 0, PL_IPV6_HEADER + extra);
    bytes[0] = 0x60;
    pl_put_u16(bytes + 4, (unsigned)(payload_length + extra));
    bytes[6] = fragment ? IPV6_FRAGMENT : packet->protocol;
    bytes[7] = packet->ttl;
    memcpy(bytes + 8, packet->source.bytes, 16);
    memcpy(bytes + 24, packet->destination.bytes, 16);
    if (fragment) {
        bytes += PL_IPV6_HEADER;
        bytes[0] = packet->protocol;
        pl_put_u16(bytes + 2, packet->offset | (packet->more ? 1 : 0));
        pl_put_u32(bytes + 4, packet->id);
    }
    return PL_IPV6_HEADER + extra;
}

size_t pl_packet_write_header(const PlPacketView *packet, size_t payload_length, uint8_t *ret_bytes)
{
    if (packet->destination.family == PH_FAMILY_IPV6)
        return write_ipv6(packet, payload_length, ret_bytes);
    return write_ipv4(packet, payload_length, ret_bytes);
}

uint16_t pl_packet_checksum(const PlPacketView *packet, const uint8_t *payload, size_t length)
{
    size_t address = packet->source.family == PH_FAMILY_IPV6 ? 16 : 4;
    uint32_t sum = 0;

    if (packet->protocol != PL_IP_ICMP) {
        sum = pl_ip_sum(packet->source.bytes, address, packet->protocol);
        sum = pl_ip_sum(packet->destination.bytes, address, sum);
        sum += (uint32_t)(length >> 16) + (uint32_t)(length & 0xffff);
    }
    return pl_ip_fold(pl_ip_sum(payload, length, sum));
}
