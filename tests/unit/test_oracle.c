/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "oracle/oracle.h"
#include "topology/pair.h"

#define INTERNET                                                                                   \
    "[topology]\ntitle = t\n[network internet]\nsubnet = 203.0.113.0/24\n"                         \
    "[host hub]\non = internet\naddresses = 203.0.113.10, 203.0.113.11\n"

/* One home with these keys. */
static PlTopology *home(const char *keys)
{
    g_autofree char *text =
        g_strconcat(INTERNET "[host alice]\nbehind = home\n[nat home]\noutside = internet\n"
                             "inside = 192.168.1.0/24\n",
                    keys, "\n", NULL);
    g_autoptr(GError) error = NULL;
    PlTopology *topology = pl_topology_parse("t.ini", text, strlen(text), &error);

    g_assert_no_error(error);
    return topology;
}

/* What theory says of the home's NAT with these keys, on one axis. */
static char *nat_says(const char *keys, PlAxis axis)
{
    g_autoptr(PlTopology) t = home(keys);
    g_auto(PlFindings) findings = {0};

    pl_oracle_nat(t, pl_topology_node(t, "home"), &findings);
    return g_steal_pointer(&findings.value[axis]);
}

static void assert_nat(const char *keys, PlAxis axis, const char *expected)
{
    g_autofree char *found = nat_says(keys, axis);

    g_assert_cmpstr(found, ==, expected);
}

static void a_chain_is_as_dependent_as_its_most_dependent_nat_on_each_axis(void)
{
    static const char *const mappings[] = {"endpoint-independent", "address-dependent",
                                           "address-and-port-dependent"};

    for (unsigned inner = 0; inner < 9; inner++) {
        for (unsigned outer = 0; outer < 9; outer++) {
            g_autofree char *text = g_strdup_printf(
                INTERNET "[nat outer]\noutside = internet\ninside = 10.0.0.0/24\nmapping = %s\n"
                         "filtering = %s\n[nat inner]\noutside = outer.inside\n"
                         "inside = 192.168.1.0/24\nmapping = %s\nfiltering = %s\n"
                         "[host alice]\nbehind = inner\n",
                mappings[outer / 3], mappings[outer % 3], mappings[inner / 3], mappings[inner % 3]);
            g_autoptr(PlTopology) t = pl_topology_parse("t.ini", text, strlen(text), NULL);
            g_auto(PlFindings) found = {0};

            g_assert_nonnull(t);
            pl_oracle_host(t, pl_topology_node(t, "alice"), &found);
            g_assert_cmpstr(found.value[PL_AXIS_MAPPING], ==, mappings[MAX(inner, outer) / 3]);
            g_assert_cmpstr(found.value[PL_AXIS_FILTERING], ==,
                            mappings[MAX(inner % 3, outer % 3)]);
            g_assert_cmpstr(found.value[PL_AXIS_EXTERNAL], ==, "203.0.113.2");
        }
    }
}

static void classes_go_with_the_axes(void)
{
    static const char *const names[PL_MAPPING_N][PL_FILTERING_N] = {
        {"direct", "firewall", "firewall"},
        {"full-cone", "restricted", "port-restricted"},
        {"symmetric", "symmetric", "symmetric"},
        {"symmetric", "symmetric", "symmetric"},
    };

    for (unsigned m = 0; m < PL_MAPPING_N; m++)
        for (unsigned f = 0; f < PL_FILTERING_N; f++)
            g_assert_cmpstr(pl_class_name((PlMapping)m, (PlFiltering)f), ==, names[m][f]);
}

static void a_host_on_the_internet_is_direct_at_its_own_addresses(void)
{
    g_autoptr(PlTopology) t = home("behaviour = symmetric");
    g_auto(PlFindings) found = {0};

    pl_oracle_host(t, pl_topology_node(t, "hub"), &found);
    g_assert_cmpstr(found.value[PL_AXIS_CLASS], ==, "direct");
    g_assert_cmpstr(found.value[PL_AXIS_EXTERNAL], ==, "203.0.113.10, 203.0.113.11");
    g_assert_cmpstr(found.value[PL_AXIS_MAPPING], ==, "none");
    g_assert_cmpstr(found.value[PL_AXIS_FILTERING], ==, "endpoint-independent");
    g_assert_cmpstr(found.value[PL_AXIS_UDP], ==, "yes");
    g_assert_cmpstr(found.value[PL_AXIS_TCP], ==, "yes");
    g_assert_cmpstr(found.value[PL_AXIS_ICMP], ==, "yes");
    g_assert_null(found.value[PL_AXIS_HAIRPIN]);
}

