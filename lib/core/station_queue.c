/* SPDX-License-Identifier: MIT */
/*
 * What the station sends inside sessions: each node has a queue, of messages that share so many
 * slots. Of what is relayed to a node the oldest is dropped when its share is used up: what is new
 * is worth more to whoever waits. Nodes have turns.
 *
 * A node is sent to when it is confirmed, and has shown that it is where its packets come from now.
 * Until then its messages wait: few for each, and in half of the slots at most, where those of who
 * came first make room. Nobody who only says that he is somewhere has anything sent there.
 */
#include <assert.h>
#include <stdlib.h>

#include "station_private.h"

#define PENDING_MAX 1024
#define WAITING_MAX (PENDING_MAX / 2) /* for all that are not confirmed */
#define EARLY_MAX   16                /* for one of these */

bool ph_station_queue_init(PhStation *station)
{
    station->pending = calloc(PENDING_MAX, sizeof(*station->pending));
    if (!station->pending)
        return false;
    for (uint32_t i = PENDING_MAX; i > 0; i--) {
        station->pending[i - 1].next = station->free_pending;
        station->free_pending = i;
    }
    return true;
}

static bool may_be_sent_to(const PhEntry *entry)
{
    return entry->confirmed && entry->trial.path.remote.family == PH_FAMILY_NONE;
}

static bool has_turn(const PhEntry *entry)
{
    return entry->trial.due || (entry->queued > 0 && may_be_sent_to(entry));
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
    station->n_waiting -= !entry->confirmed;
}

void ph_station_queue_clear(PhStation *station, PhEntry *entry)
{
    while (entry->queued > 0)
        drop(station, entry, NULL);
    entry->trial.due = false;
    leave(station, entry);
}

/* Its oldest that is relayed; false: there is none. */
static bool drop_relayed(PhStation *station, PhEntry *entry)
{
    PhPending *before = NULL;

    for (uint32_t slot = entry->first; slot != 0; slot = before->next) {
        PhPending *pending = &station->pending[slot - 1];

        if (pending->relayed) {
            drop(station, entry, before);
            station->counters.relay_dropped_queue++;
            return true;
        }
        before = pending;
    }
    return false;
}

/* Of those that are not confirmed, who came first makes room. */
static void drop_early(PhStation *station)
{
    const uint32_t n = station->n_unconfirmed;

    for (uint32_t i = 0; i < n; i++) {
        uint32_t number = station->unconfirmed[(station->next_unconfirmed + i) % n];
        PhEntry *entry = ph_directory_by_number(&station->directory, number);

        if (entry && !entry->confirmed && entry->queued > 0) {
            drop(station, entry, NULL);
            return;
        }
    }
}

static bool make_room(PhStation *station, PhEntry *to, bool relayed)
{
    if (!to->confirmed && to->queued >= EARLY_MAX)
        drop(station, to, NULL);
    else if (!to->confirmed && station->n_waiting >= WAITING_MAX)
        drop_early(station);
    if (relayed && to->queued >= station->config.relay_queue_packets &&
        !drop_relayed(station, to)) {
        station->counters.relay_dropped_queue++;
        return false;
    }
    if (station->free_pending != 0 || drop_relayed(station, to))
        return true;
    station->counters.relay_dropped_queue += relayed;
    return false;
}

bool ph_station_tell(PhStation *station, PhEntry *to, const PhMessage *message, bool relayed)
{
    PhPending *pending;
    uint32_t slot;
    size_t length;

    if (!make_room(station, to, relayed))
        return false;
    slot = station->free_pending;
    pending = &station->pending[slot - 1];
    length = ph_message_write(message, pending->bytes, sizeof(pending->bytes));
    if (length == 0)
        return false;
    station->free_pending = pending->next;
    pending->next = 0;
    pending->length = (uint16_t)length;
    pending->relayed = relayed;
    *(to->last ? &station->pending[to->last - 1].next : &to->first) = slot;
    to->last = slot;
    to->queued++;
    station->n_waiting += !to->confirmed;
    ph_station_queue_wake(station, to);
    return true;
}

/* ---- sending ---- */

/* The length of what is to be sent; 0: it cannot be sealed, and is dropped. */
static size_t seal_ping(PhStation *station, PhEntry *to)
{
    PhMessage ping = {.kind = PH_MESSAGE_PING};
    uint8_t plain[16];
    size_t length;

    to->trial.due = false;
    ping.ping.id = to->trial.ping;
    length = ph_message_write(&ping, plain, sizeof(plain));
    return ph_sessions_seal(station->sessions, to->session, plain, length, station->now,
                            station->packet);
}

static size_t seal_first(PhStation *station, PhEntry *to)
{
    const PhPending *pending = &station->pending[to->first - 1];
    size_t length = ph_sessions_seal(station->sessions, to->session, pending->bytes,
                                     pending->length, station->now, station->packet);

    drop(station, to, NULL);
    return length;
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
        const PhPath path = to->trial.due ? to->trial.path : to->path;

        length = to->trial.due ? seal_ping(station, to) : seal_first(station, to);
        leave(station, to);
        ph_station_queue_wake(station, to);
        if (length == 0)
            continue;
        *ret_transmit = (PhTransmit){.path = path, .bytes = station->packet, .length = length};
        return true;
    }
    return false;
}
