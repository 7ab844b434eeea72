/* SPDX-License-Identifier: MIT */
/*
 * Who is registered at a station, and where:
 *
 *     a new key's request --> not confirmed: its messages wait, its name yields
 *                                 --confirmed--> registered
 *     a registered one's request --> a claim: nothing changes --confirmed--> in its place
 *     packets from elsewhere --> a trial: a ping goes there --answered from there--> it is there
 *     packets of the other family --> the same --answered from there--> it is there, too
 *
 * A request may be a replay, from anywhere, and a packet may have been caught and sent on from
 * elsewhere, or have a forged source, even its own node's. So nothing that is there is touched on
 * the word of either, and nobody is sent anything, or vouched for, at an address where he has not
 * shown that he gets what is sent there.
 */
#include <string.h>

#include "station_private.h"

/* So many CONNECTs of a request are done before it is confirmed: what is sent for their sake is no
 * more than the request. And so often a node is told of who is not confirmed. */
#define EARLY_CONNECTS 3
#define EARLY_RATE     ((PhRate){.per_second = 8, .burst = 32})
/* A ping along a way that is new, for each node. */
#define TRIAL_NS (PH_SECOND / 4)

/* ---- requests ---- */

static void drop_entry(PhStation *station, PhEntry *entry)
{
    ph_station_queue_clear(station, entry);
    if (entry->confirmed)
        station->sources[entry->source].nodes--;
    ph_directory_remove(&station->directory, entry);
}

void ph_station_forget(PhStation *station, PhEntry *entry)
{
    /* Nobody says goodbye to where it has not shown that it is. */
    if (entry->trial.path.remote.family != PH_FAMILY_NONE ||
        entry->beside.trial.path.remote.family != PH_FAMILY_NONE)
        ph_sessions_end_with(station->sessions, entry->session, NULL, station->now);
    else
        ph_sessions_close(station->sessions, entry->session, station->now);
    drop_entry(station, entry);
}

/* The oldest that is not confirmed makes room. */
static bool make_room(PhStation *station)
{
    const uint32_t n = station->n_unconfirmed;

    for (uint32_t i = 0; i < n; i++) {
        uint32_t number = station->unconfirmed[(station->next_unconfirmed + i) % n];
        PhEntry *entry = ph_directory_by_number(&station->directory, number);

        if (!entry || entry->confirmed)
            continue;
        ph_station_forget(station, entry);
        return true;
    }
    return false;
}

/* A name that somebody has is taken; who is not confirmed has none yet. */
static bool has_name(const PhStation *station, const uint8_t *key, const PhNodeRecord *record)
{
    const PhEntry *holder = ph_directory_by_name(&station->directory, record->name);

    return record->name[0] && holder && holder->confirmed &&
           memcmp(holder->key, key, PH_NODE_KEY_BYTES) != 0;
}

static PhReason may_ask(PhStation *station, const PhPath *path, const uint8_t *key,
                        const PhNodeRecord *record)
{
    const PhDirectory *directory = &station->directory;

    if (has_name(station, key, record))
        return PH_REASON_NAME_TAKEN;
    if (ph_directory_by_key(directory, key))
        return PH_REASON_NONE;
    if (directory->n_entries == directory->n_slots && !make_room(station))
        return PH_REASON_FULL;
    return ph_station_may_register(station, ph_station_source(station, &path->remote),
                                   /* take= */ false);
}

static void count_refusal(PhStationCounters *counters, PhReason reason)
{
    counters->refused_name += reason == PH_REASON_NAME_TAKEN;
    counters->refused_full += reason == PH_REASON_FULL;
    counters->refused_often += reason == PH_REASON_TOO_MANY;
}

/* Where the station is in the family that this one is not of; NULL: nowhere. */
static const PhAddress *also_at(const PhStation *station, const PhAddress *seen)
{
    for (unsigned i = 0; i < 2; i++) {
        const PhAddress *address = &station->config.addresses[i];

        if (address->family != PH_FAMILY_NONE && address->family != seen->family)
            return address;
    }
    return NULL;
}

static uint32_t answer(PhStation *station, const PhRoute *route, PhReason reason)
{
    PhMessage message = {.kind = PH_MESSAGE_REGISTERED};
    uint8_t payload[PH_SESSION_PAYLOAD_MAX];
    size_t length;

    if (reason != PH_REASON_NONE) {
        message = ph_mediator_refusal(PH_MESSAGE_REGISTER, reason, 0);
    } else {
        message.registered.lifetime_s = PH_STATION_LIFETIME_S;
        message.registered.seen = route->path.remote;
        if (also_at(station, &route->path.remote))
            message.registered.also = *also_at(station, &route->path.remote);
    }
    length = ph_message_write(&message, payload, sizeof(payload));
    return ph_sessions_accept(station->sessions, payload, length, station->now);
}

