/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The lab's own presence on a network, for as long as a prober works: a namespace like a host's,
 * with an interface of its own in the middle of the network. On a bridge that is one more port,
 * which may stay for the next probe, since the kernel takes some 20 ms to remove it:
 *
 *     presence ── probe ═══ pp0 ── br0
 *
 * A cable has no port left. There a macvlan interface stands beside the end that is not being
 * probed, and the node at that end sees none of its packets:
 *
 *     presence ── probe ┐
 *                  eth0 ┴═══ outside       (the NAT is probed, the host is not involved)
 *
 * That takes CONFIG_MACVLAN; a kernel without it is PL_ERROR_UNSUPPORTED, by that name.
 */
#include <string.h>

#include "kernel/lab.h"
#include "machine/drive.h"
#include "wiring/carrier.h"

#define INTERFACE "probe"

/* The presences' numbers. */
#define INSIDE  0
#define OUTSIDE 1

typedef struct Presence {
    unsigned number, space;
    const PlNetwork *network;
    const PhAddress *addresses; /* two */
    gboolean standing;
} Presence;

static PlOp port_op(const Presence *presence, PlOpKind kind, unsigned space)
{
    char name[IFNAMSIZ];

    g_snprintf(name, sizeof(name), "pp%u", presence->number);
    return pl_op(kind, space, name);
}

static gboolean do_all(PlLab *lab, const PlOp *ops, unsigned n, GError **error)
{
    for (unsigned i = 0; i < n; i++)
        if (!pl_spaces_do(lab->spaces, &ops[i], error))
            return FALSE;
    return TRUE;
}

static gboolean plug_in(PlLab *lab, Presence *presence, const char *bridge, GError **error)
{
    PlOp ops[] = {
        port_op(presence, PL_OP_VETH, PL_SPACE_SWITCH),
        port_op(presence, PL_OP_OFFLOAD, PL_SPACE_SWITCH),
        pl_op(PL_OP_OFFLOAD, presence->space, INTERFACE),
        port_op(presence, PL_OP_UP, PL_SPACE_SWITCH),
    };

    ops[0].peer_space = presence->space;
    g_strlcpy(ops[0].peer, INTERFACE, IFNAMSIZ);
    g_strlcpy(ops[0].master, bridge, IFNAMSIZ);
    ops[0].mtu_bytes = 1500;
    /* Always the same: neighbours remember it from one probe to the next. */
    ops[0].mac = PL_MAC_OF_PRESENCE(PL_LAB_PRESENCES + presence->number);
    ops[0].peer_mac = PL_MAC_OF_PRESENCE(presence->number);
    if (!pl_spaces_do(lab->spaces, &ops[0], error))
        return FALSE;
    presence->standing = TRUE;
    return do_all(lab, ops + 1, G_N_ELEMENTS(ops) - 1, error);
}

/* The member of a cable whose end may be shared: not the one that is probed across it. */
static const PlAttachment *bystander(const PlNetwork *network, const PlNode *subject)
{
    const PlAttachment *first = g_ptr_array_index(network->attachments, 0);
    const PlAttachment *second = g_ptr_array_index(network->attachments, 1);

    g_assert(first->node && second->node);
    if (subject)
        return first->node == subject ? second : first;
    return first->node->kind == PL_NODE_HOST ? first : second;
}

static gboolean stand_beside(PlLab *lab, Presence *presence, const PlNode *subject, GError **error)
{
    const PlPlace *place = pl_plan_place(lab->plan, bystander(presence->network, subject));
    PlOp op = pl_op(PL_OP_MACVLAN, place->space, place->interface);

    op.peer_space = presence->space;
    g_strlcpy(op.peer, INTERFACE, IFNAMSIZ);
    op.peer_mac = PL_MAC_OF_PRESENCE(presence->number);
    if (!pl_spaces_do(lab->spaces, &op, error))
        return FALSE;
    presence->standing = TRUE;
    return TRUE;
}

/* A presence's namespace stays, and stands on one network after the other. */
static gboolean has_ipv6(const PlTopology *topology)
{
    for (unsigned i = 0; i < topology->networks->len; i++) {
        if (pl_network_family(g_ptr_array_index(topology->networks, i)) == PH_FAMILY_IPV6)
            return TRUE;
    }
    return FALSE;
}

static gboolean make_space(PlLab *lab, unsigned space, GError **error)
{
    g_autoptr(GArray) ops = pl_ops_new();
    PlOp netns = pl_op(PL_OP_NETNS, space, "");

    if (pl_spaces_fd(lab->spaces, space) >= 0)
        return TRUE;
    g_array_append_val(ops, netns);
    pl_ops_quiet(ops, space, has_ipv6(lab->topology));
    pl_ops_up(ops, space, "lo");
    return do_all(lab, &g_array_index(ops, PlOp, 0), ops->len, error);
}

static gboolean settle(PlLab *lab, const Presence *presence, GError **error)
{
    g_autoptr(GArray) routes = pl_topology_routes(lab->topology, presence->network, NULL);
    PlOp up = pl_op(PL_OP_UP, presence->space, INTERFACE);

    for (unsigned i = 0; i < 2; i++) {
        PlOp op = pl_op(PL_OP_ADDRESS, presence->space, INTERFACE);

        op.prefix = (PlPrefix){presence->addresses[i], presence->network->subnet.length};
        if (!pl_spaces_do(lab->spaces, &op, error))
            return FALSE;
    }
    if (!pl_spaces_do(lab->spaces, &up, error))
        return FALSE;
    for (unsigned i = 0; i < routes->len; i++) {
        const PlRoute *route = &g_array_index(routes, PlRoute, i);
        PlOp op = pl_op(PL_OP_ROUTE, presence->space, INTERFACE);

        op.prefix = route->destination;
        op.via = route->via;
        if (!pl_spaces_do(lab->spaces, &op, error))
            return FALSE;
    }
    return TRUE;
}

