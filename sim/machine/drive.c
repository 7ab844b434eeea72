/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Drives a prober in real time: does its actions with real sockets and tells it what comes of them,
 * in one epoll loop. After each thing that the prober is told, its actions are done before the next
 * packet is read, so that it sees the world in order.
 */
#include "machine/drive.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "machine/echo.h"
#include "machine/run.h"
#include "machine/socket.h"
#include "machine/tcp.h"

#define SECOND_NS G_GUINT64_CONSTANT(1000000000)
/* prober.h promises an answer about connections and echoes within this. */
#define ANSWER_NS (2 * SECOND_NS)
/* No test waits that long; PL_ORACLE_TIMEOUT_MAX_NS is the longest silence that is meant. */
#define NO_PROGRESS_NS (60 * SECOND_NS)
/* Errors that may stand before one send, each the answer to an earlier one. */
#define SEND_TRIES 4
/* Packets in a row before timeouts get their turn: nobody's flood stops the clock. */
#define BURST 64

typedef struct {
    PlProbeActionKind kind; /* OPEN, TCP or ECHO: what it was made by */
    unsigned id;
    int fd;       /* the UDP socket, the connecting one, or the echo's */
    int listener; /* TCP only, else -1 */
    uint64_t deadline;
} Probe;

typedef struct {
    PlProber *prober;
    const PlDrivePlace *places[2];
    PlVisit visit;
    int epoll;
    GPtrArray *probes; /* Probe, owned, in the order they were made */
    gboolean done;
    uint64_t progress_ns;
    PlDriveSettle settle;
    gpointer data;
    gboolean sent; /* since it was settled */
} Drive;

static void probe_free(gpointer data)
{
    Probe *probe = data;

    if (probe->fd >= 0)
        close(probe->fd);
    if (probe->listener >= 0)
        close(probe->listener);
    g_free(probe);
}

/* Connections and echoes are named in a space of their own: a socket may have the same id. */
static Probe *find(const Drive *drive, gboolean socket, unsigned id)
{
    for (guint i = 0; i < drive->probes->len; i++) {
        Probe *probe = g_ptr_array_index(drive->probes, i);

        if (probe->id == id && (probe->kind == PL_PROBE_OPEN) == socket)
            return probe;
    }
    return NULL;
}

static Probe *add(Drive *drive, const PlProbeAction *action, int fd)
{
    Probe *probe = g_new0(Probe, 1);

    probe->kind = action->kind;
    probe->id = action->id;
    probe->fd = fd;
    probe->listener = -1;
    probe->deadline = action->kind == PL_PROBE_OPEN ? UINT64_MAX : pl_now_ns() + ANSWER_NS;
    g_ptr_array_add(drive->probes, probe);
    return probe;
}

/* The event carries the name and not the pointer: an earlier event may have closed the probe. */
static gboolean watch(Drive *drive, const Probe *probe, int fd, uint32_t events, GError **error)
{
    struct epoll_event event = {
        .events = events,
        .data.u64 = (uint64_t)(probe->kind == PL_PROBE_OPEN) << 32 | probe->id,
    };

    if (epoll_ctl(drive->epoll, EPOLL_CTL_ADD, fd, &event) == 0)
        return TRUE;
    g_set_error(error, PL_ERROR, PL_ERROR_FAILED, "cannot watch a socket: %s", g_strerror(errno));
    return FALSE;
}

