/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A NAT as nftables text. What a packet passes:
 *
 *   c_pre      (nat, prerouting)     static forwards; what the filtering lets in finds its mapping
 *   c_forward  (filter, forward)     what may pass at all
 *   c_allocate (filter, forward)     a slot of external ports for a new mapping (see pool.h)
 *   c_post     (nat, postrouting)    translation
 *   c_learn    (filter, postrouting) remembers the mapping that came out, by its external endpoint
 *   c_input    (filter, input)       unsolicited packets
 *
 * conntrack alone is endpoint-independent as far as it goes: a flow takes the external port that
 * another flow from the same inside endpoint has, if that is free towards the new destination. So
 * the slots only have to be the same for one mapping and different for two. But conntrack knows
 * only flows that began inside. Where others keep a mapping alive, too, its endpoint is remembered:
 *
 *   @rev      external endpoint -> inside endpoint
 *   @forward  mapping           -> external endpoint
 *   @origin   external endpoint -> the destination that the mapping is for, when it depends on that
 *
 * Everything learnt expires like conntrack's own entries and, like those, is refreshed by packets
 * of either direction.
 */
#include <string.h>

#include "kernel/rules_private.h"
#include "topology/random.h"

/* conntrack's own table is no larger on a small router. */
#define TABLE_SIZE 16384

void pl_rules_line(Rules *rules, const char *format, ...)
{
    va_list arguments;

    g_string_append(rules->text, "    ");
    va_start(arguments, format);
    g_string_append_vprintf(rules->text, format, arguments);
    va_end(arguments);
    g_string_append_c(rules->text, '\n');
}

void pl_rules_chain(Rules *rules, const char *name, const char *hook)
{
    g_string_append_printf(rules->text, "  chain %s {\n", name);
    if (hook)
        pl_rules_line(rules, "type %s", hook);
}

void pl_rules_end(Rules *rules)
{
    g_string_append(rules->text, "  }\n");
}

void pl_rules_append_address(GString *text, const PhAddress *address)
{
    PhAddress host = *address;
    char buffer[PH_ADDRESS_TEXT_MAX];

    host.port = 0;
    g_string_append(text, ph_address_format(&host, buffer));
}

char *pl_rules_address_set(const GArray *addresses)
{
    g_autoptr(GString) text = g_string_new("{");

    for (unsigned i = 0; i < addresses->len; i++) {
        g_string_append(text, i ? ", " : " ");
        pl_rules_append_address(text, &g_array_index(addresses, PhAddress, i));
    }
    g_string_append(text, " }");
    return g_string_free(g_steal_pointer(&text), FALSE);
}

const char *pl_rules_mapping_key(const Rules *rules, gboolean out)
{
    static const char *const keys[PL_MAPPING_N][2] = {
        [PL_MAPPING_ENDPOINT_INDEPENDENT] = {"ip daddr . udp dport", "ip saddr . udp sport"},
        [PL_MAPPING_ADDRESS_DEPENDENT] = {"ip daddr . udp dport . ip saddr",
                                          "ip saddr . udp sport . ip daddr"},
        [PL_MAPPING_ADDRESS_AND_PORT_DEPENDENT] = {"ip daddr . udp dport . ip saddr . udp sport",
                                                   "ip saddr . udp sport . ip daddr . udp dport"},
    };

    return keys[rules->behaviour->mapping][out ? 1 : 0];
}

/* The key of @forward: what the mapping's destination is (see @origin) fits in a mark. */
static const char *owner_type(const Rules *rules)
{
    return rules->behaviour->mapping == PL_MAPPING_ADDRESS_DEPENDENT
               ? "ipv4_addr . inet_service . mark"
               : "ipv4_addr . inet_service";
}

static const char *mapping_type(const Rules *rules)
{
    static const char *const types[PL_MAPPING_N] = {
        [PL_MAPPING_ENDPOINT_INDEPENDENT] = "ipv4_addr . inet_service",
        [PL_MAPPING_ADDRESS_DEPENDENT] = "ipv4_addr . inet_service . ipv4_addr",
        [PL_MAPPING_ADDRESS_AND_PORT_DEPENDENT] =
            "ipv4_addr . inet_service . ipv4_addr . inet_service",
    };

    return types[rules->behaviour->mapping];
}

