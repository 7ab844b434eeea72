/* SPDX-License-Identifier: MIT */
/*
 * Keeps knowing behind what kind of NAT this host is: a watch (watch.h), which decides when to
 * classify and what to believe, with its classifications on real sockets. It asks a server
 *
 * - for a classification at the start, every `interval_ns`, and when ph_watcher_demand wants one;
 * - every `reflex_ns`, in one packet from a fresh socket, at what address it is seen: when that is
 *   another one, it classifies.
 *
 * A watcher belongs to the thread that runs its context.
 */
#pragma once

#include <gio/gio.h>
#include <pinhole/classify.h>
#include <pinhole/watch.h>

PH_BEGIN_DECLS

typedef struct PhWatcherConfig {
    const char *server; /* as in classify.h; copied */
    PhClassifyFlags flags;
    PhWatchConfig watch;
    uint64_t reflex_ns; /* between two questions; 0: 30 s, UINT64_MAX: none is asked */
} PhWatcherConfig;

typedef struct PhWatcher PhWatcher;

/* The class, the external address, or both are others now; they are known for the first time.
 * `current` is as ph_watcher_current has it. The callback may free the watcher. */
typedef void (*PhWatcherChanged)(PhWatcher *watcher, const PhClassification *current,
                                 gpointer data);

/*
 * Watches from when it returns, in the caller's thread-default main context. `changed` may not be
 * NULL, and is never called from within a function of the watcher's. NULL and
 * G_IO_ERROR_INVALID_ARGUMENT when `server` makes no sense; a name that is not known, now or later,
 * is no error but an unknown class, and so is a network that is not there.
 */
PH_EXPORT PhWatcher *ph_watcher_new(const PhWatcherConfig *config, PhWatcherChanged changed,
                                    gpointer data, GError **error);
PH_EXPORT PhWatcher *ph_watcher_free(PhWatcher *watcher); /* NULL is fine; returns NULL */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PhWatcher, ph_watcher_free)

/* Classify soon: the network has changed, or somebody wants to know. */
PH_EXPORT void ph_watcher_demand(PhWatcher *watcher);
/* A peer says that it sees a data socket at this address: as good as the watcher's own questions.
 */
PH_EXPORT void ph_watcher_reflex(PhWatcher *watcher, const PhAddress *mapped);

/* What is believed; NULL before the first result. The watcher's own: it changes when the main
 * context runs, and goes with the watcher. */
PH_EXPORT const PhClassification *ph_watcher_current(const PhWatcher *watcher);
/* The watcher's own, likewise. */
PH_EXPORT const PhWatchCounters *ph_watcher_counters(const PhWatcher *watcher);

PH_END_DECLS
