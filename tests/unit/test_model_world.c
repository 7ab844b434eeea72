/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The world between hosts: who gets what, at exactly which time, and what links and steps do. */
#include "model_world.h"

#define A "203.0.113.10:1000"
#define B "203.0.113.20:2000"
#define C "203.0.113.30:3000"

#define THREE HEAD ALICE BOB CAROL

static void a_packet_arrives_as_it_was_sent(void)
{
    g_auto(Lab) lab = {0};
    g_autoptr(PlDatagram) sent = packet(udp(A, B, 100)), got = NULL;

    lab_init(&lab, THREE);
    send_packet(&lab, "alice", 5, udp(A, B, 100));
    got = receive(&lab, "bob", 5);
    assert_same(got, sent);
    nothing_more(&lab);
    g_assert_cmpuint(pl_world_counters(lab.world)->sent, ==, 1);
    g_assert_cmpuint(pl_world_counters(lab.world)->received, ==, 1);
}

static void both_links_add_their_delay(void)
{
    g_auto(Lab) lab = {0};

    lab_init(&lab, THREE "[link alice]\ndelay = 10ms\n[link bob]\ndelay = 3ms\n");
    send_packet(&lab, "alice", 0, udp(A, B, 100));
    g_assert_cmpuint(pl_world_next(lab.world), ==, 0);
    arrives(&lab, "bob", 13 * MS);
    send_packet(&lab, "bob", 20 * MS, udp(B, C, 100));
    arrives(&lab, "carol", 23 * MS);
    nothing_more(&lab);
}

static void at_one_time_packets_pass_in_order(void)
{
    g_auto(Lab) lab = {0};

    lab_init(&lab, THREE);
    for (unsigned i = 0; i < 100; i++)
        send_packet(&lab, i % 2 ? "alice" : "bob", 7, udp(i % 2 ? A : B, C, 100 + i));
    for (unsigned i = 0; i < 100; i++) {
        g_autoptr(PlDatagram) got = receive(&lab, "carol", 7);

        g_assert_cmpuint(got->length, ==, 100 + i);
    }
    nothing_more(&lab);
}

static void events_come_in_the_order_of_time(void)
{
    g_auto(Lab) lab = {0};

    lab_init(&lab, THREE);
    for (unsigned i = 0; i < 1000; i++)
        send_packet(&lab, "alice", i * 7919 % 1000, udp(A, B, 100 + i));
    for (unsigned i = 0; i < 1000; i++)
        arrives(&lab, "bob", i);
    nothing_more(&lab);
}

static void a_packet_for_nobody_goes_nowhere(void)
{
    g_auto(Lab) lab = {0};

    lab_init(&lab, THREE);
    send_packet(&lab, "alice", 0, udp(A, "203.0.113.99:1", 100));  /* nobody has it */
    send_packet(&lab, "alice", 0, udp(A, "192.0.2.1:1", 100));     /* no route */
    send_packet(&lab, "alice", 0, udp(A, "203.0.113.255:1", 100)); /* broadcast */
    send_packet(&lab, "alice", 0, udp(A, "224.0.0.251:1", 100));   /* multicast */
    send_packet(&lab, "alice", 0, udp(A, A, 100));                 /* its own */
    nothing_more(&lab);
    g_assert_cmpuint(pl_world_counters(lab.world)->unroutable, ==, 5);
}

static void malformed_packets_are_dropped(void)
{
    static const uint8_t bytes[PL_DATAGRAM_MAX + 1] = {0x45};
    g_auto(Lab) lab = {0};
    g_autoptr(PlDatagram) sent = packet(udp(A, B, 100));
    PlWorldPlace from;

    lab_init(&lab, THREE);
    from = place(&lab, "alice");
    pl_world_send(lab.world, &from, bytes, 0, 0);
    pl_world_send(lab.world, &from, bytes, 40, 0);
    pl_world_send(lab.world, &from, bytes, sizeof(bytes), 0);
    pl_world_send(lab.world, &from, sent->bytes, sent->length - 1, 0);
    sent->bytes[8]--; /* the checksum is not right any more */
    pl_world_send(lab.world, &from, sent->bytes, sent->length, 0);
    nothing_more(&lab);
    g_assert_cmpuint(pl_world_counters(lab.world)->malformed, ==, 5);
}

