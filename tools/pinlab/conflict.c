/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pinlab/conflict.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static gboolean is_one(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Devices and pipes can take more than one. */
static gboolean is_same_file(const char *a, const char *b)
{
    g_autofree char *a_directory = g_path_get_dirname(a), *a_name = g_path_get_basename(a);
    g_autofree char *b_directory = g_path_get_dirname(b), *b_name = g_path_get_basename(b);
    struct stat a_status, b_status;
    gboolean a_exists = stat(a, &a_status) == 0, b_exists = stat(b, &b_status) == 0;

    if (a_exists && b_exists)
        return S_ISREG(a_status.st_mode) && is_one(&a_status, &b_status);
    return !a_exists && !b_exists && strcmp(a_name, b_name) == 0 &&
           stat(a_directory, &a_status) == 0 && stat(b_directory, &b_status) == 0 &&
           is_one(&a_status, &b_status);
}

static gboolean is_standard_output(const char *path)
{
    struct stat status, out;

    return stat(path, &status) == 0 && fstat(STDOUT_FILENO, &out) == 0 && S_ISREG(status.st_mode) &&
           is_one(&status, &out);
}

static gboolean refuse(const char *option, const char *path, const char *what, GError **error)
{
    g_set_error(error, PL_ERROR, PL_ERROR_INPUT, "%s %s: that is %s (expected a file of its own)",
                option, path, what);
    return FALSE;
}

static gboolean check_inputs(const char *option, const char *path, const PlTopology *topology,
                             GError **error)
{
    if (is_same_file(path, topology->path))
        return refuse(option, path, "a topology", error);
    for (guint i = 0; i < topology->nodes->len; i++) {
        const PlNode *node = g_ptr_array_index(topology->nodes, i);

        if (node->rules && is_same_file(path, node->rules))
            return refuse(option, path, "a topology's rules", error);
    }
    return TRUE;
}

static gboolean check(const char *option, const char *path, const GPtrArray *topologies,
                      const GPtrArray *captures, GError **error)
{
    if (is_standard_output(path))
        return refuse(option, path, "standard output", error);
    for (guint i = 0; i < topologies->len; i++)
        if (!check_inputs(option, path, g_ptr_array_index(topologies, i), error))
            return FALSE;
    for (guint i = 0; i < captures->len; i++) {
        const char *capture = g_ptr_array_index(captures, i);

        if (capture && is_same_file(path, capture))
            return refuse(option, path, "a recording", error);
    }
    return TRUE;
}

static const char *file_of(const char *option)
{
    return g_strcmp0(option, "-") == 0 ? NULL : option;
}

gboolean conflict_check(const Options *options, const GPtrArray *topologies,
                        const GPtrArray *captures, GError **error)
{
    const char *json = file_of(options->json), *junit = file_of(options->junit);

    if (json && junit && is_same_file(json, junit))
        return refuse("--junit", junit, "the file of --json", error);
    return (!json || check("--json", json, topologies, captures, error)) &&
           (!junit || check("--junit", junit, topologies, captures, error));
}
