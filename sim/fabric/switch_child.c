/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The switch: one process in the lab's sandbox that runs the world in real time, between TUN
 * devices and under the lab's orders.
 *
 *     TUN readable ──> pl_world_send                       a packet leaves a host
 *     timer        ──> pl_world_receive ──> write to TUN   its time to arrive has come
 *     socket       ──> an order; what hosts had sent before it is taken in first
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "capture/feed.h"
#include "capture/trace.h"
#include "fabric/words.h"
#include "machine/clock.h"
#include "machine/files.h"
#include "machine/parcel.h"
#include "scenario/engine.h"

/* Packets taken from one device before others have their turn. */
#define BATCH 64
/* More than a TUN device's queue holds (500 packets by default). */
#define DRAIN_MAX 4096
#define EVENTS    64

typedef struct Port {
    PlWorldPlace place;
    int tun;
} Port;

typedef struct Switch {
    const PlTopology *topology;
    PlWorld *world;
    int socket, epoll, timer;
    GPtrArray *ports;     /* Port; epoll's data */
    GHashTable *by_place; /* PlAttachment or PlNetwork -> Port */
    uint64_t armed_ns;    /* when the timer fires; UINT64_MAX: never */
    PlTrace *trace;       /* NULL: nothing is recorded */
    uint64_t epoch_ns;    /* the wall clock, less the lab's */
    GPtrArray *taps;      /* PlFeedWriter: of those who look on */
    uint8_t buffer[PL_DATAGRAM_MAX];
} Switch;

static void observe(const PlAttachment *attachment, gboolean outgoing, const PlDatagram *datagram,
                    uint64_t time_ns, gpointer data)
{
    Switch *sw = data;

    if (sw->trace)
        pl_trace_packet(sw->trace, attachment, outgoing, datagram->bytes, datagram->length,
                        sw->epoch_ns + time_ns);
    for (unsigned i = 0; i < sw->taps->len; i++)
        pl_feed_writer_packet(g_ptr_array_index(sw->taps, i), attachment, outgoing, datagram->bytes,
                              datagram->length, sw->epoch_ns + time_ns);
}

/* Those who look on are told that there is something, all at once. */
static void wake_taps(Switch *sw)
{
    for (unsigned i = sw->taps->len; i-- > 0;)
        if (!pl_feed_writer_wake(g_ptr_array_index(sw->taps, i)))
            g_ptr_array_remove_index(sw->taps, i);
}

/* ---- packets ---- */

static gconstpointer place_key(const PlWorldPlace *place)
{
    return place->attachment ? (gconstpointer)place->attachment : place->network;
}

static void deliver(Switch *sw, uint64_t now)
{
    PlWorldPlace place;
    PlDatagram *datagram;
    uint64_t at;

    while ((datagram = pl_world_receive(sw->world, now, &place, &at))) {
        const Port *port = g_hash_table_lookup(sw->by_place, place_key(&place));

        /* What a device does not take (it is down) is lost, as on a wire that leads nowhere. */
        if (port)
            (void)!write(port->tun, datagram->bytes, datagram->length);
        pl_datagram_free(datagram);
    }
}

/*
 * Whether a host's kernel says this to its neighbours, and no program: a source that is unspecified
 * or link-local goes no further (RFC 4291 §2.5.2, §2.5.6). Nobody has such an address here, but
 * what routers listen to is reported all the same (RFC 3590 §4).
 */
static gboolean is_for_neighbours(const uint8_t *bytes, size_t length)
{
    static const uint8_t unspecified[16];
    const uint8_t *source = bytes + 8;

    return length >= 40 && bytes[0] >> 4 == 6 &&
           (memcmp(source, unspecified, 16) == 0 ||
            (source[0] == 0xfe && (source[1] & 0xc0) == 0x80));
}

static void take(Switch *sw, const Port *port, unsigned limit)
{
    for (unsigned i = 0; i < limit; i++) {
        ssize_t n = read(port->tun, sw->buffer, sizeof(sw->buffer));

        if (n < 0 && errno == EAGAIN)
            return;
        /* Somebody on the host has deleted the device. */
        if (n < 0 && errno == EBADFD)
            epoll_ctl(sw->epoll, EPOLL_CTL_DEL, port->tun, NULL);
        if (n <= 0)
            return;
        if (is_for_neighbours(sw->buffer, (size_t)n))
            continue;
        pl_world_send(sw->world, &port->place, sw->buffer, (size_t)n, pl_now_ns());
    }
}

/* All that hosts sent before now, and what had to arrive by now. */
static void drain(Switch *sw)
{
    for (unsigned i = 0; i < sw->ports->len; i++)
        take(sw, g_ptr_array_index(sw->ports, i), DRAIN_MAX);
    deliver(sw, pl_now_ns());
}

