/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From a node's lines to a path. */
#include "machine/peers.h"

#include <json-glib/json-glib.h>
#include <string.h>

#include "scenario/engine.h"
#include "topology/identity.h"
#include "topology/units.h"

#define DEPTH_MAX      8 /* json-glib nests by recursion */
#define WORD_MAX_BYTES 64

typedef struct State {
    const char *peer;
    const PlTopology *topology;
    uint64_t seed;
    char *path;       /* NULL: nothing is known of it */
    gboolean blocked; /* the node's own class */
    gboolean up;      /* it has a path */
} State;

static const char *string_of(JsonObject *object, const char *name)
{
    JsonNode *node = json_object_get_member(object, name);

    return node && json_node_get_value_type(node) == G_TYPE_STRING ? json_node_get_string(node)
                                                                   : NULL;
}

static const char *host_of(const State *state, const char *key)
{
    for (unsigned i = 0; key && i < state->topology->nodes->len; i++) {
        const PlNode *host = g_ptr_array_index(state->topology->nodes, i);
        char text[PH_KEY_TEXT_MAX];
        PhKey own;

        if (host->program.word != PL_WORD_HUB && host->program.word != PL_WORD_NODE)
            continue;
        pl_host_key(host, state->seed, &own);
        ph_key_format_public(own.public_half, text);
        ph_key_wipe(&own);
        if (strcmp(text, key) == 0)
            return host->name;
    }
    return NULL;
}

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
    const char *event = string_of(object, "event"), *path = string_of(object, "path");
    gboolean ours = g_strcmp0(string_of(object, "peer"), state->peer) == 0;

    if (g_strcmp0(event, "classified") == 0)
        state->blocked = g_strcmp0(string_of(object, "class"), "udp-blocked") == 0;
    else if (ours && g_strcmp0(event, "peer-gone") == 0)
        set_path(state, "none", string_of(object, "reason"));
    else if (ours && path && (g_str_equal(event, "peer-path") || g_str_equal(event, "peer-up")))
        set_path(state, path,
                 g_str_equal(path, "relayed") ? host_of(state, string_of(object, "via")) : NULL);
}

static gboolean is_shallow(const char *line)
{
    gboolean quoted = FALSE;
    int depth = 0;

    for (; *line && depth <= DEPTH_MAX; line++) {
        if (*line == '\\' && quoted && line[1])
            line++;
        else if (*line == '"')
            quoted = !quoted;
        else if (!quoted)
            depth += (*line == '{' || *line == '[') - (*line == '}' || *line == ']');
    }
    return depth <= DEPTH_MAX;
}

/* NULL: it is no event. The object is the parser's. */
static JsonObject *parse_event(JsonParser *parser, const char *line)
{
    JsonNode *root;

    if (*line != '{' || !is_shallow(line) || !json_parser_load_from_data(parser, line, -1, NULL))
        return NULL;
    root = json_parser_get_root(parser);
    return JSON_NODE_HOLDS_OBJECT(root) && string_of(json_node_get_object(root), "event")
               ? json_node_get_object(root)
               : NULL;
}

char *pl_peers_read(const char *output, const char *peer, const PlTopology *topology, uint64_t seed)
{
    g_auto(GStrv) lines = g_strsplit(output, "\n", -1);
    g_autoptr(JsonParser) parser = json_parser_new_immutable();
    State state = {.peer = peer, .topology = topology, .seed = seed};

    for (char **line = lines; *line; line++) {
        JsonObject *event = parse_event(parser, *line);

        if (event)
            read_event(&state, event);
    }
    if (state.blocked && !state.up)
        set_path(&state, "none", "udp-blocked");
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
        const char *path = peer ? string_of(peer, "path") : NULL;
        g_autofree char *word = NULL;

        if (!path)
            continue;
        word =
            pl_path_word(path, g_str_equal(path, "relayed") ? host_of(state, string_of(peer, "via"))
                               : g_str_equal(path, "none")  ? string_of(peer, "reason")
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
        JsonObject *event = parse_event(parser, lines[i]);

        if (!event || !g_str_equal(string_of(event, "event"), "status"))
            continue;
        name_paths(&state, event);
        return pl_status_from_json(event, NULL);
    }
    return NULL;
}
