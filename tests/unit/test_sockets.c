/* SPDX-License-Identifier: MIT */
/* What a datagram carries besides its bytes, and many in one piece. It is built with lib/io's own
 * files: what they do with a TTL no public function shows. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../lib/io/sockets.h"
#include "../../lib/io/system.h"

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

/* What goes to one address has one order, whatever it is sent with. */
static void send_numbered(PhSockets *sockets, const PhAddress *remotes, const guint16 *lengths,
                          guint n)
{
    for (guint i = 0; i < n; i++) {
        guint8 bytes[1400] = {(guint8)i};
        PhTransmit transmit = {.path = {PH_TRANSPORT_UDP, 1, remotes[i % 2]},
                               .bytes = bytes,
                               .length = lengths[i],
                               .ttl = i == 20 ? 9 : 0};

        ph_sockets_send(sockets, &transmit);
    }
    ph_sockets_flush(sockets);
}

/* Datagrams of one length in one piece, and yet each is what it was: to two addresses by turns. */
static void test_what_is_sent_in_one_piece_arrives_as_it_was(gconstpointer data)
{
    guint16 lengths[40];
    PhFamily family = (PhFamily)GPOINTER_TO_INT(data);
    PhAddress remotes[2], local = {.family = (uint8_t)family}, bound;
    int fds[2] = {listener(family, &remotes[0]), listener(family, &remotes[1])};

    if (fds[0] < 0) {
        g_test_skip("no IPv6 here");
        return;
    }
    for (guint i = 0; i < G_N_ELEMENTS(lengths); i++)
        lengths[i] = i < 10 ? 1200 : i < 16 ? 7 : i == 30 ? 0 : i % 7 == 0 ? 1400 : 900;
    for (guint never = 0; never < 2; never++) {
        g_autoptr(PhSockets) sockets = ph_sockets_new(NULL, &handler, NULL);
        g_autoptr(GError) error = NULL;

        if (never)
            ph_sockets_never_segment(sockets);
        g_assert_true(ph_sockets_open(sockets, 1, &local, &bound, &error));
        send_numbered(sockets, remotes, lengths, G_N_ELEMENTS(lengths));
        for (guint i = 0; i < G_N_ELEMENTS(lengths); i++) {
            guint8 bytes[2000];

            g_assert_cmpint(recv(fds[i % 2], bytes, sizeof(bytes), 0), ==, lengths[i]);
            if (lengths[i] > 0)
                g_assert_cmpuint(bytes[0], ==, i);
        }
        g_assert_cmpuint(ph_sockets_counters(sockets)->sent, ==, G_N_ELEMENTS(lengths));
        if (never)
            g_assert_cmpuint(ph_sockets_counters(sockets)->segmented, ==, 0);
        else if (ph_sockets_counters(sockets)->segments_refused == 0)
            g_assert_cmpuint(ph_sockets_counters(sockets)->segmented, >=, 20);
        else
            g_test_skip("this system does not cut up datagrams");
    }
    close(fds[0]);
    close(fds[1]);
}

/* ---- what comes ---- */

#define CAME_MAX 64

typedef struct Came {
    guint n, n_first, n_long;
    gsize lengths[CAME_MAX], long_length;
    guint8 first[CAME_MAX]; /* of those that have one: the first byte */
} Came;

static void note(gpointer data, const PhPath *path, const uint8_t *bytes, size_t length,
                 uint64_t now G_GNUC_UNUSED)
{
    Came *came = data;

    g_assert_cmpuint(path->socket, ==, 7);
    g_assert_cmpuint(came->n, <, CAME_MAX);
    came->lengths[came->n++] = length;
    if (length > 0)
        came->first[came->n_first++] = bytes[0];
    for (gsize i = 1; i < length; i++)
        g_assert_cmpuint(bytes[i], ==, 0);
}

static void note_long(gpointer data, const PhPath *path G_GNUC_UNUSED, size_t length)
{
    Came *came = data;

    came->n_long++;
    came->long_length = length;
}

static const PhSocketsHandler noting = {.datagram = note, .too_long = note_long, .done = nothing};

static void await(const Came *came, guint n)
{
    const gint64 end = g_get_monotonic_time() + 10 * G_USEC_PER_SEC;

    while (came->n + came->n_long < n && g_get_monotonic_time() < end)
        (void)g_main_context_iteration(NULL, FALSE);
    g_assert_cmpuint(came->n + came->n_long, ==, n);
}

typedef enum { OWN, NEVER, LENT, LENT_JOINING, RECEIVERS } Receiver;

