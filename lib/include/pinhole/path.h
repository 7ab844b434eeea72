/* SPDX-License-Identifier: MIT */
/*
 * What the protocol's agents share with whoever drives them. An agent is pure: bytes and time go
 * in, sockets to open, bytes to send and events come out. Its driver does this, after every call:
 *
 *     ph_X_poll_socket     until it returns false: open and close what is asked for, and report
 *     ph_X_poll_transmit   until it returns false: send
 *     ph_X_poll_event      until it returns false: act
 *     ph_X_next_timeout    and call ph_X_handle_timeout then, at the latest
 *
 * in this order, since what is to be sent may need a socket that is to be opened first, and begins
 * again when one of these has told the agent something. Times are absolute nanoseconds of one clock
 * that never goes backwards; UINT64_MAX is never. What a function is given is borrowed for the
 * call.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pinhole/address.h>

PH_BEGIN_DECLS

/* The bytes of a seed: all randomness an agent has. It must be secret where strangers send. */
#define PH_SEED_BYTES 32

typedef enum {
    PH_TRANSPORT_NONE = 0,
    PH_TRANSPORT_UDP = 1,
} PhTransport;

/* Where a datagram comes from or goes to: seen from here, who and by which way. */
typedef struct PhPath {
    uint32_t transport; /* PhTransport */
    uint32_t socket;    /* the agent's name for a local socket */
    PhAddress remote;
} PhPath;

/* A datagram to be sent. The bytes are the agent's, and stay until its next call. */
typedef struct PhTransmit {
    PhPath path;
    const uint8_t *bytes;
    size_t length;
    uint8_t ttl; /* 0: as the system likes */
} PhTransmit;

typedef enum {
    PH_SOCKET_OPEN,
    PH_SOCKET_CLOSE,
} PhSocketKind;

/*
 * A local socket to be opened or closed. Opened, it is reported with ph_X_socket_opened and the
 * address that it is bound to (the host may be unspecified), else with ph_X_socket_failed. Ids are
 * not used twice.
 */
typedef struct PhSocketRequest {
    PhSocketKind kind;
    uint32_t transport; /* PhTransport */
    uint32_t socket;
    PhFamily family; /* when it is to be opened; any free port will do */
} PhSocketRequest;

PH_END_DECLS
