/* SPDX-License-Identifier: MIT */
/* Sessions: who gets one, what passes, what does not, and how they end. */
#include "sessions_world.h"

static const PhSessionsCounters *counters(const World *world, guint side)
{
    return ph_sessions_counters(world->sides[side].sessions);
}

static void expect_gone(World *world, guint side, guint32 session, const char *reason)
{
    const Told *told = expect_told(world, side, PH_SESSION_GONE);

    g_assert_cmpuint(told->input.session, ==, session);
    g_assert_cmpstr(told->input.reason, ==, reason);
    g_assert_null(ph_sessions_remote_key(world->sides[side].sessions, session));
}

/* ---- beginning ---- */

static void test_a_session_takes_one_round_trip(void)
{
    g_auto(World) world;
    guint32 session;
    const Told *told;

    world_init(&world, 2);
    world.sides[1].answer = "welcome";
    session = world_open(&world, 0, 1, "hello");
    g_assert_cmpuint(session, !=, 0);
    g_assert_false(ph_sessions_is_up(world.sides[0].sessions, session));
    world_run(&world, 10 * DELAY);

    told = expect_told(&world, 1, PH_SESSION_REQUEST);
    g_assert_cmpuint(told->at, ==, 5 * S + DELAY);
    expect_bytes(told->bytes, told->input.length, "hello", 5);
    expect_bytes(told->input.remote_key, 32, key_of(&world, 0), 32);
    told = expect_told(&world, 0, PH_SESSION_UP);
    g_assert_cmpuint(told->at, ==, 5 * S + 2 * DELAY);
    g_assert_cmpuint(told->input.session, ==, session);
    expect_bytes(told->bytes, told->input.length, "welcome", 7);
    g_assert_cmpuint(world.sides[0].sent[TYPE_REQUEST], ==, 1);
    g_assert_cmpuint(world.sides[1].sent[TYPE_RESPONSE], ==, 1);

    g_assert_true(world_say(&world, 0, session, 1, "ping"));
    g_assert_true(world_say(&world, 1, world.sides[1].accepted, 0, "pong"));
    world_run(&world, DELAY);
    told = expect_data(&world, 1, "ping");
    g_assert_cmpuint(told->input.session, ==, world.sides[1].accepted);
    told = expect_data(&world, 0, "pong");
    g_assert_cmpuint(told->input.session, ==, session);
}

/* The responder may send right behind its response; the first packet of the initiator's confirms,
 * and it comes by itself. */
static void test_the_first_packet_confirms(void)
{
    g_auto(World) world;
    const Told *told;

    world_init(&world, 2);
    world_open(&world, 0, 1, "");
    world_run(&world, DELAY);
    g_assert_true(ph_sessions_is_up(world.sides[1].sessions, world.sides[1].accepted));
    g_assert_true(world_say(&world, 1, world.sides[1].accepted, 0, "at once"));
    world_run(&world, DELAY);
    expect_told(&world, 0, PH_SESSION_UP);
    expect_data(&world, 0, "at once");
    world_run(&world, DELAY);
    g_assert_cmpuint(world.sides[1].told->len, ==, 2);
    told = &g_array_index(world.sides[1].told, Told, 1);
    g_assert_true(told->input.confirmed_now);
    g_assert_cmpuint(told->bytes[0], ==, PH_MESSAGE_KEEPALIVE);
    g_assert_cmpuint(told->at, ==, 5 * S + 3 * DELAY);
}

static gboolean lose_all(World *world, Flying *packet)
{
    (void)packet;
    world->fate_count++;
    return FALSE;
}

static void test_a_request_is_repeated_and_given_up(void)
{
    static const guint64 at[] = {0, 250, 750, 1750, 3750};
    g_auto(World) world;
    guint32 session;

    world_init(&world, 2);
    world.fate = lose_all;
    session = world_open(&world, 0, 1, "");
    world_run(&world, 0);
    for (guint i = 1; i < G_N_ELEMENTS(at); i++) {
        g_assert_cmpuint(ph_sessions_next_timeout(world.sides[0].sessions), ==, 5 * S + at[i] * MS);
        g_assert_cmpuint(world.fate_count, ==, i);
        world_run(&world, 5 * S + at[i] * MS - world.now);
    }
    g_assert_cmpuint(world.fate_count, ==, G_N_ELEMENTS(at));
    world_run(&world, 5 * S - 3750 * MS - 1);
    expect_nothing(&world, 0);
    world_run(&world, 1);
    expect_gone(&world, 0, session, "timeout");
    g_assert_cmpuint(ph_sessions_next_timeout(world.sides[0].sessions), ==, UINT64_MAX);
}

