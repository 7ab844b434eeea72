/* SPDX-License-Identifier: MIT */
/*
 * What a recording is made of, for who writes it and who reads it (docs/recording.md is normative):
 *
 *   record.c          blocks and items, into a buffer that a driver drains
 *   record_config.c   a node's configuration as fields, and back
 *   session_tape.c    what sessions are asked and answer, into a recording or out of one
 *   tape.c            such a question and its answer, as an item
 *   node_api.c        what a node is given, and what it gives
 *   replay_read.c     blocks and items out of bytes that may be anything
 *   replay.c          the same core over them
 *   replay_input.c    what it is given
 *   replay_text.c     items in words
 */
#pragma once

#include <pinhole/node.h>

#include "fields.h"
#include "tape.h"

#define PH_RECORD_VERSION 1

/* draft-ietf-opsawg-pcapng: §4.1, §4.2, §4.3, §4.8; little-endian throughout. */
#define PH_PCAPNG_SECTION         0x0A0D0D0Au
#define PH_PCAPNG_INTERFACE       1u
#define PH_PCAPNG_PACKET          6u
#define PH_PCAPNG_CUSTOM          0x00000BADu
#define PH_PCAPNG_BYTE_ORDER      0x1A2B3C4Du
#define PH_PCAPNG_LENGTH_MIN      12u
#define PH_PCAPNG_OPTION_CUSTOM   2989u /* binary, may be copied (§3.5.1) */
#define PH_PCAPNG_OPTION_FLAGS    2u    /* of a packet: 1 inbound, 2 outbound */
#define PH_PCAPNG_OPTION_IF_NAME  2u
#define PH_PCAPNG_OPTION_IF_TIMES 9u
#define PH_PCAPNG_OPTION_APP      4u
#define PH_PCAPNG_LINK_RAW        101u /* LINKTYPE_RAW: IPv4 or IPv6, nothing before it */
/* RFC 5612: the number for examples; what is ours begins with four letters beside it. */
#define PH_RECORD_ENTERPRISE 32473u
#define PH_RECORD_MAGIC      "PHFR"

/* Kind, length (2), bytes. Zero fills a block up. */
#define PH_ITEM_HEADER 3
#define PH_PLACE_BYTES 24

/* ---- fields that messages do not have ---- */

/* Every byte of an address, so that it is the same one afterwards. */
static inline void put_place(Writer *writer, const PhAddress *address)
{
    put(writer, address->bytes, sizeof(address->bytes));
    put_number(writer, address->scope_id, 4);
    put_number(writer, address->port, 2);
    put_number(writer, address->family, 1);
    put_number(writer, address->reserved, 1);
}

static inline void take_place(Reader *reader, PhAddress *ret_address)
{
    take_bytes(reader, ret_address->bytes, sizeof(ret_address->bytes));
    ret_address->scope_id = (uint32_t)take_number(reader, 4);
    ret_address->port = (uint16_t)take_number(reader, 2);
    ret_address->family = (uint8_t)take_number(reader, 1);
    ret_address->reserved = (uint8_t)take_number(reader, 1);
}

static inline void put_path(Writer *writer, const PhPath *path)
{
    put_number(writer, path->transport, 4);
    put_number(writer, path->socket, 4);
    put_place(writer, &path->remote);
}

static inline void take_path(Reader *reader, PhPath *ret_path)
{
    ret_path->transport = (uint32_t)take_number(reader, 4);
    ret_path->socket = (uint32_t)take_number(reader, 4);
    take_place(reader, &ret_path->remote);
}

/* A text with its length (2) before it; NULL is 65535. */
static inline void put_text(Writer *writer, const char *text)
{
    size_t length = text ? strlen(text) : UINT16_MAX;

    put_number(writer, length, 2);
    if (text)
        put(writer, text, length);
}

/* ---- record.c ---- */

/* NULL when there is no memory. `name`: the node's. */
PhRecorder *ph_recorder_new(PhRecordKind kind, const char *name);
PhRecordKind ph_recorder_kind(const PhRecorder *recorder);
/* Between an input's or poll's first item and its last one: what sessions are asked is part of it.
 */
void ph_recorder_enter(PhRecorder *recorder, bool inside);
bool ph_recorder_is_inside(const PhRecorder *recorder);
void ph_recorder_item(PhRecorder *recorder, PhItemKind kind, const uint8_t *bytes, size_t length);
/* A datagram along a path at a wall-clock time, with an item (PH_ITEM_DATAGRAM or TRANSMIT). */
typedef struct PhRecordedPacket {
    const PhPath *path;
    const uint8_t *bytes;
    size_t length;
    uint64_t wall_ns;
    uint8_t ttl;
} PhRecordedPacket;
void ph_recorder_packet(PhRecorder *recorder, PhItemKind kind, const uint8_t *item,
                        size_t item_length, const PhRecordedPacket *packet);
/* A socket's address, for the packets' headers. */
void ph_recorder_bound(PhRecorder *recorder, uint32_t socket, const PhAddress *local);
bool ph_recorder_poll(PhRecorder *recorder, const uint8_t **ret_bytes, size_t *ret_length);
/* How much of a datagram a recording without secrets has: of what is sealed the header. */
size_t ph_record_kept(PhRecordKind kind, const uint8_t *bytes, size_t length);

/* ---- record_config.c ---- */

void ph_record_put_config(Writer *writer, const PhNodeConfig *config, bool secrets);
/* False, and which field it was in *ret_what: one is unknown, too long or makes no sense. */
bool ph_record_take_config(Reader *reader, PhNodeConfig *ret_config, const char **ret_what);

/* ---- tape.c ---- */

typedef struct PhQuestion {
    PhItemKind kind;
    Writer writer;
    uint8_t bytes[PH_ITEM_MAX];
} PhQuestion;

/* The bytes of messages without those of the application, without what is sealed in them; trailing
 * zeros are left out, and `length` is said before. */
void ph_tape_put_plain(Writer *writer, const uint8_t *bytes, size_t length);
void ph_tape_put_route(Writer *writer, const PhRoute *route);
void ph_tape_put_sealed(Writer *writer, const uint8_t *bytes, size_t length);
void ph_tape_put_input(Writer *writer, const PhSessionInput *input);
void ph_tape_take_route(Reader *reader, PhRoute *ret_route);
/* Into the buffer of the calls. */
const uint8_t *ph_tape_take_sealed(Reader *reader, PhCalls *calls, size_t *ret_length);

void ph_tape_ask(PhQuestion *ret_question, PhItemKind kind);
/* Its length is known by now. */
void ph_tape_end_question(PhQuestion *question);
void ph_tape_tell(PhRecorder *recorder, const PhQuestion *question);
/* Whether the next call is this one; its answer then. */
bool ph_tape_answered(PhCalls *calls, const PhQuestion *question, Reader *ret_answer);
/* An answer that makes no sense is as if it were another one. */
bool ph_tape_is_sound(PhCalls *calls, const PhQuestion *question, const Reader *answer);
uint64_t ph_tape_answered_number(PhCalls *calls, const PhQuestion *question, unsigned size,
                                 uint64_t otherwise);
void ph_tape_answered_input(PhCalls *calls, const PhQuestion *question, PhSessionInput *ret_input);

/* ---- node_api.c: the same fields for who records and who compares ---- */

void ph_node_put_end(const PhNode *node, Writer *writer, uint32_t result);
void ph_record_put_request(Writer *writer, const PhSocketRequest *request);
void ph_record_put_event(Writer *writer, const PhNodeEvent *event, bool secrets);
