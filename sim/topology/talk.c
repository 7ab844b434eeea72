/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What nodes do in steps: `connect`, `disconnect`, `tell` and `stream`. */
#include <string.h>

#include "topology/build.h"
#include "topology/units.h"

/* Shorter ones might stand in a packet by chance; a message has room for some more. */
#define TEXT_MIN 8
#define TEXT_MAX 1000
/* A PONG's kind, id and address (docs/protocol.md), less a text's kind and mark. */
#define PONG_IPV4 (1 + 8 + 7 - 2)
#define PONG_IPV6 (1 + 8 + 19 - 2)
/* More would be read by nobody. */
#define STREAM_MAX      10000
#define STREAM_EVERY_NS (PL_NS_PER_S / 1000)

static const char *const words[] = {"connect", "disconnect", "tell", "stream"};

gboolean pl_build_is_talk(const char *what)
{
    for (gsize i = 0; i < G_N_ELEMENTS(words); i++)
        if (strcmp(words[i], what) == 0)
            return TRUE;
    return FALSE;
}

char *pl_step_line(const PlStep *step)
{
    const char *peer = step->peer->program.name;

    if (step->kind == PL_STEP_TELL)
        return g_strdup_printf("send %s %s", peer, step->message);
    return g_strdup_printf("%s %s", step->kind == PL_STEP_CONNECT ? "connect" : "disconnect", peer);
}

static gboolean need_node(const PlIni *ini, const char *group, const PlNode *host, GError **error)
{
    return host->program.word == PL_WORD_NODE ||
           pl_ini_fail(ini, group, "do", error,
                       "host %s is no node (expected a host with run = node)", host->name);
}

static gboolean read_peer(const PlTopology *topology, const PlIni *ini, const char *group,
                          PlStep *step, const char *name, GError **error)
{
    step->peer = pl_topology_node(topology, name);
    if (!step->peer || step->peer->kind != PL_NODE_HOST)
        return pl_build_no_node(topology, ini, group, "do", "host", TRUE, FALSE, name, error);
    if (step->peer == step->node)
        return pl_ini_fail(ini, group, "do", error, "host %s and itself (expected another host)",
                           name);
    return need_node(ini, group, step->node, error) && need_node(ini, group, step->peer, error);
}

/* The recording tells what nodes say by its length: see capture/told.h. */
static gboolean check_length(const PlIni *ini, const char *group, const char *message,
                             GError **error)
{
    gsize length = strlen(message);

    return (length != PONG_IPV4 && length != PONG_IPV6) ||
           pl_ini_fail(ini, group, "do", error,
                       "\"%s\" has %zu bytes, as many as an answer to a ping (expected another "
                       "length)",
                       message, length);
}

static gboolean check_text(const PlIni *ini, const char *group, const char *text, GError **error)
{
    gsize length = strlen(text);

    return (length >= TEXT_MIN && length <= TEXT_MAX) ||
           pl_ini_fail(ini, group, "do", error, "the text has %zu bytes (expected %d to %d)",
                       length, TEXT_MIN, TEXT_MAX);
}

/* COUNT INTERVAL TEXT: the messages are "TEXT 1", "TEXT 2" and so on. */
static gboolean read_stream(PlTopology *topology, const PlIni *ini, const char *group, PlStep *step,
                            const char *rest, GError **error)
{
    g_autofree char *count = pl_build_word(&rest), *interval = pl_build_word(&rest);
    uint64_t n, every_ns;

    if (!pl_number_parse(count, 2, STREAM_MAX, &n) || !pl_duration_parse(interval, &every_ns) ||
        every_ns < STREAM_EVERY_NS)
        return pl_ini_fail(ini, group, "do", error,
                           "bad stream \"%s %s\" (expected COUNT INTERVAL TEXT: 2 to %d messages, "
                           "1ms apart or more)",
                           count, interval, STREAM_MAX);
    if (!check_text(ini, group, rest, error))
        return FALSE;
    step->message = g_strdup_printf("%s 1", rest);
    step->text_length = strlen(rest);
    if (!check_length(ini, group, step->message, error))
        return FALSE;
    for (uint64_t i = 2; i <= n; i++) {
        PlStep *more = g_new0(PlStep, 1);

        *more = (PlStep){
            .number = step->number,
            .at_ns = step->at_ns + (i - 1) * every_ns,
            .kind = PL_STEP_TELL,
            .node = step->node,
            .peer = step->peer,
            .message = g_strdup_printf("%s %" G_GUINT64_FORMAT, rest, i),
            .text_length = step->text_length,
            .more = TRUE,
            .text = g_strdup(step->text),
        };
        g_ptr_array_add(topology->steps, more);
        if (!check_length(ini, group, more->message, error))
            return FALSE;
    }
    return TRUE;
}

gboolean pl_build_talk(PlTopology *topology, const PlIni *ini, const char *group, PlStep *step,
                       const char *what, const char *rest, GError **error)
{
    g_autofree char *peer = pl_build_word(&rest);

    if (!read_peer(topology, ini, group, step, peer, error))
        return FALSE;
    if (strcmp(what, "stream") == 0 || strcmp(what, "tell") == 0) {
        step->kind = PL_STEP_TELL;
        if (*what == 's')
            return read_stream(topology, ini, group, step, rest, error);
        step->message = g_strdup(rest);
        step->text_length = strlen(rest);
        return check_text(ini, group, rest, error) && check_length(ini, group, rest, error);
    }
    step->kind = strcmp(what, "connect") == 0 ? PL_STEP_CONNECT : PL_STEP_DISCONNECT;
    return !*rest || pl_ini_fail(ini, group, "do", error,
                                 "bad step \"%s\" (expected nothing behind the peer)", step->text);
}
