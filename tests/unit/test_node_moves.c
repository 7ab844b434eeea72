/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Networks that change under nodes that talk: how soon their messages pass again. */
#include "node_world.h"

static const char cone[] = "behaviour = port-restricted";
static const char full[] = "behaviour = full-cone";

/* 20 ms from each to the hub, and from each to the other. */
#define ROUND_MS 40
/* When alice's clock shows that her network changes. */
#define MOVED_MS 5000

/* Alice's router gets another address, and her system says so. Both go on talking. */
static void move(World *world, const char *nat, guint *ret_lost_to_bob, guint *ret_lost_to_alice)
{
    PhAddress other = ph_address_ipv4(0xcb007163, 0);
    g_autofree guint8 *to_bob = NULL, *to_alice = NULL;

    world_meet(world, nat, nat);
    pl_world_nat_address(world->lab->world, world_nat(world, "alice"), &other, world->lab->now);
    ph_node_network_changed(world_node(world, "alice"), NULL, 0, world->lab->now);
    pl_seat_pump(world_seat(world, "alice"));
    for (guint i = 0; i < 1000; i++) {
        g_autofree char *text = g_strdup_printf("%u", i);

        world_send(world, "alice", text);
        world_send(world, "bob", text);
        world_pass(world, MS);
    }
    world_pass(world, S);
    to_bob = world_numbers(world, "bob", 1000);
    to_alice = world_numbers(world, "alice", 1000);
    *ret_lost_to_bob = *ret_lost_to_alice = 0;
    for (guint i = 0; i < 1000; i++) {
        g_assert_cmpuint(to_bob[i], <=, 1);
        g_assert_cmpuint(to_alice[i], <=, 1);
        *ret_lost_to_bob += to_bob[i] == 0;
        *ret_lost_to_alice += to_alice[i] == 0;
    }
}

/* What alice says goes by the relay from the same instant on; bob hears that she has moved after
 * one trip by the hub, and what he said until then is lost. */
static void test_messages_pass_at_once(void)
{
    static const char *const nats[] = {cone, full};

    for (guint i = 0; i < G_N_ELEMENTS(nats); i++) {
        g_auto(World) world = {0};
        guint to_bob, to_alice;

        move(&world, nats[i], &to_bob, &to_alice);
        g_assert_cmpuint(to_bob, ==, 0);
        g_assert_cmpuint(to_alice, <=, ROUND_MS);
        g_assert_cmpuint(world_count(&world, "alice", "hub-lost", NULL), ==, 0);
        g_assert_cmpuint(world_count(&world, "bob", "peer-up", NULL), ==, 1);
    }
}

/* They are direct again as soon as they were the first time. */
static void test_direct_again_in_six_rounds(void)
{
    g_auto(World) world = {0};
    double direct;
    guint lost, unused;

    move(&world, cone, &lost, &unused);
    g_assert_cmpuint(world_count(&world, "alice", "path", "relayed"), ==, 2);
    direct = world_when(&world, "alice", MOVED_MS, "path", "punched");
    g_assert_cmpfloat(direct, >, MOVED_MS);
    g_assert_cmpfloat(direct, <=, MOVED_MS + 6 * ROUND_MS);
    assert_path(&world, "alice", PH_PATH_PUNCHED);
    assert_path(&world, "bob", PH_PATH_PUNCHED);
}

static double now_of(World *world)
{
    return (double)(world->lab->now - G_GUINT64_CONSTANT(946684800) * S) / 1e6 - 10000;
}

/* A hub that does not answer after that has forgotten us: it is asked to register us anew. */
static void test_a_silent_hub_is_asked_anew(void)
{
    g_auto(World) world = {0};
    double at;

    world_meet(&world, cone, cone);
    world_restart(&world, "hub");
    at = now_of(&world);
    ph_node_network_changed(world_node(&world, "alice"), NULL, 0, world.lab->now);
    pl_seat_pump(world_seat(&world, "alice"));
    world_pass(&world, S);
    g_assert_cmpuint(world_station(&world)->registered, ==, 1);
    g_assert_cmpfloat(world_when(&world, "alice", at, "hub-lost", NULL), ==, -1);
}

/* What stood in the way goes away: two answers, and the direct path is used again, long before the
 * next attempt at another one is due. */
static void test_N23_back_when_it_is_healed(void)
{
    /* A ping is due after 3.6 at most, and missed 6.5 later. */
    static const guint seconds[] = {11, 20, 100};

    for (guint i = 0; i < G_N_ELEMENTS(seconds); i++) {
        g_auto(World) world = {0};

        world_meet(&world, cone, cone);
        world_stream(&world, "alice", 0, 50, 100 * MS);
        world.hole = TRUE;
        world_stream(&world, "alice", 0, 10 * seconds[i], 100 * MS);
        assert_path(&world, "alice", PH_PATH_RELAYED);
        assert_path(&world, "bob", PH_PATH_RELAYED);
        world.hole = FALSE;
        /* Pings of those that failed are 3.6 s apart at most, and the second one follows at once.
         */
        world_stream(&world, "alice", 0, 37, 100 * MS);
        assert_path(&world, "alice", PH_PATH_PUNCHED);
        assert_path(&world, "bob", PH_PATH_PUNCHED);
        g_assert_cmpuint(world_count(&world, "alice", "gone", NULL), ==, 0);
    }
}

