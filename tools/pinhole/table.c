/* SPDX-License-Identifier: MIT */
/* Rows of text in columns: see table.h. */
#include "table.h"

#include <stdio.h>

#include "command.h"

typedef struct Cell {
    TableStyle style;
    char *text;
} Cell;

struct Table {
    unsigned n_columns;
    GArray *cells;
};

static void cell_clear(gpointer data)
{
    g_free(((Cell *)data)->text);
}

Table *table_new(unsigned n_columns)
{
    Table *table = g_new0(Table, 1);

    table->n_columns = n_columns;
    table->cells = g_array_new(FALSE, FALSE, sizeof(Cell));
    g_array_set_clear_func(table->cells, cell_clear);
    return table;
}

void table_free(Table *table)
{
    if (!table)
        return;
    g_array_unref(table->cells);
    g_free(table);
}

void table_add(Table *table, TableStyle style, const char *text)
{
    Cell cell = {text ? style : TABLE_DIM, command_printable(text ? text : "-")};

    g_array_append_val(table->cells, cell);
}

static glong width_of(const Table *table, unsigned column)
{
    glong width = 0;

    for (guint i = column; i < table->cells->len; i += table->n_columns)
        width = MAX(width, g_utf8_strlen(g_array_index(table->cells, Cell, i).text, -1));
    return width;
}

static void print_cell(const Cell *cell, glong width, gboolean last, gboolean colours)
{
    static const char *const escapes[] = {
        [TABLE_PLAIN] = "",        [TABLE_BOLD] = "\033[1m",  [TABLE_DIM] = "\033[2m",
        [TABLE_GOOD] = "\033[32m", [TABLE_WARN] = "\033[33m", [TABLE_BAD] = "\033[31m",
    };
    gboolean styled = colours && cell->style != TABLE_PLAIN;

    printf("%s%s%s", styled ? escapes[cell->style] : "", cell->text, styled ? "\033[0m" : "");
    if (last)
        printf("\n");
    else
        printf("%*s", (int)(width - g_utf8_strlen(cell->text, -1)) + 2, "");
}

void table_print(const Table *table, unsigned indent, gboolean colours)
{
    g_autofree glong *widths = g_new(glong, table->n_columns);

    for (unsigned i = 0; i < table->n_columns; i++)
        widths[i] = width_of(table, i);
    for (guint i = 0; i < table->cells->len; i++) {
        unsigned column = i % table->n_columns;
        gboolean last = column == table->n_columns - 1 || i == table->cells->len - 1;

        if (column == 0)
            printf("%*s", (int)indent, "");
        print_cell(&g_array_index(table->cells, Cell, i), widths[column], last, colours);
    }
}