static void behind_a_firewall_the_address_stays_and_the_class_says_so(void)
{
    g_autoptr(PlTopology) t = home("behaviour = firewall");
    g_auto(PlFindings) found = {0};

    pl_oracle_host(t, pl_topology_node(t, "alice"), &found);
    g_assert_cmpstr(found.value[PL_AXIS_CLASS], ==, "firewall");
    g_assert_cmpstr(found.value[PL_AXIS_EXTERNAL], ==, "192.168.1.2");
    g_assert_cmpstr(found.value[PL_AXIS_MAPPING], ==, "none");
}

static void a_firewall_shows_the_addresses_of_those_inside(void)
{
    assert_nat("behaviour = firewall", PL_AXIS_EXTERNAL, "192.168.1.2");
}

static void without_udp_nothing_else_can_be_known(void)
{
    g_autoptr(PlTopology) t = home("behaviour = symmetric\nudp = blocked");
    g_auto(PlFindings) host = {0}, nat = {0};

    pl_oracle_host(t, pl_topology_node(t, "alice"), &host);
    pl_oracle_nat(t, pl_topology_node(t, "home"), &nat);
    g_assert_cmpstr(host.value[PL_AXIS_CLASS], ==, "udp-blocked");
    g_assert_cmpstr(host.value[PL_AXIS_UDP], ==, "blocked");
    g_assert_null(host.value[PL_AXIS_MAPPING]);
    g_assert_cmpstr(host.why[PL_AXIS_MAPPING], ==, "nat home blocks UDP");
    g_assert_cmpstr(nat.value[PL_AXIS_CLASS], ==, "udp-blocked");
    g_assert_cmpstr(nat.value[PL_AXIS_TCP], ==, "yes");
    g_assert_null(nat.value[PL_AXIS_HAIRPIN]);
}

static void few_random_ports_look_like_a_block(void)
{
    assert_nat("behaviour = symmetric", PL_AXIS_PORT_ALLOCATION, "random");
    assert_nat("behaviour = symmetric\nport-range = 2000-6095", PL_AXIS_PORT_ALLOCATION, "block");
    assert_nat("behaviour = symmetric\nport-range = 2000-6096", PL_AXIS_PORT_ALLOCATION,
               "random, block");
    assert_nat("behaviour = symmetric\nport-range = 2000-34768", PL_AXIS_PORT_ALLOCATION, "random");
    assert_nat("behaviour = symmetric\nport-range = 2000-2099\nport-allocation = sequential",
               PL_AXIS_PORT_ALLOCATION, "sequential");
    assert_nat("behaviour = full-cone", PL_AXIS_PORT_ALLOCATION, "preserve");
    assert_nat("behaviour = firewall", PL_AXIS_PORT_ALLOCATION, NULL);
}

static void ports_are_counted_only_where_a_test_would_meet_the_end(void)
{
#define BLOCK "behaviour = full-cone\nport-allocation = block\nblock-size = "
    assert_nat(BLOCK "16", PL_AXIS_PORTS, "16");
    assert_nat(BLOCK "64", PL_AXIS_PORTS, "64");
    assert_nat(BLOCK "65", PL_AXIS_PORTS, NULL);
    assert_nat("behaviour = symmetric\nport-range = 2000-2031", PL_AXIS_PORTS, "32");
    assert_nat("behaviour = full-cone", PL_AXIS_PORTS, NULL);
}

