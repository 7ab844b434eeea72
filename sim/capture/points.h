/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where a lab is recorded: both sides of every NAT, every host that is not behind one, and each of
 * several that share a network behind one: what they say to each other passes no NAT.
 */
#pragma once

#include "topology/topology.h"

/* PlAttachment, borrowed, in a fixed order; a recording's interfaces have their labels as names. */
GPtrArray *pl_capture_points(const PlTopology *topology);
/* Whether it is one of them. */
gboolean pl_capture_is_point(const PlAttachment *attachment);
