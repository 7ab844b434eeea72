/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What happens to nodes that talk: paths that die and come back, routers, hubs and peers that begin
 * anew. */
#include "node_world.h"

static const char cone[] = "behaviour = port-restricted";

static const char drawn[] = "behaviour = port-restricted\nport-allocation = random";

static double now_ms(World *world)
{
    /* Of alice's clock, which began 10 s after the lab. */
    return (double)(world->lab->now - G_GUINT64_CONSTANT(946684800) * S) / 1e6 - 10000;
}

/* N21 to N23: suspect, over to the relay, failed; and direct again soon after it is healed. */
static void test_N23_black_hole(void)
{
    g_auto(World) world = {0};
    g_autofree guint8 *times = NULL;
    double at, suspect, relayed;

    world_meet(&world, cone, cone);
    world_stream(&world, "alice", 0, 100, 100 * MS);
    at = now_ms(&world);
    world.hole = TRUE;
    world_stream(&world, "alice", 100, 600, 100 * MS);
    suspect = world_when(&world, "alice", at, "health", "suspect");
    relayed = world_when(&world, "alice", at, "path", "relayed");
    g_assert_cmpfloat(suspect, >=, at + 6500);
    g_assert_cmpfloat(suspect, <=, at + 15000);
    g_assert_cmpfloat(relayed, ==, suspect);
    assert_path(&world, "alice", PH_PATH_RELAYED);
    assert_path(&world, "bob", PH_PATH_RELAYED);
    g_assert_cmpuint(world_counters(&world, "alice")->downgrades, >=, 1);
    world.hole = FALSE;
    world_stream(&world, "alice", 700, 1000, 100 * MS);
    assert_path(&world, "alice", PH_PATH_PUNCHED);
    assert_path(&world, "bob", PH_PATH_PUNCHED);
    g_assert_cmpuint(world_count(&world, "alice", "gone", NULL), ==, 0);
    g_assert_cmpuint(world_count(&world, "bob", "gone", NULL), ==, 0);
    world_pass(&world, S);
    /* Lost is what went into the hole until the relay was taken, and nothing else (N30). */
    times = world_numbers(&world, "bob", 1700);
    for (guint i = 0; i < 1700; i++)
        g_assert_cmpuint(times[i], ==, i < 100 || i >= 100 + (relayed - at) / 100);
}

/* N24: a fifth of the packets, both ways, for a minute. */
static void test_N24_a_fifth_is_lost(void)
{
    const char *const hosts[] = {"bob", "open", "node", "alice", "open", "node --connect bob",
                                 NULL};
    g_auto(World) world = {0};

    world_init(&world, hosts, "");
    pl_topology_attachment(world.topology, "alice")->link.loss_ppm = 200000;
    pl_world_reset(world.lab->world, world.lab->now);
    world_start(&world, "bob");
    world_pass(&world, 10 * S);
    world_start(&world, "alice");
    world_pass(&world, 120 * S);
    g_assert_cmpuint(world_count(&world, "alice", "health", "failed"), ==, 0);
    g_assert_cmpuint(world_count(&world, "bob", "health", "failed"), ==, 0);
    g_assert_cmpuint(world_count(&world, "alice", "gone", NULL), ==, 0);
    assert_path(&world, "alice", PH_PATH_DIRECT);
}

/* G15: a router is flushed: its own pairs punch again, nobody else does. */
static void test_G15_a_router_is_flushed(void)
{
    const char *const hosts[] = {"bob",   cone, "node", "alice", drawn, "node --connect bob",
                                 "carol", cone, "node", "dave",  cone,  "node --connect carol",
                                 NULL};
    g_auto(World) world = {0};
    PhAddress before;
    PhNodePeer after;

    world_init(&world, hosts, "");
    world_start(&world, "bob");
    world_start(&world, "carol");
    world_pass(&world, 10 * S);
    world_start(&world, "alice");
    world_start(&world, "dave");
    world_pass(&world, 10 * S);
    assert_path(&world, "alice", PH_PATH_PUNCHED);
    assert_path(&world, "dave", PH_PATH_PUNCHED);
    before = world_peer(&world, "bob").address;
    pl_world_nat_flush(world.lab->world, world_nat(&world, "alice"), world.lab->now);
    world_pass(&world, 60 * S);
    assert_path(&world, "alice", PH_PATH_PUNCHED);
    assert_path(&world, "bob", PH_PATH_PUNCHED);
    after = world_peer(&world, "bob");
    g_assert_false(ph_address_equal(&before, &after.address));
    g_assert_cmpuint(world_counters(&world, "alice")->punches_attempted, >=, 2);
    g_assert_cmpuint(world_counters(&world, "carol")->punches_attempted, ==, 1);
    g_assert_cmpuint(world_counters(&world, "dave")->punches_attempted, ==, 1);
    g_assert_cmpuint(world_count(&world, "dave", "path", NULL), ==, 2);
    g_assert_cmpuint(world_count(&world, "alice", "gone", NULL), ==, 0);
    world_stream(&world, "alice", 0, 20, 100 * MS);
    world_stream(&world, "bob", 0, 20, 100 * MS);
    world_pass(&world, S);
    assert_all_once(&world, "bob", 20);
    assert_all_once(&world, "alice", 20);
}

