/* SPDX-License-Identifier: MIT */
/*
 * A node's identity is an X25519 key pair (RFC 7748). Its secret half is kept in a file that only
 * its owner may read: one line, the word "pinhole-secret-key", a blank, and 32 bytes in base64.
 */
#pragma once

#include <gio/gio.h>
#include <pinhole/export.h>
#include <stdint.h>

PH_BEGIN_DECLS

#define PH_KEY_BYTES    32
#define PH_KEY_TEXT_MAX 45 /* base64 with its NUL */

typedef struct PhKey {
    uint8_t secret_half[PH_KEY_BYTES];
    uint8_t public_half[PH_KEY_BYTES];
} PhKey;

/* Makes a key and a new file for it, mode 0600. A file that is there already is left alone, and an
 * error (G_IO_ERROR_EXISTS). */
PH_EXPORT gboolean ph_key_create(const char *path, PhKey *ret_key, GError **error);

/* Refuses what is not a plain file, what others may read or write, what belongs to somebody else
 * (all three: G_IO_ERROR_PERMISSION_DENIED), and what holds no key (G_IO_ERROR_INVALID_DATA). */
PH_EXPORT gboolean ph_key_load(const char *path, PhKey *ret_key, GError **error);

/* Makes a key that is kept nowhere. */
PH_EXPORT void ph_key_generate(PhKey *ret_key);
PH_EXPORT void ph_key_wipe(PhKey *key);

/* The public half in base64, into a buffer of PH_KEY_TEXT_MAX bytes. Returns the buffer. */
PH_EXPORT char *ph_key_format(const PhKey *key, char buffer[PH_STATIC(PH_KEY_TEXT_MAX)]);
/* Another's public half, as ph_key_format_public writes it. FALSE, and nothing written: it is none.
 */
PH_EXPORT gboolean ph_key_parse_public(const char *text,
                                       uint8_t ret_public_half[PH_STATIC(PH_KEY_BYTES)]);
PH_EXPORT char *ph_key_format_public(const uint8_t public_half[PH_STATIC(PH_KEY_BYTES)],
                                     char buffer[PH_STATIC(PH_KEY_TEXT_MAX)]);

PH_END_DECLS
