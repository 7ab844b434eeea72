/* SPDX-License-Identifier: MIT */
/* What a hub has done, as docs/metrics.md describes it. */
#pragma once

#include <json-glib/json-glib.h>
#include <pinhole/hub.h>

#include "lines.h"

/* What it counts, as members of an object. */
void metrics_add(JsonBuilder *builder, const PhHub *hub);
/* One line of JSON. */
void metrics_show(const PhHub *hub, gint64 started_us, Lines *lines);
