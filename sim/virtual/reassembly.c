/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fragments that become packets again (RFC 815, RFC 8200 §4.5). A packet of which two fragments
 * overlap is given up (RFC 5722 §4); so is the oldest when there are too many.
 */
#include "virtual/stack_private.h"

#include <string.h>

/* RFC 1122 §3.3.2 allows 60 to 120 s; Linux waits for 30. */
#define WAIT_NS     (30 * G_GUINT64_CONSTANT(1000000000))
#define PACKETS_MAX 16
#define UNITS       (PL_PACKET_MAX / 8 + 1) /* fragments begin at whole units of 8 bytes */

typedef struct Fragments {
    PlPacketView first; /* whose packet it is; TTL and the like are those of the first that came */
    uint64_t until_ns;
    size_t length; /* of the whole; 0: not known yet */
    size_t held;   /* bytes that are there */
    uint8_t have[UNITS / 8 + 1];
    uint8_t bytes[PL_PACKET_MAX];
} Fragments;

static gboolean is_same_packet(const PlPacketView *a, const PlPacketView *b)
{
    return a->id == b->id && a->protocol == b->protocol &&
           ph_address_equal_host(&a->source, &b->source) &&
           ph_address_equal_host(&a->destination, &b->destination);
}

static void drop(PlStack *stack, guint i)
{
    stack->counters.fragments_lost++;
    g_ptr_array_remove_index(stack->fragments, i);
}

static guint find(PlStack *stack, const PlPacketView *packet, uint64_t now)
{
    Fragments *fragments;

    for (guint i = stack->fragments->len; i-- > 0;)
        if (((Fragments *)g_ptr_array_index(stack->fragments, i))->until_ns <= now)
            drop(stack, i);
    for (guint i = 0; i < stack->fragments->len; i++)
        if (is_same_packet(&((Fragments *)g_ptr_array_index(stack->fragments, i))->first, packet))
            return i;
    if (stack->fragments->len == PACKETS_MAX)
        drop(stack, 0);
    fragments = g_new0(Fragments, 1);
    fragments->first = *packet;
    fragments->until_ns = now + WAIT_NS;
    g_ptr_array_add(stack->fragments, fragments);
    return stack->fragments->len - 1;
}

/* FALSE when it overlaps, or contradicts what is there. */
static gboolean put(Fragments *fragments, const PlPacketView *packet)
{
    size_t end = packet->offset + packet->length;

    if (packet->length == 0 || end > PL_PACKET_MAX || (packet->more && packet->length % 8 != 0))
        return FALSE;
    if (!packet->more) {
        if (fragments->length)
            return FALSE;
        fragments->length = end;
    }
    for (size_t unit = packet->offset / 8; unit < (end + 7) / 8; unit++) {
        if (fragments->have[unit / 8] >> unit % 8 & 1)
            return FALSE;
        fragments->have[unit / 8] |= (uint8_t)(1 << unit % 8);
    }
    memcpy(fragments->bytes + packet->offset, packet->payload, packet->length);
    fragments->held += packet->length;
    return !fragments->length || fragments->held <= fragments->length;
}

gboolean pl_reassembly_add(PlStack *stack, PlPacketView *packet, uint64_t now)
{
    guint i = find(stack, packet, now);
    Fragments *fragments = g_ptr_array_index(stack->fragments, i);

    if (!put(fragments, packet)) {
        drop(stack, i);
        return FALSE;
    }
    if (fragments->held != fragments->length)
        return FALSE;
    memcpy(stack->whole, fragments->bytes, fragments->length);
    *packet = fragments->first;
    packet->payload = stack->whole;
    packet->length = fragments->length;
    packet->offset = 0;
    packet->more = FALSE;
    g_ptr_array_remove_index(stack->fragments, i);
    return TRUE;
}
