/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libpinhole's own programs as processes: `pinhole`, which stands beside this program. */
#pragma once

#include "topology/topology.h"

/* The command line of a host's program that a bare word names, to be freed; keys are those of the
 * run of this seed. `recorded`: a node records into the descriptor that its machine gives it. NULL
 * with an error when there is no such program beside this one. */
char **pl_pinhole_command(const PlTopology *topology, const PlNode *host, uint64_t seed,
                          gboolean recorded, GError **error);

/* The files that it needs and that may lie anywhere: itself and the library, as far as they are
 * there. NULL-terminated, to be freed. */
char **pl_pinhole_files(void);
