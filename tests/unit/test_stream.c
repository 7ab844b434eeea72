/* SPDX-License-Identifier: MIT */
/* The stream of `pinhole pipe`, both ends, through a network that loses, delays and doubles. */
#include <glib.h>
#include <string.h>

#include "../../tools/pinhole/stream.h"

#define MS    UINT64_C(1000000)
#define LIMIT (300 * 1000 * MS)

typedef struct Packet {
    uint64_t at;
    size_t length;
    uint8_t bytes[STREAM_PACKET];
} Packet;

typedef struct End {
    Stream *stream;
    GQueue *coming; /* of Packet */
    const uint8_t *data;
    size_t length, written, read;
    uint8_t *got;
    unsigned slow; /* takes a segment only every so many ms */
    uint64_t reads_at;
    gboolean left;
} End;

typedef struct Net {
    GRand *rand;
    double loss, twice;
    uint64_t delay, jitter, now;
    End ends[2];
} Net;

static void deliver(Net *net, End *to, const uint8_t *bytes, size_t length)
{
    unsigned copies = g_rand_double(net->rand) < net->twice ? 2 : 1;

    for (unsigned i = 0; i < copies; i++) {
        Packet *packet;

        if (g_rand_double(net->rand) < net->loss)
            continue;
        packet = g_new0(Packet, 1);
        packet->at = net->now + net->delay;
        if (net->jitter)
            packet->at += (uint64_t)g_rand_int_range(net->rand, 0, (gint32)net->jitter) * MS;
        packet->length = length;
        memcpy(packet->bytes, bytes, length);
        g_queue_push_tail(to->coming, packet);
    }
}

static void take_what_came(Net *net, End *end)
{
    for (GList *i = end->coming->head; i;) {
        GList *next = i->next;
        Packet *packet = i->data;

        if (packet->at <= net->now) {
            if (!end->left)
                stream_receive(end->stream, packet->bytes, packet->length, net->now);
            g_free(packet);
            g_queue_delete_link(end->coming, i);
        }
        i = next;
    }
}

static void use(Net *net, End *end)
{
    const uint8_t *bytes;
    size_t length;

    while (end->written <= end->length && stream_has_room(end->stream)) {
        length = MIN(end->length - end->written, (size_t)STREAM_SEGMENT);
        if (length > 0)
            stream_write(end->stream, end->data + end->written, length);
        else
            stream_end(end->stream);
        end->written += length > 0 ? length : 1;
    }
    while (net->now >= end->reads_at && stream_peek(end->stream, &bytes, &length)) {
        memcpy(end->got + end->read, bytes, length);
        end->read += length;
        stream_consume(end->stream);
        end->reads_at = net->now + end->slow * MS;
    }
}

static void turn(Net *net, End *end, End *other)
{
    uint8_t packet[STREAM_PACKET];
    size_t length;

    take_what_came(net, end);
    if (end->left)
        return;
    use(net, end);
    if (stream_next_timeout(end->stream) <= net->now)
        stream_handle_timeout(end->stream, net->now);
    while ((length = stream_poll_transmit(end->stream, net->now, packet)) > 0)
        deliver(net, other, packet, length);
    g_assert_false(stream_is_refused(end->stream));
    end->left = stream_may_leave(end->stream, net->now);
}

static uint64_t run(Net *net, size_t there, size_t back, guint32 seed)
{
    g_autofree uint8_t *data = g_malloc(there + back + 1);
    size_t lengths[2] = {there, back};

    net->rand = g_rand_new_with_seed(seed);
    for (size_t i = 0; i < there + back; i++)
        data[i] = (uint8_t)g_rand_int(net->rand);
    for (unsigned i = 0; i < 2; i++) {
        End *end = &net->ends[i];

        end->stream = stream_new(7, i == 0, net->now);
        end->coming = g_queue_new();
        end->data = data + (i ? there : 0);
        end->length = lengths[i];
        end->got = g_malloc(lengths[!i] + 1);
    }
    for (; !(net->ends[0].left && net->ends[1].left) && net->now < LIMIT; net->now += MS) {
        turn(net, &net->ends[0], &net->ends[1]);
        turn(net, &net->ends[1], &net->ends[0]);
    }
    for (unsigned i = 0; i < 2; i++) {
        End *end = &net->ends[i];

        g_assert_true(end->left);
        g_assert_cmpuint(end->read, ==, lengths[!i]);
        g_assert_true(memcmp(end->got, net->ends[!i].data, end->read) == 0);
        stream_free(end->stream);
        g_queue_free_full(end->coming, g_free);
        g_free(end->got);
    }
    g_rand_free(net->rand);
    return net->now;
}

static void test_five_megabytes_through_five_percent_of_loss(void)
{
    for (guint32 seed = 0; seed < 5; seed++) {
        Net net = {.loss = 0.05, .delay = 20 * MS};
        uint64_t took = run(&net, 5000000, 0, seed);

        g_test_message("%g s", (double)took / 1e9);
        g_assert_cmpuint(took, <, 60 * 1000 * MS);
    }
}

