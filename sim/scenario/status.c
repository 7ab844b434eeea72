/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a host's node says of itself: see status.h. */
#include "scenario/status.h"

#include <string.h>

#include "topology/topology.h"
#include "topology/units.h"

#define WORD_MAX_BYTES 128
#define NS_PER_S       1e9
#define RTT_MAX_S      1e6

/* The order is that of the document. */
static const struct {
    const char *name;
    gsize at;
} texts[] = {
    {"peer", G_STRUCT_OFFSET(PlPeerStatus, peer)},
    {"class", G_STRUCT_OFFSET(PlPeerStatus, class)},
    {"path", G_STRUCT_OFFSET(PlPeerStatus, path)},
    {"health", G_STRUCT_OFFSET(PlPeerStatus, health)},
    {"reason", G_STRUCT_OFFSET(PlPeerStatus, reason)},
};

static void peer_free(gpointer data)
{
    PlPeerStatus *peer = data;

    for (gsize i = 0; i < G_N_ELEMENTS(texts); i++)
        g_free(G_STRUCT_MEMBER(char *, peer, texts[i].at));
    g_free(peer);
}

static void counter_free(gpointer data)
{
    PlCounter *counter = data;

    g_free(counter->name);
    g_free(counter);
}

PlStatus *pl_status_new(void)
{
    PlStatus *status = g_new0(PlStatus, 1);

    status->peers = g_ptr_array_new_with_free_func(peer_free);
    status->counters = g_ptr_array_new_with_free_func(counter_free);
    return status;
}

void pl_status_free(PlStatus *status)
{
    if (!status)
        return;
    g_ptr_array_unref(status->peers);
    g_ptr_array_unref(status->counters);
    g_free(status);
}

static char *shown(const char *text)
{
    return text ? pl_printable(text, WORD_MAX_BYTES) : NULL;
}

void pl_status_add_peer(PlStatus *status, const PlPeerStatus *peer)
{
    PlPeerStatus *copy = g_new0(PlPeerStatus, 1);

    for (gsize i = 0; i < G_N_ELEMENTS(texts); i++)
        G_STRUCT_MEMBER(char *, copy, texts[i].at) =
            shown(G_STRUCT_MEMBER(const char *, peer, texts[i].at));
    copy->rtt_ns = peer->rtt_ns;
    g_ptr_array_add(status->peers, copy);
}

void pl_status_add_counter(PlStatus *status, const char *name, uint64_t value)
{
    PlCounter *counter = g_new0(PlCounter, 1);

    counter->name = shown(name);
    counter->value = value;
    g_ptr_array_add(status->counters, counter);
}

const PlPeerStatus *pl_status_peer(const PlStatus *status, const char *name)
{
    for (guint i = 0; i < status->peers->len; i++) {
        const PlPeerStatus *peer = g_ptr_array_index(status->peers, i);

        if (g_strcmp0(peer->peer, name) == 0)
            return peer;
    }
    return NULL;
}

gboolean pl_status_counter(const PlStatus *status, const char *name, uint64_t *ret_value)
{
    for (guint i = 0; i < status->counters->len; i++) {
        const PlCounter *counter = g_ptr_array_index(status->counters, i);

        if (strcmp(counter->name, name) == 0) {
            *ret_value = counter->value;
            return TRUE;
        }
    }
    return FALSE;
}

/* ---- JSON ---- */

static JsonObject *peer_to_json(const PlPeerStatus *peer)
{
    JsonObject *object = json_object_new();

    for (gsize i = 0; i < G_N_ELEMENTS(texts); i++) {
        const char *text = G_STRUCT_MEMBER(const char *, peer, texts[i].at);

        if (text)
            json_object_set_string_member(object, texts[i].name, text);
        else
            json_object_set_null_member(object, texts[i].name);
    }
    if (peer->rtt_ns)
        json_object_set_double_member(object, "rtt_s", (double)peer->rtt_ns / NS_PER_S);
    else
        json_object_set_null_member(object, "rtt_s");
    return object;
}

void pl_status_to_json(const PlStatus *status, JsonObject *object)
{
    JsonArray *peers = json_array_new();
    JsonObject *counters = json_object_new();

    for (guint i = 0; i < status->peers->len; i++)
        json_array_add_object_element(peers, peer_to_json(g_ptr_array_index(status->peers, i)));
    for (guint i = 0; i < status->counters->len; i++) {
        const PlCounter *counter = g_ptr_array_index(status->counters, i);

        json_object_set_int_member(counters, counter->name, (gint64)counter->value);
    }
    json_object_set_object_member(object, "counters", counters);
    json_object_set_array_member(object, "peers", peers);
}

static gboolean refuse(GError **error, const char *wanted)
{
    g_set_error(error, PL_ERROR, PL_ERROR_INPUT, "status: expected %s", wanted);
    return FALSE;
}

static gboolean read_peer(PlStatus *status, JsonNode *node, GError **error)
{
    JsonObject *object = JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
    PlPeerStatus peer = {0};
    JsonNode *rtt;

    for (gsize i = 0; object && i < G_N_ELEMENTS(texts); i++) {
        JsonNode *text = json_object_get_member(object, texts[i].name);

        if (text && json_node_get_value_type(text) == G_TYPE_STRING)
            G_STRUCT_MEMBER(const char *, &peer, texts[i].at) = json_node_get_string(text);
        else if (text && !JSON_NODE_HOLDS_NULL(text))
            object = NULL;
    }
    if (!object || !peer.path)
        return refuse(error, "peers that are objects of text, with a path each");
    rtt = json_object_get_member(object, "rtt_s");
    if (rtt && JSON_NODE_HOLDS_VALUE(rtt)) {
        double seconds = json_node_get_double(rtt);

        if (!(seconds >= 0 && seconds <= RTT_MAX_S))
            return refuse(error, "a number of seconds as rtt_s");
        peer.rtt_ns = (uint64_t)(seconds * NS_PER_S + 0.5);
    }
    pl_status_add_peer(status, &peer);
    return TRUE;
}

static gboolean read_counters(PlStatus *status, JsonObject *counters, GError **error)
{
    JsonObjectIter iter;
    const char *name;
    JsonNode *value;

    json_object_iter_init_ordered(&iter, counters);
    while (json_object_iter_next_ordered(&iter, &name, &value)) {
        if (json_node_get_value_type(value) != G_TYPE_INT64 || json_node_get_int(value) < 0)
            return refuse(error, "counters that are whole numbers");
        pl_status_add_counter(status, name, (uint64_t)json_node_get_int(value));
    }
    return TRUE;
}

PlStatus *pl_status_from_json(JsonObject *object, GError **error)
{
    JsonNode *peers = json_object_get_member(object, "peers");
    JsonNode *counters = json_object_get_member(object, "counters");
    g_autoptr(PlStatus) status = pl_status_new();

    if (!peers || !JSON_NODE_HOLDS_ARRAY(peers) || !counters || !JSON_NODE_HOLDS_OBJECT(counters)) {
        refuse(error, "\"peers\", a list, and \"counters\", an object");
        return NULL;
    }
    for (guint i = 0; i < json_array_get_length(json_node_get_array(peers)); i++) {
        if (!read_peer(status, json_array_get_element(json_node_get_array(peers), i), error))
            return NULL;
    }
    if (!read_counters(status, json_node_get_object(counters), error))
        return NULL;
    return g_steal_pointer(&status);
}
