/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Peers that mediate and relay, and those who would misuse them, or be misused by them. */
#include "../../lib/core/node_private.h"
#include "node_world.h"

static const char cone[] = "behaviour = port-restricted";
static const char symmetric[] = "behaviour = symmetric";

/* 20 ms from each to each. */
#define ROUND (40 * MS)
/* An attempt's probes; what is believed of a pair at once, and then in a second. */
#define CHECKS   100
#define AT_ONCE  6
#define A_SECOND 5

/* alice and bob behind NATs, and a friend on the internet that both talk to directly. */
static void world_befriend(World *world, const char *nat, const char *name, const char *run)
{
    const char *const hosts[] = {"bob", nat, "node", "alice", nat, "node", name, "open", run, NULL};

    world_init(world, hosts, "[host victim]\non = internet\n");
    world->watched =
        g_array_index(pl_topology_attachment(world->topology, "victim")->addresses, PhAddress, 0);
    world_start(world, name);
    world_start(world, "bob");
    world_start(world, "alice");
    world_pass(world, 5 * S);
    world_connect(world, "alice", name, NULL);
    world_connect(world, "bob", name, NULL);
    world_connect(world, "alice", "bob", NULL);
    world_pass(world, 20 * S);
    assert_path_to(world, "alice", name, PH_PATH_DIRECT);
    assert_path_to(world, "bob", name, PH_PATH_DIRECT);
}

static PhPeer *peer_of(World *world, const char *host, const char *other)
{
    PhPeer *peer =
        ph_node_peer_by_key(world_node(world, host), ph_node_public_key(world_node(world, other)));

    g_assert_nonnull(peer);
    return peer;
}

/* Straight, inside their session; whatever the node itself would say. */
static void say(World *world, const char *host, const char *to, const PhMessage *message)
{
    const PhPeer *peer = peer_of(world, host, to);

    world_node(world, host)->now = world->lab->now;
    g_assert_true(
        ph_node_tell(world_node(world, host), peer->session, &peer->direct.route, message));
    pl_seat_pump(world_seat(world, host));
}

static void set_key(World *world, const char *host, guint8 *ret_key)
{
    memcpy(ret_key, ph_node_public_key(world_node(world, host)), PH_NODE_KEY_BYTES);
}

/* INTRODUCED: bob is told that alice is at the victim's, too, behind such a NAT. */
static PhMessage lie(World *world, PhClass nat_class)
{
    PhMessage message = {.kind = PH_MESSAGE_INTRODUCED};

    set_key(world, "alice", message.introduced.key);
    message.introduced.attempt = 1;
    message.introduced.record = peer_of(world, "bob", "alice")->record;
    message.introduced.record.sequence += 1000;
    message.introduced.record.nat_class = (uint8_t)nat_class;
    if (nat_class == PH_CLASS_SYMMETRIC) {
        message.introduced.record.mapping = PH_MAPPING_ADDRESS_AND_PORT_DEPENDENT;
        message.introduced.record.filtering = PH_FILTERING_ADDRESS_AND_PORT_DEPENDENT;
        message.introduced.record.port_allocation = PH_PORT_ALLOCATION_RANDOM;
    }
    message.introduced.record.n_candidates = PH_CANDIDATES_MAX;
    message.introduced.record.candidates[0] = (PhCandidate){
        PH_CANDIDATE_REFLEXIVE, peer_of(world, "bob", "alice")->direct.route.path.remote};
    for (guint i = 1; i < PH_CANDIDATES_MAX; i++) {
        PhCandidate *candidate = &message.introduced.record.candidates[i];

        candidate->kind = (uint8_t)(i % 2 ? PH_CANDIDATE_REFLEXIVE : PH_CANDIDATE_LOCAL);
        candidate->address = world->watched;
        candidate->address.port = (guint16)(1000 + i);
    }
    return message;
}

