/* SPDX-License-Identifier: MIT */
/*
 * Attempts at a direct way: when, who asks the mediator, and what comes of a punch. The ways
 * themselves are in node_path.c.
 */
#include <string.h>

#include "bucket.h"
#include "node_private.h"

#define BACK_OFF_MOST_NS (64 * PH_SECOND)
/* The peer's class may be on its way; a mediator's answer takes no longer than that. */
#define AGAIN_SOON_NS (PH_SECOND / 2)
#define MEDIATOR_NS   (4 * PH_SECOND)
#define ATTEMPTS      4
/* The second one comes upon the ports that the first has opened. */
#define HARD_ATTEMPTS 2

static bool guesses_ports(PhStrategy strategy)
{
    return strategy == PH_STRATEGY_PREDICT || strategy == PH_STRATEGY_SPREAD ||
           strategy == PH_STRATEGY_SCATTER;
}

/* In the family that both are known in. Where the hub sees the two says whether they are behind one
 * NAT. Then the addresses inside are tried before any ports are guessed. */
static PhStrategy strategy_known(const PhNode *node, const PhPeer *peer, unsigned attempt)
{
    PhStrategy strategy = ph_strategy(&node->record, &peer->record, !node->config.no_hard_punching);

    if (attempt <= 1 && guesses_ports(strategy) &&
        ph_strategy_together(&node->record, &peer->record))
        return PH_STRATEGY_PUNCH;
    return strategy;
}

/* What is between the two in the other family nobody knows: both send, before ports are guessed,
 * too. */
static PhStrategy strategy_for(const PhNode *node, const PhPeer *peer, unsigned attempt)
{
    PhStrategy strategy = strategy_known(node, peer, attempt);

    if (!ph_node_family_shared(node, peer) || (attempt > 1 && guesses_ports(strategy)))
        return strategy;
    return PH_STRATEGY_PUNCH;
}

/* By an address that means something only where we are, too. */
static bool is_inside(const PhPeer *peer, const PhAddress *remote)
{
    bool local = false;

    for (unsigned i = 0; i < peer->record.n_candidates && i < PH_CANDIDATES_MAX; i++) {
        const PhCandidate *candidate = &peer->record.candidates[i];

        if (candidate->kind == PH_CANDIDATE_REFLEXIVE &&
            ph_address_equal_host(&candidate->address, remote))
            return false;
        local = local || (candidate->kind == PH_CANDIDATE_LOCAL &&
                          ph_address_equal(&candidate->address, remote));
    }
    return local && !ph_address_equal_host(remote, &peer->seen);
}

/* Of a direct path: by what is known of the two now, however it was opened. */
PhPathKind ph_node_kind(const PhNode *node, const PhPeer *peer)
{
    PhStrategy strategy = strategy_known(node, peer, 1);

    if (is_inside(peer, &peer->direct.route.path.remote))
        return PH_PATH_DIRECT; /* there is nothing in between */
    if (ph_node_family_leads_to(node, peer, &peer->direct.route.path.remote))
        return ph_node_family_is_open(node, peer) ? PH_PATH_DIRECT : PH_PATH_PUNCHED;
    return strategy == PH_STRATEGY_DIAL || strategy == PH_STRATEGY_WAIT ? PH_PATH_DIRECT
                                                                        : PH_PATH_PUNCHED;
}

const char *ph_node_direct_reason(const PhNode *node, const PhPeer *peer)
{
    if (is_inside(peer, &peer->direct.route.path.remote))
        return "neighbours";
    if (ph_node_family_leads_to(node, peer, &peer->direct.route.path.remote))
        return "other-family";
    if (ph_node_kind(node, peer) == PH_PATH_DIRECT)
        return ph_strategy_name(strategy_known(node, peer, 1));
    return peer->opened ? ph_strategy_name(peer->strategy) : "heard";
}

void ph_node_back_off(PhNode *node, PhPeer *peer)
{
    ph_node_fresh_drop(node, peer);
    peer->renewing = false;
    node->counters.relay_fallbacks += peer->used == &peer->relayed;
    peer->attempt = 0;
    peer->next_attempt_ns = node->now + peer->back_off_ns;
    peer->back_off_ns *= 2;
    if (peer->back_off_ns > BACK_OFF_MOST_NS)
        peer->back_off_ns = BACK_OFF_MOST_NS;
}

