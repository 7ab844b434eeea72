/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The world from outside: hosts send and receive, time passes, steps happen; see world.h. */
#include <assert.h>

#include "model/ip.h"
#include "model/world_private.h"
#include "topology/random.h"

static uint64_t stream(const PlWorld *world, const char *kind, const char *name, const char *way)
{
    g_autofree char *full = g_strconcat(kind, " ", name, way, NULL);

    return pl_random_stream(world->seed, full);
}

static void make_nat(PlWorld *world, const PlNode *node)
{
    PlWorldNat *made = &world->nats[node->index];
    PlNatConfig config = {
        .behaviour = node->behaviour,
        .inside_address = g_array_index(pl_nat_inside(node)->addresses, PhAddress, 0),
        .external = (const PhAddress *)(gpointer)made->external->data,
        .n_external = made->external->len,
        .forwards = (const PlForward *)(gpointer)node->forwards->data,
        .n_forwards = node->forwards->len,
        .seed = stream(world, "nat", node->name, ""),
    };

    pl_nat_free(made->nat);
    made->nat = pl_nat_new(&config);
    made->rebooted_at = UINT64_MAX;
}

static void make_cable(PlWorld *world, unsigned port)
{
    const PlAttachment *attachment = pl_routing_at(world->routing, port)->attachment;
    PlCable *cable = &world->cables[port];

    pl_link_model_free(cable->out);
    pl_link_model_free(cable->in);
    cable->out =
        pl_link_model_new(&attachment->link, stream(world, "link", attachment->label, " out"));
    cable->in =
        pl_link_model_new(&attachment->link, stream(world, "link", attachment->label, " in"));
}

static void free_event(gpointer data)
{
    PlEvent *event = data;

    pl_datagram_free(event->datagram);
    g_free(event);
}

/* Also the first time. */
static void make_all(PlWorld *world, uint64_t now)
{
    world->clock = now;
    pl_events_free(world->events);
    world->events = pl_events_new();
    g_queue_clear_full(&world->arrived, free_event);
    world->arrived_bytes = 0;
    world->counters = (PlWorldCounters){0};
    for (unsigned i = 0; i < world->topology->nodes->len; i++) {
        const PlNode *node = g_ptr_array_index(world->topology->nodes, i);

        if (node->kind == PL_NODE_NAT)
            make_nat(world, node);
    }
    for (unsigned i = 0; i < pl_routing_attachments(world->routing); i++)
        make_cable(world, i);
}

PlWorld *pl_world_new(const PlTopology *topology, uint64_t seed, uint64_t now)
{
    PlWorld *world = g_new0(PlWorld, 1);

    world->topology = topology;
    world->seed = seed;
    world->routing = pl_routing_new(topology);
    world->cables = g_new0(PlCable, pl_routing_attachments(world->routing) + 1);
    world->nats = g_new0(PlWorldNat, topology->nodes->len + 1);
    g_queue_init(&world->arrived);
    for (unsigned i = 0; i < topology->nodes->len; i++) {
        const PlNode *node = g_ptr_array_index(topology->nodes, i);

        if (node->kind == PL_NODE_NAT)
            world->nats[i].external = g_array_copy(pl_nat_outside(node)->addresses);
    }
    make_all(world, now);
    return world;
}

PlWorld *pl_world_free(PlWorld *world)
{
    if (!world)
        return NULL;
    for (unsigned i = 0; i < world->topology->nodes->len; i++) {
        pl_nat_free(world->nats[i].nat);
        if (world->nats[i].external)
            g_array_unref(world->nats[i].external);
    }
    for (unsigned i = 0; i < pl_routing_attachments(world->routing); i++) {
        pl_link_model_free(world->cables[i].out);
        pl_link_model_free(world->cables[i].in);
    }
    g_queue_clear_full(&world->arrived, free_event);
    pl_events_free(world->events);
    pl_routing_free(world->routing);
    g_free(world->cables);
    g_free(world->nats);
    g_free(world);
    return NULL;
}

static void pass_next(PlWorld *world)
{
    PlEvent event = pl_events_pop(world->events);

    world->clock = MAX(world->clock, event.time_ns);
    pl_line_pass(world, &event);
}

/* Everything that is due by then has happened. */
static void advance(PlWorld *world, uint64_t now)
{
    while (pl_events_next(world->events) <= now && pl_events_next(world->events) != UINT64_MAX)
        pass_next(world);
    world->clock = MAX(world->clock, now);
}

