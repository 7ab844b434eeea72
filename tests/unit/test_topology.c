/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a right topology file means: names, addresses, behaviours, ways. */
#include "topology_text.h"

#define INTERNET "[topology]\ntitle = t\n[network internet]\nsubnet = 203.0.113.0/24\n"
#define HUB      "[host hub]\non = internet\naddresses = 203.0.113.2, 203.0.113.4\n"

static void assert_chain(const PlTopology *topology, const char *name, const char *expected)
{
    g_autoptr(GPtrArray) chain = pl_topology_chain(topology, pl_topology_node(topology, name));
    g_autoptr(GString) text = g_string_new(NULL);

    for (unsigned i = 0; i < chain->len; i++)
        g_string_append_printf(text, "%s%s", i ? " " : "",
                               ((PlNode *)g_ptr_array_index(chain, i))->name);
    g_assert_cmpstr(text->str, ==, expected);
}

static void addresses_fill_the_gaps_in_file_order(void)
{
    g_autoptr(PlTopology) t = parse(INTERNET "[nat home]\noutside = internet\n"
                                             "inside = 192.168.1.0/24\nbehaviour = full-cone\n"
                                             "[host alice]\nbehind = home\n"
                                             "[host bob]\nbehind = home\n"
                                             "[host eve]\non = internet\n" HUB "[step 1]\nat = 1s\n"
                                             "do = nat home address 203.0.113.5\n"
                                             "[host last]\non = internet\n");

    assert_address(t, "home.inside", 0, "192.168.1.1");
    assert_address(t, "alice", 0, "192.168.1.2");
    assert_address(t, "bob", 0, "192.168.1.3");
    assert_address(t, "home.outside", 0, "203.0.113.3");
    assert_address(t, "hub", 1, "203.0.113.4");
    assert_address(t, "eve", 0, "203.0.113.6");
    assert_address(t, "last", 0, "203.0.113.7");
}

static void the_last_four_addresses_are_the_labs(void)
{
    g_autoptr(PlTopology) t =
        parse("[topology]\ntitle = t\n[network n]\nsubnet = 10.0.0.0/28\n[host a]\non = n\n"
              "addresses = 10.0.0.1-10.0.0.9\n[host b]\non = n\n");
    const PlNetwork *n = pl_topology_network(t, "n");

    assert_address(t, "b", 0, "10.0.0.10");
    for (unsigned i = 0; i < 4; i++) {
        PhAddress expected = ph_address_ipv4(0x0A00000B + i, 0);

        g_assert_true(ph_address_equal(&n->reserved[i], &expected));
    }
}

static void a_prefix_inside_makes_a_network_of_its_own(void)
{
    g_autoptr(PlTopology) t =
        parse(INTERNET "[nat a]\noutside = internet\ninside = 10.0.0.0/24\nbehaviour = full-cone\n"
                       "[nat b]\noutside = a.inside\ninside = lan\nbehaviour = full-cone\n"
                       "[host alice]\nbehind = b\n[host bob]\non = internet, a.inside\n"
                       "[network lan]\nsubnet = 192.168.0.0/16\n");

    g_assert_cmpuint(t->networks->len, ==, 3);
    g_assert_cmpstr(((PlNetwork *)t->networks->pdata[2])->name, ==, "a.inside");
    g_assert_true(pl_topology_attachment(t, "alice")->network == pl_topology_network(t, "lan"));
    g_assert_true(pl_topology_network(t, "lan")->upstream == pl_topology_node(t, "b"));
    g_assert_null(pl_topology_network(t, "internet")->upstream);
    g_assert_nonnull(pl_topology_attachment(t, "bob.internet"));
    g_assert_nonnull(pl_topology_attachment(t, "bob.a.inside"));
    g_assert_null(pl_topology_attachment(t, "bob"));
}

typedef struct Preset {
    const char *keys;
    PlBehaviour behaviour;
} Preset;