static void presences_are_on_their_network_without_a_link(void)
{
    g_auto(Lab) lab = {0};

    lab_init(&lab, THREE "[link alice]\ndelay = 10ms\n");
    send_packet(&lab, "@internet", 0, udp("203.0.113.251:1", A, 100));
    arrives(&lab, "alice", 10 * MS);
    send_packet(&lab, "alice", 20 * MS, udp(A, "203.0.113.254:1", 100));
    arrives(&lab, "@internet", 30 * MS);
    nothing_more(&lab);
}

static void a_host_that_routes_gets_what_it_is_to_pass_on(void)
{
    g_auto(Lab) lab = {0};

    lab_init(&lab, HEAD ALICE "[network lan]\nsubnet = 10.0.0.0/24\n"
                              "[host router]\non = internet, lan\nroutes = yes\n"
                              "addresses = 203.0.113.1, 10.0.0.1\n"
                              "[host erin]\non = lan\naddress = 10.0.0.2\n");
    send_packet(&lab, "alice", 0, udp(A, "10.0.0.2:1", 100));
    arrives(&lab, "router.internet", 0);
    send_packet(&lab, "router.lan", 5, udp(A, "10.0.0.2:1", 100));
    arrives(&lab, "erin", 5);
    /* A host sends by the attachment that it says, wherever that leads. */
    send_packet(&lab, "router.internet", 6, udp(A, "10.0.0.2:1", 100));
    nothing_more(&lab);
    g_assert_cmpuint(pl_world_counters(lab.world)->unroutable, ==, 1);
}

static void rate_and_queue_are_of_each_direction(void)
{
    g_auto(Lab) lab = {0};

    lab_init(&lab, THREE "[link alice]\nrate = 8mbit\n"); /* 1 us a byte */
    send_packet(&lab, "alice", 0, udp(A, B, 1000));
    send_packet(&lab, "bob", 0, udp(B, A, 500));
    send_packet(&lab, "alice", 0, udp(A, B, 1000));
    arrives(&lab, "alice", 500 * US);
    arrives(&lab, "bob", 1000 * US);
    arrives(&lab, "bob", 2000 * US);
    nothing_more(&lab);
}

static void a_duplicate_arrives_twice(void)
{
    g_auto(Lab) lab = {0};

    lab_init(&lab, THREE);
    impair(&lab, "alice", (PlLink){.duplicate_ppm = 1000000, .delay_ns = MS});
    send_packet(&lab, "alice", 0, udp(A, B, 100));
    arrives(&lab, "bob", MS);
    arrives(&lab, "bob", MS);
    nothing_more(&lab);
}

static void packets_are_divided_by_the_senders_mtu(void)
{
    g_auto(Lab) lab = {0};

    lab_init(&lab, THREE "[link alice]\nmtu = 576\n");
    send_packet(&lab, "alice", 0, udp(A, B, 1400));
    for (unsigned i = 0; i < 3; i++) {
        g_autoptr(PlDatagram) got = receive(&lab, "bob", 0);

        g_assert_cmpuint(got->length, ==, i < 2 ? 572 : 296);
        g_assert_cmpuint(wire_u16(got->bytes + 6), ==, (i < 2 ? 0x2000 : 0) + i * 69);
    }
    send_packet(&lab, "alice", 0, whole(A, B, 577));
    nothing_more(&lab);
    g_assert_cmpuint(pl_world_counters(lab.world)->too_long, ==, 1);
}

/* As a switch does; of two on one cable both know. */
static void what_is_too_long_for_the_receiver_is_lost(void)
{
    g_auto(Lab) lab = {0}, cable = {0};

    lab_init(&lab, THREE "[link bob]\nmtu = 576\n");
    send_packet(&lab, "alice", 0, udp(A, B, 577));
    send_packet(&lab, "alice", 0, udp(A, B, 576));
    arrives(&lab, "bob", 0);
    nothing_more(&lab);
    g_assert_cmpuint(pl_world_counters(lab.world)->too_long, ==, 1);

    lab_init(&cable, HEAD ALICE BOB "[link bob]\nmtu = 576\n");
    send_packet(&cable, "alice", 0, udp(A, B, 577));
    arrives(&cable, "bob", 0);
    arrives(&cable, "bob", 0);
    nothing_more(&cable);
}

