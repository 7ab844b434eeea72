/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The words themselves, indexed by their enums, for those who read them. */
#pragma once

#include "topology/axes.h"

extern const char *const pl_mapping_words[PL_MAPPING_N];
extern const char *const pl_filtering_words[PL_FILTERING_N];
extern const char *const pl_port_allocation_words[PL_PORT_ALLOCATION_N];
extern const char *const pl_pooling_words[PL_POOLING_N];
extern const char *const pl_hairpin_words[PL_HAIRPIN_N];
extern const char *const pl_unsolicited_words[PL_UNSOLICITED_N];
extern const char *const pl_pass_words[PL_PASS_N];

#define PL_CLASS_WORDS_N 8
extern const char *const pl_class_words[PL_CLASS_WORDS_N];
