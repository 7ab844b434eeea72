/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A sandbox is a PID namespace with its user, mount and network namespaces. Its first process runs
 * one function; when that process ends, for whatever reason, or the process that made the sandbox
 * does, everything in it ends too and nothing is left. No root needed.
 */
#pragma once

#include "topology/topology.h"

typedef struct PlSandbox {
    int pid;   /* of its first process, as seen from outside */
    int pidfd; /* readable when it has ended; owned */
} PlSandbox;

/* Runs as process 1 of the sandbox; its return value is the exit status. */
typedef int (*PlSandboxMain)(gpointer data);

/*
 * Starts one. PL_ERROR_UNSUPPORTED names the permission that is missing, and how to give it;
 * PL_ERROR_LIMIT a limit that is reached until something else ends. The caller has one thread.
 * `main` runs in a fork of the caller, as root of the new namespaces, in its own session, with
 * stdin from /dev/null, every mount private, a /proc of the new PID namespace where that is
 * allowed.
 */
gboolean pl_sandbox_start(PlSandboxMain main, gpointer data, PlSandbox *ret_sandbox,
                          GError **error);
/* SIGKILL to everything in it, waits for that, and frees; pl_sandbox_wait then says 128 + SIGKILL.
 */
void pl_sandbox_kill(PlSandbox *sandbox);
/* Waits for its end; the exit status, 128 + signal when a signal ended it. Frees. */
int pl_sandbox_wait(PlSandbox *sandbox);