static void set_timer(Switch *sw)
{
    uint64_t next = pl_world_next(sw->world);
    struct itimerspec when = {0};

    if (next == sw->armed_ns)
        return;
    sw->armed_ns = next;
    /* 0 would stop it. */
    if (next != UINT64_MAX) {
        when.it_value.tv_sec = (time_t)(next / 1000000000);
        when.it_value.tv_nsec = (long)MAX(next % 1000000000, 1);
    }
    timerfd_settime(sw->timer, TFD_TIMER_ABSTIME, &when, NULL);
}

/* ---- orders ---- */

/* What came with an order. */
typedef struct Order {
    PlSwitchRequest request;
    const char *more;
    size_t more_length;
    int fds[PL_PARCEL_FDS]; /* -1: taken, or none */
} Order;

static const PlNode *node_of(const Switch *sw, unsigned index)
{
    g_assert(index < sw->topology->nodes->len);
    return g_ptr_array_index(sw->topology->nodes, index);
}

static const PlAttachment *attachment_of(const Switch *sw, unsigned node, unsigned index)
{
    return g_ptr_array_index(node_of(sw, node)->attachments, index);
}

static gboolean plug(Switch *sw, Order *order, GError **error)
{
    struct epoll_event event = {.events = EPOLLIN};
    Port *port = g_new0(Port, 1);

    if (order->request.node != G_MAXUINT)
        port->place.attachment = attachment_of(sw, order->request.node, order->request.attachment);
    port->place.network = g_ptr_array_index(sw->topology->networks, order->request.network);
    port->tun = order->fds[0];
    order->fds[0] = -1;
    g_ptr_array_add(sw->ports, port);
    g_hash_table_insert(sw->by_place, (gpointer)place_key(&port->place), port);
    event.data.ptr = port;
    if (epoll_ctl(sw->epoll, EPOLL_CTL_ADD, port->tun, &event) < 0) {
        pl_error_set_errno(error, "wait for a TUN device", errno);
        return FALSE;
    }
    return TRUE;
}

static gboolean tell_connections(const Switch *sw, const Order *order, GError **error)
{
    const PlNat *nat = pl_world_nat(sw->world, node_of(sw, order->request.node));
    uint64_t now = pl_now_ns();
    g_autoptr(GArray) entries = pl_nat_entries(nat, now);

    for (unsigned i = 0; i < entries->len; i++) {
        const PlNatEntry *entry = &g_array_index(entries, PlNatEntry, i);
        PlConnection connection;

        memset(&connection, 0, sizeof(connection));
        connection.protocol = entry->protocol;
        connection.inside = entry->inside;
        connection.external = entry->external;
        connection.remote = entry->remote;
        connection.from_outside = entry->from_outside;
        connection.replied = connection.assured = entry->replied;
        connection.expires_s =
            entry->expires_ns > now ? (uint32_t)((entry->expires_ns - now) / 1000000000) : 0;
        if (write(order->fds[0], &connection, sizeof(connection)) != sizeof(connection)) {
            pl_error_set_errno(error, "tell connections", errno);
            return FALSE;
        }
    }
    return TRUE;
}

/* The attachments that an order names; what follows them is at *ret_more. */
static GPtrArray *points_of(const Switch *sw, const Order *order, const char **ret_more)
{
    GPtrArray *attachments = g_ptr_array_new();
    const unsigned n = order->request.n_points;
    unsigned pair[2];

    g_assert(order->more_length >= n * sizeof(pair));
    for (unsigned i = 0; i < n; i++) {
        memcpy(pair, order->more + i * sizeof(pair), sizeof(pair));
        g_ptr_array_add(attachments, (gpointer)attachment_of(sw, pair[0], pair[1]));
    }
    *ret_more = order->more + n * sizeof(pair);
    return attachments;
}

/* Anew where nobody would see time jump. */
static void set_epoch(Switch *sw)
{
    if (!sw->trace && sw->taps->len == 0)
        sw->epoch_ns = pl_wall_ns() - pl_now_ns();
}

static gboolean record(Switch *sw, const Order *order, GError **error)
{
    const char *comment;
    g_autoptr(GPtrArray) attachments = points_of(sw, order, &comment);

    set_epoch(sw);
    sw->trace = pl_trace_new(attachments, order->fds[0], comment, error);
    return sw->trace != NULL;
}

static gboolean tap(Switch *sw, Order *order, GError **error)
{
    const char *more;
    g_autoptr(GPtrArray) attachments = points_of(sw, order, &more);
    PlFeedWriter *writer;

    set_epoch(sw);
    writer = pl_feed_writer_new(attachments, order->fds, error);
    order->fds[0] = order->fds[1] = -1;
    if (writer)
        g_ptr_array_add(sw->taps, writer);
    return writer != NULL;
}

