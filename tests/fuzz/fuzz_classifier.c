/* SPDX-License-Identifier: MIT */
/*
 * The classifier, fed with a list of events: time passes, its requests are answered in every right
 * and wrong way, sockets fail. However it goes, it must come to an end, close what it opened, and
 * give a reason for what it does not know.
 */
#include <pinhole/classifier.h>
#include <pinhole/stun.h>
#include <string.h>

#include "input.h"

#define MS G_GUINT64_CONSTANT(1000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct Sent {
    PhPath path;
    guint8 bytes[256];
    gsize length;
} Sent;

typedef struct Feed {
    Input input;
    PhClassifier *classifier;
    guint64 now;
    GArray *sent;       /* Sent */
    GHashTable *opened; /* ids */
    gboolean done;
    PhClassification result;
} Feed;

static PhAddress take_address(Feed *feed)
{
    guint which = take(&feed->input);
    guint16 port = (guint16)(3478 + which % 3);

    if (which & 0x80)
        port = (guint16)(40000 + take(&feed->input));
    switch (which >> 2 & 3) {
    case 0:
        return ph_address_ipv4(0xcb00710a, port); /* the reflector */
    case 1:
        return ph_address_ipv4(0xcb00710b, port);
    case 2:
        return ph_address_ipv4(0xc6336405, port); /* the NAT */
    default:
        return ph_address_ipv4(0xc0a80102, port); /* the host */
    }
}

static void open_or_close(Feed *feed, const PhSocketRequest *request)
{
    gpointer id = GUINT_TO_POINTER(request->socket);
    PhAddress local = ph_address_ipv4(0xc0a80102, (guint16)(40000 + request->socket));

    if (request->kind == PH_SOCKET_CLOSE) {
        g_assert(g_hash_table_remove(feed->opened, id));
        return;
    }
    g_assert(!g_hash_table_contains(feed->opened, id));
    if (take(&feed->input) % 16 == 15) {
        ph_classifier_socket_failed(feed->classifier, request->socket, feed->now);
        return;
    }
    g_hash_table_add(feed->opened, id);
    ph_classifier_socket_opened(feed->classifier, request->socket, &local, feed->now);
}

static void poll_all(Feed *feed)
{
    PhSocketRequest request;
    PhTransmit transmit;

    while (ph_classifier_poll_socket(feed->classifier, &request))
        open_or_close(feed, &request);
    while (ph_classifier_poll_transmit(feed->classifier, &transmit)) {
        Sent sent = {.path = transmit.path, .length = transmit.length};

        g_assert(transmit.length <= sizeof(sent.bytes));
        g_assert(g_hash_table_contains(feed->opened, GUINT_TO_POINTER(transmit.path.socket)));
        memcpy(sent.bytes, transmit.bytes, transmit.length);
        g_array_append_val(feed->sent, sent);
    }
    if (ph_classifier_poll_event(feed->classifier, &feed->result)) {
        g_assert(!feed->done);
        feed->done = TRUE;
    }
}

static const Sent *take_sent(Feed *feed)
{
    guint back = take(&feed->input);

    if (feed->sent->len == 0)
        return NULL;
    return &g_array_index(feed->sent, Sent, feed->sent->len - 1 - back % feed->sent->len);
}

/* An answer to something that was sent, from somewhere, with something wrong perhaps. */
static void answer(Feed *feed, gboolean changed)
{
    const Sent *sent = take_sent(feed);
    PhAddress mapped = take_address(feed), other = ph_address_ipv4(0xcb00710b, 3479);
    PhStunTransaction transaction;
    guint how = take(&feed->input);
    PhStunWriter writer;
    guint8 bytes[256];
    PhPath path;

    if (!sent)
        return;
    path = sent->path;
    if (changed)
        path.remote = take_address(feed);
    if (how & 1)
        other = take_address(feed);
    memcpy(&transaction, sent->bytes + 4, sizeof(transaction));
    ph_stun_write_begin(&writer, bytes, sizeof(bytes), how & 0x80 ? PH_STUN_ERROR : PH_STUN_SUCCESS,
                        PH_STUN_BINDING, &transaction);
    if (how & 0x80)
        ph_stun_write_error(&writer, how & 2 ? 420 : 500, "");
    else if (!(how & 0x40))
        ph_stun_write_address(&writer, PH_STUN_XOR_MAPPED_ADDRESS, &mapped);
    if (how & 4)
        ph_stun_write_port(&writer, PH_STUN_OTHER_PORT, (guint16)(3478 + take(&feed->input)));
    else
        ph_stun_write_address(&writer, PH_STUN_OTHER_ADDRESS, &other);
    if (how & 0x10)
        bytes[take(&feed->input) % writer.length] ^= (guint8)take(&feed->input);
    ph_classifier_handle_datagram(feed->classifier, &path, bytes,
                                  how & 0x20 ? take(&feed->input) % writer.length : writer.length,
                                  feed->now);
}

