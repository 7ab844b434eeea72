/* SPDX-License-Identifier: MIT */
/* The classifier behind NATs of every kind: it must say of each what it is, or that it cannot. */
#include "classifier_run.h"

/* All twelve cells; those of an allocation in turn. */
static void test_N2_every_behaviour_gets_its_label(void)
{
    for (PhMapping m = PH_MAPPING_NONE; m <= PH_MAPPING_ADDRESS_AND_PORT_DEPENDENT; m++) {
        for (PhFiltering f = PH_FILTERING_ENDPOINT_INDEPENDENT;
             f <= PH_FILTERING_ADDRESS_AND_PORT_DEPENDENT; f++) {
            for (PhPortAllocation a = PH_PORT_ALLOCATION_PRESERVE; a <= PH_PORT_ALLOCATION_RANDOM;
                 a++) {
                NatBehaviour nat = {.mapping = m, .filtering = f, .allocation = a};
                g_auto(Run) run;

                run_init(&run, &nat);
                classify(&run);
                g_assert_cmpint(run.result.mapping, ==, m);
                g_assert_cmpint(run.result.filtering, ==, f);
                expect_class(&run, ph_class_of(m, f));
                g_assert_null(run.result.why.nat_class);
                if (m != PH_MAPPING_NONE && m <= PH_MAPPING_ENDPOINT_INDEPENDENT)
                    g_assert_cmpint(run.result.port_allocation, ==, a);
            }
        }
    }
}

/* One packet more, to the hub alone, which then knows; and nothing when nobody asked for it. */
static void test_N26_the_class_is_reported_to_the_hub(void)
{
    static const NatBehaviour *const nats[] = {&port_restricted, &open_way, &symmetric};

    for (gsize i = 0; i < G_N_ELEMENTS(nats); i++) {
        for (guint wanted = 0; wanted <= 1; wanted++) {
            uint64_t votes[PH_CLASS_N], sum = 0;
            g_auto(Run) run;

            run_init(&run, nats[i]);
            run.config.report = wanted;
            classify(&run);
            while (run.world.packets)
                g_free(world_next(&run.world, run.world.now + 1000 * MS, &(guint32){0}));
            ph_reflector_classes(run.world.reflector, run.world.now, votes);
            for (guint c = 0; c < PH_CLASS_N; c++)
                sum += votes[c];
            g_assert_cmpuint(votes[run.result.nat_class], ==, wanted);
            g_assert_cmpuint(sum, ==, wanted);
            g_assert_cmpuint(ph_reflector_counters(run.world.reflector)->reports, ==, wanted);
        }
    }
}

static void who_never_answered_is_told_nothing(void)
{
    g_auto(Run) run;

    run_init(&run, &port_restricted);
    run.config.report = true;
    run.world.hub_dead = TRUE;
    classify(&run);
    expect_class(&run, PH_CLASS_UDP_BLOCKED);
    g_assert_cmpuint(ph_classifier_counters(run.classifier)->sent, ==, run.world.sent);
    run.world.hub_dead = FALSE;
    while (run.world.packets)
        g_free(world_next(&run.world, run.world.now + 1000 * MS, &(guint32){0}));
    g_assert_cmpuint(ph_reflector_counters(run.world.reflector)->reports, ==, 0);
}

