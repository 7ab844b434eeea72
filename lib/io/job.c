/* SPDX-License-Identifier: MIT */
/* A job: see job.h. */
#include "job.h"

#include <string.h>

#include "resolve.h"
#include "sockets.h"
#include "system.h"

typedef struct Job {
    GTask *task; /* borrowed: it owns this */
    const PhJobKind *kind;
    gpointer options, result;
    PhAddress server;
    GSocket *socket; /* for the agent's first one; NULL when there is none, or it has it */
    gpointer agent;
    PhSockets *sockets;
    GSource *alarm, *cancelled;
} Job;

static void source_end(GSource **source)
{
    if (*source) {
        g_source_destroy(*source);
        g_source_unref(*source);
    }
    *source = NULL;
}

/* Nothing comes any more. */
static void job_stop(Job *job)
{
    source_end(&job->alarm);
    source_end(&job->cancelled);
    job->sockets = ph_sockets_free(job->sockets);
    if (job->agent)
        job->kind->end(job->agent);
    job->agent = NULL;
    g_clear_object(&job->socket);
}

static void job_free(gpointer data)
{
    Job *job = data;

    job_stop(job);
    g_free(job->options);
    g_free(job->result);
    g_free(job);
}

static void fail(Job *job, GError *error)
{
    GTask *task = job->task;

    job_stop(job);
    g_task_return_error(task, error);
    g_object_unref(task);
}

static gboolean open_socket(Job *job, const PhSocketRequest *request, PhAddress *ret_bound)
{
    const PhAddress local = {.family = (uint8_t)request->family};
    g_autoptr(GSocket) socket = g_steal_pointer(&job->socket);

    if (socket)
        return ph_sockets_adopt(job->sockets, request->socket, request->family, socket, ret_bound,
                                NULL);
    return ph_sockets_open(job->sockets, request->socket, &local, ret_bound, NULL);
}

static void serve_socket(Job *job, const PhSocketRequest *request)
{
    PhAddress bound;

    if (request->kind == PH_SOCKET_CLOSE)
        ph_sockets_close(job->sockets, request->socket);
    else if (open_socket(job, request, &bound))
        job->kind->socket_opened(job->agent, request->socket, &bound, ph_clock_now());
    else
        job->kind->socket_failed(job->agent, request->socket, ph_clock_now());
}

/* Does what the agent wants, in the order of path.h. `job` may be gone afterwards. */
static void serve(Job *job)
{
    PhSocketRequest request;
    PhTransmit transmit;

    while (job->kind->poll_socket(job->agent, &request))
        serve_socket(job, &request);
    while (job->kind->poll_transmit(job->agent, &transmit))
        ph_sockets_send(job->sockets, &transmit);
    ph_sockets_flush(job->sockets);
    if (job->kind->poll_result(job->agent, job->result)) {
        GTask *task = job->task;

        job_stop(job);
        g_task_return_boolean(task, TRUE);
        g_object_unref(task);
        return;
    }
    ph_alarm_set(job->alarm, job->kind->next_timeout(job->agent));
}

static void take_datagram(gpointer data, const PhPath *path, const uint8_t *bytes, size_t length,
                          uint64_t now)
{
    Job *job = data;

    job->kind->datagram(job->agent, path, bytes, length, now);
}

static void take_unreachable(gpointer data, const PhPath *path, uint64_t now)
{
    Job *job = data;

    if (job->kind->unreachable)
        job->kind->unreachable(job->agent, path, now);
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
    Job *job = data;

    job->kind->timeout(job->agent, ph_clock_now());
    serve(job);
    return G_SOURCE_CONTINUE;
}

static gboolean cancel(GCancellable *cancellable, gpointer data)
{
    GError *error = NULL;

    g_cancellable_set_error_if_cancelled(cancellable, &error);
    fail(data, error);
    return G_SOURCE_REMOVE;
}

static void start(Job *job)
{
    GMainContext *context = g_task_get_context(job->task);
    GCancellable *cancellable = g_task_get_cancellable(job->task);
    GError *error = NULL;

    job->agent = job->kind->start(&job->server, job->options, ph_clock_now(), &error);
    if (!job->agent) {
        fail(job, error);
        return;
    }
    job->sockets = ph_sockets_new(context, &handler, job);
    job->alarm = ph_alarm_new(context, wake, job);
    if (cancellable) {
        job->cancelled = g_cancellable_source_new(cancellable);
        g_source_set_callback(job->cancelled, G_SOURCE_FUNC(cancel), job, NULL);
        g_source_attach(job->cancelled, context);
    }
    serve(job);
}

static void take_server(GObject *object G_GNUC_UNUSED, GAsyncResult *result, gpointer data)
{
    Job *job = data;
    GError *error = NULL;

    if (ph_resolve_server_finish(result, &job->server, &error))
        start(job);
    else
        fail(job, error);
}

/* With a socket of the caller's only addresses of its family are of use. */
static PhFamily family_of(GSocket *socket)
{
    if (!socket)
        return PH_FAMILY_NONE;
    return g_socket_get_family(socket) == G_SOCKET_FAMILY_IPV4 ? PH_FAMILY_IPV4 : PH_FAMILY_IPV6;
}

void ph_job_start(const PhJobKind *kind, const char *server, gconstpointer options, GSocket *socket,
                  GCancellable *cancellable, GAsyncReadyCallback callback, gpointer data)
{
    Job *job = g_new0(Job, 1);

    *job = (Job){
        .task = g_task_new(NULL, cancellable, callback, data),
        .kind = kind,
        .options = g_memdup2(options, kind->options_bytes),
        .result = g_malloc0(kind->result_bytes),
        .socket = socket ? g_object_ref(socket) : NULL,
    };
    g_task_set_source_tag(job->task, (gpointer)kind);
    g_task_set_task_data(job->task, job, job_free);
    ph_resolve_server_async(server, family_of(socket), cancellable, take_server, job);
}

gboolean ph_job_finish(GAsyncResult *result, gpointer ret_result, PhAddress *ret_server,
                       GError **error)
{
    const Job *job = g_task_get_task_data(G_TASK(result));

    if (!g_task_propagate_boolean(G_TASK(result), error))
        return FALSE;
    memcpy(ret_result, job->result, job->kind->result_bytes);
    if (ret_server)
        *ret_server = job->server;
    return TRUE;
}
