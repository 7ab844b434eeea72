/* SPDX-License-Identifier: MIT */
/*
 * A fresh socket for a peer, and where the hub's reflector sees it, before an attempt:
 *
 *     NONE --begin--> WANTED --> OPENING --opened--> ASKING --answered--> KNOWN
 *       ^                           |                  |                    |
 *       +------ dropped ------------+---- no answer ---+---- used, or not --+
 *
 * It is for a port that is worn out at its router, or that a packet which came too early has
 * poisoned there; and, behind a NAT that gives out ports in sequence, for knowing where it has got
 * to. Both sides need one at the same time, so that the one who asks the mediator tells the other
 * one first:
 *
 *     asker --PREPARE--> peer        both ask the reflector
 *     asker <--PREPARED-- peer       which has told the hub before that
 *     asker --INTRODUCE--> mediator
 */
#include <string.h>

#include "bucket.h"
#include "node_private.h"

/* How long the asker waits for the two of them, and each for the introduction. */
#define PREPARE_NS (3 * PH_SECOND / 2)
#define KEEP_NS    (10 * PH_SECOND)
/* Of the question to the reflector. */
#define ASK_SCHEDULE ((PhSchedule){.copies = 3, .first_ns = 200 * PH_MS, .last_ns = 400 * PH_MS})

/* Most of the time nobody has one, and nobody is looked at. */
static void set_state(PhNode *node, PhPrepared *prepared, PhPreparedState state)
{
    node->n_prepared += state != PH_PREPARED_NONE;
    node->n_prepared -= prepared->state != PH_PREPARED_NONE;
    prepared->state = state;
}

static void begin(PhNode *node, PhPeer *peer, uint64_t until_ns)
{
    set_state(node, &peer->prepared, PH_PREPARED_WANTED);
    peer->prepared.socket = ph_node_socket_numbers(node, 1);
    peer->prepared.until_ns = until_ns;
}

void ph_node_fresh_drop(PhNode *node, PhPeer *peer)
{
    PhPrepared *prepared = &peer->prepared;
    bool known = prepared->state == PH_PREPARED_KNOWN;

    if (prepared->state > PH_PREPARED_WANTED)
        ph_node_close_socket(node, prepared->socket);
    set_state(node, prepared, PH_PREPARED_NONE);
    *prepared = (PhPrepared){0};
    if (known)
        ph_node_tell_hub_record(node);
}

bool ph_node_fresh_take(PhNode *node, PhPeer *peer, uint32_t socket)
{
    if (peer->prepared.state != PH_PREPARED_KNOWN || peer->prepared.socket != socket)
        return false;
    set_state(node, &peer->prepared, PH_PREPARED_NONE);
    peer->prepared = (PhPrepared){0};
    return true;
}

static bool is_wanted(const PhNodeRecord *record, const PhPeer *peer)
{
    if (peer->strategy == PH_STRATEGY_PREDICT)
        return ph_strategy_is_sequential(record);
    return peer->strategy == PH_STRATEGY_PUNCH && peer->attempt + 1 >= PH_PUNCH_FRESH_ATTEMPT;
}

bool ph_node_fresh_prepare(PhNode *node, PhPeer *peer)
{
    PhMessage prepare = {.kind = PH_MESSAGE_PREPARE};
    PhPrepared *prepared = &peer->prepared;
    /* What is dialled need not be told of a socket that dials; but the way is to be another one. */
    bool ours = is_wanted(&node->record, peer) || peer->renewing,
         theirs = is_wanted(&peer->record, peer);

    if (prepared->asks) {
        bool done = (prepared->done || !ours) && (prepared->answered || !theirs);

        if (!done && node->now < prepared->until_ns)
            peer->next_attempt_ns = prepared->until_ns;
        return done || node->now >= prepared->until_ns;
    }
    if (!ours && !theirs)
        return true;
    ph_node_fresh_drop(node, peer);
    prepared->asks = true;
    prepared->until_ns = node->now + PREPARE_NS;
    if (ours)
        begin(node, peer, prepared->until_ns);
    if (theirs)
        (void)ph_node_tell(node, peer->session, &peer->used->route, &prepare);
    peer->next_attempt_ns = prepared->until_ns;
    return false;
}

static void answer(PhNode *node, PhPeer *peer)
{
    PhMessage message = {.kind = PH_MESSAGE_PREPARED};

    (void)ph_node_tell(node, peer->session, &peer->used->route, &message);
}

/* What came of it: the place is known, or will not be. */
static void finish(PhNode *node, PhPeer *peer, bool known)
{
    PhPrepared *prepared = &peer->prepared;
    bool asks = prepared->asks;

    prepared->done = true;
    if (known) {
        set_state(node, prepared, PH_PREPARED_KNOWN);
        prepared->mapped = prepared->exchange.mapped;
        ph_node_tell_hub_record(node);
    } else {
        if (prepared->state > PH_PREPARED_WANTED)
            ph_node_close_socket(node, prepared->socket);
        set_state(node, prepared, PH_PREPARED_NONE);
    }
    if (asks)
        peer->next_attempt_ns = node->now;
    else
        answer(node, peer);
}

