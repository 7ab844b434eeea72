/* SPDX-License-Identifier: MIT */
/* pinhole ping: how long does it take to a peer and back, and by which path? */
#include <glib-unix.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "lines.h"
#include "member.h"

#define NS_PER_MS  UINT64_C(1000000)
#define SECOND_NS  (1000 * NS_PER_MS)
#define ECHO_BYTES 9 /* what it is, and a number */
#define LINES_ROOM (16 * 1024)

static const Command command = {
    .name = "ping",
    .parameters = "PEER",
    .summary =
        "Say how long it takes to a peer and back, and by which path.\n"
        "\n"
        "It looks for the peer, and asks it for an echo every so often; for each that comes\n"
        "it prints the time and the path that is in use. The peer is a pinhole node, or a\n"
        "pinhole pipe. It runs until it has asked often enough, or gets SIGINT or SIGTERM. It\n"
        "fails when the peer is not there any more, or the hub has not answered for 20 s.",
    .description = MEMBER_HELP "Examples:\n"
                               "  pinhole ping --hub 3p7b...4Go=@hub.example alice\n"
                               "  pinhole ping --hub 3p7b...4Go=@hub.example --count 3 alice\n"
                               "\n" COMMAND_EXIT_STATUS,
};

typedef struct Pinging {
    GMainLoop *loop;
    PhPeers *peers;
    const char *who;
    uint32_t peer;
    guint timer;
    uint64_t interval_ns, number, answered, sent_us[256];
    uint64_t count;  /* 0: no end */
    gboolean failed; /* the rest of what came together is nothing any more */
    int status;
    Lines *lines;
} Pinging;

static gboolean ask(gpointer data)
{
    Pinging *pinging = data;
    uint8_t echo[ECHO_BYTES] = {MEMBER_ECHO};
    uint64_t number;

    if (pinging->count > 0 && pinging->number == pinging->count) {
        pinging->timer = 0;
        g_main_loop_quit(pinging->loop);
        return G_SOURCE_REMOVE;
    }
    number = GUINT64_TO_BE(pinging->number);
    memcpy(echo + 1, &number, sizeof(number));
    pinging->sent_us[pinging->number++ % G_N_ELEMENTS(pinging->sent_us)] =
        (uint64_t)g_get_monotonic_time();
    (void)ph_peers_send(pinging->peers, pinging->peer, echo, sizeof(echo));
    return G_SOURCE_CONTINUE;
}

static void take_echo(Pinging *pinging, const PhNodeEvent *event)
{
    uint64_t number, now_us = (uint64_t)g_get_monotonic_time();
    g_autofree char *path = NULL, *line = NULL;
    PhNodePeer peer;

    memcpy(&number, event->bytes + 1, sizeof(number));
    number = GUINT64_FROM_BE(number);
    if (number >= pinging->number || pinging->number - number > G_N_ELEMENTS(pinging->sent_us) ||
        !member_peer(pinging->peers, pinging->peer, &peer))
        return;
    path = member_path(&peer);
    line = g_strdup_printf(
        "%" G_GUINT64_FORMAT " %.3f ms %s\n", number + 1,
        (double)(now_us - pinging->sent_us[number % G_N_ELEMENTS(pinging->sent_us)]) / 1e3, path);
    lines_write(pinging->lines, line);
    if (++pinging->answered == pinging->count)
        g_main_loop_quit(pinging->loop);
}

static void fail(Pinging *pinging, const char *who, const PhNodeEvent *event)
{
    pinging->status = member_fail(pinging->peers, who, event);
    pinging->failed = TRUE;
    g_main_loop_quit(pinging->loop);
}

