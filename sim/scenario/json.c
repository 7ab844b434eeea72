/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "scenario/json.h"

#include <string.h>

enum {
    COLUMNS = 100,
    INDENT = 2,
    DECIMALS_MAX = 9, /* nanoseconds */
};

static void print_string(GString *out, const char *text)
{
    g_string_append_c(out, '"');
    for (const char *at = text; *at; at++) {
        unsigned char c = (unsigned char)*at;

        if (c == '"' || c == '\\')
            g_string_append_printf(out, "\\%c", c);
        else if (c == '\n')
            g_string_append(out, "\\n");
        else if (c == '\t')
            g_string_append(out, "\\t");
        else if (c < 0x20 || c == 0x7f)
            g_string_append_printf(out, "\\u%04x", c);
        else
            g_string_append_c(out, (char)c);
    }
    g_string_append_c(out, '"');
}

/* The fewest digits that read back as the same number; no exponent where it can be helped. */
static void print_double(GString *out, double value)
{
    char text[64];

    for (int decimals = 1; decimals <= DECIMALS_MAX; decimals++) {
        char format[8];
        double again;

        g_snprintf(format, sizeof format, "%%.%df", decimals);
        g_ascii_formatd(text, sizeof text, format, value);
        again = g_ascii_strtod(text, NULL);
        if (again >= value && again <= value) {
            g_string_append(out, text);
            return;
        }
    }
    g_string_append(out, g_ascii_dtostr(text, sizeof text, value));
}

static void print_value(GString *out, JsonNode *node)
{
    GType type = json_node_get_value_type(node);

    if (type == G_TYPE_STRING)
        print_string(out, json_node_get_string(node));
    else if (type == G_TYPE_INT64)
        g_string_append_printf(out, "%" G_GINT64_FORMAT, json_node_get_int(node));
    else if (type == G_TYPE_BOOLEAN)
        g_string_append(out, json_node_get_boolean(node) ? "true" : "false");
    else
        print_double(out, json_node_get_double(node));
}

static void print_node(GString *out, JsonNode *node, gboolean pretty, unsigned depth);

/* Ends one member of a container and makes room for the next, or for the closing brace. */
static void print_break(GString *out, gboolean pretty, unsigned depth, gboolean more)
{
    if (more)
        g_string_append_c(out, ',');
    if (pretty)
        g_string_append_printf(out, "\n%*s", (int)(depth * INDENT), "");
    else if (more)
        g_string_append_c(out, ' ');
}

static void print_object(GString *out, JsonObject *object, gboolean pretty, unsigned depth)
{
    JsonObjectIter iter;
    const char *key;
    JsonNode *value;
    gboolean more = FALSE;

    g_string_append_c(out, '{');
    json_object_iter_init_ordered(&iter, object);
    while (json_object_iter_next_ordered(&iter, &key, &value)) {
        print_break(out, pretty, depth + 1, more);
        print_string(out, key);
        g_string_append(out, ": ");
        print_node(out, value, pretty, depth + 1);
        more = TRUE;
    }
    print_break(out, pretty, depth, /* more= */ FALSE);
    g_string_append_c(out, '}');
}

static void print_array(GString *out, JsonArray *array, gboolean pretty, unsigned depth)
{
    g_string_append_c(out, '[');
    for (guint i = 0; i < json_array_get_length(array); i++) {
        print_break(out, pretty, depth + 1, i > 0);
        print_node(out, json_array_get_element(array, i), pretty, depth + 1);
    }
    print_break(out, pretty, depth, /* more= */ FALSE);
    g_string_append_c(out, ']');
}

static void print_container(GString *out, JsonNode *node, gboolean pretty, unsigned depth)
{
    if (JSON_NODE_HOLDS_OBJECT(node))
        print_object(out, json_node_get_object(node), pretty, depth);
    else
        print_array(out, json_node_get_array(node), pretty, depth);
}

/* Whether there is nothing but values in it: four judges' words, say. */
static gboolean is_flat(JsonNode *node)
{
    g_autoptr(GList) values = JSON_NODE_HOLDS_OBJECT(node)
                                  ? json_object_get_values(json_node_get_object(node))
                                  : json_array_get_elements(json_node_get_array(node));

    for (GList *at = values; at; at = at->next) {
        if (JSON_NODE_HOLDS_OBJECT(at->data) || JSON_NODE_HOLDS_ARRAY(at->data))
            return FALSE;
    }
    return TRUE;
}

static gsize column_of_end(const GString *text)
{
    const char *newline = memrchr(text->str, '\n', text->len);

    return newline ? text->len - (gsize)(newline + 1 - text->str) : text->len;
}

static void print_node(GString *out, JsonNode *node, gboolean pretty, unsigned depth)
{
    gsize start = out->len;

    if (JSON_NODE_HOLDS_NULL(node)) {
        g_string_append(out, "null");
        return;
    }
    if (JSON_NODE_HOLDS_VALUE(node)) {
        print_value(out, node);
        return;
    }
    print_container(out, node, /* pretty= */ FALSE, depth);
    if (pretty && column_of_end(out) > COLUMNS - 1 &&
        !(JSON_NODE_HOLDS_OBJECT(node) && is_flat(node))) {
        g_string_truncate(out, start);
        print_container(out, node, /* pretty= */ TRUE, depth);
    }
}

char *pl_json_line(JsonNode *node)
{
    GString *out = g_string_new(NULL);

    print_node(out, node, /* pretty= */ FALSE, 0);
    return g_string_free(out, FALSE);
}

char *pl_json_pretty(JsonNode *node)
{
    GString *out = g_string_new(NULL);

    print_node(out, node, /* pretty= */ TRUE, 0);
    g_string_append_c(out, '\n');
    return g_string_free(out, FALSE);
}
