/* SPDX-License-Identifier: MIT */
/* A node by itself, whose driver does as the test wants: its sockets, and who is no hub. */
#include "../../lib/core/bucket.h"
#include "../../lib/core/node_private.h"

#include <glib.h>
#include <string.h>

#define PEERS 100
/* Beside the node's own: the first of many that its peers' ways have. */
#define WAYS 5000

static const PhAddress here = {.bytes = {192, 0, 2, 1}, .family = PH_FAMILY_IPV4, .port = 40000};
static const PhAddress there = {.bytes = {192, 0, 2, 2}, .family = PH_FAMILY_IPV4, .port = 3478};

static PhNode *new_node(uint8_t number, const uint8_t *hub_key)
{
    PhNodeConfig config = {
        .seed = {number}, .secret = {[1] = number}, .wall_ns = PH_NEVER / 4, .hub = there};

    config.first_socket = 1;
    if (hub_key)
        memcpy(config.hub_key, hub_key, sizeof(config.hub_key));
    return ph_node_new(&config, 0);
}

/* Every socket that is wanted is there at once. How many were opened, less those closed. */
static int serve_sockets(PhNode *node)
{
    PhSocketRequest request;
    int n = 0;

    while (ph_node_poll_socket(node, &request)) {
        n += request.kind == PH_SOCKET_OPEN ? 1 : -1;
        if (request.kind == PH_SOCKET_OPEN)
            ph_node_socket_opened(node, request.socket, &here, 0);
    }
    return n;
}

/* One that is talked to directly, from a socket of its own, while an attempt with another one is
 * under way. */
static void add_peer(PhNode *node, unsigned i)
{
    PhPeer *peer = &node->peers[i];
    PhPunchConfig config = {
        .strategy = PH_STRATEGY_PUNCH,
        .attempt = PH_PUNCH_FRESH_ATTEMPT,
        .other = {.n_candidates = 1, .candidates = {{PH_CANDIDATE_REFLEXIVE, there}}},
        .socket = node->data.socket,
        .family = PH_FAMILY_IPV4,
        .n_sockets = 1,
        .first_socket = ph_node_socket_numbers(node, 1),
    };

    node->peers_n = i + 1;
    peer->state = PH_PEER_TALKING;
    peer->number = i + 1;
    node->peers_n = i + 1;
    peer->direct.there = true;
    peer->direct.route.path = (PhPath){PH_TRANSPORT_UDP, WAYS + i, there};
    peer->used = &peer->direct;
    peer->punch = ph_punch_new(&config, 0);
}

/* However many peers end in one call. */
static void test_no_socket_is_left(void)
{
    PhNode *node = new_node(1, NULL);
    PhSocketRequest request;
    bool closed[PEERS] = {false};
    int open;

    g_assert_cmpint(serve_sockets(node), >, 0);
    for (unsigned i = 0; i < PEERS; i++)
        add_peer(node, i);
    open = serve_sockets(node);
    g_assert_cmpint(open, ==, PEERS);
    ph_node_close(node, 1);
    while (ph_node_poll_socket(node, &request)) {
        g_assert_cmpint(request.kind, ==, PH_SOCKET_CLOSE);
        if (request.socket >= WAYS && request.socket < WAYS + PEERS)
            closed[request.socket - WAYS] = true;
        else
            open--;
    }
    g_assert_cmpint(open, ==, 0);
    for (unsigned i = 0; i < PEERS; i++)
        g_assert_true(closed[i]);
    ph_node_free(node);
}

/* Numbers of sockets come round; those that last are nobody else's then. */
static void test_numbers_come_round(void)
{
    PhNode *node = new_node(1, NULL);
    uint32_t first;

    add_peer(node, 0);
    node->peers[0].direct.route.path.socket = 300;
    node->next_socket = UINT32_MAX - 100;
    first = ph_node_socket_numbers(node, PH_PUNCH_SOCKETS);
    /* 1 is the node's own, 300 the peer's way. */
    g_assert_cmpuint(first, ==, 1 + 2 * PH_PUNCH_SOCKETS);
    g_assert_cmpuint(ph_node_socket_numbers(node, 1), ==, 1 + 3 * PH_PUNCH_SOCKETS);
    ph_node_free(node);
}

/* The hub is found at an address of the other family before our socket is there, and then again at
 * the first one. */
static void test_a_socket_comes_late(void)
{
    PhNode *hub = new_node(2, NULL), *node = new_node(1, ph_node_public_key(hub));
    PhAddress other = {.bytes = {0x20, 0x01, 0x0d, 0xb8}, .family = PH_FAMILY_IPV6, .port = 3478};
    PhSocketRequest first, second;
    PhTransmit transmit;

    g_assert_true(ph_node_poll_socket(node, &first));
    ph_node_hub_at(node, &other, 0);
    g_assert_true(ph_node_poll_socket(node, &second));
    g_assert_cmpint(second.family, ==, PH_FAMILY_IPV6);
    ph_node_socket_opened(node, first.socket, &here, 0);
    ph_node_socket_failed(node, second.socket, 0);
    ph_node_hub_at(node, &there, 0);
    ph_node_handle_timeout(node, PH_SECOND);
    g_assert_true(ph_node_poll_transmit(node, &transmit));
    g_assert_cmpuint(transmit.path.socket, ==, first.socket);
    g_assert_true(ph_address_equal_host(&transmit.path.remote, &there));
    ph_node_free(node);
    ph_node_free(hub);
}

