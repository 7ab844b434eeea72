/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A small NAT, with a network on both sides, for the prober to be tried on: virtual time, every
 * packet handed over after the same delay. It is written from RFC 4787, not from the engines.
 */
#pragma once

#include <pinhole/address.h>
#include <string.h>

#include "prober/prober.h"

#define MS G_GUINT64_CONSTANT(1000000)
#define S  (1000 * MS)

#define FAKE_SOCKETS 256

typedef struct FakeMapping {
    PhAddress inside, external, remote; /* remote: what it was made for */
    uint64_t expires_ns;
    GArray *contacted; /* PhAddress */
} FakeMapping;

/* A packet that the router took in itself: this external address is spoilt towards the source. */
typedef struct FakePoison {
    PhAddress source, external;
} FakePoison;

typedef struct FakePacket {
    uint64_t at_ns;
    unsigned id;
    gboolean unreachable;
    PhAddress address; /* source; or what was unreachable */
    uint8_t data[PL_PROBE_DATA_MAX];
    size_t length;
} FakePacket;

typedef struct FakeNat FakeNat;
struct FakeNat {
    /* What it is. */
    PlBehaviour behaviour;
    PhAddress pool[2];
    unsigned n_pool;
    GArray *forwards; /* PlForward, borrowed */
    gboolean forwards_broken, forwards_masquerade, tcp_forwards_broken;
    unsigned tries;               /* for a free port; 0: 64 */
    unsigned step;                /* between sequential ports; 0: 1 */
    gboolean filter_before_input; /* a filtered packet is never taken in by the router */
    gboolean lost;                /* nothing gets through at all */
    uint64_t down_ns;             /* nothing gets through before */
    gboolean tcp_blocked, silent_driver;
    uint64_t delay_ns;
    unsigned drop_every; /* every so-manieth datagram is lost; 0: none */
    unsigned fail_opens; /* so many sockets cannot be opened at first */
    uint16_t taken_port; /* inside; 0: none */
    gboolean noise;      /* foreign datagrams everywhere */
    /* As Linux does: flows of its hosts have external endpoints that are taken towards the same
       destination. */
    const FakeNat *competitor;

    /* Where it stands. */
    PlProber *prober;
    uint64_t now;
    struct {
        gboolean open;
        PlProbePlace place;
        PhAddress local;
    } sockets[FAKE_SOCKETS];
    GArray *mappings, *poison;
    struct {
        PhAddress from, to, inside;
    } flows[64]; /* by forwards */
    unsigned n_flows;
    GQueue packets;
    unsigned counter, sent;
    uint64_t random;
    gboolean tcp_pending, echo_pending;
    unsigned tcp_id, echo_id;

    /* What was seen. */
    unsigned n_inside, n_open, max_open;
    GString *log;
};

static inline unsigned fake_random(FakeNat *nat)
{
    nat->random = nat->random * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(nat->random >> 33);
}

static inline void fake_push(FakeNat *nat, unsigned id, const PhAddress *address,
                             const PlProbeAction *action)
{
    FakePacket *packet = g_new0(FakePacket, 1);

    packet->at_ns = nat->now + nat->delay_ns;
    packet->id = id;
    packet->unreachable = !action;
    packet->address = *address;
    if (action) {
        packet->length = action->data_length;
        memcpy(packet->data, action->data, action->data_length);
    }
    g_queue_push_tail(&nat->packets, packet);
}

/* FALSE when no socket is there. */
static inline gboolean fake_deliver(FakeNat *nat, PlProbePlace place, const PhAddress *to,
                                    const PhAddress *from, const PlProbeAction *action)
{
    for (unsigned id = 0; id < FAKE_SOCKETS; id++) {
        if (nat->sockets[id].open && nat->sockets[id].place == place &&
            ph_address_equal(&nat->sockets[id].local, to)) {
            fake_push(nat, id, from, action);
            return TRUE;
        }
    }
    return FALSE;
}

static inline FakeMapping *fake_mapping_at(const FakeNat *nat, unsigned i)
{
    return &g_array_index(nat->mappings, FakeMapping, i);
}

static inline FakeMapping *fake_find_external(const FakeNat *nat, const PhAddress *external)
{
    for (unsigned i = 0; i < nat->mappings->len; i++) {
        FakeMapping *mapping = fake_mapping_at(nat, i);

        if (mapping->expires_ns > nat->now && ph_address_equal(&mapping->external, external))
            return mapping;
    }
    return NULL;
}

