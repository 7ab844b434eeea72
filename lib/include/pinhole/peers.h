/* SPDX-License-Identifier: MIT */
/*
 * Peers to talk to: a node (node.h) on real sockets, driven by a GMainContext. It finds its hub by
 * DNS, and again when it is lost (each of its addresses has its turn, of either family), opens and
 * closes sockets as the node wants them, and tells it when this host's addresses
 * change.
 *
 * It belongs to the thread that runs its context.
 */
#pragma once

#include <gio/gio.h>
#include <pinhole/key.h>
#include <pinhole/node.h>

PH_BEGIN_DECLS

typedef struct PhPeers PhPeers;

/* Only `hub` is needed. What is pointed to is copied. */
typedef struct PhPeersConfig {
    const char *hub;  /* KEY@HOST or KEY@HOST:PORT: the hub's public key, and where it is */
    const char *name; /* by which others find this node; NULL: by its key alone */
    const PhKey *key; /* NULL: a new one, which is kept nowhere */
    gboolean refuse_strangers, fast_detector, no_hard_punching, relay_only; /* as in node.h */
    gboolean relays, no_mediation;                                          /* as in node.h */
    /* A file to record into (record.h); NULL: none. `record_failed` is told, once, when it cannot
     * be written any more: nothing else ends then. It may be NULL, and may not free the peers. */
    const char *record;
    gboolean record_secrets;
    void (*record_failed)(PhPeers *peers, const GError *error, gpointer event_data);
} PhPeersConfig;

/* What happens, one call for each; the event is borrowed. It is never called from within a function
 * of the peers', and may free them. */
typedef void (*PhPeersEvent)(PhPeers *peers, const PhNodeEvent *event, gpointer data);

/*
 * Looks the hub up and begins, in the caller's thread-default main context. Errors:
 * G_IO_ERROR_INVALID_ARGUMENT when the config makes no sense, those of GResolver, and
 * G_IO_ERROR_CANCELLED. That the hub does not answer is none: it is an event.
 */
PH_EXPORT void ph_peers_open_async(const PhPeersConfig *config, GCancellable *cancellable,
                                   GAsyncReadyCallback callback, gpointer data);
/* Events come to `event`, with `event_data`, from the next round of the main loop on. */
PH_EXPORT PhPeers *ph_peers_open_finish(GAsyncResult *result, PhPeersEvent event,
                                        gpointer event_data, GError **error);
/* Says goodbye to all. NULL is fine; returns NULL. */
PH_EXPORT PhPeers *ph_peers_free(PhPeers *peers);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PhPeers, ph_peers_free)

/* As ph_node_connect, by a name or, in base64, a public key (no name looks like one). Its number;
 * 0 and an error: it is neither (G_IO_ERROR_INVALID_ARGUMENT), or there are too many peers. */
PH_EXPORT uint32_t ph_peers_connect(PhPeers *peers, const char *who, GError **error);
PH_EXPORT void ph_peers_disconnect(PhPeers *peers, uint32_t peer);
/* As ph_node_send. What is sent goes out when the main loop runs again, many at a time. */
PH_EXPORT gboolean ph_peers_send(PhPeers *peers, uint32_t peer, const uint8_t *bytes,
                                 size_t length);

/* Its own: whatever of it does not change anything (counters, the peer table, the public key). */
PH_EXPORT const PhNode *ph_peers_node(const PhPeers *peers);

PH_END_DECLS
