/* SPDX-License-Identifier: MIT */
/* Numbers in network order. */
#pragma once

#include <stdint.h>

static inline uint16_t ph_get16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static inline uint32_t ph_get32(const uint8_t *at)
{
    return (uint32_t)ph_get16(at) << 16 | ph_get16(at + 2);
}

static inline void ph_put16(uint8_t *at, unsigned value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static inline void ph_put32(uint8_t *at, uint32_t value)
{
    ph_put16(at, value >> 16);
    ph_put16(at + 2, value & 0xffff);
}
