/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The engine: labs that are hosts before a world, and what happens to them. */
#include <pinhole/node.h>
#include <string.h>

#include "topology/identity.h"
#include "virtual/agent.h"
#include "virtual/lab.h"
#include "virtual/virtual.h"

static PlLab *up(const PlTopology *topology, uint64_t seed, GError **error)
{
    (void)error;
    return pl_virtual_new(topology, seed);
}

static void down(PlLab *lab)
{
    pl_virtual_free(lab);
}

static uint64_t now(PlLab *lab)
{
    return lab->now;
}

static gboolean probed(PlLab *lab, GError **error)
{
    (void)error;
    pl_virtual_leave(lab);
    return TRUE;
}

static gboolean reset(PlLab *lab, GError **error)
{
    (void)error;
    pl_world_reset(lab->world, lab->now);
    return TRUE;
}

/* Hosts have names, keys have not. */
static const char *name_of(const PlLab *lab, const uint8_t key[static PH_KEY_BYTES])
{
    for (unsigned i = 0; i < lab->topology->nodes->len; i++) {
        const PlNode *host = g_ptr_array_index(lab->topology->nodes, i);

        if ((host->program.word == PL_WORD_HUB || host->program.word == PL_WORD_NODE) &&
            memcmp(lab->nodes[i].key, key, PH_KEY_BYTES) == 0)
            return host->name;
    }
    return NULL;
}

static char *path_word(const PlLab *lab, const PhNodePeer *peer, const char *gone)
{
    const char *detail = peer->path == PH_PATH_RELAYED ? name_of(lab, peer->via)
                         : peer->path == PH_PATH_NONE  ? peer->reason ? peer->reason : gone
                                                       : NULL;

    return pl_path_word(ph_path_kind_name(peer->path), detail);
}

/* Also of one that was killed: what it knew last. NULL: none was started. */
static gpointer agent_of(const PlLab *lab, const PlNode *host)
{
    PlSeat *seat = lab->nodes[host->index].program;

    return seat ? pl_seat_agent(seat) : NULL;
}

static char *path(PlLab *lab, const PlNode *host, const char *name, gboolean *ret_final)
{
    gpointer agent = agent_of(lab, host);
    const char *gone = agent ? pl_node_agent_gone(agent, name) : NULL;
    PhNodePeer peer;

    *ret_final = FALSE;
    for (uint32_t i = 0; agent && ph_node_peer(pl_node_agent_core(agent), i, &peer); i++) {
        /* Of one that it only looks for a node says nothing. */
        if (strcmp(peer.name, name) != 0 ||
            (peer.path == PH_PATH_NONE && !peer.reason && strcmp(peer.state, "talking") != 0))
            continue;
        *ret_final = pl_path_is_final(ph_path_kind_name(peer.path), peer.reason);
        return path_word(lab, &peer, gone);
    }
    if (!gone && agent && pl_node_agent_is_blocked(agent))
        gone = ph_class_name(PH_CLASS_UDP_BLOCKED);
    return gone ? pl_path_word(ph_path_kind_name(PH_PATH_NONE), gone) : NULL;
}

static gboolean start(PlLab *lab, const PlNode *host, GError **error)
{
    gboolean started = pl_virtual_start(lab, host, error);

    if (started)
        lab->ready_ns = lab->now;
    return started;
}

static PlStatus *status(PlLab *lab, const PlNode *host)
{
    gpointer agent = agent_of(lab, host);
    gboolean runs = agent && !pl_seat_has_ended(lab->nodes[host->index].program);
    const PhNode *core = runs ? pl_node_agent_core(agent) : NULL;
    PlStatus *status = core ? pl_status_new() : NULL;
    const char *name;
    PhNodePeer peer;
    uint64_t value;

    for (uint32_t i = 0; core && ph_node_peer(core, i, &peer); i++) {
        g_autofree char *word = path_word(lab, &peer, pl_node_agent_gone(agent, peer.name));

        pl_status_add_peer(status, &(PlPeerStatus){
                                       .peer = *peer.name ? peer.name : NULL,
                                       .class = ph_class_name(peer.nat_class),
                                       .path = word,
                                       .health = peer.health,
                                       .reason = peer.reason,
                                       .rtt_ns = peer.rtt_ns,
                                   });
    }
    for (uint32_t i = 0; core && (name = ph_node_counter(ph_node_counters(core), i, &value)); i++)
        pl_status_add_counter(status, name, value);
    return status;
}

static void record_node(PlLab *lab, const PlNode *host, int fd)
{
    lab->nodes[host->index].recorded = TRUE;
    lab->nodes[host->index].recording_fd = fd;
}

