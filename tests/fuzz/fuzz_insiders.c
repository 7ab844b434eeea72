/* SPDX-License-Identifier: MIT */
/*
 * A node whose hub and peers have valid sessions with it, and say in them what the input says: any
 * bytes, messages that make sense at the wrong time or about the wrong one, changed ones, several
 * at once; straight, by the hub's relay, or by each other's. Whatever they say, nothing crashes,
 * time goes on, sockets are those that were opened, data is told to be of who said it, and the
 * recording replays.
 */
#include <pinhole/node.h>
#include <pinhole/reflector.h>

#include "puppets.h"
#include "recorded.h"

#define STEPS  2000
#define ROUNDS 200 /* calls of one act, at most */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct Feed {
    Input input;
    Cast cast;
    PhNode *node;
    PhReflector *reflector;
    GByteArray *recording;
    gboolean nat, symmetric, hub_is_honest, sockets_fail;
    GHashTable *opened; /* ids of sockets */
    guint32 peer;       /* the last number of one */
    Coming last;
} Feed;

/* A host that has nothing to do with it all. */
static PhAddress bystander(guint n)
{
    return ph_address_ipv4(0xc0000201 + n % 4, (guint16)(5000 + n / 4));
}

static gboolean is_open(const Feed *feed, guint32 socket)
{
    return g_hash_table_contains(feed->opened, GUINT_TO_POINTER(socket));
}

/* ---- the network ---- */

static PhAddress outside(const Feed *feed, guint32 socket, const PhAddress *to)
{
    guint port = 1000 + socket % 10000;

    if (feed->symmetric)
        port += 10000 * (((guint)to->bytes[3] + to->port) % 5);
    return ph_address_ipv4(feed->nat ? 0xc6336464 : 0xc6336401, (guint16)port);
}

static void ask_reflector(Feed *feed, const PhRoute *route, const PhTransmit *transmit)
{
    const PhAddress *to = &transmit->path.remote;
    PhAddress hub = puppet_address(HUB);
    guint8 answer[PH_REFLECTOR_ANSWER_MAX];
    PhPath path = route->path, back;
    gsize length;

    path.socket = PH_REFLECTOR_SOCKET(!ph_address_equal_host(to, &hub), to->port != hub.port);
    length = ph_reflector_handle_datagram(feed->reflector, &path, transmit->bytes, transmit->length,
                                          feed->cast.now, &back, answer);
    hub.bytes[3] += (guint8)(back.socket >> 1);
    hub.port = (guint16)(hub.port + (back.socket & 1));
    if (length > 0)
        come(&feed->cast, transmit->path.socket, &hub, answer, length);
}

static void send_from_node(Feed *feed, const PhTransmit *transmit)
{
    const PhAddress *to = &transmit->path.remote;
    const PhRoute route = {.path = {.transport = PH_TRANSPORT_UDP,
                                    .socket = transmit->path.socket,
                                    .remote = outside(feed, transmit->path.socket, to)}};
    PhAddress hub = puppet_address(HUB), second = hub;

    g_assert_cmpuint(transmit->length, <=, PH_DATAGRAM_MAX);
    g_assert_cmpuint(to->port, !=, 0);
    g_assert(is_open(feed, transmit->path.socket));
    second.bytes[3]++;
    if (ph_address_equal_host(to, &hub) || ph_address_equal_host(to, &second)) {
        if (ph_session_is_packet(transmit->bytes, transmit->length))
            puppet_hear(&feed->cast, HUB, &route, transmit->bytes, transmit->length);
        else
            ask_reflector(feed, &route, transmit);
        return;
    }
    for (guint p = 1; p < PUPPETS; p++) {
        PhAddress there = puppet_address(p);

        if (!ph_address_equal_host(to, &there))
            continue;
        if (ph_punch_is_packet(transmit->bytes, transmit->length))
            puppet_answer_probe(&feed->cast, p, transmit->path.socket, transmit->bytes,
                                transmit->length);
        else
            puppet_hear(&feed->cast, p, &route, transmit->bytes, transmit->length);
        return;
    }
}

/* ---- the node ---- */

static void check_event(const Feed *feed, const PhNodeEvent *event)
{
    g_assert_cmpuint(event->length, <=, PH_NODE_MESSAGE_MAX);
    g_assert(!event->reason || event->sentence || ph_node_sentence(event->reason));
    if (event->kind != PH_NODE_DATA || event->length == 0)
        return;
    g_assert(event->bytes[0] != HUB && event->bytes[0] < PUPPETS);
    g_assert(memcmp(event->key, puppet_key(&feed->cast, event->bytes[0]), sizeof(event->key)) == 0);
}

