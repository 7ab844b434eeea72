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
        "what address it is seen: another one is a reason to classify at once, as is SIGHUP. What\n"
        "would cause it again within the gap waits for the gap's end, as SIGHUP always does. It\n"
        "prints the class and the external address, once at the start and once for each change.\n"
        "Another class at the same address counts when it was found twice, unknown in place of\n"
        "what is known after three times, and udp-blocked after a minute: a server may be down.\n"
        "On SIGUSR1 it prints what it knows once more. It runs until it gets SIGINT or SIGTERM.",
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

typedef struct Watching {
    GMainLoop *loop;
    PhWatcher *watcher;
    gboolean json;
} Watching;

static void show_line(PhWatcher *watcher, const PhClassification *current, const char *event)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();

    json_builder_begin_object(builder);
    show_head(builder, event);
    show_classification(builder, current);
    show_counters(builder, ph_watcher_counters(watcher));
    json_builder_end_object(builder);
    show_json(builder, /* pretty= */ FALSE);
}

static void show_text(const PhClassification *current)
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
    fflush(stdout);
}

static void show(const Watching *watching, PhWatcher *watcher, const char *event)
{
    const PhClassification *current = ph_watcher_current(watcher);

    if (watching->json)
        show_line(watcher, current, event);
    else
        show_text(current);
    /* Who is read by nobody any more has nothing to do; it is told at the end. */
    if (ferror(stdout))
        g_main_loop_quit(watching->loop);
}

static void take_change(PhWatcher *watcher, const PhClassification *current G_GNUC_UNUSED,
                        gpointer data)
{
    show(data, watcher, ph_watcher_counters(watcher)->changes == 1 ? "start" : "change");
}

static gboolean end(gpointer data)
{
    const Watching *watching = data;

    g_main_loop_quit(watching->loop);
    return G_SOURCE_CONTINUE;
}

static gboolean demand(gpointer data)
{
    const Watching *watching = data;

    ph_watcher_demand(watching->watcher);
    return G_SOURCE_CONTINUE;
}

static gboolean show_again(gpointer data)
{
    const Watching *watching = data;

    if (ph_watcher_current(watching->watcher))
        show(watching, watching->watcher, "asked");
    return G_SOURCE_CONTINUE;
}

static int watch(const PhWatcherConfig *config, gboolean json)
{
    g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
    g_autoptr(GError) error = NULL;
    Watching watching = {.loop = loop, .json = json};
    g_autoptr(PhWatcher) watcher = ph_watcher_new(config, take_change, &watching, &error);

    if (!watcher)
        return command_fail_server(config->server, error);
    watching.watcher = watcher;
    g_unix_signal_add(SIGINT, end, &watching);
    g_unix_signal_add(SIGTERM, end, &watching);
    g_unix_signal_add(SIGHUP, demand, &watching);
    g_unix_signal_add(SIGUSR1, show_again, &watching);
    g_main_loop_run(loop);
    return EXIT_SUCCESS;
}

int command_watch(int argc, char **argv)
{
    g_autofree char *server = NULL, *period = NULL, *reflex_period = NULL, *gap = NULL;
    g_auto(GStrv) arguments = NULL;
    gboolean json = FALSE, quiet = FALSE;
    const GOptionEntry entries[] = {
        {"server", 's', 0, G_OPTION_ARG_STRING, &server, "The server to ask", "HOST[:PORT]"},
        {"period", 'p', 0, G_OPTION_ARG_STRING, &period,
         "Between two classifications (default: 30min)", "DURATION"},
        {"reflex-period", 'r', 0, G_OPTION_ARG_STRING, &reflex_period,
         "Between two questions for the external address (default: 30s)", "DURATION"},
        {"gap", 'g', 0, G_OPTION_ARG_STRING, &gap,
         "Between two classifications that something caused (default: 10s)", "DURATION"},
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
         !command_duration("--reflex-period", reflex_period, &config.reflex_ns, &error)) ||
        (gap && !command_duration("--gap", gap, &config.watch.gap_ns, &error)))
        return command_fail_error(error);
    config.server = server;
    config.flags = quiet ? PH_CLASSIFY_DEFAULT : PH_CLASSIFY_REPORT;
    return watch(&config, json);
}
