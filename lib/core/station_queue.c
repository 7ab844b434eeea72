/* SPDX-License-Identifier: MIT */
/*
 * What the station sends inside sessions: each node has a queue, of messages that share so many
 * slots. Of what is relayed to a node the oldest is dropped when its share is used up: what is new
 * is worth more to whoever waits. Nodes have turns.
 *
 * A node is sent to when it is confirmed, and has shown that it is where its packets come from now.
 * Until then its messages are kept back: not for long, few for each, and in half of the slots at
 * most, where those of who came first make room. Nobody who only says that he is somewhere has
 * anything sent there.
 */
#include <assert.h>
#include <stdlib.h>

#include "station_private.h"

#define PENDING_MAX 1024
#define KEPT_MAX    (PENDING_MAX / 2) /* for all that are kept back */
#define KEPT_OWN    16                /* for one of these, beside what is relayed */
#define KEPT_NS     (2 * PH_SECOND)   /* for one that is confirmed, and comes from elsewhere */

bool ph_station_queue_init(PhStation *station)
{
    station->pending = calloc(PENDING_MAX, sizeof(*station->pending));
    return station->pending != NULL;
}

/* Slots that were never in use are memory that nobody touched. */
static bool has_slot(const PhStation *station)
{
    return station->free_pending != 0 || station->n_pending < PENDING_MAX;
}

static uint32_t next_slot(const PhStation *station)
{
    return station->free_pending ? station->free_pending : station->n_pending + 1;
}

static void take_slot(PhStation *station)
{
    if (station->free_pending == 0)
        station->n_pending++;
    else
        station->free_pending = station->pending[station->free_pending - 1].next;
}

static bool may_be_sent_to(const PhEntry *entry)
{
    return entry->confirmed && entry->trial.path.remote.family == PH_FAMILY_NONE;
}

static bool has_turn(const PhEntry *entry)
{
    return entry->trial.due || entry->beside.trial.due || entry->beside.pong_due ||
           (entry->queued > 0 && may_be_sent_to(entry));
}

/* ---- whose turn it is ---- */

static PhEntry *at(const PhStation *station, uint32_t link)
{
    return link ? &station->directory.entries[link - 1] : NULL;
}

static void leave(PhStation *station, PhEntry *entry)
{
    PhEntry *earlier = at(station, entry->earlier), *later = at(station, entry->later);

    if (!entry->ready)
        return;
    *(earlier ? &earlier->later : &station->first_ready) = entry->later;
    *(later ? &later->earlier : &station->last_ready) = entry->earlier;
    entry->ready = false;
    entry->earlier = entry->later = 0;
}

void ph_station_queue_wake(PhStation *station, PhEntry *entry)
{
    const uint32_t own = (uint32_t)(entry - station->directory.entries) + 1;
    PhEntry *last = at(station, station->last_ready);

    if (entry->kept == may_be_sent_to(entry)) {
        entry->kept = !entry->kept;
        station->n_kept += entry->kept ? entry->queued : -entry->queued;
    }
    if (!has_turn(entry)) {
        leave(station, entry);
        return;
    }
    if (entry->ready)
        return;
    entry->ready = true;
    entry->earlier = station->last_ready;
    *(last ? &last->later : &station->first_ready) = own;
    station->last_ready = own;
}

/* ---- what waits ---- */

/* Takes a message out of a queue: the one that follows `before` (NULL: the first). */
static void drop(PhStation *station, PhEntry *entry, PhPending *before)
{
    uint32_t *link = before ? &before->next : &entry->first, slot = *link;
    PhPending *pending = &station->pending[slot - 1];

    assert(slot != 0);
    if (entry->last == slot)
        entry->last = before ? (uint32_t)(before - station->pending) + 1 : 0;
    *link = pending->next;
    pending->next = station->free_pending;
    station->free_pending = slot;
    entry->queued--;
    entry->queued_relayed -= pending->relayed;
    station->n_kept -= entry->kept;
}

void ph_station_queue_clear(PhStation *station, PhEntry *entry)
{
    while (entry->queued > 0)
        drop(station, entry, NULL);
    entry->trial.due = entry->beside.trial.due = entry->beside.pong_due = false;
    leave(station, entry);
}

/* Its oldest that is relayed, or its oldest that is not; false: there is none. */
static bool drop_oldest(PhStation *station, PhEntry *entry, bool relayed)
{
    PhPending *before = NULL;

    for (uint32_t slot = entry->first; slot != 0;) {
        PhPending *pending = &station->pending[slot - 1];

        if (pending->relayed == relayed) {
            drop(station, entry, before);
            station->counters.relay_dropped_queue += relayed;
            return true;
        }
        before = pending;
        slot = pending->next;
    }
    return false;
}

