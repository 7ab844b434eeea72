/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The lab's first process at work: one request after the other. What takes its time (a command, a
 * recording) goes on in another process, which gets the connection.
 */
#include "session/serve.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "capture/points.h"
#include "machine/machine.h"
#include "machine/parcel.h"
#include "session/table.h"

/* A caller asks as soon as it is connected; one that does not is not waited for. */
#define PATIENCE_S 5
/* So long recorders may take to write what they have, all together, when the lab goes down. Less
 * than a caller of `down` waits (client.c), and than the holder (session.c). */
#define RECORDERS_MS 5000

typedef struct Server {
    const PlServed *served;
    GArray *recorders; /* pid_t */
    gboolean done;
} Server;

typedef struct Request {
    char **words; /* at least one */
    unsigned n;
    const int *fds;
    size_t n_fds;
    int connection;
} Request;

static void answer(int connection, char kind, const char *text, int fd)
{
    g_autofree char *message = g_strdup_printf("%c%.*s", kind, PL_SERVE_REPLY_MAX - 2, text);

    /* A caller that went away gets none. */
    pl_parcel_send(connection, message, strlen(message), &fd, fd >= 0 ? 1 : 0);
}

static void answer_error(int connection, const GError *error)
{
    char kind = PL_SERVE_FAILED;

    if (g_error_matches(error, PL_ERROR, PL_ERROR_INPUT))
        kind = PL_SERVE_INPUT;
    else if (g_error_matches(error, PL_ERROR, PL_ERROR_UNSUPPORTED))
        kind = PL_SERVE_UNSUPPORTED;
    answer(connection, kind, error->message, -1);
}

static gboolean answer_text(int connection, const char *text, GError **error)
{
    size_t length = strlen(text);
    int fd = memfd_create("pinlab-answer", MFD_CLOEXEC);
    gboolean ok = fd >= 0 && write(fd, text, length) == (ssize_t)length;

    if (ok)
        answer(connection, PL_SERVE_OK, "", fd);
    else
        g_set_error(error, PL_ERROR, PL_ERROR_FAILED, "cannot make room for an answer: %s",
                    g_strerror(errno));
    if (fd >= 0)
        close(fd);
    return ok;
}

static gboolean refuse(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);
static gboolean refuse(GError **error, const char *format, ...)
{
    va_list arguments;
    g_autofree char *text = NULL;

    va_start(arguments, format);
    text = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_set_error_literal(error, PL_ERROR, PL_ERROR_INPUT, text);
    return FALSE;
}

/* A node by name; `kind` is "host", "NAT", or "host or NAT". */
static const PlNode *find_node(const Server *server, const char *name, const char *kind,
                               GError **error)
{
    const PlTopology *topology = server->served->topology;
    g_autoptr(GString) names = g_string_new(NULL);
    gboolean hosts = strstr(kind, "host") != NULL, nats = strstr(kind, "NAT") != NULL;

    for (unsigned i = 0; i < topology->nodes->len; i++) {
        const PlNode *node = g_ptr_array_index(topology->nodes, i);

        if (node->kind == PL_NODE_HOST ? !hosts : !nats)
            continue;
        if (strcmp(node->name, name) == 0)
            return node;
        g_string_append_printf(names, "%s%s", names->len ? ", " : "there are: ", node->name);
    }
    refuse(error, "the lab has no %s %s (%s)", kind, name, names->len ? names->str : "it has none");
    return NULL;
}

/* ---- requests ---- */

static gboolean do_down(Server *server, const Request *request, GError **error)
{
    (void)error;
    server->done = TRUE;
    answer(request->connection, PL_SERVE_OK, "", -1);
    return TRUE;
}

static gboolean do_output(Server *server, const Request *request, GError **error)
{
    const PlServed *served = server->served;
    const PlNode *host = find_node(server, request->words[1], "host", error);
    PlProgramResult result = {0};
    gboolean ok;

    if (!host)
        return FALSE;
    if (!host->program.argv)
        return refuse(error, "host %s runs nothing (expected a host with run)", host->name);
    if (!served->engine->result(served->lab, host, &result, error))
        return FALSE;
    ok = answer_text(request->connection, result.output, error);
    pl_program_result_clear(&result);
    return ok;
}

static gboolean do_table(Server *server, const Request *request, GError **error)
{
    const PlServed *served = server->served;
    const PlNode *nat = find_node(server, request->words[1], "NAT", error);
    g_autoptr(GArray) connections = NULL;
    g_autofree char *text = NULL;

    if (!nat)
        return FALSE;
    connections = served->engine->connections(served->lab, nat, error);
    if (!connections)
        return FALSE;
    text = pl_table_json(nat->name, connections);
    return answer_text(request->connection, text, error);
}

/* Those of a NAT may be others than its file says. */
static const GArray *addresses_now(const PlServed *served, const PlAttachment *attachment)
{
    const PlNode *node = attachment->node;

    if (node->kind == PL_NODE_NAT && pl_nat_outside(node) == attachment)
        return served->engine->external(served->lab, node);
    return attachment->addresses;
}

