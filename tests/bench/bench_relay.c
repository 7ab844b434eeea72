/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How many packets a relay forwards for a second of its processor's time: our hub, which
 * authenticates each when it comes and when it goes, and TURN servers, which do not. They have
 * their turns at the same address, round after round, on the loopback of a sandbox: server on one
 * processor, both clients (relayed.c) on another.
 */
#include <json-glib/json-glib.h>
#include <pinhole/key.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "die.h"
#include "machine/sandbox.h"
#include "relayed.h"
#include "server.h"
#include "wiring/rtnl.h"

#define SERVERS_MAX 4
#define ADDRESS     0x7f000001 /* 127.0.0.1 */
#define NS_PER_MS   UINT64_C(1000000)
#define WARM_NS     (200 * NS_PER_MS)
#define START_NS    (10000 * NS_PER_MS)
#define WINDOW_MAX  1024

typedef enum { PER_CPU, BYTES_PER_CPU, CPU_NS, PER_SECOND, LOST, FIGURES } Figure;

static const struct {
    const char *key;
    const char *text; /* the column's head, as wide as the column */
    int decimals;
} figures[FIGURES] = {
    [PER_CPU] = {"packets_per_cpu_s", "packets/CPU s", 0},
    [BYTES_PER_CPU] = {"mbytes_per_cpu_s", "MB/CPU s", 1},
    [CPU_NS] = {"cpu_ns_per_packet", "CPU ns each", 0},
    [PER_SECOND] = {"packets_per_s", "packets/s", 0},
    [LOST] = {"lost_percent", "lost %", 3},
};

static const gsize lengths[] = {100, 1100};
#define LENGTHS G_N_ELEMENTS(lengths)

static int rounds = 7, milliseconds = 1000, window = 256, port = 3478;
static gboolean json;
static Server servers[SERVERS_MAX];
static RelayedKind kinds[SERVERS_MAX];
static unsigned n_servers;
static PhKey hub_key;
/* Shared with the sandbox. */
static double (*values)[LENGTHS][FIGURES][SERVER_ROUNDS_MAX];

static void measure_length(Relayed *relayed, const Server *server, clockid_t clock, gsize length,
                           double *ret_figures)
{
    RelayedResult result;
    double before, took;

    relayed_run(relayed, length, (unsigned)window, WARM_NS, &result);
    before = server_cpu_seconds(clock);
    relayed_run(relayed, length, (unsigned)window, (uint64_t)milliseconds * NS_PER_MS, &result);
    took = server_cpu_seconds(clock) - before;
    if (result.came == 0)
        die("%s does not relay packets of %zu bytes", server->name, length);
    ret_figures[PER_CPU] = (double)result.came / took;
    ret_figures[BYTES_PER_CPU] = (double)(result.came * length) / took / 1e6;
    ret_figures[CPU_NS] = took * 1e9 / (double)result.came;
    ret_figures[PER_SECOND] = (double)result.came / result.seconds;
    ret_figures[LOST] = 100.0 * (double)result.lost / (double)(result.came + result.lost);
}

