/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * GKeyFile reads the values. It merges groups and keys that stand twice without a word, and knows
 * no lines, so the text is gone through once before.
 */
#include "topology/ini.h"

#include <limits.h>
#include <string.h>

#include "topology/units.h"

/* Of messages, in characters: names that are right are shorter, and so is all that is said of a
 * mistake, but for the value that it may repeat. */
#define NAME_SHOWN 80
#define WHAT_SHOWN 640

struct PlIni {
    char *path;
    GPtrArray *groups;  /* char *, owned; NULL-terminated once parsed */
    GPtrArray *keys;    /* char *, owned: "group\nkey", in file order */
    GHashTable *lines;  /* "group" or "group\nkey" -> line number */
    GHashTable *values; /* "group\nkey" -> text */
};

static char *joined(const char *group, const char *key)
{
    return g_strconcat(group, "\n", key, NULL);
}

static unsigned line_of(const PlIni *ini, const char *group, const char *key)
{
    g_autofree char *both = key ? joined(group, key) : NULL;
    unsigned line = both ? GPOINTER_TO_UINT(g_hash_table_lookup(ini->lines, both)) : 0;

    return line ? line : GPOINTER_TO_UINT(g_hash_table_lookup(ini->lines, group));
}

void pl_ini_set_error(const PlIni *ini, const char *group, const char *key, GError **error,
                      const char *format, ...)
{
    g_autofree char *what = NULL, *shown = NULL;
    g_autofree char *shown_path = pl_printable(ini->path, PATH_MAX);
    g_autofree char *shown_group = group ? pl_printable(group, NAME_SHOWN) : NULL;
    g_autofree char *shown_key = key ? pl_printable(key, NAME_SHOWN) : NULL;
    g_autoptr(GString) text = g_string_new(shown_path);
    unsigned line = group ? line_of(ini, group, key) : 0;
    va_list arguments;

    va_start(arguments, format);
    what = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    shown = pl_printable(what, WHAT_SHOWN);

    if (line)
        g_string_append_printf(text, ":%u", line);
    g_string_append(text, ": ");
    if (group)
        g_string_append_printf(text, key ? "[%s] " : "[%s]: ", shown_group);
    if (group && key)
        g_string_append_printf(text, "%s: ", shown_key);
    g_set_error(error, PL_ERROR, PL_ERROR_INPUT, "%s%s", text->str, shown);
}

static gboolean fail_line(const PlIni *ini, unsigned line, GError **error, const char *what)
{
    g_autofree char *path = pl_printable(ini->path, PATH_MAX);

    g_set_error(error, PL_ERROR, PL_ERROR_INPUT, "%s:%u: %s", path, line, what);
    return FALSE;
}

/* Remembers where something stands; fails when it stands twice. */
static gboolean note(PlIni *ini, unsigned line, const char *group, const char *key, GError **error)
{
    g_autofree char *name = key ? joined(group, key) : g_strdup(group);
    unsigned before = GPOINTER_TO_UINT(g_hash_table_lookup(ini->lines, name));

    if (before) {
        g_autofree char *path = pl_printable(ini->path, PATH_MAX);
        g_autofree char *shown_group = pl_printable(group, NAME_SHOWN);
        g_autofree char *shown_key = pl_printable(key ? key : "", NAME_SHOWN);

        g_set_error(error, PL_ERROR, PL_ERROR_INPUT,
                    key ? "%s:%u: [%s] %s: stands twice (expected once; the first is on line %u)"
                        : "%s:%u: [%s]%s: stands twice (expected once; the first is on line %u)",
                    path, line, shown_group, shown_key, before);
        return FALSE;
    }
    g_ptr_array_add(key ? ini->keys : ini->groups, g_strdup(name));
    g_hash_table_insert(ini->lines, g_steal_pointer(&name), GUINT_TO_POINTER(line));
    return TRUE;
}

/* One line, stripped. `group` is the one it stands in, or NULL. */
static gboolean scan_line(PlIni *ini, unsigned number, char *line, const char **group,
                          GError **error)
{
    char *equals = strchr(line, '=');

    if (line[0] == '\0' || line[0] == '#')
        return TRUE;
    if (line[0] == '[') {
        gsize length = strlen(line);

        if (length < 3 || line[length - 1] != ']' || strpbrk(line + 1, "[]") != line + length - 1)
            return fail_line(ini, number, error, "not a group (expected [NAME])");
        if (strchr(line, '\t'))
            return fail_line(ini, number, error,
                             "a tab in a group (expected a space between its words)");
        line[length - 1] = '\0';
        if (!note(ini, number, line + 1, NULL, error))
            return FALSE;
        *group = g_ptr_array_index(ini->groups, ini->groups->len - 1);
        return TRUE;
    }
    if (!equals || equals == line)
        return fail_line(ini, number, error,
                         "neither a group, a key nor a comment (expected "
                         "[GROUP], KEY = VALUE or # COMMENT)");
    if (!*group)
        return fail_line(ini, number, error,
                         "a key before the first group (expected [topology] above it)");
    *equals = '\0';
    g_strchomp(line);
    if (strpbrk(line, "[]"))
        return fail_line(ini, number, error, "brackets in a key (expected KEY = VALUE)");
    return note(ini, number, *group, line, error);
}

