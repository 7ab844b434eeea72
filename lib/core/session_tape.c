/* SPDX-License-Identifier: MIT */
/*
 * The door to sessions (session.h). Mostly it is simply open. When a recording without secrets is
 * made, what is asked here is written down, and what is answered; when one is replayed, answers
 * come from there, and nothing here knows a key:
 *
 *     owner --question--> sessions --answer--> owner         and both into the recording
 *     owner --question--> is it the recorded one? --> the recorded answer
 *
 * What is the application's, and what is sealed, is written as zeros.
 */
#include <stdlib.h>

#include "message.h"
#include "record_private.h"
#include "session_private.h"

#define SEALED_BEGIN 4 /* of a packet: what says that it is one, and of what kind */

/* ---- what is written ---- */

/* The bytes of messages without those of the application, without what is sealed in them; trailing
 * zeros are left out, and `length` is said before. */
static void put_plain(Writer *writer, const uint8_t *bytes, size_t length)
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
            hidden = message.relay.bytes;
            n = message.relay.length;
            if (n >= SEALED_BEGIN) {
                hidden += SEALED_BEGIN;
                n -= SEALED_BEGIN;
            }
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

static void put_route(Writer *writer, const PhRoute *route)
{
    put_path(writer, &route->path);
    put_number(writer, route->via, 4);
    put_number(writer, route->relay, 4);
}

static void put_sealed(Writer *writer, const uint8_t *bytes, size_t length)
{
    put_number(writer, length, 2);
    put(writer, bytes, length < SEALED_BEGIN ? length : SEALED_BEGIN);
}