/* A suspect path is reason enough to look for another one, and so is one that will end of age; one
 * that is there no more may still be proven meanwhile. */
bool ph_node_may_attempt(const PhPeer *peer)
{
    return !peer->punch && !(peer->proving && peer->opened) &&
           (!peer->direct.there || peer->direct.detector.health != PH_HEALTHY || peer->renewing);
}

void ph_node_renew(PhNode *node, PhPeer *peer)
{
    peer->renewing = true;
    peer->attempt = PH_PUNCH_FRESH_ATTEMPT - 1;
    peer->next_attempt_ns = node->now;
}

/* Who wanted the peer asks; the other one is told. */
static bool is_asker(const PhPeer *peer)
{
    return peer->ours && (peer->lower || !peer->theirs);
}

/* N8: nobody is left who could be asked. That is told once. */
static void no_mediator(PhNode *node, PhPeer *peer)
{
    PhNodeEvent *event = peer->alone ? NULL : ph_node_event(node, PH_NODE_PEER_PATH, peer);

    if (event)
        ph_node_say_reason(event, PH_REASON_NO_MEDIATOR);
    peer->alone = true;
    peer->reason = ph_reason_name(PH_REASON_NO_MEDIATOR);
    peer->introduce.n_asked = 0;
    ph_node_back_off(node, peer);
}

/* Who has not answered by then is passed over, as who has refused is. */
static void ask_mediator(PhNode *node, PhPeer *peer)
{
    uint32_t via = ph_node_next_mediator(node, peer);

    if (peer->introduce.request != 0 && node->now >= peer->attempt_ns + MEDIATOR_NS)
        ph_node_tell_attempt(node, peer, PH_OUTCOME_REJECTED, peer->attempt + 1, "mediator-silent");
    if (via == 0 && peer->introduce.request != 0) {
        peer->introduce.n_asked = 0; /* the last one is silent: it was a packet that was lost */
        peer->introduce.request = 0;
        via = ph_node_next_mediator(node, peer);
    }
    peer->next_attempt_ns = node->now + MEDIATOR_NS;
    if (via == 0)
        no_mediator(node, peer);
    else
        ph_node_ask_mediator(node, peer, via);
}

void ph_node_mediator_found(PhNode *node)
{
    for (unsigned i = 0; i < node->peers_n; i++) {
        PhPeer *peer = &node->peers[i];

        if (peer->state == PH_PEER_TALKING && peer->alone)
            peer->next_attempt_ns = node->now;
    }
}

static const char *relay_reason(const PhNode *node, const PhPeer *peer)
{
    if (node->record.hidden || peer->record.hidden)
        return "relay-only";
    return ph_strategy(&node->record, &peer->record, true) == PH_STRATEGY_RELAY
               ? ph_strategy_name(PH_STRATEGY_RELAY)
               : "no-hard-punching";
}

/* Until one of the two is in another place. Who waits for a better path is told that none comes. */
static void stay_relayed(PhNode *node, PhPeer *peer)
{
    const char *before = peer->reason;
    PhNodeEvent *event;

    peer->next_attempt_ns = PH_NEVER;
    peer->renewing = false;
    peer->reason = relay_reason(node, peer);
    if (before && strcmp(before, peer->reason) == 0)
        return;
    node->counters.relay_fallbacks++;
    event = peer->used == &peer->relayed ? ph_node_event(node, PH_NODE_PEER_PATH, peer) : NULL;
    if (event)
        event->reason = peer->reason;
}

void ph_node_attempt(PhNode *node, PhPeer *peer)
{
    bool known =
        node->record.nat_class != PH_CLASS_UNKNOWN && peer->record.nat_class != PH_CLASS_UNKNOWN;

    peer->next_attempt_ns = node->now + AGAIN_SOON_NS;
    if (!known) {
        if (peer->used == &peer->relayed)
            peer->reason = "class-unknown";
        return;
    }
    peer->strategy = strategy_for(node, peer, peer->attempt + 1);
    if (peer->renewing && guesses_ports(peer->strategy)) {
        ph_node_back_off(node, peer); /* such a way is made anew when it is lost */
        return;
    }
    if (peer->strategy == PH_STRATEGY_RELAY) {
        stay_relayed(node, peer);
        return;
    }
    if (!is_asker(peer) && !peer->renewing)
        peer->next_attempt_ns = PH_NEVER;
    else if (ph_node_family_settled(node) != 0)
        peer->next_attempt_ns = ph_node_family_settled(node); /* with both families, or one */
    else if (ph_node_fresh_prepare(node, peer))
        ask_mediator(node, peer);
}

