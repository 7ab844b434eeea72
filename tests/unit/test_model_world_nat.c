/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Packets through NATs, firewalls and routing hosts, one behind the other. */
#include "model_world.h"

#define HUB "[host hub]\non = internet\naddress = 203.0.113.10\n"
#define HOMES                                                                                      \
    "[nat home-a]\noutside = internet\ninside = 192.168.1.0/24\nbehaviour = port-restricted\n"     \
    "address = 203.0.113.21\n[nat home-b]\noutside = internet\ninside = 192.168.1.0/24\n"          \
    "behaviour = port-restricted\naddress = 203.0.113.22\n"                                        \
    "[host alice]\nbehind = home-a\n[host bob]\nbehind = home-b\n"

#define H        "203.0.113.10:1000"
#define INSIDE   "192.168.1.2:5000" /* alice and bob alike */
#define A_MAPPED "203.0.113.21:5000"
#define B_MAPPED "203.0.113.22:5000"

/* What arrives next, there and then, is from one endpoint to another. */
static void arrives_as(Lab *lab, const char *label, uint64_t expected, const char *from,
                       const char *to)
{
    g_autoptr(PlDatagram) got = receive(lab, label, expected);

    wire_assert(wire_source(got), from);
    wire_assert(wire_destination(got), to);
    g_assert_true(wire_is_right(got));
}

static const PlNatCounters *nat_counters(const Lab *lab, const char *name)
{
    return pl_nat_counters(pl_world_nat(lab->world, pl_topology_node(lab->topology, name)));
}

static void two_homes_punch_holes(void)
{
    g_auto(Lab) lab = {0};

    lab_init(&lab, HEAD HUB HOMES "[link alice]\ndelay = 5ms\n[link home-b.outside]\n"
                                  "delay = 20ms\n");
    send_packet(&lab, "alice", 0, udp(INSIDE, B_MAPPED, 100));
    nothing_more(&lab);
    g_assert_cmpuint(
        nat_counters(&lab, "home-b")->filtered + nat_counters(&lab, "home-b")->unmapped, ==, 1);
    send_packet(&lab, "bob", 100 * MS, udp(INSIDE, A_MAPPED, 100));
    arrives_as(&lab, "alice", 125 * MS, B_MAPPED, INSIDE);
    send_packet(&lab, "alice", 200 * MS, udp(INSIDE, B_MAPPED, 100));
    arrives_as(&lab, "bob", 225 * MS, A_MAPPED, INSIDE);
    nothing_more(&lab);
}

static void an_answer_comes_back_through_two_nats(void)
{
    g_auto(Lab) lab = {0};
    g_autoptr(PlDatagram) got = NULL;

    lab_init(&lab, HEAD HUB
             "[nat cgn]\noutside = internet\ninside = 100.64.0.0/24\nbehaviour = full-cone\n"
             "address = 203.0.113.30\n"
             "[nat home]\noutside = cgn.inside\ninside = 192.168.1.0/24\nbehaviour = full-cone\n"
             "[host alice]\nbehind = home\n");
    send_packet(&lab, "alice", 0, udp(INSIDE, H, 100));
    arrives_as(&lab, "hub", 0, "203.0.113.30:5000", H);
    send_packet(&lab, "hub", 1, udp(H, "203.0.113.30:5000", 100));
    got = receive(&lab, "alice", 1);
    g_assert_cmpuint(pl_passage_ttl(got), ==, 62); /* two routers */
    nothing_more(&lab);
}

/* "Fragmentation needed" from `source`, about the packet as who sent it knows it. */
static void assert_told(const PlDatagram *got, const char *source, const PlDatagram *sent)
{
    wire_assert(wire_source(got), source);
    g_assert_true(wire_is_right(got));
    g_assert_cmpuint(wire_protocol(got->bytes), ==, WIRE_ICMP);
    g_assert_cmpuint(got->bytes[20], ==, 3);
    g_assert_cmpuint(got->bytes[21], ==, 4);
    g_assert_cmpuint(wire_u16(got->bytes + 26), ==, 1000);
    g_assert_cmpuint(got->length, ==, 576);
    g_assert_true(memcmp(got->bytes + 28, sent->bytes, got->length - 28) == 0);
}

#define NARROW(side) HEAD HUB HOMES "[link home-a." side "]\nmtu = 1000\n"

/* Where what alice and the hub send each other does not fit on the NAT's other side. */
static const struct {
    const char *world, *label, *to_label, *from, *to, *own, *seen_from, *seen_to;
} narrow[] = {
    {NARROW("outside"), "alice", "hub", INSIDE, H, "192.168.1.1", A_MAPPED, H},
    {NARROW("inside"), "hub", "alice", H, A_MAPPED, "203.0.113.21", H, INSIDE},
};

