/* SPDX-License-Identifier: MIT */
/*
 * Whether a path still works, from heartbeats alone: any authentic packet is one.
 *
 *     HEALTHY ──2 missed intervals──> SUSPECT ──5 missed──> FAILED
 *        ^                              │                      │
 *        └──────── two answers ─────────┴──────────────────────┘
 *
 * Suspect: never below 6.5 s; failed: never below 15 s, 30 s on a relayed path. Those are
 * conservative (20 % loss for a minute never reads failed); the fast profile divides them by five.
 * Latency that runs away (8 times the smoothed round trip, and 1 s at least, three times in a row)
 * is a reason to suspect; after ten times it is the path's round trip.
 *
 * It also says when to send: active 3 s, with 20 % of jitter, idle (45 s without data) 20 to 25 s,
 * and never less often than half the binding's lifetime (5 s where a NAT is known to keep one for
 * 10 s).
 */
#pragma once

#include <pinhole/path.h>

#include "random.h"
#include "rtt.h"

/* RFC 4787 §4.3 asks for 2 min; 34 home gateways kept 30 s at least (Hätönen et al., 2010). */
#define PH_BINDING_ASSUMED_NS (30 * UINT64_C(1000000000))

typedef enum {
    PH_HEALTHY,
    PH_SUSPECT,
    PH_FAILED,
} PhHealth;
const char *ph_health_name(PhHealth health); /* "healthy", ... */

typedef struct PhDetectorConfig {
    uint8_t seed[PH_SEED_BYTES]; /* of the jitter and of pings' ids */
    bool relayed;
    bool fast;
    uint64_t binding_ns; /* how long a NAT keeps an idle mapping; 0: unknown, 30 s is assumed */
} PhDetectorConfig;

#define PH_DETECTOR_PINGS 8

typedef struct PhDetectorPing {
    bool awaited;
    uint64_t id, sent_ns;
} PhDetectorPing;

typedef struct PhDetector {
    PhDetectorConfig config;
    PhHealth health;
    const char *reason; /* of the last change; static text */
    PhRandom random;
    PhRtt rtt;
    uint64_t heard_ns; /* the last heartbeat */
    uint64_t data_ns;  /* the last time the application's bytes passed, either way */
    uint64_t since_ns; /* the oldest ping that nothing was heard after; 0: none */
    uint64_t ping_due_ns;
    PhDetectorPing awaited[PH_DETECTOR_PINGS]; /* a ring: the last ones */
    unsigned slow;                             /* answers in a row that took far too long */
    unsigned answers;                          /* in a row, since it was suspected */
    uint64_t pings, pongs;
} PhDetector;

void ph_detector_init(PhDetector *ret_detector, const PhDetectorConfig *config, uint64_t now);
/* An authentic packet came along the path; `data`: with bytes of the application's. */
void ph_detector_heard(PhDetector *detector, bool data, uint64_t now);
void ph_detector_sent(PhDetector *detector, bool data, uint64_t now);
/* The answer to a ping of ours; false: not the one that is awaited. */
bool ph_detector_ponged(PhDetector *detector, uint64_t id, uint64_t now);
void ph_detector_set_binding(PhDetector *detector, uint64_t binding_ns, uint64_t now);
/* The next ping is due at once. */
void ph_detector_probe(PhDetector *detector, uint64_t now);
/* Whether a ping is to be sent now, and its id. */
bool ph_detector_poll_ping(PhDetector *detector, uint64_t now, uint64_t *ret_id);
/* True when health changed; the state is in `health`. */
bool ph_detector_handle_timeout(PhDetector *detector, uint64_t now);
uint64_t ph_detector_next_timeout(const PhDetector *detector);
