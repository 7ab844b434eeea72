/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How many Binding requests a STUN server answers for a second of its processor's time. The servers
 * have their turns at the same address, round after round, on the loopback of a sandbox: server on
 * one processor, client (load.c) on another, where there are two.
 *
 *     round:  server A: start -> await -> [ kind: warm up, measure, one at a time ]... -> end
 *             server B: the same
 */
#include <errno.h>
#include <json-glib/json-glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "die.h"
#include "load.h"
#include "machine/sandbox.h"
#include "server.h"
#include "wiring/rtnl.h"

#define SERVERS_MAX 4
#define ADDRESS     0x7f000001 /* 127.0.0.1 */
#define NS_PER_MS   UINT64_C(1000000)
#define WARM_NS     (200 * NS_PER_MS)
#define SINGLE_NS   (100 * NS_PER_MS)
#define START_NS    (10000 * NS_PER_MS)

typedef enum { PER_CPU, PER_SECOND, LATENCY, SINGLE, LOST, FIGURES } Figure;

static const struct {
    const char *key;
    const char *text; /* the column's head, as wide as the column */
    int decimals;
} figures[FIGURES] = {
    [PER_CPU] = {"answers_per_cpu_s", "answers/CPU s", 0},
    [PER_SECOND] = {"answers_per_s", "answers/s", 0},
    [LATENCY] = {"latency_us", "latency us", 0},
    [SINGLE] = {"latency_alone_us", "alone us", 0},
    [LOST] = {"lost_percent", "lost %", 3},
};

static const char *const kind_names[LOAD_KINDS] = {
    [LOAD_PLAIN] = "plain", [LOAD_PADDED] = "padded", [LOAD_FINGERPRINT] = "fingerprint"};

static int rounds = 7, milliseconds = 1000, window = 256, port = 3478;
static gboolean json;
static LoadKind first_kind = 0, end_kind = LOAD_KINDS;
static Server servers[SERVERS_MAX];
static unsigned n_servers;
/* Shared with the sandbox. */
static double (*values)[LOAD_KINDS][FIGURES][SERVER_ROUNDS_MAX];

static void measure_kind(const Server *server, clockid_t clock, LoadKind kind, double *ret_figures)
{
    PhAddress address = ph_address_ipv4(ADDRESS, (uint16_t)port);
    g_autoptr(GError) error = NULL;
    g_autoptr(Load) load = load_new(&address, kind, (unsigned)window, &error);
    g_autoptr(Load) single = load ? load_new(&address, kind, /* window= */ 1, &error) : NULL;
    LoadResult result, alone;
    double before, took;

    if (!single)
        die("%s", error->message);
    load_run(load, WARM_NS, &result);
    before = server_cpu_seconds(clock);
    load_run(load, (uint64_t)milliseconds * NS_PER_MS, &result);
    took = server_cpu_seconds(clock) - before;
    load_run(single, SINGLE_NS, &alone);
    if (result.answers == 0 || result.wrong + alone.wrong > 0)
        die("%s does not answer %s requests as it should", server->name, kind_names[kind]);
    ret_figures[PER_CPU] = (double)result.answers / took;
    ret_figures[PER_SECOND] = (double)result.answers / result.seconds;
    ret_figures[LATENCY] = result.median_us;
    ret_figures[SINGLE] = alone.median_us;
    ret_figures[LOST] = 100.0 * (double)result.lost / (double)(result.answers + result.lost);
}

static void measure_server(unsigned number, unsigned round)
{
    const Server *server = &servers[number];
    PhAddress address = ph_address_ipv4(ADDRESS, (uint16_t)port);
    g_autoptr(Load) first = load_new(&address, LOAD_PLAIN, /* window= */ 1, NULL);
    pid_t pid = server_start(server);
    clockid_t clock;

    if (!first || !load_await(first, START_NS))
        die("%s does not answer: is \"%s\" the right command?", server->name, server->argv[0]);
    if (clock_getcpuclockid(pid, &clock) != 0)
        die("%s has ended", server->name);
    for (LoadKind kind = first_kind; kind < end_kind; kind++) {
        double of_round[FIGURES];

        measure_kind(server, clock, kind, of_round);
        for (Figure figure = 0; figure < FIGURES; figure++)
            values[number][kind][figure][round] = of_round[figure];
    }
    server_end(pid);
}

static int measure(gpointer data)
{
    struct nl_sock *sock = pl_rtnl_open(NETLINK_ROUTE);

    (void)data;
    server_choose_processors();
    if (!sock || pl_rtnl_set_up(sock, "lo", TRUE) != 0)
        die("cannot set up loopback");
    nl_socket_free(sock);
    for (unsigned round = 0; round < (unsigned)rounds; round++) {
        for (unsigned i = 0; i < n_servers; i++)
            measure_server(i, round);
    }
    return 0;
}

