/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a run must find; see expected.h. */
#include "scenario/expected.h"

#include <string.h>

#include "oracle/oracle.h"
#include "scenario/verdict_private.h"

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

/* A host that no NAT is in front of is direct: of interest only to who asks, or says so. What is
 * before one that moves is not the same from beginning to end. */
static gboolean is_judged(const PlTopology *topology, const PlNode *host, const GPtrArray *chain)
{
    return !host->moves && (chain->len > 0 || host->program.word == PL_WORD_CLASSIFY ||
                            expects_anything(topology, host));
}

static void fill_host(const PlTopology *topology, const PlNode *host, PlFindings *expected)
{
    static const PlAxis made_of[] = {PL_AXIS_MAPPING, PL_AXIS_FILTERING};
    g_autoptr(GPtrArray) chain = pl_topology_chain(topology, host);
    const PlExpect *class;

    if (!is_judged(topology, host, chain))
        return;
    pl_oracle_host(topology, host, expected);
    class = find(topology, host, PL_EXPECT_AXIS, PL_AXIS_CLASS);
    if (class && g_strcmp0(class->value, expected->value[PL_AXIS_CLASS]) != 0) {
        for (unsigned i = 0; i < G_N_ELEMENTS(made_of); i++)
            pl_findings_set(expected, made_of[i], NULL, NULL);
    }
}

/* The NAT whose address a node is seen at: itself, or the outermost on its way that translates. */
static const PlNode *seen_through(const PlTopology *topology, const PlNode *node)
{
    g_autoptr(GPtrArray) chain = NULL;

    if (node->kind == PL_NODE_NAT)
        return node;
    chain = pl_topology_chain(topology, node);
    for (unsigned i = chain->len; i-- > 0;) {
        const PlNode *nat = g_ptr_array_index(chain, i);

        if (nat->behaviour.mapping != PL_MAPPING_NONE)
            return nat;
    }
    return NULL;
}

/* The next step from *i on that gives the NAT another address, or NULL; *i is then behind it. */
static const PlStep *next_address(const PlTopology *topology, const PlNode *nat, unsigned *i)
{
    while (*i < topology->steps->len) {
        const PlStep *step = g_ptr_array_index(topology->steps, (*i)++);

        if (step->kind == PL_STEP_NAT_ADDRESS && step->node == nat)
            return step;
    }
    return NULL;
}

/* From beginning to end any of the addresses is right; see judge_addresses. */
static void add_addresses(const PlTopology *topology, const PlNode *node, PlFindings *expected)
{
    const PlNode *nat = seen_through(topology, node);
    const PlStep *step;
    unsigned i = 0;

    while (expected->value[PL_AXIS_EXTERNAL] && (step = next_address(topology, nat, &i))) {
        char address[PH_ADDRESS_TEXT_MAX];
        g_autofree char *list = g_strdup_printf("%s, %s", expected->value[PL_AXIS_EXTERNAL],
                                                ph_address_format(&step->address, address));

        pl_findings_set(expected, PL_AXIS_EXTERNAL, list, NULL);
    }
}

/* What is judged without being expected by the file: those that nodes are to get. */
static void add_path(const PlTopology *topology, PlVerdict *verdict, const PlNode *from,
                     const PlNode *to)
{
    PlPath *path;
    g_autofree char *why = NULL;
    const char *value;

    if (pl_verdict_path(verdict, from->name, to->name))
        return;
    path = pl_verdict_add_path(verdict, from->name, to->name);
    value = pl_oracle_path(topology, from, to, &why);
    pl_path_finding_set(&path->expected, value, why);
}

static void fill_paths(const PlTopology *topology, PlVerdict *verdict)
{
    for (unsigned i = 0; i < topology->nodes->len; i++) {
        const PlNode *from = g_ptr_array_index(topology->nodes, i);

        for (unsigned k = 0; from->program.connect && k < topology->nodes->len; k++) {
            const PlNode *to = g_ptr_array_index(topology->nodes, k);

            if (to->program.word == PL_WORD_NODE && to != from &&
                strcmp(to->program.name, from->program.connect) == 0)
                add_path(topology, verdict, from, to);
        }
    }
    for (unsigned i = 0; i < topology->expects->len; i++) {
        const PlExpect *expect = g_ptr_array_index(topology->expects, i);

        if (expect->kind != PL_EXPECT_PATH || expect->when != PL_WHEN_END)
            continue;
        add_path(topology, verdict, expect->node, expect->peer);
        pl_path_finding_set(
            &pl_verdict_path(verdict, expect->node->name, expect->peer->name)->expected,
            expect->value, NULL);
    }
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
        add_addresses(topology, node, &subject->expected);
        for (unsigned axis = 0; axis < PL_AXIS_N; axis++) {
            const PlExpect *expect = find(topology, node, PL_EXPECT_AXIS, axis);

            if (expect)
                pl_findings_set(&subject->expected, axis, expect->value, NULL);
        }
    }
    fill_paths(topology, verdict);
}

gboolean pl_expected_any(const PlSubject *subject)
{
    for (unsigned axis = 0; axis < PL_AXIS_N; axis++) {
        if (subject->expected.value[axis])
            return TRUE;
    }
    return FALSE;
}

