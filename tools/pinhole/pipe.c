/* SPDX-License-Identifier: MIT */
/*
 * pinhole pipe: standard input to a peer's standard output, and the other way round.
 *
 *     stdin --> stream <--messages--> the peer's stream --> its stdout
 */
#include <errno.h>
#include <glib-unix.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lines.h"
#include "member.h"
#include "stream.h"

#define NS_PER_US UINT64_C(1000)

static const Command command = {
    .name = "pipe",
    .parameters = "[PEER]",
    .summary =
        "Carry standard input to a peer, and what it sends to standard output.\n"
        "\n"
        "Whatever is written arrives, once and in order, and so does its end. With a PEER it\n"
        "looks for one that waits; without, it waits for the first one that comes. It ends\n"
        "when both directions have.",
    .description =
        MEMBER_HELP "Who waits takes whoever the hub lets in; with --from only that peer, by its\n"
                    "public key.\n"
                    "\n"
                    "Examples:\n"
                    "  pinhole pipe --hub 3p7b...4Go=@hub.example --name alice >copy </dev/null\n"
                    "  pinhole pipe --hub 3p7b...4Go=@hub.example alice <file\n"
                    "\n" COMMAND_EXIT_STATUS,
};

typedef struct Piping {
    GMainLoop *loop;
    PhPeers *peers;
    const char *who;     /* NULL: waits */
    const uint8_t *from; /* a key; NULL: anybody */
    uint32_t peer;
    char name[MEMBER_WHO_MAX];
    Stream *stream;
    size_t given;         /* bytes of the segment that standard output gets now */
    guint in, out, timer; /* sources; 0: not now */
    gboolean ended;       /* the rest of what came together is nothing any more */
    int status;
} Piping;

static uint64_t now_ns(void)
{
    return (uint64_t)g_get_monotonic_time() * NS_PER_US;
}

static void serve(Piping *piping);

static void finish(Piping *piping, int status)
{
    piping->status = status;
    piping->ended = TRUE;
    g_main_loop_quit(piping->loop);
}

/* ---- the two ends on this side ---- */

static gboolean take_input(gint fd, GIOCondition condition G_GNUC_UNUSED, gpointer data)
{
    Piping *piping = data;
    uint8_t bytes[STREAM_SEGMENT];
    ssize_t n;

    while (stream_has_room(piping->stream)) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};

        if (poll(&ready, 1, 0) <= 0)
            break;
        n = read(fd, bytes, sizeof(bytes));
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            break;
        if (n < 0) {
            finish(piping,
                   command_fail(EXIT_FAILURE, "cannot read standard input: %s", g_strerror(errno)));
            return G_SOURCE_CONTINUE;
        }
        if (n == 0)
            stream_end(piping->stream);
        else
            stream_write(piping->stream, bytes, (size_t)n);
    }
    piping->in = 0; /* serve() watches again when there is room */
    serve(piping);
    return G_SOURCE_REMOVE;
}

/* As much as is read: the stream holds the peer up for the rest. */
static gboolean give_output(gint fd G_GNUC_UNUSED, GIOCondition condition G_GNUC_UNUSED,
                            gpointer data)
{
    Piping *piping = data;
    const uint8_t *bytes;
    size_t length;

    while (stream_peek(piping->stream, &bytes, &length)) {
        gssize n = lines_write_now(bytes + piping->given, length - piping->given);

        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0) {
            finish(piping, command_fail_output(EXIT_FAILURE, errno));
            return G_SOURCE_CONTINUE;
        }
        piping->given += (size_t)n;
        if (piping->given < length)
            continue;
        piping->given = 0;
        stream_consume(piping->stream);
    }
    piping->out = 0;
    serve(piping);
    return G_SOURCE_REMOVE;
}

/* ---- between stream and peer ---- */

static gboolean wake(gpointer data)
{
    Piping *piping = data;

    piping->timer = 0;
    if (stream_next_timeout(piping->stream) <= now_ns())
        stream_handle_timeout(piping->stream, now_ns());
    serve(piping);
    return G_SOURCE_REMOVE;
}

static void set_timer(Piping *piping)
{
    uint64_t next = stream_next_timeout(piping->stream), now = now_ns();

    g_clear_handle_id(&piping->timer, g_source_remove);
    if (next != UINT64_MAX)
        piping->timer = g_timeout_add(
            next > now ? (guint)((next - now) / (NS_PER_US * 1000)) + 1 : 0, wake, piping);
}

static void serve(Piping *piping)
{
    uint8_t packet[STREAM_PACKET];
    const uint8_t *bytes;
    size_t length;

    if (piping->ended)
        return;
    while ((length = stream_poll_transmit(piping->stream, now_ns(), packet)) > 0)
        (void)ph_peers_send(piping->peers, piping->peer, packet, length);
    if (stream_is_refused(piping->stream)) {
        finish(piping, command_fail(EXIT_FAILURE,
                                    "%s: no-pipe: The peer is not waiting with a pinhole pipe.",
                                    piping->name));
        return;
    }
    if (stream_may_leave(piping->stream, now_ns())) {
        finish(piping, EXIT_SUCCESS);
        return;
    }
    if (piping->in == 0 && stream_has_room(piping->stream))
        piping->in = g_unix_fd_add(STDIN_FILENO, G_IO_IN | G_IO_HUP, take_input, piping);
    if (piping->out == 0 && stream_peek(piping->stream, &bytes, &length))
        piping->out = g_unix_fd_add(STDOUT_FILENO, G_IO_OUT | G_IO_ERR, give_output, piping);
    set_timer(piping);
}

