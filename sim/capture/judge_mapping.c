/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Mapping (RFC 4787 §4.1). Each use of an inside endpoint is held against its latest use towards
 * another address, and against the latest one towards another port of the same address:
 *
 *                      same external endpoint             another one
 *   other address      endpoint-independent               address- or address-and-port-dependent
 *   other port         anything but the last              address-and-port-dependent
 *
 * An external endpoint that differs says something only while the other one is known to live.
 */
#include "capture/judge.h"

typedef struct Use {
    PhAddress destination, external;
    uint64_t time_ns;
} Use;

/* The latest use, and the latest that differs from it in what matters; family NONE: not there. */
typedef struct Uses {
    Use last, other;
} Uses;

typedef struct Endpoint {
    PhAddress inside;
    Uses by_address;
    unsigned possible; /* mappings */
    /* Another external endpoint than for another address, or another port of it, after an early
     * packet. */
    gboolean poisoned_address, poisoned_port;
} Endpoint;

typedef struct Mapping {
    PlJudge *judge;
    GPtrArray *endpoints; /* Endpoint, in order of appearance, borrowed */
    PlEnds *by_inside;    /* Endpoint */
    PlEnds *by_remote;    /* Uses, by (inside, address) */
    PlEnds *early;        /* uint64_t: when the first packet (remote, external) did not cross */
    PlEnds *first;        /* uint64_t: when the first packet (inside, remote) went out */
} Mapping;

static void note_time(PlEnds *ends, const PhAddress *a, const PhAddress *b, uint64_t time_ns)
{
    gboolean new;
    uint64_t *first = pl_ends_need(ends, sizeof(*first), a, b, NULL, &new);

    if (new)
        *first = time_ns;
}

/* Whether a packet from `remote` came to `external`, and stayed there, before the endpoint's first
 * packet to it. */
static gboolean was_early(const Mapping *mapping, const Endpoint *endpoint, const PhAddress *remote,
                          const PhAddress *external)
{
    const uint64_t *early = pl_ends_find(mapping->early, remote, external, NULL);
    const uint64_t *first = pl_ends_find(mapping->first, &endpoint->inside, remote, NULL);

    return early && first && *early < *first;
}

/* What two uses towards different destinations say. TRUE: one of them was poisoned. */
static gboolean compare(const Mapping *mapping, Endpoint *endpoint, const Use *a, const Use *b,
                        unsigned same, unsigned different)
{
    if (a->destination.family == PH_FAMILY_NONE)
        return FALSE;
    if (ph_address_equal(&a->external, &b->external)) {
        endpoint->possible &= same;
        return FALSE;
    }
    if (b->time_ns - a->time_ns > PL_JUDGE_ALIVE_NS)
        return FALSE;
    if (was_early(mapping, endpoint, &b->destination, &a->external) ||
        was_early(mapping, endpoint, &a->destination, &b->external))
        return TRUE;
    endpoint->possible &= different;
    return FALSE;
}

/* The latest use that differs from `use`: by host, or by port. */
static const Use *latest_other(const Uses *uses, const Use *use, gboolean by_host)
{
    gboolean same = by_host ? ph_address_equal_host(&uses->last.destination, &use->destination)
                            : ph_address_equal(&uses->last.destination, &use->destination);

    return same ? &uses->other : &uses->last;
}

static void remember(Uses *uses, const Use *use, gboolean by_host)
{
    if (latest_other(uses, use, by_host) == &uses->last)
        uses->other = uses->last;
    uses->last = *use;
}

static Endpoint *need_endpoint(Mapping *mapping, const PhAddress *inside)
{
    gboolean new;
    Endpoint *endpoint =
        pl_ends_need(mapping->by_inside, sizeof(*endpoint), inside, NULL, NULL, &new);

    if (new) {
        endpoint->inside = *inside;
        endpoint->possible = PL_JUDGE_MAPPINGS;
        g_ptr_array_add(mapping->endpoints, endpoint);
    }
    return endpoint;
}