static void presets_are_points_on_the_axes(void)
{
    static const Preset presets[] = {
        {"behaviour = full-cone",
         {.mapping = PL_MAPPING_ENDPOINT_INDEPENDENT,
          .filtering = PL_FILTERING_ENDPOINT_INDEPENDENT}},
        {"behaviour = restricted",
         {.mapping = PL_MAPPING_ENDPOINT_INDEPENDENT, .filtering = PL_FILTERING_ADDRESS_DEPENDENT}},
        {"behaviour = port-restricted",
         {.mapping = PL_MAPPING_ENDPOINT_INDEPENDENT,
          .filtering = PL_FILTERING_ADDRESS_AND_PORT_DEPENDENT}},
        {"behaviour = symmetric",
         {.mapping = PL_MAPPING_ADDRESS_AND_PORT_DEPENDENT,
          .filtering = PL_FILTERING_ADDRESS_AND_PORT_DEPENDENT,
          .port_allocation = PL_PORT_ALLOCATION_RANDOM}},
        {"behaviour = firewall",
         {.mapping = PL_MAPPING_NONE, .filtering = PL_FILTERING_ADDRESS_AND_PORT_DEPENDENT}},
        {"behaviour = full-cone\nmapping = address-dependent",
         {.mapping = PL_MAPPING_ADDRESS_DEPENDENT,
          .filtering = PL_FILTERING_ENDPOINT_INDEPENDENT,
          .port_allocation = PL_PORT_ALLOCATION_RANDOM}},
        {"behaviour = symmetric\nfiltering = endpoint-independent\nport-allocation = sequential",
         {.mapping = PL_MAPPING_ADDRESS_AND_PORT_DEPENDENT,
          .filtering = PL_FILTERING_ENDPOINT_INDEPENDENT,
          .port_allocation = PL_PORT_ALLOCATION_SEQUENTIAL}},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(presets); i++) {
        const PlBehaviour *expected = &presets[i].behaviour;
        g_autofree char *text =
            g_strconcat(INTERNET HUB "[host alice]\nbehind = home\n[nat home]\noutside = internet\n"
                                     "inside = 10.0.0.0/24\n",
                        presets[i].keys, "\n", NULL);
        g_autoptr(PlTopology) t = parse(text);
        const PlBehaviour *b = &pl_topology_node(t, "home")->behaviour;

        g_assert_cmpint(b->mapping, ==, expected->mapping);
        g_assert_cmpint(b->filtering, ==, expected->filtering);
        g_assert_cmpint(b->port_allocation, ==, expected->port_allocation);
        g_assert_cmpuint(b->udp_timeout_ns, ==, 120 * PL_NS_PER_S);
        g_assert_cmpint(b->unsolicited, ==, PL_UNSOLICITED_DROP);
        g_assert_cmpint(b->hairpin, ==, PL_HAIRPIN_NONE);
        g_assert_cmpint(b->pooling, ==, PL_POOLING_PAIRED);
        g_assert_cmpint(b->udp, ==, PL_PASS_YES);
        g_assert_cmpint(b->icmp, ==, PL_PASS_YES);
        g_assert_true(b->inbound_refresh);
        g_assert_cmpuint(b->port_first, ==, 1024);
        g_assert_cmpuint(b->port_last, ==, 65535);
        g_assert_cmpuint(b->block_size, ==, 0);
    }
}

/* internet - wall (firewall) - dmz - r (routes) - back; home NATs on back */
#define WALLED                                                                                     \
    INTERNET HUB "[network dmz]\nsubnet = 198.51.100.0/24\n[network back]\nsubnet = 10.0.0.0/16\n" \
                 "[nat wall]\noutside = internet\ninside = dmz\nbehaviour = firewall\n"            \
                 "[host r]\non = dmz, back\nroutes = yes\n[host web]\non = dmz\n"                  \
                 "[nat home]\noutside = back\ninside = 192.168.1.0/24\nbehaviour = full-cone\n"    \
                 "[host alice]\nbehind = home\n[host both]\non = home.inside, back\n"

