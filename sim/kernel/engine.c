/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The engine: a plan is executed, and what then stands is probed, recorded and used. */
#include "capture/points.h"
#include "kernel/conntrack.h"
#include "kernel/kernel.h"
#include "kernel/lab.h"
#include "kernel/rules.h"
#include "machine/clock.h"
#include "wiring/carrier.h"

uint64_t pl_lab_now(PlLab *lab)
{
    (void)lab;
    return pl_now_ns();
}

static void down(PlLab *lab)
{
    if (!lab)
        return;
    pl_recorder_kill(lab->recorder);
    for (unsigned i = 0; i < lab->topology->nodes->len; i++) {
        pl_resident_free(lab->nodes[i].resident);
        pl_nft_free(lab->nodes[i].nft);
        if (lab->nodes[i].external)
            g_array_unref(lab->nodes[i].external);
    }
    g_free(lab->nodes);
    pl_spaces_free(lab->spaces);
    pl_plan_free(lab->plan);
    g_free(lab);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PlLab, down)

/* A NAT's handle stays as long as the lab does (see pl_spaces_flush_conntrack). */
static gboolean load_rules(PlLab *lab, unsigned space, const char *text, GError **error)
{
    PlLabNode *nat = &lab->nodes[space - 1];

    if (!pl_spaces_enter(lab->spaces, space, error))
        return FALSE;
    if (!nat->nft)
        nat->nft = pl_nft_new(error);
    return nat->nft && pl_nft_load(nat->nft, nat->node, text, error);
}

static gboolean await_addresses(PlCarrier *carrier, const PlPlace *place, GError **error)
{
    const GArray *addresses = place->attachment->addresses;

    for (unsigned i = 0; i < addresses->len; i++)
        if (!pl_carrier_await_address(carrier, place->space,
                                      &g_array_index(addresses, PhAddress, i), error))
            return FALSE;
    return TRUE;
}

