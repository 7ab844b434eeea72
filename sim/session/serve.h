/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a lab in a session can be asked for. A request is one message of words, a reply one of a
 * letter and text; a connection is for one request.
 *
 *   down                           O
 *   output HOST                    O, with a descriptor: what its program put out
 *   table NAT                      O, with a descriptor: its connections, as JSON
 *   nat NAT flush|reboot           O
 *   nat NAT address A              O
 *   exec NODE ARGC ARG... ENV...   with stdin, stdout, stderr: see machine/guest.h
 *   tap LABEL...                   with a file to write to: see capture/record.h
 *
 * Where it cannot be done: I (the request is wrong), U (the machine cannot) or E, with the reason.
 */
#pragma once

#include "scenario/engine.h"

#define PL_SERVE_OK          'O'
#define PL_SERVE_INPUT       'I'
#define PL_SERVE_UNSUPPORTED 'U'
#define PL_SERVE_FAILED      'E'
#define PL_SERVE_REPLY_MAX   4096

typedef struct PlServed {
    const PlTopology *topology;
    const PlEngine *engine;
    PlLab *lab;
} PlServed;

/*
 * Serves until `down` is asked for, whose caller's connection is then left open, or until the other
 * end of `holder` is closed or shut down. Recordings are whole when it returns; one that cannot be
 * written is waited for a few seconds.
 */
void pl_serve(const PlServed *served, int listener, int holder);
