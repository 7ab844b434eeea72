/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `run = node`: libpinhole's node, which registers with the topology's hub, and with --connect
 * looks for a peer and greets it; when the peer is gone it is looked for again. What happens to it
 * is a line of JSON each, and so is what it is told, as with `pinhole node`.
 */
#include <json-glib/json-glib.h>
#include <pinhole/node.h>
#include <string.h>

#include "topology/identity.h"
#include "topology/units.h"
#include "virtual/agent.h"

#define FIRST_SOCKET 1
#define SECOND_NS    G_GUINT64_CONSTANT(1000000000)
#define RETRY_NS     (2 * SECOND_NS) /* tools/pinhole/node.c */
#define TEXT_MARK    'T'             /* tools/pinhole/member.h */

typedef struct Node {
    PhNode *core;
    const PlProgram *program;
    uint64_t start_ns, now, retry_ns; /* retry_ns: when the peer is looked for again */
    uint32_t peer;                    /* the one that we connect to */
    gboolean asked;                   /* for its status */
    gboolean blocked;                 /* its own class */
    GHashTable *gone; /* name -> why it was lost, or not found, last: a static word */
    GString *text;
    GByteArray *recording;
} Node;

static void node_free(gpointer data)
{
    Node *node = data;

    ph_node_free(node->core);
    g_hash_table_unref(node->gone);
    g_string_free(node->text, TRUE);
    g_byte_array_unref(node->recording);
    g_free(node);
}

static void add_locals(const PlNode *host, PhNodeConfig *config)
{
    for (unsigned i = 0; i < host->attachments->len; i++) {
        const PlAttachment *attachment = g_ptr_array_index(host->attachments, i);

        for (unsigned k = 0; k < attachment->addresses->len && config->n_locals < PH_NODE_LOCALS;
             k++) {
            config->locals[config->n_locals++] = g_array_index(attachment->addresses, PhAddress, k);
        }
    }
}

static void send_text(Node *node, uint32_t peer, const char *text)
{
    uint8_t bytes[PH_NODE_MESSAGE_MAX] = {TEXT_MARK};
    size_t length = strlen(text);

    g_assert(length < sizeof(bytes)); /* a step has not so much */
    memcpy(bytes + 1, text, length);
    (void)ph_node_send(node->core, peer, bytes, length + 1, node->now);
}

/* The greeting waits for the peer. */
static void connect_peer(Node *node)
{
    g_autofree char *greeting = pl_node_greeting(node->program);

    node->retry_ns = UINT64_MAX;
    node->peer = ph_node_connect(node->core, node->program->connect, NULL, node->now);
    send_text(node, node->peer, greeting);
}

static gpointer node_new(const PlAgentStart *start, GError **error)
{
    const PlProgram *program = &start->host->program;
    PhNodeConfig config = {
        .hub = program->addresses[0],
        .fast_detector = program->fast,
        .wall_ns = 0, /* the lab's clock is the wall clock */
        .first_socket = FIRST_SOCKET,
        .record = start->record,
        .relays = program->relay,
    };
    Node *node = g_new0(Node, 1);
    PhKey key;

    pl_agent_seed(start->seed, config.seed);
    pl_host_key(program->hub, start->run_seed, &key);
    memcpy(config.hub_key, key.public_half, sizeof(config.hub_key));
    pl_host_key(start->host, start->run_seed, &key);
    memcpy(config.secret, key.secret_half, sizeof(config.secret));
    g_strlcpy(config.name, program->name, sizeof(config.name));
    if (start->moved)
        config.locals[config.n_locals++] = *start->moved;
    else
        add_locals(start->host, &config);
    node->program = program;
    node->start_ns = node->now = start->now;
    node->retry_ns = UINT64_MAX;
    node->gone = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    node->text = g_string_new(NULL);
    node->recording = g_byte_array_new();
    node->core = ph_node_new(&config, start->now);
    ph_key_wipe(&key);
    if (!node->core) {
        g_set_error(error, PL_ERROR, PL_ERROR_FAILED, "host %s cannot be a node",
                    start->host->name);
        node_free(node);
        return NULL;
    }
    if (program->connect)
        connect_peer(node);
    return node;
}

/* ---- what it says, in the words of `pinhole node` ---- */

static void add_string(JsonObject *object, const char *member, const char *value)
{
    if (value && *value)
        json_object_set_string_member(object, member, value);
}