static gboolean let_pass(PlLab *lab, uint64_t for_ns, GError **error)
{
    const gboolean never = FALSE;

    return pl_virtual_run(lab, lab->now + for_ns, &never, error);
}

static gboolean send_text(PlLab *lab, const PlStep *step, GError **error)
{
    PlStack *stack = lab->nodes[step->node->index].stack;
    char to[PH_ADDRESS_TEXT_MAX];

    if (pl_stack_cast(stack, &step->from, &step->address, step->data->data, step->data->len,
                      /* ttl= */ 0, lab->now))
        return TRUE;
    g_set_error(error, PL_ERROR, PL_ERROR_FAILED, "host %s cannot send to %s: it has no route",
                step->node->name, ph_address_format(&step->address, to));
    return FALSE;
}

static gboolean talk(PlLab *lab, const PlStep *step, GError **error)
{
    g_autofree char *line = pl_step_line(step);

    return pl_virtual_say(lab, step->node, line, error);
}

static gboolean do_step(PlLab *lab, const PlStep *step, GError **error)
{
    const gboolean never = FALSE;

    switch (step->kind) {
    case PL_STEP_NAT_FLUSH:
        pl_world_nat_flush(lab->world, step->node, lab->now);
        break;
    case PL_STEP_NAT_REBOOT:
        pl_world_nat_reboot(lab->world, step->node, lab->now);
        /* What comes next comes when it runs again. */
        return pl_virtual_run(lab, lab->now + 1, &never, error);
    case PL_STEP_NAT_ADDRESS:
        pl_world_nat_address(lab->world, step->node, &step->address, lab->now);
        break;
    case PL_STEP_LINK_DOWN:
    case PL_STEP_LINK_UP:
        pl_world_link(lab->world, step->attachment, step->kind == PL_STEP_LINK_UP, lab->now);
        break;
    case PL_STEP_HOST_MOVE:
        pl_virtual_move(lab, step);
        break;
    case PL_STEP_HOST_KILL:
        pl_virtual_kill(lab, step->node);
        break;
    case PL_STEP_HOST_START:
        return pl_virtual_start(lab, step->node, error);
    case PL_STEP_CONNECT:
    case PL_STEP_DISCONNECT:
    case PL_STEP_TELL:
        return talk(lab, step, error);
    case PL_STEP_HOST_SEND:
        return send_text(lab, step, error);
    case PL_STEP_HOST_RUN: /* was refused */
        g_assert_not_reached();
    }
    return TRUE;
}

static gboolean step(PlLab *lab, const PlStep *what, GError **error)
{
    const gboolean never = FALSE;

    if (!pl_virtual_run(lab, lab->ready_ns + what->at_ns, &never, error))
        return FALSE;
    return do_step(lab, what, error);
}

static GArray *connections(PlLab *lab, const PlNode *nat, GError **error)
{
    g_autoptr(GArray) entries = pl_nat_entries(pl_world_nat(lab->world, nat), lab->now);
    GArray *all = g_array_sized_new(FALSE, TRUE, sizeof(PlConnection), entries->len);

    (void)error;
    for (guint i = 0; i < entries->len; i++) {
        const PlNatEntry *entry = &g_array_index(entries, PlNatEntry, i);
        PlConnection connection = {
            .protocol = entry->protocol,
            .inside = entry->inside,
            .external = entry->external,
            .remote = entry->remote,
            .from_outside = entry->from_outside,
            .replied = entry->replied,
            .assured = entry->replied,
            .expires_s = (uint32_t)((entry->expires_ns - lab->now) / 1000000000),
        };

        g_array_append_val(all, connection);
    }
    return all;
}

static const GArray *external(PlLab *lab, const PlNode *nat)
{
    return pl_world_external(lab->world, nat);
}

const PlEngine pl_virtual_engine = {
    .name = "virtual",
    .description = "protocol cores in one process, NATs and links by the model, virtual time",
    .refuse = pl_virtual_refuse,
    .up = up,
    .down = down,
    .now = now,
    .wall = now,
    .probe = pl_virtual_probe,
    .probed = probed,
    .reset = reset,
    .record = pl_virtual_record,
    .record_stop = pl_virtual_record_stop,
    .record_node = record_node,
    .digest_begin = pl_virtual_digest_begin,
    .digest = pl_virtual_digest,
    .start = start,
    .await = pl_virtual_await,
    .result = pl_virtual_result,
    .claims = pl_virtual_claims,
    .say = pl_virtual_say,
    .path = path,
    .status = status,
    .pass = let_pass,
    .step = step,
    .connections = connections,
    .external = external,
};
