/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One direction of a link; see link.h.
 *
 * Bursts of losses are Gilbert's two states: in the good one nothing is lost, in the bad one all
 * (E. N. Gilbert, "Capacity of a burst-noise channel", 1960).
 *
 *             ppm / (burst * (10^6 - ppm))
 *          ┌──────────────────────────────► bad
 *        good ◄──────────────────────────────┘
 *                      1 / burst
 */
#include "model/link.h"

#include "topology/random.h"

#define WHOLE_PPM             1000000
#define QUEUE_PACKETS_DEFAULT 1000
#define NS_PER_S              G_GUINT64_CONSTANT(1000000000)

/* What is drawn for each packet, whatever is set. */
enum { DRAW_LOSS, DRAW_JITTER, DRAW_DUPLICATE, DRAW_COPY_JITTER, DRAW_REORDER, DRAW_N };

struct PlLinkModel {
    PlLink link;
    uint64_t random;
    gboolean bad; /* in a burst of losses */

    /* The line is busy until so many nanoseconds, and this many rate_bps-ths of one more. */
    uint64_t busy_until, busy_rest;
    GArray *begins; /* uint64_t: when each packet's turn comes; those before `begun` have had it */
    guint begun;

    PlLinkCounters counters;
};

PlLinkModel *pl_link_model_new(const PlLink *link, uint64_t seed)
{
    PlLinkModel *model = g_new0(PlLinkModel, 1);

    model->link = *link;
    model->link.jitter_ns = MIN(link->jitter_ns, link->delay_ns);
    if (link->queue_packets == 0)
        model->link.queue_packets = QUEUE_PACKETS_DEFAULT;
    model->random = seed;
    model->begins = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    return model;
}

PlLinkModel *pl_link_model_free(PlLinkModel *model)
{
    if (model)
        g_array_unref(model->begins);
    g_free(model);
    return NULL;
}

static guint waiting(PlLinkModel *model, uint64_t now)
{
    while (model->begun < model->begins->len &&
           g_array_index(model->begins, uint64_t, model->begun) <= now)
        model->begun++;
    /* Half of it is past: each entry is moved once at most, on average. */
    if (model->begun > model->begins->len / 2) {
        g_array_remove_range(model->begins, 0, model->begun);
        model->begun = 0;
    }
    return model->begins->len - model->begun;
}

/* Takes the line for so many bytes, after those that wait already. FALSE: the queue is full. */
static gboolean serialise(PlLinkModel *model, size_t length, uint64_t now, uint64_t *ret_sent)
{
    uint64_t parts;

    *ret_sent = now;
    if (model->link.rate_bps == 0)
        return TRUE;
    if (waiting(model, now) >= model->link.queue_packets)
        return FALSE;
    if (model->busy_until < now) {
        model->busy_until = now;
        model->busy_rest = 0;
    }
    if (model->busy_until > now)
        g_array_append_val(model->begins, model->busy_until);
    parts = (uint64_t)length * 8 * NS_PER_S + model->busy_rest;
    model->busy_until += parts / model->link.rate_bps;
    model->busy_rest = parts % model->link.rate_bps;
    *ret_sent = model->busy_until;
    return TRUE;
}

/* The next state of the burst. Where losses are so many that between bursts of this length there is
 * not even one packet, bursts are longer: the share counts. */
static gboolean burst(PlLinkModel *model, uint64_t draw)
{
    uint64_t length = model->link.burst_packets, lost = model->link.loss_ppm;
    uint64_t passed = WHOLE_PPM - lost;
    gboolean crowded = length * passed < lost;

    if (model->bad)
        model->bad = crowded ? draw % lost >= passed : draw % length != 0;
    else
        model->bad = crowded || draw % (length * passed) < lost;
    return model->bad;
}

static gboolean is_lost(PlLinkModel *model, uint64_t draw)
{
    const PlLink *link = &model->link;
    uint64_t number = model->counters.sent - 1;
    gboolean masked = link->loss_mask_bits > 0 &&
                      (link->loss_mask >> (number % MIN(link->loss_mask_bits, 64)) & 1) != 0;
    gboolean drawn;

    if (link->loss_ppm == 0 || link->loss_ppm >= WHOLE_PPM)
        drawn = link->loss_ppm > 0;
    else if (link->burst_packets > 1)
        drawn = burst(model, draw);
    else
        drawn = draw % WHOLE_PPM < link->loss_ppm;
    return masked || drawn;
}

static uint64_t arrival(const PlLinkModel *model, uint64_t sent, uint64_t draw)
{
    uint64_t jitter = model->link.jitter_ns;

    return sent + model->link.delay_ns - jitter + draw % (2 * jitter + 1);
}

unsigned pl_link_model_send(PlLinkModel *model, size_t length, uint64_t now, uint64_t ret_at[2])
{
    uint64_t draws[DRAW_N], sent;
    unsigned n = 0;

    for (unsigned i = 0; i < DRAW_N; i++)
        draws[i] = pl_random_next(&model->random);
    model->counters.sent++;
    if (!serialise(model, length, now, &sent)) {
        model->counters.overflowed++;
        return 0;
    }
    if (is_lost(model, draws[DRAW_LOSS])) {
        model->counters.lost++;
        return 0;
    }
    ret_at[n++] = arrival(model, sent, draws[DRAW_JITTER]);
    if (draws[DRAW_REORDER] % WHOLE_PPM < model->link.reorder_ppm) {
        model->counters.reordered++;
        ret_at[0] = sent;
    }
    if (draws[DRAW_DUPLICATE] % WHOLE_PPM < model->link.duplicate_ppm) {
        uint64_t copy = arrival(model, sent, draws[DRAW_COPY_JITTER]);

        model->counters.duplicated++;
        ret_at[n++] = MAX(ret_at[0], copy);
        ret_at[0] = MIN(ret_at[0], copy);
    }
    return n;
}

const PlLinkCounters *pl_link_model_counters(const PlLinkModel *model)
{
    return &model->counters;
}
