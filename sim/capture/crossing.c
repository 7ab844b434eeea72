/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Finds each packet's image on the other side. Packets that could still cross lie on stacks, one
 * stack for all that look alike (outbound: the same destination, payload and IP identification;
 * inbound: the same source). A packet that looks like one on a stack of the other side is its
 * image: that of the nearest in time, since one that had been dropped before lies deeper (a program
 * that asks again sends the same bytes).
 *
 * Several that lie close together and have different addresses are told apart by what unmistakable
 * packets have shown before; where that does not help, all of them are unsure.
 */
#include "capture/crossing.h"

#include <string.h>

#include "capture/ends.h"

#define TRANSIT_MAX_NS (2 * G_GUINT64_CONSTANT(1000000000))
#define RIVAL_NS       (50 * G_GUINT64_CONSTANT(1000000))
/* How deep to look for rivals, so that a flood of equal packets costs no square of time. */
#define RIVALS_MAX 64

typedef struct Pairing {
    GArray *seen;
    GHashTable *outbound; /* of PlSeen seen inside: index + 1 of the newest */
    GHashTable *inbound;  /* the same of those seen outside */
    PlEnds *bound;        /* (inside, external) and (inside, external, remote) */
} Pairing;

guint pl_seen_mark_hash(gconstpointer data)
{
    const PlPacket *packet = &((const PlSeen *)data)->packet;
    guint seed = packet->protocol ^ (guint)packet->ip_id << 8;

    return pl_ends_hash(packet->mark, packet->mark_length, seed);
}

gboolean pl_seen_mark_equal(gconstpointer left, gconstpointer right)
{
    const PlPacket *a = &((const PlSeen *)left)->packet, *b = &((const PlSeen *)right)->packet;

    return a->protocol == b->protocol && a->ip_id == b->ip_id && a->mark_length == b->mark_length &&
           (a->mark_length == 0 || memcmp(a->mark, b->mark, a->mark_length) == 0);
}

static guint address_hash(const PhAddress *address)
{
    return pl_ends_hash(address->bytes, sizeof(address->bytes), address->port);
}

static guint outbound_hash(gconstpointer data)
{
    return pl_seen_mark_hash(data) ^ address_hash(&((const PlSeen *)data)->packet.destination);
}

static gboolean outbound_equal(gconstpointer a, gconstpointer b)
{
    return ph_address_equal(&((const PlSeen *)a)->packet.destination,
                            &((const PlSeen *)b)->packet.destination) &&
           pl_seen_mark_equal(a, b);
}

static guint inbound_hash(gconstpointer data)
{
    return pl_seen_mark_hash(data) ^ address_hash(&((const PlSeen *)data)->packet.source);
}

static gboolean inbound_equal(gconstpointer a, gconstpointer b)
{
    return ph_address_equal(&((const PlSeen *)a)->packet.source,
                            &((const PlSeen *)b)->packet.source) &&
           pl_seen_mark_equal(a, b);
}

/* The address that a translation changes: this packet's, on its own side. */
static const PhAddress *changing(const PlSeen *seen, gboolean outbound)
{
    return outbound ? &seen->packet.source : &seen->packet.destination;
}

/* How much speaks for `candidate` as the first half of `image`. */
static int rank(const Pairing *pairing, const PlSeen *candidate, const PlSeen *image,
                gboolean outbound)
{
    const PlSeen *inner = outbound ? candidate : image, *outer = outbound ? image : candidate;
    const PhAddress *inside = changing(inner, outbound), *external = changing(outer, outbound);
    const PhAddress *remote = outbound ? &image->packet.destination : &image->packet.source;

    if (ph_address_equal(inside, external))
        return 3;
    if (pl_ends_find(pairing->bound, inside, external, remote))
        return 2;
    return pl_ends_find(pairing->bound, inside, external, NULL) ? 1 : 0;
}

static void bind(Pairing *pairing, const PlSeen *inner, const PlSeen *outer, gboolean outbound)
{
    const PhAddress *inside = changing(inner, outbound), *external = changing(outer, outbound);
    const PhAddress *remote = outbound ? &outer->packet.destination : &outer->packet.source;

    pl_ends_need(pairing->bound, 1, inside, external, NULL, NULL);
    pl_ends_need(pairing->bound, 1, inside, external, remote, NULL);
}

/* The topmost packet of a stack that has no partner yet and is recent enough; PL_NO_PARTNER: none.
 */
static guint top(const Pairing *pairing, GHashTable *stacks, const PlSeen *image)
{
    guint index = GPOINTER_TO_UINT(g_hash_table_lookup(stacks, image));

    index = index ? index - 1 : PL_NO_PARTNER;
    while (index != PL_NO_PARTNER) {
        const PlSeen *seen = pl_seen(pairing->seen, index);

        if (image->time_ns - seen->time_ns > TRANSIT_MAX_NS)
            return PL_NO_PARTNER;
        if (seen->partner == PL_NO_PARTNER)
            return index;
        index = seen->below;
    }
    return PL_NO_PARTNER;
}

static void push(Pairing *pairing, GHashTable *stacks, guint index)
{
    PlSeen *seen = pl_seen(pairing->seen, index);

    seen->below = top(pairing, stacks, seen);
    g_hash_table_insert(stacks, seen, GUINT_TO_POINTER(index + 1));
}

