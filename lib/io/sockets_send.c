/* SPDX-License-Identifier: MIT */
/* What is to be sent waits in a queue, and is given to the system many at a time: see sockets.h. */
#include "sockets_private.h"

#include <errno.h>
#include <netinet/udp.h>
#include <string.h>

#include "sockaddr.h"
#include "system.h"

/* Of one large datagram that the system cuts up (man 7 udp, UDP_SEGMENT): no more pieces than any
 * kernel takes, and no more bytes than UDP has. */
#define SEGMENTS_MAX       64
#define SEGMENTS_BYTES_MAX 65000

void ph_sockets_send(PhSockets *sockets, const PhTransmit *transmit)
{
    PhUdp *udp = g_hash_table_lookup(sockets->by_id, GUINT_TO_POINTER(transmit->path.socket));
    PhSocketsOutgoing *outgoing;

    if (!udp || transmit->length > TRANSMIT_MAX || transmit->path.remote.family != udp->family)
        return;
    if (sockets->n_outgoing == PH_SOCKETS_BATCH)
        ph_sockets_flush(sockets);
    outgoing = &sockets->outgoing[sockets->n_outgoing++];
    outgoing->udp = udp;
    outgoing->ttl = transmit->ttl;
    outgoing->taken = FALSE;
    outgoing->length = transmit->length;
    memcpy(outgoing->bytes, transmit->bytes, transmit->length);
    outgoing->to_length = ph_sockaddr_from_address(&transmit->path.remote, &outgoing->to);
}

static void set_control(struct msghdr *header, PhSocketsOutgoing *outgoing, int level, int type,
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

static gboolean goes_along(const PhSocketsOutgoing *a, const PhSocketsOutgoing *b)
{
    return a->udp == b->udp && a->to_length == b->to_length &&
           memcmp(&a->to, &b->to, a->to_length) == 0;
}

/*
 * Makes a message of the nth datagram, and of those behind it that go the same way and have the
 * same length (the last one may be shorter): one large datagram that the system cuts up. What goes
 * to one address stays in order. Returns how many datagrams it has.
 */
static unsigned gather(PhSockets *sockets, size_t n, struct iovec *parts,
                       PhSocketsOutgoing **of_parts)
{
    PhSocketsOutgoing *first = &sockets->outgoing[n];
    size_t bytes = 0;
    unsigned count = 0;

    for (size_t i = n; i < sockets->n_outgoing; i++) {
        PhSocketsOutgoing *next = &sockets->outgoing[i];

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

static void set_message(struct msghdr *header, struct iovec *parts, unsigned n,
                        PhSocketsOutgoing *first)
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

static void tell_sent(PhSockets *sockets, PhSocketsOutgoing *const *outgoing, size_t n, int number)
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
static void send_apart(PhSockets *sockets, PhSocketsOutgoing *const *outgoing, size_t n, int number)
{
    PhUdp *udp = outgoing[0]->udp;

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
                            PhSocketsOutgoing *const *outgoing)
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
