/* SPDX-License-Identifier: GPL-2.0-or-later */
/* N27 and N28: each counter counts what its name says, in a scenario of its own, and attempts are
 * told one by one. */
#include "node_world.h"

static const char cone[] = "behaviour = port-restricted";
static const char symmetric[] = "behaviour = symmetric";

static guint64 counter(World *world, const char *host, const char *name)
{
    const char *known;
    guint64 value;

    for (guint i = 0; (known = ph_node_counter(world_counters(world, host), i, &value)); i++)
        if (strcmp(known, name) == 0)
            return value;
    g_error("there is no counter %s", name);
    return 0;
}

/* An attempt is told once, as what it is counted as; each that began and is over is one of three.
 */
static void assert_attempts(World *world, const char *host)
{
    static const char *const outcomes[][2] = {{"open", "punches-succeeded"},
                                              {"failed", "punches-failed"},
                                              {"timed-out", "punches-timed-out"},
                                              {"rejected", "punches-rejected"}};
    guint64 over = 0;

    for (guint i = 0; i < G_N_ELEMENTS(outcomes); i++) {
        g_assert_cmpuint(world_count(world, host, "punch", outcomes[i][0]), ==,
                         counter(world, host, outcomes[i][1]));
        if (i < 3)
            over += counter(world, host, outcomes[i][1]);
    }
    g_assert_cmpuint(over, <=, counter(world, host, "punches-attempted"));
    g_assert_cmpuint(over + 1, >=, counter(world, host, "punches-attempted"));
}

static guint told(World *world, const char *host, const char *outcome, const char *reason)
{
    g_autoptr(GArray) all = world_said(world, host);
    guint n = 0;

    for (guint i = 0; i < all->len; i++) {
        const Said *said = &g_array_index(all, Said, i);

        n += strcmp(said->event, "punch") == 0 && strcmp(said->what, outcome) == 0 &&
             strcmp(said->reason, reason) == 0;
    }
    return n;
}

static void begin(World *world, const char *alice, const char *bob)
{
    const char *const hosts[] = {"bob", bob, "node", "alice", alice, "node --connect bob", NULL};

    world_init(world, hosts, "");
    world_start(world, "bob");
    world_pass(world, 10 * S);
    world_start(world, "alice");
}

/* ---- attempts ---- */

static void test_N28_punches_attempted_and_succeeded(void)
{
    g_auto(World) world = {0};

    world_meet(&world, cone, cone);
    world_pass(&world, 60 * S);
    for (guint i = 0; i < 2; i++) {
        const char *host = i ? "alice" : "bob";

        g_assert_cmpuint(counter(&world, host, "punches-attempted"), ==, 1);
        g_assert_cmpuint(counter(&world, host, "punches-succeeded"), ==, 1);
        g_assert_cmpuint(told(&world, host, "open", "proven"), ==, 1);
        assert_attempts(&world, host);
    }
}

static void test_N28_punches_timed_out(void)
{
    g_auto(World) world = {0};

    begin(&world, cone, cone);
    world.hole = TRUE;
    world_pass(&world, 60 * S);
    for (guint i = 0; i < 2; i++) {
        const char *host = i ? "alice" : "bob";

        g_assert_cmpuint(counter(&world, host, "punches-timed-out"), >=, 4);
        g_assert_cmpuint(counter(&world, host, "punches-timed-out"), ==,
                         told(&world, host, "timed-out", "nothing-heard"));
        g_assert_cmpuint(counter(&world, host, "punches-succeeded"), ==, 0);
        g_assert_cmpuint(counter(&world, host, "punches-failed"), ==, 0);
        assert_attempts(&world, host);
        assert_path(&world, host, PH_PATH_RELAYED);
    }
}

/* The way was opened, and then nothing came along it; the proof would have been there at 205 ms. */
static void test_N28_punches_failed(void)
{
    g_auto(World) world = {0};

    begin(&world, cone, cone);
    world_pass(&world, 166 * MS);
    world.hole = TRUE;
    world_pass(&world, 10 * S);
    for (guint i = 0; i < 2; i++) {
        const char *host = i ? "alice" : "bob";

        g_assert_cmpuint(counter(&world, host, "punches-failed"), ==, 1);
        g_assert_cmpuint(told(&world, host, "failed", "not-proven"), ==, 1);
        g_assert_cmpuint(counter(&world, host, "punches-succeeded"), ==, 0);
        assert_attempts(&world, host);
    }
}

