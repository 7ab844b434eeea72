/* SPDX-License-Identifier: MIT */
/*
 * A node's surface: every call that changes it, and what a recording has of that. An item when it
 * begins, one when it ends, and in between what sessions were asked (session_tape.c).
 */
#include <sodium/utils.h>

#include "node_private.h"
#include "record_private.h"

typedef struct Entry {
    PhRecorder *recorder; /* NULL: nothing is recorded, or this call is part of another one */
    Writer writer;
    uint8_t bytes[PH_ITEM_MAX];
} Entry;

static bool begin(const PhNode *node, Entry *ret_entry)
{
    ret_entry->recorder =
        node->recorder && !ph_recorder_is_inside(node->recorder) ? node->recorder : NULL;
    if (!ret_entry->recorder)
        return false;
    ret_entry->writer = (Writer){.bytes = ret_entry->bytes, .room = PH_ITEM_MAX};
    return true;
}

static bool begin_input(const PhNode *node, Entry *ret_entry, uint64_t now)
{
    if (!begin(node, ret_entry))
        return false;
    put_number(&ret_entry->writer, now, 8);
    return true;
}

static void enter(Entry *entry, PhItemKind kind)
{
    ph_recorder_item(entry->recorder, kind, entry->bytes, entry->writer.length);
    ph_recorder_enter(entry->recorder, true);
    entry->writer.length = 0;
}

static void leave(Entry *entry, PhItemKind kind)
{
    ph_recorder_enter(entry->recorder, false);
    ph_recorder_item(entry->recorder, kind, entry->bytes, entry->writer.length);
}

void ph_node_put_end(const PhNode *node, Writer *writer, uint32_t result)
{
    put_number(writer, result, 4);
    put_number(writer, node->outgoing_n, 2);
    put_number(writer, node->events_n, 2);
    put_number(writer, ph_node_next_timeout(node), 8);
}

static void leave_input(const PhNode *node, Entry *entry, uint32_t result)
{
    ph_node_put_end(node, &entry->writer, result);
    leave(entry, PH_ITEM_END);
}

static bool has_secrets(const PhNode *node)
{
    return ph_recorder_kind(node->recorder) == PH_RECORD_SECRETS;
}

/* ---- from beginning to end ---- */

static void record_new(PhNode *node, const PhNodeConfig *config, uint64_t now)
{
    uint8_t decisions[PH_SEED_BYTES];
    Entry entry;

    if (!begin_input(node, &entry, now))
        return;
    put_number(&entry.writer, PH_RECORD_VERSION, 2);
    put_number(&entry.writer, config->record, 1);
    put(&entry.writer, node->public_key, sizeof(node->public_key));
    ph_node_decisions_seed(config, decisions);
    put(&entry.writer, decisions, sizeof(decisions));
    ph_record_put_config(&entry.writer, config, has_secrets(node));
    enter(&entry, PH_ITEM_NEW);
    leave_input(node, &entry, 0);
    sodium_memzero(&entry, sizeof(entry));
}

PhNode *ph_node_new(const PhNodeConfig *config, uint64_t now)
{
    PhTape tape = {.recorder = NULL};
    PhRecorder *recorder;
    PhNode *node;

    if (config->record == PH_RECORD_OFF)
        return ph_node_make(config, NULL, NULL, now);
    recorder = ph_recorder_new(config->record, config->name);
    if (!recorder)
        return NULL;
    tape.recorder = recorder;
    node = ph_node_make(config, config->record == PH_RECORD_DECISIONS ? &tape : NULL, NULL, now);
    if (!node) {
        ph_recorder_free(recorder);
        return NULL;
    }
    node->recorder = recorder;
    record_new(node, config, now);
    return node;
}

void ph_node_close(PhNode *node, uint64_t now)
{
    Entry entry;

    if (!begin_input(node, &entry, now)) {
        ph_node_do_close(node, now);
        return;
    }
    enter(&entry, PH_ITEM_CLOSE);
    ph_node_do_close(node, now);
    leave_input(node, &entry, 0);
}

/* ---- what the application wants ---- */

