/* SPDX-License-Identifier: MIT */
/* How long a mapping lives: bracketed by the list of durations, and never guessed. */
#include <pinhole/lifetime.h>
#include <pinhole/stun.h>

#include "nat_world.h"

typedef struct Run {
    World world;
    PhLifetimeConfig config;
    PhLifetimeResult result;
    guint64 took_ns;
} Run;

static void run_init(Run *run, guint64 timeout_ns)
{
    memset(run, 0, sizeof(*run));
    world_init(&run->world);
    run->world.nat = (NatBehaviour){.mapping = PH_MAPPING_ENDPOINT_INDEPENDENT,
                                    .filtering = PH_FILTERING_ADDRESS_AND_PORT_DEPENDENT,
                                    .allocation = PH_PORT_ALLOCATION_RANDOM,
                                    .timeout_ns = timeout_ns};
    run->config.server = world_address("203.0.113.10:3478");
    run->config.first_socket = 500;
}

static void run_clear(Run *run)
{
    world_clear(&run->world);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Run, run_clear)

static void drive(Run *run, PhLifetime *lifetime)
{
    PhSocketRequest request;
    PhTransmit transmit;

    while (ph_lifetime_poll_socket(lifetime, &request)) {
        PhAddress local;
        gboolean done = world_socket(&run->world, &request, &local);

        if (request.kind == PH_SOCKET_CLOSE)
            continue;
        if (done)
            ph_lifetime_socket_opened(lifetime, request.socket, run->world.now);
        else
            ph_lifetime_socket_failed(lifetime, request.socket, run->world.now);
    }
    while (ph_lifetime_poll_transmit(lifetime, &transmit))
        world_transmit(&run->world, &transmit);
}

static void measure(Run *run)
{
    World *world = &run->world;
    PhLifetime *lifetime = ph_lifetime_new(&run->config, world->now);
    guint64 start = world->now;
    guint steps = 0;

    world_start(world);
    for (drive(run, lifetime); !ph_lifetime_poll_event(lifetime, &run->result);
         drive(run, lifetime)) {
        guint32 socket;
        WorldPacket *packet = world_next(world, ph_lifetime_next_timeout(lifetime), &socket);

        g_assert_cmpuint(++steps, <, 10000);
        if (packet) {
            PhPath path = {PH_TRANSPORT_UDP, socket, packet->from};

            ph_lifetime_handle_datagram(lifetime, &path, packet->bytes, packet->length, world->now);
            g_free(packet);
        } else {
            ph_lifetime_handle_timeout(lifetime, world->now);
        }
    }
    g_assert_cmpuint(world->n_open, ==, 0);
    run->took_ns = world->now - start;
    ph_lifetime_free(lifetime);
}

static void the_lifetime_lies_between_two_durations(void)
{
    static const struct {
        guint64 timeout_s, alive_s, gone_s;
    } cases[] = {{2, 0, 5},       {7, 5, 10},      {10, 5, 10},  {30, 20, 30},
                 {31, 30, 45},    {60, 45, 60},    {65, 60, 90}, {120, 90, 120},
                 {121, 120, 180}, {299, 240, 300}, {600, 300, 0}};

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        for (PhMapping m = PH_MAPPING_ENDPOINT_INDEPENDENT;
             m <= PH_MAPPING_ADDRESS_AND_PORT_DEPENDENT; m++) {
            g_auto(Run) run;

            run_init(&run, cases[i].timeout_s * S);
            run.world.nat.mapping = m;
            run.world.nat.no_refresh = TRUE;
            measure(&run);
            g_assert_null(run.result.why);
            g_assert_cmpuint(run.result.alive_ns, ==, cases[i].alive_s * S);
            g_assert_cmpuint(run.result.gone_ns, ==, cases[i].gone_s * S);
            g_assert_cmpuint(run.took_ns, <=, (MAX(cases[i].gone_s, cases[i].alive_s) + 5) * S);
        }
    }
}