static void poll_sockets(Feed *feed)
{
    PhSocketRequest request;

    while (ph_node_poll_socket(feed->node, &request)) {
        PhAddress local = ph_address_ipv4(0xc6336401, (guint16)(1000 + request.socket % 10000));

        g_assert(is_open(feed, request.socket) == (request.kind == PH_SOCKET_CLOSE));
        if (request.kind == PH_SOCKET_CLOSE) {
            g_hash_table_remove(feed->opened, GUINT_TO_POINTER(request.socket));
            continue;
        }
        if (feed->sockets_fail) {
            ph_node_socket_failed(feed->node, request.socket, feed->cast.now);
            continue;
        }
        g_hash_table_add(feed->opened, GUINT_TO_POINTER(request.socket));
        ph_node_socket_opened(feed->node, request.socket, &local, feed->cast.now);
    }
}

static void poll_node(Feed *feed)
{
    PhTransmit transmit;
    PhNodeEvent event;

    poll_sockets(feed);
    while (ph_node_poll_transmit(feed->node, &transmit))
        send_from_node(feed, &transmit);
    while (ph_node_poll_event(feed->node, &event)) {
        check_event(feed, &event);
        if (event.kind == PH_NODE_PEER_UP)
            feed->peer = event.peer;
    }
    poll_sockets(feed);
    take_recorded(feed->node, feed->recording);
}

/* What is said is heard, and what is answered, too. */
static void settle(Feed *feed)
{
    Cast *cast = &feed->cast;

    poll_node(feed);
    for (guint i = 0; i < ROUNDS && cast->n > 0; i++) {
        Coming *coming = &cast->coming[cast->first];
        PhPath path = {
            .transport = PH_TRANSPORT_UDP, .socket = coming->socket, .remote = coming->from};

        feed->last = *coming;
        cast->first = (cast->first + 1) % COMING;
        cast->n--;
        if (!is_open(feed, path.socket))
            continue;
        ph_node_handle_datagram(feed->node, &path, feed->last.bytes, feed->last.length, cast->now);
        poll_node(feed);
    }
    cast->n = 0;
}

/* A timer that has gone off is set later: else a driver would do nothing but that. */
static void pass(Feed *feed, guint64 ns)
{
    guint64 until = feed->cast.now + ns, next;
    guint stuck = 0;

    for (guint i = 0; i < ROUNDS; i++) {
        next = ph_node_next_timeout(feed->node);
        if (next > until)
            break;
        stuck = next > feed->cast.now ? 0 : stuck + 1;
        g_assert_cmpuint(stuck, <, 8);
        feed->cast.now = MAX(feed->cast.now, next);
        ph_node_handle_timeout(feed->node, feed->cast.now);
        settle(feed);
    }
    feed->cast.now = until;
    for (guint p = 0; p < PUPPETS; p++) {
        ph_sessions_handle_timeout(feed->cast.puppets[p].sessions, until);
        puppet_flush(&feed->cast, p);
    }
    ph_node_handle_timeout(feed->node, until);
}

/* ---- what is said ---- */

static guint8 any(Feed *feed)
{
    return take(&feed->input);
}

static PhAddress any_address(Feed *feed)
{
    guint what = any(feed);
    PhAddress address = {0};

    if (what < 0x40)
        return puppet_address(what % PUPPETS);
    if (what < 0x50)
        return address;
    if (what < 0x60)
        g_assert(ph_address_parse("[2001:db8::9]:4000", &address));
    else if (what < 0x80)
        address = ph_address_ipv4(0xc0a80100 + any(feed), 4000);
    else if (what < 0xa0)
        address = ph_address_ipv4(0xc6336401, (guint16)(1000 + any(feed)));
    else
        address = bystander(what);
    return address;
}

static void any_key(Feed *feed, guint8 *ret_key)
{
    guint what = any(feed);

    if (what < 0xe0)
        memcpy(ret_key, puppet_key(&feed->cast, what % PUPPETS), PH_NODE_KEY_BYTES);
    else if (what < 0xf0)
        memcpy(ret_key, feed->cast.node_key, PH_NODE_KEY_BYTES);
    else
        memset(ret_key, (int)what - 0xf0, PH_NODE_KEY_BYTES);
}

