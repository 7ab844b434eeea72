/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What people and machines get to read of verdicts. */
#pragma once

#include <stdio.h>

#include "scenario/verdict.h"

/* One cell in full, for `pinlab run`. */
void pl_report_verdict(FILE *out, const PlVerdict *verdict, gboolean colour);
/* A row a cell, then totals, for `pinlab matrix`; rows that were repeated are folded into one,
 * differences named. */
void pl_report_table(FILE *out, GPtrArray *verdicts, gboolean colour);
/* {"schema": 1, "cells": [...], "totals": {...}}; belongs to the caller. */
JsonNode *pl_report_json(GPtrArray *verdicts, uint64_t duration_ns);
/* JUnit XML: a test suite, a case a cell. */
void pl_report_junit(FILE *out, GPtrArray *verdicts, uint64_t duration_ns);
