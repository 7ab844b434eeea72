/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who has which address. Those that the file gives come first, wherever they stand in it; the rest
 * is filled in file order, so that a file without addresses always gives the same ones.
 */
#include <string.h>

#include "topology/build.h"

gboolean pl_build_read_address(const PlIni *ini, const char *group, const char *key,
                               const char *text, PhAddress *ret_address, GError **error)
{
    PhAddress address;

    if (!ph_address_parse(text, &address) || address.port != 0 || text[0] == '[')
        return pl_ini_fail(ini, group, key, error,
                           "bad address \"%s\" (expected one such as 192.0.2.1 or 2001:db8::1, "
                           "without a port)",
                           text);
    *ret_address = address;
    return TRUE;
}

gboolean pl_build_is_own(const PlNode *node, const PhAddress *address)
{
    for (unsigned i = 0; i < node->attachments->len; i++) {
        const PlAttachment *attachment = g_ptr_array_index(node->attachments, i);

        for (unsigned k = 0; k < attachment->addresses->len; k++)
            if (ph_address_equal_host(&g_array_index(attachment->addresses, PhAddress, k), address))
                return TRUE;
    }
    return FALSE;
}

gboolean pl_build_usable(const PlNetwork *network, const PlIni *ini, const char *group,
                         const char *key, const PhAddress *address, GError **error)
{
    const PlPrefix *prefix = &network->subnet;
    g_autofree char *subnet = pl_prefix_format(&network->subnet);
    char text[PH_ADDRESS_TEXT_MAX];
    uint64_t offset;

    ph_address_format(address, text);
    if (!pl_prefix_contains(prefix, address))
        return pl_ini_fail(ini, group, key, error, "%s is not on network %s (expected one of %s)",
                           text, network->name, subnet);
    offset = pl_prefix_offset(prefix, address);
    if (offset == 0 || offset == pl_prefix_last(prefix))
        return pl_ini_fail(
            ini, group, key, error, "%s is the network's %s (expected a host's one of %s)", text,
            address->family == PH_FAMILY_IPV6 ? "first or its last one"
                                              : "own address or its broadcast address",
            subnet);
    if (offset >= pl_prefix_last(prefix) - 4)
        return pl_ini_fail(ini, group, key, error,
                           "%s is one of the last four of %s, which are the lab's own (expected a "
                           "lower one)",
                           text, subnet);
    return TRUE;
}

/* Who has an address on a network; NULL when it is free. */
static const PlNode *owner(const PlNetwork *network, const PhAddress *address)
{
    for (unsigned i = 0; i < network->attachments->len; i++) {
        const PlAttachment *attachment = g_ptr_array_index(network->attachments, i);

        for (unsigned k = 0; k < attachment->addresses->len; k++)
            if (ph_address_equal_host(&g_array_index(attachment->addresses, PhAddress, k), address))
                return attachment->node;
    }
    return NULL;
}

/* The network on which a step gives its node an address; NULL: it gives none. */
static const PlNetwork *given_on(const PlStep *step)
{
    if (step->kind == PL_STEP_NAT_ADDRESS)
        return pl_nat_outside(step->node)->network;
    return step->kind == PL_STEP_HOST_MOVE ? step->network : NULL;
}

/* The same, or whom a step gives it to. */
static const PlNode *owner_ever(const PlTopology *topology, const PlNetwork *network,
                                const PhAddress *address)
{
    const PlNode *now = owner(network, address);

    for (unsigned i = 0; !now && i < topology->steps->len; i++) {
        const PlStep *step = g_ptr_array_index(topology->steps, i);

        if (given_on(step) == network && ph_address_equal_host(&step->address, address))
            now = step->node;
    }
    return now;
}

static gboolean give(const PlIni *ini, PlAttachment *attachment, const char *group, const char *key,
                     const PhAddress *address, GError **error)
{
    const PlNode *other = owner(attachment->network, address);
    char text[PH_ADDRESS_TEXT_MAX];

    if (!pl_build_usable(attachment->network, ini, group, key, address, error))
        return FALSE;
    if (other && other != attachment->node)
        return pl_ini_fail(ini, group, key, error, "%s belongs to %s (expected a free one)",
                           ph_address_format(address, text), other->name);
    for (unsigned k = 0; k < attachment->addresses->len; k++)
        if (ph_address_equal_host(&g_array_index(attachment->addresses, PhAddress, k), address))
            return pl_ini_fail(ini, group, key, error, "%s stands twice (expected once)",
                               ph_address_format(address, text));
    if (attachment->addresses->len >= PL_NODE_ADDRESSES_MAX)
        return pl_ini_fail(ini, group, key, error, "too many addresses (expected at most %d)",
                           PL_NODE_ADDRESSES_MAX);
    g_array_append_val(attachment->addresses, *address);
    return TRUE;
}

/* An address goes to the attachment whose network it is of; a NAT's are those outside. */
static PlAttachment *place(const PlNode *node, const PhAddress *address)
{
    if (node->kind == PL_NODE_NAT)
        return pl_nat_outside(node);
    for (unsigned i = 0; i < node->attachments->len; i++) {
        PlAttachment *attachment = g_ptr_array_index(node->attachments, i);

        if (pl_prefix_contains(&attachment->network->subnet, address))
            return attachment;
    }
    return g_ptr_array_index(node->attachments, 0);
}

