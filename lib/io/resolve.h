/* SPDX-License-Identifier: MIT */
/* From what a person types to the address of a server. */
#pragma once

#include <gio/gio.h>
#include <pinhole/address.h>

/*
 * HOST or HOST:PORT, into a host and a port that is PH_HUB_PORT when none is given. NULL and
 * G_IO_ERROR_INVALID_ARGUMENT when it makes no sense.
 */
char *ph_resolve_parse(const char *server, uint16_t *ret_port, GError **error);

/* Looks it up, in the thread-default main context: an address of IPv4 if it has any, and of
 * `family` alone unless that is NONE. */
void ph_resolve_server_async(const char *server, PhFamily family, GCancellable *cancellable,
                             GAsyncReadyCallback callback, gpointer data);
gboolean ph_resolve_server_finish(GAsyncResult *result, PhAddress *ret_address, GError **error);

#define PH_RESOLVE_MOST 8
/* All that it has, at most PH_RESOLVE_MOST, IPv4 and IPv6 by turns for as long as there are both;
 * how many, and 0 and an error when it is not found. */
size_t ph_resolve_server_finish_all(GAsyncResult *result,
                                    PhAddress ret_addresses[static PH_RESOLVE_MOST],
                                    GError **error);
