/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How many packets a second the NAT of the model translates, on one core, with few mappings and
 * with many: UDP with 64 bytes of data, outbound and inbound in turn, of mappings in
 * no order, four external addresses. The headers of the packets are made before the clock starts,
 * and lie in the order in which they are sent. The time is the processor's own.
 */
#include <json-glib/json-glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../unit/wire.h"
#include "model/nat.h"
#include "topology/random.h"

#define FEW          100u
#define MANY         100000u
#define PACKETS      1000000u
#define ROUNDS       9
#define TARGET       1e6 /* packets a second */
#define TARGET_RATIO 4.0
#define DATA         64
#define NS_PER_S     UINT64_C(1000000000)

#define HEADERS 28 /* IP's and UDP's */

/* A mapping's packets as they arrive, but for their data. */
typedef struct Pair {
    uint8_t out[HEADERS], in[HEADERS];
} Pair;

typedef struct World {
    PlNat *nat;
    Pair *pairs;
    unsigned n, next;
    uint64_t now;
} World;

static uint64_t clock_ns(void)
{
    struct timespec time;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * NS_PER_S + (uint64_t)time.tv_nsec;
}

/* In no order: a mapping's neighbours in the tables are not its neighbours on the wire. */
static void shuffle(World *world)
{
    uint64_t random = 1;

    for (unsigned i = world->n; i > 1; i--) {
        unsigned k = (unsigned)(pl_random_next(&random) % i);
        Pair swap = world->pairs[i - 1];

        world->pairs[i - 1] = world->pairs[k];
        world->pairs[k] = swap;
    }
}

static void make_pair(World *world, unsigned i)
{
    PhAddress inside = ph_address_ipv4(0x0a000002 + i / 50, (uint16_t)(2000 + i % 50));
    PhAddress remote = ph_address_ipv4(0xcb007101 + i % 199, (uint16_t)(1024 + i % 1009));
    uint8_t data[DATA] = {0};
    PlDatagram *out = wire_udp(&inside, &remote, data, sizeof(data)), *in;
    PlSide side = PL_SIDE_HOST;
    PhAddress outside;

    memcpy(world->pairs[i].out, out->bytes, HEADERS);
    if (pl_nat_handle(world->nat, PL_SIDE_INSIDE, out, world->now, &side) != PL_NAT_FORWARDED)
        g_error("mapping %u was not made", i);
    outside = wire_source(out);
    in = wire_udp(&remote, &outside, data, sizeof(data));
    memcpy(world->pairs[i].in, in->bytes, HEADERS);
    pl_datagram_free(out);
    pl_datagram_free(in);
}

static void make_world(World *world, PlMapping mapping, unsigned n)
{
    PhAddress external[4];
    PlNatConfig config = {.behaviour = {.mapping = mapping,
                                        .filtering = PL_FILTERING_ADDRESS_AND_PORT_DEPENDENT,
                                        .port_allocation = PL_PORT_ALLOCATION_RANDOM,
                                        .port_first = 1024,
                                        .port_last = 65535,
                                        .udp_timeout_ns = 120 * NS_PER_S,
                                        .inbound_refresh = TRUE},
                          .external = external,
                          .n_external = G_N_ELEMENTS(external),
                          .inside_address = ph_address_ipv4(0x0a000001, 0),
                          .seed = 1};

    for (unsigned i = 0; i < G_N_ELEMENTS(external); i++)
        external[i] = ph_address_ipv4(0xc6336401 + i, 0);
    *world = (World){.nat = pl_nat_new(&config), .n = n, .pairs = g_new0(Pair, n)};
    for (unsigned i = 0; i < n; i++)
        make_pair(world, i);
    shuffle(world);
}

static void free_world(World *world)
{
    g_free(world->pairs);
    pl_nat_free(world->nat);
}

static PlDatagram *make_packet(void)
{
    uint8_t bytes[HEADERS + DATA] = {0};

    return pl_datagram_new(bytes, sizeof(bytes));
}

/* Nanoseconds a packet. A microsecond of the NAT's time goes by for each. */
static double run(World *world)
{
    PlDatagram *packet = make_packet();
    uint64_t start = clock_ns(), took;
    PlSide side = PL_SIDE_HOST;

    for (unsigned i = 0; i < PACKETS; i++) {
        gboolean in = world->next & 1;
        /* A mapping's two packets come apart. */
        const Pair *pair = &world->pairs[(world->next / 2 + (in ? world->n / 2 : 0)) % world->n];

        memcpy(packet->bytes, in ? pair->in : pair->out, HEADERS);
        world->now += 1000;
        if (pl_nat_handle(world->nat, in ? PL_SIDE_OUTSIDE : PL_SIDE_INSIDE, packet, world->now,
                          &side) != PL_NAT_FORWARDED)
            g_error("packet %u was not translated", i);
        world->next = (world->next + 1) % (2 * world->n);
    }
    took = clock_ns() - start;
    pl_datagram_free(packet);
    return (double)took / PACKETS;
}

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;

    return left < right ? -1 : left > right;
}