/* More peers at once than the hub introduces to one node: eight, and four in ten seconds. */
static void test_N28_punches_rejected(void)
{
    g_autoptr(GPtrArray) hosts = g_ptr_array_new_with_free_func(g_free);
    g_auto(World) world = {0};

    for (guint i = 0; i < 12; i++) {
        g_ptr_array_add(hosts, g_strdup_printf("bob%u", i));
        g_ptr_array_add(hosts, g_strdup(cone));
        g_ptr_array_add(hosts, g_strdup("node"));
    }
    g_ptr_array_add(hosts, g_strdup("alice"));
    g_ptr_array_add(hosts, g_strdup(cone));
    g_ptr_array_add(hosts, g_strdup("node"));
    g_ptr_array_add(hosts, NULL);
    world_init(&world, (const char *const *)hosts->pdata, "");
    for (guint i = 0; i < 12; i++)
        world_start(&world, g_ptr_array_index(hosts, (gsize)3 * i));
    world_start(&world, "alice");
    world_pass(&world, 5 * S);
    for (guint i = 0; i < 12; i++)
        (void)world_connect(&world, "alice", g_ptr_array_index(hosts, (gsize)3 * i), NULL);
    world_pass(&world, 2 * S);
    g_assert_cmpuint(counter(&world, "alice", "punches-succeeded"), ==, 8);
    g_assert_cmpuint(counter(&world, "alice", "punches-rejected"), >=, 4);
    g_assert_cmpuint(counter(&world, "alice", "punches-rejected"), ==,
                     world_station(&world)->introductions_refused);
    g_assert_cmpuint(counter(&world, "alice", "punches-rejected"), ==,
                     told(&world, "alice", "rejected", "too-many"));
    g_assert_cmpuint(counter(&world, "alice", "relay-fallbacks"), >=, 4);
    assert_attempts(&world, "alice");
    /* Later they may. */
    world_pass(&world, 60 * S);
    g_assert_cmpuint(counter(&world, "alice", "punches-succeeded"), ==, 12);
}

/* What alice asks at 80 ms finds no hub any more. */
static void test_N27_a_mediator_that_is_silent_is_told(void)
{
    g_auto(World) world = {0};

    begin(&world, cone, cone);
    world_pass(&world, 90 * MS);
    world_kill(&world, "hub");
    world_pass(&world, 5 * S);
    g_assert_cmpuint(counter(&world, "alice", "punches-attempted"), ==, 0);
    g_assert_cmpuint(counter(&world, "alice", "punches-rejected"), ==, 1);
    g_assert_cmpuint(told(&world, "alice", "rejected", "mediator-silent"), ==, 1);
}

/* The hub is asked at 80 ms, both begin at 125, and the proof is there at 205. */
static void assert_attempt(World *world, const char *host, const char *peer, guint took_us)
{
    g_autofree char *line = g_strdup_printf(
        "\"event\":\"punch\",\"peer\":\"%s\",\"attempt\":1,\"strategy\":\"punch\",\"took_us\":%u,"
        "\"outcome\":\"open\",\"reason\":\"proven\"",
        peer, took_us);
    g_autoptr(GError) error = NULL;
    PlProgramResult result;

    pl_virtual_result(world->lab, pl_topology_node(world->topology, host), &result, &error);
    g_assert_no_error(error);
    g_assert_nonnull(strstr(result.output, line));
    g_free(result.output);
}

static void test_N27_an_attempt_has_its_number_strategy_and_time(void)
{
    g_auto(World) world = {0};

    world_meet(&world, cone, cone);
    assert_attempt(&world, "alice", "bob", 125000);
    assert_attempt(&world, "bob", "alice", 85000); /* the hub told it at 120 ms */
}

/* ---- paths ---- */

static void test_N28_relay_fallbacks(void)
{
    g_auto(World) world = {0};

    world_meet(&world, symmetric, symmetric);
    world_pass(&world, 300 * S);
    g_assert_cmpuint(counter(&world, "alice", "relay-fallbacks"), ==, 1);
    g_assert_cmpuint(counter(&world, "alice", "punches-attempted"), ==, 0);
    g_assert_cmpuint(counter(&world, "alice", "upgrades"), ==, 0);
}

static void test_N28_upgrades_and_downgrades(void)
{
    g_auto(World) world = {0};

    world_meet(&world, cone, cone);
    g_assert_cmpuint(counter(&world, "alice", "upgrades"), ==, 1);
    g_assert_cmpuint(counter(&world, "alice", "downgrades"), ==, 0);
    world.hole = TRUE;
    world_stream(&world, "alice", 0, 300, 100 * MS);
    g_assert_cmpuint(counter(&world, "alice", "downgrades"), ==, 1);
    world.hole = FALSE;
    world_stream(&world, "alice", 300, 1000, 100 * MS);
    g_assert_cmpuint(counter(&world, "alice", "upgrades"), ==, 2);
    g_assert_cmpuint(counter(&world, "alice", "downgrades"), ==, 1);
}

