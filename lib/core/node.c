/* SPDX-License-Identifier: MIT */
/*
 * Behind a node's surface: what it is given goes to its parts, what they want is handed out. See
 * node_private.h for who does what.
 */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "bucket.h"
#include "node_private.h"

#define SESSIONS_MAX        (2 * PH_NODE_PEERS_MAX)
#define HANDSHAKES_A_SECOND 100

void ph_node_seed(PhNode *node, uint8_t ret_seed[static PH_SEED_BYTES])
{
    ph_random_bytes(&node->random, ret_seed, PH_SEED_BYTES);
}

/* Sessions have randomness of their own: whoever knows that of decisions (a recording has it) can
 * tell nothing of keys. */
static void seed_for(const PhNodeConfig *config, const char *label,
                     uint8_t ret_seed[static PH_SEED_BYTES])
{
    crypto_generichash_blake2b_state state;

    (void)crypto_generichash_blake2b_init(&state, config->seed, sizeof(config->seed),
                                          PH_SEED_BYTES);
    (void)crypto_generichash_blake2b_update(&state, (const uint8_t *)label, strlen(label));
    (void)crypto_generichash_blake2b_final(&state, ret_seed, PH_SEED_BYTES);
}

void ph_node_decisions_seed(const PhNodeConfig *config, uint8_t ret_seed[static PH_SEED_BYTES])
{
    seed_for(config, "pinhole decisions", ret_seed);
}

PhNode *ph_node_make(const PhNodeConfig *config, const PhTape *tape, const uint8_t *decisions,
                     uint64_t now)
{
    PhNode *node;
    uint8_t seed[PH_SEED_BYTES];
    PhSessionsConfig sessions = {
        .wall_ns = config->wall_ns,
        .sessions_max = SESSIONS_MAX,
        .handshakes_per_s = HANDSHAKES_A_SECOND,
    };

    if (config->hub.family == PH_FAMILY_NONE || config->hub.port == 0 ||
        config->n_locals > PH_NODE_LOCALS || config->first_socket > INT32_MAX ||
        (config->name[0] && !ph_name_is_valid(config->name)))
        return NULL;
    node = calloc(1, sizeof(*node));
    if (!node)
        return NULL;
    node->config = *config;
    node->now = now;
    if (tape) {
        node->tape = *tape;
        sessions.tape = &node->tape;
    }
    if (!decisions)
        ph_node_decisions_seed(config, seed);
    ph_random_init(&node->random, decisions ? decisions : seed);
    seed_for(config, "pinhole sessions", sessions.seed);
    memcpy(sessions.secret, config->secret, sizeof(sessions.secret));
    memcpy(sessions.psk, config->psk, sizeof(sessions.psk));
    node->sessions = ph_sessions_new(&sessions);
    sodium_memzero(&sessions, sizeof(sessions));
    sodium_memzero(seed, sizeof(seed));
    node->peers = calloc(PH_NODE_PEERS_MAX, sizeof(*node->peers));
    node->events = calloc(PH_NODE_EVENTS, sizeof(*node->events));
    node->event_data = calloc(PH_NODE_EVENTS, sizeof(*node->event_data));
    node->outgoing = calloc(PH_NODE_OUTGOING, sizeof(*node->outgoing));
    if (!node->sessions || !node->peers || !node->events || !node->event_data || !node->outgoing)
        return ph_node_free(node);
    memcpy(node->public_key, ph_sessions_public_key(node->sessions), sizeof(node->public_key));
    memcpy(node->record.name, config->name, sizeof(node->record.name));
    node->record.sequence = config->wall_ns + now;
    node->record.relays = config->relays;
    ph_random_bytes(&node->random, node->hash_key, sizeof(node->hash_key));
    node->data.socket = config->first_socket;
    node->next_socket = config->first_socket + 1;
    node->hub.back_off_ns = PH_SECOND;
    node->hub.again_ns = now;
    node->hub.check_ns = PH_NEVER;
    node->binding.given = config->binding_ns != 0;
    node->binding.known_ns = config->binding_ns;
    node->binding.measure_ns = PH_NEVER;
    return node;
}

PhNode *ph_node_free(PhNode *node)
{
    if (!node)
        return NULL;
    for (unsigned i = 0; i < node->peers_n; i++) {
        ph_punch_free(node->peers[i].punch);
        free(node->peers[i].queue);
    }
    for (unsigned i = 0; i < node->buried_n; i++)
        ph_punch_free(node->buried[i]);
    ph_classifier_free(node->classifier);
    ph_lifetime_free(node->binding.measuring);
    ph_sessions_free(node->sessions);
    ph_recorder_free(node->recorder);
    free(node->peers);
    free(node->events);
    free(node->event_data);
    free(node->outgoing);
    sodium_memzero(node, sizeof(*node));
    free(node);
    return NULL;
}

