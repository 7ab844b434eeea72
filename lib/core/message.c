/* SPDX-License-Identifier: MIT */
/* The codec of message.h. */
#include "message.h"

#include <assert.h>
#include <string.h>

#include "fields.h"

bool ph_name_is_valid(const char *name)
{
    size_t length = strlen(name);

    if (length == 0 || length > PH_NAME_MAX)
        return false;
    for (size_t i = 0; i < length; i++) {
        char c = name[i];
        bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '-' || c == '_' || c == '.';

        if (!good)
            return false;
    }
    return true;
}

static void put_name(Writer *writer, const char *name)
{
    size_t length = strlen(name);

    put_number(writer, length, 1);
    put(writer, name, length);
}

static void take_name(Reader *reader, char ret_name[static PH_NAME_MAX + 1])
{
    size_t length = (size_t)take_number(reader, 1);
    const uint8_t *bytes = length <= PH_NAME_MAX ? take(reader, length) : NULL;

    memset(ret_name, 0, PH_NAME_MAX + 1);
    if (bytes)
        memcpy(ret_name, bytes, length);
    if (!bytes || (length > 0 && (strlen(ret_name) != length || !ph_name_is_valid(ret_name))))
        reader->broken = true;
}

static bool has_sound_numbers(const PhNodeRecord *record)
{
    return record->nat_class < PH_CLASS_N && record->relays <= 1 && record->hidden <= 1 &&
           record->mapping <= PH_MAPPING_ADDRESS_AND_PORT_DEPENDENT &&
           record->filtering <= PH_FILTERING_ADDRESS_AND_PORT_DEPENDENT &&
           record->pooling <= PH_POOLING_ARBITRARY && record->beside_open <= 1 &&
           record->port_allocation <= PH_PORT_ALLOCATION_BLOCK &&
           record->n_candidates <= PH_CANDIDATES_MAX;
}

static void put_record(Writer *writer, const PhNodeRecord *record)
{
    put_number(writer, record->sequence, 8);
    put_name(writer, record->name);
    put_number(writer, record->nat_class, 1);
    put_number(writer, record->mapping, 1);
    put_number(writer, record->filtering, 1);
    put_number(writer, record->pooling, 1);
    put_number(writer, record->port_allocation, 1);
    put_number(writer, (uint16_t)record->step, 2);
    put_number(writer, record->block_first, 2);
    put_number(writer, record->block_last, 2);
    put_number(writer,
               (unsigned)record->relays | (unsigned)record->hidden << 1 |
                   (unsigned)record->beside_open << 2,
               1);
    put_number(writer, record->n_candidates, 1);
    for (unsigned i = 0; i < record->n_candidates; i++) {
        put_number(writer, record->candidates[i].kind, 1);
        put_address(writer, &record->candidates[i].address);
    }
}

static void take_record(Reader *reader, PhNodeRecord *ret_record)
{
    uint8_t flags;

    *ret_record = (PhNodeRecord){.sequence = take_number(reader, 8)};
    take_name(reader, ret_record->name);
    ret_record->nat_class = (uint8_t)take_number(reader, 1);
    ret_record->mapping = (uint8_t)take_number(reader, 1);
    ret_record->filtering = (uint8_t)take_number(reader, 1);
    ret_record->pooling = (uint8_t)take_number(reader, 1);
    ret_record->port_allocation = (uint8_t)take_number(reader, 1);
    ret_record->step = (int16_t)take_number(reader, 2);
    ret_record->block_first = (uint16_t)take_number(reader, 2);
    ret_record->block_last = (uint16_t)take_number(reader, 2);
    flags = (uint8_t)take_number(reader, 1);
    ret_record->relays = flags & 1;
    ret_record->hidden = flags >> 1 & 1;
    ret_record->beside_open = (uint8_t)(flags >> 2);
    ret_record->n_candidates = (uint8_t)take_number(reader, 1);
    if (!has_sound_numbers(ret_record)) {
        ret_record->n_candidates = 0;
        reader->broken = true;
    }
    for (unsigned i = 0; i < ret_record->n_candidates && !reader->broken; i++) {
        PhCandidate *candidate = &ret_record->candidates[i];

        candidate->kind = (uint8_t)take_number(reader, 1);
        take_address(reader, &candidate->address);
        if (candidate->kind >= PH_CANDIDATE_N || candidate->address.port == 0)
            reader->broken = true;
    }
}

/* ---- messages ---- */

static void put_connect(Writer *writer, const PhMessage *message)
{
    put_number(writer, message->connect.request, 4);
    put_number(writer, message->connect.near, 1);
    put_number(writer, message->connect.by_name, 1);
    if (message->connect.by_name)
        put_name(writer, message->connect.name);
    else
        put(writer, message->connect.key, PH_NODE_KEY_BYTES);
}

static void put_peer(Writer *writer, const PhMessage *message)
{
    put_number(writer, message->peer.request, 4);
    put_number(writer, message->peer.channel, 4);
    put_number(writer, message->peer.near, 1);
    put(writer, message->peer.key, PH_NODE_KEY_BYTES);
    put_record(writer, &message->peer.record);
    put_address(writer, &message->peer.seen);
}

