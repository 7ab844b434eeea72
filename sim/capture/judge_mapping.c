/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Mapping (RFC 4787 §4.1). Each use of an inside endpoint is held against its latest use towards
 * another address, and against the latest one towards another port of the same address:
 *
 *                      same external endpoint             another one
 *   other address      endpoint-independent               address- or address-and-port-dependent
 *   other port         anything but the last              address-and-port-dependent
 *
 * An external endpoint that differs says something only while the other one is known to live. One
 * that is the same may be so by chance, where ports are random: once is forgiven. One that had to
 * differ, since another inside endpoint had been given just that one by chance, says nothing.
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

/* What was compared: destinations with another address, or with another port. */
enum { ADDRESS, PORT, N_WAYS };

typedef enum {
    UNKNOWN,
    SAME,
    DIFFERENT,
    MIXED,
} Outcome;

typedef struct Endpoint {
    PhAddress inside;
    Uses uses;
    gboolean plain, translated;
    guint n_same[N_WAYS], n_different[N_WAYS];
    gboolean poisoned[N_WAYS]; /* another external endpoint, but only after an early packet */
} Endpoint;

/* What of one (inside, destination, external) was counted already, that it counts but once. */
typedef struct Counted {
    gboolean way[N_WAYS];
} Counted;

typedef struct Mapping {
    PlJudge *judge;
    GPtrArray *endpoints; /* Endpoint, in order of appearance, borrowed */
    PlEnds *by_inside;    /* Endpoint */
    PlEnds *by_remote;    /* Uses, by (inside, address) */
    PlEnds *counted;      /* Counted */
    PlEnds *first;        /* guint: the first packet (inside, remote) that went out */
    PlEnds *taken;        /* PhAddress, by (external, remote): the inside endpoint that has it */
} Mapping;

/* Whether a packet from `remote` came to `external`, and stayed there, before the endpoint's first
 * packet to it. */
static gboolean was_early(const Mapping *mapping, const Endpoint *endpoint, const PhAddress *remote,
                          const PhAddress *external)
{
    const guint *first = pl_ends_find(mapping->first, &endpoint->inside, remote, NULL);

    return first && pl_judge_early(mapping->judge, remote, external, *first);
}

/* It takes the lab so long, at most, to have a NAT forget. */
#define FORGETTING_NS (PL_JUDGE_ALIVE_NS / 5)

static gboolean forgot_between(const Mapping *mapping, const Use *before, const Use *use)
{
    const GArray *forgot = mapping->judge->query->forgot;

    for (guint i = 0; forgot && i < forgot->len; i++) {
        uint64_t done = g_array_index(forgot, uint64_t, i);

        if (before->time_ns <= done && use->time_ns + FORGETTING_NS >= done)
            return TRUE;
    }
    return FALSE;
}

/* Whether somebody else had got an external endpoint towards a destination, and not by keeping its
 * port: then it is chance that it was that one. */
static gboolean was_taken(const Mapping *mapping, const Endpoint *endpoint,
                          const PhAddress *external, const PhAddress *destination)
{
    const PhAddress *taken = pl_ends_find(mapping->taken, external, destination, NULL);

    return taken && !ph_address_equal(taken, &endpoint->inside) && taken->port != external->port;
}

static void compare(const Mapping *mapping, Endpoint *endpoint, const Use *before, const Use *use,
                    int way, Counted *counted)
{
    gboolean same = ph_address_equal(&before->external, &use->external);

    if (before->destination.family == PH_FAMILY_NONE || counted->way[way] ||
        (!same && (use->time_ns - before->time_ns > PL_JUDGE_ALIVE_NS ||
                   forgot_between(mapping, before, use))))
        return;
    if (same)
        endpoint->n_same[way]++;
    else if (was_taken(mapping, endpoint, &before->external, &use->destination) ||
             was_taken(mapping, endpoint, &use->external, &before->destination))
        ;
    else if (was_early(mapping, endpoint, &use->destination, &before->external) ||
             was_early(mapping, endpoint, &before->destination, &use->external))
        endpoint->poisoned[way] = TRUE;
    else
        endpoint->n_different[way]++;
    counted->way[way] = TRUE;
}

/* The latest use that differs from `use`: by host, or by port. */
static Use *latest_other(Uses *uses, const Use *use, int way)
{
    gboolean same = way == ADDRESS
                        ? ph_address_equal_host(&uses->last.destination, &use->destination)
                        : ph_address_equal(&uses->last.destination, &use->destination);

    return same ? &uses->other : &uses->last;
}