static void routes_lead_through_routers_and_firewalls(void)
{
    g_autoptr(PlTopology) t = parse(WALLED);

    assert_routes(t, "hub", "198.51.100.0/24 via 203.0.113.3, 10.0.0.0/16 via 203.0.113.3");
    assert_routes(t, "web",
                  "203.0.113.0/24 via 198.51.100.1, 10.0.0.0/16 via 198.51.100.2, "
                  "0.0.0.0/0 via 198.51.100.1");
    assert_routes(t, "wall.outside", "");
    assert_routes(t, "wall.inside", "10.0.0.0/16 via 198.51.100.2");
    assert_routes(t, "r.dmz", "203.0.113.0/24 via 198.51.100.1, 0.0.0.0/0 via 198.51.100.1");
    assert_routes(t, "r.back", "");
    assert_routes(t, "home.outside",
                  "203.0.113.0/24 via 10.0.0.2, 198.51.100.0/24 via 10.0.0.2, "
                  "0.0.0.0/0 via 10.0.0.2");
    assert_routes(t, "home.inside", "");
    assert_routes(t, "alice", "0.0.0.0/0 via 192.168.1.1");
    /* Two ways out: the nearer one to the internet. */
    assert_routes(t, "both.home.inside", "");
    assert_routes(t, "both.back",
                  "203.0.113.0/24 via 10.0.0.2, 198.51.100.0/24 via 10.0.0.2, "
                  "0.0.0.0/0 via 10.0.0.2");
}

static void a_presence_of_the_lab_has_routes_too(void)
{
    g_autoptr(PlTopology) t = parse(WALLED);
    g_autoptr(GArray) inside =
        pl_topology_routes(t, pl_topology_network(t, "home.inside"), /* node= */ NULL);
    g_autoptr(GArray) back = pl_topology_routes(t, pl_topology_network(t, "back"), NULL);

    g_assert_cmpuint(inside->len, ==, 1);
    g_assert_cmpuint(g_array_index(inside, PlRoute, 0).destination.length, ==, 0);
    g_assert_cmpuint(back->len, ==, 3);
}

static void chains_name_what_lies_outwards(void)
{
    g_autoptr(PlTopology) t = parse(WALLED);

    assert_chain(t, "alice", "home wall");
    assert_chain(t, "both", "wall");
    assert_chain(t, "home", "wall");
    assert_chain(t, "wall", "");
    assert_chain(t, "hub", "");
    assert_chain(t, "r", "wall");
}

static void assert_reach(const PlTopology *topology, const char *name, const char *expected)
{
    g_autofree gboolean *reach = pl_topology_reach(topology, pl_topology_node(topology, name));
    g_autoptr(GString) seen = g_string_new(NULL);

    for (unsigned i = 0; i < topology->networks->len; i++)
        if (reach[i])
            g_string_append_printf(seen, "%s ", ((PlNetwork *)topology->networks->pdata[i])->name);
    g_assert_cmpstr(g_strchomp(seen->str), ==, expected);
}

static void a_node_reaches_its_zones_and_outwards(void)
{
    g_autoptr(PlTopology) t = parse(WALLED);

    assert_reach(t, "alice", "internet dmz back home.inside");
    assert_reach(t, "both", "internet dmz back home.inside");
    assert_reach(t, "home", "internet dmz back home.inside");
    assert_reach(t, "web", "internet dmz back");
    assert_reach(t, "hub", "internet dmz back");
}

/* Carrier and homes; two of these in one house with the same addresses. */
static void a_node_reaches_nothing_behind_another_nat(void)
{
    g_autoptr(PlTopology) t =
        parse(INTERNET HUB "[nat cgn]\noutside = internet\ninside = 100.64.0.0/16\n"
                           "behaviour = symmetric\n[nat a]\noutside = cgn.inside\n"
                           "inside = 192.168.1.0/24\nbehaviour = full-cone\n"
                           "[nat b]\noutside = cgn.inside\ninside = 192.168.1.0/24\n"
                           "behaviour = full-cone\n[nat c]\noutside = internet\n"
                           "inside = 192.168.1.0/24\nbehaviour = full-cone\n"
                           "[host alice]\nbehind = a\n[host bob]\nbehind = b\n"
                           "[host carol]\nbehind = c\n");

    assert_reach(t, "alice", "internet cgn.inside a.inside");
    assert_reach(t, "bob", "internet cgn.inside b.inside");
    assert_reach(t, "carol", "internet c.inside");
    assert_reach(t, "a", "internet cgn.inside a.inside");
    assert_reach(t, "hub", "internet");
}

static void assert_way_out(const PlTopology *topology, const char *host, const char *expected)
{
    const PlAttachment *way = pl_topology_way_out(topology, pl_topology_node(topology, host));

    g_assert_cmpstr(way->label, ==, expected);
}

