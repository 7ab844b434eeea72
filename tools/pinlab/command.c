/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Options, help and version, in the shape that help2man reads. */
#include "pinlab/command.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "topology/topology.h"
#include "topology/units.h"

/* Characters: whatever was typed, the message can be read. */
#define MESSAGE_MAX 2000

static void replace(GString *text, const char *from, const char *to)
{
    g_string_replace(text, from, to, 1);
}

/* GLib writes "Usage:" on a line of its own and an ellipsis; help2man wants GNU's shape. */
static void print_help(GOptionContext *context)
{
    g_autofree char *help = g_option_context_get_help(context, TRUE, NULL);
    g_autoptr(GString) text = g_string_new(help);

    replace(text, "Usage:\n  ", "Usage: ");
    replace(text, "[OPTION\342\200\246]", "[OPTION]...");
    replace(text, "Application Options:", "Options:");
    fputs(text->str, stdout);
}

/* The option that a word is the name of and nothing more, `-j` or `--jobs`, if it takes a value. */
static const GOptionEntry *find_valued(const GOptionEntry *entries, const char *word)
{
    for (; entries && entries->long_name; entries++) {
        gboolean is_short = word[0] == '-' && word[1] && word[1] == entries->short_name && !word[2];
        gboolean is_long =
            g_str_has_prefix(word, "--") && strcmp(word + 2, entries->long_name) == 0;

        if (entries->arg != G_OPTION_ARG_NONE && (is_short || is_long))
            return entries;
    }
    return NULL;
}

/* GOption knows `-j 1` but not `-j1`, which here becomes `--jobs=1`. */
static char **detach_values(const GOptionEntry *entries, int argc, char **argv)
{
    GPtrArray *words = g_ptr_array_new();
    gboolean is_value = FALSE, all_options = TRUE;

    for (int i = 0; i < argc; i++) {
        const char *word = argv[i];
        const char name[] = {'-', word[0] ? word[1] : '\0', '\0'};
        const GOptionEntry *entry = NULL;

        all_options &= is_value || strcmp(word, "--") != 0;
        if (all_options && !is_value && word[0] == '-' && name[1] && word[2])
            entry = find_valued(entries, name);
        is_value = all_options && !is_value && find_valued(entries, word);
        g_ptr_array_add(words, entry ? g_strdup_printf("--%s=%s", entry->long_name, word + 2)
                                     : g_strdup(word));
    }
    g_ptr_array_add(words, NULL);
    return (char **)g_ptr_array_free(words, FALSE);
}

int command_refuse(const char *format, ...)
{
    g_autofree char *text = NULL, *shown = NULL;
    va_list arguments;

    va_start(arguments, format);
    text = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    shown = pl_printable(text, MESSAGE_MAX);
    fprintf(stderr, "pinlab: %s\n", shown);
    return EXIT_INPUT;
}

int command_status(const GError *error)
{
    if (g_error_matches(error, PL_ERROR, PL_ERROR_INPUT))
        return EXIT_INPUT;
    return g_error_matches(error, PL_ERROR, PL_ERROR_UNSUPPORTED) ? EXIT_SKIPPED : EXIT_FAILURE;
}

/* GLib does not name the option whose value cannot be read in the system's encoding. */
static int refuse_to_parse(char **argv, const GError *error, const char *name)
{
    for (int i = 1; error->domain == G_CONVERT_ERROR && argv[i]; i++) {
        const char *option = *argv[i] == '-' ? argv[i] : argv[i - 1];

        if (!g_str_is_ascii(argv[i]))
            return command_refuse("%.*s: expected a value in ASCII (see %s --help)",
                                  (int)strcspn(option, "="), option, name);
    }
    return command_refuse("%s (see %s --help)", error->message, name);
}

gboolean command_parse(const Command *command, const GOptionEntry *entries, int argc, char **argv,
                       char ***ret_arguments, int *ret_status)
{
    gboolean help = FALSE, version = FALSE;
    g_auto(GStrv) rest = NULL;
    const GOptionEntry common[] = {
        {"help", 'h', 0, G_OPTION_ARG_NONE, &help, "Show this help", NULL},
        {"version", 0, 0, G_OPTION_ARG_NONE, &version, "Show the version", NULL},
        {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &rest, NULL, NULL},
        {0},
    };
    g_autoptr(GOptionContext) context = g_option_context_new(command->parameters);
    g_auto(GStrv) words = detach_values(entries, argc, argv);
    g_autofree char *name =
        command->name ? g_strdup_printf("pinlab %s", command->name) : g_strdup("pinlab");
    g_autoptr(GError) error = NULL;

    g_set_prgname(name);
    g_option_context_set_help_enabled(context, FALSE);
    g_option_context_set_strict_posix(context, command->has_command);
    g_option_context_set_summary(context, command->summary);
    g_option_context_set_description(context, command->description);
    if (entries)
        g_option_context_add_main_entries(context, entries, NULL);
    g_option_context_add_main_entries(context, common, NULL);
    if (!g_option_context_parse_strv(context, &words, &error)) {
        *ret_status = refuse_to_parse(argv, error, name);
        return FALSE;
    }
    if (help)
        print_help(context);
    else if (version)
        puts("pinlab " PL_VERSION);
    if (help || version) {
        *ret_status = EXIT_SUCCESS;
        return FALSE;
    }
    *ret_arguments = rest ? g_steal_pointer(&rest) : g_new0(char *, 1);
    return TRUE;
}