static gboolean do_open(Drive *drive, const PlProbeAction *action, GError **error)
{
    gboolean ipv6 = action->local.family == PH_FAMILY_IPV6;
    g_autoptr(GError) local = NULL;
    gboolean taken;
    int fd, one = 1;

    fd = pl_visit_socket(&drive->visit, drive->places[action->place], ipv6 ? AF_INET6 : AF_INET,
                         SOCK_DGRAM, 0, &action->local, &taken, &local);
    if (fd < 0 && taken) {
        pl_prober_open_failed(drive->prober, action->id, pl_now_ns());
        return TRUE;
    }
    if (fd < 0) {
        g_propagate_error(error, g_steal_pointer(&local));
        return FALSE;
    }
    if (setsockopt(fd, ipv6 ? IPPROTO_IPV6 : IPPROTO_IP, ipv6 ? IPV6_RECVERR : IP_RECVERR, &one,
                   sizeof(one)) < 0) {
        g_set_error(error, PL_ERROR, PL_ERROR_FAILED, "cannot ask for ICMP errors: %s",
                    g_strerror(errno));
        close(fd);
        return FALSE;
    }
    return watch(drive, add(drive, action, fd), fd, EPOLLIN, error);
}

static gboolean do_send(Drive *drive, const PlProbeAction *action, GError **error)
{
    Probe *probe = find(drive, TRUE, action->id);
    char text[PH_ADDRESS_TEXT_MAX];
    PlSockaddr to;
    socklen_t length = pl_sockaddr_from_address(&action->remote, &to);
    int failed = 0;

    g_assert(probe);
    for (int i = 0; i < SEND_TRIES; i++) {
        struct pollfd writable = {.fd = probe->fd, .events = POLLOUT};

        if (sendto(probe->fd, action->data, action->data_length, 0, &to.any, length) >= 0)
            return TRUE;
        failed = errno;
        if (failed == EAGAIN)
            poll(&writable, 1, /* ms= */ 100);
        else if (failed != EINTR && !pl_socket_lost(failed))
            break;
        /* Else this may be the error of an earlier datagram, which stopped ours: once more. */
    }
    if (pl_socket_lost(failed) || failed == EAGAIN)
        return TRUE;
    g_set_error(error, PL_ERROR, PL_ERROR_FAILED, "cannot send to %s: %s",
                ph_address_format(&action->remote, text), g_strerror(failed));
    return FALSE;
}

static gboolean do_tcp(Drive *drive, const PlProbeAction *action, GError **error)
{
    PlProbePlace other =
        action->place == PL_PROBE_PLACE_INSIDE ? PL_PROBE_PLACE_OUTSIDE : PL_PROBE_PLACE_INSIDE;
    g_autoptr(GError) local = NULL;
    gboolean taken;
    Probe *probe;
    PlTcp tcp;

    if (!pl_tcp_open(&drive->visit, drive->places[action->place], drive->places[other],
                     &action->local, &action->remote, &action->listener, &tcp, &taken, &local)) {
        if (taken) {
            pl_prober_open_failed(drive->prober, action->id, pl_now_ns());
            return TRUE;
        }
        g_propagate_error(error, g_steal_pointer(&local));
        return FALSE;
    }
    probe = add(drive, action, tcp.connection);
    probe->listener = tcp.listener;
    if (tcp.refused)
        probe->deadline = 0;
    return watch(drive, probe, probe->listener, EPOLLIN, error) &&
           watch(drive, probe, probe->fd, EPOLLERR, error);
}

static gboolean do_echo(Drive *drive, const PlProbeAction *action, GError **error)
{
    Probe *probe;
    int fd =
        pl_echo_open(&drive->visit, drive->places[PL_PROBE_PLACE_INSIDE], &action->local, error);

    if (fd < 0)
        return FALSE;
    probe = add(drive, action, fd);
    if (!pl_echo_send(fd, &action->remote, action->id) && !pl_socket_lost(errno)) {
        g_set_error(error, PL_ERROR, PL_ERROR_FAILED, "cannot send an ICMP echo request: %s",
                    g_strerror(errno));
        return FALSE;
    }
    return watch(drive, probe, fd, EPOLLIN, error);
}

static void settle(Drive *drive)
{
    if (drive->settle && drive->sent)
        drive->settle(drive->data);
    drive->sent = FALSE;
}

