/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How networks hang together:
 *
 *   segment   networks joined by hosts that route
 *   zone      segments joined by firewalls: everybody reaches everybody by address
 *
 * A NAT leads from a segment to the next one outwards. Every segment but one, the internet, has
 * exactly one such way out, and there are no circles: a tree. IPv4 and IPv6 have one each; what
 * joins networks is of one family.
 */
#include <string.h>

#include "topology/build.h"

static unsigned root_of(unsigned *parent, unsigned i)
{
    while (parent[i] != i)
        i = parent[i] = parent[parent[i]];
    return i;
}

/* Joins two sets; the lower number stays their root. FALSE when they were one. */
static gboolean join(unsigned *parent, unsigned a, unsigned b)
{
    a = root_of(parent, a);
    b = root_of(parent, b);
    parent[MAX(a, b)] = MIN(a, b);
    return a != b;
}

static void flatten(unsigned *parent, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        parent[i] = root_of(parent, i);
}

static unsigned attached(const PlNode *node, unsigned i)
{
    return ((PlAttachment *)g_ptr_array_index(node->attachments, i))->network->index;
}

void pl_graph_init(PlGraph *graph, const PlTopology *topology)
{
    unsigned n = topology->networks->len;

    *graph = (PlGraph){.n = n};
    graph->segment = g_new(unsigned, n + 1);
    graph->zone = g_new(unsigned, n + 1);
    graph->up = g_new0(PlNode *, n + 1);
    for (unsigned i = 0; i < n; i++)
        graph->segment[i] = i;
    for (unsigned i = 0; i < topology->nodes->len; i++) {
        const PlNode *node = g_ptr_array_index(topology->nodes, i);

        for (unsigned k = 1;
             node->kind == PL_NODE_HOST && node->routes && k < node->attachments->len; k++)
            join(graph->segment, attached(node, 0), attached(node, k));
    }
    flatten(graph->segment, n);
    memcpy(graph->zone, graph->segment, n * sizeof(unsigned));
    for (unsigned i = 0; i < topology->nodes->len; i++) {
        PlNode *node = g_ptr_array_index(topology->nodes, i);

        if (node->kind != PL_NODE_NAT)
            continue;
        graph->up[graph->segment[attached(node, 0)]] = node;
        if (node->behaviour.mapping == PL_MAPPING_NONE)
            join(graph->zone, attached(node, 0), attached(node, 1));
    }
    flatten(graph->zone, n);
    for (unsigned i = 0; i < n; i++)
        graph->up[i] = graph->up[graph->segment[i]];
}

void pl_graph_clear(PlGraph *graph)
{
    g_clear_pointer(&graph->segment, g_free);
    g_clear_pointer(&graph->zone, g_free);
    g_clear_pointer(&graph->up, g_free);
}

/* What all networks of a family have to reach: the outermost segment of the first one's. */
static const PlNetwork *internet_of(const PlTopology *topology, const PlGraph *graph,
                                    uint8_t family)
{
    unsigned first = 0;

    while (pl_network_family(g_ptr_array_index(topology->networks, first)) != family)
        first++;
    while (graph->up[first])
        first = attached(graph->up[first], 1);
    return g_ptr_array_index(topology->networks, first);
}

/* One way out of each segment, and none that leads back into it. */
static gboolean check_tree(const PlTopology *topology, const PlGraph *graph, const PlIni *ini,
                           GError **error)
{
    g_autofree unsigned *reach = g_memdup2(graph->segment, (graph->n + 1) * sizeof(unsigned));

    for (unsigned i = 0; i < topology->nodes->len; i++) {
        const PlNode *node = g_ptr_array_index(topology->nodes, i);
        g_autofree char *group = pl_build_group(node);
        const PlNode *other;

        if (node->kind != PL_NODE_NAT)
            continue;
        other = graph->up[attached(node, 0)];
        if (other != node)
            return pl_ini_fail(ini, group, "inside", error,
                               "nat %s leads out of the same networks (expected one way out)",
                               other->name);
        if (!join(reach, attached(node, 0), attached(node, 1)))
            return pl_ini_fail(ini, group, "outside", error,
                               "a loop: another way leads from its inside to its outside "
                               "(expected this to be the only one)");
    }
    flatten(reach, graph->n);
    for (unsigned i = 0; i < graph->n; i++) {
        const PlNetwork *network = g_ptr_array_index(topology->networks, i);
        const PlNetwork *outermost = internet_of(topology, graph, pl_network_family(network));
        g_autofree char *group = NULL;

        if (reach[i] == reach[outermost->index])
            continue;
        group = network->upstream ? pl_build_group(network->upstream)
                                  : g_strconcat("network ", network->name, NULL);
        return pl_ini_fail(ini, group, NULL, error,
                           "network %s and whoever is on it cannot reach network %s (expected NATs "
                           "or hosts that route to join all networks)",
                           network->name, outermost->name);
    }
    return TRUE;
}

