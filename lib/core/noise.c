/* SPDX-License-Identifier: MIT */
/*
 * Noise IK and IKpsk2; see noise.h. Names in comments are those of the specification (The Noise
 * Protocol Framework, revision 34).
 */
#include "noise.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#define BLOCK_BYTES 128 /* BLOCKLEN of BLAKE2b (§12.7) */

typedef enum {
    TOKEN_END,
    TOKEN_E,
    TOKEN_S,
    TOKEN_EE,
    TOKEN_ES,
    TOKEN_SE,
    TOKEN_SS,
    TOKEN_PSK,
} Token;

/* §7.5; the last token of the second message is there with a psk only (§9.4). */
static const Token patterns[2][5] = {
    {TOKEN_E, TOKEN_ES, TOKEN_S, TOKEN_SS, TOKEN_END},
    {TOKEN_E, TOKEN_EE, TOKEN_SE, TOKEN_PSK, TOKEN_END},
};

/* ---- hashes ---- */

typedef struct Piece {
    const uint8_t *bytes;
    size_t length;
} Piece;

static void hash(const Piece *pieces, size_t n, uint8_t ret_hash[static PH_NOISE_HASH_BYTES])
{
    crypto_generichash_blake2b_state state;

    (void)crypto_generichash_blake2b_init(&state, NULL, 0, PH_NOISE_HASH_BYTES);
    for (size_t i = 0; i < n; i++)
        (void)crypto_generichash_blake2b_update(&state, pieces[i].bytes, pieces[i].length);
    (void)crypto_generichash_blake2b_final(&state, ret_hash, PH_NOISE_HASH_BYTES);
}

/* HMAC-HASH (§4.3, RFC 2104), with keys of HASHLEN. */
static void hmac(const uint8_t key[static PH_NOISE_HASH_BYTES], const Piece *pieces, size_t n,
                 uint8_t ret_hash[static PH_NOISE_HASH_BYTES])
{
    uint8_t pad[BLOCK_BYTES], inner[PH_NOISE_HASH_BYTES];
    Piece all[4] = {{pad, sizeof(pad)}};

    assert(n < 4);
    memset(pad, 0x36, sizeof(pad));
    for (size_t i = 0; i < PH_NOISE_HASH_BYTES; i++)
        pad[i] ^= key[i];
    memcpy(all + 1, pieces, n * sizeof(*pieces));
    hash(all, n + 1, inner);
    for (size_t i = 0; i < sizeof(pad); i++)
        pad[i] ^= 0x36 ^ 0x5c;
    all[1] = (Piece){inner, sizeof(inner)};
    hash(all, 2, ret_hash);
    sodium_memzero(pad, sizeof(pad));
    sodium_memzero(inner, sizeof(inner));
}

/* HKDF (§4.3): `n` outputs of HASHLEN. */
static void hkdf(const uint8_t chaining[static PH_NOISE_HASH_BYTES], const uint8_t *material,
                 size_t length, unsigned n, uint8_t ret[3][PH_NOISE_HASH_BYTES])
{
    uint8_t temporary[PH_NOISE_HASH_BYTES];
    const Piece input = {material, length};

    hmac(chaining, &input, 1, temporary);
    for (unsigned i = 0; i < n; i++) {
        const uint8_t counter = (uint8_t)(i + 1);
        const Piece pieces[] = {{i ? ret[i - 1] : NULL, i ? PH_NOISE_HASH_BYTES : 0},
                                {&counter, 1}};

        hmac(temporary, pieces, 2, ret[i]);
    }
    sodium_memzero(temporary, sizeof(temporary));
}

/* ---- the symmetric state (§5.2) ---- */

static void mix_hash(PhNoise *noise, const uint8_t *bytes, size_t length)
{
    const Piece pieces[] = {{noise->hash, sizeof(noise->hash)}, {bytes, length}};

    hash(pieces, 2, noise->hash);
}

static void set_key(PhNoise *noise, const uint8_t *key)
{
    /* "If HASHLEN is 64, then truncates temp_k to 32 bytes." */
    memcpy(noise->key, key, sizeof(noise->key));
    noise->has_key = true;
    noise->nonce = 0;
}

static void mix_key(PhNoise *noise, const uint8_t key[static PH_NOISE_KEY_BYTES])
{
    uint8_t made[3][PH_NOISE_HASH_BYTES];

    hkdf(noise->chaining, key, PH_NOISE_KEY_BYTES, 2, made);
    memcpy(noise->chaining, made[0], sizeof(noise->chaining));
    set_key(noise, made[1]);
    sodium_memzero(made, sizeof(made));
}

static void mix_key_and_hash(PhNoise *noise, const uint8_t key[static PH_NOISE_KEY_BYTES])
{
    uint8_t made[3][PH_NOISE_HASH_BYTES];

    hkdf(noise->chaining, key, PH_NOISE_KEY_BYTES, 3, made);
    memcpy(noise->chaining, made[0], sizeof(noise->chaining));
    mix_hash(noise, made[1], PH_NOISE_HASH_BYTES);
    set_key(noise, made[2]);
    sodium_memzero(made, sizeof(made));
}

