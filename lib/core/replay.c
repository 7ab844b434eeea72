/* SPDX-License-Identifier: MIT */
/*
 * A replay; see replay.h. Items come in this order, again and again:
 *
 *     an input or poll --> what sessions were asked meanwhile --> its end
 *
 * With the end all is there that the core may want to know, and it is done: the same call of the
 * same core. What comes of it must be what stands there.
 */
#include <stdlib.h>

#include "node_private.h"
#include "replay_private.h"

/* A static text of our own in the place of one out of a file. */
static const char *keep_text(void *data, const uint8_t *text, size_t length)
{
    PhReplay *replay = data;
    char copy[PH_REPLAY_TEXT_LENGTH] = {0};

    memcpy(copy, text, length < sizeof(copy) ? length : sizeof(copy) - 1);
    for (unsigned i = 0; i < replay->n_texts; i++)
        if (strcmp(replay->texts[i], copy) == 0)
            return replay->texts[i];
    if (replay->n_texts == PH_REPLAY_TEXTS)
        return "unknown";
    memcpy(replay->texts[replay->n_texts], copy, sizeof(copy));
    return replay->texts[replay->n_texts++];
}

PhReplay *ph_replay_new(void)
{
    PhReplay *replay = calloc(1, sizeof(*replay));

    if (!replay)
        return NULL;
    replay->call_bytes = calloc(1, PH_REPLAY_CALLS_MAX);
    replay->datagram = calloc(1, PH_REPLAY_PACKET_MAX);
    replay->calls.keep = keep_text;
    replay->calls.replay = replay;
    if (!ph_record_reader_init(&replay->reader) || !replay->call_bytes || !replay->datagram)
        return ph_replay_free(replay);
    return replay;
}

PhReplay *ph_replay_free(PhReplay *replay)
{
    if (!replay)
        return NULL;
    ph_node_free(replay->node);
    ph_record_reader_clear(&replay->reader);
    free(replay->call_bytes);
    free(replay->datagram);
    free(replay);
    return NULL;
}

size_t ph_replay_feed(PhReplay *replay, const uint8_t *bytes, size_t length)
{
    /* What comes after the end is of no interest. */
    return replay->over ? length : ph_record_reader_feed(&replay->reader, bytes, length);
}

void ph_replay_end(PhReplay *replay)
{
    replay->ended = true;
}

const PhReplayResult *ph_replay_result(const PhReplay *replay)
{
    return &replay->result;
}

const PhNode *ph_replay_node(const PhReplay *replay)
{
    return replay->node;
}

/* ---- how it ends ---- */

static void end(PhReplay *replay, PhReplayVerdict verdict)
{
    replay->result.verdict = verdict;
    replay->over = true;
}

bool ph_replay_bad(PhReplay *replay, const char *problem, const char *more)
{
    PhText text = {.at = replay->result.problem, .room = PH_REPLAY_TEXT};

    ph_text(&text, problem);
    ph_text(&text, more);
    replay->result.block = replay->reader.block + 1;
    replay->result.offset = replay->reader.offset;
    end(replay, PH_REPLAY_BAD);
    return false;
}

static void differs(PhReplay *replay, const PhRecordItem *expected, const PhRecordItem *got)
{
    PhReplayResult *result = &replay->result;
    PhText a = {.at = result->expected, .room = PH_REPLAY_TEXT};
    PhText b = {.at = result->got, .room = PH_REPLAY_TEXT};

    ph_item_differ(expected, got, &a, &b);
    end(replay, PH_REPLAY_DIFFERS);
}

