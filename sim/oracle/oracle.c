/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Theory: what a judge must find, from the behaviours in the topology alone. */
#include "oracle/oracle.h"

#include "topology/allocation.h"
#include "topology/units.h"

static void append_address(GString *text, const PhAddress *address)
{
    char buffer[PH_ADDRESS_TEXT_MAX];

    ph_address_format(address, buffer);
    g_string_append_printf(text, "%s%s", text->len ? ", " : "", buffer);
}

static void append_addresses(GString *text, const PlAttachment *attachment)
{
    for (unsigned i = 0; i < attachment->addresses->len; i++)
        append_address(text, &g_array_index(attachment->addresses, PhAddress, i));
}

static void append_addresses_of(GString *text, const PlAttachment *attachment, uint8_t family)
{
    if (pl_network_family(attachment->network) == family)
        append_addresses(text, attachment);
}

/* What no packet can show, since none passes. */
static void set_blocked(PlFindings *findings, const PlNode *nat)
{
    static const PlAxis dark[] = {
        PL_AXIS_EXTERNAL, PL_AXIS_MAPPING,     PL_AXIS_FILTERING,   PL_AXIS_PORT_ALLOCATION,
        PL_AXIS_PORTS,    PL_AXIS_POOLING,     PL_AXIS_PORT_RANGE,  PL_AXIS_HAIRPIN,
        PL_AXIS_FORWARDS, PL_AXIS_UDP_TIMEOUT, PL_AXIS_UNSOLICITED, PL_AXIS_INBOUND_REFRESH,
    };
    g_autofree char *why = g_strdup_printf("nat %s blocks UDP", nat->name);

    pl_findings_set(findings, PL_AXIS_CLASS, "udp-blocked", NULL);
    pl_findings_set(findings, PL_AXIS_UDP, pl_pass_name(PL_PASS_BLOCKED), NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(dark); i++)
        pl_findings_set(findings, dark[i], NULL, why);
}

static void set_class(PlFindings *findings, PlMapping mapping, PlFiltering filtering,
                      const PlNode *fickle)
{
    g_autofree char *why =
        fickle ? g_strdup_printf("nat %s is symmetric after %u mappings", fickle->name,
                                 fickle->behaviour.quirks.symmetric_after)
               : NULL;

    pl_findings_set(findings, PL_AXIS_CLASS, fickle ? NULL : pl_class_name(mapping, filtering),
                    why);
    pl_findings_set(findings, PL_AXIS_MAPPING, fickle ? NULL : pl_mapping_name(mapping), why);
    pl_findings_set(findings, PL_AXIS_FILTERING, pl_filtering_name(filtering), NULL);
}

void pl_oracle_host(const PlTopology *topology, const PlNode *host, PlFindings *ret_findings)
{
    g_autoptr(GPtrArray) chain = pl_topology_chain(topology, host);
    g_autoptr(GString) external = g_string_new(NULL);
    PlMapping mapping = PL_MAPPING_NONE;
    PlFiltering filtering = PL_FILTERING_ENDPOINT_INDEPENDENT;
    PlPass icmp = PL_PASS_YES;
    const PlNode *translator = NULL, *blocker = NULL, *fickle = NULL;

    for (unsigned i = 0; i < chain->len; i++) {
        const PlNode *nat = g_ptr_array_index(chain, i);

        mapping = MAX(mapping, nat->behaviour.mapping);
        if (pl_behaviour_is_fickle(&nat->behaviour))
            fickle = nat;
        filtering = MAX(filtering, nat->behaviour.filtering);
        icmp = MAX(icmp, nat->behaviour.icmp);
        if (nat->behaviour.mapping != PL_MAPPING_NONE)
            translator = nat;
        if (nat->behaviour.udp == PL_PASS_BLOCKED && !blocker)
            blocker = nat;
    }
    pl_findings_set(ret_findings, PL_AXIS_TCP, pl_pass_name(PL_PASS_YES), NULL);
    pl_findings_set(ret_findings, PL_AXIS_ICMP, pl_pass_name(icmp), NULL);
    if (blocker) {
        g_autofree char *why = g_strdup_printf("nat %s blocks UDP", blocker->name);

        pl_findings_set(ret_findings, PL_AXIS_CLASS, "udp-blocked", NULL);
        pl_findings_set(ret_findings, PL_AXIS_UDP, pl_pass_name(PL_PASS_BLOCKED), NULL);
        pl_findings_set(ret_findings, PL_AXIS_EXTERNAL, NULL, why);
        pl_findings_set(ret_findings, PL_AXIS_MAPPING, NULL, why);
        pl_findings_set(ret_findings, PL_AXIS_FILTERING, NULL, why);
        return;
    }
    /* The outermost translation is what the internet sees. */
    if (translator)
        append_addresses(external, pl_nat_outside(translator));
    for (unsigned i = 0; !translator && i < host->attachments->len; i++)
        append_addresses_of(external, g_ptr_array_index(host->attachments, i),
                            pl_node_family(host));
    set_class(ret_findings, mapping, filtering,
              mapping == PL_MAPPING_ADDRESS_AND_PORT_DEPENDENT ? NULL : fickle);
    pl_findings_set(ret_findings, PL_AXIS_EXTERNAL, external->str, NULL);
    pl_findings_set(ret_findings, PL_AXIS_UDP, pl_pass_name(PL_PASS_YES), NULL);
}

