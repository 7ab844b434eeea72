/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Feeds a NAT of the model: the first bytes choose how it behaves, with all its quirks, the rest is
 * a list of what happens: time goes by, packets come, made well, changed, cut, or of any bytes.
 * Whatever comes, checksums that were right come out right, limits are kept, and all ends.
 */
#include <stdint.h>

#include "../unit/wire.h"
#include "input.h"
#include "model/nat.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MS G_GUINT64_CONSTANT(1000000)

typedef struct Feed {
    Input input;
    PlNat *nat;
    uint32_t mappings_max;
    PhAddress external[2];
    uint64_t now;
    PlDatagram *last; /* what came out last */
} Feed;

static unsigned take_below(Feed *feed, unsigned n)
{
    return take(&feed->input) % n;
}

static gboolean take_yes(Feed *feed)
{
    return take(&feed->input) & 1;
}

static void take_quirks(Feed *feed, PlQuirks *quirks)
{
    unsigned which = take(&feed->input);

    *quirks = (PlQuirks){
        .rewrite_payload = which & 1,
        .icmp_drops = which >> 1 & 1,
        .early_reuse = which >> 2 & 1,
        .first_packet_lost = which >> 3 & 1,
        .port_overloading = which >> 4 & 1,
        .port_parity = which >> 5 & 1,
    };
    quirks->symmetric_after = which >> 6 & 1 ? take_below(feed, 4) : 0;
    quirks->mapping_rate = which >> 7 & 1 ? take_below(feed, 8) : 0;
    quirks->port_step = take_below(feed, 5);
    quirks->mapping_age_ns = take_below(feed, 4) * 20000 * MS;
}

static void take_behaviour(Feed *feed, PlBehaviour *behaviour)
{
    *behaviour = (PlBehaviour){.inbound_refresh = take_yes(feed), .port_first = 1024};
    behaviour->mapping = take_below(feed, PL_MAPPING_N);
    behaviour->filtering = take_below(feed, PL_FILTERING_N);
    behaviour->port_allocation = take_below(feed, PL_PORT_ALLOCATION_N);
    behaviour->port_last = take_yes(feed) ? 65535 : (uint16_t)(1031 + take_below(feed, 64));
    if (behaviour->port_allocation == PL_PORT_ALLOCATION_BLOCK)
        behaviour->block_size = 8;
    behaviour->pooling = take_below(feed, PL_POOLING_N);
    behaviour->hairpin = take_below(feed, PL_HAIRPIN_N);
    behaviour->udp_timeout_ns = 1000 * MS * (1 + take_below(feed, 30));
    behaviour->unsolicited = take_below(feed, PL_UNSOLICITED_N);
    behaviour->udp = take_below(feed, 8) ? PL_PASS_YES : PL_PASS_BLOCKED;
    behaviour->icmp = take_below(feed, 8) ? PL_PASS_YES : PL_PASS_BLOCKED;
    take_quirks(feed, &behaviour->quirks);
}

/* Few of them, so that they meet. */
static PhAddress take_address(Feed *feed)
{
    static const char *const hosts[] = {"192.168.1.2",  "192.168.1.3", "203.0.113.10",
                                        "203.0.113.11", "192.168.1.1", "198.51.100.1",
                                        "198.51.100.2", "2001:db8::1", "2001:db8::2"};
    PhAddress address = wire_at(hosts[take_below(feed, G_N_ELEMENTS(hosts))]);

    address.port = (uint16_t)(1024 + take_below(feed, 12));
    return address;
}

static PlDatagram *take_packet(Feed *feed)
{
    PhAddress from = take_address(feed);
    PhAddress to = take_address(feed);
    unsigned kind = take_below(feed, 6);
    unsigned number = take(&feed->input);
    uint8_t payload[256] = {0};
    PlDatagram *packet;

    if (to.family != from.family)
        return NULL;
    memcpy(payload + 1, from.bytes, 4);
    switch (kind) {
    case 0:
        return wire_tcp(&from, &to, (uint8_t)number);
    case 1:
        return wire_echo(&from, &to, number & 1, from.port);
    case 2:
        return feed->last ? wire_error(&from, &to, number & 1 ? 3 : 11, 3, feed->last, number)
                          : NULL;
    case 3: /* with no checksum */
        packet = wire_udp(&from, &to, payload, number);
        if (packet->bytes[0] >> 4 == 4)
            wire_put_u16(packet->bytes + 26, 0);
        return packet;
    default:
        return wire_udp(&from, &to, payload, number);
    }
}

static PlDatagram *take_bytes(Feed *feed)
{
    uint8_t bytes[256];
    size_t n = MIN(take(&feed->input), feed->input.left);

    for (size_t i = 0; i < n; i++)
        bytes[i] = take(&feed->input);
    return pl_datagram_new(bytes, n);
}

static PlDatagram *take_changed(Feed *feed)
{
    PlDatagram *packet = take_packet(feed);

    for (unsigned n = take_below(feed, 6); packet && n > 0; n--) {
        unsigned at = take(&feed->input) % packet->length;

        packet->bytes[at] = take(&feed->input);
        if (take_below(feed, 8) == 0)
            packet->length = 1 + take(&feed->input) % packet->length;
    }
    /* So that it is not for its header's checksum that it is dropped. */
    if (packet && packet->length >= 20 && packet->bytes[0] >> 4 == 4 &&
        wire_header(packet->bytes) <= packet->length) {
        wire_put_u16(packet->bytes + 10, 0);
        wire_put_u16(packet->bytes + 10,
                     ~wire_add(0, packet->bytes, wire_header(packet->bytes)) & 0xffff);
    }
    return packet;
}

