/* SPDX-License-Identifier: MIT */
/*
 * Whatever happened to a node, its recording replays to the same. That costs as much as all else,
 * so libFuzzer has a part of its inputs recorded only (RECORDED_ONE_OF); as a test, all are.
 */
#pragma once

#include <glib.h>
#include <pinhole/node.h>
#include <pinhole/replay.h>
#include <stdlib.h>

#ifndef RECORDED_ONE_OF
#define RECORDED_ONE_OF 1
#endif

/* An input always has the same said of it. */
static inline gboolean is_recorded(const guint8 *data, gsize size)
{
    guint32 hash = 2166136261U;

    for (gsize i = 0; i < size; i++)
        hash = (hash ^ data[i]) * 16777619U;
    return (hash >> 16) % RECORDED_ONE_OF == 0;
}

static inline void take_recorded(PhNode *node, GByteArray *recording)
{
    const guint8 *bytes;
    gsize length;

    while (ph_node_poll_record(node, &bytes, &length))
        g_byte_array_append(recording, bytes, (guint)length);
}

static inline void replay_recorded(const GByteArray *recording)
{
    PhReplay *replay = ph_replay_new();
    const PhReplayResult *result;
    PhReplayStep step;
    gsize at = 0;

    g_assert(replay);
    for (ph_replay_step(replay, &step); step.kind != PH_REPLAY_OVER;
         ph_replay_step(replay, &step)) {
        if (step.kind != PH_REPLAY_MORE)
            continue;
        if (at == recording->len)
            ph_replay_end(replay);
        at += ph_replay_feed(replay, recording->data + at, recording->len - at);
    }
    result = ph_replay_result(replay);
    if (result->verdict != PH_REPLAY_SAME) {
        /* What libFuzzer notices, and keeps the input of, is abort. */
        g_printerr("%s: %s, %s; %s\n", ph_replay_verdict_name(result->verdict), result->expected,
                   result->got, result->problem);
        abort();
    }
    ph_replay_free(replay);
}