static void the_classes_have_their_words(void)
{
    static const struct {
        PhMapping mapping;
        PhFiltering filtering;
        const char *name;
    } cases[] = {
        {PH_MAPPING_NONE, PH_FILTERING_ENDPOINT_INDEPENDENT, "direct"},
        {PH_MAPPING_NONE, PH_FILTERING_ADDRESS_DEPENDENT, "firewall"},
        {PH_MAPPING_NONE, PH_FILTERING_ADDRESS_AND_PORT_DEPENDENT, "firewall"},
        {PH_MAPPING_ENDPOINT_INDEPENDENT, PH_FILTERING_ENDPOINT_INDEPENDENT, "full-cone"},
        {PH_MAPPING_ENDPOINT_INDEPENDENT, PH_FILTERING_ADDRESS_DEPENDENT, "restricted"},
        {PH_MAPPING_ENDPOINT_INDEPENDENT, PH_FILTERING_ADDRESS_AND_PORT_DEPENDENT,
         "port-restricted"},
        {PH_MAPPING_ADDRESS_DEPENDENT, PH_FILTERING_ENDPOINT_INDEPENDENT, "symmetric"},
        {PH_MAPPING_ADDRESS_AND_PORT_DEPENDENT, PH_FILTERING_UNKNOWN, "symmetric"},
        {PH_MAPPING_ENDPOINT_INDEPENDENT, PH_FILTERING_UNKNOWN, "unknown"},
        {PH_MAPPING_NONE, PH_FILTERING_UNKNOWN, "unknown"},
        {PH_MAPPING_UNKNOWN, PH_FILTERING_ENDPOINT_INDEPENDENT, "unknown"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++)
        g_assert_cmpstr(ph_class_name(ph_class_of(cases[i].mapping, cases[i].filtering)), ==,
                        cases[i].name);
}

static void test_G17_every_class_has_a_console_type_and_a_sentence(void)
{
    static const int types[PH_CLASS_N] = {
        [PH_CLASS_DIRECT] = 1,     [PH_CLASS_FULL_CONE] = 1,       [PH_CLASS_FIREWALL] = 2,
        [PH_CLASS_RESTRICTED] = 2, [PH_CLASS_PORT_RESTRICTED] = 2, [PH_CLASS_SYMMETRIC] = 3,
        [PH_CLASS_UDP_BLOCKED] = 3};
    static const char *const names[] = {"unknown", "open", "moderate", "strict"};

    for (guint i = 0; i < PH_CLASS_N; i++) {
        PhConsole console = ph_class_console((PhClass)i);

        g_assert_cmpint(console, ==, types[i]);
        g_assert_cmpstr(ph_console_name(console), ==, names[types[i]]);
        g_assert_cmpuint(
            strlen(ph_classification_sentence(&(PhClassification){.nat_class = (PhClass)i})), >,
            20);
    }
}

static void test_N3_a_wildcard_bind_behind_a_port_preserving_nat_is_not_direct(void)
{
    NatBehaviour nat = {.mapping = PH_MAPPING_ENDPOINT_INDEPENDENT,
                        .filtering = PH_FILTERING_ENDPOINT_INDEPENDENT,
                        .allocation = PH_PORT_ALLOCATION_PRESERVE};

    for (guint wildcard = 0; wildcard < 2; wildcard++) {
        g_auto(Run) run;

        run_init(&run, &nat);
        run.world.wildcard = wildcard == 1;
        classify(&run);
        g_assert_true(run.result.port_preserved);
        expect_class(&run, PH_CLASS_FULL_CONE);
    }
}

static void test_N3_a_wildcard_bind_on_the_internet_is_direct(void)
{
    g_auto(Run) run;

    run_init(&run, &open_way);
    run.world.wildcard = TRUE;
    classify(&run);
    expect_class(&run, PH_CLASS_DIRECT);
}

static void test_N3_a_host_with_two_uplinks_is_not_translated(void)
{
    static const PhFiltering filterings[] = {PH_FILTERING_ENDPOINT_INDEPENDENT,
                                             PH_FILTERING_ADDRESS_DEPENDENT,
                                             PH_FILTERING_ADDRESS_AND_PORT_DEPENDENT};

    for (gsize i = 0; i < G_N_ELEMENTS(filterings); i++) {
        NatBehaviour nat = {.mapping = PH_MAPPING_NONE, .filtering = filterings[i]};
        g_auto(Run) run;

        run_init(&run, &nat);
        run.world.wildcard = TRUE;
        run.world.uplink = world_address("192.0.2.2");
        run.config.locals[run.config.n_locals++] = run.world.uplink;
        classify(&run);
        expect_class(&run, ph_class_of(PH_MAPPING_NONE, filterings[i]));
        g_assert_cmpint(run.result.mapping, ==, PH_MAPPING_NONE);
        g_assert_cmpint(run.result.filtering, ==, filterings[i]);
    }
}

static void test_N3_without_its_own_addresses_a_host_cannot_tell(void)
{
    NatBehaviour nat = port_restricted;
    g_auto(Run) run;

    nat.allocation = PH_PORT_ALLOCATION_PRESERVE;
    run_init(&run, &nat);
    run.world.wildcard = run.no_locals = TRUE;
    classify(&run);
    expect_class(&run, PH_CLASS_UNKNOWN);
    expect_reason(run.result.why.mapping, "own addresses are not known");
}

static void sequential_ports_are_predicted(void)
{
    static const int steps[] = {1, 2, 7, -1, -3};

    for (gsize i = 0; i < G_N_ELEMENTS(steps); i++) {
        for (PhMapping m = PH_MAPPING_ENDPOINT_INDEPENDENT;
             m <= PH_MAPPING_ADDRESS_AND_PORT_DEPENDENT; m++) {
            NatBehaviour nat = {.mapping = m,
                                .filtering = PH_FILTERING_ADDRESS_AND_PORT_DEPENDENT,
                                .allocation = PH_PORT_ALLOCATION_SEQUENTIAL,
                                .step = steps[i]};
            g_auto(Run) run;

            run_init(&run, &nat);
            run.world.counter = 5000;
            classify(&run);
            g_assert_cmpint(run.result.port_allocation, ==, PH_PORT_ALLOCATION_SEQUENTIAL);
            g_assert_cmpint(run.result.step, ==, steps[i]);
        }
    }
}

static void a_range_that_comes_to_its_end_is_sequential_still(void)
{
    for (guint counter = 990; counter <= 1000; counter++) {
        NatBehaviour nat = symmetric;
        g_auto(Run) run;

        nat.allocation = PH_PORT_ALLOCATION_SEQUENTIAL;
        nat.port_first = 20000;
        nat.port_last = 20999;
        run_init(&run, &nat);
        run.world.counter = counter;
        classify(&run);
        g_assert_cmpint(run.result.port_allocation, ==, PH_PORT_ALLOCATION_SEQUENTIAL);
        g_assert_cmpint(run.result.step, ==, 1);
    }
}

static void a_block_is_remembered(void)
{
    for (guint64 seed = 1; seed <= 50; seed++) {
        NatBehaviour nat = symmetric;
        g_auto(Run) run;

        nat.port_first = 20480;
        nat.port_last = 22527;
        run_init(&run, &nat);
        run.seed = seed;
        classify(&run);
        g_assert_cmpint(run.result.port_allocation, ==, PH_PORT_ALLOCATION_BLOCK);
        g_assert_cmpint(run.result.block_first, >=, 20480);
        g_assert_cmpint(run.result.block_last, <=, 20480 + 4095);
    }
}

/* So few that any five of them are near each other, and often in order. */
static void sixteen_ports_are_no_sequence(void)
{
    for (guint64 seed = 1; seed <= 20000; seed++) {
        NatBehaviour nat = symmetric;
        g_auto(Run) run;

        nat.mapping = PH_MAPPING_ENDPOINT_INDEPENDENT;
        nat.port_first = 20480;
        nat.port_last = 20495;
        run_init(&run, &nat);
        run.seed = seed;
        run.world.random = seed * G_GUINT64_CONSTANT(0x9e3779b97f4a7c15);
        classify(&run);
        g_assert_cmpint(run.result.port_allocation, !=, PH_PORT_ALLOCATION_SEQUENTIAL);
    }
}

/* Their order does not matter then, and so the samples take a round trip and not five. */
static void pooling_shows_where_ports_are_preserved_too(void)
{
    for (guint64 seed = 1; seed <= 100; seed++) {
        NatBehaviour nat = port_restricted;
        g_auto(Run) run, slow;

        run_init(&slow, &nat);
        slow.world.delay_ns = 50000000;
        classify(&slow);
        nat.allocation = PH_PORT_ALLOCATION_PRESERVE;
        nat.pool = 4;
        nat.arbitrary = seed % 2 == 0;
        run_init(&run, &nat);
        run.seed = seed;
        run.world.delay_ns = slow.world.delay_ns;
        classify(&run);
        g_assert_cmpint(run.result.port_allocation, ==, PH_PORT_ALLOCATION_PRESERVE);
        g_assert_cmpint(run.result.pooling, ==,
                        nat.arbitrary ? PH_POOLING_ARBITRARY : PH_POOLING_PAIRED);
        g_assert_cmpuint(run.result.took_ns + 4 * 100000000, <=, slow.result.took_ns);
    }
}

static void random_ports_are_nothing_else(void)
{
    for (guint64 seed = 1; seed <= 200; seed++) {
        g_auto(Run) run;

        run_init(&run, seed % 2 ? &symmetric : &port_restricted);
        run.seed = seed;
        classify(&run);
        g_assert_cmpint(run.result.port_allocation, ==, PH_PORT_ALLOCATION_RANDOM);
        g_assert_cmpint(run.result.pooling, ==, PH_POOLING_PAIRED);
    }
}

static void several_external_addresses_are_noticed(void)
{
    for (guint64 seed = 1; seed <= 20; seed++) {
        NatBehaviour nat = port_restricted;
        g_auto(Run) run;

        nat.pool = 4;
        nat.arbitrary = TRUE;
        run_init(&run, &nat);
        run.seed = seed;
        classify(&run);
        g_assert_cmpint(run.result.pooling, ==, PH_POOLING_ARBITRARY);
        expect_class(&run, PH_CLASS_PORT_RESTRICTED);
    }
}

static void hairpins_are_told_apart(void)
{
    for (PhHairpin h = PH_HAIRPIN_NONE; h <= PH_HAIRPIN_EXTERNAL_SOURCE; h++) {
        for (PhFiltering f = PH_FILTERING_ENDPOINT_INDEPENDENT;
             f <= PH_FILTERING_ADDRESS_AND_PORT_DEPENDENT; f++) {
            NatBehaviour nat = port_restricted;
            g_auto(Run) run;

            nat.hairpin = h;
            nat.filtering = f;
            run_init(&run, &nat);
            classify(&run);
            g_assert_cmpint(run.result.hairpin, ==, h);
        }
    }
}

static void a_nat_with_few_ports_is_classified_all_the_same(void)
{
    NatBehaviour nat = port_restricted;
    g_auto(Run) run;

    nat.ports_max = 4;
    run_init(&run, &nat);
    classify(&run);
    expect_class(&run, PH_CLASS_PORT_RESTRICTED);
    g_assert_cmpuint(run.result.took_ns, <, 3 * S);
}

/* Two mappings can share a port by chance: of sixteen ports every sixteenth time. */
static void equality_by_chance_is_seldom_believed(void)
{
    guint wrong = 0;

    for (guint64 seed = 1; seed <= 1000; seed++) {
        NatBehaviour nat = symmetric;
        g_auto(Run) run;

        nat.mapping = PH_MAPPING_ADDRESS_DEPENDENT;
        nat.port_first = 20000;
        nat.port_last = 20015;
        nat.overloads = TRUE;
        run_init(&run, &nat);
        run.seed = seed;
        classify(&run);
        wrong +=
            run.result.nat_class != PH_CLASS_SYMMETRIC && run.result.nat_class != PH_CLASS_UNKNOWN;
    }
    /* One of 16 in each of two rounds: 4 of 1000. */
    g_assert_cmpuint(wrong, <=, 12);
}

static void test_N2_of_ipv6_too(void)
{
    for (PhFiltering f = PH_FILTERING_ENDPOINT_INDEPENDENT;
         f <= PH_FILTERING_ADDRESS_AND_PORT_DEPENDENT; f++) {
        NatBehaviour nat = {.mapping = PH_MAPPING_NONE, .filtering = f};
        g_auto(Run) run;

        run_init(&run, &nat);
        run.world.ipv6 = TRUE;
        run.config.server = world_address("[2001:db8::10]:3478");
        classify(&run);
        g_assert_cmpint(run.result.filtering, ==, f);
        expect_class(&run, ph_class_of(PH_MAPPING_NONE, f));
    }
}

/* The data socket is the driver's: it is used, and neither opened nor closed. */
static void the_drivers_own_socket_is_what_is_classified(void)
{
    PhSocketRequest request = {.kind = PH_SOCKET_OPEN, .socket = 7};
    g_auto(Run) run;

    run_init(&run, &port_restricted);
    g_assert_true(world_socket(&run.world, &request, &run.config.socket_local));
    run.config.has_socket = true;
    run.config.socket = 7;
    run.kept_open = 1;
    classify(&run);
    expect_class(&run, PH_CLASS_PORT_RESTRICTED);
    g_assert_true(ph_address_equal(&run.result.local, &run.config.socket_local));
    for (guint i = 0; i < run.world.mappings->len; i++) {
        const NatMapping *mapping = nat_at(&run.world, i);

        if (ph_address_equal(&mapping->external, &run.result.mapped)) {
            g_assert_true(ph_address_equal(&mapping->inside, &run.config.socket_local));
            return;
        }
    }
    g_assert_not_reached();
}

static void the_same_seed_gives_the_same_run(void)
{
    PhClassification first;

    for (guint i = 0; i < 2; i++) {
        g_auto(Run) run;

        run_init(&run, &symmetric);
        run.world.loss_percent = 10;
        run.world.jitter_ns = 9 * MS;
        classify(&run);
        if (i == 0)
            first = run.result;
        g_assert_cmpuint(first.took_ns, ==, run.result.took_ns);
        g_assert_true(ph_address_equal(&first.mapped, &run.result.mapped));
    }
}

static void a_config_that_makes_no_sense_is_refused(void)
{
    PhClassifierConfig config = {.server = world_address("203.0.113.10")};

    g_assert_null(ph_classifier_new(&config, 0));
    config.server.port = 3478;
    config.n_locals = PH_CLASSIFIER_LOCALS + 1;
    g_assert_null(ph_classifier_new(&config, 0));
    config.n_locals = 0;
    config.has_socket = true;
    g_assert_null(ph_classifier_new(&config, 0));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(function) g_test_add_func("/classifier/" #function, function)
    ADD(test_N2_every_behaviour_gets_its_label);
    ADD(test_N26_the_class_is_reported_to_the_hub);
    ADD(who_never_answered_is_told_nothing);
    ADD(the_classes_have_their_words);
    ADD(test_G17_every_class_has_a_console_type_and_a_sentence);
    ADD(test_N3_a_wildcard_bind_behind_a_port_preserving_nat_is_not_direct);
    ADD(test_N3_a_wildcard_bind_on_the_internet_is_direct);
    ADD(test_N3_a_host_with_two_uplinks_is_not_translated);
    ADD(test_N3_without_its_own_addresses_a_host_cannot_tell);
    ADD(sequential_ports_are_predicted);
    ADD(a_range_that_comes_to_its_end_is_sequential_still);
    ADD(a_block_is_remembered);
    ADD(sixteen_ports_are_no_sequence);
    ADD(pooling_shows_where_ports_are_preserved_too);
    ADD(random_ports_are_nothing_else);
    ADD(several_external_addresses_are_noticed);
    ADD(hairpins_are_told_apart);
    ADD(a_nat_with_few_ports_is_classified_all_the_same);
    ADD(equality_by_chance_is_seldom_believed);
    ADD(test_N2_of_ipv6_too);
    ADD(the_drivers_own_socket_is_what_is_classified);
    ADD(the_same_seed_gives_the_same_run);
    ADD(a_config_that_makes_no_sense_is_refused);
    return g_test_run();
}
