/* SPDX-License-Identifier: MIT */
/*
 * A hub serves peers: a reflector (reflector.h) and, when it has a key, a station (station.h) on
 * the same real sockets, driven by a GMainContext. On two addresses of a family it can tell a
 * client everything about its NAT; on one, what one can.
 *
 * A hub belongs to the thread that runs its context.
 */
#pragma once

#include <gio/gio.h>
#include <pinhole/key.h>
#include <pinhole/reflector.h>
#include <pinhole/station.h>

PH_BEGIN_DECLS

#define PH_HUB_PORT      3478 /* RFC 8489 §18.6: STUN's port */
#define PH_HUB_HOSTS     2    /* of one family */
#define PH_HUB_FAMILIES  2
#define PH_HUB_ADDRESSES (2 * PH_HUB_HOSTS * PH_HUB_FAMILIES)

typedef struct PhHubConfig {
    /* Addresses of this machine: one or two of a family, not unspecified. Their ports are not
     * looked at. */
    PhAddress hosts[PH_HUB_HOSTS * PH_HUB_FAMILIES];
    /* As clients reach each of them, behind a NAT that translates one to one and keeps ports, as
     * clouds have it; family NONE: as it is. */
    PhAddress advertised[PH_HUB_HOSTS * PH_HUB_FAMILIES];
    size_t n_hosts;
    /* Each address is served on both. [1] is 0: one port only, for a peer that tells others at what
     * address it sees them; then there is one address of a family. */
    uint16_t ports[2];
    /* The station's, copied. NULL: there is none, and the hub is a reflector only. */
    const PhKey *key;
    /* What the station relays for one node: bytes a second. 0: as ph_station_config_init has it. */
    uint32_t relay_bytes_per_s;
    /* Each datagram is given to the system, and taken from it, as such, never several in one piece
     * (UDP GSO and GRO). */
    gboolean no_gso;
} PhHubConfig;

#define PH_HUB_RELAY_UNLIMITED UINT32_MAX

/* Datagrams of all sockets, and how many system calls they took. */
typedef struct PhHubTraffic {
    uint64_t receive_calls, received;
    uint64_t joined; /* of those received: several in one piece, which the system had put together
                      */
    uint64_t send_calls, sent;
    uint64_t segmented; /* of those sent: several in one piece, which the system cut up */
    uint64_t
        segments_refused; /* sockets that are not sent to like that, since the system refused */
} PhHubTraffic;

typedef struct PhHub PhHub;

/*
 * Serves from when it returns, in `context` (NULL: the default one). NULL and an error when the
 * config makes no sense (G_IO_ERROR_INVALID_ARGUMENT), or a socket cannot be opened (what the
 * system says, G_IO_ERROR_ADDRESS_IN_USE for one).
 */
PH_EXPORT PhHub *ph_hub_new(GMainContext *context, const PhHubConfig *config, GError **error);
PH_EXPORT PhHub *ph_hub_free(PhHub *hub); /* NULL is fine; returns NULL */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PhHub, ph_hub_free)

/* Up to two addresses of this machine's own, those of loopback and link-local ones left out; IPv4's
 * if it has any. How many: 0 and an error when there are none. */
PH_EXPORT size_t ph_hub_find_hosts(PhAddress ret_hosts[PH_STATIC(PH_HUB_HOSTS)], GError **error);

/* What it serves, address by address and port by port. Returns how many. */
PH_EXPORT size_t ph_hub_addresses(const PhHub *hub,
                                  PhAddress ret_addresses[PH_STATIC(PH_HUB_ADDRESSES)]);

/* Those of the reflector of that family, which go with the hub; NULL when there is none. */
PH_EXPORT const PhReflectorCounters *ph_hub_counters(const PhHub *hub, PhFamily family);

/* How many clients are behind NATs of each class, as ph_reflector_classes has it. */
PH_EXPORT void ph_hub_classes(const PhHub *hub, PhFamily family,
                              uint64_t ret_votes[PH_STATIC(PH_CLASS_N)]);

PH_EXPORT void ph_hub_traffic(const PhHub *hub, PhHubTraffic *ret_traffic);
/* What comes of the station's introductions, one call for each, from the hub's context. NULL:
 * nobody is told. It may not free the hub. */
typedef void (*PhHubEvent)(const PhStationEvent *event, gpointer data);
PH_EXPORT void ph_hub_set_event(PhHub *hub, PhHubEvent event, gpointer data);

/* Those of the station, which go with the hub; NULL when there is none. */
PH_EXPORT const PhStationCounters *ph_hub_station_counters(const PhHub *hub);
/* As ph_station_classes; without a station it is nobody. */
PH_EXPORT void ph_hub_station_classes(const PhHub *hub, uint64_t ret_nodes[PH_STATIC(PH_CLASS_N)]);
/* As ph_station_node. */
PH_EXPORT bool ph_hub_station_node(const PhHub *hub, uint32_t *at, PhStationNode *ret_node);

PH_END_DECLS
