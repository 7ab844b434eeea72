/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "report/report.h"

#define COLUMNS 100

static const char topology_text[] = "[topology]\n"
                                    "title = One home\n"
                                    "[network internet]\n"
                                    "subnet = 203.0.113.0/24\n"
                                    "[host hub]\n"
                                    "on = internet\n"
                                    "run = hub\n"
                                    "[nat home]\n"
                                    "outside = internet\n"
                                    "inside = 192.168.1.0/24\n"
                                    "behaviour = symmetric\n"
                                    "[host alice]\n"
                                    "behind = home\n"
                                    "[host bob]\n"
                                    "behind = home\n";

static void set_all(PlSubject *subject, PlAxis axis, const char *value)
{
    pl_findings_set(&subject->expected, axis, value, NULL);
    pl_findings_set(&subject->certified, axis, value, NULL);
    pl_findings_set(&subject->observed, axis, value, NULL);
}

/* One run of topology `name`, in which everything is as it should be. */
static PlVerdict *good_run(const char *name, uint64_t seed)
{
    g_autofree char *path = g_strdup_printf("labs/%s.ini", name);
    g_autoptr(PlTopology) topology =
        pl_topology_parse(path, topology_text, strlen(topology_text), NULL);
    PlVerdict *verdict = pl_verdict_new(topology, "kernel", seed);

    verdict->duration_ns = 410000000;
    for (guint i = 1; i < verdict->subjects->len; i++) {
        PlSubject *subject = g_ptr_array_index(verdict->subjects, i);

        set_all(subject, PL_AXIS_CLASS, "symmetric");
        set_all(subject, PL_AXIS_MAPPING, "address-and-port-dependent");
        set_all(subject, PL_AXIS_FILTERING, "address-and-port-dependent");
    }
    return verdict;
}

static PlVerdict *bad_run(const char *name, uint64_t seed)
{
    PlVerdict *verdict = good_run(name, seed);

    pl_findings_set(&pl_verdict_subject(verdict, "bob")->observed, PL_AXIS_CLASS, "full-cone",
                    NULL);
    pl_verdict_judge(verdict);
    g_assert_cmpint(verdict->outcome, ==, PL_OUTCOME_FAIL);
    return verdict;
}

static PlVerdict *skipped_run(const char *name, uint64_t seed)
{
    PlVerdict *verdict = good_run(name, seed);

    pl_verdict_reason(verdict, PL_OUTCOME_SKIP, "user namespaces may not be made here");
    return verdict;
}

static GPtrArray *runs(PlVerdict *first, ...)
{
    GPtrArray *array = g_ptr_array_new_with_free_func((GDestroyNotify)pl_verdict_free);
    va_list arguments;

    va_start(arguments, first);
    for (PlVerdict *verdict = first; verdict; verdict = va_arg(arguments, PlVerdict *))
        g_ptr_array_add(array, verdict);
    va_end(arguments);
    return array;
}

typedef void (*Printer)(FILE *out, GPtrArray *verdicts, PlReportStyle style);

static char *print_on(Printer printer, GPtrArray *verdicts, PlReportStyle style)
{
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);

    g_assert_nonnull(out);
    printer(out, verdicts, style);
    fclose(out);
    return text;
}

static char *print(Printer printer, GPtrArray *verdicts, gboolean colour)
{
    return print_on(printer, verdicts, (PlReportStyle){.colour = colour, .columns = COLUMNS});
}

static void print_first(FILE *out, GPtrArray *verdicts, PlReportStyle style)
{
    pl_report_verdict(out, g_ptr_array_index(verdicts, 0), "What it teaches.", style);
}

static void print_table(FILE *out, GPtrArray *verdicts, PlReportStyle style)
{
    pl_report_table(out, verdicts, 4210000000, style);
}

static void print_junit(FILE *out, GPtrArray *verdicts, PlReportStyle style)
{
    (void)style;
    pl_report_junit(out, verdicts, 4210000000);
}

