/* SPDX-License-Identifier: MIT */
/* What an attempt sends, and when: a list that is counted through, never stored. */
#pragma once

#include "punch.h"

/* Ports in an order that never comes back to one: the i-th is
 * first + (multiplier * i + offset) % span. */
typedef struct PhPunchPorts {
    uint32_t first, span, multiplier, offset;
} PhPunchPorts;

typedef struct PhPunchPlan {
    PhStrategy strategy;
    PhAddress targets[PH_CANDIDATES_MAX]; /* other's candidates, without repetition */
    unsigned n_targets;
    unsigned n_local;     /* of these, the first: where the other is inside */
    bool prefers_ipv6;    /* there are some of both families behind these */
    unsigned n_sockets;   /* fresh ones to open */
    unsigned n;           /* packets */
    unsigned openers;     /* of these, the first: with a low TTL */
    bool alternates;      /* every second round is the fresh socket's */
    uint64_t delay_ns;    /* of the first packet, after the common start */
    uint64_t again_ns;    /* SPREAD: of the second pass */
    uint64_t patience_ns; /* after the last one, or after the start when there is none */
    /* Of ports that are tried: where the other's are, and how many of them; then around that. */
    PhPunchPorts ports, around;
    unsigned n_ports;
    int step; /* when the ports are in sequence */
} PhPunchPlan;

typedef struct PhPunchStep {
    uint64_t after_ns; /* the common start */
    bool fresh;        /* from a fresh socket, and which; else the data socket */
    unsigned socket;
    PhAddress remote;
    uint8_t ttl; /* 0: the usual one */
} PhPunchStep;

/* `drawn`: two random numbers. */
void ph_punch_plan(PhPunchPlan *ret_plan, const PhPunchConfig *config,
                   const uint64_t drawn[static 2]);
/* The i-th packet, i < n; in order of time. */
PhPunchStep ph_punch_plan_step(const PhPunchPlan *plan, unsigned i);
