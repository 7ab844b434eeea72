/* SPDX-License-Identifier: MIT */
/*
 * A leaky bucket in one number: the time at which it is empty again if nothing more is put in
 * (the generic cell rate algorithm of ITU-T I.371). All zero is an empty bucket.
 */
#pragma once

#include <pinhole/reflector.h>

#define PH_SECOND UINT64_C(1000000000)

/* Puts `amount` in; false, and nothing changes, when it would run over. */
static inline bool ph_bucket_take(uint64_t *empty_ns, const PhRate *rate, uint32_t amount,
                                  uint64_t now)
{
    uint64_t from = *empty_ns > now ? *empty_ns : now, until;

    if (rate->per_second == 0)
        return true;
    until = from + amount * PH_SECOND / rate->per_second;
    if (until - now > rate->burst * PH_SECOND / rate->per_second)
        return false;
    *empty_ns = until;
    return true;
}