/* Alice says so herself. */
static void confirm_lie(World *world, PhClass nat_class)
{
    PhMessage update = {.kind = PH_MESSAGE_UPDATE};
    const PhPeer *bob = peer_of(world, "alice", "bob");

    update.record = lie(world, nat_class).introduced.record;
    g_assert_true(
        ph_node_tell(world_node(world, "alice"), bob->session, &bob->used->route, &update));
    pl_seat_pump(world_seat(world, "alice"));
    world_pass(world, S);
}

/* ---- N9 ---- */

/* A mediator that lies. The victim gets nothing, the pair nothing else than it has. */
static void test_N9_mediator_names_a_victim(void)
{
    g_auto(World) world = {0};

    world_befriend(&world, cone, "mallory", "node --relay");
    assert_path_to(&world, "bob", "alice", PH_PATH_PUNCHED);
    for (guint i = 0; i < 200; i++) {
        PhMessage message = lie(&world, PH_CLASS_PORT_RESTRICTED);

        say(&world, "mallory", "bob", &message);
        world_pass(&world, 100 * MS);
    }
    g_assert_cmpuint(world.n_watched, ==, 0);
    g_assert_cmpuint(world_counters(&world, "bob")->introductions_ignored, >, 0);
    assert_path_to(&world, "bob", "alice", PH_PATH_PUNCHED);
    g_assert_cmpuint(world_count(&world, "bob", "gone", NULL), ==, 0);
    world_stream_to(&world, "alice", "bob", 0, 20, 50 * MS);
    world_pass(&world, S);
    assert_all_once(&world, "bob", 20);
}

/* And one whose lie the peer confirms: there are few packets, and soon hardly any. */
static void test_N9_mediator_and_peer_name_a_victim(void)
{
    const guint seconds = 100;
    g_auto(World) world = {0};

    world_befriend(&world, cone, "mallory", "node --relay");
    confirm_lie(&world, PH_CLASS_PORT_RESTRICTED);
    for (guint i = 0; i < seconds * 10; i++) {
        PhMessage message = lie(&world, PH_CLASS_PORT_RESTRICTED);

        say(&world, "mallory", "bob", &message);
        world_pass(&world, 100 * MS);
    }
    g_assert_cmpuint(world.n_watched, >=, AT_ONCE * CHECKS / 2);
    g_assert_cmpuint(world.n_watched, <=, AT_ONCE * CHECKS + A_SECOND * seconds);
}

/* Nor are the many packets that a symmetric NAT would need sent anywhere but to where the hub has
 * seen alice, and there not often. */
static void test_N9_mediator_and_peer_want_many_packets(void)
{
    const guint seconds = 100;
    g_auto(World) world = {0};
    guint64 attempted;

    world_befriend(&world, cone, "mallory", "node --relay");
    attempted = world_counters(&world, "bob")->punches_attempted;
    for (guint i = 0; i < seconds; i++) {
        confirm_lie(&world, PH_CLASS_SYMMETRIC);
        for (guint k = 0; k < 10; k++) {
            PhMessage message = lie(&world, PH_CLASS_SYMMETRIC);

            if (i >= seconds / 2) /* the first one is where the packets would go */
                message.introduced.record.candidates[0] = message.introduced.record.candidates[1];
            say(&world, "mallory", "bob", &message);
        }
    }
    g_assert_cmpuint(world.n_watched, ==, 0);
    attempted = world_counters(&world, "bob")->punches_attempted - attempted;
    g_assert_cmpuint(attempted, >=, 2);
    g_assert_cmpuint(attempted, <=, 2 + seconds / 60);
}

/* A start that never comes keeps the two from nothing. */
static void test_N9_mediator_names_a_late_start(void)
{
    g_auto(World) world = {0};
    PhMessage message;
    guint64 attempted;

    world_befriend(&world, cone, "mallory", "node --relay");
    message = lie(&world, PH_CLASS_PORT_RESTRICTED);
    message.introduced.start_us = UINT32_MAX;
    attempted = world_counters(&world, "bob")->punches_attempted;
    say(&world, "mallory", "bob", &message);
    world_pass(&world, S);
    g_assert_cmpuint(world_counters(&world, "bob")->punches_attempted, ==, attempted + 1);
    g_assert_nonnull(peer_of(&world, "bob", "alice")->punch);
    world_pass(&world, 10 * S);
    g_assert_null(peer_of(&world, "bob", "alice")->punch);
}