/* Both ends of every cable; a cable without a switch is seen from either side. */
static gboolean await_links(PlLab *lab, GError **error)
{
    g_autoptr(PlCarrier) carrier = pl_carrier_new(lab->spaces);

    for (unsigned i = 0; i < lab->plan->places->len; i++) {
        const PlPlace *place = &g_array_index(lab->plan->places, PlPlace, i);

        if (!pl_carrier_await(carrier, place->space, place->interface, error) ||
            (place->far_space == PL_SPACE_SWITCH &&
             !pl_carrier_await(carrier, place->far_space, place->far_interface, error)) ||
            !await_addresses(carrier, place, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean build(PlLab *lab, GError **error)
{
    uint64_t before = pl_lab_now(lab), after;

    for (unsigned i = 0; i < lab->plan->ops->len; i++) {
        const PlOp *op = &g_array_index(lab->plan->ops, PlOp, i);

        if (!(op->kind == PL_OP_NFT ? load_rules(lab, op->space, op->text, error)
                                    : pl_spaces_do(lab->spaces, op, error)))
            return FALSE;
        after = pl_lab_now(lab);
        lab->spent_ns[op->kind] += after - before;
        before = after;
    }
    if (!await_links(lab, error))
        return FALSE;
    pl_spaces_rest(lab->spaces);
    lab->waited_ns = pl_lab_now(lab) - before;
    return TRUE;
}

static int netns(PlLab *lab, const PlNode *node)
{
    return pl_spaces_fd(lab->spaces, PL_SPACE_OF(node));
}

static PlLab *up(const PlTopology *topology, uint64_t seed, GError **error)
{
    g_autoptr(PlLab) lab = g_new0(PlLab, 1);

    lab->topology = topology;
    lab->seed = seed;
    lab->nodes = g_new0(PlLabNode, topology->nodes->len);
    for (unsigned i = 0; i < topology->nodes->len; i++) {
        const PlNode *node = g_ptr_array_index(topology->nodes, i);

        lab->nodes[i].node = node;
        if (node->kind == PL_NODE_NAT)
            lab->nodes[i].external = g_array_copy(pl_nat_outside(node)->addresses);
    }
    lab->plan = pl_plan_new(topology, seed, error);
    if (!lab->plan)
        return NULL;
    lab->spaces = pl_spaces_new(topology, PL_SPACES_OF(topology) + PL_LAB_PRESENCES, error);
    if (!lab->spaces || !build(lab, error))
        return NULL;
    for (unsigned i = 0; i < topology->nodes->len; i++)
        lab->nodes[i].resident =
            pl_resident_new(topology, lab->nodes[i].node, seed, netns(lab, lab->nodes[i].node));
    lab->ready_ns = pl_lab_now(lab);
    return g_steal_pointer(&lab);
}

/*
 * Everything stops meanwhile, before conntrack sees it: otherwise a packet of an old connection
 * would teach the new rules the old mapping.
 */
gboolean pl_lab_reset_nat(PlLab *lab, const PlNode *nat, GError **error)
{
    static const char stop[] = "table ip pinlab {\n  chain c_stop {\n"
                               "    type filter hook prerouting priority raw; policy drop;\n"
                               "  }\n}\n";
    g_autofree char *text =
        pl_rules_text(lab->topology, nat, lab->nodes[nat->index].external, lab->seed, error);
    unsigned space = PL_SPACE_OF(nat);
    gboolean done = text && load_rules(lab, space, stop, error) &&
                    pl_spaces_flush_conntrack(lab->spaces, space, error) &&
                    load_rules(lab, space, text, error);

    pl_spaces_rest(lab->spaces);
    return done;
}

static gboolean reset(PlLab *lab, GError **error)
{
    for (unsigned i = 0; i < lab->topology->nodes->len; i++) {
        const PlNode *node = lab->nodes[i].node;

        if (node->kind == PL_NODE_NAT && !pl_lab_reset_nat(lab, node, error))
            return FALSE;
    }
    return TRUE;
}

/* Where the attachments (borrowed) are to be recorded. */
static PlRecorderPoint *recorder_points(PlLab *lab, const GPtrArray *attachments)
{
    PlRecorderPoint *points = g_new0(PlRecorderPoint, attachments->len + 1);

    for (unsigned i = 0; i < attachments->len; i++) {
        const PlAttachment *attachment = g_ptr_array_index(attachments, i);
        const PlPlace *place = pl_plan_place(lab->plan, attachment);

        points[i] = (PlRecorderPoint){
            .netns_fd = pl_spaces_fd(lab->spaces, place->space),
            .interface = place->interface,
            .name = attachment->label,
            .description = attachment->network->name,
        };
    }
    return points;
}

static char *recording_comment(const PlLab *lab)
{
    return g_strdup_printf("topology %s, engine kernel, seed %" G_GUINT64_FORMAT,
                           lab->topology->name, lab->seed);
}

static gboolean record(PlLab *lab, int fd, GError **error)
{
    g_autoptr(GPtrArray) attachments = pl_capture_points(lab->topology);
    g_autofree PlRecorderPoint *points = recorder_points(lab, attachments);
    g_autofree char *comment = recording_comment(lab);

    lab->recorder = pl_recorder_start(points, attachments->len, fd, comment, error);
    return lab->recorder != NULL;
}

static void record_node(PlLab *lab, const PlNode *host, int fd)
{
    pl_resident_record(lab->nodes[host->index].resident, fd);
}

static int tap(PlLab *lab, const GPtrArray *attachments, int fd, int connection, GError **error)
{
    g_autofree PlRecorderPoint *points = recorder_points(lab, attachments);
    g_autofree char *comment = recording_comment(lab);

    return pl_recorder_serve(points, attachments->len, NULL, fd, comment, connection, error);
}

static GArray *connections(PlLab *lab, const PlNode *nat, GError **error)
{
    return pl_conntrack_list(lab->spaces, lab->topology, nat, lab->nodes[nat->index].external,
                             error);
}

static const GArray *external(PlLab *lab, const PlNode *nat)
{
    return lab->nodes[nat->index].external;
}

static gboolean record_stop(PlLab *lab, GError **error)
{
    return pl_recorder_stop(g_steal_pointer(&lab->recorder), error);
}

PlMachine *pl_lab_machine(PlLab *lab, const PlNode *node, GError **error)
{
    return pl_resident_machine(lab->nodes[node->index].resident, error);
}

static gboolean start(PlLab *lab, const PlNode *host, GError **error)
{
    gboolean started = pl_resident_start(lab->nodes[host->index].resident, error);

    if (started)
        lab->ready_ns = pl_lab_now(lab);
    return started;
}

static gboolean await(PlLab *lab, const PlNode *host, const char *text, GError **error)
{
    return pl_resident_await(lab->nodes[host->index].resident, text, error);
}

static gboolean result(PlLab *lab, const PlNode *host, PlProgramResult *ret_result, GError **error)
{
    return pl_resident_result(lab->nodes[host->index].resident, ret_result, error);
}

static gboolean claims(PlLab *lab, const PlNode *host, PlFindings *ret_claims, GError **error)
{
    return pl_resident_claims(lab->nodes[host->index].resident, ret_claims, error);
}

static char *path(PlLab *lab, const PlNode *host, const char *peer, gboolean *ret_final)
{
    return pl_resident_path(lab->nodes[host->index].resident, peer, ret_final);
}

static gboolean say(PlLab *lab, const PlNode *host, const char *line, GError **error)
{
    return pl_resident_say(lab->nodes[host->index].resident, line, error);
}

static uint64_t wall(PlLab *lab)
{
    (void)lab;
    return pl_wall_ns();
}

static PlStatus *status(PlLab *lab, const PlNode *host)
{
    return pl_resident_status(lab->nodes[host->index].resident);
}

static gboolean pass(PlLab *lab, uint64_t for_ns, GError **error)
{
    (void)error;
    pl_clock_wait(pl_lab_now(lab) + for_ns);
    return TRUE;
}

const PlEngine pl_kernel_engine = {
    .name = "kernel",
    .description = "network namespaces, real processes, NATs by nftables, real time",
    .sandboxed = TRUE,
    .refuse = pl_kernel_refuse,
    .up = up,
    .down = down,
    .netns = netns,
    .now = pl_lab_now,
    .wall = wall,
    .probe = pl_lab_probe,
    .probed = pl_lab_probed,
    .reset = reset,
    .record = record,
    .record_stop = record_stop,
    .record_node = record_node,
    .start = start,
    .await = await,
    .result = result,
    .claims = claims,
    .say = say,
    .path = path,
    .status = status,
    .pass = pass,
    .step = pl_lab_step,
    .machine = pl_lab_machine,
    .connections = connections,
    .external = external,
    .tap = tap,
};
