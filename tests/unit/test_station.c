/* SPDX-License-Identifier: MIT */
/* A station and who speaks to it, packet by packet: what it sends to whom, and what it refuses. */
#include <glib.h>
#include <pinhole/station.h>
#include <string.h>

#include "../../lib/core/message.h"
#include "../../lib/core/session.h"

#define S    G_GUINT64_CONSTANT(1000000000)
#define WALL (G_GUINT64_CONSTANT(1767225600) * S)

/* A node, as far as the station sees it. What it was told is kept: the kinds, and the last of each.
 */
typedef struct Client {
    PhSessions *sessions;
    PhPath path; /* as the station sees it */
    guint32 session;
    guint datagrams, told[32];
    PhMessage last[32];
} Client;

typedef struct Room {
    PhStation *station;
    Client clients[3];
    guint64 now;
} Room;

static const PhPath to_station = {.remote = {.family = PH_FAMILY_IPV4, .port = 3478}};

static void room_init(Room *room, guint32 relay_bytes_per_s)
{
    PhStationConfig config;

    *room = (Room){.now = 5 * S};
    ph_station_config_init(&config);
    memset(config.secret, 0x42, sizeof(config.secret));
    config.wall_ns = WALL;
    config.relay_bytes_per_s = relay_bytes_per_s;
    room->station = ph_station_new(&config);
    for (guint i = 0; i < G_N_ELEMENTS(room->clients); i++) {
        PhSessionsConfig sessions = {.wall_ns = WALL, .sessions_max = 16, .handshakes_per_s = 100};

        memset(sessions.secret, (int)(0x10 + i), sizeof(sessions.secret));
        memset(sessions.seed, (int)(0x20 + i), sizeof(sessions.seed));
        room->clients[i].sessions = ph_sessions_new(&sessions);
        room->clients[i].path.remote = ph_address_ipv4(0xc6336401 + i, 4000);
    }
}

static void room_clear(Room *room)
{
    ph_station_free(room->station);
    for (guint i = 0; i < G_N_ELEMENTS(room->clients); i++)
        ph_sessions_free(room->clients[i].sessions);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Room, room_clear)

static void read_all(Client *client, const guint8 *bytes, gsize length)
{
    PhMessage message;
    gsize used;

    for (gsize at = 0; at < length; at += used) {
        g_assert_true(ph_message_read(bytes + at, length - at, &message, &used));
        g_assert_cmpuint(message.kind, <, 32);
        client->told[message.kind]++;
        client->last[message.kind] = message;
    }
}

static void take(Room *room, Client *client, const PhTransmit *transmit)
{
    PhRoute route = {.path = to_station};
    PhSessionInput input;

    client->datagrams++;
    ph_sessions_receive(client->sessions, &route, transmit->bytes, transmit->length, room->now,
                        &input);
    if (input.kind == PH_SESSION_UP || input.kind == PH_SESSION_MESSAGE)
        read_all(client, input.bytes, input.length);
}

/* What the station has to send arrives. */
static void deliver(Room *room)
{
    PhTransmit transmit;

    while (ph_station_poll_transmit(room->station, &transmit))
        for (guint i = 0; i < G_N_ELEMENTS(room->clients); i++)
            if (ph_address_equal(&room->clients[i].path.remote, &transmit.path.remote))
                take(room, &room->clients[i], &transmit);
}

static void flush(Room *room, Client *client)
{
    const guint8 *bytes;
    PhRoute route;
    gsize length;

    while (ph_sessions_poll_transmit(client->sessions, &route, &bytes, &length))
        ph_station_handle_datagram(room->station, &client->path, bytes, length, room->now);
}

