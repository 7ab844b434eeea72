/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How two hosts' packets reached each other; see path.h. */
#include "capture/path.h"

#include <string.h>

#include "capture/ends.h"
#include "capture/path_private.h"

/* From one of the two to the other. */
#define PASSAGE_MAX_NS (2 * G_GUINT64_CONSTANT(1000000000))
/* Who is silent for longer than this no longer uses the path: idle ones are kept alive by a packet
 * every 25 s. */
#define SILENT_NS (30 * G_GUINT64_CONSTANT(1000000000))
/* What a relay puts around a packet is no longer. */
#define AROUND_MAX 96
/* So many in each direction; one pair of packets can be a coincidence. */
#define RELAYED_MIN 2

/* What is remembered of a payload on its way. */
typedef struct Sent {
    uint64_t time_ns;
    guint end;
} Sent;

typedef struct Judge {
    const PlPathQuery *query;
    GArray *passed;     /* PlPassed, in order of time */
    GHashTable *on_way; /* GBytes -> Sent */
    PlEnds *addressed;  /* gboolean, by (end, remote host): it has sent there */
    uint64_t last[2];   /* when a packet arrived straight at end i; 0: none has */
    uint64_t over;      /* the last packet of both */
    PlPathEvidence *found;
} Judge;

gboolean pl_path_has_address(const GArray *addresses, const PhAddress *address)
{
    for (guint i = 0; i < addresses->len; i++)
        if (ph_address_equal_host(&g_array_index(addresses, PhAddress, i), address))
            return TRUE;
    return FALSE;
}

static gboolean find_interface(const PlCapture *capture, const char *name, guint *ret_interface,
                               GError **error)
{
    for (guint i = 0; i < capture->interfaces->len; i++) {
        const PlCaptureInterface *interface =
            &g_array_index(capture->interfaces, PlCaptureInterface, i);

        if (strcmp(interface->name, name) == 0) {
            *ret_interface = i;
            return TRUE;
        }
    }
    g_set_error(error, PL_ERROR, PL_ERROR_INPUT, "the capture has no interface %s", name);
    return FALSE;
}

static gboolean decode_udp(const PlFrame *frame, PlPacket *ret_packet)
{
    return pl_packet_decode(frame->data, frame->length, ret_packet) &&
           ret_packet->protocol == PL_PACKET_UDP;
}

gboolean pl_path_collect(const PlCapture *capture, const PlPathQuery *query, GArray *passed,
                         GError **error)
{
    guint interfaces[2], beside[2];

    for (guint end = 0; end < 2; end++) {
        const PlPathEnd *at = &query->ends[end];

        if (!find_interface(capture, at->interface, &interfaces[end], error) ||
            !find_interface(capture, at->beside ? at->beside : at->interface, &beside[end], error))
            return FALSE;
    }
    for (guint i = 0; i < capture->frames->len; i++) {
        const PlFrame *frame = &g_array_index(capture->frames, PlFrame, i);
        PlPassed entry = {.time_ns = frame->time_ns};

        if ((frame->interface != interfaces[0] && frame->interface != interfaces[1] &&
             frame->interface != beside[0] && frame->interface != beside[1]) ||
            !decode_udp(frame, &entry.packet))
            continue;
        for (entry.end = 0; entry.end < 2; entry.end++) {
            const GArray *addresses = query->ends[entry.end].addresses;

            entry.outgoing = pl_path_has_address(addresses, &entry.packet.source);
            if ((frame->interface == interfaces[entry.end] ||
                 frame->interface == beside[entry.end]) &&
                (entry.outgoing || pl_path_has_address(addresses, &entry.packet.destination)))
                g_array_append_val(passed, entry);
        }
    }
    return TRUE;
}

/* An end, as a key beside an address. */
static PhAddress end_key(guint end)
{
    return (PhAddress){.port = (uint16_t)(end + 1)};
}

