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
 * the slots only have to be the same for one mapping and different for two.
 *
 * Everything learnt expires like conntrack's own entries and, like those, is refreshed by packets
 * of either direction.
 */
#include "kernel/rules.h"

#include <string.h>

#include "kernel/pool.h"

/* conntrack's own table is no larger on a small router. */
#define TABLE_SIZE 65535

typedef struct Rules {
    GString *text;
    const PlNode *nat;
    const PlBehaviour *behaviour;
    const PlPool *pool;
    uint64_t timeout_s;
    uint32_t hash_seed;
    gboolean udp;       /* UDP passes and is translated */
    gboolean slots;     /* mappings get slots that are remembered */
    gboolean preserves; /* a slot only for those whose own port is taken */
    gboolean learns;    /* the way back from an external endpoint must be known */
    gboolean contacts;  /* and who may use it */
} Rules;

static void line(Rules *rules, const char *format, ...) G_GNUC_PRINTF(2, 3);

static void line(Rules *rules, const char *format, ...)
{
    va_list arguments;

    g_string_append(rules->text, "    ");
    va_start(arguments, format);
    g_string_append_vprintf(rules->text, format, arguments);
    va_end(arguments);
    g_string_append_c(rules->text, '\n');
}

static void chain(Rules *rules, const char *name, const char *hook)
{
    g_string_append_printf(rules->text, "  chain %s {\n", name);
    if (hook)
        line(rules, "type %s", hook);
}

static void end(Rules *rules)
{
    g_string_append(rules->text, "  }\n");
}

static void append_address(GString *text, const PhAddress *address)
{
    PhAddress host = *address;
    char buffer[PH_ADDRESS_TEXT_MAX];

    host.port = 0;
    g_string_append(text, ph_address_format(&host, buffer));
}

/* "{ 192.0.2.1, 192.0.2.2 }" */
static char *address_set(const GArray *addresses)
{
    g_autoptr(GString) text = g_string_new("{");

    for (unsigned i = 0; i < addresses->len; i++) {
        g_string_append(text, i ? ", " : " ");
        append_address(text, &g_array_index(addresses, PhAddress, i));
    }
    g_string_append(text, " }");
    return g_string_free(g_steal_pointer(&text), FALSE);
}

/* "192.0.2.1 . 1024-2047" */
static void append_slot(GString *text, const PlSlot *slot)
{
    append_address(text, &slot->address);
    g_string_append_printf(text, " . %u", slot->first);
    if (slot->last != slot->first)
        g_string_append_printf(text, "-%u", slot->last);
}

/* "{ 0 : SLOT, 1 : SLOT }" of a group, numbered from `from`. */
static char *slot_map(const PlPool *pool, unsigned base, unsigned size, unsigned from)
{
    g_autoptr(GString) text = g_string_new("{");

    for (unsigned i = 0; i < size; i++) {
        g_string_append_printf(text, "%s%u : ", i ? ", " : " ", from + i);
        append_slot(text, &g_array_index(pool->slots, PlSlot, base + i));
    }
    g_string_append(text, " }");
    return g_string_free(g_steal_pointer(&text), FALSE);
}

/* "ip saddr { ... } ", or nothing for the group of everybody else. */
static char *group_match(const PlSlotGroup *group)
{
    g_autofree char *sources = address_set(group->sources);

    return group->sources->len ? g_strdup_printf("ip saddr %s ", sources) : g_strdup("");
}

/* What one mapping is for, seen from a packet on its way out, or in. */
static const char *mapping_key(const Rules *rules, gboolean out)
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
    if (rules->contacts)
        table(rules, "set", "contacted", "ipv4_addr . inet_service . ipv4_addr");
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
    chain(rules, "c_pre", "nat hook prerouting priority dstnat");
    for (unsigned i = 0; i < rules->nat->forwards->len; i++) {
        const PlForward *forward = &g_array_index(rules->nat->forwards, PlForward, i);
        char to[PH_ADDRESS_TEXT_MAX];

        line(rules, "%sip daddr %s %s dport %u dnat to %s",
             hairpin ? "" : "iifname \"" PL_RULES_OUTSIDE "\" ", outside,
             forward->protocol == PL_PROTOCOL_UDP ? "udp" : "tcp", forward->outside_port,
             ph_address_format(&forward->inside, to));
    }
    if (rules->learns && rules->contacts && translates)
        line(rules, "iifname \"" PL_RULES_OUTSIDE "\" ip daddr . udp dport . ip saddr @contacted "
                    "dnat ip to ip daddr . udp dport map @rev");
    else if (rules->learns && rules->behaviour->filtering == PL_FILTERING_ENDPOINT_INDEPENDENT)
        line(rules, "iifname \"" PL_RULES_OUTSIDE "\" meta l4proto udp "
                    "dnat ip to ip daddr . udp dport map @rev");
    if (rules->learns && hairpin)
        line(rules, "iifname \"" PL_RULES_INSIDE "\" meta l4proto udp "
                    "dnat ip to ip daddr . udp dport map @rev");
    end(rules);
}

