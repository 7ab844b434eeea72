/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The paths of a run: waited for, asked of the nodes, and looked for on the wire. */
#pragma once

#include "capture/pcapng.h"
#include "scenario/engine.h"
#include "scenario/verdict.h"

/* Lets time pass until nodes say of the verdict's paths what is expected, and go on saying so, or
 * for the connecting program's time limit; fills `claimed`. */
gboolean pl_paths_settle(const PlTopology *topology, const PlEngine *engine, PlLab *lab,
                         PlVerdict *verdict, GError **error);

/* Fills `observed`. What the wire shows of the hosts themselves has to be there. */
gboolean pl_paths_observe(const PlTopology *topology, const PlCapture *capture, PlVerdict *verdict,
                          GError **error);
