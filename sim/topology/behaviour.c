/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a NAT does: a preset, the axes over it, and which of them go together. */
#include <string.h>

#include "topology/build.h"
#include "topology/units.h"
#include "topology/words.h"

/* RFC 4787 §4.3, REQ-5: a mapping must not expire in less than two minutes. */
#define UDP_TIMEOUT_DEFAULT_NS (120 * PL_NS_PER_S)
/* RFC 6056 §3.2: everything but the well-known ports. */
#define PORT_FIRST 1024
#define PORT_LAST  65535
/* Fewer, and one host's tests alone would use them up. */
#define PORTS_MIN 8
/* A NAT's inside is probed from two presences of the lab as well; each is a subscriber. */
#define LAB_SUBSCRIBERS 2

typedef struct Preset {
    const char *name;
    PlMapping mapping;
    PlFiltering filtering;
} Preset;

static const Preset presets[] = {
    {"full-cone", PL_MAPPING_ENDPOINT_INDEPENDENT, PL_FILTERING_ENDPOINT_INDEPENDENT},
    {"restricted", PL_MAPPING_ENDPOINT_INDEPENDENT, PL_FILTERING_ADDRESS_DEPENDENT},
    {"port-restricted", PL_MAPPING_ENDPOINT_INDEPENDENT, PL_FILTERING_ADDRESS_AND_PORT_DEPENDENT},
    {"symmetric", PL_MAPPING_ADDRESS_AND_PORT_DEPENDENT, PL_FILTERING_ADDRESS_AND_PORT_DEPENDENT},
    {"firewall", PL_MAPPING_NONE, PL_FILTERING_ADDRESS_AND_PORT_DEPENDENT},
};

static gboolean read_preset(PlBehaviour *behaviour, const PlIni *ini, const char *group,
                            GError **error)
{
    const char *names[G_N_ELEMENTS(presets)];
    const char *text = pl_ini_get(ini, group, "behaviour");
    unsigned which = 0;

    for (gsize i = 0; i < G_N_ELEMENTS(presets); i++)
        names[i] = presets[i].name;
    if (!text && (!pl_ini_get(ini, group, "mapping") || !pl_ini_get(ini, group, "filtering"))) {
        g_autofree char *expected = pl_expected_words("", names, G_N_ELEMENTS(presets));

        return pl_ini_fail(ini, group, "behaviour", error,
                           "missing, and so is mapping or filtering %s", expected);
    }
    if (!pl_ini_word(ini, group, "behaviour", names, G_N_ELEMENTS(presets), &which, error))
        return FALSE;
    behaviour->mapping = presets[which].mapping;
    behaviour->filtering = presets[which].filtering;
    return TRUE;
}

/* Reads a word into an axis's own enum. */
#define READ_WORD(axis, key, words)                                                                \
    do {                                                                                           \
        unsigned word = (unsigned)(axis);                                                          \
        if (!pl_ini_word(ini, group, key, words, G_N_ELEMENTS(words), &word, error))               \
            return FALSE;                                                                          \
        (axis) = word;                                                                             \
    } while (0)

static gboolean read_ports(PlBehaviour *behaviour, const PlIni *ini, const char *group,
                           GError **error)
{
    const char *range = pl_ini_get(ini, group, "port-range");
    unsigned ports;

    behaviour->port_first = PORT_FIRST;
    behaviour->port_last = PORT_LAST;
    if (range && !pl_port_range_parse(range, &behaviour->port_first, &behaviour->port_last))
        return pl_ini_fail(ini, group, "port-range", error,
                           "bad range \"%s\" (expected FIRST-LAST, such as 20000-29999)", range);
    ports = behaviour->port_last - behaviour->port_first + 1U;
    if (ports < PORTS_MIN)
        return pl_ini_fail(ini, group, "port-range", error, "%u ports (expected at least %d)",
                           ports, PORTS_MIN);
    return pl_ini_number(ini, group, "block-size", PORTS_MIN, ports, &behaviour->block_size, error);
}

