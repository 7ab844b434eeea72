/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hard NATs: how often two find each other. Counts are exact for these seeds; what is asked for is
 * a share.
 */
#include "punch_world.h"

#define SEEDS 1000

typedef struct Tally {
    guint opened, tried;
    guint64 sent, most;
} Tally;

static void try_pair(Tally *tally, const Kind *a, const Kind *b, guint n,
                     void (*before)(Punching *))
{
    *tally = (Tally){0};
    for (guint64 seed = 1; seed <= n; seed++) {
        g_auto(Punching) p = {0};

        punching_pair(&p, a, b, seed);
        if (before)
            before(&p);
        tally->opened += punching_attempt(&p, 1, 0) ? 1 : 0;
        tally->tried++;
        for (guint i = 0; i < 2; i++) {
            tally->sent += p.sides[i].sent->len;
            tally->most = MAX(tally->most, p.sides[i].sent->len);
        }
    }
    g_test_message(
        "%s x %s: %u of %u, %" G_GUINT64_FORMAT " packets a side, %" G_GUINT64_FORMAT " at most",
        a->name, b->name, tally->opened, tally->tried, tally->sent / tally->tried / 2, tally->most);
}

static void assert_share(const Tally *tally, guint opened, guint percent)
{
    g_assert_cmpuint(tally->opened, ==, opened);
    g_assert_cmpuint(tally->opened * 100, >=, tally->tried * percent);
    g_assert_cmpuint(tally->most, <=, PH_PUNCH_HARD_MAX);
}

static void test_random(void)
{
    Tally tally;

    try_pair(&tally, &kind_random, &kind_port_restricted, SEEDS, NULL);
    assert_share(&tally, 983, 98);
}

static void test_random_the_other_way(void)
{
    Tally tally;

    try_pair(&tally, &kind_random_cone, &kind_by_address, SEEDS, NULL);
    assert_share(&tally, 986, 98);
}

/* The edges as a classification finds them, which may be wrong. */
static void test_block(void)
{
    Tally tally;

    try_pair(&tally, &kind_block, &kind_port_restricted, SEEDS, NULL);
    assert_share(&tally, 1000, 98);
}

/* The real edges, and no more than 64 x 128: the first 128 ports have to do. */
static void know_block(Punching *p)
{
    PhNodeRecord *record = &p->sides[0].record;
    guint port = record->candidates[0].address.port;

    record->block_first = (guint16)(port - (port - 1024) % 2048);
    record->block_last = (guint16)(record->block_first + 2047);
}

static void test_known_block(void)
{
    Tally tally;

    try_pair(&tally, &kind_block, &kind_port_restricted, SEEDS, know_block);
    assert_share(&tally, 1000, 98);
}

static const Kind kind_small_block = {"block of 600",
                                      "behaviour = symmetric\nport-allocation = block\n"
                                      "block-size = 600\n",
                                      PH_MAPPING_ADDRESS_AND_PORT_DEPENDENT,
                                      PH_FILTERING_ADDRESS_AND_PORT_DEPENDENT,
                                      PH_PORT_ALLOCATION_BLOCK,
                                      0},
                  kind_large_block = {"block of 3000",
                                      "behaviour = symmetric\nport-allocation = block\n"
                                      "block-size = 3000\n",
                                      PH_MAPPING_ADDRESS_AND_PORT_DEPENDENT,
                                      PH_FILTERING_ADDRESS_AND_PORT_DEPENDENT,
                                      PH_PORT_ALLOCATION_BLOCK,
                                      0};

static void test_odd_blocks(void)
{
    Tally tally;

    try_pair(&tally, &kind_small_block, &kind_port_restricted, SEEDS, NULL);
    assert_share(&tally, 1000, 98);
    try_pair(&tally, &kind_large_block, &kind_port_restricted, SEEDS, NULL);
    assert_share(&tally, 1000, 98);
}

/* ---- sequences ---- */

