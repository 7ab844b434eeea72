/* SPDX-License-Identifier: MIT */
/*
 * Two PhSessions, with somebody between them who may do as he likes. The input is a list of acts;
 * whatever they are, nobody is told anything that the other side did not say, nothing is told
 * twice, and time does not stand still.
 */
#include <string.h>

#include "../../lib/core/message.h"
#include "../../lib/core/session.h"
#include "input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define KEPT 64 /* packets that were sent lately */
/* Of messages that are said: the kind and a number; and those that carry a packet, of 36 bytes. */
#define PLAIN_BYTES    5
#define CARRYING_BYTES 41
#define MS             G_GUINT64_CONSTANT(1000000)

typedef struct Packet {
    guint from;
    gsize length;
    guint8 bytes[PH_DATAGRAM_MAX];
} Packet;

typedef struct World {
    PhSessions *sides[2];
    guint32 sessions[2]; /* the last one of each */
    Packet kept[KEPT];
    guint n_sent;
    guint64 now;
    guint32 said[2]; /* numbers */
    GHashTable *heard[2];
    Input input;
} World;

/* So many bytes of the input that are left. */
static gsize take_length(World *world, guint most)
{
    gsize length = take(&world->input) % (most + 1);

    return MIN(length, world->input.left);
}

static PhRoute route_of(guint8 n)
{
    return (PhRoute){
        .path = {.transport = PH_TRANSPORT_UDP, .remote = ph_address_ipv4(0xc0000200 + n, 4000)}};
}

static void keep(World *world, guint from, const guint8 *bytes, gsize length)
{
    Packet *packet = &world->kept[world->n_sent++ % KEPT];

    g_assert(length <= sizeof(packet->bytes) && ph_session_is_packet(bytes, length));
    packet->from = from;
    packet->length = length;
    memcpy(packet->bytes, bytes, length);
}

static void check(World *world, guint side, const PhSessionInput *input)
{
    guint32 number;

    g_assert(input->kind == PH_SESSION_NOTHING ||
             memcmp(input->remote_key, ph_sessions_public_key(world->sides[1 - side]), 32) == 0);
    if (input->kind == PH_SESSION_GONE)
        g_assert(input->reason && !ph_sessions_is_up(world->sides[side], input->session));
    if (input->kind != PH_SESSION_MESSAGE ||
        (input->length != PLAIN_BYTES && input->length != CARRYING_BYTES))
        return;
    memcpy(&number, input->bytes + 1, sizeof(number));
    if (input->length == CARRYING_BYTES)
        g_assert(memcmp(input->bytes + CARRYING_BYTES - 4, &number, sizeof(number)) == 0);
    g_assert(number < world->said[1 - side]);
    g_assert(g_hash_table_add(world->heard[side], GUINT_TO_POINTER(number)));
}

static void poll_side(World *world, guint side)
{
    PhSessionInput input;
    const guint8 *bytes;
    PhRoute route;
    gsize length;

    while (ph_sessions_poll_transmit(world->sides[side], &route, &bytes, &length))
        keep(world, side, bytes, length);
    for (ph_sessions_poll(world->sides[side], &input); input.kind != PH_SESSION_NOTHING;
         ph_sessions_poll(world->sides[side], &input))
        check(world, side, &input);
}

static void receive(World *world, guint side, const guint8 *bytes, gsize length)
{
    PhRoute route = route_of(take(&world->input) & 3);
    PhSessionInput input;

    ph_sessions_receive(world->sides[side], &route, bytes, length, world->now, &input);
    check(world, side, &input);
    if (input.kind == PH_SESSION_REQUEST && take(&world->input) != 1) {
        guint32 session = ph_sessions_accept(world->sides[side], NULL, 0, world->now);

        world->sessions[side] = session ? session : world->sessions[side];
    }
    poll_side(world, side);
}

