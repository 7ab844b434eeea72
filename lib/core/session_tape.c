/* SPDX-License-Identifier: MIT */
/*
 * The door to sessions (session.h). Mostly it is simply open. When a recording without secrets is
 * made, what is asked here is written down, and what is answered; when one is replayed, answers
 * come from there, and nothing here knows a key:
 *
 *     owner --question--> sessions --answer--> owner         and both into the recording
 *     owner --question--> is it the recorded one? --> the recorded answer
 */
#include <stdlib.h>

#include "record_private.h"
#include "session_private.h"

static PhRecorder *recorder_of(const PhSessions *sessions)
{
    PhRecorder *recorder = sessions->config.tape ? sessions->config.tape->recorder : NULL;

    return recorder && ph_recorder_is_inside(recorder) ? recorder : NULL;
}

static PhCalls *calls_of(const PhSessions *sessions)
{
    return sessions->config.tape ? sessions->config.tape->calls : NULL;
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
    PhQuestion question;
    uint32_t session;

    if (!recorder && !calls)
        return ph_sessions_do_open(sessions, remote_key, route, payload, length, now);
    ph_tape_ask(&question, PH_ITEM_CALL_OPEN);
    put(&question.writer, remote_key, PH_SESSION_KEY_BYTES);
    ph_tape_put_route(&question.writer, route);
    ph_tape_put_plain(&question.writer, payload, length);
    ph_tape_end_question(&question);
    if (calls)
        return (uint32_t)ph_tape_answered_number(calls, &question, 4, 0);
    session = ph_sessions_do_open(sessions, remote_key, route, payload, length, now);
    put_number(&question.writer, session, 4);
    ph_tape_tell(recorder, &question);
    return session;
}

void ph_sessions_also(PhSessions *sessions, uint32_t session, const PhRoute *route, uint64_t now)
{
    PhRecorder *recorder = recorder_of(sessions);
    PhCalls *calls = calls_of(sessions);
    PhQuestion question;
    Reader answer;

    if (!recorder && !calls) {
        ph_sessions_do_also(sessions, session, route, now);
        return;
    }
    ph_tape_ask(&question, PH_ITEM_CALL_ALSO);
    put_number(&question.writer, session, 4);
    ph_tape_put_route(&question.writer, route);
    ph_tape_end_question(&question);
    if (calls) {
        (void)ph_tape_answered(calls, &question, &answer);
        return;
    }
    ph_sessions_do_also(sessions, session, route, now);
    ph_tape_tell(recorder, &question);
}

uint32_t ph_sessions_accept(PhSessions *sessions, const uint8_t *payload, size_t length,
                            uint64_t now)
{
    PhRecorder *recorder = recorder_of(sessions);
    PhCalls *calls = calls_of(sessions);
    PhQuestion question;
    uint32_t session;

    if (!recorder && !calls)
        return ph_sessions_do_accept(sessions, payload, length, now);
    ph_tape_ask(&question, PH_ITEM_CALL_ACCEPT);
    ph_tape_put_plain(&question.writer, payload, length);
    ph_tape_end_question(&question);
    if (calls)
        return (uint32_t)ph_tape_answered_number(calls, &question, 4, 0);
    session = ph_sessions_do_accept(sessions, payload, length, now);
    put_number(&question.writer, session, 4);
    ph_tape_tell(recorder, &question);
    return session;
}

void ph_sessions_close(PhSessions *sessions, uint32_t session, uint64_t now)
{
    PhRecorder *recorder = recorder_of(sessions);
    PhCalls *calls = calls_of(sessions);
    PhQuestion question;
    Reader answer;

    if (!recorder && !calls) {
        ph_sessions_do_close(sessions, session, now);
        return;
    }
    ph_tape_ask(&question, PH_ITEM_CALL_CLOSE);
    put_number(&question.writer, session, 4);
    ph_tape_end_question(&question);
    if (calls) {
        (void)ph_tape_answered(calls, &question, &answer);
        return;
    }
    ph_sessions_do_close(sessions, session, now);
    ph_tape_tell(recorder, &question);
}