static void write_refusal(Rules *rules)
{
    if (rules->behaviour->unsolicited == PL_UNSOLICITED_REJECT) {
        line(rules, "iifname \"" PL_RULES_OUTSIDE "\" meta l4proto udp ct state new reject");
        line(rules, "iifname \"" PL_RULES_OUTSIDE
                    "\" meta l4proto tcp ct state new reject with tcp reset");
    }
    line(rules, "iifname \"" PL_RULES_OUTSIDE "\" ct state new drop");
}

static void write_forward(Rules *rules)
{
    const PlBehaviour *behaviour = rules->behaviour;
    gboolean firewall = behaviour->mapping == PL_MAPPING_NONE;

    chain(rules, "c_forward", "filter hook forward priority filter");
    if (behaviour->udp == PL_PASS_BLOCKED)
        line(rules, "meta l4proto udp drop");
    if (behaviour->icmp == PL_PASS_BLOCKED)
        line(rules, "meta l4proto icmp drop");
    if (behaviour->hairpin == PL_HAIRPIN_EXTERNAL_SOURCE)
        line(rules, "iifname \"" PL_RULES_INSIDE "\" oifname \"" PL_RULES_INSIDE
                    "\" ct state new ct status dnat ct mark set 1");
    if (firewall && rules->contacts) {
        line(rules, "iifname \"" PL_RULES_INSIDE "\" meta l4proto udp "
                    "update @contacted { ip saddr . udp sport . ip daddr }");
        line(rules,
             "iifname \"" PL_RULES_OUTSIDE "\" ip daddr . udp dport . ip saddr @contacted accept");
    }
    line(rules, "ct state established,related accept");
    if (!firewall || rules->nat->forwards->len > 0)
        line(rules, "ct status dnat accept");
    if (!firewall || behaviour->filtering != PL_FILTERING_ENDPOINT_INDEPENDENT)
        write_refusal(rules);
    end(rules);
}

/* One slot for a new mapping, in turn, in the group of whoever asks; the marks begin at 1. */
static void write_pick(Rules *rules)
{
    chain(rules, "c_pick", NULL);
    for (unsigned i = 0; i < rules->pool->groups->len; i++) {
        const PlSlotGroup *group = g_ptr_array_index(rules->pool->groups, i);
        g_autofree char *sources = group_match(group);

        line(rules, "%smeta mark set numgen inc mod %u offset %u", sources, group->size,
             group->base + 1);
    }
    end(rules);
}

static void write_new(Rules *rules)
{
    const PlBehaviour *behaviour = rules->behaviour;
    const char *key = mapping_key(rules, TRUE);

    chain(rules, "c_new", NULL);
    if (rules->preserves) {
        line(rules, "%s @mine return", key);
        line(rules, "udp sport != @taken update @mine { %s } update @taken { udp sport } return",
             key);
    }
    line(rules, "jump c_pick");
    if (behaviour->port_allocation == PL_PORT_ALLOCATION_BLOCK) {
        const PlSlotGroup *group = g_ptr_array_index(rules->pool->groups, 0);

        /*
         * As often as there are slots: when every one is in use, the turn has moved on by exactly
         * one, and the next mapping still gets another slot than this one.
         */
        for (unsigned i = 0; i < group->size; i++)
            line(rules, "meta mark @busy jump c_pick");
    }
    line(rules, "meta mark != 0 update @slot { %s : meta mark }", key);
    end(rules);
}

static void write_allocate(Rules *rules)
{
    static const char *const sides[] = {PL_RULES_OUTSIDE, PL_RULES_INSIDE};

    if (!rules->slots)
        return;
    write_pick(rules);
    write_new(rules);
    chain(rules, "c_allocate", "filter hook forward priority filter + 10");
    line(rules, "meta l4proto != udp accept");
    for (unsigned out = 0; out < G_N_ELEMENTS(sides); out++)
        line(rules, "iifname \"%s\" meta mark set %s map @slot", sides[out],
             mapping_key(rules, out == 1));
    line(rules, "iifname \"" PL_RULES_INSIDE "\" meta mark 0 ct state new jump c_new");
    for (unsigned out = 0; out < G_N_ELEMENTS(sides); out++) {
        const char *key = mapping_key(rules, out == 1);

        line(rules, "iifname \"%s\" meta mark != 0 update @slot { %s : meta mark }", sides[out],
             key);
        if (rules->preserves)
            line(rules, "iifname \"%s\" %s @mine update @mine { %s }", sides[out], key, key);
    }
    if (rules->behaviour->port_allocation == PL_PORT_ALLOCATION_BLOCK)
        line(rules, "meta mark != 0 update @busy { meta mark }");
    end(rules);
}

