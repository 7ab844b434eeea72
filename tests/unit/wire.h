/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * IP packets for tests of the model: made from scratch, read back, and checked with checksums that
 * are computed in full, by code that the model does not share.
 */
#pragma once

#include <glib.h>
#include <pinhole/address.h>
#include <string.h>

#include "model/datagram.h"

#define WIRE_ICMP   1
#define WIRE_TCP    6
#define WIRE_UDP    17
#define WIRE_ICMPV6 58

#define WIRE_FIN 0x01
#define WIRE_SYN 0x02
#define WIRE_RST 0x04
#define WIRE_ACK 0x10

static G_GNUC_UNUSED PhAddress wire_at(const char *text)
{
    PhAddress address;

    g_assert_true(ph_address_parse(text, &address));
    return address;
}

static inline guint wire_u16(const guint8 *at)
{
    return (guint)at[0] << 8 | at[1];
}

static inline void wire_put_u16(guint8 *at, guint value)
{
    at[0] = (guint8)(value >> 8);
    at[1] = (guint8)value;
}

static G_GNUC_UNUSED guint wire_add(guint sum, const guint8 *bytes, gsize length)
{
    for (gsize i = 0; i < length; i++)
        sum += i % 2 ? bytes[i] : (guint)bytes[i] << 8;
    while (sum > 0xffff)
        sum = (sum >> 16) + (sum & 0xffff);
    return sum;
}

/* The length of the IP header; only IPv6 without extension headers. */
static inline gsize wire_header(const guint8 *ip)
{
    return ip[0] >> 4 == 6 ? 40 : (gsize)(ip[0] & 0xf) * 4;
}

static inline guint8 wire_protocol(const guint8 *ip)
{
    return ip[0] >> 4 == 6 ? ip[6] : ip[9];
}

/* What a checksum has been computed over; 0xffff when it is right. */
static G_GNUC_UNUSED guint wire_transport_sum(const guint8 *ip, gsize length)
{
    gsize header = wire_header(ip), rest = length - header;
    guint8 protocol = wire_protocol(ip), pseudo[4] = {0, protocol};
    guint sum = 0;

    if (protocol != WIRE_ICMP) {
        sum = ip[0] >> 4 == 6 ? wire_add(0, ip + 8, 32) : wire_add(0, ip + 12, 8);
        wire_put_u16(pseudo + 2, (guint)rest);
        sum = wire_add(sum, pseudo, 4);
    }
    return wire_add(sum, ip + header, rest);
}

static inline guint8 *wire_checksum(guint8 *ip)
{
    static const gsize at[] = {[WIRE_ICMP] = 2, [WIRE_TCP] = 16, [WIRE_UDP] = 6, [WIRE_ICMPV6] = 2};

    return ip + wire_header(ip) + at[wire_protocol(ip)];
}

/* Puts right checksums in. */
static G_GNUC_UNUSED void wire_seal(PlDatagram *packet)
{
    guint8 *ip = packet->bytes;
    guint sum;

    if (ip[0] >> 4 == 4) {
        wire_put_u16(ip + 10, 0);
        wire_put_u16(ip + 10, ~wire_add(0, ip, wire_header(ip)) & 0xffff);
    }
    if (ip[0] >> 4 == 4 && wire_u16(ip + 6) & 0x3fff)
        return;
    wire_put_u16(wire_checksum(ip), 0);
    sum = ~wire_transport_sum(ip, packet->length) & 0xffff;
    wire_put_u16(wire_checksum(ip), sum == 0 && wire_protocol(ip) == WIRE_UDP ? 0xffff : sum);
}

static G_GNUC_UNUSED gboolean wire_is_right(const PlDatagram *packet)
{
    const guint8 *ip = packet->bytes;

    if (ip[0] >> 4 == 4 && wire_add(0, ip, wire_header(ip)) != 0xffff)
        return FALSE;
    if (ip[0] >> 4 == 4 && wire_u16(ip + 6) & 0x3fff)
        return TRUE; /* a fragment says nothing */
    if (wire_protocol(ip) == WIRE_UDP && wire_u16(ip + wire_header(ip) + 6) == 0)
        return ip[0] >> 4 == 4; /* none (RFC 768) */
    return wire_transport_sum(ip, packet->length) == 0xffff;
}

/* An IP packet with a transport part as given. The family is the source's. */
static G_GNUC_UNUSED PlDatagram *wire_ip(const PhAddress *source, const PhAddress *destination,
                                         guint8 protocol, const guint8 *rest, gsize length)
{
    gsize header = source->family == PH_FAMILY_IPV6 ? 40 : 20;
    g_autofree guint8 *ip = g_malloc0(header + length);
    PlDatagram *packet;

    if (header == 40) {
        ip[0] = 0x60;
        wire_put_u16(ip + 4, (guint)length);
        ip[6] = protocol;
        ip[7] = 64;
        memcpy(ip + 8, source->bytes, 16);
        memcpy(ip + 24, destination->bytes, 16);
    } else {
        ip[0] = 0x45;
        wire_put_u16(ip + 2, (guint)(header + length));
        wire_put_u16(ip + 4, 0x1234);
        ip[8] = 64;
        ip[9] = protocol;
        memcpy(ip + 12, source->bytes, 4);
        memcpy(ip + 16, destination->bytes, 4);
    }
    memcpy(ip + header, rest, length);
    packet = pl_datagram_new(ip, header + length);
    wire_seal(packet);
    return packet;
}

