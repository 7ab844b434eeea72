/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Hosts that steps take to other networks: where they may go, and which addresses they have there.
 */
#include "topology_text.h"

#include "capture/points.h"
#include "oracle/oracle.h"

#define NETS                                                                                       \
    "[topology]\ntitle = t\n[network internet]\nsubnet = 203.0.113.0/24\n[network far]\nsubnet = " \
    "2001:db8::/64\n"
#define NATS                                                                                       \
    "[nat home]\noutside = internet\ninside = 192.168.1.0/24\nbehaviour = full-cone\n"             \
    "[nat cafe]\noutside = internet\ninside = 10.0.0.0/24\nbehaviour = full-cone\n"
#define HOSTS                                                                                      \
    "[host alice]\nbehind = home\nrun = node --connect bob\n[host guest]\nbehind = cafe\naddress " \
    "= 10.0.0.2\n"                                                                                 \
    "[host bob]\non = internet\nrun = node\n[host hub]\non = internet\nrun = hub\n"                \
    "[host x]\non = far\n[host y]\non = far\n"
#define WORLD             NETS NATS HOSTS
#define STEP(n, at, what) "[step " #n "]\nat = " #at "s\ndo = " what "\n"
#define MOVE(what)        STEP(1, 1, "host alice move " what)

static void assert_moved(const PlTopology *topology, unsigned i, const char *network,
                         const char *address)
{
    const PlStep *step = g_ptr_array_index(topology->steps, i);
    char text[PH_ADDRESS_TEXT_MAX];

    g_assert_cmpint(step->kind, ==, PL_STEP_HOST_MOVE);
    g_assert_cmpstr(step->network->name, ==, network);
    g_assert_cmpstr(ph_address_format(&step->address, text), ==, address);
}

/* Steps stand in the order of their times; those that name addresses have theirs first. */
static void a_host_gets_an_address_where_it_comes(void)
{
    g_autoptr(PlTopology) topology =
        parse(WORLD STEP(1, 4, "host alice move cafe") STEP(2, 3, "host alice move home")
                  STEP(3, 2, "host alice move internet 203.0.113.2")
                      STEP(4, 1, "host alice move cafe") STEP(5, 5, "host bob move cafe.inside"));
    g_autofree char *printed = pl_topology_print(topology), *again = NULL;
    g_autoptr(PlTopology) second = parse(printed);

    assert_moved(topology, 0, "cafe.inside", "10.0.0.3");
    assert_moved(topology, 1, "internet", "203.0.113.2");
    assert_moved(topology, 2, "home.inside", "192.168.1.2"); /* its own, */
    assert_moved(topology, 3, "cafe.inside", "10.0.0.3");    /* and the one that it had */
    assert_moved(topology, 4, "cafe.inside", "10.0.0.4");
    assert_address(topology, "home.outside", 0, "203.0.113.3");
    again = pl_topology_print(second);
    g_assert_cmpstr(again, ==, printed);
}

static void where_a_host_is_changes_with_each_step(void)
{
    g_autoptr(PlTopology) topology = parse(
        WORLD STEP(1, 1, "host bob send 1 -> alice:2 before") STEP(2, 2, "host alice move cafe")
            STEP(3, 3, "host alice send 1 -> bob:2 after") STEP(4, 4,
                                                                "host bob move internet "
                                                                "203.0.113.99"));
    const PlNode *alice = pl_topology_node(topology, "alice");
    const PlStep *before = g_ptr_array_index(topology->steps, 0);
    const PlStep *after = g_ptr_array_index(topology->steps, 2);
    g_autoptr(GArray) all = pl_host_addresses(topology, alice);
    char text[PH_ADDRESS_TEXT_MAX];

    g_assert_cmpstr(ph_address_format(&before->address, text), ==, "192.168.1.2:2");
    g_assert_cmpstr(ph_address_format(&after->from, text), ==, "10.0.0.3:1");
    g_assert_cmpuint(all->len, ==, 2);
    g_assert_cmpstr(pl_host_network_at(topology, alice, before)->name, ==, "home.inside");
    g_assert_cmpstr(pl_host_network_at(topology, alice, NULL)->name, ==, "cafe.inside");
    g_assert_true(pl_host_visits(topology, alice, pl_topology_network(topology, "cafe.inside")));
    g_assert_false(pl_host_visits(topology, alice, pl_topology_network(topology, "internet")));
}

