/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pinlab list: which topologies are there? */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pinlab/command.h"
#include "pinlab/find.h"

static const Command command = {
    .name = "list",
    .parameters = "[TOPOLOGY]...",
    .summary = "Show topologies: name, hosts, NATs, title.\n"
               "\n"
               "TOPOLOGY is a file, a directory of them, or a topology's bare name (see pinlab\n"
               "--help). Without any, those of the first of the directories that has some are\n"
               "shown, with its stories.",
    .description = "Examples:\n"
                   "  pinlab list\n"
                   "  pinlab list my-topologies/\n"
                   "\n" COMMAND_EXIT_STATUS_READS,
};

static unsigned count(const PlTopology *topology, PlNodeKind kind)
{
    unsigned n = 0;

    for (guint i = 0; i < topology->nodes->len; i++) {
        const PlNode *node = g_ptr_array_index(topology->nodes, i);

        n += node->kind == kind;
    }
    return n;
}

static void print_table(const GPtrArray *topologies)
{
    size_t width = strlen("name");

    for (guint i = 0; i < topologies->len; i++) {
        const PlTopology *topology = g_ptr_array_index(topologies, i);

        width = MAX(width, strlen(topology->name));
    }
    printf("%-*s  hosts  NATs  title\n", (int)width, "name");
    for (guint i = 0; i < topologies->len; i++) {
        const PlTopology *topology = g_ptr_array_index(topologies, i);

        printf("%-*s  %5u  %4u  %s\n", (int)width, topology->name, count(topology, PL_NODE_HOST),
               count(topology, PL_NODE_NAT), topology->title ? topology->title : "");
    }
}

int command_list(int argc, char **argv)
{
    g_auto(GStrv) arguments = NULL;
    g_autoptr(GPtrArray) paths = NULL;
    g_autoptr(GPtrArray) topologies = NULL;
    g_autoptr(GError) error = NULL;
    int status;

    if (!command_parse(&command, NULL, argc, argv, &arguments, &status))
        return status;
    paths = find_paths(arguments, /* stories= */ TRUE, &error);
    if (!paths)
        return command_refuse("%s", error->message);
    topologies = find_load(paths);
    if (!topologies)
        return EXIT_INPUT;
    print_table(topologies);
    return EXIT_SUCCESS;
}
