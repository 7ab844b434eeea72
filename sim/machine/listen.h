/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `run = listen` on a host: a function in a process of its own, so that no host needs a file for
 * it. Private to this room.
 */
#pragma once

#include <glib.h>

/* The process's whole life. The ports are argv[1] and those behind it; all descriptors above
 * standard error are closed. */
G_NORETURN void pl_listen_main(char **argv);
