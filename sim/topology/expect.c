/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a topology's author expects of it: NODE.AXIS, HOST.exit, HOST.output, HOST.hears,
 * HOST.unasked and A -> B. */
#include <pinhole/node.h>
#include <string.h>

#include "topology/build.h"
#include "topology/units.h"
#include "topology/words.h"

#define N_COUNTERS (sizeof(PhNodeCounters) / sizeof(uint64_t))

/* What can be found out about a host: the rest only about the NATs before it. */
static const PlAxis host_axes[] = {
    PL_AXIS_CLASS, PL_AXIS_EXTERNAL, PL_AXIS_MAPPING, PL_AXIS_FILTERING,
    PL_AXIS_UDP,   PL_AXIS_TCP,      PL_AXIS_ICMP,
};

static gboolean check_axis_known(const PlIni *ini, const char *key, PlExpect *expect,
                                 const char *name, GError **error)
{
    static const char *const of_programs[] = {"exit", "output", "hears", "unasked"};
    const char *words[PL_AXIS_N + G_N_ELEMENTS(of_programs) + N_COUNTERS], *counter;
    unsigned n = 0;
    g_autofree char *expected = NULL;
    gboolean host = expect->node->kind == PL_NODE_HOST;

    for (unsigned i = 0; i < (host ? G_N_ELEMENTS(host_axes) : (unsigned)PL_AXIS_N); i++)
        words[n++] = pl_axis_name(host ? host_axes[i] : (PlAxis)i);
    for (unsigned i = 0; host && i < G_N_ELEMENTS(of_programs); i++)
        words[n++] = of_programs[i];
    for (uint32_t i = 0; host && (counter = pl_build_counter(i)); i++) {
        if (strcmp(counter, name) == 0) {
            expect->kind = PL_EXPECT_COUNTER;
            expect->name = g_strdup(name);
            return TRUE;
        }
        if (expect->node->program.word == PL_WORD_NODE)
            words[n++] = counter;
    }
    for (unsigned i = 0; i < n; i++) {
        if (strcmp(words[i], name) != 0)
            continue;
        expect->kind = PL_EXPECT_AXIS;
        if (strcmp(name, "exit") == 0)
            expect->kind = PL_EXPECT_EXIT;
        else if (strcmp(name, "output") == 0)
            expect->kind = PL_EXPECT_OUTPUT;
        else if (strcmp(name, "hears") == 0)
            expect->kind = PL_EXPECT_HEARS;
        else if (strcmp(name, "unasked") == 0)
            expect->kind = PL_EXPECT_UNASKED;
        else
            pl_axis_from_name(name, &expect->axis);
        return TRUE;
    }
    expected = pl_expected_words(name, words, n);
    return pl_ini_fail(ini, "expect", key, error, "\"%s\" is nothing that a %s shows %s", name,
                       host ? "host" : "NAT", expected);
}

static gboolean check_word(const PlIni *ini, const char *key, const char *const *words, unsigned n,
                           GError **error)
{
    unsigned word;

    return pl_ini_word(ini, "expect", key, words, n, &word, error);
}

static gboolean check_external(const PlIni *ini, const char *key, GError **error)
{
    g_auto(GStrv) items = NULL;
    PhAddress address;

    if (!pl_ini_list(ini, "expect", key, &items, error))
        return FALSE;
    for (unsigned i = 0; items[i]; i++)
        if (!pl_build_read_address(ini, "expect", key, items[i], &address, error))
            return FALSE;
    return TRUE;
}

#define CHECK_WORD(words) check_word(ini, key, words, G_N_ELEMENTS(words), error)

