/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Nodes that mediate and relay for each other: who is asked, in what order, and what becomes of
 * pairs when hubs and relays die. */
#include "node_world.h"

static const char cone[] = "behaviour = port-restricted";
static const char symmetric[] = "behaviour = symmetric";
static const char block[] = "behaviour = symmetric\nport-allocation = block\nblock-size = 1008";
static const char sequential[] = "behaviour = symmetric\nport-allocation = sequential";
/* A router that is flushed gives other ports: the path that there was is gone. */
static const char drawn[] = "behaviour = port-restricted\nport-allocation = random";

/* alice and bob, behind NATs like that, and friends on the internet that are connected to both,
 * each run as said; all know each other by the hub. */
typedef struct Friend {
    const char *name, *run;
} Friend;

static void world_befriend(World *world, const char *alice, const char *bob, const Friend *friends,
                           guint n)
{
    g_autoptr(GPtrArray) hosts = g_ptr_array_new();
    const char *const first[] = {"bob", bob, "node", "alice", alice, "node"};

    for (guint i = 0; i < G_N_ELEMENTS(first); i++)
        g_ptr_array_add(hosts, (gpointer)first[i]);
    for (guint i = 0; i < n; i++) {
        g_ptr_array_add(hosts, (gpointer)friends[i].name);
        g_ptr_array_add(hosts, (gpointer) "open");
        g_ptr_array_add(hosts, (gpointer)friends[i].run);
    }
    g_ptr_array_add(hosts, NULL);
    world_init(world, (const char *const *)hosts->pdata, "");
    for (guint i = 0; i < n; i++)
        world_start(world, friends[i].name);
    world_start(world, "bob");
    world_start(world, "alice");
    world_pass(world, 5 * S);
    for (guint i = 0; i < n; i++) {
        world_connect(world, "alice", friends[i].name, NULL);
        world_connect(world, "bob", friends[i].name, NULL);
    }
    world_pass(world, 5 * S);
    for (guint i = 0; i < n; i++) {
        assert_path_to(world, "alice", friends[i].name, PH_PATH_DIRECT);
        assert_path_to(world, "bob", friends[i].name, PH_PATH_DIRECT);
    }
}

/* Both ways, after what is underway has come. */
static void assert_talking(World *world, const char *one, const char *other)
{
    static guint round;
    g_autofree char *text = g_strdup_printf("round %u", ++round);

    world_pass(world, S);
    world_send_to(world, one, other, text);
    world_send_to(world, other, one, text);
    world_pass(world, S);
    g_assert_cmpuint(world_count(world, one, "data", text), ==, 1);
    g_assert_cmpuint(world_count(world, other, "data", text), ==, 1);
}

/* ---- relays ---- */

/* N7 N23: the relay of a pair that has no direct path is killed; a common peer takes over, before
 * the pair counts as failed, and the hub again when it is there. */
static void relay_takes_over(const char *asker)
{
    static const Friend friends[] = {{"mary", "node --relay"}};
    g_auto(World) world = {0};
    guint64 relayed;

    world_befriend(&world, symmetric, symmetric, friends, 1);
    world_connect(&world, asker, strcmp(asker, "bob") == 0 ? "alice" : "bob", NULL);
    world_pass(&world, 5 * S);
    assert_relayed(&world, "alice", "bob", "hub");
    world_stream_to(&world, "alice", "bob", 0, 20, 100 * MS);
    world_kill(&world, "hub");
    world_stream_to(&world, "alice", "bob", 20, 100, 100 * MS);
    world_pass(&world, 2 * S);
    assert_relayed(&world, "alice", "bob", "mary");
    assert_relayed(&world, "bob", "alice", "mary");
    assert_talking(&world, "alice", "bob");
    g_assert_cmpuint(world_counters(&world, "mary")->relayed, >, 0);
    world_pass(&world, 300 * S);
    assert_relayed(&world, "alice", "bob", "mary");
    assert_talking(&world, "alice", "bob");
    g_assert_cmpuint(world_count(&world, "alice", "gone", NULL), ==, 0);
    g_assert_cmpuint(world_count(&world, "bob", "gone", NULL), ==, 0);
    world_restart(&world, "hub");
    world_pass(&world, 120 * S);
    assert_relayed(&world, "alice", "bob", "hub");
    assert_relayed(&world, "bob", "alice", "hub");
    relayed = world_counters(&world, "mary")->relayed;
    assert_talking(&world, "alice", "bob");
    world_pass(&world, 60 * S);
    g_assert_cmpuint(world_counters(&world, "mary")->relayed, ==, relayed);
    g_assert_cmpuint(world_count(&world, "alice", "gone", NULL), ==, 0);
    g_assert_cmpuint(world_count(&world, "bob", "gone", NULL), ==, 0);
}