static inline unsigned fake_port(FakeNat *nat, const PhAddress *inside, unsigned tries)
{
    const PlBehaviour *b = &nat->behaviour;
    unsigned n = b->port_last - b->port_first + 1u;

    if (b->port_allocation == PL_PORT_ALLOCATION_PRESERVE && tries == 0)
        return inside->port;
    if (b->port_allocation == PL_PORT_ALLOCATION_SEQUENTIAL)
        return b->port_first + nat->counter++ * MAX(nat->step, 1) % n;
    if (b->port_allocation == PL_PORT_ALLOCATION_BLOCK)
        return b->port_first + (ph_address_ipv4_number(inside) & 0xf) * b->block_size +
               (inside->port * 31u + tries) % b->block_size;
    return b->port_first + fake_random(nat) % n;
}

/* NULL when there is no port left. */
static inline FakeMapping *fake_map(FakeNat *nat, const PhAddress *inside, const PhAddress *remote)
{
    FakeMapping mapping = {.inside = *inside, .external = *inside, .remote = *remote};
    unsigned limit = nat->behaviour.block_size ? nat->behaviour.block_size : 64, tries;

    limit = nat->tries ? nat->tries : limit;
    for (tries = 0; tries < limit && nat->behaviour.mapping != PL_MAPPING_NONE; tries++) {
        unsigned which = nat->behaviour.pooling == PL_POOLING_PAIRED
                             ? ph_address_ipv4_number(inside)
                             : fake_random(nat) >> 7;

        mapping.external = nat->pool[which % nat->n_pool];
        mapping.external.port = (uint16_t)fake_port(nat, inside, tries);
        if (!fake_find_external(nat, &mapping.external))
            break;
    }
    if (tries == limit)
        return NULL;
    mapping.contacted = g_array_new(FALSE, FALSE, sizeof(PhAddress));
    g_array_append_val(nat->mappings, mapping);
    return fake_mapping_at(nat, nat->mappings->len - 1);
}

static inline gboolean fake_is_taken(const FakeNat *nat, const PhAddress *remote,
                                     const PhAddress *external)
{
    for (unsigned i = 0; i < nat->mappings->len; i++) {
        const FakeMapping *mapping = fake_mapping_at(nat, i);

        if (!ph_address_equal(&mapping->external, external))
            continue;
        for (unsigned j = 0; j < mapping->contacted->len; j++) {
            if (ph_address_equal(&g_array_index(mapping->contacted, PhAddress, j), remote))
                return TRUE;
        }
    }
    return FALSE;
}

static inline gboolean fake_is_poisoned(const FakeNat *nat, const PhAddress *remote,
                                        const PhAddress *external)
{
    for (unsigned i = 0; i < nat->poison->len; i++) {
        const FakePoison *poison = &g_array_index(nat->poison, FakePoison, i);

        if (ph_address_equal(&poison->source, remote) &&
            ph_address_equal(&poison->external, external))
            return TRUE;
    }
    return nat->competitor && fake_is_taken(nat->competitor, remote, external);
}

static inline FakeMapping *fake_find_inside(const FakeNat *nat, const PhAddress *inside,
                                            const PhAddress *remote)
{
    for (unsigned i = 0; i < nat->mappings->len; i++) {
        FakeMapping *mapping = fake_mapping_at(nat, i);
        gboolean same = nat->behaviour.mapping <= PL_MAPPING_ENDPOINT_INDEPENDENT ||
                        (nat->behaviour.mapping == PL_MAPPING_ADDRESS_DEPENDENT
                             ? ph_address_equal_host(&mapping->remote, remote)
                             : ph_address_equal(&mapping->remote, remote));

        if (same && mapping->expires_ns > nat->now && ph_address_equal(&mapping->inside, inside) &&
            !fake_is_poisoned(nat, remote, &mapping->external))
            return mapping;
    }
    return NULL;
}

static inline FakeMapping *fake_out(FakeNat *nat, const PhAddress *inside, const PhAddress *remote)
{
    FakeMapping *mapping = fake_find_inside(nat, inside, remote);

    for (unsigned tries = 0; !mapping && tries < 4; tries++) {
        mapping = fake_map(nat, inside, remote);
        if (!mapping)
            return NULL;
        if (fake_is_poisoned(nat, remote, &mapping->external)) {
            mapping->expires_ns = UINT64_MAX; /* the next one must be another */
            mapping = NULL;
        }
    }
    if (!mapping)
        return NULL;
    g_array_append_vals(mapping->contacted, remote, 1);
    mapping->expires_ns = nat->now + nat->behaviour.udp_timeout_ns;
    return mapping;
}

