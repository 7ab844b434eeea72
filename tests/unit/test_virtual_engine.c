/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whole runs in virtual time. */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "scenario/scenario.h"
#include "virtual/lab.h"
#include "virtual/virtual.h"

#define S G_GUINT64_CONSTANT(1000000000)

static PlTopology *parse(const char *text)
{
    g_autoptr(GError) error = NULL;
    PlTopology *topology = pl_topology_parse("home.ini", text, strlen(text), &error);

    g_assert_no_error(error);
    return topology;
}

static PlTopology *parse_home(const char *nat, const char *alice, const char *rest)
{
    g_autofree char *text = g_strdup_printf("[topology]\n"
                                            "title = A home\n"
                                            "[network internet]\n"
                                            "subnet = 203.0.113.0/24\n"
                                            "[nat home]\n"
                                            "outside = internet\n"
                                            "inside = 192.168.1.0/24\n"
                                            "%s\n"
                                            "[host alice]\n"
                                            "behind = home\n"
                                            "%s\n"
                                            "[host hub]\n"
                                            "on = internet\n"
                                            "addresses = 203.0.113.10, 203.0.113.11\n"
                                            "run = hub\n"
                                            "%s\n",
                                            nat, alice, rest);

    return parse(text);
}

static PlVerdict *run_watched(const PlTopology *topology, uint64_t seed,
                              const PlScenarioWatch *watch)
{
    int fd = memfd_create("capture", MFD_CLOEXEC);
    PlVerdict *verdict;

    g_assert_cmpint(fd, >=, 0);
    verdict = pl_scenario_run(topology, &pl_virtual_engine, seed, fd, watch);
    close(fd);
    return verdict;
}

static PlVerdict *run(const PlTopology *topology, uint64_t seed)
{
    const PlScenarioWatch nobody = {.digests = TRUE};

    return run_watched(topology, seed, &nobody);
}

static void assert_passed(const PlVerdict *verdict)
{
    for (guint i = 0; i < verdict->reasons->len; i++)
        g_test_message("%s", (const char *)g_ptr_array_index(verdict->reasons, i));
    g_assert_cmpstr(pl_outcome_name(verdict->outcome), ==, "pass");
}

static void assert_reason(const PlVerdict *verdict, const char *outcome, const char *reason)
{
    g_assert_cmpstr(pl_outcome_name(verdict->outcome), ==, outcome);
    g_assert_cmpuint(verdict->reasons->len, >, 0);
    if (!strstr(g_ptr_array_index(verdict->reasons, 0), reason))
        g_error("%s (expected: %s)", (const char *)g_ptr_array_index(verdict->reasons, 0), reason);
}

/* All that theory expects of it is certified, claimed and observed. */
static void test_cell(gconstpointer data)
{
    unsigned mapping = GPOINTER_TO_UINT(data) / 3, filtering = GPOINTER_TO_UINT(data) % 3;
    const char *class = pl_class_name((PlMapping)(1 + mapping), (PlFiltering)filtering);
    g_autofree char *axes =
        g_strdup_printf("mapping = %s\nfiltering = %s", pl_mapping_name((PlMapping)(1 + mapping)),
                        pl_filtering_name((PlFiltering)filtering));
    g_autoptr(PlTopology) topology = parse_home(axes, "run = classify", "");

    for (uint64_t seed = 0; seed < 10; seed++) {
        g_autoptr(PlVerdict) verdict = run(topology, seed);
        const PlSubject *alice = pl_verdict_subject(verdict, "alice");

        assert_passed(verdict);
        g_assert_cmpstr(alice->certified.value[PL_AXIS_CLASS], ==, class);
        g_assert_cmpstr(alice->claimed.value[PL_AXIS_CLASS], ==, class);
        g_assert_cmpstr(alice->observed.value[PL_AXIS_CLASS], ==, class);
        g_assert_cmpint(alice->exit_status, ==, 0);
    }
}

