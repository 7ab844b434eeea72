/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pcapng files (draft-ietf-opsawg-pcapng): written with one section, named Ethernet interfaces and
 * nanosecond timestamps; read with several sections, either byte order, any timestamp resolution,
 * enhanced, simple and obsolete packet blocks; other blocks are passed over. The reader takes
 * classic pcap too.
 */
#pragma once

#include <glib.h>
#include <stdio.h>

#include "topology/topology.h"

typedef struct PlPcapngWriter PlPcapngWriter;

/* Writes to `file`, which stays the caller's. `comment` (may be NULL) goes into the section header.
 */
PlPcapngWriter *pl_pcapng_writer_new(FILE *file, const char *application, const char *comment);
/* Returns the interface's number. All interfaces come before the first packet. Ethernet. */
unsigned pl_pcapng_writer_interface(PlPcapngWriter *writer, const char *name,
                                    const char *description);
void pl_pcapng_writer_packet(PlPcapngWriter *writer, unsigned interface, uint64_t time_ns,
                             const uint8_t *data, size_t length, size_t original_length);
/* Packets that the interface received and lost, once at the end. */
void pl_pcapng_writer_statistics(PlPcapngWriter *writer, unsigned interface, uint64_t time_ns,
                                 uint64_t received, uint64_t dropped);
/* What was written so far goes out: 0, or the errno of the first write that failed. */
int pl_pcapng_writer_flush(PlPcapngWriter *writer);
/* Flushes; FALSE when anything could not be written. Frees the writer in any case. */
gboolean pl_pcapng_writer_close(PlPcapngWriter *writer, GError **error);

typedef struct PlFrame {
    unsigned interface; /* index into PlCapture.interfaces */
    uint64_t time_ns;   /* since 1970 */
    const uint8_t *data;
    uint32_t length, original_length;
} PlFrame;

typedef struct PlCaptureInterface {
    char *name; /* "" when the file does not say */
    unsigned link_type;
    uint64_t dropped; /* from the statistics block, else 0 */
} PlCaptureInterface;

/* A file in memory: frames sorted by time (file order among equals). */
typedef struct PlCapture {
    GArray *interfaces; /* PlCaptureInterface */
    GArray *frames;     /* PlFrame; data points into bytes */
    GBytes *bytes;
} PlCapture;

/* PL_ERROR_INPUT with file, offset and what was expected; a file cut short in a block is refused
 * too. */
PlCapture *pl_capture_load(const char *path, GError **error);
PlCapture *pl_capture_parse(const char *path, GBytes *bytes, GError **error);
void pl_capture_free(PlCapture *capture);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PlCapture, pl_capture_free)