/* G14: whatever is lost before the node has found out, it then keeps its path for as long as
 * wanted, with nothing said. */
static void test_G14_short_bindings(void)
{
    static const char *const brief[] = {
        "behaviour = port-restricted\nudp-timeout = 10s",
        "behaviour = port-restricted\nport-allocation = random\nudp-timeout = 10s",
    };

    for (guint i = 0; i < G_N_ELEMENTS(brief); i++) {
        g_auto(World) world = {0};
        guint64 attempted;

        world_meet(&world, brief[i], brief[i]);
        world_pass(&world, 300 * S);
        assert_path(&world, "alice", PH_PATH_PUNCHED);
        attempted = world_counters(&world, "alice")->punches_attempted;
        world_pass(&world, 3600 * S);
        assert_path(&world, "alice", PH_PATH_PUNCHED);
        assert_path(&world, "bob", PH_PATH_PUNCHED);
        g_assert_cmpuint(world_counters(&world, "alice")->punches_attempted, ==, attempted);
        g_assert_cmpuint(world_count(&world, "alice", "gone", NULL), ==, 0);
        world_stream(&world, "bob", 0, 10, 10 * MS);
        world_stream(&world, "alice", 0, 10, 10 * MS);
        world_pass(&world, S);
        assert_all_once(&world, "alice", 10);
        assert_all_once(&world, "bob", 10);
    }
}

/* The network has another external address: the same sessions, and the same numbers of peers. */
static void test_roaming(void)
{
    g_auto(World) world = {0};
    PhAddress other = ph_address_ipv4(0xcb007163, 0);
    PhNodePeer before, after;

    world_meet(&world, "behaviour = full-cone", "behaviour = full-cone");
    before = world_peer(&world, "bob");
    pl_world_nat_address(world.lab->world, world_nat(&world, "alice"), &other, world.lab->now);
    world_pass(&world, 60 * S);
    after = world_peer(&world, "bob");
    g_assert_cmpuint(before.peer, ==, after.peer);
    g_assert_true(ph_address_equal_host(&after.address, &other));
    assert_path(&world, "alice", PH_PATH_DIRECT);
    g_assert_cmpuint(world_count(&world, "bob", "peer-up", NULL), ==, 1);
    world_stream(&world, "alice", 0, 10, 100 * MS);
    world_stream(&world, "bob", 0, 10, 100 * MS);
    world_pass(&world, S);
    assert_all_once(&world, "bob", 10);
    assert_all_once(&world, "alice", 10);
}

/* The connecting node begins anew with the same key: its peer knows it again. */
static void test_asker_restarts(void)
{
    g_auto(World) world = {0};
    PhNodePeer before;

    world_meet(&world, cone, cone);
    before = world_peer(&world, "bob");
    world_restart(&world, "alice");
    world_pass(&world, 20 * S);
    assert_path(&world, "alice", PH_PATH_PUNCHED);
    assert_path(&world, "bob", PH_PATH_PUNCHED);
    g_assert_cmpuint(world_peer(&world, "bob").peer, ==, before.peer);
    world_stream(&world, "bob", 0, 10, 100 * MS);
    world_stream(&world, "alice", 0, 10, 100 * MS);
    world_pass(&world, S);
    assert_all_once(&world, "alice", 10);
    assert_all_once(&world, "bob", 10);
}

/* And so does the other one, which knows nobody any more. */
static void test_peer_restarts(void)
{
    g_auto(World) world = {0};

    world_meet(&world, cone, cone);
    world_restart(&world, "bob");
    world_pass(&world, 30 * S);
    assert_path(&world, "alice", PH_PATH_PUNCHED);
    assert_path(&world, "bob", PH_PATH_PUNCHED);
    world_stream(&world, "alice", 0, 10, 100 * MS);
    world_stream(&world, "bob", 0, 10, 100 * MS);
    world_pass(&world, S);
    assert_all_once(&world, "bob", 10);
    assert_all_once(&world, "alice", 10);
}