/* ---- sessions ---- */

static void test_N28_sessions_opened_and_accepted(void)
{
    g_auto(World) world = {0};

    world_meet(&world, cone, cone);
    world_pass(&world, 60 * S);
    /* Who is wanted asks. */
    g_assert_cmpuint(counter(&world, "bob", "sessions-opened"), ==, 1);
    g_assert_cmpuint(counter(&world, "bob", "sessions-accepted"), ==, 0);
    g_assert_cmpuint(counter(&world, "alice", "sessions-opened"), ==, 0);
    g_assert_cmpuint(counter(&world, "alice", "sessions-accepted"), ==, 1);
}

static void test_N28_sessions_failed(void)
{
    g_auto(World) world = {0};

    begin(&world, cone, cone);
    world_pass(&world, 50 * MS);
    world_kill(&world, "alice"); /* the hub has told bob of her */
    world_pass(&world, 120 * S);
    g_assert_cmpuint(counter(&world, "bob", "sessions-opened"), ==, 1);
    g_assert_cmpuint(counter(&world, "bob", "sessions-failed"), ==, 1);
}

static void test_N28_a_goodbye_is_no_failure(void)
{
    g_auto(World) world = {0};

    world_meet(&world, cone, cone);
    ph_node_disconnect(world_node(&world, "alice"), world_peer(&world, "alice").peer,
                       world.lab->now);
    pl_seat_pump(world_seat(&world, "alice"));
    world_pass(&world, 100 * MS);
    g_assert_cmpuint(world_count(&world, "bob", "gone", NULL), ==, 1);
    g_assert_cmpuint(counter(&world, "bob", "sessions-failed"), ==, 0);
    g_assert_cmpuint(counter(&world, "alice", "sessions-failed"), ==, 0);
}

/* ---- messages ---- */

static void test_N28_messages_sent_and_received(void)
{
    g_auto(World) world = {0};

    world_meet(&world, cone, cone);
    world_stream(&world, "alice", 0, 100, 10 * MS);
    world_stream(&world, "bob", 0, 7, 10 * MS);
    world_pass(&world, S);
    /* And the greeting. */
    g_assert_cmpuint(counter(&world, "alice", "messages-sent"), ==, 101);
    g_assert_cmpuint(counter(&world, "bob", "messages-received"), ==, 101);
    g_assert_cmpuint(counter(&world, "bob", "messages-sent"), ==, 7);
    g_assert_cmpuint(counter(&world, "alice", "messages-received"), ==, 7);
    g_assert_cmpuint(counter(&world, "alice", "messages-dropped"), ==, 0);
    g_assert_cmpuint(counter(&world, "alice", "datagrams-dropped"), ==, 0);
}

/* The oldest, when more wait than may; and all of them, when nobody comes for them. */
static void test_N28_messages_dropped(void)
{
    const char *const hosts[] = {"alice", cone, "node", NULL};
    g_auto(World) world = {0};
    guint32 peer;

    world_init(&world, hosts, "");
    world_start(&world, "alice");
    world_pass(&world, S);
    peer = world_connect(&world, "alice", "nobody", NULL);
    for (guint i = 0; i < 40; i++)
        g_assert_true(ph_node_send(world_node(&world, "alice"), peer, (const uint8_t *)"x", 1,
                                   world.lab->now));
    g_assert_cmpuint(counter(&world, "alice", "messages-dropped"), ==, 40 - PH_NODE_QUEUE_MAX);
    world_pass(&world, 30 * S);
    g_assert_cmpuint(world_count(&world, "alice", "gone", NULL), ==, 1);
    g_assert_cmpuint(counter(&world, "alice", "messages-dropped"), ==, 40);
    g_assert_cmpuint(counter(&world, "alice", "messages-sent"), ==, 0);
}

/* Nobody polls: messages wait, and heartbeats and the like are lost. */
static void test_N28_datagrams_dropped(void)
{
    g_auto(World) world = {0};
    guint sent = 0;

    world_meet(&world, cone, cone);
    for (guint i = 0; i < 140; i++)
        g_assert_true(ph_node_send(world_node(&world, "alice"), world_peer(&world, "alice").peer,
                                   (const uint8_t *)"x", 1, world.lab->now));
    g_assert_cmpuint(counter(&world, "alice", "datagrams-dropped"), >, 0);
    g_assert_cmpuint(counter(&world, "alice", "messages-dropped"), ==, 0);
    pl_seat_pump(world_seat(&world, "alice"));
    world_pass(&world, 5 * S);
    sent = (guint)counter(&world, "alice", "messages-sent");
    g_assert_cmpuint(sent, ==, 141);
    g_assert_cmpuint(counter(&world, "bob", "messages-received"), ==, 141);
}

