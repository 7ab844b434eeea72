/* SPDX-License-Identifier: MIT */
/* One question, the lifetime test and the watcher on real sockets, on loopback. */
#include <gio/gio.h>
#include <netinet/in.h>
#include <pinhole/ask.h>
#include <pinhole/measure.h>
#include <pinhole/watcher.h>
#include <string.h>

#include "io_hub.h"

#define MS G_GUINT64_CONSTANT(1000000)
#define S  (1000 * MS)

typedef struct Outcome {
    gboolean done, ok;
    PhAnswer answer;
    PhLifetimeResult lifetime;
    GError *error;
} Outcome;

static void outcome_clear(Outcome *outcome)
{
    g_clear_error(&outcome->error);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Outcome, outcome_clear)

static void take_answer(GObject *object G_GNUC_UNUSED, GAsyncResult *result, gpointer data)
{
    Outcome *outcome = data;

    outcome->ok = ph_ask_server_finish(result, &outcome->answer, &outcome->error);
    outcome->done = TRUE;
}

static void take_lifetime(GObject *object G_GNUC_UNUSED, GAsyncResult *result, gpointer data)
{
    Outcome *outcome = data;

    outcome->ok = ph_measure_lifetime_finish(result, &outcome->lifetime, NULL, &outcome->error);
    outcome->done = TRUE;
}

static void await(const Outcome *outcome)
{
    while (!outcome->done)
        g_main_context_iteration(NULL, TRUE);
    g_assert_true(outcome->ok == !outcome->error);
}

static void test_N1_a_fresh_socket_learns_its_address(void)
{
    uint16_t port;
    g_autoptr(PhHub) hub = start_hub(1, &port);
    g_autofree char *server = g_strdup_printf("127.0.0.1:%u", port);
    g_auto(Outcome) outcome = {0};

    ph_ask_server_async(server, NULL, NULL, take_answer, &outcome);
    await(&outcome);
    g_assert_no_error(outcome.error);
    g_assert_cmpuint(ph_address_ipv4_number(&outcome.answer.mapped), ==, 0x7f000001);
    g_assert_cmpuint(outcome.answer.mapped.port, ==, outcome.answer.local.port);
    g_assert_cmpuint(outcome.answer.server.port, ==, port);
    g_assert_cmpuint(outcome.answer.rtt_ns, >, 0);
    g_assert_cmpuint(ph_hub_counters(hub, PH_FAMILY_IPV4)->received, ==, 1);
}

static void test_N1_a_socket_of_the_callers_learns_its_address_and_stays(void)
{
    uint16_t port;
    G_GNUC_UNUSED g_autoptr(PhHub) hub = start_hub(1, &port);
    g_autofree char *server = g_strdup_printf("127.0.0.1:%u", port);
    g_autoptr(GSocket) mine = NULL;
    uint16_t my_port = free_port(&mine);

    for (unsigned i = 0; i < 2; i++) {
        g_auto(Outcome) outcome = {0};

        ph_ask_server_async(server, mine, NULL, take_answer, &outcome);
        await(&outcome);
        g_assert_no_error(outcome.error);
        g_assert_cmpuint(outcome.answer.mapped.port, ==, my_port);
    }
    g_assert_false(g_socket_is_closed(mine));
}

static void test_a_socket_of_no_use_is_an_error(void)
{
    uint16_t port;
    G_GNUC_UNUSED g_autoptr(PhHub) hub = start_hub(1, &port);
    g_autofree char *server = g_strdup_printf("127.0.0.1:%u", port);
    g_autoptr(GSocket) tcp =
        g_socket_new(G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_TCP, NULL);
    g_auto(Outcome) outcome = {0};

    ph_ask_server_async(server, tcp, NULL, take_answer, &outcome);
    await(&outcome);
    g_assert_error(outcome.error, G_IO_ERROR, G_IO_ERROR_FAILED);
}

