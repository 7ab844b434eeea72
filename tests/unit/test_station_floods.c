/* SPDX-License-Identifier: MIT */
/* Attacks on a station by doing too much: by many, with many keys, and by way of its relay. */
#include "station_scene.h"

/* ---- floods ---- */

/* Thousands of keys that never confirm, with names and all they can ask for. */
static void test_a_flood_of_strangers_leaves_room(void)
{
    g_auto(Scene) scene = {0};
    Room *room = &scene.room;
    PhMessage connect = connect_to("bob");
    PhStationConfig config = room_config();
    Client *carol;

    config.nodes_max = 64;
    scene_init_with(&scene, &config);
    carol = room_client(room, 2);
    for (guint i = 0; i < 3000; i++) {
        PhPath from = victim();
        Client *one;

        from.remote.bytes[2] = (guint8)(i >> 8);
        from.remote.bytes[3] = (guint8)i;
        one = stranger(room, i, &from, i % 2 ? "carol" : "", &connect, 1);
        client_free(one);
        deliver(room);
        pass(room, 2 * MS);
        if (i == 2500) /* her answer takes a while, meanwhile others come */
            ask(room, carol, "carol", &connect);
        if (i == 2505)
            confirm(room, carol);
    }
    assert_is(room, "alice", scene.alice);
    assert_is(room, "carol", carol);
    g_assert_cmpuint(carol->told[PH_MESSAGE_FOUND], ==, 1);
    assert_relays(&scene);
}

/* Who is flooded beyond what it answers asks for cookies, and keeps nothing. */
static void test_a_flood_is_answered_with_cookies(void)
{
    g_auto(Scene) scene = {0};
    Room *room = &scene.room;
    const PhPath from = victim();
    gsize before = 0;

    scene_init(&scene);
    pass(room, 2 * S);
    for (guint i = 0; i < 600; i++) {
        if (i == 500)
            before = room->out;
        client_free(stranger(room, i, &from, "", NULL, 0));
        deliver(room);
    }
    g_assert_cmpuint(room->out - before, ==, 100 * 64);
    g_assert_cmpuint(room->out, <, room->in / 5);
    assert_relays(&scene);
}

/* Who is refused does not stay: its session would, for three minutes. */
static void test_who_is_refused_takes_no_place(void)
{
    g_auto(Scene) scene = {0};
    PhStationConfig config = room_config();
    Room *room = &scene.room;
    Client *carol;

    config.nodes_max = 8; /* and 512 sessions more */
    scene_init_with(&scene, &config);
    for (guint i = 0; i < 700; i++) {
        Client *one = client_new(NOBODY + i, room->now);

        room->clients[2] = one;
        ask(room, one, "bob", NULL);
        g_assert_cmpuint(one->told[PH_MESSAGE_REFUSED], ==, 1);
        confirm(room, one);
        client_free(one);
        room->clients[2] = NULL;
        pass(room, 5 * MS);
    }
    carol = room_client(room, 2);
    join(room, carol, "carol");
    assert_is(room, "carol", carol);
}

/* ---- many keys, one address ---- */

/* So many clients, each with a port of the same IPv4 address, or an address of the same /64. */
static void crowd(Room *room, guint n, gboolean ipv6)
{
    for (guint i = 0; i < n; i++) {
        Client *client = room_client(room, 2 + i);
        g_autofree char *name = g_strdup_printf("n%u", i);

        if (ipv6) {
            client->path.remote =
                (PhAddress){.family = PH_FAMILY_IPV6,
                            .port = 4000,
                            .bytes = {0x20, 1, 0xd, 0xb8, [14] = (guint8)(i + 1)}};
        } else {
            client->path.remote = ph_address_ipv4(0xc6336480, (guint16)(5000 + i));
        }
        ask(room, client, name, NULL);
        confirm(room, client);
    }
}

static guint registered(const Room *room)
{
    PhStationNode node;
    guint32 at = 0;
    guint n = 0;

    while (ph_station_node(room->station, &at, &node))
        n++;
    return n;
}

