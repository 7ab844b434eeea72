/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Netlink messages, built with libnl, one request and one answer at a time. */
#include "wiring/rtnl.h"

#include <errno.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

struct nl_sock *pl_rtnl_open(int protocol)
{
    struct nl_sock *sock = nl_socket_alloc();

    if (!sock) {
        errno = ENOMEM;
        return NULL;
    }
    if (nl_connect(sock, protocol) < 0) {
        int saved = errno;

        nl_socket_free(sock);
        errno = saved;
        return NULL;
    }
    return sock;
}

/* Waits for the acknowledgement of the message sent last. `read` may be NULL. */
static int answer(struct nl_sock *sock, uint32_t sequence, PlRtnlReader read, gpointer data)
{
    char buffer[16384] __attribute__((aligned(NLMSG_ALIGNTO)));

    for (;;) {
        ssize_t n = recv(nl_socket_get_fd(sock), buffer, sizeof(buffer), 0);
        int left = (int)n;

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno;
        for (struct nlmsghdr *header = (struct nlmsghdr *)buffer; nlmsg_ok(header, left);
             header = nlmsg_next(header, &left)) {
            if (header->nlmsg_seq != sequence)
                continue;
            if (header->nlmsg_type != NLMSG_ERROR) {
                if (read)
                    read(header, data);
                continue;
            }
            return -((struct nlmsgerr *)nlmsg_data(header))->error;
        }
    }
}

/* Sends, frees, and waits for the answer. `bad`: something did not fit into the message. */
static int ask(struct nl_sock *sock, struct nl_msg *message, int bad, PlRtnlReader read,
               gpointer data)
{
    struct nlmsghdr *header = nlmsg_hdr(message);
    ssize_t sent;
    int result;

    if (bad) {
        nlmsg_free(message);
        return EMSGSIZE;
    }
    nl_complete_msg(sock, message);
    header->nlmsg_flags |= NLM_F_ACK;
    do
        sent = send(nl_socket_get_fd(sock), header, header->nlmsg_len, 0);
    while (sent < 0 && errno == EINTR);
    result = sent < 0 ? errno : answer(sock, header->nlmsg_seq, read, data);
    nlmsg_free(message);
    return result;
}

static int request(struct nl_sock *sock, struct nl_msg *message, int bad)
{
    return ask(sock, message, bad, NULL, NULL);
}

static int index_of(struct nl_sock *sock, const char *interface, unsigned *ret_index)
{
    struct ifreq wanted = {0};

    g_strlcpy(wanted.ifr_name, interface, sizeof(wanted.ifr_name));
    if (ioctl(nl_socket_get_fd(sock), SIOCGIFINDEX, &wanted) < 0)
        return errno;
    *ret_index = (unsigned)wanted.ifr_ifindex;
    return 0;
}

static struct nl_msg *link_message(int type, int flags)
{
    struct nl_msg *message = nlmsg_alloc_simple(type, flags);
    struct ifinfomsg info = {.ifi_family = AF_UNSPEC};

    nlmsg_append(message, &info, sizeof(info), NLMSG_ALIGNTO);
    return message;
}

static int put_kind(struct nl_msg *message, const char *kind, struct nlattr **ret_link,
                    struct nlattr **ret_data)
{
    *ret_link = nla_nest_start(message, IFLA_LINKINFO);
    if (!*ret_link || nla_put_string(message, IFLA_INFO_KIND, kind) < 0)
        return -1;
    *ret_data = nla_nest_start(message, IFLA_INFO_DATA);
    return *ret_data ? 0 : -1;
}

static void end_kind(struct nl_msg *message, struct nlattr *link, struct nlattr *data)
{
    nla_nest_end(message, data);
    nla_nest_end(message, link);
}

static int put_mac(struct nl_msg *message, uint16_t mac)
{
    /* Locally administered (IEEE 802). */
    const uint8_t bytes[6] = {0x02, 0, 0, 0, (uint8_t)(mac >> 8), (uint8_t)mac};

    return nla_put(message, IFLA_ADDRESS, sizeof(bytes), bytes);
}

