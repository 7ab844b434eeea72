/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a node says, a line of JSON for each thing that happens: `pinhole node` and that of engine
 * `virtual` alike. It comes from the program under test: what makes no sense is passed over.
 */
#pragma once

#include <json-glib/json-glib.h>

#include "topology/topology.h"

typedef enum {
    PL_SAID_PATH,   /* another path is in use: "punched", "relayed(HOST)", "none(REASON)" */
    PL_SAID_HEALTH, /* of that path: "healthy", "suspect", "failed" */
    PL_SAID_REASON, /* why it said one of these two */
    PL_SAID_HEARD,  /* a text of the peer's */
} PlSaidKind;

typedef struct PlSaid {
    PlSaidKind kind;
    uint64_t time_ns; /* since 1970 */
    char *peer;       /* its name */
    char *word;
} PlSaid;

/* PlSaid, owned, in the order in which it was said. Keys become the names of the hosts that have
 * them in the run of this seed. */
GPtrArray *pl_said_read(const char *output, const PlTopology *topology, uint64_t seed);

/* How far an output that grows has been read, and what stood just before that. */
typedef struct PlSaidMark {
    gsize bytes;
    char before[64];
} PlSaidMark;

/* Adds what the whole lines behind the mark say, and moves it. An output that has lost its
 * beginning is read anew. */
void pl_said_read_on(GPtrArray *all, PlSaidMark *mark, const char *output,
                     const PlTopology *topology, uint64_t seed);

/* An event; NULL: the line is none. The object is the parser's. */
JsonObject *pl_said_event(JsonParser *parser, const char *line);
/* NULL: there is no such member, or it is no string. */
const char *pl_said_string(JsonObject *object, const char *member);
/* The name of the host that has this public key in the run of this seed; NULL: none. */
const char *pl_said_host(const PlTopology *topology, uint64_t seed, const char *key);
