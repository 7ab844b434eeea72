/* SPDX-License-Identifier: MIT */
/* Options, help and version, in the shape that help2man reads. */
#include "command.h"

#include <pinhole/version.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char *command_printable(const char *text)
{
    g_autofree char *valid = g_utf8_make_valid(text, -1);
    GString *shown = g_string_new(NULL);

    for (const char *i = valid; *i; i = g_utf8_next_char(i)) {
        gunichar c = g_utf8_get_char(i);

        if (g_unichar_isprint(c))
            g_string_append_unichar(shown, c);
        else
            g_string_append_printf(shown, "\\x%02x", c);
    }
    return g_string_free(shown, FALSE);
}

int command_fail(int status, const char *format, ...)
{
    g_autofree char *text = NULL, *shown = NULL;
    va_list arguments;

    va_start(arguments, format);
    text = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    shown = command_printable(text);
    fprintf(stderr, "pinhole: %s\n", shown);
    return status;
}

int command_fail_output(int status, int number)
{
    return command_fail(status, "cannot write to standard output: %s", g_strerror(number));
}

static int status_of(const GError *error)
{
    return g_error_matches(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT) ? EXIT_ARGUMENTS
                                                                           : EXIT_FAILURE;
}

int command_fail_error(const GError *error)
{
    return command_fail(status_of(error), "%s", error->message);
}

int command_fail_server(const char *server, const GError *error)
{
    return command_fail(status_of(error), "--server %s: %s", server, error->message);
}

gboolean command_colours(void)
{
    const char *no_colour = g_getenv("NO_COLOR"), *terminal = g_getenv("TERM");

    return isatty(STDOUT_FILENO) && !(no_colour && *no_colour) && g_strcmp0(terminal, "dumb") != 0;
}

gboolean command_duration(const char *option, const char *text, uint64_t *ret_ns, GError **error)
{
    static const struct {
        const char *name;
        uint64_t ns;
    } units[] = {
        {"ms", 1000000},
        {"s", UINT64_C(1000000000)},
        {"min", UINT64_C(60000000000)},
        {"h", UINT64_C(3600000000000)},
    };
    const uint64_t most = 7 * 24 * units[3].ns;
    char *end = NULL;
    uint64_t number = g_ascii_isdigit(*text) ? g_ascii_strtoull(text, &end, 10) : 0;

    for (size_t i = 0; number > 0 && i < G_N_ELEMENTS(units); i++) {
        if (strcmp(end, units[i].name) == 0 && number <= most / units[i].ns) {
            *ret_ns = number * units[i].ns;
            return TRUE;
        }
    }
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                "%s %s: expected a time such as 250ms, 30s, 5min or 2h, a week at most", option,
                text);
    return FALSE;
}

/* GLib's own help has "Usage:" on a line by itself, and an ellipsis that is no ASCII. */
static void show_help(GOptionContext *context)
{
    g_autofree char *help = g_option_context_get_help(context, TRUE, NULL);
    g_autoptr(GString) text = g_string_new(help);

    g_string_replace(text, "Usage:\n  ", "Usage: ", 1);
    g_string_replace(text, "[OPTION\342\200\246]", "[OPTION]...", 1);
    g_string_replace(text, "Application Options:", "Options:", 1);
    fputs(text->str, stdout);
}

/* GLib does not name the option whose value cannot be read in the system's encoding. */
static int fail_to_parse(char **argv, const GError *error, const char *name)
{
    for (int i = 1; error->domain == G_CONVERT_ERROR && argv[i]; i++) {
        const char *option = *argv[i] == '-' ? argv[i] : argv[i - 1];

        if (!g_str_is_ascii(argv[i]))
            return command_fail(EXIT_ARGUMENTS, "%.*s: expected a value in ASCII (see %s --help)",
                                (int)strcspn(option, "="), option, name);
    }
    return command_fail(EXIT_ARGUMENTS, "%s (see %s --help)", error->message, name);
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
    g_autofree char *name =
        command->name ? g_strdup_printf("pinhole %s", command->name) : g_strdup("pinhole");
    g_autoptr(GError) error = NULL;
    g_auto(GStrv) words = g_new0(char *, (gsize)argc + 1);

    for (int i = 0; i < argc; i++)
        words[i] = g_strdup(argv[i]);
    g_set_prgname(name);
    g_option_context_set_help_enabled(context, FALSE);
    g_option_context_set_summary(context, command->summary);
    g_option_context_set_description(context, command->description);
    if (entries)
        g_option_context_add_main_entries(context, entries, NULL);
    g_option_context_add_main_entries(context, common, NULL);
    *ret_status = EXIT_SUCCESS;
    if (!g_option_context_parse_strv(context, &words, &error))
        *ret_status = fail_to_parse(argv, error, name);
    else if (help)
        show_help(context);
    else if (version)
        printf("pinhole %s\n", ph_version());
    if (error || help || version)
        return FALSE;
    *ret_arguments = rest ? g_steal_pointer(&rest) : g_new0(char *, 1);
    return TRUE;
}
