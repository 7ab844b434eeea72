/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Datagrams in flight. On the wire each is
 *
 *     "pinprobe"  run id (8 bytes)  token (4, network order)  copy (1)
 *
 * so that a stray packet of another run is never taken for one of ours, and no two packets of a run
 * are alike.
 *
 *     FLYING --> ARRIVED     at the socket it was meant for
 *        |-----> LOST        all copies sent, the last one's time over; or a socket that is dead
 *                            (a brief one that was only late can still arrive)
 */
#include "prober/probe.h"

#include <string.h>

#define MAGIC        "pinprobe"
#define MAGIC_LENGTH 8
#define LENGTH       (MAGIC_LENGTH + 8 + 4 + 1)

/* Copies sent, and the time after each. */
static const struct {
    unsigned n, gap_ms[5];
} schedules[] = {
    [PL_FLIGHT_ONCE] = {0, {0}},
    [PL_FLIGHT_MUST] = {5, {100, 200, 400, 800, 500}},
    [PL_FLIGHT_BRIEF] = {3, {50, 50, 50}},
};

/* Sent at once where the way loses packets: with 5 % at both ends one of 10000 finds all of them
 * lost. */
#define ONCE_LOSSY 4

/* A slow way needs more grace: as long again as its control took, up to this. */
#define SLOW_MAX_NS (500 * PL_MS)

static PlFlight *flight_at(const PlProber *prober, unsigned token)
{
    g_assert(token < prober->flights->len);
    return &g_array_index(prober->flights, PlFlight, token);
}

static void send_copy(PlProber *prober, unsigned token)
{
    PlFlight *flight = flight_at(prober, token);
    PlProbeAction *action = pl_probe_act(prober, PL_PROBE_SEND, flight->from);
    uint32_t number = GUINT32_TO_BE(token);
    uint8_t *at = action->data;

    action->remote = flight->remote;
    memcpy(at, MAGIC, MAGIC_LENGTH);
    memcpy(at += MAGIC_LENGTH, prober->run, 8);
    memcpy(at += 8, &number, 4);
    at[4] = (uint8_t)flight->copies;
    action->data_length = LENGTH;
    flight->due_ns = schedules[flight->care].n
                         ? prober->now + schedules[flight->care].gap_ms[flight->copies] * PL_MS
                         : UINT64_MAX;
    flight->last_ns = prober->now;
    flight->copies++;
}

unsigned pl_probe_send(PlProber *prober, unsigned from, unsigned to, const PhAddress *remote,
                       PlFlightCare care)
{
    unsigned token = prober->flights->len;
    PlFlight flight = {
        .from = from, .to = to, .remote = *remote, .care = care, .sent_ns = prober->now};

    g_array_append_val(prober->flights, flight);
    send_copy(prober, token);
    while (care == PL_FLIGHT_ONCE && prober->plan.lossy &&
           flight_at(prober, token)->copies < ONCE_LOSSY)
        send_copy(prober, token);
    return token;
}

unsigned pl_probe_contact(PlProber *prober, unsigned from, unsigned to)
{
    return pl_probe_send(prober, from, to, &pl_probe_socket(prober, to)->local, PL_FLIGHT_MUST);
}

static gboolean has_dead_end(const PlProber *prober, const PlFlight *flight)
{
    return pl_probe_socket(prober, flight->from)->dead || pl_probe_socket(prober, flight->to)->dead;
}

void pl_probe_tick(PlProber *prober)
{
    for (unsigned token = 0; token < prober->flights->len; token++) {
        PlFlight *flight = flight_at(prober, token);

        if (flight->state != PL_FLIGHT_FLYING)
            continue;
        if (has_dead_end(prober, flight)) {
            flight->state = PL_FLIGHT_LOST;
            continue;
        }
        if (flight->due_ns > prober->now)
            continue;
        if (flight->copies < schedules[flight->care].n)
            send_copy(prober, token);
        else
            flight->state = PL_FLIGHT_LOST;
    }
}

/* The socket that this goes to has another address now. */
void pl_probe_readdress(PlProber *prober, unsigned socket, const PhAddress *old)
{
    const PhAddress *address = &pl_probe_socket(prober, socket)->local;

    for (unsigned token = 0; token < prober->flights->len; token++) {
        PlFlight *flight = flight_at(prober, token);

        if (flight->to == socket && ph_address_equal(&flight->remote, old))
            flight->remote = *address;
    }
    for (GList *link = prober->actions.head; link; link = link->next) {
        PlProbeAction *action = link->data;

        if (action->kind == PL_PROBE_SEND && ph_address_equal(&action->remote, old))
            action->remote = *address;
    }
}

