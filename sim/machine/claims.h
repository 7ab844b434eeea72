/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a classification says of a NAT, as `pinhole classify --json` writes it
 * (docs/classification.md). */
#pragma once

#include "topology/axes.h"

/*
 * Sets class, external, mapping, filtering, port-allocation, pooling, hairpin and udp; what it does
 * not know is NULL with its reason. FALSE when the text is no such classification: an error with
 * what is wrong, and nothing set.
 */
gboolean pl_claims_read(const char *text, PlFindings *ret_claims, GError **error);
