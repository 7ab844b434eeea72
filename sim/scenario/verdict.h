/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A verdict sets side by side what was expected, certified, claimed and observed. docs/verdict.md
 * is its JSON form. */
#pragma once

#include <json-glib/json-glib.h>

#include "scenario/status.h"
#include "topology/topology.h"

/* The largest seed: every JSON reader keeps it exactly (2^53 - 1). */
#define PL_SEED_MAX G_GUINT64_CONSTANT(9007199254740991)

typedef enum {
    PL_OUTCOME_PASS,
    PL_OUTCOME_FAIL,
    PL_OUTCOME_SKIP,
} PlOutcome;

/* One host or NAT. */
typedef struct PlSubject {
    char *name;
    PlNodeKind kind;
    PlFindings expected, certified, claimed, observed;
    /* A host's program, when it has one. */
    gboolean has_program;
    int exit_status; /* -1: still running at the end */
    char *output;
    PlStatus *status; /* what its node says of itself; NULL: nothing, or there is none */
} PlSubject;

/* What one judge says of a path: a word, NULL where it found nothing; then `why` may say the
 * reason.
 */
typedef struct PlPathFinding {
    char *value, *why;
} PlPathFinding;

/* The path from one host to another. */
typedef struct PlPath {
    char *from, *to;
    PlPathFinding expected, claimed, observed;
} PlPath;

typedef struct PlVerdict {
    char *topology; /* name */
    char *title;
    char *engine;
    uint64_t seed;
    uint64_t duration_ns;
    GPtrArray *subjects; /* PlSubject, owned, in the topology's order */
    GPtrArray *paths;    /* PlPath, owned: those that are judged */
    PlOutcome outcome;
    GPtrArray *reasons; /* char *, owned: why it failed or was skipped */
    gboolean bad_input; /* it failed because a file is wrong, which only the lab could tell */
    char *command;      /* repeats it */
    char *capture;      /* path of the capture that was kept, or NULL */
    /* What a repetition has to have in common with it; NULL where none has to. */
    char *packets_sha256, *capture_sha256;
} PlVerdict;

/* Passing and empty, with a subject a node. */
PlVerdict *pl_verdict_new(const PlTopology *topology, const char *engine, uint64_t seed);
void pl_verdict_free(PlVerdict *verdict);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PlVerdict, pl_verdict_free)

/* Adds a reason, unless it stands there already; the worst outcome stays: fail over skip over pass.
 */
void pl_verdict_reason(PlVerdict *verdict, PlOutcome outcome, const char *format, ...)
    G_GNUC_PRINTF(3, 4);
/* The reason that an error gives: skip for PL_ERROR_UNSUPPORTED, else fail. */
void pl_verdict_error(PlVerdict *verdict, const GError *error);

PlSubject *pl_verdict_subject(PlVerdict *verdict, const char *name);

/* Whether the file expects that the program under test does not find it out. */
gboolean pl_verdict_expects_unknown(const PlSubject *subject, PlAxis axis);
/* Whether the four say the same of one axis, as far as they have to. */
gboolean pl_verdict_axis_ok(const PlSubject *subject, PlAxis axis);
/* Compares, and adds a reason for each difference. */
void pl_verdict_judge(PlVerdict *verdict);
/* The same with what the prober certified only, for a lab that nothing has been observed in. */
void pl_verdict_judge_setup(PlVerdict *verdict);

/* The path between these two; NULL when it is none that is judged. */
PlPath *pl_verdict_path(const PlVerdict *verdict, const char *from, const char *to);
void pl_path_finding_set(PlPathFinding *finding, const char *value, const char *why);
/* Whether what was found is what was expected: "relayed" is met by any "relayed(HOST)". */
gboolean pl_path_agrees(const char *expected, const char *found);
/* The same for what a node says, which cannot know why a peer is not at the hub: "none" is met by
 * "none(unknown-peer)", whatever the reason. */
gboolean pl_path_claim_agrees(const char *expected, const char *claimed);
/* Whether the three say the same of it, as far as they have to. */
gboolean pl_verdict_path_ok(const PlPath *path);

/* "schema": 1. The node belongs to the caller. */
JsonNode *pl_verdict_to_json(const PlVerdict *verdict);
PlVerdict *pl_verdict_from_json(JsonNode *node, GError **error);

const char *pl_outcome_name(PlOutcome outcome);
