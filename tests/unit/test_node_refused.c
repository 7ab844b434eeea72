/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who is not wanted is told at once; who is far away is waited for. */
#include "../../lib/core/node_private.h"
#include "node_world.h"

static const char cone[] = "behaviour = port-restricted";

/* All of bob's places are taken, by such that want nothing; or none is. */
static void fill(World *world, gboolean taken)
{
    PhNode *bob = world_node(world, "bob");

    for (guint i = 0; i < PH_NODE_PEERS_MAX; i++)
        bob->peers[i] = (PhPeer){.state = taken ? PH_PEER_LOOKING : PH_PEER_FREE,
                                 .number = 1000 + i,
                                 .ask_ns = PH_NEVER,
                                 .give_up_ns = PH_NEVER};
}

/* After 80 ms: alice to the hub, the hub to bob, and he to her by way of the hub. */
static void assert_refused(World *world, const char *reason)
{
    gdouble now = (gdouble)(world->lab->now - G_GUINT64_CONSTANT(946684800) * S) / 1e6;

    (void)world_connect(world, "alice", "bob", NULL);
    world_pass(world, 79 * MS);
    g_assert_cmpuint(world_count(world, "alice", "gone", NULL), ==, 0);
    world_pass(world, 2 * MS);
    g_assert_cmpfloat(world_when(world, "alice", now, "gone", reason), ==, now + 80);
    world_pass(world, 20 * S);
    g_assert_cmpuint(world_count(world, "alice", "gone", NULL), ==, 1);
    g_assert_cmpuint(world_count(world, "alice", "peer-up", NULL), ==, 0);
}

static void assert_let_in(World *world)
{
    (void)world_connect(world, "alice", "bob", NULL);
    world_pass(world, 5 * S);
    assert_path(world, "alice", PH_PATH_PUNCHED);
    assert_path(world, "bob", PH_PATH_PUNCHED);
}

static void test_by_one_that_is_full(void)
{
    g_auto(World) world = {0};

    world_register(&world, cone);
    fill(&world, TRUE);
    assert_refused(&world, "full");
    fill(&world, FALSE);
    assert_let_in(&world);
}

static void test_by_one_that_wants_nobody(void)
{
    g_auto(World) world = {0};

    world_register(&world, cone);
    world_node(&world, "bob")->config.refuse_strangers = true;
    assert_refused(&world, "not-authorised");
    world_node(&world, "bob")->config.refuse_strangers = false;
    assert_let_in(&world);
}

/* A refusal may be an old one, that somebody has kept: what is up does not end by it. */
static void test_a_refusal_ends_nothing(void)
{
    g_auto(World) world = {0};
    PhMessage close = {.kind = PH_MESSAGE_CLOSE, .reason = PH_REASON_FULL};
    PhSessionInput input = {.kind = PH_SESSION_REQUEST};
    uint8_t payload[8];
    PhRoute route = {.via = PH_NODE_VIA_HUB};

    world_register(&world, cone);
    assert_let_in(&world);
    memcpy(input.remote_key, ph_node_public_key(world_node(&world, "bob")), PH_NODE_KEY_BYTES);
    input.length = ph_message_write(&close, payload, sizeof(payload));
    input.bytes = payload;
    ph_node_peer_request(world_node(&world, "alice"), &route, &input);
    world_stream(&world, "alice", 0, 10, 50 * MS);
    world_pass(&world, S);
    assert_all_once(&world, "bob", 10);
    g_assert_cmpuint(world_count(&world, "alice", "gone", NULL), ==, 0);
}

/* Two seconds and more from each to the other by the hub, the longer part on either side: the
 * handshake is not begun anew while it is under way. */
static void test_far_away(gconstpointer data)
{
    static const guint64 delays[][2] = {{500, 500}, {600, 600}, {200, 900}, {900, 200}, {900, 900}};
    guint i = GPOINTER_TO_UINT(data);
    gboolean at_once = i >= G_N_ELEMENTS(delays); /* with the hub's round trip not known yet */
    const guint64 *delay_ms = delays[i % G_N_ELEMENTS(delays)];
    const char *const hosts[] = {
        "bob", "open", "node", "alice", "open", at_once ? "node --connect bob" : "node", NULL};
    g_auto(World) world = {0};

    world_init(&world, hosts, "");
    pl_topology_attachment(world.topology, "bob")->link.delay_ns = delay_ms[0] * MS;
    pl_topology_attachment(world.topology, "alice")->link.delay_ns = delay_ms[1] * MS;
    pl_world_reset(world.lab->world, world.lab->now);
    world_start(&world, "bob");
    world_pass(&world, 10 * S);
    world_start(&world, "alice");
    world_pass(&world, at_once ? 0 : 10 * S);
    (void)world_connect(&world, "alice", "bob", NULL);
    world_pass(&world, 15 * S);
    g_assert_cmpuint(world_count(&world, "alice", "gone", NULL), ==, 0);
    g_assert_cmpuint(world_count(&world, "alice", "peer-up", NULL), ==, 1);
    g_assert_cmpuint(world_counters(&world, "bob")->sessions_opened, ==, 1);
    world_stream(&world, "alice", 0, 10, 100 * MS);
    world_pass(&world, 5 * S);
    assert_all_once(&world, "bob", 10);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/node/refused/by one that is full", test_by_one_that_is_full);
    g_test_add_func("/node/refused/by one that wants nobody", test_by_one_that_wants_nobody);
    g_test_add_func("/node/refused/a refusal ends nothing", test_a_refusal_ends_nothing);
    for (guint i = 0; i < 10; i++) {
        g_autofree char *name = g_strdup_printf("/node/refused/far away: %u", i);

        g_test_add_data_func(name, GUINT_TO_POINTER(i), test_far_away);
    }
    return g_test_run();
}