/* Loses the first request and the first response. */
static gboolean lose_first_of_each(World *world, Flying *packet)
{
    guint bit = 1U << (packet->bytes[0] & 0xf);
    gboolean first = !(world->fate_count & bit);

    world->fate_count |= bit;
    return !first || packet->bytes[0] == TYPE_DATA;
}

static void test_lost_handshakes_are_made_up_for(void)
{
    g_auto(World) world;

    world_init(&world, 2);
    world.fate = lose_first_of_each;
    world_open(&world, 0, 1, "");
    world_run(&world, 2 * S);
    expect_told(&world, 0, PH_SESSION_UP);
    expect_told(&world, 1, PH_SESSION_REQUEST);
    expect_nothing(&world, 1);
    g_assert_cmpuint(world.sides[0].sent[TYPE_REQUEST], ==, 3);
    g_assert_cmpuint(world.sides[1].sent[TYPE_RESPONSE], ==, 2);
    g_assert_cmpuint(world.sides[1].requests, ==, 1);
}

static gboolean double_all(World *world, Flying *packet)
{
    Flying again = *packet;

    again.at += 7 * MS;
    world_fly(world, &again);
    return TRUE;
}

static void test_duplicates_change_nothing(void)
{
    g_auto(World) world;
    guint32 session;

    world_init(&world, 2);
    world.fate = double_all;
    session = world_open(&world, 0, 1, "");
    world_run(&world, 5 * DELAY);
    g_assert_true(world_say(&world, 0, session, 1, "once"));
    world_run(&world, 5 * DELAY);
    expect_told(&world, 0, PH_SESSION_UP);
    expect_nothing(&world, 0);
    expect_told(&world, 1, PH_SESSION_REQUEST);
    expect_data(&world, 1, "once");
    expect_nothing(&world, 1);
    g_assert_cmpuint(counters(&world, 1)->dropped_replay, ==, 2);
}

/* Along two routes at once; the first one that leads there is as good as both. */
static void test_a_request_goes_along_several_routes(void)
{
    g_auto(World) world;
    PhRoute route, nowhere = {.path = {.transport = PH_TRANSPORT_UDP,
                                       .remote = ph_address_ipv4(0xcb007109, 9)}};
    guint32 session;

    world_init(&world, 2);
    session =
        ph_sessions_open(world.sides[0].sessions, key_of(&world, 1), &nowhere, NULL, 0, world.now);
    route = to_side(&world, 1);
    ph_sessions_also(world.sides[0].sessions, session, &route, world.now);
    world_run(&world, 2 * DELAY);
    g_assert_true(ph_sessions_is_up(world.sides[0].sessions, session));
    g_assert_cmpuint(world.sides[0].sent[TYPE_REQUEST], ==, 2);
    /* What we say ourselves goes where the answer came from. */
    g_assert_cmpuint(world.sides[0].sent[TYPE_DATA], ==, 1);
    world_run(&world, DELAY);
    g_assert_cmpuint(counters(&world, 1)->unsealed, ==, 1);
}

static void test_an_owner_may_refuse(void)
{
    g_auto(World) world;
    guint32 session;

    world_init(&world, 2);
    world.sides[1].refuses = TRUE;
    session = world_open(&world, 0, 1, "");
    world_run(&world, 6 * S);
    expect_gone(&world, 0, session, "timeout");
    g_assert_cmpuint(world.sides[1].sent[TYPE_RESPONSE], ==, 0);
    g_assert_cmpuint(world.sides[1].requests, ==, 5);
}

/* ---- who does not get one ---- */

static void test_strangers_without_the_psk_are_dropped_unread(void)
{
    g_auto(World) world;
    PhSessionsConfig config = side_config(1);

    world_init(&world, 1);
    config.psk[31] = 1;
    world_add(&world, &config);
    world_open(&world, 0, 1, "");
    world_run(&world, DELAY);
    expect_nothing(&world, 1);
    g_assert_cmpuint(counters(&world, 1)->dropped_mac, ==, 1);
}