/* Whichever of the two finds the hub first when it is there again. */
static void test_N7_N23_relay_takes_over(void)
{
    relay_takes_over("alice");
    relay_takes_over("bob");
}

/* The relay that took over is killed as well: the next one does. */
static void test_N23_relay_after_relay(void)
{
    static const Friend friends[] = {
        {"mary", "node --relay"}, {"nora", "node"}, {"olga", "node --relay"}};
    g_auto(World) world = {0};
    PhNodePeer peer;
    const char *first, *second;

    world_befriend(&world, symmetric, symmetric, friends, 3);
    world_connect(&world, "alice", "bob", NULL);
    world_pass(&world, 5 * S);
    world_kill(&world, "hub");
    world_pass(&world, 60 * S);
    g_assert_true(world_find_peer(&world, "alice", "bob", &peer));
    first = world_key_host(&world, peer.via);
    second = g_strcmp0(first, "mary") == 0 ? "olga" : "mary";
    assert_relayed(&world, "alice", "bob", first);
    g_assert_cmpstr(first, !=, "nora");
    world_kill(&world, first);
    world_stream_to(&world, "alice", "bob", 0, 300, 100 * MS);
    assert_relayed(&world, "alice", "bob", second);
    assert_relayed(&world, "bob", "alice", second);
    assert_talking(&world, "alice", "bob");
    g_assert_cmpuint(world_counters(&world, "nora")->relayed, ==, 0);
}

/* A pair that has never met, while there is no hub: by key, and by a peer that relays. */
static void test_N6_N7_new_pair(void)
{
    static const Friend friends[] = {{"nora", "node"}, {"mary", "node --relay"}};
    g_auto(World) world = {0};
    PhNodeCounters before;
    PhNodePeer peer;

    world_befriend(&world, cone, cone, friends, 2);
    world_kill(&world, "hub");
    world_pass(&world, 60 * S);
    before = *world_counters(&world, "alice");
    world_connect(&world, "alice", NULL, "bob");
    world_pass(&world, 10 * S);
    g_assert_true(world_find_peer(&world, "alice", "", &peer));
    g_assert_cmpstr(ph_path_kind_name(peer.path), ==, "punched");
    g_assert_cmpuint(world_counters(&world, "mary")->introductions, ==, 1);
    g_assert_cmpuint(world_counters(&world, "alice")->punches_attempted, ==,
                     before.punches_attempted + 1);
    g_assert_cmpuint(world_counters(&world, "alice")->punches_succeeded, ==,
                     before.punches_succeeded + 1);
}

/* N23: and of a pair whose direct path is lost while there is no hub: the friend carries, before
 * the path counts as failed, until it is healed. */
static void test_N23_direct_path_lost_without_a_hub(void)
{
    static const Friend friends[] = {{"mary", "node --relay"}};
    g_auto(World) world = {0};

    world_befriend(&world, cone, cone, friends, 1);
    world_connect(&world, "alice", "bob", NULL);
    world_pass(&world, 5 * S);
    world_kill(&world, "hub");
    world_pass(&world, 120 * S);
    assert_path_to(&world, "alice", "bob", PH_PATH_PUNCHED);
    world_stream_to(&world, "alice", "bob", 0, 10, 100 * MS);
    world.apart = TRUE;
    world_stream_to(&world, "alice", "bob", 10, 120, 100 * MS);
    assert_relayed(&world, "alice", "bob", "mary");
    assert_relayed(&world, "bob", "alice", "mary");
    assert_talking(&world, "alice", "bob");
    g_assert_cmpuint(world_count(&world, "alice", "health", "failed"), ==, 0);
    world_pass(&world, 60 * S);
    assert_relayed(&world, "alice", "bob", "mary");
    world.apart = FALSE;
    world_pass(&world, 90 * S);
    assert_path_to(&world, "alice", "bob", PH_PATH_PUNCHED);
    assert_path_to(&world, "bob", "alice", PH_PATH_PUNCHED);
    assert_talking(&world, "alice", "bob");
    g_assert_cmpuint(world_count(&world, "alice", "gone", NULL), ==, 0);
    g_assert_cmpuint(world_count(&world, "bob", "gone", NULL), ==, 0);
}

