/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What hosts run by a bare word: nothing of it is left to a default. */
#include <string.h>

#include "topology/topology.h"

#define INTERNET "[topology]\ntitle = t\n[network internet]\nsubnet = 203.0.113.0/24\n"
#define HUB      "[host hub]\non = internet\naddresses = 203.0.113.10, 203.0.113.11, 203.0.113.12\n"
#define ALICE    "[host alice]\non = internet\n"

static PlTopology *parse(const char *text)
{
    g_autoptr(GError) error = NULL;
    PlTopology *topology = pl_topology_parse("t.ini", text, strlen(text), &error);

    g_assert_no_error(error);
    return topology;
}

typedef struct Case {
    const char *text;
    const char *host;
    const char *run; /* as it is printed */
} Case;

#define HUB_10     "hub --listen 203.0.113.10:3478 --listen 203.0.113.11:3478 --second-port 3479"
#define HUB_11     "hub --listen 203.0.113.11:5000 --second-port 6000"
#define RUN(words) "run = " words "\n"

static const Case cases[] = {
    {INTERNET HUB RUN("hub") ALICE, "hub", HUB_10},
    {INTERNET ALICE RUN("hub") HUB, "alice", "hub --listen 203.0.113.2:3478 --second-port 3479"},
    {INTERNET HUB RUN("hub --listen 203.0.113.11:5000 --second-port 6000") ALICE, "hub", HUB_11},
    {INTERNET HUB RUN("hub --listen=203.0.113.11:5000 --second-port=6000") ALICE, "hub", HUB_11},
    {INTERNET HUB RUN("hub --listen 203.0.113.12:65535") ALICE, "hub",
     "hub --listen 203.0.113.12:65535 --second-port 65534"},
    {INTERNET HUB RUN("hub") ALICE RUN("classify"), "alice", "classify --server 203.0.113.10:3478"},
    {INTERNET ALICE RUN("classify") HUB RUN("hub"), "alice", "classify --server 203.0.113.10:3478"},
    {INTERNET ALICE RUN("classify") HUB RUN("hub --listen 203.0.113.12:5000"), "alice",
     "classify --server 203.0.113.12:5000"},
    {INTERNET ALICE RUN("classify --server hub") HUB RUN("hub --listen 203.0.113.12:5000"), "alice",
     "classify --server 203.0.113.12:5000"},
    {INTERNET ALICE RUN("classify --server hub:6000") HUB RUN("hub --second-port 6000"), "alice",
     "classify --server 203.0.113.10:6000"},
    {INTERNET ALICE RUN("classify --server hub") HUB RUN("turnserver"), "alice",
     "classify --server 203.0.113.10:3478"},
    {INTERNET ALICE RUN("classify --server=192.0.2.1") HUB, "alice",
     "classify --server 192.0.2.1:3478"},
    {INTERNET ALICE RUN("node  --connect bob") HUB RUN("hub"), "alice", "node --connect bob"},
    {INTERNET ALICE RUN("node a.b --connect=bob") HUB RUN("hub"), "alice",
     "node a.b --connect=bob"},
    {INTERNET ALICE RUN("/usr/bin/hub --help") HUB, "alice", "/usr/bin/hub --help"},
    {INTERNET ALICE RUN("listen  7000 5000") HUB, "alice", "listen 7000 5000"},
};

static void assert_runs(const PlTopology *topology, const char *host, const char *run)
{
    g_autofree char *words = g_strjoinv(" ", pl_topology_node(topology, host)->program.argv);

    g_assert_cmpstr(words, ==, run);
}

static void what_a_word_leaves_open_is_chosen(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(PlTopology) topology = parse(cases[i].text), again = NULL;
        g_autofree char *printed = pl_topology_print(topology), *reprinted = NULL;
        g_autofree char *line = g_strdup_printf("\nrun = %s\n", cases[i].run);

        assert_runs(topology, cases[i].host, cases[i].run);
        g_assert_nonnull(strstr(printed, line));
        again = parse(printed);
        assert_runs(again, cases[i].host, cases[i].run);
        reprinted = pl_topology_print(again);
        g_assert_cmpstr(reprinted, ==, printed);
    }
}

static void words_have_a_readiness_of_their_own(void)
{
    g_autoptr(PlTopology) topology =
        parse(INTERNET ALICE RUN("classify") HUB RUN("hub") "[host bob]\non = internet\n" RUN(
            "true") "[host carol]\non = internet\n" RUN("classify") "ready = started\n"
                                                                    "time-limit = 5s\n");
    const PlProgram *alice = &pl_topology_node(topology, "alice")->program;
    const PlProgram *hub = &pl_topology_node(topology, "hub")->program;
    const PlProgram *bob = &pl_topology_node(topology, "bob")->program;
    const PlProgram *carol = &pl_topology_node(topology, "carol")->program;

    g_assert_cmpint(alice->ready, ==, PL_READY_EXIT);
    g_assert_cmpuint(alice->time_limit_ns, >, G_GUINT64_CONSTANT(30000000000));
    g_assert_cmpint(hub->ready, ==, PL_READY_LINE);
    g_assert_cmpstr(hub->ready_text, ==, "ready");
    g_assert_cmpint(bob->ready, ==, PL_READY_STARTED);
    g_assert_cmpuint(bob->time_limit_ns, ==, G_GUINT64_CONSTANT(10000000000));
    g_assert_cmpint(carol->ready, ==, PL_READY_STARTED);
    g_assert_cmpuint(carol->time_limit_ns, ==, G_GUINT64_CONSTANT(5000000000));
}

static void hubs_start_first(void)
{
    g_autoptr(PlTopology) topology =
        parse(INTERNET ALICE RUN("classify") HUB RUN("hub") "[host bob]\non = internet\n" RUN(
            "true") "[host carol]\non = internet\n" RUN("hub") "[host dave]\non = internet\n");
    g_autoptr(GPtrArray) programs = pl_topology_programs(topology);
    g_autoptr(GString) names = g_string_new(NULL);

    for (guint i = 0; i < programs->len; i++)
        g_string_append_printf(names, "%s ", ((PlNode *)g_ptr_array_index(programs, i))->name);
    g_assert_cmpstr(names->str, ==, "hub carol alice bob ");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/program/what-a-word-leaves-open-is-chosen",
                    what_a_word_leaves_open_is_chosen);
    g_test_add_func("/program/words-have-a-readiness-of-their-own",
                    words_have_a_readiness_of_their_own);
    g_test_add_func("/program/hubs-start-first", hubs_start_first);
    return g_test_run();
}