/* Since the hub saw them both have made other mappings, as classifications do. */
static void use_some(Punching *p)
{
    guint used[2] = {(guint)(p->seed * 7 % 40), (guint)(p->seed * 11 % 40)};

    for (guint i = 0; i < 2; i++)
        for (guint k = 0; k < used[i]; k++)
            punching_seen(p, i, (guint16)(20000 + k), HUB_AT);
}

static void test_sequential(void)
{
    Tally tally;

    try_pair(&tally, &kind_sequential, &kind_port_restricted, 100, use_some);
    assert_share(&tally, 100, 98);
    try_pair(&tally, &kind_sequential_2, &kind_random_cone, 100, use_some);
    assert_share(&tally, 100, 98);
}

static void test_two_sequential(void)
{
    Tally tally;

    try_pair(&tally, &kind_sequential, &kind_sequential, 100, use_some);
    assert_share(&tally, 100, 98);
    try_pair(&tally, &kind_sequential, &kind_sequential_2, 100, use_some);
    assert_share(&tally, 100, 98);
}

/* A second and third attempt count with what the ones before have used. */
static void test_two_sequential_again(void)
{
    for (guint attempt = 2; attempt <= 3; attempt++) {
        g_auto(Punching) p = {0};

        punching_pair(&p, &kind_sequential, &kind_sequential, 1);
        for (guint before = 1; before < attempt; before++) {
            p.sides[0].refuse =
                PH_PUNCH_SOCKETS; /* it opens on one side only: nothing comes of it */
            g_assert_false(punching_attempt(&p, before, 0));
        }
        p.sides[0].refuse = 0;
        /* The other side's mappings are 64 further for each. */
        for (guint k = 0; k < 64 * (attempt - 1); k++)
            punching_seen(&p, 0, (guint16)(20000 + k), HUB_AT);
        g_assert_true(punching_attempt(&p, attempt, 0));
    }
}

/* After the last port comes the first one. */
static void test_sequence_wraps(void)
{
    static const Kind late = {"sequential at its end",
                              "behaviour = symmetric\nport-allocation = sequential\n",
                              PH_MAPPING_ADDRESS_AND_PORT_DEPENDENT,
                              PH_FILTERING_ADDRESS_AND_PORT_DEPENDENT,
                              PH_PORT_ALLOCATION_SEQUENTIAL,
                              1};
    g_auto(Punching) p = {0};
    guint16 port = 0;

    punching_pair(&p, &late, &kind_port_restricted, 1);
    for (guint i = 0; i < 70000 && port != 65534; i++)
        port = punching_seen(&p, 0, (guint16)(1024 + i % 20000), i % 3 ? HUB_AT : "203.0.113.200:9")
                   .port;
    g_assert_cmpuint(port, ==, 65534);
    p.sides[0].record.candidates[0].address.port = port;
    g_assert_true(punching_attempt(&p, 1, 0));
}

/* A driver that is out of descriptors. */
static void test_without_sockets(void)
{
    g_auto(Punching) p = {0};

    punching_pair(&p, &kind_random, &kind_port_restricted, 1);
    p.sides[0].refuse = PH_PUNCH_SOCKETS;
    g_assert_false(punching_attempt(&p, 1, 0));
    g_assert_cmpuint(p.sides[0].sent->len, ==, 0);
}

int main(int argc, char *argv[])
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/punch-hard/random", test_random);
    g_test_add_func("/punch-hard/random-the-other-way", test_random_the_other_way);
    g_test_add_func("/punch-hard/block", test_block);
    g_test_add_func("/punch-hard/known-block", test_known_block);
    g_test_add_func("/punch-hard/odd-blocks", test_odd_blocks);
    g_test_add_func("/punch-hard/sequential", test_sequential);
    g_test_add_func("/punch-hard/two-sequential", test_two_sequential);
    g_test_add_func("/punch-hard/two-sequential-again", test_two_sequential_again);
    g_test_add_func("/punch-hard/sequence-wraps", test_sequence_wraps);
    g_test_add_func("/punch-hard/without-sockets", test_without_sockets);
    return g_test_run();
}
