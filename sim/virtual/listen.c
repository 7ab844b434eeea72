/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `run = listen`: says what comes to its ports, and answers nothing. */
#include "topology/units.h"
#include "virtual/agent.h"

typedef struct Listen {
    const PlProgram *program;
    unsigned n_open; /* sockets, which are named by their places in the list of ports */
    gboolean ready, failed;
    GString *text; /* to be printed */
    gboolean printed;
} Listen;

static gpointer listen_new(const PlAgentStart *start, GError **error)
{
    Listen *listen = g_new0(Listen, 1);

    (void)error;
    listen->program = &start->host->program;
    listen->text = g_string_new(NULL);
    return listen;
}

static void listen_free(gpointer data)
{
    Listen *listen = data;

    g_string_free(listen->text, TRUE);
    g_free(listen);
}

static void listen_poll(gpointer data, PlAgentAction *ret_action)
{
    Listen *listen = data;

    if (listen->printed)
        g_string_truncate(listen->text, 0);
    listen->printed = FALSE;
    if (listen->failed) {
        *ret_action = (PlAgentAction){.kind = PL_AGENT_END, .exit_status = 1};
    } else if (listen->n_open < listen->program->n_ports) {
        *ret_action = (PlAgentAction){.kind = PL_AGENT_OPEN, .socket = listen->n_open};
        ret_action->address = ph_address_ipv4(0, listen->program->ports[listen->n_open]);
    } else if (listen->text->len > 0) {
        *ret_action = (PlAgentAction){
            .kind = PL_AGENT_PRINT,
            .bytes = (const uint8_t *)listen->text->str,
            .length = listen->text->len,
        };
        listen->printed = TRUE;
    }
}

static void listen_opened(gpointer data, uint32_t socket, const PhAddress *local, uint64_t now)
{
    Listen *listen = data;

    (void)socket;
    (void)now;
    listen->failed = !local;
    if (++listen->n_open == listen->program->n_ports)
        g_string_append(listen->text, PL_LISTEN_READY);
}

static void listen_datagram(gpointer data, const PhPath *path, const uint8_t *bytes, size_t length,
                            uint64_t now)
{
    Listen *listen = data;

    (void)now;
    pl_listen_line(listen->text, listen->program->ports[path->socket], &path->remote, bytes,
                   length);
}

static uint64_t listen_next_timeout(gpointer data)
{
    (void)data;
    return UINT64_MAX;
}

static void listen_timeout(gpointer data, uint64_t now)
{
    (void)data;
    (void)now;
}

const PlAgentClass pl_listen_agent = {
    .word = PL_WORD_LISTEN,
    .new = listen_new,
    .free = listen_free,
    .poll = listen_poll,
    .opened = listen_opened,
    .datagram = listen_datagram,
    .next_timeout = listen_next_timeout,
    .timeout = listen_timeout,
};
