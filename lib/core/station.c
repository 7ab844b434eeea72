/* SPDX-License-Identifier: MIT */
/*
 * The station; see station.h. A node's way through it:
 *
 *     request with REGISTER --> answered (station_registry.c); its messages wait
 *                                 --confirmed--> they go out
 *          ...  CONNECT --> FOUND to it, WANTED to the peer, who begins the session between the two
 *          ...  RELAY --> RELAYED to the peer        INTRODUCE --> INTRODUCED to both
 *     silent for 90 s, or its session ended --> forgotten
 */
#include <stdlib.h>
#include <string.h>

#include "station_private.h"

#define CHECK_NS            PH_SECOND
#define HANDSHAKES_A_SECOND 500
/* Sessions beside those of all nodes, but as many as these at most: for who asks anew, and for who
 * is refused. */
#define SESSIONS_SPARE 512
#define NODES_MAX      (1U << 19)

void ph_station_config_init(PhStationConfig *ret_config)
{
    *ret_config = (PhStationConfig){
        .nodes_max = 4096,
        .introductions_per_10s = 4,
        .introductions_at_once = 8,
        .relay_bytes_per_s = 4 * 1024 * 1024,
        .relay_queue_packets = 64,
        .address_share = 16,
        .address_nodes = 1024,
        .address_registrations_per_s = 32,
        .address_registrations_at_once = 256,
        .relays = true,
    };
}

PhStation *ph_station_new(const PhStationConfig *config)
{
    PhStation *station;
    PhSessionsConfig sessions = {
        .wall_ns = config->wall_ns,
        .sessions_max = config->nodes_max +
                        (config->nodes_max < SESSIONS_SPARE ? config->nodes_max : SESSIONS_SPARE),
        .handshakes_per_s = HANDSHAKES_A_SECOND,
    };
    PhRandom random;

    if (config->nodes_max == 0 || config->nodes_max > NODES_MAX ||
        (config->nodes_max & (config->nodes_max - 1)) != 0)
        return NULL;
    station = calloc(1, sizeof(*station));
    if (!station)
        return NULL;
    station->config = *config;
    ph_random_init(&random, config->seed);
    ph_random_bytes(&random, sessions.seed, sizeof(sessions.seed));
    memcpy(sessions.secret, config->secret, sizeof(sessions.secret));
    memcpy(sessions.psk, config->psk, sizeof(sessions.psk));
    station->random = random;
    station->sessions = ph_sessions_new(&sessions);
    sodium_memzero(&sessions, sizeof(sessions));
    station->n_unconfirmed = (config->nodes_max + 3) / 4;
    station->unconfirmed = calloc(station->n_unconfirmed, sizeof(*station->unconfirmed));
    if (!station->sessions || !station->unconfirmed || !ph_station_queue_init(station) ||
        !ph_station_limits_init(station) ||
        !ph_directory_init(&station->directory, config->nodes_max, &station->random))
        return ph_station_free(station);
    return station;
}

PhStation *ph_station_free(PhStation *station)
{
    if (!station)
        return NULL;
    ph_sessions_free(station->sessions);
    ph_directory_clear(&station->directory);
    free(station->pending);
    free(station->unconfirmed);
    free(station->sources);
    sodium_memzero(station, sizeof(*station));
    free(station);
    return NULL;
}

bool ph_station_is_packet(const uint8_t *bytes, size_t length)
{
    return ph_session_is_packet(bytes, length);
}

/* ---- one wants another ---- */

PhEntry *ph_station_wanted(const PhStation *station, const PhMessage *message)
{
    return message->connect.by_name
               ? ph_directory_by_name(&station->directory, message->connect.name)
               : ph_directory_by_key(&station->directory, message->connect.key);
}

static PhMessage peer_message(PhMessageKind kind, uint32_t request, PhEntry *about, PhEntry *to)
{
    PhMember one = ph_station_member(about), other = ph_station_member(to);

    return ph_mediator_peer(kind, request, &one, &other);
}

