/* SPDX-License-Identifier: MIT */
/*
 * What the station sends inside sessions: a ring of messages, of which each node has a few at most.
 * When a node's share is used up, or the ring is full, what came last is dropped: whoever relays
 * faster than can be sent is not helped by older packets either way, and the ring stays a ring.
 */
#include <string.h>

#include "station_private.h"

#define PENDING_MAX 1024

bool ph_station_tell(PhStation *station, PhEntry *to, const PhMessage *message, bool relayed)
{
    unsigned most = relayed ? station->config.relay_queue_packets : PENDING_MAX;
    PhPending *pending;
    size_t length;

    if (station->pending_n == PENDING_MAX || to->queued >= most) {
        station->counters.relay_dropped_queue += relayed;
        return false;
    }
    pending = &station->pending[(station->pending_first + station->pending_n) % PENDING_MAX];
    length = ph_message_write(message, pending->bytes, sizeof(pending->bytes));
    if (length == 0)
        return false;
    pending->number = to->number;
    pending->length = (uint16_t)length;
    station->pending_n++;
    to->queued++;
    return true;
}

void ph_station_relay(PhStation *station, PhEntry *from, const PhMessage *message)
{
    PhEntry *to = ph_directory_by_number(&station->directory, message->relay.channel);
    const PhRate rate = {station->config.relay_bytes_per_s, station->config.relay_bytes_per_s};
    PhMessage relayed = {.kind = PH_MESSAGE_RELAYED};

    if (!to || !station->config.relays) {
        station->counters.relay_dropped_unknown++;
        return;
    }
    if (!ph_bucket_take(&from->relay_ns, &rate, (uint32_t)message->relay.length, station->now)) {
        station->counters.relay_dropped_limit++;
        return;
    }
    relayed.relay.channel = from->number;
    relayed.relay.bytes = message->relay.bytes;
    relayed.relay.length = message->relay.length;
    if (!ph_station_tell(station, to, &relayed, /* relayed= */ true))
        return;
    station->counters.relayed++;
    station->counters.relayed_bytes += message->relay.length;
    from->relayed_bytes += message->relay.length;
}

/* The first that can be sent: messages for who has not been confirmed stay where they are. */
static bool take(PhStation *station, PhPending *ret_pending, PhEntry **ret_to)
{
    for (uint32_t i = 0, n = station->pending_n; i < n; i++) {
        PhPending *pending = &station->pending[station->pending_first];
        PhEntry *to = ph_directory_by_number(&station->directory, pending->number);

        *ret_pending = *pending;
        station->pending_first = (station->pending_first + 1) % PENDING_MAX;
        station->pending_n--;
        if (!to)
            continue; /* it is gone */
        if (to->confirmed) {
            to->queued--;
            *ret_to = to;
            return true;
        }
        /* To the end of the ring: all of them go round, and so keep their order. */
        station->pending[(station->pending_first + station->pending_n++) % PENDING_MAX] =
            *ret_pending;
    }
    return false;
}

bool ph_station_poll_transmit(PhStation *station, PhTransmit *ret_transmit)
{
    const uint8_t *bytes;
    PhPending pending;
    PhRoute route;
    size_t length;
    PhEntry *to;

    if (ph_sessions_poll_transmit(station->sessions, &route, &bytes, &length)) {
        *ret_transmit = (PhTransmit){.path = route.path, .bytes = bytes, .length = length};
        return true;
    }
    while (take(station, &pending, &to)) {
        length = ph_sessions_seal(station->sessions, to->session, pending.bytes, pending.length,
                                  station->now, station->packet);
        if (length == 0)
            continue;
        *ret_transmit = (PhTransmit){.path = to->path, .bytes = station->packet, .length = length};
        return true;
    }
    return false;
}
