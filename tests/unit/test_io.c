/* SPDX-License-Identifier: MIT */
/* The hub and the classification on real sockets, on loopback: all of 127/8 is there. */
#include <gio/gio.h>
#include <pinhole/classify.h>
#include <pinhole/stun.h>
#include <string.h>

#include "io_hub.h"

#define BURST 200

typedef struct Outcome {
    gboolean done, ok;
    PhClassification classification;
    PhAddress server;
    GError *error;
} Outcome;

static void outcome_clear(Outcome *outcome)
{
    g_clear_error(&outcome->error);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Outcome, outcome_clear)

static void take_outcome(GObject *object G_GNUC_UNUSED, GAsyncResult *result, gpointer data)
{
    Outcome *outcome = data;

    outcome->ok = ph_classify_server_finish(result, &outcome->classification, &outcome->server,
                                            &outcome->error);
    outcome->done = TRUE;
}

static void classify(const char *server, GCancellable *cancellable, Outcome *outcome)
{
    ph_classify_server_async(server, PH_CLASSIFY_REPORT, cancellable, take_outcome, outcome);
    while (!outcome->done)
        g_main_context_iteration(NULL, TRUE);
}

static void test_all_four_sockets_tell_everything(void)
{
    uint16_t port;
    g_autoptr(PhHub) hub = start_hub(2, &port);
    g_autofree char *server = g_strdup_printf("127.0.0.1:%u", port);
    g_auto(Outcome) outcome = {0};
    PhAddress addresses[PH_HUB_ADDRESSES];

    g_assert_cmpuint(ph_hub_addresses(hub, addresses), ==, 4);
    classify(server, NULL, &outcome);
    g_assert_no_error(outcome.error);
    g_assert_cmpstr(ph_class_name(outcome.classification.nat_class), ==, "direct");
    g_assert_true(ph_address_equal(&outcome.server, &addresses[0]));
    g_assert_cmpuint(ph_hub_counters(hub, PH_FAMILY_IPV4)->changed, >, 0);
    g_assert_null(ph_hub_counters(hub, PH_FAMILY_IPV6));
}

static void test_a_name_is_looked_up(void)
{
    uint16_t port;
    g_autoptr(PhHub) hub = start_hub(2, &port);
    g_autofree char *server = g_strdup_printf("localhost:%u", port);
    g_auto(Outcome) outcome = {0};

    classify(server, NULL, &outcome);
    g_assert_no_error(outcome.error);
    g_assert_cmpstr(ph_class_name(outcome.classification.nat_class), ==, "direct");
    g_assert_cmpuint(ph_hub_counters(hub, PH_FAMILY_IPV4)->answered, >, 0);
}

static void test_one_address_says_what_it_cannot_tell(void)
{
    uint16_t port;
    g_autoptr(PhHub) hub = start_hub(1, &port);
    g_autofree char *server = g_strdup_printf("127.0.0.1:%u", port);
    g_auto(Outcome) outcome = {0};

    classify(server, NULL, &outcome);
    g_assert_no_error(outcome.error);
    g_assert_cmpint(outcome.classification.mapping, ==, PH_MAPPING_NONE);
    g_assert_cmpint(outcome.classification.filtering, ==, PH_FILTERING_UNKNOWN);
    g_assert_nonnull(outcome.classification.why.filtering);
    g_assert_cmpuint(ph_hub_counters(hub, PH_FAMILY_IPV4)->answered, >, 0);
}

/* More than the hub takes from the system at a time. */
static void test_a_burst_is_answered_to_the_last_one(void)
{
    uint16_t port, own;
    g_autoptr(PhHub) hub = start_hub(2, &port);
    g_autoptr(GSocketAddress) server = g_inet_socket_address_new_from_string("127.0.0.1", port);
    g_autoptr(GSocket) socket = NULL;
    uint8_t seen[BURST] = {0};

    own = free_port(&socket);
    g_assert_cmpuint(own, !=, port);
    for (unsigned i = 0; i < BURST; i++) {
        const uint8_t id[12] = {(uint8_t)i};
        PhStunTransaction transaction = ph_stun_transaction(id);
        uint8_t request[PH_STUN_HEADER_BYTES];
        PhStunWriter writer;

        ph_stun_write_begin(&writer, request, sizeof(request), PH_STUN_REQUEST, PH_STUN_BINDING,
                            &transaction);
        g_assert_cmpint(g_socket_send_to(socket, server, (const char *)request,
                                         ph_stun_write_end(&writer), NULL, NULL),
                        ==, sizeof(request));
    }
    while (ph_hub_counters(hub, PH_FAMILY_IPV4)->answered < BURST)
        g_main_context_iteration(NULL, TRUE);
    g_socket_set_blocking(socket, FALSE);
    for (unsigned i = 0; i < BURST; i++) {
        uint8_t answer[PH_REFLECTOR_ANSWER_MAX];
        PhStunMessage message;
        gssize length = g_socket_receive(socket, (char *)answer, sizeof(answer), NULL, NULL);

        g_assert_cmpint(length, >, 0);
        g_assert_cmpint(ph_stun_read(answer, (size_t)length, &message), ==, PH_STUN_OK);
        seen[message.transaction.bytes[4]]++;
    }
    for (unsigned i = 0; i < BURST; i++)
        g_assert_cmpuint(seen[i], ==, 1);
}

