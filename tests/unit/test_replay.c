/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Nodes that are recorded do again what they did; a core that is another one is found out. */
#include <glib/gstdio.h>
#include <pinhole/key.h>
#include <pinhole/replay.h>

#include "node_world.h"

static const char cone[] = "behaviour = port-restricted";
static const char symmetric[] = "behaviour = symmetric";

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

/* ---- what is in the file ---- */

static gboolean holds(const GByteArray *bytes, gconstpointer what, gsize length)
{
    return memmem(bytes->data, bytes->len, what, length) != NULL;
}

/* The secret key, the seed, what follows from it for sessions, and what was said. */
static void assert_secrets(const GByteArray *bytes, const PhNodeConfig *config, const char *said,
                           gboolean there)
{
    g_assert_cmpint(holds(bytes, config->secret, sizeof(config->secret)), ==, there);
    g_assert_cmpint(holds(bytes, config->seed, sizeof(config->seed)), ==, there);
    g_assert_cmpint(holds(bytes, config->psk, sizeof(config->psk)), ==, there);
    g_assert_cmpint(holds(bytes, said, strlen(said)), ==, there);
}

/* A node and a station face to face, so that the test knows all keys; what they send is kept. */
#define CELL 2048 /* more than a datagram has */

typedef struct Pair {
    PhStation *station;
    PhNode *nodes[2];
    PhNodeConfig configs[2];
    GByteArray *recordings[2], *wire; /* wire: a datagram in each CELL */
    guint32 peer;
    guint64 now;
} Pair;

static PhAddress place(guint i)
{
    return ph_address_ipv4(0xc6336401 + i, (guint16)(4000 + i));
}

static void deliver(Pair *pair, guint from, const PhTransmit *transmit)
{
    PhPath path = {.transport = PH_TRANSPORT_UDP, .socket = 1, .remote = place(from)};

    g_byte_array_append(pair->wire, transmit->bytes, (guint)transmit->length);
    g_byte_array_set_size(pair->wire, (pair->wire->len + CELL - 1) / CELL * CELL);
    for (guint i = 0; i < 2; i++) {
        PhAddress at = place(i);

        if (ph_address_equal(&at, &transmit->path.remote))
            ph_node_handle_datagram(pair->nodes[i], &path, transmit->bytes, transmit->length,
                                    pair->now);
    }
    if (transmit->path.remote.port == place(2).port &&
        ph_station_is_packet(transmit->bytes, transmit->length))
        ph_station_handle_datagram(pair->station, &path, transmit->bytes, transmit->length,
                                   pair->now);
}

static void serve(Pair *pair, guint i)
{
    PhSocketRequest request;
    PhTransmit transmit;
    PhNodeEvent event;
    PhAddress local = place(i);
    const guint8 *bytes;
    gsize length;

    while (ph_node_poll_socket(pair->nodes[i], &request))
        if (request.kind == PH_SOCKET_OPEN && request.socket == 1)
            ph_node_socket_opened(pair->nodes[i], 1, &local, pair->now);
        else if (request.kind == PH_SOCKET_OPEN)
            ph_node_socket_failed(pair->nodes[i], request.socket, pair->now);
    while (ph_node_poll_transmit(pair->nodes[i], &transmit))
        deliver(pair, i, &transmit);
    while (ph_node_poll_event(pair->nodes[i], &event))
        continue;
    while (pair->recordings[i] && ph_node_poll_record(pair->nodes[i], &bytes, &length))
        g_byte_array_append(pair->recordings[i], bytes, (guint)length);
}

static void pass(Pair *pair, guint64 ns)
{
    PhTransmit transmit;

    for (guint64 until = pair->now + ns; pair->now < until; pair->now += 10 * MS) {
        ph_station_handle_timeout(pair->station, pair->now);
        while (ph_station_poll_transmit(pair->station, &transmit))
            deliver(pair, 2, &transmit);
        for (guint i = 0; i < 2; i++) {
            ph_node_handle_timeout(pair->nodes[i], pair->now);
            serve(pair, i);
        }
    }
}