/* The hub has moved to the other family, of which there is no socket: it is not there, and nothing
 * is sent by a socket that does not exist. */
static void test_no_socket_of_the_other_family(void)
{
    PhNode *node = new_node(1, NULL);
    PhAddress other = {.bytes = {0x20, 0x01, 0x0d, 0xb8}, .family = PH_FAMILY_IPV6, .port = 3478};
    PhSocketRequest request;
    PhTransmit transmit;
    PhNodeSelf self;

    (void)serve_sockets(node);
    node->hub.state = PH_HUB_UP;
    ph_node_hub_at(node, &other, 0);
    while (ph_node_poll_socket(node, &request) && request.family != PH_FAMILY_IPV6)
        ;
    ph_node_socket_failed(node, request.socket, 0);
    ph_node_self(node, &self);
    g_assert_cmpstr(self.hub_state, ==, "waiting");
    g_assert_cmpstr(self.hub_reason, ==, "no-socket");
    ph_node_handle_timeout(node, 30 * PH_SECOND);
    while (ph_node_poll_transmit(node, &transmit))
        g_assert_cmpuint(transmit.path.socket, !=, request.socket);
    ph_node_free(node);
}

/* The system has none for us; a minute later it may, or in another network. */
static void test_a_socket_is_asked_for_again(void)
{
    PhNode *node = new_node(1, NULL);
    PhSocketRequest request;
    uint64_t at;

    g_assert_true(ph_node_poll_socket(node, &request));
    ph_node_socket_failed(node, request.socket, 0);
    at = ph_node_next_timeout(node);
    g_assert_cmpuint(at, ==, 60 * PH_SECOND);
    ph_node_handle_timeout(node, at - 1);
    g_assert_false(ph_node_poll_socket(node, &request));
    ph_node_handle_timeout(node, at);
    g_assert_true(ph_node_poll_socket(node, &request));
    g_assert_cmpint(request.kind, ==, PH_SOCKET_OPEN);
    g_assert_cmpuint(ph_node_next_timeout(node), ==, PH_NEVER);
    ph_node_socket_failed(node, request.socket, at);
    ph_node_network_changed(node, &here, 1, at + 1);
    g_assert_true(ph_node_poll_socket(node, &request));
    ph_node_free(node);
}

/* What one says to the other's address. */
static void carry(PhNode *from, PhNode *to, const PhAddress *of_from, const PhAddress *of_to,
                  uint64_t now)
{
    PhPath path = {PH_TRANSPORT_UDP, 1, *of_from};
    PhTransmit transmit;

    while (ph_node_poll_transmit(from, &transmit))
        if (ph_address_equal(&transmit.path.remote, of_to))
            (void)ph_node_handle_datagram(to, &path, transmit.bytes, transmit.length, now);
}

/* Somebody else's key and address in the place of the hub's: it says so, and does not wait. */
static void test_not_a_hub(void)
{
    PhNode *other = new_node(2, NULL), *node = new_node(1, ph_node_public_key(other));
    PhNodeSelf self;
    PhNodeEvent event;
    const char *reason = NULL;

    (void)serve_sockets(other);
    (void)serve_sockets(node);
    for (unsigned i = 0; i < 4; i++) {
        carry(node, other, &here, &there, 1);
        carry(other, node, &there, &here, 1);
    }
    while (ph_node_poll_event(node, &event))
        if (event.kind == PH_NODE_HUB_LOST) {
            reason = event.reason;
            g_assert_nonnull(event.sentence);
        }
    g_assert_cmpstr(reason, ==, "not-a-hub");
    ph_node_self(node, &self);
    g_assert_cmpstr(self.hub_state, ==, "waiting");
    g_assert_cmpstr(self.hub_reason, ==, "not-a-hub");
    g_assert_cmpuint(ph_node_next_timeout(node), <=, 2 * PH_SECOND);
    ph_node_free(node);
    ph_node_free(other);
}

/* A socket is got ready for an attempt, and then the peer is heard directly without one. */
static void test_what_is_not_needed_goes(void)
{
    PhNode *node = new_node(1, NULL);
    PhPeer *peer = &node->peers[0];
    const PhRoute route = {.path = {PH_TRANSPORT_UDP, node->data.socket, there}};
    PhSocketRequest request;
    PhDetectorConfig config = {.fast = false};
    uint64_t id;

    (void)serve_sockets(node);
    node->peers_n = 1;
    peer->state = PH_PEER_TALKING;
    peer->number = 1;
    node->peers_n = 1;
    peer->relayed = (PhWay){.there = true, .route = {.via = PH_NODE_VIA_HUB}};
    peer->used = &peer->relayed;
    peer->prepared = (PhPrepared){.state = PH_PREPARED_KNOWN, .asks = true, .socket = 77};
    node->n_prepared = 1;
    ph_node_prove(node, peer, &route);
    ph_detector_init(&peer->fresh.detector, &config, node->now);
    g_assert_true(ph_detector_poll_ping(&peer->fresh.detector, node->now, &id));
    ph_node_path_pong(node, peer, &route, id);
    g_assert_true(peer->used == &peer->direct);
    g_assert_cmpuint(node->n_prepared, ==, 0);
    g_assert_true(ph_node_poll_socket(node, &request));
    g_assert_cmpint(request.kind, ==, PH_SOCKET_CLOSE);
    g_assert_cmpuint(request.socket, ==, 77);
    g_assert_false(ph_node_poll_socket(node, &request));
    ph_node_free(node);
}

