/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Feeds a prober: the first bytes choose what the file claims, the rest is a list of events.
 * Packets of the prober's own are handed over changed, elsewhere, late, twice or not at all; others
 * are made up. Whatever comes, the prober must end, and in bounded time.
 */
#include <stdint.h>
#include <string.h>

#include "input.h"
#include "prober/prober.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MS G_GUINT64_CONSTANT(1000000)

typedef struct Feed {
    Input input;
    PlProber *prober;
    uint64_t now;
    GArray *sent, *open; /* PlProbeAction: datagrams, sockets */
    gboolean done;
} Feed;

static PhAddress take_address(Feed *feed)
{
    static const uint32_t hosts[] = {0x0a000002, 0x0a000003, 0xcb0071fb, 0xcb0071fc,
                                     0xcb007105, 0xcb007106, 0x7f000001, 0};
    uint32_t host = hosts[take(&feed->input) % G_N_ELEMENTS(hosts)];
    unsigned port = take(&feed->input);

    return ph_address_ipv4(host, (uint16_t)(port << 8 | take(&feed->input)));
}

static const PlProbeAction *find_open(const Feed *feed, const PhAddress *local)
{
    for (unsigned i = 0; i < feed->open->len; i++) {
        const PlProbeAction *socket = &g_array_index(feed->open, PlProbeAction, i);

        if (ph_address_equal(&socket->local, local))
            return socket;
    }
    return NULL;
}

static void forget(Feed *feed, unsigned id)
{
    for (unsigned i = 0; i < feed->open->len; i++) {
        if (g_array_index(feed->open, PlProbeAction, i).id == id) {
            g_array_remove_index(feed->open, i);
            return;
        }
    }
    g_assert_not_reached();
}

static void poll_all(Feed *feed)
{
    for (;;) {
        PlProbeAction action;

        pl_prober_poll(feed->prober, &action);
        switch (action.kind) {
        case PL_PROBE_OPEN:
            g_assert(action.local.port != 0);
            g_array_append_val(feed->open, action);
            break;
        case PL_PROBE_CLOSE:
            forget(feed, action.id);
            break;
        case PL_PROBE_SEND:
            g_assert(action.data_length <= PL_PROBE_DATA_MAX);
            g_array_append_val(feed->sent, action);
            break;
        case PL_PROBE_TCP:
        case PL_PROBE_ECHO:
            break;
        case PL_PROBE_DONE:
            feed->done = TRUE;
            return;
        case PL_PROBE_NOTHING:
            return;
        }
    }
}

static void hand_over(Feed *feed, const PlProbeAction *action, const PhAddress *from,
                      const PlProbeAction *socket)
{
    if (socket)
        pl_prober_datagram(feed->prober, socket->id, from, action->data, action->data_length,
                           feed->now);
}

/* The datagram that was sent so-and-so long ago. */
static const PlProbeAction *take_sent(Feed *feed)
{
    unsigned back = take(&feed->input);

    if (feed->sent->len == 0)
        return NULL;
    return &g_array_index(feed->sent, PlProbeAction, feed->sent->len - 1 - back % feed->sent->len);
}

/* To where it was sent, if that is one of ours; else to any. */
static void hand_over_sent(Feed *feed, gboolean anywhere)
{
    const PlProbeAction *sent = take_sent(feed), *socket;
    PhAddress from = take_address(feed);

    if (!sent || feed->open->len == 0)
        return;
    socket = anywhere
                 ? &g_array_index(feed->open, PlProbeAction, take(&feed->input) % feed->open->len)
                 : find_open(feed, &sent->remote);
    hand_over(feed, sent, &from, socket);
}

static void make_up(Feed *feed)
{
    const PlProbeAction *sent = take_sent(feed);
    PlProbeAction made = {0};
    PhAddress from = take_address(feed);
    unsigned id = take(&feed->input);

    if (sent)
        made = *sent;
    made.data[take(&feed->input) % PL_PROBE_DATA_MAX] ^= take(&feed->input);
    if (take(&feed->input) % 4 == 0)
        made.data_length = take(&feed->input) % (PL_PROBE_DATA_MAX + 1);
    pl_prober_datagram(feed->prober, id, &from, made.data, made.data_length, feed->now);
}

/* A way without any NAT: the newest datagrams arrive. */
static void pass_all(Feed *feed)
{
    for (unsigned i = 0; i < feed->sent->len; i++) {
        PlProbeAction sent = g_array_index(feed->sent, PlProbeAction, i);
        PhAddress from = take(&feed->input) % 8
                             ? ph_address_ipv4(0xcb007105, (uint16_t)(30000 + sent.id))
                             : take_address(feed);

        hand_over(feed, &sent, &from, find_open(feed, &sent.remote));
    }
    g_array_set_size(feed->sent, 0);
}

static void fail_open(Feed *feed)
{
    unsigned id = take(&feed->input);

    for (unsigned i = 0; i < feed->open->len; i++) {
        if (g_array_index(feed->open, PlProbeAction, i).id != id)
            continue;
        g_array_remove_index(feed->open, i);
        pl_prober_open_failed(feed->prober, id, feed->now);
        return;
    }
}