static void test_what_is_too_long_is_counted(void)
{
    static const gsize lengths[] = {2048, 2049, 65507};
    static char bytes[65507];
    uint16_t port;
    g_autoptr(PhHub) hub = start_hub(1, &port);
    g_autoptr(GSocketAddress) server = g_inet_socket_address_new_from_string("127.0.0.1", port);
    g_autoptr(GSocket) socket = NULL;
    const PhReflectorCounters *counters = ph_hub_counters(hub, PH_FAMILY_IPV4);
    uint64_t sum = 0;

    free_port(&socket);
    for (gsize i = 0; i < G_N_ELEMENTS(lengths); i++) {
        g_assert_cmpint(g_socket_send_to(socket, server, bytes, lengths[i], NULL, NULL), >, 0);
        sum += lengths[i];
    }
    while (counters->received < G_N_ELEMENTS(lengths))
        g_main_context_iteration(NULL, TRUE);
    g_assert_cmpuint(counters->received_bytes, ==, sum);
    g_assert_cmpuint(counters->foreign, ==, G_N_ELEMENTS(lengths));
}

static void test_hubs_of_both_families_are_one(void)
{
    PhHubConfig config = {.n_hosts = 2, .hosts = {ph_address_ipv4(0x7f000001, 0)}};
    g_autoptr(PhHub) hub = NULL;
    g_autoptr(GError) error = NULL;
    PhAddress addresses[PH_HUB_ADDRESSES];

    g_assert_true(ph_address_parse("::1", &config.hosts[1]));
    config.ports[0] = free_port(NULL);
    do {
        config.ports[1] = free_port(NULL);
    } while (config.ports[0] == config.ports[1]);
    hub = ph_hub_new(NULL, &config, &error);
    if (!hub && g_error_matches(error, G_IO_ERROR, G_IO_ERROR_FAILED)) {
        g_test_skip("no IPv6 here");
        return;
    }
    g_assert_no_error(error);
    g_assert_cmpuint(ph_hub_addresses(hub, addresses), ==, 4);
    {
        g_autofree char *server = g_strdup_printf("[::1]:%u", config.ports[0]);
        g_auto(Outcome) outcome = {0};

        classify(server, NULL, &outcome);
        g_assert_no_error(outcome.error);
        g_assert_cmpint(outcome.classification.mapping, ==, PH_MAPPING_NONE);
        g_assert_cmpuint(ph_hub_counters(hub, PH_FAMILY_IPV6)->answered, >, 0);
    }
}

static void test_a_port_that_is_taken_is_an_error(void)
{
    g_autoptr(GSocket) taken = NULL;
    PhHubConfig config = {.n_hosts = 1, .hosts = {ph_address_ipv4(0x7f000001, 0)}};
    g_autoptr(PhHub) hub = NULL;
    g_autoptr(GError) error = NULL;

    config.ports[0] = free_port(&taken);
    config.ports[1] = config.ports[0] == 1024 ? 1025 : 1024;
    hub = ph_hub_new(NULL, &config, &error);
    g_assert_null(hub);
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_ADDRESS_IN_USE);
}

