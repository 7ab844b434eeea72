/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Evidence: mapping and filtering from packets, and what is no evidence. */
#include "evidence_wire.h"

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

/* What bob gets in the place of a port that he cannot keep is any: it may be the one that alice
 * uses next. */
static void test_a_port_that_is_taken_by_chance_says_nothing(void)
{
    g_auto(Wire) wire;
    g_auto(PlFindings) nat = {0}, alice = {0}, bob = {0};
    PhAddress first = at("192.168.1.2:5000"), second = at("192.168.1.2:21003");
    PhAddress third = at("192.168.1.2:7000");
    PhAddress his = at("192.168.1.3:5000");

    wire_init(&wire);
    out(&wire, first, at("203.0.113.1:5000"), A1);
    out(&wire, first, at("203.0.113.1:5000"), B1);
    out(&wire, his, at("203.0.113.1:21003"), A1);
    out(&wire, his, at("203.0.113.1:34813"), B1);
    out(&wire, second, at("203.0.113.1:15447"), A1);
    out(&wire, second, at("203.0.113.1:21003"), B1);
    out(&wire, third, at("203.0.113.1:7000"), A1);
    out(&wire, third, at("203.0.113.1:7000"), B1);
    judge(&wire, NULL, &nat);
    judge(&wire, "192.168.1.2", &alice);
    judge(&wire, "192.168.1.3", &bob);
    assert_found(&nat, PL_AXIS_MAPPING, "endpoint-independent");
    assert_found(&alice, PL_AXIS_MAPPING, "endpoint-independent");
    assert_found(&bob, PL_AXIS_CLASS, "symmetric");
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

/* Another port in between says nothing of a NAT that was made to forget. */
static void test_what_was_forgotten_is_not_compared(void)
{
    static const struct {
        int64_t at; /* of the forgetting, less the time of the second packet */
        const char *found;
    } cases[] = {{0, "endpoint-independent"},
                 {-(int64_t)S / 10, "endpoint-independent"},
                 {-(int64_t)(3 * S), NULL}};

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(Wire) wire;
        g_auto(PlFindings) found = {0};
        g_autoptr(GArray) forgot = g_array_new(FALSE, FALSE, sizeof(uint64_t));
        g_autoptr(GError) error = NULL;
        PhAddress inside = at("192.168.1.2:7000");
        PlEvidenceQuery query = {.inside = "home.inside", .outside = "home.outside"};
        PlCapture *capture;
        uint64_t time;

        wire_init(&wire);
        out(&wire, inside, at("203.0.113.1:61000"), A1);
        out(&wire, inside, at("203.0.113.1:61000"), B1);
        wire.now += S / 2;
        out(&wire, inside, at("203.0.113.1:62000"), A2);
        out(&wire, inside, at("203.0.113.1:62000"), B2);
        time = (uint64_t)((int64_t)wire.now + cases[i].at);
        g_array_append_val(forgot, time);
        query.forgot = forgot;
        capture = finish(&wire);
        g_assert_true(pl_evidence_judge(capture, &query, &found, &error));
        free_capture(capture);
        if (cases[i].found)
            assert_found(&found, PL_AXIS_MAPPING, cases[i].found);
        else
            g_assert_cmpstr(found.value[PL_AXIS_MAPPING], !=, "endpoint-independent");
    }
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
    unreachable(&wire, at("203.0.113.1"), B1, external, 3);
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
    /* Nor does it show that it drops: no mapping there would have been spoiled. */
    assert_found(&findings, PL_AXIS_UNSOLICITED, NULL);
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

static void test_silence_is_no_evidence_and_a_rejection_is(void)
{
    /* Code 1 says that a host is not there: nobody has refused anything. */
    static const struct {
        uint8_t code;
        const char *found;
    } cases[] = {{0xff, NULL}, {1, NULL}, {3, "reject"}, {13, "reject"}};

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(Wire) wire;
        g_auto(PlFindings) findings = {0};

        wire_init(&wire);
        out(&wire, at("192.168.1.2:5000"), at("203.0.113.1:5000"), A1);
        kept_out(&wire, B1, at("203.0.113.1:6000"));
        if (cases[i].code != 0xff)
            unreachable(&wire, at("203.0.113.1"), B1, at("203.0.113.1:6000"), cases[i].code);
        judge(&wire, NULL, &findings);
        assert_found(&findings, PL_AXIS_UNSOLICITED, cases[i].found);
    }
}

/* Who contacts the stranger afterwards, from the very endpoint that it had sent to. */
static void test_a_mapping_that_is_not_spoiled_shows_drop(void)
{
    for (int late = 0; late < 2; late++) {
        g_auto(Wire) wire;
        g_auto(PlFindings) findings = {0};
        PhAddress inside = at("192.168.1.2:6000"), external = at("203.0.113.1:6000");

        wire_init(&wire);
        out(&wire, at("192.168.1.2:5000"), at("203.0.113.1:5000"), A1);
        out(&wire, at("192.168.1.2:5000"), at("203.0.113.1:5000"), B1);
        kept_out(&wire, B1, external);
        wire.now += late ? 40 * S : 0;
        out(&wire, inside, external, B1);
        judge(&wire, NULL, &findings);
        assert_found(&findings, PL_AXIS_UNSOLICITED, late ? NULL : "drop");
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

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define TEST(name) g_test_add_func("/evidence/" #name, test_##name)
    TEST(every_cell_is_recognised);
    TEST(hosts_are_judged_one_by_one);
    TEST(contended_ports_are_left_out_but_not_for_their_host);
    TEST(a_port_that_is_taken_by_chance_says_nothing);
    TEST(endpoints_that_disagree_are_mixed);
    TEST(what_was_forgotten_is_not_compared);
    TEST(a_host_is_as_dependent_as_its_most_dependent_endpoint);
    TEST(one_equal_port_among_many_is_chance);
    TEST(a_mapping_that_expired_is_not_compared);
    TEST(an_early_packet_counts_as_poison_not_as_mapping);
    TEST(a_symmetric_nat_is_not_poisoned);
    TEST(a_preserved_port_spoiled_beforehand_is_poison);
    TEST(silence_is_no_evidence_and_a_rejection_is);
    TEST(a_mapping_that_is_not_spoiled_shows_drop);
    TEST(forwarded_and_filtered_packets_are_not_unsolicited);
    TEST(a_forward_is_no_filtering);
    TEST(silence_without_a_control_is_no_evidence);
    TEST(silence_after_a_pause_is_no_evidence);
    TEST(a_retransmission_is_paired_with_the_copy_that_crossed);
    TEST(equal_packets_of_two_hosts_are_no_evidence);
    TEST(equal_packets_are_told_apart_by_what_is_known);
    return g_test_run();
}