/* One each way keeps packets in order; and by default there is one for each processor, which all
   have to be made and destroyed. */
static int put_queues(struct nl_msg *message)
{
    int bad = nla_put_u32(message, IFLA_NUM_TX_QUEUES, 1);

    return bad | nla_put_u32(message, IFLA_NUM_RX_QUEUES, 1);
}

static int put_peer(struct nl_msg *message, const PlOp *op, int peer_fd)
{
    struct ifinfomsg info = {.ifi_family = AF_UNSPEC};
    struct nlattr *peer = nla_nest_start(message, VETH_INFO_PEER);
    int bad = !peer;

    bad |= nlmsg_append(message, &info, sizeof(info), NLMSG_ALIGNTO);
    bad |= nla_put_string(message, IFLA_IFNAME, op->peer);
    bad |= nla_put_u32(message, IFLA_MTU, op->mtu_bytes);
    bad |= put_mac(message, op->peer_mac);
    bad |= put_queues(message);
    bad |= nla_put_u32(message, IFLA_NET_NS_FD, (uint32_t)peer_fd);
    if (peer)
        nla_nest_end(message, peer);
    return bad;
}

int pl_rtnl_veth(struct nl_sock *sock, const PlOp *op, int peer_fd)
{
    struct nl_msg *message;
    struct nlattr *link, *data;
    unsigned master = 0;
    int bad, result;

    if (op->master[0] && (result = index_of(sock, op->master, &master)) != 0)
        return result;
    message = link_message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
    bad = nla_put_string(message, IFLA_IFNAME, op->interface);
    bad |= nla_put_u32(message, IFLA_MTU, op->mtu_bytes);
    bad |= put_mac(message, op->mac);
    bad |= put_queues(message);
    if (master)
        bad |= nla_put_u32(message, IFLA_MASTER, master);
    bad |= put_kind(message, "veth", &link, &data);
    bad = bad || put_peer(message, op, peer_fd);
    if (!bad)
        end_kind(message, link, data);
    return request(sock, message, bad);
}

int pl_rtnl_macvlan(struct nl_sock *sock, const PlOp *op, int peer_fd)
{
    struct nl_msg *message;
    struct nlattr *link, *data;
    unsigned lower = 0;
    int result = index_of(sock, op->interface, &lower), bad;

    if (result != 0)
        return result;
    message = link_message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
    bad = nla_put_string(message, IFLA_IFNAME, op->peer);
    bad |= nla_put_u32(message, IFLA_LINK, lower);
    bad |= put_mac(message, op->peer_mac);
    bad |= put_queues(message);
    bad |= nla_put_u32(message, IFLA_NET_NS_FD, (uint32_t)peer_fd);
    bad |= put_kind(message, "macvlan", &link, &data);
    bad = bad || nla_put_u32(message, IFLA_MACVLAN_MODE, MACVLAN_MODE_BRIDGE);
    if (!bad)
        end_kind(message, link, data);
    return request(sock, message, bad);
}

int pl_rtnl_bridge(struct nl_sock *sock, const PlOp *op)
{
    struct nl_msg *message = link_message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
    struct nlattr *link, *data;
    int bad = nla_put_string(message, IFLA_IFNAME, op->interface);

    bad |= put_kind(message, "bridge", &link, &data);
    bad = bad || nla_put_u32(message, IFLA_BR_FORWARD_DELAY, 0);
    if (!bad)
        end_kind(message, link, data);
    return request(sock, message, bad);
}

int pl_rtnl_delete(struct nl_sock *sock, const char *interface)
{
    struct nl_msg *message = link_message(RTM_DELLINK, 0);

    return request(sock, message, nla_put_string(message, IFLA_IFNAME, interface));
}

