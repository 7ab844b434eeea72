/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The paths of a run; see paths.h. */
#include "scenario/paths.h"

#include <string.h>

#include "capture/path.h"
#include "capture/points.h"

#define LOOK_NS (20 * G_GUINT64_CONSTANT(1000000))
/* A relayed pair that goes direct after all does so within this, unless both say that they will not
 * even try: a classification takes 3 s where silence has to be waited for. */
#define HOLD_NS (4 * G_GUINT64_CONSTANT(1000000000))

/* ---- claimed ---- */

typedef struct Settling {
    const PlTopology *topology;
    const PlEngine *engine;
    PlLab *lab;
    PlVerdict *verdict;
    gboolean there; /* all say what is expected */
    gboolean hold;  /* one of them has to go on with it to be believed */
} Settling;

/* What one of the two says; to be freed. */
static char *ask(const Settling *settling, const PlNode *host, const PlNode *peer,
                 gboolean *ret_final)
{
    return settling->engine->path(settling->lab, host, peer->program.name, ret_final);
}

/* What is relayed, or is not there at all, may become better, and nobody knows what it is to be
 * where nothing is expected. */
static gboolean may_change(const char *expected)
{
    return !expected || g_str_has_prefix(expected, "relayed") || strcmp(expected, "none") == 0;
}

/* Of one who is not there only he himself can say why, which his start may have been waited for. */
static gboolean is_explained(const Settling *settling, const PlNode *absent, const PlNode *from,
                             const char *expected)
{
    gboolean final;
    g_autofree char *word = NULL;

    if (absent->program.ready != PL_READY_STARTED)
        return TRUE;
    word = ask(settling, absent, from, &final);
    return word && pl_path_agrees(expected, word);
}

static void ask_about(Settling *settling, PlPath *path)
{
    const PlNode *from = pl_topology_node(settling->topology, path->from);
    const PlNode *to = pl_topology_node(settling->topology, path->to);
    const char *expected = path->expected.value;
    g_autofree char *word = NULL;
    gboolean final, final_back = FALSE;

    if (from->program.word != PL_WORD_NODE || to->program.word != PL_WORD_NODE)
        return;
    word = ask(settling, from, to, &final);
    pl_path_finding_set(&path->claimed, word, word ? NULL : "its node knows of no such peer");
    settling->there &= word && (!expected || pl_path_claim_agrees(expected, word));
    if (settling->there && expected && !pl_path_agrees(expected, word))
        settling->there = is_explained(settling, to, from, expected);
    if (final)
        g_free(ask(settling, to, from, &final_back));
    settling->hold |= may_change(expected) && !final_back;
}

static void ask_all(Settling *settling)
{
    const GPtrArray *paths = settling->verdict->paths;

    settling->there = TRUE;
    settling->hold = FALSE;
    for (guint i = 0; i < paths->len; i++)
        ask_about(settling, g_ptr_array_index(paths, i));
}

/* The longest time that one of them may take. */
static uint64_t time_limit(const PlTopology *topology, const PlVerdict *verdict)
{
    uint64_t limit = 0;

    for (guint i = 0; i < verdict->paths->len; i++) {
        const PlPath *path = g_ptr_array_index(verdict->paths, i);

        if (path->claimed.value || path->claimed.why)
            limit = MAX(limit, pl_topology_node(topology, path->from)->program.time_limit_ns);
    }
    return limit;
}

gboolean pl_paths_settle(const PlTopology *topology, const PlEngine *engine, PlLab *lab,
                         PlVerdict *verdict, GError **error)
{
    Settling settling = {topology, engine, lab, verdict, FALSE, FALSE};
    uint64_t start = engine->now(lab), since = start, limit;

    ask_all(&settling);
    limit = time_limit(topology, verdict);
    while (engine->now(lab) - start < limit) {
        if (!settling.there)
            since = engine->now(lab);
        else if (!settling.hold || engine->now(lab) - since >= HOLD_NS)
            break;
        if (!engine->pass(lab, LOOK_NS, error))
            return FALSE;
        ask_all(&settling);
    }
    return TRUE;
}

/* ---- observed ---- */

/* Where it is seen with its own addresses of a family; NULL: it has none. */
static const char *interface_of(const PlTopology *topology, const PlNode *host, uint8_t family)
{
    g_autoptr(GPtrArray) chain = pl_topology_chain_of(topology, host, family);
    const PlAttachment *own = pl_topology_way_out_of(topology, host, family);

    if (!own)
        return NULL;
    return pl_capture_is_point(own) ? own->label
                                    : pl_nat_inside(g_ptr_array_index(chain, 0))->label;
}

