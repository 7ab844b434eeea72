/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The evidence checker, on captures that a small model NAT writes packet by packet. */
#include <string.h>

#include "capture/evidence.h"
#include "capture/packet.h"

#define MS G_GUINT64_CONSTANT(1000000)
#define S  (1000 * MS)

/* A capture being made: time goes on by 1 ms a packet, and as the test says. */
typedef struct Wire {
    GByteArray *bytes; /* of all frames; the capture's frames hold offsets until the end */
    GArray *frames;    /* PlFrame, data not set */
    GArray *offsets;   /* gsize */
    uint64_t now;
    unsigned payload; /* the next one */
} Wire;

enum { INSIDE, OUTSIDE, ELSEWHERE };

static void wire_clear(Wire *wire)
{
    g_byte_array_unref(wire->bytes);
    g_array_unref(wire->frames);
    g_array_unref(wire->offsets);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Wire, wire_clear)

static void wire_init(Wire *wire)
{
    *wire = (Wire){.bytes = g_byte_array_new(),
                   .frames = g_array_new(FALSE, FALSE, sizeof(PlFrame)),
                   .offsets = g_array_new(FALSE, FALSE, sizeof(gsize)),
                   .now = 1000 * S};
}

static PhAddress at(const char *text)
{
    PhAddress address;

    g_assert_true(ph_address_parse(text, &address));
    return address;
}

static void wire_frame(Wire *wire, unsigned interface, const uint8_t *data, gsize length)
{
    PlFrame frame = {.interface = interface,
                     .time_ns = wire->now,
                     .length = (uint32_t)length,
                     .original_length = (uint32_t)length};
    gsize offset = wire->bytes->len;

    g_byte_array_append(wire->bytes, data, (guint)length);
    g_array_append_val(wire->frames, frame);
    g_array_append_val(wire->offsets, offset);
    wire->now += MS;
}

static void put_u16(uint8_t *data, unsigned value)
{
    data[0] = (uint8_t)(value >> 8);
    data[1] = (uint8_t)value;
}

static void put_ip(uint8_t *ip, const PhAddress *source, const PhAddress *destination, int protocol,
                   gsize payload)
{
    ip[0] = 0x45;
    put_u16(ip + 2, (unsigned)(20 + payload));
    ip[6] = 0x40;
    ip[8] = 64;
    ip[9] = (uint8_t)protocol;
    memcpy(ip + 12, source->bytes, 4);
    memcpy(ip + 16, destination->bytes, 4);
}

static void put_udp(uint8_t *udp, const PhAddress *source, const PhAddress *destination, gsize rest)
{
    put_u16(udp, source->port);
    put_u16(udp + 2, destination->port);
    put_u16(udp + 4, (unsigned)(8 + rest));
}

/* A UDP packet with a payload of one number. */
static void udp(Wire *wire, unsigned interface, PhAddress source, PhAddress destination,
                unsigned payload)
{
    uint8_t frame[14 + 20 + 8 + 4] = {[12] = 0x08};

    put_ip(frame + 14, &source, &destination, 17, 12);
    put_udp(frame + 34, &source, &destination, 4);
    memcpy(frame + 42, &payload, 4);
    wire_frame(wire, interface, frame, sizeof(frame));
}

static void tcp_syn(Wire *wire, unsigned interface, PhAddress source, PhAddress destination)
{
    uint8_t frame[14 + 20 + 20] = {[12] = 0x08};

    put_ip(frame + 14, &source, &destination, 6, 20);
    put_u16(frame + 34, source.port);
    put_u16(frame + 36, destination.port);
    frame[46] = 0x50;
    frame[47] = 0x02;
    wire_frame(wire, interface, frame, sizeof(frame));
}

/* ICMP port unreachable for a UDP packet that `source` had sent to `destination`. */
static void unreachable(Wire *wire, PhAddress router, PhAddress source, PhAddress destination)
{
    uint8_t frame[14 + 20 + 8 + 28] = {[12] = 0x08};

    put_ip(frame + 14, &router, &source, 1, 36);
    frame[34] = 3;
    frame[35] = 3;
    put_ip(frame + 42, &source, &destination, 17, 12);
    put_udp(frame + 62, &source, &destination, 4);
    wire_frame(wire, OUTSIDE, frame, sizeof(frame));
}

/* Crossing packets: source inside, outside, destination. */
static void out(Wire *wire, PhAddress inside, PhAddress external, PhAddress remote)
{
    udp(wire, INSIDE, inside, remote, ++wire->payload);
    udp(wire, OUTSIDE, external, remote, wire->payload);
}

static void in(Wire *wire, PhAddress remote, PhAddress external, PhAddress inside)
{
    udp(wire, OUTSIDE, remote, external, ++wire->payload);
    udp(wire, INSIDE, remote, inside, wire->payload);
}

