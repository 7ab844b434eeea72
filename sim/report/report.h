/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What people and machines get to read of verdicts. */
#pragma once

#include <stdio.h>

#include "scenario/verdict.h"

typedef struct PlReportStyle {
    gboolean colour;
    unsigned columns; /* of the terminal; 0: it is none, and nothing is cut */
} PlReportStyle;

/* One cell in full, for `pinlab run`; before it, `about` (the topology's paragraph, or NULL). */
void pl_report_verdict(FILE *out, const PlVerdict *verdict, const char *about, PlReportStyle style);
/* A row a topology, then totals, failures and skips, for `pinlab matrix`. The runs of one topology
 * stand next to each other in the array; they are folded into one row, differences named. */
void pl_report_table(FILE *out, GPtrArray *verdicts, uint64_t duration_ns, PlReportStyle style);
/* A grid for `pinlab matrix --pairs`: the path of each verdict, which are those of all pairs of
 * these `kinds` (ended by NULL), row by row, `repeat` runs each; then as above. */
void pl_report_pairs(FILE *out, GPtrArray *verdicts, const char *const *kinds, unsigned repeat,
                     uint64_t duration_ns, PlReportStyle style);
/* {"schema": 1, "cells": [...], "totals": {...}}; belongs to the caller. */
JsonNode *pl_report_json(GPtrArray *verdicts, uint64_t duration_ns);
/* JUnit XML: a test suite, a case a cell; runs of one topology are numbered from 1. */
void pl_report_junit(FILE *out, GPtrArray *verdicts, uint64_t duration_ns);

typedef struct PlReportTotals {
    unsigned cells, passed, failed, skipped;
    unsigned differing; /* topologies whose runs are not all alike */
} PlReportTotals;

PlReportTotals pl_report_totals(GPtrArray *verdicts);

/* Whether two runs of one topology came to different results: another outcome, another class,
 * mapping or filtering found for any host or NAT, or another path claimed or observed. */
gboolean pl_report_differs(const PlVerdict *a, const PlVerdict *b);

/* For --no-skip: what was skipped has failed. */
void pl_report_forbid_skips(GPtrArray *verdicts);

/* How the command ends: 0 some passed and nothing failed, 1 something failed or differed, 2 a file
 * was wrong (which goes before 1), 77 nothing ran. */
int pl_report_exit_status(GPtrArray *verdicts);
