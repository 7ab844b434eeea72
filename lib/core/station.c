/* SPDX-License-Identifier: MIT */
/*
 * The station; see station.h. A node's way through it:
 *
 *     request with REGISTER --> accepted, answered; its messages wait --confirmed--> they go out
 *          ...  CONNECT --> FOUND to it, WANTED to the peer, who begins the session between the two
 *          ...  RELAY --> RELAYED to the peer        INTRODUCE --> INTRODUCED to both
 *     silent for 90 s, or its session ended --> forgotten
 */
#include <stdlib.h>
#include <string.h>

#include "station_private.h"

#define LIFETIME_S          90
#define CHECK_NS            PH_SECOND
#define PENDING_MAX         1024
#define HANDSHAKES_A_SECOND 500

void ph_station_config_init(PhStationConfig *ret_config)
{
    *ret_config = (PhStationConfig){
        .nodes_max = 4096,
        .introductions_per_10s = 4,
        .introductions_at_once = 8,
        .relay_bytes_per_s = 4 * 1024 * 1024,
        .relay_queue_packets = 64,
        .relays = true,
    };
}

PhStation *ph_station_new(const PhStationConfig *config)
{
    PhStation *station;
    PhSessionsConfig sessions = {
        .wall_ns = config->wall_ns,
        .sessions_max = config->nodes_max,
        .handshakes_per_s = HANDSHAKES_A_SECOND,
    };
    PhRandom random;

    if (config->nodes_max == 0 || (config->nodes_max & (config->nodes_max - 1)) != 0)
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
    station->pending = calloc(PENDING_MAX, sizeof(*station->pending));
    if (!station->sessions || !station->pending ||
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
    free(station);
    return NULL;
}

bool ph_station_is_packet(const uint8_t *bytes, size_t length)
{
    return ph_session_is_packet(bytes, length);
}

/* ---- who is registered ---- */

static void forget(PhStation *station, PhEntry *entry)
{
    ph_sessions_close(station->sessions, entry->session, station->now);
    ph_directory_remove(&station->directory, entry);
}

/* A name that another key has is taken; PH_REASON_NONE: it may have it. */
static PhReason may_register(const PhStation *station, const uint8_t *key,
                             const PhNodeRecord *record)
{
    const PhEntry *named =
        record->name[0] ? ph_directory_by_name(&station->directory, record->name) : NULL;

    if (named && memcmp(named->key, key, PH_NODE_KEY_BYTES) != 0)
        return PH_REASON_NAME_TAKEN;
    if (station->directory.n_entries == station->directory.n_slots &&
        !ph_directory_by_key(&station->directory, key))
        return PH_REASON_FULL;
    return PH_REASON_NONE;
}

static PhMessage registered(const PhPath *path)
{
    PhMessage message = {.kind = PH_MESSAGE_REGISTERED};

    message.registered.lifetime_s = LIFETIME_S;
    message.registered.seen = path->remote;
    return message;
}

/* ---- one wants another ---- */

static PhEntry *wanted(const PhStation *station, const PhMessage *message)
{
    return message->connect.by_name
               ? ph_directory_by_name(&station->directory, message->connect.name)
               : ph_directory_by_key(&station->directory, message->connect.key);
}

/* As the mediator sees it. */
static PhMember member(PhEntry *entry)
{
    return (PhMember){
        .key = entry->key,
        .record = &entry->record,
        .seen = &entry->path.remote,
        .channel = entry->number,
        .rtt_ns = entry->rtt_ns,
        .introductions_ns = &entry->introductions_ns,
    };
}

static PhMessage peer_message(PhMessageKind kind, uint32_t request, PhEntry *about, PhEntry *to)
{
    PhMember one = member(about), other = member(to);

    return ph_mediator_peer(kind, request, &one, &other);
}

/* What the asker is answered; the peer is told. */
static PhMessage connect(PhStation *station, PhEntry *from, const PhMessage *message)
{
    const PhRate rate = PH_CONNECT_RATE;
    PhEntry *to = wanted(station, message);
    PhMessage told;

    if (!ph_bucket_take(&from->connects_ns, &rate, 1, station->now)) {
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
    if (!ph_station_tell(station, to, &told, false))
        return ph_mediator_refusal(PH_MESSAGE_CONNECT, PH_REASON_FULL, message->connect.request);
    station->counters.connects++;
    return peer_message(PH_MESSAGE_FOUND, message->connect.request, to, from);
}

static void introduce(PhStation *station, PhEntry *from, const PhMessage *message)
{
    const PhMediation mediation = {station->config.introductions_per_10s,
                                   station->config.introductions_at_once};
    PhEntry *to = ph_directory_by_key(&station->directory, message->introduce.key);
    PhMember asker = member(from), other = {0};
    PhMessage told[2];
    PhReason reason;

    if (to && to != from)
        other = member(to);
    reason = ph_mediator_introduce(&mediation, &asker, other.key ? &other : NULL, message,
                                   &station->random, station->now, told);
    if (reason != PH_REASON_NONE) {
        station->counters.introductions_refused++;
        told[0] = ph_mediator_refusal(PH_MESSAGE_INTRODUCE, reason, message->introduce.request);
        (void)ph_station_tell(station, from, &told[0], false);
    } else if (ph_station_tell(station, from, &told[0], false)) {
        (void)ph_station_tell(station, to, &told[1], false);
        station->counters.introductions++;
    }
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
        answer = connect(station, from, message);
        break;
    case PH_MESSAGE_RELAY:
        ph_station_relay(station, from, message);
        return;
    case PH_MESSAGE_INTRODUCE:
        update(from, &message->introduce.record);
        introduce(station, from, message);
        return;
    case PH_MESSAGE_UPDATE:
        update(from, &message->record);
        return;
    case PH_MESSAGE_PING:
        answer.kind = PH_MESSAGE_PONG;
        answer.ping.id = message->ping.id;
        answer.ping.seen = from->path.remote;
        break;
    case PH_MESSAGE_CLOSE:
        forget(station, from);
        return;
    case PH_MESSAGE_UNKNOWN:
    case PH_MESSAGE_KEEPALIVE:
    case PH_MESSAGE_DATA:
    case PH_MESSAGE_PONG:
    case PH_MESSAGE_MOVED:
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

/* All messages of a datagram. The node may be gone after each. */
static void handle_all(PhStation *station, uint32_t number, const uint8_t *bytes, size_t length)
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

static void write_answer(const PhMessage *message, uint8_t *payload, size_t *length)
{
    *length += ph_message_write(message, payload + *length, PH_SESSION_PAYLOAD_MAX - *length);
}

/* The same key again: it has begun anew, or its network is another one. Its number stays, so that
 * its peers reach it as before. */
static PhEntry *entry_for(PhStation *station, const uint8_t *key, const PhNodeRecord *record,
                          uint32_t session)
{
    PhEntry *entry = ph_directory_by_key(&station->directory, key);

    if (entry && strlen(entry->record.name) == strlen(record->name) &&
        memcmp(entry->record.name, record->name, strlen(record->name)) == 0) {
        if (entry->session != session)
            ph_sessions_close(station->sessions, entry->session, station->now);
        ph_directory_move(&station->directory, entry, session);
        entry->record = *record;
        return entry;
    }
    if (entry)
        forget(station, entry);
    return ph_directory_add(&station->directory, key, record, session);
}

/* Somebody asks for a session: the first message says who it is. */
static void accept_request(PhStation *station, const PhRoute *route, const PhSessionInput *input)
{
    uint8_t payload[PH_SESSION_PAYLOAD_MAX];
    size_t length = 0, used;
    PhMessage first, answer;
    PhEntry *entry;
    uint32_t session;
    PhReason reason;

    if (!ph_message_read(input->bytes, input->length, &first, &used) ||
        first.kind != PH_MESSAGE_REGISTER)
        return;
    reason = may_register(station, input->remote_key, &first.record);
    if (reason != PH_REASON_NONE) {
        station->counters.refused_name += reason == PH_REASON_NAME_TAKEN;
        station->counters.refused_full += reason == PH_REASON_FULL;
        answer = ph_mediator_refusal(PH_MESSAGE_REGISTER, reason, 0);
        write_answer(&answer, payload, &length);
        (void)ph_sessions_accept(station->sessions, payload, length, station->now);
        return; /* it is not registered, and its session ends by itself */
    }
    answer = registered(&route->path);
    write_answer(&answer, payload, &length);
    session = ph_sessions_accept(station->sessions, payload, length, station->now);
    if (session == 0)
        return;
    entry = entry_for(station, input->remote_key, &first.record, session);
    if (!entry)
        return;
    entry->confirmed = false;
    entry->path = route->path;
    entry->asked_ns = entry->heard_ns = station->now;
    station->counters.registered++;
    handle_all(station, entry->number, input->bytes + used, input->length - used);
}

static void take_message(PhStation *station, const PhRoute *route, const PhSessionInput *input)
{
    PhEntry *entry = ph_directory_by_session(&station->directory, input->session);

    if (!entry)
        return;
    if (!entry->confirmed) {
        entry->confirmed = true;
        entry->rtt_ns = station->now - entry->asked_ns;
    }
    entry->path = route->path;
    entry->heard_ns = station->now;
    handle_all(station, entry->number, input->bytes, input->length);
}

static void take_end(PhStation *station, const PhSessionInput *input)
{
    PhEntry *entry = ph_directory_by_session(&station->directory, input->session);

    if (entry)
        ph_directory_remove(&station->directory, entry);
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
        accept_request(station, &route, &input);
        return;
    case PH_SESSION_MESSAGE:
        take_message(station, &route, &input);
        return;
    case PH_SESSION_GONE:
        take_end(station, &input);
        return;
    case PH_SESSION_NOTHING:
    case PH_SESSION_UP:
        return;
    }
}

/* ---- time ---- */

void ph_station_handle_timeout(PhStation *station, uint64_t now)
{
    PhSessionInput input;

    station->now = now;
    ph_sessions_handle_timeout(station->sessions, now);
    for (ph_sessions_poll(station->sessions, &input); input.kind != PH_SESSION_NOTHING;
         ph_sessions_poll(station->sessions, &input))
        if (input.kind == PH_SESSION_GONE)
            take_end(station, &input);
    if (now - station->checked_ns < CHECK_NS)
        return;
    station->checked_ns = now;
    for (uint32_t i = 0; i < station->directory.n_slots; i++) {
        PhEntry *entry = ph_directory_at(&station->directory, i);

        if (!entry || now - entry->heard_ns < LIFETIME_S * PH_SECOND)
            continue;
        station->counters.expired++;
        forget(station, entry);
    }
}

uint64_t ph_station_next_timeout(const PhStation *station)
{
    uint64_t sessions = ph_sessions_next_timeout(station->sessions);
    uint64_t check = station->directory.n_entries ? station->checked_ns + CHECK_NS : UINT64_MAX;

    return sessions < check ? sessions : check;
}

const PhStationCounters *ph_station_counters(const PhStation *station)
{
    return &station->counters;
}

bool ph_station_node(const PhStation *station, uint32_t index, PhStationNode *ret_node)
{
    for (uint32_t i = 0; i < station->directory.n_slots; i++) {
        const PhEntry *entry = ph_directory_at(&station->directory, i);

        if (!entry || index-- > 0)
            continue;
        *ret_node = (PhStationNode){
            .seen = entry->path.remote,
            .nat_class = entry->record.nat_class,
            .relayed_bytes = entry->relayed_bytes,
        };
        memcpy(ret_node->key, entry->key, sizeof(entry->key));
        memcpy(ret_node->name, entry->record.name, sizeof(ret_node->name));
        return true;
    }
    return false;
}
