/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When mappings end, and TCP's flows: a binary heap by time; of equals what began first ends first.
 * A packet that refreshes a mapping only notes the later end on its way; the heap gathers these
 * when the earlier one has come. So a mapping costs a step or two of the heap a timeout, however
 * many packets it carries.
 */
#include "model/nat_private.h"

#include <assert.h>

static uint32_t *place_of(PlNat *nat, uint32_t what)
{
    return what & TIMER_FLOW ? &nat->flows[what & ~TIMER_FLOW].timer : &nat->mappings[what].timer;
}

static uint64_t end_of(const PlNat *nat, uint32_t what)
{
    return what & TIMER_FLOW ? nat->flows[what & ~TIMER_FLOW].expires_ns
                             : pl_nat_life(nat, what).expires_ns;
}

static bool is_before(const Timer *a, const Timer *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->sequence < b->sequence;
}

static void put(PlNat *nat, uint32_t place, Timer timer)
{
    nat->timers[place] = timer;
    *place_of(nat, timer.what) = place;
}

static void sift_up(PlNat *nat, uint32_t place, Timer timer)
{
    while (place > 0) {
        uint32_t above = (place - 1) / 2;

        if (!is_before(&timer, &nat->timers[above]))
            break;
        put(nat, place, nat->timers[above]);
        place = above;
    }
    put(nat, place, timer);
}

static void sift_down(PlNat *nat, uint32_t place, Timer timer)
{
    for (;;) {
        uint32_t below = 2 * place + 1;

        if (below >= nat->n_timers)
            break;
        if (below + 1 < nat->n_timers && is_before(&nat->timers[below + 1], &nat->timers[below]))
            below++;
        if (!is_before(&nat->timers[below], &timer))
            break;
        put(nat, place, nat->timers[below]);
        place = below;
    }
    put(nat, place, timer);
}

void pl_nat_timer_set(PlNat *nat, uint32_t what, uint64_t at_ns)
{
    uint32_t place = *place_of(nat, what);
    Timer timer = {.at_ns = at_ns, .what = what};

    if (place == NONE) {
        timer.sequence = nat->timer_sequence++;
        if (nat->n_timers == nat->timers_room) {
            nat->timers_room = MAX(64, nat->timers_room * 2);
            nat->timers = g_renew(Timer, nat->timers, nat->timers_room);
        }
        sift_up(nat, nat->n_timers++, timer);
    } else if (at_ns < nat->timers[place].at_ns) {
        timer.sequence = nat->timers[place].sequence;
        sift_up(nat, place, timer);
    }
}

void pl_nat_timer_remove(PlNat *nat, uint32_t what)
{
    uint32_t place = *place_of(nat, what);
    Timer last;

    if (place == NONE)
        return;
    *place_of(nat, what) = NONE;
    last = nat->timers[--nat->n_timers];
    if (place == nat->n_timers)
        return;
    if (place > 0 && is_before(&last, &nat->timers[(place - 1) / 2]))
        sift_up(nat, place, last);
    else
        sift_down(nat, place, last);
}

static void end(PlNat *nat, uint32_t what)
{
    uint32_t flow = what & ~TIMER_FLOW, mapping;

    if (!(what & TIMER_FLOW)) {
        pl_nat_mapping_remove(nat, what);
        return;
    }
    mapping = nat->flows[flow].mapping;
    pl_nat_flow_remove(nat, flow);
    if (mapping != NONE && nat->mappings[mapping].flow == NONE)
        pl_nat_mapping_remove(nat, mapping);
}

void pl_nat_expire(PlNat *nat, uint64_t now)
{
    while (nat->n_timers > 0 && nat->timers[0].at_ns <= now) {
        Timer timer = nat->timers[0];
        uint64_t at = end_of(nat, timer.what);

        /* In the order of their ends, whenever one comes to look. */
        if (at > timer.at_ns) {
            timer.at_ns = at;
            sift_down(nat, 0, timer);
        } else {
            end(nat, timer.what);
        }
    }
}

static uint64_t limit_age(const PlNat *nat, const Course *course, uint64_t at)
{
    uint64_t age = nat->behaviour.quirks.mapping_age_ns;

    return age ? MIN(at, nat->mappings[nat_course_mapping(nat, course)].made_ns + age) : at;
}

/* A mapping has its timer from its beginning; a TCP one lives as long as one of its flows. */
void pl_nat_refresh(PlNat *nat, const Course *course, uint64_t now)
{
    uint8_t protocol = course->way.protocol;
    uint32_t flow = protocol == PL_IP_TCP ? course->way.flow : NONE;
    uint64_t at = now + pl_nat_timeout(nat, protocol, flow == NONE ? NULL : &nat->flows[flow]);

    at = limit_age(nat, course, at);
    if (flow != NONE) {
        nat->flows[flow].expires_ns = at;
        pl_nat_timer_set(nat, flow | TIMER_FLOW, at);
    } else if (protocol == PL_IP_TCP) {
        return;
    } else if (course->at) {
        course->at->expires_ns = at;
    } else {
        nat->mappings[course->mapping].expires_ns = at;
    }
}

void pl_nat_reply(PlNat *nat, const Course *course)
{
    if (course->at)
        course->at->replied = true;
    else
        nat->mappings[course->mapping].replied = true;
}
