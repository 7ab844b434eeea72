/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a host reads and writes of a packet: its IP header, and checksums. Private to this room. */
#pragma once

#include <glib.h>
#include <pinhole/address.h>

#include "model/ip.h"

/* RFC 791 §3.1 without options; RFC 8200 §3. */
#define PL_IPV4_HEADER          20
#define PL_IPV6_HEADER          40
#define PL_IPV6_FRAGMENT_HEADER 8 /* RFC 8200 §4.5 */

/* RFC 1122 §3.3.2: 576 at least; a UDP datagram is never longer than this. */
#define PL_PACKET_MAX 65535

typedef struct PlPacketView {
    PhAddress source, destination; /* port 0 */
    uint8_t protocol, ttl;
    gboolean may_fragment; /* IPv4 without DF */
    /* Of a fragment. */
    uint32_t id;
    unsigned offset; /* bytes */
    gboolean more;
    /* What follows all headers of IP. */
    const uint8_t *payload;
    size_t length;
} PlPacketView;

/* FALSE when it is no packet, or its header's checksum is wrong. Bytes behind the packet's end are
 * left out. */
gboolean pl_packet_read(const uint8_t *bytes, size_t length, PlPacketView *ret_packet);
/* The same of a packet that an ICMP error quotes: its end may be missing, and its checksum may be
 * that of before it was translated. */
gboolean pl_packet_read_quoted(const uint8_t *bytes, size_t length, PlPacketView *ret_packet);

/* Writes the header that goes before `payload_length` bytes of payload, and returns its length (up
 * to PL_IPV6_HEADER + PL_IPV6_FRAGMENT_HEADER). A fragment of IPv6 gets a fragment header. */
size_t pl_packet_write_header(const PlPacketView *packet, size_t payload_length,
                              uint8_t *ret_bytes);

/* The checksum (RFC 1071) of a transport's packet with its pseudo-header (RFC 9293 §3.1, RFC 768,
 * RFC 8200 §8.1); without one for ICMP. 0 when the one that is in there is right. */
uint16_t pl_packet_checksum(const PlPacketView *packet, const uint8_t *payload, size_t length);
