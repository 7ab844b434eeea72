/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A node's machine and its program; see resident.h. */
#include "machine/resident.h"

#include "machine/claims.h"
#include "machine/peers.h"
#include "machine/pinhole.h"

struct PlResident {
    const PlTopology *topology;
    const PlNode *node;
    uint64_t seed;
    int netns_fd;
    PlMachine *machine;
    PlProgram program; /* the node's, as a process */
    char **command;    /* where that is not the topology's own */
    int recording_fd;  /* -1: nothing is recorded */
};

PlResident *pl_resident_new(const PlTopology *topology, const PlNode *node, uint64_t seed,
                            int netns_fd)
{
    PlResident *resident = g_new0(PlResident, 1);

    resident->topology = topology;
    resident->node = node;
    resident->seed = seed;
    resident->netns_fd = netns_fd;
    resident->program = node->program;
    resident->recording_fd = -1;
    return resident;
}

void pl_resident_free(PlResident *resident)
{
    if (!resident)
        return;
    if (resident->machine)
        pl_machine_free(resident->machine);
    g_strfreev(resident->command);
    g_free(resident);
}

/* The hosts that `self` reaches by address. Who lives behind another NAT may have the very address
 * that somebody has at home: `self`, for one. */
static char *hosts_text(const PlTopology *topology, const PlNode *self)
{
    GString *text = g_string_new("127.0.0.1 localhost\n");
    g_autofree gboolean *reach = pl_topology_reach(topology, self);

    for (unsigned i = 0; i < topology->nodes->len; i++) {
        const PlNode *node = g_ptr_array_index(topology->nodes, i);

        for (unsigned k = 0; node->kind == PL_NODE_HOST && k < node->attachments->len; k++) {
            const PlAttachment *attachment = g_ptr_array_index(node->attachments, k);

            for (unsigned a = 0;
                 reach[attachment->network->index] && a < attachment->addresses->len; a++) {
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

PlMachine *pl_resident_machine(PlResident *resident, GError **error)
{
    const PlTopology *topology = resident->topology;

    if (!resident->machine) {
        g_autofree char *hosts = hosts_text(topology, resident->node);
        g_autofree char *path = g_canonicalize_filename(topology->path, NULL);
        g_autofree char *directory = g_path_get_dirname(path);
        g_auto(GStrv) shown = pl_pinhole_files();

        resident->machine = pl_machine_new(resident->node->name, resident->netns_fd, hosts,
                                           directory, shown, error);
    }
    return resident->machine;
}

void pl_resident_record(PlResident *resident, int fd)
{
    resident->recording_fd = fd;
}

/* A bare word becomes a command, unless the machine knows it itself. */
static gboolean find_command(PlResident *resident, GError **error)
{
    if (resident->program.word == PL_WORD_NONE || resident->program.word == PL_WORD_LISTEN ||
        resident->command)
        return TRUE;
    resident->command = pl_pinhole_command(resident->topology, resident->node, resident->seed,
                                           resident->recording_fd >= 0, error);
    if (!resident->command) {
        g_prefix_error(error, "host %s: ", resident->node->name);
        return FALSE;
    }
    resident->program.argv = resident->command;
    return TRUE;
}

/* As one of engine `virtual` does itself. That it has ended already is for others to find. */
static gboolean greet(PlResident *resident)
{
    const PlProgram *program = &resident->program;
    g_autofree char *greeting = program->connect ? pl_node_greeting(program) : NULL;
    g_autofree char *line =
        greeting ? g_strdup_printf("send %s %s", program->connect, greeting) : NULL;

    if (line)
        (void)pl_resident_say(resident, line, NULL);
    return TRUE;
}

gboolean pl_resident_start(PlResident *resident, GError **error)
{
    PlMachine *machine =
        find_command(resident, error) ? pl_resident_machine(resident, error) : NULL;

    if (!machine)
        return FALSE;
    pl_machine_give(machine, resident->recording_fd);
    return pl_machine_start(machine, &resident->program, error) && greet(resident);
}

gboolean pl_resident_await(PlResident *resident, const char *text, GError **error)
{
    PlMachine *machine = pl_resident_machine(resident, error);

    return machine && pl_machine_await(machine, &resident->program, text, error);
}

gboolean pl_resident_result(PlResident *resident, PlProgramResult *ret_result, GError **error)
{
    PlMachine *machine = pl_resident_machine(resident, error);

    return machine && pl_machine_result(machine, &resident->program, ret_result, error);
}

gboolean pl_resident_claims(PlResident *resident, PlFindings *ret_claims, GError **error)
{
    PlProgramResult ended = {0};
    gboolean done;

    if (!pl_resident_result(resident, &ended, error))
        return FALSE;
    done = pl_claims_read(ended.output, ret_claims, error);
    pl_program_result_clear(&ended);
    if (!done)
        g_prefix_error(error, "host %s: ", resident->node->name);
    return done;
}

/* What its node says now: one that was started again knows nothing of what it said before. */
static char *said_lately(PlResident *resident)
{
    return resident->machine ? pl_machine_output(resident->machine, &resident->program) : NULL;
}

char *pl_resident_path(PlResident *resident, const char *peer, gboolean *ret_final)
{
    g_autofree char *output = said_lately(resident);

    *ret_final = FALSE;
    return output ? pl_peers_read(output, peer, resident->topology, resident->seed, ret_final)
                  : NULL;
}

gboolean pl_resident_say(PlResident *resident, const char *line, GError **error)
{
    PlMachine *machine = pl_resident_machine(resident, error);

    return machine && pl_machine_say(machine, &resident->program, line, error);
}

gboolean pl_resident_talk(PlResident *resident, const PlStep *step, GError **error)
{
    g_autofree char *line = pl_step_line(step);

    return pl_resident_say(resident, line, error);
}

PlStatus *pl_resident_status(PlResident *resident)
{
    g_autofree char *output = NULL;

    /* One that has ended said it then, if it could. */
    if (resident->machine)
        (void)pl_machine_ask(resident->machine, &resident->program, "status",
                             "\"event\":\"status\"", NULL);
    output = said_lately(resident);
    return output ? pl_peers_status(output, resident->topology, resident->seed) : NULL;
}

void pl_resident_kill(PlResident *resident)
{
    if (resident->machine)
        pl_machine_kill(resident->machine);
}
