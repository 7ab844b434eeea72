/* SPDX-License-Identifier: MIT */
/*
 * Lines on standard output that nobody has to read: what cannot be written at once is lost, since
 * who writes it has others to serve.
 */
#pragma once

#include <glib.h>
#include <stdint.h>

typedef struct Lines {
    uint64_t lost;  /* lines */
    int error;      /* why the last one of them was; errno */
    GString *begun; /* what is left of a line of which some could be written; NULL: none */
} Lines;

/* `line` has its end of line. */
void lines_write(Lines *lines, const char *line);
void lines_clear(Lines *lines);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Lines, lines_clear)
