/* SPDX-License-Identifier: MIT */
/* All randomness an agent has: a ChaCha20 key stream, from its seed and nothing else. */
#pragma once

#include <pinhole/path.h>
#include <sodium/crypto_stream_chacha20.h>
#include <string.h>

_Static_assert(PH_SEED_BYTES == crypto_stream_chacha20_KEYBYTES, "the seed is the key");

typedef struct PhRandom {
    uint8_t seed[PH_SEED_BYTES];
    uint64_t drawn;
} PhRandom;

static inline void ph_random_init(PhRandom *random, const uint8_t seed[static PH_SEED_BYTES])
{
    memcpy(random->seed, seed, PH_SEED_BYTES);
    random->drawn = 0;
}

static inline void ph_random_bytes(PhRandom *random, uint8_t *ret_bytes, size_t length)
{
    uint8_t nonce[crypto_stream_chacha20_NONCEBYTES];

    for (size_t i = 0; i < sizeof(nonce); i++)
        nonce[i] = (uint8_t)(random->drawn >> 8 * i);
    random->drawn++;
    crypto_stream_chacha20(ret_bytes, length, nonce, random->seed);
}
