/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "relayed.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <pinhole/stun.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "../../lib/core/message.h"
#include "../../lib/core/noise.h"
#include "../../lib/core/session.h"

#define BATCH          32
#define CARRYING_PLAIN 21 /* what is sealed of a packet that carries another */
#define BUFFER_BYTES   (4 << 20)
#define NS_PER_MS      G_GUINT64_CONSTANT(1000000)
#define LOST_NS        (50 * NS_PER_MS) /* nothing came for so long: what is under way is lost */
#define PAUSE_NS       (NS_PER_MS / 50)

/* RFC 8656 §17, 18. */
#define TURN_ALLOCATE            0x003
#define TURN_CHANNEL_BIND        0x009
#define TURN_CHANNEL_NUMBER      0x000C
#define TURN_XOR_PEER_ADDRESS    0x0012
#define TURN_REQUESTED_TRANSPORT 0x0019
#define TURN_CHANNEL             0x4000

typedef struct End {
    int fd;
    PhAddress address;
    PhSessions *sessions; /* of a hub's */
    guint32 session, channel;
} End;

struct Relayed {
    RelayedKind kind;
    struct sockaddr_in server;
    End ends[2]; /* who sends, who gets */
    guint8 packets[BATCH][PH_DATAGRAM_MAX];
};

static guint64 clock_ns(clockid_t clock)
{
    struct timespec time;

    clock_gettime(clock, &time);
    return (guint64)time.tv_sec * 1000000000 + (guint64)time.tv_nsec;
}

static guint64 now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

