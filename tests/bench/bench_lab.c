/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How long a lab of five nodes takes to stand, and to be gone. Each round is a sandbox of its own:
 *
 *   observer (its process 1)        lab (its child)
 *     starts the lab ─────────────▶ engine up: timed, with what it went into
 *     waits for the devices         a thin cable from each namespace to the observer's (not timed)
 *                                   notes the time, closes all it has, ends
 *     RTM_DELLINK for each cable ◀─ the kernel takes the namespaces apart
 *     a marker namespace, opened when the first device went and closed at once, is taken apart
 *     after them: when it has gone the others have gone entirely
 */
#include <errno.h>
#include <fcntl.h>
#include <json-glib/json-glib.h>
#include <linux/rtnetlink.h>
#include <netlink/msg.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "die.h"
#include "kernel/kernel.h"
#include "kernel/lab.h"
#include "machine/sandbox.h"
#include "wiring/rtnl.h"

#define TOPOLOGY  PL_SOURCE_DIR "/topologies/two-homes-routed.ini"
#define ROUNDS    50
#define NEWS_MS   5000
#define NS_PER_MS 1e6
#define TARGET_MS 10.0
#define PAUSE_MS  100L

typedef enum {
    UP,
    NAMESPACES,
    LINKS,
    ADDRESSES,
    SYSCTLS,
    RULES,
    WAITING,
    OTHER,
    CLOSE,
    DOWN,
    CERTAIN,
    RECORD,
    RECORD_STOP,
    PROGRAM,
    FIGURES,
} Figure;

static const struct {
    const char *key, *text;
} figures[FIGURES] = {
    [UP] = {"up_ms", "wired"},
    [NAMESPACES] = {"namespaces_ms", "  namespaces"},
    [LINKS] = {"links_ms", "  links"},
    [ADDRESSES] = {"addresses_ms", "  addresses and routes"},
    [SYSCTLS] = {"sysctls_ms", "  sysctls"},
    [RULES] = {"rules_ms", "  nftables"},
    [WAITING] = {"waiting_ms", "  waiting until links carry"},
    [OTHER] = {"other_ms", "  planning and the rest"},
    [CLOSE] = {"close_ms", "closing the descriptors"},
    [DOWN] = {"down_ms", "gone after that (the last device is)"},
    [CERTAIN] = {"certain_ms", "freed at the latest (a namespace after it is gone)"},
    [RECORD] = {"record_ms", "captures up"},
    [RECORD_STOP] = {"record_stop_ms", "captures down"},
    [PROGRAM] = {"program_ms", "a host's first program, to its end"},
};

/* Of one round; shared between its processes. */
typedef struct Round {
    double ms[FIGURES];
    uint64_t closing_ns, closed_ns;
    unsigned cables;
    gboolean use; /* captures and programs; else the end is timed */
} Round;

static const PlTopology *topology;
static Round *round_shared;

static uint64_t now_ns(void)
{
    return pl_lab_now(NULL);
}

/*
 * The kernel takes namespaces apart one batch after the other, each with two waits for RCU: what
 * the last round has left would be measured with this one. Nothing tells when it is done.
 */
static void let_kernel_finish(void)
{
    struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000};

    while (nanosleep(&pause, &pause) < 0 && errno == EINTR)
        ;
}

static void note_wiring(Round *result, const PlLab *lab, uint64_t took_ns)
{
    static const Figure figure_of[PL_OP_N] = {
        [PL_OP_NETNS] = NAMESPACES,  [PL_OP_SYSCTL] = SYSCTLS,  [PL_OP_BRIDGE] = LINKS,
        [PL_OP_VETH] = LINKS,        [PL_OP_MACVLAN] = LINKS,   [PL_OP_OFFLOAD] = LINKS,
        [PL_OP_ADDRESS] = ADDRESSES, [PL_OP_UNADDRESS] = OTHER, [PL_OP_UP] = LINKS,
        [PL_OP_DOWN] = OTHER,        [PL_OP_DELETE] = OTHER,    [PL_OP_ROUTE] = ADDRESSES,
        [PL_OP_NFT] = RULES,
    };

    result->ms[UP] = (double)took_ns / NS_PER_MS;
    result->ms[WAITING] = (double)lab->waited_ns / NS_PER_MS;
    for (unsigned kind = 0; kind < PL_OP_N; kind++)
        result->ms[figure_of[kind]] += (double)lab->spent_ns[kind] / NS_PER_MS;
    result->ms[OTHER] = result->ms[UP];
    for (Figure figure = NAMESPACES; figure < OTHER; figure++)
        result->ms[OTHER] -= result->ms[figure];
}

