/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pinlab run: one topology, its whole verdict. */
#include "pinlab/execute.h"
#include "pinlab/find.h"

static const Command command = {
    .name = "run",
    .parameters = "TOPOLOGY",
    .summary = "Run one topology and show its whole verdict.\n"
               "\n"
               "TOPOLOGY is a file, or a topology's bare name (see pinlab --help). The verdict\n"
               "sets side by side, for each host and NAT, what the file expects, what the prober\n"
               "certified, and what was observed on the wire, and ends with the command that\n"
               "repeats the run.",
    .description = "Examples:\n"
                   "  pinlab run topologies/cgn.ini\n"
                   "  pinlab run cgn --seed 7 --pcap captures\n"
                   "  pinlab run cgn --json - | jq .hosts.alice.class\n"
                   "\n" COMMAND_EXIT_STATUS_RUNS,
};

int command_run(int argc, char **argv)
{
    g_auto(Options) options = {0};
    g_autoptr(GPtrArray) paths = NULL;
    g_autoptr(GPtrArray) topologies = NULL;
    g_autoptr(GError) error = NULL;
    int status;

    if (!options_parse(&options, &command, /* sharded= */ FALSE, argc, argv, &status))
        return status;
    if (g_strv_length(options.arguments) != 1)
        return command_refuse("run takes one topology (see pinlab run --help)");
    if (g_file_test(options.arguments[0], G_FILE_TEST_IS_DIR))
        return command_refuse("%s is a directory; run takes one topology, matrix takes many",
                              options.arguments[0]);
    paths = find_paths(options.arguments, &error);
    if (!paths)
        return command_refuse("%s", error->message);
    topologies = find_load(paths);
    if (!topologies)
        return EXIT_INPUT;
    return execute(&options, topologies, /* single= */ TRUE);
}