static void table(Rules *rules, const char *kind, const char *name, const char *type)
{
    g_string_append_printf(rules->text,
                           "  %s %s { type %s; flags dynamic,timeout; timeout %" G_GUINT64_FORMAT
                           "s; size %u; }\n",
                           kind, name, type, rules->timeout_s, TABLE_SIZE);
}

static void write_tables(Rules *rules)
{
    g_autofree char *to_mark = NULL;

    if (rules->learns)
        table(rules, "map", "rev", "ipv4_addr . inet_service : ipv4_addr . inet_service");
    if (rules->contacts) {
        g_autofree char *type =
            g_strdup_printf("%s . inet_service . %s", rules->address_type, rules->address_type);

        table(rules, "set", "contacted", type);
    }
    if (rules->forwards) {
        g_autofree char *type = g_strconcat(owner_type(rules), " : ipv4_addr . inet_service", NULL);

        table(rules, "map", "forward", type);
        if (rules->behaviour->mapping == PL_MAPPING_ADDRESS_DEPENDENT)
            table(rules, "map", "origin", "ipv4_addr . inet_service : mark");
        if (rules->behaviour->unsolicited == PL_UNSOLICITED_ACCEPT)
            table(rules, "set", "uninvited", "ipv4_addr . inet_service");
    }
    if (!rules->slots)
        return;
    to_mark = g_strconcat(mapping_type(rules), " : mark", NULL);
    table(rules, "map", "slot", to_mark);
    if (rules->behaviour->port_allocation == PL_PORT_ALLOCATION_BLOCK)
        table(rules, "set", "busy", "mark");
    if (rules->preserves) {
        table(rules, "set", "mine", mapping_type(rules));
        table(rules, "set", "taken", "inet_service");
    }
}

static void write_pre(Rules *rules, const char *outside)
{
    gboolean hairpin = rules->behaviour->hairpin != PL_HAIRPIN_NONE;
    gboolean translates = rules->behaviour->mapping != PL_MAPPING_NONE;

    if (rules->nat->forwards->len == 0 && !rules->learns)
        return;
    pl_rules_chain(rules, "c_pre", "nat hook prerouting priority dstnat");
    for (unsigned i = 0; i < rules->nat->forwards->len; i++) {
        const PlForward *forward = &g_array_index(rules->nat->forwards, PlForward, i);
        char to[PH_ADDRESS_TEXT_MAX];

        pl_rules_line(rules, "%sip daddr %s %s dport %u dnat to %s",
                      hairpin ? "" : "iifname \"" PL_RULES_OUTSIDE "\" ", outside,
                      forward->protocol == PL_PROTOCOL_UDP ? "udp" : "tcp", forward->outside_port,
                      ph_address_format(&forward->inside, to));
    }
    if (rules->learns && rules->contacts && translates)
        pl_rules_line(rules,
                      "iifname \"" PL_RULES_OUTSIDE "\" ip daddr . udp dport . ip saddr @contacted "
                      "dnat ip to ip daddr . udp dport map @rev");
    else if (rules->learns && rules->behaviour->filtering == PL_FILTERING_ENDPOINT_INDEPENDENT)
        pl_rules_line(rules, "iifname \"" PL_RULES_OUTSIDE "\" meta l4proto udp "
                             "dnat ip to ip daddr . udp dport map @rev");
    if (rules->learns && hairpin)
        pl_rules_line(rules, "iifname \"" PL_RULES_INSIDE "\" meta l4proto udp "
                             "dnat ip to ip daddr . udp dport map @rev");
    pl_rules_end(rules);
}

