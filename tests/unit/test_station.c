/* SPDX-License-Identifier: MIT */
/* A station and who speaks to it, packet by packet: what it sends to whom, and what it refuses. */
#include "station_world.h"

/* A source that has shown nothing yet gets one answer, however much it asks for. */
static void test_unconfirmed(void)
{
    g_auto(Room) room = {0};
    PhStationConfig config = room_config();
    Client *alice, *bob;
    PhMessage connect = connect_to("bob"), alive = {.kind = PH_MESSAGE_KEEPALIVE};

    room_init(&room, &config);
    alice = room_client(&room, 0);
    bob = room_client(&room, 1);
    join(&room, bob, "bob");
    ask(&room, alice, "alice", &connect);
    g_assert_cmpuint(alice->datagrams, ==, 1);
    g_assert_cmpuint(alice->told[PH_MESSAGE_REGISTERED], ==, 1);
    g_assert_cmpuint(alice->told[PH_MESSAGE_FOUND], ==, 0);
    g_assert_cmpuint(bob->told[PH_MESSAGE_WANTED], ==, 1);
    say(&room, alice, &alive);
    g_assert_cmpuint(alice->told[PH_MESSAGE_FOUND], ==, 1);
    g_assert_cmpstr(alice->last[PH_MESSAGE_FOUND].peer.record.name, ==, "bob");
    g_assert_cmpuint(alice->last[PH_MESSAGE_FOUND].peer.request, ==, 7);
}

/* N10: eight at once, and then four in ten seconds; the other node's share is its own. */
static void test_introductions(void)
{
    g_auto(Room) room = {0};
    PhStationConfig config = room_config();
    Client *alice, *bob;
    PhMessage introduce = {.kind = PH_MESSAGE_INTRODUCE};

    room_init(&room, &config);
    alice = room_client(&room, 0);
    bob = room_client(&room, 1);
    join(&room, alice, "alice");
    join(&room, bob, "bob");
    memcpy(introduce.introduce.key, ph_sessions_public_key(bob->sessions), 32);
    introduce.introduce.attempt = 1;
    introduce.introduce.record.sequence = 2;
    for (guint i = 0; i < 20; i++)
        say(&room, alice, &introduce);
    g_assert_cmpuint(alice->told[PH_MESSAGE_INTRODUCED], ==, 8);
    g_assert_cmpuint(bob->told[PH_MESSAGE_INTRODUCED], ==, 8);
    g_assert_cmpuint(alice->told[PH_MESSAGE_REFUSED], ==, 12);
    g_assert_cmpuint(alice->last[PH_MESSAGE_REFUSED].refused.reason, ==, PH_REASON_TOO_MANY);
    g_assert_cmpuint(room_counters(&room)->introductions_refused, ==, 12);
    room.now += 10 * S;
    for (guint i = 0; i < 20; i++)
        say(&room, alice, &introduce);
    g_assert_cmpuint(bob->told[PH_MESSAGE_INTRODUCED], ==, 12);
    memcpy(introduce.introduce.key, ph_sessions_public_key(alice->sessions), 32);
    say(&room, bob, &introduce);
    g_assert_cmpuint(alice->told[PH_MESSAGE_INTRODUCED], ==, 13);
    /* Both have the same token, which is another one each time. */
    g_assert_true(memcmp(alice->last[PH_MESSAGE_INTRODUCED].introduced.token,
                         bob->last[PH_MESSAGE_INTRODUCED].introduced.token, 16) == 0);
}

/* Of what a node says of itself only its own host goes on. */
static void test_candidates(void)
{
    g_auto(Room) room = {0};
    PhStationConfig config = room_config();
    Client *alice, *bob;
    PhMessage introduce = {.kind = PH_MESSAGE_INTRODUCE};
    PhNodeRecord *record = &introduce.introduce.record;
    const PhNodeRecord *told;

    room_init(&room, &config);
    alice = room_client(&room, 0);
    bob = room_client(&room, 1);
    join(&room, alice, "alice");
    join(&room, bob, "bob");
    memcpy(introduce.introduce.key, ph_sessions_public_key(bob->sessions), 32);
    introduce.introduce.attempt = 1;
    record->sequence = 2;
    record->n_candidates = PH_CANDIDATES_MAX;
    for (guint i = 0; i < PH_CANDIDATES_MAX; i++)
        record->candidates[i] = (PhCandidate){.kind = (guint8)(i % PH_CANDIDATE_N),
                                              .address = ph_address_ipv4(0xcb007101 + i, 53)};
    say(&room, alice, &introduce);
    told = &bob->last[PH_MESSAGE_INTRODUCED].introduced.record;
    g_assert_cmpuint(told->n_candidates, ==, 1);
    g_assert_true(ph_address_equal(&told->candidates[0].address, &alice->path.remote));
}

