/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Outputs that would overwrite an input, or each other. */
#pragma once

#include "pinlab/options.h"
#include "topology/topology.h"

/* PL_ERROR_INPUT when a report is the same file as the other one, as standard output, as one of
 * `captures` (paths, some NULL) or as a file that the topologies are made of. */
gboolean conflict_check(const Options *options, const GPtrArray *topologies,
                        const GPtrArray *captures, GError **error);
