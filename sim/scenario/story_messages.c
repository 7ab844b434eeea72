/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What nodes told each other, and what was heard of it. */
#include <string.h>

#include "scenario/story_private.h"

/* A step that told `to` something, and was done. */
static const PlStep *told_at(const PlStory *story, guint i, const PlNode *from, const PlNode *to)
{
    const PlStep *step = g_ptr_array_index(story->topology->steps, i);

    return step->kind == PL_STEP_TELL && step->node == from && step->peer == to && story->done_ns[i]
               ? step
               : NULL;
}

uint64_t pl_story_last_told(const PlStory *story, const PlNode *from, const PlNode *to)
{
    uint64_t last = 0;

    for (unsigned i = 0; i < story->topology->steps->len; i++)
        if (told_at(story, i, from, to))
            last = MAX(last, story->done_ns[i]);
    return last;
}

static gboolean is_greeting(const PlNode *from, const char *text)
{
    g_autofree char *greeting = pl_node_greeting(&from->program);

    return strcmp(greeting, text) == 0;
}

GArray *pl_story_lengths(const PlStory *story, const PlNode *from, const PlNode *to)
{
    GArray *lengths = g_array_new(FALSE, FALSE, sizeof(gsize));

    for (unsigned i = 0; i < story->topology->steps->len; i++) {
        const PlStep *step = told_at(story, i, from, to);
        gsize length = step ? strlen(step->message) : 0;

        if (step)
            g_array_append_val(lengths, length);
    }
    return lengths;
}

/* Borrowed, in the order in which they were told. */
static GPtrArray *texts_told(const PlStory *story, const PlNode *from, const PlNode *to)
{
    GPtrArray *texts = g_ptr_array_new();

    for (unsigned i = 0; i < story->topology->steps->len; i++) {
        const PlStep *step = told_at(story, i, from, to);

        if (step)
            g_ptr_array_add(texts, step->message);
    }
    return texts;
}

/* It is one that was not heard before, if there is one of these. */
static void count_heard(const GPtrArray *told, gboolean *heard, const char *text, guint *last,
                        PlStoryCounts *counts)
{
    gboolean known = FALSE;

    for (guint i = 0; i < told->len; i++) {
        if (strcmp(g_ptr_array_index(told, i), text) != 0)
            continue;
        known = TRUE;
        if (heard[i])
            continue;
        heard[i] = TRUE;
        counts->counts[PL_COUNT_HEARD]++;
        counts->counts[PL_COUNT_DISORDERED] += i + 1 < *last;
        *last = MAX(*last, i + 1);
        return;
    }
    if (known)
        counts->counts[PL_COUNT_DOUBLED]++;
    else
        counts->foreign = text;
}

void pl_story_count(const PlStory *story, const PlNode *from, const PlNode *to,
                    PlStoryCounts *ret_counts)
{
    const GPtrArray *all = story->said[to->index];
    g_autoptr(GPtrArray) told = texts_told(story, from, to);
    g_autofree gboolean *heard = g_new0(gboolean, told->len + 1);
    guint last = 0;

    *ret_counts = (PlStoryCounts){.told = told->len};
    for (guint i = 0; all && i < all->len; i++) {
        const PlSaid *said = g_ptr_array_index(all, i);

        if (said->kind != PL_SAID_HEARD || !from->program.name ||
            strcmp(said->peer, from->program.name) != 0)
            continue;
        if (!ret_counts->first_ns)
            ret_counts->first_ns = said->time_ns;
        if (!is_greeting(from, said->word))
            count_heard(told, heard, said->word, &last, ret_counts);
    }
    ret_counts->counts[PL_COUNT_LOST] = told->len - ret_counts->counts[PL_COUNT_HEARD];
    for (guint i = told->len; i-- > 0;)
        if (!heard[i])
            ret_counts->first_lost = g_ptr_array_index(told, i);
}

static const PlNode *node_named(const PlStory *story, const char *name)
{
    for (unsigned i = 0; i < story->topology->nodes->len; i++) {
        const PlNode *node = g_ptr_array_index(story->topology->nodes, i);

        if (node->program.word == PL_WORD_NODE && strcmp(node->program.name, name) == 0)
            return node;
    }
    return NULL;
}

GPtrArray *pl_story_heard(const PlStory *story, const PlNode *host)
{
    const GPtrArray *all = story->said[host->index];
    GPtrArray *lines = g_ptr_array_new_with_free_func(g_free);

    for (guint i = 0; all && i < all->len; i++) {
        const PlSaid *said = g_ptr_array_index(all, i);
        const PlNode *from = said->kind == PL_SAID_HEARD ? node_named(story, said->peer) : NULL;

        if (said->kind == PL_SAID_HEARD && !(from && is_greeting(from, said->word)))
            g_ptr_array_add(lines, g_strdup_printf("%s: %s", said->peer, said->word));
    }
    return lines;
}
