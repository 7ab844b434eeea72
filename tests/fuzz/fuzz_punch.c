/* SPDX-License-Identifier: MIT */
/*
 * An attempt to punch, fed with a list of events: time passes, packets come that are the peer's,
 * nearly the peer's, its own, and anything; sockets fail. However it goes, it must come to an end,
 * send no more than it may, to nobody but the peer's candidates and who has proved to be the peer,
 * and close what it opened.
 */
#include <sodium.h>
#include <string.h>

#include "../../lib/core/punch.h"
#include "input.h"

#define MS    G_GUINT64_CONSTANT(1000000)
#define DATA  7
#define FRESH 100

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct Flight {
    PhPath path;
    guint8 bytes[PH_PUNCH_PACKET_BYTES];
} Flight;

typedef struct Feed {
    Input input;
    PhPunchConfig config;
    PhPunch *punch;
    guint64 now;
    GArray *sent;   /* Flight */
    GArray *proved; /* PhPath: what with the right token came along */
    gboolean open[PH_PUNCH_SOCKETS];
    guint n_open;
} Feed;

static PhAddress take_address(Feed *feed)
{
    guint which = take(&feed->input);

    return ph_address_ipv4(0xcb007100 + (which & 3), (guint16)(40000 + (which >> 2)));
}

/* A class and, mostly, the axes that it amounts to. */
static void take_axes(Feed *feed, PhNodeRecord *record)
{
    static const guint8 axes[PH_CLASS_N][2] = {
        [PH_CLASS_DIRECT] = {PH_MAPPING_NONE, PH_FILTERING_ENDPOINT_INDEPENDENT},
        [PH_CLASS_FIREWALL] = {PH_MAPPING_NONE, PH_FILTERING_ADDRESS_AND_PORT_DEPENDENT},
        [PH_CLASS_FULL_CONE] = {PH_MAPPING_ENDPOINT_INDEPENDENT, PH_FILTERING_ENDPOINT_INDEPENDENT},
        [PH_CLASS_RESTRICTED] = {PH_MAPPING_ENDPOINT_INDEPENDENT, PH_FILTERING_ADDRESS_DEPENDENT},
        [PH_CLASS_PORT_RESTRICTED] = {PH_MAPPING_ENDPOINT_INDEPENDENT,
                                      PH_FILTERING_ADDRESS_AND_PORT_DEPENDENT},
    };
    guint drawn = take(&feed->input), other = drawn / PH_CLASS_N;

    record->nat_class = (guint8)(drawn % PH_CLASS_N);
    record->mapping = axes[record->nat_class][0];
    record->filtering = axes[record->nat_class][1];
    if (other == 0)
        return;
    record->mapping = (guint8)(other % (PH_MAPPING_ADDRESS_AND_PORT_DEPENDENT + 1));
    record->filtering = (guint8)(other / 5 % (PH_FILTERING_ADDRESS_AND_PORT_DEPENDENT + 1));
    record->pooling = (guint8)(drawn / 2 % (PH_POOLING_ARBITRARY + 1));
}

static void take_record(Feed *feed, PhNodeRecord *record)
{
    guint n = take(&feed->input) % (PH_CANDIDATES_MAX + 1);

    take_axes(feed, record);
    record->port_allocation = (guint8)(take(&feed->input) % (PH_PORT_ALLOCATION_BLOCK + 1));
    record->step = (gint16)((gint8)take(&feed->input) * (gint)take(&feed->input));
    record->block_first = (guint16)(take(&feed->input) << 8 | take(&feed->input));
    record->block_last = (guint16)(take(&feed->input) << 8 | take(&feed->input));
    for (record->n_candidates = 0; record->n_candidates < n; record->n_candidates++) {
        PhCandidate *candidate = &record->candidates[record->n_candidates];

        candidate->kind = (guint8)(take(&feed->input) % PH_CANDIDATE_N);
        candidate->address = take_address(feed);
    }
}