/* One that the NAT can have: of its outside network, nobody else's, not the lab's own. */
static gboolean read_address(const PlServed *served, const PlNode *nat, const char *word,
                             PhAddress *ret_address, GError **error)
{
    const PlNetwork *network = pl_nat_outside(nat)->network;
    g_autofree char *subnet = pl_prefix_format(&network->subnet);
    uint64_t offset, last = pl_prefix_last(&network->subnet);

    if (!ph_address_parse(word, ret_address) || ret_address->port != 0 ||
        !pl_prefix_contains(&network->subnet, ret_address))
        return refuse(error, "%s is no address of network %s (expected one of %s)", word,
                      network->name, subnet);
    offset = pl_prefix_offset(&network->subnet, ret_address);
    if (offset == 0 || offset >= last - 4)
        return refuse(error,
                      "%s is not for a NAT to have (expected one of %s, not its first or its last "
                      "five)",
                      word, subnet);
    for (unsigned i = 0; i < network->attachments->len; i++) {
        const PlAttachment *other = g_ptr_array_index(network->attachments, i);

        const GArray *addresses = addresses_now(served, other);

        for (unsigned k = 0; other->node != nat && k < addresses->len; k++)
            if (ph_address_equal_host(&g_array_index(addresses, PhAddress, k), ret_address))
                return refuse(error, "%s belongs to %s (expected a free one)", word,
                              other->node->name);
    }
    return TRUE;
}

static gboolean do_nat(Server *server, const Request *request, GError **error)
{
    const PlServed *served = server->served;
    const char *what = request->words[2];
    PlStep step = {.node = (PlNode *)find_node(server, request->words[1], "NAT", error)};

    if (!step.node)
        return FALSE;
    if (strcmp(what, "flush") == 0 && request->n == 3) {
        step.kind = PL_STEP_NAT_FLUSH;
    } else if (strcmp(what, "reboot") == 0 && request->n == 3) {
        step.kind = PL_STEP_NAT_REBOOT;
    } else if (strcmp(what, "address") == 0 && request->n == 4) {
        step.kind = PL_STEP_NAT_ADDRESS;
        if (step.node->behaviour.mapping == PL_MAPPING_NONE)
            return refuse(error, "nat %s translates nothing (expected a NAT with a mapping)",
                          step.node->name);
        if (pl_nat_outside(step.node)->addresses->len > 1)
            return refuse(error, "nat %s has several addresses (expected a NAT with one)",
                          step.node->name);
        if (!read_address(served, step.node, request->words[3], &step.address, error))
            return FALSE;
    } else if (strcmp(what, "address") == 0 && request->n == 3) {
        return refuse(error, "nat %s address: an address is missing (expected address ADDRESS)",
                      step.node->name);
    } else {
        return refuse(error, "nat %s cannot %s (expected table, flush, reboot or address ADDRESS)",
                      step.node->name, what);
    }
    if (!served->engine->step(served->lab, &step, error))
        return FALSE;
    answer(request->connection, PL_SERVE_OK, "", -1);
    return TRUE;
}

static gboolean do_exec(Server *server, const Request *request, GError **error)
{
    const PlServed *served = server->served;
    const PlNode *node = find_node(server, request->words[1], "host or NAT", error);
    g_autofree char **argv = NULL;
    PlMachine *machine;
    guint64 argc;

    if (!node)
        return FALSE;
    if (request->n_fds != 3 ||
        !g_ascii_string_to_unsigned(request->words[2], 10, 1, request->n - 3, &argc, NULL))
        return refuse(error, "a command with three descriptors was expected");
    machine = served->engine->machine(served->lab, node, error);
    if (!machine)
        return FALSE;
    argv = g_new0(char *, argc + 1);
    memcpy(argv, request->words + 3, argc * sizeof(char *));
    return pl_machine_guest(machine, argv, request->words + 3 + argc, request->fds,
                            request->connection, error);
}

/* With no label: all that the lab itself records. */
static GPtrArray *find_points(const Server *server, const Request *request, GError **error)
{
    const PlTopology *topology = server->served->topology;
    g_autoptr(GPtrArray) points = NULL;

    if (request->n == 1)
        return pl_capture_points(topology);
    points = g_ptr_array_new();
    for (unsigned i = 1; i < request->n; i++) {
        PlAttachment *point = pl_topology_attachment(topology, request->words[i]);
        g_autoptr(GString) labels = g_string_new(NULL);

        if (point && g_ptr_array_find(points, point, NULL)) {
            refuse(error, "interface %s is named twice (expected once)", request->words[i]);
            return NULL;
        }
        if (point) {
            g_ptr_array_add(points, point);
            continue;
        }
        for (unsigned n = 0; n < topology->nodes->len; n++) {
            const PlNode *node = g_ptr_array_index(topology->nodes, n);

            for (unsigned k = 0; k < node->attachments->len; k++)
                g_string_append_printf(
                    labels, "%s%s", labels->len ? ", " : "",
                    ((PlAttachment *)g_ptr_array_index(node->attachments, k))->label);
        }
        refuse(error, "the lab has no interface %s (there are: %s)", request->words[i],
               labels->str);
        return NULL;
    }
    return g_steal_pointer(&points);
}

