/* SPDX-License-Identifier: MIT */
/*
 * A hub: a reflector of each family, and one station for both, on real sockets.
 *
 *     its four sockets of a family --STUN--> that family's reflector --answer--> one of them
 *     all of its sockets <--packets of sessions--> the station
 */
#include <pinhole/hub.h>

#include <sodium/utils.h>
#include <string.h>

#include "../core/scope.h"
#include "sockets.h"
#include "system.h"

/* A socket's name is the reflector's name for it, and the family's index above that. */
#define FAMILY_SHIFT 2
#define SOCKETS      4 /* of one family */
#define LOCALS_MAX   64

struct PhHub {
    PhReflector *reflectors[PH_HUB_FAMILIES];
    PhStation *station; /* NULL: none */
    GSource *alarm;     /* the station's */
    PhHubEvent event;
    gpointer event_data;
    PhSockets *sockets;
    PhAddress addresses[PH_HUB_ADDRESSES];
    size_t n_addresses;
    PhAddress reached[PH_HUB_FAMILIES]; /* one of a family, as nodes are told */
};

static void serve_station(PhHub *hub)
{
    PhTransmit transmit;

    while (ph_station_poll_transmit(hub->station, &transmit))
        ph_sockets_send(hub->sockets, &transmit);
}

static void reflect(PhHub *hub, const PhPath *path, const uint8_t *bytes, size_t length,
                    uint64_t now)
{
    uint32_t family = path->socket >> FAMILY_SHIFT;
    PhPath seen = *path;
    uint8_t answer[PH_REFLECTOR_ANSWER_MAX];
    PhTransmit transmit = {.bytes = answer};

    seen.socket &= SOCKETS - 1;
    transmit.length = ph_reflector_handle_datagram(hub->reflectors[family], &seen, bytes, length,
                                                   now, &transmit.path, answer);
    if (transmit.length == 0)
        return;
    transmit.path.socket |= family << FAMILY_SHIFT;
    ph_sockets_send(hub->sockets, &transmit);
}

static void take_too_long(gpointer data, const PhPath *path, size_t length)
{
    PhHub *hub = data;

    ph_reflector_too_long(hub->reflectors[path->socket >> FAMILY_SHIFT], length);
}

static void take_datagram(gpointer data, const PhPath *path, const uint8_t *bytes, size_t length,
                          uint64_t now)
{
    PhHub *hub = data;

    if (hub->station && ph_station_is_packet(bytes, length)) {
        ph_station_handle_datagram(hub->station, path, bytes, length, now);
        serve_station(hub);
    } else {
        reflect(hub, path, bytes, length, now);
    }
}

static void tell(PhHub *hub)
{
    PhStationEvent event;

    while (ph_station_poll_event(hub->station, &event)) {
        if (hub->event)
            hub->event(&event, hub->event_data);
    }
}

static void finish_batch(gpointer data)
{
    PhHub *hub = data;

    ph_sockets_flush(hub->sockets);
    if (hub->station) {
        ph_alarm_set(hub->alarm, ph_station_next_timeout(hub->station));
        tell(hub);
    }
}

static gboolean wake(gpointer data)
{
    PhHub *hub = data;

    ph_station_handle_timeout(hub->station, ph_clock_now());
    serve_station(hub);
    finish_batch(hub);
    return G_SOURCE_CONTINUE;
}

static const PhSocketsHandler handler = {
    .datagram = take_datagram,
    .too_long = take_too_long,
    .done = finish_batch,
};

static gboolean refuse(GError **error, const char *why)
{
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "%s", why);
    return FALSE;
}

/* RFC 4291 §2.5.5.2: IPv4, to a socket of IPv6 that is for both, which ours are not. */
static gboolean is_mapped(const PhAddress *address)
{
    static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};

    return address->family == PH_FAMILY_IPV6 && memcmp(address->bytes, prefix, sizeof(prefix)) == 0;
}

