/* SPDX-License-Identifier: MIT */
/*
 * Replays a recording (record.h): the same core is given the same, and what it does is compared
 * with what it did. Pure: bytes go in, steps come out. A recording may be anybody's: whatever is in
 * it, it is replayed or refused.
 *
 *     replay = ph_replay_new();
 *     while there are bytes: used = ph_replay_feed(...), then ph_replay_step until it says MORE
 *     ph_replay_end(replay), and ph_replay_step until it says OVER
 *     ph_replay_result(replay) says what came of it
 */
#pragma once

#include <pinhole/node.h>

PH_BEGIN_DECLS

typedef struct PhReplay PhReplay;

typedef enum {
    PH_REPLAY_MORE,     /* it needs more bytes, or to be told that there are none */
    PH_REPLAY_INPUT,    /* the core was given something, and did as it had done before */
    PH_REPLAY_SOCKET,   /* it wanted a socket opened or closed, as before */
    PH_REPLAY_TRANSMIT, /* it sent, as before */
    PH_REPLAY_EVENT,    /* it told, as before */
    PH_REPLAY_OVER,     /* see ph_replay_result */
} PhReplayStepKind;

typedef struct PhReplayStep {
    PhReplayStepKind kind;
    uint64_t number;           /* of the input that this is, or came after; the first one is 1 */
    uint64_t time_ns, wall_ns; /* of that input: the node's clock, and since 1970 */
    const char *input;         /* its kind: "datagram"; static */
    const char *text;          /* the step in words; until the next call */
    const PhTransmit *transmit;
    const PhNodeEvent *event;
} PhReplayStep;

typedef enum {
    PH_REPLAY_SAME,    /* to the end of what there is */
    PH_REPLAY_DIFFERS, /* `number`, `time_ns` and `input` say from which input on, `expected` and
                          `got` how */
    PH_REPLAY_GAP,     /* the same up to `number`; there the recording has a gap: its driver did not
                          take it in time */
    PH_REPLAY_BAD,     /* it is no recording, or a broken one: `problem`, `block` and `offset` */
} PhReplayVerdict;
PH_EXPORT const char *ph_replay_verdict_name(PhReplayVerdict verdict); /* "same", "differs", ... */

#define PH_REPLAY_TEXT 512

typedef struct PhReplayResult {
    PhReplayVerdict verdict;
    bool secrets; /* bytes were compared; else decisions */
    bool cut;     /* the end is in the middle of something: who recorded was ended */
    uint64_t inputs, transmits, events;
    uint64_t number, time_ns, wall_ns; /* of the last input */
    const char *input;
    char expected[PH_REPLAY_TEXT], got[PH_REPLAY_TEXT], problem[PH_REPLAY_TEXT];
    uint64_t block, offset; /* of the file; the first block is 1 */
} PhReplayResult;

PH_EXPORT PhReplay *ph_replay_new(void);              /* NULL: no memory */
PH_EXPORT PhReplay *ph_replay_free(PhReplay *replay); /* NULL is fine; returns NULL */
/* Takes bytes of the recording; how many, at least one as long as it says MORE. */
PH_EXPORT size_t ph_replay_feed(PhReplay *replay, const uint8_t *bytes, size_t length);
PH_EXPORT void ph_replay_end(PhReplay *replay);
PH_EXPORT void ph_replay_step(PhReplay *replay, PhReplayStep *ret_step);
PH_EXPORT const PhReplayResult *ph_replay_result(const PhReplay *replay);
/* The core as it is now, to be looked at; NULL before the first input. */
PH_EXPORT const PhNode *ph_replay_node(const PhReplay *replay);

PH_END_DECLS
