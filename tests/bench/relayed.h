/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two clients of a relay, on loopback: one sends, the other counts what comes. For our own hub they
 * are nodes with sessions, for a TURN server (RFC 8656) a client with a channel, and its peer.
 */
#pragma once

#include <glib.h>
#include <pinhole/address.h>

#define RELAYED_MAX 1150 /* bytes in a packet that is relayed */

typedef enum { RELAYED_HUB, RELAYED_TURN } RelayedKind;

typedef struct Relayed Relayed;

/* Waits for the server to be there, for so long. `hub_key`: its public key; of a TURN server NULL.
 * NULL: it does not relay. */
Relayed *relayed_new(RelayedKind kind, const PhAddress *server, const uint8_t *hub_key,
                     guint64 timeout_ns);
Relayed *relayed_free(Relayed *relayed);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Relayed, relayed_free)

typedef struct RelayedResult {
    guint64 came, lost;
    double seconds;
} RelayedResult;

/* Relays packets of that length for so long, with at most `window` of them under way. */
void relayed_run(Relayed *relayed, gsize length, guint window, guint64 duration_ns,
                 RelayedResult *ret_result);
/* How long it takes to open and to seal what relaying one such packet takes, nothing else. */
double relayed_crypto_ns(gsize length);
