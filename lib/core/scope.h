/* SPDX-License-Identifier: MIT */
/* Addresses that mean something within one network only. */
#pragma once

#include <pinhole/address.h>
#include <string.h>

/* Nobody but neighbours can reach these. RFC 3927; RFC 4291 §2.5.6: fe80::/10. */
static inline bool ph_address_is_link_local(const PhAddress *address)
{
    const uint8_t *b = address->bytes;

    if (address->family == PH_FAMILY_IPV4)
        return b[0] == 169 && b[1] == 254;
    return b[0] == 0xfe && (b[1] & 0xc0) == 0x80;
}

/* RFC 1918, RFC 6598 §7, RFC 3927, loopback; RFC 4193, RFC 4291 §2.5.6 and §2.5.3. */
static inline bool ph_address_is_private(const PhAddress *address)
{
    static const uint8_t loopback[16] = {[15] = 1};
    const uint8_t *b = address->bytes;

    if (address->family == PH_FAMILY_IPV4)
        return b[0] == 10 || b[0] == 127 || (b[0] == 172 && (b[1] & 0xf0) == 16) ||
               (b[0] == 192 && b[1] == 168) || (b[0] == 100 && (b[1] & 0xc0) == 64) ||
               ph_address_is_link_local(address);
    return (b[0] & 0xfe) == 0xfc || ph_address_is_link_local(address) ||
           memcmp(b, loopback, sizeof(loopback)) == 0;
}
