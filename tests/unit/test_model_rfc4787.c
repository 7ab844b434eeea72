/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The NAT of the model: what RFC 4787 requires of one for UDP, requirement by requirement. */
#include "model_nat.h"

#define EI  PL_FILTERING_ENDPOINT_INDEPENDENT
#define AD  PL_FILTERING_ADDRESS_DEPENDENT
#define APD PL_FILTERING_ADDRESS_AND_PORT_DEPENDENT

static void cone(Box *box, PlFiltering filtering)
{
    box_init(box, PL_MAPPING_ENDPOINT_INDEPENDENT, filtering);
}

static void test_req_1(void)
{
    g_auto(Box) box;
    PhAddress external;

    cone(&box, APD);
    box.config.behaviour.port_allocation = PL_PORT_ALLOCATION_RANDOM;
    box_start(&box);
    external = box_out(&box, ALICE, HUB);
    g_assert_true(box_same(box_out(&box, ALICE, HUB_2), external));
    g_assert_true(box_same(box_out(&box, ALICE, OTHER), external));
}

static void test_req_2(void)
{
    g_auto(Box) box;
    PhAddress external;

    cone(&box, APD);
    box.config.n_external = 8;
    box_start(&box);
    external = box_out(&box, "192.168.1.2:5000", HUB);
    for (guint i = 1; i < 50; i++) {
        g_autofree char *from = g_strdup_printf("192.168.1.2:%u", 5000 + i);
        PhAddress next = box_out(&box, from, HUB);

        g_assert_true(ph_address_equal_host(&external, &next));
    }
}

/* As long as both are alive no two inside endpoints have the same external one. */
static void test_req_3(void)
{
    for (int allocation = 0; allocation < PL_PORT_ALLOCATION_BLOCK; allocation++) {
        g_auto(Box) box;
        g_autoptr(GHashTable) seen = g_hash_table_new(NULL, NULL);

        cone(&box, EI);
        box.config.behaviour.port_allocation = (PlPortAllocation)allocation;
        box.config.behaviour.port_last = 1024 + 63;
        box_start(&box);
        for (guint i = 0; i < 64; i++) {
            g_autofree char *from = g_strdup_printf("192.168.1.%u:1030", 2 + i);
            PhAddress external = box_out(&box, from, HUB);

            g_assert_true(g_hash_table_add(seen, GUINT_TO_POINTER(external.port)));
        }
        g_assert_false(box_udp(&box, PL_SIDE_INSIDE, "192.168.1.100:1030", HUB));
        g_assert_cmpuint(box_count(&box).exhausted, ==, 1);
    }
}

/* But where `preserve` is as Linux has it two of them have one, towards different peers. */
static void test_req_3_linux(void)
{
    g_auto(Box) box;

    cone(&box, APD);
    box_start(&box);
    wire_assert(box_out(&box, ALICE, HUB), "198.51.100.1:4000");
    wire_assert(box_out(&box, BOB, OTHER), "198.51.100.1:4000");
    g_assert_true(box_in(&box, HUB, wire_at("198.51.100.1:4000")));
    wire_assert(wire_destination(box.packet), ALICE);
    g_assert_true(box_in(&box, OTHER, wire_at("198.51.100.1:4000")));
    wire_assert(wire_destination(box.packet), BOB);
}

/* "It keeps the port of its own range": well-known ports stay, others do not become such. */
static void test_req_3b(void)
{
    g_auto(Box) box;

    cone(&box, EI);
    box_start(&box);
    wire_assert(box_out(&box, "192.168.1.2:500", HUB), "198.51.100.1:500");
    g_assert_cmpuint(box_out(&box, "192.168.1.3:500", HUB).port, !=, 500);
    for (guint i = 0; i < 100; i++) {
        g_autofree char *from = g_strdup_printf("192.168.1.%u:2000", 2 + i);

        g_assert_cmpuint(box_out(&box, from, HUB).port, >=, 1024);
    }
}