static void take(const Mapping *mapping, Endpoint *endpoint, Uses *uses, const Use *use, int way,
                 Counted *counted)
{
    const Use *before = latest_other(uses, use, way);

    compare(mapping, endpoint, before, use, way, counted);
    if (before == &uses->last)
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
        g_ptr_array_add(mapping->endpoints, endpoint);
    }
    return endpoint;
}

/* Whichever host the query is about. */
static void take_external(const Mapping *mapping, const PlSeen *outer)
{
    if (outer->outside && outer->partner != PL_NO_PARTNER && outer->outbound &&
        outer->packet.protocol == PL_PACKET_UDP && !outer->unsure)
        *(PhAddress *)pl_ends_need(mapping->taken, sizeof(PhAddress), &outer->packet.source,
                                   &outer->packet.destination, NULL, NULL) =
            pl_seen(mapping->judge->seen, outer->partner)->packet.source;
}

static void observe(Mapping *mapping, const PlSeen *inner, const PlSeen *outer)
{
    Use use = {outer->packet.destination, outer->packet.source, outer->time_ns};
    PhAddress host = pl_ends_host(&use.destination);
    Endpoint *endpoint = need_endpoint(mapping, &inner->packet.source);
    const PhAddress *inside = &endpoint->inside;
    Uses *by_remote = pl_ends_need(mapping->by_remote, sizeof(Uses), inside, &host, NULL, NULL);
    Counted *counted = pl_ends_need(mapping->counted, sizeof(Counted), inside, &use.destination,
                                    &use.external, NULL);
    gboolean new;
    guint *first =
        pl_ends_need(mapping->first, sizeof(guint), inside, &use.destination, NULL, &new);

    if (new)
        *first = pl_judge_order(mapping->judge, inner);
    if (ph_address_equal(inside, &use.external))
        endpoint->plain = TRUE;
    else
        endpoint->translated = TRUE;
    take(mapping, endpoint, &endpoint->uses, &use, ADDRESS, counted);
    take(mapping, endpoint, by_remote, &use, PORT, counted);
}

/* Of all endpoints together. One external endpoint that is the same among several that differ, or
 * one in eight, is chance; one that differs among others that do not is not. */
static Outcome weigh(guint n_same, guint n_different)
{
    if (!n_same && !n_different)
        return UNKNOWN;
    if (!n_different)
        return SAME;
    if (!n_same || (n_same == 1 && n_different >= 2) || n_same <= n_different / 8)
        return DIFFERENT;
    return MIXED;
}

static unsigned possible(Outcome address, Outcome port)
{
    const unsigned ei = PL_JUDGE_BIT(PL_MAPPING_ENDPOINT_INDEPENDENT);
    const unsigned ad = PL_JUDGE_BIT(PL_MAPPING_ADDRESS_DEPENDENT);
    const unsigned apd = PL_JUDGE_BIT(PL_MAPPING_ADDRESS_AND_PORT_DEPENDENT);
    unsigned by_address = address == SAME        ? ei
                          : address == DIFFERENT ? ad | apd
                          : address == MIXED     ? 0
                                                 : ei | ad | apd;
    unsigned by_port = port == SAME        ? ei | ad
                       : port == DIFFERENT ? apd
                       : port == MIXED     ? 0
                                           : ei | ad | apd;

    return by_address & by_port;
}

/*
 * A host's mappings differ among themselves where its ports meet those of another host: to the one
 * who asks it is as dependent as its most dependent endpoint.
 */
static unsigned most_dependent(const Mapping *mapping)
{
    PlMapping most = PL_MAPPING_ENDPOINT_INDEPENDENT;

    for (guint i = 0; i < mapping->endpoints->len; i++) {
        const Endpoint *endpoint = g_ptr_array_index(mapping->endpoints, i);

        if (endpoint->poisoned[ADDRESS] || endpoint->poisoned[PORT])
            continue;
        if (endpoint->n_different[PORT])
            most = PL_MAPPING_ADDRESS_AND_PORT_DEPENDENT;
        else if (endpoint->n_different[ADDRESS])
            most = MAX(most, PL_MAPPING_ADDRESS_DEPENDENT);
    }
    return PL_JUDGE_BIT(most);
}

