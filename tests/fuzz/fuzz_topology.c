/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whatever a topology file says: an error that names it, or a topology that prints to itself. */
#include <string.h>

#include "oracle/oracle.h"
#include "topology/topology.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ask_everything(const PlTopology *topology)
{
    for (unsigned i = 0; i < topology->nodes->len; i++) {
        const PlNode *node = g_ptr_array_index(topology->nodes, i);
        g_autoptr(GPtrArray) chain = pl_topology_chain(topology, node);
        g_auto(PlFindings) findings = {0};

        g_assert_cmpuint(chain->len, <, topology->nodes->len);
        if (node->kind == PL_NODE_HOST)
            pl_oracle_host(topology, node, &findings);
        else
            pl_oracle_nat(topology, node, &findings);
        g_assert_nonnull(findings.value[PL_AXIS_CLASS]);
        for (unsigned k = 0; k < node->attachments->len; k++) {
            const PlAttachment *attachment = g_ptr_array_index(node->attachments, k);
            g_autoptr(GArray) routes = pl_topology_routes(topology, attachment->network, node);

            g_assert_cmpuint(attachment->addresses->len, >, 0);
            for (unsigned r = 0; r < routes->len; r++)
                g_assert_true(pl_prefix_contains(&attachment->network->subnet,
                                                 &g_array_index(routes, PlRoute, r).via));
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(PlTopology) topology =
        pl_topology_parse("fuzz.ini", (const char *)data, size, &error),
                          again = NULL;
    g_autofree char *text = NULL, *same = NULL;

    if (!topology) {
        g_assert_error(error, PL_ERROR, PL_ERROR_INPUT);
        g_assert_true(g_str_has_prefix(error->message, "fuzz.ini:"));
        return 0;
    }
    g_assert_no_error(error);
    ask_everything(topology);
    text = pl_topology_print(topology);
    again = pl_topology_parse("fuzz.ini", text, strlen(text), &error);
    g_assert_no_error(error);
    same = pl_topology_print(again);
    g_assert_cmpstr(text, ==, same);
    return 0;
}
