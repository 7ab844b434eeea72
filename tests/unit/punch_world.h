/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two attempts to punch, one for each other, in virtual time, over a world of the NAT model:
 *
 *     alice -- home-a -- internet -- home-b -- bob
 *                            |
 *                           hub, which has seen the two
 *
 * Whatever is sent is checked: from a socket that is open, to where the peer may be, not too much
 * of it and not too fast.
 */
#pragma once

#include <sodium.h>
#include <stdio.h>

#include "../../lib/core/punch.h"
#include "model_world.h"

#define DATA_SOCKET  7
#define FRESH_SOCKET 100
#define DATA_PORT    40000
#define HUB_AT       "203.0.113.200:3478"

/* What a NAT is like, and what its owner knows of it. */
typedef struct Kind {
    const char *name;
    const char *nat; /* lines of [nat]; NULL: on the internet itself */
    PhMapping mapping;
    PhFiltering filtering;
    PhPortAllocation allocation;
    int step;
} Kind;

typedef struct Flight {
    guint64 at;
    PhPath path;
    guint8 ttl, kind;
    guint8 bytes[PH_PUNCH_PACKET_BYTES];
} Flight;

typedef struct Side {
    const char *host;
    PhPunch *punch;
    PhNodeRecord record;
    PhAddress local;
    guint open; /* fresh sockets */
    gboolean is_open[PH_PUNCH_SOCKETS];
    guint opened_most;
    guint refuse;        /* this many sockets cannot be opened */
    gboolean data_stuck; /* nothing leaves from its data socket any more */
    GArray *sent;        /* Flight */
    GArray *seen;        /* PhAddress: sources of what came */
} Side;

typedef struct Punching {
    Lab lab;
    Side sides[2]; /* alice, who has the lower key, and bob */
    guint64 now, seed;
    gboolean higher; /* alice's key is the higher one */
    /* What happened outside of the attempts. */
    PhAddress hub_saw;
    guint8 payload[64];
    gsize payload_length;
    PhPath payload_path;
    guint payload_side;
} Punching;

static inline void punching_clear(Punching *p)
{
    for (guint i = 0; i < 2; i++) {
        ph_punch_free(p->sides[i].punch);
        g_clear_pointer(&p->sides[i].sent, g_array_unref);
        g_clear_pointer(&p->sides[i].seen, g_array_unref);
    }
    lab_clear(&p->lab);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Punching, punching_clear)

static inline guint16 port_of(guint32 socket)
{
    return (guint16)(socket == DATA_SOCKET ? DATA_PORT : 41000 + socket - FRESH_SOCKET);
}

static inline guint32 socket_of(guint16 port)
{
    return port == DATA_PORT ? DATA_SOCKET : port - 41000U + FRESH_SOCKET;
}

static inline void punching_send(Punching *p, const char *host, const PhAddress *from,
                                 const PhAddress *to, const void *bytes, gsize length, guint8 ttl)
{
    g_autoptr(PlDatagram) datagram = wire_udp(from, to, bytes, length);
    PlWorldPlace at = place(&p->lab, host);

    if (ttl)
        pl_passage_set_ttl(datagram, ttl);
    pl_world_send(p->lab.world, &at, datagram->bytes, datagram->length, p->now);
}

/* ---- what may be sent ---- */

static inline gboolean may_send_to(const Punching *p, guint n, const PhAddress *to)
{
    const PhNodeRecord *other = &p->sides[1 - n].record;

    for (guint i = 0; i < p->sides[n].seen->len; i++)
        if (ph_address_equal(&g_array_index(p->sides[n].seen, PhAddress, i), to))
            return TRUE;
    for (guint i = 0; i < other->n_candidates; i++) {
        const PhAddress *candidate = &other->candidates[i].address;

        /* Ports of a hard NAT are guessed. */
        if (other->mapping > PH_MAPPING_ENDPOINT_INDEPENDENT ? ph_address_equal_host(candidate, to)
                                                             : ph_address_equal(candidate, to))
            return TRUE;
    }
    return FALSE;
}

