/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The prober's sockets, their ports, and the queue of actions. */
#include "prober/probe.h"
#include "topology/random.h"

/* Where no local system keeps services; Linux hands out ephemeral ports from 32768 on, hence the
 * retries. */
#define PORT_FIRST 20000
#define PORT_LAST  59999

/* Another port is tried this often. */
#define OPEN_TRIES 16

/* How far beyond a port that was seen a NAT that counts may have come. */
#define SPREAD 256

uint64_t pl_probe_random(PlProber *prober)
{
    return pl_random_next(&prober->random);
}

static void mark_port(PlProber *prober, uint16_t port)
{
    prober->used_ports[port / 64] |= G_GUINT64_CONSTANT(1) << port % 64;
}

static gboolean is_marked(const PlProber *prober, uint16_t port)
{
    return prober->used_ports[port / 64] >> port % 64 & 1;
}

static gboolean is_forwarded(const PlProber *prober, uint16_t port)
{
    const GArray *forwards = prober->plan.nat ? prober->plan.nat->forwards : NULL;

    for (unsigned i = 0; forwards && i < forwards->len; i++) {
        const PlForward *forward = &g_array_index(forwards, PlForward, i);

        if (forward->outside_port == port || forward->inside.port == port)
            return TRUE;
    }
    return FALSE;
}

static gboolean is_near_external(const PlProber *prober, uint16_t port)
{
    for (unsigned i = 0; i < prober->flows->len; i++) {
        int seen = g_array_index(prober->flows, PlProbeFlow, i).external.port;

        if (port >= seen - SPREAD && port <= seen + SPREAD)
            return TRUE;
    }
    return FALSE;
}

/* One that has not been drawn before, 0 when none was found in as many tries as there are ports in
 * a small range. */
static uint16_t draw_port(PlProber *prober, gboolean spread)
{
    unsigned first = prober->plan.port_last ? prober->plan.port_first : PORT_FIRST;
    unsigned last = prober->plan.port_last ? prober->plan.port_last : PORT_LAST;

    for (unsigned tries = 0; tries < 256; tries++) {
        uint16_t port = (uint16_t)(first + pl_probe_random(prober) % (last - first + 1));

        if (!is_marked(prober, port) && !is_forwarded(prober, port) &&
            (!spread || !is_near_external(prober, port)))
            return port;
    }
    return 0;
}

uint16_t pl_probe_port(PlProber *prober, gboolean spread)
{
    unsigned first = prober->plan.port_last ? prober->plan.port_first : PORT_FIRST;
    unsigned last = prober->plan.port_last ? prober->plan.port_last : PORT_LAST;
    uint16_t port = draw_port(prober, spread);

    /* A range that many share is too small to keep away from all that were seen. */
    if (port == 0 && spread)
        port = draw_port(prober, FALSE);
    /* Nearly every port is taken: a doubled one is found out when it is opened. */
    if (port == 0)
        return (uint16_t)(first + pl_probe_random(prober) % (last - first + 1));
    mark_port(prober, port);
    return port;
}

PlProbeAction *pl_probe_act(PlProber *prober, PlProbeActionKind kind, unsigned id)
{
    PlProbeAction *action = g_new0(PlProbeAction, 1);

    action->kind = kind;
    action->id = id;
    g_queue_push_tail(&prober->actions, action);
    return action;
}

PlProbeSocket *pl_probe_socket(const PlProber *prober, unsigned id)
{
    if (id < PL_PROBE_ID_SOCKET || id - PL_PROBE_ID_SOCKET >= prober->sockets->len)
        return NULL;
    return &g_array_index(prober->sockets, PlProbeSocket, id - PL_PROBE_ID_SOCKET);
}

unsigned pl_probe_open(PlProber *prober, PlProbePlace place, const PhAddress *host, uint16_t port)
{
    unsigned id = PL_PROBE_ID_SOCKET + prober->sockets->len;
    PlProbeSocket socket = {.place = place, .local = *host, .fixed = port != 0};
    PlProbeAction *action = pl_probe_act(prober, PL_PROBE_OPEN, id);

    socket.local.port = port ? port : pl_probe_port(prober, /* spread= */ FALSE);
    mark_port(prober, socket.local.port);
    g_array_append_val(prober->sockets, socket);
    action->place = place;
    action->local = socket.local;
    return id;
}

void pl_probe_close(PlProber *prober, unsigned id)
{
    PlProbeSocket *socket = pl_probe_socket(prober, id);

    if (socket->dead)
        return;
    socket->dead = TRUE;
    pl_probe_act(prober, PL_PROBE_CLOSE, id);
}

/* The next try goes before everything that waits: datagrams from this socket are among it. */
void pl_probe_socket_failed(PlProber *prober, unsigned id)
{
    PlProbeSocket *socket = pl_probe_socket(prober, id);
    PlProbeAction *action;
    PhAddress old;

    if (!socket || socket->dead)
        return;
    if (socket->fixed || ++socket->tries == OPEN_TRIES) {
        socket->dead = TRUE;
        return;
    }
    old = socket->local;
    socket->local.port = pl_probe_port(prober, /* spread= */ FALSE);
    pl_probe_readdress(prober, id, &old);
    action = g_new0(PlProbeAction, 1);
    action->kind = PL_PROBE_OPEN;
    action->id = id;
    action->place = socket->place;
    action->local = socket->local;
    g_queue_push_head(&prober->actions, action);
}
