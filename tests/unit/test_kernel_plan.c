/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The plan: every topology in the tree becomes operations in an order that works. */
#include <string.h>

#include "kernel/plan.h"

static PlTopology *parse(const char *text)
{
    g_autoptr(GError) error = NULL;
    PlTopology *topology = pl_topology_parse("test.ini", text, strlen(text), &error);

    g_assert_no_error(error);
    return topology;
}

static PlPlan *plan_of(const PlTopology *topology)
{
    g_autoptr(GError) error = NULL;
    PlPlan *plan = pl_plan_new(topology, /* seed= */ 1, &error);

    g_assert_no_error(error);
    return plan;
}

static const PlOp *op_at(const PlPlan *plan, unsigned i)
{
    return &g_array_index(plan->ops, PlOp, i);
}

static unsigned count(const PlPlan *plan, PlOpKind kind)
{
    unsigned n = 0;

    for (unsigned i = 0; i < plan->ops->len; i++)
        n += op_at(plan, i)->kind == kind;
    return n;
}

#define HEAD                                                                                       \
    "[topology]\ntitle = T\n[network internet]\nsubnet = 203.0.113.0/24\n"                         \
    "[nat home]\noutside = internet\ninside = 192.168.1.0/24\nbehaviour = port-restricted\n"       \
    "[host alice]\nbehind = home\n"
#define TAIL "[expect]\nalice.class = port-restricted\n"

static void test_two_are_a_cable(void)
{
    g_autoptr(PlTopology) topology = parse(HEAD "[host hub]\non = internet\n" TAIL);
    g_autoptr(PlPlan) plan = plan_of(topology);
    const PlPlace *alice = pl_plan_place(plan, pl_topology_attachment(topology, "alice"));
    const PlPlace *inside = pl_plan_place(plan, pl_topology_attachment(topology, "home.inside"));

    g_assert_cmpuint(count(plan, PL_OP_BRIDGE), ==, 0);
    g_assert_cmpuint(count(plan, PL_OP_VETH), ==, 2);
    g_assert_cmpuint(alice->far_space, ==, inside->space);
    g_assert_cmpstr(alice->far_interface, ==, "inside");
    g_assert_cmpstr(inside->far_interface, ==, "eth0");
}

static void test_three_are_a_bridge(void)
{
    g_autoptr(PlTopology) topology =
        parse(HEAD "[host hub]\non = internet\n[host bob]\non = internet\n" TAIL);
    g_autoptr(PlPlan) plan = plan_of(topology);
    const PlPlace *outside = pl_plan_place(plan, pl_topology_attachment(topology, "home.outside"));
    char name[IFNAMSIZ];

    g_assert_cmpuint(count(plan, PL_OP_BRIDGE), ==, 1);
    g_assert_cmpuint(count(plan, PL_OP_VETH), ==, 4);
    g_assert_cmpuint(outside->far_space, ==, PL_SPACE_SWITCH);
    g_assert_true(pl_plan_bridge(topology, pl_topology_network(topology, "internet"), name));
    g_assert_false(pl_plan_bridge(topology, pl_topology_network(topology, "home.inside"), name));
}

static void test_a_cable_to_be_pulled_is_a_bridge(void)
{
    g_autoptr(PlTopology) topology =
        parse(HEAD "[host hub]\non = internet\n[step 1]\nat = 1s\ndo = link alice down\n" TAIL);
    g_autoptr(PlPlan) plan = plan_of(topology);
    const PlPlace *alice = pl_plan_place(plan, pl_topology_attachment(topology, "alice"));
    const PlPlace *hub = pl_plan_place(plan, pl_topology_attachment(topology, "hub"));

    g_assert_cmpuint(count(plan, PL_OP_BRIDGE), ==, 1);
    g_assert_cmpuint(alice->far_space, ==, PL_SPACE_SWITCH);
    g_assert_cmpuint(hub->far_space, !=, PL_SPACE_SWITCH);
}

static void test_two_nats_are_a_bridge(void)
{
    g_autoptr(PlTopology) topology =
        parse("[topology]\ntitle = T\n[network internet]\nsubnet = 203.0.113.0/24\n"
              "[nat a]\noutside = internet\ninside = 192.168.1.0/24\nbehaviour = full-cone\n"
              "[nat b]\noutside = internet\ninside = 192.168.1.0/24\nbehaviour = full-cone\n"
              "[host alice]\nbehind = a\n[host bob]\nbehind = b\n"
              "[expect]\nalice.class = full-cone\n");
    g_autoptr(PlPlan) plan = plan_of(topology);

    g_assert_cmpuint(count(plan, PL_OP_BRIDGE), ==, 1);
}

static void test_timeouts_are_set(void)
{
    g_autoptr(PlTopology) topology = parse(
        "[topology]\ntitle = T\n[network internet]\nsubnet = 203.0.113.0/24\n"
        "[nat home]\noutside = internet\ninside = 192.168.1.0/24\nbehaviour = port-restricted\n"
        "udp-timeout = 7s\n[host alice]\nbehind = home\n[host hub]\non = internet\n" TAIL);
    g_autoptr(PlPlan) plan = plan_of(topology);
    unsigned found = 0;

    for (unsigned i = 0; i < plan->ops->len; i++) {
        const PlOp *op = op_at(plan, i);

        if (op->kind != PL_OP_SYSCTL || !strstr(op->key, "nf_conntrack_udp_timeout"))
            continue;
        g_assert_cmpstr(op->text, ==, "7");
        g_assert_cmpuint(op->space, ==, PL_SPACE_OF(pl_topology_node(topology, "home")));
        found++;
    }
    g_assert_cmpuint(found, ==, 2);
}

