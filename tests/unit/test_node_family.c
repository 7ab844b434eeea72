/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Nodes that have both families of addresses: a NAT for IPv4, a firewall for IPv6, a hub that is
 * reached by each. 20 ms from each node to the hub and to the other one.
 *
 *     alice --- nat-alice ---+--- internet ----+--- nat-bob --- bob
 *         \                  hub               |               /
 *          +--- six-alice ---+--- internet6 ---+--- six-bob --+
 */
#include "../../lib/core/node_private.h"
#include "../../lib/core/station_private.h"
#include "node_world.h"

#define ROUND_MS 40

static const char cone[] = "behaviour = port-restricted";
static const char symmetric[] = "behaviour = symmetric";
static const char firewall[] = "behaviour = firewall";

/* What is lost of nodes' packets: those of a family, to each other or to anybody. */
typedef struct Holes {
    uint8_t between, all; /* PhFamily */
} Holes;

static gboolean loses(gpointer data, const PlNode *host, const guint8 *bytes,
                      gsize length G_GNUC_UNUSED)
{
    static const guint8 hub6[] = {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    const Holes *holes = data;
    const uint8_t family = bytes[0] >> 4;
    gboolean to_hub = family == PH_FAMILY_IPV4
                          ? bytes[16] == 203 && (bytes[19] == 10 || bytes[19] == 11)
                          : memcmp(bytes + 24, hub6, sizeof(hub6)) == 0;

    if (!host || strcmp(host->name, "hub") == 0)
        return FALSE;
    return family == holes->all || (family == holes->between && !to_hub);
}

static void add_home(GString *text, const char *name, unsigned number, const char *nat,
                     const char *six, const char *run, gboolean six_first)
{
    g_string_append_printf(
        text,
        "[nat nat-%s]\noutside = internet\ninside = 192.168.%u.0/24\n%s\n"
        "[nat six-%s]\noutside = internet6\ninside = 2001:db8:%u::/64\n%s\n"
        "[host %s]\non = %s-%s.inside, %s-%s.inside\nrun = %s\n"
        "[link %s.nat-%s.inside]\ndelay = 10ms\n[link %s.six-%s.inside]\ndelay = 10ms\n",
        name, number, nat, name, number, six, name, six_first ? "six" : "nat", name,
        six_first ? "nat" : "six", name, run, name, name, name, name);
}

/* Alice and bob behind such routers, and holes from the beginning. Bob may reach the hub by IPv6.
 */
static void world_homes(World *world, Holes *holes, const char *nat, const char *six,
                        gboolean bob_six)
{
    g_autoptr(GString) text =
        g_string_new("[topology]\ntitle = t\n"
                     "[network internet]\nsubnet = 203.0.113.0/24\n"
                     "[network internet6]\nsubnet = 2001:db8::/64\n"
                     "[host hub]\non = internet, internet6\n"
                     "addresses = 203.0.113.10, 203.0.113.11, 2001:db8::10, 2001:db8::11\n"
                     "run = hub --listen 203.0.113.10 --listen 203.0.113.11 --listen 2001:db8::10 "
                     "--listen 2001:db8::11\n"
                     "[link hub.internet]\ndelay = 10ms\n[link hub.internet6]\ndelay = 10ms\n");

    add_home(text, "alice", 1, nat, six, "node --connect bob", FALSE);
    add_home(text, "bob", 2, nat, six, "node", bob_six);
    world_parse(world, text->str);
    world->lab->loses = loses;
    world->lab->loses_data = holes;
    world_start(world, "bob");
    world_pass(world, 10 * S);
    world_start(world, "alice");
    world_pass(world, 5 * S);
}

static void assert_by(World *world, PhPathKind path, uint8_t family, const char *reason)
{
    static const char *const hosts[] = {"alice", "bob"};

    for (guint i = 0; i < G_N_ELEMENTS(hosts); i++) {
        PhNodePeer peer = world_peer(world, hosts[i]);

        assert_path(world, hosts[i], path);
        g_assert_cmpuint(peer.address.family, ==, family);
        g_assert_cmpstr(peer.reason, ==, reason);
    }
}

/* And no later than without IPv4: the first attempt has both. */
static void test_two_homes_meet_by_ipv6(void)
{
    g_auto(World) world = {0};
    Holes holes = {0};
    PhNodeSelf self;

    world_homes(&world, &holes, cone, firewall, FALSE);
    assert_by(&world, PH_PATH_PUNCHED, PH_FAMILY_IPV6, "other-family");
    g_assert_cmpfloat(world_when(&world, "alice", 0, "path", "punched"), <=, 6 * ROUND_MS);
    g_assert_cmpuint(world_counters(&world, "alice")->punches_attempted, ==, 1);
    ph_node_self(world_node(&world, "alice"), &self);
    g_assert_cmpuint(self.seen.family, ==, PH_FAMILY_IPV4);
    g_assert_cmpuint(self.beside.family, ==, PH_FAMILY_IPV6);
}

static void test_ipv6_alone_is_enough(void)
{
    g_auto(World) world = {0};
    Holes holes = {.between = PH_FAMILY_IPV4};

    world_homes(&world, &holes, cone, firewall, FALSE);
    assert_by(&world, PH_PATH_PUNCHED, PH_FAMILY_IPV6, "other-family");
    world_stream(&world, "alice", 0, 100, 10 * MS);
    world_pass(&world, S);
    assert_all_once(&world, "bob", 100);
}

/* IPv6 that leads to the hub and not to the peer, and IPv6 that leads nowhere: IPv4 waits for it,
 * but not for long. */
static void test_ipv4_is_taken_where_ipv6_does_not_work(void)
{
    static const struct {
        Holes holes;
        double wait_ms;
    } cases[] = {{{.between = PH_FAMILY_IPV6}, 150}, {{.all = PH_FAMILY_IPV6}, 300}};

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(World) world = {0};
        Holes holes = cases[i].holes;

        world_homes(&world, &holes, cone, firewall, FALSE);
        assert_by(&world, PH_PATH_PUNCHED, PH_FAMILY_IPV4, "punch");
        g_assert_cmpfloat(world_when(&world, "alice", 0, "path", "punched"), <=,
                          6 * ROUND_MS + cases[i].wait_ms);
        g_assert_cmpuint(world_counters(&world, "alice")->punches_attempted, ==, 1);
    }
}

