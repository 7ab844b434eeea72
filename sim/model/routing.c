/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ports, neighbours and routes; see routing.h. */
#include "model/routing.h"

#include <assert.h>

/* An address that somebody on a network answers for. */
typedef struct Neighbour {
    PhAddress address;
    unsigned port;
} Neighbour;

struct PlRouting {
    const PlTopology *topology;
    unsigned n_attachments, n_ports;
    PlPort *ports;
    unsigned *first;     /* of each node: its first port */
    GArray **neighbours; /* of each network: Neighbour, by address */
};

/* The first neighbour that does not come before the address. */
static guint position(const GArray *neighbours, const PhAddress *address)
{
    guint low = 0, high = neighbours->len;

    while (low < high) {
        guint middle = low + (high - low) / 2;

        if (ph_address_compare(&g_array_index(neighbours, Neighbour, middle).address, address) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static const Neighbour *neighbour(const GArray *neighbours, const PhAddress *address)
{
    guint i = position(neighbours, address);

    if (i == neighbours->len ||
        !ph_address_equal_host(&g_array_index(neighbours, Neighbour, i).address, address))
        return NULL;
    return &g_array_index(neighbours, Neighbour, i);
}

static void announce(PlRouting *routing, unsigned port)
{
    const PlPort *announced = &routing->ports[port];
    GArray *neighbours = routing->neighbours[announced->network->index];

    for (guint i = 0; i < announced->addresses->len; i++) {
        Neighbour added = {g_array_index(announced->addresses, PhAddress, i), port};

        g_array_insert_val(neighbours, position(neighbours, &added.address), added);
    }
}

static void withdraw(PlRouting *routing, unsigned port)
{
    GArray *neighbours = routing->neighbours[routing->ports[port].network->index];

    for (guint i = neighbours->len; i-- > 0;)
        if (g_array_index(neighbours, Neighbour, i).port == port)
            g_array_remove_index(neighbours, i);
}

static void add_port(PlRouting *routing, const PlAttachment *attachment, const PlNetwork *network,
                     const PhAddress *addresses, guint n)
{
    PlPort *port = &routing->ports[routing->n_ports];

    *port = (PlPort){.attachment = attachment,
                     .network = network,
                     .mtu_bytes = pl_network_mtu(network, attachment),
                     .addresses = g_array_new(FALSE, FALSE, sizeof(PhAddress))};
    g_array_append_vals(port->addresses, addresses, n);
    announce(routing, routing->n_ports++);
}

PlRouting *pl_routing_new(const PlTopology *topology)
{
    PlRouting *routing = g_new0(PlRouting, 1);
    unsigned n = 0;

    routing->topology = topology;
    routing->first = g_new0(unsigned, topology->nodes->len + 1);
    for (unsigned i = 0; i < topology->nodes->len; i++) {
        routing->first[i] = n;
        n += ((const PlNode *)g_ptr_array_index(topology->nodes, i))->attachments->len;
    }
    routing->n_attachments = n;
    routing->ports = g_new0(PlPort, n + topology->networks->len + 1);
    routing->neighbours = g_new0(GArray *, topology->networks->len + 1);
    for (unsigned i = 0; i < topology->networks->len; i++)
        routing->neighbours[i] = g_array_new(FALSE, FALSE, sizeof(Neighbour));
    for (unsigned i = 0; i < topology->nodes->len; i++) {
        const PlNode *node = g_ptr_array_index(topology->nodes, i);

        for (unsigned k = 0; k < node->attachments->len; k++) {
            const PlAttachment *attachment = g_ptr_array_index(node->attachments, k);

            add_port(routing, attachment, attachment->network,
                     (const PhAddress *)(gpointer)attachment->addresses->data,
                     attachment->addresses->len);
        }
    }
    for (unsigned i = 0; i < topology->networks->len; i++) {
        const PlNetwork *network = g_ptr_array_index(topology->networks, i);

        add_port(routing, NULL, network, network->reserved, G_N_ELEMENTS(network->reserved));
    }
    return routing;
}

PlRouting *pl_routing_free(PlRouting *routing)
{
    if (!routing)
        return NULL;
    for (unsigned i = 0; i < routing->n_ports; i++) {
        g_array_unref(routing->ports[i].addresses);
        if (routing->ports[i].routes)
            g_array_unref(routing->ports[i].routes);
    }
    for (unsigned i = 0; i < routing->topology->networks->len; i++)
        g_array_unref(routing->neighbours[i]);
    g_free(routing->ports);
    g_free(routing->neighbours);
    g_free(routing->first);
    g_free(routing);
    return NULL;
}

unsigned pl_routing_attachments(const PlRouting *routing)
{
    return routing->n_attachments;
}

unsigned pl_routing_port(const PlRouting *routing, const PlAttachment *attachment)
{
    unsigned port = routing->first[attachment->node->index];

    while (routing->ports[port].attachment != attachment) {
        port++;
        assert(port < routing->n_attachments);
    }
    return port;
}

unsigned pl_routing_presence(const PlRouting *routing, const PlNetwork *network)
{
    return routing->n_attachments + network->index;
}

const PlPort *pl_routing_at(const PlRouting *routing, unsigned port)
{
    assert(port < routing->n_ports);
    return &routing->ports[port];
}

void pl_routing_set_addresses(PlRouting *routing, unsigned port, const GArray *addresses)
{
    PlPort *changed = &routing->ports[port];

    withdraw(routing, port);
    g_array_set_size(changed->addresses, 0);
    g_array_append_vals(changed->addresses, addresses->data, addresses->len);
    announce(routing, port);
}

void pl_routing_move(PlRouting *routing, unsigned port, const PlNetwork *network,
                     const PhAddress *address)
{
    PlPort *moved = &routing->ports[port];

    withdraw(routing, port);
    moved->network = network;
    moved->mtu_bytes = pl_network_mtu(network, moved->attachment);
    g_array_set_size(moved->addresses, 0);
    g_array_append_val(moved->addresses, *address);
    g_clear_pointer(&moved->routes, g_array_unref);
    announce(routing, port);
}

gboolean pl_routing_is_own(const PlRouting *routing, const PlNode *node, const PhAddress *address)
{
    unsigned first = routing->first[node->index];

    for (unsigned port = first; port < first + node->attachments->len; port++) {
        const Neighbour *found =
            neighbour(routing->neighbours[routing->ports[port].network->index], address);

        if (found && found->port == port)
            return TRUE;
    }
    return FALSE;
}

/* Longest first; those of one length name different networks, and stay in the topology's order. */
static GArray *routes_of(PlRouting *routing, PlPort *port)
{
    g_autoptr(GArray) unsorted = NULL;

    if (port->routes)
        return port->routes;
    /* Who is a guest there has the routes that anybody has. */
    unsorted = pl_topology_routes(routing->topology, port->network,
                                  port->attachment && port->attachment->network == port->network
                                      ? port->attachment->node
                                      : NULL);
    port->routes = g_array_new(FALSE, FALSE, sizeof(PlRoute));
    for (guint i = 0; i < unsorted->len; i++) {
        PlRoute route = g_array_index(unsorted, PlRoute, i);
        guint at = port->routes->len;

        while (at > 0 && g_array_index(port->routes, PlRoute, at - 1).destination.length <
                             route.destination.length)
            at--;
        g_array_insert_val(port->routes, at, route);
    }
    return port->routes;
}

static const PlRoute *longest(PlRouting *routing, PlPort *port, const PhAddress *destination)
{
    const GArray *routes = routes_of(routing, port);

    for (guint i = 0; i < routes->len; i++) {
        const PlRoute *route = &g_array_index(routes, PlRoute, i);

        if (pl_prefix_contains(&route->destination, destination))
            return route;
    }
    return NULL;
}

/* RFC 1112 §4, RFC 4291 §2.7; RFC 919 §7: all host bits are ones, and zeros of old (RFC 1122
 * §3.2.1.3). */
static gboolean is_group(const PlNetwork *network, const PhAddress *address)
{
    uint32_t number = ph_address_ipv4_number(address), host_bits;

    if (address->family == PH_FAMILY_IPV6)
        return address->bytes[0] == 0xff;
    if (number >= 0xe0000000u)
        return TRUE;
    host_bits = network->subnet.length < 31 ? UINT32_MAX >> network->subnet.length : 0;
    return host_bits != 0 && pl_prefix_contains(&network->subnet, address) &&
           ((number & host_bits) == host_bits || (number & host_bits) == 0);
}

PlHop pl_routing_next(PlRouting *routing, unsigned from, const PhAddress *destination,
                      unsigned *ret_port)
{
    PlPort *port = &routing->ports[from];
    const PhAddress *hop = destination;
    const Neighbour *found;

    if (is_group(port->network, destination))
        return PL_HOP_GROUP;
    if (!pl_prefix_contains(&port->network->subnet, destination)) {
        const PlRoute *route = longest(routing, port, destination);

        if (!route)
            return PL_HOP_NO_ROUTE;
        hop = &route->via;
    }
    found = neighbour(routing->neighbours[port->network->index], hop);
    if (!found || found->port == from)
        return PL_HOP_NOBODY;
    *ret_port = found->port;
    return PL_HOP_NEXT;
}

gboolean pl_routing_out(PlRouting *routing, const PlNode *node, const PhAddress *destination,
                        unsigned *ret_port)
{
    unsigned first = routing->first[node->index];
    int best = -1;

    for (unsigned i = first; i < first + node->attachments->len; i++) {
        PlPort *port = &routing->ports[i];
        const PlRoute *route = longest(routing, port, destination);
        int length = pl_prefix_contains(&port->network->subnet, destination)
                         ? (int)port->network->subnet.length
                     : route ? (int)route->destination.length
                             : -1;

        if (length > best) {
            best = length;
            *ret_port = i;
        }
    }
    return best >= 0;
}
