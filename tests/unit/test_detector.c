/* SPDX-License-Identifier: MIT */
/* What the detector believes of a path, and when. */
#include <glib.h>
#include <string.h>

#include "../../lib/core/detector.h"

#define MS G_GUINT64_CONSTANT(1000000)
#define S  (1000 * MS)

/* Two ends of a path, each with a detector. */
typedef struct Flight {
    guint64 at;
    guint to;
    gboolean pong;
    guint64 id;
} Flight;

typedef struct Path {
    PhDetector ends[2];
    guint64 now, delay_ns;      /* one way */
    guint64 last_ping, longest; /* of the first end's pings: how far apart */
    guint lost_percent;
    gboolean black;
    gboolean data; /* the first end talks once a second */
    guint64 data_due;
    GArray *flying;
    GRand *random;
    guint64 suspect_at, failed_at, healthy_at; /* the first end; 0: never */
} Path;

static void path_init(Path *path, const PhDetectorConfig *config, guint32 seed)
{
    *path = (Path){.now = 100 * S, .delay_ns = 10 * MS, .data_due = 100 * S};
    path->flying = g_array_new(FALSE, FALSE, sizeof(Flight));
    path->random = g_rand_new_with_seed(seed);
    for (guint i = 0; i < 2; i++) {
        PhDetectorConfig own = config ? *config : (PhDetectorConfig){0};

        memset(own.seed, (int)i + 1, sizeof(own.seed));
        memcpy(own.seed, &seed, sizeof(seed));
        ph_detector_init(&path->ends[i], &own, path->now);
    }
}

static void path_clear(Path *path)
{
    g_clear_pointer(&path->flying, g_array_unref);
    g_clear_pointer(&path->random, g_rand_free);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Path, path_clear)

static void fly(Path *path, guint to, gboolean pong, guint64 id)
{
    Flight flight = {.at = path->now + path->delay_ns, .to = to, .pong = pong, .id = id};

    if (!path->black && g_rand_int_range(path->random, 0, 100) >= (gint32)path->lost_percent)
        g_array_append_val(path->flying, flight);
}

static void note(Path *path, PhHealth before)
{
    PhHealth health = path->ends[0].health;

    if (health == before)
        return;
    if (health == PH_HEALTHY)
        path->healthy_at = path->now;
    else if (health == PH_SUSPECT)
        path->suspect_at = path->now;
    else
        path->failed_at = path->now;
}

static void land(Path *path, const Flight *flight)
{
    PhDetector *end = &path->ends[flight->to];
    PhHealth before = path->ends[0].health;

    ph_detector_heard(end, false, path->now);
    if (flight->pong)
        ph_detector_ponged(end, flight->id, path->now);
    else
        fly(path, 1 - flight->to, TRUE, flight->id);
    note(path, before);
}

static void step(Path *path)
{
    for (guint i = 0; i < path->flying->len;) {
        Flight flight = g_array_index(path->flying, Flight, i);

        if (flight.at > path->now) {
            i++;
            continue;
        }
        g_array_remove_index(path->flying, i);
        land(path, &flight);
    }
    for (guint i = 0; i < 2; i++) {
        PhHealth before = path->ends[0].health;
        guint64 id;

        ph_detector_handle_timeout(&path->ends[i], path->now);
        note(path, before);
        if (i == 0 && path->data && path->now >= path->data_due) {
            ph_detector_sent(&path->ends[0], true, path->now);
            path->data_due = path->now + S;
        }
        if (!ph_detector_poll_ping(&path->ends[i], path->now, &id))
            continue;
        if (i == 0) {
            if (path->last_ping)
                path->longest = MAX(path->longest, path->now - path->last_ping);
            path->last_ping = path->now;
        }
        fly(path, 1 - i, FALSE, id);
    }
}

static guint64 next(const Path *path)
{
    guint64 at =
        MIN(ph_detector_next_timeout(&path->ends[0]), ph_detector_next_timeout(&path->ends[1]));

    for (guint i = 0; i < path->flying->len; i++)
        at = MIN(at, g_array_index(path->flying, Flight, i).at);
    return path->data ? MIN(at, path->data_due) : at;
}

