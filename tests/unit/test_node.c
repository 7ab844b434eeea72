/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Nodes that find each other and go direct: which path, and exactly when. */
#include "node_world.h"

static const char cone[] = "behaviour = port-restricted";
static const char full[] = "behaviour = full-cone";
static const char symmetric[] = "behaviour = symmetric";

/* When bob's clock showed alice's start. */
#define STARTED_MS 10000

/* 20 ms from each to the hub, and to each other: a round trip is 40 ms. The node asks the hub,
 * which tells the peer; the peer's request, alice's answer and what she says go by the relay: 120
 * ms. The mediator is asked at 80 ms, when the mapping is known; both begin at 125, answers are
 * there at 165, the proof at 205. */
static void test_first_bytes(void)
{
    g_auto(World) world = {0};

    world_meet(&world, cone, cone);
    g_assert_cmpfloat(world_when(&world, "alice", 0, "registered", NULL), ==, 40);
    g_assert_cmpfloat(world_when(&world, "alice", 0, "peer-up", NULL), ==, 80);
    g_assert_cmpfloat(world_when(&world, "bob", 0, "data", "hello from alice"), ==,
                      STARTED_MS + 120);
    g_assert_cmpfloat(world_when(&world, "alice", 0, "path", "punched"), ==, 205);
    g_assert_cmpfloat(world_when(&world, "bob", 0, "path", "punched"), ==, STARTED_MS + 205);
    assert_path(&world, "alice", PH_PATH_PUNCHED);
    assert_path(&world, "bob", PH_PATH_PUNCHED);
}

/* N6 */
static void test_N6_counters_of_a_punch(void)
{
    g_auto(World) world = {0};

    world_meet(&world, cone, cone);
    world_pass(&world, 60 * S);
    for (guint i = 0; i < 2; i++) {
        const PhNodeCounters *counters = world_counters(&world, i ? "alice" : "bob");

        g_assert_cmpuint(counters->punches_attempted, ==, 1);
        g_assert_cmpuint(counters->punches_succeeded, ==, 1);
        g_assert_cmpuint(counters->punches_failed, ==, 0);
        g_assert_cmpuint(counters->punches_timed_out, ==, 0);
        g_assert_cmpuint(counters->upgrades, ==, 1);
        g_assert_cmpuint(counters->downgrades, ==, 0);
    }
    g_assert_cmpuint(world_station(&world)->introductions, ==, 1);
}

/* N12: nothing could be attempted that had a chance. */
static void test_N12_both_symmetric(void)
{
    g_auto(World) world = {0};

    world_meet(&world, symmetric, symmetric);
    world_pass(&world, 300 * S);
    for (guint i = 0; i < 2; i++) {
        const PhNodeCounters *counters = world_counters(&world, i ? "alice" : "bob");

        assert_path(&world, i ? "alice" : "bob", PH_PATH_RELAYED);
        g_assert_cmpuint(counters->punches_attempted, ==, 0);
        g_assert_cmpuint(counters->relay_fallbacks, ==, 1);
        /* It is said once, as soon as both classes are known; the first is that it has begun. */
        g_assert_cmpuint(world_count(&world, i ? "alice" : "bob", "path", "relayed"), ==, 2);
        g_assert_cmpfloat(world_when(&world, i ? "alice" : "bob", 0, "path", "relay"), <,
                          (i ? 0 : STARTED_MS) + 500);
        g_assert_cmpuint(world_count(&world, i ? "alice" : "bob", "gone", NULL), ==, 0);
        g_assert_cmpuint(world_count(&world, i ? "alice" : "bob", "health", NULL), ==, 0);
    }
    g_assert_cmpuint(world_station(&world)->introductions, ==, 0);
    g_assert_cmpfloat(world_when(&world, "bob", 0, "data", "hello from alice"), ==,
                      STARTED_MS + 120);
}

