/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether UDP, TCP and ICMP get out at all. TCP and ICMP are started with the first datagram and
 * are only waited for at the very end (pl_reach_rest_step), or when UDP seems to be blocked and
 * they are its control.
 *
 *     START --> FLYING --> over: UDP arrived, or it did not and something else did, or nothing did
 *
 * What is sent before a link has come up is lost, so silence means nothing until something has got
 * out. From then on it counts, for what is sent from then on.
 */
#include "prober/probe.h"

enum { START, FLYING };

/* How long a silent protocol is waited for once the way is known to be there. */
#define UDP_PATIENCE_NS  (600 * PL_MS)
#define ICMP_PATIENCE_NS (500 * PL_MS)
/* And after the last datagram. */
#define UDP_LAST_NS (200 * PL_MS)

/* Between echoes: as between the copies of a datagram, to begin with. */
static const unsigned echo_gap_ms[PL_PROBE_ECHOES] = {100, 200, 400, 400, 400, 400, 400, 400};

/* After this there is no way. */
#define SILENCE_NS (2000 * PL_MS)
/* Of everything, where links lose packets. */
#define ATTEMPTS_LOSSY 4
/* The driver is to report within two seconds; one that does not is not waited for forever. */
#define REPORT_NS (3000 * PL_MS)

static void send_echo(PlProber *prober)
{
    PlReachTest *test = &prober->reach;
    PlProbeAction *action = pl_probe_act(prober, PL_PROBE_ECHO, PL_PROBE_ID_ECHO + test->echoes++);

    action->local = prober->plan.inside[0];
    action->remote = prober->plan.outside[0];
    test->echo_ns = prober->now;
    if (test->way_ns != UINT64_MAX)
        test->echo_known_ns = MIN(test->echo_known_ns, prober->now);
}

/* Two ports on two addresses. */
static void open_outside(PlProber *prober)
{
    uint16_t port[2];

    port[0] = pl_probe_port(prober, /* spread= */ FALSE);
    port[1] = prober->plan.outside_port;
    if (!port[1])
        port[1] = pl_probe_port(prober, /* spread= */ FALSE);
    for (unsigned i = 0; i < 2; i++) {
        for (unsigned j = 0; j < 2; j++) {
            unsigned id =
                pl_probe_open(prober, PL_PROBE_PLACE_OUTSIDE, &prober->plan.outside[i], port[j]);

            /* Any other will do if it is taken. */
            pl_probe_socket(prober, id)->fixed = FALSE;
            prober->outside[i][j] = id;
        }
    }
}

/* Everything is tried so often, and waited for as much longer. */
static unsigned attempts(const PlProber *prober)
{
    return prober->plan.lossy ? ATTEMPTS_LOSSY : 1;
}

static void connect_tcp(PlProber *prober)
{
    PlProbeAction *action = pl_probe_act(prober, PL_PROBE_TCP, PL_PROBE_ID_TCP);

    action->local = prober->plan.inside[0];
    action->remote = prober->plan.outside[0];
    action->remote.port = pl_probe_port(prober, /* spread= */ FALSE);
    action->listener = action->remote;
}

static void start(PlProber *prober)
{
    PlReachTest *test = &prober->reach;

    test->start_ns = prober->now;
    test->way_ns = test->echo_known_ns = UINT64_MAX;
    open_outside(prober);
    test->socket = pl_probe_open(prober, PL_PROBE_PLACE_INSIDE, &prober->plan.inside[0],
                                 prober->plan.inside_port);
    test->flight = pl_probe_contact(prober, test->socket, prober->outside[0][0]);
    connect_tcp(prober);
    send_echo(prober);
}

static void note_way(PlProber *prober)
{
    prober->reach.way_ns = MIN(prober->reach.way_ns, prober->now);
}

void pl_reach_tcp(PlProber *prober, const PhAddress *from)
{
    PlReachTest *test = &prober->reach;

    if (test->tcp != PL_ANSWER_PENDING)
        return;
    if (!from && ++test->tcp_failed < attempts(prober)) {
        connect_tcp(prober);
        return;
    }
    test->tcp = from ? PL_ANSWER_YES : PL_ANSWER_NO;
    if (!from)
        return;
    test->tcp_from = *from;
    note_way(prober);
}

