/* SPDX-License-Identifier: GPL-2.0-or-later */
/* For this room only. */
#pragma once

#include "report/text.h"

/* Rows are who connects, columns whom; see report.h for the rest. */
void pl_grid_put(const PlText *text, GPtrArray *verdicts, const char *const *kinds,
                 unsigned repeat);
