/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Paths in verdicts: what is expected, what nodes say, how they are judged, written, and shown. */
#include <string.h>

#include "machine/peers.h"
#include "report/report.h"
#include "scenario/expected.h"
#include "topology/identity.h"
#include "topology/pair.h"

#define SEED 7

static PlTopology *parse(const char *expect)
{
    g_autofree char *pair = pl_pair_text(4, 4);
    g_autofree char *text = g_strconcat(pair, expect, NULL);
    g_autoptr(GError) error = NULL;
    PlTopology *topology = pl_topology_parse("t.ini", text, strlen(text), &error);

    g_assert_no_error(error);
    return topology;
}

static void a_pair_is_a_topology_like_any_other(void)
{
    for (unsigned a = 0; pl_pair_kinds[a]; a++) {
        g_autoptr(PlTopology) pair = pl_pair_topology(a, a);
        g_autofree char *text = pl_pair_text(a, a), *printed = pl_topology_print(pair);
        g_autoptr(GError) error = NULL;
        g_autoptr(PlTopology) again =
            pl_topology_parse(pair->path, printed, strlen(printed), &error);
        g_autofree char *printed_again = NULL, *name = NULL;

        g_assert_no_error(error);
        printed_again = pl_topology_print(again);
        g_assert_cmpstr(printed_again, ==, printed);
        name = g_strdup_printf("pair-%s-%s", pl_pair_kinds[a], pl_pair_kinds[a]);
        g_assert_cmpstr(pair->name, ==, name);
        g_assert_nonnull(strstr(text, "run = node --connect bob"));
    }
}

static void what_a_node_connects_to_is_expected_by_theory_and_the_file_goes_before_it(void)
{
    g_autoptr(PlTopology) theory = parse(""), file = parse("[expect]\nalice -> bob = relayed(hub)\n"
                                                           "bob -> alice = none\n");
    g_autoptr(PlVerdict) by_theory = pl_verdict_new(theory, "virtual", SEED);
    g_autoptr(PlVerdict) by_file = pl_verdict_new(file, "virtual", SEED);

    pl_expected_fill(theory, by_theory);
    pl_expected_fill(file, by_file);
    g_assert_cmpuint(by_theory->paths->len, ==, 1);
    g_assert_cmpstr(pl_verdict_path(by_theory, "alice", "bob")->expected.value, ==, "punched");
    g_assert_cmpuint(by_file->paths->len, ==, 2);
    g_assert_cmpstr(pl_verdict_path(by_file, "alice", "bob")->expected.value, ==, "relayed(hub)");
    g_assert_cmpstr(pl_verdict_path(by_file, "bob", "alice")->expected.value, ==, "none");
}

static void the_three_have_to_agree(void)
{
    static const struct {
        const char *expected, *claimed, *observed;
        gboolean ok;
    } rows[] = {
        {"punched", "punched", "punched", TRUE},
        {"punched", NULL, "punched", TRUE},
        {NULL, "punched", "punched", TRUE},
        {"punched", "direct", "punched", FALSE},
        {"punched", "punched", "direct", FALSE},
        {"punched", "punched", NULL, FALSE},
        {NULL, "direct", "punched", FALSE},
        {"relayed", "relayed(hub)", "relayed(hub)", TRUE},
        {"relayed", "relayed(hub)", "relayed(other)", FALSE},
        {"relayed(other)", "relayed(hub)", "relayed(hub)", FALSE},
        {"none(udp-blocked)", "none(udp-blocked)", "none(udp-blocked)", TRUE},
        {"none(udp-blocked)", "none(unknown-peer)", "none(udp-blocked)", TRUE},
        {"none(udp-blocked)", "none(timeout)", "none(udp-blocked)", FALSE},
        {"none(udp-blocked)", "none(udp-blocked)", "none", FALSE},
        {"punched", "none(unknown-peer)", "punched", FALSE},
        {"none", "none(timeout)", "none", TRUE},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        char from[] = "alice", to[] = "bob";
        PlPath path = {.from = from,
                       .to = to,
                       .expected.value = (char *)rows[i].expected,
                       .claimed.value = (char *)rows[i].claimed,
                       .observed.value = (char *)rows[i].observed};

        if (pl_verdict_path_ok(&path) != rows[i].ok)
            g_error("row %zu", i);
    }
}