static inline void punching_poll(Punching *p, guint n)
{
    Side *side = &p->sides[n];
    PhSocketRequest request;
    PhTransmit transmit;

    while (side->punch && ph_punch_poll_socket(side->punch, &request)) {
        guint number = request.socket - FRESH_SOCKET;

        g_assert_cmpuint(number, <, PH_PUNCH_SOCKETS);
        g_assert_true(side->is_open[number] == (request.kind == PH_SOCKET_CLOSE));
        if (request.kind == PH_SOCKET_OPEN && side->refuse > 0) {
            side->refuse--;
            ph_punch_socket_failed(side->punch, request.socket, p->now);
            continue;
        }
        side->is_open[number] = request.kind == PH_SOCKET_OPEN;
        side->open += request.kind == PH_SOCKET_OPEN ? 1 : -1U;
        side->opened_most = MAX(side->opened_most, side->open);
        if (request.kind == PH_SOCKET_OPEN) {
            PhAddress local = side->local;

            local.port = port_of(request.socket);
            ph_punch_socket_opened(side->punch, request.socket, &local, p->now);
        }
    }
    while (side->punch && ph_punch_poll_transmit(side->punch, &transmit)) {
        Flight flight = {.at = p->now, .path = transmit.path, .ttl = transmit.ttl};
        PhAddress from = side->local;

        g_assert_cmpuint(transmit.length, ==, PH_PUNCH_PACKET_BYTES);
        g_assert_true(transmit.path.socket == DATA_SOCKET ||
                      side->is_open[transmit.path.socket - FRESH_SOCKET]);
        g_assert_true(may_send_to(p, n, &transmit.path.remote));
        memcpy(flight.bytes, transmit.bytes, transmit.length);
        flight.kind = flight.bytes[1];
        g_array_append_val(side->sent, flight);
        from.port = port_of(transmit.path.socket);
        if (side->data_stuck && transmit.path.socket == DATA_SOCKET)
            continue;
        punching_send(p, side->host, &from, &transmit.path.remote, transmit.bytes, transmit.length,
                      transmit.ttl);
    }
}

/* ---- time ---- */

static inline void punching_deliver(Punching *p, const PlWorldPlace *to, const PlDatagram *datagram)
{
    const guint8 *ip = datagram->bytes;
    const guint8 *payload = ip + wire_header(ip) + 8;
    gsize length = datagram->length - wire_header(ip) - 8;
    PhPath path = {.transport = PH_TRANSPORT_UDP, .remote = wire_source(datagram)};

    if (wire_protocol(ip) != WIRE_UDP || !to->attachment)
        return;
    path.socket = socket_of(wire_destination(datagram).port);
    for (guint i = 0; i < 2; i++) {
        Side *side = &p->sides[i];

        if (to->attachment != attachment(&p->lab, side->host))
            continue;
        if (!ph_punch_is_packet(payload, length)) {
            p->payload_length = MIN(length, sizeof(p->payload));
            memcpy(p->payload, payload, p->payload_length);
            p->payload_path = path;
            p->payload_side = i;
        } else if (side->punch &&
                   (path.socket == DATA_SOCKET || (path.socket - FRESH_SOCKET < PH_PUNCH_SOCKETS &&
                                                   side->is_open[path.socket - FRESH_SOCKET]))) {
            g_array_append_val(side->seen, path.remote);
            ph_punch_handle_datagram(side->punch, &path, payload, length, p->now);
            punching_poll(p, i);
        }
        return;
    }
    g_assert_true(to->attachment == attachment(&p->lab, "hub"));
    p->hub_saw = path.remote;
}

static inline void punching_run(Punching *p, guint64 until)
{
    for (;;) {
        g_autoptr(PlDatagram) datagram = NULL;
        guint64 next = pl_world_next(p->lab.world), at;
        PlWorldPlace to;

        for (guint i = 0; i < 2; i++)
            if (p->sides[i].punch)
                next = MIN(next, ph_punch_next_timeout(p->sides[i].punch));
        if (next > until)
            break;
        p->now = MAX(p->now, next);
        datagram = pl_world_receive(p->lab.world, p->now, &to, &at);
        if (datagram) {
            punching_deliver(p, &to, datagram);
            continue;
        }
        for (guint i = 0; i < 2; i++) {
            if (!p->sides[i].punch)
                continue;
            ph_punch_handle_timeout(p->sides[i].punch, p->now);
            punching_poll(p, i);
        }
    }
    p->now = until;
}

/* ---- before ---- */

/* Where the hub sees that port of a host; `hub`: its address. */
static inline PhAddress punching_seen(Punching *p, guint n, guint16 port, const char *hub)
{
    PhAddress from = p->sides[n].local, to = wire_at(hub);

    from.port = port;
    p->hub_saw = (PhAddress){0};
    /* A router may lose the first one. */
    for (guint i = 0; i < 20 && p->hub_saw.family == 0; i++) {
        punching_send(p, p->sides[n].host, &from, &to, "seen?", 5, 0);
        punching_run(p, p->now + 200 * MS);
    }
    g_assert_cmpuint(p->hub_saw.family, !=, 0);
    return p->hub_saw;
}

