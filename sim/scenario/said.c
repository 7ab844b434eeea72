/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a node says; see said.h. */
#include "scenario/said.h"

#include <string.h>

#include "scenario/engine.h"
#include "topology/identity.h"
#include "topology/units.h"

#define DEPTH_MAX      8 /* json-glib nests by recursion */
#define WORD_MAX_BYTES 64

const char *pl_said_string(JsonObject *object, const char *member)
{
    JsonNode *node = json_object_get_member(object, member);

    return node && json_node_get_value_type(node) == G_TYPE_STRING ? json_node_get_string(node)
                                                                   : NULL;
}

const char *pl_said_host(const PlTopology *topology, uint64_t seed, const char *key)
{
    for (unsigned i = 0; key && i < topology->nodes->len; i++) {
        const PlNode *host = g_ptr_array_index(topology->nodes, i);
        char text[PH_KEY_TEXT_MAX];
        PhKey own;

        if (host->program.word != PL_WORD_HUB && host->program.word != PL_WORD_NODE)
            continue;
        pl_host_key(host, seed, &own);
        ph_key_format_public(own.public_half, text);
        ph_key_wipe(&own);
        if (strcmp(text, key) == 0)
            return host->name;
    }
    return NULL;
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

JsonObject *pl_said_event(JsonParser *parser, const char *line)
{
    JsonNode *root;

    if (*line != '{' || !is_shallow(line) || !json_parser_load_from_data(parser, line, -1, NULL))
        return NULL;
    root = json_parser_get_root(parser);
    return JSON_NODE_HOLDS_OBJECT(root) && pl_said_string(json_node_get_object(root), "event")
               ? json_node_get_object(root)
               : NULL;
}

/* ---- all of it ---- */

typedef struct Reading {
    const PlTopology *topology;
    uint64_t seed;
    GPtrArray *all;
} Reading;

static void said_free(gpointer data)
{
    PlSaid *said = data;

    g_free(said->peer);
    g_free(said->word);
    g_free(said);
}

static gboolean read_time(JsonObject *object, uint64_t *ret_ns)
{
    const char *text = pl_said_string(object, "time");
    g_autoptr(GDateTime) time = text ? g_date_time_new_from_iso8601(text, NULL) : NULL;

    if (!time || g_date_time_to_unix(time) < 0)
        return FALSE;
    *ret_ns = (uint64_t)g_date_time_to_unix(time) * PL_NS_PER_S +
              (uint64_t)g_date_time_get_microsecond(time) * 1000;
    return TRUE;
}

/* Takes the word. */
static void add(const Reading *reading, PlSaidKind kind, uint64_t time_ns, const char *peer,
                char *word)
{
    PlSaid *said = g_new(PlSaid, 1);

    *said = (PlSaid){.kind = kind, .time_ns = time_ns, .peer = g_strdup(peer), .word = word};
    g_ptr_array_add(reading->all, said);
}

static char *path_word(const Reading *reading, JsonObject *object, const char *path)
{
    g_autofree char *kind = pl_printable(path, WORD_MAX_BYTES);
    const char *via = pl_said_string(object, "via");

    return pl_path_word(kind, strcmp(path, "relayed") == 0
                                  ? pl_said_host(reading->topology, reading->seed, via)
                                  : NULL);
}

static char *gone_word(JsonObject *object)
{
    const char *reason = pl_said_string(object, "reason");
    g_autofree char *shown = reason ? pl_printable(reason, WORD_MAX_BYTES) : NULL;

    return pl_path_word("none", shown);
}

static void read_event(const Reading *reading, JsonObject *object)
{
    const char *event = pl_said_string(object, "event"), *peer = pl_said_string(object, "peer");
    const char *path = pl_said_string(object, "path");
    const char *reason = pl_said_string(object, "reason");
    const char *health = pl_said_string(object, "health"), *text = pl_said_string(object, "text");
    gboolean is_path = strcmp(event, "peer-path") == 0, is_gone = strcmp(event, "peer-gone") == 0;
    gboolean is_health = strcmp(event, "health") == 0;
    uint64_t time_ns;

    if (!peer || !read_time(object, &time_ns))
        return;
    if (is_path && path)
        add(reading, PL_SAID_PATH, time_ns, peer, path_word(reading, object, path));
    if (is_gone)
        add(reading, PL_SAID_PATH, time_ns, peer, gone_word(object));
    if (reason && (is_path || is_gone || is_health))
        add(reading, PL_SAID_REASON, time_ns, peer, pl_printable(reason, WORD_MAX_BYTES));
    if (health && (is_path || is_health))
        add(reading, PL_SAID_HEALTH, time_ns, peer, pl_printable(health, WORD_MAX_BYTES));
    if (text && strcmp(event, "data") == 0)
        add(reading, PL_SAID_HEARD, time_ns, peer, g_strdup(text));
}

static void read_lines(const Reading *reading, const char *output)
{
    g_auto(GStrv) lines = g_strsplit(output, "\n", -1);
    g_autoptr(JsonParser) parser = json_parser_new_immutable();

    for (char **line = lines; *line; line++) {
        JsonObject *event = pl_said_event(parser, *line);

        if (event)
            read_event(reading, event);
    }
}

GPtrArray *pl_said_read(const char *output, const PlTopology *topology, uint64_t seed)
{
    const Reading reading = {topology, seed, g_ptr_array_new_with_free_func(said_free)};

    read_lines(&reading, output);
    return reading.all;
}

static gboolean goes_on(const PlSaidMark *mark, const char *output, gsize length)
{
    gsize known = MIN(mark->bytes, sizeof(mark->before));

    return length >= mark->bytes && memcmp(output + mark->bytes - known, mark->before, known) == 0;
}

void pl_said_read_on(GPtrArray *all, PlSaidMark *mark, const char *output,
                     const PlTopology *topology, uint64_t seed)
{
    const char *end = strrchr(output, '\n');
    gsize length = end ? (gsize)(end + 1 - output) : 0, known = MIN(length, sizeof(mark->before));
    const Reading reading = {topology, seed, all};
    g_autofree char *fresh = NULL;

    if (!goes_on(mark, output, length)) {
        g_ptr_array_set_size(all, 0);
        *mark = (PlSaidMark){0};
    }
    fresh = g_strndup(output + mark->bytes, length - mark->bytes);
    read_lines(&reading, fresh);
    mark->bytes = length;
    memcpy(mark->before, output + length - known, known);
}
