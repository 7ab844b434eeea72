/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pinlab script: the same wiring as a shell program. */
#include <stdio.h>
#include <stdlib.h>

#include "kernel/script.h"
#include "pinlab/find.h"
#include "pinlab/options.h"

#define SEED "1"

static const Command command = {
    .name = "script",
    .parameters = "TOPOLOGY",
    .summary = "Print a shell program that wires a topology without pinlab.\n"
               "\n"
               "TOPOLOGY is a file, or a topology's bare name (see pinlab --help). The program\n"
               "consists of the lines of ip, sysctl, ethtool and nft that do what the kernel\n"
               "engine does, and takes up or down as its argument; its first lines say more. It\n"
               "starts no programs. What the engine cannot express is named, and the exit status\n"
               "is 77 then.",
    .description = "Examples:\n"
                   "  pinlab script symmetric > symmetric.sh\n"
                   "  unshare -Urnm sh -c \"sh symmetric.sh up; exec sh\"\n",
};

static gboolean is_refused(const PlTopology *topology)
{
    g_autoptr(GPtrArray) reasons = g_ptr_array_new_with_free_func(g_free);

    pl_kernel_refuse_wiring(topology, reasons);
    for (guint i = 0; i < reasons->len; i++)
        command_refuse("%s", (const char *)g_ptr_array_index(reasons, i));
    return reasons->len > 0;
}

int command_script(int argc, char **argv)
{
    g_autofree char *word = NULL, *text = NULL;
    const GOptionEntry entries[] = {
        {"seed", 's', 0, G_OPTION_ARG_STRING, &word,
         "Make everything random follow from N (default: " SEED ")", "N"},
        {0},
    };
    g_auto(GStrv) arguments = NULL;
    g_autoptr(PlTopology) topology = NULL;
    g_autoptr(GError) error = NULL;
    uint64_t seed;
    int status;

    if (!command_parse(&command, entries, argc, argv, &arguments, &status) ||
        !options_seed(word ? word : SEED, 1, &seed, &status))
        return status;
    topology = find_one("script", arguments);
    if (!topology)
        return EXIT_INPUT;
    if (is_refused(topology))
        return EXIT_SKIPPED;
    text = pl_script_text(topology, seed, &error);
    if (!text) {
        command_refuse("%s", error->message);
        return command_status(error);
    }
    if (fputs(text, stdout) < 0 || fflush(stdout) < 0) {
        command_refuse("cannot write the program");
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
