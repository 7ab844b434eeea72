/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a scenario says of an engine whose programs fail, or claim something. The engine is the
 * test's own. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "scenario/scenario.h"

struct PlLab {
    int code;        /* of the error that starting bob gives; -1: none */
    gboolean silent; /* nothing can be told of alice's program */
    unsigned resets, probes;
    gboolean visited; /* by a prober's presence, which may not stay */
    /* Of alice's classification: how it ended (-1: not at all), and what she says, NULL being
     * nonsense. */
    int status;
    const char *class;
    unsigned started;
    PlWord first; /* what started first */
};

static PlLab lab;

static void refuse(const PlTopology *topology, GPtrArray *reasons)
{
    (void)topology;
    (void)reasons;
}

static PlLab *up(const PlTopology *topology, uint64_t seed, GError **error)
{
    (void)topology;
    (void)seed;
    (void)error;
    return &lab;
}

static void down(PlLab *self)
{
    (void)self;
}

static gboolean reset(PlLab *self, GError **error)
{
    (void)error;
    self->resets++;
    return TRUE;
}

static uint64_t now(PlLab *self)
{
    (void)self;
    return 0;
}

static gboolean probe(PlLab *self, const PlVantage *inside, const PlVantage *outside,
                      PlProber *prober, GError **error)
{
    (void)inside;
    (void)outside;
    (void)prober;
    (void)error;
    self->probes++;
    self->visited = TRUE;
    return TRUE;
}

static gboolean probed(PlLab *self, GError **error)
{
    (void)error;
    self->visited = FALSE;
    return TRUE;
}

static gboolean record_stop(PlLab *self, GError **error)
{
    (void)self;
    (void)error;
    return TRUE;
}

static gboolean record(PlLab *self, int fd, GError **error)
{
    (void)fd;
    (void)error;
    g_assert_false(self->visited);
    return TRUE;
}

static gboolean start(PlLab *self, const PlNode *host, GError **error)
{
    g_assert_false(self->visited);
    if (self->started++ == 0)
        self->first = host->program.word;
    if (self->code < 0 || strcmp(host->name, "bob") != 0)
        return TRUE;
    g_set_error(error, PL_ERROR, self->code, "host %s: it will not", host->name);
    return FALSE;
}

static gboolean await_program(PlLab *self, const PlNode *host, const char *text, GError **error)
{
    (void)self;
    (void)host;
    (void)text;
    (void)error;
    return TRUE;
}

static gboolean result(PlLab *self, const PlNode *host, PlProgramResult *ret_result, GError **error)
{
    if (host->program.word == PL_WORD_HUB) {
        *ret_result = (PlProgramResult){.output = g_strdup("ready")};
        return TRUE;
    }
    if (self->silent || strcmp(host->name, "alice") != 0) {
        g_set_error(error, PL_ERROR, PL_ERROR_FAILED, "host %s: nothing is known", host->name);
        return FALSE;
    }
    *ret_result = (PlProgramResult){
        .ended = self->status >= 0, .exit_status = self->status, .output = g_strdup("hello")};
    return TRUE;
}

static gboolean claims(PlLab *self, const PlNode *host, PlFindings *ret_claims, GError **error)
{
    g_assert_cmpstr(host->name, ==, "alice");
    if (!self->class) {
        g_set_error(error, PL_ERROR, PL_ERROR_FAILED, "host alice: nonsense");
        return FALSE;
    }
    pl_findings_set(ret_claims, PL_AXIS_CLASS, self->class, NULL);
    return TRUE;
}

static const PlEngine engine = {
    .name = "fake",
    .refuse = refuse,
    .up = up,
    .down = down,
    .now = now,
    .wall = now,
    .probe = probe,
    .probed = probed,
    .reset = reset,
    .record = record,
    .record_stop = record_stop,
    .start = start,
    .await = await_program,
    .result = result,
    .claims = claims,
};

static PlVerdict *run_text(PlLab with, const char *text)
{
    static const PlScenarioWatch watch = {0};
    g_autoptr(GError) error = NULL;
    g_autoptr(PlTopology) topology = pl_topology_parse("t.ini", text, strlen(text), &error);

    g_assert_no_error(error);
    lab = with;
    return pl_scenario_run(topology, &engine, 1, -1, &watch);
}

