/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What passes attachments: all of it goes into a digest, if one is wanted, and what passes the
 * capture points into a recording while there is one. Two runs with one digest had the same packets
 * at the same times.
 */
#include "virtual/lab.h"

#include "capture/points.h"
#include "capture/trace.h"
#include "model/ip.h"

/* Digested this much at a time. */
#define CHUNK (64 * 1024)

struct PlWitness {
    unsigned *first;     /* of each node: the number of its first attachment */
    GChecksum *digest;   /* NULL: nobody wants one */
    GByteArray *pending; /* not digested yet */
    PlTrace *trace;      /* NULL: nothing is recorded */
};

static unsigned number_of(const PlWitness *witness, const PlAttachment *attachment)
{
    const GPtrArray *all = attachment->node->attachments;
    unsigned i = 0;

    while (g_ptr_array_index(all, i) != attachment)
        i++;
    return witness->first[attachment->node->index] + i;
}

static void digest_pending(PlWitness *witness)
{
    g_checksum_update(witness->digest, witness->pending->data, witness->pending->len);
    g_byte_array_set_size(witness->pending, 0);
}

/* Time, attachment, length, direction, bytes. */
static void digest_packet(PlWitness *witness, const PlAttachment *attachment, gboolean outgoing,
                          const PlDatagram *datagram, uint64_t time_ns)
{
    uint8_t head[17];

    pl_put_u32(head, (uint32_t)(time_ns >> 32));
    pl_put_u32(head + 4, (uint32_t)time_ns);
    pl_put_u32(head + 8, number_of(witness, attachment));
    pl_put_u32(head + 12, datagram->length);
    head[16] = outgoing ? 1 : 0;
    g_byte_array_append(witness->pending, head, sizeof(head));
    g_byte_array_append(witness->pending, datagram->bytes, datagram->length);
    if (witness->pending->len >= CHUNK)
        digest_pending(witness);
}

static void observe(const PlAttachment *attachment, gboolean outgoing, const PlDatagram *datagram,
                    uint64_t time_ns, gpointer data)
{
    PlWitness *witness = data;

    if (witness->digest)
        digest_packet(witness, attachment, outgoing, datagram, time_ns);
    if (witness->trace)
        pl_trace_packet(witness->trace, attachment, outgoing, datagram->bytes, datagram->length,
                        time_ns);
}

PlWitness *pl_witness_new(PlLab *lab)
{
    PlWitness *witness = g_new0(PlWitness, 1);
    const GPtrArray *nodes = lab->topology->nodes;
    unsigned n = 0;

    witness->first = g_new0(unsigned, nodes->len);
    for (unsigned i = 0; i < nodes->len; i++) {
        witness->first[i] = n;
        n += ((const PlNode *)g_ptr_array_index(nodes, i))->attachments->len;
    }
    pl_world_observe(lab->world, observe, witness);
    return witness;
}

PlWitness *pl_witness_free(PlWitness *witness, uint64_t now)
{
    if (!witness)
        return NULL;
    pl_trace_close(witness->trace, now, NULL);
    if (witness->digest) {
        g_checksum_free(witness->digest);
        g_byte_array_unref(witness->pending);
    }
    g_free(witness->first);
    g_free(witness);
    return NULL;
}

gboolean pl_virtual_record(PlLab *lab, int fd, GError **error)
{
    g_autoptr(GPtrArray) points = pl_capture_points(lab->topology);
    g_autofree char *comment = g_strdup_printf(
        "topology %s, engine virtual, seed %" G_GUINT64_FORMAT, lab->topology->name, lab->seed);

    lab->witness->trace = pl_trace_new(points, fd, comment, error);
    return lab->witness->trace != NULL;
}

gboolean pl_virtual_record_stop(PlLab *lab, GError **error)
{
    return pl_trace_close(g_steal_pointer(&lab->witness->trace), lab->now, error);
}

void pl_virtual_digest_begin(PlLab *lab)
{
    lab->witness->digest = g_checksum_new(G_CHECKSUM_SHA256);
    lab->witness->pending = g_byte_array_sized_new(2 * CHUNK);
}

char *pl_virtual_digest(PlLab *lab)
{
    g_autoptr(GChecksum) whole = NULL;

    digest_pending(lab->witness);
    whole = g_checksum_copy(lab->witness->digest);
    return g_strdup(g_checksum_get_string(whole));
}