static void a_difference_fails_and_all_are_told(void)
{
    g_autoptr(PlTopology) topology = parse("");
    g_autoptr(PlVerdict) verdict = pl_verdict_new(topology, "virtual", SEED);
    PlPath *path;

    pl_expected_fill(topology, verdict);
    path = pl_verdict_path(verdict, "alice", "bob");
    pl_path_finding_set(&path->claimed, NULL, "its node knows of no such peer");
    pl_path_finding_set(&path->observed, "relayed(hub)", NULL);
    pl_verdict_judge(verdict);
    g_assert_cmpint(verdict->outcome, ==, PL_OUTCOME_FAIL);
    g_assert_true(g_ptr_array_find_with_equal_func(
        verdict->reasons,
        "path alice -> bob: expected punched, claimed nothing (its node knows of no such peer), "
        "observed relayed(hub)",
        g_str_equal, NULL));
}

static void paths_survive_their_json(void)
{
    g_autoptr(PlTopology) topology = parse("");
    g_autoptr(PlVerdict) verdict = pl_verdict_new(topology, "virtual", SEED);
    g_autoptr(JsonNode) node = NULL;
    g_autoptr(PlVerdict) again = NULL;
    g_autoptr(GError) error = NULL;
    const PlPath *path;

    pl_expected_fill(topology, verdict);
    pl_path_finding_set(&pl_verdict_path(verdict, "alice", "bob")->observed, NULL, "nobody looked");
    node = pl_verdict_to_json(verdict);
    again = pl_verdict_from_json(node, &error);
    g_assert_no_error(error);
    path = pl_verdict_path(again, "alice", "bob");
    g_assert_cmpstr(path->expected.value, ==, "punched");
    g_assert_null(path->claimed.value);
    g_assert_cmpstr(path->observed.why, ==, "nobody looked");
    /* Verdicts of before have none; what is no list is refused. */
    json_object_remove_member(json_node_get_object(node), "paths");
    g_clear_pointer(&again, pl_verdict_free);
    again = pl_verdict_from_json(node, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(again->paths->len, ==, 0);
    json_object_set_string_member(json_node_get_object(node), "paths", "punched");
    g_assert_null(pl_verdict_from_json(node, &error));
    g_assert_error(error, PL_ERROR, PL_ERROR_INPUT);
}

/* ---- what `pinhole node` puts out ---- */

#define UP(name, path) "{\"event\":\"peer-up\",\"peer\":\"" name "\",\"path\":\"" path "\"}\n"
#define PATH(name, path)                                                                           \
    "{\"event\":\"peer-path\",\"peer\":\"" name "\",\"path\":\"" path "\",\"via\":null}\n"
#define GONE "{\"event\":\"peer-gone\",\"peer\":\"bob\",\"reason\":\"unknown-peer\"}\n"

static void assert_read(const char *output, const char *expected)
{
    g_autoptr(PlTopology) topology = parse("");
    gboolean final;
    g_autofree char *path = pl_peers_read(output, "bob", topology, SEED, &final);

    g_assert_cmpstr(path, ==, expected);
    g_assert_false(final);
}

#define STAYS(name)                                                                                \
    "{\"event\":\"peer-path\",\"peer\":\"" name "\",\"path\":\"relayed\",\"reason\":\"relay\"}\n"

static gboolean reads_final(const char *output)
{
    g_autoptr(PlTopology) topology = parse("");
    gboolean final;

    g_free(pl_peers_read(output, "bob", topology, SEED, &final));
    return final;
}

static void a_pair_that_stays_relayed_says_so(void)
{
    g_assert_true(reads_final(STAYS("bob")));
    g_assert_true(reads_final(STAYS("bob") PATH("carol", "direct")));
    g_assert_true(reads_final(STAYS("bob") "{\"event\":\"classified\",\"class\":\"open\"}\n"));
    g_assert_false(reads_final(STAYS("carol")));
    g_assert_false(reads_final(STAYS("bob") PATH("bob", "punched")));
    g_assert_false(reads_final(STAYS("bob") GONE));
}

static void the_last_line_about_a_peer_counts(void)
{
    assert_read("", NULL);
    assert_read(PATH("carol", "punched"), NULL);
    assert_read(UP("bob", "relayed") PATH("bob", "punched"), "punched");
    assert_read(PATH("bob", "punched") PATH("carol", "direct"), "punched");
    assert_read(PATH("bob", "punched") GONE, "none(unknown-peer)");
    assert_read(GONE UP("bob", "relayed"), "relayed");
    assert_read("{\"event\":\"classified\",\"class\":\"udp-blocked\"}\n", "none(udp-blocked)");
}

static void a_relays_key_becomes_its_name(void)
{
    g_autoptr(PlTopology) topology = parse("");
    char key_text[PH_KEY_TEXT_MAX];
    g_autofree char *line = NULL;
    PhKey key;

    pl_host_key(pl_topology_node(topology, "hub"), SEED, &key);
    line = g_strdup_printf("{\"event\":\"peer-path\",\"peer\":\"bob\",\"path\":\"relayed\","
                           "\"via\":\"%s\"}\n",
                           ph_key_format_public(key.public_half, key_text));
    assert_read(line, "relayed(hub)");
}

static void nonsense_is_passed_over(void)
{
    g_autofree char *deep = g_strnfill(100000, '[');
    g_autofree char *text =
        g_strconcat("{\"event\":", deep,
                    "\n{\n{}\n{\"event\":7}\n[1]\n{\"event\":\"peer-path\"}\n"
                    "{\"event\":\"peer-path\",\"peer\":[],\"path\":{}}\nready\n",
                    PATH("bob", "direct"), NULL);

    assert_read(text, "direct");
}

/* ---- what a node says of itself ---- */

static char *status_line(const PlTopology *topology, const char *peers, const char *counters)
{
    char text[PH_KEY_TEXT_MAX];
    PhKey key;

    pl_host_key(pl_topology_node(topology, "hub"), SEED, &key);
    ph_key_format_public(key.public_half, text);
    return g_strdup_printf(
        "{\"event\":\"status\",\"peers\":[%s{\"peer\":\"bob\",\"class\":\"symmetric\","
        "\"path\":\"relayed\",\"via\":\"%s\",\"health\":\"suspect\","
        "\"reason\":\"relay\",\"rtt_s\":0.04}],\"counters\":{%s}}\n",
        peers, text, counters);
}

static void the_last_status_is_what_a_node_says(void)
{
    g_autoptr(PlTopology) topology = parse("");
    g_autofree char *old = status_line(topology, "", "\"upgrades\":1");
    g_autofree char *new = status_line(
        topology, "{\"peer\":null,\"path\":\"none\",\"reason\":\"timeout\"},", "\"upgrades\":2");
    g_autofree char *output = g_strconcat(old, new, GONE, NULL);
    g_autoptr(PlStatus) status = pl_peers_status(output, topology, SEED);
    const PlPeerStatus *bob;
    uint64_t value;

    g_assert_nonnull(status);
    bob = pl_status_peer(status, "bob");
    g_assert_cmpstr(bob->class, ==, "symmetric");
    g_assert_cmpstr(bob->path, ==, "relayed(hub)");
    g_assert_cmpstr(bob->health, ==, "suspect");
    g_assert_cmpstr(bob->reason, ==, "relay");
    g_assert_cmpuint(bob->rtt_ns, ==, 40000000);
    g_assert_cmpstr(pl_status_peer(status, NULL)->path, ==, "none(timeout)");
    g_assert_null(pl_status_peer(status, "carol"));
    g_assert_true(pl_status_counter(status, "upgrades", &value));
    g_assert_cmpuint(value, ==, 2);
    g_assert_false(pl_status_counter(status, "downgrades", &value));
}

static void a_status_that_makes_no_sense_is_none(void)
{
    static const char *const wrong[] = {
        "{\"event\":\"status\"}",
        "{\"event\":\"status\",\"peers\":{},\"counters\":{}}",
        "{\"event\":\"status\",\"peers\":[7],\"counters\":{}}",
        "{\"event\":\"status\",\"peers\":[{}],\"counters\":{}}",
        "{\"event\":\"status\",\"peers\":[{\"path\":7}],\"counters\":{}}",
        "{\"event\":\"status\",\"peers\":[{\"path\":\"none\",\"rtt_s\":-1}],\"counters\":{}}",
        "{\"event\":\"status\",\"peers\":[],\"counters\":{\"upgrades\":\"1\"}}",
        "{\"event\":\"status\",\"peers\":[],\"counters\":{\"upgrades\":-1}}",
        "{\"event\":\"status\",\"peers\":[],\"counters\":{}",
        "",
    };
    g_autoptr(PlTopology) topology = parse("");

    for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++)
        g_assert_null(pl_peers_status(wrong[i], topology, SEED));
}

