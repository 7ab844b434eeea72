/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What has to be done to build a topology; see plan.h. */
#include "kernel/plan.h"

#include <assert.h>
#include <string.h>

#include "kernel/rules.h"

static const PlAttachment *attachment_at(const GPtrArray *attachments, unsigned i)
{
    return g_ptr_array_index(attachments, i);
}

/* A cable that is pulled out has to be pulled out of something that is neither of its two nodes:
 * these keep their interfaces, and with them their routes. */
static gboolean is_pulled(const PlTopology *topology, const PlNetwork *network)
{
    for (unsigned i = 0; i < topology->steps->len; i++) {
        const PlStep *step = g_ptr_array_index(topology->steps, i);

        if ((step->kind == PL_STEP_LINK_DOWN || step->kind == PL_STEP_LINK_UP) &&
            step->attachment->network == network)
            return TRUE;
    }
    return FALSE;
}

gboolean pl_plan_bridge(const PlTopology *topology, const PlNetwork *network,
                        char ret_name[static IFNAMSIZ])
{
    if (pl_network_is_cable(network) && !is_pulled(topology, network))
        return FALSE;
    g_snprintf(ret_name, IFNAMSIZ, "br%u", network->index);
    return TRUE;
}

const PlPlace *pl_plan_place(const PlPlan *plan, const PlAttachment *attachment)
{
    for (unsigned i = 0; i < plan->places->len; i++) {
        const PlPlace *place = &g_array_index(plan->places, PlPlace, i);

        if (place->attachment == attachment)
            return place;
    }
    assert(!"an attachment of another topology");
    return NULL;
}

static void plan_places(PlPlan *plan)
{
    for (unsigned n = 0; n < plan->topology->nodes->len; n++) {
        const PlNode *node = g_ptr_array_index(plan->topology->nodes, n);

        for (unsigned i = 0; i < node->attachments->len; i++) {
            PlPlace place = {.attachment = attachment_at(node->attachments, i),
                             .space = PL_SPACE_OF(node),
                             .far_space = PL_SPACE_SWITCH};

            if (node->kind == PL_NODE_HOST)
                g_snprintf(place.interface, IFNAMSIZ, "eth%u", i);
            else
                g_strlcpy(place.interface,
                          place.attachment->side == PL_SIDE_INSIDE ? PL_RULES_INSIDE
                                                                   : PL_RULES_OUTSIDE,
                          IFNAMSIZ);
            g_snprintf(place.far_interface, IFNAMSIZ, "p%u", plan->places->len);
            g_array_append_val(plan->places, place);
        }
    }
}

static void add_offload(GArray *ops, unsigned space, const char *interface)
{
    PlOp op = pl_op(PL_OP_OFFLOAD, space, interface);

    g_array_append_val(ops, op);
}

static uint16_t mac_of(const PlPlan *plan, const PlPlace *place)
{
    return (uint16_t)(2 * (place - &g_array_index(plan->places, PlPlace, 0) + 1));
}

static void plan_cable(PlPlan *plan, const PlNetwork *network)
{
    const PlAttachment *a = attachment_at(network->attachments, 0);
    const PlAttachment *b = attachment_at(network->attachments, 1);
    PlPlace *place = (PlPlace *)pl_plan_place(plan, a), *far = (PlPlace *)pl_plan_place(plan, b);
    PlOp veth = pl_op(PL_OP_VETH, place->space, place->interface);

    place->far_space = far->space;
    g_strlcpy(place->far_interface, far->interface, IFNAMSIZ);
    far->far_space = place->space;
    g_strlcpy(far->far_interface, place->interface, IFNAMSIZ);
    veth.peer_space = far->space;
    g_strlcpy(veth.peer, far->interface, IFNAMSIZ);
    veth.mtu_bytes = pl_network_mtu(network, a);
    veth.mac = mac_of(plan, place);
    veth.peer_mac = mac_of(plan, far);
    g_array_append_val(plan->ops, veth);
    add_offload(plan->ops, place->space, place->interface);
    add_offload(plan->ops, far->space, far->interface);
}

static void plan_port(PlPlan *plan, const PlPlace *place, const char *bridge)
{
    PlOp veth = pl_op(PL_OP_VETH, PL_SPACE_SWITCH, place->far_interface);

    veth.peer_space = place->space;
    g_strlcpy(veth.peer, place->interface, IFNAMSIZ);
    g_strlcpy(veth.master, bridge, IFNAMSIZ);
    veth.mtu_bytes = pl_network_mtu(place->attachment->network, place->attachment);
    veth.mac = mac_of(plan, place) + 1;
    veth.peer_mac = mac_of(plan, place);
    g_array_append_val(plan->ops, veth);
    add_offload(plan->ops, PL_SPACE_SWITCH, place->far_interface);
    add_offload(plan->ops, place->space, place->interface);
    pl_ops_up(plan->ops, PL_SPACE_SWITCH, place->far_interface);
}