static void run(Path *path, guint64 duration)
{
    guint64 end = path->now + duration;

    for (guint64 at; (at = MAX(next(path), path->now)) <= end;) {
        path->now = at;
        step(path);
    }
    path->now = end;
}

/* ---- a path that works ---- */

static void test_a_good_path_is_healthy(void)
{
    g_auto(Path) path;

    path_init(&path, NULL, 1);
    path.data = TRUE;
    run(&path, 3600 * S);
    g_assert_cmpstr(ph_health_name(path.ends[0].health), ==, "healthy");
    g_assert_cmpuint(path.suspect_at, ==, 0);
    g_assert_cmpuint(path.ends[0].rtt.smooth_ns, ==, 20 * MS);
    g_assert_cmpuint(path.longest, >, 3500 * MS);
    g_assert_cmpuint(path.longest, <=, 3600 * MS);
    g_assert_cmpuint(path.ends[0].pongs, ==, path.ends[0].pings);
    /* 3 s on average, 20 % more or less */
    g_assert_cmpuint(path.ends[0].pings, >, 1150);
    g_assert_cmpuint(path.ends[0].pings, <, 1250);
}

static void test_silence_costs_little(void)
{
    g_auto(Path) path;
    PhDetectorConfig config = {.binding_ns = 120 * S};
    guint64 pings;

    path_init(&path, &config, 1);
    run(&path, 100 * S);
    path.longest = 0;
    pings = path.ends[0].pings;
    run(&path, 3600 * S);
    g_assert_cmpuint(path.longest, >, 24 * S);
    g_assert_cmpuint(path.longest, <=, 25 * S);
    g_assert_cmpuint(path.ends[0].pings - pings, <=, 180);
    g_assert_cmpuint(path.suspect_at, ==, 0);
    /* Where nobody knows better, mappings are kept for 30 s. */
    config.binding_ns = 0;
    path_clear(&path);
    path_init(&path, &config, 1);
    run(&path, 3600 * S);
    g_assert_cmpuint(path.longest, >, 14 * S);
    g_assert_cmpuint(path.longest, <=, 15 * S);
}

static void test_a_binding_of_10_s_is_held(void)
{
    for (guint32 seed = 0; seed < 20; seed++) {
        g_auto(Path) path;
        PhDetectorConfig config = {.binding_ns = 10 * S};

        path_init(&path, &config, seed);
        run(&path, 3600 * S);
        g_assert_cmpuint(path.longest, >, 45 * S / 10);
        g_assert_cmpuint(path.longest, <=, 5 * S);
    }
}

static void test_a_binding_that_is_learnt_is_held_at_once(void)
{
    g_auto(Path) path;
    PhDetectorConfig config = {.binding_ns = 120 * S};

    path_init(&path, &config, 3);
    run(&path, 200 * S);
    ph_detector_set_binding(&path.ends[0], 10 * S, path.now);
    g_assert_cmpuint(ph_detector_next_timeout(&path.ends[0]), <=, path.now + 5 * S);
    run(&path, 5 * S);
    path.longest = 0;
    run(&path, 600 * S);
    g_assert_cmpuint(path.longest, <=, 5 * S);
}

/* ---- a path that does not ---- */

static void expect_black_hole(const PhDetectorConfig *config, gboolean data, guint64 suspect,
                              guint64 failed)
{
    g_auto(Path) path;

    path_init(&path, config, 5);
    path.data = data;
    run(&path, 200 * S);
    path.black = TRUE;
    path.last_ping = 0;
    while (!path.last_ping) { /* the first that is not answered */
        path.now = next(&path);
        step(&path);
    }
    suspect += path.now;
    failed += path.now;
    run(&path, 300 * S);
    g_assert_cmpuint(path.suspect_at, ==, suspect);
    g_assert_cmpuint(path.failed_at, ==, failed);
    /* And back. */
    path.black = FALSE;
    run(&path, 10 * S);
    g_assert_cmpuint(path.ends[0].health, ==, PH_HEALTHY);
    g_assert_cmpuint(path.healthy_at, >, path.failed_at);
}

