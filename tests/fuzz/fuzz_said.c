/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a program under test prints, as a node's lines: what makes no sense is passed over, and what
 * is taken is text, the same each time. */
#include <string.h>

#include "machine/peers.h"
#include "scenario/said.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const PlTopology *topology(void)
{
    static const char text[] =
        "[topology]\ntitle = t\n[network internet]\nsubnet = 203.0.113.0/24\n"
        "[host hub]\non = internet\nrun = hub\n"
        "[host alice]\non = internet\nrun = node\n"
        "[host bob]\non = internet\nrun = node\n";
    static PlTopology *one;

    if (!one)
        one = pl_topology_parse("t.ini", text, strlen(text), NULL);
    g_assert(one);
    return one;
}

static void check_lines(const char *output)
{
    g_autoptr(GPtrArray) all = pl_said_read(output, topology(), 1);
    g_autoptr(GPtrArray) again = pl_said_read(output, topology(), 1);

    g_assert(all->len == again->len);
    for (guint i = 0; i < all->len; i++) {
        const PlSaid *said = g_ptr_array_index(all, i), *same = g_ptr_array_index(again, i);

        g_assert(g_utf8_validate(said->peer, -1, NULL) && g_utf8_validate(said->word, -1, NULL));
        g_assert(strcmp(said->word, same->word) == 0 && said->time_ns == same->time_ns);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *output = g_strndup((const char *)data, size), *path = NULL;
    PlStatus *status = pl_peers_status(output, topology(), 1);
    gboolean is_final;

    check_lines(output);
    path = pl_peers_read(output, "bob", topology(), 1, &is_final);
    g_assert(!path || g_utf8_validate(path, -1, NULL));
    pl_status_free(status);
    return 0;
}
