/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A recording that may be anything is replayed or refused, with a reason, and nothing else happens.
 *
 * An input that begins with 'F' has a file behind that, which comes in pieces. One that begins with
 * 'I' has items, which are put into sound blocks, so that what they say is reached: kind, length
 * (2), bytes, and with a datagram that once more for the datagram, which begins with its length (2)
 * before it was cut.
 */
#include <glib.h>
#include <pinhole/replay.h>
#include <string.h>

#define DATAGRAM 9
#define TRANSMIT 51
#define PIECE    4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put_little(GByteArray *file, guint64 value, guint size)
{
    for (guint i = 0; i < size; i++) {
        guint8 byte = (guint8)(i < sizeof(value) ? value >> 8 * i : 0);

        g_byte_array_append(file, &byte, 1);
    }
}

static void fill_up(GByteArray *file)
{
    while (file->len % 4 != 0)
        put_little(file, 0, 1);
}

static void end_block(GByteArray *file, guint begin)
{
    guint32 length;

    fill_up(file);
    length = file->len - begin + 4;
    for (guint i = 0; i < 4; i++)
        file->data[begin + 4 + i] = (guint8)(length >> 8 * i);
    put_little(file, length, 4);
}

static void put_item(GByteArray *file, const guint8 *item, guint length)
{
    put_little(file, 32473, 4);
    g_byte_array_append(file, (const guint8 *)"PHFR", 4);
    g_byte_array_append(file, item, length);
}

static void put_packet(GByteArray *file, const guint8 *item, guint length, const guint8 *packet,
                       guint packet_length)
{
    static const guint8 headers[48];
    gboolean v6 = length > 3 + 38 && item[3 + 38] == PH_FAMILY_IPV6;
    guint begin = file->len, header = v6 ? 48 : 28, original = 0;

    if (packet_length >= 2) {
        original = (guint)packet[0] << 8 | packet[1];
        packet += 2;
        packet_length -= 2;
    }

    put_little(file, 6, 4);
    put_little(file, 0, 16);
    put_little(file, header + packet_length, 4);
    put_little(file, header + original, 4);
    g_byte_array_append(file, headers, header);
    g_byte_array_append(file, packet, packet_length);
    fill_up(file);
    put_little(file, 2989, 2);
    put_little(file, length + 8, 2);
    put_item(file, item, length);
    fill_up(file);
    put_little(file, 0, 4);
    end_block(file, begin);
}

static guint item_length(const guint8 *data, gsize left)
{
    guint length = 3 + ((guint)data[1] << 8 | data[2]);

    return (guint)MIN(length, left);
}

static GByteArray *make_file(const guint8 *data, gsize left)
{
    GByteArray *file = g_byte_array_new();
    guint begin = file->len;

    put_little(file, 0x0a0d0d0a, 8);
    put_little(file, 0x1a2b3c4d, 4);
    put_little(file, 1, 12);
    end_block(file, begin);
    while (left >= 3) {
        guint length = item_length(data, left), packet = 0;
        const guint8 *item = data;

        data += length;
        left -= length;
        begin = file->len;
        if (item[0] == DATAGRAM || item[0] == TRANSMIT) {
            packet = left >= 3 ? item_length(data, left) : 0;
            put_packet(file, item, length, packet ? data + 3 : data, packet ? packet - 3 : 0);
            data += packet;
            left -= packet;
        } else {
            put_little(file, 0xbad, 8);
            put_item(file, item, length);
            end_block(file, begin);
        }
    }
    return file;
}

static void replay_all(const guint8 *data, gsize size)
{
    PhReplay *replay = ph_replay_new();
    const PhReplayResult *result;
    PhReplayStep step;
    gsize at = 0;

    g_assert(replay);
    for (ph_replay_step(replay, &step); step.kind != PH_REPLAY_OVER;
         ph_replay_step(replay, &step)) {
        if (step.kind != PH_REPLAY_MORE) {
            g_assert(*step.text && step.input);
        } else if (at == size) {
            ph_replay_end(replay);
        } else {
            gsize used = ph_replay_feed(replay, data + at, MIN(size - at, PIECE));

            g_assert(used > 0);
            at += used;
        }
    }
    result = ph_replay_result(replay);
    g_assert(result->verdict != PH_REPLAY_BAD || *result->problem);
    g_assert(result->verdict != PH_REPLAY_DIFFERS || (*result->expected && *result->got));
    ph_replay_free(replay);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GByteArray) file = NULL;

    if (size == 0)
        return 0;
    if (data[0] == 'F') {
        replay_all(data + 1, size - 1);
        return 0;
    }
    file = make_file(data + 1, size - 1);
    replay_all(file->data, file->len);
    return 0;
}
