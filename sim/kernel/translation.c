/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The half of a NAT's ruleset that finds an external address and port for a flow. */
#include "kernel/rules_private.h"

/* "192.0.2.1 . 1024-2047" */
static void append_slot(GString *text, const PlSlot *slot, gboolean ranged)
{
    pl_rules_append_address(text, &slot->address);
    g_string_append_printf(text, " . %u", slot->first);
    if (ranged)
        g_string_append_printf(text, "-%u", slot->last);
}

/* "{ 0 : SLOT, 1 : SLOT }" of a group, numbered from `from`. */
static char *slot_map(const PlPool *pool, unsigned base, unsigned size, unsigned from)
{
    g_autoptr(GString) text = g_string_new("{");
    gboolean ranged = FALSE; /* the values of a map are all ranges, or none is */

    for (unsigned i = base; i < base + size; i++) {
        const PlSlot *slot = &g_array_index(pool->slots, PlSlot, i);

        ranged |= slot->first != slot->last;
    }
    for (unsigned i = 0; i < size; i++) {
        g_string_append_printf(text, "%s%u : ", i ? ", " : " ", from + i);
        append_slot(text, &g_array_index(pool->slots, PlSlot, base + i), ranged);
    }
    g_string_append(text, " }");
    return g_string_free(g_steal_pointer(&text), FALSE);
}

/* "ip saddr { ... } ", or nothing for the group of everybody else. */
static char *group_match(const PlSlotGroup *group)
{
    g_autofree char *sources = pl_rules_address_set(group->sources);

    return group->sources->len ? g_strdup_printf("ip saddr %s ", sources) : g_strdup("");
}

/* One slot for a new mapping, in turn, in the group of whoever asks; the marks begin at 1. */
static void write_pick(Rules *rules)
{
    pl_rules_chain(rules, "c_pick", NULL);
    for (unsigned i = 0; i < rules->pool->groups->len; i++) {
        const PlSlotGroup *group = g_ptr_array_index(rules->pool->groups, i);
        g_autofree char *sources = group_match(group);

        pl_rules_line(rules, "%smeta mark set numgen inc mod %u offset %u", sources, group->size,
                      group->base + 1);
    }
    pl_rules_end(rules);
}

static void write_new(Rules *rules)
{
    const PlBehaviour *behaviour = rules->behaviour;
    const char *key = pl_rules_mapping_key(rules, TRUE);

    pl_rules_chain(rules, "c_new", NULL);
    if (rules->preserves) {
        pl_rules_line(rules, "%s @mine return", key);
        pl_rules_line(rules,
                      "udp sport != @taken update @mine { %s } update @taken { udp sport } return",
                      key);
    }
    pl_rules_line(rules, "jump c_pick");
    if (behaviour->port_allocation == PL_PORT_ALLOCATION_BLOCK) {
        const PlSlotGroup *group = g_ptr_array_index(rules->pool->groups, 0);

        /*
         * As often as there are slots: when every one is in use, the turn has moved on by exactly
         * one, and the next mapping still gets another slot than this one.
         */
        for (unsigned i = 0; i < group->size; i++)
            pl_rules_line(rules, "meta mark @busy jump c_pick");
    }
    pl_rules_line(rules, "meta mark != 0 update @slot { %s : meta mark }", key);
    pl_rules_end(rules);
}

void pl_rules_write_allocate(Rules *rules)
{
    static const char *const sides[] = {PL_RULES_OUTSIDE, PL_RULES_INSIDE};

    if (!rules->slots)
        return;
    write_pick(rules);
    write_new(rules);
    pl_rules_chain(rules, "c_allocate", "filter hook forward priority filter + 10");
    pl_rules_line(rules, "meta l4proto != udp accept");
    for (unsigned out = 0; out < G_N_ELEMENTS(sides); out++)
        pl_rules_line(rules, "iifname \"%s\" meta mark set %s map @slot", sides[out],
                      pl_rules_mapping_key(rules, out == 1));
    /* What is looped back with its own address needs none. */
    pl_rules_line(rules, "iifname \"" PL_RULES_INSIDE "\" %smeta mark 0 ct state new jump c_new",
                  rules->behaviour->hairpin == PL_HAIRPIN_EXTERNAL_SOURCE
                      ? ""
                      : "oifname \"" PL_RULES_OUTSIDE "\" ");
    for (unsigned out = 0; out < G_N_ELEMENTS(sides); out++) {
        const char *key = pl_rules_mapping_key(rules, out == 1);

        pl_rules_line(rules, "iifname \"%s\" meta mark != 0 update @slot { %s : meta mark }",
                      sides[out], key);
        if (rules->preserves)
            pl_rules_line(rules, "iifname \"%s\" %s @mine update @mine { %s }", sides[out], key,
                          key);
    }
    if (rules->behaviour->port_allocation == PL_PORT_ALLOCATION_BLOCK)
        pl_rules_line(rules, "meta mark != 0 update @busy { meta mark }");
    pl_rules_end(rules);
}