static int lay_cable(struct nl_sock *sock, unsigned number, int observer)
{
    PlOp op = pl_op(PL_OP_VETH, 0, "seen");

    g_snprintf(op.peer, sizeof(op.peer), "see%u", number);
    op.mtu_bytes = 1500;
    op.mac = (uint16_t)(0x8000 + 2 * number);
    op.peer_mac = (uint16_t)(op.mac + 1);
    return pl_rtnl_veth(sock, &op, observer);
}

/* In the lab's process: recorder and programs, apart from the wiring. */
static gboolean use_lab(PlLab *lab, Round *result, GError **error)
{
    char *argv[] = {"true", NULL};
    PlProgram program = {
        .argv = argv, .ready = PL_READY_EXIT, .time_limit_ns = 10 * G_GUINT64_CONSTANT(1000000000)};
    int fd = memfd_create("capture", MFD_CLOEXEC);
    uint64_t start = now_ns();
    gboolean done = fd >= 0 && pl_kernel_engine.record(lab, fd, error);
    PlMachine *machine;

    result->ms[RECORD] = (double)(now_ns() - start) / NS_PER_MS;
    start = now_ns();
    done = done && pl_kernel_engine.record_stop(lab, error);
    result->ms[RECORD_STOP] = (double)(now_ns() - start) / NS_PER_MS;
    if (fd >= 0)
        close(fd);
    start = now_ns();
    for (unsigned i = 0; done && i < topology->nodes->len; i++) {
        if (lab->nodes[i].node->kind != PL_NODE_HOST)
            continue;
        machine = pl_lab_machine(lab, lab->nodes[i].node, error);
        done = machine && pl_machine_start(machine, &program, error);
        break;
    }
    result->ms[PROGRAM] = (double)(now_ns() - start) / NS_PER_MS;
    return done;
}

static void G_GNUC_NORETURN run_lab(int observer)
{
    uint64_t start = now_ns();
    g_autoptr(GError) error = NULL;
    PlLab *lab;

    lab = pl_kernel_engine.up(topology, /* seed= */ 1, &error);
    if (!lab)
        die("%s", error->message);
    note_wiring(round_shared, lab, now_ns() - start);
    for (unsigned i = 0; i < PL_SPACES_OF(topology); i++)
        if (lay_cable(pl_spaces_socket(lab->spaces, i, NULL), i, observer) != 0)
            die("cannot lay a cable to the observer");
    pl_spaces_rest(lab->spaces);
    round_shared->cables = PL_SPACES_OF(topology);
    if (round_shared->use && !use_lab(lab, round_shared, &error))
        die("%s", error->message);
    /* A lab lives for seconds: the sockets that built it are long forgotten when it ends. */
    let_kernel_finish();
    round_shared->closing_ns = now_ns();
    pl_kernel_engine.down(lab);
    round_shared->closed_ns = now_ns();
    _exit(0);
}

/* Counts interfaces that go, until there were n. */
static void await_gone(struct nl_sock *monitor, unsigned n)
{
    char buffer[16384] __attribute__((aligned(NLMSG_ALIGNTO)));

    while (n > 0) {
        struct pollfd news = {.fd = nl_socket_get_fd(monitor), .events = POLLIN};
        ssize_t length =
            poll(&news, 1, NEWS_MS) == 1 ? recv(news.fd, buffer, sizeof(buffer), 0) : -1;
        int left = (int)length;

        if (length < 0)
            die("the namespaces do not go away: %s", g_strerror(errno));
        for (struct nlmsghdr *header = (struct nlmsghdr *)buffer; nlmsg_ok(header, left);
             header = nlmsg_next(header, &left))
            if (header->nlmsg_type == RTM_DELLINK && n > 0)
                n--;
    }
}

static void leave_marker(int home)
{
    struct nl_sock *sock;

    if (unshare(CLONE_NEWNET) < 0)
        die("a network namespace: %s", g_strerror(errno));
    sock = pl_rtnl_open(NETLINK_ROUTE);
    if (!sock || lay_cable(sock, /* number= */ 999, home) != 0)
        die("cannot lay a cable to the observer");
    nl_socket_free(sock);
    if (setns(home, CLONE_NEWNET) < 0)
        die("cannot go back: %s", g_strerror(errno));
}