static void measure_server(unsigned number, unsigned round)
{
    const Server *server = &servers[number];
    PhAddress address = ph_address_ipv4(ADDRESS, (uint16_t)port);
    pid_t pid = server_start(server);
    g_autoptr(Relayed) relayed =
        relayed_new(kinds[number], &address, hub_key.public_half, START_NS);
    clockid_t clock;

    if (!relayed)
        die("%s does not relay: is \"%s\" the right command?", server->name, server->argv[0]);
    if (clock_getcpuclockid(pid, &clock) != 0)
        die("%s has ended", server->name);
    for (size_t i = 0; i < LENGTHS; i++) {
        double of_round[FIGURES];

        measure_length(relayed, server, clock, lengths[i], of_round);
        for (Figure figure = 0; figure < FIGURES; figure++)
            values[number][i][figure][round] = of_round[figure];
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

static double median(unsigned server, size_t length, Figure figure)
{
    return server_median(values[server][length][figure], (size_t)rounds);
}

static void print_table(void)
{
    printf("Packets that are relayed, %d under way at a time, median of %d\n", window, rounds);
    printf("  %-8s%-16s", "bytes", "server");
    for (Figure figure = 0; figure < FIGURES; figure++)
        printf("  %s", figures[figure].text);
    puts("");
    for (size_t length = 0; length < LENGTHS; length++) {
        for (unsigned i = 0; i < n_servers; i++) {
            printf("  %-8zu%-16s", lengths[length], servers[i].name);
            for (Figure figure = 0; figure < FIGURES; figure++)
                printf("  %*.*f", (int)strlen(figures[figure].text), figures[figure].decimals,
                       median(i, length, figure));
            if (i > 0)
                printf("  %s is %.2f times as fast per CPU", servers[0].name,
                       median(0, length, PER_CPU) / median(i, length, PER_CPU));
            puts("");
        }
        printf("  %-8zu%-16s  %*.0f ns of ours: to open and to seal one\n", lengths[length], "", 45,
               relayed_crypto_ns(lengths[length]));
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
    for (size_t length = 0; length < LENGTHS; length++) {
        g_autofree char *name = g_strdup_printf("%zu", lengths[length]);

        json_builder_set_member_name(builder, name);
        json_builder_begin_object(builder);
        json_builder_set_member_name(builder, "open_and_seal_ns");
        json_builder_add_double_value(builder, relayed_crypto_ns(lengths[length]));
        for (unsigned i = 0; i < n_servers; i++) {
            json_builder_set_member_name(builder, servers[i].name);
            json_builder_begin_object(builder);
            for (Figure figure = 0; figure < FIGURES; figure++) {
                json_builder_set_member_name(builder, figures[figure].key);
                json_builder_add_double_value(builder, median(i, length, figure));
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

/* "KIND:NAME=COMMAND". */
static void read_relay(const char *word)
{
    if (g_str_has_prefix(word, "hub:"))
        kinds[n_servers] = RELAYED_HUB;
    else if (g_str_has_prefix(word, "turn:"))
        kinds[n_servers] = RELAYED_TURN;
    else
        die("%s: expected hub:NAME=COMMAND or turn:NAME=COMMAND", word);
    server_read(strchr(word, ':') + 1, &servers[n_servers++]);
}

static void read_arguments(int argc, char **argv)
{
    g_autoptr(GOptionContext) context = g_option_context_new("KIND:NAME=COMMAND...");
    g_autofree char *key = NULL;
    const GOptionEntry entries[] = {
        {"json", 0, 0, G_OPTION_ARG_NONE, &json, "print a JSON object", NULL},
        {"rounds", 0, 0, G_OPTION_ARG_INT, &rounds, "of each server (default 7)", "N"},
        {"duration", 0, 0, G_OPTION_ARG_INT, &milliseconds, "of one measurement (1000)", "MS"},
        {"window", 0, 0, G_OPTION_ARG_INT, &window, "packets under way at a time (256)", "N"},
        {"port", 0, 0, G_OPTION_ARG_INT, &port, "where servers listen (3478)", "PORT"},
        {"key", 0, 0, G_OPTION_ARG_FILENAME, &key, "the key of hubs", "FILE"},
        G_OPTION_ENTRY_NULL,
    };
    g_autoptr(GError) error = NULL;

    g_option_context_set_summary(context, "Measures relays that listen on 127.0.0.1, each against "
                                          "the first.");
    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, &argc, &argv, &error) ||
        (key && !ph_key_load(key, &hub_key, &error)))
        die("%s", error->message);
    if (rounds < 1 || rounds > SERVER_ROUNDS_MAX || milliseconds < 1 || milliseconds > 60000 ||
        window < 64 || window > WINDOW_MAX || port < 1 || port > G_MAXUINT16)
        die("expected 1 to %d rounds of 1 to 60000 ms, a window of 64 to %d, a port of 1 to 65535",
            SERVER_ROUNDS_MAX, WINDOW_MAX);
    if (argc < 2 || argc > 1 + SERVERS_MAX)
        die("expected one to %d relays", SERVERS_MAX);
    for (int i = 1; i < argc; i++)
        read_relay(argv[i]);
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
