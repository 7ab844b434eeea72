/* SPDX-License-Identifier: MIT */
/* A lifetime test as a job. */
#include <pinhole/measure.h>

#include "job.h"
#include "system.h"

#define FIRST_SOCKET 1

static gpointer start(const PhAddress *server, gconstpointer options, uint64_t now, GError **error)
{
    const uint64_t *most_ns = options;
    PhLifetimeConfig config = {
        .server = *server, .first_socket = FIRST_SOCKET, .most_ns = *most_ns};
    PhLifetime *lifetime;

    if (*most_ns != 0 && *most_ns < PH_LIFETIME_LEAST_NS) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                    "a lifetime is measured from 5 s upwards");
        return NULL;
    }
    ph_seed_fill(config.seed);
    lifetime = ph_lifetime_new(&config, now);
    if (!lifetime)
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "that server cannot be asked");
    return lifetime;
}

static void end(gpointer agent)
{
    ph_lifetime_free(agent);
}

static bool poll_socket(gpointer agent, PhSocketRequest *ret_request)
{
    return ph_lifetime_poll_socket(agent, ret_request);
}

static void socket_opened(gpointer agent, uint32_t socket, const PhAddress *local G_GNUC_UNUSED,
                          uint64_t now)
{
    ph_lifetime_socket_opened(agent, socket, now);
}

static void socket_failed(gpointer agent, uint32_t socket, uint64_t now)
{
    ph_lifetime_socket_failed(agent, socket, now);
}

static bool poll_transmit(gpointer agent, PhTransmit *ret_transmit)
{
    return ph_lifetime_poll_transmit(agent, ret_transmit);
}

static bool poll_result(gpointer agent, gpointer ret_result)
{
    return ph_lifetime_poll_event(agent, ret_result);
}

static void take_datagram(gpointer agent, const PhPath *path, const uint8_t *bytes, size_t length,
                          uint64_t now)
{
    ph_lifetime_handle_datagram(agent, path, bytes, length, now);
}

static void take_timeout(gpointer agent, uint64_t now)
{
    ph_lifetime_handle_timeout(agent, now);
}

static uint64_t next_timeout(gpointer agent)
{
    return ph_lifetime_next_timeout(agent);
}

static const PhJobKind kind = {
    .result_bytes = sizeof(PhLifetimeResult),
    .options_bytes = sizeof(uint64_t),
    .start = start,
    .end = end,
    .poll_socket = poll_socket,
    .socket_opened = socket_opened,
    .socket_failed = socket_failed,
    .poll_transmit = poll_transmit,
    .poll_result = poll_result,
    .datagram = take_datagram,
    .timeout = take_timeout,
    .next_timeout = next_timeout,
};

void ph_measure_lifetime_async(const char *server, uint64_t most_ns, GCancellable *cancellable,
                               GAsyncReadyCallback callback, gpointer data)
{
    ph_job_start(&kind, server, &most_ns, NULL, cancellable, callback, data);
}

gboolean ph_measure_lifetime_finish(GAsyncResult *result, PhLifetimeResult *ret_result,
                                    PhAddress *ret_server, GError **error)
{
    return ph_job_finish(result, ret_result, ret_server, error);
}
