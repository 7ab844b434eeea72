/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The same again, to the byte, of the NAT alone: NATs of every kind with every mistake, and packets
 * of every kind from anybody to anybody. What must come out stands here as numbers, since no
 * compiler, and no way to find things faster, may change it.
 */
#include "model_nat.h"
#include "topology/random.h"
#include "trace.h"

#define NATS    240u
#define PACKETS 1500u

typedef struct Story {
    Box box;
    guint64 random;
    guint64 trace;
    guint forwarded, fragments, errors;
} Story;

static guint below(Story *story, guint n)
{
    return (guint)(pl_random_next(&story->random) >> 32) % n;
}

static void choose_quirks(Story *story, PlQuirks *quirks)
{
    guint which = below(story, 1024);

    quirks->rewrite_payload = which & 1;
    quirks->icmp_drops = which >> 1 & 1;
    quirks->early_reuse = which >> 2 & 1;
    quirks->first_packet_lost = (which >> 3 & 3) == 0;
    quirks->port_overloading = (which >> 5 & 3) == 0;
    quirks->port_parity = which >> 7 & 1;
    quirks->symmetric_after = which >> 8 & 1 ? below(story, 6) : 0;
    quirks->mapping_rate = which >> 9 & 1 ? 1 + below(story, 12) : 0;
    quirks->port_step = below(story, 4);
    quirks->mapping_age_ns = below(story, 3) == 0 ? 9 * S : 0;
}

static void choose(Story *story)
{
    PlNatConfig *config = &story->box.config;
    PlBehaviour *behaviour = &config->behaviour;

    PlMapping mapping = (PlMapping)below(story, PL_MAPPING_N);

    box_init(&story->box, mapping, PL_FILTERING_ENDPOINT_INDEPENDENT);
    behaviour->filtering = (PlFiltering)below(story, PL_FILTERING_N);
    behaviour->port_allocation = (PlPortAllocation)below(story, PL_PORT_ALLOCATION_N);
    behaviour->block_size = behaviour->port_allocation == PL_PORT_ALLOCATION_BLOCK ? 8 : 0;
    behaviour->port_last = below(story, 2) ? 65535 : (uint16_t)(1039 + below(story, 64));
    behaviour->pooling = (PlPooling)below(story, PL_POOLING_N);
    behaviour->hairpin = (PlHairpin)below(story, PL_HAIRPIN_N);
    behaviour->unsolicited = (PlUnsolicited)below(story, PL_UNSOLICITED_N);
    behaviour->udp_timeout_ns = (2 + below(story, 8)) * S;
    behaviour->inbound_refresh = below(story, 2) == 1;
    behaviour->icmp = below(story, 8) ? PL_PASS_YES : PL_PASS_BLOCKED;
    if (below(story, 2))
        choose_quirks(story, &behaviour->quirks);
    story->box.forwards[0] = (PlForward){PL_PROTOCOL_UDP, 1030, wire_at("192.168.1.3:1024")};
    story->box.forwards[1] = (PlForward){PL_PROTOCOL_TCP, 1030, wire_at("192.168.1.3:1025")};
    config->n_forwards = below(story, 3);
    config->n_external = 1 + below(story, 3);
    config->seed = pl_random_next(&story->random);
}

/* Few ports, so that they meet; now and then one of many. */
static PhAddress choose_end(Story *story, gboolean outside)
{
    static const char *const hosts[2][4] = {
        {"192.168.1.2", "192.168.1.3", "192.168.1.4", "2001:db8::2"},
        {"203.0.113.10", "203.0.113.11", "203.0.113.12", "2001:db8:1::1"}};
    guint draw = below(story, 64);
    PhAddress address = wire_at(hosts[outside][draw & 1 ? draw >> 1 & 1 : draw >> 1 & 3]);

    address.port = (uint16_t)(1024 + below(story, draw >> 3 ? 12 : 4000));
    return address;
}

/* From outside for the NAT, mostly: where something came out lately. */
static PhAddress choose_aim(Story *story, PlSide side)
{
    PhAddress address = choose_end(story, side == PL_SIDE_INSIDE);
    guint draw = below(story, 8);

    if (side == PL_SIDE_OUTSIDE ? draw < 6 : draw == 0) {
        address = story->box.external[below(story, story->box.config.n_external)];
        address.port = (uint16_t)(1024 + below(story, 16));
    }
    if (side == PL_SIDE_OUTSIDE && draw < 4 && story->box.packet && !(draw & 1))
        address = wire_source(story->box.packet);
    return address;
}

static PlDatagram *make_packet(Story *story, PlSide side)
{
    PhAddress from = choose_end(story, side == PL_SIDE_OUTSIDE);
    PhAddress to = choose_aim(story, side);
    guint kind = below(story, 8), draw = below(story, 256);
    guint8 data[256] = {0};

    if (from.family != to.family)
        return NULL;
    memcpy(data + 1, from.bytes, 4);
    switch (kind) {
    case 0:
    case 1:
        return wire_tcp(&from, &to, (guint8)(draw & (draw >> 6 ? 0x12 : 0x17)));
    case 2:
        return wire_echo(&from, &to, draw & 1, from.port);
    case 3:
        if (!story->box.packet)
            return NULL;
        story->errors++;
        return wire_error(&from, &to, draw & 1 ? 3 : 11, 3, story->box.packet, 28 + draw);
    default:
        return wire_udp(&from, &to, data, draw);
    }
}

