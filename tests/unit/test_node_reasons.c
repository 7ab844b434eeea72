/* SPDX-License-Identifier: GPL-2.0-or-later */
/* N29: every reason has a name and a sentence, and comes where it belongs. That each line of a node
 * has both is looked at in every test of nodes (node_world.h). */
#include "node_world.h"

static const char cone[] = "behaviour = port-restricted";
static const char symmetric[] = "behaviour = symmetric";

static void test_N29_names_stay_and_sentences_are_for_people(void)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
    const char *name, *sentence;
    guint n = 0;

    for (; (name = ph_node_reason(n, &sentence)); n++) {
        g_assert_cmpuint(strspn(name, "abcdefghijklmnopqrstuvwxyz-"), ==, strlen(name));
        g_assert_true(g_hash_table_add(seen, (gpointer)name));
        g_assert_true(g_ascii_isupper(*sentence) && g_str_has_suffix(sentence, "."));
        g_assert_cmpstr(ph_node_sentence(name), ==, sentence);
    }
    g_assert_cmpuint(n, >, 30);
    g_assert_null(ph_node_sentence("no such reason"));
    g_assert_null(ph_node_sentence(NULL));
}

static void assert_in_documents(const char *name)
{
    static const char *const documents[] = {"status.md", "protocol.md", "metrics.md"};
    g_autofree char *quoted = g_strdup_printf("`%s`", name);

    for (guint i = 0; i < G_N_ELEMENTS(documents); i++) {
        g_autofree char *path = g_build_filename(PL_SOURCE_DIR, "docs", documents[i], NULL);
        g_autofree char *text = NULL;

        g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
        if (strstr(text, quoted))
            return;
    }
    g_error("no document says what %s is", quoted);
}

/* Who reads a name in a line or a table looks it up. */
static void test_N29_documents_have_every_reason_and_counter(void)
{
    static const PhNodeCounters none;
    const char *name, *sentence;
    uint64_t value;

    for (guint i = 0; (name = ph_node_reason(i, &sentence)); i++)
        assert_in_documents(name);
    for (guint i = 0; (name = ph_node_counter(&none, i, &value)); i++)
        assert_in_documents(name);
}

/* Whether a node has given it: in a line, or in its table. */
static void assert_given(World *world, const char *host, const char *reason)
{
    g_autoptr(GArray) all = world_said(world, host);
    PhNodePeer peer;

    for (guint i = 0; i < all->len; i++)
        if (strcmp(g_array_index(all, Said, i).reason, reason) == 0)
            return;
    for (guint i = 0; ph_node_peer(world_node(world, host), i, &peer); i++)
        if (g_strcmp0(peer.reason, reason) == 0) {
            g_assert_cmpstr(peer.sentence, ==, ph_node_sentence(reason));
            return;
        }
    g_error("%s gives no reason %s", host, reason);
}

/* Pairs that meet, and why each path is what it is. */
static void test_N29_why_a_path_is_what_it_is(void)
{
    static const char sequential[] = "behaviour = symmetric\nport-allocation = sequential";
    static const struct {
        const char *alice, *bob, *of_alice, *of_bob;
    } pairs[] = {
        {"open", cone, "wait", "dial"},           {cone, cone, "punch", "punch"},
        {cone, symmetric, "scatter", "spread"},   {sequential, cone, "punch", "predict"},
        {symmetric, symmetric, "relay", "relay"},
    };

    for (guint i = 0; i < G_N_ELEMENTS(pairs); i++) {
        g_auto(World) world = {0};

        world_meet(&world, pairs[i].alice, pairs[i].bob);
        world_pass(&world, 60 * S);
        assert_given(&world, "alice", pairs[i].of_alice);
        assert_given(&world, "bob", pairs[i].of_bob);
        assert_given(&world, "alice", "first");
    }
}

static void test_N29_what_goes_wrong_with_a_path(void)
{
    g_auto(World) world = {0};
    gboolean failed = FALSE;

    world_meet(&world, cone, cone);
    world.hole = TRUE;
    world_stream(&world, "alice", 0, 100, 100 * MS);
    assert_given(&world, "alice", "heartbeats-missed");
    assert_given(&world, "alice", "direct-suspect");
    world.hole = FALSE;
    world_stream(&world, "alice", 100, 600, 100 * MS);
    assert_path(&world, "alice", PH_PATH_PUNCHED);
    world.hole = TRUE;
    for (guint i = 0; i < 300 && !failed; i++) {
        world_stream(&world, "alice", 700 + i, 1, 100 * MS);
        failed = g_strcmp0(world_peer(&world, "alice").reason, "direct-failed") == 0;
    }
    g_assert_true(failed);
    world_kill(&world, "bob");
    world_pass(&world, 120 * S);
    assert_given(&world, "alice", "silent");
    assert_given(&world, "alice", "timeout");
}

