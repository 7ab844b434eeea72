/* SPDX-License-Identifier: MIT */
/* The reflector: what it answers, to whom, how much, and to whom it never does. */
#include <glib.h>
#include <pinhole/reflector.h>
#include <pinhole/stun.h>
#include <string.h>

#define S G_GUINT64_CONSTANT(1000000000)

static const char transaction_id[12] = "abcdefghijkl";

/* A reflector, a request under construction, and the last answer. */
typedef struct World {
    PhReflectorConfig config;
    PhReflector *reflector;
    guint64 now;
    PhPath from;
    PhStunWriter request;
    guint8 request_bytes[1500], answer_bytes[PH_REFLECTOR_ANSWER_MAX];
    PhPath to;
    gsize answer_length;
    PhStunMessage answer;
} World;

static PhAddress address(const char *text)
{
    PhAddress result;

    g_assert_true(ph_address_parse(text, &result));
    return result;
}

static void world_init(World *world, unsigned hosts, unsigned ports)
{
    memset(world, 0, sizeof(*world));
    ph_reflector_config_init(&world->config);
    world->config.hosts[0] = address("203.0.113.10");
    if (hosts == 2)
        world->config.hosts[1] = address("203.0.113.11");
    world->config.ports[0] = 3478;
    if (ports == 2)
        world->config.ports[1] = 3479;
    world->now = 5 * S;
    world->from = (PhPath){PH_TRANSPORT_UDP, 0, address("198.51.100.7:40000")};
}

static void world_start(World *world)
{
    world->reflector = ph_reflector_new(&world->config);
    g_assert_nonnull(world->reflector);
}