static void kept_out(Wire *wire, PhAddress remote, PhAddress external)
{
    udp(wire, OUTSIDE, remote, external, ++wire->payload);
}

static PlCapture *finish(Wire *wire)
{
    static const char *const names[] = {"home.inside", "home.outside", "hub"};
    PlCapture *capture = g_new0(PlCapture, 1);

    capture->bytes = g_bytes_new(wire->bytes->data, wire->bytes->len);
    capture->frames = g_array_new(FALSE, FALSE, sizeof(PlFrame));
    capture->interfaces = g_array_new(FALSE, FALSE, sizeof(PlCaptureInterface));
    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        PlCaptureInterface interface = {.name = g_strdup(names[i]), .link_type = 1};

        g_array_append_val(capture->interfaces, interface);
    }
    for (guint i = 0; i < wire->frames->len; i++) {
        PlFrame frame = g_array_index(wire->frames, PlFrame, i);

        frame.data = (const uint8_t *)g_bytes_get_data(capture->bytes, NULL) +
                     g_array_index(wire->offsets, gsize, i);
        g_array_append_val(capture->frames, frame);
    }
    return capture;
}

static void free_capture(PlCapture *capture)
{
    for (guint i = 0; i < capture->interfaces->len; i++)
        g_free(g_array_index(capture->interfaces, PlCaptureInterface, i).name);
    pl_capture_free(capture);
}

static void judge_as(Wire *wire, const char *host, const GArray *external, const char *inside,
                     const char *outside, PlFindings *ret_findings)
{
    PlCapture *capture = finish(wire);
    PhAddress address = host ? at(host) : (PhAddress){0};
    PlEvidenceQuery query = {
        .inside = inside, .outside = outside, .host = host ? &address : NULL, .external = external};
    g_autoptr(GError) error = NULL;
    gboolean judged = pl_evidence_judge(capture, &query, ret_findings, &error);

    g_assert_no_error(error);
    g_assert_true(judged);
    free_capture(capture);
}

static void judge(Wire *wire, const char *host, PlFindings *ret_findings)
{
    g_autoptr(GArray) external = g_array_new(FALSE, FALSE, sizeof(PhAddress));
    PhAddress address = at("203.0.113.1");

    g_array_append_val(external, address);
    judge_as(wire, host, external, "home.inside", "home.outside", ret_findings);
}

/* A NAT as the tests need it: what it does to a packet is one of the nine cells. */
typedef struct Nat {
    PlMapping mapping;
    PlFiltering filtering;
    unsigned seed;
} Nat;

#define A1 at("198.51.100.1:1000")
#define A2 at("198.51.100.1:2000")
#define B1 at("198.51.100.2:1000")
#define B2 at("198.51.100.2:2000")

static PhAddress external_of(const Nat *nat, PhAddress inside, PhAddress remote)
{
    unsigned key = inside.port * 7919u + inside.bytes[3] * 104729u + nat->seed;

    if (nat->mapping == PL_MAPPING_NONE)
        return inside;
    if (nat->mapping != PL_MAPPING_ENDPOINT_INDEPENDENT)
        key += remote.bytes[3] * 15485863u;
    if (nat->mapping == PL_MAPPING_ADDRESS_AND_PORT_DEPENDENT)
        key += remote.port * 32452843u;
    inside = at("203.0.113.1");
    inside.port = (uint16_t)(1024 + key % 64512);
    return inside;
}

/* Does what a prober does: the mapping of two sockets, the filtering of a third. */
static void probe(Wire *wire, const Nat *nat, const char *host)
{
    const PhAddress remotes[] = {A1, A2, B1, B2};
    PhAddress inside = at(host), external;

    for (unsigned socket = 0; socket < 3; socket++) {
        inside.port = (uint16_t)(5000 + 13 * socket);
        for (unsigned i = 0; i < G_N_ELEMENTS(remotes); i++)
            out(wire, inside, external_of(nat, inside, remotes[i]), remotes[i]);
    }
    inside.port = 6000;
    external = external_of(nat, inside, A1);
    out(wire, inside, external, A1);
    if (nat->filtering == PL_FILTERING_ENDPOINT_INDEPENDENT)
        in(wire, B2, external, inside);
    else
        kept_out(wire, B2, external);
    if (nat->filtering == PL_FILTERING_ADDRESS_AND_PORT_DEPENDENT)
        kept_out(wire, A2, external);
    else
        in(wire, A2, external, inside);
    in(wire, A1, external, inside);
}

static void assert_found(const PlFindings *findings, PlAxis axis, const char *expected)
{
    if (g_strcmp0(findings->value[axis], expected) != 0)
        g_error("%s: %s (%s), %s expected", pl_axis_name(axis), findings->value[axis],
                findings->why[axis], expected);
    g_assert_true(expected || findings->why[axis]);
}

