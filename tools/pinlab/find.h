/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which topology files are meant. */
#pragma once

#include "topology/topology.h"

/*
 * The files (char *, owned) that the arguments stand for, each once: a file itself, all .ini files
 * of a directory by name, or a topology by its bare name. Without arguments those of the first
 * directory that has some: $PINLAB_TOPOLOGIES, ./topologies, the installed ones, or a build tree's;
 * and those of its folder `stories`, if they are wanted.
 */
GPtrArray *find_paths(char *const *arguments, gboolean stories, GError **error);

/* Loads them all (PlTopology, owned); says on stderr what is wrong with any, and returns NULL then.
 */
GPtrArray *find_load(const GPtrArray *paths);

/* The one topology that a command's only argument names; NULL with a message on stderr. */
PlTopology *find_one(const char *command, char *const *arguments);
