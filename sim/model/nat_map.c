/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Finds, or makes, the flow and the mapping that a packet belongs to. */
#include "model/nat_private.h"

static PlMapping dependence_of(const PlNat *nat, uint8_t protocol)
{
    const PlBehaviour *behaviour = &nat->behaviour;

    if (nat->translates) /* RFC 5382 REQ-1, RFC 5508 REQ-1 */
        return protocol == PL_IP_UDP ? behaviour->mapping : PL_MAPPING_ENDPOINT_INDEPENDENT;
    /* What a firewall remembers lasts as long as what passes it there. */
    return protocol == PL_IP_UDP && behaviour->filtering == PL_FILTERING_ADDRESS_DEPENDENT
               ? PL_MAPPING_ADDRESS_DEPENDENT
               : PL_MAPPING_ADDRESS_AND_PORT_DEPENDENT;
}

static bool has_permit(const PlNat *nat, uint32_t mapping, Endpoint inside, PlHost host)
{
    uint32_t permit = nat_flow_out(nat, PL_IP_UDP, inside, (Endpoint){host, 0});

    return permit != NONE && nat->flows[permit].mapping == mapping;
}

/* Adds a flow, and what the filter needs besides; NONE: no room. */
static uint32_t add_flow(PlNat *nat, uint32_t mapping, Endpoint remote, bool from_outside)
{
    Flow flow = {.mapping = mapping,
                 .remote = remote.host,
                 .remote_port = remote.port,
                 .protocol = nat->mappings[mapping].protocol,
                 .from_outside = from_outside};
    Endpoint inside = {nat->mappings[mapping].inside, nat->mappings[mapping].inside_port};
    Flow permit = flow;

    permit.remote_port = 0;
    if (flow.protocol == PL_IP_UDP && !from_outside &&
        nat->behaviour.filtering == PL_FILTERING_ADDRESS_DEPENDENT &&
        !has_permit(nat, mapping, inside, remote.host) && pl_nat_flow_add(nat, &permit) == NONE)
        return NONE;
    return pl_nat_flow_add(nat, &flow);
}

/* PlQuirks.mapping_rate, a second at a time from the first mapping on: of those that begin inside.
 */
static bool is_limited(PlNat *nat, uint64_t now)
{
    unsigned rate = nat->behaviour.quirks.mapping_rate;

    if (rate == 0)
        return false;
    if (nat->rate_count == 0 || now - nat->rate_start_ns >= NS_PER_S) {
        nat->rate_start_ns = now;
        nat->rate_count = 0;
    }
    return nat->rate_count >= rate;
}

/* From now on the mapping ends, TCP's with its flows. */
static void begin(PlNat *nat, uint32_t flow, uint32_t mapping, uint64_t now)
{
    Course course = pl_nat_course(nat, flow, mapping);

    if (course.way.protocol == PL_IP_TCP)
        return;
    pl_nat_refresh(nat, &course, now);
    pl_nat_timer_set(nat, mapping, nat->mappings[mapping].expires_ns);
}

/* A mapping with its first flow; NONE: no room, or no port. */
static uint32_t make(PlNat *nat, Mapping *mapping, bool kept, uint64_t now)
{
    unsigned limit = nat->behaviour.quirks.symmetric_after;
    Endpoint remote = {mapping->remote, mapping->remote_port};
    uint32_t i = NONE, flow = NONE;

    mapping->subscriber = pl_nat_subscriber(nat, mapping->inside);
    if (mapping->subscriber == NONE)
        return NONE;
    if (limit && nat->translates && nat->subscribers[mapping->subscriber].mappings >= limit)
        mapping->dependence = PL_MAPPING_ADDRESS_AND_PORT_DEPENDENT;
    mapping->made_ns = now;
    if (mapping->from_forward || pl_nat_allocate(nat, mapping, kept))
        i = pl_nat_mapping_add(nat, mapping);
    if (i == NONE) {
        pl_nat_subscriber_settle(nat, mapping->subscriber);
        return NONE;
    }
    flow = add_flow(nat, i, remote, mapping->from_outside);
    if (flow == NONE) {
        pl_nat_mapping_remove(nat, i);
        return NONE;
    }
    begin(nat, flow, i, now);
    return flow;
}

static Found make_out(PlNat *nat, const PlIp *ip, bool kept, uint64_t now, Course *ret_course)
{
    Mapping mapping = {.inside = ip->source,
                       .inside_port = ip->source_port,
                       .remote = ip->destination,
                       .protocol = ip->protocol,
                       .dependence = (uint8_t)dependence_of(nat, ip->protocol)};
    uint32_t flow;

    mapping.remote_port = nat_remote(ip, ip->destination, ip->destination_port).port;
    if (!kept)
        mapping.dependence = PL_MAPPING_ADDRESS_AND_PORT_DEPENDENT;
    if (is_limited(nat, now)) {
        nat->counters.limited++;
        return REFUSED;
    }
    flow = make(nat, &mapping, kept, now);
    if (flow == NONE) {
        nat->counters.exhausted++;
        return REFUSED;
    }
    nat->rate_count++;
    *ret_course = pl_nat_course(nat, flow, nat->flows[flow].mapping);
    return MADE;
}

