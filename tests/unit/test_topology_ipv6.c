/* SPDX-License-Identifier: GPL-2.0-or-later */
/* IPv6 in topology files: addresses, ways and graphs, each family by itself. */
#include "oracle/oracle.h"
#include "topology_text.h"

#define TITLE "[topology]\ntitle = t\n"
#define SIX   "[network six]\nsubnet = 2001:db8::/64\n"
#define FOUR  "[network four]\nsubnet = 203.0.113.0/24\n"
#define HOME4 "[nat home]\noutside = four\ninside = 192.168.1.0/24\nbehaviour = port-restricted\n"
#define HOME6 "[nat home6]\noutside = six\ninside = 2001:db8:a::/64\nbehaviour = firewall\n"
#define HUBS                                                                                       \
    "[host hub]\non = four\naddresses = 203.0.113.10, 203.0.113.11\nrun = hub\n"                   \
    "[host hub6]\non = six\naddresses = 2001:db8::10, 2001:db8::11\nrun = hub\n"
/* Both families side by side, and hosts on both. */
#define DUAL                                                                                       \
    TITLE FOUR SIX HOME4 HOME6 HUBS "[host alice]\non = home.inside, home6.inside\n"               \
                                    "run = classify\n"                                             \
                                    "[host carol]\non = home6.inside, home.inside\n"               \
                                    "run = classify\n"

static void addresses_are_chosen_as_in_ipv4(void)
{
    g_autoptr(PlTopology) t =
        parse(TITLE SIX HOME6 "[host alice]\nbehind = home6\n[host a]\non = six\n"
                              "[host b]\non = six\naddresses = 2001:db8::4-2001:db8::6\n"
                              "[host c]\non = six\n[host d]\non = six\n");

    assert_address(t, "home6.inside", 0, "2001:db8:a::1");
    assert_address(t, "home6.outside", 0, "2001:db8::2");
    assert_address(t, "alice", 0, "2001:db8:a::2");
    assert_address(t, "a", 0, "2001:db8::3");
    assert_address(t, "b", 2, "2001:db8::6");
    assert_address(t, "c", 0, "2001:db8::7");
}

static void the_labs_addresses_are_before_the_last_one(void)
{
    static const struct {
        const char *subnet, *reserved[4];
    } cases[] = {
        {"2001:db8::/64",
         {"2001:db8::ffff:ffff:ffff:fffb", "2001:db8::ffff:ffff:ffff:fffc",
          "2001:db8::ffff:ffff:ffff:fffd", "2001:db8::ffff:ffff:ffff:fffe"}},
        {"fd00::1:0/112", {"fd00::1:fffb", "fd00::1:fffc", "fd00::1:fffd", "fd00::1:fffe"}},
        {"fd00::100/120", {"fd00::1fb", "fd00::1fc", "fd00::1fd", "fd00::1fe"}},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *file =
            g_strdup_printf(TITLE "[network n]\nsubnet = %s\n[host a]\non = n\n[host b]\non = n\n",
                            cases[i].subnet);
        g_autoptr(PlTopology) t = parse(file);
        const PlNetwork *n = pl_topology_network(t, "n");
        g_autofree char *subnet = pl_prefix_format(&n->subnet);

        g_assert_cmpstr(subnet, ==, cases[i].subnet);
        for (unsigned k = 0; k < 4; k++) {
            char text[PH_ADDRESS_TEXT_MAX];

            g_assert_cmpstr(ph_address_format(&n->reserved[k], text), ==, cases[i].reserved[k]);
            g_assert_true(pl_prefix_contains(&n->subnet, &n->reserved[k]));
        }
    }
}

static void a_small_subnet_fills_up(void)
{
    g_autoptr(GString) text =
        g_string_new(TITLE "[network n]\nsubnet = fd00::/120\n[host a]\non = n\n"
                           "addresses = fd00::1-fd00::f9\n");
    g_autoptr(GError) error = NULL;
    g_autoptr(PlTopology) t = NULL, full = NULL;

    g_string_append(text, "[host b]\non = n\n");
    t = parse(text->str);
    assert_address(t, "b", 0, "fd00::fa");
    g_string_append(text, "[host c]\non = n\n");
    full = pl_topology_parse("t.ini", text->str, text->len, &error);
    g_assert_null(full);
    g_assert_error(error, PL_ERROR, PL_ERROR_INPUT);
    g_assert_nonnull(strstr(error->message, "[host c]: network n has no address left"));
}

static void each_family_has_its_own_routes(void)
{
    g_autoptr(PlTopology) t = parse(DUAL);

    assert_routes(t, "alice.home.inside", "0.0.0.0/0 via 192.168.1.1");
    assert_routes(t, "alice.home6.inside",
                  "2001:db8::/64 via 2001:db8:a::1, ::/0 via 2001:db8:a::1");
    assert_routes(t, "hub", "");
    assert_routes(t, "hub6", "2001:db8:a::/64 via 2001:db8::2");
}

static void assert_way(const PlTopology *t, const char *name, uint8_t family, const char *way,
                       const char *nat)
{
    const PlNode *node = pl_topology_node(t, name);
    const PlAttachment *out = pl_topology_way_out_of(t, node, family);
    g_autoptr(GPtrArray) chain = pl_topology_chain_of(t, node, family);

    g_assert_cmpstr(out ? out->label : NULL, ==, way);
    g_assert_cmpuint(chain->len, ==, nat ? 1 : 0);
    if (nat)
        g_assert_cmpstr(((PlNode *)chain->pdata[0])->name, ==, nat);
}