static void put_introduced(Writer *writer, const PhMessage *message)
{
    put_number(writer, message->introduced.request, 4);
    put_number(writer, message->introduced.attempt, 1);
    put(writer, message->introduced.key, PH_NODE_KEY_BYTES);
    put_record(writer, &message->introduced.record);
    put(writer, message->introduced.token, sizeof(message->introduced.token));
    put_number(writer, message->introduced.start_us, 4);
}

static void put_body(Writer *writer, const PhMessage *message)
{
    switch ((PhMessageKind)message->kind) {
    case PH_MESSAGE_KEEPALIVE:
    case PH_MESSAGE_MOVED:
    case PH_MESSAGE_PREPARE:
    case PH_MESSAGE_PREPARED:
        break;
    case PH_MESSAGE_DATA:
        put(writer, message->data.bytes, message->data.length);
        break;
    case PH_MESSAGE_PING:
    case PH_MESSAGE_LOOK:
    case PH_MESSAGE_LOOKED:
        put_number(writer, message->ping.id, 8);
        break;
    case PH_MESSAGE_PONG:
        put_number(writer, message->ping.id, 8);
        put_address(writer, &message->ping.seen);
        break;
    case PH_MESSAGE_CLOSE:
        put_number(writer, message->reason, 1);
        break;
    case PH_MESSAGE_REGISTER:
    case PH_MESSAGE_UPDATE:
        put_record(writer, &message->record);
        break;
    case PH_MESSAGE_REGISTERED:
        put_number(writer, message->registered.lifetime_s, 4);
        put_address(writer, &message->registered.seen);
        put_address(writer, &message->registered.also);
        break;
    case PH_MESSAGE_REFUSED:
        put_number(writer, message->refused.what, 1);
        put_number(writer, message->refused.reason, 1);
        put_number(writer, message->refused.request, 4);
        break;
    case PH_MESSAGE_CONNECT:
        put_connect(writer, message);
        break;
    case PH_MESSAGE_FOUND:
    case PH_MESSAGE_WANTED:
        put_peer(writer, message);
        break;
    case PH_MESSAGE_RELAY:
    case PH_MESSAGE_RELAYED:
        put_number(writer, message->relay.channel, 4);
        put(writer, message->relay.bytes, message->relay.length);
        break;
    case PH_MESSAGE_INTRODUCE:
        put_number(writer, message->introduce.request, 4);
        put_number(writer, message->introduce.attempt, 1);
        put(writer, message->introduce.key, PH_NODE_KEY_BYTES);
        put_record(writer, &message->introduce.record);
        break;
    case PH_MESSAGE_INTRODUCED:
        put_introduced(writer, message);
        break;
    case PH_MESSAGE_UNKNOWN:
        assert(!"a message of no kind");
    }
}

/* The rest of a datagram: such a message is the last one in it. */
static void take_rest(Reader *reader, const uint8_t **ret_bytes, size_t *ret_length)
{
    *ret_length = reader->broken ? 0 : reader->length - reader->at;
    *ret_bytes = take(reader, *ret_length);
}

static bool take_flag(Reader *reader)
{
    uint64_t flag = take_number(reader, 1);

    reader->broken |= flag > 1;
    return flag == 1;
}

static void take_connect(Reader *reader, PhMessage *message)
{
    message->connect.request = (uint32_t)take_number(reader, 4);
    message->connect.near = take_flag(reader);
    message->connect.by_name = take_flag(reader);
    if (!message->connect.by_name) {
        take_bytes(reader, message->connect.key, PH_NODE_KEY_BYTES);
        return;
    }
    take_name(reader, message->connect.name);
    reader->broken |= message->connect.name[0] == 0;
}

static void take_peer(Reader *reader, PhMessage *message)
{
    message->peer.request = (uint32_t)take_number(reader, 4);
    message->peer.channel = (uint32_t)take_number(reader, 4);
    message->peer.near = take_flag(reader);
    take_bytes(reader, message->peer.key, PH_NODE_KEY_BYTES);
    take_record(reader, &message->peer.record);
    take_address(reader, &message->peer.seen);
}

static void take_introduced(Reader *reader, PhMessage *message)
{
    message->introduced.request = (uint32_t)take_number(reader, 4);
    message->introduced.attempt = (uint8_t)take_number(reader, 1);
    take_bytes(reader, message->introduced.key, PH_NODE_KEY_BYTES);
    take_record(reader, &message->introduced.record);
    take_bytes(reader, message->introduced.token, sizeof(message->introduced.token));
    message->introduced.start_us = (uint32_t)take_number(reader, 4);
}

