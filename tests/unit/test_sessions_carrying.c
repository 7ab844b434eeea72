/* SPDX-License-Identifier: MIT */
/*
 * What a relay carries: alice (0) says something to bob (1), sealed for him, and inside her session
 * with the relay (2), which passes it on in his.
 */
#include "../../lib/core/session_private.h"
#include "sessions_world.h"

#define CHANNEL 0x5a17c0de
#define OWN     5 /* of a message's bytes: kind and channel */

enum { ALICE, BOB, RELAY };

static const char text[] = "what the relay is not to know, in so many words";

typedef struct Trio {
    World world;
    guint32 to_bob, to_relay, from_relay; /* sessions of alice, alice and the relay */
    guint8 inner[PH_DATAGRAM_MAX], outer[PH_DATAGRAM_MAX];
    gsize inner_length, outer_length;
} Trio;

static const PhSessionsCounters *counters(const Trio *trio, guint side)
{
    return ph_sessions_counters(trio->world.sides[side].sessions);
}

static void pass_greetings(Trio *trio)
{
    for (guint i = 0; i < trio->world.n_sides; i++)
        while (next_told(&trio->world, i))
            ;
}

/* Alice has something for bob, sealed, and once more for the relay. */
static void seal(Trio *trio)
{
    PhMessage data = data_message(text), relay = {.kind = PH_MESSAGE_RELAY};

    trio->inner_length = world_seal(&trio->world, ALICE, trio->to_bob, &data, trio->inner);
    relay.relay.channel = CHANNEL;
    relay.relay.bytes = trio->inner;
    relay.relay.length = trio->inner_length;
    trio->outer_length = world_seal(&trio->world, ALICE, trio->to_relay, &relay, trio->outer);
}

static void trio_init(Trio *trio)
{
    *trio = (Trio){0};
    world_init(&trio->world, 3);
    trio->to_bob = world_open(&trio->world, ALICE, BOB, "");
    trio->to_relay = world_open(&trio->world, ALICE, RELAY, "");
    world_run(&trio->world, 10 * DELAY);
    world_open(&trio->world, BOB, RELAY, "");
    world_run(&trio->world, 10 * DELAY);
    trio->from_relay = trio->world.sides[RELAY].accepted;
    pass_greetings(trio);
    seal(trio);
}

static void trio_clear(Trio *trio)
{
    world_clear(&trio->world);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Trio, trio_clear)

static void receive(Trio *trio, guint side, const guint8 *bytes, gsize length)
{
    PhRoute route = to_side(&trio->world, ALICE);

    world_receive(&trio->world, side, &route, bytes, length);
}

/* The message that a side was told, which is of that kind and has alice's packet in it. */
static PhMessage expect_carried(Trio *trio, guint side, PhMessageKind kind)
{
    const Told *told = expect_told(&trio->world, side, PH_SESSION_MESSAGE);
    PhMessage message;
    gsize used;

    g_assert_true(ph_message_read(told->bytes, told->input.length, &message, &used));
    g_assert_cmpuint(message.kind, ==, kind);
    g_assert_cmpuint(message.relay.channel, ==, CHANNEL);
    expect_bytes(message.relay.bytes, message.relay.length, trio->inner, trio->inner_length);
    return message;
}

static gboolean holds(const guint8 *bytes, gsize length, const void *what, gsize what_length)
{
    for (gsize at = 0; at + what_length <= length; at++)
        if (memcmp(bytes + at, what, what_length) == 0)
            return TRUE;
    return FALSE;
}

/* In the open there is nothing but what alice and bob have sealed: not what it says, nor the header
 * and channel by which it could be told whose it is. */
static void expect_little_in(const Trio *trio, const guint8 *packet, gsize length)
{
    const guint8 channel[4] = {CHANNEL >> 24, CHANNEL >> 16 & 0xff, CHANNEL >> 8 & 0xff,
                               CHANNEL & 0xff};

    g_assert_cmpuint(packet[0], ==, TYPE_CARRYING);
    g_assert_cmpuint(length, ==, trio->inner_length + OWN + PH_SESSION_OVERHEAD);
    g_assert_true(
        holds(packet, length, trio->inner + PH_HEADER_BYTES, trio->inner_length - PH_HEADER_BYTES));
    g_assert_false(holds(packet, length, trio->inner, 4));
    g_assert_false(holds(packet, length, trio->inner + 4, 4));
    g_assert_false(holds(packet, length, channel, sizeof(channel)));
    g_assert_false(holds(packet, length, text, 8));
}

