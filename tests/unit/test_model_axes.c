/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The NAT of the model: each axis of a topology file, value by value. */
#include "model_nat.h"

static void test_mapping(void)
{
    static const struct {
        PlMapping mapping;
        gboolean port, address; /* another one for another port, for another address */
    } cases[] = {
        {PL_MAPPING_ENDPOINT_INDEPENDENT, FALSE, FALSE},
        {PL_MAPPING_ADDRESS_DEPENDENT, FALSE, TRUE},
        {PL_MAPPING_ADDRESS_AND_PORT_DEPENDENT, TRUE, TRUE},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(Box) box;
        PhAddress first;

        box_init(&box, cases[i].mapping, PL_FILTERING_ADDRESS_AND_PORT_DEPENDENT);
        box.config.behaviour.port_allocation = PL_PORT_ALLOCATION_RANDOM;
        box_start(&box);
        first = box_out(&box, ALICE, HUB);
        g_assert_true(box_same(box_out(&box, ALICE, HUB), first));
        g_assert_cmpint(box_same(box_out(&box, ALICE, HUB_2), first), ==, !cases[i].port);
        g_assert_cmpint(box_same(box_out(&box, ALICE, OTHER), first), ==, !cases[i].address);
        g_assert_false(box_same(box_out(&box, BOB, HUB), first));
    }
}

static void test_filtering(void)
{
    for (int mapping = PL_MAPPING_ENDPOINT_INDEPENDENT; mapping < PL_MAPPING_N; mapping++) {
        for (int filtering = 0; filtering < PL_FILTERING_N; filtering++) {
            g_auto(Box) box;
            PhAddress external;

            box_init(&box, (PlMapping)mapping, (PlFiltering)filtering);
            box_start(&box);
            external = box_out(&box, ALICE, HUB);
            g_assert_true(box_in(&box, HUB, external));
            wire_assert(wire_destination(box.packet), ALICE);
            g_assert_cmpint(box_in(&box, HUB_2, external), ==,
                            filtering != PL_FILTERING_ADDRESS_AND_PORT_DEPENDENT);
            g_assert_cmpint(box_in(&box, OTHER, external), ==,
                            filtering == PL_FILTERING_ENDPOINT_INDEPENDENT);
            g_assert_cmpuint(box_count(&box).filtered, ==, (guint)filtering);
        }
    }
}

/* Like a Linux router: a port is kept unless somebody else has it towards the same remote. */
static void test_preserve(void)
{
    g_auto(Box) box;
    PhAddress first;

    box_init(&box, PL_MAPPING_ENDPOINT_INDEPENDENT, PL_FILTERING_ADDRESS_AND_PORT_DEPENDENT);
    box_start(&box);
    wire_assert(box_out(&box, ALICE, HUB), "198.51.100.1:4000");
    wire_assert(box_out(&box, ALICE, HUB_2), "198.51.100.1:4000");
    first = box_out(&box, BOB, HUB);
    g_assert_cmpuint(first.port, !=, 4000);
    g_assert_false(box_same(box_out(&box, BOB, HUB_2), first));
    wire_assert(box_out(&box, BOB, OTHER), "198.51.100.1:4000");
    g_assert_true(box_same(box_out(&box, BOB, HUB), first));
    /* What comes back goes to whoever asked. */
    g_assert_true(box_in(&box, HUB, wire_at("198.51.100.1:4000")));
    wire_assert(wire_destination(box.packet), ALICE);
    g_assert_true(box_in(&box, HUB, first));
    wire_assert(wire_destination(box.packet), BOB);
    g_assert_true(box_in(&box, OTHER, wire_at("198.51.100.1:4000")));
    wire_assert(wire_destination(box.packet), BOB);
}

/* Where strangers may use the mapping, the port has one owner. */
static void test_preserve_for_strangers(void)
{
    g_auto(Box) box;
    PhAddress first;

    box_init(&box, PL_MAPPING_ENDPOINT_INDEPENDENT, PL_FILTERING_ENDPOINT_INDEPENDENT);
    box_start(&box);
    wire_assert(box_out(&box, ALICE, HUB), "198.51.100.1:4000");
    first = box_out(&box, BOB, OTHER);
    g_assert_cmpuint(first.port, !=, 4000);
    g_assert_true(box_same(box_out(&box, BOB, HUB), first));
}

static void test_sequential(void)
{
    g_auto(Box) box;

    box_init(&box, PL_MAPPING_ADDRESS_AND_PORT_DEPENDENT, PL_FILTERING_ENDPOINT_INDEPENDENT);
    box.config.behaviour.port_allocation = PL_PORT_ALLOCATION_SEQUENTIAL;
    box.config.behaviour.port_first = 20000;
    box.config.behaviour.port_last = 20009;
    box_start(&box);
    for (guint i = 0; i < 10; i++) {
        g_autofree char *to = g_strdup_printf("203.0.113.10:%u", 100 + i);

        g_assert_cmpuint(box_out(&box, ALICE, to).port, ==, 20000 + i);
    }
    g_assert_false(box_udp(&box, PL_SIDE_INSIDE, ALICE, OTHER));
    box.now += 120 * S;
    g_assert_cmpuint(box_out(&box, ALICE, OTHER).port, ==, 20000);
}

