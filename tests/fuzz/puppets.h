/* SPDX-License-Identifier: MIT */
/*
 * Who a node has sessions with: a hub, and peers. By themselves they do what is expected of them,
 * so that things come about; they can be made to say anything to the node, by whatever way: one is
 * the relay of all others.
 */
#pragma once

#include <glib.h>
#include <string.h>

#include "../../lib/core/message.h"
#include "../../lib/core/punch_packet.h"
#include "../../lib/core/session.h"
#include "input.h"

#define MS      G_GUINT64_CONSTANT(1000000)
#define S       (1000 * MS)
#define WALL    (G_GUINT64_CONSTANT(1767225600) * S)
#define PUPPETS 4
#define HUB     0
#define SOCKET  1 /* the node's data socket */
#define COMING  256

typedef struct Puppet {
    PhSessions *sessions;
    guint32 session; /* the newest one with the node */
    gboolean mute;   /* does nothing by itself */
    /* What the node asked last. */
    guint32 request;
    guint64 ping;
} Puppet;

/* On its way to the node. */
typedef struct Coming {
    guint32 socket;
    PhAddress from;
    gsize length;
    guint8 bytes[PH_DATAGRAM_MAX];
} Coming;

typedef struct Cast {
    Puppet puppets[PUPPETS];
    const guint8 *node_key;
    guint64 now, sequence;
    Coming coming[COMING]; /* a ring */
    guint first, n;
    Input *input;
    guint tamper; /* so many messages are changed before they are sealed */
} Cast;

static const char *const names[PUPPETS] = {"", "one", "two", "three"};

static inline PhAddress puppet_address(guint p)
{
    return p == HUB ? ph_address_ipv4(0xcb00710a, 3478) : ph_address_ipv4(0xc633640a + p, 4000);
}

static inline void puppet_secret(guint p, guint8 *ret_secret)
{
    memset(ret_secret, (int)(0x41 + p), PH_SESSION_KEY_BYTES);
}

static inline const guint8 *puppet_key(const Cast *cast, guint p)
{
    return ph_sessions_public_key(cast->puppets[p].sessions);
}

static inline void cast_init(Cast *cast, Input *input, guint64 now)
{
    *cast = (Cast){.input = input, .now = now};
    for (guint p = 0; p < PUPPETS; p++) {
        PhSessionsConfig config = {.sessions_max = 8, .wall_ns = WALL, .seed = {(guint8)p, 1}};

        puppet_secret(p, config.secret);
        cast->puppets[p].sessions = ph_sessions_new(&config);
        g_assert(cast->puppets[p].sessions);
    }
}

static inline void cast_clear(Cast *cast)
{
    for (guint p = 0; p < PUPPETS; p++)
        ph_sessions_free(cast->puppets[p].sessions);
}

/* ---- to the node ---- */

static inline void come(Cast *cast, guint32 socket, const PhAddress *from, const guint8 *bytes,
                        gsize length)
{
    Coming *coming = &cast->coming[(cast->first + cast->n) % COMING];

    g_assert_cmpuint(length, <=, sizeof(coming->bytes));
    if (cast->n == COMING)
        return;
    cast->n++;
    *coming = (Coming){.socket = socket, .from = *from, .length = length};
    if (length > 0)
        memcpy(coming->bytes, bytes, length);
}

/* Nobody but who says it can make the node believe that it was he. */
static inline void sign_data(guint p, guint8 *plain, gsize length)
{
    PhMessage message;
    gsize used;

    for (gsize at = 0; at < length; at += used) {
        if (!ph_message_read(plain + at, length - at, &message, &used))
            return;
        if (message.kind == PH_MESSAGE_DATA && message.data.length > 0)
            plain[message.data.bytes - plain] = (guint8)p;
    }
}

static inline void tamper(Cast *cast, guint8 *plain, gsize *length)
{
    guint how = take(cast->input);

    if (cast->tamper == 0 || *length == 0)
        return;
    cast->tamper--;
    plain[take(cast->input) * *length / 256] ^= (guint8)how;
    if (how & 1)
        *length -= take(cast->input) % *length;
    if (how & 2)
        *length += take(cast->input);
    *length = MIN(*length, PH_SESSION_PLAIN_MAX);
}

static inline void puppet_say_bytes(Cast *cast, guint p, const PhRoute *route, const guint8 *bytes,
                                    gsize length);