static void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        g_error("no \"%s\" in:\n%s", part, text);
}

static void assert_has_not(const char *text, const char *part)
{
    if (strstr(text, part))
        g_error("\"%s\" in:\n%s", part, text);
}

static unsigned count(const char *text, const char *part)
{
    unsigned n = 0;

    for (const char *at = text; (at = strstr(at, part)); at++)
        n++;
    return n;
}

/* No line is too long, or ends with a blank; commands are not broken into lines. */
static void assert_tidy_on(const char *text, unsigned columns)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    for (guint i = 0; lines[i]; i++) {
        if (g_utf8_strlen(lines[i], -1) > (glong)columns && !strstr(lines[i], "pinlab run"))
            g_error("longer than %u columns: %s", columns, lines[i]);
        if (g_str_has_suffix(lines[i], " "))
            g_error("blank at the end: \"%s\"", lines[i]);
    }
}

static void assert_tidy(const char *text)
{
    assert_tidy_on(text, COLUMNS);
}

static PlVerdict *wrong_run(const char *name, uint64_t seed)
{
    PlVerdict *verdict = bad_run(name, seed);

    verdict->bad_input = TRUE;
    return verdict;
}

static void test_exit_status(void)
{
    struct {
        GPtrArray *verdicts;
        int status, status_no_skip;
    } cases[] = {
        {runs(good_run("a", 1), NULL), 0, 0},
        {runs(good_run("a", 1), skipped_run("b", 1), NULL), 0, 1},
        {runs(good_run("a", 1), bad_run("b", 1), NULL), 1, 1},
        {runs(skipped_run("a", 1), bad_run("b", 1), NULL), 1, 1},
        {runs(skipped_run("a", 1), skipped_run("b", 1), NULL), 77, 1},
        {runs(NULL), 77, 77},
        {runs(good_run("a", 1), bad_run("b", 1), wrong_run("c", 1), NULL), 2, 2},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_assert_cmpint(pl_report_exit_status(cases[i].verdicts), ==, cases[i].status);
        pl_report_forbid_skips(cases[i].verdicts);
        g_assert_cmpint(pl_report_exit_status(cases[i].verdicts), ==, cases[i].status_no_skip);
        g_ptr_array_unref(cases[i].verdicts);
    }
}

static void test_runs_that_find_different_things_differ_and_fail(void)
{
    PlVerdict *other = good_run("a", 2);
    g_autoptr(GPtrArray) verdicts = runs(good_run("a", 1), other, good_run("b", 1), NULL);
    g_autofree char *table = NULL, *junit = NULL;

    g_assert_cmpuint(pl_report_totals(verdicts).differing, ==, 0);
    pl_findings_set(&pl_verdict_subject(other, "hub")->observed, PL_AXIS_CLASS, "firewall", NULL);
    g_assert_cmpuint(pl_report_totals(verdicts).differing, ==, 1);
    g_assert_cmpuint(pl_report_totals(verdicts).failed, ==, 0);
    g_assert_cmpint(pl_report_exit_status(verdicts), ==, 1);
    table = print(print_table, verdicts, FALSE);
    assert_has(table, "DIFFERS a: seed 1 (pass) and seed 2 (pass)");
    assert_has(table, "3 passed, 0 failed, 0 skipped, 1 differing: 3 cells");
    junit = print(print_junit, verdicts, FALSE);
    assert_has(junit, "failures=\"1\"");
    assert_has(junit, "differs from the run with seed 1");
}

static void test_an_address_or_a_time_makes_no_difference(void)
{
    g_autoptr(PlVerdict) a = good_run("a", 1), b = good_run("a", 2);

    b->duration_ns++;
    pl_findings_set(&pl_verdict_subject(b, "bob")->observed, PL_AXIS_EXTERNAL, "192.0.2.9", NULL);
    g_assert_false(pl_report_differs(a, b));
}

