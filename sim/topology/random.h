/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The one source of randomness: everything random follows from a seed, on every machine alike. */
#pragma once

#include <stdint.h>

/*
 * The next 64 bits (splitmix64: Steele, Lea and Flood, "Fast splittable pseudorandom number
 * generators", 2014, with the constants of S. Vigna). The state begins as the seed; any value will
 * do.
 */
static inline uint64_t pl_random_next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* The seed of a stream that belongs to something with a name: what is drawn from one changes
 * nothing in another. (FNV-1a, 64 bits: Fowler, Noll and Vo, draft-eastlake-fnv §2.) */
static inline uint64_t pl_random_stream(uint64_t seed, const char *name)
{
    uint64_t hash = 0xcbf29ce484222325u;

    for (; *name; name++)
        hash = (hash ^ (uint8_t)*name) * 0x100000001b3u;
    hash ^= pl_random_next(&seed);
    return pl_random_next(&hash);
}