static void test_random(void)
{
    g_auto(Box) box;
    guint16 first = G_MAXUINT16, last = 0;

    box_init(&box, PL_MAPPING_ADDRESS_AND_PORT_DEPENDENT, PL_FILTERING_ENDPOINT_INDEPENDENT);
    box.config.behaviour.port_first = 30000;
    box.config.behaviour.port_last = 39999;
    box_start(&box);
    for (guint i = 0; i < 1000; i++) {
        g_autofree char *to = g_strdup_printf("203.0.113.10:%u", 100 + i);
        guint16 port = box_out(&box, ALICE, to).port;

        first = MIN(first, port);
        last = MAX(last, port);
    }
    g_assert_cmpuint(first, >=, 30000);
    g_assert_cmpuint(first, <, 30100);
    g_assert_cmpuint(last, <=, 39999);
    g_assert_cmpuint(last, >, 39900);
}

/* Each inside address its block; when that is used up, packets are dropped; other people's are not
 * touched; a block that nobody uses goes to somebody who has none. */
static void test_block(void)
{
    g_auto(Box) box;
    guint base;

    box_init(&box, PL_MAPPING_ENDPOINT_INDEPENDENT, PL_FILTERING_ENDPOINT_INDEPENDENT);
    box.config.behaviour.port_allocation = PL_PORT_ALLOCATION_BLOCK;
    box.config.behaviour.block_size = 8;
    box.config.behaviour.port_first = 2000;
    box.config.behaviour.port_last = 2023; /* three */
    box_start(&box);
    for (guint host = 2; host < 5; host++) {
        base = 2000 + (host - 2) * 8;
        for (guint i = 0; i < 9; i++) {
            g_autofree char *from = g_strdup_printf("192.168.1.%u:%u", host, 5000 + i);

            g_assert_cmpint(box_udp(&box, PL_SIDE_INSIDE, from, HUB), ==, i < 8);
            if (i < 8)
                g_assert_cmpuint(wire_source(box.packet).port - base, <, 8);
        }
    }
    g_assert_cmpuint(box_count(&box).exhausted, ==, 3);
    g_assert_false(box_udp(&box, PL_SIDE_INSIDE, "192.168.1.9:1", HUB));
    box.now += 100 * S;
    box_out(&box, "192.168.1.2:5000", HUB);
    box_out(&box, "192.168.1.4:5000", HUB);
    box.now += 20 * S;
    g_assert_cmpuint(box_out(&box, "192.168.1.9:1", HUB).port - 2008, <, 8); /* .3's */
    g_assert_false(box_udp(&box, PL_SIDE_INSIDE, "192.168.1.3:5000", HUB));
}

static void test_pooling(void)
{
    for (int pooling = 0; pooling < PL_POOLING_N; pooling++) {
        g_auto(Box) box;
        guint seen = 0, paired = 0;

        box_init(&box, PL_MAPPING_ENDPOINT_INDEPENDENT, PL_FILTERING_ENDPOINT_INDEPENDENT);
        box.config.behaviour.port_allocation = PL_PORT_ALLOCATION_RANDOM;
        box.config.behaviour.pooling = (PlPooling)pooling;
        box.config.n_external = 4;
        box_start(&box);
        for (guint i = 0; i < 64; i++) {
            g_autofree char *one = g_strdup_printf("192.168.1.2:%u", 5000 + i);
            g_autofree char *each = g_strdup_printf("192.168.1.%u:5000", 3 + i);

            paired |= 1u << box_out(&box, one, HUB).bytes[3];
            seen |= 1u << box_out(&box, each, HUB).bytes[3];
        }
        g_assert_cmpuint(seen, ==, 0x1e);
        if (pooling == PL_POOLING_PAIRED)
            g_assert_cmpuint(paired & (paired - 1), ==, 0);
        else
            g_assert_cmpuint(paired, ==, 0x1e);
    }
}

static void test_hairpin(void)
{
    static const char *const sources[PL_HAIRPIN_N] = {NULL, "192.168.1.3:5000",
                                                      "198.51.100.1:5000"};

    for (int hairpin = 0; hairpin < PL_HAIRPIN_N; hairpin++) {
        g_auto(Box) box;

        box_init(&box, PL_MAPPING_ENDPOINT_INDEPENDENT, PL_FILTERING_ADDRESS_AND_PORT_DEPENDENT);
        box.config.behaviour.hairpin = (PlHairpin)hairpin;
        box.forwards[0] = (PlForward){PL_PROTOCOL_UDP, 9000, wire_at(ALICE)};
        box.config.n_forwards = 1;
        box_start(&box);
        box_out(&box, ALICE, HUB);
        for (guint i = 0; i < 2; i++) {
            g_assert_cmpint(box_udp(&box, PL_SIDE_INSIDE, "192.168.1.3:5000",
                                    i ? "198.51.100.1:9000" : "198.51.100.1:4000"),
                            ==, hairpin != PL_HAIRPIN_NONE);
            if (!sources[hairpin])
                continue;
            g_assert_cmpint(box.side, ==, PL_SIDE_INSIDE);
            wire_assert(wire_source(box.packet), sources[hairpin]);
            wire_assert(wire_destination(box.packet), ALICE);
        }
        g_assert_false(box_udp(&box, PL_SIDE_INSIDE, "192.168.1.3:5000", "198.51.100.1:4001"));
    }
}

