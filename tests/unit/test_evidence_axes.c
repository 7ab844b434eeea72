/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Evidence: allocation, pooling, hairpin and the rest; hostile and large captures. */
#include <time.h>

#include "evidence_wire.h"

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

/* Behind a carrier's NAT, seen from one home: what others there get, and refuse themselves, is not
 * the NAT's doing. */
static void test_what_becomes_of_others_packets_is_no_evidence(void)
{
    for (int refused = 0; refused < 2; refused++) {
        g_auto(Wire) wire;
        g_auto(PlFindings) findings = {0};
        PhAddress carols = at("203.0.113.1:6000");

        wire_init(&wire);
        out(&wire, at("192.168.1.2:5000"), at("203.0.113.1:5000"), A1);
        out(&wire, at("192.168.1.2:5000"), at("203.0.113.1:5000"), B1);
        udp(&wire, OUTSIDE, carols, A1, 1001);
        udp(&wire, OUTSIDE, A2, carols, 1002);
        if (refused)
            unreachable(&wire, at("203.0.113.1"), A2, carols, 3);
        else
            udp(&wire, OUTSIDE, carols, A2, 1003);
        judge(&wire, "192.168.1.2", &findings);
        assert_found(&findings, PL_AXIS_MAPPING, "endpoint-independent");
        assert_found(&findings, PL_AXIS_UNSOLICITED, NULL);
        g_assert_cmpstr(findings.why[PL_AXIS_UNSOLICITED], ==,
                        "no packet came to an endpoint without a mapping");
    }
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
    unreachable(&good, at("203.0.113.1"), B1, at("203.0.113.1:6000"), 3);
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

/* Equal packets by the thousands, many destinations, many ports: what it takes to judge them, in
 * processor time. */
static double seconds_to_judge(unsigned n)
{
    g_auto(Wire) wire;
    g_auto(PlFindings) findings = {0};
    PhAddress inside = at("192.168.1.2:5000"), external = at("203.0.113.1:5000"), remote = A1;
    clock_t start;

    wire_init(&wire);
    for (unsigned i = 0; i < n; i++) {
        udp(&wire, INSIDE, inside, A1, 7);
        wire.now -= MS;
        udp(&wire, OUTSIDE, B1, external, 8);
        wire.now -= MS;
    }
    for (unsigned i = 0; i < n; i++) {
        udp(&wire, OUTSIDE, external, A1, 7);
        wire.now -= MS;
    }
    for (unsigned i = 0; i < 7 * n / 2; i++) {
        remote.port = (uint16_t)(i % 60000 + 1);
        inside.port = external.port = (uint16_t)(i % 50000 + 1);
        out(&wire, inside, external, remote);
    }
    start = clock();
    judge(&wire, NULL, &findings);
    g_test_message("%u packets in %.3f s", wire.frames->len,
                   (double)(clock() - start) / CLOCKS_PER_SEC);
    return (double)(clock() - start) / CLOCKS_PER_SEC;
}

/* Eight times as many: a square of anything would take sixty-four times as long. */
static void test_a_large_capture_is_judged_at_once(void)
{
    double few = seconds_to_judge(1250), many = seconds_to_judge(10000);

    g_assert_cmpfloat(many, <, 32 * few);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define TEST(name) g_test_add_func("/evidence/" #name, test_##name)
    TEST(ports_are_allocated_in_four_ways);
    TEST(every_subscriber_has_a_block_of_its_own);
    TEST(pooling_is_paired_or_arbitrary);
    TEST(hairpin_has_three_forms);
    TEST(hairpin_is_unknown_without_a_mapped_target);
    TEST(what_becomes_of_others_packets_is_no_evidence);
    TEST(udp_is_blocked_only_where_tcp_crosses);
    TEST(a_host_with_nothing_before_it_is_direct);
    TEST(a_missing_interface_is_an_error);
    TEST(hostile_packets_are_survived);
    TEST(later_fragments_are_passed_over);
    TEST(a_large_capture_is_judged_at_once);
    return g_test_run();
}
