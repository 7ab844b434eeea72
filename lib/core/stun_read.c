/* SPDX-License-Identifier: MIT */
/* Reading STUN messages (RFC 8489 §5 and §14). */
#include <assert.h>
#include <string.h>

#include "bytes.h"
#include "stun_private.h"

#define FINGERPRINT_MASK 0x5354554eU /* RFC 8489 §14.7 */

/* CRC-32 of ITU-T V.42, a byte at a time: what a byte does is the sum of what its bits do, so that
 * a table of n bits is one of n - 1 twice, the second time with the highest bit's added. */
#define CRC_1(sum) (sum), (sum) ^ 0x77073096
#define CRC_2(sum) CRC_1(sum), CRC_1((sum) ^ 0xee0e612c)
#define CRC_3(sum) CRC_2(sum), CRC_2((sum) ^ 0x076dc419)
#define CRC_4(sum) CRC_3(sum), CRC_3((sum) ^ 0x0edb8832)
#define CRC_5(sum) CRC_4(sum), CRC_4((sum) ^ 0x1db71064)
#define CRC_6(sum) CRC_5(sum), CRC_5((sum) ^ 0x3b6e20c8)
#define CRC_7(sum) CRC_6(sum), CRC_6((sum) ^ 0x76dc4190)
#define CRC_8(sum) CRC_7(sum), CRC_7((sum) ^ 0xedb88320)

uint32_t ph_stun_crc(const uint8_t *bytes, size_t length)
{
    static const uint32_t table[256] = {CRC_8(0)};
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < length; i++)
        crc = crc >> 8 ^ table[(crc ^ bytes[i]) & 0xff];
    return ~crc ^ FINGERPRINT_MASK;
}

/* The attribute at `at`; false when it does not fit into what is left. */
static bool attribute_at(const uint8_t *at, const uint8_t *end, PhStunAttribute *ret_attribute)
{
    size_t left = (size_t)(end - at);
    PhStunAttribute attribute;

    if (left < PH_STUN_ATTRIBUTE_HEADER)
        return false;
    attribute.type = ph_get16(at);
    attribute.length = ph_get16(at + 2);
    attribute.value = at + PH_STUN_ATTRIBUTE_HEADER;
    if (ph_stun_padded(attribute.length) > left - PH_STUN_ATTRIBUTE_HEADER)
        return false;
    *ret_attribute = attribute;
    return true;
}

static const uint8_t *attribute_end(const PhStunAttribute *attribute)
{
    return attribute->value + ph_stun_padded(attribute->length);
}

static PhStunStatus check_attributes(const uint8_t *bytes, size_t length)
{
    const uint8_t *at = bytes + PH_STUN_HEADER_BYTES, *end = bytes + length;

    while (at < end) {
        PhStunAttribute attribute;

        if (!attribute_at(at, end, &attribute))
            return PH_STUN_MALFORMED;
        if (attribute.type == PH_STUN_FINGERPRINT_ATTRIBUTE &&
            (attribute.length != 4 || attribute_end(&attribute) != end ||
             ph_get32(attribute.value) != ph_stun_crc(bytes, (size_t)(at - bytes))))
            return PH_STUN_FINGERPRINT;
        at = attribute_end(&attribute);
    }
    return PH_STUN_OK;
}

PhStunStatus ph_stun_read(const uint8_t *bytes, size_t length, PhStunMessage *ret_message)
{
    PhStunMessage message = {.bytes = bytes, .length = length};
    PhStunStatus status;
    unsigned type;

    /* RFC 8489 §6.3: the two most significant bits are zero, the length a multiple of four. */
    if (length < PH_STUN_HEADER_BYTES || bytes[0] & 0xc0)
        return PH_STUN_FOREIGN;
    message.classic = ph_get32(bytes + 4) != PH_STUN_COOKIE;
    if (ph_get16(bytes + 2) % 4 || ph_get16(bytes + 2) != length - PH_STUN_HEADER_BYTES)
        return message.classic ? PH_STUN_FOREIGN : PH_STUN_MALFORMED;
    status = check_attributes(bytes, length);
    if (status != PH_STUN_OK)
        return status;
    /* RFC 8489 §5, figure 3: the class's two bits stand among the method's twelve. */
    type = ph_get16(bytes);
    message.message_class = (PhStunClass)((type >> 7 & 2) | (type >> 4 & 1));
    message.method = (uint16_t)((type & 0xf) | (type >> 1 & 0x70) | (type >> 2 & 0xf80));
    memcpy(message.transaction.bytes, bytes + 4, sizeof(message.transaction.bytes));
    *ret_message = message;
    return PH_STUN_OK;
}

/* May this one come after an attribute of type `before`? */
static bool is_heard_after(uint16_t type, uint16_t before)
{
    if (before == PH_STUN_MESSAGE_INTEGRITY)
        return type == PH_STUN_MESSAGE_INTEGRITY_SHA256 || type == PH_STUN_FINGERPRINT_ATTRIBUTE;
    if (before == PH_STUN_MESSAGE_INTEGRITY_SHA256)
        return type == PH_STUN_FINGERPRINT_ATTRIBUTE;
    return true;
}

