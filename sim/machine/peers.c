/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From a node's lines to a path. */
#include "machine/peers.h"

#include <string.h>

#include "scenario/engine.h"
#include "scenario/said.h"
#include "topology/units.h"

#define WORD_MAX_BYTES 64

typedef struct State {
    const char *peer;
    const PlTopology *topology;
    uint64_t seed;
    char *path;       /* NULL: nothing is known of it */
    gboolean blocked; /* the node's own class */
    gboolean up;      /* it has a path */
    gboolean final;   /* and looks for no other one */
} State;

static void set_path(State *state, const char *kind, const char *detail)
{
    g_autofree char *shown_kind = pl_printable(kind, WORD_MAX_BYTES);
    g_autofree char *shown = detail ? pl_printable(detail, WORD_MAX_BYTES) : NULL;

    g_free(state->path);
    state->path = pl_path_word(shown_kind, shown);
    state->up = strcmp(kind, "none") != 0;
}

static void read_event(State *state, JsonObject *object)
{
    const char *event = pl_said_string(object, "event"), *path = pl_said_string(object, "path");
    const char *reason = pl_said_string(object, "reason");

    if (g_strcmp0(event, "classified") == 0)
        state->blocked = g_strcmp0(pl_said_string(object, "class"), "udp-blocked") == 0;
    if (g_strcmp0(pl_said_string(object, "peer"), state->peer) != 0)
        return;
    if (g_strcmp0(event, "peer-gone") == 0)
        set_path(state, "none", reason);
    else if (path && (g_str_equal(event, "peer-path") || g_str_equal(event, "peer-up")))
        set_path(state, path,
                 g_str_equal(path, "relayed")
                     ? pl_said_host(state->topology, state->seed, pl_said_string(object, "via"))
                     : NULL);
    else
        return;
    state->final = pl_path_is_final(path, reason);
}

char *pl_peers_read(const char *output, const char *peer, const PlTopology *topology, uint64_t seed,
                    gboolean *ret_final)
{
    g_auto(GStrv) lines = g_strsplit(output, "\n", -1);
    g_autoptr(JsonParser) parser = json_parser_new_immutable();
    State state = {.peer = peer, .topology = topology, .seed = seed};

    for (char **line = lines; *line; line++) {
        JsonObject *event = pl_said_event(parser, *line);

        if (event)
            read_event(&state, event);
    }
    if (state.blocked && !state.up)
        set_path(&state, "none", "udp-blocked");
    *ret_final = state.final;
    return state.path;
}

/* ---- its status ---- */

/* A path is a word of two members, and of whose key it is by. */
static void name_paths(const State *state, JsonObject *status)
{
    JsonNode *peers = json_object_get_member(status, "peers");
    JsonArray *list = peers && JSON_NODE_HOLDS_ARRAY(peers) ? json_node_get_array(peers) : NULL;

    for (guint i = 0; list && i < json_array_get_length(list); i++) {
        JsonNode *node = json_array_get_element(list, i);
        JsonObject *peer = JSON_NODE_HOLDS_OBJECT(node) ? json_node_get_object(node) : NULL;
        const char *path = peer ? pl_said_string(peer, "path") : NULL;
        g_autofree char *word = NULL;

        if (!path)
            continue;
        word = pl_path_word(
            path, g_str_equal(path, "relayed")
                      ? pl_said_host(state->topology, state->seed, pl_said_string(peer, "via"))
                  : g_str_equal(path, "none") ? pl_said_string(peer, "reason")
                                              : NULL);
        json_object_set_string_member(peer, "path", word);
    }
}

PlStatus *pl_peers_status(const char *output, const PlTopology *topology, uint64_t seed)
{
    g_auto(GStrv) lines = g_strsplit(output, "\n", -1);
    g_autoptr(JsonParser) parser = json_parser_new();
    const State state = {.topology = topology, .seed = seed};

    for (guint i = g_strv_length(lines); i-- > 0;) {
        JsonObject *event = pl_said_event(parser, lines[i]);

        if (!event || !g_str_equal(pl_said_string(event, "event"), "status"))
            continue;
        name_paths(&state, event);
        return pl_status_from_json(event, NULL);
    }
    return NULL;
}
