/* SPDX-License-Identifier: MIT */
/* The classifier where packets, servers, sockets or the NAT itself fail it. */
#include <pinhole/stun.h>

#include "classifier_run.h"

static void test_N16_blocked_udp_is_an_answer_of_its_own(void)
{
    NatBehaviour nat = port_restricted;
    g_auto(Run) run;

    nat.blocked = TRUE;
    run_init(&run, &nat);
    classify(&run);
    expect_class(&run, PH_CLASS_UDP_BLOCKED);
    expect_reason(run.result.why.nat_class, "no answer came by UDP");
    expect_reason(run.result.why.mapping, "no answer came by UDP");
    g_assert_cmpuint(run.result.took_ns, ==, 3 * S);
    g_assert_cmpuint(run.world.sent, ==, 8);
}

static void a_port_that_is_closed_is_not_blocked_udp(void)
{
    PhPath path = {PH_TRANSPORT_UDP, 100, world_address("203.0.113.10:3478")};
    PhClassification result;
    PhSocketRequest request;
    g_auto(Run) run;

    run_init(&run, &port_restricted);
    run.classifier = ph_classifier_new(&run.config, 0);
    g_assert_true(ph_classifier_poll_socket(run.classifier, &request));
    path.socket = request.socket;
    ph_classifier_socket_opened(run.classifier, request.socket, &path.remote, 0);
    ph_classifier_unreachable(run.classifier, &path, 1 * MS);
    for (guint64 now = 0; !ph_classifier_poll_event(run.classifier, &result);
         now = ph_classifier_next_timeout(run.classifier))
        ph_classifier_handle_timeout(run.classifier, now);
    g_assert_cmpint(result.nat_class, ==, PH_CLASS_UNKNOWN);
    expect_reason(result.why.nat_class, "nobody listens");
    expect_reason(ph_classification_sentence(&result), "No test server answers there");
    world_start(&run.world);
}

static void loss_makes_nobody_guess(void)
{
    static const NatBehaviour *const nats[] = {&port_restricted, &open_way, &symmetric};
    static const guint losses[] = {1, 5, 10, 20};

    for (gsize l = 0; l < G_N_ELEMENTS(losses); l++) {
        guint wrong = 0, unknown = 0;

        for (guint64 seed = 1; seed <= 300; seed++) {
            for (gsize i = 0; i < G_N_ELEMENTS(nats); i++) {
                PhClass expected = ph_class_of(nats[i]->mapping, nats[i]->filtering);
                g_auto(Run) run;

                run_init(&run, nats[i]);
                run.seed = seed;
                run.world.loss_percent = losses[l];
                classify(&run);
                unknown += run.result.nat_class == PH_CLASS_UNKNOWN;
                wrong +=
                    run.result.nat_class != PH_CLASS_UNKNOWN && run.result.nat_class != expected;
            }
        }
        g_test_message("loss %u %%: of 900 %u wrong, %u unknown", losses[l], wrong, unknown);
        g_assert_cmpuint(wrong, <=, losses[l] / 10); /* none, none, one, two */
        g_assert_cmpuint(unknown, <=, losses[l] <= 10 ? 9 : 90);
    }
}

static void late_and_reordered_packets_are_waited_for(void)
{
    for (guint64 seed = 1; seed <= 100; seed++) {
        NatBehaviour nat = port_restricted;
        g_auto(Run) run;

        nat.filtering = (PhFiltering)(PH_FILTERING_ENDPOINT_INDEPENDENT + seed % 3);
        run_init(&run, &nat);
        run.seed = seed;
        run.world.delay_ns = (seed % 7) * 60 * MS;
        run.world.jitter_ns = (1 + seed % 5) * 8 * MS;
        classify(&run);
        expect_class(&run, ph_class_of(nat.mapping, nat.filtering));
    }
}

/* What it takes, to the microsecond, on a LAN (0.2 ms) and over a long way (150 ms). */
static void it_takes_no_longer_than_silence_must_be_waited_for(void)
{
    static const struct {
        const NatBehaviour *nat;
        guint64 delay_us, at_most_ms;
    } cases[] = {
        {&open_way, 100, 1},     {&port_restricted, 100, 38},     {&symmetric, 100, 38},
        {&open_way, 75000, 620}, {&port_restricted, 75000, 2300},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(Run) run;

        run_init(&run, cases[i].nat);
        run.world.delay_ns = cases[i].delay_us * 1000;
        classify(&run);
        g_test_message("%s, %" G_GUINT64_FORMAT " us: %" G_GUINT64_FORMAT " us, %u packets",
                       ph_class_name(run.result.nat_class), 2 * cases[i].delay_us,
                       run.result.took_ns / 1000, run.world.sent);
        expect_class(&run, ph_class_of(cases[i].nat->mapping, cases[i].nat->filtering));
        g_assert_cmpuint(run.result.took_ns, <=, cases[i].at_most_ms * MS);
    }
}

