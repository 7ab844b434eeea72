/* SPDX-License-Identifier: MIT */
/*
 * A stream: see stream.h. Its packets, numbers being big-endian:
 *
 *     'S', kind, id (4) and
 *     DATA   number (8), bytes          a segment
 *     END    number (8)                 the one after the last
 *     ACK    next (8), limit (8), bits  all before `next` are here, and of those from it on these;
 *                                       none from `limit` on may be sent
 *     PROBE                             wants an ACK
 *     DONE                              all is delivered both ways
 *     RESET                             there is no such stream
 *     OPEN                              there is one from now on; wants an ACK
 */
#include <stdlib.h>
#include <string.h>

#include "stream_private.h"

/* RFC 6298 §2.1: before anything is measured. */
#define RTO_FIRST_NS    (1000 * MS)
#define LINGER_NS       (2000 * MS)
#define DONE_NS         (200 * MS)
#define IN_FLIGHT_FIRST 16

void stream_put64(uint8_t *to, uint64_t value)
{
    for (unsigned i = 0; i < 8; i++)
        to[i] = (uint8_t)(value >> (56 - 8 * i));
}

uint64_t stream_get64(const uint8_t *from)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < 8; i++)
        value = value << 8 | from[i];
    return value;
}

size_t stream_put_header(uint8_t *packet, Kind kind, uint32_t id)
{
    packet[0] = STREAM_TAG;
    packet[1] = (uint8_t)kind;
    for (unsigned i = 0; i < 4; i++)
        packet[2 + i] = (uint8_t)(id >> (24 - 8 * i));
    return HEADER;
}

Stream *stream_new(uint32_t id, bool opener, uint64_t now)
{
    Stream *stream = calloc(1, sizeof(*stream));

    if (!stream)
        return NULL;
    stream->id = id;
    stream->probe = opener;
    stream->heard = !opener;
    stream->limit = stream->told_limit = WINDOW;
    stream->allowed = IN_FLIGHT_FIRST;
    stream->rto_ns = RTO_FIRST_NS;
    stream->rto_at = opener ? now + RTO_FIRST_NS : UINT64_MAX;
    stream->end_at = stream->ack_at = stream->done_at = stream->linger_until = UINT64_MAX;
    return stream;
}

Stream *stream_free(Stream *stream)
{
    free(stream);
    return NULL;
}

bool stream_packet_id(const uint8_t *bytes, size_t length, uint32_t *ret_id)
{
    if (length < HEADER || bytes[0] != STREAM_TAG || bytes[1] < DATA || bytes[1] > OPEN)
        return false;
    *ret_id =
        (uint32_t)bytes[2] << 24 | (uint32_t)bytes[3] << 16 | (uint32_t)bytes[4] << 8 | bytes[5];
    return true;
}

bool stream_packet_opens(const uint8_t *bytes, size_t length)
{
    return length >= HEADER && bytes[0] == STREAM_TAG && bytes[1] == OPEN;
}

size_t stream_refuse(uint32_t id, uint8_t ret_packet[static STREAM_PACKET])
{
    return stream_put_header(ret_packet, RESET, id);
}

/* ---- what comes ---- */

void stream_receive(Stream *stream, const uint8_t *bytes, size_t length, uint64_t now)
{
    uint32_t id;

    if (!stream_packet_id(bytes, length, &id) || id != stream->id)
        return;
    switch ((Kind)bytes[1]) {
    case DATA:
    case END:
        stream_take_segment(stream, bytes, length, now);
        break;
    case ACK:
        stream_take_ack(stream, bytes, length, now);
        break;
    case PROBE:
    case OPEN:
        stream->ack_at = now;
        break;
    case DONE:
        if (!stream->ended)
            break;
        stream->other_done = true;
        stream->acknowledged = stream->written;
        stream->tell_done = true;
        break;
    case RESET:
        stream->refused = true;
        break;
    }
}

/* ---- what goes out ---- */

size_t stream_poll_transmit(Stream *stream, uint64_t now, uint8_t ret_packet[static STREAM_PACKET])
{
    if (stream->refused)
        return 0;
    if (stream_is_done(stream) && stream->linger_until == UINT64_MAX) {
        stream->linger_until = now + LINGER_NS;
        stream->done_at = now;
        stream->rto_at = UINT64_MAX;
    }
    if (stream->ack_at <= now)
        return stream_write_ack(stream, ret_packet);
    if (stream->probe) {
        stream->probe = false;
        return stream_put_header(ret_packet, stream->heard ? PROBE : OPEN, stream->id);
    }
    if (stream->done_at <= now || (stream->tell_done && stream_is_done(stream))) {
        stream->tell_done = false;
        stream->done_at = now + DONE_NS;
        return stream_put_header(ret_packet, DONE, stream->id);
    }
    return stream_write_segment(stream, now, ret_packet);
}

uint64_t stream_next_timeout(const Stream *stream)
{
    uint64_t next = stream->ack_at < stream->rto_at ? stream->ack_at : stream->rto_at;

    if (stream->done_at < next)
        next = stream->done_at;
    return stream->linger_until < next ? stream->linger_until : next;
}

/* ---- how it is ---- */

uint32_t stream_id(const Stream *stream)
{
    return stream->id;
}

bool stream_is_refused(const Stream *stream)
{
    return stream->refused;
}

bool stream_is_done(const Stream *stream)
{
    return stream->ended && stream->acknowledged == stream->written && stream_has_ended(stream);
}

bool stream_may_leave(const Stream *stream, uint64_t now)
{
    return stream_is_done(stream) && (stream->other_done || now >= stream->linger_until);
}
