/* SPDX-License-Identifier: MIT */
/* What stands in a recording, in words. */
#include "message.h"
#include "replay_private.h"

const char *ph_replay_verdict_name(PhReplayVerdict verdict)
{
    static const char *const names[] = {
        [PH_REPLAY_SAME] = "same",
        [PH_REPLAY_DIFFERS] = "differs",
        [PH_REPLAY_GAP] = "gap",
        [PH_REPLAY_BAD] = "bad",
    };

    return names[verdict];
}

const char *ph_item_name(PhItemKind kind)
{
    static const char *const names[] = {
        [PH_ITEM_NONE] = "nothing",
        [PH_ITEM_NEW] = "new",
        [PH_ITEM_CLOSE] = "close",
        [PH_ITEM_CONNECT] = "connect",
        [PH_ITEM_DISCONNECT] = "disconnect",
        [PH_ITEM_SEND] = "send",
        [PH_ITEM_NETWORK] = "network-changed",
        [PH_ITEM_HUB] = "hub-at",
        [PH_ITEM_OPENED] = "socket-opened",
        [PH_ITEM_FAILED] = "socket-failed",
        [PH_ITEM_DATAGRAM] = "datagram",
        [PH_ITEM_UNREACHABLE] = "unreachable",
        [PH_ITEM_TIMEOUT] = "timeout",
        [PH_ITEM_POLL_SOCKET] = "poll-socket",
        [PH_ITEM_POLL_TRANSMIT] = "poll-transmit",
        [PH_ITEM_POLL_EVENT] = "poll-event",
        [PH_ITEM_END] = "end",
        [PH_ITEM_NOTHING] = "nothing",
        [PH_ITEM_SOCKET] = "socket",
        [PH_ITEM_TRANSMIT] = "transmit",
        [PH_ITEM_EVENT] = "event",
        [PH_ITEM_CALL_OPEN] = "opens a session",
        [PH_ITEM_CALL_ALSO] = "asks along another route",
        [PH_ITEM_CALL_ACCEPT] = "accepts a session",
        [PH_ITEM_CALL_CLOSE] = "closes a session",
        [PH_ITEM_CALL_IS_UP] = "asks whether a session is up",
        [PH_ITEM_CALL_FIND] = "looks for a session",
        [PH_ITEM_CALL_REMOTE_KEY] = "asks for a session's key",
        [PH_ITEM_CALL_RECEIVE] = "opens a packet",
        [PH_ITEM_CALL_SEAL] = "seals",
        [PH_ITEM_CALL_TRANSMIT] = "asks for handshakes to send",
        [PH_ITEM_CALL_GONE] = "asks for sessions that ended",
        [PH_ITEM_CALL_TIMEOUT] = "lets time pass for sessions",
        [PH_ITEM_CALL_NEXT] = "asks when sessions want to be woken",
        [PH_ITEM_CALL_END_WITH] = "closes a session with a message",
        [PH_ITEM_GAP] = "gap",
    };

    return kind < sizeof(names) / sizeof(*names) && names[kind] ? names[kind] : "unknown";
}

/* ---- fields ---- */

static void add_number(PhText *text, const char *before, Reader *reader, unsigned size)
{
    ph_text(text, before);
    ph_text_number(text, take_number(reader, size));
}

static void add_path(PhText *text, const char *before, Reader *reader)
{
    PhPath path = {0};

    take_path(reader, &path);
    ph_text(text, before);
    ph_text_address(text, &path.remote);
    ph_text(text, " on socket ");
    ph_text_number(text, path.socket);
}

static void add_place(PhText *text, const char *before, Reader *reader)
{
    PhAddress place = {0};

    take_place(reader, &place);
    ph_text(text, before);
    ph_text_address(text, &place);
}

static void add_text(PhText *text, const char *before, Reader *reader)
{
    size_t length = (size_t)take_number(reader, 2);
    const uint8_t *bytes = length == UINT16_MAX ? NULL : take(reader, length);

    if (!bytes || length == 0)
        return;
    ph_text(text, before);
    for (size_t i = 0; i < length; i++) {
        char c = bytes[i] >= 0x20 && bytes[i] < 0x7f ? (char)bytes[i] : '?';

        ph_text_add(text, &c, 1);
    }
}

