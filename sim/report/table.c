/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The matrix as a table:
 *
 *   topology        verdict  expected           claimed            observed             time
 *   two-homes       pass     2 port-restricted  2 port-restricted  2 port-restricted  0.41 s
 *   mislabelled     FAIL     full-cone          port-restricted    port-restricted    0.39 s
 *   flaky  x20      DIFFERS  ...
 *
 * `claimed` stands there when anything is, and all of it has room: what does not agree is told
 * below the table in any case.
 *
 *   FAIL mislabelled, seed 7
 *     - ...
 *
 *   27 passed, 1 failed, 1 skipped, 1 differing: 30 cells on engine kernel in 4.21 s
 */
#include "report/grid.h"
#include "report/programs.h"
#include "report/report.h"

#include <limits.h>
#include <string.h>

enum {
    GAP = 2,
    SUMMARY_WIDTH = 12,    /* of an empty one, and as much as names leave */
    SUMMARY_WIDTH_MIN = 8, /* "expected" */
    REASONS_MAX = 6,       /* for each failure; `pinlab run` shows all */
    NAME_WIDTH_MIN = 12,
    NAME_WIDTH_MAX = 48,
};

/* The summaries of a row. */
enum {
    EXPECTED,
    CLAIMED,
    OBSERVED,
    SUMMARIES,
};

static const char *const summary_names[SUMMARIES] = {"expected", "claimed", "observed"};

/* The runs of one topology: [first, end) in the array of verdicts. */
typedef struct Row {
    guint first, end;
    unsigned passed, failed, skipped;
    gboolean differs;
    char *name, *summary[SUMMARIES];
} Row;

typedef const char *(*ClassOf)(const PlSubject *host);

static const char *expected_class(const PlSubject *host)
{
    const char *expected = host->expected.value[PL_AXIS_CLASS];

    /* Where the file says nothing, what was certified has to be seen. */
    return expected ? expected : host->certified.value[PL_AXIS_CLASS];
}

static const char *claimed_class(const PlSubject *host)
{
    const PlFindings *claimed = &host->claimed;

    return !claimed->value[PL_AXIS_CLASS] && claimed->why[PL_AXIS_CLASS]
               ? "unknown"
               : claimed->value[PL_AXIS_CLASS];
}

static const char *observed_class(const PlSubject *host)
{
    return host->observed.value[PL_AXIS_CLASS];
}

static const ClassOf class_by[SUMMARIES] = {expected_class, claimed_class, observed_class};

/* "2 port-restricted, direct": classes in the order of the first host that has each. */
static char *summarise(const PlVerdict *verdict, ClassOf class_of)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    g_autoptr(GArray) counts = g_array_new(FALSE, TRUE, sizeof(unsigned));
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < verdict->subjects->len; i++) {
        const PlSubject *subject = g_ptr_array_index(verdict->subjects, i);
        const char *name = class_of(subject);
        guint at;

        if (subject->kind != PL_NODE_HOST || !name)
            continue;
        if (!g_ptr_array_find_with_equal_func(names, name, g_str_equal, &at)) {
            at = names->len;
            g_ptr_array_add(names, (char *)name);
            g_array_set_size(counts, names->len);
        }
        g_array_index(counts, unsigned, at)++;
    }
    for (guint i = 0; i < names->len; i++) {
        unsigned n = g_array_index(counts, unsigned, i);

        g_string_append(text, i ? ", " : "");
        if (n > 1)
            g_string_append_printf(text, "%u ", n);
        g_string_append(text, g_ptr_array_index(names, i));
    }
    return g_string_free(text, FALSE);
}

static void row_clear(gpointer data)
{
    Row *row = data;

    g_free(row->name);
    for (unsigned i = 0; i < SUMMARIES; i++)
        g_free(row->summary[i]);
}

/* The run that a row shows: the first that did not pass, else the first. */
static const PlVerdict *shown_run(GPtrArray *verdicts, const Row *row)
{
    for (guint i = row->first; i < row->end; i++) {
        const PlVerdict *verdict = g_ptr_array_index(verdicts, i);

        if (verdict->outcome != PL_OUTCOME_PASS)
            return verdict;
    }
    return g_ptr_array_index(verdicts, row->first);
}

