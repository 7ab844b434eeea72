/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * IP packets as the model reads and changes them: IPv4 and IPv6 headers, UDP and TCP ports, ICMP.
 * Bytes are hostile: nothing is read that is not there.
 */
#pragma once

#include <pinhole/address.h>

#define PL_IP_ICMP   1
#define PL_IP_TCP    6
#define PL_IP_UDP    17
#define PL_IP_ICMPV6 58

#define PL_TCP_FIN 0x01
#define PL_TCP_SYN 0x02
#define PL_TCP_RST 0x04
#define PL_TCP_ACK 0x10

/* An address as two numbers; IPv4 as an IPv4-mapped IPv6 address (RFC 4291 §2.5.5.2). */
typedef struct PlHost {
    uint64_t high, low;
} PlHost;

#define PL_HOST_IPV4 UINT64_C(0xffff00000000)

static inline PlHost pl_host_ipv4(uint32_t number)
{
    return (PlHost){0, PL_HOST_IPV4 | number};
}

static inline bool pl_host_is_ipv4(PlHost host)
{
    return host.high == 0 && host.low >> 32 == PL_HOST_IPV4 >> 32;
}

static inline bool pl_host_equal(PlHost a, PlHost b)
{
    return a.low == b.low && a.high == b.high;
}

static inline uint16_t pl_get_u16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static inline uint32_t pl_get_u32(const uint8_t *at)
{
    return (uint32_t)pl_get_u16(at) << 16 | pl_get_u16(at + 2);
}

static inline void pl_put_u16(uint8_t *at, unsigned value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static inline void pl_put_u32(uint8_t *at, uint32_t value)
{
    pl_put_u16(at, value >> 16);
    pl_put_u16(at + 2, value & 0xffff);
}

PlHost pl_host(const PhAddress *address);
/* Of one node: neither nobody's (0/8, ::), nor loopback, nor of many. */
bool pl_host_is_unicast(PlHost host);
PhAddress pl_host_address(PlHost host, uint16_t port);

typedef enum {
    PL_IP_PLAIN, /* UDP, TCP, and whatever has no ports that we know */
    PL_IP_QUERY, /* ICMP with an identifier: an echo request, say */
    PL_IP_REPLY, /* what answers that */
    PL_IP_ERROR, /* ICMP that quotes a packet */
    PL_IP_OTHER, /* other ICMP */
} PlIpKind;

typedef struct PlIp {
    PlHost source, destination;
    uint16_t source_port, destination_port; /* of ICMP queries and replies: the identifier, twice */
    uint32_t header;                        /* bytes before the transport header */
    uint32_t length;                        /* bytes of the packet from there on */
    uint8_t version, protocol;              /* the transport's */
    uint8_t tcp_flags;
    uint8_t kind;  /* PlIpKind */
    bool fragment; /* part of a packet */
    bool later;    /* and not its first one: no ports */
    uint32_t fragment_id;
} PlIp;

/*
 * Reads a packet. FALSE: no router would pass it on (RFC 1812 §5.2.2: a header that is too short,
 * names more bytes than there are, or has a wrong checksum), or no NAT (no whole transport header
 * in its first fragment, a port 0). *length is cut to what the header names.
 */
bool pl_ip_parse(const uint8_t *bytes, uint32_t *length, PlIp *ret_ip);
/* The same for what an ICMP error quotes: cut short as it may be, from its first 8 bytes on. */
bool pl_ip_parse_quoted(const uint8_t *bytes, uint32_t length, PlIp *ret_ip);

/* Another source or destination (IPv4 only); checksums that were right stay right (RFC 1624). */
void pl_ip_set_source(uint8_t *bytes, PlIp *ip, PlHost host, uint16_t port);
void pl_ip_set_destination(uint8_t *bytes, PlIp *ip, PlHost host, uint16_t port);

/* The Internet checksum's sum, not yet complemented, of bytes that begin at an even offset. */
uint32_t pl_ip_sum(const uint8_t *bytes, size_t length, uint32_t sum);
uint16_t pl_ip_fold(uint32_t sum); /* of a sum, complemented: what stands in a header */
/* The sum of a pseudo header (RFC 768, RFC 793; RFC 8200 §8.1). */
uint32_t pl_ip_pseudo_sum(const PlIp *ip);
/* Replaces `count` bytes that begin `at` bytes into the transport's data, with its checksum. */
void pl_ip_patch(uint8_t *bytes, const PlIp *ip, uint32_t at, const uint8_t *with, uint32_t count);

/* Whether an ICMP message that is all there has the right checksum; and puts it there. */
bool pl_ip_icmp_is_right(const uint8_t *bytes, const PlIp *ip);
void pl_ip_icmp_seal(uint8_t *bytes, const PlIp *ip);
