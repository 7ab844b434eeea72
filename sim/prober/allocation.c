/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How external ports are chosen, and from where: fresh sockets, one after the other, so that the
 * order of their mappings is known. What the other tests have seen counts too.
 *
 *     START --> WAITING (as often as there are sockets) --> over
 */
#include "topology/allocation.h"
#include "prober/probe.h"

enum { START, WAITING };

/* Fresh sockets besides those that the mapping test has left. */
#define SAMPLES 5
/* All that a run needs besides: a NAT with few ports must have enough left for the other tests. */
#define OTHERS 9

/* TCP and ICMP may share the counter of a NAT that counts: let them pass first, if they do so
 * soon. */
#define OTHERS_PASS_NS (100 * PL_MS)

static gboolean is_quiet(PlProber *prober)
{
    const PlReachTest *reach = &prober->reach;
    uint64_t until = reach->start_ns + OTHERS_PASS_NS;

    if ((reach->tcp != PL_ANSWER_PENDING && reach->icmp != PL_ANSWER_PENDING) ||
        prober->now >= until)
        return TRUE;
    pl_probe_wake(prober, until);
    return FALSE;
}

static void send_next(PlProber *prober)
{
    unsigned socket = pl_probe_open(prober, PL_PROBE_PLACE_INSIDE, &prober->plan.inside[0], 0);

    prober->allocation.flight = pl_probe_contact(prober, socket, prober->outside[0][0]);
}

gboolean pl_allocation_step(PlProber *prober)
{
    PlAllocationTest *test = &prober->allocation;

    if (test->state == START) {
        if (!prober->claim || prober->mapping.found == PL_MAPPING_NONE)
            return TRUE;
        if (!is_quiet(prober))
            return FALSE;
        test->n = SAMPLES;
        if (pl_ports_claimed(prober))
            test->n = CLAMP(pl_ports_claimed(prober), OTHERS + 1, OTHERS + SAMPLES) - OTHERS;
        test->flow_first = 1; /* TCP and ICMP went out with the very first one */
        send_next(prober);
        test->state = WAITING;
    }
    while (!pl_probe_lost(prober, test->flight)) {
        if (!pl_probe_arrived(prober, test->flight))
            return FALSE;
        test->flow_end = prober->flows->len;
        if (++test->i == test->n)
            return TRUE;
        send_next(prober);
    }
    return TRUE; /* no port left: what was seen must do */
}

static const PlProbeFlow *flow_at(const PlProber *prober, unsigned i)
{
    return &g_array_index(prober->flows, PlProbeFlow, i);
}

/* One subscriber's mappings: how far apart their ports are tells of a block. */
static gboolean is_first_address(const PlProber *prober, const PlProbeFlow *flow)
{
    return ph_address_equal_host(&pl_probe_socket(prober, flow->socket)->local,
                                 &prober->plan.inside[0]);
}

/* Somebody else has the external port that this flow would have kept. */
static gboolean is_taken(const PlProber *prober, const PlProbeFlow *flow)
{
    uint16_t port = pl_probe_socket(prober, flow->socket)->local.port;

    for (unsigned i = 0; i < prober->flows->len; i++) {
        const PlProbeFlow *other = flow_at(prober, i);

        if (other->socket != flow->socket && other->external.port == port)
            return TRUE;
    }
    return FALSE;
}

static gboolean is_preserving(const PlProber *prober)
{
    const PhAddress *remote = &pl_probe_socket(prober, prober->outside[0][0])->local;
    unsigned kept = 0;

    for (unsigned i = 0; i < prober->flows->len; i++) {
        const PlProbeFlow *flow = flow_at(prober, i);

        /* Towards the stranger of the unsolicited test a port may be spoilt. */
        if (!flow->first || !ph_address_equal(&flow->remote, remote))
            continue;
        if (flow->external.port == pl_probe_socket(prober, flow->socket)->local.port)
            kept++;
        else if (!is_taken(prober, flow))
            return FALSE;
    }
    return kept >= PL_ALLOCATION_ENOUGH;
}

/* Even inside ports have even external ones, and odd ones odd: of two it is always the one or the
 * other (RFC 4787 §4.2.2). */
