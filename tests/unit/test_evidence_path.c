/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which way packets took between two hosts, from a capture alone. */
#include "capture/path.h"
#include "evidence_wire.h"

/* Alice is behind the NAT and seen on its inside, bob is on the internet, at the third interface.
 */
#define ALICE    at("192.168.1.2:5000")
#define EXTERNAL at("203.0.113.1:5000")
#define BOB      at("198.51.100.7:6000")
#define HUB      at("203.0.113.10:3478")

typedef struct Scene {
    Wire wire;
    GArray *alice, *bob, *hub;
    PlPathRelay relay;
    PlPathQuery query;
} Scene;

static GArray *only(PhAddress address)
{
    GArray *array = g_array_new(FALSE, FALSE, sizeof(PhAddress));

    g_array_append_val(array, address);
    return array;
}

static void scene_init(Scene *scene)
{
    *scene = (Scene){.alice = only(ALICE), .bob = only(BOB), .hub = only(HUB)};
    wire_init(&scene->wire);
    scene->relay = (PlPathRelay){"hub", scene->hub};
    scene->query = (PlPathQuery){
        .ends = {{"home.inside", scene->alice, NULL}, {"hub", scene->bob, NULL}},
        .relays = &scene->relay,
        .n_relays = 1,
    };
}

static void scene_clear(Scene *scene)
{
    wire_clear(&scene->wire);
    g_array_unref(scene->alice);
    g_array_unref(scene->bob);
    g_array_unref(scene->hub);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Scene, scene_clear)

/* A packet that is as long as real ones, with a number of its own. */
static void packet(Scene *scene, unsigned interface, PhAddress source, PhAddress destination,
                   unsigned number, gsize length)
{
    uint8_t frame[14 + 20 + 8 + 400] = {[12] = 0x08};

    g_assert_cmpuint(length, <=, 400);
    put_ip(frame + 14, &source, &destination, 17, 8 + length);
    put_udp(frame + 34, &source, &destination, length);
    memset(frame + 42, 'x', length);
    memcpy(frame + 42, &number, sizeof(number));
    wire_frame(&scene->wire, interface, frame, 42 + length);
}

/* By alice to bob, and the other way; as each sees it. */
static void to_bob(Scene *scene)
{
    unsigned number = ++scene->wire.payload;

    packet(scene, INSIDE, ALICE, BOB, number, 100);
    packet(scene, ELSEWHERE, EXTERNAL, BOB, number, 100);
}

static void to_alice(Scene *scene)
{
    unsigned number = ++scene->wire.payload;

    packet(scene, ELSEWHERE, BOB, EXTERNAL, number, 100);
    packet(scene, INSIDE, BOB, ALICE, number, 100);
}

/* By way of a third one, which puts it into a packet of its own. */
static void relayed_by(Scene *scene, PhAddress third, gboolean to_alice_)
{
    unsigned number = scene->wire.payload += 2;

    if (to_alice_)
        packet(scene, ELSEWHERE, BOB, third, number, 180);
    else
        packet(scene, INSIDE, ALICE, third, number, 180);
    if (to_alice_)
        packet(scene, INSIDE, third, ALICE, number + 1, 184);
    else
        packet(scene, ELSEWHERE, third, BOB, number + 1, 184);
}

static void relayed(Scene *scene, gboolean to_alice_)
{
    relayed_by(scene, HUB, to_alice_);
}

static PlPathEvidence judged(Scene *scene)
{
    PlCapture *capture = finish(&scene->wire);
    g_autoptr(GError) error = NULL;
    PlPathEvidence evidence;

    g_assert_true(pl_path_judge(capture, &scene->query, &evidence, &error));
    g_assert_no_error(error);
    free_capture(capture);
    return evidence;
}

static void packets_of_both_make_a_straight_path(void)
{
    g_auto(Scene) scene = {0};
    PlPathEvidence found;

    scene_init(&scene);
    /* Both send before anything comes. */
    packet(&scene, ELSEWHERE, BOB, EXTERNAL, 1000, 100);
    to_bob(&scene);
    to_alice(&scene);
    found = judged(&scene);
    g_assert_cmpint(found.seen, ==, PL_PATH_STRAIGHT);
    g_assert_false(found.dialled);
    g_assert_cmpuint(found.straight[0], ==, 1);
    g_assert_cmpuint(found.straight[1], ==, 1);
}

