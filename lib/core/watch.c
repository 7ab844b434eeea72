/* SPDX-License-Identifier: MIT */
/*
 * When to classify again, and what to believe.
 *
 *     WAITING --due--> RUNNING --result--+--> believed or the same --> WAITING for the interval
 *        ^                               |
 *        +---------- confirm_ns ---------+--> in doubt
 */
#include <pinhole/watch.h>

#include <stdlib.h>

#include "clock.h"
#include "rtt.h"

#define INTERVAL_NS (30 * 60 * 1000 * PH_MS)
#define CONFIRM_NS  (5000 * PH_MS)
#define GAP_NS      (10000 * PH_MS)
#define BLOCKED_NS  (60000 * PH_MS) /* a hub's machine may be restarted meanwhile */

#define UNKNOWN_BELIEVED 3 /* in a row */

struct PhWatch {
    PhWatchConfig config;
    bool running, classify, changed; /* the latter two: events to be polled */
    uint64_t due_ns, started_ns;
    uint64_t waiver_ns; /* from then on another address need not keep the distance, once */
    bool has_current, has_candidate;
    unsigned unknown;
    /* While one was running: somebody has asked for another; a reflector has seen this address. */
    bool demanded;
    PhAddress seen;
    PhClassification current, candidate, told;
    uint64_t candidate_ns; /* when it was found first */
    PhWatchCounters counters;
};

PhWatch *ph_watch_new(const PhWatchConfig *config, uint64_t now)
{
    PhWatch *watch = calloc(1, sizeof(*watch));

    if (!watch)
        return NULL;
    watch->config.interval_ns = config->interval_ns ? config->interval_ns : INTERVAL_NS;
    watch->config.confirm_ns = config->confirm_ns ? config->confirm_ns : CONFIRM_NS;
    watch->config.gap_ns = config->gap_ns ? config->gap_ns : GAP_NS;
    watch->config.blocked_ns = config->blocked_ns ? config->blocked_ns : BLOCKED_NS;
    watch->due_ns = now;
    ph_watch_handle_timeout(watch, now);
    return watch;
}

PhWatch *ph_watch_free(PhWatch *watch)
{
    free(watch);
    return NULL;
}

/* As soon as may be: classifications keep their distance. */
static void hurry(PhWatch *watch, uint64_t now)
{
    uint64_t soonest = ph_time_after(watch->started_ns, watch->config.gap_ns);

    if (soonest < now)
        soonest = now;
    if (soonest < watch->due_ns)
        watch->due_ns = soonest;
    ph_watch_handle_timeout(watch, now);
}

/* Another address. The gap is for what comes again and again, and this may be the first time. */
static void hurry_moved(PhWatch *watch, uint64_t now)
{
    uint64_t soonest = ph_time_after(watch->started_ns, watch->config.gap_ns);

    if (now < soonest && soonest != UINT64_MAX && now >= watch->waiver_ns) {
        watch->waiver_ns = ph_time_after(now, watch->config.gap_ns);
        watch->due_ns = now;
    }
    hurry(watch, now);
}

void ph_watch_handle_timeout(PhWatch *watch, uint64_t now)
{
    if (watch->running || now < watch->due_ns)
        return;
    watch->running = watch->classify = true;
    watch->started_ns = now;
    watch->due_ns = UINT64_MAX;
    watch->counters.classifications++;
}

uint64_t ph_watch_next_timeout(const PhWatch *watch)
{
    return watch->running ? UINT64_MAX : watch->due_ns;
}

void ph_watch_demand(PhWatch *watch, uint64_t now)
{
    if (watch->running)
        watch->demanded = true;
    else
        hurry(watch, now);
}

static bool has_one_address(const PhClassification *classification)
{
    return classification->mapped.family != PH_FAMILY_NONE &&
           classification->pooling != PH_POOLING_ARBITRARY;
}

