/* SPDX-License-Identifier: MIT */
/*
 * The recorder: items go into custom blocks, as many as there are between two packets, and
 * datagrams into packet blocks, each with its item as an option; all into a buffer, which the
 * driver empties. When it is full the recording ends with GAP, for which there is always room.
 */
#include <assert.h>
#include <sodium/utils.h>
#include <stdlib.h>

#include "record_private.h"

#define CUSTOM_HEADER 16 /* type, length, enterprise, magic */
#define TRAILER       4
#define CUSTOM_MAX    16384
#define GAP_BYTES     (CUSTOM_HEADER + 4 + TRAILER)
#define BOUND_MAX     1024
#define IPV4_HEADER   20
#define IPV6_HEADER   40
#define UDP_HEADER    8
#define PROTOCOL_UDP  17
#define TTL_USUAL     64
#define SEALED_KEPT   16 /* type, index, counter: docs/protocol.md */

typedef struct Bound {
    uint32_t socket;
    PhAddress local;
} Bound;

struct PhRecorder {
    PhRecordKind kind;
    bool inside, gap;
    uint8_t *bytes;
    size_t length;
    size_t open; /* where the custom block begins that has no end yet; SIZE_MAX: there is none */
    Bound *bound;
    unsigned n_bound; /* ever */
};

/* ---- bytes ---- */

static uint8_t *at_end(PhRecorder *recorder)
{
    return recorder->bytes + recorder->length;
}

static void add(PhRecorder *recorder, const void *bytes, size_t length)
{
    if (length > 0)
        memcpy(at_end(recorder), bytes, length);
    recorder->length += length;
}

static void add_little(PhRecorder *recorder, uint32_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        recorder->bytes[recorder->length++] = (uint8_t)(value >> 8 * i);
}

static void fill_up(PhRecorder *recorder)
{
    while (recorder->length % 4 != 0)
        recorder->bytes[recorder->length++] = 0;
}

static size_t begin_block(PhRecorder *recorder, uint32_t type)
{
    size_t at = recorder->length;

    add_little(recorder, type, 4);
    add_little(recorder, 0, 4);
    return at;
}

static void end_block(PhRecorder *recorder, size_t at)
{
    uint32_t length;

    fill_up(recorder);
    length = (uint32_t)(recorder->length - at + TRAILER);
    for (unsigned i = 0; i < 4; i++)
        recorder->bytes[at + 4 + i] = (uint8_t)(length >> 8 * i);
    add_little(recorder, length, 4);
}

static void close_custom(PhRecorder *recorder)
{
    if (recorder->open == SIZE_MAX)
        return;
    end_block(recorder, recorder->open);
    recorder->open = SIZE_MAX;
}

static void open_custom(PhRecorder *recorder)
{
    recorder->open = begin_block(recorder, PH_PCAPNG_CUSTOM);
    add_little(recorder, PH_RECORD_ENTERPRISE, 4);
    add(recorder, PH_RECORD_MAGIC, 4);
}

static void add_item(PhRecorder *recorder, PhItemKind kind, const uint8_t *bytes, size_t length)
{
    const uint8_t header[PH_ITEM_HEADER] = {(uint8_t)kind, (uint8_t)(length >> 8), (uint8_t)length};

    add(recorder, header, sizeof(header));
    add(recorder, bytes, length);
}

/* Whether there is room for so much, and for all ends after it. */
static bool has_room(PhRecorder *recorder, size_t length)
{
    size_t ends = 3 + TRAILER + GAP_BYTES; /* of an open block, filled up */

    if (recorder->gap)
        return false;
    if (length + ends <= PH_RECORD_BYTES - recorder->length)
        return true;
    close_custom(recorder);
    open_custom(recorder);
    add_item(recorder, PH_ITEM_GAP, NULL, 0);
    close_custom(recorder);
    recorder->gap = true;
    return false;
}

/* ---- the file ---- */

static void add_option(PhRecorder *recorder, unsigned code, const void *bytes, size_t length)
{
    add_little(recorder, code, 2);
    add_little(recorder, (uint32_t)length, 2);
    add(recorder, bytes, length);
    fill_up(recorder);
}

