/* SPDX-License-Identifier: MIT */
/*
 * Questions to sessions and their answers as items of a recording: written, and, in a replay, read
 * and held against what is asked now. What is the application's, and what is sealed, is written as
 * zeros.
 */
#include "message.h"
#include "record_private.h"
#include "session_private.h"

#define SEALED_BEGIN 4 /* of a packet: what says that it is one, and of what kind */

/* ---- what is written ---- */

void ph_tape_put_plain(Writer *writer, const uint8_t *bytes, size_t length)
{
    uint8_t copy[PH_DATAGRAM_MAX];
    size_t kept = length < sizeof(copy) ? length : sizeof(copy), used;
    PhMessage message;

    if (kept > 0)
        memcpy(copy, bytes, kept);
    for (size_t at = 0; at < kept && ph_message_read(copy + at, kept - at, &message, &used);
         at += used) {
        const uint8_t *hidden = message.data.bytes;
        size_t n = message.data.length;

        if (message.kind == PH_MESSAGE_RELAY || message.kind == PH_MESSAGE_RELAYED) {
            /* As ph_tape_put_sealed has it, however short it is. */
            size_t shown =
                message.relay.length < SEALED_BEGIN ? message.relay.length : SEALED_BEGIN;

            hidden = message.relay.bytes + shown;
            n = message.relay.length - shown;
        } else if (message.kind != PH_MESSAGE_DATA && message.kind != PH_MESSAGE_UNKNOWN) {
            continue;
        }
        memset(copy + (hidden - copy), 0, n);
    }
    put_number(writer, length, 2);
    while (kept > 0 && copy[kept - 1] == 0)
        kept--;
    put_number(writer, kept, 2);
    put(writer, copy, kept);
}

void ph_tape_put_route(Writer *writer, const PhRoute *route)
{
    put_path(writer, &route->path);
    put_number(writer, route->via, 4);
    put_number(writer, route->relay, 4);
}

void ph_tape_put_sealed(Writer *writer, const uint8_t *bytes, size_t length)
{
    put_number(writer, length, 2);
    put(writer, bytes, length < SEALED_BEGIN ? length : SEALED_BEGIN);
}

void ph_tape_put_input(Writer *writer, const PhSessionInput *input)
{
    put_number(writer, input->kind, 1);
    put_number(writer, input->session, 4);
    put(writer, input->remote_key, sizeof(input->remote_key));
    put_number(writer, input->confirmed_now, 1);
    put_text(writer, input->reason);
    ph_tape_put_plain(writer, input->bytes, input->length);
}

/* ---- what is read ---- */

/* Into the buffer of the calls. */
static const uint8_t *take_plain(Reader *reader, PhCalls *calls, size_t *ret_length)
{
    size_t length = (size_t)take_number(reader, 2), kept = (size_t)take_number(reader, 2);

    if (kept > length || length > sizeof(calls->buffer))
        reader->broken = true;
    if (reader->broken)
        return NULL;
    memset(calls->buffer, 0, length);
    take_bytes(reader, calls->buffer, kept);
    *ret_length = length;
    return calls->buffer;
}

void ph_tape_take_route(Reader *reader, PhRoute *ret_route)
{
    take_path(reader, &ret_route->path);
    ret_route->via = (uint32_t)take_number(reader, 4);
    ret_route->relay = (uint32_t)take_number(reader, 4);
}

const uint8_t *ph_tape_take_sealed(Reader *reader, PhCalls *calls, size_t *ret_length)
{
    size_t length = (size_t)take_number(reader, 2);

    if (length > sizeof(calls->buffer))
        reader->broken = true;
    if (reader->broken)
        return NULL;
    memset(calls->buffer, 0, length);
    take_bytes(reader, calls->buffer, length < SEALED_BEGIN ? length : SEALED_BEGIN);
    *ret_length = length;
    return calls->buffer;
}