void ph_sessions_end_with(PhSessions *sessions, uint32_t session, const PhMessage *last,
                          uint64_t now)
{
    PhRecorder *recorder = recorder_of(sessions);
    PhCalls *calls = calls_of(sessions);
    uint8_t plain[PH_SESSION_PLAIN_MAX];
    PhQuestion question;
    Reader answer;

    if (!recorder && !calls) {
        ph_sessions_do_end_with(sessions, session, last, now);
        return;
    }
    ph_tape_ask(&question, PH_ITEM_CALL_END_WITH);
    put_number(&question.writer, session, 4);
    ph_tape_put_plain(&question.writer, plain, ph_message_write(last, plain, sizeof(plain)));
    ph_tape_end_question(&question);
    if (calls) {
        (void)ph_tape_answered(calls, &question, &answer);
        return;
    }
    ph_sessions_do_end_with(sessions, session, last, now);
    ph_tape_tell(recorder, &question);
}

/* ---- who there is ---- */

bool ph_sessions_is_up(const PhSessions *sessions, uint32_t session)
{
    PhRecorder *recorder = recorder_of(sessions);
    PhCalls *calls = calls_of(sessions);
    PhQuestion question;
    bool up;

    if (!recorder && !calls)
        return ph_sessions_do_is_up(sessions, session);
    ph_tape_ask(&question, PH_ITEM_CALL_IS_UP);
    put_number(&question.writer, session, 4);
    ph_tape_end_question(&question);
    if (calls)
        return ph_tape_answered_number(calls, &question, 1, 0) == 1;
    up = ph_sessions_do_is_up(sessions, session);
    put_number(&question.writer, up, 1);
    ph_tape_tell(recorder, &question);
    return up;
}

uint32_t ph_sessions_find(const PhSessions *sessions,
                          const uint8_t remote_key[static PH_SESSION_KEY_BYTES])
{
    PhRecorder *recorder = recorder_of(sessions);
    PhCalls *calls = calls_of(sessions);
    PhQuestion question;
    uint32_t session;

    if (!recorder && !calls)
        return ph_sessions_do_find(sessions, remote_key);
    ph_tape_ask(&question, PH_ITEM_CALL_FIND);
    put(&question.writer, remote_key, PH_SESSION_KEY_BYTES);
    ph_tape_end_question(&question);
    if (calls)
        return (uint32_t)ph_tape_answered_number(calls, &question, 4, 0);
    session = ph_sessions_do_find(sessions, remote_key);
    put_number(&question.writer, session, 4);
    ph_tape_tell(recorder, &question);
    return session;
}

const uint8_t *ph_sessions_remote_key(const PhSessions *sessions, uint32_t session)
{
    PhRecorder *recorder = recorder_of(sessions);
    PhCalls *calls = calls_of(sessions);
    PhQuestion question;
    Reader answer;
    const uint8_t *key;

    if (!recorder && !calls)
        return ph_sessions_do_remote_key(sessions, session);
    ph_tape_ask(&question, PH_ITEM_CALL_REMOTE_KEY);
    put_number(&question.writer, session, 4);
    ph_tape_end_question(&question);
    if (calls) {
        /* It stands in the recording: none is of no length. */
        if (!ph_tape_answered(calls, &question, &answer) || answer.at == answer.length)
            return NULL;
        key = take(&answer, PH_SESSION_KEY_BYTES);
        return ph_tape_is_sound(calls, &question, &answer) ? key : NULL;
    }
    key = ph_sessions_do_remote_key(sessions, session);
    if (key)
        put(&question.writer, key, PH_SESSION_KEY_BYTES);
    ph_tape_tell(recorder, &question);
    return key;
}

/* ---- packets ---- */

void ph_sessions_receive(PhSessions *sessions, const PhRoute *route, const uint8_t *bytes,
                         size_t length, uint64_t now, PhSessionInput *ret_input)
{
    PhRecorder *recorder = recorder_of(sessions);
    PhCalls *calls = calls_of(sessions);
    PhQuestion question;

    if (!recorder && !calls) {
        ph_sessions_do_receive(sessions, route, bytes, length, now, ret_input);
        return;
    }
    ph_tape_ask(&question, PH_ITEM_CALL_RECEIVE);
    ph_tape_put_route(&question.writer, route);
    ph_tape_put_sealed(&question.writer, bytes, length);
    ph_tape_end_question(&question);
    if (calls) {
        ph_tape_answered_input(calls, &question, ret_input);
        return;
    }
    ph_sessions_do_receive(sessions, route, bytes, length, now, ret_input);
    ph_tape_put_input(&question.writer, ret_input);
    ph_tape_tell(recorder, &question);
}

