/* SPDX-License-Identifier: MIT */
/* pinhole lifetime: how long does the NAT keep an unused mapping? */
#include <pinhole/measure.h>
#include <stdio.h>
#include <stdlib.h>

#include "command.h"
#include "show.h"

#define NS_PER_S UINT64_C(1000000000)

static const Command command = {
    .name = "lifetime",
    .summary =
        "Measure how long the NAT keeps an unused mapping.\n"
        "\n"
        "It asks a hub, or another server that knows RESPONSE-PORT (RFC 5780), to send to\n"
        "mappings that were left alone for 5 s, 10 s, and so on up to 5 minutes, and ends at\n"
        "the first that is gone: it takes as long as a mapping lives. Who keeps a mapping open\n"
        "has to send within the shorter time that it prints.",
    .description =
        "HOST is a name or an address, an IPv6 one in brackets when a PORT follows; PORT is 3478\n"
        "where it is not given.\n"
        "\n"
        "Examples:\n"
        "  pinhole lifetime --server hub.example\n"
        "  pinhole lifetime --server hub.example --most 60s --json\n"
        "\n" COMMAND_EXIT_STATUS "  3                      Nothing is known; the output says why\n",
};

typedef struct Outcome {
    gboolean done;
    PhLifetimeResult result;
    PhAddress server;
    GError *error;
} Outcome;

static void take_result(GObject *object G_GNUC_UNUSED, GAsyncResult *result, gpointer data)
{
    Outcome *outcome = data;

    ph_measure_lifetime_finish(result, &outcome->result, &outcome->server, &outcome->error);
    outcome->done = TRUE;
}

static void show_text(const PhLifetimeResult *result)
{
    unsigned alive_s = (unsigned)(result->alive_ns / NS_PER_S),
             gone_s = (unsigned)(result->gone_ns / NS_PER_S);

    if (result->why)
        printf("unknown (%s)\n", result->why);
    else if (gone_s == 0)
        printf("more than %u s\n", alive_s);
    else if (alive_s == 0)
        printf("less than %u s\n", gone_s);
    else
        printf("%u to %u s\n", alive_s, gone_s);
}

static void show_result(const Outcome *outcome)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();

    json_builder_begin_object(builder);
    show_int(builder, "schema", 1);
    show_address(builder, "server", &outcome->server);
    show_seconds(builder, "alive_s", outcome->result.alive_ns);
    show_seconds(builder, "gone_s", outcome->result.gone_ns);
    show_string(builder, "why", outcome->result.why);
    json_builder_end_object(builder);
    show_json(builder, /* pretty= */ TRUE);
}

int command_lifetime(int argc, char **argv)
{
    g_autofree char *server = NULL, *most = NULL;
    g_auto(GStrv) arguments = NULL;
    gboolean json = FALSE;
    const GOptionEntry entries[] = {
        {"server", 's', 0, G_OPTION_ARG_STRING, &server, "The server to ask", "HOST[:PORT]"},
        {"most", 'm', 0, G_OPTION_ARG_STRING, &most,
         "Try nothing longer than this, 5s or more (default: 5min)", "DURATION"},
        {"json", 'j', 0, G_OPTION_ARG_NONE, &json, "Write the result as JSON", NULL},
        {0},
    };
    g_autoptr(GError) error = NULL;
    Outcome outcome = {0};
    uint64_t most_ns = 0;
    int status;

    if (!command_parse(&command, entries, argc, argv, &arguments, &status))
        return status;
    if (*arguments || !server)
        return command_fail(EXIT_ARGUMENTS, "lifetime takes --server HOST[:PORT], and no arguments "
                                            "(see pinhole lifetime --help)");
    if (most && !command_duration("--most", most, &most_ns, &error))
        return command_fail_error(error);
    if (most && most_ns < PH_LIFETIME_LEAST_NS)
        return command_fail(EXIT_ARGUMENTS,
                            "--most %s: expected 5s or more: nothing shorter is tried", most);
    ph_measure_lifetime_async(server, most_ns, NULL, take_result, &outcome);
    while (!outcome.done)
        g_main_context_iteration(NULL, TRUE);
    error = outcome.error;
    if (error)
        return command_fail_server(server, error);
    if (json)
        show_result(&outcome);
    else
        show_text(&outcome.result);
    return outcome.result.why ? EXIT_UNKNOWN : EXIT_SUCCESS;
}
