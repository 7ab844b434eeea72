/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a run must find; see expected.h. */
#include "scenario/expected.h"

#include <string.h>

#include "oracle/oracle.h"

static const PlExpect *find(const PlTopology *topology, const PlNode *node, PlExpectKind kind,
                            PlAxis axis)
{
    for (unsigned i = 0; i < topology->expects->len; i++) {
        const PlExpect *expect = g_ptr_array_index(topology->expects, i);

        if (expect->node == node && expect->kind == kind &&
            (kind != PL_EXPECT_AXIS || expect->axis == axis))
            return expect;
    }
    return NULL;
}

static gboolean expects_anything(const PlTopology *topology, const PlNode *node)
{
    for (unsigned axis = 0; axis < PL_AXIS_N; axis++) {
        if (find(topology, node, PL_EXPECT_AXIS, axis))
            return TRUE;
    }
    return FALSE;
}

static void fill_host(const PlTopology *topology, const PlNode *host, PlFindings *expected)
{
    static const PlAxis made_of[] = {PL_AXIS_MAPPING, PL_AXIS_FILTERING};
    g_autoptr(GPtrArray) chain = pl_topology_chain(topology, host);
    const PlExpect *class;

    if (chain->len == 0 && !expects_anything(topology, host))
        return;
    pl_oracle_host(topology, host, expected);
    class = find(topology, host, PL_EXPECT_AXIS, PL_AXIS_CLASS);
    if (class && g_strcmp0(class->value, expected->value[PL_AXIS_CLASS]) != 0) {
        for (unsigned i = 0; i < G_N_ELEMENTS(made_of); i++)
            pl_findings_set(expected, made_of[i], NULL, NULL);
    }
}

/* Whether a step gives the NAT another address: then no single one is right from beginning to end.
 */
static gboolean is_readdressed(const PlTopology *topology, const PlNode *nat)
{
    for (unsigned i = 0; i < topology->steps->len; i++) {
        const PlStep *step = g_ptr_array_index(topology->steps, i);

        if (step->kind == PL_STEP_NAT_ADDRESS && step->node == nat)
            return TRUE;
    }
    return FALSE;
}

static void forget_external(const PlTopology *topology, const PlNode *node, PlFindings *expected)
{
    g_autoptr(GPtrArray) chain = pl_topology_chain(topology, node);
    gboolean readdressed = is_readdressed(topology, node);

    for (unsigned i = 0; i < chain->len; i++)
        readdressed |= is_readdressed(topology, g_ptr_array_index(chain, i));
    if (readdressed)
        pl_findings_set(expected, PL_AXIS_EXTERNAL, NULL, "a step changes it");
}

void pl_expected_fill(const PlTopology *topology, PlVerdict *verdict)
{
    for (unsigned i = 0; i < topology->nodes->len; i++) {
        const PlNode *node = g_ptr_array_index(topology->nodes, i);
        PlSubject *subject = pl_verdict_subject(verdict, node->name);

        if (node->kind == PL_NODE_NAT)
            pl_oracle_nat(topology, node, &subject->expected);
        else
            fill_host(topology, node, &subject->expected);
        forget_external(topology, node, &subject->expected);
        for (unsigned axis = 0; axis < PL_AXIS_N; axis++) {
            const PlExpect *expect = find(topology, node, PL_EXPECT_AXIS, axis);

            if (expect)
                pl_findings_set(&subject->expected, axis, expect->value, NULL);
        }
    }
}

gboolean pl_expected_any(const PlSubject *subject)
{
    for (unsigned axis = 0; axis < PL_AXIS_N; axis++) {
        if (subject->expected.value[axis])
            return TRUE;
    }
    return FALSE;
}

static gboolean is_killed_by_a_step(const PlTopology *topology, const PlNode *host)
{
    for (unsigned i = 0; i < topology->steps->len; i++) {
        const PlStep *step = g_ptr_array_index(topology->steps, i);

        if (step->kind == PL_STEP_HOST_KILL && step->node == host)
            return TRUE;
    }
    return FALSE;
}

static void judge_exit(const PlTopology *topology, PlVerdict *verdict, const PlNode *host,
                       const PlSubject *subject)
{
    const PlExpect *expect = find(topology, host, PL_EXPECT_EXIT, 0);
    g_autofree char *status = g_strdup_printf("%d", subject->exit_status);
    const char *expected = expect                                 ? expect->value
                           : host->program.ready == PL_READY_EXIT ? "0"
                                                                  : NULL;

    if (expected && subject->exit_status < 0)
        pl_verdict_reason(verdict, PL_OUTCOME_FAIL,
                          "host %s: program still running at the end (expected exit = %s)",
                          host->name, expected);
    else if (expected && strcmp(expected, status) != 0)
        pl_verdict_reason(verdict, PL_OUTCOME_FAIL,
                          "host %s: program ended with status %s (expected %s)", host->name, status,
                          expected);
    else if (!expected && subject->exit_status >= 0 && !is_killed_by_a_step(topology, host))
        pl_verdict_reason(verdict, PL_OUTCOME_FAIL,
                          "host %s: program ended with status %s during the run", host->name,
                          status);
}

void pl_expected_programs(const PlTopology *topology, PlVerdict *verdict)
{
    for (unsigned i = 0; i < topology->nodes->len; i++) {
        const PlNode *host = g_ptr_array_index(topology->nodes, i);
        const PlSubject *subject = pl_verdict_subject(verdict, host->name);

        if (subject->has_program)
            judge_exit(topology, verdict, host, subject);
    }
    for (unsigned i = 0; i < topology->expects->len; i++) {
        const PlExpect *expect = g_ptr_array_index(topology->expects, i);
        const PlSubject *subject = pl_verdict_subject(verdict, expect->node->name);

        if (expect->kind == PL_EXPECT_OUTPUT && subject->has_program &&
            !strstr(subject->output ? subject->output : "", expect->value))
            pl_verdict_reason(verdict, PL_OUTCOME_FAIL,
                              "host %s: no line of its program's output contains \"%s\"",
                              expect->node->name, expect->value);
    }
}
