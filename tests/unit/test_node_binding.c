/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How long NATs keep mappings: nodes measure it, and say something as often as that needs. */
#include "node_world.h"

/* Its port shows whether a mapping is another one. */
#define DRAWN "behaviour = port-restricted\nport-allocation = random\n"

static PhNodeSelf self_of(World *world, const char *host)
{
    PhNodeSelf self;

    ph_node_self(world_node(world, host), &self);
    return self;
}

static gboolean is_seen_where_it_was(World *world, const char *host, const PhNodeSelf *before)
{
    PhNodeSelf now = self_of(world, host);

    return ph_address_equal(&now.seen, &before->seen);
}

/* G14: nothing has to be lost for it to be found out. What the hub gets in an hour in which there
 * is nothing to say is as much as it has to be. */
static void check_kept(const char *nat, guint64 binding_ns, guint least, guint most)
{
    g_auto(World) world = {0};
    PhNodeSelf alice, bob;

    world_meet(&world, nat, nat);
    alice = self_of(&world, "alice");
    bob = self_of(&world, "bob");
    world_pass(&world, 120 * S);
    g_assert_cmpuint(self_of(&world, "alice").binding_ns, ==, binding_ns);
    g_assert_cmpuint(self_of(&world, "bob").binding_ns, ==, binding_ns);
    world.watched = ph_address_ipv4(0xcb00710a, 0);
    world.n_watched = 0;
    world_pass(&world, 3600 * S);
    g_assert_cmpuint(world.n_watched, >=, least);
    g_assert_cmpuint(world.n_watched, <=, most);
    g_assert_true(is_seen_where_it_was(&world, "alice", &alice));
    g_assert_true(is_seen_where_it_was(&world, "bob", &bob));
    g_assert_cmpuint(world_counters(&world, "alice")->punches_attempted, ==, 1);
    g_assert_cmpuint(world_count(&world, "alice", "health", NULL), ==, 0);
    g_assert_cmpuint(world_count(&world, "bob", "health", NULL), ==, 0);
}

static void test_G14_10s(void)
{
    check_kept(DRAWN "udp-timeout = 10s", 5 * S, 9500, 11500);
}

static void test_G14_25s(void)
{
    check_kept(DRAWN "udp-timeout = 25s", 20 * S, 4000, 4700);
}

static void test_G14_120s(void)
{
    check_kept(DRAWN "udp-timeout = 120s", 60 * S, 3000, 3500);
}

/* Who lets everybody in, and is not translated, has nothing to measure, and asks for no sockets. */
static void test_G14_nothing_is_measured_without_a_nat(void)
{
    g_auto(World) world = {0};

    world_meet(&world, "open", DRAWN "udp-timeout = 120s");
    world_pass(&world, 120 * S);
    g_assert_cmpuint(self_of(&world, "alice").binding_ns, ==, 0);
    g_assert_cmpuint(self_of(&world, "bob").binding_ns, ==, 60 * S);
}

/* Another network has another NAT. */
static void test_G14_it_is_measured_again_elsewhere(void)
{
    g_auto(World) world = {0};
    PhAddress other = ph_address_ipv4(0xcb007163, 0);

    world_meet(&world, DRAWN "udp-timeout = 25s", "open");
    world_pass(&world, 120 * S);
    g_assert_cmpuint(self_of(&world, "alice").binding_ns, ==, 20 * S);
    pl_world_nat_address(world.lab->world, world_nat(&world, "alice"), &other, world.lab->now);
    world_pass(&world, 30 * S);
    g_assert_cmpuint(self_of(&world, "alice").binding_ns, ==, 0);
    world_pass(&world, 60 * S);
    g_assert_cmpuint(self_of(&world, "alice").binding_ns, ==, 20 * S);
}

/* Mobile carriers end mappings at an age, however much is said: to say more and more is no help,
 * and is not done. */
static void test_N17_mappings_that_die_of_age(void)
{
    g_auto(World) world = {0};

    world_meet(&world, DRAWN "mapping-age = 60s", "open");
    for (guint i = 0; i < 60; i++) {
        world_pass(&world, 60 * S);
        /* Twice it may seem that there was too little said. */
        g_assert_cmpuint(self_of(&world, "alice").binding_ns, >=, 10 * S);
        if (i >= 6)
            g_assert_cmpuint(self_of(&world, "alice").binding_ns, ==, 45 * S);
    }
    g_assert_cmpuint(world_count(&world, "alice", "gone", NULL), ==, 0);
}

/* What is left of a way whose mapping ends of age is used to make another one ready: nothing is
 * lost, and nobody waits for the relay. */
static void check_renewed(const char *alice, const char *bob, PhPathKind path)
{
    g_auto(World) world = {0};
    guint paths;

    g_test_message("%s | %s", alice, bob);
    world_meet(&world, alice, bob);
    world_pass(&world, 600 * S);
    assert_path(&world, "alice", path);
    paths = world_count(&world, "alice", "path", "relayed");
    for (guint i = 0; i < 3000; i++) {
        g_autofree char *text = g_strdup_printf("%u", i);

        world_send(&world, "alice", text);
        world_send(&world, "bob", text);
        world_pass(&world, 100 * MS);
    }
    world_pass(&world, S);
    g_assert_cmpuint(world_count(&world, "alice", "path", "relayed"), ==, paths);
    assert_path(&world, "alice", path);
    assert_path(&world, "bob", path);
    assert_all_once(&world, "bob", 3000);
    assert_all_once(&world, "alice", 3000);
}

static void test_N30_renewed_before_it_ends(void)
{
    static const char ages[] = DRAWN "mapping-age = 60s";

    check_renewed(ages, "behaviour = port-restricted", PH_PATH_PUNCHED);
    check_renewed("behaviour = port-restricted", ages, PH_PATH_PUNCHED);
    check_renewed(ages, ages, PH_PATH_PUNCHED);
    check_renewed(ages, "open", PH_PATH_DIRECT);
    check_renewed("open", ages, PH_PATH_DIRECT);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/node/binding/G14 10 s", test_G14_10s);
    g_test_add_func("/node/binding/G14 25 s", test_G14_25s);
    g_test_add_func("/node/binding/G14 120 s", test_G14_120s);
    g_test_add_func("/node/binding/G14 without a NAT", test_G14_nothing_is_measured_without_a_nat);
    g_test_add_func("/node/binding/G14 elsewhere", test_G14_it_is_measured_again_elsewhere);
    g_test_add_func("/node/binding/N17 of age", test_N17_mappings_that_die_of_age);
    g_test_add_func("/node/binding/N30 renewed", test_N30_renewed_before_it_ends);
    return g_test_run();
}
