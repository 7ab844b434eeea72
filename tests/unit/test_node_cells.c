/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is done for each pair of NATs, and that nothing a stranger sends in between changes it. */
#include "node_world.h"

typedef enum {
    OPEN,       /* lets everybody in, where it can be known */
    FILTERED,   /* is where it can be known */
    SEQUENTIAL, /* its next ports follow from the last one */
    HARD,       /* nobody knows where it will be */
    BLOCKED,
} Place;

typedef struct Kind {
    const char *nat;
    Place place;
} Kind;

static const Kind kinds[] = {
    {"open", OPEN},
    {"behaviour = full-cone", OPEN},
    {"behaviour = firewall", FILTERED},
    {"behaviour = restricted", FILTERED},
    {"behaviour = port-restricted", FILTERED},
    {"behaviour = port-restricted\nport-allocation = random", FILTERED},
    {"behaviour = symmetric\nport-allocation = sequential", SEQUENTIAL},
    {"behaviour = symmetric\nport-allocation = block\nblock-size = 2048", HARD},
    {"behaviour = symmetric", HARD},
    {"behaviour = port-restricted\nudp = blocked", BLOCKED},
};

/* By theory alone. */
static PhPathKind path_between(Place a, Place b)
{
    if (a == BLOCKED || b == BLOCKED)
        return PH_PATH_NONE;
    if (a == OPEN || b == OPEN)
        return PH_PATH_DIRECT;
    if (a == FILTERED || b == FILTERED || (a == SEQUENTIAL && b == SEQUENTIAL))
        return PH_PATH_PUNCHED;
    return PH_PATH_RELAYED;
}

static void check_cell(const Kind *alice, const Kind *bob)
{
    g_auto(World) world = {0};
    PhPathKind path = path_between(alice->place, bob->place);
    PhNodePeer peer;

    g_test_message("%s | %s", alice->nat, bob->nat);
    world_meet(&world, alice->nat, bob->nat);
    world_pass(&world, 25 * S);
    if (path == PH_PATH_NONE) {
        g_assert_false(ph_node_peer(world_node(&world, "bob"), 0, &peer));
        g_assert_cmpuint(world_counters(&world, "alice")->punches_attempted, ==, 0);
        g_assert_cmpuint(world_count(&world, "bob", "data", NULL), ==, 0);
        return;
    }
    assert_path(&world, "alice", path);
    assert_path(&world, "bob", path);
    g_assert_cmpuint(world_count(&world, "bob", "data", "hello from alice"), ==, 1);
    for (guint i = 0; i < 2; i++) {
        const PhNodeCounters *counters = world_counters(&world, i ? "alice" : "bob");

        if (path == PH_PATH_RELAYED)
            g_assert_cmpuint(counters->punches_attempted, ==, 0);
        else
            g_assert_cmpuint(counters->punches_succeeded, ==, 1);
        g_assert_cmpuint(counters->relay_fallbacks, ==, path == PH_PATH_RELAYED ? 1 : 0);
    }
}

static void test_N5_every_cell(gconstpointer data)
{
    const Kind *alice = data;

    for (guint i = 0; i < G_N_ELEMENTS(kinds); i++)
        check_cell(alice, &kinds[i]);
}

/* Ports that cannot be guessed are tried in masses, and mostly hit (N5). Where they are not, it is
 * tried again after a while, and stays relayed. */
static void test_N13_symmetric_and_cone(void)
{
    static const char symmetric[] = "behaviour = symmetric", cone[] = "behaviour = port-restricted";

    for (guint i = 0; i < 2; i++) {
        const char *const hosts[] = {"bob",   i ? cone : symmetric, "node",
                                     "alice", i ? symmetric : cone, "node --connect bob",
                                     NULL};
        g_auto(World) world = {0};
        const PhNodeCounters *counters;

        world_init(&world, hosts, "");
        world_start(&world, "bob");
        world_pass(&world, 10 * S);
        world.hole = TRUE;
        world_start(&world, "alice");
        world_pass(&world, 5 * S);
        world_stream(&world, "alice", 0, 300, 100 * MS);
        world_stream(&world, "bob", 0, 300, 100 * MS);
        world_pass(&world, S);
        counters = world_counters(&world, "alice");
        g_assert_cmpuint(counters->punches_attempted, >=, 2);
        g_assert_cmpuint(counters->punches_timed_out, >=, 2);
        g_assert_cmpuint(counters->punches_succeeded, ==, 0);
        assert_path(&world, "alice", PH_PATH_RELAYED);
        assert_path(&world, "bob", PH_PATH_RELAYED);
        assert_all_once(&world, "bob", 300);
        assert_all_once(&world, "alice", 300);
    }
}

