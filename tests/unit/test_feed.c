/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A feed: what its writer saw pass is what its reader gets, in order, or is counted as lost. */
#include <poll.h>
#include <string.h>

#include "capture/feed.h"
#include "capture/trace.h"

#define PACKET 1000

typedef struct World {
    PlAttachment attachments[2]; /* stand for two interfaces: only their addresses matter */
    GPtrArray *points;
    PlFeed *feed;
    PlFeedWriter *writer;
    unsigned next; /* the number that the reader expects */
    unsigned by_interface[2];
} World;

static void set_up(World *world, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    int fds[PL_FEED_FDS];

    (void)data;
    world->points = g_ptr_array_new();
    g_ptr_array_add(world->points, &world->attachments[0]);
    g_ptr_array_add(world->points, &world->attachments[1]);
    world->feed = pl_feed_new(2, fds, &error);
    g_assert_no_error(error);
    world->writer = pl_feed_writer_new(world->points, fds, &error);
    g_assert_no_error(error);
}

static void tear_down(World *world, gconstpointer data)
{
    (void)data;
    pl_feed_free(world->feed);
    pl_feed_writer_free(world->writer);
    g_ptr_array_unref(world->points);
}

/* The packet with this number, of its own length, on the interface whose turn it is. */
static void put(World *world, unsigned number)
{
    uint8_t bytes[PACKET] = {0x45};

    memset(bytes + 1, (int)(number & 0xff), sizeof(bytes) - 1);
    pl_feed_writer_packet(world->writer, &world->attachments[number % 2], FALSE, bytes,
                          PACKET - number % 100, number);
}

static void take(gpointer data, unsigned interface, uint64_t time_ns, const uint8_t *frame,
                 size_t length)
{
    World *world = data;

    g_assert_cmpuint(time_ns, ==, world->next);
    g_assert_cmpuint(interface, ==, world->next % 2);
    g_assert_cmpuint(length, ==, PL_TRACE_HEADER + PACKET - world->next % 100);
    g_assert_cmphex(frame[PL_TRACE_HEADER], ==, 0x45);
    for (size_t i = PL_TRACE_HEADER + 1; i < length; i++)
        g_assert_cmphex(frame[i], ==, world->next & 0xff);
    world->by_interface[interface]++;
    world->next++;
}

static gboolean is_readable(const World *world)
{
    struct pollfd one = {.fd = pl_feed_fd(world->feed), .events = POLLIN};

    return poll(&one, 1, 0) == 1;
}

/* Many times around the ring. */
static void test_everything_comes_in_order(World *world, gconstpointer data)
{
    (void)data;
    for (unsigned number = 0; number < 20000;) {
        for (unsigned i = 0; i < 700; i++)
            put(world, number++);
        g_assert_false(is_readable(world));
        g_assert_true(pl_feed_writer_wake(world->writer));
        g_assert_true(is_readable(world));
        g_assert_cmpint(pl_feed_read(world->feed, take, world), ==, 700);
        g_assert_false(is_readable(world));
    }
}

static void test_what_finds_no_room_is_counted(World *world, gconstpointer data)
{
    uint64_t received[2], lost[2];

    (void)data;
    for (unsigned i = 0; i < 20000; i++)
        put(world, i);
    g_assert_true(pl_feed_writer_wake(world->writer));
    for (unsigned i = 0; i < 2; i++) {
        pl_feed_statistics(world->feed, i, &received[i], &lost[i]);
        g_assert_cmpuint(received[i] + lost[i], ==, 10000);
        g_assert_cmpuint(lost[i], >, 5000);
    }
    g_assert_cmpuint(received[0] + received[1], >, 3000);
}

static void count(gpointer data, unsigned interface, uint64_t time_ns, const uint8_t *frame,
                  size_t length)
{
    (void)time_ns;
    (void)frame;
    (void)length;
    ((World *)data)->by_interface[interface]++;
}

static void test_after_a_loss_it_goes_on(World *world, gconstpointer data)
{
    uint64_t received, lost;

    test_what_finds_no_room_is_counted(world, data);
    g_assert_cmpint(pl_feed_read(world->feed, count, world), >, 3000);
    for (unsigned i = 0; i < 2; i++) {
        pl_feed_statistics(world->feed, i, &received, &lost);
        g_assert_cmpuint(world->by_interface[i], ==, received);
    }
    world->next = 0;
    put(world, 0);
    g_assert_cmpint(pl_feed_read(world->feed, take, world), ==, 1);
}

static void test_others_interfaces_are_passed_over(World *world, gconstpointer data)
{
    const PlAttachment other = {0};
    uint8_t bytes[20] = {0x45};

    (void)data;
    pl_feed_writer_packet(world->writer, &other, TRUE, bytes, sizeof(bytes), 1);
    g_assert_true(pl_feed_writer_wake(world->writer));
    g_assert_false(is_readable(world));
    g_assert_cmpint(pl_feed_read(world->feed, take, world), ==, 0);
}

/* What it wrote before is still read. */
static void test_the_writers_end_is_seen(World *world, gconstpointer data)
{
    (void)data;
    put(world, 0);
    g_clear_pointer(&world->writer, pl_feed_writer_free);
    g_assert_true(is_readable(world));
    g_assert_cmpint(pl_feed_read(world->feed, take, world), ==, 1);
    g_assert_cmpint(pl_feed_read(world->feed, take, world), ==, -1);
}

static void test_the_readers_end_is_seen(World *world, gconstpointer data)
{
    (void)data;
    put(world, 0);
    g_clear_pointer(&world->feed, pl_feed_free);
    g_assert_false(pl_feed_writer_wake(world->writer));
}

/* A reader who does not look: more words than a socket holds. */
static void test_a_writer_never_waits(World *world, gconstpointer data)
{
    (void)data;
    for (unsigned i = 0; i < 100000; i++) {
        put(world, i);
        g_assert_true(pl_feed_writer_wake(world->writer));
    }
}

#define TEST(name) g_test_add("/feed/" #name, World, NULL, set_up, test_##name, tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    TEST(everything_comes_in_order);
    TEST(what_finds_no_room_is_counted);
    TEST(after_a_loss_it_goes_on);
    TEST(others_interfaces_are_passed_over);
    TEST(the_writers_end_is_seen);
    TEST(the_readers_end_is_seen);
    TEST(a_writer_never_waits);
    return g_test_run();
}
