/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The labs of a user that stand, as files. Each has a directory with
 *
 *   lock      locked (flock) as long as any process of the lab lives: who gets it knows that all
 *             are dead, and sweeps the rest
 *   control   the socket that the lab's first process listens on
 *   info      what `pinlab labs` shows; there when the lab is ready
 *
 * below /run/pinlab/labs (root) or /tmp/pinlab-UID, which must be the user's own and closed to
 * others. Not below $XDG_RUNTIME_DIR: that goes with the user's last login, and a lab does not.
 * Every function here sweeps what dead labs left.
 */
#pragma once

#include "topology/topology.h"

/* A lab's claim to its name. */
typedef struct PlClaim PlClaim;

/* Whether it may be a lab's name: letters, digits, ".", "_" and "-", not one of these first. */
gboolean pl_registry_is_name(const char *name);

/* PL_ERROR_INPUT when the name is another lab's, or the directory is not ours alone. */
PlClaim *pl_claim_new(const char *name, GError **error);
/* Listening; borrowed. */
int pl_claim_listener(const PlClaim *claim);
gboolean pl_claim_publish(PlClaim *claim, const char *info, GError **error);
/* Removes all of it. NULL is allowed. */
void pl_claim_free(PlClaim *claim);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PlClaim, pl_claim_free)

/* The names (char *, owned) in order. */
GPtrArray *pl_registry_list(GError **error);
/* What was published of a lab, to be freed; NULL when it is not ready yet, or gone. */
char *pl_registry_info(const char *name);

/*
 * A connection to a lab's first process, which may not have time for it yet. PL_ERROR_INPUT, naming
 * those that there are, when there is no such lab; PL_ERROR_FAILED when it went away just now.
 * *ret_lock (may be NULL) is a descriptor of the same lab's lock, whoever has the name later.
 */
int pl_registry_connect(const char *name, int *ret_lock, GError **error);
/* Waits until a lab is gone, with all its files; FALSE: it was not within that time. */
gboolean pl_registry_await_end(int lock, unsigned limit_ms);