static void what_takes_too_long_or_cannot_be_seen_is_left_out(void)
{
    assert_nat("behaviour = full-cone\nudp-timeout = 2s", PL_AXIS_UDP_TIMEOUT, "2s");
    assert_nat("behaviour = full-cone\nudp-timeout = 10s", PL_AXIS_UDP_TIMEOUT, "10s");
    assert_nat("behaviour = full-cone\nudp-timeout = 11s", PL_AXIS_UDP_TIMEOUT, NULL);
    assert_nat("behaviour = full-cone\nudp-timeout = 11s", PL_AXIS_INBOUND_REFRESH, NULL);
    assert_nat("behaviour = full-cone\nudp-timeout = 2s", PL_AXIS_INBOUND_REFRESH, "yes");
    assert_nat("behaviour = full-cone\nudp-timeout = 2s\ninbound-refresh = no",
               PL_AXIS_INBOUND_REFRESH, "no");
    assert_nat("behaviour = full-cone", PL_AXIS_POOLING, NULL);
    assert_nat("behaviour = full-cone\naddresses = 203.0.113.20-203.0.113.21", PL_AXIS_POOLING,
               "paired");
    assert_nat("behaviour = firewall\nunsolicited = reject", PL_AXIS_UNSOLICITED, "reject");
    assert_nat("mapping = none\nfiltering = endpoint-independent", PL_AXIS_UNSOLICITED, NULL);
    assert_nat("behaviour = full-cone", PL_AXIS_UNSOLICITED, "drop");
    assert_nat("behaviour = restricted\nunsolicited = accept", PL_AXIS_UNSOLICITED, "accept");
    assert_nat("behaviour = full-cone\nunsolicited = accept", PL_AXIS_UNSOLICITED, "accept");
    assert_nat("behaviour = full-cone\nport-allocation = random", PL_AXIS_UNSOLICITED, NULL);
    assert_nat("behaviour = restricted\nport-allocation = random", PL_AXIS_UNSOLICITED, NULL);
    assert_nat("behaviour = port-restricted\nport-allocation = random", PL_AXIS_UNSOLICITED,
               "drop");
    assert_nat("behaviour = symmetric", PL_AXIS_UNSOLICITED, NULL);
    assert_nat("behaviour = symmetric\nunsolicited = reject", PL_AXIS_UNSOLICITED, "reject");
    assert_nat("behaviour = symmetric\nunsolicited = accept", PL_AXIS_UNSOLICITED, NULL);
    assert_nat("behaviour = full-cone\nport-allocation = random\nsymmetric-after = 31",
               PL_AXIS_CLASS, NULL);
    assert_nat("behaviour = full-cone\nport-allocation = random\nsymmetric-after = 31",
               PL_AXIS_MAPPING, NULL);
    assert_nat("behaviour = full-cone\nport-allocation = random\nsymmetric-after = 31",
               PL_AXIS_UNSOLICITED, NULL);
    assert_nat("behaviour = full-cone\nport-allocation = random\nsymmetric-after = 31",
               PL_AXIS_FILTERING, "endpoint-independent");
    assert_nat("behaviour = full-cone\nport-allocation = random\nsymmetric-after = 32",
               PL_AXIS_CLASS, "full-cone");
    assert_nat("behaviour = full-cone", PL_AXIS_FORWARDS, NULL);
    assert_nat("behaviour = full-cone\nforward = udp 1 -> alice:1", PL_AXIS_FORWARDS, "ok");
    assert_nat("behaviour = full-cone\nudp = blocked\nforward = tcp 1 -> alice:1", PL_AXIS_FORWARDS,
               "ok");
    assert_nat("behaviour = full-cone\nforward = udp 1 -> inner:1\n[nat inner]\n"
               "outside = home.inside\ninside = 10.0.0.0/24\nbehaviour = full-cone\n"
               "[host bob]\nbehind = inner",
               PL_AXIS_FORWARDS, NULL);
}

static void a_host_finds_icmp_blocked_where_any_nat_blocks_it(void)
{
    g_autoptr(PlTopology) t = home("behaviour = full-cone\nicmp = blocked");
    g_auto(PlFindings) alice = {0}, hub = {0};

    pl_oracle_host(t, pl_topology_node(t, "alice"), &alice);
    pl_oracle_host(t, pl_topology_node(t, "hub"), &hub);
    g_assert_cmpstr(alice.value[PL_AXIS_TCP], ==, "yes");
    g_assert_cmpstr(alice.value[PL_AXIS_ICMP], ==, "blocked");
    g_assert_cmpstr(hub.value[PL_AXIS_ICMP], ==, "yes");
}

