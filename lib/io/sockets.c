/* SPDX-License-Identifier: MIT */
/*
 * UDP sockets on GLib's main loop: see sockets.h.
 *
 *     system --recvmmsg--> datagram -----> the agent --send--> queue --sendmmsg--> system
 *     error queue -------> unreachable --> the agent
 */
#include "sockets.h"

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

#define BATCH               64
#define DATAGRAM_MAX        2048      /* longer ones are not ours, and dropped */
#define TRANSMIT_MAX        1500      /* what an agent sends fits one packet */
#define BUFFER_BYTES        (1 << 20) /* asked of the system, which may give less */
#define ERROR_CONTROL_BYTES 512 /* an error and the address of who sent it, with room to spare */
#define ERRORS_AT_ONCE      64  /* taken from an error queue before others have their turn */
#define BATCHES_AT_ONCE     8   /* the same of datagrams */
#define BUSY                8   /* after as many datagrams as this, more have come meanwhile */
/* Of one large datagram that the system cuts up (man 7 udp, UDP_SEGMENT): no more pieces than any
 * kernel takes, and no more bytes than UDP has. */
#define SEGMENTS_MAX       64
#define SEGMENTS_BYTES_MAX 65000

typedef struct Udp {
    PhSockets *sockets;
    uint32_t id;
    PhFamily family;
    int fd;
    gboolean lent;     /* somebody else's, and without IP_RECVERR before */
    gboolean segments; /* the system cuts up what is sent */
    GSource *watch;
} Udp;

static gboolean set_errors(const Udp *udp, int on)
{
    gboolean ipv4 = udp->family == PH_FAMILY_IPV4;

    return setsockopt(udp->fd, ipv4 ? IPPROTO_IP : IPPROTO_IPV6, ipv4 ? IP_RECVERR : IPV6_RECVERR,
                      &on, sizeof(on)) == 0;
}

typedef struct Outgoing {
    Udp *udp;
    struct sockaddr_storage to;
    socklen_t to_length;
    uint8_t ttl;
    gboolean taken; /* it is part of a message */
    size_t length;
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))]; /* a TTL, or a segment's size */
    uint8_t bytes[TRANSMIT_MAX];
} Outgoing;

typedef struct Incoming {
    struct sockaddr_storage from;
    struct iovec part;
    uint8_t bytes[DATAGRAM_MAX];
} Incoming;

struct PhSockets {
    GMainContext *context;
    const PhSocketsHandler *handler;
    gpointer data;
    GHashTable *by_id; /* of Udp */
    gboolean never_segments;
    PhSocketsCounters counters;
    size_t n_outgoing;
    struct mmsghdr out_headers[BATCH], in_headers[BATCH];
    struct iovec parts[BATCH]; /* of all messages, one after the other */
    Outgoing *of_parts[BATCH]; /* of the same */
    Outgoing outgoing[BATCH];
    Incoming incoming[BATCH];
};

static void udp_free(gpointer data)
{
    Udp *udp = data;

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
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Udp, udp_free)

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
static void take_errors(Udp *udp, uint64_t now)
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

/* Returns how many the system had. */
static int take_batch(Udp *udp, uint64_t now)
{
    PhSockets *sockets = udp->sockets;
    int n;

    for (unsigned i = 0; i < BATCH; i++) {
        Incoming *incoming = &sockets->incoming[i];

        incoming->part = (struct iovec){incoming->bytes, sizeof(incoming->bytes)};
        sockets->in_headers[i].msg_hdr = (struct msghdr){.msg_name = &incoming->from,
                                                         .msg_namelen = sizeof(incoming->from),
                                                         .msg_iov = &incoming->part,
                                                         .msg_iovlen = 1};
    }
    n = recvmmsg(udp->fd, sockets->in_headers, BATCH, MSG_DONTWAIT | MSG_TRUNC, NULL);
    sockets->counters.receive_calls++;
    sockets->counters.received += n > 0 ? (uint64_t)n : 0;
    for (int i = 0; i < n; i++) {
        const struct msghdr *header = &sockets->in_headers[i].msg_hdr;
        PhPath path = {.transport = PH_TRANSPORT_UDP, .socket = udp->id};

        size_t length = sockets->in_headers[i].msg_len; /* as sent, even if that is more */

        if (!ph_sockaddr_to_address(header->msg_name, header->msg_namelen, &path.remote))
            continue;
        if (length <= DATAGRAM_MAX)
            sockets->handler->datagram(sockets->data, &path, sockets->incoming[i].bytes, length,
                                       now);
        else if (sockets->handler->too_long)
            sockets->handler->too_long(sockets->data, &path, length);
    }
    return n;
}