static void write_refusal(Rules *rules)
{
    if (rules->behaviour->unsolicited == PL_UNSOLICITED_REJECT) {
        pl_rules_line(rules,
                      "iifname \"" PL_RULES_OUTSIDE "\" meta l4proto udp ct state new reject");
        pl_rules_line(rules, "iifname \"" PL_RULES_OUTSIDE
                             "\" meta l4proto tcp ct state new reject with tcp reset");
    }
    pl_rules_line(rules, "iifname \"" PL_RULES_OUTSIDE "\" ct state new drop");
}

static void write_forward(Rules *rules)
{
    const PlBehaviour *behaviour = rules->behaviour;
    gboolean firewall = behaviour->mapping == PL_MAPPING_NONE;
    const char *ip = rules->ip;

    pl_rules_chain(rules, "c_forward", "filter hook forward priority filter");
    if (behaviour->udp == PL_PASS_BLOCKED)
        pl_rules_line(rules, "meta l4proto udp drop");
    if (behaviour->icmp == PL_PASS_BLOCKED)
        pl_rules_line(rules, "meta l4proto %s drop", strcmp(ip, "ip6") == 0 ? "icmpv6" : "icmp");
    if (behaviour->hairpin == PL_HAIRPIN_EXTERNAL_SOURCE)
        pl_rules_line(rules, "iifname \"" PL_RULES_INSIDE "\" oifname \"" PL_RULES_INSIDE
                             "\" ct state new ct status dnat ct mark set 1");
    if (firewall && rules->contacts) {
        pl_rules_line(rules,
                      "iifname \"" PL_RULES_INSIDE "\" meta l4proto udp "
                      "update @contacted { %s saddr . udp sport . %s daddr }",
                      ip, ip);
        pl_rules_line(rules,
                      "iifname \"" PL_RULES_OUTSIDE "\" %s daddr . udp dport . %s saddr @contacted "
                      "update @contacted { %s daddr . udp dport . %s saddr } accept",
                      ip, ip, ip, ip);
    }
    pl_rules_line(rules, "ct state established,related accept");
    if (!firewall || rules->nat->forwards->len > 0)
        pl_rules_line(rules, "ct status dnat accept");
    if (!firewall || behaviour->filtering != PL_FILTERING_ENDPOINT_INDEPENDENT)
        write_refusal(rules);
    pl_rules_end(rules);
}

static void write_input(Rules *rules, const char *outside)
{
    const PlBehaviour *behaviour = rules->behaviour;

    pl_rules_chain(rules, "c_input", "filter hook input priority filter");
    /* What was to be looped back and is not goes nowhere. */
    pl_rules_line(rules, "iifname \"" PL_RULES_INSIDE "\" %s daddr %s meta l4proto udp drop",
                  rules->ip, outside);
    if (behaviour->unsolicited != PL_UNSOLICITED_ACCEPT)
        write_refusal(rules);
    else if (rules->forwards)
        pl_rules_line(rules, "iifname \"" PL_RULES_OUTSIDE "\" meta l4proto udp "
                             "update @uninvited { ip saddr . udp sport }");
    pl_rules_end(rules);
    if (behaviour->unsolicited != PL_UNSOLICITED_ACCEPT)
        return;
    /* Taken in as if something listened there: otherwise it would look like `reject`. */
    pl_rules_chain(rules, "c_output", "filter hook output priority filter");
    pl_rules_line(rules, "oifname \"" PL_RULES_OUTSIDE "\" icmp type destination-unreachable drop");
    pl_rules_end(rules);
}