static Row make_row(GPtrArray *verdicts, guint first)
{
    const PlVerdict *start = g_ptr_array_index(verdicts, first), *shown;
    Row row = {.first = first, .end = first};

    for (; row.end < verdicts->len; row.end++) {
        const PlVerdict *verdict = g_ptr_array_index(verdicts, row.end);

        if (g_strcmp0(verdict->topology, start->topology) != 0)
            break;
        row.passed += verdict->outcome == PL_OUTCOME_PASS;
        row.failed += verdict->outcome == PL_OUTCOME_FAIL;
        row.skipped += verdict->outcome == PL_OUTCOME_SKIP;
        row.differs |= pl_report_differs(start, verdict);
    }
    shown = shown_run(verdicts, &row);
    row.name = row.end - first > 1 ? g_strdup_printf("%s  x%u", start->topology, row.end - first)
                                   : g_strdup(start->topology);
    for (unsigned i = 0; i < SUMMARIES; i++)
        row.summary[i] = summarise(shown, class_by[i]);
    return row;
}

static GArray *make_rows(GPtrArray *verdicts)
{
    GArray *rows = g_array_new(FALSE, FALSE, sizeof(Row));

    g_array_set_clear_func(rows, row_clear);
    for (guint i = 0; i < verdicts->len; i = g_array_index(rows, Row, rows->len - 1).end) {
        Row row = make_row(verdicts, i);

        g_array_append_val(rows, row);
    }
    return rows;
}

static char *verdict_word(const Row *row, PlStyle *ret_style)
{
    unsigned runs = row->end - row->first;

    if (row->failed) {
        *ret_style = PL_STYLE_BAD;
        return runs > 1 ? g_strdup_printf("FAIL %u/%u", row->failed, runs) : g_strdup("FAIL");
    }
    if (row->differs) {
        *ret_style = PL_STYLE_BAD;
        return g_strdup("DIFFERS");
    }
    *ret_style = row->skipped ? PL_STYLE_SKIPPED : PL_STYLE_GOOD;
    return g_strdup(row->skipped ? "skip" : "pass");
}

