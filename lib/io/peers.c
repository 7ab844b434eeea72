/* SPDX-License-Identifier: MIT */
/*
 * A node on real sockets.
 *
 *     hub --resolve--> node <--datagrams--> sockets
 *      ^                ^ |
 *      |network monitor-+ +--events--> callback
 *      +--- looked up again, when it is lost
 */
#include <pinhole/peers.h>

#include <sodium/utils.h>
#include <string.h>

#include "../core/scope.h"
#include "recording.h"
#include "resolve.h"
#include "sockets.h"
#include "system.h"

#define FIRST_SOCKET 1

struct PhPeers {
    PhNode *node;
    PhSockets *sockets;
    GSource *alarm;
    GNetworkMonitor *monitor;
    gulong monitor_handler;
    GMainContext *context;
    char *server;         /* the hub's name, and its port */
    GCancellable *lookup; /* of that name, once more; NULL: none is under way */
    PhAddress hub;
    PhAddress locals[PH_NODE_LOCALS];
    uint32_t n_locals;
    PhPeersEvent event;
    gpointer data;
    PhRecording *recording; /* NULL: none is made */
    void (*record_failed)(PhPeers *peers, const GError *error, gpointer data);
    gboolean *freed; /* set while a callback runs */
};

/* What ph_peers_open_async needs until it is done. */
typedef struct Opening {
    PhNodeConfig config;
    PhRecording *recording;
    void (*record_failed)(PhPeers *peers, const GError *error, gpointer data);
    char *server;
} Opening;

static void opening_free(gpointer data)
{
    Opening *opening = data;

    sodium_memzero(&opening->config, sizeof(opening->config));
    ph_recording_free(opening->recording);
    g_free(opening->server);
    g_free(opening);
}

/* ---- what the node wants ---- */

static void serve_socket(PhPeers *peers, const PhSocketRequest *request)
{
    const PhAddress any = {.family = (uint8_t)request->family};
    PhAddress bound;

    if (request->kind == PH_SOCKET_CLOSE)
        ph_sockets_close(peers->sockets, request->socket);
    else if (ph_sockets_open(peers->sockets, request->socket, &any, &bound, NULL))
        ph_node_socket_opened(peers->node, request->socket, &bound, ph_clock_now());
    else
        ph_node_socket_failed(peers->node, request->socket, ph_clock_now());
}

static void take_record(PhPeers *peers)
{
    g_autoptr(GError) error = NULL;

    if (!ph_recording_take(peers->recording, peers->node, &error) && peers->record_failed)
        peers->record_failed(peers, error, peers->data);
}

/* FALSE: there was nothing to send. */
static gboolean queue_transmits(PhPeers *peers)
{
    gboolean some = FALSE;
    PhTransmit transmit;

    for (; ph_node_poll_transmit(peers->node, &transmit); some = TRUE)
        ph_sockets_send(peers->sockets, &transmit);
    take_record(peers);
    return some;
}

/* A socket is closed when all has been sent by it. */
static void serve_agent(PhPeers *peers)
{
    PhSocketRequest request;

    do {
        while (ph_node_poll_socket(peers->node, &request))
            serve_socket(peers, &request);
    } while (queue_transmits(peers));
}

/* ---- a hub that is lost ---- */

static void serve_soon(PhPeers *peers);

/* The one behind the one that it was asked at: the next round is for that. */
static const PhAddress *next_hub(const PhPeers *peers, const PhAddress *found, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (ph_address_equal(&found[i], &peers->hub))
            return &found[(i + 1) % n];
    return &found[0];
}

static void take_hub_again(GObject *object G_GNUC_UNUSED, GAsyncResult *result, gpointer data)
{
    PhPeers *peers = data;
    PhAddress found[PH_RESOLVE_MOST];
    g_autoptr(GError) error = NULL;
    size_t n = ph_resolve_server_finish_all(result, found, &error);

    if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
        return; /* the peers are gone */
    g_clear_object(&peers->lookup);
    if (n == 0)
        return; /* it is asked where it was, and its name is looked up after that */
    peers->hub = *next_hub(peers, found, n);
    ph_node_hub_at(peers->node, &peers->hub, ph_clock_now());
    serve_soon(peers);
}

