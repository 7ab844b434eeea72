/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Nodes and a hub in the model's world, as the programs of a topology, in virtual time; 20 ms from
 * each node to the hub and to the others. What a node says is kept with its time, and its core can
 * be used as an application would.
 */
#pragma once

#include <glib.h>
#include <json-glib/json-glib.h>
#include <string.h>

#include "model/world.h"
#include "topology/identity.h"
#include "virtual/agent.h"
#include "virtual/lab.h"

#define MS G_GUINT64_CONSTANT(1000000)
#define S  (1000 * MS)

/* A line that a node printed. */
typedef struct Said {
    char *event, *peer, *what, *reason,
        *address; /* what: path, health, class, data, outcome; "": none */
    double time;  /* ms since its program began */
} Said;

typedef struct World {
    PlTopology *topology;
    PlLab *lab;
    gboolean hole;     /* no packet of one node's reaches another one */
    gboolean apart;    /* nor one between alice and bob, who are behind NATs */
    const char *mute;  /* nor one of this host's */
    PhAddress watched; /* packets to this host are counted */
    guint n_watched;
} World;

/* Of an event: its name in fewer words, and which member is its `what`. */
static const char *const lines_of[][3] = {
    {"peer-path", "path", "path"}, {"health", "health", "health"}, {"classified", "class", "class"},
    {"peer-gone", "gone", NULL},   {"data", "data", "text"},       {"data", "data", "data"},
    {"punch", "punch", "outcome"},
};

static inline void said_clear(gpointer data)
{
    Said *said = data;

    g_free(said->event);
    g_free(said->peer);
    g_free(said->what);
    g_free(said->reason);
    g_free(said->address);
}

static inline const PlNode *world_nat(World *world, const char *host)
{
    g_autofree char *name = g_strdup_printf("nat-%s", host);

    return pl_topology_node(world->topology, name);
}

static inline gboolean world_is_behind(World *world, const char *host, const PhAddress *outside)
{
    const PlAttachment *nat = pl_nat_outside(world_nat(world, host));

    return ph_address_equal_host(&g_array_index(nat->addresses, PhAddress, 0), outside);
}

static inline gboolean world_loses(gpointer data, const PlNode *host, const guint8 *bytes,
                                   gsize length)
{
    World *world = data;
    PhAddress to, hub = ph_address_ipv4(0xcb00710a, 0), second = ph_address_ipv4(0xcb00710b, 0);

    g_assert_cmpuint(length, >=, 20);
    to = ph_address_ipv4((guint32)bytes[16] << 24 | (guint32)bytes[17] << 16 |
                             (guint32)bytes[18] << 8 | bytes[19],
                         0);
    world->n_watched += ph_address_equal_host(&to, &world->watched);
    if (world->apart && host &&
        ((strcmp(host->name, "alice") == 0 && world_is_behind(world, "bob", &to)) ||
         (strcmp(host->name, "bob") == 0 && world_is_behind(world, "alice", &to))))
        return TRUE;
    return host && (world->hole || g_strcmp0(host->name, world->mute) == 0) &&
           strcmp(host->name, "hub") != 0 && !ph_address_equal_host(&to, &hub) &&
           !ph_address_equal_host(&to, &second);
}

/* What such a file has; the hub's program runs, and no other one yet. */
static inline void world_parse(World *world, const char *text)
{
    g_autoptr(GError) error = NULL;

    world->topology = pl_topology_parse("t.ini", text, strlen(text), &error);
    g_assert_no_error(error);
    world->lab = pl_virtual_new(world->topology, 1);
    world->lab->loses = world_loses;
    world->lab->loses_data = world;
    g_assert_true(pl_virtual_start(world->lab, pl_topology_node(world->topology, "hub"), &error));
    g_assert_no_error(error);
}

/* Hosts alice, bob and so on, each behind a NAT of its own ("nat-alice") with that behaviour; one
 * of "open" is on the internet. Their programs do not run yet, the hub's does. */