/* Only the request: the station's answer is taken, and not yet confirmed. */
static void ask(Room *room, Client *client, const char *name, const PhMessage *more)
{
    PhMessage message = {.kind = PH_MESSAGE_REGISTER};
    PhRoute route = {.path = to_station};
    guint8 payload[PH_SESSION_PAYLOAD_MAX], public[32];
    gsize length;
    PhSessionsConfig config = {.sessions_max = 1, .handshakes_per_s = 1};
    PhSessions *station;

    memset(config.secret, 0x42, sizeof(config.secret));
    station = ph_sessions_new(&config);
    memcpy(public, ph_sessions_public_key(station), sizeof(public));
    ph_sessions_free(station);
    g_strlcpy(message.record.name, name, sizeof(message.record.name));
    message.record.sequence = 1;
    length = ph_message_write(&message, payload, sizeof(payload));
    if (more)
        length += ph_message_write(more, payload + length, sizeof(payload) - length);
    client->session =
        ph_sessions_open(client->sessions, public, &route, payload, length, room->now);
    flush(room, client);
    deliver(room);
}

static void say(Room *room, Client *client, const PhMessage *message)
{
    guint8 plain[PH_SESSION_PLAIN_MAX], packet[PH_DATAGRAM_MAX];
    gsize length = ph_message_write(message, plain, sizeof(plain));

    g_assert_cmpuint(length, >, 0);
    length = ph_sessions_seal(client->sessions, client->session, plain, length, room->now, packet);
    g_assert_cmpuint(length, >, 0);
    ph_station_handle_datagram(room->station, &client->path, packet, length, room->now);
    deliver(room);
}

static void join(Room *room, Client *client, const char *name)
{
    PhMessage alive = {.kind = PH_MESSAGE_KEEPALIVE};

    ask(room, client, name, NULL);
    g_assert_cmpuint(client->told[PH_MESSAGE_REGISTERED], ==, 1);
    say(room, client, &alive);
}

static PhMessage connect_to(const char *name)
{
    PhMessage message = {.kind = PH_MESSAGE_CONNECT};

    message.connect.request = 7;
    message.connect.by_name = TRUE;
    g_strlcpy(message.connect.name, name, sizeof(message.connect.name));
    return message;
}

/* A source that has shown nothing yet gets one answer, however much it asks for. */
static void test_unconfirmed(void)
{
    g_auto(Room) room = {0};
    Client *alice = &room.clients[0], *bob = &room.clients[1];
    PhMessage connect = connect_to("bob"), alive = {.kind = PH_MESSAGE_KEEPALIVE};

    room_init(&room, 0);
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
    Client *alice = &room.clients[0], *bob = &room.clients[1];
    PhMessage introduce = {.kind = PH_MESSAGE_INTRODUCE};

    room_init(&room, 0);
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
    g_assert_cmpuint(ph_station_counters(room.station)->introductions_refused, ==, 12);
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
    Client *alice = &room.clients[0], *bob = &room.clients[1];
    PhMessage introduce = {.kind = PH_MESSAGE_INTRODUCE};
    PhNodeRecord *record = &introduce.introduce.record;
    const PhNodeRecord *told;

    room_init(&room, 0);
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
    Client *alice = &room.clients[0], *bob = &room.clients[1];
    const PhStationCounters *counters;
    PhMessage connect = connect_to("bob"), relay = {.kind = PH_MESSAGE_RELAY};
    guint8 packet[1000] = {0xc4};

    room_init(&room, 10000);
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
    Client *alice = &room.clients[0], *bob = &room.clients[1];
    PhMessage connect = connect_to("bob"), alive = {.kind = PH_MESSAGE_KEEPALIVE};
    PhStationNode node;
    guint32 channel;

    room_init(&room, 0);
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
    g_assert_true(ph_station_node(room.station, 1, &node));
    room.now += 2 * S;
    ph_station_handle_timeout(room.station, room.now);
    g_assert_true(ph_station_node(room.station, 0, &node));
    g_assert_cmpstr(node.name, ==, "alice");
    g_assert_false(ph_station_node(room.station, 1, &node));
    g_assert_cmpuint(ph_station_counters(room.station)->expired, ==, 1);
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