/* route: by which puppet (via, from 1 on), or straight to a socket. */
static inline void puppet_send(Cast *cast, guint p, const PhRoute *route, const guint8 *bytes,
                               gsize length)
{
    const PhRoute straight = {.path = {.transport = PH_TRANSPORT_UDP, .socket = SOCKET}};
    PhMessage message = {.kind = PH_MESSAGE_RELAYED};
    PhAddress from = puppet_address(p);
    guint8 plain[PH_SESSION_PLAIN_MAX];

    if (route->via == 0) {
        come(cast, route->path.socket, &from, bytes, length);
        return;
    }
    message.relay.channel = 1 + p;
    message.relay.bytes = bytes;
    message.relay.length = length;
    length = ph_message_write(&message, plain, sizeof(plain));
    if (length > 0)
        puppet_say_bytes(cast, route->via - 1, &straight, plain, length);
}

static inline void puppet_say_bytes(Cast *cast, guint p, const PhRoute *route, const guint8 *bytes,
                                    gsize length)
{
    guint8 plain[PH_SESSION_PLAIN_MAX] = {0}, sealed[PH_DATAGRAM_MAX];
    Puppet *puppet = &cast->puppets[p];

    length = MIN(length, sizeof(plain));
    if (length > 0)
        memcpy(plain, bytes, length);
    if (cast->tamper > 0)
        tamper(cast, plain, &length);
    sign_data(p, plain, length);
    length = ph_sessions_seal(puppet->sessions, puppet->session, plain, length, cast->now, sealed);
    if (length > 0)
        puppet_send(cast, p, route, sealed, length);
}

static inline void puppet_say(Cast *cast, guint p, const PhRoute *route, const PhMessage *message)
{
    guint8 plain[PH_SESSION_PLAIN_MAX];
    gsize length = ph_message_write(message, plain, sizeof(plain));

    if (length > 0)
        puppet_say_bytes(cast, p, route, plain, length);
}

static inline void puppet_flush(Cast *cast, guint p)
{
    PhSessions *sessions = cast->puppets[p].sessions;
    PhSessionInput input;
    const guint8 *bytes;
    PhRoute route;
    gsize length;

    while (ph_sessions_poll_transmit(sessions, &route, &bytes, &length))
        puppet_send(cast, p, &route, bytes, length);
    for (ph_sessions_poll(sessions, &input); input.kind != PH_SESSION_NOTHING;
         ph_sessions_poll(sessions, &input))
        ;
}

static inline void puppet_open(Cast *cast, guint p, const PhRoute *route, const guint8 *payload,
                               gsize length)
{
    Puppet *puppet = &cast->puppets[p];
    guint32 session = ph_sessions_open(puppet->sessions, cast->node_key, route, payload,
                                       MIN(length, PH_SESSION_PAYLOAD_MAX), cast->now);

    if (session)
        puppet->session = session;
    puppet_flush(cast, p);
}

static inline PhNodeRecord puppet_record(Cast *cast, guint p)
{
    PhNodeRecord record = {.sequence = WALL + ++cast->sequence,
                           .nat_class = PH_CLASS_PORT_RESTRICTED,
                           .relays = 1,
                           .n_candidates = 1};

    g_strlcpy(record.name, names[p], sizeof(record.name));
    record.candidates[0] = (PhCandidate){PH_CANDIDATE_REFLEXIVE, puppet_address(p)};
    return record;
}

static const guint8 punch_token[PH_PUNCH_TOKEN_BYTES] = {7};

static inline void puppet_answer_probe(Cast *cast, guint p, guint32 socket, const guint8 *bytes,
                                       gsize length)
{
    PhAddress from = puppet_address(p);
    guint8 answer[PH_PUNCH_PACKET_BYTES];
    PhPunchPacket packet;

    if (cast->puppets[p].mute || !ph_punch_packet_read(bytes, length, &packet) ||
        packet.kind != PH_PUNCH_PROBE)
        return;
    packet.side ^= 1;
    /* Its own probe first, which looks like this one. */
    ph_punch_packet_write(&packet, punch_token, answer);
    come(cast, socket, &from, answer, sizeof(answer));
    packet.kind =
        packet.transaction[PH_PUNCH_TRANSACTION_BYTES - 1] % 2 ? PH_PUNCH_CHOSEN : PH_PUNCH_ANSWER;
    ph_punch_packet_write(&packet, punch_token, answer);
    come(cast, socket, &from, answer, sizeof(answer));
}

/* ---- from the node ---- */

static inline guint puppet_of(const Cast *cast, const guint8 *key)
{
    for (guint p = 1; p < PUPPETS; p++)
        if (memcmp(puppet_key(cast, p), key, PH_SESSION_KEY_BYTES) == 0)
            return p;
    return HUB;
}

