/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What two nodes do is decided by their NATs' axes, and so is what theory expects of them: all
 * combinations of axes that a topology can have against each other, on paper; and some of them, in
 * virtual time, with nodes that have to find out their own axes first.
 */
#include "../../lib/core/punch.h"
#include "node_world.h"
#include "oracle/oracle.h"

typedef struct Axes {
    PlMapping mapping;
    PlFiltering filtering;
    PlPortAllocation allocation;
    PlPooling pooling;
} Axes;

/* What check_allocation() of topology/behaviour.c lets pass. */
static gboolean can_be_built(const Axes *axes)
{
    gboolean preserves = axes->allocation == PL_PORT_ALLOCATION_PRESERVE;
    gboolean arbitrary = axes->pooling == PL_POOLING_ARBITRARY;

    if (axes->mapping == PL_MAPPING_NONE)
        return preserves && !arbitrary;
    return (!preserves || axes->mapping == PL_MAPPING_ENDPOINT_INDEPENDENT) &&
           !(arbitrary && axes->allocation == PL_PORT_ALLOCATION_BLOCK);
}

/* All that can be built: an array of Axes. */
static GArray *all_axes(void)
{
    GArray *all = g_array_new(FALSE, FALSE, sizeof(Axes));

    for (guint i = 0; i < PL_MAPPING_N * PL_FILTERING_N * PL_PORT_ALLOCATION_N * PL_POOLING_N;
         i++) {
        const Axes axes = {
            i % PL_MAPPING_N,
            i / PL_MAPPING_N % PL_FILTERING_N,
            i / PL_MAPPING_N / PL_FILTERING_N % PL_PORT_ALLOCATION_N,
            i / PL_MAPPING_N / PL_FILTERING_N / PL_PORT_ALLOCATION_N,
        };

        if (can_be_built(&axes))
            g_array_append_val(all, axes);
    }
    return all;
}

/* Lines of [nat]; `n`: a number of its own, for several external addresses. */
static char *nat_lines(const Axes *axes, guint n)
{
    GString *text = g_string_new(NULL);

    /* A firewall has its name said: its network is another one. */
    if (axes->mapping == PL_MAPPING_NONE)
        g_string_append(text, "behaviour = firewall\n");
    g_string_append_printf(text, "mapping = %s\nfiltering = %s\n", pl_mapping_name(axes->mapping),
                           pl_filtering_name(axes->filtering));
    if (axes->mapping != PL_MAPPING_NONE)
        g_string_append_printf(
            text, "port-allocation = %s\n%s", pl_port_allocation_name(axes->allocation),
            axes->allocation == PL_PORT_ALLOCATION_BLOCK ? "block-size = 1008\n" : "");
    if (axes->pooling == PL_POOLING_ARBITRARY)
        g_string_append_printf(text,
                               "pooling = arbitrary\naddresses = 203.0.113.%u, 203.0.113.%u\n",
                               100 + 2 * n, 101 + 2 * n);
    return g_string_free(text, FALSE);
}

/* Both rooms have the same axes, and "unknown" before them. */
static PhNodeRecord record_of(const Axes *axes)
{
    PhNodeRecord record = {
        .mapping = (guint8)(axes->mapping + 1),
        .filtering = (guint8)(axes->filtering + 1),
        .pooling = (guint8)(axes->pooling + 1),
        .port_allocation = (guint8)(axes->allocation + 1),
        .step = axes->allocation == PL_PORT_ALLOCATION_SEQUENTIAL,
    };

    g_assert_cmpstr(ph_mapping_name(record.mapping), ==, pl_mapping_name(axes->mapping));
    g_assert_cmpstr(ph_filtering_name(record.filtering), ==, pl_filtering_name(axes->filtering));
    g_assert_cmpstr(ph_pooling_name(record.pooling), ==, pl_pooling_name(axes->pooling));
    g_assert_cmpstr(ph_port_allocation_name(record.port_allocation), ==,
                    pl_port_allocation_name(axes->allocation));
    record.nat_class = (guint8)ph_class_of(record.mapping, record.filtering);
    return record;
}

static const char *path_of(PhStrategy strategy)
{
    switch (strategy) {
    case PH_STRATEGY_RELAY:
        return "relayed";
    case PH_STRATEGY_DIAL:
    case PH_STRATEGY_WAIT:
        return "direct";
    case PH_STRATEGY_PUNCH:
    case PH_STRATEGY_PREDICT:
    case PH_STRATEGY_SPREAD:
    case PH_STRATEGY_SCATTER:
        break;
    }
    return "punched";
}

