/* SPDX-License-Identifier: MIT */
/*
 * What a station tells of its introductions: who asked for whom, and what came of it. Refusals of
 * one node are told once a second at most, with their number, so that nobody fills a log.
 *
 * Every minute it is looked whether that is too much for one mediator: a hint says so.
 */
#include <string.h>

#include "station_private.h"

#define WINDOW_NS      (60 * PH_SECOND)
#define REFUSAL_NS     PH_SECOND
#define HINT_REFUSED   32 /* of those who ask too often, in a minute */
#define HINT_INTRODUCE 64 /* so many in a minute, before it is of interest who asks for them */

static PhStationEvent *new_event(PhStation *station, PhStationEventKind kind)
{
    PhStationLog *log = &station->log;
    PhStationEvent *event;

    /* Who does not look loses the oldest. */
    if (log->n == PH_STATION_EVENTS) {
        log->first = (log->first + 1) % PH_STATION_EVENTS;
        log->n--;
    }
    event = &log->events[(log->first + log->n++) % PH_STATION_EVENTS];
    memset(event, 0, sizeof(*event));
    event->kind = kind;
    return event;
}

static void say_who(PhStationEvent *event, const PhEntry *from)
{
    memcpy(event->key, from->key, sizeof(event->key));
    memcpy(event->name, from->record.name, sizeof(event->name));
}

static void begin_window(PhStation *station)
{
    PhStationLog *log = &station->log;

    if (log->window && station->now - log->begun_ns < WINDOW_NS)
        return;
    log->window++;
    log->begun_ns = station->now;
    log->introductions = log->refused = 0;
    log->hinted_refused = log->hinted_asker = false;
}

/* Of a node, in this window. */
static uint32_t *asked_by(PhStation *station, PhEntry *from)
{
    if (from->log_window != station->log.window)
        from->log_asked = 0;
    from->log_window = station->log.window;
    return &from->log_asked;
}

void ph_station_log_introduced(PhStation *station, PhEntry *from, const PhEntry *to,
                               uint8_t attempt)
{
    PhStationLog *log = &station->log;
    PhStationEvent *event = new_event(station, PH_STATION_INTRODUCED);
    uint32_t *asked;

    say_who(event, from);
    memcpy(event->peer_key, to->key, sizeof(event->peer_key));
    memcpy(event->peer, to->record.name, sizeof(event->peer));
    event->attempt = attempt;
    event->times = 1;
    begin_window(station);
    asked = asked_by(station, from);
    log->introductions++;
    (*asked)++;
    if (log->hinted_asker || log->introductions < HINT_INTRODUCE ||
        *asked <= log->introductions / 2)
        return;
    log->hinted_asker = true;
    event = new_event(station, PH_STATION_HINT);
    say_who(event, from);
    event->times = *asked;
    event->reason = "one-asks-most";
    event->sentence = ph_node_sentence(event->reason);
}

void ph_station_log_refused(PhStation *station, PhEntry *from, const uint8_t *peer_key,
                            uint8_t attempt, PhReason reason)
{
    PhStationLog *log = &station->log;
    PhStationEvent *event;

    begin_window(station);
    log->refused += reason == PH_REASON_TOO_MANY;
    if (log->refused >= HINT_REFUSED && !log->hinted_refused) {
        log->hinted_refused = true;
        event = new_event(station, PH_STATION_HINT);
        event->times = log->refused;
        event->reason = "too-many-refused";
        event->sentence = ph_node_sentence(event->reason);
    }
    from->log_refusals++;
    if (from->log_refused_ns && station->now - from->log_refused_ns < REFUSAL_NS)
        return;
    event = new_event(station, PH_STATION_NOT_INTRODUCED);
    say_who(event, from);
    memcpy(event->peer_key, peer_key, sizeof(event->peer_key));
    event->attempt = attempt;
    event->times = from->log_refusals;
    event->reason = ph_reason_name(reason);
    event->sentence = ph_reason_sentence(reason);
    from->log_refusals = 0;
    from->log_refused_ns = station->now;
}

bool ph_station_poll_event(PhStation *station, PhStationEvent *ret_event)
{
    PhStationLog *log = &station->log;

    if (log->n == 0)
        return false;
    *ret_event = log->events[log->first];
    log->first = (log->first + 1) % PH_STATION_EVENTS;
    log->n--;
    return true;
}