PhMessage ph_station_connect(PhStation *station, PhEntry *from, const PhMessage *message)
{
    const PhRate rate = PH_CONNECT_RATE;
    PhEntry *to = ph_station_wanted(station, message);
    PhMessage told;

    if (!ph_bucket_take(&from->connects_ns, &rate, 1, station->now) ||
        !ph_station_may(station, from, PH_LIMIT_CONNECTS, &rate, 1)) {
        station->counters.refused_often++;
        return ph_mediator_refusal(PH_MESSAGE_CONNECT, PH_REASON_TOO_MANY,
                                   message->connect.request);
    }
    if (!to || to == from) {
        station->counters.unknown_peer++;
        return ph_mediator_refusal(PH_MESSAGE_CONNECT, PH_REASON_UNKNOWN_PEER,
                                   message->connect.request);
    }
    told = peer_message(PH_MESSAGE_WANTED, 0, from, to);
    told.peer.near = message->connect.near;
    if (!ph_station_tell(station, to, &told, false))
        return ph_mediator_refusal(PH_MESSAGE_CONNECT, PH_REASON_FULL, message->connect.request);
    station->counters.connects++;
    return peer_message(PH_MESSAGE_FOUND, message->connect.request, to, from);
}

/* ---- what comes in ---- */

/* An older record, of the same key, does not replace a newer one. */
static void update(PhEntry *entry, const PhNodeRecord *record)
{
    char name[sizeof(record->name)];

    if (record->sequence <= entry->record.sequence)
        return;
    /* A name is for the whole of a registration. */
    memcpy(name, entry->record.name, sizeof(name));
    entry->record = *record;
    memcpy(entry->record.name, name, sizeof(name));
}

static void handle(PhStation *station, PhEntry *from, const PhMessage *message)
{
    PhMessage answer = {0};

    switch ((PhMessageKind)message->kind) {
    case PH_MESSAGE_CONNECT:
        answer = ph_station_connect(station, from, message);
        break;
    case PH_MESSAGE_RELAY:
        ph_station_relay(station, from, message);
        return;
    case PH_MESSAGE_INTRODUCE:
        update(from, &message->introduce.record);
        ph_station_introduce(station, from, message);
        return;
    case PH_MESSAGE_UPDATE:
        update(from, &message->record);
        return;
    case PH_MESSAGE_PING:
        answer.kind = PH_MESSAGE_PONG;
        answer.ping.id = message->ping.id;
        answer.ping.seen = from->trial.path.remote.family != PH_FAMILY_NONE
                               ? from->trial.path.remote
                               : from->path.remote;
        break;
    case PH_MESSAGE_CLOSE:
        ph_station_forget(station, from);
        return;
    case PH_MESSAGE_UNKNOWN:
    case PH_MESSAGE_KEEPALIVE:
    case PH_MESSAGE_DATA:
    case PH_MESSAGE_PONG: /* the station's part in a session hears these */
    case PH_MESSAGE_MOVED:
    case PH_MESSAGE_PREPARE:
    case PH_MESSAGE_PREPARED:
    case PH_MESSAGE_LOOK:
    case PH_MESSAGE_LOOKED:
    case PH_MESSAGE_REGISTER:
    case PH_MESSAGE_REGISTERED:
    case PH_MESSAGE_REFUSED:
    case PH_MESSAGE_FOUND:
    case PH_MESSAGE_WANTED:
    case PH_MESSAGE_RELAYED:
    case PH_MESSAGE_INTRODUCED:
        return; /* nothing that a station is told */
    }
    (void)ph_station_tell(station, from, &answer, false);
}

void ph_station_handle_all(PhStation *station, uint32_t number, const uint8_t *bytes, size_t length)
{
    PhMessage message;
    size_t used;

    for (size_t at = 0; at < length; at += used) {
        PhEntry *from = ph_directory_by_number(&station->directory, number);

        if (!from || !ph_message_read(bytes + at, length - at, &message, &used))
            return;
        handle(station, from, &message);
    }
}