static int compare_durations(gconstpointer a, gconstpointer b)
{
    const uint64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

/* The median, for a topology that ran more than once. */
static uint64_t row_duration(GPtrArray *verdicts, const Row *row)
{
    g_autoptr(GArray) all = g_array_new(FALSE, FALSE, sizeof(uint64_t));

    for (guint i = row->first; i < row->end; i++) {
        const PlVerdict *verdict = g_ptr_array_index(verdicts, i);

        g_array_append_val(all, verdict->duration_ns);
    }
    g_array_sort(all, compare_durations);
    return g_array_index(all, uint64_t, all->len / 2);
}

typedef struct Widths {
    unsigned name, verdict, time;
    unsigned summary[SUMMARIES]; /* 0: is not shown */
} Widths;

static char *seconds(GPtrArray *verdicts, const Row *row)
{
    return g_strdup_printf("%.2f s", (double)row_duration(verdicts, row) / 1e9);
}

/* Names first, since they tell rows apart; the summaries share what is left. */
static void fit(Widths *widths, unsigned columns)
{
    unsigned used = widths->verdict + widths->time + 4 * GAP;
    unsigned room = columns > used ? columns - used : 0;
    unsigned name = room > 2 * SUMMARY_WIDTH ? room - 2 * SUMMARY_WIDTH : 0;
    unsigned summary, needed = widths->name + GAP;

    for (unsigned i = 0; i < SUMMARIES; i++)
        needed += widths->summary[i];
    if (needed <= room)
        return;
    widths->summary[CLAIMED] = 0;
    widths->name = MIN(widths->name, CLAMP(name, NAME_WIDTH_MIN, NAME_WIDTH_MAX));
    summary = room > widths->name ? (room - widths->name) / 2 : 0;
    summary = MAX(summary, SUMMARY_WIDTH_MIN);
    for (unsigned i = 0; i < SUMMARIES; i++)
        widths->summary[i] = MIN(widths->summary[i], summary);
}

static Widths measure(const PlText *text, GPtrArray *verdicts, GArray *rows)
{
    Widths widths = {
        .name = strlen("topology"),
        .verdict = strlen("verdict"),
        .time = strlen("time"),
        .summary = {[EXPECTED] = SUMMARY_WIDTH, [OBSERVED] = SUMMARY_WIDTH},
    };

    for (guint i = 0; i < rows->len; i++) {
        const Row *row = &g_array_index(rows, Row, i);
        PlStyle style;
        g_autofree char *word = verdict_word(row, &style), *time = seconds(verdicts, row);

        widths.verdict = MAX(widths.verdict, pl_text_width(word));
        widths.time = MAX(widths.time, pl_text_width(time));
        widths.name = MAX(widths.name, pl_text_width(row->name));
        for (unsigned k = 0; k < SUMMARIES; k++)
            if (*row->summary[k])
                widths.summary[k] =
                    MAX(widths.summary[k], MAX(SUMMARY_WIDTH, pl_text_width(row->summary[k])));
    }
    if (pl_text_columns(text) != UINT_MAX)
        fit(&widths, pl_text_columns(text));
    return widths;
}

static void put_gap(const PlText *text)
{
    fprintf(text->out, "%*s", GAP, "");
}

static void put_head(const PlText *text, const Widths *widths)
{
    pl_text_cell(text, PL_STYLE_DIM, widths->name + GAP, "topology");
    pl_text_cell(text, PL_STYLE_DIM, widths->verdict + GAP, "verdict");
    for (unsigned i = 0; i < SUMMARIES; i++)
        if (widths->summary[i])
            pl_text_cell(text, PL_STYLE_DIM, widths->summary[i] + GAP, summary_names[i]);
    fprintf(text->out, "%*s", (int)(widths->time - strlen("time")), "");
    pl_text_cell(text, PL_STYLE_DIM, 0, "time");
    fputc('\n', text->out);
}

/* What is not what was expected. Not all hosts claim something: then it is not for colours. */
static gboolean is_bad(const Row *row, unsigned summary)
{
    return *row->summary[summary] && strcmp(row->summary[EXPECTED], row->summary[summary]) != 0 &&
           (summary == OBSERVED || row->failed);
}

static void put_row(const PlText *text, const Widths *widths, GPtrArray *verdicts, const Row *row)
{
    PlStyle style;
    g_autofree char *word = verdict_word(row, &style), *time = seconds(verdicts, row);

    pl_text_cell(text, PL_STYLE_NONE, widths->name, row->name);
    put_gap(text);
    pl_text_cell(text, style, widths->verdict, word);
    put_gap(text);
    for (unsigned i = 0; i < SUMMARIES; i++) {
        const char *summary = row->summary[i];

        if (!widths->summary[i])
            continue;
        pl_text_cell(text, is_bad(row, i) ? PL_STYLE_BAD : PL_STYLE_NONE, widths->summary[i],
                     *summary ? summary : "-");
        put_gap(text);
    }
    fprintf(text->out, "%*s\n", (int)widths->time, time);
}

static void put_failure(const PlText *text, const PlVerdict *verdict)
{
    fputc('\n', text->out);
    pl_text_cell(text, PL_STYLE_BAD, 0, "FAIL");
    fprintf(text->out, " %s, seed %" G_GUINT64_FORMAT "\n", verdict->topology, verdict->seed);
    for (guint i = 0; i < verdict->reasons->len && i < REASONS_MAX; i++)
        pl_text_paragraph(text, "  - ", g_ptr_array_index(verdict->reasons, i));
    if (verdict->reasons->len > REASONS_MAX)
        fprintf(text->out, "  - and %u more\n", verdict->reasons->len - REASONS_MAX);
    if (verdict->capture)
        fprintf(text->out, "  capture: %s\n", verdict->capture);
    fprintf(text->out, "  again:   %s\n", verdict->command);
    pl_programs_put_failed(text, verdict);
}

static void put_differing(const PlText *text, GPtrArray *verdicts, const Row *row)
{
    const PlVerdict *first = g_ptr_array_index(verdicts, row->first);

    for (guint i = row->first + 1; i < row->end; i++) {
        const PlVerdict *other = g_ptr_array_index(verdicts, i);

        if (!pl_report_differs(first, other))
            continue;
        fputc('\n', text->out);
        pl_text_cell(text, PL_STYLE_BAD, 0, "DIFFERS");
        fprintf(text->out,
                " %s: seed %" G_GUINT64_FORMAT " (%s) and seed %" G_GUINT64_FORMAT " (%s)\n",
                first->topology, first->seed, pl_outcome_name(first->outcome), other->seed,
                pl_outcome_name(other->outcome));
        fprintf(text->out, "  %s\n  %s\n", first->command, other->command);
        return;
    }
}

static char *join_reasons(const PlVerdict *verdict)
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < verdict->reasons->len; i++)
        g_string_append_printf(text, "%s%s", i ? "; " : "",
                               (char *)g_ptr_array_index(verdict->reasons, i));
    return g_string_free(text, FALSE);
}

