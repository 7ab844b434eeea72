/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An interface that has been set up does not carry packets at once: one end of a cable waits for
 * the kernel's link watch to give it a queue, and a bridge's port for the same to be enabled. What
 * is sent before then is lost, and an address that could not be resolved is asked for again a
 * second later. Nor does an interface that carries them take in at once what is for its addresses
 * of IPv6: that begins when a worker of the kernel's has got to them.
 */
#pragma once

#include "wiring/spaces.h"

typedef struct PlCarrier PlCarrier;

/* Told of changes from now on. */
PlCarrier *pl_carrier_new(PlSpaces *spaces);
void pl_carrier_free(PlCarrier *carrier);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PlCarrier, pl_carrier_free)

/* Returns when the interface, which is up and whose other end is up, carries packets. */
gboolean pl_carrier_await(PlCarrier *carrier, unsigned space, const char *interface,
                          GError **error);
/* The same for an address that an interface in this space has; at once for IPv4. */
gboolean pl_carrier_await_address(PlCarrier *carrier, unsigned space, const PhAddress *address,
                                  GError **error);
