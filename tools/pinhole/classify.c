/* SPDX-License-Identifier: MIT */
/* pinhole classify: behind what kind of NAT is this host? */
#include <pinhole/classify.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "show.h"

static const Command command = {
    .name = "classify",
    .summary =
        "Say behind what kind of NAT this host is.\n"
        "\n"
        "It asks a server: a pinhole hub, or any STUN server. One that has two addresses can\n"
        "tell everything (RFC 5780), another what it can; what stays unknown is said with the\n"
        "reason. It takes less than a second mostly, and 30 s at most. In the end it tells a\n"
        "hub the class, which counts how many hosts are behind NATs of which class.",
    .description =
        "HOST is a name or an address, an IPv6 one in brackets when a PORT follows; PORT is 3478\n"
        "where it is not given.\n"
        "\n"
        "Examples:\n"
        "  pinhole classify --server hub.example\n"
        "  pinhole classify --server 203.0.113.10:3478 --json\n"
        "\n" COMMAND_EXIT_STATUS
        "  3                      The class is unknown; the output says why\n",
};

typedef struct Outcome {
    gboolean done;
    PhClassification classification;
    PhAddress server;
    GError *error;
} Outcome;

static void show_result(const Outcome *outcome)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();

    json_builder_begin_object(builder);
    show_int(builder, "schema", 1);
    show_address(builder, "server", &outcome->server);
    show_classification(builder, &outcome->classification);
    json_builder_end_object(builder);
    show_json(builder, /* pretty= */ TRUE);
}

/* What several have in common for a reason stands behind the first of them. */
static void show_row(const ShowRow rows[static SHOW_ROWS], size_t i)
{
    const char *why = rows[i].why;

    for (size_t k = 0; k < i; k++) {
        if (why && rows[k].why && strcmp(why, rows[k].why) == 0)
            why = NULL;
    }
    printf("%-16s %s%s%s%s\n", rows[i].name, rows[i].word, why ? " (" : "", why ? why : "",
           why ? ")" : "");
}

static void show_text(const Outcome *outcome)
{
    const PhClassification *c = &outcome->classification;
    PhConsole console = ph_class_console(c->nat_class);
    char text[PH_ADDRESS_TEXT_MAX];
    ShowRow rows[SHOW_ROWS];

    show_rows(c, rows);
    for (size_t i = 0; i < SHOW_ROWS; i++)
        show_row(rows, i);
    printf("%-16s %s\n", "external", ph_address_format(&c->mapped, text));
    if (console == PH_CONSOLE_UNKNOWN)
        printf("%-16s unknown\n", "console");
    else
        printf("%-16s type %d (%s)\n", "console", (int)console, ph_console_name(console));
    printf("\n%s\n", ph_classification_sentence(c));
}

static void take_outcome(GObject *object G_GNUC_UNUSED, GAsyncResult *result, gpointer data)
{
    Outcome *outcome = data;

    ph_classify_server_finish(result, &outcome->classification, &outcome->server, &outcome->error);
    outcome->done = TRUE;
}

int command_classify(int argc, char **argv)
{
    g_autofree char *server = NULL;
    g_auto(GStrv) arguments = NULL;
    gboolean json = FALSE, quiet = FALSE;
    const GOptionEntry entries[] = {
        {"server", 's', 0, G_OPTION_ARG_STRING, &server, "The server to ask", "HOST[:PORT]"},
        {"json", 'j', 0, G_OPTION_ARG_NONE, &json, "Write the result as JSON", NULL},
        {"no-report", 0, 0, G_OPTION_ARG_NONE, &quiet, "Do not tell a hub the class", NULL},
        {0},
    };
    g_autoptr(GError) error = NULL;
    Outcome outcome = {0};
    int status;

    if (!command_parse(&command, entries, argc, argv, &arguments, &status))
        return status;
    if (*arguments || !server)
        return command_fail(EXIT_ARGUMENTS, "classify takes --server HOST[:PORT], and no arguments "
                                            "(see pinhole classify --help)");
    ph_classify_server_async(server, quiet ? PH_CLASSIFY_DEFAULT : PH_CLASSIFY_REPORT, NULL,
                             take_outcome, &outcome);
    while (!outcome.done)
        g_main_context_iteration(NULL, TRUE);
    error = outcome.error;
    if (error)
        return command_fail_server(server, error);
    if (json)
        show_result(&outcome);
    else
        show_text(&outcome);
    return outcome.classification.nat_class == PH_CLASS_UNKNOWN ? EXIT_UNKNOWN : EXIT_SUCCESS;
}
