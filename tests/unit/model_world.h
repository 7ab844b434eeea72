/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A world for tests to send packets through: who gets what, and exactly when. */
#pragma once

#include "model/passage.h"
#include "model/world.h"
#include "wire.h"

#define US G_GUINT64_CONSTANT(1000)
#define MS (1000 * US)
#define S  (1000 * MS)

#define HEAD  "[topology]\ntitle = t\n[network internet]\nsubnet = 203.0.113.0/24\n"
#define ALICE "[host alice]\non = internet\naddress = 203.0.113.10\n"
#define BOB   "[host bob]\non = internet\naddress = 203.0.113.20\n"
#define CAROL "[host carol]\non = internet\naddress = 203.0.113.30\n"
#define FIREWALL                                                                                   \
    "[nat wall]\noutside = internet\ninside = 198.51.100.0/24\nmapping = none\n"                   \
    "filtering = endpoint-independent\naddress = 203.0.113.5\n"                                    \
    "[host dave]\nbehind = wall\naddress = 198.51.100.10\n"

typedef struct Lab {
    PlTopology *topology;
    PlWorld *world;
} Lab;

static G_GNUC_UNUSED void lab_clear(Lab *lab)
{
    pl_world_free(lab->world);
    pl_topology_free(lab->topology);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Lab, lab_clear)

static G_GNUC_UNUSED PlTopology *parse(const char *text)
{
    g_autoptr(GError) error = NULL;
    PlTopology *topology = pl_topology_parse("t.ini", text, strlen(text), &error);

    g_assert_no_error(error);
    return topology;
}

static G_GNUC_UNUSED void lab_init(Lab *lab, const char *text)
{
    *lab = (Lab){.topology = parse(text)};
    lab->world = pl_world_new(lab->topology, 1, 0);
}

static G_GNUC_UNUSED PlAttachment *attachment(const Lab *lab, const char *label)
{
    PlAttachment *found = pl_topology_attachment(lab->topology, label);

    g_assert_nonnull(found);
    return found;
}

/* Other impairments than topology files have words for: before time begins. */
static G_GNUC_UNUSED void impair(Lab *lab, const char *label, PlLink link)
{
    attachment(lab, label)->link = link;
    pl_world_reset(lab->world, 0);
}

/* "alice", or "@internet" for the presence there. */
static G_GNUC_UNUSED PlWorldPlace place(const Lab *lab, const char *label)
{
    PlWorldPlace found = {0};

    if (*label == '@') {
        found.network = pl_topology_network(lab->topology, label + 1);
        g_assert_nonnull(found.network);
        return found;
    }
    found.attachment = attachment(lab, label);
    found.network = found.attachment->network;
    return found;
}

/* A UDP packet to be sent. */
typedef struct Sent {
    const char *from, *to; /* "192.0.2.1:53" */
    unsigned length;       /* of the whole packet */
    unsigned ttl;
    gboolean whole; /* DF */
} Sent;

static G_GNUC_UNUSED Sent udp(const char *from, const char *to, unsigned length)
{
    return (Sent){from, to, length, 64, FALSE};
}

static G_GNUC_UNUSED Sent whole(const char *from, const char *to, unsigned length)
{
    return (Sent){from, to, length, 64, TRUE};
}

static G_GNUC_UNUSED Sent aged(const char *from, const char *to, unsigned ttl)
{
    return (Sent){from, to, 100, ttl, FALSE};
}

static G_GNUC_UNUSED void assert_same(const PlDatagram *a, const PlDatagram *b)
{
    g_assert_cmpuint(a->length, ==, b->length);
    g_assert_true(memcmp(a->bytes, b->bytes, a->length) == 0);
}

/* With a payload of bytes that count up. */
static G_GNUC_UNUSED PlDatagram *packet(Sent sent)
{
    PhAddress from = wire_at(sent.from), to = wire_at(sent.to);
    unsigned header = from.family == PH_FAMILY_IPV6 ? 48 : 28;
    uint8_t payload[65536];
    PlDatagram *made;

    for (unsigned i = 0; i < sizeof(payload); i++)
        payload[i] = (uint8_t)i;
    made = wire_udp(&from, &to, payload, sent.length - header);
    if (sent.whole && header == 28)
        made->bytes[6] |= 0x40;
    pl_passage_set_ttl(made, sent.ttl);
    return made;
}

static G_GNUC_UNUSED void send_packet(Lab *lab, const char *label, uint64_t now, Sent sent)
{
    g_autoptr(PlDatagram) datagram = packet(sent);
    PlWorldPlace from = place(lab, label);

    pl_world_send(lab->world, &from, datagram->bytes, datagram->length, now);
}

/* What arrives next must be there at that time. The caller's to free. */
static G_GNUC_UNUSED PlDatagram *receive_on(Lab *lab, PlWorldPlace there, uint64_t expected)
{
    PlWorldPlace to = {0};
    uint64_t arrived = 0;
    PlDatagram *datagram;

    datagram = pl_world_receive(lab->world, expected, &to, &arrived);
    g_assert_nonnull(datagram);
    g_assert_true(to.attachment == there.attachment);
    g_assert_true(to.network == there.network);
    g_assert_cmpuint(arrived, ==, expected);
    return datagram;
}

static G_GNUC_UNUSED PlDatagram *receive(Lab *lab, const char *label, uint64_t expected)
{
    return receive_on(lab, place(lab, label), expected);
}

/* A host that has moved there. */
static G_GNUC_UNUSED void arrives_somewhere(Lab *lab, const char *label, const char *network,
                                            uint64_t expected)
{
    const PlWorldPlace there = {attachment(lab, label),
                                pl_topology_network(lab->topology, network)};

    pl_datagram_free(receive_on(lab, there, expected));
}

static G_GNUC_UNUSED void arrives(Lab *lab, const char *label, uint64_t expected)
{
    pl_datagram_free(receive(lab, label, expected));
}

static G_GNUC_UNUSED void nothing_more(Lab *lab)
{
    PlWorldPlace to;
    uint64_t arrived;

    g_assert_null(pl_world_receive(lab->world, 3600 * S, &to, &arrived));
    g_assert_cmpuint(pl_world_next(lab->world), ==, UINT64_MAX);
}
