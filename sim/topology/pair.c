/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Topologies of two hosts, each behind a kind of NAT; see pair.h. */
#include "topology/pair.h"

#include <string.h>

#include "topology/ini.h"

enum { ALICE, BOB };

/* What lies before a host. */
typedef struct Kind {
    const char *behaviour; /* of the only NAT, or the inner one; NULL: none */
    const char *outer;     /* of a second one, or NULL */
    gboolean routed;       /* the network inside is seen from outside */
    gboolean blocked;      /* no UDP gets out */
} Kind;

const char *const pl_pair_kinds[] = {
    "open",
    "firewall",
    "full-cone",
    "restricted",
    "port-restricted",
    "symmetric",
    "symmetric-sequential",
    "symmetric-block",
    "double",
    "double-symmetric",
    "cgn",
    "udp-blocked",
    NULL,
};

/* Twice the same network inside, as most homes have it. */
static const Kind kinds[G_N_ELEMENTS(pl_pair_kinds) - 1] = {
    {NULL, NULL, FALSE, FALSE},
    {"behaviour = firewall", NULL, TRUE, FALSE},
    {"behaviour = full-cone", NULL, FALSE, FALSE},
    {"behaviour = restricted", NULL, FALSE, FALSE},
    {"behaviour = port-restricted", NULL, FALSE, FALSE},
    {"behaviour = symmetric", NULL, FALSE, FALSE},
    {"behaviour = symmetric\nport-allocation = sequential", NULL, FALSE, FALSE},
    {"behaviour = symmetric\nport-allocation = block\nblock-size = 1008", NULL, FALSE, FALSE},
    {"behaviour = full-cone", "behaviour = port-restricted", FALSE, FALSE},
    {"behaviour = symmetric", "behaviour = full-cone", FALSE, FALSE},
    {"behaviour = port-restricted",
     "behaviour = full-cone\nport-allocation = block\nblock-size = 1008", FALSE, FALSE},
    {"behaviour = port-restricted\nudp = blocked", NULL, FALSE, TRUE},
};

gboolean pl_pair_kind(const char *name, unsigned *ret_kind, GError **error)
{
    g_autofree char *expected = NULL;

    for (unsigned i = 0; i < G_N_ELEMENTS(kinds); i++) {
        if (strcmp(pl_pair_kinds[i], name) == 0) {
            *ret_kind = i;
            return TRUE;
        }
    }
    expected = pl_expected_words(name, pl_pair_kinds, G_N_ELEMENTS(kinds));
    g_set_error(error, PL_ERROR, PL_ERROR_INPUT, "there is no kind of NAT \"%s\" %s", name,
                expected);
    return FALSE;
}

static void put_side(GString *text, unsigned which, unsigned side, const char *run)
{
    static const char *const names[] = {"alice", "bob"};
    const char *name = names[side];
    const Kind *kind = &kinds[which];

    if (kind->outer)
        g_string_append_printf(
            text, "[nat %s-outer]\noutside = internet\ninside = 100.64.%u.0/24\n%s\n\n", name, side,
            kind->outer);
    if (kind->routed)
        g_string_append_printf(text,
                               "[nat %s-home]\noutside = internet\ninside = 198.51.100.%u/28\n",
                               name, 16 * side);
    else if (kind->behaviour)
        g_string_append_printf(text, "[nat %s-home]\noutside = %s%s\ninside = 192.168.1.0/24\n",
                               name, kind->outer ? name : "internet",
                               kind->outer ? "-outer.inside" : "");
    if (kind->behaviour)
        g_string_append_printf(text, "%s\n\n[host %s]\nbehind = %s-home\nrun = %s\n\n",
                               kind->behaviour, name, name, run);
    else
        g_string_append_printf(text, "[host %s]\non = internet\nrun = %s\n\n", name, run);
}

char *pl_pair_text(unsigned alice, unsigned bob)
{
    GString *text = g_string_new(NULL);

    g_string_append_printf(text,
                           "[topology]\ntitle = %s and %s\n\n"
                           "[network internet]\nsubnet = 203.0.113.0/24\n\n"
                           "[host hub]\non = internet\n"
                           "addresses = 203.0.113.10, 203.0.113.11\nrun = hub\n\n",
                           pl_pair_kinds[alice], pl_pair_kinds[bob]);
    /* Who is looked for is there first, if ever. */
    put_side(text, bob, BOB, kinds[bob].blocked ? "node\nready = started" : "node");
    put_side(text, alice, ALICE, "node --connect bob\ntime-limit = 60s");
    if (!kinds[alice].behaviour || !kinds[bob].behaviour)
        g_string_append(text, "[expect]\n");
    if (!kinds[alice].behaviour)
        g_string_append(text, "alice.class = direct\n");
    if (!kinds[bob].behaviour)
        g_string_append(text, "bob.class = direct\n");
    return g_string_free(text, FALSE);
}

PlTopology *pl_pair_topology(unsigned alice, unsigned bob)
{
    g_autofree char *text = pl_pair_text(alice, bob);
    g_autofree char *path =
        g_strdup_printf("pair-%s-%s.ini", pl_pair_kinds[alice], pl_pair_kinds[bob]);
    g_autoptr(GError) error = NULL;
    PlTopology *topology = pl_topology_parse(path, text, strlen(text), &error);

    if (!topology)
        g_error("%s", error->message); /* the text is ours */
    topology->command = g_strdup_printf("--pair %s,%s", pl_pair_kinds[alice], pl_pair_kinds[bob]);
    return topology;
}