void pl_world_send(PlWorld *world, const PlWorldPlace *from, const uint8_t *bytes, size_t length,
                   uint64_t now)
{
    unsigned port = from->attachment ? pl_routing_port(world->routing, from->attachment)
                                     : pl_routing_presence(world->routing, from->network);
    uint32_t cut = (uint32_t)MIN(length, PL_DATAGRAM_MAX);
    PlIp ip;

    assert(!from->attachment || from->attachment->node->kind == PL_NODE_HOST);
    world->counters.sent++;
    if (length > PL_DATAGRAM_MAX || !pl_ip_parse(bytes, &cut, &ip)) {
        world->counters.malformed++;
        return;
    }
    pl_line_queue(world, PL_EVENT_LEAVE, port, port, MAX(world->clock, now),
                  pl_datagram_new(bytes, cut));
}

uint64_t pl_world_next(const PlWorld *world)
{
    const PlEvent *event = g_queue_peek_head((GQueue *)&world->arrived);

    return event ? event->time_ns : pl_events_next(world->events);
}

PlDatagram *pl_world_receive(PlWorld *world, uint64_t now, PlWorldPlace *ret_to, uint64_t *ret_at)
{
    const PlPort *port;
    PlDatagram *datagram;
    PlEvent *event;

    while (g_queue_is_empty(&world->arrived) && pl_events_next(world->events) <= now &&
           pl_events_next(world->events) != UINT64_MAX)
        pass_next(world);
    event = g_queue_peek_head(&world->arrived);
    if (!event || event->time_ns > now)
        return NULL;
    g_queue_pop_head(&world->arrived);
    world->arrived_bytes -= pl_event_bytes(event);
    world->counters.received++;
    port = pl_routing_at(world->routing, event->to);
    *ret_to = (PlWorldPlace){port->attachment, port->network};
    *ret_at = event->time_ns;
    datagram = event->datagram;
    g_free(event);
    return datagram;
}

void pl_world_observe(PlWorld *world, PlWorldObserve observe, gpointer data)
{
    world->observe = observe;
    world->observe_data = data;
}

void pl_world_nat_flush(PlWorld *world, const PlNode *nat, uint64_t now)
{
    advance(world, now);
    pl_nat_flush(world->nats[nat->index].nat);
}

void pl_world_nat_reboot(PlWorld *world, const PlNode *nat, uint64_t now)
{
    pl_world_nat_flush(world, nat, now);
    world->nats[nat->index].rebooted_at = world->clock;
}

void pl_world_nat_address(PlWorld *world, const PlNode *nat, const PhAddress *address, uint64_t now)
{
    PlWorldNat *changed = &world->nats[nat->index];

    advance(world, now);
    g_array_index(changed->external, PhAddress, 0) = *address;
    pl_routing_set_addresses(world->routing, pl_routing_port(world->routing, pl_nat_outside(nat)),
                             changed->external);
    pl_nat_set_external(changed->nat, (const PhAddress *)(gpointer)changed->external->data,
                        changed->external->len);
}

void pl_world_link(PlWorld *world, const PlAttachment *attachment, gboolean up, uint64_t now)
{
    advance(world, now);
    world->cables[pl_routing_port(world->routing, attachment)].down = !up;
}

void pl_world_move(PlWorld *world, const PlAttachment *attachment, const PlNetwork *network,
                   const PhAddress *address, uint64_t now)
{
    assert(attachment->node->kind == PL_NODE_HOST && attachment->node->attachments->len == 1);
    advance(world, now);
    pl_routing_move(world->routing, pl_routing_port(world->routing, attachment), network, address);
}

void pl_world_reset(PlWorld *world, uint64_t now)
{
    make_all(world, now);
}

const PlWorldCounters *pl_world_counters(const PlWorld *world)
{
    return &world->counters;
}

const PlLinkCounters *pl_world_link_counters(const PlWorld *world, const PlAttachment *attachment,
                                             gboolean outgoing)
{
    const PlCable *cable = &world->cables[pl_routing_port(world->routing, attachment)];

    return pl_link_model_counters(outgoing ? cable->out : cable->in);
}

const PlNat *pl_world_nat(const PlWorld *world, const PlNode *nat)
{
    return world->nats[nat->index].nat;
}

const GArray *pl_world_external(const PlWorld *world, const PlNode *nat)
{
    return world->nats[nat->index].external;
}