/* As a classification finds it: the smallest aligned one of a usual size. */
static inline void find_block(Punching *p, guint n)
{
    guint first = 65535, last = 0, size = 512;

    for (guint i = 0; i < 9; i++) {
        guint port = punching_seen(p, n, (guint16)(30000 + i), HUB_AT).port;

        first = MIN(first, port);
        last = MAX(last, port);
    }
    while (size < 4096 && first / size != last / size)
        size *= 2;
    if (first / size == last / size)
        first -= first % size;
    p->sides[n].record.block_first = (guint16)first;
    p->sides[n].record.block_last = (guint16)MIN(first + size - 1, 65535);
}

static inline void add_candidate(PhNodeRecord *record, PhCandidateKind kind, PhAddress address)
{
    record->candidates[record->n_candidates++] =
        (PhCandidate){.kind = (guint8)kind, .address = address};
}

/* The mediator's part: candidates as it sees them. */
static inline void introduce(Punching *p, const Kind *kinds[2])
{
    for (guint i = 0; i < 2; i++) {
        PhNodeRecord *record = &p->sides[i].record;
        PhAddress seen = punching_seen(p, i, DATA_PORT, HUB_AT);

        *record = (PhNodeRecord){
            .nat_class = (guint8)ph_class_of(kinds[i]->mapping, kinds[i]->filtering),
            .mapping = (guint8)kinds[i]->mapping,
            .filtering = (guint8)kinds[i]->filtering,
            .port_allocation = (guint8)kinds[i]->allocation,
            .step = (gint16)kinds[i]->step,
        };
        if (kinds[i]->allocation == PH_PORT_ALLOCATION_BLOCK)
            find_block(p, i);
        add_candidate(record, PH_CANDIDATE_REFLEXIVE, seen);
    }
    if (ph_address_equal_host(&p->sides[0].record.candidates[0].address,
                              &p->sides[1].record.candidates[0].address))
        for (guint i = 0; i < 2; i++) {
            PhAddress local = p->sides[i].local;

            local.port = DATA_PORT;
            add_candidate(&p->sides[i].record, PH_CANDIDATE_LOCAL, local);
        }
}

/* `line`: alice's, if it is not as the others are. */
static inline void punching_init(Punching *p, const char *topology, const PlLink *line,
                                 guint64 seed)
{
    memset(p, 0, sizeof(*p));
    g_assert_cmpint(sodium_init(), >=, 0);
    p->seed = seed;
    p->lab.topology = parse(topology);
    p->sides[0].host = "alice";
    p->sides[1].host = "bob";
    for (guint i = 0; i < 2; i++) {
        PlAttachment *at = attachment(&p->lab, p->sides[i].host);

        if (line && i == 0)
            at->link = *line;
        at->link.delay_ns = 10 * MS;
        p->sides[i].local = g_array_index(at->addresses, PhAddress, 0);
        p->sides[i].sent = g_array_new(FALSE, FALSE, sizeof(Flight));
        p->sides[i].seen = g_array_new(FALSE, FALSE, sizeof(PhAddress));
    }
    p->lab.world = pl_world_new(p->lab.topology, seed, 0);
}

static inline void nat_text(GString *text, const char *name, const Kind *kind, const char *host)
{
    if (kind->nat)
        g_string_append_printf(text, "[nat %s]\noutside = internet\ninside = %s.%u.0/24\n%s", name,
                               kind->mapping == PH_MAPPING_NONE ? "198.51" : "192.168",
                               *host == 'a' ? 1U : 2U, kind->nat);
    g_string_append_printf(text, "[host %s]\n%s = %s\n", host, kind->nat ? "behind" : "on",
                           kind->nat ? name : "internet");
}

/* Two homes. */
static inline void punching_pair_on(Punching *p, const Kind *a, const Kind *b, const PlLink *line,
                                    guint64 seed)
{
    g_autoptr(GString) text =
        g_string_new(HEAD "[host hub]\non = internet\naddress = 203.0.113.200\n");
    const Kind *kinds[2] = {a, b};

    nat_text(text, "home-a", a, "alice");
    nat_text(text, "home-b", b, "bob");
    punching_init(p, text->str, line, seed);
    introduce(p, kinds);
}

