/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pooling (RFC 4787 §4.1): whether all sockets of one inside address get the same external address.
 * The sockets of the other tests say so, unless all of them got the same one and the file claims
 * that this is chance: then more are asked.
 *
 *     START --> WAITING --> over
 */
#include "prober/probe.h"

enum { START, WAITING };

#define ENOUGH 8

static gboolean has_pool(const PlProber *prober)
{
    return prober->claim && prober->mapping.found != PL_MAPPING_NONE &&
           prober->plan.nat->attachments->len == 2 &&
           pl_nat_outside(prober->plan.nat)->addresses->len > 1;
}

/* The number of sockets of the first inside address, and whether they got several external ones. */
static unsigned count(const PlProber *prober, gboolean *ret_several)
{
    const PhAddress *first = NULL;
    unsigned n = 0;

    *ret_several = FALSE;
    for (unsigned i = 0; i < prober->flows->len; i++) {
        const PlProbeFlow *flow = &g_array_index(prober->flows, PlProbeFlow, i);

        if (!flow->first || !ph_address_equal_host(&pl_probe_socket(prober, flow->socket)->local,
                                                   &prober->plan.inside[0]))
            continue;
        if (!first)
            first = &flow->external;
        *ret_several |= !ph_address_equal_host(first, &flow->external);
        n++;
    }
    return n;
}

static void start(PlProber *prober)
{
    PlPoolingTest *test = &prober->pooling;

    for (unsigned i = 0; i < test->n; i++) {
        unsigned socket = pl_probe_open(prober, PL_PROBE_PLACE_INSIDE, &prober->plan.inside[0], 0);

        test->flight[i] = pl_probe_contact(prober, socket, prober->outside[0][0]);
    }
}

gboolean pl_pooling_step(PlProber *prober)
{
    PlPoolingTest *test = &prober->pooling;
    gboolean several;

    if (test->state == START) {
        if (!has_pool(prober))
            return TRUE;
        count(prober, &several);
        if (several || prober->claim->pooling != PL_POOLING_ARBITRARY)
            return TRUE;
        test->n = G_N_ELEMENTS(test->flight);
        if (pl_ports_claimed(prober))
            test->n = MIN(test->n, pl_ports_claimed(prober) / 4);
        start(prober);
        test->state = WAITING;
    }
    count(prober, &several);
    for (unsigned i = 0; i < test->n && !several; i++) {
        if (pl_probe_flight(prober, test->flight[i])->state == PL_FLIGHT_FLYING)
            return FALSE;
    }
    /* The ports test counts their mappings. */
    for (unsigned i = 0; i < test->n && !pl_ports_claimed(prober); i++)
        pl_probe_close(prober, pl_probe_flight(prober, test->flight[i])->from);
    return TRUE;
}

void pl_pooling_conclude(PlProber *prober)
{
    gboolean several;
    unsigned n;

    if (!has_pool(prober))
        return;
    n = count(prober, &several);
    if (several)
        pl_findings_set(&prober->findings, PL_AXIS_POOLING, pl_pooling_name(PL_POOLING_ARBITRARY),
                        NULL);
    else if (n >= ENOUGH)
        pl_findings_set(&prober->findings, PL_AXIS_POOLING, pl_pooling_name(PL_POOLING_PAIRED),
                        NULL);
    else
        pl_probe_undecided(prober, PL_AXIS_POOLING, "only %u mappings could be made", n);
}