static void pair_init(Pair *pair, PhRecordKind record)
{
    PhStationConfig station;
    PhKey key, hub;

    ph_station_config_init(&station);
    ph_key_generate(&hub);
    memcpy(station.secret, hub.secret_half, sizeof(station.secret));
    memset(station.seed, 7, sizeof(station.seed));
    memset(station.psk, 0x5a, sizeof(station.psk));
    pair->station = ph_station_new(&station);
    pair->wire = g_byte_array_new();
    pair->now = S;
    for (guint i = 0; i < 2; i++) {
        PhNodeConfig *config = &pair->configs[i];

        *config = (PhNodeConfig){.hub = place(2), .first_socket = 1, .record = record};
        ph_key_generate(&key);
        memcpy(config->secret, key.secret_half, sizeof(config->secret));
        memcpy(config->hub_key, hub.public_half, sizeof(config->hub_key));
        memset(config->psk, 0x5a, sizeof(config->psk));
        for (guint k = 0; k < sizeof(config->seed); k++)
            config->seed[k] = (guint8)g_test_rand_int();
        config->name[0] = (char)('a' + i);
        pair->recordings[i] = g_byte_array_new();
        pair->nodes[i] = ph_node_new(config, pair->now);
        g_assert_nonnull(pair->nodes[i]);
    }
}

static void pair_clear(Pair *pair)
{
    for (guint i = 0; i < 2; i++) {
        ph_node_free(pair->nodes[i]);
        if (pair->recordings[i])
            g_byte_array_unref(pair->recordings[i]);
    }
    ph_station_free(pair->station);
    g_byte_array_unref(pair->wire);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Pair, pair_clear)

static void talk(Pair *pair, const char *said)
{
    pass(pair, S);
    pair->peer = ph_node_connect(pair->nodes[0], "b", NULL, pair->now);
    ph_node_send(pair->nodes[0], pair->peer, (const guint8 *)said, strlen(said), pair->now);
    pass(pair, 20 * S);
    g_assert_cmpuint(ph_node_counters(pair->nodes[1])->messages_received, ==, 1);
}

/* Longer than what any of them says without being asked, and in no recording of decisions: neither
 * as it is nor as it was on the wire, sealed. */
static void test_no_secrets(gconstpointer data)
{
    static const char said[] = "what nobody else is to know, in so many words";
    gboolean secrets = GPOINTER_TO_INT(data);
    guint n_sealed = 0, n_there = 0;
    g_auto(Pair) pair = {0};

    pair_init(&pair, secrets ? PH_RECORD_SECRETS : PH_RECORD_DECISIONS);
    talk(&pair, said);
    for (guint i = 0; i < 2; i++) {
        const GByteArray *recording = pair.recordings[i];
        PhReplayResult result = replay_bytes(recording->data, recording->len, 100);

        g_assert_cmpstr(ph_replay_verdict_name(result.verdict), ==, "same");
        assert_secrets(recording, &pair.configs[i], said, secrets);
    }
    /* All that is sealed begins so; 16 bytes of it are the header. */
    for (gsize at = 0; at < pair.wire->len; at += CELL) {
        const guint8 *bytes = pair.wire->data + at;

        if (bytes[0] < 0xc1 || bytes[0] > 0xc5 || bytes[1] || bytes[2] || bytes[3])
            continue;
        n_sealed++;
        n_there +=
            holds(pair.recordings[0], bytes + 20, 16) || holds(pair.recordings[1], bytes + 20, 16);
    }
    g_assert_cmpuint(n_sealed, >, 20);
    if (secrets)
        g_assert_cmpuint(n_there, >=, 20);
    else
        g_assert_cmpuint(n_there, ==, 0);
}