/* A mapping that depends on the destination answers by the way that the question came. */
static void test_hairpin_symmetric(void)
{
    g_auto(Box) box;
    g_autofree char *to = NULL, *back = NULL;
    char text[PH_ADDRESS_TEXT_MAX];
    PhAddress alice;

    box_init(&box, PL_MAPPING_ADDRESS_AND_PORT_DEPENDENT, PL_FILTERING_ENDPOINT_INDEPENDENT);
    box.config.behaviour.hairpin = PL_HAIRPIN_EXTERNAL_SOURCE;
    box_start(&box);
    alice = box_out(&box, ALICE, HUB);
    to = g_strdup(ph_address_format(&alice, text));
    g_assert_true(box_udp(&box, PL_SIDE_INSIDE, BOB, to));
    alice = wire_source(box.packet);
    back = g_strdup(ph_address_format(&alice, text));
    g_assert_true(box_udp(&box, PL_SIDE_INSIDE, ALICE, back));
    wire_assert(wire_source(box.packet), to);
    wire_assert(wire_destination(box.packet), BOB);
}

/* What the router took in occupies the port towards its sender, and only that, for a while. */
static gboolean turn(Box *box, gboolean tcp, const char *from, const char *to, guint8 flags)
{
    return tcp ? box_tcp(box, PL_SIDE_INSIDE, from, wire_at(to), flags)
               : box_udp(box, PL_SIDE_INSIDE, from, to);
}

/* To a static forward: the answer comes from where the question went to. */
static void run_hairpin_forward(PlHairpin hairpin, gboolean tcp)
{
    g_auto(Box) box;
    static const char *const host = "192.168.1.2:80", *const asked = "198.51.100.1:8080";
    gboolean translated = hairpin == PL_HAIRPIN_EXTERNAL_SOURCE;
    const char *seen = translated ? "198.51.100.1:4000" : BOB;

    box_init(&box, PL_MAPPING_ENDPOINT_INDEPENDENT, PL_FILTERING_ADDRESS_AND_PORT_DEPENDENT);
    box.config.behaviour.hairpin = hairpin;
    box.forwards[0] = (PlForward){tcp ? PL_PROTOCOL_TCP : PL_PROTOCOL_UDP, 8080, wire_at(host)};
    box.config.n_forwards = 1;
    box_start(&box);
    for (guint i = 0; i < 2; i++) {
        g_assert_true(turn(&box, tcp, BOB, asked, i ? WIRE_ACK : WIRE_SYN));
        g_assert_cmpint(box.side, ==, PL_SIDE_INSIDE);
        wire_assert(wire_source(box.packet), seen);
        wire_assert(wire_destination(box.packet), host);
        if (!translated)
            continue; /* the answer goes past the NAT */
        g_assert_true(turn(&box, tcp, host, seen, WIRE_SYN | WIRE_ACK));
        g_assert_cmpint(box.side, ==, PL_SIDE_INSIDE);
        wire_assert(wire_source(box.packet), asked);
        wire_assert(wire_destination(box.packet), BOB);
    }
    g_assert_cmpuint(box_count(&box).mappings, ==, translated ? 2 : 1);
    g_assert_cmpuint(box_count(&box).hairpinned, ==, translated ? 4 : 2);
    /* RFC 5382 REQ-5: an established connection lives longer than one that is begun. */
    box.now += 240 * S;
    box_udp(&box, PL_SIDE_OUTSIDE, OTHER, "198.51.100.1:9");
    g_assert_cmpuint(box_count(&box).mappings, ==, translated && tcp ? 2 : 0);
}

static void test_hairpin_forward(void)
{
    for (int hairpin = PL_HAIRPIN_INTERNAL_SOURCE; hairpin < PL_HAIRPIN_N; hairpin++) {
        run_hairpin_forward((PlHairpin)hairpin, /* tcp= */ FALSE);
        run_hairpin_forward((PlHairpin)hairpin, /* tcp= */ TRUE);
    }
}

/* And so does a complaint, from either of them about the other. */
static void test_hairpin_forward_error(void)
{
    g_auto(Box) box;
    g_autoptr(PlDatagram) asked = NULL, answered = NULL;
    const PhAddress host = wire_at("192.168.1.2"), bob = wire_at("192.168.1.3");
    const PhAddress external = wire_at("198.51.100.1");

    box_init(&box, PL_MAPPING_ENDPOINT_INDEPENDENT, PL_FILTERING_ADDRESS_AND_PORT_DEPENDENT);
    box.config.behaviour.hairpin = PL_HAIRPIN_EXTERNAL_SOURCE;
    box.forwards[0] = (PlForward){PL_PROTOCOL_UDP, 8080, wire_at("192.168.1.2:80")};
    box.config.n_forwards = 1;
    box_start(&box);
    g_assert_true(box_udp(&box, PL_SIDE_INSIDE, BOB, "198.51.100.1:8080"));
    asked = pl_datagram_new(box.packet->bytes, box.packet->length);
    g_assert_true(box_udp(&box, PL_SIDE_INSIDE, "192.168.1.2:80", "198.51.100.1:4000"));
    answered = pl_datagram_new(box.packet->bytes, box.packet->length);
    g_assert_true(box_send(&box, PL_SIDE_INSIDE, wire_error(&host, &external, 3, 3, asked, 28)));
    g_assert_cmpint(box.side, ==, PL_SIDE_INSIDE);
    wire_assert(wire_destination(box.packet), "192.168.1.3");
    g_assert_true(box_send(&box, PL_SIDE_INSIDE, wire_error(&bob, &external, 3, 3, answered, 28)));
    g_assert_cmpint(box.side, ==, PL_SIDE_INSIDE);
    wire_assert(wire_destination(box.packet), "192.168.1.2");
}

