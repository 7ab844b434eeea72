/* SPDX-License-Identifier: MIT */
/* pinhole node: be a node, say what happens, and do what standard input says. */
#include <errno.h>
#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lines.h"
#include "member.h"
#include "show.h"
#include "state.h"

#define RETRY_MS       2000
#define LINE_MAX_BYTES 4096
#define NS_PER_MS      UINT64_C(1000000)
/* Some 1000 events, or the status of a node that has as many peers as it may. */
#define LINES_ROOM (256 * 1024)

static const Command command = {
    .name = "node",
    .summary =
        "Be a node: register with a hub, and talk to peers.\n"
        "\n"
        "It writes a line of JSON for each thing that happens: what the hub says, behind what\n"
        "NAT it is, which peers come and go, by which path each is reached, and what they send.\n"
        "Peers talk by way of the hub first, which cannot read it, and directly as soon as that\n"
        "is possible. It runs until it gets SIGINT or SIGTERM. On SIGUSR1, and at the end, it\n"
        "writes its peers and counters.",
    .description =
        MEMBER_HELP "Lines on standard input:\n"
                    "  connect PEER           Look for a peer\n"
                    "  send PEER TEXT         Send it a text\n"
                    "  disconnect PEER        Say goodbye to it\n"
                    "  status                 Write peers and counters\n"
                    "\n"
                    "Examples:\n"
                    "  pinhole node --hub 3p7b...4Go=@hub.example --name alice\n"
                    "  pinhole node --hub 3p7b...4Go=@hub.example --name bob --connect alice\n"
                    "\n" COMMAND_EXIT_STATUS,
};

typedef struct Running {
    GMainLoop *loop;
    PhPeers *peers;
    char **wanted;     /* --connect */
    char *greeting;    /* for these; NULL: none */
    GString *input;    /* of which no whole line has been read yet */
    gboolean too_long; /* the line that is being read: it has been refused */
    Lines *lines;
} Running;

/* ---- what it says ---- */

static JsonBuilder *begin_line(const char *event)
{
    JsonBuilder *builder = json_builder_new();

    json_builder_begin_object(builder);
    show_head(builder, event);
    return builder;
}

static void end_line(const Running *running, JsonBuilder *builder)
{
    g_autofree char *text = NULL;

    json_builder_end_object(builder);
    text = show_to_text(builder, /* pretty= */ FALSE);
    lines_write(running->lines, text);
}

/* Who can be read by nobody any more has nothing to do; it is told at the end. */
static void end_unread(gpointer data)
{
    const Running *running = data;

    g_main_loop_quit(running->loop);
}

static void show_text(JsonBuilder *builder, const PhNodeEvent *event)
{
    g_autofree char *text = NULL;

    if (event->length > 0 && event->bytes[0] == MEMBER_TEXT)
        text = g_utf8_make_valid((const char *)event->bytes + 1, (gssize)event->length - 1);
    show_string(builder, "text", text);
    show_int(builder, "bytes", (gint64)event->length);
}

static void show_event(const Running *running, const PhNodeEvent *event)
{
    g_autoptr(JsonBuilder) builder = begin_line(ph_node_event_name(event->kind));

    switch (event->kind) {
    case PH_NODE_REGISTERED:
        show_address(builder, "address", &event->address);
        state_show_key(builder, "key", ph_node_public_key(ph_peers_node(running->peers)));
        break;
    case PH_NODE_CLASSIFIED:
        show_string(builder, "class", ph_class_name(event->nat_class));
        show_address(builder, "address", &event->address);
        break;
    case PH_NODE_PEER_UP:
    case PH_NODE_PEER_PATH:
    case PH_NODE_PEER_HEALTH:
        state_show_peer(builder, event->name, event->key);
        state_show_path(builder, event->path, event->via, &event->address, event->health);
        break;
    case PH_NODE_PEER_GONE:
    case PH_NODE_PEER_SAME:
        state_show_peer(builder, event->name, event->key);
        break;
    case PH_NODE_DATA:
        state_show_peer(builder, event->name, event->key);
        show_text(builder, event);
        break;
    case PH_NODE_PUNCH:
        state_show_peer(builder, event->name, event->key);
        state_show_key(builder, "mediator", event->mediator);
        show_int(builder, "attempt", event->attempt);
        show_string(builder, "strategy", event->strategy);
        show_string(builder, "outcome", event->outcome);
        show_duration(builder, "took_s", event->took_ns);
        break;
    case PH_NODE_HUB_LOST:
    case PH_NODE_REFUSED:
        break;
    }
    if (event->reason)
        show_string(builder, "reason", event->reason);
    if (event->sentence)
        show_string(builder, "sentence", event->sentence);
    end_line(running, builder);
}