static void a_host_on_both_has_a_way_out_of_each(void)
{
    g_autoptr(PlTopology) t = parse(DUAL);

    assert_way(t, "alice", PH_FAMILY_IPV4, "alice.home.inside", "home");
    assert_way(t, "alice", PH_FAMILY_IPV6, "alice.home6.inside", "home6");
    assert_way(t, "hub", PH_FAMILY_IPV6, NULL, NULL);
    g_assert_true(pl_topology_way_out(t, pl_topology_node(t, "alice")) ==
                  pl_topology_attachment(t, "alice.home.inside"));
    g_assert_true(pl_topology_way_out(t, pl_topology_node(t, "carol")) ==
                  pl_topology_attachment(t, "carol.home6.inside"));
}

static void a_host_is_judged_in_the_family_of_its_first_network(void)
{
    static const struct {
        const char *host, *class, *external;
    } cases[] = {
        {"alice", "port-restricted", "203.0.113.2"},
        {"carol", "firewall", "2001:db8:a::3"},
    };
    g_autoptr(PlTopology) t = parse(DUAL);

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(PlFindings) theory = {0};

        pl_oracle_host(t, pl_topology_node(t, cases[i].host), &theory);
        g_assert_cmpstr(theory.value[PL_AXIS_CLASS], ==, cases[i].class);
        g_assert_cmpstr(theory.value[PL_AXIS_EXTERNAL], ==, cases[i].external);
    }
}

static void a_firewall_shows_the_addresses_of_its_family(void)
{
    g_autoptr(PlTopology) t = parse(DUAL);
    g_auto(PlFindings) theory = {0};

    pl_oracle_nat(t, pl_topology_node(t, "home6"), &theory);
    g_assert_cmpstr(theory.value[PL_AXIS_EXTERNAL], ==, "2001:db8:a::2, 2001:db8:a::3");
}

static void assert_server(const PlTopology *t, const char *name, const char *expected)
{
    char text[PH_ADDRESS_TEXT_MAX];

    g_assert_cmpstr(ph_address_format(&pl_topology_node(t, name)->program.addresses[0], text), ==,
                    expected);
}

static void classify_asks_the_first_hub_of_its_family(void)
{
    g_autoptr(PlTopology) t = parse(DUAL);

    assert_server(t, "alice", "203.0.113.10:3478");
    assert_server(t, "carol", "[2001:db8::10]:3478");
}

static void a_hub_on_both_serves_its_first_family(void)
{
    g_autoptr(PlTopology) t =
        parse(TITLE FOUR SIX "[host hub]\non = six, four\naddresses = 2001:db8::10, 2001:db8::11, "
                             "203.0.113.10\nrun = hub\n[host a]\non = four, six\n"
                             "run = echo\n[host b]\non = six\nrun = classify --server a\n");
    const PlProgram *hub = &pl_topology_node(t, "hub")->program;

    g_assert_cmpuint(hub->n_addresses, ==, 2);
    g_assert_cmpint(hub->addresses[1].family, ==, PH_FAMILY_IPV6);
    assert_server(t, "b", "[2001:db8::2]:3478");
}

static void a_hub_that_listens_on_both_serves_both(void)
{
    g_autoptr(PlTopology) t =
        parse(TITLE FOUR SIX "[host hub]\non = six, four\naddresses = 2001:db8::10, 203.0.113.10, "
                             "203.0.113.11\nrun = hub --listen 2001:db8::10 --listen 203.0.113.10 "
                             "--listen 203.0.113.11\n[host a]\non = four, six\nrun = node\n"
                             "[host b]\non = six\nrun = classify --server hub\n"
                             "[host c]\non = four\nrun = classify\n");

    g_assert_cmpuint(pl_topology_node(t, "hub")->program.n_addresses, ==, 3);
    assert_server(t, "a", "203.0.113.10:3478");
    assert_server(t, "b", "[2001:db8::10]:3478");
    assert_server(t, "c", "203.0.113.10:3478");
}

static void a_file_with_both_prints_to_itself(void)
{
    g_autoptr(PlTopology) t = parse(DUAL), again = NULL;
    g_autofree char *text = pl_topology_print(t), *same = NULL;

    again = parse(text);
    same = pl_topology_print(again);
    g_assert_cmpstr(text, ==, same);
    g_assert_nonnull(strstr(text, "\nsubnet = 2001:db8::/64\n"));
    g_assert_nonnull(strstr(text, "\ninside = 2001:db8:a::/64\n"));
    g_assert_nonnull(strstr(text, "\naddresses = 192.168.1.2, 2001:db8:a::2\n"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, function) g_test_add_func("/topology/ipv6/" path, function)
    ADD("addresses-are-chosen-as-in-ipv4", addresses_are_chosen_as_in_ipv4);
    ADD("the-labs-addresses-are-before-the-last-one", the_labs_addresses_are_before_the_last_one);
    ADD("a-small-subnet-fills-up", a_small_subnet_fills_up);
    ADD("each-family-has-its-own-routes", each_family_has_its_own_routes);
    ADD("a-host-on-both-has-a-way-out-of-each", a_host_on_both_has_a_way_out_of_each);
    ADD("a-host-is-judged-in-the-family-of-its-first-network",
        a_host_is_judged_in_the_family_of_its_first_network);
    ADD("a-firewall-shows-the-addresses-of-its-family",
        a_firewall_shows_the_addresses_of_its_family);
    ADD("classify-asks-the-first-hub-of-its-family", classify_asks_the_first_hub_of_its_family);
    ADD("a-hub-on-both-serves-its-first-family", a_hub_on_both_serves_its_first_family);
    ADD("a-hub-that-listens-on-both-serves-both", a_hub_that_listens_on_both_serves_both);
    ADD("a-file-with-both-prints-to-itself", a_file_with_both_prints_to_itself);
    return g_test_run();
}
