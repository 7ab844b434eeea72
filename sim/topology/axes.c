/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The words of NAT behaviour, and what somebody found out about it. */
#include "topology/axes.h"

#include <assert.h>
#include <string.h>

#include "topology/units.h"
#include "topology/words.h"

const char *const pl_mapping_words[PL_MAPPING_N] = {
    [PL_MAPPING_NONE] = "none",
    [PL_MAPPING_ENDPOINT_INDEPENDENT] = "endpoint-independent",
    [PL_MAPPING_ADDRESS_DEPENDENT] = "address-dependent",
    [PL_MAPPING_ADDRESS_AND_PORT_DEPENDENT] = "address-and-port-dependent",
};

const char *const pl_filtering_words[PL_FILTERING_N] = {
    [PL_FILTERING_ENDPOINT_INDEPENDENT] = "endpoint-independent",
    [PL_FILTERING_ADDRESS_DEPENDENT] = "address-dependent",
    [PL_FILTERING_ADDRESS_AND_PORT_DEPENDENT] = "address-and-port-dependent",
};

const char *const pl_port_allocation_words[PL_PORT_ALLOCATION_N] = {
    [PL_PORT_ALLOCATION_PRESERVE] = "preserve",
    [PL_PORT_ALLOCATION_SEQUENTIAL] = "sequential",
    [PL_PORT_ALLOCATION_RANDOM] = "random",
    [PL_PORT_ALLOCATION_BLOCK] = "block",
};

const char *const pl_pooling_words[PL_POOLING_N] = {
    [PL_POOLING_PAIRED] = "paired",
    [PL_POOLING_ARBITRARY] = "arbitrary",
};

const char *const pl_hairpin_words[PL_HAIRPIN_N] = {
    [PL_HAIRPIN_NONE] = "none",
    [PL_HAIRPIN_INTERNAL_SOURCE] = "internal-source",
    [PL_HAIRPIN_EXTERNAL_SOURCE] = "external-source",
};

const char *const pl_unsolicited_words[PL_UNSOLICITED_N] = {
    [PL_UNSOLICITED_DROP] = "drop",
    [PL_UNSOLICITED_ACCEPT] = "accept",
    [PL_UNSOLICITED_REJECT] = "reject",
};

const char *const pl_pass_words[PL_PASS_N] = {
    [PL_PASS_YES] = "yes",
    [PL_PASS_BLOCKED] = "blocked",
};

const char *const pl_class_words[PL_CLASS_WORDS_N] = {
    "direct",          "firewall",  "full-cone",   "restricted",
    "port-restricted", "symmetric", "udp-blocked", "unknown",
};

static const char *const axis_words[PL_AXIS_N] = {
    [PL_AXIS_CLASS] = "class",
    [PL_AXIS_EXTERNAL] = "external",
    [PL_AXIS_MAPPING] = "mapping",
    [PL_AXIS_FILTERING] = "filtering",
    [PL_AXIS_PORT_ALLOCATION] = "port-allocation",
    [PL_AXIS_PORT_RANGE] = "port-range",
    [PL_AXIS_PORTS] = "ports",
    [PL_AXIS_POOLING] = "pooling",
    [PL_AXIS_HAIRPIN] = "hairpin",
    [PL_AXIS_UDP_TIMEOUT] = "udp-timeout",
    [PL_AXIS_INBOUND_REFRESH] = "inbound-refresh",
    [PL_AXIS_UNSOLICITED] = "unsolicited",
    [PL_AXIS_UDP] = "udp",
    [PL_AXIS_TCP] = "tcp",
    [PL_AXIS_ICMP] = "icmp",
    [PL_AXIS_FORWARDS] = "forwards",
};

const char *pl_axis_name(PlAxis axis)
{
    assert(axis < PL_AXIS_N);
    return axis_words[axis];
}

gboolean pl_axis_from_name(const char *name, PlAxis *ret_axis)
{
    for (unsigned i = 0; i < PL_AXIS_N; i++) {
        if (strcmp(name, axis_words[i]) == 0) {
            *ret_axis = (PlAxis)i;
            return TRUE;
        }
    }
    return FALSE;
}

unsigned pl_behaviour_ports(const PlBehaviour *behaviour, unsigned n_external)
{
    unsigned ports = behaviour->port_last - behaviour->port_first + 1U;

    if (behaviour->mapping == PL_MAPPING_NONE || behaviour->udp == PL_PASS_BLOCKED ||
        behaviour->port_allocation == PL_PORT_ALLOCATION_PRESERVE)
        return 0;
    if (behaviour->port_allocation == PL_PORT_ALLOCATION_BLOCK)
        ports = behaviour->block_size;
    else if (behaviour->pooling == PL_POOLING_ARBITRARY)
        ports *= n_external;
    return ports <= PL_ORACLE_PORTS_MAX ? ports : 0;
}

/* A run of the prober's makes fewer mappings of one inside address. */
#define SYMMETRIC_LATE 32

gboolean pl_behaviour_is_fickle(const PlBehaviour *behaviour)
{
    return behaviour->quirks.symmetric_after > 0 &&
           behaviour->quirks.symmetric_after < SYMMETRIC_LATE;
}

gboolean pl_behaviour_shows_timeout(const PlBehaviour *behaviour)
{
    /* Where everything comes in, nothing is seen to expire. */
    return behaviour->udp == PL_PASS_YES && behaviour->udp_timeout_ns > 0 &&
           behaviour->udp_timeout_ns <= PL_ORACLE_TIMEOUT_MAX_NS &&
           (behaviour->mapping != PL_MAPPING_NONE ||
            behaviour->filtering != PL_FILTERING_ENDPOINT_INDEPENDENT);
}

