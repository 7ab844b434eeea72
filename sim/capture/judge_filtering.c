/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Filtering (RFC 4787 §5), from the packets that came to an external endpoint while it was mapped:
 *
 *   from where                            it crossed                it did not, and a control did
 *   contacted before                      the control               nothing: the mapping may be
 * gone another port of a contacted address   endpoint-independent      address-and-port-dependent
 *                                         or address-dependent
 *   an address never contacted            endpoint-independent      address-dependent or
 *                                                                   address-and-port-dependent
 *
 * Silence is evidence only beside a control: a packet that crossed to the same endpoint shortly
 * before or at any time after. "Contacted" is per external endpoint, since that is what a
 * dependent mapping has one of for each destination.
 */
#include "capture/judge.h"

typedef struct Entry {
    gboolean mapped;
    gboolean forwarded; /* known to be, or reachable before anything went out: no filtering there */
    uint64_t last_ns, control_ns;
    unsigned silent; /* filterings that fit what did not cross, as long as no control has come */
} Entry;

typedef struct Filtering {
    PlJudge *judge;
    PlEnds *entries;   /* Entry, by external endpoint */
    PlEnds *contacted; /* uint64_t: the last time, by (external, remote) and (external, address) */
    gboolean any;      /* a packet that could have told something */
} Filtering;

static void contact(Filtering *filtering, const PhAddress *external, const PhAddress *remote,
                    uint64_t time_ns)
{
    PhAddress host = pl_ends_host(remote);
    PlEnds *contacted = filtering->contacted;

    *(uint64_t *)pl_ends_need(contacted, sizeof(uint64_t), external, remote, NULL, NULL) = time_ns;
    *(uint64_t *)pl_ends_need(contacted, sizeof(uint64_t), external, &host, NULL, NULL) = time_ns;
}

static gboolean is_forwarded(const PlEvidenceQuery *query, uint16_t port)
{
    for (guint i = 0; query->forwarded && i < query->forwarded->len; i++)
        if (g_array_index(query->forwarded, uint16_t, i) == port)
            return TRUE;
    return FALSE;
}

static Entry *need_entry(Filtering *filtering, const PhAddress *external)
{
    gboolean new;
    Entry *entry = pl_ends_need(filtering->entries, sizeof(*entry), external, NULL, NULL, &new);

    if (new) {
        entry->silent = PL_JUDGE_FILTERINGS;
        entry->forwarded = is_forwarded(filtering->judge->query, external->port);
    }
    return entry;
}

static void on_outbound(Filtering *filtering, const PlSeen *outer)
{
    Entry *entry = need_entry(filtering, &outer->packet.source);

    entry->mapped = TRUE;
    entry->last_ns = outer->time_ns;
    contact(filtering, &outer->packet.source, &outer->packet.destination, outer->time_ns);
}

/* The filterings that fit an inbound packet; all of them when it tells nothing. */
static unsigned fits(const Filtering *filtering, const PlSeen *outer, gboolean crossed)
{
    const unsigned ei = PL_JUDGE_BIT(PL_FILTERING_ENDPOINT_INDEPENDENT);
    const unsigned ad = PL_JUDGE_BIT(PL_FILTERING_ADDRESS_DEPENDENT);
    const unsigned apd = PL_JUDGE_BIT(PL_FILTERING_ADDRESS_AND_PORT_DEPENDENT);
    const PhAddress *external = &outer->packet.destination, *remote = &outer->packet.source;
    PhAddress host = pl_ends_host(remote);
    const uint64_t *address;

    if (pl_ends_find(filtering->contacted, external, remote, NULL))
        return PL_JUDGE_FILTERINGS;
    address = pl_ends_find(filtering->contacted, external, &host, NULL);
    if (!address)
        return crossed ? ei : ad | apd;
    if (crossed)
        return ei | ad;
    /* What was contacted long ago may be forgotten though the endpoint lives. */
    return outer->time_ns - *address <= PL_JUDGE_ALIVE_NS ? apd : PL_JUDGE_FILTERINGS;
}

