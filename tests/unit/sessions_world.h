/* SPDX-License-Identifier: MIT */
/*
 * Some PhSessions with a network between them, in virtual time: each side has an address, packets
 * take 20 ms, and a test may lose, keep or change any of them. What a side was told is kept in
 * order; requests are accepted unless the test says otherwise.
 */
#pragma once

#include <glib.h>
#include <string.h>

#include "../../lib/core/message.h"
#include "../../lib/core/session.h"

#define MS    G_GUINT64_CONSTANT(1000000)
#define S     (1000 * MS)
#define DELAY (20 * MS)
/* 2026-01-01 */
#define WALL  (G_GUINT64_CONSTANT(1767225600) * S)
#define SIDES 8

#define TYPE_REQUEST  0xc1
#define TYPE_RESPONSE 0xc2
#define TYPE_COOKIE   0xc3
#define TYPE_DATA     0xc4
#define TYPE_CARRYING 0xc5

typedef struct Told {
    PhSessionInput input; /* its bytes are `bytes` */
    PhRoute route;        /* of the packet, if it was one */
    guint64 at;
    guint8 bytes[PH_DATAGRAM_MAX];
} Told;

typedef struct Side {
    PhSessions *sessions;
    PhAddress address;
    gboolean refuses;
    const char *answer; /* the payload of its responses */
    GArray *told;       /* of Told, without NOTHING */
    guint seen;         /* that the test has asked for */
    guint requests, accepted;
    guint sent[256]; /* packets, by their first byte */
} Side;

typedef struct Flying {
    guint64 at;
    guint64 order;
    PhAddress from, to;
    gsize length;
    guint8 bytes[PH_DATAGRAM_MAX];
} Flying;

typedef struct World World;
/* What becomes of a packet that is sent: FALSE: lost. It may be changed. */
typedef gboolean (*Fate)(World *world, Flying *packet);

struct World {
    Side sides[SIDES];
    guint n_sides;
    GArray *flying;
    GArray *log; /* all packets that were sent */
    guint64 now, n_flown;
    Fate fate;
    guint fate_count; /* for the fate's use */
};

static inline void expect_bytes(const void *bytes, gsize length, const void *expected,
                                gsize expected_length)
{
    g_assert_cmpuint(length, ==, expected_length);
    g_assert_true(length == 0 || memcmp(bytes, expected, length) == 0);
}

static inline PhRoute route_to(const PhAddress *remote)
{
    return (PhRoute){.path = {.transport = PH_TRANSPORT_UDP, .remote = *remote}};
}

static inline PhRoute to_side(const World *world, guint side)
{
    return route_to(&world->sides[side].address);
}

/* A config like that of the nth side. */
static inline PhSessionsConfig side_config(guint n)
{
    PhSessionsConfig config = {.wall_ns = WALL, .sessions_max = 16, .handshakes_per_s = 100};

    memset(config.seed, (int)(0x40 + n), sizeof(config.seed));
    memset(config.secret, (int)(0x10 + n), sizeof(config.secret));
    return config;
}

static inline Side *world_add(World *world, const PhSessionsConfig *config)
{
    Side *side = &world->sides[world->n_sides];

    g_assert_cmpuint(world->n_sides, <, SIDES);
    *side = (Side){.sessions = ph_sessions_new(config),
                   .address = ph_address_ipv4(0xc0000201 + world->n_sides, 4000),
                   .told = g_array_new(FALSE, FALSE, sizeof(Told))};
    g_assert_nonnull(side->sessions);
    world->n_sides++;
    return side;
}

static inline void world_init(World *world, guint n)
{
    *world = (World){.now = 5 * S};
    world->flying = g_array_new(FALSE, FALSE, sizeof(Flying));
    world->log = g_array_new(FALSE, FALSE, sizeof(Flying));
    for (guint i = 0; i < n; i++) {
        PhSessionsConfig config = side_config(i);

        world_add(world, &config);
    }
}

