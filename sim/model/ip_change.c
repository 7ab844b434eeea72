/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Changes IP packets. Checksums follow each change (RFC 1624, equation 3), so that one that was
 * right stays right, and one that was wrong stays wrong.
 */
#include "model/ip.h"

#include <string.h>

uint32_t pl_ip_sum(const uint8_t *bytes, size_t length, uint32_t sum)
{
    uint64_t wide = sum;

    for (; length >= 2; bytes += 2, length -= 2)
        wide += pl_get_u16(bytes);
    if (length)
        wide += (uint32_t)bytes[0] << 8;
    while (wide >> 16)
        wide = (wide & 0xffff) + (wide >> 16);
    return (uint32_t)wide;
}

uint16_t pl_ip_fold(uint32_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

static uint32_t host_sum(PlHost host, bool v6)
{
    uint64_t sum = (host.low >> 16 & 0xffff) + (host.low & 0xffff);

    if (v6)
        for (int shift = 0; shift < 64; shift += 16)
            sum += (host.high >> shift & 0xffff) + (shift >= 32 ? host.low >> shift & 0xffff : 0);
    return (uint32_t)sum;
}

uint32_t pl_ip_pseudo_sum(const PlIp *ip)
{
    return host_sum(ip->source, ip->version == 6) + host_sum(ip->destination, ip->version == 6) +
           ip->protocol + (ip->length >> 16) + (ip->length & 0xffff);
}

/* What a change of a 16-bit word adds to a sum; to be added up, then applied. */
static uint32_t delta(unsigned before, unsigned after)
{
    return (~before & 0xffff) + (after & 0xffff);
}

static void apply(uint8_t *checksum, uint32_t change)
{
    pl_put_u16(checksum, pl_ip_fold((~(uint32_t)pl_get_u16(checksum) & 0xffff) + change));
}

/* Where the transport's checksum stands; NULL: not in this packet, or there is none. */
static uint8_t *transport_checksum(uint8_t *at, const PlIp *ip)
{
    if (ip->later)
        return NULL;
    switch (ip->protocol) {
    case PL_IP_UDP: /* zero: none (RFC 768) */
        return ip->length >= 8 && pl_get_u16(at + 6) ? at + 6 : NULL;
    case PL_IP_TCP:
        return ip->length >= 18 ? at + 16 : NULL;
    case PL_IP_ICMP:
    case PL_IP_ICMPV6:
        return ip->length >= 8 ? at + 2 : NULL;
    default:
        return NULL;
    }
}

static void apply_transport(uint8_t *at, const PlIp *ip, uint32_t change)
{
    uint8_t *checksum = transport_checksum(at, ip);

    if (!checksum)
        return;
    apply(checksum, change);
    if (ip->protocol == PL_IP_UDP && pl_get_u16(checksum) == 0)
        pl_put_u16(checksum, 0xffff); /* RFC 768 */
}

static void set_host(uint8_t *bytes, const PlIp *ip, unsigned offset, PlHost host,
                     uint32_t *ret_change)
{
    uint32_t before = pl_get_u32(bytes + offset), after = (uint32_t)host.low;

    *ret_change = delta(before >> 16, after >> 16) + delta(before & 0xffff, after & 0xffff);
    pl_put_u32(bytes + offset, after);
    apply(bytes + 10, *ret_change);
    /* ICMP has no pseudo header. */
    if (ip->protocol == PL_IP_ICMP)
        *ret_change = 0;
}

static void set_port(uint8_t *at, const PlIp *ip, unsigned offset, uint16_t port, uint32_t *change)
{
    if (ip->later || ip->kind == PL_IP_ERROR || ip->kind == PL_IP_OTHER)
        return;
    if (ip->kind != PL_IP_PLAIN)
        offset = 4;
    else if (ip->protocol != PL_IP_UDP && ip->protocol != PL_IP_TCP)
        return;
    *change += delta(pl_get_u16(at + offset), port);
    pl_put_u16(at + offset, port);
}

void pl_ip_set_source(uint8_t *bytes, PlIp *ip, PlHost host, uint16_t port)
{
    uint8_t *at = bytes + ip->header;
    uint32_t change;

    set_host(bytes, ip, 12, host, &change);
    set_port(at, ip, 0, port, &change);
    apply_transport(at, ip, change);
    ip->source = host;
    ip->source_port = port;
}

void pl_ip_set_destination(uint8_t *bytes, PlIp *ip, PlHost host, uint16_t port)
{
    uint8_t *at = bytes + ip->header;
    uint32_t change;

    set_host(bytes, ip, 16, host, &change);
    set_port(at, ip, 2, port, &change);
    apply_transport(at, ip, change);
    ip->destination = host;
    ip->destination_port = port;
}

void pl_ip_patch(uint8_t *bytes, const PlIp *ip, uint32_t offset, const uint8_t *with,
                 uint32_t count)
{
    uint8_t *at = bytes + ip->header;
    /* Whole words around it. */
    uint32_t first = offset & ~1u, end = (offset + count + 1) & ~1u;
    uint32_t before, after;

    end = end < ip->length ? end : ip->length;
    before = pl_ip_sum(at + first, end - first, 0);
    memcpy(at + offset, with, count);
    after = pl_ip_sum(at + first, end - first, 0);
    apply_transport(at, ip, delta(before, after));
}

bool pl_ip_icmp_is_right(const uint8_t *bytes, const PlIp *ip)
{
    uint32_t pseudo = ip->protocol == PL_IP_ICMPV6 ? pl_ip_pseudo_sum(ip) : 0;

    return pl_ip_fold(pl_ip_sum(bytes + ip->header, ip->length, pseudo)) == 0;
}

void pl_ip_icmp_seal(uint8_t *bytes, const PlIp *ip)
{
    uint32_t pseudo = ip->protocol == PL_IP_ICMPV6 ? pl_ip_pseudo_sum(ip) : 0;
    uint8_t *at = bytes + ip->header;

    pl_put_u16(at + 2, 0);
    pl_put_u16(at + 2, pl_ip_fold(pl_ip_sum(at, ip->length, pseudo)));
}
