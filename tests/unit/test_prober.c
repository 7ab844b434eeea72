/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The prober against NATs of every kind: it must say of each what it is. */
#include <string.h>

#include "fake_nat.h"

/* A NAT, what its file claims of it, and a plan. */
typedef struct World {
    FakeNat nat;
    PlNode node;
    PlAttachment inside, outside;
    PlProbePlan plan;
    uint64_t took_ns;
} World;

static const PlBehaviour usual = {
    .mapping = PL_MAPPING_ENDPOINT_INDEPENDENT,
    .filtering = PL_FILTERING_ADDRESS_AND_PORT_DEPENDENT,
    .port_allocation = PL_PORT_ALLOCATION_RANDOM,
    .port_first = 1024,
    .port_last = 65535,
    .hairpin = PL_HAIRPIN_NONE,
    .udp_timeout_ns = 120 * S,
    .inbound_refresh = TRUE,
};

static void world_init(World *world, const PlBehaviour *behaviour)
{
    memset(world, 0, sizeof(*world));
    world->nat.behaviour = *behaviour;
    world->nat.n_pool = 1;
    world->nat.pool[0] = ph_address_ipv4(0xcb007105, 0);
    world->nat.pool[1] = ph_address_ipv4(0xcb007106, 0);
    world->node.kind = PL_NODE_NAT;
    world->node.behaviour = *behaviour;
    world->node.attachments = g_ptr_array_new();
    g_ptr_array_add(world->node.attachments, &world->inside);
    g_ptr_array_add(world->node.attachments, &world->outside);
    world->node.forwards = g_array_new(FALSE, FALSE, sizeof(PlForward));
    world->nat.forwards = world->node.forwards;
    world->outside.addresses = g_array_new(FALSE, FALSE, sizeof(PhAddress));
    world->plan.inside[0] = ph_address_ipv4(0x0a000002, 0);
    world->plan.inside[1] = ph_address_ipv4(0x0a000003, 0);
    world->plan.outside[0] = ph_address_ipv4(0xcb0071fb, 0);
    world->plan.outside[1] = ph_address_ipv4(0xcb0071fc, 0);
    world->plan.nat = &world->node;
    world->plan.translated = behaviour->mapping != PL_MAPPING_NONE;
    world->plan.seed = 42;
}

static void world_run(World *world)
{
    g_array_append_vals(world->outside.addresses, world->nat.pool, world->nat.n_pool);
    world->took_ns = fake_run(&world->nat, &world->plan);
}