void ph_node_introduction_refused(PhNode *node, PhPeer *peer, PhReason reason)
{
    peer->introduce.request = 0;
    ph_node_tell_attempt(node, peer, PH_OUTCOME_REJECTED, peer->attempt + 1,
                         ph_reason_name(reason));
    /* Who has had enough of us has it for a reason: no other one is asked instead. */
    if (reason != PH_REASON_TOO_MANY && ph_node_next_mediator(node, peer) != 0) {
        ask_mediator(node, peer);
        return;
    }
    if (reason != PH_REASON_TOO_MANY) {
        no_mediator(node, peer);
        return;
    }
    peer->reason = ph_reason_name(reason);
    peer->introduce.n_asked = 0;
    ph_node_back_off(node, peer);
}

static void take_introduction(PhPeer *peer, const PhNodeRecord *record)
{
    peer->record.n_candidates = record->n_candidates;
    memcpy(peer->record.candidates, record->candidates, sizeof(peer->record.candidates));
    if (record->sequence > peer->record.sequence)
        peer->record = *record;
    /* The mediator's own view comes first. */
    if (record->n_candidates > 0 && record->candidates[0].kind == PH_CANDIDATE_REFLEXIVE)
        peer->seen = record->candidates[0].address;
}

void ph_node_introduced(PhNode *node, uint32_t via, const PhMessage *message)
{
    PhPeer *peer = ph_node_peer_by_key(node, message->introduced.key);
    PhPunchConfig config = {
        .attempt = message->introduced.attempt,
        .own = node->record,
        .socket = node->data.socket,
        .family = (PhFamily)node->config.hub.family,
        .other_socket = node->other.state == PH_SOCKET_THERE ? node->other.socket : 0,
        .n_sockets = PH_PUNCH_SOCKETS,
        .start_ns = node->now + message->introduced.start_us * UINT64_C(1000),
    };
    bool ours;

    if (config.start_ns > node->now + MEDIATOR_NS) /* nobody is that far away */
        config.start_ns = node->now + MEDIATOR_NS;
    if (!peer || peer->state != PH_PEER_TALKING || node->config.relay_only)
        return;
    if (via == PH_NODE_VIA_HUB) {
        take_introduction(peer, &message->introduced.record);
        config.other = peer->record;
    }
    peer->strategy = strategy_for(node, peer, config.attempt);
    if (via != PH_NODE_VIA_HUB && !ph_node_vet(node, peer, via, message, &config.other))
        return;
    ours = peer->introduce.request != 0 && message->introduced.request == peer->introduce.request;
    if (ours)
        peer->introduce.request = 0;
    peer->introduce.n_asked = 0;
    peer->alone = false;
    ph_node_punch_drop(node, peer);
    if (peer->strategy == PH_STRATEGY_RELAY)
        return;
    peer->mediator = via;
    if (!ours)
        peer->attempt_ns = node->now; /* the other one has asked */
    config.strategy = peer->strategy;
    /* Where that is only the hub has been told. */
    config.fresh = via == PH_NODE_VIA_HUB && !guesses_ports(peer->strategy) &&
                   config.attempt >= PH_PUNCH_FRESH_ATTEMPT &&
                   peer->prepared.state == PH_PREPARED_KNOWN;
    if (config.fresh)
        config.socket = peer->prepared.socket;
    config.lower = peer->lower;
    config.rtt_ns = peer->relayed.detector.rtt.smooth_ns;
    config.first_socket = ph_node_socket_numbers(node, PH_PUNCH_SOCKETS);
    memcpy(config.token, message->introduced.token, sizeof(config.token));
    ph_node_seed(node, config.seed);
    peer->attempt = message->introduced.attempt;
    peer->punch = ph_punch_new(&config, node->now);
    if (!peer->punch) { /* there is no memory */
        ph_node_back_off(node, peer);
        return;
    }
    peer->next_attempt_ns = PH_NEVER;
    peer->judged = false;
    node->counters.punches_attempted++;
}

