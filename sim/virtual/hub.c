/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `run = hub`: a reflector and a station, on the addresses and ports that the topology names. */
#include <pinhole/hub.h>
#include <pinhole/reflector.h>
#include <pinhole/station.h>
#include <string.h>

#include "topology/identity.h"
#include "topology/random.h"
#include "virtual/agent.h"

/* As in lib/io/hub.c: a socket's name is the reflector's name for it, and the family's index above
 * that. */
#define FAMILY_SHIFT 2
#define SOCKETS      (PH_HUB_FAMILIES << FAMILY_SHIFT)

typedef struct Hub {
    PhReflector *reflectors[PH_HUB_FAMILIES]; /* NULL: it has no address of that family */
    PhStation *station;
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

    for (unsigned i = 0; i < PH_HUB_FAMILIES; i++)
        ph_reflector_free(hub->reflectors[i]);
    ph_station_free(hub->station);
    g_string_free(hub->text, TRUE);
    g_free(hub);
}

/* The lab's clock is the wall clock. */
static PhStation *make_station(const PlAgentStart *start, const Hub *hub)
{
    g_autofree char *name = g_strdup_printf("station %s", start->host->name);
    PhStationConfig config;
    PhKey key;

    ph_station_config_init(&config);
    pl_agent_seed(pl_random_stream(start->run_seed, name), config.seed);
    pl_host_key(start->host, start->run_seed, &key);
    memcpy(config.secret, key.secret_half, sizeof(config.secret));
    ph_key_wipe(&key);
    for (unsigned i = 0; i < PH_HUB_FAMILIES; i++)
        config.addresses[i] = hub->sockets[i << FAMILY_SHIFT];
    return ph_station_new(&config);
}

/* Of one family; FALSE: the core refuses. */
static gboolean add_reflector(Hub *hub, const PlAgentStart *start, unsigned index)
{
    static const PhFamily families[PH_HUB_FAMILIES] = {PH_FAMILY_IPV4, PH_FAMILY_IPV6};
    const PlProgram *program = &start->host->program;
    PhReflectorConfig config;
    unsigned n = 0;

    ph_reflector_config_init(&config);
    pl_agent_seed(start->seed, config.seed);
    config.ports[0] = program->addresses[0].port;
    config.ports[1] = program->second_port;
    for (unsigned i = 0; i < program->n_addresses; i++) {
        if (program->addresses[i].family != families[index])
            continue;
        config.hosts[n] = program->addresses[i];
        config.hosts[n].port = 0;
        for (unsigned port = 0; port < 2; port++) {
            PhAddress *socket = &hub->sockets[index << FAMILY_SHIFT | PH_REFLECTOR_SOCKET(n, port)];

            *socket = config.hosts[n];
            socket->port = config.ports[port];
        }
        n++;
    }
    hub->reflectors[index] = n > 0 ? ph_reflector_new(&config) : NULL;
    return n == 0 || hub->reflectors[index];
}

static gpointer hub_new(const PlAgentStart *start, GError **error)
{
    Hub *hub = g_new0(Hub, 1);
    gboolean whole = TRUE;

    for (unsigned i = 0; i < PH_HUB_FAMILIES; i++)
        whole = add_reflector(hub, start, i) && whole;
    hub->text = g_string_new("ready");
    hub->station = make_station(start, hub);
    if (whole && hub->station)
        return hub;
    g_set_error(error, PL_ERROR, PL_ERROR_FAILED, "host %s cannot be a hub", start->host->name);
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

static void poll_station(Hub *hub, PlAgentAction *ret_action)
{
    PhTransmit transmit;

    if (ph_station_poll_transmit(hub->station, &transmit))
        *ret_action = (PlAgentAction){
            .kind = PL_AGENT_SEND,
            .socket = transmit.path.socket,
            .address = transmit.path.remote,
            .bytes = transmit.bytes,
            .length = transmit.length,
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
    } else {
        poll_station(hub, ret_action);
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
    uint32_t family = path->socket >> FAMILY_SHIFT;
    PhPath seen = *path;

    if (ph_station_is_packet(bytes, length)) {
        ph_station_handle_datagram(hub->station, path, bytes, length, now);
        return;
    }
    seen.socket &= (1U << FAMILY_SHIFT) - 1;
    hub->answer_length = ph_reflector_handle_datagram(hub->reflectors[family], &seen, bytes, length,
                                                      now, &hub->path, hub->answer);
    hub->path.socket |= family << FAMILY_SHIFT;
}

static uint64_t hub_next_timeout(gpointer data)
{
    return ph_station_next_timeout(((Hub *)data)->station);
}

static void hub_timeout(gpointer data, uint64_t now)
{
    ph_station_handle_timeout(((Hub *)data)->station, now);
}

PhStation *pl_hub_agent_station(gpointer agent)
{
    return ((Hub *)agent)->station;
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