/* A request from a key that nobody knows, straight to the node. */
static void ask(PhNode *node, unsigned number, uint64_t now)
{
    PhSessionsConfig config = {.seed = {(uint8_t)number, (uint8_t)(number >> 8)},
                               .secret = {[1] = 9, (uint8_t)number, (uint8_t)(number >> 8)},
                               .wall_ns = PH_NEVER / 4,
                               .sessions_max = 1};
    PhPath path = {PH_TRANSPORT_UDP, node->data.socket, there};
    PhSessions *stranger = ph_sessions_new(&config);
    PhRoute route = {.path = path};
    const uint8_t *bytes;
    size_t length;

    path.remote.bytes[3] = (uint8_t)(3 + number % 200);
    g_assert_cmpuint(ph_sessions_open(stranger, ph_node_public_key(node), &route, NULL, 0, now), !=,
                     0);
    g_assert_true(ph_sessions_poll_transmit(stranger, &route, &bytes, &length));
    g_assert_true(ph_node_handle_datagram(node, &path, bytes, length, now));
    ph_sessions_free(stranger);
}

/* Who knows its key, and makes himself as many as he likes, takes half of its places. */
static void test_strangers_leave_room(void)
{
    PhNode *node = new_node(1, NULL);
    PhNodePeer peer;
    unsigned n = 0;

    (void)serve_sockets(node);
    for (unsigned i = 0; i < PH_NODE_PEERS_MAX; i++)
        ask(node, i, i * 20 * PH_MS); /* not so often that cookies are asked for */
    while (ph_node_peer(node, n, &peer))
        n++;
    g_assert_cmpuint(n, ==, PH_NODE_STRANGERS_MAX);
    for (unsigned i = n; i < PH_NODE_PEERS_MAX; i++) {
        g_autofree char *name = g_strdup_printf("friend-%u", i);

        g_assert_cmpuint(ph_node_connect(node, name, NULL, 6 * PH_SECOND), !=, 0);
    }
    g_assert_cmpuint(ph_node_connect(node, "one-too-many", NULL, 6 * PH_SECOND), ==, 0);
    ph_node_free(node);
}

/* It is given with the configuration, and mappings that end of age all the same say nothing against
 * it. A way that is being proven meanwhile has what holds, too. */
static void test_what_is_given_holds(void)
{
    PhNodeConfig config = {
        .secret = {1}, .wall_ns = 1, .hub = there, .first_socket = 1, .binding_ns = 15 * PH_SECOND};
    PhNode *node = ph_node_new(&config, 0);
    PhPeer *peer = &node->peers[0];

    add_peer(node, 0);
    peer->proving = true;
    peer->fresh.detector.config.binding_ns = config.binding_ns;
    for (unsigned i = 1; i <= 2; i++) {
        node->now = i * 60 * PH_SECOND;
        ph_node_binding_lost(node);
    }
    g_assert_cmpuint(peer->fresh.detector.config.binding_ns, ==, config.binding_ns / 2);
    node->now = 180 * PH_SECOND;
    ph_node_binding_lost(node);
    g_assert_cmpuint(node->config.binding_ns, ==, config.binding_ns);
    g_assert_cmpuint(peer->fresh.detector.config.binding_ns, ==, config.binding_ns);
    /* What was seen in another network is of no use in this one. */
    node->now = 185 * PH_SECOND;
    ph_node_binding_lost(node);
    g_assert_cmpuint(node->config.binding_ns, ==, config.binding_ns / 2);
    ph_node_binding_moved(node);
    g_assert_cmpuint(node->config.binding_ns, ==, config.binding_ns);
    ph_node_free(node);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/node/alone/no socket is left", test_no_socket_is_left);
    g_test_add_func("/node/alone/numbers come round", test_numbers_come_round);
    g_test_add_func("/node/alone/a socket comes late", test_a_socket_comes_late);
    g_test_add_func("/node/alone/no socket of the other family",
                    test_no_socket_of_the_other_family);
    g_test_add_func("/node/alone/a socket is asked for again", test_a_socket_is_asked_for_again);
    g_test_add_func("/node/alone/who is no hub is named", test_not_a_hub);
    g_test_add_func("/node/alone/strangers leave room", test_strangers_leave_room);
    g_test_add_func("/node/alone/what is not needed goes", test_what_is_not_needed_goes);
    g_test_add_func("/node/alone/what is given holds", test_what_is_given_holds);
    return g_test_run();
}
