/* SPDX-License-Identifier: MIT */
/*
 * A watch on real sockets: at any time there is at most one classification, and one question for
 * the reflex address.
 *
 *     watch --classify--> ph_classify_server_async --result--> watch --changed--> callback
 *     alarm --reflex----> ph_ask_server_async ------address--> watch
 */
#include <pinhole/watcher.h>

#include <pinhole/ask.h>

#include "../core/clock.h"
#include "resolve.h"
#include "system.h"

#define REFLEX_NS UINT64_C(30000000000)

struct PhWatcher {
    char *server;
    PhClassifyFlags flags;
    uint64_t reflex_ns, reflex_due_ns;
    PhWatch *watch;
    GSource *alarm;
    GMainContext *context;
    GCancellable *cancellable; /* of what is under way */
    gboolean asking;
    PhWatcherChanged changed;
    gpointer data;
};

static void serve(PhWatcher *watcher);

/* An outcome of a job, unless the watcher is gone: what is cancelled touches it no more. */
static gboolean is_gone(const GError *error)
{
    return g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
}

static void take_classification(GObject *object G_GNUC_UNUSED, GAsyncResult *result, gpointer data)
{
    PhWatcher *watcher = data;
    g_autoptr(GError) error = NULL;
    PhClassification found;

    if (!ph_classify_server_finish(result, &found, NULL, &error)) {
        if (is_gone(error))
            return;
        found = (PhClassification){
            .why.nat_class = error->domain == G_RESOLVER_ERROR
                                 ? "the server's name is not known just now"
                                 : "the system does not let it be tested just now",
        };
    }
    ph_watch_result(watcher->watch, &found, ph_clock_now());
    serve(watcher);
}

static void take_answer(GObject *object G_GNUC_UNUSED, GAsyncResult *result, gpointer data)
{
    PhWatcher *watcher = data;
    g_autoptr(GError) error = NULL;
    uint64_t now = ph_clock_now();
    PhAnswer answer;

    if (ph_ask_server_finish(result, &answer, &error))
        ph_watch_reflex(watcher->watch, &answer.mapped, now);
    else if (is_gone(error))
        return;
    watcher->asking = FALSE;
    watcher->reflex_due_ns = ph_time_after(now, watcher->reflex_ns);
    serve(watcher);
}

static void ask_if_due(PhWatcher *watcher)
{
    if (watcher->asking || ph_clock_now() < watcher->reflex_due_ns)
        return;
    watcher->asking = TRUE;
    watcher->reflex_due_ns = UINT64_MAX;
    g_main_context_push_thread_default(watcher->context);
    ph_ask_server_async(watcher->server, NULL, watcher->cancellable, take_answer, watcher);
    g_main_context_pop_thread_default(watcher->context);
}

static void classify(PhWatcher *watcher)
{
    g_main_context_push_thread_default(watcher->context);
    ph_classify_server_async(watcher->server, watcher->flags, watcher->cancellable,
                             take_classification, watcher);
    g_main_context_pop_thread_default(watcher->context);
}

/* Does what the watch wants. `watcher` may be gone afterwards. */
static void serve(PhWatcher *watcher)
{
    g_autoptr(GCancellable) cancellable = g_object_ref(watcher->cancellable);
    PhWatchEvent event;
    uint64_t next;

    while (ph_watch_poll_event(watcher->watch, &event)) {
        if (event == PH_WATCH_CLASSIFY) {
            classify(watcher);
            continue;
        }
        watcher->changed(watcher, ph_watch_current(watcher->watch), watcher->data);
        if (g_cancellable_is_cancelled(cancellable))
            return;
    }
    ask_if_due(watcher);
    next = ph_watch_next_timeout(watcher->watch);
    ph_alarm_set(watcher->alarm, MIN(next, watcher->reflex_due_ns));
}

static gboolean wake(gpointer data)
{
    PhWatcher *watcher = data;

    ph_watch_handle_timeout(watcher->watch, ph_clock_now());
    serve(watcher);
    return G_SOURCE_CONTINUE;
}

/* At once, but never from within a call of the owner's. */
static void serve_soon(PhWatcher *watcher)
{
    ph_alarm_set(watcher->alarm, ph_clock_now());
}

PhWatcher *ph_watcher_new(const PhWatcherConfig *config, PhWatcherChanged changed, gpointer data,
                          GError **error)
{
    g_autofree char *host = NULL;
    uint64_t now = ph_clock_now();
    PhWatcher *watcher;
    uint16_t port;

    host = ph_resolve_parse(config->server, &port, error);
    if (!host)
        return NULL;
    watcher = g_new(PhWatcher, 1);
    *watcher = (PhWatcher){
        .server = g_strdup(config->server),
        .flags = config->flags,
        .reflex_ns = config->reflex_ns ? config->reflex_ns : REFLEX_NS,
        .watch = ph_watch_new(&config->watch, now),
        .context = g_main_context_ref_thread_default(),
        .cancellable = g_cancellable_new(),
        .changed = changed,
        .data = data,
    };
    watcher->reflex_due_ns = ph_time_after(now, watcher->reflex_ns);
    watcher->alarm = ph_alarm_new(watcher->context, wake, watcher);
    if (!watcher->watch) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "there is no memory for a watch");
        return ph_watcher_free(watcher);
    }
    serve_soon(watcher);
    return watcher;
}

PhWatcher *ph_watcher_free(PhWatcher *watcher)
{
    if (!watcher)
        return NULL;
    g_cancellable_cancel(watcher->cancellable);
    g_object_unref(watcher->cancellable);
    g_source_destroy(watcher->alarm);
    g_source_unref(watcher->alarm);
    g_main_context_unref(watcher->context);
    ph_watch_free(watcher->watch);
    g_free(watcher->server);
    g_free(watcher);
    return NULL;
}

void ph_watcher_demand(PhWatcher *watcher)
{
    ph_watch_demand(watcher->watch, ph_clock_now());
    serve_soon(watcher);
}

void ph_watcher_reflex(PhWatcher *watcher, const PhAddress *mapped)
{
    ph_watch_reflex(watcher->watch, mapped, ph_clock_now());
    serve_soon(watcher);
}

const PhClassification *ph_watcher_current(const PhWatcher *watcher)
{
    return ph_watch_current(watcher->watch);
}

const PhWatchCounters *ph_watcher_counters(const PhWatcher *watcher)
{
    return ph_watch_counters(watcher->watch);
}