static double median(unsigned server, LoadKind kind, Figure figure)
{
    return server_median(values[server][kind][figure], (size_t)rounds);
}

static void print_table(void)
{
    printf("Binding requests, %d under way at a time, median of %d\n", window, rounds);
    printf("  %-12s%-12s", "request", "server");
    for (Figure figure = 0; figure < FIGURES; figure++)
        printf("  %s", figures[figure].text);
    puts("");
    for (LoadKind kind = first_kind; kind < end_kind; kind++) {
        for (unsigned i = 0; i < n_servers; i++) {
            printf("  %-12s%-12s", kind_names[kind], servers[i].name);
            for (Figure figure = 0; figure < FIGURES; figure++)
                printf("  %*.*f", (int)strlen(figures[figure].text), figures[figure].decimals,
                       median(i, kind, figure));
            if (i > 0)
                printf("  %s is %.2f times as fast per CPU", servers[0].name,
                       median(0, kind, PER_CPU) / median(i, kind, PER_CPU));
            puts("");
        }
    }
}

static void print_json(void)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();
    g_autoptr(JsonNode) root = NULL;
    g_autofree char *text = NULL;

    json_builder_begin_object(builder);
    json_builder_set_member_name(builder, "rounds");
    json_builder_add_int_value(builder, rounds);
    json_builder_set_member_name(builder, "window");
    json_builder_add_int_value(builder, window);
    for (LoadKind kind = first_kind; kind < end_kind; kind++) {
        json_builder_set_member_name(builder, kind_names[kind]);
        json_builder_begin_object(builder);
        for (unsigned i = 0; i < n_servers; i++) {
            json_builder_set_member_name(builder, servers[i].name);
            json_builder_begin_object(builder);
            for (Figure figure = 0; figure < FIGURES; figure++) {
                json_builder_set_member_name(builder, figures[figure].key);
                json_builder_add_double_value(builder, median(i, kind, figure));
            }
            json_builder_end_object(builder);
        }
        json_builder_end_object(builder);
    }
    json_builder_end_object(builder);
    root = json_builder_get_root(builder);
    text = json_to_string(root, TRUE);
    puts(text);
}

static void choose_kind(const char *name)
{
    first_kind = 0;
    while (first_kind < LOAD_KINDS && strcmp(kind_names[first_kind], name) != 0)
        first_kind++;
    if (first_kind == LOAD_KINDS)
        die("--request %s: expected plain, padded or fingerprint", name);
    end_kind = first_kind + 1;
}

static void read_arguments(int argc, char **argv)
{
    g_autoptr(GOptionContext) context = g_option_context_new("NAME=COMMAND...");
    g_autofree char *request = NULL;
    const GOptionEntry entries[] = {
        {"json", 0, 0, G_OPTION_ARG_NONE, &json, "print a JSON object", NULL},
        {"rounds", 0, 0, G_OPTION_ARG_INT, &rounds, "of each server (default 7)", "N"},
        {"duration", 0, 0, G_OPTION_ARG_INT, &milliseconds, "of one measurement (1000)", "MS"},
        {"window", 0, 0, G_OPTION_ARG_INT, &window, "requests under way at a time (256)", "N"},
        {"request", 0, 0, G_OPTION_ARG_STRING, &request, "plain, padded or fingerprint only",
         "KIND"},
        {"port", 0, 0, G_OPTION_ARG_INT, &port, "where servers listen (3478)", "PORT"},
        G_OPTION_ENTRY_NULL,
    };
    g_autoptr(GError) error = NULL;

    g_option_context_set_summary(context, "Measures STUN servers that listen on 127.0.0.1, each "
                                          "against the first.");
    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, &argc, &argv, &error))
        die("%s", error->message);
    if (rounds < 1 || rounds > SERVER_ROUNDS_MAX || milliseconds < 1 || milliseconds > 60000 ||
        window < 1 || window > LOAD_WINDOW_MAX || port < 1 || port > G_MAXUINT16)
        die("expected 1 to %d rounds of 1 to 60000 ms, a window of 1 to %d, a port of 1 to 65535",
            SERVER_ROUNDS_MAX, LOAD_WINDOW_MAX);
    if (request)
        choose_kind(request);
    if (argc < 2 || argc > 1 + SERVERS_MAX)
        die("expected one to %d servers", SERVERS_MAX);
    for (int i = 1; i < argc; i++)
        server_read(argv[i], &servers[n_servers++]);
}

int main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    PlSandbox sandbox;

    read_arguments(argc, argv);
    values = mmap(NULL, sizeof(*values) * SERVERS_MAX, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (values == MAP_FAILED)
        die("mmap: %s", g_strerror(errno));
    if (!pl_sandbox_start(measure, NULL, &sandbox, &error))
        die("%s", error->message);
    if (pl_sandbox_wait(&sandbox) != 0)
        return 1;
    if (json)
        print_json();
    else
        print_table();
    return 0;
}