static inline gboolean fake_passes(const FakeNat *nat, const FakeMapping *mapping,
                                   const PhAddress *from)
{
    if (nat->behaviour.filtering == PL_FILTERING_ENDPOINT_INDEPENDENT)
        return TRUE;
    for (unsigned i = 0; i < mapping->contacted->len; i++) {
        const PhAddress *known = &g_array_index(mapping->contacted, PhAddress, i);

        if (nat->behaviour.filtering == PL_FILTERING_ADDRESS_DEPENDENT
                ? ph_address_equal_host(known, from)
                : ph_address_equal(known, from))
            return TRUE;
    }
    return FALSE;
}

static inline void fake_unsolicited(FakeNat *nat, unsigned id, const PhAddress *from,
                                    const PhAddress *to)
{
    FakePoison poison = {*from, *to};

    if (nat->behaviour.unsolicited == PL_UNSOLICITED_ACCEPT)
        g_array_append_val(nat->poison, poison);
    if (nat->behaviour.unsolicited != PL_UNSOLICITED_DROP)
        fake_push(nat, id, to, NULL);
}

/* As Linux does: between two endpoints there is one flow, which came by one external endpoint. */
static inline gboolean fake_has_flow(FakeNat *nat, const PhAddress *from, const PhAddress *to,
                                     const PhAddress *inside)
{
    for (unsigned i = 0; i < nat->n_flows; i++) {
        if (ph_address_equal(&nat->flows[i].from, from) &&
            ph_address_equal(&nat->flows[i].inside, inside))
            return ph_address_equal(&nat->flows[i].to, to);
    }
    g_assert_cmpuint(nat->n_flows, <, G_N_ELEMENTS(nat->flows));
    nat->flows[nat->n_flows].from = *from;
    nat->flows[nat->n_flows].to = *to;
    nat->flows[nat->n_flows++].inside = *inside;
    return TRUE;
}

static inline gboolean fake_forward(FakeNat *nat, const PhAddress *from, const PhAddress *to,
                                    const PlProbeAction *action)
{
    for (unsigned i = 0; nat->forwards && i < nat->forwards->len; i++) {
        const PlForward *forward = &g_array_index(nat->forwards, PlForward, i);
        PhAddress source = *from;

        if (forward->protocol != PL_PROTOCOL_UDP || forward->outside_port != to->port ||
            nat->forwards_broken)
            continue;
        if (nat->forwards_masquerade)
            source = ph_address_ipv4(0x0a000001, 7777);
        if (!fake_has_flow(nat, from, to, &forward->inside))
            return TRUE;
        fake_deliver(nat, PL_PROBE_PLACE_INSIDE, &forward->inside, &source, action);
        return TRUE;
    }
    return FALSE;
}

/* From outside, or looped back from inside. */
static inline void fake_in(FakeNat *nat, unsigned id, const PhAddress *from, const PhAddress *seen,
                           const PlProbeAction *action)
{
    const PhAddress *to = &action->remote;
    FakeMapping *mapping = fake_find_external(nat, to);

    if (fake_forward(nat, from, to, action))
        return;
    if (mapping && fake_passes(nat, mapping, from)) {
        if (nat->behaviour.inbound_refresh)
            mapping->expires_ns = nat->now + nat->behaviour.udp_timeout_ns;
        fake_deliver(nat, PL_PROBE_PLACE_INSIDE, &mapping->inside, seen, action);
    } else if (nat->behaviour.mapping == PL_MAPPING_NONE &&
               nat->behaviour.filtering == PL_FILTERING_ENDPOINT_INDEPENDENT) {
        if (!fake_deliver(nat, PL_PROBE_PLACE_INSIDE, to, seen, action))
            fake_push(nat, id, to, NULL); /* the host itself */
    } else if (!mapping || !nat->filter_before_input) {
        fake_unsolicited(nat, id, from, to);
    }
}