static void test_keys_do_not_multiply_registrations(gconstpointer ipv6)
{
    g_auto(Scene) scene = {0};
    PhStationConfig config = room_config();
    Room *room = &scene.room;

    config.address_nodes = 20;
    scene_init_with(&scene, &config);
    crowd(room, 40, GPOINTER_TO_INT(ipv6));
    g_assert_cmpuint(registered(room), ==, 2 + 20);
    g_assert_cmpuint(room->clients[2 + 39]->last[PH_MESSAGE_REFUSED].refused.reason, ==,
                     PH_REASON_FULL);
    /* One that goes makes room for one. */
    say(room, room->clients[2], &(PhMessage){.kind = PH_MESSAGE_CLOSE});
    pass(room, S);
    join(room, room->clients[2 + 39], "late");
    g_assert_cmpuint(registered(room), ==, 2 + 20);
}

static void test_keys_do_not_come_faster_than_their_address_may(void)
{
    g_auto(Scene) scene = {0};
    PhStationConfig config = room_config();
    Room *room = &scene.room;

    config.address_registrations_per_s = 1;
    config.address_registrations_at_once = 10;
    scene_init_with(&scene, &config);
    crowd(room, 40, FALSE);
    g_assert_cmpuint(registered(room), ==, 2 + 10);
    g_assert_cmpuint(room->clients[2 + 39]->last[PH_MESSAGE_REFUSED].refused.reason, ==,
                     PH_REASON_TOO_MANY);
    pass(room, 3 * S);
    crowd(room, 1, FALSE); /* who is registered may come again at any time */
    g_assert_cmpuint(registered(room), ==, 2 + 10);
    for (guint i = 30; i < 40; i++) {
        ask(room, room->clients[2 + i], "", NULL);
        confirm(room, room->clients[2 + i]);
    }
    g_assert_cmpuint(registered(room), ==, 2 + 13);
}

/* Forged requests take nothing away from those who are really there. */
static void test_a_forged_source_uses_up_nobodys_share(void)
{
    g_auto(Scene) scene = {0};
    PhStationConfig config = room_config();
    Room *room = &scene.room;
    PhMessage connect = connect_to("bob");
    PhPath from = victim();

    config.address_nodes = 4;
    config.address_registrations_at_once = 4;
    config.address_registrations_per_s = 1;
    config.address_share = 1;
    scene_init_with(&scene, &config);
    from.remote = ph_address_ipv4(0xc6336480, 7);
    for (guint i = 0; i < 200; i++)
        client_free(stranger(room, i, &from, "", &connect, 1));
    deliver(room);
    crowd(room, 4, FALSE);
    g_assert_cmpuint(registered(room), ==, 2 + 4);
    say(room, room->clients[2], &connect);
    g_assert_cmpuint(room->clients[2]->told[PH_MESSAGE_FOUND], ==, 1);
}

static guint count_told(const Room *room, guint n, PhMessageKind kind)
{
    guint told = 0;

    for (guint i = 0; i < n; i++)
        told += room->clients[2 + i]->told[kind];
    return told;
}

/* N10, with many keys: as many as two nodes may, not as many as forty. */
static void test_N10_keys_do_not_multiply_what_is_asked_for(void)
{
    g_auto(Scene) scene = {0};
    PhStationConfig config = room_config();
    Room *room = &scene.room;
    PhMessage introduce, connect = connect_to("bob");

    config.address_share = 2;
    scene_init_with(&scene, &config);
    introduce = introduce_to(scene.bob);
    crowd(room, 40, FALSE);
    for (guint i = 0; i < 40; i++)
        for (guint k = 0; k < 4; k++) {
            say(room, room->clients[2 + i], &introduce);
            say(room, room->clients[2 + i], &connect);
        }
    g_assert_cmpuint(count_told(room, 40, PH_MESSAGE_INTRODUCED), ==, 2 * 8);
    g_assert_cmpuint(count_told(room, 40, PH_MESSAGE_FOUND), ==, 2 * 32);
    g_assert_cmpuint(count_told(room, 40, PH_MESSAGE_REFUSED), ==, 320 - 2 * 8 - 2 * 32);
    g_assert_cmpuint(room_counters(room)->limited_address, ==, 320 - 2 * 8 - 2 * 32);
    g_assert_cmpuint(room_counters(room)->introductions_refused, ==, 160 - 2 * 8);
    /* Others are none the worse for it. */
    say(room, scene.alice, &introduce);
    g_assert_cmpuint(scene.alice->told[PH_MESSAGE_INTRODUCED], ==, 1);
}

