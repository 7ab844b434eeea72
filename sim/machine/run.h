/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A running program: when it is ready, and what to say when it is not. Private to this room. */
#pragma once

#include "machine/clock.h"
#include "machine/program.h"

typedef struct PlRun {
    unsigned id;
    const PlProgram *program; /* borrowed */
    char *command;            /* for messages */
    PlProgramShare *share;
    int input;         /* our end of a `node`'s standard input; -1: it has none */
    uint64_t deadline; /* CLOCK_MONOTONIC, nanoseconds */
} PlRun;

PlRun *pl_run_new(unsigned id, const PlProgram *program);
void pl_run_free(PlRun *run);

gboolean pl_run_has_ended(const PlRun *run);
/* 128 + signal when a signal ended it. */
int pl_run_exit_status(const PlRun *run);

/*
 * Waits until it is ready or cannot be any more. `event` is what the keeper announces things by,
 * `keeper` its pidfd, `netns` the host's.
 */
gboolean pl_run_wait_ready(const PlRun *run, int event, int keeper, int netns, GError **error);

/*
 * Waits, for its time limit from now at most, until it has ended or, with `text`, has put out a
 * line with it, behind byte `from` of its output. FALSE only when the keeper is dead.
 */
gboolean pl_run_await(const PlRun *run, const char *text, uint64_t from, int event, int keeper,
                      GError **error);

/* "`COMMAND` WHAT; it put out: ...", with its last lines. */
void pl_run_error(GError **error, const PlRun *run, const char *what);
