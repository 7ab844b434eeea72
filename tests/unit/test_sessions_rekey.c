/* SPDX-License-Identifier: MIT */
/* Fresh keys: when they come, that nothing is lost over it, and what happens if they do not come.
 */
#include "sessions_world.h"

static const PhSessionsCounters *counters(const World *world, guint side)
{
    return ph_sessions_counters(world->sides[side].sessions);
}

static guint count_data(World *world, guint side)
{
    const Told *told;
    guint n = 0;

    while ((told = next_told(world, side))) {
        g_assert_cmpuint(told->input.kind, ==, PH_SESSION_MESSAGE);
        n++;
    }
    return n;
}

/* Both sides talk all the time. */
static void talk(World *world, guint32 session, guint64 duration, guint64 every)
{
    guint64 end = world->now + duration;

    while (world->now < end) {
        g_assert_true(world_say(world, 0, session, 1, "one"));
        g_assert_true(world_say(world, 1, world->sides[1].accepted, 0, "other"));
        world_run(world, every);
    }
}

static void test_nothing_is_lost_over_fresh_keys(void)
{
    g_auto(World) world;
    guint32 session;

    world_init(&world, 2);
    session = world_connect(&world, 0, 1);
    talk(&world, session, 600 * S, 15 * MS); /* more often than packets take */
    world_run(&world, DELAY);
    g_assert_cmpuint(count_data(&world, 0), ==, 40000);
    g_assert_cmpuint(count_data(&world, 1), ==, 40000);
    /* 108 to 120 s apart */
    g_assert_cmpuint(counters(&world, 0)->rekeyed, ==, 5);
    g_assert_cmpuint(counters(&world, 1)->rekeyed, ==, 5);
    g_assert_cmpuint(world.sides[1].sent[TYPE_REQUEST], ==, 0);
    g_assert_cmpuint(world.sides[1].requests, ==, 1);
    g_assert_cmpuint(counters(&world, 0)->dropped_unknown, ==, 0);
    g_assert_cmpuint(counters(&world, 1)->dropped_unknown, ==, 0);
}

static guint lost;

/* One of five, whichever it is; the handshakes' as well. `fate_count` is the state. */
static gboolean lose_some(World *world, Flying *packet)
{
    world->fate_count = world->fate_count * 1664525 + 1013904223;
    if (world->fate_count >> 16 >= 13107)
        return TRUE;
    lost += packet->bytes[0] == TYPE_DATA && packet->length > PH_SESSION_OVERHEAD + 1;
    return FALSE;
}

static void test_only_the_network_loses_packets(void)
{
    for (guint seed = 0; seed < 10; seed++) {
        g_auto(World) world;
        guint32 session;

        world_init(&world, 2);
        session = world_connect(&world, 0, 1);
        world.fate = lose_some;
        world.fate_count = seed;
        lost = 0;
        talk(&world, session, 600 * S, 100 * MS);
        world_run(&world, DELAY);
        g_assert_cmpuint(count_data(&world, 0) + count_data(&world, 1) + lost, ==, 12000);
        g_assert_cmpuint(counters(&world, 0)->rekeyed, >=, 5);
    }
}

/* A packet that was sealed before and comes long after. */
static void test_the_old_keys_open_what_is_late(void)
{
    g_auto(World) world;
    guint8 late[2][PH_DATAGRAM_MAX];
    guint8 plain[] = {PH_MESSAGE_DATA, 'x'};
    guint32 session[2];
    PhRoute route[2];
    gsize length = 0;

    world_init(&world, 2);
    session[0] = world_connect(&world, 0, 1);
    session[1] = world.sides[1].accepted;
    for (guint i = 0; i < 2; i++) {
        route[i] = to_side(&world, i);
        length = ph_sessions_seal(world.sides[i].sessions, session[i], plain, sizeof(plain),
                                  world.now, late[i]);
    }
    world_run(&world, 130 * S);
    g_assert_cmpuint(counters(&world, 1)->rekeyed, ==, 1);
    for (guint i = 0; i < 2; i++) {
        world_receive(&world, 1 - i, &route[i], late[i], length);
        g_assert_cmpuint(count_data(&world, 1 - i), ==, 1);
    }
    /* Not for ever. */
    world_run(&world, 60 * S);
    g_assert_cmpuint(counters(&world, 1)->rekeyed, ==, 1);
    for (guint i = 0; i < 2; i++) {
        world_receive(&world, 1 - i, &route[i], late[i], length);
        g_assert_cmpuint(counters(&world, 1 - i)->dropped_unknown, ==, 1);
    }
}

