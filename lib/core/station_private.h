/* SPDX-License-Identifier: MIT */
/* The station's parts: station.c (sessions, directory, who wants whom), relay.c (what is to be
 * sent, and what is relayed). */
#pragma once

#include <pinhole/station.h>

#include "bucket.h"
#include "directory.h"
#include "mediator.h"
#include "session.h"

/* A message that waits to be sealed and sent. */
typedef struct PhPending {
    uint32_t number; /* for whom: an entry's number */
    uint16_t length;
    uint8_t bytes[PH_SESSION_PLAIN_MAX];
} PhPending;

struct PhStation {
    PhStationConfig config;
    PhStationCounters counters;
    PhSessions *sessions;
    PhDirectory directory;
    PhRandom random;
    uint64_t now;
    PhPending *pending; /* a ring */
    uint32_t pending_first, pending_n;
    uint64_t checked_ns; /* when entries were last looked through for those that are silent */
    uint8_t packet[PH_DATAGRAM_MAX];
};

/* relay.c: queues a message for a node; false when there is no room for it. `relayed`: for somebody
 * else's sake, so that the node's own limit holds. */
bool ph_station_tell(PhStation *station, PhEntry *to, const PhMessage *message, bool relayed);
void ph_station_relay(PhStation *station, PhEntry *from, const PhMessage *message);
