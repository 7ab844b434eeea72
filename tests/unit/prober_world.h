/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A prober before a NAT, for its tests. */
#pragma once

#include <string.h>

#include "fake_nat.h"

/* A NAT, what its file claims of it, and a plan. */
typedef struct World {
    FakeNat nat;
    PlNode node;
    PlAttachment inside, outside;
    PlProbePlan plan;
    uint64_t took_ns;
} World;

static const PlBehaviour usual = {
    .mapping = PL_MAPPING_ENDPOINT_INDEPENDENT,
    .filtering = PL_FILTERING_ADDRESS_AND_PORT_DEPENDENT,
    .port_allocation = PL_PORT_ALLOCATION_RANDOM,
    .port_first = 1024,
    .port_last = 65535,
    .hairpin = PL_HAIRPIN_NONE,
    .udp_timeout_ns = 120 * S,
    .inbound_refresh = TRUE,
};

static G_GNUC_UNUSED void world_init(World *world, const PlBehaviour *behaviour)
{
    memset(world, 0, sizeof(*world));
    world->nat.behaviour = *behaviour;
    world->nat.n_pool = 1;
    world->nat.pool[0] = ph_address_ipv4(0xcb007105, 0);
    world->nat.pool[1] = ph_address_ipv4(0xcb007106, 0);
    world->node.kind = PL_NODE_NAT;
    world->node.behaviour = *behaviour;
    world->node.attachments = g_ptr_array_new();
    g_ptr_array_add(world->node.attachments, &world->inside);
    g_ptr_array_add(world->node.attachments, &world->outside);
    world->node.forwards = g_array_new(FALSE, FALSE, sizeof(PlForward));
    world->nat.forwards = world->node.forwards;
    world->outside.addresses = g_array_new(FALSE, FALSE, sizeof(PhAddress));
    world->plan.inside[0] = ph_address_ipv4(0x0a000002, 0);
    world->plan.inside[1] = ph_address_ipv4(0x0a000003, 0);
    world->plan.outside[0] = ph_address_ipv4(0xcb0071fb, 0);
    world->plan.outside[1] = ph_address_ipv4(0xcb0071fc, 0);
    world->plan.nat = &world->node;
    world->plan.translated = behaviour->mapping != PL_MAPPING_NONE;
    world->plan.seed = 42;
}

static G_GNUC_UNUSED void world_run(World *world)
{
    g_array_append_vals(world->outside.addresses, world->nat.pool, world->nat.n_pool);
    world->took_ns = fake_run(&world->nat, &world->plan);
}

static G_GNUC_UNUSED void world_clear(World *world)
{
    fake_clear(&world->nat);
    g_ptr_array_unref(world->node.attachments);
    g_array_unref(world->node.forwards);
    g_array_unref(world->outside.addresses);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(World, world_clear)

static const char *found(const World *world, PlAxis axis)
{
    return pl_prober_findings(world->nat.prober)->value[axis];
}

static const char *why(const World *world, PlAxis axis)
{
    return pl_prober_findings(world->nat.prober)->why[axis];
}

static G_GNUC_UNUSED void expect(const World *world, PlAxis axis, const char *value)
{
    if (g_strcmp0(found(world, axis), value) != 0)
        g_error("%s: %s (%s), expected %s", pl_axis_name(axis), found(world, axis),
                why(world, axis), value);
}

static G_GNUC_UNUSED void expect_undecided(const World *world, PlAxis axis, const char *reason)
{
    g_assert_cmpstr(found(world, axis), ==, NULL);
    g_assert_nonnull(why(world, axis));
    if (!strstr(why(world, axis), reason))
        g_error("%s: \"%s\" (expected \"%s\")", pl_axis_name(axis), why(world, axis), reason);
}

/* Where filtering keeps an endpoint-dependent mapping from being reached, nothing is looped back.
 */
static G_GNUC_UNUSED gboolean loops(const PlBehaviour *b)
{
    return b->hairpin != PL_HAIRPIN_NONE && (b->mapping == PL_MAPPING_ENDPOINT_INDEPENDENT ||
                                             b->filtering == PL_FILTERING_ENDPOINT_INDEPENDENT);
}
