/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The engine: hosts are wired to the switch, and what then stands is probed, recorded and used. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "capture/points.h"
#include "capture/recorder.h"
#include "fabric/fabric.h"
#include "fabric/lab.h"
#include "machine/clock.h"
#include "machine/drive.h"
#include "machine/send.h"

#define RUN_LIMIT_NS (60 * G_GUINT64_CONSTANT(1000000000))

static uint64_t now(PlLab *lab)
{
    (void)lab;
    return pl_now_ns();
}

static void down(PlLab *lab)
{
    if (!lab)
        return;
    for (unsigned i = 0; i < lab->topology->nodes->len; i++) {
        pl_resident_free(lab->residents[i]);
        g_clear_pointer(&lab->external[i], g_array_unref);
    }
    g_free(lab->residents);
    g_free(lab->external);
    pl_switch_free(lab->fabric_switch);
    pl_spaces_free(lab->spaces);
    g_free(lab);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PlLab, down)

static int netns(PlLab *lab, const PlNode *node)
{
    return pl_spaces_fd(lab->spaces, PL_SPACE_OF(node));
}

static gboolean build(PlLab *lab, GError **error)
{
    const PlTopology *topology = lab->topology;

    for (unsigned i = 0; i < topology->nodes->len; i++) {
        const PlNode *node = g_ptr_array_index(topology->nodes, i);

        if (node->kind == PL_NODE_NAT)
            lab->external[i] = g_array_copy(pl_nat_outside(node)->addresses);
        else if (!pl_fabric_wire_host(lab, node, error))
            return FALSE;
        lab->residents[i] = pl_resident_new(topology, node, lab->seed, netns(lab, node));
    }
    pl_spaces_rest(lab->spaces);
    return TRUE;
}

static PlLab *up(const PlTopology *topology, uint64_t seed, GError **error)
{
    g_autoptr(PlLab) lab = g_new0(PlLab, 1);

    lab->topology = topology;
    lab->seed = seed;
    lab->residents = g_new0(PlResident *, topology->nodes->len);
    lab->external = g_new0(GArray *, topology->nodes->len);
    lab->spaces = pl_spaces_new(topology, PL_FABRIC_SPACES(topology), error);
    lab->fabric_switch = lab->spaces ? pl_switch_start(topology, seed, error) : NULL;
    if (!lab->fabric_switch || !build(lab, error))
        return NULL;
    lab->ready_ns = pl_now_ns();
    return g_steal_pointer(&lab);
}

/* What was done, or its error; without the switch, that it is gone says more. */
static gboolean outcome(PlLab *lab, gboolean done, GError **error)
{
    g_autoptr(GError) gone = NULL;

    if (pl_switch_check(lab->fabric_switch, &gone))
        return done;
    g_clear_error(error);
    g_propagate_error(error, g_steal_pointer(&gone));
    return FALSE;
}

/* ---- probing ---- */

static gboolean stand(PlLab *lab, const PlVantage *vantage, PlDrivePlace *ret_place, GError **error)
{
    if (vantage->host) {
        *ret_place = (PlDrivePlace){netns(lab, vantage->host), NULL};
        return TRUE;
    }
    if (!pl_fabric_wire_presence(lab, vantage->network, error))
        return FALSE;
    *ret_place = (PlDrivePlace){
        pl_spaces_fd(lab->spaces, PL_FABRIC_SPACE_OF_PRESENCE(lab->topology, vantage->network)),
        PL_FABRIC_PRESENCE,
    };
    return TRUE;
}

static void settle(gpointer data)
{
    PlLab *lab = data;

    /* A switch that is gone is noticed at the end. */
    (void)pl_switch_settle(lab->fabric_switch, NULL);
}

static gboolean probe(PlLab *lab, const PlVantage *inside, const PlVantage *outside,
                      PlProber *prober, GError **error)
{
    PlDrivePlace from, to;
    gboolean stands = stand(lab, inside, &from, error) && stand(lab, outside, &to, error);

    pl_spaces_rest(lab->spaces);
    return stands && outcome(lab, pl_drive_prober(prober, &from, &to, settle, lab, error), error);
}

static gboolean reset(PlLab *lab, GError **error)
{
    return pl_switch_reset(lab->fabric_switch, error);
}

static char *recording_comment(const PlLab *lab)
{
    return g_strdup_printf("topology %s, engine fabric, seed %" G_GUINT64_FORMAT,
                           lab->topology->name, lab->seed);
}

static gboolean record(PlLab *lab, int fd, GError **error)
{
    g_autoptr(GPtrArray) attachments = pl_capture_points(lab->topology);
    g_autofree char *comment = recording_comment(lab);

    return pl_switch_record(lab->fabric_switch, attachments, fd, comment, error);
}

static gboolean record_stop(PlLab *lab, GError **error)
{
    return pl_switch_record_stop(lab->fabric_switch, error);
}

static void record_node(PlLab *lab, const PlNode *host, int fd)
{
    pl_resident_record(lab->residents[host->index], fd);
}

static int tap(PlLab *lab, const GPtrArray *attachments, int fd, int connection, GError **error)
{
    g_autoptr(PlFeed) feed = pl_switch_tap(lab->fabric_switch, attachments, error);
    g_autofree PlRecorderPoint *points = g_new0(PlRecorderPoint, attachments->len + 1);
    g_autofree char *comment = recording_comment(lab);

    for (unsigned i = 0; i < attachments->len; i++) {
        const PlAttachment *attachment = g_ptr_array_index(attachments, i);

        points[i] = (PlRecorderPoint){
            .name = attachment->label, .description = attachment->network->name, .netns_fd = -1};
    }
    return feed ? pl_recorder_serve(points, attachments->len, feed, fd, comment, connection, error)
                : -1;
}

