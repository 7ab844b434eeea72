/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How many mappings one inside address can have: all sockets of this run that compete for them, and
 * as many fresh ones as make more than the file allows, contact the same outside socket at once.
 *
 *     START --> FLYING --(some lost)--> CONTROL, by one that was through --> over
 *                  |                                                          ^
 *                  +--(none lost)---------------------------------------------+
 */
#include "prober/probe.h"

enum { START, FLYING, CONTROL };

/* Sockets beyond the claimed number. */
#define MORE 8

unsigned pl_ports_claimed(const PlProber *prober)
{
    if (!prober->claim || prober->plan.nat->attachments->len != 2)
        return 0;
    return pl_behaviour_ports(prober->claim, pl_nat_outside(prober->plan.nat)->addresses->len);
}

/* Only blocks are one inside address's own. */
static gboolean is_subscriber(const PlProber *prober, const PlProbeSocket *socket)
{
    return socket->place == PL_PROBE_PLACE_INSIDE &&
           (prober->claim->port_allocation != PL_PORT_ALLOCATION_BLOCK ||
            ph_address_equal_host(&socket->local, &prober->plan.inside[0]));
}

static void send(PlProber *prober, unsigned socket)
{
    unsigned outside = prober->outside[0][0];
    unsigned token = pl_probe_send(prober, socket, outside,
                                   &pl_probe_socket(prober, outside)->local, PL_FLIGHT_BRIEF);

    g_array_append_val(prober->ports.flights, token);
}

static void start(PlProber *prober)
{
    PlPortsTest *test = &prober->ports;
    unsigned end = PL_PROBE_ID_SOCKET + prober->sockets->len;

    test->flights = g_array_new(FALSE, FALSE, sizeof(unsigned));
    for (unsigned id = PL_PROBE_ID_SOCKET; id < end; id++) {
        const PlProbeSocket *socket = pl_probe_socket(prober, id);

        if (!socket->dead && is_subscriber(prober, socket))
            send(prober, id);
    }
    while (test->flights->len < pl_ports_claimed(prober) + MORE)
        send(prober, pl_probe_open(prober, PL_PROBE_PLACE_INSIDE, &prober->plan.inside[0], 0));
}

static void count(const PlProber *prober, unsigned *ret_arrived, unsigned *ret_lost,
                  unsigned *ret_flying)
{
    const GArray *flights = prober->ports.flights;

    *ret_arrived = *ret_lost = *ret_flying = 0;
    for (unsigned i = 0; i < flights->len; i++) {
        const PlFlight *flight = pl_probe_flight(prober, g_array_index(flights, unsigned, i));

        if (flight->state == PL_FLIGHT_FLYING)
            ++*ret_flying;
        else if (flight->state == PL_FLIGHT_ARRIVED)
            ++*ret_arrived;
        else if (!pl_probe_socket(prober, flight->from)->dead)
            ++*ret_lost;
    }
}

static gboolean is_external_new(const PlProber *prober, unsigned flow)
{
    const PhAddress *external = &g_array_index(prober->flows, PlProbeFlow, flow).external;

    for (unsigned i = 0; i < flow; i++) {
        if (ph_address_equal(&g_array_index(prober->flows, PlProbeFlow, i).external, external))
            return FALSE;
    }
    return TRUE;
}

/* With a mapping that depends on the destination, ports may be taken towards others than here. */
static unsigned count_ports(const PlProber *prober, unsigned arrived)
{
    unsigned n = 0;

    if (prober->mapping.found == PL_MAPPING_ENDPOINT_INDEPENDENT)
        return arrived;
    for (unsigned i = 0; i < prober->flows->len; i++) {
        const PlProbeFlow *flow = &g_array_index(prober->flows, PlProbeFlow, i);

        n += is_subscriber(prober, pl_probe_socket(prober, flow->socket)) &&
             is_external_new(prober, i);
    }
    return MAX(n, arrived);
}

/* From one that has a mapping. */
static void send_control(PlProber *prober)
{
    const GArray *flights = prober->ports.flights;

    for (unsigned i = 0; i < flights->len; i++) {
        unsigned token = g_array_index(flights, unsigned, i);

        if (pl_probe_arrived(prober, token)) {
            prober->ports.control = pl_probe_contact(prober, pl_probe_flight(prober, token)->from,
                                                     prober->outside[0][0]);
            return;
        }
    }
    g_assert_not_reached();
}

gboolean pl_ports_step(PlProber *prober)
{
    PlPortsTest *test = &prober->ports;
    unsigned arrived, lost, flying;
    g_autofree char *value = NULL;

    if (test->state == START) {
        if (!pl_ports_claimed(prober) || prober->mapping.found == PL_MAPPING_NONE)
            return TRUE;
        start(prober);
        test->state = FLYING;
    }
    count(prober, &arrived, &lost, &flying);
    if (test->state == FLYING) {
        if (flying)
            return FALSE;
        if (arrived == 0) {
            pl_probe_undecided_lost(prober, PL_AXIS_PORTS,
                                    g_array_index(test->flights, unsigned, 0));
            return TRUE;
        }
        if (lost)
            send_control(prober);
        test->state = CONTROL;
    }
    switch (test->control ? pl_probe_trial(prober, test->control) : PL_TRIAL_SETTLED) {
    case PL_TRIAL_WAITING:
        return FALSE;
    case PL_TRIAL_FAILED:
        pl_probe_undecided_lost(prober, PL_AXIS_PORTS, test->control);
        return TRUE;
    case PL_TRIAL_SETTLED:
        break;
    }
    value = lost ? g_strdup_printf("%u", count_ports(prober, arrived)) : g_strdup("unlimited");
    pl_findings_set(&prober->findings, PL_AXIS_PORTS, value, NULL);
    return TRUE;
}