static void test_N29_attempts_that_fail_say_so_in_the_table(void)
{
    g_auto(World) world = {0};

    world_init(
        &world,
        (const char *const[]){"bob", cone, "node", "alice", cone, "node --connect bob", NULL}, "");
    world.hole = TRUE;
    world_start(&world, "bob");
    world_pass(&world, S);
    world_start(&world, "alice");
    world_pass(&world, 30 * S);
    g_assert_cmpstr(world_peer(&world, "alice").reason, ==, "punch-failed");
    g_assert_cmpstr(world_peer(&world, "alice").state, ==, "talking");
    g_assert_nonnull(world_peer(&world, "alice").sentence);
}

/* By its own name, by the hub's, and by nobody's. */
static void test_N29_what_a_hub_refuses(void)
{
    const char *const hosts[] = {
        "bob", cone, "node", "mallory", cone, "node bob", "alice", cone, "node --connect carol",
        NULL};
    g_auto(World) world = {0};
    PhNodeSelf self;

    world_init(&world, hosts, "");
    world_start(&world, "bob");
    world_start(&world, "alice");
    world_pass(&world, 2 * S);
    assert_given(&world, "alice", "unknown-peer");
    world_start(&world, "mallory");
    world_pass(&world, 2 * S);
    assert_given(&world, "mallory", "name-taken");
    ph_node_self(world_node(&world, "mallory"), &self);
    g_assert_cmpstr(self.hub_state, ==, "refused");
    g_assert_cmpstr(self.hub_reason, ==, "name-taken");
    world_kill(&world, "hub");
    world_pass(&world, 120 * S);
    assert_given(&world, "bob", "timeout");
    ph_node_self(world_node(&world, "bob"), &self);
    g_assert_cmpstr(self.hub_state, !=, "registered");
    g_assert_cmpstr(self.hub_reason, ==, "timeout");
    g_assert_null(self.hub_health);
}

static void test_N29_an_end_is_no_error(void)
{
    g_auto(World) world = {0};

    world_meet(&world, cone, cone);
    ph_node_disconnect(world_node(&world, "alice"), world_peer(&world, "alice").peer,
                       world.lab->now);
    pl_seat_pump(world_seat(&world, "alice"));
    world_pass(&world, 100 * MS);
    assert_given(&world, "alice", "goodbye");
    assert_given(&world, "bob", "goodbye");
}

/* What a node knows of itself, before and after it has a hub. */
static void test_a_node_knows_itself(void)
{
    const char *const hosts[] = {"alice", cone, "node", NULL};
    g_auto(World) world = {0};
    PhNodeSelf self;
    PhAddress outside;

    world_init(&world, hosts, "");
    world_start(&world, "alice");
    ph_node_self(world_node(&world, "alice"), &self);
    g_assert_cmpstr(self.name, ==, "alice");
    g_assert_cmpstr(self.hub_state, ==, "asking");
    g_assert_null(self.hub_reason);
    g_assert_cmpuint(self.seen.family, ==, PH_FAMILY_NONE);
    world_pass(&world, 10 * S);
    ph_node_self(world_node(&world, "alice"), &self);
    outside = g_array_index(pl_nat_outside(world_nat(&world, "alice"))->addresses, PhAddress, 0);
    g_assert_cmpstr(self.hub_state, ==, "registered");
    g_assert_cmpstr(self.hub_health, ==, "healthy");
    g_assert_cmpint(self.nat_class, ==, PH_CLASS_PORT_RESTRICTED);
    g_assert_true(ph_address_equal_host(&self.seen, &outside));
    g_assert_true(ph_address_equal_host(&self.external, &outside));
    g_assert_cmpuint(self.hub_rtt_ns, ==, 40 * MS);
    g_assert_true(memcmp(self.key, ph_node_public_key(world_node(&world, "alice")), 32) == 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(function) g_test_add_func("/node-reasons/" #function, test_##function)
    ADD(N29_names_stay_and_sentences_are_for_people);
    ADD(N29_documents_have_every_reason_and_counter);
    ADD(N29_why_a_path_is_what_it_is);
    ADD(N29_what_goes_wrong_with_a_path);
    ADD(N29_attempts_that_fail_say_so_in_the_table);
    ADD(N29_what_a_hub_refuses);
    ADD(N29_an_end_is_no_error);
    ADD(a_node_knows_itself);
    return g_test_run();
}
