/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a host sees of the file system. Private to this room. */
#pragma once

#include "topology/topology.h"

/*
 * Changes the caller's own mount and UTS namespaces to those of a host: see machine.h. The caller
 * is in the host's network namespace, and the first process of its PID namespace; afterwards it is
 * in `directory`, an absolute path. `shown` is a list of files, or NULL. Nothing of this reaches a
 * disk.
 */
gboolean pl_home_build(const char *name, const char *hosts, const char *directory,
                       char *const *shown, GError **error);