static char *status_line(const Running *running)
{
    g_autoptr(JsonBuilder) builder = begin_line("status");

    state_show_node(builder, ph_peers_node(running->peers));
    json_builder_end_object(builder);
    return show_to_text(builder, /* pretty= */ FALSE);
}

static gboolean show_status(gpointer data)
{
    const Running *running = data;
    g_autofree char *text = status_line(running);

    lines_write(running->lines, text);
    return G_SOURCE_CONTINUE;
}

/* ---- what it does ---- */

static void say_error(const Running *running, const char *reason, const char *sentence)
{
    g_autoptr(JsonBuilder) builder = begin_line("error");
    g_autofree char *valid = g_utf8_make_valid(sentence, -1); /* with what was typed in it */

    show_string(builder, "reason", reason);
    show_string(builder, "sentence", valid);
    end_line(running, builder);
}

static uint32_t connect_to(const Running *running, const char *who)
{
    g_autoptr(GError) error = NULL;
    uint32_t peer = member_find(running->peers, who);

    if (peer == 0)
        peer = ph_peers_connect(running->peers, who, &error);
    if (peer == 0)
        say_error(running, "not-a-peer", error->message);
    return peer;
}

/* What is said to who is looked for still waits until it is found, or given up. */
static void send_text(const Running *running, const char *who, const char *text)
{
    uint8_t bytes[PH_NODE_MESSAGE_MAX] = {MEMBER_TEXT};
    size_t length = strlen(text);
    uint32_t peer;

    if (length > sizeof(bytes) - 1) {
        say_error(running, "too-long", "A text has at most 1151 bytes.");
        return;
    }
    memcpy(bytes + 1, text, length);
    peer = connect_to(running, who);
    if (peer != 0 && !ph_peers_send(running->peers, peer, bytes, length + 1))
        say_error(running, "not-sent", "The text could not be queued.");
}

static gboolean connect_to_all(gpointer data)
{
    const Running *running = data;

    for (char **who = running->wanted; who && *who; who++) {
        if (member_find(running->peers, *who) != 0)
            continue;
        if (running->greeting)
            send_text(running, *who, running->greeting);
        else
            (void)connect_to(running, *who);
    }
    return G_SOURCE_REMOVE;
}

static void take_event(PhPeers *peers, const PhNodeEvent *event, gpointer data)
{
    Running *running = data;

    if (event->kind == PH_NODE_DATA && member_answer(peers, event))
        return;
    show_event(running, event);
    if (event->kind == PH_NODE_PEER_GONE && running->wanted)
        g_timeout_add(RETRY_MS, connect_to_all, running);
}

static void fail_to_record(PhPeers *peers G_GNUC_UNUSED, const GError *error, gpointer data)
{
    g_autofree char *sentence = g_strdup_printf("The recording ends here: %s.", error->message);

    say_error(data, "not-recorded", sentence);
}

static void obey(Running *running, const char *line, size_t length)
{
    g_auto(GStrv) words = g_strsplit(line, " ", 3);
    guint n = g_strv_length(words);

    if (strlen(line) != length)
        say_error(running, "no-such-command", "A line has no zero bytes in it.");
    else if (n == 2 && strcmp(words[0], "connect") == 0)
        (void)connect_to(running, words[1]);
    else if (n == 2 && strcmp(words[0], "disconnect") == 0)
        ph_peers_disconnect(running->peers, member_find(running->peers, words[1]));
    else if (n == 3 && strcmp(words[0], "send") == 0)
        send_text(running, words[1], words[2]);
    else if (n == 1 && strcmp(words[0], "status") == 0)
        (void)show_status(running);
    else if (n > 0)
        say_error(running, "no-such-command",
                  "A line is: connect PEER, send PEER TEXT, disconnect PEER, or status.");
}

/* Nothing of what is left of a line that was too long, whose beginning is wrong in any case. */
static void obey_line(Running *running, const char *line, size_t length, gboolean ends)
{
    if (!running->too_long)
        obey(running, line, length);
    running->too_long = !ends;
}

/* All whole lines, and at the end of the input what is left. */
static void obey_lines(Running *running, gboolean at_end)
{
    GString *input = running->input;
    char *newline;

    while ((newline = memchr(input->str, '\n', input->len))) {
        *newline = '\0';
        obey_line(running, input->str, (size_t)(newline - input->str), TRUE);
        g_string_erase(input, 0, newline + 1 - input->str);
    }
    if (input->len > 0 && (at_end || input->len > LINE_MAX_BYTES)) {
        obey_line(running, input->str, input->len, FALSE);
        g_string_truncate(input, 0);
    }
}

