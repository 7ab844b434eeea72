/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pinlab labs: which labs stand? */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine/names.h"
#include "pinlab/command.h"
#include "scenario/json.h"
#include "session/registry.h"
#include "topology/units.h"

static const Command command = {
    .name = "labs",
    .parameters = "",
    .summary = "Show the labs that stand.\n"
               "\n"
               "Those of this user, each with its topology and seed. They are found by files in\n"
               "/tmp/pinlab-UID, or root's in /run/pinlab/labs. What is left of labs whose\n"
               "processes were killed is removed, here and by every command that has to do with\n"
               "labs.",
    .description = "Examples:\n"
                   "  pinlab labs\n"
                   "  pinlab labs --json | jq .labs[].name\n",
};

/* What a lab published of itself; NULL while it is being built. */
static GKeyFile *info_of(const char *name)
{
    g_autofree char *text = pl_registry_info(name);
    g_autoptr(GKeyFile) info = g_key_file_new();

    if (!text || !g_key_file_load_from_data(info, text, (gsize)-1, G_KEY_FILE_NONE, NULL))
        return NULL;
    return g_steal_pointer(&info);
}

static char *get(GKeyFile *info, const char *key)
{
    char *text = info ? g_key_file_get_string(info, "lab", key, NULL) : NULL;

    return text ? text : g_strdup("");
}

/* The name that the topology's file has. */
static char *topology_of(GKeyFile *info)
{
    g_autofree char *path = get(info, "topology"), *file = g_path_get_basename(path);

    if (g_str_has_suffix(file, ".ini"))
        file[strlen(file) - strlen(".ini")] = '\0';
    return pl_printable(info ? file : "", PATH_MAX);
}

static size_t longest(const GPtrArray *words, size_t least)
{
    for (guint i = 0; i < words->len; i++)
        least = MAX(least, strlen(g_ptr_array_index(words, i)));
    return least;
}

static void print_table(const GPtrArray *names)
{
    g_autoptr(GPtrArray) topologies = g_ptr_array_new_with_free_func(g_free);
    size_t width = longest(names, strlen("name")), topology_width;

    for (guint i = 0; i < names->len; i++) {
        g_autoptr(GKeyFile) info = info_of(g_ptr_array_index(names, i));

        g_ptr_array_add(topologies, topology_of(info));
    }
    topology_width = longest(topologies, strlen("topology"));
    printf("%-*s  %-*s  %-16s  title\n", (int)width, "name", (int)topology_width, "topology",
           "seed");
    for (guint i = 0; i < names->len; i++) {
        const char *name = g_ptr_array_index(names, i);
        g_autoptr(GKeyFile) info = info_of(name);
        g_autofree char *seed = get(info, "seed"), *title = get(info, "title");

        printf("%-*s  %-*s  %-16s  %s\n", (int)width, name, (int)topology_width,
               (char *)g_ptr_array_index(topologies, i), seed, info ? title : "(being built)");
    }
}

static void print_json(const GPtrArray *names)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();
    g_autoptr(JsonNode) node = NULL;
    g_autofree char *text = NULL;

    json_builder_begin_object(builder);
    json_builder_set_member_name(builder, "labs");
    json_builder_begin_array(builder);
    for (guint i = 0; i < names->len; i++) {
        const char *name = g_ptr_array_index(names, i);
        g_autoptr(GKeyFile) info = info_of(name);
        g_autofree char *topology = get(info, "topology");

        json_builder_begin_object(builder);
        json_builder_set_member_name(builder, "name");
        json_builder_add_string_value(builder, name);
        json_builder_set_member_name(builder, "ready");
        json_builder_add_boolean_value(builder, info != NULL);
        if (info) {
            json_builder_set_member_name(builder, "topology");
            json_builder_add_string_value(builder, topology);
            json_builder_set_member_name(builder, "seed");
            json_builder_add_int_value(builder,
                                       (gint64)g_key_file_get_uint64(info, "lab", "seed", NULL));
            json_builder_set_member_name(builder, "since");
            json_builder_add_int_value(builder, g_key_file_get_int64(info, "lab", "since", NULL));
            json_builder_set_member_name(builder, "pid");
            json_builder_add_int_value(builder, g_key_file_get_integer(info, "lab", "pid", NULL));
        }
        json_builder_end_object(builder);
    }
    json_builder_end_array(builder);
    json_builder_end_object(builder);
    node = json_builder_get_root(builder);
    text = pl_json_pretty(node);
    fputs(text, stdout);
}

int command_labs(int argc, char **argv)
{
    gboolean json = FALSE;
    const GOptionEntry entries[] = {
        {"json", 0, 0, G_OPTION_ARG_NONE, &json, "Show them as JSON", NULL},
        {0},
    };
    g_auto(GStrv) arguments = NULL;
    g_autoptr(GPtrArray) names = NULL;
    g_autoptr(GError) error = NULL;
    int status;

    if (!command_parse(&command, entries, argc, argv, &arguments, &status))
        return status;
    if (*arguments)
        return command_refuse("labs takes no arguments (see pinlab labs --help)");
    pl_names_sweep();
    names = pl_registry_list(&error);
    if (!names)
        return command_refuse("%s", error->message);
    if (json)
        print_json(names);
    else
        print_table(names);
    return EXIT_SUCCESS;
}
