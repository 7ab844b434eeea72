/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A survey puts the prober before every NAT and every host of a lab that is to be judged: from a
 * host's own place to the far side of all that lies between it and the outermost network, and from
 * one side of each NAT to the other.
 */
#pragma once

#include "scenario/engine.h"
#include "scenario/verdict.h"

/*
 * With `certify` the findings go into `certified` of the verdict's subjects, and NATs are made new
 * between hosts and NATs; without, the packets are all that matters. The probes' ports and order
 * come from the seed.
 */
gboolean pl_survey_run(const PlTopology *topology, const PlEngine *engine, PlLab *lab,
                       uint64_t seed, gboolean certify, PlVerdict *verdict, GError **error);