static PhNodeRecord any_record(Feed *feed)
{
    guint what = any(feed);
    PhNodeRecord record = puppet_record(&feed->cast, what % PUPPETS);

    if (what < 0x80)
        return record;
    record.sequence += (guint64)(gint64)(gint8)any(feed);
    record.nat_class = (guint8)(any(feed) % PH_CLASS_N);
    record.port_allocation = (guint8)(any(feed) % (PH_PORT_ALLOCATION_BLOCK + 1));
    record.step = (gint16)(any(feed) - 0x80);
    record.block_first = (guint16)(any(feed) << 8);
    record.block_last = (guint16)(any(feed) << 8);
    record.relays = any(feed) & 1;
    record.hidden = what >> 6 & 1;
    record.n_candidates = (guint8)(any(feed) % (PH_CANDIDATES_MAX + 1));
    for (guint i = 0; i < record.n_candidates; i++) {
        record.candidates[i].kind = (guint8)(any(feed) % PH_CANDIDATE_N);
        record.candidates[i].address = any_address(feed);
    }
    return record;
}

static guint32 any_request(Feed *feed, guint p)
{
    guint what = any(feed);

    return what < 0xc0 ? feed->cast.puppets[p].request : what - 0xc0;
}

static void any_introduction(Feed *feed, guint p, PhMessage *message)
{
    if (message->kind == PH_MESSAGE_INTRODUCE) {
        message->introduce.request = any_request(feed, p);
        message->introduce.attempt = any(feed) % 5;
        any_key(feed, message->introduce.key);
        message->introduce.record = any_record(feed);
        return;
    }
    message->introduced.request = any_request(feed, p);
    message->introduced.attempt = any(feed) % 5;
    any_key(feed, message->introduced.key);
    message->introduced.record = any_record(feed);
    memcpy(message->introduced.token, punch_token, sizeof(punch_token));
    message->introduced.start_us = any(feed) * 20000U;
}

static void any_peer(Feed *feed, guint p, PhMessage *message)
{
    message->peer.request = any_request(feed, p);
    message->peer.channel = any(feed) % 8;
    message->peer.near = any(feed) & 1;
    any_key(feed, message->peer.key);
    message->peer.record = any_record(feed);
    message->peer.seen = any_address(feed);
}

static void any_connect(Feed *feed, PhMessage *message)
{
    message->connect.request = any(feed);
    message->connect.by_name = any(feed) % 4 == 0;
    message->connect.near = any(feed) & 1;
    g_strlcpy(message->connect.name, names[1 + any(feed) % (PUPPETS - 1)],
              sizeof(message->connect.name));
    any_key(feed, message->connect.key);
}

static PhMessage any_message(Feed *feed, guint p)
{
    static const guint8 kinds[] = {
        PH_MESSAGE_KEEPALIVE, PH_MESSAGE_DATA,       PH_MESSAGE_PING,     PH_MESSAGE_PONG,
        PH_MESSAGE_CLOSE,     PH_MESSAGE_MOVED,      PH_MESSAGE_PREPARE,  PH_MESSAGE_PREPARED,
        PH_MESSAGE_REGISTER,  PH_MESSAGE_REGISTERED, PH_MESSAGE_REFUSED,  PH_MESSAGE_CONNECT,
        PH_MESSAGE_FOUND,     PH_MESSAGE_WANTED,     PH_MESSAGE_RELAY,    PH_MESSAGE_RELAYED,
        PH_MESSAGE_INTRODUCE, PH_MESSAGE_INTRODUCED, PH_MESSAGE_UPDATE,   PH_MESSAGE_INTRODUCED,
        PH_MESSAGE_WANTED,    PH_MESSAGE_UPDATE,     PH_MESSAGE_INTRODUCE};
    PhMessage message = {.kind = kinds[any(feed) % G_N_ELEMENTS(kinds)]};

    switch ((int)message.kind) {
    case PH_MESSAGE_DATA:
        message.data.bytes = punch_token;
        message.data.length = 1 + any(feed) % 8;
        break;
    case PH_MESSAGE_PING:
    case PH_MESSAGE_PONG:
        message.ping.id = any(feed) < 0xc0 ? feed->cast.puppets[p].ping : 1;
        if (message.kind == PH_MESSAGE_PONG)
            message.ping.seen = any_address(feed);
        break;
    case PH_MESSAGE_CLOSE:
        message.reason = any(feed) % 16;
        break;
    case PH_MESSAGE_REGISTER:
    case PH_MESSAGE_UPDATE:
        message.record = any_record(feed);
        break;
    case PH_MESSAGE_REGISTERED:
        message.registered.lifetime_s = any(feed);
        message.registered.seen = any_address(feed);
        break;
    case PH_MESSAGE_REFUSED:
        message.refused.what = kinds[any(feed) % G_N_ELEMENTS(kinds)];
        message.refused.reason = any(feed) % 16;
        message.refused.request = any_request(feed, p);
        break;
    case PH_MESSAGE_CONNECT:
        any_connect(feed, &message);
        break;
    case PH_MESSAGE_FOUND:
    case PH_MESSAGE_WANTED:
        any_peer(feed, p, &message);
        break;
    case PH_MESSAGE_RELAY:
    case PH_MESSAGE_RELAYED:
        message.relay.channel = any(feed) % 8;
        message.relay.bytes = feed->last.bytes;
        message.relay.length = any(feed) & 1 ? MIN(feed->last.length, 1100) : any(feed);
        break;
    case PH_MESSAGE_INTRODUCE:
    case PH_MESSAGE_INTRODUCED:
        any_introduction(feed, p, &message);
        break;
    default:
        break;
    }
    return message;
}