/* A connection that is only begun ends, also when it began with a packet that was turned around. */
static void test_hairpin_ends(void)
{
    for (int hairpin = PL_HAIRPIN_EXTERNAL_SOURCE; hairpin < PL_HAIRPIN_N; hairpin++) {
        g_auto(Box) box;
        PhAddress external;

        box_init(&box, PL_MAPPING_ENDPOINT_INDEPENDENT, PL_FILTERING_ADDRESS_AND_PORT_DEPENDENT);
        box.config.behaviour.hairpin = (PlHairpin)hairpin;
        box.config.behaviour.port_allocation = PL_PORT_ALLOCATION_RANDOM;
        box.config.behaviour.quirks.symmetric_after = 1;
        box_start(&box);
        g_assert_true(box_tcp(&box, PL_SIDE_INSIDE, "192.168.1.2:1111", wire_at(HUB), WIRE_SYN));
        g_assert_true(box_tcp(&box, PL_SIDE_INSIDE, ALICE, wire_at(HUB), WIRE_SYN));
        external = wire_source(box.packet);
        g_assert_true(box_tcp(&box, PL_SIDE_INSIDE, BOB, external, WIRE_SYN));
        wire_assert(wire_destination(box.packet), ALICE);
        box.now += 240 * S; /* RFC 5382 REQ-5 */
        g_assert_false(box_udp(&box, PL_SIDE_OUTSIDE, OTHER, "198.51.100.1:9"));
        g_assert_cmpuint(box_count(&box).mappings, ==, 0);
    }
}

static void test_accept(void)
{
    static const PlFiltering filterings[] = {PL_FILTERING_ENDPOINT_INDEPENDENT,
                                             PL_FILTERING_ADDRESS_AND_PORT_DEPENDENT};

    for (guint i = 0; i < G_N_ELEMENTS(filterings); i++) {
        g_auto(Box) box;

        box_init(&box, PL_MAPPING_ENDPOINT_INDEPENDENT, filterings[i]);
        box.config.behaviour.unsolicited = PL_UNSOLICITED_ACCEPT;
        box_start(&box);
        g_assert_false(box_in(&box, HUB, wire_at("198.51.100.1:4000")));
        g_assert_cmpint(box.outcome, ==, PL_NAT_LOCAL);
        wire_assert(wire_destination(box.packet), "198.51.100.1:4000");
        g_assert_cmpuint(box_out(&box, ALICE, HUB).port, !=, 4000);
        wire_assert(box_out(&box, ALICE, OTHER), "198.51.100.1:4000");
        wire_assert(box_out(&box, ALICE, HUB_2), "198.51.100.1:4000");
        g_assert_false(box_in(&box, HUB, wire_at("198.51.100.1:4000")));
        box.now += 120 * S;
        wire_assert(box_out(&box, ALICE, HUB), "198.51.100.1:4000");
    }
}

/* A packet that the filter keeps out is taken in as well. */
static void test_accept_filtered(void)
{
    g_auto(Box) box;

    box_init(&box, PL_MAPPING_ENDPOINT_INDEPENDENT, PL_FILTERING_ADDRESS_AND_PORT_DEPENDENT);
    box.config.behaviour.port_allocation = PL_PORT_ALLOCATION_RANDOM;
    box.config.behaviour.unsolicited = PL_UNSOLICITED_ACCEPT;
    box_start(&box);
    {
        PhAddress external = box_out(&box, ALICE, HUB);

        g_assert_false(box_in(&box, OTHER, external));
        g_assert_cmpint(box.outcome, ==, PL_NAT_LOCAL);
        g_assert_false(box_same(box_out(&box, ALICE, OTHER), external));
        g_assert_true(box_same(box_out(&box, ALICE, HUB_2), external));
    }
}

static void test_drop(void)
{
    g_auto(Box) box;

    box_init(&box, PL_MAPPING_ENDPOINT_INDEPENDENT, PL_FILTERING_ADDRESS_AND_PORT_DEPENDENT);
    box_start(&box);
    g_assert_false(box_in(&box, HUB, wire_at("198.51.100.1:4000")));
    g_assert_cmpint(box.outcome, ==, PL_NAT_DROPPED);
    wire_assert(box_out(&box, ALICE, HUB), "198.51.100.1:4000");
}

