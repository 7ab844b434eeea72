/* SPDX-License-Identifier: MIT */
/*
 * Three nodes, of which one relays, and a hub that have real sessions, and a network that does to
 * their packets what the input says: late, twice, not at all, changed, from elsewhere, to somebody
 * else, or none between two of the nodes, or none with the hub. Whatever comes, nothing crashes, no
 * datagram is too long, only what was opened is closed, and each node's recording replays to the
 * same.
 */
#include <pinhole/node.h>
#include <pinhole/reflector.h>
#include <pinhole/station.h>
#include <sodium.h>
#include <string.h>

#include "input.h"
#include "recorded.h"

#define MS        G_GUINT64_CONSTANT(1000000)
#define NODES     3
#define RELAY     2 /* which of them */
#define FLYING    64
#define BYTES     1232
#define STEPS     4000
#define FIRST_USE 0xc0

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct Flying {
    PhAddress from, to;
    gsize length;
    guint8 bytes[BYTES];
} Flying;

typedef struct Feed {
    Input input;
    guint64 now;
    PhStation *station;
    PhReflector *reflector;
    gboolean hub_down, apart; /* apart: nothing comes through between the two that do not relay */
    PhNode *nodes[NODES];
    GHashTable *opened[NODES]; /* ids of sockets */
    GByteArray *recordings[NODES];
    guint32 peers[NODES]; /* the last one of each */
    Flying flying[FLYING];
    guint n;
} Feed;

static PhAddress hub_address(void)
{
    return ph_address_ipv4(0xcb00710a, 3478);
}

/* A socket's address tells its node and its number. */
static PhAddress node_address(guint node, guint32 socket)
{
    return ph_address_ipv4(0xc6336401 + node, (guint16)(1000 + socket % 60000));
}

static gboolean is_lost(const Feed *feed, const PhAddress *from, const PhAddress *to)
{
    PhAddress hub = hub_address(), relay = node_address(RELAY, 0);
    gboolean with_hub = ph_address_equal_host(from, &hub) || ph_address_equal_host(to, &hub);

    if (with_hub)
        return feed->hub_down;
    return feed->apart && !ph_address_equal_host(from, &relay) &&
           !ph_address_equal_host(to, &relay);
}

static void fly(Feed *feed, const PhAddress *from, const PhTransmit *transmit)
{
    Flying *flying = &feed->flying[feed->n % FLYING];

    g_assert_cmpuint(transmit->length, <=, BYTES);
    g_assert_cmpuint(transmit->path.remote.port, !=, 0);
    feed->n++;
    *flying = (Flying){.from = *from, .to = transmit->path.remote, .length = transmit->length};
    memcpy(flying->bytes, transmit->bytes, transmit->length);
}

static void poll_sockets(Feed *feed, guint node)
{
    PhSocketRequest request;

    while (ph_node_poll_socket(feed->nodes[node], &request)) {
        gpointer id = GUINT_TO_POINTER(request.socket);
        PhAddress local = node_address(node, request.socket);

        if (request.kind == PH_SOCKET_CLOSE) {
            g_assert(g_hash_table_remove(feed->opened[node], id));
        } else {
            g_assert(!g_hash_table_contains(feed->opened[node], id));
            g_hash_table_add(feed->opened[node], id);
            ph_node_socket_opened(feed->nodes[node], request.socket, &local, feed->now);
        }
    }
}

static void poll_node(Feed *feed, guint node)
{
    PhTransmit transmit;
    PhNodeEvent event;

    poll_sockets(feed, node);
    while (ph_node_poll_transmit(feed->nodes[node], &transmit)) {
        PhAddress from = node_address(node, transmit.path.socket);

        g_assert(g_hash_table_contains(feed->opened[node], GUINT_TO_POINTER(transmit.path.socket)));
        fly(feed, &from, &transmit);
    }
    while (ph_node_poll_event(feed->nodes[node], &event)) {
        g_assert_cmpuint(event.length, <=, PH_NODE_MESSAGE_MAX);
        if (event.kind == PH_NODE_PEER_UP)
            feed->peers[node] = event.peer;
    }
    poll_sockets(feed, node);
    take_recorded(feed->nodes[node], feed->recordings[node]);
}