int pl_rtnl_set_up(struct nl_sock *sock, const char *interface, gboolean up)
{
    struct nl_msg *message = nlmsg_alloc_simple(RTM_NEWLINK, 0);
    struct ifinfomsg info = {
        .ifi_family = AF_UNSPEC, .ifi_flags = up ? IFF_UP : 0, .ifi_change = IFF_UP};
    int bad = nlmsg_append(message, &info, sizeof(info), NLMSG_ALIGNTO);

    bad |= nla_put_string(message, IFLA_IFNAME, interface);
    return request(sock, message, bad);
}

int pl_rtnl_set_master(struct nl_sock *sock, const PlOp *op)
{
    struct nl_msg *message;
    unsigned master = 0;
    int result = index_of(sock, op->master, &master), bad;

    if (result != 0)
        return result;
    message = link_message(RTM_NEWLINK, 0);
    bad = nla_put_string(message, IFLA_IFNAME, op->interface);
    bad |= nla_put_u32(message, IFLA_MASTER, master);
    return request(sock, message, bad);
}

/* A port of a bridge tells its state; anything else has none. */
static gboolean may_forward(struct nlattr *info)
{
    struct nlattr *kind, *port, *state;

    kind = info ? nla_find(nla_data(info), nla_len(info), IFLA_INFO_SLAVE_KIND) : NULL;
    if (!kind)
        return TRUE;
    port = nla_find(nla_data(info), nla_len(info), IFLA_INFO_SLAVE_DATA);
    state = port ? nla_find(nla_data(port), nla_len(port), IFLA_BRPORT_STATE) : NULL;
    return !state || nla_get_u8(state) == BR_STATE_FORWARDING;
}

static void read_carries(const struct nlmsghdr *header, gpointer data)
{
    gboolean *carries = data;
    struct nlattr *queue =
        nlmsg_find_attr((struct nlmsghdr *)header, sizeof(struct ifinfomsg), IFLA_QDISC);
    struct nlattr *info =
        nlmsg_find_attr((struct nlmsghdr *)header, sizeof(struct ifinfomsg), IFLA_LINKINFO);

    if (header->nlmsg_type == RTM_NEWLINK)
        *carries = queue && nla_strcmp(queue, "noop") != 0 && may_forward(info);
}

int pl_rtnl_carries(struct nl_sock *sock, const char *interface, gboolean *ret_carries)
{
    struct nl_msg *message = link_message(RTM_GETLINK, 0);

    return ask(sock, message, nla_put_string(message, IFLA_IFNAME, interface), read_carries,
               ret_carries);
}

static unsigned char family_of(const PhAddress *address)
{
    return address->family == PH_FAMILY_IPV6 ? AF_INET6 : AF_INET;
}

static int put_address(struct nl_msg *message, int type, const PhAddress *address)
{
    return nla_put(message, type, address->family == PH_FAMILY_IPV6 ? 16 : 4, address->bytes);
}

int pl_rtnl_address(struct nl_sock *sock, const PlOp *op, gboolean add)
{
    struct ifaddrmsg address = {
        .ifa_family = family_of(&op->prefix.address),
        .ifa_prefixlen = (uint8_t)op->prefix.length,
        /* It is nobody else's, and is there at once (RFC 4862 §5.4). */
        .ifa_flags = op->prefix.address.family == PH_FAMILY_IPV6 ? IFA_F_NODAD : 0,
    };
    struct nl_msg *message;
    int result = index_of(sock, op->interface, &address.ifa_index), bad;

    if (result != 0)
        return result;
    message =
        nlmsg_alloc_simple(add ? RTM_NEWADDR : RTM_DELADDR, add ? NLM_F_CREATE | NLM_F_EXCL : 0);
    bad = nlmsg_append(message, &address, sizeof(address), NLMSG_ALIGNTO);

    bad |= put_address(message, IFA_LOCAL, &op->prefix.address);
    bad |= put_address(message, IFA_ADDRESS, &op->prefix.address);
    return request(sock, message, bad);
}

