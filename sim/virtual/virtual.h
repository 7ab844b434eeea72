/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The engine `virtual`: hosts are protocol cores, NATs and links the model, all in one process; the
 * clock jumps from event to event. Same topology and seed, same bytes. */
#pragma once

#include "scenario/engine.h"

extern const PlEngine pl_virtual_engine;
