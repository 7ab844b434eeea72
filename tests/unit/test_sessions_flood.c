/* SPDX-License-Identifier: MIT */
/* What strangers can make us do: nothing that lasts, and nothing to others. */
#include <malloc.h>

#include "sessions_world.h"

static const PhSessionsCounters *counters(const World *world, guint side)
{
    return ph_sessions_counters(world->sides[side].sessions);
}

/* A hub (side 0) that answers two handshakes in a second, and some others. */
static void flooded_init(World *world, guint others)
{
    PhSessionsConfig config = side_config(0);

    world_init(world, 0);
    config.handshakes_per_s = 2;
    world_add(world, &config);
    for (guint i = 0; i < others; i++) {
        config = side_config(i + 1);
        world_add(world, &config);
    }
}

static void test_who_is_too_many_needs_a_cookie(void)
{
    g_auto(World) world;
    const Told *told;

    flooded_init(&world, 3);
    for (guint i = 1; i < 4; i++)
        world_open(&world, i, 0, "");
    world_run(&world, 5 * DELAY);
    for (guint i = 1; i < 4; i++) {
        told = expect_told(&world, i, PH_SESSION_UP);
        g_assert_cmpuint(told->at, ==, 5 * S + (i == 3 ? 4 : 2) * DELAY);
    }
    g_assert_cmpuint(counters(&world, 0)->cookies_sent, ==, 1);
    g_assert_cmpuint(counters(&world, 0)->accepted, ==, 3);
    g_assert_cmpuint(world.sides[3].sent[TYPE_REQUEST], ==, 2);
}

/* A request with mac2, made by a hub that was flooded and does not want anybody. */
static Flying request_with_cookie(World *world)
{
    flooded_init(world, 3);
    world->sides[0].refuses = TRUE;
    for (guint i = 1; i < 4; i++)
        world_open(world, i, 0, "");
    world_run(world, 5 * DELAY);
    g_assert_cmpuint(counters(world, 0)->cookies_sent, ==, 1);
    for (guint i = world->log->len; i-- > 0;) {
        Flying packet = g_array_index(world->log, Flying, i);

        if (packet.bytes[0] == TYPE_REQUEST) {
            g_assert_true(ph_address_equal(&packet.from, &world->sides[3].address));
            return packet;
        }
    }
    g_assert_not_reached();
}

static guint requests_after(World *world, const PhRoute *route, const Flying *packet)
{
    guint before = world->sides[0].requests;

    world_receive(world, 0, route, packet->bytes, packet->length);
    return world->sides[0].requests - before;
}

/* Uses up what is answered without one. */
static void flood(World *world)
{
    Flying packet = g_array_index(world->log, Flying, 0);
    PhRoute route = route_to(&packet.from);

    for (guint i = 0; i < 3; i++)
        requests_after(world, &route, &packet);
}

static void test_a_cookie_is_good_for_one_address(void)
{
    g_auto(World) world;
    Flying packet = request_with_cookie(&world);
    PhRoute own = route_to(&packet.from), other = own, port = own;

    other.path.remote.bytes[3]++;
    port.path.remote.port++;
    flood(&world);
    g_assert_cmpuint(requests_after(&world, &other, &packet), ==, 0);
    g_assert_cmpuint(requests_after(&world, &port, &packet), ==, 0);
    g_assert_cmpuint(requests_after(&world, &own, &packet), ==, 1);
}

static void test_a_cookie_is_good_for_two_minutes_at_least(void)
{
    g_auto(World) world;
    Flying packet = request_with_cookie(&world);
    PhRoute own = route_to(&packet.from);

    world.now += 120 * S;
    flood(&world);
    g_assert_cmpuint(requests_after(&world, &own, &packet), ==, 1);
    /* It was made in the first two minutes, and now is the fifth. */
    world.now = 240 * S;
    flood(&world);
    g_assert_cmpuint(requests_after(&world, &own, &packet), ==, 0);
}

static void test_who_has_a_cookie_has_a_limit(void)
{
    g_auto(World) world;
    Flying packet = request_with_cookie(&world);
    PhRoute own = route_to(&packet.from);
    guint n = 0;

    world.now += S;
    flood(&world);
    for (guint i = 0; i < 100; i++)
        n += requests_after(&world, &own, &packet);
    g_assert_cmpuint(n, ==, 20);
    g_assert_cmpuint(counters(&world, 0)->dropped_often, ==, 80);
    world.now += S / 20;
    g_assert_cmpuint(requests_after(&world, &own, &packet), ==, 1);
    g_assert_cmpuint(requests_after(&world, &own, &packet), ==, 0);
}

static void test_a_forged_cookie_is_nothing(void)
{
    g_auto(World) world;
    Flying cookie = {0};
    PhRoute route;
    guint sent;

    flooded_init(&world, 3);
    for (guint i = 1; i < 4; i++)
        world_open(&world, i, 0, "");
    world_run(&world, DELAY);
    for (guint i = 0; i < world.log->len; i++)
        if (g_array_index(world.log, Flying, i).bytes[0] == TYPE_COOKIE)
            cookie = g_array_index(world.log, Flying, i);
    g_assert_cmpuint(cookie.length, ==, 64);
    route = route_to(&cookie.from);
    sent = world.sides[3].sent[TYPE_REQUEST];
    for (gsize at = 0; at < cookie.length; at++) {
        Flying forged = cookie;

        forged.bytes[at] ^= 4;
        world_receive(&world, 3, &route, forged.bytes, forged.length);
    }
    g_assert_cmpuint(world.sides[3].sent[TYPE_REQUEST], ==, sent);
    /* The right one, many times: it is taken once. */
    for (guint i = 0; i < 5; i++)
        world_receive(&world, 3, &route, cookie.bytes, cookie.length);
    g_assert_cmpuint(world.sides[3].sent[TYPE_REQUEST], ==, sent + 1);
}