static void see(const PlAttachment *seen, gboolean outgoing, const PlDatagram *datagram,
                uint64_t time_ns, gpointer data)
{
    g_string_append_printf(data, "%s %s %u at %u\n", seen->label, outgoing ? "sends" : "gets",
                           datagram->length, (unsigned)time_ns);
}

static void an_observer_sees_what_captures_would(void)
{
    g_auto(Lab) lab = {0};
    g_autoptr(GString) seen = g_string_new(NULL);

    lab_init(&lab, THREE "[link alice]\ndelay = 10ns\n");
    impair(&lab, "carol", (PlLink){.loss_ppm = 1000000});
    pl_world_observe(lab.world, see, seen);
    send_packet(&lab, "alice", 1, udp(A, B, 101));
    send_packet(&lab, "alice", 2, udp(A, C, 102)); /* carol never gets it */
    send_packet(&lab, "carol", 3, udp(C, A, 103)); /* carol sends, nobody gets it */
    send_packet(&lab, "@internet", 4, udp("203.0.113.251:1", B, 104));
    arrives(&lab, "bob", 4);
    arrives(&lab, "bob", 11);
    nothing_more(&lab);
    g_assert_cmpstr(seen->str, ==,
                    "alice sends 101 at 1\nalice sends 102 at 2\ncarol sends 103 at 3\n"
                    "bob gets 104 at 4\nbob gets 101 at 11\n");
}

static void a_link_that_is_down_passes_nothing(void)
{
    g_auto(Lab) lab = {0};
    g_autoptr(GString) seen = g_string_new(NULL);

    lab_init(&lab, THREE "[link alice]\ndelay = 10ns\n");
    send_packet(&lab, "alice", 0, udp(A, B, 101)); /* on the cable when it goes down */
    send_packet(&lab, "bob", 0, udp(B, A, 102));
    pl_world_link(lab.world, attachment(&lab, "alice"), FALSE, 5);
    pl_world_observe(lab.world, see, seen);
    send_packet(&lab, "alice", 6, udp(A, B, 103));
    send_packet(&lab, "bob", 6, udp(B, A, 104));
    nothing_more(&lab);
    g_assert_cmpuint(pl_world_counters(lab.world)->unplugged, ==, 4);
    g_assert_cmpstr(seen->str, ==, "bob sends 104 at 6\n");
}

static void a_link_comes_up_again(void)
{
    g_auto(Lab) lab = {0};

    lab_init(&lab, THREE "[link alice]\ndelay = 10ns\n");
    send_packet(&lab, "alice", 0, udp(A, B, 100));
    pl_world_link(lab.world, attachment(&lab, "alice"), FALSE, 5);
    pl_world_link(lab.world, attachment(&lab, "alice"), TRUE, 9);
    arrives(&lab, "bob", 10);
    send_packet(&lab, "bob", 20, udp(B, A, 100));
    arrives(&lab, "alice", 30);
}

/* What was on its way to her, or from her, does not follow her; and her old address is nobody's. */
static void a_host_that_moves_is_elsewhere(void)
{
    g_auto(Lab) lab = {0};
    PhAddress there;

    g_assert_true(ph_address_parse("198.51.100.20", &there));
    lab_init(&lab, THREE FIREWALL "[step 1]\nat = 1s\ndo = host alice move wall 198.51.100.20\n"
                                  "[link alice]\ndelay = 10ns\n[link carol]\ndelay = 3ns\n");
    send_packet(&lab, "alice", 0, udp(A, B, 101));
    send_packet(&lab, "carol", 0, udp(C, A, 102)); /* past the network, before her */
    send_packet(&lab, "carol", 3, udp(C, A, 103)); /* before the network */
    pl_world_move(lab.world, attachment(&lab, "alice"),
                  pl_topology_network(lab.topology, "wall.inside"), &there, 5);
    send_packet(&lab, "carol", 6, udp(C, A, 104));
    nothing_more(&lab);
    g_assert_cmpuint(pl_world_counters(lab.world)->unplugged, ==, 3);
    g_assert_cmpuint(pl_world_counters(lab.world)->unroutable, ==, 1);
    send_packet(&lab, "alice", 20, udp("198.51.100.20:1000", "198.51.100.10:1", 104));
    arrives(&lab, "dave", 30);
    send_packet(&lab, "alice", 40, udp("198.51.100.20:1000", B, 105)); /* by way of the firewall */
    arrives(&lab, "bob", 50);
    pl_world_reset(lab.world, 60);
    send_packet(&lab, "dave", 60, udp("198.51.100.10:1", "198.51.100.20:1000", 106));
    g_assert_cmpuint(pl_world_next(lab.world), ==, 60);
    arrives_somewhere(&lab, "alice", "wall.inside", 70);
}

