/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What `pinhole node` says of its peers, a line of JSON for each thing that happens. */
#pragma once

#include "scenario/status.h"
#include "topology/topology.h"

/*
 * The path to the peer of this name by the last lines about it, as PlEngine's `path` has it. Keys
 * become the names of the hosts that have them in the run of this seed. What is no such line is
 * passed over: it comes from the program under test.
 */
char *pl_peers_read(const char *output, const char *peer, const PlTopology *topology, uint64_t seed,
                    gboolean *ret_final);

/* What the last line `status` says; NULL: there is none, or it makes no sense. */
PlStatus *pl_peers_status(const char *output, const PlTopology *topology, uint64_t seed);