static void test_req_4(void)
{
    for (int parity = 0; parity < 2; parity++) {
        g_auto(Box) box;
        guint kept = 0;

        cone(&box, EI);
        box.config.behaviour.port_allocation = PL_PORT_ALLOCATION_RANDOM;
        box.config.behaviour.quirks.port_parity = parity;
        box_start(&box);
        for (guint i = 0; i < 100; i++) {
            g_autofree char *from = g_strdup_printf("192.168.1.2:%u", 5000 + i);

            kept += (box_out(&box, from, HUB).port ^ i) & 1 ? 0 : 1;
        }
        if (parity)
            g_assert_cmpuint(kept, ==, 100);
        else
            g_assert_cmpuint(kept, <, 80);
    }
}

/* It lives two minutes without a packet, and not longer. */
static void test_req_5(void)
{
    g_auto(Box) box;
    PhAddress external;

    cone(&box, EI);
    box_start(&box);
    external = box_out(&box, ALICE, HUB);
    box.now += 120 * S - 1;
    g_assert_true(box_in(&box, HUB, external));
    g_assert_cmpuint(box_count(&box).mappings, ==, 1);
}

static void test_req_5_ends(void)
{
    g_auto(Box) box;
    PhAddress external;

    cone(&box, EI);
    box_start(&box);
    external = box_out(&box, ALICE, HUB);
    box.now += 120 * S;
    g_assert_false(box_in(&box, HUB, external));
    g_assert_cmpuint(box_count(&box).mappings, ==, 0);
    g_assert_cmpuint(box_count(&box).unmapped, ==, 1);
}

/* Outbound packets refresh, to whomever they go. */
static void test_req_6_outbound(void)
{
    g_auto(Box) box;
    PhAddress external;

    cone(&box, APD);
    box.config.behaviour.inbound_refresh = FALSE;
    box_start(&box);
    external = box_out(&box, ALICE, HUB);
    for (guint i = 0; i < 5; i++) {
        box.now += 100 * S;
        box_out(&box, ALICE, OTHER);
    }
    g_assert_true(box_in(&box, HUB, external));
}

static void test_req_6_inbound(void)
{
    for (int refresh = 0; refresh < 2; refresh++) {
        g_auto(Box) box;
        PhAddress external;

        cone(&box, APD);
        box.config.behaviour.inbound_refresh = refresh;
        box_start(&box);
        external = box_out(&box, ALICE, HUB);
        box.now += 80 * S;
        g_assert_true(box_in(&box, HUB, external));
        box.now += 80 * S;
        g_assert_cmpint(box_in(&box, HUB, external), ==, refresh);
    }
}

/* What a filter keeps out refreshes nothing (§12, against floods). */
static void test_req_6_filtered(void)
{
    g_auto(Box) box;
    PhAddress external;

    cone(&box, APD);
    box_start(&box);
    external = box_out(&box, ALICE, HUB);
    box.now += 80 * S;
    g_assert_false(box_in(&box, OTHER, external));
    box.now += 80 * S;
    g_assert_false(box_in(&box, HUB, external));
}

/* Inside and outside may have the same network: what decides is where a packet comes from. */
static void test_req_7(void)
{
    g_auto(Box) box;
    PhAddress external;

    cone(&box, EI);
    box.external[0] = wire_at("192.168.1.77");
    box_start(&box);
    external = box_out(&box, ALICE, "192.168.1.50:80");
    wire_assert(external, "192.168.1.77:4000");
    g_assert_true(box_in(&box, "192.168.1.50:80", external));
    wire_assert(wire_destination(box.packet), ALICE);
}

static void test_req_8(void)
{
    static const gboolean in[PL_FILTERING_N][3] = {
        [EI] = {TRUE, TRUE, TRUE}, [AD] = {TRUE, TRUE, FALSE}, [APD] = {TRUE, FALSE, FALSE}};

    for (int filtering = 0; filtering < PL_FILTERING_N; filtering++) {
        g_auto(Box) box;
        PhAddress external;

        cone(&box, (PlFiltering)filtering);
        box_start(&box);
        external = box_out(&box, ALICE, HUB);
        g_assert_cmpint(box_in(&box, HUB, external), ==, in[filtering][0]);
        g_assert_cmpint(box_in(&box, HUB_2, external), ==, in[filtering][1]);
        g_assert_cmpint(box_in(&box, OTHER, external), ==, in[filtering][2]);
    }
}