static gboolean obey(Switch *sw, Order *order, GError **error)
{
    const PlSwitchRequest *request = &order->request;
    uint64_t now = pl_now_ns();

    switch (request->kind) {
    case PL_SWITCH_PLUG:
        return plug(sw, order, error);
    case PL_SWITCH_TAKE:
        return TRUE;
    case PL_SWITCH_FLUSH:
        pl_world_nat_flush(sw->world, node_of(sw, request->node), now);
        return TRUE;
    case PL_SWITCH_REBOOT:
        pl_world_nat_reboot(sw->world, node_of(sw, request->node), now);
        return TRUE;
    case PL_SWITCH_ADDRESS:
        pl_world_nat_address(sw->world, node_of(sw, request->node), &request->address, now);
        return TRUE;
    case PL_SWITCH_LINK:
        pl_world_link(sw->world, attachment_of(sw, request->node, request->attachment), request->up,
                      now);
        return TRUE;
    case PL_SWITCH_MOVE:
        pl_world_move(sw->world, attachment_of(sw, request->node, 0),
                      g_ptr_array_index(sw->topology->networks, request->network),
                      &request->address, now);
        return TRUE;
    case PL_SWITCH_RESET:
        pl_world_reset(sw->world, now);
        return TRUE;
    case PL_SWITCH_SETTLE:
        return TRUE; /* that is done before any order */
    case PL_SWITCH_CONNECTIONS:
        return tell_connections(sw, order, error);
    case PL_SWITCH_RECORD:
        return record(sw, order, error);
    case PL_SWITCH_RECORD_STOP:
        return pl_trace_close(g_steal_pointer(&sw->trace), sw->epoch_ns + now, error);
    case PL_SWITCH_TAP:
        return tap(sw, order, error);
    }
    g_assert_not_reached();
}

static void reply(const Switch *sw, const GError *error)
{
    PlSwitchReply reply;

    memset(&reply, 0, sizeof(reply));
    if (error) {
        reply.failed = TRUE;
        reply.code = error->code;
        g_strlcpy(reply.text, error->message, sizeof(reply.text));
    }
    if (!pl_parcel_send(sw->socket, &reply, sizeof(reply), NULL, 0))
        exit(EXIT_FAILURE); /* the lab is gone */
}

static void take_order(Switch *sw)
{
    static char message[PL_PARCEL_MAX];
    Order order;
    size_t n_fds;
    ssize_t n = pl_parcel_receive(sw->socket, message, sizeof(message), order.fds, &n_fds);
    g_autoptr(GError) error = NULL;

    if (n < (ssize_t)sizeof(order.request))
        exit(EXIT_SUCCESS); /* the lab is gone */
    memcpy(&order.request, message, sizeof(order.request));
    order.more = message + sizeof(order.request);
    order.more_length = (size_t)n - sizeof(order.request);
    drain(sw);
    (void)obey(sw, &order, &error);
    for (size_t i = 0; i < n_fds; i++)
        if (order.fds[i] >= 0)
            close(order.fds[i]);
    reply(sw, error);
}

/* ---- the loop ---- */

static void watch(const Switch *sw, int fd, const int *what)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = (void *)what};

    if (epoll_ctl(sw->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        exit(EXIT_FAILURE);
}

static void turn(Switch *sw)
{
    struct epoll_event events[EVENTS];
    int n = epoll_wait(sw->epoll, events, EVENTS, -1);
    gboolean ordered = FALSE;

    for (int i = 0; i < n; i++) {
        if (events[i].data.ptr == &sw->socket)
            ordered = TRUE;
        else if (events[i].data.ptr != &sw->timer)
            take(sw, events[i].data.ptr, BATCH);
    }
    deliver(sw, pl_now_ns());
    if (ordered)
        take_order(sw);
    wake_taps(sw);
    set_timer(sw);
}

void pl_switch_main(const PlTopology *topology, uint64_t seed, int socket)
{
    Switch *sw = g_new0(Switch, 1);

    prctl(PR_SET_NAME, "pinlab-switch");
    signal(SIGINT, SIG_IGN); /* the lab's to act on */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* too large a file is an error of write (EFBIG) */
    signal(SIGTERM, SIG_DFL);
    pl_files_close_others(&socket, 1);
    sw->topology = topology;
    sw->socket = socket;
    sw->ports = g_ptr_array_new();
    sw->by_place = g_hash_table_new(NULL, NULL);
    sw->taps = g_ptr_array_new_with_free_func((GDestroyNotify)pl_feed_writer_free);
    sw->armed_ns = UINT64_MAX;
    sw->world = pl_world_new(topology, seed, pl_now_ns());
    pl_world_observe(sw->world, observe, sw);
    sw->epoll = epoll_create1(EPOLL_CLOEXEC);
    sw->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (sw->epoll < 0 || sw->timer < 0)
        exit(EXIT_FAILURE);
    watch(sw, socket, &sw->socket);
    watch(sw, sw->timer, &sw->timer);
    for (;;)
        turn(sw);
}
