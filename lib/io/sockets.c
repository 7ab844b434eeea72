/* SPDX-License-Identifier: MIT */
/*
 * UDP sockets on GLib's main loop: see sockets.h.
 *
 *     system --recvmmsg--> datagrams ----> the agent --send--> queue --sendmmsg--> system
 *     error queue -------> unreachable --> the agent
 */
#include "sockets_private.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <linux/errqueue.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sockaddr.h"
#include "system.h"

#define BUFFER_BYTES        (1 << 20) /* asked of the system, which may give less */
#define ERROR_CONTROL_BYTES 512 /* an error and the address of who sent it, with room to spare */
#define ERRORS_AT_ONCE      64  /* taken from an error queue before others have their turn */
#define DATAGRAMS_AT_ONCE   512 /* the same of datagrams; a batch is taken whole */
#define BUSY                8   /* after as many datagrams as this, more have come meanwhile */

static gboolean set_errors(const PhUdp *udp, int on)
{
    gboolean ipv4 = udp->family == PH_FAMILY_IPV4;

    return setsockopt(udp->fd, ipv4 ? IPPROTO_IP : IPPROTO_IPV6, ipv4 ? IP_RECVERR : IPV6_RECVERR,
                      &on, sizeof(on)) == 0;
}

static void udp_free(gpointer data)
{
    PhUdp *udp = data;

    if (udp->watch) {
        g_source_destroy(udp->watch);
        g_source_unref(udp->watch);
    }
    if (udp->lent)
        set_errors(udp, FALSE);
    if (udp->fd >= 0)
        close(udp->fd);
    g_free(udp);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PhUdp, udp_free)

PhSockets *ph_sockets_new(GMainContext *context, const PhSocketsHandler *handler, gpointer data)
{
    PhSockets *sockets = g_new0(PhSockets, 1);

    sockets->context = context ? g_main_context_ref(context) : NULL;
    sockets->handler = handler;
    sockets->data = data;
    sockets->by_id = g_hash_table_new_full(NULL, NULL, NULL, udp_free);
    return sockets;
}

PhSockets *ph_sockets_free(PhSockets *sockets)
{
    if (!sockets)
        return NULL;
    ph_sockets_flush(sockets);
    g_hash_table_unref(sockets->by_id);
    if (sockets->context)
        g_main_context_unref(sockets->context);
    g_free(sockets);
    return NULL;
}

/* Answers of a router that nothing behind it can change soon (RFC 1122 §4.2.3.9 calls the same ones
 * hard); "no route just now" is none, nor is "too big". */
static gboolean is_hard(const struct sock_extended_err *error)
{
    if (error->ee_origin == SO_EE_ORIGIN_ICMP)
        return error->ee_type == ICMP_DEST_UNREACH &&
               (error->ee_code == ICMP_PROT_UNREACH || error->ee_code == ICMP_PORT_UNREACH ||
                error->ee_code == ICMP_NET_ANO || error->ee_code == ICMP_HOST_ANO ||
                error->ee_code == ICMP_PKT_FILTERED);
    if (error->ee_origin == SO_EE_ORIGIN_ICMP6)
        return error->ee_type == ICMP6_DST_UNREACH && (error->ee_code == ICMP6_DST_UNREACH_ADMIN ||
                                                       error->ee_code == ICMP6_DST_UNREACH_NOPORT);
    return FALSE;
}

static const struct sock_extended_err *find_error(struct msghdr *header)
{
    for (struct cmsghdr *i = CMSG_FIRSTHDR(header); i; i = CMSG_NXTHDR(header, i)) {
        if ((i->cmsg_level == IPPROTO_IP && i->cmsg_type == IP_RECVERR) ||
            (i->cmsg_level == IPPROTO_IPV6 && i->cmsg_type == IPV6_RECVERR))
            return (const struct sock_extended_err *)(const void *)CMSG_DATA(i);
    }
    return NULL;
}

