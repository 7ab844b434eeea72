/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The NAT of the model: what RFC 5382 requires for TCP, and RFC 5508 for ICMP. */
#include "model_nat.h"

static void cone(Box *box)
{
    box_init(box, PL_MAPPING_ENDPOINT_INDEPENDENT, PL_FILTERING_ADDRESS_AND_PORT_DEPENDENT);
}

/* A TCP packet out; its external endpoint. */
static PhAddress tcp_out(Box *box, const char *from, const char *to, guint8 flags)
{
    g_assert_true(box_tcp(box, PL_SIDE_INSIDE, from, wire_at(to), flags));
    return wire_source(box->packet);
}

static gboolean tcp_in(Box *box, const char *from, PhAddress to, guint8 flags)
{
    return box_tcp(box, PL_SIDE_OUTSIDE, from, to, flags) && box->side == PL_SIDE_INSIDE;
}

static PhAddress establish(Box *box)
{
    PhAddress external = tcp_out(box, ALICE, HUB, WIRE_SYN);

    g_assert_true(tcp_in(box, HUB, external, WIRE_SYN | WIRE_ACK));
    g_assert_true(box_same(tcp_out(box, ALICE, HUB, WIRE_ACK), external));
    return external;
}

static void test_tcp_1(void)
{
    for (int allocation = 0; allocation < PL_PORT_ALLOCATION_BLOCK; allocation++) {
        g_auto(Box) box;
        PhAddress external;

        cone(&box);
        box.config.behaviour.mapping =
            allocation ? PL_MAPPING_ADDRESS_AND_PORT_DEPENDENT : PL_MAPPING_ENDPOINT_INDEPENDENT;
        box.config.behaviour.port_allocation = (PlPortAllocation)allocation;
        box_start(&box);
        external = tcp_out(&box, ALICE, HUB, WIRE_SYN);
        wire_assert(external, "198.51.100.1:4000");
        g_assert_true(box_same(tcp_out(&box, ALICE, OTHER, WIRE_SYN), external));
    }
}

/* Both send first. */
static void test_tcp_2(void)
{
    g_auto(Box) box;
    PhAddress external;

    cone(&box);
    box_start(&box);
    external = tcp_out(&box, ALICE, HUB, WIRE_SYN);
    g_assert_true(tcp_in(&box, HUB, external, WIRE_SYN));
    tcp_out(&box, ALICE, HUB, WIRE_SYN | WIRE_ACK);
    g_assert_true(tcp_in(&box, HUB, external, WIRE_SYN | WIRE_ACK));
    tcp_out(&box, ALICE, HUB, WIRE_ACK);
    box.now += 7440 * S - 1;
    g_assert_true(tcp_in(&box, HUB, external, WIRE_ACK));
}

static void test_tcp_3(void)
{
    for (int filtering = 0; filtering < PL_FILTERING_N; filtering++) {
        g_auto(Box) box;
        PhAddress external;

        cone(&box);
        box.config.behaviour.filtering = (PlFiltering)filtering;
        box_start(&box);
        external = tcp_out(&box, ALICE, HUB, WIRE_SYN);
        g_assert_false(tcp_in(&box, OTHER, external, WIRE_SYN));
        g_assert_false(tcp_in(&box, HUB_2, external, WIRE_SYN));
    }
}

/* An unsolicited SYN is dropped in silence, and forgotten. */
static void test_tcp_4(void)
{
    g_auto(Box) box;

    cone(&box);
    box_start(&box);
    g_assert_false(box_tcp(&box, PL_SIDE_OUTSIDE, HUB, wire_at("198.51.100.1:4000"), WIRE_SYN));
    g_assert_cmpint(box.outcome, ==, PL_NAT_DROPPED);
    wire_assert(tcp_out(&box, ALICE, HUB, WIRE_SYN), "198.51.100.1:4000");
}

static void test_tcp_4_reject(void)
{
    g_auto(Box) box;

    cone(&box);
    box.config.behaviour.unsolicited = PL_UNSOLICITED_REJECT;
    box_start(&box);
    g_assert_true(box_tcp(&box, PL_SIDE_OUTSIDE, HUB, wire_at("198.51.100.1:4000"), WIRE_SYN));
    g_assert_cmpint(box.side, ==, PL_SIDE_OUTSIDE);
    wire_assert(wire_source(box.packet), "198.51.100.1:4000");
    wire_assert(wire_destination(box.packet), HUB);
    g_assert_cmpuint(box.packet->bytes[33], ==, WIRE_RST | WIRE_ACK);
    g_assert_cmpuint(box.packet->bytes[31], ==, 2); /* the SYN's sequence number, and one */
    g_assert_false(box_tcp(&box, PL_SIDE_OUTSIDE, HUB, wire_at("198.51.100.1:4000"), WIRE_RST));
    g_assert_cmpuint(box_count(&box).rejected, ==, 1);
}

