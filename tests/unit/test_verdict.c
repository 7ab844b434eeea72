/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "scenario/json.h"
#include "scenario/verdict.h"

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
                                    "behaviour = port-restricted\n"
                                    "[host alice]\n"
                                    "behind = home\n";

static PlVerdict *new_verdict(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(PlTopology) topology =
        pl_topology_parse("one-home.ini", topology_text, strlen(topology_text), &error);

    g_assert_no_error(error);
    return pl_verdict_new(topology, "kernel", 7);
}

static const char *only_reason(const PlVerdict *verdict)
{
    g_assert_cmpuint(verdict->reasons->len, ==, 1);
    return g_ptr_array_index(verdict->reasons, 0);
}

static void test_new_has_a_subject_for_each_node(void)
{
    g_autoptr(PlVerdict) verdict = new_verdict();

    g_assert_cmpint(verdict->outcome, ==, PL_OUTCOME_PASS);
    g_assert_cmpuint(verdict->subjects->len, ==, 3);
    g_assert_cmpint(pl_verdict_subject(verdict, "home")->kind, ==, PL_NODE_NAT);
    g_assert_true(pl_verdict_subject(verdict, "hub")->has_program);
    g_assert_false(pl_verdict_subject(verdict, "alice")->has_program);
    g_assert_null(pl_verdict_subject(verdict, "mallory"));
    g_assert_cmpstr(verdict->command, ==, "pinlab run one-home.ini --engine kernel --seed 7");
}

static void test_command_quotes_what_a_shell_would_split(void)
{
    g_autoptr(PlTopology) topology =
        pl_topology_parse("my labs/a'b.ini", topology_text, strlen(topology_text), NULL);
    g_autoptr(PlVerdict) verdict = pl_verdict_new(topology, "kernel", PL_SEED_MAX);
    g_auto(GStrv) words = NULL;

    g_assert_true(g_shell_parse_argv(verdict->command, NULL, &words, NULL));
    g_assert_cmpuint(g_strv_length(words), ==, 7);
    g_assert_cmpstr(words[2], ==, "my labs/a'b.ini");
    g_assert_cmpstr(words[6], ==, "9007199254740991");
}

static void test_the_worst_outcome_stays(void)
{
    g_autoptr(PlVerdict) verdict = new_verdict();

    pl_verdict_reason(verdict, PL_OUTCOME_SKIP, "no %s", "moon");
    g_assert_cmpint(verdict->outcome, ==, PL_OUTCOME_SKIP);
    pl_verdict_reason(verdict, PL_OUTCOME_FAIL, "broken");
    g_assert_cmpint(verdict->outcome, ==, PL_OUTCOME_FAIL);
    pl_verdict_reason(verdict, PL_OUTCOME_SKIP, "no %s", "moon");
    g_assert_cmpint(verdict->outcome, ==, PL_OUTCOME_FAIL);
    g_assert_cmpuint(verdict->reasons->len, ==, 2);
}

static void test_what_is_unsupported_is_skipped_and_all_else_fails(void)
{
    static const struct {
        PlErrorCode code;
        PlOutcome outcome;
    } cases[] = {
        {PL_ERROR_UNSUPPORTED, PL_OUTCOME_SKIP},
        {PL_ERROR_FAILED, PL_OUTCOME_FAIL},
        {PL_ERROR_INPUT, PL_OUTCOME_FAIL},
        {PL_ERROR_LIMIT, PL_OUTCOME_FAIL},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(PlVerdict) verdict = new_verdict();
        g_autoptr(GError) error = g_error_new(PL_ERROR, (int)cases[i].code, "because");

        pl_verdict_error(verdict, error);
        g_assert_cmpint(verdict->outcome, ==, cases[i].outcome);
        g_assert_cmpstr(only_reason(verdict), ==, "because");
    }
}

/* What the four said of one axis of alice (or of home, with `nat`), and the reason; NULL: it
 * passes.
 */