static void test_the_same_psk_is_fine(void)
{
    g_auto(World) world;

    world_init(&world, 0);
    for (guint i = 0; i < 2; i++) {
        PhSessionsConfig config = side_config(i);

        config.psk[31] = 1;
        world_add(&world, &config);
    }
    world_connect(&world, 0, 1);
}

/* The key asked for is not that of who is there. */
static void test_another_key_does_not_answer(void)
{
    g_auto(World) world;
    PhRoute route;

    world_init(&world, 3);
    route = to_side(&world, 2);
    ph_sessions_open(world.sides[0].sessions, key_of(&world, 1), &route, NULL, 0, world.now);
    world_run(&world, DELAY);
    g_assert_cmpuint(counters(&world, 2)->dropped_mac, ==, 1);
    expect_nothing(&world, 2);
}

static void test_what_is_no_key_is_refused(void)
{
    g_auto(World) world;
    PhSessionsConfig config = side_config(0);
    guint8 none[32] = {0};
    PhRoute route;

    world_init(&world, 2);
    route = to_side(&world, 1);
    g_assert_cmpuint(ph_sessions_open(world.sides[0].sessions, none, &route, NULL, 0, world.now),
                     ==, 0);
    g_assert_cmpuint(
        ph_sessions_open(world.sides[0].sessions, key_of(&world, 0), &route, NULL, 0, world.now),
        ==, 0);
    memset(config.secret, 0, sizeof(config.secret));
    g_assert_null(ph_sessions_new(&config));
    config = side_config(0);
    config.sessions_max = 0;
    g_assert_null(ph_sessions_new(&config));
}

static void tamper(const World *world, guint side, const Flying *packet, gsize at, guint8 bits)
{
    PhSessionInput input;
    guint8 bytes[PH_DATAGRAM_MAX];
    PhRoute route = route_to(&packet->from);

    memcpy(bytes, packet->bytes, packet->length);
    bytes[at] ^= bits;
    ph_sessions_receive(world->sides[side].sessions, &route, bytes, packet->length, world->now,
                        &input);
    g_assert_cmpuint(input.kind, ==, PH_SESSION_NOTHING);
}

static gboolean drop(World *world, Flying *packet)
{
    (void)world;
    (void)packet;
    return FALSE;
}

/* Each bit of a packet may be another: nothing comes of it, and the right one is still good. */
static void tamper_with_all(World *world, guint side)
{
    Flying packet = g_array_index(world->log, Flying, world->log->len - 1);
    gsize end = packet.bytes[0] == TYPE_REQUEST ? packet.length - 16 : packet.length;
    PhRoute route = route_to(&packet.from);

    for (gsize at = 0; at < end; at++) /* mac2 is of no use to who is not flooded */
        tamper(world, side, &packet, at, (guint8)(1U << at % 8));
    world_receive(world, side, &route, packet.bytes, packet.length);
}

static void test_tampered_packets_are_nothing(void)
{
    g_auto(World) world;
    guint32 session;

    world_init(&world, 2);
    world.fate = drop;
    session = world_open(&world, 0, 1, "hello");
    world_run(&world, 0);
    tamper_with_all(&world, 1);
    expect_told(&world, 1, PH_SESSION_REQUEST);
    tamper_with_all(&world, 0);
    expect_told(&world, 0, PH_SESSION_UP);
    g_assert_true(world_say(&world, 0, session, 1, "untouched"));
    tamper_with_all(&world, 1);
    expect_data(&world, 1, "untouched");
}

static void test_cut_packets_are_nothing(void)
{
    g_auto(World) world;

    world_init(&world, 2);
    world_connect(&world, 0, 1);
    for (guint i = 0; i < world.log->len; i++) {
        const Flying *packet = &g_array_index(world.log, Flying, i);
        PhRoute route = route_to(&packet->from);

        for (gsize length = 0; length < packet->length; length++)
            world_receive(&world, i % 2 ? 0 : 1, &route, packet->bytes, length);
    }
    expect_nothing(&world, 0);
    expect_nothing(&world, 1);
}

/* ---- replays ---- */

