/* SPDX-License-Identifier: MIT */
/* Attacks on a station, and by way of one: each is mounted, and fails. */
#include "station_world.h"

#define NOBODY 1000 /* clients that are never at a place of their own */

static const guint8 packet[1000] = {0xc4};

/* A station with alice and bob, who know each other. */
typedef struct Scene {
    Room room;
    Client *alice, *bob;
} Scene;

static void scene_init_with(Scene *scene, const PhStationConfig *config)
{
    PhMessage connect = connect_to("bob");

    room_init(&scene->room, config);
    scene->alice = room_client(&scene->room, 0);
    scene->bob = room_client(&scene->room, 1);
    join(&scene->room, scene->alice, "alice");
    join(&scene->room, scene->bob, "bob");
    say(&scene->room, scene->alice, &connect);
    g_assert_cmpuint(scene->alice->told[PH_MESSAGE_FOUND], ==, 1);
    scene->room.in = scene->room.out = 0;
}

static void scene_init(Scene *scene)
{
    PhStationConfig config = room_config();

    scene_init_with(scene, &config);
}

static void scene_clear(Scene *scene)
{
    room_clear(&scene->room);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Scene, scene_clear)

/* What alice relays comes to bob. */
static void assert_relays(Scene *scene)
{
    PhMessage relay = relay_to(scene->alice, packet, sizeof(packet));
    guint before = scene->bob->told[PH_MESSAGE_RELAYED];

    say(&scene->room, scene->alice, &relay);
    g_assert_cmpuint(scene->bob->told[PH_MESSAGE_RELAYED], ==, before + 1);
}

/* One whose packets seem to come from elsewhere: keys cost nothing. */
static Client *stranger(Room *room, guint n, const PhPath *from, const char *name,
                        const PhMessage *more, guint n_more)
{
    Client *client = client_new(NOBODY + n, room->now);

    client->forged = *from;
    request(room, client, name, more, n_more);
    return client;
}

/* ---- forged sources ---- */

/* Requests that seem to come from a victim, with all that one can ask for in them. */
static void test_a_forged_source_gets_no_more_than_was_spent(void)
{
    g_auto(Scene) scene = {0};
    const PhPath from = victim();
    PhMessage more[8];

    scene_init(&scene);
    for (guint i = 0; i < G_N_ELEMENTS(more); i++)
        more[i] = connect_to("bob");
    for (guint i = 0; i < 400; i++) {
        client_free(stranger(&scene.room, i, &from, "", more, G_N_ELEMENTS(more)));
        deliver(&scene.room);
        /* Those who are registered and are told of it count, too. */
        g_assert_cmpuint(scene.room.out, <=, scene.room.in);
        pass(&scene.room, 5 * MS);
    }
    g_assert_cmpuint(scene.room.victim_datagrams, ==, 400); /* the answers */
    g_assert_cmpuint(scene.room.victim_bytes * 4, <, scene.room.in);
    pass(&scene.room, 60 * S);
    g_assert_cmpuint(scene.room.victim_datagrams, ==, 400);
    assert_relays(&scene);
}

/* What is relayed to who is not confirmed, what wants and introduces him, goes nowhere. */
static void test_who_is_not_confirmed_is_not_sent_to_nor_vouched_for(void)
{
    g_auto(Scene) scene = {0};
    PhMessage connect = connect_to("bob"), introduce, relay;
    const PhPath from = victim();
    Client *mallory;
    guint sent;

    scene_init(&scene);
    mallory = stranger(&scene.room, 0, &from, "mallory", &connect, 1);
    deliver(&scene.room);
    sent = scene.room.victim_datagrams;
    g_assert_cmpuint(scene.bob->told[PH_MESSAGE_WANTED], ==, 2);
    g_assert_cmpuint(scene.bob->last[PH_MESSAGE_WANTED].peer.seen.family, ==, PH_FAMILY_NONE);
    g_assert_cmpuint(scene.bob->last[PH_MESSAGE_WANTED].peer.record.n_candidates, ==, 0);
    connect = connect_to("mallory");
    say(&scene.room, scene.alice, &connect);
    relay = relay_to(scene.alice, packet, sizeof(packet));
    for (guint i = 0; i < 50; i++)
        say(&scene.room, scene.alice, &relay);
    introduce = introduce_to(mallory);
    say(&scene.room, scene.alice, &introduce);
    g_assert_cmpuint(scene.alice->told[PH_MESSAGE_INTRODUCED], ==, 0);
    g_assert_cmpuint(scene.alice->last[PH_MESSAGE_REFUSED].refused.reason, ==,
                     PH_REASON_UNKNOWN_PEER);
    pass(&scene.room, 60 * S);
    g_assert_cmpuint(scene.room.victim_datagrams, ==, sent);
    client_free(mallory);
}

