/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The prober where something runs out, expires, is taken, lost or foreign. */
#include "prober_world.h"

static void test_udp_timeout(void)
{
    static const struct {
        uint64_t claimed_ns, real_ns;
        const char *value;
    } cases[] = {
        {2 * S, 2 * S, "2s"},
        {1500 * MS, 1500 * MS, "1500ms"},
        {10 * S, 10 * S, "10s"},
        {2 * S, 1 * S, "shorter than 1.4s"},
        {2 * S, 30 * S, "longer than 2.8s"},
        {11 * S, 11 * S, NULL},
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(cases) * 4 * 3; i++) {
        unsigned at = i % G_N_ELEMENTS(cases), cell = i / G_N_ELEMENTS(cases);
        PlBehaviour b = usual;
        g_auto(World) world;

        b.mapping = cell % 4;
        b.filtering = cell / 4;
        b.inbound_refresh = i / 2 % 2;
        b.udp_timeout_ns = cases[at].real_ns;
        world_init(&world, &b);
        world.node.behaviour.udp_timeout_ns = cases[at].claimed_ns;
        world_run(&world);
        if (b.mapping == PL_MAPPING_NONE && b.filtering == PL_FILTERING_ENDPOINT_INDEPENDENT)
            expect(&world, PL_AXIS_UDP_TIMEOUT, NULL);
        else
            expect(&world, PL_AXIS_UDP_TIMEOUT, cases[at].value);
        if (found(&world, PL_AXIS_UDP_TIMEOUT) && cases[at].real_ns == cases[at].claimed_ns)
            expect(&world, PL_AXIS_INBOUND_REFRESH, b.inbound_refresh ? "yes" : "no");
        else
            expect(&world, PL_AXIS_INBOUND_REFRESH, NULL);
        g_assert_cmpuint(world.nat.n_inside, <=, 14);
    }
}

static void test_ports(void)
{
    static const unsigned sizes[] = {64, 32, 16, 14};

    for (unsigned i = 0; i < G_N_ELEMENTS(sizes); i++) {
        PlBehaviour b = usual;
        g_autofree char *value = g_strdup_printf("%u", sizes[i]);
        g_auto(World) world;

        b.port_allocation = PL_PORT_ALLOCATION_BLOCK;
        b.block_size = sizes[i];
        world_init(&world, &b);
        world_run(&world);
        expect(&world, PL_AXIS_PORTS, value);
        expect(&world, PL_AXIS_PORT_ALLOCATION, "block");
        expect(&world, PL_AXIS_CLASS, "port-restricted");
        expect(&world, PL_AXIS_HAIRPIN, "none");
        expect(&world, PL_AXIS_UNSOLICITED, "drop");
        g_assert_cmpuint(world.nat.max_open, <=, sizes[i] + 8 + 8);
        g_assert_cmpuint(world.took_ns, <, 300 * MS);
    }
}

static void test_ports_mislabelled(void)
{
    PlBehaviour b = usual;
    g_auto(World) few, unlimited;

    b.port_allocation = PL_PORT_ALLOCATION_BLOCK;
    b.block_size = 20;
    world_init(&few, &b);
    few.node.behaviour.block_size = 32;
    world_run(&few);
    expect(&few, PL_AXIS_PORTS, "20");

    b.block_size = 512;
    world_init(&unlimited, &b);
    unlimited.node.behaviour.block_size = 32;
    world_run(&unlimited);
    expect(&unlimited, PL_AXIS_PORTS, "unlimited");
}

/* Ports expire while the timeout is measured; the count is right all the same. */
static void test_ports_that_expire(void)
{
    PlBehaviour b = usual;
    g_auto(World) world;

    b.port_allocation = PL_PORT_ALLOCATION_BLOCK;
    b.block_size = 16;
    b.udp_timeout_ns = 2 * S;
    world_init(&world, &b);
    world_run(&world);
    expect(&world, PL_AXIS_PORTS, "16");
    expect(&world, PL_AXIS_UDP_TIMEOUT, "2s");
}