static void world_clear(World *world)
{
    world->reflector = ph_reflector_free(world->reflector);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(World, world_clear)

static void begin(World *world)
{
    PhStunTransaction transaction = ph_stun_transaction((const guint8 *)transaction_id);

    ph_stun_write_begin(&world->request, world->request_bytes, sizeof(world->request_bytes),
                        PH_STUN_REQUEST, PH_STUN_BINDING, &transaction);
}

static void begin_classic(World *world)
{
    PhStunTransaction transaction;

    memset(&transaction, 7, sizeof(transaction));
    ph_stun_write_begin(&world->request, world->request_bytes, sizeof(world->request_bytes),
                        PH_STUN_REQUEST, PH_STUN_BINDING, &transaction);
}

/* FALSE when there is no answer. */
static gboolean send_bytes(World *world, const guint8 *bytes, gsize length)
{
    world->answer_length = ph_reflector_handle_datagram(
        world->reflector, &world->from, bytes, length, world->now, &world->to, world->answer_bytes);
    if (world->answer_length == 0)
        return FALSE;
    g_assert_cmpuint(world->answer_length, <=, length * PH_REFLECTOR_AMPLIFICATION);
    g_assert_true(ph_address_equal_host(&world->to.remote, &world->from.remote));
    g_assert_cmpint(ph_stun_read(world->answer_bytes, world->answer_length, &world->answer), ==,
                    PH_STUN_OK);
    return TRUE;
}

static gboolean send_request(World *world)
{
    if (!send_bytes(world, world->request_bytes, ph_stun_write_end(&world->request)))
        return FALSE;
    g_assert_true(memcmp(world->answer.transaction.bytes, world->request_bytes + 4, 16) == 0);
    return TRUE;
}

/* The answer's attribute as text: "" when it is not there. */
static const char *said(const World *world, guint16 type)
{
    static char text[PH_ADDRESS_TEXT_MAX];
    PhStunAttribute attribute;
    PhAddress result;

    if (!ph_stun_find(&world->answer, type, &attribute))
        return "";
    g_assert_true(ph_stun_get_address(&world->answer, &attribute, &result));
    return ph_address_format(&result, text);
}

static unsigned error_of(const World *world)
{
    PhStunAttribute attribute;
    const char *reason;
    unsigned code = 0;
    gsize length;

    if (world->answer.message_class == PH_STUN_ERROR) {
        g_assert_true(ph_stun_find(&world->answer, PH_STUN_ERROR_CODE, &attribute));
        g_assert_true(ph_stun_get_error(&attribute, &code, &reason, &length));
    }
    return code;
}

static const PhReflectorCounters *counters(const World *world)
{
    return ph_reflector_counters(world->reflector);
}

static void test_N1_it_answers_with_the_address_it_sees(void)
{
    static const char *const sources[] = {"198.51.100.7:40000", "0.0.0.1:1",
                                          "255.255.255.255:65535"};
    g_auto(World) world;

    world_init(&world, 1, 1);
    world_start(&world);
    for (gsize i = 0; i < G_N_ELEMENTS(sources); i++) {
        world.from.remote = address(sources[i]);
        begin(&world);
        g_assert_true(send_request(&world));
        g_assert_cmpstr(said(&world, PH_STUN_XOR_MAPPED_ADDRESS), ==, sources[i]);
        g_assert_true(ph_address_equal(&world.to.remote, &world.from.remote));
        g_assert_cmpint(world.to.socket, ==, 0);
        g_assert_cmpstr(said(&world, PH_STUN_OTHER_ADDRESS), ==, "");
        g_assert_cmpstr(said(&world, PH_STUN_RESPONSE_ORIGIN), ==, "203.0.113.10:3478");
    }
}

/* RFC 5780 §6.1, table 1, from each of the four sockets. */
static void it_changes_address_and_port_as_asked(void)
{
    static const char *const names[] = {"203.0.113.10:3478", "203.0.113.10:3479",
                                        "203.0.113.11:3478", "203.0.113.11:3479"};
    g_auto(World) world;

    world_init(&world, 2, 2);
    world_start(&world);
    for (guint32 socket = 0; socket < 4; socket++) {
        for (guint32 flags = 0; flags < 8; flags += 2) {
            guint32 expected = socket ^ (flags & 4 ? 2 : 0) ^ (flags & 2 ? 1 : 0);

            world.from.socket = socket;
            begin(&world);
            ph_stun_write_u32(&world.request, PH_STUN_CHANGE_REQUEST, flags);
            g_assert_true(send_request(&world));
            g_assert_cmpint(world.to.socket, ==, expected);
            g_assert_cmpstr(said(&world, PH_STUN_RESPONSE_ORIGIN), ==, names[expected]);
            g_assert_cmpstr(said(&world, PH_STUN_OTHER_ADDRESS), ==, names[socket ^ 3]);
        }
    }
    g_assert_cmpuint(counters(&world)->changed, ==, 12);
}

static void it_answers_to_another_port_when_asked(void)
{
    g_auto(World) world;

    world_init(&world, 2, 2);
    world_start(&world);
    begin(&world);
    ph_stun_write_port(&world.request, PH_STUN_RESPONSE_PORT, 555);
    g_assert_true(send_request(&world));
    g_assert_cmpint(world.to.remote.port, ==, 555);
    g_assert_cmpstr(said(&world, PH_STUN_XOR_MAPPED_ADDRESS), ==, "198.51.100.7:40000");
    begin(&world);
    ph_stun_write_port(&world.request, PH_STUN_RESPONSE_PORT, 0);
    g_assert_true(send_request(&world));
    g_assert_cmpint(error_of(&world), ==, 420);
    g_assert_cmpint(world.to.remote.port, ==, 40000);
}

static void clients_of_rfc3489_get_what_they_know(void)
{
    g_auto(World) world;

    world_init(&world, 2, 2);
    world_start(&world);
    begin_classic(&world);
    ph_stun_write_u32(&world.request, PH_STUN_CHANGE_REQUEST, PH_STUN_CHANGE_PORT);
    g_assert_true(send_request(&world));
    g_assert_true(world.answer.classic);
    g_assert_cmpstr(said(&world, PH_STUN_MAPPED_ADDRESS), ==, "198.51.100.7:40000");
    g_assert_cmpstr(said(&world, PH_STUN_SOURCE_ADDRESS), ==, "203.0.113.10:3479");
    g_assert_cmpstr(said(&world, PH_STUN_CHANGED_ADDRESS), ==, "203.0.113.11:3479");
    g_assert_cmpstr(said(&world, PH_STUN_XOR_MAPPED_ADDRESS), ==, "");
    g_assert_cmpuint(counters(&world)->classic, ==, 1);
}

static void one_address_refuses_what_needs_two(void)
{
    g_auto(World) world;

    world_init(&world, 1, 2);
    world_start(&world);
    for (guint32 flags = 0; flags < 8; flags += 2) {
        begin(&world);
        ph_stun_write_u32(&world.request, PH_STUN_CHANGE_REQUEST, flags);
        g_assert_true(send_request(&world));
        g_assert_cmpint(error_of(&world), ==, 420);
        g_assert_cmpint(world.to.socket, ==, 0);
    }
    g_assert_cmpuint(counters(&world)->refused, ==, 4);
}

/* Our own client knows of the second port, and may be answered from there. */
static void one_address_with_two_ports_says_so_to_our_own(void)
{
    PhStunAttribute attribute;
    g_auto(World) world;
    guint16 port;

    world_init(&world, 1, 2);
    world_start(&world);
    begin(&world);
    ph_stun_write_filler(&world.request, 60);
    g_assert_true(send_request(&world));
    g_assert_true(ph_stun_find(&world.answer, PH_STUN_OTHER_PORT, &attribute));
    g_assert_true(ph_stun_get_port(&attribute, &port));
    g_assert_cmpint(port, ==, 3479);
    begin(&world);
    ph_stun_write_u32(&world.request, PH_STUN_CHANGE_REQUEST, PH_STUN_CHANGE_PORT);
    ph_stun_write_filler(&world.request, 60);
    g_assert_true(send_request(&world));
    g_assert_cmpint(error_of(&world), ==, 0);
    g_assert_cmpint(world.to.socket, ==, 1);
    begin(&world);
    ph_stun_write_u32(&world.request, PH_STUN_CHANGE_REQUEST,
                      PH_STUN_CHANGE_PORT | PH_STUN_CHANGE_IP);
    ph_stun_write_filler(&world.request, 60);
    g_assert_true(send_request(&world));
    g_assert_cmpint(error_of(&world), ==, 420);
}

static void what_would_amplify_or_aim_elsewhere_is_refused(void)
{
    static const guint16 types[] = {PH_STUN_PADDING, PH_STUN_RESPONSE_ADDRESS, 0x0024, 0x7fff};

    for (gsize i = 0; i < G_N_ELEMENTS(types); i++) {
        PhAddress victim = address("192.0.2.66:80");
        g_auto(World) world;
        guint8 unknown[2] = {(guint8)(types[i] >> 8), (guint8)types[i]};
        PhStunAttribute attribute;

        world_init(&world, 2, 2);
        world_start(&world);
        begin(&world);
        ph_stun_write_u32(&world.request, PH_STUN_CHANGE_REQUEST, PH_STUN_CHANGE_PORT);
        ph_stun_write_address(&world.request, types[i], &victim);
        g_assert_true(send_request(&world));
        g_assert_cmpint(error_of(&world), ==, 420);
        g_assert_true(ph_stun_find(&world.answer, PH_STUN_UNKNOWN_ATTRIBUTES, &attribute));
        g_assert_cmpint(attribute.length, ==, 2);
        g_assert_true(memcmp(attribute.value, unknown, 2) == 0);
        g_assert_true(ph_address_equal(&world.to.remote, &world.from.remote));
        g_assert_cmpint(world.to.socket, ==, 0);
    }
}

/* A request of any length and content: at most four times as much comes back (send_bytes looks). */
static void no_answer_is_more_than_four_times_its_request(void)
{
    for (unsigned family = 4; family <= 6; family += 2) {
        g_auto(World) world;

        world_init(&world, 2, 2);
        if (family == 6) {
            world.config.hosts[0] = address("2001:db8::10");
            world.config.hosts[1] = address("2001:db8::11");
            world.from.remote = address("[2001:db8:1::7]:40000");
        }
        world_start(&world);
        for (unsigned fingerprint = 0; fingerprint < 2; fingerprint++) {
            for (gsize n = 0; n < 40; n++) {
                begin(&world);
                for (gsize i = 0; i < n % 20; i++)
                    ph_stun_write(&world.request, n < 20 ? PH_STUN_SOFTWARE : 0x7000, "", 0);
                if (fingerprint)
                    ph_stun_write_fingerprint(&world.request);
                g_assert_true(send_request(&world));
                g_assert_cmpint(error_of(&world), ==, n > 20 ? 420 : 0);
                g_assert_true(error_of(&world) ||
                              said(&world, PH_STUN_XOR_MAPPED_ADDRESS)[0] != '\0');
            }
        }
        begin(&world);
        g_assert_true(send_request(&world));
        g_assert_cmpuint(world.answer_length, ==, 68);
    }
}

static void what_is_no_request_gets_no_answer(void)
{
    static const PhStunClass classes[] = {PH_STUN_INDICATION, PH_STUN_SUCCESS, PH_STUN_ERROR};
    PhStunTransaction transaction = ph_stun_transaction((const guint8 *)transaction_id);
    g_auto(World) world;

    world_init(&world, 2, 2);
    world_start(&world);
    for (gsize i = 0; i < G_N_ELEMENTS(classes); i++) {
        ph_stun_write_begin(&world.request, world.request_bytes, sizeof(world.request_bytes),
                            classes[i], PH_STUN_BINDING, &transaction);
        g_assert_false(send_request(&world));
    }
    ph_stun_write_begin(&world.request, world.request_bytes, sizeof(world.request_bytes),
                        PH_STUN_REQUEST, 3, &transaction);
    g_assert_false(send_request(&world));
    g_assert_cmpuint(counters(&world)->ignored, ==, 4);
    g_assert_false(send_bytes(&world, (const guint8 *)"GET / HTTP/1.1\r\n", 16));
    g_assert_false(send_bytes(&world, NULL, 0));
    begin(&world);
    world.from.remote.port = 0;
    g_assert_false(send_request(&world));
    world.from.remote = address("[2001:db8::1]:1000");
    g_assert_false(send_request(&world));
    g_assert_cmpuint(counters(&world)->foreign, ==, 4);
    g_assert_cmpuint(counters(&world)->answered, ==, 0);
}

static unsigned ask(World *world, const char *from, unsigned n)
{
    unsigned answered = 0;

    world->from.remote = address(from);
    for (unsigned i = 0; i < n; i++) {
        begin(world);
        answered += send_request(world) ? 1 : 0;
    }
    return answered;
}

static void one_source_cannot_have_more_than_its_bucket(void)
{
    g_auto(World) world;

    world_init(&world, 1, 1);
    /* Without OTHER-ADDRESS an answer to 20 bytes is 56. */
    world.config.source_bytes = (PhRate){.per_second = 560, .burst = 1120};
    world_start(&world);
    g_assert_cmpuint(ask(&world, "198.51.100.7:1", 100), ==, 20);
    g_assert_cmpuint(counters(&world)->limited_source, ==, 80);
    g_assert_cmpuint(ask(&world, "198.51.100.7:2", 100), ==, 0);  /* the address counts */
    g_assert_cmpuint(ask(&world, "198.51.100.8:1", 100), ==, 20); /* and others do not suffer */
    world.now += S;
    g_assert_cmpuint(ask(&world, "198.51.100.7:3", 100), ==, 10);
    world.now += 1000 * S;
    g_assert_cmpuint(ask(&world, "198.51.100.7:3", 100), ==, 20); /* no hard ban */
}

static void an_ipv6_subscriber_is_one_source(void)
{
    g_auto(World) world;

    world_init(&world, 1, 1);
    world.config.hosts[0] = address("2001:db8::10");
    world.config.source_bytes = (PhRate){.per_second = 68, .burst = 680};
    world_start(&world);
    g_assert_cmpuint(ask(&world, "[2001:db8:1:1::7]:1", 100), ==, 10);
    g_assert_cmpuint(ask(&world, "[2001:db8:1:1:ffff::8]:1", 100), ==, 0);
    g_assert_cmpuint(ask(&world, "[2001:db8:1:2::7]:1", 100), ==, 10);
}

static void all_together_cannot_have_more_than_the_bucket_of_all(void)
{
    unsigned answered = 0;
    g_auto(World) world;

    world_init(&world, 1, 1);
    world.config.all_bytes = (PhRate){.per_second = 56, .burst = 5600};
    world_start(&world);
    for (unsigned i = 0; i < 250; i++) {
        g_autofree char *from = g_strdup_printf("198.51.100.%u:1", i);

        answered += ask(&world, from, 1);
    }
    g_assert_cmpuint(answered, ==, 100);
    g_assert_cmpuint(counters(&world)->limited_all, ==, 150);
}

static void answers_from_elsewhere_are_rare(void)
{
    unsigned answered = 0;
    g_auto(World) world;

    world_init(&world, 2, 2);
    world.config.source_change = (PhRate){.per_second = 1, .burst = 5};
    world_start(&world);
    for (unsigned i = 0; i < 20; i++) {
        begin(&world);
        if (i % 2)
            ph_stun_write_port(&world.request, PH_STUN_RESPONSE_PORT, 555);
        else
            ph_stun_write_u32(&world.request, PH_STUN_CHANGE_REQUEST, PH_STUN_CHANGE_IP);
        g_assert_true(send_request(&world));
        if (error_of(&world) == 0) {
            answered++;
            continue;
        }
        /* Not silence, which would look like a filter's. */
        g_assert_cmpint(error_of(&world), ==, 500);
        g_assert_cmpint(world.to.socket, ==, 0);
        g_assert_cmpint(world.to.remote.port, ==, 40000);
    }
    g_assert_cmpuint(answered, ==, 5);
    g_assert_cmpuint(counters(&world)->limited_change, ==, 15);
    g_assert_cmpuint(ask(&world, "198.51.100.7:40000", 10), ==, 10); /* the rest goes on */
}

static void test_N26_it_counts_what_it_does(void)
{
    const PhReflectorCounters *c;
    g_auto(World) world;

    world_init(&world, 2, 2);
    world_start(&world);
    c = counters(&world);
    begin(&world);
    send_request(&world);
    begin_classic(&world);
    send_request(&world);
    begin(&world);
    ph_stun_write_u32(&world.request, PH_STUN_PADDING, 0);
    send_request(&world);
    send_bytes(&world, (const guint8 *)"x", 1);
    g_assert_cmpuint(c->received, ==, 4);
    g_assert_cmpuint(c->received_bytes, ==, 20 + 20 + 28 + 1);
    g_assert_cmpuint(c->answered, ==, 3);
    g_assert_cmpuint(c->answered_bytes, ==, 68 + 56 + (20 + 28 + 8));
    g_assert_cmpuint(c->classic, ==, 1);
    g_assert_cmpuint(c->refused, ==, 1);
    g_assert_cmpuint(c->foreign, ==, 1);
}

static void report(World *world, const char *source, uint32_t nat_class)
{
    PhStunTransaction transaction = ph_stun_transaction((const guint8 *)transaction_id);

    world->from.remote = address(source);
    ph_stun_write_begin(&world->request, world->request_bytes, sizeof(world->request_bytes),
                        PH_STUN_INDICATION, PH_STUN_BINDING, &transaction);
    ph_stun_write_u32(&world->request, PH_STUN_NAT_CLASS, nat_class);
    g_assert_false(send_request(world)); /* never is there an answer */
}

static guint64 votes(const World *world, PhClass nat_class)
{
    uint64_t all[PH_CLASS_N];

    ph_reflector_classes(world->reflector, world->now, all);
    return all[nat_class];
}

static void test_N26_each_source_has_one_vote_its_last(void)
{
    g_auto(World) world;

    world_init(&world, 2, 2);
    world_start(&world);
    for (guint i = 0; i < PH_CLASS_N; i++)
        g_assert_cmpuint(votes(&world, (PhClass)i), ==, 0);
    report(&world, "198.51.100.1:4000", PH_CLASS_SYMMETRIC);
    report(&world, "198.51.100.2:4000", PH_CLASS_SYMMETRIC);
    report(&world, "198.51.100.3:4000", PH_CLASS_UNKNOWN);
    g_assert_cmpuint(votes(&world, PH_CLASS_SYMMETRIC), ==, 2);
    g_assert_cmpuint(votes(&world, PH_CLASS_UNKNOWN), ==, 1);
    world.now += S;
    report(&world, "198.51.100.2:5000", PH_CLASS_DIRECT);
    g_assert_cmpuint(votes(&world, PH_CLASS_SYMMETRIC), ==, 1);
    g_assert_cmpuint(votes(&world, PH_CLASS_DIRECT), ==, 1);
    g_assert_cmpuint(counters(&world)->reports, ==, 4);
    g_assert_cmpuint(counters(&world)->answered, ==, 0);
}

static void reports_are_rare_and_grow_old(void)
{
    g_auto(World) world;

    world_init(&world, 1, 1);
    world_start(&world);
    report(&world, "198.51.100.1:4000", PH_CLASS_DIRECT);
    world.now += S - 1;
    report(&world, "198.51.100.1:4000", PH_CLASS_FIREWALL);
    g_assert_cmpuint(votes(&world, PH_CLASS_DIRECT), ==, 1);
    g_assert_cmpuint(votes(&world, PH_CLASS_FIREWALL), ==, 0);
    g_assert_cmpuint(counters(&world)->reports, ==, 1);
    g_assert_cmpuint(counters(&world)->limited_reports, ==, 1);
    world.now += 2 * 3600 * S - S;
    g_assert_cmpuint(votes(&world, PH_CLASS_DIRECT), ==, 1);
    world.now++;
    g_assert_cmpuint(votes(&world, PH_CLASS_DIRECT), ==, 0);
}

static void a_report_without_sense_is_none(void)
{
    g_auto(World) world;

    world_init(&world, 1, 1);
    world_start(&world);
    report(&world, "198.51.100.1:4000", PH_CLASS_N);
    report(&world, "198.51.100.1:4000", UINT32_MAX);
    begin(&world);
    world.request_bytes[1] = 0x11; /* an indication */
    ph_stun_write_port(&world.request, PH_STUN_NAT_CLASS, PH_CLASS_DIRECT);
    ph_stun_write(&world.request, PH_STUN_NAT_CLASS, "", 0);
    g_assert_false(send_request(&world));
    g_assert_cmpuint(counters(&world)->ignored, ==, 3);
    g_assert_cmpuint(counters(&world)->reports, ==, 0);
    begin(&world); /* in a request it says nothing, and is in nobody's way */
    ph_stun_write_u32(&world.request, PH_STUN_NAT_CLASS, PH_CLASS_DIRECT);
    g_assert_true(send_request(&world));
    g_assert_cmpint(world.answer.message_class, ==, PH_STUN_SUCCESS);
    g_assert_cmpuint(votes(&world, PH_CLASS_DIRECT), ==, 0);
}

static void a_config_that_contradicts_itself_is_refused(void)
{
    World world;

    world_init(&world, 2, 1);
    g_assert_null(ph_reflector_new(&world.config));
    world_init(&world, 2, 2);
    world.config.hosts[1] = world.config.hosts[0];
    g_assert_null(ph_reflector_new(&world.config));
    world.config.hosts[1] = address("2001:db8::10");
    g_assert_null(ph_reflector_new(&world.config));
    world_init(&world, 1, 1);
    world.config.sources = 1000;
    g_assert_null(ph_reflector_new(&world.config));
    world.config.sources = 1024;
    world.config.ports[0] = 0;
    g_assert_null(ph_reflector_new(&world.config));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(function) g_test_add_func("/reflector/" #function, function)
    ADD(test_N1_it_answers_with_the_address_it_sees);
    ADD(it_changes_address_and_port_as_asked);
    ADD(it_answers_to_another_port_when_asked);
    ADD(clients_of_rfc3489_get_what_they_know);
    ADD(one_address_refuses_what_needs_two);
    ADD(one_address_with_two_ports_says_so_to_our_own);
    ADD(what_would_amplify_or_aim_elsewhere_is_refused);
    ADD(no_answer_is_more_than_four_times_its_request);
    ADD(what_is_no_request_gets_no_answer);
    ADD(one_source_cannot_have_more_than_its_bucket);
    ADD(an_ipv6_subscriber_is_one_source);
    ADD(all_together_cannot_have_more_than_the_bucket_of_all);
    ADD(answers_from_elsewhere_are_rare);
    ADD(test_N26_it_counts_what_it_does);
    ADD(test_N26_each_source_has_one_vote_its_last);
    ADD(reports_are_rare_and_grow_old);
    ADD(a_report_without_sense_is_none);
    ADD(a_config_that_contradicts_itself_is_refused);
    return g_test_run();
}
