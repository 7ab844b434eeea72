/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pinlab nat: what a NAT of a lab knows, and what happens to it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pinlab/command.h"
#include "session/client.h"
#include "session/table.h"

static const Command command = {
    .name = "nat",
    .parameters = "LAB NAT table|flush|reboot|address ADDRESS",
    .summary =
        "Show a NAT's table, or flush, reboot or renumber it.\n"
        "\n"
        "table shows what it translates now: each connection with its inside, external and\n"
        "remote end, an arrow for the side that its first packet came from, and how long it\n"
        "lasts without another. flush forgets all mappings; reboot does, and the NAT\n"
        "passes nothing on for an instant, while its links stay up; address gives it another\n"
        "external address, which only a NAT with one can have.",
    .description = "Examples:\n"
                   "  pinlab nat cgn home table\n"
                   "  pinlab nat cgn home table --json | jq .connections\n"
                   "  pinlab nat cgn home address 203.0.113.77\n",
};

static int fail(const GError *error)
{
    command_refuse("%s", error->message);
    return command_status(error);
}

static int show_table(const char *lab, const char *nat, gboolean json)
{
    const char *words[] = {"table", nat, NULL};
    g_autofree char *text = NULL;
    g_autoptr(JsonParser) parser = json_parser_new();
    g_autoptr(GError) error = NULL;

    if (!pl_client_call(lab, words, &text, &error))
        return fail(error);
    if (json) {
        fputs(text, stdout);
        return EXIT_SUCCESS;
    }
    if (!json_parser_load_from_data(parser, text, -1, &error) ||
        !pl_table_print(stdout, json_parser_get_root(parser))) {
        command_refuse("lab %s does not answer with a table", lab);
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}

int command_nat(int argc, char **argv)
{
    gboolean json = FALSE;
    const GOptionEntry entries[] = {
        {"json", 0, 0, G_OPTION_ARG_NONE, &json, "Show the table as JSON", NULL},
        {0},
    };
    g_auto(GStrv) arguments = NULL;
    g_autoptr(GError) error = NULL;
    int status;
    guint n;

    if (!command_parse(&command, entries, argc, argv, &arguments, &status))
        return status;
    n = g_strv_length(arguments);
    if (n < 3 || n > 4)
        return command_refuse("nat takes a lab, a NAT, and table, flush, reboot or address ADDRESS "
                              "(see pinlab nat --help)");
    if (n == 3 && strcmp(arguments[2], "table") == 0)
        return show_table(arguments[0], arguments[1], json);
    {
        const char *words[] = {"nat", arguments[1], arguments[2], arguments[3], NULL};

        if (!pl_client_call(arguments[0], words, NULL, &error))
            return fail(error);
    }
    return EXIT_SUCCESS;
}
