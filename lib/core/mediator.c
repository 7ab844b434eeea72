/* SPDX-License-Identifier: MIT */
/*
 * Introductions: two nodes that want to punch to each other are told each other's candidates, a
 * token that authenticates their punch packets, and a common start. The mediator has then done its
 * part.
 *
 * Nobody can have packets sent to a third party: of what a node says of itself only those
 * candidates are passed on that have the host from which the mediator itself hears that node, and
 * local ones between nodes that come from one and the same host (behind one NAT).
 */
#include <string.h>

#include "station_private.h"

#define INTRODUCTION_SPAN_S 10
/* What is left to the slower of the two, once it has been told. */
#define START_LEAD_NS (5 * UINT64_C(1000000))

static void add(PhNodeRecord *record, PhCandidateKind kind, const PhAddress *address)
{
    for (unsigned i = 0; i < record->n_candidates; i++)
        if (ph_address_equal(&record->candidates[i].address, address))
            return;
    if (record->n_candidates < PH_CANDIDATES_MAX && address->port != 0)
        record->candidates[record->n_candidates++] =
            (PhCandidate){.kind = (uint8_t)kind, .address = *address};
}

PhNodeRecord ph_station_vouch(const PhEntry *of, const PhEntry *to)
{
    const PhAddress *seen = &of->path.remote;
    bool together = ph_address_equal_host(seen, &to->path.remote);
    PhNodeRecord record = of->record;

    record.n_candidates = 0;
    if (seen->family == PH_FAMILY_NONE)
        return record; /* it has not shown yet where it is */
    add(&record, PH_CANDIDATE_REFLEXIVE, seen);
    for (unsigned i = 0; i < of->record.n_candidates; i++) {
        const PhCandidate *candidate = &of->record.candidates[i];
        bool own_host = ph_address_equal_host(&candidate->address, seen);

        if (own_host || (together && candidate->kind == PH_CANDIDATE_LOCAL))
            add(&record, (PhCandidateKind)candidate->kind, &candidate->address);
    }
    return record;
}

static void refuse(PhStation *station, PhEntry *from, const PhMessage *message, PhReason reason)
{
    PhMessage refused = {.kind = PH_MESSAGE_REFUSED};

    refused.refused.what = PH_MESSAGE_INTRODUCE;
    refused.refused.reason = (uint8_t)reason;
    refused.refused.request = message->introduce.request;
    station->counters.introductions_refused++;
    (void)ph_station_tell(station, from, &refused, false);
}

/* Both begin when the one that hears of it last can: `whom` hears half its round trip from now. */
static uint32_t start_us(const PhEntry *whom, const PhEntry *other)
{
    uint64_t last = whom->rtt_ns > other->rtt_ns ? whom->rtt_ns : other->rtt_ns;
    uint64_t wait = last / 2 - whom->rtt_ns / 2 + START_LEAD_NS;

    return (uint32_t)(wait / 1000);
}

void ph_station_introduce(PhStation *station, PhEntry *from, const PhMessage *message)
{
    PhEntry *to = ph_directory_by_key(&station->directory, message->introduce.key);
    PhMessage told = {.kind = PH_MESSAGE_INTRODUCED};
    const PhRate rate = {
        .per_second = station->config.introductions_per_10s * 10,
        .burst = station->config.introductions_at_once * 10 * INTRODUCTION_SPAN_S,
    };

    /* A hundredth of an introduction is the bucket's unit: so many a second, and so many at once.
     */
    if (!ph_bucket_take(&from->introductions_ns, &rate, 10 * INTRODUCTION_SPAN_S, station->now) ||
        !ph_station_may(station, from, PH_LIMIT_INTRODUCTIONS, &rate, 10 * INTRODUCTION_SPAN_S)) {
        refuse(station, from, message, PH_REASON_TOO_MANY);
        return;
    }
    if (!to || !to->confirmed || to == from) {
        refuse(station, from, message, PH_REASON_UNKNOWN_PEER);
        return;
    }
    ph_random_bytes(&station->random, told.introduced.token, sizeof(told.introduced.token));
    told.introduced.attempt = message->introduce.attempt;
    told.introduced.request = message->introduce.request;
    memcpy(told.introduced.key, to->key, sizeof(to->key));
    told.introduced.record = ph_station_vouch(to, from);
    told.introduced.start_us = start_us(from, to);
    if (!ph_station_tell(station, from, &told, false))
        return;
    told.introduced.request = 0;
    memcpy(told.introduced.key, from->key, sizeof(from->key));
    told.introduced.record = ph_station_vouch(from, to);
    told.introduced.start_us = start_us(to, from);
    (void)ph_station_tell(station, to, &told, false);
    station->counters.introductions++;
}
