/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Stories of nodes: what is true of one passes, and each lie, and each tampered recording, fails.
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "capture/packet.h"
#include "scenario/story.h"
#include "virtual/virtual.h"

#define SEED 7
#define HOME(name, where)                                                                          \
    "[nat " name "]\noutside = internet\ninside = 192.168.1.0/24\nbehaviour = " where "\n"
#define WORLD(where)                                                                               \
    "[topology]\ntitle = t\n[network internet]\nsubnet = 203.0.113.0/24\n" HOME("west", where)     \
        HOME("east", where) "[host bob]\nbehind = east\nrun = node --fast\n"                       \
                            "[host alice]\nbehind = west\nrun = node --fast --connect bob\n"       \
                            "[host hub]\non = internet\nrun = hub\n"
#define STEP(n, when, text) "[step " #n "]\nat = " when "\ndo = " text "\n"
#define SECRET              "a secret of theirs"
#define STREAM              STEP(1, "1s", "host alice stream bob 10 100ms " SECRET)
#define STRAIGHT            WORLD("port-restricted") STREAM "[expect]\n"
#define RELAYED             WORLD("symmetric") STREAM "[expect]\n"

/* A story that has happened: what is known of it can be changed before it is judged. */
typedef struct Told {
    PlTopology *topology;
    PlStory *story;
    PlVerdict *verdict;
    GBytes *bytes;
    PlCapture *capture;
    GPtrArray *copies; /* of frames */
} Told;

static void collect(Told *told, PlLab *lab)
{
    const PlEngine *engine = &pl_virtual_engine;
    g_autoptr(GError) error = NULL;

    for (unsigned i = 0; i < told->topology->nodes->len; i++) {
        const PlNode *host = g_ptr_array_index(told->topology->nodes, i);
        PlSubject *subject = pl_verdict_subject(told->verdict, host->name);
        PlProgramResult result = {0};

        if (!host->program.argv)
            continue;
        g_assert_true(engine->result(lab, host, &result, &error));
        subject->output = result.output;
        if (host->program.word == PL_WORD_NODE)
            subject->status = engine->status(lab, host);
    }
}

static void happen(Told *told, PlLab *lab)
{
    g_autoptr(GPtrArray) programs = pl_topology_programs(told->topology);
    const PlEngine *engine = &pl_virtual_engine;
    g_autoptr(GError) error = NULL;

    for (unsigned i = 0; i < programs->len; i++)
        g_assert_true(engine->start(lab, g_ptr_array_index(programs, i), &error));
    pl_story_begin(told->story, engine->wall(lab));
    for (unsigned i = 0; i < told->topology->steps->len; i++) {
        g_assert_true(engine->step(lab, g_ptr_array_index(told->topology->steps, i), &error));
        pl_story_done(told->story, i, engine->wall(lab));
    }
    g_assert_true(pl_story_await(told->story, engine, lab, &error));
    collect(told, lab);
}

static void tell(Told *told, const char *text)
{
    int fd = memfd_create("capture", MFD_CLOEXEC);
    g_autoptr(GMappedFile) file = NULL;
    g_autoptr(GError) error = NULL;
    PlLab *lab;

    *told = (Told){.topology = pl_topology_parse("t.ini", text, strlen(text), &error)};
    g_assert_no_error(error);
    told->story = pl_story_new(told->topology, SEED);
    told->verdict = pl_verdict_new(told->topology, "virtual", SEED);
    told->copies = g_ptr_array_new_with_free_func(g_free);
    lab = pl_virtual_engine.up(told->topology, SEED, &error);
    g_assert_true(pl_virtual_engine.record(lab, fd, &error));
    happen(told, lab);
    g_assert_true(pl_virtual_engine.record_stop(lab, &error));
    pl_virtual_engine.down(lab);
    file = g_mapped_file_new_from_fd(fd, FALSE, &error);
    g_assert_no_error(error);
    told->bytes = g_mapped_file_get_bytes(file);
    told->capture = pl_capture_parse("t", told->bytes, &error);
    g_assert_no_error(error);
    close(fd);
}