static void take_message(PhStation *station, const PhRoute *route, const PhSessionInput *input)
{
    PhEntry *from = ph_station_hear(station, route, input);
    PhMessage first;
    size_t used;

    if (!from)
        return;
    if (!ph_message_read(input->bytes, input->length, &first, &used))
        return;
    if (first.kind == PH_MESSAGE_PING &&
        ph_station_pinged(station, from, &route->path, first.ping.id))
        return;
    if (first.kind == PH_MESSAGE_PONG)
        ph_station_ponged(station, from, &route->path, first.ping.id);
    ph_station_handle_all(station, from->number, input->bytes, input->length);
}

static void take_ends(PhStation *station)
{
    PhSessionInput input;

    for (ph_sessions_poll(station->sessions, &input); input.kind != PH_SESSION_NOTHING;
         ph_sessions_poll(station->sessions, &input))
        if (input.kind == PH_SESSION_GONE)
            ph_station_session_gone(station, &input);
}

void ph_station_handle_datagram(PhStation *station, const PhPath *path, const uint8_t *bytes,
                                size_t length, uint64_t now)
{
    const PhRoute route = {.path = *path};
    PhSessionInput input;

    station->now = now;
    ph_sessions_receive(station->sessions, &route, bytes, length, now, &input);
    switch (input.kind) {
    case PH_SESSION_REQUEST:
        ph_station_request(station, &route, &input);
        break;
    case PH_SESSION_MESSAGE:
        take_message(station, &route, &input);
        break;
    case PH_SESSION_GONE:
        ph_station_session_gone(station, &input);
        break;
    case PH_SESSION_NOTHING:
    case PH_SESSION_UP:
        break;
    }
    take_ends(station);
    ph_station_introduce_held(station);
}

/* ---- time ---- */

void ph_station_handle_timeout(PhStation *station, uint64_t now)
{
    station->now = now;
    ph_sessions_handle_timeout(station->sessions, now);
    take_ends(station);
    ph_station_introduce_held(station);
    if (now - station->checked_ns < CHECK_NS)
        return;
    station->checked_ns = now;
    for (uint32_t i = 0; i < station->directory.n_slots; i++) {
        PhEntry *entry = ph_directory_at(&station->directory, i);

        if (!entry)
            continue;
        ph_station_expire_beside(station, entry);
        if (now - entry->heard_ns < PH_STATION_LIFETIME_S * PH_SECOND)
            continue;
        station->counters.expired++;
        ph_station_forget(station, entry);
    }
}

uint64_t ph_station_next_timeout(const PhStation *station)
{
    uint64_t next = ph_sessions_next_timeout(station->sessions);

    if (station->directory.n_entries > 0 && station->checked_ns + CHECK_NS < next)
        next = station->checked_ns + CHECK_NS;
    if (station->n_held > 0 && station->held[0].until_ns < next)
        next = station->held[0].until_ns;
    return next;
}

const PhStationCounters *ph_station_counters(const PhStation *station)
{
    return &station->counters;
}

bool ph_station_node(const PhStation *station, uint32_t *at, PhStationNode *ret_node)
{
    while (*at < station->directory.n_slots) {
        const PhEntry *entry = ph_directory_at(&station->directory, (*at)++);

        if (!entry || !entry->confirmed)
            continue;
        *ret_node = (PhStationNode){
            .seen = entry->path.remote,
            .beside = entry->beside.path.remote,
            .nat_class = entry->record.nat_class,
            .relayed_bytes = entry->relayed_bytes,
        };
        memcpy(ret_node->key, entry->key, sizeof(entry->key));
        memcpy(ret_node->name, entry->record.name, sizeof(ret_node->name));
        return true;
    }
    return false;
}

void ph_station_classes(const PhStation *station, uint64_t ret_nodes[static PH_CLASS_N])
{
    memset(ret_nodes, 0, PH_CLASS_N * sizeof(*ret_nodes));
    for (uint32_t i = 0; i < station->directory.n_slots; i++) {
        const PhEntry *entry = ph_directory_at(&station->directory, i);

        if (entry && entry->confirmed)
            ret_nodes[entry->record.nat_class]++;
    }
}
