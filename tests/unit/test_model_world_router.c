/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a router on the way does by itself: TTLs, ICMP errors, fragments, echo replies. REQ-13 is
 * RFC 4787's.
 */
#include "model_world.h"

/* alice, bob ── internet ── wall ── dave */
#define WORLD HEAD ALICE BOB FIREWALL

#define A            "203.0.113.10:1000"
#define D            "198.51.100.10:4000"
#define WALL         "203.0.113.5"
#define WALL_INSIDE  "198.51.100.1"
#define UNREACHABLE  3
#define EXCEEDED     11
#define IPV6_HEADER  40
#define ERROR_QUOTES 28 /* after an IPv4 and an ICMP header */

/* An ICMP error from `source` that quotes what was sent. */
static void assert_error(const PlDatagram *got, const char *source, unsigned type, unsigned code,
                         unsigned word, const PlDatagram *sent)
{
    char sender[PH_ADDRESS_TEXT_MAX];
    PhAddress to = wire_source(sent);

    to.port = 0;
    wire_assert(wire_source(got), source);
    wire_assert(wire_destination(got), ph_address_format(&to, sender));
    g_assert_true(wire_is_right(got));
    g_assert_cmpuint(wire_protocol(got->bytes), ==, WIRE_ICMP);
    g_assert_cmpuint(got->bytes[8], ==, 64);
    g_assert_cmpuint(got->bytes[20], ==, type);
    g_assert_cmpuint(got->bytes[21], ==, code);
    g_assert_cmpuint(wire_u16(got->bytes + 24), ==, 0);
    g_assert_cmpuint(wire_u16(got->bytes + 26), ==, word);
    g_assert_cmpuint(got->length, ==, MIN(ERROR_QUOTES + sent->length, 576));
    g_assert_true(memcmp(got->bytes + ERROR_QUOTES, sent->bytes, got->length - ERROR_QUOTES) == 0);
}

static void a_router_takes_one_off_the_ttl(void)
{
    g_auto(Lab) lab = {0};
    g_autoptr(PlDatagram) got = NULL, expected = packet(aged(A, D, 63));

    lab_init(&lab, WORLD);
    send_packet(&lab, "alice", 0, aged(A, D, 64));
    got = receive(&lab, "dave", 0);
    assert_same(got, expected);
    send_packet(&lab, "dave", 1, aged(D, A, 2));
    arrives(&lab, "alice", 1);
    nothing_more(&lab);
}

static void who_sent_is_told_when_the_ttl_runs_out(void)
{
    g_auto(Lab) lab = {0};

    lab_init(&lab, WORLD);
    for (unsigned i = 0; i < 2; i++) {
        Sent sent = i ? aged(D, A, 1) : aged(A, D, 1);
        g_autoptr(PlDatagram) original = packet(sent), got = NULL;

        send_packet(&lab, i ? "dave" : "alice", i, sent);
        got = receive(&lab, i ? "dave" : "alice", i);
        assert_error(got, i ? WALL_INSIDE : WALL, EXCEEDED, 0, 0, original);
    }
    nothing_more(&lab);
    g_assert_cmpuint(pl_world_counters(lab.world)->expired, ==, 2);
}

static void nothing_is_said_about_errors_and_later_fragments(void)
{
    const PhAddress from = wire_at(A), to = wire_at(D);
    g_auto(Lab) lab = {0};
    g_autoptr(PlDatagram) sent = packet(aged(A, D, 1));
    g_autoptr(PlDatagram) later = wire_fragment(sent, 40, 40);
    g_autoptr(PlDatagram) error = wire_error(&from, &to, EXCEEDED, 0, sent, 28);
    PlWorldPlace alice;

    lab_init(&lab, WORLD);
    alice = place(&lab, "alice");
    pl_passage_set_ttl(error, 1);
    pl_world_send(lab.world, &alice, later->bytes, later->length, 0);
    pl_world_send(lab.world, &alice, error->bytes, error->length, 0);
    nothing_more(&lab);
    g_assert_cmpuint(pl_world_counters(lab.world)->malformed, ==, 0);
    g_assert_cmpuint(pl_world_counters(lab.world)->expired, ==, 2);
}

static void req_13_who_sent_is_told_what_does_not_fit(void)
{
    g_auto(Lab) lab = {0};
    Sent sent = whole(A, D, 1001);
    g_autoptr(PlDatagram) original = packet(sent), got = NULL;

    lab_init(&lab, WORLD "[link wall.inside]\nmtu = 1000\n");
    send_packet(&lab, "alice", 0, sent);
    got = receive(&lab, "alice", 0);
    assert_error(got, WALL, UNREACHABLE, 4, 1000, original);
    send_packet(&lab, "alice", 1, whole(A, D, 1000));
    arrives(&lab, "dave", 1);
    nothing_more(&lab);
}

