/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The engine: a plan is executed, and what then stands is probed, recorded and used. */
#include "capture/points.h"
#include "kernel/carrier.h"
#include "kernel/conntrack.h"
#include "kernel/kernel.h"
#include "kernel/lab.h"
#include "kernel/rules.h"
#include "machine/claims.h"
#include "machine/clock.h"
#include "machine/pinhole.h"

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
        if (lab->nodes[i].machine)
            pl_machine_free(lab->nodes[i].machine);
        if (lab->nodes[i].external)
            g_array_unref(lab->nodes[i].external);
        g_strfreev(lab->nodes[i].command);
    }
    g_free(lab->nodes);
    pl_spaces_free(lab->spaces);
    pl_plan_free(lab->plan);
    g_free(lab);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PlLab, down)

/* With a handle of its own each time: it has a netlink socket (see pl_spaces_rest). */
static gboolean load_rules(PlLab *lab, unsigned space, const char *text, GError **error)
{
    g_autoptr(PlNft) nft = NULL;

    if (!pl_spaces_enter(lab->spaces, space, error))
        return FALSE;
    nft = pl_nft_new(error);
    return nft && pl_nft_load(nft, lab->nodes[space - 1].node, text, error);
}

/* Both ends of every cable; a cable without a switch is seen from either side. */
static gboolean await_links(PlLab *lab, GError **error)
{
    g_autoptr(PlCarrier) carrier = pl_carrier_new(lab->spaces);

    for (unsigned i = 0; i < lab->plan->places->len; i++) {
        const PlPlace *place = &g_array_index(lab->plan->places, PlPlace, i);

        if (!pl_carrier_await(carrier, place->space, place->interface, error) ||
            (place->far_space == PL_SPACE_SWITCH &&
             !pl_carrier_await(carrier, place->far_space, place->far_interface, error)))
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

static PlLab *up(const PlTopology *topology, uint64_t seed, GError **error)
{
    g_autoptr(PlLab) lab = g_new0(PlLab, 1);

    lab->topology = topology;
    lab->seed = seed;
    lab->nodes = g_new0(PlLabNode, topology->nodes->len);
    for (unsigned i = 0; i < topology->nodes->len; i++) {
        const PlNode *node = g_ptr_array_index(topology->nodes, i);

        lab->nodes[i].node = node;
        lab->nodes[i].program = node->program;
        if (node->kind == PL_NODE_NAT)
            lab->nodes[i].external = g_array_copy(pl_nat_outside(node)->addresses);
    }
    lab->plan = pl_plan_new(topology, seed, error);
    if (!lab->plan)
        return NULL;
    lab->spaces = pl_spaces_new(topology, PL_SPACES_OF(topology) + PL_LAB_PRESENCES, error);
    if (!lab->spaces || !build(lab, error))
        return NULL;
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

static int tap(PlLab *lab, const GPtrArray *attachments, int fd, int connection, GError **error)
{
    g_autofree PlRecorderPoint *points = recorder_points(lab, attachments);
    g_autofree char *comment = recording_comment(lab);

    return pl_recorder_serve(points, attachments->len, fd, comment, connection, error);
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

static int netns(PlLab *lab, const PlNode *node)
{
    return pl_spaces_fd(lab->spaces, PL_SPACE_OF(node));
}

/* The hosts that `self` reaches by address. Who lives behind another NAT may have the very address
 * that somebody has at home: `self`, for one. */
static char *hosts_text(const PlTopology *topology, const PlNode *self)
{
    GString *text = g_string_new("127.0.0.1 localhost\n");
    g_autofree gboolean *reach = pl_topology_reach(topology, self);

    for (unsigned i = 0; i < topology->nodes->len; i++) {
        const PlNode *node = g_ptr_array_index(topology->nodes, i);

        for (unsigned k = 0; node->kind == PL_NODE_HOST && k < node->attachments->len; k++) {
            const PlAttachment *attachment = g_ptr_array_index(node->attachments, k);

            for (unsigned a = 0;
                 reach[attachment->network->index] && a < attachment->addresses->len; a++) {
                char address[PH_ADDRESS_TEXT_MAX];

                g_string_append_printf(
                    text, "%s %s\n",
                    ph_address_format(&g_array_index(attachment->addresses, PhAddress, a), address),
                    node->name);
            }
        }
    }
    return g_string_free(text, FALSE);
}

PlMachine *pl_lab_machine(PlLab *lab, const PlNode *host, GError **error)
{
    PlLabNode *kept = &lab->nodes[host->index];

    if (!kept->machine) {
        g_autofree char *hosts = hosts_text(lab->topology, host);
        g_autofree char *path = g_canonicalize_filename(lab->topology->path, NULL);
        g_autofree char *directory = g_path_get_dirname(path);
        g_auto(GStrv) shown = pl_pinhole_files();

        kept->machine = pl_machine_new(host->name, pl_spaces_fd(lab->spaces, PL_SPACE_OF(host)),
                                       hosts, directory, shown, error);
    }
    return kept->machine;
}

/* A bare word becomes a command. */
static gboolean find_command(PlLabNode *kept, GError **error)
{
    if (kept->program.word == PL_WORD_NONE || kept->command)
        return TRUE;
    kept->command = pl_pinhole_command(&kept->program, error);
    if (!kept->command) {
        g_prefix_error(error, "host %s: ", kept->node->name);
        return FALSE;
    }
    kept->program.argv = kept->command;
    return TRUE;
}

static gboolean start(PlLab *lab, const PlNode *host, GError **error)
{
    PlLabNode *kept = &lab->nodes[host->index];
    PlMachine *machine = find_command(kept, error) ? pl_lab_machine(lab, host, error) : NULL;

    if (!machine || !pl_machine_start(machine, &kept->program, error))
        return FALSE;
    lab->ready_ns = pl_lab_now(lab);
    return TRUE;
}

static gboolean await(PlLab *lab, const PlNode *host, const char *text, GError **error)
{
    PlMachine *machine = pl_lab_machine(lab, host, error);

    return machine && pl_machine_await(machine, &lab->nodes[host->index].program, text, error);
}

static gboolean result(PlLab *lab, const PlNode *host, PlProgramResult *ret_result, GError **error)
{
    PlMachine *machine = pl_lab_machine(lab, host, error);

    return machine &&
           pl_machine_result(machine, &lab->nodes[host->index].program, ret_result, error);
}

static gboolean claims(PlLab *lab, const PlNode *host, PlFindings *ret_claims, GError **error)
{
    PlProgramResult ended = {0};
    gboolean done;

    if (!result(lab, host, &ended, error))
        return FALSE;
    done = pl_claims_read(ended.output, ret_claims, error);
    pl_program_result_clear(&ended);
    if (!done)
        g_prefix_error(error, "host %s: ", host->name);
    return done;
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
    .probe = pl_lab_probe,
    .probed = pl_lab_probed,
    .reset = reset,
    .record = record,
    .record_stop = record_stop,
    .start = start,
    .await = await,
    .result = result,
    .claims = claims,
    .step = pl_lab_step,
    .machine = pl_lab_machine,
    .connections = connections,
    .external = external,
    .tap = tap,
};