/* Both ways, and with the sender's external endpoint. */
static void test_req_9a(void)
{
    g_auto(Box) box;

    cone(&box, APD);
    box.config.behaviour.hairpin = PL_HAIRPIN_EXTERNAL_SOURCE;
    box_start(&box);
    wire_assert(box_out(&box, ALICE, HUB), "198.51.100.1:4000");
    g_assert_true(box_udp(&box, PL_SIDE_INSIDE, "192.168.1.3:5000", "198.51.100.1:4000"));
    g_assert_cmpint(box.side, ==, PL_SIDE_INSIDE);
    wire_assert(wire_source(box.packet), "198.51.100.1:5000");
    wire_assert(wire_destination(box.packet), ALICE);
    g_assert_true(box_udp(&box, PL_SIDE_INSIDE, ALICE, "198.51.100.1:5000"));
    wire_assert(wire_source(box.packet), "198.51.100.1:4000");
    wire_assert(wire_destination(box.packet), "192.168.1.3:5000");
    g_assert_cmpuint(box_count(&box).hairpinned, ==, 2);
}

static void echo_error(Box *box, PlDatagram **ret_about, PhAddress *ret_external)
{
    box_start(box);
    *ret_external = box_out(box, ALICE, HUB);
    *ret_about = pl_datagram_new(box->packet->bytes, box->packet->length);
}

/* What protocols say of addresses, in bytes and in words: both of them, and some ports. */
static const char addresses[] = "\xc0\xa8\x01\x02\x0f\xa0 \xc6\x33\x64\x01\x0f\xa0 "
                                "Contact: <sip:192.168.1.2:4000> "
                                "PORT 192,168,1,2,15,160 227 (198,51,100,1,15,160)";

static PlDatagram *say_addresses(gboolean tcp, const PhAddress *from, const PhAddress *to)
{
    guint8 segment[20 + sizeof(addresses)] = {[7] = 1, [12] = 5 << 4, [13] = WIRE_SYN, [14] = 0xff};

    if (!tcp)
        return wire_udp(from, to, addresses, sizeof(addresses));
    wire_put_u16(segment, from->port);
    wire_put_u16(segment + 2, to->port);
    memcpy(segment + 20, addresses, sizeof(addresses));
    return wire_ip(from, to, WIRE_TCP, segment, sizeof(segment));
}

/* From one to the other, who gets what was said; the source is as he sees it then. */
static void pass_addresses(Box *box, gboolean tcp, PlSide side, PhAddress *from, PhAddress to)
{
    g_assert_true(box_send(box, side, say_addresses(tcp, from, &to)));
    g_assert_cmpuint(box->packet->length, ==, (tcp ? 40 : 28) + sizeof(addresses));
    g_assert_true(memcmp(box->packet->bytes + (tcp ? 40 : 28), addresses, sizeof(addresses)) == 0);
    *from = wire_source(box->packet);
}

/* Out, in again, and turned around. */
static void run_addresses(const PlBehaviour *behaviour, gboolean tcp)
{
    g_auto(Box) box;
    PhAddress alice = wire_at(ALICE), bob = wire_at(BOB);
    PhAddress hub = wire_at(tcp ? "203.0.113.10:21" : "203.0.113.10:5060");

    cone(&box, APD);
    box.config.behaviour = *behaviour;
    box_start(&box);
    pass_addresses(&box, tcp, PL_SIDE_INSIDE, &alice, hub);
    pass_addresses(&box, tcp, PL_SIDE_OUTSIDE, &hub, alice);
    if (behaviour->hairpin != PL_HAIRPIN_NONE)
        pass_addresses(&box, tcp, PL_SIDE_INSIDE, &bob, alice);
}