static void one_address_yields_what_it_can_and_says_what_it_cannot(void)
{
    static const struct {
        NatBehaviour nat;
        PhClass nat_class;
        PhMapping mapping;
        PhFiltering filtering;
    } cases[] = {
        {{.mapping = PH_MAPPING_ADDRESS_AND_PORT_DEPENDENT,
          .filtering = PH_FILTERING_ADDRESS_AND_PORT_DEPENDENT},
         PH_CLASS_SYMMETRIC,
         PH_MAPPING_ADDRESS_AND_PORT_DEPENDENT,
         PH_FILTERING_ADDRESS_AND_PORT_DEPENDENT},
        {{.mapping = PH_MAPPING_ENDPOINT_INDEPENDENT,
          .filtering = PH_FILTERING_ADDRESS_AND_PORT_DEPENDENT},
         PH_CLASS_UNKNOWN,
         PH_MAPPING_UNKNOWN,
         PH_FILTERING_ADDRESS_AND_PORT_DEPENDENT},
        {{.mapping = PH_MAPPING_ENDPOINT_INDEPENDENT, .filtering = PH_FILTERING_ADDRESS_DEPENDENT},
         PH_CLASS_UNKNOWN,
         PH_MAPPING_UNKNOWN,
         PH_FILTERING_UNKNOWN},
        {{.mapping = PH_MAPPING_NONE, .filtering = PH_FILTERING_ADDRESS_AND_PORT_DEPENDENT},
         PH_CLASS_FIREWALL,
         PH_MAPPING_NONE,
         PH_FILTERING_ADDRESS_AND_PORT_DEPENDENT},
        {{.mapping = PH_MAPPING_NONE, .filtering = PH_FILTERING_ENDPOINT_INDEPENDENT},
         PH_CLASS_UNKNOWN,
         PH_MAPPING_NONE,
         PH_FILTERING_UNKNOWN},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(Run) run;

        run_init(&run, &cases[i].nat);
        run.world.hub_hosts = 1;
        classify(&run);
        expect_class(&run, cases[i].nat_class);
        g_assert_cmpint(run.result.mapping, ==, cases[i].mapping);
        g_assert_cmpint(run.result.filtering, ==, cases[i].filtering);
        if (cases[i].nat_class == PH_CLASS_UNKNOWN) {
            expect_reason(run.result.why.nat_class, "only one address");
            expect_reason(ph_classification_sentence(&run.result), "ask one that has two");
        }
        if (cases[i].mapping == PH_MAPPING_UNKNOWN)
            expect_reason(run.result.why.mapping, "only one address");
    }
}

static void a_plain_server_yields_the_address_and_little_else(void)
{
    g_auto(Run) run;

    run_init(&run, &port_restricted);
    run.world.hub_hosts = run.world.hub_ports = 1;
    classify(&run);
    expect_class(&run, PH_CLASS_UNKNOWN);
    expect_reason(run.result.why.mapping, "plain STUN server");
    expect_reason(run.result.why.filtering, "plain STUN server");
    g_assert_true(nat_is_external(&run.world, &run.result.mapped));
    g_assert_cmpint(run.result.port_allocation, ==, PH_PORT_ALLOCATION_RANDOM);
    g_assert_cmpint(run.result.hairpin, ==, PH_HAIRPIN_NONE);
}

static gboolean asks_for_change(const guint8 *request, gsize length)
{
    PhStunAttribute attribute;
    PhStunMessage message;
    guint32 flags;

    return ph_stun_read(request, length, &message) == PH_STUN_OK &&
           ph_stun_find(&message, PH_STUN_CHANGE_REQUEST, &attribute) &&
           ph_stun_get_u32(&attribute, &flags) && flags != 0;
}

/* A server that knows nothing of CHANGE-REQUEST, and answers from where it was asked. */
static gsize ignore_change(World *world, const guint8 *request, gsize request_length,
                           PhAddress *from, guint8 *bytes, gsize length)
{
    (void)bytes;
    if (asks_for_change(request, request_length)) {
        *from = world->hub.hosts[0];
        from->port = world->hub.ports[0];
    }
    return length;
}