/* A request may ask for nothing but to be connected. */
static void test_a_request_relays_and_introduces_nothing(void)
{
    g_auto(Scene) scene = {0};
    PhMessage more[2];
    const PhPath from = victim();

    scene_init(&scene);
    more[0] = relay_to(scene.alice, packet, 200);
    more[1] = introduce_to(scene.bob);
    client_free(stranger(&scene.room, 0, &from, "m", more, 2));
    client_free(stranger(&scene.room, 1, &from, "n", more + 1, 1));
    deliver(&scene.room);
    g_assert_cmpuint(scene.bob->told[PH_MESSAGE_RELAYED], ==, 0);
    g_assert_cmpuint(scene.bob->told[PH_MESSAGE_INTRODUCED], ==, 0);
}

/* One who is registered lets his own packets seem to come from a victim, and an accomplice relays
 * to him: the victim gets a few pings, which are shorter than what was spent on them. */
static void test_a_relay_is_not_aimed_at_a_victim(void)
{
    g_auto(Scene) scene = {0};
    PhMessage relay, ping = {.kind = PH_MESSAGE_PING};
    gsize bytes = 0;

    scene_init(&scene);
    relay = relay_to(scene.alice, packet, sizeof(packet));
    scene.bob->forged = victim();
    for (guint i = 0; i < 100; i++) {
        say(&scene.room, scene.bob, &ping);
        bytes += scene.bob->packet_length;
        for (guint k = 0; k < 10; k++)
            say(&scene.room, scene.alice, &relay);
        pass(&scene.room, 50 * MS);
    }
    g_assert_cmpuint(scene.room.victim_datagrams, <=, 20); /* in 5 s */
    g_assert_cmpuint(scene.room.victim_bytes, <=, bytes);
    g_assert_cmpuint(scene.bob->told[PH_MESSAGE_RELAYED], ==, 0);
    /* He may come back, to the newest that is left. */
    scene.bob->forged = (PhPath){0};
    say_alive(&scene.room, scene.bob);
    g_assert_cmpuint(scene.bob->told[PH_MESSAGE_RELAYED], ==,
                     scene.room.config.relay_queue_packets);
}

/* N9: nor are the packets of a peer that is introduced to him, and his candidates are his own. */
static void test_N9_an_introduction_does_not_name_a_victim(void)
{
    g_auto(Scene) scene = {0};
    const PhPath from = victim();
    PhMessage introduce;
    PhNodeRecord *record = &introduce.introduce.record;

    scene_init(&scene);
    introduce = introduce_to(scene.bob);
    record->n_candidates = PH_CANDIDATES_MAX;
    for (guint i = 0; i < PH_CANDIDATES_MAX; i++) {
        record->candidates[i].kind = (guint8)(i % PH_CANDIDATE_N);
        record->candidates[i].address = from.remote;
        record->candidates[i].address.port = (guint16)(53 + i);
    }
    scene.alice->forged = from;
    for (guint i = 0; i < 3; i++)
        say(&scene.room, scene.alice, &introduce);
    /* Nor when somebody else asks for her. */
    introduce = introduce_to(scene.alice);
    say(&scene.room, scene.bob, &introduce);
    g_assert_cmpuint(scene.bob->told[PH_MESSAGE_INTRODUCED], ==, 0);
    /* She is introduced as soon as it is known where she is: there. */
    scene.alice->forged = (PhPath){0};
    say_alive(&scene.room, scene.alice);
    g_assert_cmpuint(scene.bob->told[PH_MESSAGE_INTRODUCED], ==, 4);
    record = &scene.bob->last[PH_MESSAGE_INTRODUCED].introduced.record;
    g_assert_cmpuint(record->n_candidates, ==, 1);
    g_assert_true(ph_address_equal(&record->candidates[0].address, &scene.alice->path.remote));
    introduce = introduce_to(scene.bob);
    say(&scene.room, scene.alice, &introduce);
    g_assert_cmpuint(scene.bob->told[PH_MESSAGE_INTRODUCED], ==, 5);
}

