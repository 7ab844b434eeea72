/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What needs a process or a kernel, by name. */
#include "virtual/lab.h"

static void refuse(GPtrArray *reasons, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void refuse(GPtrArray *reasons, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    g_ptr_array_add(reasons, g_strdup_vprintf(format, arguments));
    va_end(arguments);
}

static void refuse_node(const PlNode *node, GPtrArray *reasons)
{
    if (node->rules)
        refuse(reasons, "engine virtual cannot express nat %s rules (it has no nftables)",
               node->name);
    if (node->program.argv && node->program.word == PL_WORD_NONE)
        refuse(reasons, "engine virtual runs hub, classify, node and listen only (host %s runs %s)",
               node->name, node->program.argv[0]);
}

void pl_virtual_refuse(const PlTopology *topology, GPtrArray *reasons)
{
    for (unsigned i = 0; i < topology->nodes->len; i++)
        refuse_node(g_ptr_array_index(topology->nodes, i), reasons);
    for (unsigned i = 0; i < topology->steps->len; i++) {
        const PlStep *step = g_ptr_array_index(topology->steps, i);

        if (step->kind == PL_STEP_HOST_RUN)
            refuse(reasons,
                   "engine virtual runs hub, classify, node and listen only (step %u: host %s runs "
                   "%s)",
                   step->number, step->node->name, step->argv[0]);
    }
}
