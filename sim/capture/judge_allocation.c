/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How external ports and addresses are chosen (RFC 4787 §4.1 and §4.2): from the external endpoints
 * in the order in which they appeared, and from what each inside endpoint got first.
 */
#include <stdlib.h>
#include <string.h>

#include "capture/judge.h"
#include "topology/allocation.h"

#define POOLING_ENOUGH 8 /* of two addresses the same by chance: 1 of 128 */

/* An inside address, and the external endpoints that it was given. */
typedef struct Subscriber {
    uint16_t lowest, highest; /* ports */
    guint n_ports, n_endpoints;
    PhAddress address; /* the first external one */
    gboolean several;  /* there were others */
} Subscriber;

typedef struct Allocation {
    PlJudge *judge;
    GPtrArray *subscribers; /* Subscriber, in order of appearance, borrowed */
    PlEnds *by_inside;      /* Subscriber */
    PlEnds *ports;          /* gboolean by (inside address, external port) */
    PlEnds *externals;      /* gboolean by external endpoint; and by (inside, external) */
    PlEnds *endpoints;      /* gboolean by inside endpoint */
    GArray *order;          /* uint16_t: external ports in the order in which they were created */
    gboolean odd;           /* some of these is even where the inside port is odd, or so */
    guint n_kept, n_inside; /* inside endpoints that kept their port, and all */
    guint n_spoiled; /* that did not, and an early packet from their destination had come to it */
} Allocation;

static gboolean is_new(PlEnds *ends, const PhAddress *a, const PhAddress *b)
{
    gboolean new;

    pl_ends_need(ends, sizeof(gboolean), a, b, NULL, &new);
    return new;
}

static Subscriber *need_subscriber(Allocation *allocation, const PhAddress *inside)
{
    PhAddress host = pl_ends_host(inside);
    gboolean new;
    Subscriber *subscriber =
        pl_ends_need(allocation->by_inside, sizeof(*subscriber), &host, NULL, NULL, &new);

    if (new) {
        subscriber->lowest = G_MAXUINT16;
        g_ptr_array_add(allocation->subscribers, subscriber);
    }
    return subscriber;
}

static void observe(Allocation *allocation, const PhAddress *inside, const PhAddress *external)
{
    Subscriber *subscriber = need_subscriber(allocation, inside);
    PhAddress host = pl_ends_host(inside), port = {.port = external->port};

    if (is_new(allocation->ports, &host, &port)) {
        subscriber->n_ports++;
        subscriber->lowest = MIN(subscriber->lowest, external->port);
        subscriber->highest = MAX(subscriber->highest, external->port);
    }
    if (is_new(allocation->externals, inside, external)) {
        if (!subscriber->n_endpoints++)
            subscriber->address = pl_ends_host(external);
        else if (!ph_address_equal_host(&subscriber->address, external))
            subscriber->several = TRUE;
    }
}

static void count_kept(Allocation *allocation, const PhAddress *inside, const PlSeen *outer)
{
    PhAddress kept = pl_ends_host(&outer->packet.source);

    kept.port = inside->port;
    if (!is_new(allocation->endpoints, inside, NULL) ||
        pl_judge_contended(allocation->judge, inside))
        return;
    allocation->n_inside++;
    if (inside->port == outer->packet.source.port)
        allocation->n_kept++;
    else if (pl_judge_early(allocation->judge, &outer->packet.destination, &kept,
                            pl_judge_order(allocation->judge, outer)))
        allocation->n_spoiled++;
}

static void collect(Allocation *allocation)
{
    PlJudge *judge = allocation->judge;

    for (guint i = 0; i < judge->seen->len; i++) {
        const PlSeen *outer = pl_seen(judge->seen, i), *inner;

        /* The order is the NAT's, whichever host the query is about. */
        if (outer->outside && outer->partner != PL_NO_PARTNER && outer->outbound &&
            outer->packet.protocol == PL_PACKET_UDP &&
            is_new(allocation->externals, &outer->packet.source, NULL)) {
            const PlSeen *from = pl_seen(judge->seen, outer->partner);

            g_array_append_val(allocation->order, outer->packet.source.port);
            allocation->odd |= (from->packet.source.port ^ outer->packet.source.port) & 1;
        }
        if (!pl_judge_outbound(judge, outer, &inner) || outer->unsure)
            continue;
        observe(allocation, &inner->packet.source, &outer->packet.source);
        count_kept(allocation, &inner->packet.source, outer);
    }
}