/* Tabs are space, and a carriage return may end a line. */
static gboolean check_characters(const PlIni *ini, unsigned number, const char *line,
                                 GError **error)
{
    for (const char *c = line; *c; c = g_utf8_next_char(c)) {
        if (*c == '\r' && c[1] != '\0')
            return fail_line(ini, number, error,
                             "a carriage return within a line (expected lines that end with LF or "
                             "CR LF)");
        if (g_unichar_iscntrl(g_utf8_get_char(c)) && *c != '\t' && *c != '\r')
            return fail_line(ini, number, error, "a control character (expected text)");
    }
    return TRUE;
}

static gboolean scan(PlIni *ini, const char *text, gsize length, GError **error)
{
    static const char mark[] = "\xef\xbb\xbf";
    g_auto(GStrv) lines = NULL;
    g_autofree char *copy = NULL;
    const char *group = NULL, *bad;

    if (length > PL_FILE_MAX_BYTES)
        return pl_ini_fail(ini, NULL, NULL, error,
                           "the file is too large (expected at most 1 MiB)");
    if (length >= strlen(mark) && memcmp(text, mark, strlen(mark)) == 0)
        return fail_line(ini, 1, error,
                         "a byte order mark before the text (expected UTF-8 without one)");
    if (memchr(text, '\0', length))
        return pl_ini_fail(ini, NULL, NULL, error, "a NUL byte in the file (expected text)");
    if (!g_utf8_validate(text, (gssize)length, &bad))
        return pl_ini_fail(ini, NULL, NULL, error,
                           "not UTF-8 at byte %" G_GSIZE_FORMAT " (expected UTF-8 text)",
                           (gsize)(bad - text));
    copy = g_strndup(text, length);
    lines = g_strsplit(copy, "\n", -1);
    for (unsigned i = 0; lines[i]; i++) {
        if (!check_characters(ini, i + 1, lines[i], error) ||
            !scan_line(ini, i + 1, g_strstrip(lines[i]), &group, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean take_values(PlIni *ini, const char *text, gsize length, GError **error)
{
    g_autoptr(GKeyFile) file = g_key_file_new();
    g_autoptr(GError) cause = NULL;

    if (!g_key_file_load_from_data(file, text, length, G_KEY_FILE_NONE, &cause))
        return pl_ini_fail(ini, NULL, NULL, error, "%s (expected groups, keys and comments)",
                           cause->message);
    for (unsigned i = 0; i < ini->keys->len; i++) {
        const char *both = g_ptr_array_index(ini->keys, i);
        const char *key = strchr(both, '\n') + 1;
        g_autofree char *group = g_strndup(both, (gsize)(key - both - 1));
        char *value = g_key_file_get_value(file, group, key, &cause);

        if (!value)
            return pl_ini_fail(ini, group, key, error, "%s", cause->message);
        g_hash_table_insert(ini->values, g_strdup(both), g_strstrip(value));
    }
    return TRUE;
}

PlIni *pl_ini_parse(const char *path, const char *text, gsize length, GError **error)
{
    g_autoptr(PlIni) ini = g_new0(PlIni, 1);

    ini->path = g_strdup(path);
    ini->groups = g_ptr_array_new_with_free_func(g_free);
    ini->keys = g_ptr_array_new_with_free_func(g_free);
    ini->lines = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    ini->values = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    if (!scan(ini, text, length, error) ||
        (ini->groups->len > 0 && !take_values(ini, text, length, error)))
        return NULL;
    g_ptr_array_add(ini->groups, NULL);
    return g_steal_pointer(&ini);
}

void pl_ini_free(PlIni *ini)
{
    if (!ini)
        return;
    g_free(ini->path);
    g_ptr_array_unref(ini->groups);
    g_ptr_array_unref(ini->keys);
    g_hash_table_unref(ini->lines);
    g_hash_table_unref(ini->values);
    g_free(ini);
}

const char *pl_ini_path(const PlIni *ini)
{
    return ini->path;
}

const char *const *pl_ini_groups(const PlIni *ini)
{
    return (const char *const *)ini->groups->pdata;
}

gboolean pl_ini_has_group(const PlIni *ini, const char *group)
{
    return g_hash_table_contains(ini->lines, group);
}

const char **pl_ini_keys(const PlIni *ini, const char *group)
{
    GPtrArray *keys = g_ptr_array_new();
    gsize length = strlen(group);

    for (unsigned i = 0; i < ini->keys->len; i++) {
        const char *both = g_ptr_array_index(ini->keys, i);

        if (strncmp(both, group, length) == 0 && both[length] == '\n')
            g_ptr_array_add(keys, (gpointer)(both + length + 1));
    }
    g_ptr_array_add(keys, NULL);
    return (const char **)g_ptr_array_free(keys, /* free_segment= */ FALSE);
}

const char *pl_ini_get(const PlIni *ini, const char *group, const char *key)
{
    g_autofree char *both = joined(group, key);

    return g_hash_table_lookup(ini->values, both);
}
