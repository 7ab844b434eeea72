/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `run = hub`: a reflector on the addresses and ports that the topology names. */
#include <pinhole/reflector.h>

#include "virtual/agent.h"

#define SOCKETS 4

typedef struct Hub {
    PhReflector *reflector;
    PhAddress sockets[SOCKETS]; /* of no family: there is none */
    unsigned next;              /* to be opened; then it says that it is ready */
    gboolean ready, failed;
    GString *text;
    /* At most one answer waits: each datagram is polled for. */
    PhPath path;
    uint8_t answer[PH_REFLECTOR_ANSWER_MAX];
    size_t answer_length;
} Hub;

static void hub_free(gpointer data)
{
    Hub *hub = data;

    ph_reflector_free(hub->reflector);
    g_string_free(hub->text, TRUE);
    g_free(hub);
}

static gpointer hub_new(const PlNode *host, uint64_t seed, uint64_t now, GError **error)
{
    const PlProgram *program = &host->program;
    Hub *hub = g_new0(Hub, 1);
    PhReflectorConfig config;

    (void)now;
    ph_reflector_config_init(&config);
    pl_agent_seed(seed, config.seed);
    config.ports[0] = program->addresses[0].port;
    config.ports[1] = program->second_port;
    for (unsigned i = 0; i < program->n_addresses; i++) {
        config.hosts[i] = program->addresses[i];
        config.hosts[i].port = 0;
        for (unsigned port = 0; port < 2; port++) {
            PhAddress *socket = &hub->sockets[PH_REFLECTOR_SOCKET(i, port)];

            *socket = config.hosts[i];
            socket->port = config.ports[port];
        }
    }
    hub->text = g_string_new("ready");
    hub->reflector = ph_reflector_new(&config);
    if (hub->reflector)
        return hub;
    g_set_error(error, PL_ERROR, PL_ERROR_FAILED, "host %s cannot be a hub", host->name);
    hub_free(hub);
    return NULL;
}

static void poll_start(Hub *hub, PlAgentAction *ret_action)
{
    while (hub->next < SOCKETS && hub->sockets[hub->next].family == PH_FAMILY_NONE)
        hub->next++;
    if (hub->next < SOCKETS) {
        *ret_action = (PlAgentAction){
            .kind = PL_AGENT_OPEN, .socket = hub->next, .address = hub->sockets[hub->next]};
        return;
    }
    hub->ready = TRUE;
    g_string_append_c(hub->text, '\n');
    *ret_action = (PlAgentAction){
        .kind = PL_AGENT_PRINT,
        .bytes = (const uint8_t *)hub->text->str,
        .length = hub->text->len,
    };
}

static void hub_poll(gpointer data, PlAgentAction *ret_action)
{
    Hub *hub = data;

    if (hub->failed) {
        *ret_action = (PlAgentAction){.kind = PL_AGENT_END, .exit_status = 1};
    } else if (!hub->ready) {
        poll_start(hub, ret_action);
    } else if (hub->answer_length > 0) {
        *ret_action = (PlAgentAction){
            .kind = PL_AGENT_SEND,
            .socket = hub->path.socket,
            .address = hub->path.remote,
            .bytes = hub->answer,
            .length = hub->answer_length,
        };
        hub->answer_length = 0;
    }
}

static void hub_opened(gpointer data, uint32_t socket, const PhAddress *local, uint64_t now)
{
    Hub *hub = data;
    char text[PH_ADDRESS_TEXT_MAX];

    (void)socket;
    (void)now;
    hub->next++;
    hub->failed = !local;
    if (local)
        g_string_append_printf(hub->text, " %s", ph_address_format(local, text));
}

static void hub_datagram(gpointer data, const PhPath *path, const uint8_t *bytes, size_t length,
                         uint64_t now)
{
    Hub *hub = data;

    hub->answer_length = ph_reflector_handle_datagram(hub->reflector, path, bytes, length, now,
                                                      &hub->path, hub->answer);
}

static uint64_t hub_next_timeout(gpointer data)
{
    (void)data;
    return UINT64_MAX;
}

static void hub_timeout(gpointer data, uint64_t now)
{
    (void)data;
    (void)now;
}

const PlAgentClass pl_hub_agent = {
    .word = PL_WORD_HUB,
    .new = hub_new,
    .free = hub_free,
    .poll = hub_poll,
    .opened = hub_opened,
    .datagram = hub_datagram,
    .next_timeout = hub_next_timeout,
    .timeout = hub_timeout,
};
