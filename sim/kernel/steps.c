/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What happens to a lab while it runs. */
#include "kernel/lab.h"
#include "machine/clock.h"
#include "machine/send.h"
#include "wiring/carrier.h"

#define RUN_LIMIT_NS (60 * G_GUINT64_CONSTANT(1000000000))

/* Routes go away with the interface they lead over. */
static gboolean restore_routes(PlLab *lab, unsigned space, GError **error)
{
    for (unsigned i = 0; i < lab->plan->ops->len; i++) {
        const PlOp *op = &g_array_index(lab->plan->ops, PlOp, i);

        if (op->kind == PL_OP_ROUTE && op->space == space && !pl_spaces_do(lab->spaces, op, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean set_up(PlLab *lab, unsigned space, const char *interface, gboolean up,
                       GError **error)
{
    PlOp op = pl_op(up ? PL_OP_UP : PL_OP_DOWN, space, interface);

    if (!pl_spaces_do(lab->spaces, &op, error))
        return FALSE;
    return !up || space == PL_SPACE_SWITCH || restore_routes(lab, space, error);
}

/* The far end of the cable is pulled: the node itself keeps addresses and routes, as a machine does
 * whose switch has lost power. */
static gboolean set_link(PlLab *lab, const PlAttachment *attachment, gboolean up, GError **error)
{
    const PlPlace *place = pl_plan_place(lab->plan, attachment);

    return set_up(lab, place->far_space, place->far_interface, up, error);
}

static gboolean set_forwarding(PlLab *lab, unsigned space, uint8_t family, gboolean on,
                               GError **error)
{
    char value[] = {on ? '1' : '0', '\0'};
    PlOp op = pl_op(PL_OP_SYSCTL, space, "");

    op.key = family == PH_FAMILY_IPV6 ? "net.ipv6.conf.all.forwarding" : "net.ipv4.ip_forward";
    op.text = value;
    return pl_spaces_do(lab->spaces, &op, error);
}

/*
 * Passes nothing meanwhile. The links stay up: a host that sends while they come back would have
 * its question for an address lost, and ask again only a second later.
 */
static gboolean reboot(PlLab *lab, const PlNode *nat, GError **error)
{
    unsigned space = PL_SPACE_OF(nat);
    uint8_t family = pl_node_family(nat);

    return set_forwarding(lab, space, family, FALSE, error) && pl_lab_reset_nat(lab, nat, error) &&
           set_forwarding(lab, space, family, TRUE, error);
}

static gboolean set_addresses(PlLab *lab, const PlPlace *place, const GArray *addresses,
                              PlOpKind kind, GError **error)
{
    for (unsigned i = 0; i < addresses->len; i++) {
        PlOp op = pl_op(kind, place->space, place->interface);

        op.prefix = (PlPrefix){g_array_index(addresses, PhAddress, i),
                               place->attachment->network->subnet.length};
        if (!pl_spaces_do(lab->spaces, &op, error))
            return FALSE;
    }
    return TRUE;
}

/* The first external address is another one; those of a larger pool stay. */
static gboolean change_address(PlLab *lab, const PlNode *nat, const PhAddress *address,
                               GError **error)
{
    const PlPlace *place = pl_plan_place(lab->plan, pl_nat_outside(nat));
    GArray *external = lab->nodes[nat->index].external;
    g_autoptr(GArray) old = g_array_copy(external);

    /* The last one first: with the primary address of a subnet all others would go. */
    for (unsigned i = old->len; i-- > 0;) {
        PlOp op = pl_op(PL_OP_UNADDRESS, place->space, place->interface);

        op.prefix =
            (PlPrefix){g_array_index(old, PhAddress, i), place->attachment->network->subnet.length};
        if (!pl_spaces_do(lab->spaces, &op, error))
            return FALSE;
    }
    g_array_index(external, PhAddress, 0) = *address;
    return set_addresses(lab, place, external, PL_OP_ADDRESS, error) &&
           restore_routes(lab, place->space, error) && pl_lab_reset_nat(lab, nat, error);
}

/* Whether its link is down when it comes to this step. */
static gboolean is_down(const PlTopology *topology, const PlAttachment *attachment,
                        const PlStep *when)
{
    gboolean down = FALSE;

    for (unsigned i = 0; g_ptr_array_index(topology->steps, i) != when; i++) {
        const PlStep *step = g_ptr_array_index(topology->steps, i);

        if (step->attachment == attachment)
            down = step->kind == PL_STEP_LINK_DOWN;
    }
    return down;
}

static gboolean await_plugged(PlLab *lab, const PlPlace *place, const PhAddress *address,
                              GError **error)
{
    g_autoptr(PlCarrier) carrier = pl_carrier_new(lab->spaces);

    return pl_carrier_await(carrier, PL_SPACE_SWITCH, place->far_interface, error) &&
           pl_carrier_await(carrier, place->space, place->interface, error) &&
           pl_carrier_await_address(carrier, place->space, address, error);
}

/* The other end of its cable is plugged into another bridge. */
static gboolean move_host(PlLab *lab, const PlStep *step, GError **error)
{
    const PlPlace *place = pl_plan_place(lab->plan, g_ptr_array_index(step->node->attachments, 0));
    g_autoptr(GArray) ops = pl_ops_new();
    PlOp plug = pl_op(PL_OP_MASTER, PL_SPACE_SWITCH, place->far_interface);

    if (!pl_plan_bridge(lab->topology, step->network, plug.master))
        g_assert_not_reached(); /* whoever is visited is no cable */
    pl_ops_depart(ops, lab->topology, step);
    g_array_append_val(ops, plug);
    pl_ops_arrive(ops, lab->topology, step);
    return pl_spaces_do_all(lab->spaces, ops, error) &&
           (is_down(lab->topology, place->attachment, step) ||
            await_plugged(lab, place, &step->address, error));
}

static gboolean run_command(PlLab *lab, const PlStep *step, GError **error)
{
    PlMachine *machine = pl_lab_machine(lab, step->node, error);

    return machine && pl_machine_run(machine, step->argv, RUN_LIMIT_NS, error);
}

static gboolean do_step(PlLab *lab, const PlStep *step, GError **error)
{
    switch (step->kind) {
    case PL_STEP_NAT_FLUSH:
        return pl_lab_reset_nat(lab, step->node, error);
    case PL_STEP_NAT_REBOOT:
        return reboot(lab, step->node, error);
    case PL_STEP_NAT_ADDRESS:
        return change_address(lab, step->node, &step->address, error);
    case PL_STEP_LINK_DOWN:
    case PL_STEP_LINK_UP:
        return set_link(lab, step->attachment, step->kind == PL_STEP_LINK_UP, error);
    case PL_STEP_HOST_RUN:
        return run_command(lab, step, error);
    case PL_STEP_HOST_SEND:
        return pl_send_step(step, pl_spaces_fd(lab->spaces, PL_SPACE_OF(step->node)), error);
    case PL_STEP_HOST_MOVE:
        return move_host(lab, step, error);
    case PL_STEP_HOST_KILL:
        pl_resident_kill(lab->nodes[step->node->index].resident);
        return TRUE;
    case PL_STEP_HOST_START:
        return pl_resident_start(lab->nodes[step->node->index].resident, error);
    case PL_STEP_CONNECT:
    case PL_STEP_DISCONNECT:
    case PL_STEP_TELL:
        return pl_resident_talk(lab->nodes[step->node->index].resident, step, error);
    }
    g_assert_not_reached();
}

gboolean pl_lab_step(PlLab *lab, const PlStep *step, GError **error)
{
    gboolean done;

    pl_clock_wait(lab->ready_ns + step->at_ns);
    done = do_step(lab, step, error);
    pl_spaces_rest(lab->spaces);
    return done;
}