static void an_answer_from_where_it_was_asked_is_no_open_filter(void)
{
    NatBehaviour nat = port_restricted;
    g_auto(Run) run;

    nat.filtering = PH_FILTERING_ADDRESS_AND_PORT_DEPENDENT;
    run_init(&run, &nat);
    run.world.tamper = ignore_change;
    classify(&run);
    expect_class(&run, PH_CLASS_UNKNOWN);
    g_assert_cmpint(run.result.mapping, ==, PH_MAPPING_ENDPOINT_INDEPENDENT);
    expect_reason(run.result.why.filtering, "does not answer from another");
}

/* The second address is there only in name. */
static gsize second_address_is_dead(World *world, const guint8 *request, gsize request_length,
                                    PhAddress *from, guint8 *bytes, gsize length)
{
    (void)request, (void)request_length, (void)bytes;
    return ph_address_equal_host(from, &world->hub.hosts[1]) ? 0 : length;
}

static void silence_of_a_socket_that_never_answers_is_no_filter(void)
{
    NatBehaviour nat = port_restricted;
    g_auto(Run) run;

    nat.filtering = PH_FILTERING_ENDPOINT_INDEPENDENT;
    run_init(&run, &nat);
    run.world.tamper = second_address_is_dead;
    classify(&run);
    expect_class(&run, PH_CLASS_UNKNOWN);
    g_assert_cmpint(run.result.filtering, ==, PH_FILTERING_UNKNOWN);
    expect_reason(run.result.why.mapping, "second address does not answer");
    expect_reason(run.result.why.filtering, "silence says nothing");
}

/* The hub dies as soon as the filter's contact has been made. */
static gsize die_later(World *world, const guint8 *request, gsize request_length, PhAddress *from,
                       guint8 *bytes, gsize length)
{
    (void)request, (void)request_length, (void)from, (void)bytes;
    return world->answers_on_wire++ < 9 ? length : 0;
}

static void silence_without_an_answered_control_is_unknown(void)
{
    NatBehaviour nat = port_restricted;
    g_auto(Run) run;

    nat.allocation = PH_PORT_ALLOCATION_PRESERVE;
    run_init(&run, &nat);
    run.world.tamper = die_later;
    classify(&run);
    expect_class(&run, PH_CLASS_UNKNOWN);
    g_assert_cmpint(run.result.mapping, ==, PH_MAPPING_ENDPOINT_INDEPENDENT);
    g_assert_cmpint(run.result.filtering, ==, PH_FILTERING_UNKNOWN);
    g_assert_cmpint(run.result.hairpin, ==, PH_HAIRPIN_UNKNOWN);
}

/* As a reflector does whose limits are reached: an error, from where it was asked. */
static gsize refuse_change(World *world, const guint8 *request, gsize request_length,
                           PhAddress *from, guint8 *bytes, gsize length)
{
    PhStunTransaction transaction;
    PhStunWriter writer;

    if (!asks_for_change(request, request_length))
        return length;
    *from = world->hub.hosts[0];
    from->port = world->hub.ports[0];
    memcpy(&transaction, request + 4, sizeof(transaction));
    ph_stun_write_begin(&writer, bytes, WORLD_BYTES, PH_STUN_ERROR, PH_STUN_BINDING, &transaction);
    ph_stun_write_error(&writer, 500, "Try Later");
    return ph_stun_write_end(&writer);
}

static void a_hub_that_is_asked_too_often_is_no_filter(void)
{
    g_auto(Run) run;

    run_init(&run, &port_restricted);
    run.world.tamper = refuse_change;
    classify(&run);
    expect_class(&run, PH_CLASS_UNKNOWN);
    expect_reason(run.result.why.filtering, "too often");
    /* Two tests in three rounds: a limit is not met with more load. */
    g_assert_cmpuint(ph_reflector_counters(run.world.reflector)->changed, ==, 2 * 3);
}

