/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One verdict in full: the heading, what was found of every host and NAT, the reasons, and what one
 * needs to go on. */
#include "report/programs.h"
#include "report/report.h"

enum {
    AXIS_WIDTH = 15, /* "port-allocation" */
    MARK_WIDTH = 2,
    FIRST_GAP = 1, /* so that "address-and-port-dependent" fits three times */
    GAP = 2,
    VALUE_WIDTH_MIN = 9, /* "certified" */
    JUDGES = 4,
};

static const char *const judge_names[JUDGES] = {"expected", "certified", "claimed", "observed"};

typedef struct Columns {
    gboolean marked;        /* rows whose values do not fit together get a mark */
    gboolean shown[JUDGES]; /* claimed only where somebody claimed something */
    unsigned width[JUDGES];
} Columns;

static const PlFindings *findings_of(const PlSubject *subject, unsigned judge)
{
    const PlFindings *all[JUDGES] = {&subject->expected, &subject->certified, &subject->claimed,
                                     &subject->observed};

    return all[judge];
}

static gboolean has_row(const PlSubject *subject, PlAxis axis)
{
    for (unsigned judge = 0; judge < JUDGES; judge++) {
        if (findings_of(subject, judge)->value[axis])
            return TRUE;
    }
    return FALSE;
}

/* A lab that never stood is no reason to mark what is missing, line by line. */
static gboolean was_judged(const PlVerdict *verdict)
{
    for (guint i = 0; i < verdict->subjects->len; i++) {
        const PlSubject *subject = g_ptr_array_index(verdict->subjects, i);

        for (PlAxis axis = 0; axis < PL_AXIS_N; axis++) {
            if (subject->certified.value[axis] || subject->observed.value[axis])
                return TRUE;
        }
    }
    return FALSE;
}

static Columns measure(const PlText *text, const PlVerdict *verdict)
{
    const unsigned claimed = 2;
    Columns columns = {.marked = was_judged(verdict), .shown = {TRUE, TRUE, FALSE, TRUE}};
    unsigned n = JUDGES - 1,
             room = pl_text_columns(text) - MARK_WIDTH - AXIS_WIDTH - FIRST_GAP + GAP;

    for (unsigned judge = 0; judge < JUDGES; judge++)
        columns.width[judge] = VALUE_WIDTH_MIN;
    for (guint i = 0; i < verdict->subjects->len; i++) {
        const PlSubject *subject = g_ptr_array_index(verdict->subjects, i);

        for (unsigned at = 0; at < JUDGES * PL_AXIS_N; at++) {
            const char *value = findings_of(subject, at % JUDGES)->value[at / JUDGES];

            if (!value)
                continue;
            columns.width[at % JUDGES] = MAX(columns.width[at % JUDGES], pl_text_width(value));
            columns.shown[claimed] |= at % JUDGES == claimed;
        }
    }
    n += columns.shown[claimed] ? 1 : 0;
    for (unsigned judge = 0; judge < JUDGES; judge++)
        columns.width[judge] = MIN(columns.width[judge], room / n - GAP);
    return columns;
}

static void put_value(const PlText *text, const Columns *columns, unsigned judge, PlStyle style,
                      const char *value)
{
    if (!columns->shown[judge])
        return;
    fprintf(text->out, "%*s", judge == 0 ? FIRST_GAP : GAP, "");
    if (judge < JUDGES - 1)
        pl_text_cell(text, style, columns->width[judge], value);
    else
        pl_text_last(text, style, columns->width[judge], value);
}

static void put_row(const PlText *text, const Columns *columns, const PlSubject *subject,
                    PlAxis axis)
{
    gboolean ok = !columns->marked || pl_verdict_axis_ok(subject, axis);

    pl_text_cell(text, PL_STYLE_BAD, MARK_WIDTH, ok ? "" : "!");
    pl_text_cell(text, PL_STYLE_NONE, AXIS_WIDTH, pl_axis_name(axis));
    for (unsigned judge = 0; judge < JUDGES; judge++) {
        const char *value = findings_of(subject, judge)->value[axis];
        PlStyle style = !value ? PL_STYLE_DIM : ok ? PL_STYLE_NONE : PL_STYLE_BAD;

        put_value(text, columns, judge, style, value ? value : "-");
    }
}

static void put_heading(const PlText *text, const Columns *columns, const PlSubject *subject)
{
    g_autofree char *name =
        g_strdup_printf("%s %s", subject->kind == PL_NODE_NAT ? "nat" : "host", subject->name);
    unsigned width = MARK_WIDTH + AXIS_WIDTH;

    fputc('\n', text->out);
    pl_text_cell(text, PL_STYLE_BOLD, width, name);
    for (unsigned judge = 0; judge < JUDGES; judge++)
        put_value(text, columns, judge, PL_STYLE_DIM, judge_names[judge]);
}