static inline void fake_send(FakeNat *nat, const PlProbeAction *action)
{
    PhAddress local = nat->sockets[action->id].local, external;
    gboolean inside = nat->sockets[action->id].place == PL_PROBE_PLACE_INSIDE, loop = FALSE;
    FakeMapping *mapping;

    if (nat->lost || nat->now < nat->down_ns ||
        (nat->drop_every && ++nat->sent % nat->drop_every == 0))
        return;
    if (!inside) {
        fake_in(nat, action->id, &local, &local, action);
        return;
    }
    for (unsigned i = 0; i < nat->n_pool; i++)
        loop |= ph_address_equal_host(&action->remote, &nat->pool[i]);
    if (nat->behaviour.udp == PL_PASS_BLOCKED ||
        (loop && nat->behaviour.hairpin == PL_HAIRPIN_NONE) ||
        !(mapping = fake_out(nat, &local, &action->remote)))
        return;
    external = mapping->external; /* what is looped back may make another */
    if (loop)
        fake_in(nat, action->id, &external,
                nat->behaviour.hairpin == PL_HAIRPIN_INTERNAL_SOURCE ? &local : &external, action);
    else
        fake_deliver(nat, PL_PROBE_PLACE_OUTSIDE, &action->remote, &external, action);
}

static inline void fake_open(FakeNat *nat, const PlProbeAction *action)
{
    g_assert_cmpuint(action->id, <, FAKE_SOCKETS);
    g_assert_cmpuint(action->local.port, !=, 0);
    g_assert_false(nat->sockets[action->id].open);
    for (unsigned id = 0; id < FAKE_SOCKETS; id++)
        g_assert_false(nat->sockets[id].open &&
                       ph_address_equal(&nat->sockets[id].local, &action->local));
    if (nat->fail_opens > 0 ||
        (action->place == PL_PROBE_PLACE_INSIDE && action->local.port == nat->taken_port)) {
        nat->fail_opens -= nat->fail_opens > 0;
        pl_prober_open_failed(nat->prober, action->id, nat->now);
        return;
    }
    nat->sockets[action->id].open = TRUE;
    nat->sockets[action->id].place = action->place;
    nat->sockets[action->id].local = action->local;
    nat->n_inside += action->place == PL_PROBE_PLACE_INSIDE;
    nat->n_open++;
    nat->max_open = MAX(nat->max_open, nat->n_open);
}

/* From outside to a forwarded port. */
static inline void fake_connect(FakeNat *nat, const PlProbeAction *action)
{
    PhAddress from = action->local;

    from.port = 40000;
    if (action->listener.port == nat->taken_port) {
        pl_prober_open_failed(nat->prober, action->id, nat->now);
        return;
    }
    for (unsigned i = 0; nat->forwards && i < nat->forwards->len; i++) {
        const PlForward *forward = &g_array_index(nat->forwards, PlForward, i);

        if (forward->protocol == PL_PROTOCOL_TCP && forward->outside_port == action->remote.port &&
            !nat->tcp_forwards_broken && ph_address_equal(&forward->inside, &action->listener)) {
            pl_prober_tcp(nat->prober, action->id, &from, nat->now);
            return;
        }
    }
    nat->now += 2 * S;
    pl_prober_tcp(nat->prober, action->id, NULL, nat->now);
}

static inline void fake_act(FakeNat *nat, const PlProbeAction *action)
{
    char a[PH_ADDRESS_TEXT_MAX], b[PH_ADDRESS_TEXT_MAX];

    g_string_append_printf(nat->log, "%d %u %s %s\n", (int)action->kind, action->id,
                           ph_address_format(&action->local, a),
                           ph_address_format(&action->remote, b));
    switch (action->kind) {
    case PL_PROBE_OPEN:
        fake_open(nat, action);
        break;
    case PL_PROBE_CLOSE:
        g_assert_true(nat->sockets[action->id].open);
        nat->sockets[action->id].open = FALSE;
        nat->n_open--;
        break;
    case PL_PROBE_SEND:
        g_assert_true(nat->sockets[action->id].open);
        fake_send(nat, action);
        break;
    case PL_PROBE_TCP:
        if (action->place == PL_PROBE_PLACE_OUTSIDE) {
            fake_connect(nat, action);
            break;
        }
        nat->tcp_pending = TRUE;
        nat->tcp_id = action->id;
        break;
    case PL_PROBE_ECHO:
        nat->echo_pending = nat->now >= nat->down_ns;
        nat->echo_id = action->id;
        break;
    case PL_PROBE_NOTHING:
    case PL_PROBE_DONE:
        break;
    }
}

/* The answers to TCP and ICMP that are due; returns when the next one is; 0:
 * something was answered. */