/* The prober came before the steps, and the wire's last word after them. */
static void judge_addresses(const PlTopology *topology, PlVerdict *verdict, const PlNode *node,
                            const PlSubject *subject)
{
    const char *certified = subject->certified.value[PL_AXIS_EXTERNAL];
    const char *observed = subject->observed.value[PL_AXIS_EXTERNAL];
    const PlNode *nat = seen_through(topology, node);
    const PlStep *step, *last = NULL;
    char before[PH_ADDRESS_TEXT_MAX], after[PH_ADDRESS_TEXT_MAX];
    unsigned i = 0;

    while ((step = next_address(topology, nat, &i)))
        last = step;
    if (!last || !subject->expected.value[PL_AXIS_EXTERNAL] ||
        find(topology, node, PL_EXPECT_AXIS, PL_AXIS_EXTERNAL))
        return;
    ph_address_format(&g_array_index(pl_nat_outside(nat)->addresses, PhAddress, 0), before);
    ph_address_format(&last->address, after);
    if (g_strcmp0(certified, before) != 0 || !observed ||
        !pl_axis_agrees(PL_AXIS_EXTERNAL, observed, after))
        pl_verdict_reason(verdict, PL_OUTCOME_FAIL,
                          "%s %s: external: expected %s, and %s after step %u, certified %s, "
                          "observed %s",
                          node->kind == PL_NODE_NAT ? "nat" : "host", node->name, before, after,
                          last->number, certified ? certified : "nothing",
                          observed ? observed : "nothing");
}

void pl_expected_addresses(const PlTopology *topology, PlVerdict *verdict)
{
    for (unsigned i = 0; i < topology->nodes->len; i++) {
        const PlNode *node = g_ptr_array_index(topology->nodes, i);

        judge_addresses(topology, verdict, node, pl_verdict_subject(verdict, node->name));
    }
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

gboolean pl_expected_classified(int exit_status)
{
    return exit_status == 0 || exit_status == 3;
}

static void judge_exit(const PlTopology *topology, PlVerdict *verdict, const PlNode *host,
                       const PlSubject *subject)
{
    const PlExpect *expect = find(topology, host, PL_EXPECT_EXIT, 0);
    g_autofree char *status = g_strdup_printf("%d", subject->exit_status);
    gboolean classified =
        host->program.word == PL_WORD_CLASSIFY && pl_expected_classified(subject->exit_status);
    const char *expected = expect                                 ? expect->value
                           : host->program.ready == PL_READY_EXIT ? "0"
                                                                  : NULL;

    if (!expect && classified)
        return;
    if (expected && subject->exit_status < 0)
        pl_verdict_reason(verdict, PL_OUTCOME_FAIL,
                          "host %s: program still running at the end (expected exit = %s)",
                          host->name, expected);
    else if (expected && strcmp(expected, status) != 0)
        pl_verdict_reason(verdict, PL_OUTCOME_FAIL,
                          "host %s: program ended with status %s (expected %s)", host->name, status,
                          expected);
    else if (!expected && subject->exit_status > 0 && !is_killed_by_a_step(topology, host))
        pl_verdict_reason(verdict, PL_OUTCOME_FAIL,
                          "host %s: program ended with status %s during the run", host->name,
                          status);
}

static void judge_output(PlVerdict *verdict, const PlExpect *expect, const char *output)
{
    if (!strstr(output, expect->value))
        pl_verdict_reason(verdict, PL_OUTCOME_FAIL,
                          "host %s: no line of its program's output contains \"%s\"",
                          expect->node->name, expect->value);
}

/* Behind "ready" each line is a datagram. */
static void judge_hears(PlVerdict *verdict, const PlExpect *expect, const char *output)
{
    g_auto(GStrv) lines = g_strsplit(output, "\n", -1);
    guint n = g_strv_length(lines), n_expected = g_strv_length(expect->hears), same = 0;
    char **heard = n > 1 ? lines + 1 : lines + n;

    while (same < n_expected && heard[same] && strstr(heard[same], expect->hears[same]))
        same++;
    if (same < n_expected)
        pl_verdict_reason(verdict, PL_OUTCOME_FAIL,
                          "host %s: datagram %u that it heard is %s%s%s (expected \"%s\")",
                          expect->node->name, same + 1, heard[same] && *heard[same] ? "\"" : "",
                          heard[same] && *heard[same] ? heard[same] : "missing",
                          heard[same] && *heard[same] ? "\"" : "", expect->hears[same]);
    else if (heard[same] && *heard[same])
        pl_verdict_reason(verdict, PL_OUTCOME_FAIL, "host %s: heard \"%s\", too (expected %s)",
                          expect->node->name, heard[same], expect->value);
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

        if (!subject->has_program)
            continue;
        if (expect->kind == PL_EXPECT_OUTPUT)
            judge_output(verdict, expect, subject->output ? subject->output : "");
        else if (expect->kind == PL_EXPECT_HEARS && expect->node->program.word == PL_WORD_LISTEN)
            judge_hears(verdict, expect, subject->output ? subject->output : "");
    }
}
