/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is expected of nodes, and when: SUBJECT, SUBJECT at MOMENT, SUBJECT within DURATION of
 * MOMENT, SUBJECT from MOMENT to MOMENT. */
#include <pinhole/node.h>
#include <string.h>

#include "topology/build.h"
#include "topology/units.h"

/* ---- when ---- */

static const PlStep *find_step(const PlTopology *topology, uint64_t number)
{
    for (unsigned i = 0; i < topology->steps->len; i++) {
        const PlStep *step = g_ptr_array_index(topology->steps, i);

        if (step->number == number)
            return step;
    }
    return NULL;
}

/* DURATION, or `step N`: the words from *word on, which moves behind them. */
static gboolean read_moment(const PlTopology *topology, char **words, guint *word,
                            PlMoment *ret_moment)
{
    uint64_t number;

    if (!words[*word])
        return FALSE;
    if (strcmp(words[*word], "step") != 0)
        return pl_duration_parse(words[(*word)++], &ret_moment->ns);
    if (!words[*word + 1] || !pl_number_parse(words[*word + 1], 1, PL_STEPS_MAX, &number) ||
        !find_step(topology, number))
        return FALSE;
    ret_moment->step = (unsigned)number;
    *word += 2;
    return TRUE;
}

/* FALSE also where only the run can tell. */
static gboolean is_before(const PlTopology *topology, const PlMoment *a, const PlMoment *b)
{
    if (a->step && b->step)
        return find_step(topology, a->step)->at_ns < find_step(topology, b->step)->at_ns;
    return !a->step && !b->step && a->ns < b->ns;
}

static gboolean is_word(char *const *words, guint word, const char *expected)
{
    return words[word] && strcmp(words[word], expected) == 0;
}

static gboolean read_words(const PlTopology *topology, char **words, guint word, PlExpect *expect)
{
    gboolean done = FALSE;

    if (is_word(words, word, "at")) {
        expect->when = PL_WHEN_AT;
        word++;
        done = read_moment(topology, words, &word, &expect->moments[0]);
    } else if (is_word(words, word, "within")) {
        expect->when = PL_WHEN_WITHIN;
        word += 3;
        done = words[word - 2] && pl_duration_parse(words[word - 2], &expect->within_ns) &&
               is_word(words, word - 1, "of") &&
               read_moment(topology, words, &word, &expect->moments[0]);
    } else if (is_word(words, word, "from")) {
        expect->when = PL_WHEN_FROM;
        word++;
        done =
            read_moment(topology, words, &word, &expect->moments[0]) && is_word(words, word, "to");
        word++;
        done = done && read_moment(topology, words, &word, &expect->moments[1]) &&
               !is_before(topology, &expect->moments[1], &expect->moments[0]);
    }
    return done && !words[word];
}

/* Where the time begins: the word behind an arrow is a name, whatever it is. */
static guint find_when(char *const *words)
{
    guint i = words[0] ? 1 : 0;

    while (words[i] && strcmp(words[i], "at") != 0 && strcmp(words[i], "within") != 0 &&
           strcmp(words[i], "from") != 0)
        i += g_str_has_suffix(words[i], "->") && words[i + 1] ? 2 : 1;
    return i;
}

char *pl_build_when(const PlTopology *topology, const PlIni *ini, const char *key, PlExpect *expect,
                    GError **error)
{
    g_auto(GStrv) words = g_strsplit(key, " ", -1);
    guint when = find_when(words);
    g_autofree char *rest = NULL;

    if (!words[when])
        return g_strdup(key);
    if (!read_words(topology, words, when, expect)) {
        rest = g_strjoinv(" ", words + when);
        pl_ini_set_error(ini, "expect", key, error,
                         "bad time \"%s\" (expected at MOMENT, within DURATION of MOMENT or from "
                         "MOMENT to MOMENT; a MOMENT is a duration after the start, or step N; "
                         "the second is not before the first)",
                         rest);
        return NULL;
    }
    for (guint i = g_strv_length(words); i-- > when;)
        g_clear_pointer(&words[i], g_free);
    return g_strjoinv(" ", words);
}

/* ---- how many, how long ---- */

typedef gboolean (*ReadAmount)(const char *text, uint64_t *ret_amount);

