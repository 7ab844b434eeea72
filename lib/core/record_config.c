/* SPDX-License-Identifier: MIT */
/*
 * A node's configuration as fields: tag, length (2), value. What is not there is zero. Every member
 * of PhNodeConfig has a line in the table below.
 */
#include <stddef.h>

#include "record_private.h"

typedef enum {
    NUMBER, /* of the machine's byte order in memory, of the network's in the file */
    FLAG,
    BYTES,
    TEXT,
    PLACE,
    PLACES,
} Type;

typedef struct Field {
    size_t offset, size;
    const char *name;
    Type type;
    uint8_t tag;
    bool secret;
} Field;

#define FIELD(tag, type, secret, member)                                                           \
    {                                                                                              \
        offsetof(PhNodeConfig, member), sizeof(((PhNodeConfig *)0)->member), #member, type, tag,   \
            secret                                                                                 \
    }

/* A tag is never given to another member. `record` says how it is recorded, and is not repeated. */
static const Field fields[] = {
    FIELD(1, BYTES, true, seed),
    FIELD(2, BYTES, true, secret),
    FIELD(3, BYTES, true, psk),
    FIELD(4, NUMBER, false, wall_ns),
    FIELD(5, TEXT, false, name),
    FIELD(6, PLACE, false, hub),
    FIELD(7, BYTES, false, hub_key),
    FIELD(8, NUMBER, false, n_locals),
    FIELD(9, PLACES, false, locals),
    FIELD(10, FLAG, false, refuse_strangers),
    FIELD(11, FLAG, false, fast_detector),
    FIELD(12, FLAG, false, no_hard_punching),
    FIELD(13, FLAG, false, relay_only),
    FIELD(14, NUMBER, false, binding_ns),
    FIELD(15, NUMBER, false, first_socket),
    FIELD(16, FLAG, false, relays),
    FIELD(17, NUMBER, false, relay_bytes_per_s),
    FIELD(18, FLAG, false, no_mediation),
};
#define FIELDS (sizeof(fields) / sizeof(fields[0]))

static void put_member(Writer *writer, const PhNodeConfig *config, const Field *field)
{
    const uint8_t *at = (const uint8_t *)config + field->offset;
    const PhAddress *place = (const PhAddress *)(const void *)at;
    uint64_t wide;
    uint32_t narrow;

    switch (field->type) {
    case NUMBER:
        if (field->size == sizeof(wide)) {
            memcpy(&wide, at, sizeof(wide));
        } else {
            memcpy(&narrow, at, sizeof(narrow));
            wide = narrow;
        }
        put_number(writer, wide, 8);
        break;
    case FLAG:
        put_number(writer, *(const bool *)(const void *)at, 1);
        break;
    case BYTES:
        put(writer, at, field->size);
        break;
    case TEXT:
        put(writer, at, strlen((const char *)at));
        break;
    case PLACE:
        put_place(writer, place);
        break;
    case PLACES:
        for (uint32_t i = 0; i < config->n_locals && i < PH_NODE_LOCALS; i++)
            put_place(writer, &place[i]);
        break;
    }
}

void ph_record_put_config(Writer *writer, const PhNodeConfig *config, bool secrets)
{
    for (unsigned i = 0; i < FIELDS; i++) {
        uint8_t value[PH_NODE_LOCALS * PH_PLACE_BYTES];
        Writer inner = {.bytes = value, .room = sizeof(value)};

        if (fields[i].secret && !secrets)
            continue;
        put_member(&inner, config, &fields[i]);
        put_number(writer, fields[i].tag, 1);
        put_number(writer, inner.length, 2);
        put(writer, value, inner.length);
    }
}

static const Field *field_of(uint8_t tag)
{
    for (unsigned i = 0; i < FIELDS; i++)
        if (fields[i].tag == tag)
            return &fields[i];
    return NULL;
}

static void take_number_of(Reader *reader, const Field *field, uint8_t *at)
{
    uint64_t wide = take_number(reader, 8);
    uint32_t narrow = (uint32_t)wide;

    if (field->size == sizeof(wide))
        memcpy(at, &wide, sizeof(wide));
    else if (narrow == wide)
        memcpy(at, &narrow, sizeof(narrow));
    else
        reader->broken = true;
}

static void take_flag(Reader *reader, uint8_t *at)
{
    uint8_t value = (uint8_t)take_number(reader, 1);
    bool flag = value == 1;

    if (value > 1)
        reader->broken = true;
    memcpy(at, &flag, sizeof(flag));
}

/* All of the value, or it is broken. */
static void take_member(Reader *reader, PhNodeConfig *config, const Field *field)
{
    uint8_t *at = (uint8_t *)config + field->offset;
    PhAddress *place = (PhAddress *)(void *)at;

    switch (field->type) {
    case NUMBER:
        take_number_of(reader, field, at);
        break;
    case FLAG:
        take_flag(reader, at);
        break;
    case BYTES:
        take_bytes(reader, at, field->size);
        break;
    case TEXT:
        if (reader->length >= field->size)
            reader->broken = true;
        else
            take_bytes(reader, at, reader->length);
        break;
    case PLACE:
        take_place(reader, place);
        break;
    case PLACES:
        for (unsigned i = 0; reader->at < reader->length && !reader->broken; i++) {
            if (i * sizeof(*place) >= field->size)
                reader->broken = true;
            else
                take_place(reader, &place[i]);
        }
        break;
    }
    if (reader->at != reader->length)
        reader->broken = true;
}

bool ph_record_take_config(Reader *reader, PhNodeConfig *ret_config, const char **ret_what)
{
    memset(ret_config, 0, sizeof(*ret_config));
    while (reader->at < reader->length) {
        const Field *field = field_of((uint8_t)take_number(reader, 1));
        Reader inner = {.length = (size_t)take_number(reader, 2)};

        *ret_what = field ? field->name : "a setting that this version does not know";
        inner.bytes = take(reader, inner.length);
        if (!field || reader->broken)
            return false;
        take_member(&inner, ret_config, field);
        if (inner.broken)
            return false;
    }
    *ret_what = "n_locals";
    return ret_config->n_locals <= PH_NODE_LOCALS;
}