static gboolean keeps_parity(const PlProber *prober)
{
    const PlAllocationTest *test = &prober->allocation;

    for (unsigned i = test->flow_first; i < test->flow_end; i++) {
        const PlProbeFlow *flow = flow_at(prober, i);

        if ((flow->external.port ^ pl_probe_socket(prober, flow->socket)->local.port) & 1)
            return FALSE;
    }
    return TRUE;
}

/* Every new mapping (of one external address, when `host` is given) the same step above the one
 * before, or the next with the right parity; the range may have come to its end once. */
static gboolean is_counting(const PlProber *prober, const PhAddress *host)
{
    const PlAllocationTest *test = &prober->allocation;
    const gboolean parity = keeps_parity(prober);
    int last = -1, step = 0;
    unsigned n = 0, wraps = 0;

    for (unsigned i = test->flow_first; i < test->flow_end; i++) {
        const PlProbeFlow *flow = flow_at(prober, i);
        int port = flow->external.port;

        if (!flow->fresh || (host && !ph_address_equal_host(host, &flow->external)))
            continue;
        n++;
        if (last >= 0 && port <= last)
            wraps++;
        else if (last >= 0 && step == 0)
            step = port - last;
        else if (last >= 0 && port - last != step && !(parity && MAX(step, port - last) <= 2))
            return FALSE;
        last = port;
    }
    return wraps <= 1 && n >= PL_ALLOCATION_ENOUGH && step >= 1 && step <= PL_ALLOCATION_STEP_MAX;
}

/* A pool may be counted through as a whole, or each address by itself. */
static gboolean is_sequential(const PlProber *prober)
{
    const PlAllocationTest *test = &prober->allocation;

    if (is_counting(prober, NULL))
        return TRUE;
    for (unsigned i = test->flow_first; i < test->flow_end; i++) {
        if (is_counting(prober, &flow_at(prober, i)->external))
            return TRUE;
    }
    return FALSE;
}

int pl_allocation_judge(const PlProber *prober)
{
    unsigned first = UINT16_MAX, last = 0, n = 0;

    for (unsigned i = 0; i < prober->flows->len; i++) {
        const PlProbeFlow *flow = flow_at(prober, i);

        if (!flow->fresh || !is_first_address(prober, flow))
            continue;
        first = MIN(first, flow->external.port);
        last = MAX(last, flow->external.port);
        n++;
    }
    if (is_preserving(prober))
        return PL_PORT_ALLOCATION_PRESERVE;
    if (is_sequential(prober))
        return PL_PORT_ALLOCATION_SEQUENTIAL;
    if (n >= PL_ALLOCATION_ENOUGH && last - first >= PL_ALLOCATION_BLOCK_SPAN)
        return PL_PORT_ALLOCATION_RANDOM;
    return n >= PL_ALLOCATION_BLOCK_ENOUGH ? PL_PORT_ALLOCATION_BLOCK : -1;
}

/* What was seen; whether it lies within what the file says is for others to compare. */
static void conclude_range(PlProber *prober)
{
    unsigned first = UINT16_MAX, last = 0;
    g_autofree char *seen = NULL;

    if (prober->claim->port_last == 0)
        return;
    for (unsigned i = 0; i < prober->flows->len; i++) {
        first = MIN(first, flow_at(prober, i)->external.port);
        last = MAX(last, flow_at(prober, i)->external.port);
    }
    seen = g_strdup_printf("%u-%u", first, last);
    pl_findings_set(&prober->findings, PL_AXIS_PORT_RANGE, seen, NULL);
}

void pl_allocation_conclude(PlProber *prober)
{
    int found;

    if (!prober->claim || prober->mapping.found == PL_MAPPING_NONE || prober->flows->len == 0)
        return;
    found = pl_allocation_judge(prober);
    if (found >= 0)
        pl_findings_set(&prober->findings, PL_AXIS_PORT_ALLOCATION,
                        pl_port_allocation_name((PlPortAllocation)found), NULL);
    else
        pl_probe_undecided(prober, PL_AXIS_PORT_ALLOCATION, "too few mappings could be made");
    conclude_range(prober);
}
