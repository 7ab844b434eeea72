/* SPDX-License-Identifier: MIT */
/* Peers on real sockets: a hub with a key and nodes, all on loopback in one main loop. */
#include <pinhole/peers.h>
#include <string.h>

#include "io_hub.h"

#define LIMIT_S 20

typedef struct Member {
    PhPeers *peers;
    gboolean opened, registered, up, straight, gone, free_on_data;
    GError *error;
    uint32_t peer;
    GString *got;
} Member;

typedef struct World {
    PhHub *hub;
    char *hub_words;
} World;

static gboolean give_up(gpointer data)
{
    *(gboolean *)data = TRUE;
    return G_SOURCE_CONTINUE;
}

static void await(const gboolean *what)
{
    gboolean late = FALSE;
    guint timer = g_timeout_add_seconds(LIMIT_S, give_up, &late);

    while (!*what && !late)
        g_main_context_iteration(NULL, TRUE);
    g_source_remove(timer);
    g_assert_true(*what);
}

static void take_event(PhPeers *peers, const PhNodeEvent *event, gpointer data)
{
    Member *member = data;

    if (event->kind == PH_NODE_REGISTERED)
        member->registered = TRUE;
    if (event->kind == PH_NODE_PEER_UP) {
        member->up = TRUE;
        member->peer = event->peer;
    }
    if (event->kind == PH_NODE_PEER_PATH)
        member->straight = event->path == PH_PATH_PUNCHED || event->path == PH_PATH_DIRECT;
    if (event->kind == PH_NODE_PEER_GONE) {
        g_assert_nonnull(event->reason);
        g_assert_nonnull(event->sentence);
        member->gone = TRUE;
    }
    if (event->kind == PH_NODE_DATA) {
        g_string_append_len(member->got, (const char *)event->bytes, (gssize)event->length);
        if (member->free_on_data)
            member->peers = ph_peers_free(peers);
    }
}

static void take_peers(GObject *object G_GNUC_UNUSED, GAsyncResult *result, gpointer data)
{
    Member *member = data;

    member->peers = ph_peers_open_finish(result, take_event, member, &member->error);
    member->opened = TRUE;
}

static void open_with(Member *member, const PhPeersConfig *config)
{
    member->got = g_string_new(NULL);
    ph_peers_open_async(config, NULL, take_peers, member);
    await(&member->opened);
}

static void open_member(const World *world, Member *member, const char *name)
{
    open_with(member, &(PhPeersConfig){.hub = world->hub_words, .name = name});
    g_assert_no_error(member->error);
}

static void close_member(Member *member)
{
    ph_peers_free(member->peers);
    g_string_free(member->got, TRUE);
    g_clear_error(&member->error);
}

static void set_up(World *world, gconstpointer data G_GNUC_UNUSED)
{
    char text[PH_KEY_TEXT_MAX];
    uint16_t port;
    PhKey key;

    ph_key_generate(&key);
    world->hub = start_keyed_hub(2, &key, &port);
    world->hub_words = g_strdup_printf("%s@localhost:%u", ph_key_format(&key, text), port);
}

static void tear_down(World *world, gconstpointer data G_GNUC_UNUSED)
{
    ph_hub_free(world->hub);
    g_free(world->hub_words);
}

static void say(Member *member, const char *text)
{
    g_assert_true(ph_peers_send(member->peers, member->peer, (const uint8_t *)text, strlen(text)));
}

static void await_text(Member *member, const char *text)
{
    gboolean late = FALSE;
    guint timer = g_timeout_add_seconds(LIMIT_S, give_up, &late);

    while (strcmp(member->got->str, text) != 0 && !late)
        g_main_context_iteration(NULL, TRUE);
    g_source_remove(timer);
    g_assert_cmpstr(member->got->str, ==, text);
}

/* The hub lists who has shown that its answer came to the right place. */
static void await_listed(const World *world, PhStationNode *ret_node)
{
    gboolean late = FALSE;
    guint timer = g_timeout_add_seconds(LIMIT_S, give_up, &late);
    guint32 at = 0;

    while (!ph_hub_station_node(world->hub, &at, ret_node) && !late) {
        g_main_context_iteration(NULL, TRUE);
        at = 0;
    }
    g_source_remove(timer);
    g_assert_false(late);
}

static void test_two_find_each_other_talk_and_say_goodbye(World *world,
                                                          gconstpointer d G_GNUC_UNUSED)
{
    Member alice = {0}, bob = {0};
    PhStationNode registered;

    open_member(world, &alice, "alice");
    await(&alice.registered);
    await_listed(world, &registered);
    g_assert_cmpstr(registered.name, ==, "alice");
    open_member(world, &bob, "bob");
    bob.peer = ph_peers_connect(bob.peers, "alice", NULL);
    say(&bob, "hello"); /* waits until she can be sent to */
    await_text(&alice, "hello");
    await(&alice.straight);
    await(&bob.straight);
    say(&alice, "and to you");
    await_text(&bob, "and to you");
    g_assert_cmpuint(ph_hub_station_counters(world->hub)->introductions, >, 0);
    bob.peers = ph_peers_free(bob.peers);
    await(&alice.gone);
    close_member(&alice);
    close_member(&bob);
}

