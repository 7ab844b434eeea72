/* SPDX-License-Identifier: MIT */
/* A stream's segments from the other side: see stream_private.h. */
#include <string.h>

#include "stream_private.h"

#define ACK_DELAY_NS (10 * MS)
#define ACK_EVERY    2

static void schedule_ack(Stream *stream, uint64_t now)
{
    if (++stream->unacknowledged >= ACK_EVERY)
        stream->ack_at = now;
    else if (stream->ack_at > now + ACK_DELAY_NS)
        stream->ack_at = now + ACK_DELAY_NS;
}

void stream_take_segment(Stream *stream, const uint8_t *bytes, size_t length, uint64_t now)
{
    bool end = bytes[1] == END;
    uint64_t number;
    Segment *segment;

    if (length < HEADER + 8 || length - HEADER - 8 > STREAM_SEGMENT ||
        end != (length == HEADER + 8))
        return;
    number = stream_get64(bytes + HEADER);
    segment = &stream->in[number % WINDOW];
    if (number < stream->received || number >= stream->consumed + WINDOW ||
        number > stream->end_at || segment->here) {
        stream->ack_at = now; /* perhaps our answer was lost */
        return;
    }
    if (number != stream->received)
        stream->ack_at = now;
    segment->here = true;
    segment->length = length - HEADER - 8;
    memcpy(segment->bytes, bytes + HEADER + 8, segment->length);
    if (end)
        stream->end_at = number;
    while (stream->received < stream->consumed + WINDOW &&
           stream->in[stream->received % WINDOW].here)
        stream->received++;
    schedule_ack(stream, now);
}

bool stream_peek(const Stream *stream, const uint8_t **ret_bytes, size_t *ret_length)
{
    const Segment *segment = &stream->in[stream->consumed % WINDOW];

    if (stream->consumed == stream->received || stream->consumed == stream->end_at)
        return false;
    *ret_bytes = segment->bytes;
    *ret_length = segment->length;
    return true;
}

void stream_consume(Stream *stream)
{
    stream->in[stream->consumed++ % WINDOW].here = false;
    /* Who was held up hears of it at once. */
    if (stream->consumed + WINDOW - stream->told_limit >= WINDOW / 4)
        stream->ack_at = 0;
}

bool stream_has_ended(const Stream *stream)
{
    return stream->consumed == stream->end_at;
}

size_t stream_write_ack(Stream *stream, uint8_t *packet)
{
    size_t length = stream_put_header(packet, ACK, stream->id);

    stream_put64(packet + length, stream->received);
    stream->told_limit = stream->consumed + WINDOW;
    stream_put64(packet + length + 8, stream->told_limit);
    length += 16;
    memset(packet + length, 0, WINDOW / 8);
    for (uint64_t i = stream->received; i < stream->consumed + WINDOW; i++) {
        uint64_t bit = i - stream->received;

        if (stream->in[i % WINDOW].here)
            packet[length + bit / 8] |= (uint8_t)(1 << bit % 8);
    }
    stream->ack_at = UINT64_MAX;
    stream->unacknowledged = 0;
    return length + WINDOW / 8;
}
