/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a classification says: how it is read, whom it speaks for, and what the judge makes of it.
 */
#include <string.h>

#include "machine/claims.h"
#include "scenario/claimed.h"
#include "scenario/expected.h"

#define HEAD "{\"schema\": 1, "
#define WORDS                                                                                      \
    "\"mapping\": \"endpoint-independent\", \"filtering\": \"address-dependent\", "                \
    "\"port-allocation\": \"random\", \"pooling\": \"paired\", \"hairpin\": \"unknown\", "
#define CLASS    "\"class\": \"restricted\", "
#define WHY      "\"why\": {\"hairpin\": \"nobody knows\"}, "
#define EXTERNAL "\"external\": \"203.0.113.2:4000\"}"
#define GOOD     HEAD CLASS WORDS WHY EXTERNAL

static void read_good(PlFindings *ret_claims)
{
    g_autoptr(GError) error = NULL;

    g_assert_true(pl_claims_read(GOOD, ret_claims, &error));
    g_assert_no_error(error);
}

static void a_classification_becomes_findings(void)
{
    g_auto(PlFindings) claims = {0};

    read_good(&claims);
    g_assert_cmpstr(claims.value[PL_AXIS_CLASS], ==, "restricted");
    g_assert_cmpstr(claims.value[PL_AXIS_EXTERNAL], ==, "203.0.113.2");
    g_assert_cmpstr(claims.value[PL_AXIS_MAPPING], ==, "endpoint-independent");
    g_assert_cmpstr(claims.value[PL_AXIS_FILTERING], ==, "address-dependent");
    g_assert_cmpstr(claims.value[PL_AXIS_PORT_ALLOCATION], ==, "random");
    g_assert_cmpstr(claims.value[PL_AXIS_POOLING], ==, "paired");
    g_assert_cmpstr(claims.value[PL_AXIS_UDP], ==, "yes");
    g_assert_null(claims.value[PL_AXIS_HAIRPIN]);
    g_assert_cmpstr(claims.why[PL_AXIS_HAIRPIN], ==, "nobody knows");
    g_assert_null(claims.value[PL_AXIS_TCP]);
    g_assert_null(claims.why[PL_AXIS_TCP]);
}

static void what_is_unknown_always_has_a_reason(void)
{
    static const char *const texts[] = {
        HEAD CLASS WORDS EXTERNAL,
        HEAD CLASS WORDS "\"why\": {\"hairpin\": \"\"}, " EXTERNAL,
        HEAD CLASS WORDS "\"why\": {\"hairpin\": 7}, " EXTERNAL,
        HEAD CLASS WORDS "\"why\": [], " EXTERNAL,
        HEAD CLASS WORDS "\"why\": null, " EXTERNAL,
    };

    for (gsize i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_auto(PlFindings) claims = {0};

        g_assert_true(pl_claims_read(texts[i], &claims, NULL));
        g_assert_cmpstr(claims.why[PL_AXIS_HAIRPIN], ==, "it gives no reason");
    }
}

static void blocked_udp_is_known_without_an_address(void)
{
    g_auto(PlFindings) blocked = {0}, silent = {0};

    g_assert_true(pl_claims_read(HEAD "\"class\": \"udp-blocked\", " WORDS "\"external\": null}",
                                 &blocked, NULL));
    g_assert_cmpstr(blocked.value[PL_AXIS_UDP], ==, "blocked");
    g_assert_null(blocked.value[PL_AXIS_EXTERNAL]);
    g_assert_true(pl_claims_read(HEAD "\"class\": \"unknown\", " WORDS
                                      "\"why\": {\"class\": \"no\"}, \"external\": null}",
                                 &silent, NULL));
    g_assert_null(silent.value[PL_AXIS_UDP]);
    g_assert_cmpstr(silent.why[PL_AXIS_UDP], ==, "no");
    g_assert_cmpstr(silent.why[PL_AXIS_CLASS], ==, "no");
}