/* Keys that mean nothing where nothing is translated. */
static gboolean check_untranslated(const PlBehaviour *behaviour, const PlIni *ini,
                                   const char *group, GError **error)
{
    static const char *const keys[] = {"port-allocation", "port-range", "block-size",
                                       "pooling",         "hairpin",    "forward"};

    for (gsize i = 0; i < G_N_ELEMENTS(keys); i++)
        if (pl_ini_get(ini, group, keys[i]))
            return pl_ini_fail(ini, group, keys[i], error,
                               "nothing is translated here (expected this only with a mapping)");
    if (behaviour->unsolicited == PL_UNSOLICITED_ACCEPT)
        return pl_ini_fail(ini, group, "unsolicited", error,
                           "what comes from outside is not for the firewall itself (expected drop "
                           "or reject)");
    return TRUE;
}

static gboolean check_allocation(const PlBehaviour *behaviour, const PlIni *ini, const char *group,
                                 GError **error)
{
    gboolean block = behaviour->port_allocation == PL_PORT_ALLOCATION_BLOCK;

    if (behaviour->port_allocation == PL_PORT_ALLOCATION_PRESERVE) {
        if (behaviour->mapping != PL_MAPPING_ENDPOINT_INDEPENDENT)
            return pl_ini_fail(ini, group, "port-allocation", error,
                               "a preserved port is the same for every destination, the mapping is "
                               "not (expected sequential, random or block with mapping = %s)",
                               pl_mapping_name(behaviour->mapping));
        if (pl_ini_get(ini, group, "port-range"))
            return pl_ini_fail(ini, group, "port-range", error,
                               "ports are preserved, wherever they lie (expected this only with "
                               "port-allocation = sequential, random or block)");
    }
    if (block && behaviour->block_size == 0)
        return pl_ini_fail(ini, group, "block-size", error,
                           "missing (expected the ports of one subscriber, for port-allocation = "
                           "block)");
    if (block && behaviour->pooling == PL_POOLING_ARBITRARY)
        return pl_ini_fail(ini, group, "pooling", error,
                           "a subscriber's block is of one address (expected paired with "
                           "port-allocation = block)");
    if (!block && behaviour->block_size != 0)
        return pl_ini_fail(ini, group, "block-size", error,
                           "there are no blocks (expected this only with port-allocation = block)");
    return TRUE;
}

gboolean pl_build_behaviour(PlNode *nat, const PlIni *ini, GError **error)
{
    g_autofree char *group = pl_build_group(nat);
    PlBehaviour *behaviour = &nat->behaviour;
    const char *rules = pl_ini_get(ini, group, "rules");

    if (!read_preset(behaviour, ini, group, error))
        return FALSE;
    READ_WORD(behaviour->mapping, "mapping", pl_mapping_words);
    READ_WORD(behaviour->filtering, "filtering", pl_filtering_words);
    /* Home routers keep the port as long as they can; one that maps by destination cannot. */
    behaviour->port_allocation = behaviour->mapping <= PL_MAPPING_ENDPOINT_INDEPENDENT
                                     ? PL_PORT_ALLOCATION_PRESERVE
                                     : PL_PORT_ALLOCATION_RANDOM;
    READ_WORD(behaviour->port_allocation, "port-allocation", pl_port_allocation_words);
    READ_WORD(behaviour->pooling, "pooling", pl_pooling_words);
    READ_WORD(behaviour->hairpin, "hairpin", pl_hairpin_words);
    READ_WORD(behaviour->unsolicited, "unsolicited", pl_unsolicited_words);
    READ_WORD(behaviour->udp, "udp", pl_pass_words);
    READ_WORD(behaviour->icmp, "icmp", pl_pass_words);
    behaviour->udp_timeout_ns = UDP_TIMEOUT_DEFAULT_NS;
    behaviour->inbound_refresh = TRUE;
    if (!pl_ini_duration(ini, group, "udp-timeout", PL_NS_PER_S, 24 * 3600 * PL_NS_PER_S,
                         &behaviour->udp_timeout_ns, error) ||
        !pl_ini_yes(ini, group, "inbound-refresh", &behaviour->inbound_refresh, error))
        return FALSE;
    if (rules && !*rules)
        return pl_ini_fail(ini, group, "rules", error, "empty (expected the path of a file)");
    if (rules) {
        g_autofree char *directory = g_path_get_dirname(pl_ini_path(ini));

        nat->rules =
            g_path_is_absolute(rules) ? g_strdup(rules) : g_build_filename(directory, rules, NULL);
    }
    if (!pl_build_quirks(behaviour, ini, group, error))
        return FALSE;
    if (behaviour->mapping == PL_MAPPING_NONE)
        return check_untranslated(behaviour, ini, group, error) &&
               read_ports(behaviour, ini, group, error);
    return read_ports(behaviour, ini, group, error) &&
           check_allocation(behaviour, ini, group, error);
}