/* RFC 4787 REQ-13: with the DF bit, on either side. */
static void req_13_a_nat_says_what_does_not_fit(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(narrow); i++) {
        g_auto(Lab) lab = {0};
        const Sent longer = whole(narrow[i].from, narrow[i].to, 1001);
        g_autoptr(PlDatagram) sent = packet(longer), got = NULL;

        lab_init(&lab, narrow[i].world);
        send_packet(&lab, "alice", 0, udp(INSIDE, H, 100));
        arrives(&lab, "hub", 0);
        send_packet(&lab, narrow[i].label, 1, longer);
        got = receive(&lab, narrow[i].label, 1);
        assert_told(got, narrow[i].own, sent);
        send_packet(&lab, narrow[i].label, 2, whole(narrow[i].from, narrow[i].to, 1000));
        arrives_as(&lab, narrow[i].to_label, 2, narrow[i].seen_from, narrow[i].seen_to);
        nothing_more(&lab);
    }
}

/* The same: without it. */
static void req_13_a_nat_divides_what_may_be_divided(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(narrow); i++) {
        const PhAddress from = wire_at(narrow[i].seen_from), to = wire_at(narrow[i].seen_to);
        g_auto(Lab) lab = {0};
        unsigned end = 0;

        lab_init(&lab, narrow[i].world);
        send_packet(&lab, "alice", 0, udp(INSIDE, H, 100));
        arrives(&lab, "hub", 0);
        send_packet(&lab, narrow[i].label, 1, udp(narrow[i].from, narrow[i].to, 1500));
        while (end < 1480) {
            g_autoptr(PlDatagram) got = receive(&lab, narrow[i].to_label, 1);
            PhAddress source = wire_source(got), destination = wire_destination(got);

            g_assert_cmpuint(got->length, <=, 1000);
            g_assert_cmpuint((wire_u16(got->bytes + 6) & 0x1fffu) * 8, ==, end);
            g_assert_true(ph_address_equal_host(&source, &from));
            g_assert_true(ph_address_equal_host(&destination, &to));
            end += (unsigned)got->length - 20;
            g_assert_cmpint(got->bytes[6] >> 5 & 1, ==, end < 1480);
        }
        nothing_more(&lab);
    }
}

/* hub ── internet ── wall ── dmz ── router ── deep ── erin */
#define ROUTED                                                                                     \
    HEAD HUB "[network dmz]\nsubnet = 198.51.100.0/25\n"                                           \
             "[network deep]\nsubnet = 198.51.100.128/25\n"                                        \
             "[nat wall]\noutside = internet\ninside = dmz\nbehaviour = firewall\n"                \
             "[host router]\non = dmz, deep\nroutes = yes\n"                                       \
             "addresses = 198.51.100.2, 198.51.100.129\n"                                          \
             "[host erin]\non = deep\naddress = 198.51.100.130\n"
#define E "198.51.100.130:6000"

static void a_firewall_leads_to_networks_behind_its_inside(void)
{
    g_auto(Lab) lab = {0};

    lab_init(&lab, ROUTED);
    send_packet(&lab, "hub", 0, udp(H, E, 100));
    nothing_more(&lab); /* nobody inside has asked */
    send_packet(&lab, "erin", 1, udp(E, H, 100));
    arrives_as(&lab, "router.deep", 1, E, H);
    send_packet(&lab, "router.dmz", 2, udp(E, H, 100));
    arrives_as(&lab, "hub", 2, E, H);
    send_packet(&lab, "hub", 3, udp(H, E, 100));
    arrives_as(&lab, "router.dmz", 3, H, E);
    send_packet(&lab, "router.deep", 4, udp(H, E, 100));
    arrives_as(&lab, "erin", 4, H, E);
    nothing_more(&lab);
}

static void presences_stand_on_both_sides_of_a_nat(void)
{
    g_auto(Lab) lab = {0};

    lab_init(&lab, HEAD HUB HOMES);
    send_packet(&lab, "@home-a.inside", 0, udp("192.168.1.253:9", "203.0.113.251:7", 100));
    arrives_as(&lab, "@internet", 0, "203.0.113.21:9", "203.0.113.251:7");
    send_packet(&lab, "@internet", 1, udp("203.0.113.251:7", "203.0.113.21:9", 100));
    arrives_as(&lab, "@home-a.inside", 1, "203.0.113.251:7", "192.168.1.253:9");
    /* The other address of the presence outside has not been asked. */
    send_packet(&lab, "@internet", 2, udp("203.0.113.252:7", "203.0.113.21:9", 100));
    nothing_more(&lab);
}

static void a_packet_is_turned_around(void)
{
    g_auto(Lab) lab = {0};

    lab_init(&lab, HEAD HUB
             "[nat home]\noutside = internet\ninside = 192.168.1.0/24\nbehaviour = full-cone\n"
             "hairpin = external-source\naddress = 203.0.113.21\n"
             "[host alice]\nbehind = home\n[host carol]\nbehind = home\n");
    send_packet(&lab, "alice", 0, udp(INSIDE, H, 100));
    arrives(&lab, "hub", 0);
    send_packet(&lab, "carol", 1, udp("192.168.1.3:7000", A_MAPPED, 100));
    arrives_as(&lab, "alice", 1, "203.0.113.21:7000", INSIDE);
    nothing_more(&lab);
}

