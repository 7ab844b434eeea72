/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A recording of packets that were on no real interface: what the model saw pass, as the same
 * pcapng file that the recorder makes of real ones. Each packet gets an Ethernet header, with
 * addresses made of the interface's number.
 */
#pragma once

#include "topology/topology.h"

typedef struct PlTrace PlTrace;

/* Of these attachments (PlAttachment, borrowed for the call), into `fd` (borrowed) from its current
 * position. */
PlTrace *pl_trace_new(const GPtrArray *attachments, int fd, const char *comment, GError **error);
/* An IP packet leaves (`outgoing`) or enters the node by this attachment; others than those above
 * are passed over. */
void pl_trace_packet(PlTrace *trace, const PlAttachment *attachment, gboolean outgoing,
                     const uint8_t *bytes, size_t length, uint64_t time_ns);
/* The Ethernet header that an IP packet gets: the interface's own address is 02:00:00:00:XX:XX,
 * that of whoever is opposite 02:00:00:01:XX:XX. */
#define PL_TRACE_HEADER 14
void pl_trace_header(uint8_t header[static PL_TRACE_HEADER], unsigned interface, gboolean outgoing,
                     const uint8_t *bytes);
/* What was written so far goes out. FALSE when something could not be written. */
gboolean pl_trace_flush(PlTrace *trace, GError **error);
/* With each interface's statistics at the end. Frees; NULL is fine. */
gboolean pl_trace_close(PlTrace *trace, uint64_t time_ns, GError **error);