/* Whether it only says again what the run of the same topology before it said. */
static gboolean repeats_last(GPtrArray *verdicts, guint i)
{
    const PlVerdict *verdict = g_ptr_array_index(verdicts, i);
    const PlVerdict *before = i ? g_ptr_array_index(verdicts, i - 1) : NULL;
    g_autofree char *reasons = join_reasons(verdict);
    g_autofree char *reasons_before = before ? join_reasons(before) : NULL;

    return before && g_strcmp0(before->topology, verdict->topology) == 0 &&
           before->outcome == verdict->outcome && strcmp(reasons, reasons_before) == 0;
}

/* A reason that skipped many cells stands there once, with all of their names. */
static void put_skips(const PlText *text, GPtrArray *verdicts)
{
    g_autoptr(GPtrArray) reasons = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);

    for (guint i = 0; i < verdicts->len; i++) {
        const PlVerdict *verdict = g_ptr_array_index(verdicts, i);
        g_autofree char *reason = join_reasons(verdict);
        guint at;

        if (verdict->outcome != PL_OUTCOME_SKIP || repeats_last(verdicts, i))
            continue;
        if (g_ptr_array_find_with_equal_func(reasons, reason, g_str_equal, &at)) {
            char *before = g_ptr_array_index(names, at);

            g_ptr_array_index(names, at) = g_strconcat(before, ", ", verdict->topology, NULL);
            g_free(before);
        } else {
            g_ptr_array_add(reasons, g_steal_pointer(&reason));
            g_ptr_array_add(names, g_strdup(verdict->topology));
        }
    }
    for (guint i = 0; i < reasons->len; i++) {
        fputc('\n', text->out);
        pl_text_cell(text, PL_STYLE_SKIPPED, 0, "SKIP");
        pl_text_paragraph(text, " ", g_ptr_array_index(names, i));
        pl_text_paragraph(text, "  - ", g_ptr_array_index(reasons, i));
    }
}

static void put_totals(const PlText *text, GPtrArray *verdicts, uint64_t duration_ns)
{
    PlReportTotals totals = pl_report_totals(verdicts);
    const PlVerdict *first = verdicts->len ? g_ptr_array_index(verdicts, 0) : NULL;

    fprintf(text->out, "\n%u passed, %u failed, %u skipped", totals.passed, totals.failed,
            totals.skipped);
    if (totals.differing)
        fprintf(text->out, ", %u differing", totals.differing);
    fprintf(text->out, ": %u cell%s", totals.cells, totals.cells == 1 ? "" : "s");
    if (first)
        fprintf(text->out, " on engine %s", first->engine);
    fprintf(text->out, " in %.2f s\n", (double)duration_ns / 1e9);
}

/* What stands below a table. */
static void put_findings(const PlText *text, GPtrArray *verdicts, const GArray *rows,
                         uint64_t duration_ns)
{
    for (guint i = 0; i < rows->len; i++) {
        if (g_array_index(rows, Row, i).differs)
            put_differing(text, verdicts, &g_array_index(rows, Row, i));
    }
    for (guint i = 0; i < verdicts->len; i++) {
        const PlVerdict *verdict = g_ptr_array_index(verdicts, i);

        if (verdict->outcome == PL_OUTCOME_FAIL && !repeats_last(verdicts, i))
            put_failure(text, verdict);
    }
    put_skips(text, verdicts);
    put_totals(text, verdicts, duration_ns);
}

void pl_report_table(FILE *out, GPtrArray *verdicts, uint64_t duration_ns, PlReportStyle style)
{
    const PlText text = {.out = out, .style = style};
    g_autoptr(GArray) rows = make_rows(verdicts);
    Widths widths = measure(&text, verdicts, rows);

    if (rows->len)
        put_head(&text, &widths);
    for (guint i = 0; i < rows->len; i++)
        put_row(&text, &widths, verdicts, &g_array_index(rows, Row, i));
    put_findings(&text, verdicts, rows, duration_ns);
}

void pl_report_pairs(FILE *out, GPtrArray *verdicts, const char *const *kinds, unsigned repeat,
                     uint64_t duration_ns, PlReportStyle style)
{
    const PlText text = {.out = out, .style = style};
    g_autoptr(GArray) rows = make_rows(verdicts);

    pl_grid_put(&text, verdicts, kinds, repeat);
    put_findings(&text, verdicts, rows, duration_ns);
}
