/* SPDX-License-Identifier: MIT */
/*
 * One Binding request and its answer.
 *
 *     IDLE --start--> WAITING --+--> ANSWERED   with an address
 *                     |     ^   +--> REFUSED    with an error
 *                     +-----+   +--> NONSENSE   by the right server, with nothing usable
 *                   due: a copy +--> SILENT     all copies sent, the last one's time over
 *
 * An answer is one only from whom it was asked of, at the socket that asked, with the 96 random
 * bits of the transaction. Everything else is somebody else's, and changes nothing.
 */
#pragma once

#include <pinhole/path.h>
#include <pinhole/stun.h>

#include "random.h"
#include "rtt.h"

/*
 * A request's length. Its answer has up to four addresses: 20 + 4 * 24 bytes, so that who forges
 * our requests gains nothing.
 */
#define PH_EXCHANGE_BYTES 120

typedef enum {
    PH_EXCHANGE_IDLE,
    PH_EXCHANGE_WAITING,
    PH_EXCHANGE_ANSWERED,
    PH_EXCHANGE_REFUSED,
    PH_EXCHANGE_NONSENSE,
    PH_EXCHANGE_SILENT,
} PhExchangeState;

/* Copies, the time after the first one (which doubles with each, up to most_ns; 0: no limit), and
 * after the last. */
typedef struct PhSchedule {
    unsigned copies;
    uint64_t first_ns, most_ns, last_ns;
} PhSchedule;

typedef struct PhExchange {
    PhExchangeState state;
    PhPath path;
    PhAddress source;      /* where the answer must come from, unless it comes from path.remote */
    uint32_t answer_at;    /* the socket that it must come to, unless it comes to path.socket */
    uint32_t change;       /* CHANGE-REQUEST's flags */
    uint16_t respond_port; /* RESPONSE-PORT, or 0 */
    PhStunTransaction transaction;
    PhSchedule schedule;
    unsigned copies; /* sent so far */
    bool pending;    /* a copy is to be sent */
    uint64_t sent_ns, due_ns, gap_ns;

    /* What was answered, and when. */
    uint64_t answered_ns;
    uint32_t came_to;              /* a socket */
    PhAddress from, mapped, other; /* `other` and `other_port`: none when not said */
    uint16_t other_port;
    unsigned error; /* when REFUSED */
} PhExchange;

/* To path.remote, answered from there to the same socket. The caller may then set `source`,
 * `answer_at`, `change` and `respond_port`, before anything is sent. */
void ph_exchange_start(PhExchange *exchange, PhRandom *random, const PhPath *path,
                       const PhSchedule *schedule, uint64_t now);
/* What is due now: a copy becomes pending, or it is SILENT. */
void ph_exchange_handle_timeout(PhExchange *exchange, uint64_t now);
/* UINT64_MAX: never. */
uint64_t ph_exchange_next_timeout(const PhExchange *exchange);
/* Writes the copy that is pending; it counts as sent. Returns its length. */
size_t ph_exchange_write(PhExchange *exchange, uint8_t ret_bytes[static PH_EXCHANGE_BYTES]);
/* False: the message is not this exchange's answer. */
bool ph_exchange_receive(PhExchange *exchange, const PhPath *path, const PhStunMessage *message,
                         uint64_t now);
/* The round trip of an answer, for an estimate; after copies only when nothing better is known
 * (RFC 6298 §3: an answer to a copy cannot be told from one to the original). */
void ph_exchange_measure(const PhExchange *exchange, PhRtt *rtt);
