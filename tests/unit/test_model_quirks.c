/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The NAT of the model: what real routers get wrong, each mistake absent by default, and shown when
 * it is set. */
#include "model_nat.h"

static void cone(Box *box, PlFiltering filtering)
{
    box_init(box, PL_MAPPING_ENDPOINT_INDEPENDENT, filtering);
}

static void test_rewrite_payload(void)
{
    static const guint8 inside[] = {'a', 192, 168, 1, 2, 192, 168, 1, 2, 'b', 192, 168, 1},
                        outside[] = {'a', 198, 51, 100, 1, 198, 51, 100, 1, 'b', 192, 168, 1};
    PhAddress alice = wire_at(ALICE), hub = wire_at(HUB), external = wire_at("198.51.100.1:4000");

    for (int set = 0; set < 2; set++) {
        g_auto(Box) box;

        cone(&box, PL_FILTERING_ADDRESS_AND_PORT_DEPENDENT);
        box.config.behaviour.quirks.rewrite_payload = set;
        box_start(&box);
        g_assert_true(
            box_send(&box, PL_SIDE_INSIDE, wire_udp(&alice, &hub, inside, sizeof(inside))));
        g_assert_true(memcmp(box.packet->bytes + 28, set ? outside : inside, sizeof(inside)) == 0);
        g_assert_true(
            box_send(&box, PL_SIDE_OUTSIDE, wire_udp(&hub, &external, outside, sizeof(outside))));
        g_assert_true(memcmp(box.packet->bytes + 28, set ? inside : outside, sizeof(inside)) == 0);
    }
}

static void test_symmetric_after(void)
{
    for (guint after = 0; after < 4; after++) {
        g_auto(Box) box;

        cone(&box, PL_FILTERING_ENDPOINT_INDEPENDENT);
        box.config.behaviour.port_allocation = PL_PORT_ALLOCATION_RANDOM;
        box.config.behaviour.quirks.symmetric_after = after;
        box_start(&box);
        for (guint i = 0; i < 5; i++) {
            g_autofree char *from = g_strdup_printf("192.168.1.2:%u", 5000 + i);
            PhAddress external = box_out(&box, from, HUB);

            g_assert_cmpint(box_same(box_out(&box, from, OTHER), external), ==,
                            after == 0 || i < after);
            g_assert_true(box_same(box_out(&box, from, HUB), external));
        }
        /* Another address has its own count. */
        g_assert_true(box_same(box_out(&box, BOB, HUB), box_out(&box, BOB, OTHER)));
    }
}

static void test_mapping_age(void)
{
    for (int set = 0; set < 2; set++) {
        g_auto(Box) box;
        PhAddress first;

        cone(&box, PL_FILTERING_ENDPOINT_INDEPENDENT);
        box.config.behaviour.port_allocation = PL_PORT_ALLOCATION_RANDOM;
        box.config.behaviour.quirks.mapping_age_ns = set ? 300 * S : 0;
        box_start(&box);
        first = box_out(&box, ALICE, HUB);
        for (guint i = 0; i < 5; i++) {
            box.now += 50 * S;
            g_assert_true(box_same(box_out(&box, ALICE, HUB), first));
        }
        box.now += 50 * S - 1;
        g_assert_true(box_in(&box, HUB, first));
        box.now += 1;
        g_assert_cmpint(box_in(&box, HUB, first), ==, !set);
        g_assert_cmpint(box_same(box_out(&box, ALICE, HUB), first), ==, !set);
    }
}

static void test_icmp_drops(void)
{
    for (int set = 0; set < 2; set++) {
        g_auto(Box) box;
        g_autoptr(PlDatagram) about = NULL;
        PhAddress external, outer, router = wire_at("203.0.113.1");

        cone(&box, PL_FILTERING_ENDPOINT_INDEPENDENT);
        box.config.behaviour.quirks.icmp_drops = set;
        box_start(&box);
        external = outer = box_out(&box, ALICE, HUB);
        outer.port = 0;
        about = pl_datagram_new(box.packet->bytes, box.packet->length);
        g_assert_true(
            box_send(&box, PL_SIDE_OUTSIDE, wire_error(&router, &outer, 11, 0, about, 28)));
        wire_assert(wire_destination(box.packet), "192.168.1.2");
        g_assert_cmpint(box_in(&box, HUB, external), ==, !set);
        g_assert_cmpuint(box_count(&box).mappings, ==, set ? 0 : 1);
    }
}