static void test_a_config_without_sense_is_refused(void)
{
    const PhAddress one = ph_address_ipv4(0x7f000001, 0), two = ph_address_ipv4(0x7f000002, 0);
    const PhHubConfig configs[] = {
        {.n_hosts = 0, .ports = {1024, 1025}},
        {.n_hosts = 1, .hosts = {one}, .ports = {1024, 1024}},
        {.n_hosts = 2, .hosts = {one, two}, .ports = {1024, 0}},
        {.n_hosts = 2, .hosts = {one, two}, .advertised = {two}, .ports = {1024, 1025}},
        {.n_hosts = 1, .hosts = {one}, .advertised = {{.family = PH_FAMILY_IPV6}}, .ports = {1024}},
        {.n_hosts = 1, .hosts = {one}, .ports = {0, 1024}},
        {.n_hosts = 2, .hosts = {one, one}, .ports = {1024, 1025}},
        {.n_hosts = 3, .hosts = {one, two, one}, .ports = {1024, 1025}},
        {.n_hosts = 1, .hosts = {ph_address_ipv4(0, 0)}, .ports = {1024, 1025}},
        {.n_hosts = 1, .ports = {1024, 1025}, .hosts = {{.family = PH_FAMILY_IPV6}}},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(configs); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(PhHub) hub = ph_hub_new(NULL, &configs[i], &error);

        g_assert_null(hub);
        g_assert_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
    }
}

/* Behind a NAT that translates one to one a hub speaks of the addresses that clients know. */
static void test_a_hub_says_what_it_advertises(void)
{
    static const uint8_t id[12] = "abcdefghijkl";
    PhHubConfig config = {
        .n_hosts = 2,
        .hosts = {ph_address_ipv4(0x7f000001, 0), ph_address_ipv4(0x7f000002, 0)},
        .advertised = {ph_address_ipv4(0xcb00710a, 0), ph_address_ipv4(0xcb00710b, 0)},
    };
    g_autoptr(PhHub) hub = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(GSocket) socket = NULL;
    g_autoptr(GSocketAddress) to = NULL;
    PhStunTransaction transaction = ph_stun_transaction(id);
    PhStunAttribute attribute;
    PhStunMessage message;
    PhStunWriter writer;
    PhAddress other;
    uint8_t bytes[256];
    gssize n;

    free_port(&socket);
    config.ports[0] = free_port(NULL);
    do {
        config.ports[1] = free_port(NULL);
    } while (config.ports[0] == config.ports[1]);
    hub = ph_hub_new(NULL, &config, &error);
    g_assert_no_error(error);
    ph_stun_write_begin(&writer, bytes, sizeof(bytes), PH_STUN_REQUEST, PH_STUN_BINDING,
                        &transaction);
    to = g_inet_socket_address_new_from_string("127.0.0.1", config.ports[0]);
    n = g_socket_send_to(socket, to, (const char *)bytes, ph_stun_write_end(&writer), NULL, NULL);
    g_assert_cmpint(n, ==, PH_STUN_HEADER_BYTES);
    while (ph_hub_counters(hub, PH_FAMILY_IPV4)->answered == 0)
        g_main_context_iteration(NULL, TRUE);
    n = g_socket_receive(socket, (char *)bytes, sizeof(bytes), NULL, &error);
    g_assert_no_error(error);
    g_assert_cmpint(ph_stun_read(bytes, (size_t)n, &message), ==, PH_STUN_OK);
    g_assert_true(ph_stun_find(&message, PH_STUN_OTHER_ADDRESS, &attribute));
    g_assert_true(ph_stun_get_address(&message, &attribute, &other));
    g_assert_true(ph_address_equal_host(&other, &config.advertised[1]));
    g_assert_cmpuint(other.port, ==, config.ports[1]);
}

static void test_icmp_tells_nobody_there_from_blocked(void)
{
    g_autoptr(GSocket) silent = NULL;
    g_autofree char *nobody = g_strdup_printf("127.0.0.1:%u", free_port(NULL));
    g_autofree char *somebody = g_strdup_printf("127.0.0.1:%u", free_port(&silent));
    g_auto(Outcome) rejected = {0}, blocked = {0};

    ph_classify_server_async(nobody, PH_CLASSIFY_DEFAULT, NULL, take_outcome, &rejected);
    classify(somebody, NULL, &blocked);
    while (!rejected.done)
        g_main_context_iteration(NULL, TRUE);
    g_assert_no_error(rejected.error);
    g_assert_no_error(blocked.error);
    g_assert_cmpint(rejected.classification.nat_class, ==, PH_CLASS_UNKNOWN);
    g_assert_nonnull(strstr(rejected.classification.why.nat_class, "nobody listens"));
    g_assert_cmpint(blocked.classification.nat_class, ==, PH_CLASS_UDP_BLOCKED);
}