static void test_a_key_finds_who_has_no_name(World *world, gconstpointer d G_GNUC_UNUSED)
{
    Member alice = {0}, bob = {0};
    char key[PH_KEY_TEXT_MAX];

    open_member(world, &alice, NULL);
    await(&alice.registered);
    open_member(world, &bob, NULL);
    ph_key_format_public(ph_node_public_key(ph_peers_node(alice.peers)), key);
    bob.peer = ph_peers_connect(bob.peers, key, NULL);
    say(&bob, "hello");
    await_text(&alice, "hello");
    close_member(&alice);
    close_member(&bob);
}

static void test_a_callback_may_free_them(World *world, gconstpointer d G_GNUC_UNUSED)
{
    Member alice = {.free_on_data = TRUE}, bob = {0};

    open_member(world, &alice, "alice");
    await(&alice.registered);
    open_member(world, &bob, "bob");
    bob.peer = ph_peers_connect(bob.peers, "alice", NULL);
    say(&bob, "hello");
    await(&bob.gone);
    g_assert_null(alice.peers);
    g_assert_cmpstr(alice.got->str, ==, "hello");
    close_member(&alice);
    close_member(&bob);
}

static void test_who_is_nobody_is_told_so(World *world, gconstpointer d G_GNUC_UNUSED)
{
    g_autoptr(GError) error = NULL;
    Member alice = {0};

    open_member(world, &alice, "alice");
    g_assert_cmpuint(ph_peers_connect(alice.peers, "not a name", &error), ==, 0);
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
    g_assert_cmpuint(ph_peers_connect(alice.peers, "nobody", NULL), !=, 0);
    await(&alice.gone);
    close_member(&alice);
}

/* Its name has an address of each family; nobody answers at the first one. */
static void test_a_hub_is_looked_for_at_its_other_address(void)
{
    PhHubConfig config = {.n_hosts = 1};
    char text[PH_KEY_TEXT_MAX];
    Member alice = {0}, bob = {0};
    World world = {0};
    PhKey key;

    ph_key_generate(&key);
    config.key = &key;
    g_assert_true(ph_address_parse("::1", &config.hosts[0]));
    for (unsigned i = 0; !world.hub && i < 20; i++) {
        config.ports[0] = free_port(NULL);
        config.ports[1] = (uint16_t)(config.ports[0] + 1);
        world.hub = ph_hub_new(NULL, &config, NULL);
    }
    g_assert_nonnull(world.hub);
    world.hub_words =
        g_strdup_printf("%s@localhost:%u", ph_key_format(&key, text), config.ports[0]);
    open_member(&world, &alice, "alice");
    open_member(&world, &bob, "bob");
    bob.peer = ph_peers_connect(bob.peers, "alice", NULL);
    say(&bob, "hello");
    await_text(&alice, "hello");
    close_member(&alice);
    close_member(&bob);
    tear_down(&world, NULL);
}

static void test_a_config_that_makes_no_sense_is_refused(void)
{
    static const char key[] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    g_autofree char *good = g_strdup_printf("%s@127.0.0.1", key);
    g_autofree char *no_host = g_strdup_printf("%s@", key);
    g_autofree char *bad_port = g_strdup_printf("%s@localhost:x", key);
    g_autofree char *no_key = g_strdup_printf("%s@localhost", key + 1);
    const PhPeersConfig configs[] = {
        {.hub = NULL},
        {.hub = ""},
        {.hub = "localhost"},
        {.hub = "@localhost"},
        {.hub = no_host},
        {.hub = bad_port},
        {.hub = no_key},
        {.hub = good, .name = "a b"},
        {.hub = good, .name = ""},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(configs); i++) {
        Member member = {0};

        open_with(&member, &configs[i]);
        g_assert_error(member.error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
        g_assert_null(member.peers);
        close_member(&member);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/peers/two-find-each-other-talk-and-say-goodbye", World, NULL, set_up,
               test_two_find_each_other_talk_and_say_goodbye, tear_down);
    g_test_add("/peers/a-key-finds-who-has-no-name", World, NULL, set_up,
               test_a_key_finds_who_has_no_name, tear_down);
    g_test_add("/peers/a-callback-may-free-them", World, NULL, set_up,
               test_a_callback_may_free_them, tear_down);
    g_test_add("/peers/who-is-nobody-is-told-so", World, NULL, set_up,
               test_who_is_nobody_is_told_so, tear_down);
    g_test_add_func("/peers/a-hub-is-looked-for-at-its-other-address",
                    test_a_hub_is_looked_for_at_its_other_address);
    g_test_add_func("/peers/a-config-that-makes-no-sense-is-refused",
                    test_a_config_that_makes_no_sense_is_refused);
    return g_test_run();
}