static inline void world_clear(World *world)
{
    for (guint i = 0; i < world->n_sides; i++) {
        world->sides[i].sessions = ph_sessions_free(world->sides[i].sessions);
        g_clear_pointer(&world->sides[i].told, g_array_unref);
    }
    g_clear_pointer(&world->flying, g_array_unref);
    g_clear_pointer(&world->log, g_array_unref);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(World, world_clear)

/* ---- the network ---- */

static inline void world_fly(World *world, Flying *packet)
{
    packet->order = world->n_flown++;
    g_array_append_val(world->flying, *packet);
}

static inline void world_send(World *world, guint from, const PhRoute *route, const guint8 *bytes,
                              gsize length)
{
    Flying packet = {.at = world->now + DELAY,
                     .from = world->sides[from].address,
                     .to = route->path.remote,
                     .length = length};

    g_assert_cmpuint(length, <=, sizeof(packet.bytes));
    memcpy(packet.bytes, bytes, length);
    world->sides[from].sent[bytes[0]]++;
    g_array_append_val(world->log, packet);
    if (!world->fate || world->fate(world, &packet))
        world_fly(world, &packet);
}

static inline void tell(World *world, Side *side, const PhSessionInput *input, const PhRoute *route)
{
    Told told = {.input = *input, .at = world->now};

    if (input->kind == PH_SESSION_NOTHING)
        return;
    if (route)
        told.route = *route;
    if (input->length > 0)
        memcpy(told.bytes, input->bytes, input->length);
    g_array_append_val(side->told, told);
}

/* Packets and farewells of one side. */
static inline void world_poll(World *world, guint n)
{
    Side *side = &world->sides[n];
    PhSessionInput input;
    const guint8 *bytes;
    PhRoute route;
    gsize length;

    while (ph_sessions_poll_transmit(side->sessions, &route, &bytes, &length))
        world_send(world, n, &route, bytes, length);
    for (ph_sessions_poll(side->sessions, &input); input.kind != PH_SESSION_NOTHING;
         ph_sessions_poll(side->sessions, &input))
        tell(world, side, &input, NULL);
}

static inline void world_receive(World *world, guint n, const PhRoute *route, const guint8 *bytes,
                                 gsize length)
{
    Side *side = &world->sides[n];
    PhSessionInput input;

    ph_sessions_receive(side->sessions, route, bytes, length, world->now, &input);
    tell(world, side, &input, route);
    if (input.kind == PH_SESSION_REQUEST) {
        side->requests++;
        if (!side->refuses) {
            const char *answer = side->answer ? side->answer : "";

            side->accepted = ph_sessions_accept(side->sessions, (const guint8 *)answer,
                                                strlen(answer), world->now);
        }
    }
    world_poll(world, n);
}

static inline gboolean pop_flying(World *world, guint64 until, Flying *ret_packet)
{
    guint best = G_MAXUINT;

    for (guint i = 0; i < world->flying->len; i++) {
        const Flying *packet = &g_array_index(world->flying, Flying, i);
        const Flying *other =
            best == G_MAXUINT ? NULL : &g_array_index(world->flying, Flying, best);

        if (packet->at <= until && (!other || packet->at < other->at ||
                                    (packet->at == other->at && packet->order < other->order)))
            best = i;
    }
    if (best == G_MAXUINT)
        return FALSE;
    *ret_packet = g_array_index(world->flying, Flying, best);
    g_array_remove_index(world->flying, best);
    return TRUE;
}

static inline void deliver(World *world, const Flying *packet)
{
    PhRoute route = route_to(&packet->from);

    for (guint i = 0; i < world->n_sides; i++)
        if (world->sides[i].sessions && ph_address_equal(&world->sides[i].address, &packet->to))
            world_receive(world, i, &route, packet->bytes, packet->length);
}

static inline guint64 next_timer(const World *world)
{
    guint64 next = UINT64_MAX;

    for (guint i = 0; i < world->n_sides; i++)
        if (world->sides[i].sessions)
            next = MIN(next, ph_sessions_next_timeout(world->sides[i].sessions));
    return next;
}

/* Everything that happens until then. */
static inline void world_run(World *world, guint64 duration)
{
    guint64 end = world->now + duration;
    Flying packet;

    for (guint i = 0; i < world->n_sides; i++)
        if (world->sides[i].sessions)
            world_poll(world, i);
    for (;;) {
        guint64 timer = next_timer(world);

        if (pop_flying(world, MIN(timer, end), &packet)) {
            world->now = MAX(world->now, packet.at);
            deliver(world, &packet);
            continue;
        }
        if (timer > end)
            break;
        world->now = MAX(world->now, timer);
        for (guint i = 0; i < world->n_sides; i++) {
            if (!world->sides[i].sessions)
                continue;
            ph_sessions_handle_timeout(world->sides[i].sessions, world->now);
            world_poll(world, i);
        }
    }
    world->now = end;
}

/* ---- what a test does ---- */

static inline const guint8 *key_of(const World *world, guint side)
{
    return ph_sessions_public_key(world->sides[side].sessions);
}

static inline guint32 world_open(World *world, guint from, guint to, const char *payload)
{
    PhRoute route = to_side(world, to);

    return ph_sessions_open(world->sides[from].sessions, key_of(world, to), &route,
                            (const guint8 *)payload, strlen(payload), world->now);
}

/* The packet's length; 0: it cannot be sealed. */
static inline gsize world_seal(const World *world, guint from, guint32 session,
                               const PhMessage *message, guint8 ret_packet[static PH_DATAGRAM_MAX])
{
    guint8 plain[PH_SESSION_PLAIN_MAX];
    gsize length = ph_message_write(message, plain, sizeof(plain));

    return ph_sessions_seal(world->sides[from].sessions, session, plain, length, world->now,
                            ret_packet);
}

/* FALSE: it cannot be sealed. */
static inline gboolean world_tell(World *world, guint from, guint32 session, guint to,
                                  const PhMessage *message)
{
    guint8 packet[PH_DATAGRAM_MAX];
    PhRoute route = to_side(world, to);
    gsize length = world_seal(world, from, session, message, packet);

    if (length > 0)
        world_send(world, from, &route, packet, length);
    return length > 0;
}

static inline PhMessage data_message(const char *text)
{
    return (PhMessage){.kind = PH_MESSAGE_DATA, .data = {(const guint8 *)text, strlen(text)}};
}

static inline gboolean world_say(World *world, guint from, guint32 session, guint to,
                                 const char *text)
{
    PhMessage message = data_message(text);

    return world_tell(world, from, session, to, &message);
}

/* The next thing that a side was told; keepalives are passed over. NULL: nothing. */
static inline const Told *next_told(World *world, guint n)
{
    Side *side = &world->sides[n];

    while (side->seen < side->told->len) {
        const Told *told = &g_array_index(side->told, Told, side->seen++);

        if (told->input.kind != PH_SESSION_MESSAGE || told->bytes[0] != PH_MESSAGE_KEEPALIVE)
            return told;
    }
    return NULL;
}

static inline const Told *expect_told(World *world, guint n, PhSessionInputKind kind)
{
    const Told *told = next_told(world, n);

    g_assert_nonnull(told);
    g_assert_cmpuint(told->input.kind, ==, kind);
    return told;
}

static inline void expect_nothing(World *world, guint n)
{
    g_assert_null(next_told(world, n));
}

static inline const Told *expect_data(World *world, guint n, const char *text)
{
    const Told *told = expect_told(world, n, PH_SESSION_MESSAGE);

    g_assert_cmpuint(told->bytes[0], ==, PH_MESSAGE_DATA);
    expect_bytes(told->bytes + 1, told->input.length - 1, text, strlen(text));
    return told;
}

/* A session from one side to another that both have; what they were told of it is passed over. */
static inline guint32 world_connect(World *world, guint from, guint to)
{
    guint32 session = world_open(world, from, to, "");

    g_assert_cmpuint(session, !=, 0);
    world_run(world, 3 * DELAY);
    while (next_told(world, from) || next_told(world, to))
        ;
    g_assert_true(ph_sessions_is_up(world->sides[from].sessions, session));
    return session;
}