static void test_verdict_shows_everything(void)
{
    g_autoptr(GPtrArray) verdicts = runs(bad_run("home", 7), NULL);
    PlVerdict *verdict = g_ptr_array_index(verdicts, 0);
    PlSubject *hub = pl_verdict_subject(verdict, "hub");
    g_autoptr(GString) output = g_string_new(NULL);
    g_autofree char *text = NULL;

    for (int i = 1; i <= 30; i++)
        g_string_append_printf(output, "line %d\033[2J\n", i);
    hub->output = g_strdup(output->str);
    hub->exit_status = 3;
    verdict->capture = g_strdup("captures/home.pcapng");
    text = print(print_first, verdicts, FALSE);
    assert_tidy(text);
    assert_has(text, "home: One home\n");
    assert_has(text, "\n  What it teaches.\n");
    assert_has(text, "host alice        expected");
    assert_has(text, "  mapping         address-and-port-dependent  address-and-port-dependent  "
                     "address-and-port-dependent\n");
    assert_has(text, "! class           symmetric                   symmetric                   "
                     "full-cone\n");
    assert_has(text, "program of hub: ended with status 3; its last lines:\n  | line 21?[2J\n");
    assert_has(text, "  | line 30?[2J\n");
    assert_has(text, "FAIL  home on engine kernel, seed 7, 0.41 s\n");
    assert_has(text, "  capture: captures/home.pcapng\n");
    assert_has(text, "  again:   pinlab run labs/home.ini --engine kernel --seed 7\n");
    assert_has_not(text, "claimed  ");
    assert_has_not(text, "\033");
}

static void test_verdict_shows_claims_where_there_are_some(void)
{
    g_autoptr(GPtrArray) verdicts = runs(good_run("home", 7), NULL);
    PlVerdict *verdict = g_ptr_array_index(verdicts, 0);
    g_autofree char *text = NULL;

    pl_findings_set(&pl_verdict_subject(verdict, "bob")->claimed, PL_AXIS_MAPPING,
                    "address-and-port-dependent", NULL);
    text = print(print_first, verdicts, FALSE);
    assert_tidy(text);
    assert_has(text, "claimed");
}

static void test_a_lab_that_never_stood_has_no_marks(void)
{
    g_autoptr(GPtrArray) verdicts = runs(skipped_run("home", 7), NULL);
    PlVerdict *verdict = g_ptr_array_index(verdicts, 0);
    g_autofree char *text = NULL;

    for (guint i = 0; i < verdict->subjects->len; i++) {
        PlSubject *subject = g_ptr_array_index(verdict->subjects, i);

        pl_findings_clear(&subject->certified);
        pl_findings_clear(&subject->observed);
    }
    text = print(print_first, verdicts, FALSE);
    assert_has_not(text, "! ");
    assert_has(text, "SKIP  home");
}

static void test_colours_only_when_wanted(void)
{
    g_autoptr(GPtrArray) verdicts = runs(bad_run("a", 1), good_run("b", 1), NULL);
    const Printer printers[] = {print_first, print_table};

    for (size_t i = 0; i < G_N_ELEMENTS(printers); i++) {
        g_autofree char *plain = print(printers[i], verdicts, FALSE);
        g_autofree char *coloured = print(printers[i], verdicts, TRUE);
        g_autoptr(GRegex) escape = g_regex_new("\033\\[[0-9]*m", 0, 0, NULL);
        g_autofree char *stripped = g_regex_replace_literal(escape, coloured, -1, 0, "", 0, NULL);

        assert_has_not(plain, "\033");
        assert_has(coloured, "\033[31m");
        g_assert_cmpstr(stripped, ==, plain);
    }
}