/* The relay of a pair that has no other path begins anew, and knows nobody. */
static void test_hub_restarts(void)
{
    g_auto(World) world = {0};

    world_meet(&world, "behaviour = symmetric", "behaviour = symmetric");
    assert_path(&world, "alice", PH_PATH_RELAYED);
    world_restart(&world, "hub");
    world_pass(&world, 60 * S);
    assert_path(&world, "alice", PH_PATH_RELAYED);
    g_assert_cmpuint(world_count(&world, "alice", "gone", NULL), ==, 0);
    g_assert_cmpuint(world_count(&world, "bob", "gone", NULL), ==, 0);
    world_stream(&world, "alice", 0, 10, 100 * MS);
    world_stream(&world, "bob", 0, 10, 100 * MS);
    world_pass(&world, S);
    assert_all_once(&world, "bob", 10);
    assert_all_once(&world, "alice", 10);
}

/* Of a path that nothing can take the place of: suspect 6.5 s after the first ping that is not
 * answered, failed 8.5 s later, and then the peer is gone. */
static void test_N21_black_hole_without_a_relay(void)
{
    g_auto(World) world = {0};
    double at, suspect, failed;

    world_meet(&world, cone, cone);
    world_stream(&world, "alice", 0, 50, 100 * MS);
    world_kill(&world, "hub");
    world_stream(&world, "alice", 50, 600, 100 * MS); /* long enough to know that it is gone */
    assert_path(&world, "alice", PH_PATH_PUNCHED);
    at = now_ms(&world);
    world.hole = TRUE;
    world_stream(&world, "alice", 650, 120, 100 * MS);
    suspect = world_when(&world, "alice", at, "health", "suspect");
    g_assert_cmpfloat(suspect, >=, at + 6500 - 20); /* what was underway still came */
    g_assert_cmpfloat(suspect, <=, at + 6500 + 3600);
    for (guint i = 0; i < 150 && world_count(&world, "alice", "gone", NULL) == 0; i++)
        world_pass(&world, 100 * MS);
    failed = world_when(&world, "alice", at, "health", "failed");
    g_assert_cmpfloat(failed, ==, suspect + 8500);
    g_assert_cmpfloat(world_when(&world, "alice", at, "gone", "timeout"), ==, failed);
}

/* Who ends it is gone at once, half a round trip later. */
static void test_N21_closed(void)
{
    g_auto(World) world = {0};
    double at;

    world_meet(&world, cone, cone);
    at = now_ms(&world);
    ph_node_disconnect(world_node(&world, "bob"), world_peer(&world, "bob").peer, world.lab->now);
    pl_seat_pump(world_seat(&world, "bob"));
    world_pass(&world, 100 * MS);
    g_assert_cmpfloat(world_when(&world, "alice", at, "gone", "goodbye"), ==, at + 20);
    g_assert_cmpuint(world_counters(&world, "alice")->sessions_failed, ==, 0);
    g_assert_cmpuint(world_counters(&world, "bob")->sessions_failed, ==, 0);
}

static void set_delay(World *world, const char *host, guint64 delay_ns)
{
    pl_topology_attachment(world->topology, host)->link.delay_ns = delay_ns;
    pl_world_reset(world->lab->world, world->lab->now);
}

/* Answers that take 2 s where they took 40 ms: the third one in a row is enough. It is the only
 * path, and stays in use; ten of them, and that is how long it takes. */
static void test_N21_runaway_latency(void)
{
    g_auto(World) world = {0};
    double at, suspect;

    world_meet(&world, "open", "open");
    world_kill(&world, "hub");
    world_stream(&world, "alice", 0, 600, 100 * MS);
    g_assert_cmpuint(world_count(&world, "alice", "health", NULL), ==, 0);
    at = now_ms(&world);
    set_delay(&world, "alice", 990 * MS);
    world_stream(&world, "alice", 0, 200, 100 * MS);
    suspect = world_when(&world, "alice", at, "health", "suspect");
    g_assert_cmpfloat(suspect, >=, at + 2 * 2400 + 2000);
    g_assert_cmpfloat(suspect, <=, at + 3 * 3600 + 2000);
    world_stream(&world, "alice", 0, 200, 100 * MS);
    g_assert_cmpfloat(world_when(&world, "alice", suspect, "health", "healthy"), >, suspect);
    g_assert_cmpuint(world_count(&world, "alice", "health", "failed"), ==, 0);
    assert_path(&world, "alice", PH_PATH_DIRECT);
}

/* A path whose mapping is lost: from when it is suspect another one is looked for, and it is in use
 * before the old one would have failed. */