static void put_input(Writer *writer, const PhSessionInput *input)
{
    put_number(writer, input->kind, 1);
    put_number(writer, input->session, 4);
    put(writer, input->remote_key, sizeof(input->remote_key));
    put_number(writer, input->confirmed_now, 1);
    put_text(writer, input->reason);
    put_plain(writer, input->bytes, input->length);
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

static void take_route(Reader *reader, PhRoute *ret_route)
{
    take_path(reader, &ret_route->path);
    ret_route->via = (uint32_t)take_number(reader, 4);
    ret_route->relay = (uint32_t)take_number(reader, 4);
}

static const uint8_t *take_sealed(Reader *reader, PhCalls *calls, size_t *ret_length)
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

typedef struct Question {
    PhItemKind kind;
    Writer writer;
    uint8_t bytes[PH_ITEM_MAX];
} Question;

static PhRecorder *recorder_of(const PhSessions *sessions)
{
    PhRecorder *recorder = sessions->config.tape ? sessions->config.tape->recorder : NULL;

    return recorder && ph_recorder_is_inside(recorder) ? recorder : NULL;
}

static PhCalls *calls_of(const PhSessions *sessions)
{
    return sessions->config.tape ? sessions->config.tape->calls : NULL;
}

static void ask(Question *ret_question, PhItemKind kind)
{
    ret_question->kind = kind;
    ret_question->writer = (Writer){.bytes = ret_question->bytes, .room = PH_ITEM_MAX};
    put_number(&ret_question->writer, 0, 2);
}

/* Its length is known by now. */
static void end_question(Question *question)
{
    Writer *writer = &question->writer;
    size_t length = writer->length - 2;

    writer->bytes[0] = (uint8_t)(length >> 8);
    writer->bytes[1] = (uint8_t)length;
}

static void tell(PhRecorder *recorder, const Question *question)
{
    ph_recorder_item(recorder, question->kind, question->bytes, question->writer.length);
}

static void note_wrong(PhCalls *calls, const Question *question)
{
    calls->wrong = true;
    calls->got_kind = question->kind;
    calls->got_length = question->writer.length;
    memcpy(calls->got, question->bytes, question->writer.length);
}

/* Whether the next call is this one; its answer then. */
static bool answered(PhCalls *calls, const Question *question, Reader *ret_answer)
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

/* An answer that makes no sense is as if it were another one. */
static bool is_sound(PhCalls *calls, const Question *question, const Reader *answer)
{
    if (!answer->broken && answer->at == answer->length)
        return true;
    note_wrong(calls, question);
    return false;
}

static uint64_t answered_number(PhCalls *calls, const Question *question, unsigned size,
                                uint64_t otherwise)
{
    Reader answer;
    uint64_t number;

    if (!answered(calls, question, &answer))
        return otherwise;
    number = take_number(&answer, size);
    return is_sound(calls, question, &answer) ? number : otherwise;
}

static void answered_input(PhCalls *calls, const Question *question, PhSessionInput *ret_input)
{
    PhSessionInput input = {.kind = PH_SESSION_NOTHING};
    Reader answer;

    *ret_input = input;
    if (!answered(calls, question, &answer))
        return;
    take_input(&answer, calls, &input);
    if (is_sound(calls, question, &answer))
        *ret_input = input;
}

/* ---- from beginning to end ---- */

PhSessions *ph_sessions_new(const PhSessionsConfig *config)
{
    PhSessions *sessions;

    if (!config->tape || !config->tape->calls)
        return ph_sessions_do_new(config);
    sessions = calloc(1, sizeof(*sessions));
    if (!sessions)
        return NULL;
    sessions->config = *config;
    memcpy(sessions->public_key, config->tape->calls->public_key, sizeof(sessions->public_key));
    return sessions;
}

uint32_t ph_sessions_open(PhSessions *sessions,
                          const uint8_t remote_key[static PH_SESSION_KEY_BYTES],
                          const PhRoute *route, const uint8_t *payload, size_t length, uint64_t now)
{
    PhRecorder *recorder = recorder_of(sessions);
    PhCalls *calls = calls_of(sessions);
    Question question;
    uint32_t session;

    if (!recorder && !calls)
        return ph_sessions_do_open(sessions, remote_key, route, payload, length, now);
    ask(&question, PH_ITEM_CALL_OPEN);
    put(&question.writer, remote_key, PH_SESSION_KEY_BYTES);
    put_route(&question.writer, route);
    put_plain(&question.writer, payload, length);
    end_question(&question);
    if (calls)
        return (uint32_t)answered_number(calls, &question, 4, 0);
    session = ph_sessions_do_open(sessions, remote_key, route, payload, length, now);
    put_number(&question.writer, session, 4);
    tell(recorder, &question);
    return session;
}

void ph_sessions_also(PhSessions *sessions, uint32_t session, const PhRoute *route, uint64_t now)
{
    PhRecorder *recorder = recorder_of(sessions);
    PhCalls *calls = calls_of(sessions);
    Question question;
    Reader answer;

    if (!recorder && !calls) {
        ph_sessions_do_also(sessions, session, route, now);
        return;
    }
    ask(&question, PH_ITEM_CALL_ALSO);
    put_number(&question.writer, session, 4);
    put_route(&question.writer, route);
    end_question(&question);
    if (calls) {
        (void)answered(calls, &question, &answer);
        return;
    }
    ph_sessions_do_also(sessions, session, route, now);
    tell(recorder, &question);
}

uint32_t ph_sessions_accept(PhSessions *sessions, const uint8_t *payload, size_t length,
                            uint64_t now)
{
    PhRecorder *recorder = recorder_of(sessions);
    PhCalls *calls = calls_of(sessions);
    Question question;
    uint32_t session;

    if (!recorder && !calls)
        return ph_sessions_do_accept(sessions, payload, length, now);
    ask(&question, PH_ITEM_CALL_ACCEPT);
    put_plain(&question.writer, payload, length);
    end_question(&question);
    if (calls)
        return (uint32_t)answered_number(calls, &question, 4, 0);
    session = ph_sessions_do_accept(sessions, payload, length, now);
    put_number(&question.writer, session, 4);
    tell(recorder, &question);
    return session;
}

void ph_sessions_close(PhSessions *sessions, uint32_t session, uint64_t now)
{
    PhRecorder *recorder = recorder_of(sessions);
    PhCalls *calls = calls_of(sessions);
    Question question;
    Reader answer;

    if (!recorder && !calls) {
        ph_sessions_do_close(sessions, session, now);
        return;
    }
    ask(&question, PH_ITEM_CALL_CLOSE);
    put_number(&question.writer, session, 4);
    end_question(&question);
    if (calls) {
        (void)answered(calls, &question, &answer);
        return;
    }
    ph_sessions_do_close(sessions, session, now);
    tell(recorder, &question);
}

void ph_sessions_end_with(PhSessions *sessions, uint32_t session, const PhMessage *last,
                          uint64_t now)
{
    PhRecorder *recorder = recorder_of(sessions);
    PhCalls *calls = calls_of(sessions);
    uint8_t plain[PH_SESSION_PLAIN_MAX];
    Question question;
    Reader answer;

    if (!recorder && !calls) {
        ph_sessions_do_end_with(sessions, session, last, now);
        return;
    }
    ask(&question, PH_ITEM_CALL_END_WITH);
    put_number(&question.writer, session, 4);
    put_plain(&question.writer, plain, ph_message_write(last, plain, sizeof(plain)));
    end_question(&question);
    if (calls) {
        (void)answered(calls, &question, &answer);
        return;
    }
    ph_sessions_do_end_with(sessions, session, last, now);
    tell(recorder, &question);
}

/* ---- who there is ---- */

bool ph_sessions_is_up(const PhSessions *sessions, uint32_t session)
{
    PhRecorder *recorder = recorder_of(sessions);
    PhCalls *calls = calls_of(sessions);
    Question question;
    bool up;

    if (!recorder && !calls)
        return ph_sessions_do_is_up(sessions, session);
    ask(&question, PH_ITEM_CALL_IS_UP);
    put_number(&question.writer, session, 4);
    end_question(&question);
    if (calls)
        return answered_number(calls, &question, 1, 0) == 1;
    up = ph_sessions_do_is_up(sessions, session);
    put_number(&question.writer, up, 1);
    tell(recorder, &question);
    return up;
}

uint32_t ph_sessions_find(const PhSessions *sessions,
                          const uint8_t remote_key[static PH_SESSION_KEY_BYTES])
{
    PhRecorder *recorder = recorder_of(sessions);
    PhCalls *calls = calls_of(sessions);
    Question question;
    uint32_t session;

    if (!recorder && !calls)
        return ph_sessions_do_find(sessions, remote_key);
    ask(&question, PH_ITEM_CALL_FIND);
    put(&question.writer, remote_key, PH_SESSION_KEY_BYTES);
    end_question(&question);
    if (calls)
        return (uint32_t)answered_number(calls, &question, 4, 0);
    session = ph_sessions_do_find(sessions, remote_key);
    put_number(&question.writer, session, 4);
    tell(recorder, &question);
    return session;
}

const uint8_t *ph_sessions_remote_key(const PhSessions *sessions, uint32_t session)
{
    PhRecorder *recorder = recorder_of(sessions);
    PhCalls *calls = calls_of(sessions);
    Question question;
    Reader answer;
    const uint8_t *key;

    if (!recorder && !calls)
        return ph_sessions_do_remote_key(sessions, session);
    ask(&question, PH_ITEM_CALL_REMOTE_KEY);
    put_number(&question.writer, session, 4);
    end_question(&question);
    if (calls) {
        /* It stands in the recording: none is of no length. */
        if (!answered(calls, &question, &answer) || answer.at == answer.length)
            return NULL;
        key = take(&answer, PH_SESSION_KEY_BYTES);
        return is_sound(calls, &question, &answer) ? key : NULL;
    }
    key = ph_sessions_do_remote_key(sessions, session);
    if (key)
        put(&question.writer, key, PH_SESSION_KEY_BYTES);
    tell(recorder, &question);
    return key;
}

/* ---- packets ---- */

void ph_sessions_receive(PhSessions *sessions, const PhRoute *route, const uint8_t *bytes,
                         size_t length, uint64_t now, PhSessionInput *ret_input)
{
    PhRecorder *recorder = recorder_of(sessions);
    PhCalls *calls = calls_of(sessions);
    Question question;

    if (!recorder && !calls) {
        ph_sessions_do_receive(sessions, route, bytes, length, now, ret_input);
        return;
    }
    ask(&question, PH_ITEM_CALL_RECEIVE);
    put_route(&question.writer, route);
    put_sealed(&question.writer, bytes, length);
    end_question(&question);
    if (calls) {
        answered_input(calls, &question, ret_input);
        return;
    }
    ph_sessions_do_receive(sessions, route, bytes, length, now, ret_input);
    put_input(&question.writer, ret_input);
    tell(recorder, &question);
}

size_t ph_sessions_seal(PhSessions *sessions, uint32_t session, const uint8_t *bytes, size_t length,
                        uint64_t now, uint8_t ret_packet[static PH_DATAGRAM_MAX])
{
    PhRecorder *recorder = recorder_of(sessions);
    PhCalls *calls = calls_of(sessions);
    Question question;
    size_t sealed;

    if (!recorder && !calls)
        return ph_sessions_do_seal(sessions, session, bytes, length, now, ret_packet);
    ask(&question, PH_ITEM_CALL_SEAL);
    put_number(&question.writer, session, 4);
    put_plain(&question.writer, bytes, length);
    end_question(&question);
    if (calls) {
        sealed = (size_t)answered_number(calls, &question, 2, 0);
        if (sealed > PH_DATAGRAM_MAX)
            sealed = 0;
        memset(ret_packet, 0, sealed);
        if (sealed > 0)
            ret_packet[0] = PH_PACKET_DATA;
        return sealed;
    }
    sealed = ph_sessions_do_seal(sessions, session, bytes, length, now, ret_packet);
    put_number(&question.writer, sealed, 2);
    tell(recorder, &question);
    return sealed;
}

bool ph_sessions_poll_transmit(PhSessions *sessions, PhRoute *ret_route, const uint8_t **ret_bytes,
                               size_t *ret_length)
{
    PhRecorder *recorder = recorder_of(sessions);
    PhCalls *calls = calls_of(sessions);
    Question question;
    Reader answer;
    bool there;

    if (!recorder && !calls)
        return ph_sessions_do_poll_transmit(sessions, ret_route, ret_bytes, ret_length);
    ask(&question, PH_ITEM_CALL_TRANSMIT);
    end_question(&question);
    if (calls) {
        /* No answer: there is none. */
        if (!answered(calls, &question, &answer) || answer.at == answer.length)
            return false;
        take_route(&answer, ret_route);
        *ret_bytes = take_sealed(&answer, calls, ret_length);
        return is_sound(calls, &question, &answer);
    }
    there = ph_sessions_do_poll_transmit(sessions, ret_route, ret_bytes, ret_length);
    if (there) {
        put_route(&question.writer, ret_route);
        put_sealed(&question.writer, *ret_bytes, *ret_length);
    }
    tell(recorder, &question);
    return there;
}

/* ---- time ---- */

void ph_sessions_poll(PhSessions *sessions, PhSessionInput *ret_input)
{
    PhRecorder *recorder = recorder_of(sessions);
    PhCalls *calls = calls_of(sessions);
    Question question;

    if (!recorder && !calls) {
        ph_sessions_do_poll(sessions, ret_input);
        return;
    }
    ask(&question, PH_ITEM_CALL_GONE);
    end_question(&question);
    if (calls) {
        answered_input(calls, &question, ret_input);
        return;
    }
    ph_sessions_do_poll(sessions, ret_input);
    put_input(&question.writer, ret_input);
    tell(recorder, &question);
}

void ph_sessions_handle_timeout(PhSessions *sessions, uint64_t now)
{
    PhRecorder *recorder = recorder_of(sessions);
    PhCalls *calls = calls_of(sessions);
    Question question;
    Reader answer;

    if (!recorder && !calls) {
        ph_sessions_do_handle_timeout(sessions, now);
        return;
    }
    ask(&question, PH_ITEM_CALL_TIMEOUT);
    end_question(&question);
    if (calls) {
        (void)answered(calls, &question, &answer);
        return;
    }
    ph_sessions_do_handle_timeout(sessions, now);
    tell(recorder, &question);
}

uint64_t ph_sessions_next_timeout(const PhSessions *sessions)
{
    PhRecorder *recorder = recorder_of(sessions);
    PhCalls *calls = calls_of(sessions);
    Question question;
    uint64_t next;

    if (!recorder && !calls)
        return ph_sessions_do_next_timeout(sessions);
    ask(&question, PH_ITEM_CALL_NEXT);
    end_question(&question);
    if (calls)
        return answered_number(calls, &question, 8, UINT64_MAX);
    next = ph_sessions_do_next_timeout(sessions);
    put_number(&question.writer, next, 8);
    tell(recorder, &question);
    return next;
}
