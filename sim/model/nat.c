/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A NAT from outside, and packets that come from inside; see nat.h and nat_private.h. */
#include "model/nat.h"

#include <assert.h>
#include <string.h>

#include "model/nat_private.h"

static void init_external(PlNat *nat, const PhAddress *external, unsigned n_external)
{
    uint32_t room = 4;

    while (room < 2 * n_external)
        room *= 2;
    nat->n_external = n_external;
    nat->external_addresses = g_new0(PhAddress, n_external + 1);
    nat->external = g_new0(PlHost, n_external + 1);
    nat->external_slots = g_new0(uint16_t, room);
    nat->external_mask = room - 1;
    for (unsigned i = 0; i < n_external; i++) {
        uint32_t slot;

        nat->external_addresses[i] = external[i];
        nat->external[i] = pl_host(&external[i]);
        slot = (uint32_t)nat_mix(nat->external[i].low ^ nat->external[i].high);
        while (nat->external_slots[slot & nat->external_mask])
            slot++;
        nat->external_slots[slot & nat->external_mask] = (uint16_t)(i + 1);
    }
}

static void clear_external(PlNat *nat)
{
    g_clear_pointer(&nat->external_addresses, g_free);
    g_clear_pointer(&nat->external, g_free);
    g_clear_pointer(&nat->external_slots, g_free);
}

static void set_limits(PlNat *nat, uint32_t mappings_max)
{
    uint64_t max = mappings_max ? mappings_max : (uint64_t)PORTS * MAX(nat->n_external, 1);

    /* An index has a bit to spare for what it is an index of. */
    nat->mappings_max = (uint32_t)MIN(max, TIMER_FLOW / 8);
    nat->flows_max = nat->mappings_max * 4;
}

PlNat *pl_nat_new(const PlNatConfig *config)
{
    PlNat *nat = g_new0(PlNat, 1);
    const PlBehaviour *behaviour = &config->behaviour;

    nat->behaviour = *behaviour;
    nat->translates = behaviour->mapping != PL_MAPPING_NONE;
    assert(!nat->translates || config->n_external > 0);
    assert(config->n_external < UINT16_MAX);
    /* As Linux does it. That will not do where strangers, or insiders, may use the mapping. */
    nat->shares = behaviour->port_allocation == PL_PORT_ALLOCATION_PRESERVE &&
                  behaviour->filtering == PL_FILTERING_ADDRESS_AND_PORT_DEPENDENT &&
                  behaviour->hairpin == PL_HAIRPIN_NONE;
    nat->inside_address = pl_host(&config->inside_address);
    nat->n_forwards = config->n_forwards;
    nat->forwards = g_new0(PlForward, config->n_forwards + 1);
    nat->forward_hosts = g_new0(PlHost, config->n_forwards + 1);
    for (unsigned i = 0; i < config->n_forwards; i++) {
        nat->forwards[i] = config->forwards[i];
        nat->forward_hosts[i] = pl_host(&config->forwards[i].inside);
    }
    nat->seed = config->seed;
    nat->random = config->seed;
    init_external(nat, config->external, config->n_external);
    set_limits(nat, config->mappings_max);
    pl_nat_tables_init(nat);
    pl_nat_ports_init(nat);
    return nat;
}

PlNat *pl_nat_free(PlNat *nat)
{
    if (!nat)
        return NULL;
    pl_nat_ports_clear(nat);
    pl_nat_tables_clear(nat);
    clear_external(nat);
    nat->fragments = pl_nat_fragments_free(nat->fragments);
    g_free(nat->forwards);
    g_free(nat->forward_hosts);
    g_free(nat);
    return NULL;
}

void pl_nat_flush(PlNat *nat)
{
    pl_nat_ports_clear(nat);
    pl_nat_tables_init(nat);
    pl_nat_ports_init(nat);
    nat->fragments = pl_nat_fragments_free(nat->fragments);
    nat->rate_start_ns = 0;
    nat->rate_count = 0;
}

void pl_nat_set_external(PlNat *nat, const PhAddress *external, unsigned n_external)
{
    assert(n_external > 0 && n_external < UINT16_MAX);
    pl_nat_ports_clear(nat);
    clear_external(nat);
    init_external(nat, external, n_external);
    pl_nat_flush(nat);
}

bool pl_nat_passes(PlNat *nat, const PlIp *ip)
{
    bool icmp = nat_is_icmp(ip->protocol);
    bool blocked = (icmp && nat->behaviour.icmp == PL_PASS_BLOCKED) ||
                   (ip->protocol == PL_IP_UDP && nat->behaviour.udp == PL_PASS_BLOCKED) ||
                   ip->kind == PL_IP_OTHER;

    /* A NAT translates IPv4, and what has ports or an identifier. */
    if (nat->translates &&
        (ip->version != 4 || !(icmp || ip->protocol == PL_IP_UDP || ip->protocol == PL_IP_TCP)))
        blocked = true;
    if (blocked)
        nat->counters.blocked++;
    return !blocked;
}

