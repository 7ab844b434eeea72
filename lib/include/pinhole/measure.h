/* SPDX-License-Identifier: MIT */
/*
 * Measures how long the NAT that this host is behind keeps an unused mapping (lifetime.h), on real
 * sockets, driven by the thread-default GMainContext of the caller. It takes as long as the mapping
 * lives: minutes mostly, PH_LIFETIME_SOCKETS sockets, and some forty packets.
 *
 * `server` is as in classify.h, and must know RESPONSE-PORT (RFC 5780): hubs do.
 */
#pragma once

#include <gio/gio.h>
#include <pinhole/lifetime.h>

PH_BEGIN_DECLS

/* Durations above most_ns are not tried; 0: all are; PH_LIFETIME_LEAST_NS or more. */
PH_EXPORT void ph_measure_lifetime_async(const char *server, uint64_t most_ns,
                                         GCancellable *cancellable, GAsyncReadyCallback callback,
                                         gpointer data);

/* FALSE and an error: as in classify.h, G_IO_ERROR_INVALID_ARGUMENT for most_ns as well. That
 * nothing was found out is no error, but has a reason. *ret_server, which may be NULL, is who was
 * asked. */
PH_EXPORT gboolean ph_measure_lifetime_finish(GAsyncResult *result, PhLifetimeResult *ret_result,
                                              PhAddress *ret_server, GError **error);

PH_END_DECLS