static void test_mtu_is_kept(void)
{
    g_autoptr(PlTopology) topology =
        parse(HEAD "[host hub]\non = internet\n[link alice]\nmtu = 1400\n" TAIL);
    g_autoptr(PlPlan) plan = plan_of(topology);
    unsigned small = 0;

    for (unsigned i = 0; i < plan->ops->len; i++)
        small += op_at(plan, i)->kind == PL_OP_VETH && op_at(plan, i)->mtu_bytes == 1400;
    g_assert_cmpuint(small, ==, 1);
}

/* "SPACE INTERFACE" of everything made so far. */
typedef struct Built {
    GHashTable *spaces, *interfaces, *up, *quiet;
    unsigned macs[65536];
} Built;

static char *key_of(unsigned space, const char *interface)
{
    g_assert_cmpuint(strlen(interface), >, 0);
    return g_strdup_printf("%u %s", space, interface);
}

static void make(Built *built, unsigned space, const char *interface, uint16_t mac)
{
    g_assert_true(g_hash_table_contains(built->spaces, GUINT_TO_POINTER(space)));
    /* IPv6 is off before there is an interface that could speak it. */
    g_assert_true(g_hash_table_contains(built->quiet, GUINT_TO_POINTER(space)));
    g_assert_true(g_hash_table_add(built->interfaces, key_of(space, interface)));
    if (mac)
        g_assert_cmpuint(built->macs[mac]++, ==, 0);
}

static void assert_made(const Built *built, const PlOp *op)
{
    g_autofree char *key = key_of(op->space, op->interface);

    g_assert_true(g_hash_table_contains(built->interfaces, key));
}

static void follow(Built *built, const PlOp *op)
{
    if (op->kind == PL_OP_NETNS)
        g_assert_true(g_hash_table_add(built->spaces, GUINT_TO_POINTER(op->space)));
    g_assert_true(g_hash_table_contains(built->spaces, GUINT_TO_POINTER(op->space)));
    if (op->kind == PL_OP_NETNS) {
        if (op->space != PL_SPACE_SWITCH)
            g_hash_table_add(built->interfaces, key_of(op->space, "lo"));
    } else if (op->kind == PL_OP_SYSCTL) {
        if (strstr(op->key, "disable_ipv6"))
            g_hash_table_add(built->quiet, GUINT_TO_POINTER(op->space));
    } else if (op->kind == PL_OP_BRIDGE) {
        make(built, op->space, op->interface, 0);
    } else if (op->kind == PL_OP_VETH) {
        make(built, op->space, op->interface, op->mac);
        make(built, op->peer_space, op->peer, op->peer_mac);
    } else if (op->kind != PL_OP_NFT) {
        assert_made(built, op);
        if (op->kind == PL_OP_UP)
            g_assert_true(g_hash_table_add(built->up, key_of(op->space, op->interface)));
    }
}

static void check_order(const char *path)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(PlTopology) topology = pl_topology_load(path, &error);
    g_autoptr(PlPlan) plan = NULL;
    g_autofree Built *built = g_new0(Built, 1);

    g_assert_no_error(error);
    plan = plan_of(topology);
    built->spaces = g_hash_table_new(NULL, NULL);
    built->quiet = g_hash_table_new(NULL, NULL);
    built->interfaces = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    built->up = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for (unsigned i = 0; i < plan->ops->len; i++)
        follow(built, op_at(plan, i));
    /* Everything that was made is up, once, and has its offloads off (but for lo). */
    g_assert_cmpuint(g_hash_table_size(built->up), ==, g_hash_table_size(built->interfaces));
    g_assert_cmpuint(count(plan, PL_OP_OFFLOAD), ==,
                     g_hash_table_size(built->interfaces) - topology->nodes->len);
    g_hash_table_unref(built->spaces);
    g_hash_table_unref(built->quiet);
    g_hash_table_unref(built->interfaces);
    g_hash_table_unref(built->up);
}

static void test_order(void)
{
    g_autoptr(GDir) directory = g_dir_open(PL_SOURCE_DIR "/topologies", 0, NULL);
    const char *name;
    unsigned n = 0;

    while ((name = g_dir_read_name(directory))) {
        g_autofree char *path = g_build_filename(PL_SOURCE_DIR, "topologies", name, NULL);

        if (!g_str_has_suffix(name, ".ini"))
            continue;
        check_order(path);
        n++;
    }
    g_assert_cmpuint(n, >, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/kernel/plan/a network of two with a host is a cable", test_two_are_a_cable);
    g_test_add_func("/kernel/plan/a network of three is a bridge", test_three_are_a_bridge);
    g_test_add_func("/kernel/plan/a cable that a step pulls out is a bridge",
                    test_a_cable_to_be_pulled_is_a_bridge);
    g_test_add_func("/kernel/plan/a network of two NATs is a bridge", test_two_nats_are_a_bridge);
    g_test_add_func("/kernel/plan/conntrack has the NAT's timeout", test_timeouts_are_set);
    g_test_add_func("/kernel/plan/a link's mtu is that of its cable", test_mtu_is_kept);
    g_test_add_func("/kernel/plan/nothing is used before it is made, and all of it is up and quiet",
                    test_order);
    return g_test_run();
}