static void test_N14_on_its_way_it_is_sealed_by_its_ends(void)
{
    g_auto(Trio) trio;
    guint8 packet[PH_DATAGRAM_MAX];
    PhMessage message;
    gsize length;

    trio_init(&trio);
    expect_little_in(&trio, trio.outer, trio.outer_length);
    receive(&trio, RELAY, trio.outer, trio.outer_length);
    message = expect_carried(&trio, RELAY, PH_MESSAGE_RELAY);
    message.kind = PH_MESSAGE_RELAYED;
    length = world_seal(&trio.world, RELAY, trio.from_relay, &message, packet);
    expect_little_in(&trio, packet, length);
    receive(&trio, BOB, packet, length);
    message = expect_carried(&trio, BOB, PH_MESSAGE_RELAYED);
    receive(&trio, BOB, message.relay.bytes, message.relay.length);
    expect_data(&trio.world, BOB, text);
}

/* What is changed anywhere, also where it stands in the open, or cut, is nothing; and the true
 * packet is good after that, once. */
static void test_N14_what_is_changed_on_its_way_is_dropped(void)
{
    g_auto(Trio) trio;
    guint8 packet[PH_DATAGRAM_MAX];

    trio_init(&trio);
    for (gsize at = 0; at < trio.outer_length; at++) {
        for (guint8 bit = 1; bit != 0; bit = (guint8)(bit << 1)) {
            memcpy(packet, trio.outer, trio.outer_length);
            packet[at] ^= bit;
            receive(&trio, RELAY, packet, trio.outer_length);
        }
    }
    memset(packet + trio.outer_length, 0, 100);
    memcpy(packet, trio.outer, trio.outer_length);
    for (gsize length = 0; length < trio.outer_length + 100; length++)
        if (length != trio.outer_length)
            receive(&trio, RELAY, packet, length);
    expect_nothing(&trio.world, RELAY);
    receive(&trio, RELAY, trio.outer, trio.outer_length);
    expect_carried(&trio, RELAY, PH_MESSAGE_RELAY);
}

/* Neither a packet again, nor a newer one's body with its header, nor the other way round. */
static void test_N14_what_is_repeated_on_its_way_is_dropped(void)
{
    g_auto(Trio) trio;
    guint8 first[PH_DATAGRAM_MAX], mixed[PH_DATAGRAM_MAX];

    trio_init(&trio);
    memcpy(first, trio.outer, trio.outer_length);
    receive(&trio, RELAY, first, trio.outer_length);
    expect_carried(&trio, RELAY, PH_MESSAGE_RELAY);
    receive(&trio, RELAY, first, trio.outer_length);
    g_assert_cmpuint(counters(&trio, RELAY)->dropped_replay, ==, 1);
    seal(&trio);
    memcpy(mixed, trio.outer, PH_HEADER_BYTES);
    memcpy(mixed + PH_HEADER_BYTES, first + PH_HEADER_BYTES, trio.outer_length - PH_HEADER_BYTES);
    receive(&trio, RELAY, mixed, trio.outer_length);
    memcpy(mixed, trio.outer, trio.outer_length);
    memcpy(mixed + PH_HEADER_BYTES, first + PH_HEADER_BYTES, trio.inner_length - PH_HEADER_BYTES);
    receive(&trio, RELAY, mixed, trio.outer_length);
    g_assert_cmpuint(counters(&trio, RELAY)->dropped_forged, ==, 2);
    expect_nothing(&trio.world, RELAY);
    receive(&trio, RELAY, trio.outer, trio.outer_length);
    expect_carried(&trio, RELAY, PH_MESSAGE_RELAY);
}