static void add_key(JsonObject *object, const char *member, const uint8_t *key)
{
    static const uint8_t none[PH_KEY_BYTES];
    char text[PH_KEY_TEXT_MAX];

    if (memcmp(key, none, sizeof(none)) != 0)
        add_string(object, member, ph_key_format_public(key, text));
}

static void add_address(JsonObject *object, const PhAddress *address)
{
    char text[PH_ADDRESS_TEXT_MAX];

    if (address->family != PH_FAMILY_NONE)
        add_string(object, "address", ph_address_format(address, text));
}

/* Beside the lab's wall clock, for who looks closer, the time since the program's start. */
static JsonObject *begin_line(const Node *node, const char *event)
{
    g_autoptr(GDateTime) second = g_date_time_new_from_unix_utc((gint64)(node->now / SECOND_NS));
    g_autofree char *date = g_date_time_format(second, "%Y-%m-%dT%H:%M:%S");
    g_autofree char *time =
        g_strdup_printf("%s.%06uZ", date, (unsigned)(node->now % SECOND_NS / 1000));
    JsonObject *object = json_object_new();

    json_object_set_int_member(object, "schema", 1);
    add_string(object, "time", time);
    json_object_set_int_member(object, "time_us", (gint64)((node->now - node->start_ns) / 1000));
    add_string(object, "event", event);
    return object;
}

static void end_line(Node *node, JsonObject *object)
{
    g_autoptr(JsonNode) root = json_node_new(JSON_NODE_OBJECT);
    g_autofree char *line = NULL;

    json_node_take_object(root, object);
    line = json_to_string(root, FALSE);
    g_string_append_printf(node->text, "%s\n", line);
}

static void add_path(JsonObject *object, PhPathKind path, const uint8_t *via,
                     const PhAddress *address, const char *health)
{
    add_string(object, "path", ph_path_kind_name(path));
    add_key(object, "via", via);
    add_address(object, address);
    add_string(object, "health", health);
}

static void add_text(JsonObject *object, const PhNodeEvent *event)
{
    g_autofree char *text = NULL;

    if (event->length > 0 && event->bytes[0] == TEXT_MARK) {
        text = g_utf8_make_valid((const char *)event->bytes + 1, (gssize)event->length - 1);
        add_string(object, "text", text);
    } else {
        text = pl_bytes_format(event->bytes, event->length);
        add_string(object, "data", text);
    }
    json_object_set_int_member(object, "bytes", (gint64)event->length);
}

static void describe(Node *node, const PhNodeEvent *event)
{
    JsonObject *object = begin_line(node, ph_node_event_name(event->kind));

    add_string(object, "peer", event->name);
    if (event->kind == PH_NODE_CLASSIFIED)
        add_string(object, "class", ph_class_name(event->nat_class));
    if (event->kind == PH_NODE_DATA)
        add_text(object, event);
    else if (event->kind == PH_NODE_PEER_UP || event->kind == PH_NODE_PEER_PATH ||
             event->kind == PH_NODE_PEER_HEALTH)
        add_path(object, event->path, event->via, &event->address, event->health);
    else
        add_address(object, &event->address);
    if (event->kind == PH_NODE_PUNCH) {
        json_object_set_int_member(object, "attempt", event->attempt);
        add_string(object, "strategy", event->strategy);
        json_object_set_int_member(object, "took_us", (gint64)(event->took_ns / 1000));
        add_string(object, "outcome", event->outcome);
    }
    add_string(object, "reason", event->reason);
    add_string(object, "sentence", event->sentence);
    end_line(node, object);
}

/* ---- what it is told ---- */

static uint32_t find_peer(const Node *node, const char *name)
{
    PhNodePeer peer;

    for (uint32_t i = 0; ph_node_peer(node->core, i, &peer); i++)
        if (strcmp(peer.name, name) == 0)
            return peer.peer;
    return 0;
}

static uint32_t need_peer(Node *node, const char *name)
{
    uint32_t peer = find_peer(node, name);

    return peer ? peer : ph_node_connect(node->core, name, NULL, node->now);
}

static void node_line(gpointer data, const char *line, uint64_t now)
{
    Node *node = data;
    g_auto(GStrv) words = g_strsplit(line, " ", 3);

    node->now = now;
    g_string_truncate(node->text, 0);
    g_assert(words[1]);
    if (strcmp(words[0], "connect") == 0)
        (void)need_peer(node, words[1]);
    else if (strcmp(words[0], "disconnect") == 0)
        ph_node_disconnect(node->core, find_peer(node, words[1]), now);
    else
        send_text(node, need_peer(node, words[1]), words[2]);
}