/* All inside addresses share them, and every mapping takes from them. */
static void test_small_ranges(void)
{
    static const unsigned sizes[] = {8, 9, 12, 16, 32, 64};

    for (unsigned i = 0; i < G_N_ELEMENTS(sizes) * 3; i++) {
        unsigned size = sizes[i / 3];
        g_autofree char *value = g_strdup_printf("%u", size);
        PlBehaviour b = usual;
        g_auto(World) world;

        /* The tests towards four destinations alone take more than a few. */
        if (size >= 32)
            b.mapping = 1 + i % 3;
        b.port_first = 30000;
        b.port_last = (uint16_t)(30000 + size - 1);
        world_init(&world, &b);
        world.nat.tries = 4096;
        world_run(&world);
        expect(&world, PL_AXIS_PORTS, value);
        expect(&world, PL_AXIS_PORT_ALLOCATION, "block");
        expect(&world, PL_AXIS_MAPPING, pl_mapping_name(b.mapping));
        expect(&world, PL_AXIS_FILTERING, "address-and-port-dependent");
        expect(&world, PL_AXIS_HAIRPIN, "none");
    }
}

static void add_forward(World *world, PlProtocol protocol, uint16_t port, PhAddress inside)
{
    PlForward forward = {protocol, port, inside};

    g_array_append_val(world->node.forwards, forward);
}

static void add_usual_forwards(World *world)
{
    add_forward(world, PL_PROTOCOL_TCP, 8081, ph_address_ipv4(0x0a000002, 81));
    add_forward(world, PL_PROTOCOL_UDP, 8080, ph_address_ipv4(0x0a000002, 80));
    add_forward(world, PL_PROTOCOL_UDP, 8082, ph_address_ipv4(0x0a000009, 82));
    add_forward(world, PL_PROTOCOL_UDP, 30000, ph_address_ipv4(0x0a000002, 30000));
    /* Two to one port. */
    add_forward(world, PL_PROTOCOL_UDP, 30001, ph_address_ipv4(0x0a000002, 30000));
    world->nat.n_pool = 2;
    world->plan.forwards_only = TRUE;
}

static void test_forwards(void)
{
    static const char *const values[] = {"ok", "udp 203.0.113.5:8080 does not reach 10.0.0.2:80",
                                         "udp 203.0.113.5:8080 changes the source",
                                         "tcp 203.0.113.5:8081 does not reach 10.0.0.2:81"};

    for (unsigned i = 0; i < G_N_ELEMENTS(values); i++) {
        g_auto(World) world;

        world_init(&world, &usual);
        add_usual_forwards(&world);
        world.nat.forwards_broken = i == 1;
        world.nat.forwards_masquerade = i == 2;
        world.nat.tcp_forwards_broken = i == 3;
        world_run(&world);
        g_assert_true(g_str_has_prefix(found(&world, PL_AXIS_FORWARDS), values[i]));
        expect(&world, PL_AXIS_CLASS, NULL);
    }
}

static void test_forwarded_port_is_taken(void)
{
    for (unsigned i = 0; i < 2; i++) {
        g_auto(World) world;

        world_init(&world, &usual);
        add_forward(&world, i ? PL_PROTOCOL_TCP : PL_PROTOCOL_UDP, 8080,
                    ph_address_ipv4(0x0a000002, 80));
        world.plan.forwards_only = TRUE;
        world.nat.taken_port = 80;
        world_run(&world);
        expect_undecided(&world, PL_AXIS_FORWARDS, "10.0.0.2:80 could not be bound");
    }
}

