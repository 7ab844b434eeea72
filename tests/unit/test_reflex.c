/* SPDX-License-Identifier: MIT */
/* The reflex client: asks until it is answered, believes only who was asked, and gives up. */
#include <glib.h>
#include <pinhole/reflector.h>
#include <pinhole/reflex.h>
#include <pinhole/stun.h>
#include <string.h>

#define MS G_GUINT64_CONSTANT(1000000)

typedef struct World {
    PhReflex *reflex;
    PhReflector *reflector;
    guint64 now;
    PhPath path;    /* to the server */
    PhAddress seen; /* what the server sees */
    PhPath answer_path;
    guint8 answer[PH_REFLECTOR_ANSWER_MAX];
    gsize answer_length;
    GArray *sent_ms; /* guint64: when copies were sent */
} World;

static PhAddress address(const char *text)
{
    PhAddress result;

    g_assert_true(ph_address_parse(text, &result));
    return result;
}

static void world_init(World *world)
{
    PhReflexConfig config = {.seed = "a seed"};
    PhReflectorConfig hub;

    memset(world, 0, sizeof(*world));
    ph_reflector_config_init(&hub);
    hub.hosts[0] = address("203.0.113.10");
    hub.ports[0] = 3478;
    world->reflector = ph_reflector_new(&hub);
    world->reflex = ph_reflex_new(&config);
    world->path = (PhPath){PH_TRANSPORT_UDP, 9, address("203.0.113.10:3478")};
    world->seen = address("198.51.100.7:61000");
    world->sent_ms = g_array_new(FALSE, FALSE, sizeof(guint64));
    world->now = 1000 * MS;
}

