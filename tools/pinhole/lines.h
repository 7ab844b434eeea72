/* SPDX-License-Identifier: MIT */
/*
 * Lines on standard output that nobody has to read: who writes them has others to serve. What
 * cannot be written at once waits, as far as there is room, for the main loop to find a reader; the
 * rest is lost, and who reads again is told how many lines that was.
 */
#pragma once

#include <glib.h>
#include <stdint.h>

typedef struct Lines {
    size_t room; /* bytes; 0: nothing waits but the end of a line that has begun */
    /* The line that stands where `lost` are missing, to be freed; NULL: there is none. */
    char *(*gap)(uint64_t lost);
    /* Standard output is closed, or the disk full: called each time. NULL: nobody wants to know. */
    void (*failed)(gpointer data);
    gpointer data;

    uint64_t lost;    /* lines */
    int error;        /* the last one of these failures; errno */
    uint64_t untold;  /* of `lost`, those that no gap has told */
    GString *waiting; /* NULL: nothing was ever written */
    gboolean begun;   /* the first line of these has been, in part */
    guint source;     /* that waits for a reader; 0: none */
} Lines;

/* `line` has its end of line. */
void lines_write(Lines *lines, const char *line);
/* As the last one, for which there always is room; NULL: there is none. A reader who is slow is
 * waited for as long as he reads on, and 10 s at most. */
void lines_end(Lines *lines, const char *line);
void lines_clear(Lines *lines);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Lines, lines_clear)

/* As write(2) to standard output, which does not wait. */
gssize lines_write_now(const void *bytes, size_t length);