static PlPathEnd end_of(const PlTopology *topology, const PlNode *host, const GArray *addresses)
{
    uint8_t family = pl_node_family(host);

    return (PlPathEnd){
        interface_of(topology, host, family), addresses,
        interface_of(topology, host, family == PH_FAMILY_IPV4 ? PH_FAMILY_IPV6 : PH_FAMILY_IPV4)};
}

static gboolean share_nat(const GPtrArray *chain, const GPtrArray *other)
{
    for (guint i = 0; i < chain->len; i++)
        if (g_ptr_array_find((GPtrArray *)other, g_ptr_array_index(chain, i), NULL))
            return TRUE;
    return FALSE;
}

/* Where the two find a third host: NULL when they cannot, or find it at an address that is not its
 * alone. Behind a NAT only a node is found, when it has found them. */
static GArray *found_at(const PlTopology *topology, const PlNode *host, const PlNode *from,
                        const PlNode *to)
{
    g_autoptr(GPtrArray) chain = pl_topology_chain(topology, host);
    g_autoptr(GPtrArray) before_from = pl_topology_chain(topology, from);
    g_autoptr(GPtrArray) before_to = pl_topology_chain(topology, to);
    const GArray *external = pl_topology_external(chain);

    if (chain->len > 0 &&
        (!host->program.relay || share_nat(chain, before_from) || share_nat(chain, before_to)))
        return NULL;
    return external ? g_array_copy((GArray *)external) : pl_host_addresses(topology, host);
}

/* Third hosts that both can reach. */
static GArray *relays_of(const PlTopology *topology, const PlNode *from, const PlNode *to)
{
    GArray *relays = g_array_new(FALSE, FALSE, sizeof(PlPathRelay));

    for (unsigned i = 0; i < topology->nodes->len; i++) {
        const PlNode *node = g_ptr_array_index(topology->nodes, i);
        PlPathRelay relay = {.name = node->name};

        if (node->kind == PL_NODE_HOST && node != from && node != to)
            relay.addresses = found_at(topology, node, from, to);
        if (relay.addresses)
            g_array_append_val(relays, relay);
    }
    return relays;
}

/* At any time. */
static gboolean share_network(const PlTopology *topology, const PlNode *from, const PlNode *to)
{
    for (unsigned i = 0; i < topology->networks->len; i++) {
        const PlNetwork *network = g_ptr_array_index(topology->networks, i);

        if (pl_host_visits(topology, from, network) && pl_host_visits(topology, to, network))
            return TRUE;
    }
    return FALSE;
}

void pl_paths_query_init(PlPathsQuery *query, const PlTopology *topology, const PlNode *from,
                         const PlNode *to)
{
    query->ends[0] = pl_host_addresses(topology, from);
    query->ends[1] = pl_host_addresses(topology, to);
    query->relays = relays_of(topology, from, to);
    query->query = (PlPathQuery){
        .ends = {end_of(topology, from, query->ends[0]), end_of(topology, to, query->ends[1])},
        .relays = (const PlPathRelay *)(const void *)query->relays->data,
        .n_relays = query->relays->len,
        /* docs/protocol.md, "A relay": else what two nodes and their hub say to each other at about
         * the same time looks like it. */
        .same_length = from->program.word == PL_WORD_NODE && to->program.word == PL_WORD_NODE,
    };
}

void pl_paths_query_clear(PlPathsQuery *query)
{
    for (guint i = 0; query->relays && i < query->relays->len; i++)
        g_array_unref((GArray *)g_array_index(query->relays, PlPathRelay, i).addresses);
    for (guint i = 0; i < G_N_ELEMENTS(query->ends); i++)
        g_clear_pointer(&query->ends[i], g_array_unref);
    g_clear_pointer(&query->relays, g_array_unref);
}

static gboolean lets_in(PlVerdict *verdict, const char *name)
{
    const char *filtering = pl_verdict_subject(verdict, name)->observed.value[PL_AXIS_FILTERING];

    return g_strcmp0(filtering, pl_filtering_name(PL_FILTERING_ENDPOINT_INDEPENDENT)) == 0;
}

/* Nobody has looked at all that one that moves has before it: each NAT by itself has to. */
static gboolean all_let_in(const GPtrArray *chain, PlVerdict *verdict)
{
    for (guint i = 0; i < chain->len; i++)
        if (!lets_in(verdict, ((const PlNode *)g_ptr_array_index(chain, i))->name))
            return FALSE;
    return TRUE;
}

