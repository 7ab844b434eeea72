/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fragments (RFC 4787 REQ-14). Only the first one has ports; what became of it is remembered, and
 * becomes of the others, which come later or have come before. Those that came before are kept, a
 * few of them for a short time. Nothing is put together.
 */
#include <string.h>

#include "model/nat_private.h"

/* RFC 791 §3.2 has 15 s, Linux waits 30 s; who was kept longer than 2 s has lost his first one. */
#define CONTEXT_NS (30 * NS_PER_S)
#define KEPT_NS    (2 * NS_PER_S)
#define CONTEXTS   512
#define KEPT_MAX   256
#define KEPT_BYTES (512u * 1024)

/* What became of a first fragment. */
typedef struct Context {
    PlHost source, destination, new_source, new_destination;
    uint64_t expires_ns;
    uint32_t id;
    uint8_t protocol;
    uint8_t side, to; /* PlSide */
    uint8_t outcome;  /* PlNatOutcome */
} Context;

typedef struct Kept {
    PlDatagram *datagram;
    PlIp ip;
    uint64_t expires_ns;
    PlSide side, to;
} Kept;

struct Fragments {
    Context contexts[CONTEXTS]; /* a ring */
    unsigned next;
    Kept kept[KEPT_MAX]; /* in the order in which they came */
    unsigned n_kept;
    Kept ready[KEPT_MAX]; /* to be polled, from `first` on */
    unsigned first, n_ready;
    uint32_t bytes; /* of both */
};

static Fragments *need(PlNat *nat)
{
    if (!nat->fragments)
        nat->fragments = g_new0(Fragments, 1);
    return nat->fragments;
}

static bool fits(const Context *context, PlSide side, const PlIp *ip)
{
    return context->id == ip->fragment_id && context->protocol == ip->protocol &&
           context->side == side && pl_host_equal(context->source, ip->source) &&
           pl_host_equal(context->destination, ip->destination);
}

static Context *find(Fragments *fragments, PlSide side, const PlIp *ip, uint64_t now)
{
    for (unsigned i = 1; i <= CONTEXTS; i++) {
        Context *context = &fragments->contexts[(fragments->next + CONTEXTS - i) % CONTEXTS];

        if (context->expires_ns <= now)
            break; /* this one and all before it */
        if (fits(context, side, ip))
            return context;
    }
    return NULL;
}

static PlNatOutcome translate(PlNat *nat, const Context *context, uint8_t *bytes, PlIp *ip)
{
    if (context->outcome != PL_NAT_FORWARDED)
        return (PlNatOutcome)context->outcome;
    if (!pl_host_equal(context->new_source, ip->source))
        pl_ip_set_source(bytes, ip, context->new_source, 0);
    if (!pl_host_equal(context->new_destination, ip->destination))
        pl_ip_set_destination(bytes, ip, context->new_destination, 0);
    nat->counters.translated++;
    return PL_NAT_FORWARDED;
}

static void discard(PlNat *nat, Kept *kept)
{
    nat->fragments->bytes -= kept->datagram->length;
    kept->datagram = pl_datagram_free(kept->datagram);
    nat->counters.fragments_lost++;
}

/* Those that waited for this first one are ready; if it went no further, they are lost. */
static void release(PlNat *nat, const Context *context)
{
    Fragments *fragments = nat->fragments;
    unsigned left = 0;

    fragments->n_ready -= fragments->first;
    memmove(fragments->ready, fragments->ready + fragments->first,
            fragments->n_ready * sizeof(*fragments->ready));
    fragments->first = 0;
    for (unsigned i = 0; i < fragments->n_kept; i++) {
        Kept kept = fragments->kept[i];

        if (!fits(context, kept.side, &kept.ip)) {
            fragments->kept[left++] = kept;
        } else if (translate(nat, context, kept.datagram->bytes, &kept.ip) == PL_NAT_FORWARDED) {
            kept.to = context->to;
            fragments->ready[fragments->n_ready++] = kept;
        } else {
            discard(nat, &kept);
        }
    }
    fragments->n_kept = left;
}

void pl_nat_fragment_first(const Pass *pass, const PlIp *was, PlNatOutcome outcome)
{
    Fragments *fragments = need(pass->nat);
    Context *context = find(fragments, pass->side, was, pass->now);

    if (!context) {
        context = &fragments->contexts[fragments->next];
        fragments->next = (fragments->next + 1) % CONTEXTS;
        context->expires_ns = pass->now + CONTEXT_NS;
    }
    context->source = was->source;
    context->destination = was->destination;
    context->new_source = pass->ip.source;
    context->new_destination = pass->ip.destination;
    context->id = was->fragment_id;
    context->protocol = was->protocol;
    context->side = (uint8_t)pass->side;
    context->to = (uint8_t)pass->to;
    context->outcome = (uint8_t)(pass->answered ? PL_NAT_DROPPED : outcome);
    release(pass->nat, context);
}

PlNatOutcome pl_nat_fragment_later(Pass *pass)
{
    PlNat *nat = pass->nat;
    Fragments *fragments = need(nat);
    const Context *context = find(fragments, pass->side, &pass->ip, pass->now);
    Kept kept = {.ip = pass->ip, .side = pass->side, .expires_ns = pass->now + KEPT_NS};

    if (context) {
        pass->to = context->to;
        return translate(nat, context, pass->datagram->bytes, &pass->ip);
    }
    if (fragments->n_kept + fragments->n_ready - fragments->first >= KEPT_MAX ||
        fragments->bytes + pass->datagram->length > KEPT_BYTES) {
        nat->counters.fragments_lost++;
        return PL_NAT_DROPPED;
    }
    kept.datagram = pl_datagram_new(pass->datagram->bytes, pass->datagram->length);
    fragments->bytes += kept.datagram->length;
    fragments->kept[fragments->n_kept++] = kept;
    return PL_NAT_DROPPED;
}

PlDatagram *pl_nat_fragment_poll(PlNat *nat, PlSide *ret_side)
{
    Fragments *fragments = nat->fragments;
    Kept kept;

    if (!fragments || fragments->first == fragments->n_ready)
        return NULL;
    kept = fragments->ready[fragments->first++];
    if (fragments->first == fragments->n_ready)
        fragments->first = fragments->n_ready = 0;
    fragments->bytes -= kept.datagram->length;
    *ret_side = kept.to;
    return kept.datagram;
}

void pl_nat_fragments_expire(PlNat *nat, uint64_t now)
{
    Fragments *fragments = nat->fragments;
    unsigned gone = 0;

    if (!fragments)
        return;
    while (gone < fragments->n_kept && fragments->kept[gone].expires_ns <= now)
        discard(nat, &fragments->kept[gone++]);
    fragments->n_kept -= gone;
    if (gone)
        memmove(fragments->kept, fragments->kept + gone,
                fragments->n_kept * sizeof(*fragments->kept));
}

Fragments *pl_nat_fragments_free(Fragments *fragments)
{
    if (!fragments)
        return NULL;
    for (unsigned i = 0; i < fragments->n_kept; i++)
        pl_datagram_free(fragments->kept[i].datagram);
    for (unsigned i = fragments->first; i < fragments->n_ready; i++)
        pl_datagram_free(fragments->ready[i].datagram);
    g_free(fragments);
    return NULL;
}