static void check_output(const Feed *feed, const PlDatagram *packet, gboolean right)
{
    g_assert_cmpuint(packet->length, <=, packet->room);
    if (packet->bytes[0] >> 4 == 4) {
        g_assert_cmpuint(packet->length, ==, wire_u16(packet->bytes + 2));
        g_assert_cmpuint(wire_add(0, packet->bytes, wire_header(packet->bytes)), ==, 0xffff);
    }
    g_assert_true(!right || wire_is_right(packet));
    g_assert_cmpuint(pl_nat_counters(feed->nat)->mappings, <=, feed->mappings_max);
}

static void poll_all(Feed *feed)
{
    PlDatagram *packet;
    PlSide side;

    while ((packet = pl_nat_poll(feed->nat, &side))) {
        check_output(feed, packet, /* right= */ FALSE);
        g_assert_true(side == PL_SIDE_INSIDE || side == PL_SIDE_OUTSIDE);
        pl_datagram_free(packet);
    }
}

static void handle(Feed *feed, PlDatagram *packet, gboolean right)
{
    PlSide from = take_yes(feed) ? PL_SIDE_OUTSIDE : PL_SIDE_INSIDE, to = PL_SIDE_HOST;
    PlNatOutcome outcome;

    if (!packet)
        return;
    outcome = pl_nat_handle(feed->nat, from, packet, feed->now, &to);
    if (outcome == PL_NAT_FORWARDED) {
        g_assert_true(to == PL_SIDE_INSIDE || to == PL_SIDE_OUTSIDE);
        check_output(feed, packet, right);
        if (take_below(feed, 4))
            poll_all(feed);
    }
    if (outcome != PL_NAT_DROPPED) {
        pl_datagram_free(feed->last);
        feed->last = packet;
    } else {
        pl_datagram_free(packet);
    }
}

/* A packet in pieces, in some order. */
static void handle_fragments(Feed *feed)
{
    PlDatagram *whole = take_packet(feed);
    unsigned order = take(&feed->input);

    if (whole && whole->bytes[0] >> 4 != 4)
        whole = pl_datagram_free(whole);
    for (unsigned i = 0; whole && i < 4; i++) {
        gsize rest = whole->length - wire_header(whole->bytes);
        gsize offset = (i ^ (order & 3)) * 24;

        if (offset < rest)
            handle(feed, wire_fragment(whole, offset, 24), /* right= */ FALSE);
    }
    pl_datagram_free(whole);
}

static void check_entries(Feed *feed)
{
    GArray *entries = pl_nat_entries(feed->nat, feed->now);

    g_assert_cmpuint(entries->len, <=, pl_nat_counters(feed->nat)->mappings);
    for (guint i = 0; i < entries->len; i++)
        g_assert_cmpuint(g_array_index(entries, PlNatEntry, i).expires_ns, >, feed->now);
    g_array_unref(entries);
}

static void step(Feed *feed)
{
    switch (take_below(feed, 10)) {
    case 0:
        feed->now += (take(&feed->input) + 1U) * 100 * MS;
        break;
    case 1:
        handle(feed, take_bytes(feed), /* right= */ FALSE);
        break;
    case 2:
        handle(feed, take_changed(feed), /* right= */ FALSE);
        break;
    case 3:
        handle_fragments(feed);
        break;
    case 4:
        check_entries(feed);
        if (take_below(feed, 4) == 0)
            pl_nat_flush(feed->nat);
        else if (take_below(feed, 4) == 0)
            pl_nat_set_external(feed->nat, feed->external, 1 + take_below(feed, 2));
        break;
    default:
        handle(feed, take_packet(feed), /* right= */ TRUE);
        break;
    }
}

/* Whatever came, nothing lives for ever: not even an established connection, in two days. */
static void check_end(Feed *feed)
{
    PlDatagram *packet = pl_datagram_new((const uint8_t *)"?", 1);
    PlSide side;

    feed->now += G_GUINT64_CONSTANT(2) * 24 * 3600 * 1000 * MS;
    g_assert_cmpint(pl_nat_handle(feed->nat, PL_SIDE_OUTSIDE, packet, feed->now, &side), ==,
                    PL_NAT_DROPPED);
    g_assert_cmpuint(pl_nat_counters(feed->nat)->mappings, ==, 0);
    pl_datagram_free(packet);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Feed feed = {.input = {data, size}};
    PlForward forwards[] = {{PL_PROTOCOL_UDP, 1030, wire_at("192.168.1.2:1024")},
                            {PL_PROTOCOL_TCP, 1031, wire_at("192.168.1.3:1025")}};
    PlNatConfig config = {.inside_address = wire_at("192.168.1.1"),
                          .external = feed.external,
                          .forwards = forwards,
                          .seed = 1};

    feed.external[0] = wire_at("198.51.100.1");
    feed.external[1] = wire_at("198.51.100.2");
    take_behaviour(&feed, &config.behaviour);
    config.n_external = 1 + take_below(&feed, 2);
    config.n_forwards = config.behaviour.mapping == PL_MAPPING_NONE ? 0 : take_below(&feed, 3);
    config.mappings_max = take_below(&feed, 20);
    feed.mappings_max = config.mappings_max ? config.mappings_max : 65536 * 2;
    feed.nat = pl_nat_new(&config);
    while (feed.input.left > 0)
        step(&feed);
    check_entries(&feed);
    check_end(&feed);
    pl_datagram_free(feed.last);
    pl_nat_free(feed.nat);
    return 0;
}