/* A peer names a victim to a mediator that is honest, and to bob: it vouches for what it sees. */
static void test_N9_peer_names_a_victim_to_a_mediator(void)
{
    g_auto(World) world = {0};
    PhMessage message = {.kind = PH_MESSAGE_INTRODUCE};

    world_befriend(&world, cone, "mary", "node");
    confirm_lie(&world, PH_CLASS_PORT_RESTRICTED);
    message.introduce.request = 1000;
    message.introduce.attempt = 1;
    set_key(&world, "bob", message.introduce.key);
    for (guint i = 0; i < 20; i++) {
        message.introduce.record = lie(&world, PH_CLASS_PORT_RESTRICTED).introduced.record;
        message.introduce.record.sequence += i;
        say(&world, "alice", "mary", &message);
        world_pass(&world, 5 * S);
    }
    g_assert_cmpuint(world_counters(&world, "mary")->introductions, >=, 8);
    g_assert_cmpuint(world_counters(&world, "bob")->punches_attempted, >, 2);
    g_assert_cmpuint(world.n_watched, ==, 0);
}

/* A mediator that makes peers up does not fill the table, nor does it move who is there. */
static void test_N9_wanted_without_end(void)
{
    g_auto(World) world = {0};
    PhMessage message = {.kind = PH_MESSAGE_WANTED};
    PhNodePeer peer;
    guint n = 0;

    world_befriend(&world, cone, "mallory", "node --relay");
    for (guint i = 0; i < 1000; i++) {
        message.peer.channel = i + 1;
        for (guint k = 0; k < PH_NODE_KEY_BYTES; k++)
            message.peer.key[k] = (guint8)(i * 7 + k * 13 + i / 256);
        if (i % 10 == 0)
            set_key(&world, "alice", message.peer.key);
        say(&world, "mallory", "bob", &message);
        world_pass(&world, MS);
    }
    while (ph_node_peer(world_node(&world, "bob"), n, &peer))
        n++;
    g_assert_cmpuint(n, <=, 2 + 9);
    assert_path_to(&world, "bob", "alice", PH_PATH_PUNCHED);
    world_pass(&world, 60 * S);
    assert_path_to(&world, "bob", "alice", PH_PATH_PUNCHED);
    g_assert_cmpuint(world_count(&world, "bob", "path", "relayed"), <=, 2);
}

/* An answer to what was not asked, or not of the one who answers. */
static void test_N9_answers_to_nobody(void)
{
    g_auto(World) world = {0};
    PhMessage found = {.kind = PH_MESSAGE_FOUND}, refused = {.kind = PH_MESSAGE_REFUSED};
    PhPeer *alice;

    world_befriend(&world, symmetric, "mallory", "node --relay");
    assert_relayed(&world, "bob", "alice", "hub");
    alice = peer_of(&world, "alice", "bob");
    for (guint32 request = 1; request < 200; request++) {
        found.peer.request = refused.refused.request = request;
        found.peer.channel = 77;
        set_key(&world, "bob", found.peer.key);
        refused.refused.what = PH_MESSAGE_INTRODUCE;
        refused.refused.reason = PH_REASON_NO_MEDIATOR;
        alice->connect.request = alice->introduce.request = 100;
        alice->connect.via = alice->introduce.via = PH_NODE_VIA_HUB;
        say(&world, "mallory", "alice", &found);
        say(&world, "mallory", "alice", &refused);
        world_pass(&world, ROUND);
        g_assert_cmpuint(alice->connect.request, ==, 100);
        g_assert_cmpuint(alice->introduce.request, ==, 100);
    }
    assert_relayed(&world, "alice", "bob", "hub");
    g_assert_cmpuint(world_counters(&world, "alice")->punches_rejected, ==, 0);
}

/* ---- N10 ---- */

