/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ICMP errors: they pass if they quote a packet of a flow that is known, and what they quote is
 * translated back to what its sender knows (RFC 5508 §4.2, §4.3). They keep nothing alive and end
 * nothing (RFC 4787 REQ-12), unless PlQuirks.icmp_drops.
 */
#include "model/nat_private.h"

#define ICMP_HEADER 8

static uint8_t *quoted_bytes(const Pass *pass)
{
    return pass->datagram->bytes + pass->ip.header + ICMP_HEADER;
}

/* Who the quoted packet was from and to, as they stand there. */
static Endpoint quoted_source(const PlIp *quoted)
{
    return (Endpoint){quoted->source, quoted->source_port};
}

static Endpoint quoted_destination(const PlIp *quoted)
{
    return (Endpoint){quoted->destination, quoted->destination_port};
}

static uint32_t mapping_of_flow(const PlNat *nat, uint32_t flow)
{
    return flow == NONE ? NONE : nat->flows[flow].mapping;
}

/* About a packet that went out. */
static uint32_t find_sender(const PlNat *nat, const PlIp *quoted)
{
    Endpoint remote = nat_remote(quoted, quoted->destination, quoted->destination_port);

    return mapping_of_flow(nat, nat_flow_in(nat, quoted->protocol, quoted_source(quoted), remote));
}

/* About a packet that came in. */
static uint32_t find_receiver(const PlNat *nat, const PlIp *quoted)
{
    Endpoint inside = quoted_destination(quoted);
    Endpoint remote = nat_remote(quoted, quoted->source, quoted->source_port);
    uint32_t flow = nat_flow_out(nat, quoted->protocol, inside, remote);
    uint32_t mapping = mapping_of_flow(nat, flow);

    for (int dependence = PL_MAPPING_ENDPOINT_INDEPENDENT;
         mapping == NONE && dependence < PL_MAPPING_N; dependence++)
        mapping = pl_nat_mapping_out(nat, quoted->protocol, inside, remote, (PlMapping)dependence);
    return mapping;
}

static PlNatOutcome unmapped(Pass *pass)
{
    pass->nat->counters.unmapped++;
    return PL_NAT_DROPPED;
}

static PlNatOutcome forward(Pass *pass, PlSide to)
{
    pl_ip_icmp_seal(pass->datagram->bytes, &pass->ip);
    pass->nat->counters.translated++;
    pass->to = to;
    return PL_NAT_FORWARDED;
}

static PlNatOutcome from_outside(Pass *pass, PlIp *quoted)
{
    PlNat *nat = pass->nat;
    uint32_t i = find_sender(nat, quoted);
    const Mapping *mapping;

    if (i == NONE || !pl_host_equal(quoted->source, pass->ip.destination))
        return unmapped(pass);
    mapping = &nat->mappings[i];
    if (nat->translates) {
        pl_ip_set_source(quoted_bytes(pass), quoted, mapping->inside, mapping->inside_port);
        pl_ip_set_destination(pass->datagram->bytes, &pass->ip, mapping->inside, 0);
    }
    if (nat->behaviour.quirks.icmp_drops)
        pl_nat_mapping_remove(nat, i);
    return forward(pass, PL_SIDE_INSIDE);
}

/* The complaint about a packet that was turned around goes the same way back (RFC 5508 REQ-7). */
static PlNatOutcome turn_around(Pass *pass, PlIp *quoted, Endpoint external)
{
    PlNat *nat = pass->nat;
    uint32_t i =
        mapping_of_flow(nat, nat_flow_in(nat, quoted->protocol, quoted_source(quoted), external));
    const Mapping *mapping;

    if (i == NONE)
        i = pl_nat_mapping_in(nat, quoted->protocol, quoted_source(quoted));
    if (i == NONE || nat->behaviour.hairpin == PL_HAIRPIN_NONE)
        return unmapped(pass);
    mapping = &nat->mappings[i];
    pl_ip_set_destination(quoted_bytes(pass), quoted, external.host, external.port);
    pl_ip_set_source(quoted_bytes(pass), quoted, mapping->inside, mapping->inside_port);
    pl_ip_set_source(pass->datagram->bytes, &pass->ip, external.host, 0);
    pl_ip_set_destination(pass->datagram->bytes, &pass->ip, mapping->inside, 0);
    nat->counters.hairpinned++;
    return forward(pass, PL_SIDE_INSIDE);
}

static PlNatOutcome from_inside(Pass *pass, PlIp *quoted)
{
    PlNat *nat = pass->nat;
    uint32_t i = find_receiver(nat, quoted);
    Endpoint external;

    if (i == NONE || !pl_host_equal(quoted->source, pass->ip.destination))
        return unmapped(pass);
    external = pl_nat_external(nat, &nat->mappings[i]);
    if (nat->translates && pl_nat_find_external(nat, pass->ip.destination) != NONE)
        return turn_around(pass, quoted, external);
    if (nat->translates) {
        pl_ip_set_destination(quoted_bytes(pass), quoted, external.host, external.port);
        pl_ip_set_source(pass->datagram->bytes, &pass->ip, external.host, 0);
    }
    return forward(pass, PL_SIDE_OUTSIDE);
}

PlNatOutcome pl_nat_icmp_error(Pass *pass)
{
    PlIp quoted;

    /* RFC 5508 REQ-3: what is broken is dropped. */
    if (!pl_ip_icmp_is_right(pass->datagram->bytes, &pass->ip) ||
        !pl_ip_parse_quoted(quoted_bytes(pass), pass->ip.length - ICMP_HEADER, &quoted) ||
        quoted.version != pass->ip.version || quoted.kind == PL_IP_ERROR ||
        quoted.kind == PL_IP_OTHER) {
        pass->nat->counters.malformed++;
        return PL_NAT_DROPPED;
    }
    return pass->side == PL_SIDE_INSIDE ? from_inside(pass, &quoted) : from_outside(pass, &quoted);
}
