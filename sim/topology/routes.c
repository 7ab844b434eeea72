/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The way out of the topology, and the routing tables. */
#include <string.h>

#include "topology/build.h"

static PlAttachment *attachment_at(const GPtrArray *attachments, unsigned i)
{
    return g_ptr_array_index(attachments, i);
}

static unsigned depth_of(const PlGraph *graph, const PlNetwork *network)
{
    unsigned depth = 0;

    for (const PlNode *up = graph->up[network->index]; up;
         up = graph->up[pl_nat_outside(up)->network->index])
        depth++;
    return depth;
}

/* Of several attachments of a family the one that is nearest to the internet, the first among
 * equals; NULL when there is none. */
static const PlAttachment *outermost(const PlGraph *graph, const PlNode *node, uint8_t family)
{
    const PlAttachment *best = NULL;

    for (unsigned i = 0; i < node->attachments->len; i++) {
        const PlAttachment *attachment = attachment_at(node->attachments, i);

        if (pl_network_family(attachment->network) == family &&
            (!best || depth_of(graph, attachment->network) < depth_of(graph, best->network)))
            best = attachment;
    }
    return best;
}

static const PlAttachment *attachment_with(const PlNode *host, const PhAddress *address)
{
    for (unsigned i = 0; i < host->attachments->len; i++) {
        const PlAttachment *attachment = g_ptr_array_index(host->attachments, i);

        for (unsigned k = 0; k < attachment->addresses->len; k++)
            if (ph_address_equal_host(&g_array_index(attachment->addresses, PhAddress, k), address))
                return attachment;
    }
    return NULL;
}

const PlAttachment *pl_nat_forwarded(const PlTopology *topology, const PlNode *nat,
                                     const PlForward *forward)
{
    for (unsigned i = 0; i < topology->nodes->len; i++) {
        const PlNode *host = g_ptr_array_index(topology->nodes, i);
        g_autoptr(GPtrArray) chain = pl_topology_chain_of(topology, host, forward->inside.family);
        const PlAttachment *attachment = attachment_with(host, &forward->inside);

        if (host->kind == PL_NODE_HOST && !host->moves && attachment && chain->len > 0 &&
            chain->pdata[0] == nat)
            return attachment;
    }
    return NULL;
}

static GPtrArray *chain_from(const PlGraph *graph, const PlNetwork *network)
{
    GPtrArray *chain = g_ptr_array_new();

    for (PlNode *up = network ? graph->up[network->index] : NULL; up;
         up = graph->up[pl_nat_outside(up)->network->index])
        g_ptr_array_add(chain, up);
    return chain;
}

GPtrArray *pl_topology_chain_from(const PlTopology *topology, const PlNetwork *network)
{
    g_auto(PlGraph) graph = {0};

    pl_graph_init(&graph, topology);
    return chain_from(&graph, network);
}

GPtrArray *pl_topology_chain_of(const PlTopology *topology, const PlNode *node, uint8_t family)
{
    g_auto(PlGraph) graph = {0};
    const PlAttachment *way;

    pl_graph_init(&graph, topology);
    way = outermost(&graph, node, family);
    if (way && node->kind == PL_NODE_NAT)
        way = pl_nat_outside(node);
    return chain_from(&graph, way ? way->network : NULL);
}

GPtrArray *pl_topology_chain(const PlTopology *topology, const PlNode *node)
{
    return pl_topology_chain_of(topology, node, pl_node_family(node));
}

const GArray *pl_topology_external(const GPtrArray *chain)
{
    for (unsigned i = chain->len; i-- > 0;) {
        const PlNode *nat = g_ptr_array_index(chain, i);

        if (nat->behaviour.mapping != PL_MAPPING_NONE)
            return pl_nat_outside(nat)->addresses;
    }
    return NULL;
}

/* How a network is reached, as a search in breadth finds it. */
typedef struct Reach {
    gboolean reached;
    const PlNetwork *start; /* the network that the way begins on */
    PhAddress via;          /* who is next there; of no family for the start itself */
} Reach;

static gboolean forwards_all(const PlNode *node)
{
    return node->kind == PL_NODE_HOST ? node->routes : node->behaviour.mapping == PL_MAPPING_NONE;
}