static void test_a_replayed_request_is_refused(void)
{
    g_auto(World) world;
    PhRoute elsewhere =
        route_to(&(PhAddress){.bytes = {203, 0, 113, 66}, .port = 6666, .family = PH_FAMILY_IPV4});
    Flying request;
    guint32 session;

    world_init(&world, 2);
    session = world_connect(&world, 0, 1);
    request = g_array_index(world.log, Flying, 0);
    world_receive(&world, 1, &elsewhere, request.bytes, request.length);
    g_assert_cmpuint(counters(&world, 1)->dropped_stale, ==, 1);
    /* Nor when the session is over. */
    ph_sessions_close(world.sides[0].sessions, session, world.now);
    world_run(&world, DELAY);
    expect_told(&world, 1, PH_SESSION_GONE);
    world_receive(&world, 1, &elsewhere, request.bytes, request.length);
    expect_nothing(&world, 1);
    g_assert_cmpuint(counters(&world, 1)->dropped_stale, ==, 2);
    g_assert_cmpuint(world.sides[1].sent[TYPE_RESPONSE], ==, 1);
}

/* As many as the window is long may be late; the next one is too late. */
static void test_late_packets_are_good_within_the_window(void)
{
    g_auto(World) world;
    guint32 session;
    guint n = PH_SESSION_REPLAY_WINDOW + 2, received = 0;
    Flying *packets;

    world_init(&world, 2);
    session = world_connect(&world, 0, 1);
    world.fate = drop;
    g_array_set_size(world.log, 0);
    for (guint i = 0; i < n; i++)
        g_assert_true(world_say(&world, 0, session, 1, "x"));
    packets = &g_array_index(world.log, Flying, 0);
    for (guint i = n; i-- > 0;) {
        PhRoute route = route_to(&packets[i].from);

        world_receive(&world, 1, &route, packets[i].bytes, packets[i].length);
        world_receive(&world, 1, &route, packets[i].bytes, packets[i].length);
    }
    while (next_told(&world, 1))
        received++;
    g_assert_cmpuint(received, ==, PH_SESSION_REPLAY_WINDOW);
    g_assert_cmpuint(counters(&world, 1)->dropped_replay, ==, n + 2);
}

/* ---- routes ---- */

static void test_a_packet_from_elsewhere_says_so(void)
{
    g_auto(World) world;
    const Told *told;
    guint32 session;

    world_init(&world, 2);
    session = world_connect(&world, 0, 1);
    world.sides[0].address = ph_address_ipv4(0xcb007105, 5005);
    g_assert_true(world_say(&world, 0, session, 1, "moved"));
    world_run(&world, DELAY);
    told = expect_data(&world, 1, "moved");
    g_assert_true(ph_address_equal(&told->route.path.remote, &world.sides[0].address));
    g_assert_cmpuint(told->input.session, ==, world.sides[1].accepted);
    /* The farewell goes there. */
    ph_sessions_close(world.sides[1].sessions, world.sides[1].accepted, world.now);
    world_run(&world, DELAY);
    expect_gone(&world, 0, session, "goodbye");
}

/* ---- two at once ---- */

static void test_handshakes_that_cross_become_one(void)
{
    g_auto(World) world;
    guint lower, higher;
    guint32 opened[2];

    world_init(&world, 2);
    lower = memcmp(key_of(&world, 0), key_of(&world, 1), 32) < 0 ? 0 : 1;
    higher = 1 - lower;
    for (guint i = 0; i < 2; i++)
        opened[i] = world_open(&world, i, 1 - i, "");
    world_run(&world, 1 * S);
    g_assert_cmpuint(expect_told(&world, lower, PH_SESSION_UP)->input.session, ==, opened[lower]);
    expect_nothing(&world, lower);
    expect_told(&world, higher, PH_SESSION_REQUEST);
    /* The one that was begun there is the same one. */
    g_assert_cmpuint(world.sides[higher].accepted, ==, opened[higher]);
    expect_nothing(&world, higher);
    g_assert_true(world_say(&world, lower, opened[lower], higher, "down"));
    g_assert_true(world_say(&world, higher, opened[higher], lower, "up"));
    world_run(&world, DELAY);
    expect_data(&world, higher, "down");
    expect_data(&world, lower, "up");
    for (guint i = 0; i < 2; i++)
        g_assert_cmpuint(ph_sessions_find(world.sides[i].sessions, key_of(&world, 1 - i)), ==,
                         opened[i]);
}

