/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A TCP connection from one place to another, both ends ours. */
#include "machine/tcp.h"

#include <errno.h>
#include <unistd.h>

static int family_of(const PhAddress *address)
{
    return address->family == PH_FAMILY_IPV6 ? AF_INET6 : AF_INET;
}

/* *remote becomes what it listens on. */
static int open_listener(PlVisit *visit, const PlDrivePlace *outside, PhAddress *remote,
                         GError **error)
{
    PlSockaddr bound = {0};
    socklen_t length = sizeof(bound);
    int fd = pl_visit_socket(visit, outside, family_of(remote), SOCK_STREAM, 0, remote, NULL, NULL);

    if (fd < 0) {
        remote->port = 0;
        fd =
            pl_visit_socket(visit, outside, family_of(remote), SOCK_STREAM, 0, remote, NULL, error);
    }
    if (fd < 0)
        return -1;
    if (listen(fd, 4) < 0 || getsockname(fd, &bound.any, &length) < 0) {
        g_set_error(error, PL_ERROR, PL_ERROR_FAILED, "cannot listen: %s", g_strerror(errno));
        close(fd);
        return -1;
    }
    *remote = pl_sockaddr_to_address(&bound);
    return fd;
}

gboolean pl_tcp_open(PlVisit *visit, const PlDrivePlace *inside, const PlDrivePlace *outside,
                     const PhAddress *local, const PhAddress *remote, PlTcp *ret_tcp,
                     GError **error)
{
    PlTcp tcp = {.listener = -1, .connection = -1};
    PhAddress to = *remote, from = *local;
    PlSockaddr sockaddr;
    socklen_t length;

    tcp.listener = open_listener(visit, outside, &to, error);
    if (tcp.listener < 0)
        return FALSE;
    from.port = 0;
    tcp.connection =
        pl_visit_socket(visit, inside, family_of(&to), SOCK_STREAM, 0, &from, NULL, error);
    if (tcp.connection < 0) {
        close(tcp.listener);
        return FALSE;
    }
    length = pl_sockaddr_from_address(&to, &sockaddr);
    tcp.refused = connect(tcp.connection, &sockaddr.any, length) < 0 && errno != EINPROGRESS;
    *ret_tcp = tcp;
    return TRUE;
}

PlTcpState pl_tcp_look(const PlTcp *tcp, PhAddress *ret_from)
{
    PlSockaddr peer = {0};
    socklen_t length = sizeof(peer), size = sizeof(int);
    int fd = accept4(tcp->listener, &peer.any, &length, SOCK_CLOEXEC), failed = 0;

    if (fd >= 0) {
        close(fd);
        *ret_from = pl_sockaddr_to_address(&peer);
        return PL_TCP_ARRIVED;
    }
    getsockopt(tcp->connection, SOL_SOCKET, SO_ERROR, &failed, &size);
    return failed ? PL_TCP_FAILED : PL_TCP_PENDING;
}
