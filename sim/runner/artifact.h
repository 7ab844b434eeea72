/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A file that stands under its name when it is complete, and before that not at all: whoever is
 * killed while writing it leaves nothing behind, and a file of that name from before stays whole
 * until the new one takes its place. (For that it has a hidden name for an instant; a file system
 * without O_TMPFILE has that one all the time. A SIGKILL leaves it, and the next artifact of the
 * same name takes it over.)
 */
#pragma once

#include "topology/topology.h"

typedef struct PlArtifact PlArtifact;

/* What is no regular file (/dev/null, a pipe) is written directly. PL_ERROR_INPUT when it cannot be
 * written, PL_ERROR_LIMIT when only descriptors are wanting. */
PlArtifact *pl_artifact_open(const char *path, GError **error);
/* Read-write, at its start; for a device or a pipe write-only. Stays the artifact's. */
int pl_artifact_fd(const PlArtifact *artifact);
const char *pl_artifact_path(const PlArtifact *artifact);
gboolean pl_artifact_write(PlArtifact *artifact, const char *text, GError **error);
/* Gives it its name. Frees the artifact in any case. */
gboolean pl_artifact_publish(PlArtifact *artifact, GError **error);
/* Forgets it; NULL is allowed. */
void pl_artifact_discard(PlArtifact *artifact);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PlArtifact, pl_artifact_discard)
