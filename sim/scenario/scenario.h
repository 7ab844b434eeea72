/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One run of one topology on one engine:
 *
 *   up
 *   certify    the prober: each host through its whole way out, then each NAT from close by
 *   record     after every NAT was made new
 *   programs, steps, await
 *   exercise   the same probes again, for the wire to see
 *   judge
 *   down
 */
#pragma once

#include "scenario/engine.h"
#include "scenario/verdict.h"

/* Who wants to know how it goes; each may be NULL. */
typedef struct PlScenarioWatch {
    /* A phase begins, such as "certify". */
    void (*phase)(const char *phase, gpointer data);
    /* The lab stands, and goes on doing so until the phase "down". */
    void (*standing)(const PlTopology *topology, const PlEngine *engine, PlLab *lab, gpointer data);
    /* The recording is whole. */
    void (*recorded)(gpointer data);
    /* Where a `node` is to be recorded: read-write and empty; -1: nowhere. */
    int (*node_recording)(const PlNode *host, gpointer data);
    gpointer data;
    gboolean digests; /* whether the verdict is to have those of packets and recording */
} PlScenarioWatch;

/*
 * Runs it; never fails otherwise than in its verdict. The recording goes to capture_fd (read-write,
 * seekable, empty), which stays the caller's.
 */
PlVerdict *pl_scenario_run(const PlTopology *topology, const PlEngine *engine, uint64_t seed,
                           int capture_fd, const PlScenarioWatch *watch);