/* Nothing but errors, nothing but rubbish, the wrong transaction, every length. */
static gsize hostile(World *world, const guint8 *request, gsize request_length, PhAddress *from,
                     guint8 *bytes, gsize length)
{
    (void)request, (void)request_length, (void)from;
    switch (world_random(world) % 8) {
    case 0:
        bytes[world_random(world) % length] ^= (guint8)(1 << world_random(world) % 8);
        return length;
    case 1:
        return world_random(world) % length;
    case 2:
        for (gsize i = 20; i < length; i++)
            bytes[i] = (guint8)world_random(world);
        return length;
    case 3:
        bytes[0] = 1;
        bytes[1] = 0x11; /* an error without a code */
        return length;
    case 4:
        bytes[2] = (guint8)world_random(world);
        return length;
    default:
        return length;
    }
}

static void hostile_answers_crash_nothing_and_end(void)
{
    for (guint64 seed = 1; seed <= 500; seed++) {
        g_auto(Run) run;

        run_init(&run, &port_restricted);
        run.seed = seed;
        run.world.tamper = hostile;
        classify(&run);
        g_assert_cmpuint(run.result.took_ns, <=, PH_CLASSIFIER_DEADLINE_NS);
    }
}

static const char *lie;

/* OTHER-ADDRESS is `lie`. */
static gsize name_another(World *world, const guint8 *request, gsize request_length,
                          PhAddress *from, guint8 *bytes, gsize length)
{
    PhStunTransaction transaction;
    PhAddress other = world_address(lie), seen = nat_pool(0);
    PhStunWriter writer;

    (void)world, (void)from, (void)request_length, (void)length;
    seen.port = 777;
    memcpy(&transaction, request + 4, sizeof(transaction));
    ph_stun_write_begin(&writer, bytes, WORLD_BYTES, PH_STUN_SUCCESS, PH_STUN_BINDING,
                        &transaction);
    ph_stun_write_address(&writer, PH_STUN_XOR_MAPPED_ADDRESS, &seen);
    ph_stun_write_address(&writer, PH_STUN_OTHER_ADDRESS, &other);
    return ph_stun_write_end(&writer);
}

static void a_second_address_that_cannot_be_one_is_not_asked(void)
{
    static const char *const lies[] = {
        "0.0.0.0:3479",      "127.0.0.1:3479",     "224.0.0.1:3479",    "203.0.113.11",
        "255.255.255.255:1", "[2001:db8::1]:3479", "203.0.113.10:3479", "10.0.0.1:3479",
        "172.31.0.1:3479",   "192.168.1.1:3479",   "100.64.0.1:3479",   "169.254.1.1:3479"};

    for (gsize i = 0; i < G_N_ELEMENTS(lies); i++) {
        g_auto(Run) run;

        lie = lies[i];
        run_init(&run, &port_restricted);
        run.world.tamper = name_another;
        classify(&run);
        expect_class(&run, PH_CLASS_UNKNOWN);
        expect_reason(run.result.why.mapping, "cannot be one");
        for (guint j = 0; j < run.world.mappings->len; j++) {
            GArray *contacted = nat_at(&run.world, j)->contacted;

            for (guint k = 0; k < contacted->len; k++) {
                const PhAddress *remote = &g_array_index(contacted, PhAddress, k);

                g_assert_true(ph_address_equal(remote, &run.config.server) ||
                              nat_is_external(&run.world, remote));
            }
        }
    }
}

/* How many packets went to an address. */
static guint sent_to(const Run *run, const char *victim)
{
    const PhAddress address = world_address(victim);
    guint n = 0;

    for (guint i = 0; i < run->world.mappings->len; i++) {
        GArray *contacted = nat_at((World *)&run->world, i)->contacted;

        for (guint k = 0; k < contacted->len; k++)
            n += ph_address_equal_host(&g_array_index(contacted, PhAddress, k), &address);
    }
    return n;
}

/* The second address is somebody who knows nothing of it: two of its ports are asked, in six copies
 * each, and nothing more is sent there. */
static void a_victim_gets_two_questions_at_most(void)
{
    g_auto(Run) run;

    lie = "198.51.100.66:53";
    run_init(&run, &port_restricted);
    run.world.tamper = name_another;
    classify(&run);
    expect_class(&run, PH_CLASS_UNKNOWN);
    g_assert_cmpuint(sent_to(&run, "198.51.100.66"), <=, 2 * 6);
}

/* The address that the reflector claims to see, where a hairpin test would go. */
static gsize see_another(World *world, const guint8 *request, gsize request_length, PhAddress *from,
                         guint8 *bytes, gsize length)
{
    PhAddress seen = world_address(lie);
    PhStunTransaction transaction;
    PhStunWriter writer;

    (void)world, (void)from, (void)request_length, (void)length;
    memcpy(&transaction, request + 4, sizeof(transaction));
    ph_stun_write_begin(&writer, bytes, WORLD_BYTES, PH_STUN_SUCCESS, PH_STUN_BINDING,
                        &transaction);
    ph_stun_write_address(&writer, PH_STUN_XOR_MAPPED_ADDRESS, &seen);
    return ph_stun_write_end(&writer);
}