static void test_every_cell_is_recognised(void)
{
    for (int mapping = 0; mapping < PL_MAPPING_N; mapping++) {
        for (int filtering = 0; filtering < PL_FILTERING_N; filtering++) {
            g_auto(Wire) wire;
            g_auto(PlFindings) findings = {0};
            Nat nat = {(PlMapping)mapping, (PlFiltering)filtering, 77};

            wire_init(&wire);
            probe(&wire, &nat, "192.168.1.2");
            judge(&wire, NULL, &findings);
            assert_found(&findings, PL_AXIS_MAPPING, pl_mapping_name((PlMapping)mapping));
            assert_found(&findings, PL_AXIS_FILTERING, pl_filtering_name((PlFiltering)filtering));
            assert_found(&findings, PL_AXIS_CLASS,
                         pl_class_name((PlMapping)mapping, (PlFiltering)filtering));
            assert_found(&findings, PL_AXIS_UDP, "yes");
            assert_found(&findings, PL_AXIS_EXTERNAL,
                         mapping == PL_MAPPING_NONE ? "192.168.1.2" : "203.0.113.1");
        }
    }
}

static void test_hosts_are_judged_one_by_one(void)
{
    g_auto(Wire) wire;
    g_auto(PlFindings) first = {0}, second = {0}, third = {0};
    Nat a = {PL_MAPPING_ENDPOINT_INDEPENDENT, PL_FILTERING_ENDPOINT_INDEPENDENT, 1};
    Nat b = {PL_MAPPING_ADDRESS_DEPENDENT, PL_FILTERING_ADDRESS_DEPENDENT, 2};

    wire_init(&wire);
    probe(&wire, &a, "192.168.1.2");
    probe(&wire, &b, "192.168.1.3");
    judge(&wire, "192.168.1.2", &first);
    judge(&wire, "192.168.1.3", &second);
    judge(&wire, "192.168.1.4", &third);
    assert_found(&first, PL_AXIS_CLASS, "full-cone");
    assert_found(&second, PL_AXIS_CLASS, "symmetric");
    assert_found(&second, PL_AXIS_FILTERING, "address-dependent");
    assert_found(&third, PL_AXIS_CLASS, NULL);
    assert_found(&third, PL_AXIS_UDP, NULL);
}

/* Two hosts on one inside port: one of them has to get another port. */
static void test_contended_ports_are_left_out_but_not_for_their_host(void)
{
    g_auto(Wire) wire;
    g_auto(PlFindings) nat = {0}, loser = {0};
    PhAddress alice = at("192.168.1.2:5000"), bob = at("192.168.1.3:5000");

    wire_init(&wire);
    out(&wire, alice, at("203.0.113.1:5000"), A1);
    out(&wire, bob, at("203.0.113.1:61000"), A1);
    out(&wire, bob, at("203.0.113.1:5000"), B1);
    judge(&wire, NULL, &nat);
    judge(&wire, "192.168.1.3", &loser);
    assert_found(&nat, PL_AXIS_MAPPING, NULL);
    g_assert_cmpstr(nat.why[PL_AXIS_MAPPING], ==, "every inside port was used by two hosts");
    assert_found(&loser, PL_AXIS_CLASS, "symmetric");
}

static void test_endpoints_that_disagree_are_mixed(void)
{
    g_auto(Wire) wire;
    g_auto(PlFindings) findings = {0};
    Nat ei = {PL_MAPPING_ENDPOINT_INDEPENDENT, PL_FILTERING_ENDPOINT_INDEPENDENT, 1};
    Nat apd = {PL_MAPPING_ADDRESS_AND_PORT_DEPENDENT, PL_FILTERING_ADDRESS_DEPENDENT, 2};

    wire_init(&wire);
    probe(&wire, &ei, "192.168.1.2");
    wire.now += 5 * S;
    for (unsigned i = 0; i < 3; i++) {
        PhAddress inside = at("192.168.1.2:7000");

        inside.port = (uint16_t)(inside.port + i);
        out(&wire, inside, external_of(&apd, inside, A1), A1);
        out(&wire, inside, external_of(&apd, inside, B1), B1);
    }
    judge(&wire, NULL, &findings);
    assert_found(&findings, PL_AXIS_MAPPING, NULL);
    g_assert_true(g_str_has_prefix(findings.why[PL_AXIS_MAPPING], "mixed"));
    assert_found(&findings, PL_AXIS_CLASS, NULL);
}