static void hostile_output_is_one_clear_error(void)
{
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"", "*it is not an object"},
        {"null", "*it is not an object"},
        {"[1]", "*it is not an object"},
        {"pinhole: no", "*it is not JSON"},
        {GOOD "}", "*it is not JSON"},
        {"{}", "*its schema is another (expected 1)"},
        {"{\"schema\": \"1\"}", "*its schema is another*"},
        {"{\"schema\": [1]}", "*its schema is another*"},
        {"{\"schema\": 2, " CLASS WORDS EXTERNAL, "*its schema is another*"},
        {HEAD WORDS EXTERNAL, "*\"class\" is missing*"},
        {HEAD "\"class\": null, " WORDS EXTERNAL, "*\"class\" is missing*"},
        {HEAD "\"class\": {}, " WORDS EXTERNAL, "*\"class\" is missing*"},
        {HEAD "\"class\": \"a\\u001b[31m\", " WORDS EXTERNAL, "*\"class\" is \"a\\x1b*(expected*"},
        {HEAD CLASS WORDS "\"external\": \"here\"}", "*\"external\" is no address*"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(PlFindings) claims = {0};
        g_autoptr(GError) error = NULL;

        if (pl_claims_read(cases[i].text, &claims, &error) ||
            !g_pattern_match_simple(cases[i].error, error->message) || strchr(error->message, '\n'))
            g_error("expected \"%s\", got \"%s\" for %s", cases[i].error,
                    error ? error->message : "nothing", cases[i].text);
        g_assert_error(error, PL_ERROR, PL_ERROR_FAILED);
        g_assert_null(claims.value[PL_AXIS_CLASS]);
    }
}

static void output_without_end_is_not_read(void)
{
    g_autofree char *deep = g_strnfill(1 << 20, '[');
    g_auto(PlFindings) claims = {0};
    g_autoptr(GError) error = NULL;

    g_assert_false(pl_claims_read(deep, &claims, &error));
    g_assert_nonnull(strstr(error->message, "too long"));
}

/* ---- whom it speaks for ---- */

static const char homes[] = "[topology]\ntitle = t\n"
                            "[network internet]\nsubnet = 203.0.113.0/24\n"
                            "[nat outer]\noutside = internet\ninside = 10.0.0.0/24\n"
                            "behaviour = restricted\n"
                            "[nat inner]\noutside = outer.inside\ninside = 192.168.1.0/24\n"
                            "behaviour = restricted\n"
                            "[host deep]\nbehind = inner\nrun = classify\n"
                            "[host alice]\nbehind = outer\nrun = classify\n"
                            "[host bob]\nbehind = outer\nrun = classify\n"
                            "[host hub]\non = internet\nrun = hub\n";

typedef struct World {
    PlTopology *topology;
    PlVerdict *verdict;
} World;

static void world_init(World *world, const char *expect)
{
    g_autofree char *text = g_strconcat(homes, expect, NULL);
    g_autoptr(GError) error = NULL;

    world->topology = pl_topology_parse("t.ini", text, strlen(text), &error);
    g_assert_no_error(error);
    world->verdict = pl_verdict_new(world->topology, "kernel", 1);
    pl_expected_fill(world->topology, world->verdict);
}