static void no_hairpin_test_goes_where_nobody_outside_can_be(void)
{
    static const char *const lies[] = {"192.168.1.1:53", "10.0.0.1:53", "127.0.0.1:53",
                                       "224.0.0.251:5353", "255.255.255.255:67"};

    for (gsize i = 0; i < G_N_ELEMENTS(lies); i++) {
        g_auto(Run) run;

        lie = lies[i];
        run_init(&run, &port_restricted);
        run.world.tamper = see_another;
        classify(&run);
        expect_class(&run, PH_CLASS_UNKNOWN);
        expect_reason(run.result.why.hairpin, "cannot be one");
        g_assert_cmpuint(sent_to(&run, lies[i]), ==, 0);
    }
}

static void strangers_change_nothing(void)
{
    PhPath path = {PH_TRANSPORT_UDP, 100, world_address("198.51.100.66:1")};
    guint8 bytes[64] = {0};
    g_auto(Run) run;

    run_init(&run, &port_restricted);
    classify(&run);
    g_assert_false(
        ph_classifier_handle_datagram(run.classifier, &path, bytes, sizeof(bytes), run.world.now));
    g_assert_cmpuint(ph_classifier_counters(run.classifier)->foreign, ==, 1);
}

/* The NAT gets another address in the middle: it is not symmetric because of that. */
static gsize restart_nat(World *world, const guint8 *request, gsize request_length, PhAddress *from,
                         guint8 *bytes, gsize length)
{
    (void)request, (void)request_length, (void)from, (void)bytes;
    if (world->answers_on_wire++ == 1)
        g_array_set_size(world->mappings, 0);
    return length;
}

static void a_nat_that_restarts_meanwhile_is_not_symmetric(void)
{
    g_auto(Run) run;

    run_init(&run, &port_restricted);
    run.world.tamper = restart_nat;
    classify(&run);
    expect_class(&run, PH_CLASS_UNKNOWN);
    expect_reason(run.result.why.nat_class, "changed during the test");
    expect_reason(ph_classification_sentence(&run.result), "try again");
    /* What was seen is a mix of before and after: nothing of it is told. */
    g_assert_cmpint(run.result.mapping, ==, PH_MAPPING_UNKNOWN);
    g_assert_cmpint(run.result.filtering, ==, PH_FILTERING_UNKNOWN);
    g_assert_cmpint(run.result.port_allocation, ==, PH_PORT_ALLOCATION_UNKNOWN);
    g_assert_cmpint(run.result.pooling, ==, PH_POOLING_UNKNOWN);
    g_assert_cmpint(run.result.hairpin, ==, PH_HAIRPIN_UNKNOWN);
    expect_reason(run.result.why.mapping, "changed during the test");
    expect_reason(run.result.why.filtering, "changed during the test");
    expect_reason(run.result.why.port_allocation, "changed during the test");
    expect_reason(run.result.why.pooling, "changed during the test");
    expect_reason(run.result.why.hairpin, "changed during the test");
    /* But where it is seen now. */
    g_assert_nonnull(nat_by_external(&run.world, &run.result.mapped));
}

/* Only the first answers come to the filter's socket, so that its rounds decide nothing. */
static gsize ignore_the_filter(World *world, const guint8 *request, gsize request_length,
                               PhAddress *from, guint8 *bytes, gsize length)
{
    PhAddress filter = world->sockets[1].local, seen;
    PhStunAttribute attribute;
    PhStunMessage message;

    (void)request, (void)request_length, (void)from;
    g_assert_cmpint(ph_stun_read(bytes, length, &message), ==, PH_STUN_OK);
    g_assert_true(ph_stun_find(&message, PH_STUN_XOR_MAPPED_ADDRESS, &attribute));
    g_assert_true(ph_stun_get_address(&message, &attribute, &seen));
    for (guint i = 0; i < world->mappings->len; i++) {
        const NatMapping *mapping = nat_at(world, i);

        if (ph_address_equal(&mapping->external, &seen) &&
            ph_address_equal(&mapping->inside, &filter))
            return world->answers_on_wire++ == 0 ? length : 0;
    }
    return length;
}