void ph_node_fresh_asked(PhNode *node, PhPeer *peer)
{
    if (node->config.relay_only || peer->punch || peer->prepared.asks)
        return;
    if (peer->prepared.state == PH_PREPARED_NONE)
        begin(node, peer, node->now + KEEP_NS);
    else if (peer->prepared.state == PH_PREPARED_KNOWN)
        answer(node, peer);
}

void ph_node_fresh_answered(PhNode *node, PhPeer *peer)
{
    if (!peer->prepared.asks)
        return;
    peer->prepared.answered = true;
    peer->next_attempt_ns = node->now;
}

/* ---- its socket ---- */

bool ph_node_fresh_poll_socket(PhNode *node, PhSocketRequest *ret_request)
{
    for (unsigned i = 0; node->n_prepared > 0 && i < node->peers_n; i++) {
        PhPrepared *prepared = &node->peers[i].prepared;

        if (prepared->state != PH_PREPARED_WANTED)
            continue;
        set_state(node, prepared, PH_PREPARED_OPENING);
        *ret_request = (PhSocketRequest){
            .kind = PH_SOCKET_OPEN,
            .transport = PH_TRANSPORT_UDP,
            .socket = prepared->socket,
            .family = (PhFamily)node->config.hub.family,
        };
        return true;
    }
    return false;
}

bool ph_node_fresh_socket(PhNode *node, uint32_t socket, bool opened)
{
    const PhPath path = {PH_TRANSPORT_UDP, socket, node->config.hub};
    const PhSchedule schedule = ASK_SCHEDULE;

    for (unsigned i = 0; i < node->peers_n; i++) {
        PhPeer *peer = &node->peers[i];
        PhPrepared *prepared = &peer->prepared;

        if (prepared->state != PH_PREPARED_OPENING || prepared->socket != socket)
            continue;
        if (opened) {
            set_state(node, prepared, PH_PREPARED_ASKING);
            ph_exchange_start(&prepared->exchange, &node->random, &path, &schedule, node->now);
            node->counters.reflex_asked++;
        } else {
            set_state(node, prepared, PH_PREPARED_WANTED); /* there is nothing to close */
            finish(node, peer, false);
        }
        return true;
    }
    return false;
}

bool ph_node_fresh_poll_transmit(PhNode *node, PhTransmit *ret_transmit)
{
    for (unsigned i = 0; node->n_prepared > 0 && i < node->peers_n; i++) {
        PhPrepared *prepared = &node->peers[i].prepared;

        if (prepared->state != PH_PREPARED_ASKING || !prepared->exchange.pending)
            continue;
        *ret_transmit = (PhTransmit){
            .path = prepared->exchange.path,
            .bytes = node->request,
            .length = ph_exchange_write(&prepared->exchange, node->request),
        };
        return true;
    }
    return false;
}

bool ph_node_fresh_datagram(PhNode *node, const PhPath *path, const uint8_t *bytes, size_t length)
{
    PhStunMessage message;

    if (node->n_prepared == 0 || ph_stun_read(bytes, length, &message) != PH_STUN_OK)
        return false;
    for (unsigned i = 0; i < node->peers_n; i++) {
        PhPeer *peer = &node->peers[i];
        PhPrepared *prepared = &peer->prepared;

        if (prepared->state != PH_PREPARED_ASKING ||
            !ph_exchange_receive(&prepared->exchange, path, &message, node->now))
            continue;
        node->counters.reflex_answered++;
        finish(node, peer, prepared->exchange.state == PH_EXCHANGE_ANSWERED);
        return true;
    }
    return false;
}

/* ---- time ---- */

void ph_node_fresh_timeout(PhNode *node, PhPeer *peer)
{
    PhPrepared *prepared = &peer->prepared;

    if (prepared->state == PH_PREPARED_ASKING) {
        ph_exchange_handle_timeout(&prepared->exchange, node->now);
        if (prepared->exchange.state == PH_EXCHANGE_SILENT)
            finish(node, peer, false);
    }
    /* The other one did not come back to it. */
    if (prepared->state != PH_PREPARED_NONE && !prepared->asks && !peer->punch &&
        node->now >= prepared->until_ns)
        ph_node_fresh_drop(node, peer);
    /* What is there works again before the mediator was asked, or has answered. */
    if (prepared->asks && !peer->punch && !ph_node_may_attempt(peer) &&
        (peer->introduce.request == 0 || node->now >= prepared->until_ns + KEEP_NS))
        ph_node_fresh_drop(node, peer);
}

uint64_t ph_node_fresh_next(const PhPeer *peer)
{
    const PhPrepared *prepared = &peer->prepared;

    if (prepared->state == PH_PREPARED_ASKING)
        return ph_exchange_next_timeout(&prepared->exchange);
    if (prepared->state == PH_PREPARED_KNOWN && !prepared->asks && !peer->punch)
        return prepared->until_ns;
    return PH_NEVER;
}
