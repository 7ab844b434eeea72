/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Packets seen on the two sides of something, each with what it looked like on the other side. */
#pragma once

#include "capture/packet.h"
#include "capture/pcapng.h"

#define PL_NO_PARTNER G_MAXUINT

typedef struct PlSeen {
    PlPacket packet;
    uint64_t time_ns;
    guint partner;     /* its index, or PL_NO_PARTNER: it did not cross */
    guint below;       /* pairing's own */
    gboolean outside;  /* where it was seen */
    gboolean outbound; /* of those that crossed: inside first */
    /* Other packets could as well have been its partner: what it says of addresses is no evidence.
     */
    gboolean unsure;
} PlSeen;

/* PlSeen in order of time. FALSE, PL_ERROR_INPUT, when the capture lacks one of the interfaces.
 * With equal names all packets are outside, and none crosses. */
GArray *pl_crossings(const PlCapture *capture, const char *inside, const char *outside,
                     GError **error);

/* The hash of what a NAT leaves alone in a packet, whatever its addresses; and its equality. */
guint pl_seen_mark_hash(gconstpointer seen);
gboolean pl_seen_mark_equal(gconstpointer a, gconstpointer b);

static inline PlSeen *pl_seen(const GArray *crossings, guint index)
{
    return &g_array_index(crossings, PlSeen, index);
}