static void test_table_has_a_row_a_topology(void)
{
    g_autoptr(GPtrArray) verdicts =
        runs(good_run("good", 1), good_run("good", 2), bad_run("bad", 1), bad_run("bad", 2),
             skipped_run("far", 1), skipped_run("far", 2), skipped_run("farther", 1),
             good_run("best", 1), NULL);
    g_autofree char *text = print(print_table, verdicts, FALSE);

    assert_tidy(text);
    assert_has(text, "\ngood  x2 ");
    assert_has(text, "\nbad  x2 ");
    assert_has(text, "  FAIL 2/2 ");
    assert_has(text, "2 symmetric");
    assert_has(text, "2 symmetric   symmetric, full-cone ");
    assert_has(text, "3 passed, 2 failed, 3 skipped: 8 cells on engine kernel in 4.21 s");
    assert_has(text, "FAIL bad, seed 1\n  - host bob: class: expected symmetric");
    assert_has(text, "SKIP far, farther\n  - user namespaces may not be made here\n");
    g_assert_cmpuint(count(text, "user namespaces"), ==, 1);
    /* The second run says nothing new. */
    assert_has_not(text, "FAIL bad, seed 2");
}

static void test_table_has_claims_when_there_are_any(void)
{
    g_autoptr(GPtrArray) verdicts = runs(good_run("good", 1), good_run("mute", 1), NULL);
    PlVerdict *good = g_ptr_array_index(verdicts, 0);
    g_autofree char *none = print(print_table, verdicts, FALSE), *some = NULL, *narrow = NULL;
    PlSubject *bob = pl_verdict_subject(good, "bob");

    pl_findings_set(&pl_verdict_subject(good, "alice")->claimed, PL_AXIS_CLASS, "symmetric", NULL);
    pl_findings_set(&bob->claimed, PL_AXIS_CLASS, NULL, "the hub is silent");
    some = print_on(print_table, verdicts, (PlReportStyle){0});
    narrow = print_on(print_table, verdicts, (PlReportStyle){.columns = 60});
    assert_has_not(none, "claimed");
    assert_has(some, "  expected      claimed             observed ");
    assert_has(some, "  2 symmetric   symmetric, unknown  2 symmetric ");
    assert_has(some, "  2 symmetric   -                   2 symmetric ");
    assert_has_not(narrow, "claimed");
}

static void test_table_fits_whatever_the_names_are(void)
{
    g_autoptr(GPtrArray) verdicts =
        runs(bad_run("an-extraordinarily-long-name-for-a-topology-that-says-it-all", 1),
             good_run("short", 1), NULL);
    g_autofree char *text = print(print_table, verdicts, FALSE);

    assert_tidy(text);
    assert_has(text, "an-extraordinarily-long-name-for-a-topology-t...  FAIL ");
}

static void test_no_topologies_is_a_table_too(void)
{
    g_autoptr(GPtrArray) verdicts = runs(NULL);
    g_autofree char *text = print(print_table, verdicts, FALSE);

    g_assert_cmpstr(text, ==, "\n0 passed, 0 failed, 0 skipped: 0 cells in 4.21 s\n");
}

static void test_json_has_cells_and_totals(void)
{
    g_autoptr(GPtrArray) verdicts =
        runs(good_run("a", 1), bad_run("a", 2), skipped_run("b", 1), NULL);
    g_autoptr(JsonNode) node = pl_report_json(verdicts, 4210000000);
    JsonObject *object = json_node_get_object(node);
    JsonArray *cells = json_object_get_array_member(object, "cells");
    JsonObject *totals = json_object_get_object_member(object, "totals");

    g_assert_cmpint(json_object_get_int_member(object, "schema"), ==, 1);
    g_assert_cmpuint(json_array_get_length(cells), ==, 3);
    g_assert_cmpint(json_object_get_int_member(totals, "cells"), ==, 3);
    g_assert_cmpint(json_object_get_int_member(totals, "passed"), ==, 1);
    g_assert_cmpint(json_object_get_int_member(totals, "failed"), ==, 1);
    g_assert_cmpint(json_object_get_int_member(totals, "skipped"), ==, 1);
    g_assert_cmpint(json_object_get_int_member(totals, "differing"), ==, 1);
    g_assert_cmpfloat_with_epsilon(json_object_get_double_member(totals, "duration_s"), 4.21, 1e-9);
    for (guint i = 0; i < 3; i++) {
        g_autoptr(PlVerdict) copy = pl_verdict_from_json(json_array_get_element(cells, i), NULL);

        g_assert_cmpstr(copy->topology, ==,
                        ((PlVerdict *)g_ptr_array_index(verdicts, i))->topology);
    }
}

