/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What steps send: `host NAME send PORT -> HOST:PORT TEXT`. */
#include <string.h>

#include "topology/build.h"
#include "topology/units.h"

/* RFC 768: what a length of 16 bits can say, without the headers of IPv4 and UDP. */
#define DATA_MAX (65535 - 20 - 8)

/* HOST:PORT, HOST an address or the name of a node: then its first address, a NAT's outside. */
static gboolean read_receiver(const PlTopology *topology, const PlIni *ini, const char *group,
                              const char *text, const PlStep *step, PhAddress *ret_receiver,
                              GError **error)
{
    const char *colon = strrchr(text, ':');
    g_autofree char *name = colon ? g_strndup(text, (gsize)(colon - text)) : NULL;
    const PlNode *node = name ? pl_topology_node(topology, name) : NULL;
    uint32_t first;
    uint16_t port;

    if (!name || !pl_port_parse(colon + 1, &port))
        return pl_ini_fail(
            ini, group, "do", error,
            "bad receiver \"%s\" (expected HOST:PORT, HOST an address or the name of "
            "a node)",
            text);
    if (node)
        *ret_receiver = node->kind == PL_NODE_NAT
                            ? g_array_index(pl_nat_outside(node)->addresses, PhAddress, 0)
                            : pl_host_address_at(topology, node, step);
    else if (g_ascii_isalpha(*name))
        return pl_build_no_node(topology, ini, group, "do", "node", TRUE, TRUE, name, error);
    else if (!pl_build_read_address(ini, group, "do", name, ret_receiver, error))
        return FALSE;
    if (ret_receiver->family != PH_FAMILY_IPV4)
        return pl_ini_fail(ini, group, "do", error,
                           "bad receiver \"%s\": IPv6 is not supported by send (expected an IPv4 "
                           "address, or the name of a node that has one first)",
                           text);
    first = ph_address_ipv4_number(ret_receiver) >> 24;
    if (first == 0 || first == 127 || first >= 224)
        return pl_ini_fail(ini, group, "do", error, "nothing can be sent to %s (expected unicast)",
                           name);
    ret_receiver->port = port;
    return TRUE;
}

static gboolean read_send(const PlTopology *topology, const PlIni *ini, const char *group,
                          PlStep *step, GError **error)
{
    const char *rest = step->text;
    g_autofree char *object = pl_build_word(&rest), *name = pl_build_word(&rest);
    g_autofree char *what = pl_build_word(&rest), *port = pl_build_word(&rest);
    g_autofree char *arrow = pl_build_word(&rest), *receiver = pl_build_word(&rest);

    step->from = pl_host_address_at(topology, step->node, step);
    if (!pl_port_parse(port, &step->from.port) || strcmp(arrow, "->") != 0)
        return pl_ini_fail(ini, group, "do", error,
                           "bad step \"%s\" (expected %s %s %s PORT -> HOST:PORT TEXT)", step->text,
                           object, name, what);
    if (!read_receiver(topology, ini, group, receiver, step, &step->address, error))
        return FALSE;
    if (pl_build_is_own(step->node, &step->address) ||
        ph_address_equal_host(&step->from, &step->address))
        return pl_ini_fail(ini, group, "do", error,
                           "host %s would send to itself (expected another receiver)", name);
    step->data = pl_bytes_parse(rest);
    if (!step->data)
        return pl_ini_fail(ini, group, "do", error,
                           "a \\ in \"%s\" begins nothing (expected \\xNN, two hexadecimal digits)",
                           rest);
    return step->data->len <= DATA_MAX ||
           pl_ini_fail(ini, group, "do", error,
                       "the text has %u bytes (expected at most %d, what a datagram holds)",
                       step->data->len, DATA_MAX);
}

gboolean pl_build_sends(PlTopology *topology, const PlIni *ini, GError **error)
{
    for (unsigned i = 0; i < topology->steps->len; i++) {
        PlStep *step = g_ptr_array_index(topology->steps, i);
        g_autofree char *group = g_strdup_printf("step %u", step->number);

        if (step->kind == PL_STEP_HOST_SEND && !read_send(topology, ini, group, step, error))
            return FALSE;
    }
    return TRUE;
}
