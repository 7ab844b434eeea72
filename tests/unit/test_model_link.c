/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One direction of a link: exact times, exact losses, and shares that a seed makes exact. */
#include "model/link.h"

#define MS     G_GUINT64_CONSTANT(1000000)
#define S      (1000 * MS)
#define MANY   100000
#define LENGTH 1250 /* 10 000 bits */

static PlLinkModel *with(PlLink link)
{
    return pl_link_model_new(&link, 7);
}

static void assert_arrives(PlLinkModel *model, size_t length, uint64_t now, uint64_t expected)
{
    uint64_t at[2];

    g_assert_cmpuint(pl_link_model_send(model, length, now, at), ==, 1);
    g_assert_cmpuint(at[0], ==, expected);
}

static void assert_gone(PlLinkModel *model, uint64_t now)
{
    uint64_t at[2];

    g_assert_cmpuint(pl_link_model_send(model, LENGTH, now, at), ==, 0);
}

static void without_impairments_a_packet_arrives_at_once(void)
{
    g_autoptr(PlLinkModel) model = with((PlLink){0});

    assert_arrives(model, LENGTH, 5, 5);
    assert_arrives(model, LENGTH, 5, 5);
    assert_arrives(model, 0, 6, 6);
}

static void delay_is_exact(void)
{
    g_autoptr(PlLinkModel) model = with((PlLink){.delay_ns = 20 * MS + 1});

    assert_arrives(model, LENGTH, 0, 20 * MS + 1);
    assert_arrives(model, LENGTH, 3, 20 * MS + 4);
}

static void a_rate_makes_packets_wait_for_each_other(void)
{
    g_autoptr(PlLinkModel) model = with((PlLink){.rate_bps = 10000000, .delay_ns = 5 * MS});

    /* 10 000 bits at 10 Mbit/s: 1 ms */
    assert_arrives(model, LENGTH, 0, 6 * MS);
    assert_arrives(model, LENGTH, 0, 7 * MS);
    assert_arrives(model, LENGTH, MS / 2, 8 * MS);
    /* The line is idle from 3 ms on. */
    assert_arrives(model, LENGTH, 10 * MS, 16 * MS);
}

/* 8 bits at 3 bit/s are 2.666... s: after three packets it is 8 s, not 7.999999998. */
static void a_rate_does_not_drift(void)
{
    g_autoptr(PlLinkModel) model = with((PlLink){.rate_bps = 3, .queue_packets = 4000});

    assert_arrives(model, 1, 0, 2666666666);
    assert_arrives(model, 1, 0, 5333333333);
    assert_arrives(model, 1, 0, 8 * S);
    for (unsigned i = 3; i < 2999; i++) {
        uint64_t at[2];

        g_assert_cmpuint(pl_link_model_send(model, 1, 0, at), ==, 1);
    }
    assert_arrives(model, 1, 0, 8000 * S);
}

static void a_full_queue_drops_its_tail(void)
{
    g_autoptr(PlLinkModel) model = with((PlLink){.rate_bps = 10000000, .queue_packets = 2});

    assert_arrives(model, LENGTH, 0, 1 * MS); /* on the line */
    assert_arrives(model, LENGTH, 0, 2 * MS); /* waits */
    assert_arrives(model, LENGTH, 0, 3 * MS); /* waits */
    assert_gone(model, 0);
    assert_gone(model, MS - 1);
    assert_arrives(model, LENGTH, MS, 4 * MS); /* the second one's turn has come */
    assert_gone(model, MS);
    g_assert_cmpuint(pl_link_model_counters(model)->overflowed, ==, 3);
    g_assert_cmpuint(pl_link_model_counters(model)->sent, ==, 7);
    g_assert_cmpuint(pl_link_model_counters(model)->lost, ==, 0);
}

static void a_queue_holds_1000_packets_unless_told_otherwise(void)
{
    g_autoptr(PlLinkModel) model = with((PlLink){.rate_bps = 10000000});
    unsigned arrived = 0;
    uint64_t at[2];

    for (unsigned i = 0; i < 1500; i++)
        arrived += pl_link_model_send(model, LENGTH, 0, at);
    g_assert_cmpuint(arrived, ==, 1001); /* one of them does not wait */
}

static void a_mask_loses_exactly_these(void)
{
    g_autoptr(PlLinkModel) model = with((PlLink){.loss_mask = 0x5, .loss_mask_bits = 4});

    for (unsigned i = 0; i < 12; i++) {
        uint64_t at[2];

        g_assert_cmpuint(pl_link_model_send(model, LENGTH, i, at), ==,
                         i % 4 == 0 || i % 4 == 2 ? 0 : 1);
    }
    g_assert_cmpuint(pl_link_model_counters(model)->lost, ==, 6);
}

