/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One run of one topology on one engine:
 *
 *   up -> certify (prober: each NAT from close by, each host through its whole way) -> reset
 *      -> record -> programs -> steps -> exercise (the same probes again, for the wire to see) ->
 * stop -> judge -> down
 */
#pragma once

#include "scenario/engine.h"
#include "scenario/verdict.h"

/* Runs it; never fails otherwise than in its verdict. The recording goes to capture_fd (read-write,
 * seekable, empty). */
PlVerdict *pl_scenario_run(const PlTopology *topology, const PlEngine *engine, uint64_t seed,
                           int capture_fd);