static PlNatOutcome send_out(Pass *pass, Found found, const Course *course)
{
    const Way *way = &course->way;
    PlNat *nat = pass->nat;
    PlIp *ip = &pass->ip;
    PlHost inside = ip->source, external;

    if (ip->protocol == PL_IP_TCP)
        pl_nat_tcp(&nat->flows[way->flow], ip->tcp_flags, /* outbound= */ true);
    pl_nat_refresh(nat, course, pass->now); /* RFC 4787 REQ-6 */
    if (way->from_outside)
        pl_nat_reply(nat, course);
    if (nat->behaviour.quirks.port_overloading)
        pl_nat_mapping_front(nat, nat_course_mapping(nat, course));
    if (found == MADE && nat->behaviour.quirks.first_packet_lost)
        return PL_NAT_DROPPED;
    if (nat->translates) {
        external = nat->external[way->external];
        pl_ip_set_source(pass->datagram->bytes, ip, external, way->external_port);
        if (nat->behaviour.quirks.rewrite_payload)
            pl_nat_rewrite_payload(pass->datagram->bytes, ip, inside, external);
    }
    nat->counters.translated++;
    pass->to = PL_SIDE_OUTSIDE;
    return PL_NAT_FORWARDED;
}

static PlNatOutcome outbound(Pass *pass)
{
    PlNat *nat = pass->nat;
    const PlIp *ip = &pass->ip;
    bool own = pl_nat_find_external(nat, ip->destination) != NONE;
    Found found;
    Course course;

    if (pl_host_equal(ip->destination, nat->inside_address) ||
        (own && (!nat->translates || ip->kind == PL_IP_QUERY)))
        return PL_NAT_LOCAL;
    if (!pl_nat_passes(nat, ip))
        return PL_NAT_DROPPED;
    if (ip->kind == PL_IP_ERROR)
        return pl_nat_icmp_error(pass);
    if (nat->translates && own)
        return pl_nat_hairpin(pass);
    found = pl_nat_map_out(nat, ip, pass->now, &course);
    return found == REFUSED ? PL_NAT_DROPPED : send_out(pass, found, &course);
}

/* Nobody's address, or one that cannot be there. */
static bool is_martian(const Pass *pass)
{
    const PlIp *ip = &pass->ip;

    return !pl_host_is_unicast(ip->source) || !pl_host_is_unicast(ip->destination) ||
           pl_host_equal(ip->source, pass->nat->inside_address) ||
           pl_nat_find_external(pass->nat, ip->source) != NONE;
}

PlNatOutcome pl_nat_handle(PlNat *nat, PlSide side, PlDatagram *datagram, uint64_t now,
                           PlSide *ret_side)
{
    Pass pass = {.nat = nat, .side = side, .to = side, .datagram = datagram, .now = now};
    PlNatOutcome outcome;
    PlIp was;

    assert(side == PL_SIDE_INSIDE || side == PL_SIDE_OUTSIDE);
    pl_nat_expire(nat, now);
    pl_nat_fragments_expire(nat, now);
    if (!pl_ip_parse(datagram->bytes, &datagram->length, &pass.ip) || is_martian(&pass)) {
        nat->counters.malformed++;
        return PL_NAT_DROPPED;
    }
    was = pass.ip;
    if (was.later)
        outcome = pl_nat_fragment_later(&pass);
    else
        outcome = side == PL_SIDE_INSIDE ? outbound(&pass) : pl_nat_inbound(&pass);
    if (was.fragment && !was.later)
        pl_nat_fragment_first(&pass, &was, outcome);
    if (outcome == PL_NAT_FORWARDED)
        *ret_side = pass.to;
    return outcome;
}

PlDatagram *pl_nat_poll(PlNat *nat, PlSide *ret_side)
{
    return pl_nat_fragment_poll(nat, ret_side);
}

const PlNatCounters *pl_nat_counters(const PlNat *nat)
{
    return &nat->counters;
}

typedef struct Listed {
    uint64_t sequence;
    PlNatEntry entry;
} Listed;

static gint by_sequence(gconstpointer a, gconstpointer b)
{
    const Listed *left = a, *right = b;

    return left->sequence < right->sequence ? -1 : left->sequence > right->sequence;
}

GArray *pl_nat_entries(const PlNat *nat, uint64_t now)
{
    g_autoptr(GArray) listed = g_array_new(FALSE, FALSE, sizeof(Listed));
    GArray *entries = g_array_new(FALSE, FALSE, sizeof(PlNatEntry));

    for (uint32_t i = 0; i < nat->n_mappings; i++) {
        const Mapping *mapping = &nat->mappings[i];
        Listed each = {.sequence = mapping->sequence};
        Endpoint external;
        Life life;

        if (!mapping->live)
            continue;
        life = pl_nat_life(nat, i);
        if (life.expires_ns <= now)
            continue;
        external = pl_nat_external(nat, mapping);
        each.entry = (PlNatEntry){
            .protocol = mapping->protocol,
            .inside = pl_host_address(mapping->inside, mapping->inside_port),
            .external = pl_host_address(external.host, external.port),
            .remote = pl_host_address(mapping->remote, mapping->remote_port),
            .from_outside = mapping->from_outside,
            .replied = life.replied,
            .expires_ns = life.expires_ns,
        };
        g_array_append_val(listed, each);
    }
    g_array_sort(listed, by_sequence);
    for (guint i = 0; i < listed->len; i++)
        g_array_append_val(entries, g_array_index(listed, Listed, i).entry);
    return entries;
}
