/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Static port forwards (UDP): each that leads to the inside place, through each external address.
 *
 *     START --> FLYING (one after the other) --> over
 */
#include "prober/probe.h"

enum { START, FLYING };

static gboolean is_here(const PlProber *prober, const PlForward *forward)
{
    return forward->protocol == PL_PROTOCOL_UDP &&
           (ph_address_equal_host(&forward->inside, &prober->plan.inside[0]) ||
            ph_address_equal_host(&forward->inside, &prober->plan.inside[1]));
}

static const PlForward *forward_at(const PlProber *prober)
{
    return &g_array_index(prober->plan.nat->forwards, PlForward, prober->forwards.i);
}

/* The external address to try next; NULL after the last. */
static const PhAddress *external_at(const PlProber *prober)
{
    const GArray *pool = pl_nat_outside(prober->plan.nat)->addresses;

    if (prober->forwards.address >= pool->len)
        return NULL;
    return &g_array_index(pool, PhAddress, prober->forwards.address);
}

static void send(PlProber *prober)
{
    PlForwardsTest *test = &prober->forwards;
    PhAddress remote = *external_at(prober);

    remote.port = forward_at(prober)->outside_port;
    test->flight = pl_probe_send(prober, test->outside, test->socket, &remote, PL_FLIGHT_MUST);
}

/* Goes on to the next thing to try; FALSE when there is none. */
static gboolean send_next(PlProber *prober)
{
    PlForwardsTest *test = &prober->forwards;
    const GArray *forwards = prober->plan.nat->forwards;

    if (test->state == FLYING) {
        test->address++;
        if (external_at(prober)) {
            send(prober);
            return TRUE;
        }
        pl_probe_close(prober, test->socket);
        test->address = 0;
        test->i++;
    }
    for (; test->i < forwards->len; test->i++) {
        const PlForward *forward = forward_at(prober);

        if (!is_here(prober, forward) || !external_at(prober))
            continue;
        if (test->state == START)
            test->outside =
                pl_probe_open(prober, PL_PROBE_PLACE_OUTSIDE, &prober->plan.outside[1], 0);
        test->state = FLYING;
        test->socket =
            pl_probe_open(prober, PL_PROBE_PLACE_INSIDE, &forward->inside, forward->inside.port);
        send(prober);
        return TRUE;
    }
    return FALSE;
}

/* FALSE when this one does not do what it should. */
static gboolean judge(PlProber *prober)
{
    const PlForwardsTest *test = &prober->forwards;
    const PlFlight *flight = pl_probe_flight(prober, test->flight);
    const PhAddress *sender = &pl_probe_socket(prober, test->outside)->local;
    g_autofree char *wrong = NULL;
    char a[PH_ADDRESS_TEXT_MAX], b[PH_ADDRESS_TEXT_MAX], c[PH_ADDRESS_TEXT_MAX];

    if (flight->state == PL_FLIGHT_LOST && pl_probe_socket(prober, test->socket)->dead) {
        pl_probe_undecided_lost(prober, PL_AXIS_FORWARDS, test->flight);
        return FALSE;
    }
    if (flight->state == PL_FLIGHT_LOST)
        wrong = g_strdup_printf("udp %s does not reach %s", ph_address_format(&flight->remote, a),
                                ph_address_format(&forward_at(prober)->inside, b));
    else if (!ph_address_equal(&flight->source, sender))
        wrong = g_strdup_printf("udp %s changes the source %s into %s",
                                ph_address_format(&flight->remote, a), ph_address_format(sender, b),
                                ph_address_format(&flight->source, c));
    pl_findings_set(&prober->findings, PL_AXIS_FORWARDS, wrong ? wrong : "ok", NULL);
    return !wrong;
}

gboolean pl_forwards_step(PlProber *prober)
{
    PlForwardsTest *test = &prober->forwards;

    if (test->state == START && (!prober->claim || !prober->plan.nat->forwards ||
                                 prober->plan.nat->attachments->len != 2 || !send_next(prober)))
        return TRUE;
    while (pl_probe_flight(prober, test->flight)->state != PL_FLIGHT_FLYING) {
        if (!judge(prober)) {
            pl_probe_close(prober, test->socket);
            return TRUE;
        }
        if (!send_next(prober)) {
            pl_probe_close(prober, test->outside);
            return TRUE;
        }
    }
    return FALSE;
}