static const struct {
    const char *claim;
    gboolean nat;
    PlAxis axis;
    const char *expected, *certified, *claimed, *observed;
    const char *reason;
} judgements[] = {
    {"all agree", FALSE, PL_AXIS_CLASS, "symmetric", "symmetric", "symmetric", "symmetric", NULL},
    {"nothing claimed is no lie", FALSE, PL_AXIS_CLASS, "symmetric", "symmetric", NULL, "symmetric",
     NULL},
    {"nothing at all is nothing wrong", FALSE, PL_AXIS_CLASS, NULL, NULL, NULL, NULL, NULL},
    {"a host that is not what was expected", FALSE, PL_AXIS_CLASS, "full-cone", "port-restricted",
     NULL, "port-restricted",
     "host alice: class: expected full-cone, certified port-restricted, claimed nothing, observed "
     "port-restricted"},
    {"the wire contradicts the prober", FALSE, PL_AXIS_MAPPING, "endpoint-independent",
     "endpoint-independent", NULL, "address-dependent",
     "host alice: mapping: expected endpoint-independent, certified endpoint-independent, claimed "
     "nothing, observed address-dependent"},
    {"a false claim", FALSE, PL_AXIS_CLASS, "symmetric", "symmetric", "full-cone", "symmetric",
     "host alice: class: expected symmetric, certified symmetric, claimed full-cone, observed "
     "symmetric"},
    {"a false claim where nothing was expected", FALSE, PL_AXIS_CLASS, NULL, NULL, "full-cone",
     "symmetric",
     "host alice: class: expected nothing, certified nothing, claimed full-cone, observed "
     "symmetric"},
    {"a class has to be observed", FALSE, PL_AXIS_CLASS, "symmetric", "symmetric", NULL, NULL,
     "host alice: class: expected symmetric, certified symmetric, claimed nothing, observed "
     "nothing (observed: why)"},
    {"a NAT's class does not", TRUE, PL_AXIS_CLASS, "symmetric", "symmetric", NULL, NULL, NULL},
    {"a NAT's filtering does", TRUE, PL_AXIS_FILTERING, "address-dependent", "address-dependent",
     NULL, NULL,
     "nat home: filtering: expected address-dependent, certified address-dependent, claimed "
     "nothing, observed nothing (observed: why)"},
    {"a port allocation may go unobserved", TRUE, PL_AXIS_PORT_ALLOCATION, "random", "random", NULL,
     NULL, NULL},
    {"but not be another", TRUE, PL_AXIS_PORT_ALLOCATION, "random", "random", NULL, "preserve",
     "nat home: port-allocation: expected random, certified random, claimed nothing, observed "
     "preserve"},
    {"an expectation has to be certified", FALSE, PL_AXIS_UDP, "yes", NULL, NULL, "yes",
     "host alice: udp: expected yes, certified nothing (certified: why), claimed nothing, observed "
     "yes"},
    {"a mislabelled NAT fails the setup", TRUE, PL_AXIS_FILTERING, "endpoint-independent",
     "address-and-port-dependent", NULL, "address-and-port-dependent",
     "setup: nat home is labelled filtering = endpoint-independent but is "
     "address-and-port-dependent (certified by the prober)"},
    {"a NAT that cannot be certified does, too", TRUE, PL_AXIS_HAIRPIN, "none", NULL, NULL, NULL,
     "setup: nat home could not be certified: certified: why"},
    {"prober and wire agree though nothing was expected", TRUE, PL_AXIS_MAPPING, NULL,
     "address-dependent", NULL, "address-dependent", NULL},
    {"prober and wire differ though nothing was expected", TRUE, PL_AXIS_MAPPING, NULL,
     "address-dependent", NULL, "endpoint-independent",
     "nat home: mapping: expected nothing, certified address-dependent, claimed nothing, observed "
     "endpoint-independent"},
    {"on other axes they may", TRUE, PL_AXIS_UNSOLICITED, NULL, "drop", NULL, "accept", NULL},
    {"one of several external addresses will do", FALSE, PL_AXIS_EXTERNAL,
     "203.0.113.2, 203.0.113.3", "203.0.113.3", NULL, "203.0.113.2", NULL},
};

static void set(PlFindings *findings, PlAxis axis, const char *value, const char *judge)
{
    g_autofree char *why = value ? NULL : g_strdup_printf("%s: why", judge);

    pl_findings_set(findings, axis, value, why);
}

static void test_judgement(gconstpointer data)
{
    const typeof(judgements[0]) *it = data;
    g_autoptr(PlVerdict) verdict = new_verdict();
    PlSubject *subject = pl_verdict_subject(verdict, it->nat ? "home" : "alice");

    pl_findings_set(&subject->expected, it->axis, it->expected, NULL);
    pl_findings_set(&subject->claimed, it->axis, it->claimed, NULL);
    if (it->expected || it->certified)
        set(&subject->certified, it->axis, it->certified, "certified");
    if (it->expected || it->observed)
        set(&subject->observed, it->axis, it->observed, "observed");
    pl_verdict_judge(verdict);
    if (it->reason) {
        g_assert_cmpstr(only_reason(verdict), ==, it->reason);
        g_assert_cmpint(verdict->outcome, ==, PL_OUTCOME_FAIL);
    } else {
        g_assert_cmpuint(verdict->reasons->len, ==, 0);
        g_assert_cmpint(verdict->outcome, ==, PL_OUTCOME_PASS);
    }
}

