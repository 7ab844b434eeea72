/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The topology's own objects: finding them, freeing them. */
#include "topology/topology.h"

#include <errno.h>
#include <string.h>

#include "topology/build.h"

#define MTU_DEFAULT 1500 /* Ethernet: RFC 894 */

G_DEFINE_QUARK(pl - error - quark, pl_error)

void pl_error_set_errno(GError **error, const char *what, int errnum)
{
    if (errnum == EAGAIN || errnum == EMFILE || errnum == ENFILE || errnum == ENOMEM)
        g_set_error(error, PL_ERROR, PL_ERROR_LIMIT,
                    "cannot %s (%s): a limit of this machine is reached: raise it (ulimit -a shows "
                    "yours), or run fewer at a time with --jobs",
                    what, g_strerror(errnum));
    else
        g_set_error(error, PL_ERROR, PL_ERROR_FAILED, "cannot %s: %s", what, g_strerror(errnum));
}

static void free_attachment(gpointer data)
{
    PlAttachment *attachment = data;

    g_free(attachment->label);
    g_array_unref(attachment->addresses);
    g_free(attachment);
}

static void free_node(gpointer data)
{
    PlNode *node = data;

    g_free(node->name);
    g_ptr_array_unref(node->attachments);
    g_strfreev(node->program.argv);
    g_free(node->program.ready_text);
    g_free(node->program.name);
    g_free(node->program.connect);
    g_array_unref(node->forwards);
    g_free(node->rules);
    g_free(node);
}

static void free_network(gpointer data)
{
    PlNetwork *network = data;

    g_free(network->name);
    g_ptr_array_unref(network->attachments);
    g_free(network);
}

static void free_step(gpointer data)
{
    PlStep *step = data;

    g_strfreev(step->argv);
    g_clear_pointer(&step->data, g_byte_array_unref);
    g_free(step->message);
    g_free(step->text);
    g_free(step);
}

static void free_expect(gpointer data)
{
    PlExpect *expect = data;

    g_free(expect->value);
    g_strfreev(expect->hears);
    g_free(expect->name);
    g_free(expect->key);
    g_free(expect);
}

PlTopology *pl_topology_new(const char *path)
{
    PlTopology *topology = g_new0(PlTopology, 1);

    topology->path = g_strdup(path);
    topology->name = g_path_get_basename(path);
    if (g_str_has_suffix(topology->name, ".ini") && strlen(topology->name) > 4)
        topology->name[strlen(topology->name) - 4] = '\0';
    topology->networks = g_ptr_array_new_with_free_func(free_network);
    topology->nodes = g_ptr_array_new_with_free_func(free_node);
    topology->steps = g_ptr_array_new_with_free_func(free_step);
    topology->expects = g_ptr_array_new_with_free_func(free_expect);
    return topology;
}

void pl_topology_free(PlTopology *topology)
{
    if (!topology)
        return;
    g_free(topology->name);
    g_free(topology->path);
    g_free(topology->command);
    g_free(topology->title);
    g_free(topology->about);
    g_ptr_array_unref(topology->expects);
    g_ptr_array_unref(topology->steps);
    g_ptr_array_unref(topology->nodes);
    g_ptr_array_unref(topology->networks);
    g_free(topology);
}

PlNetwork *pl_topology_add_network(PlTopology *topology, const char *name, PlPrefix subnet)
{
    PlNetwork *network = g_new0(PlNetwork, 1);

    network->name = g_strdup(name);
    network->index = topology->networks->len;
    network->subnet = subnet;
    network->attachments = g_ptr_array_new();
    for (unsigned i = 0; i < 4; i++)
        network->reserved[i] = pl_prefix_address(&subnet, pl_prefix_last(&subnet) - 4 + i);
    g_ptr_array_add(topology->networks, network);
    return network;
}

PlNode *pl_topology_add_node(PlTopology *topology, PlNodeKind kind, const char *name)
{
    PlNode *node = g_new0(PlNode, 1);

    node->kind = kind;
    node->name = g_strdup(name);
    node->index = topology->nodes->len;
    node->attachments = g_ptr_array_new_with_free_func(free_attachment);
    node->forwards = g_array_new(FALSE, TRUE, sizeof(PlForward));
    g_ptr_array_add(topology->nodes, node);
    return node;
}

PlAttachment *pl_topology_attach(PlNode *node, PlNetwork *network, PlSide side)
{
    PlAttachment *attachment = g_new0(PlAttachment, 1);

    attachment->node = node;
    attachment->network = network;
    attachment->side = side;
    attachment->addresses = g_array_new(FALSE, TRUE, sizeof(PhAddress));
    g_ptr_array_add(node->attachments, attachment);
    g_ptr_array_add(network->attachments, attachment);
    return attachment;
}

PlNode *pl_topology_node(const PlTopology *topology, const char *name)
{
    for (unsigned i = 0; i < topology->nodes->len; i++) {
        PlNode *node = g_ptr_array_index(topology->nodes, i);

        if (strcmp(node->name, name) == 0)
            return node;
    }
    return NULL;
}

PlNetwork *pl_topology_network(const PlTopology *topology, const char *name)
{
    for (unsigned i = 0; i < topology->networks->len; i++) {
        PlNetwork *network = g_ptr_array_index(topology->networks, i);

        if (strcmp(network->name, name) == 0)
            return network;
    }
    return NULL;
}

PlAttachment *pl_topology_attachment(const PlTopology *topology, const char *label)
{
    for (unsigned i = 0; i < topology->nodes->len; i++) {
        PlNode *node = g_ptr_array_index(topology->nodes, i);

        for (unsigned k = 0; k < node->attachments->len; k++) {
            PlAttachment *attachment = g_ptr_array_index(node->attachments, k);

            if (strcmp(attachment->label, label) == 0)
                return attachment;
        }
    }
    return NULL;
}

gboolean pl_network_is_cable(const PlNetwork *network)
{
    const GPtrArray *members = network->attachments;

    return members->len == 2 && !network->visited &&
           (((const PlAttachment *)members->pdata[0])->node->kind == PL_NODE_HOST ||
            ((const PlAttachment *)members->pdata[1])->node->kind == PL_NODE_HOST);
}

static unsigned mtu_of(const PlAttachment *attachment)
{
    return attachment && attachment->link.mtu_bytes ? attachment->link.mtu_bytes : MTU_DEFAULT;
}

unsigned pl_network_mtu(const PlNetwork *network, const PlAttachment *attachment)
{
    if (pl_network_is_cable(network))
        return MIN(mtu_of(network->attachments->pdata[0]), mtu_of(network->attachments->pdata[1]));
    return mtu_of(attachment);
}