/* Whether the wire shows that everybody gets in, in the end. */
static gboolean is_open(const PlTopology *topology, PlVerdict *verdict, const PlNode *host)
{
    g_autoptr(GPtrArray) chain = NULL;

    if (host->moves) {
        chain = pl_topology_chain_from(topology, pl_host_network_at(topology, host, NULL));
        return all_let_in(chain, verdict);
    }
    chain = pl_topology_chain(topology, host);
    return chain->len == 0 || lets_in(verdict, host->name);
}

static gboolean is_blocked(PlVerdict *verdict, const PlNode *host)
{
    const char *class = pl_verdict_subject(verdict, host->name)->observed.value[PL_AXIS_CLASS];

    return g_strcmp0(class, "udp-blocked") == 0;
}

static char *word_for(const PlTopology *topology, PlVerdict *verdict, const PlNode *from,
                      const PlNode *to, const PlPathEvidence *evidence)
{
    gboolean blocked = is_blocked(verdict, from) || is_blocked(verdict, to);

    switch (evidence->seen) {
    case PL_PATH_STRAIGHT:
        /* Between neighbours there is nothing that would have to be opened. */
        return pl_path_word((evidence->own && share_network(topology, from, to)) ||
                                    evidence->dialled || is_open(topology, verdict, from) ||
                                    is_open(topology, verdict, to)
                                ? "direct"
                                : "punched",
                            NULL);
    case PL_PATH_RELAYED:
        return pl_path_word("relayed", evidence->relay->name);
    case PL_PATH_NOTHING:
        break;
    }
    return pl_path_word("none", blocked ? "udp-blocked" : NULL);
}

/* What two nodes say to each other is for nobody else to read. */
static void check_plaintext(const PlCapture *capture, PlVerdict *verdict, const PlNode *from)
{
    g_autofree char *greeting =
        from->program.word == PL_WORD_NODE ? pl_node_greeting(&from->program) : NULL;

    if (greeting && pl_path_plaintext(capture, greeting))
        pl_verdict_reason(verdict, PL_OUTCOME_FAIL, "what host %s says can be read on the wire",
                          from->name);
}

/* Whom nodes have nothing to do with must get nothing of them. */
static gboolean check_third_parties(const PlTopology *topology, const PlCapture *capture,
                                    const PlPathQuery *query, PlVerdict *verdict, GError **error)
{
    for (guint i = 0; i < query->n_relays; i++) {
        const PlPathRelay *other = &query->relays[i];
        const PlNode *host = pl_topology_node(topology, other->name);
        const PlPathEnd third = {.interface = pl_topology_way_out(topology, host)->label,
                                 .addresses = other->addresses};
        guint packets;

        if (host->program.word == PL_WORD_HUB || host->program.word == PL_WORD_NODE)
            continue;
        if (!pl_path_third_party(capture, query, &third, &packets, error))
            return FALSE;
        if (packets > 0)
            pl_verdict_reason(verdict, PL_OUTCOME_FAIL,
                              "host %s got %u packets of two nodes that it has nothing to do with",
                              host->name, packets);
    }
    return TRUE;
}

static gboolean observe(const PlTopology *topology, const PlCapture *capture, PlVerdict *verdict,
                        PlPath *path, GError **error)
{
    const PlNode *from = pl_topology_node(topology, path->from);
    const PlNode *to = pl_topology_node(topology, path->to);
    g_auto(PlPathsQuery) query = {0};
    g_autofree char *word = NULL;
    PlPathEvidence evidence;
    gboolean done;

    pl_paths_query_init(&query, topology, from, to);
    done = pl_path_judge(capture, &query.query, &evidence, error);
    if (done) {
        word = word_for(topology, verdict, from, to, &evidence);
        pl_path_finding_set(&path->observed, word, NULL);
    }
    if (done && from->program.word == PL_WORD_NODE && to->program.word == PL_WORD_NODE) {
        check_plaintext(capture, verdict, from);
        done = check_third_parties(topology, capture, &query.query, verdict, error);
    }
    return done;
}

gboolean pl_paths_observe(const PlTopology *topology, const PlCapture *capture, PlVerdict *verdict,
                          GError **error)
{
    for (guint i = 0; i < verdict->paths->len; i++)
        if (!observe(topology, capture, verdict, g_ptr_array_index(verdict->paths, i), error))
            return FALSE;
    return TRUE;
}