/* Where "alice" is, as seen from the inside of a NAT; FALSE when it is not there. */
static gboolean inside_address(const PlTopology *topology, const PlGraph *graph, const PlNode *nat,
                               const char *name, PhAddress *ret_address)
{
    const PlNode *node = pl_topology_node(topology, name);
    unsigned zone = graph->zone[pl_nat_inside(nat)->network->index];

    for (unsigned i = 0; node && i < node->attachments->len; i++) {
        const PlAttachment *attachment = g_ptr_array_index(node->attachments, i);

        if (attachment->side != PL_SIDE_INSIDE && graph->zone[attachment->network->index] == zone) {
            *ret_address = g_array_index(attachment->addresses, PhAddress, 0);
            return TRUE;
        }
    }
    return FALSE;
}

/* Whether somebody inside has this address. */
static gboolean is_inside(const PlTopology *topology, const PlGraph *graph, const PlNode *nat,
                          const PhAddress *address)
{
    for (unsigned i = 0; i < topology->nodes->len; i++) {
        const PlNode *node = g_ptr_array_index(topology->nodes, i);

        for (unsigned k = 0; k < node->attachments->len; k++) {
            const PlAttachment *attachment = g_ptr_array_index(node->attachments, k);

            if (attachment->side == PL_SIDE_INSIDE ||
                graph->zone[attachment->network->index] !=
                    graph->zone[pl_nat_inside(nat)->network->index])
                continue;
            for (unsigned a = 0; a < attachment->addresses->len; a++)
                if (ph_address_equal_host(&g_array_index(attachment->addresses, PhAddress, a),
                                          address))
                    return TRUE;
        }
    }
    return FALSE;
}

/* "udp 5000 -> 192.168.1.10:5000" or "tcp 80 -> alice:8080". */
static gboolean read_forward(const PlTopology *topology, const PlGraph *graph, const PlIni *ini,
                             const char *group, PlNode *nat, const char *item, GError **error)
{
    g_auto(GStrv) words = g_strsplit_set(item, " \t", -1);
    g_autoptr(GPtrArray) parts = g_ptr_array_new();
    PlForward forward = {0};
    char *colon;

    for (unsigned i = 0; words[i]; i++)
        if (*words[i])
            g_ptr_array_add(parts, words[i]);
    if (parts->len == 4 && strcmp(parts->pdata[0], "udp") == 0)
        forward.protocol = PL_PROTOCOL_UDP;
    else if (parts->len == 4 && strcmp(parts->pdata[0], "tcp") == 0)
        forward.protocol = PL_PROTOCOL_TCP;
    colon = parts->len == 4 ? strrchr(parts->pdata[3], ':') : NULL;
    if (!forward.protocol || !colon || strcmp(parts->pdata[2], "->") != 0 ||
        !pl_port_parse(parts->pdata[1], &forward.outside_port))
        return pl_ini_fail(ini, group, "forward", error,
                           "bad forward \"%s\" (expected udp|tcp PORT -> ADDRESS|NAME:PORT)", item);
    *colon = '\0';
    if (strchr(parts->pdata[3], '.')
            ? !ph_address_parse(parts->pdata[3], &forward.inside) ||
                  !is_inside(topology, graph, nat, &forward.inside)
            : !inside_address(topology, graph, nat, parts->pdata[3], &forward.inside))
        return pl_ini_fail(ini, group, "forward", error,
                           "nobody inside is \"%s\" (expected the name or address of a node that "
                           "this NAT is the way out for)",
                           (const char *)parts->pdata[3]);
    if (!pl_port_parse(colon + 1, &forward.inside.port))
        return pl_ini_fail(ini, group, "forward", error, "bad port \"%s\" (expected 1 to 65535)",
                           colon + 1);
    if (forward.protocol == PL_PROTOCOL_UDP && nat->behaviour.udp == PL_PASS_BLOCKED)
        return pl_ini_fail(ini, group, "forward", error,
                           "this NAT blocks UDP (expected no forward of UDP)");
    for (unsigned i = 0; i < nat->forwards->len; i++) {
        const PlForward *other = &g_array_index(nat->forwards, PlForward, i);

        if (other->protocol == forward.protocol && other->outside_port == forward.outside_port)
            return pl_ini_fail(ini, group, "forward", error,
                               "%s port %u is forwarded twice (expected once)",
                               (const char *)parts->pdata[0], forward.outside_port);
    }
    g_array_append_val(nat->forwards, forward);
    return TRUE;
}

