/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The prober's public face, and the order of its tests; see prober.h and probe.h.
 *
 * Tests of one phase run side by side, which is how their grace periods become one. They do not
 * meet: each has sockets of its own, and none sends where another's mapping could be.
 */
#include "prober/probe.h"

#include <string.h>

typedef struct Test {
    unsigned phase;
    gboolean (*step)(PlProber *prober);
} Test;

static const Test tests[] = {
    {0, pl_reach_step},
    /* By itself, in a run of its own. */
    {1, pl_forwards_step},
    {2, pl_mapping_step},
    /* By itself: what counts is the order of the mappings. */
    {3, pl_allocation_step},
    {4, pl_filtering_step},
    {4, pl_hairpin_step},
    {4, pl_unsolicited_step},
    {5, pl_pooling_step},
    {6, pl_timeout_step},
    /* Afterwards there may be no port left. */
    {7, pl_ports_step},
    {8, pl_reach_rest_step},
};

#define PHASES 9

static gboolean is_wanted(const PlProber *prober, const Test *test)
{
    if (prober->plan.forwards_only || test->step == pl_forwards_step)
        return prober->plan.forwards_only && test->step == pl_forwards_step;
    return test->phase == 0 || test->phase == PHASES - 1 || prober->reach.udp == PL_ANSWER_YES;
}

/* TRUE when all tests of the current phase are over. */
static gboolean step_phase(PlProber *prober)
{
    gboolean over = TRUE;

    for (unsigned i = 0; i < G_N_ELEMENTS(tests); i++) {
        if (tests[i].phase != prober->phase || prober->finished >> i & 1 ||
            !is_wanted(prober, &tests[i]))
            continue;
        if (tests[i].step(prober))
            prober->finished |= 1u << i;
        else
            over = FALSE;
    }
    return over;
}

void pl_probe_undecided(PlProber *prober, PlAxis axis, const char *format, ...)
{
    g_autofree char *why = NULL;
    va_list arguments;

    va_start(arguments, format);
    why = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    pl_findings_set(&prober->findings, axis, NULL, why);
}

void pl_probe_undecided_lost(PlProber *prober, PlAxis axis, unsigned token)
{
    g_autofree char *why = pl_probe_lost_why(prober, token);

    pl_findings_set(&prober->findings, axis, NULL, why);
}

static void conclude_class(PlProber *prober)
{
    static const PlAxis made_of[] = {PL_AXIS_MAPPING, PL_AXIS_FILTERING};
    PlFindings *findings = &prober->findings;

    for (unsigned i = 0; i < G_N_ELEMENTS(made_of); i++) {
        if (findings->value[made_of[i]])
            continue;
        /* What stopped UDP stopped these two as well. */
        if (!findings->why[made_of[i]])
            pl_probe_undecided(prober, made_of[i], "%s",
                               prober->reach.udp == PL_ANSWER_NO ? "UDP does not get out"
                                                                 : findings->why[PL_AXIS_UDP]);
        if (!findings->value[PL_AXIS_CLASS] && !findings->why[PL_AXIS_CLASS])
            pl_probe_undecided(prober, PL_AXIS_CLASS, "%s", findings->why[made_of[i]]);
    }
    if (findings->value[PL_AXIS_MAPPING] && findings->value[PL_AXIS_FILTERING])
        pl_findings_set(
            findings, PL_AXIS_CLASS,
            pl_class_name((PlMapping)prober->mapping.found, (PlFiltering)prober->filtering.found),
            NULL);
}

static void conclude(PlProber *prober)
{
    pl_reach_conclude(prober);
    if (prober->reach.udp == PL_ANSWER_YES) {
        pl_allocation_conclude(prober);
        pl_pooling_conclude(prober);
        pl_unsolicited_conclude(prober);
    }
    conclude_class(prober);
}

static void finish(PlProber *prober)
{
    if (!prober->plan.forwards_only)
        conclude(prober);
    for (unsigned i = 0; i < prober->sockets->len; i++)
        pl_probe_close(prober, PL_PROBE_ID_SOCKET + i);
    prober->done = TRUE;
}

static void step(PlProber *prober)
{
    prober->wake_ns = UINT64_MAX;
    pl_probe_tick(prober);
    while (!prober->done && step_phase(prober)) {
        if (++prober->phase == PHASES)
            finish(prober);
    }
}

void pl_probe_wake(PlProber *prober, uint64_t time_ns)
{
    prober->wake_ns = MIN(prober->wake_ns, time_ns);
}

/* FALSE when events no longer matter. */
static gboolean advance_clock(PlProber *prober, uint64_t now)
{
    prober->now = MAX(prober->now, now);
    return !prober->done;
}