static void take_event(PhPeers *peers, const PhNodeEvent *event, gpointer data)
{
    Pinging *pinging = data;
    gboolean theirs = event->peer == pinging->peer;

    if (pinging->failed)
        return;
    if (event->kind == PH_NODE_REFUSED) {
        fail(pinging, "the hub", event);
    } else if (event->kind == PH_NODE_HUB_LOST && pinging->timer == 0) {
        (void)member_fail(peers, "the hub", event);
    } else if (event->kind == PH_NODE_PEER_UP && theirs && pinging->timer == 0) {
        pinging->timer = g_timeout_add((guint)(pinging->interval_ns / NS_PER_MS), ask, pinging);
        (void)ask(pinging);
    } else if (event->kind == PH_NODE_PEER_GONE && theirs) {
        fail(pinging, pinging->who, event);
    } else if (event->kind == PH_NODE_DATA && !member_answer(peers, event) && theirs &&
               event->length == ECHO_BYTES && event->bytes[0] == MEMBER_ECHOED) {
        take_echo(pinging, event);
    }
}

static char *tell_gap(uint64_t lost)
{
    return g_strdup_printf("%" G_GUINT64_FORMAT " answers came that nobody read\n", lost);
}

static void end_unread(gpointer data)
{
    g_main_loop_quit(data);
}

static gboolean end(gpointer data)
{
    g_main_loop_quit(data);
    return G_SOURCE_CONTINUE;
}

static int run(const MemberOptions *options, Pinging *pinging)
{
    g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
    g_auto(Lines) lines = {.room = LINES_ROOM, .gap = tell_gap, .failed = end_unread, .data = loop};
    g_autoptr(GError) error = NULL;
    Control *control;

    pinging->loop = loop;
    pinging->lines = &lines;
    pinging->peers = member_open(options, take_event, pinging, &pinging->status);
    if (!pinging->peers)
        return pinging->status;
    control = member_control(options, "ping", pinging->peers, &pinging->status);
    if (pinging->status == EXIT_SUCCESS)
        pinging->peer = ph_peers_connect(pinging->peers, pinging->who, &error);
    if (pinging->peer != 0) {
        g_unix_signal_add(SIGINT, end, loop);
        g_unix_signal_add(SIGTERM, end, loop);
        g_main_loop_run(loop);
        if (pinging->status == EXIT_SUCCESS && pinging->answered == 0)
            pinging->status =
                command_fail(EXIT_FAILURE, "%s: timeout: No answer came.", pinging->who);
    } else if (error) {
        pinging->status = command_fail_error(error);
    }
    control_free(control);
    ph_peers_free(pinging->peers);
    lines_end(&lines, NULL);
    return lines.error ? command_fail_output(EXIT_FAILURE, lines.error) : pinging->status;
}

int command_ping(int argc, char **argv)
{
    g_auto(GStrv) arguments = NULL;
    g_auto(MemberOptions) options = {0};
    g_autofree char *interval = NULL;
    int count = 0, status;
    GOptionEntry entries[MEMBER_ENTRIES + 3] = {
        [MEMBER_ENTRIES] = {"count", 'c', 0, G_OPTION_ARG_INT, &count,
                            "Ask as often as this, and end (default: for ever)", "NUMBER"},
        {"interval", 'i', 0, G_OPTION_ARG_STRING, &interval, "Between two questions (default: 1s)",
         "DURATION"},
    };
    g_autoptr(GError) error = NULL;
    Pinging pinging = {.interval_ns = SECOND_NS, .status = EXIT_SUCCESS};

    member_entries(&options, entries);
    if (!command_parse(&command, entries, argc, argv, &arguments, &status))
        return status;
    if (g_strv_length(arguments) != 1 || !options.hub || count < 0)
        return command_fail(EXIT_ARGUMENTS, "ping takes --hub KEY@HOST[:PORT], a peer, and a "
                                            "count above 0 (see pinhole ping --help)");
    if (interval && !command_duration("--interval", interval, &pinging.interval_ns, &error))
        return command_fail_error(error);
    pinging.who = arguments[0];
    pinging.count = (uint64_t)count;
    return run(&options, &pinging);
}
