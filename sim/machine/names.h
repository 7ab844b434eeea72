/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names for `ip netns exec`: links in /run/netns to namespaces that a process holds open. Only root
 * may make them. There are two links for a name, since a process is known by its number only to
 * those who share its PID namespace:
 *
 *     /run/netns/LAB.NODE -> /run/pinlab/PID-NAMESPACE/LAB.NODE -> /proc/PID/fd/FD
 *
 * They lead nowhere once that process has ended; pl_names_sweep removes what a killed one left.
 */
#pragma once

#include <sys/types.h>

#include "topology/topology.h"

typedef struct PlNames PlNames;

/* PL_ERROR_INPUT when this is not root. Sweeps first. */
PlNames *pl_names_new(GError **error);
/*
 * "LAB.NODE" is the namespace that process `pid` has open as `fd`. A name that another lab which
 * still stands has already is PL_ERROR_INPUT.
 */
gboolean pl_names_add(PlNames *names, const char *lab, const char *node, pid_t pid, int fd,
                      GError **error);
/* Removes the links made so far, when their lab has ended. */
void pl_names_clear(PlNames *names);
/* Clears, too. NULL is allowed. */
void pl_names_free(PlNames *names);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PlNames, pl_names_free)

/*
 * Removes the links of labs that are gone, as far as they were made in our PID namespace; without
 * permission, does nothing.
 */
void pl_names_sweep(void);
