/* SPDX-License-Identifier: MIT */
/*
 * Which counters of a key were seen: a bitmap that slides over the newest ones (RFC 6479, whose
 * trick is one word more than the window, so that words are cleared whole).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "session.h"

#define PH_REPLAY_WORDS (PH_SESSION_REPLAY_WINDOW / 64 + 1)

/* All zero: nothing was seen. */
typedef struct PhReplay {
    uint64_t end; /* one more than the greatest counter that was seen */
    uint64_t words[PH_REPLAY_WORDS];
} PhReplay;

static inline bool ph_replay_is_fresh(const PhReplay *replay, uint64_t counter)
{
    if (counter >= replay->end)
        return true;
    if (replay->end - counter > PH_SESSION_REPLAY_WINDOW)
        return false;
    return !(replay->words[counter / 64 % PH_REPLAY_WORDS] >> counter % 64 & 1);
}

/* Of a packet that is authentic; it must be fresh. True: it is the newest one. */
static inline bool ph_replay_mark(PhReplay *replay, uint64_t counter)
{
    bool newest = counter >= replay->end;

    if (newest) {
        uint64_t from = replay->end == 0 ? 0 : (replay->end - 1) / 64 + 1, to = counter / 64;

        if (to >= from && to - from >= PH_REPLAY_WORDS)
            from = to - PH_REPLAY_WORDS + 1;
        for (uint64_t word = from; word <= to; word++)
            replay->words[word % PH_REPLAY_WORDS] = 0;
        replay->end = counter + 1;
    }
    replay->words[counter / 64 % PH_REPLAY_WORDS] |= UINT64_C(1) << counter % 64;
    return newest;
}
