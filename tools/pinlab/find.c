/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pinlab/find.h"

#include <stdio.h>
#include <string.h>

#include "pinlab/command.h"

#define SUFFIX ".ini"
/* The folder beside topologies that has more of them. */
#define STORIES "stories"

/* An installed program has nothing to look for above its prefix. */
static gboolean is_build_tree(const char *directory)
{
    g_autofree char *cache = g_build_filename(directory, "CMakeCache.txt", NULL);

    return g_file_test(cache, G_FILE_TEST_EXISTS);
}

/* Where bare names are looked for, in this order. */
static GPtrArray *search_path(void)
{
    GPtrArray *directories = g_ptr_array_new_with_free_func(g_free);
    const char *variable = g_getenv("PINLAB_TOPOLOGIES");
    g_auto(GStrv) list = g_strsplit(variable ? variable : "", G_SEARCHPATH_SEPARATOR_S, -1);
    g_autofree char *program = g_file_read_link("/proc/self/exe", NULL);
    g_autofree char *home = program ? g_path_get_dirname(program) : NULL;

    for (guint i = 0; list[i]; i++) {
        if (*list[i])
            g_ptr_array_add(directories, g_strdup(list[i]));
    }
    g_ptr_array_add(directories, g_strdup("topologies"));
    if (home)
        g_ptr_array_add(directories, g_canonicalize_filename("../share/pinlab/topologies", home));
    if (home && is_build_tree(home))
        g_ptr_array_add(directories, g_canonicalize_filename("../../topologies", home));
    return directories;
}

static char *join(const GPtrArray *directories)
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < directories->len; i++)
        g_string_append_printf(text, "%s%s", i ? ", " : "",
                               (const char *)g_ptr_array_index(directories, i));
    return g_string_free(text, FALSE);
}

static int compare_paths(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Every topology file of a directory; none is no error. */
static gboolean add_directory(GPtrArray *paths, const char *directory, GError **error)
{
    g_autoptr(GPtrArray) found = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GDir) dir = g_dir_open(directory, 0, NULL);
    const char *name;

    if (!dir) {
        g_set_error(error, PL_ERROR, PL_ERROR_INPUT, "%s: cannot read this directory", directory);
        return FALSE;
    }
    while ((name = g_dir_read_name(dir))) {
        if (g_str_has_suffix(name, SUFFIX) && name[0] != '.')
            g_ptr_array_add(found, g_build_filename(directory, name, NULL));
    }
    g_ptr_array_sort(found, compare_paths);
    g_ptr_array_extend_and_steal(paths, g_steal_pointer(&found));
    return TRUE;
}

/* Of those of the first directory that has it; two there are one too many. */
static gboolean add_name(GPtrArray *paths, const char *name, GError **error)
{
    g_autoptr(GPtrArray) directories = search_path();
    g_autofree char *file = g_strconcat(name, SUFFIX, NULL);
    g_autofree char *looked = join(directories);

    for (guint i = 0; i < directories->len; i++) {
        const char *directory = g_ptr_array_index(directories, i);
        g_autofree char *path = g_build_filename(directory, file, NULL);
        g_autofree char *story = g_build_filename(directory, STORIES, file, NULL);
        gboolean has_path = g_file_test(path, G_FILE_TEST_EXISTS);
        gboolean has_story = g_file_test(story, G_FILE_TEST_EXISTS);

        if (has_path && has_story) {
            g_set_error(error, PL_ERROR, PL_ERROR_INPUT,
                        "two topologies are called %s: %s and %s (expected the path of one)", name,
                        path, story);
            return FALSE;
        }
        if (has_path || has_story) {
            g_ptr_array_add(paths, g_strdup(has_path ? path : story));
            return TRUE;
        }
    }
    g_set_error(error, PL_ERROR, PL_ERROR_INPUT, "there is no topology %s (looked in: %s)", name,
                looked);
    return FALSE;
}

