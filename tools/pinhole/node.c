/* SPDX-License-Identifier: MIT */
/* pinhole node: be a node, say what happens, and do what standard input says. */
#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "member.h"
#include "show.h"

#define RETRY_MS 2000

static const Command command = {
    .name = "node",
    .summary =
        "Be a node: register with a hub, and talk to peers.\n"
        "\n"
        "It writes a line of JSON for each thing that happens: what the hub says, behind what\n"
        "NAT it is, which peers come and go, by which path each is reached, and what they send.\n"
        "Peers talk by way of the hub first, which cannot read it, and directly as soon as that\n"
        "is possible. It runs until it gets SIGINT or SIGTERM. On SIGUSR1 it writes its peers\n"
        "and counters.",
    .description =
        MEMBER_HELP "Lines on standard input:\n"
                    "  connect PEER           Look for a peer\n"
                    "  send PEER TEXT         Send it a text\n"
                    "  disconnect PEER        Say goodbye to it\n"
                    "\n"
                    "Examples:\n"
                    "  pinhole node --hub 3p7b...4Go=@hub.example --name alice\n"
                    "  pinhole node --hub 3p7b...4Go=@hub.example --name bob --connect alice\n"
                    "\n" COMMAND_EXIT_STATUS,
};

typedef struct Running {
    GMainLoop *loop;
    PhPeers *peers;
    char **wanted; /* --connect */
} Running;

static const char *event_name(PhNodeEventKind kind)
{
    static const char *const names[] = {
        [PH_NODE_REGISTERED] = "registered",
        [PH_NODE_HUB_LOST] = "hub-lost",
        [PH_NODE_REFUSED] = "refused",
        [PH_NODE_CLASSIFIED] = "classified",
        [PH_NODE_PEER_UP] = "peer-up",
        [PH_NODE_PEER_PATH] = "peer-path",
        [PH_NODE_PEER_HEALTH] = "health",
        [PH_NODE_PEER_GONE] = "peer-gone",
        [PH_NODE_DATA] = "data",
    };

    return names[kind];
}

/* ---- what it says ---- */

static JsonBuilder *begin_line(const char *event)
{
    JsonBuilder *builder = json_builder_new();
    g_autoptr(GDateTime) time = g_date_time_new_now_utc();
    g_autofree char *when = g_date_time_format(time, "%Y-%m-%dT%H:%M:%S.%fZ");

    json_builder_begin_object(builder);
    show_int(builder, "schema", 1);
    show_string(builder, "time", when);
    show_string(builder, "event", event);
    return builder;
}

static void end_line(const Running *running, JsonBuilder *builder)
{
    json_builder_end_object(builder);
    show_json(builder, /* pretty= */ FALSE);
    /* Who is read by nobody any more has nothing to do; it is told at the end. */
    if (ferror(stdout))
        g_main_loop_quit(running->loop);
}

static void show_key(JsonBuilder *builder, const char *name, const uint8_t *key)
{
    static const uint8_t none[PH_KEY_BYTES];
    char text[PH_KEY_TEXT_MAX];

    show_string(builder, name,
                memcmp(key, none, sizeof(none)) == 0 ? NULL : ph_key_format_public(key, text));
}

static void show_peer(JsonBuilder *builder, const char *name, const uint8_t *key)
{
    show_string(builder, "peer", *name ? name : NULL);
    show_key(builder, "key", key);
}