static void test_an_axis_that_could_not_be_certified_fails_the_setup(void)
{
    g_autoptr(PlVerdict) verdict = new_verdict();
    PlSubject *home = pl_verdict_subject(verdict, "home");

    pl_findings_set(&home->certified, PL_AXIS_UDP, "yes", NULL);
    pl_findings_set(&home->certified, PL_AXIS_HAIRPIN, NULL, "too few hosts");
    pl_findings_set(&home->expected, PL_AXIS_HAIRPIN, "none", NULL);
    pl_verdict_judge(verdict);
    g_assert_cmpstr(only_reason(verdict), ==,
                    "setup: nat home is labelled hairpin = none but the prober could not tell: too "
                    "few hosts");
}

/* A NAT that changes is not the same for all who look. */
static void test_where_theory_has_no_word_judges_may_differ(void)
{
    g_autoptr(PlVerdict) verdict = new_verdict();
    PlSubject *home = pl_verdict_subject(verdict, "home");

    pl_findings_set(&home->expected, PL_AXIS_MAPPING, NULL, "it changes");
    pl_findings_set(&home->certified, PL_AXIS_MAPPING, "address-dependent", NULL);
    pl_findings_set(&home->observed, PL_AXIS_MAPPING, "endpoint-independent", NULL);
    pl_verdict_judge(verdict);
    g_assert_cmpuint(verdict->reasons->len, ==, 0);
}

static void test_nats_are_judged_before_hosts(void)
{
    g_autoptr(PlVerdict) verdict = new_verdict();
    PlSubject *home = pl_verdict_subject(verdict, "home"),
              *hub = pl_verdict_subject(verdict, "hub");

    pl_findings_set(&hub->expected, PL_AXIS_UDP, "yes", NULL);
    pl_findings_set(&home->expected, PL_AXIS_UDP, "yes", NULL);
    pl_verdict_judge(verdict);
    g_assert_cmpuint(verdict->reasons->len, ==, 2);
    g_assert_true(g_str_has_prefix(g_ptr_array_index(verdict->reasons, 0), "setup: nat home"));
    g_assert_true(g_str_has_prefix(g_ptr_array_index(verdict->reasons, 1), "host hub"));
}

/* Every field set, and among the strings every character that JSON has to escape. */
static PlVerdict *full_verdict(void)
{
    PlVerdict *verdict = new_verdict();
    PlSubject *hub = pl_verdict_subject(verdict, "hub");
    char nasty[130] = "\303\244\342\202\254";
    size_t length = strlen(nasty);

    for (int c = 1; c < 128 && length < sizeof nasty - 1; c++)
        nasty[length++] = (char)c;
    nasty[length] = '\0';
    verdict->seed = PL_SEED_MAX;
    verdict->duration_ns = 1234567891;
    verdict->capture = g_strdup("/tmp/a \"b\".pcapng");
    pl_verdict_reason(verdict, PL_OUTCOME_FAIL, "%s", nasty);
    pl_verdict_reason(verdict, PL_OUTCOME_SKIP, "second");
    hub->exit_status = 137;
    hub->output = g_strdup(nasty);
    for (guint i = 0; i < verdict->subjects->len; i++) {
        PlSubject *subject = g_ptr_array_index(verdict->subjects, i);

        for (PlAxis axis = 0; axis < PL_AXIS_N; axis++) {
            pl_findings_set(&subject->expected, axis, "expected", NULL);
            pl_findings_set(&subject->certified, axis, axis % 2 ? "certified" : NULL, "why");
            pl_findings_set(&subject->observed, axis, NULL, axis % 3 ? "why" : NULL);
        }
    }
    verdict->bad_input = TRUE;
    return verdict;
}

static PlVerdict *parse(const char *text, GError **error)
{
    g_autoptr(JsonParser) parser = json_parser_new();

    if (!json_parser_load_from_data(parser, text, -1, error))
        return NULL;
    return pl_verdict_from_json(json_parser_get_root(parser), error);
}

static char *print(const PlVerdict *verdict)
{
    g_autoptr(JsonNode) node = pl_verdict_to_json(verdict);

    return pl_json_line(node);
}

static void assert_same_findings(const PlFindings *a, const PlFindings *b)
{
    for (PlAxis axis = 0; axis < PL_AXIS_N; axis++) {
        g_assert_cmpstr(a->value[axis], ==, b->value[axis]);
        g_assert_cmpstr(a->why[axis], ==, b->why[axis]);
    }
}

