/* SPDX-License-Identifier: MIT */
/*
 * What control sockets answer, for people: a node with its hub, its peers and its counters; a hub
 * with those who are registered. What has not the expected shape is not there.
 */
#include "status_text.h"

#include <stdio.h>
#include <string.h>

#include "table.h"

#define COUNTER_COLUMNS 3

const char *status_string(JsonObject *object, const char *name)
{
    JsonNode *node = json_object_get_member(object, name);

    return node && json_node_get_value_type(node) == G_TYPE_STRING ? json_node_get_string(node)
                                                                   : NULL;
}

static JsonObject *object_of(JsonObject *object, const char *name)
{
    JsonNode *node = json_object_get_member(object, name);

    return node && JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
}

/* Objects, in the order of their peer's name and then key: g_ptr_array_unref. */
static int by_name(gconstpointer a, gconstpointer b)
{
    JsonObject *first = *(JsonObject *const *)a, *second = *(JsonObject *const *)b;
    const char *names[] = {status_string(first, "peer"), status_string(second, "peer")};
    int order = !names[0] - !names[1];

    if (order == 0)
        order = g_strcmp0(names[0], names[1]);
    return order ? order : g_strcmp0(status_string(first, "key"), status_string(second, "key"));
}

static GPtrArray *objects_of(JsonObject *object, const char *name)
{
    JsonNode *node = json_object_get_member(object, name);
    JsonArray *array = node && JSON_NODE_HOLDS_ARRAY(node) ? json_node_get_array(node) : NULL;
    GPtrArray *all = g_ptr_array_new();

    for (guint i = 0; array && i < json_array_get_length(array); i++) {
        JsonNode *element = json_array_get_element(array, i);

        if (JSON_NODE_HOLDS_OBJECT(element))
            g_ptr_array_add(all, json_node_get_object(element));
    }
    g_ptr_array_sort(all, by_name);
    return all;
}

static double number_of(JsonObject *object, const char *name)
{
    JsonNode *node = json_object_get_member(object, name);
    GType type = node && JSON_NODE_HOLDS_VALUE(node) ? json_node_get_value_type(node) : 0;

    return type == G_TYPE_INT64 || type == G_TYPE_DOUBLE ? json_node_get_double(node) : -1;
}

/* "20.1 ms"; NULL: unknown. */
static char *time_of(JsonObject *object, const char *name)
{
    double seconds = number_of(object, name);

    return seconds < 0 ? NULL : g_strdup_printf("%.1f ms", seconds * 1e3);
}

/* "1.2 MB". */
static char *bytes_of(JsonObject *object, const char *name)
{
    double bytes = number_of(object, name);

    return bytes < 0 ? NULL : g_format_size((guint64)bytes);
}

/* "3 min 20 s", the two largest units. */
static char *age_of(JsonObject *object)
{
    static const struct {
        const char *name;
        guint64 seconds;
    } units[] = {{"d", 86400}, {"h", 3600}, {"min", 60}, {"s", 1}};
    guint64 seconds = (guint64)MAX(number_of(object, "uptime_s"), 0);

    for (size_t i = 0; i + 1 < G_N_ELEMENTS(units); i++) {
        if (seconds >= units[i].seconds)
            return g_strdup_printf("%" G_GUINT64_FORMAT " %s %" G_GUINT64_FORMAT " %s",
                                   seconds / units[i].seconds, units[i].name,
                                   seconds % units[i].seconds / units[i + 1].seconds,
                                   units[i + 1].name);
    }
    return g_strdup_printf("%" G_GUINT64_FORMAT " s", seconds);
}

static TableStyle health_style(const char *health)
{
    if (g_strcmp0(health, "healthy") == 0)
        return TABLE_GOOD;
    return g_strcmp0(health, "suspect") == 0 ? TABLE_WARN : TABLE_BAD;
}

static void add_title(Table *table, const char *const *titles)
{
    for (; *titles; titles++)
        table_add(table, TABLE_BOLD, *titles);
}

/* ---- a node ---- */

/* Whose key it is: the hub's, or that of a peer with a name. */
static const char *who_is(JsonObject *answer, const GPtrArray *peers, const char *key)
{
    JsonObject *hub = object_of(answer, "hub");

    if (hub && g_strcmp0(status_string(hub, "key"), key) == 0)
        return "hub";
    for (guint i = 0; i < peers->len; i++) {
        JsonObject *peer = g_ptr_array_index(peers, i);

        if (g_strcmp0(status_string(peer, "key"), key) == 0 && status_string(peer, "peer"))
            return status_string(peer, "peer");
    }
    return key;
}

