/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Drives a prober in virtual time: its sockets are those of the hosts' stacks.
 *
 * A socket that is closed stays until everything has happened that happens at this very time. Where
 * nothing takes time, packets are still on their way that a real host would have had in the
 * socket's queue, and would have answered with nothing.
 */
#include "virtual/lab.h"

#define SECOND_NS G_GUINT64_CONSTANT(1000000000)
/* prober.h promises an answer about connections and echoes within this. */
#define ANSWER_NS (2 * SECOND_NS)
/* No test waits that long; PL_ORACLE_TIMEOUT_MAX_NS is the longest silence that is meant. */
#define NO_PROGRESS_NS (60 * SECOND_NS)

typedef struct Probe {
    PlProbeActionKind kind; /* OPEN, TCP or ECHO: what it was made by */
    unsigned id;
    PlStack *stack, *listener_stack;
    PlSocket *socket; /* of UDP, or the connecting one; NULL: an echo, or it could not be sent */
    PlSocket *listener;
    uint64_t deadline;
    gboolean closing;
} Probe;

typedef struct Drive {
    PlClient client;
    PlLab *lab;
    PlProber *prober;
    PlStack *places[2];
    GArray *probes; /* Probe, in the order they were made */
    PlSocket *echo; /* all echoes are of one; NULL: there was none */
    uint64_t progress_ns;
    gboolean done;
} Drive;

static Probe *probe_at(const Drive *drive, unsigned i)
{
    return &g_array_index(drive->probes, Probe, i);
}

/* Connections and echoes are named in a space of their own: a socket may have the same id. */
static guint find(const Drive *drive, gboolean udp, unsigned id)
{
    guint i = 0;

    while (i < drive->probes->len &&
           (probe_at(drive, i)->id != id || (probe_at(drive, i)->kind == PL_PROBE_OPEN) != udp ||
            probe_at(drive, i)->closing))
        i++;
    return i;
}

static void end(Drive *drive, guint i)
{
    Probe probe = *probe_at(drive, i);

    g_array_remove_index(drive->probes, i);
    if (probe.socket)
        pl_stack_close(probe.stack, probe.socket, drive->lab->now);
    if (probe.listener)
        pl_stack_close(probe.listener_stack, probe.listener, drive->lab->now);
}

static void end_closing(Drive *drive)
{
    for (guint i = drive->probes->len; i-- > 0;)
        if (probe_at(drive, i)->closing)
            end(drive, i);
}

static void do_close(Drive *drive, unsigned id)
{
    Probe *probe = probe_at(drive, find(drive, TRUE, id));

    probe->closing = TRUE;
    probe->deadline = drive->lab->now;
}

static void do_open(Drive *drive, const PlProbeAction *action)
{
    Probe probe = {
        .kind = action->kind,
        .id = action->id,
        .stack = drive->places[action->place],
        .deadline = UINT64_MAX,
    };

    probe.socket = pl_stack_open(probe.stack, &action->local, drive, action->id);
    if (!probe.socket) { /* one that is closed already may be in its way */
        end_closing(drive);
        probe.socket = pl_stack_open(probe.stack, &action->local, drive, action->id);
    }
    if (probe.socket)
        g_array_append_val(drive->probes, probe);
    else
        pl_prober_open_failed(drive->prober, action->id, drive->lab->now);
}

static void do_send(Drive *drive, const PlProbeAction *action)
{
    const Probe *probe = probe_at(drive, find(drive, TRUE, action->id));

    pl_stack_send(probe->stack, probe->socket, &action->remote, action->data, action->data_length,
                  /* ttl= */ 0, drive->lab->now);
}

/* Where the listener is whom the connection goes to, another port does as well. */
static void do_tcp(Drive *drive, const PlProbeAction *action)
{
    gboolean inside = action->place == PL_PROBE_PLACE_INSIDE, direct;
    PhAddress local = action->local, remote = action->remote, at = action->listener;
    Probe probe = {
        .kind = action->kind,
        .id = action->id,
        .stack = drive->places[action->place],
        .listener_stack = drive->places[inside ? PL_PROBE_PLACE_OUTSIDE : PL_PROBE_PLACE_INSIDE],
        .deadline = drive->lab->now + ANSWER_NS,
    };

    direct = ph_address_equal(&at, &remote);
    probe.listener = pl_stack_listen(probe.listener_stack, &at, drive, action->id);
    if (!probe.listener && direct) {
        at.port = 0;
        probe.listener = pl_stack_listen(probe.listener_stack, &at, drive, action->id);
    }
    if (!probe.listener) {
        pl_prober_open_failed(drive->prober, action->id, drive->lab->now);
        return;
    }
    if (direct)
        remote = *pl_socket_local(probe.listener);
    local.port = 0;
    probe.socket =
        pl_stack_connect(probe.stack, &local, &remote, drive, action->id, drive->lab->now);
    if (!probe.socket)
        probe.deadline = drive->lab->now;
    g_array_append_val(drive->probes, probe);
}

static void do_echo(Drive *drive, const PlProbeAction *action)
{
    Probe probe = {
        .kind = action->kind,
        .id = action->id,
        .stack = drive->places[PL_PROBE_PLACE_INSIDE],
        .deadline = drive->lab->now + ANSWER_NS,
    };

    if (!drive->echo)
        drive->echo =
            pl_stack_echo(probe.stack, &action->local, &action->remote, drive, action->id);
    if (drive->echo)
        pl_stack_echo_send(probe.stack, drive->echo, (uint16_t)action->id, drive->lab->now);
    g_array_append_val(drive->probes, probe);
}

