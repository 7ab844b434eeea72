/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A story against what is expected of it, and against the recording. */
#include <string.h>

#include "capture/told.h"
#include "scenario/paths.h"
#include "scenario/story_private.h"
#include "topology/units.h"

#define MS G_GUINT64_CONSTANT(1000000)
/* A message that went so shortly before a moment says which path was in use then. */
#define BEFORE_NS (2000 * MS)
/* Between what a node says and what it does. */
#define SLACK_NS (500 * MS)

typedef struct Judge {
    PlStory *story;
    const PlCapture *capture;
    PlVerdict *verdict;
} Judge;

/* ---- which way messages went ---- */

/* Two nodes whose messages are looked at. */
typedef struct Pair {
    const PlNode *from, *to;
    PlPathsQuery query;
    GArray *told; /* PlTold */
} Pair;

static void pair_clear(Pair *pair)
{
    pl_paths_query_clear(&pair->query);
    g_clear_pointer(&pair->told, g_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Pair, pair_clear)

static gboolean look_at(const Judge *judge, const PlNode *from, const PlNode *to, Pair *pair,
                        GError **error)
{
    g_autoptr(GArray) lengths = pl_story_lengths(judge->story, from, to);

    pair->from = from;
    pair->to = to;
    pl_paths_query_init(&pair->query, judge->story->topology, from, to);
    pair->told = pl_told_judge(judge->capture, &pair->query.query, lengths, error);
    return pair->told != NULL;
}

/* What the wire cannot tell apart is one: `direct` and `punched` are both straight. */
static gboolean went(const PlTold *told, const char *word)
{
    g_autofree char *relayed = NULL;

    switch (told->how) {
    case PL_TOLD_LOST:
        return g_str_has_prefix(word, "none");
    case PL_TOLD_STRAIGHT:
        return g_str_equal(word, "direct") || g_str_equal(word, "punched");
    case PL_TOLD_RELAYED:
        relayed = pl_path_word("relayed", told->relay->name);
        return pl_path_agrees(word, relayed) || g_str_equal(word, "relayed");
    }
    g_assert_not_reached();
}

static char *way_word(const PlTold *told)
{
    switch (told->how) {
    case PL_TOLD_LOST:
        return g_strdup("none");
    case PL_TOLD_STRAIGHT:
        return g_strdup("straight");
    case PL_TOLD_RELAYED:
        return pl_path_word("relayed", told->relay->name);
    }
    g_assert_not_reached();
}

typedef struct Observed {
    guint sent, arrived,
        agree; /* of those that arrived; or that were lost, where that is expected */
    const PlTold *last, *wrong; /* the last that arrived, else was lost; the first that disagrees */
} Observed;

static Observed observe(const Pair *pair, const char *expected, uint64_t from_ns, uint64_t to_ns)
{
    gboolean none = g_str_has_prefix(expected, "none");
    Observed seen = {0};

    for (guint i = 0; i < pair->told->len; i++) {
        const PlTold *told = &g_array_index(pair->told, PlTold, i);

        if (told->time_ns < from_ns || told->time_ns > to_ns)
            continue;
        seen.sent++;
        seen.arrived += told->how != PL_TOLD_LOST;
        if (told->how != PL_TOLD_LOST || !seen.last || seen.last->how == PL_TOLD_LOST)
            seen.last = told;
        if (told->how == PL_TOLD_LOST && !none)
            continue;
        if (went(told, expected))
            seen.agree++;
        else if (!seen.wrong)
            seen.wrong = told;
    }
    return seen;
}

/* Whether the recording agrees; *ret_word says what it shows. */
static gboolean is_observed(const Judge *judge, const Pair *pair, const PlExpect *expect,
                            char **ret_word)
{
    uint64_t from = pl_story_moment(judge->story, &expect->moments[0]);
    uint64_t to = pl_story_due(judge->story, expect);
    gboolean at = expect->when == PL_WHEN_AT;
    Observed seen = observe(pair, expect->value, at ? from - MIN(from, BEFORE_NS) : from, to);
    const PlTold *shown = at || !seen.wrong ? seen.last : seen.wrong;

    *ret_word = shown ? way_word(shown) : g_strdup("nothing (no message was told then)");
    if (!seen.last)
        return FALSE;
    if (at)
        return went(seen.last, expect->value);
    return expect->when == PL_WHEN_WITHIN ? seen.agree > 0 : seen.agree > 0 && !seen.wrong;
}

/* ---- what is expected at a time ---- */

static void judge_path(const Judge *judge, const PlExpect *expect, const Pair *pair)
{
    gboolean claimed = pl_story_claimed(judge->story, expect), observed;
    const char *word = pl_story_at(judge->story, expect->node, expect->peer, PL_SAID_PATH,
                                   pl_story_due(judge->story, expect));
    g_autofree char *seen = NULL;

    observed = is_observed(judge, pair, expect, &seen);
    if (!claimed || !observed)
        pl_verdict_reason(judge->verdict, PL_OUTCOME_FAIL,
                          "%s: expected %s, claimed %s%s, observed %s", expect->key, expect->value,
                          word ? word : "nothing", claimed ? "" : " at the end", seen);
}

/* Of HEALTH and REASON the wire knows nothing. */
static void judge_word(const Judge *judge, const PlExpect *expect)
{
    const char *word =
        pl_story_at(judge->story, expect->node, expect->peer, pl_story_kind(expect),
                    expect->when == PL_WHEN_END ? UINT64_MAX : pl_story_due(judge->story, expect));

    if (!pl_story_claimed(judge->story, expect))
        pl_verdict_reason(judge->verdict, PL_OUTCOME_FAIL, "%s: expected %s, claimed %s at the end",
                          expect->key, expect->value, word ? word : "nothing");
}

/* ---- numbers ---- */

/* To six digits, which a measured time has no more of. */
static char *format_time(uint64_t ns)
{
    return ns < PL_NS_PER_S ? g_strdup_printf("%.6gms", (double)ns / 1e6)
                            : g_strdup_printf("%.6gs", (double)ns / 1e9);
}

static void judge_number(const Judge *judge, const PlExpect *expect, uint64_t found,
                         const char *more)
{
    g_autofree char *time = format_time(found);
    g_autofree char *number = g_strdup_printf("%" G_GUINT64_FORMAT, found);
    gboolean is_time = expect->kind == PL_EXPECT_COUNT && expect->count == PL_COUNT_FIRST_BYTE;

    if (found < expect->least || found > expect->most)
        pl_verdict_reason(judge->verdict, PL_OUTCOME_FAIL, "%s: expected %s, found %s%s%s%s",
                          expect->key, expect->value, is_time ? time : number,
                          more ? " (the first is \"" : "", more ? more : "", more ? "\")" : "");
}

static void judge_counter(const Judge *judge, const PlExpect *expect)
{
    const PlStatus *status = pl_verdict_subject(judge->verdict, expect->node->name)->status;
    uint64_t value;

    if (status && pl_status_counter(status, expect->name, &value))
        judge_number(judge, expect, value, NULL);
    else
        pl_verdict_reason(judge->verdict, PL_OUTCOME_FAIL,
                          "%s: expected %s, but host %s has not said it", expect->key,
                          expect->value, expect->node->name);
}

static gboolean judge_count(const Judge *judge, const PlExpect *expect, const Pair *pair,
                            GError **error)
{
    PlStoryCounts counts;
    uint64_t first;

    pl_story_count(judge->story, expect->node, expect->peer, &counts);
    if (expect->count != PL_COUNT_FIRST_BYTE) {
        judge_number(judge, expect, counts.counts[expect->count],
                     expect->count == PL_COUNT_LOST ? counts.first_lost : NULL);
        return TRUE;
    }
    if (!pl_told_first(judge->capture, &pair->query.query, &first, error))
        return FALSE;
    if (!first || !counts.first_ns)
        pl_verdict_reason(judge->verdict, PL_OUTCOME_FAIL, "%s: expected %s, but nothing was %s",
                          expect->key, expect->value, first ? "heard" : "sent");
    else
        judge_number(judge, expect, counts.first_ns - MIN(first, counts.first_ns), NULL);
    return TRUE;
}

static gboolean judge_unasked(const Judge *judge, const PlExpect *expect, GError **error)
{
    g_auto(PlPathsQuery) query = {0};
    char text[PH_ADDRESS_TEXT_MAX];
    PhAddress first;
    guint packets;

    pl_paths_query_init(&query, judge->story->topology, expect->node, expect->node);
    if (!pl_path_unasked(judge->capture, &query.query.ends[0], &packets, &first, error))
        return FALSE;
    judge_number(judge, expect, packets, packets > 0 ? ph_address_format(&first, text) : NULL);
    return TRUE;
}

static void judge_hears(const Judge *judge, const PlExpect *expect)
{
    g_autoptr(GPtrArray) heard = pl_story_heard(judge->story, expect->node);
    guint n = g_strv_length(expect->hears);

    for (guint i = 0; i < MAX(n, heard->len); i++) {
        const char *line = i < heard->len ? g_ptr_array_index(heard, i) : NULL;

        if (i < n && line && strstr(line, expect->hears[i]))
            continue;
        pl_verdict_reason(judge->verdict, PL_OUTCOME_FAIL, "%s: message %u is %s%s%s (expected %s)",
                          expect->key, i + 1, line ? "\"" : "", line ? line : "missing",
                          line ? "\"" : "", i < n ? expect->hears[i] : "no more");
        return;
    }
}

static gboolean judge_expect(const Judge *judge, const PlExpect *expect, GError **error)
{
    g_auto(Pair) pair = {0};

    switch (expect->kind) {
    case PL_EXPECT_PATH:
        if (expect->when == PL_WHEN_END)
            return TRUE; /* judge.c does */
        if (!look_at(judge, expect->node, expect->peer, &pair, error))
            return FALSE;
        judge_path(judge, expect, &pair);
        return TRUE;
    case PL_EXPECT_HEALTH:
    case PL_EXPECT_REASON:
        judge_word(judge, expect);
        return TRUE;
    case PL_EXPECT_COUNT:
        return look_at(judge, expect->node, expect->peer, &pair, error) &&
               judge_count(judge, expect, &pair, error);
    case PL_EXPECT_COUNTER:
        judge_counter(judge, expect);
        return TRUE;
    case PL_EXPECT_UNASKED:
        return judge_unasked(judge, expect, error);
    case PL_EXPECT_HEARS:
        if (expect->node->program.word == PL_WORD_NODE)
            judge_hears(judge, expect);
        return TRUE;
    case PL_EXPECT_AXIS:
    case PL_EXPECT_EXIT:
    case PL_EXPECT_OUTPUT:
        return TRUE;
    }
    g_assert_not_reached();
}

/* ---- what nobody has to expect ---- */

/* Whether a node said at about that time that its messages go this way. */
static gboolean is_admitted(const Judge *judge, const Pair *pair, const PlTold *told)
{
    const PlExpect any = {.node = (PlNode *)pair->from, .peer = (PlNode *)pair->to};
    const GPtrArray *all = judge->story->said[pair->from->index];
    const char *word = pl_story_at(judge->story, any.node, any.peer, PL_SAID_PATH,
                                   told->time_ns - MIN(told->time_ns, SLACK_NS));

    if (word && went(told, word))
        return TRUE;
    for (guint i = 0; all && i < all->len; i++) {
        const PlSaid *said = g_ptr_array_index(all, i);

        if (said->kind == PL_SAID_PATH && strcmp(said->peer, any.peer->program.name) == 0 &&
            said->time_ns + SLACK_NS >= told->time_ns &&
            said->time_ns <= told->time_ns + SLACK_NS && went(told, said->word))
            return TRUE;
    }
    return FALSE;
}

static void check_ways(const Judge *judge, const Pair *pair)
{
    for (guint i = 0; i < pair->told->len; i++) {
        const PlTold *told = &g_array_index(pair->told, PlTold, i);
        g_autofree char *way = way_word(told);

        if (told->how == PL_TOLD_LOST || is_admitted(judge, pair, told))
            continue;
        pl_verdict_reason(judge->verdict, PL_OUTCOME_FAIL,
                          "host %s told %s something that went %s at %.3f s, and says otherwise",
                          pair->from->name, pair->to->name, way,
                          ((double)told->time_ns - (double)judge->story->start_ns) / 1e9);
        return;
    }
}

/* What is heard came by, once for each time; and somebody told it. */
static void check_heard(const Judge *judge, const Pair *pair)
{
    const char *from = pair->from->name, *to = pair->to->name;
    guint arrived = 0;
    PlStoryCounts counts;
    uint64_t heard;

    pl_story_count(judge->story, pair->from, pair->to, &counts);
    heard = counts.counts[PL_COUNT_HEARD] + counts.counts[PL_COUNT_DOUBLED];
    for (guint i = 0; i < pair->told->len; i++)
        arrived += g_array_index(pair->told, PlTold, i).how != PL_TOLD_LOST;
    if (counts.foreign)
        pl_verdict_reason(judge->verdict, PL_OUTCOME_FAIL,
                          "host %s says that it heard \"%s\" of %s, which nobody told", to,
                          counts.foreign, from);
    if (heard > arrived)
        pl_verdict_reason(judge->verdict, PL_OUTCOME_FAIL,
                          "host %s says that it heard %" G_GUINT64_FORMAT
                          " messages of %s, of which %u came to it",
                          to, heard, from, arrived);
}

/* Of a stream the first will do: the others begin with the same. */
static void check_plaintext(const Judge *judge)
{
    for (unsigned i = 0; i < judge->story->topology->steps->len; i++) {
        const PlStep *step = g_ptr_array_index(judge->story->topology->steps, i);
        g_autofree char *text = NULL;

        if (step->kind != PL_STEP_TELL || step->more)
            continue;
        text = g_strndup(step->message, step->text_length);
        if (pl_path_plaintext(judge->capture, text))
            pl_verdict_reason(judge->verdict, PL_OUTCOME_FAIL,
                              "what host %s tells %s in step %u can be read on the wire",
                              step->node->name, step->peer->name, step->number);
    }
}

static gboolean check_pair(const Judge *judge, const PlNode *from, const PlNode *to, GError **error)
{
    g_auto(Pair) pair = {0};

    if (!look_at(judge, from, to, &pair, error))
        return FALSE;
    check_ways(judge, &pair);
    check_heard(judge, &pair);
    return TRUE;
}

static gboolean check_pairs(const Judge *judge, GError **error)
{
    const GPtrArray *nodes = judge->story->topology->nodes;

    for (unsigned i = 0; nodes->len > 0 && i < nodes->len * nodes->len; i++) {
        const PlNode *from = g_ptr_array_index(nodes, i / nodes->len);
        const PlNode *to = g_ptr_array_index(nodes, i % nodes->len);

        if (from != to && from->program.word == PL_WORD_NODE && to->program.word == PL_WORD_NODE &&
            pl_story_last_told(judge->story, from, to) && !check_pair(judge, from, to, error))
            return FALSE;
    }
    return TRUE;
}

gboolean pl_story_judge(PlStory *story, const PlCapture *capture, PlVerdict *verdict,
                        GError **error)
{
    const Judge judge = {story, capture, verdict};

    for (unsigned i = 0; i < story->topology->nodes->len; i++) {
        const PlNode *host = g_ptr_array_index(story->topology->nodes, i);
        const char *output = pl_verdict_subject(verdict, host->name)->output;

        if (host->program.word == PL_WORD_NODE && output)
            pl_story_read(story, host, output);
    }
    for (unsigned i = 0; i < story->topology->expects->len; i++)
        if (!judge_expect(&judge, g_ptr_array_index(story->topology->expects, i), error))
            return FALSE;
    check_plaintext(&judge);
    return check_pairs(&judge, error);
}