/* Between registered keys only, and so much a second. */
static void test_relay(void)
{
    g_auto(Room) room = {0};
    PhStationConfig config = room_config();
    Client *alice, *bob;
    const PhStationCounters *counters;
    PhMessage connect = connect_to("bob"), relay = {.kind = PH_MESSAGE_RELAY};
    guint8 packet[1000] = {0xc4};

    config.relay_bytes_per_s = 10000;
    room_init(&room, &config);
    alice = room_client(&room, 0);
    bob = room_client(&room, 1);
    counters = ph_station_counters(room.station);
    join(&room, alice, "alice");
    join(&room, bob, "bob");
    say(&room, alice, &connect);
    relay.relay.bytes = packet;
    relay.relay.length = sizeof(packet);
    relay.relay.channel = alice->last[PH_MESSAGE_FOUND].peer.channel + 1000;
    say(&room, alice, &relay);
    g_assert_cmpuint(counters->relay_dropped_unknown, ==, 1);
    relay.relay.channel = alice->last[PH_MESSAGE_FOUND].peer.channel;
    for (guint i = 0; i < 20; i++)
        say(&room, alice, &relay);
    g_assert_cmpuint(bob->told[PH_MESSAGE_RELAYED], ==, 10);
    g_assert_cmpuint(counters->relay_dropped_limit, ==, 10);
    g_assert_cmpuint(counters->relayed_bytes, ==, 10000);
    g_assert_cmpuint(bob->last[PH_MESSAGE_RELAYED].relay.channel, ==,
                     bob->last[PH_MESSAGE_WANTED].peer.channel);
}

/* The same key again keeps its number; who is silent for 90 s is forgotten. */
static void test_again_and_gone(void)
{
    g_auto(Room) room = {0};
    PhStationConfig config = room_config();
    Client *alice, *bob;
    PhMessage connect = connect_to("bob"), alive = {.kind = PH_MESSAGE_KEEPALIVE};
    PhStationNode node;
    guint32 at = 0;
    guint32 channel;

    room_init(&room, &config);
    alice = room_client(&room, 0);
    bob = room_client(&room, 1);
    join(&room, alice, "alice");
    join(&room, bob, "bob");
    say(&room, alice, &connect);
    channel = alice->last[PH_MESSAGE_FOUND].peer.channel;
    room.now += S;
    bob->path.remote.port = 4001;
    ask(&room, bob, "bob", NULL);
    say(&room, bob, &alive);
    say(&room, alice, &connect);
    g_assert_cmpuint(alice->told[PH_MESSAGE_FOUND], ==, 2);
    g_assert_cmpuint(alice->last[PH_MESSAGE_FOUND].peer.channel, ==, channel);
    g_assert_cmpuint(alice->last[PH_MESSAGE_FOUND].peer.seen.port, ==, 4001);
    for (guint i = 0; i < 89; i++) {
        room.now += S;
        ph_station_handle_timeout(room.station, room.now);
    }
    say(&room, alice, &alive);
    g_assert_nonnull(who_is(&room, "alice"));
    g_assert_nonnull(who_is(&room, "bob"));
    room.now += 2 * S;
    ph_station_handle_timeout(room.station, room.now);
    g_assert_true(ph_station_node(room.station, &at, &node));
    g_assert_cmpstr(node.name, ==, "alice");
    g_assert_false(ph_station_node(room.station, &at, &node));
    g_assert_cmpuint(room_counters(&room)->expired, ==, 1);
    say(&room, alice, &connect);
    g_assert_cmpuint(alice->last[PH_MESSAGE_REFUSED].refused.reason, ==, PH_REASON_UNKNOWN_PEER);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/station/one answer to who is not confirmed", test_unconfirmed);
    g_test_add_func("/station/N10 introductions", test_introductions);
    g_test_add_func("/station/N9 candidates", test_candidates);
    g_test_add_func("/station/relay", test_relay);
    g_test_add_func("/station/again, and gone", test_again_and_gone);
    return g_test_run();
}