/* No application's protocol is meddled with, by any kind of NAT. */
static void test_req_10(void)
{
    g_auto(Box) box;
    guint runs = 0;

    cone(&box, APD);
    for (guint i = 0; i < PL_MAPPING_N * PL_FILTERING_N * PL_PORT_ALLOCATION_N; i++) {
        PlBehaviour behaviour = box.config.behaviour;

        behaviour.mapping = (PlMapping)(i % PL_MAPPING_N);
        behaviour.filtering = (PlFiltering)(i / PL_MAPPING_N % PL_FILTERING_N);
        behaviour.port_allocation = (PlPortAllocation)(i / PL_MAPPING_N / PL_FILTERING_N);
        if (behaviour.mapping == PL_MAPPING_NONE)
            continue; /* it translates nothing */
        behaviour.block_size = behaviour.port_allocation == PL_PORT_ALLOCATION_BLOCK ? 16 : 0;
        for (int hairpin = 0; hairpin < PL_HAIRPIN_N; hairpin++, runs++) {
            behaviour.hairpin = (PlHairpin)hairpin;
            behaviour.inbound_refresh = runs & 1;
            behaviour.pooling = runs & 2 ? PL_POOLING_PAIRED : PL_POOLING_ARBITRARY;
            run_addresses(&behaviour, /* tcp= */ FALSE);
            run_addresses(&behaviour, /* tcp= */ TRUE);
        }
    }
    g_assert_cmpuint(runs, >=, 3 * 3 * 4 * 3);
}

/* An ICMP error ends no mapping. */
static void test_req_12_ends_nothing(void)
{
    g_auto(Box) box;
    g_autoptr(PlDatagram) about = NULL;
    PhAddress external, router = wire_at("203.0.113.1");

    cone(&box, APD);
    echo_error(&box, &about, &external);
    external.port = 0;
    g_assert_true(box_send(&box, PL_SIDE_OUTSIDE, wire_error(&router, &external, 3, 3, about, 28)));
    g_assert_cmpint(box.side, ==, PL_SIDE_INSIDE);
    g_assert_cmpuint(box_count(&box).mappings, ==, 1);
    external.port = 4000;
    g_assert_true(box_in(&box, HUB, external));
}

/* Nor is one that nobody sent a packet for let in. */
static void test_req_12_security(void)
{
    g_auto(Box) box;
    g_autoptr(PlDatagram) about = NULL;
    PhAddress external, router = wire_at("203.0.113.1");

    cone(&box, APD);
    echo_error(&box, &about, &external);
    external.port = 0;
    wire_put_u16(about->bytes + 20 + 2, 999); /* to another port */
    g_assert_false(
        box_send(&box, PL_SIDE_OUTSIDE, wire_error(&router, &external, 3, 3, about, 28)));
    g_assert_cmpuint(box_count(&box).unmapped, ==, 1);
}

/* The same for the same: port by port, where they are preserved and nobody has them. */
static void test_req_11(void)
{
    g_auto(Box) box;

    cone(&box, EI);
    box_start(&box);
    for (guint i = 0; i < 100; i++) {
        g_autofree char *from = g_strdup_printf("192.168.1.2:%u", 5000 + (i * 37) % 100);

        g_assert_cmpuint(box_out(&box, from, HUB).port, ==, 5000 + (i * 37) % 100);
    }
}

/* Hosts that all want the same ports, and get others. */
static void collect(PlPortAllocation allocation, PlFiltering filtering, guint16 ports[60])
{
    g_auto(Box) box;
    PhAddress external;

    cone(&box, filtering);
    box.config.behaviour.port_allocation = allocation;
    box.config.behaviour.block_size = allocation == PL_PORT_ALLOCATION_BLOCK ? 16 : 0;
    box.config.behaviour.hairpin = PL_HAIRPIN_EXTERNAL_SOURCE;
    box_start(&box);
    for (guint i = 0; i < 60; i++) {
        g_autofree char *from = g_strdup_printf("192.168.1.%u:%u", 2 + i / 6, 5000 + i % 6);

        external = box_out(&box, from, HUB);
        ports[i] = external.port;
        /* Nor does it change what it is for anybody, when others come. */
        g_assert_true(box_same(box_out(&box, from, HUB_2), external));
        g_assert_true(box_same(box_out(&box, from, OTHER), external));
        g_assert_cmpint(box_in(&box, "203.0.113.10:9", external), ==, filtering != APD);
        g_assert_cmpint(box_in(&box, "203.0.113.99:9", external), ==, filtering == EI);
    }
}

