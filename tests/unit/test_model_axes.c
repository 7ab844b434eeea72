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
