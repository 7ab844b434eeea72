/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Processes in new namespaces, and what to say when the system will not have it. Private to this
 * room. */
#pragma once

#include <sys/types.h>

#include "topology/topology.h"

/*
 * A fork into new namespaces (CLONE_NEW*): 0 in the child, the child in the parent, -1 with errno.
 * The caller has one thread. The pidfd is close-on-exec.
 */
pid_t pl_namespaces_fork(unsigned flags, int *ret_pidfd);

/* Whether we may make namespaces in the user namespace that we are in. */
gboolean pl_namespaces_capable(void);

/*
 * Sets PL_ERROR_UNSUPPORTED, "cannot WHAT: ...", naming the permission that `errnum` was about as
 * far as the system tells, and how to give it; PL_ERROR_LIMIT when a limit is reached that is not
 * zero.
 */
void pl_namespaces_error(GError **error, const char *what, int errnum);
