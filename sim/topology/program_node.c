/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `run = node [NAME] [--connect PEER] [--fast] [--relay]`: libpinhole's node at the first hub, by
 * the host's own name unless it has another. */
#include <pinhole/node.h>
#include <string.h>

#include "topology/build.h"

#define NAME_CHARACTERS                                                                            \
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"                                                                   \
    "abcdefghijklmnopqrstuvwxyz"                                                                   \
    "0123456789-_."

static gboolean is_name(const char *text)
{
    gsize length = strlen(text);

    return length > 0 && length <= PH_NODE_NAME_MAX && strspn(text, NAME_CHARACTERS) == length;
}

static gboolean read_name(const PlIni *ini, const char *group, const char *what, const char *text,
                          char **name, GError **error)
{
    if (*name)
        return pl_ini_fail(ini, group, "run", error, "%s \"%s\" is one too many (expected one)",
                           what, text);
    if (!is_name(text))
        return pl_ini_fail(ini, group, "run", error,
                           "%s \"%s\" (expected at most %d letters, digits, '-', '_' and '.')",
                           what, text, PH_NODE_NAME_MAX);
    *name = g_strdup(text);
    return TRUE;
}

gboolean pl_build_node(PlTopology *topology, PlNode *host, const PlIni *ini, const char *group,
                       GError **error)
{
    const uint8_t family = pl_node_family(host);
    PlProgram *program = &host->program;

    for (char **argument = program->argv + 1; *argument;) {
        const char *word = *argument, *peer = pl_build_option(&argument, "--connect");

        if (!peer && (strcmp(word, "--fast") == 0 || strcmp(word, "--relay") == 0)) {
            *(word[2] == 'f' ? &program->fast : &program->relay) = TRUE;
            argument++;
            continue;
        }
        if (!peer && *word == '-')
            return pl_ini_fail(ini, group, "run", error,
                               "node does not take \"%s\" (expected NAME, --connect PEER, --fast "
                               "or --relay)",
                               word);
        if (!(peer ? read_name(ini, group, "--connect", peer, &program->connect, error)
                   : read_name(ini, group, "the name", word, &program->name, error)))
            return FALSE;
        argument += peer == NULL;
    }
    if (!program->name)
        program->name = g_strdup(host->name);
    program->hub = pl_build_first_hub(topology, family);
    if (!program->hub)
        return pl_ini_fail(ini, group, "run", error,
                           "there is no hub to register with (expected a host with run = hub that "
                           "has %s)",
                           pl_family_name(family));
    program->addresses[0] = *pl_build_address_of(&program->hub->program, family);
    program->n_addresses = 1;
    return TRUE;
}

char *pl_node_greeting(const PlProgram *node)
{
    return g_strdup_printf("hello from %s", node->name);
}
