/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A session: a lab that people work in. A process (the holder) claims the name, makes the sandbox
 * and waits; the sandbox's first process builds the lab, has its NATs certified, starts the hosts'
 * programs, and then serves whoever connects to the lab's socket (serve.c says what can be asked).
 *
 *   claim ─▶ sandbox ─▶ up ─▶ certify ─▶ reset ─▶ programs ─▶ (steps) ─▶ ready: serving ─▶ down
 *
 * When the holder ends, by whatever signal, the lab does.
 */
#pragma once

#include "scenario/engine.h"

typedef struct PlSessionOptions {
    const PlTopology *topology;
    const PlEngine *engine;
    uint64_t seed;
    const char *name;
    gboolean names; /* for `ip netns exec`, as machine/names.h has it */
    gboolean steps; /* those of the file are done before the lab is ready */
    /* Told of each that is done, in a line such as "step 1: nat home flush". */
    void (*stepped)(const char *line, gpointer data);
    /* Told once, when the lab is ready. */
    void (*ready)(gpointer data);
    gpointer data;
    /* A descriptor on whose hang-up a lab that is not ready yet ends; -1: none. */
    int patron;
} PlSessionOptions;

/*
 * Holds a lab until it is told to go down (by its socket, or SIGHUP, SIGINT or SIGTERM: then
 * *ret_signal is set). FALSE with an error when it never got ready, or broke. The caller has one
 * thread.
 */
gboolean pl_session_hold(const PlSessionOptions *options, int *ret_signal, GError **error);
