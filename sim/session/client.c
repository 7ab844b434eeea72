/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests to a lab; see client.h. */
#include "session/client.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "machine/parcel.h"
#include "session/registry.h"
#include "session/serve.h"

/* A lab that is not at work on something long answers within milliseconds. */
#define DOWN_MS 10000

int pl_client_ask(const char *name, const char *const *words, const int *fds, size_t n_fds,
                  GError **error)
{
    g_autoptr(GByteArray) parcel = pl_parcel_pack(words);
    int connection = pl_registry_connect(name, error);

    if (connection < 0)
        return -1;
    if (pl_parcel_send(connection, parcel->data, parcel->len, fds, n_fds))
        return connection;
    if (errno == EMSGSIZE)
        g_set_error(error, PL_ERROR, PL_ERROR_INPUT,
                    "the command and its environment are too long (%u bytes, expected at most %u)",
                    parcel->len, PL_PARCEL_MAX);
    else
        g_set_error(error, PL_ERROR, PL_ERROR_FAILED, "lab %s is gone", name);
    close(connection);
    return -1;
}

/* What a refusal means to the caller; FALSE: it is none. */
static gboolean is_refusal(char kind, int *ret_code)
{
    switch (kind) {
    case PL_SERVE_INPUT:
        *ret_code = PL_ERROR_INPUT;
        return TRUE;
    case PL_SERVE_UNSUPPORTED:
        *ret_code = PL_ERROR_UNSUPPORTED;
        return TRUE;
    case PL_SERVE_FAILED:
        *ret_code = PL_ERROR_FAILED;
        return TRUE;
    default:
        return FALSE;
    }
}

char pl_client_hear(int connection, const char *name, char **ret_text, int *ret_fd, GError **error)
{
    char message[PL_SERVE_REPLY_MAX + 1];
    int fds[PL_PARCEL_FDS];
    size_t n_fds = 0;
    ssize_t n = pl_parcel_receive(connection, message, sizeof(message) - 1, fds, &n_fds);
    int code;

    for (size_t i = ret_fd ? 1 : 0; i < n_fds; i++)
        close(fds[i]);
    if (n <= 0) {
        g_set_error(error, PL_ERROR, PL_ERROR_FAILED, "lab %s is gone", name);
        return 0;
    }
    message[n] = '\0';
    if (is_refusal(message[0], &code)) {
        g_set_error_literal(error, PL_ERROR, code, message + 1);
        if (ret_fd && n_fds > 0)
            close(fds[0]);
        return 0;
    }
    if (ret_fd)
        *ret_fd = n_fds > 0 ? fds[0] : -1;
    if (ret_text)
        *ret_text = g_strdup(message + 1);
    return message[0];
}

/* A text that came as a file. */
static gboolean read_text(int fd, char **ret_text, GError **error)
{
    g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);

    return g_file_get_contents(path, ret_text, NULL, error);
}

gboolean pl_client_call(const char *name, const char *const *words, char **ret_text, GError **error)
{
    int connection = pl_client_ask(name, words, NULL, 0, error), fd = -1;
    gboolean ok;

    if (connection < 0)
        return FALSE;
    ok = pl_client_hear(connection, name, NULL, &fd, error) != 0;
    close(connection);
    if (ok && ret_text)
        ok = fd >= 0 ? read_text(fd, ret_text, error) : (*ret_text = g_strdup("")) != NULL;
    if (fd >= 0)
        close(fd);
    return ok;
}

/* The holder is who made the socket; with it the lab dies. */
static void kill_holder(int connection)
{
    struct ucred holder;
    socklen_t length = sizeof(holder);

    if (getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &holder, &length) == 0 && holder.pid > 0)
        kill(holder.pid, SIGKILL);
}

gboolean pl_client_down(const char *name, GError **error)
{
    static const char *const words[] = {"down", NULL};
    int connection = pl_client_ask(name, words, NULL, 0, error);
    struct pollfd answer = {.fd = connection, .events = POLLIN};

    if (connection < 0)
        return FALSE;
    if (poll(&answer, 1, DOWN_MS) == 0)
        kill_holder(connection);
    close(connection);
    pl_registry_await_end(name);
    return TRUE;
}