static void put_subject(const PlText *text, const Columns *columns, const PlSubject *subject)
{
    gboolean any = FALSE;

    for (PlAxis axis = 0; axis < PL_AXIS_N; axis++) {
        if (!has_row(subject, axis))
            continue;
        if (!any)
            put_heading(text, columns, subject);
        any = TRUE;
        put_row(text, columns, subject, axis);
    }
}

enum {
    PATH_WIDTH = 18, /* "relayed(HOST)", "none(udp-blocked)" */
};

static void put_path_value(const PlText *text, PlStyle style, const PlPathFinding *finding,
                           gboolean last)
{
    const char *value = finding->value ? finding->value : "-";

    if (!finding->value)
        style = PL_STYLE_DIM;
    if (last)
        pl_text_last(text, style, PATH_WIDTH, value);
    else
        pl_text_cell(text, style, PATH_WIDTH, value);
}

static void put_path(const PlText *text, const PlPath *path, unsigned width)
{
    g_autofree char *name = g_strdup_printf("%s -> %s", path->from, path->to);
    gboolean ok = pl_verdict_path_ok(path);
    PlStyle style = ok ? PL_STYLE_NONE : PL_STYLE_BAD;

    pl_text_cell(text, PL_STYLE_BAD, MARK_WIDTH, ok ? "" : "!");
    pl_text_cell(text, PL_STYLE_NONE, width, name);
    put_path_value(text, style, &path->expected, FALSE);
    put_path_value(text, style, &path->claimed, FALSE);
    put_path_value(text, style, &path->observed, TRUE);
}

static void put_paths(const PlText *text, const PlVerdict *verdict)
{
    unsigned width = MARK_WIDTH + AXIS_WIDTH;

    if (!verdict->paths->len)
        return;
    for (guint i = 0; i < verdict->paths->len; i++) {
        const PlPath *path = g_ptr_array_index(verdict->paths, i);

        width = MAX(width, pl_text_width(path->from) + pl_text_width(path->to) + 4 + GAP);
    }
    fputc('\n', text->out);
    pl_text_cell(text, PL_STYLE_BOLD, MARK_WIDTH + width, "paths");
    pl_text_cell(text, PL_STYLE_DIM, PATH_WIDTH, "expected");
    pl_text_cell(text, PL_STYLE_DIM, PATH_WIDTH, "claimed");
    pl_text_last(text, PL_STYLE_DIM, PATH_WIDTH, "observed");
    for (guint i = 0; i < verdict->paths->len; i++)
        put_path(text, g_ptr_array_index(verdict->paths, i), width);
}

static PlStyle outcome_style(PlOutcome outcome)
{
    return outcome == PL_OUTCOME_PASS   ? PL_STYLE_GOOD
           : outcome == PL_OUTCOME_FAIL ? PL_STYLE_BAD
                                        : PL_STYLE_SKIPPED;
}

static void put_result(const PlText *text, const PlVerdict *verdict)
{
    g_autofree char *word = g_ascii_strup(pl_outcome_name(verdict->outcome), -1);

    fputc('\n', text->out);
    pl_text_cell(text, outcome_style(verdict->outcome), 0, word);
    fprintf(text->out, "  %s on engine %s, seed %" G_GUINT64_FORMAT ", %.2f s\n", verdict->topology,
            verdict->engine, verdict->seed, (double)verdict->duration_ns / 1e9);
    for (guint i = 0; i < verdict->reasons->len; i++)
        pl_text_paragraph(text, "  - ", g_ptr_array_index(verdict->reasons, i));
    if (verdict->capture)
        fprintf(text->out, "  capture: %s\n", verdict->capture);
    fprintf(text->out, "  again:   %s\n", verdict->command);
}

void pl_report_verdict(FILE *out, const PlVerdict *verdict, const char *about, PlReportStyle style)
{
    const PlText text = {.out = out, .style = style};
    const Columns columns = measure(&text, verdict);

    pl_text_cell(&text, PL_STYLE_BOLD, 0, verdict->topology);
    if (verdict->title) {
        fputs(": ", out);
        pl_text_cell(&text, PL_STYLE_NONE, 0, verdict->title);
    }
    fputc('\n', out);
    if (about) {
        fputc('\n', out);
        pl_text_paragraph(&text, "  ", about);
    }
    for (guint i = 0; i < verdict->subjects->len; i++)
        put_subject(&text, &columns, g_ptr_array_index(verdict->subjects, i));
    put_paths(&text, verdict);
    if (verdict->outcome == PL_OUTCOME_FAIL)
        pl_programs_put(&text, verdict);
    put_result(&text, verdict);
}