/* Whether sessions were asked the same, to the last question. */
static bool asked_the_same(PhReplay *replay)
{
    PhCalls *calls = &replay->calls;
    Reader rest = {.bytes = calls->bytes, .length = calls->length, .at = calls->at};
    PhRecordItem expected = {.kind = PH_ITEM_NONE}, got = {.kind = PH_ITEM_NONE};

    if (calls->wrong) {
        expected = (PhRecordItem){
            .kind = calls->expected_kind,
            .bytes = calls->expected,
            .length = calls->expected ? calls->expected_length : 0,
        };
        got = (PhRecordItem){
            .kind = calls->got_kind, .bytes = calls->got, .length = calls->got_length};
        differs(replay, &expected, &got);
        return false;
    }
    if (calls->at == calls->length)
        return true;
    expected.kind = (PhItemKind)take_number(&rest, 1);
    expected.length = (size_t)take_number(&rest, 2);
    expected.bytes = take(&rest, expected.length);
    differs(replay, &expected, &got);
    return false;
}

/* ---- comparing ---- */

static void make_step(PhReplay *replay, PhReplayStepKind kind, const PhRecordItem *item,
                      PhReplayStep *ret_step)
{
    PhText text = {.at = replay->text, .room = sizeof(replay->text)};

    ph_item_describe(&text, item);
    *ret_step = (PhReplayStep){
        .kind = kind,
        .number = replay->result.number,
        .time_ns = replay->result.time_ns,
        .wall_ns = replay->result.wall_ns,
        .input = replay->result.input,
        .text = replay->text,
    };
}

/* False: there is no step, or it is over. */
static bool compare(PhReplay *replay, const PhRecordItem *expected, const PhRecordItem *got)
{
    size_t compared = expected->packet_length;
    bool same = expected->kind == got->kind && expected->length == got->length &&
                memcmp(expected->bytes, got->bytes, got->length) == 0 &&
                expected->packet_original == got->packet_original;

    if (!asked_the_same(replay))
        return false;
    /* Of what is sealed there is only what says that it is. */
    if (expected->packet && replay->kind != PH_RECORD_SECRETS &&
        ph_session_is_packet(expected->packet, expected->packet_length))
        compared = 4;
    if (same && expected->packet && got->packet)
        same = compared <= expected->packet_length && compared <= got->packet_length &&
               memcmp(expected->packet, got->packet, compared) == 0;
    if (!same)
        differs(replay, expected, got);
    return same;
}

static bool run_input(PhReplay *replay, const PhRecordItem *end_item, PhReplayStep *ret_step)
{
    Reader reader = {.bytes = replay->item, .length = replay->item_length};
    uint64_t now = take_number(&reader, 8);
    uint8_t bytes[PH_ITEM_MAX];
    Writer writer = {.bytes = bytes, .room = sizeof(bytes)};
    PhReplayResult *result = &replay->result;
    PhRecordItem got = {.kind = PH_ITEM_END, .bytes = bytes}, item;
    uint32_t gives;

    result->inputs++;
    result->number = result->inputs;
    result->time_ns = now;
    result->input = ph_item_name(replay->current);
    if (replay->current == PH_ITEM_NEW && !ph_replay_do_new(replay, &reader, now))
        return false;
    result->wall_ns = replay->node->config.wall_ns + now;
    gives = ph_replay_do_input(replay, &reader, now);
    if (reader.broken || reader.at != reader.length)
        return ph_replay_bad(replay, "an input that makes no sense: ", result->input);
    ph_node_put_end(replay->node, &writer, gives);
    got.length = writer.length;
    if (!compare(replay, end_item, &got))
        return false;
    item = (PhRecordItem){
        .kind = replay->current,
        .bytes = replay->item,
        .length = replay->item_length,
        .packet = replay->current == PH_ITEM_DATAGRAM ? replay->datagram : NULL,
        .packet_length = replay->datagram_kept,
        .packet_original = replay->datagram_length,
    };
    make_step(replay, PH_REPLAY_INPUT, &item, ret_step);
    return true;
}