static void world_clear(World *world)
{
    fake_clear(&world->nat);
    g_ptr_array_unref(world->node.attachments);
    g_array_unref(world->node.forwards);
    g_array_unref(world->outside.addresses);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(World, world_clear)

static const char *found(const World *world, PlAxis axis)
{
    return pl_prober_findings(world->nat.prober)->value[axis];
}

static const char *why(const World *world, PlAxis axis)
{
    return pl_prober_findings(world->nat.prober)->why[axis];
}

static void expect(const World *world, PlAxis axis, const char *value)
{
    if (g_strcmp0(found(world, axis), value) != 0)
        g_error("%s: %s (%s), expected %s", pl_axis_name(axis), found(world, axis),
                why(world, axis), value);
}

static void expect_undecided(const World *world, PlAxis axis, const char *reason)
{
    g_assert_cmpstr(found(world, axis), ==, NULL);
    g_assert_nonnull(why(world, axis));
    if (!strstr(why(world, axis), reason))
        g_error("%s: \"%s\" (expected \"%s\")", pl_axis_name(axis), why(world, axis), reason);
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
        expect(&world, PL_AXIS_PORT_RANGE, "1024-65535");
        expect(&world, PL_AXIS_HAIRPIN, "none");
        expect(&world, PL_AXIS_UNSOLICITED, "drop");
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
        expect(&world, PL_AXIS_PORT_RANGE, "50000-50063");
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
    expect(&world, PL_AXIS_PORT_RANGE, "30000-30999");
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
    g_assert_cmpstr(found(&world, PL_AXIS_PORT_RANGE), !=, "20000-20999");
    g_assert_nonnull(why(&world, PL_AXIS_PORT_RANGE));
    expect(&world, PL_AXIS_HAIRPIN, "none");
    expect(&world, PL_AXIS_UNSOLICITED, "drop");
}

/* Where filtering keeps an endpoint-dependent mapping from being reached, nothing is looped back.
 */
static gboolean loops(const PlBehaviour *b)
{
    return b->hairpin != PL_HAIRPIN_NONE && (b->mapping == PL_MAPPING_ENDPOINT_INDEPENDENT ||
                                             b->filtering == PL_FILTERING_ENDPOINT_INDEPENDENT);
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
        if (b.unsolicited != PL_UNSOLICITED_ACCEPT || known)
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
        b.inbound_refresh = i % 2;
        b.udp_timeout_ns = cases[at].real_ns;
        world_init(&world, &b);
        world.node.behaviour.udp_timeout_ns = cases[at].claimed_ns;
        world_run(&world);
        if (b.mapping == PL_MAPPING_NONE && b.filtering == PL_FILTERING_ENDPOINT_INDEPENDENT)
            expect(&world, PL_AXIS_UDP_TIMEOUT, NULL);
        else
            expect(&world, PL_AXIS_UDP_TIMEOUT, cases[at].value);
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

static void add_forward(World *world, PlProtocol protocol, uint16_t port, PhAddress inside)
{
    PlForward forward = {protocol, port, inside};

    g_array_append_val(world->node.forwards, forward);
}

static void test_forwards(void)
{
    static const char *const values[] = {"ok", "udp 203.0.113.5:8080 does not reach 10.0.0.2:80",
                                         "udp 203.0.113.5:8080 changes the source"};

    for (unsigned i = 0; i < 3; i++) {
        g_auto(World) world;

        world_init(&world, &usual);
        add_forward(&world, PL_PROTOCOL_TCP, 8081, ph_address_ipv4(0x0a000002, 81));
        add_forward(&world, PL_PROTOCOL_UDP, 8080, ph_address_ipv4(0x0a000002, 80));
        add_forward(&world, PL_PROTOCOL_UDP, 8082, ph_address_ipv4(0x0a000009, 82));
        add_forward(&world, PL_PROTOCOL_UDP, 30000, ph_address_ipv4(0x0a000003, 30000));
        world.nat.n_pool = 2;
        world.nat.forwards_broken = i == 1;
        world.nat.forwards_masquerade = i == 2;
        world_run(&world);
        g_assert_true(g_str_has_prefix(found(&world, PL_AXIS_FORWARDS), values[i]));
        expect(&world, PL_AXIS_CLASS, "port-restricted");
    }
}

static void test_forwarded_port_is_taken(void)
{
    g_auto(World) world;

    world_init(&world, &usual);
    add_forward(&world, PL_PROTOCOL_UDP, 8080, ph_address_ipv4(0x0a000002, 80));
    world.nat.taken_port = 80;
    world_run(&world);
    expect_undecided(&world, PL_AXIS_FORWARDS, "10.0.0.2:80 could not be bound");
    expect(&world, PL_AXIS_CLASS, "port-restricted");
}

static void test_no_forwards_from_here(void)
{
    g_auto(World) world;

    world_init(&world, &usual);
    add_forward(&world, PL_PROTOCOL_UDP, 8082, ph_address_ipv4(0x0a000009, 82));
    world_run(&world);
    expect(&world, PL_AXIS_FORWARDS, NULL);
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
    TEST("tells-the-nine-cells-apart", test_nine_cells);
    TEST("judges-a-whole-way-by-class-alone", test_whole_way);
    TEST("knows-what-is-not-translated", test_no_translation);
    TEST("sees-a-firewall-reject", test_firewall_rejects);
    TEST("tells-port-allocations-apart", test_port_allocation);
    TEST("sequential-may-wrap", test_sequential_wraps);
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
    TEST("measures-short-timeouts", test_udp_timeout);
    TEST("counts-ports", test_ports);
    TEST("counts-ports-that-the-file-has-wrong", test_ports_mislabelled);
    TEST("counts-ports-that-expire", test_ports_that_expire);
    TEST("checks-forwards", test_forwards);
    TEST("cannot-check-a-forward-to-a-taken-port", test_forwarded_port_is_taken);
    TEST("passes-over-forwards-to-others", test_no_forwards_from_here);
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
