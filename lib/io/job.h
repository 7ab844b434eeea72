/* SPDX-License-Identifier: MIT */
/*
 * A job: an agent that asks a server one thing, on real sockets, as a GTask.
 *
 *     parse --> look up --> agent <--> sockets, alarm
 *       |          |          |
 *       +----------+----------+--> the task returns
 */
#pragma once

#include <gio/gio.h>
#include <pinhole/path.h>

/* What a job's agent is asked and told, as path.h has it. */
typedef struct PhJobKind {
    gsize result_bytes;
    gsize options_bytes;
    /* NULL and an error. `options` is what ph_job_start was given. */
    gpointer (*start)(const PhAddress *server, gconstpointer options, uint64_t now, GError **error);
    void (*end)(gpointer agent);
    bool (*poll_socket)(gpointer agent, PhSocketRequest *ret_request);
    void (*socket_opened)(gpointer agent, uint32_t socket, const PhAddress *local, uint64_t now);
    void (*socket_failed)(gpointer agent, uint32_t socket, uint64_t now);
    bool (*poll_transmit)(gpointer agent, PhTransmit *ret_transmit);
    bool (*poll_result)(gpointer agent, gpointer ret_result);
    void (*datagram)(gpointer agent, const PhPath *path, const uint8_t *bytes, size_t length,
                     uint64_t now);
    void (*unreachable)(gpointer agent, const PhPath *path, uint64_t now); /* may be NULL */
    void (*timeout)(gpointer agent, uint64_t now);
    uint64_t (*next_timeout)(gpointer agent);
} PhJobKind;

/*
 * Runs in the thread-default main context. `options` is copied. The first socket that the agent
 * wants is `socket`, unless that is NULL; it is the caller's, and stays open. The source tag is the
 * kind.
 */
void ph_job_start(const PhJobKind *kind, const char *server, gconstpointer options, GSocket *socket,
                  GCancellable *cancellable, GAsyncReadyCallback callback, gpointer data);

/* FALSE and an error. `ret_server`, which may be NULL, is who was asked. */
gboolean ph_job_finish(GAsyncResult *result, gpointer ret_result, PhAddress *ret_server,
                       GError **error);
