/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pinlab check: are these topology files right? */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "kernel/kernel.h"
#include "pinlab/command.h"
#include "pinlab/find.h"
#include "topology/units.h"

static const Command command = {
    .name = "check",
    .parameters = "TOPOLOGY...",
    .summary = "Check topology files, and do nothing else.\n"
               "\n"
               "TOPOLOGY is a file, a directory of them, or a topology's bare name (see pinlab\n"
               "--help). What is wrong is said with file, group and key, and what was expected;\n"
               "the exit status is 2 then. What is right, but more than engine kernel can do, is\n"
               "noted.",
    .description = "Examples:\n"
                   "  pinlab check my.ini\n"
                   "  pinlab check --print cgn\n"
                   "\n" COMMAND_EXIT_STATUS_READS,
};

static void print_topology(const PlTopology *topology, gboolean titled)
{
    g_autofree char *text = pl_topology_print(topology);

    g_autofree char *path = pl_printable(topology->path, PATH_MAX);

    if (titled)
        printf("# %s\n", path);
    fputs(text, stdout);
}

/* A right file that not every engine can run. */
static void note_refusals(const PlTopology *topology)
{
    g_autoptr(GPtrArray) reasons = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *path = pl_printable(topology->path, PATH_MAX);

    pl_kernel_engine.refuse(topology, reasons);
    for (guint i = 0; i < reasons->len; i++)
        fprintf(stderr, "%s: note: %s\n", path, (char *)g_ptr_array_index(reasons, i));
}

static int check(const GPtrArray *paths, gboolean print, gboolean verbose)
{
    int status = EXIT_SUCCESS;

    for (guint i = 0; i < paths->len; i++) {
        const char *path = g_ptr_array_index(paths, i);
        g_autoptr(GError) error = NULL;
        g_autoptr(PlTopology) topology = pl_topology_load(path, &error);

        if (!topology) {
            fprintf(stderr, "%s\n", error->message);
            status = EXIT_INPUT;
            continue;
        }
        note_refusals(topology);
        if (print) {
            print_topology(topology, paths->len > 1);
        } else if (verbose) {
            g_autofree char *shown = pl_printable(path, PATH_MAX);

            printf("%s: ok\n", shown);
        }
    }
    return status;
}

int command_check(int argc, char **argv)
{
    gboolean print = FALSE, verbose = FALSE;
    const GOptionEntry entries[] = {
        {"print", 'p', 0, G_OPTION_ARG_NONE, &print,
         "Print each topology in full, nothing left to a default", NULL},
        {"verbose", 'v', 0, G_OPTION_ARG_NONE, &verbose,
         "Name the files that are right, too (as on a terminal)", NULL},
        {0},
    };
    g_auto(GStrv) arguments = NULL;
    g_autoptr(GPtrArray) paths = NULL;
    g_autoptr(GError) error = NULL;
    int status;

    if (!command_parse(&command, entries, argc, argv, &arguments, &status))
        return status;
    if (!*arguments)
        return command_refuse("check takes topology files (see pinlab check --help)");
    paths = find_paths(arguments, /* stories= */ FALSE, &error);
    if (!paths)
        return command_refuse("%s", error->message);
    return check(paths, print, verbose || isatty(STDOUT_FILENO));
}
