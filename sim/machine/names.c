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

#define NETNS     "/run/netns" /* as iproute2 has it */
#define STATE     "/run/pinlab"
#define TRIES_MAX 1000

struct PlNames {
    char *state;      /* the directory for our PID namespace */
    GPtrArray *names; /* char *, those that we made */
};

/* NULL when it cannot be told which PID namespace this is. */
static char *state_directory(void)
{
    struct stat status;

    if (stat("/proc/self/ns/pid", &status) < 0)
        return NULL;
    return g_strdup_printf("%s/%lu", STATE, (unsigned long)status.st_ino);
}

/* Its process may be gone, and its number another's by now. What we may not look at is not ours to
 * remove. */
static gboolean may_lead_to_a_namespace(const char *path)
{
    struct statfs status;

    if (statfs(path, &status) < 0)
        return errno != ENOENT;
    return status.f_type == NSFS_MAGIC;
}

/* The name first: it may be there without the state, but not without being known. */
static void remove_name(const char *state, const char *name)
{
    g_autofree char *link = g_build_filename(NETNS, name, NULL);
    g_autofree char *behind = g_build_filename(state, name, NULL);
    g_autofree char *target = g_file_read_link(link, NULL);

    if (g_strcmp0(target, behind) == 0)
        unlink(link);
    unlink(behind);
}

void pl_names_sweep(void)
{
    g_autofree char *state = state_directory();
    g_autoptr(GDir) directory = state ? g_dir_open(state, 0, NULL) : NULL;
    const char *name;

    if (!directory || access(state, W_OK) < 0)
        return;
    while ((name = g_dir_read_name(directory))) {
        g_autofree char *path = g_build_filename(state, name, NULL);

        if (!may_lead_to_a_namespace(path))
            remove_name(state, name);
    }
}

/* A lab that ends takes empty directories with it, also from under our feet: ENOENT is no end, but
 * where it comes so often nothing can be made at all (below /proc, or a dead symlink). */
static gboolean make_directory(const char *path, GError **error)
{
    for (unsigned tries = 1; g_mkdir_with_parents(path, 0755) < 0; tries++)
        if (errno != ENOENT || tries == TRIES_MAX) {
            g_set_error(error, PL_ERROR, PL_ERROR_INPUT, "cannot make %s: %s", path,
                        g_strerror(errno));
            return FALSE;
        }
    return TRUE;
}

PlNames *pl_names_new(GError **error)
{
    g_autofree char *state = state_directory();
    PlNames *names;

    if (geteuid() != 0 || !state) {
        g_set_error(error, PL_ERROR, PL_ERROR_INPUT,
                    "only root can make names for `ip netns exec` (expected to run as root, or "
                    "without --names)");
        return NULL;
    }
    if (!make_directory(NETNS, error) || !make_directory(state, error))
        return NULL;
    pl_names_sweep();
    names = g_new0(PlNames, 1);
    names->state = g_steal_pointer(&state);
    names->names = g_ptr_array_new_with_free_func(g_free);
    return names;
}

static gboolean link_in_state(PlNames *names, const char *target, const char *behind,
                              GError **error)
{
    while (symlink(target, behind) < 0) {
        if (errno != ENOENT) {
            g_set_error(error, PL_ERROR, PL_ERROR_INPUT, "%s",
                        errno == EEXIST ? "another lab has that name" : g_strerror(errno));
            return FALSE;
        }
        if (!make_directory(names->state, error))
            return FALSE;
    }
    return TRUE;
}

gboolean pl_names_add(PlNames *names, const char *lab, const char *node, pid_t pid, int fd,
                      GError **error)
{
    g_autofree char *name = g_strdup_printf("%s.%s", lab, node);
    g_autofree char *link = g_build_filename(NETNS, name, NULL);
    g_autofree char *behind = g_build_filename(names->state, name, NULL);
    g_autofree char *target = g_strdup_printf("/proc/%d/fd/%d", (int)pid, fd);

    if (!link_in_state(names, target, behind, error)) {
        g_prefix_error(error, "cannot name a namespace %s: ", name);
        return FALSE;
    }
    g_ptr_array_add(names->names, g_strdup(name));
    if (symlink(behind, link) < 0) {
        g_set_error(error, PL_ERROR, PL_ERROR_INPUT, "cannot make %s: %s", link, g_strerror(errno));
        return FALSE;
    }
    return TRUE;
}

void pl_names_clear(PlNames *names)
{
    for (unsigned i = 0; i < names->names->len; i++)
        remove_name(names->state, g_ptr_array_index(names->names, i));
    g_ptr_array_set_size(names->names, 0);
}

void pl_names_free(PlNames *names)
{
    if (!names)
        return;
    pl_names_clear(names);
    rmdir(names->state); /* unless another lab has names */
    rmdir(STATE);
    g_ptr_array_unref(names->names);
    g_free(names->state);
    g_free(names);
}