void pl_reach_echo(PlProber *prober, gboolean answered)
{
    PlReachTest *test = &prober->reach;

    if (test->icmp != PL_ANSWER_PENDING)
        return;
    if (answered) {
        test->icmp = PL_ANSWER_YES;
        note_way(prober);
    } else if (++test->echoes_failed == PL_PROBE_ECHOES) {
        test->icmp = PL_ANSWER_NO;
    }
}

/* TRUE at this time or later; until then it asks to be called again. */
static gboolean is_past(PlProber *prober, uint64_t time_ns)
{
    if (prober->now >= time_ns)
        return TRUE;
    pl_probe_wake(prober, time_ns);
    return FALSE;
}

static void step_icmp(PlProber *prober)
{
    PlReachTest *test = &prober->reach;

    if (test->icmp != PL_ANSWER_PENDING)
        return;
    if (test->echo_known_ns != UINT64_MAX &&
        is_past(prober, test->echo_known_ns + ICMP_PATIENCE_NS * attempts(prober)))
        test->icmp = PL_ANSWER_NO;
    else if (test->echoes < PL_PROBE_ECHOES &&
             is_past(prober, test->echo_ns + echo_gap_ms[test->echoes - 1] * PL_MS)) {
        send_echo(prober);
        step_icmp(prober);
    }
}

static void give_up_on_reports(PlProber *prober)
{
    PlReachTest *test = &prober->reach;

    if (!is_past(prober, test->start_ns + REPORT_NS * attempts(prober)))
        return;
    if (test->tcp == PL_ANSWER_PENDING)
        test->tcp = PL_ANSWER_NO;
    if (test->icmp == PL_ANSWER_PENDING)
        test->icmp = PL_ANSWER_NO;
}

/* Something else got out, and nothing that UDP has sent since. */
static gboolean is_udp_silent(PlProber *prober)
{
    PlReachTest *test = &prober->reach;
    const PlFlight *flight = pl_probe_flight(prober, test->flight);

    if (flight->last_ns < test->way_ns) {
        if (flight->state == PL_FLIGHT_LOST)
            test->flight = pl_probe_contact(prober, test->socket, prober->outside[0][0]);
        return FALSE;
    }
    return flight->state == PL_FLIGHT_LOST ||
           is_past(prober, MAX(test->way_ns + UDP_PATIENCE_NS * attempts(prober),
                               flight->last_ns + UDP_LAST_NS));
}

gboolean pl_reach_step(PlProber *prober)
{
    PlReachTest *test = &prober->reach;

    if (test->state == START) {
        start(prober);
        test->state = FLYING;
    }
    step_icmp(prober);
    if (pl_probe_arrived(prober, test->flight)) {
        test->udp = PL_ANSWER_YES;
        note_way(prober);
        return TRUE;
    }
    if (pl_probe_socket(prober, test->socket)->dead)
        return TRUE; /* undecided */
    if (test->way_ns != UINT64_MAX) {
        if (!is_udp_silent(prober))
            return FALSE;
        test->udp = PL_ANSWER_NO;
        return TRUE;
    }
    if (!pl_probe_lost(prober, test->flight))
        return FALSE;
    /* TCP is the last hope: echoes have been sent for as long as datagrams. */
    give_up_on_reports(prober);
    return test->tcp == PL_ANSWER_NO;
}

gboolean pl_reach_rest_step(PlProber *prober)
{
    PlReachTest *test = &prober->reach;

    if (test->way_ns == UINT64_MAX && test->tcp == PL_ANSWER_NO &&
        test->icmp == PL_ANSWER_PENDING && is_past(prober, test->start_ns + SILENCE_NS))
        test->icmp = PL_ANSWER_NO;
    step_icmp(prober);
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
    else if (answer == PL_ANSWER_NO && test->way_ns != UINT64_MAX)
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