static void a_mask_may_have_64_bits(void)
{
    g_autoptr(PlLinkModel) model =
        with((PlLink){.loss_mask = G_GUINT64_CONSTANT(1) << 63, .loss_mask_bits = 64});

    for (unsigned i = 0; i < 128; i++) {
        uint64_t at[2];

        g_assert_cmpuint(pl_link_model_send(model, LENGTH, i, at), ==, i % 64 == 63 ? 0 : 1);
    }
}

static void what_is_lost_took_its_time_of_the_line(void)
{
    g_autoptr(PlLinkModel) model =
        with((PlLink){.rate_bps = 10000000, .loss_mask = 1, .loss_mask_bits = 2});

    assert_gone(model, 0);
    assert_arrives(model, LENGTH, 0, 2 * MS);
}

typedef struct Losses {
    unsigned lost, bursts, longest;
} Losses;

static Losses count_losses(PlLinkModel *model)
{
    Losses losses = {0};
    unsigned run = 0;
    uint64_t at[2];

    for (unsigned i = 0; i < MANY; i++) {
        if (pl_link_model_send(model, LENGTH, i, at) > 0) {
            run = 0;
            continue;
        }
        losses.lost++;
        losses.bursts += run == 0;
        run++;
        losses.longest = MAX(losses.longest, run);
    }
    g_assert_cmpuint(pl_link_model_counters(model)->lost, ==, losses.lost);
    return losses;
}

/* Four standard deviations of 100 000 throws. */
static void assert_share(unsigned counted, unsigned ppm, unsigned slack)
{
    unsigned expected = MANY / 1000 * ppm / 1000;

    g_assert_cmpuint(counted, >=, expected - slack);
    g_assert_cmpuint(counted, <=, expected + slack);
}

static void loss_has_its_share(void)
{
    g_autoptr(PlLinkModel) few = with((PlLink){.loss_ppm = 10000});
    g_autoptr(PlLinkModel) half = with((PlLink){.loss_ppm = 500000});
    g_autoptr(PlLinkModel) all = with((PlLink){.loss_ppm = 1000000});

    assert_share(count_losses(few).lost, 10000, 130);
    assert_share(count_losses(half).lost, 500000, 640);
    g_assert_cmpuint(count_losses(all).lost, ==, MANY);
}

static void losses_come_in_bursts_of_that_mean_length(void)
{
    g_autoptr(PlLinkModel) model = with((PlLink){.loss_ppm = 50000, .burst_packets = 10});
    Losses losses = count_losses(model);

    assert_share(losses.lost, 50000, 1000);
    g_assert_cmpuint(losses.lost / losses.bursts, >=, 9);
    g_assert_cmpuint(losses.lost / losses.bursts, <=, 10);
    g_assert_cmpuint(losses.longest, >, 30);
}

static void single_losses_are_not_bursts(void)
{
    g_autoptr(PlLinkModel) model = with((PlLink){.loss_ppm = 50000, .burst_packets = 1});
    g_autoptr(PlLinkModel) same = with((PlLink){.loss_ppm = 50000});
    Losses losses = count_losses(model), others = count_losses(same);

    g_assert_cmpuint(losses.lost, ==, others.lost);
    g_assert_cmpuint(losses.longest, <, 6);
}

static void bursts_that_leave_no_room_get_longer(void)
{
    g_autoptr(PlLinkModel) model = with((PlLink){.loss_ppm = 900000, .burst_packets = 2});
    Losses losses = count_losses(model);

    assert_share(losses.lost, 900000, 400);
    g_assert_cmpuint(losses.lost / losses.bursts, >=, 8);
}

static void jitter_goes_both_ways_and_no_further(void)
{
    g_autoptr(PlLinkModel) model = with((PlLink){.delay_ns = 10, .jitter_ns = 3});
    unsigned seen[7] = {0};

    for (unsigned i = 0; i < 7000; i++) {
        uint64_t at[2];

        g_assert_cmpuint(pl_link_model_send(model, LENGTH, i * 100, at), ==, 1);
        g_assert_cmpuint(at[0], >=, i * 100 + 7);
        g_assert_cmpuint(at[0], <=, i * 100 + 13);
        seen[at[0] - (i * 100 + 7)]++;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(seen); i++) {
        g_assert_cmpuint(seen[i], >, 880);
        g_assert_cmpuint(seen[i], <, 1120);
    }
}

