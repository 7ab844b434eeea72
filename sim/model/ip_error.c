/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ICMP errors and TCP resets; see ip_error.h. */
#include "model/ip_error.h"

#include <string.h>

#define IPV4_ERROR_MAX 576 /* RFC 1812 §4.3.2.3 */
#define TTL            64  /* RFC 1700: the default */

/* An IP header without options. */
static void put_header(uint8_t *bytes, unsigned version, PlHost source, PlHost destination,
                       uint8_t protocol, uint32_t payload)
{
    if (version == 4) {
        memset(bytes, 0, 20);
        bytes[0] = 0x45;
        pl_put_u16(bytes + 2, 20 + payload);
        bytes[8] = TTL;
        bytes[9] = protocol;
        pl_put_u32(bytes + 12, (uint32_t)source.low);
        pl_put_u32(bytes + 16, (uint32_t)destination.low);
        pl_put_u16(bytes + 10, pl_ip_fold(pl_ip_sum(bytes, 20, 0)));
        return;
    }
    memset(bytes, 0, 8);
    bytes[0] = 0x60;
    pl_put_u16(bytes + 4, payload);
    bytes[6] = protocol;
    bytes[7] = TTL;
    for (int i = 0; i < 4; i++) {
        const uint64_t words[] = {source.high, source.low, destination.high, destination.low};

        pl_put_u32(bytes + 8 + 8 * i, (uint32_t)(words[i] >> 32));
        pl_put_u32(bytes + 12 + 8 * i, (uint32_t)words[i]);
    }
}

bool pl_ip_error(PlDatagram *datagram, const PlIp *ip, PlHost source, uint8_t type, uint8_t code,
                 uint32_t word)
{
    bool v4 = ip->version == 4;
    uint32_t header = v4 ? 20 : 40, quoted;
    PlIp error = {.source = source,
                  .destination = ip->source,
                  .header = header,
                  .version = ip->version,
                  .protocol = v4 ? PL_IP_ICMP : PL_IP_ICMPV6};

    if (ip->later || ip->kind == PL_IP_ERROR || ip->kind == PL_IP_OTHER ||
        !pl_host_is_unicast(ip->source) || !pl_host_is_unicast(ip->destination))
        return false;
    quoted = MIN(datagram->length, MIN(IPV4_ERROR_MAX, datagram->room) - header - 8);
    memmove(datagram->bytes + header + 8, datagram->bytes, quoted);
    put_header(datagram->bytes, ip->version, source, ip->source, error.protocol, 8 + quoted);
    datagram->bytes[header] = type;
    datagram->bytes[header + 1] = code;
    pl_put_u32(datagram->bytes + header + 4, word);
    error.length = 8 + quoted;
    datagram->length = header + error.length;
    pl_ip_icmp_seal(datagram->bytes, &error);
    return true;
}

bool pl_ip_reset(PlDatagram *datagram, const PlIp *ip)
{
    const uint8_t *was = datagram->bytes + ip->header;
    uint32_t header = ip->version == 4 ? 20 : 40;
    uint32_t sequence = 0, acknowledges = 0;
    uint8_t *tcp = datagram->bytes + header;
    PlIp reset = {.source = ip->destination,
                  .destination = ip->source,
                  .length = 20,
                  .version = ip->version,
                  .protocol = PL_IP_TCP};

    if (ip->fragment || ip->tcp_flags & PL_TCP_RST || !pl_host_is_unicast(ip->source))
        return false;
    if (ip->tcp_flags & PL_TCP_ACK)
        sequence = pl_get_u32(was + 8);
    else
        acknowledges = pl_get_u32(was + 4) + ip->length - (was[12] >> 4) * 4u +
                       (ip->tcp_flags & PL_TCP_SYN ? 1 : 0) + (ip->tcp_flags & PL_TCP_FIN ? 1 : 0);
    put_header(datagram->bytes, ip->version, ip->destination, ip->source, PL_IP_TCP, 20);
    memset(tcp, 0, 20);
    pl_put_u16(tcp, ip->destination_port);
    pl_put_u16(tcp + 2, ip->source_port);
    pl_put_u32(tcp + 4, sequence);
    pl_put_u32(tcp + 8, acknowledges);
    tcp[12] = 5 << 4;
    tcp[13] = ip->tcp_flags & PL_TCP_ACK ? PL_TCP_RST : PL_TCP_RST | PL_TCP_ACK;
    pl_put_u16(tcp + 16, pl_ip_fold(pl_ip_sum(tcp, 20, pl_ip_pseudo_sum(&reset))));
    datagram->length = header + 20;
    return true;
}