/* Three quarters of the steps are the same small one: other protocols may have taken ports between.
 * Where parity is kept, the next port may be the one behind it (RFC 4787 §4.2.2). */
static gboolean is_sequential(const Allocation *allocation)
{
    guint count[PL_ALLOCATION_STEP_MAX + 1] = {0}, most = 0;

    for (guint i = 1; i < allocation->order->len; i++) {
        int step = g_array_index(allocation->order, uint16_t, i) -
                   g_array_index(allocation->order, uint16_t, i - 1);

        if (step > 0 && step <= PL_ALLOCATION_STEP_MAX) {
            count[step]++;
            most = MAX(most, count[step]);
        }
    }
    if (!allocation->odd)
        most = MAX(most, count[1] + count[2]);
    return most * 4 >= (allocation->order->len - 1) * 3;
}

static const char *name_spread(const Allocation *allocation, const char **ret_why)
{
    gboolean block = FALSE;

    for (guint i = 0; i < allocation->subscribers->len; i++) {
        const Subscriber *subscriber = g_ptr_array_index(allocation->subscribers, i);

        if (subscriber->n_ports &&
            subscriber->highest - subscriber->lowest >= PL_ALLOCATION_BLOCK_SPAN)
            return pl_port_allocation_name(PL_PORT_ALLOCATION_RANDOM);
        block |= subscriber->n_ports >= PL_ALLOCATION_BLOCK_ENOUGH;
    }
    if (block)
        return pl_port_allocation_name(PL_PORT_ALLOCATION_BLOCK);
    *ret_why = "fewer than 7 external ports of one host, close together";
    return NULL;
}

static void judge_ports(const Allocation *allocation, PlFindings *findings)
{
    PlJudge *judge = allocation->judge;
    const char *word = NULL, *why = NULL;

    if (judge->mapping == PL_JUDGE_BIT(PL_MAPPING_NONE)) {
        why = "nothing is translated";
    } else if (allocation->n_inside >= PL_ALLOCATION_ENOUGH &&
               allocation->n_kept * 2 > allocation->n_inside) {
        word = pl_port_allocation_name(PL_PORT_ALLOCATION_PRESERVE);
        judge->poisoned |= allocation->n_spoiled > 0;
    } else if (allocation->n_kept * 2 > allocation->n_inside ||
               allocation->order->len < PL_ALLOCATION_ENOUGH) {
        why = "fewer than 4 mappings";
    } else if (is_sequential(allocation)) {
        word = pl_port_allocation_name(PL_PORT_ALLOCATION_SEQUENTIAL);
    } else {
        word = name_spread(allocation, &why);
    }
    pl_findings_set(findings, PL_AXIS_PORT_ALLOCATION, word, word ? NULL : why);
}

static void judge_pooling(const Allocation *allocation, PlFindings *findings)
{
    const GArray *external = allocation->judge->query->external;
    const char *word = NULL;

    if (!external || external->len < 2) {
        pl_findings_set(findings, PL_AXIS_POOLING, NULL, "one external address only");
        return;
    }
    for (guint i = 0; i < allocation->subscribers->len; i++) {
        const Subscriber *subscriber = g_ptr_array_index(allocation->subscribers, i);

        if (subscriber->several) {
            word = pl_pooling_name(PL_POOLING_ARBITRARY);
            break;
        }
        if (subscriber->n_endpoints >= POOLING_ENOUGH)
            word = pl_pooling_name(PL_POOLING_PAIRED);
    }
    pl_findings_set(findings, PL_AXIS_POOLING, word,
                    word ? NULL : "no inside address had 8 mappings");
}

void pl_judge_allocation(PlJudge *judge, PlFindings *findings)
{
    g_autoptr(GPtrArray) subscribers = g_ptr_array_new();
    g_autoptr(GArray) order = g_array_new(FALSE, FALSE, sizeof(uint16_t));
    Allocation allocation = {
        .judge = judge,
        .subscribers = subscribers,
        .by_inside = pl_ends_new(),
        .ports = pl_ends_new(),
        .externals = pl_ends_new(),
        .endpoints = pl_ends_new(),
        .order = order,
    };

    collect(&allocation);
    judge_ports(&allocation, findings);
    judge_pooling(&allocation, findings);
    g_hash_table_unref(allocation.by_inside);
    g_hash_table_unref(allocation.ports);
    g_hash_table_unref(allocation.externals);
    g_hash_table_unref(allocation.endpoints);
}
