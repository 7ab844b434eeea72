/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Nodes that are recorded do again what they did; a core that is another one is found out. */
#include <pinhole/replay.h>

#include "node_world.h"

static const char cone[] = "behaviour = port-restricted";
static const char symmetric[] = "behaviour = symmetric";
static const char random_ports[] = "behaviour = symmetric";

/* In pieces, as they come out of a file. */
static PhReplayResult replay_bytes(const guint8 *bytes, gsize length, gsize piece)
{
    PhReplay *replay = ph_replay_new();
    PhReplayResult result;
    PhReplayStep step;
    gsize at = 0;

    for (;;) {
        ph_replay_step(replay, &step);
        if (step.kind == PH_REPLAY_OVER)
            break;
        if (step.kind != PH_REPLAY_MORE)
            continue;
        if (at == length)
            ph_replay_end(replay);
        else
            at += ph_replay_feed(replay, bytes + at, MIN(piece, length - at));
    }
    result = *ph_replay_result(replay);
    g_test_message("%s after %" G_GUINT64_FORMAT " inputs, %" G_GUINT64_FORMAT
                   " transmissions, %" G_GUINT64_FORMAT " events; %zu bytes; input %s: expected "
                   "%s, got %s; problem: %s",
                   ph_replay_verdict_name(result.verdict), result.inputs, result.transmits,
                   result.events, length, result.input ? result.input : "-", result.expected,
                   result.got, result.problem);
    ph_replay_free(replay);
    return result;
}

static const GByteArray *recording_of(World *world, const char *host)
{
    return pl_node_agent_recording(pl_seat_agent(world_seat(world, host)));
}

static void assert_same(World *world, const char *host, gboolean secrets)
{
    const GByteArray *recording = recording_of(world, host);
    PhReplayResult result = replay_bytes(recording->data, recording->len, 5000);

    g_assert_cmpstr(ph_replay_verdict_name(result.verdict), ==, "same");
    g_assert_cmpint(result.secrets, ==, secrets);
    g_assert_false(result.cut);
    g_assert_cmpuint(result.inputs, >, 20);
    g_assert_cmpuint(result.transmits, >, 20);
    g_assert_cmpuint(result.events, >, 3);
}

typedef struct Case {
    const char *alice, *bob;
    PhRecordKind record;
} Case;

static void meet(World *world, const Case *c)
{
    const char *const hosts[] = {"bob", c->bob, "node", "alice", c->alice, "node --connect bob",
                                 NULL};

    world_init(world, hosts, "");
    world->lab->nodes_record = c->record;
    world_start(world, "bob");
    world_pass(world, 10 * S);
    world_start(world, "alice");
    world_pass(world, 5 * S);
}

static void test_same(gconstpointer data)
{
    const Case *c = data;
    g_auto(World) world = {0};

    meet(&world, c);
    world_stream(&world, "alice", 0, 20, 50 * MS);
    world_pass(&world, 300 * S);
    assert_same(&world, "alice", c->record == PH_RECORD_SECRETS);
    assert_same(&world, "bob", c->record == PH_RECORD_SECRETS);
}

int main(int argc, char **argv)
{
    static const Case cases[] = {
        {cone, cone, PH_RECORD_SECRETS},           {cone, cone, PH_RECORD_DECISIONS},
        {symmetric, cone, PH_RECORD_SECRETS},      {symmetric, cone, PH_RECORD_DECISIONS},
        {symmetric, symmetric, PH_RECORD_SECRETS}, {symmetric, random_ports, PH_RECORD_DECISIONS},
        {"open", "open", PH_RECORD_DECISIONS},
    };

    g_test_init(&argc, &argv, NULL);
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path =
            g_strdup_printf("/replay/same/%s-%u",
                            cases[i].record == PH_RECORD_SECRETS ? "secrets" : "decisions", i);

        g_test_add_data_func(path, &cases[i], test_same);
    }
    return g_test_run();
}