static gboolean read_user_rules(const PlTopology *topology, const PlNode *nat,
                                const GArray *outside, uint32_t seed, char **ret_text,
                                GError **error)
{
    g_autofree char *contents = NULL, *all = pl_rules_address_set(outside);
    g_autofree char *lan = pl_prefix_format(&pl_nat_inside(nat)->network->subnet);
    g_autofree char *number = g_strdup_printf("0x%08x", seed);
    g_autoptr(GError) cause = NULL;
    g_autoptr(GString) text = g_string_new(NULL);
    gsize length;

    if (!g_file_get_contents(nat->rules, &contents, &length, &cause)) {
        g_set_error(error, PL_ERROR, PL_ERROR_INPUT, "%s: [nat %s] rules: %s", topology->path,
                    nat->name, cause->message);
        return FALSE;
    }
    if (strlen(contents) != length) {
        g_set_error(error, PL_ERROR, PL_ERROR_INPUT, "%s: a NUL byte (expected nftables text)",
                    nat->rules);
        return FALSE;
    }
    g_string_append(text, "define INSIDE = \"" PL_RULES_INSIDE "\"\n"
                          "define OUTSIDE = \"" PL_RULES_OUTSIDE "\"\n");
    g_string_append_printf(text, "define LAN = %s\ndefine LAN_ADDRESS = ", lan);
    pl_rules_append_address(text, &g_array_index(pl_nat_inside(nat)->addresses, PhAddress, 0));
    g_string_append(text, "\ndefine WAN = ");
    pl_rules_append_address(text, &g_array_index(outside, PhAddress, 0));
    g_string_append_printf(text, "\ndefine WAN_ALL = %s\n%s", all, contents);
    /* nft takes no variable for a seed. */
    g_string_replace(text, "$SEED", number, 0);
    *ret_text = g_string_free(g_steal_pointer(&text), FALSE);
    return TRUE;
}

static void decide(Rules *rules)
{
    const PlBehaviour *behaviour = rules->behaviour;
    gboolean each = behaviour->mapping == PL_MAPPING_ADDRESS_AND_PORT_DEPENDENT;
    gboolean preserve = behaviour->port_allocation == PL_PORT_ALLOCATION_PRESERVE;

    rules->timeout_s = behaviour->udp_timeout_ns / 1000000000;
    rules->udp = behaviour->udp == PL_PASS_YES;
    rules->contacts = rules->udp && behaviour->filtering == PL_FILTERING_ADDRESS_DEPENDENT;
    if (behaviour->mapping == PL_MAPPING_NONE || !rules->udp)
        return;
    rules->learns = behaviour->filtering != PL_FILTERING_ADDRESS_AND_PORT_DEPENDENT ||
                    behaviour->hairpin != PL_HAIRPIN_NONE;
    /* A Linux router keeps the port, and lets two mappings share one as long as conntrack can tell
       them apart. That will not do where strangers may use the mapping. */
    rules->preserves = preserve && rules->learns;
    rules->slots = preserve ? rules->preserves : !each;
    for (unsigned i = 0; rules->slots && i < rules->pool->slots->len; i++) {
        const PlSlot *slot = &g_array_index(rules->pool->slots, PlSlot, i);

        rules->forwards |= rules->learns && slot->first != slot->last;
    }
}

char *pl_rules_text(const PlTopology *topology, const PlNode *nat, const GArray *outside,
                    uint64_t seed, GError **error)
{
    uint64_t state = seed ^ nat->index;
    gboolean ipv6 = pl_node_family(nat) == PH_FAMILY_IPV6;
    Rules rules = {
        .nat = nat,
        .behaviour = &nat->behaviour,
        .ip = ipv6 ? "ip6" : "ip",
        .address_type = ipv6 ? "ipv6_addr" : "ipv4_addr",
    };
    g_autofree char *addresses = pl_rules_address_set(outside);
    g_autoptr(PlPool) pool = NULL;
    char *text;

    rules.hash_seed = (uint32_t)pl_random_next(&state);
    if (nat->rules)
        return read_user_rules(topology, nat, outside, rules.hash_seed, &text, error) ? text : NULL;
    rules.pool = pool = pl_pool_new(topology, nat, outside, seed, error);
    if (!pool)
        return NULL;
    decide(&rules);
    rules.text = g_string_new(NULL);
    g_string_append_printf(rules.text, "table %s pinlab {\n", rules.ip);
    write_tables(&rules);
    write_pre(&rules, addresses);
    write_forward(&rules);
    pl_rules_write_allocate(&rules);
    pl_rules_write_post(&rules, addresses);
    pl_rules_write_learn(&rules);
    write_input(&rules, addresses);
    g_string_append(rules.text, "}\n");
    return g_string_free(rules.text, FALSE);
}
