/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The NAT of the model: each axis of a topology file, value by value. */
#include "model_nat.h"

static void test_mapping(void)
{
    static const struct {
        PlMapping mapping;
        gboolean port, address; /* another one for another port, for another address */
    } cases[] = {
        {PL_MAPPING_ENDPOINT_INDEPENDENT, FALSE, FALSE},
        {PL_MAPPING_ADDRESS_DEPENDENT, FALSE, TRUE},
        {PL_MAPPING_ADDRESS_AND_PORT_DEPENDENT, TRUE, TRUE},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(Box) box;
        PhAddress first;

        box_init(&box, cases[i].mapping, PL_FILTERING_ADDRESS_AND_PORT_DEPENDENT);
        box.config.behaviour.port_allocation = PL_PORT_ALLOCATION_RANDOM;
        box_start(&box);
        first = box_out(&box, ALICE, HUB);
        g_assert_true(box_same(box_out(&box, ALICE, HUB), first));
        g_assert_cmpint(box_same(box_out(&box, ALICE, HUB_2), first), ==, !cases[i].port);
        g_assert_cmpint(box_same(box_out(&box, ALICE, OTHER), first), ==, !cases[i].address);
        g_assert_false(box_same(box_out(&box, BOB, HUB), first));
    }
}

static void test_filtering(void)
{
    for (int mapping = PL_MAPPING_ENDPOINT_INDEPENDENT; mapping < PL_MAPPING_N; mapping++) {
        for (int filtering = 0; filtering < PL_FILTERING_N; filtering++) {
            g_auto(Box) box;
            PhAddress external;

            box_init(&box, (PlMapping)mapping, (PlFiltering)filtering);
            box_start(&box);
            external = box_out(&box, ALICE, HUB);
            g_assert_true(box_in(&box, HUB, external));
            wire_assert(wire_destination(box.packet), ALICE);
            g_assert_cmpint(box_in(&box, HUB_2, external), ==,
                            filtering != PL_FILTERING_ADDRESS_AND_PORT_DEPENDENT);
            g_assert_cmpint(box_in(&box, OTHER, external), ==,
                            filtering == PL_FILTERING_ENDPOINT_INDEPENDENT);
            g_assert_cmpuint(box_count(&box).filtered, ==, (guint)filtering);
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/model/axes/mapping", test_mapping);
    g_test_add_func("/model/axes/filtering", test_filtering);
    return g_test_run();
}
