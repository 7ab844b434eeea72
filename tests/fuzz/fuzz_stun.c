/* SPDX-License-Identifier: MIT */
/*
 * The STUN codec: whatever can be read is written again, and reads the same. Everything that an
 * attribute can be asked is asked.
 */
#include <glib.h>
#include <pinhole/stun.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static gboolean is_address(guint16 type)
{
    switch (type) {
    case PH_STUN_MAPPED_ADDRESS:
    case PH_STUN_SOURCE_ADDRESS:
    case PH_STUN_CHANGED_ADDRESS:
    case PH_STUN_XOR_MAPPED_ADDRESS:
    case PH_STUN_ALTERNATE_SERVER:
    case PH_STUN_RESPONSE_ORIGIN:
    case PH_STUN_OTHER_ADDRESS:
        return TRUE;
    default:
        return FALSE;
    }
}

static void ask(const PhStunMessage *message, const PhStunAttribute *attribute)
{
    guint8 header[PH_STUN_HEADER_BYTES];
    const char *reason;
    gsize length, covered;
    unsigned code;
    guint32 number;
    guint16 port;

    if (ph_stun_get_error(attribute, &code, &reason, &length)) {
        g_assert(code >= 300 && code <= 699 && length <= PH_STUN_REASON_MAX);
        g_assert((const guint8 *)reason + length <= message->bytes + message->length);
    }
    ph_stun_get_u32(attribute, &number);
    ph_stun_get_port(attribute, &port);
    covered = ph_stun_covered(message, attribute, header);
    g_assert(covered >= PH_STUN_HEADER_BYTES && covered < message->length);
}

static void write_again(PhStunWriter *writer, const PhStunMessage *message,
                        const PhStunAttribute *attribute)
{
    PhAddress address;

    if (attribute->type == PH_STUN_FINGERPRINT_ATTRIBUTE)
        ph_stun_write_fingerprint(writer);
    else if (is_address(attribute->type) && ph_stun_get_address(message, attribute, &address))
        ph_stun_write_address(writer, attribute->type, &address);
    else
        ph_stun_write(writer, attribute->type, attribute->value, attribute->length);
}

static void compare(const PhStunMessage *a, const PhStunMessage *b)
{
    PhStunAttribute left = {0}, right = {0};

    g_assert(a->message_class == b->message_class && a->method == b->method);
    g_assert(a->classic == b->classic);
    g_assert(memcmp(&a->transaction, &b->transaction, sizeof(a->transaction)) == 0);
    while (ph_stun_next(a, &left)) {
        PhAddress left_address, right_address;

        g_assert(ph_stun_next(b, &right));
        g_assert(left.type == right.type && left.length == right.length);
        if (left.type == PH_STUN_FINGERPRINT_ATTRIBUTE)
            continue; /* of other bytes, since paddings may differ */
        if (is_address(left.type) && ph_stun_get_address(a, &left, &left_address)) {
            g_assert(ph_stun_get_address(b, &right, &right_address));
            g_assert(memcmp(&left_address, &right_address, sizeof(left_address)) == 0);
        } else {
            g_assert(memcmp(left.value, right.value, left.length) == 0);
        }
    }
    g_assert(!ph_stun_next(b, &right));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree guint8 *buffer = g_malloc(size + 1);
    PhStunMessage message, again;
    PhStunAttribute attribute = {0};
    PhStunWriter writer;
    guint16 types[4];

    if (ph_stun_read(data, size, &message) != PH_STUN_OK)
        return 0;
    g_assert(ph_stun_unknown(&message, types, G_N_ELEMENTS(types)) <= G_N_ELEMENTS(types));
    ph_stun_write_begin(&writer, buffer, size, message.message_class, message.method,
                        &message.transaction);
    while (ph_stun_next(&message, &attribute)) {
        ask(&message, &attribute);
        write_again(&writer, &message, &attribute);
    }
    g_assert(ph_stun_write_end(&writer) > 0);
    g_assert(ph_stun_read(buffer, ph_stun_write_end(&writer), &again) == PH_STUN_OK);
    compare(&message, &again);
    return 0;
}
