/* SPDX-License-Identifier: MIT */
/*
 * The stream of `pinhole pipe`. Its packets come inside of sessions, but from a program that may be
 * any. The first byte says which of two it is: 'H', and the other side is hostile, what it sends is
 * the input; or the two ends are sound, and the input is what the network does. However it goes,
 * segments are as long as they may be, a timer that has gone off is set later, and of sound ends
 * each gets a beginning of what the other has sent.
 */
#include <string.h>

#include "../../tools/pinhole/stream.h"
#include "input.h"

#define MS     G_GUINT64_CONSTANT(1000000)
#define FLYING 64
#define ID     7

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct Packet {
    guint to;
    gsize length;
    guint8 bytes[STREAM_PACKET];
} Packet;

typedef struct Feed {
    Input input;
    gboolean hostile;
    Stream *ends[2];
    guint64 now;
    guint32 written[2], read[2]; /* segments */
    gboolean ended[2];
    Packet flying[FLYING];
    guint n;
} Feed;

static void poll_end(Feed *feed, guint end)
{
    guint8 packet[STREAM_PACKET];
    guint32 id;
    gsize length;

    if (stream_next_timeout(feed->ends[end]) <= feed->now)
        stream_handle_timeout(feed->ends[end], feed->now);
    while ((length = stream_poll_transmit(feed->ends[end], feed->now, packet)) > 0) {
        Packet *flying = &feed->flying[feed->n++ % FLYING];

        g_assert(length <= sizeof(packet) && stream_packet_id(packet, length, &id) && id == ID);
        flying->to = 1 - end;
        flying->length = length;
        memcpy(flying->bytes, packet, length);
    }
    /* Else its driver lets go of it. */
    if (!stream_is_refused(feed->ends[end]) && !stream_may_leave(feed->ends[end], feed->now))
        g_assert(stream_next_timeout(feed->ends[end]) > feed->now);
}

/* Each segment says which it is. */
static void read_end(Feed *feed, guint end)
{
    const guint8 *bytes;
    guint32 number;
    gsize length;

    if (!stream_peek(feed->ends[end], &bytes, &length))
        return;
    g_assert(length <= STREAM_SEGMENT);
    if (!feed->hostile) {
        g_assert(length >= sizeof(number));
        memcpy(&number, bytes, sizeof(number));
        g_assert_cmpuint(number, ==, feed->read[end]);
        g_assert_cmpuint(number, <, feed->written[1 - end]);
    }
    feed->read[end]++;
    stream_consume(feed->ends[end]);
    if (!feed->hostile && stream_has_ended(feed->ends[end]))
        g_assert(feed->ended[1 - end] && feed->read[end] == feed->written[1 - end]);
}

static void write_end(Feed *feed, guint end)
{
    guint8 bytes[STREAM_SEGMENT] = {0};
    gsize length = 4 + take(&feed->input) * 4U;

    if (!stream_has_room(feed->ends[end]) || feed->ended[end])
        return;
    memcpy(bytes, &feed->written[end], sizeof(feed->written[end]));
    stream_write(feed->ends[end], bytes, length);
    feed->written[end]++;
}

/* One that was sent: late, again. */
static void deliver(Feed *feed)
{
    const Packet *packet;

    if (feed->n == 0)
        return;
    packet = &feed->flying[(feed->n - 1 - take(&feed->input) % MIN(feed->n, FLYING)) % FLYING];
    if (packet->to == 0 || !feed->hostile)
        stream_receive(feed->ends[packet->to], packet->bytes, packet->length, feed->now);
}

/* Numbers near those that are of use, or any. */
static void hostile_packet(Feed *feed)
{
    guint8 packet[STREAM_PACKET] = {STREAM_TAG, [5] = ID};
    gsize length = 6 + take(&feed->input) * 5U;

    packet[1] = take(&feed->input);
    for (gsize at = 13; at < 24; at += 8)
        packet[at] = take(&feed->input);
    if (packet[1] & 0x80) {
        packet[1] &= 0x7f;
        for (gsize at = 6; at < 24; at++)
            packet[at] = take(&feed->input);
    }
    for (gsize at = 22; at < 54 && packet[1] & 0x40; at++)
        packet[at] = take(&feed->input);
    packet[1] &= 0x3f;
    stream_receive(feed->ends[0], packet, MIN(length, sizeof(packet)), feed->now);
}

static void act(Feed *feed)
{
    guint what = take(&feed->input), end = feed->hostile ? 0 : what & 1;

    if (what < 0x50)
        write_end(feed, end);
    else if (what < 0xa0 && feed->hostile)
        hostile_packet(feed);
    else if (what < 0xa0)
        deliver(feed);
    else if (what < 0xd0)
        read_end(feed, end);
    else if (what < 0xf8)
        feed->now += (what & 15) * (what & 15) * MS;
    else if (!feed->ended[end] && stream_has_room(feed->ends[end])) {
        stream_end(feed->ends[end]);
        feed->ended[end] = TRUE;
    }
    for (guint i = 0; i < 2; i++)
        poll_end(feed, i);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static Feed feed;

    memset(&feed, 0, sizeof(feed));
    feed.input = (Input){data, size};
    feed.hostile = take(&feed.input) == 'H';
    for (guint i = 0; i < 2; i++) {
        feed.ends[i] = stream_new(ID, /* opener= */ i == 0, 0);
        g_assert(feed.ends[i]);
    }
    while (feed.input.left > 0)
        act(&feed);
    for (guint i = 0; i < 2; i++)
        stream_free(feed.ends[i]);
    return 0;
}
