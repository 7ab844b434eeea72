/* SPDX-License-Identifier: MIT */
/*
 * Fields, one after the other, numbers in network order. A writer and a reader that stop at the
 * first thing that does not fit; what they say in the end is whether all of it did.
 */
#pragma once

#include <pinhole/address.h>
#include <string.h>

typedef struct Writer {
    uint8_t *bytes;
    size_t length, room;
    bool overflow;
} Writer;

typedef struct Reader {
    const uint8_t *bytes;
    size_t length, at;
    bool broken;
} Reader;

static inline void put(Writer *writer, const void *bytes, size_t length)
{
    if (writer->overflow || length > writer->room - writer->length) {
        writer->overflow = true;
        return;
    }
    if (length > 0)
        memcpy(writer->bytes + writer->length, bytes, length);
    writer->length += length;
}

static inline void put_number(Writer *writer, uint64_t number, unsigned size)
{
    uint8_t bytes[8];

    for (unsigned i = 0; i < size; i++)
        bytes[i] = (uint8_t)(number >> 8 * (size - 1 - i));
    put(writer, bytes, size);
}

static inline const uint8_t *take(Reader *reader, size_t length)
{
    const uint8_t *at;

    if (reader->broken || length > reader->length - reader->at) {
        reader->broken = true;
        return NULL;
    }
    at = reader->bytes ? reader->bytes + reader->at : NULL;
    reader->at += length;
    return at;
}

static inline uint64_t take_number(Reader *reader, unsigned size)
{
    const uint8_t *bytes = take(reader, size);
    uint64_t number = 0;

    for (unsigned i = 0; bytes && i < size; i++)
        number = number << 8 | bytes[i];
    return number;
}

static inline void take_bytes(Reader *reader, uint8_t *ret_bytes, size_t length)
{
    const uint8_t *bytes = take(reader, length);

    if (bytes)
        memcpy(ret_bytes, bytes, length);
}

/* Family (0, 4 or 6), port, host. */
static inline void put_address(Writer *writer, const PhAddress *address)
{
    put_number(writer, address->family, 1);
    if (address->family == PH_FAMILY_NONE)
        return;
    put_number(writer, address->port, 2);
    put(writer, address->bytes, address->family == PH_FAMILY_IPV4 ? 4 : 16);
}

static inline void take_address(Reader *reader, PhAddress *ret_address)
{
    uint8_t family = (uint8_t)take_number(reader, 1);

    *ret_address = (PhAddress){.family = family};
    if (family == PH_FAMILY_NONE)
        return;
    if (family != PH_FAMILY_IPV4 && family != PH_FAMILY_IPV6) {
        reader->broken = true;
        return;
    }
    ret_address->port = (uint16_t)take_number(reader, 2);
    take_bytes(reader, ret_address->bytes, family == PH_FAMILY_IPV4 ? 4 : 16);
}
