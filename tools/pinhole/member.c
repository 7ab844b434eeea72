/* SPDX-License-Identifier: MIT */
#include "member.h"

#include <stdlib.h>
#include <string.h>

#include "state.h"
#include "stream.h"

G_STATIC_ASSERT(STREAM_PACKET == PH_NODE_MESSAGE_MAX);
G_STATIC_ASSERT(MEMBER_WHO_MAX >= PH_KEY_TEXT_MAX);

void member_entries(MemberOptions *options, GOptionEntry *ret_entries)
{
    const GOptionEntry entries[MEMBER_ENTRIES - CONTROL_ENTRIES] = {
        {"hub", 0, 0, G_OPTION_ARG_STRING, &options->hub, "The hub to register with",
         "KEY@HOST[:PORT]"},
        {"name", 'n', 0, G_OPTION_ARG_STRING, &options->name,
         "Have this name, by which others find this node", "NAME"},
        {"key", 'k', 0, G_OPTION_ARG_FILENAME, &options->key_file,
         "Have this secret key (default: a new one each time)", "FILE"},
        {"known-only", 0, 0, G_OPTION_ARG_NONE, &options->known_only,
         "Let nobody in whom this node does not look for itself", NULL},
        {"fast", 0, 0, G_OPTION_ARG_NONE, &options->fast,
         "Notice five times sooner that a path has failed", NULL},
        {"relay-only", 0, 0, G_OPTION_ARG_NONE, &options->relay_only, "Always go by the hub", NULL},
    };

    memcpy(ret_entries, entries, sizeof(entries));
    control_entries(&options->control, ret_entries + MEMBER_ENTRIES - CONTROL_ENTRIES);
}

void member_options_clear(MemberOptions *options)
{
    g_free(options->hub);
    g_free(options->name);
    g_free(options->key_file);
    g_free(options->record);
    control_options_clear(&options->control);
}

/* ---- opening ---- */

typedef struct Opening {
    PhPeersEvent event;
    gpointer data;
    PhPeers *peers;
    GError *error;
} Opening;

static void take_peers(GObject *object G_GNUC_UNUSED, GAsyncResult *result, gpointer data)
{
    Opening *opening = data;

    opening->peers = ph_peers_open_finish(result, opening->event, opening->data, &opening->error);
}

PhPeers *member_open(const MemberOptions *options, PhPeersEvent event, gpointer data,
                     int *ret_status)
{
    PhPeersConfig config = {
        .hub = options->hub,
        .name = options->name,
        .refuse_strangers = options->known_only,
        .fast_detector = options->fast,
        .relay_only = options->relay_only,
        .record = options->record,
        .record_secrets = options->record_secrets,
        .record_failed = options->record_failed,
        .relays = options->relay,
    };
    Opening opening = {.event = event, .data = data};
    g_autoptr(GError) error = NULL;
    PhKey key;

    if (options->key_file && !ph_key_load(options->key_file, &key, &error)) {
        *ret_status = command_fail_error(error);
        return NULL;
    }
    config.key = options->key_file ? &key : NULL;
    ph_peers_open_async(&config, NULL, take_peers, &opening);
    ph_key_wipe(&key);
    while (!opening.peers && !opening.error)
        g_main_context_iteration(NULL, TRUE);
    error = opening.error;
    if (error)
        *ret_status = command_fail_error(error);
    return opening.peers;
}

static void show_state(JsonBuilder *builder, gpointer data)
{
    state_show_node(builder, ph_peers_node(data));
}

Control *member_control(const MemberOptions *options, const char *kind, PhPeers *peers,
                        int *ret_status)
{
    return control_open(&options->control, kind, options->name, show_state, peers, ret_status);
}

/* ---- what all answer ---- */

gboolean member_answer(PhPeers *peers, const PhNodeEvent *event)
{
    uint8_t answer[STREAM_PACKET];
    size_t length = event->length;
    uint32_t id;

    if (stream_packet_id(event->bytes, length, &id)) {
        length = stream_refuse(id, answer);
        /* Or two that want none would refuse each other for ever. */
        if (event->length == length && memcmp(answer, event->bytes, length) == 0)
            return TRUE;
    } else if (length > 0 && event->bytes[0] == MEMBER_ECHO) {
        memcpy(answer, event->bytes, length);
        answer[0] = MEMBER_ECHOED;
    } else {
        return FALSE;
    }
    (void)ph_peers_send(peers, event->peer, answer, length);
    return TRUE;
}

/* ---- who is who ---- */

gboolean member_peer(PhPeers *peers, uint32_t number, PhNodePeer *ret_peer)
{
    for (uint32_t i = 0; ph_node_peer(ph_peers_node(peers), i, ret_peer); i++) {
        if (ret_peer->peer == number)
            return TRUE;
    }
    return FALSE;
}

uint32_t member_find(PhPeers *peers, const char *who)
{
    PhNodePeer peer;
    uint8_t key[PH_KEY_BYTES];
    gboolean by_key = ph_key_parse_public(who, key);

    for (uint32_t i = 0; ph_node_peer(ph_peers_node(peers), i, &peer); i++) {
        if (by_key ? memcmp(peer.key, key, sizeof(key)) == 0 : strcmp(peer.name, who) == 0)
            return peer.peer;
    }
    return 0;
}

const char *member_who(const char *name, const uint8_t *key, char buffer[static MEMBER_WHO_MAX])
{
    if (!*name)
        return ph_key_format_public(key, buffer);
    g_strlcpy(buffer, name, MEMBER_WHO_MAX);
    return buffer;
}

char *member_path(const PhNodePeer *peer)
{
    char text[PH_ADDRESS_TEXT_MAX];

    if (peer->address.family == PH_FAMILY_NONE)
        return g_strdup(ph_path_kind_name(peer->path));
    return g_strdup_printf("%s %s", ph_path_kind_name(peer->path),
                           ph_address_format(&peer->address, text));
}

int member_fail(PhPeers *peers, const char *who, const PhNodeEvent *event)
{
    const char *reason = event->reason ? event->reason : "unknown-reason";
    const char *sentence = event->sentence;
    PhNodeSelf self;

    ph_node_self(ph_peers_node(peers), &self);
    /* Then it is known by now why nobody answers. */
    if (strcmp(reason, "timeout") == 0 && self.nat_class == PH_CLASS_UDP_BLOCKED) {
        reason = ph_class_name(PH_CLASS_UDP_BLOCKED);
        sentence = ph_node_sentence(reason);
    }
    return command_fail(EXIT_FAILURE, "%s: %s: %s", who, reason,
                        sentence ? sentence : "Nobody says why.");
}
