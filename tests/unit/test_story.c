/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Stories: what hosts send and hear, and that each of the tree's topologies needs what it shows. */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "scenario/said.h"
#include "scenario/scenario.h"
#include "topology/units.h"
#include "virtual/virtual.h"

#define LAB                                                                                        \
    "[topology]\ntitle = t\n[network internet]\nsubnet = 203.0.113.0/24\n"                         \
    "[nat home]\noutside = internet\ninside = 192.168.1.0/24\nbehaviour = port-restricted\n"       \
    "[host alice]\nbehind = home\nrun = listen 5000\n"                                             \
    "[host peer]\non = internet\naddresses = 203.0.113.20, 203.0.113.21\nrun = listen 7000 7001\n"
#define STEP(n, text) "[step " #n "]\nat = 0s\ndo = " text "\n"

static PlTopology *parse(const char *text)
{
    g_autoptr(GError) error = NULL;
    PlTopology *topology = pl_topology_parse("t.ini", text, strlen(text), &error);

    g_assert_no_error(error);
    return topology;
}

static PlVerdict *run(const PlTopology *topology)
{
    const PlScenarioWatch nobody = {0};
    int fd = memfd_create("capture", MFD_CLOEXEC);
    PlVerdict *verdict;

    g_assert_cmpint(fd, >=, 0);
    verdict = pl_scenario_run(topology, &pl_virtual_engine, 1, fd, &nobody);
    close(fd);
    return verdict;
}

/* ---- bytes as text ---- */

static void assert_bytes(const GByteArray *bytes, const char *expected, gsize length)
{
    g_assert_cmpuint(bytes->len, ==, length);
    g_assert_true(length == 0 || memcmp(bytes->data, expected, length) == 0);
}

static void any_bytes_stand_as_text_and_are_read_back(void)
{
    static const struct {
        const char *bytes;
        gsize length;
        const char *text;
    } cases[] = {
        {"", 0, ""},
        {"hello you", 9, "hello you"},
        {"\x00\x01\n\x7f\xff", 5, "\\x00\\x01\\x0a\\x7f\\xff"},
        {"a\\x41", 5, "a\\x5cx41"},
        {"gr\xc3\xbc\xc3\x9f", 6, "gr\xc3\xbc\xc3\x9f"},
        {"\xc3", 1, "\\xc3"},
        {"\xe2\x80\x8b!", 4, "\\xe2\\x80\\x8b!"}, /* has no width */
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = pl_bytes_format(cases[i].bytes, cases[i].length);
        g_autoptr(GByteArray) bytes = pl_bytes_parse(text);

        g_assert_cmpstr(text, ==, cases[i].text);
        assert_bytes(bytes, cases[i].bytes, cases[i].length);
    }
    g_assert_null(pl_bytes_parse("a\\"));
    g_assert_null(pl_bytes_parse("\\x4"));
    g_assert_null(pl_bytes_parse("\\n"));
    g_assert_null(pl_bytes_parse("\\x4g"));
}

/* ---- the format ---- */

