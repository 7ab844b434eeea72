/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a lab carries, on engine fabric and, in the same run, on engine kernel: alice behind a NAT,
 * and the hub.
 *
 *   packets a second   alice sends as fast as the hub receives, a window of packets at a time, so
 *                      that none is lost; UDP with 64 and with 1400 bytes of data
 *   round trip         one packet there and one back at a time, in one process: median and 99th
 *                      percentile
 */
#include <arpa/inet.h>
#include <errno.h>
#include <json-glib/json-glib.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "die.h"
#include "fabric/fabric.h"
#include "kernel/kernel.h"
#include "machine/clock.h"
#include "machine/sandbox.h"

#define TOPOLOGY PL_SOURCE_DIR "/topologies/port-restricted.ini"
#define ROUNDS   5
#define TRIPS    20000u
#define TRIPS_IN 1000u /* before they count */
#define WINDOW   256u  /* less than the queue of any interface */
#define BATCH    32u
#define RUN_NS   (1000 * G_GUINT64_CONSTANT(1000000))
#define PORT     9000

typedef enum { SMALL, LARGE, MEDIAN, PERCENTILE, FIGURES } Figure;

static const struct {
    const char *key, *text;
} figures[FIGURES] = {
    [SMALL] = {"small_packets_per_s", "packets/s, 64 bytes of data"},
    [LARGE] = {"large_packets_per_s", "packets/s, 1400 bytes of data"},
    [MEDIAN] = {"round_trip_median_us", "round trip, median, us"},
    [PERCENTILE] = {"round_trip_p99_us", "round trip, 99th percentile, us"},
};

static const size_t data_bytes[] = {[SMALL] = 64, [LARGE] = 1400};

static const PlEngine *const engines[] = {&pl_kernel_engine, &pl_fabric_engine};
#define ENGINES G_N_ELEMENTS(engines)

/* Between processes. */
typedef struct Shared {
    _Atomic uint64_t received;
    double result[FIGURES];
} Shared;

static const PlTopology *topology;
static const PlEngine *engine;
static Shared *shared;

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* A socket on a host, whose namespace we are in from then on. */
static int host_socket(PlLab *lab, const char *name, uint16_t port, struct sockaddr_in *ret_address)
{
    const PlNode *host = pl_topology_node(topology, name);
    const PlAttachment *own = g_ptr_array_index(host->attachments, 0);
    const int size = 4 << 20;
    int fd;

    if (setns(engine->netns(lab, host), CLONE_NEWNET) < 0)
        die("cannot enter %s: %s", name, g_strerror(errno));
    *ret_address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
    ret_address->sin_addr.s_addr =
        htonl(ph_address_ipv4_number(&g_array_index(own->addresses, PhAddress, 0)));
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)ret_address, sizeof(*ret_address)) < 0)
        die("a socket on %s: %s", name, g_strerror(errno));
    /* Where we may not, the window still fits. */
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
    return fd;
}

/* ---- packets a second ---- */

static void prepare(struct mmsghdr *messages, struct iovec *vectors, uint8_t *data, size_t length)
{
    for (unsigned i = 0; i < BATCH; i++) {
        vectors[i] = (struct iovec){data, length};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &vectors[i], .msg_iovlen = 1};
    }
}

static void G_GNUC_NORETURN send_all(int fd, size_t length)
{
    static uint8_t data[2048];
    struct mmsghdr messages[BATCH];
    struct iovec vectors[BATCH];
    uint64_t sent = 0;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prepare(messages, vectors, data, length);
    for (;;) {
        int n;

        if (sent + BATCH - atomic_load(&shared->received) > WINDOW) {
            sched_yield();
            continue;
        }
        n = sendmmsg(fd, messages, BATCH, 0);
        if (n < 0)
            die("cannot send: %s", g_strerror(errno));
        sent += (unsigned)n;
    }
}

static uint64_t receive_some(int fd, struct mmsghdr *messages)
{
    int n = recvmmsg(fd, messages, BATCH, MSG_WAITFORONE, NULL);

    if (n < 0)
        die("nothing comes: %s", g_strerror(errno));
    return atomic_fetch_add(&shared->received, (unsigned)n) + (unsigned)n;
}

static double packets_per_second(int from, int to, size_t length)
{
    static uint8_t data[2048];
    struct mmsghdr messages[BATCH];
    struct iovec vectors[BATCH];
    uint64_t begin, before, after, now;
    pid_t sender;

    atomic_store(&shared->received, 0);
    prepare(messages, vectors, data, sizeof(data));
    sender = fork();
    if (sender == 0)
        send_all(from, length);
    begin = pl_now_ns() + RUN_NS / 4;
    do
        before = receive_some(to, messages);
    while ((now = pl_now_ns()) < begin);
    begin = now;
    do
        after = receive_some(to, messages);
    while ((now = pl_now_ns()) < begin + RUN_NS);
    kill(sender, SIGKILL);
    waitpid(sender, NULL, 0);
    return (double)(after - before) * 1e9 / (double)(now - begin);
}

/* ---- round trips ---- */

static void round_trips(int alice, int hub)
{
    static double trips_us[TRIPS];
    uint8_t data[64] = {0};

    for (unsigned i = 0; i < TRIPS_IN + TRIPS; i++) {
        struct sockaddr_in from;
        socklen_t length = sizeof(from);
        uint64_t start = pl_now_ns();

        if (send(alice, data, sizeof(data), 0) < 0 ||
            recvfrom(hub, data, sizeof(data), 0, (struct sockaddr *)&from, &length) < 0 ||
            sendto(hub, data, sizeof(data), 0, (struct sockaddr *)&from, length) < 0 ||
            recv(alice, data, sizeof(data), 0) < 0)
            die("a packet got lost: %s", g_strerror(errno));
        if (i >= TRIPS_IN)
            trips_us[i - TRIPS_IN] = (double)(pl_now_ns() - start) / 1000;
    }
    qsort(trips_us, TRIPS, sizeof(*trips_us), by_value);
    shared->result[MEDIAN] = trips_us[TRIPS / 2];
    shared->result[PERCENTILE] = trips_us[TRIPS / 100 * 99];
}

