/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hairpin (RFC 4787 §6): from inside to an external endpoint, and so back inside. What is turned
 * around is not filtered.
 */
#include "model/nat_private.h"

/* Whom the external endpoint belongs to. */
typedef struct Target {
    uint32_t forward; /* NONE: none, and it is the mapping's */
    uint32_t mapping;
} Target;

/* FALSE: nobody's. As from outside, forwards come first. */
static bool find_target(const PlNat *nat, const PlIp *ip, Target *ret_target)
{
    Endpoint external = {ip->destination, ip->destination_port};

    ret_target->forward = pl_nat_forward(nat, ip->protocol, external.port);
    ret_target->mapping = NONE;
    if (ret_target->forward == NONE)
        ret_target->mapping = pl_nat_mapping_in(nat, ip->protocol, external);
    return ret_target->forward != NONE || ret_target->mapping != NONE;
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

/* The flow that it comes in by; NONE: there is none, and none is needed. */
static In find_flow(Pass *pass, const Target *target, Endpoint source, uint32_t *ret_flow)
{
    PlNat *nat = pass->nat;
    const PlIp *ip = &pass->ip;
    Endpoint external = {ip->destination, ip->destination_port};

    if (target->forward != NONE)
        return pl_nat_map_forward(nat, ip, target->forward, source, pass->now, ret_flow);
    *ret_flow = nat_flow_in(nat, ip->protocol, external, source);
    if (*ret_flow == NONE)
        *ret_flow = pl_nat_note_in(nat, target->mapping, source);
    return IN_FOUND;
}

/* The one that it goes to sees a packet come in by its mapping, or by a static forward. */
static In arrive(Pass *pass, const Target *target, Endpoint source, Endpoint *ret_inside)
{
    PlNat *nat = pass->nat;
    uint8_t protocol = pass->ip.protocol;
    uint32_t flow, mapping = target->mapping;
    Course course;
    In in = find_flow(pass, target, source, &flow);

    if (in != IN_FOUND)
        return in;
    if (target->forward != NONE)
        mapping = nat->flows[flow].mapping;
    course = pl_nat_course(nat, flow, mapping);
    if (flow != NONE && protocol == PL_IP_TCP)
        pl_nat_tcp(&nat->flows[flow], pass->ip.tcp_flags, /* outbound= */ false);
    if (nat->behaviour.inbound_refresh || protocol != PL_IP_UDP)
        pl_nat_refresh(nat, &course, pass->now);
    if (!nat->mappings[mapping].from_outside)
        pl_nat_reply(nat, &course);
    *ret_inside = (Endpoint){nat->mappings[mapping].inside, nat->mappings[mapping].inside_port};
    return in;
}

PlNatOutcome pl_nat_hairpin(Pass *pass)
{
    PlNat *nat = pass->nat;
    PlIp *ip = &pass->ip;
    uint8_t *bytes = pass->datagram->bytes;
    Endpoint source = {ip->source, ip->source_port}, inside;
    PlHairpin hairpin = nat->behaviour.hairpin;
    Found found = FOUND;
    Target target;

    if (hairpin == PL_HAIRPIN_NONE || !find_target(nat, ip, &target)) {
        nat->counters.unmapped++;
        return PL_NAT_DROPPED;
    }
    if (hairpin == PL_HAIRPIN_EXTERNAL_SOURCE)
        found = find_source(pass, &source);
    if (found == REFUSED || arrive(pass, &target, source, &inside) != IN_FOUND)
        return PL_NAT_DROPPED;
    if (found == MADE && nat->behaviour.quirks.first_packet_lost)
        return PL_NAT_DROPPED;
    if (hairpin == PL_HAIRPIN_EXTERNAL_SOURCE)
        pl_ip_set_source(bytes, ip, source.host, source.port);
    pl_ip_set_destination(bytes, ip, inside.host, inside.port);
    nat->counters.translated++;
    nat->counters.hairpinned++;
    pass->to = PL_SIDE_INSIDE;
    return PL_NAT_FORWARDED;
}