/* Handshakes, which show more of who talks to whom, and what is no packet at all. */
static void test_all_else_is_carried_sealed_as_a_whole(void)
{
    static const guint8 begins[][4] = {{TYPE_REQUEST},  {TYPE_RESPONSE},   {TYPE_COOKIE},
                                       {TYPE_CARRYING}, {TYPE_DATA, 0, 1}, {0}};
    guint8 inner[400], packet[PH_DATAGRAM_MAX];
    PhMessage message = {.kind = PH_MESSAGE_RELAY, .relay = {CHANNEL, inner, sizeof(inner)}};
    g_auto(Trio) trio;

    trio_init(&trio);
    memset(inner, 0x77, sizeof(inner));
    for (guint i = 0; i <= G_N_ELEMENTS(begins); i++) {
        gsize length;

        if (i < G_N_ELEMENTS(begins))
            memcpy(inner, begins[i], 4);
        else
            memcpy(inner, (const guint8[4]){TYPE_DATA}, 4);
        message.relay.length = i < G_N_ELEMENTS(begins) ? sizeof(inner) : PH_SESSION_OVERHEAD - 1;
        length = world_seal(&trio.world, ALICE, trio.to_relay, &message, packet);
        g_assert_cmpuint(packet[0], ==, TYPE_DATA);
        g_assert_false(holds(packet, length, inner + 4, 8));
        receive(&trio, RELAY, packet, length);
        expect_told(&trio.world, RELAY, PH_SESSION_MESSAGE);
    }
}

/* The longest and the shortest. */
static void test_lengths(void)
{
    static const gsize lengths[] = {PH_SESSION_OVERHEAD, PH_SESSION_OVERHEAD + 1,
                                    PH_SESSION_PLAIN_MAX - OWN};
    guint8 inner[PH_DATAGRAM_MAX] = {TYPE_DATA}, packet[PH_DATAGRAM_MAX];
    PhMessage message = {.kind = PH_MESSAGE_RELAYED, .relay = {CHANNEL, inner, 0}};
    g_auto(Trio) trio;

    trio_init(&trio);
    for (guint i = 0; i < G_N_ELEMENTS(lengths); i++) {
        gsize length;
        const Told *told;

        message.relay.length = lengths[i];
        length = world_seal(&trio.world, ALICE, trio.to_relay, &message, packet);
        g_assert_cmpuint(length, ==, lengths[i] + OWN + PH_SESSION_OVERHEAD);
        g_assert_cmpuint(packet[0], ==, TYPE_CARRYING);
        receive(&trio, RELAY, packet, length);
        told = expect_told(&trio.world, RELAY, PH_SESSION_MESSAGE);
        expect_bytes(told->bytes + OWN, told->input.length - OWN, inner, lengths[i]);
    }
}

/* One that has the keys, and leaves something else in the open. */
static void test_nothing_else_may_be_in_one(void)
{
    static const guint8 plains[][PH_CARRYING_PLAIN_BYTES] = {
        {PH_MESSAGE_DATA, 0, 0, 0, 0, TYPE_DATA},
        {PH_MESSAGE_CLOSE, PH_REASON_GOODBYE},
        {PH_MESSAGE_RELAY, 0, 0, 0, 0, TYPE_REQUEST},
        {PH_MESSAGE_RELAY, 0, 0, 0, 0, TYPE_DATA},
    };
    g_auto(Trio) trio;
    PhSessionKeys *keys;

    trio_init(&trio);
    keys = &ph_session_by_id(trio.world.sides[ALICE].sessions, trio.to_relay)->current;
    for (guint i = 0; i < G_N_ELEMENTS(plains); i++) {
        const gsize open = PH_HEADER_BYTES + 16;

        trio.outer[15] = (guint8)(keys->sent + i);
        ph_noise_seal(keys->send, keys->sent + i, trio.outer, open, plains[i], sizeof(plains[i]),
                      trio.outer + open);
        receive(&trio, RELAY, trio.outer, open + sizeof(plains[i]) + PH_NOISE_TAG_BYTES);
    }
    g_assert_cmpuint(counters(&trio, RELAY)->dropped_malformed, ==, G_N_ELEMENTS(plains) - 1);
    expect_told(&trio.world, RELAY, PH_SESSION_MESSAGE); /* the last one is as it should be */
    expect_nothing(&trio.world, RELAY);
}

#define ADD(test) g_test_add_func("/sessions/carrying/" #test, test_##test)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD(N14_on_its_way_it_is_sealed_by_its_ends);
    ADD(N14_what_is_changed_on_its_way_is_dropped);
    ADD(N14_what_is_repeated_on_its_way_is_dropped);
    ADD(all_else_is_carried_sealed_as_a_whole);
    ADD(lengths);
    ADD(nothing_else_may_be_in_one);
    return g_test_run();
}
