/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a NAT's router does with a packet that arrives, in the order in which routers do it: what is
 * for somebody else is routed before it is translated, so that a packet whose TTL runs out, or that
 * does not fit where it would go, makes no mapping. What comes for one of the router's own
 * addresses may be for somebody inside; only the NAT knows, and the same is looked at again
 * afterwards.
 *
 * Errors are about the packet as it arrived, and go back to where it came from. They are not
 * limited in their rate. Nobody with an address is found out at once; real neighbours take seconds.
 */
#include <string.h>

#include "model/ip_error.h"
#include "model/passage.h"
#include "model/world_private.h"

#define TTL 64 /* RFC 1700: the default */

/* RFC 792, RFC 4443 */
#define ECHO_REPLY        0
#define ECHO_REQUEST      8
#define ECHO_REQUEST_IPV6 128
#define ECHO_REPLY_IPV6   129

typedef enum {
    ERROR_EXPIRED,
    ERROR_NO_ROUTE,
    ERROR_NOBODY,
    ERROR_TOO_BIG,
    ERROR_N,
} Error;

static const struct {
    uint8_t type, code, type_ipv6, code_ipv6;
} errors[ERROR_N] = {
    [ERROR_EXPIRED] = {11, 0, 3, 0},
    [ERROR_NO_ROUTE] = {3, 0, 1, 0},
    [ERROR_NOBODY] = {3, 1, 1, 3},
    [ERROR_TOO_BIG] = {3, 4, 2, 0},
};

/* A packet that has arrived. */
typedef struct Taken {
    PlWorld *world;
    const PlNode *node;
    unsigned port;
    PlDatagram *about; /* as it came, as much of it as an error would quote */
    PlIp ip;
    PhAddress destination;
} Taken;

/* Which of the NAT's ports is on a side. */
static unsigned port_of(const Taken *taken, PlSide side)
{
    return pl_routing_port(taken->world->routing, side == PL_SIDE_INSIDE
                                                      ? pl_nat_inside(taken->node)
                                                      : pl_nat_outside(taken->node));
}

/* The router's own word: takes the packet. */
static void send_own(const Taken *taken, PlDatagram *datagram)
{
    const PhAddress destination = pl_passage_destination(datagram);
    PlWorld *world = taken->world;
    unsigned out, to;

    if (!pl_routing_out(world->routing, taken->node, &destination, &out) ||
        pl_routing_next(world->routing, out, &destination, &to) != PL_HOP_NEXT) {
        world->counters.unroutable++;
        pl_datagram_free(datagram);
    } else if (!pl_line_send(world, out, to, datagram)) {
        world->counters.too_long++;
        pl_datagram_free(datagram);
    }
}

/* What an error says is its source: an address of the port that it leaves by, as others do it. */
static gboolean own_address(const Taken *taken, const PhAddress *destination, PhAddress *ret_own)
{
    const GArray *addresses;
    unsigned out;

    if (!pl_routing_out(taken->world->routing, taken->node, destination, &out))
        return FALSE;
    addresses = pl_routing_at(taken->world->routing, out)->addresses;
    for (guint i = 0; i < addresses->len; i++) {
        *ret_own = g_array_index(addresses, PhAddress, i);
        if (ret_own->family == destination->family)
            return TRUE;
    }
    return FALSE;
}

/* Says what is wrong with the packet, where something may be said. Once. */
static void complain(Taken *taken, Error error, unsigned mtu)
{
    static const size_t counters[ERROR_N] = {
        [ERROR_EXPIRED] = G_STRUCT_OFFSET(PlWorldCounters, expired),
        [ERROR_NO_ROUTE] = G_STRUCT_OFFSET(PlWorldCounters, unroutable),
        [ERROR_NOBODY] = G_STRUCT_OFFSET(PlWorldCounters, unroutable),
        [ERROR_TOO_BIG] = G_STRUCT_OFFSET(PlWorldCounters, too_long),
    };
    gboolean ipv6 = taken->ip.version == 6;
    PlDatagram *about = g_steal_pointer(&taken->about);
    PhAddress sender, own;

    G_STRUCT_MEMBER(uint64_t, &taken->world->counters, counters[error])++;
    if (!about)
        return;
    sender = pl_passage_source(about);
    if (own_address(taken, &sender, &own) &&
        pl_ip_error(about, &taken->ip, pl_host(&own),
                    ipv6 ? errors[error].type_ipv6 : errors[error].type,
                    ipv6 ? errors[error].code_ipv6 : errors[error].code, mtu))
        send_own(taken, about);
    else
        pl_datagram_free(about);
}

/* Turns an echo request into its reply; FALSE when it is none, or only a part of one. */
static gboolean make_reply(PlDatagram *datagram)
{
    uint8_t *bytes = datagram->bytes, swap[16];
    gboolean ipv6 = bytes[0] >> 4 == 6;
    unsigned source = ipv6 ? 8 : 12, size = ipv6 ? 16 : 4;
    PlIp ip;

    if (!pl_ip_parse(bytes, &datagram->length, &ip) || ip.fragment ||
        ip.protocol != (ipv6 ? PL_IP_ICMPV6 : PL_IP_ICMP) ||
        bytes[ip.header] != (ipv6 ? ECHO_REQUEST_IPV6 : ECHO_REQUEST) ||
        !pl_ip_icmp_is_right(bytes, &ip))
        return FALSE;
    memcpy(swap, bytes + source, size);
    memcpy(bytes + source, bytes + source + size, size);
    memcpy(bytes + source + size, swap, size);
    pl_passage_set_ttl(datagram, TTL);
    bytes[ip.header] = ipv6 ? ECHO_REPLY_IPV6 : ECHO_REPLY;
    pl_ip_icmp_seal(bytes, &ip);
    return TRUE;
}