static void test_forwards_have_their_own_run(void)
{
    g_auto(World) elsewhere, all;

    world_init(&elsewhere, &usual);
    add_forward(&elsewhere, PL_PROTOCOL_UDP, 8082, ph_address_ipv4(0x0a000009, 82));
    elsewhere.plan.forwards_only = TRUE;
    world_run(&elsewhere);
    expect(&elsewhere, PL_AXIS_FORWARDS, NULL);

    world_init(&all, &usual);
    add_forward(&all, PL_PROTOCOL_UDP, 8080, ph_address_ipv4(0x0a000002, 80));
    world_run(&all);
    expect(&all, PL_AXIS_FORWARDS, NULL);
    expect(&all, PL_AXIS_CLASS, "port-restricted");
}

static void test_tries_other_ports(void)
{
    for (unsigned n = 1; n < 12; n++) {
        g_auto(World) world;

        world_init(&world, &usual);
        world.nat.fail_opens = n;
        world_run(&world);
        expect(&world, PL_AXIS_CLASS, "port-restricted");
        expect(&world, PL_AXIS_UNSOLICITED, "drop");
    }
}

static void test_gives_up_ports(void)
{
    g_auto(World) world, none;

    world_init(&world, &usual);
    world.plan.inside_port = 4500;
    world.nat.taken_port = 4500;
    world_run(&world);
    expect_undecided(&world, PL_AXIS_MAPPING, "10.0.0.2:4500 could not be bound");
    expect_undecided(&world, PL_AXIS_CLASS, "10.0.0.2:4500 could not be bound");
    expect_undecided(&world, PL_AXIS_UDP, "10.0.0.2:4500 could not be bound");
    expect(&world, PL_AXIS_TCP, "yes");

    world_init(&none, &usual);
    none.nat.fail_opens = 100000;
    world_run(&none);
    expect_undecided(&none, PL_AXIS_CLASS, "could not be bound");
}

static void test_all_kinds_on_a_slow_way(void)
{
    for (unsigned cell = 0; cell < 9; cell++) {
        PlBehaviour b = usual;
        g_auto(World) world;

        b.mapping = 1 + cell % 3;
        b.filtering = cell / 3;
        b.unsolicited = PL_UNSOLICITED_REJECT;
        b.hairpin = PL_HAIRPIN_EXTERNAL_SOURCE;
        world_init(&world, &b);
        world.nat.delay_ns = 150 * MS;
        world_run(&world);
        expect(&world, PL_AXIS_CLASS, pl_class_name(b.mapping, b.filtering));
        expect(&world, PL_AXIS_FILTERING, pl_filtering_name(b.filtering));
        expect(&world, PL_AXIS_UNSOLICITED, "reject");
        if (loops(&b))
            expect(&world, PL_AXIS_HAIRPIN, "external-source");
    }
}

static void test_survives_loss(void)
{
    for (unsigned every = 3; every < 12; every++) {
        g_auto(World) world;

        world_init(&world, &usual);
        world.nat.drop_every = every;
        world_run(&world);
        expect(&world, PL_AXIS_MAPPING, "endpoint-independent");
        expect(&world, PL_AXIS_FILTERING, "address-and-port-dependent");
    }
}

static void test_ignores_foreign_datagrams(void)
{
    g_auto(World) world;

    world_init(&world, &usual);
    world.nat.noise = TRUE;
    world_run(&world);
    expect(&world, PL_AXIS_CLASS, "port-restricted");
    expect(&world, PL_AXIS_EXTERNAL, "203.0.113.5");
    expect(&world, PL_AXIS_UNSOLICITED, "drop");
}

/* What the lab can afford: a matrix runs this hundreds of times. */
static void test_is_quick_and_modest(void)
{
    for (unsigned cell = 0; cell < 9; cell++) {
        PlBehaviour b = usual;
        g_auto(World) world;

        b.mapping = 1 + cell % 3;
        b.filtering = cell / 3;
        world_init(&world, &b);
        world_run(&world);
        g_assert_cmpuint(world.took_ns, <, 50 * MS);
        g_assert_cmpuint(world.nat.n_inside, <=, 14);
        g_assert_cmpuint(world.nat.max_open, <=, 64);
    }
}