static void world_clear(World *world)
{
    ph_reflex_free(world->reflex);
    ph_reflector_free(world->reflector);
    g_array_unref(world->sent_ms);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(World, world_clear)

/* Everything that is to be sent; the answer to the last one is kept. */
static void transmit(World *world)
{
    PhTransmit transmit;

    while (ph_reflex_poll_transmit(world->reflex, &transmit)) {
        PhPath at_hub = {PH_TRANSPORT_UDP, 0, world->seen};
        guint64 ms = world->now / MS;

        g_assert_true(ph_address_equal(&transmit.path.remote, &world->path.remote));
        g_assert_cmpint(transmit.path.socket, ==, 9);
        g_array_append_val(world->sent_ms, ms);
        world->answer_length =
            ph_reflector_handle_datagram(world->reflector, &at_hub, transmit.bytes, transmit.length,
                                         world->now, &at_hub, world->answer);
        g_assert_cmpuint(world->answer_length, <=, transmit.length); /* nothing is amplified */
    }
    world->answer_path = world->path;
}

static gboolean deliver(World *world)
{
    return ph_reflex_handle_datagram(world->reflex, &world->answer_path, world->answer,
                                     world->answer_length, world->now);
}

static void wait_for_timeout(World *world)
{
    g_assert_cmpuint(ph_reflex_next_timeout(world->reflex), >, world->now);
    world->now = ph_reflex_next_timeout(world->reflex);
    ph_reflex_handle_timeout(world->reflex, world->now);
    transmit(world);
}

static void ask(World *world)
{
    g_assert_true(ph_reflex_ask(world->reflex, &world->path, world->now));
    transmit(world);
}

static PhReflexEvent the_event(World *world)
{
    PhReflexEvent event, none;

    g_assert_true(ph_reflex_poll_event(world->reflex, &event));
    g_assert_false(ph_reflex_poll_event(world->reflex, &none));
    g_assert_cmpuint(ph_reflex_next_timeout(world->reflex), ==, UINT64_MAX);
    return event;
}

static void test_N1_it_learns_the_address_that_is_seen(void)
{
    PhReflexEvent event;
    g_auto(World) world;

    world_init(&world);
    ask(&world);
    world.now += 30 * MS;
    g_assert_true(deliver(&world));
    event = the_event(&world);
    g_assert_cmpint(event.kind, ==, PH_REFLEX_MAPPED);
    g_assert_true(ph_address_equal(&event.mapped, &world.seen));
    g_assert_cmpuint(event.rtt_ns, ==, 30 * MS);
    g_assert_cmpuint(world.sent_ms->len, ==, 1); /* one packet asks */
    g_assert_false(deliver(&world));             /* a second answer is nobody's */
    g_assert_cmpuint(ph_reflex_counters(world.reflex)->foreign, ==, 1);
}

/* RFC 8489 §6.2.1, the example. */
static void it_asks_again_as_the_rfc_says_and_gives_up(void)
{
    static const guint64 expected[] = {0, 500, 1500, 3500, 7500, 15500, 31500};
    PhReflexEvent event;
    g_auto(World) world;

    world_init(&world);
    ask(&world);
    for (unsigned i = 0; i < 7; i++)
        wait_for_timeout(&world);
    g_assert_cmpuint(world.sent_ms->len, ==, G_N_ELEMENTS(expected));
    for (gsize i = 0; i < G_N_ELEMENTS(expected); i++)
        g_assert_cmpuint(g_array_index(world.sent_ms, guint64, i), ==, 1000 + expected[i]);
    g_assert_cmpuint(world.now, ==, (1000 + 39500) * MS);
    event = the_event(&world);
    g_assert_cmpint(event.kind, ==, PH_REFLEX_SILENT);
    g_assert_cmpuint(event.mapped.family, ==, PH_FAMILY_NONE);
}

static void its_patience_follows_the_round_trip(void)
{
    g_auto(World) world;

    world_init(&world);
    for (unsigned i = 0; i < 30; i++) {
        ask(&world);
        world.now += 20 * MS;
        g_assert_true(deliver(&world));
        the_event(&world);
    }
    g_array_set_size(world.sent_ms, 0);
    ask(&world);
    g_assert_cmpuint(ph_reflex_next_timeout(world.reflex), ==, world.now + 50 * MS);
    world.now += 400 * MS; /* the way has become long: what is late is an answer all the same */
    g_assert_true(deliver(&world));
    the_event(&world);
    for (unsigned i = 0; i < 30; i++) {
        ask(&world);
        world.now += 800 * MS;
        g_assert_true(deliver(&world));
        the_event(&world);
    }
    ask(&world);
    g_assert_cmpuint(ph_reflex_next_timeout(world.reflex), >, world.now + 800 * MS);
}

static void an_answer_to_a_copy_counts(void)
{
    g_auto(World) world;

    world_init(&world);
    ask(&world);
    wait_for_timeout(&world);
    wait_for_timeout(&world);
    g_assert_true(deliver(&world));
    g_assert_cmpint(the_event(&world).kind, ==, PH_REFLEX_MAPPED);
}

static void strangers_are_not_believed(void)
{
    static const char *const strangers[] = {"203.0.113.10:3479", "203.0.113.66:3478",
                                            "[2001:db8::1]:3478"};
    g_auto(World) world;

    world_init(&world);
    ask(&world);
    for (gsize i = 0; i < G_N_ELEMENTS(strangers); i++) {
        world.answer_path.remote = address(strangers[i]);
        g_assert_false(deliver(&world));
    }
    world.answer_path = world.path;
    world.answer_path.socket++;
    g_assert_false(deliver(&world));
    world.answer_path = world.path;
    for (gsize i = 4; i < 20; i++) { /* cookie and id */
        world.answer[i] ^= 1;
        g_assert_false(deliver(&world));
        world.answer[i] ^= 1;
    }
    for (gsize length = 0; length < world.answer_length; length++)
        g_assert_false(
            ph_reflex_handle_datagram(world.reflex, &world.path, world.answer, length, world.now));
    world.answer[0] = 0; /* a request, our own perhaps */
    g_assert_false(deliver(&world));
    world.answer[0] = 1;
    g_assert_true(deliver(&world));
    g_assert_cmpint(the_event(&world).kind, ==, PH_REFLEX_MAPPED);
}

static PhReflexEvent answer_with(World *world, PhStunClass message_class, guint16 type,
                                 const PhAddress *mapped, unsigned error)
{
    PhStunTransaction transaction;
    PhStunWriter writer;

    ask(world);
    memcpy(&transaction, world->answer + 4, sizeof(transaction));
    ph_stun_write_begin(&writer, world->answer, sizeof(world->answer), message_class,
                        PH_STUN_BINDING, &transaction);
    if (mapped)
        ph_stun_write_address(&writer, type, mapped);
    if (error)
        ph_stun_write_error(&writer, error, "no");
    world->answer_length = ph_stun_write_end(&writer);
    g_assert_true(deliver(world));
    return the_event(world);
}

static void nonsense_is_called_so(void)
{
    static const char *const wrong[] = {"0.0.0.0:5", "192.0.2.1", "[2001:db8::1]:5"};
    g_auto(World) world;

    world_init(&world);
    for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++) {
        PhAddress mapped = address(wrong[i]);

        g_assert_cmpint(
            answer_with(&world, PH_STUN_SUCCESS, PH_STUN_XOR_MAPPED_ADDRESS, &mapped, 0).kind, ==,
            PH_REFLEX_NONSENSE);
    }
    g_assert_cmpint(answer_with(&world, PH_STUN_SUCCESS, 0, NULL, 0).kind, ==, PH_REFLEX_NONSENSE);
    g_assert_cmpint(answer_with(&world, PH_STUN_ERROR, 0, NULL, 0).kind, ==, PH_REFLEX_NONSENSE);
    g_assert_cmpuint(ph_reflex_counters(world.reflex)->nonsense, ==, 5);
}