static void test_keys_do_not_multiply_what_is_relayed(void)
{
    g_auto(Scene) scene = {0};
    PhStationConfig config = room_config();
    Room *room = &scene.room;
    PhMessage relay;

    config.relay_bytes_per_s = 10000;
    config.address_share = 2;
    scene_init_with(&scene, &config);
    relay = relay_to(scene.alice, packet, sizeof(packet));
    crowd(room, 10, FALSE);
    for (guint i = 0; i < 10; i++)
        for (guint k = 0; k < 8; k++)
            say(room, room->clients[2 + i], &relay);
    g_assert_cmpuint(scene.bob->told[PH_MESSAGE_RELAYED], ==, 20);
    g_assert_cmpuint(room_counters(room)->relay_dropped_limit, ==, 60);
    assert_relays(&scene);
}

/* ---- the relay ---- */

/* To those who are registered, and to nobody else, whatever channel they name. */
static void test_a_relay_is_no_open_proxy(void)
{
    g_auto(Scene) scene = {0};
    Room *room = &scene.room;
    PhMessage relay;
    Client *mallory;

    scene_init(&scene);
    relay = relay_to(scene.alice, packet, 100);
    for (guint32 i = 0; i < 64; i++) {
        relay.relay.channel = i < 32 ? 1U << i : (i * 2654435761U) | 8;
        say(room, scene.alice, &relay);
    }
    g_assert_cmpuint(room->victim_datagrams, ==, 0);
    /* Channels 1 and 2 are alice and bob. */
    g_assert_cmpuint(scene.alice->told[PH_MESSAGE_RELAYED] + scene.bob->told[PH_MESSAGE_RELAYED],
                     ==, 2);
    /* Whose session is none of a node that is registered relays nothing. */
    mallory = room_client(room, 2);
    ask(room, mallory, "bob", NULL);
    relay = relay_to(scene.alice, packet, 100);
    say(room, mallory, &relay);
    g_assert_cmpuint(scene.bob->told[PH_MESSAGE_RELAYED], ==, 1);
}

static void test_what_is_replayed_is_not_relayed_twice(void)
{
    g_auto(Scene) scene = {0};
    Room *room = &scene.room;
    const PhPath from = victim();
    guint8 heard[PH_DATAGRAM_MAX];
    gsize length;

    scene_init(&scene);
    assert_relays(&scene);
    length = scene.alice->packet_length;
    memcpy(heard, scene.alice->packet, length);
    for (guint i = 0; i < 20; i++) {
        room_arrive(room, i % 2 ? &from : &scene.alice->path, heard, length);
        deliver(room);
    }
    for (guint i = 0; i < 200; i++) { /* nor what was changed */
        heard[4 + i % (length - 4)] ^= (guint8)(1 + i);
        room_arrive(room, &from, heard, length);
        deliver(room);
    }
    g_assert_cmpuint(scene.bob->told[PH_MESSAGE_RELAYED], ==, 1);
    g_assert_cmpuint(room->victim_datagrams, ==, 0);
    assert_is(room, "alice", scene.alice);
}

/* Of what waits for one, the oldest goes; and nobody else's. */
static void test_the_oldest_is_dropped(void)
{
    g_auto(Scene) scene = {0};
    PhStationConfig config = room_config();
    Room *room = &scene.room;
    guint8 numbered[16] = {0xc4};
    PhMessage relay;

    config.relay_queue_packets = 4;
    scene_init_with(&scene, &config);
    relay = relay_to(scene.alice, numbered, sizeof(numbered));
    scene.bob->mute = TRUE;
    scene.bob->path.remote.port++;
    say_alive(room, scene.bob); /* it is elsewhere, and has not shown it yet */
    for (guint i = 0; i < 10; i++) {
        numbered[15] = (guint8)i;
        say(room, scene.alice, &relay);
    }
    g_assert_cmpuint(scene.bob->told[PH_MESSAGE_RELAYED], ==, 0);
    g_assert_cmpuint(room_counters(room)->relay_dropped_queue, ==, 6);
    say(room, scene.bob,
        &(PhMessage){
            .kind = PH_MESSAGE_PONG,
            .ping = {.id = scene.bob->last[PH_MESSAGE_PING].ping.id, .seen = to_station.remote}});
    g_assert_cmpuint(scene.bob->told[PH_MESSAGE_RELAYED], ==, 4);
    g_assert_cmpuint(scene.bob->last[PH_MESSAGE_RELAYED].relay.length, ==, sizeof(numbered));
    assert_relays(&scene);
}

