/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The part of a NAT's ruleset that remembers which mapping came out, and who keeps it alive. */
#include "kernel/rules_private.h"

/* The two endpoints of a mapping, in words that hold for packets of either direction. */
#define SNAT_OUTER "ct reply ip daddr . ct reply proto-dst"
#define SNAT_INNER "ct original ip saddr . ct original proto-src"
#define DNAT_OUTER "ct original ip daddr . ct original proto-dst"
#define DNAT_INNER "ct reply ip saddr . ct reply proto-src"

static void write_learn_rev(Rules *rules)
{
    /* A port that had to be given out twice belongs to whoever got it last. */
    if (rules->behaviour->port_allocation == PL_PORT_ALLOCATION_BLOCK && !rules->forwards)
        pl_rules_line(rules, "meta l4proto udp ct status snat ct state new "
                             "delete @rev { " SNAT_OUTER " : " SNAT_INNER " }");
    pl_rules_line(rules, "meta l4proto udp ct status snat "
                         "update @rev { " SNAT_OUTER " : " SNAT_INNER " }");
    /* Flows that began outside keep the mapping they came by (RFC 4787 REQ-6). */
    pl_rules_line(rules, "meta l4proto udp ct status dnat "
                         "update @rev { " DNAT_OUTER " : " DNAT_INNER " }");
}

/*
 * conntrack may choose a port that is another mapping's, towards another destination: the packet is
 * given up, and the next one gets another slot.
 */
static void write_clash(Rules *rules, const char *and_mark)
{
    gboolean dependent = rules->behaviour->mapping == PL_MAPPING_ADDRESS_DEPENDENT;
    g_autofree char *mine =
        rules->preserves ? g_strdup("delete @mine { " SNAT_INNER " } ") : g_strdup("");

    pl_rules_line(rules,
                  "meta l4proto udp ct status snat ct state new " SNAT_OUTER " @rev " SNAT_INNER
                  "%s != @forward %sdelete @slot { " SNAT_INNER "%s : meta mark } drop",
                  and_mark, mine, dependent ? " . ct reply ip saddr" : "");
}

/* After @rev, so that it never ends before: see write_clash. */
static void write_learn_forward(Rules *rules, const char *and_mark)
{
    gboolean dependent = rules->behaviour->mapping == PL_MAPPING_ADDRESS_DEPENDENT;

    pl_rules_line(rules,
                  "meta l4proto udp ct status snat "
                  "update @forward { " SNAT_INNER "%s : " SNAT_OUTER " }",
                  and_mark);
    if (dependent) {
        pl_rules_line(rules, "meta l4proto udp ct status snat "
                             "update @origin { " SNAT_OUTER " : meta mark }");
        pl_rules_line(rules, "meta l4proto udp ct status dnat "
                             "meta mark set " DNAT_OUTER " map @origin");
    }
    pl_rules_line(rules,
                  "meta l4proto udp ct status dnat %s"
                  "update @forward { " DNAT_INNER "%s : " DNAT_OUTER " }",
                  dependent ? DNAT_OUTER " @origin " : "", and_mark);
    if (dependent)
        pl_rules_line(rules, "meta l4proto udp ct status dnat " DNAT_OUTER " @origin "
                             "update @origin { " DNAT_OUTER " : meta mark }");
}

void pl_rules_write_learn(Rules *rules)
{
    gboolean firewall = rules->behaviour->mapping == PL_MAPPING_NONE;
    gboolean dependent = rules->behaviour->mapping == PL_MAPPING_ADDRESS_DEPENDENT;
    const char *and_mark = dependent ? " . meta mark" : "";

    if (firewall || !(rules->learns || rules->preserves))
        return;
    pl_rules_chain(rules, "c_learn", "filter hook postrouting priority srcnat + 10");
    if (rules->forwards && dependent)
        pl_rules_line(rules, "meta l4proto udp ct status snat meta mark set " PL_RULES_HASH,
                      "ct reply ip saddr", rules->hash_seed);
    if (rules->forwards)
        write_clash(rules, and_mark);
    if (rules->learns)
        write_learn_rev(rules);
    if (rules->forwards)
        write_learn_forward(rules, and_mark);
    if (rules->contacts) {
        pl_rules_line(rules, "meta l4proto udp ct status snat "
                             "update @contacted { " SNAT_OUTER " . ct original ip daddr }");
        pl_rules_line(rules, "meta l4proto udp ct status dnat ct direction reply "
                             "update @contacted { " DNAT_OUTER " . ct original ip saddr }");
    }
    if (rules->preserves) {
        pl_rules_line(rules,
                      "meta l4proto udp ct status snat update @taken { ct reply proto-dst }");
        pl_rules_line(rules,
                      "meta l4proto udp ct status dnat update @taken { ct original proto-dst }");
    }
    pl_rules_end(rules);
}
