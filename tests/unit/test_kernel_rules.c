/* SPDX-License-Identifier: GPL-2.0-or-later */
/* NATs as nftables text, who gets which ports, and what is refused. */
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "kernel/features.h"
#include "kernel/kernel.h"
#include "kernel/nft.h"
#include "kernel/pool.h"
#include "kernel/rules.h"

static PlTopology *parse(const char *nat_keys, const char *more)
{
    g_autofree char *text =
        g_strdup_printf("[topology]\ntitle = T\n[network internet]\nsubnet = 203.0.113.0/24\n"
                        "[nat home]\noutside = internet\ninside = 192.168.1.0/24\n%s\n"
                        "[host alice]\nbehind = home\n[host bob]\nbehind = home\n"
                        "[host hub]\non = internet\n%s\n",
                        nat_keys, more);
    g_autoptr(GError) error = NULL;
    PlTopology *topology = pl_topology_parse("test.ini", text, strlen(text), &error);

    g_assert_no_error(error);
    return topology;
}

static char *rules_of(const char *nat_keys, uint64_t seed)
{
    g_autoptr(PlTopology) topology = parse(nat_keys, "");
    const PlNode *nat = pl_topology_node(topology, "home");
    g_autoptr(GError) error = NULL;
    char *text = pl_rules_text(topology, nat, pl_nat_outside(nat)->addresses, seed, &error);

    g_assert_no_error(error);
    return text;
}

static PlPool *pool_of(const PlTopology *topology, uint64_t seed, GError **error)
{
    const PlNode *nat = pl_topology_node(topology, "home");

    return pl_pool_new(topology, nat, pl_nat_outside(nat)->addresses, seed, error);
}

static void test_home_router_is_plain(void)
{
    g_autofree char *text = rules_of("behaviour = port-restricted", 1);

    g_assert_nonnull(strstr(text, "snat to 203.0.113.2\n"));
    g_assert_null(strstr(text, "map"));
    g_assert_null(strstr(text, "set "));
}

static void test_filtering_decides_who_comes_in(void)
{
    static const struct {
        const char *filtering;
        gboolean rev, contacted;
    } cases[] = {
        {"endpoint-independent", TRUE, FALSE},
        {"address-dependent", TRUE, TRUE},
        {"address-and-port-dependent", FALSE, FALSE},
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *keys = g_strdup_printf(
            "mapping = endpoint-independent\nport-allocation = random\nfiltering = %s",
            cases[i].filtering);
        g_autofree char *text = rules_of(keys, 1);

        g_assert_cmpint(strstr(text, "map rev ") != NULL, ==, cases[i].rev);
        g_assert_cmpint(strstr(text, "set contacted ") != NULL, ==, cases[i].contacted);
    }
}

static void test_tables_expire_and_are_bounded(void)
{
    g_autofree char *text = rules_of("behaviour = restricted\nudp-timeout = 9s", 1);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    unsigned n = 0;

    for (unsigned i = 0; lines[i]; i++) {
        if (!strstr(lines[i], "flags dynamic"))
            continue;
        g_assert_nonnull(strstr(lines[i], "timeout 9s;"));
        g_assert_nonnull(strstr(lines[i], "size 16384;"));
        n++;
    }
    g_assert_cmpuint(n, ==, 6); /* rev, forward, contacted, slot, mine, taken */
}

static void test_seed_decides(void)
{
    const char *keys = "mapping = endpoint-independent\nfiltering = endpoint-independent\n"
                       "port-allocation = random";
    g_autofree char *one = rules_of(keys, 1), *again = rules_of(keys, 1), *two = rules_of(keys, 2);

    g_assert_cmpstr(one, ==, again);
    g_assert_cmpstr(one, !=, two);
}

static void test_untranslated_is_untranslated(void)
{
    g_autofree char *text = rules_of("behaviour = firewall", 1);

    g_assert_null(strstr(text, "nat "));
    g_assert_nonnull(strstr(text, "iifname \"outside\" ct state new drop"));
}

/* The same filters in words of IPv6, and none of IPv4's. */
static void test_ipv6(void)
{
    static const char *const keys[] = {
        "mapping = none\nfiltering = endpoint-independent",
        "mapping = none\nfiltering = address-dependent\nicmp = blocked",
        "behaviour = firewall\nunsolicited = reject",
    };

    for (gsize i = 0; i < G_N_ELEMENTS(keys); i++) {
        g_autofree char *file =
            g_strdup_printf("[topology]\ntitle = T\n[network internet]\nsubnet = 2001:db8::/64\n"
                            "[nat home]\noutside = internet\ninside = 2001:db8:a::/64\n%s\n"
                            "[host alice]\nbehind = home\n[host hub]\non = internet\n",
                            keys[i]);
        g_autoptr(PlTopology) topology = pl_topology_parse("t.ini", file, strlen(file), NULL);
        const PlNode *nat = pl_topology_node(topology, "home");
        g_autofree char *text =
            pl_rules_text(topology, nat, pl_nat_outside(nat)->addresses, 1, NULL);

        g_assert_true(g_str_has_prefix(text, "table ip6 pinlab {\n"));
        g_assert_nonnull(strstr(text, "ip6 daddr { 2001:db8::2 }"));
        g_assert_null(strstr(text, "ipv4_addr"));
        g_assert_null(strstr(text, " ip "));
        g_assert_cmpint(strstr(text, "update @contacted { ip6 saddr . udp sport . ip6 daddr }") !=
                            NULL,
                        ==, i == 1);
        g_assert_cmpint(strstr(text, "meta l4proto icmpv6 drop") != NULL, ==, i == 1);
    }
}

