/* SPDX-License-Identifier: MIT */
/*
 * Introductions by the station. A node that is moving has not shown yet that it is where its
 * packets come from now, and where it was it is not found any more: who asks for it, or it itself,
 * is held until it has answered from there.
 *
 *     INTRODUCE --both are where they were--> INTRODUCED to both
 *         |                                       ^
 *         +--one is moving--> held --answered, or after a second--+
 */
#include <string.h>

#include "station_private.h"

#define HOLD_NS PH_SECOND

PhMember ph_station_member(PhEntry *entry)
{
    return (PhMember){
        .key = entry->key,
        .record = &entry->record,
        .seen = &entry->path.remote,
        .beside =
            entry->beside.path.remote.family != PH_FAMILY_NONE ? &entry->beside.path.remote : NULL,
        .channel = entry->number,
        .rtt_ns = entry->rtt_ns,
        .introductions_ns = &entry->introductions_ns,
    };
}

/* All of its address together; who asks too often itself takes nothing from the others. */
static bool may_introduce(PhStation *station, const PhEntry *from, const PhMediation *mediation)
{
    const PhRate rate = ph_mediation_rate(mediation);

    return ph_station_may(station, from, PH_LIMIT_INTRODUCTIONS, &rate, PH_INTRODUCTION);
}

static void introduce(PhStation *station, PhEntry *from, PhEntry *to, const PhHeld *asked)
{
    const PhMediation mediation = {station->config.introductions_per_10s,
                                   station->config.introductions_at_once};
    PhMember asker = ph_station_member(from), other = {0};
    PhMessage told[2];
    PhReason reason;

    if (to && to->confirmed && to != from)
        other = ph_station_member(to);
    reason = ph_mediator_introduce(&mediation, &asker, other.key ? &other : NULL, asked->request,
                                   asked->attempt, &station->random, station->now, told);
    if (reason == PH_REASON_NONE && !may_introduce(station, from, &mediation))
        reason = PH_REASON_TOO_MANY;
    if (reason != PH_REASON_NONE) {
        station->counters.introductions_refused++;
        ph_station_log_refused(station, from, asked->key, asked->attempt, reason);
        told[0] = ph_mediator_refusal(PH_MESSAGE_INTRODUCE, reason, asked->request);
        (void)ph_station_tell(station, from, &told[0], false);
    } else if (ph_station_tell(station, from, &told[0], false)) {
        (void)ph_station_tell(station, to, &told[1], false);
        station->counters.introductions++;
        ph_station_log_introduced(station, from, to, asked->attempt);
    }
}

/* Or it has just begun to show where it is in the other family. */
static bool is_moving(const PhStation *station, const PhEntry *entry)
{
    const PhTrial *beside = entry ? &entry->beside.trial : NULL;

    return entry && entry->confirmed &&
           (entry->trial.path.remote.family != PH_FAMILY_NONE ||
            (beside->path.remote.family != PH_FAMILY_NONE &&
             station->now - beside->begun_ns < HOLD_NS));
}

void ph_station_introduce(PhStation *station, PhEntry *from, const PhMessage *message)
{
    PhEntry *to = ph_directory_by_key(&station->directory, message->introduce.key);
    PhHeld asked = {
        .until_ns = station->now + HOLD_NS,
        .from = from->number,
        .to = to ? to->number : 0,
        .request = message->introduce.request,
        .attempt = message->introduce.attempt,
    };

    memcpy(asked.key, message->introduce.key, sizeof(asked.key));
    if ((is_moving(station, from) || is_moving(station, to)) && station->n_held < PH_STATION_HELD)
        station->held[station->n_held++] = asked;
    else
        introduce(station, from, to, &asked);
}

void ph_station_introduce_held(PhStation *station)
{
    uint32_t n = station->n_held, kept = 0;

    for (uint32_t i = 0; i < n; i++) {
        const PhHeld held = station->held[i];
        PhEntry *from = ph_directory_by_number(&station->directory, held.from);
        PhEntry *to = held.to ? ph_directory_by_number(&station->directory, held.to) : NULL;

        if (station->now < held.until_ns && (is_moving(station, from) || is_moving(station, to)))
            station->held[kept++] = held;
        else if (from)
            introduce(station, from, to, &held);
    }
    station->n_held = kept;
}