/* ---- what is known ---- */

/* By a relay nobody sees where we are. */
static void test_N28_reflex_asked_and_answered(void)
{
    g_auto(World) direct = {0}, relayed = {0};

    world_meet(&direct, cone, cone);
    world_pass(&direct, 60 * S);
    g_assert_cmpuint(counter(&direct, "alice", "reflex-answered"), >, 0);
    g_assert_cmpuint(counter(&direct, "alice", "reflex-asked"), >,
                     counter(&direct, "bob", "reflex-answered"));
    world_meet(&relayed, symmetric, symmetric);
    world_pass(&relayed, 60 * S);
    g_assert_cmpuint(counter(&relayed, "alice", "reflex-answered"), ==, 0);
    g_assert_cmpuint(counter(&relayed, "alice", "reflex-asked"), >, 0); /* the hub */
}

static void test_N28_classified(void)
{
    const char *const hosts[] = {"alice", cone, "node", NULL};
    g_auto(World) world = {0};

    world_init(&world, hosts, "");
    world_start(&world, "alice");
    world_pass(&world, 10 * S);
    g_assert_cmpuint(counter(&world, "alice", "classified"), ==, 1);
    ph_node_network_changed(world_node(&world, "alice"), NULL, 0, world.lab->now);
    pl_seat_pump(world_seat(&world, "alice"));
    world_pass(&world, 10 * S);
    g_assert_cmpuint(counter(&world, "alice", "classified"), ==, 2);
}

static void test_N28_foreign(void)
{
    const char *const hosts[] = {"alice", cone, "node", NULL};
    const PhPath path = {.socket = 1, .remote = ph_address_ipv4(0xcb007163, 53)};
    g_auto(World) world = {0};

    world_init(&world, hosts, "");
    world_start(&world, "alice");
    world_pass(&world, 10 * S);
    for (guint i = 0; i < 5; i++)
        g_assert_false(ph_node_handle_datagram(world_node(&world, "alice"), &path,
                                               (const uint8_t *)"nonsense", 8, world.lab->now));
    g_assert_cmpuint(counter(&world, "alice", "foreign"), ==, 5);
}

/* ---- all ---- */

/* Who adds a counter adds its scenario: here, or, of what nodes do for others, in
 * test_node_mediator and test_node_mesh. */
static void test_N28_every_counter_has_a_scenario(void)
{
    static const char *const known[] = {
        "punches-attempted",     "punches-succeeded", "punches-failed",    "punches-timed-out",
        "punches-rejected",      "relay-fallbacks",   "upgrades",          "downgrades",
        "sessions-opened",       "sessions-accepted", "sessions-failed",   "messages-sent",
        "messages-received",     "messages-dropped",  "datagrams-dropped", "reflex-asked",
        "reflex-answered",       "classified",        "foreign",           "introductions",
        "introductions-refused", "relayed",           "relayed-bytes",     "relay-dropped",
        "introductions-ignored",
    };
    const PhNodeCounters counters = {0};
    const char *name;
    guint64 value;
    guint n = 0;

    for (; (name = ph_node_counter(&counters, n, &value)); n++) {
        gboolean found = FALSE;

        for (guint i = 0; i < G_N_ELEMENTS(known); i++)
            found = found || strcmp(name, known[i]) == 0;
        if (!found)
            g_error("counter %s has no scenario", name);
    }
    g_assert_cmpuint(n, ==, G_N_ELEMENTS(known));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(function) g_test_add_func("/node-counters/" #function, test_##function)
    ADD(N28_punches_attempted_and_succeeded);
    ADD(N28_punches_timed_out);
    ADD(N28_punches_failed);
    ADD(N28_punches_rejected);
    ADD(N27_a_mediator_that_is_silent_is_told);
    ADD(N27_an_attempt_has_its_number_strategy_and_time);
    ADD(N28_relay_fallbacks);
    ADD(N28_upgrades_and_downgrades);
    ADD(N28_sessions_opened_and_accepted);
    ADD(N28_sessions_failed);
    ADD(N28_a_goodbye_is_no_failure);
    ADD(N28_messages_sent_and_received);
    ADD(N28_messages_dropped);
    ADD(N28_datagrams_dropped);
    ADD(N28_reflex_asked_and_answered);
    ADD(N28_classified);
    ADD(N28_foreign);
    ADD(N28_every_counter_has_a_scenario);
    return g_test_run();
}