/* One whose key is new here. It takes the place of the oldest that is not confirmed, when there are
 * enough of these. */
static PhEntry *admit(PhStation *station, const uint8_t *key, const PhNodeRecord *record,
                      uint32_t session)
{
    uint32_t *place = &station->unconfirmed[station->next_unconfirmed];
    PhEntry *entry = ph_directory_by_number(&station->directory, *place);

    if (entry && !entry->confirmed)
        ph_station_forget(station, entry);
    entry = ph_directory_add(&station->directory, key, record, session);
    if (!entry)
        return NULL;
    *place = entry->number;
    station->next_unconfirmed = (station->next_unconfirmed + 1) % station->n_unconfirmed;
    if (!has_name(station, key, record))
        ph_directory_name(&station->directory, entry);
    ph_station_queue_wake(station, entry); /* its messages are kept */
    return entry;
}

/* The CONNECTs that come first in what else was asked for. */
static void connect_early(PhStation *station, PhEntry *entry)
{
    const PhRate rate = EARLY_RATE;
    PhClaim *claim = &entry->claim;
    PhMessage message, told;
    size_t used, at = 0;

    for (unsigned i = 0; i < EARLY_CONNECTS; i++, at += used) {
        PhEntry *to;

        if (at == claim->length ||
            !ph_message_read(claim->rest + at, claim->length - at, &message, &used) ||
            message.kind != PH_MESSAGE_CONNECT)
            break;
        to = ph_station_wanted(station, &message);
        if (to && !ph_bucket_take(&to->early_ns, &rate, 1, station->now))
            break;
        told = ph_station_connect(station, entry, &message);
        (void)ph_station_tell(station, entry, &told, /* relayed= */ false);
    }
    claim->length = (uint16_t)(claim->length - at);
    memmove(claim->rest, claim->rest + at, claim->length);
}

void ph_station_request(PhStation *station, const PhRoute *route, const PhSessionInput *input)
{
    PhMessage first;
    PhEntry *entry;
    PhClaim claim = {.path = route->path, .asked_ns = station->now};
    PhReason reason;
    size_t used;

    if (!ph_message_read(input->bytes, input->length, &first, &used) ||
        first.kind != PH_MESSAGE_REGISTER)
        return;
    reason = may_ask(station, &route->path, input->remote_key, &first.record);
    count_refusal(&station->counters, reason);
    claim.record = first.record;
    claim.length = (uint16_t)(input->length - used);
    memcpy(claim.rest, input->bytes + used, claim.length);
    claim.session = answer(station, route, reason);
    if (reason != PH_REASON_NONE || claim.session == 0)
        return; /* it is not registered; the session ends by itself */
    entry = ph_directory_by_key(&station->directory, input->remote_key);
    if (entry && entry->confirmed) {
        entry->claim = claim;
        return;
    }
    if (entry) /* whose session is over by now */
        drop_entry(station, entry);
    entry = admit(station, input->remote_key, &first.record, claim.session);
    if (!entry)
        return;
    entry->claim = claim;
    entry->heard_ns = station->now;
    connect_early(station, entry);
}

/* ---- what is confirmed ---- */

static PhReason may_settle(PhStation *station, const PhEntry *entry)
{
    const PhClaim *claim = &entry->claim;

    if (has_name(station, entry->key, &claim->record))
        return PH_REASON_NAME_TAKEN;
    if (entry->confirmed)
        return PH_REASON_NONE;
    return ph_station_may_register(station, ph_station_source(station, &claim->path.remote),
                                   /* take= */ true);
}

static void move_to(PhStation *station, PhEntry *entry, const PhPath *path)
{
    if (entry->confirmed)
        station->sources[entry->source].nodes--;
    entry->path = *path;
    entry->source = ph_station_source(station, &path->remote);
    station->sources[entry->source].nodes++;
    entry->trial = (PhTrial){0};
    if (entry->beside.path.remote.family == path->remote.family ||
        entry->beside.trial.path.remote.family == path->remote.family)
        entry->beside = (PhBeside){0};
}

/* The claim is its owner's: it becomes what the entry is. The number stays, so that peers reach it
 * as before. False: it is too late for that. */
