/* SPDX-License-Identifier: MIT */
/* A stream's segments on their way to the other side: see stream_private.h. */
#include <string.h>

#include "stream_private.h"

/* RFC 6298 §2.1: its least of 1 s is long for what people wait for, 200 ms is what common systems
 * have. */
#define RTO_LEAST_NS (200 * MS)
#define RTO_MOST_NS  (8000 * MS)
/* The relay's queue for one node, and the least with which 5 % of loss leaves a stream alive. */
#define IN_FLIGHT_MOST  64
#define IN_FLIGHT_LEAST 8

static void sample_rtt(Stream *stream, uint64_t rtt_ns)
{
    /* RFC 6298 §2. */
    if (stream->rtt_ns == 0) {
        stream->rtt_ns = rtt_ns;
        stream->rtt_var_ns = rtt_ns / 2;
    } else {
        uint64_t apart =
            rtt_ns > stream->rtt_ns ? rtt_ns - stream->rtt_ns : stream->rtt_ns - rtt_ns;

        stream->rtt_var_ns = (3 * stream->rtt_var_ns + apart) / 4;
        stream->rtt_ns = (7 * stream->rtt_ns + rtt_ns) / 8;
    }
    stream->rto_ns = stream->rtt_ns + 4 * stream->rtt_var_ns;
    if (stream->rto_ns < RTO_LEAST_NS)
        stream->rto_ns = RTO_LEAST_NS;
}

/* One more may be under way for each that arrives, until something was lost; then for each round.
 */
static void grow(Stream *stream)
{
    unsigned needed = stream->cut_ns == 0 ? 1 : stream->allowed;

    if (++stream->credit < needed)
        return;
    stream->credit = 0;
    if (stream->allowed < IN_FLIGHT_MOST)
        stream->allowed++;
}

static void acknowledge(Stream *stream, Segment *segment, uint64_t now)
{
    if (segment->acknowledged || !segment->sent)
        return;
    segment->acknowledged = true;
    if (!segment->lost)
        stream->in_flight--;
    segment->lost = false;
    if (segment->sent_ns > stream->newest_ns)
        stream->newest_ns = segment->sent_ns;
    if (!segment->again)
        sample_rtt(stream, now - segment->sent_ns);
    grow(stream);
}

static void lose(Stream *stream, Segment *segment)
{
    segment->lost = true;
    stream->in_flight--;
    if (segment->sent_ns <= stream->cut_ns)
        return; /* of the same round */
    stream->cut_ns = stream->newest_ns;
    stream->allowed /= 2;
    if (stream->allowed < IN_FLIGHT_LEAST)
        stream->allowed = IN_FLIGHT_LEAST;
}

/* RFC 8985 (RACK): lost is what was sent clearly before something that has arrived. */
static void find_lost(Stream *stream)
{
    for (uint64_t i = stream->acknowledged; i < stream->written; i++) {
        Segment *segment = &stream->out[i % WINDOW];

        if (segment->sent && !segment->acknowledged && !segment->lost &&
            segment->sent_ns + stream->rtt_ns / 4 + MS < stream->newest_ns)
            lose(stream, segment);
    }
}

/* With nothing under way, and waiting for the other side: an OPEN or a PROBE asks whether it was
 * heard. */
static bool is_held_up(const Stream *stream)
{
    return !stream->heard || (!stream->ended && stream->written == stream->limit);
}

void stream_take_ack(Stream *stream, const uint8_t *bytes, size_t length, uint64_t now)
{
    uint64_t next, limit;

    if (length != ACK_LENGTH)
        return;
    next = stream_get64(bytes + HEADER);
    limit = stream_get64(bytes + HEADER + 8);
    if (next > stream->written || next < stream->acknowledged)
        return; /* an old one, or nonsense */
    for (uint64_t i = stream->acknowledged; i < stream->written; i++) {
        uint64_t bit = i - next;

        if (i < next || (bit < WINDOW && bytes[HEADER + 16 + bit / 8] >> bit % 8 & 1))
            acknowledge(stream, &stream->out[i % WINDOW], now);
    }
    while (stream->acknowledged < stream->written &&
           stream->out[stream->acknowledged % WINDOW].acknowledged)
        stream->acknowledged++;
    if (limit > stream->limit && limit <= next + WINDOW)
        stream->limit = limit;
    find_lost(stream);
    stream->heard = true;
    stream->rto_at = stream->acknowledged < stream->written || is_held_up(stream)
                         ? now + stream->rto_ns
                         : UINT64_MAX;
}

bool stream_has_room(const Stream *stream)
{
    return !stream->ended && stream->written - stream->acknowledged < WINDOW &&
           stream->written < stream->limit;
}

static Segment *append(Stream *stream)
{
    Segment *segment = &stream->out[stream->written++ % WINDOW];

    segment->sent = segment->acknowledged = segment->lost = segment->again = segment->end = false;
    segment->length = 0;
    return segment;
}

void stream_write(Stream *stream, const uint8_t *bytes, size_t length)
{
    Segment *segment = append(stream);

    memcpy(segment->bytes, bytes, length);
    segment->length = length;
}

void stream_end(Stream *stream)
{
    append(stream)->end = true;
    stream->ended = true;
}

static size_t write_segment(Stream *stream, uint64_t number, uint64_t now, uint8_t *packet)
{
    Segment *segment = &stream->out[number % WINDOW];
    size_t length = stream_put_header(packet, segment->end ? END : DATA, stream->id);

    stream_put64(packet + length, number);
    memcpy(packet + length + 8, segment->bytes, segment->length);
    segment->again = segment->sent;
    segment->sent = true;
    segment->lost = false;
    segment->sent_ns = now;
    stream->in_flight++;
    if (stream->rto_at == UINT64_MAX)
        stream->rto_at = now + stream->rto_ns;
    return length + 8 + segment->length;
}

size_t stream_write_segment(Stream *stream, uint64_t now, uint8_t *packet)
{
    for (uint64_t i = stream->acknowledged;
         i < stream->written && stream->in_flight < stream->allowed && stream->heard; i++) {
        const Segment *segment = &stream->out[i % WINDOW];

        if (!segment->acknowledged && (!segment->sent || segment->lost))
            return write_segment(stream, i, now, packet);
    }
    return 0;
}

void stream_handle_timeout(Stream *stream, uint64_t now)
{
    if (now < stream->rto_at)
        return;
    for (uint64_t i = stream->acknowledged; i < stream->written; i++) {
        Segment *segment = &stream->out[i % WINDOW];

        if (segment->sent && !segment->acknowledged && !segment->lost)
            lose(stream, segment);
    }
    stream->probe = is_held_up(stream);
    stream->allowed = IN_FLIGHT_LEAST;
    stream->rto_ns = stream->rto_ns > RTO_MOST_NS / 2 ? RTO_MOST_NS : 2 * stream->rto_ns;
    stream->rto_at =
        stream->probe || stream->acknowledged < stream->written ? now + stream->rto_ns : UINT64_MAX;
}
