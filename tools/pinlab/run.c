/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pinlab run: one topology, its whole verdict. */
#include "pinlab/execute.h"
#include "pinlab/find.h"
#include "topology/pair.h"

static const Command command = {
    .name = "run",
    .parameters = "TOPOLOGY | --pair KIND,KIND",
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
                   "  pinlab run cgn --engine virtual --seed 7\n"
                   "  pinlab run --pair port-restricted,symmetric --engine virtual\n"
                   "\n" COMMAND_EXIT_STATUS_RUNS,
};

/* "KIND,KIND". */
static PlTopology *read_pair(const Options *options)
{
    g_auto(GStrv) kinds = g_strsplit(options->pair, ",", -1);
    g_autoptr(GError) error = NULL;
    unsigned alice, bob;

    if (g_strv_length(kinds) != 2 || options->arguments[0]) {
        command_refuse("--pair %s: expected two kinds of NATs, KIND,KIND, and no topology",
                       options->pair);
        return NULL;
    }
    if (!pl_pair_kind(kinds[0], &alice, &error) || !pl_pair_kind(kinds[1], &bob, &error)) {
        command_refuse("%s", error->message);
        return NULL;
    }
    return pl_pair_topology(alice, bob);
}

int command_run(int argc, char **argv)
{
    g_auto(Options) options = {0};
    g_autoptr(GPtrArray) topologies =
        g_ptr_array_new_with_free_func((GDestroyNotify)pl_topology_free);
    PlTopology *topology;
    int status;

    if (!options_parse(&options, &command, /* sharded= */ FALSE, argc, argv, &status))
        return status;
    topology = options.pair ? read_pair(&options) : find_one("run", options.arguments);
    if (!topology)
        return EXIT_INPUT;
    g_ptr_array_add(topologies, topology);
    return execute(&options, topologies, /* single= */ TRUE, /* grid= */ NULL);
}
