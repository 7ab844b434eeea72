/* SPDX-License-Identifier: MIT */
/* Results as JSON. */
#include "show.h"

#include <stdio.h>
#include <string.h>

#define NS_PER_S 1e9

void show_rows(const PhClassification *c, ShowRow ret_rows[static SHOW_ROWS])
{
    const ShowRow all[SHOW_ROWS] = {
        {"class", ph_class_name(c->nat_class), c->why.nat_class},
        {"mapping", ph_mapping_name(c->mapping), c->why.mapping},
        {"filtering", ph_filtering_name(c->filtering), c->why.filtering},
        {"port-allocation", ph_port_allocation_name(c->port_allocation), c->why.port_allocation},
        {"pooling", ph_pooling_name(c->pooling), c->why.pooling},
        {"hairpin", ph_hairpin_name(c->hairpin), c->why.hairpin},
    };

    for (size_t i = 0; i < SHOW_ROWS; i++)
        ret_rows[i] = all[i];
}

void show_string(JsonBuilder *builder, const char *name, const char *value)
{
    json_builder_set_member_name(builder, name);
    if (value)
        json_builder_add_string_value(builder, value);
    else
        json_builder_add_null_value(builder);
}

void show_int(JsonBuilder *builder, const char *name, gint64 value)
{
    json_builder_set_member_name(builder, name);
    json_builder_add_int_value(builder, value);
}

void show_address(JsonBuilder *builder, const char *name, const PhAddress *address)
{
    char text[PH_ADDRESS_TEXT_MAX];

    show_string(builder, name,
                address->family == PH_FAMILY_NONE ? NULL : ph_address_format(address, text));
}

void show_duration(JsonBuilder *builder, const char *name, uint64_t ns)
{
    json_builder_set_member_name(builder, name);
    json_builder_add_double_value(builder, (double)ns / NS_PER_S);
}

void show_seconds(JsonBuilder *builder, const char *name, uint64_t ns)
{
    if (ns > 0)
        show_duration(builder, name, ns);
    else
        show_string(builder, name, NULL);
}

void show_head(JsonBuilder *builder, const char *event)
{
    g_autoptr(GDateTime) time = g_date_time_new_now_utc();
    g_autofree char *when = g_date_time_format(time, "%Y-%m-%dT%H:%M:%S.%fZ");

    show_int(builder, "schema", 1);
    show_string(builder, "time", when);
    show_string(builder, "event", event);
}

static void show_ports(JsonBuilder *builder, const PhClassification *c)
{
    if (c->port_allocation == PH_PORT_ALLOCATION_SEQUENTIAL) {
        show_int(builder, "step", c->step);
        show_int(builder, "predicted-port", c->predicted_port);
    }
    if (c->port_allocation == PH_PORT_ALLOCATION_BLOCK) {
        show_int(builder, "block-first", c->block_first);
        show_int(builder, "block-last", c->block_last);
    }
}

void show_classification(JsonBuilder *builder, const PhClassification *c)
{
    ShowRow rows[SHOW_ROWS];

    show_rows(c, rows);
    for (size_t i = 0; i < SHOW_ROWS; i++)
        show_string(builder, rows[i].name, rows[i].word);
    show_ports(builder, c);
    json_builder_set_member_name(builder, "why");
    json_builder_begin_object(builder);
    for (size_t i = 0; i < SHOW_ROWS; i++) {
        if (rows[i].why)
            show_string(builder, rows[i].name, rows[i].why);
    }
    json_builder_end_object(builder);
    show_int(builder, "console-type", ph_class_console(c->nat_class));
    show_string(builder, "console", ph_console_name(ph_class_console(c->nat_class)));
    show_string(builder, "sentence", ph_classification_sentence(c));
    show_address(builder, "local", &c->local);
    show_address(builder, "external", &c->mapped);
    show_seconds(builder, "rtt_s", c->rtt_ns);
    show_seconds(builder, "duration_s", c->took_ns);
}

/* Writes the number that `at` begins with, and returns what follows. Nanoseconds are enough for
 * seconds; json-glib writes all 17 digits that a double may have. */
static const char *put_number(const char *at, GString *out)
{
    size_t length = strspn(at, "-+.0123456789eE");
    char text[64];

    if (length == strspn(at, "-0123456789")) {
        g_string_append_len(out, at, (gssize)length);
        return at + length;
    }
    g_ascii_formatd(text, sizeof(text), "%.9f", g_ascii_strtod(at, NULL));
    for (size_t end = strlen(text); text[end - 1] == '0' && text[end - 2] != '.'; end--)
        text[end - 1] = '\0';
    g_string_append(out, text);
    return at + length;
}

static char *round_numbers(const char *json)
{
    GString *out = g_string_new(NULL);
    gboolean quoted = FALSE;

    while (*json) {
        if (!quoted && (*json == '-' || g_ascii_isdigit(*json))) {
            json = put_number(json, out);
            continue;
        }
        if (*json == '"')
            quoted = !quoted;
        else if (*json == '\\' && quoted)
            g_string_append_c(out, *json++);
        g_string_append_c(out, *json++);
    }
    return g_string_free(out, FALSE);
}

char *show_to_text(JsonBuilder *builder, gboolean pretty)
{
    g_autoptr(JsonNode) root = json_builder_get_root(builder);
    g_autofree char *json = json_to_string(root, pretty), *text = round_numbers(json);

    return g_strconcat(text, "\n", NULL);
}

char *show_gap(uint64_t lost)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();

    json_builder_begin_object(builder);
    show_head(builder, "gap");
    show_int(builder, "events-dropped", (gint64)lost);
    json_builder_end_object(builder);
    return show_to_text(builder, /* pretty= */ FALSE);
}

void show_json(JsonBuilder *builder, gboolean pretty)
{
    g_autofree char *text = show_to_text(builder, pretty);

    fputs(text, stdout);
    fflush(stdout); /* a failure is told at the end */
}