static gboolean open_end(Relayed *relayed, End *end)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof(any);
    const int bytes = BUFFER_BYTES;

    end->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (end->fd < 0 || bind(end->fd, (const struct sockaddr *)&any, length) < 0 ||
        getsockname(end->fd, (struct sockaddr *)&any, &length) < 0)
        return FALSE;
    (void)setsockopt(end->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
    (void)setsockopt(end->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
    end->address = ph_address_ipv4(ntohl(any.sin_addr.s_addr), ntohs(any.sin_port));
    (void)relayed;
    return TRUE;
}

static void send_one(const Relayed *relayed, const End *end, const guint8 *bytes, gsize length)
{
    (void)sendto(end->fd, bytes, length, 0, (const struct sockaddr *)&relayed->server,
                 sizeof(relayed->server));
}

/* One datagram; -1: none in that time. */
static gssize get_one(const End *end, guint8 *bytes, gsize room, int timeout_ms)
{
    struct pollfd ready = {.fd = end->fd, .events = POLLIN};

    return poll(&ready, 1, timeout_ms) == 1 ? recv(end->fd, bytes, room, MSG_DONTWAIT) : -1;
}

/* ---- a hub's nodes ---- */

static void flush(const Relayed *relayed, const End *end)
{
    const guint8 *bytes;
    PhRoute route;
    gsize length;

    while (ph_sessions_poll_transmit(end->sessions, &route, &bytes, &length))
        send_one(relayed, end, bytes, length);
}

static gsize seal(const End *end, const PhMessage *message, guint8 *packet)
{
    guint8 plain[PH_SESSION_PLAIN_MAX];
    gsize length = ph_message_write(message, plain, sizeof(plain));

    return ph_sessions_seal(end->sessions, end->session, plain, length, now_ns(), packet);
}

/* Until it is told that; FALSE: it is not. */
static gboolean await_told(const Relayed *relayed, End *end, guint8 kind, PhMessage *ret_message)
{
    PhRoute route = {.path = {.transport = PH_TRANSPORT_UDP}};
    guint8 bytes[PH_DATAGRAM_MAX];
    PhSessionInput input;
    gssize length;
    gsize used;

    while ((length = get_one(end, bytes, sizeof(bytes), 200)) > 0) {
        ph_sessions_receive(end->sessions, &route, bytes, (gsize)length, now_ns(), &input);
        flush(relayed, end);
        if (input.length > 0 && ph_message_read(input.bytes, input.length, ret_message, &used) &&
            ret_message->kind == kind)
            return TRUE;
    }
    return FALSE;
}

static gboolean join(Relayed *relayed, guint n, const guint8 *hub_key)
{
    PhSessionsConfig config = {.wall_ns = (guint64)time(NULL) * 1000000000 - now_ns(),
                               .sessions_max = 4};
    PhMessage message = {.kind = PH_MESSAGE_REGISTER};
    PhRoute route = {.path = {.transport = PH_TRANSPORT_UDP}};
    End *end = &relayed->ends[n];
    guint8 payload[PH_SESSION_PAYLOAD_MAX];
    gsize length;

    memset(config.secret, (int)n + 1, sizeof(config.secret));
    memcpy(config.seed, &config.wall_ns, sizeof(config.wall_ns));
    ph_sessions_free(end->sessions);
    end->sessions = ph_sessions_new(&config);
    g_snprintf(message.record.name, sizeof(message.record.name), "end%u", n);
    length = ph_message_write(&message, payload, sizeof(payload));
    end->session = ph_sessions_open(end->sessions, hub_key, &route, payload, length, now_ns());
    flush(relayed, end);
    return await_told(relayed, end, PH_MESSAGE_REGISTERED, &message);
}

static gboolean join_both(Relayed *relayed, const guint8 *hub_key)
{
    PhMessage message = {.kind = PH_MESSAGE_CONNECT,
                         .connect = {.request = 1, .by_name = TRUE, .name = "end1"}};
    guint8 packet[PH_DATAGRAM_MAX];
    End *end = &relayed->ends[0];

    if (!join(relayed, 0, hub_key) || !join(relayed, 1, hub_key))
        return FALSE;
    send_one(relayed, end, packet, seal(end, &message, packet));
    if (!await_told(relayed, end, PH_MESSAGE_FOUND, &message))
        return FALSE;
    end->channel = message.peer.channel;
    return TRUE;
}

/* ---- a TURN server's client and its peer ---- */

/* A request, and whether it succeeds. */
static gboolean ask_turn(const Relayed *relayed, PhStunWriter *writer)
{
    guint8 answer[PH_DATAGRAM_MAX];
    PhStunMessage message;
    gssize length;

    send_one(relayed, &relayed->ends[0], writer->bytes, ph_stun_write_end(writer));
    length = get_one(&relayed->ends[0], answer, sizeof(answer), 200);
    return length > 0 && ph_stun_read(answer, (gsize)length, &message) == PH_STUN_OK &&
           message.message_class == PH_STUN_SUCCESS;
}

static void begin(PhStunWriter *writer, guint8 *bytes, gsize room, guint16 method)
{
    guint8 id[12] = {(guint8)method};
    PhStunTransaction transaction = ph_stun_transaction(id);

    ph_stun_write_begin(writer, bytes, room, PH_STUN_REQUEST, method, &transaction);
}

static gboolean allocate(Relayed *relayed)
{
    guint8 bytes[256];
    guint32 peer[2]; /* RFC 8489 §14.2: as XOR-MAPPED-ADDRESS */
    PhStunWriter writer;

    begin(&writer, bytes, sizeof(bytes), TURN_ALLOCATE);
    ph_stun_write_u32(&writer, TURN_REQUESTED_TRANSPORT, (guint32)IPPROTO_UDP << 24);
    if (!ask_turn(relayed, &writer))
        return FALSE;
    begin(&writer, bytes, sizeof(bytes), TURN_CHANNEL_BIND);
    ph_stun_write_u32(&writer, TURN_CHANNEL_NUMBER, (guint32)TURN_CHANNEL << 16);
    peer[0] = htonl(UINT32_C(0x00010000) | (relayed->ends[1].address.port ^ PH_STUN_COOKIE >> 16));
    peer[1] = htonl(ph_address_ipv4_number(&relayed->ends[1].address) ^ PH_STUN_COOKIE);
    ph_stun_write(&writer, TURN_XOR_PEER_ADDRESS, peer, sizeof(peer));
    return ask_turn(relayed, &writer);
}

/* ---- both ---- */

/* RFC 8656 §12.4: the channel, the length, the data. */
static gsize make_packet(Relayed *relayed, gsize length, guint8 *packet)
{
    static const guint8 data[RELAYED_MAX] = {0xc4};
    PhMessage message = {.kind = PH_MESSAGE_RELAY};

    g_assert(length <= sizeof(data));
    if (relayed->kind == RELAYED_TURN) {
        packet[0] = TURN_CHANNEL >> 8;
        packet[1] = 0;
        packet[2] = (guint8)(length >> 8);
        packet[3] = (guint8)length;
        memcpy(packet + 4, data, length);
        return length + 4;
    }
    message.relay.channel = relayed->ends[0].channel;
    message.relay.bytes = data;
    message.relay.length = length;
    return seal(&relayed->ends[0], &message, packet);
}

static gboolean begin_relaying(Relayed *relayed, const guint8 *hub_key)
{
    return relayed->kind == RELAYED_HUB ? join_both(relayed, hub_key) : allocate(relayed);
}

Relayed *relayed_new(RelayedKind kind, const PhAddress *server, const guint8 *hub_key,
                     guint64 timeout_ns)
{
    g_autoptr(Relayed) relayed = g_new0(Relayed, 1);
    guint64 start = now_ns();

    relayed->kind = kind;
    relayed->server = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(server->port)};
    relayed->server.sin_addr.s_addr = htonl(ph_address_ipv4_number(server));
    relayed->ends[0].fd = relayed->ends[1].fd = -1;
    if (!open_end(relayed, &relayed->ends[0]) || !open_end(relayed, &relayed->ends[1]))
        return NULL;
    while (now_ns() - start < timeout_ns)
        if (begin_relaying(relayed, hub_key))
            return g_steal_pointer(&relayed);
    return NULL;
}