/* Bob begins anew while there is no hub: alice, who looks for him by name, knows his key from the
 * hub, and mary has him. */
static void test_N7_name_that_the_hub_told(void)
{
    const char *const hosts[] = {
        "bob",  cone,   "node --connect mary", "alice", cone, "node --connect bob",
        "mary", "open", "node --relay",        NULL};
    g_auto(World) world = {0};
    PhNodePeer peer;

    world_init(&world, hosts, "");
    world_start(&world, "mary");
    world_start(&world, "bob");
    world_pass(&world, 5 * S);
    world_start(&world, "alice");
    world_pass(&world, 5 * S);
    world_connect(&world, "alice", "mary", NULL);
    world_pass(&world, 5 * S);
    assert_path_to(&world, "alice", "bob", PH_PATH_PUNCHED);
    world_kill(&world, "hub");
    world_pass(&world, 10 * S);
    g_assert_true(world_find_peer(&world, "bob", "alice", &peer));
    ph_node_disconnect(world_node(&world, "bob"), peer.peer, world.lab->now);
    pl_seat_pump(world_seat(&world, "bob"));
    world_pass(&world, S);
    g_assert_cmpuint(world_count(&world, "alice", "gone", NULL), ==, 1);
    world_pass(&world, 20 * S);
    assert_path_to(&world, "alice", "bob", PH_PATH_PUNCHED);
    assert_path_to(&world, "bob", "alice", PH_PATH_PUNCHED);
    g_assert_cmpuint(world_count(&world, "alice", "peer-up", NULL), ==, 3);
}

/* ---- mediators ---- */

/* They go direct while somebody who relays for them, the hub, mediates; it dies, and alice's
 * router forgets all: they have to be introduced again, by somebody else. */
static void world_lose_path(World *world)
{
    world_connect(world, "alice", "bob", NULL);
    world_pass(world, 5 * S);
    assert_path_to(world, "alice", "bob", PH_PATH_PUNCHED);
    world_kill(world, "hub");
    world_pass(world, 60 * S);
    assert_path_to(world, "alice", "bob", PH_PATH_PUNCHED);
    pl_world_nat_flush(world->lab->world, world_nat(world, "alice"), world->lab->now);
}

/* N7: the mediator has done its part, and is killed: traffic goes on. */
static void test_N7_mediator_killed(void)
{
    static const Friend friends[] = {{"nora", "node"}};
    g_auto(World) world = {0};

    world_befriend(&world, drawn, cone, friends, 1);
    world_lose_path(&world);
    world_pass(&world, 60 * S);
    assert_path_to(&world, "alice", "bob", PH_PATH_PUNCHED);
    g_assert_cmpuint(world_counters(&world, "nora")->introductions, ==, 1);
    world_kill(&world, "nora");
    world_stream_to(&world, "alice", "bob", 0, 300, S);
    world_stream_to(&world, "bob", "alice", 0, 100, S);
    world_pass(&world, S);
    assert_all_once(&world, "bob", 300);
    assert_all_once(&world, "alice", 100);
    assert_path_to(&world, "alice", "bob", PH_PATH_PUNCHED);
}

/* N8: the hub relays, so it is asked, though friends could be. */
static void test_N8_next_hop_hub(void)
{
    static const Friend friends[] = {{"mary", "node --relay"}, {"nora", "node"}};
    g_auto(World) world = {0};

    world_befriend(&world, cone, cone, friends, 2);
    world_connect(&world, "alice", "bob", NULL);
    world_pass(&world, 5 * S);
    assert_path_to(&world, "alice", "bob", PH_PATH_PUNCHED);
    g_assert_cmpuint(world_counters(&world, "mary")->introductions, ==, 0);
    g_assert_cmpuint(world_counters(&world, "nora")->introductions, ==, 0);
}

/* N8: who relays is asked, though another relay is as near: that one does not know bob. */
static void test_N8_next_hop_peer(void)
{
    const char *const hosts[] = {"bob",  cone,           "node", "alice",        cone,
                                 "node", "rita",         "open", "node --relay", "mary",
                                 "open", "node --relay", NULL};
    g_auto(World) world = {0};
    PhNodePeer peer;

    world_init(&world, hosts, "");
    world_start(&world, "rita");
    world_start(&world, "mary");
    world_start(&world, "bob");
    world_start(&world, "alice");
    world_pass(&world, 5 * S);
    world_connect(&world, "alice", "rita", NULL);
    world_connect(&world, "alice", "mary", NULL);
    world_connect(&world, "bob", "mary", NULL);
    world_pass(&world, 5 * S);
    world_kill(&world, "hub");
    world_pass(&world, 60 * S);
    world_connect(&world, "alice", NULL, "bob");
    world_pass(&world, 10 * S);
    g_assert_true(world_find_peer(&world, "alice", "", &peer));
    g_assert_cmpstr(ph_path_kind_name(peer.path), ==, "punched");
    g_assert_cmpuint(world_counters(&world, "mary")->introductions, ==, 1);
    g_assert_cmpuint(world_counters(&world, "rita")->introductions_refused, ==, 0);
}