static void take_body(Reader *reader, PhMessage *message)
{
    switch ((PhMessageKind)message->kind) {
    case PH_MESSAGE_KEEPALIVE:
    case PH_MESSAGE_MOVED:
    case PH_MESSAGE_PREPARE:
    case PH_MESSAGE_PREPARED:
        break;
    case PH_MESSAGE_DATA:
        take_rest(reader, &message->data.bytes, &message->data.length);
        break;
    case PH_MESSAGE_PING:
    case PH_MESSAGE_LOOK:
    case PH_MESSAGE_LOOKED:
        message->ping.id = take_number(reader, 8);
        break;
    case PH_MESSAGE_PONG:
        message->ping.id = take_number(reader, 8);
        take_address(reader, &message->ping.seen);
        break;
    case PH_MESSAGE_CLOSE:
        message->reason = (uint8_t)take_number(reader, 1);
        break;
    case PH_MESSAGE_REGISTER:
    case PH_MESSAGE_UPDATE:
        take_record(reader, &message->record);
        break;
    case PH_MESSAGE_REGISTERED:
        message->registered.lifetime_s = (uint32_t)take_number(reader, 4);
        take_address(reader, &message->registered.seen);
        take_address(reader, &message->registered.also);
        break;
    case PH_MESSAGE_REFUSED:
        message->refused.what = (uint8_t)take_number(reader, 1);
        message->refused.reason = (uint8_t)take_number(reader, 1);
        message->refused.request = (uint32_t)take_number(reader, 4);
        break;
    case PH_MESSAGE_CONNECT:
        take_connect(reader, message);
        break;
    case PH_MESSAGE_FOUND:
    case PH_MESSAGE_WANTED:
        take_peer(reader, message);
        break;
    case PH_MESSAGE_RELAY:
    case PH_MESSAGE_RELAYED:
        message->relay.channel = (uint32_t)take_number(reader, 4);
        take_rest(reader, &message->relay.bytes, &message->relay.length);
        break;
    case PH_MESSAGE_INTRODUCE:
        message->introduce.request = (uint32_t)take_number(reader, 4);
        message->introduce.attempt = (uint8_t)take_number(reader, 1);
        take_bytes(reader, message->introduce.key, PH_NODE_KEY_BYTES);
        take_record(reader, &message->introduce.record);
        break;
    case PH_MESSAGE_INTRODUCED:
        take_introduced(reader, message);
        break;
    case PH_MESSAGE_UNKNOWN:
    default: /* of a later version: nobody knows how long it is */
        message->kind = PH_MESSAGE_UNKNOWN;
        take_rest(reader, &message->data.bytes, &message->data.length);
        break;
    }
}

static bool is_sound(const PhNodeRecord *record)
{
    if ((record->name[0] != 0 && !ph_name_is_valid(record->name)) || !has_sound_numbers(record))
        return false;
    for (unsigned i = 0; i < record->n_candidates; i++) {
        const PhAddress *address = &record->candidates[i].address;

        if (record->candidates[i].kind >= PH_CANDIDATE_N || address->port == 0 ||
            (address->family != PH_FAMILY_IPV4 && address->family != PH_FAMILY_IPV6))
            return false;
    }
    return true;
}

/* Whoever reads it will agree. */
static bool makes_sense(const PhMessage *message)
{
    switch ((PhMessageKind)message->kind) {
    case PH_MESSAGE_REGISTER:
    case PH_MESSAGE_UPDATE:
        return is_sound(&message->record);
    case PH_MESSAGE_CONNECT:
        return !message->connect.by_name || ph_name_is_valid(message->connect.name);
    case PH_MESSAGE_FOUND:
    case PH_MESSAGE_WANTED:
        return is_sound(&message->peer.record);
    case PH_MESSAGE_INTRODUCE:
        return is_sound(&message->introduce.record);
    case PH_MESSAGE_INTRODUCED:
        return is_sound(&message->introduced.record);
    case PH_MESSAGE_KEEPALIVE:
    case PH_MESSAGE_MOVED:
    case PH_MESSAGE_PREPARE:
    case PH_MESSAGE_PREPARED:
    case PH_MESSAGE_LOOK:
    case PH_MESSAGE_LOOKED:
    case PH_MESSAGE_DATA:
    case PH_MESSAGE_PING:
    case PH_MESSAGE_PONG:
    case PH_MESSAGE_CLOSE:
    case PH_MESSAGE_REGISTERED:
    case PH_MESSAGE_REFUSED:
    case PH_MESSAGE_RELAY:
    case PH_MESSAGE_RELAYED:
        return true;
    case PH_MESSAGE_UNKNOWN:
    default:
        return false;
    }
}

size_t ph_message_write(const PhMessage *message, uint8_t *ret_bytes, size_t room)
{
    Writer writer = {.bytes = ret_bytes, .room = room};

    if (!makes_sense(message))
        return 0;
    put_number(&writer, message->kind, 1);
    put_body(&writer, message);
    return writer.overflow ? 0 : writer.length;
}

bool ph_message_read(const uint8_t *bytes, size_t length, PhMessage *ret_message, size_t *ret_used)
{
    Reader reader = {.bytes = bytes, .length = length};
    PhMessage message;

    memset(&message, 0, sizeof(message));
    message.kind = (uint8_t)take_number(&reader, 1);
    take_body(&reader, &message);
    if (reader.broken)
        return false;
    *ret_message = message;
    *ret_used = reader.at;
    return true;
}
