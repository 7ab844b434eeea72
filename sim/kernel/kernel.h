/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The engine `kernel`: every node a network namespace, NATs by nftables and conntrack, real time.
 */
#pragma once

#include "scenario/engine.h"

extern const PlEngine pl_kernel_engine;
