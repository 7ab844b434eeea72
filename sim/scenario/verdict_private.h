/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How a verdict is made piece by piece: for verdict.c, verdict_json.c and verdict_read.c. */
#pragma once

#include "scenario/verdict.h"

PlVerdict *pl_verdict_empty(void);
/* The subject belongs to the verdict. */
PlSubject *pl_verdict_add(PlVerdict *verdict, const char *name, PlNodeKind kind);
/* The path belongs to the verdict. */
PlPath *pl_verdict_add_path(PlVerdict *verdict, const char *from, const char *to);

/* As JSON: docs/verdict.md. */
#define PL_VERDICT_SCHEMA   1
#define PL_VERDICT_NS_PER_S 1e9

/* Who has a word on an axis, in the order of the document; and on a path. */
#define PL_JUDGES      4
#define PL_PATH_JUDGES 3
extern const char *const pl_judge_names[PL_JUDGES];
extern const char *const pl_path_judges[PL_PATH_JUDGES];
PlFindings *pl_verdict_findings(PlSubject *subject, unsigned judge);
PlPathFinding *pl_verdict_path_finding(PlPath *path, unsigned judge);
/* Whether it stands by the subject itself, and not among its axes. */
gboolean pl_verdict_axis_on_top(PlAxis axis);
