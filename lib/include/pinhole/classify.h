/* SPDX-License-Identifier: MIT */
/*
 * Classifies the NAT that this host is behind, with a classifier (classifier.h) on real sockets,
 * driven by the thread-default GMainContext of the caller.
 *
 * `server` is HOST or HOST:PORT, HOST a name or an address (IPv6 with a port in brackets): a hub,
 * or any STUN server. A name that has several addresses is asked at the first, IPv4 before IPv6,
 * since it is IPv4 that is translated.
 */
#pragma once

#include <gio/gio.h>
#include <pinhole/classification.h>

PH_BEGIN_DECLS

typedef enum {
    PH_CLASSIFY_DEFAULT = 0,
    /* Tell the server the class: one packet at the end, which only a hub understands. It has seen
     * the tests, so that it learns nothing that it could not work out; it counts the classes. */
    PH_CLASSIFY_REPORT = 1,
} PhClassifyFlags;

PH_EXPORT void ph_classify_server_async(const char *server, PhClassifyFlags flags,
                                        GCancellable *cancellable, GAsyncReadyCallback callback,
                                        gpointer data);

/*
 * FALSE and an error: `server` makes no sense (G_IO_ERROR_INVALID_ARGUMENT), its name is not known
 * (of G_RESOLVER_ERROR), cancelled, a limit of the system was met, or for a second nothing could be
 * sent to the server (what the system says, G_IO_ERROR_NETWORK_UNREACHABLE for one). That nobody
 * answers is no error but a class, and so is a firewall of this host's own. *ret_server, which may
 * be NULL, is who was asked.
 */
PH_EXPORT gboolean ph_classify_server_finish(GAsyncResult *result,
                                             PhClassification *ret_classification,
                                             PhAddress *ret_server, GError **error);

PH_END_DECLS
