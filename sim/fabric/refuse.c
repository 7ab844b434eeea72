/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the model does not have, by name. */
#include "fabric/lab.h"

static void refuse(GPtrArray *reasons, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void refuse(GPtrArray *reasons, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    g_ptr_array_add(reasons, g_strdup_vprintf(format, arguments));
    va_end(arguments);
}

void pl_fabric_refuse(const PlTopology *topology, GPtrArray *reasons)
{
    for (unsigned i = 0; i < topology->nodes->len; i++) {
        const PlNode *node = g_ptr_array_index(topology->nodes, i);

        if (node->rules)
            refuse(reasons, "engine fabric cannot express nat %s rules (it has no nftables)",
                   node->name);
    }
}
