/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Private to this room: a story, one source file a part.
 *
 *   story.c           its clock, and waiting for what is expected
 *   story_said.c      what nodes said, at which time
 *   story_messages.c  what they told each other, and what was heard of it
 *   story_judge.c     against what is expected, and against the recording
 */
#pragma once

#include "scenario/said.h"
#include "scenario/story.h"

struct PlStory {
    const PlTopology *topology;
    uint64_t seed;
    uint64_t start_ns; /* when the last program was ready */
    uint64_t *done_ns; /* of each step; 0: it was not */
    GPtrArray **said;  /* of each node: PlSaid, NULL before it has been read */
    PlSaidMark *marks; /* how far */
};

/* UINT64_MAX: it has not come. */
uint64_t pl_story_moment(const PlStory *story, const PlMoment *moment);
/* The last time that an expectation can come true at; 0: it can at the end only. */
uint64_t pl_story_due(const PlStory *story, const PlExpect *expect);

/* story_said.c */
void pl_story_read(PlStory *story, const PlNode *host, const char *output);
/* The same of what is new in an output that grows. */
void pl_story_read_on(PlStory *story, const PlNode *host, const char *output);
/* What it said of a peer last, by then; NULL: nothing yet, or since it was killed. */
const char *pl_story_at(const PlStory *story, const PlNode *host, const PlNode *peer,
                        PlSaidKind kind, uint64_t time_ns);
typedef gboolean (*PlStoryAgrees)(const char *expected, const char *found);
/* Whether its word agreed at some time from `from_ns` to `to_ns`, or all that time. */
gboolean pl_story_ever(const PlStory *story, const PlExpect *expect, PlSaidKind kind,
                       PlStoryAgrees agrees, uint64_t from_ns, uint64_t to_ns);
gboolean pl_story_always(const PlStory *story, const PlExpect *expect, PlSaidKind kind,
                         PlStoryAgrees agrees, uint64_t from_ns, uint64_t to_ns);
/* What a PATH, HEALTH or REASON is about; and whether it came true, by what its node says alone. */
PlSaidKind pl_story_kind(const PlExpect *expect);
gboolean pl_story_claimed(const PlStory *story, const PlExpect *expect);

/* story_messages.c */
typedef struct PlStoryCounts {
    uint64_t counts[PL_COUNT_FIRST_BYTE];
    uint64_t told;
    const char *first_lost; /* borrowed; NULL: none */
    const char *foreign;    /* what was heard, and nobody told; NULL: nothing */
    uint64_t first_ns;      /* when the first was heard; 0: none was */
} PlStoryCounts;
void pl_story_count(const PlStory *story, const PlNode *from, const PlNode *to,
                    PlStoryCounts *ret_counts);
/* When the last was told; 0: none was. */
uint64_t pl_story_last_told(const PlStory *story, const PlNode *from, const PlNode *to);
/* gsize of each text. */
GArray *pl_story_lengths(const PlStory *story, const PlNode *from, const PlNode *to);
/* The lines that `hears` is about, "PEER: TEXT". */
GPtrArray *pl_story_heard(const PlStory *story, const PlNode *host);