static void world_clear(World *world)
{
    pl_verdict_free(world->verdict);
    pl_topology_free(world->topology);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(World, world_clear)

static void say(World *world, const char *host, const char *axis_value)
{
    g_auto(PlFindings) claims = {0};

    read_good(&claims);
    pl_findings_set(&claims, PL_AXIS_HAIRPIN, axis_value, axis_value ? NULL : "nobody knows");
    pl_claimed_fill(world->topology, world->verdict, pl_topology_node(world->topology, host),
                    &claims);
}

static const char *claimed(const World *world, const char *subject, PlAxis axis)
{
    return pl_verdict_subject(world->verdict, subject)->claimed.value[axis];
}

static void a_host_speaks_for_the_one_nat_before_it(void)
{
    g_auto(World) world = {0};

    world_init(&world, "");
    say(&world, "deep", "none");
    g_assert_cmpstr(claimed(&world, "deep", PL_AXIS_CLASS), ==, "restricted");
    g_assert_null(claimed(&world, "deep", PL_AXIS_HAIRPIN));
    g_assert_null(claimed(&world, "inner", PL_AXIS_CLASS));
    g_assert_null(claimed(&world, "outer", PL_AXIS_CLASS));
    say(&world, "alice", NULL);
    g_assert_cmpstr(claimed(&world, "outer", PL_AXIS_PORT_ALLOCATION), ==, "random");
    g_assert_null(claimed(&world, "outer", PL_AXIS_HAIRPIN));
    /* The first one has spoken. */
    say(&world, "bob", "none");
    g_assert_cmpstr(claimed(&world, "bob", PL_AXIS_CLASS), ==, "restricted");
    g_assert_null(claimed(&world, "outer", PL_AXIS_HAIRPIN));
}

static void who_is_expected_not_to_know_speaks_for_nobody(void)
{
    g_auto(World) world = {0};

    world_init(&world, "[expect]\nalice.class = unknown\n");
    say(&world, "alice", "none");
    g_assert_null(claimed(&world, "outer", PL_AXIS_CLASS));
    say(&world, "bob", "none");
    g_assert_cmpstr(claimed(&world, "outer", PL_AXIS_HAIRPIN), ==, "none");
}

/* ---- what the judge makes of it ---- */

static void set_seen(PlSubject *subject, const char *class)
{
    pl_findings_set(&subject->certified, PL_AXIS_CLASS, class, NULL);
    pl_findings_set(&subject->observed, PL_AXIS_CLASS, class, NULL);
}

static void a_claim_is_judged_by_what_is_expected(void)
{
    static const struct {
        const char *expected, *claim, *why;
        gboolean ok;
    } cases[] = {
        {"restricted", "restricted", NULL, TRUE},
        {"restricted", "symmetric", NULL, FALSE},
        {"restricted", NULL, NULL, TRUE}, /* nobody was asked */
        {"restricted", NULL, "the hub is silent", FALSE},
        {NULL, "restricted", NULL, TRUE},
        {NULL, "symmetric", NULL, FALSE},
        {NULL, NULL, "the hub is silent", TRUE},
        {"unknown", NULL, "the hub is silent", TRUE},
        {"unknown", NULL, NULL, TRUE},
        {"unknown", "restricted", NULL, FALSE},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(World) world = {0};
        PlSubject *alice;

        world_init(&world, "");
        alice = pl_verdict_subject(world.verdict, "alice");
        set_seen(alice, "restricted");
        pl_findings_set(&alice->expected, PL_AXIS_CLASS, cases[i].expected, NULL);
        pl_findings_set(&alice->claimed, PL_AXIS_CLASS, cases[i].claim, cases[i].why);
        g_assert_cmpint(pl_verdict_axis_ok(alice, PL_AXIS_CLASS), ==, cases[i].ok);
    }
}

static void who_is_expected_not_to_know_may_know_nothing(void)
{
    g_auto(World) world = {0};
    PlSubject *alice;

    world_init(&world, "[expect]\nalice.class = unknown\n");
    alice = pl_verdict_subject(world.verdict, "alice");
    pl_findings_set(&alice->certified, PL_AXIS_EXTERNAL, "203.0.113.2", NULL);
    pl_findings_set(&alice->claimed, PL_AXIS_EXTERNAL, NULL, "the hub is silent");
    g_assert_true(pl_verdict_axis_ok(alice, PL_AXIS_EXTERNAL));
    pl_findings_set(&alice->claimed, PL_AXIS_EXTERNAL, "203.0.113.3", NULL);
    g_assert_false(pl_verdict_axis_ok(alice, PL_AXIS_EXTERNAL));
}

static void an_unknown_claim_fails_with_its_reason(void)
{
    g_auto(World) world = {0};
    PlSubject *alice;
    gboolean told = FALSE;

    world_init(&world, "");
    alice = pl_verdict_subject(world.verdict, "alice");
    set_seen(alice, "restricted");
    pl_findings_set(&alice->claimed, PL_AXIS_CLASS, NULL, "the hub is silent");
    pl_verdict_judge(world.verdict);
    for (guint i = 0; i < world.verdict->reasons->len; i++)
        told |= strcmp(g_ptr_array_index(world.verdict->reasons, i),
                       "host alice: class: expected restricted, certified restricted, claimed "
                       "nothing (the hub is silent), observed restricted") == 0;
    g_assert_true(told);
}

#define ADD(path, function) g_test_add_func("/claims/" path, function)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("a-classification-becomes-findings", a_classification_becomes_findings);
    ADD("what-is-unknown-always-has-a-reason", what_is_unknown_always_has_a_reason);
    ADD("blocked-udp-is-known-without-an-address", blocked_udp_is_known_without_an_address);
    ADD("hostile-output-is-one-clear-error", hostile_output_is_one_clear_error);
    ADD("output-without-end-is-not-read", output_without_end_is_not_read);
    ADD("a-host-speaks-for-the-one-nat-before-it", a_host_speaks_for_the_one_nat_before_it);
    ADD("who-is-expected-not-to-know-speaks-for-nobody",
        who_is_expected_not_to_know_speaks_for_nobody);
    ADD("a-claim-is-judged-by-what-is-expected", a_claim_is_judged_by_what_is_expected);
    ADD("who-is-expected-not-to-know-may-know-nothing",
        who_is_expected_not_to_know_may_know_nothing);
    ADD("an-unknown-claim-fails-with-its-reason", an_unknown_claim_fails_with_its_reason);
    return g_test_run();
}
