/* SPDX-License-Identifier: MIT */
/*
 * The table of sessions: slots that are all there from the beginning, found by key, by id and by
 * the index in a packet, ordered by when they want to be woken. What ended waits in a ring until it
 * is told. The newest date of a key's requests is remembered beyond its session.
 */
#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "session_private.h"

#define DATED_WAYS 4 /* places that a key's date may be in */

static uint32_t size_of(const PhSessions *sessions)
{
    return 1U << sessions->slot_bits;
}

static uint32_t hash(const PhSessions *sessions, const uint8_t key[static PH_SESSION_KEY_BYTES])
{
    uint8_t made[crypto_shorthash_BYTES];

    _Static_assert(sizeof(sessions->hash_key) == crypto_shorthash_KEYBYTES, "it is the key");
    crypto_shorthash(made, key, PH_SESSION_KEY_BYTES, sessions->hash_key);
    return ph_get32(made) & (size_of(sessions) - 1);
}

bool ph_session_table_init(PhSessions *sessions)
{
    uint32_t n = sessions->config.sessions_max, size;

    while (size_of(sessions) < n || size_of(sessions) < DATED_WAYS)
        sessions->slot_bits++;
    size = size_of(sessions);
    sessions->slots = calloc(n, sizeof(*sessions->slots));
    sessions->asks = calloc(n, sizeof(*sessions->asks));
    sessions->answers = calloc(n, sizeof(*sessions->answers));
    sessions->heap = calloc(n, sizeof(PhSession *));
    sessions->ended = calloc(n + 1, sizeof(*sessions->ended));
    sessions->by_key = calloc(size, sizeof(PhSession *));
    sessions->by_id = calloc(size, sizeof(PhSession *));
    sessions->dated = calloc(size, sizeof(*sessions->dated));
    return sessions->slots && sessions->asks && sessions->answers && sessions->heap &&
           sessions->ended && sessions->by_key && sessions->by_id && sessions->dated;
}

void ph_session_table_free(PhSessions *sessions)
{
    for (uint32_t i = 0; i < sessions->n_touched; i++) {
        if (sessions->slots[i].state == PH_SESSION_STATE_FREE)
            continue;
        sodium_memzero(&sessions->slots[i], sizeof(sessions->slots[i]));
        sodium_memzero(&sessions->asks[i], sizeof(sessions->asks[i]));
    }
    free(sessions->slots);
    free(sessions->asks);
    free(sessions->answers);
    free(sessions->heap);
    free(sessions->ended);
    free(sessions->by_key);
    free(sessions->by_id);
    free(sessions->dated);
}

/* ---- finding ---- */

static uint32_t slot_of(const PhSessions *sessions, const PhSession *session)
{
    return (uint32_t)(session - sessions->slots);
}

PhAsk *ph_session_ask_of(const PhSessions *sessions, const PhSession *session)
{
    return &sessions->asks[slot_of(sessions, session)];
}

PhAnswer *ph_session_answer_of(const PhSessions *sessions, const PhSession *session)
{
    return &sessions->answers[slot_of(sessions, session)];
}

PhSession *ph_session_by_id(const PhSessions *sessions, uint32_t id)
{
    PhSession *session = sessions->by_id[id & (size_of(sessions) - 1)];

    while (session && session->id != id)
        session = session->next_by_id;
    return session;
}

PhSession *ph_session_by_index(const PhSessions *sessions, uint32_t index)
{
    uint32_t slot = index & (size_of(sessions) - 1);

    if (slot >= sessions->config.sessions_max ||
        sessions->slots[slot].state == PH_SESSION_STATE_FREE)
        return NULL;
    return &sessions->slots[slot];
}

PhSession *ph_session_of_key(const PhSessions *sessions, const PhSession *after,
                             const uint8_t key[static PH_SESSION_KEY_BYTES])
{
    PhSession *session = after ? after->next_by_key : sessions->by_key[hash(sessions, key)];

    while (session && memcmp(session->remote_key, key, PH_SESSION_KEY_BYTES) != 0)
        session = session->next_by_key;
    return session;
}