static void what_passes_no_nat_has_its_own_address(void)
{
    const struct {
        PhAddress alice;
        gboolean own;
    } cases[] = {{ALICE, TRUE}, {EXTERNAL, FALSE}};

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(Scene) scene = {0};
        PlPathEvidence found;

        scene_init(&scene);
        packet(&scene, INSIDE, ALICE, BOB, 1, 100);
        packet(&scene, ELSEWHERE, cases[i].alice, BOB, 1, 100);
        packet(&scene, ELSEWHERE, BOB, cases[i].alice, 2, 100);
        packet(&scene, INSIDE, BOB, ALICE, 2, 100);
        found = judged(&scene);
        g_assert_cmpint(found.seen, ==, PL_PATH_STRAIGHT);
        g_assert_cmpint(found.own, ==, cases[i].own);
    }
}

static void who_gets_a_packet_unasked_was_dialled(void)
{
    g_auto(Scene) scene = {0};

    scene_init(&scene);
    to_bob(&scene);
    to_alice(&scene);
    g_assert_true(judged(&scene).dialled);
}

static void one_direction_is_no_path(void)
{
    g_auto(Scene) scene = {0};

    scene_init(&scene);
    for (unsigned i = 0; i < 5; i++)
        to_bob(&scene);
    /* Sent, and never arrived. */
    packet(&scene, ELSEWHERE, BOB, EXTERNAL, 1000, 100);
    g_assert_cmpint(judged(&scene).seen, ==, PL_PATH_NOTHING);
}

static void by_the_hub_is_relayed_in_both_directions_only(void)
{
    g_auto(Scene) scene = {0}, half = {0};
    PlPathEvidence found;

    scene_init(&scene);
    scene_init(&half);
    for (unsigned i = 0; i < 3; i++) {
        relayed(&scene, FALSE);
        scene.wire.now += S;
        relayed(&scene, TRUE);
        scene.wire.now += S;
        relayed(&half, FALSE);
        half.wire.now += S;
    }
    found = judged(&scene);
    g_assert_cmpint(found.seen, ==, PL_PATH_RELAYED);
    g_assert_cmpstr(found.relay->name, ==, "hub");
    g_assert_cmpint(judged(&half).seen, ==, PL_PATH_NOTHING);
}

/* Whichever is named first. */
static void of_two_relays_it_is_the_last_in_use(void)
{
    const PhAddress mary = at("203.0.113.20:4000");
    g_autoptr(GArray) there = only(mary);

    for (guint first = 0; first < 2; first++) {
        g_auto(Scene) scene = {0};
        PlPathRelay relays[2];

        scene_init(&scene);
        relays[first] = scene.relay;
        relays[!first] = (PlPathRelay){"mary", there};
        scene.query.relays = relays;
        scene.query.n_relays = 2;
        for (unsigned i = 0; i < 12; i++) {
            relayed_by(&scene, i < 8 ? HUB : mary, i % 2);
            scene.wire.now += S;
        }
        g_assert_cmpstr(judged(&scene).relay->name, ==, "mary");
    }
}

/* Both talk to the hub, and not to each other. */
static void talk_to_the_hub_is_no_path(void)
{
    g_auto(Scene) scene = {0};

    scene_init(&scene);
    for (unsigned i = 0; i < 10; i++) {
        packet(&scene, INSIDE, ALICE, HUB, 2000 + i, 40);
        packet(&scene, INSIDE, HUB, ALICE, 3000 + i, 40);
        scene.wire.now += S;
        packet(&scene, ELSEWHERE, BOB, HUB, 4000 + i, 40);
        packet(&scene, ELSEWHERE, HUB, BOB, 5000 + i, 40);
        scene.wire.now += S;
    }
    g_assert_cmpint(judged(&scene).seen, ==, PL_PATH_NOTHING);
}

/* Nor when they do so at the same time, if one knows that a relay would not change the length. */
static void talk_to_the_hub_at_once_is_no_path_of_nodes(void)
{
    for (gsize around = 0; around <= 1; around++) {
        g_auto(Scene) scene = {0};

        scene_init(&scene);
        scene.query.same_length = TRUE;
        for (unsigned i = 0; i < 10; i++) {
            packet(&scene, INSIDE, ALICE, HUB, 2000 + i, 40);
            packet(&scene, ELSEWHERE, BOB, HUB, 4000 + i, 40);
            packet(&scene, INSIDE, HUB, ALICE, 3000 + i, 40 + around);
            packet(&scene, ELSEWHERE, HUB, BOB, 5000 + i, 40 + around);
            scene.wire.now += S;
        }
        g_assert_cmpint(judged(&scene).seen, ==, around ? PL_PATH_NOTHING : PL_PATH_RELAYED);
    }
}