/* ---- N11 ---- */

#define PUNCH_TYPE  0xc8
#define PUNCH_BYTES 32

/* What alice's node gets of a stranger: as long, as new and as late as the real ones. */
static void say_stray(World *world, const char *host, const guint8 *bytes, guint32 from)
{
    const PhPath path = {PH_TRANSPORT_UDP, 1, ph_address_ipv4(from, 4000)};

    ph_node_handle_datagram(world_node(world, host), &path, bytes, PUNCH_BYTES, world->lab->now);
    pl_seat_pump(world_seat(world, host));
}

/* All kinds, attempts and sides, without the token; all the time, at both, from a stranger and from
 * where the other one is. The attempt is open when it would have been. */
static void test_N11_stray_packets_spoil_nothing(void)
{
    static const char cone[] = "behaviour = port-restricted";
    const char *const hosts[] = {"bob", cone, "node", "alice", cone, "node --connect bob", NULL};
    g_auto(World) world = {0};
    guint8 packet[PUNCH_BYTES] = {PUNCH_TYPE};

    world_init(&world, hosts, "");
    world_start(&world, "bob");
    world_pass(&world, 10 * S);
    world_start(&world, "alice");
    for (guint i = 0; i < 300; i++) {
        packet[1] = (guint8)(1 + i % 3);
        packet[2] = (guint8)(1 + i / 3 % 4);
        packet[3] = (guint8)(i / 12 % 2);
        memset(packet + 4, (int)i, sizeof(packet) - 4);
        say_stray(&world, "alice", packet, i % 2 ? 0xcb007102 : 0xcb007177);
        say_stray(&world, "bob", packet, i % 2 ? 0xcb007103 : 0xcb007177);
        world_pass(&world, MS);
    }
    world_pass(&world, 5 * S);
    g_assert_cmpfloat(world_when(&world, "alice", 0, "path", "punched"), ==, 205);
    g_assert_cmpuint(world_counters(&world, "alice")->punches_attempted, ==, 1);
    g_assert_cmpuint(world_counters(&world, "alice")->punches_succeeded, ==, 1);
    g_assert_cmpuint(world_counters(&world, "alice")->foreign, ==, 300);
    assert_path(&world, "bob", PH_PATH_PUNCHED);
}

typedef struct Kept {
    World *world;
    guint8 packets[64][PUNCH_BYTES];
    guint n;
} Kept;

/* Keeps the punch packets that bob sends; they arrive as well. */
static gboolean keep(gpointer data, const PlNode *host, const guint8 *bytes, gsize length)
{
    Kept *kept = data;

    if (host && strcmp(host->name, "bob") == 0 && length == 28 + PUNCH_BYTES &&
        bytes[28] == PUNCH_TYPE && kept->n < G_N_ELEMENTS(kept->packets))
        memcpy(kept->packets[kept->n++], bytes + 28, PUNCH_BYTES);
    return FALSE;
}

/* Those of the first attempt come once more: when it is over, and all through the next one. */
static void test_N11_late_packets_spoil_nothing(void)
{
    static const char drawn[] = "behaviour = port-restricted\nport-allocation = random";
    const char *const hosts[] = {"bob", drawn, "node", "alice", drawn, "node --connect bob", NULL};
    g_auto(World) world = {0};
    Kept kept = {0};
    PhAddress before;
    PhNodePeer after;
    guint n;

    world_init(&world, hosts, "");
    world.lab->loses = keep;
    world.lab->loses_data = &kept;
    world_start(&world, "bob");
    world_pass(&world, 10 * S);
    world_start(&world, "alice");
    world_pass(&world, 5 * S);
    assert_path(&world, "alice", PH_PATH_PUNCHED);
    n = kept.n;
    g_assert_cmpuint(n, >=, 3);
    before = world_peer(&world, "alice").address;
    for (guint i = 0; i < n; i++)
        say_stray(&world, "alice", kept.packets[i], 0xcb007177);
    world_pass(&world, 5 * S);
    g_assert_cmpuint(world_count(&world, "alice", "path", NULL), ==, 2);
    pl_world_nat_flush(world.lab->world, world_nat(&world, "bob"), world.lab->now);
    for (guint i = 0; i < 3000; i++) {
        say_stray(&world, "alice", kept.packets[i % n], 0xcb007177);
        world_pass(&world, 10 * MS);
    }
    assert_path(&world, "alice", PH_PATH_PUNCHED);
    assert_path(&world, "bob", PH_PATH_PUNCHED);
    after = world_peer(&world, "alice");
    g_assert_false(ph_address_equal(&after.address, &before));
    g_assert_cmpuint(world_counters(&world, "alice")->punches_attempted, ==, 2);
    g_assert_cmpuint(world_counters(&world, "alice")->punches_succeeded, ==, 2);
}