PlProber *pl_prober_new(const PlProbePlan *plan, uint64_t now)
{
    PlProber *prober = g_new0(PlProber, 1);
    uint64_t run;

    g_assert(plan->inside[0].family != PH_FAMILY_NONE);
    g_assert(plan->outside[0].family != PH_FAMILY_NONE &&
             plan->outside[1].family != PH_FAMILY_NONE);
    prober->plan = *plan;
    prober->claim = plan->nat ? &plan->nat->behaviour : NULL;
    prober->now = now;
    prober->random = plan->seed;
    run = GUINT64_TO_BE(pl_probe_random(prober));
    memcpy(prober->run, &run, sizeof(prober->run));
    prober->sockets = g_array_new(FALSE, FALSE, sizeof(PlProbeSocket));
    prober->flights = g_array_new(FALSE, FALSE, sizeof(PlFlight));
    prober->flows = g_array_new(FALSE, FALSE, sizeof(PlProbeFlow));
    g_assert(!plan->forwards_only || (plan->nat && plan->nat->attachments->len == 2));
    prober->mapping.found = prober->filtering.found = -1;
    g_queue_init(&prober->actions);
    step(prober);
    return prober;
}

void pl_prober_free(PlProber *prober)
{
    if (!prober)
        return;
    g_queue_clear_full(&prober->actions, g_free);
    g_array_unref(prober->sockets);
    g_array_unref(prober->flights);
    g_array_unref(prober->flows);
    if (prober->ports.flights)
        g_array_unref(prober->ports.flights);
    pl_findings_clear(&prober->findings);
    g_free(prober);
}

/* A socket that has been given up may still have datagrams waiting. */
static gboolean is_void(const PlProber *prober, const PlProbeAction *action)
{
    return action->kind == PL_PROBE_SEND && pl_probe_socket(prober, action->id)->dead;
}

void pl_prober_poll(PlProber *prober, PlProbeAction *ret_action)
{
    PlProbeAction *action;

    while ((action = g_queue_pop_head(&prober->actions))) {
        gboolean done = !is_void(prober, action);

        if (done)
            *ret_action = *action;
        g_free(action);
        if (done)
            return;
    }
    *ret_action = (PlProbeAction){.kind = prober->done ? PL_PROBE_DONE : PL_PROBE_NOTHING};
}

void pl_prober_open_failed(PlProber *prober, unsigned id, uint64_t now)
{
    if (!advance_clock(prober, now))
        return;
    if (id == PL_PROBE_ID_FORWARD)
        pl_forwards_tcp(prober, NULL, /* unavailable= */ TRUE);
    else
        pl_probe_socket_failed(prober, id);
    step(prober);
}

void pl_prober_datagram(PlProber *prober, unsigned id, const PhAddress *from, const uint8_t *data,
                        size_t length, uint64_t now)
{
    if (!advance_clock(prober, now))
        return;
    pl_probe_receive(prober, id, from, data, length);
    step(prober);
}

void pl_prober_unreachable(PlProber *prober, unsigned id, const PhAddress *remote, uint64_t now)
{
    PlUnsolicitedTest *test = &prober->unsolicited;

    if (!advance_clock(prober, now))
        return;
    if (test->control && id == test->stranger &&
        (ph_address_equal(remote, &test->external) ||
         ph_address_equal(remote, &test->unused_remote)))
        test->unreachable = TRUE;
    step(prober);
}

void pl_prober_tcp(PlProber *prober, unsigned id, const PhAddress *from, uint64_t now)
{
    if (!advance_clock(prober, now))
        return;
    if (id == PL_PROBE_ID_TCP)
        pl_reach_tcp(prober, from);
    else if (id == PL_PROBE_ID_FORWARD)
        pl_forwards_tcp(prober, from, /* unavailable= */ FALSE);
    step(prober);
}

void pl_prober_echo(PlProber *prober, unsigned id, gboolean answered, uint64_t now)
{
    if (!advance_clock(prober, now))
        return;
    if (id >= PL_PROBE_ID_ECHO && id < PL_PROBE_ID_ECHO + PL_PROBE_ECHOES)
        pl_reach_echo(prober, answered);
    step(prober);
}

uint64_t pl_prober_next_timeout(const PlProber *prober)
{
    return prober->done ? UINT64_MAX : MIN(prober->wake_ns, pl_probe_due(prober));
}

void pl_prober_timeout(PlProber *prober, uint64_t now)
{
    if (!advance_clock(prober, now))
        return;
    step(prober);
}

const PlFindings *pl_prober_findings(const PlProber *prober)
{
    return &prober->findings;
}
