/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Namespaces with TUN devices. A host on two networks has two:
 *
 *     alice ── eth0 ═╗
 *                    ╠═ switch: the world
 *     hub ─┬─ eth0 ══╣
 *          └─ eth1 ══╝
 */
#include <unistd.h>

#include "fabric/lab.h"
#include "wiring/tun.h"

#define MTU_DEFAULT 1500

typedef struct Wire {
    PlWorldPlace place;
    unsigned space;
    char interface[IFNAMSIZ];
    unsigned mtu_bytes;
    const PhAddress *addresses;
    unsigned n_addresses;
} Wire;

static void add_addresses(GArray *ops, const Wire *wire)
{
    pl_ops_addresses(ops, wire->space, wire->interface, wire->place.network, wire->addresses,
                     wire->n_addresses);
}

static void add_routes(const PlTopology *topology, GArray *ops, const Wire *wire)
{
    const PlNode *node = wire->place.attachment ? wire->place.attachment->node : NULL;
    pl_ops_routes(ops, wire->space, wire->interface, topology, wire->place.network, node);
}

static gboolean plug(PlLab *lab, const Wire *wire, GError **error)
{
    int tun = pl_tun_open(lab->spaces, wire->space, wire->interface, wire->mtu_bytes, error);
    gboolean done = tun >= 0 && pl_switch_plug(lab->fabric_switch, &wire->place, tun, error);

    if (tun >= 0)
        close(tun);
    return done;
}

static Wire wire_of(const PlAttachment *attachment, unsigned number)
{
    Wire wire = {
        .place = {attachment, attachment->network},
        .space = PL_SPACE_OF(attachment->node),
        .mtu_bytes = attachment->link.mtu_bytes ? attachment->link.mtu_bytes : MTU_DEFAULT,
        .addresses = &g_array_index(attachment->addresses, PhAddress, 0),
        .n_addresses = attachment->addresses->len,
    };

    g_snprintf(wire.interface, sizeof(wire.interface), "eth%u", number);
    return wire;
}

/* A TUN device has no neighbours whom it would need an address of its own for. */
static void add_quiet(GArray *ops, unsigned space)
{
    pl_ops_sysctl(ops, space, FALSE, "net.ipv6.conf.default.addr_gen_mode", "1");
}

gboolean pl_fabric_wire_host(PlLab *lab, const PlNode *host, GError **error)
{
    g_autoptr(GArray) node = pl_ops_new(), addresses = pl_ops_new(), routes = pl_ops_new();

    pl_ops_node(node, host);
    if (pl_ops_has_ipv6(host))
        add_quiet(node, PL_SPACE_OF(host));
    if (!pl_spaces_do_all(lab->spaces, node, error))
        return FALSE;
    for (unsigned i = 0; i < host->attachments->len; i++) {
        Wire wire = wire_of(g_ptr_array_index(host->attachments, i), i);

        if (!plug(lab, &wire, error))
            return FALSE;
        add_addresses(addresses, &wire);
        add_routes(lab->topology, routes, &wire);
    }
    return pl_spaces_do_all(lab->spaces, addresses, error) &&
           pl_spaces_do_all(lab->spaces, routes, error);
}

gboolean pl_fabric_wire_presence(PlLab *lab, const PlNetwork *network, GError **error)
{
    g_autoptr(GArray) before = pl_ops_new(), after = pl_ops_new();
    unsigned space = PL_FABRIC_SPACE_OF_PRESENCE(lab->topology, network);
    gboolean ipv6 = pl_network_family(network) == PH_FAMILY_IPV6;
    PlOp netns = pl_op(PL_OP_NETNS, space, "");
    Wire wire = {
        .place = {NULL, network},
        .space = space,
        .interface = PL_FABRIC_PRESENCE,
        .mtu_bytes = MTU_DEFAULT,
        .addresses = network->reserved,
        .n_addresses = G_N_ELEMENTS(network->reserved),
    };

    if (pl_spaces_fd(lab->spaces, space) >= 0)
        return TRUE;
    g_array_append_val(before, netns);
    pl_ops_quiet(before, space, ipv6);
    if (ipv6)
        add_quiet(before, space);
    pl_ops_up(before, space, "lo");
    add_addresses(after, &wire);
    add_routes(lab->topology, after, &wire);
    return pl_spaces_do_all(lab->spaces, before, error) && plug(lab, &wire, error) &&
           pl_spaces_do_all(lab->spaces, after, error);
}
