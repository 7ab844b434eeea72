/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What programs under test say of themselves, and of the NATs before them. */
#pragma once

#include "scenario/verdict.h"

/*
 * Fills `claimed` of a host from what its classification says, and of the NAT before it, if that is
 * the only one and no host before this one in the file has spoken for it. A host whose class the
 * file expects to stay unknown speaks for no NAT.
 */
void pl_claimed_fill(const PlTopology *topology, PlVerdict *verdict, const PlNode *host,
                     const PlFindings *claims);
