/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One program as its keeper and the lab both see it, in shared memory. Private to this room. */
#pragma once

#include <stdatomic.h>

#include "topology/topology.h"

/* The number that a descriptor has in the program which it is given to (machine.h). */
#define PL_MACHINE_GIVEN 3

/* As much of its output as is kept: the last of it. */
#define PL_OUTPUT_KEPT (1024U * 1024U)

/*
 * Made by the lab, which puts the command into `output` (each word ended by a NUL) and sends it to
 * the keeper, which takes the command out and writes the rest from then on.
 */
typedef struct PlProgramShare {
    size_t command_length;
    _Atomic uint64_t written; /* bytes of output so far; byte i is output[i % PL_OUTPUT_KEPT] */
    _Atomic int ended;        /* `status` is there, and all of its own output */
    _Atomic int deserted;     /* the host has no process left at all */
    int status;               /* as waitpid gives it */
    char output[PL_OUTPUT_KEPT];
} PlProgramShare;

/* A new one in a memfd, mapped; NULL with an error (PL_ERROR_INPUT: the command is too long). */
PlProgramShare *pl_program_share_new(char *const *argv, int *ret_fd, GError **error);
PlProgramShare *pl_program_share_map(int fd);
void pl_program_share_free(PlProgramShare *share);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PlProgramShare, pl_program_share_free)

/* The command, NULL-terminated; words point into *ret_words, both to be freed. */
char **pl_program_share_command(const PlProgramShare *share, char **ret_words);

/* Adds output. */
void pl_program_share_write(PlProgramShare *share, const char *data, size_t length);

/* What is kept of the output from byte *from on; *from moves to its end. To be freed. */
GString *pl_program_share_read(const PlProgramShare *share, uint64_t *from);

/* What is kept of the output, as text whatever it was; and its last lines, indented, for an error.
 */
char *pl_program_share_text(const PlProgramShare *share);
char *pl_program_share_last_lines(const PlProgramShare *share);
