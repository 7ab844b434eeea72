/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Packets from the process that sees them pass, where no real interface is, to one that records
 * them: a ring in shared memory. The writer never waits: what finds no room is lost, and counted.
 */
#pragma once

#include "topology/topology.h"

typedef struct PlFeed PlFeed;             /* the reader's end */
typedef struct PlFeedWriter PlFeedWriter; /* the other one */

/* What the writer needs, in whatever process it is: memory, and a socket to wake the reader. */
#define PL_FEED_FDS 2

/* `ret_fds` are the caller's. A fork has the reader's end, too; it is to be used in one process. */
PlFeed *pl_feed_new(unsigned n_interfaces, int ret_fds[static PL_FEED_FDS], GError **error);
void pl_feed_free(PlFeed *feed); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PlFeed, pl_feed_free)

/* Readable when there is something to read, or the writer has gone. */
int pl_feed_fd(const PlFeed *feed);
/* A frame of one of the interfaces, borrowed for the call. */
typedef void (*PlFeedTake)(gpointer data, unsigned interface, uint64_t time_ns,
                           const uint8_t *frame, size_t length);
/* All that is there, in the order of time; how many these were. -1 when there will be no more. */
int pl_feed_read(PlFeed *feed, PlFeedTake take, gpointer data);
/* Of an interface, so far: those that can be read or were, and those that were lost. */
void pl_feed_statistics(const PlFeed *feed, unsigned interface, uint64_t *ret_received,
                        uint64_t *ret_lost);

/* The interfaces are these attachments (PlAttachment, borrowed for the call), as many as above. The
 * descriptors are taken. */
PlFeedWriter *pl_feed_writer_new(const GPtrArray *attachments, const int fds[static PL_FEED_FDS],
                                 GError **error);
void pl_feed_writer_free(PlFeedWriter *writer); /* NULL is fine */
/* As pl_trace_packet. The reader knows of it after pl_feed_writer_wake. */
void pl_feed_writer_packet(PlFeedWriter *writer, const PlAttachment *attachment, gboolean outgoing,
                           const uint8_t *bytes, size_t length, uint64_t time_ns);
/* FALSE when the reader has gone. */
gboolean pl_feed_writer_wake(PlFeedWriter *writer);
