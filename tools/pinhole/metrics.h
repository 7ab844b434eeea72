/* SPDX-License-Identifier: MIT */
/* What a hub has done, as docs/metrics.md describes it. */
#pragma once

#include <pinhole/hub.h>

#include "lines.h"

/* One line of JSON. */
void metrics_show(const PhHub *hub, gint64 started_us, Lines *lines);