static void test_tcp_5(void)
{
    static const struct {
        const char *what;
        guint8 inside, outside; /* after it was established; 0: nothing */
        gboolean established;
        uint64_t lives_s;
    } cases[] = {
        {"opening", 0, 0, FALSE, 240},
        {"established", 0, 0, TRUE, 7440},
        {"half closed", WIRE_FIN | WIRE_ACK, 0, TRUE, 7440},
        {"closed", WIRE_FIN | WIRE_ACK, WIRE_FIN | WIRE_ACK, TRUE, 240},
        {"reset", WIRE_RST, 0, TRUE, 240},
        {"reset from outside", 0, WIRE_RST, TRUE, 240},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        for (int late = 0; late < 2; late++) {
            g_auto(Box) box;
            PhAddress external;

            g_test_message("%s", cases[i].what);
            cone(&box);
            box_start(&box);
            external = cases[i].established ? establish(&box) : tcp_out(&box, ALICE, HUB, WIRE_SYN);
            if (cases[i].inside)
                tcp_out(&box, ALICE, HUB, cases[i].inside);
            if (cases[i].outside)
                g_assert_true(tcp_in(&box, HUB, external, cases[i].outside));
            box.now += cases[i].lives_s * S - (late ? 0 : 1);
            g_assert_cmpint(tcp_in(&box, HUB, external, WIRE_ACK), ==, !late);
            g_assert_cmpuint(box_count(&box).mappings, ==, late ? 0 : 1);
        }
    }
}

/* A mapping lives as long as one of its connections. */
static void test_tcp_5_several(void)
{
    g_auto(Box) box;
    PhAddress external;
    g_autoptr(GArray) entries = NULL;

    cone(&box);
    box_start(&box);
    external = establish(&box);
    tcp_out(&box, ALICE, OTHER, WIRE_SYN);
    box.now += 240 * S;
    g_assert_false(tcp_in(&box, OTHER, external, WIRE_SYN | WIRE_ACK));
    g_assert_true(tcp_in(&box, HUB, external, WIRE_ACK));
    entries = pl_nat_entries(box.nat, box.now);
    g_assert_cmpuint(entries->len, ==, 1);
    g_assert_cmpuint(g_array_index(entries, PlNatEntry, 0).expires_ns, ==, box.now + 7440 * S);
}

/* That it was answered is known of it after that connection is forgotten. */
static void test_answered(void)
{
    g_auto(Box) box;
    g_autoptr(GArray) entries = NULL;

    cone(&box);
    box_start(&box);
    g_assert_true(tcp_in(&box, HUB, tcp_out(&box, ALICE, HUB, WIRE_SYN), WIRE_SYN | WIRE_ACK));
    box.now += 200 * S;
    tcp_out(&box, ALICE, OTHER, WIRE_SYN);
    box.now += 40 * S;
    g_assert_false(tcp_in(&box, HUB, wire_source(box.packet), WIRE_ACK));
    entries = pl_nat_entries(box.nat, box.now);
    g_assert_cmpuint(entries->len, ==, 1);
    g_assert_true(g_array_index(entries, PlNatEntry, 0).replied);
    g_assert_cmpuint(g_array_index(entries, PlNatEntry, 0).expires_ns, ==, box.now + 200 * S);
}

static void test_tcp_7(void)
{
    g_auto(Box) box;

    cone(&box);
    box.config.behaviour.filtering = PL_FILTERING_ENDPOINT_INDEPENDENT;
    box_start(&box);
    wire_assert(tcp_out(&box, ALICE, HUB, WIRE_SYN), "198.51.100.1:4000");
    g_assert_cmpuint(tcp_out(&box, BOB, OTHER, WIRE_SYN).port, !=, 4000);
}

static void test_tcp_8(void)
{
    g_auto(Box) box;

    cone(&box);
    box.config.behaviour.hairpin = PL_HAIRPIN_EXTERNAL_SOURCE;
    box_start(&box);
    tcp_out(&box, ALICE, HUB, WIRE_SYN);
    g_assert_true(
        box_tcp(&box, PL_SIDE_INSIDE, "192.168.1.3:5000", wire_at("198.51.100.1:4000"), WIRE_SYN));
    wire_assert(wire_source(box.packet), "198.51.100.1:5000");
    wire_assert(wire_destination(box.packet), ALICE);
    g_assert_true(
        box_tcp(&box, PL_SIDE_INSIDE, ALICE, wire_at("198.51.100.1:5000"), WIRE_SYN | WIRE_ACK));
    wire_assert(wire_source(box.packet), "198.51.100.1:4000");
    wire_assert(wire_destination(box.packet), "192.168.1.3:5000");
}