static void told_clear(Told *told)
{
    pl_capture_free(told->capture);
    g_bytes_unref(told->bytes);
    g_ptr_array_unref(told->copies);
    pl_verdict_free(told->verdict);
    pl_story_free(told->story);
    pl_topology_free(told->topology);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Told, told_clear)

static void assert_judged(Told *told, const char *reason)
{
    g_autofree char *all = NULL;
    g_autoptr(GError) error = NULL;

    g_assert_true(pl_story_judge(told->story, told->capture, told->verdict, &error));
    g_assert_no_error(error);
    g_ptr_array_add(told->verdict->reasons, NULL);
    all = g_strjoinv("\n", (char **)told->verdict->reasons->pdata);
    g_ptr_array_remove_index(told->verdict->reasons, told->verdict->reasons->len - 1);
    if (reason ? !strstr(all, reason) : *all)
        g_error("expected \"%s\", got: %s", reason ? reason : "nothing", all);
}

static void assert_story(const char *text, const char *reason)
{
    g_auto(Told) told;

    tell(&told, text);
    assert_judged(&told, reason);
}

/* ---- what is expected ---- */

static void what_is_so_passes(void)
{
    assert_story(STRAIGHT "alice -> bob at 1500ms = punched\n"
                          "alice -> bob from 1s to 1900ms = punched\n"
                          "alice -> bob within 1s of step 1 = punched\n"
                          "alice -> bob.health from 1s to 5s = healthy\n"
                          "alice -> bob.health = healthy\nalice -> bob.reason = punch\n"
                          "alice -> bob.heard = 10\nalice -> bob.lost = 0\n"
                          "alice -> bob.doubled = at most 0\nalice -> bob.disordered = 0 to 0\n"
                          "alice -> bob.first-byte = at most 1s\n"
                          "alice.punches-attempted = 1\nalice.upgrades = at least 1\n",
                 NULL);
    assert_story(RELAYED "alice -> bob at 1500ms = relayed\n"
                         "alice -> bob from step 1 to 1900ms = relayed(hub)\n"
                         "alice.punches-attempted = 0\nalice -> bob.lost = 0\n",
                 NULL);
}