static double measure(PlMapping mapping, unsigned n)
{
    double figures[ROUNDS];
    World world;

    make_world(&world, mapping, n);
    run(&world); /* warm */
    for (int i = 0; i < ROUNDS; i++)
        figures[i] = run(&world);
    if (pl_nat_counters(world.nat)->mappings != n)
        g_error("%" G_GUINT64_FORMAT " mappings live, and not %u",
                pl_nat_counters(world.nat)->mappings, n);
    free_world(&world);
    qsort(figures, ROUNDS, sizeof(figures[0]), compare);
    return figures[ROUNDS / 2];
}

/* How long a mapping takes to be made: `n` of them, from nothing. */
static double measure_new(PlMapping mapping, unsigned n)
{
    double figures[ROUNDS];

    for (int i = 0; i < ROUNDS; i++) {
        PlDatagram *packet = make_packet();
        PlSide side = PL_SIDE_HOST;
        World world;
        uint64_t start;

        make_world(&world, mapping, n);
        pl_nat_flush(world.nat);
        start = clock_ns();
        for (unsigned k = 0; k < n; k++) {
            memcpy(packet->bytes, world.pairs[k].out, HEADERS);
            pl_nat_handle(world.nat, PL_SIDE_INSIDE, packet, world.now, &side);
        }
        figures[i] = (double)(clock_ns() - start) / n;
        pl_datagram_free(packet);
        free_world(&world);
    }
    qsort(figures, ROUNDS, sizeof(figures[0]), compare);
    return figures[ROUNDS / 2];
}

typedef struct Figures {
    const char *name;
    PlMapping mapping;
    double few_ns, many_ns, new_ns;
} Figures;

static void print_json(const Figures *figures, gsize n)
{
    g_autoptr(JsonBuilder) builder = json_builder_new();
    g_autoptr(JsonGenerator) generator = json_generator_new();
    g_autofree char *text = NULL;

    json_builder_begin_object(builder);
    for (gsize i = 0; i < n; i++) {
        json_builder_set_member_name(builder, figures[i].name);
        json_builder_begin_object(builder);
        json_builder_set_member_name(builder, "few_ns");
        json_builder_add_double_value(builder, figures[i].few_ns);
        json_builder_set_member_name(builder, "many_ns");
        json_builder_add_double_value(builder, figures[i].many_ns);
        json_builder_set_member_name(builder, "ratio");
        json_builder_add_double_value(builder, figures[i].many_ns / figures[i].few_ns);
        json_builder_set_member_name(builder, "new_mapping_ns");
        json_builder_add_double_value(builder, figures[i].new_ns);
        json_builder_end_object(builder);
    }
    json_builder_end_object(builder);
    json_generator_set_root(generator, json_builder_get_root(builder));
    json_generator_set_pretty(generator, TRUE);
    text = json_generator_to_data(generator, NULL);
    puts(text);
}

int main(int argc, char **argv)
{
    Figures figures[] = {
        {"endpoint-independent", PL_MAPPING_ENDPOINT_INDEPENDENT, 0, 0, 0},
        {"address-and-port-dependent", PL_MAPPING_ADDRESS_AND_PORT_DEPENDENT, 0, 0, 0},
    };
    gboolean json = argc == 2 && strcmp(argv[1], "--json") == 0;

    if (argc > 1 && !json) {
        fprintf(stderr, "Usage: bench_model [--json]\n");
        return 2;
    }
    if (!json)
        printf("The NAT of the model, one core, medians of %d runs of %u packets\n", ROUNDS,
               PACKETS);
    for (gsize i = 0; i < G_N_ELEMENTS(figures); i++) {
        Figures *each = &figures[i];

        each->few_ns = measure(each->mapping, FEW);
        each->many_ns = measure(each->mapping, MANY);
        each->new_ns = measure_new(each->mapping, MANY);
        if (json)
            continue;
        printf("  %s\n", each->name);
        printf("    %6u mappings %7.0f ns a packet %6.2f million packets/s\n", FEW, each->few_ns,
               1e3 / each->few_ns);
        printf("    %6u mappings %7.0f ns a packet %6.2f million packets/s  (target %.0f)\n", MANY,
               each->many_ns, 1e3 / each->many_ns, TARGET / 1e6);
        printf("    ratio %.2f  (target %.0f at most)\n", each->many_ns / each->few_ns,
               TARGET_RATIO);
        printf("    a new mapping  %7.0f ns\n", each->new_ns);
    }
    if (json)
        print_json(figures, G_N_ELEMENTS(figures));
    return 0;
}