int pl_rtnl_route(struct nl_sock *sock, const PlOp *op)
{
    struct nl_msg *message = nlmsg_alloc_simple(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE);
    struct rtmsg route = {
        .rtm_family = family_of(&op->via),
        .rtm_dst_len = (uint8_t)op->prefix.length,
        .rtm_table = RT_TABLE_MAIN,
        .rtm_protocol = RTPROT_STATIC,
        .rtm_scope = RT_SCOPE_UNIVERSE,
        .rtm_type = RTN_UNICAST,
    };
    int bad = nlmsg_append(message, &route, sizeof(route), NLMSG_ALIGNTO);

    if (op->prefix.length > 0)
        bad |= put_address(message, RTA_DST, &op->prefix.address);
    bad |= put_address(message, RTA_GATEWAY, &op->via);
    return request(sock, message, bad);
}

static void read_local(const struct nlmsghdr *header, gpointer data)
{
    gboolean *local = data;
    const struct rtmsg *route = nlmsg_data(header);

    if (header->nlmsg_type == RTM_NEWROUTE)
        *local = route->rtm_type == RTN_LOCAL;
}

int pl_rtnl_is_local(struct nl_sock *sock, const PhAddress *address, gboolean *ret_local)
{
    struct nl_msg *message = nlmsg_alloc_simple(RTM_GETROUTE, 0);
    struct rtmsg route = {.rtm_family = AF_INET6, .rtm_dst_len = 128};
    int bad = nlmsg_append(message, &route, sizeof(route), NLMSG_ALIGNTO), result;

    bad |= put_address(message, RTA_DST, address);
    *ret_local = FALSE;
    result = ask(sock, message, bad, read_local, ret_local);
    return result == ENETUNREACH || result == EHOSTUNREACH ? 0 : result;
}

int pl_rtnl_flush_conntrack(struct nl_sock *sock)
{
    struct nl_msg *message =
        nlmsg_alloc_simple((NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_DELETE, 0);
    struct nfgenmsg info = {.nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0};

    return request(sock, message, nlmsg_append(message, &info, sizeof(info), NLMSG_ALIGNTO));
}

/* A dump has many parts and an end of its own instead of an acknowledgement. */
static int answer_dump(struct nl_sock *sock, uint32_t sequence, PlRtnlReader read, gpointer data)
{
    g_autofree char *buffer = g_malloc(65536);

    for (;;) {
        ssize_t n = recv(nl_socket_get_fd(sock), buffer, 65536, 0);
        int left = (int)n;

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno;
        for (struct nlmsghdr *header = (struct nlmsghdr *)(void *)buffer; nlmsg_ok(header, left);
             header = nlmsg_next(header, &left)) {
            if (header->nlmsg_seq != sequence)
                continue;
            if (header->nlmsg_type == NLMSG_DONE)
                return 0;
            if (header->nlmsg_type == NLMSG_ERROR)
                return -((struct nlmsgerr *)nlmsg_data(header))->error;
            read(header, data);
        }
    }
}

int pl_rtnl_dump_conntrack(struct nl_sock *sock, PlRtnlReader read, gpointer data)
{
    struct nl_msg *message =
        nlmsg_alloc_simple((NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_GET, NLM_F_DUMP);
    struct nfgenmsg info = {.nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0};
    struct nlmsghdr *header;
    int result;

    if (nlmsg_append(message, &info, sizeof(info), NLMSG_ALIGNTO) < 0) {
        nlmsg_free(message);
        return EMSGSIZE;
    }
    nl_complete_msg(sock, message);
    header = nlmsg_hdr(message);
    if (send(nl_socket_get_fd(sock), header, header->nlmsg_len, 0) < 0)
        result = errno;
    else
        result = answer_dump(sock, header->nlmsg_seq, read, data);
    nlmsg_free(message);
    return result;
}
