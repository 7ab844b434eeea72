/* SPDX-License-Identifier: MIT */
/*
 * A stream of bytes each way over datagrams that get lost, late or twice: numbered segments, each
 * acknowledged by itself and sent again when it is missed, as many under way as the window, the
 * reader and the network allow. It knows no clock and no sockets: times are nanoseconds of a clock
 * that never goes backwards.
 *
 *     opener:   OPENING ──answered──> OPEN ──ended both ways──> DONE
 *     accepter: (an OPEN) ──────────> OPEN        any ──RESET──> REFUSED
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STREAM_TAG     'S'  /* the first byte of its packets */
#define STREAM_SEGMENT 1100 /* bytes of what is carried, at most */
#define STREAM_PACKET  1152 /* PH_NODE_MESSAGE_MAX */

typedef struct Stream Stream;

/* An opener makes up an id; an accepter has it from the first packet (stream_packet_id), which has
 * to be one that opens: others are of a stream with whoever had this key before. */
Stream *stream_new(uint32_t id, bool opener, uint64_t now);
Stream *stream_free(Stream *stream); /* NULL is fine; returns NULL */

/* False: it is no packet of a stream. */
bool stream_packet_id(const uint8_t *bytes, size_t length, uint32_t *ret_id);
bool stream_packet_opens(const uint8_t *bytes, size_t length);
/* A packet that refuses stream `id`. Returns its length. */
size_t stream_refuse(uint32_t id, uint8_t ret_packet[static STREAM_PACKET]);

void stream_receive(Stream *stream, const uint8_t *bytes, size_t length, uint64_t now);
void stream_handle_timeout(Stream *stream, uint64_t now);
uint64_t stream_next_timeout(const Stream *stream); /* UINT64_MAX: never */
/* What is to be sent now; its length, 0: nothing. Call it until that. */
size_t stream_poll_transmit(Stream *stream, uint64_t now, uint8_t ret_packet[static STREAM_PACKET]);

/* Whether a segment more may be written, or the end. */
bool stream_has_room(const Stream *stream);
void stream_write(Stream *stream, const uint8_t *bytes, size_t length); /* 1..STREAM_SEGMENT */
void stream_end(Stream *stream);                                        /* once, after the last */

/* The next segment of the other side's, which stays until stream_consume; false: none is there. */
bool stream_peek(const Stream *stream, const uint8_t **ret_bytes, size_t *ret_length);
void stream_consume(Stream *stream);
bool stream_has_ended(const Stream *stream); /* all of the other side's has been consumed */

uint32_t stream_id(const Stream *stream);
bool stream_is_refused(const Stream *stream);
/* All is delivered both ways. What is left is to let the other side know it: until it does, or for
 * a while, the stream goes on answering. */
bool stream_is_done(const Stream *stream);
bool stream_may_leave(const Stream *stream, uint64_t now);