/* Nobody takes what is recorded: it ends there, and says so. */
static void test_gap(void)
{
    g_auto(Pair) pair = {0};
    GByteArray *recording;
    const guint8 *bytes;
    PhReplayResult result;
    gsize length;

    pair_init(&pair, PH_RECORD_DECISIONS);
    recording = pair.recordings[0];
    pair.recordings[0] = NULL;
    for (guint i = 0; i < 60; i++)
        pass(&pair, 100 * S);
    g_assert_true(ph_node_poll_record(pair.nodes[0], &bytes, &length));
    g_assert_cmpuint(length, <=, PH_RECORD_BYTES);
    g_assert_cmpuint(length, >, PH_RECORD_BYTES - 10000);
    g_byte_array_append(recording, bytes, (guint)length);
    pass(&pair, 10 * S);
    g_assert_false(ph_node_poll_record(pair.nodes[0], &bytes, &length));
    result = replay_bytes(recording->data, recording->len, 10000);
    g_assert_cmpstr(ph_replay_verdict_name(result.verdict), ==, "gap");
    g_assert_cmpuint(result.inputs, >, 1000);
    g_byte_array_unref(recording);
}

/* ---- files that are not whole ---- */

/* Wherever it ends, what is there replays. */
static void test_cut(void)
{
    const Case c = {cone, cone, PH_RECORD_DECISIONS};
    g_auto(World) world = {0};
    const GByteArray *recording;
    guint64 before = 0;

    meet(&world, &c);
    recording = recording_of(&world, "alice");
    for (gsize length = 0; length < recording->len; length += 1 + recording->len / 300) {
        PhReplayResult result = replay_bytes(recording->data, length, 4096);

        if (result.verdict == PH_REPLAY_BAD) {
            g_assert_cmpuint(result.inputs, ==, 0);
            continue;
        }
        g_assert_cmpstr(ph_replay_verdict_name(result.verdict), ==, "same");
        g_assert_cmpuint(result.inputs, >=, before);
        before = result.inputs;
    }
    g_assert_cmpuint(before, >, 20);
}

static guint32 get_little(const guint8 *at)
{
    return (guint32)at[0] | (guint32)at[1] << 8 | (guint32)at[2] << 16 | (guint32)at[3] << 24;
}

/* One thing that is wrong each, and where. */
static void test_bad(void)
{
    const Case c = {cone, cone, PH_RECORD_SECRETS};
    g_auto(World) world = {0};
    const GByteArray *recording;
    g_autofree guint8 *bytes = NULL;
    guint32 section, interface;
    PhReplayResult result;

    meet(&world, &c);
    recording = recording_of(&world, "alice");
    bytes = g_memdup2(recording->data, recording->len);
    section = get_little(bytes + 4);
    interface = get_little(bytes + section + 4);

#define ASSERT_BAD(at, value, number, where, words)                                                \
    do {                                                                                           \
        guint8 kept = bytes[at];                                                                   \
        bytes[at] = (guint8)(value);                                                               \
        result = replay_bytes(bytes, recording->len, 4096);                                        \
        bytes[at] = kept;                                                                          \
        g_assert_cmpstr(ph_replay_verdict_name(result.verdict), ==, "bad");                        \
        g_assert_nonnull(strstr(result.problem, words));                                           \
        g_assert_cmpuint(result.block, ==, number);                                                \
        g_assert_cmpuint(result.offset, ==, where);                                                \
    } while (0)

    ASSERT_BAD(0, 0, 1, 0, "no pcapng");
    ASSERT_BAD(8, 0, 1, 0, "little-endian");
    ASSERT_BAD(4, section + 1, 1, 0, "length");
    ASSERT_BAD(12, 2, 1, 0, "another version of pcapng");
    ASSERT_BAD(section + 4, interface + 4, 2, section, "lengths differ");
    ASSERT_BAD(section + 7, 0x7f, 2, section, "longer than any");
    section += interface; /* the first block of ours: kind, length, time, version, kind of it */
    ASSERT_BAD(section + 16, 250, 3, section, "no known kind");
    ASSERT_BAD(section + 16, 11, 3, section, "made once, and first");
    ASSERT_BAD(section + 17, 0xff, 3, section, "longer than its block");
    ASSERT_BAD(section + 28, 9, 3, section, "another version");
    ASSERT_BAD(section + 29, 9, 3, section, "of no kind");
    ASSERT_BAD(section + 30, bytes[section + 30] ^ 1, 3, section, "do not belong together");
    ASSERT_BAD(section + 30 + 64, 99, 3, section, "does not know");
#undef ASSERT_BAD

    result = replay_bytes(bytes, 0, 1);
    g_assert_cmpstr(result.problem, ==, "the file is empty");
    result = replay_bytes((const guint8 *)"GIF89a", 6, 6);
    g_assert_cmpstr(result.problem, ==, "this is no pcapng file");
    result = replay_bytes(bytes, section, 4096);
    g_assert_cmpstr(result.problem, ==, "there is no recording of a node in it");
}

