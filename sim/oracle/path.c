/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which path two hosts get, from the NATs before each. What one has before it is summed up as an
 * end, and two ends decide:
 *
 *     one of the two lets everybody in, at whatever endpoint somebody saw    direct
 *     both have endpoints that can be known                                  punched
 *     one has, and the other's next ports follow, or are tried in masses     punched
 *     neither has, but both ports follow from the ones before                punched
 *     neither has                                                            relayed
 *
 * Who shares a NAT with the other goes by the network inside it, or is turned around by it.
 */
#include "oracle/oracle.h"

/* What lies before a host, as far as the place where the two ways meet. */
typedef struct End {
    PlMapping mapping;
    PlFiltering filtering;
    PlPortAllocation allocation; /* of new mappings, once they depend on the destination */
    gboolean scattered;          /* new mappings get any of several addresses */
} End;

static void pass(End *end, const PlNode *nat)
{
    const PlBehaviour *behaviour = &nat->behaviour;
    gboolean dependent;

    end->mapping = MAX(end->mapping, behaviour->mapping);
    end->filtering = MAX(end->filtering, behaviour->filtering);
    dependent = end->mapping > PL_MAPPING_ENDPOINT_INDEPENDENT;
    /* One that preserves ports shows those that it is given. */
    if (!dependent || behaviour->mapping == PL_MAPPING_NONE)
        return;
    end->scattered |= behaviour->pooling == PL_POOLING_ARBITRARY;
    if (behaviour->port_allocation == PL_PORT_ALLOCATION_PRESERVE)
        return;
    end->allocation = behaviour->port_allocation;
}

static const PlNode *nat_at(const GPtrArray *chain, unsigned i)
{
    const PlNode *nat = g_ptr_array_index(chain, i);

    g_assert(nat);
    return nat;
}

static End end_of(const GPtrArray *chain, unsigned n)
{
    End end = {PL_MAPPING_NONE, PL_FILTERING_ENDPOINT_INDEPENDENT, PL_PORT_ALLOCATION_PRESERVE,
               FALSE};

    for (unsigned i = 0; i < n; i++)
        pass(&end, nat_at(chain, i));
    return end;
}

/* Whether its endpoint is the same for everybody, and can therefore be told. */
static gboolean is_known(const End *end)
{
    return end->mapping <= PL_MAPPING_ENDPOINT_INDEPENDENT;
}

/* Who is let in by one of several mappings is answered by that one (RFC 4787 REQ-6). */
static gboolean can_be_dialled(const End *end)
{
    return end->filtering == PL_FILTERING_ENDPOINT_INDEPENDENT;
}

static gboolean follows(const End *end)
{
    return end->allocation == PL_PORT_ALLOCATION_SEQUENTIAL;
}

static const char *between(const End *a, const End *b)
{
    if (can_be_dialled(a) || can_be_dialled(b))
        return "direct";
    /* Nobody's filter lets in an address that it could not be told of. */
    if (a->scattered || b->scattered)
        return "relayed";
    if (is_known(a) || is_known(b) || (follows(a) && follows(b)))
        return "punched";
    return "relayed";
}

/* NATs that both ways have in common, at their outer ends. */
static unsigned count_shared(const GPtrArray *a, const GPtrArray *b)
{
    unsigned n = 0;

    while (n < a->len && n < b->len &&
           g_ptr_array_index(a, a->len - 1 - n) == g_ptr_array_index(b, b->len - 1 - n))
        n++;
    return n;
}

/* The innermost NAT of the shared ones that translates, as its distance from the host; else the
 * number of all. */
static unsigned turning_point(const GPtrArray *chain, unsigned n_own)
{
    unsigned i = n_own;

    while (i < chain->len && nat_at(chain, i)->behaviour.mapping == PL_MAPPING_NONE)
        i++;
    return i;
}

/* Both are behind `nat`, and at least one of them behind more: packets to its external address are
 * turned around, and not filtered by it. */