static void look_hub_up(PhPeers *peers)
{
    if (peers->lookup)
        return;
    peers->lookup = g_cancellable_new();
    g_main_context_push_thread_default(peers->context);
    ph_resolve_server_async(peers->server, PH_FAMILY_NONE, peers->lookup, take_hub_again, peers);
    g_main_context_pop_thread_default(peers->context);
}

/* FALSE: the callback has freed the peers. */
static gboolean tell(PhPeers *peers, const PhNodeEvent *event)
{
    gboolean freed = FALSE;

    if (event->kind == PH_NODE_HUB_LOST)
        look_hub_up(peers);
    peers->freed = &freed;
    peers->event(peers, event, peers->data);
    if (freed)
        return FALSE;
    peers->freed = NULL;
    return TRUE;
}

/* Does what the node wants, in the order of path.h. `peers` may be gone afterwards. */
static void serve(PhPeers *peers)
{
    PhNodeEvent event;

    serve_agent(peers);
    while (ph_node_poll_event(peers->node, &event)) {
        if (!tell(peers, &event))
            return;
        serve_agent(peers);
    }
    ph_sockets_flush(peers->sockets);
    ph_alarm_set(peers->alarm, ph_node_next_timeout(peers->node));
}

/* At once, but never from within a call of the owner's. */
static void serve_soon(PhPeers *peers)
{
    ph_alarm_set(peers->alarm, ph_clock_now());
}

/* ---- what comes ---- */

static void take_datagram(gpointer data, const PhPath *path, const uint8_t *bytes, size_t length,
                          uint64_t now)
{
    PhPeers *peers = data;

    (void)ph_node_handle_datagram(peers->node, path, bytes, length, now);
    queue_transmits(peers);
}

static void take_unreachable(gpointer data, const PhPath *path, uint64_t now)
{
    PhPeers *peers = data;

    ph_node_unreachable(peers->node, path, now);
}

static void finish_batch(gpointer data)
{
    serve(data);
}

static const PhSocketsHandler handler = {
    .datagram = take_datagram,
    .unreachable = take_unreachable,
    .done = finish_batch,
};

static gboolean wake(gpointer data)
{
    PhPeers *peers = data;

    ph_node_handle_timeout(peers->node, ph_clock_now());
    serve(peers);
    return G_SOURCE_CONTINUE;
}

/* ---- the network under us ---- */

static uint32_t add_local(PhAddress *locals, uint32_t n, const PhAddress *address)
{
    for (uint32_t i = 0; i < n; i++)
        if (ph_address_equal_host(&locals[i], address))
            return n;
    if (n < PH_NODE_LOCALS)
        locals[n++] = *address;
    return n;
}

/* First the one that the hub is reached from: a host may have more of them than fit. Those of the
 * other family come last. */
static uint32_t list_locals(const PhAddress *hub, PhAddress ret_locals[static PH_NODE_LOCALS])
{
    const PhFamily families[] = {(PhFamily)hub->family,
                                 hub->family == PH_FAMILY_IPV4 ? PH_FAMILY_IPV6 : PH_FAMILY_IPV4};
    uint32_t n = ph_source_address(hub, &ret_locals[0]) ? 1 : 0;
    PhAddress all[PH_NODE_LOCALS];

    for (size_t f = 0; f < G_N_ELEMENTS(families); f++) {
        size_t n_all = ph_local_addresses(families[f], FALSE, all, PH_NODE_LOCALS, NULL);

        /* An IPv6 one of a link means nothing to others without the name of that. */
        for (size_t i = 0; i < n_all; i++)
            if (all[i].family == PH_FAMILY_IPV4 || !ph_address_is_link_local(&all[i]))
                n = add_local(ret_locals, n, &all[i]);
    }
    return n;
}