/* "punched", "relayed(hub)", "none(timeout)". */
static char *path_of(JsonObject *answer, const GPtrArray *peers, JsonObject *peer)
{
    const char *path = status_string(peer, "path"), *detail = NULL;

    if (g_strcmp0(path, "relayed") == 0)
        detail = who_is(answer, peers, status_string(peer, "via"));
    else if (g_strcmp0(path, "none") == 0)
        detail = status_string(peer, "reason") ? status_string(peer, "reason")
                                               : status_string(peer, "state");
    return detail ? g_strdup_printf("%s(%s)", path, detail) : g_strdup(path);
}

static void print_peers(JsonObject *answer, gboolean colours)
{
    static const char *const titles[] = {"PEER",       "CLASS", "PATH", "STATE",
                                         "ROUND TRIP", "WHY",   NULL};
    g_autoptr(GPtrArray) peers = objects_of(answer, "peers");
    g_autoptr(Table) table = table_new(G_N_ELEMENTS(titles) - 1);

    add_title(table, titles);
    for (guint i = 0; i < peers->len; i++) {
        JsonObject *peer = g_ptr_array_index(peers, i);
        const char *name = status_string(peer, "peer"), *health = status_string(peer, "health");
        const char *why = status_string(peer, "sentence");
        g_autofree char *path = path_of(answer, peers, peer), *time = time_of(peer, "rtt_s");

        table_add(table, TABLE_PLAIN, name ? name : status_string(peer, "key"));
        table_add(table, TABLE_PLAIN, status_string(peer, "class"));
        table_add(table, health ? TABLE_PLAIN : TABLE_BAD, path);
        table_add(table, health_style(health), health);
        table_add(table, TABLE_PLAIN, time);
        table_add(table, TABLE_DIM, why ? why : status_string(peer, "reason"));
    }
    if (peers->len > 0)
        table_print(table, 0, colours);
    else
        printf("no peers\n");
}

/* `of`: what they are of, where they are an object within the counters; NULL: they are all. */
static void add_counters(Table *table, const char *of, JsonObject *counters)
{
    JsonObjectIter iter;
    const char *name;
    JsonNode *value;

    json_object_iter_init_ordered(&iter, counters);
    while (json_object_iter_next_ordered(&iter, &name, &value)) {
        g_autofree char *shown = of ? g_strdup_printf("%s: %s", of, name) : g_strdup(name);
        g_autofree char *text = NULL;
        TableStyle style;

        if (!of && JSON_NODE_HOLDS_OBJECT(value))
            add_counters(table, name, json_node_get_object(value));
        if (json_node_get_value_type(value) != G_TYPE_INT64)
            continue;
        text = g_strdup_printf("%" G_GINT64_FORMAT, json_node_get_int(value));
        style = json_node_get_int(value) == 0 ? TABLE_DIM : TABLE_PLAIN;
        table_add(table, style, shown);
        table_add(table, style, text);
    }
}

static void print_counters(JsonObject *counters, gboolean colours)
{
    g_autoptr(Table) table = table_new(2 * COUNTER_COLUMNS);

    add_counters(table, NULL, counters);
    table_print(table, 0, colours);
}

/* "registered, healthy, 20.1 ms; it sees us at 192.0.2.1:4000"; or why it is not. A node that has
 * just moved does not know yet where it is seen. */
static char *link_of(JsonObject *hub)
{
    const char *state = status_string(hub, "state"), *health = status_string(hub, "health");
    const char *seen = status_string(hub, "seen"), *beside = status_string(hub, "beside");
    const char *why = status_string(hub, "sentence");
    g_autofree char *time = time_of(hub, "rtt_s");

    if (!health)
        return why ? g_strdup_printf("%s: %s", state, why) : g_strdup(state);
    return g_strdup_printf("%s, %s, %s%s%s%s%s", state, health, time ? time : "-",
                           seen ? "; it sees us at " : "", seen ? seen : "",
                           seen && beside ? " and " : "", seen && beside ? beside : "");
}

