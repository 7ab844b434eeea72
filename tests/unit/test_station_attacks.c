/* SPDX-License-Identifier: MIT */
/* Attacks on a station, and by way of one: each is mounted, and fails. Who is where, and whose a
 * name is; what comes in floods is in test_station_floods.c. */
#include "station_scene.h"

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
    return g_test_run();
}