static gboolean lose_all(World *world, Flying *packet)
{
    (void)world;
    (void)packet;
    return FALSE;
}

static void test_keys_that_are_too_old_end_it(void)
{
    g_auto(World) world;
    guint32 session;
    const Told *told;

    world_init(&world, 2);
    session = world_connect(&world, 0, 1);
    world.fate = lose_all;
    /* It was answered, and up there, 20 and 40 ms after its beginning; it is 60 ms now. */
    world_run(&world, 180 * S - 2 * DELAY - 1);
    expect_nothing(&world, 1);
    g_assert_true(world_say(&world, 1, world.sides[1].accepted, 0, "last"));
    world_run(&world, 1);
    told = expect_told(&world, 1, PH_SESSION_GONE);
    g_assert_cmpstr(told->input.reason, ==, "timeout");
    g_assert_false(world_say(&world, 1, world.sides[1].accepted, 0, "too late"));
    expect_nothing(&world, 0);
    world_run(&world, DELAY);
    told = expect_told(&world, 0, PH_SESSION_GONE);
    g_assert_cmpuint(told->input.session, ==, session);
    g_assert_cmpstr(told->input.reason, ==, "timeout");
    /* It asked until the end: five times in each five seconds. */
    g_assert_cmpuint(world.sides[0].sent[TYPE_REQUEST], >, 60);
}

/* Whoever is late with timeouts seals nothing, either. */
static void test_old_keys_seal_nothing(void)
{
    g_auto(World) world;
    guint32 session;

    world_init(&world, 2);
    session = world_connect(&world, 0, 1);
    world.now += 180 * S - DELAY - 1;
    g_assert_true(world_say(&world, 0, session, 1, "last"));
    world.now++;
    g_assert_false(world_say(&world, 0, session, 1, "too late"));
}

static gboolean lose_requests(World *world, Flying *packet)
{
    (void)world;
    return packet->bytes[0] != TYPE_REQUEST;
}

static void test_fresh_keys_may_come_late(void)
{
    g_auto(World) world;
    guint32 session;

    world_init(&world, 2);
    session = world_connect(&world, 0, 1);
    world.fate = lose_requests;
    talk(&world, session, 170 * S, 100 * MS);
    world.fate = NULL;
    talk(&world, session, 170 * S, 100 * MS);
    world_run(&world, DELAY);
    g_assert_cmpuint(count_data(&world, 0), ==, 3400);
    g_assert_cmpuint(count_data(&world, 1), ==, 3400);
    g_assert_cmpuint(counters(&world, 0)->rekeyed, ==, 2);
}

/* Loses what would confirm the first fresh keys. */
static gboolean lose_from_first(World *world, Flying *packet)
{
    return !ph_address_equal(&packet->from, &world->sides[0].address) ||
           packet->bytes[0] == TYPE_REQUEST;
}

/* The responder has fresh keys that it may not use yet, and goes on with the old ones. */
static void test_unconfirmed_keys_are_not_used(void)
{
    g_auto(World) world;

    world_init(&world, 2);
    world_connect(&world, 0, 1);
    world.fate = lose_from_first;
    world_run(&world, 125 * S);
    g_assert_cmpuint(counters(&world, 0)->rekeyed, ==, 1);
    g_assert_cmpuint(counters(&world, 1)->rekeyed, ==, 0);
    g_assert_true(world_say(&world, 1, world.sides[1].accepted, 0, "old"));
    world_run(&world, DELAY);
    expect_data(&world, 0, "old");
    world.fate = NULL;
    g_assert_true(world_say(&world, 0, ph_sessions_find(world.sides[0].sessions, key_of(&world, 1)),
                            1, "new"));
    world_run(&world, DELAY);
    expect_data(&world, 1, "new");
    g_assert_cmpuint(counters(&world, 1)->rekeyed, ==, 1);
}

