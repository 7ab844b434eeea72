/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pinlab output: what the program of a host put out. */
#include <stdio.h>
#include <stdlib.h>

#include "pinlab/command.h"
#include "session/client.h"

static const Command command = {
    .name = "output",
    .parameters = "LAB HOST",
    .summary =
        "Show what a host's own program put out.\n"
        "\n"
        "That is the program of the topology's file, standard output and error together, the\n"
        "last MiB of it. Of what is not text the bytes are shown as \\xNN.",
    .description = "Examples:\n"
                   "  pinlab output two-homes alice\n",
};

int command_output(int argc, char **argv)
{
    g_auto(GStrv) arguments = NULL;
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;
    int status;

    if (!command_parse(&command, NULL, argc, argv, &arguments, &status))
        return status;
    if (g_strv_length(arguments) != 2)
        return command_refuse("output takes a lab and a host (see pinlab output --help)");
    {
        const char *words[] = {"output", arguments[1], NULL};

        if (!pl_client_call(arguments[0], words, &text, &error)) {
            command_refuse("%s", error->message);
            return command_status(error);
        }
    }
    fputs(text, stdout);
    return EXIT_SUCCESS;
}