static void test_reject(void)
{
    g_auto(Box) box;
    PhAddress hub = wire_at(HUB), to = wire_at("198.51.100.1:4000");
    g_autofree guint8 *data = g_malloc0(2000);
    g_autoptr(PlDatagram) sent = wire_udp(&hub, &to, data, 2000);

    box_init(&box, PL_MAPPING_ENDPOINT_INDEPENDENT, PL_FILTERING_ADDRESS_AND_PORT_DEPENDENT);
    box.config.behaviour.unsolicited = PL_UNSOLICITED_REJECT;
    box_start(&box);
    g_assert_true(box_send(&box, PL_SIDE_OUTSIDE, pl_datagram_new(sent->bytes, sent->length)));
    g_assert_cmpint(box.side, ==, PL_SIDE_OUTSIDE);
    wire_assert(wire_source(box.packet), "198.51.100.1");
    wire_assert(wire_destination(box.packet), "203.0.113.10");
    g_assert_cmpuint(box.packet->bytes[20], ==, 3);
    g_assert_cmpuint(box.packet->bytes[21], ==, 3);
    g_assert_cmpuint(box.packet->length, ==, 576);
    g_assert_true(memcmp(box.packet->bytes + 28, sent->bytes, 548) == 0);
    g_assert_cmpuint(box_count(&box).rejected, ==, 1);
}

static void test_blocked(void)
{
    g_auto(Box) box;

    box_init(&box, PL_MAPPING_ENDPOINT_INDEPENDENT, PL_FILTERING_ENDPOINT_INDEPENDENT);
    box.config.behaviour.udp = box.config.behaviour.icmp = PL_PASS_BLOCKED;
    box_start(&box);
    g_assert_false(box_udp(&box, PL_SIDE_INSIDE, ALICE, HUB));
    g_assert_false(box_in(&box, HUB, wire_at("198.51.100.1:4000")));
    g_assert_false(box_echo(&box, PL_SIDE_INSIDE, "192.168.1.2", "203.0.113.10", FALSE, 1));
    g_assert_cmpuint(box_count(&box).blocked, ==, 3);
    g_assert_true(box_tcp(&box, PL_SIDE_INSIDE, ALICE, wire_at(HUB), WIRE_SYN));
}

static void test_forwards(void)
{
    g_auto(Box) box;

    box_init(&box, PL_MAPPING_ADDRESS_AND_PORT_DEPENDENT, PL_FILTERING_ADDRESS_AND_PORT_DEPENDENT);
    box.forwards[0] = (PlForward){PL_PROTOCOL_UDP, 9000, wire_at(ALICE)};
    box.forwards[1] = (PlForward){PL_PROTOCOL_TCP, 9001, wire_at(BOB)};
    box.config.n_forwards = 2;
    box.config.n_external = 2;
    box_start(&box);
    g_assert_true(box_in(&box, HUB, wire_at("198.51.100.2:9000")));
    wire_assert(wire_destination(box.packet), ALICE);
    g_assert_true(box_in(&box, HUB_2, wire_at("198.51.100.1:9000")));
    wire_assert(box_out(&box, ALICE, HUB), "198.51.100.2:9000");
    wire_assert(box_out(&box, ALICE, HUB_2), "198.51.100.1:9000");
    g_assert_cmpuint(box_out(&box, ALICE, OTHER).port, !=, 9000);
    g_assert_false(box_in(&box, HUB, wire_at("198.51.100.1:9001")));
    g_assert_true(box_tcp(&box, PL_SIDE_OUTSIDE, HUB, wire_at("198.51.100.1:9001"), WIRE_SYN));
    wire_assert(wire_destination(box.packet), BOB);
    g_assert_true(box_tcp(&box, PL_SIDE_INSIDE, BOB, wire_at(HUB), WIRE_SYN | WIRE_ACK));
    wire_assert(wire_source(box.packet), "198.51.100.1:9001");
}

/* Nothing is translated, in either family; what has gone out may be answered. */
/* Its host keeps the port for what it sends itself: with no client, with one, and when the first
 * of two has gone. */
static void test_forwards_port(void)
{
    for (guint clients = 0; clients < 3; clients++) {
        g_auto(Box) box;
        const PhAddress forwarded = wire_at("198.51.100.1:8080");

        box_init(&box, PL_MAPPING_ENDPOINT_INDEPENDENT, PL_FILTERING_ENDPOINT_INDEPENDENT);
        box.forwards[0] = (PlForward){PL_PROTOCOL_UDP, 8080, wire_at("192.168.1.2:8080")};
        box.config.n_forwards = 1;
        box_start(&box);
        if (clients > 1) {
            g_assert_true(box_in(&box, HUB_2, forwarded));
            box.now += 70 * S;
        }
        if (clients > 0)
            g_assert_true(box_in(&box, OTHER, forwarded));
        if (clients > 1)
            box.now += 60 * S;
        wire_assert(box_out(&box, "192.168.1.2:8080", HUB), "198.51.100.1:8080");
        g_assert_cmpuint(box_count(&box).mappings, ==, clients ? 2 : 1);
        /* And who has the port by a mapping keeps it when all clients have gone. */
        box.now += 80 * S;
        box_out(&box, "192.168.1.2:8080", HUB);
        box.now += 80 * S;
        g_assert_cmpuint(box_out(&box, "192.168.1.3:8080", HUB_2).port, !=, 8080);
        g_assert_cmpuint(box_count(&box).mappings, ==, 2);
    }
}

/* A client has one mapping, however many packets it sends. */
static void test_forwards_overloading(void)
{
    g_auto(Box) box;

    box_init(&box, PL_MAPPING_ENDPOINT_INDEPENDENT, PL_FILTERING_ENDPOINT_INDEPENDENT);
    box.config.behaviour.quirks.port_overloading = TRUE;
    box.forwards[0] = (PlForward){PL_PROTOCOL_UDP, 8080, wire_at("192.168.1.2:80")};
    box.config.n_forwards = 1;
    box_start(&box);
    for (guint i = 0; i < 3; i++)
        g_assert_true(box_in(&box, HUB, wire_at("198.51.100.1:8080")));
    g_assert_cmpuint(box_count(&box).mappings, ==, 1);
    wire_assert(box_out(&box, "192.168.1.2:80", HUB), "198.51.100.1:8080");
}