/* What others put between, editors of captures for example, does not matter. */
static void test_other_blocks(void)
{
    static const guint8 other[] = {4, 0, 0, 0, 16, 0, 0, 0, 1, 2, 3, 4, 16, 0, 0, 0};
    const Case c = {cone, cone, PH_RECORD_SECRETS};
    g_auto(World) world = {0};
    const GByteArray *recording;
    g_autoptr(GByteArray) mixed = g_byte_array_new();

    meet(&world, &c);
    recording = recording_of(&world, "alice");
    for (gsize at = 0; at < recording->len; at += get_little(recording->data + at + 4)) {
        g_byte_array_append(mixed, recording->data + at, get_little(recording->data + at + 4));
        g_byte_array_append(mixed, other, sizeof(other));
    }
    g_assert_cmpuint(replay_bytes(mixed->data, mixed->len, 4096).inputs, ==,
                     replay_bytes(recording->data, recording->len, 4096).inputs);
}

/* ---- differences ---- */

/* Somebody has changed what was recorded of one input: exactly that one is named. */
static void test_points_at_the_input(void)
{
    const Case c = {cone, cone, PH_RECORD_SECRETS};
    g_auto(World) world = {0};
    const GByteArray *recording;
    g_autofree guint8 *bytes = NULL;
    guint changed = 0;

    meet(&world, &c);
    recording = recording_of(&world, "alice");
    bytes = g_memdup2(recording->data, recording->len);
    /* A byte of each packet that was sent, near its end: block 6, flags 2, so many bytes kept. */
    for (gsize at = 0; at < recording->len; at += get_little(bytes + at + 4)) {
        guint32 kept = get_little(bytes + at + 20), padded = (kept + 3) & ~3U;
        PhReplayResult result;

        if (get_little(bytes + at) != 6 || get_little(bytes + at + 28 + padded + 4) != 2)
            continue;
        bytes[at + 28 + kept - 1] ^= 1;
        result = replay_bytes(bytes, recording->len, 4096);
        bytes[at + 28 + kept - 1] ^= 1;
        g_assert_cmpstr(ph_replay_verdict_name(result.verdict), ==, "differs");
        g_assert_nonnull(strstr(result.expected, "byte"));
        g_assert_cmpuint(result.transmits, ==, changed);
        if (++changed == 20)
            break;
    }
    g_assert_cmpuint(changed, ==, 20);
}

/* What a core says of a recording in which one line is another one. */
static char *replay_broken(const char *core, const GByteArray *recording)
{
    g_autofree char *program = g_build_filename(BROKEN_CORES, core, NULL), *path = NULL;
    char *argv[] = {program, NULL, NULL}, *output = NULL;
    g_autoptr(GError) error = NULL;
    int fd = g_file_open_tmp("recording-XXXXXX", &path, &error);

    g_assert_no_error(error);
    g_close(fd, NULL);
    g_file_set_contents(path, (const char *)recording->data, (gssize)recording->len, &error);
    g_assert_no_error(error);
    argv[1] = path;
    g_spawn_sync(NULL, argv, NULL, G_SPAWN_DEFAULT, NULL, NULL, &output, NULL, NULL, &error);
    g_assert_no_error(error);
    g_unlink(path);
    g_test_message("%s: %s", core, output);
    *strchr(output, '\n') = '\0';
    return output;
}