/* A candidate's host, whose ports may be guessed, or who proved to be the peer, here. */
static gboolean may_send(const Feed *feed, const PhPath *path)
{
    for (guint i = 0; i < feed->config.other.n_candidates; i++)
        if (ph_address_equal_host(&feed->config.other.candidates[i].address, &path->remote))
            return TRUE;
    for (guint i = 0; i < feed->proved->len; i++) {
        const PhPath *proved = &g_array_index(feed->proved, PhPath, i);

        if (proved->socket == path->socket && ph_address_equal(&proved->remote, &path->remote))
            return TRUE;
    }
    return FALSE;
}

static void open_or_close(Feed *feed, const PhSocketRequest *request)
{
    PhAddress local = ph_address_ipv4(0xc0a80102, (guint16)(40000 + request->socket));
    guint number = request->socket - FRESH;

    g_assert_cmpuint(number, <, feed->config.n_sockets);
    g_assert_true(feed->open[number] == (request->kind == PH_SOCKET_CLOSE));
    if (request->kind == PH_SOCKET_OPEN && take(&feed->input) % 16 == 15) {
        ph_punch_socket_failed(feed->punch, request->socket, feed->now);
        return;
    }
    feed->open[number] = request->kind == PH_SOCKET_OPEN;
    feed->n_open += request->kind == PH_SOCKET_OPEN ? 1 : -1U;
    if (request->kind == PH_SOCKET_OPEN)
        ph_punch_socket_opened(feed->punch, request->socket, &local, feed->now);
}

static void poll_all(Feed *feed)
{
    PhSocketRequest request;
    PhTransmit transmit;

    while (ph_punch_poll_socket(feed->punch, &request))
        open_or_close(feed, &request);
    while (ph_punch_poll_transmit(feed->punch, &transmit)) {
        Flight flight = {.path = transmit.path};

        g_assert_cmpuint(transmit.length, ==, sizeof(flight.bytes));
        g_assert_true(transmit.path.socket == DATA || feed->open[transmit.path.socket - FRESH]);
        g_assert_cmpuint(transmit.path.remote.port, !=, 0);
        g_assert_true(may_send(feed, &transmit.path));
        memcpy(flight.bytes, transmit.bytes, transmit.length);
        g_array_append_val(feed->sent, flight);
    }
}

static const Flight *take_sent(Feed *feed)
{
    guint back = take(&feed->input);

    if (feed->sent->len == 0)
        return NULL;
    return &g_array_index(feed->sent, Flight, feed->sent->len - 1 - back % feed->sent->len);
}

static PhPath take_path(Feed *feed)
{
    guint which = take(&feed->input);

    return (PhPath){.transport = PH_TRANSPORT_UDP,
                    .socket = which % 3 ? DATA : FRESH + which / 3,
                    .remote = take_address(feed)};
}

static void deliver(Feed *feed, const PhPath *path, const guint8 *bytes, gsize length)
{
    if (ph_punch_handle_datagram(feed->punch, path, bytes, length, feed->now))
        g_array_append_vals(feed->proved, path, 1);
}

/* Made by who knows the token: a probe, or what answers something that was sent. */
static void peer_sends(Feed *feed)
{
    guint how = take(&feed->input);
    const Flight *sent = take_sent(feed);
    PhPunchPacket packet = {.kind = (guint8)(how & 3),
                            .attempt = (guint8)feed->config.attempt,
                            .side = feed->config.lower ? 1 : 0};
    guint8 bytes[PH_PUNCH_PACKET_BYTES];
    PhPath path = take_path(feed);

    if (sent && how & 4)
        path = sent->path;
    if (sent && packet.kind != PH_PUNCH_PROBE)
        memcpy(packet.transaction, sent->bytes + 4, sizeof(packet.transaction));
    else
        packet.transaction[PH_PUNCH_TRANSACTION_BYTES - 1] = (guint8)take(&feed->input);
    ph_punch_packet_write(&packet, feed->config.token, bytes);
    if (how & 0x40)
        bytes[take(&feed->input) % sizeof(bytes)] ^= (guint8)take(&feed->input);
    deliver(feed, &path, bytes, how & 0x80 ? take(&feed->input) % sizeof(bytes) : sizeof(bytes));
}

