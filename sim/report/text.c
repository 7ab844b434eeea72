/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "report/text.h"

#include <limits.h>
#include <string.h>

/* Where there are fewer, lines may as well be folded by the terminal. */
#define COLUMNS_MIN 40

static const char *const escapes[] = {
    [PL_STYLE_NONE] = "",         [PL_STYLE_BOLD] = "\033[1m", [PL_STYLE_DIM] = "\033[2m",
    [PL_STYLE_GOOD] = "\033[32m", [PL_STYLE_BAD] = "\033[31m", [PL_STYLE_SKIPPED] = "\033[33m",
};

/* Nothing that comes from a program under test may steer the terminal. */
static char *printable(const char *value)
{
    g_autofree char *valid = g_utf8_make_valid(value, -1);
    GString *out = g_string_new(NULL);

    for (const char *at = valid; *at; at = g_utf8_next_char(at)) {
        gunichar c = g_utf8_get_char(at);

        g_string_append_unichar(out, g_unichar_isprint(c) ? c : '?');
    }
    return g_string_free(out, FALSE);
}

static unsigned columns(const char *printed)
{
    unsigned n = 0;

    for (const char *at = printed; *at; at = g_utf8_next_char(at)) {
        gunichar c = g_utf8_get_char(at);

        n += g_unichar_iszerowidth(c) ? 0 : g_unichar_iswide(c) ? 2 : 1;
    }
    return n;
}

unsigned pl_text_columns(const PlText *text)
{
    return text->style.columns ? CLAMP(text->style.columns, COLUMNS_MIN, PL_TEXT_COLUMNS)
                               : UINT_MAX;
}

unsigned pl_text_width(const char *text)
{
    g_autofree char *printed = printable(text);

    return columns(printed);
}

/* Shortens to at most `width` columns, at least 3. */
static void shorten(char *printed, unsigned width)
{
    char *at = printed + strlen(printed);

    if (columns(printed) <= width)
        return;
    while (at > printed) {
        at = g_utf8_prev_char(at);
        *at = '\0';
        if (columns(printed) <= width - 3)
            break;
    }
    /* What was cut had at least as many bytes as columns, so there is room. */
    memcpy(at, "...", sizeof "...");
}

/* Returns the columns that it took. */
static unsigned put(const PlText *text, PlStyle style, unsigned width, const char *value)
{
    g_autofree char *printed = printable(value);

    if (width)
        shorten(printed, MAX(width, 3));
    if (text->style.colour && style != PL_STYLE_NONE)
        fprintf(text->out, "%s%s\033[0m", escapes[style], printed);
    else
        fputs(printed, text->out);
    return columns(printed);
}

void pl_text_cell(const PlText *text, PlStyle style, unsigned width, const char *value)
{
    unsigned used = put(text, style, width, value);

    if (used < width)
        fprintf(text->out, "%*s", (int)(width - used), "");
}

void pl_text_last(const PlText *text, PlStyle style, unsigned width, const char *value)
{
    put(text, style, width, value);
    fputc('\n', text->out);
}

void pl_text_paragraph(const PlText *text, const char *first, const char *words)
{
    g_auto(GStrv) list = g_strsplit_set(words, " \n\t", -1);
    unsigned indent = pl_text_width(first), column = indent;
    unsigned end = MIN(pl_text_columns(text), PL_TEXT_COLUMNS);

    fputs(first, text->out);
    for (guint i = 0; list[i]; i++) {
        g_autofree char *word = printable(list[i]);
        unsigned width = columns(word);

        if (!*word)
            continue;
        if (column > indent && column + 1 + width > end) {
            fprintf(text->out, "\n%*s", (int)indent, "");
            column = indent;
        } else if (column > indent) {
            fputc(' ', text->out);
            column++;
        }
        fputs(word, text->out);
        column += width;
    }
    fputc('\n', text->out);
}

static guint count_lines(char **list)
{
    guint n = g_strv_length(list);

    while (n > 0 && !*list[n - 1])
        n--;
    return n;
}

static void put_lines(const PlText *text, const char *first, char **list, guint start, guint end)
{
    for (guint i = start; i < end; i++) {
        g_strdelimit(list[i], "\t\r", ' ');
        fputs(first, text->out);
        pl_text_cell(text, PL_STYLE_NONE, 0, list[i]);
        fputc('\n', text->out);
    }
}

void pl_text_head(const PlText *text, const char *first, const char *lines, unsigned n)
{
    g_auto(GStrv) list = g_strsplit(lines, "\n", -1);

    put_lines(text, first, list, 0, MIN(count_lines(list), n));
}

void pl_text_tail(const PlText *text, const char *first, const char *lines, unsigned n)
{
    g_auto(GStrv) list = g_strsplit(lines, "\n", -1);
    guint end = count_lines(list);

    put_lines(text, first, list, end > n ? end - n : 0, end);
}
