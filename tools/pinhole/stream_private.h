/* SPDX-License-Identifier: MIT */
/*
 * A stream's parts:
 *
 *     stream.c      its surface, and its packets
 *     stream_out.c  what we send: how much may be under way, and what of it is lost
 *     stream_in.c   what we get: put in order, and acknowledged
 */
#pragma once

#include "stream.h"

#define WINDOW     256 /* segments, each way; a multiple of 8 */
#define HEADER     6
#define ACK_LENGTH (HEADER + 16 + WINDOW / 8)

#define MS UINT64_C(1000000)

typedef enum { DATA = 1, END, ACK, PROBE, DONE, RESET, OPEN } Kind;

typedef struct Segment {
    bool sent, acknowledged, lost, again; /* sent more than once */
    bool end, here;
    uint64_t sent_ns;
    size_t length;
    uint8_t bytes[STREAM_SEGMENT];
} Segment;

struct Stream {
    uint32_t id;
    bool refused, heard, ended, probe, tell_done, other_done;
    /* Out: [acknowledged, written) are kept. */
    Segment out[WINDOW], in[WINDOW];
    uint64_t acknowledged, written, limit;
    unsigned in_flight, allowed, credit;
    uint64_t newest_ns, cut_ns; /* when the newest acknowledged one was sent; of the last loss */
    uint64_t rtt_ns, rtt_var_ns, rto_ns, rto_at, done_at, linger_until;
    /* In: [consumed, consumed + WINDOW) may come. */
    uint64_t consumed, received; /* all before `received` are here */
    uint64_t told_limit;
    uint64_t end_at; /* the END's number; UINT64_MAX: not known */
    unsigned unacknowledged;
    uint64_t ack_at;
};

/* stream.c */
void stream_put64(uint8_t *to, uint64_t value);
uint64_t stream_get64(const uint8_t *from);
size_t stream_put_header(uint8_t *packet, Kind kind, uint32_t id); /* its length */

/* stream_out.c */
void stream_take_ack(Stream *stream, const uint8_t *bytes, size_t length, uint64_t now);
/* A segment that is due, as far as more may be under way; its length, 0: none. */
size_t stream_write_segment(Stream *stream, uint64_t now, uint8_t *packet);

/* stream_in.c */
void stream_take_segment(Stream *stream, const uint8_t *bytes, size_t length, uint64_t now);
size_t stream_write_ack(Stream *stream, uint8_t *packet);
