/* SPDX-License-Identifier: MIT */
/*
 * A station and who speaks to it, packet by packet, in virtual time. Clients are what a node's
 * sessions are; each is somewhere, where it gets what is sent there, and may say that it is
 * elsewhere: what is sent to where nobody is, a victim gets.
 */
#pragma once

#include <glib.h>
#include <pinhole/station.h>
#include <string.h>

#include "../../lib/core/message.h"
#include "../../lib/core/session.h"

#define MS      G_GUINT64_CONSTANT(1000000)
#define S       (1000 * MS)
#define WALL    (G_GUINT64_CONSTANT(1767225600) * S)
#define CLIENTS 64

/* A node, as far as the station sees it. What it was told is kept: the kinds, and the last of each.
 */
typedef struct Client {
    PhSessions *sessions;
    PhPath path;     /* where it is */
    PhPath beside;   /* and in the other family; family NONE: nowhere */
    PhPath forged;   /* where its packets seem to come from; family NONE: where it is */
    gboolean mute;   /* it does not answer pings */
    guint32 session; /* with the station */
    guint datagrams, told[32];
    guint8 packet[PH_DATAGRAM_MAX]; /* the last that it sent */
    gsize packet_length;
    PhMessage last[32];
} Client;

typedef struct Room {
    PhStationConfig config;
    PhStation *station;
    Client *clients[CLIENTS];
    guint64 now;
    gsize in, out;      /* bytes, to and from the station */
    gsize victim_bytes; /* that went to where nobody is */
    guint victim_datagrams;
} Room;

static const PhPath to_station = {.transport = PH_TRANSPORT_UDP,
                                  .remote = {.family = PH_FAMILY_IPV4, .port = 3478}};

/* Who all the forged packets seem to come from. */
static inline PhPath victim(void)
{
    return (PhPath){.transport = PH_TRANSPORT_UDP, .remote = ph_address_ipv4(0xcb007142, 5353)};
}

static inline Client *client_new(guint n, guint64 now)
{
    PhSessionsConfig config = {.wall_ns = WALL + now, .sessions_max = 16};
    Client *client = g_new0(Client, 1);

    memset(config.secret, 0x10, sizeof(config.secret));
    memcpy(config.secret + 4, &n, sizeof(n));
    memcpy(config.seed, &n, sizeof(n));
    client->sessions = ph_sessions_new(&config);
    client->path =
        (PhPath){.transport = PH_TRANSPORT_UDP, .remote = ph_address_ipv4(0xc6336401 + n, 4000)};
    return client;
}

static inline void client_free(Client *client)
{
    if (client)
        ph_sessions_free(client->sessions);
    g_free(client);
}

/* The nth client, each at an address of its own. */
static inline Client *room_client(Room *room, guint n)
{
    g_assert_cmpuint(n, <, CLIENTS);
    if (!room->clients[n])
        room->clients[n] = client_new(n, 0);
    return room->clients[n];
}

static inline PhStationConfig room_config(void)
{
    PhStationConfig config;

    ph_station_config_init(&config);
    memset(config.secret, 0x42, sizeof(config.secret));
    config.wall_ns = WALL;
    return config;
}

static inline void room_init(Room *room, const PhStationConfig *config)
{
    *room = (Room){.config = *config, .now = 5 * S};
    room->station = ph_station_new(config);
    g_assert_nonnull(room->station);
}

/* It has the same key, and remembers nothing. */
static inline void room_restart(Room *room)
{
    ph_station_free(room->station);
    room->config.seed[0]++;
    room->station = ph_station_new(&room->config);
}

static inline void room_clear(Room *room)
{
    ph_station_free(room->station);
    for (guint i = 0; i < CLIENTS; i++)
        client_free(room->clients[i]);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Room, room_clear)

static inline const PhStationCounters *room_counters(const Room *room)
{
    return ph_station_counters(room->station);
}

/* ---- to the station ---- */

static inline void room_arrive(Room *room, const PhPath *path, const guint8 *bytes, gsize length)
{
    room->in += length;
    ph_station_handle_datagram(room->station, path, bytes, length, room->now);
}

static inline void client_send(Room *room, Client *client, const guint8 *bytes, gsize length)
{
    memcpy(client->packet, bytes, length);
    client->packet_length = length;
    room_arrive(room,
                client->forged.remote.family != PH_FAMILY_NONE ? &client->forged : &client->path,
                bytes, length);
}

static inline void flush(Room *room, Client *client)
{
    const guint8 *bytes;
    PhRoute route;
    gsize length;

    while (ph_sessions_poll_transmit(client->sessions, &route, &bytes, &length))
        client_send(room, client, bytes, length);
}

static inline void say_only(Room *room, Client *client, const PhMessage *message)
{
    guint8 plain[PH_SESSION_PLAIN_MAX], packet[PH_DATAGRAM_MAX];
    gsize length = ph_message_write(message, plain, sizeof(plain));

    g_assert_cmpuint(length, >, 0);
    length = ph_sessions_seal(client->sessions, client->session, plain, length, room->now, packet);
    g_assert_cmpuint(length, >, 0);
    client_send(room, client, packet, length);
}

/* ---- from the station ---- */

static inline void read_all(Room *room, Client *client, const guint8 *bytes, gsize length)
{
    PhMessage message;
    gsize used;

    for (gsize at = 0; at < length; at += used) {
        g_assert_true(ph_message_read(bytes + at, length - at, &message, &used));
        g_assert_cmpuint(message.kind, <, 32);
        client->told[message.kind]++;
        client->last[message.kind] = message;
        if (message.kind == PH_MESSAGE_PING && !client->mute) {
            message.kind = PH_MESSAGE_PONG;
            message.ping.seen = to_station.remote;
            say_only(room, client, &message);
        }
    }
}