/* N8: mary would be asked, but has been silent lately: that costs nobody a moment. */
static void test_N8_dead_ones_are_passed_over(void)
{
    static const Friend friends[] = {{"mary", "node --relay"}, {"nora", "node"}};
    g_auto(World) world = {0};
    double flushed, suspect, punched;

    world_befriend(&world, drawn, cone, friends, 2);
    world_connect(&world, "alice", "bob", NULL);
    world_pass(&world, 5 * S);
    world_kill(&world, "hub");
    world_pass(&world, 120 * S);
    world_stream_to(&world, "alice", "mary", 0, 20, 500 * MS);
    world_kill(&world, "mary");
    for (guint i = 0; i < 8; i++) {
        world_stream_to(&world, "alice", "mary", 0, 1, 250 * MS);
        world_stream_to(&world, "alice", "bob", 0, 1, 250 * MS);
    }
    flushed = (double)(world.lab->now - G_GUINT64_CONSTANT(946684800) * S) / 1e6 - 1000;
    pl_world_nat_flush(world.lab->world, world_nat(&world, "alice"), world.lab->now);
    world_stream_to(&world, "alice", "bob", 0, 40, 500 * MS);
    /* Mary was, before that. */
    suspect = world_when(&world, "alice", flushed + 6500, "health", "suspect");
    punched = world_when(&world, "alice", flushed, "path", "punched");
    g_assert_cmpfloat(suspect, >, 0);
    g_assert_cmpfloat(punched, >, suspect);
    g_assert_cmpfloat(punched, <=, suspect + 1000);
    g_assert_cmpuint(world_counters(&world, "nora")->introductions, >=, 1);
}

/* N5 N7: what guesses ports is attempted with a peer for a mediator, too. For a while nothing comes
 * through between the two. */
static void test_N5_N7_hard_pairs(gconstpointer data)
{
    static const Friend friends[] = {{"mary", "node --relay"}};
    const char *const *pair = data;
    g_auto(World) world = {0};

    world_befriend(&world, pair[0], pair[1], friends, 1);
    world_connect(&world, "alice", "bob", NULL);
    world_pass(&world, 5 * S);
    assert_path_to(&world, "alice", "bob", PH_PATH_PUNCHED);
    world_kill(&world, "hub");
    world.apart = TRUE;
    pl_world_nat_flush(world.lab->world, world_nat(&world, "alice"), world.lab->now);
    world_pass(&world, 90 * S);
    assert_relayed(&world, "alice", "bob", "mary");
    assert_relayed(&world, "bob", "alice", "mary");
    world.apart = FALSE;
    world_pass(&world, 300 * S);
    assert_path_to(&world, "alice", "bob", PH_PATH_PUNCHED);
    assert_path_to(&world, "bob", "alice", PH_PATH_PUNCHED);
    assert_talking(&world, "alice", "bob");
    g_assert_cmpuint(world_counters(&world, "mary")->introductions, >, 1);
    g_assert_cmpuint(world_count(&world, "alice", "gone", NULL), ==, 0);
    g_assert_cmpuint(world_count(&world, "bob", "gone", NULL), ==, 0);
}

/* N8: nobody relays for the pair any more; of its common peers one that would is asked first. */
static void test_N8_relay_capable_first(void)
{
    static const Friend friends[] = {{"nora", "node"}, {"mary", "node --relay"}, {"olga", "node"}};
    g_auto(World) world = {0};

    world_befriend(&world, drawn, cone, friends, 3);
    world_lose_path(&world);
    world_pass(&world, 60 * S);
    assert_path_to(&world, "alice", "bob", PH_PATH_PUNCHED);
    g_assert_cmpuint(world_counters(&world, "mary")->introductions, ==, 1);
    g_assert_cmpuint(world_counters(&world, "nora")->introductions, ==, 0);
    g_assert_cmpuint(world_counters(&world, "olga")->introductions, ==, 0);
    g_assert_cmpuint(world_count(&world, "alice", "gone", NULL), ==, 0);
}

