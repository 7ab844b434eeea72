/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What hosts in virtual time do with packets: UDP, ICMP, fragments, forwarding. */
#include "stack_pair.h"

static PlSocket *open_at(Pair *pair, unsigned host, uint16_t port)
{
    const PhAddress local = with_port(pair->address[host], port);

    return pl_stack_open(pair->stack[host], &local, NULL, port);
}

static void send_text(Pair *pair, PlSocket *from, const char *text, uint16_t port)
{
    const PhAddress remote = with_port(pair->address[1], port);

    g_assert_true(pl_stack_send(pair->stack[0], from, &remote, (const uint8_t *)text, strlen(text),
                                0, pair->now));
    pair_run(pair);
}

static void test_datagram(gconstpointer ipv6)
{
    g_auto(Pair) pair;
    PlSocket *from, *to;
    PhAddress source;

    pair_init(&pair, ipv6 != NULL, 1500);
    from = open_at(&pair, 0, 0);
    to = open_at(&pair, 1, 7000);
    g_assert_cmpuint(pl_socket_local(from)->port, >=, 32768);
    send_text(&pair, from, "hello", 7000);
    g_assert_cmpuint(pair.n_events, ==, 1);
    g_assert_cmpint(pair.events[0].kind, ==, PL_STACK_DATAGRAM);
    g_assert_true(pair.events[0].socket == to);
    source = *pl_socket_local(from);
    g_assert_true(ph_address_equal(&pair.events[0].remote, &source));
    g_assert_cmpuint(pair.events[0].length, ==, 5);
    g_assert_true(memcmp(pair.events[0].bytes, "hello", 5) == 0);
}

static void test_empty_datagram(void)
{
    g_auto(Pair) pair;

    pair_init(&pair, FALSE, 1500);
    open_at(&pair, 1, 7000);
    send_text(&pair, open_at(&pair, 0, 5000), "", 7000);
    g_assert_cmpuint(pair.n_events, ==, 1);
    g_assert_cmpuint(pair.events[0].length, ==, 0);
}

/* A datagram whose checksum is wrong never arrives, nor is it answered. */
static void test_wrong_checksum(gconstpointer ipv6)
{
    g_auto(Pair) pair;

    pair_init(&pair, ipv6 != NULL, 1500);
    open_at(&pair, 1, 7000);
    pair.corrupt = TRUE;
    send_text(&pair, open_at(&pair, 0, 5000), "hello", 7000);
    g_assert_cmpuint(pair.n_events, ==, 0);
    g_assert_cmpuint(pair.carried, ==, 1);
    g_assert_cmpuint(pl_stack_counters(pair.stack[1])->malformed, ==, 1);
}

static void test_closed_port(gconstpointer ipv6)
{
    g_auto(Pair) pair;
    PlSocket *from;
    PhAddress asked;

    pair_init(&pair, ipv6 != NULL, 1500);
    from = open_at(&pair, 0, 5000);
    send_text(&pair, from, "hello", 7000);
    g_assert_cmpuint(pair.n_events, ==, 1);
    g_assert_cmpint(pair.events[0].kind, ==, PL_STACK_UNREACHABLE);
    g_assert_true(pair.events[0].port_closed);
    g_assert_true(pair.events[0].socket == from);
    asked = with_port(pair.address[1], 7000);
    g_assert_true(ph_address_equal(&pair.events[0].remote, &asked));
}

/* Somebody who has gone is told nothing. */
static void test_unreachable_for_nobody(void)
{
    g_auto(Pair) pair;
    PlSocket *from;
    const uint8_t byte = 0;
    PhAddress remote;

    pair_init(&pair, FALSE, 1500);
    from = open_at(&pair, 0, 5000);
    remote = with_port(pair.address[1], 7000);
    pl_stack_send(pair.stack[0], from, &remote, &byte, 1, 0, pair.now);
    pl_stack_close(pair.stack[0], from, pair.now);
    pair_run(&pair);
    g_assert_cmpuint(pair.n_events, ==, 0);
    g_assert_cmpuint(pair.carried, ==, 2);
}

static void test_specific_before_any(void)
{
    g_auto(Pair) pair;
    PhAddress any = ph_address_ipv4(0, 7000), second = ph_address_ipv4(0xc0000203, 7000);
    PlPrefix subnet = {ph_address_ipv4(0xc0000200, 0), 24};
    g_autoptr(GArray) addresses = g_array_new(FALSE, FALSE, sizeof(PhAddress));
    PlSocket *from;

    pair_init(&pair, FALSE, 1500);
    g_array_append_val(addresses, second);
    g_array_index(addresses, PhAddress, 0).port = 0;
    pl_stack_add_interface(pair.stack[1], &subnet, addresses, 1500);
    from = open_at(&pair, 0, 5000);
    g_assert_nonnull(pl_stack_open(pair.stack[1], &any, NULL, 1));
    /* Somebody has the port, on all addresses. */
    g_assert_null(pl_stack_open(pair.stack[1], &second, NULL, 2));
    send_text(&pair, from, "a", 7000);
    g_assert_cmpuint(pl_socket_id(pair.events[0].socket), ==, 1);
}