/* With each error comes where the datagram was sent that caused it (man 7 ip, IP_RECVERR). */
static void take_errors(PhUdp *udp, uint64_t now)
{
    const PhSocketsHandler *handler = udp->sockets->handler;
    int pending;
    socklen_t length = sizeof(pending);

    for (unsigned i = 0; i < ERRORS_AT_ONCE; i++) {
        _Alignas(struct cmsghdr) char control[ERROR_CONTROL_BYTES];
        struct sockaddr_storage to;
        struct msghdr header = {.msg_name = &to,
                                .msg_namelen = sizeof(to),
                                .msg_control = control,
                                .msg_controllen = sizeof(control)};
        const struct sock_extended_err *error;
        PhPath path = {.transport = PH_TRANSPORT_UDP, .socket = udp->id};

        if (recvmsg(udp->fd, &header, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
            break;
        error = find_error(&header);
        if (error && is_hard(error) && handler->unreachable &&
            ph_sockaddr_to_address((const struct sockaddr *)&to, header.msg_namelen, &path.remote))
            handler->unreachable(udp->sockets->data, &path, now);
    }
    /* Reading it clears it, or poll would report it for ever. */
    (void)getsockopt(udp->fd, SOL_SOCKET, SO_ERROR, &pending, &length);
}

/* What the system has put together (man 7 udp, UDP_GRO): the length of each but the last. 0: it is
 * one datagram. */
static size_t segment_size(struct msghdr *header)
{
    int size = 0;

    for (struct cmsghdr *i = CMSG_FIRSTHDR(header); i; i = CMSG_NXTHDR(header, i))
        if (i->cmsg_level == SOL_UDP && i->cmsg_type == UDP_GRO)
            memcpy(&size, CMSG_DATA(i), sizeof(size));
    return size > 0 ? (size_t)size : 0;
}

/* Returns how many datagrams it has. */
static unsigned take_message(const PhUdp *udp, struct mmsghdr *message, const uint8_t *bytes,
                             uint64_t now)
{
    PhSockets *sockets = udp->sockets;
    struct msghdr *header = &message->msg_hdr;
    const size_t length = message->msg_len, joined = segment_size(header),
                 size = joined ? joined : length;
    PhPath path = {.transport = PH_TRANSPORT_UDP, .socket = udp->id};
    size_t at = 0;
    unsigned n = 0;

    if (!ph_sockaddr_to_address(header->msg_name, header->msg_namelen, &path.remote))
        return 0;
    do {
        const size_t left = length - at, of_this = left < size ? left : size;

        if (of_this <= DATAGRAM_MAX)
            sockets->handler->datagram(sockets->data, &path, bytes + at, of_this, now);
        else if (sockets->handler->too_long)
            sockets->handler->too_long(sockets->data, &path, of_this);
        at += size;
        n++;
    } while (at < length);
    sockets->counters.received += n;
    sockets->counters.joined += n > 1 ? n : 0;
    return n;
}

/* Returns how many datagrams the system had. */
static unsigned take_batch(PhUdp *udp, uint64_t now)
{
    PhSockets *sockets = udp->sockets;
    unsigned taken = 0;
    int n;

    for (unsigned i = 0; i < PH_SOCKETS_BATCH; i++) {
        PhSocketsIncoming *incoming = &sockets->incoming[i];

        incoming->part = (struct iovec){incoming->bytes, sizeof(incoming->bytes)};
        sockets->in_headers[i].msg_hdr =
            (struct msghdr){.msg_name = &incoming->from,
                            .msg_namelen = sizeof(incoming->from),
                            .msg_iov = &incoming->part,
                            .msg_iovlen = 1,
                            .msg_control = incoming->control,
                            .msg_controllen = sizeof(incoming->control)};
    }
    n = recvmmsg(udp->fd, sockets->in_headers, PH_SOCKETS_BATCH, MSG_DONTWAIT, NULL);
    sockets->counters.receive_calls++;
    for (int i = 0; i < n; i++)
        taken += take_message(udp, &sockets->in_headers[i], sockets->incoming[i].bytes, now);
    return taken;
}

/* What is answered to a batch goes out before the next is taken: that is when more comes in. */
static void take_datagrams(PhUdp *udp, uint64_t now)
{
    unsigned taken = 0, n;

    while ((n = take_batch(udp, now)) >= BUSY && (taken += n) < DATAGRAMS_AT_ONCE) {
        ph_sockets_flush(udp->sockets);
        now = ph_clock_now();
    }
}

static gboolean dispatch(gint fd G_GNUC_UNUSED, GIOCondition condition, gpointer data)
{
    PhUdp *udp = data;
    PhSockets *sockets = udp->sockets;
    uint64_t now = ph_clock_now();

    if (condition & G_IO_ERR)
        take_errors(udp, now);
    if (condition & G_IO_IN)
        take_datagrams(udp, now);
    sockets->handler->done(sockets->data);
    return G_SOURCE_CONTINUE; /* which means nothing when `done` has closed the socket */
}

static gboolean fail(const PhAddress *local, GError **error)
{
    int number = errno;
    char text[PH_ADDRESS_TEXT_MAX];

    g_set_error(error, G_IO_ERROR, (int)g_io_error_from_errno(number),
                "cannot open a UDP socket on %s: %s", ph_address_format(local, text),
                g_strerror(number));
    return FALSE;
}

static gboolean set_options(const PhUdp *udp)
{
    const int one = 1, bytes = BUFFER_BYTES, whole = IP_PMTUDISC_DO;

    (void)setsockopt(udp->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
    (void)setsockopt(udp->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
    /* Linux 5.0 has it; where it is not there, each datagram comes as such. */
    if (!udp->sockets->never_segments)
        (void)setsockopt(udp->fd, SOL_UDP, UDP_GRO, &one, sizeof(one));
    if (udp->family == PH_FAMILY_IPV4) {
        /* Never in fragments; and then no identification has to be found for each. */
        (void)setsockopt(udp->fd, IPPROTO_IP, IP_MTU_DISCOVER, &whole, sizeof(whole));
        return set_errors(udp, TRUE);
    }
    return set_errors(udp, TRUE) &&
           setsockopt(udp->fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)) == 0;
}

/* Of a socket that is lent only this is changed, and changed back. */
static gboolean borrow(PhUdp *udp)
{
    gboolean ipv4 = udp->family == PH_FAMILY_IPV4;
    socklen_t length = sizeof(int);
    int on = 0;

    if (getsockopt(udp->fd, ipv4 ? IPPROTO_IP : IPPROTO_IPV6, ipv4 ? IP_RECVERR : IPV6_RECVERR, &on,
                   &length) < 0)
        return FALSE;
    udp->lent = !on;
    return on || set_errors(udp, TRUE);
}

/* Takes `udp`, with its descriptor, in any case. */
static gboolean add(PhSockets *sockets, PhUdp *udp, const PhAddress *local, PhAddress *ret_local,
                    GError **error)
{
    g_autoptr(PhUdp) owned = udp;
    struct sockaddr_storage name;
    socklen_t length = sizeof(name), size_length = sizeof(int);
    int size;

    /* Linux 4.18 has it, and other systems have not. */
    udp->segments = !sockets->never_segments &&
                    getsockopt(udp->fd, SOL_UDP, UDP_SEGMENT, &size, &size_length) == 0;
    if (getsockname(udp->fd, (struct sockaddr *)&name, &length) < 0 ||
        !ph_sockaddr_to_address((const struct sockaddr *)&name, length, ret_local))
        return fail(local, error);
    udp->watch = g_unix_fd_source_new(udp->fd, G_IO_IN | G_IO_ERR);
    /* Or GLib takes the socket out of its poll and puts it back each time: three system calls. */
    g_source_set_can_recurse(udp->watch, TRUE);
    g_source_set_callback(udp->watch, G_SOURCE_FUNC(dispatch), udp, NULL);
    g_source_attach(udp->watch, sockets->context);
    g_hash_table_replace(sockets->by_id, GUINT_TO_POINTER(udp->id), g_steal_pointer(&owned));
    return TRUE;
}

gboolean ph_sockets_open(PhSockets *sockets, uint32_t id, const PhAddress *local,
                         PhAddress *ret_local, GError **error)
{
    struct sockaddr_storage name;
    socklen_t length = ph_sockaddr_from_address(local, &name);
    g_autoptr(PhUdp) udp = g_new0(PhUdp, 1);

    *udp = (PhUdp){.sockets = sockets, .id = id, .family = local->family};
    udp->fd = socket(name.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (udp->fd < 0 || !set_options(udp) ||
        bind(udp->fd, (const struct sockaddr *)&name, length) < 0)
        return fail(local, error);
    return add(sockets, g_steal_pointer(&udp), local, ret_local, error);
}

gboolean ph_sockets_adopt(PhSockets *sockets, uint32_t id, PhFamily family, GSocket *socket,
                          PhAddress *ret_local, GError **error)
{
    const PhAddress unknown = {0};
    g_autoptr(PhUdp) udp = g_new0(PhUdp, 1);

    *udp = (PhUdp){.sockets = sockets, .id = id, .family = family};
    udp->fd = fcntl(g_socket_get_fd(socket), F_DUPFD_CLOEXEC, 0);
    if (udp->fd < 0)
        return fail(&unknown, error);
    if (g_socket_get_socket_type(socket) != G_SOCKET_TYPE_DATAGRAM ||
        (g_socket_get_family(socket) == G_SOCKET_FAMILY_IPV4) != (family == PH_FAMILY_IPV4)) {
        errno = EAFNOSUPPORT;
        return fail(&unknown, error);
    }
    if (!borrow(udp))
        return fail(&unknown, error);
    return add(sockets, g_steal_pointer(&udp), &unknown, ret_local, error);
}

void ph_sockets_close(PhSockets *sockets, uint32_t id)
{
    ph_sockets_flush(sockets);
    g_hash_table_remove(sockets->by_id, GUINT_TO_POINTER(id));
}

void ph_sockets_never_segment(PhSockets *sockets)
{
    sockets->never_segments = TRUE;
}

const PhSocketsCounters *ph_sockets_counters(const PhSockets *sockets)
{
    return &sockets->counters;
}
