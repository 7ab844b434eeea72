/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The prober against NATs of every kind: it must say of each what it is. */
#include "prober_world.h"
#include "topology/allocation.h"

/* The ports that were seen lie within it. */
static void expect_range(const World *world, unsigned first, unsigned last)
{
    g_autofree char *range = g_strdup_printf("%u-%u", first, last);

    g_assert_true(pl_axis_agrees(PL_AXIS_PORT_RANGE, range, found(world, PL_AXIS_PORT_RANGE)));
}

static void test_nine_cells(void)
{
    for (unsigned cell = 0; cell < 9 * 20; cell++) {
        PlBehaviour b = usual;
        g_auto(World) world;

        b.mapping = 1 + cell % 3;
        b.filtering = cell / 3 % 3;
        world_init(&world, &b);
        world.plan.seed = cell;
        world_run(&world);
        expect(&world, PL_AXIS_MAPPING, pl_mapping_name(b.mapping));
        expect(&world, PL_AXIS_FILTERING, pl_filtering_name(b.filtering));
        expect(&world, PL_AXIS_CLASS, pl_class_name(b.mapping, b.filtering));
        expect(&world, PL_AXIS_EXTERNAL, "203.0.113.5");
        expect(&world, PL_AXIS_PORT_ALLOCATION, "random");
        expect_range(&world, 1024, 65535);
        /* Seen, not believed. */
        g_assert_cmpstr(found(&world, PL_AXIS_PORT_RANGE), !=, "1024-65535");
        expect(&world, PL_AXIS_HAIRPIN, "none");
        if (pl_behaviour_shows_unsolicited(&b))
            expect(&world, PL_AXIS_UNSOLICITED, "drop");
        else
            expect_undecided(&world, PL_AXIS_UNSOLICITED, "can be foreseen");
        expect(&world, PL_AXIS_UDP, "yes");
        expect(&world, PL_AXIS_TCP, "yes");
        expect(&world, PL_AXIS_ICMP, "yes");
        expect(&world, PL_AXIS_POOLING, NULL);
        expect(&world, PL_AXIS_UDP_TIMEOUT, NULL);
        expect(&world, PL_AXIS_PORTS, NULL);
        expect(&world, PL_AXIS_FORWARDS, NULL);
    }
}

static void test_whole_way(void)
{
    g_auto(World) world;

    world_init(&world, &usual);
    world.plan.nat = NULL;
    world.plan.inside[1] = (PhAddress){0};
    world.plan.inside_port = 4500;
    world_run(&world);
    expect(&world, PL_AXIS_CLASS, "port-restricted");
    expect(&world, PL_AXIS_EXTERNAL, "203.0.113.5");
    expect(&world, PL_AXIS_PORT_ALLOCATION, NULL);
    expect(&world, PL_AXIS_HAIRPIN, NULL);
    expect(&world, PL_AXIS_UNSOLICITED, NULL);
    g_assert_nonnull(strstr(world.nat.log->str, "10.0.0.2:4500"));
}

static void test_no_translation(void)
{
    static const char *const classes[] = {"direct", "firewall", "firewall"};

    for (unsigned i = 0; i < 6; i++) {
        PlBehaviour b = usual;
        g_auto(World) world;

        b.mapping = PL_MAPPING_NONE;
        b.filtering = i % 3;
        world_init(&world, &b);
        if (i < 3)
            world.plan.nat = NULL;
        world_run(&world);
        expect(&world, PL_AXIS_CLASS, classes[i % 3]);
        expect(&world, PL_AXIS_MAPPING, "none");
        expect(&world, PL_AXIS_EXTERNAL, "10.0.0.2");
        expect(&world, PL_AXIS_PORT_ALLOCATION, NULL);
        expect(&world, PL_AXIS_PORT_RANGE, NULL);
        expect(&world, PL_AXIS_HAIRPIN, NULL);
        if (i == 3)
            expect_undecided(&world, PL_AXIS_UNSOLICITED, "everything comes in");
        if (i > 3)
            expect(&world, PL_AXIS_UNSOLICITED, "drop");
    }
}

static void test_firewall_rejects(void)
{
    PlBehaviour b = usual;
    g_auto(World) world;

    b.mapping = PL_MAPPING_NONE;
    b.unsolicited = PL_UNSOLICITED_REJECT;
    world_init(&world, &b);
    world_run(&world);
    expect(&world, PL_AXIS_UNSOLICITED, "reject");
}