static void poll_hub(Feed *feed)
{
    PhAddress hub = hub_address();
    PhTransmit transmit;

    while (ph_station_poll_transmit(feed->station, &transmit))
        fly(feed, &hub, &transmit);
}

static void poll_all(Feed *feed)
{
    poll_hub(feed);
    for (guint i = 0; i < NODES; i++)
        poll_node(feed, i);
}

static void arrive_at_hub(Feed *feed, const Flying *flying)
{
    PhPath path = {.transport = PH_TRANSPORT_UDP, .remote = flying->from};
    guint8 answer[PH_REFLECTOR_ANSWER_MAX];
    PhTransmit transmit = {.bytes = answer};

    if (ph_station_is_packet(flying->bytes, flying->length)) {
        ph_station_handle_datagram(feed->station, &path, flying->bytes, flying->length, feed->now);
        poll_hub(feed);
        return;
    }
    transmit.length = ph_reflector_handle_datagram(
        feed->reflector, &path, flying->bytes, flying->length, feed->now, &transmit.path, answer);
    if (transmit.length > 0)
        fly(feed, &flying->to, &transmit);
}

static void arrive(Feed *feed, const Flying *flying)
{
    PhAddress hub = hub_address();
    PhPath path = {.transport = PH_TRANSPORT_UDP, .remote = flying->from};

    if (is_lost(feed, &flying->from, &flying->to))
        return;
    if (ph_address_equal(&flying->to, &hub))
        arrive_at_hub(feed, flying);
    for (guint i = 0; i < NODES; i++) {
        PhAddress to = node_address(i, 0);

        path.socket = flying->to.port - 1000U;
        if (!ph_address_equal_host(&to, &flying->to) ||
            !g_hash_table_contains(feed->opened[i], GUINT_TO_POINTER(path.socket)))
            continue;
        ph_node_handle_datagram(feed->nodes[i], &path, flying->bytes, flying->length, feed->now);
        poll_node(feed, i);
    }
}

/* One packet, and what becomes of it. */
static void deliver(Feed *feed, guint how)
{
    guint n = MIN(feed->n, FLYING);
    Flying flying;

    if (n == 0)
        return;
    flying = feed->flying[(feed->n - 1 - take(&feed->input) % n) % FLYING];
    if (how & 1 && flying.length > 0)
        flying.bytes[take(&feed->input) * flying.length / 256] ^= (guint8)take(&feed->input);
    if (how & 2)
        flying.length = flying.length * take(&feed->input) / 256;
    if (how & 4)
        flying.from = node_address(take(&feed->input) % (NODES + 1), take(&feed->input));
    if (how & 8)
        flying.to =
            take(&feed->input) % 2 ? hub_address() : node_address(take(&feed->input) % NODES, 1);
    arrive(feed, &flying);
}

/* All that was sent last, in order and unchanged: so that sessions come about. */
static void deliver_all(Feed *feed)
{
    static Flying all[FLYING];
    guint n = MIN(feed->n, FLYING);

    for (guint i = 0; i < n; i++)
        all[i] = feed->flying[(feed->n - n + i) % FLYING];
    feed->n = 0;
    for (guint i = 0; i < n; i++)
        arrive(feed, &all[i]);
}

static void pass(Feed *feed, guint64 ns)
{
    feed->now += ns;
    ph_station_handle_timeout(feed->station, feed->now);
    for (guint i = 0; i < NODES; i++)
        ph_node_handle_timeout(feed->nodes[i], feed->now);
    poll_all(feed);
}

static const char *const names[NODES] = {"zero", "one", "two"};