static void a_host_goes_out_where_the_internet_is_nearest(void)
{
    g_autoptr(PlTopology) t = parse(WALLED);

    assert_way_out(t, "alice", "alice");
    assert_way_out(t, "both", "both.back");
    assert_way_out(t, "r", "r.dmz");
    assert_way_out(t, "hub", "hub");
}

static void homes_may_have_the_same_addresses(void)
{
    g_autoptr(PlTopology) t =
        parse(INTERNET "[nat a]\noutside = internet\ninside = 192.168.1.0/24\n"
                       "behaviour = full-cone\n[nat b]\noutside = internet\n"
                       "inside = 192.168.1.0/24\nbehaviour = full-cone\n"
                       "[host alice]\nbehind = a\n[host bob]\nbehind = b\n");

    assert_address(t, "alice", 0, "192.168.1.2");
    assert_address(t, "bob", 0, "192.168.1.2");
}

static void programs_links_and_steps_are_read(void)
{
    g_autoptr(PlTopology) t = parse(
        INTERNET HUB "[host a]\non = internet\nrun = sh -c 'echo \"a  b\"' ''\nready = line a b\n"
                     "[link a]\ndelay = 1.5ms\njitter = 500us\nloss = 0.0001%\nrate = 2.5mbit\n"
                     "mtu = 1400\n"
                     "[step 2]\nat = 1s\ndo = host a kill\n[step 1]\nat = 1s\n"
                     "do = link a down\n[step 3]\nat = 1ms\ndo = host hub run  ping -c 1 'x y'\n");
    const PlProgram *program = &pl_topology_node(t, "a")->program;
    const PlLink *link = &pl_topology_attachment(t, "a")->link;
    const PlStep *const *steps = (const PlStep *const *)t->steps->pdata;

    g_assert_cmpuint(g_strv_length(program->argv), ==, 4);
    g_assert_cmpstr(program->argv[2], ==, "echo \"a  b\"");
    g_assert_cmpstr(program->argv[3], ==, "");
    g_assert_cmpint(program->ready, ==, PL_READY_LINE);
    g_assert_cmpstr(program->ready_text, ==, "a b");
    g_assert_cmpuint(program->time_limit_ns, ==, 10 * PL_NS_PER_S);
    g_assert_cmpuint(link->delay_ns, ==, 1500000);
    g_assert_cmpuint(link->jitter_ns, ==, 500000);
    g_assert_cmpuint(link->loss_ppm, ==, 1);
    g_assert_cmpuint(link->rate_bps, ==, 2500000);
    g_assert_cmpuint(link->mtu_bytes, ==, 1400);
    g_assert_cmpuint(t->steps->len, ==, 3);
    g_assert_cmpuint(steps[0]->number, ==, 3);
    g_assert_cmpstr(steps[0]->argv[3], ==, "x y");
    g_assert_cmpuint(steps[1]->number, ==, 1);
    g_assert_true(steps[1]->attachment == pl_topology_attachment(t, "a"));
    g_assert_cmpint(steps[2]->kind, ==, PL_STEP_HOST_KILL);
}

