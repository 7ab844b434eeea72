/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Recordings of packets that were on no real interface; see trace.h. */
#include "capture/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "capture/pcapng.h"

#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_IPV6 0x86dd

struct PlTrace {
    FILE *file;
    PlPcapngWriter *writer;
    GHashTable *interfaces; /* PlAttachment -> its number and 1 */
    GArray *received;       /* uint64_t for each interface */
    GByteArray *frame;
};

static void free_trace(PlTrace *trace)
{
    if (trace->file)
        (void)fclose(trace->file);
    g_clear_pointer(&trace->interfaces, g_hash_table_unref);
    g_clear_pointer(&trace->received, g_array_unref);
    g_clear_pointer(&trace->frame, g_byte_array_unref);
    g_free(trace);
}

PlTrace *pl_trace_new(const GPtrArray *attachments, int fd, const char *comment, GError **error)
{
    PlTrace *trace = g_new0(PlTrace, 1);
    int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    uint64_t none = 0;

    trace->file = own < 0 ? NULL : fdopen(own, "w");
    if (!trace->file) {
        pl_error_set_errno(error, "open the recording", errno);
        if (own >= 0)
            close(own);
        free_trace(trace);
        return NULL;
    }
    trace->writer = pl_pcapng_writer_new(trace->file, "pinlab " PL_VERSION, comment);
    trace->interfaces = g_hash_table_new(NULL, NULL);
    trace->received = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    trace->frame = g_byte_array_new();
    for (unsigned i = 0; i < attachments->len; i++) {
        const PlAttachment *attachment = g_ptr_array_index(attachments, i);
        unsigned number =
            pl_pcapng_writer_interface(trace->writer, attachment->label, attachment->network->name);

        g_hash_table_insert(trace->interfaces, (gpointer)attachment, GUINT_TO_POINTER(number + 1));
        g_array_append_val(trace->received, none);
    }
    return trace;
}

void pl_trace_header(uint8_t header[static PL_TRACE_HEADER], unsigned interface, gboolean outgoing,
                     const uint8_t *bytes)
{
    unsigned type = bytes[0] >> 4 == 6 ? ETHERTYPE_IPV6 : ETHERTYPE_IPV4;

    for (unsigned i = 0; i < 2; i++) {
        uint8_t *mac = header + 6 * i;

        memset(mac, 0, 6);
        mac[0] = 0x02;
        mac[3] = (i == 0) == (outgoing != FALSE); /* the destination comes first */
        mac[4] = (uint8_t)(interface >> 8);
        mac[5] = (uint8_t)interface;
    }
    header[12] = (uint8_t)(type >> 8);
    header[13] = (uint8_t)type;
}

void pl_trace_packet(PlTrace *trace, const PlAttachment *attachment, gboolean outgoing,
                     const uint8_t *bytes, size_t length, uint64_t time_ns)
{
    unsigned number = GPOINTER_TO_UINT(g_hash_table_lookup(trace->interfaces, attachment));
    uint8_t header[PL_TRACE_HEADER];

    if (number == 0 || length == 0)
        return;
    pl_trace_header(header, number - 1, outgoing, bytes);
    g_byte_array_set_size(trace->frame, 0);
    g_byte_array_append(trace->frame, header, sizeof(header));
    g_byte_array_append(trace->frame, bytes, (guint)length);
    pl_pcapng_writer_packet(trace->writer, number - 1, time_ns, trace->frame->data,
                            trace->frame->len, trace->frame->len);
    g_array_index(trace->received, uint64_t, number - 1)++;
}

gboolean pl_trace_flush(PlTrace *trace, GError **error)
{
    int errnum = pl_pcapng_writer_flush(trace->writer);

    if (errnum != 0)
        pl_error_set_errno(error, "write the recording", errnum);
    return errnum == 0;
}

gboolean pl_trace_close(PlTrace *trace, uint64_t time_ns, GError **error)
{
    gboolean done;

    if (!trace)
        return TRUE;
    for (unsigned i = 0; i < trace->received->len; i++)
        pl_pcapng_writer_statistics(trace->writer, i, time_ns,
                                    g_array_index(trace->received, uint64_t, i), 0);
    done = pl_pcapng_writer_close(trace->writer, error);
    free_trace(trace);
    return done;
}
