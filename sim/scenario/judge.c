/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The judge: where expected, certified, claimed and observed differ, and whether that is a failure.
 *
 *   expected    says what must be certified, and claimed and observed as far as they are there;
 *               who was asked for a claim must know
 *   unknown     is expected of claims alone
 *   not         then certified and observed have to agree with each other, unless theory says why
 *               they need not
 *
 * A NAT that is not what its file says fails the setup: nothing else in the cell means anything
 * then, so NATs come first.
 */
#include "scenario/verdict.h"

#include <string.h>

typedef struct Judged {
    const char *expected, *certified, *claimed, *observed;
} Judged;

static Judged judged(const PlSubject *subject, PlAxis axis)
{
    return (Judged){subject->expected.value[axis], subject->certified.value[axis],
                    subject->claimed.value[axis], subject->observed.value[axis]};
}

/* What is not on the wire in plain sight (a NAT's timeout, say) may go unobserved; this may not. */
static gboolean must_be_observed(const PlSubject *subject, PlAxis axis)
{
    return axis == PL_AXIS_MAPPING || axis == PL_AXIS_FILTERING ||
           (axis == PL_AXIS_CLASS && subject->kind == PL_NODE_HOST);
}

/* Nothing found differs from nothing. */
static gboolean differs(PlAxis axis, const char *expected, const char *found)
{
    return expected && found && !pl_axis_agrees(axis, expected, found);
}

gboolean pl_verdict_expects_unknown(const PlSubject *subject, PlAxis axis)
{
    return g_strcmp0(subject->expected.value[axis], "unknown") == 0;
}

static gboolean is_as_expected(const PlSubject *subject, PlAxis axis)
{
    Judged j = judged(subject, axis);

    if (!j.certified || (!j.observed && must_be_observed(subject, axis)))
        return FALSE;
    /* With a reason for its silence it was asked. */
    if (!j.claimed && subject->claimed.why[axis] &&
        !pl_verdict_expects_unknown(subject, PL_AXIS_CLASS))
        return FALSE;
    return !differs(axis, j.expected, j.certified) && !differs(axis, j.expected, j.claimed) &&
           !differs(axis, j.expected, j.observed);
}

gboolean pl_verdict_axis_ok(const PlSubject *subject, PlAxis axis)
{
    Judged j = judged(subject, axis);

    if (pl_verdict_expects_unknown(subject, axis))
        return !j.claimed && !differs(axis, j.certified, j.observed);
    if (j.expected)
        return is_as_expected(subject, axis);
    /* Theory knows why there is no word for it: who finds one may find another. */
    if (subject->expected.why[axis])
        return TRUE;
    if (axis != PL_AXIS_CLASS && axis != PL_AXIS_MAPPING && axis != PL_AXIS_FILTERING)
        return !differs(axis, j.observed ? j.observed : j.certified, j.claimed);
    return !differs(axis, j.certified, j.observed) && !differs(axis, j.certified, j.claimed) &&
           !differs(axis, j.observed, j.claimed);
}

static void append_value(GString *text, const char *judge, const PlFindings *findings, PlAxis axis)
{
    const char *value = findings->value[axis], *why = findings->why[axis];

    g_string_append_printf(text, "%s%s %s", text->len ? ", " : "", judge,
                           value ? value : "nothing");
    if (!value && why)
        g_string_append_printf(text, " (%s)", why);
}

static void report_difference(PlVerdict *verdict, const PlSubject *subject, PlAxis axis)
{
    g_autoptr(GString) text = g_string_new(NULL);

    append_value(text, "expected", &subject->expected, axis);
    append_value(text, "certified", &subject->certified, axis);
    append_value(text, "claimed", &subject->claimed, axis);
    append_value(text, "observed", &subject->observed, axis);
    pl_verdict_reason(verdict, PL_OUTCOME_FAIL, "%s %s: %s: %s",
                      subject->kind == PL_NODE_NAT ? "nat" : "host", subject->name,
                      pl_axis_name(axis), text->str);
}

/* TRUE when the prober did not find the NAT to be what its file says. */
static gboolean report_mislabelled(PlVerdict *verdict, const PlSubject *nat, PlAxis axis)
{
    Judged j = judged(nat, axis);
    const char *why = nat->certified.why[axis];

    if (j.expected && !j.certified) {
        pl_verdict_reason(verdict, PL_OUTCOME_FAIL,
                          "setup: nat %s is labelled %s = %s but the prober could not tell%s%s",
                          nat->name, pl_axis_name(axis), j.expected, why ? ": " : "",
                          why ? why : "");
        return TRUE;
    }
    if (differs(axis, j.expected, j.certified)) {
        pl_verdict_reason(verdict, PL_OUTCOME_FAIL,
                          "setup: nat %s is labelled %s = %s but is %s (certified by the prober)",
                          nat->name, pl_axis_name(axis), j.expected, j.certified);
        return TRUE;
    }
    return FALSE;
}