/* Adds up what the endpoints say that can be trusted. */
static void sum_up(Mapping *mapping, const char **ret_why)
{
    guint n_same[N_WAYS] = {0}, n_different[N_WAYS] = {0};
    guint n_plain = 0, n_translated = 0, n_contended = 0, n_poisoned = 0;
    PlJudge *judge = mapping->judge;

    for (guint i = 0; i < mapping->endpoints->len; i++) {
        const Endpoint *endpoint = g_ptr_array_index(mapping->endpoints, i);

        if (pl_judge_contended(judge, &endpoint->inside)) {
            n_contended++;
        } else if (endpoint->poisoned[ADDRESS] || endpoint->poisoned[PORT]) {
            n_poisoned++;
        } else {
            n_plain += endpoint->plain ? 1 : 0;
            n_translated += endpoint->translated ? 1 : 0;
            for (int way = 0; way < N_WAYS; way++) {
                n_same[way] += endpoint->n_same[way];
                n_different[way] += endpoint->n_different[way];
            }
        }
    }
    if (n_plain) {
        judge->mapping = n_translated ? 0 : PL_JUDGE_BIT(PL_MAPPING_NONE);
    } else if (n_translated) {
        judge->mapping = possible(weigh(n_same[ADDRESS], n_different[ADDRESS]),
                                  weigh(n_same[PORT], n_different[PORT]));
        if (!judge->mapping && judge->query->host)
            judge->mapping = most_dependent(mapping);
    } else if (n_poisoned) {
        *ret_why = "an early packet had come for every inside endpoint";
    } else if (n_contended) {
        *ret_why = "every inside port was used by two hosts";
    }
}

static const char *name_mapping(unsigned mappings, const char **ret_why)
{
    for (unsigned word = 0; word < PL_MAPPING_N; word++)
        if (mappings == PL_JUDGE_BIT(word))
            return pl_mapping_name(word);
    if (*ret_why)
        return NULL;
    if (!mappings)
        *ret_why = "mixed: inside endpoints were mapped in different ways";
    else if (!(mappings & ~PL_JUDGE_DEPENDENT))
        *ret_why = "not endpoint-independent; no address was contacted at two ports at a time";
    else
        *ret_why = "no inside endpoint sent to two addresses at a time";
    return NULL;
}

/* Only where the other endpoints were mapped alike was it the early packet that made the
 * difference. */
static gboolean is_poisoned(const Mapping *mapping)
{
    gboolean ei = mapping->judge->mapping == PL_JUDGE_BIT(PL_MAPPING_ENDPOINT_INDEPENDENT);
    gboolean ad = mapping->judge->mapping == PL_JUDGE_BIT(PL_MAPPING_ADDRESS_DEPENDENT);

    for (guint i = 0; i < mapping->endpoints->len; i++) {
        const Endpoint *endpoint = g_ptr_array_index(mapping->endpoints, i);

        if ((ei && endpoint->poisoned[ADDRESS]) || ((ei || ad) && endpoint->poisoned[PORT]))
            return TRUE;
    }
    return FALSE;
}

void pl_judge_mapping(PlJudge *judge, PlFindings *findings)
{
    g_autoptr(GPtrArray) endpoints = g_ptr_array_new();
    Mapping mapping = {
        .judge = judge,
        .endpoints = endpoints,
        .by_inside = pl_ends_new(),
        .by_remote = pl_ends_new(),
        .counted = pl_ends_new(),
        .first = pl_ends_new(),
        .taken = pl_ends_new(),
    };
    const char *word, *why = NULL;

    for (guint i = 0; i < judge->seen->len; i++) {
        const PlSeen *outer = pl_seen(judge->seen, i), *inner;

        take_external(&mapping, outer);
        if (pl_judge_outbound(judge, outer, &inner) && !outer->unsure)
            observe(&mapping, inner, outer);
    }
    judge->mapping = PL_JUDGE_MAPPINGS;
    sum_up(&mapping, &why);
    word = name_mapping(judge->mapping, &why);
    pl_findings_set(findings, PL_AXIS_MAPPING, word, word ? NULL : why);
    judge->poisoned |= is_poisoned(&mapping);
    g_hash_table_unref(mapping.by_inside);
    g_hash_table_unref(mapping.by_remote);
    g_hash_table_unref(mapping.counted);
    g_hash_table_unref(mapping.first);
    g_hash_table_unref(mapping.taken);
}
