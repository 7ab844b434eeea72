/* SPDX-License-Identifier: MIT */
/* Sessions: who gets one, what passes, what does not, and how they end. */
#include "sessions_world.h"

static void test_a_session_takes_one_round_trip(void)
{
    g_auto(World) world;
    guint32 session;
    const Told *told;

    world_init(&world, 2);
    world.sides[1].answer = "welcome";
    session = world_open(&world, 0, 1, "hello");
    g_assert_cmpuint(session, !=, 0);
    g_assert_false(ph_sessions_is_up(world.sides[0].sessions, session));
    world_run(&world, 10 * DELAY);

    told = expect_told(&world, 1, PH_SESSION_REQUEST);
    g_assert_cmpuint(told->at, ==, 5 * S + DELAY);
    expect_bytes(told->bytes, told->input.length, "hello", 5);
    expect_bytes(told->input.remote_key, 32, key_of(&world, 0), 32);
    told = expect_told(&world, 0, PH_SESSION_UP);
    g_assert_cmpuint(told->at, ==, 5 * S + 2 * DELAY);
    g_assert_cmpuint(told->input.session, ==, session);
    expect_bytes(told->bytes, told->input.length, "welcome", 7);
    g_assert_cmpuint(world.sides[0].sent[TYPE_REQUEST], ==, 1);
    g_assert_cmpuint(world.sides[1].sent[TYPE_RESPONSE], ==, 1);

    g_assert_true(world_say(&world, 0, session, 1, "ping"));
    g_assert_true(world_say(&world, 1, world.sides[1].accepted, 0, "pong"));
    world_run(&world, DELAY);
    told = expect_data(&world, 1, "ping");
    g_assert_cmpuint(told->input.session, ==, world.sides[1].accepted);
    told = expect_data(&world, 0, "pong");
    g_assert_cmpuint(told->input.session, ==, session);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/sessions/a_session_takes_one_round_trip",
                    test_a_session_takes_one_round_trip);
    return g_test_run();
}
