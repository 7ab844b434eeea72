/* SPDX-License-Identifier: MIT */
/* What a hub has done, as docs/metrics.md describes it. */
#pragma once

#include <pinhole/hub.h>

/* One line of JSON on standard output. */
void metrics_show(const PhHub *hub, gint64 started_us);