/* Straight to the data socket or another one, by the hub, by one of the others. */
static PhRoute any_route(Feed *feed)
{
    guint what = any(feed);
    PhRoute route = {.path = {.transport = PH_TRANSPORT_UDP, .socket = SOCKET}};

    if (what >= 0xe0)
        route.path.socket = what - 0xe0;
    else if (what >= 0x80)
        route.via = 1 + what % PUPPETS;
    return route;
}

static void say_many(Feed *feed, guint p)
{
    PhRoute route = any_route(feed);
    guint8 plain[PH_SESSION_PLAIN_MAX];
    gsize length = 0;

    for (guint n = 1 + any(feed) % 4; n > 0; n--) {
        PhMessage message = any_message(feed, p);

        length += ph_message_write(&message, plain + length, sizeof(plain) - length);
    }
    puppet_say_bytes(&feed->cast, p, &route, plain, length);
}

static void say_bytes(Feed *feed, guint p, gboolean opens)
{
    PhRoute route = any_route(feed);
    gsize length = any(feed);
    const guint8 *bytes = feed->input.data;

    length = MIN(length, feed->input.left);
    feed->input.data += length;
    feed->input.left -= length;
    if (opens)
        puppet_open(&feed->cast, p, &route, bytes, length);
    else
        puppet_say_bytes(&feed->cast, p, &route, bytes, length);
}

static void come_again(Feed *feed)
{
    Coming again = feed->last;
    guint how = any(feed);

    if (how & 1)
        again.from = any_address(feed);
    if (how & 2)
        again.socket = any(feed);
    if (how & 4)
        again.length = again.length * any(feed) / 256;
    if (again.length > 0 && how & 8)
        again.bytes[again.length * any(feed) / 256] ^= any(feed);
    come(&feed->cast, again.socket, &again.from, again.bytes, again.length);
}

/* ---- acts ---- */

static void application(Feed *feed)
{
    guint how = any(feed);
    guint8 key[PH_NODE_KEY_BYTES], bytes[PH_NODE_MESSAGE_MAX + 1] = {0};
    guint64 now = feed->cast.now;

    switch (how % 4) {
    case 0:
        feed->peer = ph_node_connect(feed->node, names[1 + how / 4 % 3], NULL, now);
        break;
    case 1:
        any_key(feed, key);
        feed->peer = ph_node_connect(feed->node, NULL, key, now);
        break;
    case 2:
        ph_node_send(feed->node, feed->peer, bytes, any(feed) * 5U, now);
        break;
    default:
        if (how >= 0xc0)
            ph_node_disconnect(feed->node, feed->peer, now);
        break;
    }
}

static void system_tells(Feed *feed)
{
    PhAddress address = any_address(feed);
    PhPath path = {PH_TRANSPORT_UDP, SOCKET, puppet_address(HUB)};
    guint how = any(feed);

    switch (how % 5) {
    case 0:
        address.port = 0;
        ph_node_network_changed(feed->node, &address, address.family != PH_FAMILY_NONE,
                                feed->cast.now);
        break;
    case 1:
        address = puppet_address(HUB);
        if (how & 0x80)
            g_assert(ph_address_parse("[2001:db8::7]:3478", &address));
        ph_node_hub_at(feed->node, &address, feed->cast.now);
        break;
    case 2:
        ph_node_unreachable(feed->node, &path, feed->cast.now);
        break;
    case 3:
        feed->sockets_fail = !feed->sockets_fail;
        break;
    default:
        if (how >= 0xfa)
            ph_node_close(feed->node, feed->cast.now);
        break;
    }
}