/* Where a firewall lets everybody in, that is no punch: a record says so as soon as it is known. */
static void test_an_open_family_is_direct(void)
{
    g_auto(World) world = {0};
    Holes holes = {0};

    world_homes(&world, &holes, cone, "mapping = none\nfiltering = endpoint-independent", FALSE);
    assert_by(&world, PH_PATH_DIRECT, PH_FAMILY_IPV6, "other-family");
}

/* What would be relayed by IPv4 alone, or take hundreds of packets. */
static void test_symmetric_homes_meet_by_ipv6(void)
{
    g_auto(World) world = {0};
    Holes holes = {0};

    world_homes(&world, &holes, symmetric, firewall, FALSE);
    assert_by(&world, PH_PATH_PUNCHED, PH_FAMILY_IPV6, "other-family");
}

/* A path that fails: the next one is of the family that still works. */
static void test_a_family_that_fails_is_left(void)
{
    g_auto(World) world = {0};
    Holes holes = {0};

    world_homes(&world, &holes, cone, firewall, FALSE);
    assert_by(&world, PH_PATH_PUNCHED, PH_FAMILY_IPV6, "other-family");
    holes.between = PH_FAMILY_IPV6;
    world_stream(&world, "alice", 0, 300, 100 * MS);
    assert_by(&world, PH_PATH_PUNCHED, PH_FAMILY_IPV4, "punch");
}

/* The one reaches the hub by IPv4, the other by IPv6. */
static void test_each_by_its_own_family_meet(void)
{
    g_auto(World) world = {0};
    Holes holes = {0};
    PhNodeSelf self;

    world_homes(&world, &holes, cone, firewall, TRUE);
    assert_by(&world, PH_PATH_PUNCHED, PH_FAMILY_IPV6, "other-family");
    ph_node_self(world_node(&world, "bob"), &self);
    g_assert_cmpuint(self.seen.family, ==, PH_FAMILY_IPV6);
    g_assert_cmpuint(self.beside.family, ==, PH_FAMILY_IPV4);
}

/* Who has lost his addresses there says so, and what is left is tried: at once, and nothing of what
 * she says is lost. */
static void test_an_address_that_is_lost_is_not_told(void)
{
    g_auto(World) world = {0};
    PhAddress locals[1];
    Holes holes = {0};
    PhNodeSelf self;

    world_homes(&world, &holes, cone, firewall, FALSE);
    g_assert_true(ph_address_parse("192.168.1.2", &locals[0]));
    holes.all = PH_FAMILY_IPV6;
    ph_node_network_changed(world_node(&world, "alice"), locals, 1, world.lab->now);
    pl_seat_pump(world_seat(&world, "alice"));
    world_stream(&world, "alice", 0, 100, 10 * MS);
    world_pass(&world, S);
    assert_all_once(&world, "bob", 100);
    ph_node_self(world_node(&world, "alice"), &self);
    g_assert_cmpuint(self.beside.family, ==, PH_FAMILY_NONE);
    g_assert_cmpstr(self.hub_state, ==, "registered");
    assert_by(&world, PH_PATH_PUNCHED, PH_FAMILY_IPV4, "punch");
    g_assert_cmpuint(world_count(&world, "alice", "hub-lost", NULL), ==, 0);
}