/* Whether a packet that belongs to nothing may begin something. */
static bool may_begin(const PlIp *ip)
{
    return ip->kind == PL_IP_PLAIN ? !(ip->tcp_flags & PL_TCP_RST) : ip->kind == PL_IP_QUERY;
}

static Found unmapped(PlNat *nat)
{
    nat->counters.unmapped++;
    return REFUSED;
}

Found pl_nat_map_out(PlNat *nat, const PlIp *ip, uint64_t now, Course *ret_course)
{
    Endpoint inside = {ip->source, ip->source_port};
    Endpoint remote = nat_remote(ip, ip->destination, ip->destination_port);
    Way *way = pl_nat_way_out(nat, ip->protocol, inside, remote);
    uint32_t mapping, flow;

    if (way) {
        /* Who asked may ask again, who was asked may answer. */
        if (ip->kind != PL_IP_PLAIN &&
            nat->flows[way->flow].from_outside != (ip->kind == PL_IP_REPLY))
            return unmapped(nat);
        *ret_course = nat_course_at(way);
        return FOUND;
    }
    if (!may_begin(ip))
        return unmapped(nat);
    mapping =
        pl_nat_mapping_out(nat, ip->protocol, inside, remote, dependence_of(nat, ip->protocol));
    if (mapping == NONE)
        return make_out(nat, ip, /* kept= */ true, now, ret_course);
    if (nat->translates && !nat->behaviour.quirks.port_overloading &&
        nat_flow_in(nat, ip->protocol, pl_nat_external(nat, &nat->mappings[mapping]), remote) !=
            NONE)
        return make_out(nat, ip, /* kept= */ false, now, ret_course);
    flow = add_flow(nat, mapping, remote, /* from_outside= */ false);
    if (flow != NONE) {
        *ret_course = pl_nat_course(nat, flow, mapping);
        return FOUND;
    }
    nat->counters.exhausted++;
    return REFUSED;
}

static In stranger(PlNat *nat, bool mapped)
{
    if (mapped)
        nat->counters.filtered++;
    else
        nat->counters.unmapped++;
    return IN_STRANGER;
}

/* A flow that begins outside: of a static forward, or through a firewall that filters nothing. */
static In make_in(PlNat *nat, const PlIp *ip, Endpoint inside, Endpoint remote, uint64_t now,
                  uint32_t *ret_flow)
{
    Mapping mapping = {.inside = inside.host,
                       .inside_port = inside.port,
                       .remote = remote.host,
                       .remote_port = remote.port,
                       .external_port = ip->destination_port,
                       .protocol = ip->protocol,
                       .dependence = PL_MAPPING_ADDRESS_AND_PORT_DEPENDENT,
                       .from_outside = true,
                       .from_forward = nat->translates};

    if (nat->translates)
        mapping.external = (uint16_t)pl_nat_find_external(nat, ip->destination);
    /* Half of the room is for what begins inside. */
    *ret_flow = nat->mappings_outside < (nat->mappings_max + 1) / 2
                    ? make(nat, &mapping, /* kept= */ true, now)
                    : NONE;
    if (*ret_flow != NONE)
        return IN_FOUND;
    nat->counters.exhausted++;
    return IN_REFUSED;
}

In pl_nat_map_forward(PlNat *nat, const PlIp *ip, uint32_t forward, Endpoint remote, uint64_t now,
                      uint32_t *ret_flow)
{
    Endpoint external = {ip->destination, ip->destination_port};
    Endpoint inside = {nat->forward_hosts[forward], nat->forwards[forward].inside.port};
    uint32_t mapping;

    *ret_flow = nat_flow_in(nat, ip->protocol, external, remote);
    mapping = *ret_flow == NONE ? NONE : nat->flows[*ret_flow].mapping;
    if (mapping != NONE && pl_host_equal(nat->mappings[mapping].inside, inside.host) &&
        nat->mappings[mapping].inside_port == inside.port)
        return IN_FOUND;
    return make_in(nat, ip, inside, remote, now, ret_flow);
}

/* PlQuirks.port_overloading: whoever sent last, if his filter lets it in. */
static uint32_t overloaded(const PlNat *nat, const PlIp *ip, Endpoint remote, uint32_t mapping,
                           bool *ret_in)
{
    const Mapping *last = &nat->mappings[mapping];
    Endpoint inside = {last->inside, last->inside_port}, any = {remote.host, 0};
    uint32_t flow = nat_flow_out(nat, ip->protocol, inside, remote);

    *ret_in = flow != NONE;
    if (!*ret_in && ip->protocol == PL_IP_UDP)
        *ret_in = nat->behaviour.filtering == PL_FILTERING_ENDPOINT_INDEPENDENT ||
                  (nat->behaviour.filtering == PL_FILTERING_ADDRESS_DEPENDENT &&
                   nat_flow_out(nat, ip->protocol, inside, any) != NONE);
    return flow;
}