static void assert_same_subject(const PlSubject *a, const PlSubject *b)
{
    g_assert_cmpstr(a->name, ==, b->name);
    g_assert_cmpint(a->kind, ==, b->kind);
    g_assert_cmpint(a->has_program, ==, b->has_program);
    g_assert_cmpint(a->exit_status, ==, b->exit_status);
    g_assert_cmpstr(a->output, ==, b->output);
    assert_same_findings(&a->expected, &b->expected);
    assert_same_findings(&a->certified, &b->certified);
    assert_same_findings(&a->claimed, &b->claimed);
    assert_same_findings(&a->observed, &b->observed);
}

static void assert_same(const PlVerdict *a, const PlVerdict *b)
{
    g_assert_cmpstr(a->topology, ==, b->topology);
    g_assert_cmpstr(a->title, ==, b->title);
    g_assert_cmpstr(a->engine, ==, b->engine);
    g_assert_cmpuint(a->seed, ==, b->seed);
    g_assert_cmpuint(a->duration_ns, ==, b->duration_ns);
    g_assert_cmpint(a->outcome, ==, b->outcome);
    g_assert_cmpstr(a->command, ==, b->command);
    g_assert_cmpstr(a->capture, ==, b->capture);
    g_assert_cmpint(a->bad_input, ==, b->bad_input);
    g_assert_cmpuint(a->reasons->len, ==, b->reasons->len);
    for (guint i = 0; i < a->reasons->len; i++)
        g_assert_cmpstr(g_ptr_array_index(a->reasons, i), ==, g_ptr_array_index(b->reasons, i));
    g_assert_cmpuint(a->subjects->len, ==, b->subjects->len);
    for (guint i = 0; i < a->subjects->len; i++)
        assert_same_subject(g_ptr_array_index(a->subjects, i), g_ptr_array_index(b->subjects, i));
}

static void test_json_keeps_everything(void)
{
    PlVerdict *verdicts[] = {new_verdict(), full_verdict()};

    for (size_t i = 0; i < G_N_ELEMENTS(verdicts); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *text = print(verdicts[i]);
        g_autoptr(PlVerdict) copy = parse(text, &error);
        g_autofree char *again = NULL;

        g_assert_no_error(error);
        g_assert_null(strchr(text, '\n'));
        assert_same(verdicts[i], copy);
        again = print(copy);
        g_assert_cmpstr(again, ==, text);
        pl_verdict_free(verdicts[i]);
    }
}

static void test_pretty_json_says_the_same(void)
{
    g_autoptr(PlVerdict) verdict = full_verdict();
    g_autoptr(JsonNode) node = pl_verdict_to_json(verdict);
    g_autofree char *text = pl_json_pretty(node);
    g_autoptr(PlVerdict) copy = parse(text, NULL);

    assert_same(verdict, copy);
}

static void test_json_is_utf8_whatever_a_program_printed(void)
{
    g_autoptr(PlVerdict) verdict = new_verdict();
    g_autofree char *text = NULL;

    pl_verdict_subject(verdict, "hub")->output = g_strdup("a\377b\303");
    text = print(verdict);
    g_assert_true(g_utf8_validate(text, -1, NULL));
    g_assert_nonnull(strstr(text, "\"output\": \"a\357\277\275b\357\277\275\""));
}

static void test_json_has_every_null(void)
{
    g_autoptr(PlVerdict) verdict = new_verdict();
    g_autofree char *text = print(verdict);

    g_assert_nonnull(strstr(text,
                            "\"alice\": {\"class\": {\"expected\": null, \"certified\": null, "
                            "\"claimed\": null, \"observed\": null}"));
    g_assert_nonnull(strstr(text, "\"capture\": null"));
    g_assert_nonnull(strstr(text, "\"program\": {\"exit\": null, \"output\": null}"));
    g_assert_nonnull(strstr(text, "\"program\": null"));
}