static void the_deadline_leaves_what_is_known(void)
{
    static const NatBehaviour *const nats[] = {&symmetric, &port_restricted};

    for (gsize i = 0; i < G_N_ELEMENTS(nats); i++) {
        g_auto(Run) run;

        run_init(&run, nats[i]);
        run.world.delay_ns = 450 * MS;
        run.world.tamper = ignore_the_filter;
        classify(&run);
        g_assert_cmpuint(run.result.took_ns, ==, PH_CLASSIFIER_DEADLINE_NS);
        expect_class(&run, i == 0 ? PH_CLASS_SYMMETRIC : PH_CLASS_UNKNOWN);
        g_assert_cmpint(run.result.mapping, ==, nats[i]->mapping);
        g_assert_cmpint(run.result.filtering, ==, PH_FILTERING_UNKNOWN);
        expect_reason(run.result.why.filtering, "silence says nothing");
        if (i == 1)
            expect_reason(run.result.why.nat_class, "too long");
    }
}

static gsize die_after_the_mapping(World *world, const guint8 *request, gsize request_length,
                                   PhAddress *from, guint8 *bytes, gsize length)
{
    (void)request, (void)request_length, (void)from, (void)bytes;
    return world->answers_on_wire++ < 5 ? length : 0;
}

static void a_hub_that_has_died_is_not_asked_from_fresh_sockets(void)
{
    g_auto(Run) run;

    run_init(&run, &port_restricted);
    run.world.tamper = die_after_the_mapping;
    classify(&run);
    expect_class(&run, PH_CLASS_UNKNOWN);
    g_assert_cmpuint(run.world.n_opened, ==, 3); /* data, filter, repeat */
    g_test_message("%" G_GUINT64_FORMAT " ms", run.result.took_ns / MS);
}

static void sockets_that_cannot_be_opened_are_named(void)
{
    for (guint n = 0; n <= PH_CLASSIFIER_SOCKETS; n++) {
        g_auto(Run) run;

        run_init(&run, &port_restricted);
        run.world.sockets_max = n;
        classify(&run);
        expect_class(&run, n >= 2 ? PH_CLASS_PORT_RESTRICTED : PH_CLASS_UNKNOWN);
        if (n == 0) {
            expect_reason(run.result.why.nat_class, "no socket could be opened");
            expect_reason(ph_classification_sentence(&run.result), "This computer");
        }
        if (n == 1)
            expect_reason(run.result.why.filtering, "no second socket");
    }
}

static void without_a_second_socket_there_are_no_rounds(void)
{
    g_auto(Run) run;

    run_init(&run, &port_restricted);
    run.world.no_socket = run.config.first_socket + 1;
    classify(&run);
    expect_class(&run, PH_CLASS_UNKNOWN);
    expect_reason(run.result.why.filtering, "no second socket");
    expect_reason(run.result.why.hairpin, "no second socket");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(function) g_test_add_func("/classifier/" #function, function)
    ADD(test_N16_blocked_udp_is_an_answer_of_its_own);
    ADD(a_port_that_is_closed_is_not_blocked_udp);
    ADD(loss_makes_nobody_guess);
    ADD(late_and_reordered_packets_are_waited_for);
    ADD(it_takes_no_longer_than_silence_must_be_waited_for);
    ADD(one_address_yields_what_it_can_and_says_what_it_cannot);
    ADD(a_plain_server_yields_the_address_and_little_else);
    ADD(an_answer_from_where_it_was_asked_is_no_open_filter);
    ADD(silence_of_a_socket_that_never_answers_is_no_filter);
    ADD(silence_without_an_answered_control_is_unknown);
    ADD(a_hub_that_is_asked_too_often_is_no_filter);
    ADD(hostile_answers_crash_nothing_and_end);
    ADD(a_second_address_that_cannot_be_one_is_not_asked);
    ADD(a_victim_gets_two_questions_at_most);
    ADD(no_hairpin_test_goes_where_nobody_outside_can_be);
    ADD(strangers_change_nothing);
    ADD(a_nat_that_restarts_meanwhile_is_not_symmetric);
    ADD(the_deadline_leaves_what_is_known);
    ADD(a_hub_that_has_died_is_not_asked_from_fresh_sockets);
    ADD(sockets_that_cannot_be_opened_are_named);
    ADD(without_a_second_socket_there_are_no_rounds);
    return g_test_run();
}
