/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The prober before every NAT and host; see survey.h. */
#include "scenario/survey.h"

#include "scenario/expected.h"
#include "topology/random.h"

typedef struct Survey {
    const PlTopology *topology;
    const PlEngine *engine;
    PlLab *lab;
    uint64_t seed;
    gboolean certify;
    PlVerdict *verdict;
} Survey;

/* Where the ports of runs lie, and above them the one that they share. */
#define PORT_FIRST  20000
#define PORT_LAST   59999
#define PORT_ABOVE  60000
#define PORTS_ABOVE 5000

static gboolean loses(const PlTopology *topology)
{
    for (unsigned i = 0; i < topology->nodes->len; i++) {
        const PlNode *node = g_ptr_array_index(topology->nodes, i);

        for (unsigned k = 0; k < node->attachments->len; k++) {
            const PlLink *link = &((PlAttachment *)g_ptr_array_index(node->attachments, k))->link;

            if (link->loss_ppm || link->loss_mask_bits)
                return TRUE;
        }
    }
    return FALSE;
}

/* The seeds of the two surveys of a run have nothing in common. */
static uint64_t draw(const Survey *survey, unsigned number)
{
    uint64_t state = survey->seed, drawn = 0;

    for (unsigned i = 0; i <= 2 * number + (survey->certify ? 1 : 0); i++)
        drawn = pl_random_next(&state);
    return drawn;
}

/*
 * Every run has ports of its own, or one would find the mappings that another left. The second
 * outside port is the same for all, since only hosts that contact one endpoint compete for a port.
 */
static void fill_plan(const Survey *survey, const PlNode *subject, PlProbePlan *plan)
{
    unsigned n = survey->topology->nodes->len, slice = (PORT_LAST - PORT_FIRST + 1) / n;

    plan->seed = draw(survey, subject->index);
    plan->port_first = (uint16_t)(PORT_FIRST + subject->index * slice);
    plan->port_last = (uint16_t)(plan->port_first + slice - 1);
    plan->outside_port = (uint16_t)(PORT_ABOVE + draw(survey, n) % PORTS_ABOVE);
    plan->lossy = loses(survey->topology);
}

static void copy_findings(PlFindings *to, const PlFindings *from)
{
    for (unsigned axis = 0; axis < PL_AXIS_N; axis++)
        pl_findings_set(to, axis, from->value[axis], from->why[axis]);
}

/* `findings` is NULL when nobody asks for them. */
static gboolean probe(const Survey *survey, const PlNode *subject, const PlProbePlan *plan,
                      const PlVantage *inside, const PlVantage *outside, PlFindings *findings,
                      GError **error)
{
    g_autoptr(PlProber) prober = pl_prober_new(plan, survey->engine->now(survey->lab));

    if (!survey->engine->probe(survey->lab, inside, outside, prober, error)) {
        g_prefix_error(error, "probing %s: ", subject->name);
        return FALSE;
    }
    if (findings)
        copy_findings(findings, pl_prober_findings(prober));
    return TRUE;
}

/* Where what is certified of a node goes; NULL when this survey certifies nothing. */
static PlFindings *certified(const Survey *survey, const PlNode *node)
{
    return survey->certify ? &pl_verdict_subject(survey->verdict, node->name)->certified : NULL;
}

static PhAddress address_at(const PlAttachment *attachment, unsigned i)
{
    if (i >= attachment->addresses->len)
        return (PhAddress){0};
    return g_array_index(attachment->addresses, PhAddress, i);
}

static void stand_outside(const PlNetwork *network, PlProbePlan *plan, PlVantage *ret_vantage)
{
    plan->outside[0] = network->reserved[0];
    plan->outside[1] = network->reserved[1];
    *ret_vantage = (PlVantage){.network = network};
}

static gboolean probe_host(const Survey *survey, const PlNode *host, GError **error)
{
    g_autoptr(GPtrArray) chain = pl_topology_chain(survey->topology, host);
    const PlAttachment *attachment = pl_topology_way_out(survey->topology, host);
    const PlNetwork *network = attachment->network;
    PlProbePlan plan = {
        .inside = {address_at(attachment, 0)},
        .inside_port = host->probe_port,
    };
    PlVantage inside = {.host = host, .network = network}, outside;

    for (unsigned i = 0; i < chain->len; i++) {
        const PlNode *nat = g_ptr_array_index(chain, i);

        plan.translated |= nat->behaviour.mapping != PL_MAPPING_NONE;
        network = pl_nat_outside(nat)->network;
    }
    stand_outside(network, &plan, &outside);
    fill_plan(survey, host, &plan);
    return probe(survey, host, &plan, &inside, &outside, certified(survey, host), error);
}

/* The host to stand on inside a NAT, one that goes out there, and is there to the end: NULL when
 * there is none. */
static const PlAttachment *inside_host(const PlTopology *topology, const PlNode *nat)
{
    const PlNetwork *network = pl_nat_inside(nat)->network;

    for (unsigned i = 0; i < network->attachments->len; i++) {
        const PlAttachment *attachment = g_ptr_array_index(network->attachments, i);

        if (attachment->node->kind == PL_NODE_HOST && !attachment->node->moves &&
            pl_topology_way_out_of(topology, attachment->node, pl_network_family(network)) ==
                attachment)
            return attachment;
    }
    return NULL;
}