static gboolean check_axis_value(const PlIni *ini, const char *key, const PlExpect *expect,
                                 GError **error)
{
    static const char *const ok_word[] = {"ok"}, *const yes_words[] = {"yes", "no"};
    uint16_t first, last;
    uint64_t number = 0;

    switch (expect->axis) {
    case PL_AXIS_CLASS:
        return CHECK_WORD(pl_class_words);
    case PL_AXIS_EXTERNAL:
        return check_external(ini, key, error);
    case PL_AXIS_MAPPING:
        return CHECK_WORD(pl_mapping_words);
    case PL_AXIS_FILTERING:
        return CHECK_WORD(pl_filtering_words);
    case PL_AXIS_PORT_ALLOCATION:
        return CHECK_WORD(pl_port_allocation_words);
    case PL_AXIS_PORT_RANGE:
        return pl_port_range_parse(expect->value, &first, &last) ||
               pl_ini_fail(ini, "expect", key, error,
                           "bad range \"%s\" (expected FIRST-LAST, such as 20000-29999)",
                           expect->value);
    case PL_AXIS_PORTS:
        return strcmp(expect->value, "unlimited") == 0 ||
               pl_number_parse(expect->value, 1, 65535, &number) ||
               pl_ini_fail(ini, "expect", key, error,
                           "bad number \"%s\" (expected 1 to 65535, or unlimited)", expect->value);
    case PL_AXIS_POOLING:
        return CHECK_WORD(pl_pooling_words);
    case PL_AXIS_HAIRPIN:
        return CHECK_WORD(pl_hairpin_words);
    case PL_AXIS_UDP_TIMEOUT:
        return pl_ini_duration(ini, "expect", key, 1, 24 * 3600 * PL_NS_PER_S, &number, error);
    case PL_AXIS_INBOUND_REFRESH:
        return CHECK_WORD(yes_words);
    case PL_AXIS_UNSOLICITED:
        return CHECK_WORD(pl_unsolicited_words);
    case PL_AXIS_UDP:
    case PL_AXIS_TCP:
    case PL_AXIS_ICMP:
        return CHECK_WORD(pl_pass_words);
    case PL_AXIS_FORWARDS:
        return CHECK_WORD(ok_word);
    case PL_AXIS_N:
        break;
    }
    g_assert_not_reached();
}

/* Expectations that nobody would ever look at. */
static gboolean check_axis_judged(const PlIni *ini, const char *key, const PlExpect *expect,
                                  GError **error)
{
    const PlNode *node = expect->node;
    const PlBehaviour *behaviour = &node->behaviour;

    if (node->kind == PL_NODE_HOST)
        return !node->moves ||
               pl_ini_fail(ini, "expect", key, error,
                           "host %s moves, and nobody looks at its way out (expected a host that "
                           "stays, or a NAT)",
                           node->name);
    if (expect->axis == PL_AXIS_PORTS &&
        !pl_behaviour_ports(behaviour, pl_nat_outside(node)->addresses->len))
        return pl_ini_fail(ini, "expect", key, error,
                           "nobody counts the ports of nat %s (expected a NAT that gives an inside "
                           "address %u ports or fewer, by block-size or port-range)",
                           node->name, PL_ORACLE_PORTS_MAX);
    if ((expect->axis == PL_AXIS_UDP_TIMEOUT || expect->axis == PL_AXIS_INBOUND_REFRESH) &&
        !pl_behaviour_shows_timeout(behaviour))
        return pl_ini_fail(ini, "expect", key, error,
                           "nobody waits for the timeout of nat %s (expected a NAT where UDP "
                           "expires, with a udp-timeout of %us or less)",
                           node->name, (unsigned)(PL_ORACLE_TIMEOUT_MAX_NS / PL_NS_PER_S));
    if (expect->axis == PL_AXIS_FORWARDS && node->forwards->len == 0)
        return pl_ini_fail(ini, "expect", key, error,
                           "nat %s forwards nothing (expected a NAT with forward)", node->name);
    return TRUE;
}

