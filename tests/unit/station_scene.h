/* SPDX-License-Identifier: MIT */
/* A station with two who know each other, and strangers as many as one likes. */
#pragma once

#include "station_world.h"

#define NOBODY 1000 /* clients that are never at a place of their own */

static const guint8 packet[1000] = {0xc4};

/* A station with alice and bob, who know each other. */
typedef struct Scene {
    Room room;
    Client *alice, *bob;
} Scene;

static inline void scene_init_with(Scene *scene, const PhStationConfig *config)
{
    PhMessage connect = connect_to("bob");

    room_init(&scene->room, config);
    scene->alice = room_client(&scene->room, 0);
    scene->bob = room_client(&scene->room, 1);
    join(&scene->room, scene->alice, "alice");
    join(&scene->room, scene->bob, "bob");
    say(&scene->room, scene->alice, &connect);
    g_assert_cmpuint(scene->alice->told[PH_MESSAGE_FOUND], ==, 1);
    scene->room.in = scene->room.out = 0;
}

static inline void scene_init(Scene *scene)
{
    PhStationConfig config = room_config();

    scene_init_with(scene, &config);
}

static inline void scene_clear(Scene *scene)
{
    room_clear(&scene->room);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Scene, scene_clear)

/* What alice relays comes to bob. */
static inline void assert_relays(Scene *scene)
{
    PhMessage relay = relay_to(scene->alice, packet, sizeof(packet));
    guint before = scene->bob->told[PH_MESSAGE_RELAYED];

    say(&scene->room, scene->alice, &relay);
    g_assert_cmpuint(scene->bob->told[PH_MESSAGE_RELAYED], ==, before + 1);
}

/* One whose packets seem to come from elsewhere: keys cost nothing. */
static inline Client *stranger(Room *room, guint n, const PhPath *from, const char *name,
                               const PhMessage *more, guint n_more)
{
    Client *client = client_new(NOBODY + n, room->now);

    client->forged = *from;
    request(room, client, name, more, n_more);
    return client;
}