static void test_firewall(void)
{
    static const char *const ends[][4] = {
        {"192.0.2.2:4000", HUB, HUB_2, OTHER},
        {"[2001:db8:1::2]:4000", "[2001:db8:2::1]:5", "[2001:db8:2::1]:6", "[2001:db8:2::2]:5"},
    };

    for (int filtering = 0; filtering < PL_FILTERING_N; filtering++) {
        for (guint i = 0; i < G_N_ELEMENTS(ends); i++) {
            g_auto(Box) box;
            PhAddress inside = wire_at(ends[i][0]);

            box_init(&box, PL_MAPPING_NONE, (PlFiltering)filtering);
            box.config.behaviour.port_allocation = PL_PORT_ALLOCATION_PRESERVE;
            box.config.n_external = 0;
            box_start(&box);
            wire_assert(box_out(&box, ends[i][0], ends[i][1]), ends[i][0]);
            g_assert_true(box_in(&box, ends[i][1], inside));
            g_assert_cmpint(box_in(&box, ends[i][2], inside), ==,
                            filtering != PL_FILTERING_ADDRESS_AND_PORT_DEPENDENT);
            g_assert_cmpint(box_in(&box, ends[i][3], inside), ==,
                            filtering == PL_FILTERING_ENDPOINT_INDEPENDENT);
            g_assert_cmpint(box_tcp(&box, PL_SIDE_OUTSIDE, ends[i][3], inside, WIRE_SYN), ==,
                            filtering == PL_FILTERING_ENDPOINT_INDEPENDENT);
            box.now += 120 * S;
            g_assert_cmpint(box_in(&box, ends[i][1], inside), ==,
                            filtering == PL_FILTERING_ENDPOINT_INDEPENDENT);
        }
    }
}

static void test_firewall_icmp(void)
{
    g_auto(Box) box;
    g_autoptr(PlDatagram) about = NULL;
    PhAddress inside = wire_at("[2001:db8:1::2]:4000"), remote = wire_at("[2001:db8:2::1]:5"),
              router = wire_at("2001:db8:3::1");

    box_init(&box, PL_MAPPING_NONE, PL_FILTERING_ADDRESS_AND_PORT_DEPENDENT);
    box.config.behaviour.unsolicited = PL_UNSOLICITED_REJECT;
    box_start(&box);
    g_assert_true(box_echo(&box, PL_SIDE_INSIDE, "2001:db8:1::2", "2001:db8:2::1", FALSE, 3));
    g_assert_true(box_echo(&box, PL_SIDE_OUTSIDE, "2001:db8:2::1", "2001:db8:1::2", TRUE, 3));
    g_assert_false(box_echo(&box, PL_SIDE_OUTSIDE, "2001:db8:2::1", "2001:db8:1::2", FALSE, 3));
    g_assert_false(box_echo(&box, PL_SIDE_OUTSIDE, "2001:db8:2::2", "2001:db8:1::2", TRUE, 3));
    box_out(&box, "[2001:db8:1::2]:4000", "[2001:db8:2::1]:5");
    about = pl_datagram_new(box.packet->bytes, box.packet->length);
    g_assert_true(box_send(&box, PL_SIDE_OUTSIDE, wire_error(&router, &inside, 1, 4, about, 48)));
    g_assert_cmpint(box.side, ==, PL_SIDE_INSIDE);
    /* Rejected in words of its own family. */
    remote.port = 6;
    g_assert_true(box_send(&box, PL_SIDE_OUTSIDE, wire_udp(&remote, &inside, "x", 1)));
    g_assert_cmpint(box.side, ==, PL_SIDE_OUTSIDE);
    g_assert_cmpuint(wire_protocol(box.packet->bytes), ==, WIRE_ICMPV6);
    g_assert_cmpuint(box.packet->bytes[40], ==, 1);
    g_assert_cmpuint(box.packet->bytes[41], ==, 4);
}

static void test_local(void)
{
    g_auto(Box) box;

    box_init(&box, PL_MAPPING_ENDPOINT_INDEPENDENT, PL_FILTERING_ADDRESS_AND_PORT_DEPENDENT);
    box_start(&box);
    g_assert_false(box_echo(&box, PL_SIDE_INSIDE, "192.168.1.2", "192.168.1.1", FALSE, 1));
    g_assert_cmpint(box.outcome, ==, PL_NAT_LOCAL);
    g_assert_false(box_echo(&box, PL_SIDE_INSIDE, "192.168.1.2", "198.51.100.1", FALSE, 1));
    g_assert_cmpint(box.outcome, ==, PL_NAT_LOCAL);
    g_assert_false(box_echo(&box, PL_SIDE_OUTSIDE, "203.0.113.10", "198.51.100.1", FALSE, 1));
    g_assert_cmpint(box.outcome, ==, PL_NAT_LOCAL);
    g_assert_cmpuint(box_count(&box).mappings, ==, 0);
}