static void a_step_says_who_sends_what_to_whom(void)
{
    static const struct {
        const char *step, *from, *to, *data;
    } cases[] = {
        {STEP(1, "host alice send 5000 -> peer:7001 hello   you"), "192.168.1.2:5000",
         "203.0.113.20:7001", "hello   you"},
        {STEP(1, "host peer send 65535 -> home:1 \\x41\\x20"), "203.0.113.20:65535",
         "203.0.113.2:1", "A "},
        {STEP(1, "host peer send 1 -> 198.51.100.1:53"), "203.0.113.20:1", "198.51.100.1:53", ""},
        {STEP(1, "host alice  send\t9  ->  peer:9  x"), "192.168.1.2:9", "203.0.113.20:9", "x"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = g_strconcat(LAB, cases[i].step, NULL), *printed = NULL;
        g_autoptr(PlTopology) first = parse(text), again = NULL;
        const PlStep *step;
        char address[PH_ADDRESS_TEXT_MAX];

        printed = pl_topology_print(first);
        again = parse(printed);
        step = g_ptr_array_index(again->steps, 0);
        g_assert_cmpint(step->kind, ==, PL_STEP_HOST_SEND);
        g_assert_cmpstr(ph_address_format(&step->from, address), ==, cases[i].from);
        g_assert_cmpstr(ph_address_format(&step->address, address), ==, cases[i].to);
        assert_bytes(step->data, cases[i].data, strlen(cases[i].data));
    }
}

static void listen_has_its_ports_and_is_ready_by_its_line(void)
{
    g_autoptr(PlTopology) topology = parse(LAB "[expect]\npeer.hears = one,  two\n"
                                               "alice.hears = nothing\n");
    g_autofree char *printed = pl_topology_print(topology);
    const PlProgram *peer = &pl_topology_node(topology, "peer")->program;
    const PlExpect *hears = g_ptr_array_index(topology->expects, 0);
    const PlExpect *nothing = g_ptr_array_index(topology->expects, 1);

    g_assert_cmpint(peer->word, ==, PL_WORD_LISTEN);
    g_assert_cmpuint(peer->n_ports, ==, 2);
    g_assert_cmpuint(peer->ports[0], ==, 7000);
    g_assert_cmpuint(peer->ports[1], ==, 7001);
    g_assert_cmpint(peer->ready, ==, PL_READY_LINE);
    g_assert_cmpstr(peer->ready_text, ==, "ready");
    g_assert_nonnull(strstr(printed, "\nrun = listen 7000 7001\nready = line ready\n"));
    g_assert_cmpuint(g_strv_length(hears->hears), ==, 2);
    g_assert_cmpstr(hears->hears[1], ==, "two");
    g_assert_nonnull(nothing->hears);
    g_assert_null(nothing->hears[0]);
}

/* ---- in virtual time ---- */

static void assert_story(const char *rest, const char *outcome, const char *reason)
{
    g_autofree char *text = g_strconcat(LAB, rest, NULL);
    g_autoptr(PlTopology) topology = parse(text);
    g_autoptr(PlVerdict) verdict = run(topology);
    const char *said =
        verdict->reasons->len ? (const char *)g_ptr_array_index(verdict->reasons, 0) : "";

    g_assert_cmpstr(pl_outcome_name(verdict->outcome), ==, outcome);
    if (!strstr(said, reason))
        g_error("%s (expected: %s)", said, reason);
}

#define HELLO STEP(1, "host alice send 5000 -> peer:7000 hello")
#define BACK  STEP(2, "host peer send 7000 -> home:5000 back\\x00")

static void what_is_sent_is_heard_at_all_addresses_and_ports(void)
{
    assert_story(
        HELLO BACK STEP(
            3,
            "host alice send 5000 -> 203.0.113.21:7001 you, too") "[expect]\n"
                                                                  "peer.hears = 7000 from "
                                                                  "203.0.113.2:5000: hello, 7001 "
                                                                  "from 203.0.113.2:5000: you\n"
                                                                  "alice.hears = 5000 from "
                                                                  "203.0.113.20:7000: back\\x00\n",
        "pass", "");
}

static void what_is_heard_is_all_and_in_order(void)
{
    assert_story(HELLO BACK "[expect]\nalice.hears = nothing\n", "fail",
                 "host alice: heard \"5000 from 203.0.113.20:7000: back\\x00\", too (expected "
                 "nothing)");
    assert_story(HELLO "[expect]\npeer.hears = hello, again\n", "fail",
                 "host peer: datagram 2 that it heard is missing (expected \"again\")");
    assert_story(
        HELLO STEP(2, "host alice send 5000 -> peer:7000 again") "[expect]\n"
                                                                 "peer.hears = again, hello\n",
        "fail", "host peer: datagram 1 that it heard is \"7000 from 203.0.113.2:5000: hello\"");
}

/* The answer of a closed port does not reach a socket that has sent nothing itself, nor ends it. */
static void a_closed_port_does_not_end_listening(void)
{
    assert_story(
        STEP(1, "host alice send 5000 -> peer:9 anybody?")
            STEP(2, "host alice send 5000 -> peer:7000 hello") "[step 5]\nat = 0s\ndo = host peer "
                                                               "send 7000 -> home:5000 back\n"
                                                               "[expect]\npeer.hears = "
                                                               "hello\nalice.hears = back\n",
        "pass", "");
}

static void a_step_that_cannot_send_fails_by_name(void)
{
    assert_story(STEP(1, "host peer send 7000 -> 198.51.100.1:53 far"), "fail",
                 "[step 1]: host peer cannot send to 198.51.100.1:53: it has no route");
}

static void listening_ends_when_it_is_killed(void)
{
    assert_story(HELLO STEP(2, "host peer kill")
                     STEP(3, "host alice send 5000 -> peer:7000 late") "[expect]\npeer.exit = "
                                                                       "137\npeer.hears = hello\n",
                 "pass", "");
}

/* ---- the tree's lessons ---- */

/* What a topology is about; without it, what it expects must not come true. */
static const char *const shown[] = {
    "rewrite-payload",
    "symmetric-after",
    "mapping-age",
    "icmp-drops-mapping",
    "early-port-reuse",
    "mapping-rate",
    "first-packet-lost",
    "port-overloading",
    "port-parity",
    "port-step",
    "inbound-refresh",
    "loss-mask",
    "delay",
    "rate",
    "queue",
    "duplicate",
};

/* A jitter goes with its delay, a queue with its rate. */
static gboolean goes_with(const char *line, const char *key)
{
    return (strcmp(key, "delay") == 0 && g_str_has_prefix(line, "jitter = ")) ||
           (strcmp(key, "rate") == 0 && g_str_has_prefix(line, "queue = "));
}

/* The text without the lines of this key; NULL: it has none. */
static char *without(const char *text, const char *key)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    g_autofree char *start = g_strconcat(key, " = ", NULL);
    GString *out = g_string_new(NULL);
    gboolean found = FALSE;

    for (char **line = lines; *line; line++) {
        gboolean is_it = g_str_has_prefix(*line, start);

        found |= is_it;
        if (!is_it && !goes_with(*line, key))
            g_string_append_printf(out, "%s\n", *line);
    }
    return g_string_free(out, /* free_segment= */ !found);
}