static inline uint64_t fake_answer(FakeNat *nat)
{
    gboolean tcp = !nat->tcp_blocked && !nat->lost,
             icmp = nat->behaviour.icmp == PL_PASS_YES && !nat->lost;
    gboolean answered = FALSE;

    if (nat->silent_driver)
        return UINT64_MAX;
    tcp &= nat->now >= nat->down_ns;
    if (nat->tcp_pending && (tcp || nat->now >= 3 * S)) {
        PhAddress from = nat->behaviour.mapping == PL_MAPPING_NONE ? ph_address_ipv4(0x0a000002, 0)
                                                                   : nat->pool[0];

        nat->tcp_pending = FALSE;
        answered = TRUE;
        pl_prober_tcp(nat->prober, nat->tcp_id, tcp ? &from : NULL, nat->now);
    }
    if (nat->echo_pending && (icmp || nat->now >= 3 * S)) {
        nat->echo_pending = FALSE;
        answered = TRUE;
        pl_prober_echo(nat->prober, nat->echo_id, icmp, nat->now);
    }
    if (answered)
        return 0;
    if (nat->tcp_pending && nat->now < nat->down_ns)
        return nat->down_ns;
    return nat->tcp_pending || nat->echo_pending ? 3 * S : UINT64_MAX; /* it began at 1 s */
}

static inline void fake_make_noise(FakeNat *nat, unsigned id)
{
    PhAddress stranger = ph_address_ipv4(0xc6336401, 53);
    uint8_t data[PL_PROBE_DATA_MAX];

    for (unsigned i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)fake_random(nat);
    pl_prober_datagram(nat->prober, id, &stranger, data, fake_random(nat) % sizeof(data), nat->now);
    pl_prober_unreachable(nat->prober, id, &stranger, nat->now);
}

/* One event; FALSE when the prober is done. */
static inline gboolean fake_step(FakeNat *nat)
{
    PlProbeAction action;
    FakePacket *packet;
    uint64_t next, timeout;

    do {
        pl_prober_poll(nat->prober, &action);
        fake_act(nat, &action);
    } while (action.kind != PL_PROBE_NOTHING && action.kind != PL_PROBE_DONE);
    if (action.kind == PL_PROBE_DONE)
        return FALSE;
    next = fake_answer(nat);
    if (next == 0)
        return TRUE;
    timeout = pl_prober_next_timeout(nat->prober);
    packet = g_queue_peek_head(&nat->packets);
    if (packet && packet->at_ns <= MIN(next, timeout)) {
        g_queue_pop_head(&nat->packets);
        nat->now = MAX(nat->now, packet->at_ns) + 20000;
        if (nat->noise)
            fake_make_noise(nat, packet->id);
        if (packet->unreachable)
            pl_prober_unreachable(nat->prober, packet->id, &packet->address, nat->now);
        else if (nat->sockets[packet->id].open)
            pl_prober_datagram(nat->prober, packet->id, &packet->address, packet->data,
                               packet->length, nat->now);
        g_free(packet);
        return TRUE;
    }
    g_assert_cmpuint(MIN(next, timeout), !=, UINT64_MAX);
    nat->now = MAX(nat->now, MIN(next, timeout));
    if (timeout <= nat->now)
        pl_prober_timeout(nat->prober, nat->now);
    return TRUE;
}

/* Returns how long it took; the prober is done. */
static inline uint64_t fake_run(FakeNat *nat, const PlProbePlan *plan)
{
    unsigned steps = 0;

    nat->now = 1 * S;
    nat->random = plan->seed + 17;
    nat->mappings = g_array_new(FALSE, FALSE, sizeof(FakeMapping));
    nat->poison = g_array_new(FALSE, FALSE, sizeof(FakePoison));
    nat->log = g_string_new(NULL);
    g_queue_init(&nat->packets);
    nat->prober = pl_prober_new(plan, nat->now);
    while (fake_step(nat))
        g_assert_cmpuint(++steps, <, 20000);
    g_assert_cmpuint(nat->n_open, ==, 0);
    return nat->now - 1 * S;
}

static inline void fake_clear(FakeNat *nat)
{
    for (unsigned i = 0; i < nat->mappings->len; i++)
        g_array_unref(fake_mapping_at(nat, i)->contacted);
    g_array_unref(nat->mappings);
    g_array_unref(nat->poison);
    g_queue_clear_full(&nat->packets, g_free);
    g_string_free(nat->log, TRUE);
    pl_prober_free(nat->prober);
}
