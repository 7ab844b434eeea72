/* SPDX-License-Identifier: MIT */
/*
 * The watch decides when to classify, and what to believe of it: at the start, every so often, when
 * a reflector sees another address, and on demand; and it never flaps. Its driver runs a classifier
 * whenever it says so, and hands over what that found.
 *
 * - Another external address is certain: it is classified at once, and what that finds is believed
 *   at once, address and class as one change. Behind a NAT that gives any of several addresses to
 * each mapping it means nothing.
 * - Another class at the same address must be found twice, the second time `confirm_ns` after the
 *   first. A result that is unknown in between neither confirms nor refutes; any other class does
 *   refute it.
 * - Blocked UDP looks like a hub that is down: in place of something else it must be found for
 *   `blocked_ns`, `confirm_ns` apart, and nothing else in between but what is unknown.
 * - What is unknown replaces what is known only when nothing could be found out three times in a
 *   row, `confirm_ns` apart. Where nothing can be found out, every interval costs three
 *   classifications.
 */
#pragma once

#include <pinhole/classification.h>

PH_BEGIN_DECLS

/* UINT64_MAX is never, as in path.h. */
typedef struct PhWatchConfig {
    uint64_t interval_ns; /* from a result to the next classification; 0: 30 minutes */
    uint64_t confirm_ns;  /* from a result in doubt to its repetition; 0: 5 s */
    /* From the start of one to the start of one that is demanded, or caused by another address;
     * what interval_ns and confirm_ns say ignores it. Another address need not wait for it the
     * first time within a gap, only the second: it costs two classifications a gap at most. 0: 10 s
     */
    uint64_t gap_ns;
    uint64_t blocked_ns; /* how long UDP must be found to be blocked; 0: 60 s */
} PhWatchConfig;

typedef enum {
    PH_WATCH_CLASSIFY, /* run a classification, and call ph_watch_result */
    PH_WATCH_CHANGED,  /* the class, the external address, or both are others now */
} PhWatchEvent;

typedef struct PhWatchCounters {
    uint64_t classifications;     /* asked for */
    uint64_t results[PH_CLASS_N]; /* what they found */
    uint64_t changes;             /* told */
    uint64_t flaps;               /* another class, that was not confirmed */
} PhWatchCounters;

typedef struct PhWatch PhWatch;

/* The first classification is due at once. NULL when there is no memory. */
PH_EXPORT PhWatch *ph_watch_new(const PhWatchConfig *config, uint64_t now);
PH_EXPORT PhWatch *ph_watch_free(PhWatch *watch); /* NULL is fine; returns NULL */

/* What a reflector or a peer sees of a data socket. Only the host matters: ports are many. */
PH_EXPORT void ph_watch_reflex(PhWatch *watch, const PhAddress *mapped, uint64_t now);
/* Somebody wants to know, or has reason to doubt: another one, even where one is running. */
PH_EXPORT void ph_watch_demand(PhWatch *watch, uint64_t now);
/* What the classification that PH_WATCH_CLASSIFY asked for has found; ignored when none runs. */
PH_EXPORT void ph_watch_result(PhWatch *watch, const PhClassification *result, uint64_t now);

PH_EXPORT void ph_watch_handle_timeout(PhWatch *watch, uint64_t now);
PH_EXPORT uint64_t ph_watch_next_timeout(const PhWatch *watch);
PH_EXPORT bool ph_watch_poll_event(PhWatch *watch, PhWatchEvent *ret_event);

/* What is believed; NULL before the first result. The watch's own: it changes with ph_watch_result,
 * and goes with the watch. */
PH_EXPORT const PhClassification *ph_watch_current(const PhWatch *watch);
/* The watch's own: they go on counting, and go with the watch. */
PH_EXPORT const PhWatchCounters *ph_watch_counters(const PhWatch *watch);

PH_END_DECLS