Relayed *relayed_free(Relayed *relayed)
{
    if (!relayed)
        return NULL;
    for (guint i = 0; i < 2; i++) {
        ph_sessions_free(relayed->ends[i].sessions);
        if (relayed->ends[i].fd >= 0)
            close(relayed->ends[i].fd);
    }
    g_free(relayed);
    return NULL;
}

/* Made beforehand, sent in one piece (UDP GSO): the server is to be kept busy. */
static void send_batch(Relayed *relayed, gsize length, guint n)
{
    struct iovec parts[BATCH];
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(guint16))] = {0};
    struct cmsghdr *segment = (struct cmsghdr *)(void *)control;
    struct msghdr header = {.msg_name = &relayed->server,
                            .msg_namelen = sizeof(relayed->server),
                            .msg_iov = parts,
                            .msg_iovlen = n,
                            .msg_control = control,
                            .msg_controllen = sizeof(control)};
    guint16 size = 0;

    for (guint i = 0; i < n; i++) {
        size = (guint16)make_packet(relayed, length, relayed->packets[i]);
        parts[i] = (struct iovec){relayed->packets[i], size};
    }
    segment->cmsg_level = SOL_UDP;
    segment->cmsg_type = UDP_SEGMENT;
    segment->cmsg_len = CMSG_LEN(sizeof(size));
    memcpy(CMSG_DATA(segment), &size, sizeof(size));
    (void)sendmsg(relayed->ends[0].fd, &header, 0);
}

static guint get_batch(Relayed *relayed)
{
    static guint8 bytes[BATCH][PH_DATAGRAM_MAX];
    struct mmsghdr headers[BATCH];
    struct iovec parts[BATCH];
    guint came = 0;
    int n;

    do {
        for (guint i = 0; i < BATCH; i++) {
            parts[i] = (struct iovec){bytes[i], sizeof(bytes[i])};
            headers[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i], .msg_iovlen = 1};
        }
        n = recvmmsg(relayed->ends[1].fd, headers, BATCH, MSG_DONTWAIT, NULL);
        came += n > 0 ? (guint)n : 0;
    } while (n == BATCH);
    return came;
}

/* Who looks all the time takes the socket's lock from the server. */
static void leave_alone(void)
{
    guint64 start = now_ns();

    while (now_ns() - start < PAUSE_NS)
        ;
}

void relayed_run(Relayed *relayed, gsize length, guint window, guint64 duration_ns,
                 RelayedResult *ret_result)
{
    guint64 start = now_ns(), now = start, heard = start;
    guint under_way = 0;

    *ret_result = (RelayedResult){0};
    while (now - start < duration_ns) {
        guint came = get_batch(relayed);

        if (came > 0)
            heard = now;
        came = MIN(came, under_way);
        under_way -= came;
        ret_result->came += came;
        if (now - heard > LOST_NS) {
            ret_result->lost += under_way;
            under_way = 0;
            heard = now;
        }
        if (window - under_way >= BATCH) {
            send_batch(relayed, length, BATCH);
            under_way += BATCH;
        } else if (came == 0) {
            leave_alone();
        }
        now = now_ns();
    }
    ret_result->seconds = (double)(now - start) / 1e9;
}

double relayed_crypto_ns(gsize length)
{
    enum { TIMES = 20000 };
    static const guint8 key[PH_NOISE_KEY_BYTES] = {1};
    guint8 plain[CARRYING_PLAIN] = {0}, packet[PH_DATAGRAM_MAX] = {0};
    const gsize open = length; /* a header, and the packet without its own */
    guint64 start = clock_ns(CLOCK_PROCESS_CPUTIME_ID);

    for (guint i = 0; i < TIMES; i++) {
        ph_noise_seal(key, i, packet, open, plain, sizeof(plain), packet + open);
        if (!ph_noise_open(key, i, packet, open, packet + open, sizeof(plain) + PH_NOISE_TAG_BYTES,
                           plain))
            g_assert_not_reached();
    }
    return (double)(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - start) / TIMES;
}
