/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How a verdict is made piece by piece: for verdict.c and verdict_json.c. */
#pragma once

#include "scenario/verdict.h"

PlVerdict *pl_verdict_empty(void);
/* The subject belongs to the verdict. */
PlSubject *pl_verdict_add(PlVerdict *verdict, const char *name, PlNodeKind kind);
/* The path belongs to the verdict. */
PlPath *pl_verdict_add_path(PlVerdict *verdict, const char *from, const char *to);