static gboolean do_tap(Server *server, const Request *request, GError **error)
{
    const PlServed *served = server->served;
    g_autoptr(GPtrArray) points = find_points(server, request, error);
    pid_t pid;

    if (!points)
        return FALSE;
    if (request->n_fds != 1)
        return refuse(error, "a recording with one descriptor was expected");
    pid = served->engine->tap(served->lab, points, request->fds[0], request->connection, error);
    if (pid > 0)
        g_array_append_val(server->recorders, pid);
    return pid > 0;
}

/* ---- the loop ---- */

static const struct {
    const char *word;
    unsigned min, max; /* words */
    gboolean (*act)(Server *server, const Request *request, GError **error);
} requests[] = {
    {"down", 1, 1, do_down}, {"output", 2, 2, do_output},     {"table", 2, 2, do_table},
    {"nat", 3, 4, do_nat},   {"exec", 4, G_MAXUINT, do_exec}, {"tap", 1, G_MAXUINT, do_tap},
};

static gboolean dispatch(Server *server, const Request *request, GError **error)
{
    for (size_t i = 0; i < G_N_ELEMENTS(requests); i++)
        if (strcmp(requests[i].word, request->words[0]) == 0 && request->n >= requests[i].min &&
            request->n <= requests[i].max)
            return requests[i].act(server, request, error);
    return refuse(error,
                  "the lab does not understand \"%s\" (it was made by pinlab " PL_VERSION ")",
                  request->words[0]);
}

static void serve_one(Server *server, int connection)
{
    const struct timeval patience = {.tv_sec = PATIENCE_S};
    g_autofree char *data = g_malloc(PL_PARCEL_MAX);
    g_autofree char **words = NULL;
    g_autoptr(GError) error = NULL;
    int fds[PL_PARCEL_FDS];
    size_t n_fds = 0;
    ssize_t n;

    setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    n = pl_parcel_receive(connection, data, PL_PARCEL_MAX, fds, &n_fds);
    words = n > 0 ? pl_parcel_words(data, (size_t)n) : NULL;
    if (words) {
        const Request request = {.words = words,
                                 .n = g_strv_length(words),
                                 .fds = fds,
                                 .n_fds = n_fds,
                                 .connection = connection};

        if (!dispatch(server, &request, &error))
            answer_error(connection, error);
    }
    for (size_t i = 0; i < n_fds; i++)
        close(fds[i]);
}

/* Those that have ended; each is waited for by its number, since others are waited for elsewhere.
 */
static void bury_recorders(Server *server)
{
    for (unsigned i = server->recorders->len; i-- > 0;)
        if (waitpid(g_array_index(server->recorders, pid_t, i), NULL, WNOHANG) != 0)
            g_array_remove_index_fast(server->recorders, i);
}

static void await_process(pid_t pid, gint64 end_us)
{
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    struct pollfd gone = {.fd = pidfd, .events = POLLIN};
    gint64 left_us = end_us - g_get_monotonic_time();

    if (pidfd < 0)
        return;
    (void)!poll(&gone, 1, left_us > 0 ? (int)(left_us / 1000) : 0);
    close(pidfd);
}

/* While the interfaces that they record are still there. Those that are left end with the lab. */
static void stop_recorders(Server *server)
{
    gint64 end_us = g_get_monotonic_time() + RECORDERS_MS * G_GINT64_CONSTANT(1000);

    bury_recorders(server);
    for (unsigned i = 0; i < server->recorders->len; i++)
        kill(g_array_index(server->recorders, pid_t, i), SIGTERM);
    for (unsigned i = 0; i < server->recorders->len; i++)
        await_process(g_array_index(server->recorders, pid_t, i), end_us);
    bury_recorders(server);
}

void pl_serve(const PlServed *served, int listener, int holder)
{
    Server server = {.served = served, .recorders = g_array_new(FALSE, FALSE, sizeof(pid_t))};

    while (!server.done) {
        struct pollfd polls[] = {{.fd = listener, .events = POLLIN},
                                 {.fd = holder, .events = POLLIN}};
        int connection;

        if (poll(polls, G_N_ELEMENTS(polls), -1) < 0)
            continue;
        bury_recorders(&server);
        if (polls[1].revents)
            break;
        connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (connection < 0)
            continue;
        serve_one(&server, connection);
        /* Whoever asked for the end sees it by the end of the connection. */
        if (!server.done)
            close(connection);
    }
    stop_recorders(&server);
    g_array_unref(server.recorders);
}