uint32_t ph_node_connect(PhNode *node, const char *name, const uint8_t *key, uint64_t now)
{
    size_t length = name ? strlen(name) : UINT16_MAX;
    Entry entry;
    uint32_t peer;

    if (!begin_input(node, &entry, now))
        return ph_node_do_connect(node, name, key, now);
    /* One that is too long is no better when it is cut. */
    if (name && length > PH_NODE_NAME_MAX + 1)
        length = PH_NODE_NAME_MAX + 1;
    put_number(&entry.writer, key != NULL, 1);
    if (key)
        put(&entry.writer, key, PH_NODE_KEY_BYTES);
    put_number(&entry.writer, length, 2);
    if (name)
        put(&entry.writer, name, length);
    enter(&entry, PH_ITEM_CONNECT);
    peer = ph_node_do_connect(node, name, key, now);
    leave_input(node, &entry, peer);
    return peer;
}

void ph_node_disconnect(PhNode *node, uint32_t peer, uint64_t now)
{
    Entry entry;

    if (!begin_input(node, &entry, now)) {
        ph_node_do_disconnect(node, peer, now);
        return;
    }
    put_number(&entry.writer, peer, 4);
    enter(&entry, PH_ITEM_DISCONNECT);
    ph_node_do_disconnect(node, peer, now);
    leave_input(node, &entry, 0);
}

bool ph_node_send(PhNode *node, uint32_t peer, const uint8_t *bytes, size_t length, uint64_t now)
{
    Entry entry;
    bool sent;

    if (!begin_input(node, &entry, now))
        return ph_node_do_send(node, peer, bytes, length, now);
    put_number(&entry.writer, peer, 4);
    put_number(&entry.writer, length, 8);
    if (has_secrets(node) && length <= PH_NODE_MESSAGE_MAX)
        put(&entry.writer, bytes, length);
    enter(&entry, PH_ITEM_SEND);
    sent = ph_node_do_send(node, peer, bytes, length, now);
    leave_input(node, &entry, sent);
    return sent;
}

/* ---- what the system tells ---- */

void ph_node_network_changed(PhNode *node, const PhAddress *locals, uint32_t n_locals, uint64_t now)
{
    Entry entry;

    if (!begin_input(node, &entry, now)) {
        ph_node_do_network_changed(node, locals, n_locals, now);
        return;
    }
    if (n_locals > PH_NODE_LOCALS)
        n_locals = PH_NODE_LOCALS; /* the others are not looked at */
    put_number(&entry.writer, n_locals, 1);
    for (uint32_t i = 0; i < n_locals; i++)
        put_place(&entry.writer, &locals[i]);
    enter(&entry, PH_ITEM_NETWORK);
    ph_node_do_network_changed(node, locals, n_locals, now);
    leave_input(node, &entry, 0);
}

void ph_node_hub_at(PhNode *node, const PhAddress *hub, uint64_t now)
{
    Entry entry;

    if (!begin_input(node, &entry, now)) {
        ph_node_do_hub_at(node, hub, now);
        return;
    }
    put_place(&entry.writer, hub);
    enter(&entry, PH_ITEM_HUB);
    ph_node_do_hub_at(node, hub, now);
    leave_input(node, &entry, 0);
}

void ph_node_socket_opened(PhNode *node, uint32_t socket, const PhAddress *local, uint64_t now)
{
    Entry entry;

    if (!begin_input(node, &entry, now)) {
        ph_node_do_socket_opened(node, socket, local, now);
        return;
    }
    put_number(&entry.writer, socket, 4);
    put_place(&entry.writer, local);
    ph_recorder_bound(entry.recorder, socket, local);
    enter(&entry, PH_ITEM_OPENED);
    ph_node_do_socket_opened(node, socket, local, now);
    leave_input(node, &entry, 0);
}

void ph_node_socket_failed(PhNode *node, uint32_t socket, uint64_t now)
{
    Entry entry;

    if (!begin_input(node, &entry, now)) {
        ph_node_do_socket_failed(node, socket, now);
        return;
    }
    put_number(&entry.writer, socket, 4);
    enter(&entry, PH_ITEM_FAILED);
    ph_node_do_socket_failed(node, socket, now);
    leave_input(node, &entry, 0);
}

bool ph_node_handle_datagram(PhNode *node, const PhPath *path, const uint8_t *bytes, size_t length,
                             uint64_t now)
{
    Entry entry;
    bool ours;

    if (!begin_input(node, &entry, now))
        return ph_node_do_handle_datagram(node, path, bytes, length, now);
    put_path(&entry.writer, path);
    ph_recorder_packet(
        entry.recorder, PH_ITEM_DATAGRAM, entry.bytes, entry.writer.length,
        &(PhRecordedPacket){
            .path = path, .bytes = bytes, .length = length, .wall_ns = node->config.wall_ns + now});
    ph_recorder_enter(entry.recorder, true);
    entry.writer.length = 0;
    ours = ph_node_do_handle_datagram(node, path, bytes, length, now);
    leave_input(node, &entry, ours);
    return ours;
}

