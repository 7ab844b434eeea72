/* SPDX-License-Identifier: MIT */
/* pinhole reflex: at what address is this host seen? */
#include <pinhole/ask.h>
#include <stdio.h>
#include <stdlib.h>

#include "command.h"
#include "show.h"

static const Command command = {
    .name = "reflex",
    .summary =
        "Say at what address others see this host.\n"
        "\n"
        "It asks a server once, from a fresh UDP socket, and prints the address and port that\n"
        "the server saw: those of the outermost NAT, if there is one. Any STUN server will do.\n"
        "Nobody's silence is known after 8 s.",
    .description =
        "HOST is a name or an address, an IPv6 one in brackets when a PORT follows; PORT is 3478\n"
        "where it is not given.\n"
        "\n"
        "Examples:\n"
        "  pinhole reflex --server hub.example\n"
        "  pinhole reflex --server hub.example --port 51820\n"
        "\n" COMMAND_EXIT_STATUS,
};

typedef struct Outcome {
    gboolean done;
    PhAnswer answer;
    GError *error;
} Outcome;

static void take_answer(GObject *object G_GNUC_UNUSED, GAsyncResult *result, gpointer data)
{
    Outcome *outcome = data;

    ph_ask_server_finish(result, &outcome->answer, &outcome->error);
    outcome->done = TRUE;
}

/* A socket on that port, of IPv4: it is what is translated. */
static GSocket *open_port(int port, GError **error)
{
    g_autoptr(GInetAddress) any = g_inet_address_new_any(G_SOCKET_FAMILY_IPV4);
    g_autoptr(GSocketAddress) local = NULL;
    g_autoptr(GSocket) socket = NULL;

    if (port < 1 || port > G_MAXUINT16) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                    "--port %d: expected a port, 1 to 65535", port);
        return NULL;
    }
    local = g_inet_socket_address_new(any, (guint16)port);
    socket =
        g_socket_new(G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_DATAGRAM, G_SOCKET_PROTOCOL_UDP, error);
    if (!socket)
        return NULL;
    if (!g_socket_bind(socket, local, FALSE, error)) {
        g_prefix_error(error, "--port %d: ", port);
        return NULL;
    }
    return g_steal_pointer(&socket);
}

static void show(const PhAnswer *answer, gboolean json)
{
    g_autoptr(JsonBuilder) builder = NULL;
    char text[PH_ADDRESS_TEXT_MAX];

    if (!json) {
        puts(ph_address_format(&answer->mapped, text));
        return;
    }
    builder = json_builder_new();
    json_builder_begin_object(builder);
    show_int(builder, "schema", 1);
    show_address(builder, "server", &answer->server);
    show_address(builder, "local", &answer->local);
    show_address(builder, "external", &answer->mapped);
    show_seconds(builder, "rtt_s", answer->rtt_ns);
    json_builder_end_object(builder);
    show_json(builder, /* pretty= */ TRUE);
}

int command_reflex(int argc, char **argv)
{
    g_autofree char *server = NULL;
    g_auto(GStrv) arguments = NULL;
    gboolean json = FALSE;
    int port = -1, status;
    const GOptionEntry entries[] = {
        {"server", 's', 0, G_OPTION_ARG_STRING, &server, "The server to ask", "HOST[:PORT]"},
        {"port", 'p', 0, G_OPTION_ARG_INT, &port, "Ask from this port of this host", "PORT"},
        {"json", 'j', 0, G_OPTION_ARG_NONE, &json, "Write the result as JSON", NULL},
        {0},
    };
    g_autoptr(GError) error = NULL;
    g_autoptr(GSocket) socket = NULL;
    Outcome outcome = {0};

    if (!command_parse(&command, entries, argc, argv, &arguments, &status))
        return status;
    if (*arguments || !server)
        return command_fail(EXIT_ARGUMENTS, "reflex takes --server HOST[:PORT], and no arguments "
                                            "(see pinhole reflex --help)");
    if (port != -1 && !(socket = open_port(port, &error)))
        return command_fail_error(error);
    ph_ask_server_async(server, socket, NULL, take_answer, &outcome);
    while (!outcome.done)
        g_main_context_iteration(NULL, TRUE);
    error = outcome.error;
    if (error)
        return command_fail_server(server, error);
    show(&outcome.answer, json);
    return EXIT_SUCCESS;
}