static void a_verdict_keeps_what_a_node_says(void)
{
    g_autoptr(PlTopology) topology = parse("");
    g_autoptr(PlVerdict) verdict = pl_verdict_new(topology, "kernel", SEED);
    g_autofree char *line = status_line(topology, "", "\"upgrades\":1");
    g_autoptr(JsonNode) node = NULL;
    g_autoptr(PlVerdict) again = NULL;
    g_autoptr(GError) error = NULL;
    const PlStatus *status;
    uint64_t value;

    pl_verdict_subject(verdict, "alice")->status = pl_peers_status(line, topology, SEED);
    node = pl_verdict_to_json(verdict);
    again = pl_verdict_from_json(node, &error);
    g_assert_no_error(error);
    g_assert_null(pl_verdict_subject(again, "bob")->status);
    status = pl_verdict_subject(again, "alice")->status;
    g_assert_cmpstr(pl_status_peer(status, "bob")->path, ==, "relayed(hub)");
    g_assert_true(pl_status_counter(status, "upgrades", &value));
    g_assert_cmpuint(value, ==, 1);
}

/* ---- the grid ---- */

/* Of open and symmetric; to be freed. */
static char *grid(unsigned columns)
{
    const char *const kinds[] = {"open", "symmetric", NULL};
    g_autoptr(GPtrArray) verdicts = g_ptr_array_new_with_free_func((GDestroyNotify)pl_verdict_free);
    char *text = NULL;
    size_t length;
    FILE *memory = open_memstream(&text, &length);

    for (unsigned i = 0; i < 4; i++) {
        g_autoptr(PlTopology) pair = pl_pair_topology(i / 2 ? 5 : 0, i % 2 ? 5 : 0);
        PlVerdict *verdict = pl_verdict_new(pair, "virtual", SEED);

        g_ptr_array_add(verdicts, verdict);
        pl_expected_fill(pair, verdict);
        pl_path_finding_set(&pl_verdict_path(verdict, "alice", "bob")->observed,
                            i == 3 ? "relayed(hub)" : "direct", NULL);
        if (i == 1)
            pl_verdict_reason(verdict, PL_OUTCOME_FAIL, "because");
    }
    pl_report_pairs(memory, verdicts, kinds, 1, 0, (PlReportStyle){.columns = columns});
    fclose(memory);
    return text;
}

