/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the file expects beyond the axes: addresses that steps change, and programs. */
#include <string.h>

#include "scenario/expected.h"

static PlTopology *parse(const char *program, const char *expect)
{
    g_autofree char *text = g_strdup_printf("[topology]\n"
                                            "title = T\n"
                                            "[network internet]\n"
                                            "subnet = 203.0.113.0/24\n"
                                            "[nat home]\n"
                                            "outside = internet\n"
                                            "inside = 192.168.1.0/24\n"
                                            "address = 203.0.113.2\n"
                                            "behaviour = port-restricted\n"
                                            "[host alice]\n"
                                            "behind = home\n"
                                            "run = true\n"
                                            "%s\n"
                                            "[host hub]\n"
                                            "on = internet\n"
                                            "[step 1]\n"
                                            "at = 1s\n"
                                            "do = nat home address 203.0.113.77\n"
                                            "%s\n",
                                            program, expect);
    g_autoptr(GError) error = NULL;
    PlTopology *topology = pl_topology_parse("t.ini", text, strlen(text), &error);

    g_assert_no_error(error);
    return topology;
}

typedef struct AddressCase {
    const char *certified, *observed;
    gboolean right;
} AddressCase;

static const AddressCase address_cases[] = {
    {"203.0.113.2", "203.0.113.77", TRUE},
    {"203.0.113.2", "203.0.113.2, 203.0.113.77", TRUE},
    {"203.0.113.2", "203.0.113.2", FALSE}, /* the step did nothing */
    {"203.0.113.2", "203.0.113.77, 203.0.113.78", FALSE},
    {"203.0.113.77", "203.0.113.77", FALSE},
    {"203.0.113.2", NULL, FALSE},
};

static gboolean is_right(const PlTopology *topology, const char *name, const AddressCase *c)
{
    g_autoptr(PlVerdict) verdict = pl_verdict_new(topology, "fake", 1);
    PlSubject *subject = pl_verdict_subject(verdict, name);

    pl_expected_fill(topology, verdict);
    pl_findings_set(&subject->certified, PL_AXIS_EXTERNAL, c->certified, NULL);
    pl_findings_set(&subject->observed, PL_AXIS_EXTERNAL, c->observed, NULL);
    if (!pl_verdict_axis_ok(subject, PL_AXIS_EXTERNAL))
        return FALSE;
    pl_expected_addresses(topology, verdict);
    for (guint i = 0; i < verdict->reasons->len; i++) {
        g_autofree char *about = g_strdup_printf(" %s: external", name);

        if (strstr(g_ptr_array_index(verdict->reasons, i), about))
            return FALSE;
    }
    return TRUE;
}

static void test_addresses(void)
{
    g_autoptr(PlTopology) topology = parse("", "");

    for (size_t i = 0; i < G_N_ELEMENTS(address_cases); i++) {
        g_assert_cmpint(is_right(topology, "home", &address_cases[i]), ==, address_cases[i].right);
        g_assert_cmpint(is_right(topology, "alice", &address_cases[i]), ==, address_cases[i].right);
    }
}

static void test_addresses_of_the_file(void)
{
    static const AddressCase c = {"203.0.113.2", "203.0.113.2", TRUE};
    g_autoptr(PlTopology) topology = parse("", "[expect]\nalice.external = 203.0.113.2");

    g_assert_true(is_right(topology, "alice", &c));
    g_assert_false(is_right(topology, "home", &c));
}

#define RUNS_ON (-1)

static const struct {
    const char *ready, *expect;
    int status;
    gboolean right;
} program_cases[] = {
    {"ready = exit", "", 0, TRUE},
    {"ready = exit", "", 1, FALSE},
    {"ready = exit", "", RUNS_ON, FALSE},
    {"ready = started", "", RUNS_ON, TRUE},
    {"ready = started", "", 0, TRUE},
    {"ready = started", "", 1, FALSE},
    {"ready = started", "", 137, FALSE},
    {"ready = started", "[step 2]\nat = 2s\ndo = host alice kill", 137, TRUE},
    {"ready = started", "[expect]\nalice.exit = 1", 1, TRUE},
    {"ready = started", "[expect]\nalice.exit = 0", RUNS_ON, FALSE},
};

static void test_programs(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(program_cases); i++) {
        g_autoptr(PlTopology) topology = parse(program_cases[i].ready, program_cases[i].expect);
        g_autoptr(PlVerdict) verdict = pl_verdict_new(topology, "fake", 1);

        pl_verdict_subject(verdict, "alice")->exit_status = program_cases[i].status;
        pl_expected_programs(topology, verdict);
        g_assert_cmpint(verdict->outcome == PL_OUTCOME_PASS, ==, program_cases[i].right);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/expected/a-step-changes-the-external-address", test_addresses);
    g_test_add_func("/expected/an-external-address-in-the-file-counts", test_addresses_of_the_file);
    g_test_add_func("/expected/a-program-must-not-fail", test_programs);
    return g_test_run();
}
