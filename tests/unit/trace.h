/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A number for all that was seen (FNV-1a, as of random.h, byte by byte), for tests of replays. */
#pragma once

#include "model/datagram.h"

static inline void trace_byte(guint64 *trace, guint8 byte)
{
    *trace = (*trace ^ byte) * 0x100000001b3u;
}

static G_GNUC_UNUSED void trace_number(guint64 *trace, guint64 number)
{
    for (guint i = 0; i < 8; i++)
        trace_byte(trace, (guint8)(number >> 8 * i));
}

static G_GNUC_UNUSED void trace_packet(guint64 *trace, const PlDatagram *datagram, guint64 time_ns)
{
    trace_number(trace, time_ns);
    trace_number(trace, datagram->length);
    for (guint32 i = 0; i < datagram->length; i++)
        trace_byte(trace, datagram->bytes[i]);
}
