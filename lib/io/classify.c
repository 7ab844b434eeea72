/* SPDX-License-Identifier: MIT */
/*
 * One classification, from a server's name to its result:
 *
 *     parse --> look up --> classify <--> sockets, alarm
 *       |          |           |
 *       +----------+-----------+--> the task returns
 */
#include <pinhole/classify.h>

#include <pinhole/classifier.h>
#include <pinhole/hub.h>

#include "sockaddr.h"
#include "sockets.h"
#include "system.h"

#define FIRST_SOCKET 1

typedef struct Run {
    GTask *task; /* borrowed: it owns this */
    PhAddress server;
    PhClassification result;
    PhClassifier *classifier;
    PhSockets *sockets;
    GSource *alarm, *cancelled;
} Run;

static void source_end(GSource **source)
{
    if (*source) {
        g_source_destroy(*source);
        g_source_unref(*source);
    }
    *source = NULL;
}

/* Nothing comes any more. */
static void run_stop(Run *run)
{
    source_end(&run->alarm);
    source_end(&run->cancelled);
    run->sockets = ph_sockets_free(run->sockets);
    run->classifier = ph_classifier_free(run->classifier);
}

static void run_free(gpointer data)
{
    run_stop(data);
    g_free(data);
}

static void fail(Run *run, GError *error)
{
    GTask *task = run->task;

    run_stop(run);
    g_task_return_error(task, error);
    g_object_unref(task);
}

static void serve_socket(Run *run, const PhSocketRequest *request)
{
    PhAddress local = {.family = (uint8_t)request->family}, bound;

    if (request->kind == PH_SOCKET_CLOSE)
        ph_sockets_close(run->sockets, request->socket);
    else if (ph_sockets_open(run->sockets, request->socket, &local, &bound, NULL))
        ph_classifier_socket_opened(run->classifier, request->socket, &bound, ph_clock_now());
    else
        ph_classifier_socket_failed(run->classifier, request->socket, ph_clock_now());
}

/* Does what the classifier wants, in the order of path.h. `run` may be gone afterwards. */
static void serve(Run *run)
{
    PhSocketRequest request;
    PhTransmit transmit;

    while (ph_classifier_poll_socket(run->classifier, &request))
        serve_socket(run, &request);
    while (ph_classifier_poll_transmit(run->classifier, &transmit))
        ph_sockets_send(run->sockets, &transmit);
    ph_sockets_flush(run->sockets);
    if (ph_classifier_poll_event(run->classifier, &run->result)) {
        GTask *task = run->task;

        run_stop(run);
        g_task_return_boolean(task, TRUE);
        g_object_unref(task);
        return;
    }
    ph_alarm_set(run->alarm, ph_classifier_next_timeout(run->classifier));
}

static void take_datagram(gpointer data, const PhPath *path, const uint8_t *bytes, size_t length,
                          uint64_t now)
{
    Run *run = data;

    ph_classifier_handle_datagram(run->classifier, path, bytes, length, now);
}

static void take_unreachable(gpointer data, const PhPath *path, uint64_t now)
{
    Run *run = data;

    ph_classifier_unreachable(run->classifier, path, now);
}

static void finish_batch(gpointer data)
{
    serve(data);
}

static const PhSocketsHandler handler = {
    .datagram = take_datagram,
    .unreachable = take_unreachable,
    .done = finish_batch,
};

static gboolean wake(gpointer data)
{
    Run *run = data;

    ph_classifier_handle_timeout(run->classifier, ph_clock_now());
    serve(run);
    return G_SOURCE_CONTINUE;
}

static gboolean cancel(GCancellable *cancellable, gpointer data)
{
    GError *error = NULL;

    g_cancellable_set_error_if_cancelled(cancellable, &error);
    fail(data, error);
    return G_SOURCE_REMOVE;
}