void ph_node_do_close(PhNode *node, uint64_t now)
{
    PhMessage close = {.kind = PH_MESSAGE_CLOSE, .reason = PH_REASON_GOODBYE};

    ph_node_set_now(node, now);
    for (unsigned i = 0; i < node->peers_n; i++)
        if (node->peers[i].state != PH_PEER_FREE)
            ph_node_do_disconnect(node, node->peers[i].number, node->now);
    (void)ph_node_tell_hub(node, &close);
    node->closing = true;
}

/* The next one from `at` on that is of that family; n: there is none. */
static uint32_t next_local(const PhAddress *locals, uint32_t n, uint32_t at, uint8_t family)
{
    while (at < n && locals[at].family != family)
        at++;
    return at;
}

static bool are_same(const PhNode *node, const PhAddress *locals, uint32_t n, uint8_t family)
{
    const PhAddress *own = node->config.locals;
    const uint32_t n_own = node->config.n_locals;
    uint32_t a = next_local(own, n_own, 0, family), b = next_local(locals, n, 0, family);

    while (a < n_own && b < n && ph_address_equal_host(&own[a], &locals[b])) {
        a = next_local(own, n_own, a + 1, family);
        b = next_local(locals, n, b + 1, family);
    }
    return a == n_own && b == n;
}

/* Only the addresses of the other family are others: addresses of IPv6 come and go. */
static bool is_beside_alone(const PhNode *node, const PhAddress *locals, uint32_t n)
{
    const uint8_t family = node->config.hub.family;

    return are_same(node, locals, n, family) &&
           !are_same(node, locals, n, family == PH_FAMILY_IPV4 ? PH_FAMILY_IPV6 : PH_FAMILY_IPV4);
}

void ph_node_do_network_changed(PhNode *node, const PhAddress *locals, uint32_t n_locals,
                                uint64_t now)
{
    bool beside;

    ph_node_set_now(node, now);
    if (n_locals > PH_NODE_LOCALS)
        n_locals = PH_NODE_LOCALS;
    beside = is_beside_alone(node, locals, n_locals);
    if (n_locals > 0)
        memcpy(node->config.locals, locals, n_locals * sizeof(*locals));
    node->config.n_locals = n_locals;
    ph_node_family_moved(node);
    if (beside) {
        ph_node_tell_moved(node, /* beside= */ true);
        return;
    }
    node->elsewhere = node->classifier && !node->beside.classifying;
    node->hub.back_off_ns = PH_SECOND;
    if (node->data.state == PH_SOCKET_FAILED)
        node->data.state = PH_SOCKET_WANTED;
    if (node->data.state != PH_SOCKET_THERE)
        return;
    ph_node_hub_moved(node);
    ph_node_classify(node);
}

void ph_node_do_hub_at(PhNode *node, const PhAddress *hub, uint64_t now)
{
    PhDataSocket other = node->other;

    ph_node_set_now(node, now);
    if (hub->family == PH_FAMILY_NONE || hub->port == 0 ||
        ph_address_equal(hub, &node->config.hub) || node->closing)
        return;
    if (hub->family != node->config.hub.family) {
        node->other = node->data;
        node->data = other;
        if (other.socket == 0)
            node->data.socket = ph_node_socket_numbers(node, 1);
        ph_node_family_begin(node, &(PhAddress){0});
        node->beside.classifying = node->classifier && !node->beside.classifying;
    }
    node->config.hub = *hub;
    /* One that is lost is asked there when it is its turn. */
    if (node->data.state == PH_SOCKET_THERE && node->hub.state != PH_HUB_WAITING)
        ph_node_hub_begin(node);
    else if (node->data.state == PH_SOCKET_FAILED)
        node->data.state = PH_SOCKET_WANTED;
}

/* ---- datagrams ---- */

bool ph_node_do_poll_transmit(PhNode *node, PhTransmit *ret_transmit)
{
    const PhOutgoing *outgoing;

    if (node->outgoing_n > 0) {
        outgoing = &node->outgoing[node->outgoing_first];
        node->outgoing_first = (node->outgoing_first + 1) % PH_NODE_OUTGOING;
        node->outgoing_n--;
        *ret_transmit =
            (PhTransmit){outgoing->path, outgoing->bytes, outgoing->length, outgoing->ttl};
        return true;
    }
    if (node->classifier && ph_classifier_poll_transmit(node->classifier, ret_transmit))
        return true;
    for (unsigned i = 0; i < node->peers_n; i++)
        if (node->peers[i].punch && ph_punch_poll_transmit(node->peers[i].punch, ret_transmit))
            return true;
    return ph_node_fresh_poll_transmit(node, ret_transmit) ||
           (node->binding.measuring &&
            ph_lifetime_poll_transmit(node->binding.measuring, ret_transmit));
}

