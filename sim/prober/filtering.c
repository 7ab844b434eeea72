/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The filtering (RFC 4787 §5): a fresh socket that has contacted one outside socket gets packets
 * from another port of it, from another address, and, as the control, from itself.
 *
 *     START --> CONTACT --> TRIAL --> over
 */
#include "prober/probe.h"

enum { START, CONTACT, TRIAL };

static void start_trial(PlProber *prober)
{
    PlFilteringTest *test = &prober->filtering;
    PhAddress external = pl_probe_flight(prober, test->contact)->source;

    test->other_address =
        pl_probe_send(prober, prober->outside[1][1], test->socket, &external, PL_FLIGHT_ONCE);
    test->other_port =
        pl_probe_send(prober, prober->outside[0][1], test->socket, &external, PL_FLIGHT_ONCE);
    test->control =
        pl_probe_send(prober, prober->outside[0][0], test->socket, &external, PL_FLIGHT_MUST);
}

static void judge(PlProber *prober, gboolean other_address, gboolean other_port)
{
    if (other_address && !other_port) {
        pl_probe_undecided(prober, PL_AXIS_FILTERING,
                           "a packet from another address came in, one from another port of the "
                           "same address did not");
        return;
    }
    prober->filtering.found = other_address ? PL_FILTERING_ENDPOINT_INDEPENDENT
                              : other_port  ? PL_FILTERING_ADDRESS_DEPENDENT
                                            : PL_FILTERING_ADDRESS_AND_PORT_DEPENDENT;
    pl_findings_set(&prober->findings, PL_AXIS_FILTERING,
                    pl_filtering_name((PlFiltering)prober->filtering.found), NULL);
}

gboolean pl_filtering_step(PlProber *prober)
{
    PlFilteringTest *test = &prober->filtering;

    if (test->state == START) {
        test->socket = pl_probe_open(prober, PL_PROBE_PLACE_INSIDE, &prober->plan.inside[0], 0);
        test->contact = pl_probe_contact(prober, test->socket, prober->outside[0][0]);
        test->state = CONTACT;
    }
    if (test->state == CONTACT) {
        if (pl_probe_lost(prober, test->contact)) {
            pl_probe_undecided_lost(prober, PL_AXIS_FILTERING, test->contact);
            return TRUE;
        }
        if (!pl_probe_arrived(prober, test->contact))
            return FALSE;
        start_trial(prober);
        test->state = TRIAL;
    }
    if (!pl_probe_arrived(prober, test->other_address) ||
        !pl_probe_arrived(prober, test->other_port)) {
        switch (pl_probe_trial(prober, test->control)) {
        case PL_TRIAL_WAITING:
            return FALSE;
        case PL_TRIAL_FAILED:
            pl_probe_undecided_lost(prober, PL_AXIS_FILTERING, test->control);
            return TRUE;
        case PL_TRIAL_SETTLED:
            break;
        }
    }
    judge(prober, pl_probe_arrived(prober, test->other_address),
          pl_probe_arrived(prober, test->other_port));
    return TRUE;
}