gboolean pl_shows_poison(PlMapping mapping, PlFiltering filtering, gboolean preserves)
{
    return mapping == PL_MAPPING_ENDPOINT_INDEPENDENT &&
           (preserves || filtering == PL_FILTERING_ADDRESS_AND_PORT_DEPENDENT);
}

gboolean pl_behaviour_shows_unsolicited(const PlBehaviour *behaviour)
{
    if (behaviour->udp == PL_PASS_BLOCKED)
        return FALSE;
    /* A firewall takes nothing in: what it does not reject, it drops. Without one, all comes in. */
    if (behaviour->mapping == PL_MAPPING_NONE)
        return behaviour->filtering != PL_FILTERING_ENDPOINT_INDEPENDENT;
    return behaviour->unsolicited == PL_UNSOLICITED_REJECT ||
           (!pl_behaviour_is_fickle(behaviour) &&
            pl_shows_poison(behaviour->mapping, behaviour->filtering,
                            behaviour->port_allocation == PL_PORT_ALLOCATION_PRESERVE));
}

void pl_findings_clear(PlFindings *findings)
{
    for (unsigned i = 0; i < PL_AXIS_N; i++) {
        g_clear_pointer(&findings->value[i], g_free);
        g_clear_pointer(&findings->why[i], g_free);
    }
}

void pl_findings_set(PlFindings *findings, PlAxis axis, const char *value, const char *why)
{
    /* Copied before the old ones go: they may be what is being set. */
    char *new_value = g_strdup(value);
    char *new_why = g_strdup(why);

    assert(axis < PL_AXIS_N);
    g_free(findings->value[axis]);
    g_free(findings->why[axis]);
    findings->value[axis] = new_value;
    findings->why[axis] = new_why;
}

/* All that was found is among what was expected. */
static gboolean lists_agree(const char *expected, const char *found)
{
    g_auto(GStrv) allowed = pl_list_split(expected);
    g_auto(GStrv) seen = pl_list_split(found);

    for (unsigned i = 0; seen[i]; i++)
        if (!g_strv_contains((const char *const *)allowed, seen[i]))
            return FALSE;
    return seen[0] != NULL;
}

/* What a judge saw of a range are the ports that were used: they lie within it. */
static gboolean ranges_agree(const char *expected, const char *found)
{
    uint16_t first, last, seen_first, seen_last;

    return pl_port_range_parse(expected, &first, &last) &&
           pl_port_range_parse(found, &seen_first, &seen_last) && seen_first >= first &&
           seen_last <= last;
}

/* A timeout is measured from outside, by waiting: within a second or a tenth it is the same. */
static gboolean timeouts_agree(const char *expected, const char *found)
{
    uint64_t a, b, difference;

    if (!pl_duration_parse(expected, &a) || !pl_duration_parse(found, &b))
        return strcmp(expected, found) == 0;
    difference = a > b ? a - b : b - a;
    return difference <= MAX(PL_NS_PER_S, a / 10);
}

gboolean pl_axis_agrees(PlAxis axis, const char *expected, const char *found)
{
    if (axis == PL_AXIS_EXTERNAL || axis == PL_AXIS_PORT_ALLOCATION)
        return lists_agree(expected, found);
    if (axis == PL_AXIS_PORT_RANGE)
        return ranges_agree(expected, found);
    if (axis == PL_AXIS_UDP_TIMEOUT)
        return timeouts_agree(expected, found);
    return strcmp(expected, found) == 0;
}

const char *pl_mapping_name(PlMapping mapping)
{
    assert(mapping < PL_MAPPING_N);
    return pl_mapping_words[mapping];
}

const char *pl_filtering_name(PlFiltering filtering)
{
    assert(filtering < PL_FILTERING_N);
    return pl_filtering_words[filtering];
}

const char *pl_port_allocation_name(PlPortAllocation allocation)
{
    assert(allocation < PL_PORT_ALLOCATION_N);
    return pl_port_allocation_words[allocation];
}

const char *pl_pooling_name(PlPooling pooling)
{
    assert(pooling < PL_POOLING_N);
    return pl_pooling_words[pooling];
}

const char *pl_hairpin_name(PlHairpin hairpin)
{
    assert(hairpin < PL_HAIRPIN_N);
    return pl_hairpin_words[hairpin];
}

const char *pl_unsolicited_name(PlUnsolicited unsolicited)
{
    assert(unsolicited < PL_UNSOLICITED_N);
    return pl_unsolicited_words[unsolicited];
}

const char *pl_pass_name(PlPass pass)
{
    assert(pass < PL_PASS_N);
    return pl_pass_words[pass];
}

const char *pl_class_name(PlMapping mapping, PlFiltering filtering)
{
    static const char *const cones[PL_FILTERING_N] = {
        [PL_FILTERING_ENDPOINT_INDEPENDENT] = "full-cone",
        [PL_FILTERING_ADDRESS_DEPENDENT] = "restricted",
        [PL_FILTERING_ADDRESS_AND_PORT_DEPENDENT] = "port-restricted",
    };

    assert(filtering < PL_FILTERING_N);
    if (mapping == PL_MAPPING_NONE)
        return filtering == PL_FILTERING_ENDPOINT_INDEPENDENT ? "direct" : "firewall";
    return mapping == PL_MAPPING_ENDPOINT_INDEPENDENT ? cones[filtering] : "symmetric";
}