static void test_port_allocation(void)
{
    for (unsigned i = 0; i < 4 * 3 * 5; i++) {
        PlBehaviour b = usual;
        g_auto(World) world;

        b.port_allocation = i % PL_PORT_ALLOCATION_N;
        b.mapping = 1 + i / 4 % 3;
        if (b.port_allocation == PL_PORT_ALLOCATION_PRESERVE)
            b.mapping = PL_MAPPING_ENDPOINT_INDEPENDENT;
        if (b.port_allocation == PL_PORT_ALLOCATION_BLOCK)
            b.block_size = 1008;
        world_init(&world, &b);
        world.plan.seed = i;
        world_run(&world);
        expect(&world, PL_AXIS_PORT_ALLOCATION, pl_port_allocation_name(b.port_allocation));
        expect(&world, PL_AXIS_MAPPING, pl_mapping_name(b.mapping));
        expect(&world, PL_AXIS_PORTS, NULL);
    }
}

static void test_sequential_wraps(void)
{
    PlBehaviour b = usual;

    b.port_allocation = PL_PORT_ALLOCATION_SEQUENTIAL;
    b.port_first = 50000;
    b.port_last = 50063;
    for (unsigned at = 0; at < 64; at++) {
        g_auto(World) world;

        world_init(&world, &b);
        world.nat.counter = at;
        world_run(&world);
        expect(&world, PL_AXIS_PORT_ALLOCATION, "sequential");
        expect_range(&world, 50000, 50063);
    }
}

/* However far apart: as far as the evidence judge believes it. */
static void test_sequential_by_steps(void)
{
    PlBehaviour b = usual;

    b.port_allocation = PL_PORT_ALLOCATION_SEQUENTIAL;
    for (unsigned step = 1; step <= PL_ALLOCATION_STEP_MAX; step++) {
        g_auto(World) world;

        world_init(&world, &b);
        world.nat.step = step;
        world_run(&world);
        expect(&world, PL_AXIS_PORT_ALLOCATION, "sequential");
    }
}

static void test_ports_from_the_range_given(void)
{
    PlBehaviour b = usual;
    g_auto(World) world;

    b.port_allocation = PL_PORT_ALLOCATION_PRESERVE;
    b.port_first = 30000;
    b.port_last = 30999;
    world_init(&world, &b);
    world.plan.port_first = 30000;
    world.plan.port_last = 30999;
    world_run(&world);
    expect(&world, PL_AXIS_PORT_ALLOCATION, "preserve");
    expect_range(&world, 30000, 30999);
}

/* The file says one thing, the NAT does another. */
static void test_mislabelled(void)
{
    PlBehaviour b = usual;
    g_auto(World) world;

    world_init(&world, &b);
    world.node.behaviour.mapping = PL_MAPPING_ADDRESS_DEPENDENT;
    world.node.behaviour.filtering = PL_FILTERING_ENDPOINT_INDEPENDENT;
    world.node.behaviour.port_allocation = PL_PORT_ALLOCATION_PRESERVE;
    world.node.behaviour.port_first = 20000;
    world.node.behaviour.port_last = 20999;
    world.node.behaviour.hairpin = PL_HAIRPIN_EXTERNAL_SOURCE;
    world.node.behaviour.unsolicited = PL_UNSOLICITED_REJECT;
    world_run(&world);
    expect(&world, PL_AXIS_MAPPING, "endpoint-independent");
    expect(&world, PL_AXIS_FILTERING, "address-and-port-dependent");
    expect(&world, PL_AXIS_CLASS, "port-restricted");
    expect(&world, PL_AXIS_PORT_ALLOCATION, "random");
    g_assert_false(
        pl_axis_agrees(PL_AXIS_PORT_RANGE, "20000-20999", found(&world, PL_AXIS_PORT_RANGE)));
    expect(&world, PL_AXIS_HAIRPIN, "none");
    expect(&world, PL_AXIS_UNSOLICITED, "drop");
}

