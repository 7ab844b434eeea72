/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A NAT of the model between 192.168.1.0/24 and the internet, for tests: packets are sent in words,
 * and what comes out is checked for its checksums each time.
 *
 *     192.168.1.2 alice, .3 bob -- .1 NAT 198.51.100.1 (and so on) -- 203.0.113.0/24
 */
#pragma once

#include "model/nat.h"
#include "wire.h"

#define MS G_GUINT64_CONSTANT(1000000)
#define S  (1000 * MS)

#define ALICE "192.168.1.2:4000"
#define BOB   "192.168.1.3:4000"
#define HUB   "203.0.113.10:3478"
#define HUB_2 "203.0.113.10:3479"
#define OTHER "203.0.113.11:3478"

typedef struct Box {
    PlNatConfig config;
    PhAddress external[16];
    PlForward forwards[4];
    PlNat *nat;
    uint64_t now;
    PlNatOutcome outcome; /* of the last packet */
    PlSide side;          /* it went out on */
    PlDatagram *packet;   /* as it came out, if it did; or as it is taken in */
} Box;

static G_GNUC_UNUSED void box_init(Box *box, PlMapping mapping, PlFiltering filtering)
{
    memset(box, 0, sizeof(*box));
    box->config.behaviour = (PlBehaviour){
        .mapping = mapping,
        .filtering = filtering,
        .port_allocation = mapping == PL_MAPPING_ENDPOINT_INDEPENDENT ? PL_PORT_ALLOCATION_PRESERVE
                                                                      : PL_PORT_ALLOCATION_RANDOM,
        .port_first = 1024,
        .port_last = 65535,
        .udp_timeout_ns = 120 * S,
        .inbound_refresh = TRUE,
    };
    box->config.inside_address = wire_at("192.168.1.1");
    for (guint i = 0; i < G_N_ELEMENTS(box->external); i++)
        box->external[i] = ph_address_ipv4(0xc6336401 + i, 0);
    box->config.n_external = 1;
    box->config.seed = 1;
    box->now = 7 * S;
}

/* What it is like has been said by now. */
static G_GNUC_UNUSED void box_start(Box *box)
{
    box->config.external = box->external;
    box->config.forwards = box->forwards;
    box->nat = pl_nat_new(&box->config);
}

static G_GNUC_UNUSED void box_clear(Box *box)
{
    box->packet = pl_datagram_free(box->packet);
    box->nat = pl_nat_free(box->nat);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Box, box_clear)

/* Takes the packet. TRUE: it came out. */
static G_GNUC_UNUSED gboolean box_send(Box *box, PlSide side, PlDatagram *packet)
{
    pl_datagram_free(box->packet);
    box->packet = packet;
    box->side = PL_SIDE_HOST;
    box->outcome = pl_nat_handle(box->nat, side, packet, box->now, &box->side);
    if (box->outcome != PL_NAT_FORWARDED)
        return FALSE;
    g_assert_true(wire_is_right(packet));
    g_assert_cmpuint(packet->length, <=, packet->room);
    return TRUE;
}

static G_GNUC_UNUSED gboolean box_udp(Box *box, PlSide side, const char *from, const char *to)
{
    PhAddress source = wire_at(from), destination = wire_at(to);

    return box_send(box, side, wire_udp(&source, &destination, "hello", 5));
}

/* Out, and must get there; its external endpoint. */
static G_GNUC_UNUSED PhAddress box_out(Box *box, const char *from, const char *to)
{
    g_assert_true(box_udp(box, PL_SIDE_INSIDE, from, to));
    g_assert_cmpint(box->side, ==, PL_SIDE_OUTSIDE);
    wire_assert(wire_destination(box->packet), to);
    return wire_source(box->packet);
}

/* In: whether it gets to somebody inside. */
static G_GNUC_UNUSED gboolean box_in(Box *box, const char *from, PhAddress to)
{
    PhAddress source = wire_at(from);

    if (!box_send(box, PL_SIDE_OUTSIDE, wire_udp(&source, &to, "hello", 5)) ||
        box->side != PL_SIDE_INSIDE)
        return FALSE;
    wire_assert(wire_source(box->packet), from);
    return TRUE;
}

static G_GNUC_UNUSED gboolean box_tcp(Box *box, PlSide side, const char *from, PhAddress to,
                                      guint8 flags)
{
    PhAddress source = wire_at(from);

    return box_send(box, side, wire_tcp(&source, &to, flags));
}

static G_GNUC_UNUSED gboolean box_echo(Box *box, PlSide side, const char *from, const char *to,
                                       gboolean reply, guint identifier)
{
    PhAddress source = wire_at(from), destination = wire_at(to);

    return box_send(box, side, wire_echo(&source, &destination, reply, identifier));
}

static G_GNUC_UNUSED PlNatCounters box_count(const Box *box)
{
    return *pl_nat_counters(box->nat);
}

static inline gboolean box_same(PhAddress a, PhAddress b)
{
    return ph_address_equal(&a, &b);
}