void ph_node_unreachable(PhNode *node, const PhPath *path, uint64_t now)
{
    Entry entry;

    if (!begin_input(node, &entry, now)) {
        ph_node_do_unreachable(node, path, now);
        return;
    }
    put_path(&entry.writer, path);
    enter(&entry, PH_ITEM_UNREACHABLE);
    ph_node_do_unreachable(node, path, now);
    leave_input(node, &entry, 0);
}

void ph_node_handle_timeout(PhNode *node, uint64_t now)
{
    Entry entry;

    if (!begin_input(node, &entry, now)) {
        ph_node_do_handle_timeout(node, now);
        return;
    }
    enter(&entry, PH_ITEM_TIMEOUT);
    ph_node_do_handle_timeout(node, now);
    leave_input(node, &entry, 0);
}

/* ---- what it wants ---- */

void ph_record_put_request(Writer *writer, const PhSocketRequest *request)
{
    put_number(writer, request->kind, 1);
    put_number(writer, request->transport, 4);
    put_number(writer, request->socket, 4);
    put_number(writer, request->family, 1);
}

bool ph_node_poll_socket(PhNode *node, PhSocketRequest *ret_request)
{
    Entry entry;
    bool there;

    if (!begin(node, &entry))
        return ph_node_do_poll_socket(node, ret_request);
    enter(&entry, PH_ITEM_POLL_SOCKET);
    there = ph_node_do_poll_socket(node, ret_request);
    if (there)
        ph_record_put_request(&entry.writer, ret_request);
    leave(&entry, there ? PH_ITEM_SOCKET : PH_ITEM_NOTHING);
    return there;
}

bool ph_node_poll_transmit(PhNode *node, PhTransmit *ret_transmit)
{
    Entry entry;
    bool there;

    if (!begin(node, &entry))
        return ph_node_do_poll_transmit(node, ret_transmit);
    enter(&entry, PH_ITEM_POLL_TRANSMIT);
    there = ph_node_do_poll_transmit(node, ret_transmit);
    if (!there) {
        leave(&entry, PH_ITEM_NOTHING);
        return false;
    }
    ph_recorder_enter(entry.recorder, false);
    put_number(&entry.writer, node->now, 8);
    put_path(&entry.writer, &ret_transmit->path);
    put_number(&entry.writer, ret_transmit->ttl, 1);
    ph_recorder_packet(entry.recorder, PH_ITEM_TRANSMIT, entry.bytes, entry.writer.length,
                       &(PhRecordedPacket){.path = &ret_transmit->path,
                                           .bytes = ret_transmit->bytes,
                                           .length = ret_transmit->length,
                                           .wall_ns = node->config.wall_ns + node->now,
                                           .ttl = ret_transmit->ttl});
    return true;
}

void ph_record_put_event(Writer *writer, const PhNodeEvent *event, bool secrets)
{
    put_number(writer, event->kind, 1);
    put_number(writer, event->peer, 4);
    put(writer, event->key, sizeof(event->key));
    put_text(writer, event->name);
    put_number(writer, event->nat_class, 1);
    put_number(writer, event->path, 1);
    put(writer, event->via, sizeof(event->via));
    put_place(writer, &event->address);
    put_text(writer, event->health);
    put_text(writer, event->reason);
    put_text(writer, event->sentence);
    put(writer, event->mediator, sizeof(event->mediator));
    put_number(writer, event->attempt, 4);
    put_text(writer, event->strategy);
    put_text(writer, event->outcome);
    put_number(writer, event->took_ns, 8);
    put_number(writer, event->length, 2);
    if (secrets)
        put(writer, event->bytes, event->length);
}

bool ph_node_poll_event(PhNode *node, PhNodeEvent *ret_event)
{
    Entry entry;
    bool there;

    if (!begin(node, &entry))
        return ph_node_do_poll_event(node, ret_event);
    enter(&entry, PH_ITEM_POLL_EVENT);
    there = ph_node_do_poll_event(node, ret_event);
    if (there)
        ph_record_put_event(&entry.writer, ret_event, has_secrets(node));
    leave(&entry, there ? PH_ITEM_EVENT : PH_ITEM_NOTHING);
    return there;
}

bool ph_node_poll_record(PhNode *node, const uint8_t **ret_bytes, size_t *ret_length)
{
    return node->recorder && ph_recorder_poll(node->recorder, ret_bytes, ret_length);
}
