/* SPDX-License-Identifier: MIT */
/*
 * The reflector answers "what address do you see me at?": STUN Binding requests (RFC 8489), with
 * what NAT behaviour discovery needs (RFC 5780), for clients of RFC 3489 too. On two addresses with
 * two ports each it can do all of it; with less it does what it can, and refuses the rest by name.
 *
 * It remembers nothing of a request but how full its sender's bucket is, of a report only the class
 * and when, and every answer is given at once: it needs no queues and no timeouts. Nobody can turn
 * it against a third party:
 *
 * - it answers to the address that a request came from (with RESPONSE-PORT to another port there),
 *   never to one that a request names;
 * - an answer is at most PH_REFLECTOR_AMPLIFICATION times as long as its request: attributes that
 *   the client could do without are left out to keep to that. PADDING is refused;
 * - bytes sent, and answers sent from elsewhere, are limited per source (IPv4 address or IPv6 /64)
 *   and overall; who may not be answered from elsewhere gets an error 500. There are no bans:
 *   many share one address behind a carrier's NAT.
 *
 * One reflector serves one address family. It is not thread-safe; threads have one each.
 */
#pragma once

#include <pinhole/classification.h>
#include <pinhole/path.h>

PH_BEGIN_DECLS

#define PH_REFLECTOR_AMPLIFICATION 4
#define PH_REFLECTOR_ANSWER_MAX    192 /* bytes of an answer */

/* Its sockets, as path.socket: the first or second address with the first or second port. */
#define PH_REFLECTOR_SOCKET(host, port) ((uint32_t)(host) << 1 | (uint32_t)(port))

typedef struct PhRate {
    uint32_t per_second; /* 0: no limit */
    uint32_t burst;
} PhRate;

typedef struct PhReflectorConfig {
    PhAddress hosts[2]; /* as its clients reach them; [1].family is NONE: one address only */
    uint16_t ports[2];  /* [1] is 0: one port only, and then one address only */
    uint8_t seed[PH_SEED_BYTES];
    uint32_t sources;     /* how many sources are told apart, a power of two, 64 to 2^24; those that
                             fall together share a bucket */
    PhRate source_bytes;  /* answered to one source */
    PhRate all_bytes;     /* answered */
    PhRate source_change; /* answers from another socket or to another port, to one source */
    PhRate all_change;    /* the same, to all */
} PhReflectorConfig;

/* Datagrams, but for the two that say bytes. */
typedef struct PhReflectorCounters {
    uint64_t received, received_bytes;
    uint64_t answered, answered_bytes; /* errors included */
    uint64_t classic;                  /* answered: clients of RFC 3489 */
    uint64_t changed;                  /* answered: from another socket, or to another port */
    uint64_t refused;                  /* answered with an error */
    uint64_t foreign;                  /* dropped: not STUN, or malformed */
    uint64_t ignored;                  /* dropped: STUN, but no Binding request, nor a report */
    uint64_t reports;                  /* taken: what a client says of its NAT; never answered */
    uint64_t limited_reports;          /* dropped: a source's second one within a second */
    uint64_t limited_source;           /* dropped: one source asked too much */
    uint64_t limited_all;              /* dropped: all together asked too much */
    uint64_t limited_change;           /* refused: too many asked for answers from elsewhere */
} PhReflectorCounters;

typedef struct PhReflector PhReflector;

/* Sensible limits, and nothing else, in a config that is else zero. */
PH_EXPORT void ph_reflector_config_init(PhReflectorConfig *ret_config);

/* NULL when there is no memory, or the config contradicts itself. */
PH_EXPORT PhReflector *ph_reflector_new(const PhReflectorConfig *config);
PH_EXPORT PhReflector *ph_reflector_free(PhReflector *reflector); /* NULL is fine; returns NULL */

/*
 * A datagram came in. Returns the length of the answer in `ret_bytes`, to be sent at once along
 * *ret_path; 0 when there is none.
 */
PH_EXPORT size_t ph_reflector_handle_datagram(
    PhReflector *reflector, const PhPath *path, const uint8_t *bytes, size_t length, uint64_t now,
    PhPath *ret_path, uint8_t ret_bytes[PH_STATIC(PH_REFLECTOR_ANSWER_MAX)]);

/* A datagram came in that is longer than what is read: it is counted as foreign. */
PH_EXPORT void ph_reflector_too_long(PhReflector *reflector, size_t length);

/* The reflector's own: they go on counting, and go with it. */
PH_EXPORT const PhReflectorCounters *ph_reflector_counters(const PhReflector *reflector);

/*
 * How many clients are behind NATs of each class, by what they reported in the last two hours (the
 * classifier's `report`): one vote for each source. It looks at all of the `sources`. Who reports
 * is not verified: it is a statistic, and nothing rests on it.
 */
PH_EXPORT void ph_reflector_classes(const PhReflector *reflector, uint64_t now,
                                    uint64_t ret_votes[PH_STATIC(PH_CLASS_N)]);

PH_END_DECLS
