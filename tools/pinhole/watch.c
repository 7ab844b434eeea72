/* SPDX-License-Identifier: MIT */
/* pinhole watch: behind what kind of NAT is this host, now and whenever that changes? */
#include <glib-unix.h>
#include <pinhole/watcher.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "command.h"
#include "show.h"

static const Command command = {
    .name = "watch",
    .summary =
        "Say behind what kind of NAT this host is, and again whenever that changes.\n"
        "\n"
        "It classifies at the start and every period, and asks in between, with one packet, at\n"
        "what address it is seen: another one is a reason to classify at once, as is SIGHUP. It\n"
        "prints the class and the external address, once at the start and once for each change.\n"
        "Another class at the same address counts when it was found twice, and unknown in\n"
        "place of what is known after three times. It runs until it gets SIGINT or SIGTERM.",
    .description =
        "HOST is a name or an address, an IPv6 one in brackets when a PORT follows; PORT is 3478\n"
        "where it is not given. A DURATION is a number with ms, s, min or h.\n"
        "\n"
        "Examples:\n"
        "  pinhole watch --server hub.example\n"
        "  pinhole watch --server hub.example --period 5min --reflex-period 10s --json\n"
        "\n" COMMAND_EXIT_STATUS,
};

static void show_counters(JsonBuilder *builder, const PhWatchCounters *counters)
{
    json_builder_set_member_name(builder, "results");
    json_builder_begin_object(builder);
    for (int i = 0; i < PH_CLASS_N; i++) {
        if (counters->results[i] > 0)
            show_int(builder, ph_class_name((PhClass)i), (gint64)counters->results[i]);
    }
    json_builder_end_object(builder);
    show_int(builder, "changes", (gint64)counters->changes);
    show_int(builder, "flaps", (gint64)counters->flaps);
}

/* Whom nobody reads any more has nothing more to do. */
static void end_if_unread(GMainLoop *loop)
{
    if (ferror(stdout))
        g_main_loop_quit(loop);
}

static void show_line(PhWatcher *watcher, const PhClassification *current, gpointer data)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();
    g_autoptr(GDateTime) time = g_date_time_new_now_utc();
    g_autofree char *when = g_date_time_format(time, "%Y-%m-%dT%H:%M:%S.%fZ");

    json_builder_begin_object(builder);
    show_int(builder, "schema", 1);
    show_string(builder, "time", when);
    show_classification(builder, current);
    show_counters(builder, ph_watcher_counters(watcher));
    json_builder_end_object(builder);
    show_json(builder, /* pretty= */ FALSE);
    end_if_unread(data);
}

static void show_text(PhWatcher *watcher G_GNUC_UNUSED, const PhClassification *current,
                      gpointer data)
{
    g_autoptr(GDateTime) time = g_date_time_new_now_local();
    g_autofree char *when = g_date_time_format(time, "%H:%M:%S");
    char text[PH_ADDRESS_TEXT_MAX];

    printf("%s %s", when, ph_class_name(current->nat_class));
    if (current->mapped.family != PH_FAMILY_NONE)
        printf(" at %s", ph_address_format(&current->mapped, text));
    if (current->why.nat_class)
        printf(" (%s)", current->why.nat_class);
    puts("");
    fflush(stdout); /* a failure is told at the end */
    end_if_unread(data);
}

static gboolean end(gpointer data)
{
    g_main_loop_quit(data);
    return G_SOURCE_CONTINUE;
}

static gboolean demand(gpointer data)
{
    ph_watcher_demand(data);
    return G_SOURCE_CONTINUE;
}

static int watch(const PhWatcherConfig *config, gboolean json)
{
    g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
    g_autoptr(GError) error = NULL;
    g_autoptr(PhWatcher) watcher =
        ph_watcher_new(config, json ? show_line : show_text, loop, &error);

    if (!watcher)
        return command_fail_server(config->server, error);
    g_unix_signal_add(SIGINT, end, loop);
    g_unix_signal_add(SIGTERM, end, loop);
    g_unix_signal_add(SIGHUP, demand, watcher);
    g_main_loop_run(loop);
    return EXIT_SUCCESS;
}

int command_watch(int argc, char **argv)
{
    g_autofree char *server = NULL, *period = NULL, *reflex_period = NULL;
    g_auto(GStrv) arguments = NULL;
    gboolean json = FALSE, quiet = FALSE;
    const GOptionEntry entries[] = {
        {"server", 's', 0, G_OPTION_ARG_STRING, &server, "The server to ask", "HOST[:PORT]"},
        {"period", 'p', 0, G_OPTION_ARG_STRING, &period,
         "Between two classifications (default: 30min)", "DURATION"},
        {"reflex-period", 'r', 0, G_OPTION_ARG_STRING, &reflex_period,
         "Between two questions for the external address (default: 30s)", "DURATION"},
        {"json", 'j', 0, G_OPTION_ARG_NONE, &json, "Write a line of JSON for each change", NULL},
        {"no-report", 0, 0, G_OPTION_ARG_NONE, &quiet, "Do not tell a hub the class", NULL},
        {0},
    };
    g_autoptr(GError) error = NULL;
    PhWatcherConfig config = {0};
    int status;

    if (!command_parse(&command, entries, argc, argv, &arguments, &status))
        return status;
    if (*arguments || !server)
        return command_fail(EXIT_ARGUMENTS, "watch takes --server HOST[:PORT], and no arguments "
                                            "(see pinhole watch --help)");
    if ((period && !command_duration("--period", period, &config.watch.interval_ns, &error)) ||
        (reflex_period &&
         !command_duration("--reflex-period", reflex_period, &config.reflex_ns, &error)))
        return command_fail_error(error);
    config.server = server;
    config.flags = quiet ? PH_CLASSIFY_DEFAULT : PH_CLASSIFY_REPORT;
    return watch(&config, json);
}