static gboolean read_number(const char *text, uint64_t *ret_amount)
{
    return pl_number_parse(text, 0, UINT32_MAX, ret_amount);
}

/* N, `at least N`, `at most N` or `N to N`. */
static gboolean read_range(const char *text, ReadAmount read, PlExpect *expect)
{
    const char *to = strstr(text, " to ");
    g_autofree char *first = to ? g_strndup(text, (gsize)(to - text)) : NULL;

    expect->least = 0;
    expect->most = UINT64_MAX;
    if (g_str_has_prefix(text, "at least "))
        return read(text + 9, &expect->least);
    if (g_str_has_prefix(text, "at most "))
        return read(text + 8, &expect->most);
    if (to)
        return read(first, &expect->least) && read(to + 4, &expect->most) &&
               expect->least <= expect->most;
    if (!read(text, &expect->least))
        return FALSE;
    expect->most = expect->least;
    return TRUE;
}

static gboolean need_range(const PlIni *ini, const char *key, ReadAmount read, PlExpect *expect,
                           GError **error)
{
    return read_range(expect->value, read, expect) ||
           pl_ini_fail(ini, "expect", key, error,
                       "bad %s \"%s\" (expected N, at least N, at most N or N to N)",
                       read == read_number ? "number" : "duration", expect->value);
}

const char *pl_build_counter(uint32_t index)
{
    static const PhNodeCounters none;
    uint64_t value;

    return ph_node_counter(&none, index, &value);
}

static gboolean need_node(const PlIni *ini, const char *key, const PlNode *host, GError **error)
{
    return host->program.word == PL_WORD_NODE ||
           pl_ini_fail(ini, "expect", key, error,
                       "host %s is no node (expected a host with run = node)", host->name);
}

gboolean pl_build_expect_counter(const PlIni *ini, const char *key, PlExpect *expect,
                                 GError **error)
{
    return need_node(ini, key, expect->node, error) &&
           need_range(ini, key, read_number, expect, error);
}

gboolean pl_build_expect_unasked(const PlIni *ini, const char *key, PlExpect *expect,
                                 GError **error)
{
    return need_range(ini, key, read_number, expect, error);
}

gboolean pl_build_reason(const PlIni *ini, const char *key, const char *reason, GError **error)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    g_autofree char *expected = NULL;
    const char *name, *sentence;

    for (uint32_t i = 0; (name = ph_node_reason(i, &sentence)); i++) {
        if (strcmp(name, reason) == 0)
            return TRUE;
        g_ptr_array_add(names, (char *)name);
    }
    expected = pl_expected_words(reason, (const char *const *)names->pdata, names->len);
    return pl_ini_fail(ini, "expect", key, error, "unknown reason \"%s\" %s", reason, expected);
}

gboolean pl_build_expect_pair(const PlIni *ini, const char *key, PlExpect *expect, const char *what,
                              GError **error)
{
    static const char *const healths[] = {"healthy", "suspect", "failed", "not failed"};
    static const char *const counts[] = {"heard",      "lost",   "doubled", "disordered",
                                         "first-byte", "health", "reason"};
    g_autofree char *expected = pl_expected_words(what, counts, G_N_ELEMENTS(counts));
    unsigned word = 0;

    if (!need_node(ini, key, expect->node, error) || !need_node(ini, key, expect->peer, error))
        return FALSE;
    if (strcmp(what, "health") == 0) {
        expect->kind = PL_EXPECT_HEALTH;
        return pl_ini_word(ini, "expect", key, healths, G_N_ELEMENTS(healths), &word, error);
    }
    expect->kind = strcmp(what, "reason") == 0 ? PL_EXPECT_REASON : PL_EXPECT_COUNT;
    if (expect->kind == PL_EXPECT_REASON)
        return pl_build_reason(ini, key, expect->value, error);
    while (word < PL_COUNT_N && strcmp(counts[word], what) != 0)
        word++;
    if (word == PL_COUNT_N)
        return pl_ini_fail(ini, "expect", key, error, "\"%s\" is nothing of two nodes %s", what,
                           expected);
    expect->count = (PlCount)word;
    return need_range(ini, key,
                      expect->count == PL_COUNT_FIRST_BYTE ? pl_duration_parse : read_number,
                      expect, error);
}