static void it_takes_no_longer_than_it_may(void)
{
    g_auto(Run) run;

    run_init(&run, 600 * S);
    run.config.most_ns = 60 * S;
    measure(&run);
    g_assert_cmpuint(run.result.alive_ns, ==, 60 * S);
    g_assert_cmpuint(run.result.gone_ns, ==, 0);
    g_assert_cmpuint(run.took_ns, <=, 61 * S);
}

/* Of each 100 packets so many, each way. What is not known may be said to be unknown, or be said
 * less exactly; now and then. */
static void loss_does_not_shorten_it(void)
{
    static const struct {
        guint64 timeout_s, alive_s, gone_s;
        guint percent, runs, inexact;
    } cases[] = {{65, 60, 90, 2, 200, 0}, {65, 60, 90, 20, 5000, 25}, {600, 300, 0, 20, 5000, 25}};

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        guint64 alive_ns = cases[i].alive_s * S, gone_ns = cases[i].gone_s * S;
        guint inexact = 0;

        for (guint64 seed = 1; seed <= cases[i].runs; seed++) {
            g_auto(Run) run;

            run_init(&run, cases[i].timeout_s * S);
            run.world.random = seed;
            run.world.loss_percent = cases[i].percent;
            measure(&run);
            g_assert_cmpuint(run.result.alive_ns, <=, alive_ns);
            g_assert_true(run.result.gone_ns == 0 || (gone_ns && run.result.gone_ns >= gone_ns));
            inexact += run.result.alive_ns != alive_ns || run.result.gone_ns != gone_ns;
        }
        g_test_message("%u of %u are inexact", inexact, cases[i].runs);
        g_assert_cmpuint(inexact, <=, cases[i].inexact);
    }
}

/* Answers to requests with RESPONSE-PORT are swallowed, or refused. */
static gboolean asks_for_port(const guint8 *request, gsize length)
{
    PhStunAttribute attribute;
    PhStunMessage message;

    return ph_stun_read(request, length, &message) == PH_STUN_OK &&
           ph_stun_find(&message, PH_STUN_RESPONSE_PORT, &attribute);
}

static gsize die_when_asked(World *world, const guint8 *request, gsize request_length,
                            PhAddress *from, guint8 *bytes, gsize length)
{
    (void)from, (void)bytes;
    world->hub_dead = world->hub_dead || asks_for_port(request, request_length);
    return world->hub_dead ? 0 : length;
}

static void a_hub_that_dies_says_nothing_about_the_nat(void)
{
    g_auto(Run) run;

    run_init(&run, 600 * S);
    run.world.tamper = die_when_asked;
    measure(&run);
    g_assert_cmpuint(run.result.alive_ns, ==, 0);
    g_assert_cmpuint(run.result.gone_ns, ==, 0);
    g_assert_cmpstr(run.result.why, ==, "the reflector does not answer any more");
}

static void a_hub_that_was_never_there_is_named(void)
{
    g_auto(Run) run;

    run_init(&run, 600 * S);
    run.world.hub_dead = TRUE;
    measure(&run);
    g_assert_cmpstr(run.result.why, ==, "the reflector does not answer");
    g_assert_cmpuint(run.took_ns, <=, 4 * S);
}

static void several_external_addresses_are_in_the_way(void)
{
    g_auto(Run) run;

    run_init(&run, 600 * S);
    run.world.nat.pool = 2;
    run.world.nat.arbitrary = TRUE;
    run.config.most_ns = 10 * S;
    measure(&run);
    g_assert_true(run.result.alive_ns > 0 || run.result.why);
    g_assert_cmpuint(run.result.gone_ns, ==, 0);
}

static void sockets_that_cannot_be_opened_are_named(void)
{
    /* None at all; all but the last one, which is the helper's. */
    static const guint most[] = {0, PH_LIFETIME_SOCKETS - 1};

    for (gsize i = 0; i < G_N_ELEMENTS(most); i++) {
        g_auto(Run) run;

        run_init(&run, 600 * S);
        run.world.sockets_max = most[i];
        measure(&run);
        g_assert_cmpstr(run.result.why, ==, "no socket could be opened");
        g_assert_cmpuint(run.took_ns, ==, 0);
    }
}