/* The lower key's requests get there only along the way that the higher key's came. */
static void test_a_crossing_request_shows_the_way(void)
{
    g_auto(World) world;
    PhRoute nowhere =
        route_to(&(PhAddress){.bytes = {203, 0, 113, 66}, .port = 6666, .family = PH_FAMILY_IPV4});
    guint lower;
    guint32 opened;

    world_init(&world, 2);
    lower = memcmp(key_of(&world, 0), key_of(&world, 1), 32) < 0 ? 0 : 1;
    opened = ph_sessions_open(world.sides[lower].sessions, key_of(&world, 1 - lower), &nowhere,
                              NULL, 0, world.now);
    world_open(&world, 1 - lower, lower, "");
    world_run(&world, 3 * DELAY);
    g_assert_cmpuint(expect_told(&world, lower, PH_SESSION_UP)->input.session, ==, opened);
}

static void restart(World *world, guint side)
{
    PhSessionsConfig config = side_config(side);

    config.seed[0] ^= 0xff;
    ph_sessions_free(world->sides[side].sessions);
    world->sides[side].sessions = ph_sessions_new(&config);
}

static void test_a_peer_that_was_restarted_gets_another_session(void)
{
    g_auto(World) world;
    guint32 old, opened;
    const Told *told;

    world_init(&world, 2);
    world_connect(&world, 0, 1);
    old = world.sides[1].accepted;
    restart(&world, 0);
    opened = world_open(&world, 0, 1, "again");
    world_run(&world, DELAY);
    /* It may be a replay, for all that is known so far. */
    told = expect_told(&world, 1, PH_SESSION_REQUEST);
    expect_bytes(told->bytes, told->input.length, "again", 5);
    g_assert_cmpuint(ph_sessions_find(world.sides[1].sessions, key_of(&world, 0)), ==, old);
    world_run(&world, 2 * DELAY);
    g_assert_true(ph_sessions_is_up(world.sides[0].sessions, opened));
    g_assert_cmpuint(ph_sessions_find(world.sides[1].sessions, key_of(&world, 0)), ==,
                     world.sides[1].accepted);
    g_assert_false(ph_sessions_is_up(world.sides[1].sessions, old));
    world_run(&world, 5 * S - 1);
    g_assert_nonnull(ph_sessions_remote_key(world.sides[1].sessions, old));
    world_run(&world, 1);
    expect_gone(&world, 1, old, "replaced");
    g_assert_true(world_say(&world, 1, world.sides[1].accepted, 0, "there"));
    world_run(&world, DELAY);
    expect_told(&world, 0, PH_SESSION_UP);
    expect_data(&world, 0, "there");
}

/* ---- ends ---- */

static void test_a_farewell_ends_both(void)
{
    g_auto(World) world;
    guint32 session;

    world_init(&world, 2);
    session = world_connect(&world, 0, 1);
    ph_sessions_close(world.sides[0].sessions, session, world.now);
    g_assert_false(ph_sessions_is_up(world.sides[0].sessions, session));
    world_run(&world, DELAY);
    expect_gone(&world, 1, world.sides[1].accepted, "goodbye");
    expect_nothing(&world, 0);
    g_assert_false(world_say(&world, 0, session, 1, "too late"));
    ph_sessions_close(world.sides[0].sessions, session, world.now);
}

static gboolean lose_data(World *world, Flying *packet)
{
    (void)world;
    return packet->bytes[0] != TYPE_DATA;
}

static void test_what_nobody_confirms_is_given_up(void)
{
    g_auto(World) world;

    world_init(&world, 2);
    world.fate = lose_data;
    world_open(&world, 0, 1, "");
    world_run(&world, DELAY + 10 * S - 1);
    expect_told(&world, 1, PH_SESSION_REQUEST);
    expect_nothing(&world, 1);
    world_run(&world, 1);
    expect_gone(&world, 1, world.sides[1].accepted, "timeout");
    /* And nobody says goodbye where nobody may be. */
    g_assert_cmpuint(world.sides[1].sent[TYPE_DATA], ==, 0);
}

/* ---- limits ---- */

