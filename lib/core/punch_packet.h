/* SPDX-License-Identifier: MIT */
/* The bytes of punch packets; docs/protocol.md has them in words. */
#pragma once

#include <pinhole/path.h>

/* type, kind, attempt, side, transaction (12), tag (16) */
#define PH_PUNCH_PACKET_BYTES      32
#define PH_PUNCH_TYPE              0xc8
#define PH_PUNCH_TOKEN_BYTES       16
#define PH_PUNCH_TRANSACTION_BYTES 12
#define PH_PUNCH_BOUND_BYTES       8
#define PH_PUNCH_SECRET_BYTES      32

typedef enum {
    PH_PUNCH_PROBE = 1,
    PH_PUNCH_ANSWER = 2, /* has the probe's transaction, and goes where that came from */
    PH_PUNCH_CHOSEN = 3, /* the same, and says that this path is the one */
} PhPunchKind;

typedef struct PhPunchPacket {
    uint8_t kind; /* PhPunchKind */
    uint8_t attempt;
    uint8_t side; /* 0: the sender's key is the lower one; 1: the higher */
    uint8_t transaction[PH_PUNCH_TRANSACTION_BYTES];
} PhPunchPacket;

void ph_punch_packet_write(const PhPunchPacket *packet,
                           const uint8_t token[static PH_PUNCH_TOKEN_BYTES],
                           uint8_t ret_bytes[static PH_PUNCH_PACKET_BYTES]);
/* Whether it looks like a punch packet; and what it says, without proof. */
bool ph_punch_is_packet(const uint8_t *bytes, size_t length);
bool ph_punch_packet_read(const uint8_t *bytes, size_t length, PhPunchPacket *ret_packet);
/* Whether who made it knows the token. */
bool ph_punch_packet_is_right(const uint8_t bytes[static PH_PUNCH_PACKET_BYTES],
                              const uint8_t token[static PH_PUNCH_TOKEN_BYTES]);
/* The first part of a transaction: nobody else can have it answered, and from nowhere else. */
void ph_punch_bind(const uint8_t secret[static PH_PUNCH_SECRET_BYTES], const PhPath *path,
                   uint8_t ret_bound[static PH_PUNCH_BOUND_BYTES]);
