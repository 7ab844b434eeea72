/* SPDX-License-Identifier: MIT */
/* Heartbeats, and what their absence means; see detector.h. */
#include "detector.h"

#include <string.h>

#define PH_S UINT64_C(1000000000)

/* While the application talks, and when it has not for a while. */
#define ACTIVE_NS     (3 * PH_S)
#define IDLE_AFTER_NS (45 * PH_S)
#define IDLE_LEAST_NS (20 * PH_S)
#define IDLE_MOST_NS  (25 * PH_S)
/* A suspect is asked often, to be sure soon either way; who has failed, as usual. */
#define PROBE_NS (1 * PH_S)

/* Missed intervals, and the least time that they mean. */
#define SUSPECT_INTERVALS 2
#define SUSPECT_LEAST_NS  (13 * PH_S / 2)
#define FAILED_INTERVALS  5
#define FAILED_LEAST_NS   (15 * PH_S)
#define FAILED_RELAYED_NS (30 * PH_S)
#define FAST_DIVISOR      5
#define HEALTHY_ANSWERS   2
#define RUNAWAY_FACTOR    8
#define RUNAWAY_LEAST_NS  PH_S
#define RUNAWAY_IN_A_ROW  3
/* As many: it is a slow path, and that is how long its round trip is. */
#define RUNAWAY_ACCEPTED 10

const char *ph_health_name(PhHealth health)
{
    static const char *const names[] = {
        [PH_HEALTHY] = "healthy", [PH_SUSPECT] = "suspect", [PH_FAILED] = "failed"};

    return names[health];
}

/* At some time that may lie before the last data. */
static bool is_idle(const PhDetector *detector, uint64_t at_ns)
{
    return at_ns > detector->data_ns + IDLE_AFTER_NS;
}

/* As the profile has it. */
static uint64_t scaled(const PhDetector *detector, uint64_t time_ns)
{
    return detector->config.fast ? time_ns / FAST_DIVISOR : time_ns;
}

/* How long a path may be left alone: half of what its NATs keep. */
static uint64_t most(const PhDetector *detector)
{
    uint64_t binding =
        detector->config.binding_ns ? detector->config.binding_ns : PH_BINDING_ASSUMED_NS;

    return binding / 2;
}

/* Up to 20 % more or less, so that many peers are not asked at once; but not beyond the most. */
static uint64_t next_interval(PhDetector *detector, uint64_t now)
{
    bool idle = is_idle(detector, now) && detector->health == PH_HEALTHY;
    uint64_t usual = detector->health == PH_SUSPECT ? PROBE_NS : ACTIVE_NS;
    uint64_t first = scaled(detector, idle ? IDLE_LEAST_NS : usual * 4 / 5);
    uint64_t last = scaled(detector, idle ? IDLE_MOST_NS : usual * 6 / 5), drawn;

    if (last > most(detector)) {
        last = most(detector);
        first = last * 2 / 3;
    }
    ph_random_bytes(&detector->random, (uint8_t *)&drawn, sizeof(drawn));
    return first + drawn % (last - first + 1);
}

/* The interval in force, for what "missed" means. */
static uint64_t interval_in_force(const PhDetector *detector)
{
    uint64_t interval =
        scaled(detector, is_idle(detector, detector->since_ns) ? IDLE_MOST_NS : ACTIVE_NS);

    return interval < most(detector) ? interval : most(detector);
}

/* How long after the first unanswered ping: the last one that is missed has time to be answered. */
static uint64_t patience(const PhDetector *detector, unsigned intervals, uint64_t least_ns)
{
    uint64_t missed = (intervals - 1) * interval_in_force(detector) + scaled(detector, ACTIVE_NS);
    uint64_t least = scaled(detector, least_ns);

    return missed > least ? missed : least;
}

static uint64_t suspect_at(const PhDetector *detector)
{
    return detector->since_ns + patience(detector, SUSPECT_INTERVALS, SUSPECT_LEAST_NS);
}

static uint64_t failed_at(const PhDetector *detector)
{
    return detector->since_ns +
           patience(detector, FAILED_INTERVALS,
                    detector->config.relayed ? FAILED_RELAYED_NS : FAILED_LEAST_NS);
}

void ph_detector_init(PhDetector *ret_detector, const PhDetectorConfig *config, uint64_t now)
{
    *ret_detector = (PhDetector){.config = *config, .heard_ns = now, .data_ns = now};
    ph_random_init(&ret_detector->random, config->seed);
    ret_detector->ping_due_ns = now; /* the round trip is wanted soon */
}