/* Every attempt is counted once as what came of it. */
static void judge(PhNode *node, PhPeer *peer, PhOutcome outcome, const char *reason)
{
    if (peer->punch && !peer->judged)
        ph_node_tell_attempt(node, peer, outcome, peer->attempt, reason);
    peer->judged = true;
}

void ph_node_punch_proven(PhNode *node, PhPeer *peer)
{
    if (peer->opened)
        judge(node, peer, PH_OUTCOME_OPEN, "proven");
}

void ph_node_punch_drop(PhNode *node, PhPeer *peer)
{
    judge(node, peer, PH_OUTCOME_FAILED, peer->opened ? "not-proven" : "superseded");
    if (peer->punch)
        ph_node_bury(node, peer->punch);
    peer->punch = NULL;
    peer->opened = false;
}

static bool is_hard(PhStrategy strategy)
{
    return strategy == PH_STRATEGY_SPREAD || strategy == PH_STRATEGY_SCATTER;
}

static void punch_failed(PhNode *node, PhPeer *peer)
{
    unsigned attempts = is_hard(peer->strategy) ? HARD_ATTEMPTS : ATTEMPTS;

    /* Nothing came through in time; or there was nothing to attempt. */
    if (ph_punch_counters(peer->punch)->sent > 0 || peer->strategy == PH_STRATEGY_WAIT)
        judge(node, peer, PH_OUTCOME_TIMED_OUT, "nothing-heard");
    else
        judge(node, peer, PH_OUTCOME_FAILED, "nothing-to-try");
    ph_node_punch_drop(node, peer);
    if (peer->attempt >= PH_PUNCH_FRESH_ATTEMPT && !guesses_ports(peer->strategy))
        ph_node_fresh_drop(node, peer);
    if (peer->used == &peer->relayed)
        peer->reason = "punch-failed";
    if (peer->attempt < attempts)
        peer->next_attempt_ns = is_asker(peer) || peer->renewing ? node->now : PH_NEVER;
    else
        ph_node_back_off(node, peer);
}

void ph_node_punch_progress(PhNode *node, PhPeer *peer)
{
    PhPath path;

    switch (ph_punch_state(peer->punch, &path)) {
    case PH_PUNCH_RUNNING:
        return;
    case PH_PUNCH_OPEN:
        if (peer->opened)
            return;
        peer->opened = true;
        peer->punch_until_ns = node->now + PH_NODE_PROVE_NS;
        if (!ph_node_fresh_take(node, peer, path.socket))
            ph_node_fresh_drop(node, peer);
        ph_node_prove(node, peer, &(PhRoute){.path = path});
        return;
    case PH_PUNCH_FAILED:
        punch_failed(node, peer);
        return;
    }
}

/* What was assumed before they were known may have called for more than was needed. */
void ph_node_path_classes(PhNode *node, PhPeer *peer)
{
    PhPathKind kind = ph_node_kind(node, peer);
    PhNodeEvent *event;

    /* Such an attempt takes seconds and hundreds of packets: one that needs less is made instead.
     */
    if (peer->punch && !peer->opened && is_hard(peer->strategy) &&
        !is_hard(strategy_for(node, peer, peer->attempt))) {
        ph_node_punch_drop(node, peer);
        peer->attempt = 0;
    }
    /* Who has asked for an introduction is told soon, and goes by what is known then. */
    if (ph_node_may_attempt(peer) && peer->introduce.request == 0)
        peer->next_attempt_ns = node->now;
    if (!peer->direct.there || kind == peer->direct.kind)
        return;
    peer->direct.kind = kind;
    if (peer->used != &peer->direct)
        return;
    if (kind == PH_PATH_DIRECT)
        peer->reason = ph_node_direct_reason(node, peer);
    event = ph_node_event(node, PH_NODE_PEER_PATH, peer);
    if (event)
        event->reason = peer->reason;
}
