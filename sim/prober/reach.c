/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether UDP, TCP and ICMP get out at all. TCP and ICMP are started with the first datagram and
 * are only waited for at the very end (pl_reach_rest_step), or when UDP seems to be blocked and
 * they are its control.
 *
 *     START --> FLYING --> over: UDP arrived, or it did not and something else did, or nothing did
 */
#include "prober/probe.h"

enum { START, FLYING };

/* Silence is believed after this long once another protocol has shown that the way is there: three
 * copies of the datagram are on it by then. */
#define UDP_PATIENCE_NS  (600 * PL_MS)
#define ICMP_PATIENCE_NS (1000 * PL_MS)

/* The driver is to report within two seconds; one that does not is not waited for forever. */
#define REPORT_NS (3000 * PL_MS)

static void start(PlProber *prober)
{
    PlReachTest *test = &prober->reach;
    PlProbeAction *action;

    test->start_ns = prober->now;
    for (unsigned i = 0; i < 2; i++) {
        for (unsigned j = 0; j < 2; j++)
            prober->outside[i][j] =
                pl_probe_open(prober, PL_PROBE_PLACE_OUTSIDE, &prober->plan.outside[i],
                              prober->plan.outside_port[j]);
    }
    test->socket = pl_probe_open(prober, PL_PROBE_PLACE_INSIDE, &prober->plan.inside[0],
                                 prober->plan.inside_port);
    test->flight = pl_probe_contact(prober, test->socket, prober->outside[0][0]);

    test->tcp_remote = prober->plan.outside[0];
    test->tcp_remote.port = pl_probe_port(prober, /* spread= */ FALSE);
    action = pl_probe_act(prober, PL_PROBE_TCP, PL_PROBE_ID_TCP);
    action->local = prober->plan.inside[0];
    action->remote = test->tcp_remote;

    action = pl_probe_act(prober, PL_PROBE_ECHO, PL_PROBE_ID_ECHO);
    action->local = prober->plan.inside[0];
    action->remote = prober->plan.outside[0];
}

/* TRUE at this time or later; until then it asks to be called again. */
static gboolean is_past(PlProber *prober, uint64_t time_ns)
{
    if (prober->now >= time_ns)
        return TRUE;
    pl_probe_wake(prober, time_ns);
    return FALSE;
}

static void give_up_on_reports(PlProber *prober)
{
    PlReachTest *test = &prober->reach;

    if (!is_past(prober, test->start_ns + REPORT_NS))
        return;
    if (test->tcp == PL_ANSWER_PENDING)
        test->tcp = PL_ANSWER_NO;
    if (test->icmp == PL_ANSWER_PENDING)
        test->icmp = PL_ANSWER_NO;
}

static gboolean is_way_there(const PlReachTest *test)
{
    return test->tcp == PL_ANSWER_YES || test->icmp == PL_ANSWER_YES;
}

gboolean pl_reach_step(PlProber *prober)
{
    PlReachTest *test = &prober->reach;

    if (test->state == START) {
        start(prober);
        test->state = FLYING;
    }
    if (pl_probe_arrived(prober, test->flight)) {
        test->udp = PL_ANSWER_YES;
        return TRUE;
    }
    if (pl_probe_socket(prober, test->socket)->dead)
        return TRUE; /* undecided */
    if (is_way_there(test)) {
        if (!pl_probe_lost(prober, test->flight) &&
            !(is_past(prober, test->start_ns + UDP_PATIENCE_NS) &&
              pl_probe_flight(prober, test->flight)->copies >= 3))
            return FALSE;
        test->udp = PL_ANSWER_NO;
        return TRUE;
    }
    if (!pl_probe_lost(prober, test->flight))
        return FALSE;
    give_up_on_reports(prober);
    return test->tcp != PL_ANSWER_PENDING && test->icmp != PL_ANSWER_PENDING;
}

gboolean pl_reach_rest_step(PlProber *prober)
{
    PlReachTest *test = &prober->reach;

    if (test->icmp == PL_ANSWER_PENDING &&
        (test->udp == PL_ANSWER_YES || test->tcp == PL_ANSWER_YES) &&
        is_past(prober, test->start_ns + ICMP_PATIENCE_NS))
        test->icmp = PL_ANSWER_NO;
    if (test->tcp != PL_ANSWER_PENDING && test->icmp != PL_ANSWER_PENDING)
        return TRUE;
    give_up_on_reports(prober);
    return test->tcp != PL_ANSWER_PENDING && test->icmp != PL_ANSWER_PENDING;
}

static void conclude_protocol(PlProber *prober, PlAxis axis, PlAnswer answer)
{
    const PlReachTest *test = &prober->reach;

    if (answer == PL_ANSWER_YES)
        pl_findings_set(&prober->findings, axis, pl_pass_name(PL_PASS_YES), NULL);
    else if (answer == PL_ANSWER_NO && (is_way_there(test) || test->udp == PL_ANSWER_YES))
        pl_findings_set(&prober->findings, axis, pl_pass_name(PL_PASS_BLOCKED), NULL);
    else if (axis == PL_AXIS_UDP && pl_probe_socket(prober, test->socket)->dead)
        pl_probe_undecided_lost(prober, axis, test->flight);
    else
        pl_probe_undecided(prober, axis, "nothing gets out: neither UDP nor TCP nor ICMP");
}

/* Ordered, each once. */
static void conclude_external(PlProber *prober)
{
    g_autoptr(GArray) hosts = g_array_new(FALSE, FALSE, sizeof(PhAddress));
    g_autoptr(GString) text = g_string_new(NULL);
    char buffer[PH_ADDRESS_TEXT_MAX];

    for (unsigned i = 0; i < prober->flows->len; i++)
        g_array_append_val(hosts, g_array_index(prober->flows, PlProbeFlow, i).external);
    if (prober->reach.tcp == PL_ANSWER_YES)
        g_array_append_val(hosts, prober->reach.tcp_from);
    for (unsigned i = 0; i < hosts->len; i++)
        g_array_index(hosts, PhAddress, i).port = 0;
    g_array_sort(hosts, (GCompareFunc)ph_address_compare);
    for (unsigned i = 0; i < hosts->len; i++) {
        const PhAddress *host = &g_array_index(hosts, PhAddress, i);

        if (i > 0 && ph_address_equal_host(host, host - 1))
            continue;
        g_string_append_printf(text, "%s%s", text->len ? "," : "", ph_address_format(host, buffer));
    }
    if (text->len)
        pl_findings_set(&prober->findings, PL_AXIS_EXTERNAL, text->str, NULL);
    else
        pl_probe_undecided(prober, PL_AXIS_EXTERNAL, "nothing from inside was seen outside");
}

void pl_reach_conclude(PlProber *prober)
{
    const PlReachTest *test = &prober->reach;

    conclude_protocol(prober, PL_AXIS_UDP, test->udp);
    conclude_protocol(prober, PL_AXIS_TCP, test->tcp);
    conclude_protocol(prober, PL_AXIS_ICMP, test->icmp);
    conclude_external(prober);
    if (test->udp == PL_ANSWER_NO)
        pl_findings_set(&prober->findings, PL_AXIS_CLASS, "udp-blocked", NULL);
}
