/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What nftables, conntrack and a kernel without netem cannot do, by name. */
#include "kernel/lab.h"
#include "kernel/pool.h"
#include "kernel/script.h"

static void refuse(GPtrArray *reasons, const char *format, ...) G_GNUC_PRINTF(2, 3);

static void refuse(GPtrArray *reasons, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    g_ptr_array_add(reasons, g_strdup_vprintf(format, arguments));
    va_end(arguments);
}

static void refuse_link(const PlAttachment *attachment, GPtrArray *reasons)
{
    g_autoptr(GPtrArray) names = pl_link_names(&attachment->link);

    for (unsigned i = 0; i < names->len; i++)
        refuse(reasons, "engine kernel cannot express link %s %s", attachment->label,
               (const char *)g_ptr_array_index(names, i));
}

static void refuse_quirks(const PlNode *nat, GPtrArray *reasons)
{
    g_autoptr(GPtrArray) names = pl_quirks_names(&nat->behaviour.quirks);

    for (unsigned i = 0; i < names->len; i++)
        refuse(reasons, "engine kernel cannot express nat %s %s", nat->name,
               (const char *)g_ptr_array_index(names, i));
}

static void refuse_blocks(const PlTopology *topology, const PlNode *nat, GPtrArray *reasons)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(PlPool) pool =
        pl_pool_new(topology, nat, pl_nat_outside(nat)->addresses, /* seed= */ 0, &error);

    if (!pool)
        refuse(reasons, "%s", error->message);
}

static void refuse_nat(const PlTopology *topology, const PlNode *nat, GPtrArray *reasons)
{
    const PlBehaviour *behaviour = &nat->behaviour;

    /* With rules of their own, what the file says of its behaviour is for judges only. */
    if (!nat->rules) {
        if (behaviour->mapping != PL_MAPPING_NONE &&
            behaviour->port_allocation == PL_PORT_ALLOCATION_SEQUENTIAL &&
            behaviour->mapping != PL_MAPPING_ADDRESS_AND_PORT_DEPENDENT)
            refuse(reasons,
                   "engine kernel cannot express nat %s port-allocation = sequential with "
                   "mapping = %s",
                   nat->name, pl_mapping_name(behaviour->mapping));
        /* A slot of one port has no other to turn to when that is taken. */
        if (behaviour->mapping != PL_MAPPING_NONE &&
            behaviour->port_allocation == PL_PORT_ALLOCATION_BLOCK &&
            behaviour->unsolicited == PL_UNSOLICITED_ACCEPT)
            refuse(reasons,
                   "engine kernel cannot express nat %s unsolicited = accept with "
                   "port-allocation = block",
                   nat->name);
        if (!behaviour->inbound_refresh)
            refuse(reasons,
                   "engine kernel cannot express nat %s inbound-refresh = no (conntrack refreshes "
                   "on packets of either direction)",
                   nat->name);
        if (behaviour->mapping != PL_MAPPING_NONE)
            refuse_blocks(topology, nat, reasons);
        refuse_quirks(nat, reasons);
    }
    if (behaviour->udp_timeout_ns % 1000000000 != 0 || behaviour->udp_timeout_ns == 0)
        refuse(reasons,
               "engine kernel cannot express nat %s udp-timeout (conntrack counts whole seconds)",
               nat->name);
}

void pl_kernel_refuse_wiring(const PlTopology *topology, GPtrArray *reasons)
{
    for (unsigned i = 0; i < topology->nodes->len; i++) {
        const PlNode *node = g_ptr_array_index(topology->nodes, i);

        for (unsigned k = 0; k < node->attachments->len; k++)
            refuse_link(g_ptr_array_index(node->attachments, k), reasons);
        if (node->kind == PL_NODE_NAT)
            refuse_nat(topology, node, reasons);
    }
}

void pl_kernel_refuse(const PlTopology *topology, GPtrArray *reasons)
{
    pl_kernel_refuse_wiring(topology, reasons);
}