void ph_noise_seal(const uint8_t key[static PH_NOISE_KEY_BYTES], uint64_t nonce, const uint8_t *ad,
                   size_t ad_length, const uint8_t *plain, size_t length, uint8_t *ret_sealed)
{
    uint8_t full[crypto_aead_chacha20poly1305_IETF_NPUBBYTES] = {0};

    for (unsigned i = 0; i < 8; i++)
        full[4 + i] = (uint8_t)(nonce >> 8 * i);
    (void)crypto_aead_chacha20poly1305_ietf_encrypt(ret_sealed, NULL, plain, length, ad, ad_length,
                                                    NULL, full, key);
}

bool ph_noise_open(const uint8_t key[static PH_NOISE_KEY_BYTES], uint64_t nonce, const uint8_t *ad,
                   size_t ad_length, const uint8_t *sealed, size_t length, uint8_t *ret_opened)
{
    uint8_t full[crypto_aead_chacha20poly1305_IETF_NPUBBYTES] = {0};

    if (length < PH_NOISE_TAG_BYTES)
        return false;
    for (unsigned i = 0; i < 8; i++)
        full[4 + i] = (uint8_t)(nonce >> 8 * i);
    return crypto_aead_chacha20poly1305_ietf_decrypt(ret_opened, NULL, NULL, sealed, length, ad,
                                                     ad_length, full, key) == 0;
}

/* EncryptAndHash; the length of what was written. */
static size_t seal(PhNoise *noise, const uint8_t *plain, size_t length, uint8_t *ret_sealed)
{
    size_t sealed = length;

    if (noise->has_key) {
        ph_noise_seal(noise->key, noise->nonce++, noise->hash, sizeof(noise->hash), plain, length,
                      ret_sealed);
        sealed += PH_NOISE_TAG_BYTES;
    } else if (length > 0) {
        memcpy(ret_sealed, plain, length);
    }
    mix_hash(noise, ret_sealed, sealed);
    return sealed;
}

/* DecryptAndHash; `length` is that of what is sealed. */
static bool open_sealed(PhNoise *noise, const uint8_t *sealed, size_t length, uint8_t *ret_plain)
{
    if (!noise->has_key) {
        if (length > 0)
            memcpy(ret_plain, sealed, length);
    } else if (!ph_noise_open(noise->key, noise->nonce, noise->hash, sizeof(noise->hash), sealed,
                              length, ret_plain)) {
        return false;
    } else {
        noise->nonce++;
    }
    mix_hash(noise, sealed, length);
    return true;
}

/* ---- the handshake state (§5.3) ---- */

bool ph_noise_init(PhNoise *ret_noise, const PhNoiseConfig *config)
{
    static const char plain[] = "Noise_IK_25519_ChaChaPoly_BLAKE2b";
    static const char with_psk[] = "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2b";
    PhNoise *noise = ret_noise;

    *noise = (PhNoise){.initiator = config->initiator, .has_psk = config->psk != NULL};
    if (config->psk)
        memcpy(noise->psk, config->psk, sizeof(noise->psk));
    memcpy(noise->static_secret, config->static_secret, PH_NOISE_KEY_BYTES);
    memcpy(noise->ephemeral_secret, config->ephemeral_secret, PH_NOISE_KEY_BYTES);
    if (crypto_scalarmult_base(noise->static_public, noise->static_secret) != 0 ||
        crypto_scalarmult_base(noise->ephemeral_public, noise->ephemeral_secret) != 0)
        return false;
    /* A name of HASHLEN or less stands as it is, with zeros behind it. */
    if (config->psk)
        memcpy(noise->hash, with_psk, sizeof(with_psk) - 1);
    else
        memcpy(noise->hash, plain, sizeof(plain) - 1);
    memcpy(noise->chaining, noise->hash, sizeof(noise->chaining));
    mix_hash(noise, config->prologue, config->prologue_length);
    if (config->initiator) {
        memcpy(noise->remote_static, config->remote_static, PH_NOISE_KEY_BYTES);
        mix_hash(noise, noise->remote_static, PH_NOISE_KEY_BYTES);
    } else {
        mix_hash(noise, noise->static_public, PH_NOISE_KEY_BYTES);
    }
    return true;
}

void ph_noise_wipe(PhNoise *noise)
{
    sodium_memzero(noise, sizeof(*noise));
}

static bool mix_shared(PhNoise *noise, const uint8_t *secret, const uint8_t *public)
{
    uint8_t shared[PH_NOISE_KEY_BYTES];
    /* It refuses keys of small order, whose secret would be known to all. */
    bool good = crypto_scalarmult(shared, secret, public) == 0;

    if (good)
        mix_key(noise, shared);
    sodium_memzero(shared, sizeof(shared));
    return good;
}

