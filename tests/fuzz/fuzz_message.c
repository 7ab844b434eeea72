/* SPDX-License-Identifier: MIT */
/* Messages: what is read is written back as it was, and read again as the same. */
#include <glib.h>
#include <string.h>

#include "../../lib/core/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* Several follow each other in a handshake's payload. */
    for (gsize at = 0, used; at < size; at += used) {
        PhMessage message;
        guint8 bytes[4096];

        if (!ph_message_read(data + at, size - at, &message, &used))
            return 0;
        g_assert(used > 0 && used <= size - at);
        if (message.kind == PH_MESSAGE_UNKNOWN || used > sizeof(bytes))
            continue;
        g_assert(ph_message_write(&message, bytes, sizeof(bytes)) == used);
        g_assert(memcmp(bytes, data + at, used) == 0);
        g_assert(ph_message_write(&message, bytes, used - 1) == 0);
    }
    return 0;
}