static void test_no_answer_is_longer_than_its_question(void)
{
    static char payload[PH_SESSION_PAYLOAD_MAX + 1];
    g_auto(World) world;
    gsize asked = G_MAXSIZE, answered = 0;

    memset(payload, 'x', PH_SESSION_PAYLOAD_MAX);
    flooded_init(&world, 3);
    world.sides[0].answer = payload;
    for (guint i = 1; i < 4; i++)
        world_open(&world, i, 0, "");
    world_run(&world, 5 * DELAY);
    for (guint i = 0; i < world.log->len; i++) {
        const Flying *packet = &g_array_index(world.log, Flying, i);

        if (packet->bytes[0] == TYPE_REQUEST)
            asked = MIN(asked, packet->length);
        else if (packet->bytes[0] != TYPE_DATA)
            answered = MAX(answered, packet->length);
    }
    g_assert_cmpuint(counters(&world, 0)->accepted, ==, 3);
    g_assert_cmpuint(answered, >, PH_SESSION_PAYLOAD_MAX);
    g_assert_cmpuint(answered, <=, asked);
}

/* Whatever they send; and with the right key as well: all there is was there before. */
static void test_strangers_allocate_nothing(void)
{
    g_auto(World) world;
    Flying request;
    guint8 bytes[PH_DATAGRAM_MAX] = {0};
    PhSessionInput input;
    PhRoute route;
    gsize before, lengths[] = {666, 100, 64, 200};

    world_init(&world, 2);
    world_open(&world, 1, 0, "");
    world_run(&world, 0);
    request = g_array_index(world.log, Flying, 0);
    route = route_to(&request.from);
    before = mallinfo2().uordblks;
    for (guint i = 0; i < 20000; i++) {
        bytes[0] = (guint8)(TYPE_REQUEST + i % 4);
        memcpy(bytes + 4, &i, sizeof(i));
        ph_sessions_receive(world.sides[0].sessions, &route, bytes, lengths[i % 4], world.now,
                            &input);
        g_assert(input.kind == PH_SESSION_NOTHING);
    }
    ph_sessions_receive(world.sides[0].sessions, &route, request.bytes, request.length, world.now,
                        &input);
    g_assert(input.kind == PH_SESSION_REQUEST);
    g_assert(ph_sessions_accept(world.sides[0].sessions, NULL, 0, world.now) != 0);
    g_assert(mallinfo2().uordblks == before);
    g_assert_cmpuint(counters(&world, 0)->dropped_mac, ==, 10000);
    g_assert_cmpuint(counters(&world, 0)->dropped_unknown, ==, 10000);
    g_assert_cmpuint(counters(&world, 0)->cookies_sent, ==, 0);
}

/* Many keys, one after the other, that never confirm: who confirms is not pushed out. */
static void test_strangers_do_not_push_out_peers(void)
{
    g_auto(World) world;
    PhRoute to;

    world_init(&world, 3);
    world_connect(&world, 1, 0);
    to = to_side(&world, 0);
    for (guint i = 0; i < 500; i++) {
        PhSessionsConfig config = side_config(2);
        PhSessions *stranger;
        const guint8 *bytes;
        PhRoute route;
        gsize length;

        memcpy(config.secret, &i, sizeof(i));
        stranger = ph_sessions_new(&config);
        ph_sessions_open(stranger, key_of(&world, 0), &to, NULL, 0, world.now);
        g_assert_true(ph_sessions_poll_transmit(stranger, &route, &bytes, &length));
        route = to_side(&world, 2);
        world_receive(&world, 0, &route, bytes, length);
        ph_sessions_free(stranger);
        world_run(&world, 15 * MS);
    }
    g_assert_cmpuint(counters(&world, 0)->accepted, ==, 501);
    g_assert_cmpuint(counters(&world, 0)->refused_full, ==, 0);
    g_assert_true(world_say(&world, 1, ph_sessions_find(world.sides[1].sessions, key_of(&world, 0)),
                            0, "still here"));
    world_run(&world, DELAY);
    while (world.sides[0].seen < world.sides[0].told->len - 1)
        world.sides[0].seen++;
    expect_data(&world, 0, "still here");
}

#define ADD(test) g_test_add_func("/sessions/flood/" #test, test_##test)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD(who_is_too_many_needs_a_cookie);
    ADD(a_cookie_is_good_for_one_address);
    ADD(a_cookie_is_good_for_two_minutes_at_least);
    ADD(who_has_a_cookie_has_a_limit);
    ADD(a_forged_cookie_is_nothing);
    ADD(no_answer_is_longer_than_its_question);
    ADD(strangers_allocate_nothing);
    ADD(strangers_do_not_push_out_peers);
    return g_test_run();
}