uint32_t ph_session_make_index(PhSessions *sessions, const PhSession *session)
{
    const PhAsk *ask = ph_session_ask_of(sessions, session);
    uint32_t index;

    do {
        ph_random_bytes(&sessions->random, (uint8_t *)&index, sizeof(index));
        index = index << sessions->slot_bits | slot_of(sessions, session);
    } while (index == 0 || index == session->previous.own_index ||
             index == session->current.own_index || index == session->next.own_index ||
             (ask->active && index == ask->own_index));
    return index;
}

/* ---- what is due: a binary heap ---- */

static void place(PhSessions *sessions, PhSession *session, uint32_t at)
{
    sessions->heap[at] = session;
    session->heap_at = at;
}

static void sift(PhSessions *sessions, PhSession *session)
{
    uint32_t at = session->heap_at, child;

    while (at > 0 && sessions->heap[(at - 1) / 2]->due_ns > session->due_ns) {
        place(sessions, sessions->heap[(at - 1) / 2], at);
        at = (at - 1) / 2;
    }
    while ((child = 2 * at + 1) < sessions->n_heap) {
        if (child + 1 < sessions->n_heap &&
            sessions->heap[child + 1]->due_ns < sessions->heap[child]->due_ns)
            child++;
        if (sessions->heap[child]->due_ns >= session->due_ns)
            break;
        place(sessions, sessions->heap[child], at);
        at = child;
    }
    place(sessions, session, at);
}

void ph_session_set_due(PhSessions *sessions, PhSession *session, uint64_t due_ns)
{
    session->due_ns = due_ns;
    sift(sessions, session);
}

static void leave_heap(PhSessions *sessions, PhSession *session)
{
    PhSession *last = sessions->heap[--sessions->n_heap];

    if (last == session)
        return;
    place(sessions, last, session->heap_at);
    sift(sessions, last);
}

/* ---- dates ---- */

static PhDated *dated_of(const PhSessions *sessions, const uint8_t *key)
{
    return &sessions->dated[hash(sessions, key) & ~(uint32_t)(DATED_WAYS - 1)];
}

bool ph_session_is_newer(const PhSessions *sessions, const uint8_t key[static PH_SESSION_KEY_BYTES],
                         const uint8_t date[static PH_DATE_BYTES])
{
    const PhDated *dated = dated_of(sessions, key);

    for (const PhSession *s = NULL; (s = ph_session_of_key(sessions, s, key));)
        if (memcmp(date, s->date, PH_DATE_BYTES) <= 0)
            return false;
    for (unsigned i = 0; i < DATED_WAYS; i++)
        if (dated[i].noted != 0 && memcmp(dated[i].key, key, PH_SESSION_KEY_BYTES) == 0 &&
            memcmp(date, dated[i].date, PH_DATE_BYTES) <= 0)
            return false;
    return true;
}

/* In its own place, or that of the oldest. */
static void note_date(PhSessions *sessions, const PhSession *session)
{
    static const uint8_t none[PH_DATE_BYTES];
    PhDated *dated = dated_of(sessions, session->remote_key), *place = dated;

    if (memcmp(session->date, none, PH_DATE_BYTES) == 0)
        return;
    for (unsigned i = 0; i < DATED_WAYS; i++) {
        if (dated[i].noted != 0 &&
            memcmp(dated[i].key, session->remote_key, PH_SESSION_KEY_BYTES) == 0) {
            place = &dated[i];
            break;
        }
        if (dated[i].noted < place->noted)
            place = &dated[i];
    }
    if (memcmp(place->key, session->remote_key, PH_SESSION_KEY_BYTES) != 0) {
        memcpy(place->key, session->remote_key, PH_SESSION_KEY_BYTES);
        memcpy(place->date, none, PH_DATE_BYTES);
    }
    if (memcmp(session->date, place->date, PH_DATE_BYTES) > 0)
        memcpy(place->date, session->date, PH_DATE_BYTES);
    place->noted = ++sessions->n_noted;
}