static void show_path(JsonBuilder *builder, PhPathKind path, const uint8_t *via,
                      const PhAddress *address, const char *health)
{
    show_string(builder, "path", ph_path_kind_name(path));
    show_key(builder, "via", via);
    show_address(builder, "address", address);
    show_string(builder, "health", health);
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
    g_autoptr(JsonBuilder) builder = begin_line(event_name(event->kind));

    switch (event->kind) {
    case PH_NODE_REGISTERED:
        show_address(builder, "address", &event->address);
        show_key(builder, "key", ph_node_public_key(ph_peers_node(running->peers)));
        break;
    case PH_NODE_CLASSIFIED:
        show_string(builder, "class", ph_class_name(event->nat_class));
        show_address(builder, "address", &event->address);
        break;
    case PH_NODE_PEER_UP:
    case PH_NODE_PEER_PATH:
    case PH_NODE_PEER_HEALTH:
        show_peer(builder, event->name, event->key);
        show_path(builder, event->path, event->via, &event->address, event->health);
        break;
    case PH_NODE_PEER_GONE:
        show_peer(builder, event->name, event->key);
        break;
    case PH_NODE_DATA:
        show_peer(builder, event->name, event->key);
        show_text(builder, event);
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

static void show_counters(JsonBuilder *builder, const PhNodeCounters *c)
{
    const struct {
        const char *name;
        uint64_t value;
    } members[] = {
        {"punches-attempted", c->punches_attempted},
        {"punches-succeeded", c->punches_succeeded},
        {"punches-failed", c->punches_failed},
        {"punches-timed-out", c->punches_timed_out},
        {"punches-rejected", c->punches_rejected},
        {"relay-fallbacks", c->relay_fallbacks},
        {"upgrades", c->upgrades},
        {"downgrades", c->downgrades},
        {"sessions-opened", c->sessions_opened},
        {"sessions-accepted", c->sessions_accepted},
        {"sessions-failed", c->sessions_failed},
        {"messages-sent", c->messages_sent},
        {"messages-received", c->messages_received},
        {"messages-dropped", c->messages_dropped},
        {"reflex-asked", c->reflex_asked},
        {"reflex-answered", c->reflex_answered},
        {"classified", c->classified},
        {"foreign", c->foreign},
    };

    json_builder_set_member_name(builder, "counters");
    json_builder_begin_object(builder);
    for (size_t i = 0; i < G_N_ELEMENTS(members); i++)
        show_int(builder, members[i].name, (gint64)members[i].value);
    json_builder_end_object(builder);
}

static gboolean show_status(gpointer data)
{
    const Running *running = data;
    const PhNode *node = ph_peers_node(running->peers);
    g_autoptr(JsonBuilder) builder = begin_line("status");
    PhNodePeer peer;

    show_key(builder, "key", ph_node_public_key(node));
    show_counters(builder, ph_node_counters(node));
    json_builder_set_member_name(builder, "peers");
    json_builder_begin_array(builder);
    for (uint32_t i = 0; ph_node_peer(node, i, &peer); i++) {
        json_builder_begin_object(builder);
        show_peer(builder, peer.name, peer.key);
        show_string(builder, "class", ph_class_name(peer.nat_class));
        show_path(builder, peer.path, peer.via, &peer.address, peer.health);
        show_string(builder, "reason", peer.reason);
        show_seconds(builder, "rtt_s", peer.rtt_ns);
        json_builder_end_object(builder);
    }
    json_builder_end_array(builder);
    end_line(running, builder);
    return G_SOURCE_CONTINUE;
}

/* ---- what it does ---- */

static void say_error(const Running *running, const char *reason, const char *sentence)
{
    g_autoptr(JsonBuilder) builder = begin_line("error");

    show_string(builder, "reason", reason);
    show_string(builder, "sentence", sentence);
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

static gboolean connect_to_all(gpointer data)
{
    const Running *running = data;

    for (char **who = running->wanted; who && *who; who++)
        (void)connect_to(running, *who);
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

static void obey(const Running *running, const char *line)
{
    g_auto(GStrv) words = g_strsplit(line, " ", 3);
    guint n = g_strv_length(words);

    if (n == 2 && strcmp(words[0], "connect") == 0)
        (void)connect_to(running, words[1]);
    else if (n == 2 && strcmp(words[0], "disconnect") == 0)
        ph_peers_disconnect(running->peers, member_find(running->peers, words[1]));
    else if (n == 3 && strcmp(words[0], "send") == 0)
        send_text(running, words[1], words[2]);
    else if (n > 0)
        say_error(running, "no-such-command",
                  "A line is: connect PEER, send PEER TEXT, or disconnect PEER.");
}

static gboolean take_input(GIOChannel *channel, GIOCondition condition G_GNUC_UNUSED, gpointer data)
{
    const Running *running = data;
    g_autofree char *line = NULL;
    gsize end;
    GIOStatus status;

    while ((status = g_io_channel_read_line(channel, &line, NULL, &end, NULL)) ==
           G_IO_STATUS_NORMAL) {
        line[end] = '\0';
        obey(running, line);
        g_clear_pointer(&line, g_free);
    }
    return status == G_IO_STATUS_AGAIN ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

static gboolean end(gpointer data)
{
    const Running *running = data;

    g_main_loop_quit(running->loop);
    return G_SOURCE_CONTINUE;
}

static void read_input(Running *running)
{
    g_autoptr(GIOChannel) input = g_io_channel_unix_new(STDIN_FILENO);

    g_io_channel_set_encoding(input, NULL,
                              NULL); /* bytes: what is sent is made valid by who shows it */
    g_io_channel_set_flags(input, G_IO_FLAG_NONBLOCK, NULL);
    g_io_add_watch(input, G_IO_IN | G_IO_HUP, take_input, running);
}

static int run(const MemberOptions *options, char **wanted)
{
    g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
    Running running = {.loop = loop, .wanted = wanted};
    int status = EXIT_SUCCESS;

    running.peers = member_open(options, take_event, &running, &status);
    if (!running.peers)
        return status;
    g_unix_signal_add(SIGINT, end, &running);
    g_unix_signal_add(SIGTERM, end, &running);
    g_unix_signal_add(SIGUSR1, show_status, &running);
    read_input(&running);
    connect_to_all(&running);
    g_main_loop_run(loop);
    ph_peers_free(running.peers);
    return EXIT_SUCCESS;
}

int command_node(int argc, char **argv)
{
    g_auto(GStrv) wanted = NULL, arguments = NULL;
    g_auto(MemberOptions) options = {0};
    GOptionEntry entries[MEMBER_ENTRIES + 2] = {
        [MEMBER_ENTRIES] = {"connect", 'c', 0, G_OPTION_ARG_STRING_ARRAY, &wanted,
                            "Look for this peer, and again when it is gone; may be given again",
                            "PEER"},
    };
    int status;

    member_entries(&options, entries);
    if (!command_parse(&command, entries, argc, argv, &arguments, &status))
        return status;
    if (*arguments || !options.hub)
        return command_fail(EXIT_ARGUMENTS, "node takes --hub KEY@HOST[:PORT], and no arguments "
                                            "(see pinhole node --help)");
    return run(&options, wanted);
}