/* Each group its own address: those with sources first, then everybody else. */
static void write_plain_groups(Rules *rules, const char *match, gboolean ranged, const char *flags)
{
    for (unsigned i = rules->pool->groups->len; i-- > 0;) {
        const PlSlotGroup *group = g_ptr_array_index(rules->pool->groups, i);
        g_autofree char *sources = group_match(group);
        g_autoptr(GString) to = g_string_new(NULL);

        append_address(to, &group->whole.address);
        if (ranged)
            g_string_append_printf(to, ":%u-%u", group->whole.first, group->whole.last);
        line(rules, "%s%ssnat to %s%s", match, sources, to->str, flags);
    }
}

/* An address by hash: the same for the same key. */
static void write_plain_hashed(Rules *rules, const char *match, const char *key, gboolean ranged,
                               const char *flags)
{
    const GArray *outside = rules->pool->outside;
    g_autoptr(GString) map = g_string_new("{");

    for (unsigned i = 0; i < outside->len; i++) {
        g_string_append_printf(map, "%s%u : ", i ? ", " : " ", i);
        append_address(map, &g_array_index(outside, PhAddress, i));
        if (ranged)
            g_string_append_printf(map, " . %u-%u", rules->behaviour->port_first,
                                   rules->behaviour->port_last);
    }
    line(rules, "%ssnat %sto jhash %s mod %u seed 0x%08x map %s }%s", match, ranged ? "ip " : "",
         key, outside->len, rules->hash_seed, map->str, flags);
}

/* What needs no slot: conntrack finds a port. `key` chooses among several addresses. */
static void write_plain(Rules *rules, const char *match, const char *key, gboolean ranged,
                        const char *flags)
{
    const PlPool *pool = rules->pool;

    if (pool->groups->len == 1 && pool->outside->len > 1)
        write_plain_hashed(rules, match, key, ranged, flags);
    else
        write_plain_groups(rules, match, ranged, flags);
}

/* Every flow its own mapping: slots in turn, and nothing to remember. */
static void write_turns(Rules *rules)
{
    gboolean sequential = rules->behaviour->port_allocation == PL_PORT_ALLOCATION_SEQUENTIAL;

    for (unsigned i = rules->pool->groups->len; i-- > 0;) {
        const PlSlotGroup *group = g_ptr_array_index(rules->pool->groups, i);
        g_autofree char *sources = group_match(group);
        g_autofree char *slots = slot_map(rules->pool, group->base, group->size, 0);

        line(rules, "meta l4proto udp %ssnat ip to numgen inc mod %u map %s%s", sources,
             group->size, slots, sequential ? "" : " random");
    }
}

static void write_udp_translation(Rules *rules, gboolean preserve)
{
    const PlBehaviour *behaviour = rules->behaviour;
    const char *key = mapping_key(rules, TRUE);
    gboolean each = behaviour->mapping == PL_MAPPING_ADDRESS_AND_PORT_DEPENDENT;

    if (rules->slots) {
        g_autofree char *slots = slot_map(rules->pool, 0, rules->pool->slots->len, 1);

        line(rules, "meta l4proto udp snat ip to meta mark map %s", slots);
    } else if (each && behaviour->port_allocation == PL_PORT_ALLOCATION_RANDOM && !rules->learns) {
        write_plain(rules, "meta l4proto udp ", key, TRUE, " fully-random");
    } else if (each) {
        write_turns(rules);
    }
    if (preserve && behaviour->pooling == PL_POOLING_ARBITRARY)
        write_plain(rules, "meta l4proto udp ", key, FALSE, "");
}

static void write_post(Rules *rules, const char *outside)
{
    gboolean preserve = rules->behaviour->port_allocation == PL_PORT_ALLOCATION_PRESERVE;

    if (rules->behaviour->mapping == PL_MAPPING_NONE)
        return;
    chain(rules, "c_post", "nat hook postrouting priority srcnat");
    if (rules->behaviour->hairpin == PL_HAIRPIN_EXTERNAL_SOURCE) {
        line(rules, "oifname \"lo\" accept");
        line(rules, "oifname \"" PL_RULES_INSIDE "\" ct mark != 1 accept");
    } else {
        line(rules, "oifname != \"" PL_RULES_OUTSIDE "\" accept");
    }
    line(rules, "ip saddr %s accept", outside);
    if (rules->udp)
        write_udp_translation(rules, preserve);
    if (!preserve)
        write_plain(rules, "meta l4proto tcp ", "ip saddr", TRUE, "");
    write_plain(rules, "", "ip saddr", FALSE, "");
    /* Nobody's private address gets out, whatever else goes wrong. */
    line(rules, "drop");
    end(rules);
}