/* An ICMP error about a TCP connection passes, and does not end it. */
static void test_tcp_9(void)
{
    g_auto(Box) box;
    g_autoptr(PlDatagram) about = NULL;
    PhAddress external, router = wire_at("203.0.113.1"), outer;

    cone(&box);
    box_start(&box);
    external = establish(&box);
    about = pl_datagram_new(box.packet->bytes, box.packet->length);
    outer = external;
    outer.port = 0;
    g_assert_true(box_send(&box, PL_SIDE_OUTSIDE, wire_error(&router, &outer, 3, 1, about, 40)));
    wire_assert(wire_end(box.packet->bytes + 28, TRUE), ALICE);
    g_assert_true(tcp_in(&box, HUB, external, WIRE_ACK));
}

/* The same identifier for every destination, and answers only from whom was asked. */
static void test_icmp_1(void)
{
    g_auto(Box) box;

    cone(&box);
    box_start(&box);
    g_assert_true(box_echo(&box, PL_SIDE_INSIDE, "192.168.1.2", "203.0.113.10", FALSE, 77));
    wire_assert(wire_source(box.packet), "198.51.100.1:77");
    g_assert_true(box_echo(&box, PL_SIDE_INSIDE, "192.168.1.2", "203.0.113.11", FALSE, 77));
    wire_assert(wire_source(box.packet), "198.51.100.1:77");
    g_assert_true(box_echo(&box, PL_SIDE_OUTSIDE, "203.0.113.10", "198.51.100.1", TRUE, 77));
    wire_assert(wire_destination(box.packet), "192.168.1.2:77");
    g_assert_false(box_echo(&box, PL_SIDE_OUTSIDE, "203.0.113.12", "198.51.100.1", TRUE, 77));
    /* Somebody else with the same one gets another towards the same host. */
    g_assert_true(box_echo(&box, PL_SIDE_INSIDE, "192.168.1.3", "203.0.113.10", FALSE, 77));
    g_assert_cmpuint(wire_source(box.packet).port, !=, 77);
}

static void test_icmp_2(void)
{
    for (int late = 0; late < 2; late++) {
        g_auto(Box) box;

        cone(&box);
        box_start(&box);
        g_assert_true(box_echo(&box, PL_SIDE_INSIDE, "192.168.1.2", "203.0.113.10", FALSE, 77));
        box.now += 60 * S - (late ? 0 : 1);
        g_assert_cmpint(box_echo(&box, PL_SIDE_OUTSIDE, "203.0.113.10", "198.51.100.1", TRUE, 77),
                        ==, !late);
    }
}

static void test_icmp_3(void)
{
    g_auto(Box) box;
    PhAddress router = wire_at("203.0.113.1"), external;
    g_autoptr(PlDatagram) about = NULL;
    PlDatagram *error;

    cone(&box);
    box_start(&box);
    external = box_out(&box, ALICE, HUB);
    about = pl_datagram_new(box.packet->bytes, box.packet->length);
    external.port = 0;
    error = wire_error(&router, &external, 3, 3, about, 28);
    error->bytes[22] ^= 1;
    g_assert_false(box_send(&box, PL_SIDE_OUTSIDE, error));
    g_assert_cmpuint(box_count(&box).malformed, ==, 1);
}

/* What an error quotes is what its receiver had sent, byte by byte, whole or cut. */
static void check_quoted(const PlDatagram *sent)
{
    static const gsize cuts[] = {28, 36, 576};

    for (guint i = 0; i < G_N_ELEMENTS(cuts); i++) {
        g_auto(Box) box;
        g_autoptr(PlDatagram) about = NULL;
        PhAddress router = wire_at("203.0.113.1"), external;
        gsize n = MIN(cuts[i], sent->length);

        cone(&box);
        box.config.behaviour.port_allocation = PL_PORT_ALLOCATION_RANDOM;
        box_start(&box);
        g_assert_true(box_send(&box, PL_SIDE_INSIDE, pl_datagram_new(sent->bytes, sent->length)));
        about = pl_datagram_new(box.packet->bytes, box.packet->length);
        external = wire_source(box.packet);
        external.port = 0;
        g_assert_true(
            box_send(&box, PL_SIDE_OUTSIDE, wire_error(&router, &external, 11, 0, about, cuts[i])));
        wire_assert(wire_source(box.packet), "203.0.113.1");
        wire_assert(wire_destination(box.packet), "192.168.1.2");
        g_assert_cmpuint(box.packet->length, ==, 28 + n);
        g_assert_true(memcmp(box.packet->bytes + 28, sent->bytes, n) == 0);
    }
}

