/* SPDX-License-Identifier: MIT */
/* What a datagram carries besides its bytes. It is built with lib/io's own files: what they do with
 * a TTL no public function shows. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../lib/io/sockets.h"

static void nothing(gpointer data G_GNUC_UNUSED)
{
}

static void no_datagram(gpointer data G_GNUC_UNUSED, const PhPath *path G_GNUC_UNUSED,
                        const uint8_t *bytes G_GNUC_UNUSED, size_t length G_GNUC_UNUSED,
                        uint64_t now G_GNUC_UNUSED)
{
    g_assert_not_reached();
}

static const PhSocketsHandler handler = {.datagram = no_datagram, .done = nothing};

/* A socket that is told of the TTL of what it gets; -1: there is no such family here. */
static int listener(PhFamily family, PhAddress *ret_address)
{
    const int one = 1;
    const struct timeval limit = {.tv_sec = 10};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    gboolean ipv4 = family == PH_FAMILY_IPV4;
    struct sockaddr *name = ipv4 ? (struct sockaddr *)&in : (struct sockaddr *)&in6;
    socklen_t length = ipv4 ? sizeof(in) : sizeof(in6);
    int fd = socket(name->sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, name, length) < 0) {
        g_assert_cmpint(family, ==, PH_FAMILY_IPV6);
        if (fd >= 0)
            close(fd);
        return -1;
    }
    g_assert_cmpint(getsockname(fd, name, &length), ==, 0);
    g_assert_cmpint(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), ==, 0);
    g_assert_cmpint(setsockopt(fd, ipv4 ? IPPROTO_IP : IPPROTO_IPV6,
                               ipv4 ? IP_RECVTTL : IPV6_RECVHOPLIMIT, &one, sizeof(one)),
                    ==, 0);
    g_assert_true(ph_address_parse(ipv4 ? "127.0.0.1" : "::1", ret_address));
    ret_address->port = ntohs(ipv4 ? in.sin_port : in6.sin6_port);
    return fd;
}

static int ttl_of_next(int fd)
{
    char bytes[16];
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    struct iovec part = {bytes, sizeof(bytes)};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = control,
                            .msg_controllen = sizeof(control)};
    const struct cmsghdr *found;
    int ttl;

    g_assert_cmpint(recvmsg(fd, &header, 0), ==, 5);
    found = CMSG_FIRSTHDR(&header);
    g_assert_nonnull(found);
    g_assert_true((found->cmsg_level == IPPROTO_IP && found->cmsg_type == IP_TTL) ||
                  (found->cmsg_level == IPPROTO_IPV6 && found->cmsg_type == IPV6_HOPLIMIT));
    memcpy(&ttl, CMSG_DATA(found), sizeof(ttl));
    return ttl;
}

/* In one batch, so that one datagram's TTL is not the next one's. */
static void test_a_datagram_carries_its_ttl(gconstpointer data)
{
    static const uint8_t ttls[] = {4, 0, 1, 255, 0, 7};
    PhFamily family = (PhFamily)GPOINTER_TO_INT(data);
    g_autoptr(PhSockets) sockets = ph_sockets_new(NULL, &handler, NULL);
    PhAddress remote, local = {.family = (uint8_t)family}, bound;
    g_autoptr(GError) error = NULL;
    int fd = listener(family, &remote), usual = 0;

    if (fd < 0) {
        g_test_skip("no IPv6 here");
        return;
    }
    g_assert_true(ph_sockets_open(sockets, 1, &local, &bound, &error));
    for (gsize i = 0; i < G_N_ELEMENTS(ttls); i++) {
        PhTransmit transmit = {.path = {PH_TRANSPORT_UDP, 1, remote},
                               .bytes = (const uint8_t *)"bytes",
                               .length = 5,
                               .ttl = ttls[i]};

        ph_sockets_send(sockets, &transmit);
    }
    ph_sockets_flush(sockets);
    for (gsize i = 0; i < G_N_ELEMENTS(ttls); i++) {
        int ttl = ttl_of_next(fd);

        if (ttls[i]) {
            g_assert_cmpint(ttl, ==, ttls[i]);
            continue;
        }
        g_assert_cmpint(ttl, >=, 32); /* the system's own */
        g_assert_true(usual == 0 || ttl == usual);
        usual = ttl;
    }
    close(fd);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/sockets/a_datagram_carries_its_ttl/ipv4",
                         GINT_TO_POINTER(PH_FAMILY_IPV4), test_a_datagram_carries_its_ttl);
    g_test_add_data_func("/sockets/a_datagram_carries_its_ttl/ipv6",
                         GINT_TO_POINTER(PH_FAMILY_IPV6), test_a_datagram_carries_its_ttl);
    return g_test_run();
}
