/* SPDX-License-Identifier: MIT */
/*
 * Items out of a recording's bytes, which may be anything: blocks of pcapng, whole and sound or
 * refused; of these ours, and in them items. Blocks of others are passed over.
 */
#include <stdlib.h>

#include "replay_private.h"

#define CUSTOM_HEADER   16
#define CUSTOM_OPTION   8
#define PACKET_HEADER   28
#define SECTION_MIN     28
#define IPV4_UDP_HEADER 28
#define IPV6_UDP_HEADER 48
#define FAMILY_AT       38 /* in a packet's item: time, transport, socket, host, scope, port */

static uint32_t little(const uint8_t *at, unsigned size)
{
    uint32_t value = 0;

    for (unsigned i = 0; i < size; i++)
        value |= (uint32_t)at[i] << 8 * i;
    return value;
}

bool ph_record_reader_init(PhRecordReader *reader)
{
    *reader = (PhRecordReader){.buffer = calloc(1, PH_REPLAY_BLOCK_MAX)};
    return reader->buffer != NULL;
}

void ph_record_reader_clear(PhRecordReader *reader)
{
    free(reader->buffer);
    reader->buffer = NULL;
}

static uint8_t *front(const PhRecordReader *reader)
{
    return reader->buffer + reader->at;
}

size_t ph_record_reader_feed(PhRecordReader *reader, const uint8_t *bytes, size_t length)
{
    size_t room = PH_REPLAY_BLOCK_MAX - reader->length;

    /* Items that are being read point into their block. */
    if (reader->at > 0 && reader->items.at == reader->items.length) {
        memmove(reader->buffer, front(reader), reader->length);
        reader->at = 0;
    }
    room -= reader->at;
    if (length > room)
        length = room;
    if (length > 0)
        memcpy(front(reader) + reader->length, bytes, length);
    reader->length += length;
    return length;
}

static PhRead bad(PhRecordReader *reader, const char *problem)
{
    reader->problem = problem;
    return PH_READ_BAD;
}

static void drop_block(PhRecordReader *reader)
{
    reader->at += reader->used;
    reader->length -= reader->used;
    reader->offset += reader->used;
    reader->block++;
    reader->used = 0;
}

/* Ours: the number for examples may be anybody's. */
static bool is_ours(const uint8_t *at)
{
    return little(at, 4) == PH_RECORD_ENTERPRISE && memcmp(at + 4, PH_RECORD_MAGIC, 4) == 0;
}

/* ---- blocks ---- */

/* The options behind a packet: the one that is ours; NULL: there is none. */
static const uint8_t *find_option(const uint8_t *at, size_t length, size_t *ret_length)
{
    while (length >= 4) {
        uint32_t code = little(at, 2), size = little(at + 2, 2), whole = 4 + ((size + 3) & ~3U);

        if (code == 0 || whole > length)
            return NULL;
        if (code == PH_PCAPNG_OPTION_CUSTOM && size >= CUSTOM_OPTION && is_ours(at + 4)) {
            *ret_length = size - CUSTOM_OPTION;
            return at + 4 + CUSTOM_OPTION;
        }
        at += whole;
        length -= whole;
    }
    return NULL;
}

static bool take_item(Reader *items, PhRecordItem *ret_item)
{
    *ret_item = (PhRecordItem){.kind = (PhItemKind)take_number(items, 1)};
    ret_item->length = (size_t)take_number(items, 2);
    ret_item->bytes = take(items, ret_item->length);
    return !items->broken && ret_item->length <= PH_ITEM_MAX;
}