/* She is alone at home, but not to the end; and neither is anybody where she comes to. */
static void who_moves_is_recorded_and_no_cable(void)
{
    g_autoptr(PlTopology) still = parse(WORLD), topology = parse(WORLD MOVE("cafe"));

    g_assert_false(pl_capture_is_point(pl_topology_attachment(still, "alice")));
    g_assert_true(pl_network_is_cable(pl_topology_network(still, "home.inside")));
    g_assert_true(pl_capture_is_point(pl_topology_attachment(topology, "alice")));
    g_assert_true(pl_capture_is_point(pl_topology_attachment(topology, "guest")));
    g_assert_false(pl_network_is_cable(pl_topology_network(topology, "home.inside")));
    g_assert_false(pl_network_is_cable(pl_topology_network(topology, "cafe.inside")));
}

static void theory_has_no_word_for_who_moves(void)
{
    g_autoptr(PlTopology) topology = parse(WORLD MOVE("cafe"));
    g_autofree char *why = NULL;

    g_assert_null(pl_oracle_path(topology, pl_topology_node(topology, "bob"),
                                 pl_topology_node(topology, "alice"), &why));
    g_assert_cmpstr(why, ==, "host alice moves");
}

static void what_cannot_be_is_refused(void)
{
    static const struct {
        const char *text, *error;
    } cases[] = {
        {WORLD MOVE(""), "*do: there is no NAT and no network \"\" (expected host NAME move*"},
        {WORLD MOVE("cafee"), "*do: there is no NAT*(expected*did you mean \"cafe\"?)"},
        {WORLD MOVE("bob"), "*do: there is no NAT and no network \"bob\" (expected*"},
        {WORLD MOVE("far"), "*do: network far is IPv6*(expected one of its family)"},
        {WORLD MOVE("cafe 10.0.0.2"), "*do: 10.0.0.2 belongs to guest (expected a free one)"},
        {WORLD MOVE("cafe 10.0.0.1"), "*do: 10.0.0.1 belongs to cafe (expected a free one)"},
        {WORLD MOVE("cafe 10.0.0.251"), "*do: 10.0.0.251 is one of the last four*"},
        {WORLD MOVE("cafe 192.168.1.9"), "*do: 192.168.1.9 is not on network cafe.inside*"},
        {WORLD MOVE("cafe now"), "*do: bad address \"now\" (expected*"},
        {WORLD MOVE("cafe 10.0.0.9") STEP(2, 2, "host bob move cafe 10.0.0.9"),
         "*step 2*do: 10.0.0.9 belongs to alice (expected a free one)"},
        {WORLD STEP(1, 1, "host hub move cafe"), "*do: host hub is a hub*(expected another host)"},
        {WORLD "[host two]\non = internet, cafe.inside\n" STEP(1, 1, "host two move home"),
         "*do: host two is on several networks (expected a host on one)"},
        {WORLD "[host two]\non = internet\naddresses = 203.0.113.70, 203.0.113.71\n" STEP(
             1, 1, "host two move home"),
         "*do: host two has several addresses (expected a host with one)"},
        {WORLD MOVE("cafe") "[expect]\nalice.class = full-cone\n",
         "*alice.class: host alice moves*(expected a host that stays, or a NAT)"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;

        if (pl_topology_parse("t", cases[i].text, strlen(cases[i].text), &error))
            g_error("this was accepted, not \"%s\"", cases[i].error);
        g_assert_error(error, PL_ERROR, PL_ERROR_INPUT);
        if (!g_pattern_match_simple(cases[i].error, error->message))
            g_error("expected \"%s\", got \"%s\"", cases[i].error, error->message);
    }
}

#define ADD(name) g_test_add_func("/topology/moves/" #name, name)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD(a_host_gets_an_address_where_it_comes);
    ADD(where_a_host_is_changes_with_each_step);
    ADD(who_moves_is_recorded_and_no_cable);
    ADD(theory_has_no_word_for_who_moves);
    ADD(what_cannot_be_is_refused);
    return g_test_run();
}