bool ph_stun_next(const PhStunMessage *message, PhStunAttribute *attribute)
{
    const uint8_t *end = message->bytes + message->length;
    uint16_t before = attribute->value ? attribute->type : 0;
    PhStunAttribute next = {
        .value =
            attribute->value ? attribute_end(attribute) : message->bytes + PH_STUN_HEADER_BYTES,
    };

    do {
        const uint8_t *at = next.value + ph_stun_padded(next.length);

        if (at == end)
            return false;
        if (!attribute_at(at, end, &next))
            assert(!"read has checked it");
    } while (!is_heard_after(next.type, before));
    *attribute = next;
    return true;
}

bool ph_stun_find(const PhStunMessage *message, uint16_t type, PhStunAttribute *ret_attribute)
{
    PhStunAttribute attribute = {0};

    while (ph_stun_next(message, &attribute)) {
        if (attribute.type == type) {
            *ret_attribute = attribute;
            return true;
        }
    }
    return false;
}

static bool is_known(uint16_t type)
{
    switch (type) {
    case PH_STUN_MAPPED_ADDRESS:
    case PH_STUN_CHANGE_REQUEST:
    case PH_STUN_SOURCE_ADDRESS:
    case PH_STUN_CHANGED_ADDRESS:
    case PH_STUN_USERNAME:
    case PH_STUN_MESSAGE_INTEGRITY:
    case PH_STUN_ERROR_CODE:
    case PH_STUN_UNKNOWN_ATTRIBUTES:
    case PH_STUN_REALM:
    case PH_STUN_NONCE:
    case PH_STUN_MESSAGE_INTEGRITY_SHA256:
    case PH_STUN_XOR_MAPPED_ADDRESS:
    case PH_STUN_RESPONSE_PORT:
        return true;
    default:
        return type >= 0x8000; /* comprehension-optional */
    }
}

size_t ph_stun_unknown(const PhStunMessage *message, uint16_t *ret_types, size_t max)
{
    PhStunAttribute attribute = {0};
    size_t n = 0;

    while (n < max && ph_stun_next(message, &attribute)) {
        if (!is_known(attribute.type))
            ret_types[n++] = attribute.type;
    }
    return n;
}

bool ph_stun_get_address(const PhStunMessage *message, const PhStunAttribute *attribute,
                         PhAddress *ret_address)
{
    const uint8_t *value = attribute->value;
    PhAddress address = {0};
    size_t length;

    if (attribute->length < 4)
        return false;
    if (value[1] == PH_STUN_FAMILY_IPV4 && attribute->length == 8)
        address.family = PH_FAMILY_IPV4;
    else if (value[1] == PH_STUN_FAMILY_IPV6 && attribute->length == 20)
        address.family = PH_FAMILY_IPV6;
    else
        return false;
    length = attribute->length - 4U;
    memcpy(address.bytes, value + 4, length);
    address.port = ph_get16(value + 2);
    if (attribute->type == PH_STUN_XOR_MAPPED_ADDRESS) {
        address.port ^= (uint16_t)(PH_STUN_COOKIE >> 16);
        for (size_t i = 0; i < length; i++)
            address.bytes[i] ^= message->transaction.bytes[i];
    }
    *ret_address = address;
    return true;
}

bool ph_stun_get_u32(const PhStunAttribute *attribute, uint32_t *ret_value)
{
    if (attribute->length != 4)
        return false;
    *ret_value = ph_get32(attribute->value);
    return true;
}

bool ph_stun_get_port(const PhStunAttribute *attribute, uint16_t *ret_port)
{
    /* RFC 5780 §7.5 counts two bytes and shows four: both are seen. */
    if (attribute->length != 2 && attribute->length != 4)
        return false;
    *ret_port = ph_get16(attribute->value);
    return true;
}

bool ph_stun_get_error(const PhStunAttribute *attribute, unsigned *ret_code,
                       const char **ret_reason, size_t *ret_reason_length)
{
    unsigned hundreds, number;

    if (attribute->length < 4)
        return false;
    hundreds = attribute->value[2] & 7;
    number = attribute->value[3];
    if (hundreds < 3 || hundreds > 6 || number > 99 || attribute->length - 4 > PH_STUN_REASON_MAX)
        return false;
    *ret_code = hundreds * 100 + number;
    *ret_reason = (const char *)attribute->value + 4;
    *ret_reason_length = attribute->length - 4U;
    return true;
}

size_t ph_stun_covered(const PhStunMessage *message, const PhStunAttribute *attribute,
                       uint8_t ret_header[static PH_STUN_HEADER_BYTES])
{
    size_t end = (size_t)(attribute_end(attribute) - message->bytes);

    assert(end <= message->length);
    memcpy(ret_header, message->bytes, PH_STUN_HEADER_BYTES);
    ph_put16(ret_header + 2, (unsigned)(end - PH_STUN_HEADER_BYTES));
    return (size_t)(attribute->value - PH_STUN_ATTRIBUTE_HEADER - message->bytes);
}