static void take_input(Reader *reader, PhCalls *calls, PhSessionInput *ret_input)
{
    PhSessionInput input = {.kind = (PhSessionInputKind)take_number(reader, 1)};
    size_t length;

    input.session = (uint32_t)take_number(reader, 4);
    take_bytes(reader, input.remote_key, sizeof(input.remote_key));
    input.confirmed_now = take_number(reader, 1) == 1;
    length = (size_t)take_number(reader, 2);
    if (length != UINT16_MAX) {
        const uint8_t *text = take(reader, length);

        input.reason = text ? calls->keep(calls->replay, text, length) : NULL;
    }
    input.bytes = take_plain(reader, calls, &input.length);
    if (reader->broken || input.kind > PH_SESSION_GONE ||
        (input.kind == PH_SESSION_GONE && !input.reason)) {
        reader->broken = true;
        return;
    }
    *ret_input = input;
}

/* ---- questions and answers ---- */

void ph_tape_ask(PhQuestion *ret_question, PhItemKind kind)
{
    ret_question->kind = kind;
    ret_question->writer = (Writer){.bytes = ret_question->bytes, .room = PH_ITEM_MAX};
    put_number(&ret_question->writer, 0, 2);
}

void ph_tape_end_question(PhQuestion *question)
{
    Writer *writer = &question->writer;
    size_t length = writer->length - 2;

    writer->bytes[0] = (uint8_t)(length >> 8);
    writer->bytes[1] = (uint8_t)length;
}

void ph_tape_tell(PhRecorder *recorder, const PhQuestion *question)
{
    ph_recorder_item(recorder, question->kind, question->bytes, question->writer.length);
}

static void note_wrong(PhCalls *calls, const PhQuestion *question)
{
    calls->wrong = true;
    calls->got_kind = question->kind;
    calls->got_length = question->writer.length;
    memcpy(calls->got, question->bytes, question->writer.length);
}

bool ph_tape_answered(PhCalls *calls, const PhQuestion *question, Reader *ret_answer)
{
    Reader items = {.bytes = calls->bytes, .length = calls->length, .at = calls->at};
    size_t length = question->writer.length;
    const uint8_t *item;

    if (calls->wrong || !calls->inside)
        return false;
    calls->expected_kind = (PhItemKind)take_number(&items, 1);
    calls->expected_length = (size_t)take_number(&items, 2);
    item = take(&items, calls->expected_length);
    calls->expected = item;
    if (!item) {
        calls->expected_kind = PH_ITEM_NONE;
        note_wrong(calls, question);
        return false;
    }
    if (calls->expected_kind != question->kind || calls->expected_length < length ||
        memcmp(item, question->bytes, length) != 0) {
        note_wrong(calls, question);
        return false;
    }
    calls->at = items.at;
    *ret_answer = (Reader){.bytes = item, .length = calls->expected_length, .at = length};
    return true;
}

bool ph_tape_is_sound(PhCalls *calls, const PhQuestion *question, const Reader *answer)
{
    if (!answer->broken && answer->at == answer->length)
        return true;
    note_wrong(calls, question);
    return false;
}

uint64_t ph_tape_answered_number(PhCalls *calls, const PhQuestion *question, unsigned size,
                                 uint64_t otherwise)
{
    Reader answer;
    uint64_t number;

    if (!ph_tape_answered(calls, question, &answer))
        return otherwise;
    number = take_number(&answer, size);
    return ph_tape_is_sound(calls, question, &answer) ? number : otherwise;
}

void ph_tape_answered_input(PhCalls *calls, const PhQuestion *question, PhSessionInput *ret_input)
{
    PhSessionInput input = {.kind = PH_SESSION_NOTHING};
    Reader answer;

    *ret_input = input;
    if (!ph_tape_answered(calls, question, &answer))
        return;
    take_input(&answer, calls, &input);
    if (ph_tape_is_sound(calls, question, &answer))
        *ret_input = input;
}