/* And always with one seed, whatever the allocation. */
static void test_req_11_rounds(void)
{
    for (int allocation = 0; allocation < PL_PORT_ALLOCATION_N; allocation++) {
        for (int filtering = 0; filtering < PL_FILTERING_N; filtering++) {
            guint16 rounds[2][60];

            collect((PlPortAllocation)allocation, (PlFiltering)filtering, rounds[0]);
            collect((PlPortAllocation)allocation, (PlFiltering)filtering, rounds[1]);
            g_assert_true(memcmp(rounds[0], rounds[1], sizeof(rounds[0])) == 0);
        }
    }
}

/* `preserve` as Linux has it: who comes second is served otherwise, and for one peer only. */
static void test_req_11_linux(void)
{
    g_auto(Box) box;
    PhAddress second;

    cone(&box, APD);
    box_start(&box);
    wire_assert(box_out(&box, ALICE, HUB), "198.51.100.1:4000");
    wire_assert(box_out(&box, ALICE, HUB_2), "198.51.100.1:4000");
    second = box_out(&box, BOB, HUB);
    g_assert_cmpuint(second.port, !=, 4000);
    g_assert_false(box_same(box_out(&box, BOB, HUB_2), second));
    wire_assert(box_out(&box, BOB, OTHER), "198.51.100.1:4000");
}

/* Errors of all kinds pass: unreachable of each code, time exceeded, parameter problem. */
static void test_req_12(void)
{
    static const guint8 kinds[][2] = {{3, 0},  {3, 1},  {3, 3},  {3, 4},
                                      {3, 13}, {11, 0}, {11, 1}, {12, 0}};
    g_auto(Box) box;
    g_autoptr(PlDatagram) about = NULL;
    PhAddress external, router = wire_at("203.0.113.1");

    cone(&box, APD);
    echo_error(&box, &about, &external);
    external.port = 0;
    for (guint i = 0; i < G_N_ELEMENTS(kinds); i++)
        g_assert_true(
            box_send(&box, PL_SIDE_OUTSIDE,
                     wire_error(&router, &external, kinds[i][0], kinds[i][1], about, 28)));
}

/* A packet of any length passes, or the world says that it is too long: what comes back is passed
 * on, with the MTU that it names. */
static void test_req_13(void)
{
    g_auto(Box) box;
    g_autoptr(PlDatagram) about = NULL;
    PlDatagram *error;
    PhAddress external, router = wire_at("203.0.113.1");

    cone(&box, APD);
    echo_error(&box, &about, &external);
    external.port = 0;
    error = wire_error(&router, &external, 3, 4, about, 28);
    wire_put_u16(error->bytes + 26, 1280);
    wire_seal(error);
    g_assert_true(box_send(&box, PL_SIDE_OUTSIDE, error));
    g_assert_cmpuint(wire_u16(box.packet->bytes + 26), ==, 1280);
}

/* A UDP packet of 100 bytes of data in pieces of 32 bytes, sent in some order; put together from
 * what comes out, in and out. */
static void run_fragments(PlSide side, const guint *order, guint n)
{
    g_auto(Box) box;
    guint8 data[100], together[108] = {0}, ends[8] = {0};
    g_autoptr(PlDatagram) whole = NULL;
    PhAddress from = wire_at(ALICE), to = wire_at(HUB);
    guint out = 0;

    for (guint i = 0; i < sizeof(data); i++)
        data[i] = (guint8)(i * 7);
    cone(&box, APD);
    box_start(&box);
    if (side == PL_SIDE_OUTSIDE) {
        from = to;
        to = box_out(&box, ALICE, HUB);
    }
    whole = wire_udp(&from, &to, data, sizeof(data));
    for (guint i = 0; i < n; i++) {
        PlDatagram *packet;

        box_send(&box, side, wire_fragment(whole, order[i] * 32, 32));
        for (packet = box.outcome == PL_NAT_FORWARDED
                          ? pl_datagram_new(box.packet->bytes, box.packet->length)
                          : NULL;
             packet || (packet = pl_nat_poll(box.nat, &box.side));
             packet = pl_datagram_free(packet)) {
            gsize offset = (wire_u16(packet->bytes + 6) & 0x1fff) * 8;

            g_assert_true(wire_is_right(packet));
            g_assert_cmpint(box.side, !=, side);
            memcpy(together + offset, packet->bytes + 20, packet->length - 20);
            memcpy(ends, packet->bytes + 12, sizeof(ends));
            out++;
        }
    }
    g_assert_cmpuint(out, ==, n);
    memcpy(whole->bytes + 12, ends, sizeof(ends));
    memcpy(whole->bytes + 20, together, sizeof(together));
    wire_put_u16(whole->bytes + 10, 0);
    wire_put_u16(whole->bytes + 10, ~wire_add(0, whole->bytes, 20) & 0xffff);
    g_assert_true(wire_is_right(whole));
    g_assert_true(memcmp(together + 8, data, sizeof(data)) == 0);
    g_assert_cmpuint(box_count(&box).fragments_lost, ==, 0);
}