static void write_learn(Rules *rules)
{
    gboolean firewall = rules->behaviour->mapping == PL_MAPPING_NONE;

    if (firewall || !(rules->learns || rules->preserves))
        return;
    chain(rules, "c_learn", "filter hook postrouting priority srcnat + 10");
    /* A port that had to be given out twice belongs to whoever got it last. */
    if (rules->learns && rules->behaviour->port_allocation == PL_PORT_ALLOCATION_BLOCK)
        line(rules, "meta l4proto udp ct status snat ct state new delete @rev { ct reply ip daddr "
                    ". ct reply "
                    "proto-dst : ct original ip saddr . ct original proto-src }");
    if (rules->learns) {
        line(rules, "meta l4proto udp ct status snat update @rev { ct reply ip daddr . ct reply "
                    "proto-dst : "
                    "ct original ip saddr . ct original proto-src }");
        /* Flows that began outside keep the mapping they came by (RFC 4787 REQ-6). */
        line(rules, "meta l4proto udp ct status dnat update @rev { ct original ip daddr . ct "
                    "original proto-dst : "
                    "ct reply ip saddr . ct reply proto-src }");
    }
    if (rules->contacts) {
        line(rules, "meta l4proto udp ct status snat update @contacted { ct reply ip daddr . ct "
                    "reply proto-dst . "
                    "ct original ip daddr }");
        line(rules, "meta l4proto udp ct status dnat ct direction reply update @contacted { ct "
                    "original ip daddr . "
                    "ct original proto-dst . ct original ip saddr }");
    }
    if (rules->preserves)
        line(rules, "meta l4proto udp ct status snat update @taken { ct reply proto-dst }");
    end(rules);
}

static void write_input(Rules *rules, const char *outside)
{
    const PlBehaviour *behaviour = rules->behaviour;

    chain(rules, "c_input", "filter hook input priority filter");
    /* What was to be looped back and is not goes nowhere. */
    line(rules, "iifname \"" PL_RULES_INSIDE "\" ip daddr %s meta l4proto udp drop", outside);
    if (behaviour->unsolicited != PL_UNSOLICITED_ACCEPT)
        write_refusal(rules);
    end(rules);
    if (behaviour->unsolicited != PL_UNSOLICITED_ACCEPT)
        return;
    /* Taken in as if something listened there: otherwise it would look like `reject`. */
    chain(rules, "c_output", "filter hook output priority filter");
    line(rules, "oifname \"" PL_RULES_OUTSIDE "\" icmp type destination-unreachable drop");
    end(rules);
}

static gboolean read_user_rules(const PlTopology *topology, const PlNode *nat,
                                const GArray *outside, uint32_t seed, char **ret_text,
                                GError **error)
{
    g_autofree char *contents = NULL, *all = address_set(outside);
    g_autofree char *lan = pl_prefix_format(&pl_nat_inside(nat)->network->subnet);
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
    append_address(text, &g_array_index(pl_nat_inside(nat)->addresses, PhAddress, 0));
    g_string_append(text, "\ndefine WAN = ");
    append_address(text, &g_array_index(outside, PhAddress, 0));
    g_string_append_printf(text, "\ndefine WAN_ALL = %s\ndefine SEED = 0x%08x\n%s", all, seed,
                           contents);
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
}

char *pl_rules_text(const PlTopology *topology, const PlNode *nat, const GArray *outside,
                    uint64_t seed, GError **error)
{
    uint64_t state = seed ^ nat->index;
    Rules rules = {.nat = nat, .behaviour = &nat->behaviour};
    g_autofree char *addresses = address_set(outside);
    g_autoptr(PlPool) pool = NULL;
    char *text;

    rules.hash_seed = (uint32_t)pl_pool_random(&state);
    if (nat->rules)
        return read_user_rules(topology, nat, outside, rules.hash_seed, &text, error) ? text : NULL;
    rules.pool = pool = pl_pool_new(topology, nat, outside, seed, error);
    if (!pool)
        return NULL;
    decide(&rules);
    rules.text = g_string_new("table ip pinlab {\n");
    write_tables(&rules);
    write_pre(&rules, addresses);
    write_forward(&rules);
    write_allocate(&rules);
    write_post(&rules, addresses);
    write_learn(&rules);
    write_input(&rules, addresses);
    g_string_append(rules.text, "}\n");
    return g_string_free(rules.text, FALSE);
}
