/* SPDX-License-Identifier: MIT */
/* Items of a recording, and sessions that speak into one, or out of one (record_private.h). */
#pragma once

#include <pinhole/node.h>

#include "session.h"

#define PH_ITEM_MAX 4096

typedef enum {
    PH_ITEM_NONE = 0,
    /* What the node is given: the time (8) comes first in each. */
    PH_ITEM_NEW = 1,
    PH_ITEM_CLOSE,
    PH_ITEM_CONNECT,
    PH_ITEM_DISCONNECT,
    PH_ITEM_SEND,
    PH_ITEM_NETWORK,
    PH_ITEM_OPENED,
    PH_ITEM_FAILED,
    PH_ITEM_DATAGRAM, /* with a packet */
    PH_ITEM_UNREACHABLE,
    PH_ITEM_TIMEOUT,
    PH_ITEM_HUB,
    PH_ITEM_INPUTS_END,
    /* What it is asked for. */
    PH_ITEM_POLL_SOCKET = 32,
    PH_ITEM_POLL_TRANSMIT,
    PH_ITEM_POLL_EVENT,
    /* How these end. */
    PH_ITEM_END = 48, /* an input: what it gave back, and how much there is to be polled */
    PH_ITEM_NOTHING,  /* a poll: false */
    PH_ITEM_SOCKET,
    PH_ITEM_TRANSMIT, /* with a packet */
    PH_ITEM_EVENT,
    /* What sessions were asked in between, and answered: the length of the question (2), the
     * question, the answer. */
    PH_ITEM_CALL_OPEN = 64,
    PH_ITEM_CALL_ALSO,
    PH_ITEM_CALL_ACCEPT,
    PH_ITEM_CALL_CLOSE,
    PH_ITEM_CALL_IS_UP,
    PH_ITEM_CALL_FIND,
    PH_ITEM_CALL_REMOTE_KEY,
    PH_ITEM_CALL_RECEIVE,
    PH_ITEM_CALL_SEAL,
    PH_ITEM_CALL_TRANSMIT,
    PH_ITEM_CALL_GONE,
    PH_ITEM_CALL_TIMEOUT,
    PH_ITEM_CALL_NEXT,
    PH_ITEM_CALL_END_WITH,
    PH_ITEM_CALLS_END,
    /* The last item: nobody took what was recorded, and there was no room for more. */
    PH_ITEM_GAP = 255,
} PhItemKind;

/* record.c */
typedef struct PhRecorder PhRecorder;
PhRecorder *ph_recorder_free(PhRecorder *recorder); /* NULL is fine; returns NULL */

/* ---- session_tape.c ---- */

/* The calls of one input, out of a recording: items one after the other. */
typedef struct PhCalls {
    const uint8_t *bytes;
    size_t length, at;
    bool inside; /* an input, or a poll, is being done */
    bool wrong;  /* the core has asked something else than is next */
    /* Then: the item that is next (NONE: there is no more), and what was asked. */
    PhItemKind expected_kind, got_kind;
    const uint8_t *expected;
    size_t expected_length, got_length;
    uint8_t got[PH_ITEM_MAX];
    /* Reasons are static text for those who get them. */
    const char *(*keep)(void *replay, const uint8_t *text, size_t length);
    void *replay;
    uint8_t buffer[PH_ITEM_MAX];
    uint8_t public_key[PH_SESSION_KEY_BYTES];
} PhCalls;

/* One of the two; without either, sessions are what they are. */
typedef struct PhTape {
    PhRecorder *recorder;
    PhCalls *calls;
} PhTape;

/* ---- node.c ---- */

/* `decisions` is the seed of all but sessions; NULL: it follows from the config's. */
PhNode *ph_node_make(const PhNodeConfig *config, const PhTape *tape, const uint8_t *decisions,
                     uint64_t now);
void ph_node_decisions_seed(const PhNodeConfig *config, uint8_t ret_seed[static PH_SEED_BYTES]);