uint64_t pl_probe_due(const PlProber *prober)
{
    uint64_t due = UINT64_MAX;

    for (unsigned token = 0; token < prober->flights->len; token++) {
        const PlFlight *flight = flight_at(prober, token);

        if (flight->state == PL_FLIGHT_FLYING)
            due = MIN(due, flight->due_ns);
    }
    return due;
}

const PhAddress *pl_probe_external(const PlProber *prober, unsigned socket)
{
    for (unsigned i = 0; i < prober->flows->len; i++) {
        const PlProbeFlow *flow = &g_array_index(prober->flows, PlProbeFlow, i);

        if (flow->socket == socket)
            return &flow->external;
    }
    return NULL;
}

static void record_flow(PlProber *prober, const PlFlight *flight)
{
    PlProbeFlow flow = {flight->from, flight->remote, flight->source, TRUE, TRUE};

    for (unsigned i = 0; i < prober->flows->len; i++) {
        const PlProbeFlow *other = &g_array_index(prober->flows, PlProbeFlow, i);

        if (other->socket != flow.socket)
            continue;
        if (ph_address_equal(&other->remote, &flow.remote))
            return;
        flow.first = FALSE;
        if (ph_address_equal(&other->external, &flow.external))
            flow.fresh = FALSE;
    }
    g_array_append_val(prober->flows, flow);
}

void pl_probe_receive(PlProber *prober, unsigned id, const PhAddress *from, const uint8_t *data,
                      size_t length)
{
    PlFlight *flight;
    uint32_t token;

    if (length != LENGTH || memcmp(data, MAGIC, MAGIC_LENGTH) != 0 ||
        memcmp(data + MAGIC_LENGTH, prober->run, 8) != 0)
        return;
    memcpy(&token, data + MAGIC_LENGTH + 8, 4);
    token = GUINT32_FROM_BE(token);
    if (token >= prober->flights->len)
        return;
    flight = flight_at(prober, token);
    if (flight->to != id || flight->state == PL_FLIGHT_ARRIVED || has_dead_end(prober, flight))
        return;
    /* Late is not lost as long as nobody has acted on it, and only in brief flights none has. */
    if (flight->state == PL_FLIGHT_LOST && flight->care != PL_FLIGHT_BRIEF)
        return;
    flight->state = PL_FLIGHT_ARRIVED;
    flight->arrived_ns = prober->now;
    flight->source = *from;
    if (pl_probe_socket(prober, flight->from)->place == PL_PROBE_PLACE_INSIDE &&
        pl_probe_socket(prober, flight->to)->place == PL_PROBE_PLACE_OUTSIDE)
        record_flow(prober, flight);
}

const PlFlight *pl_probe_flight(const PlProber *prober, unsigned token)
{
    return flight_at(prober, token);
}

gboolean pl_probe_arrived(const PlProber *prober, unsigned token)
{
    return flight_at(prober, token)->state == PL_FLIGHT_ARRIVED;
}

gboolean pl_probe_lost(const PlProber *prober, unsigned token)
{
    return flight_at(prober, token)->state == PL_FLIGHT_LOST;
}

char *pl_probe_lost_why(const PlProber *prober, unsigned token)
{
    const PlFlight *flight = flight_at(prober, token);
    const PlProbeSocket *from = pl_probe_socket(prober, flight->from),
                        *to = pl_probe_socket(prober, flight->to), *dead = from->dead ? from : to;
    char a[PH_ADDRESS_TEXT_MAX], b[PH_ADDRESS_TEXT_MAX];

    if (dead->dead)
        return g_strdup_printf("%s could not be bound", ph_address_format(&dead->local, a));
    return g_strdup_printf("nothing that %s sent to %s arrived", ph_address_format(&from->local, a),
                           ph_address_format(&flight->remote, b));
}

PlTrial pl_probe_trial(PlProber *prober, unsigned control)
{
    const PlFlight *flight = flight_at(prober, control);
    uint64_t settled;

    switch (flight->state) {
    case PL_FLIGHT_FLYING:
        return PL_TRIAL_WAITING;
    case PL_FLIGHT_LOST:
        return PL_TRIAL_FAILED;
    case PL_FLIGHT_ARRIVED:
        break;
    }
    settled = flight->arrived_ns + PL_PROBE_GRACE_NS +
              MIN(flight->arrived_ns - flight->sent_ns, SLOW_MAX_NS);
    if (prober->now >= settled)
        return PL_TRIAL_SETTLED;
    pl_probe_wake(prober, settled);
    return PL_TRIAL_WAITING;
}