static void plan_network(PlPlan *plan, const PlNetwork *network)
{
    char bridge[IFNAMSIZ];
    PlOp op;

    if (!pl_plan_bridge(plan->topology, network, bridge)) {
        plan_cable(plan, network);
        return;
    }
    op = pl_op(PL_OP_BRIDGE, PL_SPACE_SWITCH, bridge);
    g_array_append_val(plan->ops, op);
    add_offload(plan->ops, PL_SPACE_SWITCH, bridge);
    pl_ops_up(plan->ops, PL_SPACE_SWITCH, bridge);
    for (unsigned i = 0; i < network->attachments->len; i++)
        plan_port(plan, pl_plan_place(plan, attachment_at(network->attachments, i)), bridge);
}

static void plan_addresses(PlPlan *plan, const PlPlace *place)
{
    const GArray *addresses = place->attachment->addresses;

    pl_ops_addresses(plan->ops, place->space, place->interface, place->attachment->network,
                     &g_array_index(addresses, PhAddress, 0), addresses->len);
}

static void plan_routes(PlPlan *plan, const PlPlace *place)
{
    pl_ops_routes(plan->ops, place->space, place->interface, plan->topology,
                  place->attachment->network, place->attachment->node);
}

static gboolean plan_rules(PlPlan *plan, const PlNode *nat, uint64_t seed, GError **error)
{
    g_autofree char *seconds =
        g_strdup_printf("%" G_GUINT64_FORMAT, nat->behaviour.udp_timeout_ns / 1000000000);
    PlOp op = pl_op(PL_OP_NFT, PL_SPACE_OF(nat), "");

    op.text = pl_rules_text(plan->topology, nat, pl_nat_outside(nat)->addresses, seed, error);
    if (!op.text)
        return FALSE;
    g_array_append_val(plan->ops, op);
    /* After the rules, which bring conntrack with them where it is a module. A firewall's `rules`
       may do without. */
    pl_ops_sysctl(plan->ops, op.space, nat->rules != NULL, "net.netfilter.nf_conntrack_udp_timeout",
                  seconds);
    pl_ops_sysctl(plan->ops, op.space, nat->rules != NULL,
                  "net.netfilter.nf_conntrack_udp_timeout_stream", seconds);
    return TRUE;
}

static gboolean plan_all(PlPlan *plan, uint64_t seed, GError **error)
{
    const PlTopology *topology = plan->topology;

    PlOp netns = pl_op(PL_OP_NETNS, PL_SPACE_SWITCH, "");

    g_array_append_val(plan->ops, netns);
    /* A bridge is no router, whatever br_netfilter thinks. */
    pl_ops_quiet(plan->ops, PL_SPACE_SWITCH, /* ipv6= */ FALSE);
    pl_ops_sysctl(plan->ops, PL_SPACE_SWITCH, TRUE, "net.bridge.bridge-nf-call-iptables", "0");
    for (unsigned i = 0; i < topology->nodes->len; i++)
        pl_ops_node(plan->ops, g_ptr_array_index(topology->nodes, i));
    plan_places(plan);
    for (unsigned i = 0; i < topology->networks->len; i++)
        plan_network(plan, g_ptr_array_index(topology->networks, i));
    for (unsigned i = 0; i < plan->places->len; i++)
        plan_addresses(plan, &g_array_index(plan->places, PlPlace, i));
    for (unsigned i = 0; i < plan->places->len; i++)
        plan_routes(plan, &g_array_index(plan->places, PlPlace, i));
    for (unsigned i = 0; i < topology->nodes->len; i++) {
        const PlNode *node = g_ptr_array_index(topology->nodes, i);

        if (node->kind == PL_NODE_NAT && !plan_rules(plan, node, seed, error))
            return FALSE;
    }
    return TRUE;
}

PlPlan *pl_plan_new(const PlTopology *topology, uint64_t seed, GError **error)
{
    g_autoptr(PlPlan) plan = g_new0(PlPlan, 1);

    plan->topology = topology;
    plan->ops = pl_ops_new();
    plan->places = g_array_new(FALSE, TRUE, sizeof(PlPlace));
    return plan_all(plan, seed, error) ? g_steal_pointer(&plan) : NULL;
}

void pl_plan_free(PlPlan *plan)
{
    if (!plan)
        return;
    g_array_unref(plan->ops);
    g_array_unref(plan->places);
    g_free(plan);
}
