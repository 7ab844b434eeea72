/* SPDX-License-Identifier: MIT */
/* Rows of text in columns as wide as what is in them. */
#pragma once

#include <glib.h>

typedef enum { TABLE_PLAIN, TABLE_BOLD, TABLE_DIM, TABLE_GOOD, TABLE_WARN, TABLE_BAD } TableStyle;

typedef struct Table Table;

Table *table_new(unsigned n_columns);
void table_free(Table *table);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Table, table_free)

/* The next cell, row by row, with a copy of the text; NULL is "-". What a terminal would obey is
 * made visible. */
void table_add(Table *table, TableStyle style, const char *text);
/* On standard output, each line after so many blanks. */
void table_print(const Table *table, unsigned indent, gboolean colours);