static void test_blocked_udp(void)
{
    g_autofree char *text = rules_of("behaviour = full-cone\nudp = blocked", 1);

    g_assert_nonnull(strstr(text, "meta l4proto udp drop"));
    g_assert_null(strstr(text, "map rev"));
    g_assert_nonnull(strstr(text, "snat to 203.0.113.2"));
}

static void assert_covers(const PlPool *pool, unsigned base, unsigned size, unsigned first,
                          unsigned last)
{
    g_autofree uint8_t *seen = g_new0(uint8_t, 65536);
    unsigned n = 0;

    for (unsigned i = base; i < base + size; i++) {
        const PlSlot *slot = &g_array_index(pool->slots, PlSlot, i);

        g_assert_cmpuint(slot->first, >=, first);
        g_assert_cmpuint(slot->last, <=, last);
        for (unsigned port = slot->first; port <= slot->last; port++, n++)
            g_assert_cmpuint(seen[port]++, ==, 0);
    }
    g_assert_cmpuint(n, ==, last - first + 1);
}

static void test_slots_cover_the_range(void)
{
    static const char *const ranges[] = {"1024-65535", "20000-20007", "20000-20099", "1-65535"};

    for (unsigned i = 0; i < G_N_ELEMENTS(ranges); i++) {
        g_autofree char *keys = g_strdup_printf(
            "behaviour = port-restricted\nport-allocation = random\nport-range = %s", ranges[i]);
        g_autoptr(PlTopology) topology = parse(keys, "");
        g_autoptr(PlPool) pool = pool_of(topology, 7, NULL);
        const PlBehaviour *behaviour = &pl_topology_node(topology, "home")->behaviour;

        assert_covers(pool, 0, pool->slots->len, behaviour->port_first, behaviour->port_last);
    }
}

static void test_blocks_are_apart(void)
{
    g_autoptr(PlTopology) topology =
        parse("behaviour = port-restricted\nport-allocation = block\nblock-size = 16\n"
              "port-range = 30000-30999",
              "");
    g_autoptr(PlPool) pool = pool_of(topology, 7, NULL);

    /* alice, bob and the lab's own two. */
    g_assert_cmpuint(pool->groups->len, ==, 4);
    for (unsigned i = 0; i < pool->groups->len; i++) {
        const PlSlotGroup *group = g_ptr_array_index(pool->groups, i);

        g_assert_cmpuint(group->sources->len, ==, 1);
        g_assert_cmpuint(group->size, ==, 16);
        assert_covers(pool, group->base, group->size, 30000 + 16 * i, 30015 + 16 * i);
    }
}

static void test_pairs_keep_to_one_address(void)
{
    g_autoptr(PlTopology) topology =
        parse("behaviour = port-restricted\naddresses = 203.0.113.20, 203.0.113.21", "");
    g_autoptr(PlPool) pool = pool_of(topology, 7, NULL);

    g_assert_cmpuint(pool->groups->len, ==, 2);
    for (unsigned i = 0; i < pool->groups->len; i++) {
        const PlSlotGroup *group = g_ptr_array_index(pool->groups, i);

        for (unsigned k = group->base; k < group->base + group->size; k++)
            g_assert_true(ph_address_equal_host(&g_array_index(pool->slots, PlSlot, k).address,
                                                &g_array_index(pool->outside, PhAddress, i)));
    }
}

