/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The evidence checker: pairs the packets of two sides, lets each part judge its axes, and puts
 * together what follows from several of them.
 */
#include "capture/evidence.h"

#include <string.h>

#include "capture/judge.h"

static gboolean is_unicast(const PhAddress *address)
{
    if (address->family == PH_FAMILY_IPV4)
        return (address->bytes[0] & 0xf0) != 0xe0 && address->bytes[3] != 0xff;
    return address->bytes[0] != 0xff;
}

static void collect_user(PlJudge *judge, const PlSeen *inner, const PlSeen *outer)
{
    PhAddress external = pl_ends_host(&outer->packet.source);
    PhAddress inside = pl_ends_host(&inner->packet.source);
    PhAddress port = {.port = inner->packet.source.port}, *user;
    gboolean new;

    pl_ends_need(judge->ours, sizeof(gboolean), &external, NULL, NULL, NULL);
    user = pl_ends_need(judge->users, sizeof(*user), &port, NULL, NULL, &new);
    if (new)
        *user = inside;
    else if (!ph_address_equal(user, &inside))
        *user = (PhAddress){0};
}

/* The outside's addresses, who uses which inside port, and which packets did not come in. */
static void collect(PlJudge *judge)
{
    const GArray *external = judge->query->external;

    for (guint i = 0; external && i < external->len; i++) {
        PhAddress host = pl_ends_host(&g_array_index(external, PhAddress, i));

        pl_ends_need(judge->ours, sizeof(gboolean), &host, NULL, NULL, NULL);
    }
    for (guint i = 0; i < judge->seen->len; i++) {
        const PlSeen *seen = pl_seen(judge->seen, i), *inner;
        const PlPacket *packet = &seen->packet;

        if (pl_judge_outbound(judge, seen, &inner)) {
            collect_user(judge, inner, seen);
        } else if (seen->outside && seen->partner == PL_NO_PARTNER && !seen->unsure &&
                   packet->protocol == PL_PACKET_UDP) {
            gboolean new;
            guint *early = pl_ends_need(judge->early, sizeof(*early), &packet->source,
                                        &packet->destination, NULL, &new);

            if (new)
                *early = i;
        }
    }
}

static gint compare_addresses(gconstpointer a, gconstpointer b)
{
    return ph_address_compare(a, b);
}

static void judge_external(const PlJudge *judge, PlFindings *findings)
{
    g_autoptr(GArray) addresses = g_array_new(FALSE, FALSE, sizeof(PhAddress));
    g_autoptr(GString) text = g_string_new(NULL);
    PlEnds *known = pl_ends_new();

    for (guint i = 0; i < judge->seen->len; i++) {
        const PlSeen *outer = pl_seen(judge->seen, i), *inner;
        PhAddress host;
        gboolean new;

        if (!pl_judge_outbound(judge, outer, &inner) || (outer->unsure && judge->query->host))
            continue;
        host = pl_ends_host(&outer->packet.source);
        pl_ends_need(known, sizeof(gboolean), &host, NULL, NULL, &new);
        if (new)
            g_array_append_val(addresses, host);
    }
    g_hash_table_unref(known);
    g_array_sort(addresses, compare_addresses);
    for (guint i = 0; i < addresses->len; i++) {
        char buffer[PH_ADDRESS_TEXT_MAX];

        g_string_append_printf(text, "%s%s", i ? ", " : "",
                               ph_address_format(&g_array_index(addresses, PhAddress, i), buffer));
    }
    pl_findings_set(findings, PL_AXIS_EXTERNAL, text->len ? text->str : NULL,
                    text->len ? NULL : "no UDP packet crossed outwards");
}

/* Blocked is what stays inside while other protocols cross. Returns whether it is. */
static gboolean judge_udp(const PlJudge *judge, PlFindings *findings)
{
    const PhAddress *host = judge->query->host;
    gboolean crossed = FALSE, kept = FALSE, others = FALSE, blocked;

    for (guint i = 0; i < judge->seen->len; i++) {
        const PlSeen *inner = pl_seen(judge->seen, i);
        gboolean udp = inner->packet.protocol == PL_PACKET_UDP;

        if (inner->outside || (host && !ph_address_equal_host(&inner->packet.source, host)))
            continue;
        if (inner->partner != PL_NO_PARTNER && inner->outbound) {
            crossed |= udp;
            others |= !udp;
        } else if (inner->partner == PL_NO_PARTNER && udp) {
            kept |= is_unicast(&inner->packet.destination) &&
                    !pl_judge_is_ours(judge, &inner->packet.destination);
        }
    }
    blocked = !crossed && kept && others;
    if (crossed || blocked)
        pl_findings_set(findings, PL_AXIS_UDP,
                        pl_pass_name(crossed ? PL_PASS_YES : PL_PASS_BLOCKED), NULL);
    else
        pl_findings_set(findings, PL_AXIS_UDP, NULL,
                        kept ? "nothing crossed outwards at all" : "no UDP packet was sent");
    return blocked;
}

