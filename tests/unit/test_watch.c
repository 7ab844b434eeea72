/* SPDX-License-Identifier: MIT */
/* When the watch classifies again, what it believes, and that it never flaps. */
#include <glib.h>
#include <pinhole/watch.h>
#include <string.h>

#define S G_GUINT64_CONSTANT(1000000000)

typedef struct World {
    PhWatch *watch;
    guint64 now;
    guint changes;
} World;

static void world_init(World *world)
{
    PhWatchConfig config = {.interval_ns = 600 * S, .confirm_ns = 5 * S, .gap_ns = 10 * S};

    *world = (World){.now = 100 * S};
    world->watch = ph_watch_new(&config, world->now);
}

static void world_clear(World *world)
{
    world->watch = ph_watch_free(world->watch);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(World, world_clear)

static PhAddress host(guint last)
{
    return ph_address_ipv4(0xc6336400 + last, 5000);
}

/* Is one to be run now? */
static gboolean is_asked(World *world)
{
    gboolean asked = FALSE;
    PhWatchEvent event;

    while (ph_watch_poll_event(world->watch, &event)) {
        if (event == PH_WATCH_CHANGED)
            world->changes++;
        else
            asked = TRUE;
    }
    return asked;
}

static void found(World *world, PhClass nat_class, guint address)
{
    PhClassification result = {.nat_class = nat_class, .pooling = PH_POOLING_PAIRED};

    if (address)
        result.mapped = host(address);
    ph_watch_result(world->watch, &result, world->now);
    is_asked(world);
}

/* To the next one, which is due in `after_ns`. */
static void wait_for(World *world, guint64 after_ns)
{
    g_assert_cmpuint(ph_watch_next_timeout(world->watch), ==, world->now + after_ns);
    world->now += after_ns - 1;
    ph_watch_handle_timeout(world->watch, world->now);
    g_assert_false(is_asked(world));
    world->now++;
    ph_watch_handle_timeout(world->watch, world->now);
    g_assert_true(is_asked(world));
    g_assert_cmpuint(ph_watch_next_timeout(world->watch), ==, UINT64_MAX);
}

static void expect(const World *world, PhClass nat_class, guint address, guint changes)
{
    PhAddress expected = host(address);

    g_assert_cmpstr(ph_class_name(ph_watch_current(world->watch)->nat_class), ==,
                    ph_class_name(nat_class));
    if (address)
        g_assert_true(ph_address_equal(&ph_watch_current(world->watch)->mapped, &expected));
    g_assert_cmpuint(world->changes, ==, changes);
}

static void start(World *world)
{
    world_init(world);
    g_assert_true(is_asked(world));
    g_assert_null(ph_watch_current(world->watch));
    found(world, PH_CLASS_RESTRICTED, 1);
    expect(world, PH_CLASS_RESTRICTED, 1, 1);
}

static void test_N4_at_the_start_and_periodically(void)
{
    g_auto(World) world;

    start(&world);
    for (guint i = 0; i < 5; i++) {
        wait_for(&world, 600 * S);
        found(&world, PH_CLASS_RESTRICTED, 1);
    }
    expect(&world, PH_CLASS_RESTRICTED, 1, 1);
    g_assert_cmpuint(ph_watch_counters(world.watch)->classifications, ==, 6);
}

static void test_N4_class_and_address_change_together_once(void)
{
    PhAddress other = host(9);
    g_auto(World) world;

    start(&world);
    world.now += 60 * S;
    ph_watch_reflex(world.watch, &other, world.now);
    g_assert_true(is_asked(&world));
    ph_watch_reflex(world.watch, &other, world.now); /* from many peers */
    ph_watch_reflex(world.watch, &other, world.now);
    expect(&world, PH_CLASS_RESTRICTED, 1, 1); /* not before it is all known */
    found(&world, PH_CLASS_SYMMETRIC, 9);
    expect(&world, PH_CLASS_SYMMETRIC, 9, 2);
    wait_for(&world, 600 * S);
}

static void test_N4_the_known_address_is_no_news(void)
{
    PhAddress same = host(1);
    g_auto(World) world;

    start(&world);
    same.port = 6000;
    world.now += 60 * S;
    ph_watch_reflex(world.watch, &same, world.now);
    g_assert_false(is_asked(&world));
}

static void test_N4_any_of_several_addresses_is_no_news(void)
{
    PhClassification result = {
        .nat_class = PH_CLASS_SYMMETRIC, .pooling = PH_POOLING_ARBITRARY, .mapped = host(1)};
    PhAddress other = host(2);
    g_auto(World) world;

    world_init(&world);
    is_asked(&world);
    ph_watch_result(world.watch, &result, world.now);
    is_asked(&world);
    world.now += 60 * S;
    ph_watch_reflex(world.watch, &other, world.now);
    g_assert_false(is_asked(&world));
    wait_for(&world, 540 * S);
    result.mapped = other;
    ph_watch_result(world.watch, &result, world.now);
    g_assert_false(is_asked(&world));
    g_assert_cmpuint(world.changes, ==, 1);
}

static void test_N4_on_demand_but_not_too_often(void)
{
    g_auto(World) world;

    start(&world);
    world.now += 2 * S;
    ph_watch_demand(world.watch, world.now);
    g_assert_false(is_asked(&world));
    wait_for(&world, 8 * S);
    ph_watch_demand(world.watch, world.now); /* one is running: another after it */
    g_assert_false(is_asked(&world));
    found(&world, PH_CLASS_RESTRICTED, 1);
    wait_for(&world, 10 * S);
}

static void a_demand_is_not_lost_when_an_address_is_seen_as_well(void)
{
    PhAddress other = host(9);
    g_auto(World) world;

    start(&world);
    wait_for(&world, 600 * S);
    ph_watch_demand(world.watch, world.now);
    ph_watch_reflex(world.watch, &other, world.now);
    found(&world, PH_CLASS_RESTRICTED, 9); /* it explains the address, not the demand */
    wait_for(&world, 10 * S);
    found(&world, PH_CLASS_RESTRICTED, 9);
    wait_for(&world, 600 * S);
}

static void test_N4_another_address_does_not_wait_the_first_time(void)
{
    PhAddress second = host(2), third = host(3);
    g_auto(World) world;

    start(&world);
    world.now += 2 * S;
    ph_watch_reflex(world.watch, &second, world.now);
    g_assert_true(is_asked(&world));
    found(&world, PH_CLASS_SYMMETRIC, 2);
    expect(&world, PH_CLASS_SYMMETRIC, 2, 2);
    /* Within the same gap the next one waits, and so does a demand. */
    world.now += 2 * S;
    ph_watch_reflex(world.watch, &third, world.now);
    ph_watch_demand(world.watch, world.now);
    g_assert_false(is_asked(&world));
    wait_for(&world, 8 * S);
    found(&world, PH_CLASS_SYMMETRIC, 3);
    expect(&world, PH_CLASS_SYMMETRIC, 3, 3);
    ph_watch_reflex(world.watch, &second, world.now);
    g_assert_true(is_asked(&world));
}

static void test_N4_an_address_seen_meanwhile_does_not_wait_either(void)
{
    PhAddress second = host(2);
    g_auto(World) world;

    start(&world);
    wait_for(&world, 600 * S);
    ph_watch_reflex(world.watch, &second, world.now);
    ph_watch_result(world.watch, ph_watch_current(world.watch), world.now);
    g_assert_true(is_asked(&world));
}

static void test_N4_addresses_that_alternate_are_limited(void)
{
    g_auto(World) world;

    start(&world);
    for (guint i = 0; i < 1000; i++) { /* 100 s: ten gaps */
        PhAddress other = host(2 + i % 2);
        PhClassification result = {.nat_class = PH_CLASS_RESTRICTED, .mapped = host(2 + !(i % 2))};

        world.now += S / 10;
        ph_watch_handle_timeout(world.watch, world.now);
        ph_watch_reflex(world.watch, &other, world.now);
        if (is_asked(&world))
            ph_watch_result(world.watch, &result, world.now);
    }
    g_assert_cmpuint(ph_watch_counters(world.watch)->classifications, >=, 11);
    g_assert_cmpuint(ph_watch_counters(world.watch)->classifications, <=, 22);
}

static void never_is_never(void)
{
    PhWatchConfig config = {.interval_ns = UINT64_MAX, .gap_ns = UINT64_MAX};
    PhAddress other = host(9);
    g_auto(World) world = {.now = 100 * S};

    world.watch = ph_watch_new(&config, world.now);
    g_assert_true(is_asked(&world));
    for (guint i = 0; i < 1000; i++) {
        world.now += S / 1000;
        found(&world, PH_CLASS_RESTRICTED, 1);
        ph_watch_demand(world.watch, world.now);
        ph_watch_reflex(world.watch, &other, world.now);
        ph_watch_handle_timeout(world.watch, world.now);
        g_assert_false(is_asked(&world));
        g_assert_cmpuint(ph_watch_next_timeout(world.watch), ==, UINT64_MAX);
    }
    g_assert_cmpuint(ph_watch_counters(world.watch)->classifications, ==, 1);
}

static void what_is_never_confirmed_is_not_asked_again(void)
{
    PhWatchConfig config = {.confirm_ns = UINT64_MAX};
    g_auto(World) world = {.now = 100 * S};

    world.watch = ph_watch_new(&config, world.now);
    g_assert_true(is_asked(&world));
    found(&world, PH_CLASS_UNKNOWN, 1);
    g_assert_cmpuint(ph_watch_next_timeout(world.watch), ==, UINT64_MAX);
}

static void test_N4_another_class_must_be_found_twice(void)
{
    g_auto(World) world;

    start(&world);
    wait_for(&world, 600 * S);
    found(&world, PH_CLASS_PORT_RESTRICTED, 1);
    expect(&world, PH_CLASS_RESTRICTED, 1, 1);
    wait_for(&world, 5 * S);
    found(&world, PH_CLASS_PORT_RESTRICTED, 1);
    expect(&world, PH_CLASS_PORT_RESTRICTED, 1, 2);
    wait_for(&world, 600 * S);
}

static void test_N4_it_never_flaps(void)
{
    g_auto(World) world;

    start(&world);
    for (guint i = 0; i < 20; i++) { /* every second one is wrong */
        wait_for(&world, i % 2 ? 5 * S : 600 * S);
        found(&world, i % 2 ? PH_CLASS_RESTRICTED : PH_CLASS_SYMMETRIC, 1);
    }
    expect(&world, PH_CLASS_RESTRICTED, 1, 1);
    g_assert_cmpuint(ph_watch_counters(world.watch)->flaps, ==, 10);
}

static void test_N4_blocked_udp_is_confirmed_and_ends_with_an_address(void)
{
    PhAddress same = host(1);
    g_auto(World) world;

    start(&world);
    wait_for(&world, 600 * S);
    found(&world, PH_CLASS_UDP_BLOCKED, 0);
    for (guint i = 0; i < 11; i++) {
        expect(&world, PH_CLASS_RESTRICTED, 1, 1);
        wait_for(&world, 5 * S);
        found(&world, i == 5 ? PH_CLASS_UNKNOWN : PH_CLASS_UDP_BLOCKED, 0);
    }
    expect(&world, PH_CLASS_RESTRICTED, 1, 1);
    wait_for(&world, 5 * S);
    found(&world, PH_CLASS_UDP_BLOCKED, 0);
    expect(&world, PH_CLASS_UDP_BLOCKED, 0, 2);
    wait_for(&world, 600 * S);
    found(&world, PH_CLASS_UDP_BLOCKED, 0);
    world.now += 20 * S;
    ph_watch_reflex(world.watch, &same, world.now); /* somebody got through */
    g_assert_true(is_asked(&world));
}

static void test_N4_a_hub_that_is_down_for_a_while_is_no_blocked_udp(void)
{
    g_auto(World) world;

    start(&world);
    for (guint i = 0; i < 3; i++) {
        wait_for(&world, 600 * S);
        found(&world, PH_CLASS_UDP_BLOCKED, 0);
        for (guint again = 0; again < 11; again++) {
            wait_for(&world, 5 * S);
            found(&world, PH_CLASS_UDP_BLOCKED, 0);
        }
        wait_for(&world, 5 * S);
        found(&world, PH_CLASS_RESTRICTED, 1);
    }
    expect(&world, PH_CLASS_RESTRICTED, 1, 1);
}

static void who_knows_nothing_yet_is_told_of_blocked_udp_at_once(void)
{
    g_auto(World) world;

    world_init(&world);
    g_assert_true(is_asked(&world));
    found(&world, PH_CLASS_UDP_BLOCKED, 0);
    expect(&world, PH_CLASS_UDP_BLOCKED, 0, 1);
}

static void what_is_unknown_is_believed_late(void)
{
    g_auto(World) world;

    start(&world);
    wait_for(&world, 600 * S);
    found(&world, PH_CLASS_UNKNOWN, 1);
    wait_for(&world, 5 * S);
    found(&world, PH_CLASS_UNKNOWN, 1);
    expect(&world, PH_CLASS_RESTRICTED, 1, 1);
    wait_for(&world, 5 * S);
    found(&world, PH_CLASS_UNKNOWN, 1);
    expect(&world, PH_CLASS_UNKNOWN, 1, 2);
    wait_for(&world, 600 * S);
    found(&world, PH_CLASS_RESTRICTED, 1); /* and forgotten at once */
    expect(&world, PH_CLASS_RESTRICTED, 1, 3);
}

static void unknown_at_the_start_is_tried_again_soon(void)
{
    g_auto(World) world;

    world_init(&world);
    is_asked(&world);
    found(&world, PH_CLASS_UNKNOWN, 0);
    expect(&world, PH_CLASS_UNKNOWN, 0, 1);
    wait_for(&world, 5 * S);
    found(&world, PH_CLASS_SYMMETRIC, 1);
    expect(&world, PH_CLASS_SYMMETRIC, 1, 2);
}

static void test_N26_results_are_counted_by_class(void)
{
    g_auto(World) world;

    start(&world);
    wait_for(&world, 600 * S);
    found(&world, PH_CLASS_UNKNOWN, 1);
    wait_for(&world, 5 * S);
    found(&world, PH_CLASS_RESTRICTED, 1);
    g_assert_cmpuint(ph_watch_counters(world.watch)->results[PH_CLASS_RESTRICTED], ==, 2);
    g_assert_cmpuint(ph_watch_counters(world.watch)->results[PH_CLASS_UNKNOWN], ==, 1);
    g_assert_cmpuint(ph_watch_counters(world.watch)->classifications, ==, 3);
    g_assert_cmpuint(ph_watch_counters(world.watch)->changes, ==, 1);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(function) g_test_add_func("/watch/" #function, function)
    ADD(test_N4_at_the_start_and_periodically);
    ADD(test_N4_class_and_address_change_together_once);
    ADD(test_N4_the_known_address_is_no_news);
    ADD(test_N4_any_of_several_addresses_is_no_news);
    ADD(test_N4_on_demand_but_not_too_often);
    ADD(a_demand_is_not_lost_when_an_address_is_seen_as_well);
    ADD(test_N4_another_address_does_not_wait_the_first_time);
    ADD(test_N4_an_address_seen_meanwhile_does_not_wait_either);
    ADD(test_N4_addresses_that_alternate_are_limited);
    ADD(never_is_never);
    ADD(what_is_never_confirmed_is_not_asked_again);
    ADD(test_N4_another_class_must_be_found_twice);
    ADD(test_N4_it_never_flaps);
    ADD(test_N4_blocked_udp_is_confirmed_and_ends_with_an_address);
    ADD(test_N4_a_hub_that_is_down_for_a_while_is_no_blocked_udp);
    ADD(who_knows_nothing_yet_is_told_of_blocked_udp_at_once);
    ADD(what_is_unknown_is_believed_late);
    ADD(unknown_at_the_start_is_tried_again_soon);
    ADD(test_N26_results_are_counted_by_class);
    return g_test_run();
}
