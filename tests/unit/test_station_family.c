/* SPDX-License-Identifier: MIT */
/* Nodes that are in two families of addresses at once: a station vouches for them where they have
 * shown that they are, and for nobody anywhere else. */
#include "station_scene.h"

static PhPath at(const char *text)
{
    PhPath path = {.transport = PH_TRANSPORT_UDP, .socket = 4};

    g_assert_true(ph_address_parse(text, &path.remote));
    return path;
}

/* From there, whether it is there or not. */
static void say_from(Room *room, Client *client, const PhPath *path, const PhMessage *message)
{
    client->forged = *path;
    say(room, client, message);
    client->forged = (PhPath){0};
}

static void ping_from(Room *room, Client *client, const PhPath *path)
{
    PhMessage ping = {.kind = PH_MESSAGE_PING, .ping = {.id = 99}};

    say_from(room, client, path, &ping);
}

/* Alice shows that she is there, too. */
static void show(Scene *scene)
{
    scene->alice->beside = at("[2001:db8:a::2]:5000");
    ping_from(&scene->room, scene->alice, &scene->alice->beside);
}

/* What bob is told of alice, a second later at most. */
static const PhNodeRecord *introduce(Scene *scene)
{
    PhMessage message = introduce_to(scene->bob);

    message.introduce.record.sequence = 0; /* older than what she has said by UPDATE */
    say(&scene->room, scene->alice, &message);
    pass(&scene->room, S);
    return &scene->bob->last[PH_MESSAGE_INTRODUCED].introduced.record;
}

static void update(Scene *scene, Client *client, const PhCandidate *candidates, guint8 n)
{
    PhMessage message = {.kind = PH_MESSAGE_UPDATE, .record = {.sequence = 5, .n_candidates = n}};

    memcpy(message.record.candidates, candidates, n * sizeof(*candidates));
    say(&scene->room, client, &message);
}

static void assert_names(const PhNodeRecord *record, const PhAddress *first,
                         const PhAddress *second)
{
    g_assert_cmpuint(record->n_candidates, ==, second ? 2 : 1);
    g_assert_true(ph_address_equal(&record->candidates[0].address, first));
    if (second)
        g_assert_true(ph_address_equal(&record->candidates[1].address, second));
}

/* One ping back, from then on answers; and nothing else of hers goes another way. */
static void test_who_answers_there_is_there(void)
{
    g_auto(Scene) scene = {0};
    const Client *alice;
    PhStationNode node;

    scene_init(&scene);
    alice = scene.alice;
    show(&scene);
    g_assert_cmpuint(alice->told[PH_MESSAGE_PING], ==, 1);
    g_assert_cmpuint(alice->told[PH_MESSAGE_PONG], ==, 0);
    ping_from(&scene.room, scene.alice, &alice->beside);
    g_assert_cmpuint(alice->told[PH_MESSAGE_PONG], ==, 1);
    g_assert_true(ph_address_equal(&alice->last[PH_MESSAGE_PONG].ping.seen, &alice->beside.remote));
    assert_names(introduce(&scene), &alice->path.remote, &alice->beside.remote);
    node = *who_is(&scene.room, "alice");
    g_assert_true(ph_address_equal(&node.seen, &alice->path.remote));
    g_assert_true(ph_address_equal(&node.beside, &alice->beside.remote));
    assert_relays(&scene);
    g_assert_cmpuint(scene.room.victim_datagrams, ==, 0);
}

/* Who has just begun to show where she is there is introduced when she has. */
static void test_an_introduction_waits_for_the_answer(void)
{
    PhMessage pong = {.kind = PH_MESSAGE_PONG};
    g_auto(Scene) scene = {0};
    PhMessage message;

    scene_init(&scene);
    scene.alice->mute = TRUE;
    show(&scene);
    message = introduce_to(scene.alice);
    say(&scene.room, scene.bob, &message);
    g_assert_cmpuint(scene.bob->told[PH_MESSAGE_INTRODUCED], ==, 0);
    pong.ping.id = scene.alice->last[PH_MESSAGE_PING].ping.id;
    say_from(&scene.room, scene.alice, &scene.alice->beside, &pong);
    g_assert_cmpuint(scene.bob->told[PH_MESSAGE_INTRODUCED], ==, 1);
    assert_names(&scene.bob->last[PH_MESSAGE_INTRODUCED].introduced.record,
                 &scene.alice->path.remote, &scene.alice->beside.remote);
}

/* Attack: a record that names a victim's address, as whatever. */
static void test_N9_who_only_says_so_is_not_believed(void)
{
    g_auto(Scene) scene = {0};
    PhCandidate candidates[PH_CANDIDATE_N];

    scene_init(&scene);
    for (guint i = 0; i < PH_CANDIDATE_N; i++)
        candidates[i] = (PhCandidate){(guint8)i, at("[2001:db8:f::2]:5000").remote};
    update(&scene, scene.alice, candidates, PH_CANDIDATE_N);
    assert_names(introduce(&scene), &scene.alice->path.remote, NULL);
    show(&scene); /* not even when she is somewhere in that family */
    assert_names(introduce(&scene), &scene.alice->path.remote, &scene.alice->beside.remote);
}

/* Attack: her packets seem to come from a victim, who gets four pings a second and nothing else;
 * she is where she was meanwhile. */