/* A host that nothing lies in front of. */
static void judge_open(const PlJudge *judge, PlFindings *findings)
{
    const PhAddress *host = judge->query->host;
    const char *why = host ? "no UDP packet was sent" : "no host was named";
    char buffer[PH_ADDRESS_TEXT_MAX];
    PhAddress address;

    for (guint i = 0; host && i < judge->seen->len; i++) {
        const PlPacket *packet = &pl_seen(judge->seen, i)->packet;

        if (packet->protocol != PL_PACKET_UDP || !ph_address_equal_host(&packet->source, host))
            continue;
        address = pl_ends_host(host);
        pl_findings_set(findings, PL_AXIS_EXTERNAL, ph_address_format(&address, buffer), NULL);
        pl_findings_set(findings, PL_AXIS_MAPPING, pl_mapping_name(PL_MAPPING_NONE), NULL);
        pl_findings_set(findings, PL_AXIS_UDP, pl_pass_name(PL_PASS_YES), NULL);
        return;
    }
    pl_findings_set(findings, PL_AXIS_EXTERNAL, NULL, why);
    pl_findings_set(findings, PL_AXIS_MAPPING, NULL, why);
    pl_findings_set(findings, PL_AXIS_UDP, NULL, why);
}

/* The word that is the only one possible; -1: there is none. */
static int only(unsigned possible)
{
    return possible && (possible & (possible - 1)) == 0 ? g_bit_nth_lsf(possible, -1) : -1;
}

static void judge_class(const PlJudge *judge, gboolean blocked, PlFindings *findings)
{
    int mapping = only(judge->mapping), filtering = only(judge->filtering);
    const char *class = NULL;

    if (blocked)
        class = "udp-blocked";
    else if (judge->mapping && !(judge->mapping & ~PL_JUDGE_DEPENDENT))
        class = pl_class_name(PL_MAPPING_ADDRESS_AND_PORT_DEPENDENT,
                              PL_FILTERING_ADDRESS_AND_PORT_DEPENDENT);
    else if (mapping >= 0 && filtering >= 0)
        class = pl_class_name((PlMapping)mapping, (PlFiltering)filtering);
    pl_findings_set(findings, PL_AXIS_CLASS, class,
                    class         ? NULL
                    : mapping < 0 ? "the mapping is not known"
                                  : "the filtering is not known");
}

gboolean pl_evidence_judge(const PlCapture *capture, const PlEvidenceQuery *query,
                           PlFindings *ret_findings, GError **error)
{
    g_autoptr(GArray) seen = pl_crossings(capture, query->inside, query->outside, error);
    PlJudge judge = {.query = query, .seen = seen};
    gboolean blocked = FALSE;

    if (!seen)
        return FALSE;
    judge.ours = pl_ends_new();
    judge.users = pl_ends_new();
    judge.early = pl_ends_new();
    if (g_str_equal(query->inside, query->outside)) {
        judge_open(&judge, ret_findings);
        judge.mapping = ret_findings->value[PL_AXIS_MAPPING] ? PL_JUDGE_BIT(PL_MAPPING_NONE)
                                                             : PL_JUDGE_MAPPINGS;
        pl_judge_filtering(&judge, ret_findings);
    } else {
        collect(&judge);
        judge_external(&judge, ret_findings);
        blocked = judge_udp(&judge, ret_findings);
        pl_judge_mapping(&judge, ret_findings);
        pl_judge_filtering(&judge, ret_findings);
        pl_judge_allocation(&judge, ret_findings);
        pl_judge_strangers(&judge, ret_findings);
    }
    judge_class(&judge, blocked, ret_findings);
    g_hash_table_unref(judge.ours);
    g_hash_table_unref(judge.users);
    g_hash_table_unref(judge.early);
    return TRUE;
}
