/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Makes a lab that is fit to work in. Private to this room. */
#pragma once

#include "scenario/engine.h"

/*
 * Up, certified by the prober, made new again, and with the programs of its hosts running. NULL
 * with an error, and nothing left, when the engine cannot express the topology
 * (PL_ERROR_UNSUPPORTED), a NAT is not what its file says, or a program does not get ready.
 */
PlLab *pl_stand_up(const PlTopology *topology, const PlEngine *engine, uint64_t seed,
                   GError **error);

/* Does the steps of the file, each at its time, and tells of each when it is done. */
gboolean pl_stand_steps(const PlTopology *topology, const PlEngine *engine, PlLab *lab,
                        void (*tell)(const PlStep *step, gpointer data), gpointer data,
                        GError **error);
