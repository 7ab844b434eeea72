/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Topologies of two hosts, each behind a kind of NAT, and a hub: made in memory, all the same way.
 * alice connects to bob.
 */
#pragma once

#include "topology/topology.h"

/* The kinds' names, "open" first, in the order of tables; ended by NULL. */
extern const char *const pl_pair_kinds[];
/* The number of one in that list; FALSE with PL_ERROR_INPUT when there is none of that name. */
gboolean pl_pair_kind(const char *name, unsigned *ret_kind, GError **error);

/* The topology file of a pair, to be freed. */
char *pl_pair_text(unsigned alice, unsigned bob);
/* The same as a topology, "pair-KIND-KIND"; it says "--pair KIND,KIND" of how it is named on a
 * command line. */
PlTopology *pl_pair_topology(unsigned alice, unsigned bob);