/* Everybody who needs a block of ports: the addresses inside, those of guests among them. */
static unsigned count_subscribers(const PlTopology *topology, const PlGraph *graph,
                                  const PlNode *nat)
{
    unsigned zone = graph->zone[pl_nat_inside(nat)->network->index], n = LAB_SUBSCRIBERS;

    for (unsigned i = 0; i < topology->nodes->len; i++) {
        const PlNode *node = g_ptr_array_index(topology->nodes, i);

        for (unsigned k = 0; k < node->attachments->len; k++) {
            const PlAttachment *attachment = g_ptr_array_index(node->attachments, k);

            if (attachment->side != PL_SIDE_INSIDE &&
                graph->zone[attachment->network->index] == zone)
                n += attachment->addresses->len;
        }
    }
    for (unsigned i = 0; i < topology->steps->len; i++) {
        const PlStep *step = g_ptr_array_index(topology->steps, i);

        if (step->kind == PL_STEP_HOST_MOVE && graph->zone[step->network->index] == zone)
            n++;
    }
    return n;
}

static gboolean check_pool(const PlTopology *topology, const PlGraph *graph, const PlIni *ini,
                           const char *group, const PlNode *nat, GError **error)
{
    const PlBehaviour *behaviour = &nat->behaviour;
    unsigned n = pl_nat_outside(nat)->addresses->len;
    unsigned ports = behaviour->port_last - behaviour->port_first + 1U;
    unsigned subscribers = count_subscribers(topology, graph, nat);

    if (n > 1 && behaviour->mapping == PL_MAPPING_NONE)
        return pl_ini_fail(ini, group, "addresses", error,
                           "nothing is translated to them (expected one address)");
    if (n == 1 && behaviour->pooling == PL_POOLING_ARBITRARY)
        return pl_ini_fail(ini, group, "pooling", error,
                           "there is one external address only (expected addresses = several)");
    if (behaviour->port_allocation == PL_PORT_ALLOCATION_BLOCK &&
        (uint64_t)(ports / behaviour->block_size) * n < subscribers)
        return pl_ini_fail(ini, group, "block-size", error,
                           "%u blocks are too few for %u subscribers, the lab's two among them "
                           "(expected smaller blocks, a larger port-range or more addresses)",
                           ports / behaviour->block_size * n, subscribers);
    return TRUE;
}

gboolean pl_build_nats(PlTopology *topology, const PlIni *ini, GError **error)
{
    g_auto(PlGraph) graph = {0};

    pl_graph_init(&graph, topology);
    for (unsigned i = 0; i < topology->nodes->len; i++) {
        PlNode *node = g_ptr_array_index(topology->nodes, i);
        g_autofree char *group = pl_build_group(node);
        g_auto(GStrv) forwards = NULL;

        if (node->kind != PL_NODE_NAT)
            continue;
        if (!check_pool(topology, &graph, ini, group, node, error) ||
            !pl_ini_list(ini, group, "forward", &forwards, error))
            return FALSE;
        if (forwards && g_strv_length(forwards) > PL_FORWARDS_MAX)
            return pl_ini_fail(ini, group, "forward", error,
                               "too many forwards (expected at most %d)", PL_FORWARDS_MAX);
        for (unsigned k = 0; forwards && forwards[k]; k++)
            if (!read_forward(topology, &graph, ini, group, node, forwards[k], error))
                return FALSE;
    }
    return TRUE;
}