/* One that takes all it gets leaves the others theirs. */
static void test_one_does_not_hog_the_relay(void)
{
    g_auto(Scene) scene = {0};
    PhStationConfig config = room_config();
    Room *room = &scene.room;
    Client *carol;
    PhMessage relay, connect = connect_to("bob");

    config.relay_bytes_per_s = 50000;
    scene_init_with(&scene, &config);
    carol = room_client(room, 2);
    join(room, carol, "carol");
    say(room, carol, &connect);
    relay = relay_to(scene.alice, packet, sizeof(packet));
    for (guint i = 0; i < 1000; i++) {
        say(room, scene.alice, &relay);
        if (i % 50 == 0)
            say(room, carol, &relay);
        pass(room, MS);
    }
    /* A second: 50 at once, and 50 meanwhile; and hers. */
    g_assert_cmpuint(scene.bob->told[PH_MESSAGE_RELAYED], ==, 50 + 49 + 20);
}

/* Who is held on purpose does not take the room of others. */
static void test_who_is_held_leaves_room(void)
{
    g_auto(Scene) scene = {0};
    Room *room = &scene.room;
    PhMessage connect, ping = {.kind = PH_MESSAGE_PING};

    scene_init(&scene);
    crowd(room, 40, FALSE);
    for (guint i = 0; i < 40; i++) {
        g_autofree char *name = g_strdup_printf("n%u", i);
        Client *held = room->clients[2 + i];
        PhMessage relay;

        held->forged = victim();
        connect = connect_to(name);
        say(room, scene.alice, &connect);
        relay = relay_to(scene.alice, packet, sizeof(packet));
        for (guint k = 0; k < 70; k++) {
            say(room, held, &ping);
            say(room, scene.alice, &relay);
        }
        room->now += S / 4; /* a connect's time */
    }
    connect = connect_to("bob");
    say(room, scene.alice, &connect);
    scene.bob->path.remote.port++; /* he moves, and is held for as long as it takes */
    say_alive(room, scene.bob);
    assert_relays(&scene);
}

/* Who seems to be elsewhere for long is not waited for. */
static void test_nothing_new_is_held_for_long(void)
{
    g_auto(Scene) scene = {0};
    Room *room = &scene.room;
    PhMessage relay;

    scene_init(&scene);
    relay = relay_to(scene.alice, packet, sizeof(packet));
    scene.bob->forged = victim();
    for (guint i = 0; i < 30; i++) {
        say_alive(room, scene.bob);
        say(room, scene.alice, &relay);
        room->now += 100 * MS;
    }
    scene.bob->forged = (PhPath){0};
    say_alive(room, scene.bob);
    g_assert_cmpuint(scene.bob->told[PH_MESSAGE_RELAYED], ==, 20); /* of 2 s */
}

#define ADD(test) g_test_add_func("/station/attacks/" #test, test_##test)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD(a_flood_of_strangers_leaves_room);
    ADD(a_flood_is_answered_with_cookies);
    ADD(who_is_refused_takes_no_place);
    g_test_add_data_func("/station/attacks/keys_do_not_multiply_registrations/ipv4",
                         GINT_TO_POINTER(FALSE), test_keys_do_not_multiply_registrations);
    g_test_add_data_func("/station/attacks/keys_do_not_multiply_registrations/ipv6",
                         GINT_TO_POINTER(TRUE), test_keys_do_not_multiply_registrations);
    ADD(keys_do_not_come_faster_than_their_address_may);
    ADD(a_forged_source_uses_up_nobodys_share);
    ADD(N10_keys_do_not_multiply_what_is_asked_for);
    ADD(keys_do_not_multiply_what_is_relayed);
    ADD(a_relay_is_no_open_proxy);
    ADD(what_is_replayed_is_not_relayed_twice);
    ADD(the_oldest_is_dropped);
    ADD(one_does_not_hog_the_relay);
    ADD(who_is_held_leaves_room);
    ADD(nothing_new_is_held_for_long);
    return g_test_run();
}
