/* SPDX-License-Identifier: MIT */
/*
 * Who is registered, by number, key and name: fixed room, nothing but lookups. A number is
 * not given out again before four thousand million others.
 */
#pragma once

#include <pinhole/reflector.h>
#include <pinhole/station.h>

#include "message.h"
#include "random.h"
#include "session.h"

/* What a request asks for, until it is confirmed: it may be a replay, from anywhere. */
typedef struct PhClaim {
    uint32_t session; /* 0: there is none */
    PhPath path;      /* that the answer went along */
    uint64_t asked_ns;
    PhNodeRecord record;
    uint16_t length; /* of what else is asked for in it, and not yet done */
    uint8_t rest[PH_SESSION_PAYLOAD_MAX];
} PhClaim;

/* A way that a node's packets have begun to come along: it has not shown yet that it is there. */
typedef struct PhTrial {
    PhPath path; /* its family is NONE: there is none */
    uint64_t ping, pinged_ns;
    bool due; /* the ping waits to be sent */
    uint64_t begun_ns;
} PhTrial;

/* Where it is in the other family of addresses, beside its path: it speaks from both. */
typedef struct PhBeside {
    PhPath path; /* where it has shown that it is; family NONE: nowhere */
    PhTrial trial;
    uint64_t heard_ns;
    uint64_t pong; /* a ping's id that waits to be answered there */
    bool pong_due;
} PhBeside;

typedef struct PhEntry {
    uint32_t number; /* 0: free */
    uint32_t session;
    uint8_t key[PH_NODE_KEY_BYTES];
    PhNodeRecord record;
    bool named;  /* the record's name is its own; one that is not confirmed may lose it */
    PhPath path; /* where it has shown that it is; family NONE: nowhere yet */
    PhTrial trial;
    PhBeside beside;
    bool confirmed; /* it gets what is sent there */
    PhClaim claim;
    uint64_t rtt_ns;
    uint64_t heard_ns;
    uint64_t relayed_bytes;
    uint32_t source; /* of its address (station_limits.c), once it is confirmed */
    /* bucket.h: how full, for each thing that is limited. */
    uint64_t connects_ns, introductions_ns, relay_ns, early_ns;
    /* station_queue.c: what waits for it, as slots and 1. */
    uint32_t first, last, queued, queued_relayed;
    uint32_t earlier, later; /* those whose turn it is to be sent to */
    bool ready, kept;        /* kept: what waits is kept back for the time being */
    /* station_log.c: introductions that it asked for in that window; refusals that are not told. */
    uint32_t log_window, log_asked, log_refusals;
    uint64_t log_refused_ns;
    uint32_t next_by_key, next_by_name; /* slots and 1; 0 ends a chain */
} PhEntry;

typedef struct PhDirectory {
    PhEntry *entries;
    uint32_t n_slots;
    uint32_t *by_key, *by_name; /* heads of chains: slots and 1 */
    uint32_t last_number, n_entries;
    uint8_t hash_key[16];
} PhDirectory;

/* `slots`: a power of two. False when there is no memory. */
bool ph_directory_init(PhDirectory *ret_directory, uint32_t slots, PhRandom *random);
void ph_directory_clear(PhDirectory *directory);

/* A new entry that has number, key, record and session; NULL when it is full. The key must be
 * nobody's. It has no name yet. */
PhEntry *ph_directory_add(PhDirectory *directory, const uint8_t key[static PH_NODE_KEY_BYTES],
                          const PhNodeRecord *record, uint32_t session);
void ph_directory_remove(PhDirectory *directory, PhEntry *entry);
/* It gets its record's name, if that has one; whoever had that has none any more. */
void ph_directory_name(PhDirectory *directory, PhEntry *entry);
/* Its name is anybody's. */
void ph_directory_unname(PhDirectory *directory, PhEntry *entry);

/* NULL: nobody. */
PhEntry *ph_directory_by_number(const PhDirectory *directory, uint32_t number);
PhEntry *ph_directory_by_key(const PhDirectory *directory,
                             const uint8_t key[static PH_NODE_KEY_BYTES]);
PhEntry *ph_directory_by_name(const PhDirectory *directory, const char *name);
/* The i-th slot's, if it is taken; i < n_slots. */
PhEntry *ph_directory_at(const PhDirectory *directory, uint32_t i);
