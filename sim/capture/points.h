/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where a lab is recorded: both sides of every NAT, and every host that is not behind one. */
#pragma once

#include "topology/topology.h"

/* PlAttachment, borrowed, in a fixed order; a recording's interfaces have their labels as names. */
GPtrArray *pl_capture_points(const PlTopology *topology);
