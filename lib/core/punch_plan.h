/* SPDX-License-Identifier: MIT */
/* What an attempt sends, and when: a list that is counted through, never stored. */
#pragma once

#include "punch.h"

typedef struct PhPunchPlan {
    PhStrategy strategy;
    PhAddress targets[PH_CANDIDATES_MAX]; /* other's candidates, without repetition */
    unsigned n_targets;
    unsigned n_sockets;   /* fresh ones to open; 0: the data socket is used */
    unsigned n;           /* packets */
    unsigned openers;     /* of these, the first: with a low TTL */
    uint64_t delay_ns;    /* of the first packet, after the common start */
    uint64_t patience_ns; /* after the last one, or after the start when there is none */
    /* Of ports that are tried: the i-th is first + (multiplier * i + offset) % span. */
    uint32_t port_first, span, multiplier, offset;
    int step; /* when the ports are in sequence */
} PhPunchPlan;

typedef struct PhPunchStep {
    uint64_t after_ns; /* the common start */
    unsigned socket;   /* of the fresh ones */
    PhAddress remote;
    uint8_t ttl; /* 0: the usual one */
} PhPunchStep;

/* `drawn`: 8 random bytes. */
void ph_punch_plan(PhPunchPlan *ret_plan, const PhPunchConfig *config, uint64_t drawn);
/* The i-th packet, i < n; in order of time. */
PhPunchStep ph_punch_plan_step(const PhPunchPlan *plan, unsigned i);