/* Half a classification says that the mapping is the same for all, and takes the filtering for the
 * narrowest: what is begun for that takes seconds, and is not waited for when it turns out wider.
 */
static void test_easier_than_assumed(void)
{
    g_auto(World) world = {0};

    world_meet(&world, "behaviour = restricted", symmetric);
    for (guint i = 0; i < 2; i++) {
        double when =
            world_when(&world, i ? "alice" : "bob", i ? 0 : STARTED_MS, "path", "punched");

        g_assert_cmpfloat(when, >, 0);
        g_assert_cmpfloat(when, <, (i ? 0 : STARTED_MS) + 1000);
    }
}

/* Which takes some 10 s. The next one begins at once: of the ports that one has opened many are
 * still there for the other. */
static void test_hard_twice(void)
{
    g_auto(World) world = {0};

    world.hole = TRUE;
    world_meet(&world, symmetric, cone);
    g_assert_cmpuint(world_counters(&world, "alice")->punches_attempted, ==, 1);
    world_pass(&world, 7 * S);
    g_assert_cmpuint(world_counters(&world, "alice")->punches_attempted, ==, 2);
    world.hole = FALSE;
    world_pass(&world, 10 * S);
    g_assert_cmpuint(world_counters(&world, "alice")->punches_attempted, ==, 2);
    assert_path(&world, "alice", PH_PATH_PUNCHED);
    assert_path(&world, "bob", PH_PATH_PUNCHED);
}

static void test_pair(gconstpointer data)
{
    static const struct {
        const char *alice, *bob;
        PhPathKind path;
    } pairs[] = {
        {"open", "open", PH_PATH_DIRECT},
        {"open", cone, PH_PATH_DIRECT},
        {cone, "open", PH_PATH_DIRECT},
        {full, cone, PH_PATH_DIRECT},
        {cone, full, PH_PATH_DIRECT},
        {full, full, PH_PATH_DIRECT},
        {symmetric, "open", PH_PATH_DIRECT},
        {full, symmetric, PH_PATH_DIRECT},
        {"behaviour = restricted", symmetric, PH_PATH_PUNCHED},
        {"behaviour = restricted", cone, PH_PATH_PUNCHED},
    };
    guint i = GPOINTER_TO_UINT(data);
    g_auto(World) world = {0};

    world_meet(&world, pairs[i].alice, pairs[i].bob);
    world_pass(&world, 10 * S);
    g_test_message("%s and %s", pairs[i].alice, pairs[i].bob);
    assert_path(&world, "alice", pairs[i].path);
    assert_path(&world, "bob", pairs[i].path);
    world_stream(&world, "alice", 0, 20, 50 * MS);
    world_stream(&world, "bob", 0, 20, 50 * MS);
    world_pass(&world, S);
    assert_all_once(&world, "bob", 20);
    assert_all_once(&world, "alice", 20);
}

/* Each looks for the other at the same time: one pair, and one punch. */
static void test_both_ask(void)
{
    const char *const hosts[] = {
        "bob", cone, "node --connect alice", "alice", cone, "node --connect bob", NULL};
    g_auto(World) world = {0};
    PhNodePeer peer;

    world_init(&world, hosts, "");
    world_start(&world, "bob");
    world_start(&world, "alice");
    world_pass(&world, 20 * S);
    for (guint i = 0; i < 2; i++) {
        const char *host = i ? "alice" : "bob";

        g_assert_cmpuint(
            world_count(&world, host, "data", i ? "hello from bob" : "hello from alice"), ==, 1);
        g_assert_cmpuint(world_counters(&world, host)->punches_attempted, ==, 1);
        g_assert_false(ph_node_peer(world_node(&world, host), 1, &peer));
        assert_path(&world, host, PH_PATH_PUNCHED);
    }
}