/* How the ports look. Random ones of a small range cannot be told from a subscriber's block. */
static const char *allocation_words(const PlBehaviour *behaviour, unsigned range)
{
    if (behaviour->port_allocation != PL_PORT_ALLOCATION_RANDOM ||
        range > PL_ALLOCATION_BLOCK_PERHAPS)
        return pl_port_allocation_name(behaviour->port_allocation);
    return range > PL_ALLOCATION_BLOCK_SPAN ? "random, block" : "block";
}

static void set_translation(PlFindings *findings, const PlNode *nat)
{
    const PlBehaviour *behaviour = &nat->behaviour;
    unsigned range = behaviour->port_last - behaviour->port_first + 1U;
    unsigned ports = pl_behaviour_ports(behaviour, pl_nat_outside(nat)->addresses->len);

    pl_findings_set(findings, PL_AXIS_PORT_ALLOCATION, allocation_words(behaviour, range), NULL);
    if (behaviour->port_allocation != PL_PORT_ALLOCATION_PRESERVE) {
        g_autofree char *text =
            g_strdup_printf("%u-%u", behaviour->port_first, behaviour->port_last);

        pl_findings_set(findings, PL_AXIS_PORT_RANGE, text, NULL);
    }
    if (ports) {
        g_autofree char *text = g_strdup_printf("%u", ports);

        pl_findings_set(findings, PL_AXIS_PORTS, text, NULL);
    }
    if (pl_nat_outside(nat)->addresses->len > 1)
        pl_findings_set(findings, PL_AXIS_POOLING, pl_pooling_name(behaviour->pooling), NULL);
    pl_findings_set(findings, PL_AXIS_HAIRPIN, pl_hairpin_name(behaviour->hairpin), NULL);
}

/* Only where somebody can stand at the end of each. */
static void set_forwards(PlFindings *findings, const PlTopology *topology, const PlNode *nat)
{
    for (unsigned i = 0; i < nat->forwards->len; i++) {
        if (!pl_nat_forwarded(topology, nat, &g_array_index(nat->forwards, PlForward, i)))
            return;
    }
    if (nat->forwards->len)
        pl_findings_set(findings, PL_AXIS_FORWARDS, "ok", NULL);
}

/* Whether own addresses of who has these before it stand on packets that pass the firewall. */
static gboolean is_on_way(const GPtrArray *chain, const PlNode *firewall)
{
    for (unsigned i = 0; i < chain->len; i++) {
        const PlNode *nat = g_ptr_array_index(chain, i);

        if (nat == firewall)
            return TRUE;
        if (nat->behaviour.mapping != PL_MAPPING_NONE)
            return FALSE;
    }
    return FALSE;
}

static gboolean is_seen_through(const PlTopology *topology, const PlNode *firewall,
                                const PlNode *node)
{
    g_autoptr(GPtrArray) chain = pl_topology_chain_of(topology, node, pl_node_family(firewall));

    return is_on_way(chain, firewall);
}

