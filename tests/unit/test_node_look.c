/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A better direct path is looked for beside the one in use, and taken where it is worth it (N30).
 */
#include "../../lib/core/node_private.h"
#include "node_world.h"

/* What the two say to each other without their router. */
typedef struct Near {
    gboolean cut; /* it is lost */
    guint n;
} Near;

static gboolean is_near(const PlNode *host, const guint8 *bytes)
{
    return host && host->kind == PL_NODE_HOST && strcmp(host->name, "hub") != 0 &&
           bytes[16] == 192 && bytes[17] == 168;
}

static gboolean cuts(gpointer data, const PlNode *host, const guint8 *bytes, gsize length)
{
    Near *near = data;

    g_assert_cmpuint(length, >=, 20);
    if (!is_near(host, bytes))
        return FALSE;
    near->n++;
    return near->cut;
}

/* Two behind one router that turns packets around, which takes so long each time. */
static void share(World *world, Near *near, const char *delay)
{
    const char *const none[] = {NULL};
    g_autofree char *rest = g_strdup_printf(
        "[nat home]\noutside = internet\ninside = 192.168.1.0/24\nbehaviour = port-restricted\n"
        "hairpin = external-source\n[link home.inside]\ndelay = %s\n"
        "[host alice]\nbehind = home\nrun = node --connect bob\n[host bob]\nbehind = home\n"
        "run = node\n[link alice]\ndelay = 10ms\n[link bob]\ndelay = 10ms\n",
        delay);

    world_init(world, none, rest);
    world->lab->loses = cuts;
    world->lab->loses_data = near;
    near->cut = TRUE;
    world_start(world, "bob");
    world_pass(world, 10 * S);
    world_start(world, "alice");
    world_pass(world, 20 * S);
    assert_path(world, "alice", PH_PATH_PUNCHED);
    assert_path(world, "bob", PH_PATH_PUNCHED);
}

static void test_N30_the_network_inside_is_better(void)
{
    g_auto(World) world = {0};
    Near near = {0};
    PhNodePeer peer;
    guint paths;

    share(&world, &near, "5ms");
    near.cut = FALSE;
    paths = world_count(&world, "alice", "path", NULL);
    for (guint i = 0; i < 700; i++) {
        g_autofree char *text = g_strdup_printf("%u", i);

        world_send(&world, "alice", text);
        world_send(&world, "bob", text);
        world_pass(&world, 100 * MS);
    }
    world_pass(&world, S);
    peer = world_peer(&world, "alice");
    g_assert_cmpstr(peer.reason, ==, "neighbours");
    g_assert_cmpstr(world_peer(&world, "bob").reason, ==, "neighbours");
    g_assert_cmpuint(peer.address.bytes[0], ==, 192);
    assert_all_once(&world, "alice", 700);
    assert_all_once(&world, "bob", 700);
    /* Once; not by the relay; and nobody looks for more. */
    g_assert_cmpuint(world_count(&world, "alice", "path", NULL), ==, paths + 1);
    world_pass(&world, 300 * S);
    g_assert_cmpuint(world_count(&world, "alice", "path", NULL), ==, paths + 1);
    g_assert_cmpuint(world_count(&world, "alice", "health", NULL), ==, 0);
}

/* What takes as long is no reason to change anything. */
static void test_N30_as_good_is_not_better(void)
{
    g_auto(World) world = {0};
    Near near = {0};
    guint paths;

    share(&world, &near, "1ms");
    near.cut = FALSE;
    near.n = 0;
    paths = world_count(&world, "alice", "path", NULL);
    world_pass(&world, 300 * S);
    g_assert_cmpuint(world_count(&world, "alice", "path", NULL), ==, paths);
    assert_path(&world, "alice", PH_PATH_PUNCHED);
    /* Each looked five times, and answered. */
    g_assert_cmpuint(near.n, ==, 20);
}

/* Nor does what is not answered. */
static void test_N30_silence_changes_nothing(void)
{
    g_auto(World) world = {0};
    Near near = {0};
    guint paths;

    share(&world, &near, "5ms");
    near.n = 0;
    paths = world_count(&world, "alice", "path", NULL);
    world_pass(&world, 300 * S);
    g_assert_cmpuint(world_count(&world, "alice", "path", NULL), ==, paths);
    g_assert_cmpuint(near.n, ==, 10);
    g_assert_cmpuint(world_count(&world, "alice", "health", NULL), ==, 0);
}

/* In two homes, the one's addresses mean nothing in the other. */
static void test_N9_nobody_looks_into_his_own_home(void)
{
    g_auto(World) world = {0};
    Near near = {0};

    world_meet(&world, "behaviour = port-restricted", "behaviour = port-restricted");
    world.lab->loses = cuts;
    world.lab->loses_data = &near;
    world_pass(&world, 300 * S);
    assert_path(&world, "alice", PH_PATH_PUNCHED);
    g_assert_cmpuint(near.n, ==, 0);
}

/* bob says that he is seen where alice is, and that his own address is one of her home's. */
static void lie(World *world)
{
    PhNode *bob = world_node(world, "bob"), *alice = world_node(world, "alice");
    const PhPeer *peer = ph_node_peer_by_key(bob, ph_node_public_key(alice));
    PhMessage update = {.kind = PH_MESSAGE_UPDATE, .record = bob->record};
    PhNodeRecord *record = &update.record;

    record->sequence++;
    record->n_candidates = 2;
    record->candidates[0] = (PhCandidate){PH_CANDIDATE_REFLEXIVE, alice->hub.seen};
    record->candidates[1] =
        (PhCandidate){PH_CANDIDATE_LOCAL, ph_address_ipv4(0xc0a80263 /* 192.168.2.99 */, 9)};
    bob->now = world->lab->now;
    g_assert_true(ph_node_tell(bob, peer->session, &peer->used->route, &update));
    pl_seat_pump(world_seat(world, "bob"));
}

/* Who lies about where he is has nobody look into her own home, either: only the hub knows who is
 * there. */
static void test_N9_nobody_looks_where_a_peer_likes(void)
{
    g_auto(World) world = {0};
    Near near = {0};

    world_meet(&world, "behaviour = port-restricted", "behaviour = port-restricted");
    world.lab->loses = cuts;
    world.lab->loses_data = &near;
    lie(&world);
    world_pass(&world, 300 * S);
    assert_path(&world, "alice", PH_PATH_PUNCHED);
    g_assert_cmpuint(near.n, ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/node/look/N30 inside", test_N30_the_network_inside_is_better);
    g_test_add_func("/node/look/N30 as good", test_N30_as_good_is_not_better);
    g_test_add_func("/node/look/N30 silence", test_N30_silence_changes_nothing);
    g_test_add_func("/node/look/N9 another home", test_N9_nobody_looks_into_his_own_home);
    g_test_add_func("/node/look/N9 a liar", test_N9_nobody_looks_where_a_peer_likes);
    return g_test_run();
}
