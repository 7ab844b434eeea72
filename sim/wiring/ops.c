/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Operations and lists of them; see ops.h. */
#include "wiring/ops.h"

const char *pl_space_name(const PlTopology *topology, unsigned space)
{
    const PlNode *node;

    if (space == PL_SPACE_SWITCH)
        return "switch";
    if (space > topology->nodes->len)
        return "presence";
    node = g_ptr_array_index(topology->nodes, space - 1);
    return node->name;
}

static void clear_op(gpointer data)
{
    PlOp *op = data;

    g_free(op->text);
}

GArray *pl_ops_new(void)
{
    GArray *ops = g_array_new(FALSE, TRUE, sizeof(PlOp));

    g_array_set_clear_func(ops, clear_op);
    return ops;
}

PlOp pl_op(PlOpKind kind, unsigned space, const char *interface)
{
    PlOp op = {.kind = kind, .space = space};

    g_strlcpy(op.interface, interface, sizeof(op.interface));
    return op;
}

void pl_ops_sysctl(GArray *ops, unsigned space, gboolean optional, const char *key,
                   const char *value)
{
    PlOp op = pl_op(PL_OP_SYSCTL, space, "");

    op.key = key;
    op.text = g_strdup(value);
    op.optional = optional;
    g_array_append_val(ops, op);
}

void pl_ops_up(GArray *ops, unsigned space, const char *interface)
{
    PlOp op = pl_op(PL_OP_UP, space, interface);

    g_array_append_val(ops, op);
}

void pl_ops_addresses(GArray *ops, unsigned space, const char *interface, const PlNetwork *network,
                      const PhAddress *addresses, unsigned n)
{
    gboolean ipv6 = pl_network_family(network) == PH_FAMILY_IPV6;

    for (unsigned i = 0; i < n; i++) {
        PlOp op = pl_op(PL_OP_ADDRESS, space, interface);

        /* Of several alike Linux prefers the one that came last; of IPv4 the first. */
        op.prefix = (PlPrefix){addresses[ipv6 ? n - 1 - i : i], network->subnet.length};
        g_array_append_val(ops, op);
    }
    pl_ops_up(ops, space, interface);
}

void pl_ops_routes(GArray *ops, unsigned space, const char *interface, const PlTopology *topology,
                   const PlNetwork *network, const PlNode *node)
{
    g_autoptr(GArray) routes = pl_topology_routes(topology, network, node);

    for (unsigned i = 0; i < routes->len; i++) {
        const PlRoute *route = &g_array_index(routes, PlRoute, i);
        PlOp op = pl_op(PL_OP_ROUTE, space, interface);

        op.prefix = route->destination;
        op.via = route->via;
        g_array_append_val(ops, op);
    }
}

void pl_ops_depart(GArray *ops, const PlTopology *topology, const PlStep *move)
{
    unsigned space = PL_SPACE_OF(move->node);
    PlOp down = pl_op(PL_OP_DOWN, space, PL_FIRST_INTERFACE);
    PlOp unaddress = pl_op(PL_OP_UNADDRESS, space, PL_FIRST_INTERFACE);

    unaddress.prefix.address = pl_host_address_at(topology, move->node, move);
    unaddress.prefix.length = pl_host_network_at(topology, move->node, move)->subnet.length;
    g_array_append_val(ops, down);
    g_array_append_val(ops, unaddress);
}

void pl_ops_arrive(GArray *ops, const PlTopology *topology, const PlStep *move)
{
    unsigned space = PL_SPACE_OF(move->node);

    pl_ops_addresses(ops, space, PL_FIRST_INTERFACE, move->network, &move->address, 1);
    pl_ops_routes(ops, space, PL_FIRST_INTERFACE, topology, move->network, NULL);
}

/* Addresses are there at once, and routers are those that the topology names. */
static void keep_ipv6(GArray *ops, unsigned space)
{
    static const struct {
        const char *all, *fresh, *value;
    } keys[] = {
        {"net.ipv6.conf.all.disable_ipv6", "net.ipv6.conf.default.disable_ipv6", "0"},
        {"net.ipv6.conf.all.accept_dad", "net.ipv6.conf.default.accept_dad", "0"},
        {"net.ipv6.conf.all.accept_ra", "net.ipv6.conf.default.accept_ra", "0"},
        {"net.ipv6.conf.all.autoconf", "net.ipv6.conf.default.autoconf", "0"},
        {"net.ipv6.conf.all.keep_addr_on_down", "net.ipv6.conf.default.keep_addr_on_down", "1"},
        {"net.ipv6.conf.all.accept_redirects", "net.ipv6.conf.default.accept_redirects", "0"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(keys); i++) {
        pl_ops_sysctl(ops, space, FALSE, keys[i].all, keys[i].value);
        pl_ops_sysctl(ops, space, FALSE, keys[i].fresh, keys[i].value);
    }
}

gboolean pl_ops_has_ipv6(const PlNode *node)
{
    for (unsigned i = 0; i < node->attachments->len; i++) {
        const PlAttachment *attachment = g_ptr_array_index(node->attachments, i);

        if (pl_network_family(attachment->network) == PH_FAMILY_IPV6)
            return TRUE;
    }
    return FALSE;
}

void pl_ops_quiet(GArray *ops, unsigned space, gboolean ipv6)
{
    if (ipv6)
        keep_ipv6(ops, space);
    else /* no neighbour discovery or listener reports among the packets */
        pl_ops_sysctl(ops, space, TRUE, "net.ipv6.conf.all.disable_ipv6", "1");
    /* New namespaces inherit the machine's own settings. */
    pl_ops_sysctl(ops, space, FALSE, "net.ipv4.conf.all.rp_filter", "0");
    pl_ops_sysctl(ops, space, FALSE, "net.ipv4.conf.default.rp_filter", "0");
}

void pl_ops_node(GArray *ops, const PlNode *node)
{
    unsigned space = PL_SPACE_OF(node);
    gboolean ipv6 = pl_ops_has_ipv6(node), forwards = node->kind == PL_NODE_NAT || node->routes;
    PlOp netns = pl_op(PL_OP_NETNS, space, "");

    g_array_append_val(ops, netns);
    pl_ops_quiet(ops, space, ipv6);
    pl_ops_sysctl(ops, space, FALSE, "net.ipv4.ip_forward", forwards ? "1" : "0");
    /* Each rejected packet is answered, not one in a second. */
    pl_ops_sysctl(ops, space, FALSE, "net.ipv4.icmp_ratelimit", "0");
    if (ipv6) {
        pl_ops_sysctl(ops, space, FALSE, "net.ipv6.conf.all.forwarding", forwards ? "1" : "0");
        pl_ops_sysctl(ops, space, FALSE, "net.ipv6.icmp.ratelimit", "0");
    }
    if (forwards) {
        pl_ops_sysctl(ops, space, FALSE, "net.ipv4.conf.all.send_redirects", "0");
        pl_ops_sysctl(ops, space, FALSE, "net.ipv4.conf.default.send_redirects", "0");
    }
    if (node->kind == PL_NODE_HOST) {
        /* Two programs of one host can meet by way of a hairpin that keeps their address. */
        pl_ops_sysctl(ops, space, FALSE, "net.ipv4.conf.all.accept_local", "1");
        pl_ops_sysctl(ops, space, TRUE, "net.ipv4.ip_unprivileged_port_start", "0");
        pl_ops_sysctl(ops, space, TRUE, "net.ipv4.ping_group_range", "0 0");
    }
    pl_ops_up(ops, space, "lo");
}