static void test_both_ways_through_what_loses_a_third_and_mixes(void)
{
    for (guint32 seed = 0; seed < 5; seed++) {
        Net net = {.loss = 0.33, .twice = 0.2, .delay = 5 * MS, .jitter = 30};

        run(&net, 100000, 70001, seed);
    }
}

static void test_a_slow_reader_holds_up_the_writer_and_loses_nothing(void)
{
    for (guint32 seed = 0; seed < 5; seed++) {
        Net net = {.loss = 0.1, .delay = 5 * MS, .ends = {{.slow = 0}, {.slow = 20}}};

        run(&net, 1000000, 0, seed);
    }
}

static void test_nothing_at_all_ends_too(void)
{
    Net net = {.delay = 5 * MS};

    g_assert_cmpuint(run(&net, 0, 0, 1), <, 100 * MS);
}

static void test_what_is_refused_says_so(void)
{
    Stream *stream = stream_new(7, true, 0);
    uint8_t packet[STREAM_PACKET];
    uint32_t id;
    size_t length = stream_poll_transmit(stream, 0, packet);

    g_assert_true(stream_packet_id(packet, length, &id));
    length = stream_refuse(id + 1, packet);
    stream_receive(stream, packet, length, 0);
    g_assert_false(stream_is_refused(stream));
    length = stream_refuse(id, packet);
    stream_receive(stream, packet, length, 0);
    g_assert_true(stream_is_refused(stream));
    stream_free(stream);
}

/* Who waits may have the key of one that died: what was said to that one is no beginning. */
static void test_an_open_alone_begins_one(void)
{
    Stream *opener = stream_new(7, true, 0), *accepter = stream_new(7, false, 0);
    uint8_t packet[STREAM_PACKET];
    size_t length = stream_poll_transmit(opener, 0, packet);
    unsigned said = 0;

    g_assert_true(stream_packet_opens(packet, length));
    g_assert_false(stream_packet_opens(packet, 5));
    stream_receive(accepter, packet, length, 0);
    while ((length = stream_poll_transmit(accepter, 0, packet)) > 0) {
        g_assert_false(stream_packet_opens(packet, length));
        stream_receive(opener, packet, length, 0);
    }
    /* All that there may be, and nothing is answered any more. */
    while (stream_has_room(opener))
        stream_write(opener, packet, 1);
    for (uint64_t now = 0; now < 60 * 1000 * MS; now += 10 * MS) {
        stream_handle_timeout(opener, now);
        for (; (length = stream_poll_transmit(opener, now, packet)) > 0; said++)
            g_assert_false(stream_packet_opens(packet, length));
    }
    g_assert_cmpuint(said, >, 16);
    stream_free(opener);
    stream_free(accepter);
}

static void test_no_packet_breaks_it(void)
{
    GRand *rand = g_rand_new_with_seed(1);

    for (unsigned round = 0; round < 200; round++) {
        Stream *stream = stream_new(0, round % 2, 0);
        uint8_t packet[STREAM_PACKET];
        const uint8_t *bytes;
        size_t length;

        for (uint64_t now = 0; now < 300; now++) {
            length = (size_t)g_rand_int_range(rand, 0, 80);
            for (size_t i = 0; i < length; i++)
                packet[i] = g_rand_boolean(rand) ? 0 : (uint8_t)g_rand_int(rand);
            packet[0] = STREAM_TAG;
            packet[1] = (uint8_t)g_rand_int_range(rand, 0, 9);
            memset(packet + 2, 0, 11);
            if (stream_has_room(stream))
                stream_write(stream, packet, 1);
            stream_receive(stream, packet, length, now * MS);
            stream_handle_timeout(stream, now * MS);
            while (stream_poll_transmit(stream, now * MS, packet) > 0)
                continue;
            if (stream_peek(stream, &bytes, &length))
                stream_consume(stream);
        }
        stream_free(stream);
    }
    g_rand_free(rand);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/stream/five-megabytes-through-five-percent-of-loss",
                    test_five_megabytes_through_five_percent_of_loss);
    g_test_add_func("/stream/both-ways-through-what-loses-a-third-and-mixes",
                    test_both_ways_through_what_loses_a_third_and_mixes);
    g_test_add_func("/stream/a-slow-reader-holds-up-the-writer-and-loses-nothing",
                    test_a_slow_reader_holds_up_the_writer_and_loses_nothing);
    g_test_add_func("/stream/nothing-at-all-ends-too", test_nothing_at_all_ends_too);
    g_test_add_func("/stream/what-is-refused-says-so", test_what_is_refused_says_so);
    g_test_add_func("/stream/an-open-alone-begins-one", test_an_open_alone_begins_one);
    g_test_add_func("/stream/no-packet-breaks-it", test_no_packet_breaks_it);
    return g_test_run();
}
