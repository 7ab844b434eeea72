/* SPDX-License-Identifier: MIT */
/* What the files of a replay share. */
#pragma once

#include <pinhole/replay.h>

#include "record_private.h"
#include "text.h"

/* A block that is longer is none of ours. */
#define PH_REPLAY_BLOCK_MAX  (1U << 18)
#define PH_REPLAY_PACKET_MAX 65536

/* ---- replay_read.c ---- */

typedef struct PhRecordItem {
    PhItemKind kind;
    const uint8_t *bytes;
    size_t length;
    /* DATAGRAM and TRANSMIT: what there is of the packet after IP and UDP, and how long it was. */
    const uint8_t *packet;
    size_t packet_length, packet_original;
} PhRecordItem;

typedef enum { PH_READ_MORE, PH_READ_ITEM, PH_READ_BAD } PhRead;

typedef struct PhRecordReader {
    uint8_t *buffer;        /* of PH_REPLAY_BLOCK_MAX */
    size_t at, length;      /* what has not been read yet */
    uint64_t block, offset; /* before `at`: blocks and bytes */
    size_t used;            /* the first block's length, once its items are being read; else 0 */
    Reader items;
    bool has_section;
    const char *problem;
} PhRecordReader;

bool ph_record_reader_init(PhRecordReader *reader);
void ph_record_reader_clear(PhRecordReader *reader);
size_t ph_record_reader_feed(PhRecordReader *reader, const uint8_t *bytes, size_t length);
/* What an item points to stays until the next call. */
PhRead ph_record_read(PhRecordReader *reader, PhRecordItem *ret_item);

/* ---- replay.c ---- */

#define PH_REPLAY_CALLS_MAX                                                                        \
    PH_RECORD_BYTES /* of one input: there was no more room for it, either */
#define PH_REPLAY_TEXTS       128
#define PH_REPLAY_TEXT_LENGTH 64

struct PhReplay {
    PhRecordReader reader;
    PhReplayResult result;
    PhNode *node;
    bool over, ended;
    PhRecordKind kind;
    PhTape tape;
    PhCalls calls;
    uint8_t *call_bytes; /* of PH_REPLAY_CALLS_MAX */
    /* What is being done: its first item, and a datagram that came with it. */
    PhItemKind current; /* NONE: nothing is */
    uint8_t item[PH_ITEM_MAX];
    size_t item_length, datagram_length, datagram_kept;
    uint8_t *datagram; /* of PH_REPLAY_PACKET_MAX */
    char texts[PH_REPLAY_TEXTS][PH_REPLAY_TEXT_LENGTH];
    unsigned n_texts;
    /* The step that was made. */
    char text[PH_REPLAY_TEXT];
    PhTransmit transmit;
    PhNodeEvent event;
};

/* It is no recording, or a broken one. Returns false. */
bool ph_replay_bad(PhReplay *replay, const char *problem, const char *more);

/* ---- replay_input.c ---- */

/* Makes the node; false: it is bad. */
bool ph_replay_do_new(PhReplay *replay, Reader *reader, uint64_t now);
/* What the call gave back. */
uint32_t ph_replay_do_input(PhReplay *replay, Reader *reader, uint64_t now);

/* ---- replay_text.c ---- */

const char *ph_item_name(PhItemKind kind);
/* An item in words, as far as it can be read. */
void ph_item_describe(PhText *text, const PhRecordItem *item);
/* How the end of an input, or of a poll, is another one. */
void ph_item_differ(const PhRecordItem *expected, const PhRecordItem *got, PhText *ret_expected,
                    PhText *ret_got);
