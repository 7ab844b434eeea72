/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Descriptors; see files.h. */
#include "machine/files.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* More than the largest matrix needs. Containers have hard limits that nobody could count to. */
#define ENOUGH 65536

static struct rlimit before;

static int compare_int(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b;

    return (x > y) - (x < y);
}

void pl_files_close_others(const int *kept, size_t n_kept)
{
    int sorted[8], next = STDERR_FILENO + 1;

    g_assert(n_kept <= G_N_ELEMENTS(sorted));
    memcpy(sorted, kept, n_kept * sizeof(*kept));
    qsort(sorted, n_kept, sizeof(*sorted), compare_int);
    for (size_t i = 0; i <= n_kept; i++) {
        unsigned last = i < n_kept ? (unsigned)sorted[i] - 1 : ~0U;

        /* A filter may know no close_range (Linux 5.9): then one by one, as far as a process may
         * open. */
        if ((i == n_kept || sorted[i] > next) &&
            syscall(SYS_close_range, (unsigned)next, last, 0U) < 0) {
            long end = MIN((long)last, sysconf(_SC_OPEN_MAX));

            for (long fd = next; fd <= end; fd++)
                close((int)fd);
        }
        if (i < n_kept)
            next = MAX(next, sorted[i] + 1);
    }
}

void pl_files_raise_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= MIN(limit.rlim_max, ENOUGH))
        return;
    before = limit;
    limit.rlim_cur = MIN(limit.rlim_max, ENOUGH);
    /* Without it there is room for less, which whoever needs more will say. */
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        before.rlim_cur = 0;
}

void pl_files_restore_limit(void)
{
    if (before.rlim_cur > 0)
        (void)!setrlimit(RLIMIT_NOFILE, &before);
}
