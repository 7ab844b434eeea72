/* SPDX-License-Identifier: MIT */
/* clang-format off */
/*
 * One attempt to punch through to one peer: pure packets and time. Both sides have one, with the
 * same token, from the mediator.
 *
 *     WAITING --start--> SENDING --an answer of the peer's--> OPEN
 *        |                  |
 *        |                  +--all is sent, patience over--> FAILED
 *        +--nothing to attempt--> FAILED, at once
 *
 * One of the two decides which path it is, if several may work: who has many sockets, else the lower
 * key. It is open with the first answer, says so three times more at least, and the other is open when it
 * hears that. Punch packets are authenticated by the token (a keyed hash) and have a transaction of 96 bits,
 * which is bound to the path of the probe; one that is stray, late, forged, replayed or reflected
 * changes nothing. They are answered to the address that they came from, not to one that is announced.
 */
/* clang-format on */
#pragma once

#include "message.h"
#include "punch_packet.h"

/* From this attempt on sockets are fresh. */
#define PH_PUNCH_FRESH_ATTEMPT 3
/* Probes of an attempt, if it is a plain one; and packets of any (200 a second, and answers). */
#define PH_PUNCH_CHECKS_MAX 100
#define PH_PUNCH_HARD_MAX   1100
#define PH_PUNCH_SOCKETS    256

/* What is done for a pair of nodes (facts: docs/punching.md has the table). */
typedef enum {
    PH_STRATEGY_RELAY,   /* nothing is attempted */
    PH_STRATEGY_DIAL,    /* we simply send: the other lets everybody in */
    PH_STRATEGY_WAIT,    /* the other dials; we answer */
    PH_STRATEGY_PUNCH,   /* both send to all candidates at the same time */
    PH_STRATEGY_PREDICT, /* the other's next ports in sequence are tried; if ours are in sequence
                            too, one of them from many sockets */
    PH_STRATEGY_SPREAD,  /* we have the hard NAT: many sockets to one address */
    PH_STRATEGY_SCATTER, /* the other has the hard NAT: one socket to many of its ports */
} PhStrategy;
/* For us and them; with `hard` false hard NATs are relayed (it can be switched off). */
PhStrategy ph_strategy(const PhNodeRecord *own, const PhNodeRecord *other, bool hard);
/* Whether they have one and the same host outside, and it is known where the other one is inside.
 */
bool ph_strategy_together(const PhNodeRecord *own, const PhNodeRecord *other);
/* Its next ports follow from the last one. */
bool ph_strategy_is_sequential(const PhNodeRecord *record);
const char *ph_strategy_name(PhStrategy strategy);

typedef struct PhPunchConfig {
    uint8_t seed[PH_SEED_BYTES];
    PhStrategy strategy;
    unsigned attempt; /* 1: plain; 2: with openers of a low TTL first; 3: the same from a
                         fresh socket; 4: again, plain, the higher key first */
    bool lower;       /* our key is the lower one */
    uint8_t token[PH_PUNCH_TOKEN_BYTES];
    PhNodeRecord own, other;
    uint32_t socket;       /* the node's data socket; or a fresh one that is its */
    bool fresh;            /* it is that, and the other one knows where it is */
    PhFamily family;       /* of that, and so of all addresses that are tried */
    uint32_t other_socket; /* plain attempts also try the other family from this one; 0: none */
    uint32_t first_socket; /* ids for fresh ones */
    unsigned n_sockets;    /* as many as that at most; PH_PUNCH_SOCKETS is enough for all */
    uint64_t start_ns;     /* the common start */
    uint64_t rtt_ns;       /* to the peer by way of the mediator, an estimate */
} PhPunchConfig;

typedef enum {
    PH_PUNCH_RUNNING,
    PH_PUNCH_OPEN,
    PH_PUNCH_FAILED,
} PhPunchState;

typedef struct PhPunchCounters {
    uint64_t sent, received; /* all packets; authentic ones */
    uint64_t probes, answered;
    uint64_t foreign; /* not by the peer, as it seemed */
} PhPunchCounters;

typedef struct PhPunch PhPunch;

PhPunch *ph_punch_new(const PhPunchConfig *config, uint64_t now);
/* Nothing more is attempted; poll the sockets that it wants closed. */
void ph_punch_stop(PhPunch *punch);
PhPunch *ph_punch_free(PhPunch *punch); /* NULL is fine; returns NULL */
bool ph_punch_poll_socket(PhPunch *punch, PhSocketRequest *ret_request);
void ph_punch_socket_opened(PhPunch *punch, uint32_t socket, const PhAddress *local, uint64_t now);
void ph_punch_socket_failed(PhPunch *punch, uint32_t socket, uint64_t now);
bool ph_punch_poll_transmit(PhPunch *punch, PhTransmit *ret_transmit);
/* Whether it is this attempt's. */
bool ph_punch_handle_datagram(PhPunch *punch, const PhPath *path, const uint8_t *bytes,
                              size_t length, uint64_t now);
void ph_punch_handle_timeout(PhPunch *punch, uint64_t now);
uint64_t ph_punch_next_timeout(const PhPunch *punch);
/* OPEN: the path that packets pass along in both directions. Its socket is no longer closed by the
 * attempt. */
PhPunchState ph_punch_state(const PhPunch *punch, PhPath *ret_path);
const PhPunchCounters *ph_punch_counters(const PhPunch *punch);
