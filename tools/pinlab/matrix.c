/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pinlab matrix: many topologies, a table. */
#include "pinlab/execute.h"
#include "pinlab/find.h"

static const Command command = {
    .name = "matrix",
    .parameters = "[TOPOLOGY]...",
    .summary = "Run many topologies and show a table.\n"
               "\n"
               "TOPOLOGY is a file, a directory of them, or a topology's bare name (see pinlab\n"
               "--help). Without any, all topologies that pinlab knows are run. Every failure is\n"
               "shown with its reasons and the command that repeats it.",
    .description = "Examples:\n"
                   "  pinlab matrix\n"
                   "  pinlab matrix topologies/ --pcap captures --junit report.xml\n"
                   "  pinlab matrix cgn double-nat --repeat 20\n"
                   "  pinlab matrix --shard 1/3 --no-skip --json -\n"
                   "\n" COMMAND_EXIT_STATUS_SHARDS,
};

int command_matrix(int argc, char **argv)
{
    g_auto(Options) options = {0};
    g_autoptr(GPtrArray) paths = NULL;
    g_autoptr(GPtrArray) topologies = NULL;
    g_autoptr(GError) error = NULL;
    int status;

    if (!options_parse(&options, &command, /* sharded= */ TRUE, argc, argv, &status))
        return status;
    paths = find_paths(options.arguments, &error);
    if (!paths)
        return command_refuse("%s", error->message);
    topologies = find_load(paths);
    if (!topologies)
        return EXIT_INPUT;
    return execute(&options, topologies, /* single= */ FALSE);
}
