/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The descriptors of this process: which it keeps, and how many it may have. */
#pragma once

#include <stddef.h>

/* Closes every descriptor that is not in `kept`, and is above 2. */
void pl_files_close_others(const int *kept, size_t n_kept);

/*
 * Raises the soft limit (RLIMIT_NOFILE) towards the hard one: a runner has a few for each of its
 * cells, and a lab for each of its nodes.
 */
void pl_files_raise_limit(void);
/* As it was before; for programs, some of which try every descriptor that they could have. Safe
 * between fork and exec. */
void pl_files_restore_limit(void);