static gboolean check_members(const PlTopology *topology, const PlIni *ini, GError **error)
{
    for (unsigned i = 0; i < topology->networks->len; i++) {
        const PlNetwork *network = g_ptr_array_index(topology->networks, i);
        g_autofree char *group = NULL;

        if (network->attachments->len >= 2)
            continue;
        if (network->upstream) {
            group = pl_build_group(network->upstream);
            return pl_ini_fail(ini, group, "inside", error,
                               "nobody is inside (expected a host with behind = %s)",
                               network->upstream->name);
        }
        group = g_strconcat("network ", network->name, NULL);
        return pl_ini_fail(ini, group, NULL, error,
                           network->attachments->len ? "only one node is on it (expected two or "
                                                       "more)"
                                                     : "nobody is on it (expected two or more)");
    }
    return TRUE;
}

static gboolean overlap(const PlNetwork *a, const PlNetwork *b)
{
    return pl_prefix_contains(&a->subnet, &b->subnet.address) ||
           pl_prefix_contains(&b->subnet, &a->subnet.address);
}

/* Whether zone a is b, or one of those that b's NATs lead out to. */
static gboolean encloses(const PlGraph *graph, unsigned a, unsigned b)
{
    while (graph->zone[a] != graph->zone[b]) {
        if (!graph->up[b])
            return FALSE;
        b = attached(graph->up[b], 1);
    }
    return TRUE;
}

/* A host on both, so that it sees what each reaches. */
static const PlNode *sees_both(const PlTopology *topology, const PlGraph *graph, unsigned a,
                               unsigned b)
{
    for (unsigned i = 0; i < topology->nodes->len; i++) {
        const PlNode *node = g_ptr_array_index(topology->nodes, i);
        gboolean in_a = FALSE, in_b = FALSE;

        for (unsigned k = 0; k < node->attachments->len; k++) {
            in_a |= graph->zone[attached(node, k)] == graph->zone[a];
            in_b |= graph->zone[attached(node, k)] == graph->zone[b];
        }
        if (in_a && in_b)
            return node;
    }
    return NULL;
}

/* Two homes may both be 192.168.1.0/24; nobody else may share addresses. */
static gboolean check_overlap(const PlTopology *topology, const PlGraph *graph, const PlIni *ini,
                              GError **error)
{
    for (unsigned b = 1; b < graph->n; b++) {
        for (unsigned a = 0; a < b; a++) {
            const PlNetwork *left = g_ptr_array_index(topology->networks, a);
            const PlNetwork *right = g_ptr_array_index(topology->networks, b);
            gboolean own = strchr(right->name, '.') != NULL;
            g_autofree char *subnet = NULL, *group = NULL;

            if (!overlap(left, right) || (!encloses(graph, a, b) && !encloses(graph, b, a) &&
                                          !sees_both(topology, graph, a, b)))
                continue;
            subnet = pl_prefix_format(&left->subnet);
            group =
                own ? pl_build_group(right->upstream) : g_strconcat("network ", right->name, NULL);
            return pl_ini_fail(ini, group, own ? "inside" : "subnet", error,
                               "overlaps with %s, network %s (expected subnets apart, unless "
                               "different NATs hide them from each other)",
                               subnet, left->name);
        }
    }
    return TRUE;
}

gboolean pl_build_graph(const PlTopology *topology, const PlIni *ini, GError **error)
{
    g_auto(PlGraph) graph = {0};

    if (topology->nodes->len == 0 || topology->networks->len == 0)
        return pl_ini_fail(ini, NULL, NULL, error,
                           "nobody is in it (expected [network NAME] and [host NAME] groups)");
    pl_graph_init(&graph, topology);
    return check_members(topology, ini, error) && check_tree(topology, &graph, ini, error) &&
           check_overlap(topology, &graph, ini, error);
}
