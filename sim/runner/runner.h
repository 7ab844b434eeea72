/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs many cells, some at a time. A cell is one run of one topology; it has a process of its own
 * (a sandbox where the engine needs one), so that it can crash, hang and be killed alone.
 */
#pragma once

#include "scenario/engine.h"
#include "scenario/verdict.h"

/*
 * Whether a run mostly waits, and then the more the longer: for what NATs that block UDP do not let
 * through, or for two nodes to find one of thousands of ports. 0: it does not.
 */
unsigned pl_runner_patience(const PlTopology *topology);

/* How long a cell may take by default: 60 s, and one more for each node, since all are surveyed. */
uint64_t pl_runner_timeout_ns(const PlTopology *topology);

typedef struct PlRunCell {
    const PlTopology *topology; /* borrowed */
    uint64_t seed;
    const char *capture; /* its recording's path, borrowed; NULL: not kept */
} PlRunCell;

typedef struct PlRunProgress {
    size_t cells, passed, failed, skipped;
    const char *topology; /* of the cell that started or ended just now */
} PlRunProgress;

typedef struct PlRunnerOptions {
    const PlEngine *engine;
    unsigned jobs;         /* cells at a time, at least 1 */
    unsigned jobs_patient; /* so many that mostly wait, beside the others; 0: they are as all are */
    uint64_t timeout_ns;   /* for each cell; 0: the default */
    gboolean digests;      /* are wanted in the verdicts */
    struct PlNames *names; /* namespaces get names here, one job only; NULL: none (borrowed) */
    void (*progress)(const PlRunProgress *progress, gpointer data); /* may be NULL */
    gpointer data;
} PlRunnerOptions;

/*
 * The verdicts, in the order of the cells; those that wait longest start first. A cell that cannot
 * start because a limit of the machine is reached (namespaces, processes, descriptors, memory)
 * waits until one that runs has ended, and fails when none does. A cell that ended without a
 * verdict, or did not end in time, has failed, and the verdict says so. On SIGHUP, SIGINT or
 * SIGTERM everything is killed and *ret_signal set; NULL is returned then, and only then. The
 * caller has one thread.
 */
GPtrArray *pl_runner_run(const PlRunCell *cells, size_t n_cells, const PlRunnerOptions *options,
                         int *ret_signal);
