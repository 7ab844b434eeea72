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

/* A chain falls into two, each in the order that it had. */
static void split(Chains *chains, uint32_t low, uint32_t high)
{
    uint32_t *tails[2] = {&chains->heads[low], &chains->heads[high]};
    uint32_t i = chains->heads[low];

    while (i != NONE) {
        Link *link = &chains->links[i];
        unsigned which = link->hash & high & ~low ? 1 : 0;

        *tails[which] = i;
        tails[which] = &link->next;
        i = link->next;
    }
    *tails[0] = *tails[1] = NONE;
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
    uint32_t *head = &chains->heads[hash & chains->mask];

    assert(index <= chains->mask);
    chains->links[index] = (Link){hash, *head};
    *head = index;
}

void pl_nat_chains_remove(Chains *chains, uint32_t index)
{
    uint32_t *at = &chains->heads[chains->links[index].hash & chains->mask];

    while (*at != index)
        at = &chains->links[*at].next;
    *at = chains->links[index].next;
}