/* "nothing", or a list. */
static gboolean read_hears(const PlIni *ini, const char *key, PlExpect *expect, GError **error)
{
    if (expect->node->program.word != PL_WORD_LISTEN && expect->node->program.word != PL_WORD_NODE)
        return pl_ini_fail(ini, "expect", key, error,
                           "host %s does not listen (expected a host with run = listen, or node)",
                           expect->node->name);
    if (strcmp(expect->value, "nothing") != 0)
        return pl_ini_list(ini, "expect", key, &expect->hears, error);
    expect->hears = g_new0(char *, 1);
    return TRUE;
}

static gboolean check_program(const PlIni *ini, const char *key, PlExpect *expect, GError **error)
{
    uint64_t status;

    if (expect->kind == PL_EXPECT_UNASKED)
        return pl_build_expect_unasked(ini, key, expect, error);
    if (!expect->node->program.argv)
        return pl_ini_fail(ini, "expect", key, error,
                           "host %s runs nothing (expected a host with run)", expect->node->name);
    if (expect->kind == PL_EXPECT_COUNTER)
        return pl_build_expect_counter(ini, key, expect, error);
    if (expect->kind == PL_EXPECT_EXIT && !pl_number_parse(expect->value, 0, 255, &status))
        return pl_ini_fail(ini, "expect", key, error, "bad exit status \"%s\" (expected 0 to 255)",
                           expect->value);
    return expect->kind != PL_EXPECT_HEARS || read_hears(ini, key, expect, error);
}

/* direct, punched, relayed, relayed(HOST), none, none(REASON) */
static gboolean check_path(const PlTopology *topology, const PlIni *ini, const char *key,
                           const PlExpect *expect, GError **error)
{
    const char *value = expect->value, *open = strchr(value, '(');
    gsize length = strlen(value);
    g_autofree char *word = open ? g_strndup(value, (gsize)(open - value)) : g_strdup(value);
    g_autofree char *inner = NULL;
    const PlNode *via;

    if (open && value[length - 1] == ')')
        inner = g_strndup(open + 1, (gsize)(value + length - 1 - (open + 1)));
    if ((strcmp(word, "direct") == 0 || strcmp(word, "punched") == 0) && !open)
        return TRUE;
    if ((strcmp(word, "relayed") != 0 && strcmp(word, "none") != 0) ||
        (open && (!inner || !*inner)))
        return pl_ini_fail(ini, "expect", key, error,
                           "bad path \"%s\" (expected direct, punched, relayed, relayed(HOST), "
                           "none or none(REASON))",
                           value);
    if (!inner || strcmp(word, "none") == 0)
        return !inner || pl_build_reason(ini, key, inner, error);
    via = pl_topology_node(topology, inner);
    if (!via || via->kind != PL_NODE_HOST)
        return pl_build_no_node(topology, ini, "expect", key, "host", TRUE, FALSE, inner, error);
    if (via == expect->node || via == expect->peer)
        return pl_ini_fail(ini, "expect", key, error,
                           "relayed by one of its ends (expected a third host)");
    return TRUE;
}

/* A -> B, or A -> B.WHAT. */
static gboolean read_pair(const PlTopology *topology, const PlIni *ini, const char *key,
                          const char *subject, PlExpect *expect, GError **error)
{
    const char *arrow = strstr(subject, "->");
    g_autofree char *from = g_strstrip(g_strndup(subject, (gsize)(arrow - subject)));
    g_autofree char *to = g_strstrip(g_strdup(arrow + 2));
    char *dot = strchr(to, '.');

    if (dot)
        *dot = '\0';
    expect->kind = PL_EXPECT_PATH;
    expect->node = pl_topology_node(topology, from);
    expect->peer = pl_topology_node(topology, to);
    if (!expect->node || expect->node->kind != PL_NODE_HOST)
        return pl_build_no_node(topology, ini, "expect", key, "host", TRUE, FALSE, from, error);
    if (!expect->peer || expect->peer->kind != PL_NODE_HOST)
        return pl_build_no_node(topology, ini, "expect", key, "host", TRUE, FALSE, to, error);
    if (expect->node == expect->peer)
        return pl_ini_fail(ini, "expect", key, error,
                           "a path from a host to itself (expected two hosts)");
    if (dot)
        return pl_build_expect_pair(ini, key, expect, dot + 1, error);
    return check_path(topology, ini, key, expect, error);
}