/* TRUE when something was to be certified of the NAT, and nothing was: one reason says it all. */
static gboolean report_uncertified(PlVerdict *verdict, const PlSubject *nat)
{
    const char *why = nat->certified.why[PL_AXIS_CLASS];
    gboolean expected = FALSE;

    for (PlAxis axis = 0; axis < PL_AXIS_N; axis++) {
        if (nat->certified.value[axis])
            return FALSE;
        expected |= nat->expected.value[axis] != NULL;
        if (!why && nat->expected.value[axis])
            why = nat->certified.why[axis];
    }
    if (expected)
        pl_verdict_reason(verdict, PL_OUTCOME_FAIL, "setup: nat %s could not be certified%s%s",
                          nat->name, why ? ": " : "", why ? why : "");
    return expected;
}

static void judge_subject(PlVerdict *verdict, const PlSubject *subject)
{
    if (subject->kind == PL_NODE_NAT && report_uncertified(verdict, subject))
        return;
    for (PlAxis axis = 0; axis < PL_AXIS_N; axis++) {
        if (pl_verdict_axis_ok(subject, axis))
            continue;
        if (subject->kind == PL_NODE_NAT && report_mislabelled(verdict, subject, axis))
            continue;
        report_difference(verdict, subject, axis);
    }
}

static void judge_kind(PlVerdict *verdict, PlNodeKind kind)
{
    for (guint i = 0; i < verdict->subjects->len; i++) {
        const PlSubject *subject = g_ptr_array_index(verdict->subjects, i);

        if (subject->kind == kind)
            judge_subject(verdict, subject);
    }
}

gboolean pl_path_agrees(const char *expected, const char *found)
{
    gsize length = strlen(expected);

    return strncmp(expected, found, length) == 0 &&
           (found[length] == '\0' || (found[length] == '(' && !strchr(expected, '(')));
}

gboolean pl_path_claim_agrees(const char *expected, const char *claimed)
{
    return pl_path_agrees(expected, claimed) ||
           (g_str_has_prefix(expected, "none") && strcmp(claimed, "none(unknown-peer)") == 0);
}

/* Whether one of the two says the same as the other, or less. */
static gboolean is_compatible(const char *claimed, const char *observed)
{
    return !claimed || !observed || pl_path_agrees(claimed, observed) ||
           pl_path_claim_agrees(observed, claimed);
}

/* Where nobody could see it, the wire has its reason. */
gboolean pl_verdict_path_ok(const PlPath *path)
{
    const char *expected = path->expected.value, *claimed = path->claimed.value;
    const char *observed = path->observed.value;

    if (!observed || (!claimed && path->claimed.why))
        return FALSE;
    if (expected && ((claimed && !pl_path_claim_agrees(expected, claimed)) ||
                     (observed && !pl_path_agrees(expected, observed))))
        return FALSE;
    return is_compatible(claimed, observed);
}

static void append_finding(GString *text, const char *judge, const PlPathFinding *finding)
{
    g_string_append_printf(text, "%s%s %s", text->len ? ", " : "", judge,
                           finding->value ? finding->value : "nothing");
    if (!finding->value && finding->why)
        g_string_append_printf(text, " (%s)", finding->why);
}

static void judge_path(PlVerdict *verdict, const PlPath *path)
{
    g_autoptr(GString) text = g_string_new(NULL);

    if (pl_verdict_path_ok(path))
        return;
    append_finding(text, "expected", &path->expected);
    append_finding(text, "claimed", &path->claimed);
    append_finding(text, "observed", &path->observed);
    pl_verdict_reason(verdict, PL_OUTCOME_FAIL, "path %s -> %s: %s", path->from, path->to,
                      text->str);
}

void pl_verdict_judge(PlVerdict *verdict)
{
    judge_kind(verdict, PL_NODE_NAT);
    judge_kind(verdict, PL_NODE_HOST);
    for (guint i = 0; i < verdict->paths->len; i++)
        judge_path(verdict, g_ptr_array_index(verdict->paths, i));
}

void pl_verdict_judge_setup(PlVerdict *verdict)
{
    for (guint i = 0; i < verdict->subjects->len; i++) {
        const PlSubject *subject = g_ptr_array_index(verdict->subjects, i);

        if (subject->kind == PL_NODE_NAT && report_uncertified(verdict, subject))
            continue;
        for (PlAxis axis = 0; axis < PL_AXIS_N; axis++) {
            Judged j = judged(subject, axis);

            if (!j.expected || pl_verdict_expects_unknown(subject, axis) ||
                (j.certified && !differs(axis, j.expected, j.certified)))
                continue;
            if (subject->kind != PL_NODE_NAT || !report_mislabelled(verdict, subject, axis))
                report_difference(verdict, subject, axis);
        }
    }
}
