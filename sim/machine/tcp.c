/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A TCP connection from one place to another, both ends ours. */
#include "machine/tcp.h"

#include <errno.h>
#include <unistd.h>

static int family_of(const PhAddress *address)
{
    return address->family == PH_FAMILY_IPV6 ? AF_INET6 : AF_INET;
}

/* *at becomes what it listens on. */
static int open_listener(PlVisit *visit, const PlDrivePlace *place, gboolean any_port,
                         PhAddress *at, gboolean *ret_taken, GError **error)
{
    PlSockaddr bound = {0};
    socklen_t length = sizeof(bound);
    int fd = pl_visit_socket(visit, place, family_of(at), SOCK_STREAM, 0, at, ret_taken,
                             any_port ? NULL : error);

    if (fd < 0 && any_port) {
        at->port = 0;
        fd = pl_visit_socket(visit, place, family_of(at), SOCK_STREAM, 0, at, ret_taken, error);
    }
    if (fd < 0)
        return -1;
    if (listen(fd, 4) < 0 || getsockname(fd, &bound.any, &length) < 0) {
        g_set_error(error, PL_ERROR, PL_ERROR_FAILED, "cannot listen: %s", g_strerror(errno));
        close(fd);
        return -1;
    }
    *at = pl_sockaddr_to_address(&bound);
    return fd;
}

gboolean pl_tcp_open(PlVisit *visit, const PlDrivePlace *here, const PlDrivePlace *there,
                     const PhAddress *local, const PhAddress *remote, const PhAddress *listener,
                     PlTcp *ret_tcp, gboolean *ret_taken, GError **error)
{
    gboolean direct = ph_address_equal(listener, remote);
    PlTcp tcp = {.listener = -1, .connection = -1};
    PhAddress at = *listener, to = *remote, from = *local;
    PlSockaddr sockaddr;
    socklen_t length;

    *ret_taken = FALSE;
    tcp.listener = open_listener(visit, there, direct, &at, ret_taken, error);
    if (tcp.listener < 0)
        return FALSE;
    if (direct)
        to = at;
    from.port = 0;
    tcp.connection =
        pl_visit_socket(visit, here, family_of(&to), SOCK_STREAM, 0, &from, NULL, error);
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
