/* SPDX-License-Identifier: MIT */
/*
 * The family of addresses that the hub is not reached by. Two who have it meet there, too: by IPv6
 * there often is no NAT, only a firewall. The hub vouches for us there when we have shown it,
 * inside the session that there is, that we get what is sent there:
 *
 *     the hub has an address there, and so have we --> a socket --> asking
 *         PING --> its PING --> our PONG, and PING once more --> its PONG: where it sees us
 *         no answer: again after 250 ms, doubling, up to 60 s
 *     seen --> kept alive: 20 to 25 s; five without an answer, or another network --> asking
 */
#include <string.h>

#include "bucket.h"
#include "node_private.h"
#include "scope.h"

#define ASK_GAP_NS      (PH_SECOND / 4)
#define ASK_GAP_MOST_NS (60 * PH_SECOND)
#define SILENT_MOST     5
/* A round trip to the hub, mostly. */
#define SETTLED_NS (300 * PH_MS)
/* As for a path that is idle (detector.h). */
#define KEEP_NS   (20 * PH_SECOND)
#define JITTER_NS (5 * PH_SECOND)

static bool has_local(const PhNode *node, uint8_t family)
{
    for (uint32_t i = 0; i < node->config.n_locals; i++)
        if (node->config.locals[i].family == family &&
            !ph_address_is_link_local(&node->config.locals[i]))
            return true;
    return false;
}

static bool is_wanted(const PhNode *node)
{
    return node->hub.state == PH_HUB_UP && node->beside.hub.family != PH_FAMILY_NONE &&
           !node->config.relay_only && !node->closing && has_local(node, node->beside.hub.family);
}

static void begin(PhNode *node)
{
    node->beside.silent = 0;
    node->beside.gap_ns = ASK_GAP_NS;
    node->beside.next_ns = node->now;
    node->beside.settled_ns = node->now + SETTLED_NS;
}

/* The hub waits for our answer before it introduces us, and so need not we. */
static void settle(PhNode *node)
{
    for (unsigned i = 0; i < node->peers_n; i++)
        if (node->peers[i].next_attempt_ns == node->beside.settled_ns)
            node->peers[i].next_attempt_ns = node->now;
    node->beside.settled_ns = node->now;
}

/* Nothing is known of it any more. */
static void forget(PhNode *node)
{
    bool classifying = node->beside.classifying;

    node->beside = (PhBesideLink){.classifying = classifying};
}

void ph_node_family_begin(PhNode *node, const PhAddress *hub)
{
    bool sound = hub->family != PH_FAMILY_NONE && hub->family != node->config.hub.family &&
                 hub->port != 0 && ph_address_is_unicast(hub);

    if (!sound || !ph_address_equal(hub, &node->beside.hub))
        forget(node);
    if (sound)
        node->beside.hub = *hub;
    begin(node);
}

/* Where we were seen is not told any more, until we are seen there again. */
static void unsee(PhNode *node)
{
    bool known = node->beside.seen.family != PH_FAMILY_NONE;

    node->beside.seen = (PhAddress){0};
    node->beside.open = false;
    node->beside.classify_ns = 0;
    if (known)
        ph_node_tell_record(node);
}

void ph_node_family_moved(PhNode *node)
{
    if (node->other.state == PH_SOCKET_FAILED)
        node->other.state = PH_SOCKET_WANTED;
    begin(node);
    unsee(node);
}

/* ---- the hub ---- */

static void tell(PhNode *node, const PhMessage *message)
{
    const PhRoute route = {.path = {PH_TRANSPORT_UDP, node->other.socket, node->beside.hub}};

    (void)ph_node_tell(node, node->hub.session, &route, message);
}

static void ask(PhNode *node)
{
    PhBesideLink *beside = &node->beside;
    PhMessage ping = {.kind = PH_MESSAGE_PING};

    ph_random_bytes(&node->random, (uint8_t *)&beside->ping, sizeof(beside->ping));
    ping.ping.id = beside->ping;
    beside->next_ns = node->now + beside->gap_ns;
    beside->gap_ns = 2 * beside->gap_ns < ASK_GAP_MOST_NS ? 2 * beside->gap_ns : ASK_GAP_MOST_NS;
    beside->silent++;
    node->counters.reflex_asked++;
    tell(node, &ping);
}

static uint64_t keep_ns(PhNode *node)
{
    uint64_t drawn, keep, half = node->config.binding_ns / 2;

    ph_random_bytes(&node->random, (uint8_t *)&drawn, sizeof(drawn));
    keep = KEEP_NS + drawn % JITTER_NS;
    return half != 0 && half < keep ? half : keep;
}

static void take_pong(PhNode *node, const PhMessage *pong)
{
    PhBesideLink *beside = &node->beside;
    bool another = !ph_address_equal(&pong->ping.seen, &beside->seen);

    if (beside->silent == 0 || pong->ping.id != beside->ping ||
        pong->ping.seen.family != beside->hub.family)
        return;
    beside->silent = 0;
    beside->gap_ns = ASK_GAP_NS;
    beside->next_ns = node->now + keep_ns(node);
    beside->seen = pong->ping.seen;
    if (another)
        ph_node_tell_record(node);
}

bool ph_node_is_beside(const PhNode *node, const PhPath *path)
{
    return node->other.socket != 0 && path->socket == node->other.socket;
}