/* The same packets: to the NAT's judge a contradiction, to one host its lot. */
static void test_a_host_is_as_dependent_as_its_most_dependent_endpoint(void)
{
    g_auto(Wire) wire;
    g_auto(PlFindings) nat = {0}, bob = {0};
    Nat ei = {PL_MAPPING_ENDPOINT_INDEPENDENT, PL_FILTERING_ENDPOINT_INDEPENDENT, 1};
    PhAddress inside = at("192.168.1.3:9000");

    wire_init(&wire);
    probe(&wire, &ei, "192.168.1.3");
    out(&wire, inside, at("203.0.113.1:61000"), A1);
    out(&wire, inside, at("203.0.113.1:62000"), A2);
    judge(&wire, NULL, &nat);
    judge(&wire, "192.168.1.3", &bob);
    assert_found(&nat, PL_AXIS_MAPPING, NULL);
    assert_found(&bob, PL_AXIS_MAPPING, "address-and-port-dependent");
}

static void test_one_equal_port_among_many_is_chance(void)
{
    g_auto(Wire) wire;
    g_auto(PlFindings) findings = {0};
    Nat nat = {PL_MAPPING_ADDRESS_AND_PORT_DEPENDENT, PL_FILTERING_ADDRESS_AND_PORT_DEPENDENT, 3};
    PhAddress inside = at("192.168.1.2:9000");

    wire_init(&wire);
    probe(&wire, &nat, "192.168.1.2");
    out(&wire, inside, at("203.0.113.1:40000"), A1);
    out(&wire, inside, at("203.0.113.1:40000"), A2);
    judge(&wire, NULL, &findings);
    assert_found(&findings, PL_AXIS_MAPPING, "address-and-port-dependent");
}

/* After a timeout the same socket gets another port: that says nothing of destinations. */
static void test_a_mapping_that_expired_is_not_compared(void)
{
    g_auto(Wire) wire;
    g_auto(PlFindings) findings = {0};
    PhAddress inside = at("192.168.1.2:5000");

    wire_init(&wire);
    out(&wire, inside, at("203.0.113.1:40000"), A1);
    wire.now += 10 * S;
    out(&wire, inside, at("203.0.113.1:50000"), B1);
    judge(&wire, NULL, &findings);
    assert_found(&findings, PL_AXIS_MAPPING, NULL);
}

static void test_an_early_packet_counts_as_poison_not_as_mapping(void)
{
    g_auto(Wire) wire;
    g_auto(PlFindings) findings = {0};
    Nat nat = {PL_MAPPING_ENDPOINT_INDEPENDENT, PL_FILTERING_ADDRESS_AND_PORT_DEPENDENT, 4};
    PhAddress inside = at("192.168.1.2:9000"), external = external_of(&nat, inside, A1);

    wire_init(&wire);
    probe(&wire, &nat, "192.168.1.2");
    out(&wire, inside, external, A1);
    kept_out(&wire, B1, external);
    unreachable(&wire, at("203.0.113.1"), B1, external);
    out(&wire, inside, at("203.0.113.1:33333"), B1);
    out(&wire, inside, external, A1);
    judge(&wire, NULL, &findings);
    assert_found(&findings, PL_AXIS_MAPPING, "endpoint-independent");
    assert_found(&findings, PL_AXIS_UNSOLICITED, "accept");
    assert_found(&findings, PL_AXIS_CLASS, "port-restricted");
}

/* With a dependent mapping another port is what was to be expected. */
static void test_a_symmetric_nat_is_not_poisoned(void)
{
    g_auto(Wire) wire;
    g_auto(PlFindings) findings = {0};
    Nat nat = {PL_MAPPING_ADDRESS_AND_PORT_DEPENDENT, PL_FILTERING_ADDRESS_AND_PORT_DEPENDENT, 4};
    PhAddress inside = at("192.168.1.2:9000"), external = external_of(&nat, inside, A1);

    wire_init(&wire);
    probe(&wire, &nat, "192.168.1.2");
    kept_out(&wire, B1, at("203.0.113.1:9"));
    out(&wire, inside, external, A1);
    kept_out(&wire, B1, external);
    out(&wire, inside, external_of(&nat, inside, B1), B1);
    judge(&wire, NULL, &findings);
    assert_found(&findings, PL_AXIS_MAPPING, "address-and-port-dependent");
    assert_found(&findings, PL_AXIS_UNSOLICITED, "drop");
}

static void test_a_preserved_port_spoiled_beforehand_is_poison(void)
{
    g_auto(Wire) wire;
    g_auto(PlFindings) findings = {0};
    PhAddress inside = at("192.168.1.2:5000"), external = at("203.0.113.1:5000");

    wire_init(&wire);
    for (unsigned i = 0; i < 6; i++) {
        inside.port = external.port = (uint16_t)(5000 + 3 * i);
        out(&wire, inside, external, A1);
    }
    kept_out(&wire, B1, at("203.0.113.1:7000"));
    inside.port = 7000;
    out(&wire, inside, at("203.0.113.1:12345"), B1);
    judge(&wire, NULL, &findings);
    assert_found(&findings, PL_AXIS_PORT_ALLOCATION, "preserve");
    assert_found(&findings, PL_AXIS_UNSOLICITED, "accept");
}