static void add_key(PhText *text, const char *before, Reader *reader)
{
    const uint8_t *key = take(reader, PH_NODE_KEY_BYTES);

    if (!key)
        return;
    ph_text(text, before);
    ph_text_hex(text, key, 4);
    ph_text(text, "...");
}

static void add_plain(PhText *text, const char *before, Reader *reader)
{
    static const char *const names[] = {
        [PH_MESSAGE_KEEPALIVE] = "KEEPALIVE",
        [PH_MESSAGE_DATA] = "DATA",
        [PH_MESSAGE_PING] = "PING",
        [PH_MESSAGE_PONG] = "PONG",
        [PH_MESSAGE_CLOSE] = "CLOSE",
        [PH_MESSAGE_REGISTER] = "REGISTER",
        [PH_MESSAGE_REGISTERED] = "REGISTERED",
        [PH_MESSAGE_REFUSED] = "REFUSED",
        [PH_MESSAGE_CONNECT] = "CONNECT",
        [PH_MESSAGE_FOUND] = "FOUND",
        [PH_MESSAGE_WANTED] = "WANTED",
        [PH_MESSAGE_RELAY] = "RELAY",
        [PH_MESSAGE_RELAYED] = "RELAYED",
        [PH_MESSAGE_INTRODUCE] = "INTRODUCE",
        [PH_MESSAGE_INTRODUCED] = "INTRODUCED",
        [PH_MESSAGE_UPDATE] = "UPDATE",
    };
    size_t length = (size_t)take_number(reader, 2), kept = (size_t)take_number(reader, 2);
    const uint8_t *bytes = take(reader, kept);
    unsigned kind = bytes && kept > 0 ? bytes[0] : 0;

    ph_text(text, before);
    ph_text_number(text, length);
    ph_text(text, " bytes");
    if (kind < sizeof(names) / sizeof(*names) && names[kind]) {
        ph_text(text, ", ");
        ph_text(text, names[kind]);
    }
}

/* ---- items ---- */

static void add_size(PhText *text, const PhRecordItem *item)
{
    ph_text(text, ": ");
    ph_text_number(text, item->packet_original);
    ph_text(text,
            ph_session_is_packet(item->packet, item->packet_length) ? " sealed bytes" : " bytes");
}

static void describe_input(PhText *text, const PhRecordItem *item, Reader *reader)
{
    bool by_key;

    switch ((unsigned)item->kind) { /* a byte out of a file */
    case PH_ITEM_CONNECT:
        by_key = take_number(reader, 1) != 0;
        if (by_key)
            add_key(text, " ", reader);
        add_text(text, " ", reader);
        break;
    case PH_ITEM_DISCONNECT:
        add_number(text, " peer ", reader, 4);
        break;
    case PH_ITEM_SEND:
        add_number(text, " to peer ", reader, 4);
        add_number(text, ", bytes: ", reader, 8);
        break;
    case PH_ITEM_NETWORK:
        add_number(text, ", addresses: ", reader, 1);
        break;
    case PH_ITEM_HUB:
        add_place(text, " ", reader);
        break;
    case PH_ITEM_OPENED:
        add_number(text, " ", reader, 4);
        add_place(text, " at ", reader);
        break;
    case PH_ITEM_FAILED:
        add_number(text, " ", reader, 4);
        break;
    case PH_ITEM_DATAGRAM:
    case PH_ITEM_UNREACHABLE:
        add_path(text, item->kind == PH_ITEM_DATAGRAM ? " from " : " ", reader);
        if (item->kind == PH_ITEM_DATAGRAM)
            add_size(text, item);
        break;
    default: /* nothing to say but its time */
        break;
    }
}

static void describe_event(PhText *text, Reader *reader)
{
    PhNodeEventKind kind = (PhNodeEventKind)take_number(reader, 1);
    PhPathKind path;

    ph_text(text, " ");
    ph_text(text, ph_node_event_name(kind));
    add_number(text, " peer ", reader, 4);
    (void)take(reader, PH_NODE_KEY_BYTES);
    add_text(text, " ", reader);
    ph_text(text, " class ");
    ph_text_number(text, take_number(reader, 1));
    path = (PhPathKind)take_number(reader, 1);
    ph_text(text, " path ");
    ph_text(text, path <= PH_PATH_PUNCHED ? ph_path_kind_name(path) : "unknown");
    (void)take(reader, PH_NODE_KEY_BYTES);
    add_place(text, " address ", reader);
    add_text(text, " ", reader);
    add_text(text, " reason ", reader);
    add_text(text, ": ", reader);
    add_number(text, " bytes ", reader, 2);
}