/* What the other one does, or may do, when we do this. */
static gboolean go_together(PhStrategy ours, PhStrategy theirs)
{
    switch (ours) {
    case PH_STRATEGY_DIAL:
        return theirs == PH_STRATEGY_WAIT || theirs == PH_STRATEGY_DIAL;
    case PH_STRATEGY_WAIT:
        return theirs == PH_STRATEGY_DIAL;
    case PH_STRATEGY_PREDICT: /* at a punch of who is in sequence */
    case PH_STRATEGY_PUNCH:
        return theirs == PH_STRATEGY_PUNCH || theirs == PH_STRATEGY_PREDICT;
    case PH_STRATEGY_SPREAD:
        return theirs == PH_STRATEGY_SCATTER;
    case PH_STRATEGY_SCATTER:
        return theirs == PH_STRATEGY_SPREAD;
    case PH_STRATEGY_RELAY:
        break;
    }
    return theirs == PH_STRATEGY_RELAY;
}

static void put_home(GString *text, const Axes *axes, const char *host, guint n)
{
    g_autofree char *lines = nat_lines(axes, n);

    g_string_append_printf(text,
                           "[nat nat-%s]\noutside = internet\ninside = %s.%u.0/24\n%s"
                           "[host %s]\nbehind = nat-%s\n",
                           host, axes->mapping == PL_MAPPING_NONE ? "198.18" : "192.168", n, lines,
                           host, host);
}

/* "alice" behind one of them, and b0, b1 and so on behind each. */
static PlTopology *all_homes(const GArray *all, const Axes *alice)
{
    g_autoptr(GString) text =
        g_string_new("[topology]\ntitle = t\n[network internet]\nsubnet = 203.0.112.0/23\n");
    g_autoptr(GError) error = NULL;
    PlTopology *topology;

    put_home(text, alice, "alice", all->len);
    for (guint i = 0; i < all->len; i++) {
        g_autofree char *name = g_strdup_printf("b%u", i);

        put_home(text, &g_array_index(all, Axes, i), name, i);
    }
    topology = pl_topology_parse("t.ini", text->str, text->len, &error);
    g_assert_no_error(error);
    return topology;
}

static const char *path_between(const PlTopology *topology, const char *from, const char *to)
{
    g_autofree char *why = NULL;
    const char *path = pl_oracle_path(topology, pl_topology_node(topology, from),
                                      pl_topology_node(topology, to), &why);

    g_assert_cmpstr(why, ==, NULL);
    return path;
}

static void check_strategies(const Axes *alice, const Axes *bob, const char *expected)
{
    PhNodeRecord ours = record_of(alice), theirs = record_of(bob);
    PhStrategy here = ph_strategy(&ours, &theirs, /* hard= */ true);
    PhStrategy there = ph_strategy(&theirs, &ours, /* hard= */ true);

    if (strcmp(path_of(here), expected) != 0 || !go_together(here, there)) {
        g_autofree char *lines_a = nat_lines(alice, 0), *lines_b = nat_lines(bob, 1);

        g_error("%s\n%s: %s and %s, expected %s", lines_a, lines_b, ph_strategy_name(here),
                ph_strategy_name(there), expected);
    }
}

static void test_N5_strategy_and_theory_agree_on_all_axes(void)
{
    g_autoptr(GArray) all = all_axes();

    g_assert_cmpuint(all->len, ==, 54);
    for (guint row = 0; row < all->len; row++) {
        const Axes *alice = &g_array_index(all, Axes, row);
        g_autoptr(PlTopology) topology = all_homes(all, alice);

        for (guint column = 0; column < all->len; column++) {
            g_autofree char *bob = g_strdup_printf("b%u", column);

            check_strategies(alice, &g_array_index(all, Axes, column),
                             path_between(topology, "alice", bob));
        }
    }
}

/* ---- with nodes ---- */

static void check_nodes(const Axes *alice, const Axes *bob)
{
    g_auto(World) world = {0};
    g_autofree char *lines_a = nat_lines(alice, 0), *lines_b = nat_lines(bob, 1);
    const char *expected;

    g_test_message("%s\n%s", lines_a, lines_b);
    world_meet(&world, lines_a, lines_b);
    world_pass(&world, 10 * S);
    expected = path_between(world.topology, "alice", "bob");
    g_assert_cmpstr(ph_path_kind_name(world_peer(&world, "alice").path), ==, expected);
    g_assert_cmpstr(ph_path_kind_name(world_peer(&world, "bob").path), ==, expected);
    g_assert_cmpuint(world_count(&world, "bob", "data", "hello from alice"), ==, 1);
    if (strcmp(expected, "relayed") == 0) {
        g_assert_cmpuint(world_counters(&world, "alice")->punches_attempted, ==, 0);
        g_assert_cmpuint(world_counters(&world, "bob")->punches_attempted, ==, 0);
    }
}