static void test_unsolicited_packets_are_dropped_or_rejected(void)
{
    for (int reject = 0; reject < 2; reject++) {
        g_auto(Wire) wire;
        g_auto(PlFindings) findings = {0};

        wire_init(&wire);
        out(&wire, at("192.168.1.2:5000"), at("203.0.113.1:5000"), A1);
        kept_out(&wire, B1, at("203.0.113.1:6000"));
        if (reject)
            unreachable(&wire, at("203.0.113.1"), B1, at("203.0.113.1:6000"));
        judge(&wire, NULL, &findings);
        assert_found(&findings, PL_AXIS_UNSOLICITED, reject ? "reject" : "drop");
    }
}

static void test_forwarded_and_filtered_packets_are_not_unsolicited(void)
{
    g_auto(Wire) wire;
    g_auto(PlFindings) findings = {0};
    PhAddress external = at("203.0.113.1:5000");

    wire_init(&wire);
    in(&wire, B1, at("203.0.113.1:80"), at("192.168.1.2:80"));
    out(&wire, at("192.168.1.2:5000"), external, A1);
    kept_out(&wire, B1, external);
    in(&wire, A1, external, at("192.168.1.2:5000"));
    judge(&wire, NULL, &findings);
    assert_found(&findings, PL_AXIS_UNSOLICITED, NULL);
}

/* A forwarded port lets everybody in, whatever the filtering. */
static void test_a_forward_is_no_filtering(void)
{
    g_auto(Wire) wire;
    g_auto(PlFindings) findings = {0};
    PhAddress inside = at("192.168.1.2:80"), external = at("203.0.113.1:80");
    Nat nat = {PL_MAPPING_ENDPOINT_INDEPENDENT, PL_FILTERING_ADDRESS_DEPENDENT, 4};

    wire_init(&wire);
    in(&wire, B1, external, inside);
    out(&wire, inside, external, A1);
    in(&wire, B2, external, inside);
    probe(&wire, &nat, "192.168.1.2");
    judge(&wire, NULL, &findings);
    assert_found(&findings, PL_AXIS_FILTERING, "address-dependent");
}

static void test_silence_without_a_control_is_no_evidence(void)
{
    g_auto(Wire) wire;
    g_auto(PlFindings) findings = {0};
    PhAddress inside = at("192.168.1.2:5000"), external = at("203.0.113.1:5000");

    wire_init(&wire);
    out(&wire, inside, external, A1);
    kept_out(&wire, B1, external);
    kept_out(&wire, A2, external);
    judge(&wire, NULL, &findings);
    assert_found(&findings, PL_AXIS_FILTERING, NULL);
}

/* What comes long after the last packet may have met a mapping that is gone. */
static void test_silence_after_a_pause_is_no_evidence(void)
{
    g_auto(Wire) wire;
    g_auto(PlFindings) findings = {0};
    PhAddress inside = at("192.168.1.2:5000"), external = at("203.0.113.1:5000");

    wire_init(&wire);
    out(&wire, inside, external, A1);
    in(&wire, A1, external, inside);
    wire.now += 3 * S;
    kept_out(&wire, B1, external);
    kept_out(&wire, A2, external);
    out(&wire, inside, external, A1);
    in(&wire, A1, external, inside);
    judge(&wire, NULL, &findings);
    assert_found(&findings, PL_AXIS_FILTERING, NULL);
}

/* The same bytes, first kept out, then, after the hole was punched, let in. */
static void test_a_retransmission_is_paired_with_the_copy_that_crossed(void)
{
    g_auto(Wire) wire;
    g_auto(PlFindings) findings = {0};
    PhAddress inside = at("192.168.1.2:5000"), external = at("203.0.113.1:5000");

    wire_init(&wire);
    out(&wire, inside, external, A1);
    udp(&wire, OUTSIDE, B1, external, 999);
    wire.now += 300 * MS;
    out(&wire, inside, external, B1);
    udp(&wire, OUTSIDE, B1, external, 999);
    udp(&wire, INSIDE, B1, inside, 999);
    in(&wire, A1, external, inside);
    judge(&wire, NULL, &findings);
    assert_found(&findings, PL_AXIS_FILTERING, NULL);
    g_assert_cmpstr(findings.why[PL_AXIS_FILTERING], ==,
                    "no packet came from another port of a contacted address, or from elsewhere");
}

