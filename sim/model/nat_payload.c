/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Routers that replace addresses wherever they find them: four bytes of data that happen to be the
 * inside address become the external one, and back. It is why STUN has XOR-MAPPED-ADDRESS (RFC 8489
 * §14.2).
 */
#include <string.h>

#include "model/nat_private.h"

void pl_nat_rewrite_payload(uint8_t *bytes, const PlIp *ip, PlHost from, PlHost to)
{
    const uint8_t *at = bytes + ip->header;
    uint8_t wanted[4], with[4];
    uint32_t start;

    if (ip->fragment || ip->version != 4 || pl_host_equal(from, to) ||
        (ip->protocol != PL_IP_UDP && ip->protocol != PL_IP_TCP))
        return;
    pl_put_u32(wanted, (uint32_t)from.low);
    pl_put_u32(with, (uint32_t)to.low);
    start = ip->protocol == PL_IP_UDP ? 8 : (at[12] >> 4) * 4u;
    for (uint32_t i = start; i + 4 <= ip->length; i++) {
        if (memcmp(at + i, wanted, 4) != 0)
            continue;
        pl_ip_patch(bytes, ip, i, with, 4);
        i += 3;
    }
}
