/* SPDX-License-Identifier: MIT */
/*
 * The control socket of what runs (node, ping, pipe, hub): a stream socket of the file system.
 * Whoever connects is written one object of JSON, which is the whole answer; what they send is not
 * looked at. docs/status.md.
 *
 *     a directory of this user's alone / NAME.sock    mode 0600
 */
#pragma once

#include <json-glib/json-glib.h>

#include "command.h"

typedef struct ControlOptions {
    char *path;   /* --control; NULL: one of this user's, by name */
    gboolean off; /* --no-control */
} ControlOptions;

#define CONTROL_ENTRIES 2
void control_entries(ControlOptions *options, GOptionEntry *ret_entries);
void control_options_clear(ControlOptions *options);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(ControlOptions, control_options_clear)

/* Adds members to the answer. */
typedef void (*ControlShow)(JsonBuilder *builder, gpointer data);

typedef struct Control Control;

/*
 * Answers from the default main context on. `kind` is the command's word, and the socket's name
 * where `name` is NULL or taken. NULL: *ret_status is EXIT_SUCCESS where there is none because
 * none is wanted, or none can be had and none was asked for; else why has been told.
 */
Control *control_open(const ControlOptions *options, const char *kind, const char *name,
                      ControlShow show, gpointer data, int *ret_status);
Control *control_free(Control *control); /* NULL is fine; returns NULL */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Control, control_free)

/* ---- for who asks ---- */

/* All sockets of this user's that there are, live or not, by path, sorted; to be freed with
 * g_strfreev. */
char **control_list(void);
/* Where those of this user are looked for, for people: to be freed. */
char *control_places(void);
/* The answer, to be freed; NULL and an error: nobody lives there, or it does not answer. */
char *control_ask(const char *path, GError **error);