/* A line of the log, to be freed. */
static char *nth_line(const World *world, unsigned n)
{
    g_auto(GStrv) lines = g_strsplit(world->nat.log->str, "\n", -1);

    return g_strdup(lines[n]);
}

/* Hosts that share a port meet at the second port of each address, and not at the first. */
static void test_given_outside_port_is_the_second(void)
{
    g_auto(World) a, b;

    world_init(&a, &usual);
    world_init(&b, &usual);
    b.plan.seed++;
    b.plan.inside[0] = ph_address_ipv4(0x0a000007, 0);
    a.plan.inside_port = b.plan.inside_port = 4500;
    a.plan.outside_port = b.plan.outside_port = 61000;
    world_run(&a);
    world_run(&b);
    for (unsigned i = 0; i < 4; i++) {
        g_autofree char *a_line = nth_line(&a, i), *b_line = nth_line(&b, i);

        if (i % 2)
            g_assert_cmpstr(a_line, ==, b_line);
        else
            g_assert_cmpstr(a_line, !=, b_line);
    }
}

/* Two hosts behind one router that preserves ports: where both go, the second one gets another. */
static void test_second_host_is_symmetric(void)
{
    PlBehaviour b = usual;
    g_auto(World) first, second;

    b.port_allocation = PL_PORT_ALLOCATION_PRESERVE;
    world_init(&first, &b);
    first.plan.nat = NULL;
    first.plan.inside_port = 4500;
    first.plan.outside_port = 61000;
    world_run(&first);
    expect(&first, PL_AXIS_CLASS, "port-restricted");

    world_init(&second, &b);
    second.plan = first.plan;
    second.plan.seed++;
    second.plan.inside[0] = ph_address_ipv4(0x0a000007, 0);
    second.nat.competitor = &first.nat;
    world_run(&second);
    expect(&second, PL_AXIS_CLASS, "symmetric");
    expect(&second, PL_AXIS_MAPPING, "address-and-port-dependent");
}

static void test_seed_decides_everything(void)
{
    g_auto(World) a, b, c;

    world_init(&a, &usual);
    world_init(&b, &usual);
    world_init(&c, &usual);
    c.plan.seed++;
    world_run(&a);
    world_run(&b);
    world_run(&c);
    g_assert_cmpstr(a.nat.log->str, ==, b.nat.log->str);
    g_assert_cmpstr(a.nat.log->str, !=, c.nat.log->str);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define TEST(name, function) g_test_add_func("/prober/" name, function)
    TEST("measures-short-timeouts", test_udp_timeout);
    TEST("counts-ports", test_ports);
    TEST("counts-ports-that-the-file-has-wrong", test_ports_mislabelled);
    TEST("counts-ports-that-expire", test_ports_that_expire);
    TEST("checks-forwards", test_forwards);
    TEST("cannot-check-a-forward-to-a-taken-port", test_forwarded_port_is_taken);
    TEST("tries-forwards-in-a-run-of-their-own", test_forwards_have_their_own_run);
    TEST("counts-the-ports-of-a-small-range", test_small_ranges);
    TEST("tries-other-ports", test_tries_other_ports);
    TEST("gives-up-on-ports-that-must-be", test_gives_up_ports);
    TEST("works-on-a-slow-way", test_all_kinds_on_a_slow_way);
    TEST("survives-loss", test_survives_loss);
    TEST("ignores-foreign-datagrams", test_ignores_foreign_datagrams);
    TEST("is-quick-and-modest", test_is_quick_and_modest);
    TEST("meets-half-the-same-destinations-from-the-same-port",
         test_given_outside_port_is_the_second);
    TEST("finds-the-second-host-with-a-port-symmetric", test_second_host_is_symmetric);
    TEST("depends-on-nothing-but-the-seed", test_seed_decides_everything);
    return g_test_run();
}
