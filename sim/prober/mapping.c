/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The mapping (RFC 4787 §4.1): one inside socket to four outside ones in turn, each awaited.
 *
 *     START --> WAITING -(arrived)-> the next of the four --> over
 *                  ^                                       |
 *                  +--- a second round from a fresh socket +
 *
 * Two destinations that a NAT treats apart can get the same external port by chance. A result that
 * rests on equality is therefore tried again, and the more dependent one of the two stands.
 */
#include "prober/probe.h"

enum { START, WAITING };

#define ROUNDS 2

static void send_next(PlProber *prober)
{
    PlMappingTest *test = &prober->mapping;
    unsigned i = test->i;

    test->flight[i] = pl_probe_contact(prober, test->socket, prober->outside[i / 2][i % 2]);
}

static PlMapping judge_round(const PlProber *prober)
{
    const PlMappingTest *test = &prober->mapping;
    const PhAddress *local = &pl_probe_socket(prober, test->socket)->local, *seen[4];
    gboolean ports_equal, hosts_equal;

    for (unsigned i = 0; i < 4; i++)
        seen[i] = &pl_probe_flight(prober, test->flight[i])->source;
    ports_equal = ph_address_equal(seen[0], seen[1]) && ph_address_equal(seen[2], seen[3]);
    hosts_equal = ph_address_equal(seen[0], seen[2]);
    if (!ports_equal)
        return PL_MAPPING_ADDRESS_AND_PORT_DEPENDENT;
    if (!hosts_equal)
        return PL_MAPPING_ADDRESS_DEPENDENT;
    return ph_address_equal(seen[0], local) ? PL_MAPPING_NONE : PL_MAPPING_ENDPOINT_INDEPENDENT;
}

/* TRUE when no further round is needed. */
static gboolean end_round(PlProber *prober)
{
    PlMappingTest *test = &prober->mapping;
    int found = (int)judge_round(prober);

    test->found = MAX(test->found, found);
    pl_findings_set(&prober->findings, PL_AXIS_MAPPING, pl_mapping_name((PlMapping)test->found),
                    NULL);
    return ++test->round == ROUNDS || found == PL_MAPPING_NONE ||
           found == PL_MAPPING_ADDRESS_AND_PORT_DEPENDENT;
}

gboolean pl_mapping_step(PlProber *prober)
{
    PlMappingTest *test = &prober->mapping;

    if (test->state == START) {
        /* The first datagram of the first round has arrived already. */
        test->socket = prober->reach.socket;
        test->flight[0] = prober->reach.flight;
        test->state = WAITING;
    }
    while (!pl_probe_lost(prober, test->flight[test->i])) {
        if (!pl_probe_arrived(prober, test->flight[test->i]))
            return FALSE;
        if (++test->i == 4) {
            if (end_round(prober))
                return TRUE;
            test->i = 0;
            test->socket = pl_probe_open(prober, PL_PROBE_PLACE_INSIDE, &prober->plan.inside[0], 0);
        }
        send_next(prober);
    }
    if (test->round == 0)
        pl_probe_undecided_lost(prober, PL_AXIS_MAPPING, test->flight[test->i]);
    return TRUE;
}
