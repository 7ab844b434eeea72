/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hairpinning (RFC 4787 §6): two inside sockets, each known outside, send to each other's external
 * address. Both do, or filtering would hide what the NAT can do; the answer is judged.
 *
 *     START --> CONTACT (both) --> TRIAL --> over
 */
#include "prober/probe.h"

enum { START, CONTACT, TRIAL };

static void start(PlProber *prober)
{
    PlHairpinTest *test = &prober->hairpin;

    for (unsigned i = 0; i < 2; i++) {
        const PhAddress *host = &prober->plan.inside[i];

        if (host->family == PH_FAMILY_NONE)
            host = &prober->plan.inside[0];
        test->socket[i] = pl_probe_open(prober, PL_PROBE_PLACE_INSIDE, host, 0);
        test->contact[i] = pl_probe_contact(prober, test->socket[i], prober->outside[0][0]);
    }
}

static void start_trial(PlProber *prober)
{
    PlHairpinTest *test = &prober->hairpin;
    PhAddress external[2];

    for (unsigned i = 0; i < 2; i++)
        external[i] = pl_probe_flight(prober, test->contact[i])->source;
    test->there =
        pl_probe_send(prober, test->socket[0], test->socket[1], &external[1], PL_FLIGHT_ONCE);
    test->back =
        pl_probe_send(prober, test->socket[1], test->socket[0], &external[0], PL_FLIGHT_ONCE);
    test->control =
        pl_probe_send(prober, prober->outside[0][0], test->socket[0], &external[0], PL_FLIGHT_MUST);
}

static gboolean is_ours(const PlProber *prober, const PhAddress *address)
{
    const GArray *pool = pl_nat_outside(prober->plan.nat)->addresses;

    for (unsigned i = 0; i < pool->len; i++)
        if (ph_address_equal_host(&g_array_index(pool, PhAddress, i), address))
            return TRUE;
    return FALSE;
}

/* An endpoint-dependent mapping has another external port towards the other host, and where pooling
 * is arbitrary another address, too: then any of the NAT's has to do. */
static gboolean is_external(const PlProber *prober, const PhAddress *source, unsigned sender)
{
    const PhAddress *external = &pl_probe_flight(prober, prober->hairpin.contact[sender])->source;

    if (prober->mapping.found == PL_MAPPING_ENDPOINT_INDEPENDENT)
        return ph_address_equal(source, external);
    return ph_address_equal_host(source, external) || is_ours(prober, source);
}

static void judge(PlProber *prober, unsigned token, unsigned sender)
{
    const PlHairpinTest *test = &prober->hairpin;
    const PhAddress *source = &pl_probe_flight(prober, token)->source,
                    *local = &pl_probe_socket(prober, test->socket[sender])->local;
    char a[PH_ADDRESS_TEXT_MAX], b[PH_ADDRESS_TEXT_MAX], c[PH_ADDRESS_TEXT_MAX];

    if (ph_address_equal_host(source, local))
        pl_findings_set(&prober->findings, PL_AXIS_HAIRPIN,
                        pl_hairpin_name(PL_HAIRPIN_INTERNAL_SOURCE), NULL);
    else if (is_external(prober, source, sender))
        pl_findings_set(&prober->findings, PL_AXIS_HAIRPIN,
                        pl_hairpin_name(PL_HAIRPIN_EXTERNAL_SOURCE), NULL);
    else
        pl_probe_undecided(
            prober, PL_AXIS_HAIRPIN, "looped back from %s, though the sender is %s, outside %s",
            ph_address_format(source, a), ph_address_format(local, b),
            ph_address_format(&pl_probe_flight(prober, test->contact[sender])->source, c));
}

/* TRUE when both are through or the test is over. */
static gboolean is_contact_over(PlProber *prober, gboolean *ret_failed)
{
    const PlHairpinTest *test = &prober->hairpin;

    *ret_failed = TRUE;
    for (unsigned i = 0; i < 2; i++) {
        if (pl_probe_lost(prober, test->contact[i])) {
            pl_probe_undecided_lost(prober, PL_AXIS_HAIRPIN, test->contact[i]);
            return TRUE;
        }
    }
    *ret_failed = FALSE;
    return pl_probe_arrived(prober, test->contact[0]) && pl_probe_arrived(prober, test->contact[1]);
}

gboolean pl_hairpin_step(PlProber *prober)
{
    PlHairpinTest *test = &prober->hairpin;
    gboolean failed;

    if (test->state == START) {
        if (!prober->claim || prober->mapping.found == PL_MAPPING_NONE)
            return TRUE;
        start(prober);
        test->state = CONTACT;
    }
    if (test->state == CONTACT) {
        if (!is_contact_over(prober, &failed))
            return FALSE;
        if (failed)
            return TRUE;
        start_trial(prober);
        test->state = TRIAL;
    }
    if (pl_probe_arrived(prober, test->back)) {
        judge(prober, test->back, 1);
        return TRUE;
    }
    switch (pl_probe_trial(prober, test->control)) {
    case PL_TRIAL_WAITING:
        return FALSE;
    case PL_TRIAL_FAILED:
        pl_probe_undecided_lost(prober, PL_AXIS_HAIRPIN, test->control);
        return TRUE;
    case PL_TRIAL_SETTLED:
        break;
    }
    if (pl_probe_arrived(prober, test->there))
        judge(prober, test->there, 0);
    else
        pl_findings_set(&prober->findings, PL_AXIS_HAIRPIN, pl_hairpin_name(PL_HAIRPIN_NONE), NULL);
    return TRUE;
}
