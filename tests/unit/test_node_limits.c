/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What nodes and the station refuse, and what those get who lie to them. */
#include "node_world.h"

static const char cone[] = "behaviour = port-restricted";

/* One name has one owner, however often another key asks for it. */
static void test_name_taken(void)
{
    const char *const hosts[] = {"bob", cone, "node", "mallory", cone, "node bob", NULL};
    g_auto(World) world = {0};

    world_init(&world, hosts, "");
    world_start(&world, "bob");
    world_pass(&world, S);
    world_start(&world, "mallory");
    world_pass(&world, 30 * S);
    g_assert_cmpfloat(world_when(&world, "mallory", 0, "refused", "name-taken"), ==, 40);
    g_assert_cmpuint(world_count(&world, "mallory", "registered", NULL), ==, 0);
    g_assert_cmpuint(world_station(&world)->refused_name, ==, 1);
    g_assert_cmpuint(world_station(&world)->registered, ==, 1);
    /* It is told once a minute, and is free when its owner is gone. */
    world_kill(&world, "bob");
    world_pass(&world, 300 * S);
    g_assert_cmpuint(world_station(&world)->expired, ==, 1);
    g_assert_cmpuint(world_count(&world, "mallory", "registered", NULL), ==, 1);
}

static void test_unknown_peer(void)
{
    const char *const hosts[] = {"alice", cone, "node --connect bob", "bob", cone, "node", NULL};
    g_auto(World) world = {0};

    world_init(&world, hosts, "");
    world_start(&world, "alice");
    world_pass(&world, 5 * S);
    /* What was asked with the registration is answered when the hub knows that alice gets what it
     * sends: a round trip later. The program tries again every two seconds. */
    g_assert_cmpfloat(world_when(&world, "alice", 0, "gone", "unknown-peer"), ==, 80);
    g_assert_cmpuint(world_station(&world)->unknown_peer, ==, 3);
    world_start(&world, "bob");
    world_pass(&world, 5 * S);
    assert_path(&world, "alice", PH_PATH_PUNCHED);
    g_assert_cmpuint(world_count(&world, "bob", "data", "hello from alice"), ==, 1);
}

/* N9: a node says that it can be reached at somebody else's address. Nobody else hears of it. */
static void test_spoofed_candidates(void)
{
    const char *const hosts[] = {"bob",    cone,   "node", "mallory", cone, "node --connect bob",
                                 "victim", "open", "node", NULL};
    g_auto(World) world = {0};

    world_init(&world, hosts, "");
    g_assert_true(ph_address_parse("203.0.113.99", &world.watched));
    world_start(&world, "bob");
    world_pass(&world, S);
    world_start(&world, "mallory");
    ph_node_network_changed(world_node(&world, "mallory"), &world.watched, 1, world.lab->now);
    pl_seat_pump(world_seat(&world, "mallory"));
    world_pass(&world, 60 * S);
    /* They go direct all the same, by the address that the mediator sees. */
    assert_path(&world, "bob", PH_PATH_PUNCHED);
    g_assert_cmpuint(world.n_watched, ==, 0);
}

static guint gone_by(World *world, const char *host, const char *reason)
{
    g_autoptr(GArray) all = world_said(world, host);
    guint n = 0;

    for (guint i = 0; i < all->len; i++) {
        const Said *said = &g_array_index(all, Said, i);

        n += strcmp(said->event, "gone") == 0 && g_strcmp0(said->reason, reason) == 0;
    }
    return n;
}

/* N10: a node that asks without end is refused by name, and nobody else is. */
static void test_often(void)
{
    const char *const hosts[] = {"bob",  cone,    "node", "mallory", cone,
                                 "node", "alice", cone,   "node",    NULL};
    g_auto(World) world = {0};
    guint64 unknown;

    world_init(&world, hosts, "");
    world_start(&world, "bob");
    world_start(&world, "mallory");
    world_start(&world, "alice");
    world_pass(&world, S);
    for (guint i = 0; i < 200; i++) {
        g_autofree char *name = g_strdup_printf("nobody-%u", i);

        g_assert_cmpuint(ph_node_connect(world_node(&world, "mallory"), name, NULL, world.lab->now),
                         >, 0);
        pl_seat_pump(world_seat(&world, "mallory"));
    }
    world_pass(&world, 100 * MS);
    unknown = world_station(&world)->unknown_peer;
    g_assert_cmpuint(unknown, >=, 30);
    g_assert_cmpuint(unknown, <=, 34);
    g_assert_cmpuint(world_station(&world)->refused_often, >=, 160);
    g_assert_cmpuint(ph_node_connect(world_node(&world, "alice"), "bob", NULL, world.lab->now), >,
                     0);
    pl_seat_pump(world_seat(&world, "alice"));
    world_pass(&world, 2 * S);
    assert_path(&world, "alice", PH_PATH_PUNCHED);
    /* Whose turn never came is not said to be registered, or silent. */
    world_pass(&world, 30 * S);
    g_assert_cmpuint(gone_by(&world, "mallory", "timeout"), ==, 0);
    g_assert_cmpuint(gone_by(&world, "mallory", "too-many"), >=, 50);
    g_assert_cmpuint(gone_by(&world, "mallory", "unknown-peer") +
                         gone_by(&world, "mallory", "too-many"),
                     ==, 200);
}

/* More than fit into a queue at once: each has its turn all the same, and hears of it. */
static void test_at_once(void)
{
    const char *const hosts[] = {"mallory", cone, "node", NULL};
    const guint n = PH_NODE_PEERS_MAX - 1;
    g_auto(World) world = {0};

    world_init(&world, hosts, "");
    world_start(&world, "mallory");
    world_pass(&world, S);
    for (guint i = 0; i < n; i++) {
        g_autofree char *name = g_strdup_printf("nobody-%u", i);

        g_assert_cmpuint(ph_node_connect(world_node(&world, "mallory"), name, NULL, world.lab->now),
                         >, 0);
    }
    pl_seat_pump(world_seat(&world, "mallory"));
    world_pass(&world, 500 * MS);
    g_assert_cmpuint(world_station(&world)->unknown_peer + world_station(&world)->refused_often, >=,
                     n);
    world_pass(&world, 30 * S);
    g_assert_cmpuint(
        gone_by(&world, "mallory", "unknown-peer") + gone_by(&world, "mallory", "too-many"), ==, n);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/node/limits/a name is taken", test_name_taken);
    g_test_add_func("/node/limits/an unknown peer", test_unknown_peer);
    g_test_add_func("/node/limits/N9 candidates of somebody else", test_spoofed_candidates);
    g_test_add_func("/node/limits/N10 too many connects", test_often);
    g_test_add_func("/node/limits/all peers at once", test_at_once);
    return g_test_run();
}
