/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One cell while it runs: its process, and what comes from it. For runner.c only. */
#pragma once

#include <signal.h>

#include "machine/sandbox.h"
#include "runner/artifact.h"
#include "runner/runner.h"

typedef struct PlCell {
    const PlRunCell *run;
    const PlRunnerOptions *options;
    size_t index;
    sigset_t signals; /* blocked while it runs */
    PlSandbox process;
    int pipe;          /* what the process has to say; -1 once it closed it */
    GString *received; /* from the pipe, as it came */
    size_t named;      /* how much of that has been searched for names */
    char *unnamed;     /* why a name could not be made; NULL: it could */
    gint64 start_us, deadline_us;
    uint64_t timeout_ns;
    PlArtifact *capture; /* NULL: `memory` */
    int memory;
    GPtrArray *nodes; /* PlArtifact of each host's node, by the host's index; NULL: none */
} PlCell;

/* Starts it; `signals` is the mask that its process gets. NULL with an error when it cannot be. */
PlCell *pl_cell_start(const PlRunCell *run, const PlRunnerOptions *options, size_t index,
                      const sigset_t *signals, GError **error);
/* Reads what is there. */
void pl_cell_read(PlCell *cell);
/* Its process has ended, or is to be killed because its time is over: the verdict. Frees the cell.
 */
PlVerdict *pl_cell_finish(PlCell *cell, gboolean timed_out);
/* Kills it; nothing stays. */
void pl_cell_free(PlCell *cell);

/* The verdict on a cell that never ran. */
PlVerdict *pl_cell_verdict(const PlRunCell *run, const PlRunnerOptions *options);