static gboolean choose_hosts(const PhHubConfig *config, PhFamily family, PhAddress ret_locals[2],
                             PhReflectorConfig *reflector, GError **error)
{
    size_t n = 0;

    for (size_t i = 0; i < config->n_hosts; i++) {
        const PhAddress *advertised = &config->advertised[i];

        if (config->hosts[i].family != family)
            continue;
        if (!ph_address_is_unicast(&config->hosts[i]))
            return refuse(error, "a hub listens on addresses of its own, not on all at once or a "
                                 "group's: its answers come from the address that was asked");
        if (is_mapped(&config->hosts[i]))
            return refuse(error, "a hub listens on an IPv4 address as such, not as ::ffff:...");
        if (advertised->family == PH_FAMILY_NONE)
            advertised = &config->hosts[i];
        if (advertised->family != family || !ph_address_is_unicast(advertised))
            return refuse(error, "an address is advertised as a host's one of the same family");
        if (n == PH_HUB_HOSTS)
            return refuse(error, "a hub has at most two addresses of one family");
        ret_locals[n] = config->hosts[i];
        reflector->hosts[n] = *advertised;
        reflector->hosts[n++].port = 0;
    }
    if (n == 2 && (ph_address_equal_host(&ret_locals[0], &ret_locals[1]) ||
                   ph_address_equal_host(&reflector->hosts[0], &reflector->hosts[1])))
        return refuse(error, "a hub's two addresses must not be the same");
    if (n == 2 && reflector->ports[1] == 0)
        return refuse(error, "a hub with two addresses has two ports");
    return TRUE;
}

static gboolean open_sockets(PhHub *hub, uint32_t family, const PhAddress locals[2],
                             const uint16_t ports[2], GError **error)
{
    for (uint32_t socket = 0; socket < SOCKETS; socket++) {
        PhAddress local = locals[socket >> 1];

        local.port = ports[socket & 1];
        if (local.family == PH_FAMILY_NONE || local.port == 0)
            continue;
        if (!ph_sockets_open(hub->sockets, family << FAMILY_SHIFT | socket, &local,
                             &hub->addresses[hub->n_addresses], error))
            return FALSE;
        hub->n_addresses++;
    }
    return TRUE;
}

static gboolean start_station(PhHub *hub, GMainContext *context, const PhHubConfig *hub_config,
                              GError **error)
{
    const PhKey *key = hub_config->key;
    PhStationConfig config;

    ph_station_config_init(&config);
    ph_seed_fill(config.seed);
    memcpy(config.secret, key->secret_half, sizeof(config.secret));
    config.wall_ns = ph_clock_wall_offset();
    memcpy(config.addresses, hub->reached, sizeof(config.addresses));
    if (hub_config->relay_bytes_per_s == PH_HUB_RELAY_UNLIMITED)
        config.relay_bytes_per_s = 0;
    else if (hub_config->relay_bytes_per_s != 0)
        config.relay_bytes_per_s = hub_config->relay_bytes_per_s;
    hub->station = ph_station_new(&config);
    sodium_memzero(&config, sizeof(config));
    if (!hub->station)
        return refuse(error, "there is no memory for a station");
    hub->alarm = ph_alarm_new(context, wake, hub);
    ph_alarm_set(hub->alarm, ph_station_next_timeout(hub->station));
    return TRUE;
}

static gboolean start(PhHub *hub, const PhHubConfig *config, GError **error)
{
    static const PhFamily families[PH_HUB_FAMILIES] = {PH_FAMILY_IPV4, PH_FAMILY_IPV6};

    if (config->n_hosts == 0 || config->n_hosts > G_N_ELEMENTS(config->hosts))
        return refuse(error, "a hub has one or two addresses of a family");
    if (config->ports[0] == 0 || config->ports[0] == config->ports[1])
        return refuse(error, "a hub's two ports must not be the same, nor the first one 0");
    for (uint32_t i = 0; i < PH_HUB_FAMILIES; i++) {
        PhReflectorConfig reflector;
        PhAddress locals[2] = {0};

        ph_reflector_config_init(&reflector);
        ph_seed_fill(reflector.seed);
        reflector.ports[0] = config->ports[0];
        reflector.ports[1] = config->ports[1];
        if (!choose_hosts(config, families[i], locals, &reflector, error))
            return FALSE;
        if (reflector.hosts[0].family == PH_FAMILY_NONE)
            continue;
        hub->reached[i] = reflector.hosts[0];
        hub->reached[i].port = reflector.ports[0];
        hub->reflectors[i] = ph_reflector_new(&reflector);
        if (!hub->reflectors[i])
            return refuse(error, "there is no memory for a reflector");
        if (!open_sockets(hub, i, locals, reflector.ports, error))
            return FALSE;
    }
    return TRUE;
}

