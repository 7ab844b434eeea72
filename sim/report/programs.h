/* SPDX-License-Identifier: GPL-2.0-or-later */
/* For this room only. */
#pragma once

#include "report/text.h"
#include "scenario/verdict.h"

/* How the programs of a run ended, and the last lines that each had put out; of a classification
 * the first, which say what it found. */
void pl_programs_put(const PlText *text, const PlVerdict *verdict);
/* The same, without those that had nothing to do with the failure: who ended well, and is not named
 * in a reason that names somebody. */
void pl_programs_put_failed(const PlText *text, const PlVerdict *verdict);
