/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hairpin (RFC 4787 §6): packets that go up on the inside towards one of the outside's own
 * endpoints, and come down again. Unsolicited: packets that come to an outside address without
 * belonging to any mapping; whoever shares that address, and is not on the inside, has mappings
 * that are not seen there.
 */
#include "capture/judge.h"

#define TURN_MAX_NS (2 * G_GUINT64_CONSTANT(1000000000)) /* between up and down */

typedef struct Hairpin {
    PlJudge *judge;
    PlEnds *mapped;    /* gboolean, by external endpoint */
    GHashTable *going; /* PlSeen: the latest packet that went up, by its mark */
    guint n_up, n_internal, n_external;
} Hairpin;

static void on_down(Hairpin *hairpin, const PlSeen *down)
{
    const PlSeen *up = g_hash_table_lookup(hairpin->going, down);

    if (!up || down->time_ns - up->time_ns > TURN_MAX_NS)
        return;
    g_hash_table_remove(hairpin->going, up);
    if (ph_address_equal(&down->packet.source, &up->packet.source))
        hairpin->n_internal++;
    else if (pl_judge_is_ours(hairpin->judge, &down->packet.source))
        hairpin->n_external++;
}

static void on_inside(Hairpin *hairpin, PlSeen *seen)
{
    const PhAddress *host = hairpin->judge->query->host;

    if (!pl_judge_is_ours(hairpin->judge, &seen->packet.destination)) {
        on_down(hairpin, seen);
        return;
    }
    if ((host && !ph_address_equal_host(&seen->packet.source, host)) ||
        !pl_ends_find(hairpin->mapped, &seen->packet.destination, NULL, NULL))
        return;
    hairpin->n_up++;
    g_hash_table_replace(hairpin->going, seen, seen);
}

static void judge_hairpin(PlJudge *judge, PlFindings *findings)
{
    Hairpin hairpin = {
        .judge = judge,
        .mapped = pl_ends_new(),
        .going = g_hash_table_new(pl_seen_mark_hash, pl_seen_mark_equal),
    };
    const char *word = NULL, *why = NULL;

    for (guint i = 0; i < judge->seen->len; i++) {
        PlSeen *seen = pl_seen(judge->seen, i);

        if (seen->packet.protocol != PL_PACKET_UDP)
            continue;
        /* An endpoint is there to be reached once a packet has gone out through it, or come in. */
        if (seen->outside && seen->partner != PL_NO_PARTNER)
            pl_ends_need(hairpin.mapped, sizeof(gboolean),
                         seen->outbound ? &seen->packet.source : &seen->packet.destination, NULL,
                         NULL, NULL);
        else if (!seen->outside && seen->partner == PL_NO_PARTNER)
            on_inside(&hairpin, seen);
    }
    if (judge->mapping == PL_JUDGE_BIT(PL_MAPPING_NONE))
        why = "nothing is translated";
    else if (!hairpin.n_up)
        why = "no packet went up to an external endpoint";
    else if (hairpin.n_internal && hairpin.n_external)
        why = "mixed: packets came back with either source";
    else if (hairpin.n_internal)
        word = pl_hairpin_name(PL_HAIRPIN_INTERNAL_SOURCE);
    else if (hairpin.n_external)
        word = pl_hairpin_name(PL_HAIRPIN_EXTERNAL_SOURCE);
    else
        word = pl_hairpin_name(PL_HAIRPIN_NONE);
    pl_findings_set(findings, PL_AXIS_HAIRPIN, word, why);
    g_hash_table_unref(hairpin.mapped);
    g_hash_table_unref(hairpin.going);
}

/* What came to an outside endpoint and went no further. */
typedef struct Stray {
    uint64_t time_ns;
    gboolean unused; /* no mapping had the endpoint */
} Stray;

typedef struct Unsolicited {
    PlJudge *judge;
    PlEnds *others;   /* gboolean, by external endpoint: that is somebody else's, sooner or later */
    PlEnds *used;     /* gboolean, by external endpoint */
    PlEnds *kept_out; /* Stray, by (remote, external) */
    gboolean dropped; /* a packet came to an endpoint without a mapping, and nothing came of it */
    gboolean rejected;
    gboolean harmless; /* a mapping has used the very endpoints that one came to */
} Unsolicited;

/* What goes out and has not come from the inside is somebody else's. */
static void find_others(const Unsolicited *unsolicited)
{
    const PlJudge *judge = unsolicited->judge;

    for (guint i = 0; i < judge->seen->len; i++) {
        const PlSeen *seen = pl_seen(judge->seen, i);

        if (seen->outside && seen->packet.protocol == PL_PACKET_UDP &&
            seen->partner == PL_NO_PARTNER && pl_judge_is_ours(judge, &seen->packet.source))
            pl_ends_need(unsolicited->others, sizeof(gboolean), &seen->packet.source, NULL, NULL,
                         NULL);
    }
}