/* A step happens after what was due before it. */
static void steps_have_their_place_in_time(void)
{
    g_auto(Lab) lab = {0};

    lab_init(&lab, THREE);
    send_packet(&lab, "alice", 5, udp(A, B, 101));
    pl_world_link(lab.world, attachment(&lab, "bob"), FALSE, 5);
    send_packet(&lab, "alice", 5, udp(A, B, 102));
    arrives(&lab, "bob", 5);
    nothing_more(&lab);
}

/* Hosts that send at once what they have got never come before what was sent earlier. */
static void nothing_is_sent_in_the_past(void)
{
    g_auto(Lab) lab = {0};

    lab_init(&lab, THREE);
    send_packet(&lab, "alice", 100, udp(A, B, 100));
    arrives(&lab, "bob", 100);
    send_packet(&lab, "bob", 50, udp(B, A, 100));
    arrives(&lab, "alice", 100);
}

static void a_flood_is_bounded(void)
{
    g_auto(Lab) lab = {0};
    g_autoptr(PlDatagram) sent = packet(udp(A, B, 60000));
    PlWorldPlace from;
    const unsigned n = PL_WORLD_BYTES_MAX / 60000 + 100;

    lab_init(&lab, THREE);
    from = place(&lab, "alice");
    for (unsigned i = 0; i < n; i++)
        pl_world_send(lab.world, &from, sent->bytes, sent->length, 1);
    g_assert_cmpuint(pl_world_counters(lab.world)->flooded, >=, 100);
    g_assert_cmpuint(pl_world_counters(lab.world)->flooded, <=, 110);
}

static void a_reset_forgets_everything_but_links_that_are_down(void)
{
    g_auto(Lab) lab = {0};

    lab_init(&lab, THREE "[link alice]\ndelay = 10ns\n");
    send_packet(&lab, "alice", 0, udp(A, B, 100));
    pl_world_link(lab.world, attachment(&lab, "carol"), FALSE, 0);
    pl_world_reset(lab.world, 100);
    send_packet(&lab, "alice", 100, udp(A, C, 100));
    nothing_more(&lab);
    g_assert_cmpuint(pl_world_counters(lab.world)->unplugged, ==, 1);
    send_packet(&lab, "bob", 200, udp(B, A, 100));
    arrives(&lab, "alice", 210);
}

#define CASE(name) g_test_add_func("/model/world/" #name, name)

int main(int argc, char *argv[])
{
    g_test_init(&argc, &argv, NULL);
    CASE(a_packet_arrives_as_it_was_sent);
    CASE(both_links_add_their_delay);
    CASE(at_one_time_packets_pass_in_order);
    CASE(events_come_in_the_order_of_time);
    CASE(a_packet_for_nobody_goes_nowhere);
    CASE(malformed_packets_are_dropped);
    CASE(presences_are_on_their_network_without_a_link);
    CASE(a_host_that_routes_gets_what_it_is_to_pass_on);
    CASE(rate_and_queue_are_of_each_direction);
    CASE(a_duplicate_arrives_twice);
    CASE(packets_are_divided_by_the_senders_mtu);
    CASE(what_is_too_long_for_the_receiver_is_lost);
    CASE(an_observer_sees_what_captures_would);
    CASE(a_link_that_is_down_passes_nothing);
    CASE(a_link_comes_up_again);
    CASE(a_host_that_moves_is_elsewhere);
    CASE(steps_have_their_place_in_time);
    CASE(nothing_is_sent_in_the_past);
    CASE(a_flood_is_bounded);
    CASE(a_reset_forgets_everything_but_links_that_are_down);
    return g_test_run();
}
