/* SPDX-License-Identifier: MIT */
/*
 * A leaky bucket in one number: the time at which it is empty again if nothing more is put in
 * (the generic cell rate algorithm of ITU-T I.371). All zero is an empty bucket. And which of many
 * buckets is that of an address.
 */
#pragma once

#include <pinhole/reflector.h>
#include <sodium.h>

#include "bytes.h"

#define PH_SECOND UINT64_C(1000000000)

/* Whether `amount` has room in it. */
static inline bool ph_bucket_has(uint64_t empty_ns, const PhRate *rate, uint32_t amount,
                                 uint64_t now)
{
    uint64_t from = empty_ns > now ? empty_ns : now;

    return rate->per_second == 0 || from + amount * PH_SECOND / rate->per_second - now <=
                                        rate->burst * PH_SECOND / rate->per_second;
}

/* Puts `amount` in; false, and nothing changes, when it would run over. */
static inline bool ph_bucket_take(uint64_t *empty_ns, const PhRate *rate, uint32_t amount,
                                  uint64_t now)
{
    uint64_t from = *empty_ns > now ? *empty_ns : now;

    if (rate->per_second == 0)
        return true;
    if (!ph_bucket_has(*empty_ns, rate, amount, now))
        return false;
    *empty_ns = from + amount * PH_SECOND / rate->per_second;
    return true;
}

/* So many times as much. */
static inline PhRate ph_rate_times(const PhRate *rate, uint32_t n)
{
    uint64_t per_second = (uint64_t)rate->per_second * n, burst = (uint64_t)rate->burst * n;

    return (PhRate){per_second < UINT32_MAX ? (uint32_t)per_second : UINT32_MAX,
                    burst < UINT32_MAX ? (uint32_t)burst : UINT32_MAX};
}

/* Which of `n` buckets (a power of two) is an address's: of IPv6 the first /64's, since one
 * subscriber has all of that. Addresses that fall together share one. */
static inline uint32_t ph_bucket_of(const PhAddress *remote,
                                    const uint8_t key[static crypto_shorthash_KEYBYTES], uint32_t n)
{
    uint8_t hash[crypto_shorthash_BYTES];

    (void)crypto_shorthash(hash, remote->bytes, remote->family == PH_FAMILY_IPV4 ? 4 : 8, key);
    return ph_get32(hash) & (n - 1);
}