/* The same without being told: five questions in a row that nobody answers. */
static void test_a_family_that_falls_silent_is_not_told(void)
{
    g_auto(World) world = {0};
    Holes holes = {0};
    PhNodeSelf self;

    world_homes(&world, &holes, cone, firewall, FALSE);
    world_pass(&world, 120 * S); /* it is kept alive */
    ph_node_self(world_node(&world, "alice"), &self);
    g_assert_cmpuint(self.beside.family, ==, PH_FAMILY_IPV6);
    holes.all = PH_FAMILY_IPV6;
    world_pass(&world, 40 * S);
    ph_node_self(world_node(&world, "alice"), &self);
    g_assert_cmpuint(self.beside.family, ==, PH_FAMILY_NONE);
    holes.all = 0;
    world_pass(&world, 70 * S);
    ph_node_self(world_node(&world, "alice"), &self);
    g_assert_cmpuint(self.beside.family, ==, PH_FAMILY_IPV6);
}

static void move_hub(World *world, const char *host, const char *address)
{
    PhAddress hub;

    g_assert_true(ph_address_parse(address, &hub));
    hub.port = 3478;
    ph_node_hub_at(world_node(world, host), &hub, world->lab->now);
    pl_seat_pump(world_seat(world, host));
}

/* A hub's name may lead to both families, and which of them is asked changes. The class is about
 * the one that it is reached by, also of who was just finding out the other one's. */
static void test_a_class_is_of_the_family_of_the_hub(void)
{
    g_auto(World) world = {0};
    Holes holes = {0};
    PhNodeSelf self;

    world_homes(&world, &holes, symmetric, firewall, FALSE);
    for (guint i = 0; i < 4; i++) {
        move_hub(&world, "alice", i % 2 ? "203.0.113.10" : "2001:db8::10");
        world_pass(&world, i < 2 ? 20 * S : 200 * MS);
        ph_node_self(world_node(&world, "alice"), &self);
        g_assert_cmpuint(self.seen.family, ==, i % 2 ? PH_FAMILY_IPV4 : PH_FAMILY_IPV6);
        if (i < 2)
            g_assert_cmpstr(ph_class_name(self.nat_class), ==, i % 2 ? "symmetric" : "firewall");
    }
    world_pass(&world, 20 * S);
    ph_node_self(world_node(&world, "alice"), &self);
    g_assert_cmpstr(ph_class_name(self.nat_class), ==, "symmetric");
    g_assert_cmpuint(self.external.family, ==, PH_FAMILY_IPV4);
}

static gboolean is_told(const PhNodeRecord *record, uint8_t family)
{
    for (guint i = 0; i < record->n_candidates; i++)
        if (record->candidates[i].address.family == family)
            return TRUE;
    return FALSE;
}

/* The hub has begun anew, and has no such address any more: nobody is told of one that we had. */
static void test_a_hub_that_has_left_a_family(void)
{
    g_auto(World) world = {0};
    Holes holes = {.between = PH_FAMILY_IPV6};
    PhStation *station;
    const PhPeer *alice;

    world_homes(&world, &holes, cone, firewall, FALSE);
    station = pl_hub_agent_station(pl_seat_agent(world_seat(&world, "hub")));
    alice = ph_node_peer_by_key(world_node(&world, "bob"),
                                ph_node_public_key(world_node(&world, "alice")));
    g_assert_true(is_told(&alice->record, PH_FAMILY_IPV6));
    memset(station->config.addresses, 0, sizeof(station->config.addresses));
    ph_node_hub_begin(world_node(&world, "alice"));
    pl_seat_pump(world_seat(&world, "alice"));
    world_pass(&world, 5 * S);
    g_assert_false(is_told(&world_node(&world, "alice")->record, PH_FAMILY_IPV6));
    g_assert_false(is_told(&alice->record, PH_FAMILY_IPV6));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/node/family/two homes meet by IPv6", test_two_homes_meet_by_ipv6);
    g_test_add_func("/node/family/IPv6 alone is enough", test_ipv6_alone_is_enough);
    g_test_add_func("/node/family/IPv4 is taken where IPv6 does not work",
                    test_ipv4_is_taken_where_ipv6_does_not_work);
    g_test_add_func("/node/family/an open family is direct", test_an_open_family_is_direct);
    g_test_add_func("/node/family/symmetric homes meet by IPv6", test_symmetric_homes_meet_by_ipv6);
    g_test_add_func("/node/family/a family that fails is left", test_a_family_that_fails_is_left);
    g_test_add_func("/node/family/each by its own family, they meet",
                    test_each_by_its_own_family_meet);
    g_test_add_func("/node/family/an address that is lost is not told",
                    test_an_address_that_is_lost_is_not_told);
    g_test_add_func("/node/family/a family that falls silent is not told",
                    test_a_family_that_falls_silent_is_not_told);
    g_test_add_func("/node/family/a class is of the family of the hub",
                    test_a_class_is_of_the_family_of_the_hub);
    g_test_add_func("/node/family/a hub that has left a family", test_a_hub_that_has_left_a_family);
    return g_test_run();
}
