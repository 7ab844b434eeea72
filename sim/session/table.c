/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A NAT's connection table; see table.h. */
#include "session/table.h"

#include <netinet/in.h>
#include <string.h>

#include "scenario/json.h"

static const struct {
    uint8_t number;
    const char *name;
} protocols[] = {
    {IPPROTO_UDP, "udp"}, {IPPROTO_TCP, "tcp"}, {IPPROTO_ICMP, "icmp"}, {IPPROTO_ICMPV6, "icmp"}};

static char *protocol_name(uint8_t number)
{
    for (size_t i = 0; i < G_N_ELEMENTS(protocols); i++)
        if (protocols[i].number == number)
            return g_strdup(protocols[i].name);
    return g_strdup_printf("%u", number);
}

static void add_address(JsonBuilder *builder, const char *name, const PhAddress *address)
{
    char text[PH_ADDRESS_TEXT_MAX];

    json_builder_set_member_name(builder, name);
    json_builder_add_string_value(builder, ph_address_format(address, text));
}

static void add_flag(JsonBuilder *builder, const char *name, gboolean value)
{
    json_builder_set_member_name(builder, name);
    json_builder_add_boolean_value(builder, value);
}

static void add_connection(JsonBuilder *builder, const PlConnection *connection)
{
    g_autofree char *protocol = protocol_name(connection->protocol);

    json_builder_begin_object(builder);
    json_builder_set_member_name(builder, "protocol");
    json_builder_add_string_value(builder, protocol);
    add_address(builder, "inside", &connection->inside);
    add_address(builder, "external", &connection->external);
    add_address(builder, "remote", &connection->remote);
    json_builder_set_member_name(builder, "from");
    json_builder_add_string_value(builder, connection->from_outside ? "outside" : "inside");
    add_flag(builder, "replied", connection->replied);
    add_flag(builder, "assured", connection->assured);
    json_builder_set_member_name(builder, "expires_seconds");
    json_builder_add_int_value(builder, connection->expires_s);
    json_builder_end_object(builder);
}

char *pl_table_json(const char *nat, const GArray *connections)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();
    g_autoptr(JsonNode) node = NULL;

    json_builder_begin_object(builder);
    json_builder_set_member_name(builder, "nat");
    json_builder_add_string_value(builder, nat);
    json_builder_set_member_name(builder, "connections");
    json_builder_begin_array(builder);
    for (unsigned i = 0; i < connections->len; i++)
        add_connection(builder, &g_array_index(connections, PlConnection, i));
    json_builder_end_array(builder);
    json_builder_end_object(builder);
    node = json_builder_get_root(builder);
    return pl_json_pretty(node);
}

static void print_row(FILE *file, JsonObject *row)
{
    gboolean inward =
        strcmp(json_object_get_string_member_with_default(row, "from", ""), "outside") == 0;

    fprintf(file, "%-5s  %-21s  %-21s  %s  %-21s  %4" G_GINT64_FORMAT " s  %s\n",
            json_object_get_string_member_with_default(row, "protocol", ""),
            json_object_get_string_member_with_default(row, "inside", ""),
            json_object_get_string_member_with_default(row, "external", ""), inward ? "<-" : "->",
            json_object_get_string_member_with_default(row, "remote", ""),
            json_object_get_int_member_with_default(row, "expires_seconds", 0),
            json_object_get_boolean_member_with_default(row, "replied", FALSE) ? "answered"
                                                                               : "one way");
}

/* The rows of a table; NULL when it is not of that shape. */
static JsonArray *rows_of(JsonNode *table)
{
    JsonNode *member = JSON_NODE_HOLDS_OBJECT(table)
                           ? json_object_get_member(json_node_get_object(table), "connections")
                           : NULL;
    JsonArray *rows;

    if (!member || !JSON_NODE_HOLDS_ARRAY(member))
        return NULL;
    rows = json_node_get_array(member);
    for (unsigned i = 0; i < json_array_get_length(rows); i++)
        if (!JSON_NODE_HOLDS_OBJECT(json_array_get_element(rows, i)))
            return NULL;
    return rows;
}

gboolean pl_table_print(FILE *file, JsonNode *table)
{
    JsonArray *rows = rows_of(table);

    if (!rows)
        return FALSE;
    fprintf(file, "%-5s  %-21s  %-21s      %-21s  %6s  %s\n", "proto", "inside", "external",
            "remote", "left", "state");
    for (unsigned i = 0; i < json_array_get_length(rows); i++)
        print_row(file, json_array_get_object_element(rows, i));
    return TRUE;
}