/* One that is not confirmed makes room; one that is does not. */
static void test_there_are_no_more_than_allowed(void)
{
    g_auto(World) world;
    PhSessionsConfig config = side_config(0);
    guint32 unconfirmed;

    world_init(&world, 0);
    config.sessions_max = 2;
    world_add(&world, &config);
    for (guint i = 1; i < 5; i++) {
        config = side_config(i);
        world_add(&world, &config);
    }
    world_connect(&world, 1, 0);
    world.fate = lose_data;
    world_open(&world, 2, 0, "");
    world_run(&world, DELAY);
    expect_told(&world, 0, PH_SESSION_REQUEST);
    unconfirmed = world.sides[0].accepted;
    world.fate = NULL;
    world_open(&world, 3, 0, "");
    world_run(&world, 3 * DELAY);
    expect_told(&world, 0, PH_SESSION_REQUEST);
    expect_gone(&world, 0, unconfirmed, "full");
    g_assert_true(ph_sessions_is_up(world.sides[0].sessions, world.sides[0].accepted));

    world_open(&world, 4, 0, "");
    world_run(&world, DELAY);
    expect_told(&world, 0, PH_SESSION_REQUEST);
    g_assert_cmpuint(world.sides[0].accepted, ==, 0);
    g_assert_cmpuint(world_open(&world, 0, 4, ""), ==, 0);
    g_assert_cmpuint(counters(&world, 0)->refused_full, ==, 2);
}

static void test_what_is_too_long_is_refused(void)
{
    static const guint8 long_one[PH_DATAGRAM_MAX];
    g_auto(World) world;
    guint8 packet[PH_DATAGRAM_MAX];
    guint32 session;
    PhRoute route;

    world_init(&world, 2);
    route = to_side(&world, 1);
    g_assert_cmpuint(ph_sessions_open(world.sides[0].sessions, key_of(&world, 1), &route, long_one,
                                      PH_SESSION_PAYLOAD_MAX + 1, world.now),
                     ==, 0);
    session = world_connect(&world, 0, 1);
    g_assert_cmpuint(ph_sessions_seal(world.sides[0].sessions, session, long_one,
                                      PH_SESSION_PLAIN_MAX + 1, world.now, packet),
                     ==, 0);
    g_assert_cmpuint(ph_sessions_seal(world.sides[0].sessions, session, long_one,
                                      PH_SESSION_PLAIN_MAX, world.now, packet),
                     ==, PH_DATAGRAM_MAX);
    world_receive(&world, 1, &route, packet, PH_DATAGRAM_MAX);
    g_assert_cmpuint(expect_told(&world, 1, PH_SESSION_MESSAGE)->input.length, ==,
                     PH_SESSION_PLAIN_MAX);
}

static void test_other_packets_are_not_ours(void)
{
    static const guint8 ours[4] = {0xc1}, stun[20] = {0, 1}, punch[40] = {0xc8},
                        odd[4] = {0xc1, 0, 0, 1};

    g_assert_true(ph_session_is_packet(ours, sizeof(ours)));
    g_assert_false(ph_session_is_packet(ours, 3));
    g_assert_false(ph_session_is_packet(stun, sizeof(stun)));
    g_assert_false(ph_session_is_packet(punch, sizeof(punch)));
    g_assert_false(ph_session_is_packet(odd, sizeof(odd)));
}

#define ADD(test) g_test_add_func("/sessions/" #test, test_##test)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD(a_session_takes_one_round_trip);
    ADD(the_first_packet_confirms);
    ADD(a_request_is_repeated_and_given_up);
    ADD(lost_handshakes_are_made_up_for);
    ADD(duplicates_change_nothing);
    ADD(a_request_goes_along_several_routes);
    ADD(an_owner_may_refuse);
    ADD(strangers_without_the_psk_are_dropped_unread);
    ADD(the_same_psk_is_fine);
    ADD(another_key_does_not_answer);
    ADD(what_is_no_key_is_refused);
    ADD(tampered_packets_are_nothing);
    ADD(cut_packets_are_nothing);
    ADD(a_replayed_request_is_refused);
    ADD(late_packets_are_good_within_the_window);
    ADD(a_packet_from_elsewhere_says_so);
    ADD(handshakes_that_cross_become_one);
    ADD(a_crossing_request_shows_the_way);
    ADD(a_peer_that_was_restarted_gets_another_session);
    ADD(a_farewell_ends_both);
    ADD(what_nobody_confirms_is_given_up);
    ADD(there_are_no_more_than_allowed);
    ADD(what_is_too_long_is_refused);
    ADD(other_packets_are_not_ours);
    return g_test_run();
}
