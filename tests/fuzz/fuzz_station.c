/* SPDX-License-Identifier: MIT */
/*
 * A station, and some who have its key: they ask it for whatever the input says, their packets come
 * late, twice, changed, or seem to come from elsewhere, and it may begin anew. Whatever comes,
 * nothing crashes, what it sends is whole, and one who only seems to be somewhere has no more sent
 * there than was spent on it.
 */
#include "../unit/station_world.h"

#define FUZZ_CLIENTS 5
#define KEPT         32
#define STEPS        2000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct Packet {
    PhPath from;
    gsize length;
    guint8 bytes[PH_DATAGRAM_MAX];
} Packet;

typedef struct Feed {
    const guint8 *data;
    gsize left;
    Room room;
    gsize spent; /* bytes that seemed to come from the victim */
    Packet kept[KEPT];
    guint n_kept;
} Feed;

static guint take_byte(Feed *feed)
{
    if (feed->left == 0)
        return 0;
    feed->left--;
    return *feed->data++;
}

static const guint8 *take_bytes(Feed *feed, gsize *length)
{
    const guint8 *bytes = feed->data;

    *length = MIN(*length, feed->left);
    feed->left -= *length;
    feed->data += *length;
    return bytes;
}

/* Of the other family. */
static PhPath six(guint host)
{
    PhPath path = {.transport = PH_TRANSPORT_UDP};

    g_assert_true(ph_address_parse("[2001:db8::]:5353", &path.remote));
    path.remote.bytes[15] = (guint8)host;
    return path;
}

#define NOBODY_SIX 0xff

static gboolean is_victim(const PhAddress *address)
{
    const PhPath nobody = victim(), nobody_six = six(NOBODY_SIX);

    return ph_address_equal(address, &nobody.remote) ||
           ph_address_equal(address, &nobody_six.remote);
}

static void arrive(Feed *feed, const PhPath *from, const guint8 *bytes, gsize length)
{
    Packet *kept = &feed->kept[feed->n_kept++ % KEPT];

    *kept = (Packet){.from = *from, .length = length};
    if (length > 0)
        memcpy(kept->bytes, bytes, length);
    if (is_victim(&from->remote))
        feed->spent += length;
    room_arrive(&feed->room, from, bytes, length);
}

static const PhPath *where(Feed *feed, const Client *client)
{
    static PhPath nobody;
    guint how = take_byte(feed) % 8;

    nobody = how == 0 ? victim() : six(NOBODY_SIX);
    if (how % 4 == 0)
        return &nobody;
    return how == 2 ? &client->beside : &client->path;
}

static void flush_client(Feed *feed, Client *client)
{
    const guint8 *bytes;
    PhRoute route;
    gsize length;

    while (ph_sessions_poll_transmit(client->sessions, &route, &bytes, &length))
        arrive(feed, where(feed, client), bytes, length);
}

/* What the station sends is delivered or not. */
static void deliver_some(Feed *feed, gboolean lost)
{
    PhTransmit transmit;

    while (ph_station_poll_transmit(feed->room.station, &transmit)) {
        Client *client = who_is_at(&feed->room, &transmit.path.remote);

        g_assert_cmpuint(transmit.length, <=, PH_DATAGRAM_MAX);
        g_assert_cmpuint(transmit.length, >, 0);
        g_assert_cmpuint(transmit.path.remote.port, !=, 0);
        if (client && !lost)
            take(&feed->room, client, &transmit);
        else if (is_victim(&transmit.path.remote))
            feed->room.victim_bytes += transmit.length;
    }
    g_assert_cmpuint(feed->room.victim_bytes, <=, 2 * feed->spent);
}

static void say_plain(Feed *feed, Client *client, const guint8 *plain, gsize length)
{
    guint8 sealed[PH_DATAGRAM_MAX];

    length =
        ph_sessions_seal(client->sessions, client->session, plain, length, feed->room.now, sealed);
    if (length > 0)
        arrive(feed, where(feed, client), sealed, length);
}

static void put_name(Feed *feed, char *ret_name)
{
    static const char *const names[] = {"", "alice", "bob", "carol"};

    g_strlcpy(ret_name, names[take_byte(feed) % 4], PH_NAME_MAX + 1);
}

