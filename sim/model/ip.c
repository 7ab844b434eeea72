/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads IP packets; see ip.h. */
#include "model/ip.h"

#include <string.h>

#define IPV4_HEADER 20
#define IPV6_HEADER 40
#define UDP_HEADER  8
#define TCP_HEADER  20
#define ICMP_HEADER 8
/* What an ICMP error quotes of the transport, at least (RFC 792). */
#define QUOTED_MIN 8
/* More extension headers than this nobody means seriously (RFC 8504 §5.3 lets one refuse them). */
#define EXTENSIONS_MAX 8

PlHost pl_host(const PhAddress *address)
{
    PlHost host = {0};

    if (address->family == PH_FAMILY_IPV4)
        return pl_host_ipv4(ph_address_ipv4_number(address));
    for (int i = 0; i < 8; i++) {
        host.high = host.high << 8 | address->bytes[i];
        host.low = host.low << 8 | address->bytes[8 + i];
    }
    return host;
}

PhAddress pl_host_address(PlHost host, uint16_t port)
{
    PhAddress address = {.family = PH_FAMILY_IPV6, .port = port};

    if (pl_host_is_ipv4(host))
        return ph_address_ipv4((uint32_t)host.low, port);
    for (int i = 0; i < 8; i++) {
        address.bytes[i] = (uint8_t)(host.high >> (56 - 8 * i));
        address.bytes[8 + i] = (uint8_t)(host.low >> (56 - 8 * i));
    }
    return address;
}

bool pl_host_is_unicast(PlHost host)
{
    uint32_t number = (uint32_t)host.low;

    if (pl_host_is_ipv4(host))
        return number >> 24 != 0 && number >> 24 != 127 && number >> 28 < 0xe;
    return host.high >> 56 != 0xff && (host.high != 0 || host.low > 1);
}

static uint64_t get_u64(const uint8_t *at)
{
    return (uint64_t)pl_get_u32(at) << 32 | pl_get_u32(at + 4);
}

/* The fixed part, and what of the packet is there. */
static bool read_ipv4(const uint8_t *bytes, uint32_t length, bool quoted, PlIp *ip,
                      uint32_t *ret_total)
{
    uint32_t header, total;
    uint16_t offset;

    if (length < IPV4_HEADER)
        return false;
    header = (bytes[0] & 0xfu) * 4;
    total = pl_get_u16(bytes + 2);
    if (header < IPV4_HEADER || header > length || total < header)
        return false;
    if (!quoted && (total > length || pl_ip_fold(pl_ip_sum(bytes, header, 0)) != 0))
        return false;
    offset = pl_get_u16(bytes + 6) & 0x3fff; /* "more fragments" among it */
    ip->version = 4;
    ip->fragment = offset != 0;
    ip->later = (offset & 0x1fff) != 0;
    ip->fragment_id = pl_get_u16(bytes + 4);
    ip->protocol = bytes[9];
    ip->source = pl_host_ipv4(pl_get_u32(bytes + 12));
    ip->destination = pl_host_ipv4(pl_get_u32(bytes + 16));
    ip->header = header;
    *ret_total = total < length ? total : length;
    return true;
}

/* Goes through the extension headers (RFC 8200 §4) to the transport. */
static bool read_extensions(const uint8_t *bytes, uint32_t total, PlIp *ip)
{
    uint32_t at = IPV6_HEADER;
    uint8_t next = bytes[6];

    for (int i = 0; i <= EXTENSIONS_MAX; i++) {
        bool fragment = next == 44;

        if (next != 0 && next != 43 && next != 60 && !fragment) {
            ip->protocol = next;
            ip->header = at;
            return true;
        }
        if (total - at < 8)
            return false;
        if (fragment && ip->fragment)
            return false;
        if (fragment) {
            ip->fragment = (pl_get_u16(bytes + at + 2) & 0xfff9) != 0; /* else "atomic": RFC 6946 */
            ip->later = (pl_get_u16(bytes + at + 2) & 0xfff8) != 0;
            ip->fragment_id = pl_get_u32(bytes + at + 4);
        }
        next = bytes[at];
        at += fragment ? 8 : (bytes[at + 1] + 1u) * 8;
        if (at > total)
            return false;
        if (ip->later) { /* what follows is the middle of something */
            ip->protocol = next;
            ip->header = at;
            return true;
        }
    }
    return false;
}

