/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who goes by relays only sends to the hub alone, also when somebody knows where it is. */
#include "../../lib/core/node_private.h"
#include "node_world.h"

/* Packets from bob to anybody but the hub. */
static gboolean count_strays(gpointer data, const PlNode *host, const guint8 *bytes, gsize length)
{
    World *world = data;

    g_assert_cmpuint(length, >=, 20);
    if (host && strcmp(host->name, "bob") == 0)
        world->n_watched += bytes[16] != 203 || (bytes[19] != 10 && bytes[19] != 11);
    return FALSE;
}

/* bob, who is on the internet and hides, and alice, to whom he talks. */
static void begin(World *world, gboolean hidden)
{
    const char *const hosts[] = {"bob",  "open",    "node", "alice", "open",
                                 "node", "mallory", "open", "node",  NULL};

    world_init(world, hosts, "");
    world->lab->loses = count_strays;
    world_start(world, "bob");
    world_node(world, "bob")->config.relay_only = hidden;
    world_start(world, "alice");
    world_start(world, "mallory");
    world_pass(world, 10 * S);
    world_connect(world, "alice", "bob", NULL);
    world_pass(world, 10 * S);
}

static PhRoute straight_to_bob(World *world, const char *from)
{
    const PhNode *bob = world_node(world, "bob"), *node = world_node(world, from);

    return (PhRoute){.path = {PH_TRANSPORT_UDP, node->data.socket, bob->hub.seen}};
}

static void ping_straight(World *world)
{
    PhNode *alice = world_node(world, "alice");
    const PhPeer *peer = ph_node_peer_by_key(alice, ph_node_public_key(world_node(world, "bob")));
    PhRoute route = straight_to_bob(world, "alice");
    PhMessage ping = {.kind = PH_MESSAGE_PING, .ping.id = 1};

    alice->now = world->lab->now;
    g_assert_true(ph_node_tell(alice, peer->session, &route, &ping));
    pl_seat_pump(world_seat(world, "alice"));
    world_pass(world, 5 * S);
}

static void ask_straight(World *world)
{
    PhNode *mallory = world_node(world, "mallory");
    PhRoute route = straight_to_bob(world, "mallory");

    mallory->now = world->lab->now;
    g_assert_cmpuint(ph_sessions_open(mallory->sessions,
                                      ph_node_public_key(world_node(world, "bob")), &route, NULL, 0,
                                      mallory->now),
                     !=, 0);
    ph_node_flush_sessions(mallory);
    pl_seat_pump(world_seat(world, "mallory"));
    world_pass(world, 10 * S);
}

static void test_a_peer_that_knows_the_address(void)
{
    g_auto(World) world = {0};

    begin(&world, TRUE);
    assert_path(&world, "alice", PH_PATH_RELAYED);
    ping_straight(&world);
    g_assert_cmpuint(world.n_watched, ==, 0);
    assert_path(&world, "bob", PH_PATH_RELAYED);
    world_stream(&world, "alice", 0, 10, 50 * MS);
    world_pass(&world, S);
    assert_all_once(&world, "bob", 10);
    g_assert_cmpuint(world.n_watched, ==, 0);
}

static void test_a_stranger_that_knows_the_address(void)
{
    g_auto(World) world = {0};

    begin(&world, TRUE);
    ask_straight(&world);
    g_assert_cmpuint(world.n_watched, ==, 0);
    g_assert_cmpuint(world_counters(&world, "bob")->foreign, >, 0);
}

/* That the two above do ask. */
static void test_who_does_not_hide_answers(void)
{
    g_auto(World) world = {0};
    guint before;

    begin(&world, FALSE);
    assert_path(&world, "alice", PH_PATH_DIRECT);
    before = world.n_watched;
    ask_straight(&world);
    g_assert_cmpuint(world.n_watched, >, before);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/node/hidden/a peer that knows the address",
                    test_a_peer_that_knows_the_address);
    g_test_add_func("/node/hidden/a stranger that knows the address",
                    test_a_stranger_that_knows_the_address);
    g_test_add_func("/node/hidden/who does not hide answers", test_who_does_not_hide_answers);
    return g_test_run();
}