/* A socket of that kind, as number 7. */
static void open_receiver(PhSockets *sockets, Receiver receiver, PhFamily family,
                          PhAddress *ret_address)
{
    PhAddress local = {.family = (uint8_t)family};
    g_autoptr(GSocket) socket = NULL;
    g_autoptr(GError) error = NULL;
    const int one = 1;
    int fd;

    g_assert_true(ph_address_parse(family == PH_FAMILY_IPV4 ? "127.0.0.1" : "::1", &local));
    if (receiver == NEVER)
        ph_sockets_never_segment(sockets);
    if (receiver == OWN || receiver == NEVER) {
        g_assert_true(ph_sockets_open(sockets, 7, &local, ret_address, &error));
        return;
    }
    fd = listener(family, ret_address);
    if (receiver == LENT_JOINING)
        (void)setsockopt(fd, SOL_UDP, UDP_GRO, &one, sizeof(one));
    socket = g_socket_new_from_fd(fd, &error);
    g_assert_no_error(error);
    g_assert_true(ph_sockets_adopt(sockets, 7, family, socket, ret_address, &error));
}

/* What the system puts together is taken apart, in order, whoever opened the socket. */
static void test_what_comes_in_one_piece_is_what_was_sent(gconstpointer data)
{
    static const guint16 lengths[] = {1200, 1200, 1200, 1200, 700, 5, 5, 5, 5, 5,
                                      5,    5,    5,    0,    0,   3, 9, 9, 9, 1400};
    PhFamily family = (PhFamily)GPOINTER_TO_INT(data);
    PhAddress any;
    int fd = listener(family, &any);

    if (fd < 0) {
        g_test_skip("no IPv6 here");
        return;
    }
    close(fd);
    for (Receiver receiver = OWN; receiver < RECEIVERS; receiver++) {
        Came came = {0};
        g_autoptr(PhSockets) to = ph_sockets_new(NULL, &noting, &came);
        g_autoptr(PhSockets) from = ph_sockets_new(NULL, &handler, NULL);
        PhAddress remotes[2], local = {.family = (uint8_t)family}, bound;
        g_autoptr(GError) error = NULL;
        guint joined;

        g_assert_true(ph_sockets_open(from, 1, &local, &bound, &error));
        open_receiver(to, receiver, family, &remotes[0]);
        remotes[1] = remotes[0];
        send_numbered(from, remotes, lengths, G_N_ELEMENTS(lengths));
        await(&came, G_N_ELEMENTS(lengths));
        for (guint i = 0, k = 0; i < came.n; i++) {
            g_assert_cmpuint(came.lengths[i], ==, lengths[i]);
            if (lengths[i] > 0)
                g_assert_cmpuint(came.first[k++], ==, i);
        }
        g_assert_cmpuint(ph_sockets_counters(to)->received, ==, came.n);
        joined = (guint)ph_sockets_counters(to)->joined;
        if (receiver == NEVER || receiver == LENT)
            g_assert_cmpuint(joined, ==, 0);
        else if (ph_sockets_counters(from)->segmented > 0)
            g_assert_cmpuint(joined, ==, ph_sockets_counters(from)->segmented);
        else
            g_test_skip("this system does not cut up datagrams");
    }
}

/* Alone or as a piece of one that is put together. */
static void test_what_is_too_long_is_dropped_piece_by_piece(void)
{
    static const guint8 bytes[9000];
    const int size = 3000;
    Came came = {0};
    g_autoptr(PhSockets) to = ph_sockets_new(NULL, &noting, &came);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    PhAddress address;

    open_receiver(to, OWN, PH_FAMILY_IPV4, &address);
    name.sin_port = htons(address.port);
    g_assert_cmpint(connect(fd, (const struct sockaddr *)&name, sizeof(name)), ==, 0);
    g_assert_cmpint(send(fd, bytes, 2049, 0), ==, 2049);
    g_assert_cmpint(send(fd, bytes, 2048, 0), ==, 2048);
    await(&came, 2);
    g_assert_cmpuint(came.long_length, ==, 2049);
    g_assert_cmpuint(came.lengths[0], ==, 2048);
    if (setsockopt(fd, SOL_UDP, UDP_SEGMENT, &size, sizeof(size)) == 0 &&
        send(fd, bytes, sizeof(bytes) - 1, 0) == (gssize)sizeof(bytes) - 1) {
        await(&came, 5);
        g_assert_cmpuint(came.n_long, ==, 4);
        g_assert_cmpuint(came.long_length, ==, 2999);
    } else {
        g_test_skip("this system does not cut up datagrams");
    }
    close(fd);
}