static void test_nobody_and_silence_are_two_errors(void)
{
    g_autoptr(GSocket) silent = NULL;
    g_autofree char *nobody = g_strdup_printf("127.0.0.1:%u", free_port(NULL));
    g_autofree char *somebody = g_strdup_printf("127.0.0.1:%u", free_port(&silent));
    g_auto(Outcome) refused = {0}, unanswered = {0};

    ph_ask_server_async(nobody, NULL, NULL, take_answer, &refused);
    ph_ask_server_async(somebody, NULL, NULL, take_answer, &unanswered);
    await(&refused);
    await(&unanswered);
    g_assert_error(refused.error, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED);
    g_assert_error(unanswered.error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
}

/* Also by a socket of the caller's, which is then as it was; and soon. */
static void test_a_refusal_ends_the_question(void)
{
    g_autofree char *nobody = g_strdup_printf("127.0.0.1:%u", free_port(NULL));
    g_autoptr(GSocket) mine = NULL;
    uint16_t my_port = free_port(&mine);

    g_assert_cmpuint(my_port, !=, 0);
    for (unsigned i = 0; i < 2; i++) {
        gint64 start = g_get_monotonic_time();
        g_auto(Outcome) refused = {0};
        int errors;

        ph_ask_server_async(nobody, i ? mine : NULL, NULL, take_answer, &refused);
        await(&refused);
        g_assert_error(refused.error, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED);
        g_assert_cmpint(g_get_monotonic_time() - start, <, 3 * G_USEC_PER_SEC);
        while (g_main_context_iteration(NULL, FALSE))
            continue;
        g_assert_true(g_socket_get_option(mine, IPPROTO_IP, IP_RECVERR, &errors, NULL));
        g_assert_cmpint(errors, ==, 0);
    }
}

static void test_a_server_without_sense_is_refused(void)
{
    g_auto(Outcome) asked = {0}, measured = {0}, brief = {0};
    PhWatcherConfig config = {.server = ":1"};
    g_autoptr(GError) error = NULL;

    ph_ask_server_async("", NULL, NULL, take_answer, &asked);
    await(&asked);
    g_assert_error(asked.error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
    ph_measure_lifetime_async("127.0.0.1:0", 0, NULL, take_lifetime, &measured);
    await(&measured);
    g_assert_error(measured.error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
    ph_measure_lifetime_async("127.0.0.1", PH_LIFETIME_LEAST_NS - 1, NULL, take_lifetime, &brief);
    await(&brief);
    g_assert_error(brief.error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
    g_assert_null(ph_watcher_new(&config, NULL, NULL, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
}

static void test_where_nothing_forgets_a_mapping_outlives_the_test(void)
{
    uint16_t port;
    G_GNUC_UNUSED g_autoptr(PhHub) hub = start_hub(2, &port);
    g_autofree char *server = g_strdup_printf("127.0.0.1:%u", port);
    g_auto(Outcome) outcome = {0};

    ph_measure_lifetime_async(server, 5 * S, NULL, take_lifetime, &outcome);
    await(&outcome);
    g_assert_no_error(outcome.error);
    g_assert_null(outcome.lifetime.why);
    g_assert_cmpuint(outcome.lifetime.alive_ns, ==, 5 * S);
    g_assert_cmpuint(outcome.lifetime.gone_ns, ==, 0);
}

static gboolean cancel(gpointer data)
{
    g_cancellable_cancel(data);
    return G_SOURCE_REMOVE;
}

static void test_the_lifetime_test_can_be_cancelled(void)
{
    g_autoptr(GSocket) silent = NULL;
    g_autofree char *server = g_strdup_printf("127.0.0.1:%u", free_port(&silent));
    g_autoptr(GCancellable) cancellable = g_cancellable_new();
    g_auto(Outcome) outcome = {0};

    ph_measure_lifetime_async(server, 0, cancellable, take_lifetime, &outcome);
    g_idle_add_full(G_PRIORITY_LOW, cancel, cancellable, NULL);
    await(&outcome);
    g_assert_error(outcome.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
}

typedef struct Seen {
    guint changes;
    PhClass nat_class;
    gboolean free_it;
    PhWatcher *freed;
} Seen;

static void take_change(PhWatcher *watcher, const PhClassification *current, gpointer data)
{
    Seen *seen = data;

    seen->changes++;
    seen->nat_class = current->nat_class;
    g_assert_true(current == ph_watcher_current(watcher));
    if (seen->free_it) {
        seen->freed = watcher;
        ph_watcher_free(watcher);
    }
}

/* Until it has run that many. */
static void await_runs(PhWatcher *watcher, guint64 runs)
{
    const PhWatchCounters *counters = ph_watcher_counters(watcher);

    for (guint64 n = 0; n < runs;) {
        g_main_context_iteration(NULL, TRUE);
        n = 0;
        for (guint i = 0; i < PH_CLASS_N; i++)
            n += counters->results[i];
    }
}

static const PhWatchConfig quick = {.interval_ns = 50 * MS, .confirm_ns = 50 * MS, .gap_ns = MS};

static void test_N4_many_runs_are_one_change(void)
{
    uint16_t port;
    g_autoptr(PhHub) hub = start_hub(2, &port);
    g_autofree char *server = g_strdup_printf("127.0.0.1:%u", port);
    PhWatcherConfig config = {
        .server = server, .watch = quick, .flags = PH_CLASSIFY_REPORT, .reflex_ns = 10 * MS};
    Seen seen = {0};
    uint64_t votes[PH_CLASS_N];
    g_autoptr(PhWatcher) watcher = ph_watcher_new(&config, take_change, &seen, NULL);

    g_assert_null(ph_watcher_current(watcher));
    g_assert_cmpuint(seen.changes, ==, 0);
    await_runs(watcher, 5);
    g_assert_cmpuint(seen.changes, ==, 1);
    g_assert_cmpint(seen.nat_class, ==, PH_CLASS_DIRECT);
    ph_hub_classes(hub, PH_FAMILY_IPV4, votes);
    for (guint i = 0; i < PH_CLASS_N; i++)
        g_assert_cmpuint(votes[i], ==, i == PH_CLASS_DIRECT);
    ph_hub_classes(hub, PH_FAMILY_IPV6, votes);
    g_assert_cmpuint(votes[PH_CLASS_DIRECT], ==, 0);
}

static void test_N4_it_classifies_on_demand_and_when_a_peer_sees_another_address(void)
{
    uint16_t port;
    G_GNUC_UNUSED g_autoptr(PhHub) hub = start_hub(2, &port);
    g_autofree char *server = g_strdup_printf("127.0.0.1:%u", port);
    PhWatcherConfig config = {.server = server, .watch = {.gap_ns = MS}};
    PhAddress elsewhere = ph_address_ipv4(0xcb007163, 5000);
    Seen seen = {0};
    g_autoptr(PhWatcher) watcher = ph_watcher_new(&config, take_change, &seen, NULL);

    await_runs(watcher, 1);
    ph_watcher_demand(watcher);
    await_runs(watcher, 2);
    ph_watcher_reflex(watcher, &elsewhere);
    await_runs(watcher, 3);
    g_assert_cmpuint(seen.changes, ==, 1);
}

static gboolean quit(gpointer data)
{
    g_main_loop_quit(data);
    return G_SOURCE_REMOVE;
}

static void test_never_is_never(void)
{
    uint16_t port;
    g_autoptr(PhHub) hub = start_hub(2, &port);
    g_autofree char *server = g_strdup_printf("127.0.0.1:%u", port);
    PhWatcherConfig config = {
        .server = server, .watch = {.interval_ns = UINT64_MAX}, .reflex_ns = UINT64_MAX};
    g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
    Seen seen = {0};
    g_autoptr(PhWatcher) watcher = ph_watcher_new(&config, take_change, &seen, NULL);
    guint64 received;

    await_runs(watcher, 1);
    received = ph_hub_counters(hub, PH_FAMILY_IPV4)->received;
    g_timeout_add(100, quit, loop);
    g_main_loop_run(loop);
    g_assert_cmpuint(ph_watcher_counters(watcher)->classifications, ==, 1);
    g_assert_cmpuint(ph_hub_counters(hub, PH_FAMILY_IPV4)->received, ==, received);
}

static void test_a_watcher_may_be_freed_by_its_callback(void)
{
    uint16_t port;
    G_GNUC_UNUSED g_autoptr(PhHub) hub = start_hub(2, &port);
    g_autofree char *server = g_strdup_printf("127.0.0.1:%u", port);
    PhWatcherConfig config = {.server = server, .watch = quick, .reflex_ns = MS};
    Seen seen = {.free_it = TRUE};
    PhWatcher *watcher = ph_watcher_new(&config, take_change, &seen, NULL);

    while (!seen.freed)
        g_main_context_iteration(NULL, TRUE);
    g_assert_true(seen.freed == watcher);
    while (g_main_context_iteration(NULL, FALSE))
        continue;
    g_assert_cmpuint(seen.changes, ==, 1);
}

static void test_a_name_that_is_not_known_is_an_unknown_class(void)
{
    PhWatcherConfig config = {.server = "name.invalid", .watch = quick};
    Seen seen = {0};
    g_autoptr(PhWatcher) watcher = ph_watcher_new(&config, take_change, &seen, NULL);

    await_runs(watcher, 4);
    g_assert_cmpuint(seen.changes, ==, 1);
    g_assert_cmpint(seen.nat_class, ==, PH_CLASS_UNKNOWN);
    g_assert_nonnull(strstr(ph_watcher_current(watcher)->why.nat_class, "name"));
}

static void test_one_port_is_enough_for_a_peer(void)
{
    PhHubConfig config = {.n_hosts = 1, .hosts = {ph_address_ipv4(0x7f000001, 0)}};
    g_autofree char *server = NULL;
    g_auto(Outcome) outcome = {0};
    g_autoptr(GError) error = NULL;
    G_GNUC_UNUSED g_autoptr(PhHub) hub = NULL;
    PhAddress addresses[PH_HUB_ADDRESSES];

    config.ports[0] = free_port(NULL);
    hub = ph_hub_new(NULL, &config, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(ph_hub_addresses(hub, addresses), ==, 1);
    server = g_strdup_printf("127.0.0.1:%u", config.ports[0]);
    ph_ask_server_async(server, NULL, NULL, take_answer, &outcome);
    await(&outcome);
    g_assert_no_error(outcome.error);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(function) g_test_add_func("/watcher/" #function, test_##function)
    ADD(N1_a_fresh_socket_learns_its_address);
    ADD(N1_a_socket_of_the_callers_learns_its_address_and_stays);
    ADD(a_socket_of_no_use_is_an_error);
    ADD(nobody_and_silence_are_two_errors);
    ADD(a_refusal_ends_the_question);
    ADD(a_server_without_sense_is_refused);
    ADD(where_nothing_forgets_a_mapping_outlives_the_test);
    ADD(the_lifetime_test_can_be_cancelled);
    ADD(N4_many_runs_are_one_change);
    ADD(N4_it_classifies_on_demand_and_when_a_peer_sees_another_address);
    ADD(never_is_never);
    ADD(a_watcher_may_be_freed_by_its_callback);
    ADD(a_name_that_is_not_known_is_an_unknown_class);
    ADD(one_port_is_enough_for_a_peer);
    return g_test_run();
}