void ph_detector_probe(PhDetector *detector, uint64_t now)
{
    if (detector->ping_due_ns > now)
        detector->ping_due_ns = now;
}

static void change(PhDetector *detector, PhHealth health, const char *reason, uint64_t now)
{
    detector->health = health;
    detector->reason = reason;
    detector->answers = 0;
    if (health != PH_HEALTHY)
        ph_detector_probe(detector, now);
}

/* Whoever talks after a long silence wants to know soon whether somebody listens; what was missed
 * in the silence came at other intervals. */
static void talked(PhDetector *detector, uint64_t now)
{
    if (is_idle(detector, now)) {
        detector->ping_due_ns = now;
        detector->since_ns = 0;
    }
    detector->data_ns = now;
}

void ph_detector_heard(PhDetector *detector, bool data, uint64_t now)
{
    detector->heard_ns = now;
    detector->since_ns = 0;
    if (data)
        talked(detector, now);
}

void ph_detector_sent(PhDetector *detector, bool data, uint64_t now)
{
    if (data)
        talked(detector, now);
}

/* Three answers that took far longer than usual. */
static void judge_latency(PhDetector *detector, uint64_t took_ns, uint64_t now)
{
    uint64_t limit = RUNAWAY_FACTOR * detector->rtt.smooth_ns;

    if (limit < RUNAWAY_LEAST_NS)
        limit = RUNAWAY_LEAST_NS;
    if (detector->rtt.known && took_ns > limit && ++detector->slow < RUNAWAY_ACCEPTED) {
        if (detector->slow == RUNAWAY_IN_A_ROW && detector->health == PH_HEALTHY)
            change(detector, PH_SUSPECT, "slow", now);
        return;
    }
    if (detector->slow == RUNAWAY_ACCEPTED)
        detector->rtt = (PhRtt){0};
    detector->slow = 0;
    ph_rtt_add(&detector->rtt, took_ns, /* exact= */ true);
    if (detector->health == PH_HEALTHY)
        return;
    if (++detector->answers >= HEALTHY_ANSWERS)
        change(detector, PH_HEALTHY, "answers-again", now);
    else
        ph_detector_probe(detector, now); /* whether it was not by chance */
}

bool ph_detector_ponged(PhDetector *detector, uint64_t id, uint64_t now)
{
    /* An answer may take longer than it is until the next ping. */
    for (unsigned i = 0; i < PH_DETECTOR_PINGS; i++) {
        PhDetectorPing *ping = &detector->awaited[i];

        if (!ping->awaited || ping->id != id)
            continue;
        ping->awaited = false;
        detector->pongs++;
        judge_latency(detector, now - ping->sent_ns, now);
        ph_detector_heard(detector, false, now);
        return true;
    }
    return false;
}

void ph_detector_set_binding(PhDetector *detector, uint64_t binding_ns, uint64_t now)
{
    detector->config.binding_ns = binding_ns;
    if (detector->ping_due_ns > now + most(detector))
        detector->ping_due_ns = now;
}

bool ph_detector_poll_ping(PhDetector *detector, uint64_t now, uint64_t *ret_id)
{
    PhDetectorPing *ping;

    if (now < detector->ping_due_ns)
        return false;
    ping = &detector->awaited[detector->pings++ % PH_DETECTOR_PINGS];
    *ping = (PhDetectorPing){.awaited = true, .sent_ns = now};
    ph_random_bytes(&detector->random, (uint8_t *)&ping->id, sizeof(ping->id));
    if (detector->since_ns == 0)
        detector->since_ns = now;
    detector->ping_due_ns = now + next_interval(detector, now);
    *ret_id = ping->id;
    return true;
}

bool ph_detector_handle_timeout(PhDetector *detector, uint64_t now)
{
    if (detector->since_ns == 0)
        return false;
    if (detector->health != PH_FAILED && now >= failed_at(detector)) {
        change(detector, PH_FAILED, "silent", now);
        return true;
    }
    if (detector->health == PH_HEALTHY && now >= suspect_at(detector)) {
        change(detector, PH_SUSPECT, "heartbeats-missed", now);
        return true;
    }
    return false;
}

uint64_t ph_detector_next_timeout(const PhDetector *detector)
{
    uint64_t next = detector->ping_due_ns, judged = UINT64_MAX;

    if (detector->since_ns != 0 && detector->health == PH_HEALTHY)
        judged = suspect_at(detector);
    else if (detector->since_ns != 0 && detector->health == PH_SUSPECT)
        judged = failed_at(detector);
    return next < judged ? next : judged;
}
