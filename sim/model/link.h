/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One direction of a link: a packet of some length is sent at some time, and arrives once, never or
 * twice, at other times. Integers only. Loss, jitter, duplication and reordering draw from the
 * link's own stream, each always the same number of draws a packet, so that one setting does not
 * change another's luck.
 *
 * A packet meets, in this order: the queue (full: gone, and it took no time of the line), the rate,
 * loss (what is lost took its time of the line), the delay with its jitter, and last a copy of it,
 * which has the same delay and a jitter of its own.
 */
#pragma once

#include "topology/topology.h"

typedef struct PlLinkModel PlLinkModel;

/* `link` is borrowed for the call; the seed is of this direction of this link alone. */
PlLinkModel *pl_link_model_new(const PlLink *link, uint64_t seed);
PlLinkModel *pl_link_model_free(PlLinkModel *model); /* NULL is fine; returns NULL */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PlLinkModel, pl_link_model_free)

typedef struct PlLinkCounters {
    uint64_t sent; /* all that were handed in */
    uint64_t lost, duplicated, reordered;
    uint64_t overflowed; /* the queue was full */
} PlLinkCounters;

/* When it arrives: the number of times, 0 to 2, and these in order. `now` never goes backwards.
 * Packets keep their order, unless jitter or reordering is set. */
unsigned pl_link_model_send(PlLinkModel *model, size_t length, uint64_t now, uint64_t ret_at[2]);
const PlLinkCounters *pl_link_model_counters(const PlLinkModel *model);