/* The helper's requests are the first ones from its socket, which the world opens last. */
static gsize ignore_the_helper(World *world, const guint8 *request, gsize request_length,
                               PhAddress *from, guint8 *bytes, gsize length)
{
    PhAddress helper = world->sockets[PH_LIFETIME_SOCKETS - 1].local, seen;
    PhStunAttribute attribute;
    PhStunMessage message;

    (void)request, (void)request_length, (void)from;
    g_assert_cmpint(ph_stun_read(bytes, length, &message), ==, PH_STUN_OK);
    g_assert_true(ph_stun_find(&message, PH_STUN_XOR_MAPPED_ADDRESS, &attribute));
    g_assert_true(ph_stun_get_address(&message, &attribute, &seen));
    return seen.port == helper.port ? 0 : length;
}

static void without_the_helper_it_ends_at_once(void)
{
    g_auto(Run) run;

    run_init(&run, 600 * S);
    run.world.nat.allocation = PH_PORT_ALLOCATION_PRESERVE;
    run.world.tamper = ignore_the_helper;
    measure(&run);
    g_assert_cmpstr(run.result.why, ==, "the reflector does not answer");
    g_assert_cmpuint(run.took_ns, <=, 4 * S);
}

/* The NAT gets another external address when the first slot is probed: nothing has timed out. */
static gsize move_nat(World *world, const guint8 *request, gsize request_length, PhAddress *from,
                      guint8 *bytes, gsize length)
{
    (void)from, (void)bytes;
    if (asks_for_port(request, request_length) && world->nat.moved == 0) {
        g_array_set_size(world->mappings, 0);
        world->nat.moved = 1;
    }
    return length;
}

static void a_nat_that_moves_has_forgotten_nothing(void)
{
    g_auto(Run) run;

    run_init(&run, 600 * S);
    run.world.tamper = move_nat;
    measure(&run);
    g_assert_cmpuint(run.result.gone_ns, ==, 0);
    g_assert_cmpuint(run.result.alive_ns, ==, 0);
    g_assert_cmpstr(run.result.why, ==, "the external address changed");
}

/* As a reflector does whose limits are reached. */
static gsize refuse_for_now(World *world, const guint8 *request, gsize request_length,
                            PhAddress *from, guint8 *bytes, gsize length)
{
    PhStunTransaction transaction;
    PhStunWriter writer;

    (void)world, (void)from;
    if (!asks_for_port(request, request_length))
        return length;
    memcpy(&transaction, request + 4, sizeof(transaction));
    ph_stun_write_begin(&writer, bytes, WORLD_BYTES, PH_STUN_ERROR, PH_STUN_BINDING, &transaction);
    ph_stun_write_error(&writer, 500, "Try Later");
    return ph_stun_write_end(&writer);
}

static void a_hub_that_is_asked_too_often_is_named(void)
{
    g_auto(Run) run;

    run_init(&run, 600 * S);
    run.config.most_ns = PH_LIFETIME_LEAST_NS;
    run.world.tamper = refuse_for_now;
    measure(&run);
    g_assert_nonnull(strstr(run.result.why, "too often"));
}

static void what_is_shorter_than_the_least_is_refused(void)
{
    g_auto(Run) run;

    run_init(&run, 600 * S);
    run.config.most_ns = PH_LIFETIME_LEAST_NS - 1;
    g_assert_null(ph_lifetime_new(&run.config, 0));
    world_start(&run.world);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(function) g_test_add_func("/lifetime/" #function, function)
    ADD(the_lifetime_lies_between_two_durations);
    ADD(it_takes_no_longer_than_it_may);
    ADD(loss_does_not_shorten_it);
    ADD(a_hub_that_dies_says_nothing_about_the_nat);
    ADD(a_hub_that_was_never_there_is_named);
    ADD(several_external_addresses_are_in_the_way);
    ADD(sockets_that_cannot_be_opened_are_named);
    ADD(without_the_helper_it_ends_at_once);
    ADD(a_nat_that_moves_has_forgotten_nothing);
    ADD(a_hub_that_is_asked_too_often_is_named);
    ADD(what_is_shorter_than_the_least_is_refused);
    return g_test_run();
}