/* Whether an external endpoint may be the inside's, as far as is known. */
static gboolean may_be_ours(const Unsolicited *unsolicited, const PhAddress *external)
{
    return pl_judge_is_ours(unsolicited->judge, external) &&
           !pl_ends_find(unsolicited->others, external, NULL, NULL);
}

/* An ICMP error that the NAT itself sent, for a packet that was kept out. */
static gboolean rejects(const Unsolicited *unsolicited, const PlSeen *seen)
{
    return seen->packet.refused && seen->packet.inner_protocol == PL_PACKET_UDP &&
           seen->partner == PL_NO_PARTNER &&
           pl_ends_find(unsolicited->kept_out, &seen->packet.inner_source,
                        &seen->packet.inner_destination, NULL);
}

/* A packet to `remote`: had one from there been taken in, it would have spoilt this endpoint. */
static gboolean is_harmless(const Unsolicited *unsolicited, const PlSeen *outer)
{
    const PlJudge *judge = unsolicited->judge;
    const Stray *stray = pl_ends_find(unsolicited->kept_out, &outer->packet.destination,
                                      &outer->packet.source, NULL);

    return stray && outer->time_ns - stray->time_ns <= PL_JUDGE_ALIVE_NS &&
           judge->mapping == PL_JUDGE_BIT(PL_MAPPING_ENDPOINT_INDEPENDENT) &&
           (stray->unused ||
            judge->filtering == PL_JUDGE_BIT(PL_FILTERING_ADDRESS_AND_PORT_DEPENDENT));
}

static void on_stray(Unsolicited *unsolicited, const PlSeen *seen)
{
    const PlPacket *packet = &seen->packet;
    Stray *stray = pl_ends_need(unsolicited->kept_out, sizeof(Stray), &packet->source,
                                &packet->destination, NULL, NULL);

    stray->time_ns = seen->time_ns;
    stray->unused = !pl_ends_find(unsolicited->used, &packet->destination, NULL, NULL);
    unsolicited->dropped |= stray->unused;
}

static void on_outside(Unsolicited *unsolicited, const PlSeen *seen)
{
    const PlPacket *packet = &seen->packet;

    unsolicited->rejected |= rejects(unsolicited, seen);
    if (packet->protocol != PL_PACKET_UDP)
        return;
    if (may_be_ours(unsolicited, &packet->source)) {
        unsolicited->harmless |= is_harmless(unsolicited, seen);
        pl_ends_need(unsolicited->used, sizeof(gboolean), &packet->source, NULL, NULL, NULL);
    }
    if (may_be_ours(unsolicited, &packet->destination) && seen->partner == PL_NO_PARTNER &&
        !seen->unsure)
        on_stray(unsolicited, seen);
}

/* Silence alone is no evidence: a router that takes a packet in may be as silent. A firewall takes
 * none in. */
static void judge_unsolicited(PlJudge *judge, PlFindings *findings)
{
    Unsolicited unsolicited = {
        .judge = judge, .others = pl_ends_new(), .used = pl_ends_new(), .kept_out = pl_ends_new()};
    const char *word = NULL;

    find_others(&unsolicited);
    for (guint i = 0; i < judge->seen->len; i++) {
        if (pl_seen(judge->seen, i)->outside)
            on_outside(&unsolicited, pl_seen(judge->seen, i));
    }
    if (judge->poisoned)
        word = pl_unsolicited_name(PL_UNSOLICITED_ACCEPT);
    else if (unsolicited.rejected)
        word = pl_unsolicited_name(PL_UNSOLICITED_REJECT);
    else if (unsolicited.harmless ||
             (unsolicited.dropped && judge->mapping == PL_JUDGE_BIT(PL_MAPPING_NONE)))
        word = pl_unsolicited_name(PL_UNSOLICITED_DROP);
    pl_findings_set(findings, PL_AXIS_UNSOLICITED, word,
                    word ? NULL
                    : unsolicited.dropped
                        ? "nothing would have shown that the NAT takes such packets in"
                        : "no packet came to an endpoint without a mapping");
    g_hash_table_unref(unsolicited.others);
    g_hash_table_unref(unsolicited.used);
    g_hash_table_unref(unsolicited.kept_out);
}

void pl_judge_strangers(PlJudge *judge, PlFindings *findings)
{
    judge_hairpin(judge, findings);
    judge_unsolicited(judge, findings);
}