/* Whether a packet lies close enough to the nearest one to be mistaken for it. */
static gboolean rivals(const Pairing *pairing, guint nearest, guint index, guint n)
{
    return index != PL_NO_PARTNER && n < RIVALS_MAX &&
           pl_seen(pairing->seen, nearest)->time_ns - pl_seen(pairing->seen, index)->time_ns <=
               RIVAL_NS;
}

/* Nothing tells `best` from some others: none of them is evidence. */
static void doubt(Pairing *pairing, guint nearest, guint best, int best_rank, PlSeen *image,
                  gboolean outbound)
{
    const PhAddress *address = changing(pl_seen(pairing->seen, best), outbound);
    PlSeen *candidate;
    guint n = 0;

    for (guint at = nearest; rivals(pairing, nearest, at, n); at = candidate->below, n++) {
        candidate = pl_seen(pairing->seen, at);
        if (candidate->partner == PL_NO_PARTNER &&
            !ph_address_equal(changing(candidate, outbound), address) &&
            rank(pairing, candidate, image, outbound) == best_rank)
            candidate->unsure = image->unsure = TRUE;
    }
}

/* Finds the first half among those that lie close together. */
static guint choose(Pairing *pairing, GHashTable *stacks, PlSeen *image, gboolean outbound)
{
    guint nearest = top(pairing, stacks, image), best = nearest, n = 0;
    const PlSeen *candidate;
    int best_rank = -1;

    if (nearest == PL_NO_PARTNER)
        return PL_NO_PARTNER;
    for (guint at = nearest; rivals(pairing, nearest, at, n); at = candidate->below, n++) {
        int candidate_rank;

        candidate = pl_seen(pairing->seen, at);
        if (candidate->partner != PL_NO_PARTNER)
            continue;
        candidate_rank = rank(pairing, candidate, image, outbound);
        if (candidate_rank > best_rank) {
            best_rank = candidate_rank;
            best = at;
        }
    }
    if (n > 1)
        doubt(pairing, nearest, best, best_rank, image, outbound);
    return best;
}

/* Tries to make packet `index` the second half of a crossing. */
static gboolean match(Pairing *pairing, guint index)
{
    PlSeen *image = pl_seen(pairing->seen, index), *first;
    gboolean outbound = image->outside;
    GHashTable *stacks = outbound ? pairing->outbound : pairing->inbound;
    guint chosen = choose(pairing, stacks, image, outbound), next;

    if (chosen == PL_NO_PARTNER)
        return FALSE;
    first = pl_seen(pairing->seen, chosen);
    first->unsure |= image->unsure;
    image->unsure |= first->unsure;
    first->partner = index;
    image->partner = chosen;
    next = top(pairing, stacks, image);
    g_hash_table_insert(stacks, first, next == PL_NO_PARTNER ? NULL : GUINT_TO_POINTER(next + 1));
    first->outbound = image->outbound = outbound;
    if (!image->unsure)
        bind(pairing, outbound ? first : image, outbound ? image : first, outbound);
    return TRUE;
}

static void pair(GArray *seen)
{
    Pairing pairing = {
        .seen = seen,
        .outbound = g_hash_table_new(outbound_hash, outbound_equal),
        .inbound = g_hash_table_new(inbound_hash, inbound_equal),
        .bound = pl_ends_new(),
    };

    for (guint i = 0; i < seen->len; i++)
        if (!match(&pairing, i))
            push(&pairing, pl_seen(seen, i)->outside ? pairing.inbound : pairing.outbound, i);
    g_hash_table_unref(pairing.outbound);
    g_hash_table_unref(pairing.inbound);
    g_hash_table_unref(pairing.bound);
}

static gboolean has_interface(const PlCapture *capture, const char *name, GError **error)
{
    for (guint i = 0; i < capture->interfaces->len; i++)
        if (strcmp(g_array_index(capture->interfaces, PlCaptureInterface, i).name, name) == 0)
            return TRUE;
    g_set_error(error, PL_ERROR, PL_ERROR_INPUT, "the capture has no interface %s", name);
    return FALSE;
}

GArray *pl_crossings(const PlCapture *capture, const char *inside, const char *outside,
                     GError **error)
{
    g_autoptr(GArray) seen = NULL;
    gboolean two = strcmp(inside, outside) != 0;

    if (!has_interface(capture, inside, error) || !has_interface(capture, outside, error))
        return NULL;
    seen = g_array_new(FALSE, FALSE, sizeof(PlSeen));
    for (guint i = 0; i < capture->frames->len; i++) {
        const PlFrame *frame = &g_array_index(capture->frames, PlFrame, i);
        const PlCaptureInterface *interface =
            &g_array_index(capture->interfaces, PlCaptureInterface, frame->interface);
        PlSeen entry = {.time_ns = frame->time_ns,
                        .partner = PL_NO_PARTNER,
                        .below = PL_NO_PARTNER,
                        .outside = strcmp(interface->name, outside) == 0};

        if (interface->link_type == 1 /* Ethernet */ &&
            (entry.outside || strcmp(interface->name, inside) == 0) &&
            pl_packet_decode(frame->data, frame->length, &entry.packet))
            g_array_append_val(seen, entry);
    }
    if (two)
        pair(seen);
    return g_steal_pointer(&seen);
}
