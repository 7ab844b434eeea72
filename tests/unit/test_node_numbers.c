/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The numbers by which an application knows its peers: none is given up without a word. */
#include "node_world.h"

static const char cone[] = "behaviour = port-restricted";

/* That alice's only peer is bob, that it has this number, and that he gets what is sent to it. */
static void assert_only(World *world, guint32 number, const char *text)
{
    PhNodePeer second;

    g_assert_cmpuint(world_peer(world, "alice").peer, ==, number);
    g_assert_false(ph_node_peer(world_node(world, "alice"), 1, &second));
    world_send(world, "alice", text);
    world_pass(world, S);
    g_assert_cmpuint(world_count(world, "bob", "data", text), ==, 1);
}

/* By key first: that number's end is told, whenever it comes. */
static void test_by_key_then_by_name(gconstpointer between_ns)
{
    g_auto(World) world = {0};
    guint32 by_key, by_name;

    world_register(&world, cone);
    by_key = world_connect(&world, "alice", NULL, "bob");
    world_pass(&world, GPOINTER_TO_SIZE(between_ns));
    by_name = world_connect(&world, "alice", "bob", NULL);
    g_assert_cmpuint(by_name, !=, by_key);
    world_pass(&world, 5 * S);
    g_assert_cmpuint(world_count(&world, "alice", "peer-same", NULL), ==, 1);
    assert_only(&world, by_name, "by name");
    /* It stays this one, whatever it is asked for by. */
    g_assert_cmpuint(world_connect(&world, "alice", NULL, "bob"), ==, by_name);
    g_assert_cmpuint(world_connect(&world, "alice", "bob", NULL), ==, by_name);
    world_pass(&world, 60 * S);
    assert_only(&world, by_name, "later");
    g_assert_cmpuint(world_count(&world, "alice", "peer-same", NULL), ==, 1);
    g_assert_cmpuint(world_count(&world, "alice", "gone", NULL), ==, 0);
}

static void test_by_name_then_by_key(void)
{
    g_auto(World) world = {0};
    guint32 by_name;

    world_register(&world, cone);
    by_name = world_connect(&world, "alice", "bob", NULL);
    world_pass(&world, 5 * S);
    g_assert_cmpuint(world_connect(&world, "alice", NULL, "bob"), ==, by_name);
    world_pass(&world, 5 * S);
    assert_only(&world, by_name, "hello");
    g_assert_cmpuint(world_count(&world, "alice", "peer-same", NULL), ==, 0);
    g_assert_cmpuint(world_count(&world, "alice", "gone", NULL), ==, 0);
}

static void test_by_name_twice(void)
{
    g_auto(World) world = {0};
    guint32 first;

    world_register(&world, cone);
    first = world_connect(&world, "alice", "bob", NULL);
    g_assert_cmpuint(world_connect(&world, "alice", "bob", NULL), ==, first);
    world_pass(&world, 5 * S);
    assert_only(&world, first, "hello");
    g_assert_cmpuint(world_count(&world, "alice", "peer-up", NULL), ==, 1);
}

/* Who came by himself is looked for by his name later. */
static void test_who_came_by_himself(void)
{
    g_auto(World) world = {0};
    guint32 came, by_name;

    world_register(&world, cone);
    (void)world_connect(&world, "bob", "alice", NULL);
    world_pass(&world, 5 * S);
    came = world_peer(&world, "alice").peer;
    by_name = world_connect(&world, "alice", "bob", NULL);
    world_pass(&world, 5 * S);
    g_assert_cmpuint(by_name, !=, came);
    g_assert_cmpuint(world_count(&world, "alice", "peer-same", NULL), ==, 1);
    g_assert_cmpuint(world_count(&world, "alice", "peer-up", NULL), ==, 2);
    assert_only(&world, by_name, "hello");
    assert_path(&world, "alice", PH_PATH_PUNCHED);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/node/numbers/by key and by name at once", GSIZE_TO_POINTER(0),
                         test_by_key_then_by_name);
    g_test_add_data_func("/node/numbers/by name while it is met", GSIZE_TO_POINTER(50 * MS),
                         test_by_key_then_by_name);
    g_test_add_data_func("/node/numbers/by name when it talks", GSIZE_TO_POINTER(5 * S),
                         test_by_key_then_by_name);
    g_test_add_func("/node/numbers/by name and then by key", test_by_name_then_by_key);
    g_test_add_func("/node/numbers/by name twice", test_by_name_twice);
    g_test_add_func("/node/numbers/who came by himself", test_who_came_by_himself);
    return g_test_run();
}