/* Of those that are not confirmed, who came first makes room. */
static bool drop_early(PhStation *station)
{
    const uint32_t n = station->n_unconfirmed;

    for (uint32_t i = 0; i < n; i++) {
        uint32_t number = station->unconfirmed[(station->next_unconfirmed + i) % n];
        PhEntry *entry = ph_directory_by_number(&station->directory, number);

        if (entry && !entry->confirmed && entry->queued > 0) {
            drop(station, entry, NULL);
            return true;
        }
    }
    return false;
}

/* For a message to one that is kept back. */
static bool make_room_kept(PhStation *station, PhEntry *to, bool relayed)
{
    /* It is not where it seems to be, or somebody does not want it to be. */
    if (to->confirmed && station->now - to->trial.begun_ns >= KEPT_NS)
        return false;
    if (!relayed && to->queued - to->queued_relayed >= KEPT_OWN)
        return drop_oldest(station, to, /* relayed= */ false);
    if (station->n_kept < KEPT_MAX)
        return true;
    return drop_oldest(station, to, relayed) || (!to->confirmed && drop_early(station));
}

static bool make_room(PhStation *station, PhEntry *to, bool relayed)
{
    if (to->kept && !make_room_kept(station, to, relayed))
        return false;
    if (relayed && to->queued_relayed >= station->config.relay_queue_packets &&
        !drop_oldest(station, to, /* relayed= */ true))
        return false;
    return has_slot(station) || drop_oldest(station, to, /* relayed= */ true);
}

bool ph_station_tell(PhStation *station, PhEntry *to, const PhMessage *message, bool relayed)
{
    PhPending *pending;
    uint32_t slot;
    size_t length;

    if (!make_room(station, to, relayed)) {
        station->counters.relay_dropped_queue += relayed;
        return false;
    }
    slot = next_slot(station);
    pending = &station->pending[slot - 1];
    length = ph_message_write(message, pending->bytes, sizeof(pending->bytes));
    if (length == 0)
        return false;
    take_slot(station);
    pending->length = (uint16_t)length;
    pending->next = 0;
    pending->relayed = relayed;
    *(to->last ? &station->pending[to->last - 1].next : &to->first) = slot;
    to->last = slot;
    to->queued++;
    to->queued_relayed += relayed;
    station->n_kept += to->kept;
    ph_station_queue_wake(station, to);
    return true;
}

/* ---- sending ---- */

/* The length of what is to be sent; 0: it cannot be sealed, and is dropped. */
static size_t seal(PhStation *station, const PhEntry *to, const PhMessage *message)
{
    uint8_t plain[64];
    size_t length = ph_message_write(message, plain, sizeof(plain));

    return ph_sessions_seal(station->sessions, to->session, plain, length, station->now,
                            station->packet);
}

static size_t seal_ping(PhStation *station, const PhEntry *to, PhTrial *trial)
{
    PhMessage ping = {.kind = PH_MESSAGE_PING};

    trial->due = false;
    ping.ping.id = trial->ping;
    return seal(station, to, &ping);
}

static size_t seal_pong(PhStation *station, PhEntry *to)
{
    PhMessage pong = {.kind = PH_MESSAGE_PONG};

    to->beside.pong_due = false;
    pong.ping.id = to->beside.pong;
    pong.ping.seen = to->beside.path.remote;
    return seal(station, to, &pong);
}

static size_t seal_first(PhStation *station, PhEntry *to)
{
    const PhPending *pending = &station->pending[to->first - 1];
    size_t length = ph_sessions_seal(station->sessions, to->session, pending->bytes,
                                     pending->length, station->now, station->packet);

    drop(station, to, NULL);
    return length;
}

/* What it is, and which way it goes. */
static size_t seal_next(PhStation *station, PhEntry *to, PhPath *ret_path)
{
    PhBeside *beside = &to->beside;

    if (to->trial.due) {
        *ret_path = to->trial.path;
        return seal_ping(station, to, &to->trial);
    }
    if (beside->trial.due) {
        *ret_path = beside->trial.path;
        return seal_ping(station, to, &beside->trial);
    }
    *ret_path = beside->pong_due ? beside->path : to->path;
    return beside->pong_due ? seal_pong(station, to) : seal_first(station, to);
}

bool ph_station_poll_transmit(PhStation *station, PhTransmit *ret_transmit)
{
    const uint8_t *bytes;
    PhRoute route;
    size_t length;
    PhEntry *to;

    if (ph_sessions_poll_transmit(station->sessions, &route, &bytes, &length)) {
        *ret_transmit = (PhTransmit){.path = route.path, .bytes = bytes, .length = length};
        return true;
    }
    while ((to = at(station, station->first_ready))) {
        PhPath path;

        length = seal_next(station, to, &path);
        leave(station, to);
        ph_station_queue_wake(station, to);
        if (length == 0)
            continue;
        *ret_transmit = (PhTransmit){.path = path, .bytes = station->packet, .length = length};
        return true;
    }
    return false;
}