/* "A" or "A-B": from the first one on, to the last one's distance from it. */
static gboolean read_range(const PlIni *ini, const char *group, const char *key, const char *item,
                           PlPrefix *ret_from, uint64_t *ret_last, GError **error)
{
    const char *hyphen = strchr(item, '-');
    g_autofree char *left = hyphen ? g_strndup(item, (gsize)(hyphen - item)) : g_strdup(item);
    g_autofree char *right = g_strdup(hyphen ? hyphen + 1 : item);
    PhAddress last, again;

    *ret_from = (PlPrefix){0};
    if (!pl_build_read_address(ini, group, key, g_strstrip(left), &ret_from->address, error) ||
        !pl_build_read_address(ini, group, key, g_strstrip(right), &last, error))
        return FALSE;
    if (ph_address_compare(&ret_from->address, &last) > 0)
        return pl_ini_fail(ini, group, key, error,
                           "\"%s\" runs backwards (expected the lower address first)", item);
    *ret_last = pl_prefix_offset(ret_from, &last);
    again = pl_prefix_address(ret_from, *ret_last);
    /* Further than 64 bits say, or in another family. */
    if (*ret_last >= PL_NODE_ADDRESSES_MAX || !ph_address_equal_host(&again, &last))
        return pl_ini_fail(ini, group, key, error, "\"%s\" is too many (expected at most %d)", item,
                           PL_NODE_ADDRESSES_MAX);
    return TRUE;
}

static gboolean give_listed(const PlIni *ini, const PlNode *node, const char *group, GError **error)
{
    const char *key = pl_ini_get(ini, group, "address") ? "address" : "addresses";
    g_auto(GStrv) items = NULL;

    if (pl_ini_get(ini, group, "address") && pl_ini_get(ini, group, "addresses"))
        return pl_ini_fail(ini, group, "addresses", error,
                           "there is address, too (expected one of the two)");
    if (!pl_ini_list(ini, group, key, &items, error))
        return FALSE;
    for (unsigned i = 0; items && items[i]; i++) {
        PlPrefix from;
        uint64_t last;

        if (!read_range(ini, group, key, items[i], &from, &last, error))
            return FALSE;
        if (strcmp(key, "address") == 0 && (items[1] || last > 0))
            return pl_ini_fail(ini, group, key, error,
                               "more than one (expected one, or addresses = A, B)");
        for (uint64_t offset = 0; offset <= last; offset++) {
            PhAddress address = pl_prefix_address(&from, offset);

            if (!give(ini, place(node, &address), group, key, &address, error))
                return FALSE;
        }
    }
    return TRUE;
}

static gboolean give_inside(const PlIni *ini, const PlNode *nat, const char *group, GError **error)
{
    PlAttachment *inside = pl_nat_inside(nat);
    const char *text = pl_ini_get(ini, group, "inside-address");
    PhAddress address = pl_prefix_address(&inside->network->subnet, 1);

    return (!text || pl_build_read_address(ini, group, "inside-address", text, &address, error)) &&
           give(ini, inside, group, "inside-address", &address, error);
}

gboolean pl_build_lowest(const PlTopology *topology, const PlIni *ini, const PlNetwork *network,
                         const char *group, PhAddress *ret_address, GError **error)
{
    for (uint64_t offset = 2; offset < pl_prefix_last(&network->subnet) - 4; offset++) {
        PhAddress address = pl_prefix_address(&network->subnet, offset);

        if (!owner_ever(topology, network, &address)) {
            *ret_address = address;
            return TRUE;
        }
    }
    return pl_ini_fail(ini, group, NULL, error,
                       "network %s has no address left for it (expected a larger subnet)",
                       network->name);
}

static gboolean give_lowest(const PlTopology *topology, const PlIni *ini, PlAttachment *attachment,
                            GError **error)
{
    g_autofree char *group = pl_build_group(attachment->node);
    PhAddress address;

    if (!pl_build_lowest(topology, ini, attachment->network, group, &address, error))
        return FALSE;
    g_array_append_val(attachment->addresses, address);
    return TRUE;
}

/* A step may give a node an address that nobody else has. */
static gboolean check_steps(const PlTopology *topology, const PlIni *ini, GError **error)
{
    for (unsigned i = 0; i < topology->steps->len; i++) {
        const PlStep *step = g_ptr_array_index(topology->steps, i);
        g_autofree char *group = g_strdup_printf("step %u", step->number);
        const PlNode *other;
        char text[PH_ADDRESS_TEXT_MAX];

        if (!given_on(step))
            continue;
        if (step->kind == PL_STEP_NAT_ADDRESS && pl_nat_outside(step->node)->addresses->len > 1)
            return pl_ini_fail(ini, group, "do", error,
                               "nat %s has several addresses (expected a NAT with one)",
                               step->node->name);
        other = owner_ever(topology, given_on(step), &step->address);
        if (other != step->node)
            return pl_ini_fail(ini, group, "do", error, "%s belongs to %s (expected a free one)",
                               ph_address_format(&step->address, text), other->name);
    }
    return TRUE;
}

gboolean pl_build_addresses(PlTopology *topology, const PlIni *ini, GError **error)
{
    for (unsigned i = 0; i < topology->nodes->len; i++) {
        const PlNode *node = g_ptr_array_index(topology->nodes, i);
        g_autofree char *group = pl_build_group(node);

        if (!give_listed(ini, node, group, error) ||
            (node->kind == PL_NODE_NAT && !give_inside(ini, node, group, error)))
            return FALSE;
    }
    for (unsigned i = 0; i < topology->nodes->len; i++) {
        const PlNode *node = g_ptr_array_index(topology->nodes, i);

        for (unsigned k = 0; k < node->attachments->len; k++) {
            PlAttachment *attachment = g_ptr_array_index(node->attachments, k);

            if (attachment->addresses->len == 0 && !give_lowest(topology, ini, attachment, error))
                return FALSE;
        }
    }
    return pl_build_move_addresses(topology, ini, error) && check_steps(topology, ini, error);
}