static void on_inbound(Filtering *filtering, const PlSeen *outer, gboolean ours)
{
    gboolean crossed = outer->partner != PL_NO_PARTNER;
    Entry *entry;
    unsigned fitting;

    if (!crossed) {
        entry = pl_ends_find(filtering->entries, &outer->packet.destination, NULL, NULL);
        if (!entry || !entry->mapped || entry->forwarded ||
            outer->time_ns - entry->last_ns > PL_JUDGE_ALIVE_NS)
            return;
        fitting = fits(filtering, outer, FALSE);
        if (entry->control_ns && outer->time_ns - entry->control_ns <= PL_JUDGE_ALIVE_NS)
            filtering->judge->filtering &= fitting;
        else
            entry->silent &= fitting;
        filtering->any |= fitting != PL_JUDGE_FILTERINGS;
        return;
    }
    entry = need_entry(filtering, &outer->packet.destination);
    entry->forwarded |= !entry->mapped;
    if (entry->forwarded || !ours)
        return;
    fitting = fits(filtering, outer, TRUE);
    filtering->any |= fitting != PL_JUDGE_FILTERINGS;
    filtering->judge->filtering &= fitting & entry->silent;
    entry->silent = PL_JUDGE_FILTERINGS;
    entry->control_ns = entry->last_ns = outer->time_ns;
}

/* Whether an inbound packet that crossed went to the host that the query is about. */
static gboolean reached_ours(const PlJudge *judge, const PlSeen *outer)
{
    return !judge->query->host ||
           (outer->partner != PL_NO_PARTNER &&
            ph_address_equal_host(&pl_seen(judge->seen, outer->partner)->packet.destination,
                                  judge->query->host));
}

/* Nothing lies between: every packet that the host's interface sees has reached it. */
static void judge_open(Filtering *filtering)
{
    PlJudge *judge = filtering->judge;
    const PhAddress *host = judge->query->host;

    for (guint i = 0; host && i < judge->seen->len; i++) {
        const PlSeen *seen = pl_seen(judge->seen, i);

        if (seen->packet.protocol != PL_PACKET_UDP)
            continue;
        if (ph_address_equal_host(&seen->packet.source, host)) {
            contact(filtering, &seen->packet.source, &seen->packet.destination, seen->time_ns);
        } else if (ph_address_equal_host(&seen->packet.destination, host)) {
            unsigned fitting = fits(filtering, seen, TRUE);

            filtering->any |= fitting != PL_JUDGE_FILTERINGS;
            judge->filtering &= fitting;
        }
    }
}

static void judge_crossings(Filtering *filtering)
{
    PlJudge *judge = filtering->judge;

    for (guint i = 0; i < judge->seen->len; i++) {
        const PlSeen *outer = pl_seen(judge->seen, i), *inner;

        if (pl_judge_outbound(judge, outer, &inner)) {
            /* Whose an unsure packet is, is not known: with one host asked for, it may be
             * another's. */
            if (!outer->unsure || !judge->query->host)
                on_outbound(filtering, outer);
        } else if (outer->outside && outer->packet.protocol == PL_PACKET_UDP && !outer->unsure &&
                   !outer->outbound) {
            on_inbound(filtering, outer, reached_ours(judge, outer));
        }
    }
}

void pl_judge_filtering(PlJudge *judge, PlFindings *findings)
{
    Filtering filtering = {
        .judge = judge,
        .entries = pl_ends_new(),
        .contacted = pl_ends_new(),
    };
    const char *word = NULL, *why = NULL;

    judge->filtering = PL_JUDGE_FILTERINGS;
    if (g_str_equal(judge->query->inside, judge->query->outside))
        judge_open(&filtering);
    else
        judge_crossings(&filtering);
    for (unsigned i = 0; i < PL_FILTERING_N; i++)
        if (judge->filtering == PL_JUDGE_BIT(i))
            word = pl_filtering_name(i);
    if (!judge->filtering)
        why = "mixed: packets alike were let in and kept out";
    else if (judge->filtering != PL_JUDGE_FILTERINGS)
        why = "no packet came from another port of a contacted address, or from elsewhere";
    else if (filtering.any)
        why = "packets were kept out, and none came that had to be let in";
    else
        why = "no packet came from an endpoint that was not contacted";
    pl_findings_set(findings, PL_AXIS_FILTERING, word, word ? NULL : why);
    g_hash_table_unref(filtering.entries);
    g_hash_table_unref(filtering.contacted);
}
