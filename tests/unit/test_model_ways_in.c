/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The NAT of the model: what comes in from outside, from inside by way of outside, and what is its
 * own. */
#include "model_nat.h"

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

/* What the router took in occupies the port towards its sender, and only that, for a while. */
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

/* Nothing is translated, in either family; what has gone out may be answered. */
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

static const struct {
    const char *path;
    GTestFunc test;
} tests[] = {
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
};

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_autofree char *path = g_strconcat("/model/ways-in/", tests[i].path, NULL);

        g_test_add_func(path, tests[i].test);
    }
    return g_test_run();
}
