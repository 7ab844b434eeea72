/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hairpin (RFC 4787 §6): from inside to an external endpoint, and so back inside. What is turned
 * around is not filtered.
 */
#include "model/nat_private.h"

/* Whom the external endpoint belongs to. */
static bool find_target(const PlNat *nat, const PlIp *ip, Endpoint *ret_target,
                        uint32_t *ret_mapping)
{
    Endpoint external = {ip->destination, ip->destination_port};
    uint32_t forward = pl_nat_forward(nat, ip->protocol, external.port);

    *ret_mapping = pl_nat_mapping_in(nat, ip->protocol, external);
    if (*ret_mapping != NONE)
        *ret_target =
            (Endpoint){nat->mappings[*ret_mapping].inside, nat->mappings[*ret_mapping].inside_port};
    else if (forward != NONE)
        *ret_target = (Endpoint){nat->forward_hosts[forward], nat->forwards[forward].inside.port};
    else
        return false;
    return true;
}

/* The sender's external endpoint (RFC 4787 REQ-9a). */
static Found find_source(Pass *pass, Endpoint *ret_source)
{
    PlNat *nat = pass->nat;
    Course course;
    Found found = pl_nat_map_out(nat, &pass->ip, pass->now, &course);

    if (found == REFUSED)
        return found;
    if (pass->ip.protocol == PL_IP_TCP)
        pl_nat_tcp(&nat->flows[course.way.flow], pass->ip.tcp_flags, /* outbound= */ true);
    pl_nat_refresh(nat, &course, pass->now);
    *ret_source = (Endpoint){nat->external[course.way.external], course.way.external_port};
    return found;
}

/* The one that it goes to sees a packet come in by its mapping. */
static void arrive(Pass *pass, uint32_t i, Endpoint source)
{
    PlNat *nat = pass->nat;
    uint8_t protocol = pass->ip.protocol;
    uint32_t flow = nat_flow_in(
        nat, protocol, (Endpoint){pass->ip.destination, pass->ip.destination_port}, source);
    Course course;

    if (flow == NONE)
        flow = pl_nat_note_in(nat, i, source);
    course = pl_nat_course(nat, flow, i);
    if (flow != NONE && protocol == PL_IP_TCP)
        pl_nat_tcp(&nat->flows[flow], pass->ip.tcp_flags, /* outbound= */ false);
    if (nat->behaviour.inbound_refresh || protocol != PL_IP_UDP)
        pl_nat_refresh(nat, &course, pass->now);
    pl_nat_reply(nat, &course);
}

PlNatOutcome pl_nat_hairpin(Pass *pass)
{
    PlNat *nat = pass->nat;
    PlIp *ip = &pass->ip;
    uint8_t *bytes = pass->datagram->bytes;
    Endpoint source = {ip->source, ip->source_port}, target;
    PlHairpin hairpin = nat->behaviour.hairpin;
    Found found = FOUND;
    uint32_t mapping;

    if (hairpin == PL_HAIRPIN_NONE || !find_target(nat, ip, &target, &mapping)) {
        nat->counters.unmapped++;
        return PL_NAT_DROPPED;
    }
    if (hairpin == PL_HAIRPIN_EXTERNAL_SOURCE)
        found = find_source(pass, &source);
    if (found == REFUSED)
        return PL_NAT_DROPPED;
    if (mapping != NONE)
        arrive(pass, mapping, source);
    if (found == MADE && nat->behaviour.quirks.first_packet_lost)
        return PL_NAT_DROPPED;
    if (hairpin == PL_HAIRPIN_EXTERNAL_SOURCE)
        pl_ip_set_source(bytes, ip, source.host, source.port);
    pl_ip_set_destination(bytes, ip, target.host, target.port);
    nat->counters.translated++;
    nat->counters.hairpinned++;
    pass->to = PL_SIDE_INSIDE;
    return PL_NAT_FORWARDED;
}