/* As by a NAT that turns packets around, or a stranger who heard them. */
static void loop_back(Feed *feed)
{
    const Sent *sent = take_sent(feed);
    PhPath path = {.transport = PH_TRANSPORT_UDP, .remote = take_address(feed)};

    path.socket = 100 + take(&feed->input) % (PH_CLASSIFIER_SOCKETS + 1);
    if (sent)
        ph_classifier_handle_datagram(feed->classifier, &path, sent->bytes, sent->length,
                                      feed->now);
}

static void feed_event(Feed *feed)
{
    const Sent *sent;

    switch (take(&feed->input) % 8) {
    case 0:
        feed->now += take(&feed->input) * MS;
        ph_classifier_handle_timeout(feed->classifier, feed->now);
        break;
    case 1:
        if (ph_classifier_next_timeout(feed->classifier) != UINT64_MAX)
            feed->now = MAX(feed->now, ph_classifier_next_timeout(feed->classifier));
        ph_classifier_handle_timeout(feed->classifier, feed->now);
        break;
    case 2:
        answer(feed, /* changed= */ TRUE);
        break;
    case 3:
        loop_back(feed);
        break;
    case 4:
        sent = take_sent(feed);
        if (sent)
            ph_classifier_unreachable(feed->classifier, &sent->path, feed->now);
        break;
    default:
        answer(feed, /* changed= */ FALSE);
        break;
    }
}

static void check(const PhClassification *result)
{
    g_assert(result->nat_class < PH_CLASS_N);
    g_assert(result->nat_class != PH_CLASS_UNKNOWN || result->why.nat_class);
    g_assert(result->mapping != PH_MAPPING_UNKNOWN || result->why.mapping);
    g_assert(result->filtering != PH_FILTERING_UNKNOWN || result->why.filtering);
    g_assert(result->port_allocation != PH_PORT_ALLOCATION_UNKNOWN || result->why.port_allocation);
    g_assert(result->pooling != PH_POOLING_UNKNOWN || result->why.pooling);
    g_assert(result->hairpin != PH_HAIRPIN_UNKNOWN || result->why.hairpin);
    g_assert(result->took_ns <= PH_CLASSIFIER_DEADLINE_NS + 256 * MS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GArray) sent = g_array_new(FALSE, FALSE, sizeof(Sent));
    g_autoptr(GHashTable) opened = g_hash_table_new(NULL, NULL);
    PhClassifierConfig config = {.server = ph_address_ipv4(0xcb00710a, 3478), .first_socket = 100};
    Feed feed = {.input = {data, size}, .now = 1, .sent = sent, .opened = opened};
    guint kind = take(&feed.input);

    config.report = kind >> 7;
    if (kind % 4) {
        config.locals[0] = ph_address_ipv4(0xc0a80102, 0);
        config.n_locals = 1;
    }
    feed.classifier = ph_classifier_new(&config, feed.now);
    poll_all(&feed);
    while (feed.input.left > 0) {
        feed_event(&feed);
        poll_all(&feed);
    }
    for (guint i = 0; !feed.done; i++) {
        g_assert(i < 5000);
        feed.now = MAX(feed.now, ph_classifier_next_timeout(feed.classifier));
        ph_classifier_handle_timeout(feed.classifier, feed.now);
        poll_all(&feed);
    }
    g_assert(g_hash_table_size(opened) == 0);
    g_assert(ph_classifier_next_timeout(feed.classifier) == UINT64_MAX);
    check(&feed.result);
    ph_classifier_free(feed.classifier);
    return 0;
}
