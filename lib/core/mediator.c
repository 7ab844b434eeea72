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
#include "mediator.h"

#include <string.h>

#include "bucket.h"
#include "punch_packet.h"

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

static bool is_host(const PhAddress *seen, const PhAddress *address)
{
    return seen && ph_address_equal_host(seen, address);
}

/* Whether both are seen at one host of that family. */
static bool are_together(const PhMember *of, const PhMember *to, uint8_t family)
{
    const PhAddress *seen = of->seen->family == family ? of->seen : of->beside;

    return seen && seen->family == family && (is_host(to->seen, seen) || is_host(to->beside, seen));
}

PhNodeRecord ph_mediator_vouch(const PhMember *of, const PhMember *to)
{
    PhNodeRecord record = *of->record;

    record.n_candidates = 0;
    if (record.hidden || of->seen->family == PH_FAMILY_NONE)
        return record; /* it does not want to say where it is, or has not shown it yet */
    add(&record, PH_CANDIDATE_REFLEXIVE, of->seen);
    if (of->beside)
        add(&record, PH_CANDIDATE_REFLEXIVE, of->beside);
    for (unsigned i = 0; i < of->record->n_candidates; i++) {
        const PhCandidate *candidate = &of->record->candidates[i];
        const PhAddress *address = &candidate->address;

        if (is_host(of->seen, address) || is_host(of->beside, address) ||
            (candidate->kind == PH_CANDIDATE_LOCAL && are_together(of, to, address->family)))
            add(&record, (PhCandidateKind)candidate->kind, address);
    }
    return record;
}

PhMessage ph_mediator_peer(PhMessageKind kind, uint32_t request, const PhMember *about,
                           const PhMember *to)
{
    PhMessage message = {.kind = (uint8_t)kind};

    message.peer.request = request;
    message.peer.channel = about->channel;
    memcpy(message.peer.key, about->key, PH_NODE_KEY_BYTES);
    message.peer.record = ph_mediator_vouch(about, to);
    if (!about->record->hidden)
        message.peer.seen = *about->seen;
    return message;
}

PhMessage ph_mediator_refusal(PhMessageKind what, PhReason reason, uint32_t request)
{
    PhMessage message = {.kind = PH_MESSAGE_REFUSED};

    message.refused.what = (uint8_t)what;
    message.refused.reason = (uint8_t)reason;
    message.refused.request = request;
    return message;
}

/* Both begin when the one that hears of it last can: `whom` hears half its round trip from now. */
static uint32_t start_us(const PhMember *whom, const PhMember *other)
{
    uint64_t last = whom->rtt_ns > other->rtt_ns ? whom->rtt_ns : other->rtt_ns;
    uint64_t wait = last / 2 - whom->rtt_ns / 2 + START_LEAD_NS;

    return (uint32_t)(wait / 1000);
}

static PhMessage introduced(const PhMember *whom, const PhMember *other, uint32_t request,
                            uint8_t attempt, const uint8_t token[static PH_PUNCH_TOKEN_BYTES])
{
    PhMessage message = {.kind = PH_MESSAGE_INTRODUCED};

    message.introduced.request = request;
    message.introduced.attempt = attempt;
    memcpy(message.introduced.key, other->key, PH_NODE_KEY_BYTES);
    message.introduced.record = ph_mediator_vouch(other, whom);
    memcpy(message.introduced.token, token, sizeof(message.introduced.token));
    message.introduced.start_us = start_us(whom, other);
    return message;
}

PhRate ph_mediation_rate(const PhMediation *mediation)
{
    return (PhRate){
        .per_second = mediation->per_10s * 10,
        .burst = mediation->at_once * PH_INTRODUCTION,
    };
}

PhReason ph_mediator_introduce(const PhMediation *mediation, const PhMember *from,
                               const PhMember *to, uint32_t request, uint8_t attempt,
                               PhRandom *random, uint64_t now, PhMessage ret_told[static 2])
{
    const PhRate rate = ph_mediation_rate(mediation);
    uint8_t token[PH_PUNCH_TOKEN_BYTES];

    if (!ph_bucket_take(from->introductions_ns, &rate, PH_INTRODUCTION, now))
        return PH_REASON_TOO_MANY;
    if (!to)
        return PH_REASON_UNKNOWN_PEER;
    ph_random_bytes(random, token, sizeof(token));
    ret_told[0] = introduced(from, to, request, attempt, token);
    ret_told[1] = introduced(to, from, 0, attempt, token);
    return PH_REASON_NONE;
}