static void begin_file(PhRecorder *recorder, const char *name)
{
    static const char application[] = "libpinhole " PH_VERSION_STRING;
    static const uint8_t nanoseconds = 9;
    size_t at = begin_block(recorder, PH_PCAPNG_SECTION);

    add_little(recorder, PH_PCAPNG_BYTE_ORDER, 4);
    add_little(recorder, 1, 2); /* version 1.0 */
    add_little(recorder, 0, 2);
    add_little(recorder, UINT32_MAX, 4); /* nobody knows how long it will be */
    add_little(recorder, UINT32_MAX, 4);
    add_option(recorder, PH_PCAPNG_OPTION_APP, application, strlen(application));
    add_little(recorder, 0, 4);
    end_block(recorder, at);
    at = begin_block(recorder, PH_PCAPNG_INTERFACE);
    add_little(recorder, PH_PCAPNG_LINK_RAW, 2);
    add_little(recorder, 0, 2);
    add_little(recorder, 0, 4); /* packets are not cut for their length */
    if (*name)
        add_option(recorder, PH_PCAPNG_OPTION_IF_NAME, name, strlen(name));
    add_option(recorder, PH_PCAPNG_OPTION_IF_TIMES, &nanoseconds, 1);
    add_little(recorder, 0, 4);
    end_block(recorder, at);
}

PhRecorder *ph_recorder_new(PhRecordKind kind, const char *name)
{
    PhRecorder *recorder = calloc(1, sizeof(*recorder));

    if (!recorder)
        return NULL;
    recorder->kind = kind;
    recorder->open = SIZE_MAX;
    recorder->bytes = calloc(1, PH_RECORD_BYTES);
    recorder->bound = calloc(BOUND_MAX, sizeof(*recorder->bound));
    if (!recorder->bytes || !recorder->bound)
        return ph_recorder_free(recorder);
    begin_file(recorder, name);
    return recorder;
}

PhRecorder *ph_recorder_free(PhRecorder *recorder)
{
    if (!recorder)
        return NULL;
    if (recorder->bytes) /* there may be keys in it */
        sodium_memzero(recorder->bytes, PH_RECORD_BYTES);
    free(recorder->bytes);
    free(recorder->bound);
    free(recorder);
    return NULL;
}

PhRecordKind ph_recorder_kind(const PhRecorder *recorder)
{
    return recorder->kind;
}

void ph_recorder_enter(PhRecorder *recorder, bool inside)
{
    recorder->inside = inside;
}

bool ph_recorder_is_inside(const PhRecorder *recorder)
{
    return recorder->inside;
}

void ph_recorder_item(PhRecorder *recorder, PhItemKind kind, const uint8_t *bytes, size_t length)
{
    size_t needed = CUSTOM_HEADER + PH_ITEM_HEADER + length;

    assert(length <= PH_ITEM_MAX);
    if (!has_room(recorder, needed))
        return;
    if (recorder->open != SIZE_MAX && recorder->length - recorder->open + needed > CUSTOM_MAX)
        close_custom(recorder);
    if (recorder->open == SIZE_MAX)
        open_custom(recorder);
    add_item(recorder, kind, bytes, length);
}

/* ---- packets ---- */

void ph_recorder_bound(PhRecorder *recorder, uint32_t socket, const PhAddress *local)
{
    recorder->bound[recorder->n_bound++ % BOUND_MAX] = (Bound){socket, *local};
}

static PhAddress local_of(const PhRecorder *recorder, uint32_t socket)
{
    unsigned n = recorder->n_bound < BOUND_MAX ? recorder->n_bound : BOUND_MAX;

    for (unsigned i = 1; i <= n; i++) {
        const Bound *bound = &recorder->bound[(recorder->n_bound - i) % BOUND_MAX];

        if (bound->socket == socket)
            return bound->local;
    }
    return (PhAddress){0};
}

size_t ph_record_kept(PhRecordKind kind, const uint8_t *bytes, size_t length)
{
    bool cut = kind != PH_RECORD_SECRETS && ph_session_is_packet(bytes, length);

    return cut && length > SEALED_KEPT ? SEALED_KEPT : length;
}

/* The sum of RFC 1071. */
static uint32_t sum(uint32_t so_far, const uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        so_far += i % 2 ? bytes[i] : (uint32_t)bytes[i] << 8;
    return so_far;
}

static void put_sum(uint8_t *at, uint32_t so_far)
{
    while (so_far >> 16)
        so_far = (so_far & 0xffff) + (so_far >> 16);
    at[0] = (uint8_t)(~so_far >> 8);
    at[1] = (uint8_t)~so_far;
}