static void findings_agree_by_meaning_not_by_spelling(void)
{
    g_assert_true(pl_axis_agrees(PL_AXIS_EXTERNAL, "1.2.3.4,1.2.3.5", "1.2.3.5"));
    g_assert_true(pl_axis_agrees(PL_AXIS_EXTERNAL, "1.2.3.4, 1.2.3.5", "1.2.3.5, 1.2.3.4"));
    g_assert_false(pl_axis_agrees(PL_AXIS_EXTERNAL, "1.2.3.4", "1.2.3.4, 1.2.3.5"));
    g_assert_false(pl_axis_agrees(PL_AXIS_EXTERNAL, "1.2.3.4", ""));
    g_assert_true(pl_axis_agrees(PL_AXIS_PORT_ALLOCATION, "random, block", "block"));
    g_assert_false(pl_axis_agrees(PL_AXIS_PORT_ALLOCATION, "random, block", "sequential"));
    g_assert_true(pl_axis_agrees(PL_AXIS_PORT_RANGE, "1024-65535", "2000-3000"));
    g_assert_false(pl_axis_agrees(PL_AXIS_PORT_RANGE, "1024-65535", "1000-3000"));
    g_assert_true(pl_axis_agrees(PL_AXIS_UDP_TIMEOUT, "2s", "2000ms"));
    g_assert_true(pl_axis_agrees(PL_AXIS_UDP_TIMEOUT, "2s", "3s"));
    g_assert_false(pl_axis_agrees(PL_AXIS_UDP_TIMEOUT, "2s", "4s"));
    g_assert_false(pl_axis_agrees(PL_AXIS_UDP_TIMEOUT, "2s", "more than 9s"));
    g_assert_false(pl_axis_agrees(PL_AXIS_CLASS, "restricted", "port-restricted"));
}

static void findings_own_what_they_hold(void)
{
    g_auto(PlFindings) findings = {0};
    PlAxis axis;

    pl_findings_set(&findings, PL_AXIS_CLASS, "direct", "because");
    pl_findings_set(&findings, PL_AXIS_CLASS, findings.value[PL_AXIS_CLASS], NULL);
    g_assert_cmpstr(findings.value[PL_AXIS_CLASS], ==, "direct");
    g_assert_null(findings.why[PL_AXIS_CLASS]);
    for (unsigned i = 0; i < PL_AXIS_N; i++) {
        g_assert_true(pl_axis_from_name(pl_axis_name((PlAxis)i), &axis));
        g_assert_cmpint(axis, ==, i);
    }
    g_assert_false(pl_axis_from_name("colour", &axis));
}

/* ---- paths ---- */

/* As a person would fill it in: d direct, p punched, r relayed, n nothing. Rows and columns are the
 * kinds in their order. */
static void every_pair_of_kinds_has_its_path(void)
{
    static const char *const kinds[] = {
        "open",
        "firewall",
        "full-cone",
        "restricted",
        "port-restricted",
        "symmetric",
        "symmetric-sequential",
        "symmetric-block",
        "double",
        "double-symmetric",
        "cgn",
        "udp-blocked",
    };
    static const char *const table[] = {
        "dddddddddddn", /* open */
        "dpdppppppppn", /* firewall */
        "dddddddddddn", /* full-cone */
        "dpdppppppppn", /* restricted */
        "dpdppppppppn", /* port-restricted */
        "dpdpprrrprpn", /* symmetric */
        "dpdpprprprpn", /* symmetric-sequential */
        "dpdpprrrprpn", /* symmetric-block */
        "dpdppppppppn", /* double */
        "dpdpprrrprpn", /* double-symmetric */
        "dpdppppppppn", /* cgn */
        "nnnnnnnnnnnn", /* udp-blocked */
    };

    for (unsigned row = 0; row < G_N_ELEMENTS(kinds); row++) {
        g_assert_cmpstr(pl_pair_kinds[row], ==, kinds[row]);
        for (unsigned column = 0; column < G_N_ELEMENTS(kinds); column++) {
            g_autoptr(PlTopology) t = pl_pair_topology(row, column);
            g_autofree char *why = NULL;
            const char *path =
                pl_oracle_path(t, pl_topology_node(t, "alice"), pl_topology_node(t, "bob"), &why);

            g_assert_nonnull(path);
            if (path[0] != table[row][column])
                g_error("%s -> %s: %s", kinds[row], kinds[column], path);
        }
    }
    g_assert_null(pl_pair_kinds[G_N_ELEMENTS(kinds)]);
}

