/* SPDX-License-Identifier: MIT */
/* A classifier's run behind a NAT, for its tests. */
#pragma once

#include <pinhole/classifier.h>
#include <string.h>

#include "nat_world.h"

typedef struct Run {
    World world;
    PhClassifierConfig config;
    PhClassifier *classifier;
    PhClassification result;
    guint64 seed;
    gboolean no_locals;
    guint kept_open; /* sockets that are not the classifier's */
} Run;

static G_GNUC_UNUSED void run_init(Run *run, const NatBehaviour *nat)
{
    memset(run, 0, sizeof(*run));
    world_init(&run->world);
    run->world.nat = *nat;
    run->seed = 1;
    run->config.first_socket = 100;
    run->config.server = world_address("203.0.113.10:3478");
}

static void run_clear(Run *run)
{
    ph_classifier_free(run->classifier);
    world_clear(&run->world);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Run, run_clear)

static void drive(Run *run)
{
    PhSocketRequest request;
    PhTransmit transmit;

    while (ph_classifier_poll_socket(run->classifier, &request)) {
        PhAddress local;
        gboolean done = world_socket(&run->world, &request, &local);

        if (request.kind == PH_SOCKET_CLOSE)
            continue;
        if (done)
            ph_classifier_socket_opened(run->classifier, request.socket, &local, run->world.now);
        else
            ph_classifier_socket_failed(run->classifier, request.socket, run->world.now);
    }
    while (ph_classifier_poll_transmit(run->classifier, &transmit))
        world_transmit(&run->world, &transmit);
}

/* Runs it to its end: exact, in virtual time. */
static G_GNUC_UNUSED void classify(Run *run)
{
    World *world = &run->world;
    guint steps = 0;

    world_start(world);
    world->random = run->seed;
    memcpy(run->config.seed, &run->seed, sizeof(run->seed));
    if (!run->no_locals)
        run->config.locals[run->config.n_locals++] = world->inside_host;
    run->classifier = ph_classifier_new(&run->config, world->now);
    g_assert_nonnull(run->classifier);
    for (drive(run); !ph_classifier_poll_event(run->classifier, &run->result); drive(run)) {
        guint64 next = ph_classifier_next_timeout(run->classifier);
        WorldPacket *packet;
        guint32 socket;

        g_assert_cmpuint(++steps, <, 10000);
        g_assert_cmpuint(next, >=, world->now);
        packet = world_next(world, next, &socket);
        if (packet) {
            PhPath path = {PH_TRANSPORT_UDP, socket, packet->from};

            ph_classifier_handle_datagram(run->classifier, &path, packet->bytes, packet->length,
                                          world->now);
            g_free(packet);
        } else {
            ph_classifier_handle_timeout(run->classifier, world->now);
        }
    }
    g_assert_cmpuint(world->n_open, ==, run->kept_open);
    g_assert_cmpuint(ph_classifier_next_timeout(run->classifier), ==, UINT64_MAX);
    g_assert_true(run->result.nat_class != PH_CLASS_UNKNOWN || run->result.why.nat_class);
}

static G_GNUC_UNUSED void expect_class(const Run *run, PhClass expected)
{
    if (run->result.nat_class != expected)
        g_error("class %s (%s), mapping %s (%s), filtering %s (%s); expected %s; seed "
                "%" G_GUINT64_FORMAT,
                ph_class_name(run->result.nat_class), run->result.why.nat_class,
                ph_mapping_name(run->result.mapping), run->result.why.mapping,
                ph_filtering_name(run->result.filtering), run->result.why.filtering,
                ph_class_name(expected), run->seed);
}

static G_GNUC_UNUSED void expect_reason(const char *why, const char *part)
{
    g_assert_nonnull(why);
    if (!strstr(why, part))
        g_error("\"%s\" (expected \"%s\")", why, part);
}

static const NatBehaviour port_restricted = {
    .mapping = PH_MAPPING_ENDPOINT_INDEPENDENT,
    .filtering = PH_FILTERING_ADDRESS_AND_PORT_DEPENDENT,
    .allocation = PH_PORT_ALLOCATION_RANDOM,
};
static const NatBehaviour open_way = {
    .mapping = PH_MAPPING_NONE,
    .filtering = PH_FILTERING_ENDPOINT_INDEPENDENT,
};
static const NatBehaviour symmetric = {
    .mapping = PH_MAPPING_ADDRESS_AND_PORT_DEPENDENT,
    .filtering = PH_FILTERING_ADDRESS_AND_PORT_DEPENDENT,
    .allocation = PH_PORT_ALLOCATION_RANDOM,
};