/* All the bytes, once each, in fragments that fit. */
static void req_13_what_may_be_divided_is(void)
{
    g_auto(Lab) lab = {0};
    g_autoptr(PlDatagram) original = packet(udp(A, D, 1500));
    uint8_t bytes[1500] = {0};
    unsigned end = 0;

    lab_init(&lab, WORLD "[link wall.inside]\nmtu = 601\n");
    send_packet(&lab, "alice", 0, udp(A, D, 1500));
    for (unsigned i = 0; i < 3; i++) {
        g_autoptr(PlDatagram) got = receive(&lab, "dave", 0);
        unsigned offset = (wire_u16(got->bytes + 6) & 0x1fffu) * 8;

        g_assert_cmpuint(got->length, <=, 601);
        g_assert_cmpuint(offset, ==, end);
        g_assert_cmpuint(wire_add(0, got->bytes, 20), ==, 0xffff);
        g_assert_cmpuint(got->bytes[6] & 0x20, ==, i < 2 ? 0x20 : 0);
        memcpy(bytes + 20 + offset, got->bytes + 20, got->length - 20);
        end = offset + got->length - 20;
    }
    nothing_more(&lab);
    g_assert_cmpuint(end, ==, 1480);
    g_assert_true(memcmp(bytes + 20, original->bytes + 20, 1480) == 0);
}

static void options_are_copied_as_they_say(void)
{
    g_autoptr(PlDatagram) first = NULL, second = NULL;
    /* Record route is not copied (RFC 791 §3.1), router alert is (RFC 2113). */
    static const uint8_t options[12] = {0x07, 7, 4, 0, 0, 0, 0, 0x94, 4, 0, 0, 0};
    uint8_t bytes[32 + 80] = {0x48, 0, 0, sizeof(bytes), 0, 1, 0, 0, 64, WIRE_UDP};
    g_autoptr(PlDatagram) packet_with = NULL;
    unsigned position = 0;

    memcpy(bytes + 20, options, sizeof(options));
    packet_with = pl_datagram_new(bytes, sizeof(bytes));
    first = pl_passage_fragment(packet_with, 32 + 40, &position);
    second = pl_passage_fragment(packet_with, 32 + 40, &position);
    g_assert_cmpuint(position, ==, 80);
    g_assert_null(pl_passage_fragment(packet_with, 32 + 40, &position));
    g_assert_true(memcmp(first->bytes + 20, options, sizeof(options)) == 0);
    g_assert_true(memcmp(second->bytes + 20, "\1\1\1\1\1\1\1", 7) == 0);
    g_assert_true(memcmp(second->bytes + 27, options + 7, 5) == 0);
}

static void who_sent_is_told_that_nobody_is_there(void)
{
    g_auto(Lab) lab = {0};
    Sent nobody = udp(A, "198.51.100.77:1", 100), nowhere = udp(D, "192.0.2.1:1", 100);
    g_autoptr(PlDatagram) first = packet(aged(nobody.from, nobody.to, 64)),
                          second = packet(nowhere);
    g_autoptr(PlDatagram) got = NULL, other = NULL;

    lab_init(&lab, WORLD);
    send_packet(&lab, "alice", 0, nobody);
    got = receive(&lab, "alice", 0);
    assert_error(got, WALL, UNREACHABLE, 1, 0, first);
    send_packet(&lab, "dave", 1, nowhere);
    other = receive(&lab, "dave", 1);
    assert_error(other, WALL_INSIDE, UNREACHABLE, 0, 0, second);
    nothing_more(&lab);
    g_assert_cmpuint(pl_world_counters(lab.world)->unroutable, ==, 2);
}

static PlDatagram *echo(const char *from, const char *to, gboolean reply)
{
    const PhAddress source = wire_at(from), destination = wire_at(to);
    PlDatagram *made = wire_echo(&source, &destination, reply, 77);

    pl_passage_set_ttl(made, reply ? 64 : 3);
    return made;
}

static void a_router_answers_echo_requests(void)
{
    static const struct {
        const char *label, *from, *to;
    } cases[] = {
        {"alice", A, WALL},
        {"dave", D, WALL_INSIDE},
        {"dave", D, WALL},
        {"alice", A, WALL_INSIDE},
        {"@internet", "203.0.113.251:1", WALL},
    };
    g_auto(Lab) lab = {0};

    lab_init(&lab, WORLD);
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(PlDatagram) request = echo(cases[i].from, cases[i].to, FALSE);
        g_autoptr(PlDatagram) expected = echo(cases[i].to, cases[i].from, TRUE);
        g_autoptr(PlDatagram) got = NULL;
        PlWorldPlace from = place(&lab, cases[i].label);

        pl_world_send(lab.world, &from, request->bytes, request->length, i);
        got = receive(&lab, cases[i].label, i);
        assert_same(got, expected);
    }
    nothing_more(&lab);
}

