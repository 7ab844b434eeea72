/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What happens to nodes, and when: the file's expectations with a time, of what they tell each
 * other, and of what they count. A node's word is set against the recording: which way its messages
 * went, and that nobody could read them.
 */
#pragma once

#include "capture/pcapng.h"
#include "scenario/engine.h"
#include "scenario/verdict.h"

typedef struct PlStory PlStory;

PlStory *pl_story_new(const PlTopology *topology, uint64_t seed);
void pl_story_free(PlStory *story); /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PlStory, pl_story_free)

/* When the last program was ready, and when a step (by its place in the topology) was done: by the
 * clock of captures. */
void pl_story_begin(PlStory *story, uint64_t wall_ns);
void pl_story_done(PlStory *story, guint step, uint64_t wall_ns);

/* When steps had one of these NATs (PlNode) forget its mappings: uint64_t, in a new array. */
GArray *pl_story_forgot(const PlStory *story, const GPtrArray *nats);

/* Lets time pass until all that is expected has come true, or can no longer. */
gboolean pl_story_await(PlStory *story, const PlEngine *engine, PlLab *lab, GError **error);

/* Adds a reason for each thing that is not as it should be. The programs' output has to be in the
 * verdict; the capture is borrowed. */
gboolean pl_story_judge(PlStory *story, const PlCapture *capture, PlVerdict *verdict,
                        GError **error);