/* `subject`: the node that is probed across the network, if it is known. */
static gboolean stand(PlLab *lab, const PlVantage *vantage, unsigned number, const PlNode *subject,
                      Presence *presence, GError **error)
{
    char bridge[IFNAMSIZ];

    *presence = (Presence){
        .number = number,
        .space = PL_LAB_SPACE_OF_PRESENCE(lab, number),
        .network = vantage->network,
        /* reserved[0..1] are outside, [2..3] inside; the presences are numbered the other way. */
        .addresses = vantage->network->reserved + (number == INSIDE ? 2 : 0),
    };
    if (vantage->host)
        return TRUE;
    if (!make_space(lab, presence->space, error) ||
        !(pl_plan_bridge(lab->topology, vantage->network, bridge)
              ? plug_in(lab, presence, bridge, error)
              : stand_beside(lab, presence, subject, error)))
        return FALSE;
    return settle(lab, presence, error);
}

/* Its interface, and the port on the bridge, as far as there is one. */
static gboolean await(PlLab *lab, const Presence *presence, GError **error)
{
    g_autoptr(PlCarrier) carrier = pl_carrier_new(lab->spaces);
    char bridge[IFNAMSIZ];

    if (!presence->standing)
        return TRUE;
    if (pl_plan_bridge(lab->topology, presence->network, bridge)) {
        PlOp port = port_op(presence, PL_OP_UP, PL_SPACE_SWITCH);

        if (!pl_carrier_await(carrier, PL_SPACE_SWITCH, port.interface, error))
            return FALSE;
    }
    if (!pl_carrier_await(carrier, presence->space, INTERFACE, error))
        return FALSE;
    for (unsigned i = 0; i < 2; i++)
        if (!pl_carrier_await_address(carrier, presence->space, &presence->addresses[i], error))
            return FALSE;
    return TRUE;
}

static gboolean leave(PlLab *lab, const Presence *presence, GError **error)
{
    PlOp op = pl_op(PL_OP_DELETE, presence->space, INTERFACE);

    return !presence->standing || pl_spaces_do(lab->spaces, &op, error);
}

/* On an outer cable the probed one is the inside host itself, or the NAT whose outside it is. */
static const PlNode *subject_outside(const PlVantage *inside, const PlNetwork *network)
{
    for (unsigned i = 0; i < network->attachments->len; i++) {
        const PlAttachment *attachment = g_ptr_array_index(network->attachments, i);

        if (inside->host && attachment->node == inside->host)
            return attachment->node;
    }
    for (unsigned i = 0; i < network->attachments->len; i++) {
        const PlAttachment *attachment = g_ptr_array_index(network->attachments, i);

        if (attachment->side == PL_SIDE_OUTSIDE)
            return attachment->node;
    }
    return NULL;
}

static PlDrivePlace drive_place(PlLab *lab, const PlVantage *vantage, const Presence *presence)
{
    if (vantage->host)
        return (PlDrivePlace){pl_spaces_fd(lab->spaces, PL_SPACE_OF(vantage->host)), NULL};
    return (PlDrivePlace){pl_spaces_fd(lab->spaces, presence->space), INTERFACE};
}

gboolean pl_lab_probed(PlLab *lab, GError **error)
{
    const Presence presence = {
        .space = PL_LAB_SPACE_OF_PRESENCE(lab, OUTSIDE),
        .standing = lab->outside != NULL,
    };
    gboolean done = leave(lab, &presence, error);

    lab->outside = NULL;
    pl_spaces_rest(lab->spaces);
    return done;
}

/* As `stand`, but if it stands there already from the last time, that will do. */
static gboolean stand_outside(PlLab *lab, const PlVantage *inside, const PlVantage *outside,
                              Presence *presence, GError **error)
{
    if (!outside->host && outside->network == lab->outside) {
        *presence = (Presence){
            .number = OUTSIDE,
            .space = PL_LAB_SPACE_OF_PRESENCE(lab, OUTSIDE),
            .network = outside->network,
            .addresses = outside->network->reserved,
            .standing = TRUE,
        };
        return TRUE;
    }
    return pl_lab_probed(lab, error) &&
           stand(lab, outside, OUTSIDE, subject_outside(inside, outside->network), presence, error);
}

static gboolean leave_outside(PlLab *lab, const Presence *presence, gboolean stay, GError **error)
{
    char bridge[IFNAMSIZ];

    if (stay && presence->standing && pl_plan_bridge(lab->topology, presence->network, bridge)) {
        lab->outside = presence->network;
        return TRUE;
    }
    lab->outside = NULL;
    return leave(lab, presence, error);
}

gboolean pl_lab_probe(PlLab *lab, const PlVantage *inside, const PlVantage *outside,
                      PlProber *prober, GError **error)
{
    Presence within = {0}, without = {0};
    gboolean done = stand_outside(lab, inside, outside, &without, error) &&
                    stand(lab, inside, INSIDE, inside->network->upstream, &within, error) &&
                    await(lab, &within, error) && await(lab, &without, error);

    if (done) {
        PlDrivePlace from = drive_place(lab, inside, &within);
        PlDrivePlace to = drive_place(lab, outside, &without);

        pl_spaces_rest(lab->spaces);
        done = pl_drive_prober(prober, &from, &to, /* settle= */ NULL, NULL, error);
    }
    /* Both go, unless the next probe may want one; the first error is told. */
    done = leave(lab, &within, done ? error : NULL) && done;
    done = leave_outside(lab, &without, done, done ? error : NULL) && done;
    pl_spaces_rest(lab->spaces);
    return done;
}
