/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The step `host NAME send`, for all engines whose hosts are network namespaces. */
#pragma once

#include "topology/topology.h"

/* Sends it in that namespace. It has left the host when this returns TRUE. */
gboolean pl_send_step(const PlStep *step, int netns_fd, GError **error);