static void take_event(Node *node, const PhNodeEvent *event)
{
    describe(node, event);
    if (event->kind == PH_NODE_CLASSIFIED)
        node->blocked = event->nat_class == PH_CLASS_UDP_BLOCKED;
    if (event->kind == PH_NODE_PEER_UP)
        (void)g_hash_table_remove(node->gone, event->name);
    if (event->kind != PH_NODE_PEER_GONE)
        return;
    (void)g_hash_table_replace(node->gone, g_strdup(event->name), (gpointer)event->reason);
    if (event->peer == node->peer) {
        node->peer = 0;
        node->retry_ns = node->now + RETRY_NS;
    }
}

/* ---- the core, in the order of path.h ---- */

static gboolean poll_core(Node *node, PlAgentAction *ret_action)
{
    PhSocketRequest request;
    PhTransmit transmit;

    if (ph_node_poll_socket(node->core, &request)) {
        *ret_action = (PlAgentAction){
            .kind = request.kind == PH_SOCKET_OPEN ? PL_AGENT_OPEN : PL_AGENT_CLOSE,
            .socket = request.socket,
            .address = {.family = (uint8_t)request.family},
        };
        return TRUE;
    }
    if (ph_node_poll_transmit(node->core, &transmit)) {
        *ret_action = (PlAgentAction){
            .kind = PL_AGENT_SEND,
            .socket = transmit.path.socket,
            .address = transmit.path.remote,
            .bytes = transmit.bytes,
            .length = transmit.length,
            .ttl = transmit.ttl,
        };
        return TRUE;
    }
    return FALSE;
}

static void take_record(Node *node)
{
    const uint8_t *bytes;
    size_t length;

    while (ph_node_poll_record(node->core, &bytes, &length))
        g_byte_array_append(node->recording, bytes, (guint)length);
}

static void node_poll(gpointer data, PlAgentAction *ret_action)
{
    Node *node = data;
    PhNodeEvent event;

    if (poll_core(node, ret_action))
        return;
    g_string_truncate(node->text, 0);
    if (!ph_node_poll_event(node->core, &event)) {
        take_record(node);
        return;
    }
    take_event(node, &event);
    *ret_action = (PlAgentAction){
        .kind = PL_AGENT_PRINT,
        .bytes = (const uint8_t *)node->text->str,
        .length = node->text->len,
    };
}

static void node_opened(gpointer data, uint32_t socket, const PhAddress *local, uint64_t now)
{
    Node *node = data;

    node->now = now;
    if (local)
        ph_node_socket_opened(node->core, socket, local, now);
    else
        ph_node_socket_failed(node->core, socket, now);
}

static void node_datagram(gpointer data, const PhPath *path, const uint8_t *bytes, size_t length,
                          uint64_t now)
{
    Node *node = data;

    node->now = now;
    ph_node_handle_datagram(node->core, path, bytes, length, now);
}

static void node_unreachable(gpointer data, const PhPath *path, uint64_t now)
{
    Node *node = data;

    node->now = now;
    ph_node_unreachable(node->core, path, now);
}

static uint64_t node_next_timeout(gpointer data)
{
    const Node *node = data;

    return MIN(node->retry_ns, ph_node_next_timeout(node->core));
}

static void node_timeout(gpointer data, uint64_t now)
{
    Node *node = data;

    node->now = now;
    if (now >= node->retry_ns)
        connect_peer(node);
    ph_node_handle_timeout(node->core, now);
}

static void node_moved(gpointer data, const PhAddress *address, uint64_t now)
{
    Node *node = data;

    node->now = now;
    ph_node_network_changed(node->core, address, 1, now);
}

PhNode *pl_node_agent_core(gpointer agent)
{
    return ((Node *)agent)->core;
}

const GByteArray *pl_node_agent_recording(gpointer agent)
{
    take_record(agent);
    return ((Node *)agent)->recording;
}

const char *pl_node_agent_gone(gpointer agent, const char *name)
{
    return g_hash_table_lookup(((Node *)agent)->gone, name);
}

gboolean pl_node_agent_is_blocked(gpointer agent)
{
    return ((Node *)agent)->blocked;
}

const PlAgentClass pl_node_agent = {
    .word = PL_WORD_NODE,
    .new = node_new,
    .free = node_free,
    .poll = node_poll,
    .opened = node_opened,
    .datagram = node_datagram,
    .unreachable = node_unreachable,
    .next_timeout = node_next_timeout,
    .timeout = node_timeout,
    .line = node_line,
    .moved = node_moved,
};
