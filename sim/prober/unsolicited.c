/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What becomes of packets that belong to no mapping: a stranger outside, whom nobody has contacted,
 * sends to a mapped port and to an unused one. A rejection is seen by the stranger. Packets that
 * the router takes in itself (`accept`) are seen by what they spoil: the port they came to is taken
 * for whoever contacts the stranger later.
 *
 *     START --> CONTACT --> CONTROL --> REPLY --> over, judged when filtering is known
 *
 * The reply comes from the mapped socket, which can only show what its mapping's filter did not
 * swallow; where ports are preserved, a late socket takes the unused port and shows it in any case.
 */
#include "prober/probe.h"

enum { START, CONTACT, CONTROL, REPLY, OVER };

static void start(PlProber *prober)
{
    PlUnsolicitedTest *test = &prober->unsolicited;

    test->stranger = pl_probe_open(prober, PL_PROBE_PLACE_OUTSIDE, &prober->plan.outside[1], 0);
    test->socket = pl_probe_open(prober, PL_PROBE_PLACE_INSIDE, &prober->plan.inside[0], 0);
    test->contact = pl_probe_contact(prober, test->socket, prober->outside[0][0]);
}

static void send_unsolicited(PlProber *prober)
{
    PlUnsolicitedTest *test = &prober->unsolicited;

    test->external = pl_probe_flight(prober, test->contact)->source;
    test->unused_remote = test->external;
    test->unused_remote.port = pl_probe_port(prober, /* spread= */ TRUE);
    test->mapped =
        pl_probe_send(prober, test->stranger, test->socket, &test->external, PL_FLIGHT_ONCE);
    test->unused =
        pl_probe_send(prober, test->stranger, test->socket, &test->unused_remote, PL_FLIGHT_ONCE);
    test->control =
        pl_probe_send(prober, prober->outside[0][0], test->socket, &test->external, PL_FLIGHT_MUST);
}

static void send_replies(PlProber *prober)
{
    PlUnsolicitedTest *test = &prober->unsolicited;

    test->reply = pl_probe_contact(prober, test->socket, test->stranger);
    if (pl_allocation_judge(prober) == PL_PORT_ALLOCATION_PRESERVE) {
        unsigned socket = pl_probe_open(prober, PL_PROBE_PLACE_INSIDE, &prober->plan.inside[0],
                                        test->unused_remote.port);

        test->late = pl_probe_contact(prober, socket, test->stranger);
    }
}

static gboolean is_flying(const PlProber *prober, unsigned token)
{
    return token && pl_probe_flight(prober, token)->state == PL_FLIGHT_FLYING;
}

/* TRUE when the test is over, be it that a datagram was lost. */
static gboolean await(PlProber *prober, unsigned token, int next)
{
    PlUnsolicitedTest *test = &prober->unsolicited;

    if (pl_probe_lost(prober, token)) {
        pl_probe_undecided_lost(prober, PL_AXIS_UNSOLICITED, token);
        return TRUE;
    }
    if (pl_probe_arrived(prober, token))
        test->state = next;
    return FALSE;
}

gboolean pl_unsolicited_step(PlProber *prober)
{
    PlUnsolicitedTest *test = &prober->unsolicited;

    if (test->state == START) {
        if (!prober->claim)
            return TRUE;
        start(prober);
        test->state = CONTACT;
    }
    if (test->state == CONTACT) {
        if (await(prober, test->contact, CONTROL))
            return TRUE;
        if (test->state == CONTACT)
            return FALSE;
        send_unsolicited(prober);
    }
    if (test->state == CONTROL) {
        if (await(prober, test->control, REPLY))
            return TRUE;
        if (test->state == CONTROL)
            return FALSE;
        /* Only an endpoint-independent mapping has a port that one can know beforehand. */
        if (prober->mapping.found == PL_MAPPING_ENDPOINT_INDEPENDENT)
            send_replies(prober);
    }
    if (is_flying(prober, test->reply) || is_flying(prober, test->late) ||
        pl_probe_trial(prober, test->control) == PL_TRIAL_WAITING)
        return FALSE;
    test->state = OVER;
    return TRUE;
}

static gboolean is_poisoned(const PlProber *prober)
{
    const PlUnsolicitedTest *test = &prober->unsolicited;

    return (test->reply && pl_probe_arrived(prober, test->reply) &&
            !ph_address_equal(&pl_probe_flight(prober, test->reply)->source, &test->external)) ||
           (test->late && pl_probe_arrived(prober, test->late) &&
            pl_probe_flight(prober, test->late)->source.port != test->unused_remote.port);
}

static gboolean is_accept_claimed(const PlProber *prober)
{
    return prober->claim->unsolicited == PL_UNSOLICITED_ACCEPT;
}

/* Whether a router that takes packets in would have been found out. */
static gboolean could_be_poisoned(const PlProber *prober)
{
    const PlUnsolicitedTest *test = &prober->unsolicited;
    gboolean late = test->late && pl_probe_arrived(prober, test->late);

    return (late || (test->reply && pl_probe_arrived(prober, test->reply))) &&
           prober->filtering.found >= 0 &&
           pl_shows_poison((PlMapping)prober->mapping.found, (PlFiltering)prober->filtering.found,
                           late);
}

/* What the answers, or the silence, mean; a reason when they mean nothing. */
static const char *judge(const PlProber *prober, PlUnsolicited *ret_found)
{
    const PlUnsolicitedTest *test = &prober->unsolicited;
    gboolean firewall = prober->mapping.found == PL_MAPPING_NONE;

    *ret_found = test->unreachable ? PL_UNSOLICITED_REJECT : PL_UNSOLICITED_DROP;
    if (is_poisoned(prober)) {
        *ret_found = PL_UNSOLICITED_ACCEPT;
        return NULL;
    }
    if (firewall && pl_probe_arrived(prober, test->mapped))
        return "everything comes in: nothing is unsolicited";
    /* A router that takes a packet in has nobody to give it to, and may say so by ICMP too. A
     * firewall is nobody's address, and takes nothing in. */
    if (could_be_poisoned(prober) ||
        ((firewall || test->unreachable) && !is_accept_claimed(prober)))
        return NULL;
    return "no mapping that such a packet could spoil can be foreseen here";
}

void pl_unsolicited_conclude(PlProber *prober)
{
    PlUnsolicited found;
    const char *why;

    if (prober->unsolicited.state != OVER)
        return;
    why = judge(prober, &found);
    pl_findings_set(&prober->findings, PL_AXIS_UNSOLICITED, why ? NULL : pl_unsolicited_name(found),
                    why);
}
