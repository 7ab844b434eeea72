/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The machine of a topology's host. */
#include "machine/machine.h"

/* Every host knows every other by name. */
static char *hosts_text(const PlTopology *topology)
{
    GString *text = g_string_new("127.0.0.1 localhost\n");

    for (unsigned i = 0; i < topology->nodes->len; i++) {
        const PlNode *node = g_ptr_array_index(topology->nodes, i);

        for (unsigned k = 0; node->kind == PL_NODE_HOST && k < node->attachments->len; k++) {
            const PlAttachment *attachment = g_ptr_array_index(node->attachments, k);

            for (unsigned a = 0; a < attachment->addresses->len; a++) {
                char address[PH_ADDRESS_TEXT_MAX];

                g_string_append_printf(
                    text, "%s %s\n",
                    ph_address_format(&g_array_index(attachment->addresses, PhAddress, a), address),
                    node->name);
            }
        }
    }
    return g_string_free(text, FALSE);
}

PlMachine *pl_machine_of(const PlTopology *topology, const PlNode *host, int netns_fd,
                         GError **error)
{
    g_autofree char *hosts = hosts_text(topology);
    g_autofree char *path = g_canonicalize_filename(topology->path, NULL);
    g_autofree char *directory = g_path_get_dirname(path);

    return pl_machine_new(host->name, netns_fd, hosts, directory, error);
}
