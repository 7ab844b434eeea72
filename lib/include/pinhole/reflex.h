/* SPDX-License-Identifier: MIT */
/*
 * The reflex client asks reflectors, or any STUN server: "what address do you see me at?". It asks
 * along a path of its driver's, so that the answer is about a socket that is in use; what comes in
 * there is offered to it, and what is not its own it leaves to others.
 *
 * Requests are sent again as RFC 8489 §6.2.1 says, after a time that follows the measured round
 * trip. They are as long as their answers.
 */
#pragma once

#include <pinhole/path.h>

PH_BEGIN_DECLS

#define PH_REFLEX_EXCHANGES 32 /* at a time */

typedef enum {
    PH_REFLEX_MAPPED,   /* `mapped` is what the server sees */
    PH_REFLEX_REFUSED,  /* the server answered with the error `error` */
    PH_REFLEX_NONSENSE, /* the server answered, without any usable address */
    PH_REFLEX_SILENT,   /* no answer: blocked, or nobody there */
} PhReflexKind;

typedef struct PhReflexEvent {
    PhReflexKind kind;
    PhPath path; /* as it was asked */
    PhAddress mapped;
    unsigned error;
    uint64_t rtt_ns; /* from the first copy to the answer */
} PhReflexEvent;

typedef struct PhReflexConfig {
    uint8_t seed[PH_SEED_BYTES];
    uint64_t first_rto_ns; /* while no round trip is known; 0: 500 ms (RFC 8489 §6.2.1),
                              UINT64_MAX: one copy, and no end to the waiting */
} PhReflexConfig;

typedef struct PhReflexCounters {
    uint64_t asked, sent, mapped, refused, nonsense, silent;
    uint64_t foreign; /* datagrams that were offered and are not ours */
} PhReflexCounters;

typedef struct PhReflex PhReflex;

/* NULL when there is no memory. */
PH_EXPORT PhReflex *ph_reflex_new(const PhReflexConfig *config);
PH_EXPORT PhReflex *ph_reflex_free(PhReflex *reflex); /* NULL is fine; returns NULL */

/* False: PH_REFLEX_EXCHANGES are under way, or have events that were not polled. */
PH_EXPORT bool ph_reflex_ask(PhReflex *reflex, const PhPath *path, uint64_t now);

/* False: not ours. */
PH_EXPORT bool ph_reflex_handle_datagram(PhReflex *reflex, const PhPath *path, const uint8_t *bytes,
                                         size_t length, uint64_t now);
PH_EXPORT void ph_reflex_handle_timeout(PhReflex *reflex, uint64_t now);
PH_EXPORT uint64_t ph_reflex_next_timeout(const PhReflex *reflex);
PH_EXPORT bool ph_reflex_poll_transmit(PhReflex *reflex, PhTransmit *ret_transmit);
PH_EXPORT bool ph_reflex_poll_event(PhReflex *reflex, PhReflexEvent *ret_event);
/* The client's own: they go on counting, and go with it. */
PH_EXPORT const PhReflexCounters *ph_reflex_counters(const PhReflex *reflex);

PH_END_DECLS
