/* SPDX-License-Identifier: MIT */
/* A classifier as a job. */
#include <pinhole/classify.h>

#include <pinhole/classifier.h>

#include "job.h"
#include "system.h"

#define FIRST_SOCKET 1

static gpointer start(const PhAddress *server, gconstpointer options, uint64_t now, GError **error)
{
    const PhClassifyFlags *flags = options;
    PhClassifierConfig config = {
        .server = *server,
        .first_socket = FIRST_SOCKET,
        .report = (*flags & PH_CLASSIFY_REPORT) != 0,
    };
    g_autoptr(GError) cause = NULL;
    PhClassifier *classifier;

    ph_seed_fill(config.seed);
    /* First the one that matters most: a host may have more of them than fit. */
    config.n_locals = ph_source_address(server, &config.locals[0]) ? 1 : 0;
    config.n_locals +=
        ph_local_addresses((PhFamily)server->family, TRUE, &config.locals[config.n_locals],
                           PH_CLASSIFIER_LOCALS - config.n_locals, &cause);
    if (cause) {
        g_propagate_error(error, g_steal_pointer(&cause));
        return NULL;
    }
    classifier = ph_classifier_new(&config, now);
    if (!classifier)
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "that server cannot be asked");
    return classifier;
}

static void end(gpointer agent)
{
    ph_classifier_free(agent);
}

static bool poll_socket(gpointer agent, PhSocketRequest *ret_request)
{
    return ph_classifier_poll_socket(agent, ret_request);
}

static void socket_opened(gpointer agent, uint32_t socket, const PhAddress *local, uint64_t now)
{
    ph_classifier_socket_opened(agent, socket, local, now);
}

static void socket_failed(gpointer agent, uint32_t socket, uint64_t now)
{
    ph_classifier_socket_failed(agent, socket, now);
}

static bool poll_transmit(gpointer agent, PhTransmit *ret_transmit)
{
    return ph_classifier_poll_transmit(agent, ret_transmit);
}

static bool poll_result(gpointer agent, gpointer ret_result)
{
    return ph_classifier_poll_event(agent, ret_result);
}

static void take_datagram(gpointer agent, const PhPath *path, const uint8_t *bytes, size_t length,
                          uint64_t now)
{
    ph_classifier_handle_datagram(agent, path, bytes, length, now);
}

static void take_unreachable(gpointer agent, const PhPath *path, uint64_t now)
{
    ph_classifier_unreachable(agent, path, now);
}

static void take_barred(gpointer agent, bool barred)
{
    ph_classifier_barred(agent, barred);
}

static void take_timeout(gpointer agent, uint64_t now)
{
    ph_classifier_handle_timeout(agent, now);
}

static uint64_t next_timeout(gpointer agent)
{
    return ph_classifier_next_timeout(agent);
}

static const PhJobKind kind = {
    .result_bytes = sizeof(PhClassification),
    .options_bytes = sizeof(PhClassifyFlags),
    .start = start,
    .end = end,
    .poll_socket = poll_socket,
    .socket_opened = socket_opened,
    .socket_failed = socket_failed,
    .poll_transmit = poll_transmit,
    .poll_result = poll_result,
    .datagram = take_datagram,
    .unreachable = take_unreachable,
    .barred = take_barred,
    .timeout = take_timeout,
    .next_timeout = next_timeout,
};

void ph_classify_server_async(const char *server, PhClassifyFlags flags, GCancellable *cancellable,
                              GAsyncReadyCallback callback, gpointer data)
{
    ph_job_start(&kind, server, &flags, NULL, cancellable, callback, data);
}

gboolean ph_classify_server_finish(GAsyncResult *result, PhClassification *ret_classification,
                                   PhAddress *ret_server, GError **error)
{
    return ph_job_finish(result, ret_classification, ret_server, error);
}
