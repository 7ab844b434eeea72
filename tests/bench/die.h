/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A benchmark that cannot go on says why. */
#pragma once

#include <glib.h>
#include <stdio.h>
#include <stdlib.h>

static inline void G_GNUC_NORETURN G_GNUC_PRINTF(1, 2) die(const char *format, ...)
{
    g_autofree char *what = NULL;
    va_list arguments;

    va_start(arguments, format);
    what = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    fprintf(stderr, "error: %s\n", what);
    exit(1);
}
