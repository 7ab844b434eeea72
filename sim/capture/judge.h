/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parts of the evidence checker share: the packets, paired, and who is who. */
#pragma once

#include "capture/crossing.h"
#include "capture/ends.h"
#include "capture/evidence.h"

/* How long after a mapping's last packet it is trusted to live still: no NAT forgets sooner (RFC
 * 4787 REQ-5 wants two minutes, the shortest timeout in labs is two seconds). */
#define PL_JUDGE_ALIVE_NS G_GUINT64_CONSTANT(1000000000)

/* Several words can fit what was seen: bit N is the N-th word of the axis. */
#define PL_JUDGE_BIT(word)  (1u << (word))
#define PL_JUDGE_MAPPINGS   (PL_JUDGE_BIT(PL_MAPPING_N) - 1)
#define PL_JUDGE_FILTERINGS (PL_JUDGE_BIT(PL_FILTERING_N) - 1)
#define PL_JUDGE_DEPENDENT                                                                         \
    (PL_JUDGE_BIT(PL_MAPPING_ADDRESS_DEPENDENT) |                                                  \
     PL_JUDGE_BIT(PL_MAPPING_ADDRESS_AND_PORT_DEPENDENT))

typedef struct PlJudge {
    const PlEvidenceQuery *query;
    GArray *seen;  /* PlSeen */
    PlEnds *ours;  /* the outside's own addresses (without port) */
    PlEnds *users; /* PhAddress, by inside port: the host that uses it; NONE: several do */
    PlEnds *early; /* guint: the first packet (remote, external) that came and did not cross */
    /* Until the parts have judged, all words are possible; none: they contradict each other. */
    unsigned mapping, filtering;
    gboolean poisoned; /* an early packet has taken a mapping's place */
} PlJudge;

/* An outbound UDP packet that crossed, and belongs to the query; *ret_inner is its inside half. */
static inline gboolean pl_judge_outbound(const PlJudge *judge, const PlSeen *outer,
                                         const PlSeen **ret_inner)
{
    const PlSeen *inner;

    if (!outer->outside || outer->partner == PL_NO_PARTNER || !outer->outbound ||
        outer->packet.protocol != PL_PACKET_UDP)
        return FALSE;
    inner = pl_seen(judge->seen, outer->partner);
    if (judge->query->host && !ph_address_equal_host(&inner->packet.source, judge->query->host))
        return FALSE;
    *ret_inner = inner;
    return TRUE;
}

/* Whether two hosts use the port of an inside endpoint: they cannot both have the same outside. */
static inline gboolean pl_judge_contended(const PlJudge *judge, const PhAddress *inside)
{
    PhAddress port = {.port = inside->port};
    const PhAddress *user = pl_ends_find(judge->users, &port, NULL, NULL);

    return user && user->family == PH_FAMILY_NONE;
}

/* Packets are counted: in virtual time one can come after another and at the same time. */
static inline guint pl_judge_order(const PlJudge *judge, const PlSeen *seen)
{
    return (guint)(seen - pl_seen(judge->seen, 0));
}

/* Whether a packet from `remote` had come to `external`, and stayed there, before another one. */
static inline gboolean pl_judge_early(const PlJudge *judge, const PhAddress *remote,
                                      const PhAddress *external, guint order)
{
    const guint *early = pl_ends_find(judge->early, remote, external, NULL);

    return early && *early < order;
}

/* Whether an address is one of the outside's own. */
static inline gboolean pl_judge_is_ours(const PlJudge *judge, const PhAddress *address)
{
    PhAddress host = pl_ends_host(address);

    return pl_ends_find(judge->ours, &host, NULL, NULL) != NULL;
}

/* Each sets its axes of the findings. Mapping comes first, since others rest on it. */
void pl_judge_mapping(PlJudge *judge, PlFindings *findings);
void pl_judge_filtering(PlJudge *judge, PlFindings *findings);
void pl_judge_allocation(PlJudge *judge, PlFindings *findings);
void pl_judge_strangers(PlJudge *judge, PlFindings *findings); /* hairpin and unsolicited */
