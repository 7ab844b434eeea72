/* SPDX-License-Identifier: MIT */
/* N27: what a station tells of its introductions. */
#include "station_world.h"

static PhStationEvent next_event(Room *room, PhStationEventKind kind)
{
    PhStationEvent event;

    g_assert_true(ph_station_poll_event(room->station, &event));
    g_assert_cmpint(event.kind, ==, kind);
    return event;
}

static void assert_no_event(Room *room)
{
    PhStationEvent event;

    g_assert_false(ph_station_poll_event(room->station, &event));
}

static void join_two(Room *room, Client **ret_alice, Client **ret_bob)
{
    PhStationConfig config = room_config();

    room_init(room, &config);
    *ret_alice = room_client(room, 0);
    *ret_bob = room_client(room, 1);
    join(room, *ret_alice, "alice");
    join(room, *ret_bob, "bob");
}

static void assert_key(const uint8_t *key, const Client *client)
{
    g_assert_true(memcmp(key, ph_sessions_public_key(client->sessions), 32) == 0);
}

static void test_N27_an_introduction_is_told_with_who_and_whom(void)
{
    g_auto(Room) room = {0};
    Client *alice, *bob;
    PhMessage introduce;
    PhStationEvent event;

    join_two(&room, &alice, &bob);
    introduce = introduce_to(bob);
    introduce.introduce.attempt = 2;
    say(&room, alice, &introduce);
    event = next_event(&room, PH_STATION_INTRODUCED);
    g_assert_cmpstr(event.name, ==, "alice");
    g_assert_cmpstr(event.peer, ==, "bob");
    assert_key(event.key, alice);
    assert_key(event.peer_key, bob);
    g_assert_cmpuint(event.attempt, ==, 2);
    g_assert_cmpuint(event.times, ==, 1);
    g_assert_null(event.reason);
    assert_no_event(&room);
}

static void test_N27_refusals_are_told_by_name_and_once_a_second(void)
{
    g_auto(Room) room = {0};
    Client *alice, *bob;
    PhMessage introduce;
    PhStationEvent event;

    join_two(&room, &alice, &bob);
    introduce = introduce_to(bob);
    for (guint i = 0; i < 8 + 10; i++)
        say(&room, alice, &introduce);
    for (guint i = 0; i < 8; i++)
        next_event(&room, PH_STATION_INTRODUCED);
    event = next_event(&room, PH_STATION_NOT_INTRODUCED);
    g_assert_cmpstr(event.name, ==, "alice");
    assert_key(event.peer_key, bob);
    g_assert_cmpstr(event.reason, ==, "too-many");
    g_assert_nonnull(event.sentence);
    g_assert_cmpuint(event.times, ==, 1);
    assert_no_event(&room);
    pass(&room, S);
    say(&room, alice, &introduce);
    event = next_event(&room, PH_STATION_NOT_INTRODUCED);
    g_assert_cmpuint(event.times, ==, 10);
    /* Others are told of as before. */
    introduce = introduce_to(alice);
    memset(introduce.introduce.key, 0x77, sizeof(introduce.introduce.key));
    say(&room, bob, &introduce);
    event = next_event(&room, PH_STATION_NOT_INTRODUCED);
    g_assert_cmpstr(event.name, ==, "bob");
    g_assert_cmpstr(event.reason, ==, "unknown-peer");
    g_assert_cmpuint(event.peer_key[0], ==, 0x77);
}

static void test_N27_many_refusals_are_a_hint_once_a_minute(void)
{
    g_auto(Room) room = {0};
    Client *alice, *bob;
    PhMessage introduce;
    PhStationEvent event;
    guint hints = 0;

    join_two(&room, &alice, &bob);
    introduce = introduce_to(bob);
    for (guint i = 0; i < 100; i++)
        say(&room, alice, &introduce);
    while (ph_station_poll_event(room.station, &event))
        if (event.kind == PH_STATION_HINT) {
            hints++;
            g_assert_cmpstr(event.reason, ==, "too-many-refused");
            g_assert_cmpstr(event.sentence, ==, ph_node_sentence(event.reason));
            g_assert_cmpuint(event.times, ==, 32);
        }
    g_assert_cmpuint(hints, ==, 1);
}

/* Sixty-four of one node's in a minute, by a mediator that lets it. */
static void test_N27_one_that_asks_most_is_a_hint(void)
{
    g_auto(Room) room = {0};
    PhStationConfig config = room_config();
    Client *alice, *bob;
    PhMessage introduce;
    PhStationEvent event;
    guint hints = 0;

    config.introductions_at_once = 100;
    room_init(&room, &config);
    alice = room_client(&room, 0);
    bob = room_client(&room, 1);
    join(&room, alice, "alice");
    join(&room, bob, "bob");
    for (guint i = 0; i < 80; i++) {
        introduce = introduce_to(i % 4 == 0 ? alice : bob);
        say(&room, i % 4 == 0 ? bob : alice, &introduce);
    }
    while (ph_station_poll_event(room.station, &event))
        if (event.kind == PH_STATION_HINT) {
            hints++;
            g_assert_cmpstr(event.reason, ==, "one-asks-most");
            g_assert_cmpstr(event.name, ==, "alice");
            g_assert_cmpuint(event.times, >, 32);
        }
    g_assert_cmpuint(hints, ==, 1);
}

/* Who does not look loses the oldest, and nothing else. */
static void test_the_log_has_an_end(void)
{
    g_auto(Room) room = {0};
    PhStationConfig config = room_config();
    Client *alice, *bob;
    PhMessage introduce;
    PhStationEvent event;
    guint n = 0;

    config.introductions_at_once = 1000;
    room_init(&room, &config);
    alice = room_client(&room, 0);
    bob = room_client(&room, 1);
    join(&room, alice, "alice");
    join(&room, bob, "bob");
    introduce = introduce_to(bob);
    for (guint i = 0; i < 600; i++) {
        introduce.introduce.attempt = (guint8)(1 + (i == 599));
        say(&room, alice, &introduce);
    }
    while (ph_station_poll_event(room.station, &event))
        n++;
    g_assert_cmpuint(n, ==, 256);
    g_assert_cmpuint(event.attempt, ==, 2);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, function) g_test_add_func("/station-log/" path, function)
    ADD("N27-an-introduction-is-told-with-who-and-whom",
        test_N27_an_introduction_is_told_with_who_and_whom);
    ADD("N27-refusals-are-told-by-name-and-once-a-second",
        test_N27_refusals_are_told_by_name_and_once_a_second);
    ADD("N27-many-refusals-are-a-hint-once-a-minute",
        test_N27_many_refusals_are_a_hint_once_a_minute);
    ADD("N27-one-that-asks-most-is-a-hint", test_N27_one_that_asks_most_is_a_hint);
    ADD("the-log-has-an-end", test_the_log_has_an_end);
    return g_test_run();
}
