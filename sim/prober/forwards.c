/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Static port forwards: each that leads to the inside place, through each external address.
 *
 *     START --> TRYING (one after the other) --> over
 *
 * Every try comes from an outside port of its own: two that came from one would be one flow to the
 * host inside, and a NAT can give that to one of them only.
 */
#include "prober/probe.h"

enum { START, TRYING };

/* The driver is to report within two seconds; one that does not is not waited for forever. */
#define REPORT_NS (3000 * PL_MS)

static const PlForward *forward_at(const PlProber *prober)
{
    return &g_array_index(prober->plan.nat->forwards, PlForward, prober->forwards.i);
}

static gboolean is_tcp(const PlProber *prober)
{
    return forward_at(prober)->protocol == PL_PROTOCOL_TCP;
}

/* The external endpoint that is tried. */
static PhAddress external_at(const PlProber *prober)
{
    const GArray *pool = pl_nat_outside(prober->plan.nat)->addresses;
    PhAddress external = g_array_index(pool, PhAddress, prober->forwards.address);

    external.port = forward_at(prober)->outside_port;
    return external;
}

static void try_udp(PlProber *prober)
{
    PlForwardsTest *test = &prober->forwards;
    const PlForward *forward = forward_at(prober);
    PhAddress remote = external_at(prober);

    test->outside = pl_probe_open(prober, PL_PROBE_PLACE_OUTSIDE, &prober->plan.outside[1], 0);
    test->socket =
        pl_probe_open(prober, PL_PROBE_PLACE_INSIDE, &forward->inside, forward->inside.port);
    test->flight = pl_probe_send(prober, test->outside, test->socket, &remote, PL_FLIGHT_MUST);
}

static void try_tcp(PlProber *prober)
{
    PlForwardsTest *test = &prober->forwards;
    PlProbeAction *action = pl_probe_act(prober, PL_PROBE_TCP, PL_PROBE_ID_FORWARD);

    action->place = PL_PROBE_PLACE_OUTSIDE;
    action->local = prober->plan.outside[1];
    action->remote = external_at(prober);
    action->listener = forward_at(prober)->inside;
    test->tcp = PL_ANSWER_PENDING;
    test->tcp_ns = prober->now;
}

/* Goes on to the next thing to try; FALSE when there is none. */
static gboolean try_next(PlProber *prober)
{
    PlForwardsTest *test = &prober->forwards;
    const GArray *forwards = prober->plan.nat->forwards;
    unsigned n_external = pl_nat_outside(prober->plan.nat)->addresses->len;

    if (test->state == TRYING && ++test->address == n_external) {
        test->address = 0;
        test->i++;
    }
    test->state = TRYING;
    while (test->i < forwards->len &&
           !ph_address_equal_host(&forward_at(prober)->inside, &prober->plan.inside[0]))
        test->i++;
    if (test->i == forwards->len || n_external == 0)
        return FALSE;
    if (is_tcp(prober))
        try_tcp(prober);
    else
        try_udp(prober);
    return TRUE;
}

void pl_forwards_tcp(PlProber *prober, const PhAddress *from, gboolean unavailable)
{
    PlForwardsTest *test = &prober->forwards;

    if (test->state != TRYING || test->tcp != PL_ANSWER_PENDING)
        return;
    test->tcp = from ? PL_ANSWER_YES : PL_ANSWER_NO;
    test->unavailable = unavailable;
    if (from)
        test->tcp_from = *from;
}

static gboolean is_flying(PlProber *prober)
{
    PlForwardsTest *test = &prober->forwards;
    uint64_t until = test->tcp_ns + REPORT_NS;

    if (!is_tcp(prober))
        return pl_probe_flight(prober, test->flight)->state == PL_FLIGHT_FLYING;
    if (test->tcp == PL_ANSWER_PENDING && prober->now >= until)
        test->tcp = PL_ANSWER_NO;
    if (test->tcp != PL_ANSWER_PENDING)
        return FALSE;
    pl_probe_wake(prober, until);
    return TRUE;
}

/* Whether the latest try arrived, and from where; *ret_why says that nothing can be told. */
static gboolean arrived(const PlProber *prober, PhAddress *ret_from, char **ret_why)
{
    const PlForwardsTest *test = &prober->forwards;
    char text[PH_ADDRESS_TEXT_MAX];

    if (is_tcp(prober)) {
        if (test->unavailable)
            *ret_why = g_strdup_printf("%s could not be bound",
                                       ph_address_format(&forward_at(prober)->inside, text));
        *ret_from = test->tcp_from;
        return test->tcp == PL_ANSWER_YES;
    }
    *ret_from = pl_probe_flight(prober, test->flight)->source;
    if (pl_probe_socket(prober, test->socket)->dead || pl_probe_socket(prober, test->outside)->dead)
        *ret_why = pl_probe_lost_why(prober, test->flight);
    return pl_probe_arrived(prober, test->flight);
}

/* The connecting end of a TCP connection has any port. */
static gboolean is_from(const PlProber *prober, const PhAddress *from, PhAddress *ret_sender)
{
    *ret_sender = prober->plan.outside[1];
    if (is_tcp(prober))
        return ph_address_equal_host(from, ret_sender);
    *ret_sender = pl_probe_socket(prober, prober->forwards.outside)->local;
    return ph_address_equal(from, ret_sender);
}

/* FALSE when this one does not do what it should, or cannot be tried. */
static gboolean judge(PlProber *prober)
{
    PhAddress external = external_at(prober), from, sender;
    const char *protocol = is_tcp(prober) ? "tcp" : "udp";
    g_autofree char *wrong = NULL, *why = NULL;
    char a[PH_ADDRESS_TEXT_MAX], b[PH_ADDRESS_TEXT_MAX], c[PH_ADDRESS_TEXT_MAX];

    if (!arrived(prober, &from, &why))
        wrong =
            g_strdup_printf("%s %s does not reach %s", protocol, ph_address_format(&external, a),
                            ph_address_format(&forward_at(prober)->inside, b));
    else if (!is_from(prober, &from, &sender))
        wrong = g_strdup_printf("%s %s changes the source %s into %s", protocol,
                                ph_address_format(&external, a), ph_address_format(&sender, b),
                                ph_address_format(&from, c));
    if (why)
        pl_findings_set(&prober->findings, PL_AXIS_FORWARDS, NULL, why);
    else
        pl_findings_set(&prober->findings, PL_AXIS_FORWARDS, wrong ? wrong : "ok", NULL);
    return !why && !wrong;
}

gboolean pl_forwards_step(PlProber *prober)
{
    if (prober->forwards.state == START && !try_next(prober))
        return TRUE;
    while (!is_flying(prober)) {
        gboolean right = judge(prober);

        if (!is_tcp(prober)) {
            pl_probe_close(prober, prober->forwards.socket);
            pl_probe_close(prober, prober->forwards.outside);
        }
        if (!right || !try_next(prober))
            return TRUE;
    }
    return FALSE;
}
