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

/* ---- replay_text.c ---- */

const char *ph_item_name(PhItemKind kind);
/* An item in words, as far as it can be read. */
void ph_item_describe(PhText *text, const PhRecordItem *item);
/* How the end of an input, or of a poll, is another one. */
void ph_item_differ(const PhRecordItem *expected, const PhRecordItem *got, PhText *ret_expected,
                    PhText *ret_got);
