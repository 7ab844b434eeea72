/* SPDX-License-Identifier: MIT */
/* Sums of times, where UINT64_MAX is never, and never is what they end at. */
#pragma once

#include <stdint.h>

static inline uint64_t ph_time_after(uint64_t now, uint64_t ns)
{
    return ns < UINT64_MAX - now ? now + ns : UINT64_MAX;
}
