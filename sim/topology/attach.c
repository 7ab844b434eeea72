/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who is on which network. */
#include <string.h>

#include "topology/build.h"
#include "topology/units.h"

gboolean pl_build_no_node(const PlTopology *topology, const PlIni *ini, const char *group,
                          const char *key, const char *what, gboolean hosts, gboolean nats,
                          const char *name, GError **error)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    const char *near;

    for (unsigned i = 0; i < topology->nodes->len; i++) {
        PlNode *node = g_ptr_array_index(topology->nodes, i);

        if (node->kind == PL_NODE_HOST ? hosts : nats)
            g_ptr_array_add(names, node->name);
    }
    near = pl_nearest(name, (const char *const *)names->pdata, names->len);
    return pl_ini_fail(ini, group, key, error,
                       "there is no %s \"%s\" (expected one of this file%s%s%s)", what, name,
                       near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

static PlNetwork *need_network(const PlTopology *topology, const PlIni *ini, const char *group,
                               const char *key, const char *name, GError **error)
{
    PlNetwork *network = pl_topology_network(topology, name);
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    const char *near;

    if (network)
        return network;
    for (unsigned i = 0; i < topology->networks->len; i++)
        g_ptr_array_add(names, ((PlNetwork *)g_ptr_array_index(topology->networks, i))->name);
    near = pl_nearest(name, (const char *const *)names->pdata, names->len);
    pl_ini_set_error(ini, group, key, error,
                     "there is no network \"%s\" (expected one of this file%s%s%s)", name,
                     near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    return NULL;
}

/* The network on the inside of a NAT, whichever way its file names it. */
static PlNetwork *inside_of(const PlTopology *topology, const PlIni *ini, const PlNode *nat,
                            GError **error)
{
    g_autofree char *group = pl_build_group(nat);
    g_autofree char *own = g_strconcat(nat->name, ".inside", NULL);
    const char *inside;

    if (!pl_ini_need(ini, group, "inside", "a network's name, or a prefix such as 192.168.1.0/24",
                     &inside, error))
        return NULL;
    return need_network(topology, ini, group, "inside", strchr(inside, '/') ? own : inside, error);
}

static gboolean attach_nat(PlTopology *topology, const PlIni *ini, PlNode *nat, GError **error)
{
    g_autofree char *group = pl_build_group(nat);
    PlNetwork *inside, *outside;
    const char *name;

    inside = inside_of(topology, ini, nat, error);
    if (!inside ||
        !pl_ini_need(ini, group, "outside", "the name of the network outside", &name, error))
        return FALSE;
    outside = need_network(topology, ini, group, "outside", name, error);
    if (!outside)
        return FALSE;
    if (inside == outside)
        return pl_ini_fail(ini, group, "inside", error,
                           "a loop: \"%s\" is its outside, too (expected another network)",
                           inside->name);
    if (inside->upstream)
        return pl_ini_fail(ini, group, "inside", error,
                           "\"%s\" is the inside of nat %s already (expected one way out of a "
                           "network)",
                           inside->name, inside->upstream->name);
    inside->upstream = nat;
    pl_topology_attach(nat, inside, PL_SIDE_INSIDE)->label =
        g_strconcat(nat->name, ".inside", NULL);
    pl_topology_attach(nat, outside, PL_SIDE_OUTSIDE)->label =
        g_strconcat(nat->name, ".outside", NULL);
    return TRUE;
}

/* Both sides of one family, and IPv6 is not translated: there is no NAT66 and no NAT64. */
static gboolean check_families(const PlNode *nat, const PlIni *ini, GError **error)
{
    const PlNetwork *inside = pl_nat_inside(nat)->network, *outside = pl_nat_outside(nat)->network;
    g_autofree char *group = pl_build_group(nat);

    if (pl_network_family(inside) != pl_network_family(outside))
        return pl_ini_fail(
            ini, group, "inside", error,
            "%s is %s and %s is %s: translation between families is not supported by "
            "this version (expected networks of one family)",
            inside->name, pl_family_name(pl_network_family(inside)), outside->name,
            pl_family_name(pl_network_family(outside)));
    if (pl_network_family(inside) == PH_FAMILY_IPV6 && nat->behaviour.mapping != PL_MAPPING_NONE)
        return pl_ini_fail(ini, group, pl_ini_get(ini, group, "mapping") ? "mapping" : "behaviour",
                           error,
                           "translation of IPv6 is not supported by this version (expected "
                           "behaviour = firewall, or mapping = none)");
    return TRUE;
}

static gboolean attach_behind(PlTopology *topology, const PlIni *ini, PlNode *host,
                              const char *group, const char *behind, GError **error)
{
    PlNode *nat = pl_topology_node(topology, behind);
    PlNetwork *network;

    if (!nat || nat->kind != PL_NODE_NAT)
        return pl_build_no_node(topology, ini, group, "behind", "NAT", FALSE, TRUE, behind, error);
    network = inside_of(topology, ini, nat, error);
    if (!network)
        return FALSE;
    pl_topology_attach(host, network, PL_SIDE_HOST)->label = g_strdup(host->name);
    return TRUE;
}

static gboolean attach_on(PlTopology *topology, const PlIni *ini, PlNode *host, const char *group,
                          GError **error)
{
    g_auto(GStrv) names = NULL;
    unsigned n;

    if (!pl_ini_list(ini, group, "on", &names, error))
        return FALSE;
    n = g_strv_length(names);
    if (n > PL_HOST_NETWORKS_MAX)
        return pl_ini_fail(ini, group, "on", error, "%u networks (expected at most %d)", n,
                           PL_HOST_NETWORKS_MAX);
    for (unsigned i = 0; i < n; i++) {
        PlNetwork *network = need_network(topology, ini, group, "on", names[i], error);

        if (!network)
            return FALSE;
        for (unsigned k = 0; k < i; k++)
            if (strcmp(names[i], names[k]) == 0)
                return pl_ini_fail(ini, group, "on", error, "\"%s\" stands twice (expected once)",
                                   names[i]);
        pl_topology_attach(host, network, PL_SIDE_HOST)->label =
            n == 1 ? g_strdup(host->name) : g_strconcat(host->name, ".", network->name, NULL);
    }
    return TRUE;
}

static gboolean attach_host(PlTopology *topology, const PlIni *ini, PlNode *host, GError **error)
{
    g_autofree char *group = pl_build_group(host);
    const char *behind = pl_ini_get(ini, group, "behind"), *on = pl_ini_get(ini, group, "on");
    unsigned port = 0;

    if (behind && on)
        return pl_ini_fail(ini, group, "on", error,
                           "it is behind a NAT, too (expected behind or on, not both)");
    if (!behind && !on)
        return pl_ini_fail(ini, group, "on", error,
                           "missing (expected behind = NAT or on = NETWORK)");
    if (behind ? !attach_behind(topology, ini, host, group, behind, error)
               : !attach_on(topology, ini, host, group, error))
        return FALSE;
    if (!pl_ini_yes(ini, group, "routes", &host->routes, error) ||
        !pl_ini_number(ini, group, "probe-port", 1, 65535, &port, error))
        return FALSE;
    host->probe_port = (uint16_t)port;
    for (unsigned i = 1; host->routes && i < host->attachments->len; i++) {
        const PlAttachment *attachment = g_ptr_array_index(host->attachments, i);

        if (pl_network_family(attachment->network) != pl_node_family(host))
            return pl_ini_fail(ini, group, "routes", error,
                               "network %s is %s, and the first one is not (expected networks of "
                               "one family)",
                               attachment->network->name,
                               pl_family_name(pl_network_family(attachment->network)));
    }
    if (host->routes && host->attachments->len < 2)
        return pl_ini_fail(
            ini, group, "routes", error,
            "there is nothing to route between (expected on = two networks or more)");
    return pl_build_program(host, ini, error);
}

gboolean pl_build_attach(PlTopology *topology, const PlIni *ini, GError **error)
{
    for (unsigned i = 0; i < topology->nodes->len; i++) {
        PlNode *node = g_ptr_array_index(topology->nodes, i);

        if (node->kind == PL_NODE_NAT ? !attach_nat(topology, ini, node, error)
                                      : !attach_host(topology, ini, node, error))
            return FALSE;
        /* Routes depend on whether a NAT translates. */
        if (node->kind == PL_NODE_NAT &&
            (!pl_build_behaviour(node, ini, error) || !check_families(node, ini, error)))
            return FALSE;
    }
    return TRUE;
}
