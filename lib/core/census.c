/* SPDX-License-Identifier: MIT */
/* A census of NAT classes: see census.h. */
#include "census.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "bucket.h"

#define GAP_NS   PH_SECOND                 /* between two votes of one source */
#define FRESH_NS (2 * 60 * 60 * PH_SECOND) /* four times as long as a watch's interval */

typedef struct Vote {
    uint64_t at_ns;
    uint8_t class_and_one; /* 0: nobody has voted */
} Vote;

struct PhCensus {
    uint32_t slots;
    Vote votes[];
};

PhCensus *ph_census_new(uint32_t slots)
{
    PhCensus *census = calloc(1, sizeof(*census) + slots * sizeof(Vote));

    if (census)
        census->slots = slots;
    return census;
}

PhCensus *ph_census_free(PhCensus *census)
{
    free(census);
    return NULL;
}

bool ph_census_vote(PhCensus *census, uint32_t slot, PhClass nat_class, uint64_t now)
{
    Vote *vote = &census->votes[slot];

    assert(slot < census->slots && nat_class < PH_CLASS_N);
    if (vote->class_and_one && now - vote->at_ns < GAP_NS)
        return false;
    *vote = (Vote){.at_ns = now, .class_and_one = (uint8_t)(nat_class + 1)};
    return true;
}

void ph_census_count(const PhCensus *census, uint64_t now, uint64_t ret_votes[static PH_CLASS_N])
{
    memset(ret_votes, 0, PH_CLASS_N * sizeof(*ret_votes));
    for (uint32_t i = 0; i < census->slots; i++) {
        const Vote *vote = &census->votes[i];

        if (vote->class_and_one && now - vote->at_ns < FRESH_NS)
            ret_votes[vote->class_and_one - 1]++;
    }
}