/* One of several forwards to an inside address: the first stands for all. */
static gboolean is_first_there(const PlNode *nat, unsigned which)
{
    const PhAddress *inside = &g_array_index(nat->forwards, PlForward, which).inside;

    for (unsigned i = 0; i < which; i++)
        if (ph_address_equal_host(&g_array_index(nat->forwards, PlForward, i).inside, inside))
            return FALSE;
    return TRUE;
}

/* All that lead to where this one does. */
static gboolean probe_forwards_to(const Survey *survey, const PlNode *nat, unsigned which,
                                  PlFindings *findings, GError **error)
{
    const PlForward *forward = &g_array_index(nat->forwards, PlForward, which);
    const PlAttachment *host = pl_nat_forwarded(survey->topology, nat, forward);
    PlProbePlan plan = {.nat = nat, .forwards_only = TRUE};
    PlVantage inside, outside;
    char text[PH_ADDRESS_TEXT_MAX];

    if (!host) {
        g_autofree char *why = g_strdup_printf("%s is no host that the NAT reaches by itself",
                                               ph_address_format(&forward->inside, text));

        pl_findings_set(findings, PL_AXIS_FORWARDS, NULL, why);
        return TRUE;
    }
    inside = (PlVantage){.host = host->node, .network = host->network};
    plan.inside[0] = forward->inside;
    plan.inside[0].port = 0;
    stand_outside(pl_nat_outside(nat)->network, &plan, &outside);
    fill_plan(survey, nat, &plan);
    plan.seed += 1 + which; /* the NAT's own run has had this one */
    return probe(survey, nat, &plan, &inside, &outside, findings, error);
}

/* "ok" when all of them are; else what is said of the first that is not. */
static gboolean probe_forwards(const Survey *survey, const PlNode *nat, GError **error)
{
    PlFindings *result = certified(survey, nat);

    for (unsigned i = 0; i < nat->forwards->len; i++) {
        g_auto(PlFindings) findings = {0};

        if (!is_first_there(nat, i))
            continue;
        if (!probe_forwards_to(survey, nat, i, &findings, error))
            return FALSE;
        if (result)
            pl_findings_set(result, PL_AXIS_FORWARDS, findings.value[PL_AXIS_FORWARDS],
                            findings.why[PL_AXIS_FORWARDS]);
        if (g_strcmp0(findings.value[PL_AXIS_FORWARDS], "ok") != 0)
            return TRUE;
    }
    return TRUE;
}

static gboolean probe_nat(const Survey *survey, const PlNode *nat, GError **error)
{
    const PlNetwork *network = pl_nat_inside(nat)->network;
    const PlAttachment *host = inside_host(survey->topology, nat);
    PlProbePlan plan = {
        .nat = nat,
        .translated = nat->behaviour.mapping != PL_MAPPING_NONE,
    };
    PlVantage inside = {.host = host ? host->node : NULL, .network = network}, outside;

    for (unsigned i = 0; i < G_N_ELEMENTS(plan.inside); i++)
        plan.inside[i] = host ? address_at(host, i) : network->reserved[2 + i];
    stand_outside(pl_nat_outside(nat)->network, &plan, &outside);
    fill_plan(survey, nat, &plan);
    return probe(survey, nat, &plan, &inside, &outside, certified(survey, nat), error);
}

/* Hosts come first: a NAT's own survey may use up all of its ports. */
static gboolean probe_all(const Survey *survey, GError **error)
{
    const GPtrArray *nodes = survey->topology->nodes;

    for (unsigned i = 0; i < nodes->len; i++) {
        const PlNode *node = g_ptr_array_index(nodes, i);

        if (node->kind == PL_NODE_HOST &&
            pl_expected_any(pl_verdict_subject(survey->verdict, node->name)) &&
            !probe_host(survey, node, error))
            return FALSE;
    }
    /* Once for all: what a NAT's own survey leaves is in no other NAT. */
    if (survey->certify && !survey->engine->reset(survey->lab, error))
        return FALSE;
    for (unsigned i = 0; i < nodes->len; i++) {
        const PlNode *node = g_ptr_array_index(nodes, i);

        if (node->kind == PL_NODE_NAT &&
            (!probe_nat(survey, node, error) || !probe_forwards(survey, node, error)))
            return FALSE;
    }
    return TRUE;
}

gboolean pl_survey_run(const PlTopology *topology, const PlEngine *engine, PlLab *lab,
                       uint64_t seed, gboolean certify, PlVerdict *verdict, GError **error)
{
    const Survey survey = {topology, engine, lab, seed, certify, verdict};
    gboolean done = probe_all(&survey, error);

    /* After the second one the lab is taken down, with all that stands in it. */
    if (certify && engine->probed && !engine->probed(lab, done ? error : NULL))
        return FALSE;
    return done;
}
