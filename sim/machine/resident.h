/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A topology's node as a machine with the program that the topology gives it. For all engines that
 * run real programs.
 */
#pragma once

#include "machine/machine.h"

typedef struct PlResident PlResident;

/* The topology and `netns_fd` are borrowed until the end. The machine is made when it is needed
 * first: it knows all hosts by name, and sees the topology file's directory. */
PlResident *pl_resident_new(const PlTopology *topology, const PlNode *node, uint64_t seed,
                            int netns_fd);
/* Kills what still runs; NULL is fine. */
void pl_resident_free(PlResident *resident);

/* Stays the resident's; NULL with an error. */
PlMachine *pl_resident_machine(PlResident *resident, GError **error);

/* As PlEngine says of record_node. */
void pl_resident_record(PlResident *resident, int fd);
/* As PlEngine says of start, await, result and claims. */
gboolean pl_resident_start(PlResident *resident, GError **error);
gboolean pl_resident_await(PlResident *resident, const char *text, GError **error);
gboolean pl_resident_result(PlResident *resident, PlProgramResult *ret_result, GError **error);
gboolean pl_resident_claims(PlResident *resident, PlFindings *ret_claims, GError **error);
/* As PlEngine says of path. */
char *pl_resident_path(PlResident *resident, const char *peer, gboolean *ret_final);
/* As PlEngine says of say; and the line that a step of the node's is. */
gboolean pl_resident_say(PlResident *resident, const char *line, GError **error);
gboolean pl_resident_talk(PlResident *resident, const PlStep *step, GError **error);
/* As PlEngine says of status. */
PlStatus *pl_resident_status(PlResident *resident);
/* SIGKILL to all that runs there, if anything ever did. */
void pl_resident_kill(PlResident *resident);
