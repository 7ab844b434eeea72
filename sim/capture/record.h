/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the recorder's child does, and the words it has with its parent (see recorder.c). */
#pragma once

#include "capture/input.h"

#define PL_RECORD_LIVE        'L'
#define PL_RECORD_STOP        'S'
#define PL_RECORD_DONE        'D' /* followed by text when it was not the parent that ended it */
#define PL_RECORD_FAILED      'E' /* followed by text */
#define PL_RECORD_UNSUPPORTED 'U' /* followed by text */
#define PL_RECORD_MESSAGE_MAX 1024

/* Records what `input` has, which it frees, until it is told to stop, and says how it went. `live`:
   nothing stays in buffers, and it ends also at SIGTERM, which the caller has blocked, and when
   nobody reads from fd any more. */
void pl_record(PlInput *input, int fd, const char *comment, gboolean live, int socket);