/* For good: then it is asked no more, and its peer is not gone. */
static void test_what_stays_failed_is_left(void)
{
    g_auto(World) world = {0};
    guint before;

    world_meet(&world, cone, cone);
    world.hole = TRUE;
    world.watched = world_peer(&world, "alice").address;
    world_pass(&world, 160 * S);
    assert_path(&world, "alice", PH_PATH_RELAYED);
    before = world.n_watched;
    world_pass(&world, 55 * S); /* pings would be 18 more */
    g_assert_cmpuint(world.n_watched - before, <, 80);
    assert_path(&world, "alice", PH_PATH_RELAYED);
    g_assert_cmpuint(world_count(&world, "alice", "gone", NULL), ==, 0);
}

/* The hub's name gets an address of the other family: the node has a socket for each, registers
 * anew, and what it has directly stays as it is. */
static void test_the_hub_is_at_another_address(void)
{
    const char *const hosts[] = {"bob", cone, "node", "alice", cone, "node --connect bob", NULL};
    g_auto(World) world = {0};
    PhAddress second, nowhere;
    double at;

    world_init(&world, hosts, "");
    g_assert_true(ph_address_parse("203.0.113.11:3478", &second));
    g_assert_true(ph_address_parse("[2001:db8::10]:3478", &nowhere));
    world_start(&world, "bob");
    world_pass(&world, 10 * S);
    world_start(&world, "alice");
    world_pass(&world, 5 * S);
    /* Nobody is there. */
    ph_node_hub_at(world_node(&world, "alice"), &nowhere, world.lab->now);
    pl_seat_pump(world_seat(&world, "alice"));
    world_stream(&world, "alice", 0, 300, 100 * MS);
    g_assert_cmpuint(world_count(&world, "alice", "hub-lost", NULL), >=, 1);
    at = now_of(&world);
    ph_node_hub_at(world_node(&world, "alice"), &second, world.lab->now);
    pl_seat_pump(world_seat(&world, "alice"));
    world_stream(&world, "alice", 300, 700, 100 * MS);
    g_assert_cmpfloat(world_when(&world, "alice", at, "registered", NULL), >=, at);
    world_pass(&world, S);
    assert_path(&world, "alice", PH_PATH_PUNCHED);
    g_assert_cmpuint(world_count(&world, "alice", "path", NULL), ==, 2);
    assert_all_once(&world, "bob", 1000);
}

/* N4: where she is in between, nobody answers; what was begun there says nothing of where she
 * comes. */
static void test_N4_a_class_is_that_of_the_last_network(void)
{
    g_auto(World) world = {0};
    PlStep step = {.kind = PL_STEP_HOST_MOVE, .address = ph_address_ipv4(0xcb007163, 0)};
    const PlAttachment *own;
    PhNodeSelf self;

    world_meet(&world, cone, cone);
    step.node = (PlNode *)pl_topology_node(world.topology, "alice");
    step.network = (PlNetwork *)pl_topology_network(world.topology, "internet");
    own = g_ptr_array_index(step.node->attachments, 0);
    pl_world_link(world.lab->world, own, FALSE, world.lab->now);
    ph_node_network_changed(world_node(&world, "alice"), NULL, 0, world.lab->now);
    pl_seat_pump(world_seat(&world, "alice"));
    world_pass(&world, 100 * MS);
    pl_world_link(world.lab->world, own, TRUE, world.lab->now);
    pl_virtual_move(world.lab, &step);
    world_pass(&world, 7 * S);
    ph_node_self(world_node(&world, "alice"), &self);
    g_assert_cmpstr(ph_class_name(self.nat_class), ==, "direct");
    assert_path(&world, "alice", PH_PATH_DIRECT);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/node/moves/messages pass at once", test_messages_pass_at_once);
    g_test_add_func("/node/moves/direct again in six rounds", test_direct_again_in_six_rounds);
    g_test_add_func("/node/moves/a silent hub is asked anew", test_a_silent_hub_is_asked_anew);
    g_test_add_func("/node/moves/N23 back when it is healed", test_N23_back_when_it_is_healed);
    g_test_add_func("/node/moves/what stays failed is left", test_what_stays_failed_is_left);
    g_test_add_func("/node/moves/the hub is at another address",
                    test_the_hub_is_at_another_address);
    g_test_add_func("/node/moves/N4 a class is that of the last network",
                    test_N4_a_class_is_that_of_the_last_network);
    return g_test_run();
}