static void classify(Run *run)
{
    GMainContext *context = g_task_get_context(run->task);
    GCancellable *cancellable = g_task_get_cancellable(run->task);
    PhClassifierConfig config = {.server = run->server, .first_socket = FIRST_SOCKET};
    GError *error = NULL;

    ph_seed_fill(config.seed);
    config.n_locals = ph_local_addresses((PhFamily)run->server.family, TRUE, config.locals,
                                         PH_CLASSIFIER_LOCALS, &error);
    if (!error) {
        run->classifier = ph_classifier_new(&config, ph_clock_now());
        if (!run->classifier)
            error =
                g_error_new(G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "that server cannot be asked");
    }
    if (error) {
        fail(run, error);
        return;
    }
    run->sockets = ph_sockets_new(context, &handler, run);
    run->alarm = ph_alarm_new(context, wake, run);
    if (cancellable) {
        run->cancelled = g_cancellable_source_new(cancellable);
        g_source_set_callback(run->cancelled, G_SOURCE_FUNC(cancel), run, NULL);
        g_source_attach(run->cancelled, context);
    }
    serve(run);
}

static gboolean use_address(GInetAddress *found, uint16_t port, PhAddress *ret_address)
{
    g_autoptr(GSocketAddress) address = g_inet_socket_address_new(found, port);
    struct sockaddr_storage native;
    gssize size = g_socket_address_get_native_size(address);

    return size > 0 && (size_t)size <= sizeof(native) &&
           g_socket_address_to_native(address, &native, sizeof(native), NULL) &&
           ph_sockaddr_to_address((const struct sockaddr *)&native, (socklen_t)size, ret_address);
}

static void take_addresses(GObject *resolver, GAsyncResult *result, gpointer data)
{
    Run *run = data;
    GError *error = NULL;
    GList *found = g_resolver_lookup_by_name_finish(G_RESOLVER(resolver), result, &error);
    PhAddress server = {0}, address;

    for (GList *i = found; i; i = i->next) {
        if (use_address(i->data, run->server.port, &address) &&
            (server.family == PH_FAMILY_NONE ||
             (server.family == PH_FAMILY_IPV6 && address.family == PH_FAMILY_IPV4)))
            server = address;
    }
    g_resolver_free_addresses(found);
    if (!error && server.family == PH_FAMILY_NONE)
        error = g_error_new(G_RESOLVER_ERROR, G_RESOLVER_ERROR_NOT_FOUND, "it has no address");
    if (error) {
        g_prefix_error(&error, "cannot find the server: ");
        fail(run, error);
        return;
    }
    run->server = server;
    classify(run);
}

void ph_classify_server_async(const char *server, GCancellable *cancellable,
                              GAsyncReadyCallback callback, gpointer data)
{
    g_autoptr(GSocketConnectable) parsed = NULL;
    g_autoptr(GResolver) resolver = g_resolver_get_default();
    Run *run = g_new0(Run, 1);
    GNetworkAddress *address;
    GError *error = NULL;

    run->task = g_task_new(NULL, cancellable, callback, data);
    g_task_set_source_tag(run->task, ph_classify_server_async);
    g_task_set_task_data(run->task, run, run_free);
    parsed = g_network_address_parse(server, PH_HUB_PORT, &error);
    address = (GNetworkAddress *)parsed;
    if (!error &&
        (!*g_network_address_get_hostname(address) || g_network_address_get_port(address) == 0))
        error = g_error_new(G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                            "expected a server as HOST or HOST:PORT, not \"%s\"", server);
    if (error) {
        fail(run, error);
        return;
    }
    run->server.port = g_network_address_get_port(address);
    g_resolver_lookup_by_name_async(resolver, g_network_address_get_hostname(address), cancellable,
                                    take_addresses, run);
}

gboolean ph_classify_server_finish(GAsyncResult *result, PhClassification *ret_classification,
                                   PhAddress *ret_server, GError **error)
{
    const Run *run = g_task_get_task_data(G_TASK(result));

    if (!g_task_propagate_boolean(G_TASK(result), error))
        return FALSE;
    *ret_classification = run->result;
    if (ret_server)
        *ret_server = run->server;
    return TRUE;
}