static void test_hairpin(void)
{
    for (unsigned i = 0; i < 3 * 9 * 2; i++) {
        PlBehaviour b = usual;
        g_auto(World) world;

        b.hairpin = i % 3;
        b.mapping = 1 + i / 3 % 3;
        b.filtering = i / 9 % 3;
        world_init(&world, &b);
        if (i / 27)
            world.plan.inside[1] = (PhAddress){0};
        world_run(&world);
        if (loops(&b) || b.hairpin == PL_HAIRPIN_NONE)
            expect(&world, PL_AXIS_HAIRPIN, pl_hairpin_name(b.hairpin));
        expect(&world, PL_AXIS_MAPPING, pl_mapping_name(b.mapping));
        expect(&world, PL_AXIS_FILTERING, pl_filtering_name(b.filtering));
    }
}

static void test_pooling(void)
{
    for (unsigned i = 0; i < 2 * 50; i++) {
        PlBehaviour b = usual;
        g_auto(World) world;

        b.pooling = i % 2;
        world_init(&world, &b);
        world.nat.n_pool = 2;
        world.plan.seed = i;
        world_run(&world);
        expect(&world, PL_AXIS_POOLING, pl_pooling_name(b.pooling));
        if (b.pooling == PL_POOLING_ARBITRARY) {
            expect(&world, PL_AXIS_EXTERNAL, "203.0.113.5,203.0.113.6");
            expect(&world, PL_AXIS_MAPPING, "endpoint-independent");
        }
    }
}

static void test_unsolicited(void)
{
    for (unsigned i = 0; i < 3 * 9 * 2 * 2; i++) {
        PlBehaviour b = usual;
        gboolean known;
        g_auto(World) world;

        b.unsolicited = i % 3;
        b.mapping = 1 + i / 3 % 3;
        b.filtering = i / 9 % 3;
        if (i / 27 % 2 && b.mapping == PL_MAPPING_ENDPOINT_INDEPENDENT)
            b.port_allocation = PL_PORT_ALLOCATION_PRESERVE;
        world_init(&world, &b);
        world.nat.filter_before_input = i / 54 && b.filtering == PL_FILTERING_ADDRESS_DEPENDENT;
        world_run(&world);
        known =
            b.port_allocation == PL_PORT_ALLOCATION_PRESERVE ||
            (b.mapping == PL_MAPPING_ENDPOINT_INDEPENDENT &&
             b.filtering != PL_FILTERING_ENDPOINT_INDEPENDENT && !world.nat.filter_before_input);
        if (b.unsolicited == PL_UNSOLICITED_DROP)
            known = pl_behaviour_shows_unsolicited(&b);
        if (b.unsolicited == PL_UNSOLICITED_REJECT || known)
            expect(&world, PL_AXIS_UNSOLICITED, pl_unsolicited_name(b.unsolicited));
        else
            expect_undecided(&world, PL_AXIS_UNSOLICITED, "can be foreseen");
        /* Poisoning must not spoil the other tests. */
        expect(&world, PL_AXIS_CLASS, pl_class_name(b.mapping, b.filtering));
        expect(&world, PL_AXIS_PORT_ALLOCATION, pl_port_allocation_name(b.port_allocation));
    }
}

static void test_accepts_though_it_claims_to_drop(void)
{
    PlBehaviour b = usual;
    g_auto(World) world;

    b.unsolicited = PL_UNSOLICITED_ACCEPT;
    world_init(&world, &b);
    world.node.behaviour.unsolicited = PL_UNSOLICITED_DROP;
    world_run(&world);
    expect(&world, PL_AXIS_UNSOLICITED, "accept");
}

static void test_udp_blocked(void)
{
    PlBehaviour b = usual;
    g_auto(World) world;

    b.udp = PL_PASS_BLOCKED;
    world_init(&world, &b);
    world_run(&world);
    expect(&world, PL_AXIS_CLASS, "udp-blocked");
    expect(&world, PL_AXIS_UDP, "blocked");
    expect(&world, PL_AXIS_TCP, "yes");
    expect(&world, PL_AXIS_ICMP, "yes");
    expect(&world, PL_AXIS_EXTERNAL, "203.0.113.5");
    expect_undecided(&world, PL_AXIS_MAPPING, "UDP does not get out");
    expect_undecided(&world, PL_AXIS_FILTERING, "UDP does not get out");
    g_assert_cmpuint(world.took_ns, <, 700 * MS);
}

