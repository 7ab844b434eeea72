/* SPDX-License-Identifier: MIT */
/* The classifier when what answered falls silent in the middle: the hub, or a part of it, dies
 * after any number of answers, for good or for a while. Its class is then right or unknown. */
#include "classifier_run.h"

#define ANSWERS_MAX 70 /* more than any classification gets without loss */

/* What falls silent, and after how many answers of the hub's; when it is back. */
static struct {
    gboolean (*falls_silent)(const World *world, const PhAddress *from);
    guint after;
    guint64 for_ns, since_ns;
} cut;

static gsize silence(World *world, const guint8 *request, gsize request_length, PhAddress *from,
                     guint8 *bytes, gsize length)
{
    (void)request, (void)request_length, (void)bytes;
    if (world->answers_on_wire++ < cut.after)
        return length;
    if (cut.since_ns == 0)
        cut.since_ns = world->now;
    if (world->now - cut.since_ns >= cut.for_ns)
        return length;
    return cut.falls_silent(world, from) ? 0 : length;
}

static gboolean all_of_it(const World *world, const PhAddress *from)
{
    (void)world, (void)from;
    return TRUE;
}

static gboolean its_second_address(const World *world, const PhAddress *from)
{
    return ph_address_equal_host(from, &world->hub.hosts[1]);
}

static gboolean its_second_port(const World *world, const PhAddress *from)
{
    return from->port == world->hub.ports[1];
}

static gboolean one_of_its_sockets(const World *world, const PhAddress *from)
{
    return its_second_address(world, from) && its_second_port(world, from);
}

/* Behind every NAT, after any number of answers. Returns how many runs knew the class. */
static guint expect_no_wrong_class(gboolean (*falls_silent)(const World *, const PhAddress *),
                                   guint64 for_ns)
{
    guint known = 0;

    for (PhMapping m = PH_MAPPING_NONE; m <= PH_MAPPING_ADDRESS_AND_PORT_DEPENDENT; m++) {
        for (guint i = 0; i < 3 * ANSWERS_MAX; i++) {
            PhFiltering f = (PhFiltering)(PH_FILTERING_ENDPOINT_INDEPENDENT + i % 3);
            NatBehaviour nat = {.mapping = m, .filtering = f};
            g_auto(Run) run;

            nat.allocation = i % 2 ? PH_PORT_ALLOCATION_PRESERVE : PH_PORT_ALLOCATION_RANDOM;
            run_init(&run, &nat);
            run.world.tamper = silence;
            cut.falls_silent = falls_silent;
            cut.after = 1 + i / 3;
            cut.for_ns = for_ns;
            cut.since_ns = 0;
            classify(&run);
            if (run.result.nat_class != PH_CLASS_UNKNOWN)
                expect_class(&run, ph_class_of(m, f));
            known += run.result.nat_class != PH_CLASS_UNKNOWN;
            g_assert_true(run.result.filtering == PH_FILTERING_UNKNOWN ||
                          run.result.filtering == f);
            g_assert_true(run.result.mapping == PH_MAPPING_UNKNOWN || run.result.mapping == m);
            g_assert_cmpuint(run.result.took_ns, <=, 10 * S);
        }
    }
    g_test_message("%u of %u knew the class", known, 4 * 3 * ANSWERS_MAX);
    return known;
}

static void a_hub_that_dies_makes_no_wrong_class(void)
{
    g_assert_cmpuint(expect_no_wrong_class(all_of_it, UINT64_MAX), <, 4 * 3 * ANSWERS_MAX);
}

static void a_hub_that_is_away_for_a_while_makes_no_wrong_class(void)
{
    static const guint64 times_ns[] = {10 * MS, 60 * MS, 300 * MS, 1 * S, 2 * S};

    for (gsize i = 0; i < G_N_ELEMENTS(times_ns); i++)
        expect_no_wrong_class(all_of_it, times_ns[i]);
}

static void an_address_that_is_cut_off_makes_no_wrong_class(void)
{
    expect_no_wrong_class(its_second_address, UINT64_MAX);
    expect_no_wrong_class(its_second_port, UINT64_MAX);
    expect_no_wrong_class(one_of_its_sockets, UINT64_MAX);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(function) g_test_add_func("/classifier/" #function, function)
    ADD(a_hub_that_dies_makes_no_wrong_class);
    ADD(a_hub_that_is_away_for_a_while_makes_no_wrong_class);
    ADD(an_address_that_is_cut_off_makes_no_wrong_class);
    return g_test_run();
}