size_t ph_sessions_seal(PhSessions *sessions, uint32_t session, const uint8_t *bytes, size_t length,
                        uint64_t now, uint8_t ret_packet[static PH_DATAGRAM_MAX])
{
    PhRecorder *recorder = recorder_of(sessions);
    PhCalls *calls = calls_of(sessions);
    PhQuestion question;
    size_t sealed;

    if (!recorder && !calls)
        return ph_sessions_do_seal(sessions, session, bytes, length, now, ret_packet);
    ph_tape_ask(&question, PH_ITEM_CALL_SEAL);
    put_number(&question.writer, session, 4);
    ph_tape_put_plain(&question.writer, bytes, length);
    ph_tape_end_question(&question);
    if (calls) {
        sealed = (size_t)ph_tape_answered_number(calls, &question, 2, 0);
        if (sealed > PH_DATAGRAM_MAX)
            sealed = 0;
        memset(ret_packet, 0, sealed);
        if (sealed > 0)
            ret_packet[0] = ph_session_packet_type(bytes, length);
        return sealed;
    }
    sealed = ph_sessions_do_seal(sessions, session, bytes, length, now, ret_packet);
    put_number(&question.writer, sealed, 2);
    ph_tape_tell(recorder, &question);
    return sealed;
}

bool ph_sessions_poll_transmit(PhSessions *sessions, PhRoute *ret_route, const uint8_t **ret_bytes,
                               size_t *ret_length)
{
    PhRecorder *recorder = recorder_of(sessions);
    PhCalls *calls = calls_of(sessions);
    PhQuestion question;
    Reader answer;
    bool there;

    if (!recorder && !calls)
        return ph_sessions_do_poll_transmit(sessions, ret_route, ret_bytes, ret_length);
    ph_tape_ask(&question, PH_ITEM_CALL_TRANSMIT);
    ph_tape_end_question(&question);
    if (calls) {
        /* No answer: there is none. */
        if (!ph_tape_answered(calls, &question, &answer) || answer.at == answer.length)
            return false;
        ph_tape_take_route(&answer, ret_route);
        *ret_bytes = ph_tape_take_sealed(&answer, calls, ret_length);
        return ph_tape_is_sound(calls, &question, &answer);
    }
    there = ph_sessions_do_poll_transmit(sessions, ret_route, ret_bytes, ret_length);
    if (there) {
        ph_tape_put_route(&question.writer, ret_route);
        ph_tape_put_sealed(&question.writer, *ret_bytes, *ret_length);
    }
    ph_tape_tell(recorder, &question);
    return there;
}

/* ---- time ---- */

void ph_sessions_poll(PhSessions *sessions, PhSessionInput *ret_input)
{
    PhRecorder *recorder = recorder_of(sessions);
    PhCalls *calls = calls_of(sessions);
    PhQuestion question;

    if (!recorder && !calls) {
        ph_sessions_do_poll(sessions, ret_input);
        return;
    }
    ph_tape_ask(&question, PH_ITEM_CALL_GONE);
    ph_tape_end_question(&question);
    if (calls) {
        ph_tape_answered_input(calls, &question, ret_input);
        return;
    }
    ph_sessions_do_poll(sessions, ret_input);
    ph_tape_put_input(&question.writer, ret_input);
    ph_tape_tell(recorder, &question);
}

void ph_sessions_handle_timeout(PhSessions *sessions, uint64_t now)
{
    PhRecorder *recorder = recorder_of(sessions);
    PhCalls *calls = calls_of(sessions);
    PhQuestion question;
    Reader answer;

    if (!recorder && !calls) {
        ph_sessions_do_handle_timeout(sessions, now);
        return;
    }
    ph_tape_ask(&question, PH_ITEM_CALL_TIMEOUT);
    ph_tape_end_question(&question);
    if (calls) {
        (void)ph_tape_answered(calls, &question, &answer);
        return;
    }
    ph_sessions_do_handle_timeout(sessions, now);
    ph_tape_tell(recorder, &question);
}

uint64_t ph_sessions_next_timeout(const PhSessions *sessions)
{
    PhRecorder *recorder = recorder_of(sessions);
    PhCalls *calls = calls_of(sessions);
    PhQuestion question;
    uint64_t next;

    if (!recorder && !calls)
        return ph_sessions_do_next_timeout(sessions);
    ph_tape_ask(&question, PH_ITEM_CALL_NEXT);
    ph_tape_end_question(&question);
    if (calls)
        return ph_tape_answered_number(calls, &question, 8, UINT64_MAX);
    next = ph_sessions_do_next_timeout(sessions);
    put_number(&question.writer, next, 8);
    ph_tape_tell(recorder, &question);
    return next;
}