/* RFC 791 §3.1, RFC 768: a sum of zero is none. */
static void add_ipv4(PhRecorder *recorder, const PhAddress *from, const PhAddress *to, uint8_t ttl,
                     size_t length)
{
    uint8_t *header = at_end(recorder);
    Writer writer = {.bytes = header, .room = IPV4_HEADER + UDP_HEADER};

    put_number(&writer, 0x4500, 2);
    put_number(&writer, IPV4_HEADER + UDP_HEADER + length, 2);
    put_number(&writer, 0x4000, 4); /* no identification, don't fragment */
    put_number(&writer, ttl, 1);
    put_number(&writer, PROTOCOL_UDP, 1);
    put_number(&writer, 0, 2);
    put(&writer, from->bytes, 4);
    put(&writer, to->bytes, 4);
    put_sum(header + 10, sum(0, header, IPV4_HEADER));
    put_number(&writer, from->port, 2);
    put_number(&writer, to->port, 2);
    put_number(&writer, UDP_HEADER + length, 2);
    put_number(&writer, 0, 2);
    recorder->length += writer.length;
}

/* RFC 8200 §3 and §8.1. What is cut has a sum as if it were zeros. */
static void add_ipv6(PhRecorder *recorder, const PhAddress *from, const PhAddress *to, uint8_t ttl,
                     const PhRecordedPacket *packet)
{
    uint8_t *header = at_end(recorder);
    Writer writer = {.bytes = header, .room = IPV6_HEADER + UDP_HEADER};
    size_t kept = ph_record_kept(recorder->kind, packet->bytes, packet->length);

    put_number(&writer, 0x60000000, 4);
    put_number(&writer, UDP_HEADER + packet->length, 2);
    put_number(&writer, PROTOCOL_UDP, 1);
    put_number(&writer, ttl, 1);
    put(&writer, from->bytes, 16);
    put(&writer, to->bytes, 16);
    put_number(&writer, from->port, 2);
    put_number(&writer, to->port, 2);
    put_number(&writer, UDP_HEADER + packet->length, 2);
    put_number(&writer, 0, 2);
    put_sum(header + IPV6_HEADER + 6, sum(sum(PROTOCOL_UDP + UDP_HEADER + (uint32_t)packet->length,
                                              header + 8, IPV6_HEADER + UDP_HEADER - 8),
                                          packet->bytes, kept));
    recorder->length += writer.length;
}

void ph_recorder_packet(PhRecorder *recorder, PhItemKind kind, const uint8_t *item,
                        size_t item_length, const PhRecordedPacket *packet)
{
    bool out = kind == PH_ITEM_TRANSMIT, v6 = packet->path->remote.family == PH_FAMILY_IPV6;
    PhAddress local = local_of(recorder, packet->path->socket);
    const PhAddress *from = out ? &local : &packet->path->remote;
    const PhAddress *to = out ? &packet->path->remote : &local;
    uint32_t header = UDP_HEADER + (v6 ? IPV6_HEADER : IPV4_HEADER);
    size_t kept = ph_record_kept(recorder->kind, packet->bytes, packet->length), at;
    uint8_t ttl = packet->ttl ? packet->ttl : TTL_USUAL;
    size_t option = 8 + PH_ITEM_HEADER + item_length; /* enterprise, magic, item */

    assert(item_length <= PH_ITEM_MAX);
    if (!has_room(recorder, 64 + header + kept + option))
        return;
    close_custom(recorder);
    at = begin_block(recorder, PH_PCAPNG_PACKET);
    add_little(recorder, 0, 4); /* the interface */
    add_little(recorder, (uint32_t)(packet->wall_ns >> 32), 4);
    add_little(recorder, (uint32_t)packet->wall_ns, 4);
    add_little(recorder, (uint32_t)(header + kept), 4);
    add_little(recorder, (uint32_t)(header + packet->length), 4);
    if (v6)
        add_ipv6(recorder, from, to, ttl, packet);
    else
        add_ipv4(recorder, from, to, ttl, packet->length);
    add(recorder, packet->bytes, kept);
    fill_up(recorder);
    add_little(recorder, PH_PCAPNG_OPTION_FLAGS, 2);
    add_little(recorder, 4, 2);
    add_little(recorder, out ? 2 : 1, 4);
    add_little(recorder, PH_PCAPNG_OPTION_CUSTOM, 2);
    add_little(recorder, (uint32_t)option, 2);
    add_little(recorder, PH_RECORD_ENTERPRISE, 4);
    add(recorder, PH_RECORD_MAGIC, 4);
    add_item(recorder, kind, item, item_length);
    fill_up(recorder);
    add_little(recorder, 0, 4);
    end_block(recorder, at);
}

bool ph_recorder_poll(PhRecorder *recorder, const uint8_t **ret_bytes, size_t *ret_length)
{
    close_custom(recorder);
    if (recorder->length == 0)
        return false;
    *ret_bytes = recorder->bytes;
    *ret_length = recorder->length;
    recorder->length = 0;
    return true;
}