static G_GNUC_UNUSED PlDatagram *wire_udp(const PhAddress *source, const PhAddress *destination,
                                          const void *data, gsize length)
{
    g_autofree guint8 *udp = g_malloc0(8 + length);

    wire_put_u16(udp, source->port);
    wire_put_u16(udp + 2, destination->port);
    wire_put_u16(udp + 4, (guint)(8 + length));
    if (length)
        memcpy(udp + 8, data, length);
    return wire_ip(source, destination, WIRE_UDP, udp, 8 + length);
}

static G_GNUC_UNUSED PlDatagram *wire_tcp(const PhAddress *source, const PhAddress *destination,
                                          guint8 flags)
{
    guint8 tcp[20] = {[7] = 1, [12] = 5 << 4, [13] = flags, [14] = 0xff};

    wire_put_u16(tcp, source->port);
    wire_put_u16(tcp + 2, destination->port);
    return wire_ip(source, destination, WIRE_TCP, tcp, sizeof(tcp));
}

/* An echo request, or its reply, whose identifier is the source's port. */
static G_GNUC_UNUSED PlDatagram *wire_echo(const PhAddress *source, const PhAddress *destination,
                                           gboolean reply, guint identifier)
{
    gboolean v6 = source->family == PH_FAMILY_IPV6;
    guint8 icmp[16] = {[7] = 1, [8] = 'd', [9] = 'a', [10] = 't', [11] = 'a'};

    icmp[0] = v6 ? (reply ? 129 : 128) : (reply ? 0 : 8);
    wire_put_u16(icmp + 4, identifier);
    return wire_ip(source, destination, v6 ? WIRE_ICMPV6 : WIRE_ICMP, icmp, sizeof(icmp));
}

/* An ICMP error that quotes the first `quoted` bytes of a packet. */
static G_GNUC_UNUSED PlDatagram *wire_error(const PhAddress *source, const PhAddress *destination,
                                            guint8 type, guint8 code, const PlDatagram *about,
                                            gsize quoted)
{
    gsize n = MIN(quoted, about->length);
    g_autofree guint8 *icmp = g_malloc0(8 + n);

    icmp[0] = type;
    icmp[1] = code;
    memcpy(icmp + 8, about->bytes, n);
    return wire_ip(source, destination, source->family == PH_FAMILY_IPV6 ? WIRE_ICMPV6 : WIRE_ICMP,
                   icmp, 8 + n);
}

/* A part of an IPv4 packet: `length` bytes from `offset` of what follows its header. */
static G_GNUC_UNUSED PlDatagram *wire_fragment(const PlDatagram *whole, gsize offset, gsize length)
{
    gsize header = wire_header(whole->bytes), rest = whole->length - header;
    gsize n = MIN(length, rest - offset);
    g_autofree guint8 *ip = g_memdup2(whole->bytes, whole->length);
    PlDatagram *packet;

    g_assert_cmpuint(offset % 8, ==, 0);
    memmove(ip + header, whole->bytes + header + offset, n);
    wire_put_u16(ip + 2, (guint)(header + n));
    wire_put_u16(ip + 6, (guint)(offset / 8) | (offset + n < rest ? 0x2000u : 0));
    packet = pl_datagram_new(ip, header + n);
    wire_put_u16(packet->bytes + 10, 0);
    wire_put_u16(packet->bytes + 10, ~wire_add(0, packet->bytes, header) & 0xffff);
    return packet;
}

/* The ends of a packet: with ports where it has them; an echo's identifier on both sides. */
static G_GNUC_UNUSED PhAddress wire_end(const guint8 *ip, gboolean source)
{
    const guint8 *at = ip + wire_header(ip);
    PhAddress address = {.family = PH_FAMILY_IPV4};

    if (ip[0] >> 4 == 6) {
        address.family = PH_FAMILY_IPV6;
        memcpy(address.bytes, ip + (source ? 8 : 24), 16);
    } else {
        memcpy(address.bytes, ip + (source ? 12 : 16), 4);
        if (wire_u16(ip + 6) & 0x1fff)
            return address;
    }
    if (wire_protocol(ip) == WIRE_UDP || wire_protocol(ip) == WIRE_TCP)
        address.port = (guint16)wire_u16(at + (source ? 0 : 2));
    else if (wire_protocol(ip) == WIRE_ICMP ? at[0] == 0 || at[0] == 8
                                            : wire_protocol(ip) == WIRE_ICMPV6 && at[0] >> 1 == 64)
        address.port = (guint16)wire_u16(at + 4);
    return address;
}

static G_GNUC_UNUSED PhAddress wire_source(const PlDatagram *packet)
{
    return wire_end(packet->bytes, TRUE);
}

static G_GNUC_UNUSED PhAddress wire_destination(const PlDatagram *packet)
{
    return wire_end(packet->bytes, FALSE);
}

static G_GNUC_UNUSED void wire_check(const PhAddress *address, const char *expected, int line)
{
    char text[PH_ADDRESS_TEXT_MAX];

    ph_address_format(address, text);
    if (strcmp(text, expected) != 0)
        g_error("line %d: %s, and not %s", line, text, expected);
}
#define wire_assert(address, expected)                                                             \
    do {                                                                                           \
        PhAddress wire_checked_ = (address);                                                       \
        wire_check(&wire_checked_, expected, __LINE__);                                            \
    } while (0)
