/* SPDX-License-Identifier: MIT */
/* What a node was given, out of a recording, given to the same core again. Whatever does not make
 * sense there leaves the reader broken. */
#include "node_private.h"
#include "replay_private.h"

static bool is_sound_place(const PhAddress *place)
{
    static const uint8_t none[12];

    if (place->reserved != 0 ||
        (place->family != PH_FAMILY_NONE && place->family != PH_FAMILY_IPV4 &&
         place->family != PH_FAMILY_IPV6))
        return false;
    return place->family != PH_FAMILY_IPV4 || memcmp(place->bytes + 4, none, sizeof(none)) == 0;
}

static bool has_sound_places(const PhNodeConfig *config)
{
    for (unsigned i = 0; i < PH_NODE_LOCALS; i++)
        if (!is_sound_place(&config->locals[i]))
            return false;
    return is_sound_place(&config->hub);
}

bool ph_replay_do_new(PhReplay *replay, Reader *reader, uint64_t now)
{
    uint8_t decisions[PH_SEED_BYTES];
    PhNodeConfig config;
    const char *what = "";
    bool secrets;

    if (take_number(reader, 2) != PH_RECORD_VERSION)
        return ph_replay_bad(replay, "a recording of another version", "");
    replay->kind = (PhRecordKind)take_number(reader, 1);
    secrets = replay->kind == PH_RECORD_SECRETS;
    replay->result.secrets = secrets;
    take_bytes(reader, replay->calls.public_key, sizeof(replay->calls.public_key));
    take_bytes(reader, decisions, sizeof(decisions));
    if (!secrets && replay->kind != PH_RECORD_DECISIONS)
        return ph_replay_bad(replay, "a recording that is of no kind", "");
    if (reader->broken || !ph_record_take_config(reader, &config, &what) ||
        !has_sound_places(&config))
        return ph_replay_bad(replay, "a configuration with a field that makes no sense: ", what);
    replay->tape.calls = &replay->calls;
    replay->node =
        ph_node_make(&config, secrets ? NULL : &replay->tape, secrets ? NULL : decisions, now);
    if (!replay->node)
        return ph_replay_bad(replay, "a configuration that no node can have", "");
    if (memcmp(replay->node->public_key, replay->calls.public_key, PH_NODE_KEY_BYTES) != 0)
        return ph_replay_bad(replay, "a secret key and a public one that do not belong together",
                             "");
    return true;
}

static uint32_t do_connect(PhReplay *replay, Reader *reader, uint64_t now)
{
    bool by_key = take_number(reader, 1) != 0;
    const uint8_t *key = by_key ? take(reader, PH_NODE_KEY_BYTES) : NULL, *bytes;
    char name[PH_NODE_NAME_MAX + 2] = {0};
    size_t length = (size_t)take_number(reader, 2);

    if (length != UINT16_MAX) {
        bytes = take(reader, length);
        if (!bytes || length >= sizeof(name)) {
            reader->broken = true;
            return 0;
        }
        memcpy(name, bytes, length);
    }
    if (reader->broken)
        return 0;
    return ph_node_do_connect(replay->node, length == UINT16_MAX ? NULL : name, key, now);
}

static uint32_t do_send(PhReplay *replay, Reader *reader, uint64_t now)
{
    static const uint8_t zeros[PH_NODE_MESSAGE_MAX + 1];
    uint32_t peer = (uint32_t)take_number(reader, 4);
    uint64_t length = take_number(reader, 8);
    const uint8_t *bytes = zeros;

    if (length > PH_NODE_MESSAGE_MAX)
        length = sizeof(zeros); /* too long is too long */
    else if (replay->kind == PH_RECORD_SECRETS)
        bytes = take(reader, (size_t)length);
    return !reader->broken && ph_node_do_send(replay->node, peer, bytes, (size_t)length, now);
}

static void do_network(PhReplay *replay, Reader *reader, uint64_t now)
{
    PhAddress locals[PH_NODE_LOCALS];
    uint32_t n = (uint32_t)take_number(reader, 1);

    if (n > PH_NODE_LOCALS)
        reader->broken = true;
    for (uint32_t i = 0; i < n && !reader->broken; i++) {
        take_place(reader, &locals[i]);
        if (!is_sound_place(&locals[i]))
            reader->broken = true;
    }
    if (!reader->broken)
        ph_node_do_network_changed(replay->node, locals, n, now);
}

static void do_hub(PhReplay *replay, Reader *reader, uint64_t now)
{
    PhAddress hub = {0};

    take_place(reader, &hub);
    if (!is_sound_place(&hub))
        reader->broken = true;
    if (!reader->broken)
        ph_node_do_hub_at(replay->node, &hub, now);
}

static void do_opened(PhReplay *replay, Reader *reader, uint64_t now)
{
    uint32_t socket = (uint32_t)take_number(reader, 4);
    PhAddress local = {0};

    take_place(reader, &local);
    if (!is_sound_place(&local))
        reader->broken = true;
    if (!reader->broken)
        ph_node_do_socket_opened(replay->node, socket, &local, now);
}

/* What of a datagram is not there was sealed, and is nobody's to look at. */
static uint32_t do_path(PhReplay *replay, Reader *reader, uint64_t now)
{
    PhPath path = {0};

    take_path(reader, &path);
    if (reader->broken || !is_sound_place(&path.remote)) {
        reader->broken = true;
        return 0;
    }
    if (replay->current == PH_ITEM_DATAGRAM)
        return ph_node_do_handle_datagram(replay->node, &path, replay->datagram,
                                          replay->datagram_length, now);
    ph_node_do_unreachable(replay->node, &path, now);
    return 0;
}

uint32_t ph_replay_do_input(PhReplay *replay, Reader *reader, uint64_t now)
{
    switch ((unsigned)replay->current) {
    case PH_ITEM_CLOSE:
        ph_node_do_close(replay->node, now);
        return 0;
    case PH_ITEM_CONNECT:
        return do_connect(replay, reader, now);
    case PH_ITEM_DISCONNECT:
        ph_node_do_disconnect(replay->node, (uint32_t)take_number(reader, 4), now);
        return 0;
    case PH_ITEM_SEND:
        return do_send(replay, reader, now);
    case PH_ITEM_NETWORK:
        do_network(replay, reader, now);
        return 0;
    case PH_ITEM_HUB:
        do_hub(replay, reader, now);
        return 0;
    case PH_ITEM_OPENED:
        do_opened(replay, reader, now);
        return 0;
    case PH_ITEM_FAILED:
        ph_node_do_socket_failed(replay->node, (uint32_t)take_number(reader, 4), now);
        return 0;
    case PH_ITEM_DATAGRAM:
    case PH_ITEM_UNREACHABLE:
        return do_path(replay, reader, now);
    case PH_ITEM_TIMEOUT:
        ph_node_do_handle_timeout(replay->node, now);
        return 0;
    default: /* NEW is done */
        return 0;
    }
}
