/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The lab's end of the switch; see switch.h. */
#include "fabric/switch.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fabric/words.h"
#include "machine/parcel.h"

struct PlSwitch {
    const PlTopology *topology;
    pid_t pid;  /* -1: it has ended, and was buried */
    int status; /* of waitpid, then */
    int socket;
};

PlSwitch *pl_switch_start(const PlTopology *topology, uint64_t seed, GError **error)
{
    int sockets[2];
    pid_t parent = getpid(), pid;
    PlSwitch *fabric_switch;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0) {
        pl_error_set_errno(error, "make a socket pair for the switch", errno);
        return NULL;
    }
    pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(EXIT_FAILURE);
        close(sockets[0]);
        pl_switch_main(topology, seed, sockets[1]);
    }
    close(sockets[1]);
    if (pid < 0) {
        pl_error_set_errno(error, "start the switch", errno);
        close(sockets[0]);
        return NULL;
    }
    fabric_switch = g_new0(PlSwitch, 1);
    *fabric_switch = (PlSwitch){.topology = topology, .pid = pid, .socket = sockets[0]};
    return fabric_switch;
}

/* Which has ended, or is about to. */
static void bury(PlSwitch *fabric_switch)
{
    while (fabric_switch->pid > 0 && waitpid(fabric_switch->pid, &fabric_switch->status, 0) < 0 &&
           errno == EINTR)
        ;
    fabric_switch->pid = -1;
}

void pl_switch_free(PlSwitch *fabric_switch)
{
    if (!fabric_switch)
        return;
    if (fabric_switch->pid > 0)
        kill(fabric_switch->pid, SIGKILL);
    bury(fabric_switch);
    close(fabric_switch->socket);
    g_free(fabric_switch);
}

/* Its end of the stream is closed. */
static gboolean mourn(PlSwitch *fabric_switch, GError **error)
{
    bury(fabric_switch);
    if (WIFSIGNALED(fabric_switch->status))
        g_set_error(error, PL_ERROR, PL_ERROR_FAILED, "the lab's switch was ended: %s",
                    strsignal(WTERMSIG(fabric_switch->status)));
    else
        g_set_error(error, PL_ERROR, PL_ERROR_FAILED, "the lab's switch ended with status %d",
                    WEXITSTATUS(fabric_switch->status));
    return FALSE;
}

gboolean pl_switch_check(PlSwitch *fabric_switch, GError **error)
{
    char byte;

    return recv(fabric_switch->socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT) != 0 ||
           mourn(fabric_switch, error);
}

static gboolean hear(PlSwitch *fabric_switch, GError **error)
{
    PlSwitchReply reply;
    ssize_t n;

    do
        n = recv(fabric_switch->socket, &reply, sizeof(reply), 0);
    while (n < 0 && errno == EINTR);
    if (n != sizeof(reply))
        return mourn(fabric_switch, error);
    if (reply.failed)
        g_set_error_literal(error, PL_ERROR, reply.code, reply.text);
    return !reply.failed;
}

/* `more` (may be NULL) follows the request, and descriptors go with it. */
static gboolean ask(PlSwitch *fabric_switch, const PlSwitchRequest *request, const GByteArray *more,
                    const int *fds, size_t n_fds, GError **error)
{
    g_autoptr(GByteArray) message = g_byte_array_new();

    g_byte_array_append(message, (const guint8 *)request, sizeof(*request));
    if (more)
        g_byte_array_append(message, more->data, more->len);
    if (!pl_parcel_send(fabric_switch->socket, message->data, message->len, fds, n_fds)) {
        if (errno == EPIPE)
            return mourn(fabric_switch, error);
        pl_error_set_errno(error, "talk to the lab's switch", errno);
        return FALSE;
    }
    return hear(fabric_switch, error);
}

static void name_attachment(const PlAttachment *attachment, unsigned *ret_node,
                            unsigned *ret_attachment)
{
    *ret_node = attachment->node->index;
    if (!g_ptr_array_find(attachment->node->attachments, attachment, ret_attachment))
        g_assert_not_reached();
}

gboolean pl_switch_plug(PlSwitch *fabric_switch, const PlWorldPlace *place, int tun, GError **error)
{
    PlSwitchRequest request = {
        .kind = PL_SWITCH_PLUG,
        .network = place->network->index,
        .node = G_MAXUINT,
    };

    if (place->attachment)
        name_attachment(place->attachment, &request.node, &request.attachment);
    return ask(fabric_switch, &request, NULL, &tun, 1, error);
}