bool ph_node_family_message(PhNode *node, const PhRoute *route, const PhMessage *message)
{
    PhMessage pong = {.kind = PH_MESSAGE_PONG};

    if (!ph_node_is_beside(node, &route->path) ||
        (message->kind != PH_MESSAGE_PING && message->kind != PH_MESSAGE_PONG))
        return false;
    if (!is_wanted(node))
        return true;
    if (message->kind == PH_MESSAGE_PONG) {
        take_pong(node, message);
        return true;
    }
    pong.ping.id = message->ping.id;
    pong.ping.seen = route->path.remote;
    tell(node, &pong);
    settle(node);
    if (node->beside.seen.family == PH_FAMILY_NONE)
        ask(node); /* it answers that, as it knows by then that we are there */
    return true;
}

/* ---- the socket, and time ---- */

bool ph_node_family_poll_socket(PhNode *node, PhSocketRequest *ret_request)
{
    if (node->other.state != PH_SOCKET_WANTED || !is_wanted(node))
        return false;
    if (node->other.socket == 0)
        node->other.socket = ph_node_socket_numbers(node, 1);
    node->other.state = PH_SOCKET_ASKED;
    *ret_request = (PhSocketRequest){
        .kind = PH_SOCKET_OPEN,
        .transport = PH_TRANSPORT_UDP,
        .socket = node->other.socket,
        .family = (PhFamily)node->beside.hub.family,
    };
    return true;
}

bool ph_node_family_socket(PhNode *node, uint32_t socket, const PhAddress *local)
{
    if (socket == 0 || socket != node->other.socket)
        return false;
    node->other.state = local ? PH_SOCKET_THERE : PH_SOCKET_FAILED;
    node->other.again_ns = node->now + PH_NODE_SOCKET_AGAIN_NS;
    if (local)
        node->other.local = *local;
    begin(node);
    return true;
}

uint64_t ph_node_family_settled(const PhNode *node)
{
    if (!is_wanted(node) || node->other.state == PH_SOCKET_FAILED ||
        node->now >= node->beside.settled_ns)
        return 0;
    return node->beside.settled_ns;
}

/* When it has its turn: the hub's own family comes first. */
static bool may_classify(const PhNode *node)
{
    return !node->classifier && node->beside.seen.family != PH_FAMILY_NONE &&
           node->classification.nat_class != PH_CLASS_UNKNOWN;
}

void ph_node_family_classified(PhNode *node, const PhClassification *classification)
{
    bool open = classification->nat_class == PH_CLASS_DIRECT ||
                classification->nat_class == PH_CLASS_FULL_CONE;

    node->beside.classifying = false;
    if (node->beside.seen.family == PH_FAMILY_NONE || open == node->beside.open)
        return; /* it was another network's; or there is nothing new */
    node->beside.open = open;
    ph_node_tell_record(node);
}

void ph_node_family_timeout(PhNode *node)
{
    if (is_wanted(node) && may_classify(node) && node->now >= node->beside.classify_ns) {
        ph_node_start_classifier(node, &node->beside.hub, &node->other);
        node->beside.classifying = node->classifier != NULL;
        node->beside.classify_ns = node->now + PH_NODE_RECLASSIFY_NS;
    }
    if (node->other.state == PH_SOCKET_FAILED && node->now >= node->other.again_ns)
        node->other.state = PH_SOCKET_WANTED;
    if (node->other.state != PH_SOCKET_THERE || !is_wanted(node) ||
        node->now < node->beside.next_ns)
        return;
    if (node->beside.silent == SILENT_MOST)
        unsee(node);
    ask(node);
}

uint64_t ph_node_family_next(const PhNode *node)
{
    const PhBesideLink *beside = &node->beside;

    if (!is_wanted(node) || node->other.state == PH_SOCKET_ASKED)
        return PH_NEVER;
    if (node->other.state == PH_SOCKET_FAILED)
        return node->other.again_ns;
    if (node->other.state != PH_SOCKET_THERE)
        return node->now;
    return may_classify(node) && beside->classify_ns < beside->next_ns ? beside->classify_ns
                                                                       : beside->next_ns;
}

/* ---- what it is to a pair ---- */

/* The family that its class is about; NONE: nobody has seen it. */
static uint8_t family_of(const PhNodeRecord *record)
{
    for (unsigned i = 0; i < record->n_candidates && i < PH_CANDIDATES_MAX; i++)
        if (record->candidates[i].kind == PH_CANDIDATE_REFLEXIVE)
            return record->candidates[i].address.family;
    return PH_FAMILY_NONE;
}

static bool is_seen_in(const PhNodeRecord *record, uint8_t family)
{
    for (unsigned i = 0; i < record->n_candidates && i < PH_CANDIDATES_MAX; i++)
        if (record->candidates[i].kind == PH_CANDIDATE_REFLEXIVE &&
            record->candidates[i].address.family == family)
            return true;
    return false;
}

static bool is_other(const PhNode *node, const PhPeer *peer, uint8_t family)
{
    return family_of(&node->record) != family || family_of(&peer->record) != family;
}

bool ph_node_family_shared(const PhNode *node, const PhPeer *peer)
{
    static const uint8_t families[] = {PH_FAMILY_IPV4, PH_FAMILY_IPV6};

    for (unsigned i = 0; i < 2; i++)
        if (is_seen_in(&node->record, families[i]) && is_seen_in(&peer->record, families[i]) &&
            is_other(node, peer, families[i]))
            return true;
    return false;
}

bool ph_node_family_leads_to(const PhNode *node, const PhPeer *peer, const PhAddress *remote)
{
    return ph_node_family_shared(node, peer) && is_other(node, peer, remote->family);
}

bool ph_node_family_is_open(const PhNode *node, const PhPeer *peer)
{
    return node->record.beside_open || peer->record.beside_open;
}
