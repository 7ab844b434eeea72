/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Attempts to punch: every pair of NATs, what is tried for it, and whether it opens. */
#include "punch_world.h"

/* The table of docs/punching.md, by the names of strategies: we are the row, they the column. */
static const Kind *const kinds[] = {
    &kind_open,       &kind_firewall,        &kind_full_cone,
    &kind_restricted, &kind_port_restricted, &kind_random_cone,
    &kind_sequential, &kind_sequential_2,    &kind_block,
    &kind_random,     &kind_by_address,
};
#define N_KINDS G_N_ELEMENTS(kinds)

/* Of each kind, how it stands in that table. */
static const char *const places[N_KINDS] = {"open", "port", "open",       "address",
                                            "port", "port", "sequential", "sequential",
                                            "hard", "hard", "hard"};

static const char *expected_strategy(const char *here, const char *there)
{
    static const char *const table[][3] = {
        {"open", "open", "dial"},
        {"open", "*", "wait"},
        {"*", "open", "dial"},
        {"address", "*", "punch"},
        {"*", "address", "punch"},
        {"port", "port", "punch"},
        {"port", "sequential", "predict"},
        {"port", "hard", "scatter"},
        {"sequential", "port", "punch"},
        {"sequential", "sequential", "predict"},
        {"hard", "port", "spread"},
        {"*", "*", "relay"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(table); i++)
        if ((g_str_equal(table[i][0], "*") || g_str_equal(table[i][0], here)) &&
            (g_str_equal(table[i][1], "*") || g_str_equal(table[i][1], there)))
            return table[i][2];
    g_assert_not_reached();
}

static void check_pair(guint a, guint b, gboolean higher)
{
    g_auto(Punching) p = {0};
    gboolean relay;

    punching_pair(&p, kinds[a], kinds[b], 1);
    p.higher = higher;
    g_assert_cmpstr(ph_strategy_name(strategy_of(&p, 0)), ==,
                    expected_strategy(places[a], places[b]));
    g_assert_cmpstr(ph_strategy_name(strategy_of(&p, 1)), ==,
                    expected_strategy(places[b], places[a]));
    relay = strategy_of(&p, 0) == PH_STRATEGY_RELAY;
    if (punching_attempt(&p, 1, 0) == relay)
        g_error("%s x %s: %s", kinds[a]->name, kinds[b]->name, relay ? "open" : "not open");
    if (relay)
        for (guint i = 0; i < 2; i++) {
            g_assert_cmpuint(p.sides[i].sent->len, ==, 0);
            g_assert_cmpuint(p.sides[i].opened_most, ==, 0);
        }
}

static void test_every_pair(void)
{
    for (guint a = 0; a < N_KINDS; a++)
        for (guint b = 0; b < N_KINDS; b++)
            check_pair(a, b, FALSE);
}

static void test_every_pair_other_key_lower(void)
{
    for (guint a = 0; a < N_KINDS; a++)
        for (guint b = 0; b < N_KINDS; b++)
            check_pair(a, b, TRUE);
}

/* N12: and an attempt that is made all the same sends nothing. */
static void test_two_random_ones_are_relayed(void)
{
    g_auto(Punching) p = {0};

    punching_pair(&p, &kind_random, &kind_random, 1);
    g_assert_cmpint(strategy_of(&p, 0), ==, PH_STRATEGY_RELAY);
    punching_start(&p, 1, 0);
    for (guint i = 0; i < 2; i++) {
        PhPath path;

        g_assert_cmpint(state_of(&p, i, &path), ==, PH_PUNCH_FAILED);
        g_assert_cmpuint(ph_punch_next_timeout(p.sides[i].punch), ==, UINT64_MAX);
        g_assert_cmpuint(ph_punch_counters(p.sides[i].punch)->sent, ==, 0);
    }
}

static void test_hard_ones_can_be_switched_off(void)
{
    PhNodeRecord hard = {.mapping = PH_MAPPING_ADDRESS_DEPENDENT,
                         .port_allocation = PH_PORT_ALLOCATION_RANDOM};
    PhNodeRecord port = {.mapping = PH_MAPPING_ENDPOINT_INDEPENDENT},
                 open = {.filtering = PH_FILTERING_ENDPOINT_INDEPENDENT};

    g_assert_cmpint(ph_strategy(&hard, &port, true), ==, PH_STRATEGY_SPREAD);
    g_assert_cmpint(ph_strategy(&port, &hard, true), ==, PH_STRATEGY_SCATTER);
    g_assert_cmpint(ph_strategy(&hard, &port, false), ==, PH_STRATEGY_RELAY);
    g_assert_cmpint(ph_strategy(&port, &hard, false), ==, PH_STRATEGY_RELAY);
    g_assert_cmpint(ph_strategy(&hard, &open, false), ==, PH_STRATEGY_DIAL);
}

static void test_who_knows_nothing_is_port_restricted(void)
{
    PhNodeRecord unknown = {.nat_class = PH_CLASS_UNKNOWN},
                 none = {.nat_class = PH_CLASS_UDP_BLOCKED},
                 open = {.filtering = PH_FILTERING_ENDPOINT_INDEPENDENT};

    g_assert_cmpint(ph_strategy(&unknown, &unknown, true), ==, PH_STRATEGY_PUNCH);
    g_assert_cmpint(ph_strategy(&unknown, &open, true), ==, PH_STRATEGY_DIAL);
    g_assert_cmpint(ph_strategy(&none, &open, true), ==, PH_STRATEGY_RELAY);
    g_assert_cmpint(ph_strategy(&open, &none, true), ==, PH_STRATEGY_RELAY);
}

/* ---- other topologies ---- */

static void init_with(Punching *p, const char *text, const Kind *a, const Kind *b)
{
    const Kind *both[2] = {a, b};
    g_autofree char *whole =
        g_strconcat(HEAD "[host hub]\non = internet\naddress = 203.0.113.200\n", text, NULL);

    punching_init(p, whole, NULL, 1);
    introduce(p, both);
}

static void test_double_nat(void)
{
    g_auto(Punching) p = {0};

    init_with(&p,
              "[nat modem]\noutside = internet\ninside = 10.0.0.0/24\nbehaviour = port-restricted\n"
              "[nat router]\noutside = modem.inside\ninside = 192.168.1.0/24\n"
              "behaviour = full-cone\n[host alice]\nbehind = router\n"
              "[nat home-b]\noutside = internet\ninside = 192.168.1.0/24\n"
              "behaviour = port-restricted\n[host bob]\nbehind = home-b\n",
              &kind_port_restricted, &kind_port_restricted);
    g_assert_true(punching_attempt(&p, 1, 0));
}

/* Behind one NAT, whatever it does with packets that are turned around. */
static void check_same_nat(const char *axes, const Kind *kind)
{
    for (guint higher = 0; higher < 2; higher++) {
        g_auto(Punching) p = {0};
        g_autofree char *text =
            g_strconcat("[nat home]\noutside = internet\ninside = 192.168.1.0/24\n", axes,
                        "[host alice]\nbehind = home\n[host bob]\nbehind = home\n", NULL);
        PhPath path;

        init_with(&p, text, kind, kind);
        p.higher = higher == 1;
        g_assert_cmpuint(p.sides[0].record.n_candidates, ==, 2);
        g_assert_true(punching_attempt(&p, 1, 0));
        state_of(&p, 0, &path);
        g_assert_true(ph_address_equal_host(&path.remote, &p.sides[1].local));
    }
}

static void test_same_nat(void)
{
    check_same_nat("behaviour = port-restricted\n", &kind_port_restricted);
    check_same_nat("behaviour = port-restricted\nhairpin = internal-source\n",
                   &kind_port_restricted);
    check_same_nat("behaviour = port-restricted\nhairpin = external-source\n",
                   &kind_port_restricted);
    check_same_nat("behaviour = full-cone\nhairpin = external-source\n", &kind_full_cone);
    check_same_nat("behaviour = symmetric\n", &kind_random);
    check_same_nat("behaviour = symmetric\nport-allocation = block\nblock-size = 2048\n",
                   &kind_block);
}

/* Without local candidates the NAT has to turn packets around. */
static void check_hairpin(const char *axes, gboolean opens)
{
    g_auto(Punching) p = {0};
    g_autofree char *text =
        g_strconcat("[nat home]\noutside = internet\ninside = 192.168.1.0/24\n"
                    "behaviour = port-restricted\n",
                    axes, "[host alice]\nbehind = home\n[host bob]\nbehind = home\n", NULL);

    init_with(&p, text, &kind_port_restricted, &kind_port_restricted);
    p.sides[0].record.n_candidates = p.sides[1].record.n_candidates = 1;
    g_assert_true(punching_attempt(&p, 1, 0) == opens);
}

static void test_hairpin_alone(void)
{
    check_hairpin("hairpin = none\n", FALSE);
    check_hairpin("hairpin = internal-source\n", TRUE);
    check_hairpin("hairpin = external-source\n", TRUE);
}

int main(int argc, char *argv[])
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/punch/every-pair", test_every_pair);
    g_test_add_func("/punch/every-pair-other-key-lower", test_every_pair_other_key_lower);
    g_test_add_func("/punch/two-random-ones-are-relayed", test_two_random_ones_are_relayed);
    g_test_add_func("/punch/hard-ones-can-be-switched-off", test_hard_ones_can_be_switched_off);
    g_test_add_func("/punch/who-knows-nothing-is-port-restricted",
                    test_who_knows_nothing_is_port_restricted);
    g_test_add_func("/punch/double-nat", test_double_nat);
    g_test_add_func("/punch/same-nat", test_same_nat);
    g_test_add_func("/punch/hairpin-alone", test_hairpin_alone);
    return g_test_run();
}