/* A node's own networks are all starts, so no way leads through it. */
static void search(Reach *reach, GPtrArray *queue)
{
    for (unsigned at = 0; at < queue->len; at++) {
        const PlNetwork *here = g_ptr_array_index(queue, at);
        const Reach *way = &reach[here->index];

        for (unsigned i = 0; i < here->attachments->len; i++) {
            const PlAttachment *next = attachment_at(here->attachments, i);

            if (!forwards_all(next->node))
                continue;
            for (unsigned k = 0; k < next->node->attachments->len; k++) {
                PlNetwork *there = attachment_at(next->node->attachments, k)->network;

                if (reach[there->index].reached)
                    continue;
                reach[there->index] =
                    (Reach){.reached = TRUE,
                            .start = way->start,
                            .via = here == way->start ? g_array_index(next->addresses, PhAddress, 0)
                                                      : way->via};
                g_ptr_array_add(queue, there);
            }
        }
    }
}

static void begin(Reach *reach, GPtrArray *queue, const PlNetwork *network)
{
    reach[network->index] = (Reach){.reached = TRUE, .start = network};
    g_ptr_array_add(queue, (gpointer)network);
}

/* The default route leads to the nearest NAT or firewall outwards, if that is by way of `network`.
 */
static void add_default(GArray *routes, const PlGraph *graph, const Reach *reach,
                        const PlNetwork *network, const PlNode *node)
{
    const uint8_t family = pl_network_family(network);
    const PlNetwork *home = node ? outermost(graph, node, family)->network : network;
    const PlNode *up = graph->up[home->index];
    const PlNetwork *gate;
    PlRoute route = {.destination.address.family = family};

    if (!up)
        return;
    gate = pl_nat_inside(up)->network;
    if (reach[gate->index].start != network)
        return;
    route.via = gate == network ? g_array_index(pl_nat_inside(up)->addresses, PhAddress, 0)
                                : reach[gate->index].via;
    g_array_append_val(routes, route);
}

GArray *pl_topology_routes(const PlTopology *topology, const PlNetwork *network, const PlNode *node)
{
    GArray *routes = g_array_new(FALSE, TRUE, sizeof(PlRoute));
    g_autofree Reach *reach = g_new0(Reach, topology->networks->len);
    g_autoptr(GPtrArray) queue = g_ptr_array_new();
    g_auto(PlGraph) graph = {0};

    pl_graph_init(&graph, topology);
    /* From all of a node's networks at once: each destination is then reached by one of them. */
    for (unsigned i = 0; node && i < node->attachments->len; i++)
        begin(reach, queue, attachment_at(node->attachments, i)->network);
    if (!node)
        begin(reach, queue, network);
    search(reach, queue);
    for (unsigned i = 0; i < topology->networks->len; i++) {
        const PlNetwork *there = g_ptr_array_index(topology->networks, i);
        PlRoute route = {.destination = there->subnet, .via = reach[i].via};

        if (reach[i].reached && reach[i].start == network && there != reach[i].start)
            g_array_append_val(routes, route);
    }
    add_default(routes, &graph, reach, network, node);
    return routes;
}

gboolean *pl_topology_reach(const PlTopology *topology, const PlNode *node)
{
    gboolean *reached = g_new0(gboolean, topology->networks->len);
    g_autofree Reach *reach = g_new0(Reach, topology->networks->len);
    g_autoptr(GPtrArray) queue = g_ptr_array_new();
    g_autoptr(GPtrArray) chain = pl_topology_chain(topology, node);

    for (unsigned i = 0; i < node->attachments->len; i++)
        begin(reach, queue, attachment_at(node->attachments, i)->network);
    search(reach, queue);
    for (unsigned i = 0; i < chain->len; i++) {
        g_autoptr(GPtrArray) onwards = g_ptr_array_new();

        begin(reach, onwards, pl_nat_outside(chain->pdata[i])->network);
        search(reach, onwards);
    }
    for (unsigned i = 0; i < topology->networks->len; i++)
        reached[i] = reach[i].reached;
    return reached;
}

static gboolean has_default(const PlTopology *topology, const PlNode *host,
                            const PlAttachment *attachment)
{
    g_autoptr(GArray) routes = pl_topology_routes(topology, attachment->network, host);

    for (unsigned i = 0; i < routes->len; i++)
        if (g_array_index(routes, PlRoute, i).destination.length == 0)
            return TRUE;
    return FALSE;
}

const PlAttachment *pl_topology_way_out_of(const PlTopology *topology, const PlNode *host,
                                           uint8_t family)
{
    g_auto(PlGraph) graph = {0};

    for (unsigned i = 0; i < host->attachments->len; i++) {
        const PlAttachment *attachment = attachment_at(host->attachments, i);

        if (pl_network_family(attachment->network) == family &&
            has_default(topology, host, attachment))
            return attachment;
    }
    pl_graph_init(&graph, topology);
    return outermost(&graph, host, family);
}

const PlAttachment *pl_topology_way_out(const PlTopology *topology, const PlNode *host)
{
    return pl_topology_way_out_of(topology, host, pl_node_family(host));
}