static void errors_are_told_by_their_code(void)
{
    PhReflexEvent event;
    g_auto(World) world;

    world_init(&world);
    event = answer_with(&world, PH_STUN_ERROR, 0, NULL, 401);
    g_assert_cmpint(event.kind, ==, PH_REFLEX_REFUSED);
    g_assert_cmpuint(event.error, ==, 401);
}

static void servers_of_rfc3489_are_understood(void)
{
    PhAddress mapped = address("198.51.100.9:77");
    PhReflexEvent event;
    g_auto(World) world;

    world_init(&world);
    event = answer_with(&world, PH_STUN_SUCCESS, PH_STUN_MAPPED_ADDRESS, &mapped, 0);
    g_assert_cmpint(event.kind, ==, PH_REFLEX_MAPPED);
    g_assert_true(ph_address_equal(&event.mapped, &mapped));
}

static void there_is_a_limit_to_what_is_under_way(void)
{
    PhReflexEvent event;
    g_auto(World) world;
    unsigned n = 0;

    world_init(&world);
    for (unsigned i = 0; i < PH_REFLEX_EXCHANGES; i++)
        ask(&world);
    g_assert_false(ph_reflex_ask(world.reflex, &world.path, world.now));
    while (ph_reflex_next_timeout(world.reflex) != UINT64_MAX)
        wait_for_timeout(&world);
    while (ph_reflex_poll_event(world.reflex, &event))
        n++;
    g_assert_cmpuint(n, ==, PH_REFLEX_EXCHANGES);
    ask(&world);
}

static void no_two_transactions_are_alike_and_a_seed_repeats_them(void)
{
    g_autoptr(GHashTable) ids =
        g_hash_table_new_full(g_bytes_hash, g_bytes_equal, (GDestroyNotify)g_bytes_unref, NULL);
    PhTransmit transmit;

    for (unsigned run = 0; run < 2; run++) {
        g_auto(World) world;

        world_init(&world);
        for (unsigned i = 0; i < PH_REFLEX_EXCHANGES; i++)
            g_assert_true(ph_reflex_ask(world.reflex, &world.path, world.now));
        while (ph_reflex_poll_transmit(world.reflex, &transmit))
            g_hash_table_add(ids, g_bytes_new(transmit.bytes + 8, 12));
    }
    g_assert_cmpuint(g_hash_table_size(ids), ==, PH_REFLEX_EXCHANGES);
}

static void never_is_never(void)
{
    PhReflexConfig config = {.first_rto_ns = UINT64_MAX};
    g_auto(World) world;

    world_init(&world);
    ph_reflex_free(world.reflex);
    world.reflex = ph_reflex_new(&config);
    g_assert_true(ph_reflex_ask(world.reflex, &world.path, world.now));
    transmit(&world);
    g_assert_cmpuint(ph_reflex_next_timeout(world.reflex), ==, UINT64_MAX);
    g_assert_true(deliver(&world));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(function) g_test_add_func("/reflex/" #function, function)
    ADD(test_N1_it_learns_the_address_that_is_seen);
    ADD(it_asks_again_as_the_rfc_says_and_gives_up);
    ADD(its_patience_follows_the_round_trip);
    ADD(an_answer_to_a_copy_counts);
    ADD(strangers_are_not_believed);
    ADD(nonsense_is_called_so);
    ADD(errors_are_told_by_their_code);
    ADD(servers_of_rfc3489_are_understood);
    ADD(there_is_a_limit_to_what_is_under_way);
    ADD(never_is_never);
    ADD(no_two_transactions_are_alike_and_a_seed_repeats_them);
    return g_test_run();
}
