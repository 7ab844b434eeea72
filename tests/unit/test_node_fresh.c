/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sockets that are fresh, and places that are looked up again, where an old one is of no use. */
#include "../../lib/core/node_private.h"
#include "node_world.h"

static const char cone[] = "behaviour = port-restricted";
/* Takes in a packet that comes too early, and then leads its host's out by another port. */
static const char poisoned[] = "behaviour = port-restricted\nunsolicited = accept";
static const char sequential[] = "behaviour = symmetric\nport-allocation = sequential";

/* In the first attempt nothing of that host's gets out, so that its router hears the other one
 * first. It is well afterwards, but its router does not forget so soon: the second attempt fails as
 * well. Two fresh ports know nothing of that. */
static void check_poisoned(const char *host, const char *alice, const char *bob)
{
    const char *const hosts[] = {"bob", bob, "node", "alice", alice, "node --connect bob", NULL};
    g_auto(World) world = {0};
    const PhNodeCounters *counters;

    world_init(&world, hosts, "");
    world_start(&world, "bob");
    world_pass(&world, 10 * S);
    world.mute = host;
    world_start(&world, "alice");
    counters = world_counters(&world, "alice");
    while (counters->punches_timed_out == 0)
        world_pass(&world, 10 * MS);
    world.mute = NULL;
    world_pass(&world, 12 * S);
    assert_path(&world, "alice", PH_PATH_PUNCHED);
    assert_path(&world, "bob", PH_PATH_PUNCHED);
    g_assert_cmpuint(counters->punches_attempted, >=, 3);
    g_assert_cmpuint(counters->punches_attempted, <=, 4);
    g_assert_cmpuint(counters->punches_succeeded, ==, 1);
    world_stream(&world, "alice", 0, 10, 100 * MS);
    world_stream(&world, "bob", 0, 10, 100 * MS);
    world_pass(&world, S);
    assert_all_once(&world, "bob", 10);
    assert_all_once(&world, "alice", 10);
}

static void test_the_asker_s_router_is_poisoned(void)
{
    check_poisoned("alice", poisoned, cone);
}

static void test_the_other_one_s_router_is_poisoned(void)
{
    check_poisoned("bob", cone, poisoned);
}

static void test_both_are(void)
{
    check_poisoned("alice", poisoned, poisoned);
    check_poisoned("bob", poisoned, poisoned);
}

/* Others behind bob's NAT have made far more mappings than are tried, since he registered. */
static void check_sequence(const char *alice, const char *bob, const char *busy)
{
    const char *const hosts[] = {"bob", bob, "node", "alice", alice, "node --connect bob", NULL};
    g_autofree char *carol =
        g_strdup_printf("[host carol]\nbehind = nat-%s\nrun = classify\n", busy);
    g_auto(World) world = {0};

    world_init(&world, hosts, carol);
    world_start(&world, "bob");
    world_pass(&world, 10 * S);
    for (guint i = 0; i < 12; i++) {
        world_start(&world, "carol");
        world_pass(&world, 8 * S);
        world_kill(&world, "carol");
        pl_seat_free(g_steal_pointer(
            &world.lab->nodes[pl_topology_node(world.topology, "carol")->index].program));
    }
    world_start(&world, "alice");
    world_pass(&world, 10 * S);
    assert_path(&world, "alice", PH_PATH_PUNCHED);
    assert_path(&world, "bob", PH_PATH_PUNCHED);
    g_assert_cmpuint(world_counters(&world, "alice")->punches_attempted, ==, 1);
}

static void test_a_sequence_is_looked_up_again(void)
{
    check_sequence(cone, sequential, "bob");
    check_sequence(sequential, sequential, "bob");
}

/* Behind one NAT, whatever it is like: by the addresses that they have inside. */
static void test_neighbours(void)
{
    static const char *const nats[] = {
        "behaviour = port-restricted\nhairpin = none",
        "behaviour = port-restricted\nhairpin = external-source",
        "behaviour = full-cone\nhairpin = internal-source",
        "behaviour = symmetric\nhairpin = none",
        "behaviour = symmetric\nport-allocation = sequential",
        "behaviour = symmetric\nport-allocation = block\nblock-size = 2048",
    };
    const char *const nobody[] = {NULL};

    for (guint i = 0; i < G_N_ELEMENTS(nats); i++) {
        g_autofree char *rest =
            g_strdup_printf("[nat home]\noutside = internet\ninside = 192.168.1.0/24\n%s\n"
                            "[host alice]\nbehind = home\nrun = node --connect bob\n"
                            "[host bob]\nbehind = home\nrun = node\n",
                            nats[i]);
        g_auto(World) world = {0};
        PhAddress inside;

        world_init(&world, nobody, rest);
        world_start(&world, "bob");
        world_pass(&world, 10 * S);
        world_start(&world, "alice");
        world_pass(&world, 20 * S);
        for (guint k = 0; k < 2; k++) {
            PhNodePeer peer = world_peer(&world, k ? "alice" : "bob");

            g_test_message("%s", nats[i]);
            g_assert_cmpstr(ph_path_kind_name(peer.path), ==, "direct");
            g_assert_true(ph_address_parse("192.168.1.0", &inside));
            g_assert_true(memcmp(peer.address.bytes, inside.bytes, 3) == 0);
        }
        g_assert_cmpuint(world_counters(&world, "alice")->punches_attempted, ==, 1);
    }
}

/* The path was suspect for as long as it takes to get ready: the socket goes, and nobody is told of
 * where it is seen any more. */
static void test_what_is_not_needed_after_all_goes(void)
{
    g_auto(World) world = {0};
    PhNode *alice;
    PhPeer *peer;

    world_meet(&world, sequential, sequential);
    assert_path(&world, "alice", PH_PATH_PUNCHED);
    alice = world_node(&world, "alice");
    peer = ph_node_peer_by_key(alice, ph_node_public_key(world_node(&world, "bob")));
    peer->direct.detector.health = PH_SUSPECT;
    peer->next_attempt_ns = world.lab->now;
    ph_node_handle_timeout(alice, world.lab->now);
    pl_seat_pump(world_seat(&world, "alice"));
    g_assert_cmpuint(alice->n_prepared, ==, 1);
    peer->direct.detector.health = PH_HEALTHY;
    world_pass(&world, 30 * S);
    g_assert_cmpuint(world_counters(&world, "alice")->punches_attempted, ==, 1);
    g_assert_cmpuint(alice->n_prepared, ==, 0);
    g_assert_false(peer->prepared.asks);
    for (guint i = 1; i < alice->record.n_candidates; i++)
        g_assert_cmpuint(alice->record.candidates[i].kind, !=, PH_CANDIDATE_REFLEXIVE);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/node/fresh/the asker's router is poisoned",
                    test_the_asker_s_router_is_poisoned);
    g_test_add_func("/node/fresh/the other one's router is poisoned",
                    test_the_other_one_s_router_is_poisoned);
    g_test_add_func("/node/fresh/both are", test_both_are);
    g_test_add_func("/node/fresh/a sequence is looked up again",
                    test_a_sequence_is_looked_up_again);
    g_test_add_func("/node/fresh/neighbours", test_neighbours);
    g_test_add_func("/node/fresh/what is not needed after all goes",
                    test_what_is_not_needed_after_all_goes);
    return g_test_run();
}