/* Two hosts send the same bytes to the same place at the same time. */
static void test_equal_packets_of_two_hosts_are_no_evidence(void)
{
    g_auto(Wire) wire;
    g_auto(PlFindings) findings = {0};
    const PhAddress remotes[] = {A1, B1};

    wire_init(&wire);
    for (unsigned i = 0; i < G_N_ELEMENTS(remotes); i++) {
        udp(&wire, INSIDE, at("192.168.1.2:5000"), remotes[i], 7);
        udp(&wire, INSIDE, at("192.168.1.3:5001"), remotes[i], 7);
        /* Overtaken, and in order: guessing would find two dependent mappings. */
        udp(&wire, OUTSIDE, at(i ? "203.0.113.1:40000" : "203.0.113.1:41000"), remotes[i], 7);
        udp(&wire, OUTSIDE, at(i ? "203.0.113.1:41000" : "203.0.113.1:40000"), remotes[i], 7);
    }
    judge(&wire, NULL, &findings);
    assert_found(&findings, PL_AXIS_MAPPING, NULL);
}

static void test_equal_packets_are_told_apart_by_what_is_known(void)
{
    g_auto(Wire) wire;
    g_auto(PlFindings) findings = {0};
    PhAddress alice = at("192.168.1.2:5000"), bob = at("192.168.1.3:5001");

    wire_init(&wire);
    out(&wire, alice, at("203.0.113.1:40000"), A1);
    out(&wire, bob, at("203.0.113.1:41000"), A1);
    udp(&wire, INSIDE, alice, B1, 7);
    udp(&wire, INSIDE, bob, B1, 7);
    udp(&wire, OUTSIDE, at("203.0.113.1:40000"), B1, 7);
    udp(&wire, OUTSIDE, at("203.0.113.1:41000"), B1, 7);
    judge(&wire, NULL, &findings);
    assert_found(&findings, PL_AXIS_MAPPING, "endpoint-independent");
}

static void test_ports_are_allocated_in_four_ways(void)
{
    for (int word = 0; word < PL_PORT_ALLOCATION_N; word++) {
        g_auto(Wire) wire;
        g_auto(PlFindings) findings = {0}, few = {0};

        wire_init(&wire);
        for (unsigned i = 0; i < 10; i++) {
            const unsigned ports[PL_PORT_ALLOCATION_N] = {
                5000 + 17 * i, 40000 + i, 1024 + i * 26041 % 64512, 2048 + i * 601 % 1024};
            PhAddress inside = at("192.168.1.2:5000"), external = at("203.0.113.1");

            inside.port = (uint16_t)(5000 + 17 * i);
            external.port = (uint16_t)ports[word];
            out(&wire, inside, external, A1);
            if (i == 2)
                judge(&wire, NULL, &few);
        }
        judge(&wire, NULL, &findings);
        assert_found(&findings, PL_AXIS_PORT_ALLOCATION,
                     pl_port_allocation_name((PlPortAllocation)word));
        assert_found(&few, PL_AXIS_PORT_ALLOCATION, NULL);
    }
}

static void test_every_subscriber_has_a_block_of_its_own(void)
{
    g_auto(Wire) wire;
    g_auto(PlFindings) findings = {0};

    wire_init(&wire);
    for (unsigned i = 0; i < 16; i++) {
        PhAddress inside = at(i % 2 ? "100.64.0.2" : "100.64.0.3"), external = at("203.0.113.1");

        inside.port = (uint16_t)(5000 + 17 * i);
        external.port = (uint16_t)((i % 2 ? 2048 : 50000) + i * 39 % 64);
        out(&wire, inside, external, A1);
    }
    judge(&wire, NULL, &findings);
    assert_found(&findings, PL_AXIS_PORT_ALLOCATION, "block");
}

static void test_pooling_is_paired_or_arbitrary(void)
{
    for (int arbitrary = 0; arbitrary < 2; arbitrary++) {
        g_auto(Wire) wire;
        g_auto(PlFindings) findings = {0};
        g_autoptr(GArray) pool = g_array_new(FALSE, FALSE, sizeof(PhAddress));
        const char *const addresses[] = {"203.0.113.2", "203.0.113.1"};

        wire_init(&wire);
        for (unsigned i = 0; i < 2; i++) {
            PhAddress address = at(addresses[i]);

            g_array_append_val(pool, address);
        }
        for (unsigned i = 0; i < 20; i++) {
            PhAddress inside = at(i % 2 ? "192.168.1.2" : "192.168.1.3");
            PhAddress external = at(addresses[(arbitrary ? i / 2 : i) % 2]);

            inside.port = external.port = (uint16_t)(5000 + i);
            out(&wire, inside, external, A1);
        }
        judge_as(&wire, NULL, pool, "home.inside", "home.outside", &findings);
        assert_found(&findings, PL_AXIS_POOLING, arbitrary ? "arbitrary" : "paired");
        g_assert_true(pl_axis_agrees(PL_AXIS_EXTERNAL, "203.0.113.1, 203.0.113.2",
                                     findings.value[PL_AXIS_EXTERNAL]));
    }
}

