/* SPDX-License-Identifier: MIT */
/*
 * The watch, fed with a list of events: time, reflex addresses, demands and results of all kinds.
 * It never runs two classifications at a time, never asks for more than its gap allows, tells no
 * change that is none, and always has a next time.
 */
#include <pinhole/watch.h>

#include "input.h"

#define MS G_GUINT64_CONSTANT(1000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct Feed {
    Input input;
    PhWatchConfig config;
    PhWatch *watch;
    guint64 now, started[2]; /* the last two */
    gboolean running, told;
    PhClassification last; /* that was told */
} Feed;

static PhAddress take_address(Feed *feed)
{
    guint which = take(&feed->input) % 4;

    return which ? ph_address_ipv4(0xc6336400 + which, (guint16)(4000 + which)) : (PhAddress){0};
}

static gboolean is_news(const PhClassification *before, const PhClassification *after)
{
    return before->nat_class != after->nat_class ||
           !ph_address_equal_host(&before->mapped, &after->mapped);
}

static void poll_all(Feed *feed)
{
    const PhClassification *current = ph_watch_current(feed->watch);
    PhWatchEvent event;

    while (ph_watch_poll_event(feed->watch, &event)) {
        if (event == PH_WATCH_CHANGED) {
            g_assert(current && (!feed->told || is_news(&feed->last, current)));
            feed->last = *current;
            feed->told = TRUE;
            continue;
        }
        g_assert(!feed->running);
        /* One more may be in between, for another address. */
        g_assert(feed->started[0] == 0 ||
                 feed->now - feed->started[0] >= MIN(feed->config.gap_ns, feed->config.confirm_ns));
        feed->running = TRUE;
        feed->started[0] = feed->started[1];
        feed->started[1] = feed->now;
    }
    g_assert(!current || feed->told);
    /* What is believed and was not told differs in nothing that matters. */
    g_assert(!current || current->nat_class == feed->last.nat_class);
    g_assert(feed->running == (ph_watch_next_timeout(feed->watch) == UINT64_MAX));
}

static void feed_event(Feed *feed)
{
    PhClassification result = {0};
    PhAddress address;

    switch (take(&feed->input) % 5) {
    case 0:
        feed->now += take(&feed->input) * 10 * MS;
        ph_watch_handle_timeout(feed->watch, feed->now);
        break;
    case 1:
        if (!feed->running)
            feed->now = MAX(feed->now, ph_watch_next_timeout(feed->watch));
        ph_watch_handle_timeout(feed->watch, feed->now);
        break;
    case 2:
        address = take_address(feed);
        ph_watch_reflex(feed->watch, &address, feed->now);
        break;
    case 3:
        ph_watch_demand(feed->watch, feed->now);
        break;
    default:
        result.nat_class = (PhClass)(take(&feed->input) % PH_CLASS_N);
        result.mapped = take_address(feed);
        result.pooling = (PhPooling)(take(&feed->input) % 3);
        ph_watch_result(feed->watch, &result, feed->now);
        feed->running = FALSE;
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Feed feed = {.input = {data, size}, .now = 1};

    feed.config = (PhWatchConfig){
        .interval_ns = 1000 * MS, .confirm_ns = 100 * MS, .gap_ns = (1 + take(&feed.input)) * MS};
    feed.watch = ph_watch_new(&feed.config, feed.now);
    poll_all(&feed);
    while (feed.input.left > 0) {
        feed_event(&feed);
        poll_all(&feed);
    }
    ph_watch_free(feed.watch);
    return 0;
}