static void begin(Piping *piping, const PhNodeEvent *event, uint32_t id)
{
    piping->peer = event->peer;
    (void)member_who(event->name, event->key, piping->name);
    piping->stream = stream_new(id, piping->who != NULL, now_ns());
    if (!piping->stream)
        g_error("out of memory");
}

static gboolean is_welcome(const Piping *piping, const PhNodeEvent *event)
{
    return !piping->who && !piping->stream &&
           (!piping->from || memcmp(piping->from, event->key, PH_KEY_BYTES) == 0);
}

static void take_data(Piping *piping, const PhNodeEvent *event)
{
    uint32_t id;

    if (stream_packet_id(event->bytes, event->length, &id)) {
        if (is_welcome(piping, event) && stream_packet_opens(event->bytes, event->length))
            begin(piping, event, id);
        if (piping->stream && event->peer == piping->peer && id == stream_id(piping->stream)) {
            stream_receive(piping->stream, event->bytes, event->length, now_ns());
            serve(piping);
            return;
        }
    }
    (void)member_answer(piping->peers, event);
}

static void take_gone(Piping *piping, const PhNodeEvent *event)
{
    if (piping->peer != event->peer)
        return;
    if (piping->stream && stream_is_done(piping->stream))
        finish(piping, EXIT_SUCCESS);
    else
        finish(piping, member_fail(piping->peers, piping->name, event));
}

static void take_event(PhPeers *peers G_GNUC_UNUSED, const PhNodeEvent *event, gpointer data)
{
    Piping *piping = data;

    if (piping->ended)
        return;
    switch (event->kind) {
    case PH_NODE_REFUSED:
        finish(piping, member_fail(piping->peers, "the hub", event));
        break;
    case PH_NODE_HUB_LOST:
        if (!piping->stream)
            (void)member_fail(piping->peers, "the hub", event);
        break;
    case PH_NODE_PEER_UP:
        if (piping->who && event->peer == piping->peer && !piping->stream) {
            begin(piping, event, g_random_int());
            serve(piping);
        }
        break;
    case PH_NODE_PEER_GONE:
        take_gone(piping, event);
        break;
    case PH_NODE_DATA:
        take_data(piping, event);
        break;
    case PH_NODE_REGISTERED:
    case PH_NODE_CLASSIFIED:
    case PH_NODE_PEER_PATH:
    case PH_NODE_PEER_HEALTH:
    case PH_NODE_PUNCH:
    case PH_NODE_PEER_SAME:
        break;
    }
}

/* ---- from beginning to end ---- */

static gboolean interrupt(gpointer data)
{
    Piping *piping = data;

    if (!piping->ended)
        finish(piping, EXIT_FAILURE);
    return G_SOURCE_CONTINUE;
}

static int run(const MemberOptions *options, Piping *piping)
{
    g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
    g_autoptr(GError) error = NULL;
    Control *control;

    piping->loop = loop;
    piping->peers = member_open(options, take_event, piping, &piping->status);
    if (!piping->peers)
        return piping->status;
    control = member_control(options, "pipe", piping->peers, &piping->status);
    if (piping->status == EXIT_SUCCESS && piping->who) {
        g_strlcpy(piping->name, piping->who, sizeof(piping->name));
        piping->peer = ph_peers_connect(piping->peers, piping->who, &error);
    }
    if (error) {
        piping->status = command_fail_error(error);
    } else if (piping->status == EXIT_SUCCESS) {
        g_unix_signal_add(SIGINT, interrupt, piping);
        g_unix_signal_add(SIGTERM, interrupt, piping);
        g_main_loop_run(loop);
    }
    control_free(control);
    ph_peers_free(piping->peers);
    stream_free(piping->stream);
    return piping->status;
}

int command_pipe(int argc, char **argv)
{
    g_auto(GStrv) arguments = NULL;
    g_auto(MemberOptions) options = {0};
    g_autofree char *from = NULL;
    uint8_t from_key[PH_KEY_BYTES];
    GOptionEntry entries[MEMBER_ENTRIES + 2] = {
        [MEMBER_ENTRIES] = {"from", 'f', 0, G_OPTION_ARG_STRING, &from, "Wait for this peer alone",
                            "KEY"},
    };
    Piping piping = {.status = EXIT_SUCCESS};
    int status;

    member_entries(&options, entries);
    if (!command_parse(&command, entries, argc, argv, &arguments, &status))
        return status;
    if (g_strv_length(arguments) > 1 || !options.hub || (from && *arguments))
        return command_fail(EXIT_ARGUMENTS, "pipe takes --hub KEY@HOST[:PORT], and a peer unless "
                                            "it waits (see pinhole pipe --help)");
    if (from && !ph_key_parse_public(from, from_key))
        return command_fail(EXIT_ARGUMENTS, "--from %s: expected a public key in base64", from);
    piping.who = arguments[0];
    piping.from = from ? from_key : NULL;
    return run(&options, &piping);
}