/* The port that got free last is the next one to be given out. */
static void test_early_reuse(void)
{
    for (int set = 0; set < 2; set++) {
        g_auto(Box) box;
        PhAddress first, second;

        cone(&box, PL_FILTERING_ENDPOINT_INDEPENDENT);
        box.config.behaviour.port_allocation = PL_PORT_ALLOCATION_SEQUENTIAL;
        box.config.behaviour.quirks.early_reuse = set;
        box_start(&box);
        first = box_out(&box, ALICE, HUB);
        box.now += 1 * S;
        second = box_out(&box, BOB, HUB);
        box.now += 120 * S;
        g_assert_cmpint(box_same(box_out(&box, "192.168.1.4:1", HUB), second), ==, set);
        g_assert_cmpint(box_same(box_out(&box, "192.168.1.5:1", HUB), first), ==, set);
    }
}

/* Which one that was says the time, and not when somebody came to look. */
static void test_early_reuse_order(void)
{
    for (int poke = 0; poke < 2; poke++) {
        g_auto(Box) box;
        PhAddress first;

        cone(&box, PL_FILTERING_ENDPOINT_INDEPENDENT);
        box.config.behaviour.port_allocation = PL_PORT_ALLOCATION_SEQUENTIAL;
        box.config.behaviour.quirks.early_reuse = TRUE;
        box_start(&box);
        first = box_out(&box, ALICE, HUB);
        box.now += 10 * S;
        box_out(&box, BOB, HUB);
        box.now += 20 * S;
        box_out(&box, ALICE, HUB); /* so that hers ends last */
        box.now += 101 * S;
        if (poke)
            g_assert_false(box_udp(&box, PL_SIDE_OUTSIDE, OTHER, "198.51.100.1:9"));
        box.now += 100 * S;
        g_assert_true(box_same(box_out(&box, "192.168.1.9:7", HUB), first));
    }
}

/* Of those that end at the same time the one that began last. */
static void test_early_reuse_ties(void)
{
    g_auto(Box) box;
    guint16 ports[7];

    cone(&box, PL_FILTERING_ENDPOINT_INDEPENDENT);
    box.config.behaviour.port_allocation = PL_PORT_ALLOCATION_SEQUENTIAL;
    box.config.behaviour.quirks.early_reuse = TRUE;
    box_start(&box);
    for (guint i = 0; i < G_N_ELEMENTS(ports); i++) {
        g_autofree char *from = g_strdup_printf("192.168.1.%u:1", 2 + i);

        ports[i] = box_out(&box, from, HUB).port;
    }
    box.now += 120 * S;
    for (guint i = G_N_ELEMENTS(ports); i-- > 0;) {
        g_autofree char *from = g_strdup_printf("192.168.1.%u:1", 20 + i);

        g_assert_cmpuint(box_out(&box, from, HUB).port, ==, ports[i]);
    }
}

static void test_first_packet_lost(void)
{
    for (int set = 0; set < 2; set++) {
        g_auto(Box) box;

        cone(&box, PL_FILTERING_ENDPOINT_INDEPENDENT);
        box.config.behaviour.quirks.first_packet_lost = set;
        box_start(&box);
        g_assert_cmpint(box_udp(&box, PL_SIDE_INSIDE, ALICE, HUB), ==, !set);
        g_assert_cmpuint(box_count(&box).mappings, ==, 1);
        g_assert_true(box_udp(&box, PL_SIDE_INSIDE, ALICE, HUB));
        g_assert_true(box_udp(&box, PL_SIDE_INSIDE, ALICE, OTHER));
    }
}

static void test_mapping_rate(void)
{
    for (guint rate = 0; rate < 4; rate += 3) {
        g_auto(Box) box;

        cone(&box, PL_FILTERING_ENDPOINT_INDEPENDENT);
        box.config.behaviour.quirks.mapping_rate = rate;
        box_start(&box);
        for (guint second = 0; second < 2; second++) {
            for (guint i = 0; i < 5; i++) {
                g_autofree char *from = g_strdup_printf("192.168.1.%u:%u", 2 + i, 5000 + second);

                g_assert_cmpint(box_udp(&box, PL_SIDE_INSIDE, from, HUB), ==,
                                rate == 0 || i < rate);
                g_assert_true(box_udp(&box, PL_SIDE_INSIDE, "192.168.1.2:5000", HUB));
                box.now += 100 * MS;
            }
            box.now += 500 * MS - 1;
            if (second == 0)
                g_assert_cmpint(box_udp(&box, PL_SIDE_INSIDE, "192.168.1.9:9", HUB), ==, rate == 0);
            box.now += 1;
        }
        g_assert_cmpuint(box_count(&box).limited, ==, rate ? 5 : 0);
    }
}

