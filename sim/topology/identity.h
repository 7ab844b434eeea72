/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who the hosts of a run are: every engine gives a host the same key in the same run. */
#pragma once

#include <pinhole/key.h>

#include "topology/topology.h"

/* The key of a host's node or hub, from the run's seed and the host's name. */
void pl_host_key(const PlNode *host, uint64_t seed, PhKey *ret_key);
