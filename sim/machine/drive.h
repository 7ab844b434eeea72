/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Drives a prober in real time, with real sockets in network namespaces. */
#pragma once

#include "prober/prober.h"

typedef struct PlDrivePlace {
    int netns_fd;
    const char *interface; /* sockets are bound to it (SO_BINDTODEVICE); NULL: not bound */
} PlDrivePlace;

/*
 * Where packets need time for their way: what is to arrive now has arrived when it returns. It is
 * called before sockets close, which would let their hosts answer with errors that no NAT is the
 * cause of.
 */
typedef void (*PlDriveSettle)(gpointer data);

/* Returns when the prober is done. The caller's own network namespace is what it was. `settle` may
 * be NULL. */
gboolean pl_drive_prober(PlProber *prober, const PlDrivePlace *inside, const PlDrivePlace *outside,
                         PlDriveSettle settle, gpointer data, GError **error);