static void comes_back(Feed *feed)
{
    const Flight *sent = take_sent(feed);
    PhPath path = take_path(feed);

    if (sent)
        g_assert_false(ph_punch_handle_datagram(feed->punch, &path, sent->bytes,
                                                sizeof(sent->bytes), feed->now));
}

static void anything_comes(Feed *feed)
{
    guint8 bytes[64];
    guint length = take(&feed->input) % sizeof(bytes);
    PhPath path = take_path(feed);

    for (guint i = 0; i < length; i++)
        bytes[i] = (guint8)take(&feed->input);
    deliver(feed, &path, bytes, length);
}

static void step(Feed *feed)
{
    switch (take(&feed->input) % 5) {
    case 0:
        feed->now = MAX(feed->now, MIN(ph_punch_next_timeout(feed->punch), feed->now + 1000 * MS));
        break;
    case 1:
        feed->now += take(&feed->input) * MS;
        break;
    case 2:
        peer_sends(feed);
        break;
    case 3:
        comes_back(feed);
        break;
    default:
        anything_comes(feed);
    }
    poll_all(feed);
    ph_punch_handle_timeout(feed->punch, feed->now);
    poll_all(feed);
}

static void check_end(Feed *feed)
{
    const PhPunchCounters *counters = ph_punch_counters(feed->punch);
    PhPath path;
    gboolean is_open = ph_punch_state(feed->punch, &path) == PH_PUNCH_OPEN;

    g_assert_cmpuint(counters->sent, ==, feed->sent->len);
    g_assert_cmpuint(counters->sent, <=, PH_PUNCH_HARD_MAX);
    g_assert_cmpuint(feed->n_open, ==, is_open && path.socket != DATA ? 1 : 0);
    if (is_open)
        g_assert_true(may_send(feed, &path));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Feed feed = {.input = {data, size}, .now = 5 * MS};
    PhPath path;
    guint how;

    if (sodium_init() < 0)
        return 0;
    how = take(&feed.input);
    feed.config = (PhPunchConfig){
        .attempt = how & 0x10 ? take(&feed.input) : 1 + how % 3,
        .lower = how & 0x80,
        .socket = DATA,
        .family = PH_FAMILY_IPV4,
        .first_socket = FRESH,
        .n_sockets = how & 0x40 ? take(&feed.input) : PH_PUNCH_SOCKETS,
        .start_ns = take(&feed.input) * MS,
        .rtt_ns = take(&feed.input) * MS,
    };
    take_record(&feed, &feed.config.own);
    take_record(&feed, &feed.config.other);
    /* What the table says, or something that two who disagree come to. */
    feed.config.strategy = how & 0x20 ? (PhStrategy)(take(&feed.input) % (PH_STRATEGY_SCATTER + 1))
                                      : ph_strategy(&feed.config.own, &feed.config.other, true);
    feed.sent = g_array_new(FALSE, FALSE, sizeof(Flight));
    feed.proved = g_array_new(FALSE, FALSE, sizeof(PhPath));
    feed.punch = ph_punch_new(&feed.config, feed.now);
    poll_all(&feed);
    while (feed.input.left > 0)
        step(&feed);
    while (ph_punch_next_timeout(feed.punch) != UINT64_MAX) {
        feed.now = MAX(feed.now, ph_punch_next_timeout(feed.punch));
        ph_punch_handle_timeout(feed.punch, feed.now);
        poll_all(&feed);
    }
    g_assert_cmpint(ph_punch_state(feed.punch, &path), !=, PH_PUNCH_RUNNING);
    check_end(&feed);
    feed.punch = ph_punch_free(feed.punch);
    g_array_unref(feed.sent);
    g_array_unref(feed.proved);
    return 0;
}