static void print_self(JsonObject *answer, gboolean colours)
{
    JsonObject *hub = object_of(answer, "hub");
    const char *health = hub ? status_string(hub, "health") : NULL;
    double binding = number_of(answer, "binding_s");
    g_autofree char *kept = g_strdup_printf("kept for %g s, as far as is known", binding);
    g_autofree char *link = hub ? link_of(hub) : NULL;
    g_autoptr(Table) table = table_new(2);

    table_add(table, TABLE_BOLD, "class");
    table_add(table, TABLE_PLAIN, status_string(answer, "class"));
    table_add(table, TABLE_BOLD, "external");
    table_add(table, TABLE_PLAIN, status_string(answer, "external"));
    if (binding > 0) {
        table_add(table, TABLE_BOLD, "idle mapping");
        table_add(table, TABLE_PLAIN, kept);
    }
    table_add(table, TABLE_BOLD, "hub");
    table_add(table, TABLE_PLAIN, hub ? status_string(hub, "address") : NULL);
    table_add(table, TABLE_BOLD, "at the hub");
    table_add(table, health_style(health), link);
    table_print(table, 0, colours);
}

static void print_node(JsonObject *answer, gboolean colours)
{
    JsonObject *counters = object_of(answer, "counters");

    print_self(answer, colours);
    printf("\n");
    print_peers(answer, colours);
    printf("\n");
    if (counters)
        print_counters(counters, colours);
}

/* ---- a hub ---- */

static void print_nodes(JsonObject *answer, gboolean colours)
{
    static const char *const titles[] = {"NAME", "CLASS", "ADDRESS", "RELAYED", "KEY", NULL};
    g_autoptr(GPtrArray) nodes = objects_of(answer, "nodes");
    g_autoptr(Table) table = table_new(G_N_ELEMENTS(titles) - 1);

    add_title(table, titles);
    for (guint i = 0; i < nodes->len; i++) {
        JsonObject *node = g_ptr_array_index(nodes, i);
        g_autofree char *relayed = bytes_of(node, "relayed-bytes");

        table_add(table, TABLE_PLAIN, status_string(node, "peer"));
        table_add(table, TABLE_PLAIN, status_string(node, "class"));
        table_add(table, TABLE_PLAIN, status_string(node, "address"));
        table_add(table, TABLE_PLAIN, relayed);
        table_add(table, TABLE_DIM, status_string(node, "key"));
    }
    if (nodes->len > 0)
        table_print(table, 0, colours);
    else
        printf("nobody is registered\n");
}

static void print_hub(JsonObject *answer, gboolean colours)
{
    static const char *const parts[] = {"station", "ipv4", "ipv6"};

    if (object_of(answer, "station")) {
        print_nodes(answer, colours);
        printf("\n");
    }
    for (size_t i = 0; i < G_N_ELEMENTS(parts); i++) {
        JsonObject *counters = object_of(answer, parts[i]);

        if (!counters)
            continue;
        printf("%s%s\n", i ? "\n" : "", parts[i]);
        print_counters(counters, colours);
    }
}

/* ---- all ---- */

void status_print(const char *label, JsonObject *answer, gboolean colours)
{
    g_autofree char *age = age_of(answer);
    g_autoptr(Table) table = table_new(4);
    g_autofree char *kind = g_strdup_printf(
        "%s, process %.0f, for %s", status_string(answer, "kind"), number_of(answer, "pid"), age);

    table_add(table, TABLE_BOLD, label);
    table_add(table, TABLE_PLAIN, kind);
    table_add(table, TABLE_DIM, "key");
    table_add(table, TABLE_DIM, status_string(answer, "key"));
    table_print(table, 0, colours);
    printf("\n");
    if (g_strcmp0(status_string(answer, "kind"), "hub") == 0)
        print_hub(answer, colours);
    else
        print_node(answer, colours);
}

void status_print_list(const GPtrArray *labels, const GPtrArray *answers, gboolean colours)
{
    static const char *const titles[] = {"NAME", "KIND", "PROCESS", "FOR", "CLASS", "HUB", NULL};
    g_autoptr(Table) table = table_new(G_N_ELEMENTS(titles) - 1);

    add_title(table, titles);
    for (guint i = 0; i < answers->len; i++) {
        JsonObject *answer = g_ptr_array_index(answers, i), *hub = object_of(answer, "hub");
        g_autofree char *age = age_of(answer);
        g_autofree char *pid = g_strdup_printf("%.0f", number_of(answer, "pid"));

        table_add(table, TABLE_PLAIN, g_ptr_array_index(labels, i));
        table_add(table, TABLE_PLAIN, status_string(answer, "kind"));
        table_add(table, TABLE_PLAIN, pid);
        table_add(table, TABLE_PLAIN, age);
        table_add(table, TABLE_PLAIN, status_string(answer, "class"));
        table_add(table, TABLE_PLAIN, hub ? status_string(hub, "state") : NULL);
    }
    table_print(table, 0, colours);
}