/* What an application does, and what happens to networks. */
static void use(Feed *feed)
{
    guint what = take(&feed->input), how = take(&feed->input), node = what % NODES,
          other = (node + 1 + how % (NODES - 1)) % NODES;
    PhNode *core = feed->nodes[node];
    PhAddress local = node_address(node, how);
    guint8 bytes[PH_NODE_MESSAGE_MAX + 1] = {0};

    switch (what >> 4) {
    case 0:
        feed->peers[node] = ph_node_connect(core, names[other], NULL, feed->now);
        break;
    case 1:
        feed->peers[node] =
            ph_node_connect(core, NULL, ph_node_public_key(feed->nodes[other]), feed->now);
        break;
    case 2:
        ph_node_disconnect(core, feed->peers[node], feed->now);
        break;
    case 3:
        local.port = 0;
        ph_node_network_changed(core, &local, 1, feed->now);
        break;
    case 4:
        feed->hub_down = (how & 1) != (guint)feed->hub_down;
        feed->apart = (how >> 1 & 1) != (guint)feed->apart;
        ph_node_unreachable(core, &(PhPath){.socket = 1, .remote = hub_address()}, feed->now);
        break;
    case 5:
        if (take(&feed->input) == 0xff)
            ph_node_close(core, feed->now);
        break;
    case 6: /* it is there at one of the two */
        local = hub_address();
        if (how & 1)
            g_assert(ph_address_parse("[2001:db8::7]:3478", &local));
        ph_node_hub_at(core, &local, feed->now);
        break;
    default:
        ph_node_send(core, feed->peers[node], bytes, take(&feed->input) * 5U, feed->now);
        break;
    }
    poll_node(feed, node);
}

static PhNode *make_node(guint i, gboolean recorded, guint64 now)
{
    PhNodeConfig config = {
        .hub = hub_address(), .first_socket = 1, .fast_detector = i == 1, .relays = i == RELAY};
    guint8 hub_secret[PH_NODE_KEY_BYTES];

    if (recorded)
        config.record = i % 2 ? PH_RECORD_SECRETS : PH_RECORD_DECISIONS;
    memset(hub_secret, 0x42, sizeof(hub_secret));
    g_assert(crypto_scalarmult_base(config.hub_key, hub_secret) == 0);
    memset(config.secret, (int)(1 + i), sizeof(config.secret));
    memset(config.seed, (int)(3 + i), sizeof(config.seed));
    g_strlcpy(config.name, names[i], sizeof(config.name));
    config.locals[config.n_locals] = node_address(i, 0);
    config.locals[config.n_locals++].port = 0;
    return ph_node_new(&config, now);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    gboolean recorded = is_recorded(data, size);
    Feed feed = {.input = {data, size}, .now = 1000 * MS};
    PhReflectorConfig reflector;
    PhStationConfig config;

    ph_reflector_config_init(&reflector);
    reflector.hosts[0] = hub_address();
    reflector.ports[0] = hub_address().port;
    feed.reflector = ph_reflector_new(&reflector);
    g_assert(feed.reflector);
    ph_station_config_init(&config);
    config.nodes_max = 8;
    memset(config.secret, 0x42, sizeof(config.secret));
    feed.station = ph_station_new(&config);
    g_assert(feed.station);
    for (guint i = 0; i < NODES; i++) {
        feed.nodes[i] = make_node(i, recorded, feed.now);
        g_assert(feed.nodes[i]);
        feed.opened[i] = g_hash_table_new(NULL, NULL);
        feed.recordings[i] = g_byte_array_new();
    }
    poll_all(&feed);
    for (guint i = 0; i < STEPS && feed.input.left > 0; i++) {
        guint what = take(&feed.input);

        if (what >= FIRST_USE)
            use(&feed);
        else if (what >= 0x80)
            pass(&feed, (what & 0x3f) * (what & 0x3f) * 20 * MS);
        else if (what >= 0x40)
            deliver_all(&feed);
        else
            deliver(&feed, what);
    }
    ph_station_free(feed.station);
    ph_reflector_free(feed.reflector);
    for (guint i = 0; i < NODES; i++) {
        take_recorded(feed.nodes[i], feed.recordings[i]);
        if (recorded)
            replay_recorded(feed.recordings[i]);
        ph_node_free(feed.nodes[i]);
        g_hash_table_unref(feed.opened[i]);
        g_byte_array_unref(feed.recordings[i]);
    }
    return 0;
}