/* A path that went silent is not the one in use. */
static void who_falls_back_is_relayed(void)
{
    g_auto(Scene) scene = {0};

    scene_init(&scene);
    to_bob(&scene);
    to_alice(&scene);
    scene.wire.now += 60 * S;
    for (unsigned i = 0; i < 3; i++) {
        relayed(&scene, FALSE);
        scene.wire.now += S;
        relayed(&scene, TRUE);
        scene.wire.now += S;
    }
    g_assert_cmpint(judged(&scene).seen, ==, PL_PATH_RELAYED);
}

static void a_third_party_is_found_out_by_what_it_gets(void)
{
    g_auto(Scene) scene = {0};
    g_autoptr(GArray) victim = only(at("198.51.100.99:1"));
    const PlPathEnd third = {.interface = "home.outside", .addresses = victim};
    g_autoptr(GError) error = NULL;
    PlCapture *capture;
    guint packets;

    scene_init(&scene);
    to_bob(&scene);
    /* Somebody else's packet to the victim, and one of alice's. */
    packet(&scene, OUTSIDE, HUB, at("198.51.100.99:7"), 7000, 100);
    packet(&scene, INSIDE, ALICE, at("198.51.100.99:7"), 7001, 100);
    packet(&scene, OUTSIDE, EXTERNAL, at("198.51.100.99:7"), 7001, 100);
    capture = finish(&scene.wire);
    g_assert_true(pl_path_third_party(capture, &scene.query, &third, &packets, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(packets, ==, 1);
    free_capture(capture);
}

static void a_text_is_found_in_payloads(void)
{
    g_auto(Scene) scene = {0};
    PlCapture *capture;

    scene_init(&scene);
    to_bob(&scene);
    capture = finish(&scene.wire);
    g_assert_true(pl_path_plaintext(capture, "xxxxxxxx"));
    g_assert_false(pl_path_plaintext(capture, "xxxyxxxx"));
    free_capture(capture);
}

static void an_interface_that_is_not_there_is_named(void)
{
    g_auto(Scene) scene = {0};
    g_autoptr(GError) error = NULL;
    PlPathEvidence evidence;
    PlCapture *capture;

    scene_init(&scene);
    scene.query.ends[1].interface = "nowhere";
    capture = finish(&scene.wire);
    g_assert_false(pl_path_judge(capture, &scene.query, &evidence, &error));
    g_assert_error(error, PL_ERROR, PL_ERROR_INPUT);
    g_assert_nonnull(strstr(error->message, "nowhere"));
    free_capture(capture);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, function) g_test_add_func("/evidence-path/" path, function)
    ADD("packets-of-both-make-a-straight-path", packets_of_both_make_a_straight_path);
    ADD("what-passes-no-nat-has-its-own-address", what_passes_no_nat_has_its_own_address);
    ADD("who-gets-a-packet-unasked-was-dialled", who_gets_a_packet_unasked_was_dialled);
    ADD("one-direction-is-no-path", one_direction_is_no_path);
    ADD("by-the-hub-is-relayed-in-both-directions-only",
        by_the_hub_is_relayed_in_both_directions_only);
    ADD("of-two-relays-it-is-the-last-in-use", of_two_relays_it_is_the_last_in_use);
    ADD("talk-to-the-hub-is-no-path", talk_to_the_hub_is_no_path);
    ADD("talk-to-the-hub-at-once-is-no-path-of-nodes", talk_to_the_hub_at_once_is_no_path_of_nodes);
    ADD("who-falls-back-is-relayed", who_falls_back_is_relayed);
    ADD("a-third-party-is-found-out-by-what-it-gets", a_third_party_is_found_out_by_what_it_gets);
    ADD("a-text-is-found-in-payloads", a_text_is_found_in_payloads);
    ADD("an-interface-that-is-not-there-is-named", an_interface_that_is_not_there_is_named);
    return g_test_run();
}