/* Much is told that changes nothing for us: what counts is the addresses. */
static void take_network(GNetworkMonitor *monitor G_GNUC_UNUSED, gboolean available G_GNUC_UNUSED,
                         gpointer data)
{
    PhPeers *peers = data;
    PhAddress locals[PH_NODE_LOCALS];
    uint32_t n = list_locals(&peers->hub, locals);

    gboolean same = ph_local_addresses_same(peers->locals, peers->n_locals, locals, n);

    peers->n_locals = n;
    memcpy(peers->locals, locals, n * sizeof(*locals));
    if (same)
        return;
    ph_node_network_changed(peers->node, locals, n, ph_clock_now());
    serve_soon(peers);
}

/* ---- from beginning to end ---- */

static gboolean refuse(GError **error, const char *why)
{
    g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, why);
    return FALSE;
}

static gboolean read_hub(const char *hub, PhNodeConfig *config, char **ret_server, GError **error)
{
    const char *at = hub ? strchr(hub, '@') : NULL;
    g_autofree char *key = at ? g_strndup(hub, (gsize)(at - hub)) : NULL;
    g_autofree char *host = NULL;
    uint16_t port;

    if (!key || !ph_key_parse_public(key, config->hub_key))
        return refuse(error, "expected a hub as KEY@HOST or KEY@HOST:PORT, with the key that it "
                             "says when it is ready");
    host = ph_resolve_parse(at + 1, &port, error);
    if (!host)
        return FALSE;
    *ret_server = g_strdup(at + 1);
    return TRUE;
}

static gboolean read_config(const PhPeersConfig *config, Opening *opening, GError **error)
{
    PhNodeConfig *node = &opening->config;
    PhKey key;

    if (!read_hub(config->hub, node, &opening->server, error))
        return FALSE;
    if (config->name && !ph_node_name_is_valid(config->name))
        return refuse(error, "expected a name of up to 63 letters, digits and any of -_.");
    g_strlcpy(node->name, config->name ? config->name : "", sizeof(node->name));
    if (config->key)
        key = *config->key;
    else
        ph_key_generate(&key);
    memcpy(node->secret, key.secret_half, sizeof(node->secret));
    ph_key_wipe(&key);
    ph_seed_fill(node->seed);
    node->wall_ns = ph_clock_wall_offset();
    node->first_socket = FIRST_SOCKET;
    node->refuse_strangers = config->refuse_strangers;
    node->fast_detector = config->fast_detector;
    node->no_hard_punching = config->no_hard_punching;
    node->relay_only = config->relay_only;
    node->relays = config->relays;
    node->no_mediation = config->no_mediation;
    if (!config->record)
        return TRUE;
    node->record = config->record_secrets ? PH_RECORD_SECRETS : PH_RECORD_DECISIONS;
    opening->record_failed = config->record_failed;
    opening->recording = ph_recording_open(config->record, error);
    return opening->recording != NULL;
}

static void take_hub(GObject *object G_GNUC_UNUSED, GAsyncResult *result, gpointer data)
{
    g_autoptr(GTask) task = data;
    Opening *opening = g_task_get_task_data(task);
    GError *error = NULL;

    if (ph_resolve_server_finish(result, &opening->config.hub, &error))
        g_task_return_boolean(task, TRUE);
    else
        g_task_return_error(task, error);
}

void ph_peers_open_async(const PhPeersConfig *config, GCancellable *cancellable,
                         GAsyncReadyCallback callback, gpointer data)
{
    g_autoptr(GTask) task = g_task_new(NULL, cancellable, callback, data);
    Opening *opening = g_new0(Opening, 1);
    GError *error = NULL;

    g_task_set_source_tag(task, ph_peers_open_async);
    g_task_set_task_data(task, opening, opening_free);
    if (read_config(config, opening, &error))
        ph_resolve_server_async(opening->server, PH_FAMILY_NONE, cancellable, take_hub,
                                g_steal_pointer(&task));
    else
        g_task_return_error(task, error);
}