/* A session's packet, or what came of one. */
static void take_input(PhNode *node, const PhRoute *route, const PhSessionInput *input)
{
    bool hub = input->kind != PH_SESSION_NOTHING && input->kind != PH_SESSION_REQUEST &&
               memcmp(input->remote_key, node->config.hub_key, sizeof(input->remote_key)) == 0;
    PhPeer *peer = hub ? NULL : ph_node_peer_by_key(node, input->remote_key);

    switch (input->kind) {
    case PH_SESSION_NOTHING:
        return;
    case PH_SESSION_REQUEST:
        ph_node_peer_request(node, route, input);
        return;
    case PH_SESSION_UP:
        if (hub)
            ph_node_hub_up(node, input);
        else if (peer)
            ph_node_peer_session(node, peer, input->session, route);
        return;
    case PH_SESSION_MESSAGE:
        if (peer && input->confirmed_now && input->session != peer->session)
            ph_node_peer_session(node, peer, input->session, route);
        if (hub)
            ph_node_hub_messages(node, route, input->bytes, input->length);
        else if (peer)
            ph_node_peer_messages(node, peer, route, input->bytes, input->length);
        return;
    case PH_SESSION_GONE:
        if (hub)
            ph_node_hub_session_gone(node, input);
        else if (peer)
            ph_node_peer_session_gone(node, peer, input);
        return;
    }
}

void ph_node_packet(PhNode *node, const PhRoute *route, const uint8_t *bytes, size_t length)
{
    PhSessionInput input;

    ph_sessions_receive(node->sessions, route, bytes, length, node->now, &input);
    take_input(node, route, &input);
    ph_node_flush_sessions(node);
}

/* Who goes by relays only answers nobody straight, not even a peer who knows where it is: that it
 * is there, and who it is, is what it hides. */
static bool may_answer(const PhNode *node, const PhPath *path)
{
    return !node->config.relay_only || ph_address_equal(&path->remote, &node->config.hub);
}

bool ph_node_do_handle_datagram(PhNode *node, const PhPath *path, const uint8_t *bytes,
                                size_t length, uint64_t now)
{
    const PhRoute route = {.path = *path};

    ph_node_set_now(node, now);
    if (ph_session_is_packet(bytes, length) && may_answer(node, path)) {
        ph_node_packet(node, &route, bytes, length);
        return true;
    }
    for (unsigned i = 0; ph_punch_is_packet(bytes, length) && i < node->peers_n; i++) {
        PhPeer *peer = &node->peers[i];

        if (peer->punch && ph_punch_handle_datagram(peer->punch, path, bytes, length, node->now)) {
            ph_node_punch_progress(node, peer);
            return true;
        }
    }
    if (node->classifier &&
        ph_classifier_handle_datagram(node->classifier, path, bytes, length, node->now)) {
        ph_node_classify_progress(node);
        return true;
    }
    if (ph_node_fresh_datagram(node, path, bytes, length) ||
        (node->binding.measuring &&
         ph_lifetime_handle_datagram(node->binding.measuring, path, bytes, length, node->now)))
        return true;
    node->counters.foreign++;
    return false;
}

void ph_node_do_unreachable(PhNode *node, const PhPath *path, uint64_t now)
{
    ph_node_set_now(node, now);
    if (node->classifier)
        ph_classifier_unreachable(node->classifier, path, node->now);
}

/* ---- time ---- */

void ph_node_do_handle_timeout(PhNode *node, uint64_t now)
{
    PhSessionInput input;

    ph_node_set_now(node, now);
    ph_sessions_handle_timeout(node->sessions, node->now);
    for (ph_sessions_poll(node->sessions, &input); input.kind != PH_SESSION_NOTHING;
         ph_sessions_poll(node->sessions, &input))
        take_input(node, NULL, &input);
    if (node->classifier && ph_classifier_next_timeout(node->classifier) <= node->now)
        ph_classifier_handle_timeout(node->classifier, node->now);
    ph_node_binding_timeout(node);
    ph_node_hub_timeout(node);
    ph_node_family_timeout(node);
    for (unsigned i = 0; i < node->peers_n; i++)
        if (node->peers[i].state != PH_PEER_FREE &&
            ph_node_peer_next(node, &node->peers[i]) <= node->now)
            ph_node_peer_timeout(node, &node->peers[i]);
    ph_node_flush_sessions(node);
}

uint64_t ph_node_next_timeout(const PhNode *node)
{
    uint64_t next = ph_sessions_next_timeout(node->sessions), at = ph_node_hub_next(node);

    if (at < next)
        next = at;
    if ((at = ph_node_family_next(node)) < next)
        next = at;
    if (node->classifier && (at = ph_classifier_next_timeout(node->classifier)) < next)
        next = at;
    if ((at = ph_node_binding_next(node)) < next)
        next = at;
    for (unsigned i = 0; i < node->peers_n; i++)
        if (node->peers[i].state != PH_PEER_FREE &&
            (at = ph_node_peer_next(node, &node->peers[i])) < next)
            next = at;
    return next;
}