/* The topologies that are there: each passes, or says what this engine cannot do. */
static void test_file(gconstpointer path)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(PlTopology) topology = pl_topology_load(path, &error);
    g_autoptr(PlVerdict) verdict = NULL;

    g_assert_no_error(error);
    verdict = run(topology, 7);
    if (verdict->outcome == PL_OUTCOME_SKIP) {
        assert_reason(verdict, "skip", "engine virtual ");
        return;
    }
    assert_passed(verdict);
    for (guint i = 0; i < verdict->subjects->len; i++) {
        const PlSubject *subject = g_ptr_array_index(verdict->subjects, i);

        for (PlAxis axis = 0; axis < PL_AXIS_N; axis++)
            if (subject->expected.value[axis])
                g_assert_true(pl_axis_agrees(axis, subject->expected.value[axis],
                                             subject->certified.value[axis]));
    }
}

/* What no kernel does: the NAT is what its file says all the same, and the classifier knows. */
static void test_expressed(void)
{
    static const struct {
        const char *nat, *link;
    } cases[] = {
        {"behaviour = port-restricted\nfirst-packet-lost = yes", ""},
        {"behaviour = port-restricted\nmapping-rate = 50", ""},
        {"behaviour = port-restricted\nrewrite-payload = yes", ""},
        {"behaviour = port-restricted\nmapping-age = 20s", ""},
        {"behaviour = port-restricted\ninbound-refresh = no", ""},
        {"behaviour = port-restricted\nudp-timeout = 2.5s", ""},
        {"behaviour = port-restricted\nudp-timeout = 4s\ninbound-refresh = no", ""},
        {"behaviour = port-restricted\nport-allocation = sequential", ""},
        {"behaviour = port-restricted\nport-allocation = sequential\nport-step = 2", ""},
        {"behaviour = port-restricted\nport-overloading = yes", ""},
        {"behaviour = symmetric", "delay = 200ms"},
        {"behaviour = symmetric", "delay = 50ms\njitter = 20ms"},
        {"behaviour = symmetric", "loss = 5%"},
        {"behaviour = symmetric", "loss-mask = 10000"},
        {"behaviour = symmetric", "duplicate = 10%"},
        {"behaviour = symmetric", "delay = 10ms\nreorder = 10%"},
        {"behaviour = symmetric", "rate = 100kbit"},
        {"behaviour = symmetric", "mtu = 600"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *link = g_strdup_printf("[link alice]\n%s\n", cases[i].link);
        g_autoptr(PlTopology) topology =
            parse_home(cases[i].nat, "run = classify", *cases[i].link ? link : "");
        g_autoptr(PlVerdict) verdict = run(topology, 3);

        g_test_message("%s, %s", cases[i].nat, cases[i].link);
        assert_passed(verdict);
        g_assert_cmpstr(pl_verdict_subject(verdict, "alice")->claimed.value[PL_AXIS_CLASS], ==,
                        pl_verdict_subject(verdict, "alice")->expected.value[PL_AXIS_CLASS]);
    }
}

static void test_replay(void)
{
    g_autoptr(PlTopology) topology =
        parse_home("behaviour = symmetric", "run = classify",
                   "[link alice]\ndelay = 20ms\njitter = 5ms\nloss = 2%\n");
    g_autoptr(PlVerdict) first = run(topology, 5), again = run(topology, 5),
                         other = run(topology, 6);

    g_assert_cmpuint(strlen(first->packets_sha256), ==, 64);
    g_assert_cmpstr(first->packets_sha256, ==, again->packets_sha256);
    g_assert_cmpstr(first->capture_sha256, ==, again->capture_sha256);
    g_assert_cmpstr(first->packets_sha256, !=, other->packets_sha256);
    g_assert_cmpstr(first->capture_sha256, !=, other->capture_sha256);
    assert_passed(first);
    assert_passed(other);
}

/* A minute of its time is none of ours. */
static void test_time_jumps(void)
{
    g_autoptr(PlTopology) topology = parse_home("behaviour = full-cone", "run = classify",
                                                "[step 1]\nat = 24min\ndo = nat home flush\n");
    gint64 before = g_get_monotonic_time();
    g_autoptr(PlVerdict) verdict = run(topology, 1);

    assert_passed(verdict);
    g_assert_cmpint(g_get_monotonic_time() - before, <, 60 * G_USEC_PER_SEC);
}

typedef struct Look {
    const PlTopology *topology;
    PlLab *lab;
    uint64_t now;
    GArray *connections;
} Look;

static void look_standing(const PlTopology *topology, const PlEngine *engine, PlLab *lab,
                          gpointer data)
{
    Look *look = data;

    (void)engine;
    look->topology = topology;
    look->lab = lab;
    look->now = pl_virtual_engine.now(lab);
}

static void look_phase(const char *phase, gpointer data)
{
    Look *look = data;

    if (strcmp(phase, "exercise") == 0)
        look->connections = pl_virtual_engine.connections(
            look->lab, pl_topology_node(look->topology, "home"), NULL);
    if (strcmp(phase, "down") == 0)
        look->now = pl_virtual_engine.now(look->lab) - look->now;
}

/* What alice had to do with the hub. */
static void test_connections(void)
{
    g_autoptr(PlTopology) topology = parse_home("behaviour = full-cone", "run = classify", "");
    const PhAddress alice = ph_address_ipv4(0xc0a80102, 0);
    Look look = {0};
    const PlScenarioWatch watch = {.standing = look_standing, .phase = look_phase, .data = &look};
    g_autoptr(PlVerdict) verdict = run_watched(topology, 1, &watch);

    assert_passed(verdict);
    g_assert_cmpuint(look.connections->len, >, 0);
    for (guint i = 0; i < look.connections->len; i++) {
        const PlConnection *connection = &g_array_index(look.connections, PlConnection, i);

        g_assert_cmpuint(connection->protocol, ==, PL_PROTOCOL_UDP);
        g_assert_true(ph_address_equal_host(&connection->inside, &alice));
        g_assert_cmpuint(connection->expires_s, <=, 120);
    }
    g_array_unref(look.connections);
}

static void test_steps(void)
{
    g_autoptr(PlTopology) topology =
        parse_home("behaviour = port-restricted", "run = classify",
                   "[step 1]\nat = 1s\ndo = link alice down\n"
                   "[step 2]\nat = 2s\ndo = link alice up\n"
                   "[step 3]\nat = 3s\ndo = nat home reboot\n"
                   "[step 4]\nat = 4s\ndo = nat home address 203.0.113.77\n"
                   "[step 5]\nat = 5s\ndo = host hub kill\n");
    Look look = {0};
    const PlScenarioWatch watch = {.standing = look_standing, .phase = look_phase, .data = &look};
    g_autoptr(PlVerdict) verdict = run_watched(topology, 1, &watch);
    const PlSubject *nat = pl_verdict_subject(verdict, "home");

    assert_passed(verdict);
    g_array_unref(look.connections);
    g_assert_cmpuint(look.now, >, 5 * S);
    g_assert_cmpstr(nat->certified.value[PL_AXIS_EXTERNAL], ==, "203.0.113.2");
    g_assert_nonnull(strstr(nat->observed.value[PL_AXIS_EXTERNAL], "203.0.113.77"));
    g_assert_cmpint(pl_verdict_subject(verdict, "hub")->exit_status, ==, 137);
}

/* What is down at the end is seen to be so. */
static void test_link_that_stays_down(void)
{
    g_autoptr(PlTopology) topology =
        parse_home("behaviour = port-restricted", "", "[step 1]\nat = 1s\ndo = link alice down\n");
    g_autoptr(PlVerdict) verdict = run(topology, 1);

    assert_reason(verdict, "fail", "observed nothing");
}

static void test_not_ready(void)
{
    g_autoptr(PlTopology) topology =
        parse_home("behaviour = port-restricted", "run = classify\nready = line never", "");
    g_autoptr(PlVerdict) verdict = run(topology, 1);

    assert_reason(verdict, "fail", "`classify` was not ready within 40 s");
    g_assert_nonnull(strstr(g_ptr_array_index(verdict->reasons, 0), "port-restricted"));
}

static void test_ready_by_port(void)
{
    g_autoptr(PlTopology) topology = parse_home("behaviour = port-restricted", "",
                                                "ready = udp 3479\n[expect]\nhub.output = ready\n");
    g_autoptr(PlVerdict) verdict = run(topology, 1);

    assert_passed(verdict);
}

static void test_refused(void)
{
    static const struct {
        const char *nat, *alice, *rest, *reason;
    } cases[] = {
        {"behaviour = full-cone", "run = ping -c 1 hub", "",
         "engine virtual runs hub, classify, node and listen only (host alice runs ping)"},
        {"behaviour = full-cone", "", "[step 1]\nat = 1s\ndo = host alice run true\n",
         "engine virtual runs hub, classify, node and listen only (step 1: host alice runs true)"},
        {"behaviour = full-cone\nrules = x.nft", "", "",
         "engine virtual cannot express nat home rules (it has no nftables)"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(PlTopology) topology = parse_home(cases[i].nat, cases[i].alice, cases[i].rest);
        g_autoptr(PlVerdict) verdict = run(topology, 1);

        assert_reason(verdict, "skip", cases[i].reason);
        g_assert_null(verdict->packets_sha256);
    }
}

typedef struct Restless {
    PlClient client;
    uint64_t at, step;
} Restless;

static uint64_t restless_next(const PlClient *client)
{
    return ((const Restless *)client)->at;
}

static void restless_timeout(PlClient *client, uint64_t now)
{
    ((Restless *)client)->at = now + ((Restless *)client)->step;
}

static void check_limit(uint64_t step, uint64_t events_max, const char *message)
{
    g_autoptr(PlTopology) topology = parse_home("behaviour = full-cone", "", "");
    PlLab *lab = pl_virtual_new(topology, 1);
    Restless restless = {
        .client = {.next = restless_next, .timeout = restless_timeout},
        .at = lab->now,
        .step = step,
    };
    const gboolean never = FALSE;
    g_autoptr(GError) error = NULL;

    lab->prober = &restless.client;
    lab->events_max = events_max;
    g_assert_false(pl_virtual_run(lab, UINT64_MAX, &never, &error));
    g_assert_error(error, PL_ERROR, PL_ERROR_FAILED);
    g_assert_cmpstr(error->message, ==, message);
    pl_virtual_free(lab);
}

static void test_limits(void)
{
    check_limit(0, 1000, "engine virtual gave up after 1000 events, at 0 s of virtual time");
    check_limit(3600 * S, 1000,
                "engine virtual gave up after 337 events, at 1209600 s of virtual time");
}

/* Each of many nodes has few ports for its probes; that must not show. */
static void test_many_nats(void)
{
    g_autoptr(GString) text = g_string_new("[topology]\ntitle = t\n[network internet]\n"
                                           "subnet = 203.0.112.0/20\n[host hub]\non = internet\n");
    g_autoptr(PlTopology) topology = NULL;

    for (unsigned i = 0; i < 20; i++)
        g_string_append_printf(text,
                               "[nat n%u]\noutside = internet\ninside = 10.0.%u.0/24\n"
                               "behaviour = %s\n[host h%u]\nbehind = n%u\n",
                               i, i, i % 2 ? "full-cone" : "restricted", i, i);
    topology = parse(text->str);
    for (uint64_t seed = 1; seed <= 30; seed++) {
        g_autoptr(PlVerdict) verdict = run(topology, seed);

        assert_passed(verdict);
    }
}

static void add_files(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GDir) directory = g_dir_open(PL_SOURCE_DIR "/topologies", 0, &error);
    const char *name;

    g_assert_no_error(error);
    while ((name = g_dir_read_name(directory))) {
        g_autofree char *test = g_strdup_printf("/virtual/engine/file/%s", name);

        if (g_str_has_suffix(name, ".ini"))
            g_test_add_data_func_full(
                test, g_build_filename(PL_SOURCE_DIR "/topologies", name, NULL), test_file, g_free);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < 9; i++) {
        g_autofree char *test =
            g_strdup_printf("/virtual/engine/cell/%s, %s", pl_mapping_name((PlMapping)(1 + i / 3)),
                            pl_filtering_name((PlFiltering)(i % 3)));

        g_test_add_data_func(test, GUINT_TO_POINTER(i), test_cell);
    }
    add_files();
    g_test_add_func("/virtual/engine/what no kernel expresses", test_expressed);
    g_test_add_func("/virtual/engine/same seed, same bytes", test_replay);
    g_test_add_func("/virtual/engine/time jumps", test_time_jumps);
    g_test_add_func("/virtual/engine/connections", test_connections);
    g_test_add_func("/virtual/engine/steps", test_steps);
    g_test_add_func("/virtual/engine/a link that stays down", test_link_that_stays_down);
    g_test_add_func("/virtual/engine/a program that is not ready", test_not_ready);
    g_test_add_func("/virtual/engine/ready by its port", test_ready_by_port);
    g_test_add_func("/virtual/engine/refused by name", test_refused);
    g_test_add_func("/virtual/engine/limits", test_limits);
    g_test_add_func("/virtual/engine/many NATs share the ports of probes", test_many_nats);
    return g_test_run();
}