static void test_limit(void)
{
    g_auto(Box) box;

    box_init(&box, PL_MAPPING_ENDPOINT_INDEPENDENT, PL_FILTERING_ADDRESS_AND_PORT_DEPENDENT);
    box.config.mappings_max = 10;
    box_start(&box);
    for (guint i = 0; i < 20; i++) {
        g_autofree char *from = g_strdup_printf("192.168.1.2:%u", 5000 + i);

        g_assert_cmpint(box_udp(&box, PL_SIDE_INSIDE, from, HUB), ==, i < 10);
    }
    /* Destinations are limited as well. */
    for (guint i = 0; i < 100; i++) {
        g_autofree char *to = g_strdup_printf("203.0.113.10:%u", 1 + i);

        g_assert_cmpint(box_udp(&box, PL_SIDE_INSIDE, "192.168.1.2:5000", to), ==, i < 30);
    }
    g_assert_cmpuint(box_count(&box).exhausted, ==, 10 + 70);
    g_assert_cmpuint(box_count(&box).mappings, ==, 10);
}

/* Strangers take half of the room at most: by a static forward, or through a firewall that lets
 * everybody in. */
static void test_limit_outside(void)
{
    for (int firewall = 0; firewall < 2; firewall++) {
        g_auto(Box) box;
        PhAddress to = wire_at(firewall ? "192.168.1.2:80" : "198.51.100.1:8080");

        box_init(&box, firewall ? PL_MAPPING_NONE : PL_MAPPING_ENDPOINT_INDEPENDENT,
                 PL_FILTERING_ENDPOINT_INDEPENDENT);
        box.config.mappings_max = 10;
        box.forwards[0] = (PlForward){PL_PROTOCOL_UDP, 8080, wire_at("192.168.1.2:80")};
        box.config.n_forwards = firewall ? 0 : 1;
        box_start(&box);
        for (guint round = 0; round < 2; round++) {
            for (guint i = 0; i < 8; i++) {
                g_autofree char *from = g_strdup_printf("203.0.113.50:%u", 1000 + i);

                if (firewall)
                    to.port++; /* where nobody has been let in */
                g_assert_cmpint(box_in(&box, from, to), ==, i < 5);
            }
            for (guint i = 0; i < 8; i++) {
                g_autofree char *from = g_strdup_printf("192.168.1.3:%u", 5000 + i);

                g_assert_cmpint(box_udp(&box, PL_SIDE_INSIDE, from, HUB), ==, i < 5);
            }
            g_assert_cmpuint(box_count(&box).exhausted, ==, 6 * (round + 1));
            box.now += 120 * S; /* and all have gone */
        }
    }
}

static void test_flush(void)
{
    g_auto(Box) box;
    PhAddress external, other = wire_at("198.51.100.9");

    box_init(&box, PL_MAPPING_ENDPOINT_INDEPENDENT, PL_FILTERING_ENDPOINT_INDEPENDENT);
    box_start(&box);
    external = box_out(&box, ALICE, HUB);
    pl_nat_flush(box.nat);
    g_assert_false(box_in(&box, HUB, external));
    g_assert_cmpuint(box_count(&box).mappings, ==, 0);
    box_out(&box, ALICE, HUB);
    pl_nat_set_external(box.nat, &other, 1);
    g_assert_false(box_in(&box, HUB, external));
    wire_assert(box_out(&box, ALICE, HUB), "198.51.100.9:4000");
}

/* Same config, same inputs: same bytes; another seed, others. */
static void test_determinism(void)
{
    g_auto(GStrv) hashes = g_new0(char *, 4);

    for (guint round = 0; round < 3; round++) {
        g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
        g_auto(Box) box;

        box_init(&box, PL_MAPPING_ADDRESS_DEPENDENT, PL_FILTERING_ADDRESS_DEPENDENT);
        box.config.n_external = 4;
        box.config.seed = round == 2 ? 2 : 1;
        box_start(&box);
        for (guint i = 0; i < 5000; i++) {
            g_autofree char *from = g_strdup_printf("192.168.1.%u:%u", 2 + i % 90, 1000 + i % 7);
            g_autofree char *to = g_strdup_printf("203.0.113.%u:%u", 1 + i % 11, 1 + i % 5);

            box.now += 100 * MS;
            box_out(&box, from, to);
            g_checksum_update(sum, box.packet->bytes, box.packet->length);
        }
        hashes[round] = g_strdup(g_checksum_get_string(sum));
    }
    g_assert_cmpstr(hashes[0], ==, hashes[1]);
    g_assert_cmpstr(hashes[0], !=, hashes[2]);
}

static void test_entries(void)
{
    g_auto(Box) box;
    g_autoptr(GArray) entries = NULL;
    const PlNatEntry *entry;

    box_init(&box, PL_MAPPING_ENDPOINT_INDEPENDENT, PL_FILTERING_ADDRESS_AND_PORT_DEPENDENT);
    box_start(&box);
    box_out(&box, BOB, HUB);
    box.now += 1 * S;
    box_out(&box, ALICE, OTHER);
    g_assert_true(box_in(&box, OTHER, wire_at("198.51.100.1:4000")));
    entries = pl_nat_entries(box.nat, box.now);
    g_assert_cmpuint(entries->len, ==, 2);
    entry = &g_array_index(entries, PlNatEntry, 0);
    wire_assert(entry->inside, BOB);
    wire_assert(entry->remote, HUB);
    g_assert_false(entry->replied);
    g_assert_cmpuint(entry->expires_ns, ==, box.now + 119 * S);
    entry++;
    wire_assert(entry->inside, ALICE);
    wire_assert(entry->external, "198.51.100.1:4000");
    g_assert_true(entry->replied && !entry->from_outside);
}

