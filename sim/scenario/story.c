/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A story's clock, and waiting for what is expected of it. */
#include "scenario/story.h"

#include "scenario/story_private.h"

#define LOOK_NS (50 * G_GUINT64_CONSTANT(1000000))
/* What was told is heard by then, or lost. */
#define HEARD_NS (3 * G_GUINT64_CONSTANT(1000000000))

PlStory *pl_story_new(const PlTopology *topology, uint64_t seed)
{
    PlStory *story = g_new0(PlStory, 1);

    story->topology = topology;
    story->seed = seed;
    story->done_ns = g_new0(uint64_t, topology->steps->len + 1);
    story->said = g_new0(GPtrArray *, topology->nodes->len);
    story->marks = g_new0(PlSaidMark, topology->nodes->len);
    return story;
}

void pl_story_free(PlStory *story)
{
    if (!story)
        return;
    for (unsigned i = 0; i < story->topology->nodes->len; i++)
        g_clear_pointer(&story->said[i], g_ptr_array_unref);
    g_free(story->said);
    g_free(story->marks);
    g_free(story->done_ns);
    g_free(story);
}

void pl_story_begin(PlStory *story, uint64_t wall_ns)
{
    story->start_ns = wall_ns;
}

void pl_story_done(PlStory *story, guint step, uint64_t wall_ns)
{
    story->done_ns[step] = wall_ns;
}

GArray *pl_story_forgot(const PlStory *story, const GPtrArray *nats)
{
    GArray *times = g_array_new(FALSE, FALSE, sizeof(uint64_t));

    for (unsigned i = 0; i < story->topology->steps->len; i++) {
        const PlStep *step = g_ptr_array_index(story->topology->steps, i);
        gboolean forgets = step->kind == PL_STEP_NAT_FLUSH || step->kind == PL_STEP_NAT_REBOOT ||
                           step->kind == PL_STEP_NAT_ADDRESS;

        if (forgets && story->done_ns[i] && g_ptr_array_find((GPtrArray *)nats, step->node, NULL))
            g_array_append_val(times, story->done_ns[i]);
    }
    return times;
}

/* ---- when ---- */

uint64_t pl_story_moment(const PlStory *story, const PlMoment *moment)
{
    if (!moment->step)
        return story->start_ns + moment->ns;
    for (unsigned i = 0; i < story->topology->steps->len; i++) {
        const PlStep *step = g_ptr_array_index(story->topology->steps, i);

        if (step->number == moment->step)
            return story->done_ns[i] ? story->done_ns[i] : UINT64_MAX;
    }
    g_assert_not_reached(); /* the file was read */
}

uint64_t pl_story_due(const PlStory *story, const PlExpect *expect)
{
    uint64_t moment = pl_story_moment(story, &expect->moments[expect->when == PL_WHEN_FROM]);

    if (expect->when == PL_WHEN_END)
        return 0;
    return moment == UINT64_MAX ? UINT64_MAX : moment + expect->within_ns;
}

/* ---- waiting ---- */

/* Messages are waited for while some are missing. */
static uint64_t heard_due(const PlStory *story, const PlNode *from, const PlNode *to)
{
    PlStoryCounts counts;

    pl_story_count(story, from, to, &counts);
    return counts.counts[PL_COUNT_LOST] ? pl_story_last_told(story, from, to) + HEARD_NS : 0;
}

/* When it need not be waited for any longer; *ret_look: it may come true before. */
static uint64_t wait_for(const PlStory *story, const PlExpect *expect, gboolean *ret_look)
{
    uint64_t until = 0;

    *ret_look = TRUE;
    if (expect->kind == PL_EXPECT_COUNT)
        return heard_due(story, expect->node, expect->peer);
    if (expect->kind == PL_EXPECT_HEARS && expect->node->program.word == PL_WORD_NODE) {
        for (unsigned i = 0; i < story->topology->nodes->len; i++)
            until = MAX(until, heard_due(story, g_ptr_array_index(story->topology->nodes, i),
                                         expect->node));
        return until;
    }
    *ret_look = expect->when == PL_WHEN_WITHIN;
    return *ret_look && pl_story_claimed(story, expect) ? 0 : pl_story_due(story, expect);
}

static gboolean read_all(PlStory *story, const PlEngine *engine, PlLab *lab, GError **error)
{
    for (unsigned i = 0; i < story->topology->nodes->len; i++) {
        const PlNode *host = g_ptr_array_index(story->topology->nodes, i);
        PlProgramResult result = {0};

        if (host->program.word != PL_WORD_NODE)
            continue;
        if (!engine->result(lab, host, &result, error))
            return FALSE;
        pl_story_read_on(story, host, result.output);
        pl_program_result_clear(&result);
    }
    return TRUE;
}

gboolean pl_story_await(PlStory *story, const PlEngine *engine, PlLab *lab, GError **error)
{
    for (;;) {
        uint64_t now = engine->wall(lab), until = now;
        gboolean look = FALSE;

        if (!read_all(story, engine, lab, error))
            return FALSE;
        for (unsigned i = 0; i < story->topology->expects->len; i++) {
            gboolean this_look;
            uint64_t due =
                wait_for(story, g_ptr_array_index(story->topology->expects, i), &this_look);

            until = MAX(until, due);
            look |= this_look && due > now;
        }
        if (until == now)
            return TRUE;
        if (!engine->pass(lab, look ? MIN(until - now, LOOK_NS) : until - now, error))
            return FALSE;
    }
}