static void test_N9_who_does_not_answer_there_is_not_believed(void)
{
    const PhPath from = at("[2001:db8:f::2]:5000");
    g_auto(Scene) scene = {0};
    PhMessage pong = {.kind = PH_MESSAGE_PONG};
    gsize before;

    scene_init(&scene);
    before = scene.room.in;
    for (guint i = 0; i < 200; i++) {
        ping_from(&scene.room, scene.alice, &from);
        pong.ping.id = i;
        say_from(&scene.room, scene.alice, &from, &pong);
        pass(&scene.room, 5 * MS);
    }
    g_assert_cmpuint(scene.room.victim_datagrams, <=, 4);
    g_assert_cmpuint(scene.room.victim_bytes * 50, <, scene.room.in - before);
    assert_names(introduce(&scene), &scene.alice->path.remote, NULL);
    g_assert_cmpuint(who_is(&scene.room, "alice")->beside.family, ==, PH_FAMILY_NONE);
    assert_relays(&scene);
}

/* Attack: the ping that she gets where she is, answered as if from a victim. */
static void test_N9_an_answer_from_elsewhere_is_none(void)
{
    const PhPath from = at("[2001:db8:f::2]:5000");
    g_auto(Scene) scene = {0};
    PhMessage pong = {.kind = PH_MESSAGE_PONG};

    scene_init(&scene);
    scene.alice->mute = TRUE;
    show(&scene);
    g_assert_cmpuint(scene.alice->told[PH_MESSAGE_PING], ==, 1);
    pong.ping.id = scene.alice->last[PH_MESSAGE_PING].ping.id;
    say_from(&scene.room, scene.alice, &from, &pong);
    assert_names(introduce(&scene), &scene.alice->path.remote, NULL);
    /* Nor is one that comes too late: it is asked elsewhere by then. */
    pass(&scene.room, S);
    say_from(&scene.room, scene.alice, &scene.alice->beside, &pong);
    assert_names(introduce(&scene), &scene.alice->path.remote, NULL);
}

/* It is not told for longer than a registration lasts without a sign of life. */
static void test_it_ends_when_nothing_comes_from_there(void)
{
    g_auto(Scene) scene = {0};

    scene_init(&scene);
    show(&scene);
    for (guint i = 0; i < 8; i++) {
        pass(&scene.room, 10 * S);
        say_alive(&scene.room, scene.alice);
        say_alive(&scene.room, scene.bob);
    }
    assert_names(introduce(&scene), &scene.alice->path.remote, &scene.alice->beside.remote);
    pass(&scene.room, 11 * S);
    assert_names(introduce(&scene), &scene.alice->path.remote, NULL);
}

/* Local addresses are for those who are seen at the same host in that family, not in the other. */
static void test_local_addresses_are_for_neighbours_of_that_family(void)
{
    const PhCandidate inside = {PH_CANDIDATE_LOCAL, at("[fd00::2]:5000").remote};
    g_auto(Scene) scene = {0};

    scene_init(&scene);
    show(&scene);
    update(&scene, scene.alice, &inside, 1);
    g_assert_cmpuint(introduce(&scene)->n_candidates, ==, 2);
    scene.bob->beside = at("[2001:db8:a::2]:6000"); /* one router's, for both */
    ping_from(&scene.room, scene.bob, &scene.bob->beside);
    g_assert_cmpuint(introduce(&scene)->n_candidates, ==, 3);
}

/* Who registers anew by the other family is there, and not there beside that. */
static void test_a_registration_by_the_other_family_takes_its_place(void)
{
    g_auto(Scene) scene = {0};
    PhPath before;

    scene_init(&scene);
    show(&scene);
    before = scene.alice->path;
    scene.alice->path = scene.alice->beside;
    scene.alice->beside = before;
    pass(&scene.room, S);
    join(&scene.room, scene.alice, "alice");
    assert_names(introduce(&scene), &scene.alice->path.remote, NULL);
    ping_from(&scene.room, scene.alice, &scene.alice->beside);
    assert_names(introduce(&scene), &scene.alice->path.remote, &scene.alice->beside.remote);
}

/* A station says where else it is, in the family that this node has not come by. */
static void test_a_station_says_where_else_it_is(void)
{
    PhStationConfig config = room_config();
    g_auto(Scene) scene = {0};
    const Client *carol;

    config.addresses[0] = ph_address_ipv4(0xcb00710a, 3478);
    config.addresses[1] = at("[2001:db8::10]:3478").remote;
    scene_init_with(&scene, &config);
    g_assert_true(ph_address_equal(&scene.alice->last[PH_MESSAGE_REGISTERED].registered.also,
                                   &config.addresses[1]));
    carol = room_client(&scene.room, 2);
    scene.room.clients[2]->path = at("[2001:db8:c::2]:5000");
    join(&scene.room, scene.room.clients[2], "carol");
    g_assert_true(ph_address_equal(&carol->last[PH_MESSAGE_REGISTERED].registered.also,
                                   &config.addresses[0]));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/station/family/who answers there is there", test_who_answers_there_is_there);
    g_test_add_func("/station/family/an introduction waits for the answer",
                    test_an_introduction_waits_for_the_answer);
    g_test_add_func("/station/family/N9 who only says so is not believed",
                    test_N9_who_only_says_so_is_not_believed);
    g_test_add_func("/station/family/N9 who does not answer there is not believed",
                    test_N9_who_does_not_answer_there_is_not_believed);
    g_test_add_func("/station/family/N9 an answer from elsewhere is none",
                    test_N9_an_answer_from_elsewhere_is_none);
    g_test_add_func("/station/family/it ends when nothing comes from there",
                    test_it_ends_when_nothing_comes_from_there);
    g_test_add_func("/station/family/local addresses are for neighbours of that family",
                    test_local_addresses_are_for_neighbours_of_that_family);
    g_test_add_func("/station/family/a registration by the other family takes its place",
                    test_a_registration_by_the_other_family_takes_its_place);
    g_test_add_func("/station/family/a station says where else it is",
                    test_a_station_says_where_else_it_is);
    return g_test_run();
}
