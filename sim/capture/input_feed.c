/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Packets that another process saw pass; see input.h and feed.h. */
#include "capture/input.h"

typedef struct FeedInput {
    PlInput base;
    PlFeed *feed;
} FeedInput;

static gboolean open_input(PlInput *input, GError **error)
{
    (void)input;
    (void)error;
    return TRUE;
}

static void poll_input(const PlInput *input, GArray *polls)
{
    struct pollfd one = {.fd = pl_feed_fd(((const FeedInput *)input)->feed), .events = POLLIN};

    g_array_append_val(polls, one);
}

static void take(gpointer data, unsigned interface, uint64_t time_ns, const uint8_t *frame,
                 size_t length)
{
    PlInput *input = data;
    PlFound found = {
        .interface = interface,
        .time_ns = time_ns,
        .data = frame,
        .length = (uint32_t)length,
        .original_length = (uint32_t)length,
    };

    input->take(input->data, &found);
}

static int drain(PlInput *input, GError **error)
{
    int n = pl_feed_read(((FeedInput *)input)->feed, take, input);

    if (n < 0)
        g_set_error(error, PL_ERROR, PL_ERROR_FAILED,
                    "capturing ended: the lab's networks are gone");
    return n;
}

static gboolean statistics(PlInput *input, unsigned interface, uint64_t *ret_received,
                           uint64_t *ret_lost, GError **error)
{
    (void)error;
    pl_feed_statistics(((FeedInput *)input)->feed, interface, ret_received, ret_lost);
    return TRUE;
}

static void free_input(PlInput *input)
{
    g_free(input);
}

static const PlInputKind kind = {
    .ordered = TRUE,
    .open = open_input,
    .poll = poll_input,
    .drain = drain,
    .statistics = statistics,
    .free = free_input,
};

PlInput *pl_input_feed_new(PlFeed *feed)
{
    FeedInput *input = g_new0(FeedInput, 1);

    input->base.kind = &kind;
    input->feed = feed;
    return &input->base;
}