static gboolean add_argument(GPtrArray *paths, const char *argument, GError **error)
{
    guint before = paths->len;

    if (g_file_test(argument, G_FILE_TEST_IS_DIR)) {
        if (!add_directory(paths, argument, error))
            return FALSE;
        if (paths->len > before)
            return TRUE;
        g_set_error(error, PL_ERROR, PL_ERROR_INPUT, "%s: no topology files (%s) in this directory",
                    argument, "*" SUFFIX);
        return FALSE;
    }
    if (strchr(argument, '/') || g_str_has_suffix(argument, SUFFIX) ||
        g_file_test(argument, G_FILE_TEST_EXISTS)) {
        /* Whether it can be read, the topology's reader says best. */
        g_ptr_array_add(paths, g_strdup(argument));
        return TRUE;
    }
    return add_name(paths, argument, error);
}

static gboolean add_stories(GPtrArray *paths, const char *directory, GError **error)
{
    g_autofree char *stories = g_build_filename(directory, STORIES, NULL);

    return !g_file_test(stories, G_FILE_TEST_IS_DIR) || add_directory(paths, stories, error);
}

static gboolean add_default(GPtrArray *paths, gboolean stories, GError **error)
{
    g_autoptr(GPtrArray) directories = search_path();
    g_autofree char *looked = join(directories);

    for (guint i = 0; i < directories->len && paths->len == 0; i++) {
        const char *directory = g_ptr_array_index(directories, i);

        if (g_file_test(directory, G_FILE_TEST_IS_DIR) &&
            (!add_directory(paths, directory, error) ||
             (stories && !add_stories(paths, directory, error))))
            return FALSE;
    }
    if (paths->len == 0)
        g_set_error(error, PL_ERROR, PL_ERROR_INPUT, "there are no topologies (looked in: %s)",
                    looked);
    return paths->len > 0;
}

/* The same file, given twice, is meant once. */
static void remove_doubles(GPtrArray *paths)
{
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

    for (guint i = 0; i < paths->len;) {
        if (g_hash_table_add(seen, g_canonicalize_filename(g_ptr_array_index(paths, i), NULL)))
            i++;
        else
            g_ptr_array_remove_index(paths, i);
    }
}

GPtrArray *find_paths(char *const *arguments, gboolean stories, GError **error)
{
    g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);

    if (!*arguments && !add_default(paths, stories, error))
        return NULL;
    for (; *arguments; arguments++) {
        if (!add_argument(paths, *arguments, error))
            return NULL;
    }
    remove_doubles(paths);
    return g_steal_pointer(&paths);
}

GPtrArray *find_load(const GPtrArray *paths)
{
    g_autoptr(GPtrArray) topologies =
        g_ptr_array_new_with_free_func((GDestroyNotify)pl_topology_free);

    for (guint i = 0; i < paths->len; i++) {
        g_autoptr(GError) error = NULL;
        PlTopology *topology = pl_topology_load(g_ptr_array_index(paths, i), &error);

        if (topology)
            g_ptr_array_add(topologies, topology);
        else
            fprintf(stderr, "%s\n", error->message);
    }
    return topologies->len == paths->len ? g_steal_pointer(&topologies) : NULL;
}

PlTopology *find_one(const char *command, char *const *arguments)
{
    g_autoptr(GPtrArray) paths = NULL;
    g_autoptr(GPtrArray) topologies = NULL;
    g_autoptr(GError) error = NULL;

    if (!arguments[0] || arguments[1]) {
        command_refuse("%s takes one topology (see pinlab %s --help)", command, command);
        return NULL;
    }
    if (g_file_test(arguments[0], G_FILE_TEST_IS_DIR)) {
        command_refuse("%s is a directory; %s takes one topology", arguments[0], command);
        return NULL;
    }
    paths = find_paths(arguments, /* stories= */ FALSE, &error);
    if (!paths) {
        command_refuse("%s", error->message);
        return NULL;
    }
    topologies = find_load(paths);
    return topologies ? g_ptr_array_steal_index(topologies, 0) : NULL;
}