/* Eight at once, and then four in ten seconds; who has more is told why, a round trip later. */
static void assert_limited(World *world, const char *mediator, guint32 via)
{
    PhNode *node = world_node(world, "alice");
    PhMessage message = {.kind = PH_MESSAGE_INTRODUCE};
    PhPeer *bob = peer_of(world, "alice", "bob");
    guint64 rejected = node->counters.punches_rejected;

    set_key(world, "bob", message.introduce.key);
    message.introduce.record = node->record;
    message.introduce.attempt = 1;
    for (guint i = 0; i < 8; i++) {
        g_assert_true(ph_node_tell_via(node, via, &message));
        pl_seat_pump(world_seat(world, "alice"));
    }
    ph_node_ask_mediator(node, bob, via);
    pl_seat_pump(world_seat(world, "alice"));
    world_pass(world, ROUND - 1);
    g_assert_cmpuint(node->counters.punches_rejected, ==, rejected);
    world_pass(world, 1);
    g_assert_cmpuint(node->counters.punches_rejected, ==, rejected + 1);
    g_assert_cmpstr(bob->reason, ==, "too-many");
    g_test_message("%s", mediator);
}

static void test_N10_hub(void)
{
    g_auto(World) world = {0};
    guint64 introductions;

    world_befriend(&world, cone, "mary", "node");
    world_pass(&world, 60 * S);
    introductions = world_station(&world)->introductions;
    assert_limited(&world, "hub", PH_NODE_VIA_HUB);
    g_assert_cmpuint(world_station(&world)->introductions, ==, introductions + 8);
    g_assert_cmpuint(world_station(&world)->introductions_refused, ==, 1);
}

static void test_N10_peer(void)
{
    g_auto(World) world = {0};
    PhMessage message = {.kind = PH_MESSAGE_INTRODUCE};

    world_befriend(&world, cone, "mary", "node");
    assert_limited(&world, "mary", peer_of(&world, "alice", "mary")->via);
    g_assert_cmpuint(world_counters(&world, "mary")->introductions, ==, 8);
    g_assert_cmpuint(world_counters(&world, "mary")->introductions_refused, ==, 1);
    /* And bob may have as many. */
    set_key(&world, "alice", message.introduce.key);
    message.introduce.attempt = 1;
    say(&world, "bob", "mary", &message);
    world_pass(&world, ROUND);
    g_assert_cmpuint(world_counters(&world, "mary")->introductions, ==, 9);
    /* Then four in ten seconds, whoever goes on asking. */
    set_key(&world, "bob", message.introduce.key);
    for (guint i = 0; i < 1000; i++) {
        say(&world, "alice", "mary", &message);
        world_pass(&world, 100 * MS);
    }
    g_assert_cmpuint(world_counters(&world, "mary")->introductions, >=, 9 + 40 - 1);
    g_assert_cmpuint(world_counters(&world, "mary")->introductions, <=, 9 + 40 + 1);
}

/* Whoever has many keys at one address has four times as much with them, not more. */
static void test_N10_peers_at_one_address(void)
{
    static const char *const all[] = {"alice", "carol", "dave", "erin", "frank", "grace"};
    const char *const hosts[] = {"bob",  cone,   "node", "alice", cone,
                                 "node", "mary", "open", "node",  NULL};
    g_autoptr(GString) rest = g_string_new(NULL);
    g_auto(World) world = {0};
    PhMessage message = {.kind = PH_MESSAGE_INTRODUCE};

    for (guint i = 1; i < G_N_ELEMENTS(all); i++)
        g_string_append_printf(rest, "[host %s]\nbehind = nat-alice\nrun = node\n", all[i]);
    world_init(&world, hosts, rest->str);
    world_start(&world, "mary");
    world_start(&world, "bob");
    for (guint i = 0; i < G_N_ELEMENTS(all); i++)
        world_start(&world, all[i]);
    world_pass(&world, 5 * S);
    world_connect(&world, "bob", "mary", NULL);
    for (guint i = 0; i < G_N_ELEMENTS(all); i++)
        world_connect(&world, all[i], "mary", NULL);
    world_pass(&world, 20 * S);
    set_key(&world, "bob", message.introduce.key);
    message.introduce.attempt = 1;
    for (guint i = 0; i < G_N_ELEMENTS(all); i++)
        for (guint k = 0; k < 8; k++)
            say(&world, all[i], "mary", &message);
    world_pass(&world, ROUND);
    g_assert_cmpuint(world_counters(&world, "mary")->introductions, ==, 4 * 8);
    g_assert_cmpuint(world_counters(&world, "mary")->introductions_refused, ==, 2 * 8);
    say(&world, "bob", "mary", &message);
    set_key(&world, "alice", message.introduce.key);
    say(&world, "bob", "mary", &message);
    world_pass(&world, ROUND);
    g_assert_cmpuint(world_counters(&world, "mary")->introductions, ==, 4 * 8 + 1);
}

