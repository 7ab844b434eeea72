/* SPDX-License-Identifier: MIT */
/*
 * The vectors of docs/protocol.md: what is written to the wire is what tests/vectors/session.json
 * says, byte for byte. `test_sessions_vectors --print` writes that file anew.
 */
#include <sodium.h>
#include <stdio.h>

#include "../../lib/core/random.h"
#include "sessions_world.h"

static void add_hex(GString *out, const char *name, const guint8 *bytes, gsize length)
{
    g_string_append_printf(out, "\"%s\": \"", name);
    for (gsize i = 0; i < length; i++)
        g_string_append_printf(out, "%02x", bytes[i]);
    g_string_append_c(out, '"');
}

/* The secret half of the ephemeral key in a packet: one of the first that a seed gives. */
static void add_ephemeral(GString *out, const PhSessionsConfig *config, const guint8 *public_key)
{
    guint8 secret[32], made[32];
    PhRandom random;

    ph_random_init(&random, config->seed);
    for (guint i = 0; i < 32; i++) {
        ph_random_bytes(&random, secret, sizeof(secret));
        g_assert_cmpint(crypto_scalarmult_base(made, secret), ==, 0);
        if (memcmp(made, public_key, sizeof(made)) == 0) {
            g_string_append(out, ", ");
            add_hex(out, "ephemeral", secret, sizeof(secret));
            return;
        }
    }
    g_assert_not_reached();
}

static void add_packet(GString *out, const World *world, const PhSessionsConfig configs[2],
                       const Flying *packet)
{
    static const char *const kinds[] = {"request", "response", "cookie", "data", "carrying"};
    guint from = ph_address_equal(&packet->from, &world->sides[0].address) ? 0 : 1;
    guint8 type = packet->bytes[0];

    g_string_append_printf(out, "     {\"from\": \"%s\", \"kind\": \"%s\"",
                           from == 0 ? "initiator" : "responder", kinds[type - TYPE_REQUEST]);
    if (type == TYPE_REQUEST || type == TYPE_RESPONSE)
        add_ephemeral(out, &configs[from], packet->bytes + (type == TYPE_REQUEST ? 8 : 12));
    g_string_append(out, ",\n      ");
    add_hex(out, "packet", packet->bytes, packet->length);
    g_string_append_c(out, '}');
}

static void add_side(GString *out, const char *name, const PhSessionsConfig *config,
                     const guint8 *public_key)
{
    g_string_append_printf(out, "   \"%s\": {", name);
    add_hex(out, "static", config->secret, 32);
    g_string_append(out, ", ");
    add_hex(out, "public", public_key, 32);
    g_string_append(out, "},\n");
}

/* A data packet of somebody else's. */
static gboolean carry(World *world, guint32 session)
{
    guint8 bytes[48] = {TYPE_DATA};
    PhMessage message = {.kind = PH_MESSAGE_RELAY, .relay = {7, bytes, sizeof(bytes)}};

    for (guint i = 4; i < sizeof(bytes); i++)
        bytes[i] = (guint8)i;
    return world_tell(world, 0, session, 1, &message);
}

/* A handshake, some data in both directions; flooded: the second request gets a cookie. */
static void add_vector(GString *out, const char *name, gboolean psk, gboolean flooded)
{
    g_auto(World) world;
    PhSessionsConfig configs[2];
    guint32 session;

    world_init(&world, 0);
    for (guint i = 0; i < 2; i++) {
        configs[i] = side_config(i);
        configs[i].handshakes_per_s = flooded ? 1 : 100;
        if (psk)
            memset(configs[i].psk, 0x77, sizeof(configs[i].psk));
        world_add(&world, &configs[i]);
    }
    world.sides[1].answer = "the response's payload";
    world.sides[1].refuses = flooded;
    session = world_open(&world, 0, 1, "the request's payload");
    world_run(&world, DELAY);
    world.sides[1].refuses = FALSE;
    world_run(&world, flooded ? 350 * MS : 2 * DELAY);
    g_assert_true(ph_sessions_is_up(world.sides[0].sessions, session));
    g_assert_true(world_say(&world, 0, session, 1, "hello"));
    g_assert_true(world_say(&world, 1, world.sides[1].accepted, 0, "hello yourself"));
    g_assert_true(world_say(&world, 0, session, 1, ""));
    g_assert_true(carry(&world, session));

    g_string_append_printf(out, "%s  {\"name\": \"%s\",\n", out->len > 20 ? ",\n" : "", name);
    add_side(out, "initiator", &configs[0], key_of(&world, 0));
    add_side(out, "responder", &configs[1], key_of(&world, 1));
    g_string_append(out, "   ");
    add_hex(out, "psk", configs[0].psk, 32);
    g_string_append_printf(
        out, ",\n   \"seconds\": %" G_GUINT64_FORMAT ", \"nanoseconds\": 0,\n   ", WALL / S + 5);
    add_hex(out, "request-payload", (const guint8 *)"the request's payload", 21);
    g_string_append(out, ",\n   ");
    add_hex(out, "response-payload", (const guint8 *)"the response's payload", 22);
    g_string_append(out, ",\n   \"packets\": [\n");
    for (guint i = 0; i < world.log->len; i++) {
        add_packet(out, &world, configs, &g_array_index(world.log, Flying, i));
        g_string_append(out, i + 1 < world.log->len ? ",\n" : "\n   ]}");
    }
}

static char *make_vectors(void)
{
    GString *out = g_string_new("{\"vectors\": [\n");

    add_vector(out, "without a psk", FALSE, FALSE);
    add_vector(out, "with a psk", TRUE, FALSE);
    add_vector(out, "with a cookie", TRUE, TRUE);
    g_string_append(out, "\n]}\n");
    return g_string_free(out, FALSE);
}

static void test_the_wire_is_as_written(void)
{
    g_autofree char *made = make_vectors(), *written = NULL;
    g_autoptr(GError) error = NULL;

    g_file_get_contents(PL_SOURCE_DIR "/tests/vectors/session.json", &written, NULL, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(made, ==, written);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--print") == 0) {
        g_autofree char *made = make_vectors();

        return fputs(made, stdout) < 0;
    }
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/sessions/vectors/the_wire_is_as_written", test_the_wire_is_as_written);
    return g_test_run();
}