static bool run_poll_socket(PhReplay *replay, const PhRecordItem *expected, PhReplayStep *ret_step)
{
    PhSocketRequest request;
    uint8_t bytes[PH_ITEM_MAX];
    Writer writer = {.bytes = bytes, .room = sizeof(bytes)};
    PhRecordItem got = {.kind = PH_ITEM_NOTHING, .bytes = bytes};

    if (ph_node_do_poll_socket(replay->node, &request)) {
        ph_record_put_request(&writer, &request);
        got.kind = PH_ITEM_SOCKET;
        got.length = writer.length;
    }
    if (!compare(replay, expected, &got) || got.kind == PH_ITEM_NOTHING)
        return false;
    make_step(replay, PH_REPLAY_SOCKET, &got, ret_step);
    return true;
}

static bool run_poll_transmit(PhReplay *replay, const PhRecordItem *expected,
                              PhReplayStep *ret_step)
{
    uint8_t bytes[PH_ITEM_MAX];
    Writer writer = {.bytes = bytes, .room = sizeof(bytes)};
    PhRecordItem got = {.kind = PH_ITEM_NOTHING, .bytes = bytes};

    if (ph_node_do_poll_transmit(replay->node, &replay->transmit)) {
        put_number(&writer, replay->node->now, 8);
        put_path(&writer, &replay->transmit.path);
        put_number(&writer, replay->transmit.ttl, 1);
        got = (PhRecordItem){
            .kind = PH_ITEM_TRANSMIT,
            .bytes = bytes,
            .length = writer.length,
            .packet = replay->transmit.bytes,
            .packet_length = replay->transmit.length,
            .packet_original = replay->transmit.length,
        };
    }
    if (!compare(replay, expected, &got) || got.kind == PH_ITEM_NOTHING)
        return false;
    replay->result.transmits++;
    make_step(replay, PH_REPLAY_TRANSMIT, &got, ret_step);
    ret_step->transmit = &replay->transmit;
    return true;
}

static bool run_poll_event(PhReplay *replay, const PhRecordItem *expected, PhReplayStep *ret_step)
{
    uint8_t bytes[PH_ITEM_MAX];
    Writer writer = {.bytes = bytes, .room = sizeof(bytes)};
    PhRecordItem got = {.kind = PH_ITEM_NOTHING, .bytes = bytes};

    if (ph_node_do_poll_event(replay->node, &replay->event)) {
        ph_record_put_event(&writer, &replay->event, replay->kind == PH_RECORD_SECRETS);
        got.kind = PH_ITEM_EVENT;
        got.length = writer.length;
    }
    if (!compare(replay, expected, &got) || got.kind == PH_ITEM_NOTHING)
        return false;
    replay->result.events++;
    make_step(replay, PH_REPLAY_EVENT, &got, ret_step);
    ret_step->event = &replay->event;
    return true;
}

/* ---- items ---- */

static bool is_input(PhItemKind kind)
{
    return kind >= PH_ITEM_NEW && kind < PH_ITEM_INPUTS_END;
}

static bool take_first(PhReplay *replay, const PhRecordItem *item)
{
    if (replay->current != PH_ITEM_NONE)
        return ph_replay_bad(replay, "an input within another one: ", ph_item_name(item->kind));
    if ((item->kind == PH_ITEM_NEW) != !replay->node)
        return ph_replay_bad(replay, "a node that is not made once, and first", "");
    replay->current = item->kind;
    memcpy(replay->item, item->bytes, item->length);
    replay->item_length = item->length;
    replay->calls.length = replay->calls.at = 0;
    if (item->kind != PH_ITEM_DATAGRAM)
        return true;
    if (replay->kind == PH_RECORD_SECRETS && item->packet_length != item->packet_original)
        return ph_replay_bad(replay, "a datagram that is cut", "");
    replay->datagram_length = item->packet_original;
    replay->datagram_kept = item->packet_length;
    memset(replay->datagram, 0, item->packet_original);
    if (item->packet_length > 0)
        memcpy(replay->datagram, item->packet, item->packet_length);
    return true;
}