static const char *turned_around(const PlNode *nat, End a, End b)
{
    gboolean open = a.filtering == PL_FILTERING_ENDPOINT_INDEPENDENT &&
                    b.filtering == PL_FILTERING_ENDPOINT_INDEPENDENT;
    PlFiltering filtering_a = a.filtering, filtering_b = b.filtering;
    gboolean seems_open;

    switch (nat->behaviour.hairpin) {
    case PL_HAIRPIN_EXTERNAL_SOURCE:
        pass(&a, nat);
        pass(&b, nat);
        seems_open = can_be_dialled(&a) || can_be_dialled(&b);
        a.filtering = filtering_a;
        b.filtering = filtering_b;
        /* Who lets in the other one, and nobody from outside, does not know that. */
        return !seems_open && (can_be_dialled(&a) || can_be_dialled(&b)) ? "punched"
                                                                         : between(&a, &b);
    case PL_HAIRPIN_INTERNAL_SOURCE:
        /* What comes has a source that nobody has sent to. */
        return open && is_known(&a) && is_known(&b) &&
                       nat->behaviour.mapping == PL_MAPPING_ENDPOINT_INDEPENDENT
                   ? "direct"
                   : "relayed";
    case PL_HAIRPIN_NONE:
    case PL_HAIRPIN_N:
        break;
    }
    return "relayed";
}

static const char *with_shared(const GPtrArray *a, const GPtrArray *b, unsigned n_shared)
{
    unsigned own_a = a->len - n_shared, own_b = b->len - n_shared;
    End end_a = end_of(a, own_a), end_b = end_of(b, own_b);
    gboolean local_a = end_a.mapping == PL_MAPPING_NONE, local_b = end_b.mapping == PL_MAPPING_NONE;
    unsigned at = turning_point(a, own_a);

    /* Their own addresses mean something to the other; or nothing further out translates. */
    if ((local_a && local_b) || at == a->len)
        return between(&end_a, &end_b);
    if ((local_a && can_be_dialled(&end_a)) || (local_b && can_be_dialled(&end_b)))
        return "direct";
    end_a = end_of(a, at);
    end_b = end_of(b, turning_point(b, own_b));
    return turned_around(nat_at(a, at), end_a, end_b);
}

/* A NAT on the way that no theory is about; and one that lets no UDP pass. */
static const PlNode *find_fickle(const GPtrArray *chain)
{
    for (unsigned i = 0; i < chain->len; i++) {
        const PlNode *nat = g_ptr_array_index(chain, i);

        if (pl_behaviour_is_fickle(&nat->behaviour))
            return nat;
    }
    return NULL;
}

static gboolean is_blocked(const GPtrArray *chain)
{
    for (unsigned i = 0; i < chain->len; i++)
        if (nat_at(chain, i)->behaviour.udp == PL_PASS_BLOCKED)
            return TRUE;
    return FALSE;
}

/* Whether two nodes may meet in either family: nothing says in which. */
static gboolean has_choice(const PlTopology *topology, const PlNode *from, const PlNode *to)
{
    gboolean hub = FALSE;

    for (unsigned i = 0; i < topology->nodes->len; i++) {
        const PlProgram *program =
            &((const PlNode *)g_ptr_array_index(topology->nodes, i))->program;

        for (unsigned k = 1; program->word == PL_WORD_HUB && k < program->n_addresses; k++)
            hub |= program->addresses[k].family != program->addresses[0].family;
    }
    return hub && from->program.word == PL_WORD_NODE && to->program.word == PL_WORD_NODE &&
           pl_topology_way_out_of(topology, from, PH_FAMILY_IPV4) &&
           pl_topology_way_out_of(topology, from, PH_FAMILY_IPV6) &&
           pl_topology_way_out_of(topology, to, PH_FAMILY_IPV4) &&
           pl_topology_way_out_of(topology, to, PH_FAMILY_IPV6);
}

const char *pl_oracle_path(const PlTopology *topology, const PlNode *from, const PlNode *to,
                           char **ret_why)
{
    g_autoptr(GPtrArray) a = NULL, b = NULL;
    const PlNode *fickle;

    *ret_why = NULL;
    if (from->moves || to->moves) {
        *ret_why = g_strdup_printf("host %s moves", from->moves ? from->name : to->name);
        return NULL;
    }
    if (has_choice(topology, from, to)) {
        *ret_why = g_strdup("both have IPv4 and IPv6, and their hub listens in both");
        return NULL;
    }
    if (!pl_topology_way_out_of(topology, to, pl_node_family(from))) {
        *ret_why =
            g_strdup_printf("host %s has no %s", to->name, pl_family_name(pl_node_family(from)));
        return NULL;
    }
    a = pl_topology_chain(topology, from);
    b = pl_topology_chain_of(topology, to, pl_node_family(from));
    if (is_blocked(a) || is_blocked(b))
        return "none(udp-blocked)";
    if ((fickle = find_fickle(a)) || (fickle = find_fickle(b))) {
        *ret_why = g_strdup_printf("nat %s is symmetric after %u mappings", fickle->name,
                                   fickle->behaviour.quirks.symmetric_after);
        return NULL;
    }
    return with_shared(a, b, count_shared(a, b));
}
