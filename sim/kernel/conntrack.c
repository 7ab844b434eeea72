/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Connections out of ctnetlink. An entry is a pair of tuples: `original`, as the first packet came,
 * and `reply`, as answers come. What is not the mirror image of the other was translated:
 *
 *   original  192.168.1.2:5000 -> 203.0.113.10:4000      inside -> remote
 *   reply     203.0.113.10:4000 -> 203.0.113.2:61234     remote -> external
 *
 * For a flow that began outside (a port forward, a cone's guest) it is the other way round:
 *
 *   original  203.0.113.10:4001 -> 203.0.113.2:61234     remote -> external
 *   reply     192.168.1.2:5000 -> 203.0.113.10:4001      inside -> remote
 *
 * A firewall translates neither, so where a flow began is told by who is at home behind the NAT.
 */
#include "kernel/conntrack.h"

#include <errno.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <string.h>
#include <sys/socket.h>

#include "wiring/rtnl.h"

typedef struct Tuple {
    PhAddress source, destination;
    uint8_t protocol;
} Tuple;

static struct nlattr *inner(struct nlattr *nest, int type)
{
    return nest ? nla_find(nla_data(nest), nla_len(nest), type) : NULL;
}

static gboolean read_u16(struct nlattr *nest, int type, uint16_t *ret_value)
{
    struct nlattr *attribute = inner(nest, type);
    uint16_t value;

    if (!attribute || nla_len(attribute) < (int)sizeof(value))
        return FALSE;
    memcpy(&value, nla_data(attribute), sizeof(value));
    *ret_value = ntohs(value);
    return TRUE;
}

static gboolean read_u32(struct nlattr *attribute, uint32_t *ret_value)
{
    uint32_t value;

    if (!attribute || nla_len(attribute) < (int)sizeof(value))
        return FALSE;
    memcpy(&value, nla_data(attribute), sizeof(value));
    *ret_value = ntohl(value);
    return TRUE;
}

static gboolean read_address(struct nlattr *ip, int type, int type_ipv6, PhAddress *ret_address)
{
    struct nlattr *attribute = inner(ip, type), *ipv6 = inner(ip, type_ipv6);
    uint32_t number;

    if (read_u32(attribute, &number)) {
        *ret_address = ph_address_ipv4(number, 0);
        return TRUE;
    }
    if (!ipv6 || nla_len(ipv6) < 16)
        return FALSE;
    *ret_address = (PhAddress){.family = PH_FAMILY_IPV6};
    memcpy(ret_address->bytes, nla_data(ipv6), 16);
    return TRUE;
}

static gboolean is_icmp(uint8_t protocol)
{
    return protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6;
}

/* Without ports (ICMP) they are 0. */
static gboolean read_tuple(struct nlattr *nest, Tuple *ret_tuple)
{
    struct nlattr *ip = inner(nest, CTA_TUPLE_IP), *proto = inner(nest, CTA_TUPLE_PROTO);
    struct nlattr *number = inner(proto, CTA_PROTO_NUM);
    uint16_t source_port = 0, destination_port = 0;
    Tuple tuple;

    if (!number || nla_len(number) < 1 ||
        !read_address(ip, CTA_IP_V4_SRC, CTA_IP_V6_SRC, &tuple.source) ||
        !read_address(ip, CTA_IP_V4_DST, CTA_IP_V6_DST, &tuple.destination))
        return FALSE;
    read_u16(proto, CTA_PROTO_SRC_PORT, &source_port);
    read_u16(proto, CTA_PROTO_DST_PORT, &destination_port);
    /* An echo's identifier is translated like a port, the inside's and external one's. */
    if (read_u16(proto, CTA_PROTO_ICMP_ID, &source_port) ||
        read_u16(proto, CTA_PROTO_ICMPV6_ID, &source_port))
        destination_port = source_port;
    tuple.protocol = *(uint8_t *)nla_data(number);
    tuple.source.port = source_port;
    tuple.destination.port = destination_port;
    *ret_tuple = tuple;
    return TRUE;
}

static gboolean is_at_home(const GArray *home, const PhAddress *address)
{
    for (unsigned i = 0; i < home->len; i++)
        if (pl_prefix_contains(&g_array_index(home, PlPrefix, i), address))
            return TRUE;
    return FALSE;
}

/* Between two that are at home, or none that is, the translation says it: a hairpin's far end. */
static gboolean began_outside(const GArray *home, const Tuple *original, const Tuple *reply,
                              uint32_t status)
{
    gboolean from_home = is_at_home(home, &original->source);

    if (from_home != is_at_home(home, &reply->source))
        return !from_home;
    return (status & IPS_DST_NAT) && !(status & IPS_SRC_NAT);
}

gboolean pl_conntrack_parse(const struct nlmsghdr *header, const GArray *home,
                            PlConnection *ret_connection)
{
    const int head = sizeof(struct nfgenmsg);
    struct nlmsghdr *message = (struct nlmsghdr *)header;
    Tuple original, reply;
    uint32_t status = 0, timeout = 0;

    if (header->nlmsg_type != ((NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_NEW) ||
        !nlmsg_valid_hdr(message, head) ||
        !read_tuple(nlmsg_find_attr(message, head, CTA_TUPLE_ORIG), &original) ||
        !read_tuple(nlmsg_find_attr(message, head, CTA_TUPLE_REPLY), &reply))
        return FALSE;
    read_u32(nlmsg_find_attr(message, head, CTA_STATUS), &status);
    read_u32(nlmsg_find_attr(message, head, CTA_TIMEOUT), &timeout);
    *ret_connection = (PlConnection){
        .protocol = original.protocol,
        .from_outside = began_outside(home, &original, &reply, status),
        .replied = (status & IPS_SEEN_REPLY) != 0,
        .assured = (status & IPS_ASSURED) != 0,
        .expires_s = timeout,
    };
    if (ret_connection->from_outside) {
        ret_connection->inside = reply.source;
        ret_connection->external = original.destination;
        ret_connection->remote = original.source;
    } else {
        ret_connection->inside = original.source;
        ret_connection->external = reply.destination;
        ret_connection->remote = original.destination;
    }
    if (is_icmp(original.protocol))
        ret_connection->remote.port = 0;
    return TRUE;
}

typedef struct Listing {
    GArray *home;
    GArray *connections;
} Listing;

static void add(const struct nlmsghdr *header, gpointer data)
{
    const Listing *listing = data;
    PlConnection connection;

    if (pl_conntrack_parse(header, listing->home, &connection))
        g_array_append_val(listing->connections, connection);
}

/* Its inside network, those that are reached through that, and the NAT itself. */
static GArray *home_of(const PlTopology *topology, const PlNode *nat, const GArray *external)
{
    const PlNetwork *inside = pl_nat_inside(nat)->network;
    g_autoptr(GArray) routes = pl_topology_routes(topology, inside, nat);
    GArray *home = g_array_new(FALSE, FALSE, sizeof(PlPrefix));

    g_array_append_val(home, inside->subnet);
    for (unsigned i = 0; i < routes->len; i++)
        g_array_append_val(home, g_array_index(routes, PlRoute, i).destination);
    for (unsigned i = 0; i < external->len; i++) {
        const PhAddress *address = &g_array_index(external, PhAddress, i);
        const PlPrefix own = {*address, address->family == PH_FAMILY_IPV6 ? 128 : 32};

        g_array_append_val(home, own);
    }
    return home;
}

static gint compare(gconstpointer left, gconstpointer right)
{
    const PlConnection *a = left, *b = right;
    int order = ph_address_compare(&a->inside, &b->inside);

    if (order == 0)
        order = (int)a->protocol - (int)b->protocol;
    if (order == 0)
        order = ph_address_compare(&a->external, &b->external);
    return order ? order : ph_address_compare(&a->remote, &b->remote);
}

GArray *pl_conntrack_list(PlSpaces *spaces, const PlTopology *topology, const PlNode *nat,
                          const GArray *external, GError **error)
{
    g_autoptr(GArray) connections = g_array_new(FALSE, FALSE, sizeof(PlConnection));
    g_autoptr(GArray) home = home_of(topology, nat, external);
    Listing listing = {home, connections};
    struct nl_sock *sock;
    int result;

    if (!pl_spaces_enter(spaces, PL_SPACE_OF(nat), error)) {
        pl_spaces_rest(spaces);
        return NULL;
    }
    sock = pl_rtnl_open(NETLINK_NETFILTER);
    result = sock ? pl_rtnl_dump_conntrack(sock, add, &listing) : errno;
    if (sock)
        nl_socket_free(sock);
    pl_spaces_rest(spaces);
    if (result != 0) {
        g_set_error(error, PL_ERROR, PL_ERROR_FAILED, "cannot read the connections of nat %s: %s",
                    nat->name, g_strerror(result));
        return NULL;
    }
    g_array_sort(connections, compare);
    return g_steal_pointer(&connections);
}