/* Each group its own address: those with sources first, then everybody else. */
static void write_plain_groups(Rules *rules, const char *match, gboolean ranged, const char *flags)
{
    for (unsigned i = rules->pool->groups->len; i-- > 0;) {
        const PlSlotGroup *group = g_ptr_array_index(rules->pool->groups, i);
        g_autofree char *sources = group_match(group);
        g_autoptr(GString) to = g_string_new(NULL);

        pl_rules_append_address(to, &group->whole.address);
        if (ranged)
            g_string_append_printf(to, ":%u-%u", group->whole.first, group->whole.last);
        pl_rules_line(rules, "%s%ssnat to %s%s", match, sources, to->str, flags);
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
        pl_rules_append_address(map, &g_array_index(outside, PhAddress, i));
        if (ranged)
            g_string_append_printf(map, " . %u-%u", rules->behaviour->port_first,
                                   rules->behaviour->port_last);
    }
    pl_rules_line(rules, "%ssnat %sto jhash %s mod %u seed 0x%08x map %s }%s", match,
                  ranged ? "ip " : "", key, outside->len, rules->hash_seed, map->str, flags);
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

        pl_rules_line(rules, "meta l4proto udp %ssnat ip to numgen inc mod %u map %s%s", sources,
                      group->size, slots, sequential ? "" : " random");
    }
}

/* A mapping that lives keeps its external endpoint, whoever keeps it alive. */
static void write_forward_lookup(Rules *rules)
{
    /* Who was taken in uninvited occupies an endpoint, and conntrack has to find another one. */
    const char *match = rules->behaviour->unsolicited == PL_UNSOLICITED_ACCEPT
                            ? "ip daddr . udp dport != @uninvited "
                            : "";

    if (rules->behaviour->mapping != PL_MAPPING_ADDRESS_DEPENDENT) {
        pl_rules_line(rules, "meta l4proto udp %ssnat ip to ip saddr . udp sport map @forward",
                      match);
        return;
    }
    pl_rules_line(rules, "meta l4proto udp meta mark set " PL_RULES_HASH, "ip daddr",
                  rules->hash_seed);
    pl_rules_line(rules,
                  "meta l4proto udp %ssnat ip to ip saddr . udp sport . meta mark map @forward",
                  match);
    pl_rules_line(rules, "meta l4proto udp meta mark set %s map @slot",
                  pl_rules_mapping_key(rules, TRUE));
}

static void write_udp_translation(Rules *rules, gboolean preserve)
{
    const PlBehaviour *behaviour = rules->behaviour;
    const char *key = pl_rules_mapping_key(rules, TRUE);
    gboolean each = behaviour->mapping == PL_MAPPING_ADDRESS_AND_PORT_DEPENDENT;

    if (rules->forwards)
        write_forward_lookup(rules);
    if (rules->slots) {
        g_autofree char *slots = slot_map(rules->pool, 0, rules->pool->slots->len, 1);

        pl_rules_line(rules, "meta l4proto udp snat ip to meta mark map %s", slots);
    } else if (each && behaviour->port_allocation == PL_PORT_ALLOCATION_RANDOM && !rules->learns) {
        write_plain(rules, "meta l4proto udp ", key, TRUE, " fully-random");
    } else if (each) {
        write_turns(rules);
    }
    if (preserve && behaviour->pooling == PL_POOLING_ARBITRARY)
        write_plain(rules, "meta l4proto udp ", key, FALSE, "");
}

void pl_rules_write_post(Rules *rules, const char *outside)
{
    gboolean preserve = rules->behaviour->port_allocation == PL_PORT_ALLOCATION_PRESERVE;

    if (rules->behaviour->mapping == PL_MAPPING_NONE)
        return;
    pl_rules_chain(rules, "c_post", "nat hook postrouting priority srcnat");
    if (rules->behaviour->hairpin == PL_HAIRPIN_EXTERNAL_SOURCE) {
        pl_rules_line(rules, "oifname \"lo\" accept");
        pl_rules_line(rules, "oifname \"" PL_RULES_INSIDE "\" ct mark != 1 accept");
    } else {
        pl_rules_line(rules, "oifname != \"" PL_RULES_OUTSIDE "\" accept");
    }
    pl_rules_line(rules, "ip saddr %s accept", outside);
    if (rules->udp)
        write_udp_translation(rules, preserve);
    if (!preserve)
        write_plain(rules, "meta l4proto tcp ", "ip saddr", TRUE, "");
    write_plain(rules, "", "ip saddr", FALSE, "");
    /* Nobody's private address gets out, whatever else goes wrong. */
    pl_rules_line(rules, "drop");
    pl_rules_end(rules);
}