static void act(Drive *drive, const PlProbeAction *action)
{
    switch (action->kind) {
    case PL_PROBE_OPEN:
        do_open(drive, action);
        break;
    case PL_PROBE_CLOSE:
        do_close(drive, action->id);
        break;
    case PL_PROBE_SEND:
        do_send(drive, action);
        break;
    case PL_PROBE_TCP:
        do_tcp(drive, action);
        break;
    case PL_PROBE_ECHO:
        do_echo(drive, action);
        break;
    case PL_PROBE_NOTHING:
    case PL_PROBE_DONE:
        break;
    }
}

/* Does all that the prober has to do now. */
static void pump(Drive *drive)
{
    for (;;) {
        PlProbeAction action;

        pl_prober_poll(drive->prober, &action);
        if (action.kind == PL_PROBE_DONE)
            drive->done = TRUE;
        if (action.kind == PL_PROBE_DONE || action.kind == PL_PROBE_NOTHING)
            return;
        drive->progress_ns = drive->lab->now;
        act(drive, &action);
    }
}

/* A connection or an echo is over. */
static void answer(Drive *drive, guint i, const PhAddress *from, uint64_t now)
{
    PlProbeActionKind kind = probe_at(drive, i)->kind;
    unsigned id = probe_at(drive, i)->id;

    end(drive, i);
    if (kind == PL_PROBE_TCP)
        pl_prober_tcp(drive->prober, id, from, now);
    else
        pl_prober_echo(drive->prober, id, from != NULL, now);
}

static void take_event(PlClient *client, const PlStackEvent *event, uint64_t now)
{
    Drive *drive = (Drive *)client;
    uint32_t id = event->kind == PL_STACK_ECHO ? event->sequence : pl_socket_id(event->socket);
    gboolean datagram = event->kind == PL_STACK_DATAGRAM || event->kind == PL_STACK_UNREACHABLE;
    guint other = find(drive, datagram, id);

    if (other == drive->probes->len)
        return; /* it is closed */
    if (event->kind == PL_STACK_ACCEPTED)
        pl_stack_close(probe_at(drive, other)->listener_stack, event->connection, now);
    if (drive->done)
        return;
    switch (event->kind) {
    case PL_STACK_DATAGRAM:
        pl_prober_datagram(drive->prober, id, &event->remote, event->bytes, event->length, now);
        break;
    case PL_STACK_UNREACHABLE:
        if (event->port_closed)
            pl_prober_unreachable(drive->prober, id, &event->remote, now);
        break;
    case PL_STACK_ACCEPTED:
    case PL_STACK_ECHO:
        answer(drive, other, &event->remote, now);
        break;
    case PL_STACK_FAILED:
        answer(drive, other, NULL, now);
        break;
    case PL_STACK_CONNECTED: /* it is the listener who knows from where */
        break;
    }
    pump(drive);
}

static uint64_t next_time(const PlClient *client)
{
    const Drive *drive = (const Drive *)client;
    uint64_t next = pl_prober_next_timeout(drive->prober); /* UINT64_MAX once it is done */

    for (guint i = 0; i < drive->probes->len; i++)
        next = MIN(next, probe_at(drive, i)->deadline);
    return next;
}

static void take_timeout(PlClient *client, uint64_t now)
{
    Drive *drive = (Drive *)client;

    for (guint i = 0; i < drive->probes->len; i++) {
        if (probe_at(drive, i)->deadline > now)
            continue;
        if (probe_at(drive, i)->closing) {
            end(drive, i);
            return;
        }
        answer(drive, i, NULL, now);
        pump(drive);
        return;
    }
    if (drive->done)
        return;
    pl_prober_timeout(drive->prober, now);
    pump(drive);
}

static gboolean run(Drive *drive, GError **error)
{
    pump(drive);
    while (!drive->done) {
        uint64_t until = drive->progress_ns + NO_PROGRESS_NS;

        if (!pl_virtual_run(drive->lab, until, &drive->done, error))
            return FALSE;
        if (drive->done || drive->lab->now < drive->progress_ns + NO_PROGRESS_NS)
            continue;
        g_set_error(error, PL_ERROR, PL_ERROR_FAILED, "the prober made no progress for %u s",
                    (unsigned)(NO_PROGRESS_NS / SECOND_NS));
        return FALSE;
    }
    return TRUE;
}

static PlStack *stand(PlLab *lab, const PlVantage *vantage)
{
    return vantage->host ? lab->nodes[vantage->host->index].stack
                         : pl_virtual_presence(lab, vantage->network)->stack;
}

gboolean pl_virtual_probe(PlLab *lab, const PlVantage *inside, const PlVantage *outside,
                          PlProber *prober, GError **error)
{
    Drive drive = {
        .client = {.event = take_event, .next = next_time, .timeout = take_timeout},
        .lab = lab,
        .prober = prober,
        .places = {[PL_PROBE_PLACE_INSIDE] = stand(lab, inside),
                   [PL_PROBE_PLACE_OUTSIDE] = stand(lab, outside)},
        .probes = g_array_new(FALSE, FALSE, sizeof(Probe)),
        .progress_ns = lab->now,
    };
    const gboolean never = FALSE;
    gboolean ok;

    lab->prober = &drive.client;
    ok = run(&drive, error) && pl_virtual_run(lab, lab->now, &never, error);
    while (drive.probes->len > 0)
        end(&drive, drive.probes->len - 1);
    if (drive.echo)
        pl_stack_close(drive.places[PL_PROBE_PLACE_INSIDE], drive.echo, lab->now);
    lab->prober = NULL;
    g_array_unref(drive.probes);
    return ok;
}