static inline void punching_pair(Punching *p, const Kind *a, const Kind *b, guint64 seed)
{
    punching_pair_on(p, a, b, NULL, seed);
}

/* ---- an attempt ---- */

static inline PhStrategy strategy_of(const Punching *p, guint n)
{
    return ph_strategy(&p->sides[n].record, &p->sides[1 - n].record, true);
}

/* Both, at the same time but for the skew: so much later does one of them begin. */
static inline void punching_start(Punching *p, guint attempt, gint64 skew_ns)
{
    for (guint i = 0; i < 2; i++) {
        Side *side = &p->sides[i];
        PhPunchConfig config = {
            .strategy = strategy_of(p, i),
            .attempt = attempt,
            .lower = (i == 0) != p->higher,
            .own = side->record,
            .other = p->sides[1 - i].record,
            .socket = DATA_SOCKET,
            .family = PH_FAMILY_IPV4,
            .first_socket = FRESH_SOCKET,
            .n_sockets = PH_PUNCH_SOCKETS,
            .start_ns = p->now + 5 * MS,
            .rtt_ns = 40 * MS,
        };

        if ((skew_ns > 0) == (i == 1))
            config.start_ns += (guint64)ABS(skew_ns);
        memset(config.token, (int)attempt, sizeof(config.token));
        memset(config.seed, (int)i + 1, sizeof(config.seed));
        memcpy(config.seed, &p->seed, sizeof(p->seed));
        ph_punch_free(side->punch);
        g_array_set_size(side->sent, 0);
        g_array_set_size(side->seen, 0);
        side->punch = ph_punch_new(&config, p->now);
        punching_poll(p, i);
    }
}

static inline PhPunchState state_of(const Punching *p, guint n, PhPath *ret_path)
{
    return ph_punch_state(p->sides[n].punch, ret_path);
}

/* What one side says along its path comes to the other, along that one's. */
static inline void assert_passes(Punching *p, guint from)
{
    PhPath here, there;
    PhAddress local = p->sides[from].local;

    g_assert_cmpint(state_of(p, from, &here), ==, PH_PUNCH_OPEN);
    g_assert_cmpint(state_of(p, 1 - from, &there), ==, PH_PUNCH_OPEN);
    local.port = port_of(here.socket);
    p->payload_length = 0;
    /* Where much gets lost, not at once. */
    for (guint i = 0; i < 40 && p->payload_length == 0; i++) {
        punching_send(p, p->sides[from].host, &local, &here.remote, "hello", 5, 0);
        punching_run(p, p->now + 100 * MS);
    }
    g_assert_cmpuint(p->payload_length, ==, 5);
    g_assert_cmpuint(p->payload_side, ==, 1 - from);
    g_assert_cmpuint(p->payload_path.socket, ==, there.socket);
    g_assert_true(ph_address_equal(&p->payload_path.remote, &there.remote));
}

/* How much was sent, how fast, and what is left. */
static inline void assert_bounds(const Punching *p, guint n)
{
    const Side *side = &p->sides[n];
    const PhPunchCounters *counters = ph_punch_counters(side->punch);
    PhStrategy strategy = strategy_of(p, n);
    gboolean hard = strategy == PH_STRATEGY_SPREAD || strategy == PH_STRATEGY_SCATTER ||
                    strategy == PH_STRATEGY_PREDICT;
    guint first = 0, left = 0, probes = 0;
    PhPath path;

    if (state_of(p, n, &path) == PH_PUNCH_OPEN && path.socket != DATA_SOCKET)
        left = 1;
    g_assert_cmpuint(side->open, ==, left);
    g_assert_cmpuint(side->opened_most, <=, PH_PUNCH_SOCKETS);
    g_assert_cmpuint(counters->sent, ==, side->sent->len);
    g_assert_cmpuint(counters->sent, <=, PH_PUNCH_HARD_MAX);
    if (!hard)
        g_assert_cmpuint(counters->probes, <=, PH_PUNCH_CHECKS_MAX);
    for (guint i = 0; i < side->sent->len; i++) {
        const Flight *flight = &g_array_index(side->sent, Flight, i);

        probes += flight->kind == PH_PUNCH_PROBE;
        while (g_array_index(side->sent, Flight, first).at + S <= flight->at)
            probes -= g_array_index(side->sent, Flight, first++).kind == PH_PUNCH_PROBE;
        /* Of the plan, and of the few for where the peer turns out to be. */
        g_assert_cmpuint(probes, <=, 200 + 17 + 3);
    }
}