void ph_watch_reflex(PhWatch *watch, const PhAddress *mapped, uint64_t now)
{
    /* Without an address there is nothing to compare with; but blocked UDP is so no more. */
    bool news = watch->has_current && (watch->current.mapped.family == PH_FAMILY_NONE ||
                                       (has_one_address(&watch->current) &&
                                        !ph_address_equal_host(mapped, &watch->current.mapped)));

    if (news && watch->running)
        watch->seen = *mapped;
    else if (news)
        hurry_moved(watch, now);
}

static bool has_moved(const PhClassification *before, const PhClassification *result)
{
    return has_one_address(before) && has_one_address(result) &&
           !ph_address_equal_host(&before->mapped, &result->mapped);
}

/* The result is believed: told if anything that matters is not what was told last. */
static void believe(PhWatch *watch, const PhClassification *result)
{
    bool news = !watch->has_current || watch->told.nat_class != result->nat_class ||
                has_moved(&watch->told, result);

    watch->current = *result;
    watch->has_current = true;
    watch->has_candidate = false;
    watch->unknown = 0;
    if (news) {
        watch->told = *result;
        watch->changed = true;
        watch->counters.changes++;
    }
}

/* What was in doubt has been found again, and long enough after. */
static bool is_confirmed(const PhWatch *watch, PhClass nat_class, uint64_t now)
{
    return watch->has_candidate && watch->candidate.nat_class == nat_class &&
           (nat_class != PH_CLASS_UDP_BLOCKED ||
            now - watch->candidate_ns >= watch->config.blocked_ns);
}

static void doubt(PhWatch *watch, const PhClassification *result, uint64_t now)
{
    if (!watch->has_candidate || watch->candidate.nat_class != result->nat_class) {
        watch->counters.flaps += watch->has_candidate;
        watch->candidate_ns = now;
    }
    watch->candidate = *result;
    watch->has_candidate = true;
}

/* False: it has to be repeated. */
static bool consider(PhWatch *watch, const PhClassification *result, uint64_t now)
{
    bool first = !watch->has_current || (watch->current.nat_class == PH_CLASS_UNKNOWN &&
                                         result->nat_class != PH_CLASS_UDP_BLOCKED);

    if (result->nat_class == PH_CLASS_UNKNOWN) {
        if (!watch->has_current)
            believe(watch, result); /* better than nothing, but not for long */
        if (++watch->unknown < UNKNOWN_BELIEVED)
            return false;
        believe(watch, result);
        return true;
    }
    if (first || has_moved(&watch->current, result)) {
        believe(watch, result);
        return true;
    }
    if (result->nat_class == watch->current.nat_class) {
        watch->counters.flaps += watch->has_candidate;
        believe(watch, result);
        return true;
    }
    watch->unknown = 0;
    if (is_confirmed(watch, result->nat_class, now)) {
        believe(watch, result);
        return true;
    }
    doubt(watch, result, now);
    return false;
}

void ph_watch_result(PhWatch *watch, const PhClassification *result, uint64_t now)
{
    bool settled, moved, demanded = watch->demanded;

    if (!watch->running)
        return;
    /* What was seen meanwhile may be what this one has found; what was demanded is not. */
    moved = watch->seen.family != PH_FAMILY_NONE &&
            !ph_address_equal_host(&watch->seen, &result->mapped);
    watch->running = watch->demanded = false;
    watch->seen = (PhAddress){0};
    watch->counters.results[result->nat_class]++;
    settled = consider(watch, result, now);
    watch->due_ns =
        ph_time_after(now, settled ? watch->config.interval_ns : watch->config.confirm_ns);
    if (moved)
        hurry_moved(watch, now);
    else if (demanded)
        hurry(watch, now);
}

bool ph_watch_poll_event(PhWatch *watch, PhWatchEvent *ret_event)
{
    if (watch->changed) {
        watch->changed = false;
        *ret_event = PH_WATCH_CHANGED;
        return true;
    }
    if (watch->classify) {
        watch->classify = false;
        *ret_event = PH_WATCH_CLASSIFY;
        return true;
    }
    return false;
}

const PhClassification *ph_watch_current(const PhWatch *watch)
{
    return watch->has_current ? &watch->current : NULL;
}

const PhWatchCounters *ph_watch_counters(const PhWatch *watch)
{
    return &watch->counters;
}