static void test_addresses_are_ones_own(void)
{
    g_auto(Pair) pair;
    const PhAddress foreign = ph_address_ipv4(0xc6336401, 5000);

    pair_init(&pair, FALSE, 1500);
    g_assert_null(pl_stack_open(pair.stack[0], &foreign, NULL, 0));
    g_assert_nonnull(open_at(&pair, 0, 5000));
    g_assert_null(open_at(&pair, 0, 5000));
}

static void test_no_route(void)
{
    g_auto(Pair) pair;
    const PhAddress far = ph_address_ipv4(0xc6336401, 5000);
    const uint8_t byte = 0;

    pair_init(&pair, FALSE, 1500);
    g_assert_false(
        pl_stack_send(pair.stack[0], open_at(&pair, 0, 5000), &far, &byte, 1, 0, pair.now));
    g_assert_cmpuint(pl_stack_counters(pair.stack[0])->unroutable, ==, 1);
}

static void test_echo(gconstpointer ipv6)
{
    g_auto(Pair) pair;
    PlSocket *echo;

    pair_init(&pair, ipv6 != NULL, 1500);
    echo = pl_stack_echo(pair.stack[0], &pair.address[0], &pair.address[1], NULL, 9);
    g_assert_nonnull(echo);
    g_assert_true(pl_stack_echo_send(pair.stack[0], echo, 4, pair.now));
    pair_run(&pair);
    g_assert_cmpuint(pair.n_events, ==, 1);
    g_assert_cmpint(pair.events[0].kind, ==, PL_STACK_ECHO);
    g_assert_true(pair.events[0].socket == echo);
    g_assert_cmpuint(pair.events[0].sequence, ==, 4);
}

static void fill(uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        bytes[i] = (uint8_t)(i * 7 + i / 256);
}

/* What is longer than the way is cut, and whole again where it arrives. */
static void test_fragments(gconstpointer ipv6)
{
    g_auto(Pair) pair;
    static uint8_t long_one[60000];
    PlStackEvent event;
    Carried *carried;
    PhAddress remote;
    gboolean arrived = FALSE;
    unsigned n = 0;

    fill(long_one, sizeof(long_one));
    pair_init(&pair, ipv6 != NULL, 1300);
    open_at(&pair, 1, 7000);
    remote = with_port(pair.address[1], 7000);
    g_assert_true(pl_stack_send(pair.stack[0], open_at(&pair, 0, 5000), &remote, long_one,
                                sizeof(long_one), 0, pair.now));
    /* The last one first: order does not matter. */
    while ((carried = g_queue_pop_tail(&pair.wire))) {
        g_assert_false(arrived);
        g_assert_cmpuint(carried->length, <=, 1300);
        arrived =
            pl_stack_receive(pair.stack[1], carried->bytes, carried->length, pair.now, &event);
        g_free(carried);
        n++;
    }
    g_assert_cmpuint(n, >, 46);
    g_assert_true(arrived);
    g_assert_cmpuint(event.length, ==, sizeof(long_one));
    g_assert_true(memcmp(event.bytes, long_one, sizeof(long_one)) == 0);
}

static void test_lost_fragment(void)
{
    g_auto(Pair) pair;
    uint8_t bytes[2000] = {0};
    PhAddress remote;
    PlSocket *from;

    pair_init(&pair, FALSE, 1300);
    open_at(&pair, 1, 7000);
    from = open_at(&pair, 0, 5000);
    remote = with_port(pair.address[1], 7000);
    pair.lose = 1;
    g_assert_true(pl_stack_send(pair.stack[0], from, &remote, bytes, sizeof(bytes), 0, pair.now));
    pair_run(&pair);
    g_assert_cmpuint(pair.n_events, ==, 0);
    /* It is given up when the next one comes later. */
    pair.now += 60 * S;
    g_assert_true(pl_stack_send(pair.stack[0], from, &remote, bytes, sizeof(bytes), 0, pair.now));
    pair_run(&pair);
    g_assert_cmpuint(pair.n_events, ==, 1);
    g_assert_cmpuint(pl_stack_counters(pair.stack[1])->fragments_lost, ==, 1);
}

static void test_too_long(void)
{
    g_auto(Pair) pair;
    static const uint8_t bytes[65508];
    PhAddress remote;

    pair_init(&pair, FALSE, 1500);
    remote = with_port(pair.address[1], 7000);
    g_assert_false(pl_stack_send(pair.stack[0], open_at(&pair, 0, 5000), &remote, bytes,
                                 sizeof(bytes), 0, pair.now));
    g_assert_cmpuint(pair.lengths->len, ==, 0);
}

/* alice's way to 198.51.100.1 is by way of bob. */
static void add_far_network(Pair *pair, unsigned mtu_bytes)
{
    const PlPrefix far = {parse_address("198.51.100.0"), 24};

    pl_stack_add_route(pair->stack[0], &far, 0);
    add_interface(pair->stack[1], "198.51.100.0", 24, "198.51.100.2", mtu_bytes);
}

