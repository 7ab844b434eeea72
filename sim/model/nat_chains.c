/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Hash chains over arrays; see nat_private.h. */
#include "model/nat_private.h"

#include <assert.h>
#include <string.h>

void pl_nat_chains_init(Chains *chains, uint32_t room)
{
    uint32_t heads = room / 2, links = room / 2;

    assert((room & (room - 1)) == 0 && !chains->heads);
    chains->heads = pl_nat_grow(NULL, sizeof(*chains->heads), &heads);
    chains->links = pl_nat_grow(NULL, sizeof(*chains->links), &links);
    chains->mask = room - 1;
    memset(chains->heads, 0xff, room * sizeof(*chains->heads));
}

void pl_nat_chains_clear(Chains *chains)
{
    g_clear_pointer(&chains->heads, g_aligned_free);
    g_clear_pointer(&chains->links, g_aligned_free);
}

static void set_head(Chains *chains, uint32_t at, uint32_t first)
{
    if (first == NONE)
        chains->heads[at].index = NONE;
    else
        chains->heads[at] = chains->links[first];
}

/* A chain falls into two, each in the order that it had. */
static void split(Chains *chains, uint32_t low, uint32_t high)
{
    uint32_t first[2] = {NONE, NONE}, last[2] = {NONE, NONE}, next;

    for (uint32_t i = chains->heads[low].index; i != NONE; i = next) {
        unsigned which = chains->links[i].hash & high & ~low ? 1 : 0;

        next = chains->links[i].next;
        chains->links[i].next = NONE;
        if (first[which] == NONE)
            first[which] = i;
        else
            chains->links[last[which]].next = i;
        last[which] = i;
    }
    set_head(chains, low, first[0]);
    set_head(chains, high, first[1]);
}

void pl_nat_chains_grow(Chains *chains)
{
    uint32_t before = chains->mask + 1, heads = before, links = before;

    chains->heads = pl_nat_grow(chains->heads, sizeof(*chains->heads), &heads);
    chains->links = pl_nat_grow(chains->links, sizeof(*chains->links), &links);
    chains->mask = heads - 1;
    memset(chains->heads + before, 0xff, before * sizeof(*chains->heads));
    for (uint32_t i = 0; i < before; i++)
        split(chains, i, i + before);
}

void pl_nat_chains_add(Chains *chains, uint32_t index, uint32_t hash)
{
    Link *head = &chains->heads[hash & chains->mask];

    assert(index <= chains->mask);
    chains->links[index] = (Link){index, hash, head->index};
    *head = chains->links[index];
}

void pl_nat_chains_remove(Chains *chains, uint32_t index)
{
    const Link *gone = &chains->links[index];
    uint32_t at = gone->hash & chains->mask, before = chains->heads[at].index;

    if (before == index) {
        set_head(chains, at, gone->next);
        return;
    }
    while (chains->links[before].next != index)
        before = chains->links[before].next;
    chains->links[before].next = gone->next;
    if (before == chains->heads[at].index)
        chains->heads[at].next = gone->next;
}