static inline void puppet_find(Cast *cast, guint p, const PhRoute *route, const PhMessage *message)
{
    PhMessage answer = {.kind = PH_MESSAGE_FOUND};
    PhRoute by_us = {.via = 1 + p};
    guint q = HUB;

    for (guint i = 1; message->connect.by_name && i < PUPPETS; i++)
        if (strcmp(names[i], message->connect.name) == 0)
            q = i;
    if (!message->connect.by_name)
        q = puppet_of(cast, message->connect.key);
    if (q == HUB || q == p)
        return;
    answer.peer.request = message->connect.request;
    answer.peer.channel = 1 + q;
    memcpy(answer.peer.key, puppet_key(cast, q), sizeof(answer.peer.key));
    answer.peer.record = puppet_record(cast, q);
    answer.peer.seen = puppet_address(q);
    puppet_say(cast, p, route, &answer);
    puppet_open(cast, q, &by_us, NULL, 0);
}

static inline void puppet_introduce(Cast *cast, guint p, const PhRoute *route,
                                    const PhMessage *message)
{
    PhMessage answer = {.kind = PH_MESSAGE_INTRODUCED};
    guint q = puppet_of(cast, message->introduce.key);

    answer.introduced.request = message->introduce.request;
    answer.introduced.attempt = message->introduce.attempt;
    memcpy(answer.introduced.key, puppet_key(cast, q), sizeof(answer.introduced.key));
    answer.introduced.record = puppet_record(cast, q);
    memcpy(answer.introduced.token, punch_token, sizeof(punch_token));
    puppet_say(cast, p, route, &answer);
}

static inline void puppet_hear(Cast *cast, guint p, const PhRoute *route, const guint8 *bytes,
                               gsize length);

static inline void puppet_react(Cast *cast, guint p, const PhRoute *route, PhMessage *message)
{
    const PhRoute by_us = {.via = 1 + p};

    switch ((int)message->kind) {
    case PH_MESSAGE_PING:
        cast->puppets[p].ping = message->ping.id;
        message->kind = PH_MESSAGE_PONG;
        message->ping.seen = route->via == 0 ? route->path.remote : (PhAddress){0};
        puppet_say(cast, p, route, message);
        break;
    case PH_MESSAGE_CONNECT:
        puppet_find(cast, p, route, message);
        break;
    case PH_MESSAGE_INTRODUCE:
        puppet_introduce(cast, p, route, message);
        break;
    case PH_MESSAGE_RELAY:
        if (message->relay.channel > 1 && message->relay.channel <= PUPPETS)
            puppet_hear(cast, message->relay.channel - 1, &by_us, message->relay.bytes,
                        message->relay.length);
        break;
    default:
        break;
    }
}

static inline void puppet_read(Cast *cast, guint p, const PhRoute *route, const guint8 *bytes,
                               gsize length)
{
    guint8 copy[PH_DATAGRAM_MAX];
    Puppet *puppet = &cast->puppets[p];
    PhMessage message;
    gsize used;

    if (length > 0)
        memcpy(copy, bytes, length);
    for (gsize at = 0; at < length; at += used) {
        g_assert(ph_message_read(copy + at, length - at, &message, &used));
        if (message.kind == PH_MESSAGE_CONNECT)
            puppet->request = message.connect.request;
        if (message.kind == PH_MESSAGE_INTRODUCE)
            puppet->request = message.introduce.request;
        if (!puppet->mute)
            puppet_react(cast, p, route, &message);
    }
}

static inline void puppet_accept(Cast *cast, guint p, const PhRoute *route)
{
    PhMessage message = {.kind = PH_MESSAGE_REGISTERED};
    guint8 payload[PH_SESSION_PAYLOAD_MAX];
    Puppet *puppet = &cast->puppets[p];
    gsize length = 0;
    guint32 session;

    message.registered.lifetime_s = 90;
    message.registered.seen = route->path.remote;
    if (p == HUB)
        length = ph_message_write(&message, payload, sizeof(payload));
    session = ph_sessions_accept(puppet->sessions, payload, length, cast->now);
    if (session)
        puppet->session = session;
}

static inline void puppet_hear(Cast *cast, guint p, const PhRoute *route, const guint8 *bytes,
                               gsize length)
{
    Puppet *puppet = &cast->puppets[p];
    PhSessionInput input;

    ph_sessions_receive(puppet->sessions, route, bytes, length, cast->now, &input);
    if (input.kind == PH_SESSION_REQUEST && !puppet->mute)
        puppet_accept(cast, p, route);
    if (input.kind == PH_SESSION_UP)
        puppet->session = input.session;
    if (input.kind == PH_SESSION_MESSAGE)
        puppet_read(cast, p, route, input.bytes, input.length);
    puppet_flush(cast, p);
}