static void test_hairpin_has_three_forms(void)
{
    for (int word = 0; word < PL_HAIRPIN_N; word++) {
        g_auto(Wire) wire;
        g_auto(PlFindings) findings = {0};
        PhAddress alice = at("192.168.1.2:5000"), bob = at("192.168.1.3:5001");
        PhAddress alice_out = at("203.0.113.1:5000"), bob_out = at("203.0.113.1:5001");

        wire_init(&wire);
        out(&wire, alice, alice_out, A1);
        out(&wire, bob, bob_out, A1);
        udp(&wire, INSIDE, alice, bob_out, 7);
        if (word != PL_HAIRPIN_NONE)
            udp(&wire, INSIDE, word == PL_HAIRPIN_INTERNAL_SOURCE ? alice : alice_out, bob, 7);
        judge(&wire, NULL, &findings);
        assert_found(&findings, PL_AXIS_HAIRPIN, pl_hairpin_name((PlHairpin)word));
    }
}

static void test_hairpin_is_unknown_without_a_mapped_target(void)
{
    g_auto(Wire) wire;
    g_auto(PlFindings) findings = {0};

    wire_init(&wire);
    out(&wire, at("192.168.1.2:5000"), at("203.0.113.1:5000"), A1);
    udp(&wire, INSIDE, at("192.168.1.2:5000"), at("203.0.113.1:9999"), 7);
    judge(&wire, NULL, &findings);
    assert_found(&findings, PL_AXIS_HAIRPIN, NULL);
}

static void test_udp_is_blocked_only_where_tcp_crosses(void)
{
    for (int tcp = 0; tcp < 2; tcp++) {
        g_auto(Wire) wire;
        g_auto(PlFindings) findings = {0};

        wire_init(&wire);
        udp(&wire, INSIDE, at("192.168.1.2:5000"), A1, 1);
        if (tcp) {
            tcp_syn(&wire, INSIDE, at("192.168.1.2:4000"), A1);
            tcp_syn(&wire, OUTSIDE, at("203.0.113.1:4000"), A1);
        }
        judge(&wire, "192.168.1.2", &findings);
        assert_found(&findings, PL_AXIS_UDP, tcp ? "blocked" : NULL);
        assert_found(&findings, PL_AXIS_CLASS, tcp ? "udp-blocked" : NULL);
    }
}

static void test_a_host_with_nothing_before_it_is_direct(void)
{
    g_auto(Wire) wire;
    g_auto(PlFindings) findings = {0}, closed = {0};
    PhAddress hub = at("198.51.100.9:3478");

    wire_init(&wire);
    udp(&wire, ELSEWHERE, hub, A1, 1);
    udp(&wire, ELSEWHERE, A1, hub, 2);
    judge_as(&wire, "198.51.100.9", NULL, "hub", "hub", &closed);
    udp(&wire, ELSEWHERE, B1, hub, 3);
    judge_as(&wire, "198.51.100.9", NULL, "hub", "hub", &findings);
    assert_found(&closed, PL_AXIS_MAPPING, "none");
    assert_found(&closed, PL_AXIS_FILTERING, NULL);
    assert_found(&findings, PL_AXIS_CLASS, "direct");
    assert_found(&findings, PL_AXIS_EXTERNAL, "198.51.100.9");
}

static void test_a_missing_interface_is_an_error(void)
{
    g_auto(Wire) wire;
    g_auto(PlFindings) findings = {0};
    g_autoptr(GError) error = NULL;
    PlEvidenceQuery query = {.inside = "home.inside", .outside = "nowhere"};
    PlCapture *capture;

    wire_init(&wire);
    capture = finish(&wire);
    g_assert_false(pl_evidence_judge(capture, &query, &findings, &error));
    g_assert_error(error, PL_ERROR, PL_ERROR_INPUT);
    free_capture(capture);
}

/* Every truncation, and every byte of the headers turned, of packets that matter. */
static void test_hostile_packets_are_survived(void)
{
    g_auto(Wire) good;
    gsize n;

    wire_init(&good);
    out(&good, at("192.168.1.2:5000"), at("203.0.113.1:5000"), A1);
    tcp_syn(&good, INSIDE, at("192.168.1.2:4000"), A1);
    unreachable(&good, at("203.0.113.1"), B1, at("203.0.113.1:6000"));
    n = good.frames->len;
    for (gsize i = 0; i < n; i++) {
        const PlFrame *frame = &g_array_index(good.frames, PlFrame, i);

        for (gsize length = 0; length <= frame->length; length++) {
            g_autofree uint8_t *exact = g_memdup2(
                good.bytes->data + g_array_index(good.offsets, gsize, i), length ? length : 1);
            PlPacket packet;

            pl_packet_decode(exact, length, &packet);
            for (gsize byte = 0; byte < length; byte++) {
                uint8_t kept = exact[byte];

                for (unsigned bit = 0; bit < 8; bit++) {
                    exact[byte] = (uint8_t)(kept ^ 1u << bit);
                    if (pl_packet_decode(exact, length, &packet) && packet.mark_length)
                        g_assert_true(packet.mark >= exact &&
                                      packet.mark + packet.mark_length <= exact + length);
                }
                exact[byte] = kept;
            }
        }
    }
}