static void test_N21_a_black_hole_is_seen_in_time(void)
{
    PhDetectorConfig usual = {0}, relayed = {.relayed = true};

    expect_black_hole(&usual, TRUE, 6500 * MS, 15 * S);
    expect_black_hole(&relayed, TRUE, 6500 * MS, 30 * S);
}

static void test_N24_a_faster_one_can_be_asked_for(void)
{
    PhDetectorConfig fast = {.fast = true}, both = {.relayed = true, .fast = true};

    expect_black_hole(&fast, TRUE, 1300 * MS, 3 * S);
    expect_black_hole(&both, TRUE, 1300 * MS, 6 * S);
}

/* One more interval than may pass between two pings, and time for the answer. */
static void test_a_black_hole_in_silence_is_seen_later(void)
{
    PhDetectorConfig usual = {0}, patient = {.binding_ns = 120 * S}, fast = {.fast = true};

    expect_black_hole(&usual, FALSE, 18 * S, 63 * S);
    expect_black_hole(&patient, FALSE, 28 * S, 103 * S);
    expect_black_hole(&fast, FALSE, 5600 * MS, 20600 * MS);
}

/* Whoever begins to talk into a black hole learns it as soon as all who talk. */
static void test_talk_after_silence_is_judged_as_talk(void)
{
    g_auto(Path) path;
    guint64 from;

    path_init(&path, NULL, 5);
    run(&path, 200 * S);
    path.black = TRUE;
    run(&path, 16 * S); /* one ping was missed, one may have been */
    g_assert_cmpuint(path.suspect_at, ==, 0);
    path.data = TRUE;
    from = path.data_due = path.now;
    run(&path, 30 * S);
    g_assert_cmpuint(path.suspect_at, ==, from + 6500 * MS);
    g_assert_cmpuint(path.failed_at, ==, from + 15 * S);
}

static void test_N24_heavy_loss_is_no_failure(void)
{
    guint suspected = 0;

    for (guint32 seed = 0; seed < 2000; seed++) {
        g_auto(Path) path;

        path_init(&path, NULL, seed);
        path.data = TRUE;
        run(&path, 10 * S);
        path.lost_percent = 20;
        run(&path, 60 * S);
        g_assert_cmpuint(path.failed_at, ==, 0);
        suspected += path.suspect_at != 0;
        path.lost_percent = 0;
        run(&path, 10 * S);
        g_assert_cmpuint(path.ends[0].health, ==, PH_HEALTHY);
    }
    g_test_message("%u of 2000 were suspected", suspected);
}

/* Of one ping that is lost nothing follows, not in silence either. */
static void test_one_lost_ping_is_nothing(void)
{
    for (guint32 seed = 0; seed < 50; seed++) {
        PhDetectorConfig config = {.fast = seed % 2, .binding_ns = seed % 4 < 2 ? 0 : 120 * S};
        g_auto(Path) path;

        path_init(&path, &config, seed);
        path.data = seed % 3 == 0;
        run(&path, 100 * S);
        /* Neither of the two is heard as long as one ping of the first takes. */
        path.last_ping = 0;
        path.black = TRUE;
        while (!path.last_ping) {
            path.now = next(&path);
            step(&path);
        }
        path.black = FALSE;
        run(&path, 100 * S);
        g_assert_cmpuint(path.suspect_at, ==, 0);
    }
}

static void test_N21_runaway_latency_is_suspect(void)
{
    g_auto(Path) path;
    guint64 from, slow;

    path_init(&path, NULL, 7);
    path.data = TRUE;
    run(&path, 60 * S);
    path.delay_ns = 600 * MS; /* there and back 1.2 s, where it was 20 ms */
    from = path.now;
    run(&path, 3 * 3600 * MS + 1200 * MS);
    g_assert_cmpuint(path.ends[0].health, ==, PH_SUSPECT);
    g_assert_cmpstr(path.ends[0].reason, ==, "slow");
    /* The third answer: three intervals and a round trip at most. */
    g_assert_cmpuint(path.suspect_at, >=, from + 2 * 2400 * MS + 1200 * MS);
    slow = path.suspect_at;
    /* It remains so: then it is a slow path, and a healthy one. */
    run(&path, 20 * S);
    g_assert_cmpuint(path.failed_at, ==, 0);
    g_assert_cmpuint(path.ends[0].health, ==, PH_HEALTHY);
    g_assert_cmpuint(path.healthy_at, >, slow + 5 * S);
    g_assert_cmpuint(path.ends[0].rtt.smooth_ns, >=, 1200 * MS);
}

