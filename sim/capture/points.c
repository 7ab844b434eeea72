/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The points of a lab that are recorded. */
#include "capture/points.h"

static gboolean is_shared(const PlNetwork *network)
{
    unsigned hosts = 0;

    for (guint i = 0; i < network->attachments->len; i++) {
        const PlAttachment *attachment = g_ptr_array_index(network->attachments, i);

        hosts += attachment->node->kind == PL_NODE_HOST ? 1 : 0;
    }
    return hosts > 1;
}

gboolean pl_capture_is_point(const PlAttachment *attachment)
{
    /* A host alone behind a NAT, to the end, is seen on that NAT's inside. */
    return attachment->node->kind == PL_NODE_NAT || !attachment->network->upstream ||
           attachment->network->visited || is_shared(attachment->network);
}

GPtrArray *pl_capture_points(const PlTopology *topology)
{
    GPtrArray *points = g_ptr_array_new();

    for (guint i = 0; i < topology->nodes->len; i++) {
        const PlNode *node = g_ptr_array_index(topology->nodes, i);

        for (guint j = 0; j < node->attachments->len; j++) {
            PlAttachment *attachment = g_ptr_array_index(node->attachments, j);

            if (pl_capture_is_point(attachment))
                g_ptr_array_add(points, attachment);
        }
    }
    return points;
}
