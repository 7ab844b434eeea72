/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Packets as objects; see datagram.h. */
#include "model/datagram.h"

#include <assert.h>
#include <string.h>

PlDatagram *pl_datagram_new(const uint8_t *bytes, size_t length)
{
    uint32_t room = MAX((uint32_t)length, PL_DATAGRAM_ROOM);
    PlDatagram *datagram;

    assert(length <= PL_DATAGRAM_MAX);
    datagram = g_malloc(sizeof(*datagram) + room);
    datagram->length = (uint32_t)length;
    datagram->room = room;
    if (length)
        memcpy(datagram->bytes, bytes, length);
    return datagram;
}

PlDatagram *pl_datagram_free(PlDatagram *datagram)
{
    g_free(datagram);
    return NULL;
}
