/* SPDX-License-Identifier: MIT */
/* Punch packets; see punch_packet.h. */
#include "punch_packet.h"

#include <sodium.h>
#include <string.h>

#define TRANSACTION_AT 4
#define TAG_AT         (TRANSACTION_AT + PH_PUNCH_TRANSACTION_BYTES)
#define TAG_BYTES      (PH_PUNCH_PACKET_BYTES - TAG_AT)

_Static_assert(TAG_BYTES == crypto_generichash_blake2b_BYTES_MIN, "the shortest there is");

/* BLAKE2b (RFC 7693) with a key. */
static void tag(const uint8_t *bytes, const uint8_t *token, uint8_t ret_tag[static TAG_BYTES])
{
    crypto_generichash_blake2b_state state;

    (void)crypto_generichash_blake2b_init(&state, token, PH_PUNCH_TOKEN_BYTES, TAG_BYTES);
    (void)crypto_generichash_blake2b_update(&state, bytes, TAG_AT);
    (void)crypto_generichash_blake2b_final(&state, ret_tag, TAG_BYTES);
}

void ph_punch_bind(const uint8_t secret[static PH_PUNCH_SECRET_BYTES], const PhPath *path,
                   uint8_t ret_bound[static PH_PUNCH_BOUND_BYTES])
{
    crypto_generichash_blake2b_state state;
    uint8_t bytes[TAG_BYTES];

    (void)crypto_generichash_blake2b_init(&state, secret, PH_PUNCH_SECRET_BYTES, sizeof(bytes));
    (void)crypto_generichash_blake2b_update(&state, (const uint8_t *)&path->socket,
                                            sizeof(path->socket));
    (void)crypto_generichash_blake2b_update(&state, (const uint8_t *)&path->remote,
                                            sizeof(path->remote));
    (void)crypto_generichash_blake2b_final(&state, bytes, sizeof(bytes));
    memcpy(ret_bound, bytes, PH_PUNCH_BOUND_BYTES);
}

void ph_punch_packet_write(const PhPunchPacket *packet,
                           const uint8_t token[static PH_PUNCH_TOKEN_BYTES],
                           uint8_t ret_bytes[static PH_PUNCH_PACKET_BYTES])
{
    ret_bytes[0] = PH_PUNCH_TYPE;
    ret_bytes[1] = packet->kind;
    ret_bytes[2] = packet->attempt;
    ret_bytes[3] = packet->side;
    memcpy(ret_bytes + TRANSACTION_AT, packet->transaction, PH_PUNCH_TRANSACTION_BYTES);
    tag(ret_bytes, token, ret_bytes + TAG_AT);
}

bool ph_punch_is_packet(const uint8_t *bytes, size_t length)
{
    return length == PH_PUNCH_PACKET_BYTES && bytes[0] == PH_PUNCH_TYPE;
}

bool ph_punch_packet_read(const uint8_t *bytes, size_t length, PhPunchPacket *ret_packet)
{
    if (!ph_punch_is_packet(bytes, length))
        return false;
    ret_packet->kind = bytes[1];
    ret_packet->attempt = bytes[2];
    ret_packet->side = bytes[3];
    memcpy(ret_packet->transaction, bytes + TRANSACTION_AT, PH_PUNCH_TRANSACTION_BYTES);
    return true;
}

bool ph_punch_packet_is_right(const uint8_t bytes[static PH_PUNCH_PACKET_BYTES],
                              const uint8_t token[static PH_PUNCH_TOKEN_BYTES])
{
    uint8_t right[TAG_BYTES];

    tag(bytes, token, right);
    return sodium_memcmp(right, bytes + TAG_AT, TAG_BYTES) == 0;
}
