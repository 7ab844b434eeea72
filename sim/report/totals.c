/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Verdicts counted and compared. */
#include "report/report.h"

#include <stdlib.h>

/* What Automake, Meson and CTest take for "skipped". */
#define EXIT_SKIPPED 77
#define EXIT_INPUT   2

static const PlAxis compared[] = {PL_AXIS_CLASS, PL_AXIS_MAPPING, PL_AXIS_FILTERING};

static gboolean subjects_differ(const PlSubject *a, const PlSubject *b)
{
    if (g_strcmp0(a->name, b->name) != 0)
        return TRUE;
    for (guint i = 0; i < G_N_ELEMENTS(compared); i++) {
        PlAxis axis = compared[i];

        if (g_strcmp0(a->certified.value[axis], b->certified.value[axis]) != 0 ||
            g_strcmp0(a->claimed.value[axis], b->claimed.value[axis]) != 0 ||
            g_strcmp0(a->observed.value[axis], b->observed.value[axis]) != 0)
            return TRUE;
    }
    return FALSE;
}

/* What theory expects is the same each time. */
static gboolean paths_differ(const PlPath *a, const PlPath *b)
{
    return g_strcmp0(a->from, b->from) != 0 || g_strcmp0(a->to, b->to) != 0 ||
           g_strcmp0(a->claimed.value, b->claimed.value) != 0 ||
           g_strcmp0(a->observed.value, b->observed.value) != 0;
}

gboolean pl_report_differs(const PlVerdict *a, const PlVerdict *b)
{
    if (a->outcome != b->outcome || a->subjects->len != b->subjects->len ||
        a->paths->len != b->paths->len)
        return TRUE;
    for (guint i = 0; i < a->paths->len; i++) {
        if (paths_differ(g_ptr_array_index(a->paths, i), g_ptr_array_index(b->paths, i)))
            return TRUE;
    }
    for (guint i = 0; i < a->subjects->len; i++) {
        if (subjects_differ(g_ptr_array_index(a->subjects, i), g_ptr_array_index(b->subjects, i)))
            return TRUE;
    }
    return FALSE;
}

PlReportTotals pl_report_totals(GPtrArray *verdicts)
{
    PlReportTotals totals = {.cells = verdicts->len};
    const PlVerdict *first = NULL;
    gboolean differs = FALSE;

    for (guint i = 0; i < verdicts->len; i++) {
        const PlVerdict *verdict = g_ptr_array_index(verdicts, i);

        totals.passed += verdict->outcome == PL_OUTCOME_PASS;
        totals.failed += verdict->outcome == PL_OUTCOME_FAIL;
        totals.skipped += verdict->outcome == PL_OUTCOME_SKIP;
        if (!first || g_strcmp0(first->topology, verdict->topology) != 0) {
            first = verdict;
            differs = FALSE;
        } else if (!differs && pl_report_differs(first, verdict)) {
            differs = TRUE;
            totals.differing++;
        }
    }
    return totals;
}

static void fail_skipped(PlVerdict *verdict)
{
    g_autoptr(GPtrArray) skipped = g_steal_pointer(&verdict->reasons);
    char *command = verdict->command;

    verdict->reasons = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; i < skipped->len; i++)
        pl_verdict_reason(verdict, PL_OUTCOME_FAIL, "skipped, and --no-skip: %s",
                          (const char *)g_ptr_array_index(skipped, i));
    verdict->outcome = PL_OUTCOME_FAIL;
    if (!command)
        return;
    verdict->command = g_strconcat(command, " --no-skip", NULL);
    g_free(command);
}

void pl_report_forbid_skips(GPtrArray *verdicts)
{
    for (guint i = 0; i < verdicts->len; i++) {
        PlVerdict *verdict = g_ptr_array_index(verdicts, i);

        if (verdict->outcome == PL_OUTCOME_SKIP)
            fail_skipped(verdict);
    }
}

int pl_report_exit_status(GPtrArray *verdicts)
{
    PlReportTotals totals = pl_report_totals(verdicts);

    for (guint i = 0; i < verdicts->len; i++) {
        const PlVerdict *verdict = g_ptr_array_index(verdicts, i);

        if (verdict->bad_input)
            return EXIT_INPUT;
    }
    if (totals.failed || totals.differing)
        return EXIT_FAILURE;
    return totals.passed ? EXIT_SUCCESS : EXIT_SKIPPED;
}
