/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Typed readers over an INI file: what is wrong, and what was expected. */
#include <string.h>

#include "topology/ini.h"
#include "topology/units.h"

char *pl_expected_words(const char *word, const char *const *words, gsize n_words)
{
    g_autoptr(GString) text = g_string_new("(expected ");
    const char *near = pl_nearest(word, words, n_words);

    for (gsize i = 0; i < n_words; i++)
        g_string_append_printf(text, "%s%s",
                               i == 0             ? ""
                               : i + 1 == n_words ? " or "
                                                  : ", ",
                               words[i]);
    if (near)
        g_string_append_printf(text, "; did you mean \"%s\"?", near);
    g_string_append_c(text, ')');
    return g_string_free(g_steal_pointer(&text), /* free_segment= */ FALSE);
}

gboolean pl_ini_only(const PlIni *ini, const char *group, const char *const *keys, gsize n_keys,
                     GError **error)
{
    g_autofree const char **present = pl_ini_keys(ini, group);

    for (unsigned i = 0; present[i]; i++) {
        g_autofree char *expected = NULL;
        gboolean known = FALSE;

        for (gsize k = 0; k < n_keys && !known; k++)
            known = strcmp(present[i], keys[k]) == 0;
        if (known)
            continue;
        expected = pl_expected_words(present[i], keys, n_keys);
        return pl_ini_fail(ini, group, present[i], error, "unknown key %s", expected);
    }
    return TRUE;
}

gboolean pl_ini_need(const PlIni *ini, const char *group, const char *key, const char *expected,
                     const char **ret_value, GError **error)
{
    const char *value = pl_ini_get(ini, group, key);

    if (!value)
        return pl_ini_fail(ini, group, key, error, "missing (expected %s)", expected);
    if (!*value)
        return pl_ini_fail(ini, group, key, error, "empty (expected %s)", expected);
    *ret_value = value;
    return TRUE;
}

gboolean pl_ini_word(const PlIni *ini, const char *group, const char *key, const char *const *words,
                     unsigned n_words, unsigned *value, GError **error)
{
    const char *text = pl_ini_get(ini, group, key);
    g_autofree char *expected = NULL;

    if (!text)
        return TRUE;
    for (unsigned i = 0; i < n_words; i++) {
        if (strcmp(text, words[i]) == 0) {
            *value = i;
            return TRUE;
        }
    }
    expected = pl_expected_words(text, words, n_words);
    return pl_ini_fail(ini, group, key, error, "unknown word \"%s\" %s", text, expected);
}

gboolean pl_ini_yes(const PlIni *ini, const char *group, const char *key, gboolean *value,
                    GError **error)
{
    static const char *const words[] = {"no", "yes"};
    unsigned word = (unsigned)*value;

    if (!pl_ini_word(ini, group, key, words, 2, &word, error))
        return FALSE;
    *value = word != 0;
    return TRUE;
}

gboolean pl_ini_number(const PlIni *ini, const char *group, const char *key, uint64_t min,
                       uint64_t max, unsigned *value, GError **error)
{
    const char *text = pl_ini_get(ini, group, key);
    uint64_t number;

    if (!text)
        return TRUE;
    if (!pl_number_parse(text, min, max, &number))
        return pl_ini_fail(ini, group, key, error,
                           "bad number \"%s\" (expected %" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT
                           ")",
                           text, min, max);
    *value = (unsigned)number;
    return TRUE;
}

gboolean pl_ini_duration(const PlIni *ini, const char *group, const char *key, uint64_t min_ns,
                         uint64_t max_ns, uint64_t *value, GError **error)
{
    const char *text = pl_ini_get(ini, group, key);
    uint64_t ns;

    if (!text)
        return TRUE;
    if (!pl_duration_parse(text, &ns) || ns < min_ns || ns > max_ns) {
        g_autofree char *min = pl_duration_format(min_ns), *max = pl_duration_format(max_ns);

        return pl_ini_fail(ini, group, key, error,
                           "bad duration \"%s\" (expected %s to %s, with unit ns, us, ms, s or "
                           "min, such as 30s)",
                           text, min, max);
    }
    *value = ns;
    return TRUE;
}

gboolean pl_ini_list(const PlIni *ini, const char *group, const char *key, char ***ret_items,
                     GError **error)
{
    const char *text = pl_ini_get(ini, group, key);
    g_auto(GStrv) items = NULL;

    if (!text) {
        *ret_items = NULL;
        return TRUE;
    }
    items = pl_list_split(text);
    if (!items[0])
        return pl_ini_fail(ini, group, key, error, "empty (expected a list, such as A, B)");
    for (unsigned i = 0; items[i]; i++)
        if (!*items[i])
            return pl_ini_fail(
                ini, group, key, error,
                "an empty item in the list (expected A, B without a comma too many)");
    *ret_items = g_steal_pointer(&items);
    return TRUE;
}