static bool take_call(PhReplay *replay, const PhRecordItem *item)
{
    PhCalls *calls = &replay->calls;
    Writer writer = {
        .bytes = replay->call_bytes,
        .length = calls->length,
        .room = PH_REPLAY_CALLS_MAX,
    };

    if (replay->current == PH_ITEM_NONE)
        return ph_replay_bad(replay, "a session is asked outside of any input", "");
    put_number(&writer, item->kind, 1);
    put_number(&writer, item->length, 2);
    put(&writer, item->bytes, item->length);
    if (writer.overflow)
        return ph_replay_bad(replay, "an input in which sessions are asked too much", "");
    calls->bytes = replay->call_bytes;
    calls->length = writer.length;
    return true;
}

/* True: there is a step. */
static bool take_end(PhReplay *replay, const PhRecordItem *item, PhReplayStep *ret_step)
{
    PhItemKind current = replay->current;
    bool step = false;

    replay->calls.inside = true;
    if (is_input(current) && item->kind == PH_ITEM_END)
        step = run_input(replay, item, ret_step);
    else if (current == PH_ITEM_POLL_SOCKET &&
             (item->kind == PH_ITEM_SOCKET || item->kind == PH_ITEM_NOTHING))
        step = run_poll_socket(replay, item, ret_step);
    else if (current == PH_ITEM_POLL_TRANSMIT &&
             (item->kind == PH_ITEM_TRANSMIT || item->kind == PH_ITEM_NOTHING))
        step = run_poll_transmit(replay, item, ret_step);
    else if (current == PH_ITEM_POLL_EVENT &&
             (item->kind == PH_ITEM_EVENT || item->kind == PH_ITEM_NOTHING))
        step = run_poll_event(replay, item, ret_step);
    else
        (void)ph_replay_bad(replay, "an end of something else: ", ph_item_name(item->kind));
    replay->calls.inside = false;
    replay->current = PH_ITEM_NONE;
    return step;
}

/* True: there is a step. */
static bool take_any(PhReplay *replay, const PhRecordItem *item, PhReplayStep *ret_step)
{
    if (is_input(item->kind) ||
        (item->kind >= PH_ITEM_POLL_SOCKET && item->kind <= PH_ITEM_POLL_EVENT))
        (void)take_first(replay, item);
    else if (item->kind >= PH_ITEM_CALL_OPEN && item->kind < PH_ITEM_CALLS_END)
        (void)take_call(replay, item);
    else if (item->kind >= PH_ITEM_END && item->kind <= PH_ITEM_EVENT)
        return take_end(replay, item, ret_step);
    else if (item->kind == PH_ITEM_GAP)
        end(replay, PH_REPLAY_GAP);
    else
        (void)ph_replay_bad(replay, "an item of no known kind", "");
    return false;
}

/* No more comes. */
static void finish(PhReplay *replay)
{
    if (!replay->node && replay->reader.length == 0 && replay->reader.block == 0) {
        (void)ph_replay_bad(replay, "the file is empty", "");
        return;
    }
    if (!replay->node) {
        (void)ph_replay_bad(replay, "there is no recording of a node in it", "");
        return;
    }
    replay->result.cut = replay->reader.length > 0 || replay->current != PH_ITEM_NONE;
    end(replay, PH_REPLAY_SAME);
}

void ph_replay_step(PhReplay *replay, PhReplayStep *ret_step)
{
    PhRecordItem item;

    *ret_step = (PhReplayStep){.kind = PH_REPLAY_OVER};
    while (!replay->over) {
        PhRead read = ph_record_read(&replay->reader, &item);

        if (read == PH_READ_ITEM) {
            if (take_any(replay, &item, ret_step))
                return;
        } else if (read == PH_READ_BAD) {
            (void)ph_replay_bad(replay, replay->reader.problem, "");
        } else if (replay->ended) {
            finish(replay);
        } else {
            ret_step->kind = PH_REPLAY_MORE;
            return;
        }
    }
}