PhHub *ph_hub_new(GMainContext *context, const PhHubConfig *config, GError **error)
{
    g_autoptr(PhHub) hub = g_new0(PhHub, 1);

    hub->sockets = ph_sockets_new(context, &handler, hub);
    if (config->no_gso)
        ph_sockets_never_segment(hub->sockets);
    if (!start(hub, config, error) || (config->key && !start_station(hub, context, config, error)))
        return NULL;
    return g_steal_pointer(&hub);
}

PhHub *ph_hub_free(PhHub *hub)
{
    if (!hub)
        return NULL;
    ph_sockets_free(hub->sockets);
    if (hub->alarm) {
        g_source_destroy(hub->alarm);
        g_source_unref(hub->alarm);
    }
    ph_station_free(hub->station);
    for (unsigned i = 0; i < PH_HUB_FAMILIES; i++)
        ph_reflector_free(hub->reflectors[i]);
    g_free(hub);
    return NULL;
}

size_t ph_hub_find_hosts(PhAddress ret_hosts[static PH_HUB_HOSTS], GError **error)
{
    static const PhFamily families[] = {PH_FAMILY_IPV4, PH_FAMILY_IPV6};
    PhAddress locals[LOCALS_MAX];

    for (size_t i = 0; i < G_N_ELEMENTS(families); i++) {
        g_autoptr(GError) cause = NULL;
        size_t n = ph_local_addresses(families[i], FALSE, locals, LOCALS_MAX, &cause);
        size_t found = 0;

        if (cause) {
            g_propagate_error(error, g_steal_pointer(&cause));
            return 0;
        }
        for (size_t j = 0; j < n && found < PH_HUB_HOSTS; j++) {
            if (!ph_address_is_link_local(&locals[j]))
                ret_hosts[found++] = locals[j];
        }
        if (found > 0)
            return found;
    }
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
                "this host has no address that others could reach");
    return 0;
}

size_t ph_hub_addresses(const PhHub *hub, PhAddress ret_addresses[static PH_HUB_ADDRESSES])
{
    for (size_t i = 0; i < hub->n_addresses; i++)
        ret_addresses[i] = hub->addresses[i];
    return hub->n_addresses;
}

const PhReflectorCounters *ph_hub_counters(const PhHub *hub, PhFamily family)
{
    const PhReflector *reflector = hub->reflectors[family == PH_FAMILY_IPV6];

    return reflector ? ph_reflector_counters(reflector) : NULL;
}

void ph_hub_classes(const PhHub *hub, PhFamily family, uint64_t ret_votes[static PH_CLASS_N])
{
    const PhReflector *reflector = hub->reflectors[family == PH_FAMILY_IPV6];

    if (reflector)
        ph_reflector_classes(reflector, ph_clock_now(), ret_votes);
    else
        memset(ret_votes, 0, PH_CLASS_N * sizeof(*ret_votes));
}

void ph_hub_traffic(const PhHub *hub, PhHubTraffic *ret_traffic)
{
    const PhSocketsCounters *counters = ph_sockets_counters(hub->sockets);

    *ret_traffic = (PhHubTraffic){
        .receive_calls = counters->receive_calls,
        .received = counters->received,
        .joined = counters->joined,
        .send_calls = counters->send_calls,
        .sent = counters->sent,
        .segmented = counters->segmented,
        .segments_refused = counters->segments_refused,
    };
}

void ph_hub_set_event(PhHub *hub, PhHubEvent event, gpointer data)
{
    hub->event = event;
    hub->event_data = data;
}

const PhStationCounters *ph_hub_station_counters(const PhHub *hub)
{
    return hub->station ? ph_station_counters(hub->station) : NULL;
}

bool ph_hub_station_node(const PhHub *hub, uint32_t *at, PhStationNode *ret_node)
{
    return hub->station && ph_station_node(hub->station, at, ret_node);
}

void ph_hub_station_classes(const PhHub *hub, uint64_t ret_nodes[static PH_CLASS_N])
{
    if (hub->station)
        ph_station_classes(hub->station, ret_nodes);
    else
        memset(ret_nodes, 0, PH_CLASS_N * sizeof(*ret_nodes));
}