static gboolean send_far(Pair *pair, PlSocket *from, size_t length, uint8_t ttl)
{
    static const uint8_t bytes[1400];
    const PhAddress far = ph_address_ipv4(0xc6336401, 9000);
    gboolean sent = pl_stack_send(pair->stack[0], from, &far, bytes, length, ttl, pair->now);

    pair_run(pair);
    return sent;
}

static void test_forwarding(void)
{
    g_auto(Pair) pair;
    PlPacketView packet;

    pair_init(&pair, FALSE, 1500);
    add_far_network(&pair, 1500);
    g_assert_true(send_far(&pair, open_at(&pair, 0, 5000), 100, 17));
    g_assert_true(pl_packet_read(pair.elsewhere, pair.elsewhere_length, &packet));
    g_assert_cmpuint(packet.ttl, ==, 16);
    g_assert_cmpuint(pl_packet_checksum(&packet, packet.payload, packet.length), ==, 0);
    g_assert_true(ph_address_equal_host(&packet.source, &pair.address[0]));
}

static void test_last_hop(void)
{
    g_auto(Pair) pair;

    pair_init(&pair, FALSE, 1500);
    add_far_network(&pair, 1500);
    send_far(&pair, open_at(&pair, 0, 5000), 100, 1);
    g_assert_cmpuint(pair.elsewhere_length, ==, 0);
    g_assert_cmpuint(pair.carried, ==, 2); /* there, and ICMP time exceeded back */
}

/* The first long one comes back with an error, the next ones are cut to what passes. */
static void test_path_mtu(void)
{
    g_auto(Pair) pair;
    PlSocket *from;

    pair_init(&pair, FALSE, 1500);
    add_far_network(&pair, 1000);
    from = open_at(&pair, 0, 5000);
    send_far(&pair, from, 1400, 0);
    g_assert_cmpuint(pair.elsewhere_length, ==, 0);
    send_far(&pair, from, 1400, 0);
    g_assert_cmpuint(pair.elsewhere_length, >, 0);
    g_assert_cmpuint(pl_stack_counters(pair.stack[1])->forwarded, ==, 2);
}

/* Whatever the bytes are, nothing crashes, and what is cut anywhere is no packet. */
static void test_cut_packets(gconstpointer ipv6)
{
    g_auto(Pair) pair;
    PlStackEvent event;
    Carried *carried;
    PhAddress remote;
    const uint8_t bytes[100] = {0};

    pair_init(&pair, ipv6 != NULL, 1500);
    open_at(&pair, 1, 7000);
    remote = with_port(pair.address[1], 7000);
    pl_stack_send(pair.stack[0], open_at(&pair, 0, 5000), &remote, bytes, 100, 0, pair.now);
    carried = g_queue_pop_head(&pair.wire);
    for (size_t length = 0; length < carried->length; length++) {
        g_autofree uint8_t *cut = g_memdup2(carried->bytes, length);

        g_assert_false(pl_stack_receive(pair.stack[1], cut, length, pair.now, &event));
    }
    for (size_t i = 0; i < carried->length; i++) {
        carried->bytes[i] ^= 0x55;
        pl_stack_receive(pair.stack[1], carried->bytes, carried->length, pair.now, &event);
        carried->bytes[i] ^= 0x55;
    }
    g_assert_true(
        pl_stack_receive(pair.stack[1], carried->bytes, carried->length, pair.now, &event));
    g_free(carried);
}

static void add_both(const char *name, GTestDataFunc function)
{
    g_autofree char *ipv4 = g_strdup_printf("/virtual/stack/ipv4/%s", name);
    g_autofree char *ipv6 = g_strdup_printf("/virtual/stack/ipv6/%s", name);

    g_test_add_data_func(ipv4, NULL, function);
    g_test_add_data_func(ipv6, GINT_TO_POINTER(1), function);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add_both("a datagram arrives", test_datagram);
    add_both("a wrong checksum is silence", test_wrong_checksum);
    add_both("a closed port says so", test_closed_port);
    add_both("an echo is answered", test_echo);
    add_both("fragments become whole again", test_fragments);
    add_both("broken packets do no harm", test_cut_packets);
    g_test_add_func("/virtual/stack/an empty datagram is one", test_empty_datagram);
    g_test_add_func("/virtual/stack/an error for nobody", test_unreachable_for_nobody);
    g_test_add_func("/virtual/stack/the most specific socket", test_specific_before_any);
    g_test_add_func("/virtual/stack/addresses are one's own", test_addresses_are_ones_own);
    g_test_add_func("/virtual/stack/without a route nothing is sent", test_no_route);
    g_test_add_func("/virtual/stack/a lost fragment is a lost packet", test_lost_fragment);
    g_test_add_func("/virtual/stack/too long for UDP", test_too_long);
    g_test_add_func("/virtual/stack/a router takes one from the TTL", test_forwarding);
    g_test_add_func("/virtual/stack/the last hop says so", test_last_hop);
    g_test_add_func("/virtual/stack/the length of a way is learnt", test_path_mtu);
    return g_test_run();
}