/* Who is refused for its own sake takes nothing from who has the same address. */
static void test_N10_one_of_two_at_one_address(void)
{
    const char *const hosts[] = {"bob",  cone,   "node", "alice", cone,
                                 "node", "mary", "open", "node",  NULL};
    g_auto(World) world = {0};
    PhMessage message = {.kind = PH_MESSAGE_INTRODUCE};

    world_init(&world, hosts, "[host carol]\nbehind = nat-alice\nrun = node\n");
    world_start(&world, "mary");
    world_start(&world, "bob");
    world_start(&world, "alice");
    world_start(&world, "carol");
    world_pass(&world, 5 * S);
    world_connect(&world, "bob", "mary", NULL);
    world_connect(&world, "alice", "mary", NULL);
    world_connect(&world, "carol", "mary", NULL);
    world_pass(&world, 20 * S);
    set_key(&world, "bob", message.introduce.key);
    message.introduce.attempt = 1;
    for (guint i = 0; i < 50; i++)
        say(&world, "alice", "mary", &message);
    world_pass(&world, ROUND);
    say(&world, "carol", "mary", &message);
    world_pass(&world, ROUND);
    g_assert_cmpuint(world_counters(&world, "mary")->introductions, ==, 8 + 1);
    g_assert_cmpuint(world_counters(&world, "mary")->introductions_refused, ==, 42);
}

/* ---- what is refused, and what relays carry ---- */

/* Alice asks mary, by hand; what she is refused for, a round trip later. */
static void assert_refused(World *world, const PhMessage *message, PhMessageKind what,
                           PhReason reason)
{
    PhNode *node = world_node(world, "alice");
    PhPeer *bob = peer_of(world, "alice", "bob");
    PhMessage asked = *message;

    bob->alone = false;
    bob->reason = NULL;
    if (what == PH_MESSAGE_INTRODUCE) {
        asked.introduce.request =
            ph_node_ask(node, &bob->introduce, peer_of(world, "alice", "mary")->via);
        bob->introduce.asked[0] = PH_NODE_VIA_HUB;
        bob->introduce.n_asked = PH_NODE_ASKED_MAX; /* nobody else is left */
    }
    say(world, "alice", "mary", &asked);
    world_pass(world, ROUND);
    g_assert_cmpstr(bob->reason, ==, ph_reason_name(reason));
}

/* Mary and alice are in one network, bob is not: what mary sees alice at is nothing for him. */
static void test_N9_no_address_of_another_network(void)
{
    const char *const hosts[] = {"bob", cone, "node", "alice", cone, "node", NULL};
    g_auto(World) world = {0};
    PhMessage message = {.kind = PH_MESSAGE_INTRODUCE};
    PhPeer *mary;

    world_init(&world, hosts, "[host mary]\nbehind = nat-alice\nrun = node\n");
    world_start(&world, "mary");
    world_start(&world, "bob");
    world_start(&world, "alice");
    world_pass(&world, 5 * S);
    world_connect(&world, "alice", "mary", NULL);
    world_connect(&world, "bob", "mary", NULL);
    world_connect(&world, "alice", "bob", NULL);
    world_pass(&world, 20 * S);
    mary = peer_of(&world, "alice", "mary");
    g_assert_true(mary->direct.there);
    g_assert_cmpuint(mary->direct.route.path.remote.bytes[0], ==, 192);
    set_key(&world, "bob", message.introduce.key);
    message.introduce.attempt = 1;
    message.introduce.record = world_node(&world, "alice")->record;
    assert_refused(&world, &message, PH_MESSAGE_INTRODUCE, PH_REASON_NO_MEDIATOR);
    g_assert_cmpuint(world_counters(&world, "mary")->introductions_refused, ==, 1);
    g_assert_cmpuint(world_counters(&world, "mary")->introductions, ==, 0);
}