static int observe(gpointer data)
{
    int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), status;
    struct nl_sock *monitor = pl_rtnl_open(NETLINK_ROUTE);
    uint64_t gone;
    pid_t lab;

    (void)data;
    if (home < 0 || !monitor || nl_socket_add_membership(monitor, RTNLGRP_LINK) < 0)
        die("cannot watch: %s", g_strerror(errno));
    lab = fork();
    if (lab < 0)
        die("fork: %s", g_strerror(errno));
    if (lab == 0)
        run_lab(home);
    if (waitpid(lab, &status, 0) != lab || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return 1;
    await_gone(monitor, round_shared->cables);
    gone = now_ns();
    leave_marker(home);
    await_gone(monitor, 1);
    round_shared->ms[CLOSE] =
        (double)(round_shared->closed_ns - round_shared->closing_ns) / NS_PER_MS;
    round_shared->ms[DOWN] = (double)(gone - round_shared->closed_ns) / NS_PER_MS;
    round_shared->ms[CERTAIN] = (double)(now_ns() - round_shared->closed_ns) / NS_PER_MS;
    return 0;
}

static void run_round(Round *ret_result, gboolean use)
{
    g_autoptr(GError) error = NULL;
    PlSandbox sandbox;

    let_kernel_finish();
    *round_shared = (Round){.use = use};
    if (!pl_sandbox_start(observe, NULL, &sandbox, &error))
        die("%s", error->message);
    if (pl_sandbox_wait(&sandbox) != 0)
        die("a round failed");
    *ret_result = *round_shared;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(const Round *rounds, unsigned n, Figure figure)
{
    g_autofree double *values = g_new0(double, n);

    for (unsigned i = 0; i < n; i++)
        values[i] = rounds[i].ms[figure];
    qsort(values, n, sizeof(*values), by_value);
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

static void print_table(const double *medians, unsigned n)
{
    printf("%s: %u nodes, median of %u\n", topology->name, topology->nodes->len, n);
    for (Figure figure = 0; figure < FIGURES; figure++) {
        printf("  %-52s %7.2f ms", figures[figure].text, medians[figure]);
        if (figure == UP || figure == DOWN)
            printf("  (target %.0f)", TARGET_MS);
        putchar('\n');
    }
}

static void print_json(const double *medians, unsigned n)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();
    g_autoptr(JsonNode) root = NULL;
    g_autofree char *text = NULL;

    json_builder_begin_object(builder);
    json_builder_set_member_name(builder, "topology");
    json_builder_add_string_value(builder, topology->name);
    json_builder_set_member_name(builder, "rounds");
    json_builder_add_int_value(builder, n);
    for (Figure figure = 0; figure < FIGURES; figure++) {
        json_builder_set_member_name(builder, figures[figure].key);
        json_builder_add_double_value(builder, medians[figure]);
    }
    json_builder_end_object(builder);
    root = json_builder_get_root(builder);
    text = json_to_string(root, TRUE);
    puts(text);
}

/* Wiring and end from rounds that do nothing else; captures and programs from rounds of their own.
 */
static void measure(unsigned n, double *ret_medians)
{
    g_autofree Round *bare = g_new0(Round, n), *used = g_new0(Round, n);

    for (unsigned i = 0; i < n; i++)
        run_round(&bare[i], FALSE);
    for (unsigned i = 0; i < n; i++)
        run_round(&used[i], TRUE);
    for (Figure figure = 0; figure < FIGURES; figure++)
        ret_medians[figure] = median(figure < RECORD ? bare : used, n, figure);
}

int main(int argc, char **argv)
{
    g_autoptr(GOptionContext) context = g_option_context_new("[COUNT]");
    gboolean json = FALSE;
    const char *path = TOPOLOGY;
    const GOptionEntry entries[] = {
        {"json", 0, 0, G_OPTION_ARG_NONE, &json, "print a JSON object", NULL},
        {"topology", 0, 0, G_OPTION_ARG_FILENAME, &path, "another topology", "FILE"},
        G_OPTION_ENTRY_NULL,
    };
    g_autoptr(GError) error = NULL;
    double medians[FIGURES];
    guint64 n = ROUNDS;

    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, &argc, &argv, &error))
        die("%s", error->message);
    if (argc > 2 || (argc == 2 && !g_ascii_string_to_unsigned(argv[1], 10, 1, 10000, &n, NULL)))
        die("expected a number of rounds from 1 to 10000");
    topology = pl_topology_load(path, &error);
    if (!topology)
        die("%s", error->message);
    round_shared =
        mmap(NULL, sizeof(Round), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (round_shared == MAP_FAILED)
        die("mmap: %s", g_strerror(errno));
    measure((unsigned)n, medians);
    if (json)
        print_json(medians, (unsigned)n);
    else
        print_table(medians, (unsigned)n);
    return 0;
}