static void test_udp_and_icmp_blocked(void)
{
    PlBehaviour b = usual;
    g_auto(World) world;

    b.udp = b.icmp = PL_PASS_BLOCKED;
    world_init(&world, &b);
    world_run(&world);
    expect(&world, PL_AXIS_CLASS, "udp-blocked");
    expect(&world, PL_AXIS_ICMP, "blocked");
    g_assert_cmpuint(world.took_ns, <=, 1000 * MS);
}

static void test_tcp_and_icmp_blocked(void)
{
    PlBehaviour b = usual;
    g_auto(World) world;

    b.icmp = PL_PASS_BLOCKED;
    world_init(&world, &b);
    world.nat.tcp_blocked = TRUE;
    world_run(&world);
    expect(&world, PL_AXIS_CLASS, "port-restricted");
    expect(&world, PL_AXIS_TCP, "blocked");
    expect(&world, PL_AXIS_ICMP, "blocked");
}

static void test_nothing_gets_out(void)
{
    g_auto(World) world;

    world_init(&world, &usual);
    world.nat.lost = TRUE;
    world_run(&world);
    for (unsigned axis = 0; axis < PL_AXIS_N; axis++)
        expect(&world, axis, NULL);
    expect_undecided(&world, PL_AXIS_CLASS, "nothing gets out");
    expect_undecided(&world, PL_AXIS_UDP, "nothing gets out");
    expect_undecided(&world, PL_AXIS_EXTERNAL, "nothing from inside");
    g_assert_cmpuint(world.took_ns, <=, 2100 * MS);
}

/* A link comes up late, and with it what had been lost is lost for good. */
static void test_late_link(void)
{
    static const unsigned late_ms[] = {20, 150, 320, 1020, 1600, 1950};

    for (unsigned i = 0; i < G_N_ELEMENTS(late_ms) * 3; i++) {
        PlBehaviour b = usual;
        g_auto(World) world;

        b.udp = i % 3 == 1 ? PL_PASS_BLOCKED : PL_PASS_YES;
        b.icmp = i % 3 == 2 ? PL_PASS_BLOCKED : PL_PASS_YES;
        world_init(&world, &b);
        world.nat.down_ns = 1 * S + late_ms[i / 3] * MS;
        world_run(&world);
        expect(&world, PL_AXIS_UDP, pl_pass_name(b.udp));
        expect(&world, PL_AXIS_ICMP, pl_pass_name(b.icmp));
        expect(&world, PL_AXIS_TCP, "yes");
        expect(&world, PL_AXIS_CLASS, i % 3 == 1 ? "udp-blocked" : "port-restricted");
    }
}

static void test_driver_that_never_reports(void)
{
    g_auto(World) world;

    world_init(&world, &usual);
    world.nat.silent_driver = TRUE;
    world_run(&world);
    expect(&world, PL_AXIS_CLASS, "port-restricted");
    expect(&world, PL_AXIS_TCP, "blocked");
    g_assert_cmpuint(world.took_ns, <=, 3100 * MS);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define TEST(name, function) g_test_add_func("/prober/" name, function)
    TEST("tells-the-nine-cells-apart", test_nine_cells);
    TEST("judges-a-whole-way-by-class-alone", test_whole_way);
    TEST("knows-what-is-not-translated", test_no_translation);
    TEST("sees-a-firewall-reject", test_firewall_rejects);
    TEST("tells-port-allocations-apart", test_port_allocation);
    TEST("sequential-may-wrap", test_sequential_wraps);
    TEST("sequential-may-leave-ports-out", test_sequential_by_steps);
    TEST("ports-come-from-the-range-given", test_ports_from_the_range_given);
    TEST("says-the-truth-of-a-mislabelled-nat", test_mislabelled);
    TEST("tells-hairpins-apart", test_hairpin);
    TEST("tells-poolings-apart", test_pooling);
    TEST("tells-unsolicited-apart-or-says-why-not", test_unsolicited);
    TEST("finds-poison-that-nobody-claimed", test_accepts_though_it_claims_to_drop);
    TEST("knows-udp-blocked", test_udp_blocked);
    TEST("knows-udp-and-icmp-blocked", test_udp_and_icmp_blocked);
    TEST("knows-tcp-and-icmp-blocked", test_tcp_and_icmp_blocked);
    TEST("decides-nothing-where-nothing-gets-out", test_nothing_gets_out);
    TEST("waits-for-a-late-link", test_late_link);
    TEST("needs-no-report-to-end", test_driver_that_never_reports);
    return g_test_run();
}