/* A goodbye with another reason: the input that says goodbye. */
static void test_broken_goodbye(gconstpointer data)
{
    const Case c = {cone, cone, (PhRecordKind)GPOINTER_TO_INT(data)};
    g_autofree char *expected = NULL, *said = NULL;
    g_auto(World) world = {0};
    PhReplayResult before;

    meet(&world, &c);
    world_pass(&world, 10 * S);
    before =
        replay_bytes(recording_of(&world, "alice")->data, recording_of(&world, "alice")->len, 4096);
    ph_node_close(world_node(&world, "alice"), world.lab->now);
    pl_seat_pump(world_seat(&world, "alice"));
    world_pass(&world, S);
    assert_same(&world, "alice", c.record == PH_RECORD_SECRETS);
    said = replay_broken("broken_goodbye", recording_of(&world, "alice"));
    expected = g_strdup_printf("differs %" G_GUINT64_FORMAT " close", before.inputs + 1);
    g_assert_cmpstr(said, ==, expected);
}

/* The number of the first input after which a punch has begun. */
static guint64 first_punch(const GByteArray *recording)
{
    PhReplay *replay = ph_replay_new();
    PhReplayStep step;
    guint64 number = 0;
    gsize at = 0;

    for (ph_replay_step(replay, &step); step.kind != PH_REPLAY_OVER && number == 0;
         ph_replay_step(replay, &step)) {
        if (step.kind == PH_REPLAY_INPUT &&
            ph_node_counters(ph_replay_node(replay))->punches_attempted > 0)
            number = step.number;
        else if (step.kind == PH_REPLAY_MORE && at == recording->len)
            ph_replay_end(replay);
        else if (step.kind == PH_REPLAY_MORE)
            at += ph_replay_feed(replay, recording->data + at, recording->len - at);
    }
    ph_replay_free(replay);
    return number;
}

/* A punch that begins a little sooner: the input that told when, though nothing is sent yet. */
static void test_broken_start(gconstpointer data)
{
    const Case c = {cone, cone, (PhRecordKind)GPOINTER_TO_INT(data)};
    g_autofree char *expected = NULL, *said = NULL;
    g_auto(World) world = {0};
    guint64 punch;

    meet(&world, &c);
    punch = first_punch(recording_of(&world, "alice"));
    g_assert_cmpuint(punch, >, 1);
    said = replay_broken("broken_start", recording_of(&world, "alice"));
    expected = g_strdup_printf("differs %" G_GUINT64_FORMAT " datagram", punch);
    g_assert_cmpstr(said, ==, expected);
}

int main(int argc, char **argv)
{
    static const Case cases[] = {
        {cone, cone, PH_RECORD_SECRETS},           {cone, cone, PH_RECORD_DECISIONS},
        {symmetric, cone, PH_RECORD_SECRETS},      {symmetric, cone, PH_RECORD_DECISIONS},
        {symmetric, symmetric, PH_RECORD_SECRETS}, {symmetric, symmetric, PH_RECORD_DECISIONS},
        {"open", "open", PH_RECORD_DECISIONS},
    };

    g_test_init(&argc, &argv, NULL);
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path =
            g_strdup_printf("/replay/same/%s-%u",
                            cases[i].record == PH_RECORD_SECRETS ? "secrets" : "decisions", i);

        g_test_add_data_func(path, &cases[i], test_same);
    }
    g_test_add_data_func("/replay/secrets are in it only on request/not", GINT_TO_POINTER(FALSE),
                         test_no_secrets);
    g_test_add_data_func("/replay/secrets are in it only on request/yes", GINT_TO_POINTER(TRUE),
                         test_no_secrets);
    g_test_add_func("/replay/gap", test_gap);
    g_test_add_func("/replay/cut anywhere", test_cut);
    g_test_add_func("/replay/bad files", test_bad);
    g_test_add_func("/replay/blocks of others", test_other_blocks);
    g_test_add_func("/replay/points at the input", test_points_at_the_input);
    for (int record = PH_RECORD_DECISIONS; record <= PH_RECORD_SECRETS; record++) {
        const char *kind = record == PH_RECORD_SECRETS ? "secrets" : "decisions";
        g_autofree char *goodbye = g_strdup_printf("/replay/broken/goodbye-%s", kind);
        g_autofree char *start = g_strdup_printf("/replay/broken/start-%s", kind);

        g_test_add_data_func(goodbye, GINT_TO_POINTER(record), test_broken_goodbye);
        g_test_add_data_func(start, GINT_TO_POINTER(record), test_broken_start);
    }
    return g_test_run();
}
