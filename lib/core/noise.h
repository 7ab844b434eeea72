/* SPDX-License-Identifier: MIT */
/*
 * A handshake of the Noise Protocol Framework (revision 34) with X25519, ChaChaPoly and BLAKE2b:
 *
 *     IK:                          IKpsk2:
 *       <- s                         <- s
 *       ...                          ...
 *       -> e, es, s, ss              -> e, es, s, ss
 *       <- e, ee, se                 <- e, ee, se, psk
 *
 * The initiator knows the responder's static key beforehand. It knows nothing of transport:
 * messages go in and come out, once each. A handshake that failed stays failed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PH_NOISE_KEY_BYTES  32 /* DHLEN, and a cipher's key */
#define PH_NOISE_HASH_BYTES 64 /* HASHLEN of BLAKE2b */
#define PH_NOISE_TAG_BYTES  16
#define PH_NOISE_MAX        65535 /* of a message (§3) */
/* What messages have on top of their payloads: keys and tags. */
#define PH_NOISE_FIRST_BYTES  (2 * PH_NOISE_KEY_BYTES + 2 * PH_NOISE_TAG_BYTES)
#define PH_NOISE_SECOND_BYTES (PH_NOISE_KEY_BYTES + PH_NOISE_TAG_BYTES)

typedef struct PhNoiseConfig {
    bool initiator;
    const uint8_t *prologue; /* what both must agree on; may be NULL with length 0 */
    size_t prologue_length;
    const uint8_t *psk;              /* 32 bytes: IKpsk2; NULL: IK */
    const uint8_t *static_secret;    /* 32 bytes, as are all keys */
    const uint8_t *ephemeral_secret; /* fresh for each handshake */
    const uint8_t *remote_static;    /* the initiator's alone */
} PhNoiseConfig;

typedef struct PhNoise {
    bool initiator, has_psk, failed;
    unsigned messages;                     /* done, of two */
    uint8_t chaining[PH_NOISE_HASH_BYTES]; /* ck */
    uint8_t hash[PH_NOISE_HASH_BYTES]; /* h; once both messages are done, the channel's binding */
    uint8_t key[PH_NOISE_KEY_BYTES];   /* k, if has_key */
    bool has_key;
    uint64_t nonce; /* n */
    uint8_t psk[PH_NOISE_KEY_BYTES];
    uint8_t static_secret[PH_NOISE_KEY_BYTES], static_public[PH_NOISE_KEY_BYTES];
    uint8_t ephemeral_secret[PH_NOISE_KEY_BYTES], ephemeral_public[PH_NOISE_KEY_BYTES];
    uint8_t remote_static[PH_NOISE_KEY_BYTES]; /* the responder has it after the first message */
    uint8_t remote_ephemeral[PH_NOISE_KEY_BYTES];
} PhNoise;

/* False: a key is no key (a public one of small order). */
bool ph_noise_init(PhNoise *ret_noise, const PhNoiseConfig *config);
/* Nothing secret stays. */
void ph_noise_wipe(PhNoise *noise);

/*
 * The next message, whose turn it must be. `room` is that of `ret_message`; the length, or 0 when
 * it failed: too little room, too long, or a key of the other side of small order.
 */
size_t ph_noise_write(PhNoise *noise, const uint8_t *payload, size_t payload_length,
                      uint8_t *ret_message, size_t room);
/* Reads what the other side wrote. False: it is not from whom it has to be, or not for us; then
 * nothing of it is in `ret_payload` that could be used, and the handshake has failed. */
bool ph_noise_read(PhNoise *noise, const uint8_t *message, size_t length, uint8_t *ret_payload,
                   size_t room, size_t *ret_payload_length);

/* After both messages: the keys of the two directions. */
void ph_noise_split(const PhNoise *noise, uint8_t ret_send[static PH_NOISE_KEY_BYTES],
                    uint8_t ret_receive[static PH_NOISE_KEY_BYTES]);

/* ChaChaPoly as Noise uses it (§12.3): the nonce is 32 zero bits and 64 bits, little-endian. The
 * result is 16 bytes longer, or shorter. `opened` may be where `sealed` is. */
void ph_noise_seal(const uint8_t key[static PH_NOISE_KEY_BYTES], uint64_t nonce, const uint8_t *ad,
                   size_t ad_length, const uint8_t *plain, size_t length, uint8_t *ret_sealed);
bool ph_noise_open(const uint8_t key[static PH_NOISE_KEY_BYTES], uint64_t nonce, const uint8_t *ad,
                   size_t ad_length, const uint8_t *sealed, size_t length, uint8_t *ret_opened);
