/* SPDX-License-Identifier: MIT */
/* The round trip as RFC 6298 §2 estimates it, and how long to wait for an answer. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define PH_MS UINT64_C(1000000)

typedef struct PhRtt {
    bool known, exact; /* else it may be much too long */
    uint64_t smooth_ns, variation_ns;
} PhRtt;

/* The first sample that is exact takes the place of one that was not. */
static inline void ph_rtt_add(PhRtt *rtt, uint64_t sample_ns, bool exact)
{
    uint64_t off =
        sample_ns > rtt->smooth_ns ? sample_ns - rtt->smooth_ns : rtt->smooth_ns - sample_ns;

    if (!rtt->known || (exact && !rtt->exact)) {
        *rtt = (PhRtt){
            .known = true, .exact = exact, .smooth_ns = sample_ns, .variation_ns = sample_ns / 2};
        return;
    }
    rtt->variation_ns = (3 * rtt->variation_ns + off) / 4;
    rtt->smooth_ns = (7 * rtt->smooth_ns + sample_ns) / 8;
}

/* `first_ns` as long as nothing was measured; else within [min_ns, max_ns]. */
static inline uint64_t ph_rtt_timeout(const PhRtt *rtt, uint64_t first_ns, uint64_t min_ns,
                                      uint64_t max_ns)
{
    uint64_t timeout = rtt->smooth_ns + 4 * rtt->variation_ns;

    if (!rtt->known)
        return first_ns;
    return timeout < min_ns ? min_ns : timeout > max_ns ? max_ns : timeout;
}
