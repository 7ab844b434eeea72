/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The reader of classifications: what it takes has a word or a reason on each of its axes, and is
 * read alike twice. */
#include <string.h>

#include "machine/claims.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const PlAxis axes[] = {PL_AXIS_CLASS,           PL_AXIS_EXTERNAL, PL_AXIS_MAPPING,
                                  PL_AXIS_FILTERING,       PL_AXIS_UDP,      PL_AXIS_POOLING,
                                  PL_AXIS_PORT_ALLOCATION, PL_AXIS_HAIRPIN};
    g_autofree char *text = g_strndup((const char *)data, size);
    g_auto(PlFindings) first = {0}, second = {0};
    g_autoptr(GError) error = NULL;

    if (!pl_claims_read(text, &first, &error)) {
        g_assert(error && g_utf8_validate(error->message, -1, NULL));
        return 0;
    }
    g_assert(pl_claims_read(text, &second, NULL));
    for (gsize i = 0; i < G_N_ELEMENTS(axes); i++) {
        g_assert(!first.value[axes[i]] != !first.why[axes[i]]);
        g_assert(g_strcmp0(first.value[axes[i]], second.value[axes[i]]) == 0);
    }
    return 0;
}
