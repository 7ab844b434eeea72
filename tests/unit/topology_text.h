/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A topology from its text, and what it makes of addresses and ways, in words. */
#pragma once

#include <string.h>

#include "topology/topology.h"
#include "topology/units.h"

static inline PlTopology *parse(const char *text)
{
    g_autoptr(GError) error = NULL;
    PlTopology *topology = pl_topology_parse("some/where.ini", text, strlen(text), &error);

    g_assert_no_error(error);
    return topology;
}

static inline void assert_address(const PlTopology *topology, const char *label, unsigned i,
                                  const char *expected)
{
    const PlAttachment *attachment = pl_topology_attachment(topology, label);
    char text[PH_ADDRESS_TEXT_MAX];

    g_assert_nonnull(attachment);
    g_assert_cmpuint(i, <, attachment->addresses->len);
    ph_address_format(&g_array_index(attachment->addresses, PhAddress, i), text);
    g_assert_cmpstr(text, ==, expected);
}

/* "203.0.113.0/24 via 198.51.100.3, 0.0.0.0/0 via ..." */
static inline void assert_routes(const PlTopology *topology, const char *label,
                                 const char *expected)
{
    const PlAttachment *attachment = pl_topology_attachment(topology, label);
    g_autoptr(GArray) routes = pl_topology_routes(topology, attachment->network, attachment->node);
    g_autoptr(GString) text = g_string_new(NULL);

    for (unsigned i = 0; i < routes->len; i++) {
        const PlRoute *route = &g_array_index(routes, PlRoute, i);
        g_autofree char *destination = pl_prefix_format(&route->destination);
        char via[PH_ADDRESS_TEXT_MAX];

        g_string_append_printf(text, "%s%s via %s", i ? ", " : "", destination,
                               ph_address_format(&route->via, via));
    }
    g_assert_cmpstr(text->str, ==, expected);
}
