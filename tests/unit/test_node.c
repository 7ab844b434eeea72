/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Nodes that find each other and go direct: which path, and exactly when. */
#include "node_world.h"

static const char cone[] = "behaviour = port-restricted";

/* 20 ms from each to the hub: three round trips are 120 ms. */
static void test_first_bytes(void)
{
    const char *const hosts[] = {"bob", cone, "node", "alice", cone, "node --connect bob", NULL};
    g_auto(World) world = {0};
    double start_ms;

    world_init(&world, hosts, "");
    world_start(&world, "bob");
    world_pass(&world, 10 * S);
    start_ms = 10000;
    world_start(&world, "alice");
    world_pass(&world, 5 * S);
    g_assert_cmpfloat(world_when(&world, "alice", 0, "registered", NULL), ==, 40);
    g_assert_cmpfloat(world_when(&world, "alice", 0, "peer-up", NULL), ==, 80);
    g_assert_cmpfloat(world_when(&world, "bob", 0, "data", "hello from alice") - start_ms, ==, 120);
    g_assert_cmpfloat(world_when(&world, "alice", 0, "path", "punched"), <=, 240);
    g_assert_cmpfloat(world_when(&world, "alice", 0, "path", "punched"), >, 0);
    g_assert_cmpfloat(world_when(&world, "bob", 0, "path", "punched") - start_ms, <=, 240);
    assert_path(&world, "alice", PH_PATH_PUNCHED);
    assert_path(&world, "bob", PH_PATH_PUNCHED);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/node/first bytes after three round trips, direct after six",
                    test_first_bytes);
    return g_test_run();
}
