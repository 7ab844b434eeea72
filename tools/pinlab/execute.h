/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Runs topologies as the options say, and reports. */
#pragma once

#include "pinlab/options.h"
#include "topology/topology.h"

/* `single`: one topology was asked for, so its verdict is shown in full. Returns the exit status.
 */
/* `grid`: the kinds (ended by NULL) of which the topologies are all pairs, row by row; else NULL.
 */
int execute(const Options *options, const GPtrArray *topologies, gboolean single,
            const char *const *grid);