/* What GMarkup reads is well-formed; what it saw, as "element attribute=value ...". */
static void on_start(GMarkupParseContext *context, const char *element, const char **names,
                     const char **values, gpointer data, GError **error)
{
    GString *seen = data;

    (void)context;
    (void)error;
    g_string_append_printf(seen, "<%s", element);
    for (; *names; names++, values++)
        g_string_append_printf(seen, " %s=%s", *names, *values);
    g_string_append_c(seen, '>');
}

static void on_text(GMarkupParseContext *context, const char *text, gsize length, gpointer data,
                    GError **error)
{
    (void)context;
    (void)error;
    g_string_append_len(data, text, (gssize)length);
}

static char *read_xml(const char *xml)
{
    const GMarkupParser parser = {.start_element = on_start, .text = on_text};
    GString *seen = g_string_new(NULL);
    GMarkupParseContext *context = g_markup_parse_context_new(&parser, 0, seen, NULL);
    g_autoptr(GError) error = NULL;

    g_markup_parse_context_parse(context, xml, -1, &error);
    g_assert_no_error(error);
    g_markup_parse_context_end_parse(context, &error);
    g_assert_no_error(error);
    g_markup_parse_context_free(context);
    return g_string_free(seen, FALSE);
}

static void test_junit_is_xml_whatever_is_said(void)
{
    PlVerdict *bad = good_run("bad", 3);
    g_autoptr(GPtrArray) verdicts = runs(good_run("a", 1), bad, skipped_run("b", 1), NULL);
    g_autofree char *xml = NULL, *seen = NULL;

    pl_verdict_reason(bad, PL_OUTCOME_FAIL, "<&>\"'\001\033[2J \303\244 \377");
    pl_verdict_subject(bad, "hub")->output = g_strdup("]]> \f tail\nends");
    xml = print(print_junit, verdicts, FALSE);
    seen = read_xml(xml);
    for (const char *at = xml; *at; at++)
        g_assert_true((unsigned char)*at >= 0x20 || *at == '\n');
    assert_has(seen, "<testsuite name=pinlab tests=3 failures=1 errors=0 skipped=1 time=4.210>");
    assert_has(seen, "<testcase classname=kernel name=a time=0.410>");
    assert_has(seen, "<property name=seed value=1>");
    assert_has(seen, "<testcase classname=kernel name=bad time=0.410>");
    assert_has(seen, "message=<&>\"'\357\277\275\357\277\275[2J \303\244 \357\277\275>");
    assert_has(seen, "pinlab run labs/bad.ini --engine kernel --seed 3");
    assert_has(seen, "hub:\n]]> \357\277\275 tail\nends");
    assert_has(xml, " tail\nends");
    assert_has(seen, "<skipped message=user namespaces may not be made here>");
}

static void test_junit_numbers_runs_and_not_seeds(void)
{
    g_autoptr(GPtrArray) verdicts =
        runs(good_run("a", 7), good_run("a", 8), good_run("b", 7), NULL);
    g_autofree char *xml = print(print_junit, verdicts, FALSE);

    assert_has(xml, "name=\"a [1]\"");
    assert_has(xml, "name=\"a [2]\"");
    assert_has(xml, "name=\"b\"");
    assert_has(xml, "<property name=\"seed\" value=\"8\"/>");
    g_assert_cmpuint(count(xml, "<property "), ==, 3);
}

