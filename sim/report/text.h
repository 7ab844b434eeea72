/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Text for a terminal: colours, cells of tables, paragraphs. For this room only. */
#pragma once

#include "report/report.h"

/* Paragraphs are as wide, at most, and so are tables where they have to fit. */
#define PL_TEXT_COLUMNS 100

typedef enum {
    PL_STYLE_NONE,
    PL_STYLE_BOLD,
    PL_STYLE_DIM,
    PL_STYLE_GOOD,
    PL_STYLE_BAD,
    PL_STYLE_SKIPPED,
} PlStyle;

typedef struct PlText {
    FILE *out;
    PlReportStyle style;
} PlText;

/* Columns that a line of a table may have; UINT_MAX where nothing is to be cut. */
unsigned pl_text_columns(const PlText *text);

/* Columns that the text takes; control characters and what is not UTF-8 count as they are printed.
 */
unsigned pl_text_width(const char *text);
/* The text in `width` columns, filled up with blanks, or cut and ended with "..."; no blanks are
 * added with width 0. Control characters become "?". */
void pl_text_cell(const PlText *text, PlStyle style, unsigned width, const char *value);
/* The same for the last cell of a line, which is not filled up but ended. */
void pl_text_last(const PlText *text, PlStyle style, unsigned width, const char *value);
/* Words in lines as wide as paragraphs are: the first line begins with `first`, the others with as
 * many blanks. */
void pl_text_paragraph(const PlText *text, const char *first, const char *words);
/* The first or the last `n` lines, each after `first`. */
void pl_text_head(const PlText *text, const char *first, const char *lines, unsigned n);
void pl_text_tail(const PlText *text, const char *first, const char *lines, unsigned n);