/* A packet block with an item of ours; others are of no concern. */
static PhRead take_packet(PhRecordReader *reader, PhRecordItem *ret_item)
{
    const uint8_t *block = front(reader), *option;
    size_t captured, original, header, length;
    Reader items = {0};

    if (reader->used < PACKET_HEADER + 4)
        return bad(reader, "a packet block that is too short");
    captured = little(block + 20, 4);
    original = little(block + 24, 4);
    if (captured > reader->used - PACKET_HEADER - 4)
        return bad(reader, "a packet that is longer than its block");
    length = (captured + 3) & ~(size_t)3;
    if (length > reader->used - PACKET_HEADER - 4)
        return PH_READ_MORE; /* without options */
    option = find_option(block + PACKET_HEADER + length, reader->used - PACKET_HEADER - 4 - length,
                         &items.length);
    if (!option)
        return PH_READ_MORE;
    items.bytes = option;
    if (!take_item(&items, ret_item) || items.at != items.length || ret_item->length <= FAMILY_AT ||
        (ret_item->kind != PH_ITEM_DATAGRAM && ret_item->kind != PH_ITEM_TRANSMIT))
        return bad(reader, "a packet with an item that is none of a packet's");
    header = ret_item->bytes[FAMILY_AT] == PH_FAMILY_IPV6 ? IPV6_UDP_HEADER : IPV4_UDP_HEADER;
    if (captured < header || original < captured || original - header > PH_REPLAY_PACKET_MAX)
        return bad(reader, "a packet without IP and UDP headers");
    ret_item->packet = block + PACKET_HEADER + header;
    ret_item->packet_length = captured - header;
    ret_item->packet_original = original - header;
    return PH_READ_ITEM;
}

static PhRead take_section(PhRecordReader *reader)
{
    if (reader->has_section)
        return bad(reader, "a second section");
    if (reader->used < SECTION_MIN || little(front(reader) + 12, 2) != 1)
        return bad(reader, "a section of another version of pcapng");
    reader->has_section = true;
    return PH_READ_MORE;
}

/* The block at the front, whole: ITEM, or MORE when nothing in it is ours, or its items are in
 * `items`. */
static PhRead take_block(PhRecordReader *reader, PhRecordItem *ret_item)
{
    uint32_t type = little(front(reader), 4);

    if (type == PH_PCAPNG_SECTION)
        return take_section(reader);
    if (type == PH_PCAPNG_PACKET)
        return take_packet(reader, ret_item);
    if (type == PH_PCAPNG_CUSTOM && reader->used >= CUSTOM_HEADER + 4 && is_ours(front(reader) + 8))
        reader->items = (Reader){.bytes = front(reader) + CUSTOM_HEADER,
                                 .length = reader->used - CUSTOM_HEADER - 4};
    return PH_READ_MORE;
}

/* Whether the first block is there as a whole, and its length makes sense. */
static PhRead frame_block(PhRecordReader *reader)
{
    uint32_t length;

    if (!reader->has_section && reader->length >= 4 &&
        little(front(reader), 4) != PH_PCAPNG_SECTION)
        return bad(reader, "this is no pcapng file");
    if (!reader->has_section && reader->length >= 12 &&
        little(front(reader) + 8, 4) != PH_PCAPNG_BYTE_ORDER)
        return bad(reader, "a section that is not little-endian, as recordings are");
    if (reader->length < PH_PCAPNG_LENGTH_MIN)
        return PH_READ_MORE;
    length = little(front(reader) + 4, 4);
    if (length < PH_PCAPNG_LENGTH_MIN || length % 4 != 0)
        return bad(reader, "a block whose length is none");
    if (length > PH_REPLAY_BLOCK_MAX)
        return bad(reader, "a block that is longer than any of a recording");
    if (length > reader->length)
        return PH_READ_MORE;
    if (little(front(reader) + length - 4, 4) != length)
        return bad(reader, "a block whose two lengths differ");
    reader->used = length;
    return PH_READ_ITEM;
}

PhRead ph_record_read(PhRecordReader *reader, PhRecordItem *ret_item)
{
    for (;;) {
        PhRead read;

        /* What fills a block up is the end of it. */
        if (reader->items.at < reader->items.length &&
            reader->items.bytes[reader->items.at] != PH_ITEM_NONE) {
            if (!take_item(&reader->items, ret_item))
                return bad(reader, "an item that is longer than its block");
            if (ret_item->kind == PH_ITEM_DATAGRAM || ret_item->kind == PH_ITEM_TRANSMIT)
                return bad(reader, "a packet's item without a packet");
            return PH_READ_ITEM;
        }
        reader->items = (Reader){0};
        if (reader->used > 0)
            drop_block(reader);
        read = frame_block(reader);
        if (read != PH_READ_ITEM)
            return read;
        read = take_block(reader, ret_item);
        if (read != PH_READ_MORE)
            return read;
    }
}