static void test_without_skips_a_skip_is_a_failure_everywhere(void)
{
    static const char reason[] = "skipped, and --no-skip: user namespaces may not be made here";
    g_autoptr(GPtrArray) verdicts = runs(good_run("a", 1), skipped_run("b", 2), NULL);
    g_autoptr(JsonNode) node = NULL;
    g_autofree char *table = NULL, *junit = NULL, *json = NULL;

    pl_report_forbid_skips(verdicts);
    table = print(print_table, verdicts, FALSE);
    assert_has(table, "1 passed, 1 failed, 0 skipped: 2 cells");
    assert_has(table, reason);
    assert_has(table, "pinlab run labs/b.ini --engine kernel --seed 2 --no-skip\n");
    assert_has_not(table, "SKIP");
    junit = print(print_junit, verdicts, FALSE);
    assert_has(junit, "failures=\"1\" errors=\"0\" skipped=\"0\"");
    assert_has(junit, reason);
    node = pl_report_json(verdicts, 1);
    json = json_to_string(node, FALSE);
    assert_has(json, "\"failed\":1,\"skipped\":0");
    assert_has(json, reason);
    assert_has_not(json, "\"skip\"");
}

static void test_table_shows_what_failed_programs_said(void)
{
    PlVerdict *bad = bad_run("bad", 1), *good = good_run("good", 1);
    g_autoptr(GPtrArray) verdicts = runs(bad, good, NULL);
    g_autofree char *text = NULL;

    pl_verdict_subject(bad, "hub")->output = g_strdup("my last words\n");
    pl_verdict_subject(bad, "hub")->exit_status = 3;
    pl_verdict_subject(good, "hub")->output = g_strdup("all is well\n");
    text = print(print_table, verdicts, FALSE);
    assert_has(text, "program of hub: ended with status 3; its last lines:\n  | my last words\n");
    assert_has_not(text, "all is well");
}

/* Its output is what pinhole writes: the class is far from its end. */
static void test_table_shows_a_classification_and_not_those_who_did_well(void)
{
    PlVerdict *bad = bad_run("bad", 1);
    PlSubject *bob = pl_verdict_subject(bad, "bob"), *hub = pl_verdict_subject(bad, "hub");
    g_autoptr(GPtrArray) verdicts = runs(bad, NULL);
    g_autoptr(GString) output = g_string_new("{\n  \"class\" : \"full-cone\",\n");
    g_autofree char *text = NULL;

    for (int i = 1; i <= 30; i++)
        g_string_append_printf(output, "line %d\n", i);
    pl_findings_set(&bob->claimed, PL_AXIS_CLASS, "full-cone", NULL);
    bob->has_program = TRUE;
    bob->exit_status = 0;
    bob->output = g_strdup(output->str);
    hub->output = g_strdup("ready\n");
    hub->exit_status = -1;
    text = print(print_table, verdicts, FALSE);
    assert_has(text, "program of bob: ended with status 0; it said:\n  | {\n  |   \"class\"");
    assert_has(text, "  | line 18\n");
    assert_has_not(text, "  | line 19\n");
    assert_has_not(text, "program of hub");
    /* Named as a word, not as a part of one. */
    pl_verdict_reason(bad, PL_OUTCOME_FAIL, "my-hub and hubs are wrong");
    g_clear_pointer(&text, g_free);
    text = print(print_table, verdicts, FALSE);
    assert_has_not(text, "program of hub");
    pl_verdict_reason(bad, PL_OUTCOME_FAIL, "host hub: is wrong");
    g_clear_pointer(&text, g_free);
    text = print(print_table, verdicts, FALSE);
    assert_has(text, "program of hub: still running at the end; its last lines:\n  | ready\n");
}

/* From these words up to the next empty line, which then ends the text. */
static const char *part_of(char *text, const char *words)
{
    char *start = strstr(text, words), *end;

    g_assert_nonnull(start);
    end = strstr(start, "\n\n");
    if (end)
        *end = '\0';
    return start;
}