static inline void take(Room *room, Client *client, const PhTransmit *transmit)
{
    PhRoute route = {.path = to_station};
    PhSessionInput input;

    client->datagrams++;
    ph_sessions_receive(client->sessions, &route, transmit->bytes, transmit->length, room->now,
                        &input);
    if (input.kind == PH_SESSION_UP || input.kind == PH_SESSION_MESSAGE)
        read_all(room, client, input.bytes, input.length);
}

static inline Client *who_is_at(Room *room, const PhAddress *address)
{
    for (guint i = 0; i < CLIENTS; i++)
        if (room->clients[i] && (ph_address_equal(&room->clients[i]->path.remote, address) ||
                                 ph_address_equal(&room->clients[i]->beside.remote, address)))
            return room->clients[i];
    return NULL;
}

/* What the station has to send arrives. */
static inline void deliver(Room *room)
{
    PhTransmit transmit;

    while (ph_station_poll_transmit(room->station, &transmit)) {
        Client *client = who_is_at(room, &transmit.path.remote);

        room->out += transmit.length;
        if (client) {
            take(room, client, &transmit);
        } else {
            room->victim_bytes += transmit.length;
            room->victim_datagrams++;
        }
    }
}

static inline void say(Room *room, Client *client, const PhMessage *message)
{
    say_only(room, client, message);
    deliver(room);
}

static inline void say_alive(Room *room, Client *client)
{
    say(room, client, &(PhMessage){.kind = PH_MESSAGE_KEEPALIVE});
}

/* Time passes, the station's too. */
static inline void pass(Room *room, guint64 ns)
{
    guint64 end = room->now + ns, next;

    while ((next = ph_station_next_timeout(room->station)) <= end) {
        room->now = MAX(room->now, next);
        ph_station_handle_timeout(room->station, room->now);
        deliver(room);
    }
    room->now = end;
}

/* ---- what clients do ---- */

static inline PhSessions *station_sessions(void)
{
    PhSessionsConfig config = {.sessions_max = 1};

    memset(config.secret, 0x42, sizeof(config.secret));
    return ph_sessions_new(&config);
}

/* A request, with what else is asked for in it, is sent; nothing else. */
static inline void request(Room *room, Client *client, const char *name, const PhMessage *more,
                           guint n_more)
{
    PhMessage message = {.kind = PH_MESSAGE_REGISTER};
    PhSessions *station = station_sessions();
    PhRoute route = {.path = to_station};
    guint8 payload[PH_SESSION_PAYLOAD_MAX];
    const guint8 *bytes;
    gsize length;

    g_strlcpy(message.record.name, name, sizeof(message.record.name));
    message.record.sequence = 1;
    length = ph_message_write(&message, payload, sizeof(payload));
    for (guint i = 0; i < n_more; i++)
        length += ph_message_write(&more[i], payload + length, sizeof(payload) - length);
    client->session = ph_sessions_open(client->sessions, ph_sessions_public_key(station), &route,
                                       payload, length, room->now);
    ph_sessions_free(station);
    g_assert_true(ph_sessions_poll_transmit(client->sessions, &route, &bytes, &length));
    client_send(room, client, bytes, length);
}

/* The request, and the answer to it; it is not confirmed. */
static inline void ask(Room *room, Client *client, const char *name, const PhMessage *more)
{
    request(room, client, name, more, more != NULL);
    deliver(room);
}

/* The answer came; this confirms it. */
static inline void confirm(Room *room, Client *client)
{
    flush(room, client); /* a keepalive, as the answer came */
    deliver(room);
}

static inline void join(Room *room, Client *client, const char *name)
{
    guint before = client->told[PH_MESSAGE_REGISTERED];

    ask(room, client, name, NULL);
    g_assert_cmpuint(client->told[PH_MESSAGE_REGISTERED], ==, before + 1);
    confirm(room, client);
}

static inline PhMessage connect_to(const char *name)
{
    PhMessage message = {.kind = PH_MESSAGE_CONNECT};

    message.connect.request = 7;
    message.connect.by_name = TRUE;
    g_strlcpy(message.connect.name, name, sizeof(message.connect.name));
    return message;
}

static inline PhMessage introduce_to(const Client *client)
{
    PhMessage message = {.kind = PH_MESSAGE_INTRODUCE};

    memcpy(message.introduce.key, ph_sessions_public_key(client->sessions), 32);
    message.introduce.attempt = 1;
    message.introduce.record.sequence = 2;
    return message;
}

/* A packet for the client that FOUND told of last. */
static inline PhMessage relay_to(const Client *from, const guint8 *bytes, gsize length)
{
    PhMessage message = {.kind = PH_MESSAGE_RELAY};

    message.relay.channel = from->last[PH_MESSAGE_FOUND].peer.channel;
    message.relay.bytes = bytes;
    message.relay.length = length;
    return message;
}

/* Whom the station knows by that name; NULL: nobody. */
static inline const PhStationNode *who_is(const Room *room, const char *name)
{
    static PhStationNode node;

    for (guint32 at = 0; ph_station_node(room->station, &at, &node);)
        if (strcmp(node.name, name) == 0)
            return &node;
    return NULL;
}

static inline void assert_is(const Room *room, const char *name, const Client *client)
{
    const PhStationNode *node = who_is(room, name);

    g_assert_nonnull(node);
    g_assert_true(memcmp(node->key, ph_sessions_public_key(client->sessions), 32) == 0);
    g_assert_true(ph_address_equal(&node->seen, &client->path.remote));
}
