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
#include "stream.h"

#include <stdlib.h>
#include <string.h>

#define WINDOW     256 /* segments, each way; a multiple of 8 */
#define HEADER     6
#define ACK_LENGTH (HEADER + 16 + WINDOW / 8)

#define MS UINT64_C(1000000)
/* RFC 6298 §2.1: 1 s before anything is measured; its least of 1 s is long for what people wait
 * for, 200 ms is what common systems have. */
#define RTO_FIRST_NS (1000 * MS)
#define RTO_LEAST_NS (200 * MS)
#define RTO_MOST_NS  (8000 * MS)
#define ACK_DELAY_NS (10 * MS)
#define ACK_EVERY    2
#define LINGER_NS    (2000 * MS)
#define DONE_NS      (200 * MS)
/* The relay's queue for one node, and the least with which 5 % of loss leaves a stream alive. */
#define IN_FLIGHT_MOST  64
#define IN_FLIGHT_LEAST 8
#define IN_FLIGHT_FIRST 16

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

static void put64(uint8_t *to, uint64_t value)
{
    for (unsigned i = 0; i < 8; i++)
        to[i] = (uint8_t)(value >> (56 - 8 * i));
}

static uint64_t get64(const uint8_t *from)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < 8; i++)
        value = value << 8 | from[i];
    return value;
}

static size_t put_header(uint8_t *packet, Kind kind, uint32_t id)
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
    return put_header(ret_packet, RESET, id);
}

/* ---- what we send ---- */

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

static void take_ack(Stream *stream, const uint8_t *bytes, size_t length, uint64_t now)
{
    uint64_t next, limit;

    if (length != ACK_LENGTH)
        return;
    next = get64(bytes + HEADER);
    limit = get64(bytes + HEADER + 8);
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

/* ---- what we get ---- */

static void schedule_ack(Stream *stream, uint64_t now)
{
    if (++stream->unacknowledged >= ACK_EVERY)
        stream->ack_at = now;
    else if (stream->ack_at > now + ACK_DELAY_NS)
        stream->ack_at = now + ACK_DELAY_NS;
}

static void take_segment(Stream *stream, const uint8_t *bytes, size_t length, uint64_t now)
{
    bool end = bytes[1] == END;
    uint64_t number;
    Segment *segment;

    if (length < HEADER + 8 || length - HEADER - 8 > STREAM_SEGMENT ||
        end != (length == HEADER + 8))
        return;
    number = get64(bytes + HEADER);
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

void stream_receive(Stream *stream, const uint8_t *bytes, size_t length, uint64_t now)
{
    uint32_t id;

    if (!stream_packet_id(bytes, length, &id) || id != stream->id)
        return;
    switch ((Kind)bytes[1]) {
    case DATA:
    case END:
        take_segment(stream, bytes, length, now);
        break;
    case ACK:
        take_ack(stream, bytes, length, now);
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

static size_t write_ack(Stream *stream, uint8_t *packet)
{
    size_t length = put_header(packet, ACK, stream->id);

    put64(packet + length, stream->received);
    stream->told_limit = stream->consumed + WINDOW;
    put64(packet + length + 8, stream->told_limit);
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

static size_t write_segment(Stream *stream, uint64_t number, uint64_t now, uint8_t *packet)
{
    Segment *segment = &stream->out[number % WINDOW];
    size_t length = put_header(packet, segment->end ? END : DATA, stream->id);

    put64(packet + length, number);
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
        return write_ack(stream, ret_packet);
    if (stream->probe) {
        stream->probe = false;
        return put_header(ret_packet, stream->heard ? PROBE : OPEN, stream->id);
    }
    if (stream->done_at <= now || (stream->tell_done && stream_is_done(stream))) {
        stream->tell_done = false;
        stream->done_at = now + DONE_NS;
        return put_header(ret_packet, DONE, stream->id);
    }
    for (uint64_t i = stream->acknowledged;
         i < stream->written && stream->in_flight < stream->allowed && stream->heard; i++) {
        const Segment *segment = &stream->out[i % WINDOW];

        if (!segment->acknowledged && (!segment->sent || segment->lost))
            return write_segment(stream, i, now, ret_packet);
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
