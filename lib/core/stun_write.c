/* SPDX-License-Identifier: MIT */
/* Writing STUN messages (RFC 8489 §5 and §14). */
#include <assert.h>
#include <string.h>

#include "bytes.h"
#include "stun_private.h"

PhStunTransaction ph_stun_transaction(const uint8_t id[static 12])
{
    PhStunTransaction transaction;

    ph_put32(transaction.bytes, PH_STUN_COOKIE);
    memcpy(transaction.bytes + 4, id, 12);
    return transaction;
}

void ph_stun_write_begin(PhStunWriter *writer, uint8_t *buffer, size_t room,
                         PhStunClass message_class, uint16_t method,
                         const PhStunTransaction *transaction)
{
    unsigned class_bits = (unsigned)message_class;

    assert(method < 0x1000 && class_bits < 4);
    *writer = (PhStunWriter){.bytes = buffer, .room = room};
    if (room < PH_STUN_HEADER_BYTES) {
        writer->full = true;
        return;
    }
    ph_put16(buffer, (method & 0xfU) | (method & 0x70U) << 1 | (method & 0xf80U) << 2 |
                         (class_bits & 1) << 4 | (class_bits & 2) << 7);
    ph_put16(buffer + 2, 0);
    memcpy(buffer + 4, transaction->bytes, sizeof(transaction->bytes));
    writer->length = PH_STUN_HEADER_BYTES;
}

/* Room for an attribute's value, padded with zeros; NULL when there is none. */
static uint8_t *append(PhStunWriter *writer, uint16_t type, size_t length)
{
    size_t whole = PH_STUN_ATTRIBUTE_HEADER + ph_stun_padded(length);
    uint8_t *at = writer->bytes + writer->length;

    if (writer->full || whole > writer->room - writer->length ||
        writer->length + whole - PH_STUN_HEADER_BYTES > UINT16_MAX) {
        writer->full = true;
        return NULL;
    }
    ph_put16(at, type);
    ph_put16(at + 2, (unsigned)length);
    at += PH_STUN_ATTRIBUTE_HEADER;
    memset(at + length, 0, ph_stun_padded(length) - length);
    writer->length += whole;
    ph_put16(writer->bytes + 2, (unsigned)(writer->length - PH_STUN_HEADER_BYTES));
    return at;
}

void ph_stun_write(PhStunWriter *writer, uint16_t type, const void *value, size_t length)
{
    uint8_t *at = append(writer, type, length);

    if (at && length > 0)
        memcpy(at, value, length);
}

void ph_stun_write_address(PhStunWriter *writer, uint16_t type, const PhAddress *address)
{
    bool ipv4 = address->family == PH_FAMILY_IPV4, xor = type == PH_STUN_XOR_MAPPED_ADDRESS;
    size_t length = ipv4 ? 4 : 16;
    uint8_t *at;

    assert(ipv4 || address->family == PH_FAMILY_IPV6);
    at = append(writer, type, 4 + length);
    if (!at)
        return;
    at[0] = 0;
    at[1] = ipv4 ? PH_STUN_FAMILY_IPV4 : PH_STUN_FAMILY_IPV6;
    ph_put16(at + 2, address->port ^ (xor? PH_STUN_COOKIE >> 16 : 0));
    for (size_t i = 0; i < length; i++)
        at[4 + i] = (uint8_t)(address->bytes[i] ^ (xor? writer->bytes[4 + i] : 0));
}

void ph_stun_write_u32(PhStunWriter *writer, uint16_t type, uint32_t value)
{
    uint8_t *at = append(writer, type, 4);

    if (at)
        ph_put32(at, value);
}

void ph_stun_write_port(PhStunWriter *writer, uint16_t type, uint16_t port)
{
    uint8_t *at = append(writer, type, 4);

    if (!at)
        return;
    ph_put16(at, port);
    ph_put16(at + 2, 0);
}

void ph_stun_write_error(PhStunWriter *writer, unsigned code, const char *reason)
{
    size_t length = strlen(reason);
    uint8_t *at;

    assert(code >= 300 && code <= 699 && length <= PH_STUN_REASON_MAX);
    at = append(writer, PH_STUN_ERROR_CODE, 4 + length);
    if (!at)
        return;
    ph_put16(at, 0);
    at[2] = (uint8_t)(code / 100);
    at[3] = (uint8_t)(code % 100);
    memcpy(at + 4, reason, length);
}

void ph_stun_write_filler(PhStunWriter *writer, size_t length)
{
    uint8_t *at = append(writer, PH_STUN_FILLER, length);

    if (at)
        memset(at, 0, length);
}

void ph_stun_write_fingerprint(PhStunWriter *writer)
{
    uint8_t *at = append(writer, PH_STUN_FINGERPRINT_ATTRIBUTE, 4);

    if (at)
        ph_put32(at, ph_stun_crc(writer->bytes,
                                 writer->length - PH_STUN_ATTRIBUTE_HEADER - sizeof(uint32_t)));
}

size_t ph_stun_write_end(const PhStunWriter *writer)
{
    return writer->full ? 0 : writer->length;
}
