/* SPDX-License-Identifier: MIT */
/*
 * The lifetime test, fed with a list of events: time passes, its requests are answered in right and
 * wrong ways, sockets fail. However it goes, it must end, close what it opened, and say a duration
 * or a reason, and none that contradict each other.
 */
#include <pinhole/lifetime.h>
#include <pinhole/stun.h>
#include <string.h>

#include "input.h"

#define MS G_GUINT64_CONSTANT(1000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct Sent {
    PhPath path;
    guint8 bytes[256];
} Sent;

typedef struct Feed {
    Input input;
    PhLifetime *lifetime;
    guint64 now;
    GArray *sent;       /* Sent */
    GHashTable *opened; /* ids */
    gboolean done;
    PhLifetimeResult result;
} Feed;

static void open_or_close(Feed *feed, const PhSocketRequest *request)
{
    gpointer id = GUINT_TO_POINTER(request->socket);

    if (request->kind == PH_SOCKET_CLOSE) {
        g_assert(g_hash_table_remove(feed->opened, id));
        return;
    }
    g_assert(!g_hash_table_contains(feed->opened, id));
    if (take(&feed->input) % 16 == 15) {
        ph_lifetime_socket_failed(feed->lifetime, request->socket, feed->now);
        return;
    }
    g_hash_table_add(feed->opened, id);
    ph_lifetime_socket_opened(feed->lifetime, request->socket, feed->now);
}

static void poll_all(Feed *feed)
{
    PhSocketRequest request;
    PhTransmit transmit;

    while (ph_lifetime_poll_socket(feed->lifetime, &request))
        open_or_close(feed, &request);
    while (ph_lifetime_poll_transmit(feed->lifetime, &transmit)) {
        Sent sent = {.path = transmit.path};

        g_assert(transmit.length <= sizeof(sent.bytes));
        g_assert(g_hash_table_contains(feed->opened, GUINT_TO_POINTER(transmit.path.socket)));
        memcpy(sent.bytes, transmit.bytes, transmit.length);
        g_array_append_val(feed->sent, sent);
    }
    if (ph_lifetime_poll_event(feed->lifetime, &feed->result)) {
        g_assert(!feed->done);
        feed->done = TRUE;
    }
}

/* An answer to something that was sent, at some socket, with something wrong perhaps. */
static void answer(Feed *feed)
{
    guint back = take(&feed->input), how = take(&feed->input);
    PhAddress mapped = ph_address_ipv4(0xc6336405 + (how >> 4 & 1), (guint16)(40000 + back));
    PhStunTransaction transaction;
    PhStunWriter writer;
    guint8 bytes[256];
    Sent *sent;

    if (feed->sent->len == 0)
        return;
    sent = &g_array_index(feed->sent, Sent, feed->sent->len - 1 - back % feed->sent->len);
    memcpy(&transaction, sent->bytes + 4, sizeof(transaction));
    ph_stun_write_begin(&writer, bytes, sizeof(bytes), how & 1 ? PH_STUN_ERROR : PH_STUN_SUCCESS,
                        PH_STUN_BINDING, &transaction);
    if (how & 1)
        ph_stun_write_error(&writer, how & 2 ? 420 : 500, "");
    else if (!(how & 2))
        ph_stun_write_address(&writer, PH_STUN_XOR_MAPPED_ADDRESS, &mapped);
    if (how & 4)
        sent->path.socket = 500 + take(&feed->input) % (PH_LIFETIME_SOCKETS + 1);
    if (how & 8)
        bytes[take(&feed->input) % writer.length] ^= (guint8)take(&feed->input);
    ph_lifetime_handle_datagram(feed->lifetime, &sent->path, bytes,
                                how & 0x80 ? take(&feed->input) % writer.length : writer.length,
                                feed->now);
}

static void feed_event(Feed *feed)
{
    guint64 next;

    switch (take(&feed->input) % 4) {
    case 0:
        feed->now += take(&feed->input) * 100 * MS;
        ph_lifetime_handle_timeout(feed->lifetime, feed->now);
        break;
    case 1:
        next = ph_lifetime_next_timeout(feed->lifetime);
        if (next != UINT64_MAX)
            feed->now = MAX(feed->now, next);
        ph_lifetime_handle_timeout(feed->lifetime, feed->now);
        break;
    default:
        answer(feed);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GArray) sent = g_array_new(FALSE, FALSE, sizeof(Sent));
    g_autoptr(GHashTable) opened = g_hash_table_new(NULL, NULL);
    PhLifetimeConfig config = {.server = ph_address_ipv4(0xcb00710a, 3478), .first_socket = 500};
    Feed feed = {.input = {data, size}, .now = 1, .sent = sent, .opened = opened};
    const PhLifetimeResult *result = &feed.result;

    config.most_ns = take(&feed.input) * 2000 * MS;
    if (config.most_ns < PH_LIFETIME_LEAST_NS)
        config.most_ns = 0;
    feed.lifetime = ph_lifetime_new(&config, feed.now);
    poll_all(&feed);
    while (feed.input.left > 0) {
        feed_event(&feed);
        poll_all(&feed);
    }
    for (guint i = 0; !feed.done; i++) {
        g_assert(i < 5000);
        feed.now = MAX(feed.now, ph_lifetime_next_timeout(feed.lifetime));
        ph_lifetime_handle_timeout(feed.lifetime, feed.now);
        poll_all(&feed);
    }
    g_assert(g_hash_table_size(opened) == 0);
    g_assert(ph_lifetime_next_timeout(feed.lifetime) == UINT64_MAX);
    g_assert((result->why == NULL) == (result->alive_ns > 0 || result->gone_ns > 0));
    g_assert(result->gone_ns == 0 || result->alive_ns < result->gone_ns);
    ph_lifetime_free(feed.lifetime);
    return 0;
}