/* For the router itself. */
static void take_in(const Taken *taken, PlDatagram *datagram)
{
    taken->world->counters.addressed++;
    if (make_reply(datagram))
        send_own(taken, datagram);
    else
        pl_datagram_free(datagram);
}

/* Out on a side, to the next hop; takes the packet. `own`: the router has made it. */
static void pass_on(Taken *taken, PlSide side, gboolean own, PlDatagram *datagram)
{
    PlWorld *world = taken->world;
    const PhAddress destination = pl_passage_destination(datagram);
    unsigned out = port_of(taken, side), to = 0;
    PlHop hop = pl_routing_next(world->routing, out, &destination, &to);

    if (!own && pl_passage_ttl(datagram) <= 1) {
        complain(taken, ERROR_EXPIRED, 0);
    } else if (hop != PL_HOP_NEXT) {
        if (hop == PL_HOP_GROUP)
            world->counters.unroutable++;
        else
            complain(taken, hop == PL_HOP_NO_ROUTE ? ERROR_NO_ROUTE : ERROR_NOBODY, 0);
    } else {
        if (!own)
            pl_passage_set_ttl(datagram, pl_passage_ttl(datagram) - 1);
        if (pl_line_send(world, out, to, datagram))
            return;
        complain(taken, ERROR_TOO_BIG, pl_routing_at(world->routing, out)->mtu_bytes);
    }
    pl_datagram_free(datagram);
}

/* Whether a packet for somebody else can go on. *ret_back: out where it came in. */
static gboolean check_route(Taken *taken, const PlDatagram *datagram, gboolean *ret_back)
{
    PlWorld *world = taken->world;
    const PlPort *port;
    unsigned out;

    if (!pl_routing_out(world->routing, taken->node, &taken->destination, &out)) {
        complain(taken, ERROR_NO_ROUTE, 0);
        return FALSE;
    }
    if (pl_passage_ttl(datagram) <= 1) {
        complain(taken, ERROR_EXPIRED, 0);
        return FALSE;
    }
    port = pl_routing_at(world->routing, out);
    if (datagram->length > port->mtu_bytes && !pl_passage_divisible(datagram)) {
        complain(taken, ERROR_TOO_BIG, port->mtu_bytes);
        return FALSE;
    }
    *ret_back = out == taken->port;
    return TRUE;
}

static void translate(Taken *taken, PlDatagram *datagram)
{
    PlWorld *world = taken->world;
    PlNat *nat = world->nats[taken->node->index].nat;
    PlSide side = pl_routing_at(world->routing, taken->port)->attachment->side, out = side;
    uint64_t rejected = pl_nat_counters(nat)->rejected;
    PhAddress destination;
    PlDatagram *waited;
    gboolean own;

    switch (pl_nat_handle(nat, side, datagram, world->clock, &out)) {
    case PL_NAT_DROPPED:
        pl_datagram_free(datagram);
        return;
    case PL_NAT_LOCAL:
        take_in(taken, datagram);
        return;
    case PL_NAT_FORWARDED:
        break;
    }
    own = pl_nat_counters(nat)->rejected != rejected;
    destination = pl_passage_destination(datagram);
    /* A firewall's inside address from outside, or where a static forward leads. */
    if (pl_routing_is_own(world->routing, taken->node, &destination))
        take_in(taken, datagram);
    else
        pass_on(taken, out, own, datagram);
    /* About fragments but the first nothing is ever said. */
    taken->about = pl_datagram_free(taken->about);
    while ((waited = pl_nat_poll(nat, &out)))
        pass_on(taken, out, FALSE, waited);
}

void pl_router_take(PlWorld *world, unsigned port, PlDatagram *datagram)
{
    const PlAttachment *attachment = pl_routing_at(world->routing, port)->attachment;
    Taken taken = {.world = world, .node = attachment->node, .port = port};
    gboolean back = FALSE, own;

    if (world->nats[attachment->node->index].rebooted_at == world->clock) {
        world->counters.rebooted++;
        pl_datagram_free(datagram);
        return;
    }
    if (!pl_ip_parse(datagram->bytes, &datagram->length, &taken.ip)) {
        world->counters.malformed++;
        pl_datagram_free(datagram);
        return;
    }
    taken.about = pl_datagram_new(datagram->bytes, MIN(datagram->length, PL_DATAGRAM_ROOM));
    taken.destination = pl_passage_destination(datagram);
    own = pl_routing_is_own(world->routing, attachment->node, &taken.destination);
    if (!own && !check_route(&taken, datagram, &back))
        pl_datagram_free(datagram);
    else if (back && attachment->side == PL_SIDE_INSIDE)
        pass_on(&taken, PL_SIDE_INSIDE, FALSE, datagram); /* the NAT is between the sides only */
    else
        translate(&taken, datagram);
    pl_datagram_free(taken.about);
}