static PlVerdict *run(PlLab with)
{
    return run_text(with, "[topology]\n"
                          "title = T\n"
                          "[network internet]\n"
                          "subnet = 203.0.113.0/24\n"
                          "[host alice]\n"
                          "on = internet\n"
                          "run = true\n"
                          "[host bob]\n"
                          "on = internet\n"
                          "run = true\n"
                          "[host carol]\n"
                          "on = internet\n"
                          "run = true\n");
}

static void assert_only_reason(const PlVerdict *verdict, PlOutcome outcome, const char *reason)
{
    g_assert_cmpint(verdict->outcome, ==, outcome);
    g_assert_cmpuint(verdict->reasons->len, ==, 1);
    g_assert_cmpstr(g_ptr_array_index(verdict->reasons, 0), ==, reason);
}

static void test_failed_start(void)
{
    g_autoptr(PlVerdict) verdict = run((PlLab){.code = PL_ERROR_FAILED});

    assert_only_reason(verdict, PL_OUTCOME_FAIL, "host bob: it will not");
    g_assert_cmpstr(pl_verdict_subject(verdict, "alice")->output, ==, "hello");
}

static void test_unsupported_start(void)
{
    g_autoptr(PlVerdict) verdict = run((PlLab){.code = PL_ERROR_UNSUPPORTED, .silent = TRUE});

    assert_only_reason(verdict, PL_OUTCOME_SKIP, "host bob: it will not");
}

static void test_lost_result(void)
{
    g_autoptr(PlVerdict) verdict = run((PlLab){.code = -1, .silent = TRUE});

    assert_only_reason(verdict, PL_OUTCOME_FAIL, "host alice: nothing is known");
}

static const char classified[] = "[topology]\n"
                                 "title = T\n"
                                 "[network internet]\n"
                                 "subnet = 203.0.113.0/24\n"
                                 "[host alice]\n"
                                 "on = internet\n"
                                 "run = classify\n"
                                 "[host hub]\n"
                                 "on = internet\n"
                                 "run = hub\n";

/* A recording is needed for a verdict that passes; what is wrong with claims is known before. */
static gboolean has_reason(const PlVerdict *verdict, const char *reason)
{
    return g_ptr_array_find_with_equal_func(verdict->reasons, reason, g_str_equal, NULL);
}

static void test_claims(void)
{
    static const struct {
        int status;
        const char *class, *claimed, *reason;
    } cases[] = {
        {0, "direct", "direct", NULL},
        {3, "direct", "direct", NULL},
        {0, NULL, NULL, "host alice: nonsense"},
        {1, NULL, NULL, NULL}, /* its status is reason enough */
        {-1, "direct", NULL, "host alice: its classification had not ended at the end"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(PlVerdict) verdict = run_text(
            (PlLab){.code = -1, .status = cases[i].status, .class = cases[i].class}, classified);

        g_assert_cmpint(lab.first, ==, PL_WORD_HUB);
        g_assert_cmpstr(pl_verdict_subject(verdict, "alice")->claimed.value[PL_AXIS_CLASS], ==,
                        cases[i].claimed);
        g_assert_true(!cases[i].reason || has_reason(verdict, cases[i].reason));
    }
}

/* Two surveys of a host and a NAT in each home; one reset within the first, one after it. */
static void test_resets(void)
{
    g_autoptr(GString) text = g_string_new("[topology]\n"
                                           "title = T\n"
                                           "[network internet]\n"
                                           "subnet = 203.0.113.0/24\n");

    for (int i = 0; i < 5; i++)
        g_string_append_printf(text,
                               "[nat n%d]\n"
                               "outside = internet\n"
                               "inside = 192.168.1.0/24\n"
                               "behaviour = full-cone\n"
                               "[host h%d]\n"
                               "behind = n%d\n",
                               i, i, i);
    pl_verdict_free(run_text((PlLab){.code = -1}, text->str));
    g_assert_cmpuint(lab.probes, ==, 20);
    g_assert_cmpuint(lab.resets, ==, 2);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/scenario/a-program-that-fails-to-start-is-the-one-reason", test_failed_start);
    g_test_add_func("/scenario/a-program-that-cannot-start-here-is-a-skip", test_unsupported_start);
    g_test_add_func("/scenario/a-program-whose-end-is-lost-fails", test_lost_result);
    g_test_add_func("/scenario/what-a-classification-says-is-claimed", test_claims);
    g_test_add_func("/scenario/resets-do-not-grow-with-the-nats", test_resets);
    return g_test_run();
}