/* A packet goes in; what comes out, and what had waited for it, is looked at. */
static void pass(Story *story, PlSide side, PlDatagram *packet)
{
    Box *box = &story->box;
    PlSide to = PL_SIDE_HOST;
    PlNatOutcome outcome = pl_nat_handle(box->nat, side, packet, box->now, &to);
    PlDatagram *waited;

    trace_number(&story->trace, outcome);
    if (outcome != PL_NAT_FORWARDED) {
        pl_datagram_free(packet);
        return;
    }
    story->forwarded++;
    trace_number(&story->trace, to);
    trace_packet(&story->trace, packet, box->now);
    pl_datagram_free(box->packet);
    box->packet = packet;
    while ((waited = pl_nat_poll(box->nat, &to))) {
        story->fragments++;
        trace_number(&story->trace, to);
        trace_packet(&story->trace, waited, box->now);
        pl_datagram_free(waited);
    }
}

static void send(Story *story)
{
    PlSide side = below(story, 2) ? PL_SIDE_INSIDE : PL_SIDE_OUTSIDE;
    PlDatagram *packet = make_packet(story, side);
    gboolean swapped = below(story, 2) == 1;
    PlDatagram *first, *second;

    if (!packet)
        return;
    if (packet->length < 60 || packet->bytes[0] >> 4 != 4 || below(story, 6)) {
        pass(story, side, packet);
        return;
    }
    wire_put_u16(packet->bytes + 4, below(story, 65536));
    first = wire_fragment(packet, 0, 24);
    second = wire_fragment(packet, 24, packet->length);
    pl_datagram_free(packet);
    pass(story, side, swapped ? second : first);
    pass(story, side, swapped ? first : second);
}

/* What it remembers, and what it has counted. */
static void look(Story *story)
{
    g_autoptr(GArray) entries = pl_nat_entries(story->box.nat, story->box.now);
    const PlNatCounters counters = *pl_nat_counters(story->box.nat);
    const uint64_t counted[] = {
        counters.translated, counters.hairpinned, counters.rejected,      counters.filtered,
        counters.unmapped,   counters.exhausted,  counters.limited,       counters.blocked,
        counters.malformed,  counters.mappings,   counters.mappings_made, counters.fragments_lost};

    for (guint i = 0; i < entries->len; i++) {
        const PlNatEntry *entry = &g_array_index(entries, PlNatEntry, i);
        const PhAddress *ends[] = {&entry->inside, &entry->external, &entry->remote};

        trace_number(&story->trace, entry->protocol);
        trace_number(&story->trace, (entry->from_outside ? 2 : 0) | (entry->replied ? 1 : 0));
        trace_number(&story->trace, entry->expires_ns);
        for (guint k = 0; k < G_N_ELEMENTS(ends); k++) {
            trace_number(&story->trace, ends[k]->port);
            for (guint b = 0; b < sizeof(ends[k]->bytes); b++)
                trace_byte(&story->trace, ends[k]->bytes[b]);
        }
    }
    for (guint i = 0; i < G_N_ELEMENTS(counted); i++)
        trace_number(&story->trace, counted[i]);
}

static void tell(Story *story)
{
    Box *box = &story->box;

    choose(story);
    box_start(box);
    for (guint i = 0; i < PACKETS; i++) {
        guint draw = below(story, 4096);

        box->now += draw < 16 ? S : below(story, (guint)(20 * MS));
        if (draw == 16)
            pl_nat_flush(box->nat);
        else if (draw == 17)
            pl_nat_set_external(box->nat, box->external, box->config.n_external);
        else if (draw < 64)
            look(story);
        send(story);
    }
    look(story);
    box_clear(box);
}

static guint64 tell_all(guint64 seed)
{
    Story story = {.random = seed};

    for (guint i = 0; i < NATS; i++)
        tell(&story);
    g_assert_cmpuint(story.forwarded, >, NATS * PACKETS / 8);
    g_assert_cmpuint(story.fragments, >, NATS);
    g_assert_cmpuint(story.errors, >, NATS * PACKETS / 16);
    return story.trace;
}

static void no_compiler_and_no_preset_changes_a_byte(void)
{
    g_assert_cmphex(tell_all(1), ==, G_GUINT64_CONSTANT(0xca5fb860aa32c107));
    g_assert_cmphex(tell_all(2), ==, G_GUINT64_CONSTANT(0xcb06f1d9026c64d2));
}

int main(int argc, char *argv[])
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/model/replay/no_compiler_and_no_preset_changes_a_byte",
                    no_compiler_and_no_preset_changes_a_byte);
    return g_test_run();
}
