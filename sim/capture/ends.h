/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tables whose keys are up to three addresses, such as (inside endpoint, destination). They are
 * only ever asked for one key; nothing walks through them, so their order never shows.
 */
#pragma once

#include <glib.h>
#include <pinhole/address.h>

typedef GHashTable PlEnds;

/* Of any bytes. */
guint pl_ends_hash(gconstpointer data, size_t length, guint seed);

PlEnds *pl_ends_new(void);
/* NULL when it is not there; `b` and `c` may be NULL. */
gpointer pl_ends_find(PlEnds *ends, const PhAddress *a, const PhAddress *b, const PhAddress *c);
/* Makes a zeroed value of `size` bytes when it is not there; then *ret_new (may be NULL) is TRUE.
 */
gpointer pl_ends_need(PlEnds *ends, size_t size, const PhAddress *a, const PhAddress *b,
                      const PhAddress *c, gboolean *ret_new);

/* The address without its port. */
static inline PhAddress pl_ends_host(const PhAddress *address)
{
    PhAddress host = *address;

    host.port = 0;
    return host;
}