static void on_sent(Judge *judge, const PlPassed *passed)
{
    const PlPacket *packet = &passed->packet;
    PhAddress end = end_key(passed->end), remote = pl_ends_host(&packet->destination);
    Sent *sent;

    pl_ends_need(judge->addressed, sizeof(gboolean), &end, &remote, NULL, NULL);
    if (packet->mark_length < MARK_MIN)
        return;
    sent = g_new(Sent, 1);
    *sent = (Sent){passed->time_ns, passed->end};
    g_hash_table_replace(judge->on_way, g_bytes_new_static(packet->mark, packet->mark_length),
                         sent);
}

static void on_arrived(Judge *judge, const PlPassed *passed)
{
    const PlPacket *packet = &passed->packet;
    g_autoptr(GBytes) mark = g_bytes_new_static(packet->mark, packet->mark_length);
    const Sent *sent =
        packet->mark_length < MARK_MIN ? NULL : g_hash_table_lookup(judge->on_way, mark);
    PhAddress end = end_key(passed->end), remote = pl_ends_host(&packet->source);

    if (!sent || sent->end == passed->end || passed->time_ns - sent->time_ns > PASSAGE_MAX_NS)
        return;
    judge->found->straight[sent->end]++;
    judge->found->own &=
        pl_path_has_address(judge->query->ends[sent->end].addresses, &packet->source);
    judge->last[passed->end] = passed->time_ns;
    judge->found->dialled |= pl_ends_find(judge->addressed, &end, &remote, NULL) == NULL;
}

static gboolean is_straight(const Judge *judge)
{
    for (guint end = 0; end < 2; end++)
        if (!judge->found->straight[end] || judge->over - judge->last[!end] > SILENT_NS)
            return FALSE;
    return TRUE;
}

/* Whether `in` can be what a relay made of `out`. */
static gboolean can_be_relayed(const Judge *judge, const PlPassed *out, const PlPassed *in)
{
    size_t a = out->packet.mark_length, b = in->packet.mark_length;
    size_t around = judge->query->same_length ? 0 : AROUND_MAX;

    return in->time_ns - out->time_ns <= RELAY_MAX_NS && (a > b ? a - b : b - a) <= around;
}

/* Packets that `end` sent to the relay, and each of which one from there to the other follows; when
 * the last did. */
static guint count_relayed(const Judge *judge, const PlPathRelay *relay, guint end,
                           uint64_t *ret_last_ns)
{
    guint n = 0, next = 0;

    for (guint i = 0; i < judge->passed->len; i++) {
        const PlPassed *out = &g_array_index(judge->passed, PlPassed, i);

        if (out->end != end || !out->outgoing ||
            !pl_path_has_address(relay->addresses, &out->packet.destination))
            continue;
        for (guint k = MAX(next, i + 1); k < judge->passed->len; k++) {
            const PlPassed *in = &g_array_index(judge->passed, PlPassed, k);

            if (in->time_ns - out->time_ns > RELAY_MAX_NS)
                break;
            if (in->end == end || in->outgoing ||
                !pl_path_has_address(relay->addresses, &in->packet.source) ||
                !can_be_relayed(judge, out, in))
                continue;
            next = k + 1;
            n++;
            *ret_last_ns = in->time_ns;
            break;
        }
    }
    return n;
}

/* Of several it is the one that was in use last. */
static void judge_relays(Judge *judge)
{
    const PlPathQuery *query = judge->query;
    uint64_t latest = 0;

    for (guint i = 0; i < query->n_relays; i++) {
        uint64_t last[2] = {0};

        if (count_relayed(judge, &query->relays[i], 0, &last[0]) < RELAYED_MIN ||
            count_relayed(judge, &query->relays[i], 1, &last[1]) < RELAYED_MIN ||
            MIN(last[0], last[1]) <= latest)
            continue;
        latest = MIN(last[0], last[1]);
        judge->found->seen = PL_PATH_RELAYED;
        judge->found->relay = &query->relays[i];
    }
}

static void judge_passed(Judge *judge)
{
    for (guint i = 0; i < judge->passed->len; i++) {
        const PlPassed *passed = &g_array_index(judge->passed, PlPassed, i);

        judge->over = passed->time_ns;
        if (passed->outgoing)
            on_sent(judge, passed);
        else
            on_arrived(judge, passed);
    }
    if (is_straight(judge))
        judge->found->seen = PL_PATH_STRAIGHT;
    else
        judge_relays(judge);
}

