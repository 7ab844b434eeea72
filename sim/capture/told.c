/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which way messages went between two hosts; see told.h. */
#include "capture/told.h"

#include <string.h>

#include "capture/path_private.h"

typedef struct Judge {
    const PlPathQuery *query;
    GArray *passed; /* PlPassed */
    GArray *taken;  /* gboolean, of each: it is a message's already */
} Judge;

static const PlPassed *passed_at(const Judge *judge, guint i)
{
    return &g_array_index(judge->passed, PlPassed, i);
}

static gboolean has_length(const GArray *lengths, gsize around, gsize length)
{
    for (guint i = 0; i < lengths->len; i++)
        if (g_array_index(lengths, gsize, i) + around == length)
            return TRUE;
    return FALSE;
}

static const PlPathRelay *relay_at(const Judge *judge, const PhAddress *address)
{
    for (guint i = 0; i < judge->query->n_relays; i++)
        if (pl_path_has_address(judge->query->relays[i].addresses, address))
            return &judge->query->relays[i];
    return NULL;
}

/* Whether `in` is what became of `out`: the same packet or, by a relay, one of the same length. */
static gboolean is_it(const PlPassed *out, const PlPassed *in, const PlPathRelay *relay)
{
    if (in->end != 1 || in->outgoing || in->packet.mark_length != out->packet.mark_length)
        return FALSE;
    if (relay)
        return pl_path_has_address(relay->addresses, &in->packet.source);
    return memcmp(in->packet.mark, out->packet.mark, out->packet.mark_length) == 0;
}

static gboolean arrives(const Judge *judge, guint sent, const PlPathRelay *relay)
{
    const PlPassed *out = passed_at(judge, sent);
    const uint64_t limit = relay ? RELAY_MAX_NS : PASSAGE_MAX_NS;

    for (guint i = sent + 1; i < judge->passed->len; i++) {
        const PlPassed *in = passed_at(judge, i);
        gboolean *taken = &g_array_index(judge->taken, gboolean, i);

        if (in->time_ns > out->time_ns + limit)
            break;
        if (*taken || !is_it(out, in, relay))
            continue;
        *taken = TRUE;
        return TRUE;
    }
    return FALSE;
}

static void judge_sent(const Judge *judge, guint sent, const GArray *lengths, GArray *found)
{
    const PlPassed *out = passed_at(judge, sent);
    const PlPathRelay *relay = relay_at(judge, &out->packet.destination);
    PlTold told = {.time_ns = out->time_ns, .relay = relay};

    if (out->end != 0 || !out->outgoing ||
        !has_length(lengths, PL_TOLD_AROUND + (relay ? PL_TOLD_AROUND_RELAY : 0),
                    out->packet.mark_length))
        return;
    if (arrives(judge, sent, relay))
        told.how = relay ? PL_TOLD_RELAYED : PL_TOLD_STRAIGHT;
    g_array_append_val(found, told);
}

static gint by_time(gconstpointer a, gconstpointer b)
{
    const PlPassed *left = a, *right = b;

    return (left->time_ns > right->time_ns) - (left->time_ns < right->time_ns);
}

GArray *pl_told_judge(const PlCapture *capture, const PlPathQuery *query, const GArray *lengths,
                      GError **error)
{
    g_autoptr(GArray) passed = g_array_new(FALSE, FALSE, sizeof(PlPassed));
    g_autoptr(GArray) taken = g_array_new(FALSE, TRUE, sizeof(gboolean));
    const Judge judge = {query, passed, taken};
    GArray *found;

    if (!pl_path_collect(capture, query, passed, error))
        return NULL;
    g_array_sort(passed, by_time);
    g_array_set_size(taken, passed->len);
    found = g_array_new(FALSE, FALSE, sizeof(PlTold));
    for (guint i = 0; i < passed->len; i++)
        judge_sent(&judge, i, lengths, found);
    return found;
}

gboolean pl_told_first(const PlCapture *capture, const PlPathQuery *query, uint64_t *ret_ns,
                       GError **error)
{
    g_autoptr(GArray) passed = g_array_new(FALSE, FALSE, sizeof(PlPassed));

    *ret_ns = 0;
    if (!pl_path_collect(capture, query, passed, error))
        return FALSE;
    for (guint i = 0; i < passed->len; i++) {
        const PlPassed *one = &g_array_index(passed, PlPassed, i);

        if (one->end == 0 && one->outgoing && (*ret_ns == 0 || one->time_ns < *ret_ns))
            *ret_ns = one->time_ns;
    }
    return TRUE;
}