static void test_later_fragments_are_passed_over(void)
{
    uint8_t frame[14 + 20 + 16] = {[12] = 0x08};
    PhAddress source = at("192.168.1.2:5000"), destination = A1;
    PlPacket packet;

    put_ip(frame + 14, &source, &destination, 17, 16);
    put_udp(frame + 34, &source, &destination, 1000); /* the datagram's, not the fragment's */
    frame[14 + 6] = 0x20;                             /* more fragments follow */
    g_assert_true(pl_packet_decode(frame, sizeof(frame), &packet));
    g_assert_cmpuint(packet.mark_length, ==, 8);
    frame[14 + 7] = 1; /* at offset 8 */
    g_assert_false(pl_packet_decode(frame, sizeof(frame), &packet));
}

/* Equal packets by the ten thousands, many destinations, many ports: no square of anything. */
static void test_a_large_capture_is_judged_at_once(void)
{
    g_auto(Wire) wire;
    g_auto(PlFindings) findings = {0};
    PhAddress inside = at("192.168.1.2:5000"), external = at("203.0.113.1:5000"), remote = A1;
    gint64 start;

    wire_init(&wire);
    for (unsigned i = 0; i < 10000; i++) {
        udp(&wire, INSIDE, inside, A1, 7);
        wire.now -= MS;
        udp(&wire, OUTSIDE, B1, external, 8);
        wire.now -= MS;
    }
    for (unsigned i = 0; i < 10000; i++) {
        udp(&wire, OUTSIDE, external, A1, 7);
        wire.now -= MS;
    }
    for (unsigned i = 0; i < 35000; i++) {
        remote.port = (uint16_t)(i % 60000 + 1);
        inside.port = external.port = (uint16_t)(i % 50000 + 1);
        out(&wire, inside, external, remote);
    }
    start = g_get_monotonic_time();
    judge(&wire, NULL, &findings);
    g_test_message("%u packets in %.3f s", wire.frames->len,
                   (double)(g_get_monotonic_time() - start) / 1e6);
    /* Far more than it takes, far less than a square would. */
    g_assert_cmpint(g_get_monotonic_time() - start, <, 5 * G_USEC_PER_SEC);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define TEST(name) g_test_add_func("/evidence/" #name, test_##name)
    TEST(every_cell_is_recognised);
    TEST(hosts_are_judged_one_by_one);
    TEST(contended_ports_are_left_out_but_not_for_their_host);
    TEST(endpoints_that_disagree_are_mixed);
    TEST(a_host_is_as_dependent_as_its_most_dependent_endpoint);
    TEST(one_equal_port_among_many_is_chance);
    TEST(a_mapping_that_expired_is_not_compared);
    TEST(an_early_packet_counts_as_poison_not_as_mapping);
    TEST(a_symmetric_nat_is_not_poisoned);
    TEST(a_preserved_port_spoiled_beforehand_is_poison);
    TEST(unsolicited_packets_are_dropped_or_rejected);
    TEST(forwarded_and_filtered_packets_are_not_unsolicited);
    TEST(a_forward_is_no_filtering);
    TEST(silence_without_a_control_is_no_evidence);
    TEST(silence_after_a_pause_is_no_evidence);
    TEST(a_retransmission_is_paired_with_the_copy_that_crossed);
    TEST(equal_packets_of_two_hosts_are_no_evidence);
    TEST(equal_packets_are_told_apart_by_what_is_known);
    TEST(ports_are_allocated_in_four_ways);
    TEST(every_subscriber_has_a_block_of_its_own);
    TEST(pooling_is_paired_or_arbitrary);
    TEST(hairpin_has_three_forms);
    TEST(hairpin_is_unknown_without_a_mapped_target);
    TEST(udp_is_blocked_only_where_tcp_crosses);
    TEST(a_host_with_nothing_before_it_is_direct);
    TEST(a_missing_interface_is_an_error);
    TEST(hostile_packets_are_survived);
    TEST(later_fragments_are_passed_over);
    TEST(a_large_capture_is_judged_at_once);
    return g_test_run();
}
