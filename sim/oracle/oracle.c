/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Theory: what a judge must find, from the behaviours in the topology alone. */
#include "oracle/oracle.h"

#include "topology/units.h"

/* In so few ports a sample of random ones looks like one subscriber's block. */
#define RANDOM_LOOKS_LIKE_BLOCK_MAX 4096

static void append_addresses(GString *text, const PlAttachment *attachment)
{
    for (unsigned i = 0; i < attachment->addresses->len; i++) {
        char buffer[PH_ADDRESS_TEXT_MAX];

        ph_address_format(&g_array_index(attachment->addresses, PhAddress, i), buffer);
        g_string_append_printf(text, "%s%s", text->len ? ", " : "", buffer);
    }
}

/* What no packet can show, since none passes. */
static void set_blocked(PlFindings *findings, const PlNode *nat)
{
    static const PlAxis dark[] = {
        PL_AXIS_EXTERNAL, PL_AXIS_MAPPING,     PL_AXIS_FILTERING,   PL_AXIS_PORT_ALLOCATION,
        PL_AXIS_PORTS,    PL_AXIS_POOLING,     PL_AXIS_PORT_RANGE,  PL_AXIS_HAIRPIN,
        PL_AXIS_FORWARDS, PL_AXIS_UDP_TIMEOUT, PL_AXIS_UNSOLICITED,
    };
    g_autofree char *why = g_strdup_printf("nat %s blocks UDP", nat->name);

    pl_findings_set(findings, PL_AXIS_CLASS, "udp-blocked", NULL);
    pl_findings_set(findings, PL_AXIS_UDP, pl_pass_name(PL_PASS_BLOCKED), NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(dark); i++)
        pl_findings_set(findings, dark[i], NULL, why);
}

void pl_oracle_host(const PlTopology *topology, const PlNode *host, PlFindings *ret_findings)
{
    g_autoptr(GPtrArray) chain = pl_topology_chain(topology, host);
    g_autoptr(GString) external = g_string_new(NULL);
    PlMapping mapping = PL_MAPPING_NONE;
    PlFiltering filtering = PL_FILTERING_ENDPOINT_INDEPENDENT;
    const PlNode *translator = NULL, *blocker = NULL;

    for (unsigned i = 0; i < chain->len; i++) {
        const PlNode *nat = g_ptr_array_index(chain, i);

        mapping = MAX(mapping, nat->behaviour.mapping);
        filtering = MAX(filtering, nat->behaviour.filtering);
        if (nat->behaviour.mapping != PL_MAPPING_NONE)
            translator = nat;
        if (nat->behaviour.udp == PL_PASS_BLOCKED && !blocker)
            blocker = nat;
    }
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
        append_addresses(external, g_ptr_array_index(host->attachments, i));
    pl_findings_set(ret_findings, PL_AXIS_CLASS, pl_class_name(mapping, filtering), NULL);
    pl_findings_set(ret_findings, PL_AXIS_EXTERNAL, external->str, NULL);
    pl_findings_set(ret_findings, PL_AXIS_MAPPING, pl_mapping_name(mapping), NULL);
    pl_findings_set(ret_findings, PL_AXIS_FILTERING, pl_filtering_name(filtering), NULL);
    pl_findings_set(ret_findings, PL_AXIS_UDP, pl_pass_name(PL_PASS_YES), NULL);
}

/* How many ports one inside address can get; 0 when no test would reach the end. */
static unsigned ports_of(const PlNode *nat)
{
    const PlBehaviour *behaviour = &nat->behaviour;
    unsigned range = behaviour->port_last - behaviour->port_first + 1U, ports;

    if (behaviour->port_allocation == PL_PORT_ALLOCATION_PRESERVE)
        return 0;
    ports = behaviour->port_allocation == PL_PORT_ALLOCATION_BLOCK ? behaviour->block_size : range;
    if (behaviour->pooling == PL_POOLING_ARBITRARY)
        ports *= pl_nat_outside(nat)->addresses->len;
    return ports <= PL_ORACLE_PORTS_MAX ? ports : 0;
}

static void set_translation(PlFindings *findings, const PlNode *nat)
{
    const PlBehaviour *behaviour = &nat->behaviour;
    unsigned range = behaviour->port_last - behaviour->port_first + 1U, ports = ports_of(nat);
    PlPortAllocation allocation = behaviour->port_allocation;

    if (allocation == PL_PORT_ALLOCATION_RANDOM && range <= RANDOM_LOOKS_LIKE_BLOCK_MAX)
        allocation = PL_PORT_ALLOCATION_BLOCK;
    pl_findings_set(findings, PL_AXIS_PORT_ALLOCATION, pl_port_allocation_name(allocation), NULL);
    if (allocation != PL_PORT_ALLOCATION_PRESERVE) {
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
    if (nat->forwards->len)
        pl_findings_set(findings, PL_AXIS_FORWARDS, "ok", NULL);
}

/*
 * Where everything is let in, nothing is unsolicited. And what the router takes for itself shows
 * only in a mapping that it spoils, which is another one than before towards the same destination.
 */
static gboolean shows_unsolicited(const PlBehaviour *behaviour)
{
    gboolean lets_in = behaviour->filtering == PL_FILTERING_ENDPOINT_INDEPENDENT;

    if (behaviour->unsolicited == PL_UNSOLICITED_ACCEPT)
        return behaviour->mapping == PL_MAPPING_ENDPOINT_INDEPENDENT && !lets_in;
    return behaviour->mapping != PL_MAPPING_NONE || !lets_in;
}

void pl_oracle_nat(const PlTopology *topology, const PlNode *nat, PlFindings *ret_findings)
{
    const PlBehaviour *behaviour = &nat->behaviour;

    (void)topology; /* a NAT from close by owes nothing to its surroundings */
    pl_findings_set(ret_findings, PL_AXIS_TCP, pl_pass_name(PL_PASS_YES), NULL);
    pl_findings_set(ret_findings, PL_AXIS_ICMP, pl_pass_name(behaviour->icmp), NULL);
    if (behaviour->udp == PL_PASS_BLOCKED) {
        set_blocked(ret_findings, nat);
        return;
    }
    pl_findings_set(ret_findings, PL_AXIS_UDP, pl_pass_name(PL_PASS_YES), NULL);
    pl_findings_set(ret_findings, PL_AXIS_CLASS,
                    pl_class_name(behaviour->mapping, behaviour->filtering), NULL);
    pl_findings_set(ret_findings, PL_AXIS_MAPPING, pl_mapping_name(behaviour->mapping), NULL);
    pl_findings_set(ret_findings, PL_AXIS_FILTERING, pl_filtering_name(behaviour->filtering), NULL);
    if (behaviour->mapping != PL_MAPPING_NONE) {
        g_autoptr(GString) external = g_string_new(NULL);

        append_addresses(external, pl_nat_outside(nat));
        pl_findings_set(ret_findings, PL_AXIS_EXTERNAL, external->str, NULL);
        set_translation(ret_findings, nat);
    }
    if (shows_unsolicited(behaviour))
        pl_findings_set(ret_findings, PL_AXIS_UNSOLICITED,
                        pl_unsolicited_name(behaviour->unsolicited), NULL);
    if (behaviour->udp_timeout_ns <= PL_ORACLE_TIMEOUT_MAX_NS) {
        g_autofree char *timeout = pl_duration_format(behaviour->udp_timeout_ns);

        pl_findings_set(ret_findings, PL_AXIS_UDP_TIMEOUT, timeout, NULL);
    }
}