static void test_numbers_are_short_and_exact(void)
{
    static const struct {
        double value;
        const char *text;
    } cases[] = {
        {0, "0.0"},
        {0.412, "0.412"},
        {60, "60.0"},
        {0.000098, "0.000098"},
        {1.234567891, "1.234567891"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(JsonNode) node = json_node_init_double(json_node_alloc(), cases[i].value);
        g_autofree char *text = pl_json_line(node);

        g_assert_cmpstr(text, ==, cases[i].text);
        g_assert_true(g_ascii_strtod(text, NULL) >= cases[i].value &&
                      g_ascii_strtod(text, NULL) <= cases[i].value);
    }
}

/* Each damages a good verdict by one replacement. */
static void test_wrong_json_is_refused(void)
{
    static const struct {
        const char *from, *to, *key;
    } cases[] = {
        {"\"schema\": 1", "\"schema\": 2", "schema"},
        {"\"schema\": 1", "\"schema\": 0", "schema"},
        {"\"schema\": 1", "\"schema\": \"1\"", "schema"},
        {"\"topology\": \"one-home\"", "\"topology\": null", "topology"},
        {"\"engine\": \"kernel\"", "\"engine\": 5", "engine"},
        {"\"seed\": 7", "\"seed\": -7", "seed"},
        {"\"seed\": 7", "\"seed\": 9007199254740992", "seed"},
        {"\"seed\": 7", "\"seed\": 7.5", "seed"},
        {"\"duration_s\": 0.0", "\"duration_s\": -1", "duration_s"},
        {"\"duration_s\": 0.0", "\"duration_s\": \"long\"", "duration_s"},
        {"\"duration_s\": 0.0", "\"duration_s\": null", "duration_s"},
        {"\"verdict\": \"pass\"", "\"verdict\": \"perhaps\"", "verdict"},
        {"\"verdict\": \"pass\"", "\"verdict\": [\"pass\"]", "verdict"},
        {"\"reasons\": []", "\"reasons\": {}", "reasons"},
        {"\"bad_input\": false", "\"bad_input\": 1", "bad_input"},
        {"\"bad_input\": false", "\"bad_input\": {}", "bad_input"},
        {"\"reasons\": []", "\"reasons\": [null]", "reasons"},
        {"\"hub\", \"home\"", "\"hub\", \"mallory\"", "mallory"},
        {"\"hosts\": {", "\"guests\": {", "hosts"},
        {"\"nats\": {", "\"nuts\": {", "nats"},
        {"\"expected\": null", "\"expected\": 1", "expected"},
        {"\"expected\": null", "\"erwartet\": null", "expected"},
        {"\"axes\": {", "\"axis\": {", "axes"},
        {"\"program\": null", "\"program\": 1", "program"},
        {"\"exit\": null", "\"exit\": \"0\"", "exit"},
        {"\"command\": ", "\"order\": ", "command"},
    };
    g_autoptr(PlVerdict) verdict = new_verdict();
    g_autofree char *good = print(verdict);

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GString) text = g_string_new(good);
        g_autoptr(GError) error = NULL;

        g_assert_cmpuint(g_string_replace(text, cases[i].from, cases[i].to, 1), ==, 1);
        g_assert_null(parse(text->str, &error));
        g_assert_error(error, PL_ERROR, PL_ERROR_INPUT);
        g_assert_nonnull(strstr(error->message, cases[i].key));
    }
    for (const char *const *text = (const char *const[]){"[]", "7", "null", NULL}; *text; text++)
        g_assert_null(parse(*text, NULL));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/verdict/new-has-a-subject-for-each-node",
                    test_new_has_a_subject_for_each_node);
    g_test_add_func("/verdict/command-quotes-what-a-shell-would-split",
                    test_command_quotes_what_a_shell_would_split);
    g_test_add_func("/verdict/the-worst-outcome-stays", test_the_worst_outcome_stays);
    g_test_add_func("/verdict/what-is-unsupported-is-skipped-and-all-else-fails",
                    test_what_is_unsupported_is_skipped_and_all_else_fails);
    for (size_t i = 0; i < G_N_ELEMENTS(judgements); i++) {
        g_autofree char *path = g_strdup_printf("/verdict/judge/%s", judgements[i].claim);

        g_test_add_data_func(path, &judgements[i], test_judgement);
    }
    g_test_add_func("/verdict/an-axis-that-could-not-be-certified-fails-the-setup",
                    test_an_axis_that_could_not_be_certified_fails_the_setup);
    g_test_add_func("/verdict/where-theory-has-no-word-judges-may-differ",
                    test_where_theory_has_no_word_judges_may_differ);
    g_test_add_func("/verdict/nats-are-judged-before-hosts", test_nats_are_judged_before_hosts);
    g_test_add_func("/verdict/json-keeps-everything", test_json_keeps_everything);
    g_test_add_func("/verdict/pretty-json-says-the-same", test_pretty_json_says_the_same);
    g_test_add_func("/verdict/json-is-utf8-whatever-a-program-printed",
                    test_json_is_utf8_whatever_a_program_printed);
    g_test_add_func("/verdict/json-has-every-null", test_json_has_every_null);
    g_test_add_func("/verdict/numbers-are-short-and-exact", test_numbers_are_short_and_exact);
    g_test_add_func("/verdict/wrong-json-is-refused", test_wrong_json_is_refused);
    return g_test_run();
}