/* ---- programs ---- */

static PlMachine *machine(PlLab *lab, const PlNode *node, GError **error)
{
    if (node->kind == PL_NODE_NAT) {
        g_set_error(error, PL_ERROR, PL_ERROR_UNSUPPORTED,
                    "engine fabric cannot run programs on nat %s: it is a model", node->name);
        return NULL;
    }
    return outcome(lab, TRUE, error) ? pl_resident_machine(lab->residents[node->index], error)
                                     : NULL;
}

static gboolean start(PlLab *lab, const PlNode *host, GError **error)
{
    gboolean started = outcome(lab, pl_resident_start(lab->residents[host->index], error), error);

    if (started)
        lab->ready_ns = pl_now_ns();
    return started;
}

static gboolean await(PlLab *lab, const PlNode *host, const char *text, GError **error)
{
    return outcome(lab, pl_resident_await(lab->residents[host->index], text, error), error);
}

static gboolean result(PlLab *lab, const PlNode *host, PlProgramResult *ret_result, GError **error)
{
    return pl_resident_result(lab->residents[host->index], ret_result, error);
}

static gboolean claims(PlLab *lab, const PlNode *host, PlFindings *ret_claims, GError **error)
{
    return pl_resident_claims(lab->residents[host->index], ret_claims, error);
}

static char *path(PlLab *lab, const PlNode *host, const char *peer, gboolean *ret_final)
{
    return pl_resident_path(lab->residents[host->index], peer, ret_final);
}

static gboolean say(PlLab *lab, const PlNode *host, const char *line, GError **error)
{
    return pl_resident_say(lab->residents[host->index], line, error);
}

static uint64_t wall(PlLab *lab)
{
    (void)lab;
    return pl_wall_ns();
}

static PlStatus *status(PlLab *lab, const PlNode *host)
{
    return pl_resident_status(lab->residents[host->index]);
}

static gboolean pass(PlLab *lab, uint64_t for_ns, GError **error)
{
    (void)lab;
    (void)error;
    pl_clock_wait(pl_now_ns() + for_ns);
    return TRUE;
}

/* ---- steps ---- */

/* What it sent before, the switch has; and has not what it sends from its new address, until it is
 * there. */
static gboolean move_host(PlLab *lab, const PlStep *step, GError **error)
{
    g_autoptr(GArray) before = pl_ops_new(), after = pl_ops_new();

    pl_ops_depart(before, lab->topology, step);
    pl_ops_arrive(after, lab->topology, step);
    return pl_spaces_do_all(lab->spaces, before, error) &&
           pl_switch_step(lab->fabric_switch, step, error) &&
           pl_spaces_do_all(lab->spaces, after, error);
}

static gboolean do_step(PlLab *lab, const PlStep *step, GError **error)
{
    PlMachine *own;

    switch (step->kind) {
    case PL_STEP_HOST_RUN:
        own = machine(lab, step->node, error);
        return own && pl_machine_run(own, step->argv, RUN_LIMIT_NS, error);
    case PL_STEP_HOST_KILL:
        pl_resident_kill(lab->residents[step->node->index]);
        return TRUE;
    case PL_STEP_HOST_START:
        return outcome(lab, pl_resident_start(lab->residents[step->node->index], error), error);
    case PL_STEP_CONNECT:
    case PL_STEP_DISCONNECT:
    case PL_STEP_TELL:
        return pl_resident_talk(lab->residents[step->node->index], step, error);
    case PL_STEP_HOST_SEND:
        /* Then the switch has it before anything that is sent later. */
        if (!pl_send_step(step, netns(lab, step->node), error))
            return FALSE;
        break;
    case PL_STEP_HOST_MOVE:
        return move_host(lab, step, error);
    case PL_STEP_NAT_ADDRESS:
        g_array_index(lab->external[step->node->index], PhAddress, 0) = step->address;
        break;
    case PL_STEP_NAT_FLUSH:
    case PL_STEP_NAT_REBOOT:
    case PL_STEP_LINK_DOWN:
    case PL_STEP_LINK_UP:
        break;
    }
    return pl_switch_step(lab->fabric_switch, step, error);
}

static gboolean step(PlLab *lab, const PlStep *step, GError **error)
{
    pl_clock_wait(lab->ready_ns + step->at_ns);
    return do_step(lab, step, error);
}

static GArray *connections(PlLab *lab, const PlNode *nat, GError **error)
{
    return pl_switch_connections(lab->fabric_switch, nat, error);
}

static const GArray *external(PlLab *lab, const PlNode *nat)
{
    return lab->external[nat->index];
}

const PlEngine pl_fabric_engine = {
    .name = "fabric",
    .description = "network namespaces, real processes, NATs and links by the model, real time",
    .sandboxed = TRUE,
    .refuse = pl_fabric_refuse,
    .up = up,
    .down = down,
    .netns = netns,
    .now = now,
    .wall = wall,
    .probe = probe,
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
    .step = step,
    .machine = machine,
    .connections = connections,
    .external = external,
    .tap = tap,
};