/* The tokens that are the same for who writes and who reads. */
static bool mix_token(PhNoise *noise, Token token)
{
    switch (token) {
    case TOKEN_EE:
        return mix_shared(noise, noise->ephemeral_secret, noise->remote_ephemeral);
    case TOKEN_ES: /* the initiator's ephemeral key, the responder's static one */
        return noise->initiator ? mix_shared(noise, noise->ephemeral_secret, noise->remote_static)
                                : mix_shared(noise, noise->static_secret, noise->remote_ephemeral);
    case TOKEN_SE:
        return noise->initiator ? mix_shared(noise, noise->static_secret, noise->remote_ephemeral)
                                : mix_shared(noise, noise->ephemeral_secret, noise->remote_static);
    case TOKEN_SS:
        return mix_shared(noise, noise->static_secret, noise->remote_static);
    case TOKEN_PSK:
        if (noise->has_psk)
            mix_key_and_hash(noise, noise->psk);
        return true;
    case TOKEN_END:
    case TOKEN_E:
    case TOKEN_S:
        break;
    }
    return false;
}

/* "e": with a psk, ephemeral keys are mixed in twice (§9.2). */
static void mix_ephemeral(PhNoise *noise, const uint8_t *public)
{
    mix_hash(noise, public, PH_NOISE_KEY_BYTES);
    if (noise->has_psk)
        mix_key(noise, public);
}

/* What the next message has on top of its payload. */
static size_t overhead(const PhNoise *noise)
{
    return noise->messages == 0 ? PH_NOISE_FIRST_BYTES : PH_NOISE_SECOND_BYTES;
}

size_t ph_noise_write(PhNoise *noise, const uint8_t *payload, size_t payload_length,
                      uint8_t *ret_message, size_t room)
{
    const Token *token = patterns[noise->messages % 2];
    uint8_t *at = ret_message;

    assert(noise->messages < 2 && (noise->messages == 0) == noise->initiator);
    if (noise->failed || payload_length > PH_NOISE_MAX - overhead(noise) ||
        payload_length + overhead(noise) > room)
        return 0;
    for (; *token != TOKEN_END; token++) {
        if (*token == TOKEN_E) {
            memcpy(at, noise->ephemeral_public, PH_NOISE_KEY_BYTES);
            at += PH_NOISE_KEY_BYTES;
            mix_ephemeral(noise, noise->ephemeral_public);
        } else if (*token == TOKEN_S) {
            at += seal(noise, noise->static_public, PH_NOISE_KEY_BYTES, at);
        } else if (!mix_token(noise, *token)) {
            noise->failed = true;
            return 0;
        }
    }
    at += seal(noise, payload, payload_length, at);
    noise->messages++;
    return (size_t)(at - ret_message);
}

static bool read_tokens(PhNoise *noise, const uint8_t **at)
{
    for (const Token *token = patterns[noise->messages % 2]; *token != TOKEN_END; token++) {
        if (*token == TOKEN_E) {
            memcpy(noise->remote_ephemeral, *at, PH_NOISE_KEY_BYTES);
            *at += PH_NOISE_KEY_BYTES;
            mix_ephemeral(noise, noise->remote_ephemeral);
        } else if (*token == TOKEN_S) {
            if (!open_sealed(noise, *at, PH_NOISE_KEY_BYTES + PH_NOISE_TAG_BYTES,
                             noise->remote_static))
                return false;
            *at += PH_NOISE_KEY_BYTES + PH_NOISE_TAG_BYTES;
        } else if (!mix_token(noise, *token)) {
            return false;
        }
    }
    return true;
}

bool ph_noise_read(PhNoise *noise, const uint8_t *message, size_t length, uint8_t *ret_payload,
                   size_t room, size_t *ret_payload_length)
{
    const uint8_t *at = message;
    size_t payload;

    assert(noise->messages < 2 && (noise->messages == 1) == noise->initiator);
    if (noise->failed || length > PH_NOISE_MAX || length < overhead(noise) ||
        length - overhead(noise) > room)
        return false;
    payload = length - overhead(noise);
    if (!read_tokens(noise, &at) ||
        !open_sealed(noise, at, payload + PH_NOISE_TAG_BYTES, ret_payload)) {
        noise->failed = true;
        return false;
    }
    *ret_payload_length = payload;
    noise->messages++;
    return true;
}

void ph_noise_split(const PhNoise *noise, uint8_t ret_send[static PH_NOISE_KEY_BYTES],
                    uint8_t ret_receive[static PH_NOISE_KEY_BYTES])
{
    uint8_t made[3][PH_NOISE_HASH_BYTES];

    assert(noise->messages == 2 && !noise->failed);
    hkdf(noise->chaining, NULL, 0, 2, made);
    memcpy(ret_send, made[noise->initiator ? 0 : 1], PH_NOISE_KEY_BYTES);
    memcpy(ret_receive, made[noise->initiator ? 1 : 0], PH_NOISE_KEY_BYTES);
    sodium_memzero(made, sizeof(made));
}