/* What comes by a static forward is not counted. */
static void test_mapping_rate_forwards(void)
{
    g_auto(Box) box;

    cone(&box, PL_FILTERING_ADDRESS_AND_PORT_DEPENDENT);
    box.config.behaviour.quirks.mapping_rate = 2;
    box.forwards[0] = (PlForward){PL_PROTOCOL_UDP, 8080, wire_at("192.168.1.2:80")};
    box.config.n_forwards = 1;
    box_start(&box);
    box_out(&box, ALICE, HUB);
    for (guint i = 0; i < 5; i++) {
        g_autofree char *from = g_strdup_printf("203.0.113.50:%u", 1000 + i);

        g_assert_true(box_in(&box, from, wire_at("198.51.100.1:8080")));
    }
    box_out(&box, BOB, HUB);
    g_assert_false(box_udp(&box, PL_SIDE_INSIDE, "192.168.1.9:9", HUB));
    g_assert_cmpuint(box_count(&box).limited, ==, 1);
}

/* Both have the port; who sent last gets what comes. */
static void test_port_overloading(void)
{
    for (int filtering = 0; filtering < PL_FILTERING_N; filtering++) {
        g_auto(Box) box;
        PhAddress external;

        cone(&box, (PlFiltering)filtering);
        box.config.behaviour.quirks.port_overloading = TRUE;
        box_start(&box);
        external = box_out(&box, ALICE, HUB);
        g_assert_true(box_same(box_out(&box, BOB, HUB), external));
        g_assert_true(box_in(&box, HUB, external));
        wire_assert(wire_destination(box.packet), BOB);
        box_out(&box, ALICE, HUB);
        g_assert_true(box_in(&box, HUB, external));
        wire_assert(wire_destination(box.packet), ALICE);
        /* The port is free when both are gone. */
        box.now += 120 * S;
        g_assert_false(box_in(&box, HUB, external));
        g_assert_cmpuint(box_count(&box).mappings, ==, 0);
    }
}

static void test_port_step(void)
{
    for (guint step = 0; step < 5; step++) {
        g_auto(Box) box;

        box_init(&box, PL_MAPPING_ADDRESS_AND_PORT_DEPENDENT, PL_FILTERING_ENDPOINT_INDEPENDENT);
        box.config.behaviour.port_allocation = PL_PORT_ALLOCATION_SEQUENTIAL;
        box.config.behaviour.quirks.port_step = step;
        box_start(&box);
        for (guint i = 0; i < 10; i++) {
            g_autofree char *to = g_strdup_printf("203.0.113.10:%u", 100 + i);

            g_assert_cmpuint(box_out(&box, ALICE, to).port, ==, 1024 + i * MAX(step, 1));
        }
    }
}

/* However it counts, it finds every port of the range. */
static void test_port_step_all(void)
{
    g_auto(Box) box;

    box_init(&box, PL_MAPPING_ADDRESS_AND_PORT_DEPENDENT, PL_FILTERING_ENDPOINT_INDEPENDENT);
    box.config.behaviour.port_allocation = PL_PORT_ALLOCATION_SEQUENTIAL;
    box.config.behaviour.port_last = 1024 + 29;
    box.config.behaviour.quirks.port_step = 4;
    box_start(&box);
    for (guint i = 0; i < 31; i++) {
        g_autofree char *to = g_strdup_printf("203.0.113.10:%u", 100 + i);

        g_assert_cmpint(box_udp(&box, PL_SIDE_INSIDE, ALICE, to), ==, i < 30);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/model/quirks/rewrite-payload", test_rewrite_payload);
    g_test_add_func("/model/quirks/symmetric-after", test_symmetric_after);
    g_test_add_func("/model/quirks/mapping-age", test_mapping_age);
    g_test_add_func("/model/quirks/icmp-drops", test_icmp_drops);
    g_test_add_func("/model/quirks/early-reuse", test_early_reuse);
    g_test_add_func("/model/quirks/early-reuse/order", test_early_reuse_order);
    g_test_add_func("/model/quirks/early-reuse/ties", test_early_reuse_ties);
    g_test_add_func("/model/quirks/first-packet-lost", test_first_packet_lost);
    g_test_add_func("/model/quirks/mapping-rate", test_mapping_rate);
    g_test_add_func("/model/quirks/mapping-rate/forwards", test_mapping_rate_forwards);
    g_test_add_func("/model/quirks/port-overloading", test_port_overloading);
    g_test_add_func("/model/quirks/port-step", test_port_step);
    g_test_add_func("/model/quirks/port-step-finds-all", test_port_step_all);
    return g_test_run();
}
