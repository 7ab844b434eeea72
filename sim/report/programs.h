/* SPDX-License-Identifier: GPL-2.0-or-later */
/* For this room only. */
#pragma once

#include "report/text.h"
#include "scenario/verdict.h"

/* How the programs of a run ended, and the last lines that each had put out. */
void pl_programs_put(const PlText *text, const PlVerdict *verdict);