static bool settle(PhStation *station, PhEntry *entry)
{
    const PhClaim *claim = &entry->claim;
    PhReason reason = may_settle(station, entry);

    if (reason != PH_REASON_NONE) {
        PhMessage refused = ph_mediator_refusal(PH_MESSAGE_REGISTER, reason, 0);

        count_refusal(&station->counters, reason);
        ph_sessions_end_with(station->sessions, claim->session, &refused, station->now);
        drop_entry(station, entry);
        return false;
    }
    ph_directory_unname(&station->directory, entry);
    entry->record = claim->record;
    ph_directory_name(&station->directory, entry);
    entry->session = claim->session;
    /* The proof could only be made by who got the answer, where that went. */
    move_to(station, entry, &claim->path);
    entry->confirmed = true;
    entry->rtt_ns = station->now - claim->asked_ns;
    station->counters.registered++;
    return true;
}

/* ---- where it is ---- */

static bool is_path(const PhPath *a, const PhPath *b)
{
    return a->transport == b->transport && a->socket == b->socket &&
           ph_address_equal(&a->remote, &b->remote);
}

/* A ping goes there, but not too often. */
static void try_path(PhStation *station, PhTrial *trial, const PhPath *path)
{
    /* Another elsewhere is no new beginning. */
    uint64_t begun_ns =
        trial->path.remote.family != PH_FAMILY_NONE ? trial->begun_ns : station->now;

    if (!is_path(path, &trial->path))
        *trial = (PhTrial){.path = *path, .pinged_ns = trial->pinged_ns, .begun_ns = begun_ns};
    if (trial->pinged_ns != 0 && station->now - trial->pinged_ns < TRIAL_NS)
        return;
    ph_random_bytes(&station->random, (uint8_t *)&trial->ping, sizeof(trial->ping));
    trial->pinged_ns = station->now;
    trial->due = true;
}

static bool has_answered(const PhTrial *trial, const PhPath *path, uint64_t id)
{
    return trial->ping != 0 && id == trial->ping && is_path(path, &trial->path);
}

/* Who has another family beside his own has not moved there. */
static void note_path(PhStation *station, PhEntry *entry, const PhPath *path)
{
    PhBeside *beside = &entry->beside;

    if (is_path(path, &entry->path))
        entry->trial = (PhTrial){.pinged_ns = entry->trial.pinged_ns};
    else if (path->remote.family == entry->path.remote.family)
        try_path(station, &entry->trial, path);
    else if (!is_path(path, &beside->path))
        try_path(station, &beside->trial, path);
    else
        beside->heard_ns = station->now;
}

bool ph_station_pinged(PhStation *station, PhEntry *entry, const PhPath *path, uint64_t id)
{
    PhBeside *beside = &entry->beside;

    if (path->remote.family == entry->path.remote.family)
        return false;
    if (is_path(path, &beside->path)) {
        beside->pong = id;
        beside->pong_due = true;
        ph_station_queue_wake(station, entry);
    }
    return true;
}

void ph_station_ponged(PhStation *station, PhEntry *entry, const PhPath *path, uint64_t id)
{
    if (has_answered(&entry->trial, path, id))
        move_to(station, entry, path);
    else if (has_answered(&entry->beside.trial, path, id))
        entry->beside = (PhBeside){.path = *path, .heard_ns = station->now};
    ph_station_queue_wake(station, entry);
}

void ph_station_expire_beside(const PhStation *station, PhEntry *entry)
{
    if (station->now - entry->beside.heard_ns >= PH_STATION_LIFETIME_S * PH_SECOND)
        entry->beside.path = (PhPath){0};
}

PhEntry *ph_station_hear(PhStation *station, const PhRoute *route, const PhSessionInput *input)
{
    PhEntry *entry = ph_directory_by_key(&station->directory, input->remote_key);
    uint32_t number;

    if (!entry || (entry->session != input->session && entry->claim.session != input->session)) {
        /* It was refused, or is over; else it would keep its place here for long. */
        ph_sessions_close(station->sessions, input->session, station->now);
        return NULL;
    }
    number = entry->number;
    if (entry->claim.session == input->session) {
        PhClaim claim = entry->claim;

        if (!settle(station, entry))
            return NULL;
        entry->claim = (PhClaim){0};
        entry->heard_ns = station->now;
        ph_station_queue_wake(station, entry);
        ph_station_handle_all(station, number, claim.rest, claim.length);
        entry = ph_directory_by_number(&station->directory, number);
        if (!entry)
            return NULL;
    }
    entry->heard_ns = station->now;
    note_path(station, entry, &route->path);
    ph_station_queue_wake(station, entry);
    return entry;
}

void ph_station_session_gone(PhStation *station, const PhSessionInput *input)
{
    PhEntry *entry = ph_directory_by_key(&station->directory, input->remote_key);

    if (!entry)
        return;
    if (entry->claim.session == input->session)
        entry->claim = (PhClaim){0};
    if (entry->session == input->session)
        drop_entry(station, entry);
}
