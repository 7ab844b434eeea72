/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The prober with real sockets, in a sandbox:
 *
 *     home      inside namespace            outside namespace
 *               in 10.9.0.1 ─── veth ─── out 10.9.0.2, 10.9.0.3
 */
#include "machine/drive.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/link/veth.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "in_sandbox.h"
#include "machine/socket.h"

typedef struct {
    int home, inside, outside;
} Spaces;

static int current_space(void)
{
    int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

    g_assert_cmpint(fd, >=, 0);
    return fd;
}

static int new_space(void)
{
    g_assert_cmpint(unshare(CLONE_NEWNET), ==, 0);
    return current_space();
}

static void enter(int space)
{
    g_assert_cmpint(setns(space, CLONE_NEWNET), ==, 0);
}

/* In the current namespace. */
static void configure(const char *interface, const char *const *addresses)
{
    struct nl_sock *netlink = nl_socket_alloc();
    struct rtnl_link *link = NULL, *change = rtnl_link_alloc();

    g_assert_cmpint(nl_connect(netlink, NETLINK_ROUTE), ==, 0);
    g_assert_cmpint(rtnl_link_get_kernel(netlink, 0, interface, &link), ==, 0);
    for (; *addresses; addresses++) {
        struct rtnl_addr *entry = rtnl_addr_alloc();
        struct nl_addr *address;

        g_assert_cmpint(nl_addr_parse(*addresses, AF_INET, &address), ==, 0);
        rtnl_addr_set_ifindex(entry, rtnl_link_get_ifindex(link));
        g_assert_cmpint(rtnl_addr_set_local(entry, address), ==, 0);
        g_assert_cmpint(rtnl_addr_add(netlink, entry, 0), ==, 0);
        nl_addr_put(address);
        rtnl_addr_put(entry);
    }
    rtnl_link_set_flags(change, IFF_UP);
    g_assert_cmpint(rtnl_link_change(netlink, link, change, 0), ==, 0);
    rtnl_link_put(change);
    rtnl_link_put(link);
    nl_socket_free(netlink);
}

static void join(const Spaces *spaces)
{
    struct nl_sock *netlink = nl_socket_alloc();
    struct rtnl_link *in = rtnl_link_veth_alloc(), *out = rtnl_link_veth_get_peer(in);

    g_assert_cmpint(nl_connect(netlink, NETLINK_ROUTE), ==, 0);
    rtnl_link_set_name(in, "in");
    rtnl_link_set_name(out, "out");
    rtnl_link_set_ns_fd(in, spaces->inside);
    rtnl_link_set_ns_fd(out, spaces->outside);
    g_assert_cmpint(rtnl_link_add(netlink, in, NLM_F_CREATE | NLM_F_EXCL), ==, 0);
    rtnl_link_put(out);
    rtnl_link_put(in);
    nl_socket_free(netlink);
}

/* News of the current namespace's links. */
static struct nl_sock *links_new(void)
{
    struct nl_sock *links = nl_socket_alloc();

    nl_socket_disable_seq_check(links);
    g_assert_cmpint(nl_connect(links, NETLINK_ROUTE), ==, 0);
    g_assert_cmpint(nl_socket_add_memberships(links, RTNLGRP_LINK, 0), ==, 0);
    return links;
}

static gboolean is_running(const char *interface)
{
    struct nl_sock *netlink = nl_socket_alloc();
    struct rtnl_link *link = NULL;
    gboolean up;

    g_assert_cmpint(nl_connect(netlink, NETLINK_ROUTE), ==, 0);
    g_assert_cmpint(rtnl_link_get_kernel(netlink, 0, interface, &link), ==, 0);
    up = rtnl_link_get_operstate(link) == IF_OPER_UP;
    rtnl_link_put(link);
    nl_socket_free(netlink);
    return up;
}

/*
 * The end that was up first learns of its carrier a little later, and drops everything until then:
 * the lost ARP request would cost a second.
 */
static void wait_running(const char *interface, struct nl_sock *links)
{
    struct pollfd news = {.fd = nl_socket_get_fd(links), .events = POLLIN};
    char buffer[16384];

    while (!is_running(interface)) {
        g_assert_cmpint(poll(&news, 1, 10000), ==, 1);
        g_assert_cmpint((int)recv(news.fd, buffer, sizeof(buffer), 0), >, 0);
    }
    nl_socket_free(links);
}

static Spaces spaces_new(void)
{
    Spaces spaces = {.home = current_space()};
    struct nl_sock *links;

    spaces.inside = new_space();
    spaces.outside = new_space();
    enter(spaces.home);
    join(&spaces);
    enter(spaces.inside);
    links = links_new();
    configure("in", (const char *[]){"10.9.0.1/24", NULL});
    enter(spaces.outside);
    configure("out", (const char *[]){"10.9.0.2/24", "10.9.0.3/24", NULL});
    enter(spaces.inside);
    wait_running("in", links);
    enter(spaces.home);
    return spaces;
}

static PlProber *prober_new(uint16_t inside_port)
{
    const PlProbePlan plan = {
        .inside = {ph_address_ipv4(0x0a090001, 0)},
        .outside = {ph_address_ipv4(0x0a090002, 0), ph_address_ipv4(0x0a090003, 0)},
        .inside_port = inside_port,
        .seed = 7,
    };

    return pl_prober_new(&plan, (uint64_t)g_get_monotonic_time() * 1000);
}

static void assert_at_home(const Spaces *spaces)
{
    int now = current_space();
    struct stat a, b;

    g_assert_cmpint(fstat(now, &a), ==, 0);
    g_assert_cmpint(fstat(spaces->home, &b), ==, 0);
    g_assert_cmpuint(a.st_ino, ==, b.st_ino);
    close(now);
}