/* The proof of another address cannot be made by who does not get what is sent there. */
static void test_a_guessed_pong_is_none(void)
{
    g_auto(Scene) scene = {0};
    PhMessage pong = {.kind = PH_MESSAGE_PONG};

    scene_init(&scene);
    scene.bob->forged = victim();
    for (guint64 id = 0; id < 300; id++) {
        pong.ping.id = id;
        say(&scene.room, scene.bob, &pong);
        pass(&scene.room, 10 * MS);
    }
    assert_is(&scene.room, "bob", scene.bob);
    g_assert_cmpuint(scene.bob->told[PH_MESSAGE_PING], ==, 0);
}

/* And who really is elsewhere is sent what waited for him, a round trip later. */
static void test_who_moves_is_found(void)
{
    g_auto(Scene) scene = {0};

    scene_init(&scene);
    scene.bob->path.remote = ph_address_ipv4(0xcb007150, 1234);
    say_alive(&scene.room, scene.bob);
    g_assert_cmpuint(scene.bob->told[PH_MESSAGE_PING], ==, 1);
    assert_is(&scene.room, "bob", scene.bob);
    assert_relays(&scene);
}

/* ---- keys and names ---- */

static void test_a_name_has_one_owner(void)
{
    g_auto(Scene) scene = {0};
    Client *mallory;

    scene_init(&scene);
    mallory = room_client(&scene.room, 2);
    ask(&scene.room, mallory, "bob", NULL);
    g_assert_cmpuint(mallory->told[PH_MESSAGE_REFUSED], ==, 1);
    g_assert_cmpuint(mallory->last[PH_MESSAGE_REFUSED].refused.reason, ==, PH_REASON_NAME_TAKEN);
    confirm(&scene.room, mallory);
    assert_is(&scene.room, "bob", scene.bob);
    assert_relays(&scene);
    g_assert_cmpuint(room_counters(&scene.room)->refused_name, ==, 1);
}

/* Names that strangers say are theirs are whose comes and confirms. */
static void test_who_is_not_confirmed_holds_no_name(void)
{
    g_auto(Scene) scene = {0};
    Client *carol, *mallory;

    scene_init(&scene);
    carol = room_client(&scene.room, 2);
    mallory = room_client(&scene.room, 3);
    ask(&scene.room, mallory, "carol", NULL);
    join(&scene.room, carol, "carol");
    assert_is(&scene.room, "carol", carol);
    confirm(&scene.room, mallory);
    g_assert_cmpuint(mallory->last[PH_MESSAGE_REFUSED].refused.reason, ==, PH_REASON_NAME_TAKEN);
    assert_is(&scene.room, "carol", carol);
    g_assert_null(who_is(&scene.room, "mallory"));
}

/* What was asked of the station once, is asked again by somebody who heard it, and the station has
 * begun anew: nothing that the node does afterwards is any different for that. */
