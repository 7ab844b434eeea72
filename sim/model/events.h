/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Packets that wait for their time, ordered by (time, sequence): of two at one time, the one that
 * was put in first comes out first.
 */
#pragma once

#include "model/datagram.h"

typedef enum {
    PL_EVENT_LEAVE,  /* a host or presence sends it */
    PL_EVENT_CROSS,  /* it is on the network: at the end of the sender's link */
    PL_EVENT_ARRIVE, /* at the end of the receiver's link */
} PlEventKind;

typedef struct PlEvent {
    uint64_t time_ns, sequence;
    PlEventKind kind;
    unsigned from, to; /* ports (routing.h) */
    PlDatagram *datagram;
} PlEvent;

typedef struct PlEvents PlEvents;

PlEvents *pl_events_new(void);
PlEvents *pl_events_free(PlEvents *events); /* with their packets; NULL is fine; returns NULL */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PlEvents, pl_events_free)

/* Takes the event and its packet; the sequence is chosen here. */
void pl_events_push(PlEvents *events, const PlEvent *event);
/* The time of the next one; UINT64_MAX: none. */
uint64_t pl_events_next(const PlEvents *events);
/* Takes out the next one, whose packet is then the caller's; there must be one. */
PlEvent pl_events_pop(PlEvents *events);
/* What an event and its packet take up; and all of them. */
size_t pl_event_bytes(const PlEvent *event);
size_t pl_events_bytes(const PlEvents *events);