static void test_a_replayed_rekey_is_refused(void)
{
    g_auto(World) world;
    const Flying *request = NULL;
    PhRoute route;

    world_init(&world, 2);
    world_connect(&world, 0, 1);
    world_run(&world, 125 * S);
    for (guint i = 1; i < world.log->len; i++)
        if (g_array_index(world.log, Flying, i).bytes[0] == TYPE_REQUEST)
            request = &g_array_index(world.log, Flying, i);
    g_assert_nonnull(request);
    route = to_side(&world, 0);
    world_receive(&world, 1, &route, request->bytes, request->length);
    g_assert_cmpuint(counters(&world, 1)->dropped_stale, ==, 1);
    g_assert_cmpuint(world.sides[1].sent[TYPE_RESPONSE], ==, 2);
}

/* Who was restarted does not know the keys that are to be renewed, and says nothing. */
static void test_a_rekey_of_nothing_is_nothing(void)
{
    g_auto(World) world;
    PhSessionsConfig config = side_config(1);

    world_init(&world, 2);
    world_connect(&world, 0, 1);
    ph_sessions_free(world.sides[1].sessions);
    config.seed[0] = 0;
    world.sides[1].sessions = ph_sessions_new(&config);
    world_run(&world, 190 * S);
    expect_nothing(&world, 1);
    g_assert_cmpuint(counters(&world, 1)->dropped_unknown, >, 5);
    expect_told(&world, 0, PH_SESSION_GONE);
}

/* From one side, whichever asked: fresh keys after 2^20 packets. */
static void test_many_packets_want_fresh_keys(gconstpointer data)
{
    guint talker = GPOINTER_TO_UINT(data);
    g_auto(World) world;
    guint8 byte = PH_MESSAGE_KEEPALIVE, packet[PH_DATAGRAM_MAX];
    guint32 session[2];
    PhRoute route;
    PhSessionInput input;
    gsize length;

    world_init(&world, 2);
    session[0] = world_connect(&world, 0, 1);
    session[1] = world.sides[1].accepted;
    route = to_side(&world, talker);
    for (guint i = 0; i < 1U << 20; i++) {
        world_run(&world, 0);
        /* The asker has said one thing before, by itself. */
        g_assert_true(i == (1U << 20) - 1 || world.sides[0].sent[TYPE_REQUEST] == 1);
        length = ph_sessions_seal(world.sides[talker].sessions, session[talker], &byte, 1,
                                  world.now, packet);
        g_assert_cmpuint(length, >, 0);
        /* One of many gets there: it is the counter that counts. */
        if (i % 1024 == 1023)
            ph_sessions_receive(world.sides[1 - talker].sessions, &route, packet, length, world.now,
                                &input);
    }
    world_run(&world, 3 * DELAY);
    g_assert_cmpuint(world.sides[0].sent[TYPE_REQUEST], ==, 2);
    g_assert_cmpuint(counters(&world, 0)->rekeyed, ==, 1);
    g_assert_cmpuint(counters(&world, 1)->rekeyed, ==, 1);
}

#define ADD(test) g_test_add_func("/sessions/rekey/" #test, test_##test)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD(nothing_is_lost_over_fresh_keys);
    ADD(only_the_network_loses_packets);
    ADD(the_old_keys_open_what_is_late);
    ADD(keys_that_are_too_old_end_it);
    ADD(old_keys_seal_nothing);
    ADD(fresh_keys_may_come_late);
    ADD(unconfirmed_keys_are_not_used);
    ADD(a_replayed_rekey_is_refused);
    ADD(a_rekey_of_nothing_is_nothing);
    g_test_add_data_func("/sessions/rekey/many_packets_from_who_asked", GUINT_TO_POINTER(0),
                         test_many_packets_want_fresh_keys);
    g_test_add_data_func("/sessions/rekey/many_packets_from_who_answered", GUINT_TO_POINTER(1),
                         test_many_packets_want_fresh_keys);
    return g_test_run();
}