/* N7: the hub has done its part. Five minutes have new keys in them. */
static void test_N7_the_hub_is_killed(void)
{
    g_auto(World) world = {0};

    world_meet(&world, cone, cone);
    world_kill(&world, "hub");
    world_stream(&world, "alice", 0, 300, S);
    world_stream(&world, "bob", 0, 100, S);
    world_pass(&world, S);
    assert_all_once(&world, "bob", 300);
    assert_all_once(&world, "alice", 100);
    assert_path(&world, "alice", PH_PATH_PUNCHED);
    g_assert_cmpuint(world_count(&world, "alice", "gone", NULL), ==, 0);
    g_assert_cmpuint(world_count(&world, "bob", "gone", NULL), ==, 0);
    g_assert_cmpuint(world_count(&world, "alice", "hub-lost", NULL), >, 0);
}

/* Also by a socket that is of no use any more: a hard punch has one of its own. */
static void test_goodbye(gconstpointer data)
{
    guint i = GPOINTER_TO_UINT(data);
    const char *leaves = i & 1 ? "alice" : "bob", *other = i & 1 ? "bob" : "alice";
    g_auto(World) world = {0};

    world_meet(&world, i & 2 ? symmetric : cone, i & 2 ? cone : symmetric);
    world_pass(&world, 30 * S);
    assert_path(&world, leaves, PH_PATH_PUNCHED);
    ph_node_disconnect(world_node(&world, leaves), world_peer(&world, leaves).peer, world.lab->now);
    pl_seat_pump(world_seat(&world, leaves));
    world_pass(&world, 100 * MS);
    g_assert_cmpfloat(world_when(&world, other, 0, "gone", "goodbye"), >, 0);
}

/* N30: a message every millisecond, while the direct path takes over. */
static void test_N30_upgrade_in_the_stream(void)
{
    const char *const hosts[] = {"bob", cone, "node", "alice", cone, "node --connect bob", NULL};
    g_auto(World) world = {0};
    g_autoptr(GArray) said = NULL;
    guint next = 0;

    world_init(&world, hosts, "");
    world_start(&world, "bob");
    world_pass(&world, 10 * S);
    world_start(&world, "alice");
    world_pass(&world, 100 * MS);
    assert_path(&world, "alice", PH_PATH_RELAYED);
    world_stream(&world, "alice", 0, 400, MS);
    assert_path(&world, "alice", PH_PATH_PUNCHED);
    world_pass(&world, S);
    assert_all_once(&world, "bob", 400);
    said = world_said(&world, "bob");
    for (guint i = 0; i < said->len; i++)
        if (g_ascii_isdigit(*g_array_index(said, Said, i).what))
            next += g_ascii_strtoull(g_array_index(said, Said, i).what, NULL, 10) == next;
    /* The relay is the longer way: what is sent by it last may come after what went direct. */
    g_assert_cmpuint(next, >, 100);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/node/first bytes after three round trips, direct after six",
                    test_first_bytes);
    g_test_add_func("/node/N6 counters of a punch", test_N6_counters_of_a_punch);
    g_test_add_func("/node/N12 both symmetric", test_N12_both_symmetric);
    for (guint i = 0; i < 10; i++) {
        g_autofree char *name = g_strdup_printf("/node/pair/%u", i);

        g_test_add_data_func(name, GUINT_TO_POINTER(i), test_pair);
    }
    for (guint i = 0; i < 4; i++) {
        g_autofree char *name = g_strdup_printf("/node/goodbye/%u", i);

        g_test_add_data_func(name, GUINT_TO_POINTER(i), test_goodbye);
    }
    g_test_add_func("/node/both ask", test_both_ask);
    g_test_add_func("/node/easier than assumed", test_easier_than_assumed);
    g_test_add_func("/node/hard twice", test_hard_twice);
    g_test_add_func("/node/N7 hub killed", test_N7_the_hub_is_killed);
    g_test_add_func("/node/N30 upgrade in the stream", test_N30_upgrade_in_the_stream);
    return g_test_run();
}
