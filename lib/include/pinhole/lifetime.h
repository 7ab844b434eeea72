/* SPDX-License-Identifier: MIT */
/*
 * How long a NAT keeps an unused mapping (RFC 5780 §4.6): a test that takes as long as what it
 * measures. For each of a list of durations a socket of its own makes a mapping and is then left
 * alone; after that time another socket has the reflector send a packet there (RESPONSE-PORT). The
 * first one that does not come, while a control does, ends the test.
 */
#pragma once

#include <pinhole/path.h>

PH_BEGIN_DECLS

#define PH_LIFETIME_STEPS    11 /* 5, 10, 20, 30, 45, 60, 90, 120, 180, 240, 300 s */
#define PH_LIFETIME_LEAST_NS UINT64_C(5000000000)
#define PH_LIFETIME_SOCKETS  (PH_LIFETIME_STEPS + 1) /* that it opens, at most */

typedef struct PhLifetimeConfig {
    uint8_t seed[PH_SEED_BYTES];
    PhAddress server;      /* a reflector that knows RESPONSE-PORT */
    uint32_t first_socket; /* the first of PH_LIFETIME_SOCKETS ids */
    uint64_t most_ns;      /* longer durations are not tried; 0: all are; not less than the least */
} PhLifetimeConfig;

typedef struct PhLifetimeResult {
    uint64_t alive_ns; /* the longest after which a mapping was still there; 0: none was seen */
    uint64_t gone_ns;  /* the shortest after which it was not; 0: none was seen */
    const char *why;   /* why nothing is known; static; NULL when something is */
} PhLifetimeResult;

typedef struct PhLifetime PhLifetime;

/* NULL when there is no memory, or the config makes no sense. */
PH_EXPORT PhLifetime *ph_lifetime_new(const PhLifetimeConfig *config, uint64_t now);
PH_EXPORT PhLifetime *ph_lifetime_free(PhLifetime *lifetime); /* NULL is fine; returns NULL */

/* As path.h says. */
PH_EXPORT bool ph_lifetime_poll_socket(PhLifetime *lifetime, PhSocketRequest *ret_request);
PH_EXPORT void ph_lifetime_socket_opened(PhLifetime *lifetime, uint32_t socket, uint64_t now);
PH_EXPORT void ph_lifetime_socket_failed(PhLifetime *lifetime, uint32_t socket, uint64_t now);
PH_EXPORT bool ph_lifetime_poll_transmit(PhLifetime *lifetime, PhTransmit *ret_transmit);
PH_EXPORT bool ph_lifetime_poll_event(PhLifetime *lifetime,
                                      PhLifetimeResult *ret_result); /* once */
PH_EXPORT bool ph_lifetime_handle_datagram(PhLifetime *lifetime, const PhPath *path,
                                           const uint8_t *bytes, size_t length, uint64_t now);
PH_EXPORT void ph_lifetime_handle_timeout(PhLifetime *lifetime, uint64_t now);
PH_EXPORT uint64_t ph_lifetime_next_timeout(const PhLifetime *lifetime);

PH_END_DECLS