static void test_one_slow_answer_is_nothing(void)
{
    g_auto(Path) path;

    path_init(&path, NULL, 7);
    path.data = TRUE;
    run(&path, 60 * S);
    for (guint i = 0; i < 20; i++) {
        path.delay_ns = 600 * MS;
        run(&path, 4 * S); /* one or two pings */
        path.delay_ns = 10 * MS;
        run(&path, 8 * S);
    }
    g_assert_cmpuint(path.suspect_at, ==, 0);
    g_assert_cmpuint(path.ends[0].rtt.smooth_ns, <, 200 * MS); /* some went half the slow way */
}

/* Answers that take longer than the next ping are answers. */
static void test_a_very_slow_path_is_healthy(void)
{
    g_auto(Path) path;

    path_init(&path, NULL, 9);
    path.delay_ns = 2 * S;
    path.data = TRUE;
    run(&path, 600 * S);
    g_assert_cmpuint(path.suspect_at, ==, 0);
    g_assert_cmpuint(path.ends[0].rtt.smooth_ns, ==, 4 * S);
}

static void test_an_answer_has_its_ping_s_id(void)
{
    PhDetectorConfig config = {0};
    PhDetector detector;
    guint64 first, second, now = S;

    ph_detector_init(&detector, &config, now);
    g_assert_true(ph_detector_poll_ping(&detector, now, &first));
    g_assert_false(ph_detector_poll_ping(&detector, now, &second));
    g_assert_false(ph_detector_ponged(&detector, first + 1, now));
    g_assert_false(ph_detector_ponged(&detector, 0, now));
    now += 4 * S;
    g_assert_true(ph_detector_poll_ping(&detector, now, &second));
    g_assert_cmpuint(first, !=, second);
    g_assert_true(ph_detector_ponged(&detector, first, now));
    g_assert_false(ph_detector_ponged(&detector, first, now)); /* once */
    g_assert_true(ph_detector_ponged(&detector, second, now));
    g_assert_cmpuint(detector.pongs, ==, 2);
}

/* Any authentic packet is a heartbeat, but only answers heal. */
static void test_whatever_is_heard_keeps_it_alive(void)
{
    PhDetectorConfig config = {0};
    PhDetector detector;
    guint64 now = S, id;

    ph_detector_init(&detector, &config, now);
    for (guint i = 0; i < 600; i++) {
        now += 100 * MS;
        (void)ph_detector_poll_ping(&detector, now, &id);
        g_assert_false(ph_detector_handle_timeout(&detector, now));
        if (i % 50 == 0)
            ph_detector_heard(&detector, true, now);
    }
    g_assert_cmpuint(detector.health, ==, PH_HEALTHY);
}

#define ADD(test) g_test_add_func("/detector/" #test, test_##test)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD(a_good_path_is_healthy);
    ADD(silence_costs_little);
    ADD(a_binding_of_10_s_is_held);
    ADD(a_binding_that_is_learnt_is_held_at_once);
    ADD(N21_a_black_hole_is_seen_in_time);
    ADD(N24_a_faster_one_can_be_asked_for);
    ADD(a_black_hole_in_silence_is_seen_later);
    ADD(talk_after_silence_is_judged_as_talk);
    ADD(N24_heavy_loss_is_no_failure);
    ADD(one_lost_ping_is_nothing);
    ADD(N21_runaway_latency_is_suspect);
    ADD(one_slow_answer_is_nothing);
    ADD(a_very_slow_path_is_healthy);
    ADD(an_answer_has_its_ping_s_id);
    ADD(whatever_is_heard_keeps_it_alive);
    return g_test_run();
}