/* Of a router: not of hosts, which answer themselves. */
static void a_router_answers_nothing_else(void)
{
    g_auto(Lab) lab = {0};

    lab_init(&lab, WORLD);
    send_packet(&lab, "alice", 0, udp(A, WALL ":7", 100));
    nothing_more(&lab);
    g_assert_cmpuint(pl_world_counters(lab.world)->received, ==, 0);
}

static void presences_reach_the_inside_of_a_firewall_and_back(void)
{
    g_auto(Lab) lab = {0};

    lab_init(&lab, WORLD);
    send_packet(&lab, "@internet", 0, udp("203.0.113.251:1", D, 100));
    arrives(&lab, "dave", 0);
    send_packet(&lab, "dave", 1, udp(D, "203.0.113.251:1", 100));
    arrives(&lab, "@internet", 1);
    send_packet(&lab, "@wall.inside", 2, udp("198.51.100.253:1", A, 100));
    arrives(&lab, "alice", 2);
    send_packet(&lab, "alice", 3, udp(A, "198.51.100.253:1", 100));
    arrives(&lab, "@wall.inside", 3);
    send_packet(&lab, "@internet", 4, udp("203.0.113.252:1", "198.51.100.254:1", 100));
    arrives(&lab, "@wall.inside", 4);
    nothing_more(&lab);
}

static void a_reboot_loses_what_comes_at_that_very_time(void)
{
    g_auto(Lab) lab = {0};

    lab_init(&lab, WORLD "[link alice]\ndelay = 10ns\n");
    send_packet(&lab, "alice", 0, udp(A, D, 100));
    send_packet(&lab, "alice", 1, udp(A, D, 101)); /* arrives when it reboots, before */
    send_packet(&lab, "bob", 11, udp("203.0.113.20:1", D, 102));
    pl_world_nat_reboot(lab.world, pl_topology_node(lab.topology, "wall"), 11);
    send_packet(&lab, "bob", 11, udp("203.0.113.20:1", D, 103));
    send_packet(&lab, "alice", 2, udp(A, D, 104)); /* sent now: nothing is sent in the past */
    arrives(&lab, "dave", 10);
    arrives(&lab, "dave", 11);
    arrives(&lab, "dave", 11);
    arrives(&lab, "dave", 21);
    nothing_more(&lab);
    g_assert_cmpuint(pl_world_counters(lab.world)->rebooted, ==, 1);
}

static void a_new_address_takes_the_place_of_the_old(void)
{
    g_auto(Lab) lab = {0};
    PhAddress moved = wire_at("203.0.113.6");
    const PlNode *wall;
    g_autoptr(PlDatagram) old = echo(A, WALL, FALSE), new = echo(A, "203.0.113.6", FALSE);
    PlWorldPlace from;

    lab_init(&lab, WORLD);
    from = place(&lab, "alice");
    wall = pl_topology_node(lab.topology, "wall");
    pl_world_nat_address(lab.world, wall, &moved, 5);
    g_assert_cmpuint(pl_world_external(lab.world, wall)->len, ==, 1);
    g_assert_true(
        ph_address_equal(&g_array_index(pl_world_external(lab.world, wall), PhAddress, 0), &moved));
    pl_world_send(lab.world, &from, old->bytes, old->length, 5);
    nothing_more(&lab);
    g_assert_cmpuint(pl_world_counters(lab.world)->unroutable, ==, 1);
    pl_world_send(lab.world, &from, new->bytes, new->length, 6);
    arrives(&lab, "alice", 6);
    /* It stays when all else is new. */
    pl_world_reset(lab.world, 10);
    pl_world_send(lab.world, &from, new->bytes, new->length, 10);
    arrives(&lab, "alice", 10);
    nothing_more(&lab);
}

#define CASE(name) g_test_add_func("/model/world/router/" #name, name)

int main(int argc, char *argv[])
{
    g_test_init(&argc, &argv, NULL);
    CASE(a_router_takes_one_off_the_ttl);
    CASE(who_sent_is_told_when_the_ttl_runs_out);
    CASE(nothing_is_said_about_errors_and_later_fragments);
    CASE(req_13_who_sent_is_told_what_does_not_fit);
    CASE(req_13_what_may_be_divided_is);
    CASE(options_are_copied_as_they_say);
    CASE(who_sent_is_told_that_nobody_is_there);
    CASE(a_router_answers_echo_requests);
    CASE(a_router_answers_nothing_else);
    CASE(presences_reach_the_inside_of_a_firewall_and_back);
    CASE(a_reboot_loses_what_comes_at_that_very_time);
    CASE(a_new_address_takes_the_place_of_the_old);
    return g_test_run();
}
