/* SPDX-License-Identifier: MIT */
/* pinhole classify: behind what kind of NAT is this host? */
#include <json-glib/json-glib.h>
#include <pinhole/classify.h>
#include <stdio.h>
#include <stdlib.h>

#include "command.h"

#define NS_PER_S 1e9

static const Command command = {
    .name = "classify",
    .summary =
        "Say behind what kind of NAT this host is.\n"
        "\n"
        "It asks a server: a pinhole hub, or any STUN server. One that has two addresses can\n"
        "tell everything (RFC 5780), another what it can; what stays unknown is said with the\n"
        "reason. It takes less than a second mostly, and 30 s at most.",
    .description =
        "HOST is a name or an address, an IPv6 one in brackets when a PORT follows; PORT is 3478\n"
        "where it is not given.\n"
        "\n"
        "Examples:\n"
        "  pinhole classify --server hub.example\n"
        "  pinhole classify --server 203.0.113.10:3478 --json\n"
        "\n" COMMAND_EXIT_STATUS
        "  3                      The class is unknown; the output says why\n",
};

typedef struct Outcome {
    gboolean done;
    PhClassification classification;
    PhAddress server;
    GError *error;
} Outcome;

/* A row of the result: an axis, or the class. */
typedef struct Row {
    const char *name, *word, *why;
} Row;

#define ROWS 6

static void make_rows(const PhClassification *c, Row rows[static ROWS])
{
    const Row all[ROWS] = {
        {"class", ph_class_name(c->nat_class), c->why.nat_class},
        {"mapping", ph_mapping_name(c->mapping), c->why.mapping},
        {"filtering", ph_filtering_name(c->filtering), c->why.filtering},
        {"port-allocation", ph_port_allocation_name(c->port_allocation), c->why.port_allocation},
        {"pooling", ph_pooling_name(c->pooling), c->why.pooling},
        {"hairpin", ph_hairpin_name(c->hairpin), c->why.hairpin},
    };

    for (size_t i = 0; i < ROWS; i++)
        rows[i] = all[i];
}

static void add_string(JsonBuilder *builder, const char *name, const char *value)
{
    json_builder_set_member_name(builder, name);
    if (value)
        json_builder_add_string_value(builder, value);
    else
        json_builder_add_null_value(builder);
}

static void add_int(JsonBuilder *builder, const char *name, gint64 value)
{
    json_builder_set_member_name(builder, name);
    json_builder_add_int_value(builder, value);
}

static void add_address(JsonBuilder *builder, const char *name, const PhAddress *address)
{
    char text[PH_ADDRESS_TEXT_MAX];

    add_string(builder, name,
               address->family == PH_FAMILY_NONE ? NULL : ph_address_format(address, text));
}

static void add_seconds(JsonBuilder *builder, const char *name, uint64_t ns)
{
    json_builder_set_member_name(builder, name);
    if (ns > 0)
        json_builder_add_double_value(builder, (double)ns / NS_PER_S);
    else
        json_builder_add_null_value(builder);
}

static void add_ports(JsonBuilder *builder, const PhClassification *c)
{
    if (c->port_allocation == PH_PORT_ALLOCATION_SEQUENTIAL) {
        add_int(builder, "step", c->step);
        add_int(builder, "predicted-port", c->predicted_port);
    }
    if (c->port_allocation == PH_PORT_ALLOCATION_BLOCK) {
        add_int(builder, "block-first", c->block_first);
        add_int(builder, "block-last", c->block_last);
    }
}

static void show_json(const Outcome *outcome)
{
    const PhClassification *c = &outcome->classification;
    g_autoptr(JsonBuilder) builder = json_builder_new();
    g_autoptr(JsonNode) root = NULL;
    g_autofree char *text = NULL;
    Row rows[ROWS];

    make_rows(c, rows);
    json_builder_begin_object(builder);
    add_int(builder, "schema", 1);
    for (size_t i = 0; i < ROWS; i++)
        add_string(builder, rows[i].name, rows[i].word);
    add_ports(builder, c);
    json_builder_set_member_name(builder, "why");
    json_builder_begin_object(builder);
    for (size_t i = 0; i < ROWS; i++) {
        if (rows[i].why)
            add_string(builder, rows[i].name, rows[i].why);
    }
    json_builder_end_object(builder);
    add_int(builder, "console-type", ph_class_console(c->nat_class));
    add_string(builder, "console", ph_console_name(ph_class_console(c->nat_class)));
    add_string(builder, "sentence", ph_class_sentence(c->nat_class));
    add_address(builder, "server", &outcome->server);
    add_address(builder, "local", &c->local);
    add_address(builder, "external", &c->mapped);
    add_seconds(builder, "rtt_s", c->rtt_ns);
    add_seconds(builder, "duration_s", c->took_ns);
    json_builder_end_object(builder);
    root = json_builder_get_root(builder);
    text = json_to_string(root, TRUE);
    puts(text);
}

static void show_text(const Outcome *outcome)
{
    const PhClassification *c = &outcome->classification;
    PhConsole console = ph_class_console(c->nat_class);
    char text[PH_ADDRESS_TEXT_MAX];
    Row rows[ROWS];

    make_rows(c, rows);
    for (size_t i = 0; i < ROWS; i++)
        printf("%-16s %s%s%s%s\n", rows[i].name, rows[i].word, rows[i].why ? " (" : "",
               rows[i].why ? rows[i].why : "", rows[i].why ? ")" : "");
    printf("%-16s %s\n", "external", ph_address_format(&c->mapped, text));
    if (console == PH_CONSOLE_UNKNOWN)
        printf("%-16s unknown\n", "console");
    else
        printf("%-16s type %d (%s)\n", "console", (int)console, ph_console_name(console));
    printf("\n%s\n", ph_class_sentence(c->nat_class));
}

static void take_outcome(GObject *object G_GNUC_UNUSED, GAsyncResult *result, gpointer data)
{
    Outcome *outcome = data;

    ph_classify_server_finish(result, &outcome->classification, &outcome->server, &outcome->error);
    outcome->done = TRUE;
}

int command_classify(int argc, char **argv)
{
    g_autofree char *server = NULL;
    g_auto(GStrv) arguments = NULL;
    gboolean json = FALSE;
    const GOptionEntry entries[] = {
        {"server", 's', 0, G_OPTION_ARG_STRING, &server, "The server to ask", "HOST[:PORT]"},
        {"json", 'j', 0, G_OPTION_ARG_NONE, &json, "Write the result as JSON", NULL},
        {0},
    };
    g_autoptr(GError) error = NULL;
    Outcome outcome = {0};
    int status;

    if (!command_parse(&command, entries, argc, argv, &arguments, &status))
        return status;
    if (*arguments || !server)
        return command_fail(EXIT_ARGUMENTS, "classify takes --server HOST[:PORT], and no arguments "
                                            "(see pinhole classify --help)");
    ph_classify_server_async(server, PH_CLASSIFY_REPORT, NULL, take_outcome, &outcome);
    while (!outcome.done)
        g_main_context_iteration(NULL, TRUE);
    error = outcome.error;
    if (error)
        return command_fail(g_error_matches(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT)
                                ? EXIT_ARGUMENTS
                                : EXIT_FAILURE,
                            "--server %s: %s", server, error->message);
    if (json)
        show_json(&outcome);
    else
        show_text(&outcome);
    return outcome.classification.nat_class == PH_CLASS_UNKNOWN ? EXIT_UNKNOWN : EXIT_SUCCESS;
}
