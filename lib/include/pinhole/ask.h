/* SPDX-License-Identifier: MIT */
/*
 * Asks a server "what address do you see me at?" (a Binding request of RFC 8489), with a reflex
 * client (reflex.h) on a real socket, driven by the thread-default GMainContext of the caller. Any
 * node that has a hub (hub.h) answers, and any STUN server.
 *
 * `server` is as in classify.h. The question is sent up to seven times, and given up after 8 s; or
 * as soon as ICMP says of two copies that nobody listens, which is mostly after 0.1 s.
 */
#pragma once

#include <gio/gio.h>
#include <pinhole/address.h>

PH_BEGIN_DECLS

typedef struct PhAnswer {
    PhAddress mapped; /* what the server sees */
    PhAddress local;  /* of the socket; its host may be unspecified */
    PhAddress server; /* who was asked */
    uint64_t rtt_ns;  /* from the first request to the answer */
} PhAnswer;

/*
 * Asks from `socket`, a UDP socket of the caller's that is bound; NULL: from a fresh one. Until the
 * answer is there nobody else reads from that socket: what comes in besides the answer is dropped.
 * In between the socket has IP_RECVERR. Who has a socket that is in use drives a reflex client
 * himself, and offers it what comes in.
 */
PH_EXPORT void ph_ask_server_async(const char *server, GSocket *socket, GCancellable *cancellable,
                                   GAsyncReadyCallback callback, gpointer data);

/*
 * FALSE and an error: as in classify.h; or the server answers with an error
 * (G_IO_ERROR_PERMISSION_DENIED), without any usable address (G_IO_ERROR_INVALID_DATA), or not at
 * all (G_IO_ERROR_TIMED_OUT, G_IO_ERROR_CONNECTION_REFUSED when ICMP says that nobody listens); or
 * the socket is of another family or cannot be used (G_IO_ERROR_FAILED).
 */
PH_EXPORT gboolean ph_ask_server_finish(GAsyncResult *result, PhAnswer *ret_answer, GError **error);

PH_END_DECLS