static void test_N22_another_path_before_failed(void)
{
    g_auto(World) world = {0};
    double at, suspect;
    guint64 introduced;

    world_meet(&world, drawn, drawn);
    world_stream(&world, "alice", 0, 50, 100 * MS);
    introduced = world_station(&world)->introductions;
    at = now_ms(&world);
    pl_world_nat_flush(world.lab->world, world_nat(&world, "bob"), world.lab->now);
    world_stream(&world, "bob", 0, 130, 100 * MS);
    suspect = world_when(&world, "alice", at, "path", "relayed");
    g_assert_cmpfloat(suspect, >, at);
    g_assert_cmpfloat(world_when(&world, "alice", at, "path", "punched"), >, suspect);
    g_assert_cmpfloat(world_when(&world, "alice", at, "path", "punched"), <, suspect + 1000);
    g_assert_cmpfloat(suspect + 1000, <, at + 15000);
    g_assert_cmpuint(world_station(&world)->introductions, >, introduced);
    g_assert_cmpuint(world_count(&world, "alice", "health", "failed"), ==, 0);
    g_assert_cmpuint(world_count(&world, "bob", "health", "failed"), ==, 0);
}

/* N17: a NAT that forgets mappings sooner than it is asked to shows in the health of the direct
 * path, with the reason; the pair talks on, and learns how often it has to say something. */
static void test_N17_mappings_are_dropped(void)
{
    static const char brief[] =
        "behaviour = port-restricted\nport-allocation = random\nudp-timeout = 2s";
    g_auto(World) world = {0};
    g_autoptr(GArray) said = NULL;
    guint64 attempted;
    guint named = 0;

    world_meet(&world, brief, cone);
    world_pass(&world, 600 * S);
    said = world_said(&world, "alice");
    for (guint i = 0; i < said->len; i++) {
        const Said *line = &g_array_index(said, Said, i);

        named += strcmp(line->event, "health") == 0 && strcmp(line->what, "suspect") == 0 &&
                 strcmp(line->reason, "mapping-dropped") == 0;
    }
    g_assert_cmpuint(named, >=, 1);
    g_assert_cmpuint(named, <=, 4); /* for each time that it is lost */
    attempted = world_counters(&world, "alice")->punches_attempted;
    world_pass(&world, 600 * S);
    g_assert_cmpuint(world_counters(&world, "alice")->punches_attempted, ==, attempted);
    g_assert_cmpuint(world_count(&world, "alice", "gone", NULL), ==, 0);
    assert_path(&world, "alice", PH_PATH_PUNCHED);
    assert_path(&world, "bob", PH_PATH_PUNCHED);
}

/* N17: nor are there ports for anything but what is there already. The pair is relayed, and the
 * table says why. */
static void test_N17_no_ports_are_left(void)
{
    static const char full[] = "behaviour = symmetric\nport-allocation = block\nblock-size = 8\n"
                               "udp-timeout = 600s";
    g_auto(World) world = {0};
    PhNodePeer peer;

    world_meet(&world, full, "open");
    world_stream(&world, "alice", 0, 100, 100 * MS);
    world_pass(&world, S);
    assert_all_once(&world, "bob", 100);
    peer = world_peer(&world, "alice");
    g_test_message("%s", peer.reason);
    assert_path(&world, "alice", PH_PATH_RELAYED);
    g_assert_cmpstr(peer.reason, ==, "punch-failed");
    g_assert_cmpstr(peer.health, ==, "healthy");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/node/faults/N21 N22 N23 black hole", test_N23_black_hole);
    g_test_add_func("/node/faults/N24 a fifth is lost", test_N24_a_fifth_is_lost);
    g_test_add_func("/node/faults/G15 a router is flushed", test_G15_a_router_is_flushed);
    g_test_add_func("/node/faults/G14 mappings of 10 s", test_G14_short_bindings);
    g_test_add_func("/node/faults/roaming", test_roaming);
    g_test_add_func("/node/faults/who connected begins anew", test_asker_restarts);
    g_test_add_func("/node/faults/the peer begins anew", test_peer_restarts);
    g_test_add_func("/node/faults/the hub begins anew", test_hub_restarts);
    g_test_add_func("/node/faults/N21 black hole without a relay",
                    test_N21_black_hole_without_a_relay);
    g_test_add_func("/node/faults/N21 closed", test_N21_closed);
    g_test_add_func("/node/faults/N21 runaway latency", test_N21_runaway_latency);
    g_test_add_func("/node/faults/N22 another path before failed",
                    test_N22_another_path_before_failed);
    g_test_add_func("/node/faults/N17 mappings are dropped", test_N17_mappings_are_dropped);
    g_test_add_func("/node/faults/N17 no ports are left", test_N17_no_ports_are_left);
    return g_test_run();
}