static void test_a_server_without_sense_is_refused(void)
{
    const char *const servers[] = {
        "", ":3478", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:port", "[::1"};

    for (size_t i = 0; i < G_N_ELEMENTS(servers); i++) {
        g_auto(Outcome) outcome = {0};

        classify(servers[i], NULL, &outcome);
        g_assert_false(outcome.ok);
        g_assert_nonnull(outcome.error);
    }
}

static gboolean cancel(gpointer data)
{
    g_cancellable_cancel(data);
    return G_SOURCE_REMOVE;
}

static void test_it_can_be_cancelled(void)
{
    g_autoptr(GSocket) silent = NULL;
    g_autofree char *server = g_strdup_printf("127.0.0.1:%u", free_port(&silent));
    g_autoptr(GCancellable) cancellable = g_cancellable_new();
    g_auto(Outcome) outcome = {0};

    g_idle_add_full(G_PRIORITY_LOW, cancel, cancellable, NULL);
    classify(server, cancellable, &outcome);
    g_assert_error(outcome.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
}

static gboolean answer_nonsense(GSocket *socket, GIOCondition condition G_GNUC_UNUSED,
                                gpointer data G_GNUC_UNUSED)
{
    g_autoptr(GSocketAddress) from = NULL;
    char bytes[2048];
    gssize n = g_socket_receive_from(socket, &from, bytes, sizeof(bytes), NULL, NULL);

    if (n > 20) {
        bytes[0] = 1; /* a success, with its transaction, */
        bytes[1] = 1;
        for (gssize i = 20; i < n; i++)
            bytes[i] = (char)0xff; /* and then rubbish */
        g_socket_send_to(socket, from, bytes, (gsize)n, NULL, NULL);
        g_socket_send_to(socket, from, "nonsense", 8, NULL, NULL);
        g_socket_send_to(socket, from, "", 0, NULL, NULL);
        g_socket_send_to(socket, from, bytes, 19, NULL, NULL);
    }
    return G_SOURCE_CONTINUE;
}

static void test_nonsense_is_not_believed(void)
{
    g_autoptr(GSocket) socket = NULL;
    g_autofree char *server = g_strdup_printf("127.0.0.1:%u", free_port(&socket));
    g_autoptr(GSource) source = g_socket_create_source(socket, G_IO_IN, NULL);
    g_auto(Outcome) outcome = {0};

    g_source_set_callback(source, G_SOURCE_FUNC(answer_nonsense), NULL, NULL);
    g_source_attach(source, NULL);
    classify(server, NULL, &outcome);
    g_source_destroy(source);
    g_assert_no_error(outcome.error);
    g_assert_cmpint(outcome.classification.mapping, ==, PH_MAPPING_UNKNOWN);
    g_assert_cmpint(outcome.classification.mapped.family, ==, PH_FAMILY_NONE);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/io/all_four_sockets_tell_everything", test_all_four_sockets_tell_everything);
    g_test_add_func("/io/a_name_is_looked_up", test_a_name_is_looked_up);
    g_test_add_func("/io/one_address_says_what_it_cannot_tell",
                    test_one_address_says_what_it_cannot_tell);
    g_test_add_func("/io/a_burst_is_answered_to_the_last_one",
                    test_a_burst_is_answered_to_the_last_one);
    g_test_add_func("/io/what_is_too_long_is_counted", test_what_is_too_long_is_counted);
    g_test_add_func("/io/hubs_of_both_families_are_one", test_hubs_of_both_families_are_one);
    g_test_add_func("/io/a_port_that_is_taken_is_an_error", test_a_port_that_is_taken_is_an_error);
    g_test_add_func("/io/a_config_without_sense_is_refused",
                    test_a_config_without_sense_is_refused);
    g_test_add_func("/io/a_hub_says_what_it_advertises", test_a_hub_says_what_it_advertises);
    g_test_add_func("/io/icmp_tells_nobody_there_from_blocked",
                    test_icmp_tells_nobody_there_from_blocked);
    g_test_add_func("/io/a_server_without_sense_is_refused",
                    test_a_server_without_sense_is_refused);
    g_test_add_func("/io/it_can_be_cancelled", test_it_can_be_cancelled);
    g_test_add_func("/io/nonsense_is_not_believed", test_nonsense_is_not_believed);
    return g_test_run();
}
