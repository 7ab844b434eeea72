/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Inside addresses that have mappings, and with port-allocation = block their blocks (RFC 7422). A
 * block stays with its subscriber after the last mapping, until somebody needs it who has none:
 * then whoever has not used his for longest loses it.
 */
#include "model/nat_private.h"

static uint32_t hash_host(const PlNat *nat, PlHost host)
{
    return (uint32_t)nat_mix(nat_mix(nat->seed ^ host.low) ^ host.high);
}

static uint32_t find(const PlNat *nat, PlHost host)
{
    uint32_t hash = hash_host(nat, host);
    const Link *link = nat_chain_first(&nat->by_host, hash);

    while (link && (link->hash != hash || !pl_host_equal(nat->subscribers[link->index].host, host)))
        link = nat_chain_next(&nat->by_host, link);
    return link ? link->index : NONE;
}

static void idle_add(PlNat *nat, uint32_t index)
{
    Subscriber *subscriber = &nat->subscribers[index];

    subscriber->earlier = nat->idle_last;
    subscriber->later = NONE;
    if (nat->idle_last == NONE)
        nat->idle_first = index;
    else
        nat->subscribers[nat->idle_last].later = index;
    nat->idle_last = index;
}

static void idle_remove(PlNat *nat, uint32_t index)
{
    const Subscriber *subscriber = &nat->subscribers[index];

    if (subscriber->earlier == NONE)
        nat->idle_first = subscriber->later;
    else
        nat->subscribers[subscriber->earlier].later = subscriber->later;
    if (subscriber->later == NONE)
        nat->idle_last = subscriber->earlier;
    else
        nat->subscribers[subscriber->later].earlier = subscriber->earlier;
}

static void forget(PlNat *nat, uint32_t index)
{
    pl_nat_chains_remove(&nat->by_host, index);
    nat->subscribers[index].later = nat->subscribers_free;
    nat->subscribers_free = index;
}

static bool find_block(PlNat *nat, uint32_t *ret_block)
{
    uint32_t idle = nat->idle_first;

    *ret_block = NONE;
    if (nat->behaviour.port_allocation != PL_PORT_ALLOCATION_BLOCK || !nat->translates)
        return true;
    if (nat->blocks_used < nat->n_blocks) {
        *ret_block = nat->blocks_used++;
        return true;
    }
    if (idle == NONE)
        return false;
    *ret_block = nat->subscribers[idle].block;
    idle_remove(nat, idle);
    forget(nat, idle);
    return true;
}

static uint32_t take_place(PlNat *nat)
{
    uint32_t i = nat->subscribers_free;

    if (i != NONE) {
        nat->subscribers_free = nat->subscribers[i].later;
        return i;
    }
    i = nat->n_subscribers++;
    if (i == nat->subscribers_room) {
        nat->subscribers =
            pl_nat_grow(nat->subscribers, sizeof(Subscriber), &nat->subscribers_room);
        pl_nat_chains_grow(&nat->by_host);
    }
    return i;
}

uint32_t pl_nat_subscriber(PlNat *nat, PlHost host)
{
    uint32_t i = find(nat, host), block;

    if (i != NONE)
        return i;
    if (!find_block(nat, &block))
        return NONE;
    i = take_place(nat);
    nat->subscribers[i] = (Subscriber){.host = host, .block = block};
    pl_nat_chains_add(&nat->by_host, i, hash_host(nat, host));
    if (block != NONE)
        idle_add(nat, i);
    return i;
}

void pl_nat_subscriber_take(PlNat *nat, uint32_t index)
{
    if (nat->subscribers[index].mappings++ == 0 && nat->subscribers[index].block != NONE)
        idle_remove(nat, index);
}

void pl_nat_subscriber_release(PlNat *nat, uint32_t index)
{
    if (--nat->subscribers[index].mappings > 0)
        return;
    if (nat->subscribers[index].block != NONE)
        idle_add(nat, index);
    else
        forget(nat, index);
}

void pl_nat_subscriber_settle(PlNat *nat, uint32_t index)
{
    if (nat->subscribers[index].mappings == 0 && nat->subscribers[index].block == NONE)
        forget(nat, index);
}
