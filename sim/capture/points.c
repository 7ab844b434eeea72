/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The points of a lab that are recorded. */
#include "capture/points.h"

GPtrArray *pl_capture_points(const PlTopology *topology)
{
    GPtrArray *points = g_ptr_array_new();

    for (guint i = 0; i < topology->nodes->len; i++) {
        const PlNode *node = g_ptr_array_index(topology->nodes, i);

        for (guint j = 0; j < node->attachments->len; j++) {
            PlAttachment *attachment = g_ptr_array_index(node->attachments, j);

            /* A host behind a NAT is seen on that NAT's inside. */
            if (node->kind == PL_NODE_NAT || !attachment->network->upstream)
                g_ptr_array_add(points, attachment);
        }
    }
    return points;
}