static bool read_ipv6(const uint8_t *bytes, uint32_t length, bool quoted, PlIp *ip,
                      uint32_t *ret_total)
{
    uint32_t total;

    if (length < IPV6_HEADER)
        return false;
    total = IPV6_HEADER + (uint32_t)pl_get_u16(bytes + 4);
    if (!quoted && total > length)
        return false;
    ip->version = 6;
    ip->source = (PlHost){get_u64(bytes + 8), get_u64(bytes + 16)};
    ip->destination = (PlHost){get_u64(bytes + 24), get_u64(bytes + 32)};
    *ret_total = total < length ? total : length;
    return read_extensions(bytes, *ret_total, ip);
}

static PlIpKind icmp_kind(bool v6, uint8_t type)
{
    if (v6)
        return type == 128              ? PL_IP_QUERY
               : type == 129            ? PL_IP_REPLY
               : type >= 1 && type <= 4 ? PL_IP_ERROR
                                        : PL_IP_OTHER;
    switch (type) {
    case 8:  /* echo */
    case 13: /* timestamp */
        return PL_IP_QUERY;
    case 0:
    case 14:
        return PL_IP_REPLY;
    case 3:  /* destination unreachable */
    case 11: /* time exceeded */
    case 12: /* parameter problem */
        return PL_IP_ERROR;
    default:
        return PL_IP_OTHER;
    }
}

static bool read_icmp(const uint8_t *at, PlIp *ip)
{
    bool v6 = ip->version == 6;

    if (ip->protocol != (v6 ? PL_IP_ICMPV6 : PL_IP_ICMP)) {
        ip->kind = PL_IP_OTHER; /* of the other family */
        return true;
    }
    if (ip->length < ICMP_HEADER)
        return false;
    ip->kind = (uint8_t)icmp_kind(v6, at[0]);
    if (ip->kind == PL_IP_QUERY || ip->kind == PL_IP_REPLY)
        ip->source_port = ip->destination_port = pl_get_u16(at + 4);
    return ip->kind != PL_IP_ERROR || !ip->fragment;
}

/* `quoted`: eight bytes of it will do. */
static bool read_transport(const uint8_t *at, bool quoted, PlIp *ip)
{
    switch (ip->protocol) {
    case PL_IP_ICMP:
    case PL_IP_ICMPV6:
        return read_icmp(at, ip);
    case PL_IP_UDP:
        if (ip->length < UDP_HEADER)
            return false;
        if (!quoted &&
            (pl_get_u16(at + 4) < UDP_HEADER || (!ip->fragment && pl_get_u16(at + 4) > ip->length)))
            return false;
        break;
    case PL_IP_TCP:
        if (ip->length < (quoted ? QUOTED_MIN : TCP_HEADER))
            return false;
        /* RFC 9293 §3.1: the data offset counts words of the header. */
        if (!quoted && ((at[12] >> 4) * 4u < TCP_HEADER || (at[12] >> 4) * 4u > ip->length))
            return false;
        ip->tcp_flags = quoted ? 0 : at[13];
        break;
    default:
        return true;
    }
    ip->source_port = pl_get_u16(at);
    ip->destination_port = pl_get_u16(at + 2);
    return ip->source_port != 0 && ip->destination_port != 0;
}

static bool parse(const uint8_t *bytes, uint32_t *length, bool quoted, PlIp *ret_ip)
{
    PlIp ip = {0};
    uint32_t total;

    if (*length == 0)
        return false;
    if (bytes[0] >> 4 == 4) {
        if (!read_ipv4(bytes, *length, quoted, &ip, &total))
            return false;
    } else if (bytes[0] >> 4 != 6 || !read_ipv6(bytes, *length, quoted, &ip, &total)) {
        return false;
    }
    ip.length = total - ip.header;
    if (!ip.later && !read_transport(bytes + ip.header, quoted, &ip))
        return false;
    *length = total;
    *ret_ip = ip;
    return true;
}

bool pl_ip_parse(const uint8_t *bytes, uint32_t *length, PlIp *ret_ip)
{
    return parse(bytes, length, /* quoted= */ false, ret_ip);
}

bool pl_ip_parse_quoted(const uint8_t *bytes, uint32_t length, PlIp *ret_ip)
{
    return parse(bytes, &length, /* quoted= */ true, ret_ip) && !ret_ip->later;
}