/* One that the system refuses, among others. */
static void test_what_is_not_taken_does_not_stop_the_rest(void)
{
    g_autoptr(PhSockets) sockets = ph_sockets_new(NULL, &handler, NULL);
    PhAddress remote, local = {.family = PH_FAMILY_IPV4}, bound;
    int fd = listener(PH_FAMILY_IPV4, &remote);
    g_autoptr(GError) error = NULL;
    guint8 bytes[1400] = {0};

    g_assert_true(ph_sockets_open(sockets, 1, &local, &bound, &error));
    for (guint i = 0; i < 4; i++) {
        PhTransmit transmit = {.path = {PH_TRANSPORT_UDP, 1, remote}, .bytes = bytes};

        bytes[0] = (guint8)i;
        transmit.length = 5;
        transmit.path.remote = i == 1 ? ph_address_ipv4(0xffffffff, 9) : remote;
        ph_sockets_send(sockets, &transmit); /* everybody's address may not be sent to */
    }
    ph_sockets_flush(sockets);
    for (guint i = 0; i < 4; i++) {
        if (i == 1)
            continue;
        g_assert_cmpint(recv(fd, bytes, sizeof(bytes), 0), ==, 5);
        g_assert_cmpuint(bytes[0], ==, i);
    }
    g_assert_cmpuint(ph_sockets_counters(sockets)->sent, ==, 3);
    close(fd);
}

/* When the hub is asked by the other family, what the host sends from is listed first, and that is
 * no other network; by the same family it is. */
static void test_where_a_host_is(void)
{
    const PhAddress four = ph_address_ipv4(0xc0a80102, 0), other = ph_address_ipv4(0xc0a80202, 0),
                    gone = ph_address_ipv4(0xc0a80302, 0),
                    six = {.bytes = {0x20, 0x01}, .family = PH_FAMILY_IPV6},
                    next = {.bytes = {0x20, 0x02}, .family = PH_FAMILY_IPV6};
    const PhAddress before[] = {four, other, six, next}, flipped[] = {next, six, four, other},
                    rerouted[] = {other, four, six, next}, moved[] = {next, six, four, gone};

    g_assert_true(ph_local_addresses_same(before, 4, before, 4));
    g_assert_true(ph_local_addresses_same(before, 4, flipped, 4));
    g_assert_false(ph_local_addresses_same(before, 4, rerouted, 4));
    g_assert_false(ph_local_addresses_same(before, 4, before, 3));
    g_assert_false(ph_local_addresses_same(moved, 4, before, 4));
    g_assert_true(ph_local_addresses_same(before, 0, before, 0));
    g_assert_false(ph_local_addresses_same(before, 0, before, 1));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/sockets/a_datagram_carries_its_ttl/ipv4",
                         GINT_TO_POINTER(PH_FAMILY_IPV4), test_a_datagram_carries_its_ttl);
    g_test_add_data_func("/sockets/a_datagram_carries_its_ttl/ipv6",
                         GINT_TO_POINTER(PH_FAMILY_IPV6), test_a_datagram_carries_its_ttl);
    g_test_add_data_func("/sockets/what_is_sent_in_one_piece_arrives_as_it_was/ipv4",
                         GINT_TO_POINTER(PH_FAMILY_IPV4),
                         test_what_is_sent_in_one_piece_arrives_as_it_was);
    g_test_add_data_func("/sockets/what_is_sent_in_one_piece_arrives_as_it_was/ipv6",
                         GINT_TO_POINTER(PH_FAMILY_IPV6),
                         test_what_is_sent_in_one_piece_arrives_as_it_was);
    g_test_add_data_func("/sockets/what_comes_in_one_piece_is_what_was_sent/ipv4",
                         GINT_TO_POINTER(PH_FAMILY_IPV4),
                         test_what_comes_in_one_piece_is_what_was_sent);
    g_test_add_data_func("/sockets/what_comes_in_one_piece_is_what_was_sent/ipv6",
                         GINT_TO_POINTER(PH_FAMILY_IPV6),
                         test_what_comes_in_one_piece_is_what_was_sent);
    g_test_add_func("/sockets/what_is_too_long_is_dropped_piece_by_piece",
                    test_what_is_too_long_is_dropped_piece_by_piece);
    g_test_add_func("/sockets/what_is_not_taken_does_not_stop_the_rest",
                    test_what_is_not_taken_does_not_stop_the_rest);
    g_test_add_func("/sockets/where_a_host_is", test_where_a_host_is);
    return g_test_run();
}