static gboolean read_finding(const PlTopology *topology, const PlIni *ini, const char *key,
                             const char *subject, PlExpect *expect, GError **error)
{
    const char *dot = strchr(subject, '.');
    g_autofree char *name = dot ? g_strndup(subject, (gsize)(dot - subject)) : NULL;

    if (!dot)
        return pl_ini_fail(ini, "expect", key, error,
                           "bad expectation (expected NODE.AXIS, HOST.exit, HOST.output, "
                           "HOST.hears, HOST.unasked, HOST.COUNTER, HOST -> HOST or HOST -> "
                           "HOST.health, reason, heard, "
                           "lost, doubled, disordered or first-byte)");
    expect->node = pl_topology_node(topology, name);
    if (!expect->node)
        return pl_build_no_node(topology, ini, "expect", key, "node", TRUE, TRUE, name, error);
    if (!check_axis_known(ini, key, expect, dot + 1, error))
        return FALSE;
    if (expect->kind != PL_EXPECT_AXIS)
        return check_program(ini, key, expect, error);
    return check_axis_value(ini, key, expect, error) && check_axis_judged(ini, key, expect, error);
}

/* Who has a time has it for a path, or a health. */
static gboolean check_when(const PlIni *ini, const PlExpect *expect, GError **error)
{
    if (expect->when == PL_WHEN_END || expect->kind == PL_EXPECT_PATH ||
        expect->kind == PL_EXPECT_HEALTH || expect->kind == PL_EXPECT_REASON)
        return TRUE;
    return pl_ini_fail(ini, "expect", expect->key, error,
                       "this is known at the end only (expected a time behind HOST -> HOST or "
                       "HOST -> HOST.health or .reason)");
}

static gboolean read_expect(const PlTopology *topology, const PlIni *ini, const char *key,
                            PlExpect *expect, GError **error)
{
    g_autofree char *subject = pl_build_when(topology, ini, key, expect, error);

    return subject &&
           (strstr(subject, "->") ? read_pair(topology, ini, key, subject, expect, error)
                                  : read_finding(topology, ini, key, subject, expect, error)) &&
           check_when(ini, expect, error);
}

/* Two spellings of one path, "a -> b" and "a->b", are one key to a reader. */
static gboolean is_doubled(const PlTopology *topology, const PlExpect *expect)
{
    for (unsigned i = 0; i + 1 < topology->expects->len; i++) {
        const PlExpect *other = g_ptr_array_index(topology->expects, i);

        if (expect->kind == PL_EXPECT_PATH && other->kind == PL_EXPECT_PATH &&
            expect->when == PL_WHEN_END && other->when == PL_WHEN_END &&
            expect->node == other->node && expect->peer == other->peer)
            return TRUE;
    }
    return FALSE;
}

gboolean pl_build_expects(PlTopology *topology, const PlIni *ini, GError **error)
{
    g_autofree const char **keys = pl_ini_keys(ini, "expect");

    for (unsigned i = 0; keys[i]; i++) {
        const char *value;
        PlExpect *expect;

        if (!pl_ini_need(ini, "expect", keys[i], "what should be found", &value, error))
            return FALSE;
        expect = g_new0(PlExpect, 1);
        g_ptr_array_add(topology->expects, expect);
        expect->key = g_strdup(keys[i]);
        expect->value = g_strdup(value);
        if (!read_expect(topology, ini, keys[i], expect, error))
            return FALSE;
        if (is_doubled(topology, expect))
            return pl_ini_fail(ini, "expect", keys[i], error,
                               "this path stands twice (expected once)");
    }
    return TRUE;
}