/* N8: and then any that both talk to. A relay that does not know bob says so. */
static void test_N8_any_common_peer(void)
{
    const char *const hosts[] = {"bob",  cone,   "node", "alice", drawn,          "node", "nora",
                                 "open", "node", "rita", "open",  "node --relay", NULL};
    g_auto(World) world = {0};

    world_init(&world, hosts, "");
    world_start(&world, "nora");
    world_start(&world, "rita");
    world_start(&world, "bob");
    world_start(&world, "alice");
    world_pass(&world, 5 * S);
    world_connect(&world, "alice", "nora", NULL);
    world_connect(&world, "bob", "nora", NULL);
    world_connect(&world, "alice", "rita", NULL);
    world_pass(&world, 5 * S);
    world_lose_path(&world);
    world_pass(&world, 60 * S);
    assert_path_to(&world, "alice", "bob", PH_PATH_PUNCHED);
    g_assert_cmpuint(world_counters(&world, "rita")->introductions_refused, >=, 1);
    g_assert_cmpuint(world_counters(&world, "nora")->introductions, ==, 1);
    /* Before the path counts as failed. */
    g_assert_cmpuint(world_count(&world, "alice", "gone", NULL), ==, 0);
    g_assert_cmpuint(world_count(&world, "bob", "gone", NULL), ==, 0);
    g_assert_cmpuint(world_count(&world, "alice", "health", "failed"), ==, 0);
}

/* N8: and then nobody, and why. Dead ones are not waited for. */
static void test_N8_no_mediator(void)
{
    static const Friend friends[] = {{"mary", "node --relay"}};
    g_auto(World) world = {0};
    g_autoptr(GArray) said = NULL;
    guint n = 0;

    world_befriend(&world, drawn, cone, friends, 1);
    world_connect(&world, "alice", "bob", NULL);
    world_pass(&world, 5 * S);
    world_kill(&world, "hub");
    world_kill(&world, "mary");
    world_pass(&world, 120 * S);
    assert_path_to(&world, "alice", "bob", PH_PATH_PUNCHED);
    pl_world_nat_flush(world.lab->world, world_nat(&world, "alice"), world.lab->now);
    world_pass(&world, 180 * S);
    said = world_said(&world, "alice");
    for (guint i = 0; i < said->len; i++)
        n += strcmp(g_array_index(said, Said, i).reason, "no-mediator") == 0 &&
             strcmp(g_array_index(said, Said, i).peer, "bob") == 0;
    g_assert_cmpuint(n, ==, 1);
    g_assert_cmpuint(world_count(&world, "alice", "gone", NULL), ==, 2);
}

int main(int argc, char **argv)
{
    static const char *const hard[][3] = {
        {symmetric, cone, "random ports"},
        {drawn, symmetric, "to random ports"},
        {sequential, cone, "a sequence"},
        {block, cone, "a block"},
    };

    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(hard); i++) {
        g_autofree char *name = g_strdup_printf("/node/mesh/N5 N7 hard pairs/%s", hard[i][2]);

        g_test_add_data_func(name, hard[i], test_N5_N7_hard_pairs);
    }
    g_test_add_func("/node/mesh/N7 N23 a peer relays", test_N7_N23_relay_takes_over);
    g_test_add_func("/node/mesh/N23 one relay after the other", test_N23_relay_after_relay);
    g_test_add_func("/node/mesh/N23 a direct path is lost without a hub",
                    test_N23_direct_path_lost_without_a_hub);
    g_test_add_func("/node/mesh/N6 N7 a new pair without a hub", test_N6_N7_new_pair);
    g_test_add_func("/node/mesh/N7 a name that the hub has told", test_N7_name_that_the_hub_told);
    g_test_add_func("/node/mesh/N7 mediator killed", test_N7_mediator_killed);
    g_test_add_func("/node/mesh/N8 the next hop is the hub", test_N8_next_hop_hub);
    g_test_add_func("/node/mesh/N8 the next hop is a peer", test_N8_next_hop_peer);
    g_test_add_func("/node/mesh/N8 dead ones are passed over", test_N8_dead_ones_are_passed_over);
    g_test_add_func("/node/mesh/N8 a peer that relays", test_N8_relay_capable_first);
    g_test_add_func("/node/mesh/N8 any common peer", test_N8_any_common_peer);
    g_test_add_func("/node/mesh/N8 nobody", test_N8_no_mediator);
    return g_test_run();
}
