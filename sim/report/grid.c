/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The paths of all pairs as a grid; the columns have the numbers of the rows:
 *
 *                          1        2        3
 *    1 open                direct   direct   none
 *    2 symmetric           direct   relayed  none
 *    3 udp-blocked         none     none     none
 *
 * What is not as it should be stands behind a "!", and is told below. Where there is no room for
 * the words, each has its first three letters, and a line below says so.
 */
#include "report/grid.h"

#include <string.h>

enum {
    NUMBER_WIDTH = 4,
    NAME_WIDTH = 22,
    CELL_WIDTH = 9, /* "!punched", a blank */
    SHORT_LETTERS = 3,
    SHORT_WIDTH = 1 + SHORT_LETTERS, /* what has no mark has a blank behind it */
};

/* What is shown of the runs of one pair: the first that did not pass, else the first. */
static const PlVerdict *shown(GPtrArray *verdicts, guint first, unsigned repeat)
{
    for (guint i = first; i < first + repeat; i++) {
        const PlVerdict *verdict = g_ptr_array_index(verdicts, i);

        if (verdict->outcome != PL_OUTCOME_PASS)
            return verdict;
    }
    return g_ptr_array_index(verdicts, first);
}

/* What was seen, without by whom and why; where nothing was, what there was instead. */
static char *cell_word(const PlVerdict *verdict)
{
    const PlPath *path = verdict->paths->len ? g_ptr_array_index(verdict->paths, 0) : NULL;
    const char *word = path ? path->observed.value : NULL;

    if (verdict->outcome == PL_OUTCOME_SKIP)
        return g_strdup("skip");
    if (!word && path)
        word = path->claimed.value;
    return word ? g_strndup(word, strcspn(word, "(")) : g_strdup("-");
}

/* `width` is 0 at the end of a line. */
static void put_cell(const PlText *text, const PlVerdict *verdict, gboolean differs,
                     gboolean is_short, unsigned width)
{
    gboolean bad = differs || verdict->outcome == PL_OUTCOME_FAIL;
    g_autofree char *word = cell_word(verdict);
    g_autofree char *marked =
        g_strdup_printf("%s%.*s", bad ? "!" : "", is_short ? SHORT_LETTERS : CELL_WIDTH, word);

    pl_text_cell(text,
                 bad                                   ? PL_STYLE_BAD
                 : verdict->outcome == PL_OUTCOME_SKIP ? PL_STYLE_SKIPPED
                 : strcmp(word, "relayed") == 0        ? PL_STYLE_DIM
                                                       : PL_STYLE_NONE,
                 width, marked);
}

static gboolean runs_differ(GPtrArray *verdicts, guint first, unsigned repeat)
{
    for (guint i = first + 1; i < first + repeat; i++)
        if (pl_report_differs(g_ptr_array_index(verdicts, first), g_ptr_array_index(verdicts, i)))
            return TRUE;
    return FALSE;
}

static void put_number(const PlText *text, guint number, unsigned width)
{
    g_autofree char *digits = g_strdup_printf("%2u", number);

    pl_text_cell(text, PL_STYLE_DIM, width, digits);
}

void pl_grid_put(const PlText *text, GPtrArray *verdicts, const char *const *kinds, unsigned repeat)
{
    guint n = g_strv_length((char **)kinds);
    gboolean is_short =
        text->style.columns > 0 && NUMBER_WIDTH + NAME_WIDTH + n * CELL_WIDTH > text->style.columns;
    unsigned width = is_short ? SHORT_WIDTH : CELL_WIDTH;

    pl_text_cell(text, PL_STYLE_NONE, NUMBER_WIDTH + NAME_WIDTH, "");
    for (guint column = 0; column < n; column++)
        put_number(text, column + 1, column + 1 < n ? width : 0);
    fputc('\n', text->out);
    for (guint row = 0; row < n; row++) {
        put_number(text, row + 1, NUMBER_WIDTH);
        pl_text_cell(text, PL_STYLE_BOLD, NAME_WIDTH, kinds[row]);
        for (guint column = 0; column < n; column++) {
            guint first = (row * n + column) * repeat;

            put_cell(text, shown(verdicts, first, repeat), runs_differ(verdicts, first, repeat),
                     is_short, column + 1 < n ? width : 0);
        }
        fputc('\n', text->out);
    }
    if (is_short)
        pl_text_last(text, PL_STYLE_DIM, 0, "dir: direct, pun: punched, rel: relayed, non: none");
}