/* Whichever way the last packet went, the mapping ends a timeout after that one. */
static void test_latest(void)
{
    for (int last = 0; last < 4; last++) {
        g_auto(Box) box;
        g_autoptr(GArray) entries = NULL;
        PhAddress external;

        box_init(&box, PL_MAPPING_ENDPOINT_INDEPENDENT, PL_FILTERING_ENDPOINT_INDEPENDENT);
        box.config.behaviour.inbound_refresh = TRUE;
        box_start(&box);
        external = box_out(&box, ALICE, HUB);
        for (guint i = 0; i < 200; i++) {
            g_autofree char *to = g_strdup_printf("203.0.113.200:%u", 1000 + i);

            box.now += 500 * MS;
            box_out(&box, ALICE, to);
        }
        box.now += 1 * S;
        if (last < 2)
            box_out(&box, ALICE, last == 0 ? HUB : OTHER); /* known, and not */
        else
            g_assert_true(box_in(&box, last == 2 ? HUB : OTHER, external));
        entries = pl_nat_entries(box.nat, box.now);
        g_assert_cmpuint(entries->len, ==, 1);
        g_assert_cmpuint(g_array_index(entries, PlNatEntry, 0).expires_ns, ==, box.now + 120 * S);
        g_assert_cmpint(g_array_index(entries, PlNatEntry, 0).replied, ==, last >= 2);
        box.now += 120 * S - 1;
        box_out(&box, BOB, HUB);
        g_assert_cmpuint(box_count(&box).mappings, ==, 2);
        box.now += 1;
        box_out(&box, BOB, HUB);
        g_assert_cmpuint(box_count(&box).mappings, ==, 1);
    }
}

/* UDP without a checksum stays without; one that was wrong stays wrong. */
static void test_checksums(void)
{
    g_auto(Box) box;
    PhAddress from = wire_at(ALICE), to = wire_at(HUB);
    PlDatagram *packet;

    box_init(&box, PL_MAPPING_ENDPOINT_INDEPENDENT, PL_FILTERING_ENDPOINT_INDEPENDENT);
    box_start(&box);
    packet = wire_udp(&from, &to, "x", 1);
    wire_put_u16(packet->bytes + 26, 0);
    g_assert_true(box_send(&box, PL_SIDE_INSIDE, packet));
    g_assert_cmpuint(wire_u16(box.packet->bytes + 26), ==, 0);
    packet = wire_udp(&from, &to, "x", 1);
    packet->bytes[28] ^= 4;
    g_assert_cmpint(pl_nat_handle(box.nat, PL_SIDE_INSIDE, packet, box.now, &box.side), ==,
                    PL_NAT_FORWARDED);
    g_assert_false(wire_is_right(packet));
    packet->bytes[28] ^= 4;
    g_assert_true(wire_is_right(packet));
    pl_datagram_free(packet);
    /* A sum of zero is written as ones (RFC 768). */
    for (guint i = 0; i < 0x10000; i += 1) {
        guint8 data[2] = {(guint8)(i >> 8), (guint8)i};

        g_assert_true(box_send(&box, PL_SIDE_INSIDE, wire_udp(&from, &to, data, 2)));
        g_assert_cmpuint(wire_u16(box.packet->bytes + 26), !=, 0);
    }
}

static const struct {
    const char *path;
    GTestFunc test;
} tests[] = {
    {"mapping", test_mapping},
    {"filtering", test_filtering},
    {"port-allocation/preserve", test_preserve},
    {"port-allocation/preserve-for-strangers", test_preserve_for_strangers},
    {"port-allocation/sequential", test_sequential},
    {"port-allocation/random", test_random},
    {"port-allocation/block", test_block},
    {"pooling", test_pooling},
    {"hairpin", test_hairpin},
    {"hairpin/symmetric", test_hairpin_symmetric},
    {"hairpin/forward", test_hairpin_forward},
    {"hairpin/forward-error", test_hairpin_forward_error},
    {"hairpin/ends", test_hairpin_ends},
    {"unsolicited/accept", test_accept},
    {"unsolicited/accept-filtered", test_accept_filtered},
    {"unsolicited/drop", test_drop},
    {"unsolicited/reject", test_reject},
    {"blocked", test_blocked},
    {"forwards", test_forwards},
    {"forwards/port", test_forwards_port},
    {"forwards/overloading", test_forwards_overloading},
    {"firewall", test_firewall},
    {"firewall/icmp", test_firewall_icmp},
    {"local", test_local},
    {"limit", test_limit},
    {"limit/outside", test_limit_outside},
    {"flush", test_flush},
    {"determinism", test_determinism},
    {"entries", test_entries},
    {"latest", test_latest},
    {"checksums", test_checksums},
};

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_autofree char *path = g_strconcat("/model/axes/", tests[i].path, NULL);

        g_test_add_func(path, tests[i].test);
    }
    return g_test_run();
}
