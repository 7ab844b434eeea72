/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Drives a prober in real time, with real sockets in network namespaces. */
#pragma once

#include "prober/prober.h"

typedef struct PlDrivePlace {
    int netns_fd;
    const char *interface; /* sockets are bound to it (SO_BINDTODEVICE); NULL: not bound */
} PlDrivePlace;

/* Returns when the prober is done. The caller's own network namespace is what it was. */
gboolean pl_drive_prober(PlProber *prober, const PlDrivePlace *inside, const PlDrivePlace *outside,
                         GError **error);