/* A relay carries for its peers, to its peers, and so much; who is no relay carries nothing. */
static void assert_carried(const char *run, gboolean carries)
{
    g_auto(World) world = {0};
    PhMessage message = {.kind = PH_MESSAGE_RELAY};
    guint8 bytes[1000] = {0xc4};
    const PhNodeCounters *counters;
    guint64 before;

    world_befriend(&world, symmetric, "mary", run);
    counters = world_counters(&world, "mary");
    message.relay.bytes = bytes;
    message.relay.length = sizeof(bytes);
    for (guint channel = 0; channel < 100; channel++) {
        const PhPeer *bob = peer_of(&world, "mary", "bob");

        message.relay.channel = channel == bob->via ? 0 : channel;
        say(&world, "alice", "mary", &message);
        world_pass(&world, MS);
    }
    world_pass(&world, S);
    g_assert_cmpuint(counters->relayed, ==, 0);
    g_assert_cmpuint(counters->relay_dropped, ==, 100);
    message.relay.channel = peer_of(&world, "mary", "bob")->via;
    for (guint i = 0; i < 5000; i++) {
        say(&world, "alice", "mary", &message);
        world_pass(&world, MS / 5);
    }
    world_pass(&world, S);
    /* One second: a second's share at once, and another one. */
    before = counters->relayed_bytes;
    g_assert_cmpuint(before, <=, carries ? 2 * 1024 * 1024 + 100000 : 0);
    g_assert_cmpuint(before, >=, carries ? 2 * 1024 * 1024 - 100000 : 0);
    g_assert_cmpuint(counters->relayed * 1000, ==, before);
    g_assert_cmpuint(counters->relayed + counters->relay_dropped, ==, 5100);
}

static void test_relay_limits(void)
{
    assert_carried("node --relay", TRUE);
    assert_carried("node", FALSE);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/node/mediator/N9 a mediator names a victim", test_N9_mediator_names_a_victim);
    g_test_add_func("/node/mediator/N9 and the peer names it, too",
                    test_N9_mediator_and_peer_name_a_victim);
    g_test_add_func("/node/mediator/N9 nor does it get many packets",
                    test_N9_mediator_and_peer_want_many_packets);
    g_test_add_func("/node/mediator/N9 a mediator names a late start",
                    test_N9_mediator_names_a_late_start);
    g_test_add_func("/node/mediator/N9 a peer names a victim to a mediator",
                    test_N9_peer_names_a_victim_to_a_mediator);
    g_test_add_func("/node/mediator/N9 wanted without end", test_N9_wanted_without_end);
    g_test_add_func("/node/mediator/N9 answers to nobody", test_N9_answers_to_nobody);
    g_test_add_func("/node/mediator/N9 no address of another network",
                    test_N9_no_address_of_another_network);
    g_test_add_func("/node/mediator/N10 at a hub", test_N10_hub);
    g_test_add_func("/node/mediator/N10 at a peer", test_N10_peer);
    g_test_add_func("/node/mediator/N10 peers at one address", test_N10_peers_at_one_address);
    g_test_add_func("/node/mediator/N10 one of two at one address",
                    test_N10_one_of_two_at_one_address);
    g_test_add_func("/node/mediator/what a relay carries", test_relay_limits);
    return g_test_run();
}