static void what_is_not_as_it_should_be_is_marked(void)
{
    char *text = grid(0);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    g_assert_cmpstr(lines[0], ==, "                           1        2");
    g_assert_cmpstr(lines[1], ==, " 1  open                  direct   !direct");
    g_assert_cmpstr(lines[2], ==, " 2  symmetric             direct   relayed");
    g_assert_nonnull(strstr(text, "pinlab run --pair open,symmetric --engine virtual --seed 7"));
    g_assert_nonnull(strstr(text, "3 passed, 1 failed"));
    free(text);
}

static void words_are_short_where_there_is_no_room(void)
{
    char *text = grid(43);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    g_assert_cmpstr(lines[0], ==, "                           1   2");
    g_assert_cmpstr(lines[1], ==, " 1  open                  dir !dir");
    g_assert_cmpstr(lines[2], ==, " 2  symmetric             dir rel");
    g_assert_nonnull(strstr(lines[3], "rel: relayed"));
    free(text);
    text = grid(44);
    g_assert_nonnull(strstr(text, "direct   relayed"));
    free(text);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, function) g_test_add_func("/paths/" path, function)
    ADD("a-pair-is-a-topology-like-any-other", a_pair_is_a_topology_like_any_other);
    ADD("what-a-node-connects-to-is-expected-by-theory-and-the-file-goes-before-it",
        what_a_node_connects_to_is_expected_by_theory_and_the_file_goes_before_it);
    ADD("the-three-have-to-agree", the_three_have_to_agree);
    ADD("a-difference-fails-and-all-are-told", a_difference_fails_and_all_are_told);
    ADD("paths-survive-their-json", paths_survive_their_json);
    ADD("the-last-line-about-a-peer-counts", the_last_line_about_a_peer_counts);
    ADD("a-pair-that-stays-relayed-says-so", a_pair_that_stays_relayed_says_so);
    ADD("a-relays-key-becomes-its-name", a_relays_key_becomes_its_name);
    ADD("nonsense-is-passed-over", nonsense_is_passed_over);
    ADD("the-last-status-is-what-a-node-says", the_last_status_is_what_a_node_says);
    ADD("a-status-that-makes-no-sense-is-none", a_status_that_makes_no_sense_is_none);
    ADD("a-verdict-keeps-what-a-node-says", a_verdict_keeps_what_a_node_says);
    ADD("words-are-short-where-there-is-no-room", words_are_short_where_there_is_no_room);
    ADD("what-is-not-as-it-should-be-is-marked", what_is_not_as_it_should_be_is_marked);
    return g_test_run();
}