static void test_user_rules_have_definitions(void)
{
    g_autofree char *directory = g_dir_make_tmp("rules-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(directory, "own.nft", NULL);
    g_autofree char *keys = g_strdup_printf("behaviour = port-restricted\nrules = %s", path);
    g_autofree char *text = NULL;
    unsigned lines = 0;

    g_assert_true(g_file_set_contents(path, "table ip own {\n}\n# $SEED\n", -1, NULL));
    text = rules_of(keys, 1);
    for (const char *c = text; c < strstr(text, "table ip own"); c++)
        lines += *c == '\n';
    g_assert_cmpuint(lines, ==, PL_RULES_DEFINES);
    g_assert_nonnull(strstr(text, "define OUTSIDE = \"outside\"\n"));
    g_assert_nonnull(strstr(text, "define LAN = 192.168.1.0/24\n"));
    g_assert_nonnull(strstr(text, "define WAN = 203.0.113.2\n"));
    g_assert_nonnull(strstr(text, "# 0x"));
    g_unlink(path);
    g_rmdir(directory);
}

static void test_messages_name_file_and_line(void)
{
    g_autofree char *message =
        pl_nft_message("/proc/self/fd/3:9:3-8: Error: syntax error\n  foo bar\n  ^^^\n", "own.nft",
                       PL_RULES_DEFINES + 1);
    g_autofree char *other = pl_nft_message("out of memory", "own.nft", 0);

    g_assert_cmpstr(message, ==, "own.nft:2: syntax error");
    g_assert_cmpstr(other, ==, "own.nft: nft: out of memory");
}

static void test_features_are_words(void)
{
    static const struct {
        const char *text;
        gboolean used;
    } cases[] = {
        {"udp dport 9 queue num 0", TRUE},
        {"queue", TRUE},
        {"accept # queue", FALSE},
        {"accept # not here\nqueue\n", TRUE},
        {"log prefix \"queue\" accept", FALSE},
        {"log prefix \"# \" queue", TRUE},
        {"jump c_queue", FALSE},
        {"jump queue_all", FALSE},
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++)
        g_assert_cmpint(pl_features_used(cases[i].text, "queue"), ==, cases[i].used);
    g_assert_true(pl_features_used("accept", ""));
}

static void test_slots_of_a_map_are_all_ranges_or_none(void)
{
    /* 100 ports in 64 slots: of one port, and of two. */
    g_autofree char *mixed = rules_of("behaviour = full-cone\nport-allocation = random\n"
                                      "port-range = 20000-20099",
                                      1);
    g_autofree char *single = rules_of("behaviour = full-cone\nport-allocation = random\n"
                                       "port-range = 20000-20007",
                                       1);

    g_assert_nonnull(strstr(mixed, ". 20000-20000"));
    g_assert_nonnull(strstr(single, ". 20000"));
    g_assert_null(strstr(single, ". 20000-"));
}

static void assert_refused(const char *nat_keys, const char *more, const char *reason)
{
    g_autoptr(PlTopology) topology = parse(nat_keys, more);
    g_autoptr(GPtrArray) reasons = g_ptr_array_new_with_free_func(g_free);

    pl_kernel_engine.refuse(topology, reasons);
    if (!reason) {
        g_assert_cmpuint(reasons->len, ==, 0);
        return;
    }
    g_assert_cmpuint(reasons->len, ==, 1);
    g_assert_true(g_str_has_prefix(g_ptr_array_index(reasons, 0), reason));
}

static void test_refusals(void)
{
    const char *plain = "behaviour = port-restricted";

    assert_refused(plain, "", NULL);
    assert_refused(plain, "[link alice]\nmtu = 1400", NULL);
    assert_refused(plain, "[link alice]\ndelay = 10ms",
                   "engine kernel cannot express link alice delay");
    assert_refused(plain, "[link hub]\nloss = 1%", "engine kernel cannot express link hub loss");
    assert_refused("behaviour = port-restricted\nport-allocation = sequential", "",
                   "engine kernel cannot express nat home port-allocation = sequential");
    assert_refused("behaviour = symmetric\nport-allocation = sequential", "", NULL);
    assert_refused("behaviour = port-restricted\ninbound-refresh = no", "",
                   "engine kernel cannot express nat home inbound-refresh = no");
    assert_refused("behaviour = port-restricted\nudp-timeout = 1500ms", "",
                   "engine kernel cannot express nat home udp-timeout");
    assert_refused("behaviour = port-restricted\nunsolicited = accept\nport-allocation = block\n"
                   "block-size = 16",
                   "", "engine kernel cannot express nat home unsolicited = accept");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/kernel/rules/a home router is what Linux does by itself",
                    test_home_router_is_plain);
    g_test_add_func("/kernel/rules/filtering decides what is learnt",
                    test_filtering_decides_who_comes_in);
    g_test_add_func("/kernel/rules/whatever is learnt expires and is bounded",
                    test_tables_expire_and_are_bounded);
    g_test_add_func("/kernel/rules/a seed gives one text", test_seed_decides);
    g_test_add_func("/kernel/rules/a firewall translates nothing",
                    test_untranslated_is_untranslated);
    g_test_add_func("/kernel/rules/a firewall speaks its network's family", test_ipv6);
    g_test_add_func("/kernel/rules/blocked UDP leaves TCP and ICMP", test_blocked_udp);
    g_test_add_func("/kernel/pool/slots cover the range once", test_slots_cover_the_range);
    g_test_add_func("/kernel/pool/blocks lie apart", test_blocks_are_apart);
    g_test_add_func("/kernel/pool/paired subscribers keep to one address",
                    test_pairs_keep_to_one_address);
    g_test_add_func("/kernel/rules/a user's file knows where it is",
                    test_user_rules_have_definitions);
    g_test_add_func("/kernel/nft/errors name file and line", test_messages_name_file_and_line);
    g_test_add_func("/kernel/nft/a feature is used by its word alone", test_features_are_words);
    g_test_add_func("/kernel/rules/slots of a map are all ranges, or none",
                    test_slots_of_a_map_are_all_ranges_or_none);
    g_test_add_func("/kernel/refuse/by name", test_refusals);
    return g_test_run();
}