/* Against who needs the port to be right, and against who has none that could be known: they are
 * the first to notice axes that are not what they seem. */
static void check_against(const Axes *other)
{
    g_autoptr(GArray) all = all_axes();

    for (guint i = 0; i < all->len; i++) {
        const Axes *axes = &g_array_index(all, Axes, i);

        /* The ports of one mapping for all are of no interest. */
        if (axes->mapping == PL_MAPPING_ENDPOINT_INDEPENDENT &&
            axes->allocation != PL_PORT_ALLOCATION_PRESERVE)
            continue;
        check_nodes(i % 2 ? axes : other, i % 2 ? other : axes);
    }
}

static void test_N5_all_axes_against_port_restricted(void)
{
    check_against(&(Axes){PL_MAPPING_ENDPOINT_INDEPENDENT, PL_FILTERING_ADDRESS_AND_PORT_DEPENDENT,
                          PL_PORT_ALLOCATION_PRESERVE, PL_POOLING_PAIRED});
}

static void test_N5_all_axes_against_symmetric(void)
{
    check_against(&(Axes){PL_MAPPING_ADDRESS_AND_PORT_DEPENDENT,
                          PL_FILTERING_ADDRESS_AND_PORT_DEPENDENT, PL_PORT_ALLOCATION_RANDOM,
                          PL_POOLING_PAIRED});
}

static void test_N5_all_axes_against_sequential(void)
{
    check_against(&(Axes){PL_MAPPING_ADDRESS_AND_PORT_DEPENDENT,
                          PL_FILTERING_ADDRESS_AND_PORT_DEPENDENT, PL_PORT_ALLOCATION_SEQUENTIAL,
                          PL_POOLING_PAIRED});
}

/* Behind one NAT, which turns packets around and does not filter these, and each behind one of his
 * own. Who looks from outside sees what filters most. */
static void check_turned_around(const char *shared, const char *alice, const char *bob,
                                const char *expected)
{
    const char *const none[] = {NULL};
    g_auto(World) world = {0};
    g_autofree char *rest = g_strdup_printf(
        "[nat cgn]\noutside = internet\ninside = 100.64.0.0/24\nbehaviour = %s\n"
        "hairpin = external-source\n"
        "[nat nat-alice]\noutside = cgn.inside\ninside = 192.168.1.0/24\nbehaviour = %s\n"
        "[nat nat-bob]\noutside = cgn.inside\ninside = 192.168.2.0/24\nbehaviour = %s\n"
        "[host alice]\nbehind = nat-alice\nrun = node --connect bob\n"
        "[host bob]\nbehind = nat-bob\nrun = node\n",
        shared, alice, bob);

    g_test_message("%s: %s, %s", shared, alice, bob);
    world_init(&world, none, rest);
    world_start(&world, "bob");
    world_pass(&world, 10 * S);
    world_start(&world, "alice");
    world_pass(&world, 15 * S);
    g_assert_cmpstr(path_between(world.topology, "alice", "bob"), ==, expected);
    g_assert_cmpstr(ph_path_kind_name(world_peer(&world, "alice").path), ==, expected);
    g_assert_cmpstr(ph_path_kind_name(world_peer(&world, "bob").path), ==, expected);
}

static void test_N15_turned_around(void)
{
    static const char open[] = "full-cone", port[] = "port-restricted";
    static const struct {
        const char *shared, *paths[3]; /* both inner ones open, one, none */
    } rows[] = {
        {"full-cone", {"direct", "direct", "punched"}},
        {"restricted", {"punched", "punched", "punched"}},
        {"port-restricted", {"punched", "punched", "punched"}},
        {"symmetric", {"punched", "punched", "relayed"}},
        {"symmetric\nfiltering = endpoint-independent", {"direct", "direct", "relayed"}},
    };

    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        check_turned_around(rows[i].shared, open, open, rows[i].paths[0]);
        check_turned_around(rows[i].shared, open, port, rows[i].paths[1]);
        check_turned_around(rows[i].shared, port, open, rows[i].paths[1]);
        check_turned_around(rows[i].shared, port, port, rows[i].paths[2]);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/axes/N5 on paper", test_N5_strategy_and_theory_agree_on_all_axes);
    g_test_add_func("/axes/N5 against port-restricted", test_N5_all_axes_against_port_restricted);
    g_test_add_func("/axes/N5 against symmetric", test_N5_all_axes_against_symmetric);
    g_test_add_func("/axes/N5 against sequential", test_N5_all_axes_against_sequential);
    g_test_add_func("/axes/N15 turned around", test_N15_turned_around);
    return g_test_run();
}