static gboolean act(Drive *drive, const PlProbeAction *action, GError **error)
{
    switch (action->kind) {
    case PL_PROBE_OPEN:
        return do_open(drive, action, error);
    case PL_PROBE_CLOSE:
        settle(drive);
        g_ptr_array_remove(drive->probes, find(drive, TRUE, action->id));
        return TRUE;
    case PL_PROBE_SEND:
        drive->sent = TRUE;
        return do_send(drive, action, error);
    case PL_PROBE_TCP:
        return do_tcp(drive, action, error);
    case PL_PROBE_ECHO:
        return do_echo(drive, action, error);
    case PL_PROBE_NOTHING:
    case PL_PROBE_DONE:
        break;
    }
    return TRUE;
}

/* Does all that the prober has to do now. */
static gboolean pump(Drive *drive, GError **error)
{
    for (;;) {
        PlProbeAction action;

        pl_prober_poll(drive->prober, &action);
        if (action.kind == PL_PROBE_DONE)
            drive->done = TRUE;
        if (action.kind == PL_PROBE_DONE || action.kind == PL_PROBE_NOTHING)
            return TRUE;
        drive->progress_ns = pl_now_ns();
        if (!act(drive, &action, error))
            return FALSE;
    }
}

/* One entry of a socket's error queue; FALSE when it is empty. */
static gboolean take_error(Drive *drive, const Probe *probe)
{
    PhAddress unreachable;

    if (!pl_socket_take_error(probe->fd, &unreachable))
        return FALSE;
    if (unreachable.family != PH_FAMILY_NONE)
        pl_prober_unreachable(drive->prober, probe->id, &unreachable, pl_now_ns());
    return TRUE;
}

/* One datagram or error; FALSE when there is none. */
static gboolean take_datagram(Drive *drive, const Probe *probe)
{
    uint8_t data[2048];
    PlSockaddr from = {0};
    socklen_t length = sizeof(from);
    PhAddress address;
    ssize_t n = recvfrom(probe->fd, data, sizeof(data), 0, &from.any, &length);

    if (n < 0)
        return errno == EINTR || (errno != EAGAIN && take_error(drive, probe));
    address = pl_sockaddr_to_address(&from);
    if (address.family != PH_FAMILY_NONE)
        pl_prober_datagram(drive->prober, probe->id, &address, data, (size_t)n, pl_now_ns());
    return TRUE;
}

