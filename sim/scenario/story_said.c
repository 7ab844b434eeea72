/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What nodes said of their peers, at which time. */
#include <string.h>

#include "scenario/story_private.h"

void pl_story_read(PlStory *story, const PlNode *host, const char *output)
{
    g_clear_pointer(&story->said[host->index], g_ptr_array_unref);
    story->said[host->index] = pl_said_read(output, story->topology, story->seed);
    story->marks[host->index] = (PlSaidMark){0};
}

void pl_story_read_on(PlStory *story, const PlNode *host, const char *output)
{
    GPtrArray **all = &story->said[host->index];

    if (!*all)
        pl_story_read(story, host, "");
    pl_said_read_on(*all, &story->marks[host->index], output, story->topology, story->seed);
}

static gboolean is_about(const PlSaid *said, PlSaidKind kind, const PlNode *peer)
{
    return said->kind == kind && strcmp(said->peer, peer->program.name) == 0;
}

/* When it was killed last, by then: whatever it had said is void. */
static uint64_t alive_since(const PlStory *story, const PlNode *host, uint64_t time_ns)
{
    uint64_t since = 0;

    for (unsigned i = 0; i < story->topology->steps->len; i++) {
        const PlStep *step = g_ptr_array_index(story->topology->steps, i);

        if (step->kind == PL_STEP_HOST_KILL && step->node == host && story->done_ns[i] <= time_ns)
            since = MAX(since, story->done_ns[i]);
    }
    return since;
}

const char *pl_story_at(const PlStory *story, const PlNode *host, const PlNode *peer,
                        PlSaidKind kind, uint64_t time_ns)
{
    const GPtrArray *all = story->said[host->index];
    const uint64_t since = alive_since(story, host, time_ns);
    const char *word = NULL;

    for (guint i = 0; all && i < all->len; i++) {
        const PlSaid *said = g_ptr_array_index(all, i);

        if (is_about(said, kind, peer) && said->time_ns >= since && said->time_ns <= time_ns)
            word = said->word;
    }
    return word;
}

/* From then on: the words that agree, and those that do not. */
static void tally(const PlStory *story, const PlExpect *expect, PlSaidKind kind,
                  PlStoryAgrees agrees, uint64_t from_ns, uint64_t to_ns, guint ret_n[static 2])
{
    const GPtrArray *all = story->said[expect->node->index];
    const char *before = pl_story_at(story, expect->node, expect->peer, kind, from_ns);

    ret_n[0] = ret_n[1] = 0;
    ret_n[before && agrees(expect->value, before)]++;
    for (guint i = 0; all && i < all->len; i++) {
        const PlSaid *said = g_ptr_array_index(all, i);

        if (is_about(said, kind, expect->peer) && said->time_ns > from_ns && said->time_ns <= to_ns)
            ret_n[agrees(expect->value, said->word)]++;
    }
}

gboolean pl_story_ever(const PlStory *story, const PlExpect *expect, PlSaidKind kind,
                       PlStoryAgrees agrees, uint64_t from_ns, uint64_t to_ns)
{
    guint n[2];

    tally(story, expect, kind, agrees, from_ns, to_ns, n);
    return n[TRUE] > 0;
}

gboolean pl_story_always(const PlStory *story, const PlExpect *expect, PlSaidKind kind,
                         PlStoryAgrees agrees, uint64_t from_ns, uint64_t to_ns)
{
    guint n[2];

    tally(story, expect, kind, agrees, from_ns, to_ns, n);
    return n[FALSE] == 0;
}

static gboolean is_same(const char *expected, const char *found)
{
    return strcmp(expected, found) == 0 ||
           (strcmp(expected, "not failed") == 0 && strcmp(found, "failed") != 0);
}

PlSaidKind pl_story_kind(const PlExpect *expect)
{
    if (expect->kind == PL_EXPECT_PATH)
        return PL_SAID_PATH;
    return expect->kind == PL_EXPECT_HEALTH ? PL_SAID_HEALTH : PL_SAID_REASON;
}

gboolean pl_story_claimed(const PlStory *story, const PlExpect *expect)
{
    gboolean path = expect->kind == PL_EXPECT_PATH;
    PlSaidKind kind = pl_story_kind(expect);
    PlStoryAgrees agrees = path ? pl_path_claim_agrees : is_same;
    uint64_t from = pl_story_moment(story, &expect->moments[0]);
    uint64_t to = pl_story_due(story, expect);

    switch (expect->when) {
    case PL_WHEN_END:
        return pl_story_always(story, expect, kind, agrees, UINT64_MAX, UINT64_MAX);
    case PL_WHEN_AT:
    case PL_WHEN_FROM: /* a step may be late, and then no time is left */
        return from <= to && pl_story_always(story, expect, kind, agrees, from, to);
    case PL_WHEN_WITHIN:
        return pl_story_ever(story, expect, kind, agrees, from, to);
    }
    g_assert_not_reached();
}
