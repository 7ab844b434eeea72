/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guests: commands that somebody outside of the lab runs on a host, with descriptors of their own
 * as stdin, stdout and stderr. The keeper's side; each has a connection to whoever called it:
 *
 *   caller                     keeper
 *     |  <--- O | N text | P text   |   it runs; there is no such command; it cannot be run
 *     |  S + byte --->              |   a signal for it
 *     |  <--- X status              |   it has ended
 *
 * A caller that goes away hangs up (SIGHUP), as a terminal does.
 */
#pragma once

#include <poll.h>
#include <sys/types.h>

#include "topology/topology.h"

#define PL_GUEST_RUNS      'O'
#define PL_GUEST_NOT_FOUND 'N'
#define PL_GUEST_NOT_RUN   'P'
#define PL_GUEST_SIGNAL    'S'
#define PL_GUEST_ENDED     'X'
#define PL_GUEST_REPLY_MAX 1024
/* stdin, stdout, stderr, the connection, and a file with the words: the number of arguments, these,
   and the environment. */
#define PL_GUEST_FDS 5

typedef struct PlGuests PlGuests;

PlGuests *pl_guests_new(void);

/* Starts one; takes the descriptors. FALSE when they make no sense; else the caller is told. */
gboolean pl_guests_welcome(PlGuests *guests, const int fds[static PL_GUEST_FDS]);

unsigned pl_guests_count(const PlGuests *guests);
/* What is to be polled: as many as pl_guests_count. */
void pl_guests_poll(const PlGuests *guests, struct pollfd *polls);
void pl_guests_handle(PlGuests *guests, const struct pollfd *polls);
/* A process has ended; `status` as waitpid gives it. */
void pl_guests_bury(PlGuests *guests, pid_t pid, int status);
