/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Private to this room: an INI file in memory, of which every group and key stands once, with the
 * lines they stand on; typed readers for its values; and the one form of its errors.
 */
#pragma once

#include "topology/topology.h"

/* What a person writes, and what refers to it, is far smaller. */
#define PL_FILE_MAX_BYTES (1024 * 1024)

typedef struct PlIni PlIni;

PlIni *pl_ini_parse(const char *path, const char *text, gsize length, GError **error);
void pl_ini_free(PlIni *ini);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PlIni, pl_ini_free)

const char *pl_ini_path(const PlIni *ini);
/* In file order, NULL-terminated; owned by the file. */
const char *const *pl_ini_groups(const PlIni *ini);
gboolean pl_ini_has_group(const PlIni *ini, const char *group);
/* In file order; to be freed with g_free (the names are not). */
const char **pl_ini_keys(const PlIni *ini, const char *group);
/* NULL when it is absent. Without surrounding space. */
const char *pl_ini_get(const PlIni *ini, const char *group, const char *key);

/* "FILE:LINE: [group] key: ..."; group, and key, may be NULL. */
void pl_ini_set_error(const PlIni *ini, const char *group, const char *key, GError **error,
                      const char *format, ...) G_GNUC_PRINTF(5, 6);
/* The same, and FALSE: a macro, for the analyzer to see that. */
#define pl_ini_fail(...) (pl_ini_set_error(__VA_ARGS__), FALSE)

/* Fails on a key that is not one of these. */
gboolean pl_ini_only(const PlIni *ini, const char *group, const char *const *keys, gsize n_keys,
                     GError **error);
/* Fails when the key is absent or empty; `expected` says what should stand there. */
gboolean pl_ini_need(const PlIni *ini, const char *group, const char *key, const char *expected,
                     const char **ret_value, GError **error);

/* These leave *value alone when the key is absent. */
gboolean pl_ini_word(const PlIni *ini, const char *group, const char *key, const char *const *words,
                     unsigned n_words, unsigned *value, GError **error);
gboolean pl_ini_yes(const PlIni *ini, const char *group, const char *key, gboolean *value,
                    GError **error);
gboolean pl_ini_number(const PlIni *ini, const char *group, const char *key, uint64_t min,
                       uint64_t max, unsigned *value, GError **error);
gboolean pl_ini_duration(const PlIni *ini, const char *group, const char *key, uint64_t min_ns,
                         uint64_t max_ns, uint64_t *value, GError **error);
/* The items of a list, none empty; NULL (without an error) when the key is absent. */
gboolean pl_ini_list(const PlIni *ini, const char *group, const char *key, char ***ret_items,
                     GError **error);

/* `(expected one, two or three)`, with `; did you mean "two"?` if that is near; to be freed. */
char *pl_expected_words(const char *word, const char *const *words, gsize n_words);
