/* SPDX-License-Identifier: MIT */
/* What the reading and the writing half of the STUN codec share. */
#pragma once

#include <pinhole/stun.h>

#define PH_STUN_ATTRIBUTE_HEADER 4 /* RFC 8489 §14 */
#define PH_STUN_FAMILY_IPV4      1 /* RFC 8489 §14.1 */
#define PH_STUN_FAMILY_IPV6      2

/* FINGERPRINT's value over a message up to that attribute (RFC 8489 §14.7). */
uint32_t ph_stun_crc(const uint8_t *bytes, size_t length);

static inline size_t ph_stun_padded(size_t length)
{
    return (length + 3) & ~(size_t)3;
}
