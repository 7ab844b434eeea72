/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The way of a packet from one port to the next:
 *
 *   LEAVE ──► out ──────► CROSS ──────► in ──────► ARRIVE
 *     the sender's link    the network   the receiver's link
 *
 * Presences have no links. A step of no duration is an event as well, so that packets that are on
 * their way at one time pass in the order in which they came there.
 */
#include "model/passage.h"
#include "model/world_private.h"

static gboolean is_presence(const PlWorld *world, unsigned port)
{
    return port >= pl_routing_attachments(world->routing);
}

static gboolean is_down(const PlWorld *world, unsigned port)
{
    return !is_presence(world, port) && world->cables[port].down;
}

/* One of the two has gone to another network meanwhile. */
static gboolean is_apart(const PlWorld *world, const PlEvent *event)
{
    return pl_routing_at(world->routing, event->from)->network !=
           pl_routing_at(world->routing, event->to)->network;
}

static void lose(PlDatagram *datagram, uint64_t *counter)
{
    pl_datagram_free(datagram);
    ++*counter;
}

void pl_line_queue(PlWorld *world, PlEventKind kind, unsigned from, unsigned to, uint64_t time_ns,
                   PlDatagram *datagram)
{
    PlEvent event = {
        .time_ns = time_ns, .kind = kind, .from = from, .to = to, .datagram = datagram};

    if (pl_events_bytes(world->events) + world->arrived_bytes >= PL_WORLD_BYTES_MAX)
        lose(datagram, &world->counters.flooded);
    else
        pl_events_push(world->events, &event);
}

static void tell(const PlWorld *world, unsigned port, gboolean outgoing, const PlDatagram *datagram)
{
    if (world->observe)
        world->observe(pl_routing_at(world->routing, port)->attachment, outgoing, datagram,
                       world->clock, world->observe_data);
}

/* Along a link, to where `kind` happens. */
static void travel(PlWorld *world, PlLinkModel *link, PlEventKind kind, unsigned from, unsigned to,
                   PlDatagram *datagram)
{
    uint64_t at[2];
    unsigned n = pl_link_model_send(link, datagram->length, world->clock, at);

    for (unsigned i = 1; i < n; i++)
        pl_line_queue(world, kind, from, to, at[i - 1],
                      pl_datagram_new(datagram->bytes, datagram->length));
    if (n > 0)
        pl_line_queue(world, kind, from, to, at[n - 1], datagram);
    else
        pl_datagram_free(datagram);
}

static void leave(PlWorld *world, unsigned from, unsigned to, PlDatagram *datagram)
{
    if (is_presence(world, from)) {
        pl_line_queue(world, PL_EVENT_CROSS, from, to, world->clock, datagram);
        return;
    }
    if (is_down(world, from)) {
        lose(datagram, &world->counters.unplugged);
        return;
    }
    tell(world, from, TRUE, datagram);
    travel(world, world->cables[from].out, PL_EVENT_CROSS, from, to, datagram);
}

gboolean pl_line_send(PlWorld *world, unsigned from, unsigned to, PlDatagram *datagram)
{
    unsigned mtu = pl_routing_at(world->routing, from)->mtu_bytes, position = 0;
    PlDatagram *fragment;

    if (datagram->length <= mtu) {
        leave(world, from, to, datagram);
        return TRUE;
    }
    if (!pl_passage_divisible(datagram))
        return FALSE;
    while ((fragment = pl_passage_fragment(datagram, mtu, &position)))
        leave(world, from, to, fragment);
    pl_datagram_free(datagram);
    return TRUE;
}

/* A host or presence sends. */
static void pass_leave(PlWorld *world, PlEvent *event)
{
    const PhAddress destination = pl_passage_destination(event->datagram);
    unsigned to;

    if (pl_routing_next(world->routing, event->from, &destination, &to) != PL_HOP_NEXT)
        lose(event->datagram, &world->counters.unroutable);
    else if (!pl_line_send(world, event->from, to, event->datagram))
        lose(event->datagram, &world->counters.too_long);
}

static void pass_cross(PlWorld *world, PlEvent *event)
{
    if (is_down(world, event->from) || is_down(world, event->to) || is_apart(world, event))
        lose(event->datagram, &world->counters.unplugged);
    else if (event->datagram->length > pl_routing_at(world->routing, event->to)->mtu_bytes)
        lose(event->datagram, &world->counters.too_long);
    else if (is_presence(world, event->to))
        pl_line_queue(world, PL_EVENT_ARRIVE, event->from, event->to, world->clock,
                      event->datagram);
    else
        travel(world, world->cables[event->to].in, PL_EVENT_ARRIVE, event->from, event->to,
               event->datagram);
}

static void pass_arrive(PlWorld *world, PlEvent *event)
{
    const PlAttachment *attachment = pl_routing_at(world->routing, event->to)->attachment;

    if (is_down(world, event->to) || is_apart(world, event)) {
        lose(event->datagram, &world->counters.unplugged);
        return;
    }
    if (attachment)
        tell(world, event->to, FALSE, event->datagram);
    if (attachment && attachment->node->kind == PL_NODE_NAT) {
        pl_router_take(world, event->to, event->datagram);
        return;
    }
    world->arrived_bytes += pl_event_bytes(event);
    g_queue_push_tail(&world->arrived, g_memdup2(event, sizeof(*event)));
}

void pl_line_pass(PlWorld *world, PlEvent *event)
{
    switch (event->kind) {
    case PL_EVENT_LEAVE:
        pass_leave(world, event);
        break;
    case PL_EVENT_CROSS:
        pass_cross(world, event);
        break;
    case PL_EVENT_ARRIVE:
        pass_arrive(world, event);
        break;
    }
}
