/* SPDX-License-Identifier: GPL-2.0-or-later */
/* TUN devices: interfaces whose far end is a descriptor. */
#pragma once

#include "wiring/spaces.h"

/*
 * Makes an interface in a namespace of the lab, down and without an address. Whole IP packets are
 * read from the descriptor (non-blocking, close-on-exec, the caller's) and written to it; without
 * it the interface has no carrier. It goes with its namespace. -1 with PL_ERROR_UNSUPPORTED where
 * there are no TUN devices, or none for us. May leave the caller in the namespace, until
 * pl_spaces_rest.
 */
int pl_tun_open(PlSpaces *spaces, unsigned space, const char *interface, unsigned mtu_bytes,
                GError **error);