static void drive(const Spaces *spaces, PlProber *prober)
{
    const PlDrivePlace inside = {.netns_fd = spaces->inside, .interface = "in"};
    const PlDrivePlace outside = {.netns_fd = spaces->outside, .interface = "out"};
    g_autoptr(GError) error = NULL;

    pl_drive_prober(prober, &inside, &outside, /* settle= */ NULL, NULL, &error);
    g_assert_no_error(error);
    assert_at_home(spaces);
}

static void direct_host(void)
{
    static const struct {
        PlAxis axis;
        const char *value;
    } expected[] = {
        {PL_AXIS_CLASS, "direct"}, {PL_AXIS_EXTERNAL, "10.9.0.1"}, {PL_AXIS_UDP, "yes"},
        {PL_AXIS_TCP, "yes"},      {PL_AXIS_ICMP, "yes"},
    };
    Spaces spaces = spaces_new();
    g_autoptr(PlProber) prober = prober_new(0);

    drive(&spaces, prober);
    for (size_t i = 0; i < G_N_ELEMENTS(expected); i++) {
        const PlFindings *findings = pl_prober_findings(prober);

        if (findings->why[expected[i].axis])
            g_test_message("%s", findings->why[expected[i].axis]);
        g_assert_cmpstr(findings->value[expected[i].axis], ==, expected[i].value);
    }
}

/* A UDP socket in the current namespace. */
static int udp_socket(uint32_t host, uint16_t port)
{
    PhAddress address = ph_address_ipv4(host, port);
    PlSockaddr to;
    socklen_t length = pl_sockaddr_from_address(&address, &to);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    g_assert_cmpint(bind(fd, &to.any, length), ==, 0);
    return fd;
}

static void port_in_use(void)
{
    Spaces spaces = spaces_new();
    g_autoptr(PlProber) prober = prober_new(5000);
    int fd;

    enter(spaces.inside);
    fd = udp_socket(0x0a090001, 5000);
    enter(spaces.home);
    drive(&spaces, prober);
    g_assert_null(pl_prober_findings(prober)->value[PL_AXIS_MAPPING]);
    g_assert_nonnull(pl_prober_findings(prober)->why[PL_AXIS_MAPPING]);
    close(fd);
}

/* Where a prober like this one wants its TCP listener. */
static PhAddress listener_of(PlProber *prober)
{
    PlProbeAction action;

    do {
        pl_prober_poll(prober, &action);
        g_assert_cmpint((int)action.kind, !=, (int)PL_PROBE_NOTHING);
    } while (action.kind != PL_PROBE_TCP);
    return action.remote;
}

static void listener_port_in_use(void)
{
    Spaces spaces = spaces_new();
    g_autoptr(PlProber) prober = prober_new(0), twin = prober_new(0);
    PhAddress address = listener_of(twin);
    PlSockaddr to;
    socklen_t length = pl_sockaddr_from_address(&address, &to);
    int fd;

    enter(spaces.outside);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    g_assert_cmpint(bind(fd, &to.any, length), ==, 0);
    g_assert_cmpint(listen(fd, 1), ==, 0);
    enter(spaces.home);
    drive(&spaces, prober);
    g_assert_cmpstr(pl_prober_findings(prober)->value[PL_AXIS_TCP], ==, "yes");
    close(fd);
}

static void missing_interface(void)
{
    Spaces spaces = spaces_new();
    const PlDrivePlace inside = {.netns_fd = spaces.inside, .interface = "nowhere"};
    const PlDrivePlace outside = {.netns_fd = spaces.outside, .interface = "out"};
    g_autoptr(PlProber) prober = prober_new(0);
    g_autoptr(GError) error = NULL;

    g_assert_false(pl_drive_prober(prober, &inside, &outside, /* settle= */ NULL, NULL, &error));
    g_assert_error(error, PL_ERROR, PL_ERROR_FAILED);
    g_assert_nonnull(strstr(error->message, "nowhere"));
    assert_at_home(&spaces);
}

static void unreachable_port(void)
{
    Spaces spaces = spaces_new();
    PhAddress remote = ph_address_ipv4(0x0a090002, 9), unreachable = {0};
    struct pollfd poll_error = {0};
    PlSockaddr to;
    socklen_t length = pl_sockaddr_from_address(&remote, &to);
    int fd, one = 1;

    enter(spaces.inside);
    fd = udp_socket(0x0a090001, 5000);
    enter(spaces.home);
    g_assert_cmpint(setsockopt(fd, IPPROTO_IP, IP_RECVERR, &one, sizeof(one)), ==, 0);
    g_assert_cmpint((int)sendto(fd, "x", 1, 0, &to.any, length), ==, 1);
    poll_error.fd = fd;
    g_assert_cmpint(poll(&poll_error, 1, 10000), ==, 1);
    g_assert_true(pl_socket_take_error(fd, &unreachable));
    g_assert_true(ph_address_equal(&unreachable, &remote));
    g_assert_false(pl_socket_take_error(fd, &unreachable));
    close(fd);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *claim;
        void (*test)(void);
    } tests[] = {
        {"/drive/a-host-with-nothing-between-is-found-direct", direct_host},
        {"/drive/a-port-in-use-leaves-findings-open-with-a-reason", port_in_use},
        {"/drive/a-listener's-port-in-use-is-no-obstacle", listener_port_in_use},
        {"/drive/an-interface-that-is-not-there-is-an-error-and-we-are-home", missing_interface},
        {"/drive/an-unreachable-port-is-told-with-its-address", unreachable_port},
    };

    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add_data_func(tests[i].claim, (gconstpointer)(uintptr_t)tests[i].test,
                             test_in_sandbox);
    return g_test_run();
}