static In find_in(PlNat *nat, const PlIp *ip, Endpoint external, Endpoint remote,
                  uint32_t *ret_flow, uint32_t *ret_mapping)
{
    PlFiltering filtering = nat->behaviour.filtering;
    Endpoint any = {remote.host, 0};
    uint32_t permit;

    *ret_mapping = pl_nat_mapping_in(nat, ip->protocol, external);
    if (*ret_mapping == NONE)
        return IN_STRANGER;
    if (nat->behaviour.quirks.port_overloading) {
        bool in;

        *ret_flow = overloaded(nat, ip, remote, *ret_mapping, &in);
        return in ? IN_FOUND : IN_STRANGER;
    }
    if (ip->protocol != PL_IP_UDP)
        return IN_STRANGER;
    if (filtering == PL_FILTERING_ADDRESS_DEPENDENT) {
        permit = nat_flow_in(nat, PL_IP_UDP, external, any);
        if (permit != NONE) {
            *ret_mapping = nat->flows[permit].mapping;
            return IN_FOUND;
        }
    }
    return filtering == PL_FILTERING_ENDPOINT_INDEPENDENT ? IN_FOUND : IN_STRANGER;
}

/* A packet that belongs to no flow that is known. */
static In begin_in(PlNat *nat, const PlIp *ip, uint64_t now, uint32_t *ret_flow,
                   uint32_t *ret_mapping)
{
    Endpoint external = {ip->destination, ip->destination_port};
    Endpoint remote = nat_remote(ip, ip->source, ip->source_port);
    uint32_t forward = nat->translates ? pl_nat_forward(nat, ip->protocol, external.port) : NONE;
    In in;

    if (forward != NONE)
        return pl_nat_map_forward(nat, ip, forward, remote, now, ret_flow);
    in = find_in(nat, ip, external, remote, ret_flow, ret_mapping);
    if (in == IN_STRANGER && !nat->translates && may_begin(ip) &&
        nat->behaviour.filtering == PL_FILTERING_ENDPOINT_INDEPENDENT)
        in = make_in(nat, ip, external, remote, now, ret_flow);
    return in;
}

In pl_nat_map_in(PlNat *nat, const PlIp *ip, uint64_t now, Course *ret_course)
{
    Endpoint external = {ip->destination, ip->destination_port};
    Endpoint remote = nat_remote(ip, ip->source, ip->source_port);
    Way *way = nat->behaviour.quirks.port_overloading
                   ? NULL
                   : pl_nat_way_in(nat, ip->protocol, external, remote);
    uint32_t flow = NONE, mapping = NONE;
    In in;

    if (way) {
        if (way->own)
            return IN_ROUTER;
        if (ip->kind != PL_IP_PLAIN &&
            nat->flows[way->flow].from_outside != (ip->kind == PL_IP_QUERY))
            return stranger(nat, /* mapped= */ true);
        *ret_course = nat_course_at(way);
        return IN_FOUND;
    }
    in = begin_in(nat, ip, now, &flow, &mapping);
    if (in == IN_STRANGER)
        return stranger(nat, mapping != NONE);
    if (in == IN_FOUND)
        *ret_course = pl_nat_course(nat, flow, flow == NONE ? mapping : nat->flows[flow].mapping);
    return in;
}

uint32_t pl_nat_note_in(PlNat *nat, uint32_t mapping, Endpoint remote)
{
    const Mapping *by = &nat->mappings[mapping];
    Endpoint inside = {by->inside, by->inside_port};

    /* Half of the room is for flows that begin inside. */
    if (by->dependence != PL_MAPPING_ENDPOINT_INDEPENDENT && nat->flows_live < nat->flows_max / 2 &&
        nat_flow_out(nat, by->protocol, inside, remote) == NONE)
        return add_flow(nat, mapping, remote, /* from_outside= */ true);
    return NONE;
}

void pl_nat_poison(PlNat *nat, const PlIp *ip, uint64_t now)
{
    Endpoint external = {ip->destination, ip->destination_port};
    Endpoint remote = {ip->source, ip->source_port};
    uint32_t i = nat_flow_in(nat, ip->protocol, external, remote);

    if (i == NONE && nat->flows_live < nat->flows_max / 2) {
        Flow flow = {.mapping = NONE,
                     .remote = remote.host,
                     .remote_port = remote.port,
                     .external = (uint16_t)pl_nat_find_external(nat, ip->destination),
                     .external_port = external.port,
                     .protocol = ip->protocol,
                     .from_outside = true};

        i = pl_nat_flow_add(nat, &flow);
    }
    if (i == NONE || nat->flows[i].mapping != NONE)
        return;
    nat->flows[i].expires_ns = now + nat->behaviour.udp_timeout_ns;
    pl_nat_timer_set(nat, i | TIMER_FLOW, nat->flows[i].expires_ns);
}