static void what_expires_or_does_not_fit_makes_no_mapping(void)
{
    g_auto(Lab) lab = {0};

    lab_init(&lab, HEAD HUB HOMES "[link home-a.outside]\nmtu = 1000\n");
    send_packet(&lab, "alice", 0, aged(INSIDE, H, 1));
    arrives(&lab, "alice", 0);
    send_packet(&lab, "alice", 1, whole(INSIDE, H, 1001));
    arrives(&lab, "alice", 1);
    send_packet(&lab, "alice", 2, udp(INSIDE, "192.0.2.1:1", 100));
    arrives(&lab, "alice", 2);
    nothing_more(&lab);
    g_assert_cmpuint(nat_counters(&lab, "home-a")->mappings_made, ==, 0);
}

/* A traceroute: the error of a router outside finds its way to the host inside. */
static void errors_from_outside_are_translated(void)
{
    g_auto(Lab) lab = {0};
    g_autoptr(PlDatagram) got = NULL, sent = packet(aged(INSIDE, "198.51.100.2:1", 2));

    lab_init(&lab, ROUTED "[nat home-a]\noutside = internet\ninside = 192.168.1.0/24\n"
                          "behaviour = port-restricted\n[host alice]\nbehind = home-a\n");
    send_packet(&lab, "alice", 0, aged(INSIDE, "198.51.100.2:1", 2));
    got = receive(&lab, "alice", 0);
    g_assert_cmpuint(got->bytes[20], ==, 11);
    g_assert_true(memcmp(got->bytes + 28 + 12, sent->bytes + 12, 8) == 0); /* addresses */
    g_assert_true(memcmp(got->bytes + 28 + 20, sent->bytes + 20, 4) == 0); /* ports */
    nothing_more(&lab);
}

/* The second fragment comes first, and waits for the other. */
static void fragments_find_their_way_together(void)
{
    g_auto(Lab) lab = {0};
    g_autoptr(PlDatagram) sent = packet(udp(INSIDE, H, 1000));
    g_autoptr(PlDatagram) first = NULL, second = NULL;
    PlWorldPlace from;
    unsigned position = 0;

    lab_init(&lab, HEAD HUB HOMES);
    from = place(&lab, "alice");
    first = pl_passage_fragment(sent, 600, &position);
    second = pl_passage_fragment(sent, 600, &position);
    pl_world_send(lab.world, &from, second->bytes, second->length, 0);
    nothing_more(&lab);
    pl_world_send(lab.world, &from, first->bytes, first->length, 5);
    arrives(&lab, "hub", 5);
    arrives(&lab, "hub", 5);
    nothing_more(&lab);
}

static void steps_make_a_nat_forget(void)
{
    g_auto(Lab) lab = {0};
    const PlNode *home;
    PhAddress moved = wire_at("203.0.113.29");

    lab_init(&lab, HEAD HUB HOMES);
    home = pl_topology_node(lab.topology, "home-a");
    for (unsigned i = 0; i < 3; i++) {
        uint64_t now = i * S;

        send_packet(&lab, "alice", now, udp(INSIDE, H, 100));
        arrives_as(&lab, "hub", now, A_MAPPED, H);
        send_packet(&lab, "hub", now + 1, udp(H, A_MAPPED, 100));
        arrives(&lab, "alice", now + 1);
        if (i == 0)
            pl_world_nat_flush(lab.world, home, now + 2);
        else if (i == 1)
            pl_world_nat_reboot(lab.world, home, now + 2);
        else
            pl_world_nat_address(lab.world, home, &moved, now + 2);
        send_packet(&lab, "hub", now + 3, udp(H, A_MAPPED, 100));
        nothing_more(&lab);
    }
    send_packet(&lab, "alice", 9 * S, udp(INSIDE, H, 100));
    arrives_as(&lab, "hub", 9 * S, "203.0.113.29:5000", H);
}

#define CASE(name) g_test_add_func("/model/world/nat/" #name, name)

int main(int argc, char *argv[])
{
    g_test_init(&argc, &argv, NULL);
    CASE(two_homes_punch_holes);
    CASE(req_13_a_nat_says_what_does_not_fit);
    CASE(req_13_a_nat_divides_what_may_be_divided);
    CASE(an_answer_comes_back_through_two_nats);
    CASE(a_firewall_leads_to_networks_behind_its_inside);
    CASE(presences_stand_on_both_sides_of_a_nat);
    CASE(a_packet_is_turned_around);
    CASE(what_expires_or_does_not_fit_makes_no_mapping);
    CASE(errors_from_outside_are_translated);
    CASE(fragments_find_their_way_together);
    CASE(steps_make_a_nat_forget);
    return g_test_run();
}