/* One that was sent, to its other side or back, changed or not. */
static void deliver(World *world, gboolean change)
{
    Packet packet;

    if (world->n_sent == 0)
        return;
    packet =
        world->kept[(world->n_sent - 1 - take(&world->input) % MIN(world->n_sent, KEPT)) % KEPT];
    if (change) {
        guint n = 1 + take(&world->input) % 4;

        for (guint i = 0; i < n; i++) {
            gsize at = (gsize)take(&world->input) << 8;

            at = (at | take(&world->input)) % packet.length;
            packet.bytes[at] ^= take(&world->input);
        }
        if (take(&world->input) & 1)
            packet.length -= take(&world->input) % packet.length;
        if (take(&world->input) & 1)
            packet.from = 1 - packet.from;
    }
    receive(world, 1 - packet.from, packet.bytes, packet.length);
}

static void advance(World *world, guint64 by)
{
    world->now += by;
    for (guint side = 0; side < 2; side++) {
        guint rounds = 0;

        while (ph_sessions_next_timeout(world->sides[side]) <= world->now) {
            ph_sessions_handle_timeout(world->sides[side], world->now);
            poll_side(world, side);
            g_assert(++rounds < 1000);
        }
    }
}

/* A number; to be relayed, it is the channel as well, and stands in what is carried in the open. */
static void say(World *world, guint side, gboolean carrying)
{
    guint8 bytes[CARRYING_BYTES] = {PH_MESSAGE_DATA}, packet[PH_DATAGRAM_MAX];
    gsize length = carrying ? CARRYING_BYTES : PLAIN_BYTES;

    if (carrying) {
        bytes[0] = PH_MESSAGE_RELAY;
        bytes[5] = 0xc4;
        memcpy(bytes + CARRYING_BYTES - 4, &world->said[side], 4);
    }
    memcpy(bytes + 1, &world->said[side], 4);
    length = ph_sessions_seal(world->sides[side], world->sessions[side], bytes, length, world->now,
                              packet);
    if (length == 0)
        return;
    world->said[side]++;
    keep(world, side, packet, length);
}

static void act(World *world)
{
    guint8 what = take(&world->input), side = what >> 7;
    const guint8 *bytes;
    PhRoute route;
    guint32 session;
    gsize length;

    switch (what & 7) {
    case 0:
        route = route_of(take(&world->input) & 3);
        length = take_length(world, 255);
        session =
            ph_sessions_open(world->sides[side], ph_sessions_public_key(world->sides[1 - side]),
                             &route, world->input.data, length, world->now);
        world->sessions[side] = session ? session : world->sessions[side];
        break;
    case 1:
    case 2:
        deliver(world, FALSE);
        break;
    case 3:
        deliver(world, TRUE);
        break;
    case 4:
        advance(world, take(&world->input) * (what & 8 ? 1000 * MS : 10 * MS));
        break;
    case 5:
        say(world, side, (what & 8) != 0);
        break;
    case 6:
        length = take_length(world, 255);
        bytes = world->input.data;
        world->input.data += length;
        world->input.left -= length;
        receive(world, side, bytes, length);
        break;
    default:
        if (what & 8)
            ph_sessions_close(world->sides[side], world->sessions[side], world->now);
        route = route_of(what >> 4 & 3);
        ph_sessions_also(world->sides[side], world->sessions[side], &route, world->now);
        break;
    }
    poll_side(world, side);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    World *world = g_new0(World, 1);

    world->input = (Input){data, size};
    for (guint i = 0; i < 2; i++) {
        PhSessionsConfig config = {.sessions_max = 3, .handshakes_per_s = 4};

        memset(config.seed, (int)i + 1, sizeof(config.seed));
        memset(config.secret, (int)i + 3, sizeof(config.secret));
        world->sides[i] = ph_sessions_new(&config);
        world->heard[i] = g_hash_table_new(NULL, NULL);
    }
    while (world->input.left > 0)
        act(world);
    for (guint i = 0; i < 2; i++) {
        ph_sessions_free(world->sides[i]);
        g_hash_table_unref(world->heard[i]);
    }
    g_free(world);
    return 0;
}
