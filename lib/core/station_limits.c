/* SPDX-License-Identifier: MIT */
/*
 * What the nodes of one address (IPv4 address or IPv6 /64) may do together at a station: as much as
 * so many of them, so that keys, which cost nothing, do not multiply what one gets. Nobody is
 * banned, and the quotas are large: many share one address behind a carrier's NAT. Only who has
 * shown that it is there counts: a forged source takes nothing away from those behind it.
 */
#include <stdlib.h>

#include "station_private.h"

bool ph_station_limits_init(PhStation *station)
{
    ph_random_bytes(&station->random, station->source_key, sizeof(station->source_key));
    station->sources = calloc(PH_STATION_SOURCES, sizeof(*station->sources));
    return station->sources != NULL;
}

uint32_t ph_station_source(const PhStation *station, const PhAddress *remote)
{
    return ph_bucket_of(remote, station->source_key, PH_STATION_SOURCES);
}

PhReason ph_station_may_register(PhStation *station, uint32_t number, bool take)
{
    const PhStationConfig *config = &station->config;
    const PhRate rate = {config->address_registrations_per_s,
                         config->address_registrations_at_once};
    PhStationSource *source = &station->sources[number];
    uint64_t *full = &source->full_ns[PH_LIMIT_REGISTRATIONS];

    if (config->address_nodes != 0 && source->nodes >= config->address_nodes)
        return PH_REASON_FULL;
    if (!ph_bucket_has(*full, &rate, 1, station->now))
        return PH_REASON_TOO_MANY;
    if (take)
        (void)ph_bucket_take(full, &rate, 1, station->now);
    return PH_REASON_NONE;
}

bool ph_station_may(PhStation *station, const PhEntry *entry, PhLimit what, const PhRate *of_one,
                    uint32_t amount)
{
    const PhRate rate = ph_rate_times(of_one, station->config.address_share);

    /* Who is not confirmed may be anybody's guess. */
    if (station->config.address_share == 0 || !entry->confirmed ||
        ph_bucket_take(&station->sources[entry->source].full_ns[what], &rate, amount, station->now))
        return true;
    station->counters.limited_address++;
    return false;
}
