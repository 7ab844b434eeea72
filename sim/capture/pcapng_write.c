/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pcapng writer. Little-endian on every machine, so that the same packets give the same bytes.
 * A block is put together in memory and written with one call.
 */
#include <errno.h>
#include <string.h>

#include "capture/pcapng.h"
#include "capture/pcapng_format.h"

struct PlPcapngWriter {
    FILE *file;
    GByteArray *block; /* the one being made, without its last length */
    unsigned n_interfaces;
    gboolean packets; /* interfaces may not follow any more */
    int error;        /* errno of the first write that failed */
};

static void put(PlPcapngWriter *writer, const void *data, size_t length)
{
    static const uint8_t zero[4];

    g_byte_array_append(writer->block, data, (guint)length);
    g_byte_array_append(writer->block, zero, (guint)(-length & 3));
}

static void put_u32(PlPcapngWriter *writer, uint32_t value)
{
    value = GUINT32_TO_LE(value);
    put(writer, &value, sizeof(value));
}

static void put_u16_pair(PlPcapngWriter *writer, unsigned first, unsigned second)
{
    put_u32(writer, (uint32_t)first | (uint32_t)second << 16);
}

static void put_u64(PlPcapngWriter *writer, uint64_t value)
{
    value = GUINT64_TO_LE(value);
    put(writer, &value, sizeof(value));
}

/* Time stands high word first, whatever the byte order (§4.3). */
static void put_time(PlPcapngWriter *writer, uint64_t time_ns)
{
    put_u32(writer, (uint32_t)(time_ns >> 32));
    put_u32(writer, (uint32_t)time_ns);
}

static void put_option(PlPcapngWriter *writer, unsigned code, const void *data, size_t length)
{
    put_u16_pair(writer, code, (unsigned)length);
    put(writer, data, length);
}

static void put_option_text(PlPcapngWriter *writer, unsigned code, const char *text)
{
    if (text && *text)
        put_option(writer, code, text, MIN(strlen(text), (size_t)G_MAXUINT16));
}

static void put_option_u64(PlPcapngWriter *writer, unsigned code, uint64_t value)
{
    put_u16_pair(writer, code, sizeof(value));
    put_u64(writer, value);
}

static void begin(PlPcapngWriter *writer, uint32_t type)
{
    g_byte_array_set_size(writer->block, 0);
    put_u32(writer, type);
    put_u32(writer, 0);
}

static void end(PlPcapngWriter *writer)
{
    uint32_t length = writer->block->len + 4, length_le = GUINT32_TO_LE(length);

    put_u32(writer, length);
    memcpy(writer->block->data + 4, &length_le, sizeof(length_le));
    if (!writer->error && fwrite(writer->block->data, 1, length, writer->file) != length)
        writer->error = errno ? errno : EIO;
}

PlPcapngWriter *pl_pcapng_writer_new(FILE *file, const char *application, const char *comment)
{
    PlPcapngWriter *writer = g_new0(PlPcapngWriter, 1);

    writer->file = file;
    writer->block = g_byte_array_new();
    begin(writer, PCAPNG_SECTION);
    put_u32(writer, PCAPNG_BYTE_ORDER);
    put_u16_pair(writer, 1, 0);   /* version 1.0 */
    put_u64(writer, G_MAXUINT64); /* the section's length is not said */
    put_option_text(writer, PCAPNG_OPTION_COMMENT, comment);
    put_option_text(writer, PCAPNG_SECTION_APP, application);
    put_u32(writer, PCAPNG_OPTION_END);
    end(writer);
    return writer;
}

unsigned pl_pcapng_writer_interface(PlPcapngWriter *writer, const char *name,
                                    const char *description)
{
    static const uint8_t nanoseconds = 9;

    g_assert(!writer->packets);
    begin(writer, PCAPNG_INTERFACE);
    put_u16_pair(writer, PCAPNG_LINKTYPE_ETHER, 0);
    put_u32(writer, PCAPNG_SNAPLEN);
    put_option_text(writer, PCAPNG_IF_NAME, name);
    put_option_text(writer, PCAPNG_IF_DESCRIPTION, description);
    put_option(writer, PCAPNG_IF_TSRESOL, &nanoseconds, sizeof(nanoseconds));
    put_u32(writer, PCAPNG_OPTION_END);
    end(writer);
    return writer->n_interfaces++;
}

void pl_pcapng_writer_packet(PlPcapngWriter *writer, unsigned interface, uint64_t time_ns,
                             const uint8_t *data, size_t length, size_t original_length)
{
    g_assert(interface < writer->n_interfaces && length <= original_length);
    writer->packets = TRUE;
    begin(writer, PCAPNG_ENHANCED_PACKET);
    put_u32(writer, interface);
    put_time(writer, time_ns);
    put_u32(writer, (uint32_t)length);
    put_u32(writer, (uint32_t)original_length);
    put(writer, data, length);
    end(writer);
}

void pl_pcapng_writer_statistics(PlPcapngWriter *writer, unsigned interface, uint64_t time_ns,
                                 uint64_t received, uint64_t dropped)
{
    g_assert(interface < writer->n_interfaces);
    begin(writer, PCAPNG_STATISTICS);
    put_u32(writer, interface);
    put_time(writer, time_ns);
    put_option_u64(writer, PCAPNG_STATS_IF_RECV, received);
    put_option_u64(writer, PCAPNG_STATS_IF_DROP, dropped);
    put_u32(writer, PCAPNG_OPTION_END);
    end(writer);
}

int pl_pcapng_writer_flush(PlPcapngWriter *writer)
{
    if (fflush(writer->file) != 0 && !writer->error)
        writer->error = errno ? errno : EIO;
    return writer->error;
}

gboolean pl_pcapng_writer_close(PlPcapngWriter *writer, GError **error)
{
    int failed = pl_pcapng_writer_flush(writer);

    g_byte_array_unref(writer->block);
    g_free(writer);
    if (failed)
        g_set_error(error, PL_ERROR, PL_ERROR_FAILED, "cannot write the capture: %s",
                    g_strerror(failed));
    return failed == 0;
}
