/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Packets that come from outside. */
#include "model/ip_error.h"
#include "model/nat_private.h"

#define ICMP_UNREACHABLE   3 /* RFC 792 */
#define ICMP_CODE_PORT     3
#define ICMPV6_UNREACHABLE 1 /* RFC 4443 §3.1 */
#define ICMPV6_CODE_PORT   4

/* A NAT speaks as whom the packet was for, a firewall as itself. */
static PlHost own_source(const PlNat *nat, const PlIp *ip)
{
    for (unsigned i = 0; !nat->translates && i < nat->n_external; i++) {
        if (nat->external_addresses[i].family == ip->version)
            return nat->external[i];
    }
    return ip->destination;
}

static PlNatOutcome answer(Pass *pass, bool answered)
{
    if (!answered)
        return PL_NAT_DROPPED;
    pass->nat->counters.rejected++;
    pass->answered = true;
    pass->to = pass->side;
    return PL_NAT_FORWARDED;
}

static PlNatOutcome reject(Pass *pass)
{
    const PlIp *ip = &pass->ip;
    bool v4 = ip->version == 4;

    if (ip->protocol == PL_IP_TCP)
        return answer(pass, pl_ip_reset(pass->datagram, ip));
    if (ip->protocol != PL_IP_UDP)
        return PL_NAT_DROPPED;
    return answer(pass, pl_ip_error(pass->datagram, ip, own_source(pass->nat, ip),
                                    v4 ? ICMP_UNREACHABLE : ICMPV6_UNREACHABLE,
                                    v4 ? ICMP_CODE_PORT : ICMPV6_CODE_PORT, 0));
}

static PlNatOutcome unsolicited(Pass *pass)
{
    switch (pass->nat->behaviour.unsolicited) {
    case PL_UNSOLICITED_REJECT:
        return reject(pass);
    case PL_UNSOLICITED_ACCEPT:
        if (!pass->nat->translates)
            return PL_NAT_DROPPED; /* it is nobody's address, and takes nothing in */
        /* UDP as if somebody listened there; but nobody does, and TCP says so. */
        if (pass->ip.protocol == PL_IP_TCP)
            return reject(pass);
        if (pass->ip.protocol != PL_IP_UDP)
            return PL_NAT_DROPPED;
        pl_nat_poison(pass->nat, &pass->ip, pass->now);
        return PL_NAT_LOCAL;
    case PL_UNSOLICITED_DROP:
    case PL_UNSOLICITED_N:
        break;
    }
    return PL_NAT_DROPPED;
}

static PlNatOutcome deliver(Pass *pass, const Course *course)
{
    const Way *way = &course->way;
    PlNat *nat = pass->nat;
    PlIp *ip = &pass->ip;
    PlHost external = ip->destination;

    if (way->flow == NONE)
        pl_nat_note_in(nat, course->mapping, nat_remote(ip, ip->source, ip->source_port));
    else if (ip->protocol == PL_IP_TCP)
        pl_nat_tcp(&nat->flows[way->flow], ip->tcp_flags, /* outbound= */ false);
    /* RFC 4787 REQ-6; TCP's and ICMP's mappings know no such choice. */
    if (nat->behaviour.inbound_refresh || ip->protocol != PL_IP_UDP)
        pl_nat_refresh(nat, course, pass->now);
    if (!way->from_outside)
        pl_nat_reply(nat, course);
    if (nat->translates) {
        PlHost inside = pl_host_ipv4(way->inside);

        pl_ip_set_destination(pass->datagram->bytes, ip, inside, way->inside_port);
        if (nat->behaviour.quirks.rewrite_payload)
            pl_nat_rewrite_payload(pass->datagram->bytes, ip, external, inside);
    }
    nat->counters.translated++;
    pass->to = PL_SIDE_INSIDE;
    return PL_NAT_FORWARDED;
}

/* What is for the router itself, in any case; FALSE: nothing of the kind. */
static bool is_own(Pass *pass, PlNatOutcome *ret_outcome)
{
    PlNat *nat = pass->nat;
    bool external = pl_nat_find_external(nat, pass->ip.destination) != NONE;

    if (external && pass->ip.kind == PL_IP_QUERY) {
        *ret_outcome = PL_NAT_LOCAL;
        return true;
    }
    if (external == nat->translates)
        return false;
    /* Inside of a NAT nobody can be addressed. */
    nat->counters.unmapped++;
    *ret_outcome = nat->translates ? PL_NAT_DROPPED : unsolicited(pass);
    return true;
}

PlNatOutcome pl_nat_inbound(Pass *pass)
{
    PlNat *nat = pass->nat;
    PlNatOutcome outcome;
    Course course;

    if (is_own(pass, &outcome))
        return outcome;
    if (!pl_nat_passes(nat, &pass->ip))
        return PL_NAT_DROPPED;
    if (pass->ip.kind == PL_IP_ERROR)
        return pl_nat_icmp_error(pass);
    switch (pl_nat_map_in(nat, &pass->ip, pass->now, &course)) {
    case IN_FOUND:
        return deliver(pass, &course);
    case IN_ROUTER:
        pl_nat_poison(nat, &pass->ip, pass->now);
        return PL_NAT_LOCAL;
    case IN_STRANGER:
        return unsolicited(pass);
    case IN_REFUSED:
        break;
    }
    return PL_NAT_DROPPED;
}