static void act(Feed *feed)
{
    guint what = any(feed), p = what % PUPPETS;
    Puppet *puppet = &feed->cast.puppets[p];

    if (feed->hub_is_honest && p == HUB)
        p = 1;
    if (what < 0x50) {
        PhMessage message = any_message(feed, p);
        PhRoute route = any_route(feed);

        puppet_say(&feed->cast, p, &route, &message);
    } else if (what < 0x60)
        say_bytes(feed, p, /* opens= */ FALSE);
    else if (what < 0x70)
        say_many(feed, p);
    else if (what < 0x80)
        say_bytes(feed, p, /* opens= */ TRUE);
    else if (what < 0x88)
        feed->cast.tamper = feed->hub_is_honest ? 0 : 1 + what % 4;
    else if (what < 0x90)
        puppet->mute = !puppet->mute;
    else if (what < 0xb0)
        pass(feed, any(feed) * 10 * MS);
    else if (what < 0xc0)
        pass(feed, (what & 15) * (what & 15) * 300 * MS);
    else if (what < 0xe0)
        application(feed);
    else if (what < 0xf0)
        system_tells(feed);
    else
        come_again(feed);
    settle(feed);
}

/* ---- a run ---- */

static void make_node(Feed *feed, gboolean recorded)
{
    guint how = any(feed), more = any(feed);
    PhNodeConfig config = {.hub = puppet_address(HUB),
                           .wall_ns = WALL,
                           .name = "node",
                           .first_socket = SOCKET,
                           .refuse_strangers = more & 1,
                           .fast_detector = how & 1,
                           .no_hard_punching = more & 2,
                           .relay_only = more >= 0xe0,
                           .relays = how & 2,
                           .no_mediation = more & 4};

    if (recorded)
        config.record = how & 4 ? PH_RECORD_SECRETS : PH_RECORD_DECISIONS;
    feed->nat = how & 8;
    feed->symmetric = how & 0x10;
    feed->hub_is_honest = how & 0x20;
    memset(config.secret, how & 0x40 ? 0x11 : 0x77, sizeof(config.secret));
    memcpy(config.hub_key, puppet_key(&feed->cast, HUB), sizeof(config.hub_key));
    config.locals[config.n_locals++] = ph_address_ipv4(feed->nat ? 0xc0a80102 : 0xc6336401, 0);
    feed->node = ph_node_new(&config, feed->cast.now);
    g_assert(feed->node);
    feed->cast.node_key = ph_node_public_key(feed->node);
}

static PhReflector *make_reflector(void)
{
    PhReflectorConfig config;

    ph_reflector_config_init(&config);
    config.sources = 64;
    config.hosts[0] = config.hosts[1] = puppet_address(HUB);
    config.hosts[1].bytes[3]++;
    config.ports[0] = puppet_address(HUB).port;
    config.ports[1] = (guint16)(config.ports[0] + 1);
    return ph_reflector_new(&config);
}

static void check_tables(const Feed *feed)
{
    PhNodePeer peer;
    PhNodeSelf self;

    ph_node_self(feed->node, &self);
    g_assert(self.hub_state);
    for (guint i = 0; ph_node_peer(feed->node, i, &peer); i++) {
        g_assert_cmpuint(i, <, PH_NODE_PEERS_MAX);
        g_assert(peer.state && peer.peer != 0);
        g_assert(!peer.reason || peer.sentence);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static Feed feed;
    gboolean recorded = is_recorded(data, size);

    memset(&feed, 0, sizeof(feed));
    feed.input = (Input){data, size};
    feed.recording = g_byte_array_new();
    feed.opened = g_hash_table_new(NULL, NULL);
    feed.reflector = make_reflector();
    g_assert(feed.reflector);
    cast_init(&feed.cast, &feed.input, 1 * S);
    make_node(&feed, recorded);
    settle(&feed);
    for (guint i = 0; i < STEPS && feed.input.left > 0; i++)
        act(&feed);
    check_tables(&feed);
    if (recorded)
        replay_recorded(feed.recording);
    ph_node_free(feed.node);
    ph_reflector_free(feed.reflector);
    cast_clear(&feed.cast);
    g_byte_array_unref(feed.recording);
    g_hash_table_unref(feed.opened);
    return 0;
}