gboolean pl_path_judge(const PlCapture *capture, const PlPathQuery *query,
                       PlPathEvidence *ret_evidence, GError **error)
{
    g_autoptr(GArray) passed = g_array_new(FALSE, FALSE, sizeof(PlPassed));
    PlPathEvidence found = {.seen = PL_PATH_NOTHING, .own = TRUE};
    Judge judge = {.query = query, .passed = passed, .found = &found};

    if (!pl_path_collect(capture, query, passed, error))
        return FALSE;
    judge.on_way =
        g_hash_table_new_full(g_bytes_hash, g_bytes_equal, (GDestroyNotify)g_bytes_unref, g_free);
    judge.addressed = pl_ends_new();
    judge_passed(&judge);
    g_hash_table_unref(judge.on_way);
    g_hash_table_unref(judge.addressed);
    *ret_evidence = found;
    return TRUE;
}

gboolean pl_path_unasked(const PlCapture *capture, const PlPathEnd *host, guint *ret_packets,
                         PhAddress *ret_first, GError **error)
{
    const PlPathQuery query = {.ends = {*host, *host}};
    g_autoptr(GArray) passed = g_array_new(FALSE, FALSE, sizeof(PlPassed));
    g_autoptr(GHashTable) asked = pl_ends_new();

    if (!pl_path_collect(capture, &query, passed, error))
        return FALSE;
    *ret_packets = 0;
    for (guint i = 0; i < passed->len; i++) {
        const PlPassed *entry = &g_array_index(passed, PlPassed, i);
        const PlPacket *packet = &entry->packet;
        PhAddress remote = pl_ends_host(entry->outgoing ? &packet->destination : &packet->source);

        if (entry->end != 0)
            continue; /* the same one again */
        if (entry->outgoing)
            pl_ends_need(asked, sizeof(gboolean), &remote, NULL, NULL, NULL);
        else if (!pl_ends_find(asked, &remote, NULL, NULL) && (*ret_packets)++ == 0)
            *ret_first = packet->source;
    }
    return TRUE;
}

gboolean pl_path_third_party(const PlCapture *capture, const PlPathQuery *query,
                             const PlPathEnd *third, guint *ret_packets, GError **error)
{
    g_autoptr(GArray) passed = g_array_new(FALSE, FALSE, sizeof(PlPassed));
    g_autoptr(GHashTable) sent =
        g_hash_table_new_full(g_bytes_hash, g_bytes_equal, (GDestroyNotify)g_bytes_unref, NULL);
    guint interface;

    if (!pl_path_collect(capture, query, passed, error) ||
        !find_interface(capture, third->interface, &interface, error))
        return FALSE;
    for (guint i = 0; i < passed->len; i++) {
        const PlPassed *entry = &g_array_index(passed, PlPassed, i);

        if (entry->outgoing && entry->packet.mark_length >= MARK_MIN)
            g_hash_table_add(sent,
                             g_bytes_new_static(entry->packet.mark, entry->packet.mark_length));
    }
    *ret_packets = 0;
    for (guint i = 0; i < capture->frames->len; i++) {
        const PlFrame *frame = &g_array_index(capture->frames, PlFrame, i);
        g_autoptr(GBytes) mark = NULL;
        PlPacket packet;

        if (frame->interface != interface || !decode_udp(frame, &packet) ||
            !pl_path_has_address(third->addresses, &packet.destination))
            continue;
        mark = g_bytes_new_static(packet.mark, packet.mark_length);
        *ret_packets += g_hash_table_contains(sent, mark) ? 1 : 0;
    }
    return TRUE;
}

gboolean pl_path_plaintext(const PlCapture *capture, const char *text)
{
    for (guint i = 0; i < capture->frames->len; i++) {
        const PlFrame *frame = &g_array_index(capture->frames, PlFrame, i);
        PlPacket packet;

        if (decode_udp(frame, &packet) &&
            memmem(packet.mark, packet.mark_length, text, strlen(text)))
            return TRUE;
    }
    return FALSE;
}