static inline void world_init(World *world, const char *const *hosts, const char *rest)
{
    g_autoptr(GString) text = g_string_new("[topology]\ntitle = t\n"
                                           "[network internet]\nsubnet = 203.0.113.0/24\n"
                                           "[host hub]\non = internet\nrun = hub\n"
                                           "addresses = 203.0.113.10, 203.0.113.11\n"
                                           "[link hub]\ndelay = 10ms\n");

    for (unsigned i = 0; hosts[i]; i += 3) {
        const char *name = hosts[i], *behaviour = hosts[i + 1], *run = hosts[i + 2];

        if (strcmp(behaviour, "open") == 0)
            g_string_append_printf(text, "[host %s]\non = internet\nrun = %s\n", name, run);
        else
            g_string_append_printf(text,
                                   "[nat nat-%s]\noutside = internet\ninside = %s.%u.0/24\n"
                                   "%s\n[host %s]\nbehind = nat-%s\nrun = %s\n",
                                   name, strstr(behaviour, "firewall") ? "198.51" : "192.168",
                                   i + 1, behaviour, name, name, run);
        g_string_append_printf(text, "[link %s]\ndelay = 10ms\n", name);
    }
    g_string_append(text, rest);
    world_parse(world, text->str);
}

static inline void world_clear(World *world)
{
    pl_virtual_free(world->lab);
    pl_topology_free(world->topology);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(World, world_clear)

static inline PlSeat *world_seat(World *world, const char *host)
{
    PlSeat *seat = world->lab->nodes[pl_topology_node(world->topology, host)->index].program;

    g_assert_nonnull(seat);
    return seat;
}

static inline PhNode *world_node(World *world, const char *host)
{
    return pl_node_agent_core(pl_seat_agent(world_seat(world, host)));
}

static inline const PhStationCounters *world_station(World *world)
{
    return ph_station_counters(pl_hub_agent_station(pl_seat_agent(world_seat(world, "hub"))));
}

static inline void world_pass(World *world, guint64 ns)
{
    const gboolean never = FALSE;
    g_autoptr(GError) error = NULL;

    pl_virtual_run(world->lab, world->lab->now + ns, &never, &error);
    g_assert_no_error(error);
}

/* Does not wait: time passes with world_pass alone. */
static inline void world_start(World *world, const char *host)
{
    PlNode *node = pl_topology_node(world->topology, host);
    g_autoptr(GError) error = NULL;

    node->program.ready = PL_READY_STARTED;
    pl_virtual_start(world->lab, node, &error);
    g_assert_no_error(error);
}

static inline void world_kill(World *world, const char *host)
{
    pl_virtual_kill(world->lab, pl_topology_node(world->topology, host));
}

/* Kills it, and starts it again with the same key. */
static inline void world_restart(World *world, const char *host)
{
    PlLabHost *place = &world->lab->nodes[pl_topology_node(world->topology, host)->index];

    world_kill(world, host);
    place->program = pl_seat_free(place->program);
    world_start(world, host);
}

static inline const char *member(JsonObject *object, const char *name)
{
    return json_object_get_string_member_with_default(object, name, "");
}

/* All that a node has said, in order: an array of Said. */
static inline GArray *world_said(World *world, const char *host)
{
    /* Lines, in fewer words, and what each is about. */
    GArray *all = g_array_new(FALSE, TRUE, sizeof(Said));
    g_auto(GStrv) lines = NULL;
    PlProgramResult result;
    g_autoptr(GError) error = NULL;

    g_array_set_clear_func(all, said_clear);
    pl_virtual_result(world->lab, pl_topology_node(world->topology, host), &result, &error);
    g_assert_no_error(error);
    lines = g_strsplit(result.output, "\n", -1);
    for (unsigned i = 0; lines[i] && *lines[i]; i++) {
        g_autoptr(JsonNode) root = json_from_string(lines[i], &error);
        JsonObject *object;
        Said said = {0};

        g_assert_no_error(error);
        g_test_message("%s: %s", host, lines[i]);
        object = json_node_get_object(root);
        said.event = g_strdup(member(object, "event"));
        said.peer = g_strdup(member(object, "peer"));
        said.reason = g_strdup(member(object, "reason"));
        /* N29: every reason has a name and a sentence. */
        if (*said.reason && (!ph_node_sentence(said.reason) || !*member(object, "sentence")))
            g_error("%s gives a reason without a sentence: %s", host, lines[i]);
        said.address = g_strdup(member(object, "address"));
        said.time = (double)json_object_get_int_member(object, "time_us") / 1e3;
        for (unsigned k = 0; k < G_N_ELEMENTS(lines_of); k++) {
            if (strcmp(member(object, "event"), lines_of[k][0]) != 0)
                continue;
            g_free(said.event);
            said.event = g_strdup(lines_of[k][1]);
            if (lines_of[k][2] && json_object_has_member(object, lines_of[k][2]))
                said.what = g_strdup(member(object, lines_of[k][2]));
        }
        if (!said.what)
            said.what = g_strdup("");
        g_array_append_val(all, said);
    }
    g_free(result.output);
    return all;
}

/* The time, in ms, of the first such line from `from_ms` on; -1: there is none. */
static inline double world_when(World *world, const char *host, double from_ms, const char *event,
                                const char *what)
{
    g_autoptr(GArray) all = world_said(world, host);

    for (guint i = 0; i < all->len; i++) {
        const Said *said = &g_array_index(all, Said, i);

        if (said->time >= from_ms && strcmp(said->event, event) == 0 &&
            (!what || strcmp(said->what, what) == 0 || strcmp(said->reason, what) == 0))
            return said->time;
    }
    return -1;
}

static inline guint world_count(World *world, const char *host, const char *event, const char *what)
{
    g_autoptr(GArray) all = world_said(world, host);
    guint n = 0;

    for (unsigned k = 0; k < G_N_ELEMENTS(lines_of); k++)
        g_assert_true(strcmp(event, lines_of[k][0]) != 0 || strcmp(event, lines_of[k][1]) == 0);

    for (guint i = 0; i < all->len; i++) {
        const Said *said = &g_array_index(all, Said, i);

        n += strcmp(said->event, event) == 0 && (!what || strcmp(said->what, what) == 0);
    }
    return n;
}

/* Its only peer; there must be one. */
static inline PhNodePeer world_peer(World *world, const char *host)
{
    PhNodePeer peer;

    g_assert_true(ph_node_peer(world_node(world, host), 0, &peer));
    return peer;
}

static inline void assert_path(World *world, const char *host, PhPathKind path)
{
    PhNodePeer peer = world_peer(world, host);

    g_assert_cmpstr(ph_path_kind_name(peer.path), ==, ph_path_kind_name(path));
}

/* One of several, by its name. */
static inline gboolean world_find_peer(World *world, const char *host, const char *name,
                                       PhNodePeer *ret_peer)
{
    for (guint i = 0; ph_node_peer(world_node(world, host), i, ret_peer); i++)
        if (strcmp(ret_peer->name, name) == 0)
            return TRUE;
    return FALSE;
}

static inline void assert_path_to(World *world, const char *host, const char *name, PhPathKind path)
{
    PhNodePeer peer;

    g_assert_true(world_find_peer(world, host, name, &peer));
    g_assert_cmpstr(ph_path_kind_name(peer.path), ==, ph_path_kind_name(path));
}

/* The host whose key that is; NULL: nobody's. */
static inline const char *world_key_host(World *world, const guint8 *key)
{
    for (guint i = 0; i < world->topology->nodes->len; i++) {
        const PlNode *host = g_ptr_array_index(world->topology->nodes, i);
        PhKey own;

        pl_host_key(host, world->lab->seed, &own);
        if (memcmp(own.public_half, key, sizeof(own.public_half)) == 0)
            return host->name;
    }
    return NULL;
}

/* It is relayed, and by whom. */
static inline void assert_relayed(World *world, const char *host, const char *name,
                                  const char *relay)
{
    PhNodePeer peer;

    assert_path_to(world, host, name, PH_PATH_RELAYED);
    g_assert_true(world_find_peer(world, host, name, &peer));
    g_assert_cmpstr(world_key_host(world, peer.via), ==, relay);
}

/* By its name, or by its host's key. */
static inline guint32 world_connect(World *world, const char *host, const char *name,
                                    const char *of_key)
{
    guint32 peer = ph_node_connect(world_node(world, host), name,
                                   of_key ? ph_node_public_key(world_node(world, of_key)) : NULL,
                                   world->lab->now);

    g_assert_cmpuint(peer, !=, 0);
    pl_seat_pump(world_seat(world, host));
    return peer;
}

static inline const PhNodeCounters *world_counters(World *world, const char *host)
{
    return ph_node_counters(world_node(world, host));
}

static inline void world_send(World *world, const char *host, const char *text)
{
    PhNodePeer peer = world_peer(world, host);

    g_assert_true(ph_node_send(world_node(world, host), peer.peer, (const uint8_t *)text,
                               strlen(text), world->lab->now));
    pl_seat_pump(world_seat(world, host));
}

static inline void world_send_to(World *world, const char *host, const char *name, const char *text)
{
    PhNodePeer peer;

    g_assert_true(world_find_peer(world, host, name, &peer));
    g_assert_true(ph_node_send(world_node(world, host), peer.peer, (const uint8_t *)text,
                               strlen(text), world->lab->now));
    pl_seat_pump(world_seat(world, host));
}

/* To one of several: numbers, as below. */
static inline void world_stream_to(World *world, const char *host, const char *name, guint first,
                                   guint n, guint64 step_ns)
{
    for (guint i = first; i < first + n; i++) {
        g_autofree char *text = g_strdup_printf("%u", i);

        world_send_to(world, host, name, text);
        world_pass(world, step_ns);
    }
}

/* One sends numbered messages to the other, from `first` on, for so many steps. */
static inline void world_stream(World *world, const char *host, guint first, guint n,
                                guint64 step_ns)
{
    for (guint i = first; i < first + n; i++) {
        g_autofree char *text = g_strdup_printf("%u", i);

        world_send(world, host, text);
        world_pass(world, step_ns);
    }
}

/* How often each number came to somebody: a byte each, n of them. */
static inline guint8 *world_numbers(World *world, const char *host, guint n)
{
    g_autoptr(GArray) all = world_said(world, host);
    guint8 *times = g_new0(guint8, n);

    for (guint i = 0; i < all->len; i++) {
        const Said *said = &g_array_index(all, Said, i);

        if (strcmp(said->event, "data") == 0 && g_ascii_isdigit(*said->what) &&
            g_ascii_strtoull(said->what, NULL, 10) < n)
            times[g_ascii_strtoull(said->what, NULL, 10)]++;
    }
    return times;
}

static inline void assert_all_once(World *world, const char *host, guint n)
{
    g_autofree guint8 *times = world_numbers(world, host, n);

    for (guint i = 0; i < n; i++)
        if (times[i] != 1)
            g_error("%s: message %u came %u times", host, i, times[i]);
}

/* bob and alice are registered, each behind such a NAT, and nobody looks for anybody yet. */
static inline void world_register(World *world, const char *nat)
{
    const char *const hosts[] = {"bob", nat, "node", "alice", nat, "node", NULL};

    world_init(world, hosts, "");
    world_start(world, "bob");
    world_start(world, "alice");
    world_pass(world, 5 * S);
}

/* bob waits, and alice connects to him 10 s later; 5 s later they have what they will have. */
static inline void world_meet(World *world, const char *alice, const char *bob)
{
    const char *const hosts[] = {"bob", bob, "node", "alice", alice, "node --connect bob", NULL};

    world_init(world, hosts, "");
    world_start(world, "bob");
    world_pass(world, 10 * S);
    world_start(world, "alice");
    world_pass(world, 5 * S);
}
