/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * JUnit XML, as Jenkins, GitLab and the others read it (testsuites, testsuite, testcase, failure,
 * skipped, system-out).
 */
#include "report/report.h"

/* XML 1.0 §2.2: what may stand in a document at all. */
static gboolean is_xml(gunichar c)
{
    return c == '\t' || c == '\n' || (c >= 0x20 && c != 0x7f && c != 0xfffe && c != 0xffff);
}

/* What XML cannot hold becomes U+FFFD. Only an attribute would lose its newlines (XML 1.0 §3.3.3).
 */
static void put_escaped(FILE *out, const char *text, gboolean attribute)
{
    g_autofree char *valid = g_utf8_make_valid(text, -1);

    for (const char *at = valid; *at; at = g_utf8_next_char(at)) {
        gunichar c = g_utf8_get_char(at);
        char bytes[7] = {0};

        if (c == '&')
            fputs("&amp;", out);
        else if (c == '<')
            fputs("&lt;", out);
        else if (c == '>')
            fputs("&gt;", out);
        else if (c == '"')
            fputs("&quot;", out);
        else if (c == '\n' && attribute)
            fputs("&#10;", out);
        else {
            g_unichar_to_utf8(is_xml(c) ? c : 0xfffd, bytes);
            fputs(bytes, out);
        }
    }
}

static void put_text(FILE *out, const char *text)
{
    put_escaped(out, text, /* attribute= */ FALSE);
}

static void put_attribute(FILE *out, const char *name, const char *value)
{
    fprintf(out, " %s=\"", name);
    put_escaped(out, value, /* attribute= */ TRUE);
    fputc('"', out);
}

static void put_seconds(FILE *out, const char *name, uint64_t duration_ns)
{
    char text[G_ASCII_DTOSTR_BUF_SIZE];

    g_ascii_formatd(text, sizeof text, "%.3f", (double)duration_ns / 1e9);
    put_attribute(out, name, text);
}

/* The first run of the same topology that passed, too, but found something else; else NULL. */
static const PlVerdict *contradicted(GPtrArray *verdicts, guint i)
{
    const PlVerdict *verdict = g_ptr_array_index(verdicts, i), *first = verdict;

    while (i-- > 0) {
        const PlVerdict *before = g_ptr_array_index(verdicts, i);

        if (g_strcmp0(before->topology, verdict->topology) != 0)
            break;
        first = before;
    }
    return verdict->outcome == PL_OUTCOME_PASS && first->outcome == PL_OUTCOME_PASS &&
                   pl_report_differs(first, verdict)
               ? first
               : NULL;
}

static void put_counts(FILE *out, GPtrArray *verdicts, uint64_t duration_ns)
{
    PlReportTotals totals = pl_report_totals(verdicts);

    for (guint i = 0; i < verdicts->len; i++)
        totals.failed += contradicted(verdicts, i) != NULL;
    fprintf(out, " tests=\"%u\" failures=\"%u\" errors=\"0\" skipped=\"%u\"", totals.cells,
            totals.failed, totals.skipped);
    put_seconds(out, "time", duration_ns);
}

static char *first_reason(const PlVerdict *verdict, const PlVerdict *other)
{
    const char *text = verdict->reasons->len ? g_ptr_array_index(verdict->reasons, 0) : "";

    if (other)
        return g_strdup_printf("differs from the run with seed %" G_GUINT64_FORMAT, other->seed);

    if (verdict->reasons->len < 2)
        return g_strdup(text);
    return g_strdup_printf("%s (and %u more)", text, verdict->reasons->len - 1);
}

static void put_output(FILE *out, const PlVerdict *verdict)
{
    for (guint i = 0; i < verdict->subjects->len; i++) {
        const PlSubject *subject = g_ptr_array_index(verdict->subjects, i);

        if (!subject->output || !*subject->output)
            continue;
        fprintf(out, "\n%s:\n", subject->name);
        put_text(out, subject->output);
    }
}

static void put_failure(FILE *out, const PlVerdict *verdict, const PlVerdict *other)
{
    g_autofree char *message = first_reason(verdict, other);

    fputs("      <failure type=\"verdict\"", out);
    put_attribute(out, "message", message);
    fputs(">", out);
    for (guint i = 0; i < verdict->reasons->len; i++) {
        put_text(out, g_ptr_array_index(verdict->reasons, i));
        fputc('\n', out);
    }
    put_text(out, verdict->command ? verdict->command : "");
    if (verdict->capture) {
        fputc('\n', out);
        put_text(out, verdict->capture);
    }
    fputs("</failure>\n      <system-out>", out);
    put_output(out, verdict);
    fputs("</system-out>\n", out);
}

static gboolean is_same_topology(GPtrArray *verdicts, guint a, guint b)
{
    const PlVerdict *one = g_ptr_array_index(verdicts, a), *other;

    if (b >= verdicts->len)
        return FALSE;
    other = g_ptr_array_index(verdicts, b);
    return g_strcmp0(one->topology, other->topology) == 0;
}

/* The topology's; of several runs, with the run's number. It is the same each time, as the servers
 * that compare one report with the next need it. */
static char *case_name(GPtrArray *verdicts, guint i)
{
    const PlVerdict *verdict = g_ptr_array_index(verdicts, i);
    guint first = i;

    while (first > 0 && is_same_topology(verdicts, i, first - 1))
        first--;
    if (first == i && !is_same_topology(verdicts, i, i + 1))
        return g_strdup(verdict->topology);
    return g_strdup_printf("%s [%u]", verdict->topology, i - first + 1);
}

static void put_case(FILE *out, GPtrArray *verdicts, guint i)
{
    const PlVerdict *verdict = g_ptr_array_index(verdicts, i), *other = contradicted(verdicts, i);
    g_autofree char *name = case_name(verdicts, i);

    fputs("    <testcase", out);
    put_attribute(out, "classname", verdict->engine);
    put_attribute(out, "name", name);
    put_seconds(out, "time", verdict->duration_ns);
    fprintf(out,
            ">\n      <properties><property name=\"seed\" value=\"%" G_GUINT64_FORMAT
            "\"/></properties>\n",
            verdict->seed);
    if (verdict->outcome == PL_OUTCOME_FAIL || other) {
        put_failure(out, verdict, other);
    } else if (verdict->outcome == PL_OUTCOME_SKIP) {
        g_autofree char *message = first_reason(verdict, NULL);

        fputs("      <skipped", out);
        put_attribute(out, "message", message);
        fputs("/>\n", out);
    }
    fputs("    </testcase>\n", out);
}

void pl_report_junit(FILE *out, GPtrArray *verdicts, uint64_t duration_ns)
{
    fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"pinlab\"", out);
    put_counts(out, verdicts, duration_ns);
    fputs(">\n  <testsuite name=\"pinlab\"", out);
    put_counts(out, verdicts, duration_ns);
    fputs(">\n", out);
    for (guint i = 0; i < verdicts->len; i++)
        put_case(out, verdicts, i);
    fputs("  </testsuite>\n</testsuites>\n", out);
}
