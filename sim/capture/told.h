/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Evidence of messages: when one host sent the other what it was told to send, and which way that
 * went, by IP and UDP headers and times alone. What is sealed is as long as the protocol makes it
 * (docs/protocol.md), which tells it from all else that the two say; so texts that are to be looked
 * for should have lengths of their own.
 */
#pragma once

#include "capture/path.h"

/* Around a text: the mark that it is one, the message's kind, and the data packet. Around that by
 * way of a relay: the kind, the channel, and another data packet. */
#define PL_TOLD_AROUND       (1 + 1 + 32)
#define PL_TOLD_AROUND_RELAY (1 + 4 + 32)

typedef enum {
    PL_TOLD_LOST,     /* it did not arrive */
    PL_TOLD_STRAIGHT, /* as it was sent */
    PL_TOLD_RELAYED,  /* by a relay */
} PlToldHow;

typedef struct PlTold {
    uint64_t time_ns; /* when it left */
    PlToldHow how;
    const PlPathRelay *relay; /* RELAYED: which */
} PlTold;

/* From ends[0] to ends[1], texts of these lengths (gsize): PlTold, in order of time. NULL with an
 * error when the capture has no such interface. */
GArray *pl_told_judge(const PlCapture *capture, const PlPathQuery *query, const GArray *lengths,
                      GError **error);

/* When ends[0] sent its first packet; 0: never. */
gboolean pl_told_first(const PlCapture *capture, const PlPathQuery *query, uint64_t *ret_ns,
                       GError **error);
