/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Records live interfaces, through libpcap, or a feed (feed.h) into one pcapng file. A process of
 * its own does the work, so that nothing is lost while the lab is busy; it ends with its parent.
 */
#pragma once

#include "capture/feed.h"

typedef struct PlRecorderPoint {
    const char *name; /* its name in the file */
    const char *description;
    /* Of a live interface: */
    int netns_fd;          /* borrowed */
    const char *interface; /* the system's name of it there */
} PlRecorderPoint;

typedef struct PlRecorder PlRecorder;

/*
 * Returns once every interface is being captured. Writes to `fd` (borrowed, must outlive the
 * recorder) from its current position, packets in order of time.
 */
PlRecorder *pl_recorder_start(const PlRecorderPoint *points, size_t n_points, int fd,
                              const char *comment, GError **error);
/* Everything that had passed an interface before this call is in the file when it returns TRUE.
   Frees the recorder. Lost packets are an error. */
gboolean pl_recorder_stop(PlRecorder *recorder, GError **error);
/* Ends it without any wait or care; NULL is allowed. */
void pl_recorder_kill(PlRecorder *recorder);

/*
 * Records live interfaces, or with `feed` (borrowed for the call) what comes from there, for
 * somebody else, who has the other end of `connection` (SOCK_SEQPACKET) and hears and says there
 * what record.h lists: the parent's words in recorder.c. The same process does it; its number is
 * returned, for the caller to wait for; -1 with an error. It ends when the connection does, when
 * nobody reads what it writes any more, at SIGTERM (the lab goes down), each time with all that was
 * captured; and with its parent. Nothing is held in buffers.
 */
int pl_recorder_serve(const PlRecorderPoint *points, size_t n_points, PlFeed *feed, int fd,
                      const char *comment, int connection, GError **error);