static void test_icmp_4(void)
{
    PhAddress from = wire_at(ALICE), to = wire_at(HUB);
    g_autoptr(PlDatagram) udp = wire_udp(&from, &to, "quoted", 6);
    g_autoptr(PlDatagram) tcp = wire_tcp(&from, &to, WIRE_SYN);
    g_autoptr(PlDatagram) echo = wire_echo(&from, &to, FALSE, 99);

    check_quoted(udp);
    check_quoted(tcp);
    check_quoted(echo);
}

/* Errors from inside: what is quoted is what the outside had sent. */
static void test_icmp_5(void)
{
    g_auto(Box) box;
    g_autoptr(PlDatagram) in = NULL, got = NULL;
    PhAddress hub = wire_at(HUB), alice = wire_at(ALICE), external, gateway;

    cone(&box);
    box.config.behaviour.port_allocation = PL_PORT_ALLOCATION_RANDOM;
    box_start(&box);
    external = box_out(&box, ALICE, HUB);
    in = wire_udp(&hub, &external, "question", 8);
    g_assert_true(box_send(&box, PL_SIDE_OUTSIDE, pl_datagram_new(in->bytes, in->length)));
    got = pl_datagram_new(box.packet->bytes, box.packet->length);
    g_assert_true(box_send(&box, PL_SIDE_INSIDE, wire_error(&alice, &hub, 3, 3, got, 576)));
    wire_assert(wire_source(box.packet), "198.51.100.1");
    wire_assert(wire_destination(box.packet), "203.0.113.10");
    g_assert_true(memcmp(box.packet->bytes + 28, in->bytes, in->length) == 0);
    /* And so from a router between. */
    gateway = wire_at("192.168.1.99");
    g_assert_true(box_send(&box, PL_SIDE_INSIDE, wire_error(&gateway, &hub, 11, 0, got, 576)));
    wire_assert(wire_source(box.packet), "198.51.100.1");
}

/* About a packet that was turned around. */
static void test_icmp_7(void)
{
    g_auto(Box) box;
    g_autoptr(PlDatagram) sent = NULL, got = NULL;
    PhAddress alice = wire_at(ALICE), bob = wire_at("192.168.1.3:5000"), external, outer;

    cone(&box);
    box.config.behaviour.hairpin = PL_HAIRPIN_EXTERNAL_SOURCE;
    box_start(&box);
    external = box_out(&box, ALICE, HUB);
    sent = wire_udp(&bob, &external, "hello", 5);
    g_assert_true(box_send(&box, PL_SIDE_INSIDE, pl_datagram_new(sent->bytes, sent->length)));
    got = pl_datagram_new(box.packet->bytes, box.packet->length);
    outer = wire_source(box.packet);
    outer.port = 0;
    g_assert_true(box_send(&box, PL_SIDE_INSIDE, wire_error(&alice, &outer, 3, 3, got, 576)));
    g_assert_cmpint(box.side, ==, PL_SIDE_INSIDE);
    wire_assert(wire_destination(box.packet), "192.168.1.3");
    wire_assert(wire_source(box.packet), "198.51.100.1");
    g_assert_true(memcmp(box.packet->bytes + 28, sent->bytes, sent->length) == 0);
}

static const struct {
    const char *path;
    GTestFunc test;
} tests[] = {
    {"rfc5382/REQ-1-endpoint-independent-mapping", test_tcp_1},
    {"rfc5382/REQ-2-simultaneous-open", test_tcp_2},
    {"rfc5382/REQ-3-filtering", test_tcp_3},
    {"rfc5382/REQ-4-unsolicited-syn", test_tcp_4},
    {"rfc5382/REQ-4-unsolicited-syn-rejected", test_tcp_4_reject},
    {"rfc5382/REQ-5-lifetimes", test_tcp_5},
    {"rfc5382/REQ-5-several-connections", test_tcp_5_several},
    {"rfc5382/REQ-5-answered-and-forgotten", test_answered},
    {"rfc5382/REQ-7-no-overloading", test_tcp_7},
    {"rfc5382/REQ-8-hairpin", test_tcp_8},
    {"rfc5382/REQ-9-icmp-errors", test_tcp_9},
    {"rfc5508/REQ-1-query-mapping", test_icmp_1},
    {"rfc5508/REQ-2-query-timeout", test_icmp_2},
    {"rfc5508/REQ-3-checksum", test_icmp_3},
    {"rfc5508/REQ-4-errors-from-outside", test_icmp_4},
    {"rfc5508/REQ-5-errors-from-inside", test_icmp_5},
    {"rfc5508/REQ-7-hairpinned-errors", test_icmp_7},
};

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_autofree char *path = g_strconcat("/model/", tests[i].path, NULL);

        g_test_add_func(path, tests[i].test);
    }
    return g_test_run();
}
