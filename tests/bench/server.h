/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Servers that are measured: each is started on one processor, while the bench is on another, where
 * there are two, and what counts is the time that its own processor spent.
 */
#pragma once

#include <glib.h>
#include <sys/types.h>
#include <time.h>

#define SERVER_ROUNDS_MAX 100

typedef struct Server {
    const char *name;
    char **argv;
} Server;

/* "NAME=COMMAND". */
void server_read(const char *word, Server *ret_server);
/* Which processor is whose; the bench is on its own from then on. */
void server_choose_processors(void);
pid_t server_start(const Server *server);
void server_end(pid_t pid);
/* What all threads of the server have had so far. */
double server_cpu_seconds(clockid_t clock);
/* Of so many rounds. */
double server_median(const double *values, size_t n);
