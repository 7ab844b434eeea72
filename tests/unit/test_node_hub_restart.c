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
    guint n = 0;

    while (ph_station_node(pl_hub_agent_station(pl_seat_agent(hub)), n, &node))
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
    gone = world_count(&world, "alice", "peer-gone", NULL) +
           world_count(&world, "bob", "peer-gone", NULL) +
           world_count(&world, "carol", "peer-gone", NULL);
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

int main(int argc, char **argv)
{
    static const guint64 shortly = S, long_enough = 8 * S;

    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/node/hub-restart/all_come_back/after 1 s", &shortly, test_all_come_back);
    g_test_add_data_func("/node/hub-restart/all_come_back/after 8 s", &long_enough,
                         test_all_come_back);
    g_test_add_func("/node/hub-restart/direct_paths_go_on_meanwhile",
                    test_direct_paths_go_on_meanwhile);
    return g_test_run();
}
