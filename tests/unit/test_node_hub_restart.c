/* SPDX-License-Identifier: MIT */
/* A hub that is killed and begins anew with the same key: it knows nobody. In virtual time. */
#include "node_world.h"

static const char *const three[] = {"bob",   "behaviour = symmetric", "node",
                                    "alice", "behaviour = symmetric", "node --connect bob",
                                    "carol", "behaviour = full-cone", "node --connect bob",
                                    NULL};

/* bob and alice are relayed, bob and carol are not. */
static void meet(World *world)
{
    world_init(world, three, "");
    world_start(world, "bob");
    world_pass(world, 10 * S);
    world_start(world, "alice");
    world_start(world, "carol");
    world_pass(world, 10 * S);
    assert_path(world, "alice", PH_PATH_RELAYED);
    g_assert_cmpuint(ph_node_counters(world_node(world, "carol"))->punches_failed, ==, 0);
}

static guint registered(World *world)
{
    PlSeat *hub = world_seat(world, "hub");
    PhStationNode node;
    guint32 at = 0;
    guint n = 0;

    while (ph_station_node(pl_hub_agent_station(pl_seat_agent(hub)), &at, &node))
        n++;
    return n;
}

/* All come back by themselves, sessions between them are the same, and talk goes on. */
static void test_all_come_back(gconstpointer down_ns)
{
    g_auto(World) world = {0};
    guint gone;

    meet(&world);
    g_assert_cmpuint(registered(&world), ==, 3);
    world_stream(&world, "alice", 0, 10, 100 * MS);
    world_kill(&world, "hub");
    world_pass(&world, *(const guint64 *)down_ns);
    world_restart(&world, "hub");
    g_assert_cmpuint(registered(&world), ==, 0);
    world_pass(&world, 70 * S);
    g_assert_cmpuint(registered(&world), ==, 3);
    gone = world_count(&world, "alice", "gone", NULL) + world_count(&world, "bob", "gone", NULL) +
           world_count(&world, "carol", "gone", NULL);
    g_assert_cmpuint(gone, ==, 0);
    g_assert_cmpuint(world_count(&world, "alice", "peer-up", NULL), ==, 1);
    g_assert_cmpuint(world_count(&world, "carol", "peer-up", NULL), ==, 1);
    world_stream(&world, "alice", 10, 10, 100 * MS);
    world_pass(&world, S);
    assert_all_once(&world, "bob", 20);
}

/* Who has a way of his own does not notice. */
static void test_direct_paths_go_on_meanwhile(void)
{
    g_auto(World) world = {0};

    meet(&world);
    world_kill(&world, "hub");
    world_stream(&world, "carol", 0, 100, 100 * MS);
    world_restart(&world, "hub");
    world_stream(&world, "carol", 100, 100, 100 * MS);
    world_pass(&world, S);
    assert_all_once(&world, "bob", 200);
}

/* Until the new hub is asked by one for the other, as it is once both have come back to it. */
static void await_connect(World *world)
{
    guint64 end = world->lab->now + 60 * S;

    while (world_station(world)->connects == 0) {
        g_assert_cmpuint(world->lab->now, <, end);
        world_pass(world, MS);
    }
}

/* They get to know each other's way by the new hub, which is killed again while they do: at any
 * moment of that the direct path, and its session, stay what they are. */
static void test_a_hub_that_dies_while_it_introduces_costs_nothing(void)
{
    for (guint64 after = 0; after <= 100 * MS; after += 5 * MS) {
        g_auto(World) world = {0};
        guint64 sessions;

        world_meet(&world, "behaviour = port-restricted", "behaviour = port-restricted");
        assert_path(&world, "alice", PH_PATH_PUNCHED);
        sessions = world_counters(&world, "alice")->sessions_accepted +
                   world_counters(&world, "bob")->sessions_accepted;
        world_kill(&world, "hub");
        world_pass(&world, 10 * S);
        world_restart(&world, "hub");
        await_connect(&world);
        world_pass(&world, after);
        world_kill(&world, "hub");
        world_stream(&world, "alice", 0, 20, 5 * MS);
        world_pass(&world, 40 * S);
        world_stream(&world, "alice", 20, 20, 5 * MS);
        world_pass(&world, S);
        assert_all_once(&world, "bob", 40);
        g_assert_cmpuint(world_counters(&world, "alice")->sessions_accepted +
                             world_counters(&world, "bob")->sessions_accepted,
                         ==, sessions);
        g_assert_cmpuint(world_count(&world, "alice", "path", NULL), ==, 2);
        g_assert_cmpuint(world_count(&world, "bob", "path", NULL), ==, 2);
    }
}

/* They begin a new session, since their path is suspect, by a hub that dies when it is there at one
 * of them: what there was is what there is. */
static void test_a_session_that_came_half_way_replaces_none(void)
{
    g_auto(World) world = {0};
    guint64 accepted;

    world_meet(&world, "behaviour = port-restricted", "behaviour = port-restricted");
    assert_path(&world, "alice", PH_PATH_PUNCHED);
    accepted = world_counters(&world, "alice")->sessions_accepted;
    world_kill(&world, "hub");
    world.apart = TRUE;
    world_pass(&world, 8 * S);
    world_restart(&world, "hub");
    await_connect(&world);
    while (world_counters(&world, "alice")->sessions_accepted == accepted)
        world_pass(&world, MS);
    world_kill(&world, "hub");
    world.apart = FALSE;
    world_pass(&world, 10 * S);
    world_stream(&world, "alice", 0, 20, 5 * MS);
    world_pass(&world, 30 * S);
    world_stream(&world, "alice", 20, 20, 5 * MS);
    world_pass(&world, S);
    assert_all_once(&world, "bob", 40);
    g_assert_cmpuint(world_count(&world, "alice", "gone", NULL), ==, 0);
    g_assert_cmpuint(world_count(&world, "bob", "gone", NULL), ==, 0);
}

int main(int argc, char **argv)
{
    static const guint64 shortly = S, long_enough = 8 * S;

    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/node/hub-restart/all_come_back/after 1 s", &shortly, test_all_come_back);
    g_test_add_data_func("/node/hub-restart/all_come_back/after 8 s", &long_enough,
                         test_all_come_back);
    g_test_add_func("/node/hub-restart/direct_paths_go_on_meanwhile",
                    test_direct_paths_go_on_meanwhile);
    g_test_add_func("/node/hub-restart/a_hub_that_dies_while_it_introduces_costs_nothing",
                    test_a_hub_that_dies_while_it_introduces_costs_nothing);
    g_test_add_func("/node/hub-restart/a_session_that_came_half_way_replaces_none",
                    test_a_session_that_came_half_way_replaces_none);
    return g_test_run();
}