/* ---- N30 ---- */

/* One node, and more peers than the mediator introduces at once: those that are refused go on by
 * the relay, wait, and are direct soon after. Nothing is lost of what is said meanwhile. */
static void test_N30_who_is_refused_waits(void)
{
    enum { N = 14 };
    g_autoptr(GString) rest = g_string_new(NULL);
    const char *const hosts[] = {"alice", "behaviour = port-restricted", "node", NULL};
    g_auto(World) world = {0};
    guint32 peers[N];
    guint waited = 0;

    for (guint i = 0; i < N; i++)
        g_string_append_printf(rest,
                               "[nat nat-p%u]\noutside = internet\ninside = 10.%u.0.0/24\n"
                               "behaviour = port-restricted\n[host p%u]\nbehind = nat-p%u\n"
                               "run = node\n[link p%u]\ndelay = 10ms\n",
                               i, i, i, i, i);
    world_init(&world, hosts, rest->str);
    world_start(&world, "alice");
    for (guint i = 0; i < N; i++) {
        g_autofree char *name = g_strdup_printf("p%u", i);

        world_start(&world, name);
    }
    world_pass(&world, 10 * S);
    for (guint i = 0; i < N; i++) {
        g_autofree char *name = g_strdup_printf("p%u", i);

        peers[i] = ph_node_connect(world_node(&world, "alice"), name, NULL, world.lab->now);
        g_assert_cmpuint(peers[i], !=, 0);
    }
    pl_seat_pump(world_seat(&world, "alice"));
    for (guint k = 0; k < 300; k++) {
        g_autofree char *text = g_strdup_printf("%u", k);

        for (guint i = 0; i < N; i++)
            g_assert_true(ph_node_send(world_node(&world, "alice"), peers[i], (const uint8_t *)text,
                                       strlen(text), world.lab->now));
        pl_seat_pump(world_seat(&world, "alice"));
        world_pass(&world, 100 * MS);
    }
    world_pass(&world, S);
    g_assert_cmpuint(world_counters(&world, "alice")->punches_rejected, >=, 1);
    for (guint i = 0; i < N; i++) {
        g_autofree char *name = g_strdup_printf("p%u", i);

        assert_path(&world, name, PH_PATH_PUNCHED);
        assert_all_once(&world, name, 300);
        waited += world_when(&world, name, 0, "path", "punched") > 13000;
    }
    g_assert_cmpuint(waited, >=, 1);
    g_assert_cmpuint(waited, <=, N - 8);
}

/* Nothing gets through at first; it is tried again and again, and goes direct in mid-stream. */
static void test_N30_upgraded_later(void)
{
    static const char cone[] = "behaviour = port-restricted";
    const char *const hosts[] = {"bob", cone, "node", "alice", cone, "node --connect bob", NULL};
    g_auto(World) world = {0};

    world_init(&world, hosts, "");
    world_start(&world, "bob");
    world_pass(&world, 10 * S);
    world.hole = TRUE;
    world_start(&world, "alice");
    world_pass(&world, S);
    world_stream(&world, "alice", 0, 1000, 60 * MS);
    assert_path(&world, "alice", PH_PATH_RELAYED);
    world.hole = FALSE;
    world_stream(&world, "alice", 1000, 1500, 60 * MS); /* 64 s are the longest that it waits */
    world_pass(&world, S);
    assert_path(&world, "alice", PH_PATH_PUNCHED);
    assert_path(&world, "bob", PH_PATH_PUNCHED);
    assert_all_once(&world, "bob", 2500);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (guint i = 0; i < G_N_ELEMENTS(kinds); i++) {
        g_autofree char *name = g_strdup_printf("/node/cells/N5 row %u", i);

        g_test_add_data_func(name, &kinds[i], test_N5_every_cell);
    }
    g_test_add_func("/node/cells/N11 stray packets", test_N11_stray_packets_spoil_nothing);
    g_test_add_func("/node/cells/N11 late packets", test_N11_late_packets_spoil_nothing);
    g_test_add_func("/node/cells/N13 symmetric and cone", test_N13_symmetric_and_cone);
    g_test_add_func("/node/cells/N30 who is refused waits", test_N30_who_is_refused_waits);
    g_test_add_func("/node/cells/N30 upgraded later", test_N30_upgraded_later);
    return g_test_run();
}