static void feed_event(Feed *feed)
{
    PhAddress address;

    switch (take(&feed->input) % 10) {
    case 0:
        feed->now += take(&feed->input) * MS;
        pl_prober_timeout(feed->prober, feed->now);
        break;
    case 1:
        hand_over_sent(feed, /* anywhere= */ FALSE);
        break;
    case 2:
        hand_over_sent(feed, /* anywhere= */ TRUE);
        break;
    case 3:
        make_up(feed);
        break;
    case 4:
        fail_open(feed);
        break;
    case 5:
        address = take_address(feed);
        pl_prober_unreachable(feed->prober, take(&feed->input), &address, feed->now);
        break;
    case 6:
        address = take_address(feed);
        pl_prober_tcp(feed->prober, take(&feed->input) % 12,
                      take(&feed->input) % 2 ? &address : NULL, feed->now);
        break;
    case 7:
        pl_prober_echo(feed->prober, take(&feed->input) % 4, take(&feed->input) % 2, feed->now);
        break;
    default:
        pass_all(feed);
        break;
    }
}

static void choose(Feed *feed, PlProbePlan *plan, PlNode *nat)
{
    PlBehaviour *b = &nat->behaviour;
    PlForward forward = {PL_PROTOCOL_UDP, 8080, ph_address_ipv4(0x0a000002, 80)};
    PhAddress pool[] = {ph_address_ipv4(0xcb007105, 0), ph_address_ipv4(0xcb007106, 0)};

    b->mapping = take(&feed->input) % PL_MAPPING_N;
    b->port_allocation = take(&feed->input) % PL_PORT_ALLOCATION_N;
    if (b->port_allocation == PL_PORT_ALLOCATION_BLOCK)
        b->block_size = take(&feed->input);
    b->port_first = (uint16_t)(take(&feed->input) << 8);
    b->port_last = (uint16_t)MAX(b->port_first, take(&feed->input) << 8);
    b->pooling = take(&feed->input) % PL_POOLING_N;
    b->unsolicited = take(&feed->input) % PL_UNSOLICITED_N;
    b->udp_timeout_ns = take(&feed->input) * 100 * MS;
    g_array_append_vals(pl_nat_outside(nat)->addresses, pool, 1 + take(&feed->input) % 2);
    for (unsigned i = take(&feed->input) % 4; i > 0; i--) {
        forward.protocol = i % 2 ? PL_PROTOCOL_UDP : PL_PROTOCOL_TCP;
        g_array_append_val(nat->forwards, forward);
    }
    plan->seed = take(&feed->input);
    plan->inside[0] = ph_address_ipv4(0x0a000002, 0);
    if (take(&feed->input) % 2)
        plan->inside[1] = ph_address_ipv4(0x0a000003, 0);
    plan->outside[0] = ph_address_ipv4(0xcb0071fb, 0);
    plan->outside[1] = ph_address_ipv4(0xcb0071fc, 0);
    plan->inside_port = take(&feed->input) % 4 ? 0 : 4500;
    plan->nat = take(&feed->input) % 4 ? nat : NULL;
    plan->translated = b->mapping != PL_MAPPING_NONE;
    plan->forwards_only = plan->nat && take(&feed->input) % 8 == 7;
}

static void run_to_end(Feed *feed)
{
    for (unsigned i = 0; !feed->done; i++) {
        uint64_t next = pl_prober_next_timeout(feed->prober);

        g_assert(i < 5000);
        g_assert(next != UINT64_MAX);
        feed->now = MAX(feed->now, next);
        pl_prober_timeout(feed->prober, feed->now);
        poll_all(feed);
    }
}

static void check_findings(const PlProber *prober)
{
    const PlFindings *findings = pl_prober_findings(prober);

    for (unsigned axis = 0; axis <= PL_AXIS_FILTERING; axis++)
        g_assert(findings->value[axis] || findings->why[axis]);
    g_assert(findings->value[PL_AXIS_UDP] || findings->why[PL_AXIS_UDP]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GArray) sent = g_array_new(FALSE, FALSE, sizeof(PlProbeAction)),
                      open = g_array_new(FALSE, FALSE, sizeof(PlProbeAction)),
                      forwards = g_array_new(FALSE, FALSE, sizeof(PlForward)),
                      addresses = g_array_new(FALSE, FALSE, sizeof(PhAddress));
    g_autoptr(GPtrArray) attachments = g_ptr_array_new();
    PlAttachment inside = {0}, outside = {.addresses = addresses};
    PlNode nat = {.kind = PL_NODE_NAT, .attachments = attachments, .forwards = forwards};
    PlProbePlan plan = {0};
    Feed feed = {.input = {data, size}, .now = 1, .sent = sent, .open = open};

    g_ptr_array_add(attachments, &inside);
    g_ptr_array_add(attachments, &outside);
    choose(&feed, &plan, &nat);
    feed.prober = pl_prober_new(&plan, feed.now);
    poll_all(&feed);
    while (feed.input.left > 0 && !feed.done) {
        feed_event(&feed);
        poll_all(&feed);
    }
    run_to_end(&feed);
    if (!plan.forwards_only)
        check_findings(feed.prober);
    pl_prober_free(feed.prober);
    return 0;
}