/* What is left of one measurement does not belong to the next. */
static void empty(int fd)
{
    uint8_t data[2048];
    const struct timeval pause = {.tv_usec = 100000}, patience = {.tv_sec = 5};

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &pause, sizeof(pause));
    while (recv(fd, data, sizeof(data), 0) >= 0)
        ;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
}

static int run_lab(gpointer data)
{
    g_autoptr(GError) error = NULL;
    struct sockaddr_in hub_address, alice_address;
    PlLab *lab = engine->up(topology, /* seed= */ 1, &error);
    int hub, alice;

    (void)data;
    if (!lab)
        die("%s", error->message);
    hub = host_socket(lab, "hub", PORT, &hub_address);
    alice = host_socket(lab, "alice", PORT, &alice_address);
    if (connect(alice, (struct sockaddr *)&hub_address, sizeof(hub_address)) < 0)
        die("cannot connect: %s", g_strerror(errno));
    empty(hub);
    empty(alice);
    round_trips(alice, hub);
    for (Figure figure = SMALL; figure <= LARGE; figure++) {
        shared->result[figure] = packets_per_second(alice, hub, data_bytes[figure]);
        empty(hub);
    }
    engine->down(lab);
    return 0;
}

static void run_round(double ret_result[FIGURES])
{
    g_autoptr(GError) error = NULL;
    PlSandbox sandbox;

    if (!pl_sandbox_start(run_lab, NULL, &sandbox, &error))
        die("%s", error->message);
    if (pl_sandbox_wait(&sandbox) != 0)
        die("a round on engine %s failed", engine->name);
    memcpy(ret_result, shared->result, sizeof(shared->result));
}

/* In turn, so that both see the machine in the same mood. */
static void measure(unsigned n, double ret_medians[ENGINES][FIGURES])
{
    g_autofree double *values = g_new0(double, ENGINES *FIGURES *n);
    double result[FIGURES];

    for (unsigned round = 0; round < n; round++) {
        for (size_t i = 0; i < ENGINES; i++) {
            engine = engines[i];
            run_round(result);
            for (Figure figure = 0; figure < FIGURES; figure++)
                values[(i * FIGURES + figure) * n + round] = result[figure];
        }
    }
    for (size_t i = 0; i < ENGINES; i++) {
        for (Figure figure = 0; figure < FIGURES; figure++) {
            double *of = &values[(i * FIGURES + figure) * n];

            qsort(of, n, sizeof(*of), by_value);
            ret_medians[i][figure] = of[n / 2];
        }
    }
}

static void print_table(double medians[ENGINES][FIGURES], unsigned n)
{
    printf("%s: two hosts and a NAT, median of %u rounds\n", topology->name, n);
    printf("  %-34s %10s %10s\n", "", engines[0]->name, engines[1]->name);
    for (Figure figure = 0; figure < FIGURES; figure++)
        printf("  %-34s %10.*f %10.*f\n", figures[figure].text, figure < MEDIAN ? 0 : 1,
               medians[0][figure], figure < MEDIAN ? 0 : 1, medians[1][figure]);
}

static void print_json(double medians[ENGINES][FIGURES], unsigned n)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();
    g_autoptr(JsonNode) root = NULL;
    g_autofree char *text = NULL;

    json_builder_begin_object(builder);
    json_builder_set_member_name(builder, "topology");
    json_builder_add_string_value(builder, topology->name);
    json_builder_set_member_name(builder, "rounds");
    json_builder_add_int_value(builder, n);
    for (size_t i = 0; i < ENGINES; i++) {
        json_builder_set_member_name(builder, engines[i]->name);
        json_builder_begin_object(builder);
        for (Figure figure = 0; figure < FIGURES; figure++) {
            json_builder_set_member_name(builder, figures[figure].key);
            json_builder_add_double_value(builder, medians[i][figure]);
        }
        json_builder_end_object(builder);
    }
    json_builder_end_object(builder);
    root = json_builder_get_root(builder);
    text = json_to_string(root, TRUE);
    puts(text);
}

int main(int argc, char **argv)
{
    g_autoptr(GOptionContext) context = g_option_context_new("[ROUNDS]");
    gboolean json = FALSE;
    const GOptionEntry entries[] = {
        {"json", 0, 0, G_OPTION_ARG_NONE, &json, "print a JSON object", NULL},
        G_OPTION_ENTRY_NULL,
    };
    g_autoptr(GError) error = NULL;
    double medians[ENGINES][FIGURES];
    guint64 n = ROUNDS;

    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, &argc, &argv, &error))
        die("%s", error->message);
    if (argc > 2 || (argc == 2 && !g_ascii_string_to_unsigned(argv[1], 10, 1, 1000, &n, NULL)))
        die("expected a number of rounds from 1 to 1000");
    topology = pl_topology_load(TOPOLOGY, &error);
    if (!topology)
        die("%s", error->message);
    shared = mmap(NULL, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        die("mmap: %s", g_strerror(errno));
    measure((unsigned)n, medians);
    if (json)
        print_json(medians, (unsigned)n);
    else
        print_table(medians, (unsigned)n);
    return 0;
}
