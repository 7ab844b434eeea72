/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pinlab matrix: many topologies, a table. */
#include "pinlab/execute.h"
#include "pinlab/find.h"
#include "topology/pair.h"

static const Command command = {
    .name = "matrix",
    .parameters = "[TOPOLOGY | KIND]...",
    .summary = "Run many topologies and show a table.\n"
               "\n"
               "TOPOLOGY is a file, a directory of them, or a topology's bare name (see pinlab\n"
               "--help). Without any, those of the first of the directories that has some are\n"
               "run, but not its stories. Every failure is shown with its reasons and the\n"
               "command that repeats it.\n"
               "\n"
               "With --pairs, two nodes of libpinhole look for each other behind every kind of\n"
               "NAT and every other; then the names are kinds.",
    .description = "Examples:\n"
                   "  pinlab matrix\n"
                   "  pinlab matrix topologies/ --pcap captures --junit report.xml\n"
                   "  pinlab matrix topologies/stories\n"
                   "  pinlab matrix cgn double-nat --repeat 20\n"
                   "  pinlab matrix --pairs --engine virtual\n"
                   "  pinlab matrix --shard 1/3 --no-skip --json -\n"
                   "\n" COMMAND_EXIT_STATUS_SHARDS,
};

/* The kinds that are named, or all; an array ended by NULL. */
static GPtrArray *read_kinds(char *const *arguments, GError **error)
{
    g_autoptr(GPtrArray) kinds = g_ptr_array_new();
    unsigned kind;

    for (guint i = 0; arguments[i]; i++) {
        if (!pl_pair_kind(arguments[i], &kind, error))
            return NULL;
        if (g_ptr_array_find(kinds, pl_pair_kinds[kind], NULL)) {
            g_set_error(error, PL_ERROR, PL_ERROR_INPUT, "%s stands twice", arguments[i]);
            return NULL;
        }
        g_ptr_array_add(kinds, (char *)pl_pair_kinds[kind]);
    }
    for (guint i = 0; !arguments[0] && pl_pair_kinds[i]; i++)
        g_ptr_array_add(kinds, (char *)pl_pair_kinds[i]);
    g_ptr_array_add(kinds, NULL);
    return g_steal_pointer(&kinds);
}

static int run_pairs(const Options *options)
{
    g_autoptr(GPtrArray) topologies =
        g_ptr_array_new_with_free_func((GDestroyNotify)pl_topology_free);
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) kinds = read_kinds(options->arguments, &error);

    if (error)
        return command_refuse("%s", error->message);
    for (guint row = 0; row + 1 < kinds->len; row++) {
        for (guint column = 0; column + 1 < kinds->len; column++) {
            unsigned alice, bob;

            pl_pair_kind(g_ptr_array_index(kinds, row), &alice, NULL);
            pl_pair_kind(g_ptr_array_index(kinds, column), &bob, NULL);
            g_ptr_array_add(topologies, pl_pair_topology(alice, bob));
        }
    }
    return execute(options, topologies, /* single= */ FALSE, (const char *const *)kinds->pdata);
}

int command_matrix(int argc, char **argv)
{
    g_auto(Options) options = {0};
    g_autoptr(GPtrArray) paths = NULL;
    g_autoptr(GPtrArray) topologies = NULL;
    g_autoptr(GError) error = NULL;
    int status;

    if (!options_parse(&options, &command, /* sharded= */ TRUE, argc, argv, &status))
        return status;
    if (options.pairs)
        return run_pairs(&options);
    paths = find_paths(options.arguments, /* stories= */ FALSE, &error);
    if (!paths)
        return command_refuse("%s", error->message);
    topologies = find_load(paths);
    if (!topologies)
        return EXIT_INPUT;
    return execute(&options, topologies, /* single= */ FALSE, /* grid= */ NULL);
}