static gboolean drain(Drive *drive, unsigned id, GError **error)
{
    Probe *probe;

    for (int i = 0; i < BURST && !drive->done && (probe = find(drive, TRUE, id)); i++) {
        if (!take_datagram(drive, probe) && !take_error(drive, probe))
            return TRUE;
        if (!pump(drive, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean answer_tcp(Drive *drive, Probe *probe, gboolean late, GError **error)
{
    const PlTcp tcp = {.listener = probe->listener, .connection = probe->fd};
    unsigned id = probe->id;
    PhAddress from;
    PlTcpState state = pl_tcp_look(&tcp, &from);

    if (state == PL_TCP_PENDING && !late)
        return TRUE;
    g_ptr_array_remove(drive->probes, probe);
    pl_prober_tcp(drive->prober, id, state == PL_TCP_ARRIVED ? &from : NULL, pl_now_ns());
    return pump(drive, error);
}

static gboolean answer_echo(Drive *drive, Probe *probe, gboolean late, GError **error)
{
    unsigned id = probe->id;
    gboolean answered = pl_echo_received(probe->fd, id);

    if (!answered && !late)
        return TRUE;
    g_ptr_array_remove(drive->probes, probe);
    pl_prober_echo(drive->prober, id, answered, pl_now_ns());
    return pump(drive, error);
}

static gboolean answer(Drive *drive, Probe *probe, gboolean late, GError **error)
{
    return probe->kind == PL_PROBE_TCP ? answer_tcp(drive, probe, late, error)
                                       : answer_echo(drive, probe, late, error);
}

static gboolean handle(Drive *drive, const struct epoll_event *event, GError **error)
{
    unsigned id = (unsigned)event->data.u64;
    Probe *probe;

    if (event->data.u64 >> 32)
        return drain(drive, id, error);
    probe = find(drive, FALSE, id);
    return !probe || answer(drive, probe, /* late= */ FALSE, error);
}

/* Connections and echoes that nothing came of. */
static gboolean handle_late(Drive *drive, GError **error)
{
    uint64_t now = pl_now_ns();

    for (guint i = 0; i < drive->probes->len; i++) {
        Probe *probe = g_ptr_array_index(drive->probes, i);

        if (probe->deadline <= now)
            return answer(drive, probe, /* late= */ TRUE, error);
    }
    if (now - drive->progress_ns >= NO_PROGRESS_NS) {
        g_set_error(error, PL_ERROR, PL_ERROR_FAILED, "the prober made no progress for %u s",
                    (unsigned)(NO_PROGRESS_NS / SECOND_NS));
        return FALSE;
    }
    return TRUE;
}

static gboolean handle_timeout(Drive *drive, GError **error)
{
    uint64_t now = pl_now_ns();

    if (drive->done || pl_prober_next_timeout(drive->prober) > now)
        return TRUE;
    pl_prober_timeout(drive->prober, now);
    return pump(drive, error);
}

/* Rounded up: a timeout that is handled a little early would be for nothing. */
static int wait_ms(const Drive *drive)
{
    uint64_t now = pl_now_ns();
    uint64_t at = MIN(pl_prober_next_timeout(drive->prober), drive->progress_ns + NO_PROGRESS_NS);

    for (guint i = 0; i < drive->probes->len; i++)
        at = MIN(at, ((Probe *)g_ptr_array_index(drive->probes, i))->deadline);
    return at <= now ? 0 : (int)((at - now + 999999) / 1000000);
}

static gboolean run(Drive *drive, GError **error)
{
    unsigned burst = 0;

    if (!pump(drive, error))
        return FALSE;
    while (!drive->done) {
        /* One at a time: what it leads to may close the socket of the next. */
        struct epoll_event event;
        int n = epoll_wait(drive->epoll, &event, 1, wait_ms(drive));

        if (n < 0 && errno != EINTR) {
            g_set_error(error, PL_ERROR, PL_ERROR_FAILED, "cannot wait for sockets: %s",
                        g_strerror(errno));
            return FALSE;
        }
        if (n > 0 && !handle(drive, &event, error))
            return FALSE;
        if (!handle_late(drive, error))
            return FALSE;
        /* What has come already comes before the clock. */
        burst = n > 0 ? burst + 1 : 0;
        if (burst % BURST == 0 && !handle_timeout(drive, error))
            return FALSE;
    }
    return TRUE;
}

gboolean pl_drive_prober(PlProber *prober, const PlDrivePlace *inside, const PlDrivePlace *outside,
                         PlDriveSettle settle_them, gpointer data, GError **error)
{
    Drive drive = {
        .prober = prober,
        .places = {[PL_PROBE_PLACE_INSIDE] = inside, [PL_PROBE_PLACE_OUTSIDE] = outside},
        .progress_ns = pl_now_ns(),
        .settle = settle_them,
        .data = data,
    };
    gboolean ok;

    drive.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (drive.epoll < 0) {
        g_set_error(error, PL_ERROR, PL_ERROR_FAILED, "cannot make an epoll instance: %s",
                    g_strerror(errno));
        return FALSE;
    }
    if (!pl_visit_begin(&drive.visit, error)) {
        close(drive.epoll);
        return FALSE;
    }
    drive.probes = g_ptr_array_new_with_free_func(probe_free);
    ok = run(&drive, error);
    settle(&drive);
    g_ptr_array_unref(drive.probes);
    pl_visit_end(&drive.visit);
    close(drive.epoll);
    return ok;
}