/* Not made non-blocking: that would be so for all who share the terminal. */
static gboolean take_input(gint fd, GIOCondition condition G_GNUC_UNUSED, gpointer data)
{
    Running *running = data;
    char bytes[LINE_MAX_BYTES];
    ssize_t n = read(fd, bytes, sizeof(bytes));

    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return G_SOURCE_CONTINUE;
    if (n > 0)
        g_string_append_len(running->input, bytes, n);
    obey_lines(running, n <= 0);
    return n > 0 ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

static gboolean end(gpointer data)
{
    const Running *running = data;

    g_main_loop_quit(running->loop);
    return G_SOURCE_CONTINUE;
}

static int run(const MemberOptions *options, char **wanted, char *greeting, uint64_t metrics_ns)
{
    g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
    g_autoptr(GString) input = g_string_new(NULL);
    g_auto(Lines) lines = {.room = LINES_ROOM, .gap = show_gap, .failed = end_unread};
    Running running = {
        .loop = loop, .wanted = wanted, .greeting = greeting, .input = input, .lines = &lines};
    g_autofree char *last = NULL;
    Control *control;
    int status = EXIT_SUCCESS;

    lines.data = &running;
    running.peers = member_open(options, take_event, &running, &status);
    if (!running.peers)
        return status;
    control = member_control(options, "node", running.peers, &status);
    if (status == EXIT_SUCCESS) {
        g_unix_signal_add(SIGINT, end, &running);
        g_unix_signal_add(SIGTERM, end, &running);
        g_unix_signal_add(SIGUSR1, show_status, &running);
        g_unix_fd_add(STDIN_FILENO, G_IO_IN | G_IO_HUP, take_input, &running);
        if (metrics_ns)
            g_timeout_add((guint)(metrics_ns / NS_PER_MS), show_status, &running);
        connect_to_all(&running);
        g_main_loop_run(loop);
        last = status_line(&running);
    }
    control_free(control);
    ph_peers_free(running.peers);
    /* Peers do not wait for a slow reader. */
    lines_end(&lines, last);
    if (lines.error)
        status = command_fail_output(EXIT_FAILURE, lines.error);
    return status;
}

int command_node(int argc, char **argv)
{
    g_auto(GStrv) wanted = NULL, arguments = NULL;
    g_autofree char *metrics = NULL, *greeting = NULL;
    g_autoptr(GError) error = NULL;
    uint64_t metrics_ns = 0;
    uint8_t key[PH_KEY_BYTES];
    g_auto(MemberOptions) options = {.record_failed = fail_to_record};
    GOptionEntry entries[MEMBER_ENTRIES + 7] = {
        [MEMBER_ENTRIES] = {"connect", 'c', 0, G_OPTION_ARG_STRING_ARRAY, &wanted,
                            "Look for this peer, and again when it is gone; may be given again",
                            "PEER"},
        {"greet", 0, 0, G_OPTION_ARG_STRING, &greeting,
         "Send this to each that is looked for, first of all", "TEXT"},
        {"record", 0, 0, G_OPTION_ARG_FILENAME, &options.record,
         "Record what it is given and does, for pinlab replay; without keys or messages", "FILE"},
        {"record-secrets", 0, 0, G_OPTION_ARG_NONE, &options.record_secrets,
         "With --record: with its secret key and all that is said", NULL},
        {"relay", 0, 0, G_OPTION_ARG_NONE, &options.relay,
         "Carry for peers what they cannot send each other directly, when the hub does not", NULL},
        {"metrics", 'm', 0, G_OPTION_ARG_STRING, &metrics,
         "Write peers and counters every so often", "DURATION"},
    };
    int status;

    member_entries(&options, entries);
    if (!command_parse(&command, entries, argc, argv, &arguments, &status))
        return status;
    if (*arguments || !options.hub)
        return command_fail(EXIT_ARGUMENTS, "node takes --hub KEY@HOST[:PORT], and no arguments "
                                            "(see pinhole node --help)");
    if (options.record_secrets && !options.record)
        return command_fail(EXIT_ARGUMENTS, "--record-secrets is for --record FILE "
                                            "(see pinhole node --help)");
    if (greeting && (!wanted || strlen(greeting) > PH_NODE_MESSAGE_MAX - 1))
        return command_fail(EXIT_ARGUMENTS, "--greet TEXT is for --connect PEER, and has at most "
                                            "1151 bytes (see pinhole node --help)");
    for (char **who = wanted; who && *who; who++) {
        if (!ph_node_name_is_valid(*who) && !ph_key_parse_public(*who, key))
            return command_fail(EXIT_ARGUMENTS, "--connect %s: expected a peer's name or its key",
                                *who);
    }
    if (metrics && !command_duration("--metrics", metrics, &metrics_ns, &error))
        return command_fail_error(error);
    return run(&options, wanted, greeting, metrics_ns);
}