static void describe_answer(PhText *text, const PhRecordItem *item, Reader *reader)
{
    switch ((unsigned)item->kind) { /* a byte out of a file */
    case PH_ITEM_END:
        add_number(text, ": gives back ", reader, 4);
        add_number(text, ", to be sent: ", reader, 2);
        add_number(text, ", events: ", reader, 2);
        add_number(text, ", next timeout: ", reader, 8);
        break;
    case PH_ITEM_SOCKET:
        ph_text(text, take_number(reader, 1) == PH_SOCKET_OPEN ? " open" : " close");
        (void)take(reader, 4);
        add_number(text, " ", reader, 4);
        add_number(text, ", IPv", reader, 1);
        break;
    case PH_ITEM_TRANSMIT:
        (void)take(reader, 8);
        add_path(text, " to ", reader);
        add_number(text, ", ttl ", reader, 1);
        add_size(text, item);
        break;
    case PH_ITEM_EVENT:
        describe_event(text, reader);
        break;
    default: /* nothing */
        break;
    }
}

static void describe_call(PhText *text, const PhRecordItem *item, Reader *reader)
{
    (void)take(reader, 2);
    switch ((unsigned)item->kind) { /* a byte out of a file */
    case PH_ITEM_CALL_OPEN:
        add_key(text, " with ", reader);
        break;
    case PH_ITEM_CALL_ALSO:
    case PH_ITEM_CALL_CLOSE:
        add_number(text, ", session ", reader, 4);
        break;
    case PH_ITEM_CALL_ACCEPT:
        add_plain(text, " with ", reader);
        break;
    case PH_ITEM_CALL_SEAL:
        add_number(text, " for session ", reader, 4);
        add_plain(text, ": ", reader);
        break;
    case PH_ITEM_CALL_RECEIVE:
        add_path(text, " of ", reader);
        break;
    default:
        break;
    }
}

void ph_item_describe(PhText *text, const PhRecordItem *item)
{
    Reader reader = {.bytes = item->bytes, .length = item->length};

    ph_text(text, ph_item_name(item->kind));
    if (item->kind > PH_ITEM_NEW && item->kind < PH_ITEM_INPUTS_END) {
        (void)take(&reader, 8);
        describe_input(text, item, &reader);
    } else if (item->kind >= PH_ITEM_CALL_OPEN && item->kind < PH_ITEM_CALLS_END) {
        describe_call(text, item, &reader);
    } else {
        describe_answer(text, item, &reader);
    }
}

/* ---- differences ---- */

/* Where two that look alike in words are not. */
static void add_byte(PhText *text, const char *of, size_t at, unsigned byte)
{
    const uint8_t value = (uint8_t)byte;

    ph_text(text, "; byte ");
    ph_text_number(text, at);
    ph_text(text, of);
    ph_text_hex(text, &value, 1);
}

static void differ_bytes(const uint8_t *a, size_t a_length, const uint8_t *b, size_t b_length,
                         const char *of, PhText *a_text, PhText *b_text)
{
    for (size_t i = 0; i < a_length && i < b_length; i++)
        if (a[i] != b[i]) {
            add_byte(a_text, of, i, a[i]);
            add_byte(b_text, of, i, b[i]);
            return;
        }
}

void ph_item_differ(const PhRecordItem *expected, const PhRecordItem *got, PhText *ret_expected,
                    PhText *ret_got)
{
    ph_item_describe(ret_expected, expected);
    ph_item_describe(ret_got, got);
    if (expected->kind != got->kind || strcmp(ret_expected->at, ret_got->at) != 0)
        return;
    if (expected->packet && got->packet)
        differ_bytes(expected->packet, expected->packet_length, got->packet, got->packet_length,
                     " of the datagram is ", ret_expected, ret_got);
    else
        differ_bytes(expected->bytes, expected->length, got->bytes, got->length, " of the item is ",
                     ret_expected, ret_got);
}
