/* SPDX-License-Identifier: MIT */
/* What an agent wants of the system besides sockets: the time, randomness, its own addresses. */
#pragma once

#include <gio/gio.h>
#include <pinhole/path.h>

/* CLOCK_MONOTONIC, in nanoseconds. */
uint64_t ph_clock_now(void);
/* The time since 1970 when that clock was at 0. */
uint64_t ph_clock_wall_offset(void);

/*
 * A source that calls `wake` once when the clock gets to what ph_alarm_set said, and never before
 * that. It is attached to `context`, and ends with g_source_destroy and g_source_unref.
 */
GSource *ph_alarm_new(GMainContext *context, GSourceFunc wake, gpointer data);
void ph_alarm_set(GSource *alarm, uint64_t at_ns); /* UINT64_MAX: never */

void ph_seed_fill(uint8_t ret_seed[static PH_SEED_BYTES]);

/* The address, without a port, that this host sends from to `remote`; FALSE: it cannot. */
gboolean ph_source_address(const PhAddress *remote, PhAddress *ret_address);

/* This host's own addresses of that family, loopback's too when asked for; at most `size`. Returns
 * how many; on failure 0 and an error. They have no port. */
size_t ph_local_addresses(PhFamily family, gboolean with_loopback, PhAddress *ret_addresses,
                          size_t size, GError **error);

/* Whether two lists of a host's addresses, none of which is there twice, say that it is where it
 * was. The first one is what it sends from to somebody; when that is of another family now, the
 * order says nothing. */
gboolean ph_local_addresses_same(const PhAddress *a, size_t n_a, const PhAddress *b, size_t n_b);
