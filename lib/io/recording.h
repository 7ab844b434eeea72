/* SPDX-License-Identifier: MIT */
/* A node's recording, into a file. */
#pragma once

#include <gio/gio.h>
#include <pinhole/node.h>

typedef struct PhRecording PhRecording;

/* A file that is there already is written anew. Only its owner may read it. */
PhRecording *ph_recording_open(const char *path, GError **error);
PhRecording *ph_recording_free(PhRecording *recording); /* NULL is fine; returns NULL */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PhRecording, ph_recording_free)
/* Writes what the node has recorded since the last time. FALSE, once, with an error: it cannot be
 * written, and nothing more will be. NULL is fine. */
gboolean ph_recording_take(PhRecording *recording, PhNode *node, GError **error);