static void assert_fails(const char *path, const char *key, const char *text)
{
    g_autoptr(PlTopology) topology = parse(text);
    g_autoptr(PlVerdict) verdict = run(topology);

    if (verdict->outcome != PL_OUTCOME_FAIL)
        g_error("%s does without %s", path, key);
}

static void look_into(const char *path, gboolean *ret_seen)
{
    g_autofree char *text = NULL;

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    for (gsize i = 0; i < G_N_ELEMENTS(shown); i++) {
        g_autofree char *changed = without(text, shown[i]);

        if (changed) {
            ret_seen[i] = TRUE;
            assert_fails(path, shown[i], changed);
        }
    }
}

static void each_lesson_fails_without_what_it_shows(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GDir) directory = g_dir_open(PL_SOURCE_DIR "/topologies", 0, &error);
    gboolean seen[G_N_ELEMENTS(shown)] = {FALSE};
    const char *name;

    g_assert_no_error(error);
    while ((name = g_dir_read_name(directory))) {
        g_autofree char *path = g_build_filename(PL_SOURCE_DIR "/topologies", name, NULL);

        if (g_str_has_suffix(name, ".ini"))
            look_into(path, seen);
    }
    for (gsize i = 0; i < G_N_ELEMENTS(shown); i++)
        if (!seen[i])
            g_error("no topology shows %s", shown[i]);
}

#define HEARD(n)                                                                                   \
    "{\"event\":\"data\",\"time\":\"2026-01-01T00:00:0" #n "Z\",\"peer\":\"bob\",\"text\":\"" #n   \
    "\"}\n"

static void assert_said(const GPtrArray *all, const char *expected)
{
    g_autoptr(GString) words = g_string_new(NULL);

    for (guint i = 0; i < all->len; i++)
        g_string_append(words, ((const PlSaid *)g_ptr_array_index(all, i))->word);
    g_assert_cmpstr(words->str, ==, expected);
}

/* What is behind the mark would be taken for news if anybody looked there again. */
static void what_has_been_read_is_not_read_again(void)
{
    g_autoptr(PlTopology) topology = parse(LAB);
    g_autoptr(GPtrArray) all = pl_said_read("", topology, 1);
    g_autofree char *changed = g_strdup(HEARD(1) HEARD(2) HEARD(3) "{\"event\":\"da");
    PlSaidMark mark = {0};

    pl_said_read_on(all, &mark, "", topology, 1);
    pl_said_read_on(all, &mark, HEARD(1) HEARD(2) "{\"event\":", topology, 1);
    assert_said(all, "12");
    memcpy(changed, HEARD(7), strlen(HEARD(7)));
    pl_said_read_on(all, &mark, changed, topology, 1);
    assert_said(all, "123");
    pl_said_read_on(all, &mark, HEARD(1) HEARD(2) HEARD(3) HEARD(4), topology, 1);
    assert_said(all, "1234");
    /* Only the end of a long output is kept. */
    pl_said_read_on(all, &mark, HEARD(3) HEARD(4) HEARD(5) HEARD(6) HEARD(7), topology, 1);
    assert_said(all, "34567");
    pl_said_read_on(all, &mark, HEARD(7), topology, 1);
    assert_said(all, "7");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/story/any-bytes-stand-as-text-and-are-read-back",
                    any_bytes_stand_as_text_and_are_read_back);
    g_test_add_func("/story/a-step-says-who-sends-what-to-whom",
                    a_step_says_who_sends_what_to_whom);
    g_test_add_func("/story/listen-has-its-ports-and-is-ready-by-its-line",
                    listen_has_its_ports_and_is_ready_by_its_line);
    g_test_add_func("/story/what-is-sent-is-heard-at-all-addresses-and-ports",
                    what_is_sent_is_heard_at_all_addresses_and_ports);
    g_test_add_func("/story/what-is-heard-is-all-and-in-order", what_is_heard_is_all_and_in_order);
    g_test_add_func("/story/a-closed-port-does-not-end-listening",
                    a_closed_port_does_not_end_listening);
    g_test_add_func("/story/a-step-that-cannot-send-fails-by-name",
                    a_step_that_cannot_send_fails_by_name);
    g_test_add_func("/story/what-has-been-read-is-not-read-again",
                    what_has_been_read_is_not_read_again);
    g_test_add_func("/story/listening-ends-when-it-is-killed", listening_ends_when_it_is_killed);
    g_test_add_func("/story/each-lesson-fails-without-what-it-shows",
                    each_lesson_fails_without_what_it_shows);
    return g_test_run();
}
