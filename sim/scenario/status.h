/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a host's node says of itself: its peers, and how often what has happened. */
#pragma once

#include <json-glib/json-glib.h>
#include <stdint.h>

/* A line of its table of peers. All text is printable. */
typedef struct PlPeerStatus {
    const char *peer;   /* its name; NULL: it has none */
    const char *class;  /* of its NAT; NULL: unknown */
    const char *path;   /* as PlEngine's `path` has it */
    const char *health; /* of the path; NULL: there is none */
    const char *reason; /* why the path is what it is; NULL: none */
    uint64_t rtt_ns;    /* 0: unknown */
} PlPeerStatus;

typedef struct PlCounter {
    char *name; /* "punches-attempted" */
    uint64_t value;
} PlCounter;

typedef struct PlStatus {
    GPtrArray *peers;    /* PlPeerStatus, owned */
    GPtrArray *counters; /* PlCounter, owned, in the order in which they are told */
} PlStatus;

PlStatus *pl_status_new(void);
void pl_status_free(PlStatus *status);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PlStatus, pl_status_free)

/* They take copies; what is not printable, or too long, is cut. */
void pl_status_add_peer(PlStatus *status, const PlPeerStatus *peer);
void pl_status_add_counter(PlStatus *status, const char *name, uint64_t value);

/* NULL: there is no peer of this name. */
const PlPeerStatus *pl_status_peer(const PlStatus *status, const char *name);
/* FALSE: there is no counter of this name. */
gboolean pl_status_counter(const PlStatus *status, const char *name, uint64_t *ret_value);

/* The members "peers" and "counters" (docs/verdict.md), which anybody may have written. */
void pl_status_to_json(const PlStatus *status, JsonObject *object);
/* NULL and an error: they are not there, or something else. */
PlStatus *pl_status_from_json(JsonObject *object, GError **error);
