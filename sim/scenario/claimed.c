/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What programs under test say; see claimed.h. */
#include "scenario/claimed.h"

/* What a host says of its whole way out. */
static const PlAxis of_hosts[] = {
    PL_AXIS_CLASS, PL_AXIS_EXTERNAL, PL_AXIS_MAPPING, PL_AXIS_FILTERING, PL_AXIS_UDP,
};

static gboolean says_anything(const PlFindings *claims)
{
    for (PlAxis axis = 0; axis < PL_AXIS_N; axis++)
        if (claims->value[axis] || claims->why[axis])
            return TRUE;
    return FALSE;
}

/* The NAT that it speaks for, or NULL. */
static const PlNode *speaks_for(const PlTopology *topology, PlVerdict *verdict, const PlNode *host)
{
    g_autoptr(GPtrArray) chain = pl_topology_chain(topology, host);
    const PlNode *nat = chain->len == 1 ? g_ptr_array_index(chain, 0) : NULL;

    if (!nat || says_anything(&pl_verdict_subject(verdict, nat->name)->claimed) ||
        pl_verdict_expects_unknown(pl_verdict_subject(verdict, host->name), PL_AXIS_CLASS))
        return NULL;
    return nat;
}

void pl_claimed_fill(const PlTopology *topology, PlVerdict *verdict, const PlNode *host,
                     const PlFindings *claims)
{
    PlFindings *own = &pl_verdict_subject(verdict, host->name)->claimed;
    const PlNode *nat = speaks_for(topology, verdict, host);

    for (gsize i = 0; i < G_N_ELEMENTS(of_hosts); i++)
        pl_findings_set(own, of_hosts[i], claims->value[of_hosts[i]], claims->why[of_hosts[i]]);
    for (PlAxis axis = 0; nat && axis < PL_AXIS_N; axis++) {
        /* A single address is paired with everybody. */
        if (axis != PL_AXIS_POOLING || pl_nat_outside(nat)->addresses->len > 1)
            pl_findings_set(&pl_verdict_subject(verdict, nat->name)->claimed, axis,
                            claims->value[axis], claims->why[axis]);
    }
}