static void observe(Mapping *mapping, const PlSeen *inner, const PlSeen *outer)
{
    Use use = {outer->packet.destination, outer->packet.source, outer->time_ns};
    PhAddress host = pl_ends_host(&use.destination);
    Endpoint *endpoint = need_endpoint(mapping, &inner->packet.source);
    Uses *by_port =
        pl_ends_need(mapping->by_remote, sizeof(*by_port), &endpoint->inside, &host, NULL, NULL);
    const unsigned none = PL_JUDGE_BIT(PL_MAPPING_NONE);
    const unsigned ei = PL_JUDGE_BIT(PL_MAPPING_ENDPOINT_INDEPENDENT);
    const unsigned ad = PL_JUDGE_BIT(PL_MAPPING_ADDRESS_DEPENDENT);
    const unsigned apd = PL_JUDGE_BIT(PL_MAPPING_ADDRESS_AND_PORT_DEPENDENT);

    note_time(mapping->first, &endpoint->inside, &use.destination, inner->time_ns);
    endpoint->possible &= ph_address_equal(&endpoint->inside, &use.external) ? none : ~none;
    endpoint->poisoned_address |=
        compare(mapping, endpoint, latest_other(&endpoint->by_address, &use, TRUE), &use, none | ei,
                ad | apd);
    endpoint->poisoned_port |=
        compare(mapping, endpoint, latest_other(by_port, &use, FALSE), &use, none | ei | ad, apd);
    remember(&endpoint->by_address, &use, TRUE);
    remember(by_port, &use, FALSE);
}

static void collect_early(Mapping *mapping)
{
    const GArray *seen = mapping->judge->seen;

    for (guint i = 0; i < seen->len; i++) {
        const PlSeen *packet = pl_seen(seen, i);

        if (packet->outside && packet->partner == PL_NO_PARTNER && !packet->unsure &&
            packet->packet.protocol == PL_PACKET_UDP)
            note_time(mapping->early, &packet->packet.source, &packet->packet.destination,
                      packet->time_ns);
    }
}

static const char *name_mapping(unsigned possible, const char **ret_why)
{
    for (unsigned word = 0; word < PL_MAPPING_N; word++)
        if (possible == PL_JUDGE_BIT(word))
            return pl_mapping_name(word);
    if (!possible)
        *ret_why = "mixed: inside endpoints were mapped in different ways";
    else if (!(possible & ~PL_JUDGE_DEPENDENT))
        *ret_why = "not endpoint-independent; no address was contacted at two ports at a time";
    else
        *ret_why = "no inside endpoint sent to two addresses at a time";
    return NULL;
}

static void conclude(Mapping *mapping, PlFindings *findings)
{
    PlJudge *judge = mapping->judge;
    const char *word, *why = NULL;
    guint n_judged = 0, n_contended = 0, n_poisoned = 0;

    for (guint i = 0; i < mapping->endpoints->len; i++) {
        const Endpoint *endpoint = g_ptr_array_index(mapping->endpoints, i);

        if (pl_judge_contended(judge, &endpoint->inside)) {
            n_contended++;
        } else if (endpoint->poisoned_address || endpoint->poisoned_port) {
            n_poisoned++;
        } else {
            n_judged++;
            judge->mapping &= endpoint->possible;
        }
    }
    word = name_mapping(judge->mapping, &why);
    if (!n_judged && n_poisoned)
        why = "an early packet had come for every inside endpoint";
    else if (!n_judged && n_contended)
        why = "every inside port was used by two hosts";
    pl_findings_set(findings, PL_AXIS_MAPPING, word, why);
    /* Only where the other endpoints were mapped alike was it the early packet that made the
     * difference. */
    for (guint i = 0; i < mapping->endpoints->len; i++) {
        const Endpoint *endpoint = g_ptr_array_index(mapping->endpoints, i);
        gboolean ei = judge->mapping == PL_JUDGE_BIT(PL_MAPPING_ENDPOINT_INDEPENDENT);
        gboolean ad = judge->mapping == PL_JUDGE_BIT(PL_MAPPING_ADDRESS_DEPENDENT);

        if ((ei && endpoint->poisoned_address) || ((ei || ad) && endpoint->poisoned_port))
            judge->poisoned = TRUE;
    }
}

void pl_judge_mapping(PlJudge *judge, PlFindings *findings)
{
    g_autoptr(GPtrArray) endpoints = g_ptr_array_new();
    Mapping mapping = {
        .judge = judge,
        .endpoints = endpoints,
        .by_inside = pl_ends_new(),
        .by_remote = pl_ends_new(),
        .early = pl_ends_new(),
        .first = pl_ends_new(),
    };

    judge->mapping = PL_JUDGE_MAPPINGS;
    collect_early(&mapping);
    for (guint i = 0; i < judge->seen->len; i++) {
        const PlSeen *outer = pl_seen(judge->seen, i), *inner;

        if (pl_judge_outbound(judge, outer, &inner) && !outer->unsure)
            observe(&mapping, inner, outer);
    }
    conclude(&mapping, findings);
    g_hash_table_unref(mapping.by_inside);
    g_hash_table_unref(mapping.by_remote);
    g_hash_table_unref(mapping.early);
    g_hash_table_unref(mapping.first);
}
