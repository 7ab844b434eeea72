/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A plan as a shell program for people: the same operations as lines of `ip`, `sysctl`, `ethtool`
 * and `nft`, which wire the topology without pinlab. Pure.
 */
#pragma once

#include "topology/topology.h"

/*
 * The program's text, to be freed. What it makes is called LAB.NODE, LAB being the topology's name
 * as far as a shell takes it unquoted. Fails as pl_plan_new does.
 */
char *pl_script_text(const PlTopology *topology, uint64_t seed, GError **error);

/* What the kernel engine cannot wire, as PlEngine.refuse has it; programs and expectations do not
   count. */
void pl_kernel_refuse_wiring(const PlTopology *topology, GPtrArray *reasons);
