/* SPDX-License-Identifier: MIT */
/*
 * Bringing two together who both have a session with us: the same for a hub and its nodes, and for
 * a node and its peers. Whoever keeps them shows them as members; what is said to whom comes out.
 */
#pragma once

#include <pinhole/reflector.h>

#include "message.h"
#include "random.h"

/* Questions for a peer, of one member. */
#define PH_CONNECT_RATE ((PhRate){.per_second = 4, .burst = 32})

typedef struct PhMember {
    const uint8_t *key;
    const PhNodeRecord *record; /* what it says of itself */
    const PhAddress *seen;      /* where we hear it ourselves */
    const PhAddress *beside;    /* and in the other family; NULL: nowhere */
    uint32_t channel;           /* under which others reach it by us */
    uint64_t rtt_ns;
    uint64_t *introductions_ns; /* bucket.h: what it has had of us */
} PhMember;

/* How many introductions one member may have. */
typedef struct PhMediation {
    uint32_t per_10s, at_once;
} PhMediation;

/* The bucket's unit is a hundredth of an introduction: so many a second, and so many at once. */
#define PH_INTRODUCTION 100
PhRate ph_mediation_rate(const PhMediation *mediation);

/* What `of` may say of itself to `to`: candidates that we saw, or that only lead into the asker's
 * own network. */
PhNodeRecord ph_mediator_vouch(const PhMember *of, const PhMember *to);
/* FOUND or WANTED. */
PhMessage ph_mediator_peer(PhMessageKind kind, uint32_t request, const PhMember *about,
                           const PhMember *to);
/* Who is asked by `from` to introduce it to `to` (NULL: unknown): what `from` is told, and then
 * `to`; or why neither is told anything. */
PhReason ph_mediator_introduce(const PhMediation *mediation, const PhMember *from,
                               const PhMember *to, uint32_t request, uint8_t attempt,
                               PhRandom *random, uint64_t now, PhMessage ret_told[static 2]);
/* REFUSED. */
PhMessage ph_mediator_refusal(PhMessageKind what, PhReason reason, uint32_t request);