static void test_a_narrow_terminal_is_not_overrun(void)
{
    g_autoptr(GPtrArray) verdicts =
        runs(bad_run("a-name-of-twenty-four-xx", 1), good_run("short", 1), NULL);
    const unsigned widths[] = {50, 60, 80, 99, 100};

    for (size_t i = 0; i < G_N_ELEMENTS(widths); i++) {
        const PlReportStyle style = {.columns = widths[i]};
        g_autofree char *table = print_on(print_table, verdicts, style);
        g_autofree char *full = print_on(print_first, verdicts, style);

        assert_tidy_on(part_of(table, "topology"), widths[i]);
        assert_tidy_on(part_of(full, "host bob"), widths[i]);
    }
}

static void test_nothing_is_cut_in_a_pipe(void)
{
    static const char name[] = "an-extraordinarily-long-name-for-a-topology-that-says-it-all";
    g_autoptr(GPtrArray) verdicts = runs(bad_run(name, 1), NULL);
    g_autofree char *addresses = g_strnfill(200, 'x');
    g_autofree char *table = NULL, *full = NULL;

    set_all(pl_verdict_subject(g_ptr_array_index(verdicts, 0), "bob"), PL_AXIS_EXTERNAL, addresses);
    table = print_on(print_table, verdicts, (PlReportStyle){0});
    full = print_on(print_first, verdicts, (PlReportStyle){0});
    assert_has(table, name);
    assert_has(full, addresses);
    assert_has_not(table, "...");
    assert_has_not(full, "...");
}

static void test_one_cell_is_not_cells(void)
{
    g_autoptr(GPtrArray) verdicts = runs(good_run("a", 1), NULL);
    g_autofree char *table = print(print_table, verdicts, FALSE);

    assert_has(table, ": 1 cell on engine kernel");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/report/exit-status", test_exit_status);
    g_test_add_func("/report/runs-that-find-different-things-differ-and-fail",
                    test_runs_that_find_different_things_differ_and_fail);
    g_test_add_func("/report/an-address-or-a-time-makes-no-difference",
                    test_an_address_or_a_time_makes_no_difference);
    g_test_add_func("/report/verdict-shows-everything", test_verdict_shows_everything);
    g_test_add_func("/report/verdict-shows-claims-where-there-are-some",
                    test_verdict_shows_claims_where_there_are_some);
    g_test_add_func("/report/a-lab-that-never-stood-has-no-marks",
                    test_a_lab_that_never_stood_has_no_marks);
    g_test_add_func("/report/colours-only-when-wanted", test_colours_only_when_wanted);
    g_test_add_func("/report/table-has-a-row-a-topology", test_table_has_a_row_a_topology);
    g_test_add_func("/report/table-has-claims-when-there-are-any",
                    test_table_has_claims_when_there_are_any);
    g_test_add_func("/report/table-fits-whatever-the-names-are",
                    test_table_fits_whatever_the_names_are);
    g_test_add_func("/report/no-topologies-is-a-table-too", test_no_topologies_is_a_table_too);
    g_test_add_func("/report/json-has-cells-and-totals", test_json_has_cells_and_totals);
    g_test_add_func("/report/junit-is-xml-whatever-is-said", test_junit_is_xml_whatever_is_said);
    g_test_add_func("/report/junit-numbers-runs-and-not-seeds",
                    test_junit_numbers_runs_and_not_seeds);
    g_test_add_func("/report/without-skips-a-skip-is-a-failure-everywhere",
                    test_without_skips_a_skip_is_a_failure_everywhere);
    g_test_add_func("/report/table-shows-a-classification-and-not-those-who-did-well",
                    test_table_shows_a_classification_and_not_those_who_did_well);
    g_test_add_func("/report/table-shows-what-failed-programs-said",
                    test_table_shows_what_failed_programs_said);
    g_test_add_func("/report/a-narrow-terminal-is-not-overrun",
                    test_a_narrow_terminal_is_not_overrun);
    g_test_add_func("/report/nothing-is-cut-in-a-pipe", test_nothing_is_cut_in_a_pipe);
    g_test_add_func("/report/one-cell-is-not-cells", test_one_cell_is_not_cells);
    return g_test_run();
}
