/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One run of one topology on one engine:
 *
 *   up -> certify (prober: each host through its whole way out, then each NAT from close by) ->
 * reset
 *      -> record -> programs -> steps -> exercise (the same probes again, for the wire to see) ->
 * judge -> down
 */
#pragma once

#include "scenario/engine.h"
#include "scenario/verdict.h"

/* Told the name of each phase as it begins, such as "certify". */
typedef void (*PlScenarioPhase)(const char *phase, gpointer data);

/*
 * Runs it; never fails otherwise than in its verdict. The recording goes to capture_fd (read-write,
 * seekable, empty), which stays the caller's. `phase` may be NULL.
 */
PlVerdict *pl_scenario_run(const PlTopology *topology, const PlEngine *engine, uint64_t seed,
                           int capture_fd, PlScenarioPhase phase, gpointer data);