/* Read, printed and read again. */
static void quirks_and_impairments_are_read_and_printed(void)
{
    static const char nat[] = "symmetric-after = 4\nmapping-age = 60s\nicmp-drops-mapping = yes\n"
                              "mapping-rate = 20\nport-parity = yes\nport-step = 2\n";
    static const char link[] = "delay = 20ms\njitter = 5ms\nloss = 2%\nloss-burst = 3\n"
                               "duplicate = 1%\nreorder = 0.5%\nrate = 10mbit\nqueue = 50\n";
    g_autofree char *text =
        g_strconcat(INTERNET HUB "[host alice]\nbehind = home\n[nat home]\noutside = internet\n"
                                 "inside = 10.0.0.0/24\nbehaviour = full-cone\n"
                                 "port-allocation = sequential\n",
                    nat, "[link alice]\n", link, "[link hub]\nloss-mask = 0010\n", NULL);
    g_autoptr(PlTopology) first = parse(text);
    g_autofree char *printed = pl_topology_print(first);
    g_autoptr(PlTopology) t = parse(printed);
    const PlQuirks *quirks = &pl_topology_node(t, "home")->behaviour.quirks;
    const PlLink *hub = &pl_topology_attachment(t, "hub")->link;
    g_autoptr(GPtrArray) names = pl_quirks_names(quirks);

    g_assert_nonnull(strstr(printed, nat));
    g_assert_nonnull(strstr(printed, link));
    g_assert_cmpuint(quirks->symmetric_after, ==, 4);
    g_assert_cmpuint(quirks->mapping_age_ns, ==, 60 * PL_NS_PER_S);
    g_assert_true(quirks->icmp_drops && quirks->port_parity);
    g_assert_false(quirks->early_reuse || quirks->first_packet_lost || quirks->rewrite_payload);
    g_assert_cmpuint(names->len, ==, 6);
    g_assert_cmpstr(g_ptr_array_index(names, 0), ==, "symmetric-after");
    g_assert_cmpuint(hub->loss_mask_bits, ==, 4);
    g_assert_cmpuint(hub->loss_mask, ==, 4);
}

static void forwards_find_their_hosts(void)
{
    g_autoptr(PlTopology) t =
        parse(INTERNET HUB "[host alice]\nbehind = home\n[nat home]\noutside = internet\n"
                           "inside = 10.0.0.0/24\nbehaviour = full-cone\n"
                           "forward = udp 5000 -> alice:6000, tcp  80 ->  10.0.0.2:8080\n");
    const GArray *forwards = pl_topology_node(t, "home")->forwards;
    PhAddress first = ph_address_ipv4(0x0A000002, 6000), second = ph_address_ipv4(0x0A000002, 8080);

    g_assert_cmpuint(forwards->len, ==, 2);
    g_assert_true(ph_address_equal(&g_array_index(forwards, PlForward, 0).inside, &first));
    g_assert_cmpint(g_array_index(forwards, PlForward, 1).protocol, ==, PL_PROTOCOL_TCP);
    g_assert_true(ph_address_equal(&g_array_index(forwards, PlForward, 1).inside, &second));
}

static void comments_and_spaces_change_nothing(void)
{
    g_autoptr(PlTopology) t = parse("# top\r\n\r\n  [topology]  \r\n\ttitle=  a = b # c \r\n"
                                    "[network n]\nsubnet=10.0.0.0/24\n # indented\n"
                                    "[host a]\non=n\n[host b]\non =n");

    g_assert_cmpstr(t->title, ==, "a = b # c");
    g_assert_cmpstr(t->name, ==, "where");
    g_assert_cmpstr(t->path, ==, "some/where.ini");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, function) g_test_add_func("/topology/" path, function)
    ADD("addresses-fill-the-gaps-in-file-order", addresses_fill_the_gaps_in_file_order);
    ADD("the-last-four-addresses-are-the-labs", the_last_four_addresses_are_the_labs);
    ADD("a-prefix-inside-makes-a-network-of-its-own", a_prefix_inside_makes_a_network_of_its_own);
    ADD("presets-are-points-on-the-axes", presets_are_points_on_the_axes);
    ADD("routes-lead-through-routers-and-firewalls", routes_lead_through_routers_and_firewalls);
    ADD("a-presence-of-the-lab-has-routes-too", a_presence_of_the_lab_has_routes_too);
    ADD("chains-name-what-lies-outwards", chains_name_what_lies_outwards);
    ADD("a-node-reaches-its-zones-and-outwards", a_node_reaches_its_zones_and_outwards);
    ADD("a-node-reaches-nothing-behind-another-nat", a_node_reaches_nothing_behind_another_nat);
    ADD("a-host-goes-out-where-the-internet-is-nearest",
        a_host_goes_out_where_the_internet_is_nearest);
    ADD("homes-may-have-the-same-addresses", homes_may_have_the_same_addresses);
    ADD("programs-links-and-steps-are-read", programs_links_and_steps_are_read);
    ADD("quirks-and-impairments-are-read-and-printed", quirks_and_impairments_are_read_and_printed);
    ADD("forwards-find-their-hosts", forwards_find_their_hosts);
    ADD("comments-and-spaces-change-nothing", comments_and_spaces_change_nothing);
    return g_test_run();
}
