/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What passed before the two ends of a path. Private to this room. */
#pragma once

#include "capture/packet.h"
#include "capture/path.h"

/* A payload that is as long as this does not come twice by chance. */
#define MARK_MIN 16
/* From one of the two to the other. */
#define PASSAGE_MAX_NS (2 * G_GUINT64_CONSTANT(1000000000))
/* A relay passes a packet on within so long. */
#define RELAY_MAX_NS (500 * G_GUINT64_CONSTANT(1000000))

/* A UDP packet as it passed before one of the two. */
typedef struct PlPassed {
    PlPacket packet;
    uint64_t time_ns;
    guint end;         /* of which of the two */
    gboolean outgoing; /* it sent it */
} PlPassed;

/* What passed before each of the two, and is its own: PlPassed, in the order of the capture. */
gboolean pl_path_collect(const PlCapture *capture, const PlPathQuery *query, GArray *passed,
                         GError **error);
/* Whatever the port. */
gboolean pl_path_has_address(const GArray *addresses, const PhAddress *address);
