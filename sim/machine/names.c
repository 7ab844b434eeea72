/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names for `ip netns exec`; see names.h. */
#include "machine/names.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define DIRECTORY "/run/netns" /* as iproute2 has it */

struct PlNames {
    GPtrArray *paths; /* char *, of links that we made */
};

/* Whether a link is of our making: ip's own names are files. */
static gboolean is_ours(const char *path)
{
    g_autofree char *target = g_file_read_link(path, NULL);
    unsigned pid, fd;
    char end;

    return target && sscanf(target, "/proc/%u/fd/%u%c", &pid, &fd, &end) == 2;
}

/* Its process may be gone, and its number another's by now. */
static gboolean leads_to_a_namespace(const char *path)
{
    struct statfs status;

    return statfs(path, &status) == 0 && status.f_type == NSFS_MAGIC;
}

void pl_names_sweep(void)
{
    g_autoptr(GDir) directory = g_dir_open(DIRECTORY, 0, NULL);
    const char *name;

    if (!directory || access(DIRECTORY, W_OK) < 0)
        return;
    while ((name = g_dir_read_name(directory))) {
        g_autofree char *path = g_build_filename(DIRECTORY, name, NULL);

        if (is_ours(path) && !leads_to_a_namespace(path))
            unlink(path);
    }
}

PlNames *pl_names_new(GError **error)
{
    PlNames *names;

    if (geteuid() != 0) {
        g_set_error(error, PL_ERROR, PL_ERROR_INPUT,
                    "only root can make names for `ip netns exec` (expected to run as root, or "
                    "without --names)");
        return NULL;
    }
    if (mkdir(DIRECTORY, 0755) < 0 && errno != EEXIST) {
        g_set_error(error, PL_ERROR, PL_ERROR_INPUT, "cannot make %s: %s", DIRECTORY,
                    g_strerror(errno));
        return NULL;
    }
    pl_names_sweep();
    names = g_new0(PlNames, 1);
    names->paths = g_ptr_array_new_with_free_func(g_free);
    return names;
}

gboolean pl_names_add(PlNames *names, const char *lab, const char *node, pid_t pid, int fd,
                      GError **error)
{
    g_autofree char *path = g_strdup_printf("%s/%s.%s", DIRECTORY, lab, node);
    g_autofree char *target = g_strdup_printf("/proc/%d/fd/%d", (int)pid, fd);

    if (symlink(target, path) < 0) {
        g_set_error(error, PL_ERROR, PL_ERROR_INPUT, "cannot name a namespace %s: %s", path,
                    errno == EEXIST ? "another lab has that name" : g_strerror(errno));
        return FALSE;
    }
    g_ptr_array_add(names->paths, g_steal_pointer(&path));
    return TRUE;
}

void pl_names_free(PlNames *names)
{
    if (!names)
        return;
    for (unsigned i = 0; i < names->paths->len; i++)
        unlink(g_ptr_array_index(names->paths, i));
    g_ptr_array_unref(names->paths);
    g_free(names);
}