static void what_is_not_so_fails_and_says_what_is(void)
{
    static const struct {
        const char *text, *reason;
    } cases[] = {
        {STRAIGHT "alice -> bob at 1500ms = relayed\n",
         "alice -> bob at 1500ms: expected relayed, claimed punched at the end, observed straight"},
        {RELAYED "alice -> bob at 1500ms = punched\n",
         "expected punched, claimed relayed(hub) at the end, observed relayed(hub)"},
        {RELAYED "alice -> bob from 1s to 2s = relayed(alice2)\n[host alice2]\non = internet\n",
         "expected relayed(alice2), claimed relayed(hub) at the end, observed relayed(hub)"},
        {STRAIGHT "alice -> bob from 0s to 900ms = punched\n",
         "observed nothing (no message was told then)"},
        {STRAIGHT "alice -> bob.health within 3s of 1s = suspect\n",
         "alice -> bob.health within 3s of 1s: expected suspect, claimed healthy at the end"},
        {STRAIGHT "alice -> bob.reason = relay\n",
         "alice -> bob.reason: expected relay, claimed punch at the end"},
        {STRAIGHT "alice -> bob.lost = at least 1\n", "expected at least 1, found 0"},
        {STRAIGHT "alice -> bob.heard = 11\n", "alice -> bob.heard: expected 11, found 10"},
        {STRAIGHT "alice -> bob.first-byte = at least 100s\n", "expected at least 100s, found 0ms"},
        {STRAIGHT "bob -> alice.first-byte = at most 1s\n", "but nothing was heard"},
        {STRAIGHT "alice.upgrades = 0\n", "alice.upgrades: expected 0, found 1"},
        {STRAIGHT "bob.hears = nothing\n",
         "bob.hears: message 1 is \"alice: " SECRET " 1\" (expected no more)"},
        {STRAIGHT "alice.hears = hello\n", "alice.hears: message 1 is missing (expected hello)"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++)
        assert_story(cases[i].text, cases[i].reason);
}

static void what_is_heard_is_all_and_in_order(void)
{
    assert_story(
        WORLD("port-restricted") STEP(1, "1s", "host alice tell bob this is one")
            STEP(2, "2s", "host bob tell alice this is two") STEP(
                3, "2s", "host alice tell bob this is three") "[expect]\nbob.hears = alice: this "
                                                              "is one, three\nalice.hears = two\n",
        NULL);
}

/* ---- who lies ---- */

/* Of the lines of a host's program, those that contain `what` are changed. */
typedef enum { DROP, REPEAT, REPLACE, SWAP } Lie;

static void lie(Told *told, const char *host, const char *what, Lie how, const char *with)
{
    PlSubject *subject = pl_verdict_subject(told->verdict, host);
    g_auto(GStrv) lines = g_strsplit(subject->output, "\n", -1);
    GString *text = g_string_new(NULL);
    guint n = 0;

    for (char **line = lines; *line; line++) {
        gboolean is_it = strstr(*line, what) != NULL;

        n += is_it ? 1 : 0;
        if (is_it && how == REPLACE) {
            g_auto(GStrv) parts = g_strsplit(*line, what, -1);
            g_autofree char *changed = g_strjoinv(with, parts);

            g_string_append_printf(text, "%s\n", changed);
        } else if (is_it && how == SWAP && line[1]) {
            g_string_append_printf(text, "%s\n%s\n", line[1], *line);
            line++;
        } else if (!is_it || how != DROP) {
            g_string_append_printf(text, "%s\n", *line);
        }
        if (is_it && how == REPEAT)
            g_string_append_printf(text, "%s\n", *line);
    }
    g_assert_cmpuint(n, >, 0);
    g_free(subject->output);
    subject->output = g_string_free(text, FALSE);
}

static void who_lies_is_found_out(void)
{
    static const struct {
        const char *text, *host, *what;
        Lie how;
        const char *with, *reason;
    } cases[] = {
        {STRAIGHT, "alice", "\"path\":\"punched\"", REPLACE, "\"path\":\"relayed\"",
         "host alice told bob something that went straight at 1.000 s, and says otherwise"},
        {RELAYED, "alice", "\"path\":\"relayed\"", REPLACE, "\"path\":\"punched\"",
         "host alice told bob something that went relayed(hub) at 1.000 s, and says otherwise"},
        {STRAIGHT, "alice", "peer-path", DROP, NULL,
         "went straight at 1.000 s, and says otherwise"},
        {STRAIGHT "alice -> bob.doubled = 0\n", "bob", SECRET " 5\"", REPEAT, NULL,
         "alice -> bob.doubled: expected 0, found 1"},
        {STRAIGHT "alice -> bob.lost = 0\n", "bob", SECRET " 5\"", REPEAT, NULL,
         "host bob says that it heard 11 messages of alice, of which 10 came to it"},
        {STRAIGHT, "bob", SECRET " 5\"", REPLACE, "something else\"",
         "host bob says that it heard \"something else\" of alice, which nobody told"},
        {STRAIGHT "alice -> bob.lost = 0\n", "bob", SECRET " 5\"", DROP, NULL,
         "alice -> bob.lost: expected 0, found 1 (the first is \"" SECRET " 5\")"},
        {STRAIGHT "alice -> bob.disordered = 0\n", "bob", SECRET " 5\"", SWAP, NULL,
         "alice -> bob.disordered: expected 0, found 1"},
        {STRAIGHT "alice -> bob.health = healthy\n", "alice", "\"healthy\"", REPLACE, "\"suspect\"",
         "alice -> bob.health: expected healthy, claimed suspect at the end"},
        {STRAIGHT "alice -> bob at 1500ms = punched\n", "alice", "\"time\":\"2000", REPLACE,
         "\"time\":\"2001", "expected punched, claimed nothing at the end, observed straight"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(Told) told;

        tell(&told, cases[i].text);
        lie(&told, cases[i].host, cases[i].what, cases[i].how, cases[i].with);
        assert_judged(&told, cases[i].reason);
    }
}

static void nonsense_is_no_claim(void)
{
    g_auto(Told) told;
    PlSubject *subject;

    tell(&told, STRAIGHT "alice -> bob at 1500ms = punched\n");
    subject = pl_verdict_subject(told.verdict, "alice");
    g_free(subject->output);
    subject->output = g_strdup(
        "{\"event\":\"peer-path\",\"peer\":\"bob\",\"path\":\"punched\",\"time\":7}\n"
        "{\"event\":\"peer-path\",\"peer\":\"bob\",\"path\":\"punched\",\"time\":\"soon\"}\n"
        "{\"event\":\"data\",\"peer\":[],\"text\":{}}\n[[[\n\xff\n");
    assert_judged(&told, "expected punched, claimed nothing at the end, observed straight");
}

/* ---- who tampers ---- */

/* UDP packets of this length, if it is not 0, at this interface. */
static guint tamper(Told *told, const char *interface, gsize length, const char *text)
{
    guint n = 0;

    for (guint i = told->capture->frames->len; i-- > 0;) {
        PlFrame *frame = &g_array_index(told->capture->frames, PlFrame, i);
        const char *name =
            g_array_index(told->capture->interfaces, PlCaptureInterface, frame->interface).name;
        PlPacket packet;

        if (!pl_packet_decode(frame->data, frame->length, &packet) ||
            packet.protocol != PL_PACKET_UDP || !g_str_equal(name, interface) ||
            (length && packet.mark_length != length))
            continue;
        n++;
        if (text) {
            uint8_t *copy = g_memdup2(frame->data, frame->length);

            memcpy(copy + frame->length - strlen(text), text, strlen(text));
            g_ptr_array_add(told->copies, copy);
            frame->data = copy;
            break;
        }
        g_array_remove_index(told->capture->frames, i);
    }
    return n;
}

static void N14_what_can_be_read_is_found_wherever_it_is(void)
{
    static const char *const interfaces[] = {"west.inside", "west.outside", "east.outside",
                                             "east.inside", "hub"};

    for (gsize i = 0; i < G_N_ELEMENTS(interfaces); i++) {
        g_auto(Told) told;

        tell(&told, RELAYED);
        g_assert_cmpuint(tamper(&told, interfaces[i], 0, SECRET), >, 0);
        assert_judged(&told, "what host alice tells bob in step 1 can be read on the wire");
    }
}

static void what_never_came_was_not_heard_and_is_no_path(void)
{
    static const struct {
        const char *text, *expected;
        gsize length; /* SECRET 1 to 9, and all that is around it */
    } cases[] = {
        {STRAIGHT "alice -> bob at 1900ms = punched\nalice -> bob.lost = 0\n",
         "expected punched, claimed punched", 54},
        {RELAYED "alice -> bob at 1900ms = relayed\nalice -> bob.lost = 0\n",
         "expected relayed, claimed relayed(hub)", 91},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(Told) told;

        tell(&told, cases[i].text);
        g_assert_cmpuint(tamper(&told, "east.inside", cases[i].length, NULL), ==, 9);
        g_assert_cmpuint(tamper(&told, "east.inside", cases[i].length + 1, NULL), ==, 1);
        assert_judged(&told, cases[i].expected);
        assert_judged(&told, ", observed none");
        assert_judged(&told, "heard 10 messages of alice, of which 0 came to it");
    }
}

/* ---- steps ---- */

static void N7_the_hub_is_killed_and_started_again_with_the_same_key(void)
{
    assert_story(STRAIGHT "alice -> bob.lost = 0\nalice -> bob from 1s to 2s = punched\n" STEP(
                     2, "1s", "host hub kill") STEP(3, "3s", "host hub start")
                     STEP(4, "20s", "host bob disconnect alice")
                         STEP(5, "22s", "host alice connect bob")
                             STEP(6, "23s", "host alice tell bob once more, then"),
                 NULL);
}

static void who_is_dead_is_told_nothing(void)
{
    const PlEngine *engine = &pl_virtual_engine;
    const char *text = STRAIGHT STEP(2, "1s", "host alice kill") STEP(3, "1s", "host bob start");
    g_autoptr(GError) error = NULL;
    g_autoptr(PlTopology) topology = pl_topology_parse("t.ini", text, strlen(text), &error);
    const PlNode *alice = pl_topology_node(topology, "alice");
    PlLab *lab = engine->up(topology, SEED, &error);

    g_assert_true(engine->start(lab, pl_topology_node(topology, "hub"), &error));
    g_assert_true(engine->start(lab, pl_topology_node(topology, "bob"), &error));
    g_assert_true(engine->start(lab, alice, &error));
    g_assert_true(engine->step(lab, g_ptr_array_index(topology->steps, 1), &error));
    g_assert_false(engine->say(lab, alice, "connect bob", &error));
    g_assert_cmpstr(error->message, ==, "host alice: its program has ended");
    g_assert_null(engine->status(lab, alice));
    g_clear_error(&error);
    g_assert_false(engine->step(lab, g_ptr_array_index(topology->steps, 2), &error));
    g_assert_cmpstr(error->message, ==, "host bob: its program still runs");
    engine->down(lab);
}

/* Its words of before are nobody's. */
static void who_is_started_again_has_said_nothing_yet(void)
{
#define AGAIN                                                                                      \
    STRAIGHT "alice -> bob.health within 5s of step 4 = healthy\n" STEP(2, "2s", "host alice kill")
    assert_story(AGAIN STEP(4, "3s", "host alice start"), NULL);
    assert_story(AGAIN STEP(3, "2s", "host hub kill") STEP(4, "3s", "host alice start"),
                 "of step 4: expected healthy, claimed nothing at the end");
#undef AGAIN
}

/* Whoever asked for it, and when. */
static void who_was_not_found_is_no_path_with_the_reason(void)
{
    const PlEngine *engine = &pl_virtual_engine;
    g_autoptr(GError) error = NULL;
    g_autoptr(PlTopology) topology = pl_topology_parse("t.ini", STRAIGHT, strlen(STRAIGHT), &error);
    const PlNode *bob = pl_topology_node(topology, "bob");
    PlLab *lab = engine->up(topology, SEED, &error);
    g_autofree char *unknown = NULL, *path = NULL;
    gboolean final;

    g_assert_true(engine->start(lab, pl_topology_node(topology, "hub"), &error));
    g_assert_true(engine->start(lab, bob, &error));
    g_assert_true(engine->say(lab, bob, "connect nobody", &error));
    unknown = engine->path(lab, bob, "nobody", &final); /* it looks for it */
    g_assert_null(unknown);
    g_assert_true(engine->pass(lab, G_GUINT64_CONSTANT(1000000000), &error));
    path = engine->path(lab, bob, "nobody", &final);
    g_assert_cmpstr(path, ==, "none(unknown-peer)");
    engine->down(lab);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, function) g_test_add_func("/story-nodes/" path, function)
    ADD("what-is-so-passes", what_is_so_passes);
    ADD("what-is-not-so-fails-and-says-what-is", what_is_not_so_fails_and_says_what_is);
    ADD("what-is-heard-is-all-and-in-order", what_is_heard_is_all_and_in_order);
    ADD("who-lies-is-found-out", who_lies_is_found_out);
    ADD("nonsense-is-no-claim", nonsense_is_no_claim);
    ADD("N14-what-can-be-read-is-found-wherever-it-is",
        N14_what_can_be_read_is_found_wherever_it_is);
    ADD("what-never-came-was-not-heard-and-is-no-path",
        what_never_came_was_not_heard_and_is_no_path);
    ADD("N7-the-hub-is-killed-and-started-again",
        N7_the_hub_is_killed_and_started_again_with_the_same_key);
    ADD("who-is-dead-is-told-nothing", who_is_dead_is_told_nothing);
    ADD("who-is-started-again-has-said-nothing-yet", who_is_started_again_has_said_nothing_yet);
    ADD("who-was-not-found-is-no-path-with-the-reason",
        who_was_not_found_is_no_path_with_the_reason);
    return g_test_run();
}