/* ---- coming and going ---- */

void ph_session_set_state(PhSessions *sessions, PhSession *session, PhSessionState state)
{
    if (session->state == PH_SESSION_STATE_UNCONFIRMED) {
        *(session->older ? &session->older->newer : &sessions->oldest) = session->newer;
        *(session->newer ? &session->newer->older : &sessions->newest) = session->older;
        session->older = session->newer = NULL;
    }
    if (state == PH_SESSION_STATE_UNCONFIRMED) {
        session->older = sessions->newest;
        *(sessions->newest ? &sessions->newest->newer : &sessions->oldest) = session;
        sessions->newest = session;
    }
    session->state = state;
}

/* One that was in use before, if there is one; NULL: all are. */
static PhSession *take_slot(PhSessions *sessions)
{
    PhSession *session = sessions->free_slots;

    if (session)
        sessions->free_slots = session->next_free;
    else if (sessions->n_touched < sessions->config.sessions_max)
        session = &sessions->slots[sessions->n_touched++];
    return session;
}

PhSession *ph_session_add(PhSessions *sessions, const uint8_t key[static PH_SESSION_KEY_BYTES])
{
    PhSession *session, **chain;

    if (!sessions->free_slots && sessions->n_touched == sessions->config.sessions_max &&
        sessions->oldest && ph_session_may_end(sessions, 1))
        ph_session_end(sessions, sessions->oldest, "full");
    if (!(session = take_slot(sessions)))
        return NULL;
    do
        sessions->last_id++;
    while (sessions->last_id == 0 || ph_session_by_id(sessions, sessions->last_id));
    *session = (PhSession){.state = PH_SESSION_STATE_ASKING, .id = sessions->last_id};
    memcpy(session->remote_key, key, PH_SESSION_KEY_BYTES);
    chain = &sessions->by_key[hash(sessions, key)];
    session->next_by_key = *chain;
    *chain = session;
    chain = &sessions->by_id[session->id & (size_of(sessions) - 1)];
    session->next_by_id = *chain;
    *chain = session;
    session->due_ns = UINT64_MAX;
    place(sessions, session, sessions->n_heap++);
    return session;
}

void ph_session_remove(PhSessions *sessions, PhSession *session)
{
    PhSession **at;

    note_date(sessions, session);
    ph_session_set_state(sessions, session, PH_SESSION_STATE_FREE);
    leave_heap(sessions, session);
    for (at = &sessions->by_key[hash(sessions, session->remote_key)]; *at != session;)
        at = &(*at)->next_by_key;
    *at = session->next_by_key;
    for (at = &sessions->by_id[session->id & (size_of(sessions) - 1)]; *at != session;)
        at = &(*at)->next_by_id;
    *at = session->next_by_id;
    ph_session_stop_asking(sessions, session);
    ph_session_answer_of(sessions, session)->length = 0;
    sodium_memzero(session, sizeof(*session));
    session->next_free = sessions->free_slots;
    sessions->free_slots = session;
}

bool ph_session_may_end(const PhSessions *sessions, uint32_t n)
{
    return sessions->n_ended + n <= sessions->config.sessions_max + 1;
}

void ph_session_end(PhSessions *sessions, PhSession *session, const char *reason)
{
    uint32_t size = sessions->config.sessions_max + 1;
    PhEnded *ended = &sessions->ended[(sessions->first_ended + sessions->n_ended) % size];

    assert(ph_session_may_end(sessions, 1));
    *ended = (PhEnded){.id = session->id, .reason = reason};
    memcpy(ended->remote_key, session->remote_key, PH_SESSION_KEY_BYTES);
    sessions->n_ended++;
    ph_session_remove(sessions, session);
}
