/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The other end of a session: asks a lab for something. */
#pragma once

#include "topology/topology.h"

/*
 * Asks lab `name`: the connection, on which the answer will come; -1 with an error. The words are
 * those of serve.h; the descriptors stay the caller's.
 */
int pl_client_ask(const char *name, const char *const *words, const int *fds, size_t n_fds,
                  GError **error);

/*
 * The next message on a connection: its letter, with *ret_text (to be freed) and *ret_fd (-1: none
 * came; may be NULL). A lab that refuses, or is gone, is an error, and 0 is returned.
 */
char pl_client_hear(int connection, const char *name, char **ret_text, int *ret_fd, GError **error);

/*
 * For whoever has waited PL_CLIENT_MS for the first message: TRUE with an error when the lab is
 * ready, and so should have answered; FALSE while it is being built.
 */
#define PL_CLIENT_MS 10000
gboolean pl_client_overdue(const char *name, GError **error);

/* Both, for a request that is answered once, perhaps with a text (to be freed; may be NULL). */
gboolean pl_client_call(const char *name, const char *const *words, char **ret_text,
                        GError **error);

/* Has a lab go down, and returns when it is gone; one that does not within some seconds is killed.
 */
gboolean pl_client_down(const char *name, GError **error);