/* The whole attempt; whether both are open, and packets pass both ways then. */
static inline gboolean punching_attempt(Punching *p, guint attempt, gint64 skew_ns)
{
    PhPunchState states[2];
    PhPath path;

    punching_start(p, attempt, skew_ns);
    punching_run(p, p->now + 30 * S);
    for (guint i = 0; i < 2; i++) {
        states[i] = state_of(p, i, &path);
        g_assert_cmpint(states[i], !=, PH_PUNCH_RUNNING);
        assert_bounds(p, i);
    }
    if (states[0] != PH_PUNCH_OPEN || states[1] != PH_PUNCH_OPEN)
        return FALSE;
    assert_passes(p, 0);
    assert_passes(p, 1);
    return TRUE;
}

/* ---- kinds ---- */

static const Kind kind_open = {"open",
                               NULL,
                               PH_MAPPING_NONE,
                               PH_FILTERING_ENDPOINT_INDEPENDENT,
                               PH_PORT_ALLOCATION_PRESERVE,
                               0},
                  kind_firewall = {"firewall",
                                   "behaviour = firewall\n",
                                   PH_MAPPING_NONE,
                                   PH_FILTERING_ADDRESS_AND_PORT_DEPENDENT,
                                   PH_PORT_ALLOCATION_PRESERVE,
                                   0},
                  kind_full_cone = {"full-cone",
                                    "behaviour = full-cone\n",
                                    PH_MAPPING_ENDPOINT_INDEPENDENT,
                                    PH_FILTERING_ENDPOINT_INDEPENDENT,
                                    PH_PORT_ALLOCATION_PRESERVE,
                                    0},
                  kind_restricted = {"restricted",
                                     "behaviour = restricted\n",
                                     PH_MAPPING_ENDPOINT_INDEPENDENT,
                                     PH_FILTERING_ADDRESS_DEPENDENT,
                                     PH_PORT_ALLOCATION_PRESERVE,
                                     0},
                  kind_port_restricted = {"port-restricted",
                                          "behaviour = port-restricted\n",
                                          PH_MAPPING_ENDPOINT_INDEPENDENT,
                                          PH_FILTERING_ADDRESS_AND_PORT_DEPENDENT,
                                          PH_PORT_ALLOCATION_PRESERVE,
                                          0},
                  kind_random_cone = {"port-restricted, random ports",
                                      "behaviour = port-restricted\nport-allocation = random\n",
                                      PH_MAPPING_ENDPOINT_INDEPENDENT,
                                      PH_FILTERING_ADDRESS_AND_PORT_DEPENDENT,
                                      PH_PORT_ALLOCATION_RANDOM,
                                      0},
                  kind_sequential = {"sequential",
                                     "behaviour = symmetric\nport-allocation = sequential\n",
                                     PH_MAPPING_ADDRESS_AND_PORT_DEPENDENT,
                                     PH_FILTERING_ADDRESS_AND_PORT_DEPENDENT,
                                     PH_PORT_ALLOCATION_SEQUENTIAL,
                                     1},
                  kind_sequential_2 = {"sequential by 2",
                                       "behaviour = symmetric\nport-allocation = sequential\n"
                                       "port-step = 2\n",
                                       PH_MAPPING_ADDRESS_AND_PORT_DEPENDENT,
                                       PH_FILTERING_ADDRESS_AND_PORT_DEPENDENT,
                                       PH_PORT_ALLOCATION_SEQUENTIAL,
                                       2},
                  kind_block = {"block",
                                "behaviour = symmetric\nport-allocation = block\n"
                                "block-size = 2048\n",
                                PH_MAPPING_ADDRESS_AND_PORT_DEPENDENT,
                                PH_FILTERING_ADDRESS_AND_PORT_DEPENDENT,
                                PH_PORT_ALLOCATION_BLOCK,
                                0},
                  kind_random = {"random",
                                 "behaviour = symmetric\n",
                                 PH_MAPPING_ADDRESS_AND_PORT_DEPENDENT,
                                 PH_FILTERING_ADDRESS_AND_PORT_DEPENDENT,
                                 PH_PORT_ALLOCATION_RANDOM,
                                 0},
                  kind_by_address = {"address-dependent mapping",
                                     "mapping = address-dependent\n"
                                     "filtering = address-and-port-dependent\n",
                                     PH_MAPPING_ADDRESS_DEPENDENT,
                                     PH_FILTERING_ADDRESS_AND_PORT_DEPENDENT,
                                     PH_PORT_ALLOCATION_RANDOM,
                                     0};