/* Two hosts, "a" and "b", somewhere in this text. */
static const char *path_in(const char *rest)
{
    g_autofree char *text = g_strconcat(INTERNET, rest, NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(PlTopology) t = pl_topology_parse("t.ini", text, strlen(text), &error);
    g_autofree char *why = NULL, *why_back = NULL;
    const char *path;

    g_assert_no_error(error);
    path = pl_oracle_path(t, pl_topology_node(t, "a"), pl_topology_node(t, "b"), &why);
    /* The way back is the same. */
    g_assert_cmpstr(
        pl_oracle_path(t, pl_topology_node(t, "b"), pl_topology_node(t, "a"), &why_back), ==, path);
    g_assert_cmpint(path == NULL, ==, why != NULL);
    return path;
}

#define ONE_HOME "[nat home]\noutside = internet\ninside = 192.168.1.0/24\n"
#define BOTH_IN  "[host a]\nbehind = home\n[host b]\nbehind = home\n"

static void neighbours_need_no_nat(void)
{
    g_assert_cmpstr(path_in(ONE_HOME "behaviour = symmetric\n" BOTH_IN), ==, "direct");
    g_assert_cmpstr(path_in(ONE_HOME "behaviour = port-restricted\nhairpin = none\n" BOTH_IN), ==,
                    "direct");
    g_assert_cmpstr(path_in(ONE_HOME "behaviour = full-cone\nudp = blocked\n" BOTH_IN), ==,
                    "none(udp-blocked)");
}

/* Two homes behind one carrier's NAT. */
static const char *behind_one_carrier(const char *carrier, const char *homes)
{
    g_autofree char *text = g_strdup_printf(
        "[nat cgn]\noutside = internet\ninside = 100.64.0.0/24\nbehaviour = full-cone\n%s\n"
        "[nat home-a]\noutside = cgn.inside\ninside = 192.168.1.0/24\n%s\n"
        "[nat home-b]\noutside = cgn.inside\ninside = 192.168.1.0/24\n%s\n"
        "[host a]\nbehind = home-a\n[host b]\nbehind = home-b\n",
        carrier, homes, homes);

    return path_in(text);
}

static void behind_one_carrier_it_depends_on_hairpins(void)
{
    static const char restricted[] = "behaviour = port-restricted";
    static const char open[] = "behaviour = full-cone", symmetric[] = "behaviour = symmetric";

    g_assert_cmpstr(behind_one_carrier("hairpin = none", restricted), ==, "relayed");
    g_assert_cmpstr(behind_one_carrier("hairpin = none", open), ==, "relayed");
    g_assert_cmpstr(behind_one_carrier("hairpin = external-source", restricted), ==, "punched");
    g_assert_cmpstr(behind_one_carrier("hairpin = external-source", open), ==, "direct");
    g_assert_cmpstr(behind_one_carrier("hairpin = external-source", symmetric), ==, "relayed");
    g_assert_cmpstr(behind_one_carrier("hairpin = internal-source", restricted), ==, "relayed");
    g_assert_cmpstr(behind_one_carrier("hairpin = internal-source", open), ==, "direct");
}

/* A carrier's customer without a router of his own has an address that his neighbours reach. */
static void the_carriers_own_customer_can_be_dialled(void)
{
    g_assert_cmpstr(path_in("[nat cgn]\noutside = internet\ninside = 100.64.0.0/24\n"
                            "behaviour = symmetric\n"
                            "[nat home]\noutside = cgn.inside\ninside = 192.168.1.0/24\n"
                            "behaviour = symmetric\n"
                            "[host a]\nbehind = home\n[host b]\non = cgn.inside\n"),
                    ==, "direct");
}

static void where_ports_follow_is_the_outer_nats_business(void)
{
    static const char *const outer[] = {
        "behaviour = full-cone\nport-allocation = preserve",
        "behaviour = full-cone\nport-allocation = random",
        "behaviour = full-cone\nport-allocation = sequential",
    };
    static const char *const inner[] = {"sequential", "random"};
    static const char *const expected[2][3] = {{"punched", "relayed", "punched"},
                                               {"relayed", "relayed", "punched"}};

    for (unsigned i = 0; i < 2; i++) {
        for (unsigned o = 0; o < 3; o++) {
            g_autofree char *text = g_strdup_printf(
                "[nat outer]\noutside = internet\ninside = 100.64.0.0/24\n%s\n"
                "[nat inner]\noutside = outer.inside\ninside = 192.168.1.0/24\n"
                "behaviour = symmetric\nport-allocation = %s\n[host a]\nbehind = inner\n"
                "[nat home]\noutside = internet\ninside = 192.168.1.0/24\n"
                "behaviour = symmetric\nport-allocation = sequential\n[host b]\nbehind = home\n",
                outer[o], inner[i]);

            g_assert_cmpstr(path_in(text), ==, expected[i][o]);
        }
    }
}

static void what_changes_or_cannot_meet_has_no_theory(void)
{
    g_assert_null(path_in(ONE_HOME "behaviour = restricted\nport-allocation = random\n"
                                   "symmetric-after = 4\n[host a]\nbehind = home\n"
                                   "[host b]\non = internet\n"));
    g_assert_null(path_in("[host a]\non = internet\n[network six]\nsubnet = 2001:db8::/64\n"
                          "[host b]\non = six\n[host c]\non = six\n"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, function) g_test_add_func("/oracle/" path, function)
    ADD("a-chain-is-as-dependent-as-its-most-dependent-nat-on-each-axis",
        a_chain_is_as_dependent_as_its_most_dependent_nat_on_each_axis);
    ADD("classes-go-with-the-axes", classes_go_with_the_axes);
    ADD("a-host-on-the-internet-is-direct-at-its-own-addresses",
        a_host_on_the_internet_is_direct_at_its_own_addresses);
    ADD("behind-a-firewall-the-address-stays-and-the-class-says-so",
        behind_a_firewall_the_address_stays_and_the_class_says_so);
    ADD("a-firewall-shows-the-addresses-of-those-inside",
        a_firewall_shows_the_addresses_of_those_inside);
    ADD("without-udp-nothing-else-can-be-known", without_udp_nothing_else_can_be_known);
    ADD("few-random-ports-look-like-a-block", few_random_ports_look_like_a_block);
    ADD("ports-are-counted-only-where-a-test-would-meet-the-end",
        ports_are_counted_only_where_a_test_would_meet_the_end);
    ADD("what-takes-too-long-or-cannot-be-seen-is-left-out",
        what_takes_too_long_or_cannot_be_seen_is_left_out);
    ADD("a-host-finds-icmp-blocked-where-any-nat-blocks-it",
        a_host_finds_icmp_blocked_where_any_nat_blocks_it);
    ADD("every-pair-of-kinds-has-its-path", every_pair_of_kinds_has_its_path);
    ADD("neighbours-need-no-nat", neighbours_need_no_nat);
    ADD("behind-one-carrier-it-depends-on-hairpins", behind_one_carrier_it_depends_on_hairpins);
    ADD("the-carriers-own-customer-can-be-dialled", the_carriers_own_customer_can_be_dialled);
    ADD("where-ports-follow-is-the-outer-nats-business",
        where_ports_follow_is_the_outer_nats_business);
    ADD("what-changes-or-cannot-meet-has-no-theory", what_changes_or_cannot_meet_has_no_theory);
    ADD("findings-agree-by-meaning-not-by-spelling", findings_agree_by_meaning_not_by_spelling);
    ADD("findings-own-what-they-hold", findings_own_what_they_hold);
    return g_test_run();
}