/* What a step gives a NAT on the inside, or a host that comes there. */
static gboolean is_given_inside(const PlTopology *topology, const PlNode *firewall,
                                const PlStep *step)
{
    g_autoptr(GPtrArray) chain = NULL;

    if (step->kind == PL_STEP_NAT_ADDRESS)
        return is_seen_through(topology, firewall, step->node);
    if (step->kind != PL_STEP_HOST_MOVE)
        return FALSE;
    chain = pl_topology_chain_from(topology, step->network);
    return is_on_way(chain, firewall);
}

static void append_seen_through(GString *text, const PlTopology *topology, const PlNode *firewall)
{
    for (unsigned i = 0; i < topology->nodes->len; i++) {
        const PlNode *node = g_ptr_array_index(topology->nodes, i);

        if (!is_seen_through(topology, firewall, node))
            continue;
        for (unsigned k = 0; k < node->attachments->len; k++) {
            const PlAttachment *attachment = g_ptr_array_index(node->attachments, k);

            if (attachment->side != PL_SIDE_INSIDE)
                append_addresses_of(text, attachment, pl_node_family(firewall));
        }
    }
    for (unsigned i = 0; i < topology->steps->len; i++) {
        const PlStep *step = g_ptr_array_index(topology->steps, i);

        if (is_given_inside(topology, firewall, step))
            append_address(text, &step->address);
    }
}

/* A firewall has no external address but those of who is inside: it changes none. Where there is
 * no host to stand on the prober has addresses of its own. */
static void set_untranslated(PlFindings *findings, const PlTopology *topology,
                             const PlNode *firewall)
{
    const PlNetwork *inside = pl_nat_inside(firewall)->network;
    g_autoptr(GString) external = g_string_new(NULL);
    gboolean hosts = FALSE;

    append_seen_through(external, topology, firewall);
    for (unsigned i = 0; i < inside->attachments->len; i++) {
        const PlAttachment *attachment = g_ptr_array_index(inside->attachments, i);

        hosts |= attachment->node->kind == PL_NODE_HOST && !attachment->node->moves;
    }
    for (unsigned i = 2; i < 4 && !hosts; i++)
        append_address(external, &inside->reserved[i]);
    pl_findings_set(findings, PL_AXIS_EXTERNAL, external->str, NULL);
}

void pl_oracle_nat(const PlTopology *topology, const PlNode *nat, PlFindings *ret_findings)
{
    const PlBehaviour *behaviour = &nat->behaviour;

    pl_findings_set(ret_findings, PL_AXIS_TCP, pl_pass_name(PL_PASS_YES), NULL);
    pl_findings_set(ret_findings, PL_AXIS_ICMP, pl_pass_name(behaviour->icmp), NULL);
    if (behaviour->udp == PL_PASS_BLOCKED) {
        set_blocked(ret_findings, nat);
        set_forwards(ret_findings, topology, nat);
        return;
    }
    pl_findings_set(ret_findings, PL_AXIS_UDP, pl_pass_name(PL_PASS_YES), NULL);
    set_class(ret_findings, behaviour->mapping, behaviour->filtering,
              pl_behaviour_is_fickle(behaviour) ? nat : NULL);
    if (behaviour->mapping != PL_MAPPING_NONE) {
        g_autoptr(GString) external = g_string_new(NULL);

        append_addresses(external, pl_nat_outside(nat));
        pl_findings_set(ret_findings, PL_AXIS_EXTERNAL, external->str, NULL);
        set_translation(ret_findings, nat);
        set_forwards(ret_findings, topology, nat);
    } else {
        set_untranslated(ret_findings, topology, nat);
    }
    if (pl_behaviour_shows_unsolicited(behaviour))
        pl_findings_set(ret_findings, PL_AXIS_UNSOLICITED,
                        pl_unsolicited_name(behaviour->unsolicited), NULL);
    if (pl_behaviour_shows_timeout(behaviour)) {
        g_autofree char *timeout = pl_duration_format(behaviour->udp_timeout_ns);

        pl_findings_set(ret_findings, PL_AXIS_UDP_TIMEOUT, timeout, NULL);
        pl_findings_set(ret_findings, PL_AXIS_INBOUND_REFRESH,
                        behaviour->inbound_refresh ? "yes" : "no", NULL);
    }
}