/* What is answered to a batch goes out before the next is taken: that is when more comes in. */
static void take_datagrams(Udp *udp, uint64_t now)
{
    for (unsigned i = 1; take_batch(udp, now) >= BUSY && i < BATCHES_AT_ONCE; i++) {
        ph_sockets_flush(udp->sockets);
        now = ph_clock_now();
    }
}

static gboolean dispatch(gint fd G_GNUC_UNUSED, GIOCondition condition, gpointer data)
{
    Udp *udp = data;
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

static gboolean set_options(const Udp *udp)
{
    const int one = 1, bytes = BUFFER_BYTES, whole = IP_PMTUDISC_DO;

    (void)setsockopt(udp->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
    (void)setsockopt(udp->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
    if (udp->family == PH_FAMILY_IPV4) {
        /* Never in fragments; and then no identification has to be found for each. */
        (void)setsockopt(udp->fd, IPPROTO_IP, IP_MTU_DISCOVER, &whole, sizeof(whole));
        return set_errors(udp, TRUE);
    }
    return set_errors(udp, TRUE) &&
           setsockopt(udp->fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)) == 0;
}

/* Of a socket that is lent only this is changed, and changed back. */
static gboolean borrow(Udp *udp)
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
static gboolean add(PhSockets *sockets, Udp *udp, const PhAddress *local, PhAddress *ret_local,
                    GError **error)
{
    g_autoptr(Udp) owned = udp;
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
    g_autoptr(Udp) udp = g_new0(Udp, 1);

    *udp = (Udp){.sockets = sockets, .id = id, .family = local->family};
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
    g_autoptr(Udp) udp = g_new0(Udp, 1);

    *udp = (Udp){.sockets = sockets, .id = id, .family = family};
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

void ph_sockets_send(PhSockets *sockets, const PhTransmit *transmit)
{
    Udp *udp = g_hash_table_lookup(sockets->by_id, GUINT_TO_POINTER(transmit->path.socket));
    Outgoing *outgoing;

    if (!udp || transmit->length > TRANSMIT_MAX || transmit->path.remote.family != udp->family)
        return;
    if (sockets->n_outgoing == BATCH)
        ph_sockets_flush(sockets);
    outgoing = &sockets->outgoing[sockets->n_outgoing++];
    outgoing->udp = udp;
    outgoing->ttl = transmit->ttl;
    outgoing->taken = FALSE;
    outgoing->length = transmit->length;
    memcpy(outgoing->bytes, transmit->bytes, transmit->length);
    outgoing->to_length = ph_sockaddr_from_address(&transmit->path.remote, &outgoing->to);
}

/* ---- what the system is given ---- */

static void set_control(struct msghdr *header, Outgoing *outgoing, int level, int type,
                        const void *value, size_t size)
{
    struct cmsghdr *control;

    memset(outgoing->control, 0, sizeof(outgoing->control));
    header->msg_control = outgoing->control;
    header->msg_controllen = CMSG_SPACE(size);
    control = CMSG_FIRSTHDR(header);
    control->cmsg_level = level;
    control->cmsg_type = type;
    control->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(control), value, size);
}

static gboolean goes_along(const Outgoing *a, const Outgoing *b)
{
    return a->udp == b->udp && a->to_length == b->to_length &&
           memcmp(&a->to, &b->to, a->to_length) == 0;
}

/*
 * Makes a message of the nth datagram, and of those behind it that go the same way and have the
 * same length (the last one may be shorter): one large datagram that the system cuts up. What goes
 * to one address stays in order. Returns how many datagrams it has.
 */
static unsigned gather(PhSockets *sockets, size_t n, struct iovec *parts, Outgoing **of_parts)
{
    Outgoing *first = &sockets->outgoing[n];
    size_t bytes = 0;
    unsigned count = 0;

    for (size_t i = n; i < sockets->n_outgoing; i++) {
        Outgoing *next = &sockets->outgoing[i];

        if (next->taken || !goes_along(next, first))
            continue;
        if (count > 0 && (!first->udp->segments || first->ttl || next->ttl ||
                          next->length > first->length || next->length == 0 ||
                          count == SEGMENTS_MAX || bytes + next->length > SEGMENTS_BYTES_MAX))
            break;
        next->taken = TRUE;
        parts[count] = (struct iovec){next->bytes, next->length};
        of_parts[count++] = next;
        bytes += next->length;
        if (next->length < first->length)
            break;
    }
    return count;
}

static void set_message(struct msghdr *header, struct iovec *parts, unsigned n, Outgoing *first)
{
    gboolean ipv4 = first->udp->family == PH_FAMILY_IPV4;
    const uint16_t size = (uint16_t)first->length;
    const int ttl = first->ttl;

    *header = (struct msghdr){
        .msg_name = &first->to, .msg_namelen = first->to_length, .msg_iov = parts, .msg_iovlen = n};
    if (n > 1)
        set_control(header, first, SOL_UDP, UDP_SEGMENT, &size, sizeof(size));
    else if (ttl)
        set_control(header, first, ipv4 ? IPPROTO_IP : IPPROTO_IPV6, ipv4 ? IP_TTL : IPV6_HOPLIMIT,
                    &ttl, sizeof(ttl));
}

/*
 * Sends as many as one system call takes, and returns by how many the queue got shorter: at least
 * one. A failure may be an older datagram's (an ICMP error is reported by the next call, once), so
 * what failed is tried a second time before it is given up, with the errno in *ret_number.
 */
static unsigned send_some(PhSockets *sockets, int fd, struct mmsghdr *headers, unsigned n,
                          int *ret_number)
{
    for (unsigned attempt = 0; attempt < 2; attempt++) {
        int sent = sendmmsg(fd, headers, n, MSG_DONTWAIT);

        sockets->counters.send_calls++;
        *ret_number = sent > 0 ? 0 : errno;
        if (sent > 0)
            return (unsigned)sent;
    }
    return 1;
}

static void tell_sent(PhSockets *sockets, Outgoing *const *outgoing, size_t n, int number)
{
    uint64_t now;

    sockets->counters.sent += number == 0 ? n : 0;
    if (!sockets->handler->sent)
        return;
    now = ph_clock_now();
    for (size_t i = 0; i < n; i++) {
        PhPath path = {.transport = PH_TRANSPORT_UDP, .socket = outgoing[i]->udp->id};

        if (ph_sockaddr_to_address((const struct sockaddr *)&outgoing[i]->to,
                                   outgoing[i]->to_length, &path.remote))
            sockets->handler->sent(sockets->data, &path, number, now);
    }
}

/* What the system would not cut up goes one by one; and if it never does (the device cannot, or a
 * segment is larger than the path takes), so does all that follows. */
static void send_apart(PhSockets *sockets, Outgoing *const *outgoing, size_t n, int number)
{
    Udp *udp = outgoing[0]->udp;

    if (number == EIO || number == EINVAL || number == EOPNOTSUPP) {
        udp->segments = FALSE;
        sockets->counters.segments_refused++;
    }
    for (size_t i = 0; i < n; i++) {
        struct iovec part = {outgoing[i]->bytes, outgoing[i]->length};
        struct mmsghdr header = {0};

        set_message(&header.msg_hdr, &part, 1, outgoing[i]);
        (void)send_some(sockets, udp->fd, &header, 1, &number);
        tell_sent(sockets, &outgoing[i], 1, number);
    }
}

/* Messages of one socket: `n` of them, whose parts begin at `outgoing`. Returns how many parts they
 * have. */
static size_t send_messages(PhSockets *sockets, struct mmsghdr *headers, unsigned n,
                            Outgoing *const *outgoing)
{
    const int fd = outgoing[0]->udp->fd;
    size_t at = 0;

    for (unsigned i = 0; i < n;) {
        int number;
        unsigned done = send_some(sockets, fd, &headers[i], n - i, &number);

        for (unsigned end = i + done; i < end; i++) {
            size_t parts = headers[i].msg_hdr.msg_iovlen;

            if (number != 0 && parts > 1) {
                send_apart(sockets, &outgoing[at], parts, number);
            } else {
                tell_sent(sockets, &outgoing[at], parts, number);
                sockets->counters.segmented += parts > 1 ? parts : 0;
            }
            at += parts;
        }
    }
    return at;
}

void ph_sockets_flush(PhSockets *sockets)
{
    size_t n_parts = 0;
    unsigned n = 0, i = 0;

    for (size_t k = 0; k < sockets->n_outgoing; k++) {
        struct iovec *parts = &sockets->parts[n_parts];
        unsigned count;

        if (sockets->outgoing[k].taken)
            continue;
        count = gather(sockets, k, parts, &sockets->of_parts[n_parts]);
        set_message(&sockets->out_headers[n++].msg_hdr, parts, count, &sockets->outgoing[k]);
        n_parts += count;
    }
    for (size_t at = 0; i < n;) {
        unsigned end = i + 1;
        size_t next = at + sockets->out_headers[i].msg_hdr.msg_iovlen;

        for (; end < n && sockets->of_parts[next]->udp == sockets->of_parts[at]->udp; end++)
            next += sockets->out_headers[end].msg_hdr.msg_iovlen;
        at += send_messages(sockets, &sockets->out_headers[i], end - i, &sockets->of_parts[at]);
        i = end;
    }
    sockets->n_outgoing = 0;
}

void ph_sockets_never_segment(PhSockets *sockets)
{
    sockets->never_segments = TRUE;
}

const PhSocketsCounters *ph_sockets_counters(const PhSockets *sockets)
{
    return &sockets->counters;
}