static void duplicates_arrive_twice_in_order(void)
{
    g_autoptr(PlLinkModel) model =
        with((PlLink){.delay_ns = 10 * MS, .jitter_ns = MS, .duplicate_ppm = 200000});
    unsigned twice = 0;

    for (unsigned i = 0; i < MANY; i++) {
        uint64_t at[2];
        unsigned n = pl_link_model_send(model, LENGTH, i, at);

        g_assert_cmpuint(n, >=, 1);
        twice += n == 2;
        if (n == 2)
            g_assert_cmpuint(at[0], <=, at[1]);
    }
    assert_share(twice, 200000, 510);
    g_assert_cmpuint(pl_link_model_counters(model)->duplicated, ==, twice);
}

static void what_is_reordered_arrives_without_the_delay(void)
{
    g_autoptr(PlLinkModel) model = with((PlLink){.delay_ns = MS, .reorder_ppm = 100000});
    unsigned early = 0;

    for (unsigned i = 0; i < MANY; i++) {
        uint64_t at[2];

        g_assert_cmpuint(pl_link_model_send(model, LENGTH, i, at), ==, 1);
        g_assert_true(at[0] == i || at[0] == i + MS);
        early += at[0] == i;
    }
    assert_share(early, 100000, 380);
    g_assert_cmpuint(pl_link_model_counters(model)->reordered, ==, early);
}

/* With neither jitter nor reordering, whatever else happens. */
static void packets_keep_their_order(void)
{
    g_autoptr(PlLinkModel) model = with((PlLink){.delay_ns = MS,
                                                 .rate_bps = 999999937,
                                                 .loss_ppm = 100000,
                                                 .burst_packets = 4,
                                                 .duplicate_ppm = 100000});
    uint64_t last = 0;

    for (unsigned i = 0; i < MANY; i++) {
        uint64_t at[2];
        unsigned n = pl_link_model_send(model, 40 + i % 1400, i * 1000, at);

        for (unsigned k = 0; k < n; k++) {
            g_assert_cmpuint(at[k], >=, last);
            last = at[k];
        }
    }
}

/* Which packets are lost does not depend on what else may happen to them. */
static void one_setting_does_not_change_anothers_luck(void)
{
    g_autoptr(PlLinkModel) plain = with((PlLink){.loss_ppm = 300000});
    g_autoptr(PlLinkModel) much = with((PlLink){.loss_ppm = 300000,
                                                .delay_ns = MS,
                                                .jitter_ns = MS,
                                                .duplicate_ppm = 300000,
                                                .reorder_ppm = 300000,
                                                .rate_bps = 100000000000});

    for (unsigned i = 0; i < 10000; i++) {
        uint64_t at[2];

        g_assert_cmpint(pl_link_model_send(plain, LENGTH, i * MS, at) > 0, ==,
                        pl_link_model_send(much, LENGTH, i * MS, at) > 0);
    }
}

static void another_seed_is_other_luck(void)
{
    const PlLink link = {.loss_ppm = 500000};
    g_autoptr(PlLinkModel) one = pl_link_model_new(&link, 1);
    g_autoptr(PlLinkModel) same = pl_link_model_new(&link, 1);
    g_autoptr(PlLinkModel) two = pl_link_model_new(&link, 2);
    unsigned differ = 0;

    for (unsigned i = 0; i < 1000; i++) {
        uint64_t at[2];
        unsigned n = pl_link_model_send(one, LENGTH, i, at);

        g_assert_cmpuint(pl_link_model_send(same, LENGTH, i, at), ==, n);
        differ += pl_link_model_send(two, LENGTH, i, at) != n;
    }
    g_assert_cmpuint(differ, >, 400);
    g_assert_cmpuint(differ, <, 600);
}

#define CASE(name) g_test_add_func("/model/link/" #name, name)

int main(int argc, char *argv[])
{
    g_test_init(&argc, &argv, NULL);
    CASE(without_impairments_a_packet_arrives_at_once);
    CASE(delay_is_exact);
    CASE(a_rate_makes_packets_wait_for_each_other);
    CASE(a_rate_does_not_drift);
    CASE(a_full_queue_drops_its_tail);
    CASE(a_queue_holds_1000_packets_unless_told_otherwise);
    CASE(a_mask_loses_exactly_these);
    CASE(a_mask_may_have_64_bits);
    CASE(what_is_lost_took_its_time_of_the_line);
    CASE(loss_has_its_share);
    CASE(losses_come_in_bursts_of_that_mean_length);
    CASE(single_losses_are_not_bursts);
    CASE(bursts_that_leave_no_room_get_longer);
    CASE(jitter_goes_both_ways_and_no_further);
    CASE(duplicates_arrive_twice_in_order);
    CASE(what_is_reordered_arrives_without_the_delay);
    CASE(packets_keep_their_order);
    CASE(one_setting_does_not_change_anothers_luck);
    CASE(another_seed_is_other_luck);
    return g_test_run();
}