gboolean pl_switch_step(PlSwitch *fabric_switch, const PlStep *step, GError **error)
{
    PlSwitchRequest request = {.kind = PL_SWITCH_FLUSH};

    switch (step->kind) {
    case PL_STEP_NAT_FLUSH:
        break;
    case PL_STEP_NAT_REBOOT:
        request.kind = PL_SWITCH_REBOOT;
        break;
    case PL_STEP_NAT_ADDRESS:
        request.kind = PL_SWITCH_ADDRESS;
        request.address = step->address;
        break;
    case PL_STEP_LINK_DOWN:
    case PL_STEP_LINK_UP:
        request.kind = PL_SWITCH_LINK;
        request.up = step->kind == PL_STEP_LINK_UP;
        break;
    case PL_STEP_HOST_MOVE:
        request.kind = PL_SWITCH_MOVE;
        request.network = step->network->index;
        request.address = step->address;
        break;
    case PL_STEP_HOST_SEND:
        request.kind = PL_SWITCH_TAKE;
        break;
    case PL_STEP_HOST_RUN:
    case PL_STEP_HOST_KILL:
    case PL_STEP_HOST_START:
    case PL_STEP_CONNECT:
    case PL_STEP_DISCONNECT:
    case PL_STEP_TELL:
        g_assert_not_reached();
    }
    if (request.kind == PL_SWITCH_LINK)
        name_attachment(step->attachment, &request.node, &request.attachment);
    else
        request.node = step->node->index;
    return ask(fabric_switch, &request, NULL, NULL, 0, error);
}

/* Of one word. */
static gboolean say(PlSwitch *fabric_switch, PlSwitchKind kind, GError **error)
{
    const PlSwitchRequest request = {.kind = kind};

    return ask(fabric_switch, &request, NULL, NULL, 0, error);
}

gboolean pl_switch_reset(PlSwitch *fabric_switch, GError **error)
{
    return say(fabric_switch, PL_SWITCH_RESET, error);
}

gboolean pl_switch_settle(PlSwitch *fabric_switch, GError **error)
{
    return say(fabric_switch, PL_SWITCH_SETTLE, error);
}

/* They may be many: they come by way of a file in memory. */
static GArray *read_connections(int fd, GError **error)
{
    GArray *connections = g_array_new(FALSE, FALSE, sizeof(PlConnection));
    struct stat status;

    if (fstat(fd, &status) < 0)
        status.st_size = 0;
    g_array_set_size(connections, (guint)((size_t)status.st_size / sizeof(PlConnection)));
    if (connections->len > 0 &&
        pread(fd, connections->data, connections->len * sizeof(PlConnection), 0) !=
            (ssize_t)(connections->len * sizeof(PlConnection))) {
        pl_error_set_errno(error, "read the connections", errno);
        g_array_unref(connections);
        return NULL;
    }
    return connections;
}

GArray *pl_switch_connections(PlSwitch *fabric_switch, const PlNode *nat, GError **error)
{
    const PlSwitchRequest request = {.kind = PL_SWITCH_CONNECTIONS, .node = nat->index};
    int fd = memfd_create("connections", MFD_CLOEXEC);
    GArray *connections = NULL;

    if (fd < 0) {
        pl_error_set_errno(error, "make room for connections", errno);
        return NULL;
    }
    if (ask(fabric_switch, &request, NULL, &fd, 1, error))
        connections = read_connections(fd, error);
    close(fd);
    return connections;
}

static GByteArray *name_points(const GPtrArray *attachments)
{
    GByteArray *points = g_byte_array_new();

    for (unsigned i = 0; i < attachments->len; i++) {
        unsigned pair[2];

        name_attachment(g_ptr_array_index(attachments, i), &pair[0], &pair[1]);
        g_byte_array_append(points, (const guint8 *)pair, sizeof(pair));
    }
    return points;
}

gboolean pl_switch_record(PlSwitch *fabric_switch, const GPtrArray *attachments, int fd,
                          const char *comment, GError **error)
{
    const PlSwitchRequest request = {.kind = PL_SWITCH_RECORD, .n_points = attachments->len};
    g_autoptr(GByteArray) more = name_points(attachments);

    g_byte_array_append(more, (const guint8 *)comment, (guint)strlen(comment) + 1);
    return ask(fabric_switch, &request, more, &fd, 1, error);
}

gboolean pl_switch_record_stop(PlSwitch *fabric_switch, GError **error)
{
    return say(fabric_switch, PL_SWITCH_RECORD_STOP, error);
}

PlFeed *pl_switch_tap(PlSwitch *fabric_switch, const GPtrArray *attachments, GError **error)
{
    const PlSwitchRequest request = {.kind = PL_SWITCH_TAP, .n_points = attachments->len};
    g_autoptr(GByteArray) points = name_points(attachments);
    int fds[PL_FEED_FDS];
    g_autoptr(PlFeed) feed = pl_feed_new(attachments->len, fds, error);
    gboolean done;

    if (!feed)
        return NULL;
    done = ask(fabric_switch, &request, points, fds, PL_FEED_FDS, error);
    for (int i = 0; i < PL_FEED_FDS; i++)
        close(fds[i]);
    return done ? g_steal_pointer(&feed) : NULL;
}
