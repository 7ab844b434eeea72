/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sockets in network namespaces that are not the caller's. */
#include "machine/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/errqueue.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

socklen_t pl_sockaddr_from_address(const PhAddress *address, PlSockaddr *ret_sockaddr)
{
    memset(ret_sockaddr, 0, sizeof(*ret_sockaddr));
    if (address->family == PH_FAMILY_IPV6) {
        ret_sockaddr->in6.sin6_family = AF_INET6;
        ret_sockaddr->in6.sin6_port = htons(address->port);
        ret_sockaddr->in6.sin6_scope_id = address->scope_id;
        memcpy(&ret_sockaddr->in6.sin6_addr, address->bytes, 16);
        return sizeof(ret_sockaddr->in6);
    }
    g_assert(address->family == PH_FAMILY_IPV4);
    ret_sockaddr->in.sin_family = AF_INET;
    ret_sockaddr->in.sin_port = htons(address->port);
    memcpy(&ret_sockaddr->in.sin_addr, address->bytes, 4);
    return sizeof(ret_sockaddr->in);
}

PhAddress pl_sockaddr_to_address(const PlSockaddr *sockaddr)
{
    PhAddress address = {0};

    if (sockaddr->any.sa_family == AF_INET6) {
        address.family = PH_FAMILY_IPV6;
        address.port = ntohs(sockaddr->in6.sin6_port);
        address.scope_id = sockaddr->in6.sin6_scope_id;
        memcpy(address.bytes, &sockaddr->in6.sin6_addr, 16);
    } else if (sockaddr->any.sa_family == AF_INET) {
        address =
            ph_address_ipv4(ntohl(sockaddr->in.sin_addr.s_addr), ntohs(sockaddr->in.sin_port));
    }
    return address;
}

gboolean pl_visit_begin(PlVisit *ret_visit, GError **error)
{
    PlVisit visit = {.at = -1};

    visit.home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    if (visit.home < 0) {
        g_set_error(error, PL_ERROR, PL_ERROR_FAILED, "cannot open /proc/thread-self/ns/net: %s",
                    g_strerror(errno));
        return FALSE;
    }
    *ret_visit = visit;
    return TRUE;
}

gboolean pl_visit_enter(PlVisit *visit, int netns_fd, GError **error)
{
    if (visit->at == netns_fd)
        return TRUE;
    if (setns(netns_fd, CLONE_NEWNET) < 0) {
        g_set_error(error, PL_ERROR, PL_ERROR_FAILED, "cannot enter a network namespace: %s",
                    g_strerror(errno));
        return FALSE;
    }
    visit->at = netns_fd;
    return TRUE;
}

void pl_visit_end(PlVisit *visit)
{
    if (visit->at >= 0 && setns(visit->home, CLONE_NEWNET) < 0)
        g_error("cannot go back to the own network namespace: %s", g_strerror(errno));
    close(visit->home);
    *visit = (PlVisit){.home = -1, .at = -1};
}

static gboolean bind_socket(int fd, const PlDrivePlace *place, const PhAddress *local)
{
    PlSockaddr to;
    socklen_t length;

    if (place->interface && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, place->interface,
                                       (socklen_t)strlen(place->interface)) < 0)
        return FALSE;
    if (!local)
        return TRUE;
    length = pl_sockaddr_from_address(local, &to);
    return bind(fd, &to.any, length) == 0;
}

int pl_visit_socket(PlVisit *visit, const PlDrivePlace *place, int family, int type, int protocol,
                    const PhAddress *local, gboolean *ret_taken, GError **error)
{
    char text[PH_ADDRESS_TEXT_MAX] = "any address";
    int fd, one = 1;

    if (ret_taken)
        *ret_taken = FALSE;
    if (!pl_visit_enter(visit, place->netns_fd, error))
        return -1;
    fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
    if (fd < 0) {
        g_set_error(error, PL_ERROR, PL_ERROR_FAILED, "cannot make a socket: %s",
                    g_strerror(errno));
        return -1;
    }
    /* A connection that lingers from an earlier test does not keep a listener's port. */
    if ((type == SOCK_STREAM && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0) ||
        !bind_socket(fd, place, local)) {
        int failed = errno;

        if (ret_taken)
            *ret_taken = failed == EADDRINUSE || failed == EADDRNOTAVAIL || failed == EACCES;
        g_set_error(error, PL_ERROR, PL_ERROR_FAILED, "cannot bind a socket to %s on %s: %s",
                    local ? ph_address_format(local, text) : text,
                    place->interface ? place->interface : "any interface", g_strerror(failed));
        close(fd);
        return -1;
    }
    return fd;
}

gboolean pl_socket_lost(int failed)
{
    switch (failed) {
    case EPERM: /* a firewall on the way out */
    case EACCES:
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENETDOWN:
    case ENOBUFS:
    case ECONNREFUSED:
    case EPROTO:
    case EHOSTDOWN:
    case EMSGSIZE:
    case EOPNOTSUPP:
    case ENOPROTOOPT:
    case ENONET:
        return TRUE;
    default:
        return FALSE;
    }
}

/* A port unreachable, RFC 792 and RFC 4443 §3.1. */
static gboolean is_port_unreachable(const struct sock_extended_err *e)
{
    return (e->ee_origin == SO_EE_ORIGIN_ICMP && e->ee_type == ICMP_DEST_UNREACH &&
            e->ee_code == ICMP_PORT_UNREACH) ||
           (e->ee_origin == SO_EE_ORIGIN_ICMP6 && e->ee_type == ICMP6_DST_UNREACH &&
            e->ee_code == ICMP6_DST_UNREACH_NOPORT);
}

gboolean pl_socket_take_error(int fd, PhAddress *ret_unreachable)
{
    union {
        struct cmsghdr align;
        char bytes[512];
    } control;
    PlSockaddr remote = {0};
    char data[PL_PROBE_DATA_MAX];
    struct iovec iov = {.iov_base = data, .iov_len = sizeof(data)};
    struct msghdr message = {.msg_name = &remote,
                             .msg_namelen = sizeof(remote),
                             .msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};

    if (recvmsg(fd, &message, MSG_ERRQUEUE) < 0)
        return FALSE;
    *ret_unreachable = (PhAddress){0};
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
        struct sock_extended_err e;

        if (!(c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) &&
            !(c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR))
            continue;
        if (c->cmsg_len < CMSG_LEN(sizeof(e)))
            continue;
        memcpy(&e, CMSG_DATA(c), sizeof(e));
        if (is_port_unreachable(&e))
            *ret_unreachable = pl_sockaddr_to_address(&remote);
    }
    return TRUE;
}
