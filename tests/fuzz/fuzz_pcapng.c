/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The reader of captures: every byte of every frame that it hands out is there. */
#include "capture/pcapng.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) bytes = g_bytes_new(data, size);
    g_autoptr(PlCapture) capture = pl_capture_parse("fuzz", bytes, &error);
    static volatile uint8_t sink;

    g_assert((capture != NULL) == (error == NULL));
    for (guint i = 0; capture && i < capture->frames->len; i++) {
        const PlFrame *frame = &g_array_index(capture->frames, PlFrame, i);

        g_assert(frame->interface < capture->interfaces->len);
        g_assert(frame->length <= frame->original_length);
        if (frame->length)
            sink = (uint8_t)(frame->data[0] ^ frame->data[frame->length - 1]);
        if (i)
            g_assert(frame[-1].time_ns <= frame->time_ns);
    }
    (void)sink;
    return 0;
}