static void test_req_14(void)
{
    const guint order[] = {0, 1, 2, 3};

    run_fragments(PL_SIDE_INSIDE, order, 4);
    run_fragments(PL_SIDE_OUTSIDE, order, 4);
}

static void test_req_14a(void)
{
    static const guint orders[][4] = {{3, 2, 1, 0}, {1, 0, 3, 2}, {2, 3, 0, 1}};

    for (guint i = 0; i < G_N_ELEMENTS(orders); i++) {
        run_fragments(PL_SIDE_INSIDE, orders[i], 4);
        run_fragments(PL_SIDE_OUTSIDE, orders[i], 4);
    }
}

/* Bounded: in number, in time. */
static void test_req_14_limits(void)
{
    g_auto(Box) box;
    g_autoptr(PlDatagram) whole = NULL;
    PhAddress from = wire_at(ALICE), to = wire_at(HUB);
    guint8 data[100] = {0};
    PlSide side;

    cone(&box, APD);
    box_start(&box);
    whole = wire_udp(&from, &to, data, sizeof(data));
    for (guint i = 0; i < 1000; i++) {
        wire_put_u16(whole->bytes + 4, i);
        g_assert_false(box_send(&box, PL_SIDE_INSIDE, wire_fragment(whole, 32, 32)));
    }
    g_assert_cmpuint(box_count(&box).fragments_lost, ==, 1000 - 256);
    box.now += 2 * S;
    wire_put_u16(whole->bytes + 4, 0);
    g_assert_true(box_send(&box, PL_SIDE_INSIDE, wire_fragment(whole, 0, 32)));
    g_assert_null(pl_nat_poll(box.nat, &side));
    g_assert_cmpuint(box_count(&box).fragments_lost, ==, 1000);
}

static const struct {
    const char *path;
    GTestFunc test;
} tests[] = {
    {"1-endpoint-independent-mapping", test_req_1},
    {"2-paired-pooling", test_req_2},
    {"3-no-two-have-one-port", test_req_3},
    {"3-preserve-as-linux-breaks-it", test_req_3_linux},
    {"3b-port-ranges", test_req_3b},
    {"4-parity", test_req_4},
    {"5-two-minutes", test_req_5},
    {"5-and-not-longer", test_req_5_ends},
    {"6-outbound-refreshes", test_req_6_outbound},
    {"6-inbound-may-refresh", test_req_6_inbound},
    {"6-filtered-does-not-refresh", test_req_6_filtered},
    {"7-overlapping-networks", test_req_7},
    {"8-filtering", test_req_8},
    {"9a-hairpin-external-source", test_req_9a},
    {"10-no-alg", test_req_10},
    {"11-one-port-each", test_req_11},
    {"11-two-rounds-are-alike", test_req_11_rounds},
    {"11-preserve-as-linux-breaks-it", test_req_11_linux},
    {"12-icmp-errors-pass", test_req_12},
    {"12-icmp-errors-end-nothing", test_req_12_ends_nothing},
    {"12-icmp-errors-for-nobody-are-dropped", test_req_12_security},
    {"13-fragmentation-needed-passes", test_req_13},
    {"14-fragments-in-order", test_req_14},
    {"14a-fragments-out-of-order", test_req_14a},
    {"14-fragments-are-bounded", test_req_14_limits},
};

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_autofree char *path = g_strconcat("/model/rfc4787/REQ-", tests[i].path, NULL);

        g_test_add_func(path, tests[i].test);
    }
    return g_test_run();
}
