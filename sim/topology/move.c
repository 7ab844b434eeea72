/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Hosts that steps take to other networks: `host NAME move PLACE [ADDRESS]`. */
#include <string.h>

#include "topology/build.h"
#include "topology/units.h"

static gboolean is_move(const PlStep *step, const PlNode *host)
{
    return step->kind == PL_STEP_HOST_MOVE && step->node == host;
}

static const PlStep *step_at(const PlTopology *topology, unsigned i)
{
    return g_ptr_array_index(topology->steps, i);
}

static const PlAttachment *first_of(const PlNode *host)
{
    return g_ptr_array_index(host->attachments, 0);
}

/* ---- where a host is, and when ---- */

static void add_address(GArray *addresses, const PhAddress *address)
{
    for (guint i = 0; i < addresses->len; i++)
        if (ph_address_equal_host(&g_array_index(addresses, PhAddress, i), address))
            return;
    g_array_append_val(addresses, *address);
}

GArray *pl_host_addresses(const PlTopology *topology, const PlNode *host)
{
    GArray *all = g_array_new(FALSE, FALSE, sizeof(PhAddress));

    for (unsigned i = 0; i < host->attachments->len; i++) {
        const PlAttachment *attachment = g_ptr_array_index(host->attachments, i);

        g_array_append_vals(all, attachment->addresses->data, attachment->addresses->len);
    }
    for (unsigned i = 0; i < topology->steps->len; i++)
        if (is_move(step_at(topology, i), host))
            add_address(all, &step_at(topology, i)->address);
    return all;
}

gboolean pl_host_visits(const PlTopology *topology, const PlNode *host, const PlNetwork *network)
{
    for (unsigned i = 0; i < host->attachments->len; i++)
        if (((const PlAttachment *)g_ptr_array_index(host->attachments, i))->network == network)
            return TRUE;
    for (unsigned i = 0; i < topology->steps->len; i++)
        if (is_move(step_at(topology, i), host) && step_at(topology, i)->network == network)
            return TRUE;
    return FALSE;
}

/* The last move before this step; NULL: there was none. */
static const PlStep *last_move(const PlTopology *topology, const PlNode *host, const PlStep *when)
{
    const PlStep *last = NULL;

    for (unsigned i = 0; i < topology->steps->len && step_at(topology, i) != when; i++)
        if (is_move(step_at(topology, i), host))
            last = step_at(topology, i);
    return last;
}

const PlNetwork *pl_host_network_at(const PlTopology *topology, const PlNode *host,
                                    const PlStep *when)
{
    const PlStep *last = last_move(topology, host, when);

    return last ? last->network : first_of(host)->network;
}

PhAddress pl_host_address_at(const PlTopology *topology, const PlNode *host, const PlStep *when)
{
    const PlStep *last = last_move(topology, host, when);

    return last ? last->address : g_array_index(first_of(host)->addresses, PhAddress, 0);
}

/* ---- reading ---- */

/* Who has several networks or addresses, or has promised one of them, stays. */
static gboolean may_move(const PlNode *host, const PlIni *ini, const char *group, GError **error)
{
    if (host->attachments->len > 1)
        return pl_ini_fail(ini, group, "do", error,
                           "host %s is on several networks (expected a host on one)", host->name);
    return host->program.word != PL_WORD_HUB ||
           pl_ini_fail(ini, group, "do", error,
                       "host %s is a hub, which others know by its address (expected another host)",
                       host->name);
}

/* The inside of a NAT, or a network. */
static PlNetwork *find_place(const PlTopology *topology, const char *name)
{
    const PlNode *nat = pl_topology_node(topology, name);

    if (nat)
        return nat->kind == PL_NODE_NAT ? pl_nat_inside(nat)->network : NULL;
    return pl_topology_network(topology, name);
}

static gboolean no_place(const PlTopology *topology, const PlIni *ini, const char *group,
                         const char *name, GError **error)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    const char *near;

    for (unsigned i = 0; i < topology->nodes->len; i++) {
        const PlNode *node = g_ptr_array_index(topology->nodes, i);

        if (node->kind == PL_NODE_NAT)
            g_ptr_array_add(names, node->name);
    }
    for (unsigned i = 0; i < topology->networks->len; i++)
        g_ptr_array_add(names, ((PlNetwork *)g_ptr_array_index(topology->networks, i))->name);
    near = pl_nearest(name, (const char *const *)names->pdata, names->len);
    return pl_ini_fail(ini, group, "do", error,
                       "there is no NAT and no network \"%s\" (expected host NAME move PLACE "
                       "[ADDRESS], PLACE one of this file%s%s%s)",
                       name, near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

gboolean pl_build_move(PlTopology *topology, const PlIni *ini, const char *group, PlStep *step,
                       const char *rest, GError **error)
{
    PlNode *host = step->node;
    PlNetwork *home = first_of(host)->network;
    g_autofree char *place = pl_build_word(&rest);

    step->kind = PL_STEP_HOST_MOVE;
    step->network = find_place(topology, place);
    if (!step->network)
        return no_place(topology, ini, group, place, error);
    if (!may_move(host, ini, group, error))
        return FALSE;
    if (pl_network_family(step->network) != pl_network_family(home))
        return pl_ini_fail(ini, group, "do", error,
                           "network %s is %s, and host %s is not (expected one of its family)",
                           step->network->name, pl_family_name(pl_network_family(step->network)),
                           host->name);
    host->moves = home->visited = step->network->visited = TRUE;
    return !*rest || (pl_build_read_address(ini, group, "do", rest, &step->address, error) &&
                      pl_build_usable(step->network, ini, group, "do", &step->address, error));
}

/* The one that it had there before, if it was there. */
static gboolean had_address(const PlTopology *topology, const PlStep *step, PhAddress *ret_address)
{
    const PlAttachment *home = first_of(step->node);

    if (home->network == step->network) {
        *ret_address = g_array_index(home->addresses, PhAddress, 0);
        return TRUE;
    }
    for (unsigned i = 0; step_at(topology, i) != step; i++) {
        const PlStep *before = step_at(topology, i);

        if (is_move(before, step->node) && before->network == step->network) {
            *ret_address = before->address;
            return TRUE;
        }
    }
    return FALSE;
}

gboolean pl_build_move_addresses(PlTopology *topology, const PlIni *ini, GError **error)
{
    for (unsigned i = 0; i < topology->steps->len; i++) {
        PlStep *step = g_ptr_array_index(topology->steps, i);
        g_autofree char *group = g_strdup_printf("step %u", step->number);
        const GArray *own;

        if (step->kind != PL_STEP_HOST_MOVE)
            continue;
        own = first_of(step->node)->addresses;
        if (own->len > 1)
            return pl_ini_fail(ini, group, "do", error,
                               "host %s has several addresses (expected a host with one)",
                               step->node->name);
        if (step->address.family == PH_FAMILY_NONE &&
            !had_address(topology, step, &step->address) &&
            !pl_build_lowest(topology, ini, step->network, group, &step->address, error))
            return FALSE;
    }
    return TRUE;
}