static void test_a_replay_at_a_restarted_station_holds_nothing(void)
{
    g_auto(Scene) scene = {0};
    Room *room = &scene.room;
    guint8 heard[PH_DATAGRAM_MAX];
    const PhPath from = victim();
    gsize length;
    Client *dave;

    scene_init(&scene);
    dave = room_client(room, 2);
    ask(room, dave, "dave", NULL);
    length = dave->packet_length;
    memcpy(heard, dave->packet, length);
    confirm(room, dave);
    room_restart(room);
    pass(room, S);
    for (guint i = 0; i < 10; i++) {
        room_arrive(room, &from, heard, length);
        deliver(room);
        pass(room, 100 * MS);
    }
    g_assert_null(who_is(room, "dave"));
    join(room, dave, "dave");
    assert_is(room, "dave", dave);
    /* It is older than what the station has heard by now. */
    room_arrive(room, &from, heard, length);
    deliver(room);
    assert_is(room, "dave", dave);
    join(room, scene.alice, "alice");
    say(room, scene.alice,
        &(PhMessage){.kind = PH_MESSAGE_CONNECT, .connect = {.by_name = TRUE, .name = "dave"}});
    say(room, scene.alice,
        &(PhMessage){.kind = PH_MESSAGE_RELAY,
                     .relay = {.channel = scene.alice->last[PH_MESSAGE_FOUND].peer.channel,
                               .bytes = packet,
                               .length = sizeof(packet)}});
    g_assert_cmpuint(dave->told[PH_MESSAGE_RELAYED], ==, 1);
    pass(room, 20 * S);
    assert_is(room, "dave", dave);
}

/* A request that somebody holds back comes later, from elsewhere, and is newer than all before. */
static void test_a_request_that_is_held_back_moves_nothing(void)
{
    g_auto(Scene) scene = {0};
    Room *room = &scene.room;
    const PhPath from = victim();
    Client *again;

    scene_init(&scene);
    pass(room, S);
    again = client_new(1, room->now); /* bob's key */
    again->forged = from;
    request(room, again, "bob", NULL, 0);
    deliver(room);
    g_assert_cmpuint(room->victim_datagrams, ==, 1); /* the answer */
    assert_is(room, "bob", scene.bob);
    assert_relays(&scene);
    pass(room, 20 * S);
    assert_is(room, "bob", scene.bob);
    assert_relays(&scene);
    g_assert_cmpuint(room->victim_datagrams, ==, 1);
    client_free(again);
}

/* The same, with a name that is another's, or none. */
static void test_a_claim_takes_no_name(void)
{
    g_auto(Scene) scene = {0};
    Room *room = &scene.room;
    const PhPath from = victim();

    scene_init(&scene);
    for (guint i = 0; i < 3; i++) {
        static const char *const names[] = {"", "alice", "carol"};
        Client *again;

        pass(room, S);
        again = client_new(1, room->now);
        again->forged = from;
        request(room, again, names[i], NULL, 0);
        deliver(room);
        client_free(again);
    }
    assert_is(room, "alice", scene.alice);
    assert_is(room, "bob", scene.bob);
    g_assert_null(who_is(room, "carol"));
}

/* Its owner may: everything it has goes along, and its number stays. */
static void test_an_owner_moves_its_registration(void)
{
    g_auto(Scene) scene = {0};
    Room *room = &scene.room;
    PhMessage connect = connect_to("alice");

    scene_init(&scene);
    pass(room, S);
    scene.bob->path.remote = ph_address_ipv4(0xcb007151, 99);
    ask(room, scene.bob, "robert", &connect);
    g_assert_nonnull(who_is(room, "bob"));
    g_assert_cmpuint(scene.bob->told[PH_MESSAGE_FOUND], ==, 0);
    confirm(room, scene.bob);
    g_assert_null(who_is(room, "bob"));
    assert_is(room, "robert", scene.bob);
    g_assert_cmpuint(scene.bob->told[PH_MESSAGE_FOUND], ==, 1);
    assert_relays(&scene);
}

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
    guint n = 0;

    while (ph_station_node(room->station, n, &node))
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
    ADD(a_forged_source_gets_no_more_than_was_spent);
    ADD(who_is_not_confirmed_is_not_sent_to_nor_vouched_for);
    ADD(a_request_relays_and_introduces_nothing);
    ADD(a_relay_is_not_aimed_at_a_victim);
    ADD(N9_an_introduction_does_not_name_a_victim);
    ADD(a_guessed_pong_is_none);
    ADD(who_moves_is_found);
    ADD(a_name_has_one_owner);
    ADD(who_is_not_confirmed_holds_no_name);
    ADD(a_replay_at_a_restarted_station_holds_nothing);
    ADD(a_request_that_is_held_back_moves_nothing);
    ADD(a_claim_takes_no_name);
    ADD(an_owner_moves_its_registration);
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
