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
static void choose_ports(const Survey *survey, const PlNode *subject, PlProbePlan *plan)
{
    unsigned n = survey->topology->nodes->len, slice = (PORT_LAST - PORT_FIRST + 1) / n;

    plan->seed = draw(survey, subject->index);
    plan->port_first = (uint16_t)(PORT_FIRST + subject->index * slice);
    plan->port_last = (uint16_t)(plan->port_first + slice - 1);
    plan->outside_port = (uint16_t)(PORT_ABOVE + draw(survey, n) % PORTS_ABOVE);
}

static void copy_findings(PlFindings *to, const PlFindings *from)
{
    for (unsigned axis = 0; axis < PL_AXIS_N; axis++)
        pl_findings_set(to, axis, from->value[axis], from->why[axis]);
}

static gboolean probe(const Survey *survey, const PlNode *subject, const PlProbePlan *plan,
                      const PlVantage *inside, const PlVantage *outside, GError **error)
{
    g_autoptr(PlProber) prober = pl_prober_new(plan, survey->engine->now(survey->lab));

    if (!survey->engine->probe(survey->lab, inside, outside, prober, error)) {
        g_prefix_error(error, "probing %s: ", subject->name);
        return FALSE;
    }
    if (survey->certify)
        copy_findings(&pl_verdict_subject(survey->verdict, subject->name)->certified,
                      pl_prober_findings(prober));
    return TRUE;
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
    const PlAttachment *attachment = g_ptr_array_index(host->attachments, 0);
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
    choose_ports(survey, host, &plan);
    return probe(survey, host, &plan, &inside, &outside, error);
}

/* The host to stand on inside a NAT: one that a port is forwarded to, else the first; NULL when
 * there is none. */
static const PlAttachment *inside_host(const PlNode *nat)
{
    const PlNetwork *network = pl_nat_inside(nat)->network;
    const PlAttachment *first = NULL;

    for (unsigned i = 0; i < network->attachments->len; i++) {
        const PlAttachment *attachment = g_ptr_array_index(network->attachments, i);

        if (attachment->node->kind != PL_NODE_HOST)
            continue;
        if (!first)
            first = attachment;
        for (unsigned j = 0; j < nat->forwards->len; j++) {
            PhAddress to = g_array_index(nat->forwards, PlForward, j).inside,
                      own = address_at(attachment, 0);

            if (ph_address_equal_host(&to, &own))
                return attachment;
        }
    }
    return first;
}

static gboolean probe_nat(const Survey *survey, const PlNode *nat, GError **error)
{
    const PlNetwork *network = pl_nat_inside(nat)->network;
    const PlAttachment *host = inside_host(nat);
    PlProbePlan plan = {
        .nat = nat,
        .translated = nat->behaviour.mapping != PL_MAPPING_NONE,
    };
    PlVantage inside = {.host = host ? host->node : NULL, .network = network}, outside;

    for (unsigned i = 0; i < G_N_ELEMENTS(plan.inside); i++)
        plan.inside[i] = host ? address_at(host, i) : network->reserved[2 + i];
    stand_outside(pl_nat_outside(nat)->network, &plan, &outside);
    choose_ports(survey, nat, &plan);
    return probe(survey, nat, &plan, &inside, &outside, error);
}

/* Hosts come first: a NAT's own survey may use up all of its ports. */
gboolean pl_survey_run(const PlTopology *topology, const PlEngine *engine, PlLab *lab,
                       uint64_t seed, gboolean certify, PlVerdict *verdict, GError **error)
{
    const Survey survey = {topology, engine, lab, seed, certify, verdict};

    for (unsigned i = 0; i < topology->nodes->len; i++) {
        const PlNode *node = g_ptr_array_index(topology->nodes, i);

        if (node->kind == PL_NODE_HOST &&
            pl_expected_any(pl_verdict_subject(verdict, node->name)) &&
            !probe_host(&survey, node, error))
            return FALSE;
    }
    for (unsigned i = 0; i < topology->nodes->len; i++) {
        const PlNode *node = g_ptr_array_index(topology->nodes, i);

        if (node->kind != PL_NODE_NAT)
            continue;
        if ((certify && !engine->reset(lab, error)) || !probe_nat(&survey, node, error))
            return FALSE;
    }
    return TRUE;
}