/* A message that makes sense, of those that stations get. */
static PhMessage make_message(Feed *feed)
{
    static const guint8 kinds[] = {PH_MESSAGE_CONNECT,   PH_MESSAGE_RELAY, PH_MESSAGE_INTRODUCE,
                                   PH_MESSAGE_KEEPALIVE, PH_MESSAGE_PING,  PH_MESSAGE_CLOSE,
                                   PH_MESSAGE_UPDATE,    PH_MESSAGE_PONG};
    static const guint8 packet[200];
    PhMessage message = {.kind = kinds[take_byte(feed) % G_N_ELEMENTS(kinds)]};
    const Client *other = room_client(&feed->room, take_byte(feed) % FUZZ_CLIENTS);

    switch (message.kind) {
    case PH_MESSAGE_CONNECT:
        message.connect.near = take_byte(feed) % 2;
        message.connect.by_name = take_byte(feed) % 2;
        put_name(feed, message.connect.name);
        memcpy(message.connect.key, ph_sessions_public_key(other->sessions), 32);
        break;
    case PH_MESSAGE_RELAY:
        message.relay.channel = take_byte(feed);
        message.relay.bytes = packet;
        message.relay.length = take_byte(feed) % sizeof(packet);
        break;
    case PH_MESSAGE_INTRODUCE:
        memcpy(message.introduce.key, ph_sessions_public_key(other->sessions), 32);
        message.introduce.attempt = 1;
        message.introduce.record.sequence = take_byte(feed);
        break;
    case PH_MESSAGE_UPDATE:
        message.record.sequence = take_byte(feed);
        message.record.n_candidates = 1;
        message.record.candidates[0].address = victim().remote;
        break;
    case PH_MESSAGE_PONG:
        message.ping.seen = to_station.remote;
        message.ping.id = take_byte(feed) % 2 ? other->last[PH_MESSAGE_PING].ping.id : 1;
        break;
    default:
        break;
    }
    return message;
}

static void ask_station(Feed *feed, Client *client)
{
    PhMessage message = {.kind = PH_MESSAGE_REGISTER};
    PhSessions *station = station_sessions();
    PhRoute route = {.path = to_station};
    guint8 payload[PH_SESSION_PAYLOAD_MAX];
    gsize length;

    put_name(feed, message.record.name);
    message.record.sequence = take_byte(feed);
    length = ph_message_write(&message, payload, sizeof(payload));
    for (guint n = take_byte(feed) % 6; n > 0; n--) {
        message = make_message(feed);
        length += ph_message_write(&message, payload + length, sizeof(payload) - length);
    }
    client->session = ph_sessions_open(client->sessions, ph_sessions_public_key(station), &route,
                                       payload, length, feed->room.now);
    ph_sessions_free(station);
    flush_client(feed, client);
}

/* One that came before: again, changed, from elsewhere. */
static void replay(Feed *feed, guint how)
{
    Packet packet;

    if (feed->n_kept == 0)
        return;
    packet = feed->kept[take_byte(feed) % MIN(feed->n_kept, KEPT)];
    if (how & 1 && packet.length > 0)
        packet.bytes[take_byte(feed) * packet.length / 256] ^= (guint8)take_byte(feed);
    if (how & 2)
        packet.length = packet.length * take_byte(feed) / 256;
    if (how & 4)
        packet.from = how & 8 ? six(NOBODY_SIX) : victim();
    arrive(feed, &packet.from, packet.bytes, packet.length);
}

static void act(Feed *feed)
{
    guint what = take_byte(feed);
    Client *client = room_client(&feed->room, what % FUZZ_CLIENTS);
    guint8 plain[PH_SESSION_PLAIN_MAX];
    PhMessage message;
    const guint8 *bytes;
    gsize length;

    switch (what >> 4) {
    case 0:
    case 1:
        ask_station(feed, client);
        break;
    case 2:
        length = take_byte(feed);
        bytes = take_bytes(feed, &length);
        say_plain(feed, client, bytes, length);
        break;
    case 3:
        length = take_byte(feed);
        bytes = take_bytes(feed, &length);
        arrive(feed, where(feed, client), bytes, length);
        break;
    case 4:
        replay(feed, take_byte(feed));
        break;
    case 5:
        feed->room.now += take_byte(feed) * 100 * MS;
        ph_station_handle_timeout(feed->room.station, feed->room.now);
        break;
    case 6:
        client->mute = !client->mute;
        client->path.remote.port = (guint16)(1000 + take_byte(feed));
        break;
    case 7:
        if (take_byte(feed) == 0xff)
            room_restart(&feed->room);
        break;
    case 8:
        deliver_some(feed, /* lost= */ TRUE);
        break;
    default:
        message = make_message(feed);
        length = ph_message_write(&message, plain, sizeof(plain));
        say_plain(feed, client, plain, length);
        break;
    }
    deliver_some(feed, FALSE);
    flush_client(feed, client);
    deliver_some(feed, FALSE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[FUZZ_CLIENTS] = {"alice", "bob", "carol", "", ""};
    Feed *feed = g_new0(Feed, 1);
    PhStationConfig config = room_config();
    guint joined;

    feed->data = data;
    feed->left = size;
    config.nodes_max = 4;
    config.relay_queue_packets = 3;
    config.address_nodes = 3;
    room_init(&feed->room, &config);
    joined = take_byte(feed) % 4;
    for (guint i = 0; i < FUZZ_CLIENTS; i++) {
        room_client(&feed->room, i)->beside = six(i + 1);
        if (i < joined)
            join(&feed->room, room_client(&feed->room, i), names[i]);
    }
    for (guint i = 0; i < STEPS && feed->left > 0; i++)
        act(feed);
    room_clear(&feed->room);
    g_free(feed);
    return 0;
}