PhPeers *ph_peers_open_finish(GAsyncResult *result, PhPeersEvent event, gpointer event_data,
                              GError **error)
{
    Opening *opening = g_task_get_task_data(G_TASK(result));
    GMainContext *context = g_task_get_context(G_TASK(result));
    PhNodeConfig *config = &opening->config;
    PhPeers *peers;

    if (!g_task_propagate_boolean(G_TASK(result), error))
        return NULL;
    peers = g_new0(PhPeers, 1);
    peers->context = context ? g_main_context_ref(context) : NULL;
    peers->server = g_strdup(opening->server);
    peers->hub = config->hub;
    peers->event = event;
    peers->data = event_data;
    peers->recording = g_steal_pointer(&opening->recording);
    peers->record_failed = opening->record_failed;
    peers->n_locals = list_locals(&peers->hub, peers->locals);
    config->n_locals = peers->n_locals;
    memcpy(config->locals, peers->locals, sizeof(config->locals));
    peers->node = ph_node_new(config, ph_clock_now());
    if (!peers->node) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "there is no memory for a node");
        return ph_peers_free(peers);
    }
    peers->sockets = ph_sockets_new(context, &handler, peers);
    peers->alarm = ph_alarm_new(context, wake, peers);
    peers->monitor = g_object_ref(g_network_monitor_get_default());
    peers->monitor_handler =
        g_signal_connect(peers->monitor, "network-changed", G_CALLBACK(take_network), peers);
    serve_soon(peers);
    return peers;
}

PhPeers *ph_peers_free(PhPeers *peers)
{
    if (!peers)
        return NULL;
    if (peers->freed)
        *peers->freed = TRUE;
    if (peers->node && peers->sockets) {
        ph_node_close(peers->node, ph_clock_now());
        queue_transmits(peers);
    }
    if (peers->lookup) {
        g_cancellable_cancel(peers->lookup);
        g_object_unref(peers->lookup);
    }
    if (peers->monitor) {
        g_signal_handler_disconnect(peers->monitor, peers->monitor_handler);
        g_object_unref(peers->monitor);
    }
    if (peers->alarm) {
        g_source_destroy(peers->alarm);
        g_source_unref(peers->alarm);
    }
    ph_sockets_free(peers->sockets);
    ph_node_free(peers->node);
    ph_recording_free(peers->recording);
    if (peers->context)
        g_main_context_unref(peers->context);
    g_free(peers->server);
    g_free(peers);
    return NULL;
}

/* ---- what the owner wants ---- */

uint32_t ph_peers_connect(PhPeers *peers, const char *who, GError **error)
{
    uint8_t key[PH_KEY_BYTES];
    gboolean by_key = ph_key_parse_public(who, key);
    uint32_t peer;

    if (!by_key && !ph_node_name_is_valid(who)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                    "expected a peer's name or its key, not \"%s\"", who);
        return 0;
    }
    peer = ph_node_connect(peers->node, by_key ? NULL : who, by_key ? key : NULL, ph_clock_now());
    if (peer == 0)
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED,
                    "\"%s\" is this node itself, or there is no room for more peers", who);
    serve_soon(peers);
    return peer;
}

void ph_peers_disconnect(PhPeers *peers, uint32_t peer)
{
    ph_node_disconnect(peers->node, peer, ph_clock_now());
    serve_soon(peers);
}

gboolean ph_peers_send(PhPeers *peers, uint32_t peer, const uint8_t *bytes, size_t length)
{
    gboolean sent = ph_node_send(peers->node, peer, bytes, length, ph_clock_now());

    queue_transmits(peers);
    serve_soon(peers);
    return sent;
}

const PhNode *ph_peers_node(const PhPeers *peers)
{
    return peers->node;
}
