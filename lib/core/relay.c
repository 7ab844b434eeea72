/* SPDX-License-Identifier: MIT */
/*
 * Packets between two that are registered, which the station cannot read. A channel is the number
 * of an entry: whatever a packet says, it goes to a registered key, and never to an address.
 */
#include "station_private.h"

void ph_station_relay(PhStation *station, PhEntry *from, const PhMessage *message)
{
    PhEntry *to = ph_directory_by_number(&station->directory, message->relay.channel);
    const PhRate rate = {station->config.relay_bytes_per_s, station->config.relay_bytes_per_s};
    const uint32_t length = (uint32_t)message->relay.length;
    PhMessage relayed = {.kind = PH_MESSAGE_RELAYED};

    if (!to || !station->config.relays) {
        station->counters.relay_dropped_unknown++;
        return;
    }
    if (!ph_bucket_take(&from->relay_ns, &rate, length, station->now) ||
        !ph_station_may(station, from, PH_LIMIT_RELAY, &rate, length)) {
        station->counters.relay_dropped_limit++;
        return;
    }
    relayed.relay.channel = from->number;
    relayed.relay.bytes = message->relay.bytes;
    relayed.relay.length = message->relay.length;
    if (!ph_station_tell(station, to, &relayed, /* relayed= */ true))
        return;
    station->counters.relayed++;
    station->counters.relayed_bytes += length;
    from->relayed_bytes += length;
}
